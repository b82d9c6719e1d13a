/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus: a named place that devices are plugged into.  The kinds differ by what embeds
 * them (PciBus in pci.h).  Main only.
 */
#pragma once

#include "berth/list.h"

typedef enum BusKind {
    BUS_NONE,                   /* a device without a bus (pvpanic, vmcoreinfo) */
    BUS_PCI,
    BUS_ISA,
    BUS_VIRTIO_SERIAL,
    BUS_SCSI,
    BUS_IDE,
} BusKind;

struct Bus {
    BusKind kind;
    char *name;                 /* "pcie.0", "pci.1", "isa.0" */
    Device *owner;              /* the bridge, NULL for a root */
    ListNode devices;           /* of Device.bus_node, in order of plugging */
    ListNode tree_node;         /* in DeviceTree.buses */
};

/* Registers the bus with @tree so that bus= finds it. */
void bus_init(Bus *bus, BusKind kind, const char *name, Device *owner, DeviceTree *tree);
/* The bus must be empty. */
void bus_done(Bus *bus);
