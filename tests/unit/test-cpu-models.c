/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vCPU of each named model tells, on a host that has everything, against
 * tests/data/cpu-models.txt: a paragraph a model, a line a leaf or MSR.  Leaves that
 * describe the topology are left out.  After a change of the
 * models: make reference, and read the difference.
 */
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/thread.h"

#include "cpu-guest.h"

#define GOLDEN "tests/data/cpu-models.txt"

/* Function, and the last index. */
static const struct {
    uint32_t function;
    uint32_t last;
} leaves[] = {
    { 0x0, 0 },        { 0x1, 0 },        { 0x2, 0 },        { 0x4, 3 },
    { 0x5, 0 },        { 0x6, 0 },        { 0x7, 2 },        { 0xa, 0 },
    { 0xd, 1 },        { 0x12, 1 },       { 0x14, 0 },       { 0x1e, 1 },
    { 0x24, 1 },
    { 0x29, 0 },       { 0x80000000, 0 }, { 0x80000001, 0 }, { 0x80000002, 0 },
    { 0x80000003, 0 }, { 0x80000004, 0 }, { 0x80000005, 0 }, { 0x80000006, 0 },
    { 0x80000007, 0 }, { 0x80000008, 0 }, { 0x8000000a, 0 }, { 0x8000001d, 3 },
    { 0x80000021, 0 }, { 0x80000022, 0 },
};

static const uint32_t msrs[] = {
    0x8b,  0xcf,  0x10a, 0x345, 0x480, 0x485, 0x48b,
    0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491,
};

static void write_leaf(GString *out, Vcpu *vcpu, uint32_t function, uint32_t index)
{
    uint32_t regs[4];

    if (!vm_fake_vcpu_cpuid(vcpu, function, index, regs) ||
        !(regs[0] | regs[1] | regs[2] | regs[3]))
        return;
    g_string_append_printf(out, "%08x.%u %08x %08x %08x %08x\n", function, index, regs[0],
                           regs[1], regs[2], regs[3]);
}

static void write_model(GString *out, const VmFakeCpu *cpu, const char *name,
                        const char *text)
{
    g_auto(CpuGuest) guest = cpu_guest_new(text, &cpu_guest_one, 0, cpu);

    g_string_append_printf(out, "\n%s\n", name);
    for (unsigned i = 0; i < G_N_ELEMENTS(leaves); i++) {
        for (uint32_t index = 0; index <= leaves[i].last; index++)
            write_leaf(out, guest.vcpu, leaves[i].function, index);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(msrs); i++) {
        uint64_t value = cpu_guest_msr(&guest, msrs[i]);

        if (value)
            g_string_append_printf(out, "msr %x %016" G_GINT64_MODIFIER "x\n", msrs[i],
                                   value);
    }
}

/* Those of AMD's and Hygon's, on a host of their kind; all others on one of Intel's. */
static bool is_for_amd(const char *name)
{
    static const char *const prefixes[] = { "EPYC", "Opteron", "Dhyana", "qemu64" };

    for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if (g_str_has_prefix(name, prefixes[i]))
            return true;
    }
    return false;
}

static void test_models_are_the_golden_ones(void)
{
    g_autoptr(GPtrArray) list = cpu_query_definitions(NULL);
    g_autofree char *golden = NULL;
    g_autoptr(GString) out = g_string_new(
        "Processor models: CPUID leaves (function.index, EAX, EBX, ECX, EDX) and MSRs of "
        "features.\n");

    for (unsigned i = 0; i < list->len; i++) {
        const CpuDefinition *definition = g_ptr_array_index(list, i);
        bool is_amd = is_for_amd(definition->name);
        VmFakeCpu cpu = { .is_amd = is_amd, .is_complete = true };
        g_autofree char *text = g_strdup_printf("%s,enforce,%s=on", definition->name,
                                                is_amd ? "svm" : "vmx");

        if (*definition->alias_of || !definition->is_migration_safe)
            continue;
        write_model(out, &cpu, definition->name, text);
    }
    if (g_getenv("BERTH_UPDATE_GOLDEN"))
        g_assert_true(g_file_set_contents(GOLDEN, out->str, -1, NULL));
    g_assert_true(g_file_get_contents(GOLDEN, &golden, NULL, NULL));
    if (strcmp(out->str, golden) != 0)
        g_error("the models are not what " GOLDEN " has: make reference, and read it");
}

static const CpuDefinition *find(const GPtrArray *list, const char *name)
{
    for (unsigned i = 0; i < list->len; i++) {
        const CpuDefinition *definition = g_ptr_array_index(list, i);

        if (strcmp(definition->name, name) == 0)
            return definition;
    }
    g_error("there is no model '%s'", name);
}

/* As QEMU's machine types resolve them, all of which there are. */
static const struct {
    const char *alias;
    const char *name;
} aliases[] = {
    { "qemu64", "qemu64-v1" },
    { "Nehalem", "Nehalem-v1" },
    { "Nehalem-IBRS", "Nehalem-v2" },
    { "Westmere-IBRS", "Westmere-v2" },
    { "SandyBridge-IBRS", "SandyBridge-v2" },
    { "IvyBridge-IBRS", "IvyBridge-v2" },
    { "Haswell-noTSX", "Haswell-v2" },
    { "Haswell-IBRS", "Haswell-v3" },
    { "Haswell-noTSX-IBRS", "Haswell-v4" },
    { "Broadwell-noTSX", "Broadwell-v2" },
    { "Broadwell-IBRS", "Broadwell-v3" },
    { "Broadwell-noTSX-IBRS", "Broadwell-v4" },
    { "Skylake-Client-IBRS", "Skylake-Client-v2" },
    { "Skylake-Client-noTSX-IBRS", "Skylake-Client-v3" },
    { "Skylake-Server-IBRS", "Skylake-Server-v2" },
    { "Skylake-Server-noTSX-IBRS", "Skylake-Server-v3" },
    { "Cascadelake-Server-noTSX", "Cascadelake-Server-v3" },
    { "Icelake-Server-noTSX", "Icelake-Server-v2" },
    { "EPYC-IBPB", "EPYC-v2" },
    { "EPYC-Genoa", "EPYC-Genoa-v1" },
};

static void test_aliases(void)
{
    g_autoptr(GPtrArray) list = cpu_query_definitions(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(aliases); i++)
        g_assert_cmpstr(find(list, aliases[i].alias)->alias_of, ==, aliases[i].name);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/cpu-models/are-the-golden-ones", test_models_are_the_golden_ones);
    g_test_add_func("/cpu-models/aliases", test_aliases);
    return g_test_run();
}
