/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/error.h"
#include "berth/qmp.h"
#include "berth/runstate.h"

#include "qmp-commands.h"

typedef struct Fixture {
    Loop *loop;
    QmpContext context;
    QmpSession session;
    RunControl run;
    GString *log;               /* "pause ", "resume ", ..., and names of events */
    bool reset_fails;
    bool resets_until_paused;   /* as a vCPU may that is not out of the guest yet */
} Fixture;

static void note(Fixture *f, const char *what)
{
    if (f->log->len > 0)
        g_string_append_c(f->log, ' ');
    g_string_append(f->log, what);
}

static void on_pause(void *opaque)
{
    Fixture *f = opaque;

    note(f, "pause");
    if (f->resets_until_paused)
        runstate_request_reset(&f->run, SHUTDOWN_CAUSE_GUEST_RESET);
}

static void on_resume(void *opaque)
{
    note(opaque, "resume");
}

static bool on_reset(void *opaque, GError **error)
{
    Fixture *f = opaque;

    note(f, "reset");
    if (f->reset_fails)
        error_set(error, "no");
    return !f->reset_fails;
}

static void on_button(void *opaque)
{
    note(opaque, "button");
}

static const RunOps run_ops = { on_pause, on_resume, on_reset, on_button };

static void on_send(void *opaque, const char *text, size_t size)
{
    static const char *const names[] = {"SHUTDOWN", "RESET", "STOP", "RESUME",
                                        "POWERDOWN"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *quoted = g_strdup_printf("\"event\": \"%s\"", names[i]);

        if (g_strstr_len(text, (gssize)size, quoted))
            note(opaque, names[i]);
    }
}

static int on_take_fd(void *opaque)
{
    return -1;
}

static const QmpSessionOps session_ops = { .send = on_send, .take_fd = on_take_fd };

static void set_up(Fixture *f, gconstpointer data)
{
    static const char request[] = "{\"execute\": \"qmp_capabilities\"}\n";
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    f->loop = loop_new("main", THREAD_MAIN, &error);
    g_assert_no_error(error);
    f->log = g_string_new(NULL);
    f->context = (QmpContext) { .events = qmp_events_new(), .call = qmp_commands_call };
    qmp_session_init(&f->session, &f->context, &session_ops, f);
    qmp_session_feed(&f->session, request, strlen(request), out);
    g_assert_true(f->session.negotiated);
    runstate_init(&f->run, f->loop, f->context.events, &run_ops, f);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    runstate_done(&f->run);
    qmp_session_done(&f->session);
    qmp_events_free(f->context.events);
    loop_free(f->loop);
    g_string_free(f->log, TRUE);
}

static void turn(Fixture *f)
{
    loop_turn(f->loop, false);
}

static void start(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(runstate_start(&f->run, &error));
    g_string_truncate(f->log, 0);
}

static void test_vcpus_that_reset_together_reset_once(Fixture *f, gconstpointer data)
{
    start(f);
    f->resets_until_paused = true;
    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_GUEST_RESET);
    turn(f);
    f->resets_until_paused = false;
    turn(f);
    g_assert_cmpstr(f->log->str, ==, "pause reset RESET resume");

    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    turn(f);

    g_assert_cmpstr(f->log->str, ==, "pause reset RESET resume pause reset RESET resume");
}

static void test_resume_is_told_before_the_vcpus_run(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(runstate_start(&f->run, &error));

    g_assert_cmpstr(f->log->str, ==, "RESUME resume");
    g_assert_cmpint(f->run.state, ==, RUN_STATE_RUNNING);
}

static void test_stop_of_a_stopped_machine_tells_nothing(Fixture *f, gconstpointer data)
{
    runstate_stop(&f->run, RUN_STATE_PAUSED);

    g_assert_cmpstr(f->log->str, ==, "");
    g_assert_cmpint(f->run.state, ==, RUN_STATE_PRELAUNCH);
}

static void test_stop_is_told_after_the_pause(Fixture *f, gconstpointer data)
{
    start(f);

    runstate_stop(&f->run, RUN_STATE_PAUSED);

    g_assert_cmpstr(f->log->str, ==, "pause STOP");
    g_assert_cmpint(f->run.state, ==, RUN_STATE_PAUSED);
}

static void test_reset_of_a_running_machine_goes_on(Fixture *f, gconstpointer data)
{
    start(f);

    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_GUEST_RESET);
    turn(f);

    g_assert_cmpstr(f->log->str, ==, "pause reset RESET resume");
    g_assert_cmpint(f->run.state, ==, RUN_STATE_RUNNING);
}

static void test_reset_of_a_paused_machine_is_prelaunch(Fixture *f, gconstpointer data)
{
    start(f);
    runstate_stop(&f->run, RUN_STATE_PAUSED);

    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    turn(f);

    g_assert_cmpint(f->run.state, ==, RUN_STATE_PRELAUNCH);
}

static void test_failed_reset_is_internal_error(Fixture *f, gconstpointer data)
{
    start(f);
    f->reset_fails = true;

    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_GUEST_RESET);
    turn(f);

    g_assert_cmpint(f->run.state, ==, RUN_STATE_INTERNAL_ERROR);
    g_assert_nonnull(strstr(f->log->str, "STOP"));
    g_assert_null(strstr(f->log->str, "resume"));
}

static void test_half_reset_machine_does_not_go_on(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->reset_fails = true;
    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    turn(f);
    g_assert_false(runstate_start(&f->run, &error));
    g_assert_nonnull(strstr(error->message, "required"));

    f->reset_fails = false;
    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    turn(f);

    g_assert_true(runstate_start(&f->run, NULL));
}

static void test_no_shutdown_keeps_the_process_until_reset(Fixture *f, gconstpointer data)
{
    ActionOptions actions = { .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_PAUSE };
    g_autoptr(GError) error = NULL;

    start(f);
    runstate_set_action(&f->run, &actions);
    runstate_request_shutdown(&f->run, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    turn(f);

    g_assert_cmpstr(f->log->str, ==, "SHUTDOWN pause STOP");
    g_assert_cmpint(f->run.state, ==, RUN_STATE_SHUTDOWN);
    g_assert_false(f->run.ending);
    g_assert_false(runstate_start(&f->run, &error));
    g_assert_nonnull(error);

    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    turn(f);
    g_assert_cmpint(f->run.state, ==, RUN_STATE_PRELAUNCH);
    start(f);
}

static void test_no_reboot_makes_a_reset_a_shutdown(Fixture *f, gconstpointer data)
{
    ActionOptions actions = { .has_reboot = true, .reboot = REBOOT_ACTION_SHUTDOWN };

    start(f);
    runstate_set_action(&f->run, &actions);
    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_GUEST_RESET);
    turn(f);

    g_assert_cmpstr(f->log->str, ==, "SHUTDOWN");
    g_assert_true(f->run.ending);
}

static void test_quit_ends_in_spite_of_no_shutdown(Fixture *f, gconstpointer data)
{
    ActionOptions actions = { .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_PAUSE };

    start(f);
    runstate_set_action(&f->run, &actions);
    runstate_request_quit(&f->run, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    turn(f);

    g_assert_true(f->run.ending);
    g_assert_cmpint(f->run.exit_status, ==, 0);
}

static void test_powerdown_is_told_and_presses_the_button(Fixture *f, gconstpointer data)
{
    start(f);

    runstate_request_powerdown(&f->run);
    turn(f);

    g_assert_cmpstr(f->log->str, ==, "POWERDOWN button");
}

static void test_internal_error_needs_a_reset(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    start(f);
    runstate_request_internal_error(&f->run);
    turn(f);

    g_assert_cmpstr(f->log->str, ==, "pause STOP");
    g_assert_false(runstate_start(&f->run, &error));
}

static void test_exit_has_the_status_of_the_guest(Fixture *f, gconstpointer data)
{
    start(f);

    runstate_request_exit(&f->run, 33);
    turn(f);

    g_assert_true(f->run.ending);
    g_assert_cmpint(f->run.exit_status, ==, 33);
}

#define ADD(path, fn) g_test_add("/runstate/" path, Fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("resume-is-told-before-the-vcpus-run", test_resume_is_told_before_the_vcpus_run);
    ADD("stop-of-a-stopped-machine-tells-nothing",
        test_stop_of_a_stopped_machine_tells_nothing);
    ADD("stop-is-told-after-the-pause", test_stop_is_told_after_the_pause);
    ADD("reset-of-a-running-machine-goes-on", test_reset_of_a_running_machine_goes_on);
    ADD("vcpus-that-reset-together-reset-once",
        test_vcpus_that_reset_together_reset_once);
    ADD("reset-of-a-paused-machine-is-prelaunch",
        test_reset_of_a_paused_machine_is_prelaunch);
    ADD("failed-reset-is-internal-error", test_failed_reset_is_internal_error);
    ADD("half-reset-machine-does-not-go-on", test_half_reset_machine_does_not_go_on);
    ADD("no-shutdown-keeps-the-process-until-reset",
        test_no_shutdown_keeps_the_process_until_reset);
    ADD("no-reboot-makes-a-reset-a-shutdown", test_no_reboot_makes_a_reset_a_shutdown);
    ADD("quit-ends-in-spite-of-no-shutdown", test_quit_ends_in_spite_of_no_shutdown);
    ADD("powerdown-is-told-and-presses-the-button",
        test_powerdown_is_told_and_presses_the_button);
    ADD("internal-error-needs-a-reset", test_internal_error_needs_a_reset);
    ADD("exit-has-the-status-of-the-guest", test_exit_has_the_status_of_the_guest);
    return g_test_run();
}
