/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QMP engine: sessions of clients, dispatch of commands, events.  It knows neither
 * sockets nor what commands do.  Main only.
 *
 * How a monitor uses it:
 *
 *     client comes    qmp_session_init(&session, ctx, &ops, monitor);
 *                     qmp_session_greet(&session, out);                  send @out
 *     bytes come      while (size > 0 && there is room for output) {
 *                         n = qmp_session_feed(&session, data, size, out);
 *                         data += n, size -= n;                          send @out
 *                     }
 *     client goes     qmp_session_done(&session);
 *
 * qmp_session_feed() executes at most one request, so that the monitor bounds its
 * output by not feeding; whatever it did not feed it keeps, and reads no more from the
 * client.  Events come by ops->send() at any time, also out of qmp_session_feed(), and
 * belong before the reply that is being made.  All texts are whole lines that end in CR
 * LF.
 *
 * An asynchronous command has no reply yet when qmp_session_feed() returns; it comes by
 * ops->reply().  Until then the session's other requests wait, as qmp_session_can_feed()
 * tells, so that replies have the order of the requests.  A client that has negotiated
 * exec-oob is read on: what may overtake does, and up to QMP_QUEUE_MAX other requests are
 * kept.
 *
 * How a handler answers is in the generated qmp-commands.h, how an event is sent in
 * qapi-events.h.
 */
#pragma once

#include "berth/error.h"
#include "berth/fdset.h"
#include "berth/json.h"
#include "berth/list.h"
#include "qapi-types.h"

typedef struct QmpSession QmpSession;

/* Calls the handler of @command, see qmp-commands.h; tests pass one of their own. */
typedef bool QmpCallFn(unsigned command, QmpContext *ctx, const void *args,
                       void **ret_value, GError **error);
typedef void QmpStartFn(unsigned command, QmpContext *ctx, const void *args,
                        QmpReply *reply);

/*
 * Parses the arguments of a command whose type is @type: qapi_parse(), but for what a
 * machine adds to them.
 */
typedef void *QmpParseFn(QmpContext *ctx, QapiTypeId type, const JsonValue *json,
                         GError **error);

/* Requests that a session keeps while an asynchronous command is under way. */
#define QMP_QUEUE_MAX 8

/*
 * What handlers work on: one of it a machine, shared by all sessions.  The pointers are
 * lent and may be NULL in a test whose handlers do not use them.
 */
struct QmpContext {
    Machine *machine;
    DeviceTree *tree;
    CharSet *chars;
    BlockGraph *blocks;
    NetSet *nets;
    ObjectSet *objects;
    FdSets *fdsets;
    const GPtrArray *monitors;  /* of Monitor */
    QmpEvents *events;
    QmpCallFn *call;            /* qmp_commands_call */
    QmpStartFn *start;          /* qmp_commands_start */
    QmpParseFn *parse;          /* NULL: qapi_parse() */
    const struct QmpCommand *commands;  /* NULL: the schema's; a test has other flags */
    bool ready;                 /* the machine is made; see allow-preconfig */
    QmpSession *session;        /* whose request is handled; NULL outside of a handler */
};

typedef struct QmpSessionOps {
    /*
     * A line for the client beside the replies: an event.  @text is lent.  The monitor
     * may drop it when the client does not read; it may not call into the session.
     */
    void (*send)(void *opaque, const char *text, size_t size);
    /*
     * The reply to the asynchronous command that was under way, and never dropped.  Then
     * the session may be fed again, but not out of this call.
     */
    void (*reply)(void *opaque, const char *text, size_t size);
    /* The oldest descriptor that came with the input (the caller's), -1 for none. */
    int (*take_fd)(void *opaque);
} QmpSessionOps;

/* What waits for a command to end: a request, or what is wrong with it. */
typedef struct QmpQueued {
    JsonValue *request;
    GError *error;
} QmpQueued;

/* One client's session, embedded in its monitor. */
struct QmpSession {
    QmpContext *ctx;
    const QmpSessionOps *ops;
    void *opaque;
    bool pretty;                /* set after init: lines are broken and indented */
    bool readonly;              /* set after init: only what asks is executed */
    bool negotiated;
    bool oob;                   /* exec-oob was enabled */
    JsonStream *stream;
    GHashTable *fds;            /* of getfd, name to descriptor; NULL for none */
    QmpReply *pending;          /* of the asynchronous command under way, or NULL */
    QmpQueued queue[QMP_QUEUE_MAX];
    unsigned n_queued;
    ListNode node;              /* in QmpEvents when negotiated */
};

void qmp_session_init(QmpSession *session, QmpContext *ctx, const QmpSessionOps *ops,
                      void *opaque);
/* Ends the session: no more events, descriptors of getfd closed. */
void qmp_session_done(QmpSession *session);

/* Appends the greeting. */
void qmp_session_greet(QmpSession *session, GString *out);

/*
 * Takes bytes up to the end of one request at most, executes it and appends its reply
 * (nothing when the request is not complete: then all bytes were taken; nor when it is
 * asynchronous or kept).  Returns how many were taken: none, when a request that was kept
 * is executed.
 */
size_t qmp_session_feed(QmpSession *session, const char *data, size_t size, GString *out);

/* Whether qmp_session_feed() with @size bytes has something to do, and may be called. */
bool qmp_session_can_feed(const QmpSession *session, size_t size);

/* Whether @request is one that overtakes. */
bool qmp_dispatch_is_oob(const JsonValue *request);
/*
 * Executes one request and appends the one reply to it, or lets an asynchronous command
 * end its reply later.
 */
void qmp_dispatch(QmpSession *session, const JsonValue *request, GString *out);

/* Appends the reply that tells of @failure; @id is the request's, NULL for none. */
void qmp_dispatch_error(QmpSession *session, const GError *failure, const JsonValue *id,
                        GString *out);

/*
 * The end of an asynchronous command, exactly once, by its handler or later: with what
 * it returns (taken; NULL of a command that returns nothing), or with @error (taken).
 * The client may be gone, which makes no difference.  Whoever works on a command ends it
 * before the machine is freed, with an error if need be.  Typed: qmp_return_...() of
 * qmp-commands.h.
 */
void qmp_reply_return(QmpReply *reply, void *value);
void qmp_reply_fail(QmpReply *reply, GError *error);

/*
 * Executes row @command for a part of berth itself, in the name of @session: @done is
 * called once, now or later, with what it returned (NULL for nothing) or with @error;
 * both are lent.
 */
typedef void QmpDoneFn(void *opaque, const void *value, const GError *error);
void qmp_dispatch_call(QmpSession *session, unsigned command, const void *args,
                       QmpDoneFn *done, void *opaque);

/* What the greeting and query-version tell; the caller's. */
VersionInfo *qmp_session_version(void);

/* The oldest descriptor that the client sent along, the caller's; -1 with @error. */
int qmp_session_receive_fd(QmpSession *session, GError **error);

/* Keeps @fd, which is taken, as @name; one that has the name is closed. */
void qmp_session_name_fd(QmpSession *session, const char *name, int fd);

/* The descriptor kept as @name, now the caller's; -1 with @error when there is none. */
int qmp_session_take_named_fd(QmpSession *session, const char *name, GError **error);
/* The same, or with a digit first the number of one that the parent left open. */
int qmp_session_take_fd(QmpSession *session, const char *name, GError **error);

/* Where events go: to every session that has negotiated. */
QmpEvents *qmp_events_new(void);
/*
 * Events that a guest can cause at will are sent once in @period_ns at most, the last
 * state of each; @loop, main's, counts the time.  By default none is held back.
 */
void qmp_events_limit_rates(QmpEvents *events, Loop *loop, int64_t period_ns);
/* Every session is done before.  Accepts NULL. */
void qmp_events_free(QmpEvents *events);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QmpEvents, qmp_events_free)
/* @session gets events from now until its end; @events may be NULL. */
void qmp_events_subscribe(QmpEvents *events, QmpSession *session);

/*
 * Sends the event of row @event (QAPI_EVENT_...) with the time of now; @data is lent,
 * NULL for an event without; @events may be NULL.  Use qapi-events.h.
 * qmp_events_count(): how many were sent, heard or not.
 */
void qmp_events_emit(QmpEvents *events, unsigned event, const void *data);
uint64_t qmp_events_count(const QmpEvents *events, unsigned event);
