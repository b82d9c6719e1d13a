/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are no kernels, files that change, and a kernel of a distribution.
 */
#include <glib/gstdio.h>
#include <glob.h>
#include <sys/stat.h>

#include "boot-fixture.h"

/* The start of a file that somebody takes for a kernel. */
typedef struct Mistaken {
    const char *name;
    const char *expected;
    size_t offset;
    const char *bytes;
    size_t size;
} Mistaken;

static const Mistaken mistaken[] = {
    { "gzip", "compressed with gzip", 0, "\x1f\x8b\x08", 3 },
    { "xz", "compressed with xz", 0, "\xfd" "7zXZ\0", 6 },
    { "zstd", "compressed with zstd", 0, "\x28\xb5\x2f\xfd", 4 },
    { "bzip2", "compressed with bzip2", 0, "BZh9", 4 },
    { "lz4", "compressed with lz4", 0, "\x02\x21\x4c\x18", 4 },
    { "lzo", "compressed with lzo", 0, "\x89LZO", 4 },
    { "arm64", "an arm64 kernel", 56, "ARM\x64", 4 },
    { "riscv", "a RISC-V kernel", 56, "RSC\x05", 4 },
    { "u-boot", "a U-Boot image", 0, "\x27\x05\x19\x56", 4 },
    { "qcow2", "a qcow2 disk image", 0, "QFI\xfb", 4 },
    { "cpio", "a cpio archive", 0, "070701", 6 },
    { "boot-sector", "a boot sector", 510, "\x55\xaa", 2 },
    { "efi", "an EFI application", 0, "MZ", 2 },
    { "text", "neither a bzImage nor an ELF file", 0, "hello", 5 },
};

static void test_mistaken_file(const void *data)
{
    const Mistaken *m = data;
    uint8_t file[1024] = { 0 };
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;

    memcpy(file + m->offset, m->bytes, m->size);

    boot = open_bytes(file, sizeof file, NULL, NULL, &error);

    g_assert_null(boot);
    assert_error(error, m->expected);
    assert_error(error, "kernel '/proc/self/fd/");
}

/* The smallest kernel there is, for tests of what is beside it. */
static BootImage *open_tiny(const char *initrd, const char *cmdline, GError **error)
{
    uint8_t image[2048] = { 0 };

    put(image, 0x1f1, 1, 1);
    put(image, 0x1fe, 2, 0xaa55);
    put(image, 0x200, 2, 0x66eb);
    memcpy(image + 0x202, "HdrS", 4);
    put(image, 0x206, 2, 0x020f);
    put(image, 0x211, 1, 1);
    put(image, 0x22c, 4, 0x7fffffff);
    put(image, 0x236, 2, 1);
    put(image, 0x238, 4, 0xffffffff);
    put(image, 0x258, 8, MIB);
    return open_bytes(image, sizeof image, initrd, cmdline, error);
}

static void assert_not_opened(const char *kernel, const char *initrd,
                              const char *expected)
{
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;

    boot = kernel ? boot_image_open(kernel, initrd, NULL, &error)
                  : open_tiny(initrd, NULL, &error);

    g_assert_null(boot);
    assert_error(error, expected);
}

static void test_files_that_are_no_files(void)
{
    g_autofree char *folder = g_dir_make_tmp("boot-XXXXXX", NULL);
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL);
    g_autofree char *empty = g_build_filename(folder, "empty", NULL);

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_true(g_file_set_contents(empty, "", 0, NULL));

    assert_not_opened("missing", NULL, "kernel 'missing': cannot open: No such file");
    assert_not_opened(folder, NULL, "not a regular file");
    assert_not_opened("/dev/zero", NULL, "kernel '/dev/zero': not a regular file");
    assert_not_opened(fifo, NULL, "fifo': not a regular file");
    assert_not_opened(empty, NULL, "empty': the file is empty");
    assert_not_opened(NULL, "missing", "initrd 'missing': cannot open: No such file");
    assert_not_opened(NULL, folder, "not a regular file");
    assert_not_opened(NULL, empty, "the file is empty");

    g_unlink(fifo);
    g_unlink(empty);
    g_rmdir(folder);
}

static void test_long_command_line_is_refused(Fixture *f, const void *data)
{
    g_autofree char *line = g_strnfill(BOOT_CMDLINE_SIZE - 1, 'x');
    g_autofree char *longer = g_strnfill(BOOT_CMDLINE_SIZE, 'x');
    g_autoptr(BootImage) boot = open_tiny(NULL, line, NULL);
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));
    g_assert_cmpstr((char *)f->ram + BOOT_CMDLINE, ==, line);

    g_assert_null(open_tiny(NULL, longer, &error));
    assert_error(error, "command line has 65536 bytes, at most 65535");
}

static void test_initrd_too_large(Fixture *f, const void *data)
{
    g_autofree char *path = NULL;
    g_autofd G_GNUC_UNUSED int fd = make_file("x", 1, &path);
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    g_assert_cmpint(ftruncate(fd, LOW_SIZE), ==, 0);
    boot = open_tiny(path, NULL, NULL);

    g_assert_false(boot_image_load(boot, &f->target, &start, &error));

    assert_error(error, "no room for its 67108864 bytes");
    assert_error(error, path);
}

static void test_file_cut_after_open(Fixture *f, const void *data)
{
    g_autofree char *path = NULL;
    g_autofd G_GNUC_UNUSED int fd = make_file("initrd", 6, &path);
    g_autoptr(BootImage) boot = open_tiny(path, NULL, NULL);
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    g_assert_true(boot_image_load(boot, &f->target, &start, NULL));
    g_assert_cmpint(ftruncate(fd, 4), ==, 0);

    g_assert_false(boot_image_load(boot, &f->target, &start, &error));

    assert_error(error, "ends after 4 bytes, it had 6 when it was opened");
}

static void test_reset_loads_again(Fixture *f, const void *data)
{
    g_autofree char *path = NULL;
    g_autofd G_GNUC_UNUSED int fd = make_file("initrd", 6, &path);
    g_autoptr(BootImage) boot = open_tiny(path, "quiet", NULL);
    g_autofree uint8_t *low = NULL;
    VcpuBoot first;
    VcpuBoot second;

    g_assert_true(boot_image_load(boot, &f->target, &first, NULL));
    low = g_memdup2(f->ram, 2 * MIB);
    memset(f->ram + 0x1000, 0xee, 2 * MIB - 0x1000);
    memset(f->ram + LOW_SIZE - 0x1000, 0xee, 0x1000);
    f->target.ram_is_zero = false;

    g_assert_true(boot_image_load(boot, &f->target, &second, NULL));

    g_assert_cmphex(first.ip, ==, second.ip);
    g_assert_cmphex(first.arg, ==, second.arg);
    g_assert_cmpmem(f->ram + BOOT_GDT, 48, low + BOOT_GDT, 48);
    g_assert_cmpmem(f->ram + BOOT_INFO, 0x7000, low + BOOT_INFO, 0x7000);
    g_assert_cmpstr((char *)f->ram + BOOT_CMDLINE, ==, "quiet");
    g_assert_cmpmem(f->ram + LOW_SIZE - 0x1000, 6, "initrd", 6);
}

static void test_memory_too_small_for_tables(Fixture *f, const void *data)
{
    g_autoptr(BootImage) boot = open_tiny(NULL, NULL, NULL);
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    f->map.entries[0].size = BOOT_LOW_END - 1;

    g_assert_false(boot_image_load(boot, &f->target, &start, &error));

    assert_error(error, "guest's memory is too small to boot");
}

static void test_map_without_ram_behind_it(Fixture *f, const void *data)
{
    g_autoptr(BootImage) boot = open_tiny(NULL, NULL, NULL);
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    f->range.size = MIB + 512;

    g_assert_false(boot_image_load(boot, &f->target, &start, &error));

    assert_error(error, "memory is too small");
}

/* A file of the package that the demo has fetched, or NULL. */
static char *find_distribution_file(const char *name)
{
    g_autofree char *pattern = g_build_filename(g_get_user_cache_dir(), "berth",
                                                "linux-image-*", name, NULL);
    char *found = NULL;
    glob_t paths;

    if (glob(pattern, 0, NULL, &paths) == 0)
        found = g_strdup(paths.gl_pathv[0]);
    globfree(&paths);
    return found;
}

/* Loads it and returns where it begins, or 0 when it is not there. */
static uint64_t load_distribution_file(Fixture *f, const char *name)
{
    g_autofree char *kernel = find_distribution_file(name);
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    if (!kernel) {
        g_test_skip("no kernel of a distribution in the cache (make demo fetches one)");
        return 0;
    }
    boot = boot_image_open(kernel, NULL, "console=ttyS0", &error);
    g_assert_no_error(error);
    g_assert_true(boot_image_load(boot, &f->target, &start, &error));
    g_assert_no_error(error);
    return start.ip;
}

static void test_distribution_bzimage(Fixture *f, const void *data)
{
    uint64_t ip = load_distribution_file(f, "boot/vmlinuz-*");

    if (ip)
        g_assert_cmphex(ip, ==, 0x1000200);
}

static void test_distribution_vmlinux(Fixture *f, const void *data)
{
    uint64_t ip = load_distribution_file(f, "vmlinux");

    if (ip)
        g_assert_cmphex(ip, >, 0x1000000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(mistaken); i++) {
        g_autofree char *path = g_strdup_printf("/boot/mistaken/%s", mistaken[i].name);

        g_test_add_data_func(path, &mistaken[i], test_mistaken_file);
    }
    g_test_add_func("/boot/files-that-are-no-files", test_files_that_are_no_files);
    g_test_add("/boot/long-command-line-is-refused", Fixture, NULL, setup,
               test_long_command_line_is_refused, teardown);
    g_test_add("/boot/initrd-too-large", Fixture, NULL, setup, test_initrd_too_large,
               teardown);
    g_test_add("/boot/file-cut-after-open", Fixture, NULL, setup,
               test_file_cut_after_open, teardown);
    g_test_add("/boot/reset-loads-again", Fixture, NULL, setup, test_reset_loads_again,
               teardown);
    g_test_add("/boot/memory-too-small-for-tables", Fixture, NULL, setup,
               test_memory_too_small_for_tables, teardown);
    g_test_add("/boot/map-without-ram-behind-it", Fixture, NULL, setup,
               test_map_without_ram_behind_it, teardown);
    g_test_add("/boot/distribution-bzimage", Fixture, GSIZE_TO_POINTER(512 * MIB), setup,
               test_distribution_bzimage, teardown);
    g_test_add("/boot/distribution-vmlinux", Fixture, GSIZE_TO_POINTER(512 * MIB), setup,
               test_distribution_vmlinux, teardown);
    return g_test_run();
}
