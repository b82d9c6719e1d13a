/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "berth/iothread.h"
#include "berth/loop.h"
#include "berth/timer.h"

#define N_THREADS 4
#define N_POSTS 20000

typedef struct Fixture {
    Loop *loop;
} Fixture;

static void set_up(Fixture *f, const void *unused)
{
    f->loop = loop_new("test", THREAD_MAIN, NULL);
}

static void tear_down(Fixture *f, const void *unused)
{
    loop_free(f->loop);
}

/* A source whose function removes both sources of a pair. */
typedef struct Pair {
    LoopFd sources[2];
    int n_calls;
} Pair;

static void remove_both(void *opaque, uint32_t events)
{
    Pair *pair = opaque;

    pair->n_calls++;
    loop_fd_remove(&pair->sources[0]);
    loop_fd_remove(&pair->sources[1]);
}

static void test_removed_source_is_not_called_in_its_turn(Fixture *f, const void *unused)
{
    Pair pair = { .n_calls = 0 };
    int fds[2] = { eventfd(1, EFD_NONBLOCK), eventfd(1, EFD_NONBLOCK) };

    for (int i = 0; i < 2; i++) {
        loop_fd_init(&pair.sources[i], fds[i], remove_both, &pair);
        g_assert_true(loop_fd_add(f->loop, &pair.sources[i], EPOLLIN, NULL));
    }

    loop_turn(f->loop, true);
    loop_turn(f->loop, false);

    g_assert_cmpint(pair.n_calls, ==, 1);
    close(fds[0]);
    close(fds[1]);
}

static void silence_both(void *opaque, uint32_t events)
{
    Pair *pair = opaque;

    pair->n_calls++;
    loop_fd_set_events(&pair->sources[0], 0);
    loop_fd_set_events(&pair->sources[1], 0);
}

static void test_silenced_source_is_not_called_in_its_turn(Fixture *f, const void *unused)
{
    Pair pair = { .n_calls = 0 };
    int fds[2] = { eventfd(1, EFD_NONBLOCK), eventfd(1, EFD_NONBLOCK) };

    for (int i = 0; i < 2; i++) {
        loop_fd_init(&pair.sources[i], fds[i], silence_both, &pair);
        g_assert_true(loop_fd_add(f->loop, &pair.sources[i], EPOLLIN, NULL));
    }

    loop_turn(f->loop, true);
    loop_turn(f->loop, false);
    g_assert_cmpint(pair.n_calls, ==, 1);
    loop_fd_set_events(&pair.sources[0], EPOLLIN);
    loop_turn(f->loop, true);
    g_assert_cmpint(pair.n_calls, ==, 2);

    for (int i = 0; i < 2; i++) {
        loop_fd_remove(&pair.sources[i]);
        close(fds[i]);
    }
}

static void count_call(void *opaque, uint32_t events)
{
    ++*(int *)opaque;
}

static void test_silent_source_hides_hangup(Fixture *f, const void *unused)
{
    LoopFd source;
    int n_calls = 0;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    loop_fd_init(&source, fds[0], count_call, &n_calls);
    g_assert_true(loop_fd_add(f->loop, &source, 0, NULL));
    close(fds[1]);

    loop_turn(f->loop, false);
    g_assert_cmpint(n_calls, ==, 0);
    loop_fd_set_events(&source, EPOLLIN);
    loop_turn(f->loop, false);
    g_assert_cmpint(n_calls, ==, 1);

    loop_fd_remove(&source);
    close(fds[0]);
}

static void test_regular_file_is_refused(Fixture *f, const void *unused)
{
    g_autoptr(GError) error = NULL;
    FILE *file = tmpfile();
    LoopFd source;

    loop_fd_init(&source, fileno(file), count_call, NULL);

    g_assert_false(loop_fd_add(f->loop, &source, EPOLLIN, &error));
    g_assert_nonnull(error);
    loop_fd_remove(&source);
    fclose(file);
}

/* A function of a source that runs a whole turn, in which the other one is removed. */
typedef struct Nest {
    Loop *loop;
    LoopFd outer, inner;
    int n_outer, n_inner;
} Nest;

static void on_nest_outer(void *opaque, uint32_t events)
{
    Nest *nest = opaque;

    nest->n_outer++;
    loop_fd_remove(&nest->outer);
    loop_turn(nest->loop, false);
}

static void on_nest_inner(void *opaque, uint32_t events)
{
    Nest *nest = opaque;

    nest->n_inner++;
    loop_fd_remove(&nest->inner);
    loop_fd_remove(&nest->outer);
}

static void test_nested_turn_blanks_the_outer_batch(Fixture *f, const void *unused)
{
    Nest nest = { .loop = f->loop };
    int fds[2] = { eventfd(1, EFD_NONBLOCK), eventfd(1, EFD_NONBLOCK) };

    loop_fd_init(&nest.outer, fds[0], on_nest_outer, &nest);
    loop_fd_init(&nest.inner, fds[1], on_nest_inner, &nest);
    g_assert_true(loop_fd_add(f->loop, &nest.outer, EPOLLIN, NULL));
    g_assert_true(loop_fd_add(f->loop, &nest.inner, EPOLLIN, NULL));

    loop_turn(f->loop, true);
    loop_turn(f->loop, false);

    g_assert_cmpint(nest.n_outer, ==, 1);
    g_assert_cmpint(nest.n_inner, ==, 1);
    close(fds[0]);
    close(fds[1]);
}

/* Timers write their letters into a text. */
typedef struct Letter {
    Timer timer;
    GString *text;
    char letter;
    Timer *cancels;
    bool again;
} Letter;

static void on_letter(void *opaque)
{
    Letter *letter = opaque;

    g_string_append_c(letter->text, letter->letter);
    if (letter->cancels)
        timer_cancel(letter->cancels);
    if (letter->again)
        timer_set(&letter->timer, 0);
}

static void test_timers_fire_in_order(Fixture *f, const void *unused)
{
    g_autoptr(GString) text = g_string_new("");
    int64_t now_ns = loop_clock_ns();
    Letter letters[26];

    for (int i = 0; i < 26; i++) {
        letters[i] = (Letter) { .text = text, .letter = 'a' + i };
        timer_init(&letters[i].timer, f->loop, on_letter, &letters[i]);
    }
    /* 7 is coprime to 26; pairs share a deadline and keep the order of setting. */
    for (int i = 0; i < 26; i++) {
        int at = i * 7 % 26;

        timer_set(&letters[at].timer, now_ns - 1000 + at / 2);
    }
    timer_set(&letters[0].timer, now_ns - 1);
    timer_cancel(&letters[12].timer);

    loop_turn(f->loop, true);

    g_assert_cmpuint(text->len, ==, 25);
    g_assert_cmpint(text->str[24], ==, 'a');
    g_assert_null(strchr(text->str, 'm'));
    for (int i = 1; i < 24; i++)
        g_assert_cmpint((text->str[i - 1] - 'a') / 2, <=, (text->str[i] - 'a') / 2);
    g_assert_false(timer_is_set(&letters[0].timer));
}

static void test_timer_sleeps_until_its_deadline(Fixture *f, const void *unused)
{
    g_autoptr(GString) text = g_string_new("");
    Letter letter = { .text = text, .letter = 'x' };
    int64_t deadline_ns = loop_clock_ns() + 3 * NS_PER_MS;
    int n_turns = 0;

    timer_init(&letter.timer, f->loop, on_letter, &letter);
    timer_set(&letter.timer, deadline_ns);
    while (text->len == 0) {
        loop_turn(f->loop, true);
        n_turns++;
    }

    g_assert_cmpint(loop_clock_ns(), >=, deadline_ns);
    g_assert_cmpint(n_turns, <=, 3);
}

static void test_timer_set_in_the_past_starves_nobody(Fixture *f, const void *unused)
{
    g_autoptr(GString) text = g_string_new("");
    int64_t now_ns = loop_clock_ns();
    Letter again = { .text = text, .letter = 'a', .again = true };
    Letter other = { .text = text, .letter = 'b' };

    timer_init(&again.timer, f->loop, on_letter, &again);
    timer_init(&other.timer, f->loop, on_letter, &other);
    timer_set(&again.timer, now_ns - 10);
    timer_set(&other.timer, now_ns - 5);
    loop_turn(f->loop, true);
    g_assert_cmpstr(text->str, ==, "ab");
    loop_turn(f->loop, true);
    g_assert_cmpstr(text->str, ==, "aba");

    timer_cancel(&again.timer);
}

static void test_timer_cancels_another_that_is_due(Fixture *f, const void *unused)
{
    g_autoptr(GString) text = g_string_new("");
    int64_t now_ns = loop_clock_ns();
    Letter second = { .text = text, .letter = 'b' };
    Letter first = { .text = text, .letter = 'a', .cancels = &second.timer };

    timer_init(&first.timer, f->loop, on_letter, &first);
    timer_init(&second.timer, f->loop, on_letter, &second);
    timer_set(&second.timer, now_ns - 5);
    timer_set(&first.timer, now_ns - 10);
    loop_turn(f->loop, true);

    g_assert_cmpstr(text->str, ==, "a");
}

/* Hooks: the first removes the second. */
typedef struct Hooks {
    LoopHook first, second, third;
    GString *text;
} Hooks;

static void on_first_hook(void *opaque)
{
    Hooks *hooks = opaque;

    g_string_append_c(hooks->text, '1');
    loop_hook_remove(&hooks->second);
    loop_hook_remove(&hooks->first);
}

static void on_second_hook(void *opaque)
{
    g_string_append_c(((Hooks *)opaque)->text, '2');
}

static void on_third_hook(void *opaque)
{
    g_string_append_c(((Hooks *)opaque)->text, '3');
}

static void test_hook_removes_the_next_hook(Fixture *f, const void *unused)
{
    g_autoptr(GString) text = g_string_new("");
    Hooks hooks = { .text = text };

    loop_hook_add(f->loop, &hooks.first, on_first_hook, &hooks);
    loop_hook_add(f->loop, &hooks.second, on_second_hook, &hooks);
    loop_hook_add(f->loop, &hooks.third, on_third_hook, &hooks);
    loop_turn(f->loop, false);

    g_assert_cmpstr(text->str, ==, "133");
    loop_hook_remove(&hooks.third);
}

/* Each thread posts its messages again and again; the loop counts per thread. */
typedef struct Poster {
    Loop *loop;
    LoopMessage message;
    pthread_t thread;
    atomic_int n_posted;
    int n_run;
    int last_seen;
} Poster;

static void on_post(void *opaque)
{
    Poster *poster = opaque;
    int n_posted = atomic_load(&poster->n_posted);

    g_assert_cmpint(n_posted, >=, poster->last_seen);
    poster->last_seen = n_posted;
    poster->n_run++;
}

static void *post_many(void *opaque)
{
    Poster *poster = opaque;

    for (int i = 0; i < N_POSTS; i++) {
        atomic_fetch_add(&poster->n_posted, 1);
        loop_post(poster->loop, &poster->message);
    }
    return NULL;
}

static void test_messages_of_four_threads_arrive(Fixture *f, const void *unused)
{
    g_autoptr(GError) error = NULL;
    Poster posters[N_THREADS] = { 0 };

    for (int i = 0; i < N_THREADS; i++) {
        posters[i].loop = f->loop;
        loop_message_init(&posters[i].message, on_post, &posters[i]);
        thread_start(&posters[i].thread, THREAD_WORKER, "poster", post_many, &posters[i],
                     &error);
        g_assert_no_error(error);
    }
    /* The last post of each is seen whatever the timing: a lost wake-up hangs here. */
    for (int i = 0; i < N_THREADS; i++) {
        while (posters[i].last_seen != N_POSTS)
            loop_turn(f->loop, true);
        pthread_join(posters[i].thread, NULL);
    }

    for (int i = 0; i < N_THREADS; i++)
        g_assert_cmpint(posters[i].n_run, >=, 1);
    loop_turn(f->loop, false);
}

/* Messages of one thread write their letters. */
typedef struct Note {
    Loop *loop;
    LoopMessage message;
    GString *text;
    char letter;
    struct Note *cancels;
    bool again;
} Note;

static void on_note(void *opaque)
{
    Note *note = opaque;

    g_string_append_c(note->text, note->letter);
    if (note->cancels)
        loop_message_cancel(note->loop, &note->cancels->message);
    if (note->again)
        loop_post(note->loop, &note->message);
}

static void test_messages_keep_their_order(Fixture *f, const void *unused)
{
    g_autoptr(GString) text = g_string_new("");
    Note notes[5];

    for (int i = 0; i < 5; i++) {
        notes[i] = (Note) { .loop = f->loop, .text = text, .letter = 'a' + i };
        loop_message_init(&notes[i].message, on_note, &notes[i]);
    }
    notes[1].cancels = &notes[2];
    notes[3].again = true;
    for (int i = 0; i < 5; i++)
        g_assert_true(loop_post(f->loop, &notes[i].message));
    g_assert_false(loop_post(f->loop, &notes[0].message));
    loop_message_cancel(f->loop, &notes[4].message);

    loop_turn(f->loop, true);
    g_assert_cmpstr(text->str, ==, "abd");
    loop_turn(f->loop, true);
    g_assert_cmpstr(text->str, ==, "abdd");

    loop_message_cancel(f->loop, &notes[3].message);
}

static void on_quit(void *opaque)
{
    loop_quit(opaque);
}

static void test_run_ends_by_quit_and_runs_again(Fixture *f, const void *unused)
{
    LoopMessage message;

    loop_message_init(&message, on_quit, f->loop);
    loop_post(f->loop, &message);
    loop_run(f->loop);
    loop_quit(f->loop);
    loop_run(f->loop);
    loop_post(f->loop, &message);
    loop_run(f->loop);
}

/* Work for another thread's loop. */
typedef struct Visit {
    Iothread *iothread;
    int thread_id;
    bool was_current;
    int sum;
} Visit;

static void on_visit(void *opaque)
{
    Visit *visit = opaque;

    visit->thread_id = gettid();
    visit->was_current = loop_is_current(iothread_loop(visit->iothread));
    visit->sum++;
}

static void test_iothread_runs_calls_on_its_thread(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Iothread) iothread = iothread_new("io0", &error);
    Visit visit = { .iothread = iothread };

    g_assert_no_error(error);
    thread_set_role(THREAD_MAIN);
    for (int i = 0; i < 100; i++)
        loop_call_sync(iothread_loop(iothread), on_visit, &visit);

    g_assert_cmpint(visit.sum, ==, 100);
    g_assert_true(visit.was_current);
    g_assert_cmpint(visit.thread_id, ==, iothread_thread_id(iothread));
    g_assert_cmpint(visit.thread_id, !=, gettid());
    g_assert_false(loop_is_current(iothread_loop(iothread)));
}

static void test_waiting_upwards_aborts(void)
{
    if (g_test_subprocess()) {
        g_autoptr(Iothread) iothread = iothread_new("io0", NULL);
        Visit visit = { .iothread = iothread };

        thread_set_role(THREAD_WORKER);
        loop_call_sync(iothread_loop(iothread), on_visit, &visit);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*current_role > role*");
}

static void test_waiting_with_a_lock_aborts(void)
{
    if (g_test_subprocess()) {
        g_autoptr(Iothread) iothread = iothread_new("io0", NULL);
        Visit visit = { .iothread = iothread };
        GMutex lock;

        g_mutex_init(&lock);
        thread_set_role(THREAD_MAIN);
        lock_take(&lock);
        loop_call_sync(iothread_loop(iothread), on_visit, &visit);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*held_locks == 0*");
}

#define add(path, fn) g_test_add("/loop/" path, Fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("removed-source-is-not-called-in-its-turn",
        test_removed_source_is_not_called_in_its_turn);
    add("silenced-source-is-not-called-in-its-turn",
        test_silenced_source_is_not_called_in_its_turn);
    add("silent-source-hides-hangup", test_silent_source_hides_hangup);
    add("regular-file-is-refused", test_regular_file_is_refused);
    add("nested-turn-blanks-the-outer-batch", test_nested_turn_blanks_the_outer_batch);
    add("timers-fire-in-order", test_timers_fire_in_order);
    add("timer-sleeps-until-its-deadline", test_timer_sleeps_until_its_deadline);
    add("timer-set-in-the-past-starves-nobody",
        test_timer_set_in_the_past_starves_nobody);
    add("timer-cancels-another-that-is-due", test_timer_cancels_another_that_is_due);
    add("hook-removes-the-next-hook", test_hook_removes_the_next_hook);
    add("messages-of-four-threads-arrive", test_messages_of_four_threads_arrive);
    add("messages-keep-their-order", test_messages_keep_their_order);
    add("run-ends-by-quit-and-runs-again", test_run_ends_by_quit_and_runs_again);
    g_test_add_func("/loop/iothread-runs-calls-on-its-thread",
                    test_iothread_runs_calls_on_its_thread);
    g_test_add_func("/loop/waiting-upwards-aborts", test_waiting_upwards_aborts);
    g_test_add_func("/loop/waiting-with-a-lock-aborts", test_waiting_with_a_lock_aborts);
    return g_test_run();
}
