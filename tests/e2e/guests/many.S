/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts all vCPUs there are, in xAPIC or x2APIC mode as it finds its own, and takes
 * orders: '?' writes how many of the others run, as four hexadecimal digits; 'I' sends
 * the last of them a timer interrupt by way of the IOAPIC, and writes 'i' when that one
 * took it (in x2APIC mode only).
 *
 * APIC ids are 0 to the number of the others, as with all vCPUs in one package.
 */
#include "pvh.inc"

    .equ TRAMPOLINE, 0x8000
    .equ RUNNING, 0x7000
    .equ TAKEN, 0x7004
    .equ VECTOR, 0x40

    .equ MSR_APIC_BASE, 0x1b
    .equ MSR_X2APIC_ID, 0x802
    .equ MSR_X2APIC_SPIV, 0x80f
    .equ MSR_X2APIC_ICR, 0x830
    .equ X2APIC, 0x400
    .equ APIC_SPIV, 0xfee000f0
    .equ APIC_ICR_LOW, 0xfee00300
    .equ SPIV_ON, 0x1ff
    .equ INIT_ALL_BUT_SELF, 0xc4500
    .equ SIPI_ALL_BUT_SELF, 0xc4600 + (TRAMPOLINE >> 12)
    .equ IOAPIC_SELECT, 0xfec00000
    .equ IOAPIC_WINDOW, 0xfec00010
    .equ PIN_PIT, 0x14

    .macro out_byte port, value
    movw \port, %dx
    movb \value, %al
    outb %al, %dx
    .endm

    .globl start
start:
    movl $0, RUNNING
    movl $0, TAKEN
    movl $on_timer - trampoline, VECTOR * 4
    addl $(TRAMPOLINE << 12), VECTOR * 4
    movl $trampoline, %esi
    movl $TRAMPOLINE, %edi
    movl $(trampoline_end - trampoline), %ecx
    rep movsb
    movl $MSR_APIC_BASE, %ecx
    rdmsr
    testl $X2APIC, %eax
    jnz 1f
    put $'x'
    movl $INIT_ALL_BUT_SELF, APIC_ICR_LOW
    movl $SIPI_ALL_BUT_SELF, APIC_ICR_LOW
    jmp next
1:  put $'X'
    movl $MSR_X2APIC_ICR, %ecx
    xorl %edx, %edx
    movl $INIT_ALL_BUT_SELF, %eax
    wrmsr
    movl $SIPI_ALL_BUT_SELF, %eax
    wrmsr

next:
    movw $COM1_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jz next
    movw $COM1, %dx
    inb %dx, %al
    cmpb $'?', %al
    je count
    cmpb $'I', %al
    je interrupt
    jmp next

count:
    movl RUNNING, %ebx
    shll $16, %ebx
    movl $4, %ecx
    movw $COM1, %dx
1:  roll $4, %ebx
    movl %ebx, %eax
    andl $15, %eax
    movb digits(%eax), %al
    outb %al, %dx
    loop 1b
    jmp next

/* Bits 8 to 14 of the APIC id are bits 49 to 55 of the entry. */
interrupt:
    movl RUNNING, %eax
    movl %eax, %ebx
    shll $24, %eax
    shrl $8, %ebx
    shll $17, %ebx
    orl %ebx, %eax
    movl $PIN_PIT + 1, IOAPIC_SELECT
    movl %eax, IOAPIC_WINDOW
    movl $PIN_PIT, IOAPIC_SELECT
    movl $VECTOR, IOAPIC_WINDOW
    out_byte $0x43, $0x30
    out_byte $0x40, $0
    out_byte $0x40, $1
1:  pause
    cmpl $1, TAKEN
    jne 1b
    put $'i'
    jmp next

digits:
    .ascii "0123456789abcdef"

    .code16
trampoline:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    movl $MSR_APIC_BASE, %ecx
    rdmsr
    testl $X2APIC, %eax
    jz 1f
    movl $MSR_X2APIC_SPIV, %ecx
    xorl %edx, %edx
    movl $SPIV_ON, %eax
    wrmsr
1:  lock incl RUNNING
2:  sti
    hlt
    jmp 2b

on_timer:
    lock incl TAKEN
3:  cli
    hlt
    jmp 3b
trampoline_end:
