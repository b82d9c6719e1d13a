/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs: which is meant, and their registers.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/vcpu-registers.h"

#include "qmp-commands.h"

#include "hmp-call.h"

void hmp_cpu(HmpCall *call)
{
    int64_t index = hmp_int(call, "index");

    if (!machine_vcpu(call->ctx->machine, index))
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
    if (!vcpu_read_registers(machine_vcpu(call->ctx->machine, index), &registers,
                             &error)) {
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
        for (unsigned i = 0; machine_next_vcpu(call->ctx->machine, &i); i++)
            show_registers(call, i);
    } else if (machine_vcpu(call->ctx->machine, index)) {
        show_registers(call, (unsigned)index);
    } else if (hmp_has(call, "vcpu")) {
        hmp_printf(call, "CPU#%" PRId64 " not available\n", index);
    } else {
        hmp_printf(call, "No CPU available\n");
    }
}
