/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: from a slot of the guest's list to the device behind the port, and back
 * (AHCI chapters 5 and 6).
 *
 *     issued (CI) --fetched--> active --ended--> told by a FIS
 *                                |
 *                                +--the machine stands still--> issued, or queued
 *
 * A command that is not queued is alone at the device: what is issued beside it waits.
 * One that could not go on while the machine stands still is forgotten and fetched again;
 * the guest may not change what is in its slot before it is told.
 *
 * All queued commands that end well in one turn of the loop are told by one FIS.
 *
 * An error halts the port until the driver stops and starts it (6.2.2).  What is active
 * then ends without being told, since the driver has to issue it again.
 */
#include <string.h>

#include "berth/loop.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "ahci.h"

#define HEADER_SIZE 32u
#define TABLE_SIZE 0x50u                /* FIS and packet */
#define TABLE_ALIGN 128u
#define AT_COUNT 4u                     /* of a header: the bytes that were moved */
#define AT_PACKET 0x40u

/* The flags of a header. */
#define FIS_DWORDS 0x1f
#define WRITES (1u << 6)
#define PRDS_SHIFT 16

#define FIS_COMMAND 0x27
#define FIS_DWORDS_MIN 5u
#define FIS_IS_COMMAND 0x80             /* of byte 1; else it is the control register */
#define CONTROL_RESET 0x04

typedef struct Table {
    uint8_t bytes[TABLE_SIZE];
} Table;

static uint32_t bit_of(const AhciSlot *slot)
{
    return 1u << slot->number;
}

static Device *device_of(const AhciPort *port)
{
    return &port->ahci->pci.dev;
}

/* Whether commands are fetched; dev->lock is held. */
static bool may_run(const AhciPort *port)
{
    const Ahci *ahci = port->ahci;

    return port->ata.unit && port->cmd & AHCI_CMD_ST && !port->halted &&
        !port->aborting && !port->link_due && ahci->runs && !ahci->restarting &&
        pci_config_is_bus_master(&ahci->pci);
}

/* Those to be started; dev->lock is held. */
static uint32_t issued(const AhciPort *port)
{
    return may_run(port) ? (port->ci | port->queued) & ~(port->active | port->held) : 0;
}

/* Takes the first that is issued and not of @tried; NULL: there is none. */
static AhciSlot *take(AhciPort *port, uint32_t tried)
{
    GMutex *lock = &device_of(port)->lock;
    AhciSlot *slot = NULL;
    uint32_t slots;

    lock_take(lock);
    slots = issued(port) & ~tried;
    if (slots) {
        slot = &port->slots[__builtin_ctz(slots)];
        slot->header_gpa = port->clb + slot->number * HEADER_SIZE;
        port->active |= bit_of(slot);
    }
    lock_drop(lock);
    return slot;
}

/* The slot is the guest's; dev->lock is held. */
static void let_go_locked(AhciSlot *slot)
{
    slot->port->active &= ~bit_of(slot);
    ahci_port_settle(slot->port);
}

static void let_go(AhciSlot *slot)
{
    GMutex *lock = &device_of(slot->port)->lock;

    ahci_prdt_done(slot);
    lock_take(lock);
    let_go_locked(slot);
    lock_drop(lock);
}

/* The controller can do nothing with what is in the slot. */
static void fail(AhciSlot *slot, uint32_t bits, const char *what)
{
    AhciPort *port = slot->port;
    Device *dev = device_of(port);

    device_guest_error(dev, "port %u, slot %u: %s", port->number, slot->number, what);
    lock_take(&dev->lock);
    if (!port->aborting) {
        port->halted = true;
        port->current = slot->number;
        ahci_fis_raise(port, bits);
    }
    let_go_locked(slot);
    lock_drop(&dev->lock);
}

static bool read_header(const AhciSlot *slot, AhciHeader *ret_header)
{
    AddressSpace *memory = device_of(slot->port)->board->memory;
    AddressHint *hint = &slot->port->hint;
    const void *at = address_space_map_near(memory, hint, slot->header_gpa, HEADER_SIZE,
                                            true);
    uint32_t words[4];

    if (!at)
        return false;
    memcpy(words, at, sizeof(words));
    __asm__ volatile("" ::: "memory");
    words[0] = GUINT32_FROM_LE(words[0]);
    *ret_header = (AhciHeader) {
        .flags = words[0] & 0xffff,
        .n_prds = words[0] >> PRDS_SHIFT,
        .table_gpa = ALIGN_DOWN((uint64_t)GUINT32_FROM_LE(words[3]) << 32 |
                                GUINT32_FROM_LE(words[2]), TABLE_ALIGN),
    };
    return true;
}

static bool read_table(const AhciSlot *slot, const AhciHeader *header, Table *ret_table)
{
    AddressSpace *memory = device_of(slot->port)->board->memory;
    const void *at = address_space_map_near(memory, &slot->port->hint, header->table_gpa,
                                            TABLE_SIZE, false);

    if (!at)
        return false;
    memcpy(ret_table->bytes, at, TABLE_SIZE);
    __asm__ volatile("" ::: "memory");
    return true;
}

static void read_command(AtaReq *req, const uint8_t *fis)
{
    req->command = (AtaCommand) {
        .command = fis[2],
        .features = (uint16_t)(fis[3] | fis[11] << 8),
        .lba = (uint64_t)fis[10] << 40 | (uint64_t)fis[9] << 32 |
               (uint64_t)fis[8] << 24 | (uint64_t)fis[6] << 16 |
               (uint64_t)fis[5] << 8 | fis[4],
        .device = fis[7],
        .count = (uint16_t)(fis[12] | fis[13] << 8),
    };
}

/* The control register: a driver resets the device by setting and clearing a bit. */
static void write_control(AhciSlot *slot, uint8_t control)
{
    AhciPort *port = slot->port;
    GMutex *lock = &device_of(port)->lock;
    bool resets = control & CONTROL_RESET;

    lock_take(lock);
    if (!port->aborting) {
        port->ci &= ~bit_of(slot);
        if (port->in_reset && !resets) {
            ata_device_reset(&port->ata, false);
            port->signature_due = true;
            ahci_port_tell_signature(port);
        } else if (resets) {
            port->tfd = ATA_STATUS_BSY;
        }
        port->in_reset = resets;
    }
    let_go_locked(slot);
    lock_drop(lock);
}

/* Whether the device takes the command beside those that are active. */
static bool is_taken(const AhciSlot *slot, AtaProtocol protocol)
{
    const AhciPort *port = slot->port;
    uint32_t others = port->active & ~bit_of(slot);

    return ata_is_queued(protocol) ? (others & ~port->active_queued) == 0 : others == 0;
}

/* The device has the command: what the registers say of that. */
static void note_taken(AhciSlot *slot)
{
    AhciPort *port = slot->port;
    GMutex *lock = &device_of(port)->lock;
    uint32_t bit = bit_of(slot);

    lock_take(lock);
    if (ata_is_queued(slot->protocol)) {
        port->active_queued |= bit;
        if (!port->aborting) {
            port->ci &= ~bit;
            port->queued |= bit;
        }
    } else {
        port->current = slot->number;
        port->tfd |= ATA_STATUS_BSY;
    }
    lock_drop(lock);
}

static bool guest_is_written(const AhciSlot *slot, AtaProtocol protocol)
{
    if (protocol == ATA_PACKET)
        return !slot->ata.packet_writes;
    return protocol == ATA_PIO_IN || protocol == ATA_DMA_IN || protocol == ATA_QUEUED_IN;
}

/* Starts a command of the device.  False: it waits for others to end. */
static bool start_command(AhciSlot *slot, const AhciHeader *header, const Table *table)
{
    AhciPort *port = slot->port;
    AtaReq *req = &slot->ata;
    AtaPlan plan;

    read_command(req, table->bytes);
    memcpy(req->packet, table->bytes + AT_PACKET, sizeof(req->packet));
    req->packet_writes = header->flags & WRITES;
    req->tag = slot->number;
    ata_plan(&port->ata, req, &plan);
    slot->protocol = plan.protocol;
    if (!is_taken(slot, plan.protocol)) {
        let_go(slot);
        return false;
    }
    switch (ahci_prdt_read(slot, header, plan.size,
                           guest_is_written(slot, plan.protocol))) {
    case AHCI_BUFFERS_GOOD:
        break;
    case AHCI_BUFFERS_BAD:
        fail(slot, AHCI_IS_HBDS, "a buffer is not in RAM");
        return true;
    case AHCI_BUFFERS_BUSY:
        let_go(slot);
        return false;
    }
    TRACE(ahci_start, "%s port %u slot %u: command 0x%02x", device_name(device_of(port)),
          port->number, slot->number, req->command.command);
    note_taken(slot);
    ata_start(req);
    return true;
}

/* False: no more can be started now. */
static bool start(AhciSlot *slot)
{
    AhciHeader header;
    Table table;

    if (!read_header(slot, &header) || !read_table(slot, &header, &table)) {
        fail(slot, AHCI_IS_HBFS, "the command is not in RAM");
        return true;
    }
    if (table.bytes[0] != FIS_COMMAND || (header.flags & FIS_DWORDS) < FIS_DWORDS_MIN) {
        fail(slot, AHCI_IS_IFS, "that is no frame with a command");
        return true;
    }
    if (table.bytes[1] & FIS_IS_COMMAND)
        return start_command(slot, &header, &table);
    if (slot->port->active & ~bit_of(slot)) {
        let_go(slot);
        return false;
    }
    write_control(slot, table.bytes[15]);
    return true;
}

void ahci_command_run(AhciPort *port)
{
    uint32_t tried = 0;
    AhciSlot *slot;

    if (port->running)
        return;
    port->running = true;
    while ((slot = take(port, tried))) {
        tried |= bit_of(slot);
        if (!start(slot))
            break;
    }
    port->running = false;
}

/* How many bytes were moved, where the guest looks for it. */
static void write_count(const AhciSlot *slot)
{
    uint32_t count = GUINT32_TO_LE(slot->ata.n_moved);
    uint8_t *at = address_space_map(device_of(slot->port)->board->memory,
                                    slot->header_gpa + AT_COUNT, sizeof(count), true);

    if (at)
        memcpy(at, &count, sizeof(count));
}

/* A command that is not queued; dev->lock is held. */
static void tell(AhciSlot *slot)
{
    const AtaResult *result = &slot->ata.result;
    bool failed = result->status & ATA_STATUS_ERR;
    AhciPort *port = slot->port;

    write_count(slot);
    if (failed)
        port->halted = true;
    else
        port->ci &= ~bit_of(slot);
    if (slot->protocol == ATA_PIO_IN && !failed)
        ahci_fis_pio_setup(port, result, slot->ata.n_moved);
    else
        ahci_fis_registers(port, result, true);
}

/* A queued one that failed: the device gives up all that are queued. */
static void tell_queued_failure(AhciSlot *slot)
{
    const AtaResult *result = &slot->ata.result;

    ata_log_note_failure(&slot->ata);
    slot->port->halted = true;
    ahci_fis_set_bits(slot->port, 0, result->status, result->error);
}

/* The queued ones that ended in this turn. */
static void tell_finished(AhciPort *port)
{
    GMutex *lock = &device_of(port)->lock;
    uint32_t finished = port->finished;
    bool more;

    port->finished = 0;
    port->active_queued &= ~finished;
    lock_take(lock);
    port->active &= ~finished;
    if (!port->aborting && !port->halted) {
        port->queued &= ~finished;
        ahci_fis_set_bits(port, finished, ATA_STATUS_READY, 0);
    }
    ahci_port_settle(port);
    more = issued(port);
    lock_drop(lock);
    if (more)
        ahci_command_run(port);
}

static void on_turn_end(void *opaque)
{
    AhciPort *port = opaque;

    if (port->finished)
        tell_finished(port);
}

static void finish_queued(AhciSlot *slot)
{
    AhciPort *port = slot->port;

    if (!port->hook.loop)
        loop_hook_add(port->loop, &port->hook, on_turn_end, port);
    port->finished |= bit_of(slot);
}

void ahci_command_done(AtaReq *req)
{
    AhciSlot *slot = CONTAINER_OF(req, AhciSlot, ata);
    AhciPort *port = slot->port;
    GMutex *lock = &device_of(port)->lock;
    bool failed = req->result.status & ATA_STATUS_ERR;
    bool more;

    TRACE(ahci_end, "%s port %u slot %u: status 0x%02x error 0x%02x",
          device_name(device_of(port)), port->number, slot->number, req->result.status,
          req->result.error);
    ahci_prdt_done(slot);
    if (ata_is_queued(slot->protocol) && !failed) {
        finish_queued(slot);
        return;
    }
    port->active_queued &= ~bit_of(slot);
    lock_take(lock);
    if (!port->aborting && !port->halted) {
        if (req->overran)
            port->is |= AHCI_IS_OFS;
        if (ata_is_queued(slot->protocol))
            tell_queued_failure(slot);
        else
            tell(slot);
    }
    let_go_locked(slot);
    more = issued(port);
    lock_drop(lock);
    if (more)
        ahci_command_run(port);
}

void ahci_command_hold(AtaReq *req)
{
    AhciSlot *slot = CONTAINER_OF(req, AhciSlot, ata);
    AhciPort *port = slot->port;
    GMutex *lock = &device_of(port)->lock;
    bool waits = !port->bus.loops[0].stopping;

    ahci_prdt_done(slot);
    port->active_queued &= ~bit_of(slot);
    lock_take(lock);
    if (waits)
        port->held |= bit_of(slot);
    let_go_locked(slot);
    lock_drop(lock);
}

void ahci_command_unhold(AtaReq *req)
{
    AhciSlot *slot = CONTAINER_OF(req, AhciSlot, ata);
    AhciPort *port = slot->port;
    GMutex *lock = &device_of(port)->lock;

    lock_take(lock);
    port->held &= ~bit_of(slot);
    port->active |= bit_of(slot);
    lock_drop(lock);
    if (ata_is_queued(slot->protocol))
        port->active_queued |= bit_of(slot);
}
