/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The busy wait of a loop with a disk or a network, in a world of its own time: the
 * clock, the sleep and the kernel's asynchronous I/O are this program's.  Each look at
 * the clock takes LOOK_NS, and a sleep ends WAKE_NS after what ended it.
 */
#include <errno.h>
#include <libaio.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>

#include "berth/aio.h"
#include "berth/poller.h"

#include "fake-aio-ring.h"

#define LOOK_NS 200
#define WAKE_NS 12000
#define NEVER INT64_MAX
#define US ((int64_t)1000)

typedef struct World {
    int64_t now_ns;
    int64_t looked_ns;          /* spent on looking */
    int64_t disk_at_ns;         /* the request is done */
    int64_t guest_at_ns;        /* the guest asks */
    int64_t wire_at_ns;         /* the answer comes by the network */
    int64_t disk_ns;
    int64_t slow_disk_ns;       /* one request in ten; 0: as the others */
    int64_t guest_ns;           /* from an answer to the next question */
    int64_t wire_ns;            /* 0: the guest asks the disk */
    int64_t work_ns;            /* if the guest has always something to do: a bit of it */
    int64_t others_ns;          /* for which others take the CPU when they are let */
    unsigned n_yields;
    unsigned n_sleeps;
    unsigned n_done;
    unsigned n_wanted;
    struct iocb *iocb;
    FakeAioRing ring;
    Loop *loop;
    Poller guest;
    LoopFd kick;
    LoopFd wire;
    AioReq req;
} World;

static World *world;            /* NULL: the host's */

static void signal_fd(int fd)
{
    uint64_t one = 1;

    g_assert_cmpint(write(fd, &one, sizeof(one)), ==, sizeof(one));
}

static void pass(int64_t ns)
{
    world->now_ns += ns;
    if (world->now_ns >= world->wire_at_ns) {
        world->wire_at_ns = NEVER;
        signal_fd(world->wire.fd);
    }
    if (world->now_ns < world->disk_at_ns)
        return;
    world->disk_at_ns = NEVER;
    fake_aio_ring_add(&world->ring, (struct io_event) { .data = world->iocb->data });
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!world)
        return (int)syscall(SYS_clock_gettime, clock, now);
    pass(LOOK_NS);
    world->looked_ns += LOOK_NS;
    now->tv_sec = world->now_ns / NS_PER_SEC;
    now->tv_nsec = world->now_ns % NS_PER_SEC;
    return 0;
}

/* The wire's descriptor has its signal then, the others get theirs. */
static void sleep_until_signal(void)
{
    int64_t disk_at_ns = world->disk_at_ns, guest_at_ns = world->guest_at_ns;
    int64_t at_ns = MIN(MIN(disk_at_ns, guest_at_ns), world->wire_at_ns);

    g_assert_cmpint(at_ns, !=, NEVER);
    world->n_sleeps++;
    pass(MAX(at_ns - world->now_ns, 0) + WAKE_NS);
    if (at_ns == disk_at_ns)
        signal_fd((int)world->iocb->u.c.resfd);
    else if (at_ns == guest_at_ns)
        signal_fd(world->kick.fd);
}

int epoll_pwait2(int epoll_fd, struct epoll_event *events, int n,
                 const struct timespec *timeout, const sigset_t *mask)
{
    bool may_sleep = !timeout || timeout->tv_sec || timeout->tv_nsec;

    if (world && may_sleep)
        sleep_until_signal();
    return (int)syscall(SYS_epoll_wait, epoll_fd, events, n, 0);
}

int io_setup(int size, io_context_t *ret_context)
{
    *ret_context = fake_aio_ring_init(&world->ring);
    return 0;
}

int io_destroy(io_context_t context)
{
    return 0;
}

int io_getevents(io_context_t context, long min, long max, struct io_event *events,
                 struct timespec *timeout)
{
    return -ENOSYS;
}

int io_submit(io_context_t context, long n, struct iocb **iocbs)
{
    bool is_slow = world->slow_disk_ns > 0 && world->n_done % 10 == 9;

    g_assert_cmpint(n, ==, 1);
    world->iocb = iocbs[0];
    world->disk_at_ns =
        world->now_ns + (is_slow ? world->slow_disk_ns : world->disk_ns);
    return 1;
}

int sched_yield(void)
{
    if (!world)
        return (int)syscall(SYS_sched_yield);
    world->n_yields++;
    pass(world->others_ns);
    return 0;
}

static bool guest_ready(void *opaque)
{
    return world->now_ns >= world->guest_at_ns;
}

static void guest_run(void *opaque)
{
    if (world->work_ns > 0) {
        pass(world->work_ns);
        return;
    }
    world->guest_at_ns = NEVER;
    if (world->wire_ns > 0)
        world->wire_at_ns = world->now_ns + world->wire_ns;
    else
        aio_submit(world->loop, &world->req, 0);
}

static bool guest_arm(void *opaque)
{
    return guest_ready(opaque);
}

static void on_kick(void *opaque, uint32_t events)
{
    uint64_t count;

    g_assert_cmpint(read(world->kick.fd, &count, sizeof(count)), ==, sizeof(count));
    poller_activate(&world->guest);
    guest_run(opaque);
}

static void take_answer(void)
{
    world->n_done++;
    world->guest_at_ns = world->now_ns + world->guest_ns;
}

static void on_done(AioReq *req, int64_t ret)
{
    take_answer();
}

static void on_wire(void *opaque, uint32_t events)
{
    uint64_t count;

    g_assert_cmpint(read(world->wire.fd, &count, sizeof(count)), ==, sizeof(count));
    take_answer();
}

/* @n requests, one at a time; what they cost is counted from zero. */
static void serve(unsigned n)
{
    world->n_wanted = world->n_done + n;
    world->n_sleeps = 0;
    world->looked_ns = 0;
    while (world->n_done < world->n_wanted)
        loop_turn(world->loop, true);
}

static void set_up(World *w, const void *unused)
{
    const Polling polling = { .max_ns = 32768 };
    static struct iovec iov;

    w->loop = loop_new("test", THREAD_MAIN, NULL);
    w->now_ns = NS_PER_SEC;
    w->disk_at_ns = w->wire_at_ns = NEVER;
    world = w;
    g_assert_true(aio_attach(w->loop, NULL));
    poller_set_polling(w->loop, &polling);
    w->guest = (Poller) { .ready = guest_ready, .run = guest_run, .arm = guest_arm };
    poller_add(w->loop, &w->guest);
    loop_fd_init(&w->kick, eventfd(0, EFD_NONBLOCK), on_kick, NULL);
    g_assert_true(loop_fd_add(w->loop, &w->kick, EPOLLIN, NULL));
    loop_fd_init(&w->wire, eventfd(0, EFD_NONBLOCK), on_wire, NULL);
    w->wire.is_watched = true;
    w->req.done = on_done;
    aio_prepare_read(&w->req, 0, &iov, 1, 0);
}

static void tear_down(World *w, const void *unused)
{
    poller_remove(&w->guest);
    loop_fd_remove(&w->kick);
    loop_fd_remove(&w->wire);
    aio_detach(w->loop);
    close(w->kick.fd);
    close(w->wire.fd);
    loop_free(w->loop);
    world = NULL;
}

/* With the wake-up it takes longer than the longest wait, and without one it does not. */
static void test_fast_disk_is_waited_for(World *w, const void *unused)
{
    w->disk_ns = 25 * US;
    w->guest_ns = 1 * US;
    serve(100);

    serve(1000);

    g_assert_cmpuint(w->n_sleeps, ==, 0);
}

/* A wait that fails now and then is not given up. */
static void test_fast_disk_that_is_slow_at_times_is_waited_for(World *w,
                                                               const void *unused)
{
    w->disk_ns = 25 * US;
    w->slow_disk_ns = 100 * US;
    w->guest_ns = 1 * US;
    serve(100);

    serve(1000);

    g_assert_cmpuint(w->n_sleeps, ==, 100);
}

/* The guest asks at once: only the disk is slept for. */
static void test_slow_disk_does_not_delay_the_guest(World *w, const void *unused)
{
    w->disk_ns = 200 * US;
    w->guest_ns = 1 * US;
    serve(100);

    serve(1000);

    g_assert_cmpuint(w->n_sleeps, ==, 1000);
    g_assert_cmpint(w->looked_ns, <, 1000 * 5 * US);
}

/* A little too slow to wait for, which is found out again and again, but seldom. */
static void test_disk_a_little_too_slow_is_tried_seldom(World *w, const void *unused)
{
    w->disk_ns = 40 * US;
    w->guest_ns = 1 * US;
    serve(100);

    serve(1600);

    g_assert_cmpuint(w->n_sleeps, ==, 1600);
    g_assert_cmpint(w->looked_ns, <, 1600 * 7 * US);
}

/* Whatever was learnt before, it is forgotten after a few of them. */
static void test_guest_that_asks_seldom_is_not_waited_for(World *w, const void *unused)
{
    w->disk_ns = 25 * US;
    w->guest_ns = 1 * US;
    serve(1000);
    w->disk_ns = w->guest_ns = NS_PER_SEC;
    serve(10);

    serve(1000);

    g_assert_cmpuint(w->n_sleeps, ==, 2000);
    g_assert_cmpint(w->looked_ns, <, 1000 * 5 * US);
}

static void add_wire(World *w)
{
    g_assert_true(loop_fd_add(w->loop, &w->wire, EPOLLIN, NULL));
}

/* No ring shows it, and still it is there when it comes, and not when the wait ends. */
static void test_answer_of_the_network_is_not_waited_over(World *w, const void *unused)
{
    int64_t begin_ns;

    add_wire(w);
    w->wire_ns = 10 * US;
    w->guest_ns = 1 * US;
    serve(100);
    begin_ns = w->now_ns;

    serve(1000);

    g_assert_cmpuint(w->n_sleeps, ==, 0);
    g_assert_cmpint(w->now_ns - begin_ns, <, 1000 * 15 * US);
}

static void test_slow_network_is_slept_for(World *w, const void *unused)
{
    add_wire(w);
    w->wire_ns = 200 * US;
    w->guest_ns = 200 * US;
    serve(100);

    serve(1000);

    g_assert_cmpuint(w->n_sleeps, ==, 2000);
    g_assert_cmpint(w->looked_ns, <, 1000 * 5 * US);
}

static void test_busy_guest_does_not_delay_frames(World *w, const void *unused)
{
    add_wire(w);
    w->work_ns = 5 * US;
    for (unsigned i = 0; i < 100; i++) {
        unsigned n_done = w->n_done;
        int64_t at_ns = w->now_ns + i % 20 * US;

        w->wire_at_ns = at_ns;
        while (w->n_done == n_done)
            loop_turn(w->loop, true);
        g_assert_cmpint(w->now_ns - at_ns, <, 30 * US);
    }
}

/* The CPU belongs to others, and a sleep ends when it has to: the loop does not wait. */
static void test_cpu_that_others_need_is_not_waited_on(World *w, const void *unused)
{
    int64_t begin_ns;

    add_wire(w);
    w->wire_ns = 10 * US;
    w->guest_ns = 1 * US;
    serve(100);
    w->others_ns = 3 * NS_PER_MS;
    w->n_yields = 0;
    begin_ns = w->now_ns;

    serve(10000);

    g_assert_cmpuint(w->n_yields, >, 0);
    g_assert_cmpint(w->now_ns - begin_ns, >, 2 * 50 * w->others_ns);
    g_assert_cmpint(w->n_yields * w->others_ns, <, (w->now_ns - begin_ns) / 25);
}

/* Whoever answers may need it, and is waited for as before. */
static void test_cpu_is_lent_to_the_one_who_answers(World *w, const void *unused)
{
    add_wire(w);
    w->wire_ns = 10 * US;
    w->guest_ns = 1 * US;
    w->others_ns = 8 * US;
    serve(100);

    serve(1000);

    g_assert_cmpuint(w->n_sleeps, ==, 0);
    g_assert_cmpuint(w->n_yields, >=, 1000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, World, NULL, set_up, fn, tear_down)
    ADD("/busy-wait/fast-disk-is-waited-for", test_fast_disk_is_waited_for);
    ADD("/busy-wait/fast-disk-that-is-slow-at-times-is-waited-for",
        test_fast_disk_that_is_slow_at_times_is_waited_for);
    ADD("/busy-wait/slow-disk-does-not-delay-the-guest",
        test_slow_disk_does_not_delay_the_guest);
    ADD("/busy-wait/disk-a-little-too-slow-is-tried-seldom",
        test_disk_a_little_too_slow_is_tried_seldom);
    ADD("/busy-wait/guest-that-asks-seldom-is-not-waited-for",
        test_guest_that_asks_seldom_is_not_waited_for);
    ADD("/busy-wait/answer-of-the-network-is-not-waited-over",
        test_answer_of_the_network_is_not_waited_over);
    ADD("/busy-wait/slow-network-is-slept-for", test_slow_network_is_slept_for);
    ADD("/busy-wait/busy-guest-does-not-delay-frames",
        test_busy_guest_does_not_delay_frames);
    ADD("/busy-wait/cpu-that-others-need-is-not-waited-on",
        test_cpu_that_others_need_is_not_waited_on);
    ADD("/busy-wait/cpu-is-lent-to-the-one-who-answers",
        test_cpu_is_lent_to_the_one_who_answers);
    return g_test_run();
}
