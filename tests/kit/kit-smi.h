/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware that agrees with the board on features of system management interrupts, by
 * files of fw_cfg, on the fake hypervisor.
 */
#pragma once

#include "berth/machine.h"

/* Selects file @name and returns its key, 0 when there is none. */
uint16_t kit_smi_select(Machine *machine, const char *name);
/* The next @size bytes (up to 4) of what is selected, big-endian. */
uint32_t kit_smi_read(Machine *machine, unsigned size);
/* The features that there are. */
uint64_t kit_smi_supported(Machine *machine);
/* Asks for @features, by a descriptor in guest memory; whether they are agreed on. */
bool kit_smi_negotiate(Machine *machine, uint64_t features);
