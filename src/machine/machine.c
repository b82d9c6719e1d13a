/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine, built in the order in which its parts need each other and freed in
 * the reverse order:
 *
 *     options -> hypervisor -> address spaces -> objects -> RAM -> vCPUs -> board
 *     -> devices
 */
#include <string.h>

#include "berth/drive-options.h"
#include "berth/error.h"
#include "berth/log.h"
#include "berth/net-set.h"
#include "berth/numa.h"
#include "berth/object.h"
#include "berth/sandbox.h"
#include "berth/smp.h"

#include "default-devices.h"
#include "disk-errors.h"
#include "firmware-flash.h"
#include "firmware.h"
#include "machine-identity.h"
#include "machine-dump.h"
#include "machine-memory.h"
#include "machine-q35.h"
#include "machine-run.h"
#include "machine-smi.h"
#include "machine-vcpus.h"
#include "memory-failure.h"
#include "berth/memory-ledger.h"

#include "berth/machine.h"

#define VCPU_PATH "/machine/unattached/device["

static void set_actions(Machine *machine)
{
    const Cmdline *cmdline = machine->cmdline;

    if (cmdline->action_options)
        runstate_set_action(&machine->run, cmdline->action_options);
}

static VmIrqchip wanted_irqchip(const MachineOptions *machine, const AccelOptions *accel)
{
    OnOffSplit irqchip = ON_OFF_SPLIT_ON;

    if (machine && machine->has_kernel_irqchip)
        irqchip = machine->kernel_irqchip;
    if (accel && accel->has_kernel_irqchip)
        irqchip = accel->kernel_irqchip;
    return irqchip == ON_OFF_SPLIT_SPLIT ? VM_IRQCHIP_SPLIT : VM_IRQCHIP_KERNEL;
}

static VmTuning wanted_tuning(const Cmdline *cmdline, const AccelOptions *accel)
{
    static const VmNotify notifies[] = {
        [NOTIFY_VMEXIT_OPTION_RUN] = VM_NOTIFY_RUN,
        [NOTIFY_VMEXIT_OPTION_INTERNAL_ERROR] = VM_NOTIFY_STOP,
        [NOTIFY_VMEXIT_OPTION_DISABLE] = VM_NOTIFY_OFF,
    };
    VmTuning tuning = {
        .cpu_pm = cmdline->overcommit && cmdline->overcommit->has_cpu_pm &&
                  cmdline->overcommit->cpu_pm,
    };

    if (!accel)
        return tuning;
    tuning.has_halt_poll = accel->has_halt_poll_ns;
    tuning.halt_poll_ns = accel->halt_poll_ns;
    tuning.shadow_memory = accel->kvm_shadow_mem;
    if (accel->has_notify_vmexit)
        tuning.notify = notifies[accel->notify_vmexit];
    tuning.notify_window = accel->notify_window;
    return tuning;
}

static bool make_vm(Machine *machine, GError **error)
{
    const AccelOptions *accel = cmdline_accel(machine->cmdline);
    VmOptions options = {
        .device = accel && accel->device ? accel->device : "/dev/kvm",
        .irqchip = wanted_irqchip(machine->cmdline->machine, accel),
        .pit = true,
        .pit_discards = machine_q35_pit_discards(machine->cmdline),
        .max_vcpus = machine->topology.max_cpus,
        .smm = machine_has_smm(machine),
        .tuning = wanted_tuning(machine->cmdline, accel),
    };

    machine->vm = vm_kvm_new(&options, error);
    machine->kvm = machine->vm != NULL;
    return machine->kvm;
}

static void set_object_defaults(Machine *machine)
{
    const MachineOptions *options = machine->cmdline->machine;
    ObjectDefaults defaults = {
        .prealloc = machine->cmdline->mem_prealloc,
        .no_dump = options && options->has_dump_guest_core && !options->dump_guest_core,
        .no_merge = options && options->has_mem_merge && !options->mem_merge,
    };

    object_set_defaults(machine->objects, &defaults);
}

static bool add_objects(Machine *machine, ObjectStage stage, GError **error)
{
    const GPtrArray *objects = machine->cmdline->objects;

    set_object_defaults(machine);
    for (guint i = 0; i < objects->len; i++) {
        const ObjectOptions *options = g_ptr_array_index(objects, i);

        if (object_classes[options->qom_type]->stage != stage)
            continue;
        if (!object_add(machine->objects, options, error)) {
            g_prefix_error(error, "option '-object': ");
            return false;
        }
    }
    return true;
}

static bool add_block_nodes(Machine *machine, GError **error)
{
    const GPtrArray *nodes = machine->cmdline->blockdevs;

    for (guint i = 0; i < nodes->len; i++) {
        const BlockdevOptions *options = g_ptr_array_index(nodes, i);

        if (!options->node_name)
            error_set(error, "parameter 'node-name' is missing");
        if (!options->node_name || !block_graph_add(machine->blocks, options, error)) {
            g_prefix_error(error, "option '-blockdev': ");
            return false;
        }
    }
    return true;
}

static bool add_drives(Machine *machine, GError **error)
{
    const GPtrArray *drives = machine->cmdline->drives;

    for (guint i = 0; i < drives->len; i++) {
        const DriveOptions *options = g_ptr_array_index(drives, i);

        if (!drive_options_make(machine->blocks, options, error)) {
            g_prefix_error(error, "option '-drive': %s: ", options->id);
            return false;
        }
    }
    return true;
}

static bool add_netdevs(Machine *machine, GError **error)
{
    const GPtrArray *netdevs = machine->cmdline->netdevs;

    for (guint i = 0; i < netdevs->len; i++) {
        const Netdev *options = g_ptr_array_index(netdevs, i);

        if (!net_set_add(machine->nets, options, error)) {
            g_prefix_error(error, "option '-netdev': %s: ", options->id);
            return false;
        }
    }
    return true;
}

/* What devices are at the guest's end of. */
static bool add_backends(Machine *machine, GError **error)
{
    return add_objects(machine, OBJECT_STAGE_FIRST, error) &&
           add_block_nodes(machine, error) && add_drives(machine, error) &&
           add_netdevs(machine, error) &&
           add_objects(machine, OBJECT_STAGE_NETDEVS, error);
}

static bool add_devices(Machine *machine, GError **error)
{
    const GPtrArray *devices = machine->cmdline->devices;

    device_globals_warn(machine->cmdline->globals);
    for (guint i = 0; i < devices->len; i++) {
        const DeviceAddArgs *args = g_ptr_array_index(devices, i);

        if (!device_add(&machine->tree, args, error)) {
            g_prefix_error(error, "option '-device': %s%s%s: ",
                           DeviceDriver_str(args->driver), args->id ? " " : "",
                           args->id ? args->id : "");
            return false;
        }
    }
    return true;
}

/* The kernel, or the firmware, which may be asked for with a kernel to start. */
static bool open_image(Machine *machine, GError **error)
{
    const Cmdline *cmdline = machine->cmdline;

    if (!cmdline->kernel || cmdline->bios || firmware_flash_is_wanted(cmdline))
        return firmware_open(machine, error);
    machine->boot_image =
        boot_image_open(cmdline->kernel, cmdline->initrd, cmdline->append, error);
    return machine->boot_image != NULL;
}

/* What only a machine with vCPUs has. */
static bool build(Machine *machine, GError **error)
{
    if (!machine_memory_plug(machine, error) || !open_image(machine, error))
        return false;
    machine->board = (Board) {
        .vm = machine->vm,
        .loop = machine->loop,
        .memory = machine->memory,
        .io = machine->io,
        .memory_root = &machine->memory_root,
        .io_root = &machine->io_root,
        .smm = machine->smm,
        .smm_root = machine->smm ? &machine->smm_root : NULL,
        .outside_root = machine->smm ? &machine->outside_root : NULL,
        .extended_tseg = machine_memory_extended_tseg(machine),
        .smram_at_smbase = machine_smi_has_smram_at_smbase(machine),
        .chars = machine->chars,
        .blocks = machine->blocks,
        .nets = machine->nets,
        .objects = machine->objects,
        .n_cpus = machine->topology.max_cpus,
        .topology = &machine->topology,
        .cpu_nodes = machine->numa ? machine->numa->cpu_nodes : NULL,
        .ram_size = machine->ram_size,
        .ram = machine_memory_first(machine),
        .memory_window = machine->memory_window,
        .firmware = machine->rom,
        .ops = &machine_board_ops,
        .opaque = machine,
    };
    if (!machine_vcpus_init(machine, error))
        return false;
    machine->board.cpu_type = cpu_model_type(machine->cpu_model);
    return machine_q35_init(machine, error) && add_devices(machine, error) &&
           default_devices_add(machine, error) && machine_q35_complete(machine, error);
}

static bool init(Machine *machine, Vm *vm, GError **error)
{
    if (!machine_identity_init(machine, error) ||
        !smp_parse(machine->cmdline->smp, MACHINE_MAX_VCPUS, &machine->topology, error))
        return false;
    set_actions(machine);
    if (machine->type->kind == MACHINE_KIND_NONE) {
        machine->kvm = vm_kvm_available(NULL);
        return add_backends(machine, error) &&
               add_objects(machine, OBJECT_STAGE_DEVICES, error);
    }
    if (!machine->vm && !make_vm(machine, error))
        return false;
    if (!numa_parse(machine->cmdline, &machine->topology, &machine->numa, error))
        return false;
    machine_memory_init(machine);
    machine->memory_failure = memory_failure_new(&machine->run, machine->memory, error);
    return machine->memory_failure && add_backends(machine, error) &&
           build(machine, error) && add_objects(machine, OBJECT_STAGE_DEVICES, error);
}

static int open_fdset(void *opaque, const char *path, int flags, GError **error)
{
    return fdset_open(opaque, path, flags, error);
}

Machine *machine_new(const Cmdline *cmdline, const MachineHost *host, Vm *vm,
                     GError **error)
{
    g_autoptr(Machine) machine = g_new0(Machine, 1);
    const char *type = cmdline->machine && cmdline->machine->type ? cmdline->machine->type
                                                                  : "q35";

    assert_main();

    machine->vm = vm;
    machine->cmdline = cmdline;
    machine->loop = host->loop;
    machine->events = host->events;
    machine->chars = host->chars;
    machine->fdsets = host->fdsets;
    machine->objects = object_set_new();
    machine->blocks = block_graph_new(machine->loop);
    machine->nets = net_set_new(machine->loop);
    net_set_allow_programs(machine->nets, sandbox_allows_programs(cmdline->sandbox));
    net_set_watch(machine->nets, &machine_net_ops, machine);
    block_graph_set_events(machine->blocks, machine->events);
    object_set_lend_blocks(machine->objects, machine->blocks);
    object_set_lend_nets(machine->objects, machine->nets);
    object_set_lend_tree(machine->objects, &machine->tree);
    object_set_lend_fdsets(machine->objects, machine->fdsets);
    object_set_lend_context(machine->objects, host->context);
    if (machine->fdsets)
        block_graph_set_open_hook(machine->blocks, open_fdset, machine->fdsets);
    runstate_init(&machine->run, machine->loop, machine->events, &machine_run_ops,
                  machine);
    machine->disk_errors = disk_errors_new(&machine->run);
    device_tree_init(&machine->tree, &machine->board);
    machine->type = machine_types_find(type);
    g_assert(machine->type);
    if (!init(machine, vm, error))
        return NULL;
    return g_steal_pointer(&machine);
}

void machine_free(Machine *machine)
{
    if (!machine)
        return;
    assert_main();

    machine_dump_done(machine);
    memory_ledger_done(machine);
    block_graph_let_go(machine->blocks);
    machine_vcpus_pause(machine);
    vm_end(machine->vm);
    device_tree_done(&machine->tree);
    machine_q35_free(machine->q35);
    machine_vcpus_done(machine);
    boot_image_free(machine->boot_image);
    firmware_done(machine);
    memory_failure_free(machine->memory_failure);
    if (machine->memory)
        machine_memory_done(machine);
    numa_free(machine->numa);
    block_graph_free(machine->blocks);
    net_set_free(machine->nets);
    disk_errors_free(machine->disk_errors);
    object_set_free(machine->objects);
    runstate_done(&machine->run);
    vm_free(machine->vm);
    machine_identity_done(machine);
    g_free(machine);
}

bool machine_start(Machine *machine, GError **error)
{
    assert_main();

    if (machine->type->kind != MACHINE_KIND_NONE &&
        (!address_space_check(machine->memory, error) ||
         !address_space_check(machine->io, error) || !machine_run_reset(machine, error)))
        return false;
    machine->tree.started = true;
    if (machine->cmdline->paused)
        return true;
    return machine_cont(machine, error);
}

bool machine_cont(Machine *machine, GError **error)
{
    if (!machine->boot_image && !machine->rom &&
        machine->type->kind != MACHINE_KIND_NONE) {
        error_set(error, "there is nothing to boot: give a kernel with -kernel, firmware "
                  "with -bios, or install SeaBIOS (package 'seabios')");
        return false;
    }
    return runstate_start(&machine->run, error);
}

bool machine_has_acpi(const Machine *machine)
{
    const MachineOptions *options = machine->cmdline->machine;

    return machine->type->kind == MACHINE_KIND_Q35 &&
           (!options || !options->has_acpi || options->acpi != ON_OFF_AUTO_OFF);
}

bool machine_has_smm(const Machine *machine)
{
    const MachineOptions *options = machine->cmdline->machine;

    return machine->type->kind == MACHINE_KIND_Q35 && options &&
           options->smm == ON_OFF_AUTO_ON;
}

bool machine_can_suspend(const Machine *machine)
{
    const OnboardDevice *lpc = machine->cmdline->onboard[ONBOARD_DRIVER_ICH9_LPC];

    return machine_has_acpi(machine) && !lpc->u.ICH9_LPC.disable_s3;
}

Vcpu *machine_vcpu(const Machine *machine, int64_t index)
{
    return machine->vcpus && index >= 0 && index < machine->topology.max_cpus
               ? machine->vcpus[index] : NULL;
}

Vcpu *machine_next_vcpu(const Machine *machine, unsigned *index)
{
    for (; machine->vcpus && *index < machine->topology.max_cpus; (*index)++) {
        if (machine->vcpus[*index])
            return machine->vcpus[*index];
    }
    return NULL;
}

unsigned machine_n_vcpus(const Machine *machine)
{
    unsigned n = 0;

    for (unsigned i = 0; machine_next_vcpu(machine, &i); i++)
        n++;
    return n;
}

char *machine_vcpu_path(const Machine *machine, unsigned index)
{
    const Device *dev = machine_q35_vcpu_device(machine, index);

    if (dev)
        return g_strdup(dev->path);
    return g_strdup_printf(VCPU_PATH "%u]", index);
}

bool machine_find_vcpu(const Machine *machine, const char *path, unsigned *ret_index)
{
    bool has_number = g_str_has_prefix(path, VCPU_PATH);
    uint64_t number =
        has_number ? g_ascii_strtoull(path + strlen(VCPU_PATH), NULL, 10) : 0;
    g_autofree char *numbered = g_strdup_printf(VCPU_PATH "%" PRIu64 "]", number);
    bool is_numbered = strcmp(path, numbered) == 0;

    for (unsigned i = 0; machine_next_vcpu(machine, &i); i++) {
        const Device *dev = machine_q35_vcpu_device(machine, i);

        if (dev ? strcmp(dev->path, path) == 0 : is_numbered && number == i) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}
