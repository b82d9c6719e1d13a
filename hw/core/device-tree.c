/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to all devices of a machine: reset, pause and resume, save and load.
 *
 * The state is a sequence of records, one a device that has a table, in order of
 * realization: length and text of the device's path (2 bytes and that many), length of
 * the state (4 bytes) and the state (vmstate.h); a path of length 0 ends it.  Numbers are
 * big-endian.  On load each device is found by its path; each must be there exactly once.
 */
#include <string.h>

#include "berth/device.h"
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/iothread.h"
#include "berth/object.h"
#include "berth/thread.h"
#include "berth/vmstate.h"

void device_tree_init(DeviceTree *tree, Board *board)
{
    memset(tree, 0, sizeof(*tree));
    tree->board = board;
    list_init(&tree->devices);
    list_init(&tree->buses);
    tree->by_id = g_hash_table_new(g_str_hash, g_str_equal);
    bus_init(&tree->isa, BUS_ISA, "isa.0", NULL, tree, NULL);
}

void device_tree_done(DeviceTree *tree)
{
    if (!tree->by_id)
        return;
    device_tree_pause(tree);
    while (!list_is_empty(&tree->devices))
        device_remove(CONTAINER_OF(tree->devices.prev, Device, tree_node));
    bus_done(&tree->isa);
    g_clear_pointer(&tree->by_id, g_hash_table_unref);
    if (tree->queue_thread)
        object_set_lend_queue_thread(tree->board->objects, NULL);
    g_clear_pointer(&tree->queue_thread, iothread_free);
    tree->queue_loop = NULL;
}

void device_tree_reset(DeviceTree *tree)
{
    assert_main();
    g_assert(!tree->running);
    hotplug_reset(tree);
    tree->guest_ran = false;
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->machine_reset)
            dev->class->machine_reset(dev);
    }
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->reset)
            dev->class->reset(dev);
    }
}

void device_tree_suspend(DeviceTree *tree)
{
    assert_main();
    g_assert(!tree->running);
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->suspend)
            dev->class->suspend(dev);
        else if (dev->class->reset)
            dev->class->reset(dev);
    }
}

void device_tree_resume(DeviceTree *tree)
{
    assert_main();
    if (tree->running)
        return;
    tree->running = true;
    tree->started = true;
    tree->guest_ran = true;
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->resume)
            dev->class->resume(dev);
    }
}

void device_tree_pause(DeviceTree *tree)
{
    assert_main();
    if (!tree->running)
        return;
    tree->running = false;
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->pause)
            dev->class->pause(dev);
    }
}

bool device_tree_is_quiet(const DeviceTree *tree)
{
    assert_main();
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->is_draining && dev->class->is_draining(dev))
            return false;
    }
    return true;
}

static bool make_queue_thread(DeviceTree *tree, GError **error)
{
    g_autoptr(Iothread) iothread = iothread_new("queues", error);

    if (!iothread || !object_iothread_tune_queues(tree->board->objects, iothread, error))
        return false;
    object_set_lend_queue_thread(tree->board->objects, iothread);
    tree->queue_loop = iothread_loop(iothread);
    tree->queue_thread = g_steal_pointer(&iothread);
    return true;
}

Loop *device_tree_queue_loop(DeviceTree *tree, GError **error)
{
    assert_main();
    if (!tree->queue_loop && !make_queue_thread(tree, error))
        return NULL;
    return tree->queue_loop;
}

void device_tree_save(DeviceTree *tree, GByteArray *out)
{
    uint16_t end = 0;

    assert_main();
    g_assert(!tree->running);
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        g_autoptr(GByteArray) state = g_byte_array_new();
        uint16_t path_size = GUINT16_TO_BE(strlen(dev->path));
        uint32_t state_size;

        if (!dev->class->vmstate)
            continue;
        vmstate_save(state, dev->class->vmstate, dev);
        state_size = GUINT32_TO_BE(state->len);
        g_byte_array_append(out, (const uint8_t *)&path_size, sizeof(path_size));
        g_byte_array_append(out, (const uint8_t *)dev->path, strlen(dev->path));
        g_byte_array_append(out, (const uint8_t *)&state_size, sizeof(state_size));
        g_byte_array_append(out, state->data, state->len);
    }
    g_byte_array_append(out, (const uint8_t *)&end, sizeof(end));
}

/* Takes a length of @width (2 or 4) bytes and that many bytes from the input. */
static bool take_sized(const uint8_t **data, size_t *size, size_t width,
                       const uint8_t **ret_bytes, size_t *ret_size)
{
    size_t n = 0;

    if (*size < width)
        return false;
    for (size_t i = 0; i < width; i++)
        n = n << 8 | (*data)[i];
    if (*size - width < n)
        return false;
    *ret_bytes = *data + width;
    *ret_size = n;
    *data += width + n;
    *size -= width + n;
    return true;
}

static bool load_device(DeviceTree *tree, const char *path, const uint8_t *state,
                        size_t size, GHashTable *missing, GError **error)
{
    Device *dev = device_find(tree, path);

    if (!dev || !g_hash_table_remove(missing, dev)) {
        g_autofree char *shown = g_strescape(path, NULL);

        error_set(error, "state of device '%s' is not expected%s", shown,
                  dev ? " (again)" : ": there is no such device");
        return false;
    }
    if (!vmstate_load(&state, &size, dev->class->vmstate, dev, error)) {
        g_prefix_error(error, "device '%s': ", path);
        return false;
    }
    if (size) {
        error_set(error, "device '%s': %zu bytes follow its state", path, size);
        return false;
    }
    return true;
}

static GHashTable *devices_with_state(DeviceTree *tree)
{
    GHashTable *set = g_hash_table_new(NULL, NULL);

    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->vmstate)
            g_hash_table_add(set, dev);
    }
    return set;
}

bool device_tree_load(DeviceTree *tree, const uint8_t *data, size_t size, GError **error)
{
    g_autoptr(GHashTable) missing = devices_with_state(tree);
    GHashTableIter iter;
    gpointer left;

    assert_main();
    g_assert(!tree->running);
    for (;;) {
        g_autofree char *path = NULL;
        const uint8_t *name, *state;
        size_t name_size, state_size;

        if (!take_sized(&data, &size, 2, &name, &name_size))
            break;
        if (name_size == 0) {
            g_hash_table_iter_init(&iter, missing);
            if (!g_hash_table_iter_next(&iter, &left, NULL))
                return true;
            error_set(error, "the state of device '%s' is missing",
                      ((Device *)left)->path);
            return false;
        }
        if (!take_sized(&data, &size, 4, &state, &state_size))
            break;
        path = g_strndup((const char *)name, name_size);
        if (!load_device(tree, path, state, state_size, missing, error))
            return false;
    }
    error_set(error, "the state of the devices is cut off");
    return false;
}
