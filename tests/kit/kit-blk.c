/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/timer.h"

#include "kit-blk.h"

/* Each driver's memory. */
#define N_PLACES 16u
#define PLACES 0x800000u
#define SPACE 0x60000u
#define HEADERS(blk) ((blk)->memory + KIT_VIRTIO_RING_SPACE)
#define STATUSES(blk) (HEADERS(blk) + 0x1000)
#define DATA(blk) (HEADERS(blk) + 0x2000)
#define WAIT_NS (20 * NS_PER_SEC)

KitBlk *kit_blk_new(KitBoard *kit, const char *id)
{
    KitBlk *blk = g_new0(KitBlk, 1);

    blk->kit = kit;
    blk->v = kit_virtio_new(kit, device_find(&kit->tree, id));
    blk->memory = PLACES + kit->n_blks++ % N_PLACES * SPACE;
    blk->v->ring = blk->memory;
    kit_virtio_start(blk->v, UINT64_MAX, 128);
    return blk;
}

void kit_blk_free(KitBlk *blk)
{
    g_free(blk->v);
    g_free(blk);
}

uint8_t *kit_blk_data(KitBlk *blk, unsigned slot)
{
    return kit_ram(blk->kit, DATA(blk) + slot * KIT_BLK_DATA, KIT_BLK_DATA);
}

void kit_blk_offer(KitBlk *blk, unsigned slot, uint32_t type, uint64_t sector,
                   uint32_t size)
{
    const struct virtio_blk_outhdr header = {
        .type = GUINT32_TO_LE(type), .sector = GUINT64_TO_LE(sector),
    };
    unsigned head = slot * 3, at = head;
    bool reads = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    uint16_t writes = reads ? VRING_DESC_F_WRITE : 0;

    g_assert_false(blk->busy[slot]);
    blk->busy[slot] = true;
    memcpy(kit_ram(blk->kit, HEADERS(blk) + slot * 16, 16), &header, 16);
    *(uint8_t *)kit_ram(blk->kit, STATUSES(blk) + slot, 1) = 0xee;
    kit_virtio_desc(blk->v, at, HEADERS(blk) + slot * 16, 16, VRING_DESC_F_NEXT, at + 1);
    at++;
    if (size > 0) {
        kit_virtio_desc(blk->v, at, DATA(blk) + slot * KIT_BLK_DATA, size,
                        VRING_DESC_F_NEXT | writes, at + 1);
        at++;
    }
    kit_virtio_desc(blk->v, at, STATUSES(blk) + slot, 1, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(blk->v, (uint16_t)head);
}

void kit_blk_submit(KitBlk *blk, unsigned slot, uint32_t type, uint64_t sector,
                    uint32_t size)
{
    kit_blk_offer(blk, slot, type, sector, size);
    kit_virtio_kick(blk->v);
}

bool kit_blk_take(KitBlk *blk, unsigned *ret_slot, uint8_t *ret_status)
{
    uint32_t head, len;

    if (!kit_virtio_take(blk->v, &head, &len))
        return false;
    *ret_slot = head / 3;
    *ret_status = *(uint8_t *)kit_ram(blk->kit, STATUSES(blk) + *ret_slot, 1);
    g_assert_true(blk->busy[*ret_slot]);
    blk->busy[*ret_slot] = false;
    return true;
}

uint8_t kit_blk_ask(KitBlk *blk, uint32_t type, uint64_t sector, uint32_t size)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    uint8_t status;
    unsigned slot;

    kit_blk_submit(blk, 0, type, sector, size);
    while (!kit_blk_take(blk, &slot, &status)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(blk->kit);
    }
    g_assert_cmpuint(slot, ==, 0);
    return status;
}

void kit_blk_write(KitBlk *blk, uint64_t sector, uint8_t value, uint32_t size)
{
    memset(kit_blk_data(blk, 0), value, size);
    g_assert_cmpuint(kit_blk_ask(blk, VIRTIO_BLK_T_OUT, sector, size), ==,
                     VIRTIO_BLK_S_OK);
}

const uint8_t *kit_blk_read(KitBlk *blk, uint64_t sector, uint32_t size)
{
    memset(kit_blk_data(blk, 0), 0xee, size);
    g_assert_cmpuint(kit_blk_ask(blk, VIRTIO_BLK_T_IN, sector, size), ==,
                     VIRTIO_BLK_S_OK);
    return kit_blk_data(blk, 0);
}

void kit_blk_flush(KitBlk *blk)
{
    g_assert_cmpuint(kit_blk_ask(blk, VIRTIO_BLK_T_FLUSH, 0, 0), ==, VIRTIO_BLK_S_OK);
}

void kit_blk_discard(KitBlk *blk, uint64_t sector, uint32_t n_sectors)
{
    const struct virtio_blk_discard_write_zeroes range = {
        .sector = GUINT64_TO_LE(sector), .num_sectors = GUINT32_TO_LE(n_sectors),
    };

    memcpy(kit_blk_data(blk, 0), &range, sizeof(range));
    g_assert_cmpuint(kit_blk_ask(blk, VIRTIO_BLK_T_DISCARD, 0, sizeof(range)), ==,
                     VIRTIO_BLK_S_OK);
}

uint64_t kit_blk_capacity(KitBlk *blk)
{
    return kit_read(blk->kit, blk->v->config, 8);
}
