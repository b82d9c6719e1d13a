/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices, ignorant of what carries them (virtio 1.3, chapter 2).
 *
 * A device embeds a VirtioDevice first.  Two pairs make its life: realize and unrealize
 * (it exists; main), start and stop (the driver has fixed rings and features, and may
 * have requests served; the device's loop).  Between stop and start the device reaches no
 * queue.  Reset, pause, unplug and the loss of bus mastering are all a stop.
 *
 * Registers are guarded by the lock of the Device that carries it.  No lock is held in
 * realize, unrealize, start, stop and handle_queue.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "berth/device.h"
#include "berth/virtqueue.h"

struct VirtioClass {
    const char *name;           /* "virtio-rng": in logs and in the saved state */
    const char *description;    /* for -device help */
    uint16_t id;                /* VIRTIO_ID_* */
    uint16_t n_queues;          /* the most there can be; realize() may ask for fewer */
    uint16_t queue_size;        /* the most entries of a ring, a power of two */
    uint16_t max_segments;      /* buffers of a request; 0: as many as the ring has */
    bool one_by_one;            /* one request of a queue at a time is popped */
    uint16_t n_vectors;         /* MSI-X, by default; 0: one a queue and one */
    uint64_t features;          /* offered; virtio and realize() add theirs */
    size_t config_size;         /* bytes of device configuration space */
    size_t instance_size;
    size_t req_size;            /* the device's context in each ring slot */
    uint32_t pci_class;         /* class code of a PCI function that carries it */
    const VMStateDesc *vmstate; /* NULL when it has no state of its own */

    /* As DeviceClass.check. */
    bool (*check)(const DeviceAddArgs *args, GError **error);
    /*
     * vdev->loop may be set, virtio_make_queues() be called; else the loop is the device
     * tree's, and there are n_queues of queue_size.
     */
    bool (*realize)(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error);
    void (*unrealize)(VirtioDevice *vdev);
    /* NULL: nothing to do.  False with @error for a reason of the host. */
    bool (*start)(VirtioDevice *vdev, GError **error);
    /*
     * Requests that are in flight will be pushed, held or given back without more from
     * the driver, now or later: the device has stopped when none is left.  NULL: that is
     * so anyway.
     */
    void (*stop)(VirtioDevice *vdev);
    /* The same of the queues on @loop, there; also when the device did not start. */
    void (*stop_loop)(VirtioDevice *vdev, Loop *loop);
    /* The state at power-on, on the loop, between stop and start.  NULL: has none. */
    void (*reset)(VirtioDevice *vdev);
    /*
     * The machine is reset, main; no request is in flight, reset() follows.  NULL: it is
     * no other thing than a reset of the device.
     */
    void (*machine_reset)(VirtioDevice *vdev);
    /*
     * Main; as of DeviceClass.  Whether something beside queues is under way, besides.
     * All may be NULL.
     */
    bool (*check_removal)(VirtioDevice *vdev, GError **error);
    void (*withdraw)(VirtioDevice *vdev);
    bool (*is_draining)(VirtioDevice *vdev);
    /*
     * Whether queue @index is served at all, any thread; one that is not costs nothing.
     * After a change virtio_restart().  NULL: all are.
     */
    bool (*has_queue)(const VirtioDevice *vdev, uint32_t index);
    /*
     * Whether queue @index is served by the kernel: it gets a doorbell, and its rings are
     * checked and mapped; the rest is up to start() and stop().  NULL: none is.
     */
    bool (*is_external)(const VirtioDevice *vdev, uint32_t index);
    /*
     * Guest memory has come, on the loop: what the kernel was told of the map is told
     * anew.  False with @error.  NULL: it is not told.
     */
    bool (*memory_added)(VirtioDevice *vdev, GError **error);
    /* transport->queue_irqfd() may say otherwise now; dev->lock is held.  May be NULL. */
    void (*irqfd_changed)(VirtioDevice *vdev);
    /* The loop of queue @index, on main, after realize().  NULL: vdev->loop. */
    Loop *(*queue_loop)(VirtioDevice *vdev, uint32_t index);
    /* Fills config_size bytes; dev->lock is held.  NULL when there are none. */
    void (*read_config)(VirtioDevice *vdev, void *config);
    /* @offset + @size is within config_size; dev->lock is held.  NULL: ignored. */
    void (*write_config)(VirtioDevice *vdev, uint64_t offset, const void *data,
                         size_t size);
    void (*handle_queue)(VirtioDevice *vdev, Virtqueue *vq);
};

/* What carries the device. */
typedef struct VirtioTransport {
    /* Interrupts: the used ring of a queue, the configuration.  Any thread, no lock. */
    void (*notify_queue)(VirtioDevice *vdev, Virtqueue *vq);
    void (*notify_config)(VirtioDevice *vdev);
    /*
     * The eventfd by which the kernel interrupts for the queue at once, -1 when there is
     * none now and notify_queue() must be called; dev->lock is held.
     */
    int (*queue_irqfd)(const VirtioDevice *vdev, const Virtqueue *vq);
    /* Whether the device may access memory now; dev->lock is held. */
    bool (*may_run)(const VirtioDevice *vdev);
    /* Has the kernel signal vq->kick_fd for the queue's doorbell, or ends that. */
    void (*add_doorbell)(VirtioDevice *vdev, Virtqueue *vq);
    void (*remove_doorbell)(VirtioDevice *vdev, Virtqueue *vq);
} VirtioTransport;

struct VirtioDevice {
    const VirtioClass *class;
    const VirtioTransport *transport;
    Device *dev;                /* that carries it */
    Loop *loop;                 /* of the queues */
    uint32_t n_queues;
    Virtqueue *queues;
    uint64_t offered;           /* features */
    uint64_t required;          /* those of them that a driver must accept */

    /* Under dev->lock. */
    uint64_t features;          /* that the driver accepted */
    uint8_t status;             /* VIRTIO_CONFIG_S_* */
    uint8_t generation;         /* of the configuration */
    bool reset_pending;
    bool restart_pending;
    bool settling;              /* a thread is in virtio_settle() */
    bool started;
    bool draining;              /* stops when the last request has ended */

    bool broken;                /* atomic: no queue gives a request any more */
    unsigned n_draining;        /* atomic: queues that have not stopped */
    LoopMessage drained;        /* to main */
};

extern const VMStateDesc virtio_vmstate;

/* Carries any of the classes below as a PCI function. */
extern const DeviceClass virtio_pci_class;
extern const VirtioClass virtio_balloon_class;
extern const VirtioClass virtio_blk_class;
extern const VirtioClass virtio_mem_class;
extern const VirtioClass virtio_net_class;
extern const VirtioClass virtio_rng_class;
extern const VirtioClass virtio_scsi_class;
extern const VirtioClass virtio_serial_class;
extern const VirtioClass vhost_vsock_class;
/* What is plugged into a virtio-serial. */
extern const DeviceClass virtserialport_class, virtconsole_class;

/* For realize(): @n queues of up to @size entries, a power of two. */
void virtio_make_queues(VirtioDevice *vdev, uint32_t n, uint16_t size);

/* What a device of virtio_pci_class carries.  Main. */
VirtioDevice *virtio_pci_device(Device *dev);
/* Registers of what carries @vdev, unchanged by this; dev->lock is held. */
void virtio_pci_registers_locked(const VirtioDevice *vdev, uint8_t *ret_isr,
                                 uint16_t *ret_queue_select);

/* dev->lock is held: a doorbell that the kernel did not take. */
void virtio_queue_kick(Virtqueue *vq);

/* Main or a vCPU; no lock is held. */

/*
 * Brings the device to what status, pause and bus mastering ask for: starts, stops,
 * resets.  May wait for the device's loops, which is short; not for its requests: while
 * some are in flight it is draining, and main settles it again when they have ended.
 */
void virtio_settle(VirtioDevice *vdev);
/* As if the driver wrote 0 to the status. */
void virtio_reset(VirtioDevice *vdev);
/* Whether requests are in flight that keep the device from what virtio_settle() began. */
bool virtio_is_draining(VirtioDevice *vdev);
/*
 * Stops and starts a device that runs: its class has other queues now, or there is other
 * memory.
 */
void virtio_restart(VirtioDevice *vdev);

/* The queue's loop: @vq has stopped after virtqueue_stop() said that it had not. */
void virtio_queue_stopped(Virtqueue *vq);

/* Whether the kernel serves queue @index: VirtioClass.is_external. */
bool virtio_queue_is_external(const VirtioDevice *vdev, uint32_t index);

/* Any thread, no lock held. */

/* The configuration changed: a new generation, and an interrupt. */
void virtio_config_changed(VirtioDevice *vdev);
/* The device can't go on: NEEDS_RESET. */
void virtio_break(VirtioDevice *vdev);

static inline bool virtio_has_feature(const VirtioDevice *vdev, unsigned bit)
{
    return vdev->features >> bit & 1;
}
