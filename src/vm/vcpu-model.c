/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which a vCPU gets its model:
 *
 *     TSC's frequency -> interfaces -> CPUID -> MSRs of features -> index for Hyper-V
 *
 * CPUID tells the frequency, KVM takes values of feature MSRs by CPUID, and the state at
 * power-on is read after all of it.
 *
 * An MSR that KVM refuses stays as KVM made it, with a debug line: the guest then sees
 * more than the model has, and never something that is not there.
 */
#include <errno.h>
#include <stdlib.h>

#include "berth/error.h"

#include "vcpu-model.h"

/* Microsoft, "Hypervisor Top Level Functional Specification", appendix C. */
#define MSR_VP_INDEX 0x40000002u
#define MSR_SIEFP 0x40000082u
#define MSR_SIMP 0x40000083u
#define MSR_SINT0 0x40000090u
#define MSR_STIMER0_COUNT 0x400000b1u
#define MSR_STIMER3_COUNT 0x400000b7u
#define MSR_CRASH_P0 0x40000100u
#define N_SINTS 16u
#define N_CRASH_PARAMETERS 5u

/* Appendix B: results of a hypercall. */
#define STATUS_INVALID_HYPERCALL_CODE 2u
#define STATUS_INVALID_CONNECTION_ID 18u

#define CALL_CODE(_input) ((_input) & 0xffff)
#define CALL_POST_MESSAGE 0x5cu
#define CALL_SIGNAL_EVENT 0x5du

/* A guest that keeps its own time stands a TSC that is this much off. */
#define TSC_TOLERANCE_PPM 250

static int enable_vm(KvmVm *kvm, uint32_t cap, uint64_t argument)
{
    struct kvm_enable_cap request = { .cap = cap, .args = { argument } };

    return vm_kvm_ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &request);
}

static bool enable_vcpu(KvmVcpu *kv, uint32_t cap, const uint64_t arguments[2],
                        const char *property, GError **error)
{
    struct kvm_enable_cap request = { .cap = cap,
                                      .args = { arguments[0], arguments[1] } };
    int err = vm_kvm_ioctl(kv->fd, KVM_ENABLE_CAP, &request);

    if (err < 0)
        error_set_errno(error, -err, "KVM cannot switch '%s' on", property);
    return err >= 0;
}

bool vcpu_model_prepare_vm(KvmVm *kvm, const CpuModel *model, GError **error)
{
    int kinds = vm_kvm_ioctl(kvm->kvm_fd, KVM_CHECK_EXTENSION,
                             (void *)KVM_CAP_PMU_CAPABILITY);
    int err = 0;

    if (model->hides_counters && kinds > 0 && (kinds & KVM_PMU_CAP_DISABLE))
        err = enable_vm(kvm, KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
    if (err < 0)
        error_set_errno(error, -err, "KVM cannot switch performance counters off");
    return err >= 0;
}

static bool set_tsc(KvmVcpu *kv, GError **error)
{
    uint64_t khz = kv->vcpu.model->options.tsc_hz / 1000;
    int has = vm_kvm_ioctl(kv->fd, KVM_GET_TSC_KHZ, NULL);
    int err;

    if (kv->vcpu.model->options.tsc_hz == 0 || has == (int64_t)khz)
        return true;
    err = khz > UINT32_MAX
              ? -EINVAL
              : vm_kvm_ioctl(kv->fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)khz);
    if (err >= 0)
        return true;
    if (has > 0 &&
        llabs((int64_t)khz - has) <= (int64_t)has * TSC_TOLERANCE_PPM / 1000000)
        return true;
    error_set(error,
              "'tsc-frequency': the host's TSC has %d kHz, and its processor cannot make "
              "a guest's have %" G_GUINT64_FORMAT " kHz",
              has, khz);
    return false;
}

static bool enable_interfaces(KvmVcpu *kv, GError **error)
{
    const CpuModel *model = kv->vcpu.model;
    const CpuHyperv *hyperv = &model->options.hyperv;
    uint16_t evmcs_version = 0;
    const uint64_t none[2] = { 0 };
    const uint64_t on[2] = { 1 };
    const uint64_t evmcs[2] = { (uintptr_t)&evmcs_version };

    if (model->options.kvm_pv_enforce_cpuid > 0 &&
        !enable_vcpu(kv, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, on, "kvm-pv-enforce-cpuid",
                     error))
        return false;
    if (cpu_hyperv_has(hyperv, CPU_HYPERV_SYNIC) &&
        !enable_vcpu(kv, KVM_CAP_HYPERV_SYNIC2, none, "hv-synic", error))
        return false;
    if (cpu_hyperv_has(hyperv, CPU_HYPERV_EVMCS) &&
        !enable_vcpu(kv, KVM_CAP_HYPERV_ENLIGHTENED_VMCS, evmcs, "hv-evmcs", error))
        return false;
    if (cpu_hyperv_has(hyperv, CPU_HYPERV_TLBFLUSH_DIRECT) &&
        !enable_vcpu(kv, KVM_CAP_HYPERV_DIRECT_TLBFLUSH, none, "hv-tlbflush-direct",
                     error))
        return false;
    return hyperv->enforce_cpuid <= 0 ||
           enable_vcpu(kv, KVM_CAP_HYPERV_ENFORCE_CPUID, on, "hv-enforce-cpuid", error);
}

static int set_cpuid(KvmVcpu *kv)
{
    int tsc_khz = vm_kvm_ioctl(kv->fd, KVM_GET_TSC_KHZ, NULL);
    g_autoptr(GArray) entries =
        cpu_model_cpuid(kv->vcpu.model, kv->vcpu.index, (uint32_t)MAX(tsc_khz, 0));
    g_autofree struct kvm_cpuid2 *cpuid =
        g_malloc0(sizeof(*cpuid) + entries->len * sizeof(cpuid->entries[0]));

    cpuid->nent = entries->len;
    for (unsigned i = 0; i < entries->len; i++) {
        const CpuidEntry *from = &g_array_index(entries, CpuidEntry, i);
        bool is_indexed = cpu_leaf_is_indexed(from->function);

        cpuid->entries[i] = (struct kvm_cpuid_entry2){
            .function = from->function,
            .index = from->index,
            .flags = is_indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = from->regs[CPUID_EAX],
            .ebx = from->regs[CPUID_EBX],
            .ecx = from->regs[CPUID_ECX],
            .edx = from->regs[CPUID_EDX],
        };
    }
    return vm_kvm_ioctl(kv->fd, KVM_SET_CPUID2, cpuid);
}

static int set_msrs(KvmVcpu *kv)
{
    const GArray *msrs = kv->vcpu.model->msrs;
    g_autofree struct kvm_msr_entry *entries =
        g_new0(struct kvm_msr_entry, msrs->len + 1);

    for (unsigned i = 0; i < msrs->len; i++) {
        const CpuMsr *msr = &g_array_index(msrs, CpuMsr, i);

        entries[i] = (struct kvm_msr_entry){ .index = msr->index, .data = msr->value };
    }
    return vcpu_state_write_msrs(kv, entries, msrs->len);
}

/* KVM's own numbers are in the order in which vCPUs were made. */
static int set_vp_index(KvmVcpu *kv)
{
    struct kvm_msr_entry index = { .index = MSR_VP_INDEX, .data = kv->vcpu.index };

    if (!cpu_hyperv_has(&kv->vcpu.model->options.hyperv, CPU_HYPERV_VPINDEX))
        return 0;
    return vcpu_state_write_msrs(kv, &index, 1);
}

bool vcpu_model_apply(KvmVcpu *kv, GError **error)
{
    int err;

    if (!set_tsc(kv, error) || !enable_interfaces(kv, error))
        return false;
    err = set_cpuid(kv);
    if (!err)
        err = set_msrs(kv);
    if (!err)
        err = set_vp_index(kv);
    if (err)
        error_set_errno(error, -err, "KVM cannot make a vCPU what -cpu says");
    return !err;
}

int vcpu_model_reset(KvmVcpu *kv)
{
    return set_vp_index(kv);
}

static void add_range(GArray *msrs, uint32_t first, uint32_t last)
{
    for (uint32_t index = first; index <= last; index++)
        g_array_append_val(msrs, index);
}

void vcpu_model_add_msrs(const KvmVcpu *kv, GArray *msrs)
{
    const CpuHyperv *hyperv = &kv->vcpu.model->options.hyperv;

    if (cpu_hyperv_has(hyperv, CPU_HYPERV_SYNIC)) {
        add_range(msrs, MSR_SIEFP, MSR_SIMP);
        add_range(msrs, MSR_SINT0, MSR_SINT0 + N_SINTS - 1);
    }
    /* The first timer's configuration is in KVM's list. */
    if (cpu_hyperv_has(hyperv, CPU_HYPERV_STIMER))
        add_range(msrs, MSR_STIMER0_COUNT, MSR_STIMER3_COUNT);
}

/*
 * Messages and events for ports that nobody opened: there is no VMBus here.  What the
 * guest writes to the interrupt controller's registers KVM has taken already.
 */
VcpuRun vcpu_model_exit_hyperv(KvmVcpu *kv)
{
    struct kvm_hyperv_exit *exit = &kv->run->hyperv;
    uint64_t code;

    if (exit->type != KVM_EXIT_HYPERV_HCALL)
        return VCPU_RUN_AGAIN;
    code = CALL_CODE(exit->u.hcall.input);
    exit->u.hcall.result = code == CALL_POST_MESSAGE || code == CALL_SIGNAL_EVENT
                               ? STATUS_INVALID_CONNECTION_ID
                               : STATUS_INVALID_HYPERCALL_CODE;
    return VCPU_RUN_AGAIN;
}

void vcpu_model_crashed(KvmVcpu *kv)
{
    uint64_t parameters[N_CRASH_PARAMETERS] = { 0 };
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[N_CRASH_PARAMETERS];
    } msrs = { .head = { .nmsrs = N_CRASH_PARAMETERS } };
    int n;

    for (unsigned i = 0; i < N_CRASH_PARAMETERS; i++)
        msrs.entries[i].index = MSR_CRASH_P0 + i;
    n = vm_kvm_ioctl(kv->fd, KVM_GET_MSRS, &msrs);
    for (int i = 0; i < n; i++)
        parameters[i] = msrs.entries[i].data;
    if (kv->vcpu.owner.crashed)
        kv->vcpu.owner.crashed(kv->vcpu.owner.opaque, &kv->vcpu, parameters);
}
