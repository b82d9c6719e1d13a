/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots for modules of memory, and hot-plug of them by ACPI with the registers that
 * QEMU's q35 has (specs/acpi_mem_hotplug):
 *
 *     00  dword, write: the slot that the others are about
 *         dwords, read: address (low, high), at 08 size (low, high), at 10 node
 *     04  dword, write: the event of _OST
 *     08  dword, write: its status
 *     14  byte, read: 1 it is there, 2 it came, 4 it is to go
 *         byte, write: 2 and 4 clear those bits, 8 ejects it
 *
 * With a selector out of range all reads are 0 and writes do nothing.
 */
#include "berth/memhp.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "acpi-slots.h"

#define REG_SELECT 0x00u
#define REG_GPA_LOW 0x00u
#define REG_GPA_HIGH 0x04u
#define REG_OST_EVENT 0x04u
#define REG_OST_STATUS 0x08u
#define REG_SIZE_LOW 0x08u
#define REG_SIZE_HIGH 0x0cu
#define REG_NODE 0x10u
#define REG_FLAGS 0x14u

typedef struct MemHp {
    Device dev;
    Bus bus;
    Region region;
    AcpiSlots slots;
} MemHp;

static MemHp *to_memhp(Device *dev)
{
    return CONTAINER_OF(dev, MemHp, dev);
}

static MemHp *of_bus(const Bus *bus)
{
    return CONTAINER_OF((Bus *)bus, MemHp, bus);
}

unsigned memhp_n_slots(const Bus *bus)
{
    return of_bus(bus)->slots.n;
}

static uint64_t memhp_read(void *opaque, uint64_t offset, unsigned size)
{
    MemHp *hp = opaque;
    const AcpiSlot *slot = acpi_slots_selected(&hp->slots);
    const MemoryDevice *memory = slot && slot->dev ? memhp_dimm_memory(slot->dev) : NULL;

    if (slot && offset == REG_FLAGS)
        return acpi_slots_bits(slot);
    if (!memory)
        return 0;
    switch (offset) {
    case REG_GPA_LOW:
        return memory->gpa & UINT32_MAX;
    case REG_GPA_HIGH:
        return memory->gpa >> 32;
    case REG_SIZE_LOW:
        return memory->size & UINT32_MAX;
    case REG_SIZE_HIGH:
        return memory->size >> 32;
    case REG_NODE:
        return memory->node;
    default:
        return 0;
    }
}

static void memhp_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    MemHp *hp = opaque;
    AcpiSlot *slot = acpi_slots_selected(&hp->slots);

    if (offset == REG_SELECT)
        hp->slots.select = (uint32_t)value;
    else if (slot && offset == REG_OST_EVENT)
        slot->ost_event = (uint32_t)value;
    else if (slot && offset == REG_OST_STATUS)
        acpi_slots_write_ost_status(&hp->slots, slot, (uint32_t)value);
    else if (slot && offset == REG_FLAGS)
        acpi_slots_write_bits(&hp->slots, slot, value);
}

static const RegionOps memhp_ops = {
    .read = memhp_read,
    .write = memhp_write,
    .max_size = 4,
};

static void add_ram(Board *board, uint64_t size)
{
    __atomic_add_fetch(&board->plugged_ram, size, __ATOMIC_RELAXED);
}

static void bus_plug(Bus *bus, Device *dev)
{
    AcpiSlots *slots = &of_bus(bus)->slots;
    unsigned index = memhp_dimm_slot(dev);

    acpi_slots_set_device(slots, index, dev);
    add_ram(dev->board, memhp_dimm_memory(dev)->size);
    /* A guest that has not run finds it there. */
    if (dev->tree->guest_ran)
        acpi_slots_add_event(slots, index, ACPI_SLOT_CAME);
}

/* What was told by _OST is still to be asked for. */
static void bus_unplug(Bus *bus, Device *dev)
{
    acpi_slots_set_device(&of_bus(bus)->slots, memhp_dimm_slot(dev), NULL);
    add_ram(dev->board, -memhp_dimm_memory(dev)->size);
    memory_device_hide(memhp_dimm_memory(dev));
}

static bool bus_request_unplug(Bus *bus, Device *dev, bool *ret_eject, GError **error)
{
    acpi_slots_add_event(&of_bus(bus)->slots, memhp_dimm_slot(dev), ACPI_SLOT_GOES);
    *ret_eject = false;
    return true;
}

static bool bus_remind(Bus *bus, Device *dev)
{
    return acpi_slots_remind(&of_bus(bus)->slots, memhp_dimm_slot(dev));
}

static const BusOps memory_bus_ops = {
    .plug = bus_plug,
    .unplug = bus_unplug,
    .request_unplug = bus_request_unplug,
    .remind = bus_remind,
};

void memhp_query(Device *dev, ACPIOSTInfoList *list)
{
    acpi_slots_query(&to_memhp(dev)->slots, 0, list);
}

static bool memhp_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    MemHp *hp = to_memhp(dev);

    if (!bus_init(&hp->bus, BUS_MEMORY, "memory.0", dev, dev->tree, error))
        return false;
    hp->bus.ops = &memory_bus_ops;
    acpi_slots_init(&hp->slots, dev, ACPI_SLOT_TYPE_DIMM, X86_GPE_MEMORY_HOTPLUG);
    region_init_io(&hp->region, "acpi-mem-hotplug", X86_PORT_MEMHP_SIZE, &memhp_ops, hp,
                   &dev->lock);
    region_add(dev->board->io_root, X86_PORT_MEMHP, &hp->region, 0);
    return true;
}

/* The modules, which came later, are gone. */
static void memhp_unrealize(Device *dev)
{
    MemHp *hp = to_memhp(dev);

    acpi_slots_done(&hp->slots);
    region_done(&hp->region);
    bus_done(&hp->bus);
}

static void memhp_reset(Device *dev)
{
    acpi_slots_reset(&to_memhp(dev)->slots);
}

/* The guest that wakes looks for what happened to its modules until then. */
static void memhp_suspend(Device *dev)
{
    to_memhp(dev)->slots.select = 0;
}

static bool memhp_post_load(void *opaque, GError **error)
{
    const MemHp *hp = opaque;

    return acpi_slots_post_load(&hp->slots, "slot", error);
}

static const VMStateField memhp_fields[] = {
    VMSTATE_U32(MemHp, slots.select),
    VMSTATE_STRUCT_POINTER(MemHp, slots.rows, slots.n, acpi_slots_row_vmstate),
    VMSTATE_END
};

static const VMStateDesc memhp_vmstate = {
    .name = "acpi-memory-hotplug", .version = 1, .min_version = 1,
    .fields = memhp_fields, .post_load = memhp_post_load,
};

static const DeviceClass memhp_class = {
    .name = "acpi-memory-hotplug",
    .description = "hot-plug of memory by ACPI",
    .bus = BUS_NONE,
    .instance_size = sizeof(MemHp),
    .vmstate = &memhp_vmstate,
    .realize = memhp_realize,
    .unrealize = memhp_unrealize,
    .reset = memhp_reset,
    .suspend = memhp_suspend,
};

/* No access comes before the board is whole. */
Device *memhp_add(DeviceTree *tree, unsigned n_slots, GError **error)
{
    Device *dev = device_add_onboard(tree, &memhp_class, "memhp", NULL, error);

    if (dev)
        acpi_slots_make(&to_memhp(dev)->slots, n_slots);
    return dev;
}
