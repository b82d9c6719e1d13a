/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine, built in the order in which its parts need each other and freed in
 * the reverse order:
 *
 *     options -> hypervisor -> address spaces -> objects -> RAM -> vCPUs -> board
 *     -> devices
 *
 * A device's request (reset, power-off) comes on a vCPU's thread, under the device's
 * lock.  It asks the vCPUs to leave the guest, so that none runs on beyond the write that
 * asked, and posts to main, which does the rest.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/object.h"
#include "berth/smp.h"

#include "machine-memory.h"
#include "machine-q35.h"
#include "machine-vcpus.h"

#include "berth/machine.h"

static void on_pause_vcpus(void *opaque)
{
    Machine *machine = opaque;

    machine_vcpus_pause(machine);
    device_tree_pause(&machine->tree);
    if (machine->vm)
        vm_stop_clock(machine->vm);
}

static void on_resume_vcpus(void *opaque)
{
    Machine *machine = opaque;

    if (machine->vm)
        vm_start_clock(machine->vm);
    device_tree_resume(&machine->tree);
    machine_vcpus_resume(machine);
}

/* Every part to its state at power-on, the kernel loaded anew. */
static bool on_reset(void *opaque, GError **error)
{
    Machine *machine = opaque;
    VcpuBoot boot = { .entry = VCPU_ENTRY_RESET };

    if (!machine->vm)
        return true;
    vm_reset(machine->vm);
    device_tree_reset(&machine->tree);
    if (!machine_q35_load(machine, &boot, error))
        return false;
    return machine_vcpus_reset(machine, &boot, error);
}

static void on_power_button(void *opaque)
{
    Machine *machine = opaque;

    if (machine->q35)
        machine_q35_power_button(machine->q35);
}

static const RunOps run_ops = {
    .pause_vcpus = on_pause_vcpus,
    .resume_vcpus = on_resume_vcpus,
    .reset = on_reset,
    .power_button = on_power_button,
};

static void on_board_reset(void *opaque, BoardResetReason reason)
{
    Machine *machine = opaque;

    machine_vcpus_request_pause(machine);
    runstate_request_reset(&machine->run, SHUTDOWN_CAUSE_GUEST_RESET);
}

static void on_board_shutdown(void *opaque)
{
    Machine *machine = opaque;

    machine_vcpus_request_pause(machine);
    runstate_request_shutdown(&machine->run, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
}

static void on_board_exit(void *opaque, int status)
{
    Machine *machine = opaque;

    machine_vcpus_request_pause(machine);
    runstate_request_exit(&machine->run, status);
}

static const BoardOps board_ops = {
    .request_reset = on_board_reset,
    .request_shutdown = on_board_shutdown,
    .request_exit = on_board_exit,
};

static bool is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (strlen(text) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (form[i] == '-' ? text[i] != '-' : !g_ascii_isxdigit(text[i]))
            return false;
    }
    return true;
}

static bool set_identity(Machine *machine, GError **error)
{
    const Cmdline *cmdline = machine->cmdline;

    if (cmdline->name)
        machine->name = g_strdup(cmdline->name->guest);
    g_strlcpy(machine->uuid, "00000000-0000-0000-0000-000000000000",
              sizeof(machine->uuid));
    if (!cmdline->uuid)
        return true;
    if (!is_uuid(cmdline->uuid)) {
        error_set(error, "option '-uuid': '%s' is not a UUID", cmdline->uuid);
        return false;
    }
    for (size_t i = 0; cmdline->uuid[i]; i++)
        machine->uuid[i] = g_ascii_tolower(cmdline->uuid[i]);
    return true;
}

static void set_actions(Machine *machine)
{
    const Cmdline *cmdline = machine->cmdline;

    if (cmdline->action_options)
        runstate_set_action(&machine->run, cmdline->action_options);
    if (cmdline->no_reboot)
        machine->run.reboot_action = REBOOT_ACTION_SHUTDOWN;
    if (cmdline->no_shutdown)
        machine->run.shutdown_action = SHUTDOWN_ACTION_PAUSE;
}

static bool make_vm(Machine *machine, GError **error)
{
    const GPtrArray *accels = machine->cmdline->accels;
    const AccelOptions *accel =
        accels->len > 0 ? g_ptr_array_index(accels, accels->len - 1) : NULL;
    VmOptions options = {
        .device = accel && accel->device ? accel->device : "/dev/kvm",
        .irqchip = VM_IRQCHIP_KERNEL,
        .pit = true,
        .max_vcpus = machine->topology.max_cpus,
    };

    machine->vm = vm_kvm_new(&options, error);
    machine->kvm = machine->vm != NULL;
    return machine->kvm;
}

static bool add_objects(Machine *machine, GError **error)
{
    const GPtrArray *objects = machine->cmdline->objects;

    for (guint i = 0; i < objects->len; i++) {
        const ObjectOptions *options = g_ptr_array_index(objects, i);

        if (!object_add(machine->objects, options, error)) {
            g_prefix_error(error, "option '-object': ");
            return false;
        }
    }
    return true;
}

static bool add_devices(Machine *machine, GError **error)
{
    const GPtrArray *devices = machine->cmdline->devices;

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

static bool open_image(Machine *machine, GError **error)
{
    const Cmdline *cmdline = machine->cmdline;

    if (!cmdline->kernel)
        return true;
    machine->boot_image =
        boot_image_open(cmdline->kernel, cmdline->initrd, cmdline->append, error);
    return machine->boot_image != NULL;
}

/* What only a machine with vCPUs has. */
static bool build(Machine *machine, GError **error)
{
    machine->board = (Board) {
        .vm = machine->vm,
        .loop = machine->loop,
        .memory = machine->memory,
        .io = machine->io,
        .memory_root = &machine->memory_root,
        .io_root = &machine->io_root,
        .chars = machine->chars,
        .objects = machine->objects,
        .ops = &board_ops,
        .opaque = machine,
    };
    return machine_memory_plug(machine, error) && open_image(machine, error) &&
           machine_vcpus_init(machine, error) &&
           machine_q35_init(machine, error) && add_devices(machine, error);
}

static bool init(Machine *machine, Vm *vm, GError **error)
{
    if (!set_identity(machine, error) ||
        !smp_parse(machine->cmdline->smp, MACHINE_MAX_VCPUS, &machine->topology, error))
        return false;
    set_actions(machine);
    if (machine->type->kind == MACHINE_KIND_NONE) {
        machine->kvm = vm_kvm_available(NULL);
        return add_objects(machine, error);
    }
    if (!machine->vm && !make_vm(machine, error))
        return false;
    machine_memory_init(machine);
    return add_objects(machine, error) && build(machine, error);
}

Machine *machine_new(const Cmdline *cmdline, Loop *loop, CharSet *chars,
                     QmpEvents *events, Vm *vm, GError **error)
{
    g_autoptr(Machine) machine = g_new0(Machine, 1);
    const char *type = cmdline->machine && cmdline->machine->type ? cmdline->machine->type
                                                                  : "q35";

    assert_main();

    machine->vm = vm;
    machine->cmdline = cmdline;
    machine->loop = loop;
    machine->events = events;
    machine->chars = chars;
    machine->objects = object_set_new();
    runstate_init(&machine->run, loop, events, &run_ops, machine);
    device_tree_init(&machine->tree, &machine->board);
    machine->type = machine_types_find(type);
    if (!machine->type) {
        error_set(error, "option '-machine': there is no machine type '%s' "
                  "(-machine help lists them)", type);
        return NULL;
    }
    if (!init(machine, vm, error))
        return NULL;
    return g_steal_pointer(&machine);
}

void machine_free(Machine *machine)
{
    if (!machine)
        return;
    assert_main();

    if (machine->vcpus)
        machine_vcpus_pause(machine);
    device_tree_done(&machine->tree);
    machine_q35_free(machine->q35);
    machine_vcpus_done(machine);
    boot_image_free(machine->boot_image);
    if (machine->memory)
        machine_memory_done(machine);
    object_set_free(machine->objects);
    runstate_done(&machine->run);
    vm_free(machine->vm);
    g_free(machine->name);
    g_free(machine);
}

bool machine_start(Machine *machine, GError **error)
{
    assert_main();

    if (machine->type->kind != MACHINE_KIND_NONE &&
        (!address_space_check(machine->memory, error) ||
         !address_space_check(machine->io, error) || !on_reset(machine, error)))
        return false;
    if (machine->cmdline->paused)
        return true;
    return machine_cont(machine, error);
}

bool machine_cont(Machine *machine, GError **error)
{
    if (!machine->boot_image && machine->type->kind != MACHINE_KIND_NONE) {
        error_set(error, "there is nothing to boot: give a kernel with -kernel");
        return false;
    }
    return runstate_start(&machine->run, error);
}

char *machine_vcpu_path(const Machine *machine, unsigned index)
{
    return g_strdup_printf("/machine/unattached/device[%u]", index);
}
