/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory byte for byte: what formats have of it, and a range for itself.
 *
 * What the host does not hold is not read.  It holds more than the guest has written,
 * where its pages are huge ones, so pages of zeros are looked for in the rest.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/page-walk.h"
#include "berth/ram-extent.h"

#include "dump-private.h"

#define PAGE 4096u
#define BUFFER_SIZE (64 * KIB)
/* So much is looked at before it is written, while it is in a cache. */
#define RUN_MAX (1 * MIB)

static void add_completed(const DumpSource *source, uint64_t size)
{
    __atomic_add_fetch(source->completed, size, __ATOMIC_RELAXED);
}

bool dump_raw_is_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;

    /* Each byte is the one before it, and the first is 0. */
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* How many of the @left bytes at @data are in pages that all are zero, or all are not. */
static uint64_t run_length(const uint8_t *data, uint64_t left, bool *ret_zero)
{
    uint64_t size = MIN(left, PAGE - (uintptr_t)data % PAGE);

    *ret_zero = dump_raw_is_zero(data, size);
    while (size < left && size < RUN_MAX) {
        uint64_t next = MIN(left - size, PAGE);

        if (dump_raw_is_zero(data + size, next) != *ret_zero)
            break;
        size += next;
    }
    return size;
}

static bool write_held(const DumpSource *source, const uint8_t *data, uint64_t left,
                       DumpSink *sink, GError **error)
{
    while (left > 0) {
        bool zero;
        uint64_t size = run_length(data, left, &zero);

        if (zero ? !dump_sink_write_zeros(sink, size, error)
                 : !dump_sink_write(sink, data, size, error))
            return false;
        add_completed(source, size);
        data += size;
        left -= size;
    }
    return true;
}

/* Writes what is held from *@at on, with the zeros before it, and moves *@at there. */
static bool write_extent(const DumpSource *source, const DumpArea *area,
                         RamExtents *extents, uint64_t *at, DumpSink *sink,
                         GError **error)
{
    uint64_t from = area->offset + *at;
    uint64_t start, end;

    ram_extent_next(extents, from, area->offset + area->size, &start, &end);
    if (!dump_sink_write_zeros(sink, start - from, error))
        return false;
    add_completed(source, start - from);
    if (!write_held(source, area->host + (start - area->offset), end - start, sink,
                    error))
        return false;
    *at = end - area->offset;
    return true;
}

bool dump_raw_write_area(const DumpSource *source, const DumpArea *area, DumpSink *sink,
                         GError **error)
{
    RamExtents extents;
    uint64_t at = 0;
    bool ok = true;

    ram_extent_init(&extents, area->block);
    while (ok && at < area->size)
        ok = write_extent(source, area, &extents, &at, sink, error);
    ram_extent_done(&extents);
    return ok;
}

/* The part of @range from @gpa on. */
static DumpArea area_from(const RamMapRange *range, uint64_t gpa, uint64_t max_size)
{
    uint64_t skipped = gpa - range->gpa;

    return (DumpArea) {
        .gpa = gpa,
        .size = MIN(max_size, range->size - skipped),
        .host = range->host + skipped,
        .block = range->block,
        .offset = range->offset + skipped,
    };
}

static bool write_physical(const DumpSource *source, DumpSink *sink, GError **error)
{
    uint64_t gpa = source->range.start;
    uint64_t left = source->range.size;

    while (left > 0) {
        const RamMapRange *range = ram_map_find(source->guest.ram, gpa);
        uint64_t part;

        if (range && gpa >= range->gpa) {
            const DumpArea area = area_from(range, gpa, left);

            part = area.size;
            if (!dump_raw_write_area(source, &area, sink, error))
                return false;
        } else {
            part = range ? MIN(left, range->gpa - gpa) : left;
            if (!dump_sink_write_zeros(sink, part, error))
                return false;
        }
        gpa += part;
        left -= part;
    }
    return true;
}

static bool write_virtual(const DumpSource *source, DumpSink *sink, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(BUFFER_SIZE);
    uint64_t gva = source->range.start;
    uint64_t left = source->range.size;
    PageWalk walk;

    page_walk_init(&walk, source->guest.ram, &source->guest.vcpus[0]);
    while (left > 0) {
        size_t part = MIN(left, BUFFER_SIZE);

        if (!page_walk_read(&walk, gva, buffer, part)) {
            error_set(error, "Invalid addr 0x%016" PRIx64 "/size %" PRIu64 " specified",
                      source->range.start, source->range.size);
            return false;
        }
        if (!dump_sink_write(sink, buffer, part, error))
            return false;
        gva += part;
        left -= part;
    }
    return true;
}

bool dump_raw_write(const DumpSource *source, DumpSink *sink, GError **error)
{
    bool ok = source->range.is_virtual ? write_virtual(source, sink, error)
                                       : write_physical(source, sink, error);

    return ok && dump_sink_finish(sink, error);
}
