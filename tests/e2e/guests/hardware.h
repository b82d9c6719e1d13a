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

static inline uint32_t get32(uintptr_t at)
{
    return *(volatile uint32_t *)at;
}

#endif
