/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The properties of "-cpu" beside features, of named models and of the host's: what each
 * does to CPUID and to the MSRs that tell of features.
 */
#include "berth/thread.h"

#include "cpu-guest.h"

static const VmFakeCpu complete = { .is_complete = true };
static const VmFakeCpu complete_amd = { .is_complete = true, .is_amd = true };

typedef struct RegCase {
    const char *text;
    const VmFakeCpu *cpu;
    uint32_t function;
    uint32_t index;
    unsigned reg;
    uint32_t mask;
    uint32_t value;
} RegCase;

static const RegCase regs[] = {
    /* A model's own level, raised by features, or as it is given. */
    { "Nehalem", &complete, 0, 0, EAX, ~0u, 11 },
    { "Nehalem,avx2=on", &complete, 0, 0, EAX, ~0u, 11 },
    { "core2duo,avx2=on", &complete, 0, 0, EAX, ~0u, 10 },
    { "core2duo,xsave=on", &complete, 0, 0, EAX, ~0u, 13 },
    { "Nehalem,min-level=22", &complete, 0, 0, EAX, ~0u, 22 },
    { "Nehalem,level=4", &complete, 7, 0, EBX, ~0u, 0 },
    { "Nehalem,level=4", &complete, 0, 0, EAX, ~0u, 4 },
    { "Nehalem,xlevel=0x80000004", &complete, 0x80000000, 0, EAX, ~0u, 0x80000004 },
    { "Nehalem,xlevel=0x80000004", &complete, 0x80000008, 0, EAX, ~0u, 0 },
    { "Nehalem,xlevel=0", &complete, 0x80000000, 0, EAX, ~0u, 0 },
    { "Nehalem,xlevel=0", &complete, 1, 0, EAX, ~0u, 0x106a3 },
    { "Nehalem,min-xlevel=0x8000000a", &complete, 0x80000000, 0, EAX, ~0u, 0x8000000a },
    { "Skylake-Server,avx-vnni=on", &complete, 7, 0, EAX, ~0u, 1 },
    { "SapphireRapids,level-func7=0", &complete, 7, 0, EAX, ~0u, 0 },
    /* Who it is. */
    { "Nehalem", &complete, 1, 0, EAX, ~0u, 0x106a3 },
    { "Nehalem,family=21,model=48,stepping=2", &complete, 1, 0, EAX, ~0u, 0x630f02 },
    { "Nehalem,vendor=GenuineIntel", &complete_amd, 0, 0, EBX, ~0u, 0x756e6547 },
    { "Nehalem", &complete_amd, 0, 0, EBX, ~0u, 0x68747541 },
    { "Nehalem,model-id=Abcd", &complete, 0x80000002, 0, EAX, ~0u, 0x64636241 },
    { "Nehalem,model-id=Abcd", &complete, 0x80000002, 0, EBX, ~0u, 0 },
    /* EDX of 0x80000001 repeats leaf 1 on AMD's only. */
    { "EPYC", &complete_amd, 0x80000001, 0, EDX, 1, 1 },
    { "Nehalem", &complete, 0x80000001, 0, EDX, 1, 0 },
    /* What KVM gives every model, and what a model gets when asked only. */
    { "Nehalem", &complete, 1, 0, ECX, 1u << 21, 1u << 21 },
    { "Nehalem,x2apic=off", &complete, 1, 0, ECX, 1u << 21, 0 },
    { "EPYC", &complete_amd, 0x80000001, 0, ECX, 1u << 2, 0 },
    { "EPYC,svm=on", &complete_amd, 0x80000001, 0, ECX, 1u << 2, 1u << 2 },
    { "EPYC", &complete_amd, 1, 0, ECX, 1u << 3, 0 },
    { "Nehalem", &complete, 0x40000001, 0, EAX, ~0u, 0x0100007b },
    { "base", &complete, 0x40000001, 0, EAX, ~0u, 0 },
    { "base", &complete, 1, 0, EDX, ~0u, 0 },
    /* Addresses. */
    { "Nehalem", &complete, 0x80000008, 0, EAX, ~0u, 0x3028 },
    { "Nehalem,host-phys-bits=on", &complete, 0x80000008, 0, EAX, ~0u, 0x302e },
    { "Nehalem,phys-bits=44", &complete, 0x80000008, 0, EAX, ~0u, 0x302c },
    { "Nehalem,la57=on", &complete, 0x80000008, 0, EAX, ~0u, 0x3928 },
    { "Nehalem,guest-phys-bits=36", &complete, 0x80000008, 0, EAX, ~0u, 0x243028 },
    /* Caches: a model's, none of the third level, the host's. */
    { "Nehalem", &complete, 4, 3, ECX, ~0u, 0x3fff },
    { "Nehalem,l3-cache=off", &complete, 4, 3, EAX, ~0u, 0 },
    { "Nehalem,host-cache-info=on", &complete, 4, 3, ECX, ~0u, 0x1fff },
    { "host", &complete, 4, 3, ECX, ~0u, 0x1fff },
    { "host,l3-cache=off", &complete, 4, 3, EAX, ~0u, 0 },
    { "host,host-cache-info=off", &complete, 4, 3, ECX, ~0u, 0x3fff },
    { "EPYC-Milan", &complete_amd, 0x80000006, 0, EDX, ~0u, 0x01008140 },
    { "EPYC-Milan,l3-cache=off", &complete_amd, 0x80000006, 0, EDX, ~0u, 0 },
    { "EPYC-Milan,topoext=off", &complete_amd, 0x8000001d, 3, EAX, ~0u, 0 },
    /* Counters. */
    { "Nehalem", &complete, 0xa, 0, EAX, ~0u, 0 },
    { "Nehalem,pmu=on", &complete, 0xa, 0, EAX, ~0u, 0x07300804 },
    { "EPYC-v3", &complete_amd, 0x80000001, 0, ECX, 1u << 23, 1u << 23 },
    { "EPYC-v3,pmu=off", &complete_amd, 0x80000001, 0, ECX, 1u << 23, 0 },
    { "EPYC-Genoa-v2,pmu=off", &complete_amd, 0x80000022, 0, EAX, 1, 0 },
    /* Tiles and their state come and go with their feature. */
    { "SapphireRapids", &complete, 0xd, 0, EAX, 3u << 17, 3u << 17 },
    { "SapphireRapids,amx-tile=off", &complete, 0xd, 0, EAX, 3u << 17, 0 },
    { "SapphireRapids,amx-tile=off", &complete, 0xd, 0, ECX, ~0u, 2696 },
    { "Skylake-Server", &complete, 0xd, 0, EAX, ~0u, 0x2e7 },
    { "SapphireRapids-v5", &complete, 0xd, 1, ECX, ~0u, 3u << 11 },
    { "SapphireRapids-v5,xsaves=off", &complete, 0xd, 1, ECX, ~0u, 0 },
    /* A TSC that is fixed may be invariant and moved. */
    { "host", &complete, 0x80000007, 0, EDX, 1u << 8, 0 },
    { "host,tsc-frequency=2000000000", &complete, 0x80000007, 0, EDX, 1u << 8, 1u << 8 },
    { "host,vmware-cpuid-freq=off", &complete, 0x40000010, 0, EAX, ~0u, 0 },
    /* The topology's leaves. */
    { "Nehalem", &complete, 0xb, 0, ECX, ~0u, 0x100 },
    { "Nehalem,cpuid-0xb=off", &complete, 0xb, 0, ECX, ~0u, 0 },
    { "SapphireRapids-v3", &complete, 0x1f, 0, ECX, ~0u, 0 },
    { "SapphireRapids-v4", &complete, 0x1f, 0, ECX, ~0u, 0x100 },
};

static void test_registers(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(regs); i++) {
        const RegCase *row = &regs[i];
        g_auto(CpuGuest) guest = cpu_guest_new(row->text, &cpu_guest_one, 0, row->cpu);
        uint32_t got = cpu_guest_get(&guest, row->function, row->index, row->reg);

        if ((got & row->mask) != row->value)
            g_error("'%s': %08x.%u register %u is %08x", row->text, row->function,
                    row->index, row->reg, got);
    }
}

/* A feature goes with its ground, which a list of features of VMX shows best. */
static void test_vmx_goes_as_a_whole(void)
{
    g_auto(CpuGuest) none = cpu_guest_new("Nehalem", &cpu_guest_one, 0, &complete);
    g_auto(CpuGuest) vmx = cpu_guest_new("Nehalem,vmx=on", &cpu_guest_one, 0, &complete);
    g_auto(CpuGuest) no_ept =
        cpu_guest_new("Nehalem,vmx=on,vmx-ept=off", &cpu_guest_one, 0, &complete);

    g_assert_cmphex(cpu_guest_msr(&none, 0x48e), ==, 0);
    g_assert_cmphex(cpu_guest_msr(&vmx, 0x48b) >> 32 & 2, ==, 2);
    g_assert_cmphex(cpu_guest_msr(&vmx, 0x48c) & 0x4041, ==, 0x41);
    g_assert_cmphex(cpu_guest_msr(&no_ept, 0x48b) >> 32 & 2, ==, 0);
    g_assert_cmphex(cpu_guest_msr(&no_ept, 0x48c) & 0x41, ==, 0);
}

/* What a control may be: features either, the others as they must. */
static void test_vmx_controls(void)
{
    g_auto(CpuGuest) guest =
        cpu_guest_new("Nehalem,vmx=on", &cpu_guest_one, 0, &complete);
    uint64_t exits = cpu_guest_msr(&guest, 0x48f);
    uint64_t basic = cpu_guest_msr(&guest, 0x480);

    g_assert_cmphex((uint32_t)exits, ==, 0x36dff & ~(1u << 2));
    g_assert_cmphex(exits >> 32 & (1u << 9), ==, 1u << 9);
    g_assert_cmphex((uint32_t)exits & ~(uint32_t)(exits >> 32), ==, 0);
    g_assert_cmphex(basic >> 54 & 3, ==, 3);
}

static void test_feature_msrs(void)
{
    VmFakeCpu intel = { 0 };
    g_auto(CpuGuest) host = cpu_guest_new("host", &cpu_guest_one, 0, &intel);
    g_auto(CpuGuest) plain =
        cpu_guest_new("host,arch-capabilities=off", &cpu_guest_one, 0, &intel);
    g_auto(CpuGuest) old = cpu_guest_new("Cascadelake-Server-v2,check=off",
                                         &cpu_guest_one, 0, &complete);
    g_auto(CpuGuest) given =
        cpu_guest_new("Nehalem,ucode-rev=0x700000000", &cpu_guest_one, 0, &intel);

    g_assert_cmphex(cpu_guest_msr(&host, 0x10a), ==, 0x6b);
    g_assert_cmphex(cpu_guest_msr(&plain, 0x10a), ==, 0);
    g_assert_cmphex(cpu_guest_msr(&old, 0x10a), ==, 0x2b);
    g_assert_cmphex(cpu_guest_msr(&host, 0x8b), ==, 0x100000000);
    g_assert_cmphex(cpu_guest_msr(&given, 0x8b), ==, 0x700000000);
}

/* Caches are shared by those that the model says, in the guest's topology. */
static void test_shared_caches(void)
{
    CpuTopology topology = {
        .cpus = 8, .max_cpus = 8, .sockets = 1, .dies = 2, .cores = 2, .threads = 2,
    };
    g_auto(CpuGuest) package =
        cpu_guest_new("SapphireRapids-v4", &topology, 0, &complete);
    g_auto(CpuGuest) die = cpu_guest_new("SapphireRapids-v3", &topology, 0, &complete);
    g_auto(CpuGuest) module = cpu_guest_new("SierraForest-v3", &topology, 0, &complete);
    g_auto(CpuGuest) amd = cpu_guest_new("EPYC-Genoa", &topology, 0, &complete_amd);

    g_assert_cmphex(cpu_guest_get(&package, 4, 3, EAX), ==, 0x0c01c163);
    g_assert_cmphex(cpu_guest_get(&die, 4, 3, EAX), ==, 0x0c00c163);
    g_assert_cmphex(cpu_guest_get(&module, 4, 2, EAX), ==, 0x0c00c143);
    g_assert_cmphex(cpu_guest_get(&amd, 0x8000001d, 3, EAX), ==, 0x0000c163);
    g_assert_cmphex(cpu_guest_get(&amd, 0x8000001e, 0, EBX), ==, 0x100);
}

static const struct {
    const char *text;
    const char *named;
} refused[] = {
    { "pentium3", "no 64-bit mode" },
    { "qemu32-v1", "no 64-bit mode" },
    { "KnightsMill", "no server's" },
    { "Nehalem-v9", "'Nehalem-v9'" },
    { "Nehalem-", "'Nehalem-'" },
    { "Nehalem,x-force-features=on", "tests of QEMU" },
    { "Nehalem,hv-syndbg=on", "debugger" },
    { "Nehalem,tcg-cpuid=off", "TCG" },
    { "Nehalem,migratable=off", "'migratable=off'" },
    { "Nehalem,vendor=Intel", "12 characters" },
    { "Nehalem,family=300", "0 to 270" },
    { "Nehalem,stepping=16", "0 to 15" },
    { "Nehalem,model=-1", "'model'" },
    { "Nehalem,tsc-freq=fast", "'tsc-freq'" },
    { "Nehalem,tsc-frequency=2.4G", "'tsc-frequency'" },
    { "Nehalem,phys-bits=20", "32 to 52" },
    { "Nehalem,phys-bits=50", "46" },
    { "Nehalem,host-phys-bits-limit=4", "32 to 52" },
    { "Nehalem,hv-vendor-id=more-than-twelve", "at most 12" },
    { "Nehalem,hv-spinlocks=0x1ffffffff", "'hv-spinlocks'" },
    { "Nehalem,hv-no-nonarch-coresharing=maybe", "'maybe'" },
};

static void test_refused(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++)
        cpu_guest_refused(refused[i].text, NULL, refused[i].named);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/cpu-options/registers", test_registers);
    g_test_add_func("/cpu-options/vmx-goes-as-a-whole", test_vmx_goes_as_a_whole);
    g_test_add_func("/cpu-options/vmx-controls", test_vmx_controls);
    g_test_add_func("/cpu-options/feature-msrs", test_feature_msrs);
    g_test_add_func("/cpu-options/shared-caches", test_shared_caches);
    g_test_add_func("/cpu-options/refused", test_refused);
    return g_test_run();
}
