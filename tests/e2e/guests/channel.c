/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that moves bytes through port 1 of a virtio-serial and nothing else, for the
 * speed of the VMM's side.  Its command line is "out N" or "in N": so many MiB from the
 * guest to the host or the other way.  It writes 'R' to the serial port when the port is
 * open and 'D' at the end, then halts.
 *
 * Interrupts are taken in "sti; hlt" only.  Their handler returns by RET, with interrupts
 * off: a software KVM may not have IRET in 32-bit mode.
 *
 * The device must be one without the legacy interface.  Its BARs are moved below 4 GiB,
 * where a program without paging reaches them; it sleeps until the next interrupt when it
 * has nothing to do.
 */
#include <stddef.h>
#include <stdint.h>

#include "hardware.h"

#define DEVICE_ID 0x10431af4u
#define LAPIC 0xfee00000u
#define VECTOR 0x40
#define QUEUE_SIZE 128
#define CONTROL_IN 2
#define CONTROL_OUT 3
#define PORT_IN 4
#define PORT_OUT 5
#define IN_SIZE 4096
#define OUT_SIZE 32768
#define MIB (1024u * 1024)

__asm__(".section .note.pvh, \"a\", @note\n"
        ".balign 4\n"
        ".long 4, 8, 18\n"
        ".asciz \"Xen\"\n"
        ".long start, 0\n"
        ".text\n"
        ".globl start, on_interrupt\n"
        "start:\n"
        "    movl $stack_top, %esp\n"
        "    pushl %ebx\n"
        "    call run\n"
        "on_interrupt:\n"
        "    movl $0, 0xfee000b0\n"
        "    ret $8\n"
        ".bss\n"
        ".balign 16\n"
        ".space 16384\n"
        "stack_top:\n"
        ".text\n");

extern const char on_interrupt[];
__attribute__((noreturn)) void run(const uint32_t *start_info);

typedef struct Queue {
    Desc desc[QUEUE_SIZE] __attribute__((aligned(16)));
    volatile uint16_t avail[2 + QUEUE_SIZE + 1];
    volatile uint16_t used[2 + 4 * QUEUE_SIZE + 1] __attribute__((aligned(4)));
    uint16_t next_used;
} Queue;

static Queue queues[6] __attribute__((aligned(4096)));
static uint8_t buffers[QUEUE_SIZE][IN_SIZE] __attribute__((aligned(4096)));
static uint64_t gdt[] = { 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };
static uint64_t idt[VECTOR + 1];
static uintptr_t common, notify;        /* addresses of the structures */

static void set_up_interrupts(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) table = { sizeof(gdt) - 1, (uint32_t)gdt };
    uint32_t handler = (uint32_t)on_interrupt;

    __asm__ volatile("lgdt %0\n ljmp $8, $1f\n 1: movl $16, %%eax\n movl %%eax, %%ds\n"
                     " movl %%eax, %%es\n movl %%eax, %%ss" : : "m"(table) : "eax");
    idt[VECTOR] = (uint64_t)(handler & 0xffff0000u) << 32 | 0x8e00ull << 32 |
        8u << 16 | (handler & 0xffff);
    table.limit = sizeof(idt) - 1;
    table.base = (uint32_t)idt;
    __asm__ volatile("lidt %0" : : "m"(table));
    /* The old controllers stay silent; the local APIC is on. */
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    set32(LAPIC + 0xf0, 0x1ff);
}

static void set_up_interrupt_of_device(void)
{
    set32(MSIX_TABLE + 0, LAPIC);
    set32(MSIX_TABLE + 4, 0);
    set32(MSIX_TABLE + 8, VECTOR);
    set32(MSIX_TABLE + 12, 0);
}

static void set_up_queue(uint16_t index)
{
    Queue *queue = &queues[index];

    set16(common + 0x16, index);
    set16(common + 0x18, QUEUE_SIZE);
    set16(common + 0x1a, 0);
    set32(common + 0x20, (uint32_t)queue->desc);
    set32(common + 0x24, 0);
    set32(common + 0x28, (uint32_t)queue->avail);
    set32(common + 0x2c, 0);
    set32(common + 0x30, (uint32_t)queue->used);
    set32(common + 0x34, 0);
    set16(common + 0x1c, 1);
}

static uint32_t doorbell(uint16_t index)
{
    return notify + 4u * index;
}

static void kick(uint16_t index)
{
    __asm__ volatile("lock; addl $0, (%%esp)" ::: "memory");
    /* The device asks for no doorbell while it works on the queue. */
    if (!(queues[index].used[0] & 1))
        set16(doorbell(index), index);
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

/* The next used entry; sleeps until there is one. */
static uint16_t take(uint16_t index, uint32_t *ret_len)
{
    Queue *queue = &queues[index];
    volatile uint16_t *entry = &queue->used[2 + 4 * (queue->next_used % QUEUE_SIZE)];

    for (;;) {
        if (queue->used[1] != queue->next_used)
            break;
        __asm__ volatile("sti\n hlt\n cli" ::: "memory");
    }
    queue->next_used++;
    *ret_len = entry[2] | (uint32_t)entry[3] << 16;
    return entry[0];
}

static void tell(uint32_t port, uint16_t event)
{
    static struct {
        uint32_t id;
        uint16_t event, value;
    } message;
    uint32_t len;

    message.id = port;
    message.event = event;
    message.value = 1;
    offer(CONTROL_OUT, 0, &message, sizeof(message), 0);
    kick(CONTROL_OUT);
    take(CONTROL_OUT, &len);
}

static void set_up_device(void)
{
    set8(common + 0x14, 0);
    set8(common + 0x14, 1);
    set8(common + 0x14, 3);
    set32(common + 0x08, 0);
    set32(common + 0x0c, 1 << 1);       /* VIRTIO_CONSOLE_F_MULTIPORT */
    set32(common + 0x08, 1);
    set32(common + 0x0c, 1);            /* VIRTIO_F_VERSION_1 */
    set8(common + 0x14, 11);
    for (uint16_t i = CONTROL_IN; i <= PORT_OUT; i++)
        set_up_queue(i);
    set8(common + 0x14, 15);
    tell(0, 0);                         /* DEVICE_READY, PORT_READY, PORT_OPEN */
    tell(1, 3);
    tell(1, 6);
}

static void send(uint32_t n_bytes)
{
    uint32_t sent = 0, done = 0, len;

    for (uint16_t slot = 0; slot < QUEUE_SIZE / 2 && sent < n_bytes; slot++) {
        offer(PORT_OUT, slot, buffers, OUT_SIZE, 0);
        sent += OUT_SIZE;
    }
    kick(PORT_OUT);
    while (done < n_bytes) {
        uint16_t slot = take(PORT_OUT, &len);

        done += OUT_SIZE;
        if (sent == n_bytes)
            continue;
        offer(PORT_OUT, slot, buffers, OUT_SIZE, 0);
        kick(PORT_OUT);
        sent += OUT_SIZE;
    }
}

static void receive(uint32_t n_bytes)
{
    uint32_t len;

    for (uint16_t slot = 0; slot < QUEUE_SIZE; slot++)
        offer(PORT_IN, slot, buffers[slot], IN_SIZE, 2);
    kick(PORT_IN);
    while (n_bytes > 0) {
        uint16_t slot = take(PORT_IN, &len);

        n_bytes -= len < n_bytes ? len : n_bytes;
        offer(PORT_IN, slot, buffers[slot], IN_SIZE, 2);
        kick(PORT_IN);
    }
}

void run(const uint32_t *start_info)
{
    const char *line = (const char *)start_info[6];
    uintptr_t places[5] = { 0 };
    uint32_t n_mib = 0;

    for (const char *at = line; *at; at++) {
        if (*at >= '0' && *at <= '9')
            n_mib = 10 * n_mib + (uint32_t)(*at - '0');
    }
    set_up_interrupts();
    set_up_function(DEVICE_ID, places);
    common = places[1];
    notify = places[2];
    set_up_interrupt_of_device();
    set_up_device();
    say('R');
    if (line[0] == 'o')
        send(n_mib * MIB);
    else
        receive(n_mib * MIB);
    say('D');
    for (;;)
        __asm__ volatile("hlt");
}
