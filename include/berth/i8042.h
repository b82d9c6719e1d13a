/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard controller of a PC, a PS/2 keyboard and a PS/2 mouse.
 */
#pragma once

#include "berth/device.h"

typedef enum I8042Button {
    I8042_BUTTON_LEFT = 0x01,
    I8042_BUTTON_RIGHT = 0x02,
    I8042_BUTTON_MIDDLE = 0x04,
    I8042_BUTTON_SIDE = 0x08,
    I8042_BUTTON_EXTRA = 0x10,
} I8042Button;

/* Main only. */

/* Adds "/machine/kbc" with ports 0x60, 0x64, 0x92 and interrupts 1 and 12. */
Device *i8042_add(DeviceTree *tree, GError **error);
/* NULL: the machine has none. */
Device *i8042_find(DeviceTree *tree);

/*
 * Presses @n keys by their numbers (see i8042_key()), one after the other, and lets them
 * go in the other order, each @hold_ms of the machine's time after the one before, and
 * after those that wait.  A machine that stands sees them when it goes on.  False with
 * @error when too many wait.
 */
bool i8042_type(Device *dev, const uint8_t *numbers, size_t n, uint32_t hold_ms,
                GError **error);

/*
 * Somebody is at the keyboard and the mouse; the tree is not paused.  What the guest has
 * not asked for, or does not read, is lost.
 */

/* The key with code @number in set 1, 0x80 added to those with the prefix 0xe0. */
void i8042_key(Device *dev, uint8_t number, bool down);
/* To the right, down, and the wheel towards the hand. */
void i8042_mouse_move(Device *dev, int64_t dx, int64_t dy, int64_t dz);
void i8042_mouse_button(Device *dev, I8042Button button, bool down);
