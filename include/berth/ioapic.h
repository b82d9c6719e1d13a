/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC of the ICH9, in user space.
 */
#pragma once

#include "berth/device.h"

/* Main only. */

/*
 * Adds "/machine/ioapic" at X86_IOAPIC_BASE and connects it to the board's Vm, which is
 * one with chips in user space.
 */
Device *ioapic_add(DeviceTree *tree, GError **error);
