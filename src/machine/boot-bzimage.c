/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImage: Linux's own format.  A real-mode part that holds the setup header, then the
 * protected-mode kernel, which is entered 0x200 bytes after its start in long mode with
 * RSI = boot_params.  (Linux, Documentation/arch/x86/boot.rst, 1.12 "64-bit boot
 * protocol"; boot_params is described in zero-page.rst.)
 *
 * Where it goes: at pref_address.  A relocatable kernel that is loaded lower moves itself
 * up to there all the same, so lower is of no use; it may go higher where pref_address is
 * no RAM.  It needs init_size bytes from its start on before it reads the memory map, so
 * the initrd keeps clear of those.
 */
#include <string.h>

#include "berth/error.h"

#include "boot-image.h"

/* Offsets in the file and, from 0x1f1 on, in boot_params. */
#define HDR_SETUP_SECTS 0x1f1u
#define HDR_SYSSIZE 0x1f4u              /* of the protected-mode kernel */
#define HDR_VID_MODE 0x1fau
#define HDR_BOOT_FLAG 0x1feu
#define HDR_JUMP 0x201u                 /* the header ends this far after HDR_MAGIC */
#define HDR_MAGIC 0x202u
#define HDR_VERSION 0x206u
#define HDR_LOADER 0x210u
#define HDR_LOADFLAGS 0x211u
#define HDR_RAMDISK_IMAGE 0x218u
#define HDR_RAMDISK_SIZE 0x21cu
#define HDR_CMD_LINE_PTR 0x228u
#define HDR_INITRD_ADDR_MAX 0x22cu
#define HDR_KERNEL_ALIGNMENT 0x230u
#define HDR_RELOCATABLE 0x234u
#define HDR_XLOADFLAGS 0x236u
#define HDR_CMDLINE_SIZE 0x238u
#define HDR_SETUP_DATA 0x250u
#define HDR_PREF_ADDRESS 0x258u
#define HDR_INIT_SIZE 0x260u
#define HDR_END_2_12 0x268u             /* of the header of protocol 2.12 */
#define HDR_END_MAX 0x290u              /* boot_params has no room for more */

#define BOOT_FLAG 0xaa55u
#define MAGIC 0x53726448u               /* "HdrS" */
#define VERSION_MIN 0x020cu             /* 2.12: the 64-bit entry is announced */
#define LOADED_HIGH 0x01u
#define XLF_KERNEL_64 0x01u
#define LOADER_UNDEFINED 0xffu
#define VID_MODE_NORMAL 0xffffu
#define ENTRY64_OFFSET 0x200u
#define SECTORS_DEFAULT 4
#define SECTOR_SIZE 512u
#define PARAGRAPH 16ull                 /* what syssize counts */
#define ALIGNMENT_MAX GIB

/* Offsets in boot_params that the header has not. */
#define PARAMS_SIZE 0x1000u
#define PARAMS_ACPI_RSDP 0x070u
#define PARAMS_E820_ENTRIES 0x1e8u
#define PARAMS_E820_TABLE 0x2d0u
#define E820_ENTRY_SIZE 20u

G_STATIC_ASSERT(sizeof(((BootBzimage *)0)->header) == HDR_END_MAX - HDR_SETUP_SECTS);
G_STATIC_ASSERT(PARAMS_E820_TABLE + BOOT_MEMORY_MAX * E820_ENTRY_SIZE <= PARAMS_SIZE);

static uint16_t get16(const uint8_t *data, size_t offset)
{
    return (uint16_t)(data[offset] | data[offset + 1] << 8);
}

static uint32_t get32(const uint8_t *data, size_t offset)
{
    return get16(data, offset) | (uint32_t)get16(data, offset + 2) << 16;
}

static uint64_t get64(const uint8_t *data, size_t offset)
{
    return get32(data, offset) | (uint64_t)get32(data, offset + 4) << 32;
}

static void put32(uint8_t *data, size_t offset, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(data + offset, &value, sizeof value);
}

static void put64(uint8_t *data, size_t offset, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    memcpy(data + offset, &value, sizeof value);
}

static bool bzimage_matches(const uint8_t *head, size_t size)
{
    return size >= HDR_VERSION && get16(head, HDR_BOOT_FLAG) == BOOT_FLAG &&
           get32(head, HDR_MAGIC) == MAGIC;
}

/* Whether this is a kernel that can be entered in long mode. */
static bool check_kind(const uint8_t *head, size_t size, GError **error)
{
    unsigned version;

    if (size < HDR_END_2_12) {
        error_set(error, "truncated in its setup header");
        return false;
    }
    version = get16(head, HDR_VERSION);
    if (version < VERSION_MIN) {
        error_set(error, "too old: it has boot protocol %u.%02u, 2.12 or later is needed",
                  version >> 8, version & 0xff);
        return false;
    }
    if (HDR_MAGIC + head[HDR_JUMP] < HDR_END_2_12) {
        error_set(error, "the setup header has %u bytes, boot protocol 2.12 has %u",
                  HDR_MAGIC + head[HDR_JUMP] - HDR_SETUP_SECTS,
                  HDR_END_2_12 - HDR_SETUP_SECTS);
        return false;
    }
    if (!(head[HDR_LOADFLAGS] & LOADED_HIGH)) {
        error_set(error, "a zImage, which runs in low memory; a bzImage is needed");
        return false;
    }
    if (!(get16(head, HDR_XLOADFLAGS) & XLF_KERNEL_64)) {
        error_set(error, "it has no 64-bit entry; a 64-bit kernel is needed");
        return false;
    }
    return true;
}

/* Where the protected-mode kernel is in the file. */
static bool parse_payload(BootImage *image, const uint8_t *head, GError **error)
{
    BootBzimage *bz = &image->u.bzimage;
    unsigned sectors = head[HDR_SETUP_SECTS] ? head[HDR_SETUP_SECTS] : SECTORS_DEFAULT;
    uint64_t needed = get32(head, HDR_SYSSIZE) * PARAGRAPH;

    /* The last one may be there in part. */
    needed -= MIN(needed, PARAGRAPH - 1);
    bz->payload_offset = (sectors + 1) * SECTOR_SIZE;
    needed = MAX(needed, ENTRY64_OFFSET + 1) + bz->payload_offset;
    if (image->kernel.size < needed) {
        error_set(error, "truncated: the file has %" PRIu64 " bytes, its header asks for "
                  "%" PRIu64, image->kernel.size, needed);
        return false;
    }
    /* syssize may leave out what is appended; the kernel expects all of it. */
    bz->payload_size = image->kernel.size - bz->payload_offset;
    bz->memory_size = MAX(bz->payload_size, get32(head, HDR_INIT_SIZE));
    return true;
}

static bool parse_alignment(BootBzimage *bz, const uint8_t *head, GError **error)
{
    uint32_t alignment = get32(head, HDR_KERNEL_ALIGNMENT);

    bz->pref_address = get64(head, HDR_PREF_ADDRESS);
    if (!head[HDR_RELOCATABLE])
        return true;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 ||
        alignment > ALIGNMENT_MAX) {
        error_set(error, "kernel_alignment is 0x%x, a power of two up to 1 GiB is needed",
                  alignment);
        return false;
    }
    bz->alignment = alignment;
    return true;
}

static bool check_cmdline(const BootImage *image, const uint8_t *head, GError **error)
{
    size_t length = strlen(image->cmdline);
    uint32_t most = get32(head, HDR_CMDLINE_SIZE);

    if (length > most)
        error_set(error, "the command line has %zu bytes, this kernel takes at most %u",
                  length, most);
    return length <= most;
}

static bool bzimage_parse(BootImage *image, const uint8_t *head, size_t size,
                          GError **error)
{
    BootBzimage *bz = &image->u.bzimage;

    if (!check_kind(head, size, error) || !parse_payload(image, head, error) ||
        !parse_alignment(bz, head, error) || !check_cmdline(image, head, error))
        return false;
    bz->initrd_end = get32(head, HDR_INITRD_ADDR_MAX) + 1ull;
    bz->header_size = MIN(MIN(HDR_MAGIC + head[HDR_JUMP], HDR_END_MAX), size) -
                      HDR_SETUP_SECTS;
    memcpy(bz->header, head + HDR_SETUP_SECTS, bz->header_size);
    return true;
}

static bool place_kernel(const BootImage *image, const BootTarget *target,
                         BootRange *ret_range, GError **error)
{
    const BootBzimage *bz = &image->u.bzimage;
    BootRange range = { bz->pref_address, bz->memory_size };
    bool found;

    if (bz->alignment)
        found = boot_ram_find_low(target, range.base, range.size, bz->alignment,
                                  &range.base);
    else
        found = boot_ram_find_low(target, range.base, range.size, 1, &range.base) &&
                range.base == bz->pref_address;
    if (!found)
        error_set(error, "kernel '%s': the guest's memory is too small: it needs %" PRIu64
                  " KiB at 0x%" PRIx64, image->kernel.path, range.size >> 10,
                  bz->pref_address);
    else
        *ret_range = range;
    return found;
}

static void put_params(const BootImage *image, const BootTarget *target, BootRange initrd)
{
    const BootBzimage *bz = &image->u.bzimage;
    const BootMemory *map = target->map;
    uint8_t *params = boot_ram_at(target, BOOT_INFO, PARAMS_SIZE);

    memset(params, 0, PARAMS_SIZE);
    memcpy(params + HDR_SETUP_SECTS, bz->header, bz->header_size);
    params[HDR_LOADER] = LOADER_UNDEFINED;
    params[HDR_VID_MODE] = VID_MODE_NORMAL & 0xff;
    params[HDR_VID_MODE + 1] = VID_MODE_NORMAL >> 8;
    put32(params, HDR_RAMDISK_IMAGE, (uint32_t)initrd.base);
    put32(params, HDR_RAMDISK_SIZE, (uint32_t)initrd.size);
    put32(params, HDR_CMD_LINE_PTR, BOOT_CMDLINE);
    put64(params, HDR_SETUP_DATA, 0);
    put64(params, PARAMS_ACPI_RSDP, target->rsdp);

    params[PARAMS_E820_ENTRIES] = (uint8_t)map->n;
    for (size_t i = 0; i < map->n; i++) {
        uint8_t *entry = params + PARAMS_E820_TABLE + i * E820_ENTRY_SIZE;

        put64(entry, 0, map->entries[i].base);
        put64(entry, 8, map->entries[i].size);
        put32(entry, 16, map->entries[i].type);
    }
}

static bool bzimage_load(const BootImage *image, const BootTarget *target,
                         VcpuBoot *ret_boot, GError **error)
{
    const BootBzimage *bz = &image->u.bzimage;
    BootTaken taken = { .n = 1 };
    BootRange *kernel = &taken.ranges[0];
    BootRange initrd;

    if (!place_kernel(image, target, kernel, error) ||
        !boot_ram_read(target, &image->kernel, bz->payload_offset,
                       (BootRange){ kernel->base, bz->payload_size }, error) ||
        !boot_ram_add_initrd(target, &image->initrd, bz->initrd_end, &taken, &initrd,
                             error))
        return false;

    boot_tables_put_gdt(target, true);
    boot_tables_put_pages(target);
    boot_tables_put_cmdline(target, image->cmdline);
    put_params(image, target, initrd);
    *ret_boot = (VcpuBoot) {
        .entry = VCPU_ENTRY_LONG,
        .ip = kernel->base + ENTRY64_OFFSET,
        .arg = BOOT_INFO,
        .page_table = BOOT_PAGE_TABLES,
        .gdt = BOOT_GDT,
    };
    return true;
}

const BootFormat boot_bzimage_format = {
    .matches = bzimage_matches,
    .parse = bzimage_parse,
    .load = bzimage_load,
};
