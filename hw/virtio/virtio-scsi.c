/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCSI controller (virtio 1.3, section 5.6): properties, configuration, its queues'
 * loops, and its bus.  The units are in hw/scsi.
 *
 * Left out: data in both directions, protection information.
 */
#include <string.h>

#include "berth/error.h"

#include "virtio-scsi.h"

#define MAX_QUEUES 1024u
#define MAX_QUEUE_SIZE 1024u
#define SEGMENTS_WITHOUT_ADJUST 126u

#define FEATURE(bit) (1ull << (bit))

typedef struct virtio_scsi_config Config;

static uint32_t max_segments(const VirtioScsi *scsi)
{
    uint32_t n = scsi->props->virtqueue_size - 2;

    return scsi->props->seg_max_adjust ? n : MIN(n, SEGMENTS_WITHOUT_ADJUST);
}

static void scsi_read_config(VirtioDevice *vdev, void *bytes)
{
    const VirtioScsi *scsi = virtio_scsi_of(vdev);
    const VirtioScsiProps *props = scsi->props;
    const Config config = {
        .num_queues = GUINT32_TO_LE(vdev->n_queues - VIRTIO_SCSI_REQUESTS),
        .seg_max = GUINT32_TO_LE(max_segments(scsi)),
        .max_sectors = GUINT32_TO_LE(props->max_sectors),
        .cmd_per_lun = GUINT32_TO_LE(props->cmd_per_lun),
        .event_info_size = GUINT32_TO_LE((uint32_t)sizeof(struct virtio_scsi_event)),
        .sense_size = GUINT32_TO_LE(__atomic_load_n(&scsi->sense_size,
                                                    __ATOMIC_RELAXED)),
        .cdb_size = GUINT32_TO_LE(__atomic_load_n(&scsi->cdb_size, __ATOMIC_RELAXED)),
        .max_target = GUINT16_TO_LE((uint16_t)SCSI_MAX_TARGET),
        .max_lun = GUINT32_TO_LE(SCSI_MAX_LUN),
    };

    memcpy(bytes, &config, sizeof(config));
}

static void scsi_write_config(VirtioDevice *vdev, uint64_t offset, const void *data,
                              size_t size)
{
    VirtioScsi *scsi = virtio_scsi_of(vdev);
    uint32_t value = 0;

    if (size == sizeof(value))
        memcpy(&value, data, sizeof(value));
    value = GUINT32_FROM_LE(value);
    if (size == sizeof(value) && offset == offsetof(Config, sense_size) &&
        value <= VIRTIO_SCSI_SENSE_MAX)
        __atomic_store_n(&scsi->sense_size, value, __ATOMIC_RELAXED);
    else if (size == sizeof(value) && offset == offsetof(Config, cdb_size) &&
             value <= VIRTIO_SCSI_CDB_MAX)
        __atomic_store_n(&scsi->cdb_size, value, __ATOMIC_RELAXED);
    else
        device_guest_error(vdev->dev, "%zu bytes of configuration written at %" PRIu64
                           ": %u", size, offset, value);
}

static void reset_config(VirtioScsi *scsi)
{
    __atomic_store_n(&scsi->sense_size, VIRTIO_SCSI_SENSE_DEFAULT_SIZE, __ATOMIC_RELAXED);
    __atomic_store_n(&scsi->cdb_size, VIRTIO_SCSI_CDB_DEFAULT_SIZE, __ATOMIC_RELAXED);
}

/* The driver's connection to the units ends. */
static void scsi_reset(VirtioDevice *vdev)
{
    VirtioScsi *scsi = virtio_scsi_of(vdev);

    reset_config(scsi);
    scsi->events_missed = false;
    scsi_bus_reset(&scsi->bus);
}

static void scsi_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioScsi *scsi = virtio_scsi_of(vdev);

    switch (vq->index) {
    case VIRTIO_SCSI_CONTROL:
        virtio_scsi_ctrl_handle_queue(scsi, vq);
        break;
    case VIRTIO_SCSI_EVENTS:
        virtio_scsi_ctrl_handle_events(scsi, vq);
        break;
    default:
        virtio_scsi_req_handle_queue(scsi, vq);
    }
}

static void scsi_stop_loop(VirtioDevice *vdev, Loop *loop)
{
    VirtioScsi *scsi = virtio_scsi_of(vdev);

    for (unsigned i = 0; i < scsi->bus.n_loops; i++) {
        if (scsi->bus.loops[i].loop == loop)
            scsi_bus_stop(&scsi->bus, i);
    }
}

/* All requests that the guest has made available on the loop are started. */
static void on_fetch(ScsiBus *bus, unsigned loop)
{
    VirtioScsi *scsi = virtio_scsi_of_bus(bus);
    VirtioDevice *vdev = &scsi->vdev;

    for (uint32_t i = VIRTIO_SCSI_REQUESTS; i < vdev->n_queues; i++) {
        if (scsi->loop_numbers[i - VIRTIO_SCSI_REQUESTS] == loop)
            virtqueue_run(&vdev->queues[i]);
    }
}

static const ScsiHba hba = {
    .done = virtio_scsi_req_on_done,
    .hold = virtio_scsi_req_on_hold,
    .unhold = virtio_scsi_req_on_unhold,
    .fetch = on_fetch,
    .changed = virtio_scsi_ctrl_on_changed,
};

/* Task management and events are with the first request queue. */
static Loop *scsi_queue_loop(VirtioDevice *vdev, uint32_t index)
{
    const VirtioScsi *scsi = virtio_scsi_of(vdev);

    return index < VIRTIO_SCSI_REQUESTS
        ? vdev->loop : scsi->loops.of_queue[index - VIRTIO_SCSI_REQUESTS];
}

static bool make_bus(VirtioScsi *scsi, GError **error)
{
    g_autoptr(GPtrArray) distinct = g_ptr_array_new();
    const VirtioLoops *loops = &scsi->loops;

    scsi->loop_numbers = g_new0(unsigned, loops->n_queues);
    for (uint32_t i = 0; i < loops->n_queues; i++) {
        if (!g_ptr_array_find(distinct, loops->of_queue[i], &scsi->loop_numbers[i])) {
            scsi->loop_numbers[i] = distinct->len;
            g_ptr_array_add(distinct, loops->of_queue[i]);
        }
    }
    return scsi_bus_init(&scsi->bus, scsi->vdev.dev, &hba, distinct,
                         scsi->props->virtqueue_size, error);
}

static void scsi_unrealize(VirtioDevice *vdev)
{
    VirtioScsi *scsi = virtio_scsi_of(vdev);

    scsi_bus_done(&scsi->bus);
    virtio_loops_done(&scsi->loops);
    g_free(scsi->loop_numbers);
}

static bool scsi_check(const DeviceAddArgs *args, GError **error)
{
    const VirtioScsiProps *props = &args->u.virtio_scsi_pci;

    if ((props->virtqueue_size & (props->virtqueue_size - 1)) == 0)
        return true;
    error_set(error, "parameter 'virtqueue_size' expects a power of two");
    return false;
}

static bool scsi_realize(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error)
{
    VirtioScsi *scsi = virtio_scsi_of(vdev);
    const VirtioScsiProps *props = &args->u.virtio_scsi_pci;
    uint32_t n = props->has_num_queues
        ? props->num_queues
        : CLAMP(vdev->dev->board->n_cpus, 1, MAX_QUEUES - VIRTIO_SCSI_REQUESTS);

    scsi->props = props;
    reset_config(scsi);
    virtio_make_queues(vdev, n + VIRTIO_SCSI_REQUESTS, (uint16_t)props->virtqueue_size);
    if (!virtio_loops_init(&scsi->loops, vdev, n, props->iothread,
                           props->iothread_vq_mapping, error))
        return false;
    if (!make_bus(scsi, error)) {
        scsi_unrealize(vdev);
        return false;
    }
    if (props->hotplug)
        vdev->offered |= FEATURE(VIRTIO_SCSI_F_HOTPLUG);
    if (props->param_change)
        vdev->offered |= FEATURE(VIRTIO_SCSI_F_CHANGE);
    return true;
}

static bool scsi_post_load(void *opaque, GError **error)
{
    const VirtioScsi *scsi = opaque;
    const char *field = scsi->sense_size > VIRTIO_SCSI_SENSE_MAX ? "sense_size"
        : scsi->cdb_size > VIRTIO_SCSI_CDB_MAX ? "cdb_size" : NULL;

    if (field)
        error_set(error, "field '%s' has an impossible value", field);
    return !field;
}

static const VMStateField scsi_fields[] = {
    VMSTATE_U32(VirtioScsi, sense_size),
    VMSTATE_U32(VirtioScsi, cdb_size),
    VMSTATE_BOOL(VirtioScsi, events_missed),
    VMSTATE_END
};

static const VMStateDesc scsi_vmstate = {
    .name = "virtio-scsi", .version = 1, .min_version = 1, .fields = scsi_fields,
    .post_load = scsi_post_load,
};

const VirtioClass virtio_scsi_class = {
    .name = "virtio-scsi",
    .description = "controller for SCSI disks",
    .id = VIRTIO_ID_SCSI,
    .n_queues = MAX_QUEUES,
    .queue_size = MAX_QUEUE_SIZE,
    .config_size = sizeof(Config),
    .instance_size = sizeof(VirtioScsi),
    .req_size = sizeof(VirtioScsiReq),
    .pci_class = 0x010000,
    .vmstate = &scsi_vmstate,
    .check = scsi_check,
    .realize = scsi_realize,
    .unrealize = scsi_unrealize,
    .reset = scsi_reset,
    .stop_loop = scsi_stop_loop,
    .queue_loop = scsi_queue_loop,
    .read_config = scsi_read_config,
    .write_config = scsi_write_config,
    .handle_queue = scsi_handle_queue,
};
