/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>

#include "berth/poller.h"
#include "berth/timer.h"

typedef struct Ring {
    Poller poller;
    LoopFd kick;
    int produced;               /* atomic: another thread produces */
    int consumed;
    bool wants_kicks;           /* atomic */
    int n_armed;
    int late;                   /* produced while arm() is called */
} Ring;

static bool ring_ready(void *opaque)
{
    Ring *ring = opaque;

    return __atomic_load_n(&ring->produced, __ATOMIC_SEQ_CST) != ring->consumed;
}

static void ring_run(void *opaque)
{
    Ring *ring = opaque;

    __atomic_store_n(&ring->wants_kicks, false, __ATOMIC_SEQ_CST);
    while (ring_ready(ring))
        ring->consumed++;
}

static bool ring_arm(void *opaque)
{
    Ring *ring = opaque;

    ring->n_armed++;
    __atomic_add_fetch(&ring->produced, ring->late, __ATOMIC_SEQ_CST);
    ring->late = 0;
    __atomic_store_n(&ring->wants_kicks, true, __ATOMIC_SEQ_CST);
    return ring_ready(ring);
}

static void ring_on_kick(void *opaque, uint32_t events)
{
    Ring *ring = opaque;
    uint64_t count;

    g_assert_cmpint(read(ring->kick.fd, &count, sizeof(count)), ==, sizeof(count));
    poller_activate(&ring->poller);
    ring_run(ring);
}

static void ring_add(Loop *loop, Ring *ring)
{
    *ring = (Ring) { 0 };
    ring->poller = (Poller) {
        .ready = ring_ready, .run = ring_run, .arm = ring_arm, .opaque = ring,
    };
    loop_fd_init(&ring->kick, eventfd(0, EFD_NONBLOCK), ring_on_kick, ring);
    g_assert_true(loop_fd_add(loop, &ring->kick, EPOLLIN, NULL));
    poller_add(loop, &ring->poller);
}

static void ring_remove(Ring *ring)
{
    poller_remove(&ring->poller);
    loop_fd_remove(&ring->kick);
    close(ring->kick.fd);
}

static void ring_produce(Ring *ring)
{
    uint64_t one = 1;

    __atomic_add_fetch(&ring->produced, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->wants_kicks, __ATOMIC_SEQ_CST))
        g_assert_cmpint(write(ring->kick.fd, &one, sizeof(one)), ==, sizeof(one));
}

static void on_timer(void *opaque)
{
}

/* A turn that sleeps until a timer @delay_ns from now. */
static void sleep_a_turn(Loop *loop, int64_t delay_ns)
{
    Timer timer;

    timer_init(&timer, loop, on_timer, NULL);
    timer_set(&timer, loop_clock_ns() + delay_ns);
    while (timer_is_set(&timer))
        loop_turn(loop, true);
}

static void test_ready_is_run_without_a_notification(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    Ring ring;

    ring_add(loop, &ring);
    ring_produce(&ring);

    loop_turn(loop, true);

    g_assert_cmpint(ring.consumed, ==, 1);
    g_assert_cmpint(ring.n_armed, ==, 0);
    ring_remove(&ring);
}

static void test_armed_before_sleep_and_woken_by_notification(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    Ring ring;

    ring_add(loop, &ring);
    sleep_a_turn(loop, NS_PER_MS);
    g_assert_cmpint(ring.n_armed, ==, 1);
    sleep_a_turn(loop, NS_PER_MS);
    g_assert_cmpint(ring.n_armed, ==, 1);

    ring_produce(&ring);
    loop_turn(loop, true);

    g_assert_cmpint(ring.consumed, ==, 1);
    g_assert_true(ring.poller.active);
    ring_remove(&ring);
}

static void test_work_that_comes_while_arming_is_not_slept_over(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    Ring ring;

    ring_add(loop, &ring);
    ring.late = 1;

    loop_turn(loop, true);

    g_assert_cmpint(ring.consumed, ==, 1);
    ring_remove(&ring);
}

static void *produce_slowly(void *opaque)
{
    Ring *ring = opaque;

    for (int i = 0; i < 1000; i++) {
        ring_produce(ring);
        for (volatile int spin = 0; spin < 500; spin++)
            ;
    }
    return NULL;
}

static void test_nothing_is_lost_between_threads(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    const Polling polling = { .max_ns = 20000 };
    Ring ring;
    GThread *thread;

    ring_add(loop, &ring);
    poller_set_polling(loop, &polling);
    thread = g_thread_new("producer", produce_slowly, &ring);

    while (ring.consumed < 1000)
        loop_turn(loop, true);

    g_thread_join(thread);
    ring_remove(&ring);
}

typedef struct Both {
    Ring rings[2];
} Both;

static void remove_both(void *opaque)
{
    Both *both = opaque;

    both->rings[0].consumed++;
    ring_remove(&both->rings[0]);
    ring_remove(&both->rings[1]);
}

static void test_removed_poller_is_not_run_in_its_turn(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    Both both;

    for (int i = 0; i < 2; i++) {
        ring_add(loop, &both.rings[i]);
        both.rings[i].poller.run = i == 0 ? remove_both : ring_run;
        ring_produce(&both.rings[i]);
    }
    both.rings[0].poller.opaque = &both;
    both.rings[0].poller.ready = ring_ready;

    loop_turn(loop, true);

    g_assert_cmpint(both.rings[0].consumed, ==, 1);
    g_assert_cmpint(both.rings[1].consumed, ==, 0);
}

/* The descriptors of others are served though a poller has work all the time. */
static bool always(void *opaque)
{
    return true;
}

static void on_fd(void *opaque, uint32_t events)
{
    *(bool *)opaque = true;
}

static void test_busy_poller_does_not_starve_descriptors(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    bool called = false;
    LoopFd source;
    Ring ring;

    ring_add(loop, &ring);
    ring.poller.ready = always;
    loop_fd_init(&source, eventfd(1, EFD_NONBLOCK), on_fd, &called);
    g_assert_true(loop_fd_add(loop, &source, EPOLLIN, NULL));

    for (int i = 0; i < 17; i++)
        loop_turn(loop, true);

    g_assert_true(called);
    loop_fd_remove(&source);
    close(source.fd);
    ring_remove(&ring);
}

/* How long the loop looks before it sleeps, by the number of looks. */
static int n_looks;             /* atomic */

static bool count_looks(void *opaque)
{
    __atomic_add_fetch(&n_looks, 1, __ATOMIC_RELAXED);
    return false;
}

static int looks_before_sleep(Loop *loop, int64_t delay_ns)
{
    n_looks = 0;
    sleep_a_turn(loop, delay_ns);
    return n_looks;
}

static void test_busy_wait_follows_the_sleeps(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    const Polling polling = { .max_ns = 50 * NS_PER_MS };
    Ring ring;
    int grown, shrunk, n_tries = 0;

    ring_add(loop, &ring);
    ring.poller.ready = count_looks;
    poller_set_polling(loop, &polling);
    g_assert_cmpint(looks_before_sleep(loop, NS_PER_MS), <, 10);
    for (int i = 0; i < 12; i++)
        sleep_a_turn(loop, NS_PER_MS);
    /* A sleep that the host makes long takes from it again. */
    do {
        grown = looks_before_sleep(loop, NS_PER_MS);
    } while (grown <= 10 && ++n_tries < 500);

    /* And a wait that it makes long leaves too little for a long sleep. */
    n_tries = 0;
    do {
        for (int i = 0; i < 5; i++)
            sleep_a_turn(loop, 110 * NS_PER_MS);
        shrunk = looks_before_sleep(loop, NS_PER_MS);
    } while (shrunk >= 10 && ++n_tries < 50);

    g_assert_cmpint(grown, >, 10);
    g_assert_cmpint(shrunk, <, 10);
    ring_remove(&ring);
}

static void on_late_fd(void *opaque, uint32_t events)
{
    uint64_t count;

    g_assert_cmpint(read(((LoopFd *)opaque)->fd, &count, sizeof(count)), ==, 8);
    loop_fd_remove(opaque);
}

/* When the loop has looked often, or does not come to it. */
static void *write_late(void *opaque)
{
    int64_t end_ns = loop_clock_ns() + 20 * NS_PER_SEC;
    const LoopFd *source = opaque;
    uint64_t one = 1;

    while (__atomic_load_n(&n_looks, __ATOMIC_RELAXED) <= 100 && loop_clock_ns() < end_ns)
        g_usleep(2000);
    g_assert_cmpint(write(source->fd, &one, sizeof(one)), ==, sizeof(one));
    return NULL;
}

/* A loop that may look at its pollers for an hour serves what is none at once. */
static void test_long_wait_looks_at_descriptors(void)
{
    g_autoptr(Loop) loop = loop_new("test", THREAD_MAIN, NULL);
    const Polling polling = { .max_ns = INT64_MAX, .grow = INT64_MAX };
    GThread *thread;
    LoopFd source;
    Ring ring;

    ring_add(loop, &ring);
    ring.poller.ready = count_looks;
    poller_set_polling(loop, &polling);
    for (int i = 0; i < 2; i++)
        sleep_a_turn(loop, NS_PER_MS);
    loop_fd_init(&source, eventfd(0, EFD_NONBLOCK), on_late_fd, &source);
    g_assert_true(loop_fd_add(loop, &source, EPOLLIN, NULL));
    n_looks = 0;
    thread = g_thread_new("writer", write_late, &source);

    while (source.loop)
        loop_turn(loop, true);

    g_assert_cmpint(n_looks, >, 100);
    g_thread_join(thread);
    close(source.fd);
    ring_remove(&ring);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poller/ready-is-run-without-a-notification",
                    test_ready_is_run_without_a_notification);
    g_test_add_func("/poller/armed-before-sleep-and-woken-by-notification",
                    test_armed_before_sleep_and_woken_by_notification);
    g_test_add_func("/poller/work-that-comes-while-arming-is-not-slept-over",
                    test_work_that_comes_while_arming_is_not_slept_over);
    g_test_add_func("/poller/nothing-is-lost-between-threads",
                    test_nothing_is_lost_between_threads);
    g_test_add_func("/poller/removed-poller-is-not-run-in-its-turn",
                    test_removed_poller_is_not_run_in_its_turn);
    g_test_add_func("/poller/busy-poller-does-not-starve-descriptors",
                    test_busy_poller_does_not_starve_descriptors);
    g_test_add_func("/poller/busy-wait-follows-the-sleeps",
                    test_busy_wait_follows_the_sleeps);
    g_test_add_func("/poller/long-wait-looks-at-descriptors",
                    test_long_wait_looks_at_descriptors);
    return g_test_run();
}
