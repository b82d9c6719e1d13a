/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports are functions of one slot, the highest that nobody has, so that they are in
 * the way of no address that somebody may count on.  The USB controller is where ICH9 has
 * its own (ICH9 data sheet, 5.1: device 29), or below.
 */
#include "berth/device-globals.h"
#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/pci.h"

#include "default-devices.h"

#define N_PORTS 4u
#define CHASSIS 255u
#define LAST_SLOT 30u                   /* above it is the LPC bridge */
#define USB_SLOT 29u

static bool has_port(const Machine *machine)
{
    LIST_FOREACH(node, &machine->tree.devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class == &pcie_root_port_class)
            return true;
    }
    return false;
}

/* The highest free slot up to @slot; 0: there is none. */
static unsigned find_slot(Machine *machine, unsigned slot)
{
    const PciBus *root = pci_bus(device_tree_find_bus(&machine->tree, "pcie.0"));

    while (slot > 0 && !pci_bus_slot_is_free(root, slot))
        slot--;
    return slot;
}

/* A device as "-device @text" would add it. */
static bool add(Machine *machine, const char *text, GError **error)
{
    g_autoptr(JsonValue) json = keyval_parse(text, "driver", NULL, error);
    g_autoptr(DeviceAddArgs) args = NULL;

    if (!json)
        return false;
    args = device_globals_parse(machine->cmdline->globals, json, QAPI_INPUT_TEXT, error);
    return args && device_add(&machine->tree, args, error);
}

static bool add_ports(Machine *machine, GError **error)
{
    unsigned slot = find_slot(machine, LAST_SLOT);

    for (unsigned i = 0; slot > 0 && i < N_PORTS; i++) {
        g_autofree char *text =
            g_strdup_printf("pcie-root-port,bus=pcie.0,addr=%x.%x,multifunction=on,"
                            "chassis=%u,slot=%u", slot, i, CHASSIS, i + 1);

        if (!add(machine, text, error)) {
            g_prefix_error(error, "a root port for devices to come: ");
            return false;
        }
    }
    return true;
}

static bool add_usb(Machine *machine, GError **error)
{
    unsigned slot = find_slot(machine, USB_SLOT);
    g_autofree char *text = g_strdup_printf("qemu-xhci,bus=pcie.0,addr=%x", slot);

    if (slot == 0) {
        error_set(error, "-machine usb=on: there is no slot left for its controller");
        return false;
    }
    if (!add(machine, text, error)) {
        g_prefix_error(error, "-machine usb=on: ");
        return false;
    }
    return true;
}

bool default_devices_add(Machine *machine, GError **error)
{
    const MachineOptions *options = machine->cmdline->machine;

    if (options && options->usb && !add_usb(machine, error))
        return false;
    return machine->cmdline->nodefaults || has_port(machine) || add_ports(machine, error);
}
