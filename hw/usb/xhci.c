/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu-xhci: a host controller of USB without devices (xHCI 1.2, of which the numbers of
 * sections are).
 *
 * Management tools give every machine one.  A driver finds ports on which nothing ever
 * comes, starts the controller, and has its commands answered: slots can be enabled and
 * disabled, and what needs a device fails as it does when none answers.  One interrupter,
 * one segment of its event ring.
 *
 *     doorbell 0 --> command ring (guest) --> complete() --> event ring (guest) --> MSI-X
 *
 * All of it runs on the accessing vCPU, under dev->lock.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/msix.h"
#include "berth/xhci.h"

#include "xhci-rings.h"

/* The BAR: four areas, each read and written in 32-bit registers. */
#define BAR_SIZE 0x4000u
#define OPERATIONAL 0x40u
#define PORTS (OPERATIONAL + 0x400u)
#define PORT_SIZE 0x10u
#define RUNTIME 0x1000u
#define INTERRUPTER (RUNTIME + 0x20u)
#define DOORBELLS 0x2000u
#define MSIX_BAR 2

/* Configuration space, 5.2. */
#define REG_SBRN 0x60u
#define REG_FLADJ 0x61u
#define CAPABILITIES 0x70u

/* Offsets of capability registers, 5.3. */
#define CAPLENGTH 0x00u
#define HCSPARAMS1 0x04u
#define HCCPARAMS1 0x10u
#define DBOFF 0x14u
#define RTSOFF 0x18u
#define SUPPORTED_PROTOCOLS 0x20u       /* 7.2; two of them */
#define PROTOCOL_SIZE 0x10u
#define HCIVERSION 0x0100u
#define AC64 (1u << 0)
#define CAP_ID_PROTOCOL 2u
#define NAME_USB 0x20425355u            /* "USB " */

/* Of operational registers, 5.4. */
#define USBCMD 0x00u
#define USBSTS 0x04u
#define PAGESIZE 0x08u
#define DNCTRL 0x14u
#define CRCR 0x18u
#define DCBAAP 0x30u
#define CONFIG 0x38u

#define CRCR_CYCLE (1u << 0)
#define CRCR_STOP (1u << 1)
#define CRCR_ABORT (1u << 2)
#define CRCR_RUNNING (1u << 3)

#define CONFIG_BITS 0x3ffu

/* Of a port, 5.4.8: powered, and looking for a device. */
#define PORTSC 0x0u
#define PORTPMSC 0x4u
#define PORTSC_EMPTY (1u << 9 | 5u << 5)
#define PORTSC_INDICATOR (3u << 14)
#define PORTSC_WAKE (7u << 25)

/* Of the interrupter, 5.5.2. */
#define IMAN 0x00u
#define IMOD 0x04u
#define ERSTSZ 0x08u
#define ERSTBA 0x10u
#define ERDP 0x18u
#define IMOD_DEFAULT 4000u

static Xhci *to_xhci(Device *dev)
{
    return CONTAINER_OF(dev, Xhci, pci.dev);
}

static unsigned n_ports(const Xhci *xhci)
{
    return xhci->n_ports[0] + xhci->n_ports[1];
}

static void set_half(uint64_t *value, bool upper, uint32_t half)
{
    *value = upper ? (*value & UINT32_MAX) | (uint64_t)half << 32
                   : (*value & ~(uint64_t)UINT32_MAX) | half;
}

static void write_crcr(Xhci *xhci, bool upper, uint32_t value)
{
    if (xhci->command_runs) {
        if (!upper && value & (CRCR_STOP | CRCR_ABORT))
            xhci_rings_stop(xhci);
        return;
    }
    set_half(&xhci->command, upper, upper ? value : value & ~0x3fu);
    if (!upper)
        xhci->command_cycle = value & CRCR_CYCLE;
}

/* What power-on and HCRST have in common. */
static void reset_controller(Xhci *xhci)
{
    xhci->usbcmd = 0;
    xhci->usbsts = STS_HALTED;
    xhci->dnctrl = 0;
    xhci->config = 0;
    xhci->dcbaap = 0;
    xhci->command = 0;
    xhci->command_cycle = false;
    xhci->command_runs = false;
    xhci->slots = 0;
    memset(xhci->portsc, 0, sizeof(xhci->portsc));
    memset(xhci->portpmsc, 0, sizeof(xhci->portpmsc));
    xhci->iman = 0;
    xhci->imod = IMOD_DEFAULT;
    xhci->erstsz = 0;
    xhci->erstba = 0;
    xhci->erdp = 0;
    xhci->event_ring = 0;
    xhci->event_size = 0;
    xhci->event_next = 0;
    xhci->event_cycle = true;
}

static void write_usbcmd(Xhci *xhci, uint32_t value)
{
    if (value & CMD_RESET) {
        reset_controller(xhci);
        xhci_rings_update_pin(xhci);
        return;
    }
    /* 4.23.2: there is nothing to save, and nothing was. */
    if (value & CMD_SAVE)
        xhci->usbsts &= ~STS_RESTORE_ERROR;
    if (value & CMD_RESTORE)
        xhci->usbsts |= STS_RESTORE_ERROR;
    xhci->usbcmd = value & CMD_BITS;
    if (!(value & CMD_RUN)) {
        xhci->usbsts |= STS_HALTED;
        xhci->command_runs = false;
    } else if (!(xhci->usbsts & (STS_SYSTEM_ERROR | STS_CONTROLLER_ERROR))) {
        xhci->usbsts &= ~STS_HALTED;
    }
    xhci_rings_update_pin(xhci);
}

static void write_erdp(Xhci *xhci, bool upper, uint32_t value)
{
    uint64_t busy = xhci->erdp & ERDP_BUSY;

    if (!upper && value & ERDP_BUSY)
        busy = 0;
    set_half(&xhci->erdp, upper, upper ? value : value & ~ERDP_BUSY);
    xhci->erdp |= busy;
    xhci_rings_events_taken(xhci);
}

static uint32_t half_of(uint64_t value, bool upper)
{
    return (uint32_t)(upper ? value >> 32 : value);
}

/* 7.2.2: USB 2 has the first ports, USB 3 those behind them. */
static uint32_t read_protocol(const Xhci *xhci, unsigned index, unsigned offset)
{
    unsigned first = 1 + (index ? xhci->n_ports[0] : 0);
    unsigned next = index == 0 ? PROTOCOL_SIZE / 4 : 0;

    switch (offset) {
    case 0x0:
        return (index ? 3u : 2u) << 24 | next << 8 | CAP_ID_PROTOCOL;
    case 0x4:
        return NAME_USB;
    case 0x8:
        return (uint32_t)xhci->n_ports[index] << 8 | first;
    default:
        return 0;
    }
}

static uint32_t read_capability(const Xhci *xhci, unsigned offset)
{
    if (offset >= SUPPORTED_PROTOCOLS)
        return read_protocol(xhci, (offset - SUPPORTED_PROTOCOLS) / PROTOCOL_SIZE,
                             offset % PROTOCOL_SIZE);
    switch (offset) {
    case CAPLENGTH:
        return HCIVERSION << 16 | OPERATIONAL;
    case HCSPARAMS1:
        return n_ports(xhci) << 24 | 1u << 8 | MAX_SLOTS;
    case HCCPARAMS1:
        return (SUPPORTED_PROTOCOLS / 4) << 16 | AC64;
    case DBOFF:
        return DOORBELLS;
    case RTSOFF:
        return RUNTIME;
    default:
        return 0;
    }
}

static uint32_t read_port(const Xhci *xhci, unsigned offset)
{
    unsigned port = offset / PORT_SIZE;

    if (port >= n_ports(xhci))
        return 0;
    switch (offset % PORT_SIZE) {
    case PORTSC:
        return PORTSC_EMPTY | xhci->portsc[port];
    case PORTPMSC:
        return xhci->portpmsc[port];
    default:
        return 0;
    }
}

static uint32_t read_operational(const Xhci *xhci, unsigned offset)
{
    switch (offset) {
    case USBCMD:
        return xhci->usbcmd;
    case USBSTS:
        return xhci->usbsts;
    case PAGESIZE:
        return 1;
    case DNCTRL:
        return xhci->dnctrl;
    case CRCR:
        return xhci->command_runs ? CRCR_RUNNING : 0;
    case DCBAAP:
    case DCBAAP + 4:
        return half_of(xhci->dcbaap, offset & 4);
    case CONFIG:
        return xhci->config;
    default:
        return 0;
    }
}

static uint32_t read_runtime(const Xhci *xhci, unsigned offset)
{
    if (offset == RUNTIME)
        return xhci_is_running(xhci)
            ? (uint32_t)(device_clock_ns(&xhci->clock) / 125000) & 0x3fff : 0;
    switch (offset - INTERRUPTER) {
    case IMAN:
        return xhci->iman;
    case IMOD:
        return xhci->imod;
    case ERSTSZ:
        return xhci->erstsz;
    case ERSTBA:
    case ERSTBA + 4:
        return half_of(xhci->erstba, offset & 4);
    case ERDP:
    case ERDP + 4:
        return half_of(xhci->erdp, offset & 4);
    default:
        return 0;
    }
}

static uint64_t xhci_read(void *opaque, uint64_t offset, unsigned size)
{
    const Xhci *xhci = opaque;
    unsigned at = (unsigned)offset;

    if (at < OPERATIONAL)
        return read_capability(xhci, at);
    if (at < PORTS)
        return read_operational(xhci, at - OPERATIONAL);
    if (at < RUNTIME)
        return read_port(xhci, at - PORTS);
    return at < DOORBELLS ? read_runtime(xhci, at) : 0;
}

static void write_operational(Xhci *xhci, unsigned offset, uint32_t value)
{
    switch (offset) {
    case USBCMD:
        write_usbcmd(xhci, value);
        break;
    case USBSTS:
        xhci->usbsts &= ~(value & STS_ONE_CLEARS);
        xhci_rings_update_pin(xhci);
        break;
    case DNCTRL:
        xhci->dnctrl = value & 0xffff;
        break;
    case CRCR:
    case CRCR + 4:
        write_crcr(xhci, offset & 4, value);
        break;
    case DCBAAP:
    case DCBAAP + 4:
        set_half(&xhci->dcbaap, offset & 4, offset & 4 ? value : value & ~0x3fu);
        break;
    case CONFIG:
        xhci->config = value & CONFIG_BITS;
        break;
    }
}

static void write_port(Xhci *xhci, unsigned offset, uint32_t value)
{
    unsigned port = offset / PORT_SIZE;

    if (port >= n_ports(xhci))
        return;
    if (offset % PORT_SIZE == PORTSC)
        xhci->portsc[port] = value & (PORTSC_INDICATOR | PORTSC_WAKE);
    else if (offset % PORT_SIZE == PORTPMSC)
        xhci->portpmsc[port] = value;
}

static void write_runtime(Xhci *xhci, unsigned offset, uint32_t value)
{
    switch (offset - INTERRUPTER) {
    case IMAN:
        if (value & IMAN_PENDING)
            xhci->iman &= ~IMAN_PENDING;
        xhci->iman = (xhci->iman & ~IMAN_ENABLE) | (value & IMAN_ENABLE);
        xhci_rings_update_pin(xhci);
        break;
    case IMOD:
        xhci->imod = value;
        break;
    case ERSTSZ:
        xhci->erstsz = value & 0xffff;
        break;
    case ERSTBA:
        set_half(&xhci->erstba, false, value & ~0x3fu);
        break;
    case ERSTBA + 4:
        set_half(&xhci->erstba, true, value);
        xhci_rings_start_events(xhci);
        break;
    case ERDP:
    case ERDP + 4:
        write_erdp(xhci, offset & 4, value);
        break;
    }
}

static void xhci_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Xhci *xhci = opaque;
    unsigned at = (unsigned)offset;

    if (at >= DOORBELLS && at <= DOORBELLS + 4 * MAX_SLOTS)
        xhci_rings_doorbell(xhci, (at - DOORBELLS) / 4);
    else if (at >= RUNTIME && at < DOORBELLS)
        write_runtime(xhci, at, (uint32_t)value);
    else if (at >= PORTS && at < RUNTIME)
        write_port(xhci, at - PORTS, (uint32_t)value);
    else if (at >= OPERATIONAL && at < PORTS)
        write_operational(xhci, at - OPERATIONAL, (uint32_t)value);
}

static const RegionOps xhci_ops = {
    .read = xhci_read, .write = xhci_write, .min_size = 4, .max_size = 4,
};

static const PciClass xhci_pci_class = {
    .vendor_id = 0x1b36,
    .device_id = 0x000d,
    .subsystem_vendor_id = 0x1af4,
    .subsystem_id = 0x1100,
    .class_code = 0x0c0330,
    .revision = 1,
    .interrupt_pin = 1,
};

static bool xhci_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Xhci *xhci = to_xhci(dev);

    if (!pci_device_init(&xhci->pci, &xhci_pci_class, error))
        return false;
    xhci->n_ports[0] = args->u.qemu_xhci.p2;
    xhci->n_ports[1] = args->u.qemu_xhci.p3;
    /* 5.2.3 and 5.2.4: the release of USB, and the length of its frames. */
    pci_config_set(&xhci->pci, REG_SBRN, 1, 0x30);
    pci_config_set(&xhci->pci, REG_FLADJ, 1, 0x20);
    xhci->pci.caps_end = CAPABILITIES;
    if (pci_bus_is_below_port(xhci->pci.bus))
        pci_add_endpoint_cap(&xhci->pci);
    pci_add_pm_cap(&xhci->pci);
    msix_add(&xhci->pci, 1, MSIX_BAR);
    region_init_io(&xhci->region, "xhci", BAR_SIZE, &xhci_ops, xhci, &dev->lock);
    pci_bar_add(&xhci->pci, 0, &xhci->region, PCI_BASE_ADDRESS_MEM_TYPE_64);
    return true;
}

static void xhci_unrealize(Device *dev)
{
    Xhci *xhci = to_xhci(dev);

    pci_device_done(&xhci->pci);
    region_done(&xhci->region);
}

static void xhci_reset(Device *dev)
{
    Xhci *xhci = to_xhci(dev);

    pci_device_reset(&xhci->pci);
    lock_take(&dev->lock);
    reset_controller(xhci);
    lock_drop(&dev->lock);
}

static void xhci_pause(Device *dev)
{
    Xhci *xhci = to_xhci(dev);

    lock_take(&dev->lock);
    device_clock_stop(&xhci->clock);
    lock_drop(&dev->lock);
}

static void xhci_resume(Device *dev)
{
    Xhci *xhci = to_xhci(dev);

    lock_take(&dev->lock);
    device_clock_start(&xhci->clock);
    lock_drop(&dev->lock);
}

static bool xhci_post_load(void *opaque, GError **error)
{
    Xhci *xhci = opaque;

    if (!device_clock_is_sane(&xhci->clock)) {
        error_set(error, "field 'clock' is no time of the counter");
        return false;
    }
    if (xhci->event_size > MAX_SEGMENT ||
        (xhci->event_size && (xhci->event_size < MIN_SEGMENT ||
                              xhci->event_next >= xhci->event_size))) {
        error_set(error, "field 'event_size' or 'event_next' is no place in a ring");
        return false;
    }
    xhci->usbcmd &= CMD_BITS;
    xhci->usbsts &= STS_BITS;
    xhci->config &= CONFIG_BITS;
    xhci->iman &= IMAN_PENDING | IMAN_ENABLE;
    for (unsigned i = 0; i < MAX_PORTS; i++)
        xhci->portsc[i] &= PORTSC_INDICATOR | PORTSC_WAKE;
    return true;
}

static const VMStateField xhci_fields[] = {
    VMSTATE_PCI(Xhci, pci),
    VMSTATE_I64(Xhci, clock.elapsed_ns),
    VMSTATE_U32(Xhci, usbcmd),
    VMSTATE_U32(Xhci, usbsts),
    VMSTATE_U32(Xhci, dnctrl),
    VMSTATE_U32(Xhci, config),
    VMSTATE_U64(Xhci, dcbaap),
    VMSTATE_U64(Xhci, command),
    VMSTATE_BOOL(Xhci, command_cycle),
    VMSTATE_BOOL(Xhci, command_runs),
    VMSTATE_U64(Xhci, slots),
    VMSTATE_U32_ARRAY(Xhci, portsc, MAX_PORTS),
    VMSTATE_U32_ARRAY(Xhci, portpmsc, MAX_PORTS),
    VMSTATE_U32(Xhci, iman),
    VMSTATE_U32(Xhci, imod),
    VMSTATE_U32(Xhci, erstsz),
    VMSTATE_U64(Xhci, erstba),
    VMSTATE_U64(Xhci, erdp),
    VMSTATE_U64(Xhci, event_ring),
    VMSTATE_U32(Xhci, event_size),
    VMSTATE_U32(Xhci, event_next),
    VMSTATE_BOOL(Xhci, event_cycle),
    VMSTATE_END
};

static const VMStateDesc xhci_vmstate = {
    .name = "qemu-xhci",
    .version = 1,
    .min_version = 1,
    .fields = xhci_fields,
    .post_load = xhci_post_load,
};

const DeviceClass xhci_class = {
    .name = "qemu-xhci",
    .description = "USB controller without devices",
    .bus = BUS_PCI,
    .instance_size = sizeof(Xhci),
    .vmstate = &xhci_vmstate,
    .realize = xhci_realize,
    .unrealize = xhci_unrealize,
    .reset = xhci_reset,
    .pause = xhci_pause,
    .resume = xhci_resume,
};
