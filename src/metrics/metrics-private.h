/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of berth-metrics share: metrics-object.c has the socket, metrics-http.c
 * speaks with its clients, the others make the text.
 */
#pragma once

#include "berth/metrics.h"
#include "berth/monitor.h"
#include "berth/qmp.h"
#include "berth/timer.h"

#include "metrics-text.h"

/* At a time; one more takes the place of one that is idle, or is turned away. */
#define METRICS_CLIENTS 8

typedef struct Metrics {
    Object object;
    Chardev *chr;
    Monitor *monitor;
    /* A copy, so that a session finds its object; anew with each client and scrape. */
    QmpContext context;
    ListNode sessions;          /* in order of coming */
    Timer timer;                /* while sessions wait for their turn */
    int64_t next_ns;            /* when the next scrape may be */
} Metrics;

extern const MonitorLanguage metrics_http_language;

/* The context of @metrics as it is now; NULL while there is no machine. */
QmpContext *metrics_object_context(Metrics *metrics);

/* For @opaque of the timer. */
void metrics_http_on_turn(void *opaque);

/* What "/metrics" answers; the caller frees. */
MetricsText *metrics_scrape_read(QmpContext *ctx);

/* Parts of it. */
void metrics_vcpus_add(MetricsText *text, QmpContext *ctx);
void metrics_disks_add(MetricsText *text, QmpContext *ctx);
void balloon_metrics_add(MetricsText *text, QmpContext *ctx);

/* What "/ledger" answers; the caller frees. */
MetricsText *metrics_ledger_read(const MemoryLedger *ledger);

/*
 * The format that a client likes best that says "Accept: @accept" (RFC 9110, 12.5.1),
 * NULL: says nothing.  False: it takes neither.
 */
bool metrics_accept_choose(const char *accept, MetricsFormat *ret_format);
