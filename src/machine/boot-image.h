/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the loader share: the opened image, and access to the target's RAM.
 */
#pragma once

#include "berth/boot.h"

/* Program headers of type PT_LOAD that an ELF kernel may have. */
#define BOOT_SEGMENTS_MAX 32

/* A range of guest physical memory; base + size does not overflow. */
typedef struct BootRange {
    uint64_t base;
    uint64_t size;
} BootRange;

/* What the kernel takes. */
typedef struct BootTaken {
    BootRange ranges[BOOT_SEGMENTS_MAX];
    size_t n;
} BootTaken;

typedef struct BootFile {
    char *path;
    int fd;                     /* -1 for no file */
    uint64_t size;              /* when it was opened */
} BootFile;

/* From the setup header; the whole of it is kept, as the guest gets it back. */
typedef struct BootBzimage {
    uint8_t header[0x290 - 0x1f1];
    size_t header_size;
    uint64_t payload_offset;    /* of the protected-mode kernel in the file */
    uint64_t payload_size;
    uint64_t memory_size;       /* what it needs from its load address on */
    uint64_t pref_address;
    uint64_t alignment;         /* 0: runs at pref_address only */
    uint64_t initrd_end;        /* the initrd ends at or below */
} BootBzimage;

typedef struct BootSegment {
    BootRange memory;
    uint64_t offset;
    uint64_t file_size;         /* the rest of the memory is zero */
} BootSegment;

typedef struct BootElf {
    BootSegment segments[BOOT_SEGMENTS_MAX];
    size_t n_segments;
    uint64_t entry;             /* 0 until a note told it */
} BootElf;

/* One kind of kernel file. */
typedef struct BootFormat {
    /* @head is the file's beginning, @size bytes of it. */
    bool (*matches)(const uint8_t *head, size_t size);
    /* Fills the image's member of the union; the message follows "kernel 'PATH': ". */
    bool (*parse)(BootImage *image, const uint8_t *head, size_t size, GError **error);
    bool (*load)(const BootImage *image, const BootTarget *target, VcpuBoot *ret_boot,
                 GError **error);
} BootFormat;

struct BootImage {
    BootFile kernel;
    BootFile initrd;
    char *cmdline;              /* never NULL, shorter than BOOT_CMDLINE_SIZE */
    const BootFormat *format;
    union {
        BootBzimage bzimage;
        BootElf elf;
    } u;
};

extern const BootFormat boot_bzimage_format;
extern const BootFormat boot_elf_format;

/* boot-ram.c */

/* The host address of RAM at [@gpa, @gpa + @size), or NULL when not all of it is. */
void *boot_ram_at(const BootTarget *target, uint64_t gpa, uint64_t size);
/* True when the map calls all of @range RAM and it is there. */
bool boot_ram_is_usable(const BootTarget *target, BootRange range);
/* The lowest place at or above @start, a multiple of @align, that ends below 4 GiB. */
bool boot_ram_find_low(const BootTarget *target, uint64_t start, uint64_t size,
                       uint64_t align, uint64_t *ret_gpa);
/* The highest place of whole pages that ends at or below @end and touches no @taken. */
bool boot_ram_find_high(const BootTarget *target, uint64_t end, uint64_t size,
                        const BootTaken *taken, uint64_t *ret_gpa);
/* Fills @to, which is in RAM, from @offset of @file on. */
bool boot_ram_read(const BootTarget *target, const BootFile *file, uint64_t offset,
                   BootRange to, GError **error);
/* Places and reads the initrd, if any; *@ret_range is empty without one. */
bool boot_ram_add_initrd(const BootTarget *target, const BootFile *initrd, uint64_t end,
                         const BootTaken *taken, BootRange *ret_range, GError **error);

/* boot-tables.c; RAM from 0 to BOOT_LOW_END is known to be there */

void boot_tables_put_gdt(const BootTarget *target, bool long_mode);
void boot_tables_put_pages(const BootTarget *target);
void boot_tables_put_cmdline(const BootTarget *target, const char *cmdline);
