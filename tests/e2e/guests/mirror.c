/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that sends every frame of its virtio-net back to whom it came from, and frames
 * of its own when it is told to: "1000x" on the serial port sends 1000 of FRAME_SIZE
 * bytes, and 'D' is written when the device has taken all.  It writes 'R' when it is
 * ready.  It polls, and takes no interrupts.
 *
 * The device must be one without the legacy interface.  Its BARs are moved below 4 GiB,
 * where a program without paging reaches them.
 */
#include <stddef.h>
#include <stdint.h>

#include "flat.h"
#include "hardware.h"

#define DEVICE_ID 0x10411af4u
#define QUEUE_SIZE 128
#define N_MIRRORED 64           /* slots; the others are for frames of its own */
#define RX 0
#define TX 1
#define HEADER_SIZE 12
#define BUFFER_SIZE 2048
#define FRAME_SIZE 1514

typedef struct Queue {
    Desc desc[QUEUE_SIZE] __attribute__((aligned(16)));
    volatile uint16_t avail[2 + QUEUE_SIZE + 1];
    volatile uint16_t used[2 + 4 * QUEUE_SIZE + 1] __attribute__((aligned(4)));
    uint16_t next_used;
} Queue;

static Queue queues[2] __attribute__((aligned(4096)));
static uint8_t buffers[N_MIRRORED][BUFFER_SIZE] __attribute__((aligned(4096)));
static uint8_t own[HEADER_SIZE + FRAME_SIZE];
static uintptr_t common, notify;        /* addresses of the structures */
static uint32_t n_to_send, n_sent, n_under_way;

static void set_up_queue(uint16_t index)
{
    Queue *queue = &queues[index];

    set16(common + 0x16, index);
    set16(common + 0x18, QUEUE_SIZE);
    set16(common + 0x1a, 0xffff);
    set32(common + 0x20, (uint32_t)queue->desc);
    set32(common + 0x24, 0);
    set32(common + 0x28, (uint32_t)queue->avail);
    set32(common + 0x2c, 0);
    set32(common + 0x30, (uint32_t)queue->used);
    set32(common + 0x34, 0);
    set16(common + 0x1c, 1);
    queue->avail[0] = 1;                /* no interrupts */
}

static void set_up_device(void)
{
    set8(common + 0x14, 0);
    set8(common + 0x14, 1);
    set8(common + 0x14, 3);
    set32(common + 0x08, 0);
    set32(common + 0x0c, 0);
    set32(common + 0x08, 1);
    set32(common + 0x0c, 1);            /* VIRTIO_F_VERSION_1 */
    set8(common + 0x14, 11);
    set_up_queue(RX);
    set_up_queue(TX);
    set8(common + 0x14, 15);
}

static void offer(uint16_t index, uint16_t slot, const void *data, uint32_t len,
                  uint16_t flags)
{
    Queue *queue = &queues[index];

    queue->desc[slot] = (Desc) { (uint32_t)data, len, flags, 0 };
    queue->avail[2 + queue->avail[1] % QUEUE_SIZE] = slot;
    __asm__ volatile("" ::: "memory");
    queue->avail[1]++;
}

static void kick(uint16_t index)
{
    __asm__ volatile("lock; addl $0, (%%esp)" ::: "memory");
    if (!(queues[index].used[0] & 1))
        set16(notify + 4u * index, index);
}

/* The next used slot and the bytes of it; -1: none. */
static int take(uint16_t index, uint32_t *ret_len)
{
    Queue *queue = &queues[index];
    volatile uint16_t *entry = &queue->used[2 + 4 * (queue->next_used % QUEUE_SIZE)];

    if (queue->used[1] == queue->next_used)
        return -1;
    queue->next_used++;
    *ret_len = entry[2] | (uint32_t)entry[3] << 16;
    return entry[0];
}

static void offer_buffer(uint16_t slot)
{
    offer(RX, slot, buffers[slot], BUFFER_SIZE, 2);
}

static int mirror(void)
{
    uint32_t len;
    int slot = take(RX, &len);

    if (slot < 0)
        return 0;
    for (int i = 0; i < 6; i++) {
        uint8_t *frame = buffers[slot] + HEADER_SIZE, byte = frame[i];

        frame[i] = frame[6 + i];
        frame[6 + i] = byte;
    }
    for (int i = 0; i < HEADER_SIZE; i++)
        buffers[slot][i] = 0;
    offer(TX, (uint16_t)slot, buffers[slot], len, 0);
    return 1;
}

/* What was sent: a buffer for another frame, or a slot for one of its own. */
static int reap(void)
{
    uint32_t len;
    int slot = take(TX, &len);

    if (slot < 0)
        return 0;
    if (slot < N_MIRRORED) {
        offer_buffer((uint16_t)slot);
        return 1;
    }
    n_under_way--;
    if (n_under_way == 0 && n_sent == n_to_send)
        say('D');
    return 0;
}

static int send_own(void)
{
    int n = 0;

    while (n_sent < n_to_send && n_under_way < QUEUE_SIZE - N_MIRRORED && n < 32) {
        offer(TX, (uint16_t)(N_MIRRORED + n_sent % (QUEUE_SIZE - N_MIRRORED)), own,
              sizeof(own), 0);
        n_sent++;
        n_under_way++;
        n++;
    }
    return n;
}

static void hear(void)
{
    static uint32_t number;
    char c;

    if (!(in8(COM1_STATUS) & 1))
        return;
    c = (char)in8(COM1);
    if (c >= '0' && c <= '9') {
        number = 10 * number + (uint32_t)(c - '0');
        return;
    }
    n_sent = 0;
    n_to_send = number;
    number = 0;
}

void run(void)
{
    uintptr_t places[5] = { 0 };
    uint32_t n_turns = 0;

    set_up_function(DEVICE_ID, places);
    common = places[1];
    notify = places[2];
    set_up_device();
    for (int i = 0; i < 6; i++)
        own[HEADER_SIZE + i] = 0xff;
    own[HEADER_SIZE + 6] = 2;
    own[HEADER_SIZE + 12] = 8;
    for (uint16_t i = 0; i < N_MIRRORED; i++)
        offer_buffer(i);
    kick(RX);
    say('R');
    for (;;) {
        int n_back = reap(), n_out = mirror() + send_own();

        if (n_out > 0)
            kick(TX);
        if (n_back > 0)
            kick(RX);
        /* The port is an exit each time. */
        if (n_turns++ % 4096 == 0)
            hear();
        if (n_out + n_back == 0)
            __builtin_ia32_pause();
    }
}
