/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the file driver share.
 */
#pragma once

#include "berth/aio.h"
#include "berth/block-driver.h"

/* A write by a worker: whole blocks, in which others wait for it (file-range.c). */
typedef struct FileRange {
    uint64_t begin;
    uint64_t end;
    uint64_t turn;              /* in the order of arrival */
    bool is_partial;            /* reads blocks before it writes them */
    ListNode node;              /* in FileRanges.ranges */
} FileRange;

typedef struct FileRanges {
    unsigned n_partial;         /* atomic; changed under the lock */
    GMutex lock;                /* a leaf */
    GCond changed;

    /* Under the lock. */
    ListNode ranges;            /* of FileRange, by turn */
    ListNode queues;            /* of FileQueue with aio */
    uint64_t last_turn;
    unsigned n_waiting;
} FileRanges;

typedef struct File {
    BlockNode node;
    const BlockdevOptionsFile *options;
    char *path;                 /* owned */
    int fd;
    bool is_device;             /* a block device */
    bool is_direct;             /* O_DIRECT */
    bool is_native;             /* Linux AIO */
    bool no_flush;
    bool may_discard;
    bool flush_failed;          /* atomic: the page cache has lost writes */
    bool is_memory;             /* on tmpfs */
    bool no_read_now;           /* atomic: reads cannot be tried without waiting */
    bool no_write_now;          /* atomic: nor writes */
    bool no_zero_range;         /* atomic: the host cannot */
    bool has_locks;
    uint8_t locked_wants;       /* locks that are held, see file-lock.c */
    uint8_t locked_refused;
    uint32_t extent_size;       /* that the file system was told; 0: none */
    GMutex end_lock;            /* long: who changes where the file ends */
    uint64_t n_discards;        /* atomic, as the next: for query-blockstats */
    uint64_t n_failed_discards;
    uint64_t n_discarded;       /* bytes */
    FileRanges ranges;
    unsigned n_now;             /* atomic: loops that write to memory, see file-now.c */
    unsigned n_freeing;         /* atomic: workers that free parts of it */
} File;

typedef struct FileCtx {
    AioReq aio;
    BlockReq *req;
    ListNode node;              /* in FileQueue.writes */
} FileCtx;

typedef struct FileQueue {
    bool has_aio;
    bool is_asked;              /* a partial write waits for one of ours */
    File *file;
    Loop *loop;
    ListNode writes;            /* of FileCtx: under way by aio */
    LoopMessage ask;            /* a partial write came */
    uint64_t answered;          /* under the ranges' lock: the last turn not in our way */
    ListNode node;              /* under the ranges' lock: in FileRanges.queues */
} FileQueue;

static inline File *file_of(BlockNode *node)
{
    return CONTAINER_OF(node, File, node);
}

/* file.c */

int file_open_flags(bool is_read_only, bool is_direct);
bool file_names_fdset(const char *path);
/* May block.  -1 with errno. */
int file_open_path(const char *path, int open_flags);
/* Whether what cannot be opened for writing may be for reading. */
bool file_is_read_only_error(int errnum);
/* May block. */
void file_find_alignment(int fd, bool is_direct, BlockLimits *limits);

/* file-io.c: a worker. */
int file_io(BlockNode *node, const BlockIo *io);

/* file-now.c */

/* May block. */
void file_now_look(File *file);
/* Loops: does what needs not wait; false: it would, or fails, and nothing counts. */
bool file_now_transfer(File *file, const BlockIo *io);
/* Workers: around what frees parts of the file. */
void file_now_freeing(File *file, bool on);
/* The file was opened in another way: what cannot be done now is found out anew. */
void file_now_forget(File *file);

/* file-range.c */

void file_range_init(FileRanges *ranges);
void file_range_done(FileRanges *ranges);
/*
 * Waits until nothing that came before is in the way of the write @io; what comes later
 * waits for it.  0, or -EDEADLK for a thread that may not wait, and nothing is held.
 */
int file_range_enter(File *file, FileRange *range, const BlockIo *io, bool is_partial);
void file_range_leave(File *file, FileRange *range);

/* The queue's loop, of one with aio. */

void file_range_attach(FileQueue *queue, File *file, Loop *loop);
void file_range_detach(FileQueue *queue);
/* Whether no partial write is in the way of @io. */
bool file_range_is_free(File *file, const BlockIo *io);
static inline void file_range_begin(FileQueue *queue, FileCtx *ctx)
{
    list_append(&queue->writes, &ctx->node);
}
void file_range_end(FileQueue *queue, FileCtx *ctx);

/* file-lock.c: does not block. */
bool file_lock_set(File *file, uint8_t wants, uint8_t permits, GError **error);
/* Moves the locks that are held to @fd, which is of the same file.  0 or -errno. */
int file_lock_move(const File *file, int fd);
