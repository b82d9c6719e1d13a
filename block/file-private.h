/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the file driver share.
 */
#pragma once

#include "berth/block-driver.h"

typedef struct File {
    BlockNode node;
    const BlockdevOptionsFile *options;
    char *path;                 /* lent: for messages */
    int fd;
    bool is_device;             /* a block device */
    bool is_direct;             /* O_DIRECT */
    bool is_native;             /* Linux AIO */
    bool no_flush;
    bool may_discard;
    bool flush_failed;          /* atomic: the page cache has lost writes */
    bool no_nowait;             /* atomic: reads cannot be tried without waiting */
    bool no_zero_range;         /* atomic: the host cannot */
    bool has_locks;
    uint8_t locked_wants;       /* locks that are held, see file-lock.c */
    uint8_t locked_refused;
    uint32_t extent_size;       /* that the file system was told; 0: none */
    uint64_t n_discards;        /* atomic, as the next: for query-blockstats */
    uint64_t n_failed_discards;
    uint64_t n_discarded;       /* bytes */
    GMutex partial;             /* of writes that begin or end within a block */
} File;

static inline File *file_of(BlockNode *node)
{
    return CONTAINER_OF(node, File, node);
}

/* file-io.c: a worker. */
int file_io(BlockNode *node, const BlockIo *io);

/* file-lock.c: does not block. */
bool file_lock_set(File *file, uint8_t wants, uint8_t permits, GError **error);
