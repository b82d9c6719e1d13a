/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree: how a device comes and goes.
 *
 *     device_add      checks id and bus, allocates, class->realize, then makes it visible
 *     device_remove   the same steps backwards, as device_withdraw and device_finish
 *
 * Invariants:
 *  1. A device is on the tree's list exactly while it is REALIZED or LEAVING.
 *  2. What can fail comes before the first step that anyone sees: a failed add leaves the
 *     tree equal to before.
 *  3. A bridge leaves after the devices on its bus.
 */
#include "berth/cpu-query.h"
#include "berth/device.h"
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/id.h"
#include "berth/thread.h"
#include "berth/trace.h"
#include "berth/virtio.h"

const char *device_name(const Device *dev)
{
    return dev->id ? dev->id : dev->path;
}

Bus *device_tree_find_bus(DeviceTree *tree, const char *name)
{
    LIST_FOREACH(node, &tree->buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        if (strcmp(bus->name, name) == 0)
            return bus;
    }
    return NULL;
}

/* The first with a place; if all are full, the first. */
static Bus *first_bus_of(DeviceTree *tree, BusKind kind)
{
    Bus *first = NULL;

    LIST_FOREACH(node, &tree->buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        if (bus->kind != kind)
            continue;
        if (!bus_is_full(bus))
            return bus;
        first = first ? first : bus;
    }
    return first;
}

int device_driver_of(const char *name)
{
    g_autofree char *model = cpu_query_model_of(name);

    return model && cpu_query_exists(model) ? DEVICE_DRIVER_VCPU
                                            : DeviceDriver_parse(name);
}

const char *device_description(DeviceDriver driver)
{
    const DeviceKind *kind = &device_kinds[driver];

    return kind->virtio ? kind->virtio->description : kind->class->description;
}

bool device_check_args(const DeviceAddArgs *args, GError **error)
{
    const DeviceKind *kind = &device_kinds[args->driver];

    return (!kind->class->check || kind->class->check(args, error)) &&
           (!kind->virtio || !kind->virtio->check || kind->virtio->check(args, error));
}

/* The bus that @args (may be NULL) ask for, or the first that fits, in *@ret_bus. */
static bool choose_bus(DeviceTree *tree, const DeviceClass *class,
                       const DeviceAddArgs *args, Bus **ret_bus, GError **error)
{
    const char *what = args ? DeviceDriver_str(args->driver) : class->name;
    const char *name = args ? args->bus : NULL;
    Bus *bus = NULL;

    if (class->bus == BUS_NONE) {
        if (name) {
            error_set(error, "parameter 'bus': a '%s' is not plugged into a bus",
                      what);
            return false;
        }
    } else if (name) {
        bus = device_tree_find_bus(tree, name);
        if (!bus) {
            error_set(error, "parameter 'bus': bus '%s' not found", name);
            return false;
        }
        if (bus->kind != class->bus) {
            error_set(error, "parameter 'bus': '%s' is of kind %s, a '%s' needs %s", name,
                      bus_kind_str(bus->kind), what, bus_kind_str(class->bus));
            return false;
        }
    } else {
        bus = first_bus_of(tree, class->bus);
        if (!bus) {
            error_set(error, "the machine has no %s bus for a '%s'%s%s",
                      bus_kind_str(class->bus), what,
                      class->bus == BUS_MEMORY ? ": " : "",
                      class->bus == BUS_MEMORY ? hotplug_hint(class->bus) : "");
            return false;
        }
    }
    if (bus && bus_is_full(bus)) {
        error_set(error, "parameter 'bus': bus '%s' is full", bus->name);
        return false;
    }
    *ret_bus = bus;
    return true;
}

static bool refuse_pci_args(const DeviceClass *class, const DeviceAddArgs *args,
                            GError **error)
{
    const char *name = NULL;

    if (args->addr && class->bus != BUS_MEMORY)
        name = "addr";
    else if (args->has_multifunction && args->multifunction)
        name = "multifunction";
    else if (args->has_acpi_index)
        name = "acpi-index";
    else if (args->romfile)
        name = "romfile";
    else if (args->has_rombar)
        name = "rombar";
    else if (args->has_x_unplug_timeout && class->bus != BUS_CPU &&
             class->bus != BUS_MEMORY)
        name = "x-unplug-timeout";
    if (name)
        error_set(error, "parameter '%s': a '%s' is not a PCI device", name,
                  DeviceDriver_str(args->driver));
    return !name;
}

static bool check_args(DeviceTree *tree, const DeviceClass *class,
                       const DeviceAddArgs *args, GError **error)
{
    if (args->id) {
        if (!id_check(args->id, "id", error))
            return false;
        if (g_hash_table_contains(tree->by_id, args->id)) {
            error_set(error, "parameter 'id': there is a device '%s' already", args->id);
            return false;
        }
    }
    return (class->bus == BUS_PCI || refuse_pci_args(class, args, error)) &&
           device_check_args(args, error);
}

static void device_free(Device *dev)
{
    hotplug_forget(dev);
    g_mutex_clear(&dev->lock);
    qapi_free_DeviceAddArgs(dev->args);
    g_free(dev->id);
    g_free(dev->path);
    g_free(dev);
}

static Device *device_new(DeviceTree *tree, const DeviceClass *class, Bus *bus,
                          const DeviceAddArgs *args)
{
    Device *dev = g_malloc0(class->instance_size);

    dev->class = class;
    dev->tree = tree;
    dev->board = tree->board;
    dev->bus = bus;
    dev->args = args ? qapi_clone_DeviceAddArgs(args) : NULL;
    dev->id = args ? g_strdup(args->id) : NULL;
    dev->hotplugged = tree->started;
    list_init(&dev->bus_node);
    list_init(&dev->tree_node);
    g_mutex_init(&dev->lock);
    return dev;
}

/* From here on @dev is in the machine; cannot fail. */
static void device_plug(Device *dev)
{
    DeviceTree *tree = dev->tree;

    TRACE(device_plug, "%s: %s", dev->class->name, dev->path);
    dev->state = DEVICE_STATE_REALIZED;
    list_append(&tree->devices, &dev->tree_node);
    if (dev->id)
        g_hash_table_insert(tree->by_id, dev->id, dev);
    if (dev->bus) {
        list_append(&dev->bus->devices, &dev->bus_node);
        if (dev->bus->ops)
            dev->bus->ops->plug(dev->bus, dev);
    }
    if (tree->running && dev->class->resume)
        dev->class->resume(dev);
}

/* Takes @path, also on failure. */
static Device *device_build(DeviceTree *tree, const DeviceClass *class, char *path,
                            const DeviceAddArgs *args, GError **error)
{
    Device *dev;
    Bus *bus;

    assert_main();
    if (!choose_bus(tree, class, args, &bus, error)) {
        g_free(path);
        return NULL;
    }
    dev = device_new(tree, class, bus, args);
    dev->path = path;
    if (!class->realize(dev, dev->args, error)) {
        device_free(dev);
        return NULL;
    }
    device_plug(dev);
    return dev;
}

Device *device_add(DeviceTree *tree, const DeviceAddArgs *args, GError **error)
{
    const DeviceClass *class = device_kinds[args->driver].class;
    Device *dev;
    char *path;

    if (!check_args(tree, class, args, error))
        return NULL;
    if (args->id)
        path = g_strdup_printf("/machine/peripheral/%s", args->id);
    else
        path = g_strdup_printf("/machine/peripheral-anon/device[%u]", tree->n_anon);
    dev = device_build(tree, class, path, args, error);
    if (dev && !dev->id)
        tree->n_anon++;
    return dev;
}

Device *device_add_onboard(DeviceTree *tree, const DeviceClass *class, const char *name,
                           const DeviceAddArgs *args, GError **error)
{
    return device_build(tree, class, g_strdup_printf("/machine/%s", name), args, error);
}

/* The last device on a bus of @dev, NULL when there is none. */
static Device *last_child(const Device *dev)
{
    LIST_FOREACH(node, &dev->tree->buses) {
        const Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        if (bus->owner == dev && !list_is_empty(&bus->devices))
            return CONTAINER_OF(bus->devices.prev, Device, bus_node);
    }
    return NULL;
}

typedef void DeviceFn(Device *dev, void *opaque);

/* Calls @fn with each device on a bus of @dev; it may not change the tree. */
static void foreach_child(const Device *dev, DeviceFn *fn, void *opaque)
{
    LIST_FOREACH(node, &dev->tree->buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        if (bus->owner != dev)
            continue;
        LIST_FOREACH(child, &bus->devices)
            fn(CONTAINER_OF(child, Device, bus_node), opaque);
    }
}

static void withdraw_child(Device *dev, void *opaque)
{
    device_withdraw(dev);
}

void device_withdraw(Device *dev)
{
    assert_main();
    if (dev->state == DEVICE_STATE_LEAVING)
        return;
    foreach_child(dev, withdraw_child, NULL);
    TRACE(device_withdraw, "%s: %s", dev->class->name, dev->path);
    dev->state = DEVICE_STATE_LEAVING;
    if (dev->bus && dev->bus->ops)
        dev->bus->ops->unplug(dev->bus, dev);
    if (dev->tree->running && dev->class->pause)
        dev->class->pause(dev);
    if (dev->class->withdraw)
        dev->class->withdraw(dev);
}

static void add_draining(Device *dev, void *opaque)
{
    bool *draining = opaque;

    *draining = *draining || device_is_draining(dev);
}

bool device_is_draining(Device *dev)
{
    bool draining = dev->class->is_draining && dev->class->is_draining(dev);

    if (!draining)
        foreach_child(dev, add_draining, &draining);
    return draining;
}

void device_finish(Device *dev, DeviceGoneFn *gone, void *opaque)
{
    DeviceTree *tree = dev->tree;
    g_autofree char *id = g_strdup(dev->id);
    g_autofree char *path = g_strdup(dev->path);
    Device *child;

    g_assert(dev->state == DEVICE_STATE_LEAVING);
    while ((child = last_child(dev)))
        device_finish(child, gone, opaque);
    TRACE(device_remove, "%s: %s", dev->class->name, dev->path);
    if (dev->bus)
        list_remove(&dev->bus_node);
    if (dev->class->unrealize)
        dev->class->unrealize(dev);
    if (dev->id)
        g_hash_table_remove(tree->by_id, dev->id);
    list_remove(&dev->tree_node);
    dev->state = DEVICE_STATE_GONE;
    device_free(dev);
    if (gone)
        gone(opaque, id, path);
}

void device_remove(Device *dev)
{
    device_withdraw(dev);
    /* What is under way uses memory of the device and the guest. */
    while (device_is_draining(dev))
        loop_turn(dev->board->loop, true);
    device_finish(dev, NULL, NULL);
}

Device *device_find(DeviceTree *tree, const char *id_or_path)
{
    if (id_or_path[0] != '/')
        return g_hash_table_lookup(tree->by_id, id_or_path);
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (strcmp(dev->path, id_or_path) == 0)
            return dev;
    }
    return NULL;
}

void device_guest_error(Device *dev, const char *format, ...)
{
    g_autofree char *text = NULL;
    uint32_t dropped;
    va_list ap;

    if (!log_limit_pass(&dev->guest_errors, &dropped))
        return;
    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (dropped)
        log_warn("device '%s': guest error: %s (%u more not shown)", device_name(dev),
                 text, dropped);
    else
        log_warn("device '%s': guest error: %s", device_name(dev), text);
}

void device_host_error(Device *dev, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    if (!log_limit_pass(&dev->host_errors, NULL))
        return;
    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    log_error("device '%s': %s", device_name(dev), text);
}
