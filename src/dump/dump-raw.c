/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory byte for byte: what formats have of it, and a range for itself.
 */
#include "berth/error.h"
#include "berth/page-walk.h"
#include "berth/ram-extent.h"

#include "dump-private.h"

#define BUFFER_SIZE (64 * KIB)

static void add_completed(const DumpSource *source, uint64_t size)
{
    __atomic_add_fetch(source->completed, size, __ATOMIC_RELAXED);
}

/* Writes what is held from *@at on, with the zeros before it, and moves *@at there. */
static bool write_extent(const DumpSource *source, const DumpArea *area,
                         RamExtents *extents, uint64_t *at, DumpSink *sink,
                         GError **error)
{
    uint64_t from = area->offset + *at;
    uint64_t start, end, size;

    ram_extent_next(extents, from, area->offset + area->size, &start, &end);
    if (!dump_sink_write_zeros(sink, start - from, error))
        return false;
    add_completed(source, start - from);
    for (from = start; from < end; from += size) {
        size = MIN(end - from, MIB);
        if (!dump_sink_write(sink, area->host + (from - area->offset), size, error))
            return false;
        add_completed(source, size);
    }
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
