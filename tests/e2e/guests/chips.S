/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes interrupts by each way that a PC has, then sleeps.  It writes
 *     'p' for ticks of the PIT by way of the PIC (ExtINT),
 *     'i' for ticks by way of the IOAPIC, as edges,
 *     'l' for level-triggered interrupts of the serial port, one more while the line stays
 *         high, and none when it has fallen,
 *     'n' for a masked interrupt that did not come,
 * and '.' when it is done.  Then it echoes, by the serial port's interrupt, what is typed.
 *
 * Handlers go back by a jump, for the emulator of a software KVM has no IRET of 32 bits.
 */
#include "pvh.inc"

    .equ IDT, 0x9000
    .equ COUNT, 0x8000
    .equ TICKS, 5
    .equ VECTOR_PIT_PIC, 0x20
    .equ VECTOR_PIT_IOAPIC, 0x40
    .equ VECTOR_SERIAL, 0x41
    .equ VECTOR_SPURIOUS, 0xff

    .equ APIC_EOI, 0xfee000b0
    .equ APIC_SPIV, 0xfee000f0
    .equ APIC_LVT0, 0xfee00350
    .equ IOAPIC_SELECT, 0xfec00000
    .equ IOAPIC_WINDOW, 0xfec00010
    .equ PIN_PIT, 0x14
    .equ PIN_SERIAL, 0x18
    .equ MASKED, 0x10000
    .equ LEVEL, 0x8000

    .macro out_byte port, value
    movw \port, %dx
    movb \value, %al
    outb %al, %dx
    .endm

    /*
     * A software KVM tells of the end when it next leaves its emulator: not in a HLT, but
     * for a port.
     */
    .macro apic_eoi
    movl $0, APIC_EOI
    outb %al, $0x80
    .endm

    .macro gate vector, handler
    movl $\handler, %eax
    movw %ax, IDT + 8 * \vector
    movw $0x10, IDT + 8 * \vector + 2
    shrl $16, %eax
    movw $0x8e00, IDT + 8 * \vector + 4
    movw %ax, IDT + 8 * \vector + 6
    .endm

    .macro ioapic index, value
    movl $\index, IOAPIC_SELECT
    movl \value, IOAPIC_WINDOW
    .endm

    /* Sleeps until the handlers have counted @n. */
    .macro wait_count n
    movl $0, COUNT
    movl $9f, after
9:  movl $stack_top, %esp
    cli
    cmpl $\n, COUNT
    jae 8f
    sti
    hlt
    jmp 9b
8:
    .endm

    .globl start
start:
    lidt idt
    gate VECTOR_PIT_PIC, on_pit_pic
    gate VECTOR_PIT_IOAPIC, on_apic
    gate VECTOR_SERIAL, on_serial
    gate VECTOR_SPURIOUS, on_spurious
    movl $0x1ff, APIC_SPIV
    movl $0x700, APIC_LVT0

by_pic:
    out_byte $0x20, $0x11
    out_byte $0x21, $VECTOR_PIT_PIC
    out_byte $0x21, $4
    out_byte $0x21, $1
    out_byte $0xa0, $0x11
    out_byte $0xa1, $0x28
    out_byte $0xa1, $2
    out_byte $0xa1, $1
    out_byte $0xa1, $0xff
    out_byte $0x21, $0xfe
    out_byte $0x43, $0x34
    out_byte $0x40, $0x00
    out_byte $0x40, $0x08
    wait_count TICKS
    out_byte $0x21, $0xff
    put $'p'

by_ioapic:
    ioapic PIN_PIT + 1, $0
    ioapic PIN_PIT, $VECTOR_PIT_IOAPIC
    wait_count TICKS
    ioapic PIN_PIT, $(MASKED | VECTOR_PIT_IOAPIC)
    out_byte $0x43, $0x30
    put $'i'

/* The transmitter is empty, so its interrupt's line is high until IIR is read. */
by_level:
    ioapic PIN_SERIAL + 1, $0
    ioapic PIN_SERIAL, $(LEVEL | VECTOR_SERIAL)
    movb $0, silence
    out_byte $(COM1 + 4), $8
    out_byte $(COM1 + 1), $2
    wait_count 3
    put $'l'

/* Masked with the line high: nothing.  A pause lets one that is on its way come. */
    ioapic PIN_SERIAL, $(MASKED | LEVEL | VECTOR_SERIAL)
    movl $0, COUNT
    movl $1f, after
    sti
    movl $2000, %ecx
1:  pause
    decl %ecx
    jnz 1b
    cli
    cmpl $1, COUNT
    ja failed
    put $'n'

/* What is typed comes back. */
    out_byte $(COM1 + 1), $1
    movb $1, silence
    ioapic PIN_SERIAL, $(LEVEL | VECTOR_SERIAL)
    put $'.'
    movl $1f, after
1:  movl $stack_top, %esp
    sti
    hlt
    jmp 1b

failed:
    put $'!'
    halt

on_pit_pic:
    incl COUNT
    out_byte $0x20, $0x20
    jmp *after

on_apic:
    incl COUNT
    apic_eoi
    jmp *after

/* Reads what came, if anything did; else silences nothing, unless told to. */
on_serial:
    incl COUNT
    cmpb $0, silence
    je 2f
    movw $COM1_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jz 2f
    movw $COM1, %dx
    inb %dx, %al
    outb %al, %dx
2:  cmpl $3, COUNT
    jb 3f
    movw $(COM1 + 2), %dx
    inb %dx, %al
3:  apic_eoi
    jmp *after

on_spurious:
    put $'s'
    jmp *after

    .balign 8
idt:
    .word 8 * 256 - 1
    .long IDT

    .data
after:
    .long 0
silence:
    .byte 0
