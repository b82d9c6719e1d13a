/* SPDX-License-Identifier: Apache-2.0 */
#include "boot-fixture.h"

#define PREF 0x1000000u
#define BZ_SETUP 1024u
#define BZ_PAYLOAD 8192u
#define BZ_SIZE (BZ_SETUP + BZ_PAYLOAD)

static void make_bzimage(uint8_t *image)
{
    memset(image, 0, BZ_SIZE);
    put(image, 0x1f1, 1, 1);                    /* setup_sects */
    put(image, 0x1f4, 4, BZ_PAYLOAD / 16);      /* syssize */
    put(image, 0x1fe, 2, 0xaa55);
    put(image, 0x200, 2, 0x66eb);               /* jmp: the header ends at 0x268 */
    memcpy(image + 0x202, "HdrS", 4);
    put(image, 0x206, 2, 0x020f);               /* version */
    put(image, 0x211, 1, 1);                    /* loadflags: LOADED_HIGH */
    put(image, 0x22c, 4, 0x7fffffff);           /* initrd_addr_max */
    put(image, 0x230, 4, 0x200000);             /* kernel_alignment */
    put(image, 0x234, 1, 1);                    /* relocatable_kernel */
    put(image, 0x236, 2, 1);                    /* xloadflags: KERNEL_64 */
    put(image, 0x238, 4, 2047);                 /* cmdline_size */
    put(image, 0x250, 8, 0xbad);                /* setup_data */
    put(image, 0x258, 8, PREF);                 /* pref_address */
    put(image, 0x260, 4, 0x800000);             /* init_size */
    memset(image + BZ_SETUP, 0x90, BZ_PAYLOAD);
}

static void test_bzimage_is_loaded(Fixture *f, const void *data)
{
    uint8_t image[BZ_SIZE];
    g_autofree uint8_t *initrd = g_malloc(10000);
    g_autofree char *initrd_path = NULL;
    g_autofd int fd = -1;
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;
    VcpuBoot start;
    uint64_t at;

    make_bzimage(image);
    memset(initrd, 0x5a, 10000);
    fd = make_file(initrd, 10000, &initrd_path);
    boot = open_bytes(image, sizeof image, initrd_path, "console=ttyS0", &error);
    g_assert_no_error(error);

    g_assert_true(boot_image_load(boot, &f->target, &start, &error));

    g_assert_no_error(error);
    g_assert_cmpint(start.entry, ==, VCPU_ENTRY_LONG);
    g_assert_cmphex(start.ip, ==, PREF + 0x200);
    g_assert_cmphex(start.arg, ==, BOOT_INFO);
    g_assert_cmpmem(f->ram + PREF, BZ_PAYLOAD, image + BZ_SETUP, BZ_PAYLOAD);
    at = get(f->ram, BOOT_INFO + 0x218, 4);
    g_assert_cmphex(at, ==, (LOW_SIZE - 10000) & ~0xfffull);
    g_assert_cmpint(get(f->ram, BOOT_INFO + 0x21c, 4), ==, 10000);
    g_assert_cmpmem(f->ram + at, 10000, initrd, 10000);
    at = get(f->ram, BOOT_INFO + 0x228, 4);
    g_assert_cmpstr((char *)f->ram + at, ==, "console=ttyS0");
}

static void test_boot_params_are_complete(Fixture *f, const void *data)
{
    uint8_t image[BZ_SIZE];
    const uint8_t *params = f->ram + BOOT_INFO;
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    make_bzimage(image);
    memset(f->ram + BOOT_INFO, 0xff, 0x1000);
    boot = open_bytes(image, sizeof image, NULL, NULL, NULL);

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    g_assert_cmphex(get(params, 0x070, 8), ==, 0xe0000);
    g_assert_cmpint(get(params, 0x1e8, 1), ==, 4);
    g_assert_cmphex(get(params, 0x1ef, 1), ==, 0);
    g_assert_cmphex(get(params, 0x1fa, 2), ==, 0xffff);
    g_assert_cmpmem(params + 0x202, 4, "HdrS", 4);
    g_assert_cmphex(get(params, 0x210, 1), ==, 0xff);
    g_assert_cmphex(get(params, 0x218, 8), ==, 0);
    g_assert_cmphex(get(params, 0x250, 8), ==, 0);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(get(params, 0x2d0 + 20 * i, 8), ==, f->map.entries[i].base);
        g_assert_cmphex(get(params, 0x2d8 + 20 * i, 8), ==, f->map.entries[i].size);
        g_assert_cmpint(get(params, 0x2e0 + 20 * i, 4), ==, f->map.entries[i].type);
    }
    g_assert_cmphex(get(params, 0x2d0 + 20 * 4, 8), ==, 0);
}

/* What the processor makes of a linear address, by the tables as it would read them. */
static uint64_t walk(const uint8_t *ram, uint64_t cr3, uint64_t address)
{
    uint64_t entry = get(ram, cr3 + 8 * (address >> 39 & 511), 8);

    g_assert_cmphex(entry & 3, ==, 3);
    entry = get(ram, (entry & ~0xfffull) + 8 * (address >> 30 & 511), 8);
    g_assert_cmphex(entry & 0x83, ==, 3);
    entry = get(ram, (entry & ~0xfffull) + 8 * (address >> 21 & 511), 8);
    g_assert_cmphex(entry & 0x83, ==, 0x83);
    return (entry & ~0x1fffffull) | (address & 0x1fffff);
}

static void test_first_4_gib_are_mapped_one_to_one(Fixture *f, const void *data)
{
    const uint64_t addresses[] = { 0, 0x1fffff, 0x200000, PREF, 0x3fffffff, 0x40000000,
                                   0xfee00000, 0xffffffff };
    uint8_t image[BZ_SIZE];
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    make_bzimage(image);
    memset(f->ram + BOOT_PAGE_TABLES, 0xff, 0x6000);
    boot = open_bytes(image, sizeof image, NULL, NULL, NULL);

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    for (unsigned i = 0; i < G_N_ELEMENTS(addresses); i++)
        g_assert_cmphex(walk(f->ram, start.page_table, addresses[i]), ==, addresses[i]);
    g_assert_cmphex(get(f->ram, start.page_table + 8, 8), ==, 0);
    g_assert_cmphex(get(f->ram, start.gdt + 0x10, 8), ==, 0x00af9b000000ffff);
    g_assert_cmphex(get(f->ram, start.gdt + 0x18, 8), ==, 0x00cf93000000ffff);
}

/* The last paragraph that syssize counts may be there in part: memtest86+ ends so. */
static void test_last_paragraph_in_part(Fixture *f, const void *data)
{
    uint8_t image[BZ_SIZE];
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    make_bzimage(image);
    boot = open_bytes(image, sizeof image - 15, NULL, NULL, NULL);
    g_assert_nonnull(boot);
    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));
}

static void test_relocatable_kernel_goes_higher(Fixture *f, const void *data)
{
    uint8_t image[BZ_SIZE];
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    make_bzimage(image);
    boot = open_bytes(image, sizeof image, NULL, NULL, NULL);
    f->map.entries[3] = (BootMemoryEntry) { 0x1100000, LOW_SIZE - 0x1100000,
                                            BOOT_MEMORY_RAM };

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    g_assert_cmphex(start.ip, ==, 0x1200000 + 0x200);
}

static void test_initrd_keeps_clear_of_kernel(Fixture *f, const void *data)
{
    uint8_t image[BZ_SIZE];
    g_autofree uint8_t *initrd = g_malloc0(8 * MIB);
    g_autofree char *path = NULL;
    g_autofd G_GNUC_UNUSED int fd = make_file(initrd, 8 * MIB, &path);
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    make_bzimage(image);
    put(image, 0x22c, 4, PREF + 0xbfffff);      /* 4 MiB above the kernel's init_size */
    boot = open_bytes(image, sizeof image, path, NULL, NULL);

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    g_assert_cmphex(get(f->ram, BOOT_INFO + 0x218, 4), ==, PREF - 8 * MIB);
}

static const BadFile bad_bzimages[] = {
    { "no-magic", "kernel older than boot protocol 2.00", .patch = { { 0x202, 4, 0 } } },
    { "no-boot-flag", "not a kernel", .patch = { { 0x1fe, 2, 0 } } },
    { "version-2.06", "boot protocol 2.06, 2.12 or later",
      .patch = { { 0x206, 2, 0x206 } } },
    { "version-1.00", "boot protocol 1.00", .patch = { { 0x206, 2, 0x100 } } },
    { "zimage", "a zImage", .patch = { { 0x211, 1, 0 } } },
    { "32-bit", "no 64-bit entry", .patch = { { 0x236, 2, 0xfffe } } },
    { "short-header", "setup header has", .patch = { { 0x201, 1, 0x20 } } },
    { "cut-in-header", "truncated in its setup header", .file_size = 0x250 },
    { "cut-after-setup", "truncated: the file has 1024 bytes", .file_size = BZ_SETUP },
    { "cut-in-payload", "its header asks for 9201", .file_size = BZ_SIZE - 16 },
    { "no-payload", "truncated", .patch = { { 0x1f4, 4, 0 } },
      .file_size = BZ_SETUP + 1 },
    { "setup-sects-255", "truncated", .patch = { { 0x1f1, 1, 255 } } },
    { "syssize-max", "truncated", .patch = { { 0x1f4, 4, 0xffffffff } } },
    { "alignment-0", "kernel_alignment is 0x0", .patch = { { 0x230, 4, 0 } } },
    { "alignment-odd", "kernel_alignment is 0x3000", .patch = { { 0x230, 4, 0x3000 } } },
    { "alignment-max", "kernel_alignment", .patch = { { 0x230, 4, 0x80000000 } } },
    { "cmdline-long", "command line has 5 bytes, this kernel takes at most 4",
      .patch = { { 0x238, 4, 4 } }, .cmdline = "quiet" },
    { "init-size-max", "memory is too small", .patch = { { 0x260, 4, 0xffffffff } },
      .at_load = true },
    { "init-size-over-end", "needs 49153 KiB at 0x1000000",
      .patch = { { 0x260, 4, 48 * MIB + 1024 } }, .at_load = true },
    { "pref-wraps", "memory is too small", .patch = { { 0x258, 8, ~0ull - 0x1000 } },
      .at_load = true },
    { "pref-above-4g", "memory is too small", .patch = { { 0x258, 8, 4 * GIB } },
      .at_load = true },
    { "fixed-in-reserved", "8192 KiB at 0xc0000",
      .patch = { { 0x234, 1, 0 }, { 0x258, 8, 0xc0000 } }, .at_load = true },
    { "fixed-at-0", "8192 KiB at 0x0",
      .patch = { { 0x234, 1, 0 }, { 0x258, 8, 0 } }, .at_load = true },
};

static void test_bad_bzimage(const void *data)
{
    uint8_t image[BZ_SIZE];

    make_bzimage(image);
    check_bad_file(data, image, sizeof image);
}

static void test_setup_sects_0_means_4(Fixture *f, const void *data)
{
    uint8_t image[BZ_SIZE];
    g_autoptr(BootImage) boot = NULL;
    VcpuBoot start;

    make_bzimage(image);
    put(image, 0x1f1, 1, 0);
    put(image, 0x1f4, 4, 16);
    put(image, 5 * 512, 1, 0x42);
    boot = open_bytes(image, sizeof image, NULL, NULL, NULL);

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));

    g_assert_cmphex(f->ram[PREF], ==, 0x42);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/boot-bzimage/is-loaded", Fixture, NULL, setup, test_bzimage_is_loaded,
               teardown);
    g_test_add("/boot-bzimage/boot-params-are-complete", Fixture, NULL, setup,
               test_boot_params_are_complete, teardown);
    g_test_add("/boot-bzimage/first-4-gib-are-mapped-one-to-one", Fixture, NULL, setup,
               test_first_4_gib_are_mapped_one_to_one, teardown);
    g_test_add("/boot-bzimage/last-paragraph-in-part", Fixture, NULL, setup,
               test_last_paragraph_in_part, teardown);
    g_test_add("/boot-bzimage/relocatable-kernel-goes-higher", Fixture, NULL, setup,
               test_relocatable_kernel_goes_higher, teardown);
    g_test_add("/boot-bzimage/initrd-keeps-clear-of-kernel", Fixture, NULL, setup,
               test_initrd_keeps_clear_of_kernel, teardown);
    g_test_add("/boot-bzimage/setup-sects-0-means-4", Fixture, NULL, setup,
               test_setup_sects_0_means_4, teardown);
    add_bad_files("/boot-bzimage/bad", bad_bzimages, G_N_ELEMENTS(bad_bzimages),
                  test_bad_bzimage);
    return g_test_run();
}
