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
 * With a selector out of range all reads are 0 and writes do nothing.  What the guest
 * ejects and tells is main's: a message brings it there, in rows of bounded length.
 */
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/irq.h"
#include "berth/loop.h"
#include "berth/memhp.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "ost-log.h"

#define REG_SELECT 0x00u
#define REG_GPA_LOW 0x00u
#define REG_GPA_HIGH 0x04u
#define REG_OST_EVENT 0x04u
#define REG_OST_STATUS 0x08u
#define REG_SIZE_LOW 0x08u
#define REG_SIZE_HIGH 0x0cu
#define REG_NODE 0x10u
#define REG_FLAGS 0x14u

#define FLAG_THERE 0x01u
#define FLAG_CAME 0x02u
#define FLAG_GOES 0x04u
#define FLAG_EVENTS (FLAG_CAME | FLAG_GOES)
#define CONTROL_EJECT 0x08u

typedef struct MemSlot {
    Device *dev;                /* main */

    /* Under dev.lock. */
    bool is_there;
    bool is_ejected;            /* and main has not done it yet */
    uint8_t events;             /* FLAG_EVENTS */
    uint32_t ost_event;
    uint32_t ost_status;
    uint32_t node;
    uint64_t gpa;
    uint64_t size;
} MemSlot;

typedef struct MemHp {
    Device dev;
    Bus bus;
    Region region;
    LoopMessage message;        /* to main */
    MemSlot *slots;
    uint32_t n_slots;

    /* Under dev.lock. */
    uint32_t select;
    OstLog log;
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
    return of_bus(bus)->n_slots;
}

static MemSlot *selected(MemHp *hp)
{
    return hp->select < hp->n_slots ? &hp->slots[hp->select] : NULL;
}

static uint64_t memhp_read(void *opaque, uint64_t offset, unsigned size)
{
    const MemSlot *slot = selected(opaque);

    if (!slot)
        return 0;
    switch (offset) {
    case REG_GPA_LOW:
        return slot->gpa & UINT32_MAX;
    case REG_GPA_HIGH:
        return slot->gpa >> 32;
    case REG_SIZE_LOW:
        return slot->size & UINT32_MAX;
    case REG_SIZE_HIGH:
        return slot->size >> 32;
    case REG_NODE:
        return slot->node;
    case REG_FLAGS:
        return (slot->is_there ? FLAG_THERE : 0) | slot->events;
    default:
        return 0;
    }
}

static void write_flags(MemHp *hp, MemSlot *slot, uint64_t value)
{
    if (value & FLAG_EVENTS) {
        slot->events &= (uint8_t)~(value & FLAG_EVENTS);
    } else if (value & CONTROL_EJECT) {
        slot->is_ejected = slot->is_there;
        loop_post(hp->dev.board->loop, &hp->message);
    }
}

static void write_status(MemHp *hp, MemSlot *slot, uint32_t value)
{
    const OstTold told = {
        .index = hp->select, .event = slot->ost_event, .status = value,
    };

    slot->ost_status = value;
    ost_log_add(&hp->log, &told);
    loop_post(hp->dev.board->loop, &hp->message);
}

static void memhp_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    MemHp *hp = opaque;
    MemSlot *slot = selected(hp);

    if (offset == REG_SELECT)
        hp->select = (uint32_t)value;
    else if (slot && offset == REG_OST_EVENT)
        slot->ost_event = (uint32_t)value;
    else if (slot && offset == REG_OST_STATUS)
        write_status(hp, slot, (uint32_t)value);
    else if (slot && offset == REG_FLAGS)
        write_flags(hp, slot, value);
}

static const RegionOps memhp_ops = {
    .read = memhp_read,
    .write = memhp_write,
    .max_size = 4,
};

static void eject_all(MemHp *hp)
{
    for (uint32_t i = 0; i < hp->n_slots; i++) {
        MemSlot *slot = &hp->slots[i];
        bool is_ejected;

        lock_take(&hp->dev.lock);
        is_ejected = slot->is_ejected;
        slot->is_ejected = false;
        lock_drop(&hp->dev.lock);
        if (is_ejected && slot->dev)
            hotplug_eject(slot->dev);
    }
}

static Device *find_device(Device *dev, uint32_t index)
{
    return to_memhp(dev)->slots[index].dev;
}

/* Main: what the guest ejected goes, and then what it told is passed on. */
static void on_message(void *opaque)
{
    MemHp *hp = opaque;

    eject_all(hp);
    ost_log_deliver(&hp->log, &hp->dev, ACPI_SLOT_TYPE_DIMM, find_device);
}

/* Main: something of a slot is to be seen, and the guest told to look. */
static void add_event(MemHp *hp, unsigned index, uint8_t event)
{
    lock_take(&hp->dev.lock);
    hp->slots[index].events |= event;
    lock_drop(&hp->dev.lock);
    if (hp->dev.board->gpes[X86_GPE_MEMORY_HOTPLUG])
        irq_pulse(hp->dev.board->gpes[X86_GPE_MEMORY_HOTPLUG]);
}

static void add_ram(Board *board, uint64_t size)
{
    __atomic_add_fetch(&board->plugged_ram, size, __ATOMIC_RELAXED);
}

static void bus_plug(Bus *bus, Device *dev)
{
    MemHp *hp = of_bus(bus);
    unsigned index = memhp_dimm_slot(dev);
    const MemoryDevice *memory = memhp_dimm_memory(dev);
    MemSlot *slot = &hp->slots[index];

    lock_take(&hp->dev.lock);
    slot->dev = dev;
    slot->is_there = true;
    slot->gpa = memory->gpa;
    slot->size = memory->size;
    slot->node = memory->node;
    lock_drop(&hp->dev.lock);
    add_ram(dev->board, memory->size);
    /* A guest that has not run finds it there. */
    if (dev->tree->guest_ran)
        add_event(hp, index, FLAG_CAME);
}

/* What was told by _OST is still to be asked for. */
static void bus_unplug(Bus *bus, Device *dev)
{
    MemHp *hp = of_bus(bus);
    MemSlot *slot = &hp->slots[memhp_dimm_slot(dev)];

    lock_take(&hp->dev.lock);
    slot->dev = NULL;
    slot->is_there = false;
    slot->is_ejected = false;
    slot->events = 0;
    slot->gpa = 0;
    slot->size = 0;
    slot->node = 0;
    lock_drop(&hp->dev.lock);
    add_ram(dev->board, -memhp_dimm_memory(dev)->size);
    memory_device_hide(memhp_dimm_memory(dev));
}

static bool bus_request_unplug(Bus *bus, Device *dev, bool *ret_eject, GError **error)
{
    add_event(of_bus(bus), memhp_dimm_slot(dev), FLAG_GOES);
    *ret_eject = false;
    return true;
}

static const BusOps memory_bus_ops = {
    .plug = bus_plug,
    .unplug = bus_unplug,
    .request_unplug = bus_request_unplug,
};

void memhp_query(Device *dev, ACPIOSTInfoList *list)
{
    MemHp *hp = to_memhp(dev);

    for (uint32_t i = 0; i < hp->n_slots; i++) {
        const MemSlot *slot = &hp->slots[i];
        ACPIOSTInfo *info = g_new0(ACPIOSTInfo, 1);

        info->device = slot->dev ? g_strdup(slot->dev->id) : NULL;
        info->slot = g_strdup_printf("%u", i);
        info->slot_type = ACPI_SLOT_TYPE_DIMM;
        lock_take(&dev->lock);
        info->source = slot->ost_event;
        info->status = slot->ost_status;
        lock_drop(&dev->lock);
        ACPIOSTInfoList_append(list, info);
    }
}

static bool memhp_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    MemHp *hp = to_memhp(dev);

    if (!bus_init(&hp->bus, BUS_MEMORY, "memory.0", dev, dev->tree, error))
        return false;
    hp->bus.ops = &memory_bus_ops;
    loop_message_init(&hp->message, on_message, hp);
    region_init_io(&hp->region, "acpi-mem-hotplug", X86_PORT_MEMHP_SIZE, &memhp_ops, hp,
                   &dev->lock);
    region_add(dev->board->io_root, X86_PORT_MEMHP, &hp->region, 0);
    return true;
}

/* The modules, which came later, are gone. */
static void memhp_unrealize(Device *dev)
{
    MemHp *hp = to_memhp(dev);

    loop_message_cancel(dev->board->loop, &hp->message);
    region_done(&hp->region);
    bus_done(&hp->bus);
    g_free(hp->slots);
}

static void memhp_reset(Device *dev)
{
    MemHp *hp = to_memhp(dev);

    for (uint32_t i = 0; i < hp->n_slots; i++) {
        MemSlot *slot = &hp->slots[i];

        slot->is_ejected = false;
        slot->events = 0;
        slot->ost_event = 0;
        slot->ost_status = 0;
    }
    hp->select = 0;
    hp->log.n = 0;
}

static bool memhp_post_load(void *opaque, GError **error)
{
    MemHp *hp = opaque;

    for (uint32_t i = 0; i < hp->n_slots; i++) {
        MemSlot *slot = &hp->slots[i];

        if (slot->events & ~(slot->dev ? FLAG_EVENTS : 0)) {
            error_set(error, "'events' of slot %u is 0x%x", i, slot->events);
            return false;
        }
    }
    return true;
}

static const VMStateField slot_fields[] = {
    VMSTATE_U8(MemSlot, events),
    VMSTATE_U32(MemSlot, ost_event),
    VMSTATE_U32(MemSlot, ost_status),
    VMSTATE_END
};

static const VMStateDesc slot_vmstate = {
    .name = "slot", .version = 1, .min_version = 1, .fields = slot_fields,
};

static const VMStateField memhp_fields[] = {
    VMSTATE_U32(MemHp, select),
    VMSTATE_STRUCT_POINTER(MemHp, slots, n_slots, slot_vmstate),
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
};

/* No access comes before the board is whole. */
Device *memhp_add(DeviceTree *tree, unsigned n_slots, GError **error)
{
    Device *dev = device_add_onboard(tree, &memhp_class, "memhp", NULL, error);
    MemHp *hp;

    if (!dev)
        return NULL;
    hp = to_memhp(dev);
    hp->slots = g_new0(MemSlot, n_slots);
    hp->n_slots = n_slots;
    return dev;
}
