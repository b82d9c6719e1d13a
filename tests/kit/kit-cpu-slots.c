/* SPDX-License-Identifier: Apache-2.0 */
#include "kit-cpu-slots.h"

static void write_ost(KitSlots *s, uint32_t event, uint32_t status)
{
    kit_slots_out(s, COMMAND, 1, 1);
    kit_slots_out(s, DATA, 4, event);
    kit_slots_out(s, COMMAND, 1, 2);
    kit_slots_out(s, DATA, 4, status);
}

static void assert_gone(KitSlots *s)
{
    g_assert_null(machine_vcpu(s->bench.machine, 2));
}

const KitSlotsKind kit_cpu_slots = {
    .select = SELECT, .n_ports = X86_PORT_CPUHP_SIZE, .flags = STATUS,
    .gpe = X86_GPE_CPU_HOTPLUG, .ost_type = "CPU", .id = "c2", .slot = 2,
    .path = "/machine/cpuhp", .add = ADD_CPU2, .tell = write_ost,
    .assert_gone = assert_gone,
};
