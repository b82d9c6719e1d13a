/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests in C that take orders by the serial port: the way to 64-bit mode at CPL 3, where
 * a software KVM runs them without emulation, and words and numbers.  What includes this
 * has a function run(), which does not return.
 *
 * An order is a line: an operation, how much is under way at once, the bytes of one, the
 * length of the run in ticks of the TSC.  It is answered by a line: what was done, ticks
 * that passed, what failed, the TSC.  The guest writes 'R' and a new line when it is
 * ready for them.
 */
#ifndef GUEST_ORDERS_H
#define GUEST_ORDERS_H

#include "hardware.h"

/*
 * From 32 bits to 64, 4 GiB at their own addresses, then to CPL 3 with all ports open: by
 * the map of the TSS, since a software KVM may drop IOPL on the way.
 */
__asm__(".section .note.pvh, \"a\", @note\n"
        ".balign 4\n"
        ".long 4, 8, 18\n"
        ".asciz \"Xen\"\n"
        ".quad start\n"
        ".text\n"
        ".code32\n"
        ".globl start\n"
        "start:\n"
        "    movl $stack_top, %esp\n"
        "    movl %ebx, start_info\n"
        "    movl $(pdpt + 7), pml4\n"
        "    movl $(pd + 7), %eax\n"
        "    xorl %ecx, %ecx\n"
        "1:  movl %eax, pdpt(,%ecx,8)\n"
        "    addl $0x1000, %eax\n"
        "    incl %ecx\n"
        "    cmpl $4, %ecx\n"
        "    jne 1b\n"
        "    movl $0x87, %eax\n"
        "    xorl %ecx, %ecx\n"
        "1:  movl %eax, pd(,%ecx,8)\n"
        "    addl $0x200000, %eax\n"
        "    incl %ecx\n"
        "    cmpl $2048, %ecx\n"
        "    jne 1b\n"
        "    movl $0x620, %eax\n"               /* PAE, OSFXSR, OSXMMEXCPT */
        "    movl %eax, %cr4\n"
        "    movl $pml4, %eax\n"
        "    movl %eax, %cr3\n"
        "    movl $0xc0000080, %ecx\n"          /* EFER.LME */
        "    movl $0x100, %eax\n"
        "    xorl %edx, %edx\n"
        "    wrmsr\n"
        "    movl $0x80000001, %eax\n"
        "    movl %eax, %cr0\n"
        "    movl $tss, %eax\n"
        "    movw %ax, gdt + 42\n"
        "    shrl $16, %eax\n"
        "    movb %al, gdt + 44\n"
        "    movb %ah, gdt + 47\n"
        "    lgdt gdt_pointer\n"
        "    ljmp $8, $1f\n"
        ".code64\n"
        "1:  movl $0x28, %eax\n"
        "    ltr %ax\n"
        "    movl $0x23, %eax\n"
        "    movw %ax, %ds\n"
        "    movw %ax, %es\n"
        "    pushq $0x23\n"
        "    pushq $stack_top\n"
        "    pushq $0x3002\n"
        "    pushq $0x1b\n"
        "    pushq $run\n"
        "    iretq\n"
        ".data\n"
        ".balign 8\n"
        "gdt:\n"
        "    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
        "    .quad 0x00affb000000ffff, 0x00cff3000000ffff\n"
        "    .quad 0x0000890000002068, 0\n"
        "gdt_pointer:\n"
        "    .word . - gdt - 1\n"
        "    .long gdt\n"
        "tss:\n"
        "    .fill 102, 1, 0\n"
        "    .word 104\n"                       /* where the map of ports begins */
        "    .fill 8192, 1, 0\n"
        "    .byte 0xff\n"
        "    .globl start_info\n"
        "start_info: .quad 0\n"
        ".bss\n"
        ".balign 4096\n"
        "pml4: .space 4096\n"
        "pdpt: .space 4096\n"
        "pd: .space 16384\n"
        ".space 16384\n"
        "stack_top: .space 16\n"
        ".text\n");

extern const uint64_t start_info;
__attribute__((noreturn, used)) static void run(void);

static inline void say_number(uint64_t value)
{
    char digits[20];
    int n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n > 0)
        say(digits[--n]);
}

static inline char hear(void)
{
    while (!(in8(COM1 + 5) & 1))
        ;
    return (char)in8(COM1);
}

static inline uint64_t hear_number(void)
{
    uint64_t value = 0;
    char c;

    while ((c = hear()) >= '0')
        value = 10 * value + (uint64_t)(c - '0');
    return value;
}

typedef struct Job {
    char op;
    uint32_t depth;
    uint32_t bytes;
    uint64_t ticks;
    uint64_t n_done;
    uint64_t n_failed;
} Job;

/* Does a job and returns the ticks that it took. */
typedef uint64_t WorkFn(Job *job);

/* For ever; what is 't', or beyond the limits, is answered and not done. */
__attribute__((noreturn)) static inline void take_orders(uint32_t, uint32_t, WorkFn *);

static inline void take_orders(uint32_t max_depth, uint32_t max_bytes, WorkFn *work)
{
    say('R');
    say('\n');
    for (;;) {
        Job job = { .op = hear() };
        uint64_t passed = 0;

        hear();
        job.depth = (uint32_t)hear_number();
        job.bytes = (uint32_t)hear_number();
        job.ticks = hear_number();
        if (job.op != 't' && job.depth <= max_depth && job.bytes <= max_bytes)
            passed = work(&job);
        say_number(job.n_done);
        say(' ');
        say_number(passed);
        say(' ');
        say_number(job.n_failed);
        say(' ');
        say_number(read_tsc());
        say('\n');
    }
}

static inline void set_address(uint64_t at, const volatile void *address)
{
    set32(at, (uint32_t)(uint64_t)address);
    set32(at + 4, 0);
}

#endif
