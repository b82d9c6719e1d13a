/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest of all virtio devices that there are: starts them, fills their rings
 * and registers with what comes, rings their doorbells, and begins again, for ever.  It
 * writes 'R' when it begins, and '.' for each 1,024 things that it did.
 *
 * What a device may write to lies above the program, or is no RAM.
 */
#include "orders.h"

#define DEVICES 8u
#define QUEUES 4u
#define RING_SIZE 16u
#define RINGS (8ul << 20)               /* of QUEUE_ROOM for each queue */
#define QUEUE_ROOM 0x4000ul
#define AVAIL 0x1000ul
#define USED 0x2000ul
#define DATA (16ul << 20)
#define DATA_SIZE (16ul << 20)
#define BAR_SIZE 0x4000ul
#define NOTIFY 0x3000ul
#define CONFIG 0x2000ul

static uint32_t functions[DEVICES];
static uint32_t n_devices;
static uint32_t state = 0x2545f491;

static uint32_t random_word(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void find_devices(void)
{
    for (uint32_t function = 0; function < 0x100 && n_devices < DEVICES; function++) {
        if ((config_read(function, 0) & 0xffff) != 0x1af4)
            continue;
        config_write(function, 0x20, (uint32_t)(STRUCTURES + n_devices * BAR_SIZE));
        config_write(function, 0x24, 0);
        config_write(function, 0x04, 0x406);
        functions[n_devices++] = function;
    }
}

/* Numbers of pages in the data, for the balloon. */
static void fill_data(void)
{
    for (uint64_t at = DATA; at < DATA + DATA_SIZE; at += 4)
        set32(at, (uint32_t)(DATA >> 12) + (random_word() & 0xfff));
}

static uint64_t ring_of(uint32_t device, uint32_t queue)
{
    return RINGS + (device * QUEUES + queue) * QUEUE_ROOM;
}

static uint32_t random_address(void)
{
    uint32_t word = random_word();

    if (word % 16 == 0)
        return 0x40000000u | random_word();     /* no RAM; registers, too */
    return (uint32_t)(DATA + (word >> 4) % (DATA_SIZE - 0x10000));
}

static void start_device(uint32_t device)
{
    uint64_t common = STRUCTURES + device * BAR_SIZE;

    set8(common + 0x14, 0);
    set8(common + 0x14, 3);
    for (uint32_t i = 0; i < 2; i++) {
        set32(common + 0x00, i);
        set32(common + 0x08, i);
        set32(common + 0x0c, i ? 1 : get32(common + 0x04) & random_word());
    }
    set8(common + 0x14, 11);
    for (uint32_t i = 0; i < QUEUES; i++) {
        uint64_t ring = ring_of(device, i);

        set16(common + 0x16, (uint16_t)i);
        set16(common + 0x18, RING_SIZE);
        set_address(common + 0x20, (void *)ring);
        set_address(common + 0x28, (void *)(ring + AVAIL));
        set_address(common + 0x30, (void *)(ring + USED));
        set16(ring + AVAIL + 2, 0);
        set16(common + 0x1c, 1);
    }
    set8(common + 0x14, 15);
}

static void set_descriptor(uint64_t ring)
{
    uint64_t at = ring + random_word() % RING_SIZE * sizeof(Desc);
    uint32_t word = random_word();

    *(volatile Desc *)at = (Desc) {
        .addr = random_address(),
        .len = word % 8 ? word >> 8 & 0xfff : word >> 4,
        .flags = (uint16_t)(word >> 20 & 3),
        .next = (uint16_t)(word >> 24 & 15),
    };
}

static void offer(uint64_t ring)
{
    uint16_t next = get16(ring + AVAIL + 2);
    uint32_t word = random_word();

    set16(ring + AVAIL + 4 + 2ul * (next % RING_SIZE), (uint16_t)(word % RING_SIZE));
    set16(ring + AVAIL + 2, (uint16_t)(next + (word % 256 ? 1 : word >> 8)));
}

/* Not the addresses of rings, which are set as a whole. */
static void set_register(uint32_t device)
{
    static const uint8_t places[] = { 0, 4, 8, 12, 16, 18, 20, 22, 24, 26, 28 };
    uint64_t bar = STRUCTURES + device * BAR_SIZE;
    uint32_t word = random_word();
    uint64_t at = word & 1 ? bar + places[(word >> 1) % sizeof(places)]
                           : bar + CONFIG + (word >> 1 & 63);

    if (word & 0x10000)
        set8(at, (uint8_t)(word >> 20));
    else if (word & 0x20000)
        set16(at & ~1ul, (uint16_t)(word >> 16));
    else
        set32(at & ~3ul, random_word());
}

static void act(void)
{
    uint32_t word = random_word();
    uint32_t device = word % n_devices;
    uint32_t queue = word / 16 % QUEUES;
    uint64_t ring = ring_of(device, queue);
    uint32_t kind = word >> 8 & 1023;

    if (kind == 0)
        start_device(device);
    else if (kind < 16)
        set_register(device);
    else if (kind < 512)
        set_descriptor(ring);
    else if (kind < 960)
        offer(ring);
    else
        set16(STRUCTURES + device * BAR_SIZE + NOTIFY + 4 * queue, (uint16_t)queue);
}

static void run(void)
{
    find_devices();
    fill_data();
    for (uint32_t i = 0; i < n_devices; i++)
        start_device(i);
    say('R');
    for (;;) {
        for (uint32_t i = 0; i < 1024; i++)
            act();
        say('.');
    }
}
