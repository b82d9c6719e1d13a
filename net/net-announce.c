/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Announcements: each round asks every device that is named to tell the network where its
 * guest is.  The time between two rounds grows, for a network that was slow to listen.
 */
#include <string.h>

#include "berth/net-set.h"
#include "berth/timer.h"

#include "net-announce.h"

/* One series of rounds. */
typedef struct Series {
    NetAnnounce *announce;
    AnnounceParameters *params;
    int64_t left;               /* rounds */
    int64_t wait_ms;            /* before the next one */
    Timer timer;
    ListNode node;
} Series;

struct NetAnnounce {
    NetSet *set;
    Loop *loop;
    ListNode series;
};

static bool is_named(const AnnounceParameters *params, const NetNic *nic)
{
    for (size_t i = 0; params->interfaces && i < params->interfaces->n; i++) {
        if (strcmp(params->interfaces->items[i], nic->name) == 0)
            return true;
    }
    return !params->interfaces;
}

static void free_series(Series *series)
{
    list_remove(&series->node);
    timer_cancel(&series->timer);
    qapi_free_AnnounceParameters(series->params);
    g_free(series);
}

static void run_round(void *opaque)
{
    Series *series = opaque;
    const AnnounceParameters *params = series->params;
    NetSet *set = series->announce->set;
    NetNic *nic = NULL;

    while ((nic = net_set_next_nic(set, nic))) {
        if (is_named(params, nic))
            nic->announce(nic);
    }
    if (--series->left <= 0) {
        free_series(series);
        return;
    }
    timer_set(&series->timer, loop_clock_ns() + series->wait_ms * NS_PER_MS);
    series->wait_ms = MIN(series->wait_ms + params->step, params->max);
}

NetAnnounce *net_announce_new(NetSet *set, Loop *loop)
{
    NetAnnounce *announce = g_new0(NetAnnounce, 1);

    announce->set = set;
    announce->loop = loop;
    list_init(&announce->series);
    return announce;
}

void net_announce_free(NetAnnounce *announce)
{
    if (!announce)
        return;
    LIST_FOREACH(node, &announce->series)
        free_series(CONTAINER_OF(node, Series, node));
    g_free(announce);
}

void net_announce_begin(NetAnnounce *announce, const AnnounceParameters *params)
{
    Series *series;

    LIST_FOREACH(node, &announce->series) {
        Series *old = CONTAINER_OF(node, Series, node);

        if (g_strcmp0(old->params->id, params->id) == 0)
            free_series(old);
    }
    if (params->rounds == 0)
        return;
    series = g_new0(Series, 1);
    series->announce = announce;
    series->params = qapi_clone_AnnounceParameters(params);
    series->left = params->rounds;
    series->wait_ms = MIN(params->initial, params->max);
    timer_init(&series->timer, announce->loop, run_round, series);
    list_append(&announce->series, &series->node);
    run_round(series);
}
