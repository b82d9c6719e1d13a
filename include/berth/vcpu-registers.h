/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What debuggers ask of a vCPU: its general and system registers, as plain data.
 */
#pragma once

#include "berth/base.h"

/* In the order of x86's encoding. */
typedef enum VcpuRegister {
    VCPU_RAX, VCPU_RCX, VCPU_RDX, VCPU_RBX, VCPU_RSP, VCPU_RBP, VCPU_RSI, VCPU_RDI,
    VCPU_R8, VCPU_R9, VCPU_R10, VCPU_R11, VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15,
    VCPU_N_GENERAL,
} VcpuRegister;

typedef enum VcpuSegmentName {
    VCPU_ES, VCPU_CS, VCPU_SS, VCPU_DS, VCPU_FS, VCPU_GS,
    VCPU_LDT, VCPU_TR, VCPU_GDT, VCPU_IDT,
    VCPU_N_SEGMENTS,
} VcpuSegmentName;

typedef struct VcpuSegment {
    uint16_t selector;
    uint32_t limit;             /* bytes */
    uint64_t base;
    uint32_t flags;             /* bits 8 to 15 and 20 to 23 of a descriptor's word 1 */
} VcpuSegment;

typedef struct VcpuFloats {
    uint16_t fcw;
    uint16_t fsw;
    uint8_t ftw;                /* a bit a register: it is used */
    uint32_t mxcsr;
    uint8_t st[8][16];          /* 80 bits of each are meant */
    uint64_t xmm[16][2];
} VcpuFloats;

typedef struct VcpuRegisters {
    uint64_t general[VCPU_N_GENERAL];
    uint64_t rip;
    uint64_t rflags;
    VcpuSegment segments[VCPU_N_SEGMENTS];
    uint64_t cr0;
    uint64_t cr2;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t cr8;
    uint64_t efer;
    uint64_t kernel_gs_base;
    uint64_t debug[8];          /* DR0 to DR3, DR6, DR7 */
    VcpuFloats floats;
    bool interrupt_shadow;      /* no interrupt is taken before the next instruction */
    bool halted;
    bool smm;                   /* in system management mode */
} VcpuRegisters;

/*
 * Main only.  Also of a vCPU that runs, whose thread leaves the guest for it.  False with
 * @error when the hypervisor refuses.
 */
bool vcpu_read_registers(Vcpu *vcpu, VcpuRegisters *ret_registers, GError **error);

/* In the layout of QEMU's "info registers", with @floats to the end; the caller frees. */
char *vcpu_text_registers(const VcpuRegisters *registers, bool floats);
