/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that reads and writes a virtio-blk disk and nothing else, for the speed of the
 * VMM's side.  It polls the used ring, takes no interrupts, and works in 64-bit mode at
 * CPL 3, which a software KVM runs without emulation.
 *
 * It takes orders (orders.h) for requests:
 *
 *     r 32 4096 2000000000        random reads; w writes, s and S in sequence, a writes
 *                                 in sequence, on from where the last did
 *     t 0 0 0                     nothing
 *
 * The command line may have "direct" (no indirect descriptors) and "flags" (no event
 * index).  The device must be one without the legacy interface; its BARs are moved.
 */
#include <stdint.h>

#include "orders.h"

#define DEVICE_ID 0x10421af4u
#define QUEUE_SIZE 256
#define MAX_DEPTH 64
#define MAX_BYTES 131072
#define SECTOR 512
#define BLK_F_FLUSH 9
#define RING_F_INDIRECT_DESC 28
#define RING_F_EVENT_IDX 29

typedef struct Header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
} Header;

/* A request has the descriptors of its number, three of them when they are direct. */
typedef struct Slot {
    Desc table[3] __attribute__((aligned(64)));
    Header header;
    volatile uint8_t status;
} Slot;

static Desc ring[QUEUE_SIZE] __attribute__((aligned(4096)));
static volatile uint16_t avail[2 + QUEUE_SIZE + 1] __attribute__((aligned(4096)));
static volatile uint16_t used[2 + 4 * QUEUE_SIZE + 1] __attribute__((aligned(4096)));
static Slot slots[MAX_DEPTH];
static uint8_t buffers[MAX_DEPTH][MAX_BYTES] __attribute__((aligned(4096)));
static uint64_t common, notify, config;     /* addresses of the structures */
static uint64_t capacity;                   /* sectors */
static uint64_t next_sector;                /* of a job in sequence */
static uint64_t next_append;                /* of the next one that goes on */
static uint16_t next_avail, next_used, last_kick;
static int is_direct, has_event_idx;

static void set_up_device(void)
{
    /* Who can flush gets writes that are not durable by themselves. */
    uint32_t offered, wanted = 1u << BLK_F_FLUSH;

    set8(common + 0x14, 0);
    set8(common + 0x14, 1);
    set8(common + 0x14, 3);
    set32(common + 0x00, 0);
    offered = get32(common + 0x04);
    if (!is_direct)
        wanted |= 1u << RING_F_INDIRECT_DESC;
    if (has_event_idx)
        wanted |= 1u << RING_F_EVENT_IDX;
    has_event_idx = has_event_idx && offered >> RING_F_EVENT_IDX & 1;
    is_direct = is_direct || !(offered >> RING_F_INDIRECT_DESC & 1);
    set32(common + 0x08, 0);
    set32(common + 0x0c, offered & wanted);
    set32(common + 0x08, 1);
    set32(common + 0x0c, 1);            /* VIRTIO_F_VERSION_1 */
    set8(common + 0x14, 11);
    set16(common + 0x16, 0);
    set16(common + 0x18, QUEUE_SIZE);
    set16(common + 0x1a, 0xffff);
    set_address(common + 0x20, ring);
    set_address(common + 0x28, avail);
    set_address(common + 0x30, used);
    set16(common + 0x1c, 1);
    avail[0] = 1;                       /* no interrupts */
    set8(common + 0x14, 15);
    capacity = get32(config) | (uint64_t)get32(config + 4) << 32;
}

static void set_up_slots(void)
{
    for (uint16_t i = 0; i < MAX_DEPTH; i++) {
        Desc *table = is_direct ? &ring[3 * i] : slots[i].table;
        uint16_t base = is_direct ? 3 * i : 0;

        table[0] = (Desc) { (uint64_t)&slots[i].header, sizeof(Header), 1, base + 1 };
        table[1] = (Desc) { (uint64_t)buffers[i], 0, 1, base + 2 };
        table[2] = (Desc) { (uint64_t)&slots[i].status, 1, 2, 0 };
        if (!is_direct)
            ring[i] = (Desc) { (uint64_t)table, 3 * sizeof(Desc), 4, 0 };
    }
}

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252ull;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void offer(Job *job, uint16_t i)
{
    Slot *slot = &slots[i];
    Desc *data = is_direct ? &ring[3 * i + 1] : &slot->table[1];
    uint32_t sectors = job->bytes / SECTOR;
    int writes = job->op == 'w' || job->op == 'S' || job->op == 'a';

    slot->header.type = writes;
    slot->status = 0xff;
    data->len = job->bytes;
    data->flags = writes ? 1 : 3;
    if (job->op == 'r' || job->op == 'w') {
        slot->header.sector = next_random() % (capacity / sectors) * sectors;
    } else {
        slot->header.sector = next_sector;
        next_sector += sectors;
        if (next_sector + sectors > capacity)
            next_sector = 0;
    }
    avail[2 + next_avail % QUEUE_SIZE] = is_direct ? 3 * i : i;
    next_avail++;
}

static void kick(void)
{
    uint16_t event;

    avail[1] = next_avail;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    event = used[2 + 4 * QUEUE_SIZE];
    if (has_event_idx ? (uint16_t)(next_avail - event - 1) <
                            (uint16_t)(next_avail - last_kick)
                      : !(used[0] & 1))
        set16(notify, 0);
    last_kick = next_avail;
}

/* Reaps what has ended, and starts as many anew unless @is_last. */
static uint32_t reap(Job *job, int is_last)
{
    uint16_t end = used[1];
    uint32_t n = 0;

    for (; next_used != end; n++) {
        uint16_t head = used[2 + 4 * (next_used++ % QUEUE_SIZE)];
        uint16_t i = is_direct ? head / 3 : head;

        job->n_done++;
        job->n_failed += slots[i].status != 0;
        if (!is_last)
            offer(job, i);
    }
    /* With the event index: no interrupt before half a turn of the counter. */
    if (n > 0)
        avail[2 + QUEUE_SIZE] = next_used + 0x7fff;
    if (n > 0 && !is_last)
        kick();
    return n;
}

static uint64_t work(Job *job)
{
    uint64_t begin = read_tsc(), end;
    uint32_t n_left = job->depth;

    next_sector = job->op == 'a' ? next_append : 0;
    avail[2 + QUEUE_SIZE] = next_used + 0x7fff;
    for (uint16_t i = 0; i < job->depth; i++)
        offer(job, i);
    kick();
    do {
        if (reap(job, 0) == 0)
            __builtin_ia32_pause();
        end = read_tsc();
    } while (end - begin < job->ticks);
    while (n_left > 0)
        n_left -= reap(job, 1);
    if (job->op == 'a')
        next_append = next_sector;
    return read_tsc() - begin;
}

static int has_word(const char *line, char first, char second)
{
    for (; *line; line++) {
        if (line[0] == first && line[1] == second)
            return 1;
    }
    return 0;
}

static void run(void)
{
    const char *line = (const char *)(uint64_t)((const uint32_t *)start_info)[6];
    uintptr_t places[5] = { 0 };

    is_direct = has_word(line, 'd', 'i');
    has_event_idx = !has_word(line, 'f', 'l');
    set_up_function(DEVICE_ID, places);
    common = places[1];
    notify = places[2];
    config = places[4];
    set_up_device();
    set_up_slots();
    take_orders(MAX_DEPTH, MAX_BYTES, work);
}
