/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Booting a kernel straight from the VMM, with no firmware: bzImage by the 64-bit entry
 * of the x86 boot protocol (2.12 or later), or an ELF file by the entry that its Xen note
 * PHYS32_ENTRY names (PVH).
 *
 * An image is opened and checked once; it is loaded at start and again at each reset,
 * from the descriptors that it keeps.  The files' bytes go straight into guest RAM; they
 * are not mapped, so that a file that is truncated later is an error and no SIGBUS.  What
 * the files say is hostile: nothing outside the given RAM is written whatever they hold.
 *
 * What the loader itself puts into guest memory (the guest may use it all again after it
 * has read it):
 *
 *     0x1000     GDT
 *     0x2000     boot_params ("zero page"), or hvm_start_info with its lists
 *     0x3000     page tables that map the first 4 GiB one to one, 6 pages (bzImage only)
 *     0x10000    kernel command line, up to 64 KiB
 */
#pragma once

#include "berth/ram.h"
#include "berth/vcpu.h"

#define BOOT_GDT 0x1000u
#define BOOT_INFO 0x2000u
#define BOOT_PAGE_TABLES 0x3000u
#define BOOT_CMDLINE 0x10000u
#define BOOT_CMDLINE_SIZE 0x10000u      /* bytes, with the NUL at the end */
#define BOOT_LOW_END 0x20000u           /* kernels and initrds lie above */

/* The types of the ACPI specification's address ranges, which e820 and PVH share. */
typedef enum BootMemoryType {
    BOOT_MEMORY_RAM = 1,
    BOOT_MEMORY_RESERVED = 2,
    BOOT_MEMORY_ACPI = 3,
    BOOT_MEMORY_NVS = 4,
} BootMemoryType;

typedef struct BootMemoryEntry {
    uint64_t base;
    uint64_t size;              /* bytes, never 0 */
    BootMemoryType type;
} BootMemoryEntry;

#define BOOT_MEMORY_MAX 32

/* The memory map that the guest is told: by base, no overlaps. */
typedef struct BootMemory {
    BootMemoryEntry entries[BOOT_MEMORY_MAX];
    size_t n;
} BootMemory;

/* Where to load to.  Everything is lent for the call. */
typedef struct BootTarget {
    const RamRange *ram;
    size_t n_ram;
    const BootMemory *map;
    uint64_t rsdp;              /* gpa of the ACPI RSDP, 0 for none */
    bool ram_is_zero;           /* nobody has written to it: what must be zero is */
} BootTarget;

typedef struct BootImage BootImage;

/* Main only, the vCPUs paused. */

/*
 * Opens @kernel and, unless NULL, @initrd and checks them; @cmdline (copied) may be NULL.
 * The error names the file and what is wrong with it.
 */
BootImage *boot_image_open(const char *kernel, const char *initrd, const char *cmdline,
                           GError **error);
/* Accepts NULL. */
void boot_image_free(BootImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootImage, boot_image_free)

/*
 * Puts the image into the target's RAM and fills *@ret_boot.  False with @error when the
 * memory is too small for it (RAM may have been written then) or a file has changed.
 */
bool boot_image_load(const BootImage *image, const BootTarget *target,
                     VcpuBoot *ret_boot, GError **error);
