/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of the mappings of a process (proc_pid_smaps(5)), piece by piece:
 * nothing is allocated, so that what is counted stays as it is.  Any thread.
 */
#pragma once

#include "berth/base.h"

#define SMAPS_NAME_SIZE 64
#define SMAPS_LINE_SIZE 512

/* Sizes are in bytes. */
typedef struct SmapsMapping {
    uint64_t start;
    uint64_t end;
    bool is_guard;              /* nobody can access it */
    bool is_file;
    char name[SMAPS_NAME_SIZE]; /* "" for none; the first part of a long one */
    uint64_t resident;          /* pages of a hugetlb pool with it */
    uint64_t private;
    uint64_t shared;
    uint64_t swapped;
    uint64_t merged;            /* by KSM */
    uint64_t huge;              /* transparent ones */
} SmapsMapping;

typedef void SmapsFn(void *opaque, const SmapsMapping *mapping);

typedef struct SmapsReader {
    SmapsFn *fn;
    void *opaque;
    SmapsMapping mapping;
    bool has_mapping;
    char line[SMAPS_LINE_SIZE];
    size_t used;
} SmapsReader;

/* Calls @fn for each mapping of the text that comes by feed(), the last at end(). */
void smaps_begin(SmapsReader *reader, SmapsFn *fn, void *opaque);
void smaps_feed(SmapsReader *reader, const char *text, size_t size);
void smaps_end(SmapsReader *reader);

/* The same of this process; may block.  0 or a negative errno. */
int smaps_read_own(SmapsFn *fn, void *opaque);
