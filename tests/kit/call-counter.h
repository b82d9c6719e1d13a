/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls of this thread, counted by the kernel's own gate (syscall user dispatch):
 * all of them, whoever makes them.
 */
#pragma once

#include <stdbool.h>

/* False: they cannot be counted here.  Nothing is counted until it is switched on. */
bool call_counter_begin(void);
void call_counter_end(void);
/* Counts from now on, or not.  Returns whether it did. */
bool call_counter_switch(bool on);
/* One more, that the test makes itself. */
void call_counter_add(void);
/* How many since the last time. */
unsigned call_counter_take(void);
