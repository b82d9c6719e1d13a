/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to a disk with a file, from the ring and back to it: the system calls that it
 * costs, all of the thread.
 *
 * The disk is this program's (io_submit(3) and the rest of libaio), and does what it has
 * got when the loop goes to sleep, so that each run is the same.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <libaio.h>
#include <linux/virtio_blk.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/iothread.h"
#include "berth/iov.h"
#include "berth/virtio.h"
#include "berth/worker.h"

#include "call-counter.h"
#include "fake-aio-ring.h"
#include "kit-blk.h"

#define DEPTH KIT_BLK_SLOTS
#define ROUNDS 50u
#define BLOCK 4096u

static FakeAioRing ring;
static struct iocb *pending[FAKE_AIO_RING_SIZE];
static unsigned n_pending;

typedef struct Fixture {
    KitBoard *kit;
    KitBlk *blk;
    char *path;
} Fixture;

int io_setup(int size, io_context_t *ret_context)
{
    *ret_context = fake_aio_ring_init(&ring);
    return 0;
}

int io_destroy(io_context_t context)
{
    return 0;
}

int io_getevents(io_context_t context, long min, long max, struct io_event *events,
                 struct timespec *timeout)
{
    call_counter_add();
    return 0;
}

int io_submit(io_context_t context, long n, struct iocb **iocbs)
{
    call_counter_add();
    for (long i = 0; i < n; i++)
        pending[n_pending++] = iocbs[i];
    return (int)n;
}

static void end_requests(void)
{
    uint64_t one = 1;

    for (unsigned i = 0; i < n_pending; i++)
        fake_aio_ring_add(&ring, (struct io_event) {
            .data = pending[i]->data,
            .res = iov_size(pending[i]->u.c.buf, (unsigned)pending[i]->u.c.nbytes),
        });
    if (n_pending > 0)
        g_assert_cmpint(write((int)pending[0]->u.c.resfd, &one, sizeof(one)), ==,
                        sizeof(one));
    n_pending = 0;
}

int epoll_pwait2(int epoll_fd, struct epoll_event *events, int n,
                 const struct timespec *timeout, const sigset_t *mask)
{
    bool may_sleep = !timeout || timeout->tv_sec || timeout->tv_nsec;
    bool before = call_counter_switch(false);

    if (may_sleep)
        end_requests();
    call_counter_switch(before);
    return (int)syscall(SYS_epoll_pwait2, epoll_fd, events, n, timeout, mask, 8);
}

static void set_up(Fixture *f, const void *unused)
{
    g_autofree char *node = NULL;
    int fd;

    f->path = g_strdup("build/test-disk-calls-XXXXXX");
    fd = g_mkstemp(f->path);
    g_assert_cmpint(ftruncate(fd, 2 * DEPTH * BLOCK), ==, 0);
    close(fd);
    node = g_strdup_printf("{'driver': 'file', 'node-name': 'n', 'filename': '%s', "
                           "'aio': 'native', 'cache': {'direct': true}}", f->path);
    f->kit = kit_board_new();
    kit_add_node(f->kit, node);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'd', 'drive': 'n'}");
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "d");
    poller_set_polling(f->kit->queue_loop, &iothread_default_tuning.polling);
}

static void tear_down(Fixture *f, const void *unused)
{
    kit_blk_free(f->blk);
    kit_board_free(f->kit);
    g_unlink(f->path);
    g_free(f->path);
}

/* @depth requests, which the driver has offered, until it has them back. */
static void serve(Fixture *f, unsigned depth)
{
    unsigned n_taken = 0, slot;
    uint8_t status;

    while (n_taken < depth) {
        call_counter_switch(true);
        loop_turn(f->kit->queue_loop, true);
        call_counter_switch(false);
        for (; kit_blk_take(f->blk, &slot, &status); n_taken++)
            g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    }
}

static uint64_t n_interrupts(const Fixture *f)
{
    return virtio_pci_device(device_find(&f->kit->tree, "d"))->queues[0]
        .counters.interrupts;
}

/*
 * Rounds of full queues, each request @step sectors behind the one before: calls without
 * the interrupts, of which a round has one.  0: they cannot be counted here.
 */
static unsigned count_calls(Fixture *f, unsigned step)
{
    uint64_t interrupts;
    unsigned n_calls;

    if (!call_counter_begin()) {
        g_test_skip("system calls cannot be counted here");
        return 0;
    }
    interrupts = n_interrupts(f);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < DEPTH; i++)
            kit_blk_offer(f->blk, i, VIRTIO_BLK_T_IN, step * i, BLOCK);

        serve(f, DEPTH);
    }

    n_calls = call_counter_take();
    call_counter_end();
    interrupts = n_interrupts(f) - interrupts;
    g_test_message("%u calls for %u requests", n_calls, ROUNDS * DEPTH);
    g_assert_cmpuint(interrupts, ==, ROUNDS);
    g_assert_false(worker_pool_is_made(f->kit->queue_loop));
    return n_calls - (unsigned)interrupts;
}

/* One for eight requests at most, and one to interrupt a driver that wants to be. */
static void test_full_queue(Fixture *f, const void *unused)
{
    unsigned n = count_calls(f, 2 * BLOCK / 512);

    if (n == 0)
        return;
    g_assert_cmpuint(n, >=, 2 * ROUNDS);
    g_assert_cmpuint(n, <=, ROUNDS * DEPTH / 8);
}

/* Neighbours are one: io_submit(2), a look at the descriptors, a sleep. */
static void test_queue_of_neighbours(Fixture *f, const void *unused)
{
    unsigned n = count_calls(f, BLOCK / 512);

    if (n == 0)
        return;
    g_assert_cmpuint(n, >=, ROUNDS);
    g_assert_cmpuint(n, <=, 3 * ROUNDS);
}

/*
 * From the doorbell to the interrupt, without busy waits: io_submit(2), the look at the
 * descriptors that finds the doorbell, the sleep that the disk ends, the interrupt.
 */
static void test_one_write(Fixture *f, const void *unused)
{
    int doorbell =
        virtio_pci_device(device_find(&f->kit->tree, "d"))->queues[0].kick_fd;
    const Polling none = { 0 };
    uint64_t one = 1, interrupts;

    if (!call_counter_begin()) {
        g_test_skip("system calls cannot be counted here");
        return;
    }
    poller_set_polling(f->kit->queue_loop, &none);
    for (unsigned round = 0; round < ROUNDS; round++) {
        kit_blk_offer(f->blk, 0, VIRTIO_BLK_T_OUT, 0, BLOCK);
        g_assert_cmpint(write(doorbell, &one, sizeof(one)), ==, sizeof(one));
        interrupts = n_interrupts(f);
        call_counter_take();

        serve(f, 1);

        g_assert_cmpuint(n_interrupts(f) - interrupts, ==, 1);
        g_assert_cmpuint(call_counter_take(), <=, 4);
    }
    call_counter_end();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/disk-calls/full-queue", test_full_queue);
    ADD("/disk-calls/queue-of-neighbours", test_queue_of_neighbours);
    ADD("/disk-calls/one-write", test_one_write);
    return g_test_run();
}
