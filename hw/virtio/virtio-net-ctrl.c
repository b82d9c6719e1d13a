/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue (virtio 1.3, section 5.1.6.5).
 *
 * A command is copied and checked as a whole before anything of it is done, so that one
 * that is refused changes nothing.  What it changes is published for the loops of the
 * pairs, which a message brings up to date.
 */
#include "berth/trace.h"

#include "virtio-net.h"

typedef struct Command {
    VirtioNet *net;
    const VirtqueueReq *req;
    struct virtio_net_ctrl_hdr header;
} Command;

#define ARGUMENTS_AT sizeof(struct virtio_net_ctrl_hdr)

/* The arguments, which must be @size bytes. */
static bool read_arguments(const Command *command, void *data, size_t size)
{
    return command->req->out_size == ARGUMENTS_AT + size &&
        virtqueue_req_read(command->req, ARGUMENTS_AT, data, size) == size;
}

/* Clients are told once until they ask. */
static void change_filter(VirtioNet *net, const VirtioNetFilter *filter)
{
    virtio_net_filter_set(net, filter);
    if (!__atomic_exchange_n(&net->filter_told, true, __ATOMIC_RELAXED))
        loop_post(net->vdev.dev->board->loop, &net->filter_changed);
}

static bool set_mode(const Command *command)
{
    VirtioNetFilter new = command->net->filter;
    bool *const modes[] = {
        [VIRTIO_NET_CTRL_RX_PROMISC] = &new.promisc,
        [VIRTIO_NET_CTRL_RX_ALLMULTI] = &new.allmulti,
        [VIRTIO_NET_CTRL_RX_ALLUNI] = &new.alluni,
        [VIRTIO_NET_CTRL_RX_NOMULTI] = &new.nomulti,
        [VIRTIO_NET_CTRL_RX_NOUNI] = &new.nouni,
        [VIRTIO_NET_CTRL_RX_NOBCAST] = &new.nobcast,
    };
    unsigned feature = command->header.cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI
        ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
    uint8_t on;

    if (command->header.cmd >= G_N_ELEMENTS(modes) ||
        !virtio_has_feature(&command->net->vdev, feature) ||
        !read_arguments(command, &on, sizeof(on)))
        return false;
    *modes[command->header.cmd] = on != 0;
    change_filter(command->net, &new);
    return true;
}

/* A table at *@at: its number of entries, then they.  Moves *@at behind it. */
static bool read_table(const Command *command, size_t *at, uint8_t *table, uint8_t *ret_n,
                       bool *ret_overflow)
{
    uint32_t n;

    if (virtqueue_req_read(command->req, *at, &n, sizeof(n)) != sizeof(n))
        return false;
    n = GUINT32_FROM_LE(n);
    *at += sizeof(n);
    if (n > (command->req->out_size - *at) / NET_MAC_SIZE)
        return false;
    *ret_overflow = n > VIRTIO_NET_MACS;
    *ret_n = *ret_overflow ? 0 : (uint8_t)n;
    virtqueue_req_read(command->req, *at, table, *ret_n * (size_t)NET_MAC_SIZE);
    *at += n * (size_t)NET_MAC_SIZE;
    return true;
}

static bool set_tables(const Command *command)
{
    VirtioNetFilter new = command->net->filter;
    size_t at = ARGUMENTS_AT;

    if (!virtio_has_feature(&command->net->vdev, VIRTIO_NET_F_CTRL_RX) ||
        !read_table(command, &at, new.uni, &new.n_uni, &new.uni_overflow) ||
        !read_table(command, &at, new.multi, &new.n_multi, &new.multi_overflow) ||
        at != command->req->out_size)
        return false;
    change_filter(command->net, &new);
    return true;
}

static bool set_address(const Command *command)
{
    VirtioNet *net = command->net;
    VirtioNetFilter new = net->filter;

    if (!virtio_has_feature(&net->vdev, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
        !read_arguments(command, new.mac, sizeof(new.mac)) || new.mac[0] & 1)
        return false;
    change_filter(net, &new);
    return true;
}

static bool run_mac(const Command *command)
{
    switch (command->header.cmd) {
    case VIRTIO_NET_CTRL_MAC_TABLE_SET:
        return set_tables(command);
    case VIRTIO_NET_CTRL_MAC_ADDR_SET:
        return set_address(command);
    default:
        return false;
    }
}

static bool set_vlan(const Command *command)
{
    VirtioNetFilter new = command->net->filter;
    uint16_t id;

    if (command->header.cmd > VIRTIO_NET_CTRL_VLAN_DEL ||
        !virtio_has_feature(&command->net->vdev, VIRTIO_NET_F_CTRL_VLAN) ||
        !read_arguments(command, &id, sizeof(id)))
        return false;
    id = GUINT16_FROM_LE(id);
    if (id >= VIRTIO_NET_VLANS)
        return false;
    if (command->header.cmd == VIRTIO_NET_CTRL_VLAN_ADD)
        new.vlans[id / 8] |= (uint8_t)(1u << id % 8);
    else
        new.vlans[id / 8] &= (uint8_t)~(1u << id % 8);
    change_filter(command->net, &new);
    return true;
}

static bool acknowledge(const Command *command)
{
    VirtioNet *net = command->net;

    return command->header.cmd == VIRTIO_NET_CTRL_ANNOUNCE_ACK &&
        virtio_has_feature(&net->vdev, VIRTIO_NET_F_GUEST_ANNOUNCE) &&
        __atomic_exchange_n(&net->announce, false, __ATOMIC_RELAXED);
}

/* The pairs' loops see how many there are when they look next. */
static void tell_pairs(VirtioNet *net)
{
    for (uint32_t i = 0; i < net->n_pairs; i++)
        loop_post(net->loops.of_queue[i], &net->pairs[i].changed);
}

static bool set_pairs(const Command *command)
{
    VirtioNet *net = command->net;
    uint16_t n;

    if (command->header.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
        !virtio_has_feature(&net->vdev, VIRTIO_NET_F_MQ) ||
        !read_arguments(command, &n, sizeof(n)))
        return false;
    n = GUINT16_FROM_LE(n);
    if (n == 0 || n > net->n_pairs)
        return false;
    __atomic_store_n(&net->n_active, n, __ATOMIC_RELAXED);
    virtio_net_apply(net);
    tell_pairs(net);
    return true;
}

static bool set_offloads(const Command *command)
{
    VirtioNet *net = command->net;
    uint64_t offloads;

    if (command->header.cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
        !virtio_has_feature(&net->vdev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        !read_arguments(command, &offloads, sizeof(offloads)))
        return false;
    offloads = GUINT64_FROM_LE(offloads);
    if (offloads & ~(net->vdev.features & VIRTIO_NET_GUEST_OFFLOADS))
        return false;
    net->guest_offloads = offloads;
    virtio_net_apply(net);
    return true;
}

static bool run(const Command *command)
{
    switch (command->header.class) {
    case VIRTIO_NET_CTRL_RX:
        return set_mode(command);
    case VIRTIO_NET_CTRL_MAC:
        return run_mac(command);
    case VIRTIO_NET_CTRL_VLAN:
        return set_vlan(command);
    case VIRTIO_NET_CTRL_ANNOUNCE:
        return acknowledge(command);
    case VIRTIO_NET_CTRL_MQ:
        return set_pairs(command);
    case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
        return set_offloads(command);
    default:
        return false;
    }
}

void virtio_net_ctrl_run(VirtioNet *net, Virtqueue *vq)
{
    VirtqueueReq *req;

    while ((req = virtqueue_pop(vq))) {
        Command command = { .net = net, .req = req };
        uint8_t status;
        bool is_done;

        if (req->in_size < sizeof(status) ||
            virtqueue_req_read(req, 0, &command.header, sizeof(command.header)) !=
                sizeof(command.header)) {
            virtqueue_error(vq, "command of %u bytes with room for %u", req->out_size,
                            req->in_size);
            virtqueue_drop(vq, req);
            return;
        }
        is_done = run(&command);
        TRACE(virtio_net_ctrl, "class %u command %u: %s", command.header.class,
              command.header.cmd, is_done ? "done" : "refused");
        status = is_done ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
        virtqueue_req_write(req, 0, &status, sizeof(status));
        virtqueue_push(vq, req, sizeof(status));
    }
}
