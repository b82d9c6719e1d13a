/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions with machines: requests that are answered in their order, and events.
 */
#pragma once

#include "ctl.h"

/* Requests of one exchange. */
#define CTL_REQUESTS 8

typedef struct CtlConn {
    char *name;                 /* of the socket's file, for people */
    char *path;
    int fd;                     /* -1: not connected */
    JsonStream *stream;
    GString *output;            /* that is not sent yet */
    GPtrArray *events;          /* of JsonValue, in their order */
    bool greeted;
    bool negotiated;
    unsigned n_requests;        /* of this exchange */
    unsigned n_replies;
    JsonValue *replies[CTL_REQUESTS];   /* whole replies */
    GError *error;              /* why there is no session any more */
} CtlConn;

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t ctl_conn_clock_ns(void);

CtlConn *ctl_conn_new(const char *path);
void ctl_conn_free(CtlConn *conn);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CtlConn, ctl_conn_free)

/* The machines whose sockets are in the folder, by name; none are connected. */
GPtrArray *ctl_conn_find_all(const CtlOptions *options, GError **error);
/* The one that is called @name, or whose socket is the path @name. */
CtlConn *ctl_conn_find(const CtlOptions *options, const char *name);

/*
 * Adds a request to the next exchange; @arguments is taken, NULL for none.  Returns the
 * index of its reply.
 */
unsigned ctl_conn_request(CtlConn *conn, const char *command, JsonValue *arguments);

/*
 * Sends what was requested of @n machines, connects and negotiates before where needed,
 * and waits until each has answered, failed (CtlConn.error), or @deadline_ns has passed,
 * which is a failure, too.
 */
void ctl_conn_exchange(CtlConn *const *conns, unsigned n, int64_t deadline_ns);

/*
 * What reply @index of the last exchange returned, lent; NULL with @error where it, or
 * the session, failed.
 */
const JsonValue *ctl_conn_return(const CtlConn *conn, unsigned index, GError **error);

/* How many elements @list has: none if it is NULL, or no list. */
size_t ctl_conn_length(const JsonValue *list);
/* The text that is member @key of @object, lent; NULL: there is none. */
const char *ctl_conn_text(const JsonValue *object, const char *key);
/* The number that is member @key of @object, which may be NULL; 0: there is none. */
uint64_t ctl_conn_number(const JsonValue *object, const char *key);

/* One request and its return, lent until the next exchange; NULL with @error. */
const JsonValue *ctl_conn_ask(CtlConn *conn, const CtlOptions *options,
                              const char *command, JsonValue *arguments, GError **error);

/*
 * The next event, the caller's, waiting until @deadline_ns (INT64_MAX: for ever); NULL
 * without an error when there was none, with one when the session ended.
 */
JsonValue *ctl_conn_event(CtlConn *conn, int64_t deadline_ns, GError **error);

/*
 * Whether by @deadline_ns its session has ended, and so has the process of @pidfd; -1:
 * that is not known.
 */
bool ctl_conn_wait_exit(CtlConn *conn, int pidfd, int64_t deadline_ns);

/* The process behind a connected socket; 0: unknown. */
int ctl_conn_pid(const CtlConn *conn);
