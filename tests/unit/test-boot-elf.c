/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>

#include "boot-fixture.h"

#define BASE 0x100000u
#define ENTRY (BASE + 0x20)
#define NOTES 0x200u
#define NOTES_SIZE 36u
#define TEXT 0x1000u
#define TEXT_SIZE 0x800u
#define TEXT_MEMORY 0x3000u
#define IMAGE_SIZE (TEXT + TEXT_SIZE)

/* Where the fields of the image are, 64-bit class. */
#define EHDR(field) offsetof(Elf64_Ehdr, field)
#define PHDR(n, field) \
    (sizeof(Elf64_Ehdr) + (n) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field))

/* A note of another owner, then the one that counts. */
static void make_notes(uint8_t *notes)
{
    const Elf64_Nhdr other = { 4, 0, 18 };
    const Elf64_Nhdr wanted = { 4, 4, 18 };

    memcpy(notes, &other, sizeof other);
    memcpy(notes + 12, "GNU", 4);
    memcpy(notes + 16, &wanted, sizeof wanted);
    memcpy(notes + 28, "Xen", 4);
    put(notes, 32, 4, ENTRY);
}

static void make_elf64(uint8_t *image)
{
    const Elf64_Ehdr header = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
    };
    const Elf64_Phdr program[] = {
        { .p_type = PT_LOAD, .p_offset = TEXT, .p_paddr = BASE, .p_filesz = TEXT_SIZE,
          .p_vaddr = 0xffffffff80000000ull, .p_memsz = TEXT_MEMORY, .p_align = 0x1000 },
        { .p_type = PT_NOTE, .p_offset = NOTES, .p_filesz = NOTES_SIZE, .p_align = 4 },
    };

    memset(image, 0, IMAGE_SIZE);
    memcpy(image, &header, sizeof header);
    memcpy(image + sizeof header, program, sizeof program);
    make_notes(image + NOTES);
    memset(image + TEXT, 0x90, TEXT_SIZE);
}

static void make_elf32(uint8_t *image)
{
    const Elf32_Ehdr header = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf32_Ehdr), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 2,
    };
    const Elf32_Phdr program[] = {
        { .p_type = PT_NOTE, .p_offset = NOTES, .p_filesz = NOTES_SIZE, .p_align = 4 },
        { .p_type = PT_LOAD, .p_offset = TEXT, .p_paddr = BASE, .p_filesz = TEXT_SIZE,
          .p_memsz = TEXT_MEMORY, .p_align = 0x1000 },
    };

    memset(image, 0, IMAGE_SIZE);
    memcpy(image, &header, sizeof header);
    memcpy(image + sizeof header, program, sizeof program);
    make_notes(image + NOTES);
    memset(image + TEXT, 0x90, TEXT_SIZE);
}

static void check_loads(Fixture *f, const uint8_t *image)
{
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    boot = open_bytes(image, IMAGE_SIZE, NULL, "quiet", &error);
    g_assert_no_error(error);

    g_assert_true(boot_image_load(boot, &f->target, &start, &error));

    g_assert_no_error(error);
    g_assert_cmpint(start.entry, ==, VCPU_ENTRY_PVH);
    g_assert_cmphex(start.ip, ==, ENTRY);
    g_assert_cmphex(start.arg, ==, BOOT_INFO);
    g_assert_cmphex(get(f->ram, start.gdt + 0x10, 8), ==, 0x00cf9b000000ffff);
    g_assert_cmpmem(f->ram + BASE, TEXT_SIZE, image + TEXT, TEXT_SIZE);
}

static void test_elf64_is_loaded(Fixture *f, const void *data)
{
    uint8_t image[IMAGE_SIZE];

    make_elf64(image);

    check_loads(f, image);
}

static void test_elf32_is_loaded(Fixture *f, const void *data)
{
    uint8_t image[IMAGE_SIZE];

    make_elf32(image);

    check_loads(f, image);
}

static void test_note_of_8_bytes(Fixture *f, const void *data)
{
    uint8_t image[IMAGE_SIZE];

    make_elf64(image);
    put(image, NOTES + 20, 4, 8);
    put(image, NOTES + 32, 8, ENTRY);
    put(image, PHDR(1, p_filesz), 8, NOTES_SIZE + 4);

    check_loads(f, image);
}

static void test_start_info_is_complete(Fixture *f, const void *data)
{
    uint8_t image[IMAGE_SIZE];
    g_autofree char *path = NULL;
    g_autofd G_GNUC_UNUSED int fd = make_file("initrd", 6, &path);
    g_autoptr(BootImage) boot = NULL;
    const uint8_t *info = f->ram + BOOT_INFO;
    const uint8_t *list;
    VcpuBoot start;

    make_elf64(image);
    boot = open_bytes(image, sizeof image, path, "quiet", NULL);

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    g_assert_cmphex(get(info, 0, 4), ==, 0x336ec578);
    g_assert_cmpint(get(info, 4, 4), ==, 1);
    g_assert_cmpint(get(info, 12, 4), ==, 1);
    g_assert_cmpstr((char *)f->ram + get(info, 24, 8), ==, "quiet");
    g_assert_cmphex(get(info, 32, 8), ==, 0xe0000);
    g_assert_cmpint(get(info, 48, 4), ==, 4);
    list = f->ram + get(info, 16, 8);
    g_assert_cmphex(get(list, 0, 8), ==, LOW_SIZE - 0x1000);
    g_assert_cmpint(get(list, 8, 8), ==, 6);
    g_assert_cmpmem(f->ram + get(list, 0, 8), 6, "initrd", 6);
    list = f->ram + get(info, 40, 8);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(get(list, 24 * i, 8), ==, f->map.entries[i].base);
        g_assert_cmphex(get(list, 24 * i + 8, 8), ==, f->map.entries[i].size);
        g_assert_cmpint(get(list, 24 * i + 16, 8), ==, f->map.entries[i].type);
    }
}

static void test_rest_of_segment_is_zero_after_reset(Fixture *f, const void *data)
{
    uint8_t image[IMAGE_SIZE];
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    make_elf64(image);
    memset(f->ram + BASE, 0xff, TEXT_MEMORY + 1);
    boot = open_bytes(image, sizeof image, NULL, NULL, NULL);
    f->target.ram_is_zero = false;

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    g_assert_cmphex(f->ram[BASE + TEXT_SIZE - 1], ==, 0x90);
    for (size_t i = TEXT_SIZE; i < TEXT_MEMORY; i++)
        g_assert_cmphex(f->ram[BASE + i], ==, 0);
    g_assert_cmphex(f->ram[BASE + TEXT_MEMORY], ==, 0xff);
}

static void test_initrd_goes_between_segments(Fixture *f, const void *data)
{
    uint8_t image[IMAGE_SIZE];
    g_autofree uint8_t *bytes = g_malloc0(LOW_SIZE);
    g_autofree char *path = NULL;
    g_autofd G_GNUC_UNUSED int fd = make_file(bytes, 30 * MIB, &path);
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    /* A second segment in the upper half leaves room only below it. */
    make_elf64(image);
    put(image, EHDR(e_phnum), 2, 3);
    put(image, PHDR(2, p_type), 4, PT_LOAD);
    put(image, PHDR(2, p_paddr), 8, 40 * MIB);
    put(image, PHDR(2, p_memsz), 8, MIB);
    boot = open_bytes(image, sizeof image, path, NULL, NULL);

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    g_assert_cmphex(get(f->ram, BOOT_INFO + 56, 8), ==, 10 * MIB);
}

static const BadFile bad_elf64[] = {
    { "big-endian", "not little-endian", .patch = { { EI_DATA, 1, ELFDATA2MSB } } },
    { "class-0", "not little-endian", .patch = { { EI_CLASS, 1, 0 } } },
    { "arm64", "e_machine is 183, arm64", .patch = { { EHDR(e_machine), 2, 183 } } },
    { "object", "no program (e_type is 1)", .patch = { { EHDR(e_type), 2, ET_REL } } },
    { "core", "no program (e_type is 4)", .patch = { { EHDR(e_type), 2, ET_CORE } } },
    { "cut-in-header", "truncated in its ELF header", .file_size = 63 },
    { "cut-in-program-headers", "no program headers at byte 64", .file_size = 100 },
    { "cut-in-notes", "its notes are not all there", .patch = {
      { PHDR(0, p_type), 4, PT_NULL } }, .file_size = NOTES + 30 },
    { "cut-in-text", "segment at 0x100000 is not all there",
      .file_size = IMAGE_SIZE - 1 },
    { "phnum-0", "0 program headers", .patch = { { EHDR(e_phnum), 2, 0 } } },
    { "phnum-max", "65535 program headers", .patch = { { EHDR(e_phnum), 2, 0xffff } } },
    { "phentsize", "of 55 bytes", .patch = { { EHDR(e_phentsize), 2, 55 } } },
    { "phoff-wraps", "no program headers", .patch = { { EHDR(e_phoff), 8, ~0ull - 8 } } },
    { "no-note", "without the Xen note", .patch = { { PHDR(1, p_type), 4, PT_NULL } } },
    { "note-type", "without the Xen note", .patch = { { NOTES + 24, 4, 6 } } },
    { "note-name", "without the Xen note", .patch = { { NOTES + 28, 4, 0x6e6558 + 1 } } },
    { "note-name-size-wraps", "without the Xen note", .patch = { { NOTES, 4, ~0u } } },
    { "note-desc-size-wraps", "without the Xen note",
      .patch = { { NOTES + 4, 4, ~0u } } },
    { "note-desc-over-end", "without the Xen note", .patch = { { NOTES + 20, 4, 8 } } },
    { "note-desc-of-2", "without the Xen note", .patch = { { NOTES + 20, 4, 2 } } },
    { "notes-huge", "65537 bytes of notes",
      .patch = { { PHDR(1, p_filesz), 8, 65537 } } },
    { "notes-outside", "its notes are not all there",
      .patch = { { PHDR(1, p_offset), 8, ~0ull } } },
    { "entry-outside", "PVH entry 0x200000 is in no segment",
      .patch = { { NOTES + 32, 4, 0x200000 } } },
    { "entry-above-4g", "is in no segment below 4 GiB",
      .patch = { { NOTES + 20, 4, 8 }, { NOTES + 32, 8, 4 * GIB + ENTRY },
                 { PHDR(1, p_filesz), 8, NOTES_SIZE + 4 } } },
    { "segment-wraps", "wraps around", .patch = { { PHDR(0, p_paddr), 8, ~0ull - 5 } } },
    { "segment-low", "segment at 0x1f000 lies below 0x20000",
      .patch = { { PHDR(0, p_paddr), 8, 0x1f000 } } },
    { "filesz-over-memsz", "more bytes in the file",
      .patch = { { PHDR(0, p_memsz), 8, TEXT_SIZE - 1 } } },
    { "offset-wraps", "not all there", .patch = { { PHDR(0, p_offset), 8, ~0ull } } },
    { "filesz-max", "more bytes in the file",
      .patch = { { PHDR(0, p_filesz), 8, ~0ull } } },
    { "two-overlap", "segments overlap at 0x102fff",
      .patch = { { PHDR(1, p_type), 4, PT_LOAD }, { PHDR(1, p_paddr), 8, 0x102fff },
                 { PHDR(1, p_memsz), 8, 0x40 } } },
    { "segment-over-end", "no memory for its segment of 64512 KiB at 0x100000",
      .patch = { { PHDR(0, p_memsz), 8, LOW_SIZE - MIB + 1 } }, .at_load = true },
    { "segment-in-reserved", "no memory for its segment",
      .patch = { { PHDR(0, p_paddr), 8, 0xc0000 }, { NOTES + 32, 4, 0xc0000 } },
      .at_load = true },
    { "segment-above-ram", "segment of 0 KiB at 0x200000000",
      .patch = { { EHDR(e_phnum), 2, 3 }, { PHDR(2, p_type), 4, PT_LOAD },
                 { PHDR(2, p_paddr), 8, 8 * GIB }, { PHDR(2, p_memsz), 8, 1 } },
      .at_load = true },
};

static void test_bad_elf64(const void *data)
{
    uint8_t image[IMAGE_SIZE];

    make_elf64(image);
    check_bad_file(data, image, sizeof image);
}

static void test_too_many_segments(void)
{
    uint8_t image[IMAGE_SIZE + 64 * sizeof(Elf64_Phdr)];
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;

    make_elf64(image);
    put(image, EHDR(e_phoff), 8, IMAGE_SIZE);
    put(image, EHDR(e_phnum), 2, 33);
    for (unsigned i = 0; i < 33; i++) {
        const Elf64_Phdr ph = { .p_type = PT_LOAD, .p_paddr = BASE * (i + 1),
                                .p_memsz = 1 };

        memcpy(image + IMAGE_SIZE + i * sizeof ph, &ph, sizeof ph);
    }

    boot = open_bytes(image, sizeof image, NULL, NULL, &error);

    g_assert_null(boot);
    assert_error(error, "more than 32 segments");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/boot-elf/elf64-is-loaded", Fixture, NULL, setup, test_elf64_is_loaded,
               teardown);
    g_test_add("/boot-elf/elf32-is-loaded", Fixture, NULL, setup, test_elf32_is_loaded,
               teardown);
    g_test_add("/boot-elf/note-of-8-bytes", Fixture, NULL, setup, test_note_of_8_bytes,
               teardown);
    g_test_add("/boot-elf/start-info-is-complete", Fixture, NULL, setup,
               test_start_info_is_complete, teardown);
    g_test_add("/boot-elf/rest-of-segment-is-zero-after-reset", Fixture, NULL, setup,
               test_rest_of_segment_is_zero_after_reset, teardown);
    g_test_add("/boot-elf/initrd-goes-between-segments", Fixture, NULL, setup,
               test_initrd_goes_between_segments, teardown);
    g_test_add_func("/boot-elf/too-many-segments", test_too_many_segments);
    add_bad_files("/boot-elf/bad", bad_elf64, G_N_ELEMENTS(bad_elf64), test_bad_elf64);
    return g_test_run();
}
