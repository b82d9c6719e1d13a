/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who look at the frames of a backend's queues.
 */
#pragma once

#include "berth/net-dump.h"

#include "pcap.h"

struct NetDump {
    NetBackend *backend;
    ListNode node;              /* of the backend, in order */
    char *id;
    PcapWriter *pcap;
    bool sees[NET_DIRECTION__MAX];
    bool is_on;                 /* atomic */
    void (*gone)(void *opaque);
    void *opaque;
};

typedef struct NetWatch NetWatch;

/* The queue's loop. */

/* Keeps a copy of a frame, whose header is first. */
void net_watch_take(NetWatch *watch, const struct iovec *iov, unsigned n);
/* The frame that was taken, of @size bytes with its header, went in @direction. */
void net_watch_show(NetWatch *watch, NetDirection direction, size_t size);

/* Main. */

/* The queues see the backend's list as it is now. */
void net_watch_publish(NetBackend *backend);
/* The backend goes, and with it those who look at it. */
void net_watch_end(NetBackend *backend);
/* A line for each of them, for people. */
void net_watch_describe(const NetBackend *backend, GString *out);
