/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what the serial port orders, so that a test on the other end is the driver of a
 * device (tests/e2e/poke.py).  An order is a letter, four bytes of address or port and four
 * of value, little-endian; each is answered with a letter.
 *
 *     b w l    OUT of 1, 2, 4 bytes      answers '.'
 *     B W L    IN, the same              answers '=' and eight hexadecimal digits
 *     m        store of 4 bytes          answers '.'
 *     M        load of 4 bytes           answers '=' and eight hexadecimal digits
 *
 * Writes '!' when it begins, and 'N' for an NMI, of which it takes one: it goes back to the
 * orders by a jump, for KVM's emulator, which runs this where there is no VMX or SVM, has no
 * 32-bit IRET.  At 0x8000 there is a real-mode program, to be woken at, that writes 'W' and
 * goes on to wait for orders.
 */
#include "pvh.inc"

    .equ IDT_ENTRIES, 3
    .equ WAKING, 0x8000

    .globl start
start:
    movl $waking_end, %ecx
1:  movb -1(%ecx), %al
    movb %al, (WAKING - waking - 1)(%ecx)
    decl %ecx
    cmpl $waking, %ecx
    ja 1b
    movl $nmi, %eax
    movw %ax, idt + 16
    shrl $16, %eax
    movw %ax, idt + 22
    movw %cs, idt + 18
    movw $0x8e00, idt + 20
    lidt idtr
    put $'!'
next:
    movl $stack_top, %esp
    call receive
    movl %eax, %ebp
    movl $2, %edi
words:
    movl $4, %esi
bytes:
    call receive
    shrl $8, %ebx
    shll $24, %eax
    orl %eax, %ebx
    decl %esi
    jnz bytes
    decl %edi
    jz words_end
    movl %ebx, %ecx                 /* the address; the value stays in %ebx */
    jmp words
words_end:
    movl %ecx, %edx
    movl %ebx, %eax
    cmpl $'b', %ebp
    je out_byte
    cmpl $'w', %ebp
    je out_word
    cmpl $'l', %ebp
    je out_long
    cmpl $'B', %ebp
    je in_byte
    cmpl $'W', %ebp
    je in_word
    cmpl $'L', %ebp
    je in_long
    cmpl $'m', %ebp
    je store
    cmpl $'M', %ebp
    je load
    jmp next
out_byte:
    outb %al, %dx
    jmp done
out_word:
    outw %ax, %dx
    jmp done
out_long:
    outl %eax, %dx
    jmp done
in_byte:
    xorl %eax, %eax
    inb %dx, %al
    jmp answer
in_word:
    xorl %eax, %eax
    inw %dx, %ax
    jmp answer
in_long:
    inl %dx, %eax
    jmp answer
store:
    movl %eax, (%edx)
    jmp done
load:
    movl (%edx), %eax
answer:
    movl %eax, %ebx
    put $'='
    movl $8, %esi
1:  roll $4, %ebx
    movb %bl, %al
    andb $15, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 2f
    addb $('a' - '9' - 1), %al
2:  movw $COM1, %dx
    outb %al, %dx
    decl %esi
    jnz 1b
    jmp next
done:
    put $'.'
    jmp next
nmi:
    put $'N'
    jmp next

/* A byte in %eax. */
receive:
    movw $COM1_STATUS, %dx
1:  inb %dx, %al
    testb $1, %al
    jz 1b
    movw $COM1, %dx
    xorl %eax, %eax
    inb %dx, %al
    ret

    .code16
waking:
    put $'W'
    lgdtl %cs:(gdtr - waking)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x10, $woken
    .balign 8
gdt:
    .quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
    .word 31
    .long WAKING + gdt - waking
waking_end:

    .code32
woken:
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    lidt idtr
    jmp next

    .balign 8
idtr:
    .word IDT_ENTRIES * 8 - 1
    .long idt
    .data
    .balign 8
idt:
    .space IDT_ENTRIES * 8
