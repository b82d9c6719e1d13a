/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QMP handler of the memory ledger.
 */
#include "qmp-commands.h"

#include "berth/memory-ledger.h"

void qmp_x_query_memory_ledger(QmpContext *ctx, QmpReply *reply)
{
    memory_ledger_query(ctx, reply);
}
