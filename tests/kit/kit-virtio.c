/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of virtio, written once for all tests.
 */
#include <linux/virtio_pci.h>
#include <string.h>

#include "kit-virtio.h"

#define SPACE_OF_RING 0x10000u

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

void kit_virtio_set_rings(KitVirtio *v, uint64_t desc, uint64_t avail, uint64_t used)
{
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_DESCLO, 4, desc);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_DESCHI, 4, desc >> 32);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, avail);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, avail >> 32);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_USEDLO, 4, used);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_USEDHI, 4, used >> 32);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void kit_virtio_setup_queue(KitVirtio *v, unsigned size)
{
    KitBoard *kit = v->pci.kit;
    uint64_t avail = KIT_VIRTIO_RING + SPACE_OF_RING, used = avail + SPACE_OF_RING;

    v->size = size;
    v->desc = kit_ram(kit, KIT_VIRTIO_RING, SPACE_OF_RING);
    v->avail = kit_ram(kit, avail, SPACE_OF_RING);
    v->used = kit_ram(kit, used, SPACE_OF_RING);
    memset(v->desc, 0, SPACE_OF_RING);
    memset(v->avail, 0, SPACE_OF_RING);
    memset(v->used, 0, SPACE_OF_RING);
    v->next_avail = v->next_used = 0;
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
    if (kit_pci_find_cap(&v->pci, PCI_CAP_ID_MSIX, 0)) {
        kit_msix_enable(&v->pci, true);
        kit_msix_program(&v->pci, 0, KIT_VIRTIO_VECTOR_DATA);
        kit_msix_program(&v->pci, 1, KIT_VIRTIO_VECTOR_DATA + 1);
        kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
        kit_virtio_set(v, VIRTIO_PCI_COMMON_MSIX, 2, 1);
    }
    kit_virtio_set_rings(v, KIT_VIRTIO_RING, avail, used);
}

void kit_virtio_start(KitVirtio *v, uint64_t wanted, unsigned size)
{
    kit_virtio_negotiate(v, wanted);
    kit_virtio_setup_queue(v, size);
    kit_virtio_set_status(v, kit_virtio_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
}

void kit_virtio_desc(KitVirtio *v, unsigned index, uint64_t gpa, uint32_t len,
                     uint16_t flags, uint16_t next)
{
    v->desc[index] = (struct vring_desc) {
        .addr = gpa, .len = len, .flags = flags, .next = next,
    };
}

void kit_virtio_offer(KitVirtio *v, uint16_t head)
{
    v->avail[2 + v->next_avail % v->size] = head;
    v->next_avail++;
    __atomic_store_n(&v->avail[1], v->next_avail, __ATOMIC_RELEASE);
}

void kit_virtio_kick(KitVirtio *v)
{
    kit_write(v->pci.kit, v->notify, 2, 0);
    if (v->pci.kit->queue_loop)
        kit_run(v->pci.kit);
}

bool kit_virtio_take(KitVirtio *v, uint32_t *ret_head, uint32_t *ret_len)
{
    uint16_t *entry = &v->used[2 + 4 * (v->next_used % v->size)];

    if (__atomic_load_n(&v->used[1], __ATOMIC_ACQUIRE) == v->next_used)
        return false;
    *ret_head = entry[0] | (uint32_t)entry[1] << 16;
    *ret_len = entry[2] | (uint32_t)entry[3] << 16;
    v->next_used++;
    __atomic_store_n(&v->avail[2 + v->size], v->next_used, __ATOMIC_SEQ_CST);
    return true;
}
