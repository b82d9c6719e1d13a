/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting an access into what a device's registers take.
 *
 * A piece is the largest power of two that fits in the rest, that max_size allows, and
 * that the offset is a multiple of.  Registers are little-endian, as all of a PC.
 */
#include <string.h>

#include "berth/thread.h"

#include "flat-range.h"

#define MAX_PIECE 8

static unsigned min_size(const RegionOps *ops)
{
    return ops->min_size ? ops->min_size : 1;
}

static unsigned piece_size(const RegionOps *ops, uint64_t offset, size_t size)
{
    unsigned piece = ops->max_size ? ops->max_size : MAX_PIECE;

    while (piece > size || (offset & (piece - 1)) != 0)
        piece /= 2;
    return piece;
}

/* Reads one piece; returns how many bytes of @data it filled. */
static unsigned read_piece(const FlatRange *range, uint64_t offset, uint8_t *data,
                           size_t size)
{
    const RegionOps *ops = range->io.ops;
    unsigned piece = piece_size(ops, offset, size);
    unsigned width = MAX(piece, min_size(ops));
    unsigned skip = offset & (width - 1);
    uint64_t value = ops->read(range->io.opaque, offset - skip, width);
    uint64_t bytes = GUINT64_TO_LE(value >> (8 * skip));

    piece = MIN(size, width - skip);
    memcpy(data, &bytes, piece);
    return piece;
}

static unsigned write_piece(const RegionOps *ops, void *opaque, uint64_t offset,
                            const uint8_t *data, size_t size)
{
    unsigned piece = piece_size(ops, offset, size);
    uint64_t value = 0;

    memcpy(&value, data, piece);
    if (piece >= min_size(ops))
        ops->write(opaque, offset, GUINT64_FROM_LE(value), piece);
    return piece;
}

static void read_registers(const FlatRange *range, uint64_t offset, uint8_t *data,
                           size_t size)
{
    if (!range->io.ops->read) {
        memset(data, 0xff, size);
        return;
    }
    if (range->io.lock)
        lock_take(range->io.lock);
    while (size > 0) {
        unsigned done = read_piece(range, offset, data, size);

        offset += done;
        data += done;
        size -= done;
    }
    if (range->io.lock)
        lock_drop(range->io.lock);
}

static void write_pieces(const RegionOps *ops, void *opaque, uint64_t offset,
                         const uint8_t *data, size_t size)
{
    while (size > 0) {
        unsigned done = write_piece(ops, opaque, offset, data, size);

        offset += done;
        data += done;
        size -= done;
    }
}

static void write_registers(const FlatRange *range, uint64_t offset, const uint8_t *data,
                            size_t size)
{
    if (!range->io.ops->write)
        return;
    if (range->io.lock)
        lock_take(range->io.lock);
    write_pieces(range->io.ops, range->io.opaque, offset, data, size);
    if (range->io.lock)
        lock_drop(range->io.lock);
}

static void write_memory(const FlatRange *range, uint64_t at, const uint8_t *data,
                         size_t size)
{
    if (range->kind == REGION_RAM)
        memcpy(range->ram.host + at, data, size);
    else if (range->ram.ops)
        write_pieces(range->ram.ops, range->ram.opaque,
                     (uint64_t)(range->ram.host - range->ram.block->host) + at, data,
                     size);
}

void flat_range_read(const FlatRange *range, uint64_t addr, uint8_t *data, size_t size)
{
    uint64_t at = addr - range->start;

    if (range->kind == REGION_IO)
        read_registers(range, range->io.offset + at, data, size);
    else
        memcpy(data, range->ram.host + at, size);
}

void flat_range_write(const FlatRange *range, uint64_t addr, const uint8_t *data,
                      size_t size)
{
    uint64_t at = addr - range->start;

    if (range->kind == REGION_IO)
        write_registers(range, range->io.offset + at, data, size);
    else
        write_memory(range, at, data, size);
}
