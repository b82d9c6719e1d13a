/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that gives memory to its host and takes it back.  It polls the used rings,
 * takes no interrupts, and works in 64-bit mode at CPL 3, which a software KVM runs
 * without emulation.
 *
 * It takes orders (orders.h); the second number of each is how many MiB, from BASE on:
 *
 *     f 0 48 0     writes to each page
 *     z 0 48 0     counts pages that are not zeros as failed
 *     i 256 48 0   gives all pages, in requests of 256
 *     x 256 48 0   the same, every other page first
 *     d 256 48 0   takes them back
 *     r 0 48 0     reports them as free, in blocks of 2 MiB
 *     s 0 7 0      tells statistics: 7 MiB are free
 *     q 0 0 0      the pages that it is asked for
 *
 * What it has given, "actual", it says after i, x and d.
 */
#include <stdint.h>

#include "orders.h"

#define DEVICE_ID 0x10451af4u
#define PAGE 4096ul
#define BASE (16ul << 20)
#define MAX_MIB 2048u
#define MAX_PFNS 256u
#define BLOCK (2ul << 20)
#define BLOCKS 16u              /* of a report */
#define QUEUE_SIZE 32u
#define BALLOON_F_STATS 1
#define BALLOON_F_REPORTING 5

enum { INFLATE, DEFLATE, STATS, REPORT, N_QUEUES };

typedef struct Queue {
    Desc desc[QUEUE_SIZE] __attribute__((aligned(4096)));
    volatile uint16_t avail[2 + QUEUE_SIZE + 1] __attribute__((aligned(4096)));
    volatile uint16_t used[2 + 4 * QUEUE_SIZE + 1] __attribute__((aligned(4096)));
    uint16_t next_avail;
} Queue;

typedef struct Stat {
    uint16_t tag;
    uint64_t value;
} __attribute__((packed)) Stat;

static Queue queues[N_QUEUES];
static uint32_t pfns[MAX_PFNS];
static Stat stats[2];
static uintptr_t common, notify, config;
static uint32_t n_given;

static void set_up_queue(uint16_t index)
{
    Queue *q = &queues[index];

    set16(common + 0x16, index);
    set16(common + 0x18, QUEUE_SIZE);
    set16(common + 0x1a, 0xffff);
    set_address(common + 0x20, q->desc);
    set_address(common + 0x28, q->avail);
    set_address(common + 0x30, q->used);
    set16(common + 0x1c, 1);
    q->avail[0] = 1;                    /* no interrupts */
}

static void set_up_device(void)
{
    uint32_t offered;

    set8(common + 0x14, 0);
    set8(common + 0x14, 1);
    set8(common + 0x14, 3);
    set32(common + 0x00, 0);
    offered = get32(common + 0x04);
    set32(common + 0x08, 0);
    set32(common + 0x0c,
          offered & (1u << BALLOON_F_STATS | 1u << BALLOON_F_REPORTING));
    set32(common + 0x08, 1);
    set32(common + 0x0c, 1);            /* VIRTIO_F_VERSION_1 */
    set8(common + 0x14, 11);
    for (uint16_t i = 0; i < REPORT; i++)
        set_up_queue(i);
    if (offered >> BALLOON_F_REPORTING & 1)
        set_up_queue(REPORT);
    set8(common + 0x14, 15);
}

/* Makes the chain that begins at descriptor 0 available. */
static void offer(uint16_t index)
{
    Queue *q = &queues[index];

    q->avail[2 + q->next_avail % QUEUE_SIZE] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    q->avail[1] = ++q->next_avail;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(q->used[0] & 1))
        set16(notify + 4ul * index, index);
}

static void wait(uint16_t index)
{
    while (queues[index].used[1] != queues[index].next_avail)
        __builtin_ia32_pause();
}

static void send_pfns(uint16_t index, uint32_t n)
{
    if (n == 0)
        return;
    queues[index].desc[0] = (Desc) { (uint64_t)pfns, n * sizeof(pfns[0]), 0, 0 };
    offer(index);
    wait(index);
}

static void pass_pages(Job *job, uint16_t index, uint32_t step)
{
    uint32_t n_pages = job->bytes << 8;
    uint32_t n = 0;

    for (uint32_t first = 0; first < step; first++) {
        for (uint32_t i = first; i < n_pages; i += step) {
            pfns[n++] = (uint32_t)(BASE / PAGE) + i;
            if (n < job->depth)
                continue;
            send_pfns(index, n);
            n = 0;
        }
    }
    send_pfns(index, n);
    n_given = index == INFLATE ? n_given + n_pages : n_given - n_pages;
    set32(config + 4, n_given);
    job->n_done = n_pages;
}

static void report(Job *job)
{
    uint64_t n_blocks = job->bytes / (BLOCK >> 20);

    for (uint64_t i = 0; i < n_blocks; i += BLOCKS) {
        uint16_t n = (uint16_t)(n_blocks - i < BLOCKS ? n_blocks - i : BLOCKS);

        for (uint16_t k = 0; k < n; k++)
            queues[REPORT].desc[k] = (Desc) { BASE + (i + k) * BLOCK, BLOCK,
                                              k + 1 < n ? 3 : 2, (uint16_t)(k + 1) };
        offer(REPORT);
        wait(REPORT);
        job->n_done += n;
    }
}

/* The buffer is the device's until it asks for statistics anew. */
static void tell_stats(const Job *job)
{
    wait(STATS);
    stats[0] = (Stat) { 4, (uint64_t)job->bytes << 20 };
    stats[1] = (Stat) { 15, 1 };
    queues[STATS].desc[0] = (Desc) { (uint64_t)stats, sizeof(stats), 0, 0 };
    offer(STATS);
}

static void touch(Job *job)
{
    for (uint64_t at = BASE; at < BASE + ((uint64_t)job->bytes << 20); at += PAGE) {
        volatile uint64_t *word = (volatile uint64_t *)at;

        if (job->op == 'f')
            *word = at;
        else
            job->n_failed += *word != 0;
        job->n_done++;
    }
}

static uint64_t work(Job *job)
{
    uint64_t begin = read_tsc();

    switch (job->op) {
    case 'f':
    case 'z':
        touch(job);
        break;
    case 'i':
        pass_pages(job, INFLATE, 1);
        break;
    case 'x':
        pass_pages(job, INFLATE, 2);
        break;
    case 'd':
        pass_pages(job, DEFLATE, 1);
        break;
    case 'r':
        report(job);
        break;
    case 's':
        tell_stats(job);
        break;
    case 'q':
        job->n_done = get32(config);
        break;
    }
    return read_tsc() - begin;
}

static void run(void)
{
    uintptr_t places[5] = { 0 };

    set_up_function(DEVICE_ID, places);
    common = places[1];
    notify = places[2];
    config = places[4];
    set_up_device();
    take_orders(MAX_PFNS, MAX_MIB, work);
}
