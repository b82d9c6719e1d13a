/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's doorbells (KVM: ioeventfds), kept in step with a flat view.  Under
 * the address space's lock.
 */
#pragma once

#include "flat-view.h"
#include "vm-ops.h"

typedef struct DoorbellSet {
    GArray *doorbells;          /* of VmDoorbell, sorted: what the hypervisor has */
} DoorbellSet;

void doorbell_init(DoorbellSet *set);
/* Takes every doorbell back. */
void doorbell_done(DoorbellSet *set, Vm *vm);

/*
 * Makes the doorbells those that are visible in @view; what is equal stays untouched.
 * Returns 0, or the first error (negative errno): writes at a refused one reach the
 * region's ops.
 */
int doorbell_update(DoorbellSet *set, Vm *vm, const FlatView *view, bool is_io);
