/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board of the q35 machine: what is soldered on, and what firmware would do.  Main
 * only.
 */
#pragma once

#include "berth/machine.h"

/* Whether the interval timer drops the ticks that the guest took too late. */
bool machine_q35_pit_discards(const Cmdline *cmdline);

/* Adds the board's own devices; machine->board, memory and topology are there. */
bool machine_q35_init(Machine *machine, GError **error);
/* What needs all devices of the command line to be there. */
bool machine_q35_complete(Machine *machine, GError **error);
/* After the device tree is gone.  Accepts NULL. */
void machine_q35_free(Q35Board *board);

/*
 * What firmware does at power-on: gives PCI functions their resources, writes the SMBIOS
 * and ACPI tables, loads the kernel.  The devices are reset, the vCPUs paused.  Without a
 * kernel *@boot stays.
 */
bool machine_q35_load(Machine *machine, VcpuBoot *boot, GError **error);

/*
 * What firmware does when a machine wakes from S3: gives PCI functions their resources
 * and *@boot the guest's waking vector.  The devices are as in sleep, the vCPUs paused.
 * False with @error when there is no such vector.
 */
bool machine_q35_wake(Machine *machine, BoardWakeReason reason, VcpuBoot *boot,
                      GError **error);

/*
 * Before the vCPUs run: a guest that has not run yet is told of the vCPUs that there are
 * now, its firmware of the devices to boot from, too.
 */
void machine_q35_refresh(Machine *machine);

/* The device that is vCPU @index; NULL when it is there from the start, or not at all. */
Device *machine_q35_vcpu_device(const Machine *machine, unsigned index);
/* What the guest told of places for vCPUs; the caller frees. */
ACPIOSTInfoList *machine_q35_ost(const Machine *machine);

/* Presses the power button. */
void machine_q35_power_button(Q35Board *board);
