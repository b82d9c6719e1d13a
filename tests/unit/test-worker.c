/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of workers.  A job of a test works when its gate opens and notes what it did.
 */
#include <semaphore.h>

#include "berth/iothread.h"
#include "berth/qsbr.h"
#include "berth/worker.h"

#include "call-counter.h"

#define MAX_JOBS 8

typedef struct Bench Bench;

typedef struct Task {
    WorkerJob job;
    Bench *bench;
    sem_t gate;
    int n_worked;               /* atomic */
    int n_done;
    bool has_no_gate;
    bool submits_again;
    bool waits_under_lock;      /* before the gate */
} Task;

struct Bench {
    Loop *loop;
    WorkerPool pool;
    Task tasks[MAX_JOBS];
    int n_running;              /* atomic */
    int order[MAX_JOBS];        /* of work() */
    int n_begun;                /* atomic */
};

/* Until a time that has passed: the wait itself is what is tested. */
static void wait_under_lock(void)
{
    GMutex lock;
    GCond cond;

    g_mutex_init(&lock);
    g_cond_init(&cond);
    lock_take(&lock);
    lock_wait_until(&cond, &lock, 0);
    lock_drop(&lock);
    g_cond_clear(&cond);
    g_mutex_clear(&lock);
}

static void work(void *opaque)
{
    Task *task = opaque;
    Bench *bench = task->bench;
    int n_begun = __atomic_fetch_add(&bench->n_begun, 1, __ATOMIC_SEQ_CST);

    g_assert_cmpint(thread_role(), ==, THREAD_WORKER);
    if (task->waits_under_lock)
        wait_under_lock();
    if (n_begun < MAX_JOBS)
        bench->order[n_begun] = (int)(task - bench->tasks);
    __atomic_add_fetch(&bench->n_running, 1, __ATOMIC_SEQ_CST);
    if (!task->has_no_gate)
        sem_wait(&task->gate);
    __atomic_sub_fetch(&bench->n_running, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&task->n_worked, 1, __ATOMIC_SEQ_CST);
}

static void on_done(void *opaque)
{
    Task *task = opaque;

    assert_loop(task->bench->loop);
    task->n_done++;
    if (task->submits_again && task->n_done < 1000)
        g_assert_true(worker_submit(&task->bench->pool, &task->job, NULL));
}

static void init_pool(Bench *bench, unsigned max_threads, int64_t idle_ns)
{
    const WorkerConfig config = { .name = "test", .max_threads = max_threads,
                                  .max_jobs = MAX_JOBS, .idle_ns = idle_ns };

    worker_pool_init(&bench->pool, bench->loop, &config);
}

static void set_up(Bench *bench, const void *unused)
{
    bench->loop = loop_new("test", THREAD_MAIN, NULL);
    for (int i = 0; i < MAX_JOBS; i++) {
        Task *task = &bench->tasks[i];

        task->bench = bench;
        sem_init(&task->gate, 0, 0);
        worker_job_init(&task->job, work, on_done, task);
    }
}

static void tear_down(Bench *bench, const void *unused)
{
    worker_pool_done(&bench->pool);
    loop_free(bench->loop);
    for (int i = 0; i < MAX_JOBS; i++)
        sem_destroy(&bench->tasks[i].gate);
}

static void submit(Bench *bench, int i)
{
    g_assert_true(worker_submit(&bench->pool, &bench->tasks[i].job, NULL));
}

static void open_gate(Bench *bench, int i)
{
    sem_post(&bench->tasks[i].gate);
}

static void wait_running(Bench *bench, int n)
{
    while (__atomic_load_n(&bench->n_running, __ATOMIC_SEQ_CST) != n)
        g_usleep(100);
}

static void run_until_done(Bench *bench, int i, int n)
{
    while (bench->tasks[i].n_done < n)
        loop_turn(bench->loop, true);
}

static void wait_threads(Bench *bench, unsigned n)
{
    int64_t end_ns = loop_clock_ns() + 60 * NS_PER_SEC;

    while (worker_pool_n_threads(&bench->pool) != n) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        g_usleep(100);
    }
}

static void test_threads_that_are_kept(Bench *bench, const void *unused)
{
    init_pool(bench, 8, NS_PER_MS);

    g_assert_true(worker_pool_set_threads(&bench->pool, 3, 8, NULL));
    g_assert_cmpuint(worker_pool_n_threads(&bench->pool), ==, 3);
    for (int i = 0; i < 5; i++)
        submit(bench, i);
    wait_running(bench, 5);
    for (int i = 0; i < 5; i++)
        open_gate(bench, i);
    wait_threads(bench, 3);
    g_usleep(20000);
    g_assert_cmpuint(worker_pool_n_threads(&bench->pool), ==, 3);

    g_assert_true(worker_pool_set_threads(&bench->pool, 0, 8, NULL));
    wait_threads(bench, 0);
    for (int i = 0; i < 5; i++)
        run_until_done(bench, i, 1);
}

/* Of a pool that shrinks while it works, with jobs waiting. */
static void test_threads_beyond_a_new_limit_end(Bench *bench, const void *unused)
{
    init_pool(bench, 4, NS_PER_SEC);
    for (int i = 0; i < MAX_JOBS; i++)
        submit(bench, i);
    wait_running(bench, 4);

    g_assert_true(worker_pool_set_threads(&bench->pool, 0, 1, NULL));
    for (int i = 0; i < 4; i++)
        open_gate(bench, i);

    wait_threads(bench, 1);
    wait_running(bench, 1);
    for (int i = 4; i < MAX_JOBS; i++)
        open_gate(bench, i);
    for (int i = 0; i < MAX_JOBS; i++)
        run_until_done(bench, i, 1);
}

static void test_threads_come_with_jobs_and_go_when_idle(Bench *bench, const void *unused)
{
    init_pool(bench, 2, NS_PER_MS);
    g_assert_cmpuint(worker_pool_n_threads(&bench->pool), ==, 0);

    for (int i = 0; i < 3; i++)
        submit(bench, i);
    wait_running(bench, 2);
    g_assert_cmpuint(worker_pool_n_threads(&bench->pool), ==, 2);
    for (int i = 0; i < 3; i++) {
        open_gate(bench, i);
        run_until_done(bench, i, 1);
    }

    while (worker_pool_n_threads(&bench->pool) > 0)
        loop_turn(bench->loop, true);
    loop_turn(bench->loop, false);
    g_assert_true(list_is_empty(&bench->pool.threads));
    submit(bench, 0);
    open_gate(bench, 0);
    run_until_done(bench, 0, 2);
}

static unsigned n_idle(Bench *bench)
{
    unsigned n;

    lock_take(&bench->pool.lock);
    n = bench->pool.n_idle;
    lock_drop(&bench->pool.lock);
    return n;
}

static void test_an_idle_thread_takes_the_next_job(Bench *bench, const void *unused)
{
    init_pool(bench, 4, 0);
    for (int i = 0; i < 5; i++) {
        submit(bench, i);
        open_gate(bench, i);
        run_until_done(bench, i, 1);
        while (n_idle(bench) == 0)
            g_usleep(100);
    }
    g_assert_cmpuint(worker_pool_n_threads(&bench->pool), ==, 1);
}

/* One sleeps again and again while the other works; nobody is told twice. */
static void test_a_wake_up_for_jobs_that_come_at_once(Bench *bench, const void *unused)
{
    unsigned n_calls;

    init_pool(bench, 2, 0);
    g_assert_true(worker_pool_set_threads(&bench->pool, 2, 2, NULL));
    while (n_idle(bench) < 2)
        g_usleep(100);
    submit(bench, 0);
    wait_running(bench, 1);
    if (call_counter_begin()) {
        call_counter_switch(true);
        for (int i = 1; i < MAX_JOBS; i++)
            submit(bench, i);
        call_counter_switch(false);
        n_calls = call_counter_take();
        call_counter_end();
        /* The lock may be another's now and then. */
        g_assert_cmpuint(n_calls, >=, 1);
        g_assert_cmpuint(n_calls, <, MAX_JOBS - 1);
    } else {
        g_test_skip("system calls cannot be counted here");
        for (int i = 1; i < MAX_JOBS; i++)
            submit(bench, i);
    }
    for (int i = 0; i < MAX_JOBS; i++)
        open_gate(bench, i);
    for (int i = 0; i < MAX_JOBS; i++)
        run_until_done(bench, i, 1);
}

/* Each is woken by the one before, which then waits for what they do together. */
static void test_all_idle_threads_get_up_for_as_many_jobs(Bench *bench,
                                                          const void *unused)
{
    init_pool(bench, 4, 0);
    g_assert_true(worker_pool_set_threads(&bench->pool, 4, 4, NULL));
    for (int n = 1; n <= 20; n++) {
        while (n_idle(bench) < 4)
            g_usleep(100);
        for (int i = 0; i < 4; i++)
            submit(bench, i);
        wait_running(bench, 4);
        for (int i = 0; i < 4; i++)
            open_gate(bench, i);
        for (int i = 0; i < 4; i++)
            run_until_done(bench, i, n);
    }
}

static void test_jobs_begin_in_order_and_are_bounded(Bench *bench, const void *unused)
{
    g_autoptr(GError) error = NULL;
    Task extra = { .bench = bench };

    init_pool(bench, 1, 0);
    worker_job_init(&extra.job, work, on_done, &extra);
    for (int i = 0; i < MAX_JOBS; i++)
        submit(bench, i);
    g_assert_true(worker_pool_is_full(&bench->pool));
    g_assert_false(worker_submit(&bench->pool, &extra.job, &error));
    g_assert_cmpstr(error->message, ==, "8 jobs are under way already");
    for (int i = 0; i < MAX_JOBS; i++)
        open_gate(bench, i);
    run_until_done(bench, MAX_JOBS - 1, 1);

    g_assert_false(worker_pool_is_full(&bench->pool));
    for (int i = 0; i < MAX_JOBS; i++)
        g_assert_cmpint(bench->order[i], ==, i);
    g_assert_cmpint(extra.n_done, ==, 0);
}

static void test_a_job_may_be_submitted_when_it_is_done(Bench *bench, const void *unused)
{
    init_pool(bench, 1, 0);
    bench->tasks[0].submits_again = true;
    bench->tasks[0].has_no_gate = true;
    submit(bench, 0);
    run_until_done(bench, 0, 1000);
    g_assert_cmpint(bench->tasks[0].n_worked, ==, 1000);
}

static void test_only_a_job_that_waits_is_cancelled(Bench *bench, const void *unused)
{
    init_pool(bench, 1, 0);
    submit(bench, 0);
    wait_running(bench, 1);
    submit(bench, 1);
    submit(bench, 2);

    g_assert_true(worker_cancel(&bench->tasks[1].job));
    g_assert_false(worker_cancel(&bench->tasks[1].job));
    g_assert_false(worker_cancel(&bench->tasks[0].job));
    open_gate(bench, 0);
    open_gate(bench, 2);
    run_until_done(bench, 2, 1);

    g_assert_cmpint(bench->tasks[0].n_done, ==, 1);
    g_assert_cmpint(bench->tasks[1].n_done, ==, 0);
    g_assert_cmpint(bench->tasks[1].n_worked, ==, 0);
    g_assert_false(worker_cancel(&bench->tasks[2].job));
}

static void *open_late(void *opaque)
{
    g_usleep(5000);
    sem_post(opaque);
    return NULL;
}

static void test_take_back_waits_for_what_runs(Bench *bench, const void *unused)
{
    pthread_t thread;

    init_pool(bench, 1, 0);
    submit(bench, 0);
    wait_running(bench, 1);
    submit(bench, 1);

    worker_take_back(&bench->tasks[1].job);
    pthread_create(&thread, NULL, open_late, &bench->tasks[0].gate);
    worker_take_back(&bench->tasks[0].job);
    worker_take_back(&bench->tasks[0].job);
    pthread_join(thread, NULL);
    loop_turn(bench->loop, false);

    g_assert_cmpint(bench->tasks[0].n_worked, ==, 1);
    g_assert_cmpint(bench->tasks[0].n_done, ==, 0);
    g_assert_cmpint(bench->tasks[1].n_worked, ==, 0);
    g_assert_cmpuint(bench->pool.n_jobs, ==, 0);
}

static void test_take_back_of_what_has_finished(Bench *bench, const void *unused)
{
    init_pool(bench, 1, 0);
    submit(bench, 0);
    open_gate(bench, 0);
    while (__atomic_load_n(&bench->tasks[0].n_worked, __ATOMIC_SEQ_CST) == 0)
        g_usleep(100);
    worker_take_back(&bench->tasks[0].job);
    loop_turn(bench->loop, false);
    g_assert_cmpint(bench->tasks[0].n_done, ==, 0);
}

/* Publications are reclaimed while a worker blocks. */
static void note_freed(QsbrNode *node)
{
}

static void test_a_blocked_worker_delays_no_reclamation(Bench *bench, const void *unused)
{
    QsbrNode node;

    init_pool(bench, 1, 0);
    submit(bench, 0);
    wait_running(bench, 1);
    qsbr_defer(&node, note_freed);
    qsbr_synchronize();
    open_gate(bench, 0);
    run_until_done(bench, 0, 1);
}

static void test_a_wait_in_a_job_does_not_end_that(Bench *bench, const void *data)
{
    bench->tasks[0].waits_under_lock = true;
    test_a_blocked_worker_delays_no_reclamation(bench, data);
}

/* The same pool on an iothread, jobs coming and going, threads ending between. */
static void start_storm(void *opaque)
{
    Bench *bench = opaque;

    init_pool(bench, 3, NS_PER_MS / 10);
    for (int i = 0; i < MAX_JOBS; i++) {
        bench->tasks[i].has_no_gate = true;
        bench->tasks[i].submits_again = true;
        submit(bench, i);
    }
}

static void end_storm(void *opaque)
{
    Bench *bench = opaque;

    for (int i = 0; i < MAX_JOBS; i++) {
        worker_take_back(&bench->tasks[i].job);
    }
    worker_pool_done(&bench->pool);
}

static void test_storm_on_an_iothread(Bench *bench, const void *unused)
{
    g_autoptr(Iothread) iothread = iothread_new("storm", NULL);
    Loop *mine = bench->loop;

    bench->loop = iothread_loop(iothread);
    loop_call_sync(bench->loop, start_storm, bench);
    while (__atomic_load_n(&bench->tasks[MAX_JOBS - 1].n_worked, __ATOMIC_SEQ_CST) < 500)
        g_usleep(100);
    loop_call_sync(bench->loop, end_storm, bench);
    g_clear_pointer(&iothread, iothread_free);
    bench->loop = mine;
    init_pool(bench, 1, 0);
}

#define add_test(path, fn)                                                             \
    g_test_add("/worker/" path, Bench, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    add_test("threads-come-and-go", test_threads_come_with_jobs_and_go_when_idle);
    add_test("threads-that-are-kept", test_threads_that_are_kept);
    add_test("threads-beyond-a-new-limit", test_threads_beyond_a_new_limit_end);
    add_test("idle-thread-is-used", test_an_idle_thread_takes_the_next_job);
    add_test("one-wake-up", test_a_wake_up_for_jobs_that_come_at_once);
    add_test("all-idle-threads", test_all_idle_threads_get_up_for_as_many_jobs);
    add_test("order-and-bound", test_jobs_begin_in_order_and_are_bounded);
    add_test("submit-again", test_a_job_may_be_submitted_when_it_is_done);
    add_test("cancel", test_only_a_job_that_waits_is_cancelled);
    add_test("take-back-running", test_take_back_waits_for_what_runs);
    add_test("take-back-finished", test_take_back_of_what_has_finished);
    add_test("qsbr", test_a_blocked_worker_delays_no_reclamation);
    add_test("qsbr-after-a-wait", test_a_wait_in_a_job_does_not_end_that);
    add_test("storm", test_storm_on_an_iothread);
    return g_test_run();
}
