/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a processor needs to start in protected or long mode without firmware:
 * descriptors, page tables, and the command line beside them.
 *
 * Intel SDM volume 3, 3.4.5 (segment descriptors), 4.5 (4-level paging).
 */
#include <string.h>

#include "boot-image.h"

#define PAGE_ENTRIES 512
#define PAGE_PRESENT_WRITABLE 0x3ull
#define PAGE_LARGE 0x80ull              /* a page directory entry maps 2 MiB */
#define N_DIRECTORIES 4                 /* 1 GiB each */

/* Selectors 0x10 and 0x18, flat; 0x20, a TSS of 0x67 bytes at 0 that nothing uses. */
#define GDT_CODE32 0x00cf9b000000ffffull
#define GDT_CODE64 0x00af9b000000ffffull
#define GDT_DATA 0x00cf93000000ffffull
#define GDT_TSS 0x00008b0000000067ull

void boot_tables_put_gdt(const BootTarget *target, bool long_mode)
{
    /* In long mode the TSS takes two entries. */
    const uint64_t gdt[] = {
        0, 0, long_mode ? GDT_CODE64 : GDT_CODE32, GDT_DATA, GDT_TSS, 0,
    };

    memcpy(boot_ram_at(target, BOOT_GDT, sizeof gdt), gdt, sizeof gdt);
}

void boot_tables_put_pages(const BootTarget *target)
{
    const size_t size = (2 + N_DIRECTORIES) * PAGE_ENTRIES * sizeof(uint64_t);
    uint64_t *level4 = boot_ram_at(target, BOOT_PAGE_TABLES, size);
    uint64_t *level3 = level4 + PAGE_ENTRIES;
    uint64_t *level2 = level3 + PAGE_ENTRIES;

    memset(level4, 0, 2 * PAGE_ENTRIES * sizeof *level4);
    level4[0] = (BOOT_PAGE_TABLES + 0x1000) | PAGE_PRESENT_WRITABLE;
    for (uint64_t i = 0; i < N_DIRECTORIES; i++)
        level3[i] = (BOOT_PAGE_TABLES + 0x2000 + i * 0x1000) | PAGE_PRESENT_WRITABLE;
    for (uint64_t i = 0; i < N_DIRECTORIES * PAGE_ENTRIES; i++)
        level2[i] = i * (2 * MIB) | PAGE_PRESENT_WRITABLE | PAGE_LARGE;
}

void boot_tables_put_cmdline(const BootTarget *target, const char *cmdline)
{
    size_t size = strlen(cmdline) + 1;

    memcpy(boot_ram_at(target, BOOT_CMDLINE, size), cmdline, size);
}
