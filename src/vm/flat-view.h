/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region tree flattened: sorted ranges that do not overlap, each answered by one
 * region.  A view is immutable once made; it holds references to the memory in it.
 */
#pragma once

#include "berth/qsbr.h"
#include "berth/region.h"

/*
 * One cache line with all that an access needs.  @region is looked at under the address
 * space's lock only: a reader may hold a view longer than the region lives.
 */
typedef struct FlatRange {
    uint64_t start;
    uint64_t last;              /* inclusive, so that 2^64 - 1 fits */
    const Region *region;
    RegionKind kind;            /* REGION_IO, REGION_RAM or REGION_ROM */
    union {
        struct {
            uint64_t offset;    /* of @start in the region */
            const RegionOps *ops;
            void *opaque;
            GMutex *lock;
        } io;
        struct {
            uint8_t *host;      /* memory of @start */
            RamBlock *block;
            const RegionOps *ops;       /* of writes to ROM, or NULL */
            void *opaque;
        } ram;
    };
} FlatRange;

typedef struct FlatView {
    QsbrNode retired;
    unsigned n;
    FlatRange ranges[];
} FlatView;

FlatView *flat_view_new(const Region *root);
/* Accepts NULL. */
void flat_view_free(FlatView *view);
/* Frees it when no reader can hold it any more. */
void flat_view_retire(FlatView *view);

bool flat_view_equal(const FlatView *a, const FlatView *b);

/* Whether both are memory, @next behind @range for the guest and for this process. */
bool flat_view_adjoins(const FlatRange *range, const FlatRange *next);

/*
 * The range that holds @addr, else the first above it, else NULL.  *@hint is where to
 * look first, and is set to what was found.
 */
const FlatRange *flat_view_find(const FlatView *view, unsigned *hint, uint64_t addr);
