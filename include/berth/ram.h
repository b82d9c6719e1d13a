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
    int fd;                     /* memfd or file, or -1 for anonymous memory */
    uint64_t fd_offset;         /* of the first byte in the file */
    bool guarded;               /* a page before and behind that nobody can access */
    bool shared;
    bool has_contents;          /* a file with a name, which need not be empty */
    uint64_t page_size;         /* what the host gives and takes at once */
    bool discards;              /* what a file holds goes with the memory */
    int fault_row;              /* of ram-fault.c; 0: none */
    int ref_count;              /* atomic */
};

/* Whether the host's kernel shall do something that not every host can. */
typedef enum RamWish {
    RAM_WISH_NONE,              /* what the host does by itself */
    RAM_WISH_OFF,
    RAM_WISH_TRY,               /* where it can */
    RAM_WISH_ON,                /* an error where it cannot */
} RamWish;

/* Nodes of the host are below that; as many as QEMU lets one name. */
#define RAM_MAX_NODES 128u
#define RAM_NODE_BITS (8u * (unsigned)sizeof(unsigned long))
#define RAM_NODE_WORDS (RAM_MAX_NODES / RAM_NODE_BITS)

/* Which of the host's nodes memory comes from (mbind(2)). */
typedef enum RamPolicy {
    RAM_POLICY_DEFAULT,
    RAM_POLICY_PREFERRED,
    RAM_POLICY_BIND,
    RAM_POLICY_INTERLEAVE,
} RamPolicy;

/*
 * How the memory is made; zero-initialised means private anonymous memory.  With a memfd
 * or a file, @share decides whether others that have it see the same pages.
 */
typedef struct RamOptions {
    bool memfd;
    bool share;                 /* MAP_SHARED */
    const char *path;           /* a file, or the folder of one without a name */
    uint64_t offset;            /* in the file, a multiple of the page size */
    uint64_t align;             /* of the address, a power of two; 0: as fits */
    bool read_only;             /* the file is not written to; not with share */
    bool discard;               /* what the file holds is of no use afterwards */
    bool prealloc;              /* touch every page now */
    unsigned prealloc_threads;  /* 0: as many as are worth while */
    RamPolicy policy;
    unsigned long nodes[RAM_NODE_WORDS];        /* bits, for another policy */
    unsigned n_node_bits;
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

/*
 * Gives whole pages back to the host; the next access finds new ones.  0 or a negative
 * errno.  May block where the memory is a file of a disk.
 */
int ram_discard_pages(RamBlock *block, uint64_t offset, uint64_t size);
/*
 * Takes the pages from the host now, as zeros where there were none.  0 or a negative
 * errno.  Blocks for as long as the host takes to clear them.
 */
int ram_populate_pages(RamBlock *block, uint64_t offset, uint64_t size);
/* Whether what was given back is zeros then; else it is what the file has. */
bool ram_discard_leaves_zeros(const RamBlock *block);

RamBlock *ram_block_ref(RamBlock *block);
/* Frees the memory with the last reference.  Accepts NULL. */
void ram_block_unref(RamBlock *block);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RamBlock, ram_block_unref)
