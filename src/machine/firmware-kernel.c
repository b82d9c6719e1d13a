/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-kernel" of a machine with firmware: the kernel's parts are items of fw_cfg, and who
 * puts them into memory is firmware (OVMF) or an option ROM, which firmware has in its
 * list of what to boot, before all else (SeaBIOS; a file "genroms/..." is an option ROM).
 *
 * The setup header is filled in as a boot loader does (Linux, Documentation/arch/x86/
 * boot.rst, "Memory layout"). The real-mode code is entered there, so any bzImage that
 * knows a command line by address will do, a 32-bit one too.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/file-find.h"
#include "berth/file-read.h"
#include "berth/log.h"
#include "berth/x86-layout.h"

#include "firmware.h"

#define ROM_FILE "linuxboot_dma.bin"
#define FILE_MAX (1 * GIB)

#define SETUP_GPA 0x10000u
#define CMDLINE_GPA 0x20000u
#define CMDLINE_MAX 0x10000u            /* bytes, with the NUL at the end */
#define KERNEL_GPA 0x100000u
/* What firmware has at the end of low memory: tables, and its own. */
#define FIRMWARE_AT_END (1 * MIB)

/* Offsets in the file. */
#define HDR_SETUP_SECTS 0x1f1u
#define HDR_BOOT_FLAG 0x1feu
#define HDR_MAGIC 0x202u
#define HDR_VERSION 0x206u
#define HDR_LOADER 0x210u
#define HDR_LOADFLAGS 0x211u
#define HDR_RAMDISK_IMAGE 0x218u
#define HDR_RAMDISK_SIZE 0x21cu
#define HDR_HEAP_END_PTR 0x224u
#define HDR_CMD_LINE_PTR 0x228u
#define HDR_INITRD_ADDR_MAX 0x22cu
#define HDR_END_2_03 0x230u

#define MAGIC "HdrS"
#define VERSION_MIN 0x0203u             /* the initrd's limit is told */
#define LOADED_HIGH 0x01u
#define CAN_USE_HEAP 0x80u
#define LOADER_UNDEFINED 0xffu
#define SECTORS_DEFAULT 4
#define SECTOR_SIZE 512u

typedef struct Kernel {
    uint8_t *bytes;
    size_t size;
    size_t setup_size;
} Kernel;

typedef struct Initrd {
    GBytes *bytes;              /* NULL for none */
    uint32_t gpa;
} Initrd;

/* The items of a part: where it is to be, its size, its bytes. */
typedef struct Part {
    uint16_t addr;
    uint16_t size;
    uint16_t data;
} Part;

static const Part setup_part = { 0x16, 0x17, 0x18 };
static const Part kernel_part = { 0x07, 0x08, 0x11 };
static const Part cmdline_part = { 0x13, 0x14, 0x15 };
static const Part initrd_part = { 0x0a, 0x0b, 0x12 };

static void put16(uint8_t *at, uint16_t value)
{
    value = GUINT16_TO_LE(value);
    memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return GUINT32_FROM_LE(value);
}

static bool is_bzimage(const Kernel *kernel)
{
    const uint8_t *head = kernel->bytes;

    return kernel->size >= HDR_END_2_03 && head[HDR_BOOT_FLAG] == 0x55 &&
           head[HDR_BOOT_FLAG + 1] == 0xaa && !memcmp(head + HDR_MAGIC, MAGIC, 4) &&
           get16(head + HDR_VERSION) >= VERSION_MIN &&
           (head[HDR_LOADFLAGS] & LOADED_HIGH);
}

static bool read_kernel(const char *path, Kernel *kernel, GError **error)
{
    unsigned sectors;

    kernel->bytes = file_read(path, FILE_MAX, &kernel->size, error);
    if (!kernel->bytes) {
        g_prefix_error(error, "kernel: ");
        return false;
    }
    if (!is_bzimage(kernel)) {
        error_set(error, "kernel '%s': not a bzImage, which is what firmware starts",
                  path);
        return false;
    }
    sectors = kernel->bytes[HDR_SETUP_SECTS];
    kernel->setup_size = ((sectors ? sectors : SECTORS_DEFAULT) + 1) * SECTOR_SIZE;
    if (kernel->setup_size >= kernel->size)
        error_set(error, "kernel '%s': truncated", path);
    return kernel->setup_size < kernel->size;
}

/* As high as the kernel takes it. */
static bool read_initrd(const Machine *machine, const Kernel *kernel, Initrd *initrd,
                        GError **error)
{
    const char *path = machine->cmdline->initrd;
    uint64_t end = MIN(machine->ram_size, X86_LOW_RAM_MAX) - FIRMWARE_AT_END;
    size_t size;
    uint8_t *bytes;

    if (!path)
        return true;
    bytes = file_read(path, FILE_MAX, &size, error);
    if (!bytes) {
        g_prefix_error(error, "initrd: ");
        return false;
    }
    initrd->bytes = g_bytes_new_take(bytes, size);
    end = MIN(end, get32(kernel->bytes + HDR_INITRD_ADDR_MAX) + 1ull);
    if (end < KERNEL_GPA + kernel->size || size > end - KERNEL_GPA - kernel->size) {
        error_set(error, "initrd '%s': the guest's memory is too small for it", path);
        return false;
    }
    initrd->gpa = (uint32_t)ALIGN_DOWN(end - size, 4 * KIB);
    return true;
}

static void fill_setup(Kernel *kernel, const Initrd *initrd)
{
    uint8_t *head = kernel->bytes;

    head[HDR_LOADER] = LOADER_UNDEFINED;
    head[HDR_LOADFLAGS] |= CAN_USE_HEAP;
    put16(head + HDR_HEAP_END_PTR, CMDLINE_GPA - SETUP_GPA - SECTOR_SIZE);
    put32(head + HDR_CMD_LINE_PTR, CMDLINE_GPA);
    if (initrd->bytes) {
        put32(head + HDR_RAMDISK_IMAGE, initrd->gpa);
        put32(head + HDR_RAMDISK_SIZE, (uint32_t)g_bytes_get_size(initrd->bytes));
    }
}

/* Takes @bytes. */
static void add_part(FwCfg *fw_cfg, const Part *part, uint32_t gpa, GBytes *bytes)
{
    fw_cfg_add_number(fw_cfg, part->addr, gpa, 4);
    fw_cfg_add_number(fw_cfg, part->size, g_bytes_get_size(bytes), 4);
    fw_cfg_add_bytes(fw_cfg, part->data, bytes);
}

/* Takes the bytes. */
static void add_parts(FwCfg *fw_cfg, Kernel *kernel, Initrd *initrd, const char *cmdline)
{
    GBytes *whole = g_bytes_new_take(kernel->bytes, kernel->size);
    size_t setup = kernel->setup_size;

    kernel->bytes = NULL;
    add_part(fw_cfg, &setup_part, SETUP_GPA, g_bytes_new_from_bytes(whole, 0, setup));
    add_part(fw_cfg, &kernel_part, KERNEL_GPA,
             g_bytes_new_from_bytes(whole, setup, kernel->size - setup));
    add_part(fw_cfg, &cmdline_part, CMDLINE_GPA,
             g_bytes_new(cmdline, strlen(cmdline) + 1));
    add_part(fw_cfg, &initrd_part, initrd->gpa,
             initrd->bytes ? g_steal_pointer(&initrd->bytes) : g_bytes_new(NULL, 0));
    g_bytes_unref(whole);
}

static bool add_rom(FwCfg *fw_cfg, GError **error)
{
    g_autofree char *path = firmware_find_installed(ROM_FILE);
    size_t size;
    uint8_t *bytes;

    if (!path) {
        log_warn("-kernel: there is no " ROM_FILE " (package qemu-system-data), without "
                 "which SeaBIOS does not start a kernel");
        return true;
    }
    bytes = file_read(path, X86_ROM_MAX, &size, error);
    return bytes && fw_cfg_add_file(fw_cfg, "genroms/" ROM_FILE,
                                    g_bytes_new_take(bytes, size), error);
}

const char *firmware_kernel_boot_path(const Machine *machine)
{
    return machine->rom && machine->cmdline->kernel ? "/rom@genroms/" ROM_FILE : NULL;
}

bool firmware_kernel_describe(const Machine *machine, FwCfg *fw_cfg, GError **error)
{
    const char *cmdline = machine->cmdline->append ? machine->cmdline->append : "";
    Kernel kernel = { 0 };
    Initrd initrd = { 0 };
    bool done;

    if (!machine->rom || !machine->cmdline->kernel)
        return true;
    if (strlen(cmdline) >= CMDLINE_MAX) {
        error_set(error, "-append: %zu bytes, at most %u are possible", strlen(cmdline),
                  CMDLINE_MAX - 1);
        return false;
    }
    done = read_kernel(machine->cmdline->kernel, &kernel, error) &&
           read_initrd(machine, &kernel, &initrd, error) && add_rom(fw_cfg, error);
    if (done) {
        fill_setup(&kernel, &initrd);
        add_parts(fw_cfg, &kernel, &initrd, cmdline);
    }
    g_free(kernel.bytes);
    if (initrd.bytes)
        g_bytes_unref(initrd.bytes);
    return done;
}
