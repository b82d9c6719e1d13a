/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies, inside the engine.
 */
#pragma once

#include "berth/qapi-tables.h"
#include "berth/qmp.h"

/* Appends the reply with what @command returned; @value is lent, NULL for nothing. */
void qmp_reply_write(const QmpSession *session, const QmpCommand *command,
                     const void *value, const JsonValue *id, GString *out);

/* Frees what a handler of @command returned. */
void qmp_reply_free_value(const QmpCommand *command, void *value);

/*
 * Makes the reply that an asynchronous command of @session is to end, which is its
 * `pending` one until then.  While @out is set, it goes there.
 */
QmpReply *qmp_reply_new(QmpSession *session, const QmpCommand *command,
                        const JsonValue *id, GString *out);
/* The same for qmp_dispatch_call(). */
QmpReply *qmp_reply_new_call(const QmpCommand *command, QmpDoneFn *done, void *opaque);
/* The handler has returned: if it did not end the reply, that comes by ops->reply(). */
void qmp_reply_started(QmpSession *session);
/* The client is gone: nobody will read the reply. */
void qmp_reply_abandon(QmpReply *reply);
