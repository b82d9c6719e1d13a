/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of devices in the form in which firmware for virtual machines names them (IEEE
 * 1275 with its PCI binding):
 *
 *     /pci@i0cf8/scsi@3/disk@0,0              virtio-blk in slot 3 of the root bus
 *     /pci@i0cf8/pci-bridge@1/scsi@0/...      behind a bridge
 *     /pci@i0cf8/scsi@4/channel@0/disk@1,0    target 1, LUN 0 of a SCSI controller
 *     /pci@i0cf8/pci8086,2922@1f,2/drive@1/disk@0     port 1 of an ATA controller
 *     /pci@i0cf8/ethernet@5/ethernet-phy@0    a network device
 */
#include "berth/ata-unit.h"
#include "berth/error.h"
#include "berth/pci.h"
#include "berth/scsi.h"

#include "boot-devices.h"

#define ROOT "/pci@i0cf8"
#define HALT "HALT"

#define CLASS_SCSI 0x0100u
#define CLASS_SATA 0x0106u
#define CLASS_ETHERNET 0x0200u
#define CLASS_PCI_BRIDGE 0x0604u

typedef struct BootDevice {
    const Device *dev;
    int32_t index;
} BootDevice;

static const char *class_name(const PciDevice *pci)
{
    switch (pci_config_get(pci, PCI_CLASS_DEVICE, 2)) {
    case CLASS_SCSI:
        return "scsi";
    case CLASS_SATA:
        return "pci8086,2922";
    case CLASS_ETHERNET:
        return "ethernet";
    case CLASS_PCI_BRIDGE:
        return "pci-bridge";
    }
    return "pci";
}

static void append_pci(GString *path, const Device *dev)
{
    const PciDevice *pci = CONTAINER_OF(dev, const PciDevice, dev);

    if (pci->bus->bridge)
        append_pci(path, &pci->bus->bridge->dev);
    else
        g_string_append(path, ROOT);
    g_string_append_printf(path, "/%s@%x", class_name(pci),
                           PCI_SLOT(pci->devfn));
    if (PCI_FUNCTION(pci->devfn))
        g_string_append_printf(path, ",%x", PCI_FUNCTION(pci->devfn));
}

static void append_path(GString *path, const Device *dev)
{
    unsigned target, lun;

    if (dev->bus->kind == BUS_SCSI) {
        scsi_unit_place(dev, &target, &lun);
        append_pci(path, dev->bus->owner);
        g_string_append_printf(path, "/channel@0/disk@%x,%x", target, lun);
        return;
    }
    if (dev->bus->kind == BUS_IDE) {
        append_pci(path, dev->bus->owner);
        g_string_append_printf(path, "/drive@%x/disk@0", ahci_port_number(dev));
        return;
    }
    append_pci(path, dev);
    g_string_append(path, dev->args->driver == DEVICE_DRIVER_VIRTIO_NET_PCI
                              ? "/ethernet-phy@0" : "/disk@0,0");
}

/* The bootindex that @args ask for, -1 for none. */
static int32_t index_of(const DeviceAddArgs *args)
{
    switch (args->driver) {
    case DEVICE_DRIVER_VIRTIO_BLK_PCI:
        return args->u.virtio_blk_pci.has_bootindex ? args->u.virtio_blk_pci.bootindex
                                                    : -1;
    case DEVICE_DRIVER_VIRTIO_NET_PCI:
        return args->u.virtio_net_pci.has_bootindex ? args->u.virtio_net_pci.bootindex
                                                    : -1;
    case DEVICE_DRIVER_SCSI_HD:
        return args->u.scsi_hd.has_bootindex ? args->u.scsi_hd.bootindex : -1;
    case DEVICE_DRIVER_SCSI_CD:
        return args->u.scsi_cd.has_bootindex ? args->u.scsi_cd.bootindex : -1;
    case DEVICE_DRIVER_IDE_HD:
        return args->u.ide_hd.has_bootindex ? args->u.ide_hd.bootindex : -1;
    case DEVICE_DRIVER_IDE_CD:
        return args->u.ide_cd.has_bootindex ? args->u.ide_cd.bootindex : -1;
    default:
        return -1;
    }
}

static int by_index(gconstpointer a, gconstpointer b)
{
    const BootDevice *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static GArray *collect(DeviceTree *tree)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(BootDevice));

    LIST_FOREACH(node, &tree->devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);
        BootDevice boot = { dev, -1 };

        if (dev->args && dev->bus && dev->state == DEVICE_STATE_REALIZED)
            boot.index = index_of(dev->args);
        if (boot.index >= 0)
            g_array_append_val(found, boot);
    }
    g_array_sort(found, by_index);
    return found;
}

bool boot_devices_check(DeviceTree *tree, GError **error)
{
    g_autoptr(GArray) found = collect(tree);

    for (guint i = 1; i < found->len; i++) {
        const BootDevice *a = &g_array_index(found, BootDevice, i - 1);
        const BootDevice *b = &g_array_index(found, BootDevice, i);

        if (a->index == b->index) {
            error_set(error, "parameter 'bootindex': devices '%s' and '%s' both have %d",
                      device_name(a->dev), device_name(b->dev), a->index);
            return false;
        }
    }
    return true;
}

bool boot_devices_check_new(DeviceTree *tree, const DeviceAddArgs *args, GError **error)
{
    g_autoptr(GArray) found = collect(tree);
    int32_t index = index_of(args);

    for (guint i = 0; index >= 0 && i < found->len; i++) {
        const BootDevice *other = &g_array_index(found, BootDevice, i);

        if (other->index != index)
            continue;
        error_set(error, "parameter 'bootindex': device '%s' has %d already",
                  device_name(other->dev), index);
        return false;
    }
    return true;
}

GBytes *boot_devices_list(DeviceTree *tree, const char *first, bool strict)
{
    g_autoptr(GArray) found = collect(tree);
    GString *list = g_string_new(first);
    gsize size;

    for (guint i = 0; i < found->len; i++) {
        if (list->len)
            g_string_append_c(list, '\n');
        append_path(list, g_array_index(found, BootDevice, i).dev);
    }
    if (strict)
        g_string_append(list, list->len ? "\n" HALT : HALT);
    size = list->len ? list->len + 1 : 0;
    return g_bytes_new_take(g_string_free(list, FALSE), size);
}
