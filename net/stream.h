/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a stream socket for frames: what its two files share.
 *
 *     stream-link.c   main: connecting, listening, the end of a connection
 *     stream.c        the queue's loop: frames; the options
 */
#pragma once

#include "berth/net-driver.h"
#include "berth/timer.h"

#include "framing.h"
#include "net-address.h"

typedef struct Stream {
    NetBackend backend;

    /* Main. */
    NetAddress address;         /* to connect to, or to listen on */
    bool is_server;
    bool keep_alive;
    int64_t reconnect_ns;       /* 0: never */
    int fd;                     /* of the connection, or -1; lent to the queue's loop */
    int listen_fd;
    char *file;                 /* of our socket, which is removed at the end */
    LoopFd listening;
    LoopFd connecting;
    LoopFd hangup;              /* whether the far end has gone, on main's loop */
    Timer retry;                /* to connect, or to accept */
    bool complained;            /* of attempts since it was last connected */
    LoopMessage ended;          /* to main: the queue's loop has seen the end */

    /* The queue's loop. */
    Framing rx;
    Framing tx;
    LoopHook hook;
} Stream;

static inline Stream *stream_of(NetBackend *backend)
{
    return CONTAINER_OF(backend, Stream, backend);
}

/* What a stream socket is to do. */
typedef struct StreamPlan {
    NetAddress address;         /* ignored with @fd */
    const char *parameter;      /* that @fd came from */
    int fd;                     /* -1: none; taken: connected, or listening */
    bool is_server;
    bool keep_alive;
    int64_t reconnect_ns;
} StreamPlan;

/* Main. */

/* NetDriver.open, for one or the other kind of options. */
bool stream_open(Stream *stream, const StreamPlan *plan, GError **error);
void stream_link_init(Stream *stream);
/* Connects, listens, or takes what is open. */
bool stream_link_open(Stream *stream, const StreamPlan *plan, GError **error);
void stream_link_close(Stream *stream);
/* "unix:/run/a,connected"; the caller frees. */
char *stream_link_describe(const Stream *stream);

/* With the queue, on its loop: the connection is there, or is there no more. */
void stream_attach(void *queue);
void stream_detach(void *queue);
