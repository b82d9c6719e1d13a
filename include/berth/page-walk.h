/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's virtual addresses, through the page tables that a vCPU's registers point
 * to (Intel SDM 3A, chapter 4): no paging, 32-bit, PAE, 4 and 5 levels.  As a debugger
 * reads: permissions do not matter.
 *
 * The tables are the guest's and hostile: a walk has as many steps as there are levels,
 * and what is in memory is copied before it is looked at.  Any thread.
 */
#pragma once

#include "berth/ram-map.h"
#include "berth/vcpu-registers.h"

typedef struct PageWalk {
    const RamMap *ram;          /* lent */
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
} PageWalk;

/* @ram is lent while @walk is used. */
void page_walk_init(PageWalk *walk, const RamMap *ram,
                    const VcpuRegisters *registers);

bool page_walk_is_paging(const PageWalk *walk);

/*
 * Where @gva is: *@ret_gpa (which need not be memory), and *@ret_size, how many bytes
 * from there on are of the same page.  False when it is not mapped.
 */
bool page_walk_translate(const PageWalk *walk, uint64_t gva, uint64_t *ret_gpa,
                         uint64_t *ret_size);

/* Copies; false when a part of it is not mapped, or no memory. */
bool page_walk_read(const PageWalk *walk, uint64_t gva, void *data, size_t size);

/* A run of pages of which addresses and places rise together. */
typedef struct PageMapping {
    uint64_t gva;
    uint64_t gpa;
    uint64_t size;
} PageMapping;

/* Bounds of a list: a guest can have the same page mapped billions of times. */
typedef struct PageWalkLimits {
    uint64_t max_entries;       /* of page tables that are looked at */
    size_t max_mappings;
} PageWalkLimits;

/* Bits of entries, the same in all modes. */
#define PAGE_ENTRY_PRESENT (1ull << 0)
#define PAGE_ENTRY_WRITE (1ull << 1)
#define PAGE_ENTRY_USER (1ull << 2)
#define PAGE_ENTRY_WRITE_THROUGH (1ull << 3)
#define PAGE_ENTRY_CACHE_DISABLE (1ull << 4)
#define PAGE_ENTRY_ACCESSED (1ull << 5)
#define PAGE_ENTRY_DIRTY (1ull << 6)
#define PAGE_ENTRY_LARGE (1ull << 7)    /* of what is not the last level */
#define PAGE_ENTRY_GLOBAL (1ull << 8)
#define PAGE_ENTRY_NO_EXECUTE (1ull << 63)

/* One page. */
typedef struct PageLeaf {
    PageMapping mapping;
    uint64_t entry;             /* the last; of the last level without _LARGE */
    uint64_t access;            /* _WRITE and _USER where all levels have them */
} PageLeaf;

/* False ends the visit. */
typedef bool PageLeafFn(void *opaque, const PageLeaf *leaf);

/*
 * Shows each page that is mapped, by address; also what is no memory.  False when @fn, or
 * *@cancelled (atomic), ended it, or more than @max_entries would be looked at.
 */
bool page_walk_visit(const PageWalk *walk, uint64_t max_entries, const bool *cancelled,
                     PageLeafFn *fn, void *opaque);

/*
 * Appends to @mappings (of PageMapping) what is mapped, by address, with neighbours put
 * together; also what is mapped and no memory.  False when it would take more than
 * @limits, or *@cancelled (atomic) was set.
 */
bool page_walk_list(const PageWalk *walk, const PageWalkLimits *limits,
                    const bool *cancelled, GArray *mappings);
