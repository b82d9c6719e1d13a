/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places for vCPUs, and hot-plug of them by ACPI with the registers that QEMU's q35
 * has (specs/acpi_cpu_hotplug, the interface without the bitmap):
 *
 *     00  dword, write: the vCPU that the others are about
 *     04  byte, read: 0 it is there, 1 it came, 2 it is to go, 4 firmware ejects it
 *         byte, write: 1 and 2 clear those bits, 3 ejects it and clears 4, 4 sets that
 *     05  byte, write: command: 0 select the next with bit 1, 2 or 4; what data is about:
 *         1 the event of _OST, 2 its status, 3 the APIC id
 *     06  byte, read: firmware is to be told by an SMI, before the operating system, 0 of
 *         those that came, 1 of those to eject, which it does itself
 *     08  dword: data; after command 0 the vCPU that is selected
 *
 * With a selector out of range all reads are 0 and writes do nothing.
 *
 * Register 06 is berth's own, for its own byte code: the tables, which are made before
 * firmware agrees on anything, fit what it agrees on.
 *
 * Firmware that has agreed on SMIs of all processors waits for all of them in system
 * management mode.  One that does not know of hot-plug would wait for ever for one that
 * went, and not have one that came.
 */
#include "berth/error.h"
#include "berth/region.h"
#include "berth/smi-features.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/cpuhp.h"

#include "acpi-slots.h"

#define REG_SELECT 0x0u
#define REG_STATUS 0x4u
#define REG_COMMAND 0x5u
#define REG_SMI 0x6u
#define REG_DATA 0x8u

#define SMI_OF_THOSE_THAT_CAME 0x1u
#define SMI_OF_THOSE_TO_EJECT 0x2u

#define COMMAND_NEXT 0u
#define COMMAND_OST_EVENT 1u
#define COMMAND_OST_STATUS 2u
#define COMMAND_APIC_ID 3u

typedef struct CpuHp {
    Device dev;
    Bus bus;
    const SmiFeatures *smi;
    bool has_registers;
    Region region;
    AcpiSlots slots;            /* those from topology->cpus on may have a device */
    uint8_t command;            /* dev.lock */
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
        return hp->slots.select;
    if (hp->command == COMMAND_APIC_ID)
        return cpu_topology_place(hp->dev.board->topology, hp->slots.select).apic_id;
    return 0;
}

static uint8_t read_smi(const CpuHp *hp)
{
    uint64_t agreed = smi_features_agreed(hp->smi);

    return (uint8_t)((agreed & SMI_CPU_HOTPLUG ? SMI_OF_THOSE_THAT_CAME : 0) |
                     (agreed & SMI_CPU_HOT_UNPLUG ? SMI_OF_THOSE_TO_EJECT : 0));
}

static uint64_t cpuhp_read(void *opaque, uint64_t offset, unsigned size)
{
    CpuHp *hp = opaque;
    const AcpiSlot *slot = acpi_slots_selected(&hp->slots);

    if (slot && offset == REG_STATUS)
        return acpi_slots_bits(slot);
    if (slot && offset == REG_SMI)
        return read_smi(hp);
    if (slot && offset == REG_DATA)
        return read_data(hp);
    return 0;
}

static void select_next(AcpiSlots *slots)
{
    for (uint32_t i = 0; i < slots->n; i++) {
        uint32_t index = (slots->select + i) % slots->n;

        if (slots->rows[index].events) {
            slots->select = index;
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
        select_next(&hp->slots);
}

static void write_data(CpuHp *hp, AcpiSlot *slot, uint32_t value)
{
    if (hp->command == COMMAND_OST_EVENT)
        slot->ost_event = value;
    else if (hp->command == COMMAND_OST_STATUS)
        acpi_slots_write_ost_status(&hp->slots, slot, value);
}

static void cpuhp_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    CpuHp *hp = opaque;
    AcpiSlot *slot = acpi_slots_selected(&hp->slots);

    if (offset == REG_SELECT)
        hp->slots.select = (uint32_t)value;
    else if (slot && offset == REG_STATUS)
        acpi_slots_write_bits(&hp->slots, slot, value);
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

Device *cpuhp_find(Device *hp, unsigned index)
{
    const AcpiSlots *slots = &to_cpuhp(hp)->slots;

    return index < slots->n ? slots->rows[index].dev : NULL;
}

static void bus_plug(Bus *bus, Device *dev)
{
    AcpiSlots *slots = &of_bus(bus)->slots;

    acpi_slots_set_device(slots, cpuhp_cpu_index(dev), dev);
    /* A guest that has not run finds it in its tables. */
    if (dev->tree->guest_ran)
        acpi_slots_add_event(slots, cpuhp_cpu_index(dev), ACPI_SLOT_CAME);
}

static void bus_unplug(Bus *bus, Device *dev)
{
    acpi_slots_set_device(&of_bus(bus)->slots, cpuhp_cpu_index(dev), NULL);
}

/* Whether firmware takes part in @feature, which is called @word. */
static bool check_firmware(const CpuHp *hp, uint64_t feature, const char *word,
                           GError **error)
{
    uint64_t agreed = smi_features_agreed(hp->smi);

    if (!(agreed & SMI_BROADCAST) || agreed & feature)
        return true;
    error_set(error, "cpu %s with SMI wasn't enabled by firmware: it takes firmware that "
              "supports CPU %s with SMM, and '-machine pc-q35-6.0' or later", word, word);
    return false;
}

bool cpuhp_check_plug(Bus *bus, GError **error)
{
    return check_firmware(of_bus(bus), SMI_CPU_HOTPLUG, "hotplug", error);
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
    if (!check_firmware(of_bus(bus), SMI_CPU_HOT_UNPLUG, "hot-unplug", error))
        return false;
    acpi_slots_add_event(&of_bus(bus)->slots, cpuhp_cpu_index(dev), ACPI_SLOT_GOES);
    *ret_eject = false;
    return true;
}

static bool bus_remind(Bus *bus, Device *dev)
{
    return acpi_slots_remind(&of_bus(bus)->slots, cpuhp_cpu_index(dev));
}

static const BusOps cpu_bus_ops = {
    .plug = bus_plug,
    .unplug = bus_unplug,
    .check_hotplug = bus_check_hotplug,
    .request_unplug = bus_request_unplug,
    .remind = bus_remind,
};

void cpuhp_query(Device *dev, ACPIOSTInfoList *list)
{
    acpi_slots_query(&to_cpuhp(dev)->slots, dev->board->topology->cpus, list);
}

static bool cpuhp_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    CpuHp *hp = to_cpuhp(dev);
    const CpuTopology *topology = dev->board->topology;

    if (!bus_init(&hp->bus, BUS_CPU, "cpu.0", dev, dev->tree, error))
        return false;
    hp->bus.ops = &cpu_bus_ops;
    acpi_slots_init(&hp->slots, dev, ACPI_SLOT_TYPE_CPU, X86_GPE_CPU_HOTPLUG);
    hp->slots.to_firmware = true;
    acpi_slots_make(&hp->slots, topology->max_cpus);
    for (uint32_t i = 0; i < topology->cpus; i++)
        hp->slots.rows[i].is_there = true;
    return true;
}

/* The vCPUs, which came later, are gone. */
static void cpuhp_unrealize(Device *dev)
{
    CpuHp *hp = to_cpuhp(dev);

    acpi_slots_done(&hp->slots);
    if (hp->has_registers)
        region_done(&hp->region);
    bus_done(&hp->bus);
}

static void cpuhp_reset(Device *dev)
{
    CpuHp *hp = to_cpuhp(dev);

    acpi_slots_reset(&hp->slots);
    hp->command = COMMAND_NEXT;
}

/* The guest that wakes looks for what happened to its vCPUs until then. */
static void cpuhp_suspend(Device *dev)
{
    CpuHp *hp = to_cpuhp(dev);

    hp->slots.select = 0;
    hp->command = COMMAND_NEXT;
}

static bool cpuhp_post_load(void *opaque, GError **error)
{
    CpuHp *hp = opaque;

    if (hp->command > COMMAND_APIC_ID) {
        error_set(error, "'command' is %u", hp->command);
        return false;
    }
    return acpi_slots_post_load(&hp->slots, "vCPU", error);
}

static const VMStateField cpuhp_fields[] = {
    VMSTATE_U32(CpuHp, slots.select),
    VMSTATE_U8(CpuHp, command),
    VMSTATE_STRUCT_POINTER(CpuHp, slots.rows, slots.n, acpi_slots_row_vmstate),
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
    .suspend = cpuhp_suspend,
};

Device *cpuhp_add(DeviceTree *tree, const SmiFeatures *smi, bool registers,
                  GError **error)
{
    Device *dev = device_add_onboard(tree, &cpuhp_class, "cpuhp", NULL, error);
    CpuHp *hp;

    if (!dev)
        return NULL;
    hp = to_cpuhp(dev);
    hp->smi = smi;
    if (!registers)
        return dev;
    hp->has_registers = true;
    region_init_io(&hp->region, "acpi-cpu-hotplug", X86_PORT_CPUHP_SIZE, &cpuhp_ops, hp,
                   &dev->lock);
    region_add(tree->board->io_root, X86_PORT_CPUHP, &hp->region, 0);
    return dev;
}
