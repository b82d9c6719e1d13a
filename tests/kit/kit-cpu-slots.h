/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's slots of vCPUs: a machine with vCPUs 0 and 1 and places for 2 and 3, of which 2
 * comes as "c2".
 */
#pragma once

#include "berth/x86-layout.h"

#include "kit-slots.h"

#define SELECT X86_PORT_CPUHP
#define STATUS (X86_PORT_CPUHP + 4)
#define COMMAND (X86_PORT_CPUHP + 5)
#define SMI (X86_PORT_CPUHP + 6)
#define DATA (X86_PORT_CPUHP + 8)

#define TYPE "host-x86_64-cpu"
#define CPU2 "'socket-id': 1, 'core-id': 0, 'thread-id': 0}"
#define ADD_CPU2 "{'driver': '" TYPE "', 'id': 'c2', " CPU2
#define DEL_CPU2 "{'id': 'c2'}"

#define MACHINE \
    "-nodefaults", "-m", "64", "-kernel", "tests/fuzz/seeds/kernel/elf64", "-smp", \
    "2,maxcpus=4,sockets=2,cores=2"

extern const KitSlotsKind kit_cpu_slots;
