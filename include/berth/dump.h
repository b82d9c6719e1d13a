/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dump of a guest that stands still: its memory and its vCPUs' registers in a file that
 * crash(8), gdb(1), drgn and makedumpfile(8) read.
 *
 *     new --(the file is opened)--> opened() --dump_job_write()--> finished()
 *
 * Opening and writing are a worker's, so that no file, pipe or network makes main wait.
 * Whoever asked keeps the guest still from dump_job_write() to finished().
 *
 * Main only.
 */
#pragma once

#include "berth/ram-map.h"
#include "berth/vcpu-registers.h"
#include "qapi-types.h"

typedef struct DumpJob DumpJob;

typedef struct DumpOptions {
    DumpGuestMemoryFormat format;
    bool paging;                /* ELF: virtual addresses by the guest's page tables */
    bool filtered;              /* ELF: only [@begin, @begin + @length) */
    uint64_t begin;
    uint64_t length;
} DumpOptions;

/* Where the bytes go: a path, or a descriptor (taken) when the path is NULL. */
typedef struct DumpTarget {
    const char *path;
    int fd;
} DumpTarget;

typedef struct DumpJobOps {
    /* The file is open, or @error (lent) says why not: then the job is at its end. */
    void (*opened)(void *opaque, const GError *error);
    /* The dump is written, or @error (lent) says why not. */
    void (*finished)(void *opaque, const GError *error);
} DumpJobOps;

/* What is dumped; all of it is taken. */
typedef struct DumpGuest {
    RamMap *ram;
    VcpuRegisters *vcpus;       /* g_free() */
    unsigned n_vcpus;
    GBytes *note;               /* an ELF note of the guest's, or NULL */
} DumpGuest;

/* Whether this build writes @format; false with @error that says why not. */
bool dump_format_check(DumpGuestMemoryFormat format, GError **error);

/* Whether @bytes are an ELF note, which a guest has given. */
bool dump_note_check(const uint8_t *bytes, size_t size);

/*
 * Begins to open @target.  @ops is lent, @options is NULL for dump_job_save().  Then
 * opened() is called from the loop.  NULL with @error when the host refuses a thread.
 */
DumpJob *dump_job_new(Loop *loop, const DumpOptions *options, const DumpTarget *target,
                      const DumpJobOps *ops, void *opaque, GError **error);
/* Cancels what is under way and waits for it; no callback comes.  Accepts NULL. */
void dump_job_free(DumpJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DumpJob, dump_job_free)

/*
 * After opened(): has @guest written.  False with @error when there is nothing to write,
 * or no thread; @guest is taken in any case.
 */
bool dump_job_write(DumpJob *job, DumpGuest *guest, GError **error);

/* A part of the guest's memory as it is. */
typedef struct DumpRange {
    uint64_t start;
    uint64_t size;
    bool is_virtual;            /* by the page tables of the one vCPU that is given */
} DumpRange;

/*
 * After opened(), in place of dump_job_write(): has just these bytes written.  What is no
 * memory is zeros; a virtual address that has none is an error.  The guest may run.
 */
bool dump_job_save(DumpJob *job, DumpGuest *guest, const DumpRange *range,
                   GError **error);

/* Bytes of guest memory: those that are done, and all. */
void dump_job_progress(const DumpJob *job, int64_t *ret_completed, int64_t *ret_total);
