/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI function: its header, its capabilities, reset and state.
 *
 * Invariant: the bytes of configuration space that nobody may write (neither the guest
 * nor a device at run time) are equal to those at power-on.  So reset is a copy, and a
 * loaded state that differs in one of them belongs to another device.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/pci.h"
#include "berth/thread.h"

#include "pci-private.h"

/* Bits of the command register that berth gives a meaning or a guest expects to keep. */
#define COMMAND_WRITABLE                                                                 \
    (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |     \
     PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE)
#define STATUS_ERRORS                                                                    \
    (PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |     \
     PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |                         \
     PCI_STATUS_DETECTED_PARITY)
#define PM_CAP_SIZE 8u
#define EXPRESS_CAP_SIZE 0x3cu          /* version 2 */
#define LINK_WIDTH 32u                  /* lanes; nothing is as slow as its link */

uint16_t pci_acpi_index(const Device *dev)
{
    return dev->args && dev->args->has_acpi_index ? (uint16_t)dev->args->acpi_index : 0;
}

/*
 * Whether the guest can be told of the index: by the tables, or, of a device that comes
 * later, by the registers of ACPI's hot-plug.
 */
static bool check_acpi_index(const PciDevice *pci, GError **error)
{
    const Device *dev = &pci->dev;
    const PciBus *bus = pci_bus(dev->bus);
    uint16_t index = pci_acpi_index(dev);

    if (!index)
        return true;
    if (dev->args->driver != DEVICE_DRIVER_VIRTIO_NET_PCI) {
        error_set(error, "parameter 'acpi-index' is for network devices only");
        return false;
    }
    if (dev->tree->started && (!bus->slots || PCI_FUNCTION(pci->devfn) != 0)) {
        error_set(error, "parameter 'acpi-index': ACPI tells the guest nothing of bus "
                  "'%s'", bus->bus.name);
        return false;
    }
    LIST_FOREACH(node, &dev->tree->devices) {
        const Device *other = CONTAINER_OF(node, Device, tree_node);

        if (pci_acpi_index(other) == index) {
            error_set(error, "parameter 'acpi-index': '%s' has %u already",
                      device_name(other), index);
            return false;
        }
    }
    return true;
}

static void init_header(PciDevice *pci)
{
    const PciClass *class = pci->class;
    uint8_t type = class->is_bridge ? PCI_HEADER_TYPE_BRIDGE : PCI_HEADER_TYPE_NORMAL;

    pci->caps_end = PCI_STD_HEADER_SIZEOF;
    pci_config_set(pci, PCI_VENDOR_ID, 2, class->vendor_id);
    pci_config_set(pci, PCI_DEVICE_ID, 2, class->device_id);
    pci_config_set(pci, PCI_CLASS_REVISION, 4, class->class_code << 8 | class->revision);
    pci_config_set(pci, PCI_HEADER_TYPE, 1, type | (pci->multifunction ? 0x80 : 0));
    pci_config_set(pci, PCI_INTERRUPT_PIN, 1, class->interrupt_pin);
    pci_config_allow(pci, PCI_COMMAND, 2, COMMAND_WRITABLE);
    pci_config_allow_w1c(pci, PCI_STATUS, 2, STATUS_ERRORS);
    pci_config_allow(pci, PCI_CACHE_LINE_SIZE, 1, 0xff);
    pci_config_allow(pci, PCI_INTERRUPT_LINE, 1, 0xff);
    if (!class->is_bridge) {
        pci_config_set(pci, PCI_SUBSYSTEM_VENDOR_ID, 2, class->subsystem_vendor_id);
        pci_config_set(pci, PCI_SUBSYSTEM_ID, 2, class->subsystem_id);
    }
}

bool pci_device_init(PciDevice *pci, const PciClass *class, GError **error)
{
    const DeviceAddArgs *args = pci->dev.args;

    pci->class = class;
    if (!pci_bus_reserve(pci_bus(pci->dev.bus), pci, args, error))
        return false;
    init_header(pci);
    if (!check_acpi_index(pci, error) || (args && !pci_rom_init(pci, args, error))) {
        pci_device_done(pci);
        return false;
    }
    return true;
}

void pci_device_done(PciDevice *pci)
{
    if (!pci->bus)
        return;
    if (pci->class->interrupt_pin)
        pci_intx_set(pci, false);
    pci_bar_unmap(pci);
    pci_rom_done(pci);
    msi_free(pci);
    msix_free(pci);
    pci_bus_release(pci->bus, pci);
    pci->bus = NULL;
}

uint8_t pci_add_cap(PciDevice *pci, uint8_t id, unsigned size)
{
    unsigned offset = pci->caps_end;

    g_assert(offset + size <= PCI_CONFIG_SIZE);
    pci->caps_end = ALIGN_UP(offset + size, 4u);
    pci_config_set(pci, offset + PCI_CAP_LIST_ID, 1, id);
    pci_config_set(pci, offset + PCI_CAP_LIST_NEXT, 1,
                   pci_config_get(pci, PCI_CAPABILITY_LIST, 1));
    pci_config_set(pci, PCI_CAPABILITY_LIST, 1, offset);
    pci_config_set(pci, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    return offset;
}

void pci_add_pm_cap(PciDevice *pci)
{
    pci->pm_cap = pci_add_cap(pci, PCI_CAP_ID_PM, PM_CAP_SIZE);
    pci_config_set(pci, pci->pm_cap + PCI_PM_PMC, 2, 3);
    pci_config_set(pci, pci->pm_cap + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET);
    pci_config_allow(pci, pci->pm_cap + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);
}

uint8_t pci_add_express_cap(PciDevice *pci, unsigned type)
{
    uint8_t cap = pci_add_cap(pci, PCI_CAP_ID_EXP, EXPRESS_CAP_SIZE);

    pci->express_cap = cap;
    pci_config_set(pci, cap + PCI_EXP_FLAGS, 2, type << 4 | 2);
    pci_config_set(pci, cap + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_RBER);
    pci_config_allow(pci, cap + PCI_EXP_DEVCTL, 2,
                     PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
                     PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_PAYLOAD |
                     PCI_EXP_DEVCTL_READRQ);
    pci_config_allow_w1c(pci, cap + PCI_EXP_DEVSTA, 2,
                         PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED |
                         PCI_EXP_DEVSTA_URD);
    pci_config_set(pci, cap + PCI_EXP_LNKCAP, 4,
                   PCI_EXP_LNKCAP_SLS_16_0GB | LINK_WIDTH << 4);
    pci_config_set(pci, cap + PCI_EXP_LNKSTA, 2,
                   PCI_EXP_LNKSTA_CLS_16_0GB | LINK_WIDTH << PCI_EXP_LNKSTA_NLW_SHIFT);
    pci_config_allow(pci, cap + PCI_EXP_LNKCTL, 2,
                     PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
    pci_config_set(pci, cap + PCI_EXP_LNKCAP2, 4,
                   PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB |
                   PCI_EXP_LNKCAP2_SLS_8_0GB | PCI_EXP_LNKCAP2_SLS_16_0GB);
    pci_config_set(pci, cap + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS_16_0GT);
    pci_config_allow(pci, cap + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS);
    return cap;
}

void pci_add_endpoint_cap(PciDevice *pci)
{
    uint8_t cap = pci_add_express_cap(pci, PCI_EXP_TYPE_ENDPOINT);

    pci_config_set(pci, cap + PCI_EXP_DEVCAP, 4,
                   PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
}

void pci_device_reset(PciDevice *pci)
{
    lock_take(&pci->dev.lock);
    memcpy(pci->config, pci->power_on, sizeof(pci->config));
    pci_bar_update(pci);
    if (pci->msi)
        msi_update(pci);
    msix_reset(pci);
    pci_intx_update(pci);
    lock_drop(&pci->dev.lock);
    if (pci->class->interrupt_pin)
        pci_intx_set(pci, false);
}

/* What differs from power-on must be bits that the guest can change. */
static bool pci_device_post_load(void *opaque, GError **error)
{
    PciDevice *pci = opaque;

    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        uint8_t variable = pci->writable[i] | pci->write_one_clears[i];

        if ((pci->config[i] ^ pci->power_on[i]) & ~variable) {
            error_set(error, "field 'config': byte 0x%x is 0x%02x, the device's 0x%02x",
                      i, pci->config[i], pci->power_on[i]);
            return false;
        }
    }
    if (pci->irq_asserted && !pci->class->interrupt_pin) {
        error_set(error, "field 'irq_asserted' is set, the device has no pin");
        return false;
    }
    lock_take(&pci->dev.lock);
    pci_bar_update(pci);
    if (pci->msi)
        msi_update(pci);
    if (pci->msix)
        msix_update(pci);
    pci_intx_update(pci);
    lock_drop(&pci->dev.lock);
    return true;
}

static const VMStateField pci_device_fields[] = {
    VMSTATE_BYTES(PciDevice, config, PCI_CONFIG_SIZE),
    VMSTATE_BOOL(PciDevice, irq_asserted),
    VMSTATE_VIA("msix", msix_vmstate_via),
    VMSTATE_END
};

const VMStateDesc pci_device_vmstate = {
    .name = "pci", .version = 1, .min_version = 1, .fields = pci_device_fields,
    .post_load = pci_device_post_load,
};
