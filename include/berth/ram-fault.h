/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that the host takes back: a file that has become shorter, a pool of huge
 * pages that has no more, a defect of the hardware.
 *
 * Whoever of the process reads or writes such a page goes on with one of zeros in its
 * place, and who watches is told: src/vm/ram-fault.c has how.
 */
#pragma once

#include "berth/loop.h"
#include "berth/ram.h"

/* What happened to a block since it was last asked; zeros for nothing. */
typedef struct RamFault {
    uint64_t n_lost;            /* pages that zeros stand in for */
    uint64_t n_spoilt;          /* told of beforehand, which nobody has used yet */
    uint64_t offset;            /* in the block, of one of them */
    bool is_hardware;           /* some of it is the hardware's defect */
} RamFault;

typedef struct RamFaultWatch {
    LoopFd source;
    LoopFn *fn;
    void *opaque;
} RamFaultWatch;

/* Main only. */

/* From now on the process survives; before there are other threads, or with them. */
bool ram_fault_catch(GError **error);

/* Has @fn called on @loop, main's, when a block has something to tell. */
bool ram_fault_watch_init(RamFaultWatch *watch, Loop *loop, LoopFn *fn, void *opaque,
                          GError **error);
/* Accepts a zero-initialised one. */
void ram_fault_watch_done(RamFaultWatch *watch);

/* Any thread. */

/* Takes what happened to @block; false when nothing did. */
bool ram_fault_take(const RamBlock *block, RamFault *ret_fault);

/* For ram.c. */

void ram_fault_add(RamBlock *block);
/* Before the memory is unmapped.  Accepts a block that was not added. */
void ram_fault_remove(RamBlock *block);
