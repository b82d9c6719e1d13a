/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a QMP client sends, in pieces.  Arguments are parsed by the schema,
 * commands of the protocol work, the others fail.  What is answered are whole lines, at
 * most one for each request.
 */
#include <string.h>

#include "berth/qapi-tables.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

#include "fuzz.h"

#define PIECE_SIZE 64

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

static const QmpSessionOps ops = { .send = drop, .take_fd = no_fd };

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(QmpEvents) events = qmp_events_new();
    g_autoptr(FdSets) fdsets = fdset_new();
    g_autoptr(GString) out = g_string_new(NULL);
    QmpContext ctx = { .events = events, .fdsets = fdsets, .call = call, .ready = true };
    QmpSession session;

    qmp_session_init(&session, &ctx, &ops, NULL);
    while (size > 0) {
        size_t piece = MIN(size, PIECE_SIZE);

        size -= piece;
        while (piece > 0) {
            size_t n = qmp_session_feed(&session, (const char *)data, piece, out);

            g_assert_cmpuint(n, <=, piece);
            check_reply(out);
            g_string_truncate(out, 0);
            data += n;
            piece -= n;
        }
    }
    qmp_session_done(&session);
    return 0;
}
