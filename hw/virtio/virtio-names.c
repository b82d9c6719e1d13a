/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feature bits 0 to 23 and 50 to 63 are those of the kind of device (virtio 1.3, 2.2);
 * the others are those of all.
 */
#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_mem.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_scsi.h>
#include <linux/virtio_vsock.h>

#include "virtio-names.h"

typedef struct BitName {
    uint64_t bit;               /* 0 ends the table */
    const char *name;
} BitName;

#define BIT_NAME(number) { UINT64_C(1) << (number), #number }
#define MASK_NAME(mask) { mask, #mask }
#define BIT_NAMES_END { 0, NULL }

static const BitName of_all[] = {
    BIT_NAME(VIRTIO_F_NOTIFY_ON_EMPTY), BIT_NAME(VIRTIO_F_ANY_LAYOUT),
    BIT_NAME(VIRTIO_RING_F_INDIRECT_DESC), BIT_NAME(VIRTIO_RING_F_EVENT_IDX),
    BIT_NAME(VIRTIO_F_VERSION_1), BIT_NAME(VIRTIO_F_ACCESS_PLATFORM),
    BIT_NAME(VIRTIO_F_RING_PACKED), BIT_NAME(VIRTIO_F_IN_ORDER),
    BIT_NAME(VIRTIO_F_ORDER_PLATFORM), BIT_NAME(VIRTIO_F_SR_IOV),
    BIT_NAME(VIRTIO_F_RING_RESET), BIT_NAMES_END
};
static const BitName of_net[] = {
    BIT_NAME(VIRTIO_NET_F_CSUM), BIT_NAME(VIRTIO_NET_F_GUEST_CSUM),
    BIT_NAME(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS), BIT_NAME(VIRTIO_NET_F_MTU),
    BIT_NAME(VIRTIO_NET_F_MAC), BIT_NAME(VIRTIO_NET_F_GSO),
    BIT_NAME(VIRTIO_NET_F_GUEST_TSO4), BIT_NAME(VIRTIO_NET_F_GUEST_TSO6),
    BIT_NAME(VIRTIO_NET_F_GUEST_ECN), BIT_NAME(VIRTIO_NET_F_GUEST_UFO),
    BIT_NAME(VIRTIO_NET_F_HOST_TSO4), BIT_NAME(VIRTIO_NET_F_HOST_TSO6),
    BIT_NAME(VIRTIO_NET_F_HOST_ECN), BIT_NAME(VIRTIO_NET_F_HOST_UFO),
    BIT_NAME(VIRTIO_NET_F_MRG_RXBUF), BIT_NAME(VIRTIO_NET_F_STATUS),
    BIT_NAME(VIRTIO_NET_F_CTRL_VQ), BIT_NAME(VIRTIO_NET_F_CTRL_RX),
    BIT_NAME(VIRTIO_NET_F_CTRL_VLAN), BIT_NAME(VIRTIO_NET_F_CTRL_RX_EXTRA),
    BIT_NAME(VIRTIO_NET_F_GUEST_ANNOUNCE), BIT_NAME(VIRTIO_NET_F_MQ),
    BIT_NAME(VIRTIO_NET_F_CTRL_MAC_ADDR), BIT_NAME(VIRTIO_NET_F_RSS),
    BIT_NAME(VIRTIO_NET_F_SPEED_DUPLEX), BIT_NAMES_END
};
static const BitName of_blk[] = {
    BIT_NAME(VIRTIO_BLK_F_SIZE_MAX), BIT_NAME(VIRTIO_BLK_F_SEG_MAX),
    BIT_NAME(VIRTIO_BLK_F_GEOMETRY), BIT_NAME(VIRTIO_BLK_F_RO),
    BIT_NAME(VIRTIO_BLK_F_BLK_SIZE), BIT_NAME(VIRTIO_BLK_F_FLUSH),
    BIT_NAME(VIRTIO_BLK_F_TOPOLOGY), BIT_NAME(VIRTIO_BLK_F_CONFIG_WCE),
    BIT_NAME(VIRTIO_BLK_F_MQ), BIT_NAME(VIRTIO_BLK_F_DISCARD),
    BIT_NAME(VIRTIO_BLK_F_WRITE_ZEROES), BIT_NAMES_END
};
static const BitName of_console[] = {
    BIT_NAME(VIRTIO_CONSOLE_F_SIZE), BIT_NAME(VIRTIO_CONSOLE_F_MULTIPORT),
    BIT_NAME(VIRTIO_CONSOLE_F_EMERG_WRITE), BIT_NAMES_END
};
static const BitName of_balloon[] = {
    BIT_NAME(VIRTIO_BALLOON_F_MUST_TELL_HOST), BIT_NAME(VIRTIO_BALLOON_F_STATS_VQ),
    BIT_NAME(VIRTIO_BALLOON_F_DEFLATE_ON_OOM), BIT_NAME(VIRTIO_BALLOON_F_FREE_PAGE_HINT),
    BIT_NAME(VIRTIO_BALLOON_F_PAGE_POISON), BIT_NAME(VIRTIO_BALLOON_F_REPORTING),
    BIT_NAMES_END
};
static const BitName of_scsi[] = {
    BIT_NAME(VIRTIO_SCSI_F_INOUT), BIT_NAME(VIRTIO_SCSI_F_HOTPLUG),
    BIT_NAME(VIRTIO_SCSI_F_CHANGE), BIT_NAME(VIRTIO_SCSI_F_T10_PI), BIT_NAMES_END
};
static const BitName of_vsock[] = { BIT_NAME(VIRTIO_VSOCK_F_SEQPACKET), BIT_NAMES_END };
static const BitName of_mem[] = {
    BIT_NAME(VIRTIO_MEM_F_ACPI_PXM), BIT_NAME(VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE),
    BIT_NAMES_END
};
static const BitName of_others[] = { BIT_NAMES_END };
static const BitName of_status[] = {
    MASK_NAME(VIRTIO_CONFIG_S_ACKNOWLEDGE), MASK_NAME(VIRTIO_CONFIG_S_DRIVER),
    MASK_NAME(VIRTIO_CONFIG_S_FEATURES_OK), MASK_NAME(VIRTIO_CONFIG_S_DRIVER_OK),
    MASK_NAME(VIRTIO_CONFIG_S_NEEDS_RESET), MASK_NAME(VIRTIO_CONFIG_S_FAILED),
    BIT_NAMES_END
};

static const BitName *names_of(uint16_t id)
{
    switch (id) {
    case VIRTIO_ID_NET:
        return of_net;
    case VIRTIO_ID_BLOCK:
        return of_blk;
    case VIRTIO_ID_CONSOLE:
        return of_console;
    case VIRTIO_ID_BALLOON:
        return of_balloon;
    case VIRTIO_ID_SCSI:
        return of_scsi;
    case VIRTIO_ID_VSOCK:
        return of_vsock;
    case VIRTIO_ID_MEM:
        return of_mem;
    default:
        return of_others;
    }
}

/* Adds the names of bits that are set, and takes these out of *@bits. */
static void add_names(StrList *list, const BitName *names, uint64_t *bits)
{
    for (; names->bit; names++) {
        if (!(*bits & names->bit))
            continue;
        StrList_append(list, g_strdup(names->name));
        *bits &= ~names->bit;
    }
}

VirtioDeviceFeatures *virtio_names_features(uint16_t id, uint64_t features)
{
    VirtioDeviceFeatures *info = g_new0(VirtioDeviceFeatures, 1);

    info->transports = StrList_new();
    info->dev_features = StrList_new();
    add_names(info->dev_features, names_of(id), &features);
    add_names(info->transports, of_all, &features);
    info->has_unknown_dev_features = features != 0;
    info->unknown_dev_features = features;
    return info;
}

VirtioDeviceStatus *virtio_names_status(uint8_t status)
{
    VirtioDeviceStatus *info = g_new0(VirtioDeviceStatus, 1);
    uint64_t unknown = status;

    info->statuses = StrList_new();
    add_names(info->statuses, of_status, &unknown);
    info->has_unknown_statuses = unknown != 0;
    info->unknown_statuses = (uint8_t)unknown;
    return info;
}
