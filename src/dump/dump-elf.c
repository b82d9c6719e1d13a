/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF core file of 64 bits (System V ABI; elf(5)):
 *
 *     ELF header | section header, if need be | program headers | notes | memory
 *
 * The first program header is the notes', the others are parts of the memory: with paging
 * each run of virtual addresses that the page tables of any vCPU have, else each area
 * with its physical address for both.  Memory is in the file once, area after area, in
 * the order of its addresses; several headers may point to the same bytes.
 *
 * When there are more program headers than fit into the header's 16 bits, their number is
 * in section header 0 (PN_XNUM).
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"
#include "berth/page-walk.h"

#include "dump-private.h"

#define PAGE 4096u

/*
 * The runs of virtual addresses that are put down, and the entries of page tables that
 * are looked at for one vCPU: 1 TiB of 4 KiB pages.
 */
#define MAX_MAPPINGS (256u * 1024)
#define MAX_ENTRIES (256ull * 1024 * 1024)

typedef struct ElfWriter {
    const DumpSource *source;
    DumpSink *sink;
    DumpNotes notes;
    GArray *mappings;           /* of PageMapping, each within one area */
    uint64_t notes_offset;
    uint64_t memory_offset;
} ElfWriter;

static const DumpArea *area_at(const ElfWriter *elf, guint index)
{
    return &g_array_index(elf->source->areas, DumpArea, index);
}

static guint n_areas(const ElfWriter *elf)
{
    return elf->source->areas->len;
}

/* The part of @mapping that is in @area; false when there is none. */
static bool intersect(const PageMapping *mapping, const DumpArea *area,
                      PageMapping *ret_part)
{
    uint64_t begin = MAX(mapping->gpa, area->gpa);
    uint64_t mapping_end = mapping->gpa + mapping->size;
    uint64_t end = MIN(mapping_end, area->gpa + area->size);

    if (begin >= end)
        return false;
    *ret_part = (PageMapping) {
        .gva = mapping->gva + (begin - mapping->gpa),
        .gpa = begin,
        .size = end - begin,
    };
    return true;
}

static int compare_mappings(const void *a, const void *b)
{
    const PageMapping *x = a;
    const PageMapping *y = b;

    if (x->gva != y->gva)
        return x->gva < y->gva ? -1 : 1;
    if (x->gpa != y->gpa)
        return x->gpa < y->gpa ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

/* In order of addresses, each once. */
static void sort_mappings(GArray *mappings)
{
    guint kept = 0;

    g_array_sort(mappings, compare_mappings);
    for (guint i = 0; i < mappings->len; i++) {
        PageMapping *mapping = &g_array_index(mappings, PageMapping, i);

        if (kept == 0 || compare_mappings(mapping, &g_array_index(mappings, PageMapping,
                                                                  kept - 1)) != 0)
            g_array_index(mappings, PageMapping, kept++) = *mapping;
    }
    g_array_set_size(mappings, kept);
}

static bool too_many(GError **error)
{
    error_set(error, "the guest's page tables hold more than %u runs of addresses: "
              "dump it without paging", MAX_MAPPINGS);
    return false;
}

/* Adds what @found has of the areas. */
static bool add_mappings(ElfWriter *elf, const GArray *found, GError **error)
{
    for (guint i = 0; i < found->len; i++) {
        const PageMapping *mapping = &g_array_index(found, PageMapping, i);

        for (guint n = 0; n < n_areas(elf); n++) {
            PageMapping part;

            if (!intersect(mapping, area_at(elf, n), &part))
                continue;
            if (elf->mappings->len >= 2 * MAX_MAPPINGS)
                return too_many(error);
            g_array_append_val(elf->mappings, part);
        }
    }
    sort_mappings(elf->mappings);
    return elf->mappings->len <= MAX_MAPPINGS ? true : too_many(error);
}

/* Whether a vCPU before @index has the same page tables. */
static bool is_known(const DumpGuest *guest, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (guest->vcpus[i].cr3 == guest->vcpus[index].cr3 &&
            guest->vcpus[i].cr4 == guest->vcpus[index].cr4 &&
            guest->vcpus[i].cr0 == guest->vcpus[index].cr0 &&
            guest->vcpus[i].efer == guest->vcpus[index].efer)
            return true;
    }
    return false;
}

static bool list_virtual(ElfWriter *elf, GError **error)
{
    const PageWalkLimits limits = { MAX_ENTRIES, MAX_MAPPINGS };
    const DumpGuest *guest = &elf->source->guest;

    for (unsigned i = 0; i < guest->n_vcpus; i++) {
        g_autoptr(GArray) found = g_array_new(false, false, sizeof(PageMapping));
        PageWalk walk;

        if (is_known(guest, i))
            continue;
        page_walk_init(&walk, guest->ram, &guest->vcpus[i]);
        if (!page_walk_list(&walk, &limits, elf->source->cancelled, found))
            return too_many(error);
        if (!add_mappings(elf, found, error))
            return false;
    }
    return true;
}

static void list_physical(ElfWriter *elf)
{
    for (guint i = 0; i < n_areas(elf); i++) {
        const DumpArea *area = area_at(elf, i);
        const PageMapping mapping = { area->gpa, area->gpa, area->size };

        g_array_append_val(elf->mappings, mapping);
    }
}

static bool list_mappings(ElfWriter *elf, GError **error)
{
    if (elf->source->options->paging && !list_virtual(elf, error))
        return false;
    /* No vCPU is paging: addresses are places. */
    if (elf->mappings->len == 0)
        list_physical(elf);
    return true;
}

static uint64_t offset_of(const ElfWriter *elf, uint64_t gpa)
{
    uint64_t offset = elf->memory_offset;

    for (guint i = 0; i < n_areas(elf); i++) {
        const DumpArea *area = area_at(elf, i);

        if (gpa >= area->gpa && gpa - area->gpa < area->size)
            return offset + (gpa - area->gpa);
        offset += area->size;
    }
    g_assert_not_reached();
}

static uint32_t n_headers(const ElfWriter *elf)
{
    return elf->mappings->len + 1;
}

static void append_file_header(const ElfWriter *elf, GByteArray *out)
{
    bool extended = n_headers(elf) >= PN_XNUM;
    const Elf64_Shdr section = { .sh_info = n_headers(elf) };
    Elf64_Ehdr header = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                     EV_CURRENT },
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(header) + (extended ? sizeof(section) : 0),
        .e_ehsize = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = extended ? PN_XNUM : n_headers(elf),
    };

    if (extended) {
        header.e_shoff = sizeof(header);
        header.e_shentsize = sizeof(section);
        header.e_shnum = 1;
    }
    g_byte_array_append(out, (const uint8_t *)&header, sizeof(header));
    if (extended)
        g_byte_array_append(out, (const uint8_t *)&section, sizeof(section));
}

static bool write_program_headers(ElfWriter *elf, GByteArray *out, GError **error)
{
    const Elf64_Phdr notes = {
        .p_type = PT_NOTE,
        .p_offset = elf->notes_offset,
        .p_filesz = elf->notes.bytes->len,
        .p_memsz = elf->notes.bytes->len,
    };

    g_byte_array_append(out, (const uint8_t *)&notes, sizeof(notes));
    for (guint i = 0; i < elf->mappings->len; i++) {
        const PageMapping *mapping = &g_array_index(elf->mappings, PageMapping, i);
        const Elf64_Phdr load = {
            .p_type = PT_LOAD,
            .p_offset = offset_of(elf, mapping->gpa),
            .p_vaddr = mapping->gva,
            .p_paddr = mapping->gpa,
            .p_filesz = mapping->size,
            .p_memsz = mapping->size,
        };

        g_byte_array_append(out, (const uint8_t *)&load, sizeof(load));
        if (out->len >= 64 * KIB) {
            if (!dump_sink_write(elf->sink, out->data, out->len, error))
                return false;
            g_byte_array_set_size(out, 0);
        }
    }
    return dump_sink_write(elf->sink, out->data, out->len, error);
}

static bool write_headers(ElfWriter *elf, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    uint64_t end;

    append_file_header(elf, out);
    elf->notes_offset = out->len + (uint64_t)n_headers(elf) * sizeof(Elf64_Phdr);
    end = elf->notes_offset + elf->notes.bytes->len;
    elf->memory_offset = ALIGN_UP(end, PAGE);
    return write_program_headers(elf, out, error) &&
           dump_sink_write(elf->sink, elf->notes.bytes->data, elf->notes.bytes->len,
                           error) &&
           dump_sink_write_zeros(elf->sink, elf->memory_offset - end, error);
}

static bool write_memory(ElfWriter *elf, GError **error)
{
    for (guint i = 0; i < n_areas(elf); i++) {
        if (!dump_raw_write_area(elf->source, area_at(elf, i), elf->sink, error))
            return false;
    }
    return true;
}

bool dump_elf_write(const DumpSource *source, DumpSink *sink, GError **error)
{
    ElfWriter elf = {
        .source = source,
        .sink = sink,
        .mappings = g_array_new(false, false, sizeof(PageMapping)),
    };
    bool ok;

    dump_note_init(&elf.notes, &source->guest);
    ok = list_mappings(&elf, error) && write_headers(&elf, error) &&
         write_memory(&elf, error) && dump_sink_finish(sink, error);
    dump_note_done(&elf.notes);
    g_array_unref(elf.mappings);
    return ok;
}
