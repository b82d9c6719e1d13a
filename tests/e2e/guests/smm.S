/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In system management mode: a handler at the default SMBASE (Intel SDM volume 3, 31.5)
 * reads memory that is hidden outside of the mode, the last MiB of 64 (TSEG).  A line
 * each time, of hexadecimal bytes: what is read outside, what the handler has read, and
 * how often it ran.
 *
 *     the memory is hidden, an SMI            ff 42 01
 *     another one, after a write outside      ff 43 02
 *     locked, after attempts to open it       ff 44 03
 *
 * Without the mode nothing is hidden and no handler runs.
 */
#include "pvh.inc"

    .equ TSEG, 0x3f00000
    .equ HANDLER, 0x38000
    .equ APM_CNT, 0xb2
    .equ SMI_EN, 0x630
    .equ SMRAM, 0x8000009c          /* configuration address; its bytes 1 and 2 */

    .macro config byte, value
    movw $0xcf8, %dx
    movl $SMRAM, %eax
    outl %eax, %dx
    movw $(0xcfc + \byte), %dx
    movb $\value, %al
    outb %al, %dx
    .endm

    .macro interrupt
    movb $0x77, %al
    outb %al, $APM_CNT
    .endm

    .globl start
start:
    movl $stack_top, %esp
    movl $handler, %esi
    movl $HANDLER, %edi
    movl $(handler_end - handler), %ecx
    cld
    rep movsb
    movb $0x42, TSEG
    config 2, 0x01                  /* T_EN, 1 MiB */
    config 1, 0x08                  /* G_SMRAME */
    movw $SMI_EN, %dx
    movl $0x21, %eax                /* GBL_SMI_EN, APMC_EN */
    outl %eax, %dx
    interrupt
    call line

    movb $0x13, TSEG
    interrupt
    call line

    config 1, 0x18                  /* D_LCK */
    config 2, 0x00
    config 1, 0x40                  /* D_OPEN */
    interrupt
    call line
    debug_exit $0
    halt

line:
    movb TSEG, %bl
    call byte
    put $' '
    movb seen, %bl
    call byte
    put $' '
    movb count, %bl
    call byte
    put $'\n'
    ret

/* %bl in two digits. */
byte:
    movb %bl, %cl
    shrb $4, %cl
    call digit
    movb %bl, %cl
digit:
    andl $15, %ecx
    movb digits(%ecx), %al
    movw $COM1, %dx
    outb %al, %dx
    ret

digits:
    .ascii "0123456789abcdef"

/* Runs at HANDLER, in real mode with segments of 4 GiB. */
    .code16
handler:
    movl $TSEG, %ebx
    movb (%ebx), %al
    incb (%ebx)
    movl $seen, %ebx
    movb %al, (%ebx)
    movl $count, %ebx
    incb (%ebx)
    rsm
handler_end:

    .bss
seen:
    .byte 0
count:
    .byte 0
