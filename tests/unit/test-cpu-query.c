/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions about models: which a host lacks what of, what is in one, how two compare.
 */
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/thread.h"

#include "cpu-guest.h"

static const CpuDefinition *find(const GPtrArray *list, const char *name)
{
    for (unsigned i = 0; i < list->len; i++) {
        const CpuDefinition *definition = g_ptr_array_index(list, i);

        if (strcmp(definition->name, name) == 0)
            return definition;
    }
    g_error("there is no model '%s'", name);
}

static bool lacks(const CpuDefinition *definition, const char *name)
{
    for (unsigned i = 0; i < definition->unavailable->len; i++) {
        if (strcmp(g_ptr_array_index(definition->unavailable, i), name) == 0)
            return true;
    }
    return false;
}

static CpuHost *host_new(const VmFakeCpu *cpu, Vm **ret_vm)
{
    *ret_vm = vm_fake_new();
    vm_fake_set_cpu(*ret_vm, cpu);
    return cpu_host_probe(*ret_vm, NULL);
}

static void test_what_a_host_lacks(void)
{
    g_autoptr(Vm) vm = NULL;
    g_autoptr(CpuHost) host = host_new(&(VmFakeCpu){ 0 }, &vm);
    g_autoptr(GPtrArray) list = cpu_query_definitions(host);

    g_assert_cmpuint(find(list, "kvm64")->unavailable->len, ==, 0);
    g_assert_true(lacks(find(list, "Skylake-Server"), "avx512f"));
    g_assert_false(lacks(find(list, "Skylake-Server"), "avx2"));
    g_assert_true(lacks(find(list, "Skylake-Server-v1"), "avx512f"));
    g_assert_cmpuint(find(list, "host")->unavailable->len, ==, 0);
}

static void test_nothing_without_kvm(void)
{
    g_autoptr(GPtrArray) list = cpu_query_definitions(NULL);

    g_assert_true(lacks(find(list, "kvm64"), "lm"));
    g_assert_true(find(list, "base")->is_static);
    g_assert_false(find(list, "host")->is_migration_safe);
    g_assert_true(find(list, "Nehalem")->is_migration_safe);
    g_assert_cmpstr(find(list, "Nehalem")->type, ==, "Nehalem-x86_64-cpu");
}

static void test_names_are_those_of_the_definitions(void)
{
    g_autoptr(GPtrArray) list = cpu_query_definitions(NULL);
    g_autoptr(GPtrArray) names = cpu_query_names();

    g_assert_cmpuint(names->len, ==, list->len);
    for (guint i = 0; i < list->len; i++) {
        const CpuDefinition *definition = g_ptr_array_index(list, i);

        g_assert_cmpstr(g_ptr_array_index(names, i), ==, definition->name);
    }
}

/* On a host that has everything, of Intel's. */
static bool expand(const char *model, const char *props, bool is_static,
                   CpuAnswer *ret_answer, GError **error)
{
    g_autoptr(Vm) vm = NULL;
    g_autoptr(CpuHost) host =
        host_new(&(VmFakeCpu){ .is_complete = true, .has_hyperv = true }, &vm);
    g_autoptr(JsonValue) value =
        props ? json_parse_text(props, strlen(props), NULL) : NULL;
    CpuQuery query = { model, value };

    return cpu_query_expand(host, &query, is_static, ret_answer, error);
}

static bool is_on(const CpuAnswer *answer, const char *name)
{
    return json_as_bool(json_member(answer->props, name));
}

static void test_static_expansion(void)
{
    g_auto(CpuAnswer) answer = { 0 };
    int64_t number;

    g_assert_true(expand("Nehalem-IBRS", "{'sse4.2': false, 'aes': true}", true, &answer,
                         NULL));
    g_assert_cmpstr(answer.model, ==, "base");
    g_assert_true(is_on(&answer, "spec-ctrl"));
    g_assert_true(is_on(&answer, "aes"));
    g_assert_true(is_on(&answer, "x2apic"));
    g_assert_false(is_on(&answer, "sse4.2"));
    g_assert_false(is_on(&answer, "vmx-ept"));
    g_assert_cmpstr(json_as_string(json_member(answer.props, "vendor")), ==,
                    "GenuineIntel");
    g_assert_true(json_as_int(json_member(answer.props, "model"), &number));
    g_assert_cmpint(number, ==, 26);
    g_assert_null(json_member(answer.props, "migratable"));
}

static void test_full_expansion(void)
{
    g_auto(CpuAnswer) host = { 0 };
    g_auto(CpuAnswer) open = { 0 };

    g_assert_true(expand("host", NULL, false, &host, NULL));
    g_assert_cmpstr(host.model, ==, "host");
    g_assert_false(is_on(&host, "invtsc"));
    g_assert_true(is_on(&host, "migratable"));
    g_assert_true(is_on(&host, "avx512f"));
    g_assert_false(is_on(&host, "hv-time"));
    g_assert_true(expand("host", "{'migratable': false, 'hv-passthrough': true}", false,
                         &open, NULL));
    g_assert_true(is_on(&open, "invtsc"));
    g_assert_true(is_on(&open, "hv-time"));
    g_assert_true(is_on(&open, "hv-tlbflush"));
}

/* What a static answer says is the model itself again. */
static void test_expansion_comes_back(void)
{
    g_auto(CpuAnswer) once = { 0 };
    g_auto(CpuAnswer) twice = { 0 };
    g_autofree char *text = NULL;

    g_assert_true(expand("Icelake-Server-v5", "{'vmx': true}", true, &once, NULL));
    text = json_to_text(once.props);
    g_assert_true(expand("base", text, true, &twice, NULL));
    g_assert_true(json_equal(once.props, twice.props));
}

static void test_wrong_questions(void)
{
    static const struct {
        const char *model;
        const char *props;
        const char *named;
    } cases[] = {
        { "Niagara", NULL, "'Niagara'" },
        { "Nehalem", "{'frobnicate': true}", "'frobnicate'" },
        { "Nehalem", "{'avx2': 3}", "'avx2'" },
        { "Nehalem", "{'avx2': [1]}", "'props.avx2'" },
        { "Nehalem", "{'family': 'x'}", "'family'" },
        { "Nehalem", "{'hv-stimer': true}", "requires" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(CpuAnswer) answer = { 0 };
        g_autoptr(GError) error = NULL;

        g_assert_false(expand(cases[i].model, cases[i].props, false, &answer, &error));
        if (!strstr(error->message, cases[i].named))
            g_error("%u: %s", i, error->message);
    }
}

static CpuComparison compare(const char *a, const char *b, unsigned *ret_n)
{
    g_autoptr(GPtrArray) names = NULL;
    CpuQuery first = { a, NULL };
    CpuQuery second = { b, NULL };
    CpuComparison result;

    g_assert_true(cpu_query_compare(NULL, &first, &second, &result, &names, NULL));
    *ret_n = names->len;
    return result;
}

static void test_comparison(void)
{
    unsigned n;

    g_assert_cmpint(compare("Nehalem", "Westmere", &n), ==, CPU_COMPARISON_SUBSET);
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpint(compare("Westmere", "Nehalem", &n), ==, CPU_COMPARISON_SUPERSET);
    g_assert_cmpint(compare("Westmere-v2", "Westmere-IBRS", &n), ==,
                    CPU_COMPARISON_IDENTICAL);
    g_assert_cmpuint(n, ==, 0);
    g_assert_cmpint(compare("EPYC", "Haswell", &n), ==, CPU_COMPARISON_INCOMPATIBLE);
}

static void test_baseline(void)
{
    g_auto(CpuAnswer) answer = { 0 };
    CpuQuery a = { "Haswell", NULL };
    CpuQuery b = { "IvyBridge-IBRS", NULL };

    g_assert_true(cpu_query_baseline(NULL, &a, &b, &answer, NULL));
    g_assert_cmpstr(answer.model, ==, "base");
    g_assert_true(is_on(&answer, "f16c"));
    g_assert_false(is_on(&answer, "avx2"));
    g_assert_false(is_on(&answer, "spec-ctrl"));
}

static bool property(const CpuGuest *guest, const char *name)
{
    g_autoptr(JsonValue) value = cpu_query_property(guest->model, name);

    g_assert_nonnull(value);
    return json_as_bool(value);
}

static void check_property(void *opaque, const char *name, const char *type)
{
    CpuGuest *guest = opaque;
    g_autoptr(JsonValue) value = cpu_query_property(guest->model, name);

    g_assert_nonnull(value);
    if (strcmp(type, "bool") == 0)
        g_assert_cmpint(json_kind(value), ==, JSON_BOOL);
}

static void test_properties_of_a_vcpu(void)
{
    static const char *const none[] = {
        "frobnicate", "", " ", ".1", "pni pclmulqdq", "pbe\npni", "avx51", "x512f",
    };
    g_auto(CpuGuest) guest = cpu_guest_new("Skylake-Server,check=off,kvmclock=off",
                                           &cpu_guest_one, 0, NULL);
    g_autoptr(JsonValue) missing =
        cpu_query_property(guest.model, "unavailable-features");

    g_assert_true(property(&guest, "avx2"));
    g_assert_true(property(&guest, "sse4-1"));
    g_assert_true(property(&guest, "pni"));
    g_assert_false(property(&guest, "pn"));
    g_assert_false(property(&guest, "avx512f"));
    g_assert_false(property(&guest, "kvmclock"));
    g_assert_true(property(&guest, "kvm-asyncpf"));
    g_assert_cmpuint(json_length(missing), >, 5);
    for (size_t i = 0; i < G_N_ELEMENTS(none); i++)
        g_assert_null(cpu_query_property(guest.model, none[i]));
    cpu_query_properties(check_property, &guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/cpu-query/what-a-host-lacks", test_what_a_host_lacks);
    g_test_add_func("/cpu-query/nothing-without-kvm", test_nothing_without_kvm);
    g_test_add_func("/cpu-query/names-are-those-of-the-definitions",
                    test_names_are_those_of_the_definitions);
    g_test_add_func("/cpu-query/static-expansion", test_static_expansion);
    g_test_add_func("/cpu-query/full-expansion", test_full_expansion);
    g_test_add_func("/cpu-query/expansion-comes-back", test_expansion_comes_back);
    g_test_add_func("/cpu-query/wrong-questions", test_wrong_questions);
    g_test_add_func("/cpu-query/comparison", test_comparison);
    g_test_add_func("/cpu-query/baseline", test_baseline);
    g_test_add_func("/cpu-query/properties-of-a-vcpu", test_properties_of_a_vcpu);
    return g_test_run();
}
