/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loop does with a file itself, and what it leaves to workers.
 *
 * This program's calls tell who made them, and are those of the file system that the test
 * wants: tmpfs, one that knows RWF_NOWAIT for writes, one that does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "berth/iothread.h"

#include "file-bench.h"

#define BLOCK 4096u
#define LARGE (256 * KIB)
#define SIZE (1 * MIB)
#define HELD_NS (20 * NS_PER_MS)

enum { HOLD_NOTHING, HOLD_WRITE, HOLD_FREE };

static struct {
    long type;                  /* of the file system */
    bool has_nowait;            /* for writes */
    bool is_short;              /* what a loop writes is written in part */
    pthread_t loop_thread;
    unsigned n_tries;           /* transfers by the loop */
    unsigned n_worked;          /* atomic: by others */
    unsigned n_freed;           /* atomic: parts of the file */

    GMutex lock;
    GCond changed;
    bool is_held;               /* under the lock: who arrives at `what` stays */
    bool is_there;              /* under the lock: somebody has */
    unsigned what;
} host;

static void stay(unsigned what)
{
    lock_take(&host.lock);
    if (host.what == what) {
        host.is_there = true;
        g_cond_broadcast(&host.changed);
        while (host.is_held)
            lock_wait(&host.changed, &host.lock);
    }
    lock_drop(&host.lock);
}

static void hold(unsigned what)
{
    lock_take(&host.lock);
    host.what = what;
    host.is_held = what != HOLD_NOTHING;
    host.is_there = false;
    g_cond_broadcast(&host.changed);
    lock_drop(&host.lock);
}

static void wait_until_held(void)
{
    lock_take(&host.lock);
    while (!host.is_there)
        lock_wait(&host.changed, &host.lock);
    lock_drop(&host.lock);
}

static void count(void)
{
    if (pthread_equal(pthread_self(), host.loop_thread))
        host.n_tries++;
    else
        __atomic_fetch_add(&host.n_worked, 1, __ATOMIC_SEQ_CST);
}

static unsigned n_worked(void)
{
    return __atomic_load_n(&host.n_worked, __ATOMIC_SEQ_CST);
}

int fstatfs(int fd, struct statfs *ret_statfs)
{
    *ret_statfs = (struct statfs) { .f_type = host.type };
    return 0;
}

ssize_t preadv2(int fd, const struct iovec *iov, int n_iov, off_t offset, int flags)
{
    count();
    return syscall(SYS_preadv2, fd, iov, (long)n_iov, (long)offset, 0L,
                   flags & ~RWF_NOWAIT);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n_iov, off_t offset, int flags)
{
    struct iovec part = { iov->iov_base, iov->iov_len / 2 };
    bool is_short = host.is_short && pthread_equal(pthread_self(), host.loop_thread);

    count();
    stay(HOLD_WRITE);
    if (flags & RWF_NOWAIT && !host.has_nowait) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return syscall(SYS_pwritev2, fd, is_short ? &part : iov, is_short ? 1L : (long)n_iov,
                   (long)offset, 0L, flags & ~RWF_NOWAIT);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    __atomic_fetch_add(&host.n_freed, 1, __ATOMIC_SEQ_CST);
    stay(HOLD_FREE);
    return (int)syscall(SYS_fallocate, fd, (long)mode, (long)offset, (long)size);
}

typedef struct Fixture {
    FileBench file;
    BlockChannel *channel;
    uint8_t *data;
} Fixture;

/* @magic: the file system's. */
static void set_up(Fixture *f, const void *magic)
{
    memset(&host, 0, offsetof(typeof(host), lock));
    hold(HOLD_NOTHING);
    host.type = GPOINTER_TO_INT(magic);
    host.loop_thread = pthread_self();
    file_bench_init(&f->file, SIZE, "'aio':'threads','discard':'unmap'");
    f->channel = file_bench_channel(&f->file, f->file.loop);
    f->data = g_malloc(LARGE);
    memset(f->data, 0x11, LARGE);
}

static void tear_down(Fixture *f, const void *unused)
{
    block_channel_free(f->channel);
    file_bench_done(&f->file);
    g_free(f->data);
}

/* Whether it is done at once. */
static bool submit(Fixture *f, BlockOp what, size_t size, uint32_t flags, FileBenchOp *op)
{
    const BlockIo io = { .op = what, .flags = flags, .bytes = size };

    *op = (FileBenchOp) { .is_done = false };
    file_bench_submit(f->channel, &io, f->data, op);
    return file_bench_is_done(op);
}

static void wait_for(Fixture *f, FileBenchOp *op)
{
    while (!file_bench_is_done(op))
        loop_turn(f->file.loop, true);
}

static bool ends_now(Fixture *f, BlockOp what, size_t size, uint32_t flags)
{
    bool was_now;
    FileBenchOp op;

    was_now = submit(f, what, size, flags, &op);
    wait_for(f, &op);
    return was_now;
}

static void check_contents(const Fixture *f, size_t size, uint8_t value)
{
    g_autofree char *contents = NULL;

    g_assert_true(g_file_get_contents(f->file.path, &contents, NULL, NULL));
    for (size_t i = 0; i < size; i++)
        g_assert_cmphex((uint8_t)contents[i], ==, value);
}

static void test_memory_needs_no_worker(Fixture *f, const void *magic)
{
    g_assert_true(ends_now(f, BLOCK_OP_WRITE, BLOCK, 0));
    g_assert_true(ends_now(f, BLOCK_OP_WRITE, BLOCK, BLOCK_FUA));
    g_assert_true(ends_now(f, BLOCK_OP_READ, BLOCK, 0));
    g_assert_true(ends_now(f, BLOCK_OP_FLUSH, 0, 0));

    g_assert_false(worker_pool_is_made(f->file.loop));
    g_assert_cmpuint(host.n_tries, ==, 3);
    check_contents(f, BLOCK, 0x11);
}

static void test_large_copies_are_for_workers(Fixture *f, const void *magic)
{
    g_assert_false(ends_now(f, BLOCK_OP_WRITE, LARGE, 0));
    g_assert_false(ends_now(f, BLOCK_OP_READ, LARGE, 0));

    g_assert_cmpuint(host.n_tries, ==, 0);
    g_assert_cmpuint(n_worked(), ==, 2);
    check_contents(f, LARGE, 0x11);
}

/* tmpfs is full, say: the worker is told why. */
static void test_what_is_short_is_done_by_a_worker(Fixture *f, const void *magic)
{
    host.is_short = true;
    g_assert_false(ends_now(f, BLOCK_OP_WRITE, BLOCK, 0));

    g_assert_cmpuint(host.n_tries, ==, 1);
    g_assert_cmpuint(n_worked(), ==, 1);
    check_contents(f, BLOCK, 0x11);
}

/* To free a large part takes the kernel long, and it lets nobody write meanwhile. */
static void test_no_write_waits_for_what_is_freed(Fixture *f, const void *magic)
{
    FileBenchOp discard, write;

    hold(HOLD_FREE);
    submit(f, BLOCK_OP_DISCARD, BLOCK, 0, &discard);
    wait_until_held();
    g_assert_false(submit(f, BLOCK_OP_WRITE, BLOCK, 0, &write));
    g_assert_true(ends_now(f, BLOCK_OP_READ, BLOCK, 0));
    hold(HOLD_NOTHING);
    wait_for(f, &discard);
    wait_for(f, &write);

    g_assert_cmpuint(n_worked(), ==, 1);
    g_assert_true(ends_now(f, BLOCK_OP_WRITE, BLOCK, 0));
}

static void *write_in_thread(void *opaque)
{
    Fixture *f = opaque;

    thread_set_role(THREAD_IOTHREAD);
    g_assert_true(ends_now(f, BLOCK_OP_WRITE, BLOCK, 0));
    return NULL;
}

static void *discard_in_thread(void *opaque)
{
    Fixture *f = opaque;
    const BlockIo io = { .op = BLOCK_OP_DISCARD, .bytes = BLOCK };

    thread_set_role(THREAD_WORKER);
    g_assert_cmpint(block_io(f->file.node, &io), ==, 0);
    return NULL;
}

/* The other way round: a loop is at it already. */
static void test_nothing_is_freed_during_a_write(Fixture *f, const void *magic)
{
    GThread *writer, *worker;

    hold(HOLD_WRITE);
    writer = g_thread_new("loop", write_in_thread, f);
    wait_until_held();
    worker = g_thread_new("worker", discard_in_thread, f);
    g_usleep(HELD_NS / 1000);
    g_assert_cmpuint(__atomic_load_n(&host.n_freed, __ATOMIC_SEQ_CST), ==, 0);
    hold(HOLD_NOTHING);
    g_thread_join(writer);
    g_thread_join(worker);

    g_assert_cmpuint(host.n_freed, ==, 1);
    check_contents(f, BLOCK, 0);
}

/* As of xfs. */
static void test_writes_that_need_not_wait(Fixture *f, const void *magic)
{
    host.has_nowait = true;
    g_assert_true(ends_now(f, BLOCK_OP_WRITE, BLOCK, 0));
    g_assert_true(ends_now(f, BLOCK_OP_READ, BLOCK, 0));
    g_assert_cmpuint(n_worked(), ==, 0);
    g_assert_false(ends_now(f, BLOCK_OP_WRITE, BLOCK, BLOCK_FUA));
    g_assert_false(ends_now(f, BLOCK_OP_FLUSH, 0, 0));

    g_assert_cmpuint(host.n_tries, ==, 2);
    g_assert_cmpuint(n_worked(), ==, 1);
    check_contents(f, BLOCK, 0x11);
}

/* As of ext4, which is asked once. */
static void test_writes_of_which_nobody_knows(Fixture *f, const void *magic)
{
    g_assert_false(ends_now(f, BLOCK_OP_WRITE, BLOCK, 0));
    g_assert_false(ends_now(f, BLOCK_OP_WRITE, BLOCK, 0));
    g_assert_true(ends_now(f, BLOCK_OP_READ, BLOCK, 0));

    g_assert_cmpuint(host.n_tries, ==, 2);
    g_assert_cmpuint(n_worked(), ==, 2);
    check_contents(f, BLOCK, 0x11);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(path, magic, fn) \
    g_test_add(path, Fixture, GINT_TO_POINTER(magic), set_up, fn, tear_down)
    ADD("/file-now/memory/needs-no-worker", TMPFS_MAGIC, test_memory_needs_no_worker);
    ADD("/file-now/memory/large-copies", TMPFS_MAGIC, test_large_copies_are_for_workers);
    ADD("/file-now/memory/short", TMPFS_MAGIC, test_what_is_short_is_done_by_a_worker);
    ADD("/file-now/memory/no-write-waits-for-what-is-freed", TMPFS_MAGIC,
        test_no_write_waits_for_what_is_freed);
    ADD("/file-now/memory/nothing-is-freed-during-a-write", TMPFS_MAGIC,
        test_nothing_is_freed_during_a_write);
    ADD("/file-now/cache/large-copies", EXT4_SUPER_MAGIC,
        test_large_copies_are_for_workers);
    ADD("/file-now/cache/writes-that-need-not-wait", EXT4_SUPER_MAGIC,
        test_writes_that_need_not_wait);
    ADD("/file-now/cache/writes-of-which-nobody-knows", EXT4_SUPER_MAGIC,
        test_writes_of_which_nobody_knows);
    return g_test_run();
}
