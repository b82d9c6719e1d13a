/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kind of network backend: a const table at the end of its file, and a row in
 * net/net-drivers.c.
 */
#pragma once

#include <netinet/in.h>

#include "berth/net.h"

typedef struct NetDriver {
    size_t instance_size;       /* of what embeds the NetBackend, first */
    /*
     * Opens the descriptors of the queues (net_backend_make_queues()).  On false close()
     * is called, too.  Main.
     */
    bool (*open)(NetBackend *backend, const Netdev *options, GError **error);
    /* Descriptors of queues are closed by the caller.  NULL: nothing more.  Main. */
    void (*close)(NetBackend *backend);
    /* "ifname=tap0": what people are told beside the kind.  The caller frees.  Main. */
    char *(*describe)(const NetBackend *backend);
    /* As net.h has them, any thread; NULL where there are no offloads, one queue. */
    void (*set_offloads)(NetBackend *backend, unsigned offloads);
    bool (*enable_queue)(NetQueue *queue, bool on);
    /* The queue's loop: the device begins and ends; NULL: nothing is done then. */
    void (*start)(NetQueue *queue);
    void (*stop)(NetQueue *queue);
    /* Writes what is unsent (net_queue_set_unsent()), as much as is taken now. */
    void (*flush)(NetQueue *queue);
    /* As net.h has them. */
    int (*send)(NetQueue *queue, struct iovec *iov, unsigned n);
    ssize_t (*receive)(NetQueue *queue, struct iovec *iov, unsigned n);
} NetDriver;

struct NetBackend {
    const NetDriver *driver;
    NetSet *set;
    char *id;
    NetClientDriver type;
    unsigned n_queues;
    NetQueue *queues;
    unsigned offloads;          /* NetOffload; set by open() */
    bool link_up;               /* until a device takes it over */
    NetNic *nic;                /* that uses it, or NULL */
    ListNode dumps;             /* of NetDump: those who look at its frames */
    ListNode node;
};

extern const NetDriver *const net_drivers[NET_CLIENT_DRIVER__MAX];
extern const NetDriver net_null_driver;
extern const NetDriver net_user_driver;
extern const NetDriver net_tap_driver;
extern const NetDriver net_bridge_driver;
extern const NetDriver net_dgram_driver;
extern const NetDriver net_stream_driver;
extern const NetDriver net_socket_driver;

/* For open(), main: @n queues, each without a descriptor and enabled when it is first. */
void net_backend_make_queues(NetBackend *backend, unsigned n);
/* The backend that was made after @backend, the first after NULL; NULL: none.  Main. */
NetBackend *net_set_next_backend(const NetSet *set, const NetBackend *backend);
/* The loop of main.  Any thread. */
Loop *net_backend_main(const NetBackend *backend);
/*
 * The descriptor that "fd=" names, close-on-exec and non-blocking, the caller's; -1 with
 * @error that names @parameter.
 */
int net_backend_take_fd(NetBackend *backend, const char *parameter, const char *name,
                        GError **error);
/* Makes @fd so; false with @error that names @parameter. */
bool net_backend_set_fd_flags(const char *parameter, int fd, GError **error);
/* As net_set_allow_programs() says. */
bool net_backend_may_start_programs(const NetBackend *backend);

/* Main: a connection was made, with @peer at its far end, or has ended. */
void net_backend_tell_connected(NetBackend *backend, const SocketAddress *peer);
void net_backend_tell_disconnected(NetBackend *backend);

/* Main: runs @fn with the queue on the queue's loop, and returns when it has ended. */
void net_queue_call(NetQueue *queue, LoopFn *fn);

/* The queue's loop. */

/* From now on the queue polls @fd, which is lent; -1: nothing.  Calls the device back. */
void net_queue_set_fd(NetQueue *queue, int fd);
/* Whether frames wait to be written: flush() is called when there may be room. */
void net_queue_set_unsent(NetQueue *queue, bool on);
/* The device is called back. */
void net_queue_wake(NetQueue *queue);

/* Main. */
void net_queue_set_limit(NetQueue *queue, NetLimit *limit);
void net_queue_init(NetQueue *queue, NetBackend *backend, unsigned index);

/* Frames without a header at descriptor queue->fd: NetDriver.send and receive. */
int net_bare_send(NetQueue *queue, struct iovec *iov, unsigned n);
ssize_t net_bare_receive(NetQueue *queue, struct iovec *iov, unsigned n);
/* The same of a socket; unless it is NULL, @ret_from is whose frame it was. */
ssize_t net_bare_receive_from(NetQueue *queue, struct iovec *iov, unsigned n,
                              struct sockaddr_in *ret_from);
