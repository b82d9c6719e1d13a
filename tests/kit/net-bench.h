/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network backends without a device: what goes in and out of their queues.
 */
#pragma once

#include "berth/loop.h"
#include "berth/net-set.h"

typedef struct NetBench {
    Loop *loop;
    NetSet *set;
    NetNic nics[2];             /* attached by net_bench_attach() */
} NetBench;

NetBench *net_bench_new(void);
void net_bench_free(NetBench *bench);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetBench, net_bench_free)

/* Adds what @text says as on the command line: "tap,id=a,br=b". */
bool net_bench_try_add(NetBench *bench, const char *text, GError **error);
void net_bench_add(NetBench *bench, const char *text);
/* It is refused, with @words in the message. */
void net_bench_assert_refused(NetBench *bench, const char *text, const char *words);
/* NIC @n takes backend @id; its backend. */
NetBackend *net_bench_attach(NetBench *bench, unsigned n, const char *id);
/* Sends @size bytes behind a header of zeros; as net_queue_send(). */
int net_bench_send(NetQueue *queue, const void *frame, size_t size);
/*
 * Waits for a frame for up to a second; its bytes without the header, or a negative
 * errno.
 */
ssize_t net_bench_receive(NetQueue *queue, void *frame, size_t size);
