/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-kernel" of a machine with firmware: what fw_cfg holds of it, on the fake hypervisor.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/error.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "machine-bench.h"

#define SECTORS 3
#define SETUP_SIZE ((SECTORS + 1) * 512u)
#define KERNEL_SIZE 1000u
#define INITRD_SIZE 5000u
#define INITRD_MAX 0x2ffffffu           /* as the kernel's header says */

typedef struct Rig {
    MachineBench bench;
    char *folder;
    char *rom;
    char *kernel;
    char *initrd;
} Rig;

static char *write_file(const Rig *rig, const char *name, const void *bytes, size_t size)
{
    char *path = g_build_filename(rig->folder, name, NULL);

    g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
    return path;
}

static void fill_header(uint8_t *kernel)
{
    static const uint8_t initrd_max[4] = { 0xff, 0xff, 0xff, 0x02 };

    kernel[0x1f1] = SECTORS;
    memcpy(kernel + 0x1fe, "\x55\xaa\xeb\x66HdrS\x03\x02", 10);
    kernel[0x211] = 0x01;
    memcpy(kernel + 0x22c, initrd_max, 4);
}

static void rig_files(Rig *rig)
{
    g_autofree uint8_t *rom = g_malloc0(64 * KIB);
    uint8_t kernel[SETUP_SIZE + KERNEL_SIZE], initrd[INITRD_SIZE];

    rig->folder = g_dir_make_tmp("berth-kernel-XXXXXX", NULL);
    memset(kernel, 0, SETUP_SIZE);
    memset(kernel + SETUP_SIZE, 'k', KERNEL_SIZE);
    memset(initrd, 'i', sizeof(initrd));
    fill_header(kernel);
    rig->rom = write_file(rig, "rom", rom, 64 * KIB);
    rig->kernel = write_file(rig, "kernel", kernel, sizeof(kernel));
    rig->initrd = write_file(rig, "initrd", initrd, sizeof(initrd));
}

/* The machine of @words beside its firmware. */
static bool rig_make(Rig *rig, const char *const *words, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    g_ptr_array_add(argv, (char *)"berth");
    g_ptr_array_add(argv, (char *)"-nodefaults");
    g_ptr_array_add(argv, (char *)"-S");
    g_ptr_array_add(argv, (char *)"-bios");
    g_ptr_array_add(argv, rig->rom);
    for (size_t i = 0; words[i]; i++)
        g_ptr_array_add(argv, (char *)words[i]);
    return machine_bench_init(&rig->bench, (char **)argv->pdata, argv->len, error) &&
           machine_bench_make(&rig->bench, vm_fake_new(), error) &&
           machine_start(rig->bench.machine, error);
}

static void rig_done(Rig *rig)
{
    machine_bench_done(&rig->bench);
    for (unsigned i = 0; i < 3; i++)
        g_unlink(i == 0 ? rig->rom : i == 1 ? rig->kernel : rig->initrd);
    g_rmdir(rig->folder);
    g_free(rig->rom);
    g_free(rig->kernel);
    g_free(rig->initrd);
    g_free(rig->folder);
}

static uint8_t item_byte(Rig *rig)
{
    return (uint8_t)vm_fake_read(rig->bench.machine->vm, rig->bench.machine->io,
                                 X86_PORT_FW_CFG + 1, 1);
}

static void read_item(Rig *rig, uint16_t key, void *data, size_t size)
{
    uint8_t *bytes = data;

    vm_fake_write(rig->bench.machine->vm, rig->bench.machine->io, X86_PORT_FW_CFG, 2,
                  key);
    for (size_t i = 0; i < size; i++)
        bytes[i] = item_byte(rig);
}

static uint32_t number(Rig *rig, uint16_t key)
{
    uint32_t value;

    read_item(rig, key, &value, sizeof(value));
    return GUINT32_FROM_LE(value);
}

static uint32_t le32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return GUINT32_FROM_LE(value);
}

static bool all_are(const uint8_t *bytes, size_t size, uint8_t value)
{
    while (size > 0 && bytes[size - 1] == value)
        size--;
    return size == 0;
}

/* The bytes of file @name of the directory, a string. */
static char *read_file(Rig *rig, const char *name)
{
    uint8_t count[4];

    read_item(rig, 0x19, count, sizeof(count));
    for (unsigned n = count[3]; n > 0; n--) {
        uint8_t entry[64];
        char *text;

        for (unsigned i = 0; i < sizeof(entry); i++)
            entry[i] = item_byte(rig);
        if (strcmp((char *)entry + 8, name) != 0)
            continue;
        text = g_malloc0(1 + (entry[2] << 8 | entry[3]));
        read_item(rig, (uint16_t)(entry[4] << 8 | entry[5]), text,
                  (size_t)(entry[2] << 8 | entry[3]));
        return text;
    }
    return NULL;
}

static void test_parts_are_items(void)
{
    Rig rig = { 0 };
    g_autoptr(GError) error = NULL;
    uint8_t setup[SETUP_SIZE], kernel[KERNEL_SIZE], initrd[INITRD_SIZE];
    char cmdline[8];

    rig_files(&rig);
    g_assert_true(rig_make(&rig, (const char *const[]){
        "-m", "64", "-kernel", rig.kernel, "-initrd", rig.initrd, "-append", "one two",
        NULL }, &error));
    g_assert_no_error(error);

    g_assert_cmphex(number(&rig, 0x16), ==, 0x10000);
    g_assert_cmpuint(number(&rig, 0x17), ==, SETUP_SIZE);
    g_assert_cmphex(number(&rig, 0x07), ==, 0x100000);
    g_assert_cmpuint(number(&rig, 0x08), ==, KERNEL_SIZE);
    read_item(&rig, 0x11, kernel, sizeof(kernel));
    g_assert_true(all_are(kernel, sizeof(kernel), 'k'));
    g_assert_cmphex(number(&rig, 0x13), ==, 0x20000);
    g_assert_cmpuint(number(&rig, 0x14), ==, sizeof(cmdline));
    read_item(&rig, 0x15, cmdline, sizeof(cmdline));
    g_assert_cmpstr(cmdline, ==, "one two");
    g_assert_cmpuint(number(&rig, 0x0b), ==, INITRD_SIZE);
    read_item(&rig, 0x12, initrd, sizeof(initrd));
    g_assert_true(all_are(initrd, sizeof(initrd), 'i'));
    /* Whole pages below the kernel's limit. */
    g_assert_cmphex(number(&rig, 0x0a), ==, (INITRD_MAX + 1 - INITRD_SIZE) & ~0xfffu);

    read_item(&rig, 0x18, setup, sizeof(setup));
    g_assert_cmphex(setup[0x210], ==, 0xff);
    g_assert_cmphex(setup[0x211], ==, 0x81);
    g_assert_cmphex(le32(setup + 0x224) & 0xffff, ==, 0xfe00);
    g_assert_cmphex(le32(setup + 0x228), ==, 0x20000);
    g_assert_cmphex(le32(setup + 0x218), ==, number(&rig, 0x0a));
    g_assert_cmphex(le32(setup + 0x21c), ==, INITRD_SIZE);
    rig_done(&rig);
}

static void test_initrd_ends_below_what_firmware_has(void)
{
    Rig rig = { 0 };
    g_autoptr(GError) error = NULL;

    rig_files(&rig);
    g_assert_true(rig_make(&rig, (const char *const[]){
        "-m", "32", "-kernel", rig.kernel, "-initrd", rig.initrd, NULL }, &error));
    g_assert_no_error(error);
    g_assert_cmphex(number(&rig, 0x0a), ==, 31 * MIB - 0x2000);
    rig_done(&rig);
}

static void test_kernel_is_booted_before_all_devices(void)
{
    Rig rig = { 0 };
    g_autoptr(GError) error = NULL;
    g_autofree char *list = NULL, *rom = NULL;

    rig_files(&rig);
    g_assert_true(rig_make(&rig, (const char *const[]){
        "-m", "64", "-kernel", rig.kernel, "-blockdev", "null-co,node-name=a,size=512",
        "-device", "virtio-blk-pci,drive=a,bootindex=0,addr=3", NULL }, &error));
    g_assert_no_error(error);
    list = read_file(&rig, "bootorder");
    g_assert_cmpstr(list, ==, "/rom@genroms/linuxboot_dma.bin\n"
                    "/pci@i0cf8/scsi@3/disk@0,0");
    g_assert_cmpuint(number(&rig, 0x0b), ==, 0);
    rom = read_file(&rig, "genroms/linuxboot_dma.bin");
    if (rom)
        g_assert_cmpmem(rom, 2, "\x55\xaa", 2);
    else
        g_test_skip("linuxboot_dma.bin is not installed");
    rig_done(&rig);
}

typedef struct Wrong {
    size_t offset;              /* of a byte that is changed */
    uint8_t value;
    size_t size;                /* of the file; 0: all of it */
    const char *message;
} Wrong;

static const Wrong wrong_kernels[] = {
    { 0x202, 'X', 0, "*: not a bzImage, which is what firmware starts" },
    { 0x1fe, 0, 0, "*: not a bzImage, which is what firmware starts" },
    { 0x206, 2, 0, "*: not a bzImage, which is what firmware starts" },
    { 0x211, 0, 0, "*: not a bzImage, which is what firmware starts" },
    { 0, 0, 0x22f, "*: not a bzImage, which is what firmware starts" },
    { 0x1f1, 0, SETUP_SIZE, "*: truncated" },
    { 0x1f1, 64, 0, "*: truncated" },
    { 0, 0, SETUP_SIZE, "*: truncated" },
    { 0x22f, 0, 0, NULL },
    { 0x22e, 0, 0, NULL },
};

static void test_kernels_that_are_refused(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(wrong_kernels); i++) {
        const Wrong *wrong = &wrong_kernels[i];
        Rig rig = { 0 };
        g_autoptr(GError) error = NULL;
        g_autofree char *bytes = NULL;
        gsize size;

        rig_files(&rig);
        g_assert_true(g_file_get_contents(rig.kernel, &bytes, &size, NULL));
        bytes[wrong->offset] = (char)wrong->value;
        g_free(write_file(&rig, "kernel", bytes, wrong->size ? wrong->size : size));
        rig_make(&rig, (const char *const[]){ "-m", "64", "-kernel", rig.kernel, NULL },
                 &error);
        if (wrong->message)
            g_assert_true(error &&
                          g_pattern_match_simple(wrong->message, error->message));
        else
            g_assert_no_error(error);
        rig_done(&rig);
    }
}

static void assert_refused(Rig *rig, const char *const *words, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(rig_make(rig, words, &error));
    g_assert_true(g_pattern_match_simple(message, error->message));
    machine_bench_done(&rig->bench);
    rig->bench = (MachineBench){ 0 };
}

static void test_files_and_lines_that_are_refused(void)
{
    g_autofree char *line = g_strnfill(0x10000, 'x');
    g_autofree char *large = NULL;
    g_autofree char *bytes = g_malloc0(8 * MIB);
    Rig rig = { 0 };

    rig_files(&rig);
    large = write_file(&rig, "large", bytes, 8 * MIB);
    assert_refused(&rig, (const char *const[]){ "-kernel", "/nowhere", NULL },
                   "*kernel: *'/nowhere'*");
    assert_refused(&rig, (const char *const[]){
        "-kernel", rig.kernel, "-initrd", "/nowhere", NULL }, "*initrd: *'/nowhere'*");
    assert_refused(&rig, (const char *const[]){
        "-kernel", rig.kernel, "-append", line, NULL }, "*-append: 65536 bytes*");
    assert_refused(&rig, (const char *const[]){
        "-m", "8", "-kernel", rig.kernel, "-initrd", large, NULL },
        "*initrd '*': the guest's memory is too small for it");
    g_unlink(large);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/firmware-kernel/parts-are-items", test_parts_are_items);
    g_test_add_func("/firmware-kernel/initrd-ends-below-what-firmware-has",
                    test_initrd_ends_below_what_firmware_has);
    g_test_add_func("/firmware-kernel/kernel-is-booted-before-all-devices",
                    test_kernel_is_booted_before_all_devices);
    g_test_add_func("/firmware-kernel/kernels-that-are-refused",
                    test_kernels_that_are_refused);
    g_test_add_func("/firmware-kernel/files-and-lines-that-are-refused",
                    test_files_and_lines_that_are_refused);
    return g_test_run();
}
