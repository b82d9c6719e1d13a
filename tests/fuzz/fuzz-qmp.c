/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a QMP client sends, in pieces.  Arguments are parsed by the schema,
 * commands of the protocol work, the others fail; "stop" and "query-name" end some pieces
 * later.  What is answered are whole lines, at most one for each request.
 */
#include <string.h>

#include "berth/qapi-tables.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

#include "fuzz.h"

#define PIECE_SIZE 64
#define N_COMMANDS 1024

typedef struct Fuzz {
    QmpContext ctx;
    QmpReply *reply;        /* of the command under way */
    QmpCommand commands[N_COMMANDS];
} Fuzz;

static bool call(unsigned command, QmpContext *ctx, const void *args, void **ret_value,
                 GError **error)
{
    *ret_value = NULL;
    switch (command) {
    case QMP_COMMAND_QMP_CAPABILITIES:
        return qmp_qmp_capabilities(ctx, args, error);
    case QMP_COMMAND_QUERY_VERSION:
        *ret_value = qmp_query_version(ctx, error);
        return *ret_value != NULL;
    case QMP_COMMAND_GETFD:
        return qmp_getfd(ctx, args, error);
    case QMP_COMMAND_REMOVE_FD:
        return qmp_remove_fd(ctx, args, error);
    case QMP_COMMAND_QUERY_FDSETS:
        *ret_value = qmp_query_fdsets(ctx, error);
        return *ret_value != NULL;
    default:
        error_set(error, "command %u has no machine to work on", command);
        return false;
    }
}

static void drop(void *opaque, const char *text, size_t size)
{
    g_assert_cmpuint(size, >=, 2);
    g_assert_cmpint(memcmp(text + size - 2, "\r\n", 2), ==, 0);
}

static int no_fd(void *opaque)
{
    return -1;
}

static const QmpSessionOps ops = { .send = drop, .reply = drop, .take_fd = no_fd };

static void start(unsigned command, QmpContext *ctx, const void *args, QmpReply *reply)
{
    Fuzz *fuzz = CONTAINER_OF(ctx, Fuzz, ctx);

    g_assert_null(fuzz->reply);
    fuzz->reply = reply;
}

static void end_command(Fuzz *fuzz)
{
    if (fuzz->reply)
        qmp_reply_fail(g_steal_pointer(&fuzz->reply),
                       g_error_new_literal(BERTH_ERROR, BERTH_ERROR_GENERIC, "late"));
}

static void check_reply(const GString *out)
{
    g_autoptr(JsonValue) reply = NULL;
    g_autoptr(GError) error = NULL;

    if (out->len == 0)
        return;
    g_assert_cmpuint(out->len, >, 2);
    g_assert_cmpstr(strchr(out->str, '\r'), ==, "\r\n");
    reply = json_parse_text(out->str, out->len, &error);
    g_assert_no_error(error);
    g_assert_true(json_member(reply, "return") || json_member(reply, "error"));
}

static void make_commands(Fuzz *fuzz)
{
    g_assert_cmpuint(qmp_n_commands, <=, N_COMMANDS);
    memcpy(fuzz->commands, qmp_commands, qmp_n_commands * sizeof(qmp_commands[0]));
    for (unsigned i = 0; i < qmp_n_commands; i++)
        fuzz->commands[i].flags &= ~QMP_COMMAND_ASYNC;
    fuzz->commands[QMP_COMMAND_STOP].flags |= QMP_COMMAND_ASYNC;
    fuzz->commands[QMP_COMMAND_QUERY_NAME].flags |= QMP_COMMAND_ASYNC;
    fuzz->commands[QMP_COMMAND_QUERY_VERSION].flags |= QMP_COMMAND_ALLOW_OOB;
    fuzz->ctx.commands = fuzz->commands;
}

/* Feeds a piece, of which the command under way may leave some over; returns how much. */
static size_t feed_piece(QmpSession *session, const char *data, size_t size, GString *out)
{
    size_t fed = 0;

    while (qmp_session_can_feed(session, size - fed)) {
        size_t n = qmp_session_feed(session, data + fed, size - fed, out);

        g_assert_cmpuint(n, <=, size - fed);
        check_reply(out);
        g_string_truncate(out, 0);
        fed += n;
    }
    return fed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fuzz fuzz;
    g_autoptr(QmpEvents) events = qmp_events_new();
    g_autoptr(FdSets) fdsets = fdset_new();
    g_autoptr(GString) out = g_string_new(NULL);
    QmpSession session;

    fuzz.ctx = (QmpContext){ .events = events, .fdsets = fdsets, .call = call,
                             .start = start, .ready = true };
    make_commands(&fuzz);
    qmp_session_init(&session, &fuzz.ctx, &ops, NULL);
    while (size > 0) {
        size_t fed = feed_piece(&session, (const char *)data, MIN(size, PIECE_SIZE), out);

        /* Not at the end: there the session goes first. */
        if (fed < size)
            end_command(&fuzz);
        data += fed;
        size -= fed;
    }
    qmp_session_done(&session);
    end_command(&fuzz);
    return 0;
}
