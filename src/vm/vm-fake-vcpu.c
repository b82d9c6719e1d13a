/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs of the fake hypervisor: real threads whose guest sleeps until a test makes it do
 * something.
 */
#include <errno.h>
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
    unsigned n_smis;
    VcpuBoot boot;
    VcpuRegisters registers;
} FakeVcpu;

#define KVM_LEAVES \
    { 0x40000000, 0, 0, { 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d } }, \
    { 0x40000001, 0, 0, { 0x01007efb, 0, 0, 1 } }

/* An invented processor of Intel's kind: AVX2, no AVX-512, 46 physical bits. */
static const CpuidEntry intel_cpuid[] = {
    { 0, 0, 0, { 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 } },
    { 1, 0, 0, { 0x506e3, 0x00000800, 0xfffa3223, 0x178bfbff } },
    { 4, 0, 0, { 0x1c000121, 0x01c0003f, 0x3f, 0 } },
    { 4, 1, 0, { 0x1c000122, 0x01c0003f, 0x3f, 0 } },
    { 4, 2, 0, { 0x1c004143, 0x03c0003f, 0x3ff, 0 } },
    { 4, 3, 0, { 0x1c03c163, 0x03c0003f, 0x1fff, 0x6 } },
    { 6, 0, 0, { 0x4, 0, 0, 0 } },
    { 7, 0, 0, { 1, 0x009c27ab, 0x00000004, 0xac000400 } },
    { 7, 1, 0, { 0, 0, 0, 0 } },
    { 0xa, 0, 0, { 0x07300804, 0, 0, 0x603 } },
    { 0xd, 0, 0, { 0x7, 832, 832, 0 } },
    { 0xd, 1, 0, { 0xf, 832, 0, 0 } },
    { 0xd, 2, 0, { 256, 576, 0, 0 } },
    { 0x14, 0, 0, { 0, 0, 0, 0 } },
    KVM_LEAVES,
    { 0x80000000, 0, 0, { 0x80000008, 0, 0, 0 } },
    { 0x80000001, 0, 0, { 0, 0, 0x121, 0x2c100800 } },
    { 0x80000007, 0, 0, { 0, 0, 0, 0x100 } },
    { 0x80000008, 0, 0, { 0x302e, 0, 0, 0 } },
};

/* One of AMD's kind: nested paging, 48 physical bits. */
static const CpuidEntry amd_cpuid[] = {
    { 0, 0, 0, { 0xd, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 1, 0, 0, { 0x00a00f11, 0x00000800, 0xfefa3203, 0x178bfbff } },
    { 7, 0, 0, { 0, 0x219c03ab, 0x00400604, 0x00000010 } },
    { 0xd, 0, 0, { 0x7, 832, 832, 0 } },
    { 0xd, 1, 0, { 0xf, 832, 0, 0 } },
    { 0xd, 2, 0, { 256, 576, 0, 0 } },
    KVM_LEAVES,
    { 0x80000000, 0, 0, { 0x8000001e, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 0x80000001, 0, 0, { 0x00a00f11, 0, 0x004001f7, 0x2fd3fbff } },
    { 0x80000007, 0, 0, { 0, 0, 0, 0x100 } },
    { 0x80000008, 0, 0, { 0x3030, 0x0100d205, 0, 0 } },
    { 0x8000000a, 0, 0, { 1, 8, 0, 0x119b9cff } },
    { 0x8000001d, 0, 0, { 0x121, 0x01c0003f, 0x3f, 0 } },
    { 0x8000001d, 3, 0, { 0x163, 0x03c0003f, 0x7fff, 1 } },
    { 0x8000001e, 0, 0, { 0, 0, 0, 0 } },
};

static FakeVcpu *to_fake(Vcpu *vcpu)
{
    return CONTAINER_OF(vcpu, FakeVcpu, vcpu);
}

static bool fails(Vcpu *vcpu, const char *what, GError **error)
{
    int err = vm_fake_next_failure(vcpu->vm);

    if (err)
        error_set_errno(error, -err, "the fake hypervisor cannot %s", what);
    return err != 0;
}

static bool fake_open(Vcpu *vcpu, GError **error)
{
    g_mutex_init(&to_fake(vcpu)->lock);
    g_cond_init(&to_fake(vcpu)->changed);
    return !fails(vcpu, "make a vCPU", error);
}

static void fake_close(Vcpu *vcpu)
{
    g_cond_clear(&to_fake(vcpu)->changed);
    g_mutex_clear(&to_fake(vcpu)->lock);
}

static bool fake_reset(Vcpu *vcpu, const VcpuBoot *boot, GError **error)
{
    FakeVcpu *fake = to_fake(vcpu);

    if (fails(vcpu, "reset a vCPU", error))
        return false;
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

/* It has none. */
static int fake_apic(Vcpu *vcpu, VcpuApic *ret_apic)
{
    return -ENXIO;
}

static void fake_inject_nmi(Vcpu *vcpu)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    fake->n_nmis++;
    lock_drop(&fake->lock);
}

static void fake_inject_smi(Vcpu *vcpu)
{
    FakeVcpu *fake = to_fake(vcpu);

    lock_take(&fake->lock);
    fake->n_smis++;
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

static int fake_open_stats(Vcpu *vcpu)
{
    return vm_fake_open_vcpu_stats(vcpu->vm);
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

static unsigned read_count(FakeVcpu *fake, const unsigned *count)
{
    unsigned n;

    lock_take(&fake->lock);
    n = *count;
    lock_drop(&fake->lock);
    return n;
}

unsigned vm_fake_vcpu_nmis(Vcpu *vcpu)
{
    FakeVcpu *fake = to_fake(vcpu);

    return read_count(fake, &fake->n_nmis);
}

unsigned vm_fake_vcpu_smis(Vcpu *vcpu)
{
    FakeVcpu *fake = to_fake(vcpu);

    return read_count(fake, &fake->n_smis);
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
    const CpuidEntry *entry = cpu_leaf_find(cpuid, function, index);

    if (entry)
        memcpy(ret_regs, entry->regs, sizeof(entry->regs));
    return entry != NULL;
}

bool vm_fake_vcpu_msr(Vcpu *vcpu, uint32_t index, uint64_t *ret_value)
{
    const GArray *msrs = vcpu->model->msrs;

    for (unsigned i = 0; i < msrs->len; i++) {
        const CpuMsr *msr = &g_array_index(msrs, CpuMsr, i);

        if (msr->index == index) {
            *ret_value = msr->value;
            return true;
        }
    }
    return false;
}

/* Feature MSRs of the processor of Intel's kind: nested VMX without much. */
static const CpuMsr intel_msrs[] = {
    { 0x8b, 0x100000000 },
    { 0x10a, 0x6b },
    { 0x345, 0x2000 },
    { 0x480, 0x00d8100000000001 },
    { 0x485, 0x00000000200001e5 },
    { 0x48b, 0x000000aa00000000 },
    { 0x48c, 0x00000f0106134141 },
    { 0x48d, 0x0000007f00000016 },
    { 0x48e, 0xfff9fffe04006172 },
    { 0x48f, 0x007fffff00036dfb },
    { 0x490, 0x0000ffff000011fb },
    { 0x491, 0 },
};

/* A register of each leaf of Hyper-V's that has all features of cpu-hyperv.c. */
static const CpuidEntry hyperv_cpuid[] = {
    { .function = 0x40000000,
      .regs = { 0x4000000a, 0x7263694d, 0x666f736f, 0x76482074 } },
    { .function = 0x40000001, .regs = { 0x31237648 } },
    { .function = 0x40000002, .regs = { 0x3839, 0xa0000 } },
    { .function = 0x40000003, .regs = { 0x2aff, 0x30, 0, 0x84518 } },
    { .function = 0x40000004, .regs = { 0x44e24, 0xfff } },
    { .function = 0x40000005, .regs = { 0xffffffff, 0x40 } },
    { .function = 0x4000000a, .regs = { 0xa0101 } },
};

static GArray *array_of(const void *data, guint n, guint size)
{
    GArray *array = g_array_new(FALSE, FALSE, size);

    return g_array_append_vals(array, data, n);
}

#define ARRAY_OF(_rows) array_of(_rows, G_N_ELEMENTS(_rows), sizeof((_rows)[0]))

/* Components of XSAVE: number, size, offset, whether they are a supervisor's. */
static const uint32_t xsave_components[][4] = {
    { 2, 256, 576, 0 },    { 3, 64, 960, 0 },     { 4, 64, 1024, 0 },
    { 5, 64, 1088, 0 },    { 6, 512, 1152, 0 },   { 7, 1024, 1664, 0 },
    { 8, 128, 0, 1 },      { 9, 8, 2688, 0 },     { 11, 16, 0, 1 },
    { 12, 24, 0, 1 },      { 15, 808, 0, 1 },     { 17, 64, 2752, 0 },
    { 18, 8192, 2816, 0 }, { 19, 128, 11008, 0 },
};

static void complete_xsave(GArray *cpuid)
{
    uint32_t user = 3, supervisor = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(xsave_components); i++) {
        const uint32_t *row = xsave_components[i];
        uint32_t regs[4] = { row[1], row[2], row[3] };

        cpu_leaf_append(cpuid, 0xd, row[0], regs);
        if (row[3])
            supervisor |= 1u << row[0];
        else
            user |= 1u << row[0];
    }
    cpu_leaf_find(cpuid, 0xd, 0)->regs[CPUID_EAX] = user;
    cpu_leaf_find(cpuid, 0xd, 1)->regs[CPUID_ECX] = supervisor;
}

/* A processor that has every feature there is a name for. */
static void complete(GArray *cpuid, GArray *msrs)
{
    CpuWords named;

    cpu_features_named(&named);
    cpu_leaf_drop(cpuid, 0xd, 0xd);
    for (unsigned word = 0; word < CPU_WORD__MAX; word++) {
        const CpuWordInfo *info = cpu_features_word((CpuWord)word);
        uint64_t bits = named.bits[word];
        CpuMsr msr = { info->function, bits };
        CpuidEntry *entry;

        if (info->is_msr) {
            /* A control's high half is what may be 1. */
            if (word >= CPU_WORD_VMX_PIN && word <= CPU_WORD_VMX_ENTRY)
                msr.value = bits << 32;
            g_array_append_val(msrs, msr);
            continue;
        }
        entry = cpu_leaf_find(cpuid, info->function, info->index);
        if (!entry) {
            cpu_leaf_append(cpuid, info->function, info->index, (uint32_t[4]){ 0 });
            entry = &g_array_index(cpuid, CpuidEntry, cpuid->len - 1);
        }
        entry->regs[info->reg] |= (uint32_t)bits;
    }
    cpu_leaf_append(cpuid, 0xd, 0, (uint32_t[4]){ 0 });
    complete_xsave(cpuid);
}

CpuHost *vm_fake_vcpu_host(const VmFakeCpu *cpu)
{
    GArray *cpuid = cpu->is_amd ? ARRAY_OF(amd_cpuid) : ARRAY_OF(intel_cpuid);
    GArray *msrs = cpu->is_amd ? g_array_new(FALSE, FALSE, sizeof(CpuMsr))
                               : ARRAY_OF(intel_msrs);
    GArray *hyperv = cpu->has_hyperv ? ARRAY_OF(hyperv_cpuid)
                                     : g_array_new(FALSE, FALSE, sizeof(CpuidEntry));
    CpuHost *host;

    if (cpu->is_complete) {
        g_array_set_size(msrs, 0);
        complete(cpuid, msrs);
    }
    host = cpu_host_new(cpuid, hyperv, msrs);
    host->scales_tsc = cpu->is_complete;
    host->enforces_hyperv = cpu->has_hyperv;
    host->enforces_kvm = true;
    return host;
}

const VcpuOps vm_fake_vcpu_ops = {
    .instance_size = sizeof(FakeVcpu),
    .open = fake_open,
    .close = fake_close,
    .reset = fake_reset,
    .get_state = fake_get_state,
    .set_state = fake_set_state,
    .is_halted = fake_is_halted,
    .registers = fake_registers,
    .apic = fake_apic,
    .inject_nmi = fake_inject_nmi,
    .inject_smi = fake_inject_smi,
    .run = fake_run,
    .resumed = fake_resumed,
    .open_stats = fake_open_stats,
    .kick = fake_kick,
    .unkick = fake_unkick,
};
