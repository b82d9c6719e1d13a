/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads KVM's clock and the TSC for ever (Linux, Documentation/virt/kvm/x86/msr.rst), and
 * answers each byte that is typed with a line of hexadecimal numbers:
 *
 *     nanoseconds TSC went-back told-of-stops
 *
 * where went-back counts the readings of either that were less than the one before, and
 * the last how often the host said that it had stopped the guest.
 */
#include <stdint.h>

#include "flat.h"
#include "hardware.h"

#define MSR_SYSTEM_TIME 0x4b564d01u
#define GUEST_STOPPED 2

typedef struct Clock {
    uint32_t version;
    uint32_t pad;
    uint64_t tsc;
    uint64_t ns;
    uint32_t mul;
    int8_t shift;
    uint8_t flags;
    uint8_t pad2[2];
} Clock;

static volatile Clock page __attribute__((aligned(64)));

static uint64_t scale(uint64_t ticks, uint32_t mul, int shift)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return ((uint64_t)(uint32_t)ticks * mul >> 32) + (ticks >> 32) * mul;
}

static uint64_t read_clock(uint64_t *ret_tsc)
{
    uint32_t version;
    uint64_t ns;

    do {
        version = page.version;
        *ret_tsc = read_tsc();
        ns = page.ns + scale(*ret_tsc - page.tsc, page.mul, page.shift);
    } while ((version & 1) || version != page.version);
    return ns;
}

static void write_number(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        out8(COM1, (uint8_t)"0123456789abcdef"[value >> shift & 15]);
}

void run(void)
{
    uint64_t last_ns = 0, last_tsc = 0;
    uint32_t went_back = 0, stops = 0;

    write_msr(MSR_SYSTEM_TIME, (uintptr_t)&page | 1);
    out8(COM1, '!');
    for (;;) {
        /* What is asked after a stop is answered by a look after it. */
        int is_asked = in8(COM1_STATUS) & 1;
        uint64_t tsc, ns = read_clock(&tsc);

        went_back += ns < last_ns || tsc < last_tsc;
        last_ns = ns;
        last_tsc = tsc;
        if (page.flags & GUEST_STOPPED) {
            page.flags &= (uint8_t)~GUEST_STOPPED;
            stops++;
        }
        if (!is_asked)
            continue;
        in8(COM1);
        write_number(ns);
        out8(COM1, ' ');
        write_number(tsc);
        out8(COM1, ' ');
        write_number(went_back);
        out8(COM1, ' ');
        write_number(stops);
        out8(COM1, '\n');
    }
}
