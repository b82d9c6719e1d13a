/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest in 64-bit mode with something to be found in a dump of it:
 *
 *     0x00000000  1 GiB at its own addresses, and the first 8 MiB again from HIGH on
 *     PATTERN     256 pages: one in four holds the address of each of its words, the
 *                 next what does not compress, then two of zeros
 *     registers   r8 to r15 are 0x0808080808080808 to 0x0f0f...
 *     VMCOREINFO  told through fw_cfg's etc/vmcoreinfo, if it is there
 *
 * Then it writes 'P', and echoes what the serial port receives.
 */
#include "pvh.inc"

    .equ PML4, 0x200000
    .equ PDPT, 0x201000
    .equ PD, 0x202000
    .equ HIGH_PDPT, 0x203000
    .equ HIGH, 0xffffffff80000000
    .equ PATTERN, 0x1000000
    .equ PATTERN_PAGES, 256
    .equ LARGE, 0x83                /* present, writable, 2 MiB */
    .equ TABLE, 0x03

    .equ FW_CFG, 0x510
    .equ FW_CFG_DATA, 0x511
    .equ FW_CFG_DMA_LOW, 0x518
    .equ FW_CFG_FILE_DIR, 0x19
    .equ DMA_SELECT_WRITE, 0x18

    .macro entry table, index, value
    movl \value, \table + 8 * \index
    .endm

    .globl start
start:
    entry PML4, 0, $(PDPT + TABLE)
    entry PML4, 511, $(HIGH_PDPT + TABLE)
    entry PDPT, 0, $(PD + TABLE)
    entry HIGH_PDPT, 510, $(HIGH_PD + TABLE)
    movl $LARGE, %eax
    xorl %ecx, %ecx
1:  movl %eax, PD(,%ecx,8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    entry HIGH_PD, 0, $(0x000000 + LARGE)
    entry HIGH_PD, 1, $(0x200000 + LARGE)
    entry HIGH_PD, 2, $(0x400000 + LARGE)
    entry HIGH_PD, 3, $(0x600000 + LARGE)
    movl $0x20, %eax                /* CR4.PAE */
    movl %eax, %cr4
    movl $PML4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          /* EFER.LME */
    movl $0x100, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80000001, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long

    .code64
long:
    movabsq $(high + HIGH), %rax
    jmp *%rax
high:
    movl $stack_top, %esp
    movl $0x10, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    call write_pattern
    call tell_vmcoreinfo
    movabsq $0x0808080808080808, %r8
    movabsq $0x0909090909090909, %r9
    movabsq $0x0a0a0a0a0a0a0a0a, %r10
    movabsq $0x0b0b0b0b0b0b0b0b, %r11
    movabsq $0x0c0c0c0c0c0c0c0c, %r12
    movabsq $0x0d0d0d0d0d0d0d0d, %r13
    movabsq $0x0e0e0e0e0e0e0e0e, %r14
    movabsq $0x0f0f0f0f0f0f0f0f, %r15
    put $'P'
2:  movw $COM1_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jz 2b
    movw $COM1, %dx
    inb %dx, %al
    outb %al, %dx
    jmp 2b

write_pattern:
    movl $PATTERN, %edi
    movl $(PATTERN_PAGES / 4), %ebx
    movl $0x12345678, %eax
3:  movl $512, %ecx
4:  movq %rdi, (%rdi)
    addq $8, %rdi
    decl %ecx
    jnz 4b
    movl $1024, %ecx
5:  imull $1664525, %eax, %eax
    addl $1013904223, %eax
    movl %eax, (%rdi)
    addq $4, %rdi
    decl %ecx
    jnz 5b
    addq $0x2000, %rdi
    decl %ebx
    jnz 3b
    ret

/* Finds the file in the directory and writes its 16 bytes. */
tell_vmcoreinfo:
    movw $FW_CFG, %dx
    movw $FW_CFG_FILE_DIR, %ax
    outw %ax, %dx
    movw $FW_CFG_DATA, %dx
    movl $directory_count, %edi
    movl $4, %ecx
    rep insb
    movl directory_count, %ebx
    bswapl %ebx
6:  testl %ebx, %ebx
    jz 7f
    decl %ebx
    movl $directory_entry, %edi
    movl $64, %ecx
    rep insb
    movl $(directory_entry + 8), %esi
    movl $vmcoreinfo_name, %edi
    movl $(vmcoreinfo_name_end - vmcoreinfo_name), %ecx
    repe cmpsb
    jne 6b
    movw directory_entry + 4, %ax
    movw %ax, dma                   /* big-endian in both */
    movl $vmcoreinfo, %eax
    bswapl %eax
    movl %eax, dma + 12
    movl $dma, %eax
    bswapl %eax
    movw $FW_CFG_DMA_LOW, %dx
    outl %eax, %dx
7:  ret

    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word 23
    .long gdt

vmcoreinfo_name:
    .asciz "etc/vmcoreinfo"
vmcoreinfo_name_end:

    .balign 8
dma:
    .word 0                         /* the file's key */
    .byte 0, DMA_SELECT_WRITE
    .byte 0, 0, 0, 16
    .quad 0                         /* where vmcoreinfo is */

vmcoreinfo:
    .word 0, 1
    .long note_end - note
    .quad note

    .balign 4
note:
    .long 11, text_end - text, 0
    .asciz "VMCOREINFO"
    .balign 4
text:
    .ascii "OSRELEASE=1.2.3-tiny\nPAGESIZE=4096\nNUMBER(phys_base)=0\n"
text_end:
    .balign 4
note_end:

    .bss
    .balign 4096
HIGH_PD:
    .space 4096
directory_count:
    .space 8
directory_entry:
    .space 64
