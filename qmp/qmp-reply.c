/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies: written at once after a handler has returned, or when the asynchronous one
 * ends them.
 *
 * A reply that is not ended belongs to whoever works on the command; the session knows it
 * as `pending` and takes no further request in its place.  A client that goes away leaves
 * the reply to its worker, without a session: ending it then writes nothing.
 */
#include "berth/thread.h"

#include "qmp-line.h"
#include "qmp-reply.h"

struct QmpReply {
    QmpSession *session;        /* NULL: the client is gone */
    const QmpCommand *command;
    JsonValue *id;              /* NULL for none */
    GString *out;               /* lent while the handler runs, then NULL */
    QmpDoneFn *done;            /* of a call out of berth itself; else NULL */
    void *opaque;
};

void qmp_reply_write(const QmpSession *session, const QmpCommand *command,
                     const void *value, const JsonValue *id, GString *out)
{
    JsonWriter writer;

    qmp_line_begin(&writer, out, session->pretty);
    json_writer_key(&writer, "return");
    if (command->returns == QAPI_TYPE_STR) {
        json_writer_string(&writer, value);
    } else if (command->returns) {
        qapi_write(command->returns, value, &writer);
    } else {
        json_writer_begin_object(&writer);
        json_writer_end_object(&writer);
    }
    if (id) {
        json_writer_key(&writer, "id");
        json_writer_value(&writer, id);
    }
    qmp_line_end(&writer);
}

void qmp_reply_free_value(const QmpCommand *command, void *value)
{
    if (qapi_types[command->returns].meta == QAPI_META_ANY)
        json_unref(value);
    else if (command->returns == QAPI_TYPE_STR)
        g_free(value);
    else if (command->returns)
        qapi_free(command->returns, value);
}

QmpReply *qmp_reply_new(QmpSession *session, const QmpCommand *command,
                        const JsonValue *id, GString *out)
{
    QmpReply *reply = g_new0(QmpReply, 1);

    g_assert(!session->pending);
    reply->session = session;
    reply->command = command;
    reply->id = id ? json_ref(id) : NULL;
    reply->out = out;
    session->pending = reply;
    return reply;
}

QmpReply *qmp_reply_new_call(const QmpCommand *command, QmpDoneFn *done, void *opaque)
{
    QmpReply *reply = g_new0(QmpReply, 1);

    reply->command = command;
    reply->done = done;
    reply->opaque = opaque;
    return reply;
}

void qmp_reply_started(QmpSession *session)
{
    if (session->pending)
        session->pending->out = NULL;
}

void qmp_reply_abandon(QmpReply *reply)
{
    if (reply)
        reply->session = NULL;
}

static void reply_free(QmpReply *reply)
{
    json_unref(reply->id);
    g_free(reply);
}

/* Hands over what a handler that returned long ago has written. */
static void send_late(QmpReply *reply, GString *text)
{
    QmpSession *session = reply->session;

    session->ops->reply(session->opaque, text->str, text->len);
    g_string_free(text, true);
}

void qmp_reply_return(QmpReply *reply, void *value)
{
    QmpSession *session = reply->session;

    assert_main();
    if (session) {
        GString *text = reply->out ? reply->out : g_string_new(NULL);

        qmp_reply_write(session, reply->command, value, reply->id, text);
        session->pending = NULL;
        if (!reply->out)
            send_late(reply, text);
    } else if (reply->done) {
        reply->done(reply->opaque, value, NULL);
    }
    qmp_reply_free_value(reply->command, value);
    reply_free(reply);
}

void qmp_reply_fail(QmpReply *reply, GError *error)
{
    QmpSession *session = reply->session;

    assert_main();
    if (session) {
        GString *text = reply->out ? reply->out : g_string_new(NULL);

        qmp_dispatch_error(session, error, reply->id, text);
        session->pending = NULL;
        if (!reply->out)
            send_late(reply, text);
    } else if (reply->done) {
        reply->done(reply->opaque, NULL, error);
    }
    g_error_free(error);
    reply_free(reply);
}
