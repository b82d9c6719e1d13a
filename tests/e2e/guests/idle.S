/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two vCPUs that sleep: the first starts the second by INIT and SIPI through the local APIC,
 * each writes its letter ('H', then 'A'), both halt with interrupts off.
 */
#include "pvh.inc"

    .equ TRAMPOLINE, 0x8000
    .equ APIC_BASE_MSR, 0x1b
    .equ APIC_ICR_LOW, 0xfee00300
    .equ INIT_ALL_BUT_SELF, 0xc4500
    .equ SIPI_ALL_BUT_SELF, 0xc4600 + (TRAMPOLINE >> 12)

    .globl start
start:
    put $'H'
    movl $trampoline, %esi
    movl $TRAMPOLINE, %edi
    movl $(trampoline_end - trampoline), %ecx
    rep movsb
    movl $INIT_ALL_BUT_SELF, APIC_ICR_LOW
    movl $SIPI_ALL_BUT_SELF, APIC_ICR_LOW
    halt

    .code16
trampoline:
    movw $COM1, %dx
    movb $'A', %al
    outb %al, %dx
    halt
trampoline_end:
