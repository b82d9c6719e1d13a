/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP as what a monitor speaks.
 */
#include "berth/monitor.h"

static void begin(void *session, QmpContext *ctx, const QmpSessionOps *ops, void *client)
{
    qmp_session_init(session, ctx, ops, client);
}

static void begin_pretty(void *session, QmpContext *ctx, const QmpSessionOps *ops,
                         void *client)
{
    begin(session, ctx, ops, client);
    ((QmpSession *)session)->pretty = true;
}

static void begin_readonly(void *session, QmpContext *ctx, const QmpSessionOps *ops,
                           void *client)
{
    begin(session, ctx, ops, client);
    ((QmpSession *)session)->readonly = true;
}

static void begin_readonly_pretty(void *session, QmpContext *ctx,
                                  const QmpSessionOps *ops, void *client)
{
    begin_readonly(session, ctx, ops, client);
    ((QmpSession *)session)->pretty = true;
}

static void end(void *session)
{
    qmp_session_done(session);
}

static void greet(void *session, bool focus, GString *out)
{
    qmp_session_greet(session, out);
}

static bool feed(void *session, const char *data, size_t size, size_t *ret_used,
                 GString *out)
{
    *ret_used = qmp_session_feed(session, data, size, out);
    return out->len > 0;
}

static bool can_feed(const void *session, size_t size)
{
    return qmp_session_can_feed(session, size);
}

static size_t held(const void *session)
{
    return json_stream_held(((const QmpSession *)session)->stream);
}

#define LANGUAGE(begin_)                                                                 \
    {                                                                                    \
        .session_size = sizeof(QmpSession),                                              \
        .begin = (begin_),                                                               \
        .end = end,                                                                      \
        .greet = greet,                                                                  \
        .feed = feed,                                                                    \
        .can_feed = can_feed,                                                            \
        .held = held,                                                                    \
        .input_max = JSON_MAX_SIZE,                                                      \
    }

const MonitorLanguage qmp_language = LANGUAGE(begin);
const MonitorLanguage qmp_language_pretty = LANGUAGE(begin_pretty);
const MonitorLanguage qmp_language_readonly = LANGUAGE(begin_readonly);
const MonitorLanguage qmp_language_readonly_pretty = LANGUAGE(begin_readonly_pretty);
