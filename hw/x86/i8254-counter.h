/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One counter of the i8254.  Times are those of the device's clock; whoever owns the
 * counter serialises access.
 */
#pragma once

#include "berth/vmstate.h"

#define I8254_NEVER INT64_MAX

typedef struct I8254Counter {
    uint8_t mode;
    uint8_t access;
    bool bcd;
    bool gate;
    bool has_count;
    bool runs;                  /* counts */
    uint32_t count;             /* from which it counts down: 1 to 65536 */
    int64_t begin_ns;
    int64_t held_ns;
    uint8_t low;                /* the first byte of a count that is written in two */
    bool low_written;
    bool low_read;
    uint8_t n_latched;          /* bytes of @latched that are still to be read */
    uint16_t latched;
    bool has_status;
    uint8_t status;
} I8254Counter;

extern const VMStateDesc i8254_counter_vmstate;

void i8254_counter_reset(I8254Counter *c, bool gate);

/* A control word for this counter, which is not a latch command: no count is left. */
void i8254_counter_program(I8254Counter *c, uint8_t control);
/* Returns true when it was the last byte of a count, which is counted from now on. */
bool i8254_counter_write(I8254Counter *c, int64_t now_ns, uint8_t value);
uint8_t i8254_counter_read(I8254Counter *c, int64_t now_ns);
/* No effect while something is latched. */
void i8254_counter_latch(I8254Counter *c, int64_t now_ns);
void i8254_counter_latch_status(I8254Counter *c, int64_t now_ns);
void i8254_counter_set_gate(I8254Counter *c, int64_t now_ns, bool gate);
bool i8254_counter_output(const I8254Counter *c, int64_t now_ns);

/*
 * Rising edges of the output since the count was written, of a counter whose gate is
 * always open; at most 5000 a second.
 */
uint64_t i8254_counter_edges(const I8254Counter *c, int64_t now_ns);
/* When edge @n, counted from 0, comes; I8254_NEVER when it does not. */
int64_t i8254_counter_edge_ns(const I8254Counter *c, uint64_t n);
