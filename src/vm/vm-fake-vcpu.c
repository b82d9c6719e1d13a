/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs of the fake hypervisor: real threads whose guest sleeps until a test makes it do
 * something.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#include "cpu-model.h"
#include "vm-fake-vcpu.h"

#define FAKE_TSC_KHZ 2000000u

typedef struct FakeVcpu {
    Vcpu vcpu;

    GMutex lock;
    GCond changed;

    /* Under the lock. */
    bool kicked;
    bool stops;                 /* the next run() ends with @stop */
    VcpuStop stop;
    VmFakeExitFn *exit_fn;      /* the next run() calls it */
    void *exit_opaque;
    unsigned n_resets;
    unsigned n_nmis;
    VcpuBoot boot;
    VcpuRegisters registers;
} FakeVcpu;

#define KVM_LEAVES \
    { 0x40000000, 0, false, { 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d } }, \
    { 0x40000001, 0, false, { 0x01007efb, 0, 0, 1 } }

/* An invented processor of Intel's kind: AVX2, no AVX-512, 46 physical bits. */
static const CpuidEntry intel_cpuid[] = {
    { 0, 0, false, { 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 } },
    { 1, 0, false, { 0x506e3, 0x00000800, 0xfffa3223, 0x178bfbff } },
    { 4, 0, true, { 0x1c000121, 0x01c0003f, 0x3f, 0 } },
    { 4, 1, true, { 0x1c000122, 0x01c0003f, 0x3f, 0 } },
    { 4, 2, true, { 0x1c004143, 0x03c0003f, 0x3ff, 0 } },
    { 4, 3, true, { 0x1c03c163, 0x03c0003f, 0x1fff, 0x6 } },
    { 6, 0, false, { 0x4, 0, 0, 0 } },
    { 7, 0, true, { 1, 0x009c27ab, 0x00000004, 0xac000400 } },
    { 7, 1, true, { 0, 0, 0, 0 } },
    { 0xa, 0, false, { 0x07300804, 0, 0, 0x603 } },
    { 0xd, 0, true, { 0x7, 832, 832, 0 } },
    { 0xd, 1, true, { 0xf, 832, 0, 0 } },
    { 0xd, 2, true, { 256, 576, 0, 0 } },
    { 0x14, 0, true, { 0, 0, 0, 0 } },
    KVM_LEAVES,
    { 0x80000000, 0, false, { 0x80000008, 0, 0, 0 } },
    { 0x80000001, 0, false, { 0, 0, 0x121, 0x2c100800 } },
    { 0x80000007, 0, false, { 0, 0, 0, 0x100 } },
    { 0x80000008, 0, false, { 0x302e, 0, 0, 0 } },
};

/* One of AMD's kind: nested paging, 48 physical bits. */
static const CpuidEntry amd_cpuid[] = {
    { 0, 0, false, { 0xd, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 1, 0, false, { 0x00a00f11, 0x00000800, 0xfefa3203, 0x178bfbff } },
    { 7, 0, true, { 0, 0x219c03ab, 0x00400604, 0x00000010 } },
    { 0xd, 0, true, { 0x7, 832, 832, 0 } },
    { 0xd, 1, true, { 0xf, 832, 0, 0 } },
    { 0xd, 2, true, { 256, 576, 0, 0 } },
    KVM_LEAVES,
    { 0x80000000, 0, false, { 0x8000001e, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 0x80000001, 0, false, { 0x00a00f11, 0, 0x004001f7, 0x2fd3fbff } },
    { 0x80000007, 0, false, { 0, 0, 0, 0x100 } },
    { 0x80000008, 0, false, { 0x3030, 0x0100d205, 0, 0 } },
    { 0x8000000a, 0, false, { 1, 8, 0, 0x119b9cff } },
    { 0x8000001d, 0, true, { 0x121, 0x01c0003f, 0x3f, 0 } },
    { 0x8000001d, 3, true, { 0x163, 0x03c0003f, 0x7fff, 1 } },
    { 0x8000001e, 0, false, { 0, 0, 0, 0 } },
};

static FakeVcpu *to_fake(Vcpu *vcpu)
{
    return CONTAINER_OF(vcpu, FakeVcpu, vcpu);
}

static bool fake_open(Vcpu *vcpu, GError **error)
{
    g_mutex_init(&to_fake(vcpu)->lock);
    g_cond_init(&to_fake(vcpu)->changed);
    return true;
}

static void fake_close(Vcpu *vcpu)
{
    g_cond_clear(&to_fake(vcpu)->changed);
    g_mutex_clear(&to_fake(vcpu)->lock);
}

static bool fake_reset(Vcpu *vcpu, const VcpuBoot *boot, GError **error)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    fake->n_resets++;
    fake->boot = *boot;
    lock_drop(&fake->lock);
    return true;
}

static VcpuState *fake_get_state(Vcpu *vcpu, GError **error)
{
    error_set(error, "a vCPU of the fake hypervisor has no registers");
    return NULL;
}

static bool fake_set_state(Vcpu *vcpu, const VcpuState *state, GError **error)
{
    error_set(error, "a vCPU of the fake hypervisor has no registers");
    return false;
}

static char *fake_describe(Vcpu *vcpu)
{
    return g_strdup("");
}

static bool fake_is_halted(Vcpu *vcpu)
{
    return true;
}

static int fake_registers(Vcpu *vcpu, VcpuRegisters *ret_registers)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    *ret_registers = fake->registers;
    lock_drop(&fake->lock);
    return 0;
}

static void fake_inject_nmi(Vcpu *vcpu)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    fake->n_nmis++;
    lock_drop(&fake->lock);
}

static VcpuRun fake_run(Vcpu *vcpu, VcpuStop *ret_stop)
{
    FakeVcpu *fake = to_fake(vcpu);
    VcpuRun result = VCPU_RUN_AGAIN;
    VmFakeExitFn *fn;

    lock_take(&fake->lock);
    while (!fake->kicked && !fake->stops && !fake->exit_fn)
        lock_wait(&fake->changed, &fake->lock);
    fn = g_steal_pointer(&fake->exit_fn);
    if (!fn && fake->stops) {
        fake->stops = false;
        *ret_stop = fake->stop;
        result = VCPU_RUN_STOPPED;
    } else if (!fn) {
        result = VCPU_RUN_INTERRUPTED;
    }
    lock_drop(&fake->lock);
    if (fn)
        fn(fake->exit_opaque);
    return result;
}

static void fake_resumed(Vcpu *vcpu)
{
}

static void set_kicked(Vcpu *vcpu, bool kicked)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    fake->kicked = kicked;
    g_cond_broadcast(&fake->changed);
    lock_drop(&fake->lock);
}

static void fake_kick(Vcpu *vcpu)
{
    set_kicked(vcpu, true);
}

static void fake_unkick(Vcpu *vcpu)
{
    set_kicked(vcpu, false);
}

void vm_fake_vcpu_stop(Vcpu *vcpu, VcpuStopReason reason, const char *detail)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    fake->stops = true;
    fake->stop.reason = reason;
    g_strlcpy(fake->stop.detail, detail, sizeof(fake->stop.detail));
    g_cond_broadcast(&fake->changed);
    lock_drop(&fake->lock);
}

void vm_fake_vcpu_exit(Vcpu *vcpu, VmFakeExitFn *fn, void *opaque)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    g_assert(!fake->exit_fn);
    fake->exit_fn = fn;
    fake->exit_opaque = opaque;
    g_cond_broadcast(&fake->changed);
    lock_drop(&fake->lock);
}

void vm_fake_vcpu_set_registers(Vcpu *vcpu, const VcpuRegisters *registers)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    fake->registers = *registers;
    lock_drop(&fake->lock);
}

unsigned vm_fake_vcpu_nmis(Vcpu *vcpu)
{
    FakeVcpu *fake = to_fake(vcpu);
    unsigned n;

    lock_take(&fake->lock);
    n = fake->n_nmis;
    lock_drop(&fake->lock);
    return n;
}

unsigned vm_fake_vcpu_resets(Vcpu *vcpu, VcpuBoot *ret_boot)
{
    FakeVcpu *fake = to_fake(vcpu);
    unsigned n;

    lock_take(&fake->lock);
    n = fake->n_resets;
    if (ret_boot)
        *ret_boot = fake->boot;
    lock_drop(&fake->lock);
    return n;
}

bool vm_fake_vcpu_cpuid(Vcpu *vcpu, uint32_t function, uint32_t index,
                        uint32_t ret_regs[4])
{
    g_autoptr(GArray) cpuid = cpu_model_cpuid(vcpu->model, vcpu->index, FAKE_TSC_KHZ);
    const CpuidEntry *entry = cpu_model_find(cpuid, function, index);

    if (entry)
        memcpy(ret_regs, entry->regs, sizeof(entry->regs));
    return entry != NULL;
}

GArray *vm_fake_vcpu_host(bool is_amd)
{
    GArray *cpuid = g_array_new(FALSE, FALSE, sizeof(CpuidEntry));

    if (is_amd)
        return g_array_append_vals(cpuid, amd_cpuid, G_N_ELEMENTS(amd_cpuid));
    return g_array_append_vals(cpuid, intel_cpuid, G_N_ELEMENTS(intel_cpuid));
}

const VcpuOps vm_fake_vcpu_ops = {
    .instance_size = sizeof(FakeVcpu),
    .open = fake_open,
    .close = fake_close,
    .reset = fake_reset,
    .get_state = fake_get_state,
    .set_state = fake_set_state,
    .describe = fake_describe,
    .is_halted = fake_is_halted,
    .registers = fake_registers,
    .inject_nmi = fake_inject_nmi,
    .run = fake_run,
    .resumed = fake_resumed,
    .kick = fake_kick,
    .unkick = fake_unkick,
};
