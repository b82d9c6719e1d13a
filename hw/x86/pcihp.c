/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug of PCI slots by ACPI, with the registers that QEMU's q35 has (specs/
 * acpi_pci_hotplug): the guest's methods tell its PCI core at once, where the attention
 * button of a port takes seconds, and a conventional bus has no other way.
 *
 *     00  slots whose device has come     (read clears)
 *     04  slots that are to be let go     (until they are ejected)
 *     08  write: eject; read: features    (none)
 *     0c  slots that can be ejected
 *     10  which bus the others are about
 *     14  write: a slot; read: its device's acpi-index, 0 for none
 *
 * Slots are a bit each: slot 0 below a root port, 32 below a bridge to conventional PCI.
 * Buses are numbered when the tables are made; those of bridges that came later have no
 * number.  What there is to see raises a general-purpose event.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/irq.h"
#include "berth/loop.h"
#include "berth/thread.h"
#include "berth/x86-layout.h"

#include "berth/pcihp.h"

#define REG_UP 0x00u
#define REG_DOWN 0x04u
#define REG_EJECT 0x08u
#define REG_REMOVABLE 0x0cu
#define REG_SELECT 0x10u
#define REG_INDEX 0x14u
#define MAX_SLOTS 32u

typedef struct SlotsBus {
    PciBus *bus;                /* main; NULL: it is gone */

    /* Under dev.lock: a bit a slot. */
    uint32_t slots;             /* that there are */
    uint32_t up;
    uint32_t down;
    uint32_t heard;             /* of down: the guest has read it */
    uint32_t ejects;            /* that main has not done yet */
    uint16_t indices[MAX_SLOTS];
} SlotsBus;

typedef struct PciHp {
    Device dev;
    PciSlots slots;
    Region region;
    LoopMessage ejected;        /* to main */
    SlotsBus *buses;            /* the array changes while the vCPUs are paused */
    uint32_t n_buses;

    /* Under dev.lock. */
    uint32_t select;
    uint32_t index_slots;       /* which slot's index is read */
} PciHp;

static PciHp *to_pcihp(Device *dev)
{
    return CONTAINER_OF(dev, PciHp, dev);
}

static SlotsBus *selected(PciHp *hp)
{
    return hp->select < hp->n_buses ? &hp->buses[hp->select] : NULL;
}

static uint64_t pcihp_read(void *opaque, uint64_t offset, unsigned size)
{
    PciHp *hp = opaque;
    SlotsBus *bus = selected(hp);
    uint64_t value = 0;

    if (offset == REG_SELECT)
        return hp->select;
    if (!bus)
        return 0;
    switch (offset) {
    case REG_UP:
        value = bus->up;
        bus->up = 0;
        break;
    case REG_DOWN:
        value = bus->down;
        bus->heard = bus->down;
        break;
    case REG_REMOVABLE:
        value = bus->slots;
        break;
    case REG_INDEX:
        if (hp->index_slots)
            value = bus->indices[__builtin_ctz(hp->index_slots)];
        break;
    }
    return value;
}

static void pcihp_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciHp *hp = opaque;
    SlotsBus *bus = selected(hp);

    if (offset == REG_SELECT) {
        hp->select = value;
    } else if (offset == REG_INDEX) {
        hp->index_slots = (uint32_t)value;
    } else if (offset == REG_EJECT && bus && value & bus->slots) {
        bus->down &= ~(uint32_t)value;
        bus->ejects |= (uint32_t)value & bus->slots;
        loop_post(hp->dev.board->loop, &hp->ejected);
    }
}

static const RegionOps pcihp_ops = {
    .read = pcihp_read,
    .write = pcihp_write,
    .min_size = 4,
    .max_size = 4,
};

static void eject_slots(SlotsBus *slots_bus, uint32_t slots)
{
    for (unsigned slot = 0; slot < MAX_SLOTS; slot++) {
        PciBus *bus = slots_bus->bus;
        PciDevice *pci = bus && slots >> slot & 1 ? bus->reserved[PCI_DEVFN(slot, 0)]
                                                  : NULL;

        if (pci)
            bus->bus.ops->eject(&bus->bus, &pci->dev);
    }
}

/* Main: the guest let go. */
static void on_ejected(void *opaque)
{
    PciHp *hp = opaque;

    for (unsigned i = 0; i < hp->n_buses; i++) {
        uint32_t slots;

        lock_take(&hp->dev.lock);
        slots = hp->buses[i].ejects;
        hp->buses[i].ejects = 0;
        lock_drop(&hp->dev.lock);
        eject_slots(&hp->buses[i], slots);
    }
}

/* Main: what the device in the slot has, 0 for none. */
static uint16_t acpi_index_of(const SlotsBus *bus, unsigned slot)
{
    const PciDevice *pci = bus->bus->reserved[PCI_DEVFN(slot, 0)];

    return pci ? pci_acpi_index(&pci->dev) : 0;
}

static void raise_event(PciHp *hp)
{
    if (hp->dev.board->gpes[X86_GPE_PCI_HOTPLUG])
        irq_pulse(hp->dev.board->gpes[X86_GPE_PCI_HOTPLUG]);
}

static void on_came(PciSlots *slots, unsigned index, unsigned slot)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);
    SlotsBus *bus = &hp->buses[index];

    lock_take(&hp->dev.lock);
    bus->up |= 1u << slot;
    bus->indices[slot] = acpi_index_of(bus, slot);
    lock_drop(&hp->dev.lock);
    raise_event(hp);
}

static void on_ask(PciSlots *slots, unsigned index, unsigned slot)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);

    lock_take(&hp->dev.lock);
    hp->buses[index].down |= 1u << slot;
    hp->buses[index].heard &= ~(1u << slot);
    lock_drop(&hp->dev.lock);
    raise_event(hp);
}

static bool on_remind(PciSlots *slots, unsigned index, unsigned slot)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);
    bool missed;

    lock_take(&hp->dev.lock);
    missed = (hp->buses[index].down & ~hp->buses[index].heard) >> slot & 1;
    lock_drop(&hp->dev.lock);
    if (missed)
        raise_event(hp);
    return missed;
}

static void on_went(PciSlots *slots, unsigned index, unsigned slot)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);
    SlotsBus *bus = &hp->buses[index];

    lock_take(&hp->dev.lock);
    bus->up &= ~(1u << slot);
    bus->down &= ~(1u << slot);
    bus->ejects &= ~(1u << slot);
    bus->indices[slot] = 0;
    lock_drop(&hp->dev.lock);
}

static void on_gone(PciSlots *slots, unsigned index)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);

    lock_take(&hp->dev.lock);
    hp->buses[index] = (SlotsBus) { 0 };
    lock_drop(&hp->dev.lock);
}

bool pcihp_has_slots(PciBus *bus)
{
    return bus->kind == PCI_BUS_CONVENTIONAL || bus->bus.ops->check_hotplug(&bus->bus,
                                                                            NULL, NULL);
}

/* The number of the bus, -1 for the root. */
static int number_of(const PciHp *hp, const PciBus *bus)
{
    int n = (int)hp->n_buses - 1;

    while (n >= 0 && hp->buses[n].bus != bus)
        n--;
    return n;
}

static PciSlotsBus take_bus(PciHp *hp, PciBus *pci)
{
    unsigned n_slots = pcihp_has_slots(pci) ? pci->n_functions / 8 : 0;
    PciSlotsBus info = {
        .parent = number_of(hp, pci->bridge->bus),
        .devfn = pci->bridge->devfn,
        .n_slots = (uint8_t)n_slots,
    };
    SlotsBus *bus = &hp->buses[hp->n_buses];

    bus->bus = pci;
    for (unsigned slot = 0; slot < n_slots; slot++) {
        bus->slots |= 1u << slot;
        bus->indices[slot] = acpi_index_of(bus, slot);
    }
    pci->slots = n_slots ? &hp->slots : NULL;
    pci->slots_index = hp->n_buses++;
    return info;
}

unsigned pcihp_take_slots(Device *dev, PciSlotsBus *ret_buses)
{
    PciHp *hp = to_pcihp(dev);
    unsigned n = 0;

    assert_main();
    g_free(hp->buses);
    hp->buses = g_new0(SlotsBus, PCIHP_MAX_BUSES);
    hp->n_buses = 0;
    LIST_FOREACH(node, &dev->tree->buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);
        PciBus *pci = bus->kind == BUS_PCI ? pci_bus(bus) : NULL;

        if (!pci || !pci->bridge || pci->bridge->dev.hotplugged ||
            hp->n_buses == PCIHP_MAX_BUSES)
            continue;
        ret_buses[hp->n_buses] = take_bus(hp, pci);
        n += ret_buses[hp->n_buses - 1].n_slots;
    }
    hp->buses = g_renew(SlotsBus, hp->buses, hp->n_buses);
    return n ? hp->n_buses : 0;
}

static bool pcihp_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciHp *hp = to_pcihp(dev);

    hp->slots = (PciSlots) {
        .came = on_came, .went = on_went, .ask = on_ask, .remind = on_remind,
        .gone = on_gone,
    };
    loop_message_init(&hp->ejected, on_ejected, hp);
    region_init_io(&hp->region, "acpi-pci-hotplug", X86_PORT_PCIHP_SIZE, &pcihp_ops, hp,
                   &dev->lock);
    region_add(dev->board->io_root, X86_PORT_PCIHP, &hp->region, 0);
    return true;
}

/* The ports and bridges, which came later, are gone. */
static void pcihp_unrealize(Device *dev)
{
    PciHp *hp = to_pcihp(dev);

    loop_message_cancel(dev->board->loop, &hp->ejected);
    region_done(&hp->region);
    g_free(hp->buses);
}

static void pcihp_reset(Device *dev)
{
    PciHp *hp = to_pcihp(dev);

    for (unsigned i = 0; i < hp->n_buses; i++) {
        hp->buses[i].up = 0;
        hp->buses[i].down = 0;
        hp->buses[i].ejects = 0;
    }
    hp->select = 0;
    hp->index_slots = 0;
}

/* The guest that wakes looks for what happened to its slots until then. */
static void pcihp_suspend(Device *dev)
{
    PciHp *hp = to_pcihp(dev);

    hp->select = 0;
    hp->index_slots = 0;
}

static bool pcihp_post_load(void *opaque, GError **error)
{
    const PciHp *hp = opaque;

    for (unsigned i = 0; i < hp->n_buses; i++) {
        const SlotsBus *bus = &hp->buses[i];

        if ((bus->up | bus->down) & ~bus->slots) {
            error_set(error, "bus %u has no slots 0x%x", i,
                      (bus->up | bus->down) & ~bus->slots);
            return false;
        }
    }
    return true;
}

static const VMStateField bus_fields[] = {
    VMSTATE_U32(SlotsBus, up),
    VMSTATE_U32(SlotsBus, down),
    VMSTATE_END
};

static const VMStateDesc bus_vmstate = {
    .name = "slots", .version = 1, .min_version = 1, .fields = bus_fields,
};

static const VMStateField pcihp_fields[] = {
    VMSTATE_STRUCT_POINTER(PciHp, buses, n_buses, bus_vmstate),
    VMSTATE_U32(PciHp, select),
    VMSTATE_U32(PciHp, index_slots),
    VMSTATE_END
};

static const VMStateDesc pcihp_vmstate = {
    .name = "acpi-pci-hotplug", .version = 2, .min_version = 2, .fields = pcihp_fields,
    .post_load = pcihp_post_load,
};

static const DeviceClass pcihp_class = {
    .name = "acpi-pci-hotplug",
    .description = "hot-plug of PCI slots by ACPI",
    .bus = BUS_NONE,
    .instance_size = sizeof(PciHp),
    .vmstate = &pcihp_vmstate,
    .realize = pcihp_realize,
    .unrealize = pcihp_unrealize,
    .reset = pcihp_reset,
    .suspend = pcihp_suspend,
};

Device *pcihp_add(DeviceTree *tree, GError **error)
{
    return device_add_onboard(tree, &pcihp_class, "pcihp", NULL, error);
}
