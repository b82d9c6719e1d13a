/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handlers that describe the machine.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/memory-backend.h"
#include "berth/memory-device.h"
#include "berth/numa.h"
#include "berth/qmp.h"

#include "machine-q35.h"
#include "qmp-commands.h"

TargetInfo *qmp_query_target(QmpContext *ctx, GError **error)
{
    TargetInfo *info = g_new0(TargetInfo, 1);

    info->arch = SYS_EMU_TARGET_X86_64;
    return info;
}

NameInfo *qmp_query_name(QmpContext *ctx, GError **error)
{
    NameInfo *info = g_new0(NameInfo, 1);

    info->name = g_strdup(ctx->machine->name);
    return info;
}

UuidInfo *qmp_query_uuid(QmpContext *ctx, GError **error)
{
    UuidInfo *info = g_new0(UuidInfo, 1);
    char text[UUID_TEXT_SIZE];

    uuid_format(&ctx->machine->uuid, text);
    info->UUID = g_strdup(text);
    return info;
}

KvmInfo *qmp_query_kvm(QmpContext *ctx, GError **error)
{
    KvmInfo *info = g_new0(KvmInfo, 1);

    info->present = vm_kvm_available(NULL);
    info->enabled = ctx->machine->kvm;
    return info;
}

AcceleratorInfo *qmp_query_accelerators(QmpContext *ctx, GError **error)
{
    AcceleratorInfo *info = g_new0(AcceleratorInfo, 1);

    info->enabled = ctx->machine->kvm ? ACCELERATOR_KVM : ACCELERATOR_NONE;
    info->present = AcceleratorList_new();
    if (vm_kvm_available(NULL))
        AcceleratorList_append(info->present, ACCELERATOR_KVM);
    return info;
}

static CpuInstanceProperties *describe_place(const Machine *machine, unsigned index)
{
    CpuPlace place = cpu_topology_place(&machine->topology, index);
    CpuInstanceProperties *props = g_new0(CpuInstanceProperties, 1);

    *props = (CpuInstanceProperties) {
        .has_node_id = machine->numa != NULL,
        .node_id = machine->numa ? machine->numa->cpu_nodes[index] : 0,
        .has_socket_id = true,
        .socket_id = place.socket,
        .has_die_id = machine->topology.dies > 1,
        .die_id = place.die,
        .has_core_id = true,
        .core_id = place.core,
        .has_thread_id = true,
        .thread_id = place.thread,
    };
    return props;
}

HotpluggableCPUList *qmp_query_hotpluggable_cpus(QmpContext *ctx, GError **error)
{
    Machine *machine = ctx->machine;
    HotpluggableCPUList *list;

    if (!machine->cpu_model) {
        error_set(error, "machine '%s' has no vCPUs", machine->type->name);
        return NULL;
    }
    list = HotpluggableCPUList_new();
    for (unsigned i = machine->topology.max_cpus; i-- > 0;) {
        HotpluggableCPU *cpu = g_new0(HotpluggableCPU, 1);

        cpu->type = g_strdup(cpu_model_type(machine->cpu_model));
        cpu->vcpus_count = 1;
        cpu->props = describe_place(machine, i);
        if (machine_vcpu(machine, i))
            cpu->qom_path = machine_vcpu_path(machine, i);
        HotpluggableCPUList_append(list, cpu);
    }
    return list;
}

CpuInfoFastList *qmp_query_cpus_fast(QmpContext *ctx, GError **error)
{
    Machine *machine = ctx->machine;
    CpuInfoFastList *list = CpuInfoFastList_new();
    Vcpu *vcpu;

    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++) {
        CpuInfoFast *info = g_new0(CpuInfoFast, 1);

        info->cpu_index = i;
        info->qom_path = machine_vcpu_path(machine, i);
        info->thread_id = vcpu_thread_id(vcpu);
        info->props = describe_place(machine, i);
        info->target = SYS_EMU_TARGET_X86_64;
        CpuInfoFastList_append(list, info);
    }
    return list;
}

MachineInfoList *qmp_query_machines(QmpContext *ctx, GError **error)
{
    MachineInfoList *list = MachineInfoList_new();

    for (const MachineType *type = machine_types(); *type->name; type++) {
        MachineInfo *info = g_new0(MachineInfo, 1);
        bool is_none = type->kind == MACHINE_KIND_NONE;

        info->name = g_strdup(type->name);
        info->alias = *type->alias ? g_strdup(type->alias) : NULL;
        info->has_is_default = type->is_default;
        info->is_default = type->is_default;
        info->cpu_max = is_none ? 1 : MACHINE_MAX_VCPUS;
        info->default_cpu_type = is_none ? NULL : g_strdup("host-x86_64-cpu");
        info->default_ram_id = g_strdup(machine_types_ram_id(type));
        info->hotpluggable_cpus = !is_none;
        info->acpi = !is_none;
        MachineInfoList_append(list, info);
    }
    return list;
}

CurrentMachineParams *qmp_query_current_machine(QmpContext *ctx, GError **error)
{
    CurrentMachineParams *info = g_new0(CurrentMachineParams, 1);

    info->wakeup_suspend_support = machine_can_suspend(ctx->machine);
    return info;
}

ACPIOSTInfoList *qmp_query_acpi_ospm_status(QmpContext *ctx, GError **error)
{
    return machine_q35_ost(ctx->machine);
}

MemoryInfo *qmp_query_memory_size_summary(QmpContext *ctx, GError **error)
{
    MemoryInfo *info = g_new0(MemoryInfo, 1);

    info->base_memory = ctx->machine->ram_size;
    info->has_plugged_memory = true;
    info->plugged_memory = memory_device_plugged(ctx->machine->memory_window, -1);
    return info;
}

MemoryDeviceInfoList *qmp_query_memory_devices(QmpContext *ctx, GError **error)
{
    return memory_device_query(ctx->machine->memory_window);
}

StrList *qmp_query_tpm_models(QmpContext *ctx, GError **error)
{
    return StrList_new();
}

StrList *qmp_query_tpm_types(QmpContext *ctx, GError **error)
{
    return StrList_new();
}
