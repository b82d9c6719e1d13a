/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on the sectors of a disk (ACS-3, chapter 7), as SCSI commands of its unit
 * (SBC-4): READ(16), WRITE(16), VERIFY(16), SYNCHRONIZE CACHE(16), UNMAP.
 */
#include <string.h>

#include "ata.h"

#define READ 0x88
#define WRITE 0x8a
#define VERIFY 0x8f
#define SYNCHRONIZE_CACHE 0x91
#define UNMAP 0x42
#define FUA 0x08

#define QUEUED_FUA 0x80                 /* of the device register */
#define TRIM 0x01                       /* of the features */
#define RANGE_SIZE 8u
#define UNMAP_HEADER 8u
#define UNMAP_DESCRIPTOR 16u

static void put(uint8_t *to, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

/* A command of 16 bytes on the sectors of @req, without data yet. */
static void make_cdb(AtaReq *req, uint8_t opcode, uint8_t flags)
{
    ScsiReq *scsi = &req->scsi;

    memset(scsi->cdb, 0, sizeof(scsi->cdb));
    scsi->cdb[0] = opcode;
    scsi->cdb[1] = flags;
    put(scsi->cdb + 2, 8, req->sector);
    put(scsi->cdb + 10, 4, req->n_sectors);
    scsi->cdb_size = 16;
    scsi->in = scsi->out = NULL;
    scsi->n_in = scsi->n_out = 0;
    scsi->in_size = scsi->out_size = 0;
}

static void set_in(AtaReq *req)
{
    req->scsi.in = req->iov;
    req->scsi.n_in = req->n_iov;
    req->scsi.in_size = req->size;
}

static void set_out(AtaReq *req, struct iovec *iov, unsigned n_iov, uint32_t size)
{
    req->scsi.out = iov;
    req->scsi.n_out = n_iov;
    req->scsi.out_size = size;
}

static void read_sectors(AtaReq *req, bool fua)
{
    make_cdb(req, READ, fua ? FUA : 0);
    set_in(req);
    ata_submit(req, ata_good);
}

static void write_sectors(AtaReq *req, bool fua)
{
    make_cdb(req, WRITE, fua ? FUA : 0);
    set_out(req, req->iov, req->n_iov, req->size);
    ata_submit(req, ata_good);
}

void ata_block_read(AtaReq *req)
{
    read_sectors(req, false);
}

void ata_block_write(AtaReq *req)
{
    write_sectors(req, false);
}

void ata_block_write_fua(AtaReq *req)
{
    write_sectors(req, true);
}

/* A port knows a queued command by the tag, which it has in the count. */
static bool check_tag(AtaReq *req)
{
    if (req->command.count >> 3 == req->tag)
        return true;
    ata_abort(req);
    return false;
}

void ata_block_queued_read(AtaReq *req)
{
    if (check_tag(req))
        read_sectors(req, req->command.device & QUEUED_FUA);
}

void ata_block_queued_write(AtaReq *req)
{
    if (check_tag(req))
        write_sectors(req, req->command.device & QUEUED_FUA);
}

void ata_block_verify(AtaReq *req)
{
    make_cdb(req, VERIFY, 0);
    ata_submit(req, ata_good);
}

void ata_block_seek(AtaReq *req)
{
    req->n_sectors = 1;
    ata_block_verify(req);
}

void ata_block_flush_then(AtaReq *req, AtaFn *next)
{
    req->sector = 0;
    req->n_sectors = 0;
    make_cdb(req, SYNCHRONIZE_CACHE, 0);
    ata_submit(req, next);
}

void ata_block_flush(AtaReq *req)
{
    if (req->ata->is_cd)
        ata_good(req);
    else
        ata_block_flush_then(req, ata_good);
}

void ata_block_native_max(AtaReq *req)
{
    bool is_ext = req->command.command == 0x27;
    AtaUnitInfo info;
    uint64_t last;

    ata_unit_query(req->ata->unit, &info);
    last = info.n_sectors > 0 ? info.n_sectors - 1 : 0;
    if (!is_ext) {
        last = MIN(last, (1u << 28) - 1);
        req->result.device = (uint8_t)((req->command.device & 0xf0) | last >> 24);
        last &= 0xffffff;
    }
    req->result.lba = last;
    ata_good(req);
}

/* The ranges as the list of an UNMAP; its size. */
static uint32_t make_unmap_list(AtaReq *req)
{
    uint8_t *list = req->ata->trim;
    uint8_t ranges[ATA_SECTOR_SIZE];
    uint32_t size = UNMAP_HEADER;

    iov_read(req->iov, req->n_iov, 0, ranges, sizeof(ranges));
    memset(list, 0, ATA_TRIM_SIZE);
    for (unsigned at = 0; at < sizeof(ranges); at += RANGE_SIZE) {
        uint64_t range;

        memcpy(&range, ranges + at, sizeof(range));
        range = GUINT64_FROM_LE(range);
        if (range >> ATA_LBA_BITS == 0)
            continue;
        put(list + size, 8, range & ATA_LBA_MASK);
        put(list + size + 8, 4, range >> ATA_LBA_BITS);
        size += UNMAP_DESCRIPTOR;
    }
    put(list, 2, size - 2);
    put(list + 2, 2, size - UNMAP_HEADER);
    return size;
}

/* One sector of ranges at a time, as IDENTIFY DEVICE tells. */
void ata_block_trim(AtaReq *req)
{
    ScsiReq *scsi = &req->scsi;
    AtaUnitInfo info;
    uint32_t size;

    ata_unit_query(req->ata->unit, &info);
    if (!info.can_trim || req->command.count != 1 || !(req->command.features & TRIM)) {
        ata_abort(req);
        return;
    }
    size = make_unmap_list(req);
    make_cdb(req, UNMAP, 0);
    memset(scsi->cdb + 2, 0, SCSI_CDB_MAX - 2);
    put(scsi->cdb + 7, 2, size);
    scsi->cdb_size = 10;
    req->ata->trim_iov = (struct iovec) { req->ata->trim, size };
    set_out(req, &req->ata->trim_iov, 1, size);
    ata_submit(req, ata_good);
}
