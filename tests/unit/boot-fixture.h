/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the loader share: a machine of 64 MiB without a hypervisor, files
 * made of bytes, and tables of wrong files.
 */
#pragma once

#include "berth/boot.h"
#include "berth/error.h"

#include <string.h>
#include <sys/mman.h>

#define LOW_SIZE (64 * MIB)

typedef struct Fixture {
    uint8_t *ram;
    size_t size;
    RamRange range;
    BootMemory map;
    BootTarget target;
} Fixture;

/* A machine of LOW_SIZE, or of @data bytes. */
static inline void setup(Fixture *f, const void *data)
{
    f->size = data ? GPOINTER_TO_SIZE(data) : LOW_SIZE;
    f->ram = mmap(NULL, f->size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    g_assert_true(f->ram != MAP_FAILED);
    f->range = (RamRange) { 0, f->size, f->ram, -1, 0 };
    f->map = (BootMemory) {
        .entries = {
            { 0, 0x9fc00, BOOT_MEMORY_RAM },
            { 0x9fc00, 0x400, BOOT_MEMORY_RESERVED },
            { 0xc0000, 0x40000, BOOT_MEMORY_RESERVED },
            { MIB, f->size - MIB, BOOT_MEMORY_RAM },
        },
        .n = 4,
    };
    f->target = (BootTarget) {
        .ram = &f->range, .n_ram = 1, .map = &f->map, .rsdp = 0xe0000,
        .ram_is_zero = true,
    };
}

static inline void teardown(Fixture *f, const void *data)
{
    munmap(f->ram, f->size);
}

static inline uint64_t get(const void *data, size_t offset, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, (const uint8_t *)data + offset, size);
    return value;
}

static inline void put(void *data, size_t offset, size_t size, uint64_t value)
{
    memcpy((uint8_t *)data + offset, &value, size);
}

/* A file without a name; *@ret_path is where it can be opened. */
static inline int make_file(const void *data, size_t size, char **ret_path)
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, size);
    *ret_path = g_strdup_printf("/proc/self/fd/%d", fd);
    return fd;
}

/* Opens bytes as a kernel; the initrd and the command line may be NULL. */
static inline BootImage *open_bytes(const void *data, size_t size, const char *initrd,
                                    const char *cmdline, GError **error)
{
    g_autofree char *path = NULL;
    g_autofd G_GNUC_UNUSED int fd = make_file(data, size, &path);

    return boot_image_open(path, initrd, cmdline, error);
}

static inline void assert_error(const GError *error, const char *expected)
{
    g_assert_nonnull(error);
    if (!strstr(error->message, expected))
        g_error("expected '%s' in '%s'", expected, error->message);
}

/* A wrong file: bytes put into a good one, and the error it must give. */
typedef struct BadFile {
    const char *name;
    const char *expected;
    struct {
        uint16_t offset;
        uint8_t size;
        uint64_t value;
    } patch[4];
    size_t file_size;           /* 0: as it is */
    const char *cmdline;
    bool at_load;               /* opens, but cannot be loaded */
} BadFile;

static inline void check_bad_file(const BadFile *bad, void *image, size_t size)
{
    g_autoptr(BootImage) boot = NULL;
    g_autoptr(GError) error = NULL;
    VcpuBoot start = { .ip = 42 };
    Fixture f;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad->patch); i++)
        put(image, bad->patch[i].offset, bad->patch[i].size, bad->patch[i].value);
    if (bad->file_size)
        size = bad->file_size;

    boot = open_bytes(image, size, NULL, bad->cmdline, &error);

    g_assert_true((boot != NULL) == bad->at_load);
    if (boot) {
        setup(&f, NULL);
        g_assert_false(boot_image_load(boot, &f.target, &start, &error));
        g_assert_cmpint(start.ip, ==, 42);
        teardown(&f, NULL);
    }
    assert_error(error, bad->expected);
    assert_error(error, "/proc/self/fd/");
}

/* Adds a test for each row of @table. */
static inline void add_bad_files(const char *prefix, const BadFile *table, size_t n,
                                 GTestDataFunc fn)
{
    for (size_t i = 0; i < n; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", prefix, table[i].name);

        g_test_add_data_func(path, &table[i], fn);
    }
}
