/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hypervisor counts, and what a vCPU's thread counts.
 *
 * The kernel's statistics are read from descriptors, in the format of Linux,
 * Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD: which ones there are, in which unit,
 * is the kernel's to say.  Its word is checked like any other.
 *
 * Main only.
 */
#pragma once

#include "berth/counters.h"
#include "berth/vm.h"
#include "qapi-types.h"

/* A statistic. */
typedef struct VmStat {
    const char *name;
    StatsType type;
    bool has_unit;
    StatsUnit unit;
    uint8_t base;               /* of @exponent: 10 or 2; 0 when that is 0 */
    int16_t exponent;           /* its values count base^exponent units */
    uint32_t bucket_size;       /* of a linear histogram */
    uint32_t n_values;          /* 1, or the buckets of a histogram */
    uint32_t first_value;
} VmStat;

typedef struct VmStats VmStats;

/*
 * A new descriptor to read the statistics of @vm from, the caller's; a negative errno
 * when the host has none.
 */
int vm_stats_open(Vm *vm);

/*
 * Opens the statistics of @n vCPUs (NULL: of none) whose are not open yet; those that run
 * leave the guest for a moment.
 */
void vcpu_stats_open(Vcpu *const *vcpus, unsigned n);
/* The descriptor, the vCPU's own, after that; negative when the host has none. */
int vcpu_stats_fd(const Vcpu *vcpu);

/* Reads from @fd what there is; all vCPUs have the same.  NULL with @error. */
VmStats *vm_stats_new(int fd, GError **error);
/* Accepts NULL. */
void vm_stats_free(VmStats *stats);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmStats, vm_stats_free)

unsigned vm_stats_count(const VmStats *stats);
const VmStat *vm_stats_get(const VmStats *stats, unsigned index);

/*
 * Reads all values from @fd: VmStat.n_values of them for each, from VmStat.first_value
 * on.  They are lent until the next call.  NULL with @error.
 */
const uint64_t *vm_stats_read(VmStats *stats, int fd, GError **error);

/* Why a vCPU's thread left the guest for berth. */
typedef struct VcpuCounters {
    uint64_t user_exits;        /* all, whatever for */
    uint64_t user_io;
    uint64_t user_mmio;
    uint64_t user_interrupted;  /* called out, by berth */
    uint64_t user_irq_window;
    uint64_t user_eoi;
    uint64_t user_hyperv;
    uint64_t user_notify;       /* the guest held the processor too long */
    uint64_t user_shutdown;     /* triple faults */
    uint64_t user_system_event;
    uint64_t user_errors;       /* what the vCPU cannot go on from */
} VcpuCounters;

extern const CounterDesc vcpu_stats_counters[];

const VcpuCounters *vcpu_stats_counted(const Vcpu *vcpu);
