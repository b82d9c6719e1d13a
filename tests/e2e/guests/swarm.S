/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All vCPUs do the same at once, without an end.  The first starts the others, writes 'H'
 * and waits for a byte, which tells what:
 *     'R', 'K'    reset: port 0xcf9, the keyboard controller
 *     'P'         power off: PM1_CNT
 *     'D'         memory decoding of function 00:01.0 on and off
 *     'V'         bytes to the serial port
 */
#include "pvh.inc"

    .equ TRAMPOLINE, 0x8000
    .equ ORDER, 0x7000
    .equ APIC_ICR_LOW, 0xfee00300
    .equ INIT_ALL_BUT_SELF, 0xc4500
    .equ SIPI_ALL_BUT_SELF, 0xc4600 + (TRAMPOLINE >> 12)
    .equ COMMAND_OF_00_01_0, 0x80000804

    .macro out_forever size, reg, port, value
    movl \value, %eax
    movw \port, %dx
9:  out\size \reg, %dx
    jmp 9b
    .endm

/* The order is in %al. */
    .macro obey
    cmpb $'R', %al
    je 1f
    cmpb $'K', %al
    je 2f
    cmpb $'P', %al
    je 3f
    cmpb $'V', %al
    je 4f
    movl $6, %ecx
5:  movl $COMMAND_OF_00_01_0, %eax
    movw $0xcf8, %dx
    outl %eax, %dx
    movl %ecx, %eax
    movw $0xcfc, %dx
    outw %ax, %dx
    xorl $2, %ecx
    jmp 5b
1:  out_forever b, %al, $0xcf9, $6
2:  out_forever b, %al, $0x64, $0xfe
3:  out_forever w, %ax, $0x604, $0x2000
4:  out_forever b, %al, $COM1, $'v'
    .endm

    .globl start
start:
    movb $0, ORDER
    movl $trampoline, %esi
    movl $TRAMPOLINE, %edi
    movl $(trampoline_end - trampoline), %ecx
    rep movsb
    movl $INIT_ALL_BUT_SELF, APIC_ICR_LOW
    movl $SIPI_ALL_BUT_SELF, APIC_ICR_LOW
    put $'H'
6:  movw $COM1_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jz 6b
    movw $COM1, %dx
    inb %dx, %al
    movb %al, ORDER
    obey

    .code16
trampoline:
    xorw %ax, %ax
    movw %ax, %ds
7:  pause
    movb ORDER, %al
    testb %al, %al
    jz 7b
    obey
trampoline_end:
