/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what the processor says of itself, a line a leaf ("leaf index eax ebx ecx edx")
 * and a line a model-specific register ("msr index high low", or "msr index refused"),
 * then "end".  All numbers are hexadecimal.
 */
#include "pvh.inc"

    .globl start
start:
    movl $stack_top, %esp
    /* One gate, for the fault of an MSR that there is not. */
    movl $fault, %eax
    movw %ax, gate
    shrl $16, %eax
    movw %ax, gate + 6
    movw %cs, %ax
    movw %ax, gate + 2
    lidt idt_pointer

    xorl %esi, %esi
    movl $0x40, %edi
    call range
    movl $0x40000000, %esi
    movl $0x20, %edi
    call range
    movl $0x40000100, %esi
    movl $0x20, %edi
    call range
    movl $0x80000000, %esi
    movl $0x40, %edi
    call range

    movl $msrs, %ebp
1:  movl (%ebp), %ecx
    cmpl $-1, %ecx
    je 2f
    call msr
    addl $4, %ebp
    jmp 1b
2:  movl $end_text, %esi
    call text
    debug_exit $0
    halt

/* The leaves from %esi on, as many as the first tells, at most %edi. */
range:
    movl %esi, %eax
    xorl %ecx, %ecx
    cpuid
    subl %esi, %eax
    jc 2f
    cmpl %edi, %eax
    jbe 1f
    /* No such range: the processor answers with another leaf. */
    cmpl $0x40, %edi
    jne 2f
    movl %edi, %eax
1:  movl %eax, last
    addl %esi, last
    movl %esi, leaf
3:  call whole_leaf
    incl leaf
    movl leaf, %eax
    cmpl last, %eax
    jbe 3b
2:  ret

/* Every index of the leaf that says something. */
whole_leaf:
    movl $0, index
    movl $1, %edi
    movl $indexed, %esi
1:  lodsl
    testl %eax, %eax
    jz 2f
    cmpl leaf, %eax
    jne 1b
    movl $24, %edi
2:  call line
    incl index
    cmpl %edi, index
    jb 2b
    ret

line:
    movl leaf, %eax
    movl index, %ecx
    cpuid
    movl %eax, regs
    movl %ebx, regs + 4
    movl %ecx, regs + 8
    movl %edx, regs + 12
    cmpl $0, index
    je 1f
    orl %ebx, %eax
    andl $0xffffff00, %ecx
    orl %ecx, %eax
    jz 2f
1:  movl leaf, %eax
    call number
    movl index, %eax
    call number
    movl regs, %eax
    call number
    movl regs + 4, %eax
    call number
    movl regs + 8, %eax
    call number
    movl regs + 12, %eax
    call number
    put $'\n'
2:  ret

msr:
    movl %ecx, leaf
    movl $msr_text, %esi
    call text
    movl leaf, %eax
    call number
    movl leaf, %ecx
    movl $0, refused
    rdmsr
    cmpl $0, refused
    jne 1f
    movl %eax, regs
    movl %edx, %eax
    call number
    movl regs, %eax
    call number
    put $'\n'
    ret
1:  movl $refused_text, %esi
    jmp text

/*
 * Beyond the instruction of two bytes.  Not by IRET, which a software KVM does not emulate:
 * nothing that it would restore has changed.
 */
fault:
    movl $1, refused
    movl 4(%esp), %eax
    addl $16, %esp
    addl $2, %eax
    jmp *%eax

text:
    lodsb
    testb %al, %al
    jz 1f
    movw $COM1, %dx
    outb %al, %dx
    jmp text
1:  ret

/* %eax and a blank. */
number:
    movl %eax, %ebx
    movl $8, %ecx
    movw $COM1, %dx
1:  roll $4, %ebx
    movl %ebx, %eax
    andl $15, %eax
    movb digits(%eax), %al
    outb %al, %dx
    loop 1b
    movb $' ', %al
    outb %al, %dx
    ret

    .data
digits:
    .ascii "0123456789abcdef"
end_text:
    .asciz "end\n"
msr_text:
    .asciz "msr "
refused_text:
    .asciz "refused\n"

    .balign 4
indexed:
    .long 0x4, 0x7, 0xb, 0xd, 0x12, 0x14, 0x1d, 0x1e, 0x1f, 0x24
    .long 0x8000001d, 0x80000026, 0
/* Microcode, what the model tells in MSRs, VMX's, Hyper-V's. */
msrs:
    .long 0x8b, 0xcf, 0x10a, 0x345
    .long 0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488, 0x489
    .long 0x48a, 0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491
    .long 0x40000000, 0x40000001, 0x40000002, 0x40000003, 0x40000010, 0x40000020
    .long 0x40000021, 0x40000022, 0x40000023, 0x40000073, 0x40000080, 0x400000b0
    .long 0x40000100, 0x40000105, 0x40000106, 0x40000118, -1

    .balign 8
idt:
    .space 13 * 8
gate:
    .word 0, 0, 0x8e00, 0
idt_pointer:
    .word 14 * 8 - 1
    .long idt
leaf:
    .long 0
index:
    .long 0
last:
    .long 0
refused:
    .long 0
regs:
    .space 16
