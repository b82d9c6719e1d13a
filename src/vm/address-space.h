/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What region.c tells an address space.  Within a batch (region_batch_begin).
 */
#pragma once

#include "flat-view.h"

typedef enum AddressSpaceChange {
    ADDRESS_SPACE_CHANGED_VIEW = 1,
    ADDRESS_SPACE_CHANGED_DOORBELLS = 2,
} AddressSpaceChange;

/* Takes the lock unless the caller's batch has it. */
void address_space_begin(AddressSpace *as);
/* The view as it is published now; between begin and end. */
const FlatView *address_space_view(AddressSpace *as);
/* Notes what the end of the outermost batch has to do. */
void address_space_changed(AddressSpace *as, AddressSpaceChange change);
/* The outermost end publishes what changed and drops the lock. */
void address_space_end(AddressSpace *as);
