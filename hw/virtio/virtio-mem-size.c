/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size of a virtio-mem: what the operator asks for, what became of it.
 *
 * A guest gets to it when it likes, and may be unable to: it uses memory that it cannot
 * move.  So what was asked for has a deadline, after which the operator is told why it is
 * not met.  The time counts while the guest runs.
 */
#include "berth/error.h"

#include "virtio-mem-private.h"

#define DEFAULT_TIMEOUT 30u             /* seconds */

static VirtioMem *to_mem(Device *dev)
{
    return virtio_mem_of(virtio_pci_device(dev));
}

bool virtio_mem_size_check(uint64_t size, uint64_t block_size, uint64_t max_size,
                           GError **error)
{
    if (size % block_size)
        error_set(error, "parameter 'requested-size' expects a multiple of block-size "
                  "(0x%" PRIx64 ")", block_size);
    else if (size > max_size)
        error_set(error, "parameter 'requested-size' cannot exceed the memory backend "
                  "size (0x%" PRIx64 ")", max_size);
    else
        return true;
    return false;
}

/* In seconds, 0 for none. */
static uint32_t timeout_of(const Device *dev)
{
    return dev->args->has_x_unplug_timeout ? dev->args->x_unplug_timeout
                                           : DEFAULT_TIMEOUT;
}

static void set_deadline(VirtioMem *mem)
{
    int64_t seconds = timeout_of(mem->vdev.dev);

    if (seconds)
        timer_set(&mem->deadline, loop_clock_ns() + seconds * NS_PER_SEC);
}

/* dev->lock is held. */
static MemoryUnmetReason why_unmet(const VirtioMem *mem)
{
    if (!(mem->vdev.status & VIRTIO_CONFIG_S_DRIVER_OK))
        return MEMORY_UNMET_REASON_NO_DRIVER;
    if (mem->counts.refusals)
        return MEMORY_UNMET_REASON_HOST;
    return mem->counts.requests ? MEMORY_UNMET_REASON_KEPT : MEMORY_UNMET_REASON_SILENT;
}

static void tell_unmet(VirtioMem *mem)
{
    Device *dev = mem->vdev.dev;
    Board *board = dev->board;
    XMemoryDeviceSizeUnmetEvent event = {
        .id = dev->id, .qom_path = dev->path, .seconds = timeout_of(dev),
    };

    lock_take(&dev->lock);
    event.size = virtio_mem_plugged(mem);
    event.requested_size = mem->requested_size;
    event.reason = why_unmet(mem);
    lock_drop(&dev->lock);
    if (event.size == event.requested_size)
        return;
    mem->is_unmet = true;
    mem->reason = event.reason;
    if (board->ops->memory_size_unmet)
        board->ops->memory_size_unmet(board->opaque, &event);
}

static void on_deadline(void *opaque)
{
    VirtioMem *mem = opaque;

    /* A guest that does not run cannot do it. */
    if (mem->vdev.dev->tree->running)
        tell_unmet(mem);
    else
        set_deadline(mem);
}

static void on_changed(void *opaque)
{
    VirtioMem *mem = opaque;
    Device *dev = mem->vdev.dev;
    Board *board = dev->board;
    uint64_t size, requested;

    lock_take(&dev->lock);
    size = virtio_mem_plugged(mem);
    requested = mem->requested_size;
    lock_drop(&dev->lock);
    if (size == requested) {
        timer_cancel(&mem->deadline);
        mem->is_unmet = false;
    }
    if (board->ops->memory_size_changed)
        board->ops->memory_size_changed(board->opaque, dev->id, dev->path, size);
}

void virtio_mem_size_init(VirtioMem *mem)
{
    Loop *loop = mem->vdev.dev->board->loop;

    loop_message_init(&mem->changed, on_changed, mem);
    timer_init(&mem->deadline, loop, on_deadline, mem);
}

void virtio_mem_size_done(VirtioMem *mem)
{
    loop_message_cancel(mem->vdev.dev->board->loop, &mem->changed);
    timer_cancel(&mem->deadline);
}

bool virtio_mem_size_request(Device *dev, uint64_t size, GError **error)
{
    VirtioMem *mem = to_mem(dev);
    bool is_met;

    assert_main();
    if (!virtio_mem_size_check(size, mem->block_size, mem->ram->size, error))
        return false;
    lock_take(&dev->lock);
    mem->requested_size = size;
    mem->counts = (MemCounts) { 0 };
    virtio_mem_resize_usable(mem, false);
    is_met = virtio_mem_plugged(mem) == size;
    lock_drop(&dev->lock);
    dev->args->u.virtio_mem_pci.requested_size = size;
    timer_cancel(&mem->deadline);
    mem->is_unmet = false;
    if (!is_met)
        set_deadline(mem);
    virtio_config_changed(&mem->vdev);
    return true;
}
