/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run control: a table of what is asked and what must come of it.
 *
 * A script is a list of words: what is asked of run control by a device, a client or a
 * signal, and "." for a turn of the main loop, so that words without one between them are
 * asked together.  What run control does to the machine (in small letters) and the events
 * that it sends (in capitals, with what distinguishes them) are noted in order.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/json.h"
#include "berth/log.h"
#include "berth/qmp.h"
#include "berth/runstate.h"

#include "qmp-commands.h"

typedef struct Fixture {
    Loop *loop;
    QmpContext context;
    QmpSession session;
    RunControl run;
    GString *log;
    bool reset_fails;
    bool wake_fails;
    void (*until_paused)(RunControl *run);  /* as a vCPU may that is still in the guest */
    GError *refusal;            /* of the last "cont" */
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
    if (f->until_paused)
        f->until_paused(&f->run);
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

static void on_suspend(void *opaque)
{
    note(opaque, "suspend");
}

static void on_resume_suspended(void *opaque)
{
    note(opaque, "sleep");
}

static bool on_wake(void *opaque, BoardWakeReason reason, GError **error)
{
    static const char *const names[] = { "wake-other", "wake-button", "wake-rtc" };
    Fixture *f = opaque;

    note(f, names[reason]);
    if (f->wake_fails)
        error_set(error, "no");
    return !f->wake_fails;
}

static void on_button(void *opaque)
{
    note(opaque, "button");
}

static void on_nmi(void *opaque)
{
    note(opaque, "nmi");
}

static const RunOps run_ops = {
    .pause_vcpus = on_pause,
    .resume_vcpus = on_resume,
    .reset = on_reset,
    .suspend = on_suspend,
    .resume_suspended = on_resume_suspended,
    .wake = on_wake,
    .power_button = on_button,
    .inject_nmi = on_nmi,
};

/* "NAME", "NAME:action" or "NAME:reason", with "/hv" when it has information. */
static void note_event(Fixture *f, const JsonValue *message)
{
    const JsonValue *data = json_member(message, "data");
    const JsonValue *what = data ? json_member(data, "action") : NULL;
    g_autofree char *text = NULL;

    if (data && !what)
        what = json_member(data, "reason");
    text = g_strconcat(json_as_string(json_member(message, "event")), what ? ":" : "",
                       what ? json_as_string(what) : "",
                       data && json_member(data, "info") ? "/hv" : "", NULL);
    note(f, text);
}

static void on_send(void *opaque, const char *text, size_t size)
{
    g_autoptr(JsonValue) message = json_parse_text(text, size, NULL);

    g_assert_nonnull(message);
    note_event(opaque, message);
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
    g_clear_error(&f->refusal);
}

static void ask_turn(Fixture *f)
{
    loop_turn(f->loop, false);
}

static void ask_cont(Fixture *f)
{
    g_clear_error(&f->refusal);
    runstate_start(&f->run, &f->refusal);
}

static void ask_stop(Fixture *f)
{
    runstate_stop(&f->run, RUN_STATE_PAUSED);
}

static void ask_shutdown(Fixture *f)
{
    runstate_request_shutdown(&f->run, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
}

static void ask_quit(Fixture *f)
{
    runstate_request_quit(&f->run, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
}

static void ask_signal(Fixture *f)
{
    runstate_request_quit(&f->run, SHUTDOWN_CAUSE_HOST_SIGNAL);
}

static void ask_reboot(Fixture *f)
{
    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_GUEST_RESET);
}

static void ask_system_reset(Fixture *f)
{
    runstate_request_reset(&f->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
}

static void ask_button(Fixture *f)
{
    runstate_request_powerdown(&f->run);
}

static void ask_suspend(Fixture *f)
{
    runstate_request_suspend(&f->run);
}

static void ask_hibernate(Fixture *f)
{
    runstate_request_suspend_disk(&f->run);
}

static void ask_wake(Fixture *f)
{
    runstate_request_wakeup(&f->run, BOARD_WAKE_OTHER);
}

static void ask_alarm(Fixture *f)
{
    runstate_request_wakeup(&f->run, BOARD_WAKE_RTC);
}

static void ask_panic(Fixture *f)
{
    runstate_request_panic(&f->run, NULL);
}

static void ask_panic_hv(Fixture *f)
{
    const GuestPanicInformation info = {
        .type = GUEST_PANIC_INFORMATION_TYPE_HYPER_V,
        .u.hyper_v = { 1, 2, 3, 4, UINT64_MAX },
    };

    runstate_request_panic(&f->run, &info);
}

static void ask_crashload(Fixture *f)
{
    runstate_request_crashloaded(&f->run, NULL);
}

static void ask_pvshutdown(Fixture *f)
{
    runstate_request_pvshutdown(&f->run);
}

static void ask_watchdog(Fixture *f)
{
    runstate_request_watchdog(&f->run);
}

static void ask_nmi(Fixture *f)
{
    runstate_request_nmi(&f->run);
}

static void ask_error(Fixture *f)
{
    runstate_request_internal_error(&f->run);
}

static void ask_exit(Fixture *f)
{
    runstate_request_exit(&f->run, 33);
}

static void ask_io_error(Fixture *f)
{
    runstate_stop(&f->run, RUN_STATE_IO_ERROR);
}

/* As a dump does it. */
static void ask_hold(Fixture *f)
{
    runstate_stop(&f->run, RUN_STATE_SAVE_VM);
    if (!f->run.held)
        runstate_hold(&f->run, "held");
}

static void ask_release(Fixture *f)
{
    runstate_release(&f->run);
}

static const struct {
    const char *word;
    void (*fn)(Fixture *f);
} words[] = {
    { ".", ask_turn },
    { "cont", ask_cont },
    { "stop", ask_stop },
    { "io-error", ask_io_error },
    { "exit", ask_exit },
    { "shutdown", ask_shutdown },
    { "quit", ask_quit },
    { "signal", ask_signal },
    { "reboot", ask_reboot },
    { "system_reset", ask_system_reset },
    { "button", ask_button },
    { "suspend", ask_suspend },
    { "hibernate", ask_hibernate },
    { "wake", ask_wake },
    { "alarm", ask_alarm },
    { "panic", ask_panic },
    { "panic-hv", ask_panic_hv },
    { "crashload", ask_crashload },
    { "pvshutdown", ask_pvshutdown },
    { "watchdog", ask_watchdog },
    { "nmi", ask_nmi },
    { "error", ask_error },
    { "hold", ask_hold },
    { "release", ask_release },
};

static void run_word(Fixture *f, const char *word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(words[i].word, word) == 0) {
            words[i].fn(f);
            return;
        }
    }
    g_assert_not_reached();
}

static void run_script(Fixture *f, const char *script)
{
    g_auto(GStrv) list = g_strsplit(script, " ", -1);

    for (unsigned i = 0; list[i]; i++)
        run_word(f, list[i]);
}

typedef struct Case {
    const char *name;
    const char *script;
    const char *log;
    const char *state;          /* "end N" when the process ends with status N */
    ActionOptions actions;
} Case;

#define PANIC(_action) { .has_panic = true, .panic = PANIC_ACTION_##_action }
#define WATCHDOG(_action) { .has_watchdog = true, .watchdog = WATCHDOG_ACTION_##_action }
#define NO_SHUTDOWN { .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_PAUSE }
#define NO_REBOOT { .has_reboot = true, .reboot = REBOOT_ACTION_SHUTDOWN }
#define STARTED "RESUME resume "
#define ASLEEP STARTED "pause suspend SUSPEND sleep "

static const Case cases[] = {
    { "held-machine-is-changed-later", "cont hold reboot suspend panic nmi error . . "
      "release cont .",
      STARTED "pause STOP RESUME resume GUEST_PANICKED:poweroff "
      "SHUTDOWN:guest-panic", "end 0", {} },
    { "held-machine-is-reset-later", "cont hold reboot . release cont .",
      STARTED "pause STOP RESUME resume pause reset RESET:guest-reset resume", "running",
      {} },
    { "held-machine-may-end", "cont hold quit .",
      STARTED "pause STOP SHUTDOWN:host-qmp-quit", "end 0", {} },
    { "held-machine-stays-after-its-power-off", "cont hold shutdown . release cont .",
      STARTED "pause STOP RESUME resume SHUTDOWN:guest-shutdown pause STOP", "shutdown",
      NO_SHUTDOWN },
    { "held-machine-hears-its-button", "cont hold button .",
      STARTED "pause STOP POWERDOWN button", "save-vm", { 0 } },
    { "suspended-machine-is-held", "cont suspend . hold wake . release cont .",
      STARTED "pause suspend SUSPEND sleep pause STOP RESUME sleep pause wake-other "
      "resume WAKEUP", "running", { 0 } },
    /* stop and cont */
    { "cont", "cont", "RESUME resume", "running", {} },
    { "cont-twice", "cont cont", "RESUME resume", "running", {} },
    { "stop-before-cont", "stop", "", "prelaunch", {} },
    { "stop", "cont stop", STARTED "pause STOP", "paused", {} },
    { "stop-twice", "cont stop stop", STARTED "pause STOP", "paused", {} },
    { "stop-cont", "cont stop cont", STARTED "pause STOP RESUME resume", "running", {} },
    { "io-error-cont", "cont io-error cont", STARTED "pause STOP RESUME resume",
      "running", {} },
    { "stop-keeps-the-reason", "cont io-error stop", STARTED "pause STOP", "io-error",
      {} },
    /* reset */
    { "reboot", "cont reboot .", STARTED "pause reset RESET:guest-reset resume",
      "running", {} },
    { "system-reset", "cont system_reset .",
      STARTED "pause reset RESET:host-qmp-system-reset resume", "running", {} },
    { "first-cause-of-a-reset", "cont reboot system_reset .",
      STARTED "pause reset RESET:guest-reset resume", "running", {} },
    { "reset-of-a-paused-machine", "cont stop system_reset .",
      STARTED "pause STOP pause reset RESET:host-qmp-system-reset", "prelaunch", {} },
    { "no-reboot", "cont reboot .", STARTED "SHUTDOWN:guest-reset", "end 0", NO_REBOOT },
    { "no-reboot-system-reset", "cont system_reset .",
      STARTED "SHUTDOWN:host-qmp-system-reset", "end 0", NO_REBOOT },
    /* power-off */
    { "shutdown", "cont shutdown .", STARTED "SHUTDOWN:guest-shutdown", "end 0", {} },
    { "no-shutdown", "cont shutdown .", STARTED "SHUTDOWN:guest-shutdown pause STOP",
      "shutdown", NO_SHUTDOWN },
    { "no-shutdown-cont-is-refused", "cont shutdown . cont",
      STARTED "SHUTDOWN:guest-shutdown pause STOP", "shutdown", NO_SHUTDOWN },
    { "no-shutdown-reset-cont", "cont shutdown . system_reset . cont",
      STARTED "SHUTDOWN:guest-shutdown pause STOP "
      "pause reset RESET:host-qmp-system-reset RESUME resume", "running", NO_SHUTDOWN },
    { "quit-in-spite-of-no-shutdown", "cont quit .", STARTED "SHUTDOWN:host-qmp-quit",
      "end 0", NO_SHUTDOWN },
    { "signal", "signal .", "SHUTDOWN:host-signal", "end 0", NO_SHUTDOWN },
    { "signal-after-power-off", "cont shutdown . signal .",
      STARTED "SHUTDOWN:guest-shutdown pause STOP SHUTDOWN:host-signal", "end 0",
      NO_SHUTDOWN },
    { "button", "cont button .", STARTED "POWERDOWN button", "running", {} },
    { "exit", "cont exit shutdown .", STARTED, "end 33", {} },
    { "hibernate", "cont hibernate .", STARTED "SUSPEND_DISK SHUTDOWN:guest-shutdown",
      "end 0", {} },
    { "hibernate-no-shutdown", "cont hibernate .",
      STARTED "SUSPEND_DISK SHUTDOWN:guest-shutdown pause STOP", "shutdown",
      NO_SHUTDOWN },
    /* suspend to RAM */
    { "suspend", "cont suspend .", ASLEEP, "suspended", {} },
    { "suspend-wake", "cont suspend . wake .", ASLEEP "pause wake-other resume WAKEUP",
      "running", {} },
    { "suspend-alarm", "cont suspend alarm .", ASLEEP "pause wake-rtc resume WAKEUP",
      "running", {} },
    { "suspend-button", "cont suspend . button .", ASLEEP "POWERDOWN button",
      "suspended", {} },
    { "wake-of-a-running-machine", "cont wake . suspend .", ASLEEP, "suspended", {} },
    { "suspended-cont", "cont suspend . cont", ASLEEP, "suspended", {} },
    { "suspended-stop", "cont suspend . stop", ASLEEP "pause STOP", "paused", {} },
    { "suspended-stop-wake", "cont suspend . stop wake .", ASLEEP "pause STOP", "paused",
      {} },
    { "suspended-stop-cont", "cont suspend . stop cont", ASLEEP "pause STOP RESUME sleep",
      "suspended", {} },
    { "suspended-stop-cont-wake", "cont suspend . stop cont wake .",
      ASLEEP "pause STOP RESUME sleep pause wake-other resume WAKEUP", "running", {} },
    { "woken-stop-cont", "cont suspend . wake . stop cont",
      ASLEEP "pause wake-other resume WAKEUP pause STOP RESUME resume", "running", {} },
    { "suspended-system-reset", "cont suspend . system_reset . cont",
      ASLEEP "pause reset RESET:host-qmp-system-reset RESUME resume", "running", {} },
    { "stop-before-suspend-is-served", "cont suspend stop",
      STARTED "pause suspend SUSPEND STOP", "paused", {} },
    { "stop-before-suspend-cont", "cont suspend stop . cont wake .",
      STARTED "pause suspend SUSPEND STOP RESUME sleep pause wake-other resume WAKEUP",
      "running", {} },
    { "reset-before-suspend-is-served", "cont stop suspend system_reset . cont .",
      STARTED "pause STOP pause reset RESET:host-qmp-system-reset RESUME resume",
      "running", {} },
    { "suspended-quit", "cont suspend . quit .", ASLEEP "SHUTDOWN:host-qmp-quit",
      "end 0", {} },
    { "error-of-a-suspended-machine", "cont suspend error .", ASLEEP "pause STOP",
      "internal-error", {} },
    /* panic */
    { "panic", "cont panic .",
      STARTED "GUEST_PANICKED:poweroff SHUTDOWN:guest-panic", "end 0", {} },
    { "panic-hv", "cont panic-hv .",
      STARTED "GUEST_PANICKED:poweroff/hv SHUTDOWN:guest-panic", "end 0", {} },
    { "panic-tells-the-first", "cont panic-hv panic .",
      STARTED "GUEST_PANICKED:poweroff/hv SHUTDOWN:guest-panic", "end 0", {} },
    { "panic-no-shutdown", "cont panic .", STARTED "GUEST_PANICKED:pause pause STOP",
      "guest-panicked", NO_SHUTDOWN },
    { "panic-pause", "cont panic-hv .", STARTED "GUEST_PANICKED:pause/hv pause STOP",
      "guest-panicked", PANIC(PAUSE) },
    { "panic-pause-cont", "cont panic . cont",
      STARTED "GUEST_PANICKED:pause pause STOP RESUME resume", "running", PANIC(PAUSE) },
    { "panic-pause-reset", "cont panic . system_reset .",
      STARTED "GUEST_PANICKED:pause pause STOP pause reset RESET:host-qmp-system-reset",
      "prelaunch", PANIC(PAUSE) },
    { "panic-none", "cont panic .", STARTED "GUEST_PANICKED:run resume", "running",
      PANIC(NONE) },
    { "panic-none-stop", "cont panic stop .", STARTED "pause STOP GUEST_PANICKED:run",
      "paused", PANIC(NONE) },
    { "panic-exit-failure", "cont panic .",
      STARTED "GUEST_PANICKED:poweroff SHUTDOWN:guest-panic", "end 1",
      PANIC(EXIT_FAILURE) },
    { "panic-exit-failure-no-shutdown", "cont panic .",
      STARTED "GUEST_PANICKED:poweroff SHUTDOWN:guest-panic pause STOP", "shutdown",
      { .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_PAUSE, .has_panic = true,
        .panic = PANIC_ACTION_EXIT_FAILURE } },
    { "exit-failure-is-of-panics-only", "cont shutdown .",
      STARTED "SHUTDOWN:guest-shutdown", "end 0", PANIC(EXIT_FAILURE) },
    { "crashload", "cont crashload .", STARTED "GUEST_CRASHLOADED:run", "running", {} },
    { "crashload-then-panic", "cont panic crashload .",
      STARTED "GUEST_CRASHLOADED:run GUEST_PANICKED:pause pause STOP", "guest-panicked",
      PANIC(PAUSE) },
    { "pvshutdown", "cont pvshutdown .",
      STARTED "GUEST_PVSHUTDOWN SHUTDOWN:guest-shutdown", "end 0", {} },
    { "pvshutdown-no-shutdown", "cont pvshutdown .",
      STARTED "GUEST_PVSHUTDOWN SHUTDOWN:guest-shutdown pause STOP", "shutdown",
      NO_SHUTDOWN },
    /* watchdog */
    { "watchdog-reset", "cont watchdog .",
      STARTED "WATCHDOG:reset pause reset RESET:guest-reset resume", "running", {} },
    { "watchdog-reset-no-reboot", "cont watchdog .",
      STARTED "WATCHDOG:reset SHUTDOWN:guest-reset", "end 0", NO_REBOOT },
    { "watchdog-shutdown", "cont watchdog .",
      STARTED "WATCHDOG:shutdown POWERDOWN button", "running", WATCHDOG(SHUTDOWN) },
    { "watchdog-poweroff", "cont watchdog .",
      STARTED "WATCHDOG:poweroff SHUTDOWN:guest-shutdown", "end 0", WATCHDOG(POWEROFF) },
    { "watchdog-poweroff-in-spite-of-no-shutdown", "cont watchdog .",
      STARTED "WATCHDOG:poweroff SHUTDOWN:guest-shutdown", "end 0",
      { .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_PAUSE, .has_watchdog = true,
        .watchdog = WATCHDOG_ACTION_POWEROFF } },
    { "watchdog-pause", "cont watchdog .", STARTED "WATCHDOG:pause pause STOP",
      "watchdog", WATCHDOG(PAUSE) },
    { "watchdog-pause-cont", "cont watchdog . cont",
      STARTED "WATCHDOG:pause pause STOP RESUME resume", "running", WATCHDOG(PAUSE) },
    { "watchdog-debug", "cont watchdog .", STARTED "WATCHDOG:debug", "running",
      WATCHDOG(DEBUG) },
    { "watchdog-none", "cont watchdog .", STARTED "WATCHDOG:none", "running",
      WATCHDOG(NONE) },
    { "watchdog-nmi", "cont watchdog .", STARTED "WATCHDOG:inject-nmi nmi", "running",
      WATCHDOG(INJECT_NMI) },
    /* what is left */
    { "nmi", "cont nmi .", STARTED "nmi", "running", {} },
    { "nmi-while-paused", "cont stop nmi .", STARTED "pause STOP nmi", "paused", {} },
    { "internal-error", "cont error .", STARTED "pause STOP", "internal-error", {} },
    { "internal-error-cont-is-refused", "cont error . cont", STARTED "pause STOP",
      "internal-error", {} },
    { "internal-error-reset", "cont error . system_reset .",
      STARTED "pause STOP pause reset RESET:host-qmp-system-reset", "prelaunch", {} },
};

static void assert_state(Fixture *f, const char *expected)
{
    g_autofree char *end = g_strdup_printf("end %d", f->run.exit_status);

    g_assert_cmpstr(f->run.ending ? end : RunState_str(f->run.state), ==, expected);
}

static void test_case(Fixture *f, gconstpointer data)
{
    const Case *c = data;
    g_autofree char *expected = g_strchomp(g_strdup(c->log));

    runstate_set_action(&f->run, &c->actions);

    run_script(f, c->script);

    g_assert_cmpstr(f->log->str, ==, expected);
    assert_state(f, c->state);
    if (strstr(c->name, "refused"))
        g_assert_cmpstr(f->refusal->message, ==,
                        "Resetting the Virtual Machine is required");
    else
        g_assert_no_error(f->refusal);
}

static void test_held_machine_does_not_go_on(Fixture *f, gconstpointer data)
{
    run_script(f, "cont hold cont stop .");

    g_assert_cmpstr(f->refusal->message, ==, "held");
    g_assert_cmpstr(f->log->str, ==, "RESUME resume pause STOP");
    assert_state(f, "save-vm");
}

static void reset_again(RunControl *run)
{
    runstate_request_reset(run, SHUTDOWN_CAUSE_GUEST_RESET);
}

static void suspend_still(RunControl *run)
{
    runstate_request_suspend(run);
}

static void test_vcpus_that_reset_together_reset_once(Fixture *f, gconstpointer data)
{
    f->until_paused = reset_again;
    run_script(f, "cont reboot .");
    f->until_paused = NULL;
    run_script(f, ".");
    g_assert_cmpstr(f->log->str, ==,
                    STARTED "pause reset RESET:guest-reset resume");

    run_script(f, "system_reset .");

    g_assert_cmpstr(f->log->str, ==,
                    STARTED "pause reset RESET:guest-reset resume "
                    "pause reset RESET:host-qmp-system-reset resume");
}

/* Its vCPU wrote the sleep register while others were already out of the guest. */
static void test_reset_machine_is_not_suspended_by_a_late_vcpu(Fixture *f,
                                                               gconstpointer data)
{
    f->until_paused = suspend_still;
    run_script(f, "cont reboot .");
    f->until_paused = NULL;

    run_script(f, ".");

    assert_state(f, "running");
}

static void test_stopped_machine_is_suspended_by_a_late_vcpu(Fixture *f,
                                                             gconstpointer data)
{
    f->until_paused = suspend_still;
    run_script(f, "cont stop");
    f->until_paused = NULL;

    run_script(f, ". cont");

    g_assert_cmpstr(f->log->str, ==,
                    STARTED "pause suspend SUSPEND STOP RESUME sleep");
    assert_state(f, "suspended");
}

static bool never_quiet(void *opaque)
{
    return false;
}

static bool always_quiet(void *opaque)
{
    return true;
}

/* A disk does not answer: the reset waits for it, the operator does not. */
static void test_reset_waits_for_disks(Fixture *f, gconstpointer data)
{
    RunOps ops = run_ops;

    ops.is_quiet = never_quiet;
    f->run.ops = &ops;
    run_script(f, "cont reboot .");
    run_script(f, "button .");
    g_assert_cmpstr(f->log->str, ==, STARTED "pause pause POWERDOWN button");

    ops.is_quiet = always_quiet;
    g_string_truncate(f->log, 0);
    runstate_quiet(&f->run);
    run_script(f, ".");

    g_assert_cmpstr(f->log->str, ==, "pause pause reset RESET:guest-reset resume");
}

static void test_failed_reset_is_internal_error(Fixture *f, gconstpointer data)
{
    f->reset_fails = true;

    run_script(f, "cont reboot .");

    g_assert_cmpstr(f->log->str, ==, STARTED "pause reset pause STOP");
    assert_state(f, "internal-error");
}

static void test_half_reset_machine_does_not_go_on(Fixture *f, gconstpointer data)
{
    f->reset_fails = true;
    run_script(f, "system_reset . cont");
    g_assert_nonnull(f->refusal);

    f->reset_fails = false;
    run_script(f, "system_reset . cont");

    g_assert_no_error(f->refusal);
    assert_state(f, "running");
}

/* As firmware does that finds no waking vector: it boots. */
static void test_machine_that_cannot_be_woken_is_reset(Fixture *f, gconstpointer data)
{
    f->wake_fails = true;

    run_script(f, "cont suspend . wake . .");

    g_assert_cmpstr(f->log->str, ==,
                    ASLEEP "pause wake-other pause reset RESET:guest-reset resume");
    assert_state(f, "running");
}

static void test_machine_that_cannot_be_woken_nor_reset_ends(Fixture *f,
                                                             gconstpointer data)
{
    const ActionOptions actions = NO_REBOOT;

    runstate_set_action(&f->run, &actions);
    f->wake_fails = true;

    run_script(f, "cont suspend . wake . .");

    g_assert_cmpstr(f->log->str, ==, ASLEEP "pause wake-other SHUTDOWN:guest-reset");
    assert_state(f, "end 0");
}

static void test_migration_in_its_end_is_not_continued(Fixture *f, gconstpointer data)
{
    run_script(f, "cont");
    runstate_stop(&f->run, RUN_STATE_FINISH_MIGRATE);

    run_script(f, "cont");

    g_assert_cmpstr(f->refusal->message, ==, "Migration is not finalized yet");
}

/* No two requests that come together make a transition that there is not. */
static void test_any_two_requests_together(Fixture *f, gconstpointer data)
{
    static const char *const before[] = {
        "stop", "cont", "cont stop", "cont suspend .", "cont suspend . stop",
        "cont io-error", "cont error .", "cont panic .",
    };
    const ActionOptions actions = {
        .has_shutdown = true, .shutdown = SHUTDOWN_ACTION_PAUSE,
        .has_watchdog = true, .watchdog = WATCHDOG_ACTION_PAUSE,
    };

    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < G_N_ELEMENTS(before); i++) {
        for (size_t n = 0; n < G_N_ELEMENTS(words) * G_N_ELEMENTS(words); n++) {
            g_string_truncate(f->log, 0);
            runstate_done(&f->run);
            runstate_init(&f->run, f->loop, f->context.events, &run_ops, f);
            runstate_set_action(&f->run, &actions);
            run_script(f, before[i]);
            words[n / G_N_ELEMENTS(words)].fn(f);
            words[n % G_N_ELEMENTS(words)].fn(f);
            run_script(f, ". release . system_reset . cont .");

            g_assert_true(f->run.ending || runstate_is_running(&f->run));
        }
    }
}

#define ADD(path, fn) g_test_add("/runstate/" path, Fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/runstate/", cases[i].name, NULL);

        g_test_add(path, Fixture, &cases[i], set_up, test_case, tear_down);
    }
    ADD("vcpus-that-reset-together-reset-once",
        test_vcpus_that_reset_together_reset_once);
    ADD("reset-machine-is-not-suspended-by-a-late-vcpu",
        test_reset_machine_is_not_suspended_by_a_late_vcpu);
    ADD("stopped-machine-is-suspended-by-a-late-vcpu",
        test_stopped_machine_is_suspended_by_a_late_vcpu);
    ADD("reset-waits-for-disks", test_reset_waits_for_disks);
    ADD("failed-reset-is-internal-error", test_failed_reset_is_internal_error);
    ADD("half-reset-machine-does-not-go-on", test_half_reset_machine_does_not_go_on);
    ADD("machine-that-cannot-be-woken-is-reset",
        test_machine_that_cannot_be_woken_is_reset);
    ADD("machine-that-cannot-be-woken-nor-reset-ends",
        test_machine_that_cannot_be_woken_nor_reset_ends);
    ADD("held-machine-does-not-go-on", test_held_machine_does_not_go_on);
    ADD("migration-in-its-end-is-not-continued",
        test_migration_in_its_end_is_not_continued);
    ADD("any-two-requests-together", test_any_two_requests_together);
    return g_test_run();
}
