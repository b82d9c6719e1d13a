/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <zlib.h>

#include "dump-bench.h"

static void set_page(DumpBench *f, uint64_t offset, unsigned kind)
{
    uint32_t *words = (uint32_t *)(f->ram->host + offset);
    uint32_t value = (uint32_t)offset * 2654435761u + kind;

    for (unsigned i = 0; i < PAGE / 4; i++) {
        if (kind == 1)
            value = value * 1664525 + 1013904223;
        words[i] = value;
    }
}

/* Pages that compress, that do not, of zeros that were written, and untouched ones. */
static void fill_ram(DumpBench *f)
{
    for (uint64_t offset = 0; offset < RAM_SIZE; offset += 16 * PAGE) {
        set_page(f, offset, 0);
        set_page(f, offset + 3 * PAGE, 1);
        f->ram->host[offset + 5 * PAGE] = 1;
        f->ram->host[offset + 5 * PAGE] = 0;
    }
    memset(f->ram->host + CR3, 0, 8 * PAGE);
}

void dump_bench_set_up(DumpBench *f, gconstpointer data)
{
    const RamOptions *options = data;

    f->loop = loop_new("test", THREAD_MAIN, NULL);
    f->ram = ram_block_new("ram", RAM_SIZE, options, NULL);
    region_init_container(&f->root, "root", UINT64_MAX);
    region_init_ram(&f->low, "low", f->ram, 0, LOW_SIZE);
    region_init_ram(&f->high, "high", f->ram, LOW_SIZE, HIGH_SIZE);
    region_add(&f->root, 0, &f->low, 0);
    region_add(&f->root, HIGH_GPA, &f->high, 0);
    f->as = address_space_new("memory", &f->root, NULL, false);
    f->folder = g_dir_make_tmp("berth-dump-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "dump", NULL);
    fill_ram(f);
    f->guest.n_vcpus = 2;
    f->guest.vcpus = g_new0(VcpuRegisters, 2);
    for (unsigned i = 0; i < 2; i++) {
        f->guest.vcpus[i].rip = 0x1111 * (i + 1);
        f->guest.vcpus[i].general[VCPU_RSP] = 0x700 + i;
        f->guest.vcpus[i].cr3 = CR3;
        f->guest.vcpus[i].segments[VCPU_GS].base = 0xffff888000000000 + i;
        f->guest.vcpus[i].kernel_gs_base = 0x77;
    }
}

void dump_bench_tear_down(DumpBench *f, gconstpointer data)
{
    dump_job_free(f->job);
    g_free(f->guest.vcpus);
    g_clear_pointer(&f->guest.note, g_bytes_unref);
    g_clear_error(&f->error);
    unlink(f->path);
    rmdir(f->folder);
    g_free(f->path);
    g_free(f->folder);
    address_space_free(f->as);
    region_done(&f->low);
    region_done(&f->high);
    region_done(&f->root);
    ram_block_unref(f->ram);
    loop_free(f->loop);
}

static void end(DumpBench *f, const GError *error)
{
    f->ended = true;
    if (error)
        f->error = g_error_copy(error);
}

static void on_opened(void *opaque, const GError *error)
{
    DumpBench *f = opaque;
    DumpGuest guest = f->guest;
    g_autoptr(GError) failure = NULL;
    bool ok;

    if (error) {
        end(f, error);
        return;
    }
    f->guest = (DumpGuest) { .n_vcpus = 0 };
    guest.ram = ram_map_new(f->as);
    ok = f->saves ? dump_job_save(f->job, &guest, &f->range, &failure)
                  : dump_job_write(f->job, &guest, &failure);
    if (!ok)
        end(f, failure);
}

static void on_finished(void *opaque, const GError *error)
{
    end(opaque, error);
}

static const DumpJobOps ops = { on_opened, on_finished };

void dump_bench_begin(DumpBench *f, const DumpOptions *options, const char *path, int fd)
{
    const DumpTarget target = { path, fd };
    g_autoptr(GError) error = NULL;

    f->ended = false;
    f->job = dump_job_new(f->loop, options, &target, &ops, f, &error);
    g_assert_no_error(error);
}

void dump_bench_wait(DumpBench *f)
{
    while (!f->ended)
        loop_turn(f->loop, true);
}

/* Dumps to the file and returns what is in it. */
GBytes *dump_bench_dump(DumpBench *f, const DumpOptions *options)
{
    char *text;
    gsize size;
    int64_t completed, total;

    dump_bench_begin(f, options, f->path, -1);
    dump_bench_wait(f);
    g_assert_no_error(f->error);
    dump_job_progress(f->job, &completed, &total);
    g_assert_cmpint(completed, ==, total);
    g_clear_pointer(&f->job, dump_job_free);
    g_assert_true(g_file_get_contents(f->path, &text, &size, NULL));
    return g_bytes_new_take(text, size);
}

const uint8_t *dump_bench_data(GBytes *bytes)
{
    return g_bytes_get_data(bytes, NULL);
}

DumpElf dump_bench_read_elf(GBytes *bytes)
{
    const void *header = g_bytes_get_data(bytes, NULL);
    DumpElf elf = { .bytes = header, .header = header };

    g_assert_cmpmem(elf.header->e_ident, 7, ELFMAG "\2\1\1", 7);
    g_assert_cmpuint(elf.header->e_type, ==, ET_CORE);
    g_assert_cmpuint(elf.header->e_machine, ==, EM_X86_64);
    g_assert_cmpuint(elf.header->e_phentsize, ==, sizeof(Elf64_Phdr));
    elf.programs = (const void *)(elf.bytes + elf.header->e_phoff);
    elf.n_programs = elf.header->e_phnum;
    if (elf.n_programs == PN_XNUM) {
        const Elf64_Shdr *section = (const void *)(elf.bytes + elf.header->e_shoff);

        elf.n_programs = section->sh_info;
    }
    for (uint32_t i = 0; i < elf.n_programs; i++)
        g_assert_cmpuint(elf.programs[i].p_offset + elf.programs[i].p_filesz, <=,
                         g_bytes_get_size(bytes));
    return elf;
}

/* The bytes of every load are those of the guest. */
void dump_bench_assert_memory(DumpBench *f, const DumpElf *elf)
{
    for (uint32_t i = 1; i < elf->n_programs; i++) {
        const Elf64_Phdr *load = &elf->programs[i];
        uint64_t offset = load->p_paddr >= HIGH_GPA ? load->p_paddr - HIGH_GPA + LOW_SIZE
                                                    : load->p_paddr;

        g_assert_true(memcmp(elf->bytes + load->p_offset, f->ram->host + offset,
                             load->p_filesz) == 0);
    }
}

uint64_t dump_bench_number(const uint8_t *bytes, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes + offset, size);
    return value;
}

DumpKdump dump_bench_read_kdump(GBytes *bytes)
{
    DumpKdump kdump = {
        .bytes = dump_bench_data(bytes),
        .size = g_bytes_get_size(bytes),
    };

    g_assert_cmpmem(kdump.bytes, 8, "KDUMP   ", 8);
    g_assert_cmpuint(dump_bench_number(kdump.bytes, 8, 4), ==, 6);
    g_assert_cmpuint(dump_bench_number(kdump.bytes, 424, 4), ==, 1);
    g_assert_cmpuint(dump_bench_number(kdump.bytes, 428, 4), ==, PAGE);
    g_assert_cmpstr((const char *)kdump.bytes + 12 + 4 * 65, ==, "x86_64");
    g_assert_cmpuint(dump_bench_number(kdump.bytes, 460, 4), ==, 2);
    kdump.bitmap = (1 + dump_bench_number(kdump.bytes, 432, 4)) * PAGE;
    kdump.bitmap_size = dump_bench_number(kdump.bytes, 436, 4) * PAGE / 2;
    kdump.descriptors = kdump.bitmap + 2 * kdump.bitmap_size;
    g_assert_cmpuint(dump_bench_number(kdump.bytes, PAGE + 96, 8), ==,
                     (HIGH_GPA + HIGH_SIZE) / PAGE);
    return kdump;
}

static bool has_page(const DumpKdump *kdump, uint64_t pfn)
{
    uint8_t first = kdump->bytes[kdump->bitmap + pfn / 8];

    g_assert_cmphex(first, ==,
                    kdump->bytes[kdump->bitmap + kdump->bitmap_size + pfn / 8]);
    return first >> pfn % 8 & 1;
}

static void assert_page(const DumpKdump *kdump, uint64_t n, const uint8_t *expected)
{
    uint64_t at = kdump->descriptors + n * 24;
    uint64_t offset = dump_bench_number(kdump->bytes, at, 8);
    uLong size = (uLong)dump_bench_number(kdump->bytes, at + 8, 4);
    uint8_t page[PAGE];
    uLongf page_size = sizeof(page);

    g_assert_cmpuint(offset + size, <=, kdump->size);
    if (dump_bench_number(kdump->bytes, at + 12, 4) == 1) {
        g_assert_cmpint(uncompress(page, &page_size, kdump->bytes + offset, size), ==,
                        Z_OK);
        g_assert_cmpuint(page_size, ==, PAGE);
    } else {
        g_assert_cmpuint(size, ==, PAGE);
        memcpy(page, kdump->bytes + offset, PAGE);
    }
    g_assert_true(memcmp(page, expected, PAGE) == 0);
}

void dump_bench_assert_pages(DumpBench *f, const DumpKdump *kdump)
{
    uint64_t n = 0;

    for (uint64_t pfn = 0; pfn < kdump->bitmap_size * 8; pfn++) {
        uint64_t gpa = pfn * PAGE;
        bool is_high = gpa >= HIGH_GPA && gpa < HIGH_GPA + HIGH_SIZE;

        g_assert_true(has_page(kdump, pfn) == (gpa < LOW_SIZE || is_high));
        if (has_page(kdump, pfn))
            assert_page(kdump, n++, f->ram->host +
                        (is_high ? gpa - HIGH_GPA + LOW_SIZE : gpa));
    }
    g_assert_cmpuint(n, ==, RAM_SIZE / PAGE);
}

/* As makedumpfile -R does it. */
GBytes *dump_bench_put_together(GBytes *flat)
{
    const uint8_t *bytes = dump_bench_data(flat);
    GByteArray *whole = g_byte_array_new();
    uint64_t at = PAGE;

    g_assert_cmpmem(bytes, 13, "makedumpfile", 13);
    for (;;) {
        uint64_t offset = GUINT64_FROM_BE(dump_bench_number(bytes, at, 8));
        uint64_t size = GUINT64_FROM_BE(dump_bench_number(bytes, at + 8, 8));

        at += 16;
        if (offset == UINT64_MAX && size == UINT64_MAX)
            break;
        g_assert_cmpuint(at + size, <=, g_bytes_get_size(flat));
        if (offset + size > whole->len) {
            guint before = whole->len;

            g_byte_array_set_size(whole, (guint)(offset + size));
            memset(whole->data + before, 0, whole->len - before);
        }
        memcpy(whole->data + offset, bytes + at, size);
        at += size;
    }
    g_assert_cmpuint(at, ==, g_bytes_get_size(flat));
    return g_byte_array_free_to_bytes(whole);
}

const RamOptions dump_bench_shared = { .memfd = true, .share = true };
const RamOptions dump_bench_private = { .share = false };
const RamOptions dump_bench_private_memfd = { .memfd = true, .share = false };
