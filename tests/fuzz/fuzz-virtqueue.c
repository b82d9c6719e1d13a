/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a driver does with a virtio device: writes to the rings and indirect
 * tables, doorbells, registers of the transport and of configuration space, and pauses of
 * the machine between them.
 *
 * The device reads and writes every buffer that a request has, up to a limit, so that a
 * buffer which is not in guest memory is found.
 */
#include <string.h>

#include "berth/log.h"
#include "berth/virtio.h"

#include "fuzz.h"
#include "kit-virtio.h"

#define TOUCH_MAX 0x10000u
#define QUEUE_SIZE 8u
#define RING_SPACE 0x40000u

typedef struct Subject {
    KitBoard *kit;
    KitVirtio *v;
    VirtioClass class;
    VirtqueueReq *held;         /* one request is kept until the next round */
} Subject;

static Subject subject;

static uint32_t touch(VirtqueueReq *req)
{
    static uint8_t bytes[TOUCH_MAX];
    uint32_t in_size = MIN(req->in_size, TOUCH_MAX);

    virtqueue_req_read(req, 0, bytes, sizeof(bytes));
    virtqueue_req_write(req, 0, bytes, in_size);
    memset(virtqueue_req_ctx(req), 0x5a, req->vq->vdev->class->req_size);
    return in_size;
}

static void handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtqueueReq *req;

    if (subject.held)
        virtqueue_push(vq, g_steal_pointer(&subject.held), 0);
    while ((req = virtqueue_pop(vq))) {
        uint32_t written = touch(req);

        if (!subject.held)
            subject.held = req;
        else
            virtqueue_push(vq, req, written);
    }
}

static void stop(VirtioDevice *vdev)
{
    if (subject.held)
        virtqueue_push(subject.held->vq, subject.held, 0);
    subject.held = NULL;
}

static void make_subject(void)
{
    VirtioDevice *vdev;
    Device *dev;

    log_set_level(LOG_LEVEL_ERROR);
    subject.kit = kit_board_new();
    kit_add(subject.kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    dev = kit_add(subject.kit, "{'driver': 'virtio-rng-pci', 'bus': 'port'}");
    vdev = virtio_pci_device(dev);
    subject.class = *vdev->class;
    subject.class.start = NULL;
    subject.class.stop = stop;
    subject.class.handle_queue = handle_queue;
    subject.class.req_size = 40;
    vdev->class = &subject.class;
    kit_start(subject.kit);
    subject.v = kit_virtio_new(subject.kit, dev);
}

static void start_driver(uint64_t features)
{
    const uint64_t version_1 = 1ull << VIRTIO_F_VERSION_1;

    kit_pci_set_command(&subject.v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_virtio_set_status(subject.v, 0);
    kit_virtio_set_status(subject.v, 3);
    kit_virtio_set(subject.v, 0x08, 4, 0);
    kit_virtio_set(subject.v, 0x0c, 4, features & UINT32_MAX);
    kit_virtio_set(subject.v, 0x08, 4, 1);
    kit_virtio_set(subject.v, 0x0c, 4, version_1 >> 32);
    kit_virtio_set_status(subject.v, 11);
    kit_virtio_setup_queue(subject.v, QUEUE_SIZE);
    kit_virtio_set_status(subject.v, 15);
}

/* One act of the driver, chosen and described by the next bytes. */
static void act(FuzzInput *in)
{
    KitVirtio *v = subject.v;
    KitBoard *kit = subject.kit;
    unsigned size = 1u << fuzz_take(in, 1) % 4;
    uint64_t at;

    switch (fuzz_take(in, 1) % 8) {
    case 0:
        at = fuzz_take(in, 1) % (QUEUE_SIZE + 1);
        kit_virtio_desc(v, at, fuzz_take(in, 5), fuzz_take(in, 4), fuzz_take(in, 1),
                        fuzz_take(in, 1));
        break;
    case 1:
        kit_virtio_offer(v, fuzz_take(in, 1) % (QUEUE_SIZE + 1));
        break;
    case 2:
        at = fuzz_take(in, 3) % (RING_SPACE - 8);
        *(uint64_t *)kit_ram(kit, KIT_VIRTIO_RING + (at & ~7ull), 8) = fuzz_take(in, 8);
        break;
    case 3:
        kit_virtio_kick(v);
        break;
    case 4:
        at = fuzz_take(in, 2) % 0x4000;
        kit_write(kit, v->registers + at, size, fuzz_take(in, size));
        break;
    case 5:
        at = fuzz_take(in, 2) % 0x400;
        kit_pci_write(&v->pci, at, MIN(size, 4), fuzz_take(in, MIN(size, 4)));
        break;
    case 6:
        start_driver(fuzz_take(in, 4));
        break;
    default:
        device_tree_pause(&kit->tree);
        device_tree_resume(&kit->tree);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { .data = data, .size = size };

    if (!subject.kit)
        make_subject();
    memset(kit_ram(subject.kit, KIT_VIRTIO_RING, RING_SPACE), 0, RING_SPACE);
    start_driver(UINT32_MAX);
    while (in.size > 0) {
        act(&in);
        if (in.size % 4 == 0)
            kit_run(subject.kit);
    }

    device_tree_pause(&subject.kit->tree);
    kit_start(subject.kit);
    return 0;
}
