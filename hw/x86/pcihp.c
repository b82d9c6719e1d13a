/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug of PCI slots by ACPI, with the registers that QEMU's q35 has (specs/
 * acpi_pci_hotplug): the guest's methods tell its PCI core at once, where the attention
 * button of a port takes seconds.
 *
 *     00  slots whose device has come     (read clears)
 *     04  slots that are to be let go     (until they are ejected)
 *     08  write: eject; read: features    (none)
 *     0c  slots that can be ejected
 *     10  which bus the others are about
 *     14  write: a slot; read: its device's acpi-index, 0 for none
 *
 * Each bus is that below a root port, so slot 0 is the only one.  Buses are numbered when
 * the tables are made.  What there is to see raises a general-purpose event.
 */
#include <string.h>

#include "berth/irq.h"
#include "berth/loop.h"
#include "berth/pci-slots.h"
#include "berth/thread.h"
#include "berth/x86-layout.h"

#include "berth/pcihp.h"

#define REG_UP 0x00u
#define REG_DOWN 0x04u
#define REG_EJECT 0x08u
#define REG_REMOVABLE 0x0cu
#define REG_SELECT 0x10u
#define REG_INDEX 0x14u
#define SLOT_0 1u
#define WORDS (PCIHP_MAX_SLOTS / 32)

typedef struct PciHp {
    Device dev;
    PciSlots slots;
    Region region;
    LoopMessage ejected;        /* to main */
    PciBus *buses[PCIHP_MAX_SLOTS];     /* main */
    unsigned n_buses;

    /* Under dev.lock: a bit a bus. */
    uint32_t up[WORDS];
    uint32_t down[WORDS];
    uint32_t ejects[WORDS];     /* that main has not done yet */
    uint32_t select;
    uint32_t index_slots;       /* which slot's index is read */
    uint16_t indices[PCIHP_MAX_SLOTS];  /* by the bus */
} PciHp;

static PciHp *to_pcihp(Device *dev)
{
    return CONTAINER_OF(dev, PciHp, dev);
}

static bool get_bit(const uint32_t *bits, unsigned n)
{
    return bits[n / 32] >> n % 32 & 1;
}

static void put_bit(uint32_t *bits, unsigned n, bool value)
{
    bits[n / 32] = (bits[n / 32] & ~(1u << n % 32)) | (uint32_t)value << n % 32;
}

static uint64_t pcihp_read(void *opaque, uint64_t offset, unsigned size)
{
    PciHp *hp = opaque;
    bool selected = hp->select < hp->n_buses;
    uint64_t value = 0;

    switch (offset) {
    case REG_UP:
        value = selected && get_bit(hp->up, hp->select) ? SLOT_0 : 0;
        if (selected)
            put_bit(hp->up, hp->select, false);
        break;
    case REG_DOWN:
        value = selected && get_bit(hp->down, hp->select) ? SLOT_0 : 0;
        break;
    case REG_REMOVABLE:
        value = selected ? SLOT_0 : 0;
        break;
    case REG_SELECT:
        value = hp->select;
        break;
    case REG_INDEX:
        value = selected && hp->index_slots & SLOT_0 ? hp->indices[hp->select] : 0;
        break;
    }
    return value;
}

static void pcihp_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciHp *hp = opaque;

    if (offset == REG_SELECT) {
        hp->select = value;
    } else if (offset == REG_INDEX) {
        hp->index_slots = (uint32_t)value;
    } else if (offset == REG_EJECT && value & SLOT_0 && hp->select < hp->n_buses) {
        put_bit(hp->down, hp->select, false);
        put_bit(hp->ejects, hp->select, true);
        loop_post(hp->dev.board->loop, &hp->ejected);
    }
}

static const RegionOps pcihp_ops = {
    .read = pcihp_read,
    .write = pcihp_write,
    .min_size = 4,
    .max_size = 4,
};

/* Main: the guest let go. */
static void on_ejected(void *opaque)
{
    PciHp *hp = opaque;
    uint32_t ejects[WORDS];

    lock_take(&hp->dev.lock);
    memcpy(ejects, hp->ejects, sizeof(ejects));
    memset(hp->ejects, 0, sizeof(hp->ejects));
    lock_drop(&hp->dev.lock);
    for (unsigned i = 0; i < hp->n_buses; i++) {
        PciBus *bus = hp->buses[i];

        if (get_bit(ejects, i) && bus->reserved[0])
            bus->bus.ops->eject(&bus->bus, &bus->reserved[0]->dev);
    }
}

/* Main: what the device in the slot has, 0 for none. */
static uint16_t acpi_index_of(const PciHp *hp, unsigned index)
{
    const PciDevice *pci = hp->buses[index]->reserved[0];

    return pci ? pci_acpi_index(&pci->dev) : 0;
}

static void tell(PciHp *hp, uint32_t *bits, unsigned index)
{
    lock_take(&hp->dev.lock);
    put_bit(bits, index, true);
    hp->indices[index] = acpi_index_of(hp, index);
    lock_drop(&hp->dev.lock);
    if (hp->dev.board->gpes[X86_GPE_PCI_HOTPLUG])
        irq_pulse(hp->dev.board->gpes[X86_GPE_PCI_HOTPLUG]);
}

static void on_came(PciSlots *slots, unsigned index)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);

    tell(hp, hp->up, index);
}

static void on_ask(PciSlots *slots, unsigned index)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);

    tell(hp, hp->down, index);
}

static void on_went(PciSlots *slots, unsigned index)
{
    PciHp *hp = CONTAINER_OF(slots, PciHp, slots);

    lock_take(&hp->dev.lock);
    put_bit(hp->up, index, false);
    put_bit(hp->down, index, false);
    hp->indices[index] = 0;
    lock_drop(&hp->dev.lock);
}

unsigned pcihp_take_slots(Device *dev, uint8_t *ret_ports)
{
    PciHp *hp = to_pcihp(dev);

    assert_main();
    hp->n_buses = 0;
    LIST_FOREACH(node, &dev->tree->buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);
        PciBus *pci = bus->kind == BUS_PCI ? pci_bus(bus) : NULL;

        if (!pci || !pci_bus_is_below_port(pci) || pci->bridge->bus->bridge ||
            hp->n_buses == PCIHP_MAX_SLOTS || !bus->ops->check_hotplug(bus, NULL, NULL))
            continue;
        ret_ports[hp->n_buses] = pci->bridge->devfn;
        pci->slots = &hp->slots;
        pci->slots_index = hp->n_buses;
        hp->buses[hp->n_buses] = pci;
        hp->indices[hp->n_buses] = acpi_index_of(hp, hp->n_buses);
        hp->n_buses++;
    }
    return hp->n_buses;
}

static bool pcihp_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciHp *hp = to_pcihp(dev);

    hp->slots = (PciSlots) { .came = on_came, .ask = on_ask, .went = on_went };
    loop_message_init(&hp->ejected, on_ejected, hp);
    region_init_io(&hp->region, "acpi-pci-hotplug", X86_PORT_PCIHP_SIZE, &pcihp_ops, hp,
                   &dev->lock);
    region_add(dev->board->io_root, X86_PORT_PCIHP, &hp->region, 0);
    return true;
}

/* The ports, which came later, are gone. */
static void pcihp_unrealize(Device *dev)
{
    PciHp *hp = to_pcihp(dev);

    loop_message_cancel(dev->board->loop, &hp->ejected);
    region_done(&hp->region);
}

static void pcihp_reset(Device *dev)
{
    PciHp *hp = to_pcihp(dev);

    memset(hp->up, 0, sizeof(hp->up));
    memset(hp->down, 0, sizeof(hp->down));
    memset(hp->ejects, 0, sizeof(hp->ejects));
    hp->select = 0;
    hp->index_slots = 0;
}

static const VMStateField pcihp_fields[] = {
    VMSTATE_U32_ARRAY(PciHp, up, WORDS),
    VMSTATE_U32_ARRAY(PciHp, down, WORDS),
    VMSTATE_U32(PciHp, select),
    VMSTATE_U32(PciHp, index_slots),
    VMSTATE_END
};

static const VMStateDesc pcihp_vmstate = {
    .name = "acpi-pci-hotplug", .version = 1, .min_version = 1, .fields = pcihp_fields,
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
};

Device *pcihp_add(DeviceTree *tree, GError **error)
{
    return device_add_onboard(tree, &pcihp_class, "pcihp", NULL, error);
}
