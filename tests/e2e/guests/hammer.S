/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest: reads and writes ports and MMIO addresses at random, every width, any
 * alignment.  Half of the accesses go to the neighbourhood of devices.  Writes '.' for each
 * round of 1,000 and 'D' at the end, then halts.  Left out are the registers whose defined
 * effect is to end or reset the machine or to move a BAR over this program.
 */
#include "pvh.inc"

    .equ COM1_LINE, 0x3fb
    .equ COM1_MODEM, 0x3fc
    .equ ROUNDS, 5
    .equ ACCESSES, 1000

    .globl start
start:
    movl $stack_top, %esp
    movl $0x2545f491, %ebx
    movl $ROUNDS, %ebp
round:
    movl $ACCESSES, %esi
access:
    call random
    testl $1, %eax
    jnz memory
    call port_access
    jmp done
memory:
    call memory_access
done:
    decl %esi
    jnz access
    movb $'.', %cl
    call say
    decl %ebp
    jnz round
    movb $'D', %cl
    call say
    halt

/* Writes %cl to the serial port, whatever was done to its line and modem control. */
say:
    movw $COM1_LINE, %dx
    movb $3, %al
    outb %al, %dx
    movw $COM1_MODEM, %dx
    movb $0, %al
    outb %al, %dx
    movw $COM1_STATUS, %dx
wait_for_room:
    inb %dx, %al
    testb $0x20, %al
    jz wait_for_room
    put %cl
    ret

/* xorshift32; the state and the result are in %ebx and %eax. */
random:
    movl %ebx, %eax
    shll $13, %eax
    xorl %eax, %ebx
    movl %ebx, %eax
    shrl $17, %eax
    xorl %eax, %ebx
    movl %ebx, %eax
    shll $5, %eax
    xorl %eax, %ebx
    movl %ebx, %eax
    ret

port_access:
    call random
    movl %eax, %edx
    testl $0x10000, %eax
    jz 1f
    shrl $20, %eax                  /* 12 bits: a device of the table and an offset in it */
    movl %eax, %ecx
    andl $(PORTS - 1), %ecx
    movzwl ports(, %ecx, 2), %edx
    shrl $4, %eax
    andl $15, %eax
    addl %eax, %edx
1:  movzwl %dx, %edx
    movl $(n_forbidden - 1), %ecx
2:  movzwl forbidden(, %ecx, 2), %eax
    subl %edx, %eax                 /* an access of four bytes reaches three further */
    cmpl $3, %eax
    jbe 3f
    decl %ecx
    jns 2b
    call random
    movl %eax, %ecx
    shrl $8, %ecx
    andl $7, %ecx
    jmp *port_kinds(, %ecx, 4)
port_in_byte:
    inb %dx, %al
    ret
port_in_word:
    inw %dx, %ax
    ret
port_in_long:
    inl %dx, %eax
    ret
port_out_byte:
    outb %al, %dx
    ret
port_out_word:
    outw %ax, %dx
    ret
port_out_long:
    outl %eax, %dx
3:  ret

/* Above 2 GiB, where a small guest has no RAM. */
memory_access:
    call random
    movl %eax, %edi
    orl $0x80000000, %edi
    testl $1, %eax
    jz 1f
    shrl $4, %eax
    movl %eax, %edi
    andl $0xfff, %edi
    shrl $12, %eax
    andl $(WINDOWS - 1), %eax
    orl windows(, %eax, 4), %edi
1:  call random
    movl %eax, %ecx
    shrl $8, %ecx
    andl $7, %ecx
    jmp *memory_kinds(, %ecx, 4)
memory_in_byte:
    movb (%edi), %al
    ret
memory_in_word:
    movw (%edi), %ax
    ret
memory_in_long:
    movl (%edi), %eax
    ret
memory_out_byte:
    movb %al, (%edi)
    ret
memory_out_word:
    movw %ax, (%edi)
    ret
memory_out_long:
    movl %eax, (%edi)
    ret

    .balign 4
port_kinds:
    .long port_in_byte, port_in_word, port_in_long, port_out_byte
    .long port_out_word, port_out_long, port_in_long, port_out_byte
memory_kinds:
    .long memory_in_byte, memory_in_word, memory_in_long, memory_out_byte
    .long memory_out_word, memory_out_long, memory_in_long, memory_out_long
windows:                            /* where BARs are, IOAPIC, TPM, HPET, flash, the top */
    .long 0xc0000000, 0xfe000000, 0xfeb00000, 0xfebff000
    .long 0xfec00000, 0xfed40000, 0xfed00000, 0xfffff000
    .equ WINDOWS, 8
ports:                              /* serial, RTC, i8042, PIC, PIT, ELCR, fw_cfg, debugcon */
    .word 0x3f0, 0x2f0, 0x70, 0x20, 0xa0, 0x40, 0x4d0, 0x510
    .word 0xe9, 0xcf0, 0xd00, 0x80, 0xc000, 0x600, 0x620, 0xae0
    .equ PORTS, 16
forbidden:                          /* i8042 reset, port 92, 0xcf9, PM1, PCI data, debug-exit */
    .word 0x64, 0x92, 0xcf9, 0x604, 0x605, 0xcfc, 0xcff, DEBUG_EXIT
    .equ n_forbidden, (. - forbidden) / 2
