/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports are functions of one slot, the highest that nobody has, so that they are in
 * the way of no address that somebody may count on.
 */
#include "berth/device-globals.h"
#include "berth/keyval.h"
#include "berth/pci.h"

#include "default-ports.h"

#define N_PORTS 4u
#define CHASSIS 255u
#define LAST_SLOT 30u                   /* above it is the LPC bridge */

static bool has_port(const Machine *machine)
{
    LIST_FOREACH(node, &machine->tree.devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class == &pcie_root_port_class)
            return true;
    }
    return false;
}

static bool is_free(const PciBus *bus, unsigned slot)
{
    for (unsigned function = 0; function < 8; function++) {
        if (bus->reserved[PCI_DEVFN(slot, function)])
            return false;
    }
    return true;
}

static bool add_port(Machine *machine, unsigned slot, unsigned n, GError **error)
{
    g_autofree char *text =
        g_strdup_printf("pcie-root-port,bus=pcie.0,addr=%x.%x,multifunction=on,"
                        "chassis=%u,slot=%u", slot, n, CHASSIS, n + 1);
    g_autoptr(JsonValue) json = keyval_parse(text, "driver", NULL, error);
    g_autoptr(DeviceAddArgs) args = NULL;

    if (!json)
        return false;
    args = device_globals_parse(machine->cmdline->globals, json, QAPI_INPUT_TEXT, error);
    return args && device_add(&machine->tree, args, error);
}

bool default_ports_add(Machine *machine, GError **error)
{
    const PciBus *root = pci_bus(device_tree_find_bus(&machine->tree, "pcie.0"));
    unsigned slot = LAST_SLOT;

    if (machine->cmdline->nodefaults || has_port(machine))
        return true;
    while (slot > 0 && !is_free(root, slot))
        slot--;
    for (unsigned i = 0; slot > 0 && i < N_PORTS; i++) {
        if (!add_port(machine, slot, i, error)) {
            g_prefix_error(error, "a root port for devices to come: ");
            return false;
        }
    }
    return true;
}
