/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory in blocks that the guest plugs and unplugs as it is asked (virtio 1.3, section
 * 5.15).
 *
 * What is plugged outlives a reset of the device, for the next driver finds the guest's
 * memory there; a reset of the machine unplugs all.
 *
 * The driver plugs no more than was asked for, and only below the usable size, which is
 * little more.  So what a guest that touches memory as it likes makes of the host's stays
 * below that, too: beyond it no section is shown (mem-window.h).
 */
#include <linux/virtio_mem.h>
#include <string.h>

#include "berth/error.h"
#include "berth/memory-backend.h"
#include "berth/thread.h"

#include "virtio-mem-private.h"

#define QUEUE_SIZE 128
#define BLOCK_SIZE (2 * MIB)
/* What is usable beyond what is asked for, so that a guest has a choice of blocks. */
#define USABLE_EXTRA (256 * MIB)
/* Virtio 1.4, section 5.15.3; <linux/virtio_mem.h> of 6.7. */
#define MEM_F_PERSISTENT_SUSPEND 2

#define FEATURE(bit) (UINT64_C(1) << (bit))

typedef struct virtio_mem_config Config;

G_STATIC_ASSERT(offsetof(VirtioMemProps, notify_on_empty) ==
                offsetof(VirtioPciProps, notify_on_empty));

void virtio_mem_resize_usable(VirtioMem *mem, bool shrinks)
{
    uint64_t extra = ALIGN_UP(USABLE_EXTRA, mem->block_size);
    uint64_t requested = mem->requested_size;
    uint64_t usable = requested + MIN(extra, mem->ram->size - requested);

    if (requested == 0)
        usable = 0;
    if (usable > mem->usable_size || shrinks)
        mem->usable_size = usable;
}

static void mem_read_config(VirtioDevice *vdev, void *config)
{
    const VirtioMem *mem = virtio_mem_of(vdev);
    const Config words = {
        .block_size = GUINT64_TO_LE(mem->block_size),
        .node_id = GUINT16_TO_LE(mem->memory.node),
        .addr = GUINT64_TO_LE(mem->memory.gpa),
        .region_size = GUINT64_TO_LE(mem->ram->size),
        .usable_region_size = GUINT64_TO_LE(mem->usable_size),
        .plugged_size = GUINT64_TO_LE(virtio_mem_plugged(mem)),
        .requested_size = GUINT64_TO_LE(mem->requested_size),
    };

    memcpy(config, &words, sizeof(words));
}

uint64_t virtio_mem_size(Device *dev)
{
    VirtioMem *mem = virtio_mem_of(virtio_pci_device(dev));
    uint64_t size;

    lock_take(&dev->lock);
    size = virtio_mem_plugged(mem);
    lock_drop(&dev->lock);
    return size;
}

bool virtio_mem_is(const Device *dev)
{
    return dev->args && dev->args->driver == DEVICE_DRIVER_VIRTIO_MEM_PCI;
}

static MemoryDeviceInfo *query(const MemoryDevice *memory)
{
    VirtioMem *mem = CONTAINER_OF((MemoryDevice *)memory, VirtioMem, memory);
    MemoryDeviceInfo *info = g_new0(MemoryDeviceInfo, 1);
    VirtioMEMDeviceInfo *data = g_new0(VirtioMEMDeviceInfo, 1);
    Device *dev = memory->dev;

    assert_main();
    data->id = g_strdup(dev->id);
    data->memdev = g_strdup_printf("/objects/%s", memory->memdev->id);
    data->memaddr = memory->gpa;
    data->max_size = memory->size;
    data->block_size = mem->block_size;
    data->node = memory->node;
    data->has_x_unmet = mem->is_unmet;
    data->x_unmet = mem->reason;
    lock_take(&dev->lock);
    data->requested_size = mem->requested_size;
    data->size = virtio_mem_plugged(mem);
    lock_drop(&dev->lock);
    info->type = MEMORY_DEVICE_INFO_KIND_VIRTIO_MEM;
    info->u.virtio_mem.data = data;
    return info;
}

static uint64_t plugged(const MemoryDevice *memory)
{
    return virtio_mem_size(memory->dev);
}

static const MemoryDeviceOps memory_ops = { .query = query, .plugged = plugged };

/* All of it is the host's. */
static int discard_all(VirtioMem *mem)
{
    return ram_discard_pages(mem->ram, 0, mem->ram->size);
}

static void mem_machine_reset(VirtioDevice *vdev)
{
    VirtioMem *mem = virtio_mem_of(vdev);
    bool changed;
    int err;

    g_assert(!mem->task.req);
    lock_take(&vdev->dev->lock);
    changed = mem->blocks.n_plugged > 0;
    mem_blocks_set(&mem->blocks, 0, mem->blocks.n, false);
    virtio_mem_resize_usable(mem, true);
    lock_drop(&vdev->dev->lock);
    mem_window_show(&mem->window, 0);
    err = discard_all(mem);
    if (err)
        device_host_error(vdev->dev, "the host does not take memory back: %s",
                          error_text(-err));
    if (changed)
        loop_post(vdev->dev->board->loop, &mem->changed);
}

static bool mem_check_removal(VirtioDevice *vdev, GError **error)
{
    VirtioMem *mem = virtio_mem_of(vdev);
    uint64_t size, requested;

    lock_take(&vdev->dev->lock);
    size = virtio_mem_plugged(mem);
    requested = mem->requested_size;
    lock_drop(&vdev->dev->lock);
    if (size)
        error_set(error, "virtio-mem device '%s' cannot get unplugged while some of its "
                  "memory is still plugged (%" PRIu64 " bytes)", device_name(vdev->dev),
                  size);
    else if (requested)
        error_set(error, "virtio-mem device '%s' cannot get unplugged while "
                  "'requested-size' is not 0", device_name(vdev->dev));
    return !size && !requested;
}

static bool check_block_size(const VirtioMem *mem, GError **error)
{
    uint64_t block = mem->block_size;

    if (block & (block - 1))
        error_set(error, "parameter 'block-size' expects a power of two");
    else if (block < mem->ram->page_size)
        error_set(error, "parameter 'block-size' expects %" PRIu64 " bytes at least, "
                  "which the pages of '%s' have", mem->ram->page_size, mem->ram->name);
    else if (mem->ram->size % block)
        error_set(error, "parameter 'memdev': the size of '%s' is not a multiple of "
                  "block-size (0x%" PRIx64 ")", mem->ram->name, block);
    else
        return true;
    return false;
}

static bool check_props(VirtioMem *mem, const VirtioMemProps *props, GError **error)
{
    int err;

    mem->block_size = props->has_block_size ? props->block_size
                                            : MAX(BLOCK_SIZE, mem->ram->page_size);
    mem->prealloc = props->prealloc;
    if (!check_block_size(mem, error) ||
        !virtio_mem_size_check(props->requested_size, mem->block_size, mem->ram->size,
                               error))
        return false;
    err = discard_all(mem);
    if (err)
        error_set_errno(error, -err, "parameter 'memdev': memory of '%s' cannot be given "
                        "back to the host", mem->ram->name);
    return !err;
}

/* What qom-get tells of it. */
static void note_props(const VirtioMem *mem)
{
    VirtioMemProps *props = &mem->vdev.dev->args->u.virtio_mem_pci;

    props->has_block_size = true;
    props->block_size = mem->block_size;
    props->memaddr = mem->memory.gpa;
}

static void offer_features(VirtioDevice *vdev, OnOffAuto inaccessible)
{
    vdev->offered |= FEATURE(VIRTIO_MEM_F_ACPI_PXM) | FEATURE(MEM_F_PERSISTENT_SUSPEND);
    if (inaccessible != ON_OFF_AUTO_OFF)
        vdev->offered |= FEATURE(VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE);
    if (inaccessible == ON_OFF_AUTO_ON)
        vdev->required |= FEATURE(VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE);
}

/* Takes the memory, and a place for it where nothing is shown yet. */
static bool plug_memory(VirtioMem *mem, const VirtioMemProps *props, GError **error)
{
    const MemoryRequest request = {
        .memdev = props->memdev, .node = props->node, .align = mem->block_size,
        .gpa_name = "memaddr", .has_gpa = props->memaddr != 0, .gpa = props->memaddr,
        .region = &mem->window.region,
    };
    Device *dev = mem->vdev.dev;

    mem->memory.ops = &memory_ops;
    mem->memory.dev = dev;
    mem_window_init(&mem->window, dev->board->memory, mem->ram, mem->block_size,
                    !props->dynamic_memslots);
    if (memory_device_plug(&mem->memory, &request, error))
        return true;
    mem_window_done(&mem->window);
    return false;
}

static bool mem_realize(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error)
{
    VirtioMem *mem = virtio_mem_of(vdev);
    const VirtioMemProps *props = &args->u.virtio_mem_pci;
    Object *memdev = memory_device_find_memdev(vdev->dev->board, props->memdev, error);

    if (!memdev)
        return false;
    mem->ram = memory_backend_ram(memdev);
    if (!check_props(mem, props, error) || !plug_memory(mem, props, error))
        return false;
    mem_blocks_init(&mem->blocks, mem->ram->size / mem->block_size);
    mem->requested_size = props->requested_size;
    virtio_mem_resize_usable(mem, false);
    offer_features(vdev, props->unplugged_inaccessible);
    virtio_mem_req_init(mem);
    virtio_mem_size_init(mem);
    note_props(mem);
    return true;
}

static void mem_withdraw(VirtioDevice *vdev)
{
    memory_device_hide(&virtio_mem_of(vdev)->memory);
}

static bool mem_is_draining(VirtioDevice *vdev)
{
    return vdev->dev->state == DEVICE_STATE_LEAVING &&
           memory_device_is_used(&virtio_mem_of(vdev)->memory);
}

static void mem_unrealize(VirtioDevice *vdev)
{
    VirtioMem *mem = virtio_mem_of(vdev);

    virtio_mem_size_done(mem);
    virtio_mem_req_done(mem);
    memory_device_done(&mem->memory);
    mem_window_done(&mem->window);
    mem_blocks_done(&mem->blocks);
}

static bool check_loaded(const VirtioMem *mem, GError **error)
{
    uint64_t size = mem->ram->size;
    uint64_t block = mem->block_size;
    const char *field = NULL;

    if (mem->saved_memaddr != mem->memory.gpa)
        field = "memaddr";
    else if (mem->saved_block_size != block)
        field = "block_size";
    else if (mem->requested_size > size || mem->requested_size % block)
        field = "requested_size";
    else if (mem->usable_size > size || mem->usable_size % block)
        field = "usable_size";
    else if (mem_blocks_end(&mem->blocks) > mem->usable_size / block)
        field = "blocks";
    if (field)
        error_set(error, "field '%s' has an impossible value", field);
    return !field;
}

static void mem_pre_save(void *opaque)
{
    VirtioMem *mem = virtio_mem_of(opaque);

    mem->saved_memaddr = mem->memory.gpa;
    mem->saved_block_size = mem->block_size;
}

static bool mem_post_load(void *opaque, GError **error)
{
    VirtioMem *mem = virtio_mem_of(opaque);

    if (!check_loaded(mem, error))
        return false;
    mem->vdev.dev->args->u.virtio_mem_pci.requested_size = mem->requested_size;
    mem_window_show(&mem->window, mem_window_wanted(&mem->window, &mem->blocks));
    return true;
}

static const VMStateField mem_fields[] = {
    VMSTATE_U64(VirtioMem, saved_memaddr),
    VMSTATE_U64(VirtioMem, saved_block_size),
    VMSTATE_U64(VirtioMem, requested_size),
    VMSTATE_U64(VirtioMem, usable_size),
    VMSTATE_STRUCT(VirtioMem, blocks, mem_blocks_vmstate),
    VMSTATE_END
};

static const VMStateDesc mem_vmstate = {
    .name = "virtio-mem", .version = 1, .min_version = 1, .fields = mem_fields,
    .pre_save = mem_pre_save, .post_load = mem_post_load,
};

const VirtioClass virtio_mem_class = {
    .name = "virtio-mem",
    .description = "memory that the guest gets, and gives back, in blocks",
    .id = VIRTIO_ID_MEM,
    .n_queues = 1,
    .queue_size = QUEUE_SIZE,
    .one_by_one = true,
    .config_size = sizeof(Config),
    .instance_size = sizeof(VirtioMem),
    .pci_class = 0x00ff00,
    .vmstate = &mem_vmstate,
    .realize = mem_realize,
    .unrealize = mem_unrealize,
    .machine_reset = mem_machine_reset,
    .check_removal = mem_check_removal,
    .withdraw = mem_withdraw,
    .is_draining = mem_is_draining,
    .read_config = mem_read_config,
    .handle_queue = virtio_mem_req_handle,
};
