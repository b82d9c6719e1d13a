/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hypervisor does for a vCPU: the table behind vcpu.h, and the part of a vCPU
 * that is the same for all.
 */
#pragma once

#include <pthread.h>
#include <signal.h>

#include "berth/log.h"
#include "berth/region.h"
#include "berth/vcpu-apic.h"
#include "berth/vcpu-registers.h"
#include "berth/vcpu.h"
#include "berth/vm-stats.h"

/* Calls a vCPU's thread out of the guest. */
#define VCPU_KICK_SIGNAL SIGUSR1

#define VCPU_DETAIL_SIZE 160

typedef enum VcpuRun {
    VCPU_RUN_AGAIN,             /* an exit was answered */
    VCPU_RUN_INTERRUPTED,       /* kicked; no access is half done */
    VCPU_RUN_STOPPED,           /* *ret_stop says why */
} VcpuRun;

typedef struct VcpuStop {
    VcpuStopReason reason;
    char detail[VCPU_DETAIL_SIZE];
} VcpuStop;

typedef struct VcpuOps {
    size_t instance_size;

    /* Main, the thread not running. */
    bool (*open)(Vcpu *vcpu, GError **error);
    /* Accepts one whose open failed. */
    void (*close)(Vcpu *vcpu);
    bool (*reset)(Vcpu *vcpu, const VcpuBoot *boot, GError **error);
    VcpuState *(*get_state)(Vcpu *vcpu, GError **error);
    bool (*set_state)(Vcpu *vcpu, const VcpuState *state, GError **error);

    /* Main while paused, or the vCPU's thread. */
    bool (*is_halted)(Vcpu *vcpu);
    /* 0 or a negative errno. */
    int (*registers)(Vcpu *vcpu, VcpuRegisters *ret_registers);
    int (*apic)(Vcpu *vcpu, VcpuApic *ret_apic);
    void (*inject_nmi)(Vcpu *vcpu);
    /* Any thread while it is paused, or the vCPU's. */
    void (*inject_smi)(Vcpu *vcpu);

    /* The vCPU's thread. */
    VcpuRun (*run)(Vcpu *vcpu, VcpuStop *ret_stop);
    void (*resumed)(Vcpu *vcpu);
    /* A descriptor of its statistics, or a negative errno. */
    int (*open_stats)(Vcpu *vcpu);

    /*
     * Under the vCPU's lock.  After kick() run() returns soon, and at once when called.
     */
    void (*kick)(Vcpu *vcpu);
    void (*unkick)(Vcpu *vcpu);
} VcpuOps;

/* What main asks a vCPU's thread while it is out of the guest. */
typedef struct VcpuQuestion {
    void (*answer)(Vcpu *vcpu, struct VcpuQuestion *question);
} VcpuQuestion;

typedef enum VcpuWanted {
    VCPU_WANTED_PAUSED,
    VCPU_WANTED_RUNNING,
    VCPU_WANTED_GONE,
} VcpuWanted;

/* Embedded first in what a hypervisor needs. */
struct Vcpu {
    /* Immutable. */
    const VcpuOps *ops;
    Vm *vm;
    unsigned index;
    CpuPlace place;
    const CpuModel *model;
    VcpuOwner owner;
    pthread_t thread;
    bool has_thread;

    GMutex lock;
    GCond changed;              /* of what is under the lock */

    /* Under the lock. */
    VcpuWanted wanted;
    bool parked;                /* out of the guest, and touches nothing */
    VcpuQuestion *question;     /* lent by the one who waits for the answer, or NULL */
    bool ask_nmi;               /* an NMI is to be injected */
    bool ask_smi;
    int thread_id;

    LogLimit log_limit;

    /* The thread's; see vm-stats.h. */
    VcpuCounters counters;

    /* Main's. */
    bool stats_asked;
    int stats_fd;               /* negative: none; the thread's until it has answered */
};

/* Has the thread answer @question (lent until then), for which it leaves the guest. */
void vcpu_ask(Vcpu *vcpu, VcpuQuestion *question);
void vcpu_wait_answer(Vcpu *vcpu);

/*
 * Has run() end and begin again, if the thread is in it, so that it sees what changed.
 * Any thread.
 */
void vcpu_recall(Vcpu *vcpu);

/*
 * A system management interrupt: one that runs takes it before its next instruction, or
 * soon when another thread calls.  Any thread.
 */
void vcpu_inject_smi(Vcpu *vcpu);
