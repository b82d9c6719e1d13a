/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats of dumps: what is in them of which guest.
 */
#include <string.h>
#include <sys/procfs.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "berth/thread.h"

#include "dump-bench.h"

#define PRESENT 3ull

static void assert_load(const DumpElf *elf, uint32_t index, uint64_t gva, uint64_t gpa,
                        uint64_t size)
{
    const Elf64_Phdr *load = &elf->programs[index];

    g_assert_cmpuint(load->p_type, ==, PT_LOAD);
    g_assert_cmphex(load->p_vaddr, ==, gva);
    g_assert_cmphex(load->p_paddr, ==, gpa);
    g_assert_cmphex(load->p_filesz, ==, size);
    g_assert_cmphex(load->p_memsz, ==, size);
}

/* The next note: its name, type and description; NULL at the end. */
static const uint8_t *next_note(const DumpElf *elf, uint64_t *at, const char *name,
                                uint32_t type, size_t size)
{
    const uint8_t *notes = elf->bytes + elf->programs[0].p_offset;
    const Elf64_Nhdr *note = (const void *)(notes + *at);
    const uint8_t *text = (const uint8_t *)(note + 1);
    const uint8_t *desc = text + ALIGN_UP(note->n_namesz, 4);

    g_assert_cmpuint(elf->programs[0].p_type, ==, PT_NOTE);
    g_assert_cmpuint(*at, <, elf->programs[0].p_filesz);
    g_assert_cmpmem(text, note->n_namesz, name, strlen(name) + 1);
    g_assert_cmpuint(note->n_type, ==, type);
    g_assert_cmpuint(note->n_descsz, ==, size);
    *at += (uint64_t)(desc - (const uint8_t *)note) + ALIGN_UP(note->n_descsz, 4);
    return desc;
}

static void test_elf_has_memory_and_registers(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_ELF };
    g_autoptr(GBytes) bytes = dump_bench_dump(f, &options);
    DumpElf elf = dump_bench_read_elf(bytes);
    uint64_t at = 0;

    g_assert_cmpuint(elf.n_programs, ==, 3);
    assert_load(&elf, 1, 0, 0, LOW_SIZE);
    assert_load(&elf, 2, HIGH_GPA, HIGH_GPA, HIGH_SIZE);
    dump_bench_assert_memory(f, &elf);
    for (unsigned i = 0; i < 2; i++) {
        struct elf_prstatus status;

        memcpy(&status, next_note(&elf, &at, "CORE", NT_PRSTATUS, sizeof(status)),
               sizeof(status));
        g_assert_cmpint(status.pr_pid, ==, (int)i + 1);
        g_assert_cmphex(status.pr_reg[16], ==, 0x1111 * (i + 1));       /* rip */
        g_assert_cmphex(status.pr_reg[19], ==, 0x700 + i);              /* rsp */
    }
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *state = next_note(&elf, &at, "QEMU", 0, 440);
        uint64_t values[55];

        memcpy(values, state, sizeof(values));
        g_assert_cmphex(values[0], ==, 440ull << 32 | 1);
        g_assert_cmphex(values[17], ==, 0x1111 * (i + 1));
        g_assert_cmphex(values[33], ==, 0xffff888000000000 + i);        /* gs.base */
        g_assert_cmphex(values[52], ==, CR3);
        g_assert_cmphex(values[54], ==, 0x77);
    }
    g_assert_cmpuint(at, ==, elf.programs[0].p_filesz);
}

static void test_files_have_holes(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_ELF };
    struct stat stat_;

    g_bytes_unref(dump_bench_dump(f, &options));

    g_assert_cmpint(stat(f->path, &stat_), ==, 0);
    g_assert_cmpint(stat_.st_size, >, RAM_SIZE);
    g_assert_cmpint(stat_.st_blocks * 512, <, RAM_SIZE / 2);
}

/* The host holds all of it, as where its pages are huge ones. */
static void test_pages_of_zeros_are_holes(DumpBench *f, gconstpointer data)
{
    g_assert_cmpint(madvise(f->ram->host, RAM_SIZE, MADV_POPULATE_WRITE), ==, 0);
    test_files_have_holes(f, data);
}

/* Reading leaves the guest's memory as it is. */
static uint64_t held_bytes(const DumpBench *f)
{
    struct stat stat_;

    g_assert_cmpint(fstat(f->ram->fd, &stat_), ==, 0);
    return (uint64_t)stat_.st_blocks * 512;
}

static void test_untouched_memory_stays_untouched(DumpBench *f, gconstpointer data)
{
    static const DumpGuestMemoryFormat formats[] = {
        DUMP_GUEST_MEMORY_FORMAT_ELF, DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB,
    };
    uint64_t before = held_bytes(f);

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        const DumpOptions options = { .format = formats[i] };

        dump_bench_begin(f, &options, f->path, -1);
        dump_bench_wait(f);
        g_assert_no_error(f->error);
        g_clear_pointer(&f->job, dump_job_free);
        g_assert_cmpuint(held_bytes(f), ==, before);
    }
}

/* What is filtered, and the loads that are left (address, size). */
static const struct {
    uint64_t begin;
    uint64_t length;
    uint64_t loads[2][2];
} filters[] = {
    { 0, UINT64_MAX, { { 0, LOW_SIZE }, { HIGH_GPA, HIGH_SIZE } } },
    { 0x1234, 0x2345, { { 0x1234, 0x2345 } } },
    { LOW_SIZE - 1, 2, { { LOW_SIZE - 1, 1 } } },
    { LOW_SIZE - 16, HIGH_GPA, { { LOW_SIZE - 16, 16 }, { HIGH_GPA, LOW_SIZE - 16 } } },
    { HIGH_GPA + PAGE, UINT64_MAX, { { HIGH_GPA + PAGE, HIGH_SIZE - PAGE } } },
};

static void test_filters(DumpBench *f, gconstpointer data)
{
    for (size_t i = 0; i < G_N_ELEMENTS(filters); i++) {
        const DumpOptions options = { .filtered = true, .begin = filters[i].begin,
                                      .length = filters[i].length };
        g_autoptr(GBytes) bytes = dump_bench_dump(f, &options);
        DumpElf elf = dump_bench_read_elf(bytes);

        for (uint32_t n = 0; n + 1 < elf.n_programs; n++) {
            uint64_t gpa = filters[i].loads[n][0];
            uint64_t size = filters[i].loads[n][1];

            if (i == 3 && n == 1)
                size = HIGH_SIZE;
            assert_load(&elf, n + 1, gpa, gpa, size);
        }
        dump_bench_assert_memory(f, &elf);
    }
}

static void test_filter_without_memory(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .filtered = true, .begin = LOW_SIZE, .length = PAGE };

    dump_bench_begin(f, &options, f->path, -1);
    dump_bench_wait(f);

    g_assert_nonnull(strstr(f->error->message, "no memory between 'begin'"));
}

static void set_entry(DumpBench *f, uint64_t table, unsigned index, uint64_t entry)
{
    memcpy(f->ram->host + table + index * 8, &entry, sizeof(entry));
}

static void set_long_mode(DumpBench *f, unsigned vcpu)
{
    f->guest.vcpus[vcpu].cr0 = 1ull << 31;
    f->guest.vcpus[vcpu].cr4 = 1ull << 5;
    f->guest.vcpus[vcpu].efer = 1ull << 10;
}

static void test_paging_tells_virtual_addresses(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .paging = true };
    const uint64_t base = 0xffff800000000000;

    set_long_mode(f, 0);
    set_long_mode(f, 1);
    f->guest.vcpus[1].cr3 = CR3 + 4 * PAGE;
    set_entry(f, CR3, 256, (CR3 + 1 * PAGE) | PRESENT);
    set_entry(f, CR3 + 1 * PAGE, 0, (CR3 + 2 * PAGE) | PRESENT);
    set_entry(f, CR3 + 2 * PAGE, 0, (CR3 + 3 * PAGE) | PRESENT);
    set_entry(f, CR3 + 2 * PAGE, 1, HIGH_GPA | PRESENT | 0x80);
    set_entry(f, CR3 + 2 * PAGE, 2, (GIB) | PRESENT | 0x80);            /* no memory */
    set_entry(f, CR3 + 2 * PAGE, 3, (LOW_SIZE - 2 * MIB) | PRESENT | 0x80);
    set_entry(f, CR3 + 3 * PAGE, 5, 0x3000 | PRESENT);
    set_entry(f, CR3 + 3 * PAGE, 6, 0x4000 | PRESENT);
    /* The other vCPU's: the same, and a page of its own. */
    set_entry(f, CR3 + 4 * PAGE, 256, (CR3 + 1 * PAGE) | PRESENT);
    set_entry(f, CR3 + 4 * PAGE, 0, (CR3 + 5 * PAGE) | PRESENT);
    set_entry(f, CR3 + 5 * PAGE, 0, (CR3 + 6 * PAGE) | PRESENT);
    set_entry(f, CR3 + 6 * PAGE, 0, (CR3 + 7 * PAGE) | PRESENT);
    set_entry(f, CR3 + 7 * PAGE, 1, 0x3000 | PRESENT);

    g_autoptr(GBytes) bytes = dump_bench_dump(f, &options);
    DumpElf elf = dump_bench_read_elf(bytes);

    g_assert_cmpuint(elf.n_programs, ==, 5);
    assert_load(&elf, 1, 0x1000, 0x3000, PAGE);
    assert_load(&elf, 2, base + 5 * PAGE, 0x3000, 2 * PAGE);
    assert_load(&elf, 3, base + 2 * MIB, HIGH_GPA, 2 * MIB);
    assert_load(&elf, 4, base + 6 * MIB, LOW_SIZE - 2 * MIB, 2 * MIB);
    dump_bench_assert_memory(f, &elf);
}

/* 128 tables of entries that are no neighbours. */
static void test_more_headers_than_16_bits_count(DumpBench *f, gconstpointer data)
{
    const uint32_t n = 128 * 512;
    const DumpOptions options = { .paging = true };

    set_long_mode(f, 0);
    set_entry(f, CR3, 0, (CR3 + PAGE) | PRESENT);
    set_entry(f, CR3 + PAGE, 0, (CR3 + 2 * PAGE) | PRESENT);
    for (unsigned i = 0; i < 128; i++)
        set_entry(f, CR3 + 2 * PAGE, i, (CR3 + 3 * PAGE) | PRESENT);
    for (unsigned i = 0; i < 512; i++)
        set_entry(f, CR3 + 3 * PAGE, i, ((i * 7 % 512) * PAGE) | PRESENT);

    g_autoptr(GBytes) bytes = dump_bench_dump(f, &options);
    DumpElf elf = dump_bench_read_elf(bytes);

    g_assert_cmpuint(elf.header->e_phnum, ==, PN_XNUM);
    g_assert_cmpuint(elf.n_programs, ==, n + 1);
    assert_load(&elf, n, (uint64_t)(n - 1) * PAGE, (511 * 7 % 512) * PAGE, PAGE);
    dump_bench_assert_memory(f, &elf);
}

static void test_endless_page_tables_are_refused(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .paging = true };

    set_long_mode(f, 0);
    for (unsigned i = 0; i < 512; i++)
        set_entry(f, CR3, i, CR3 | PRESENT);

    dump_bench_begin(f, &options, f->path, -1);
    dump_bench_wait(f);

    g_assert_nonnull(strstr(f->error->message, "dump it without paging"));
}

static void test_kdump_has_every_page(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_ZLIB };
    g_autoptr(GBytes) bytes = dump_bench_dump(f, &options);
    DumpKdump kdump = dump_bench_read_kdump(bytes);

    dump_bench_assert_pages(f, &kdump);
    g_assert_cmpuint(kdump.size, <, RAM_SIZE / 4);
}

static void test_flattened_kdump_is_put_together(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB };
    g_autoptr(GBytes) flat = dump_bench_dump(f, &options);
    g_autoptr(GBytes) bytes = dump_bench_put_together(flat);
    DumpKdump kdump = dump_bench_read_kdump(bytes);

    dump_bench_assert_pages(f, &kdump);
}

/* The guest's note. */

#define NOTE_TEXT "OSRELEASE=1\nNUMBER(phys_base)=-2097152\n"

static GBytes *make_note(uint32_t name_size, uint32_t desc_size)
{
    const Elf64_Nhdr header = { .n_namesz = name_size, .n_descsz = desc_size };
    GByteArray *bytes = g_byte_array_new();

    g_byte_array_append(bytes, (const uint8_t *)&header, sizeof(header));
    g_byte_array_append(bytes, (const uint8_t *)"VMCOREINFO\0", 12);
    g_byte_array_append(bytes, (const uint8_t *)NOTE_TEXT, strlen(NOTE_TEXT));
    return g_byte_array_free_to_bytes(bytes);
}

static void test_the_guests_note_is_in_the_dump(DumpBench *f, gconstpointer data)
{
    const DumpOptions elf_options = { .format = DUMP_GUEST_MEMORY_FORMAT_ELF };
    const DumpOptions kdump_options = {
        .format = DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_ZLIB
    };
    uint64_t at = 2 * (20 + 336) + 2 * (20 + 440);
    const uint8_t *desc;
    VcpuRegisters *again = g_memdup2(f->guest.vcpus, 2 * sizeof(VcpuRegisters));

    f->guest.note = make_note(11, strlen(NOTE_TEXT));
    g_autoptr(GBytes) bytes = dump_bench_dump(f, &elf_options);
    DumpElf elf = dump_bench_read_elf(bytes);
    desc = next_note(&elf, &at, "VMCOREINFO", 0, strlen(NOTE_TEXT));
    g_assert_cmpmem(desc, strlen(NOTE_TEXT), NOTE_TEXT, strlen(NOTE_TEXT));
    g_assert_cmpuint(at, ==, elf.programs[0].p_filesz);

    f->guest = (DumpGuest) { .vcpus = again, .n_vcpus = 2 };
    f->guest.note = make_note(11, strlen(NOTE_TEXT));
    g_autoptr(GBytes) packed = dump_bench_dump(f, &kdump_options);
    DumpKdump kdump = dump_bench_read_kdump(packed);
    g_assert_cmpint((int64_t)dump_bench_number(kdump.bytes, PAGE, 8), ==, -2097152);
    g_assert_cmpmem(kdump.bytes + dump_bench_number(kdump.bytes, PAGE + 32, 8),
                    dump_bench_number(kdump.bytes, PAGE + 40, 8), NOTE_TEXT,
                    strlen(NOTE_TEXT));
}

static void test_notes_of_a_hostile_guest(DumpBench *f, gconstpointer data)
{
    static const uint32_t sizes[][2] = {
        { 11, 1000 }, { 11, UINT32_MAX }, { UINT32_MAX, 4 }, { UINT32_MAX, UINT32_MAX },
        { 1000, 0 }, { 0x80000000, 0x80000000 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GBytes) note = make_note(sizes[i][0], sizes[i][1]);

        for (size_t size = 0; size < g_bytes_get_size(note); size++) {
            g_autofree uint8_t *copy = g_memdup2(dump_bench_data(note), size);

            g_assert_false(dump_note_check(copy, size));
        }
    }
    g_autoptr(GBytes) good = make_note(11, strlen(NOTE_TEXT));
    g_assert_true(dump_note_check(dump_bench_data(good), g_bytes_get_size(good)));
    g_assert_false(dump_note_check(dump_bench_data(good), g_bytes_get_size(good) - 1));
}

/* Ranges. */

static GBytes *save(DumpBench *f, uint64_t start, uint64_t size, bool is_virtual)
{
    char *text;
    gsize length;

    f->saves = true;
    f->range = (DumpRange) { start, size, is_virtual };
    dump_bench_begin(f, NULL, f->path, -1);
    dump_bench_wait(f);
    g_clear_pointer(&f->job, dump_job_free);
    g_assert_true(g_file_get_contents(f->path, &text, &length, NULL));
    return g_bytes_new_take(text, length);
}

static void test_physical_ranges(DumpBench *f, gconstpointer data)
{
    g_autofree uint8_t *zeros = g_malloc0(2 * PAGE);

    g_autoptr(GBytes) part = save(f, 0x2ff0, 0x1234, false);
    g_assert_no_error(f->error);
    g_assert_cmpmem(dump_bench_data(part), g_bytes_get_size(part), f->ram->host + 0x2ff0,
                    0x1234);

    g_autoptr(GBytes) over = save(f, LOW_SIZE - PAGE, 3 * PAGE, false);
    g_assert_no_error(f->error);
    g_assert_cmpuint(g_bytes_get_size(over), ==, 3 * PAGE);
    g_assert_true(memcmp(dump_bench_data(over), f->ram->host + LOW_SIZE - PAGE, PAGE) ==
                  0);
    g_assert_true(memcmp(dump_bench_data(over) + PAGE, zeros, 2 * PAGE) == 0);

    g_autoptr(GBytes) high = save(f, HIGH_GPA - PAGE, 2 * PAGE, false);
    g_assert_no_error(f->error);
    g_assert_true(memcmp(dump_bench_data(high), zeros, PAGE) == 0);
    g_assert_true(memcmp(dump_bench_data(high) + PAGE, f->ram->host + LOW_SIZE, PAGE) ==
                  0);

    g_autoptr(GBytes) nothing = save(f, 0, 0, false);
    g_assert_no_error(f->error);
    g_assert_cmpuint(g_bytes_get_size(nothing), ==, 0);
}

static void test_virtual_ranges(DumpBench *f, gconstpointer data)
{
    VcpuRegisters *again;

    set_long_mode(f, 0);
    set_entry(f, CR3, 511, (CR3 + 1 * PAGE) | PRESENT);
    set_entry(f, CR3 + 1 * PAGE, 511, (CR3 + 2 * PAGE) | PRESENT);
    set_entry(f, CR3 + 2 * PAGE, 511, (CR3 + 3 * PAGE) | PRESENT);
    set_entry(f, CR3 + 3 * PAGE, 508, 0x3000 | PRESENT);
    set_entry(f, CR3 + 3 * PAGE, 509, HIGH_GPA | PRESENT);
    again = g_memdup2(f->guest.vcpus, 2 * sizeof(VcpuRegisters));

    g_autoptr(GBytes) bytes = save(f, UINT64_MAX - 4 * PAGE + 1 + 0x100, PAGE, true);
    g_assert_no_error(f->error);
    g_assert_true(memcmp(dump_bench_data(bytes), f->ram->host + 0x3100, 0xf00) == 0);
    g_assert_cmpmem(dump_bench_data(bytes) + 0xf00, 0x100, f->ram->host + LOW_SIZE,
                    0x100);

    f->guest = (DumpGuest) { .vcpus = again, .n_vcpus = 1 };
    g_bytes_unref(save(f, UINT64_MAX - 4 * PAGE + 1, 3 * PAGE, true));
    g_assert_nonnull(f->error);
    g_assert_cmpstr(f->error->message, ==,
                    "Invalid addr 0xffffffffffffc000/size 12288 specified");
}

#define add_test(path, options, fn) \
    g_test_add("/dump/" path, DumpBench, &options, dump_bench_set_up, fn, \
               dump_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    signal(SIGPIPE, SIG_IGN);
    add_test("elf/shared", dump_bench_shared, test_elf_has_memory_and_registers);
    add_test("elf/private", dump_bench_private, test_elf_has_memory_and_registers);
    add_test("elf/private-memfd", dump_bench_private_memfd,
             test_elf_has_memory_and_registers);
    add_test("elf/holes/shared", dump_bench_shared, test_files_have_holes);
    add_test("elf/holes/private", dump_bench_private, test_files_have_holes);
    add_test("elf/holes/zeros", dump_bench_private, test_pages_of_zeros_are_holes);
    add_test("untouched", dump_bench_shared, test_untouched_memory_stays_untouched);
    add_test("filters", dump_bench_shared, test_filters);
    add_test("filter-without-memory", dump_bench_shared, test_filter_without_memory);
    add_test("paging", dump_bench_shared, test_paging_tells_virtual_addresses);
    add_test("many-headers", dump_bench_shared, test_more_headers_than_16_bits_count);
    add_test("endless-tables", dump_bench_shared, test_endless_page_tables_are_refused);
    add_test("kdump/shared", dump_bench_shared, test_kdump_has_every_page);
    add_test("kdump/private", dump_bench_private, test_kdump_has_every_page);
    add_test("kdump/flattened", dump_bench_shared, test_flattened_kdump_is_put_together);
    add_test("note", dump_bench_shared, test_the_guests_note_is_in_the_dump);
    add_test("note/hostile", dump_bench_shared, test_notes_of_a_hostile_guest);
    add_test("save/physical", dump_bench_shared, test_physical_ranges);
    add_test("save/virtual", dump_bench_shared, test_virtual_ranges);
    return g_test_run();
}
