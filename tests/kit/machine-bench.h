/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole machine and what a host gives it, for tests that look into one.
 */
#pragma once

#include "berth/char-set.h"
#include "berth/machine.h"

typedef struct MachineBench {
    Loop *loop;
    CharSet *chars;
    QmpEvents *events;
    Cmdline *cmdline;           /* NULL when it is refused */
    Machine *machine;           /* NULL when it is refused, or not made yet */
} MachineBench;

/* Reads @n words of a command line; false with @error, and only done() is left. */
bool machine_bench_init(MachineBench *bench, char *const *words, size_t n,
                        GError **error);
/* Makes the machine on @vm, which is taken. */
bool machine_bench_make(MachineBench *bench, Vm *vm, GError **error);
void machine_bench_done(MachineBench *bench);
