/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what it was started with, in lines: "magic X", "cmdline TEXT", "module SIZE BYTES"
 * (its first 8), "ram BASE SIZE" for each entry of the memory map with type 1, "end".
 * Numbers are 16 hex digits.
 */
#include "pvh.inc"

    .equ INFO_MAGIC, 0
    .equ INFO_NR_MODULES, 12
    .equ INFO_MODULES, 16
    .equ INFO_CMDLINE, 24
    .equ INFO_MEMMAP, 40
    .equ INFO_MEMMAP_ENTRIES, 48

    .globl start
start:
    movl $stack_top, %esp
    movl $text_magic, %esi
    call write_text
    movl INFO_MAGIC(%ebx), %eax
    xorl %edx, %edx
    call write_number
    movl $text_cmdline, %esi
    call write_text
    movl INFO_CMDLINE(%ebx), %esi
    testl %esi, %esi
    jz 1f
    call write_text
1:  cmpl $0, INFO_NR_MODULES(%ebx)
    je memory
    movl $text_module, %esi
    call write_text
    movl INFO_MODULES(%ebx), %ebp
    movl 8(%ebp), %eax
    movl 12(%ebp), %edx
    call write_number
    movl (%ebp), %ebp
    movl (%ebp), %eax
    movl 4(%ebp), %edx
    call write_number
memory:
    movl INFO_MEMMAP(%ebx), %ebp
    movl INFO_MEMMAP_ENTRIES(%ebx), %ecx
entry:
    jecxz end
    cmpl $1, 16(%ebp)
    jne 1f
    movl $text_ram, %esi
    call write_text
    movl (%ebp), %eax
    movl 4(%ebp), %edx
    call write_number
    movl 8(%ebp), %eax
    movl 12(%ebp), %edx
    call write_number
1:  addl $24, %ebp
    decl %ecx
    jmp entry
end:
    movl $text_end, %esi
    call write_text
    debug_exit $0
    halt

/* Writes the text at %esi up to its zero. */
write_text:
    lodsb
    testb %al, %al
    jz 1f
    movw $COM1, %dx
    outb %al, %dx
    jmp write_text
1:  ret

/* Writes a blank and %edx:%eax in hex. */
write_number:
    pushl %ecx
    movl %edx, %edi
    movl %eax, %esi
    put $' '
    movl $16, %ecx
1:  shldl $4, %edi, %eax
    shldl $4, %esi, %edi
    shll $4, %esi
    andl $15, %eax
    movb digits(%eax), %al
    movw $COM1, %dx
    outb %al, %dx
    loop 1b
    popl %ecx
    ret

digits:         .ascii "0123456789abcdef"
text_magic:     .asciz "magic"
text_cmdline:   .asciz "\ncmdline "
text_module:    .asciz "\nmodule"
text_ram:       .asciz "\nram"
text_end:       .asciz "\nend\n"
