/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics of vCPUs.  KVM gives the descriptor only to a thread that may use the
 * vCPU while it is out of the guest, so it is opened by the vCPU's own thread, and kept;
 * reading from it disturbs nobody.  All are asked first and then waited for one by one.
 */
#include "berth/thread.h"
#include "berth/vm-stats.h"

#include "vcpu-ops.h"

const CounterDesc vcpu_stats_counters[] = {
    COUNTER(VcpuCounters, user_exits),
    COUNTER(VcpuCounters, user_io),
    COUNTER(VcpuCounters, user_mmio),
    COUNTER(VcpuCounters, user_interrupted),
    COUNTER(VcpuCounters, user_irq_window),
    COUNTER(VcpuCounters, user_eoi),
    COUNTER(VcpuCounters, user_hyperv),
    COUNTER(VcpuCounters, user_notify),
    COUNTER(VcpuCounters, user_shutdown),
    COUNTER(VcpuCounters, user_system_event),
    COUNTER(VcpuCounters, user_errors),
    COUNTERS_END
};

static void answer_open(Vcpu *vcpu, VcpuQuestion *question)
{
    vcpu->stats_fd = vcpu->ops->open_stats(vcpu);
}

void vcpu_stats_open(Vcpu *const *vcpus, unsigned n)
{
    VcpuQuestion question = { .answer = answer_open };

    assert_main();
    for (unsigned i = 0; i < n; i++) {
        if (vcpus[i] && !vcpus[i]->stats_asked)
            vcpu_ask(vcpus[i], &question);
    }
    for (unsigned i = 0; i < n; i++) {
        if (!vcpus[i] || vcpus[i]->stats_asked)
            continue;
        vcpu_wait_answer(vcpus[i]);
        vcpus[i]->stats_asked = true;
    }
}

int vcpu_stats_fd(const Vcpu *vcpu)
{
    return vcpu->stats_fd;
}

const VcpuCounters *vcpu_stats_counted(const Vcpu *vcpu)
{
    return &vcpu->counters;
}
