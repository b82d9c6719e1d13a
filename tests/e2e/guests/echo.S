/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes 'B', then echoes what the serial port receives.  Some bytes are orders:
 * 'X' ends the VMM with 15, 'R' resets by port 0xcf9, 'T' makes a triple fault,
 * 'H' halts with interrupts off, 'S' spins, 'F' writes 80 KiB of it without a look at
 * the port's state.
 */
#include "pvh.inc"

    .globl start
start:
    put $'B'
next:
    movw $COM1_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jz next
    movw $COM1, %dx
    inb %dx, %al
    outb %al, %dx
    cmpb $'X', %al
    je exit
    cmpb $'R', %al
    je reset
    cmpb $'T', %al
    je triple_fault
    cmpb $'H', %al
    je sleep
    cmpb $'S', %al
    je spin
    cmpb $'F', %al
    je flood
    jmp next

exit:
    debug_exit $7
reset:
    movw $0xcf9, %dx
    movb $0x06, %al
    outb %al, %dx
sleep:
    halt
flood:
    movl $(80 * 1024), %ecx
1:  outb %al, %dx
    decl %ecx
    jnz 1b
    jmp next
spin:
    jmp spin
triple_fault:
    lidt no_idt
    ud2

    .balign 8
no_idt:
    .word 0
    .long 0
