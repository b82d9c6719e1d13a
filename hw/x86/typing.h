/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that are pressed and let go one after the other, in the time of the machine.  What
 * waits is no part of the saved state.  Main only, under the device's lock.
 */
#pragma once

#include "berth/device-timer.h"

/* Presses and releases that may wait. */
#define TYPING_MAX 1024u

typedef void TypingFn(void *opaque, uint8_t number, bool down);

typedef struct Typing {
    DeviceClock clock;
    DeviceTimer timer;
    TypingFn *fn;
    void *opaque;
    GArray *strokes;            /* NULL: none wait */
    guint next;
    int64_t not_before_ns;      /* of the clock */
} Typing;

void typing_init(Typing *typing, Device *dev, TypingFn *fn, void *opaque);
/* Without the lock. */
void typing_done(Typing *typing);
void typing_pause(Typing *typing);
void typing_resume(Typing *typing);

/*
 * Presses @n keys, lets them go in the other order, and waits @hold_ms after each; after
 * those that wait.  False with @error when too many do.
 */
bool typing_add(Typing *typing, const uint8_t *numbers, size_t n, uint32_t hold_ms,
                GError **error);
