/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-cpu" text, topology, and the CPUID that comes of them, on the fake hypervisor's
 * processor.
 */
#include <string.h>

#include "berth/log.h"
#include "berth/thread.h"

#include "cpu-guest.h"

typedef struct PlaceCase {
    CpuTopology topology;
    unsigned index;
    CpuPlace place;
} PlaceCase;

#define TOPOLOGY(_s, _d, _c, _t) \
    { .cpus = (_s) * (_d) * (_c) * (_t), .max_cpus = (_s) * (_d) * (_c) * (_t), \
      .sockets = (_s), .dies = (_d), .cores = (_c), .threads = (_t) }

static const PlaceCase places[] = {
    { TOPOLOGY(1, 1, 1, 1), 0, { 0, 0, 0, 0, 0 } },
    { TOPOLOGY(1, 1, 4, 2), 5, { 0, 0, 2, 1, 5 } },
    { TOPOLOGY(2, 1, 3, 2), 6, { 1, 0, 0, 0, 8 } },
    { TOPOLOGY(2, 2, 3, 1), 11, { 1, 1, 2, 0, 14 } },
    { TOPOLOGY(4, 1, 1, 1), 3, { 3, 0, 0, 0, 3 } },
};

static void test_places(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        CpuPlace place = cpu_topology_place(&places[i].topology, places[i].index);

        g_assert_cmpmem(&place, sizeof(place), &places[i].place, sizeof(place));
    }
}

static uint32_t get(const CpuGuest *guest, uint32_t function, uint32_t index,
                    unsigned reg)
{
    return cpu_guest_get(guest, function, index, reg);
}

static CpuGuest guest_new(const char *text, const CpuTopology *topology, unsigned index,
                          bool is_amd)
{
    return cpu_guest_new(text, topology, index, &(VmFakeCpu){ .is_amd = is_amd });
}

static bool has(const char *text, uint32_t function, unsigned reg, unsigned bit)
{
    g_auto(CpuGuest) guest = guest_new(text, &cpu_guest_one, 0, false);

    return get(&guest, function, 0, reg) >> bit & 1;
}

static void test_features_on_and_off(void)
{
    g_assert_true(has("host", 7, EBX, 5));
    g_assert_false(has("host,-avx2", 7, EBX, 5));
    g_assert_false(has("max,avx2=off", 7, EBX, 5));
    g_assert_true(has("host,avx2=off,avx2=on", 7, EBX, 5));
    g_assert_true(has("host,avx2=off,+avx2", 7, EBX, 5));
    g_assert_false(has("host,-avx2,+avx2", 7, EBX, 5));
    g_assert_true(has("host,avx2=off,avx2", 7, EBX, 5));
}

static void test_aliases(void)
{
    g_assert_false(has("host,-sse4_1", 1, ECX, 19));
    g_assert_false(has("host,-sse4.1", 1, ECX, 19));
    g_assert_false(has("host,-sse4-1", 1, ECX, 19));
    g_assert_false(has("host,tsc_deadline=off", 1, ECX, 24));
    g_assert_false(has("host,sse3=off", 1, ECX, 0));
    g_assert_false(has("host,-kvmclock", 0x40000001, EAX, 0));
    g_assert_false(has("host,-kvmclock", 0x40000001, EAX, 3));
}

static void test_what_cannot_be_migrated_is_off(void)
{
    g_assert_false(has("host", 0x80000007, EDX, 8));
    g_assert_true(has("host,migratable=off", 0x80000007, EDX, 8));
    g_assert_true(has("host,+invtsc", 0x80000007, EDX, 8));
    g_assert_false(has("host", 0x40000001, EDX, 0));
    g_assert_true(has("host,kvm-hint-dedicated=on", 0x40000001, EDX, 0));
}

static void test_performance_counters(void)
{
    g_auto(CpuGuest) with = guest_new("host", &cpu_guest_one, 0, false);
    g_auto(CpuGuest) without = guest_new("host,pmu=off", &cpu_guest_one, 0, false);

    g_assert_cmphex(get(&with, 0xa, 0, EAX), ==, 0x07300804);
    g_assert_false(cpu_guest_has(&without, 0xa));
}

static void test_kvm_leaves(void)
{
    g_auto(CpuGuest) shown = guest_new("host", &cpu_guest_one, 0, false);
    g_auto(CpuGuest) hidden = guest_new("host,kvm=off", &cpu_guest_one, 0, false);

    g_assert_cmphex(get(&shown, 0x40000000, 0, EAX), ==, 0x40000010);
    g_assert_cmpuint(get(&shown, 0x40000010, 0, EAX), ==, 2000000);
    g_assert_cmpuint(get(&shown, 0x40000010, 0, EBX), ==, 1000000);
    g_assert_false(cpu_guest_has(&hidden, 0x40000000));
    g_assert_false(cpu_guest_has(&hidden, 0x40000010));
}

static void test_xsave_follows_features(void)
{
    g_auto(CpuGuest) full = guest_new("host", &cpu_guest_one, 0, false);
    g_auto(CpuGuest) no_avx = guest_new("host,-avx,-avx2", &cpu_guest_one, 0, false);
    g_auto(CpuGuest) none = guest_new("host,-xsave", &cpu_guest_one, 0, false);

    g_assert_cmphex(get(&full, 0xd, 0, EAX), ==, 7);
    g_assert_cmpuint(get(&full, 0xd, 0, ECX), ==, 832);
    g_assert_cmphex(get(&no_avx, 0xd, 0, EAX), ==, 3);
    g_assert_cmpuint(get(&no_avx, 0xd, 0, ECX), ==, 576);
    g_assert_cmpuint(get(&no_avx, 0xd, 2, EAX), ==, 0);
    g_assert_false(cpu_guest_has(&none, 0xd));
}

static void test_physical_bits(void)
{
    static const struct {
        const char *text;
        unsigned bits;
    } cases[] = {
        { "host", 46 },
        { "host,host-phys-bits=off", 40 },
        { "host,host-phys-bits-limit=42", 42 },
        { "host,host-phys-bits-limit=48", 46 },
        { "host,phys-bits=36", 36 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(CpuGuest) cpuid = guest_new(cases[i].text, &cpu_guest_one, 0, false);

        g_assert_cmpuint(get(&cpuid, 0x80000008, 0, EAX) & 0xff, ==, cases[i].bits);
        g_assert_cmphex(get(&cpuid, 0x80000008, 0, EAX) >> 8 & 0xff, ==, 0x30);
    }
}

static void test_topology_leaves(void)
{
    CpuTopology topology = TOPOLOGY(2, 1, 3, 2);
    g_auto(CpuGuest) cpuid = guest_new("host", &topology, 9, false);

    g_assert_cmphex(get(&cpuid, 1, 0, EBX), ==, 0x0b080800);
    g_assert_cmpuint(get(&cpuid, 1, 0, EDX) >> 28 & 1, ==, 1);
    g_assert_cmphex(get(&cpuid, 4, 0, EAX) >> 14, ==, 3 << 12 | 1);
    g_assert_cmphex(get(&cpuid, 4, 3, EAX) >> 14, ==, 3 << 12 | 7);
    g_assert_cmpuint(get(&cpuid, 0xb, 0, EAX), ==, 1);
    g_assert_cmpuint(get(&cpuid, 0xb, 0, EBX), ==, 2);
    g_assert_cmphex(get(&cpuid, 0xb, 0, ECX), ==, 0x100);
    g_assert_cmpuint(get(&cpuid, 0xb, 1, EAX), ==, 3);
    g_assert_cmpuint(get(&cpuid, 0xb, 1, EBX), ==, 6);
    g_assert_cmphex(get(&cpuid, 0xb, 1, ECX), ==, 0x201);
    g_assert_cmpuint(get(&cpuid, 0xb, 2, EBX), ==, 0);
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpuint(get(&cpuid, 0xb, i, EDX), ==, 11);
    g_assert_false(cpu_guest_has(&cpuid, 0x1f));
}

static void test_dies_are_told(void)
{
    CpuTopology topology = TOPOLOGY(1, 2, 2, 1);
    g_auto(CpuGuest) cpuid = guest_new("host", &topology, 3, false);

    g_assert_cmphex(get(&cpuid, 0, 0, EAX), ==, 0x1f);
    g_assert_cmphex(get(&cpuid, 0x1f, 1, ECX), ==, 0x201);
    g_assert_cmpuint(get(&cpuid, 0x1f, 1, EAX), ==, 1);
    g_assert_cmphex(get(&cpuid, 0x1f, 2, ECX), ==, 0x502);
    g_assert_cmpuint(get(&cpuid, 0x1f, 2, EAX), ==, 2);
    g_assert_cmpuint(get(&cpuid, 0x1f, 2, EBX), ==, 4);
    g_assert_cmphex(get(&cpuid, 0x1f, 3, ECX), ==, 3);
    g_assert_cmpuint(get(&cpuid, 0xb, 1, EBX), ==, 4);
}

static void test_amd_leaves(void)
{
    CpuTopology topology = TOPOLOGY(1, 1, 4, 2);
    g_auto(CpuGuest) cpuid = guest_new("host", &topology, 5, true);
    g_auto(CpuGuest) single = guest_new("host,-sse2,-svm", &cpu_guest_one, 0, true);

    g_assert_cmphex(get(&cpuid, 0x80000001, 0, ECX) & 2, ==, 2);
    g_assert_cmphex(get(&cpuid, 0x80000008, 0, ECX), ==, 0x3007);
    g_assert_cmpuint(get(&cpuid, 0x8000001d, 0, EAX) >> 14, ==, 1);
    g_assert_cmpuint(get(&cpuid, 0x8000001d, 3, EAX) >> 14, ==, 7);
    g_assert_cmpuint(get(&cpuid, 0x8000001e, 0, EAX), ==, 5);
    g_assert_cmphex(get(&cpuid, 0x8000001e, 0, EBX), ==, 0x102);
    g_assert_true(cpu_guest_has(&cpuid, 0x8000000a));
    g_assert_cmphex(get(&single, 0x80000001, 0, ECX) & 6, ==, 0);
    g_assert_false(cpu_guest_has(&single, 0x8000000a));
}

typedef struct BadText {
    const char *text;
    const char *named;          /* in the error */
} BadText;

static const BadText bad_texts[] = {
    { "", "CPU model ''" },
    { "Niagara", "'Niagara'" },
    { "host,+frobnicate", "'frobnicate'" },
    { "host,frobnicate=on", "'frobnicate'" },
    { "host,-", "''" },
    { "host,", "empty" },
    { "host,avx2=perhaps", "'perhaps'" },
    { "host,migratable=1", "'migratable'" },
    { "host,phys-bits=99", "'phys-bits'" },
    { "host,phys-bits=52", "46" },
    { "host,enforce=on,+svm", "requested features" },
    { "host,enforce,avx512f=on", "requested features" },
};

static void test_bad_texts_are_named(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bad_texts); i++)
        cpu_guest_refused(bad_texts[i].text, NULL, bad_texts[i].named);
}

static void test_missing_feature_is_a_warning(void)
{
    int ends[2];
    char text[256];
    ssize_t n;

    g_assert_cmpint(pipe(ends), ==, 0);
    log_set_fd(ends[1]);
    g_assert_false(has("host,+avx512f,check=off", 7, EBX, 16));
    g_assert_false(has("host,+avx512f", 7, EBX, 16));
    log_set_fd(2);
    close(ends[1]);
    n = read(ends[0], text, sizeof(text) - 1);
    close(ends[0]);

    g_assert_cmpint(n, >, 0);
    text[n] = '\0';
    g_assert_cmpstr(text, ==, "berth: warning: host doesn't support requested feature: "
                    "CPUID[eax=07h,ecx=00h].EBX.avx512f [bit 16]\n");
}

static void test_apic_ids_out_of_reach(void)
{
    CpuTopology topology = TOPOLOGY(1, 1, 129, 1);
    CpuTopology two = TOPOLOGY(2, 1, 129, 1);
    g_autoptr(Vm) vm = vm_fake_new();
    g_autoptr(CpuModel) fits = cpu_model_new(vm, "host", &topology, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(fits);
    g_assert_null(cpu_model_new(vm, "host", &two, &error));
    g_assert_nonnull(strstr(error->message, "APIC ids up to 384"));
}

/* What management software writes for the server models that it knows. */
static const char *const server_features[] = {
    "3dnowprefetch", "abm", "adx", "aes", "amd-ssbd", "amd-stibp", "amx-bf16",
    "amx-int8", "amx-tile", "apic", "arat", "arch-capabilities", "auto-ibrs", "avx",
    "avx-vnni", "avx2", "avx512-bf16", "avx512-fp16", "avx512-vpopcntdq", "avx512bitalg",
    "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512ifma", "avx512vbmi",
    "avx512vbmi2", "avx512vl", "avx512vnni", "bmi1", "bmi2", "bus-lock-detect",
    "clflush", "clflushopt", "clwb", "clzero", "cmov", "cmp_legacy", "cr8legacy",
    "cx16", "cx8", "de", "erms", "f16c", "fma", "fpu", "fsgsbase", "fsrm", "fxsr",
    "fxsr_opt", "gfni", "hle", "hypervisor", "ibpb", "ibrs", "invpcid", "invtsc",
    "la57", "lahf_lm", "lm", "mca", "mce", "md-clear", "misalignsse", "mmx", "mmxext",
    "movbe", "msr", "mtrr", "npt", "nrip-save", "nx", "osvw", "pae", "pat", "pcid",
    "pclmulqdq", "pdpe1gb", "perfctr_core", "pge", "pku", "pni", "popcnt", "pse",
    "pse36", "rdpid", "rdrand", "rdseed", "rdtscp", "rtm", "sep", "serialize", "sha-ni",
    "smap", "smep", "spec-ctrl", "ss", "ssbd", "sse", "sse2", "sse4.1", "sse4.2",
    "sse4a", "ssse3", "stibp", "svm", "svme-addr-chk", "syscall", "topoext", "tsc",
    "tsc-deadline", "tsc_adjust", "tsx-ldtrk", "umip", "vaes", "virt-ssbd", "vme",
    "vmx", "vpclmulqdq", "wbnoinvd", "x2apic", "xfd", "xgetbv1", "xsave", "xsavec",
    "xsaveerptr", "xsaveopt", "xsaves", "kvm-pv-unhalt", "kvm_pv_eoi", "kvmclock",
};

static void test_server_features_are_known(void)
{
    g_autoptr(Vm) vm = vm_fake_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(server_features); i++) {
        g_autofree char *text = g_strdup_printf("host,-%s", server_features[i]);
        g_autoptr(GError) error = NULL;
        g_autoptr(CpuModel) model = cpu_model_new(vm, text, &cpu_guest_one, &error);

        g_assert_no_error(error);
        g_assert_nonnull(model);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/cpu-model/places", test_places);
    g_test_add_func("/cpu-model/features-on-and-off", test_features_on_and_off);
    g_test_add_func("/cpu-model/aliases", test_aliases);
    g_test_add_func("/cpu-model/what-cannot-be-migrated-is-off",
                    test_what_cannot_be_migrated_is_off);
    g_test_add_func("/cpu-model/performance-counters", test_performance_counters);
    g_test_add_func("/cpu-model/kvm-leaves", test_kvm_leaves);
    g_test_add_func("/cpu-model/xsave-follows-features", test_xsave_follows_features);
    g_test_add_func("/cpu-model/physical-bits", test_physical_bits);
    g_test_add_func("/cpu-model/topology-leaves", test_topology_leaves);
    g_test_add_func("/cpu-model/dies-are-told", test_dies_are_told);
    g_test_add_func("/cpu-model/amd-leaves", test_amd_leaves);
    g_test_add_func("/cpu-model/bad-texts-are-named", test_bad_texts_are_named);
    g_test_add_func("/cpu-model/missing-feature-is-a-warning",
                    test_missing_feature_is_a_warning);
    g_test_add_func("/cpu-model/apic-ids-out-of-reach", test_apic_ids_out_of_reach);
    g_test_add_func("/cpu-model/server-features-are-known",
                    test_server_features_are_known);
    return g_test_run();
}
