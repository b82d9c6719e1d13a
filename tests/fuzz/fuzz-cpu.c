/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as "-cpu", or as the properties of a question about a model: a processor whose
 * leaves and properties can be read, or an error.
 */
#include <fcntl.h>
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/log.h"
#include "berth/thread.h"

#include "cpu-guest.h"
#include "fuzz.h"

static const CpuTopology topology = {
    .cpus = 8, .max_cpus = 8, .sockets = 1, .dies = 2, .cores = 2, .threads = 2,
};

static void read_property(void *opaque, const char *name, const char *type)
{
    g_autoptr(JsonValue) value = cpu_query_property(opaque, name);

    g_assert_nonnull(value);
}

static void try_text(Vm *vm, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CpuModel) model = cpu_model_new(vm, text, &topology, &error);
    VcpuOwner owner = { 0 };
    uint32_t regs[4];
    Vcpu *vcpu;

    g_assert_true((model == NULL) == (error != NULL));
    if (!model)
        return;
    vcpu = vcpu_new(vm, 5, model, &owner, NULL);
    g_assert_true(vm_fake_vcpu_cpuid(vcpu, 0, 0, regs));
    cpu_query_properties(read_property, model);
    vcpu_free(vcpu);
}

static void try_props(Vm *vm, const char *text)
{
    g_autoptr(JsonValue) props = json_parse_text(text, strlen(text), NULL);
    g_autoptr(CpuHost) host = cpu_host_probe(vm, NULL);
    g_autoptr(GError) error = NULL;
    g_auto(CpuAnswer) answer = { 0 };
    CpuQuery query = { "Skylake-Server", props };

    if (!props || json_kind(props) != JSON_OBJECT)
        return;
    if (!cpu_query_expand(host, &query, text[0] == ' ', &answer, &error))
        g_assert_nonnull(error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool quiet;
    g_autoptr(Vm) vm = NULL;
    g_autofree char *text = NULL;

    if (size < 1 || size > 4096)
        return 0;
    if (!quiet) {
        thread_set_role(THREAD_MAIN);
        log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
        quiet = true;
    }
    vm = vm_fake_new();
    vm_fake_set_cpu(vm, &(VmFakeCpu){ .is_amd = data[0] & 1,
                                      .is_complete = data[0] & 2,
                                      .has_hyperv = data[0] & 4 });
    text = g_strndup((const char *)data + 1, size - 1);
    if (data[0] & 8)
        try_props(vm, text);
    else
        try_text(vm, text);
    return 0;
}
