/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM and the address spaces.  Main only.
 */
#pragma once

#include "berth/acpi.h"
#include "berth/machine.h"

/* Makes the roots and the address spaces; machine->vm is there (or NULL in tests). */
void machine_memory_init(Machine *machine);
/* Finds or makes the object that "-m" and "memory-backend" name, and maps it. */
bool machine_memory_plug(Machine *machine, GError **error);
/* What guest address 0 is in; NULL of a machine without memory. */
RamBlock *machine_memory_first(const Machine *machine);
/* What firmware may have for system management mode at most, in MiB; 0: 8. */
uint16_t machine_memory_extended_tseg(const Machine *machine);
/* The parts of memory of @node, up to two, and their number. */
unsigned machine_memory_of_node(const Machine *machine, unsigned node,
                                AcpiMemory ret_parts[2]);
void machine_memory_done(Machine *machine);
