/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of machine.  Tools recognise a q35 by the prefix "pc-q35-".
 *
 * A domain that was defined for QEMU names a version of its q35, by which QEMU keeps
 * what a guest sees from one release to the next.  berth has one board, which is the same
 * under each of these names but for what firmware in system management mode is offered
 * (machine-smi.c); the name is kept, for clients compare it and guests read it in SMBIOS.
 * The versions are those of QEMU's releases from 2.4 on: older ones are gone from QEMU,
 * too.
 */
#include <stdio.h>
#include <string.h>

#include "berth/machine.h"

#define PREFIX "pc-q35-"
#define VERSION(number) \
    { .name = PREFIX number, .kind = MACHINE_KIND_Q35, .is_of_qemu = true }

/* Without pointers: they stay in pages that all processes share. */
static const MachineType types[] = {
    {
        .name = "pc-q35-berth-1.0",
        .alias = "q35",
        .kind = MACHINE_KIND_Q35,
        .is_default = true,
    },
    VERSION("11.1"), VERSION("11.0"), VERSION("10.2"), VERSION("10.1"), VERSION("10.0"),
    VERSION("9.2"), VERSION("9.1"), VERSION("9.0"), VERSION("8.2"), VERSION("8.1"),
    VERSION("8.0"), VERSION("7.2"), VERSION("7.1"), VERSION("7.0"), VERSION("6.2"),
    VERSION("6.1"), VERSION("6.0"), VERSION("5.2"), VERSION("5.1"), VERSION("5.0"),
    VERSION("4.2"), VERSION("4.1"), VERSION("4.0.1"), VERSION("4.0"), VERSION("3.1"),
    VERSION("3.0"), VERSION("2.12"), VERSION("2.11"), VERSION("2.10"), VERSION("2.9"),
    VERSION("2.8"), VERSION("2.7"), VERSION("2.6"), VERSION("2.5"), VERSION("2.4"),
    {
        .name = "none",
        .kind = MACHINE_KIND_NONE,
    },
    { .name = "" },
};

const MachineType *machine_types(void)
{
    return types;
}

const MachineType *machine_types_find(const char *name)
{
    for (const MachineType *type = types; *type->name; type++) {
        if (strcmp(type->name, name) == 0 ||
            (*type->alias && strcmp(type->alias, name) == 0))
            return type;
    }
    return NULL;
}

const char *machine_types_description(const MachineType *type)
{
    switch (type->kind) {
    case MACHINE_KIND_NONE:
        return "no machine, for clients that ask what there is";
    case MACHINE_KIND_Q35:
        return "PCI Express server machine";
    }
    g_assert_not_reached();
}

const char *machine_types_ram_id(const MachineType *type)
{
    return type->kind == MACHINE_KIND_Q35 ? "pc.ram" : NULL;
}

bool machine_types_is_before(const MachineType *type, unsigned major, unsigned minor)
{
    unsigned type_major, type_minor;

    if (!type->is_of_qemu ||
        sscanf(type->name, PREFIX "%u.%u", &type_major, &type_minor) != 2)
        return false;
    return type_major < major || (type_major == major && type_minor < minor);
}

const char *machine_types_absent(const char *name)
{
    if (g_str_has_prefix(name, PREFIX))
        return "the machine is 'q35', also by the names of QEMU's releases";
    if (strcmp(name, "pc") == 0 || g_str_has_prefix(name, "pc-") ||
        strcmp(name, "isapc") == 0)
        return "the machine is 'q35', which has PCI Express";
    return "the machine is 'q35'";
}
