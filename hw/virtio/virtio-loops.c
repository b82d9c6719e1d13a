/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues and iothreads.  A mapping either names every queue once, or names none: then the
 * queues are dealt out to the iothreads in turn.
 */
#include "berth/error.h"
#include "berth/iothread.h"
#include "berth/object.h"

#include "virtio-loops.h"

/* The loop of an iothread, held for as long as the device is there. */
static Loop *hold_iothread(VirtioLoops *loops, const VirtioDevice *vdev, const char *id,
                           const char *parameter, GError **error)
{
    Object *object = object_hold(vdev->dev->board->objects, id, OBJECT_FAMILY_IOTHREAD,
                                 error);

    if (!object) {
        g_prefix_error(error, "parameter '%s': ", parameter);
        return NULL;
    }
    g_ptr_array_add(loops->iothreads, object);
    return iothread_loop(object_iothread(object));
}

static bool map_queue(VirtioLoops *loops, uint32_t index, Loop *loop, GError **error)
{
    if (index >= loops->n_queues || loops->of_queue[index]) {
        error_set(error, "parameter 'iothread-vq-mapping': queue %u is %s", index,
                  index >= loops->n_queues ? "not there" : "named twice");
        return false;
    }
    loops->of_queue[index] = loop;
    return true;
}

static bool map_named_queues(VirtioLoops *loops, const IOThreadVirtQueueMapping *mapping,
                             Loop *loop, GError **error)
{
    for (size_t i = 0; i < mapping->vqs->n; i++) {
        if (!map_queue(loops, mapping->vqs->items[i], loop, error))
            return false;
    }
    return true;
}

static bool map_queues(VirtioLoops *loops, const VirtioDevice *vdev,
                       const IOThreadVirtQueueMappingList *list, GError **error)
{
    size_t n_named = 0;

    for (size_t i = 0; i < list->n; i++)
        n_named += list->items[i]->vqs != NULL;
    if (list->n == 0 || (n_named > 0 && n_named < list->n)) {
        error_set(error, "parameter 'iothread-vq-mapping': 'vqs' is given for all "
                  "iothreads or for none, and there is one at least");
        return false;
    }
    for (size_t i = 0; i < list->n; i++) {
        Loop *loop = hold_iothread(loops, vdev, list->items[i]->iothread,
                                   "iothread-vq-mapping", error);

        if (!loop || (n_named > 0 &&
                      !map_named_queues(loops, list->items[i], loop, error)))
            return false;
        for (uint32_t q = (uint32_t)i; n_named == 0 && q < loops->n_queues;
             q += (uint32_t)list->n)
            loops->of_queue[q] = loop;
    }
    for (uint32_t q = 0; q < loops->n_queues; q++) {
        if (!loops->of_queue[q]) {
            error_set(error, "parameter 'iothread-vq-mapping': queue %u has no iothread",
                      q);
            return false;
        }
    }
    return true;
}

/* One loop for all. */
static bool take_loop(VirtioLoops *loops, Loop *loop)
{
    for (uint32_t q = 0; q < loops->n_queues; q++)
        loops->of_queue[q] = loop;
    return loop != NULL;
}

static bool choose(VirtioLoops *loops, const VirtioDevice *vdev, const char *iothread,
                   const IOThreadVirtQueueMappingList *mapping, GError **error)
{
    if (iothread && mapping) {
        error_set(error, "parameters 'iothread' and 'iothread-vq-mapping' exclude each "
                  "other");
        return false;
    }
    if (mapping)
        return map_queues(loops, vdev, mapping, error);
    if (iothread)
        return take_loop(loops, hold_iothread(loops, vdev, iothread, "iothread", error));
    return take_loop(loops, device_tree_queue_loop(vdev->dev->tree, error));
}

static void release(gpointer object)
{
    object_release(object);
}

bool virtio_loops_init(VirtioLoops *loops, VirtioDevice *vdev, uint32_t n_queues,
                       const char *iothread, const IOThreadVirtQueueMappingList *mapping,
                       GError **error)
{
    g_assert(n_queues > 0);
    loops->iothreads = g_ptr_array_new_with_free_func(release);
    loops->of_queue = g_new0(Loop *, n_queues);
    loops->n_queues = n_queues;
    if (choose(loops, vdev, iothread, mapping, error)) {
        vdev->loop = loops->of_queue[0];
        return true;
    }
    virtio_loops_done(loops);
    return false;
}

void virtio_loops_done(VirtioLoops *loops)
{
    g_clear_pointer(&loops->iothreads, g_ptr_array_unref);
    g_clear_pointer(&loops->of_queue, g_free);
}
