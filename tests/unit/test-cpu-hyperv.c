/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hyper-V's interface in CPUID: each feature's bits, what it needs, where KVM's leaves
 * are then.
 */
#include "berth/thread.h"

#include "cpu-guest.h"

static const VmFakeCpu with = { .has_hyperv = true };
static const VmFakeCpu without = { 0 };

typedef struct FeatureCase {
    const char *text;
    uint32_t function;
    unsigned reg;
    uint32_t bits;
} FeatureCase;

static const FeatureCase cases[] = {
    { "host,hv-relaxed", 0x40000004, EAX, 1u << 5 },
    { "host,hv_relaxed=on", 0x40000004, EAX, 1u << 5 },
    { "host,hv-vapic", 0x40000003, EAX, 1u << 4 },
    { "host,hv-vapic", 0x40000004, EAX, 1u << 3 },
    { "host,hv-vpindex", 0x40000003, EAX, 1u << 6 },
    { "host,hv-runtime", 0x40000003, EAX, 1u << 0 },
    { "host,hv-time", 0x40000003, EAX, 1u << 1 | 1u << 9 },
    { "host,hv-vpindex,hv-synic", 0x40000003, EAX, 1u << 2 },
    { "host,hv-vpindex,hv-synic", 0x40000003, EBX, 3u << 4 },
    { "host,hv-vpindex,hv-synic,hv-time,hv-stimer", 0x40000003, EAX, 1u << 3 },
    { "host,hv-vpindex,hv-synic,hv-time,hv-stimer,hv-stimer-direct", 0x40000003, EDX,
      1u << 19 },
    { "host,hv-frequencies", 0x40000003, EAX, 1u << 11 },
    { "host,hv-frequencies", 0x40000003, EDX, 1u << 8 },
    { "host,hv-reset", 0x40000003, EAX, 1u << 7 },
    { "host,hv-crash", 0x40000003, EDX, 1u << 10 },
    { "host,hv-reenlightenment", 0x40000003, EAX, 1u << 13 },
    { "host,hv-vpindex,hv-tlbflush", 0x40000004, EAX, 1u << 2 | 1u << 11 },
    { "host,hv-vpindex,hv-tlbflush,hv-tlbflush-ext", 0x40000003, EDX, 1u << 14 },
    { "host,hv-vapic,hv-tlbflush-direct", 0x4000000a, EAX, 1u << 17 },
    { "host,hv-vpindex,hv-ipi", 0x40000004, EAX, 1u << 10 | 1u << 11 },
    { "host,hv-vapic,hv-evmcs", 0x40000004, EAX, 1u << 14 },
    { "host,hv-vapic,hv-evmcs", 0x4000000a, EAX, 0x101 },
    { "host,hv-emsr-bitmap", 0x4000000a, EAX, 1u << 19 },
    { "host,hv-avic", 0x40000004, EAX, 1u << 9 },
    { "host,hv-apicv", 0x40000004, EAX, 1u << 9 },
    { "host,hv-xmm-input", 0x40000003, EDX, 1u << 4 },
    { "host,hv-time,hv-no-nonarch-coresharing=on", 0x40000004, EAX, 1u << 18 },
    { "host,hv-time,hv-no-nonarch-coresharing=auto", 0x40000004, EAX, 1u << 18 },
    { "host,hv-spinlocks=0x1fff", 0x40000004, EBX, 0x1fff },
    { "host,hv-time", 0x40000004, EBX, 0xffffffff },
    { "host,hv-time", 0x40000001, EAX, 0x31237648 },
    { "host,hv-time", 0x40000003, EAX, 1u << 5 },
    { "host,hv-time", 0x40000003, EDX, 1u << 3 },
    { "host,hv-time,hv-version-id-major=6,hv-version-id-minor=3", 0x40000002, EBX,
      0x60003 },
    { "host,hv-passthrough", 0x40000003, EAX, 0x2aff },
    { "host,hv-passthrough", 0x40000003, EDX, 0x84518 },
    { "host,hv-passthrough", 0x40000004, EBX, 0xfff },
};

static void test_features(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const FeatureCase *row = &cases[i];
        g_auto(CpuGuest) guest = cpu_guest_new(row->text, &cpu_guest_one, 0, &with);
        uint32_t got = cpu_guest_get(&guest, row->function, 0, row->reg);

        if ((got & row->bits) != row->bits)
            g_error("'%s': %08x register %u is %08x", row->text, row->function, row->reg,
                    got);
    }
}

/* Nothing more than was asked for. */
static void test_alone(void)
{
    g_auto(CpuGuest) guest = cpu_guest_new("host,hv-relaxed", &cpu_guest_one, 0, &with);

    g_assert_cmphex(cpu_guest_get(&guest, 0x40000000, 0, EAX), ==, 0x40000005);
    g_assert_cmphex(cpu_guest_get(&guest, 0x40000003, 0, EAX), ==, 1u << 5);
    g_assert_cmphex(cpu_guest_get(&guest, 0x40000003, 0, EBX), ==, 0);
    g_assert_cmphex(cpu_guest_get(&guest, 0x40000004, 0, EAX), ==, 1u << 5);
}

static void test_kvm_is_beside(void)
{
    g_auto(CpuGuest) both = cpu_guest_new("host,hv-time", &cpu_guest_one, 0, &with);
    g_auto(CpuGuest) alone =
        cpu_guest_new("host,hv-time,kvm=off", &cpu_guest_one, 0, &with);

    g_assert_cmphex(cpu_guest_get(&both, 0x40000000, 0, EBX), ==, 0x7263694d);
    g_assert_cmphex(cpu_guest_get(&both, 0x40000100, 0, EBX), ==, 0x4b4d564b);
    g_assert_cmphex(cpu_guest_get(&both, 0x40000100, 0, EAX), ==, 0x40000101);
    g_assert_cmphex(cpu_guest_get(&both, 0x40000101, 0, EAX), !=, 0);
    g_assert_false(cpu_guest_has(&both, 0x40000010));
    g_assert_cmphex(cpu_guest_get(&alone, 0x40000000, 0, EBX), ==, 0x7263694d);
    g_assert_false(cpu_guest_has(&alone, 0x40000100));
}

static void test_vendor(void)
{
    g_auto(CpuGuest) guest =
        cpu_guest_new("host,hv-time,hv-vendor-id=Abc", &cpu_guest_one, 0, &with);

    g_assert_cmphex(cpu_guest_get(&guest, 0x40000000, 0, EBX), ==, 0x00636241);
    g_assert_cmphex(cpu_guest_get(&guest, 0x40000000, 0, ECX), ==, 0);
}

static void test_passthrough_of_nothing(void)
{
    g_auto(CpuGuest) guest =
        cpu_guest_new("host,hv-passthrough", &cpu_guest_one, 0, &without);

    g_assert_cmphex(cpu_guest_get(&guest, 0x40000003, 0, EAX), ==, 1u << 5);
}

static void test_needs(void)
{
    cpu_guest_refused("host,hv-synic", &with, "'hv-synic' requires 'hv-vpindex'");
    cpu_guest_refused("host,hv-vpindex,hv-synic,hv-stimer", &with,
                      "'hv-stimer' requires 'hv-time'");
    cpu_guest_refused("host,hv-stimer-direct", &with, "requires 'hv-stimer'");
    cpu_guest_refused("host,hv-tlbflush", &with, "requires 'hv-vpindex'");
    cpu_guest_refused("host,hv-tlbflush-ext", &with, "requires 'hv-tlbflush'");
    cpu_guest_refused("host,hv-ipi", &with, "requires 'hv-vpindex'");
    cpu_guest_refused("host,hv-evmcs", &with, "requires 'hv-vapic'");
    cpu_guest_refused("host,hv-tlbflush-direct", &with, "requires 'hv-vapic'");
    cpu_guest_refused("host,hv-time", &without, "'hv-time' is not supported");
    cpu_guest_refused("host,hv-spinlocks=8,hv-enforce-cpuid", &without,
                      "'hv-enforce-cpuid'");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/cpu-hyperv/features", test_features);
    g_test_add_func("/cpu-hyperv/alone", test_alone);
    g_test_add_func("/cpu-hyperv/kvm-is-beside", test_kvm_is_beside);
    g_test_add_func("/cpu-hyperv/vendor", test_vendor);
    g_test_add_func("/cpu-hyperv/passthrough-of-nothing", test_passthrough_of_nothing);
    g_test_add_func("/cpu-hyperv/needs", test_needs);
    return g_test_run();
}
