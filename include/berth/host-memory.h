/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How short of memory the host is, and the control group of this process: pressure
 * (PSI), what is available, limits.
 *
 * The files are opened once, so that reading them needs no rights and no file system
 * afterwards.  What a host has not, is unknown.  Thread: any that may open files, one at
 * a time.
 */
#pragma once

#include "berth/base.h"

#define HOST_MEMORY_UNKNOWN UINT64_MAX

/* Part of the last ten seconds in which some tasks waited for memory, or all did. */
typedef struct HostMemoryStall {
    uint64_t some;              /* in hundredths of a percent */
    uint64_t full;
} HostMemoryStall;

typedef struct HostMemorySample {
    HostMemoryStall host;
    HostMemoryStall cgroup;
    uint64_t available;         /* bytes */
    uint64_t total;
    uint64_t cgroup_current;
    uint64_t cgroup_limit;      /* UNKNOWN: it has none */
} HostMemorySample;

typedef struct HostMemory HostMemory;

/* @root is put before the names of all files: "" for the host's own. */
HostMemory *host_memory_new(const char *root);
/* Accepts NULL. */
void host_memory_free(HostMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostMemory, host_memory_free)

/* The control group that limits memory, below the root of all; NULL: none does. */
const char *host_memory_cgroup(const HostMemory *memory);

/*
 * The bytes that a file of /proc says behind @key at the beginning of a line, such as
 * "MemTotal:"; 0: it says none.  Any thread that may block.
 */
uint64_t host_memory_read_line(const char *path, const char *key);

/* Does not block. */
void host_memory_read(const HostMemory *memory, HostMemorySample *ret_sample);
