/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine on the fake hypervisor and one session of the monitor for people, for tests:
 * a line goes in, its text comes out.
 */
#pragma once

#include "berth/char-set.h"
#include "berth/hmp.h"
#include "berth/machine.h"

typedef struct HmpBench {
    Loop *loop;
    CharSet *chars;
    FdSets *fdsets;
    QmpEvents *events;
    Cmdline *cmdline;
    Machine *machine;
    GPtrArray *monitors;        /* none */
    QmpContext ctx;
    void *session;
    GString *late;              /* what came after feed() */
    int passed_fd;              /* with the next line; -1: none */
} HmpBench;

/* The machine that @words (of the command line, ended by NULL) describe, stopped. */
void hmp_bench_init(HmpBench *bench, const char *const *words);
void hmp_bench_done(HmpBench *bench);

/* Ends the session and begins another. */
void hmp_bench_restart(HmpBench *bench);

/* Feeds bytes; appends what the terminal gets. */
void hmp_bench_feed(HmpBench *bench, const void *data, size_t size, GString *out);
/* The same of a text, as a new one; the caller frees. */
char *hmp_bench_type(HmpBench *bench, const char *keys);

/*
 * Enters @line and waits for the prompt: what is said in between, with LF at the end of
 * lines.  The caller frees.
 */
char *hmp_bench_ask(HmpBench *bench, const char *line);
