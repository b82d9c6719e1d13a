/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of virtio, written once for all tests.
 */
#include <linux/virtio_pci.h>
#include <string.h>

#include "kit-virtio.h"

#define SPACE_OF_RING (KIT_VIRTIO_RING_SPACE / 3)
#define SMALL_SIZE 128u
#define SMALL_SPACE 0x1000u

static uint64_t find_structure(KitVirtio *v, uint8_t type, unsigned *ret_cap)
{
    for (unsigned nth = 0;; nth++) {
        unsigned cap = kit_pci_find_cap(&v->pci, PCI_CAP_ID_VNDR, nth);

        g_assert_cmpuint(cap, !=, 0);
        if (kit_pci_read(&v->pci, cap + 3, 1) != type)
            continue;
        *ret_cap = cap;
        return kit_pci_bar(&v->pci, kit_pci_read(&v->pci, cap + 4, 1)) +
            kit_pci_read(&v->pci, cap + 8, 4);
    }
}

KitVirtio *kit_virtio_new(KitBoard *kit, Device *dev)
{
    KitVirtio *v = g_new0(KitVirtio, 1);
    unsigned cap;

    v->pci = kit_pci(kit, dev);
    v->ring = KIT_VIRTIO_RING;
    kit_pci_set_command(&v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    v->registers = find_structure(v, VIRTIO_PCI_CAP_COMMON_CFG, &cap);
    v->isr = find_structure(v, VIRTIO_PCI_CAP_ISR_CFG, &cap);
    v->config = find_structure(v, VIRTIO_PCI_CAP_DEVICE_CFG, &cap);
    v->notify = find_structure(v, VIRTIO_PCI_CAP_NOTIFY_CFG, &cap);
    v->notify_multiplier = kit_pci_read(&v->pci, cap + 16, 4);
    return v;
}

uint32_t kit_virtio_get(KitVirtio *v, unsigned reg, unsigned size)
{
    return kit_read(v->pci.kit, v->registers + reg, size);
}

void kit_virtio_set(KitVirtio *v, unsigned reg, unsigned size, uint32_t value)
{
    kit_write(v->pci.kit, v->registers + reg, size, value);
}

uint8_t kit_virtio_status(KitVirtio *v)
{
    return kit_virtio_get(v, VIRTIO_PCI_COMMON_STATUS, 1);
}

void kit_virtio_set_status(KitVirtio *v, uint8_t status)
{
    kit_virtio_set(v, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

void kit_virtio_negotiate(KitVirtio *v, uint64_t wanted)
{
    const uint8_t driver = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

    kit_virtio_set_status(v, 0);
    g_assert_cmpuint(kit_virtio_status(v), ==, 0);
    kit_virtio_set_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    kit_virtio_set_status(v, driver);
    v->features = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t offered;

        kit_virtio_set(v, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
        kit_virtio_set(v, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
        offered = kit_virtio_get(v, VIRTIO_PCI_COMMON_DF, 4);
        kit_virtio_set(v, VIRTIO_PCI_COMMON_GF, 4, offered & wanted >> 32 * i);
        v->features |= (uint64_t)(offered & wanted >> 32 * i) << 32 * i;
    }
    kit_virtio_set_status(v, driver | VIRTIO_CONFIG_S_FEATURES_OK);
}

static void set_rings(KitVirtio *v, unsigned queue, uint64_t desc, uint64_t avail,
                      uint64_t used)
{
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_DESCLO, 4, desc);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_DESCHI, 4, desc >> 32);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, avail);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, avail >> 32);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_USEDLO, 4, used);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_USEDHI, 4, used >> 32);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void kit_virtio_set_rings(KitVirtio *v, uint64_t desc, uint64_t avail, uint64_t used)
{
    set_rings(v, 0, desc, avail, used);
}

/* The three areas follow each other at @gpa, @space bytes each. */
static void setup(KitQueue *q, unsigned size, uint64_t gpa, uint64_t space)
{
    KitVirtio *v = q->v;
    KitBoard *kit = v->pci.kit;

    q->size = size;
    q->desc = kit_ram(kit, gpa, space);
    q->avail = kit_ram(kit, gpa + space, space);
    q->used = kit_ram(kit, gpa + 2 * space, space);
    memset(q->desc, 0, space);
    memset(q->avail, 0, space);
    memset(q->used, 0, space);
    q->next_avail = q->next_used = 0;
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, q->index);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
    if (kit_pci_find_cap(&v->pci, PCI_CAP_ID_MSIX, 0))
        kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    set_rings(v, q->index, gpa, gpa + space, gpa + 2 * space);
}

void kit_virtio_setup_queue(KitVirtio *v, unsigned size)
{
    if (kit_pci_find_cap(&v->pci, PCI_CAP_ID_MSIX, 0)) {
        kit_msix_enable(&v->pci, true);
        kit_msix_program(&v->pci, 0, KIT_VIRTIO_VECTOR_DATA);
        kit_msix_program(&v->pci, 1, KIT_VIRTIO_VECTOR_DATA + 1);
        kit_virtio_set(v, VIRTIO_PCI_COMMON_MSIX, 2, 1);
    }
    v->queue = (KitQueue) { .v = v };
    setup(&v->queue, size, v->ring, SPACE_OF_RING);
}

void kit_queue_setup(KitQueue *q, KitVirtio *v, unsigned index, unsigned size)
{
    g_assert_cmpuint(size, <=, SMALL_SIZE);
    *q = (KitQueue) { .v = v, .index = index };
    setup(q, size, KIT_VIRTIO_QUEUES + index * 3 * SMALL_SPACE, SMALL_SPACE);
}

void kit_virtio_start(KitVirtio *v, uint64_t wanted, unsigned size)
{
    kit_virtio_negotiate(v, wanted);
    kit_virtio_setup_queue(v, size);
    kit_virtio_set_status(v, kit_virtio_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
}

void kit_queue_desc(KitQueue *q, unsigned index, uint64_t gpa, uint32_t len,
                    uint16_t flags, uint16_t next)
{
    q->desc[index] = (struct vring_desc) {
        .addr = gpa, .len = len, .flags = flags, .next = next,
    };
}

void kit_virtio_desc(KitVirtio *v, unsigned index, uint64_t gpa, uint32_t len,
                     uint16_t flags, uint16_t next)
{
    kit_queue_desc(&v->queue, index, gpa, len, flags, next);
}

void kit_queue_offer(KitQueue *q, uint16_t head)
{
    q->avail[2 + q->next_avail % q->size] = head;
    q->next_avail++;
    __atomic_store_n(&q->avail[1], q->next_avail, __ATOMIC_RELEASE);
}

void kit_virtio_offer(KitVirtio *v, uint16_t head)
{
    kit_queue_offer(&v->queue, head);
}

static void ring_doorbell(KitVirtio *v, unsigned queue)
{
    kit_write(v->pci.kit, v->notify + queue * v->notify_multiplier, 2, queue);
    if (v->pci.kit->queue_loop)
        kit_run(v->pci.kit);
}

void kit_queue_kick(KitQueue *q)
{
    ring_doorbell(q->v, q->index);
}

void kit_virtio_kick(KitVirtio *v)
{
    ring_doorbell(v, 0);
}

bool kit_queue_take(KitQueue *q, uint32_t *ret_head, uint32_t *ret_len)
{
    uint16_t *entry = &q->used[2 + 4 * (q->next_used % q->size)];

    if (__atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE) == q->next_used)
        return false;
    *ret_head = entry[0] | (uint32_t)entry[1] << 16;
    *ret_len = entry[2] | (uint32_t)entry[3] << 16;
    q->next_used++;
    __atomic_store_n(&q->avail[2 + q->size], q->next_used, __ATOMIC_SEQ_CST);
    return true;
}

bool kit_virtio_take(KitVirtio *v, uint32_t *ret_head, uint32_t *ret_len)
{
    return kit_queue_take(&v->queue, ret_head, ret_len);
}
