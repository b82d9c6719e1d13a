/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a driver and the network do with a virtio-net: commands of the
 * control queue, buffers of any size and place for frames and with frames, frames from
 * the wire, a cable that is pulled out, resets, pauses, and the state saved and loaded
 * between them.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/net-set.h"

#include "fuzz.h"
#include "kit-net.h"

static KitNet *subject;

/* What the device has used is free again. */
static unsigned next_head(KitQueue *q, bool *ret_free)
{
    uint32_t head, len;

    while (kit_queue_take(q, &head, &len))
        continue;
    *ret_free = (uint16_t)(q->next_avail - q->next_used) < KIT_NET_BUFFERS / 2;
    return q->next_avail * 2u % KIT_NET_BUFFERS;
}

/* A chain of one or two buffers on any queue. */
static void act_of_queue(FuzzInput *in)
{
    KitQueue *queues[] = { &subject->rx, &subject->tx, &subject->ctrl };
    KitQueue *q = queues[fuzz_take(in, 1) % 3];
    unsigned kind = fuzz_take(in, 1);
    unsigned flags = kind & 8 ? fuzz_take(in, 1) & 7
        : q == &subject->rx ? VRING_DESC_F_WRITE : 0;
    bool is_free;
    unsigned n = next_head(q, &is_free);

    if (!is_free)
        return;
    kit_queue_desc(q, n, kind & 1 ? fuzz_take(in, 4) : KIT_VIRTIO_DATA + 0x1000 * n,
                   kind & 2 ? fuzz_take(in, 3) : 1 + fuzz_take(in, 2) % 0x1000,
                   flags | (kind & 4 ? VRING_DESC_F_NEXT : 0), n + 1);
    kit_queue_desc(q, n + 1, KIT_VIRTIO_DATA + 0x1000 * n, 1 + fuzz_take(in, 1),
                   kind & 16 ? VRING_DESC_F_WRITE : 0, 0);
    kit_queue_offer(q, n);
    kit_queue_kick(q);
}

/* A command whose bytes are the input's. */
static void act_of_control(FuzzInput *in)
{
    uint8_t bytes[64] = {
        (uint8_t)(fuzz_take(in, 1) % 8), (uint8_t)(fuzz_take(in, 1) % 8),
    };
    unsigned size = 2 + fuzz_take(in, 1) % (sizeof(bytes) - 2);
    KitQueue *q = &subject->ctrl;
    bool is_free;
    unsigned n = next_head(q, &is_free);

    if (!is_free)
        return;
    for (unsigned i = 2; i < size; i++)
        bytes[i] = (uint8_t)fuzz_take(in, 1);
    memcpy(kit_ram(subject->kit, KIT_VIRTIO_DATA, sizeof(bytes)), bytes, sizeof(bytes));
    kit_queue_desc(q, n, KIT_VIRTIO_DATA, size, VRING_DESC_F_NEXT, n + 1);
    kit_queue_desc(q, n + 1, KIT_VIRTIO_DATA + sizeof(bytes), 1, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, n);
    kit_queue_kick(q);
}

static void act_of_wire(FuzzInput *in)
{
    static uint8_t bytes[0x10000];
    unsigned kind = fuzz_take(in, 1);
    size_t size = kind & 1 ? fuzz_take(in, 2) : fuzz_take(in, 1);

    for (unsigned i = 0; i < 18; i++)
        bytes[i] = (uint8_t)fuzz_take(in, kind & 2 ? 1 : 0);
    if (kind & 4)
        while (recv(subject->wire, bytes, sizeof(bytes), 0) >= 0)
            continue;
    else if (send(subject->wire, bytes, size, 0) < 0)
        g_assert_true(errno == EAGAIN || errno == EMSGSIZE);
}

static void act(FuzzInput *in)
{
    switch (fuzz_take(in, 1) % 8) {
    case 0:
    case 1:
        act_of_queue(in);
        break;
    case 2:
    case 3:
        act_of_control(in);
        break;
    case 4:
    case 5:
        act_of_wire(in);
        break;
    case 6:
        net_set_link(subject->kit->nets, "nic", fuzz_take(in, 1) & 1, NULL);
        break;
    default:
        if (fuzz_take(in, 1) % 4 == 0)
            kit_net_start(subject, fuzz_take(in, 1) & 1
                          ? fuzz_take(in, 8) | 1ull << 32 : UINT64_MAX);
        else
            kit_save_and_load(subject->kit);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { .data = data, .size = size };
    uint8_t bytes[64];

    if (!subject) {
        log_set_level(LOG_LEVEL_ERROR);
        subject = kit_net_new("");
    }
    while (recv(subject->wire, bytes, sizeof(bytes), 0) >= 0)
        continue;
    net_set_link(subject->kit->nets, "nic", true, NULL);
    kit_net_start(subject, UINT64_MAX);
    while (in.size > 0) {
        act(&in);
        kit_run_both(subject->kit);
    }
    return 0;
}
