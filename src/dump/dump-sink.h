/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of a dump go: a file, a pipe, a socket or a block device, front to back
 * or, where that can be, at places.  A worker's; it may be cancelled at any time.
 */
#pragma once

#include "berth/base.h"

typedef struct DumpSink {
    int fd;                     /* lent */
    int cancel_fd;              /* lent: polls readable when the dump is cancelled */
    bool polls;                 /* not a file: writes do not wait, poll() does */
    bool may_skip;              /* a file, at whose end zeros may be left out */
    int fd_flags;               /* to be restored */
    uint64_t skipped;           /* zeros that were left out since the last write */
    uint8_t *zeros;             /* made when they have to be written */
} DumpSink;

/* False with @error for a descriptor that cannot be written to. */
bool dump_sink_init(DumpSink *sink, int fd, int cancel_fd, GError **error);
void dump_sink_done(DumpSink *sink);

/* Writes all of it, or fails with @error; guest memory may be given as it is. */
bool dump_sink_write(DumpSink *sink, const void *data, size_t size, GError **error);
/* The same of @size zeros. */
bool dump_sink_write_zeros(DumpSink *sink, uint64_t size, GError **error);
/* Makes the file as long as what was written; before the end. */
bool dump_sink_finish(DumpSink *sink, GError **error);

/* Whether dump_sink_write_at() works. */
bool dump_sink_can_seek(const DumpSink *sink);
/* @offset is from the beginning of the file. */
bool dump_sink_write_at(DumpSink *sink, uint64_t offset, const void *data, size_t size,
                        GError **error);
