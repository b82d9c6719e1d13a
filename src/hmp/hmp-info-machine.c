/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info: the machine as a whole, in the lines that QEMU's monitor has.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/memory-device.h"
#include "berth/net-set.h"
#include "berth/numa.h"

#include "qmp-commands.h"

#include "hmp-call.h"

static const char *on_off(bool on)
{
    return on ? "on" : "off";
}

static const char *true_false(bool value)
{
    return value ? "true" : "false";
}

void hmp_info_version(HmpCall *call, const VersionInfo *value)
{
    hmp_printf(call, "%" PRId64 ".%" PRId64 ".%" PRId64 " (%s)\n", value->qemu->major,
               value->qemu->minor, value->qemu->micro, value->package);
}

void hmp_info_status(HmpCall *call, const StatusInfo *value)
{
    hmp_printf(call, "VM status: %s", value->running ? "running" : "paused");
    if (!value->running && value->status != RUN_STATE_PAUSED)
        hmp_printf(call, " (%s)", RunState_str(value->status));
    hmp_printf(call, "\n");
}

void hmp_info_name(HmpCall *call, const NameInfo *value)
{
    if (value->name)
        hmp_printf(call, "%s\n", value->name);
}

void hmp_info_uuid(HmpCall *call, const UuidInfo *value)
{
    hmp_printf(call, "%s\n", value->UUID);
}

void hmp_info_balloon(HmpCall *call, const BalloonInfo *value)
{
    hmp_printf(call, "balloon: actual=%" PRId64 "\n", value->actual / (int64_t)MIB);
}

void hmp_info_autoballoon(HmpCall *call, const AutoballoonInfoList *value)
{
    for (size_t i = 0; i < value->n; i++) {
        const AutoballoonInfo *info = value->items[i];
        const AutoballoonState *state = info->state;

        hmp_printf(call, "%s: device=%s %s\n", info->id, info->device,
                   info->enabled ? "on" : "off");
        hmp_printf(call, "  min=%" PRIu64 " max=%" PRIu64 " headroom=%" PRIu64
                   " target=%" PRIu64 " actual=%" PRIu64 "\n",
                   (uint64_t)(info->min / MIB), (uint64_t)(info->max / MIB),
                   (uint64_t)(info->headroom / MIB), (uint64_t)(state->target / MIB),
                   (uint64_t)(state->actual / MIB));
        hmp_printf(call, "  pressure=%s reason=%s\n",
                   AutoballoonPressure_str(state->host->pressure),
                   AutoballoonReason_str(state->reason));
    }
}

void hmp_info_kvm(HmpCall *call, const KvmInfo *value)
{
    hmp_printf(call, "kvm support: %s\n", !value->present ? "not present"
                                          : value->enabled ? "enabled" : "disabled");
}

void hmp_info_vm_generation_id(HmpCall *call, const GuidInfo *value)
{
    hmp_printf(call, "%s\n", value->guid);
}

void hmp_info_cpus(HmpCall *call)
{
    g_autoptr(CpuInfoFastList) list = qmp_query_cpus_fast(call->ctx, NULL);

    for (size_t i = 0; i < list->n; i++) {
        const CpuInfoFast *cpu = list->items[i];

        hmp_printf(call, "%c CPU #%" PRId64 ": thread_id=%" PRId64 "\n",
                   cpu->cpu_index == call->state->cpu ? '*' : ' ', cpu->cpu_index,
                   cpu->thread_id);
    }
}

/* "socket-id", when it is there. */
static void show_place(HmpCall *call, const char *name, bool has, int64_t id)
{
    if (has)
        hmp_printf(call, "    %s: \"%" PRId64 "\"\n", name, id);
}

void hmp_info_hotpluggable_cpus(HmpCall *call, const HotpluggableCPUList *value)
{
    hmp_printf(call, "Hotpluggable CPUs:\n");
    for (size_t i = 0; i < value->n; i++) {
        const HotpluggableCPU *cpu = value->items[i];
        const CpuInstanceProperties *place = cpu->props;

        hmp_printf(call, "  type: \"%s\"\n  vcpus_count: \"%" PRId64 "\"\n", cpu->type,
                   cpu->vcpus_count);
        if (cpu->qom_path)
            hmp_printf(call, "  qom_path: \"%s\"\n", cpu->qom_path);
        hmp_printf(call, "  CPUInstance Properties:\n");
        show_place(call, "node-id", place->has_node_id, place->node_id);
        show_place(call, "socket-id", place->has_socket_id, place->socket_id);
        show_place(call, "die-id", place->has_die_id, place->die_id);
        show_place(call, "core-id", place->has_core_id, place->core_id);
        show_place(call, "thread-id", place->has_thread_id, place->thread_id);
    }
}

void hmp_info_iothreads(HmpCall *call, const IOThreadInfoList *value)
{
    for (size_t i = 0; i < value->n; i++) {
        const IOThreadInfo *info = value->items[i];

        hmp_printf(call, "%s:\n  thread_id=%" PRId64 "\n  poll-max-ns=%" PRId64 "\n"
                   "  poll-grow=%" PRId64 "\n  poll-shrink=%" PRId64 "\n"
                   "  aio-max-batch=%" PRId64 "\n", info->id, info->thread_id,
                   info->poll_max_ns, info->poll_grow, info->poll_shrink,
                   info->aio_max_batch);
    }
}

void hmp_info_memory_size_summary(HmpCall *call, const MemoryInfo *value)
{
    hmp_printf(call, "base memory: %" PRIu64 "\n", value->base_memory);
    if (value->has_plugged_memory)
        hmp_printf(call, "plugged memory: %" PRIu64 "\n", value->plugged_memory);
}

static void show_dimm(HmpCall *call, const PCDIMMDeviceInfo *dimm)
{
    hmp_printf(call, "Memory device [dimm]: \"%s\"\n  addr: 0x%" PRIx64 "\n"
               "  slot: %" PRId64 "\n  node: %" PRId64 "\n  size: %" PRId64 "\n"
               "  memdev: %s\n  hotplugged: %s\n  hotpluggable: %s\n",
               dimm->id ? dimm->id : "", (uint64_t)dimm->addr, dimm->slot, dimm->node,
               dimm->size, dimm->memdev, true_false(dimm->hotplugged),
               true_false(dimm->hotpluggable));
}

static void show_virtio_mem(HmpCall *call, const VirtioMEMDeviceInfo *memory)
{
    hmp_printf(call, "Memory device [virtio-mem]: \"%s\"\n  memaddr: 0x%" PRIx64 "\n"
               "  node: %" PRId64 "\n  requested-size: %" PRIu64 "\n  size: %" PRIu64
               "\n  max-size: %" PRIu64 "\n  block-size: %" PRIu64 "\n  memdev: %s\n",
               memory->id ? memory->id : "", memory->memaddr, memory->node,
               memory->requested_size, memory->size, memory->max_size,
               memory->block_size, memory->memdev);
    if (memory->has_x_unmet)
        hmp_printf(call, "  unmet: %s\n", MemoryUnmetReason_str(memory->x_unmet));
}

void hmp_info_memory_devices(HmpCall *call, const MemoryDeviceInfoList *value)
{
    for (size_t i = 0; i < value->n; i++) {
        const MemoryDeviceInfo *device = value->items[i];

        switch (device->type) {
        case MEMORY_DEVICE_INFO_KIND_DIMM:
            show_dimm(call, device->u.dimm.data);
            break;
        case MEMORY_DEVICE_INFO_KIND_VIRTIO_MEM:
            show_virtio_mem(call, device->u.virtio_mem.data);
            break;
        }
    }
}

void hmp_info_memdev(HmpCall *call, const MemdevList *value)
{
    for (size_t i = 0; i < value->n; i++) {
        const Memdev *memory = value->items[i];

        hmp_printf(call, "memory backend: %s\n  size:  %" PRIu64 "\n  merge: %s\n"
                   "  dump: %s\n  prealloc: %s\n  share: %s\n",
                   memory->id ? memory->id : "", memory->size, true_false(memory->merge),
                   true_false(memory->dump), true_false(memory->prealloc),
                   true_false(memory->share));
        if (memory->has_reserve)
            hmp_printf(call, "  reserve: %s\n", true_false(memory->reserve));
        hmp_printf(call, "  policy: %s\n  host nodes:",
                   HostMemPolicy_str(memory->policy));
        for (size_t j = 0; j < memory->host_nodes->n; j++)
            hmp_printf(call, " %u", memory->host_nodes->items[j]);
        hmp_printf(call, "\n");
    }
    hmp_printf(call, "\n");
}

void hmp_info_numa(HmpCall *call)
{
    const Machine *machine = call->ctx->machine;
    const Numa *numa = machine->numa;
    unsigned n = numa ? numa->n_nodes : 0;
    uint64_t plugged;

    hmp_printf(call, "%u nodes\n", n);
    for (unsigned i = 0; i < n; i++) {
        hmp_printf(call, "node %u cpus:", i);
        for (unsigned cpu = 0; machine_next_vcpu(machine, &cpu); cpu++) {
            if (numa->cpu_nodes[cpu] == i)
                hmp_printf(call, " %u", cpu);
        }
        plugged = memory_device_plugged(machine->memory_window, (int)i) / MIB;
        hmp_printf(call, "\nnode %u size: %" PRIu64 " MB\nnode %u plugged: %" PRIu64
                   " MB\n", i, (uint64_t)(numa->nodes[i].size / MIB) + plugged, i,
                   plugged);
    }
}

void hmp_info_network(HmpCall *call)
{
    g_autoptr(GString) text = g_string_new(NULL);

    net_set_describe(call->ctx->nets, text);
    hmp_printf(call, "%s", text->len ? text->str : "There are no network devices\n");
}

void hmp_info_block_jobs(HmpCall *call)
{
    hmp_printf(call, "No active jobs\n");
}

void hmp_info_migrate(HmpCall *call, const MigrationInfo *value)
{
    hmp_printf(call, "There is no migration\n");
}

void hmp_info_migrate_capabilities(HmpCall *call,
                                   const MigrationCapabilityStatusList *value)
{
    for (size_t i = 0; i < value->n; i++)
        hmp_printf(call, "%s: %s\n", MigrationCapability_str(value->items[i]->capability),
                   on_off(value->items[i]->state));
}

void hmp_migrate_set_capability(HmpCall *call)
{
    const char *name = hmp_text(call, "capability");
    int capability = MigrationCapability_parse(name);
    MigrationCapabilityStatus status = {
        .capability = (MigrationCapability)capability,
        .state = hmp_flag(call, "state"),
    };
    MigrationCapabilityStatus *items[] = { &status };
    MigrationCapabilityStatusList list = { .items = items, .n = 1 };
    const MigrateSetCapabilitiesArgs args = { .capabilities = &list };
    GError *error = NULL;

    if (capability >= 0) {
        hmp_call_qmp(call, QMP_COMMAND_MIGRATE_SET_CAPABILITIES, &args);
        return;
    }
    error_set(&error, "Parameter 'capability' does not accept value '%s'", name);
    hmp_fail(call, error);
}

void hmp_info_dump(HmpCall *call, const DumpQueryResult *value)
{
    hmp_printf(call, "Status: %s\n", DumpStatus_str(value->status));
    if (value->status == DUMP_STATUS_ACTIVE && value->total > 0)
        hmp_printf(call, "Finished: %.2f %%\n",
                   100.0 * (double)value->completed / (double)value->total);
}

void hmp_info_commands(HmpCall *call)
{
    hmp_help(call);
}

void hmp_info_history(HmpCall *call)
{
    const HmpLine *line = call->state->line;

    for (guint i = 0; line && line->history && i < line->history->len; i++)
        hmp_printf(call, "%u: '%s'\n", i,
                   (const char *)g_ptr_array_index(line->history, i));
}
