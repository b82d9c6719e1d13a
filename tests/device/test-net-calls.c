/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a network device, from the ring to the backend and back: the system calls
 * that they cost, all of the thread.
 *
 * The network is this program's: what the device writes is answered before the call
 * returns, as the host's kernel does, or not.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "berth/iothread.h"
#include "berth/net-driver.h"
#include "berth/net-set.h"
#include "berth/virtio.h"

#include "call-counter.h"
#include "kit-net.h"

#define ROUNDS 50u
#define FRAME 64u
#define BATCH 8u                /* of answers: more do not fit into a socket */

typedef struct Fixture {
    KitNet *net;
    uint64_t interrupts;
} Fixture;

static struct {
    int wire;                   /* -1: nobody is there */
    bool answers;
} far_end = { .wire = -1 };

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    ssize_t ret = syscall(SYS_writev, fd, iov, n);
    bool before = call_counter_switch(false);
    uint8_t frame[FRAME];

    if (far_end.wire >= 0 && recv(far_end.wire, frame, sizeof(frame), 0) == FRAME &&
        far_end.answers)
        g_assert_cmpint(send(far_end.wire, frame, FRAME, 0), ==, FRAME);
    call_counter_switch(before);
    return ret;
}

static void set_up(Fixture *f, const void *unused)
{
    f->net = kit_net_new("");
    kit_net_start(f->net, UINT64_MAX);
    kit_net_offer(f->net, KIT_NET_BUFFERS, KIT_NET_BUFFER);
    poller_set_polling(f->net->kit->queue_loop, &iothread_default_tuning.polling);
    far_end.wire = f->net->wire;
}

static void tear_down(Fixture *f, const void *unused)
{
    far_end.wire = -1;
    kit_net_free(f->net);
}

static uint64_t n_interrupts(const Fixture *f)
{
    const VirtioDevice *vdev = virtio_pci_device(f->net->dev);

    return vdev->queues[0].counters.interrupts + vdev->queues[1].counters.interrupts;
}

/* @n frames, until the driver has them back, and the answers. */
static void serve(Fixture *f, unsigned n)
{
    unsigned n_sent = 0, n_received = 0;
    uint8_t bytes[KIT_NET_BUFFER];
    uint32_t head, len;

    kit_net_queue(f->net, n, FRAME);
    while (n_sent < n || (far_end.answers && n_received < n)) {
        call_counter_switch(true);
        loop_turn(f->net->kit->queue_loop, true);
        call_counter_switch(false);
        while (kit_queue_take(&f->net->tx, &head, &len))
            n_sent++;
        for (; kit_net_take(f->net, bytes, sizeof(bytes), NULL) >= 0; n_received++)
            kit_net_offer(f->net, 1, KIT_NET_BUFFER);
    }
}

/* Calls of all rounds but those that interrupt a driver that wants to be. */
static unsigned count(Fixture *f, unsigned n)
{
    uint64_t interrupts;
    unsigned n_calls;

    /* What was learnt on the way there does not count. */
    serve(f, n);
    serve(f, n);
    interrupts = n_interrupts(f);
    call_counter_take();
    for (unsigned round = 0; round < ROUNDS; round++)
        serve(f, n);
    n_calls = call_counter_take();
    interrupts = n_interrupts(f) - interrupts;
    g_assert_cmpuint(interrupts, <=, 2 * ROUNDS);
    g_test_message("%u calls for %u frames", n_calls - (unsigned)interrupts, ROUNDS * n);
    return n_calls - (unsigned)interrupts;
}

/* One for each frame, one for each answer, and a look at the descriptors now and then. */
static void check_answers(Fixture *f, unsigned n)
{
    unsigned n_calls;

    far_end.answers = true;
    if (!call_counter_begin()) {
        g_test_skip("system calls cannot be counted here");
        return;
    }
    n_calls = count(f, n);
    call_counter_end();
    g_assert_cmpuint(n_calls, >=, 2 * n * ROUNDS);
    g_assert_cmpuint(n_calls, <=, (2 * n + 1) * ROUNDS);
}

/* A busy wait looks at it: what comes by it ends no sleep. */
static void test_descriptor_is_watched(Fixture *f, const void *unused)
{
    const NetQueue *queue = net_backend_queue(net_set_find(f->net->kit->nets, "wire"), 0);

    g_assert_true(queue->source.loop == f->net->kit->queue_loop);
    g_assert_true(queue->source.is_watched);
}

static void test_one_that_is_answered(Fixture *f, const void *unused)
{
    check_answers(f, 1);
}

static void test_many_that_are_answered(Fixture *f, const void *unused)
{
    check_answers(f, BATCH);
}

/* One for each frame: nobody asks again and again for answers. */
static void test_many_that_are_not_answered(Fixture *f, const void *unused)
{
    unsigned n_calls;

    far_end.answers = false;
    if (!call_counter_begin()) {
        g_test_skip("system calls cannot be counted here");
        return;
    }
    n_calls = count(f, KIT_NET_BUFFERS);
    call_counter_end();
    g_assert_cmpuint(n_calls, >=, KIT_NET_BUFFERS * ROUNDS);
    g_assert_cmpuint(n_calls, <=, (KIT_NET_BUFFERS + 1) * ROUNDS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/net-calls/descriptor-is-watched", test_descriptor_is_watched);
    ADD("/net-calls/one-that-is-answered", test_one_that_is_answered);
    ADD("/net-calls/many-that-are-answered", test_many_that_are_answered);
    ADD("/net-calls/many-that-are-not-answered", test_many_that_are_not_answered);
    return g_test_run();
}
