/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs: which is meant, and their registers.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/vcpu-registers.h"

#include "qmp-commands.h"

#include "hmp-call.h"

static unsigned n_vcpus(const HmpCall *call)
{
    const Machine *machine = call->ctx->machine;

    return machine->vcpus ? machine->topology.cpus : 0;
}

void hmp_cpu(HmpCall *call)
{
    int64_t index = hmp_int(call, "index");

    if (index < 0 || index >= n_vcpus(call))
        hmp_printf(call, "invalid CPU index\n");
    else
        call->state->cpu = (unsigned)index;
}

static void show_registers(HmpCall *call, unsigned index)
{
    g_autofree char *text = NULL;
    VcpuRegisters registers;
    GError *error = NULL;

    hmp_printf(call, "\nCPU#%u\n", index);
    if (!vcpu_read_registers(call->ctx->machine->vcpus[index], &registers, &error)) {
        hmp_fail(call, error);
        return;
    }
    text = vcpu_text_registers(&registers, true);
    hmp_printf(call, "%s", text);
}

void hmp_info_registers(HmpCall *call)
{
    int64_t index = hmp_has(call, "vcpu") ? hmp_int(call, "vcpu") : call->state->cpu;

    if (hmp_flag(call, "all")) {
        for (unsigned i = 0; i < n_vcpus(call); i++)
            show_registers(call, i);
    } else if (index >= 0 && index < n_vcpus(call)) {
        show_registers(call, (unsigned)index);
    } else if (hmp_has(call, "vcpu")) {
        hmp_printf(call, "CPU#%" PRId64 " not available\n", index);
    } else {
        hmp_printf(call, "No CPU available\n");
    }
}
