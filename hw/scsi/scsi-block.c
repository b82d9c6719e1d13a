/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on logical blocks (SBC-4, chapter 5): reading, writing, capacity, freeing.
 *
 * UNMAP and WRITE SAME with data take several steps.  Each descriptor of an UNMAP is
 * copied from the guest once, when its turn comes; what was unmapped before a wrong one
 * stays so, as SBC-4, 5.35 allows.  A WRITE SAME with a block that is not zero needs
 * memory for its pattern, which a lane has for one at a time; another is told that the
 * unit is busy.
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"

#include "scsi-req.h"

#define PATTERN_SIZE (64 * KIB)
#define PATTERN_ALIGN 4096u
#define UNMAP_HEADER 8u
#define UNMAP_DESCRIPTOR 16u
#define SERVICE_READ_CAPACITY 0x10

/* Byte 1 of CDBs. */
#define FUA 0x08
#define PROTECT 0xe0
#define BYTE_CHECK 0x06
#define ANCHOR_UNMAP 0x01
#define SAME_NO_DATA 0x01               /* WRITE SAME(16) only */
#define SAME_OLD 0x06                   /* PBDATA, LBDATA */
#define SAME_UNMAP 0x08
#define SAME_ANCHOR 0x10

typedef struct Extent {
    uint64_t offset;                    /* bytes */
    uint64_t bytes;
} Extent;

/* Whether the unit has these blocks; their bytes in *@ret_extent. */
static bool has_blocks(const ScsiUnit *unit, uint64_t lba, uint32_t n_blocks,
                       Extent *ret_extent)
{
    uint64_t n = __atomic_load_n(&unit->n_blocks, __ATOMIC_RELAXED);

    if (lba > n || n_blocks > n - lba)
        return false;
    *ret_extent = (Extent) {
        lba * unit->block_size, (uint64_t)n_blocks * unit->block_size,
    };
    return true;
}

/* The same of the blocks that the CDB names. */
static bool has_blocks_of_cdb(const ScsiReq *req, Extent *ret_extent)
{
    return has_blocks(scsi_req_unit(req), scsi_command_lba(req), scsi_command_blocks(req),
                      ret_extent);
}

static void count_invalid(const ScsiReq *req, BlockOp op)
{
    block_channel_count_invalid(req->lane->channel, op);
}

/* The bytes of READ or WRITE; false: it has ended. */
static bool check_transfer(ScsiReq *req, BlockOp op, uint32_t room, Extent *ret_extent)
{
    bool has_flags = scsi_command_size(req->cdb[0]) > 6;

    if (has_flags && req->cdb[1] & PROTECT) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return false;
    }
    if (!has_blocks_of_cdb(req, ret_extent)) {
        count_invalid(req, op);
        scsi_req_fail(req, SCSI_SENSE_LBA_OUT_OF_RANGE);
        return false;
    }
    if (ret_extent->bytes > room) {
        scsi_req_end(req, SCSI_OUTCOME_OVERRUN);
        return false;
    }
    req->length = (uint32_t)ret_extent->bytes;
    if (req->length == 0)
        scsi_req_good(req);
    return req->length > 0;
}

static bool asks_for_fua(const ScsiReq *req)
{
    return scsi_command_size(req->cdb[0]) > 6 && req->cdb[1] & FUA;
}

/* What the guest writes is on stable storage when the request ends. */
static bool is_write_through(const ScsiReq *req)
{
    return asks_for_fua(req) || !scsi_flag(&scsi_req_unit(req)->write_cache);
}

/* As many bytes of the buffers as the command moves. */
static void set_data(ScsiReq *req, BlockIo *io, struct iovec *iov, unsigned n_iov,
                     uint32_t size)
{
    io->iov = iov;
    io->n_iov = n_iov;
    if (io->bytes == size)
        return;
    iov_slice_begin(&req->slice, iov, 0, io->bytes);
    req->sliced = true;
    io->iov = req->slice.iov;
    io->n_iov = req->slice.n_iov;
}

static void on_moved(ScsiReq *req)
{
    req->n_moved = req->length;
    scsi_req_good(req);
}

static void read_now(ScsiReq *req)
{
    BlockIo io = {
        .op = BLOCK_OP_READ,
        .offset = scsi_command_lba(req) * scsi_req_unit(req)->block_size,
        .bytes = req->length,
    };

    set_data(req, &io, req->in, req->n_in, req->in_size);
    scsi_req_submit(req, &io, on_moved);
}

void scsi_block_read(ScsiReq *req)
{
    Extent extent;

    if (!check_transfer(req, BLOCK_OP_READ, req->in_size, &extent))
        return;
    if (asks_for_fua(req))
        scsi_req_submit_step(req, &(BlockIo) { .op = BLOCK_OP_FLUSH }, read_now);
    else
        read_now(req);
}

static void write_extent(ScsiReq *req, bool through)
{
    Extent extent;
    BlockIo io;

    if (!check_transfer(req, BLOCK_OP_WRITE, req->out_size, &extent))
        return;
    io = (BlockIo) {
        .op = BLOCK_OP_WRITE, .flags = through ? BLOCK_FUA : 0,
        .offset = extent.offset, .bytes = extent.bytes,
    };
    set_data(req, &io, req->out, req->n_out, req->out_size);
    scsi_req_submit(req, &io, on_moved);
}

void scsi_block_write(ScsiReq *req)
{
    write_extent(req, is_write_through(req));
}

/* On stable storage: that is how the host's disk tells that it can be read. */
void scsi_block_write_verify(ScsiReq *req)
{
    if (req->cdb[1] & BYTE_CHECK)
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
    else
        write_extent(req, true);
}

void scsi_block_verify(ScsiReq *req)
{
    Extent extent;

    if (req->cdb[1] & (BYTE_CHECK | PROTECT))
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
    else if (!has_blocks_of_cdb(req, &extent))
        scsi_req_fail(req, SCSI_SENSE_LBA_OUT_OF_RANGE);
    else
        scsi_req_good(req);
}

void scsi_block_seek(ScsiReq *req)
{
    Extent extent;

    if (has_blocks(scsi_req_unit(req), scsi_command_lba(req), 1, &extent))
        scsi_req_good(req);
    else
        scsi_req_fail(req, SCSI_SENSE_LBA_OUT_OF_RANGE);
}

void scsi_block_flush(ScsiReq *req)
{
    Extent extent;

    if (has_blocks_of_cdb(req, &extent))
        scsi_req_submit(req, &(BlockIo) { .op = BLOCK_OP_FLUSH }, scsi_req_good);
    else
        scsi_req_fail(req, SCSI_SENSE_LBA_OUT_OF_RANGE);
}

/* The next descriptor; req->at is its offset, req->left how many blocks may go. */
static void unmap_next(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    uint8_t descriptor[UNMAP_DESCRIPTOR];
    Extent extent = { 0 };
    uint64_t lba;
    uint32_t n;

    while (extent.bytes == 0) {
        if (req->at >= req->length) {
            req->n_moved = req->length;
            scsi_req_good(req);
            return;
        }
        scsi_req_read(req, req->at, descriptor, sizeof(descriptor));
        req->at += UNMAP_DESCRIPTOR;
        memcpy(&lba, descriptor, sizeof(lba));
        memcpy(&n, descriptor + 8, sizeof(n));
        lba = GUINT64_FROM_BE(lba);
        n = GUINT32_FROM_BE(n);
        if (!has_blocks(unit, lba, n, &extent)) {
            count_invalid(req, BLOCK_OP_DISCARD);
            scsi_req_fail(req, SCSI_SENSE_LBA_OUT_OF_RANGE);
            return;
        }
        if (n > req->left) {
            scsi_req_fail(req, SCSI_SENSE_INVALID_PARAMETER);
            return;
        }
        req->left -= n;
    }
    scsi_req_submit_step(req, &(BlockIo) {
        .op = BLOCK_OP_DISCARD, .offset = extent.offset, .bytes = extent.bytes,
    }, unmap_next);
}

void scsi_block_unmap(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    uint8_t header[UNMAP_HEADER];
    uint32_t size;

    if (req->cdb[1] & ANCHOR_UNMAP) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    if (req->length == 0) {
        scsi_req_good(req);
        return;
    }
    if (req->length < UNMAP_HEADER || !scsi_req_read(req, 0, header, sizeof(header))) {
        scsi_req_fail(req, SCSI_SENSE_PARAMETER_LIST_LENGTH);
        return;
    }
    /* A descriptor that is cut off is not one. */
    size = ALIGN_DOWN((uint32_t)header[2] << 8 | header[3], UNMAP_DESCRIPTOR);
    if (size > req->length - UNMAP_HEADER) {
        scsi_req_fail(req, SCSI_SENSE_PARAMETER_LIST_LENGTH);
        return;
    }
    if (size / UNMAP_DESCRIPTOR > SCSI_MAX_UNMAP_DESCRIPTORS) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_PARAMETER);
        return;
    }
    req->length = UNMAP_HEADER + size;
    req->at = UNMAP_HEADER;
    req->left = unit->hd->max_unmap_size / unit->block_size;
    unmap_next(req);
}

/* The next piece of a pattern that is not zero; req->at and req->left are bytes. */
static void write_pattern(ScsiReq *req)
{
    uint64_t n = MIN(req->left, PATTERN_SIZE);
    const BlockIo io = {
        .op = BLOCK_OP_WRITE, .flags = is_write_through(req) ? BLOCK_FUA : 0,
        .offset = req->at, .bytes = n, .iov = &req->pattern, .n_iov = 1,
    };

    req->pattern = (struct iovec) { req->lane->pattern, n };
    req->at += n;
    req->left -= n;
    if (req->left > 0)
        scsi_req_submit_step(req, &io, write_pattern);
    else
        scsi_req_submit(req, &io, on_moved);
}

static void begin_pattern(ScsiReq *req, const Extent *extent)
{
    ScsiLane *lane = req->lane;
    uint32_t size = req->length;

    if (lane->pattern) {
        req->status = SCSI_STATUS_BUSY;
        scsi_req_end(req, SCSI_OUTCOME_STATUS);
        return;
    }
    if (posix_memalign((void **)&lane->pattern, PATTERN_ALIGN, PATTERN_SIZE)) {
        lane->pattern = NULL;
        scsi_req_fail(req, SCSI_SENSE_TARGET_FAILURE);
        return;
    }
    req->has_pattern = true;
    scsi_req_read(req, 0, lane->pattern, size);
    for (uint32_t at = size; at < PATTERN_SIZE; at += size)
        memcpy(lane->pattern + at, lane->pattern, size);
    req->at = extent->offset;
    req->left = extent->bytes;
    write_pattern(req);
}

static void write_zeroes(ScsiReq *req, const Extent *extent)
{
    BlockIo io = {
        .op = BLOCK_OP_ZERO, .flags = is_write_through(req) ? BLOCK_FUA : 0,
        .offset = extent->offset, .bytes = extent->bytes,
    };

    if (req->cdb[1] & SAME_UNMAP)
        io.flags |= BLOCK_MAY_UNMAP;
    scsi_req_submit(req, &io, on_moved);
}

/* Whether the block that came with the command is zero, as far as one can tell now. */
static bool is_zero_block(ScsiReq *req)
{
    bool is_zero;
    IovSlice slice;

    iov_slice_begin(&slice, req->out, 0, req->length);
    is_zero = iov_is_zero(slice.iov, slice.n_iov);
    iov_slice_end(&slice);
    return is_zero;
}

void scsi_block_write_same(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    bool has_no_data_bit = scsi_command_size(req->cdb[0]) == 16;
    bool no_data = has_no_data_bit && req->cdb[1] & SAME_NO_DATA;
    uint32_t n = scsi_command_blocks(req);
    Extent extent;

    if (req->cdb[1] & (PROTECT | SAME_ANCHOR | SAME_OLD) || n == 0 ||
        (!has_no_data_bit && req->cdb[1] & SAME_NO_DATA) ||
        n > SCSI_MAX_WRITE_SAME / unit->block_size) {
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    req->length = no_data ? 0 : unit->block_size;
    if (!has_blocks(unit, scsi_command_lba(req), n, &extent)) {
        count_invalid(req, BLOCK_OP_ZERO);
        scsi_req_fail(req, SCSI_SENSE_LBA_OUT_OF_RANGE);
    } else if (req->length > req->out_size) {
        scsi_req_end(req, SCSI_OUTCOME_OVERRUN);
    } else if (no_data || is_zero_block(req)) {
        write_zeroes(req, &extent);
    } else {
        begin_pattern(req, &extent);
    }
}

static uint64_t n_blocks(const ScsiUnit *unit)
{
    return __atomic_load_n(&unit->n_blocks, __ATOMIC_RELAXED);
}

void scsi_block_capacity10(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    uint64_t n = n_blocks(unit);
    uint32_t data[2];

    if (scsi_command_lba(req) != 0 || n == 0) {
        scsi_req_fail(req, n == 0 ? SCSI_SENSE_NOT_READY_NO_MEDIUM
                                  : SCSI_SENSE_INVALID_FIELD);
        return;
    }
    /* All ones: ask READ CAPACITY(16). */
    data[0] = GUINT32_TO_BE((uint32_t)MIN(n - 1, UINT32_MAX));
    data[1] = GUINT32_TO_BE(unit->block_size);
    scsi_req_reply(req, data, sizeof(data));
}

static void capacity16(ScsiReq *req)
{
    const ScsiUnit *unit = scsi_req_unit(req);
    uint64_t n = n_blocks(unit);
    uint64_t last = GUINT64_TO_BE(n - 1);
    uint32_t size = GUINT32_TO_BE(unit->block_size);
    uint8_t data[32] = { 0 };

    if (scsi_command_lba(req) != 0 || n == 0) {
        scsi_req_fail(req, n == 0 ? SCSI_SENSE_NOT_READY_NO_MEDIUM
                                  : SCSI_SENSE_INVALID_FIELD);
        return;
    }
    memcpy(data, &last, sizeof(last));
    memcpy(data + 8, &size, sizeof(size));
    data[13] = (uint8_t)__builtin_ctz(unit->physical_block_size / unit->block_size);
    if (unit->discard_granularity > 0)
        data[14] = 0x80;                /* LBPME */
    scsi_req_reply(req, data, sizeof(data));
}

void scsi_block_service_action_in(ScsiReq *req)
{
    if ((req->cdb[1] & 0x1f) == SERVICE_READ_CAPACITY)
        capacity16(req);
    else
        scsi_req_fail(req, SCSI_SENSE_INVALID_FIELD);
}
