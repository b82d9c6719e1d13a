/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The berth command: parse, build, run the loop, tear down.
 *
 * The parent of -daemonize ends with success only when sockets listen, the pid file is
 * written and the machine is started, so that every error at start is its caller's to
 * read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "berth/async-teardown.h"
#include "berth/cmdline-report.h"
#include "berth/cmdline.h"
#include "berth/error.h"
#include "berth/log-options.h"
#include "berth/log.h"
#include "berth/net-user.h"
#include "berth/pidfile.h"
#include "berth/printable.h"
#include "berth/privileges.h"
#include "berth/process.h"
#include "berth/sandbox.h"
#include "berth/session.h"
#include "berth/signal-watch.h"
#include "berth/vm.h"

typedef struct Process {
    Cmdline *cmdline;
    Loop *loop;
    Session *session;
    SignalWatch ends;           /* signals that end the process */
    SignalWatch continued;
    PidFile pidfile;
    Privileges privileges;
    bool has_sandbox;
    int ready_fd;
    int null_fd;                /* of a daemon that is not ready yet */
    bool is_asked_to_end;       /* before there was a session */
} Process;

static void on_end(void *opaque, int signal_number, int sender_pid)
{
    Process *process = opaque;

    log_warn("terminating on signal %d from pid %d", signal_number, sender_pid);
    if (process->session)
        session_terminate(process->session);
    else
        process->is_asked_to_end = true;
}

static void on_continued(void *opaque, int signal_number, int sender_pid)
{
    Process *process = opaque;

    if (process->session)
        session_continued(process->session);
}

static bool watch_signals(Process *process, GError **error)
{
    sigset_t ends, continued;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    sigemptyset(&continued);
    sigaddset(&continued, SIGCONT);
    return signal_watch_init(&process->ends, process->loop, &ends, on_end, process,
                             error) &&
           signal_watch_init(&process->continued, process->loop, &continued,
                             on_continued, process, error);
}

static bool lock_memory(const OvercommitOptions *overcommit, GError **error)
{
    if (!overcommit || !overcommit->has_mem_lock || overcommit->mem_lock == MEM_LOCK_OFF)
        return true;
    return process_lock_memory(overcommit->mem_lock == MEM_LOCK_ON_FAULT, error);
}

static bool run_with(Process *process, const RunWithOptions *options, GError **error)
{
    if (privileges_drop(&process->privileges, error) &&
        (!options->exit_with_parent || process_end_with_parent(error)) &&
        (!options->async_teardown || async_teardown_start(error)))
        return true;
    g_prefix_error(error, "-run-with: ");
    return false;
}

/* Everything is open: the process gives up what it does not need any more. */
static bool confine(Process *process, GError **error)
{
    const RunWithOptions *options = process->cmdline->run_with;

    if (process->cmdline->daemonize) {
        process->null_fd = process_detach(error);
        if (process->null_fd < 0)
            return false;
    }
    if (options && !run_with(process, options, error))
        return false;
    return !process->has_sandbox || sandbox_enter(process->cmdline->sandbox, error);
}

static bool has_user_network(const Cmdline *cmdline)
{
    for (guint i = 0; i < cmdline->netdevs->len; i++) {
        const Netdev *netdev = g_ptr_array_index(cmdline->netdevs, i);

        if (netdev->type == NET_CLIENT_DRIVER_USER)
            return true;
    }
    return false;
}

static bool start(Process *process, GError **error)
{
    const Cmdline *cmdline = process->cmdline;

    if (!lock_memory(cmdline->overcommit, error))
        return false;
    if (cmdline->name && cmdline->name->process)
        process_set_name(cmdline->name->process);
    if (cmdline->pidfile && !pidfile_write(&process->pidfile, cmdline->pidfile, error))
        return false;
    /* What is loaded is loaded before the sandbox. */
    if (has_user_network(cmdline) && !net_user_load(error))
        return false;
    process->loop = loop_new("main", THREAD_MAIN, error);
    if (!process->loop || !watch_signals(process, error))
        return false;
    process->session = session_new(cmdline, process->loop,
                                   signal_watch_fd(&process->ends), error);
    if (!process->session || !confine(process, error) ||
        !session_start(process->session, error))
        return false;
    if (process->is_asked_to_end)
        session_terminate(process->session);
    if (cmdline->daemonize)
        process_ready(process->ready_fd, process->null_fd);
    return true;
}

static bool find_privileges(Process *process, GError **error)
{
    const RunWithOptions *options = process->cmdline->run_with;

    if (!sandbox_is_wanted(process->cmdline->sandbox, &process->has_sandbox, error))
        return false;
    if (!options || privileges_init(&process->privileges, options->chroot, options->user,
                                    error))
        return true;
    g_prefix_error(error, "-run-with: ");
    return false;
}

/* Whoever started us reads stderr, wherever the log goes. */
static void tell_failure(const GError *error)
{
    g_autofree char *text = printable_text(error->message);

    log_error("%s", error->message);
    if (log_fd() != STDERR_FILENO)
        fprintf(stderr, "berth: %s\n", text);
}

static int run(Process *process)
{
    g_autoptr(GError) error = NULL;
    ProcessPart part = PROCESS_DAEMON;
    int status = EXIT_FAILURE;

    thread_set_role(THREAD_MAIN);
    if (!log_options_apply(process->cmdline, &error) ||
        !find_privileges(process, &error))
        part = PROCESS_FAILED;
    else if (process->cmdline->daemonize)
        part = process_daemonize(&process->ready_fd, &status, &error);
    if (part == PROCESS_PARENT)
        return status;
    if (part == PROCESS_FAILED || !start(process, &error)) {
        tell_failure(error);
        return EXIT_FAILURE;
    }
    loop_run(process->loop);
    return session_exit_status(process->session);
}

static int check_domain(const char *path)
{
    g_autoptr(GError) error = NULL;
    bool good = false;

    if (!cmdline_report_domain(path, stdout, &good, &error))
        log_error("-check-libvirt-xml: %s", error->message);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    Process process = { .ready_fd = -1 };
    int status = EXIT_SUCCESS;

    process_init();
    process.cmdline = cmdline_parse(argc, argv, &error);
    if (!process.cmdline) {
        log_error("%s", error->message);
        return EXIT_FAILURE;
    }
    switch (process.cmdline->action) {
    case CMDLINE_ACTION_PRINT:
        fputs(process.cmdline->text, stdout);
        break;
    case CMDLINE_ACTION_CHECK_HOST:
        status = vm_kvm_check_host(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
        break;
    case CMDLINE_ACTION_CHECK_ARGS:
        if (!cmdline_report(argc - process.cmdline->rest, argv + process.cmdline->rest,
                            stdout))
            status = EXIT_FAILURE;
        break;
    case CMDLINE_ACTION_CHECK_DOMAIN:
        status = check_domain(process.cmdline->domain);
        break;
    case CMDLINE_ACTION_RUN:
        status = run(&process);
        break;
    }
    session_free(process.session);
    signal_watch_done(&process.ends);
    signal_watch_done(&process.continued);
    loop_free(process.loop);
    pidfile_done(&process.pidfile);
    privileges_done(&process.privileges);
    cmdline_free(process.cmdline);
    return status;
}
