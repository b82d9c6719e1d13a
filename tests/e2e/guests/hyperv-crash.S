/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells of its crash by Hyper-V's registers, with the parameters 0x11, 0x22, ..., 0x55;
 * writes 'C', and resets the machine by Hyper-V's register when it is sent a byte.
 */
#include "pvh.inc"

    .equ GUEST_OS_ID, 0x40000000
    .equ RESET, 0x40000003
    .equ CRASH_P0, 0x40000100
    .equ CRASH_P4, 0x40000104
    .equ CRASH_CTL, 0x40000105
    .equ CRASH_NOTIFY_HIGH, 0x80000000

    .globl start
start:
    movl $GUEST_OS_ID, %ecx
    movl $1, %eax
    xorl %edx, %edx
    wrmsr
    movl $CRASH_P0, %ecx
    movl $0x11, %eax
1:  wrmsr
    addl $0x11, %eax
    incl %ecx
    cmpl $CRASH_P4, %ecx
    jbe 1b
    movl $CRASH_CTL, %ecx
    xorl %eax, %eax
    movl $CRASH_NOTIFY_HIGH, %edx
    wrmsr
    put $'C'
2:  movw $COM1_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jz 2b
    movl $RESET, %ecx
    movl $1, %eax
    xorl %edx, %edx
    wrmsr
    halt
