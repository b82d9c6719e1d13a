/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's vCPUs together.  Main only, but where it says otherwise.
 */
#pragma once

#include "berth/machine.h"

/*
 * Makes machine->topology.cpus vCPUs, paused; on failure machine_vcpus_done() cleans
 * up.
 */
bool machine_vcpus_init(Machine *machine, GError **error);
void machine_vcpus_done(Machine *machine);

/* vCPU @index, which is not there, comes: at power-on, and running when the others do. */
bool machine_vcpus_add(Machine *machine, unsigned index, GError **error);
/* It goes, whatever it is at. */
void machine_vcpus_remove(Machine *machine, unsigned index);

/* Returns when no vCPU is in the guest. */
void machine_vcpus_pause(Machine *machine);
void machine_vcpus_resume(Machine *machine);
/* The edge of the NMI line, which all share. */
void machine_vcpus_inject_nmi(Machine *machine);
/* All to power-on, the first as @boot says. */
bool machine_vcpus_reset(Machine *machine, const VcpuBoot *boot, GError **error);

/* Any thread: asks all to leave the guest, and returns. */
void machine_vcpus_request_pause(Machine *machine);
