/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug: the life of a request to let a device go.
 *
 * A bus knows how its guest is asked (BusOps.request_unplug); here is what is the same
 * for all: the state of the request, its time-out, and the end of a device whose requests
 * to the host may take as long as they like.  Such a device is looked at again after a
 * while, which doubles up to a second.
 *
 * A guest that boots throws away what it was told before its drivers were up, so one that
 * has not looked is reminded, after times that double.
 */
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/trace.h"

#define DEFAULT_TIMEOUT 30u             /* seconds */
#define FIRST_LOOK_NS (NS_PER_SEC / 1000)
#define LAST_LOOK_NS NS_PER_SEC
#define FIRST_REMINDER_NS (NS_PER_SEC / 2)
#define LAST_REMINDER_NS (4 * NS_PER_SEC)
#define ROOT_BUS_HINT "start the machine with a pcie-root-port for each device to come"

struct DeviceUnplug {
    Device *dev;
    UnplugState state;
    Timer timer;                /* of the time-out, or of the next look */
    int64_t look_ns;
    Timer reminder;
    int64_t remind_ns;          /* until the next */
    char *reason;               /* why it is kept, or NULL */
};

static bool is_removable_kind(BusKind kind)
{
    return kind == BUS_PCI || kind == BUS_SCSI || kind == BUS_VIRTIO_SERIAL ||
           kind == BUS_CPU || kind == BUS_MEMORY;
}

bool hotplug_bus_takes(Bus *bus)
{
    return bus && is_removable_kind(bus->kind) &&
           (!bus->ops->check_hotplug || bus->ops->check_hotplug(bus, NULL, NULL));
}

static bool check_bus(Bus *bus, const DeviceAddArgs *args, GError **error)
{
    if (bus->owner && bus->owner->state == DEVICE_STATE_LEAVING) {
        error_set(error, "parameter 'bus': '%s' is leaving", device_name(bus->owner));
        return false;
    }
    return !bus->ops->check_hotplug || bus->ops->check_hotplug(bus, args, error);
}

const char *hotplug_hint(BusKind kind)
{
    if (kind == BUS_PCI)
        return ROOT_BUS_HINT;
    if (kind == BUS_CPU)
        return "start the machine with -smp maxcpus= and with ACPI";
    if (kind == BUS_MEMORY)
        return "start the machine with '-m', 'slots' and 'maxmem', and with ACPI";
    return "add its controller first";
}

/* The first that takes the device; NULL with @error when there is none. */
static Bus *find_bus(DeviceTree *tree, BusKind kind, const DeviceAddArgs *args,
                     GError **error)
{
    LIST_FOREACH(node, &tree->buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        if (bus->kind == kind && check_bus(bus, args, NULL))
            return bus;
    }
    error_set(error, "parameter 'bus': no %s bus has a place for a device that comes "
              "now; %s", bus_kind_str(kind), hotplug_hint(kind));
    return NULL;
}

static bool check_board(const Board *board, const DeviceAddArgs *args, GError **error)
{
    return !board->ops || !board->ops->check_device ||
           board->ops->check_device(board->opaque, args, error);
}

Device *hotplug_add(DeviceTree *tree, const DeviceAddArgs *args, GError **error)
{
    BusKind kind = device_kinds[args->driver].class->bus;
    g_autoptr(DeviceAddArgs) placed = NULL;
    Bus *bus;

    assert_main();
    if (!is_removable_kind(kind)) {
        error_set(error, "a '%s' cannot come to a machine that is made; give it on the "
                  "command line", DeviceDriver_str(args->driver));
        return NULL;
    }
    if (!check_board(tree->board, args, error))
        return NULL;
    if (!args->bus) {
        bus = find_bus(tree, kind, args, error);
        if (!bus)
            return NULL;
        placed = qapi_clone_DeviceAddArgs(args);
        placed->bus = g_strdup(bus->name);
        return device_add(tree, placed, error);
    }
    bus = device_tree_find_bus(tree, args->bus);
    /* What is wrong with another kind of bus device_add() tells. */
    if (bus && bus->kind == kind && !check_bus(bus, args, error))
        return NULL;
    return device_add(tree, args, error);
}

static void tell_gone(void *opaque, const char *id, const char *path)
{
    const Board *board = opaque;

    if (board->ops && board->ops->device_deleted)
        board->ops->device_deleted(board->opaque, id, path);
}

/* Frees a device that leaves, or looks again later. */
static void finish_or_wait(DeviceUnplug *unplug)
{
    Device *dev = unplug->dev;

    if (!device_is_draining(dev)) {
        device_finish(dev, tell_gone, dev->board);
        return;
    }
    timer_set(&unplug->timer, loop_clock_ns() + unplug->look_ns);
    unplug->look_ns = MIN(2 * unplug->look_ns, LAST_LOOK_NS);
}

/* In seconds, 0 for none. */
static uint32_t timeout_of(const Device *dev)
{
    return dev->args && dev->args->has_x_unplug_timeout ? dev->args->x_unplug_timeout
                                                        : DEFAULT_TIMEOUT;
}

static void set_timeout(DeviceUnplug *unplug)
{
    int64_t seconds = timeout_of(unplug->dev);

    if (seconds)
        timer_set(&unplug->timer, loop_clock_ns() + seconds * NS_PER_SEC);
}

static void on_timeout(DeviceUnplug *unplug)
{
    Device *dev = unplug->dev;
    Board *board = dev->board;

    /* A guest that does not run cannot answer. */
    if (!dev->tree->running) {
        set_timeout(unplug);
        return;
    }
    unplug->state = UNPLUG_STATE_SILENT;
    if (board->ops && board->ops->device_silent)
        board->ops->device_silent(board->opaque, dev->id, dev->path, timeout_of(dev));
}

static void on_timer(void *opaque)
{
    DeviceUnplug *unplug = opaque;

    if (unplug->state == UNPLUG_STATE_LEAVING)
        finish_or_wait(unplug);
    else
        on_timeout(unplug);
}

static void set_reminder(DeviceUnplug *unplug)
{
    timer_set(&unplug->reminder, loop_clock_ns() + unplug->remind_ns);
    unplug->remind_ns = MIN(2 * unplug->remind_ns, LAST_REMINDER_NS);
}

/* The guest was asked, and may be silent already. */
static void on_reminder(void *opaque)
{
    DeviceUnplug *unplug = opaque;
    Device *dev = unplug->dev;

    if (!dev->tree->running || dev->bus->ops->remind(dev->bus, dev))
        set_reminder(unplug);
}

static DeviceUnplug *unplug_of(Device *dev)
{
    if (!dev->unplug) {
        dev->unplug = g_new0(DeviceUnplug, 1);
        dev->unplug->dev = dev;
        timer_init(&dev->unplug->timer, dev->board->loop, on_timer, dev->unplug);
        timer_init(&dev->unplug->reminder, dev->board->loop, on_reminder, dev->unplug);
    }
    timer_cancel(&dev->unplug->timer);
    timer_cancel(&dev->unplug->reminder);
    g_clear_pointer(&dev->unplug->reason, g_free);
    return dev->unplug;
}

void hotplug_forget(Device *dev)
{
    if (!dev->unplug)
        return;
    timer_cancel(&dev->unplug->timer);
    timer_cancel(&dev->unplug->reminder);
    g_free(dev->unplug->reason);
    g_clear_pointer(&dev->unplug, g_free);
}

void hotplug_eject(Device *dev)
{
    DeviceUnplug *unplug;

    assert_main();
    if (dev->state == DEVICE_STATE_LEAVING)
        return;
    unplug = unplug_of(dev);
    unplug->state = UNPLUG_STATE_LEAVING;
    unplug->look_ns = FIRST_LOOK_NS;
    device_withdraw(dev);
    finish_or_wait(unplug);
}

void hotplug_kept(Device *dev, const char *reason)
{
    Board *board = dev->board;
    DeviceUnplug *unplug;

    assert_main();
    if (!hotplug_is_asked(dev))
        return;
    unplug = unplug_of(dev);
    unplug->state = UNPLUG_STATE_KEPT;
    unplug->reason = g_strdup(reason);
    if (board->ops && board->ops->device_kept)
        board->ops->device_kept(board->opaque, dev->id, dev->path, reason);
}

bool hotplug_is_asked(const Device *dev)
{
    return dev->unplug && (dev->unplug->state == UNPLUG_STATE_ASKED ||
                           dev->unplug->state == UNPLUG_STATE_SILENT);
}

static bool check_removal(Device *dev, GError **error)
{
    Bus *bus = dev->bus;

    if (dev->state == DEVICE_STATE_LEAVING) {
        error_set(error, "device '%s' is leaving already", device_name(dev));
        return false;
    }
    if (!bus || !is_removable_kind(bus->kind)) {
        error_set(error, "device '%s' stays: a '%s' cannot be taken out of a machine",
                  device_name(dev), dev->class->name);
        return false;
    }
    if (bus->ops->check_hotplug && !bus->ops->check_hotplug(bus, NULL, error)) {
        g_prefix_error(error, "device '%s' stays: ", device_name(dev));
        return false;
    }
    return true;
}

static void eject_from(Bus *bus, Device *dev)
{
    if (bus->ops->eject)
        bus->ops->eject(bus, dev);
    else
        hotplug_eject(dev);
}

bool hotplug_remove(Device *dev, GError **error)
{
    const BusOps *ops;
    DeviceUnplug *unplug;
    bool ejects = true;

    assert_main();
    if (!check_removal(dev, error) ||
        (dev->class->check_removal && !dev->class->check_removal(dev, error)))
        return false;
    ops = dev->bus->ops;
    if (dev->tree->guest_ran && ops->request_unplug &&
        !ops->request_unplug(dev->bus, dev, &ejects, error))
        return false;
    TRACE(device_unplug, "%s: %s", dev->path, ejects ? "at once" : "asked for");
    if (ejects) {
        eject_from(dev->bus, dev);
        return true;
    }
    unplug = unplug_of(dev);
    unplug->state = UNPLUG_STATE_ASKED;
    set_timeout(unplug);
    unplug->remind_ns = FIRST_REMINDER_NS;
    if (ops->remind)
        set_reminder(unplug);
    return true;
}

bool hotplug_force(Device *dev, GError **error)
{
    assert_main();
    if (!check_removal(dev, error))
        return false;
    TRACE(device_unplug, "%s: forced", dev->path);
    eject_from(dev->bus, dev);
    return true;
}

static Device *next_asked(DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->state == DEVICE_STATE_REALIZED && hotplug_is_asked(dev))
            return dev;
    }
    return NULL;
}

void hotplug_reset(DeviceTree *tree)
{
    Device *dev;

    while ((dev = next_asked(tree)))
        eject_from(dev->bus, dev);
    LIST_FOREACH(node, &tree->devices) {
        dev = CONTAINER_OF(node, Device, tree_node);
        if (dev->unplug && dev->unplug->state == UNPLUG_STATE_KEPT)
            hotplug_forget(dev);
    }
}

UnplugInfoList *hotplug_query(DeviceTree *tree)
{
    UnplugInfoList *list = UnplugInfoList_new();

    LIST_FOREACH(node, &tree->devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);
        UnplugInfo *info;

        if (!dev->unplug)
            continue;
        info = g_new0(UnplugInfo, 1);
        info->device = g_strdup(dev->id);
        info->path = g_strdup(dev->path);
        info->state = dev->unplug->state;
        info->reason = g_strdup(dev->unplug->reason);
        UnplugInfoList_append(list, info);
    }
    return list;
}
