/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the guest that the host has taken away: clients are told, the machine stops.
 */
#pragma once

#include "berth/region.h"
#include "berth/runstate.h"

typedef struct MemoryFailure MemoryFailure;

/* Main only. */

/* Watches all memory of @memory; both lent.  From now on the process survives SIGBUS. */
MemoryFailure *memory_failure_new(RunControl *run, AddressSpace *memory, GError **error);
/* The vCPUs are gone.  Accepts NULL. */
void memory_failure_free(MemoryFailure *failure);

/* Any thread: a vCPU has stopped because there was no page for it. */
void memory_failure_of_vcpu(MemoryFailure *failure);
