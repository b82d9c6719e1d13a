/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process: descriptor sets, character devices, monitors, the machine, made in the
 * order in which they name each other and freed in the reverse order.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/char-set.h"
#include "berth/error.h"
#include "berth/fdset.h"
#include "berth/hmp.h"
#include "berth/id.h"
#include "berth/log.h"
#include "berth/machine.h"
#include "berth/monitor.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

#include "berth/session.h"

/* How long the end of berth waits for readers of its character devices. */
#define FLUSH_NS (NS_PER_SEC / 2)

struct Session {
    const Cmdline *cmdline;
    Loop *loop;
    FdSets *fdsets;
    CharSet *chars;
    QmpEvents *events;
    QmpContext context;
    GPtrArray *monitors;        /* of Monitor */
    Machine *machine;
    unsigned n_compat;          /* monitors by -qmp, for their names */
};

static void free_monitor(gpointer monitor)
{
    monitor_free(monitor);
}

/* A duplicate of a descriptor that the parent left open for berth. */
static bool add_fd(Session *session, const AddFdOptions *option, GError **error)
{
    g_autoptr(AddfdInfo) info = NULL;
    int fd;

    if (!fdset_fd_is_of_parent(option->fd, error)) {
        g_prefix_error(error, "parameter 'fd': ");
        return false;
    }
    if (option->set < 0) {
        error_set(error, "parameter 'set' expects a number from 0");
        return false;
    }
    fd = fcntl((int)option->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot duplicate descriptor %" PRId64, option->fd);
        return false;
    }
    info = fdset_add(session->fdsets, &option->set, fd, option->opaque, error);
    return info != NULL;
}

static bool add_fds(Session *session, GError **error)
{
    const GPtrArray *options = session->cmdline->add_fds;

    for (guint i = 0; i < options->len; i++) {
        const AddFdOptions *option = g_ptr_array_index(options, i);

        if (!add_fd(session, option, error)) {
            g_prefix_error(error, "-add-fd: ");
            return false;
        }
    }
    return true;
}

static bool add_chardevs(Session *session, GError **error)
{
    const GPtrArray *options = session->cmdline->chardevs;

    for (guint i = 0; i < options->len; i++) {
        const ChardevOptions *option = g_ptr_array_index(options, i);

        if (!char_options_add(session->chars, option, error)) {
            g_prefix_error(error, "-chardev %s: ", option->id);
            return false;
        }
    }
    return true;
}

static bool add_monitor(Session *session, Chardev *chr, const MonitorLanguage *language,
                        GError **error)
{
    Monitor *monitor = monitor_new(chr, language, &session->context, error);

    if (!monitor)
        return false;
    monitor_hold_input(monitor, !session->context.ready);
    g_ptr_array_add(session->monitors, monitor);
    return true;
}

/* "mon:" */
static bool add_human_monitor(void *opaque, Chardev *chr, GError **error)
{
    return add_monitor(opaque, chr, &hmp_language, error);
}

static bool add_compat_monitor(Session *session, const char *text,
                               const MonitorLanguage *language, GError **error)
{
    g_autofree char *id = NULL;
    Chardev *chr;

    if (strcmp(text, "none") == 0)
        return true;
    id = g_strdup_printf("compat_monitor%u", session->n_compat++);
    chr = char_add_from_text(session->chars, id, text, error);
    return chr && add_monitor(session, chr, language, error);
}

static const MonitorLanguage *choose_qmp(bool pretty, bool readonly)
{
    if (readonly)
        return pretty ? &qmp_language_readonly_pretty : &qmp_language_readonly;
    return pretty ? &qmp_language_pretty : &qmp_language;
}

/*
 * "unix:PATH,server=on,readonly=on" without the last pair, which is the monitor's;
 * *@ret_readonly says what it was.  The caller frees.
 */
static char *take_readonly(const char *text, bool *ret_readonly)
{
    static const struct {
        const char *end;
        bool readonly;
    } pairs[] = { { ",readonly=on", true }, { ",readonly=off", false } };

    *ret_readonly = false;
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        size_t rest = strlen(text) - MIN(strlen(text), strlen(pairs[i].end));

        /* Two commas are one, of a path. */
        if (rest > 0 && strcmp(text + rest, pairs[i].end) == 0 && text[rest - 1] != ',') {
            *ret_readonly = pairs[i].readonly;
            return g_strndup(text, rest);
        }
    }
    return g_strdup(text);
}

static bool add_qmp_monitors(Session *session, const char *option, const GPtrArray *texts,
                             bool pretty, GError **error)
{
    for (guint i = 0; i < texts->len; i++) {
        const char *text = g_ptr_array_index(texts, i);
        bool readonly;
        g_autofree char *chardev = take_readonly(text, &readonly);

        if (!add_compat_monitor(session, chardev, choose_qmp(pretty, readonly), error)) {
            g_prefix_error(error, "-%s %s: ", option, text);
            return false;
        }
    }
    return true;
}

static bool add_human_monitors(Session *session, GError **error)
{
    const GPtrArray *texts = session->cmdline->human_monitors;

    for (guint i = 0; i < texts->len; i++) {
        const char *text = g_ptr_array_index(texts, i);

        if (!add_compat_monitor(session, text, &hmp_language, error)) {
            g_prefix_error(error, "-monitor %s: ", text);
            return false;
        }
    }
    return true;
}

/*
 * The one that -nographic brings, unless it came with the serial port.  Its sessions hold
 * no input back: the machine is there.
 */
static bool add_default_monitor(Session *session, GError **error)
{
    if (!cmdline_wants_monitor(session->cmdline) || session->monitors->len > 0)
        return true;
    return add_compat_monitor(session, "stdio", &hmp_language, error);
}

/* The id of a monitor is of its own kind, and has no other use than to be unique. */
static bool check_monitor_id(const GPtrArray *options, guint at, GError **error)
{
    const char *id = ((const MonitorOptions *)g_ptr_array_index(options, at))->id;

    if (!id)
        return true;
    if (!id_check(id, "id", error))
        return false;
    for (guint i = 0; i < at; i++) {
        const MonitorOptions *option = g_ptr_array_index(options, i);

        if (g_strcmp0(option->id, id) == 0) {
            error_set(error, "parameter 'id': there is a monitor '%s' already", id);
            return false;
        }
    }
    return true;
}

/* -mon */
static bool add_named_monitor(Session *session, const MonitorOptions *options,
                              GError **error)
{
    Chardev *chr = char_find(session->chars, options->chardev);
    const MonitorLanguage *language = &hmp_language;

    if (!chr) {
        error_set(error, "there is no character device '%s'", options->chardev);
        return false;
    }
    if (options->mode == MONITOR_MODE_CONTROL)
        language = choose_qmp(options->pretty, options->readonly);
    return add_monitor(session, chr, language, error);
}

static bool add_monitors(Session *session, GError **error)
{
    const Cmdline *cmdline = session->cmdline;

    for (guint i = 0; i < cmdline->monitors->len; i++) {
        const MonitorOptions *option = g_ptr_array_index(cmdline->monitors, i);

        if (!check_monitor_id(cmdline->monitors, i, error) ||
            !add_named_monitor(session, option, error)) {
            g_prefix_error(error, "-mon %s: ", option->chardev);
            return false;
        }
    }
    return add_human_monitors(session, error) &&
           add_qmp_monitors(session, "qmp", cmdline->qmps, false, error) &&
           add_qmp_monitors(session, "qmp-pretty", cmdline->pretty_qmps, true, error);
}

/* A byte as a number in C's notations. */
static bool set_escape(Session *session, GError **error)
{
    const char *text = session->cmdline->echr;
    char *end;
    guint64 number;

    if (!text)
        return true;
    number = g_ascii_strtoull(text, &end, 0);
    if (!g_ascii_isdigit(*text) || *end || number > UINT8_MAX) {
        error_set(error, "-echr %s: expects a number from 0 to %d", text, UINT8_MAX);
        return false;
    }
    char_set_escape(session->chars, (uint8_t)number);
    return true;
}

static const char *on_mux_command(void *opaque, CharMuxCommand command)
{
    Session *session = opaque;

    switch (command) {
    case CHAR_MUX_QUIT:
        if (!session->machine)
            return "the machine is still being made";
        runstate_request_quit(&session->machine->run, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
        return NULL;
    case CHAR_MUX_SAVE:
        return "what disks with -snapshot hold cannot be saved";
    }
    return NULL;
}

static void release_input(Session *session)
{
    for (guint i = 0; i < session->monitors->len; i++)
        monitor_hold_input(g_ptr_array_index(session->monitors, i), false);
}

static int open_fdset(void *opaque, const char *path, int flags, GError **error)
{
    return fdset_open(opaque, path, flags, error);
}

Session *session_new(const Cmdline *cmdline, Loop *loop, int stop_fd, GError **error)
{
    g_autoptr(Session) session = g_new0(Session, 1);
    MachineHost host;

    assert_main();

    session->cmdline = cmdline;
    session->loop = loop;
    session->fdsets = fdset_new();
    session->chars = char_set_new(loop);
    session->events = qmp_events_new();
    qmp_events_limit_rates(session->events, loop, NS_PER_SEC);
    session->monitors = g_ptr_array_new_with_free_func(free_monitor);
    char_set_stop_fd(session->chars, stop_fd);
    char_set_open_hook(session->chars, open_fdset, session->fdsets);
    char_set_mux_hook(session->chars, on_mux_command, session);
    char_set_monitor_hook(session->chars, add_human_monitor, session);
    session->context = (QmpContext) {
        .chars = session->chars,
        .fdsets = session->fdsets,
        .monitors = session->monitors,
        .events = session->events,
        .call = qmp_commands_call,
        .start = qmp_commands_start,
        .parse = device_globals_parse_request,
    };
    if (!set_escape(session, error) || !add_fds(session, error) ||
        !add_chardevs(session, error) || !add_monitors(session, error))
        return NULL;
    /* Clients that wait already are greeted; what they ask needs the machine. */
    loop_turn(loop, false);
    host = (MachineHost) {
        .loop = loop,
        .chars = session->chars,
        .fdsets = session->fdsets,
        .events = session->events,
        .context = &session->context,
    };
    session->machine = machine_new(cmdline, &host, NULL, error);
    if (!session->machine)
        return NULL;
    session->context.machine = session->machine;
    session->context.tree = &session->machine->tree;
    session->context.blocks = session->machine->blocks;
    session->context.nets = session->machine->nets;
    session->context.objects = session->machine->objects;
    session->context.ready = true;
    release_input(session);
    if (!add_default_monitor(session, error))
        return NULL;
    return g_steal_pointer(&session);
}

void session_free(Session *session)
{
    if (!session)
        return;
    assert_main();

    char_set_cancel(session->chars);
    machine_free(session->machine);
    monitor_flush_all(session->monitors);
    char_set_flush(session->chars, loop_clock_ns() + FLUSH_NS);
    g_ptr_array_unref(session->monitors);
    char_set_free(session->chars);
    qmp_events_free(session->events);
    fdset_free(session->fdsets);
    g_free(session);
}

bool session_start(Session *session, GError **error)
{
    return machine_start(session->machine, error);
}

void session_terminate(Session *session)
{
    runstate_request_quit(&session->machine->run, SHUTDOWN_CAUSE_HOST_SIGNAL);
}

void session_continued(Session *session)
{
    char_set_continued(session->chars);
}

int session_exit_status(const Session *session)
{
    return session->machine->run.exit_status;
}
