/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who look at the frames of a backend and have them written to a file: which
 * backends let them, and in which order they look.
 */
#include "berth/error.h"
#include "berth/net-driver.h"

#include "net-watch.h"

const CounterDesc net_dump_counters[] = {
    COUNTER(NetDumpCounters, packets),
    COUNTER(NetDumpCounters, bytes),
    COUNTER(NetDumpCounters, dropped),
    COUNTERS_END
};

static NetBackend *find_backend(const NetSet *set, const char *id, GError **error)
{
    NetBackend *backend = net_set_find(set, id);

    if (!backend)
        error_set(error, "parameter 'netdev': there is no network backend '%s'", id);
    else if (net_backend_is_in_kernel(backend))
        error_set(error, "parameter 'netdev': the host's kernel moves the frames of '%s' "
                  "(vhost), they do not come by here: tcpdump(8) sees them on its "
                  "interface", id);
    else
        return backend;
    return NULL;
}

bool net_dump_check(const NetSet *set, const char *id, GError **error)
{
    return find_backend(set, id, error) != NULL;
}

static void insert(NetDump *dump, const NetDumpConfig *config)
{
    ListNode *at = config->neighbour ? (ListNode *)(uintptr_t)&config->neighbour->node
                                     : &dump->backend->dumps;

    /* Of the list's head: behind it is first, before it is last. */
    if (config->neighbour ? config->before : !config->before)
        list_insert_before(at, &dump->node);
    else
        list_prepend(at, &dump->node);
}

NetDump *net_dump_new(const NetSet *set, const NetDumpConfig *config, int fd,
                      GError **error)
{
    g_autofree char *name = g_strdup_printf("filter-dump '%s'", config->id);
    PcapWriter *pcap = pcap_new(name, fd, config->maxlen, error);
    NetDump *dump;

    if (!pcap)
        return NULL;
    dump = g_new0(NetDump, 1);
    dump->backend = net_set_find(set, config->netdev);
    dump->id = g_strdup(config->id);
    dump->pcap = pcap;
    dump->sees[NET_TX] = config->to_netdev;
    dump->sees[NET_RX] = config->from_netdev;
    dump->is_on = config->is_on;
    dump->gone = config->gone;
    dump->opaque = config->opaque;
    insert(dump, config);
    net_watch_publish(dump->backend);
    return dump;
}

void net_dump_free(NetDump *dump)
{
    list_remove(&dump->node);
    net_watch_publish(dump->backend);
    pcap_close(dump->pcap);
    g_free(dump->id);
    g_free(dump);
}

void net_dump_set_on(NetDump *dump, bool on)
{
    __atomic_store_n(&dump->is_on, on, __ATOMIC_RELAXED);
}

const char *net_dump_netdev(const NetDump *dump)
{
    return dump->backend->id;
}

const NetDumpCounters *net_dump_counted(const NetDump *dump)
{
    return pcap_counted(dump->pcap);
}
