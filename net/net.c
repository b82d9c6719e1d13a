/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network backends: the set of a machine, their queues, the devices that use them, and
 * addresses.
 *
 * A device without an address gets the first one that none has, from 52:54:00:12:34:56
 * on, in the order in which devices are made: a machine that is started again with the
 * same command line has the same ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/error.h"
#include "berth/fdset.h"
#include "berth/id.h"
#include "berth/net-driver.h"
#include "berth/net-set.h"
#include "berth/vhost.h"

#include "net-announce.h"
#include "net-watch.h"

#define FIRST_MAC_BYTE 0x56u    /* of the last byte of a default address */
#define N_MACS (256u - FIRST_MAC_BYTE)

static const uint8_t default_mac[NET_MAC_SIZE] = {
    0x52, 0x54, 0x00, 0x12, 0x34, FIRST_MAC_BYTE,
};

struct NetSet {
    Loop *loop;                 /* lent */
    ListNode backends;          /* of NetBackend */
    ListNode nics;              /* of NetNic, in the order in which they were made */
    NetAnnounce *announce;
    NetNamedFdFn *named_fd;
    void *named_fd_opaque;
    bool may_start_programs;
    const NetSetOps *ops;       /* NULL: nobody is told */
    void *ops_opaque;
};

const CounterDesc net_counters[] = {
    COUNTER(NetCounters, rx_packets),
    COUNTER(NetCounters, rx_bytes),
    COUNTER(NetCounters, rx_dropped),
    COUNTER(NetCounters, rx_throttled),
    COUNTER(NetCounters, tx_packets),
    COUNTER(NetCounters, tx_bytes),
    COUNTER(NetCounters, tx_dropped),
    COUNTER(NetCounters, tx_throttled),
    COUNTERS_END
};

static int numbered_fd(void *opaque, const char *name, GError **error)
{
    uint64_t number;

    if (!g_ascii_string_to_unsigned(name, 10, 0, INT_MAX, &number, NULL)) {
        error_set(error, "'%s' is no number of a descriptor", name);
        return -1;
    }
    return fdset_fd_is_of_parent((int64_t)number, error) ? (int)number : -1;
}

NetSet *net_set_new(Loop *loop)
{
    NetSet *set = g_new0(NetSet, 1);

    set->loop = loop;
    list_init(&set->backends);
    list_init(&set->nics);
    set->announce = net_announce_new(set, loop);
    net_set_named_fd_hook(set, NULL, NULL);
    return set;
}

bool net_backend_set_limit(NetBackend *backend, NetLimit *limit, GError **error)
{
    if (limit && net_backend_is_in_kernel(backend)) {
        error_set(error, "parameter 'throttle-group': the host's kernel moves the frames "
                  "of '%s' (vhost): limit them by tc(8) on its interface", backend->id);
        return false;
    }
    for (unsigned i = 0; i < backend->n_queues; i++)
        net_queue_set_limit(&backend->queues[i], limit);
    return true;
}

static void free_backend(NetBackend *backend)
{
    net_watch_end(backend);
    if (backend->driver->close)
        backend->driver->close(backend);
    for (unsigned i = 0; i < backend->n_queues; i++) {
        vhost_free(backend->queues[i].vhost);
        base_close_fd(&backend->queues[i].fd);
    }
    g_free(backend->queues);
    g_free(backend->id);
    g_free(backend);
}

void net_set_free(NetSet *set)
{
    if (!set)
        return;
    g_assert(list_is_empty(&set->nics));
    net_announce_free(set->announce);
    LIST_FOREACH(node, &set->backends) {
        list_remove(node);
        free_backend(CONTAINER_OF(node, NetBackend, node));
    }
    g_free(set);
}

void net_set_named_fd_hook(NetSet *set, NetNamedFdFn *fn, void *opaque)
{
    set->named_fd = fn ? fn : numbered_fd;
    set->named_fd_opaque = opaque;
}

void net_set_watch(NetSet *set, const NetSetOps *ops, void *opaque)
{
    set->ops = ops;
    set->ops_opaque = opaque;
}

void net_backend_tell_connected(NetBackend *backend, const SocketAddress *peer)
{
    const NetSet *set = backend->set;

    if (set->ops)
        set->ops->stream_connected(set->ops_opaque, backend->id, peer);
}

void net_backend_tell_disconnected(NetBackend *backend)
{
    const NetSet *set = backend->set;

    if (set->ops)
        set->ops->stream_disconnected(set->ops_opaque, backend->id);
}

NetBackend *net_set_next_backend(const NetSet *set, const NetBackend *backend)
{
    ListNode *next = backend ? backend->node.next : set->backends.next;

    return next == &set->backends ? NULL : CONTAINER_OF(next, NetBackend, node);
}

NetBackend *net_set_find(const NetSet *set, const char *id)
{
    LIST_FOREACH(node, &set->backends) {
        NetBackend *backend = CONTAINER_OF(node, NetBackend, node);

        if (strcmp(backend->id, id) == 0)
            return backend;
    }
    return NULL;
}

void net_backend_make_queues(NetBackend *backend, unsigned n)
{
    g_assert(n > 0 && n <= NET_QUEUES_MAX && !backend->queues);
    backend->n_queues = n;
    backend->queues = g_new0(NetQueue, n);
    for (unsigned i = 0; i < n; i++)
        net_queue_init(&backend->queues[i], backend, i);
}

Loop *net_backend_main(const NetBackend *backend)
{
    return backend->set->loop;
}

void net_set_allow_programs(NetSet *set, bool allowed)
{
    set->may_start_programs = allowed;
}

bool net_backend_may_start_programs(const NetBackend *backend)
{
    return backend->set->may_start_programs;
}

bool net_backend_set_fd_flags(const char *parameter, int fd, GError **error)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return true;
    error_set_errno(error, errno, "parameter '%s': cannot set the descriptor's flags",
                    parameter);
    return false;
}

int net_backend_take_fd(NetBackend *backend, const char *parameter, const char *name,
                        GError **error)
{
    NetSet *set = backend->set;
    g_autofd int fd = set->named_fd(set->named_fd_opaque, name, error);

    if (fd < 0) {
        g_prefix_error(error, "parameter '%s': ", parameter);
        return -1;
    }
    return net_backend_set_fd_flags(parameter, fd, error) ? autofd_steal(&fd) : -1;
}

bool net_set_add(NetSet *set, const Netdev *options, GError **error)
{
    const NetDriver *driver = net_drivers[options->type];
    NetBackend *backend;

    if (!id_check(options->id, "id", error))
        return false;
    if (net_set_find(set, options->id)) {
        error_set(error, "there is a network backend '%s' already", options->id);
        return false;
    }
    backend = g_malloc0(driver->instance_size);
    backend->driver = driver;
    backend->set = set;
    backend->id = g_strdup(options->id);
    backend->type = options->type;
    backend->link_up = true;
    list_init(&backend->dumps);
    if (!driver->open(backend, options, error)) {
        free_backend(backend);
        return false;
    }
    list_append(&set->backends, &backend->node);
    /* Frames come to the queues that a device asks for. */
    net_backend_set_active(backend, 1);
    return true;
}

bool net_set_remove(NetSet *set, const char *id, GError **error)
{
    NetBackend *backend = net_set_find(set, id);

    if (!backend) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND,
                        "network backend '%s' not found", id);
        return false;
    }
    if (backend->nic) {
        error_set(error, "network backend '%s' is used by device '%s'", id,
                  backend->nic->name);
        return false;
    }
    list_remove(&backend->node);
    free_backend(backend);
    return true;
}

static NetNic *find_nic(const NetSet *set, const char *name)
{
    LIST_FOREACH(node, &set->nics) {
        NetNic *nic = CONTAINER_OF(node, NetNic, node);

        if (strcmp(nic->name, name) == 0)
            return nic;
    }
    return NULL;
}

bool net_set_link(NetSet *set, const char *name, bool up, GError **error)
{
    NetNic *nic = find_nic(set, name);
    NetBackend *backend = nic ? nic->backend : net_set_find(set, name);

    if (!nic && !backend) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found",
                        name);
        return false;
    }
    if (backend)
        backend->link_up = up;
    if (!nic)
        nic = backend->nic;
    if (nic && __atomic_exchange_n(&nic->link_up, up, __ATOMIC_RELAXED) != up)
        nic->link_changed(nic);
    return true;
}

NetNic *net_set_next_nic(const NetSet *set, const NetNic *nic)
{
    ListNode *next = nic ? nic->node.next : set->nics.next;

    return next == &set->nics ? NULL : CONTAINER_OF(next, NetNic, node);
}

void net_set_announce(NetSet *set, const AnnounceParameters *params)
{
    net_announce_begin(set->announce, params);
}

static void describe_backend(const NetBackend *backend, GString *out)
{
    g_autofree char *text =
        backend->driver->describe ? backend->driver->describe(backend) : NULL;

    g_string_append_printf(out, "%s: index=0,type=%s%s%s%s\n", backend->id,
                           NetClientDriver_str(backend->type), text ? "," : "",
                           text ? text : "", backend->link_up ? "" : ",link=down");
    net_watch_describe(backend, out);
}

void net_set_describe(const NetSet *set, GString *out)
{
    LIST_FOREACH(node, &set->nics) {
        const NetNic *nic = CONTAINER_OF(node, NetNic, node);

        g_string_append_printf(out, "%s: index=0,type=nic,model=%s,macaddr=", nic->name,
                               nic->model);
        for (unsigned i = 0; i < NET_MAC_SIZE; i++)
            g_string_append_printf(out, "%s%02x", i ? ":" : "", nic->mac[i]);
        g_string_append(out, nic->link_up ? "\n" : ",link=down\n");
        if (nic->backend) {
            g_string_append(out, " \\ ");
            describe_backend(nic->backend, out);
        }
    }
    LIST_FOREACH(node, &set->backends) {
        const NetBackend *backend = CONTAINER_OF(node, NetBackend, node);

        if (!backend->nic)
            describe_backend(backend, out);
    }
}

bool net_mac_parse(const char *text, const char *parameter, uint8_t *ret_mac,
                   GError **error)
{
    uint8_t mac[NET_MAC_SIZE];
    const char *at = text;

    for (unsigned i = 0; i < NET_MAC_SIZE; i++) {
        int high = g_ascii_xdigit_value(at[0]);
        int low = high < 0 ? -1 : g_ascii_xdigit_value(at[1]);

        if (low < 0 || (i < NET_MAC_SIZE - 1 ? at[2] != ':' && at[2] != '-' : at[2])) {
            error_set(error, "parameter '%s' expects an address as 52:54:00:12:34:56, "
                      "not '%s'", parameter, text);
            return false;
        }
        mac[i] = (uint8_t)(high << 4 | low);
        at += 3;
    }
    if (mac[0] & 1) {
        error_set(error, "parameter '%s': '%s' is the address of a group", parameter,
                  text);
        return false;
    }
    memcpy(ret_mac, mac, sizeof(mac));
    return true;
}

static bool has_mac(const NetSet *set, const uint8_t *mac)
{
    LIST_FOREACH(node, &set->nics) {
        if (memcmp(CONTAINER_OF(node, NetNic, node)->mac, mac, NET_MAC_SIZE) == 0)
            return true;
    }
    return false;
}

static bool choose_mac(const NetSet *set, uint8_t *ret_mac, GError **error)
{
    memcpy(ret_mac, default_mac, NET_MAC_SIZE);
    for (unsigned i = 0; i < N_MACS; i++) {
        ret_mac[NET_MAC_SIZE - 1] = (uint8_t)(FIRST_MAC_BYTE + i);
        if (!has_mac(set, ret_mac))
            return true;
    }
    error_set(error, "parameter 'mac' is missing: all addresses by default are in use");
    return false;
}

static NetBackend *take_backend(NetSet *set, const char *id, GError **error)
{
    NetBackend *backend = net_set_find(set, id);

    if (!backend)
        error_set(error, "parameter 'netdev': there is no network backend '%s'", id);
    else if (backend->nic)
        error_set(error, "parameter 'netdev': network backend '%s' is used by device "
                  "'%s'", id, backend->nic->name);
    else
        return backend;
    return NULL;
}

bool net_nic_attach(NetSet *set, NetNic *nic, const char *id, const char *mac,
                    GError **error)
{
    NetBackend *backend = id ? take_backend(set, id, error) : NULL;

    if (id && !backend)
        return false;
    if (!(mac ? net_mac_parse(mac, "mac", nic->mac, error)
              : choose_mac(set, nic->mac, error)))
        return false;
    nic->set = set;
    nic->backend = backend;
    __atomic_store_n(&nic->link_up, backend && backend->link_up, __ATOMIC_RELAXED);
    if (backend)
        backend->nic = nic;
    list_append(&set->nics, &nic->node);
    return true;
}

void net_nic_detach(NetNic *nic)
{
    if (!nic->set)
        return;
    if (nic->backend) {
        net_backend_set_offloads(nic->backend, 0);
        net_backend_set_active(nic->backend, 1);
        net_backend_set_limit(nic->backend, NULL, NULL);
        for (unsigned i = 0; i < nic->backend->n_queues; i++)
            net_queue_set_loop(&nic->backend->queues[i], NULL);
        nic->backend->nic = NULL;
    }
    list_remove(&nic->node);
    nic->backend = NULL;
    nic->set = NULL;
}

unsigned net_backend_n_queues(const NetBackend *backend)
{
    return backend->n_queues;
}

NetQueue *net_backend_queue(NetBackend *backend, unsigned index)
{
    g_assert(index < backend->n_queues);
    return &backend->queues[index];
}

bool net_backend_is_in_kernel(const NetBackend *backend)
{
    return backend->n_queues > 0 && backend->queues[0].vhost;
}

unsigned net_backend_offloads(const NetBackend *backend)
{
    return backend->offloads;
}

void net_backend_set_offloads(NetBackend *backend, unsigned offloads)
{
    if (backend->driver->set_offloads)
        backend->driver->set_offloads(backend, offloads & backend->offloads);
}

bool net_backend_set_active(NetBackend *backend, unsigned n)
{
    bool is_done = true;

    for (unsigned i = 0; i < backend->n_queues && backend->driver->enable_queue; i++) {
        NetQueue *queue = &backend->queues[i];
        bool on = i < n;

        if (queue->enabled == on)
            continue;
        if (backend->driver->enable_queue(queue, on))
            queue->enabled = on;
        else
            is_done = false;
    }
    return is_done;
}
