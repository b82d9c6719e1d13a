/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which frames a guest takes (virtio 1.3, sections 5.1.6.5.1 to 5.1.6.5.3): its modes,
 * its tables of addresses, its VLANs.
 *
 * The control queue changes a copy of its own and publishes another; the loops that
 * receive look at that one without a lock.
 */
#include <string.h>

#include "virtio-net.h"

#define VLAN_TAG_AT 14u         /* in a frame, of the tag's two bytes */
#define VLAN_ID_MASK 0xfffu

static void free_filter(QsbrNode *node)
{
    g_free(CONTAINER_OF(node, VirtioNetFilter, node));
}

void virtio_net_filter_publish(VirtioNet *net)
{
    VirtioNetFilter *new = g_memdup2(&net->filter, sizeof(net->filter));
    VirtioNetFilter *old = __atomic_exchange_n(&net->published, new, __ATOMIC_ACQ_REL);

    if (old)
        qsbr_defer(&old->node, free_filter);
}

void virtio_net_filter_done(VirtioNet *net)
{
    g_clear_pointer(&net->published, g_free);
}

void virtio_net_filter_set(VirtioNet *net, const VirtioNetFilter *filter)
{
    /* The registers read the address. */
    lock_take(&net->vdev.dev->lock);
    net->filter = *filter;
    lock_drop(&net->vdev.dev->lock);
    virtio_net_filter_publish(net);
}

/* A driver that knows nothing of filters gets everything. */
void virtio_net_filter_reset(VirtioNet *net)
{
    VirtioNetFilter new = { .promisc = true };

    memcpy(new.mac, net->nic.mac, NET_MAC_SIZE);
    virtio_net_filter_set(net, &new);
}

static char *mac_text(const uint8_t *mac)
{
    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                           mac[3], mac[4], mac[5]);
}

static StrList *mac_list(const uint8_t *table, unsigned n)
{
    StrList *list = StrList_new();

    for (unsigned i = 0; i < n; i++)
        StrList_append(list, mac_text(table + i * NET_MAC_SIZE));
    return list;
}

static RxState state_of(bool none, bool all)
{
    return none ? RX_STATE_NONE : all ? RX_STATE_ALL : RX_STATE_NORMAL;
}

RxFilterInfo *virtio_net_filter_query(NetNic *nic, bool tells_again)
{
    VirtioNet *net = CONTAINER_OF(nic, VirtioNet, nic);
    RxFilterInfo *info = g_new0(RxFilterInfo, 1);
    bool has_vlans = virtio_has_feature(&net->vdev, VIRTIO_NET_F_CTRL_VLAN);
    VirtioNetFilter filter;

    if (tells_again)
        __atomic_store_n(&net->filter_told, false, __ATOMIC_RELAXED);
    lock_take(&net->vdev.dev->lock);
    filter = net->filter;
    lock_drop(&net->vdev.dev->lock);
    *info = (RxFilterInfo) {
        .name = g_strdup(nic->name),
        .promiscuous = filter.promisc,
        .multicast = state_of(filter.nomulti, filter.allmulti),
        .unicast = state_of(filter.nouni, filter.alluni),
        .vlan = state_of(false, !has_vlans),
        .broadcast_allowed = !filter.nobcast,
        .multicast_overflow = filter.multi_overflow,
        .unicast_overflow = filter.uni_overflow,
        .main_mac = mac_text(filter.mac),
        .vlan_table = IntList_new(),
        .unicast_table = mac_list(filter.uni, filter.n_uni),
        .multicast_table = mac_list(filter.multi, filter.n_multi),
    };
    for (unsigned id = 0; has_vlans && id < VIRTIO_NET_VLANS; id++) {
        if (filter.vlans[id / 8] >> id % 8 & 1)
            IntList_append(info->vlan_table, id);
    }
    return info;
}

static bool has_mac(const uint8_t *table, unsigned n, const uint8_t *mac)
{
    for (unsigned i = 0; i < n; i++) {
        if (memcmp(table + i * NET_MAC_SIZE, mac, NET_MAC_SIZE) == 0)
            return true;
    }
    return false;
}

static bool takes_vlan(const VirtioNetFilter *filter, const uint8_t *frame, size_t size)
{
    unsigned id;

    if (size < VLAN_TAG_AT + 2 || frame[12] != ETH_P_8021Q >> 8 ||
        frame[13] != (ETH_P_8021Q & 0xff))
        return true;
    id = (frame[VLAN_TAG_AT] << 8 | frame[VLAN_TAG_AT + 1]) & VLAN_ID_MASK;
    return filter->vlans[id / 8] >> id % 8 & 1;
}

bool virtio_net_filter_takes(const VirtioNet *net, const uint8_t *frame, size_t size)
{
    static const uint8_t broadcast[NET_MAC_SIZE] = { 255, 255, 255, 255, 255, 255 };
    const VirtioNetFilter *filter = __atomic_load_n(&net->published, __ATOMIC_ACQUIRE);

    if (size < NET_MAC_SIZE || filter->promisc)
        return true;
    if (virtio_has_feature(&net->vdev, VIRTIO_NET_F_CTRL_VLAN) &&
        !takes_vlan(filter, frame, size))
        return false;
    if (memcmp(frame, broadcast, NET_MAC_SIZE) == 0)
        return !filter->nobcast;
    if (frame[0] & 1)
        return !filter->nomulti &&
            (filter->allmulti || filter->multi_overflow ||
             has_mac(filter->multi, filter->n_multi, frame));
    return !filter->nouni &&
        (filter->alluni || filter->uni_overflow ||
         memcmp(frame, filter->mac, NET_MAC_SIZE) == 0 ||
         has_mac(filter->uni, filter->n_uni, frame));
}
