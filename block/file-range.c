/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes of less than a block take turns with those that they overlap.
 *
 * Such a write reads its blocks, changes them and writes them back.  What another one
 * wrote to them meanwhile would be lost, so both stand in a list of what workers write,
 * in the order in which they came; a worker waits until nothing before it is in its way.
 *
 * Writes of the short way stand in a list of their queue, which is its loop's alone.  A
 * worker with less than a block therefore asks each loop, by a message, until it has
 * answered that none of its writes is in the way.  Writes that a loop begins later see
 * n_partial: the loop has got the message on the same thread.  If one is in the way of a
 * partial write it goes to a worker, too.
 *
 * Who waits: a worker for loops, which never wait for workers, and for those that came
 * before.  A thread with a queue of the file (main before a guest runs, a loop for which
 * the host has no worker) does not wait; it answers for its own queue, and gives up with
 * EDEADLK if something is in its way.  A loop tries again in later turns (block-req.c).
 */
#include <errno.h>

#include "file-private.h"

void file_range_init(FileRanges *ranges)
{
    g_mutex_init(&ranges->lock);
    g_cond_init(&ranges->changed);
    list_init(&ranges->ranges);
    list_init(&ranges->queues);
}

void file_range_done(FileRanges *ranges)
{
    g_cond_clear(&ranges->changed);
    g_mutex_clear(&ranges->lock);
}

static FileRange range_of(const File *file, const BlockIo *io)
{
    uint32_t align = file->node.limits.request_alignment;

    return (FileRange) {
        .begin = ALIGN_DOWN(io->offset, align),
        .end = ALIGN_UP(io->offset + io->bytes, align),
    };
}

static bool overlap(const FileRange *a, const FileRange *b)
{
    return a->begin < b->end && b->begin < a->end;
}

static void wake_locked(FileRanges *ranges)
{
    if (ranges->n_waiting > 0)
        g_cond_broadcast(&ranges->changed);
}

/* The queue's loop. */

static bool has_overlapping(const FileQueue *queue, const FileRange *range)
{
    LIST_FOREACH(at, &queue->writes) {
        const FileCtx *ctx = CONTAINER_OF(at, FileCtx, node);
        FileRange write = range_of(queue->file, &ctx->req->io);

        if (overlap(&write, range))
            return true;
    }
    return false;
}

/* Answers those whose turn has come, in order. */
static void look_locked(FileQueue *queue)
{
    FileRanges *ranges = &queue->file->ranges;

    LIST_FOREACH(at, &ranges->ranges) {
        const FileRange *range = CONTAINER_OF(at, FileRange, node);

        if (!range->is_partial || range->turn <= queue->answered)
            continue;
        queue->is_asked = has_overlapping(queue, range);
        if (queue->is_asked)
            break;
        queue->answered = range->turn;
    }
    wake_locked(ranges);
}

static void on_ask(void *opaque)
{
    FileQueue *queue = opaque;

    lock_take(&queue->file->ranges.lock);
    look_locked(queue);
    lock_drop(&queue->file->ranges.lock);
}

void file_range_attach(FileQueue *queue, File *file, Loop *loop)
{
    FileRanges *ranges = &file->ranges;

    queue->file = file;
    queue->loop = loop;
    list_init(&queue->writes);
    loop_message_init(&queue->ask, on_ask, queue);
    lock_take(&ranges->lock);
    queue->answered = ranges->last_turn;
    list_append(&ranges->queues, &queue->node);
    lock_drop(&ranges->lock);
}

void file_range_detach(FileQueue *queue)
{
    FileRanges *ranges = &queue->file->ranges;

    /* It is posted under the lock: off the list, no more. */
    lock_take(&ranges->lock);
    list_remove(&queue->node);
    wake_locked(ranges);
    lock_drop(&ranges->lock);
    loop_message_cancel(queue->loop, &queue->ask);
}

bool file_range_is_free(File *file, const BlockIo *io)
{
    FileRanges *ranges = &file->ranges;
    FileRange write;
    bool is_free = true;

    if (__atomic_load_n(&ranges->n_partial, __ATOMIC_ACQUIRE) == 0)
        return true;
    write = range_of(file, io);
    lock_take(&ranges->lock);
    LIST_FOREACH(at, &ranges->ranges) {
        const FileRange *range = CONTAINER_OF(at, FileRange, node);

        if (range->is_partial && overlap(range, &write))
            is_free = false;
    }
    lock_drop(&ranges->lock);
    return is_free;
}

void file_range_end(FileQueue *queue, FileCtx *ctx)
{
    list_remove(&ctx->node);
    if (queue->is_asked)
        on_ask(queue);
}

/* A worker. */

static bool is_worker(void)
{
    return thread_role() == THREAD_WORKER;
}

static void ask_loops_locked(FileRanges *ranges)
{
    LIST_FOREACH(at, &ranges->queues) {
        FileQueue *queue = CONTAINER_OF(at, FileQueue, node);

        if (!is_worker() && loop_is_current(queue->loop))
            look_locked(queue);
        else
            loop_post(queue->loop, &queue->ask);
    }
}

static bool may_wait_locked(const FileRanges *ranges)
{
    if (is_worker())
        return true;
    LIST_FOREACH(at, &ranges->queues) {
        if (loop_is_current(CONTAINER_OF(at, FileQueue, node)->loop))
            return false;
    }
    return true;
}

static bool is_blocked_locked(const FileRanges *ranges, const FileRange *own)
{
    LIST_FOREACH(at, &ranges->ranges) {
        const FileRange *range = CONTAINER_OF(at, FileRange, node);

        if (range == own)
            break;
        if ((range->is_partial || own->is_partial) && overlap(range, own))
            return true;
    }
    if (!own->is_partial)
        return false;
    LIST_FOREACH(at, &ranges->queues) {
        if (CONTAINER_OF(at, FileQueue, node)->answered < own->turn)
            return true;
    }
    return false;
}

static void leave_locked(FileRanges *ranges, FileRange *range)
{
    list_remove(&range->node);
    if (range->is_partial)
        __atomic_sub_fetch(&ranges->n_partial, 1, __ATOMIC_RELEASE);
    wake_locked(ranges);
}

int file_range_enter(File *file, FileRange *range, const BlockIo *io, bool is_partial)
{
    FileRanges *ranges = &file->ranges;
    int ret = 0;

    *range = range_of(file, io);
    range->is_partial = is_partial;
    lock_take(&ranges->lock);
    range->turn = ++ranges->last_turn;
    list_append(&ranges->ranges, &range->node);
    if (is_partial) {
        __atomic_add_fetch(&ranges->n_partial, 1, __ATOMIC_RELEASE);
        ask_loops_locked(ranges);
    }
    while (ret == 0 && is_blocked_locked(ranges, range)) {
        if (!may_wait_locked(ranges)) {
            leave_locked(ranges, range);
            ret = -EDEADLK;
            break;
        }
        ranges->n_waiting++;
        lock_wait(&ranges->changed, &ranges->lock);
        ranges->n_waiting--;
    }
    lock_drop(&ranges->lock);
    return ret;
}

void file_range_leave(File *file, FileRange *range)
{
    lock_take(&file->ranges.lock);
    leave_locked(&file->ranges, range);
    lock_drop(&file->ranges.lock);
}
