/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places for vCPUs, and hot-plug of them by ACPI with the registers that QEMU's q35
 * has (specs/acpi_cpu_hotplug, the interface without the bitmap):
 *
 *     00  dword, write: the vCPU that the others are about
 *     04  byte, read: 0 it is there, 1 it came, 2 it is to go
 *         byte, write: 1 and 2 clear those bits, 3 ejects it
 *     05  byte, write: command: 0 select the next with bit 1 or 2; what data is about:
 *         1 the event of _OST, 2 its status, 3 the APIC id
 *     08  dword: data; after command 0 the vCPU that is selected
 *
 * With a selector out of range all reads are 0 and writes do nothing.  What the guest
 * ejects and tells is main's: a message brings it there, in rows of bounded length.
 */
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/irq.h"
#include "berth/loop.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/cpuhp.h"

#include "ost-log.h"

#define REG_SELECT 0x0u
#define REG_STATUS 0x4u
#define REG_COMMAND 0x5u
#define REG_DATA 0x8u

#define STATUS_THERE 0x01u
#define STATUS_CAME 0x02u
#define STATUS_GOES 0x04u
#define STATUS_EVENTS (STATUS_CAME | STATUS_GOES)
#define CONTROL_EJECT 0x08u

#define COMMAND_NEXT 0u
#define COMMAND_OST_EVENT 1u
#define COMMAND_OST_STATUS 2u
#define COMMAND_APIC_ID 3u

/* A place; those from topology->cpus on may have a device. */
typedef struct CpuSlot {
    Device *dev;                /* main */

    /* Under dev.lock. */
    bool is_there;
    bool is_ejected;            /* and main has not done it yet */
    uint8_t events;             /* STATUS_EVENTS */
    uint32_t ost_event;
    uint32_t ost_status;
} CpuSlot;

typedef struct CpuHp {
    Device dev;
    Bus bus;
    bool has_registers;
    Region region;
    LoopMessage message;        /* to main */
    CpuSlot *slots;
    uint32_t n_slots;

    /* Under dev.lock. */
    uint32_t select;
    uint8_t command;
    OstLog log;
} CpuHp;

static CpuHp *to_cpuhp(Device *dev)
{
    return CONTAINER_OF(dev, CpuHp, dev);
}

static CpuHp *of_bus(Bus *bus)
{
    return CONTAINER_OF(bus, CpuHp, bus);
}

static uint32_t read_data(const CpuHp *hp)
{
    if (hp->command == COMMAND_NEXT)
        return hp->select;
    if (hp->command == COMMAND_APIC_ID)
        return cpu_topology_place(hp->dev.board->topology, hp->select).apic_id;
    return 0;
}

static uint64_t cpuhp_read(void *opaque, uint64_t offset, unsigned size)
{
    const CpuHp *hp = opaque;
    const CpuSlot *slot = hp->select < hp->n_slots ? &hp->slots[hp->select] : NULL;

    if (slot && offset == REG_STATUS)
        return (slot->is_there ? STATUS_THERE : 0) | slot->events;
    if (slot && offset == REG_DATA)
        return read_data(hp);
    return 0;
}

static void write_control(CpuHp *hp, CpuSlot *slot, uint64_t value)
{
    if (value & STATUS_EVENTS) {
        slot->events &= (uint8_t)~(value & STATUS_EVENTS);
    } else if (value & CONTROL_EJECT) {
        slot->is_ejected = slot->is_there;
        loop_post(hp->dev.board->loop, &hp->message);
    }
}

static void select_next(CpuHp *hp)
{
    for (uint32_t i = 0; i < hp->n_slots; i++) {
        uint32_t index = (hp->select + i) % hp->n_slots;

        if (hp->slots[index].events) {
            hp->select = index;
            return;
        }
    }
}

static void write_command(CpuHp *hp, uint64_t value)
{
    if (value > COMMAND_APIC_ID)
        return;
    hp->command = (uint8_t)value;
    if (hp->command == COMMAND_NEXT)
        select_next(hp);
}

static void tell(CpuHp *hp, const CpuSlot *slot)
{
    const OstTold told = {
        .index = hp->select, .event = slot->ost_event, .status = slot->ost_status,
    };

    ost_log_add(&hp->log, &told);
    loop_post(hp->dev.board->loop, &hp->message);
}

static void write_data(CpuHp *hp, CpuSlot *slot, uint32_t value)
{
    if (hp->command == COMMAND_OST_EVENT) {
        slot->ost_event = value;
    } else if (hp->command == COMMAND_OST_STATUS) {
        slot->ost_status = value;
        tell(hp, slot);
    }
}

static void cpuhp_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    CpuHp *hp = opaque;
    CpuSlot *slot = hp->select < hp->n_slots ? &hp->slots[hp->select] : NULL;

    if (offset == REG_SELECT)
        hp->select = (uint32_t)value;
    else if (slot && offset == REG_STATUS)
        write_control(hp, slot, value);
    else if (slot && offset == REG_COMMAND)
        write_command(hp, value);
    else if (slot && offset == REG_DATA)
        write_data(hp, slot, (uint32_t)value);
}

static const RegionOps cpuhp_ops = {
    .read = cpuhp_read,
    .write = cpuhp_write,
    .max_size = 4,
};

static void eject_all(CpuHp *hp)
{
    for (uint32_t i = 0; i < hp->n_slots; i++) {
        CpuSlot *slot = &hp->slots[i];
        bool is_ejected;

        lock_take(&hp->dev.lock);
        is_ejected = slot->is_ejected;
        slot->is_ejected = false;
        lock_drop(&hp->dev.lock);
        if (is_ejected && slot->dev)
            hotplug_eject(slot->dev);
    }
}

Device *cpuhp_find(Device *hp, unsigned index)
{
    return index < to_cpuhp(hp)->n_slots ? to_cpuhp(hp)->slots[index].dev : NULL;
}

/* Main: what the guest ejected goes, and then what it told is passed on. */
static void on_message(void *opaque)
{
    CpuHp *hp = opaque;

    eject_all(hp);
    ost_log_deliver(&hp->log, &hp->dev, ACPI_SLOT_TYPE_CPU, cpuhp_find);
}

/* Main: something of a place is to be seen, and the guest told to look. */
static void add_event(CpuHp *hp, unsigned index, uint8_t event)
{
    lock_take(&hp->dev.lock);
    hp->slots[index].events |= event;
    lock_drop(&hp->dev.lock);
    if (hp->dev.board->gpes[X86_GPE_CPU_HOTPLUG])
        irq_pulse(hp->dev.board->gpes[X86_GPE_CPU_HOTPLUG]);
}

/* Main. */
static void set_device(CpuHp *hp, unsigned index, Device *dev)
{
    CpuSlot *slot = &hp->slots[index];

    lock_take(&hp->dev.lock);
    slot->dev = dev;
    slot->is_there = dev != NULL;
    slot->is_ejected = false;
    slot->events = 0;
    lock_drop(&hp->dev.lock);
}

static void bus_plug(Bus *bus, Device *dev)
{
    set_device(of_bus(bus), cpuhp_cpu_index(dev), dev);
    /* A guest that has not run finds it in its tables. */
    if (dev->tree->guest_ran)
        add_event(of_bus(bus), cpuhp_cpu_index(dev), STATUS_CAME);
}

static void bus_unplug(Bus *bus, Device *dev)
{
    set_device(of_bus(bus), cpuhp_cpu_index(dev), NULL);
}

static bool bus_check_hotplug(Bus *bus, const DeviceAddArgs *args, GError **error)
{
    if (of_bus(bus)->has_registers)
        return true;
    error_set(error, "vCPUs come and go by ACPI, which this machine has not");
    return false;
}

static bool bus_request_unplug(Bus *bus, Device *dev, bool *ret_eject, GError **error)
{
    add_event(of_bus(bus), cpuhp_cpu_index(dev), STATUS_GOES);
    *ret_eject = false;
    return true;
}

static const BusOps cpu_bus_ops = {
    .plug = bus_plug,
    .unplug = bus_unplug,
    .check_hotplug = bus_check_hotplug,
    .request_unplug = bus_request_unplug,
};

void cpuhp_query(Device *dev, ACPIOSTInfoList *list)
{
    CpuHp *hp = to_cpuhp(dev);

    for (uint32_t i = dev->board->topology->cpus; i < hp->n_slots; i++) {
        const CpuSlot *slot = &hp->slots[i];
        ACPIOSTInfo *info = g_new0(ACPIOSTInfo, 1);

        info->device = slot->dev ? g_strdup(slot->dev->id) : NULL;
        info->slot = g_strdup_printf("%u", i);
        info->slot_type = ACPI_SLOT_TYPE_CPU;
        lock_take(&dev->lock);
        info->source = slot->ost_event;
        info->status = slot->ost_status;
        lock_drop(&dev->lock);
        ACPIOSTInfoList_append(list, info);
    }
}

static bool cpuhp_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    CpuHp *hp = to_cpuhp(dev);
    const CpuTopology *topology = dev->board->topology;

    if (!bus_init(&hp->bus, BUS_CPU, "cpu.0", dev, dev->tree, error))
        return false;
    hp->bus.ops = &cpu_bus_ops;
    hp->n_slots = topology->max_cpus;
    hp->slots = g_new0(CpuSlot, hp->n_slots);
    for (uint32_t i = 0; i < topology->cpus; i++)
        hp->slots[i].is_there = true;
    loop_message_init(&hp->message, on_message, hp);
    return true;
}

/* The vCPUs, which came later, are gone. */
static void cpuhp_unrealize(Device *dev)
{
    CpuHp *hp = to_cpuhp(dev);

    loop_message_cancel(dev->board->loop, &hp->message);
    if (hp->has_registers)
        region_done(&hp->region);
    bus_done(&hp->bus);
    g_free(hp->slots);
}

static void cpuhp_reset(Device *dev)
{
    CpuHp *hp = to_cpuhp(dev);

    for (uint32_t i = 0; i < hp->n_slots; i++) {
        CpuSlot *slot = &hp->slots[i];

        slot->is_ejected = false;
        slot->events = 0;
        slot->ost_event = 0;
        slot->ost_status = 0;
    }
    hp->select = 0;
    hp->command = COMMAND_NEXT;
    hp->log.n = 0;
}

static bool cpuhp_post_load(void *opaque, GError **error)
{
    CpuHp *hp = opaque;

    if (hp->command > COMMAND_APIC_ID) {
        error_set(error, "'command' is %u", hp->command);
        return false;
    }
    for (uint32_t i = 0; i < hp->n_slots; i++) {
        CpuSlot *slot = &hp->slots[i];

        if (slot->events & ~(slot->dev ? STATUS_EVENTS : 0)) {
            error_set(error, "'events' of vCPU %u is 0x%x", i, slot->events);
            return false;
        }
    }
    return true;
}

static const VMStateField slot_fields[] = {
    VMSTATE_U8(CpuSlot, events),
    VMSTATE_U32(CpuSlot, ost_event),
    VMSTATE_U32(CpuSlot, ost_status),
    VMSTATE_END
};

static const VMStateDesc slot_vmstate = {
    .name = "slot", .version = 1, .min_version = 1, .fields = slot_fields,
};

static const VMStateField cpuhp_fields[] = {
    VMSTATE_U32(CpuHp, select),
    VMSTATE_U8(CpuHp, command),
    VMSTATE_STRUCT_POINTER(CpuHp, slots, n_slots, slot_vmstate),
    VMSTATE_END
};

static const VMStateDesc cpuhp_vmstate = {
    .name = "acpi-cpu-hotplug", .version = 1, .min_version = 1, .fields = cpuhp_fields,
    .post_load = cpuhp_post_load,
};

static const DeviceClass cpuhp_class = {
    .name = "acpi-cpu-hotplug",
    .description = "hot-plug of vCPUs by ACPI",
    .bus = BUS_NONE,
    .instance_size = sizeof(CpuHp),
    .vmstate = &cpuhp_vmstate,
    .realize = cpuhp_realize,
    .unrealize = cpuhp_unrealize,
    .reset = cpuhp_reset,
};

Device *cpuhp_add(DeviceTree *tree, bool registers, GError **error)
{
    Device *dev = device_add_onboard(tree, &cpuhp_class, "cpuhp", NULL, error);
    CpuHp *hp;

    if (!dev || !registers)
        return dev;
    hp = to_cpuhp(dev);
    hp->has_registers = true;
    region_init_io(&hp->region, "acpi-cpu-hotplug", X86_PORT_CPUHP_SIZE, &cpuhp_ops, hp,
                   &dev->lock);
    region_add(tree->board->io_root, X86_PORT_CPUHP, &hp->region, 0);
    return dev;
}
