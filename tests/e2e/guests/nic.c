/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that sends and receives frames by virtio-net and does nothing else, for the
 * speed of the VMM's side.  It polls the used rings and takes no interrupts.
 *
 * It takes orders (orders.h) for frames:
 *
 *     s 128 64 2000000000         frames that nobody answers (type 0x88b5)
 *     e 128 64 2000000000         echo requests (ICMP) to 10.77.0.1, each answered
 *     a 1 64 2000000000           frames that are answered by one (type 0x88b6)
 *     r 128 64 2000000000         frames that are answered by COPIES (type 0x88b7)
 *     t 0 0 0                     nothing
 *
 * Done are frames that were sent, or answers; failed are those that nobody answered in
 * time.  The guest is 10.77.0.2, the host's end has the address
 * 02:00:00:00:77:01.
 */
#include "orders.h"

#define DEVICE_ID 0x10411af4u
#define QUEUE_SIZE 256
#define MAX_DEPTH 128
#define MAX_FRAME 1514
#define HEADER 12
#define BUFFER 2048
#define NET_F_MAC 5
#define RING_F_EVENT_IDX 29
#define ICMP_AT 34
#define COPIES 16
#define TYPE_IP 0x0800
#define TYPE_LOST 0x88b5
#define TYPE_ANSWERED 0x88b6
#define TYPE_COPIED 0x88b7

typedef struct Queue {
    Desc ring[QUEUE_SIZE] __attribute__((aligned(4096)));
    volatile uint16_t avail[2 + QUEUE_SIZE + 1] __attribute__((aligned(4096)));
    volatile uint16_t used[2 + 4 * QUEUE_SIZE + 1] __attribute__((aligned(4096)));
    uint16_t next_avail, next_used, last_kick;
    uint64_t doorbell;
} Queue;

static Queue rx, tx;
static uint8_t received[QUEUE_SIZE][BUFFER] __attribute__((aligned(4096)));
static uint8_t frame[HEADER + MAX_FRAME] __attribute__((aligned(4096)));
static uint8_t mac[6];
static int has_event_idx;

static void set_up_queue(uint64_t common, uint64_t notify, Queue *q, uint16_t index)
{
    set16(common + 0x16, index);
    set16(common + 0x18, QUEUE_SIZE);
    set16(common + 0x1a, 0xffff);
    set_address(common + 0x20, q->ring);
    set_address(common + 0x28, q->avail);
    set_address(common + 0x30, q->used);
    q->doorbell = notify + 4ul * get16(common + 0x1e);
    set16(common + 0x1c, 1);
    q->avail[0] = 1;                    /* no interrupts */
}

static void set_up_device(const uintptr_t *places)
{
    uint64_t common = places[1];
    uint32_t offered;

    set8(common + 0x14, 0);
    set8(common + 0x14, 1);
    set8(common + 0x14, 3);
    set32(common + 0x00, 0);
    offered = get32(common + 0x04);
    has_event_idx = offered >> RING_F_EVENT_IDX & 1;
    set32(common + 0x08, 0);
    set32(common + 0x0c, offered & (1u << RING_F_EVENT_IDX | 1u << NET_F_MAC));
    set32(common + 0x08, 1);
    set32(common + 0x0c, 1);            /* VIRTIO_F_VERSION_1 */
    set8(common + 0x14, 11);
    set_up_queue(common, places[2], &rx, 0);
    set_up_queue(common, places[2], &tx, 1);
    set8(common + 0x14, 15);
    for (int i = 0; i < 6; i++)
        mac[i] = *(volatile uint8_t *)(places[4] + (uint64_t)i);
}

static void offer(Queue *q, uint16_t head)
{
    q->avail[2 + q->next_avail % QUEUE_SIZE] = head;
    q->next_avail++;
}

static void kick(Queue *q)
{
    uint16_t event;

    q->avail[1] = q->next_avail;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    event = q->used[2 + 4 * QUEUE_SIZE];
    if (has_event_idx ? (uint16_t)(q->next_avail - event - 1) <
                            (uint16_t)(q->next_avail - q->last_kick)
                      : !(q->used[0] & 1))
        set16(q->doorbell, 0);
    q->last_kick = q->next_avail;
}

/* How many have ended; those of the receive queue are offered again. */
static uint32_t reap(Queue *q)
{
    uint16_t end = q->used[1];
    uint32_t n = 0;

    for (; q->next_used != end; n++) {
        uint16_t head = q->used[2 + 4 * (q->next_used++ % QUEUE_SIZE)];

        if (q == &rx)
            offer(q, head);
    }
    /* With the event index: no interrupt before half a turn of the counter. */
    if (n > 0)
        q->avail[2 + QUEUE_SIZE] = q->next_used + 0x7fff;
    if (n > 0 && q == &rx)
        kick(q);
    return n;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t checksum(const uint8_t *at, uint32_t size)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < size; i++)
        sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/* An echo request of @bytes with its Ethernet header, or a frame of no protocol. */
static void make_frame(char op, uint32_t bytes)
{
    static const uint8_t host[6] = { 2, 0, 0, 0, 0x77, 1 };
    static const uint8_t addresses[8] = { 10, 77, 0, 2, 10, 77, 0, 1 };
    uint8_t *at = frame + HEADER;

    for (uint32_t i = 0; i < bytes; i++)
        at[i] = 0;
    for (int i = 0; i < 6; i++) {
        at[i] = host[i];
        at[6 + i] = mac[i];
    }
    put16(at + 12, op == 'e' ? TYPE_IP : op == 'a' ? TYPE_ANSWERED
                   : op == 'r' ? TYPE_COPIED : TYPE_LOST);
    if (op != 'e')
        return;
    at[14] = 0x45;
    put16(at + 16, bytes - 14);
    at[22] = 64;
    at[23] = 1;
    for (int i = 0; i < 8; i++)
        at[26 + i] = addresses[i];
    put16(at + 24, checksum(at + 14, 20));
    at[ICMP_AT] = 8;
    put16(at + ICMP_AT + 2, checksum(at + ICMP_AT, bytes - ICMP_AT));
}

/* Sends @n more; all frames are the same bytes. */
static void send(const Job *job, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint16_t head = tx.next_avail % QUEUE_SIZE;

        tx.ring[head] = (Desc) { (uint64_t)frame, HEADER + job->bytes, 0, 0 };
        offer(&tx, head);
    }
    if (n > 0)
        kick(&tx);
}

/* A new frame for each that was sent, or answered.  An answer that does not come ends. */
static uint64_t work(Job *job)
{
    uint32_t answers = job->op == 'r' ? COPIES : 1;     /* to a frame */
    uint64_t begin = read_tsc(), heard = begin, end;
    uint32_t n_out = 0;         /* of the transmit queue, not yet used */
    uint32_t rest = 0;          /* answers since the last frame was sent */

    make_frame(job->op, job->bytes);
    while (reap(&rx) > 0)
        continue;
    n_out = job->depth / answers;
    send(job, n_out);
    do {
        uint32_t sent = reap(&tx), answered = reap(&rx), n;

        n_out -= sent;
        n = job->op == 's' ? sent : answered;
        job->n_done += n;
        end = read_tsc();
        if (n > 0) {
            rest += n;
            send(job, rest / answers);
            n_out += rest / answers;
            rest %= answers;
            heard = end;
        } else if (end - heard > job->ticks) {
            job->n_failed = job->depth;
            break;
        } else {
            __builtin_ia32_pause();
        }
    } while (end - begin < job->ticks);
    while (n_out > 0)
        n_out -= reap(&tx);
    return end - begin;
}

static void run(void)
{
    uintptr_t places[5] = { 0 };

    set_up_function(DEVICE_ID, places);
    set_up_device(places);
    for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
        rx.ring[i] = (Desc) { (uint64_t)received[i], BUFFER, 2, 0 };
        offer(&rx, i);
    }
    rx.avail[2 + QUEUE_SIZE] = tx.avail[2 + QUEUE_SIZE] = 0x7fff;
    kick(&rx);
    take_orders(MAX_DEPTH, MAX_FRAME, work);
}
