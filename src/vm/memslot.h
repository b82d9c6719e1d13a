/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's memory slots, kept in step with a flat view.  Under the address
 * space's lock.
 */
#pragma once

#include "flat-view.h"
#include "vm-ops.h"

/* Of the hypervisor's address spaces, that of system management mode; others have 0. */
#define MEMSLOT_SPACE_SMM 1

typedef struct MemslotSet {
    uint8_t space;
    GArray *slots;              /* of VmSlot, by address: what the hypervisor has */
} MemslotSet;

void memslot_init(MemslotSet *set, uint8_t space);
/* Takes every slot back. */
void memslot_done(MemslotSet *set, Vm *vm);

/*
 * Makes the slots those of @view, by the fewest changes: what is equal stays untouched.
 * None goes beyond one of @cuts (uint64_t, ascending).
 * Returns 0, or the first error (negative errno); a slot that was refused is missing
 * and will be tried again with the next view.
 */
int memslot_update(MemslotSet *set, Vm *vm, const FlatView *view, const GArray *cuts);
