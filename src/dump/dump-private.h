/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the writers of formats share.  A worker's.
 */
#pragma once

#include "berth/dump.h"

#include "dump-sink.h"

/* A part of the guest's memory that is dumped. */
typedef struct DumpArea {
    uint64_t gpa;
    uint64_t size;              /* bytes, never 0 */
    const uint8_t *host;
    const RamBlock *block;      /* lent */
    uint64_t offset;            /* of @host in the block */
} DumpArea;

typedef struct DumpSource {
    const DumpOptions *options;
    DumpGuest guest;
    GArray *areas;              /* of DumpArea, by address */
    DumpRange range;            /* of dump_raw_write() */
    const bool *cancelled;      /* atomic */
    uint64_t *completed;        /* atomic: bytes of the areas */
} DumpSource;

/* All notes, in the form of an ELF file. */
typedef struct DumpNotes {
    GByteArray *bytes;
    size_t guest_desc;          /* offset and size of what the guest's note says */
    size_t guest_desc_size;     /* 0 when it gave none */
} DumpNotes;

void dump_note_init(DumpNotes *notes, const DumpGuest *guest);
void dump_note_done(DumpNotes *notes);

/* Whether @bytes begin with one well-formed ELF note; its size and what it says. */
bool dump_note_parse(const uint8_t *bytes, size_t size, size_t *ret_size,
                     size_t *ret_desc, size_t *ret_desc_size);

/* Whether all @size bytes are 0. */
bool dump_raw_is_zero(const void *data, size_t size);
/*
 * Writes the bytes of @area and counts them; pages that the host has not are not read,
 * and of those that it has the ones of zeros are written as such.
 */
bool dump_raw_write_area(const DumpSource *source, const DumpArea *area, DumpSink *sink,
                         GError **error);

/* The formats: false with @error. */
bool dump_elf_write(const DumpSource *source, DumpSink *sink, GError **error);
bool dump_raw_write(const DumpSource *source, DumpSink *sink, GError **error);
bool dump_kdump_write(const DumpSource *source, DumpSink *sink, GError **error);
