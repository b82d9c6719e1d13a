/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF with a Xen note PHYS32_ENTRY, the PVH way in: a 32-bit entry with paging off and
 * EBX = hvm_start_info.  vmlinux of Linux has the note, other kernels too.
 *
 * Segments go to their physical addresses.  (Xen, docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h; the ELF specification for headers and notes.)
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "berth/error.h"

#include "boot-image.h"

#define PROGRAM_HEADERS_MAX 128
#define NOTES_SIZE_MAX (64 * KIB)       /* of one PT_NOTE */
#define XEN_NOTE_NAME "Xen"
#define XEN_NOTE_PHYS32_ENTRY 18

#define START_INFO_MAGIC 0x336ec578u
#define START_INFO_VERSION 1

/* As the guest reads them, little-endian. */
typedef struct StartInfo {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t nr_modules;
    uint64_t modlist_paddr;
    uint64_t cmdline_paddr;
    uint64_t rsdp_paddr;
    uint64_t memmap_paddr;
    uint32_t memmap_entries;
    uint32_t reserved;
} StartInfo;

typedef struct StartModule {
    uint64_t paddr;
    uint64_t size;
    uint64_t cmdline_paddr;
    uint64_t reserved;
} StartModule;

typedef struct StartMemory {
    uint64_t addr;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
} StartMemory;

/* All that BOOT_INFO holds. */
typedef struct StartArea {
    StartInfo info;
    StartModule module;
    StartMemory map[BOOT_MEMORY_MAX];
} StartArea;

G_STATIC_ASSERT(sizeof(StartInfo) == 56);
G_STATIC_ASSERT(sizeof(StartModule) == 32);
G_STATIC_ASSERT(sizeof(StartMemory) == 24);
G_STATIC_ASSERT(BOOT_INFO + sizeof(StartArea) <= BOOT_PAGE_TABLES);

/* The file's header, of either class. */
typedef struct ElfHeader {
    bool is_64;
    uint64_t phoff;
    unsigned phentsize;
    unsigned phnum;
} ElfHeader;

static bool elf_matches(const uint8_t *head, size_t size)
{
    return size >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static bool check_machine(unsigned machine, unsigned type, GError **error)
{
    if (machine != EM_X86_64 && machine != EM_386) {
        error_set(error, "an ELF file for another machine (e_machine is %u%s), x86 is "
                  "needed", machine, machine == EM_AARCH64 ? ", arm64" : "");
        return false;
    }
    if (type != ET_EXEC && type != ET_DYN) {
        error_set(error, "an ELF file that is no program (e_type is %u)", type);
        return false;
    }
    return true;
}

static bool parse_header(const uint8_t *head, size_t size, ElfHeader *header,
                         GError **error)
{
    Elf64_Ehdr h64;
    Elf32_Ehdr h32;

    if (size < sizeof h64) {
        error_set(error, "truncated in its ELF header");
        return false;
    }
    if (head[EI_DATA] != ELFDATA2LSB ||
        (head[EI_CLASS] != ELFCLASS64 && head[EI_CLASS] != ELFCLASS32)) {
        error_set(error, "an ELF file that is not little-endian of 32 or 64 bits");
        return false;
    }
    memcpy(&h64, head, sizeof h64);
    memcpy(&h32, head, sizeof h32);
    if (head[EI_CLASS] == ELFCLASS64)
        *header = (ElfHeader) { true, h64.e_phoff, h64.e_phentsize, h64.e_phnum };
    else
        *header = (ElfHeader) { false, h32.e_phoff, h32.e_phentsize, h32.e_phnum };
    /* Both classes have these two at the same place. */
    return check_machine(h32.e_machine, h32.e_type, error);
}

static bool read_file(const BootFile *file, uint64_t offset, void *data, size_t size,
                      GError **error)
{
    ssize_t n = pread(file->fd, data, size, (off_t)offset);

    if (n < 0)
        error_set_errno(error, errno, "cannot read");
    else if ((size_t)n != size)
        error_set(error, "truncated at byte %" PRIu64, offset + (uint64_t)n);
    return n >= 0 && (size_t)n == size;
}

static bool in_file(const BootFile *file, uint64_t offset, uint64_t size)
{
    return offset <= file->size && size <= file->size - offset;
}

/* The table of program headers as it is in the file; freed by the caller. */
static uint8_t *read_program_headers(const BootFile *file, const ElfHeader *header,
                                     GError **error)
{
    size_t entry_size = header->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    size_t size = header->phnum * entry_size;
    g_autofree uint8_t *table = NULL;

    if (header->phnum == 0 || header->phnum > PROGRAM_HEADERS_MAX ||
        header->phentsize != entry_size) {
        error_set(error, "%u program headers of %u bytes; 1 to %u of %zu are needed",
                  header->phnum, header->phentsize, PROGRAM_HEADERS_MAX, entry_size);
        return NULL;
    }
    if (!in_file(file, header->phoff, size)) {
        error_set(error, "truncated: no program headers at byte %" PRIu64, header->phoff);
        return NULL;
    }
    table = g_malloc(size);
    if (!read_file(file, header->phoff, table, size, error))
        return NULL;
    return g_steal_pointer(&table);
}

/* Entry @index of the table in the form of the 64-bit class. */
static Elf64_Phdr program_header(const ElfHeader *header, const uint8_t *table,
                                 unsigned index)
{
    Elf64_Phdr p64;
    Elf32_Phdr p32;

    if (header->is_64) {
        memcpy(&p64, table + index * sizeof p64, sizeof p64);
        return p64;
    }
    memcpy(&p32, table + index * sizeof p32, sizeof p32);
    return (Elf64_Phdr) {
        .p_type = p32.p_type, .p_offset = p32.p_offset, .p_paddr = p32.p_paddr,
        .p_filesz = p32.p_filesz, .p_memsz = p32.p_memsz, .p_align = p32.p_align,
    };
}

static bool check_overlap(const BootElf *elf, BootRange range, GError **error)
{
    for (size_t i = 0; i < elf->n_segments; i++) {
        const BootRange *other = &elf->segments[i].memory;

        if (range.base < other->base + other->size &&
            other->base < range.base + range.size) {
            error_set(error, "two segments overlap at 0x%" PRIx64,
                      MAX(range.base, other->base));
            return false;
        }
    }
    return true;
}

static bool add_segment(BootImage *image, const Elf64_Phdr *ph, GError **error)
{
    BootElf *elf = &image->u.elf;
    BootRange range = { ph->p_paddr, ph->p_memsz };

    if (range.size == 0)
        return true;
    if (elf->n_segments == BOOT_SEGMENTS_MAX) {
        error_set(error, "more than %u segments to load", BOOT_SEGMENTS_MAX);
        return false;
    }
    if (range.base + range.size < range.base) {
        error_set(error, "the segment at 0x%" PRIx64 " wraps around", range.base);
        return false;
    }
    if (range.base < BOOT_LOW_END) {
        error_set(error, "the segment at 0x%" PRIx64 " lies below 0x%x, where berth puts "
                  "its own tables", range.base, BOOT_LOW_END);
        return false;
    }
    if (ph->p_filesz > ph->p_memsz) {
        error_set(error, "the segment at 0x%" PRIx64 " has more bytes in the file than "
                  "in memory", range.base);
        return false;
    }
    if (!in_file(&image->kernel, ph->p_offset, ph->p_filesz)) {
        error_set(error, "truncated: the segment at 0x%" PRIx64 " is not all there",
                  range.base);
        return false;
    }
    if (!check_overlap(elf, range, error))
        return false;
    elf->segments[elf->n_segments++] = (BootSegment) {
        .memory = range, .offset = ph->p_offset, .file_size = ph->p_filesz,
    };
    return true;
}

/* Walks the notes of one segment for the entry; a broken note ends the walk. */
static void find_entry(BootElf *elf, const uint8_t *notes, size_t size, size_t align)
{
    size_t at = 0;

    while (size - at >= sizeof(Elf32_Nhdr)) {
        Elf32_Nhdr note;
        uint64_t desc;
        uint64_t next;

        memcpy(&note, notes + at, sizeof note);
        desc = at + sizeof note + ALIGN_UP((uint64_t)note.n_namesz, align);
        next = desc + ALIGN_UP((uint64_t)note.n_descsz, align);
        if (desc > size || note.n_descsz > size - desc)
            return;
        if (note.n_type == XEN_NOTE_PHYS32_ENTRY &&
            note.n_namesz == sizeof XEN_NOTE_NAME &&
            memcmp(notes + at + sizeof note, XEN_NOTE_NAME, note.n_namesz) == 0 &&
            (note.n_descsz == 4 || note.n_descsz == 8)) {
            elf->entry = 0;
            memcpy(&elf->entry, notes + desc, note.n_descsz);
            return;
        }
        if (next > size)
            return;
        at = next;
    }
}

static bool read_notes(BootImage *image, const Elf64_Phdr *ph, GError **error)
{
    g_autofree uint8_t *notes = NULL;

    if (image->u.elf.entry)
        return true;
    if (ph->p_filesz > NOTES_SIZE_MAX) {
        error_set(error, "%" PRIu64 " bytes of notes, at most %llu are read",
                  (uint64_t)ph->p_filesz, NOTES_SIZE_MAX);
        return false;
    }
    if (!in_file(&image->kernel, ph->p_offset, ph->p_filesz)) {
        error_set(error, "truncated: its notes are not all there");
        return false;
    }
    notes = g_malloc(ph->p_filesz);
    if (!read_file(&image->kernel, ph->p_offset, notes, ph->p_filesz, error))
        return false;
    find_entry(&image->u.elf, notes, ph->p_filesz, ph->p_align == 8 ? 8 : 4);
    return true;
}

static bool check_entry(const BootElf *elf, GError **error)
{
    if (elf->entry == 0) {
        error_set(error, "an ELF file without the Xen note PHYS32_ENTRY, so that it has "
                  "no PVH entry");
        return false;
    }
    for (size_t i = 0; i < elf->n_segments && elf->entry < 4 * GIB; i++) {
        const BootRange *range = &elf->segments[i].memory;

        if (elf->entry >= range->base && elf->entry - range->base < range->size)
            return true;
    }
    error_set(error, "its PVH entry 0x%" PRIx64 " is in no segment below 4 GiB",
              elf->entry);
    return false;
}

static bool elf_parse(BootImage *image, const uint8_t *head, size_t size, GError **error)
{
    g_autofree uint8_t *table = NULL;
    ElfHeader header;

    if (!parse_header(head, size, &header, error))
        return false;
    table = read_program_headers(&image->kernel, &header, error);
    if (!table)
        return false;
    for (unsigned i = 0; i < header.phnum; i++) {
        Elf64_Phdr ph = program_header(&header, table, i);

        if (ph.p_type == PT_LOAD && !add_segment(image, &ph, error))
            return false;
        if (ph.p_type == PT_NOTE && !read_notes(image, &ph, error))
            return false;
    }
    return check_entry(&image->u.elf, error);
}

static bool load_segment(const BootImage *image, const BootTarget *target,
                         const BootSegment *segment, GError **error)
{
    BootRange range = segment->memory;

    if (!boot_ram_is_usable(target, range)) {
        error_set(error, "kernel '%s': the guest has no memory for its segment of "
                  "%" PRIu64 " KiB at 0x%" PRIx64, image->kernel.path, range.size >> 10,
                  range.base);
        return false;
    }
    if (!boot_ram_read(target, &image->kernel, segment->offset,
                       (BootRange){ range.base, segment->file_size }, error))
        return false;
    if (!target->ram_is_zero)
        memset((uint8_t *)boot_ram_at(target, range.base, range.size) +
               segment->file_size, 0, range.size - segment->file_size);
    return true;
}

static void put_start_info(const BootTarget *target, BootRange initrd)
{
    StartArea *area = boot_ram_at(target, BOOT_INFO, sizeof *area);
    const BootMemory *map = target->map;

    *area = (StartArea) {
        .info = {
            .magic = START_INFO_MAGIC,
            .version = START_INFO_VERSION,
            .nr_modules = initrd.size ? 1 : 0,
            .modlist_paddr = initrd.size ? BOOT_INFO + offsetof(StartArea, module) : 0,
            .cmdline_paddr = BOOT_CMDLINE,
            .rsdp_paddr = target->rsdp,
            .memmap_paddr = BOOT_INFO + offsetof(StartArea, map),
            .memmap_entries = (uint32_t)map->n,
        },
        .module = { .paddr = initrd.base, .size = initrd.size },
    };
    for (size_t i = 0; i < map->n; i++)
        area->map[i] = (StartMemory) {
            .addr = map->entries[i].base,
            .size = map->entries[i].size,
            .type = map->entries[i].type,
        };
}

static bool elf_load(const BootImage *image, const BootTarget *target, VcpuBoot *ret_boot,
                     GError **error)
{
    const BootElf *elf = &image->u.elf;
    BootTaken taken = { .n = elf->n_segments };
    BootRange initrd;

    for (size_t i = 0; i < elf->n_segments; i++) {
        taken.ranges[i] = elf->segments[i].memory;
        if (!load_segment(image, target, &elf->segments[i], error))
            return false;
    }
    if (!boot_ram_add_initrd(target, &image->initrd, 4 * GIB, &taken, &initrd, error))
        return false;

    boot_tables_put_gdt(target, false);
    boot_tables_put_cmdline(target, image->cmdline);
    put_start_info(target, initrd);
    *ret_boot = (VcpuBoot) {
        .entry = VCPU_ENTRY_PVH,
        .ip = elf->entry,
        .arg = BOOT_INFO,
        .gdt = BOOT_GDT,
    };
    return true;
}

const BootFormat boot_elf_format = {
    .matches = elf_matches,
    .parse = elf_parse,
    .load = elf_load,
};
