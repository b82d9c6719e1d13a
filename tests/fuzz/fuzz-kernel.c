/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a kernel: they are refused, or loaded into RAM and nowhere else.  The last
 * byte also chooses the circumstances.
 */
#include <string.h>
#include <sys/mman.h>

#include "berth/boot.h"
#include "berth/error.h"

#include "fuzz.h"

#define LOW_SIZE (40 * MIB)
#define HIGH_SIZE (2 * MIB)
#define GUARD_SIZE MIB
#define PAGE_SIZE 4096
#define FILL 0xa5                       /* in what the loader must not write */
#define HOLE 0xa0000
#define HOLE_END 0x100000

#define WITH_INITRD 0x01
#define AFTER_RESET 0x02
#define SMALL_MEMORY 0x04

/* RAM between two areas that fault. */
static uint8_t *guarded_ram(size_t size)
{
    uint8_t *area = mmap(NULL, size + 2 * GUARD_SIZE, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    g_assert_true(area != MAP_FAILED);
    g_assert_cmpint(mprotect(area + GUARD_SIZE, size, PROT_READ | PROT_WRITE), ==, 0);
    return area + GUARD_SIZE;
}

static bool is_filled(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != FILL)
            return false;
    return true;
}

static void check_start(const BootMemory *map, const VcpuBoot *start)
{
    bool in_ram = false;

    for (size_t i = 0; i < map->n; i++) {
        const BootMemoryEntry *e = &map->entries[i];

        in_ram |= e->type == BOOT_MEMORY_RAM && start->ip >= e->base &&
                  start->ip - e->base < e->size;
    }
    g_assert_true(in_ram && start->ip < 4 * GIB && start->ip >= BOOT_LOW_END);
    g_assert_true(start->entry != VCPU_ENTRY_RESET);
}

static char *make_file(const void *data, size_t size, int *ret_fd)
{
    *ret_fd = memfd_create("fuzz", MFD_CLOEXEC);
    g_assert_cmpint(*ret_fd, >=, 0);
    g_assert_cmpint(write(*ret_fd, data, size), ==, size);
    return g_strdup_printf("/proc/self/fd/%d", *ret_fd);
}

static void load(const BootImage *image, uint8_t choice)
{
    static uint8_t *low, *high;
    BootMemory map = {
        .entries = {
            { 0, HOLE, BOOT_MEMORY_RAM },
            { 0xc0000, 0x40000, BOOT_MEMORY_RESERVED },
            { MIB, choice & SMALL_MEMORY ? 17 * MIB : LOW_SIZE - MIB, BOOT_MEMORY_RAM },
            { 4 * GIB, HIGH_SIZE, BOOT_MEMORY_RAM },
        },
        .n = 4,
    };
    RamRange ram[] = {
        { 0, LOW_SIZE, NULL, -1, 0 },
        { 4 * GIB, HIGH_SIZE, NULL, -1, 0 },
    };
    BootTarget target = {
        .ram = ram, .n_ram = 2, .map = &map, .rsdp = 0xe0000,
        .ram_is_zero = !(choice & AFTER_RESET),
    };
    g_autoptr(GError) error = NULL;
    VcpuBoot start;

    if (!low) {
        low = guarded_ram(LOW_SIZE);
        high = guarded_ram(HIGH_SIZE);
        memset(low, FILL, PAGE_SIZE);
        memset(low + HOLE, FILL, HOLE_END - HOLE);
    }
    ram[0].host = low;
    ram[1].host = high;

    if (boot_image_load(image, &target, &start, &error))
        check_start(&map, &start);
    else
        g_assert_nonnull(error);

    g_assert_true(is_filled(low, PAGE_SIZE));
    g_assert_true(is_filled(low + HOLE, PAGE_SIZE));
    g_assert_true(is_filled(low + HOLE_END - PAGE_SIZE, PAGE_SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t choice = size ? data[size - 1] : 0;
    int kernel_fd, initrd_fd;
    g_autofree char *kernel = make_file(data, size, &kernel_fd);
    g_autofree char *initrd = make_file("initrd", 6, &initrd_fd);
    g_autoptr(BootImage) image = NULL;
    g_autoptr(GError) error = NULL;

    image = boot_image_open(kernel, choice & WITH_INITRD ? initrd : NULL, "quiet",
                            &error);
    g_assert_true((image == NULL) == (error != NULL));
    if (image)
        load(image, choice);
    close(kernel_fd);
    close(initrd_fd);
    return 0;
}
