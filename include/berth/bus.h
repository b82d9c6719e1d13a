/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus: a named place that devices are plugged into.  The kinds differ by what embeds
 * them (PciBus in pci.h).  Main only.
 */
#pragma once

#include "berth/list.h"
#include "qapi-types.h"

typedef enum BusKind {
    BUS_NONE,                   /* a device without a bus (pvpanic, vmcoreinfo) */
    BUS_PCI,
    BUS_ISA,
    BUS_VIRTIO_SERIAL,
    BUS_SCSI,
    BUS_IDE,
    BUS_CPU,                    /* the places for vCPUs */
    BUS_MEMORY,                 /* the slots for modules of memory */
} BusKind;

/* "PCI", "ISA", ...: as in "-device help". */
const char *bus_kind_str(BusKind kind);

typedef struct BusOps {
    /* Makes @dev, which is realized, visible to the guest.  Cannot fail. */
    void (*plug)(Bus *bus, Device *dev);
    /* Hides @dev; after the return no thread is inside its registers. */
    void (*unplug)(Bus *bus, Device *dev);
    /*
     * Whether a device may come now that the machine is made, to the place that @args ask
     * for.  NULL: any may.
     */
    bool (*check_hotplug)(Bus *bus, const DeviceAddArgs *args, GError **error);
    /*
     * Asks the guest to let @dev go; hotplug_eject() follows when it has.  In
     * *@ret_eject: that there is nobody to ask.  NULL: there never is.
     */
    bool (*request_unplug)(Bus *bus, Device *dev, bool *ret_eject, GError **error);
    /*
     * Tells a guest once more that has not looked since it was asked for @dev.  False: it
     * has.  NULL: nobody needs it.
     */
    bool (*remind)(Bus *bus, Device *dev);
    /* Ejects @dev and what goes with it.  NULL: nothing does. */
    void (*eject)(Bus *bus, Device *dev);
} BusOps;

struct Bus {
    BusKind kind;
    const BusOps *ops;          /* NULL: being on the list is all there is to it */
    char *name;                 /* "pcie.0", "pci.1", "isa.0" */
    Device *owner;              /* the bridge, NULL for a root */
    unsigned max_devices;       /* 0: any number */
    DeviceTree *tree;
    ListNode devices;           /* of Device.bus_node, in order of plugging */
    ListNode tree_node;         /* in DeviceTree.buses */
};

/*
 * Registers the bus with @tree so that bus= finds it.  False with @error when @tree has
 * another bus of that name.
 */
bool bus_init(Bus *bus, BusKind kind, const char *name, Device *owner, DeviceTree *tree,
              GError **error);
/*
 * The bus of @owner, a device that is being realized: "ID.0", or without an id the first
 * free "KIND.N".
 */
bool bus_init_below(Bus *bus, BusKind kind, Device *owner, GError **error);
/* The same of one of several, number @n: "ID.N". */
bool bus_init_below_as(Bus *bus, BusKind kind, Device *owner, unsigned n, GError **error);
bool bus_is_full(const Bus *bus);
/* The bus must be empty.  No effect on one that is zero. */
void bus_done(Bus *bus);
