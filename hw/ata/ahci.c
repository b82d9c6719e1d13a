/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AHCI controller of ICH9 as a PCI function: registers of the controller (AHCI 3.1),
 * interrupts, its life and its state.
 *
 * A port without a device has no memory beside its registers, and no thread.
 */
#include "berth/error.h"
#include "berth/msi.h"
#include "berth/thread.h"

#include "ahci.h"

#define ABAR 5u
#define ABAR_SIZE 0x1000u
#define INDEX_BAR 4u
#define INDEX_BAR_SIZE 0x20u

/* The index/data pair (AHCI 10.14), and the capability that tells where it is (2.3). */
#define AT_INDEX 0x10u
#define AT_DATA 0x14u
#define CAP_ID_SATA 0x12
#define CAP_SATA_SIZE 8u
#define CAP_SATA_VERSION 0x10
#define CAP_SATA_PAIR ((INDEX_BAR + 4) | AT_INDEX / 4 << 4)

/* Of ICH9: which ports there are; a driver enables them. */
#define REG_MAP 0x90u
#define MAP_AHCI 0x40u
#define REG_PORTS 0x92u

#define PORTS_AT 0x100u
#define PORT_SIZE 0x80u
#define ALL_PORTS ((1u << AHCI_PORTS) - 1)

enum {
    CAP = 0x00,
    GHC = 0x04,
    IS = 0x08,
    PI = 0x0c,
    VS = 0x10,
};

/* 64-bit addresses, queued commands, CLO, AHCI alone, 6 Gb/s. */
#define CAP_BITS (1u << 31 | 1u << 30 | 1u << 24 | 1u << 18 | 3u << 20)
#define CAP_VALUE (CAP_BITS | (AHCI_SLOTS - 1) << 8 | (AHCI_PORTS - 1))
#define VERSION 0x00010300u

#define GHC_HR 0x00000001u
#define GHC_IE 0x00000002u
#define GHC_AE 0x80000000u

/* dev->lock is held. */

void ahci_update_irq(Ahci *ahci, bool event)
{
    bool level;

    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        if (ahci->ports[i].is & ahci->ports[i].ie)
            ahci->is |= 1u << i;
    }
    level = ahci->ghc & GHC_IE && ahci->is;
    if (level && event)
        msi_notify(&ahci->pci);
    pci_intx_set(&ahci->pci, level);
}

static bool is_aborting(const Ahci *ahci)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        if (ahci->ports[i].aborting)
            return true;
    }
    return false;
}

void ahci_note_stopped(Ahci *ahci)
{
    if (!is_aborting(ahci))
        ahci->ghc &= ~GHC_HR;
}

static bool is_busy(const Ahci *ahci)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        if (ahci_port_is_busy(&ahci->ports[i]))
            return true;
    }
    return false;
}

static void reset_locked(Ahci *ahci, bool power_on)
{
    ahci->ghc = GHC_AE;
    ahci->is = 0;
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        ahci_port_reset(&ahci->ports[i], power_on);
    ahci_update_irq(ahci, false);
}

static void write_ghc(Ahci *ahci, uint32_t value)
{
    if (value & GHC_HR) {
        reset_locked(ahci, false);
        ahci->ghc |= is_aborting(ahci) ? GHC_HR : 0;
        return;
    }
    ahci->ghc = (ahci->ghc & GHC_HR) | GHC_AE | (value & GHC_IE);
    ahci_update_irq(ahci, true);
}

static uint64_t abar_read(void *opaque, uint64_t offset, unsigned size)
{
    const Ahci *ahci = opaque;

    if (offset >= PORTS_AT) {
        unsigned n = (unsigned)((offset - PORTS_AT) / PORT_SIZE);

        return n < AHCI_PORTS ? ahci_port_read(&ahci->ports[n], offset % PORT_SIZE) : 0;
    }
    switch (offset) {
    case CAP:
        return CAP_VALUE;
    case GHC:
        return ahci->ghc;
    case IS:
        return ahci->is;
    case PI:
        return ALL_PORTS;
    case VS:
        return VERSION;
    }
    return 0;
}

static void abar_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Ahci *ahci = opaque;

    if (offset >= PORTS_AT) {
        unsigned n = (unsigned)((offset - PORTS_AT) / PORT_SIZE);

        if (n < AHCI_PORTS)
            ahci_port_write(&ahci->ports[n], offset % PORT_SIZE, (uint32_t)value);
    } else if (offset == GHC) {
        write_ghc(ahci, (uint32_t)value);
    } else if (offset == IS) {
        ahci->is &= ~(uint32_t)value;
        ahci_update_irq(ahci, true);
    }
}

static const RegionOps abar_ops = {
    .read = abar_read, .write = abar_write, .min_size = 4, .max_size = 4,
};

static uint64_t pair_read(void *opaque, uint64_t offset, unsigned size)
{
    const Ahci *ahci = opaque;

    switch (offset) {
    case AT_INDEX:
        return ahci->index;
    case AT_DATA:
        return abar_read(opaque, ahci->index, size);
    }
    return 0;
}

static void pair_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Ahci *ahci = opaque;

    if (offset == AT_INDEX)
        ahci->index = (uint32_t)value & (ABAR_SIZE - 4);
    else if (offset == AT_DATA)
        abar_write(opaque, ahci->index, value, size);
}

static const RegionOps pair_ops = {
    .read = pair_read, .write = pair_write, .min_size = 4, .max_size = 4,
};

/* Ports. */

static AhciPort *port_of(ScsiBus *bus)
{
    return CONTAINER_OF(bus, AhciPort, bus);
}

static void on_done(ScsiBus *bus, ScsiReq *req)
{
    ata_scsi_done(req);
}

static void on_hold(ScsiBus *bus, ScsiReq *req)
{
    ahci_command_hold(ata_req(req));
}

static void on_unhold(ScsiBus *bus, ScsiReq *req)
{
    ahci_command_unhold(ata_req(req));
}

/* What is issued later is not meant by a cancellation. */
static void on_fetch(ScsiBus *bus, unsigned loop)
{
}

/* An ATA device has no way to tell. */
static void on_changed(ScsiBus *bus, unsigned target, unsigned lun, ScsiChange change)
{
}

static void free_slots(AhciPort *port)
{
    g_clear_pointer(&port->slots, g_free);
    g_clear_pointer(&port->iovs, g_free);
}

static bool make_slots(AhciPort *port, GError **error)
{
    port->slots = g_try_new0(AhciSlot, AHCI_SLOTS);
    port->iovs = g_try_new0(struct iovec, AHCI_SLOTS * AHCI_SEGMENTS);
    if (!port->slots || !port->iovs) {
        error_set(error, "no memory for the commands of an ATA port");
        free_slots(port);
        return false;
    }
    for (unsigned i = 0; i < AHCI_SLOTS; i++) {
        port->slots[i].port = port;
        port->slots[i].number = (uint8_t)i;
    }
    return true;
}

static bool on_attach(ScsiBus *bus, Device *unit, GError **error)
{
    AhciPort *port = port_of(bus);
    Loop *loop = device_tree_queue_loop(unit->tree, error);

    if (!loop || !make_slots(port, error))
        return false;
    if (!ata_device_attach(&port->ata, bus, unit, error)) {
        free_slots(port);
        return false;
    }
    port->ata.done = ahci_command_done;
    ata_device_reset(&port->ata, true);
    bus->loops[0].loop = loop;
    lock_take(&port->ahci->pci.dev.lock);
    port->loop = loop;
    lock_drop(&port->ahci->pci.dev.lock);
    return true;
}

static void leave_loop(void *opaque)
{
    AhciPort *port = opaque;

    loop_hook_remove(&port->hook);
    loop_message_cancel(port->loop, &port->kick);
}

/* The guest does not see the controller, or the unit is not there yet. */
static void on_detach(ScsiBus *bus)
{
    AhciPort *port = port_of(bus);

    loop_call_sync(port->loop, leave_loop, port);
    lock_take(&port->ahci->pci.dev.lock);
    port->loop = NULL;
    ata_device_detach(&port->ata);
    lock_drop(&port->ahci->pci.dev.lock);
    free_slots(port);
}

static const ScsiHba hba = {
    .done = on_done,
    .hold = on_hold,
    .unhold = on_unhold,
    .fetch = on_fetch,
    .changed = on_changed,
    .attach = on_attach,
    .detach = on_detach,
};

unsigned ahci_port_number(const Device *unit)
{
    return port_of(CONTAINER_OF(unit->bus, ScsiBus, bus))->number;
}

/* Main, without the lock. */
static void stop_ports(Ahci *ahci)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        AhciPort *port = &ahci->ports[i];

        if (port->loop)
            loop_call_sync(port->loop, ahci_port_stop, port);
    }
}

/* dev->lock is held. */
static void kick_ports(Ahci *ahci)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        ahci_port_tell_signature(&ahci->ports[i]);
        ahci_port_kick(&ahci->ports[i]);
    }
}

/* Main: whether all ports have come to rest, so that those that restart go on. */
static bool take_rest(Ahci *ahci)
{
    bool busy;

    lock_take(&ahci->pci.dev.lock);
    busy = is_busy(ahci);
    if (!busy && ahci->restarting) {
        ahci->restarting = false;
        kick_ports(ahci);
    }
    lock_drop(&ahci->pci.dev.lock);
    return !busy;
}

/* Main: a port came to rest. */
static void on_drained(void *opaque)
{
    Ahci *ahci = opaque;
    const Board *board = ahci->pci.dev.board;

    if (take_rest(ahci) && board->ops && board->ops->device_drained)
        board->ops->device_drained(board->opaque);
}

static void ahci_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    Ahci *ahci = ahci_of(&pci->dev);

    if (offset > PCI_COMMAND + 1 || offset + size <= PCI_COMMAND)
        return;
    lock_take(&pci->dev.lock);
    kick_ports(ahci);
    lock_drop(&pci->dev.lock);
}

static const PciClass ahci_pci_class = {
    .vendor_id = 0x8086,
    .device_id = 0x2922,
    .subsystem_vendor_id = 0x1af4,
    .subsystem_id = 0x1100,
    .class_code = 0x010601,
    .revision = 2,
    .devfn = PCI_DEVFN(0x1f, 2),
    .interrupt_pin = 1,
    .after_write = ahci_after_write,
};

static void init_registers(Ahci *ahci)
{
    PciDevice *pci = &ahci->pci;
    uint8_t cap;

    msi_add(pci);
    cap = pci_add_cap(pci, CAP_ID_SATA, CAP_SATA_SIZE);
    pci_config_set(pci, cap + 2, 1, CAP_SATA_VERSION);
    pci_config_set(pci, cap + 4, 4, CAP_SATA_PAIR);
    pci_config_set(pci, REG_MAP, 1, MAP_AHCI);
    pci_config_set(pci, REG_PORTS, 1, ALL_PORTS);
    pci_config_allow(pci, REG_PORTS, 1, ALL_PORTS);
    region_init_io(&ahci->abar, "ahci", ABAR_SIZE, &abar_ops, ahci, &pci->dev.lock);
    region_init_io(&ahci->index_pair, "ahci-idp", INDEX_BAR_SIZE, &pair_ops, ahci,
                   &pci->dev.lock);
    pci_bar_add(pci, INDEX_BAR, &ahci->index_pair, PCI_BASE_ADDRESS_SPACE_IO);
    pci_bar_add(pci, ABAR, &ahci->abar, PCI_BASE_ADDRESS_SPACE_MEMORY);
}

static void done_ports(Ahci *ahci)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        scsi_bus_done(&ahci->ports[i].bus);
}

static bool init_ports(Ahci *ahci, GError **error)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        AhciPort *port = &ahci->ports[i];

        port->ahci = ahci;
        port->number = i;
        loop_message_init(&port->kick, ahci_port_on_kick, port);
        ata_device_reset(&port->ata, true);
        if (!scsi_bus_init_port(&port->bus, &ahci->pci.dev, i, &hba, ATA_PORT_DEPTH,
                                error)) {
            done_ports(ahci);
            return false;
        }
    }
    return true;
}

static bool ahci_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Ahci *ahci = ahci_of(dev);

    if (!pci_device_init(&ahci->pci, &ahci_pci_class, error))
        return false;
    loop_message_init(&ahci->drained, on_drained, ahci);
    if (!init_ports(ahci, error)) {
        pci_device_done(&ahci->pci);
        return false;
    }
    init_registers(ahci);
    return true;
}

static void ahci_unrealize(Device *dev)
{
    Ahci *ahci = ahci_of(dev);

    loop_message_cancel(dev->board->loop, &ahci->drained);
    done_ports(ahci);
    pci_device_done(&ahci->pci);
    region_done(&ahci->abar);
    region_done(&ahci->index_pair);
}

static void ahci_reset(Device *dev)
{
    Ahci *ahci = ahci_of(dev);

    pci_device_reset(&ahci->pci);
    lock_take(&dev->lock);
    ahci->index = 0;
    reset_locked(ahci, true);
    lock_drop(&dev->lock);
}

static void ahci_pause(Device *dev)
{
    Ahci *ahci = ahci_of(dev);

    lock_take(&dev->lock);
    ahci->runs = false;
    lock_drop(&dev->lock);
    stop_ports(ahci);
}

static void ahci_resume(Device *dev)
{
    Ahci *ahci = ahci_of(dev);

    lock_take(&dev->lock);
    ahci->runs = true;
    kick_ports(ahci);
    lock_drop(&dev->lock);
}

static bool ahci_is_draining(Device *dev)
{
    bool busy;

    lock_take(&dev->lock);
    busy = is_busy(ahci_of(dev));
    lock_drop(&dev->lock);
    return busy;
}

/*
 * What is active may write to memory that is out of sight; the rest is mapped anew, and
 * is of no matter however busy the ports are with it.
 */
static void ahci_memory_removed(Device *dev)
{
    Ahci *ahci = ahci_of(dev);

    lock_take(&dev->lock);
    ahci->restarting = true;
    lock_drop(&dev->lock);
    stop_ports(ahci);
    take_rest(ahci);
}

static bool ahci_uses_removed(Device *dev)
{
    bool restarting;

    lock_take(&dev->lock);
    restarting = ahci_of(dev)->restarting;
    lock_drop(&dev->lock);
    return restarting;
}

static const VMStateField port_fields[] = {
    VMSTATE_U64(AhciPort, clb),
    VMSTATE_U64(AhciPort, fb),
    VMSTATE_U32(AhciPort, is),
    VMSTATE_U32(AhciPort, ie),
    VMSTATE_U32(AhciPort, cmd),
    VMSTATE_U32(AhciPort, tfd),
    VMSTATE_U32(AhciPort, sig),
    VMSTATE_U32(AhciPort, ssts),
    VMSTATE_U32(AhciPort, sctl),
    VMSTATE_U32(AhciPort, serr),
    VMSTATE_U32(AhciPort, sact),
    VMSTATE_U32(AhciPort, ci),
    VMSTATE_U8(AhciPort, current),
    VMSTATE_U32(AhciPort, queued),
    VMSTATE_BOOL(AhciPort, halted),
    VMSTATE_BOOL(AhciPort, in_reset),
    VMSTATE_BOOL(AhciPort, signature_due),
    VMSTATE_STRUCT(AhciPort, ata, ata_device_vmstate),
    VMSTATE_END
};

static bool port_post_load(void *opaque, GError **error)
{
    const AhciPort *port = opaque;
    const char *field = NULL;

    if (port->clb % 1024)
        field = "clb";
    else if (port->fb % 256)
        field = "fb";
    else if (port->current >= AHCI_SLOTS)
        field = "current";
    else if (!(port->cmd & AHCI_CMD_ST) && (port->ci || port->queued))
        field = "cmd";
    else if (!port->ata.unit && (port->signature_due || port->queued))
        field = "signature_due";
    else if (port->cmd & (AHCI_CMD_FR | AHCI_CMD_CR) || port->cmd >> 8 & 31)
        field = "cmd";
    if (field)
        error_set(error, "field '%s' has an impossible value", field);
    return !field && ata_device_check_loaded(&port->ata, error);
}

static const VMStateDesc port_vmstate = {
    .name = "port", .version = 1, .min_version = 1, .fields = port_fields,
    .post_load = port_post_load,
};

static bool ahci_post_load(void *opaque, GError **error)
{
    Ahci *ahci = opaque;

    if (ahci->index & ~(ABAR_SIZE - 4)) {
        error_set(error, "field 'index' has an impossible value");
        return false;
    }
    ahci->ghc = (ahci->ghc & GHC_IE) | GHC_AE;
    ahci->is &= ALL_PORTS;
    return true;
}

static const VMStateField ahci_fields[] = {
    VMSTATE_PCI(Ahci, pci),
    VMSTATE_U32(Ahci, ghc),
    VMSTATE_U32(Ahci, is),
    VMSTATE_U32(Ahci, index),
    VMSTATE_STRUCT_ARRAY(Ahci, ports, AHCI_PORTS, port_vmstate),
    VMSTATE_END
};

static const VMStateDesc ahci_vmstate = {
    .name = "ich9-ahci", .version = 1, .min_version = 1, .fields = ahci_fields,
    .post_load = ahci_post_load,
};

const DeviceClass ahci_class = {
    .name = "ich9-ahci",
    .description = "controller for ATA disks and CD drives",
    .bus = BUS_PCI,
    .instance_size = sizeof(Ahci),
    .vmstate = &ahci_vmstate,
    .realize = ahci_realize,
    .unrealize = ahci_unrealize,
    .reset = ahci_reset,
    .pause = ahci_pause,
    .resume = ahci_resume,
    .is_draining = ahci_is_draining,
    .memory_removed = ahci_memory_removed,
    .uses_removed = ahci_uses_removed,
};
