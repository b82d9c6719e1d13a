/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about character devices.
 */
#include "berth/char.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

ChardevInfoList *qmp_query_chardev(QmpContext *ctx, GError **error)
{
    return char_set_query(ctx->chars);
}
