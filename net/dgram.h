/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a datagram socket for frames: what its two kinds of options share.
 */
#pragma once

#include "berth/net-driver.h"

#include "net-address.h"

typedef struct Dgram {
    NetBackend backend;
    char *path;                 /* of our file, which is removed at the end */
    NetAddress remote;          /* of size 0: somebody else connected the socket */
    LoopMessage lonely;         /* to main: nobody is at the far end */
    int64_t tried_ns;           /* the queue's loop: when that was sent the last time */
    int group_fd;               /* frames to a multicast group go here; -1: none */
    NetAddress group_source;    /* where those come from, which are our own */
} Dgram;

static inline Dgram *dgram_of(NetBackend *backend)
{
    return CONTAINER_OF(backend, Dgram, backend);
}

/* What a datagram socket is to do. */
typedef struct DgramPlan {
    const char *local_parameter;
    const char *remote_parameter;
    NetAddress local;           /* of size 0: none; of a group: the interface */
    NetAddress remote;          /* of size 0: none */
    int fd;                     /* -1: none; taken */
} DgramPlan;

/* Main. */
void dgram_init(Dgram *dgram);
bool dgram_open(Dgram *dgram, const DgramPlan *plan, GError **error);
/* NetDriver's. */
void dgram_close(NetBackend *backend);
int dgram_send(NetQueue *queue, struct iovec *iov, unsigned n);
ssize_t dgram_receive(NetQueue *queue, struct iovec *iov, unsigned n);
