/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcie-root-port: a port of the root complex with one slot (PCI-to-PCI Bridge 1.2; PCI
 * Express Base 4.0, sections 7.5.1.3 and 7.5.3).
 *
 * What makes it a bridge is in pci-bridge.c.
 *
 * Slot (sections 6.7 and 7.5.3.9 to 7.5.3.11).  It has an attention button, both
 * indicators and a power controller; a device may come and go by surprise.  Commands
 * complete at once.  Presence and link follow from function 0 of the slot.
 *
 *     device comes        presence, link, their events
 *     guest is asked      the attention button is pressed; again when the guest enables
 *                         the button's event, should it not have looked before
 *     guest lets go       power off and power indicator off
 *     guest keeps it      power indicator on again after it has blinked
 *
 * The guest may switch the power off without being asked, too.
 */
#include "berth/error.h"
#include "berth/loop.h"
#include "berth/pci.h"
#include "berth/thread.h"

#include "pci-private.h"

#define VENDOR_ID 0x1b36
#define DEVICE_ID 0x000c
#define MSIX_BAR 0
#define DEFAULT_RESERVE_MEMORY (2 * MIB)
#define DEFAULT_RESERVE_PREFETCHABLE (32 * MIB)
#define RESERVE_MEMORY_MAX (1 * GIB)
#define RESERVE_PREFETCHABLE_MAX (1024 * GIB)
#define SLOT_CHANGED (PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC)
#define SLOT_EVENTS (SLOT_CHANGED | PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_CC)
#define SLOT_CAPABILITIES                                                                \
    (PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_AIP | PCI_EXP_SLTCAP_PIP | \
     PCI_EXP_SLTCAP_HPC | PCI_EXP_SLTCAP_HPS)
#define SLOT_CONTROLS                                                                    \
    (PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC)

typedef struct PciePort {
    PciBridge bridge;
    LoopMessage answered;       /* to main: the guest answered, see below */

    /* Under dev->lock. */
    bool interrupts;            /* the slot's events, as last seen */
    uint16_t control;           /* the slot control register, as last seen */
    bool asked;                 /* the guest was asked for what is in the slot */
    bool ejects;                /* an answer that main has not taken yet */
    bool keeps;
} PciePort;

static PciePort *to_port(PciDevice *pci)
{
    return CONTAINER_OF(pci, PciePort, bridge.pci);
}

static const PcieRootPortProps *props_of(const PciePort *port)
{
    return &port->bridge.pci.dev.args->u.pcie_root_port;
}

/* The events of the slot whose interrupts @control enables. */
static uint32_t enabled_events(uint32_t control)
{
    static const struct {
        uint16_t enable;
        uint16_t event;
    } kinds[] = {
        { PCI_EXP_SLTCTL_ABPE, PCI_EXP_SLTSTA_ABP },
        { PCI_EXP_SLTCTL_PDCE, PCI_EXP_SLTSTA_PDC },
        { PCI_EXP_SLTCTL_CCIE, PCI_EXP_SLTSTA_CC },
        { PCI_EXP_SLTCTL_DLLSCE, PCI_EXP_SLTSTA_DLLSC },
    };
    uint32_t events = 0;

    for (size_t i = 0; control & PCI_EXP_SLTCTL_HPIE && i < G_N_ELEMENTS(kinds); i++)
        events |= control & kinds[i].enable ? kinds[i].event : 0;
    return events;
}

/* Interrupts when an event that the slot control register enables has come. */
static void update_slot_interrupt_locked(PciePort *port)
{
    PciDevice *pci = &port->bridge.pci;
    unsigned cap = pci->express_cap;
    uint32_t events = pci_config_get(pci, cap + PCI_EXP_SLTSTA, 2);
    uint32_t control = pci_config_get(pci, cap + PCI_EXP_SLTCTL, 2);
    bool interrupts = events & enabled_events(control);
    bool rises = interrupts && !port->interrupts;

    port->interrupts = interrupts;
    if (!msix_is_enabled(pci))
        pci_intx_set(pci, interrupts);
    else if (rises)
        msix_notify(pci, 0);
}

static void raise_events_locked(PciePort *port, uint32_t events)
{
    PciDevice *pci = &port->bridge.pci;
    unsigned status = pci->express_cap + PCI_EXP_SLTSTA;

    pci_config_set(pci, status, 2, pci_config_get(pci, status, 2) | events);
    update_slot_interrupt_locked(port);
}

static bool is_off(uint32_t control)
{
    return control & PCI_EXP_SLTCTL_PCC &&
           (control & PCI_EXP_SLTCTL_PIC) == PCI_EXP_SLTCTL_PWR_IND_OFF;
}

/* What a write of the slot control register means; true when main has to know. */
static bool take_control_locked(PciePort *port)
{
    PciDevice *pci = &port->bridge.pci;
    unsigned cap = pci->express_cap;
    uint16_t before = port->control;
    uint16_t now = pci_config_get(pci, cap + PCI_EXP_SLTCTL, 2);
    bool occupied = pci_config_get(pci, cap + PCI_EXP_SLTSTA, 2) & PCI_EXP_SLTSTA_PDS;
    uint32_t button = PCI_EXP_SLTSTA_ABP;

    port->control = now;
    if (occupied && is_off(now) && !is_off(before))
        port->ejects = true;
    if (port->asked && (before & PCI_EXP_SLTCTL_PIC) == PCI_EXP_SLTCTL_PWR_IND_BLINK &&
        (now & PCI_EXP_SLTCTL_PIC) == PCI_EXP_SLTCTL_PWR_IND_ON) {
        port->asked = false;
        port->keeps = true;
    }
    if (port->asked && enabled_events(now) & button && !(enabled_events(before) & button))
        raise_events_locked(port, PCI_EXP_SLTSTA_ABP);
    raise_events_locked(port, PCI_EXP_SLTSTA_CC);
    return port->ejects || port->keeps;
}

/* Main: the guest answered. */
static void on_answered(void *opaque)
{
    PciePort *port = opaque;
    PciDevice *pci = &port->bridge.pci;
    PciBus *bus = &port->bridge.secondary;
    bool ejects, keeps;

    lock_take(&pci->dev.lock);
    ejects = port->ejects;
    keeps = port->keeps;
    port->ejects = false;
    port->keeps = false;
    lock_drop(&pci->dev.lock);
    if (ejects && bus->reserved[0])
        pci_hotplug_eject(&bus->bus, &bus->reserved[0]->dev);
    else if (keeps)
        pci_hotplug_kept(bus);
}

static void port_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    PciePort *port = to_port(pci);
    unsigned control = pci->express_cap + PCI_EXP_SLTCTL;
    bool answered = false;

    lock_take(&pci->dev.lock);
    if (props_of(port)->hotplug && pci_config_touches(offset, size, control, 2))
        answered = take_control_locked(port);
    else if (pci_config_touches(offset, size, control, 4))
        update_slot_interrupt_locked(port);
    lock_drop(&pci->dev.lock);
    if (answered)
        loop_post(pci->dev.board->loop, &port->answered);
    pci_bridge_after_write(&port->bridge, offset, size);
}

/*
 * The slot control register as it is at power-on, and as the guest has set it now.  What
 * comes to a slot that ACPI looks after has power at once: a guest that restores the
 * register when it wakes from suspend must not switch it off by that.
 */
static void strap_control_locked(PciePort *port, bool occupied)
{
    PciDevice *pci = &port->bridge.pci;
    unsigned offset = pci->express_cap + PCI_EXP_SLTCTL;
    uint32_t now = pci_config_get(pci, offset, 2);
    uint32_t power = occupied ? PCI_EXP_SLTCTL_PWR_IND_ON
                              : PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PCC;

    pci_config_strap(pci, offset, 2, PCI_EXP_SLTCTL_ATTN_IND_OFF | power);
    if (!pci->dev.tree->started)
        return;
    if (occupied && port->bridge.secondary.slots &&
        !(enabled_events(now) & PCI_EXP_SLTSTA_ABP))
        now = (now & ~(PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC)) | power;
    pci_config_set(pci, offset, 2, now);
    port->control = now;
}

static void port_secondary_changed(PciDevice *pci)
{
    PciePort *port = to_port(pci);
    unsigned status = pci->express_cap + PCI_EXP_SLTSTA;
    unsigned link = pci->express_cap + PCI_EXP_LNKSTA;
    bool occupied = pci_bus_function(&port->bridge.secondary, 0);
    bool hotplug = props_of(port)->hotplug;
    uint32_t slot_bits, link_bits;

    lock_take(&pci->dev.lock);
    slot_bits = pci_config_get(pci, status, 2);
    link_bits = pci_config_get(pci, link, 2) & ~PCI_EXP_LNKSTA_DLLLA;
    if (occupied == !!(slot_bits & PCI_EXP_SLTSTA_PDS)) {
        lock_drop(&pci->dev.lock);
        return;
    }
    pci_config_strap(pci, link, 2, link_bits | (occupied ? PCI_EXP_LNKSTA_DLLLA : 0));
    pci_config_strap(pci, status, 2, occupied ? PCI_EXP_SLTSTA_PDS : 0);
    if (hotplug)
        strap_control_locked(port, occupied);
    port->asked = false;
    port->ejects = false;
    port->keeps = false;
    slot_bits = (slot_bits & ~PCI_EXP_SLTSTA_PDS) | (occupied ? PCI_EXP_SLTSTA_PDS : 0);
    pci_config_set(pci, status, 2, slot_bits);
    raise_events_locked(port, pci->dev.tree->started ? SLOT_CHANGED : 0);
    lock_drop(&pci->dev.lock);
}

static bool port_slot_takes(const PciDevice *pci)
{
    return pci->dev.args->u.pcie_root_port.hotplug;
}

static bool port_slot_is_driven(PciDevice *pci)
{
    uint32_t control;

    lock_take(&pci->dev.lock);
    control = pci_config_get(pci, pci->express_cap + PCI_EXP_SLTCTL, 2);
    lock_drop(&pci->dev.lock);
    return enabled_events(control) & PCI_EXP_SLTSTA_ABP;
}

/*
 * A slot without power is in nobody's use.  A second press within its five seconds would
 * tell the guest to go on as before.
 */
static bool port_slot_ask(PciDevice *pci, bool *ret_eject, GError **error)
{
    PciePort *port = to_port(pci);
    uint32_t control;
    bool blinks;

    lock_take(&pci->dev.lock);
    control = pci_config_get(pci, pci->express_cap + PCI_EXP_SLTCTL, 2);
    blinks = (control & PCI_EXP_SLTCTL_PIC) == PCI_EXP_SLTCTL_PWR_IND_BLINK;
    *ret_eject = is_off(control);
    if (!blinks && !*ret_eject) {
        port->asked = true;
        raise_events_locked(port, PCI_EXP_SLTSTA_ABP);
    }
    lock_drop(&pci->dev.lock);
    if (blinks)
        error_set(error, "the guest is at work on slot '%s': its power indicator blinks",
                  device_name(&pci->dev));
    return !blinks;
}

static const PciClass port_pci_class = {
    .vendor_id = VENDOR_ID,
    .device_id = DEVICE_ID,
    .class_code = 0x060400,
    .is_bridge = true,
    .interrupt_pin = 1,
    .after_write = port_after_write,
    .secondary_changed = port_secondary_changed,
    .slot_takes = port_slot_takes,
    .slot_ask = port_slot_ask,
    .slot_is_driven = port_slot_is_driven,
};

static void add_express_cap(PciDevice *pci, const PcieRootPortProps *props)
{
    uint8_t cap = pci_add_express_cap(pci, PCI_EXP_TYPE_ROOT_PORT);
    uint32_t slot = (uint32_t)props->slot << 19;

    slot |= props->hotplug ? SLOT_CAPABILITIES : PCI_EXP_SLTCAP_NCCS;
    pci_config_set(pci, cap + PCI_EXP_FLAGS, 2,
                   pci_config_get(pci, cap + PCI_EXP_FLAGS, 2) | PCI_EXP_FLAGS_SLOT);
    pci_config_set(pci, cap + PCI_EXP_LNKCAP, 4,
                   pci_config_get(pci, cap + PCI_EXP_LNKCAP, 4) |
                   PCI_EXP_LNKCAP_DLLLARC | (uint32_t)props->port << 24);
    pci_config_set(pci, cap + PCI_EXP_SLTCAP, 4, slot);
    pci_config_allow(pci, cap + PCI_EXP_SLTCTL, 2,
                     PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |
                     PCI_EXP_SLTCTL_DLLSCE | (props->hotplug ? SLOT_CONTROLS : 0));
    if (props->hotplug)
        pci_config_set(pci, cap + PCI_EXP_SLTCTL, 2, PCI_EXP_SLTCTL_ATTN_IND_OFF |
                       PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PCC);
    pci_config_allow_w1c(pci, cap + PCI_EXP_SLTSTA, 2, SLOT_EVENTS);
    pci_config_allow(pci, cap + PCI_EXP_RTCTL, 2,
                     PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE | PCI_EXP_RTCTL_SEFEE |
                     PCI_EXP_RTCTL_PMEIE);
}

static bool check_size(const char *name, uint64_t value, uint64_t max, GError **error)
{
    if (value > max)
        error_set(error, "parameter '%s' expects at most %" PRIu64 " bytes", name, max);
    return value <= max;
}

static bool check_props(Device *dev, const PcieRootPortProps *props, GError **error)
{
    if (pci_bus(dev->bus)->bridge) {
        error_set(error, "parameter 'bus': a root port goes into the root bus, not '%s'",
                  dev->bus->name);
        return false;
    }
    LIST_FOREACH(node, &dev->tree->devices) {
        Device *other = CONTAINER_OF(node, Device, tree_node);
        const PcieRootPortProps *theirs;

        if (other->class != dev->class)
            continue;
        theirs = &other->args->u.pcie_root_port;
        if (theirs->chassis == props->chassis && theirs->slot == props->slot) {
            error_set(error, "parameter 'chassis': chassis %u slot %u is '%s' already",
                      props->chassis, props->slot, device_name(other));
            return false;
        }
    }
    return check_size("io-reserve", props->io_reserve, 64 * KIB, error) &&
        check_size("mem-reserve", props->mem_reserve, RESERVE_MEMORY_MAX, error) &&
        check_size("pref64-reserve", props->pref64_reserve, RESERVE_PREFETCHABLE_MAX,
                   error);
}

static PciReserve reserve_of(const PcieRootPortProps *props)
{
    PciReserve reserve = { 0 };

    if (props->hotplug) {
        reserve.memory = DEFAULT_RESERVE_MEMORY;
        reserve.prefetchable = DEFAULT_RESERVE_PREFETCHABLE;
    }
    if (props->has_io_reserve)
        reserve.io = props->io_reserve;
    if (props->has_mem_reserve)
        reserve.memory = props->mem_reserve;
    if (props->has_pref64_reserve)
        reserve.prefetchable = props->pref64_reserve;
    if (props->has_bus_reserve)
        reserve.buses = props->bus_reserve;
    return reserve;
}

/* What is not said firmware decides, as QEMU's ports have it. */
static void add_hints(PciDevice *pci, const PcieRootPortProps *props)
{
    const BridgeHints hints = {
        .buses = props->has_bus_reserve ? props->bus_reserve : UINT32_MAX,
        .memory = props->has_mem_reserve ? (uint32_t)props->mem_reserve : UINT32_MAX,
        .io = props->has_io_reserve ? props->io_reserve : UINT64_MAX,
        .prefetchable = props->has_pref64_reserve ? props->pref64_reserve : UINT64_MAX,
    };

    if (props->has_bus_reserve || props->has_mem_reserve || props->has_io_reserve ||
        props->has_pref64_reserve)
        pci_bridge_add_hints(pci, &hints);
}

static bool port_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciDevice *pci = pci_device(dev);
    PciePort *port = to_port(pci);
    const PcieRootPortProps *props = &args->u.pcie_root_port;

    if (!check_props(dev, props, error) ||
        !pci_bridge_init(&port->bridge, &port_pci_class, PCI_BUS_SLOT, "pcie", error))
        return false;
    add_express_cap(pci, props);
    pci_add_pm_cap(pci);
    msix_add(pci, 1, MSIX_BAR);
    add_hints(pci, props);
    port->bridge.secondary.reserve = reserve_of(props);
    loop_message_init(&port->answered, on_answered, port);
    return true;
}

static void port_unrealize(Device *dev)
{
    PciePort *port = to_port(pci_device(dev));

    loop_message_cancel(dev->board->loop, &port->answered);
    pci_bridge_done(&port->bridge);
}

static void port_reset(Device *dev)
{
    PciDevice *pci = pci_device(dev);
    PciePort *port = to_port(pci);

    pci_bridge_reset(&port->bridge);
    lock_take(&dev->lock);
    port->control = pci_config_get(pci, pci->express_cap + PCI_EXP_SLTCTL, 2);
    port->asked = false;
    update_slot_interrupt_locked(port);
    lock_drop(&dev->lock);
}

static bool port_post_load(void *opaque, GError **error)
{
    PciePort *port = opaque;
    PciDevice *pci = &port->bridge.pci;

    port->control = pci_config_get(pci, pci->express_cap + PCI_EXP_SLTCTL, 2);
    return true;
}

static const VMStateField port_fields[] = {
    VMSTATE_STRUCT(PciePort, bridge, pci_bridge_vmstate),
    VMSTATE_BOOL(PciePort, interrupts),
    VMSTATE_BOOL(PciePort, asked),
    VMSTATE_END
};

static const VMStateDesc port_vmstate = {
    .name = "pcie-root-port", .version = 1, .min_version = 1, .fields = port_fields,
    .post_load = port_post_load,
};

const DeviceClass pcie_root_port_class = {
    .name = "pcie-root-port",
    .description = "PCI Express root port",
    .bus = BUS_PCI,
    .instance_size = sizeof(PciePort),
    .vmstate = &port_vmstate,
    .realize = port_realize,
    .unrealize = port_unrealize,
    .reset = port_reset,
};
