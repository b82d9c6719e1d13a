/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ROM, and files of fw_cfg by the names and formats that SeaBIOS and OVMF know.
 *
 * The file is mapped, so that all machines of a host have its pages once; the guest
 * cannot write to them.  It is to be replaced by another file, not written to, while a
 * machine runs: one that gets shorter stops the machine (src/machine/memory-failure.c).
 */
#include <errno.h>
#include <sys/stat.h>

#include "berth/error.h"
#include "berth/file-find.h"
#include "berth/serial.h"
#include "berth/x86-layout.h"

#include "firmware-flash.h"
#include "firmware.h"
#include "machine-memory.h"

#define DEFAULT_ROM "bios-256k.bin"
#define ROM_GRANULE (64 * KIB)
#define ABOVE_ALL_ELSE 1

#define KEY_IRQ0_OVERRIDE 0x8002
#define E820_RAM 1u
#define E820_RESERVED 2u
#define KVM_PAGES_SIZE (4 * 4 * KIB)

#define FEATURE_LOCKED 0x1u
#define FEATURE_VMX 0x4u                /* outside of SMX */

/* Of S3 and S4 in etc/system-states. */
#define STATE_OFFERED 0x80u

/* Where distributions have firmware. */
static const char *const folders[] = {
    "/usr/share/seabios", "/usr/share/qemu", "/usr/share/ovmf", "/usr/share/OVMF",
    "/usr/share/edk2/ovmf", "/usr/local/share/qemu", NULL,
};

typedef struct __attribute__((packed)) E820Entry {
    uint64_t base;
    uint64_t size;
    uint32_t type;
} E820Entry;

static RamBlock *map_rom(const char *path, GError **error)
{
    const RamOptions options = { .path = path, .read_only = true };
    struct stat stat_buf;
    uint64_t size;

    if (stat(path, &stat_buf) < 0) {
        error_set_errno(error, errno, "cannot open '%s'", path);
        return NULL;
    }
    if (!S_ISREG(stat_buf.st_mode)) {
        error_set(error, "'%s' is not a regular file", path);
        return NULL;
    }
    size = (uint64_t)stat_buf.st_size;
    if (size > X86_ROM_MAX) {
        error_set(error, "'%s' has more than %" PRIu64 " bytes", path,
                  (uint64_t)X86_ROM_MAX);
        return NULL;
    }
    if (size == 0 || size % ROM_GRANULE != 0) {
        error_set(error, "'%s' has %" PRIu64 " bytes, which is no multiple of 64 KiB, so "
                  "it is no firmware", path, size);
        return NULL;
    }
    return ram_block_new("pc.bios", size, &options, error);
}

char *firmware_find_installed(const char *name)
{
    return file_find_installed(name, folders);
}

static bool check_memory(const Machine *machine, GError **error)
{
    if (machine_memory_first(machine)->size >= X86_EXT_RAM_BASE)
        return true;
    error_set(error, "-m: firmware needs 1 MiB of memory at least, all of one backend");
    return false;
}

/* Those of the operator (-L) come first. */
static char *find_rom(const Cmdline *cmdline)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();

    for (guint i = 0; i < cmdline->firmware_folders->len; i++)
        g_ptr_array_add(all, g_ptr_array_index(cmdline->firmware_folders, i));
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++)
        g_ptr_array_add(all, (char *)folders[i]);
    return cmdline->bios
        ? file_find(cmdline->bios, (const char *const *)all->pdata)
        : file_find_installed(DEFAULT_ROM, (const char *const *)all->pdata);
}

bool firmware_open(Machine *machine, GError **error)
{
    const char *name = machine->cmdline->bios;
    g_autofree char *path = NULL;
    RamBlock *rom;

    if (firmware_flash_is_wanted(machine->cmdline))
        return check_memory(machine, error);
    if (machine->cmdline->kernel && !name)
        return true;
    path = find_rom(machine->cmdline);
    if (!path && !name)
        return true;
    if (!path) {
        error_set(error, "-bios %s: there is no such file", name);
        return false;
    }
    if (!check_memory(machine, error))
        return false;
    rom = map_rom(path, error);
    if (!rom) {
        g_prefix_error(error, "-bios: ");
        return false;
    }
    machine->rom = rom;
    region_init_rom(&machine->rom_region, "pc.bios", rom, 0, rom->size);
    region_add(&machine->memory_root, X86_HIGH_RAM_BASE - rom->size,
               &machine->rom_region, ABOVE_ALL_ELSE);
    return true;
}

void firmware_done(Machine *machine)
{
    if (machine->rom_region.name)
        region_done(&machine->rom_region);
    g_clear_pointer(&machine->rom, ram_block_unref);
}

static bool add_e820(const Machine *machine, FwCfg *fw_cfg, GError **error)
{
    uint64_t low = MIN(machine->ram_size, X86_LOW_RAM_MAX);
    const E820Entry entries[] = {
        { 0, low, E820_RAM },
        { X86_KVM_IDENTITY_MAP, KVM_PAGES_SIZE, E820_RESERVED },
        { X86_HIGH_RAM_BASE, machine->ram_size - low, E820_RAM },
    };
    size_t n = G_N_ELEMENTS(entries) - (machine->ram_size == low);

    return fw_cfg_add_file(fw_cfg, "etc/e820", g_bytes_new(entries, n * sizeof(*entries)),
                           error);
}

/* Six bytes, one of each state: whether it is offered, and its SLP_TYP. */
static bool add_sleep_states(const Machine *machine, FwCfg *fw_cfg, GError **error)
{
    const OnboardDevice *lpc = machine->cmdline->onboard[ONBOARD_DRIVER_ICH9_LPC];
    uint8_t states[6] = {
        STATE_OFFERED, 0, 0, X86_SLP_TYP_S3, X86_SLP_TYP_S4, STATE_OFFERED,
    };

    if (machine_can_suspend(machine))
        states[3] |= STATE_OFFERED;
    if (machine_has_acpi(machine) && !lpc->u.ICH9_LPC.disable_s4)
        states[4] |= STATE_OFFERED;
    return fw_cfg_add_file(fw_cfg, "etc/system-states",
                           g_bytes_new(states, sizeof(states)), error);
}

/*
 * What firmware is to write to IA32_FEATURE_CONTROL of each processor (Intel SDM volume
 * 3, 24.7): operating systems that find it unlocked believe that VMX is switched off.
 */
static bool add_feature_control(const Machine *machine, FwCfg *fw_cfg, GError **error)
{
    uint64_t little = GUINT64_TO_LE((uint64_t)FEATURE_VMX | FEATURE_LOCKED);

    return !cpu_model_has_vmx(machine->cpu_model) ||
           fw_cfg_add_file(fw_cfg, "etc/msr_feature_control",
                           g_bytes_new(&little, sizeof(little)), error);
}

/* There is no screen, so the first serial port is the console. */
static bool add_console(Machine *machine, FwCfg *fw_cfg, GError **error)
{
    LIST_FOREACH(node, &machine->tree.devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);
        SerialPort port;
        uint16_t little;

        if (dev->class != &serial_class)
            continue;
        port = serial_port(dev);
        little = GUINT16_TO_LE((uint16_t)port.iobase);
        if (port.index == 0)
            return fw_cfg_add_file(fw_cfg, "etc/sercon-port",
                                   g_bytes_new(&little, sizeof(little)), error);
    }
    return true;
}

bool firmware_describe(Machine *machine, FwCfg *fw_cfg, uint64_t pci64, GError **error)
{
    uint64_t little = GUINT64_TO_LE(pci64);

    if (!machine->rom)
        return true;
    fw_cfg_add_number(fw_cfg, KEY_IRQ0_OVERRIDE, 1, 4);
    return add_e820(machine, fw_cfg, error) && add_sleep_states(machine, fw_cfg, error) &&
           add_console(machine, fw_cfg, error) &&
           add_feature_control(machine, fw_cfg, error) &&
           firmware_kernel_describe(machine, fw_cfg, error) &&
           fw_cfg_add_file(fw_cfg, "etc/reserved-memory-end",
                           g_bytes_new(&little, sizeof(little)), error);
}
