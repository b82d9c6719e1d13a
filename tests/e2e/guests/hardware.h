/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guests in C share: ports, the serial port, addresses of devices, and PCI's
 * configuration space by its two ports (PCI 3.0, 3.2.2.3.2).
 */
#ifndef GUEST_HARDWARE_H
#define GUEST_HARDWARE_H

#include <stdint.h>

#define COM1 0x3f8
#define COM1_STATUS 0x3fd
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define STRUCTURES 0xe1000000ul         /* where the BARs are put */
#define MSIX_TABLE 0xe2000000ul

/* A descriptor of a split virtqueue (virtio 1.3, 2.7.5). */
typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
} Desc;

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void say(char c)
{
    out8(COM1, (uint8_t)c);
}

static inline uint32_t config_read(uint32_t function, uint32_t offset)
{
    out32(CONFIG_ADDRESS, 0x80000000u | function << 8 | (offset & 0xfc));
    return in32(CONFIG_DATA);
}

static inline void config_write(uint32_t function, uint32_t offset, uint32_t value)
{
    out32(CONFIG_ADDRESS, 0x80000000u | function << 8 | (offset & 0xfc));
    out32(CONFIG_DATA, value);
}

static inline void set8(uintptr_t at, uint8_t value)
{
    *(volatile uint8_t *)at = value;
}

static inline void set16(uintptr_t at, uint16_t value)
{
    *(volatile uint16_t *)at = value;
}

static inline void set32(uintptr_t at, uint32_t value)
{
    *(volatile uint32_t *)at = value;
}

static inline uint16_t get16(uintptr_t at)
{
    return *(volatile uint16_t *)at;
}

static inline uint32_t get32(uintptr_t at)
{
    return *(volatile uint32_t *)at;
}

/*
 * Finds the virtio device with that vendor and device number, moves its BARs to
 * STRUCTURES and MSIX_TABLE, switches MSI-X on.  Places of its structures are by their
 * kinds (virtio 1.3, 4.1.4).
 */
static inline void set_up_function(uint32_t id, uintptr_t places[5])
{
    uint32_t function = 0, cap;

    while (config_read(function, 0) != id)
        function = (function + 1) % 0x100;
    cap = config_read(function, 0x34) & 0xfc;
    config_write(function, 0x04, config_read(function, 0x04) & ~7u);
    config_write(function, 0x14, MSIX_TABLE);
    config_write(function, 0x20, STRUCTURES);
    config_write(function, 0x24, 0);
    config_write(function, 0x04, 0x406);
    for (; cap; cap = config_read(function, cap) >> 8 & 0xfc) {
        uint32_t head = config_read(function, cap);

        if ((head & 0xff) == 0x11)
            config_write(function, cap, (head | 0x80000000u) & ~0x40000000u);
        if ((head & 0xff) == 9 && head >> 24 < 5)
            places[head >> 24] = STRUCTURES + config_read(function, cap + 8);
    }
}

#endif
