/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the machine have allocated, each asked for what it knows by its own
 * numbers; what is left of what malloc(3) has given out is other's.
 */
#include <malloc.h>

#include "berth/block-driver.h"
#include "berth/monitor.h"
#include "berth/virtio.h"

#include "berth/memory-ledger.h"

static void add(MemoryLedgerHeapList *list, MemoryHeapOwner owner, const char *id,
                uint64_t allocated, uint64_t worst)
{
    MemoryLedgerHeap *part = g_new0(MemoryLedgerHeap, 1);

    part->owner = owner;
    part->id = g_strdup(id);
    part->allocated = allocated;
    part->has_worst_case = worst > 0;
    part->worst_case = worst;
    MemoryLedgerHeapList_append(list, part);
}

static void add_queues(VirtioDevice *vdev, uint64_t *now, uint64_t *most)
{
    uint64_t own = vdev->class->instance_size + vdev->n_queues * sizeof(Virtqueue);

    *now += own;
    *most += own;
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        uint64_t queue_now, queue_most;

        virtqueue_memory(&vdev->queues[i], &queue_now, &queue_most);
        *now += queue_now;
        *most += queue_most;
    }
}

static void add_devices(MemoryLedgerHeapList *list, DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        uint64_t now = dev->class->instance_size;
        uint64_t most = now;

        if (dev->class == &virtio_pci_class)
            add_queues(virtio_pci_device(dev), &now, &most);
        add(list, MEMORY_HEAP_OWNER_DEVICE, dev->path, now, most);
    }
}

static void add_node(void *opaque, const char *name, uint64_t now, uint64_t most)
{
    add(opaque, MEMORY_HEAP_OWNER_BLOCK_NODE, name, now, most);
}

static void add_monitors(MemoryLedgerHeapList *list, const GPtrArray *monitors)
{
    for (guint i = 0; monitors && i < monitors->len; i++) {
        const Monitor *monitor = g_ptr_array_index(monitors, i);
        uint64_t now, most;

        monitor_memory(monitor, &now, &most);
        add(list, MEMORY_HEAP_OWNER_MONITOR, monitor_chardev(monitor), now, most);
    }
}

MemoryLedgerHeapList *memory_ledger_heap(const QmpContext *ctx)
{
    MemoryLedgerHeapList *list = MemoryLedgerHeapList_new();
    struct mallinfo2 info = mallinfo2();
    uint64_t known = 0;
    uint64_t used = info.uordblks + info.hblkhd;

    if (ctx->tree)
        add_devices(list, ctx->tree);
    if (ctx->blocks)
        block_memory_visit(ctx->blocks, add_node, list);
    add_monitors(list, ctx->monitors);
    for (size_t i = 0; i < list->n; i++)
        known += list->items[i]->allocated;
    add(list, MEMORY_HEAP_OWNER_OTHER, NULL, used - MIN(known, used), 0);
    add(list, MEMORY_HEAP_OWNER_FREE, NULL, info.fordblks, 0);
    return list;
}
