/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests of a few instructions on the host's /dev/kvm, for tests.
 *
 * A guest reports through ports: a byte to GUEST_PORT_SAY is appended to a text, one to
 * GUEST_PORT_DONE ends a wait; what it writes elsewhere is appended as "[w4 50=1]"
 * (ports) or "[m4 0=1]" (GUEST_MMIO).  RAM of 2 MiB at 0, ROM below 4 GiB.
 */
#pragma once

#include <pthread.h>

#include "berth/region.h"
#include "berth/vcpu.h"
#include "berth/vm.h"

#define GUEST_RAM_SIZE (2 * MIB)
#define GUEST_ROM_SIZE 0x10000
#define GUEST_GDT 0x500
#define GUEST_IDTR 0x7f8         /* for lidt: written with the first gate */
#define GUEST_IDT 0x800
#define GUEST_PAGE_TABLES 0x2000
#define GUEST_CODE 0x10000
#define GUEST_MMIO 0x40000000
#define GUEST_NOWHERE 0x50000000
#define GUEST_LAPIC 0xfee00000
#define GUEST_VECTOR 0x41

#define GUEST_PORT_SAY 0x10
#define GUEST_PORT_DONE 0x11
#define GUEST_PORT_ECHO 0x50    /* reads as its number times the width */

#define KVM_GUEST_VCPUS 4

/* In guests, for the assembler. */
#define GUEST_STRING_(_x) #_x
#define GUEST_STRING(_x) GUEST_STRING_(_x)
#define GUEST_SAY(_c) \
    " mov $'" _c "', %al\n out %al, $" GUEST_STRING(GUEST_PORT_SAY) "\n"
#define GUEST_DONE " out %al, $" GUEST_STRING(GUEST_PORT_DONE) "\n"
#define GUEST_SLEEP "9: hlt\n jmp 9b\n"

/* A guest's code as guest_NAME to guest_NAME_end; "9b" after GUEST_SLEEP is its end. */
#define GUEST(_name, _bits, _text) \
    extern const char guest_##_name[], guest_##_name##_end[]; \
    __asm__(".pushsection .rodata\n .balign 16\n .code" #_bits "\n" \
            ".globl guest_" #_name ", guest_" #_name "_end\n" \
            "guest_" #_name ":\n" _text "guest_" #_name "_end:\n" \
            " .code64\n .popsection\n")

/* Runs guest_NAME, of 32 bits, from the PVH entry. */
#define GUEST_RUN(_f, _name) kvm_guest_run(_f, guest_##_name, guest_##_name##_end)

typedef struct KvmGuest {
    Vm *vm;
    RamBlock *ram;
    RamBlock *rom;
    Region memory_root;
    Region io_root;
    Region ram_region;
    Region rom_region;
    Region port_region;
    Region mmio_region;
    AddressSpace *memory;
    AddressSpace *io;
    CpuModel *model;
    Vcpu *vcpus[KVM_GUEST_VCPUS];
    unsigned n_vcpus;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    GString *said;              /* under the lock */
    unsigned n_done;            /* under the lock */
    unsigned n_stopped;         /* under the lock */
    VcpuStopReason reason;      /* under the lock */
    char detail[200];           /* under the lock */
} KvmGuest;

/* Adds a test of @n_vcpus vCPUs, paused, that is skipped where there is no KVM. */
void kvm_guest_add_test(const char *path, unsigned n_vcpus,
                        void (*fn)(KvmGuest *f, gconstpointer data));
/* The same with VM_IRQCHIP_SPLIT; the test has the chips. */
void kvm_guest_add_split_test(const char *path, unsigned n_vcpus,
                              void (*fn)(KvmGuest *f, gconstpointer data));
/* Tells the reason; the test returns then. */
bool kvm_guest_skipped(KvmGuest *f);

void kvm_guest_load(KvmGuest *f, uint32_t gpa, const char *start, const char *end);
void kvm_guest_write_gdt(KvmGuest *f, bool is_long);
/* The first 2 GiB at their own addresses. */
void kvm_guest_write_page_tables(KvmGuest *f);
/* A 32-bit interrupt gate. */
void kvm_guest_write_gate(KvmGuest *f, unsigned vector, uint32_t handler);

/* Loads code at GUEST_CODE, resets all vCPUs to it, and resumes them. */
void kvm_guest_run(KvmGuest *f, const char *start, const char *end);
/* Resets all vCPUs, to the PVH entry at GUEST_CODE with ebx 0x1234. */
void kvm_guest_boot_flat(KvmGuest *f);
void kvm_guest_reset(KvmGuest *f, const VcpuBoot *boot);
void kvm_guest_resume(KvmGuest *f);
void kvm_guest_pause(KvmGuest *f);
/* Paused: frees that vCPU and makes another in its place. */
void kvm_guest_replace(KvmGuest *f, unsigned index);

/* Waits until *@counter, which is under the lock, is at least @wanted. */
void kvm_guest_wait_for(KvmGuest *f, const unsigned *counter, unsigned wanted);
void kvm_guest_wait_halted(Vcpu *vcpu);
/* Compares what was said, and forgets it. */
void kvm_guest_assert_said(KvmGuest *f, const char *expected);

/* Uses every kind of port and MMIO access once. */
extern const char guest_flat[], guest_flat_end[];

/* Sleeps, and takes GUEST_VECTOR (says '!') and NMIs (says 'N'). */
extern const char guest_interrupts[], guest_interrupts_end[];
extern const char guest_interrupts_handler[], guest_nmi_handler[];
void kvm_guest_run_interrupts(KvmGuest *f);

/* vCPU 0 starts the others; each says its number, is done, and spins. */
void kvm_guest_run_smp(KvmGuest *f);
