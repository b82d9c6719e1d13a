/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic (QEMU, docs/specs/pvpanic): a register of one byte.  A read tells the events
 * that may be told, a write tells one.
 *
 *     bit 0   the guest panicked
 *     bit 1   it panicked and goes on in a kernel that saves its memory
 *     bit 2   it is about to power off
 *
 * As port 0x505 the guest finds it by the ACPI device QEMU0001, as a PCI function by its
 * number.  What is not offered is not heard.
 */
#include "berth/error.h"
#include "berth/pci.h"

#include "berth/pvpanic.h"

#define EVENT_PANICKED (1u << 0)
#define EVENT_CRASHLOADED (1u << 1)
#define EVENT_SHUTDOWN (1u << 2)

#define BAR_SIZE 16u                    /* the least that there is; one byte is used */

typedef struct Pvpanic {
    Device dev;
    Region region;
    uint16_t port;
    uint8_t events;             /* that are offered */
} Pvpanic;

typedef struct PvpanicPci {
    PciDevice pci;
    Region region;
    uint8_t events;
} PvpanicPci;

static Pvpanic *to_pvpanic(Device *dev)
{
    return CONTAINER_OF(dev, Pvpanic, dev);
}

static PvpanicPci *to_pvpanic_pci(Device *dev)
{
    return CONTAINER_OF(dev, PvpanicPci, pci.dev);
}

/* The gravest that is told counts. */
static void hear(Device *dev, uint8_t offered, uint8_t event)
{
    Board *board = dev->board;

    if (event & ~offered)
        device_guest_error(dev, "event 0x%x is not offered", event);
    event &= offered;
    if (event & EVENT_PANICKED)
        board->ops->guest_panicked(board->opaque, NULL);
    else if (event & EVENT_CRASHLOADED)
        board->ops->guest_crashloaded(board->opaque, NULL);
    else if (event & EVENT_SHUTDOWN)
        board->ops->guest_shuts_down(board->opaque);
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    Pvpanic *pvpanic = opaque;

    return pvpanic->events;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pvpanic *pvpanic = opaque;

    hear(&pvpanic->dev, pvpanic->events, (uint8_t)value);
}

static const RegionOps port_ops = { .read = port_read, .write = port_write };

uint16_t pvpanic_port(DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class == &pvpanic_class)
            return to_pvpanic(dev)->port;
    }
    return 0;
}

static bool pvpanic_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Pvpanic *pvpanic = to_pvpanic(dev);
    const PvpanicProps *props = &args->u.pvpanic;

    if (dev->hotplugged) {
        error_set(error, "a 'pvpanic' cannot be plugged into a running machine");
        return false;
    }
    if (pvpanic_port(dev->tree)) {
        error_set(error, "there is a 'pvpanic' already");
        return false;
    }
    pvpanic->port = props->ioport;
    pvpanic->events = props->events;
    region_init_io(&pvpanic->region, "pvpanic", 1, &port_ops, pvpanic, NULL);
    region_add(dev->board->io_root, pvpanic->port, &pvpanic->region, 0);
    return true;
}

static void pvpanic_unrealize(Device *dev)
{
    region_done(&to_pvpanic(dev)->region);
}

const DeviceClass pvpanic_class = {
    .name = "pvpanic",
    .description = "port by which the guest tells that it panicked",
    .bus = BUS_ISA,
    .instance_size = sizeof(Pvpanic),
    .realize = pvpanic_realize,
    .unrealize = pvpanic_unrealize,
};

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
    PvpanicPci *pvpanic = opaque;

    return offset == 0 ? pvpanic->events : 0;
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PvpanicPci *pvpanic = opaque;

    if (offset == 0)
        hear(&pvpanic->pci.dev, pvpanic->events, (uint8_t)value);
}

static const RegionOps bar_ops = { .read = bar_read, .write = bar_write, .max_size = 1 };

static const PciClass pvpanic_function = {
    .vendor_id = 0x1b36,
    .device_id = 0x0011,
    .subsystem_vendor_id = 0x1af4,
    .subsystem_id = 0x1100,
    .class_code = 0x088000,
    .revision = 1,
};

static bool pvpanic_pci_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PvpanicPci *pvpanic = to_pvpanic_pci(dev);

    if (!pci_device_init(&pvpanic->pci, &pvpanic_function, error))
        return false;
    pvpanic->events = args->u.pvpanic_pci.events;
    region_init_io(&pvpanic->region, "pvpanic-pci", BAR_SIZE, &bar_ops, pvpanic, NULL);
    pci_bar_add(&pvpanic->pci, 0, &pvpanic->region, 0);
    return true;
}

static void pvpanic_pci_unrealize(Device *dev)
{
    PvpanicPci *pvpanic = to_pvpanic_pci(dev);

    pci_device_done(&pvpanic->pci);
    region_done(&pvpanic->region);
}

static void pvpanic_pci_reset(Device *dev)
{
    pci_device_reset(pci_device(dev));
}

static const VMStateField pvpanic_pci_fields[] = {
    VMSTATE_PCI(PvpanicPci, pci),
    VMSTATE_END
};

static const VMStateDesc pvpanic_pci_vmstate = {
    .name = "pvpanic-pci",
    .version = 1,
    .min_version = 1,
    .fields = pvpanic_pci_fields,
};

const DeviceClass pvpanic_pci_class = {
    .name = "pvpanic-pci",
    .description = "PCI function by which the guest tells that it panicked",
    .bus = BUS_PCI,
    .instance_size = sizeof(PvpanicPci),
    .vmstate = &pvpanic_pci_vmstate,
    .realize = pvpanic_pci_realize,
    .unrealize = pvpanic_pci_unrealize,
    .reset = pvpanic_pci_reset,
};
