/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes 't' for each tick of the PIT, 50 a second, that comes by the IOAPIC.  When 'w' is
 * typed it writes 'w' and takes no interrupts until something else is typed, and writes
 * 'r' then.
 *
 * The handler goes back by a jump, for the emulator of a software KVM has no IRET of 32
 * bits, which tells of the end of an interrupt when it next leaves for a port.
 */
#include "pvh.inc"

    .equ IDT, 0x9000
    .equ VECTOR, 0x40
    .equ COUNT, 1193182 / 50

    .equ APIC_EOI, 0xfee000b0
    .equ APIC_SPIV, 0xfee000f0
    .equ APIC_LVT0, 0xfee00350
    .equ MASKED, 0x10000
    .equ IOAPIC_SELECT, 0xfec00000
    .equ IOAPIC_WINDOW, 0xfec00010
    .equ PIN_PIT, 0x14

    .globl start
start:
    lidt idt
    movl $on_tick, %eax
    movw %ax, IDT + 8 * VECTOR
    movw %cs, IDT + 8 * VECTOR + 2
    shrl $16, %eax
    movw $0x8e00, IDT + 8 * VECTOR + 4
    movw %ax, IDT + 8 * VECTOR + 6
    movl $0x1ff, APIC_SPIV
    movl $MASKED, APIC_LVT0         /* the PIC's */
    movl $(PIN_PIT + 1), IOAPIC_SELECT
    movl $0, IOAPIC_WINDOW
    movl $PIN_PIT, IOAPIC_SELECT
    movl $VECTOR, IOAPIC_WINDOW
    movb $0x34, %al
    outb %al, $0x43
    movb $(COUNT & 0xff), %al
    outb %al, $0x40
    movb $(COUNT >> 8), %al
    outb %al, $0x40

next:
    movl $stack_top, %esp
    call typed
    cmpb $'w', %al
    je withhold
    sti
    hlt

on_tick:
    movl $0, APIC_EOI
    put $'t'
    jmp next

withhold:
    put $'w'
1:  call typed
    testb %al, %al
    jz 1b
    put $'r'
    jmp next

/* What was typed, in %al; 0 for nothing. */
typed:
    movw $COM1_STATUS, %dx
    inb %dx, %al
    andb $1, %al
    jz 1f
    movw $COM1, %dx
    inb %dx, %al
1:  ret

    .balign 8
idt:
    .word 8 * 256 - 1
    .long IDT
