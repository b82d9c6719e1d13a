/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes to a file that overlap, where its blocks are larger than the guest's.  What is
 * less than a block is read, changed and written; a write that comes between would be
 * lost, beyond the bytes that the guest wrote twice.
 *
 * This program's preadv2() stops such a read when it has what it read.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "berth/iothread.h"
#include "berth/timer.h"

#include "file-bench.h"

#define BLOCK 4096u
#define SECTOR 512u
#define N_BLOCKS 8u
#define HELD_NS (40 * NS_PER_MS)
#define N_ROUNDS 400u

static struct {
    GMutex lock;
    GCond changed;
    bool is_armed;              /* atomic */
    bool is_reached;            /* under the lock, as the next */
    bool is_released;
} hold;

static void stop_here(void)
{
    lock_take(&hold.lock);
    hold.is_reached = true;
    g_cond_broadcast(&hold.changed);
    while (!hold.is_released)
        lock_wait(&hold.changed, &hold.lock);
    lock_drop(&hold.lock);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n_iov, off_t offset, int flags)
{
    ssize_t n = syscall(SYS_preadv2, fd, iov, (long)n_iov, (long)offset, 0L, flags);

    if (__atomic_load_n(&hold.is_armed, __ATOMIC_SEQ_CST))
        stop_here();
    return n;
}

static void arm_hold(void)
{
    lock_take(&hold.lock);
    hold.is_reached = false;
    hold.is_released = false;
    lock_drop(&hold.lock);
    __atomic_store_n(&hold.is_armed, true, __ATOMIC_SEQ_CST);
}

static void release_hold(void)
{
    __atomic_store_n(&hold.is_armed, false, __ATOMIC_SEQ_CST);
    lock_take(&hold.lock);
    hold.is_released = true;
    g_cond_broadcast(&hold.changed);
    lock_drop(&hold.lock);
}

static bool wait_for_hold(int64_t limit_ns)
{
    int64_t end_ns = loop_clock_ns() + limit_ns;
    bool is_reached;

    lock_take(&hold.lock);
    while (!hold.is_reached && lock_wait_until(&hold.changed, &hold.lock, end_ns))
        ;
    is_reached = hold.is_reached;
    lock_drop(&hold.lock);
    return is_reached;
}

typedef struct Fixture {
    FileBench file;
    uint8_t *partial;           /* a sector of 0x11 */
    uint8_t *whole;             /* a block of 0x22 */
} Fixture;

static void set_up(Fixture *f, const void *aio)
{
    g_autofree char *options = g_strdup_printf("'cache':{'direct':true},'aio':'%s'",
                                               (const char *)aio);

    file_bench_init(&f->file, N_BLOCKS * BLOCK, options);
    /* As of a disk with large sectors. */
    f->file.node->limits.request_alignment = BLOCK;
    f->partial = aligned_alloc(BLOCK, BLOCK);
    f->whole = aligned_alloc(BLOCK, BLOCK);
    memset(f->partial, 0x11, BLOCK);
    memset(f->whole, 0x22, BLOCK);
}

static void tear_down(Fixture *f, const void *unused)
{
    file_bench_done(&f->file);
    free(f->partial);
    free(f->whole);
}

static void on_time(void *opaque)
{
    *(bool *)opaque = true;
}

/* Turns the loop until @write is done, or for as long as a disk needs for one. */
static void turn_a_while(const Fixture *f, FileBenchOp *write)
{
    bool is_late = false;
    Timer timer;

    timer_init(&timer, f->file.loop, on_time, &is_late);
    timer_set(&timer, loop_clock_ns() + HELD_NS);
    while (!file_bench_is_done(write) && !is_late)
        loop_turn(f->file.loop, true);
    timer_cancel(&timer);
}

static void check_rest_of_block(const Fixture *f, uint8_t value)
{
    g_autofree char *contents = NULL;

    g_assert_true(g_file_get_contents(f->file.path, &contents, NULL, NULL));
    for (unsigned i = SECTOR; i < BLOCK; i++)
        g_assert_cmphex((uint8_t)contents[i], ==, value);
}

static const BlockIo first_sector = { .op = BLOCK_OP_WRITE, .bytes = SECTOR };
static const BlockIo whole_block = { .op = BLOCK_OP_WRITE, .bytes = BLOCK };
static const BlockIo other_sectors = {
    .op = BLOCK_OP_ZERO, .offset = SECTOR, .bytes = BLOCK - SECTOR,
};

/* @other comes when a sector's block has been read, and is not written yet. */
static void overtake(Fixture *f, const BlockIo *other, uint8_t value)
{
    BlockChannel *channel = file_bench_channel(&f->file, f->file.loop);
    FileBenchOp a = { 0 }, b = { 0 };

    g_assert_cmpint(block_io_write(f->file.node, 0, f->partial, BLOCK, 0), ==, 0);
    arm_hold();
    file_bench_submit(channel, &first_sector, f->partial, &a);
    while (!wait_for_hold(NS_PER_MS))
        loop_turn(f->file.loop, false);
    file_bench_submit(channel, other, f->whole, &b);
    turn_a_while(f, &b);
    release_hold();
    while (!file_bench_is_done(&a) || !file_bench_is_done(&b))
        loop_turn(f->file.loop, true);

    check_rest_of_block(f, value);
    block_channel_free(channel);
}

static void test_a_block_written_during_a_partial_write(Fixture *f, const void *aio)
{
    overtake(f, &whole_block, 0x22);
}

static void test_zeroes_written_during_a_partial_write(Fixture *f, const void *aio)
{
    overtake(f, &other_sectors, 0);
}

/* The whole block is queued for the kernel, which gets it at the end of the turn. */
static void test_a_block_written_before_a_partial_write(Fixture *f, const void *aio)
{
    BlockChannel *channel = file_bench_channel(&f->file, f->file.loop);
    FileBenchOp a = { 0 }, b = { 0 };

    arm_hold();
    file_bench_submit(channel, &whole_block, f->whole, &b);
    file_bench_submit(channel, &first_sector, f->partial, &a);
    wait_for_hold(HELD_NS);
    turn_a_while(f, &b);
    release_hold();
    while (!file_bench_is_done(&a) || !file_bench_is_done(&b))
        loop_turn(f->file.loop, true);

    check_rest_of_block(f, 0x22);
    block_channel_free(channel);
}

/* Main before a guest runs, or a loop for which there is no worker. */
static void test_a_thread_with_a_queue_does_not_wait(Fixture *f, const void *aio)
{
    BlockChannel *channel = file_bench_channel(&f->file, f->file.loop);
    FileBenchOp b = { 0 };

    file_bench_submit(channel, &whole_block, f->whole, &b);
    g_assert_cmpint(block_io_write(f->file.node, BLOCK, f->partial, SECTOR, 0), ==, 0);
    g_assert_cmpint(block_io_write(f->file.node, 0, f->partial, SECTOR, 0), ==, -EDEADLK);
    while (!file_bench_is_done(&b))
        loop_turn(f->file.loop, true);
    g_assert_cmpint(block_io_write(f->file.node, 0, f->partial, SECTOR, 0), ==, 0);

    check_rest_of_block(f, 0x22);
    block_channel_free(channel);
}

/* The host has no thread to give: the request waits for the one in its way. */
static void test_a_loop_without_a_worker_tries_again(Fixture *f, const void *aio)
{
    BlockChannel *channel = file_bench_channel(&f->file, f->file.loop);
    FileBenchOp a = { 0 }, b = { 0 };

    worker_pool_of(f->file.loop)->max_jobs = 0;
    file_bench_submit(channel, &whole_block, f->whole, &b);
    file_bench_submit(channel, &first_sector, f->partial, &a);
    while (!file_bench_is_done(&a) || !file_bench_is_done(&b))
        loop_turn(f->file.loop, true);

    check_rest_of_block(f, 0x22);
    block_channel_free(channel);
}

/* A sector is written, and the file ends where it did; or where the sector does. */
static void test_the_end_of_a_file_within_a_block(Fixture *f, const void *aio)
{
    static const struct {
        uint64_t before;        /* bytes */
        uint64_t offset;
        uint64_t after;
    } rows[] = {
        { BLOCK + 3 * SECTOR, BLOCK, BLOCK + 3 * SECTOR },
        { BLOCK + 3 * SECTOR, BLOCK + 2 * SECTOR, BLOCK + 3 * SECTOR },
        { BLOCK + 2 * SECTOR + 10, BLOCK + 2 * SECTOR, BLOCK + 3 * SECTOR },
        { BLOCK + 2 * SECTOR + 10, BLOCK + SECTOR, BLOCK + 2 * SECTOR + 10 },
        { 10, 0, SECTOR },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        BlockChannel *channel = file_bench_channel(&f->file, f->file.loop);
        BlockIo io = first_sector;
        FileBenchOp write = { 0 };
        struct stat st;
        uint8_t byte;

        g_assert_true(block_node_resize(f->file.node, rows[i].before, PREALLOC_MODE_OFF,
                                        NULL));
        io.offset = rows[i].offset;
        file_bench_submit(channel, &io, f->partial, &write);
        while (!file_bench_is_done(&write))
            loop_turn(f->file.loop, true);
        g_assert_cmpint(stat(f->file.path, &st), ==, 0);
        g_assert_cmpint(st.st_size, ==, rows[i].after);
        g_assert_cmpint(block_io_read(f->file.node, rows[i].offset, &byte, 1), ==, 0);
        g_assert_cmphex(byte, ==, 0x11);
        block_channel_free(channel);
    }
}

/* A guest that writes one block in two ways, from two threads. */
typedef struct Side {
    BlockChannel *channel;
    LoopMessage go;
    BlockIo io;
    uint8_t *data;
    FileBenchOp write;
} Side;

static void on_go(void *opaque)
{
    Side *side = opaque;

    file_bench_submit(side->channel, &side->io, side->data, &side->write);
}

static void side_init(Side *side, const Fixture *f, const BlockIo *io, uint8_t *data,
                      Loop *loop)
{
    *side = (Side) { .io = *io, .data = data };
    side->channel = file_bench_channel(&f->file, loop);
    loop_message_init(&side->go, on_go, side);
}

static void test_two_threads_write_one_block(Fixture *f, const void *aio)
{
    g_autoptr(Iothread) one = iothread_new("one", NULL);
    g_autoptr(Iothread) two = iothread_new("two", NULL);
    Side a, b;

    side_init(&a, f, &first_sector, f->partial, iothread_loop(one));
    side_init(&b, f, &whole_block, f->whole, iothread_loop(two));
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        memset(f->whole, (int)i, BLOCK);
        __atomic_store_n(&a.write.is_done, false, __ATOMIC_SEQ_CST);
        __atomic_store_n(&b.write.is_done, false, __ATOMIC_SEQ_CST);
        loop_post(iothread_loop(one), &a.go);
        loop_post(iothread_loop(two), &b.go);
        while (!file_bench_is_done(&a.write) || !file_bench_is_done(&b.write))
            g_thread_yield();
        check_rest_of_block(f, (uint8_t)i);
    }

    block_channel_free(a.channel);
    block_channel_free(b.channel);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(path, aio, fn) g_test_add(path, Fixture, aio, set_up, fn, tear_down)
    ADD("/file-overlap/native/a-block-written-during-a-partial-write", "native",
        test_a_block_written_during_a_partial_write);
    ADD("/file-overlap/threads/a-block-written-during-a-partial-write", "threads",
        test_a_block_written_during_a_partial_write);
    ADD("/file-overlap/native/zeroes-written-during-a-partial-write", "native",
        test_zeroes_written_during_a_partial_write);
    ADD("/file-overlap/native/a-block-written-before-a-partial-write", "native",
        test_a_block_written_before_a_partial_write);
    ADD("/file-overlap/native/a-thread-with-a-queue-does-not-wait", "native",
        test_a_thread_with_a_queue_does_not_wait);
    ADD("/file-overlap/native/a-loop-without-a-worker-tries-again", "native",
        test_a_loop_without_a_worker_tries_again);
    ADD("/file-overlap/native/the-end-of-a-file-within-a-block", "native",
        test_the_end_of_a_file_within_a_block);
    ADD("/file-overlap/threads/the-end-of-a-file-within-a-block", "threads",
        test_the_end_of_a_file_within_a_block);
    ADD("/file-overlap/native/two-threads-write-one-block", "native",
        test_two_threads_write_one_block);
    ADD("/file-overlap/threads/two-threads-write-one-block", "threads",
        test_two_threads_write_one_block);
    return g_test_run();
}
