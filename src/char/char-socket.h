/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a stream socket: what its server, its client and the connection share.
 *
 * Who does what: char-socket.c the connection and the class, char-server.c listening and
 * accepting, char-client.c connecting, char-passed-fd.c descriptors that come over it.
 */
#pragma once

#include "berth/timer.h"

#include "char-address.h"
#include "char-private.h"
#include "char-telnet.h"

#include <sys/stat.h>

typedef struct CharSocket {
    Chardev chr;
    ChardevSocket *options;
    const ChardevSocket *facts; /* the options, or those of the listener */
    GArray *addresses;          /* of CharAddress; NULL for a passed descriptor */

    int fd;                     /* of the far end, or -1 */
    CharTelnet telnet;          /* what came in */
    bool iac_half_sent;         /* under the lock: the first byte of an IAC IAC */
    Timer retry;                /* to accept, or to connect */

    /* A server. */
    int listen_fd;
    LoopFd listening;
    struct stat made;           /* the socket file that we made */
    char *made_path;            /* absolute; NULL: none */
    CharAcceptFn *accept;       /* of char_listen() */
    void *accept_opaque;
    ListNode clients;           /* of char_listen(): Chardev.node */
    unsigned n_clients;
    struct CharSocket *listener;        /* of a client; NULL otherwise */

    /* A client. */
    LoopFd connecting;
    guint next_address;
    int failure;                /* errno of the last attempt */
    bool complained;            /* of attempts since it was last connected */
    int64_t reconnect_ns;       /* 0: never */
} CharSocket;

static inline CharSocket *char_socket(const Chardev *chr)
{
    return CONTAINER_OF(chr, CharSocket, chr);
}

/* @fd, which is taken, leads to the far end. */
void char_socket_set_connected(CharSocket *sock, int fd);
/* Descriptors of the connection and of a listening socket get their flags. */
void char_socket_set_up_fd(const CharSocket *sock, int fd);
bool char_socket_is_unix(int fd);
/*
 * At the start, when there is nothing else to be done than to wait for @fd, or for the
 * process to be told to end.
 */
bool char_socket_wait(const CharSocket *sock, int fd, short events, GError **error);

/* "660"; false when it is no mode of a file. */
bool char_server_parse_mode(const char *text, mode_t *ret_mode);
/* Listens, and waits for the first client if it is to. */
bool char_server_open(CharSocket *sock, GError **error);
void char_server_close(CharSocket *sock);
/* Accepts one more or none, as the state is now. */
void char_server_update(CharSocket *sock);
void char_server_on_retry(CharSocket *sock);
/* char_listen(), see char.h. */
void char_server_listen(Chardev *chr, CharAcceptFn *accept, void *opaque);

/* Connects, or begins to. */
bool char_client_open(CharSocket *sock, GError **error);
void char_client_close(CharSocket *sock);
/* Ends an attempt that is under way, as if it had failed. */
void char_client_yank(CharSocket *sock);
/* The connection has gone: another attempt later, if there is to be one. */
void char_client_on_hangup(CharSocket *sock);
void char_client_on_retry(CharSocket *sock);

/* Keeps the descriptors that came with @message, as many as there may be. */
void char_passed_fd_keep(Chardev *chr, struct msghdr *message);
void char_passed_fd_drop(Chardev *chr);
/* Takes a descriptor that is a socket already, which @options name. */
bool char_passed_fd_take(CharSocket *sock, GError **error);
