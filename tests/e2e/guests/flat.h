/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of guests that stay in 32 bits, as PVH enters them (x86/HVM direct boot ABI),
 * and their MSRs.  A guest is its run(); it has a stack, and no interrupts.
 */
#ifndef GUEST_FLAT_H
#define GUEST_FLAT_H

#include <stdint.h>

__asm__(".section .note.pvh, \"a\", @note\n"
        ".balign 4\n"
        ".long 4, 8, 18\n"
        ".asciz \"Xen\"\n"
        ".long start, 0\n"
        ".text\n"
        ".globl start\n"
        "start:\n"
        "    movl $stack_top, %esp\n"
        "    call run\n"
        ".bss\n"
        ".balign 16\n"
        ".space 16384\n"
        "stack_top:\n"
        ".text\n");

__attribute__((noreturn)) void run(void);

static inline uint64_t read_msr(uint32_t msr)
{
    uint64_t value;

    __asm__ volatile("rdmsr" : "=A"(value) : "c"(msr) : "memory");
    return value;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "A"(value) : "memory");
}

#endif
