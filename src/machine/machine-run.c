/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What run control does to the parts of a machine, and what devices ask of it.
 *
 * A device's request (reset, power-off) comes on a vCPU's thread, under the device's
 * lock.  It asks the vCPUs to leave the guest, so that none runs on beyond the write that
 * asked, and posts to main, which does the rest.
 */
#include "berth/block-drive.h"

#include "boot-devices.h"
#include "disk-errors.h"
#include "machine-q35.h"
#include "machine-vcpus.h"
#include "qapi-events.h"

#include "machine-run.h"

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
    block_drive_reset_errors(machine->blocks);
    machine_q35_refresh(machine);
    device_tree_resume(&machine->tree);
    machine_vcpus_resume(machine);
}

static bool on_is_quiet(void *opaque)
{
    Machine *machine = opaque;

    return device_tree_is_quiet(&machine->tree);
}

bool machine_run_reset(Machine *machine, GError **error)
{
    VcpuBoot boot = { .entry = VCPU_ENTRY_RESET };

    if (!machine->vm)
        return true;
    vm_reset(machine->vm);
    device_tree_reset(&machine->tree);
    if (!machine_q35_load(machine, &boot, error))
        return false;
    return machine_vcpus_reset(machine, &boot, error);
}

static bool on_reset(void *opaque, GError **error)
{
    return machine_run_reset(opaque, error);
}

static void on_suspend(void *opaque)
{
    Machine *machine = opaque;

    vm_reset(machine->vm);
    device_tree_suspend(&machine->tree);
}

/* The guest's clock stands still, as its vCPUs do. */
static void on_resume_suspended(void *opaque)
{
    Machine *machine = opaque;

    device_tree_resume(&machine->tree);
}

static bool on_wake(void *opaque, BoardWakeReason reason, GError **error)
{
    Machine *machine = opaque;
    VcpuBoot boot = { .entry = VCPU_ENTRY_RESET };

    return machine_q35_wake(machine, reason, &boot, error) &&
           machine_vcpus_reset(machine, &boot, error);
}

static void on_power_button(void *opaque)
{
    Machine *machine = opaque;

    if (machine->q35)
        machine_q35_power_button(machine->q35);
}

static void on_inject_nmi(void *opaque)
{
    machine_vcpus_inject_nmi(opaque);
}

const RunOps machine_run_ops = {
    .pause_vcpus = on_pause_vcpus,
    .resume_vcpus = on_resume_vcpus,
    .is_quiet = on_is_quiet,
    .reset = on_reset,
    .suspend = on_suspend,
    .resume_suspended = on_resume_suspended,
    .wake = on_wake,
    .power_button = on_power_button,
    .inject_nmi = on_inject_nmi,
};

static void on_board_io_error(void *opaque, const BoardIoError *error)
{
    Machine *machine = opaque;

    if (error->action == BLOCK_ERROR_ACTION_STOP)
        machine_vcpus_request_pause(machine);
    disk_errors_add(machine->disk_errors, error);
}

static void on_board_drained(void *opaque)
{
    Machine *machine = opaque;

    if (device_tree_is_quiet(&machine->tree))
        runstate_quiet(&machine->run);
}

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

static void on_board_suspend(void *opaque)
{
    Machine *machine = opaque;

    machine_vcpus_request_pause(machine);
    runstate_request_suspend(&machine->run);
}

static void on_board_suspend_disk(void *opaque)
{
    Machine *machine = opaque;

    machine_vcpus_request_pause(machine);
    runstate_request_suspend_disk(&machine->run);
}

static void on_board_wakeup(void *opaque, BoardWakeReason reason)
{
    Machine *machine = opaque;

    runstate_request_wakeup(&machine->run, reason);
}

static void on_board_panicked(void *opaque, const GuestPanicInformation *info)
{
    Machine *machine = opaque;

    machine_vcpus_request_pause(machine);
    runstate_request_panic(&machine->run, info);
}

static void on_board_crashloaded(void *opaque, const GuestPanicInformation *info)
{
    Machine *machine = opaque;

    runstate_request_crashloaded(&machine->run, info);
}

static void on_board_shuts_down(void *opaque)
{
    Machine *machine = opaque;

    machine_vcpus_request_pause(machine);
    runstate_request_pvshutdown(&machine->run);
}

static void on_board_watchdog(void *opaque)
{
    Machine *machine = opaque;

    runstate_request_watchdog(&machine->run);
}

static void on_board_nmi(void *opaque)
{
    Machine *machine = opaque;

    runstate_request_nmi(&machine->run);
}

static void on_board_serial_port(void *opaque, const char *id, bool open)
{
    Machine *machine = opaque;
    VserportChangeEvent event = { .id = (char *)id, .open = open };

    qapi_event_vserport_change(machine->events, &event);
}

static void on_board_rx_filter_changed(void *opaque, const char *id, const char *path)
{
    Machine *machine = opaque;
    const NicRxFilterChangedEvent event = {
        .name = (char *)(uintptr_t)id, .path = (char *)(uintptr_t)path,
    };

    qapi_event_nic_rx_filter_changed(machine->events, &event);
}

static void on_stream_connected(void *opaque, const char *id, const SocketAddress *peer)
{
    Machine *machine = opaque;
    const NetdevStreamConnectedEvent event = {
        .netdev_id = (char *)(uintptr_t)id, .addr = (SocketAddress *)(uintptr_t)peer,
    };

    qapi_event_netdev_stream_connected(machine->events, &event);
}

static void on_stream_disconnected(void *opaque, const char *id)
{
    Machine *machine = opaque;
    const NetdevStreamDisconnectedEvent event = { .netdev_id = (char *)(uintptr_t)id };

    qapi_event_netdev_stream_disconnected(machine->events, &event);
}

const NetSetOps machine_net_ops = {
    .stream_connected = on_stream_connected,
    .stream_disconnected = on_stream_disconnected,
};

static void on_board_device_deleted(void *opaque, const char *id, const char *path)
{
    Machine *machine = opaque;
    DeviceDeletedEvent event = { .device = (char *)id, .path = (char *)path };

    qapi_event_device_deleted(machine->events, &event);
}

/* The event that such memory has had before all devices had one. */
static void tell_of_memory(Machine *machine, const char *id, const char *reason)
{
    MemUnplugErrorEvent event = {
        .device = (char *)(uintptr_t)(id ? id : ""),
        .msg = (char *)(uintptr_t)(reason ? reason : "the guest keeps it"),
    };

    qapi_event_mem_unplug_error(machine->events, &event);
}

static void on_board_device_kept(void *opaque, const char *id, const char *path,
                                 const char *reason)
{
    Machine *machine = opaque;
    const Device *dev = device_find(&machine->tree, path);
    DeviceUnplugGuestErrorEvent event = {
        .device = (char *)id, .path = (char *)path,
        .x_reason = (char *)(uintptr_t)reason,
    };

    if (dev && dev->class->bus == BUS_MEMORY)
        tell_of_memory(machine, id, reason);
    qapi_event_device_unplug_guest_error(machine->events, &event);
}

static void on_board_device_silent(void *opaque, const char *id, const char *path,
                                   uint32_t seconds)
{
    Machine *machine = opaque;
    XDeviceUnplugSilentEvent event = {
        .device = (char *)id, .path = (char *)path, .seconds = seconds,
    };

    qapi_event_x_device_unplug_silent(machine->events, &event);
}

static void on_board_device_ost(void *opaque, const BoardOst *ost)
{
    Machine *machine = opaque;
    g_autofree char *slot = g_strdup_printf("%u", ost->slot);
    ACPIOSTInfo info = {
        .device = (char *)ost->id, .slot = slot, .slot_type = ost->type,
        .source = ost->event, .status = ost->status,
    };
    AcpiDeviceOstEvent event = { .info = &info };

    qapi_event_acpi_device_ost(machine->events, &event);
}

static bool on_board_check_device(void *opaque, const DeviceAddArgs *args, GError **error)
{
    Machine *machine = opaque;

    return boot_devices_check_new(&machine->tree, args, error);
}

static bool on_board_add_vcpu(void *opaque, unsigned index, GError **error)
{
    return machine_vcpus_add(opaque, index, error);
}

static void on_board_remove_vcpu(void *opaque, unsigned index)
{
    machine_vcpus_remove(opaque, index);
}

static void on_board_tray_moved(void *opaque, const char *drive_name, const char *id,
                                bool open)
{
    Machine *machine = opaque;
    DeviceTrayMovedEvent event = {
        .device = (char *)drive_name, .id = (char *)id, .tray_open = open,
    };

    qapi_event_device_tray_moved(machine->events, &event);
}

static void on_board_clock_set(void *opaque, const char *path, int64_t ahead)
{
    Machine *machine = opaque;
    RtcChangeEvent event = { .offset = ahead, .qom_path = (char *)path };

    qapi_event_rtc_change(machine->events, &event);
}

static void on_board_balloon_changed(void *opaque, uint64_t actual)
{
    Machine *machine = opaque;
    const BalloonChangeEvent event = { .actual = (int64_t)actual };

    qapi_event_balloon_change(machine->events, &event);
}

static void on_board_memory_size_changed(void *opaque, const char *id, const char *path,
                                         uint64_t size)
{
    Machine *machine = opaque;
    const MemoryDeviceSizeChangeEvent event = {
        .id = (char *)id, .qom_path = (char *)path, .size = size,
    };

    qapi_event_memory_device_size_change(machine->events, &event);
}

static void on_board_memory_size_unmet(void *opaque,
                                       const XMemoryDeviceSizeUnmetEvent *event)
{
    Machine *machine = opaque;

    qapi_event_x_memory_device_size_unmet(machine->events, event);
}

static void on_board_balloon_moved(void *opaque, const XAutoballoonDecisionEvent *event)
{
    Machine *machine = opaque;

    qapi_event_x_autoballoon_decision(machine->events, event);
}

const BoardOps machine_board_ops = {
    .block_io_error = on_board_io_error,
    .device_drained = on_board_drained,
    .request_reset = on_board_reset,
    .request_shutdown = on_board_shutdown,
    .request_exit = on_board_exit,
    .request_suspend = on_board_suspend,
    .request_suspend_disk = on_board_suspend_disk,
    .request_wakeup = on_board_wakeup,
    .guest_panicked = on_board_panicked,
    .guest_crashloaded = on_board_crashloaded,
    .guest_shuts_down = on_board_shuts_down,
    .watchdog_expired = on_board_watchdog,
    .inject_nmi = on_board_nmi,
    .clock_set = on_board_clock_set,
    .serial_port_changed = on_board_serial_port,
    .tray_moved = on_board_tray_moved,
    .device_deleted = on_board_device_deleted,
    .device_kept = on_board_device_kept,
    .device_silent = on_board_device_silent,
    .device_ost = on_board_device_ost,
    .check_device = on_board_check_device,
    .add_vcpu = on_board_add_vcpu,
    .remove_vcpu = on_board_remove_vcpu,
    .rx_filter_changed = on_board_rx_filter_changed,
    .balloon_changed = on_board_balloon_changed,
    .memory_size_changed = on_board_memory_size_changed,
    .memory_size_unmet = on_board_memory_size_unmet,
    .balloon_moved = on_board_balloon_moved,
};
