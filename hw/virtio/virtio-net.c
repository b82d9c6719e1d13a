/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device (virtio 1.3, section 5.1): properties, features, configuration, and
 * its life.
 *
 * What the backend cannot do is not offered: without its offloads a guest makes whole
 * frames with checksums, and gets such.
 *
 * The control queue is the last one, or number 2 for a driver without MQ, which then has
 * no second pair.
 *
 * Left out: RSC, RSS, hash reports, notification coalescing, failover.
 */
#include <string.h>

#include "berth/error.h"

#include "virtio-net.h"

#define MAX_QUEUES (2 * NET_QUEUES_MAX + 1)
#define CTRL_QUEUE_SIZE 64u
#define CTRL_QUEUE_WITHOUT_MQ 2u
#define DUPLEX_HALF 0
#define DUPLEX_FULL 1
#define DUPLEX_UNKNOWN 0xff
#define MIN_MTU 68u

#define FEATURE(bit) (1ull << (bit))

/* Features that are offered when the operator and the backend have nothing against it. */
typedef struct OffloadFeature {
    unsigned bit;
    size_t property;            /* offset of a bool in VirtioNetProps */
    unsigned needs;             /* NetOffload, all of them */
} OffloadFeature;

#define OFFLOAD(bit_, property_, needs_)                                                 \
    { VIRTIO_NET_F_##bit_, offsetof(VirtioNetProps, property_), needs_ }
#define USO (NET_OFFLOAD_USO4 | NET_OFFLOAD_USO6)

static const OffloadFeature offload_features[] = {
    OFFLOAD(CSUM, csum, NET_OFFLOAD_CSUM),
    OFFLOAD(GUEST_CSUM, guest_csum, NET_OFFLOAD_CSUM),
    OFFLOAD(HOST_TSO4, host_tso4, NET_OFFLOAD_TSO4),
    OFFLOAD(HOST_TSO6, host_tso6, NET_OFFLOAD_TSO6),
    OFFLOAD(HOST_ECN, host_ecn, NET_OFFLOAD_ECN),
    OFFLOAD(HOST_UFO, host_ufo, NET_OFFLOAD_UFO),
    OFFLOAD(HOST_USO, host_uso, USO),
    OFFLOAD(GUEST_TSO4, guest_tso4, NET_OFFLOAD_TSO4),
    OFFLOAD(GUEST_TSO6, guest_tso6, NET_OFFLOAD_TSO6),
    OFFLOAD(GUEST_ECN, guest_ecn, NET_OFFLOAD_ECN),
    OFFLOAD(GUEST_UFO, guest_ufo, NET_OFFLOAD_UFO),
    OFFLOAD(GUEST_USO4, guest_uso4, USO),
    OFFLOAD(GUEST_USO6, guest_uso6, USO),
};

/* Those of the control queue, which they need. */
static const OffloadFeature ctrl_features[] = {
    OFFLOAD(CTRL_RX, ctrl_rx, 0),
    OFFLOAD(CTRL_RX_EXTRA, ctrl_rx_extra, 0),
    OFFLOAD(CTRL_VLAN, ctrl_vlan, 0),
    OFFLOAD(CTRL_MAC_ADDR, ctrl_mac_addr, 0),
    OFFLOAD(CTRL_GUEST_OFFLOADS, ctrl_guest_offloads, NET_OFFLOAD_CSUM),
    OFFLOAD(GUEST_ANNOUNCE, guest_announce, 0),
};

/* What the guest takes, as the backend calls it. */
static const struct {
    unsigned bit;
    unsigned offload;
} guest_offloads[] = {
    { VIRTIO_NET_F_GUEST_CSUM, NET_OFFLOAD_CSUM },
    { VIRTIO_NET_F_GUEST_TSO4, NET_OFFLOAD_TSO4 },
    { VIRTIO_NET_F_GUEST_TSO6, NET_OFFLOAD_TSO6 },
    { VIRTIO_NET_F_GUEST_ECN, NET_OFFLOAD_ECN },
    { VIRTIO_NET_F_GUEST_UFO, NET_OFFLOAD_UFO },
    { VIRTIO_NET_F_GUEST_USO4, NET_OFFLOAD_USO4 },
    { VIRTIO_NET_F_GUEST_USO6, NET_OFFLOAD_USO6 },
};

static uint64_t offer(const VirtioNet *net, const OffloadFeature *table, size_t n)
{
    unsigned offloads = net->nic.backend ? net_backend_offloads(net->nic.backend) : 0;
    uint64_t features = 0;

    for (size_t i = 0; i < n; i++) {
        bool is_wanted = *(const bool *)((const char *)net->props + table[i].property);

        if (is_wanted && (table[i].needs & ~offloads) == 0)
            features |= FEATURE(table[i].bit);
    }
    return features;
}

/* A feature that others need is not left out from under them. */
static uint64_t drop_orphans(uint64_t features)
{
    if (!(features & FEATURE(VIRTIO_NET_F_CSUM)))
        features &= ~(FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6) |
                      FEATURE(VIRTIO_NET_F_HOST_UFO) | FEATURE(VIRTIO_NET_F_HOST_USO));
    if (!(features & (FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6))))
        features &= ~FEATURE(VIRTIO_NET_F_HOST_ECN);
    if (!(features & FEATURE(VIRTIO_NET_F_GUEST_CSUM)))
        features &= ~VIRTIO_NET_GUEST_OFFLOADS;
    if (!(features & (FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
                      FEATURE(VIRTIO_NET_F_GUEST_TSO6))))
        features &= ~FEATURE(VIRTIO_NET_F_GUEST_ECN);
    return features;
}

static void offer_features(VirtioNet *net)
{
    const VirtioNetProps *props = net->props;
    uint64_t features = FEATURE(VIRTIO_NET_F_MAC) |
                        offer(net, offload_features, G_N_ELEMENTS(offload_features));

    if (props->status)
        features |= FEATURE(VIRTIO_NET_F_STATUS);
    if (props->host_mtu)
        features |= FEATURE(VIRTIO_NET_F_MTU);
    if (props->mrg_rxbuf)
        features |= FEATURE(VIRTIO_NET_F_MRG_RXBUF);
    if (props->speed >= 0 || props->duplex)
        features |= FEATURE(VIRTIO_NET_F_SPEED_DUPLEX);
    if (props->ctrl_vq) {
        features |= FEATURE(VIRTIO_NET_F_CTRL_VQ) |
                    offer(net, ctrl_features, G_N_ELEMENTS(ctrl_features));
        if (net->n_pairs > 1)
            features |= FEATURE(VIRTIO_NET_F_MQ);
    }
    if (!props->status)
        features &= ~FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE);
    net->vdev.offered |= drop_orphans(features);
}

static void virtio_net_read_config(VirtioDevice *vdev, void *bytes)
{
    const VirtioNet *net = virtio_net_of(vdev);
    const VirtioNetProps *props = net->props;
    uint16_t status = virtio_net_link_is_up(net) ? VIRTIO_NET_S_LINK_UP : 0;
    struct virtio_net_config config = {
        .max_virtqueue_pairs = GUINT16_TO_LE((uint16_t)net->n_pairs),
        .mtu = GUINT16_TO_LE(props->host_mtu),
        .speed = GUINT32_TO_LE((uint32_t)props->speed),
        .duplex = !props->duplex ? DUPLEX_UNKNOWN
            : strcmp(props->duplex, "full") == 0 ? DUPLEX_FULL : DUPLEX_HALF,
    };

    if (__atomic_load_n(&net->announce, __ATOMIC_RELAXED))
        status |= VIRTIO_NET_S_ANNOUNCE;
    config.status = GUINT16_TO_LE(status);
    memcpy(config.mac, net->filter.mac, NET_MAC_SIZE);
    memcpy(bytes, &config, MIN(sizeof(config), vdev->class->config_size));
}

static void on_queue(void *opaque, bool may_send)
{
    VirtioNetPair *pair = opaque;

    if (pair->blocked && may_send) {
        pair->blocked = false;
        virtqueue_run(pair->tx);
    }
    virtqueue_run(pair->rx);
    virtio_net_poll(pair);
}

void virtio_net_poll(VirtioNetPair *pair)
{
    bool rx = !pair->starved && !pair->lost && virtio_net_link_is_up(pair->net) &&
        pair->rx->running &&
        pair->index < __atomic_load_n(&pair->net->n_active, __ATOMIC_RELAXED);

    if (pair->queue)
        net_queue_wait(pair->queue, rx, pair->blocked);
}

/* The first time that a queue of the pair is served. */
static void start_pair(VirtioNetPair *pair)
{
    g_autoptr(GError) error = NULL;

    pair->running = true;
    if (pair->queue && !net_queue_start(pair->queue, on_queue, pair, &error))
        device_host_error(pair->net->vdev.dev, "pair %u does not start: %s", pair->index,
                          error->message);
}

bool virtio_net_is_ctrl(const VirtioNet *net, uint32_t index)
{
    return virtio_has_feature(&net->vdev, VIRTIO_NET_F_CTRL_VQ) &&
        index == (virtio_has_feature(&net->vdev, VIRTIO_NET_F_MQ)
                  ? 2 * net->n_pairs : CTRL_QUEUE_WITHOUT_MQ);
}

static void virtio_net_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioNet *net = virtio_net_of(vdev);
    VirtioNetPair *pair;

    if (virtio_net_is_ctrl(net, vq->index)) {
        virtio_net_ctrl_run(net, vq);
        return;
    }
    if (vq->index / 2 >= net->n_pairs)
        return;
    pair = &net->pairs[vq->index / 2];
    if (!pair->running)
        start_pair(pair);
    if (vq == pair->rx)
        virtio_net_rx_run(pair);
    else
        virtio_net_tx_run(pair);
}

/* The link, or the number of pairs, is another. */
static void on_changed(void *opaque)
{
    VirtioNetPair *pair = opaque;

    if (!pair->running)
        return;
    pair->blocked = false;
    virtqueue_run(pair->tx);
    virtqueue_run(pair->rx);
    virtio_net_poll(pair);
}

static void on_link_changed(NetNic *nic)
{
    VirtioNet *net = CONTAINER_OF(nic, VirtioNet, nic);

    if (net->kernel)
        virtio_restart(&net->vdev);
    virtio_config_changed(&net->vdev);
    for (uint32_t i = 0; i < net->n_pairs; i++)
        loop_post(net->loops.of_queue[i], &net->pairs[i].changed);
}

static void on_filter_changed(void *opaque)
{
    const VirtioNet *net = opaque;
    const Device *dev = net->vdev.dev;
    const Board *board = dev->board;

    if (board->ops && board->ops->rx_filter_changed)
        board->ops->rx_filter_changed(board->opaque, dev->id, dev->path);
}

/* On the loop of the first pair: a RARP frame that says who is here (RFC 903). */
static void send_rarp(void *opaque)
{
    static const uint8_t rarp[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };
    VirtioNet *net = opaque;
    uint8_t bytes[NET_HEADER_SIZE + ETH_ZLEN] = { 0 };
    uint8_t *frame = bytes + NET_HEADER_SIZE;
    struct iovec iov = { bytes, sizeof(bytes) };

    if (!net->pairs[0].queue || !virtio_net_link_is_up(net))
        return;
    memset(frame, 0xff, NET_MAC_SIZE);
    memcpy(frame + 12, rarp, sizeof(rarp));
    lock_take(&net->vdev.dev->lock);
    memcpy(frame + 6, net->filter.mac, NET_MAC_SIZE);
    lock_drop(&net->vdev.dev->lock);
    /* Sender and target; their addresses of IP are nobody's. */
    memcpy(frame + 22, frame + 6, NET_MAC_SIZE);
    memcpy(frame + 32, frame + 6, NET_MAC_SIZE);
    net_queue_send(net->pairs[0].queue, &iov, 1);
}

static void on_announce(NetNic *nic)
{
    VirtioNet *net = CONTAINER_OF(nic, VirtioNet, nic);
    Device *dev = net->vdev.dev;
    bool can_itself;

    loop_post(net->loops.of_queue[0], &net->rarp);
    lock_take(&dev->lock);
    can_itself = virtio_has_feature(&net->vdev, VIRTIO_NET_F_GUEST_ANNOUNCE) &&
        net->vdev.status & VIRTIO_CONFIG_S_DRIVER_OK;
    lock_drop(&dev->lock);
    if (!can_itself)
        return;
    __atomic_store_n(&net->announce, true, __ATOMIC_RELAXED);
    virtio_config_changed(&net->vdev);
}

static const NetCounters *on_counted(const NetNic *nic, unsigned pair)
{
    return &CONTAINER_OF(nic, const VirtioNet, nic)->pairs[pair].counters;
}

static void virtio_net_stop_loop(VirtioDevice *vdev, Loop *loop)
{
    VirtioNet *net = virtio_net_of(vdev);

    for (uint32_t i = 0; i < net->n_pairs; i++) {
        VirtioNetPair *pair = &net->pairs[i];

        if (net->loops.of_queue[i] != loop || !pair->running)
            continue;
        if (pair->queue)
            net_queue_stop(pair->queue);
        virtio_net_rx_stop(pair);
        pair->running = false;
        pair->starved = pair->blocked = pair->lost = false;
        pair->n_errors = 0;
    }
}

void virtio_net_apply(VirtioNet *net)
{
    unsigned offloads = 0;

    if (!net->nic.backend)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(guest_offloads); i++) {
        if (net->guest_offloads & FEATURE(guest_offloads[i].bit))
            offloads |= guest_offloads[i].offload;
    }
    net_backend_set_offloads(net->nic.backend, offloads);
    if (!net_backend_set_active(net->nic.backend, net->n_active))
        device_host_error(net->vdev.dev, "the host did not change the number of queues");
}

/* The offloads of a driver that starts are those that it accepted. */
static bool virtio_net_start(VirtioDevice *vdev, GError **error)
{
    VirtioNet *net = virtio_net_of(vdev);

    if (!virtio_has_feature(vdev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        !net->has_offloads) {
        net->guest_offloads = vdev->features & VIRTIO_NET_GUEST_OFFLOADS;
        net->has_offloads = true;
    }
    virtio_net_apply(net);
    return virtio_net_kernel_start(net, error);
}

static void virtio_net_reset(VirtioDevice *vdev)
{
    VirtioNet *net = virtio_net_of(vdev);

    __atomic_store_n(&net->n_active, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&net->announce, false, __ATOMIC_RELAXED);
    net->guest_offloads = 0;
    net->has_offloads = false;
    virtio_net_filter_reset(net);
    virtio_net_apply(net);
}

static Loop *virtio_net_queue_loop(VirtioDevice *vdev, uint32_t index)
{
    const VirtioNet *net = virtio_net_of(vdev);

    return index / 2 < net->n_pairs ? net->loops.of_queue[index / 2] : vdev->loop;
}

static bool check_power_of_two(const char *name, uint32_t value, GError **error)
{
    if ((value & (value - 1)) == 0)
        return true;
    error_set(error, "parameter '%s' expects a power of two", name);
    return false;
}

static bool refuse(GError **error, const char *name, const char *why)
{
    error_set(error, "parameter '%s': %s", name, why);
    return false;
}

static bool virtio_net_check(const DeviceAddArgs *args, GError **error)
{
    const VirtioNetProps *props = &args->u.virtio_net_pci;

    if (props->failover)
        return refuse(error, "failover",
                      "no device of the host can take over: leave it out");
    if (props->rss || props->hash)
        return refuse(error, props->rss ? "rss" : "hash", "the host spreads frames");
    if (props->guest_rsc_ext)
        return refuse(error, "guest_rsc_ext", "segments are not merged");
    if (props->tx && strcmp(props->tx, "bh") != 0)
        return refuse(error, "tx", "only 'bh' is there");
    if (props->host_mtu && props->host_mtu < MIN_MTU)
        return refuse(error, "host_mtu", "expects 0, or 68 and more");
    if (props->duplex && strcmp(props->duplex, "full") != 0 &&
        strcmp(props->duplex, "half") != 0)
        return refuse(error, "duplex", "expects 'half' or 'full'");
    return check_power_of_two("rx_queue_size", props->rx_queue_size, error) &&
        check_power_of_two("tx_queue_size", props->tx_queue_size, error);
}

static void make_queues(VirtioNet *net)
{
    VirtioDevice *vdev = &net->vdev;

    virtio_make_queues(vdev, 2 * net->n_pairs + net->props->ctrl_vq,
                       VIRTQUEUE_SIZE_MAX);
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        Virtqueue *vq = &vdev->queues[i];

        vq->max_size = i == 2 * net->n_pairs ? CTRL_QUEUE_SIZE
            : i % 2 == 0 ? net->props->rx_queue_size : net->props->tx_queue_size;
        virtqueue_reset(vq);
    }
}

static void make_pairs(VirtioNet *net)
{
    net->pairs = g_new0(VirtioNetPair, net->n_pairs);
    for (uint32_t i = 0; i < net->n_pairs; i++) {
        VirtioNetPair *pair = &net->pairs[i];

        pair->net = net;
        pair->index = i;
        pair->queue = net->nic.backend ? net_backend_queue(net->nic.backend, i) : NULL;
        pair->rx = &net->vdev.queues[2 * i];
        pair->tx = &net->vdev.queues[2 * i + 1];
        if (pair->queue)
            net_queue_set_loop(pair->queue, net->loops.of_queue[i]);
        loop_message_init(&pair->changed, on_changed, pair);
        virtio_net_rx_init(pair);
    }
}

static void cancel_message(void *opaque)
{
    VirtioNetPair *pair = opaque;

    VirtioNet *net = pair->net;
    Loop *loop = net->loops.of_queue[pair->index];

    loop_message_cancel(loop, &pair->changed);
    if (pair->index == 0)
        loop_message_cancel(loop, &net->rarp);
}

static void virtio_net_unrealize(VirtioDevice *vdev)
{
    VirtioNet *net = virtio_net_of(vdev);

    virtio_net_kernel_done(net);
    net_nic_detach(&net->nic);
    object_release(net->limits);
    loop_message_cancel(vdev->dev->board->loop, &net->filter_changed);
    for (uint32_t i = 0; net->pairs && i < net->n_pairs; i++) {
        loop_call_sync(net->loops.of_queue[i], cancel_message, &net->pairs[i]);
        virtio_net_rx_done(&net->pairs[i]);
    }
    g_free(net->pairs);
    virtio_net_filter_done(net);
    virtio_loops_done(&net->loops);
}

/* Limits that the queues of its backend share with others. */
static bool take_limits(VirtioNet *net, GError **error)
{
    const char *id = net->props->throttle_group;

    if (!id)
        return true;
    if (!net->nic.backend) {
        error_set(error, "parameter 'throttle-group': there is no backend to limit");
        return false;
    }
    net->limits = object_hold(net->vdev.dev->board->objects, id, OBJECT_FAMILY_NET_LIMIT,
                              error);
    if (!net->limits) {
        g_prefix_error(error, "parameter 'throttle-group': ");
        return false;
    }
    return net_backend_set_limit(net->nic.backend, object_net_throttle_limit(net->limits),
                                 error);
}

static bool virtio_net_realize(VirtioDevice *vdev, const DeviceAddArgs *args,
                               GError **error)
{
    VirtioNet *net = virtio_net_of(vdev);
    const VirtioNetProps *props = &args->u.virtio_net_pci;

    net->props = props;
    net->nic.name = device_name(vdev->dev);
    net->nic.model = DeviceDriver_str(args->driver);
    net->nic.path = vdev->dev->path;
    net->nic.link_changed = on_link_changed;
    net->nic.counted = on_counted;
    net->nic.query_filter = virtio_net_filter_query;
    net->nic.announce = on_announce;
    loop_message_init(&net->rarp, send_rarp, net);
    loop_message_init(&net->filter_changed, on_filter_changed, net);
    if (!net_nic_attach(vdev->dev->board->nets, &net->nic, props->netdev, props->mac,
                        error))
        return false;
    net->n_pairs = props->mq && props->ctrl_vq && net->nic.backend
        ? net_backend_n_queues(net->nic.backend) : 1;
    make_queues(net);
    if (!virtio_loops_init(&net->loops, vdev, net->n_pairs, props->iothread,
                           props->iothread_vq_mapping, error)) {
        virtio_net_unrealize(vdev);
        return false;
    }
    make_pairs(net);
    if (!take_limits(net, error)) {
        virtio_net_unrealize(vdev);
        return false;
    }
    net->nic.n_pairs = net->n_pairs;
    net->n_active = 1;
    virtio_net_filter_reset(net);
    offer_features(net);
    if (virtio_net_kernel_init(net, error))
        return true;
    virtio_net_unrealize(vdev);
    return false;
}

static bool virtio_net_post_load(void *opaque, GError **error)
{
    VirtioNet *net = opaque;
    const VirtioNetFilter *filter = &net->filter;
    const char *field = net->n_active == 0 || net->n_active > net->n_pairs ? "n_active"
        : filter->n_uni > VIRTIO_NET_MACS ? "n_uni"
        : filter->n_multi > VIRTIO_NET_MACS ? "n_multi"
        : net->guest_offloads & ~VIRTIO_NET_GUEST_OFFLOADS ? "guest_offloads" : NULL;

    if (field) {
        error_set(error, "field '%s' has an impossible value", field);
        return false;
    }
    virtio_net_filter_publish(net);
    return true;
}

static const VMStateField filter_fields[] = {
    VMSTATE_BYTES(VirtioNetFilter, mac, NET_MAC_SIZE),
    VMSTATE_BOOL(VirtioNetFilter, promisc),
    VMSTATE_BOOL(VirtioNetFilter, allmulti),
    VMSTATE_BOOL(VirtioNetFilter, alluni),
    VMSTATE_BOOL(VirtioNetFilter, nomulti),
    VMSTATE_BOOL(VirtioNetFilter, nouni),
    VMSTATE_BOOL(VirtioNetFilter, nobcast),
    VMSTATE_BOOL(VirtioNetFilter, uni_overflow),
    VMSTATE_BOOL(VirtioNetFilter, multi_overflow),
    VMSTATE_U8(VirtioNetFilter, n_uni),
    VMSTATE_U8(VirtioNetFilter, n_multi),
    VMSTATE_BYTES(VirtioNetFilter, uni, VIRTIO_NET_MACS * NET_MAC_SIZE),
    VMSTATE_BYTES(VirtioNetFilter, multi, VIRTIO_NET_MACS * NET_MAC_SIZE),
    VMSTATE_BYTES(VirtioNetFilter, vlans, VIRTIO_NET_VLANS / 8),
    VMSTATE_END
};

static const VMStateDesc filter_vmstate = {
    .name = "virtio-net-filter", .version = 1, .min_version = 1, .fields = filter_fields,
};

static const VMStateField virtio_net_fields[] = {
    VMSTATE_U16(VirtioNet, n_active),
    VMSTATE_U64(VirtioNet, guest_offloads),
    VMSTATE_BOOL(VirtioNet, has_offloads),
    VMSTATE_BOOL(VirtioNet, announce),
    VMSTATE_STRUCT(VirtioNet, filter, filter_vmstate),
    VMSTATE_END
};

static const VMStateDesc virtio_net_vmstate = {
    .name = "virtio-net", .version = 1, .min_version = 1, .fields = virtio_net_fields,
    .post_load = virtio_net_post_load,
};

const VirtioClass virtio_net_class = {
    .name = "virtio-net",
    .description = "network device",
    .id = VIRTIO_ID_NET,
    .n_queues = MAX_QUEUES,
    .queue_size = VIRTQUEUE_SIZE_MAX,
    .max_segments = VIRTIO_NET_SEGMENTS,
    .config_size = offsetof(struct virtio_net_config, duplex) + 1,
    .instance_size = sizeof(VirtioNet),
    .pci_class = 0x020000,
    .vmstate = &virtio_net_vmstate,
    .check = virtio_net_check,
    .realize = virtio_net_realize,
    .unrealize = virtio_net_unrealize,
    .start = virtio_net_start,
    .stop = virtio_net_kernel_stop,
    .stop_loop = virtio_net_stop_loop,
    .reset = virtio_net_reset,
    .queue_loop = virtio_net_queue_loop,
    .is_external = virtio_net_kernel_is_external,
    .memory_added = virtio_net_kernel_memory_added,
    .irqfd_changed = virtio_net_kernel_irqfd_changed,
    .read_config = virtio_net_read_config,
    .handle_queue = virtio_net_handle_queue,
};
