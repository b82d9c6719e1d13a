/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that backs guest RAM or ROM.  Guest pages are not touched before the guest
 * does.
 */
#pragma once

#include "berth/base.h"

struct RamBlock {
    char *name;                 /* "pc.ram" */
    uint8_t *host;
    uint64_t size;              /* bytes, a multiple of the page size */
    int fd;                     /* memfd, or -1 for anonymous memory */
    bool guarded;               /* a page before and behind that nobody can access */
    bool shared;
    int ref_count;              /* atomic */
};

/* Whether the host's kernel shall do something that not every host can. */
typedef enum RamWish {
    RAM_WISH_NONE,              /* what the host does by itself */
    RAM_WISH_OFF,
    RAM_WISH_TRY,               /* where it can */
    RAM_WISH_ON,                /* an error where it cannot */
} RamWish;

/*
 * How the memory is made; zero-initialised means private anonymous memory.  With memfd,
 * @share decides whether other processes that get the descriptor see the same pages.
 */
typedef struct RamOptions {
    bool memfd;
    bool share;                 /* MAP_SHARED */
    bool prealloc;              /* touch every page now */
    bool no_dump;               /* MADV_DONTDUMP */
    RamWish merge;              /* with equal pages, MADV_MERGEABLE */
    RamWish thp;                /* transparent huge pages, MADV_HUGEPAGE */
    bool no_reserve;            /* MAP_NORESERVE */
    bool hugetlb;               /* huge pages, memfd or not */
    uint64_t hugetlb_size;      /* bytes, 0: the host's default */
    bool seal;                  /* memfd: its size is fixed for every holder */
} RamOptions;

/* A plain address range with its host memory, for those that never see vm.h (vhost). */
typedef struct RamRange {
    uint64_t gpa;
    uint64_t size;
    void *host;
    int fd;
    uint64_t fd_offset;
} RamRange;

/* Main only. */

/*
 * @size is rounded up to pages (huge ones, if asked for); the error tells what was
 * wanted and what was available.
 */
RamBlock *ram_block_new(const char *name, uint64_t size, const RamOptions *options,
                        GError **error);

/* Any thread. */

RamBlock *ram_block_ref(RamBlock *block);
/* Frees the memory with the last reference.  Accepts NULL. */
void ram_block_unref(RamBlock *block);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RamBlock, ram_block_unref)
