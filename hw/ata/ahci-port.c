/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of a port (AHCI 3.3), its link and its stops.
 *
 * A driver stops a port, resets its device or the controller while commands are active.
 * Their I/O may write to the guest's memory, so what the driver waits for (CR of PxCMD,
 * DET of PxSSTS, HR of GHC) comes when the last of them has ended:
 *
 *     ST cleared, COMRESET, HR  -->  aborting, the loop cancels what it can
 *     nothing is busy any more  -->  stopped; the link comes up if it was reset
 */
#include "berth/thread.h"

#include "ahci.h"

/* Offsets of registers. */
enum {
    PxCLB = 0x00,
    PxCLBU = 0x04,
    PxFB = 0x08,
    PxFBU = 0x0c,
    PxIS = 0x10,
    PxIE = 0x14,
    PxCMD = 0x18,
    PxTFD = 0x20,
    PxSIG = 0x24,
    PxSSTS = 0x28,
    PxSCTL = 0x2c,
    PxSERR = 0x30,
    PxSACT = 0x34,
    PxCI = 0x38,
};

#define CLB_ALIGN 1024u
#define FB_ALIGN 256u
#define CMD_WRITABLE (AHCI_CMD_ST | AHCI_CMD_FRE | AHCI_CMD_ATAPI | AHCI_CMD_DLAE)
#define CCS_SHIFT 8

#define NO_SIGNATURE 0xffffffffu
#define NO_DEVICE_TFD 0x7fu
#define LINK_UP 0x133u                  /* active, 6 Gb/s, a device is there */
#define SCTL_WRITABLE 0xfffu
#define DET_MASK 0x0fu
#define DET_RESET 0x01u
#define DET_OFF 0x04u

void ahci_port_kick(AhciPort *port)
{
    if (port->loop)
        loop_post(port->loop, &port->kick);
}

void ahci_port_tell_signature(AhciPort *port)
{
    AtaResult signature;

    if (!port->signature_due || !(port->cmd & AHCI_CMD_FRE) ||
        !pci_config_is_bus_master(&port->ahci->pci))
        return;
    port->signature_due = false;
    signature = ata_device_signature(&port->ata);
    port->sig = (uint32_t)(signature.lba << 8 | signature.count);
    ahci_fis_registers(port, &signature, false);
}

static bool is_link_wanted(const AhciPort *port)
{
    uint32_t det = port->sctl & DET_MASK;

    return port->ata.unit && det != DET_RESET && det != DET_OFF;
}

/* The device, if there is one, answers anew. */
static void bring_link_up(AhciPort *port)
{
    port->link_due = false;
    port->in_reset = false;
    port->sig = NO_SIGNATURE;
    port->signature_due = is_link_wanted(port);
    port->ssts = port->signature_due ? LINK_UP : 0;
    port->tfd = port->signature_due ? ATA_STATUS_BSY : NO_DEVICE_TFD;
    if (!port->signature_due)
        return;
    ata_device_reset(&port->ata, false);
    ahci_port_tell_signature(port);
}

void ahci_port_settle(AhciPort *port)
{
    Ahci *ahci = port->ahci;

    if (ahci_port_is_busy(port))
        return;
    if (port->aborting || port->link_due) {
        port->aborting = false;
        if (port->link_due)
            bring_link_up(port);
        ahci_note_stopped(ahci);
        ahci_port_kick(port);
    }
    if (!ahci->runs || ahci->restarting)
        loop_post(ahci->pci.dev.board->loop, &ahci->drained);
}

/* What was issued is forgotten, and what is active ends for nobody. */
static void abort_all(AhciPort *port)
{
    port->ci = 0;
    port->sact = 0;
    port->queued = 0;
    port->halted = false;
    if (!ahci_port_is_busy(port))
        return;
    port->aborting = true;
    ahci_port_kick(port);
}

static void take_link_down(AhciPort *port)
{
    abort_all(port);
    port->ssts = 0;
    port->tfd = NO_DEVICE_TFD;
    port->signature_due = false;
    port->link_due = false;
}

static void write_sctl(AhciPort *port, uint32_t value)
{
    uint32_t before = port->sctl & DET_MASK, now = value & DET_MASK;

    port->sctl = value & SCTL_WRITABLE;
    if (now == before)
        return;
    take_link_down(port);
    if (now == DET_RESET || now == DET_OFF)
        return;
    port->link_due = true;
    ahci_port_settle(port);
}

static void write_cmd(AhciPort *port, uint32_t value)
{
    uint32_t before = port->cmd;

    port->cmd = (value & CMD_WRITABLE) | AHCI_CMD_SUD | AHCI_CMD_POD;
    if (value & AHCI_CMD_CLO)
        port->tfd &= ~(uint32_t)(ATA_STATUS_BSY | ATA_STATUS_DRQ);
    if (before & ~port->cmd & AHCI_CMD_ST)
        abort_all(port);
    else if (port->cmd & ~before & AHCI_CMD_ST)
        ahci_port_kick(port);
    ahci_port_tell_signature(port);
}

static uint32_t read_cmd(const AhciPort *port)
{
    uint32_t value = port->cmd | (uint32_t)port->current << CCS_SHIFT;

    if (port->cmd & AHCI_CMD_FRE)
        value |= AHCI_CMD_FR;
    if (port->cmd & AHCI_CMD_ST || port->aborting)
        value |= AHCI_CMD_CR;
    return value;
}

uint32_t ahci_port_read(const AhciPort *port, unsigned offset)
{
    switch (offset) {
    case PxCLB:
        return (uint32_t)port->clb;
    case PxCLBU:
        return (uint32_t)(port->clb >> 32);
    case PxFB:
        return (uint32_t)port->fb;
    case PxFBU:
        return (uint32_t)(port->fb >> 32);
    case PxIS:
        return port->is;
    case PxIE:
        return port->ie;
    case PxCMD:
        return read_cmd(port);
    case PxTFD:
        return port->tfd;
    case PxSIG:
        return port->sig;
    case PxSSTS:
        return port->ssts;
    case PxSCTL:
        return port->sctl;
    case PxSERR:
        return port->serr;
    case PxSACT:
        return port->sact;
    case PxCI:
        return port->ci;
    }
    return 0;
}

static uint64_t set_low(uint64_t value, uint32_t low, uint32_t align)
{
    return (value & ~(uint64_t)UINT32_MAX) | ALIGN_DOWN(low, align);
}

static uint64_t set_high(uint64_t value, uint32_t high)
{
    return (uint64_t)high << 32 | (uint32_t)value;
}

/* CI and SACT are written while the port is started. */
static void issue(AhciPort *port, uint32_t *slots, uint32_t value)
{
    if (!(port->cmd & AHCI_CMD_ST))
        return;
    *slots |= value;
    if (slots == &port->ci)
        ahci_port_kick(port);
}

void ahci_port_write(AhciPort *port, unsigned offset, uint32_t value)
{
    switch (offset) {
    case PxCLB:
        port->clb = set_low(port->clb, value, CLB_ALIGN);
        break;
    case PxCLBU:
        port->clb = set_high(port->clb, value);
        break;
    case PxFB:
        port->fb = set_low(port->fb, value, FB_ALIGN);
        break;
    case PxFBU:
        port->fb = set_high(port->fb, value);
        break;
    case PxIS:
        port->is &= ~value;
        ahci_update_irq(port->ahci, false);
        break;
    case PxIE:
        port->ie = value & AHCI_IE_BITS;
        ahci_update_irq(port->ahci, true);
        break;
    case PxCMD:
        write_cmd(port, value);
        break;
    case PxSCTL:
        write_sctl(port, value);
        break;
    case PxSERR:
        port->serr &= ~value;
        break;
    case PxSACT:
        issue(port, &port->sact, value);
        break;
    case PxCI:
        issue(port, &port->ci, value);
        break;
    }
}

void ahci_port_reset(AhciPort *port, bool power_on)
{
    take_link_down(port);
    port->is = 0;
    port->ie = 0;
    port->cmd = AHCI_CMD_SUD | AHCI_CMD_POD;
    port->sctl = 0;
    port->serr = 0;
    port->current = 0;
    if (power_on) {
        port->clb = 0;
        port->fb = 0;
        if (!ahci_port_is_busy(port))
            ata_device_reset(&port->ata, true);
    }
    port->link_due = true;
    ahci_port_settle(port);
}

static void on_cancelled(void *opaque, unsigned n_found)
{
    AhciPort *port = opaque;
    GMutex *lock = &port->ahci->pci.dev.lock;

    lock_take(lock);
    port->cancelling = false;
    ahci_port_settle(port);
    lock_drop(lock);
}

void ahci_port_on_kick(void *opaque)
{
    AhciPort *port = opaque;
    GMutex *lock = &port->ahci->pci.dev.lock;
    const ScsiTasks tasks = { .all_tags = true, .outcome = SCSI_OUTCOME_ABORTED };
    bool cancels;

    lock_take(lock);
    cancels = port->aborting && !port->cancelling;
    port->cancelling |= cancels;
    lock_drop(lock);
    if (cancels)
        scsi_cancel_tasks(&port->bus, &tasks, on_cancelled, port);
    else
        ahci_command_run(port);
}

void ahci_port_stop(void *opaque)
{
    AhciPort *port = opaque;
    GMutex *lock = &port->ahci->pci.dev.lock;

    scsi_bus_stop(&port->bus, 0);
    lock_take(lock);
    port->held = 0;
    ahci_port_settle(port);
    lock_drop(lock);
}
