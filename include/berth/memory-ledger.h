/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of the process has what memory.  Main only.
 */
#pragma once

#include "berth/machine.h"
#include "berth/qmp.h"

/* Ends @reply later, with what the kernel has counted meanwhile. */
void memory_ledger_query(const QmpContext *ctx, QmpReply *reply);

/* Ends the queries that are under way, with an error; before the machine's parts go. */
void memory_ledger_done(Machine *machine);

/* For memory-ledger.c. */

/* What the parts of the machine have allocated; the rest of the heap is other's. */
MemoryLedgerHeapList *memory_ledger_heap(const QmpContext *ctx);
