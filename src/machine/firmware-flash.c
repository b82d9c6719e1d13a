/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two units: 0 ends at 4 GiB, where a processor begins, and has the firmware; 1 ends
 * where 0 begins, and has its variables.  Each is a block node, or a drive of its own.
 */
#include "berth/error.h"
#include "berth/pflash.h"
#include "berth/x86-layout.h"

#include "firmware-flash.h"

#define N_UNITS 2u

/* Of "-drive if=pflash"; NULL: none. */
static const char *drive_of(const Cmdline *cmdline, unsigned unit)
{
    for (guint i = 0; i < cmdline->drives->len; i++) {
        const DriveOptions *drive = g_ptr_array_index(cmdline->drives, i);

        if (drive->q_if == DRIVE_INTERFACE_PFLASH && drive->index == unit)
            return drive->id;
    }
    return NULL;
}

/* Of "-machine"; NULL: none. */
static const char *node_of(const Cmdline *cmdline, unsigned unit)
{
    const MachineOptions *machine = cmdline->machine;

    if (!machine)
        return NULL;
    return unit == 0 ? machine->pflash0 : machine->pflash1;
}

static const char *name_of(const Cmdline *cmdline, unsigned unit)
{
    const char *node = node_of(cmdline, unit);

    return node ? node : drive_of(cmdline, unit);
}

static bool check_units(const Cmdline *cmdline, GError **error)
{
    for (guint i = 0; i < cmdline->drives->len; i++) {
        const DriveOptions *drive = g_ptr_array_index(cmdline->drives, i);

        if (drive->q_if != DRIVE_INTERFACE_PFLASH)
            continue;
        if (drive->index >= N_UNITS) {
            error_set(error, "-drive %s: there are %u units of flash memory", drive->id,
                      N_UNITS);
            return false;
        }
        if (node_of(cmdline, drive->index)) {
            error_set(error, "-drive %s: '-machine pflash%u' is given, too", drive->id,
                      drive->index);
            return false;
        }
    }
    return true;
}

bool firmware_flash_is_wanted(const Cmdline *cmdline)
{
    return name_of(cmdline, 0) != NULL;
}

bool firmware_flash_check(const Cmdline *cmdline, GError **error)
{
    bool has_any = name_of(cmdline, 0) || name_of(cmdline, 1);

    if (!check_units(cmdline, error))
        return false;
    if (has_any && cmdline->bios)
        error_set(error, "-bios %s: firmware is in flash memory (pflash) already",
                  cmdline->bios);
    else if (has_any && !name_of(cmdline, 0))
        error_set(error, "pflash1: there is no firmware, which is in pflash0");
    else
        return true;
    return false;
}

static Device *add_unit(Machine *machine, unsigned unit, uint64_t end, GError **error)
{
    const PflashConfig config = {
        .drive = name_of(machine->cmdline, unit),
        .end = end,
        .max_size = X86_ROM_MAX - (X86_HIGH_RAM_BASE - end),
        .secure = machine->cmdline->onboard[ONBOARD_DRIVER_CFI_PFLASH01]
                      ->u.cfi_pflash01.secure,
    };
    Device *dev = pflash_add(&machine->tree, unit, &config, error);

    if (!dev)
        g_prefix_error(error, "pflash%u: ", unit);
    return dev;
}

bool firmware_flash_add(Machine *machine, GError **error)
{
    uint64_t end = X86_HIGH_RAM_BASE;

    for (unsigned unit = 0; unit < N_UNITS; unit++) {
        Device *dev;

        if (!name_of(machine->cmdline, unit))
            break;
        dev = add_unit(machine, unit, end, error);
        if (!dev)
            return false;
        end -= pflash_memory(dev)->size;
        if (unit == 0)
            machine->rom = ram_block_ref(pflash_memory(dev));
    }
    if (machine->rom)
        machine->board.firmware = machine->rom;
    return true;
}
