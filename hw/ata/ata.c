/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of ATA devices, as a table, and the life of one (ACS-3, chapter 7).
 *
 *     plan --> start --no I/O--> end
 *                |
 *                +--SCSI command of the unit--> next, or how it failed --> end
 *
 * Reads, writes and flushes of a disk are SCSI commands of its unit, as PACKET of a CD
 * drive is by itself; so limits, werror and rerror, cancellation and what is held while
 * the machine stands still are those of every unit.  Sense data becomes error bits here.
 */
#include <string.h>

#include "berth/iov.h"

#include "ata.h"

#define MAX_PACKET_DATA (32u * MIB)

/* The device register. */
#define DEVICE_LBA 0x40
#define DEVICE_HEAD 0x0f

/* Cylinders, heads and sectors, where a guest has not asked for LBA. */
#define CHS_HEADS 16u
#define CHS_SECTORS 63u

/* Sense keys (SPC-5, table 49). */
#define KEY_MEDIUM_ERROR 0x03
#define ASC_LBA_OUT_OF_RANGE 0x21
#define ASC_READ_ERROR 0x11

enum {
    DISK = 1 << 0,              /* kinds of devices that have the command */
    CD = 1 << 1,
    EXT = 1 << 2,               /* LBA of 48 bits, count of 16 */
};

typedef enum AtaData {
    NONE,
    SECTORS,                    /* as many as the count says */
    ONE,                        /* sector */
    PAGES,                      /* of a log: a count without a meaning of 0 */
    SMART,                      /* as the subcommand says */
    PACKET,
} AtaData;

struct AtaEntry {
    uint8_t opcode;
    uint8_t flags;
    uint8_t protocol;
    uint8_t data;
    AtaFn *fn;
};

static AtaFn abort_with_signature;

/* By opcode. */
static const AtaEntry entries[] = {
    { 0x06, DISK | EXT, ATA_DMA_OUT, PAGES, ata_block_trim },   /* DATA SET MANAGEMENT */
    { 0x08, CD, ATA_NO_DATA, NONE, ata_device_reset_command },
    { 0x10, DISK, ATA_NO_DATA, NONE, ata_good },                /* RECALIBRATE */
    { 0x20, CD, ATA_NO_DATA, NONE, abort_with_signature },
    { 0x20, DISK, ATA_PIO_IN, SECTORS, ata_block_read },        /* READ SECTORS */
    { 0x21, DISK, ATA_PIO_IN, SECTORS, ata_block_read },
    { 0x24, DISK | EXT, ATA_PIO_IN, SECTORS, ata_block_read },
    { 0x25, DISK | EXT, ATA_DMA_IN, SECTORS, ata_block_read },  /* READ DMA EXT */
    { 0x27, DISK | EXT, ATA_NO_DATA, NONE, ata_block_native_max },
    { 0x29, DISK | EXT, ATA_PIO_IN, SECTORS, ata_block_read },  /* READ MULTIPLE EXT */
    { 0x2f, DISK | EXT, ATA_PIO_IN, PAGES, ata_log_read },
    { 0x30, DISK, ATA_PIO_OUT, SECTORS, ata_block_write },      /* WRITE SECTORS */
    { 0x31, DISK, ATA_PIO_OUT, SECTORS, ata_block_write },
    { 0x34, DISK | EXT, ATA_PIO_OUT, SECTORS, ata_block_write },
    { 0x35, DISK | EXT, ATA_DMA_OUT, SECTORS, ata_block_write },        /* DMA EXT */
    { 0x39, DISK | EXT, ATA_PIO_OUT, SECTORS, ata_block_write },        /* MULTIPLE EXT */
    { 0x3d, DISK | EXT, ATA_DMA_OUT, SECTORS, ata_block_write_fua },
    { 0x40, DISK, ATA_NO_DATA, NONE, ata_block_verify },
    { 0x41, DISK, ATA_NO_DATA, NONE, ata_block_verify },
    { 0x42, DISK | EXT, ATA_NO_DATA, NONE, ata_block_verify },
    { 0x47, DISK | EXT, ATA_DMA_IN, PAGES, ata_log_read },
    { 0x60, DISK | EXT, ATA_QUEUED_IN, SECTORS, ata_block_queued_read },
    { 0x61, DISK | EXT, ATA_QUEUED_OUT, SECTORS, ata_block_queued_write },
    { 0x70, DISK, ATA_NO_DATA, NONE, ata_block_seek },
    { 0x90, DISK | CD, ATA_NO_DATA, NONE, ata_device_diagnose },
    { 0x91, DISK, ATA_NO_DATA, NONE, ata_good },        /* INITIALIZE DEVICE PARAMETERS */
    { 0xa0, CD, ATA_PACKET, PACKET, ata_packet },
    { 0xa1, CD, ATA_PIO_IN, ONE, ata_identify_packet },
    { 0xb0, DISK, ATA_PIO_IN, SMART, ata_log_smart },
    { 0xc4, DISK, ATA_PIO_IN, SECTORS, ata_block_read },        /* READ MULTIPLE */
    { 0xc5, DISK, ATA_PIO_OUT, SECTORS, ata_block_write },      /* WRITE MULTIPLE */
    { 0xc6, DISK, ATA_NO_DATA, NONE, ata_device_multiple },
    { 0xc8, DISK, ATA_DMA_IN, SECTORS, ata_block_read },        /* READ DMA */
    { 0xc9, DISK, ATA_DMA_IN, SECTORS, ata_block_read },
    { 0xca, DISK, ATA_DMA_OUT, SECTORS, ata_block_write },      /* WRITE DMA */
    { 0xcb, DISK, ATA_DMA_OUT, SECTORS, ata_block_write },
    { 0xce, DISK | EXT, ATA_PIO_OUT, SECTORS, ata_block_write_fua },    /* MULTIPLE */
    { 0xe0, DISK | CD, ATA_NO_DATA, NONE, ata_device_power },   /* STANDBY IMMEDIATE */
    { 0xe1, DISK | CD, ATA_NO_DATA, NONE, ata_device_power },   /* IDLE IMMEDIATE */
    { 0xe2, DISK | CD, ATA_NO_DATA, NONE, ata_device_power },   /* STANDBY */
    { 0xe3, DISK | CD, ATA_NO_DATA, NONE, ata_device_power },   /* IDLE */
    { 0xe5, DISK | CD, ATA_NO_DATA, NONE, ata_device_check_power },
    { 0xe6, DISK | CD, ATA_NO_DATA, NONE, ata_device_power },   /* SLEEP */
    { 0xe7, DISK | CD, ATA_NO_DATA, NONE, ata_block_flush },
    { 0xea, DISK | EXT, ATA_NO_DATA, NONE, ata_block_flush },
    { 0xec, CD, ATA_NO_DATA, NONE, abort_with_signature },
    { 0xec, DISK, ATA_PIO_IN, ONE, ata_identify },
    { 0xef, DISK | CD, ATA_NO_DATA, NONE, ata_device_features },
    { 0xf8, DISK, ATA_NO_DATA, NONE, ata_block_native_max },
};

static const AtaEntry *find(const AtaDevice *ata, uint8_t opcode)
{
    size_t low = 0, high = G_N_ELEMENTS(entries);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (entries[middle].opcode < opcode)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < G_N_ELEMENTS(entries) && entries[low].opcode == opcode; low++) {
        if (entries[low].flags & (ata->is_cd ? CD : DISK))
            return &entries[low];
    }
    return NULL;
}

/* Where the sectors of a command with 28 bits are. */
static uint64_t short_sector(const AtaCommand *command)
{
    uint32_t low = command->lba & 0xffffff;
    uint32_t head = command->device & DEVICE_HEAD;

    if (command->device & DEVICE_LBA)
        return low | head << 24;
    /* A sector number of 0 is none: far behind the end. */
    if ((low & 0xff) == 0)
        return UINT64_MAX;
    return ((uint64_t)(low >> 8) * CHS_HEADS + head) * CHS_SECTORS + (low & 0xff) - 1;
}

static void read_range(AtaReq *req)
{
    const AtaCommand *command = &req->command;
    const AtaEntry *entry = req->entry;

    if (ata_is_queued((AtaProtocol)entry->protocol)) {
        req->sector = command->lba;
        req->n_sectors = command->features ? command->features : 1u << 16;
    } else if (entry->flags & EXT) {
        req->sector = command->lba;
        req->n_sectors = command->count ? command->count : 1u << 16;
    } else {
        req->sector = short_sector(command);
        req->n_sectors = command->count & 0xff ? command->count & 0xff : 1u << 8;
    }
}

static uint32_t data_size(const AtaReq *req)
{
    switch ((AtaData)req->entry->data) {
    case NONE:
        break;
    case SECTORS:
        return req->n_sectors * ATA_SECTOR_SIZE;
    case ONE:
        return ATA_SECTOR_SIZE;
    case PAGES:
        return req->command.count * ATA_SECTOR_SIZE;
    case SMART:
        return ata_log_smart_has_data(&req->command) ? ATA_SECTOR_SIZE : 0;
    case PACKET:
        return MIN(ata_unit_packet_size(req->packet), MAX_PACKET_DATA);
    }
    return 0;
}

void ata_plan(AtaDevice *ata, AtaReq *req, AtaPlan *ret_plan)
{
    req->ata = ata;
    req->entry = find(ata, req->command.command);
    *ret_plan = (AtaPlan) { .protocol = ATA_NO_DATA };
    if (!req->entry)
        return;
    read_range(req);
    ret_plan->size = data_size(req);
    if (ret_plan->size > 0 || req->entry->data == PACKET)
        ret_plan->protocol = (AtaProtocol)req->entry->protocol;
}

void ata_end(AtaReq *req)
{
    req->ata->done(req);
}

void ata_good(AtaReq *req)
{
    ata_end(req);
}

void ata_fail(AtaReq *req, uint8_t error)
{
    req->result.status = ATA_STATUS_READY | ATA_STATUS_ERR;
    req->result.error = error;
    ata_end(req);
}

void ata_abort(AtaReq *req)
{
    ata_fail(req, ATA_ERROR_ABRT);
}

/* So drivers that know nothing of signatures find a CD drive. */
static void abort_with_signature(AtaReq *req)
{
    const AtaResult signature = ata_device_signature(req->ata);

    req->result.lba = signature.lba;
    req->result.count = signature.count;
    ata_abort(req);
}

void ata_reply(AtaReq *req, const void *data, size_t size)
{
    req->n_moved = (uint32_t)iov_write(req->iov, req->n_iov, 0, data,
                                       MIN(size, req->size));
    ata_good(req);
}

void ata_start(AtaReq *req)
{
    const AtaCommand *command = &req->command;

    req->n_moved = 0;
    req->overran = false;
    req->result = (AtaResult) {
        .status = ATA_STATUS_READY,
        .device = command->device,
        .count = command->count,
        .lba = command->lba,
    };
    if (!req->entry) {
        ata_abort(req);
        return;
    }
    if (req->entry->protocol != ATA_PACKET && req->size < data_size(req)) {
        req->overran = true;
        ata_abort(req);
        return;
    }
    req->entry->fn(req);
}

void ata_submit(AtaReq *req, AtaFn *next)
{
    req->next = next;
    req->ata->standby = false;
    scsi_bus_start(req->ata->bus, 0, 0, 0, &req->scsi);
}

static uint8_t error_of_sense(const uint8_t *sense)
{
    if (sense[12] == ASC_LBA_OUT_OF_RANGE)
        return ATA_ERROR_IDNF;
    if ((sense[2] & 0x0f) == KEY_MEDIUM_ERROR)
        return sense[12] == ASC_READ_ERROR ? ATA_ERROR_UNC : ATA_ERROR_IDNF;
    return ATA_ERROR_ABRT;
}

void ata_scsi_done(ScsiReq *scsi)
{
    AtaReq *req = ata_req(scsi);

    if (req->entry->protocol == ATA_PACKET) {
        ata_packet_done(req);
    } else if (scsi->outcome != SCSI_OUTCOME_STATUS) {
        req->overran = scsi->outcome == SCSI_OUTCOME_OVERRUN;
        ata_abort(req);
    } else if (scsi->status == SCSI_STATUS_GOOD) {
        req->n_moved = scsi->n_moved;
        req->next(req);
    } else {
        ata_fail(req, scsi->sense_size ? error_of_sense(scsi->sense) : ATA_ERROR_ABRT);
    }
}
