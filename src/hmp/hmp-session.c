/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of the monitor for people: keys in, text out.
 *
 *     keys -> hmp_line_key() -> a line -> hmp_call_line() -> its text -> prompt -> keys
 *
 * While a command is under way no keys are taken, so that the next prompt comes after
 * its text.  At a mux the first words and the prompt wait until the keys come here, and a
 * line that was begun is dropped when they go elsewhere.
 */
#include "qmp-commands.h"

#include "hmp-call.h"

/* Of echoed keys, before the monitor is asked whether its client reads. */
#define ECHO_MAX (64 * 1024)

typedef struct HmpSession {
    QmpSession qmp;             /* for descriptors; it is never fed */
    const QmpSessionOps *ops;
    void *client;
    HmpState state;
    HmpLine line;
    HmpCall *call;              /* under way, or NULL */
    GString *out;               /* where text goes inside feed(), else NULL */
    bool greeted;
    bool focus;
    bool prompted;              /* the prompt is shown */
} HmpSession;

static void begin(void *opaque, QmpContext *ctx, const QmpSessionOps *ops, void *client)
{
    HmpSession *session = opaque;

    session->ops = ops;
    session->client = client;
    qmp_session_init(&session->qmp, ctx, ops, client);
    hmp_state_init(&session->state);
    session->state.line = &session->line;
}

static void end(void *opaque)
{
    HmpSession *session = opaque;

    hmp_call_abandon(session->call);
    hmp_line_done(&session->line);
    qmp_session_done(&session->qmp);
}

static void prompt(HmpSession *session, GString *out)
{
    hmp_line_prompt(&session->line, out);
    session->prompted = true;
}

static void say_hello(HmpSession *session, GString *out)
{
    g_autoptr(VersionInfo) version = qmp_session_version();

    g_string_append_printf(out, "QEMU %" PRId64 ".%" PRId64 ".%" PRId64 " monitor - type "
                           "'help' for more information\r\n", version->qemu->major,
                           version->qemu->minor, version->qemu->micro);
    session->greeted = true;
}

static void set_focus(void *opaque, bool focus, GString *out)
{
    HmpSession *session = opaque;

    if (focus == session->focus)
        return;
    session->focus = focus;
    if (focus) {
        if (!session->greeted)
            say_hello(session, out);
        if (!session->call)
            prompt(session, out);
    } else if (session->prompted) {
        g_string_append(out, "\r\n");
        session->prompted = false;
    }
}

static void greet(void *opaque, bool focus, GString *out)
{
    if (focus)
        set_focus(opaque, true, out);
}

/* After it the process ends. */
static bool is_quit(const HmpCommand *command)
{
    return command && command->qmp == QMP_COMMAND_QUIT;
}

static void on_done(void *opaque, const HmpCall *call)
{
    HmpSession *session = opaque;
    g_autoptr(GString) late = session->out ? NULL : g_string_new(NULL);
    GString *out = session->out ? session->out : late;

    session->call = NULL;
    hmp_append_lines(out, call->out);
    if (session->focus && !is_quit(call->command))
        prompt(session, out);
    if (late)
        session->ops->reply(session->client, late->str, late->len);
}

static void enter(HmpSession *session, GString *out)
{
    g_autofree char *text = hmp_line_take(&session->line);

    session->prompted = false;
    session->out = out;
    session->call = hmp_call_line(&session->qmp, &session->state, text, on_done, session);
    session->out = NULL;
}

static bool feed(void *opaque, const char *data, size_t size, size_t *ret_used,
                 GString *out)
{
    HmpSession *session = opaque;
    HmpLineResult result = HMP_LINE_EDITED;
    size_t used = 0;

    while (used < size && out->len < ECHO_MAX && result != HMP_LINE_ENTERED) {
        result = hmp_line_key(&session->line, (uint8_t)data[used++], out);
        if (result == HMP_LINE_COMPLETE)
            hmp_complete(session->qmp.ctx, &session->line, out);
    }
    *ret_used = used;
    if (result == HMP_LINE_ENTERED)
        enter(session, out);
    return result == HMP_LINE_ENTERED && !session->call;
}

static bool can_feed(const void *opaque, size_t size)
{
    return !((const HmpSession *)opaque)->call && size > 0;
}

const MonitorLanguage hmp_language = {
    .session_size = sizeof(HmpSession),
    .begin = begin,
    .end = end,
    .greet = greet,
    .feed = feed,
    .can_feed = can_feed,
    .focus = set_focus,
};
