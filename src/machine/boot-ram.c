/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's RAM as the loader sees it: where something fits, and files read into it.
 *
 * Two things decide whether memory may be used: the map that the guest is told (a loader
 * must not fill what the guest believes reserved) and the host memory that is behind it.
 * Addresses and sizes come from files; sums of them are never formed before it is known
 * that they do not overflow.
 */
#include <errno.h>

#include "berth/error.h"

#include "boot-image.h"

#define PAGE_SIZE 4096ull

static bool contains(uint64_t base, uint64_t size, uint64_t gpa, uint64_t length)
{
    return gpa >= base && length <= size && gpa - base <= size - length;
}

void *boot_ram_at(const BootTarget *target, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < target->n_ram; i++) {
        const RamRange *ram = &target->ram[i];

        if (contains(ram->gpa, ram->size, gpa, size))
            return (uint8_t *)ram->host + (gpa - ram->gpa);
    }
    return NULL;
}

bool boot_ram_is_usable(const BootTarget *target, BootRange range)
{
    for (size_t i = 0; i < target->map->n; i++) {
        const BootMemoryEntry *entry = &target->map->entries[i];

        if (entry->type == BOOT_MEMORY_RAM &&
            contains(entry->base, entry->size, range.base, range.size))
            return boot_ram_at(target, range.base, range.size) != NULL;
    }
    return false;
}

bool boot_ram_find_low(const BootTarget *target, uint64_t start, uint64_t size,
                       uint64_t align, uint64_t *ret_gpa)
{
    for (size_t i = 0; i < target->map->n; i++) {
        const BootMemoryEntry *entry = &target->map->entries[i];
        BootRange range = { MAX(MAX(entry->base, start), BOOT_LOW_END), size };

        if (range.base >= 4 * GIB)
            continue;
        range.base = ALIGN_UP(range.base, align);
        if (contains(0, 4 * GIB, range.base, size) && boot_ram_is_usable(target, range)) {
            *ret_gpa = range.base;
            return true;
        }
    }
    return false;
}

/* The highest page in [@low, @high) where @size bytes touch none of @taken, or 0. */
static uint64_t highest_gap(uint64_t low, uint64_t high, uint64_t size,
                            const BootTaken *taken)
{
    bool moved = true;
    uint64_t at = 0;

    while (moved) {
        if (high < low || high - low < size)
            return 0;
        at = ALIGN_DOWN(high - size, PAGE_SIZE);
        if (at < low)
            return 0;
        moved = false;
        for (size_t i = 0; i < taken->n && !moved; i++) {
            const BootRange *range = &taken->ranges[i];

            moved = range->base < at + size && at < range->base + range->size;
            if (moved)
                high = range->base;
        }
    }
    return at;
}

bool boot_ram_find_high(const BootTarget *target, uint64_t end, uint64_t size,
                        const BootTaken *taken, uint64_t *ret_gpa)
{
    for (size_t i = target->map->n; i-- > 0;) {
        const BootMemoryEntry *entry = &target->map->entries[i];
        uint64_t low = MAX(entry->base, BOOT_LOW_END);
        uint64_t high = MIN(entry->base + entry->size, end);
        uint64_t at = highest_gap(low, high, size, taken);

        if (at != 0 && boot_ram_is_usable(target, (BootRange){ at, size })) {
            *ret_gpa = at;
            return true;
        }
    }
    return false;
}

bool boot_ram_read(const BootTarget *target, const BootFile *file, uint64_t offset,
                   BootRange to, GError **error)
{
    uint8_t *host = boot_ram_at(target, to.base, to.size);
    uint64_t done = 0;

    g_assert(host);
    while (done < to.size) {
        ssize_t n = pread(file->fd, host + done, MIN(to.size - done, GIB),
                          (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_set_errno(error, errno, "cannot read '%s'", file->path);
            return false;
        }
        if (n == 0) {
            error_set(error, "'%s' ends after %" PRIu64 " bytes, it had %" PRIu64
                      " when it was opened", file->path, offset + done, file->size);
            return false;
        }
        done += (uint64_t)n;
    }
    return true;
}

bool boot_ram_add_initrd(const BootTarget *target, const BootFile *initrd, uint64_t end,
                         const BootTaken *taken, BootRange *ret_range, GError **error)
{
    BootRange range = { 0, initrd->size };

    if (initrd->fd >= 0) {
        if (!boot_ram_find_high(target, end, range.size, taken, &range.base)) {
            error_set(error, "initrd '%s': no room for its %" PRIu64 " bytes in the "
                      "guest's memory below 0x%" PRIx64 " beside the kernel",
                      initrd->path, initrd->size, end);
            return false;
        }
        if (!boot_ram_read(target, initrd, 0, range, error))
            return false;
    }
    *ret_range = range;
    return true;
}
