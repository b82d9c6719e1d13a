/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places for memory devices, and how such memory comes and goes.
 *
 * Requests of devices have pointers into guest memory for as long as they take, and
 * rings for as long as a driver runs.  So before memory goes, every device that may have
 * such pointers is stopped and started again: it finds its rings anew, or breaks when
 * they were in what has gone.  Nobody waits for that; memory is used until no device is
 * between the two.
 */
#include "berth/error.h"
#include "berth/memory-backend.h"
#include "berth/memory-device.h"
#include "berth/thread.h"
#include "berth/trace.h"

/* KVM maps so much at once; see ram.c. */
#define LARGE_PAGE (2 * MIB)

struct MemoryWindow {
    MemoryWindowOptions options;
    Region region;
    uint64_t used;              /* bytes of plugged devices */
    ListNode devices;           /* of MemoryDevice, by address */
};

MemoryWindow *memory_device_window_new(const MemoryWindowOptions *options)
{
    MemoryWindow *window = g_new0(MemoryWindow, 1);

    window->options = *options;
    list_init(&window->devices);
    region_init_container(&window->region, "device-memory", options->size);
    region_add(options->root, options->gpa, &window->region, 0);
    return window;
}

void memory_device_window_free(MemoryWindow *window)
{
    if (!window)
        return;
    g_assert(list_is_empty(&window->devices));
    region_done(&window->region);
    g_free(window);
}

static const MemoryDevice *device_at(const ListNode *node)
{
    return CONTAINER_OF((ListNode *)node, MemoryDevice, list_node);
}

static uint64_t plugged(const MemoryDevice *memory)
{
    return memory->ops->plugged ? memory->ops->plugged(memory) : memory->size;
}

uint64_t memory_device_plugged(const MemoryWindow *window, int node)
{
    uint64_t sum = 0;

    if (!window)
        return 0;
    LIST_FOREACH(at, &window->devices) {
        const MemoryDevice *memory = device_at(at);

        if (node < 0 || memory->node == (uint32_t)node)
            sum += plugged(memory);
    }
    return sum;
}

MemoryDeviceInfoList *memory_device_query(const MemoryWindow *window)
{
    MemoryDeviceInfoList *list = MemoryDeviceInfoList_new();

    if (!window)
        return list;
    LIST_FOREACH(at, &window->devices) {
        const MemoryDevice *memory = device_at(at);

        MemoryDeviceInfoList_append(list, memory->ops->query(memory));
    }
    return list;
}

Object *memory_device_find_memdev(const Board *board, const char *id, GError **error)
{
    Object *object = object_find(board->objects, id);

    if (!object || !memory_backend_ram(object)) {
        error_set(error, "parameter 'memdev': there is no memory backend '%.64s'", id);
        return NULL;
    }
    if (object->n_users > 0) {
        error_set(error, "parameter 'memdev': can't use already busy memdev: %s", id);
        return NULL;
    }
    return object;
}

static bool check_node(const MemoryWindow *window, uint32_t node, GError **error)
{
    if (node < window->options.n_nodes)
        return true;
    error_set(error, "parameter 'node' is %u, but the machine has %u NUMA node%s", node,
              window->options.n_nodes, window->options.n_nodes == 1 ? "" : "s");
    return false;
}

static bool check_size(const MemoryWindow *window, uint64_t size, uint64_t align,
                       GError **error)
{
    uint64_t left = window->options.limit - window->used;

    if (size % align) {
        error_set(error, "parameter 'memdev': the size of the memory, %" PRIu64
                  " bytes, must be a multiple of %" PRIu64, size, align);
        return false;
    }
    if (size > left) {
        error_set(error, "parameter 'memdev': not enough space: %" PRIu64 " bytes are "
                  "wanted, and %" PRIu64 " of the %" PRIu64 " that '-m maxmem' has for "
                  "memory devices are left", size, left, window->options.limit);
        return false;
    }
    return true;
}

/* The first device that has something of the range, or NULL. */
static const MemoryDevice *find_overlap(const MemoryWindow *window, uint64_t gpa,
                                        uint64_t size)
{
    LIST_FOREACH(at, &window->devices) {
        const MemoryDevice *other = device_at(at);

        if (gpa < other->gpa + other->size && other->gpa < gpa + size)
            return other;
    }
    return NULL;
}

static bool is_within(const MemoryWindow *window, uint64_t gpa, uint64_t size)
{
    const MemoryWindowOptions *options = &window->options;

    return gpa >= options->gpa && size <= options->size &&
           gpa - options->gpa <= options->size - size;
}

static bool check_gpa(const MemoryWindow *window, const MemoryRequest *request,
                      uint64_t size, uint64_t align, GError **error)
{
    const MemoryWindowOptions *options = &window->options;
    const MemoryDevice *other;

    if (request->gpa % align) {
        error_set(error, "parameter '%s' must be a multiple of 0x%" PRIx64,
                  request->gpa_name, align);
        return false;
    }
    if (!is_within(window, request->gpa, size)) {
        error_set(error, "parameter '%s': memory of %" PRIu64 " bytes must be within "
                  "0x%" PRIx64 " to 0x%" PRIx64, request->gpa_name, size, options->gpa,
                  options->gpa + options->size - 1);
        return false;
    }
    other = find_overlap(window, request->gpa, size);
    if (other)
        error_set(error, "parameter '%s': address range conflicts with memory device "
                  "'%s'", request->gpa_name, device_name(other->dev));
    return !other;
}

/* The first range that is free; what is in the way pushes it behind itself. */
static bool find_gpa(const MemoryWindow *window, uint64_t size, uint64_t align,
                     uint64_t *ret_gpa, GError **error)
{
    uint64_t gpa = ALIGN_UP(window->options.gpa, align);
    const MemoryDevice *other;

    while (is_within(window, gpa, size)) {
        other = find_overlap(window, gpa, size);
        if (!other) {
            *ret_gpa = gpa;
            return true;
        }
        gpa = ALIGN_UP(other->gpa + other->size, align);
    }
    error_set(error, "no range of %" PRIu64 " bytes is free among the addresses of "
              "memory devices: they lie too scattered", size);
    return false;
}

static bool choose_gpa(MemoryWindow *window, const MemoryRequest *request,
                       const RamBlock *ram, uint64_t *ret_gpa, GError **error)
{
    uint64_t align = MAX(request->align, MAX(LARGE_PAGE, ram->page_size));

    if (!check_node(window, request->node, error) ||
        !check_size(window, ram->size, align, error))
        return false;
    if (!request->has_gpa)
        return find_gpa(window, ram->size, align, ret_gpa, error);
    *ret_gpa = request->gpa;
    return check_gpa(window, request, ram->size, align, error);
}

static void link_device(MemoryWindow *window, MemoryDevice *memory)
{
    ListNode *at = window->devices.next;

    while (at != &window->devices && device_at(at)->gpa < memory->gpa)
        at = at->next;
    list_insert_before(at, &memory->list_node);
    window->used += memory->size;
}

/* To those that have a copy of the map. */
static bool tell_devices(DeviceTree *tree, GError **error)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->memory_added && !dev->class->memory_added(dev, error)) {
            g_prefix_error(error, "device '%s': ", device_name(dev));
            return false;
        }
    }
    return true;
}

bool memory_device_changed(MemoryDevice *memory, GError **error)
{
    return address_space_check_memory(memory->dev->board->memory, error) &&
           tell_devices(memory->dev->tree, error);
}

static bool show(MemoryDevice *memory, Region *own, GError **error)
{
    MemoryWindow *window = memory->dev->board->memory_window;

    if (!own)
        region_init_ram(&memory->region, memory->memdev->id, memory->ram, 0,
                        memory->size);
    memory->shown = own ? own : &memory->region;
    region_add(&window->region, memory->gpa - window->options.gpa, memory->shown, 0);
    return memory_device_changed(memory, error);
}

bool memory_device_plug(MemoryDevice *memory, const MemoryRequest *request,
                        GError **error)
{
    Board *board = memory->dev->board;
    MemoryWindow *window = board->memory_window;
    Object *object;

    assert_main();
    if (!window) {
        error_set(error, "there are no addresses for memory devices; start the machine "
                  "with '-m' and 'maxmem'");
        return false;
    }
    object = memory_device_find_memdev(board, request->memdev, error);
    if (!object || !choose_gpa(window, request, memory_backend_ram(object),
                               &memory->gpa, error))
        return false;
    object->n_users++;
    memory->memdev = object;
    memory->ram = memory_backend_ram(object);
    memory->size = memory->ram->size;
    memory->node = request->node;
    list_init(&memory->list_node);
    link_device(window, memory);
    TRACE(memory_device_plug, "%s gpa 0x%" PRIx64 " size 0x%" PRIx64, object->id,
          memory->gpa, memory->size);
    if (show(memory, request->region, error))
        return true;
    memory_device_done(memory);
    return false;
}

void memory_device_hide(MemoryDevice *memory)
{
    assert_main();
    if (!memory->memdev || !memory->shown->parent)
        return;
    TRACE(memory_device_hide, "%s gpa 0x%" PRIx64, memory->memdev->id, memory->gpa);
    region_remove(memory->shown);
    LIST_FOREACH(node, &memory->dev->tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->memory_removed)
            dev->class->memory_removed(dev);
    }
}

bool memory_device_is_used(const MemoryDevice *memory)
{
    LIST_FOREACH(node, &memory->dev->tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->uses_removed && dev->class->uses_removed(dev))
            return true;
    }
    return false;
}

void memory_device_done(MemoryDevice *memory)
{
    if (!memory->memdev)
        return;
    memory_device_hide(memory);
    if (memory->shown == &memory->region)
        region_done(&memory->region);
    list_remove(&memory->list_node);
    memory->dev->board->memory_window->used -= memory->size;
    object_release(memory->memdev);
    memory->memdev = NULL;
    memory->ram = NULL;
}
