/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake hypervisor, for tests: it records what it is told and can be asked.
 *
 *     g_autoptr(Vm) vm = vm_fake_new();
 *     AddressSpace *memory = address_space_new("memory", &root, vm, false);
 *     ...
 *     vm_fake_write(vm, memory, notify_gpa, 2, queue);     what a guest's store would do
 *     g_assert_cmpuint(vm_fake_msi_count(vm, addr, data), ==, 1);
 *
 * It takes the same limits and refuses the same mistakes as KVM: overlapping slots,
 * slots that are not whole pages, a doorbell or an irqfd twice.  Any thread, but for
 * what is said.
 */
#pragma once

#include "berth/vcpu-registers.h"
#include "berth/vcpu.h"
#include "berth/vm.h"

typedef struct VmFakeSlot {
    uint64_t gpa;
    uint64_t size;
    void *host;
    bool readonly;
} VmFakeSlot;

/* How often each was called since the start. */
typedef struct VmFakeCalls {
    unsigned map;
    unsigned unmap;
    unsigned doorbell_add;
    unsigned doorbell_del;
    unsigned irqfd_add;
    unsigned irqfd_del;
    unsigned set_routes;
} VmFakeCalls;

VmFakeCalls vm_fake_calls(Vm *vm);

/*
 * The @n-th call from now (1: the next) of what can fail returns @err (negative errno),
 * once; 0 cancels.  Loops over n = 1, 2, ... prove that nothing half-done is left.
 */
void vm_fake_fail_nth(Vm *vm, unsigned n, int err);

/* Memory slots, by address. */
unsigned vm_fake_slot_count(Vm *vm);
VmFakeSlot vm_fake_slot(Vm *vm, unsigned index);

/*
 * A guest's access of @size 1, 2, 4 or 8 bytes.  A write that a doorbell of the space
 * takes is its eventfd's and goes nowhere else; a RAM access goes to the memory slot.
 */
void vm_fake_write(Vm *vm, AddressSpace *as, uint64_t addr, unsigned size,
                   uint64_t value);
uint64_t vm_fake_read(Vm *vm, AddressSpace *as, uint64_t addr, unsigned size);

unsigned vm_fake_doorbell_count(Vm *vm);
/* The eventfd that a write of @value would signal, -1 for none. */
int vm_fake_doorbell_fd(Vm *vm, bool is_io, uint64_t addr, unsigned size, uint64_t value);

/*
 * Messages that were fired through irqfds, in order as far as eventfds keep one: those
 * of one vector fired twice without a look in between are counted, not ordered with
 * others.
 */
unsigned vm_fake_msi_count(Vm *vm, uint64_t addr, uint32_t data);
/* Of all messages. */
unsigned vm_fake_msi_total(Vm *vm);
/* The @index-th kind of message that was ever fired, false when there are not so many. */
bool vm_fake_msi(Vm *vm, unsigned index, MsiMessage *ret_message, unsigned *ret_count);
/* Forgets the messages and the counts of levels. */
void vm_fake_clear(Vm *vm);

bool vm_fake_gsi_level(Vm *vm, unsigned gsi);
/* How often @gsi went from low to high. */
unsigned vm_fake_gsi_edges(Vm *vm, unsigned gsi);

bool vm_fake_pit_inhibited(Vm *vm);

/* With chips in user space: the output of the PIC, and its acknowledge cycle. */
bool vm_fake_extint(Vm *vm);
bool vm_fake_take_extint(Vm *vm, uint8_t *ret_vector);
/* The message that the hypervisor was told of the IOAPIC's @pin; false for none. */
bool vm_fake_pin_route(Vm *vm, unsigned pin, MsiMessage *ret_message);
/*
 * A local APIC ends interrupt @vector: as KVM, tells the IOAPIC when a pin's message with
 * that vector is level-triggered.  Returns whether it did.
 */
bool vm_fake_eoi(Vm *vm, uint8_t vector);

/* How often the clock was stopped and started. */
unsigned vm_fake_clock_stops(Vm *vm);
unsigned vm_fake_clock_starts(Vm *vm);
unsigned vm_fake_resets(Vm *vm);

/* The host's processor; at first one of Intel's kind with no more than it was given. */
typedef struct VmFakeCpu {
    bool is_amd;
    bool is_complete;           /* has every feature that has a name */
    bool has_hyperv;            /* KVM has Hyper-V's interface */
} VmFakeCpu;

void vm_fake_set_cpu(Vm *vm, const VmFakeCpu *cpu);

/* What the statistics of the VM, or of each vCPU, are read from; before: none. */
void vm_fake_set_stats(Vm *vm, bool of_vcpus, const void *data, size_t size);

/*
 * vCPUs are real threads with a guest that sleeps.  One that runs stops with @reason,
 * as if the guest did it; one that is paused does so when it is resumed.
 */
void vm_fake_vcpu_stop(Vcpu *vcpu, VcpuStopReason reason, const char *detail);

/*
 * Has @fn called on the vCPU's thread, as by an exit; the earlier one was called
 * before.
 */
typedef void VmFakeExitFn(void *opaque);
void vm_fake_vcpu_exit(Vcpu *vcpu, VmFakeExitFn *fn, void *opaque);

/* What CPUID tells it, by EAX, EBX, ECX, EDX; false when there is no such leaf. */
bool vm_fake_vcpu_cpuid(Vcpu *vcpu, uint32_t function, uint32_t index,
                        uint32_t ret_regs[4]);

/* What vcpu_read_registers() will say; zeros before. */
void vm_fake_vcpu_set_registers(Vcpu *vcpu, const VcpuRegisters *registers);

/* How many NMIs came to it. */
unsigned vm_fake_vcpu_nmis(Vcpu *vcpu);
/* How many system management interrupts it took. */
unsigned vm_fake_vcpu_smis(Vcpu *vcpu);

/* An MSR that its model sets; false when it sets none. */
bool vm_fake_vcpu_msr(Vcpu *vcpu, uint32_t index, uint64_t *ret_value);

/* How often it was reset, and how the last time. */
unsigned vm_fake_vcpu_resets(Vcpu *vcpu, VcpuBoot *ret_boot);
