/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of machine.  Tools recognise a q35 by the prefix "pc-q35-".
 */
#include <string.h>

#include "berth/machine.h"

static const MachineType types[] = {
    {
        .name = "pc-q35-berth-1.0",
        .alias = "q35",
        .description = "PCI Express server machine",
        .kind = MACHINE_KIND_Q35,
        .is_default = true,
        .default_ram_id = "pc.ram",
    },
    {
        .name = "none",
        .description = "no machine, for clients that ask what there is",
        .kind = MACHINE_KIND_NONE,
    },
    { .name = NULL },
};

const MachineType *machine_types(void)
{
    return types;
}

const MachineType *machine_types_find(const char *name)
{
    for (const MachineType *type = types; type->name; type++) {
        if (strcmp(type->name, name) == 0 ||
            (type->alias && strcmp(type->alias, name) == 0))
            return type;
    }
    return NULL;
}
