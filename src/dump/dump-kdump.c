/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compressed format of kdump, version 6 (makedumpfile, IMPLEMENTATION and
 * diskdump_mod.h; crash, diskdump.h):
 *
 *     block 0     header
 *     block 1     sub-header with the notes, as many blocks as they need
 *                 bitmap of the pages that there are, a bit for each frame number
 *                 bitmap of the pages that are in the file: the same
 *                 a descriptor for each page, in order
 *                 their data: compressed each by itself, or as it is
 *
 * Pages of zeros share one piece of data.  The descriptors and the data grow at two
 * places at once.  "raw" writes each where it belongs, which takes a file; else the file
 * is flattened: pieces that say where they belong, one after the other, for a pipe
 * (crash reads it, makedumpfile -R puts it together).
 *
 * All of it is done with two buffers and a page, whatever the guest's size.
 */
#include <string.h>
#include <sys/time.h>
#include <zlib.h>

#include "berth/error.h"
#include "berth/ram-extent.h"

#include "dump-private.h"

#define PAGE 4096u
#define BLOCK PAGE
#define BUFFER_SIZE (256 * KIB)

#define HEADER_VERSION 6
#define STATUS_ZLIB 1u
#define PAGE_ZLIB 1u
#define DUMP_LEVEL 1u           /* pages of zeros are not stored each */
#define FLAT_HEADER_SIZE 4096u
#define UTSNAME_SIZE 65

/* Compression: fast, and no history beyond a page. */
#define ZLIB_LEVEL 1
#define ZLIB_WINDOW_BITS 12
#define ZLIB_MEM_LEVEL 8

typedef struct __attribute__((packed)) DiskDumpHeader {
    char signature[8];
    uint32_t header_version;
    char utsname[6][UTSNAME_SIZE];      /* the fifth is the machine */
    char pad[6];
    uint64_t seconds;
    uint64_t microseconds;
    uint32_t status;
    uint32_t block_size;
    uint32_t sub_hdr_size;              /* in blocks */
    uint32_t bitmap_blocks;             /* of both */
    uint32_t max_mapnr;                 /* cut to 32 bits */
    uint32_t total_ram_blocks;
    uint32_t device_blocks;
    uint32_t written_blocks;
    uint32_t current_cpu;
    uint32_t nr_cpus;
} DiskDumpHeader;

typedef struct __attribute__((packed)) KdumpSubHeader {
    uint64_t phys_base;
    uint32_t dump_level;
    uint32_t split;
    uint64_t start_pfn;
    uint64_t end_pfn;
    uint64_t offset_vmcoreinfo;
    uint64_t size_vmcoreinfo;
    uint64_t offset_note;
    uint64_t size_note;
    uint64_t offset_eraseinfo;
    uint64_t size_eraseinfo;
    uint64_t start_pfn_64;
    uint64_t end_pfn_64;
    uint64_t max_mapnr_64;
} KdumpSubHeader;

typedef struct PageDescriptor {
    uint64_t offset;
    uint32_t size;
    uint32_t flags;
    uint64_t page_flags;
} PageDescriptor;

typedef struct FlatHeader {
    char signature[16];
    uint64_t type;              /* big-endian, as what follows */
    uint64_t version;
} FlatHeader;

typedef struct FlatPiece {
    uint64_t offset;
    uint64_t size;
} FlatPiece;

G_STATIC_ASSERT(sizeof(DiskDumpHeader) == 464);
G_STATIC_ASSERT(sizeof(KdumpSubHeader) == 104);
G_STATIC_ASSERT(sizeof(PageDescriptor) == 24);

/* A place in the file that grows. */
typedef struct Stream {
    uint64_t offset;            /* of the buffer's first byte */
    size_t used;
    uint8_t *buffer;
} Stream;

typedef struct KdumpWriter {
    const DumpSource *source;
    DumpSink *sink;
    bool flat;
    DumpNotes notes;
    uint64_t max_mapnr;         /* the highest frame number, plus one */
    uint64_t n_pages;
    uint64_t bitmap_size;       /* of one */
    Stream descriptors;
    Stream data;
    uint64_t zero_offset;       /* of the page of zeros; 0 until there is one */
    z_stream zlib;
    _Alignas(16) uint8_t page[PAGE];    /* a copy: the guest's own may change */
    uint8_t packed[PAGE];
} KdumpWriter;

static const DumpArea *area_at(const KdumpWriter *kdump, guint index)
{
    return &g_array_index(kdump->source->areas, DumpArea, index);
}

static guint n_areas(const KdumpWriter *kdump)
{
    return kdump->source->areas->len;
}

static bool write_at(KdumpWriter *kdump, uint64_t offset, const void *bytes, size_t size,
                     GError **error)
{
    const FlatPiece piece = { GUINT64_TO_BE(offset), GUINT64_TO_BE(size) };

    if (size == 0)
        return true;
    if (!kdump->flat)
        return dump_sink_write_at(kdump->sink, offset, bytes, size, error);
    return dump_sink_write(kdump->sink, &piece, sizeof(piece), error) &&
           dump_sink_write(kdump->sink, bytes, size, error);
}

static bool stream_flush(KdumpWriter *kdump, Stream *stream, GError **error)
{
    if (!write_at(kdump, stream->offset, stream->buffer, stream->used, error))
        return false;
    stream->offset += stream->used;
    stream->used = 0;
    return true;
}

static bool stream_add(KdumpWriter *kdump, Stream *stream, const void *bytes, size_t size,
                       GError **error)
{
    if (stream->used + size > BUFFER_SIZE && !stream_flush(kdump, stream, error))
        return false;
    memcpy(stream->buffer + stream->used, bytes, size);
    stream->used += size;
    return true;
}

static bool write_flat_header(KdumpWriter *kdump, GError **error)
{
    uint8_t block[FLAT_HEADER_SIZE] = { 0 };
    const FlatHeader header = {
        .signature = "makedumpfile",
        .type = GUINT64_TO_BE(1),
        .version = GUINT64_TO_BE(1),
    };

    if (!kdump->flat)
        return true;
    memcpy(block, &header, sizeof(header));
    return dump_sink_write(kdump->sink, block, sizeof(block), error);
}

static bool write_flat_end(KdumpWriter *kdump, GError **error)
{
    const FlatPiece end = { UINT64_MAX, UINT64_MAX };

    return !kdump->flat || dump_sink_write(kdump->sink, &end, sizeof(end), error);
}

/* Whole pages only. */
static uint64_t first_pfn(const DumpArea *area)
{
    return (area->gpa + PAGE - 1) / PAGE;
}

static uint64_t end_pfn(const DumpArea *area)
{
    return (area->gpa + area->size) / PAGE;
}

static void count_pages(KdumpWriter *kdump)
{
    for (guint i = 0; i < n_areas(kdump); i++) {
        const DumpArea *area = area_at(kdump, i);

        if (first_pfn(area) >= end_pfn(area))
            continue;
        kdump->n_pages += end_pfn(area) - first_pfn(area);
        kdump->max_mapnr = MAX(kdump->max_mapnr, end_pfn(area));
    }
    kdump->bitmap_size = ALIGN_UP((kdump->max_mapnr + 7) / 8, BLOCK);
}

static uint32_t clamp_32(uint64_t value)
{
    return MIN(value, UINT32_MAX);
}

static uint32_t sub_header_blocks(const KdumpWriter *kdump)
{
    uint64_t size = sizeof(KdumpSubHeader) + kdump->notes.bytes->len;

    return (size + BLOCK - 1) / BLOCK;
}

static bool write_header(KdumpWriter *kdump, GError **error)
{
    int64_t now_us = g_get_real_time();
    DiskDumpHeader header = {
        .signature = { 'K', 'D', 'U', 'M', 'P', ' ', ' ', ' ' },
        .header_version = HEADER_VERSION,
        .seconds = (uint64_t)(now_us / G_USEC_PER_SEC),
        .microseconds = (uint64_t)(now_us % G_USEC_PER_SEC),
        .status = STATUS_ZLIB,
        .block_size = BLOCK,
        .sub_hdr_size = sub_header_blocks(kdump),
        .bitmap_blocks = clamp_32(2 * kdump->bitmap_size / BLOCK),
        .max_mapnr = clamp_32(kdump->max_mapnr),
        .total_ram_blocks = clamp_32(kdump->n_pages),
        .device_blocks = clamp_32(kdump->n_pages),
        .written_blocks = clamp_32(kdump->n_pages),
        .nr_cpus = kdump->source->guest.n_vcpus,
    };

    g_strlcpy(header.utsname[4], "x86_64", UTSNAME_SIZE);
    return write_at(kdump, 0, &header, sizeof(header), error);
}

/* Where the kernel is loaded, which it says itself in its VMCOREINFO. */
static uint64_t find_phys_base(const DumpNotes *notes)
{
    static const char key[] = "NUMBER(phys_base)=";
    g_autofree char *text = g_strndup((const char *)notes->bytes->data +
                                      notes->guest_desc, notes->guest_desc_size);
    const char *found = strstr(text, key);

    return found ? (uint64_t)g_ascii_strtoll(found + strlen(key), NULL, 10) : 0;
}

static bool write_sub_header(KdumpWriter *kdump, GError **error)
{
    const DumpNotes *notes = &kdump->notes;
    uint64_t notes_offset = BLOCK + sizeof(KdumpSubHeader);
    KdumpSubHeader header = {
        .dump_level = DUMP_LEVEL,
        .offset_note = notes_offset,
        .size_note = notes->bytes->len,
        .max_mapnr_64 = kdump->max_mapnr,
    };

    if (notes->guest_desc_size > 0) {
        header.phys_base = find_phys_base(notes);
        header.offset_vmcoreinfo = notes_offset + notes->guest_desc;
        header.size_vmcoreinfo = notes->guest_desc_size;
    }
    return write_at(kdump, BLOCK, &header, sizeof(header), error) &&
           write_at(kdump, notes_offset, notes->bytes->data, notes->bytes->len, error);
}

/* Sets bits @from to @to of which the byte array has those from bit @base on. */
static void set_bits(uint8_t *bytes, uint64_t base, uint64_t from, uint64_t to)
{
    for (uint64_t bit = from; bit < to; bit++) {
        if (bit % 8 == 0 && to - bit >= 8) {
            bytes[(bit - base) / 8] = 0xff;
            bit += 7;
        } else {
            bytes[(bit - base) / 8] |= (uint8_t)(1u << bit % 8);
        }
    }
}

static bool write_bitmap(KdumpWriter *kdump, uint64_t offset, GError **error)
{
    const uint64_t bits = BUFFER_SIZE * 8;
    uint8_t *bytes = kdump->data.buffer;

    for (uint64_t base = 0; base < kdump->bitmap_size * 8; base += bits) {
        size_t size = MIN(BUFFER_SIZE, kdump->bitmap_size - base / 8);

        memset(bytes, 0, size);
        for (guint i = 0; i < n_areas(kdump); i++) {
            const DumpArea *area = area_at(kdump, i);

            set_bits(bytes, base, MAX(first_pfn(area), base),
                     MIN(end_pfn(area), base + bits));
        }
        if (!write_at(kdump, offset + base / 8, bytes, size, error))
            return false;
    }
    return true;
}

/* The compressed size, 0 when the page does not get smaller. */
static size_t compress_page(KdumpWriter *kdump)
{
    z_stream *zlib = &kdump->zlib;

    deflateReset(zlib);
    zlib->next_in = kdump->page;
    zlib->avail_in = PAGE;
    zlib->next_out = kdump->packed;
    zlib->avail_out = PAGE - 1;
    return deflate(zlib, Z_FINISH) == Z_STREAM_END ? PAGE - 1 - zlib->avail_out : 0;
}

static bool add_page_data(KdumpWriter *kdump, PageDescriptor *ret, GError **error)
{
    size_t packed_size = compress_page(kdump);
    const void *bytes = packed_size > 0 ? kdump->packed : kdump->page;

    *ret = (PageDescriptor) {
        .offset = kdump->data.offset + kdump->data.used,
        .size = packed_size > 0 ? (uint32_t)packed_size : PAGE,
        .flags = packed_size > 0 ? PAGE_ZLIB : 0,
    };
    return stream_add(kdump, &kdump->data, bytes, ret->size, error);
}

static bool add_descriptor(KdumpWriter *kdump, const PageDescriptor *page, GError **error)
{
    __atomic_add_fetch(kdump->source->completed, PAGE, __ATOMIC_RELAXED);
    return stream_add(kdump, &kdump->descriptors, page, sizeof(*page), error);
}

/* One page of zeros is stored, with the first that is one. */
static bool add_zero_page(KdumpWriter *kdump, GError **error)
{
    const PageDescriptor zero = { .offset = kdump->zero_offset, .size = PAGE };

    return add_descriptor(kdump, &zero, error);
}

static bool add_page(KdumpWriter *kdump, const uint8_t *host, GError **error)
{
    PageDescriptor page;

    memcpy(kdump->page, host, PAGE);
    if (dump_raw_is_zero(kdump->page, PAGE))
        return add_zero_page(kdump, error);
    return add_page_data(kdump, &page, error) && add_descriptor(kdump, &page, error);
}

static bool store_zeros(KdumpWriter *kdump, GError **error)
{
    memset(kdump->page, 0, PAGE);
    kdump->zero_offset = kdump->data.offset + kdump->data.used;
    return stream_add(kdump, &kdump->data, kdump->page, PAGE, error);
}

static bool add_area(KdumpWriter *kdump, const DumpArea *area, GError **error)
{
    uint64_t at = area->offset + (first_pfn(area) * PAGE - area->gpa);
    uint64_t end = at + (end_pfn(area) - first_pfn(area)) * PAGE;
    uint64_t held_start = at;
    uint64_t held_end = at;
    RamExtents extents;
    bool ok = true;

    ram_extent_init(&extents, area->block);
    for (; ok && at < end; at += PAGE) {
        if (at >= held_end)
            ram_extent_next(&extents, at, end, &held_start, &held_end);
        if (at + PAGE <= held_start)
            ok = add_zero_page(kdump, error);
        else
            ok = add_page(kdump, area->host + (at - area->offset), error);
    }
    ram_extent_done(&extents);
    return ok;
}

static bool write_pages(KdumpWriter *kdump, GError **error)
{
    if (!store_zeros(kdump, error))
        return false;
    for (guint i = 0; i < n_areas(kdump); i++) {
        const DumpArea *area = area_at(kdump, i);

        if (first_pfn(area) < end_pfn(area) && !add_area(kdump, area, error))
            return false;
    }
    return stream_flush(kdump, &kdump->descriptors, error) &&
           stream_flush(kdump, &kdump->data, error);
}

static bool write_all(KdumpWriter *kdump, GError **error)
{
    uint64_t bitmaps = (1ull + sub_header_blocks(kdump)) * BLOCK;

    kdump->descriptors.offset = bitmaps + 2 * kdump->bitmap_size;
    kdump->data.offset = kdump->descriptors.offset +
                         kdump->n_pages * sizeof(PageDescriptor);
    return write_flat_header(kdump, error) && write_header(kdump, error) &&
           write_sub_header(kdump, error) && write_bitmap(kdump, bitmaps, error) &&
           write_bitmap(kdump, bitmaps + kdump->bitmap_size, error) &&
           write_pages(kdump, error) && write_flat_end(kdump, error);
}

bool dump_kdump_write(const DumpSource *source, DumpSink *sink, GError **error)
{
    bool flat = source->options->format == DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB;
    g_autofree KdumpWriter *kdump = NULL;
    bool ok;

    if (!flat && !dump_sink_can_seek(sink)) {
        error_set(error, "kdump-raw formats expect a file that can be written to at any "
                  "place");
        return false;
    }
    kdump = g_new0(KdumpWriter, 1);
    kdump->source = source;
    kdump->sink = sink;
    kdump->flat = flat;
    kdump->descriptors.buffer = g_malloc(BUFFER_SIZE);
    kdump->data.buffer = g_malloc(BUFFER_SIZE);
    dump_note_init(&kdump->notes, &source->guest);
    count_pages(kdump);
    ok = deflateInit2(&kdump->zlib, ZLIB_LEVEL, Z_DEFLATED, ZLIB_WINDOW_BITS,
                      ZLIB_MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
    g_assert(ok);
    ok = write_all(kdump, error);
    deflateEnd(&kdump->zlib);
    dump_note_done(&kdump->notes);
    g_free(kdump->descriptors.buffer);
    g_free(kdump->data.buffer);
    return ok;
}
