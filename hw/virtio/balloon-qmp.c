/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handlers of the balloon.
 */
#include "berth/balloon.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

bool qmp_balloon(QmpContext *ctx, const BalloonArgs *args, GError **error)
{
    Device *dev = balloon_find(ctx->tree, error);

    if (dev)
        balloon_set_target(dev, (uint64_t)args->value);
    return dev != NULL;
}

BalloonInfo *qmp_query_balloon(QmpContext *ctx, GError **error)
{
    Device *dev = balloon_find(ctx->tree, error);
    BalloonCounts counts;
    BalloonInfo *info;

    if (!dev)
        return NULL;
    info = g_new0(BalloonInfo, 1);
    balloon_counts(dev, &counts);
    info->actual = (int64_t)balloon_actual(dev);
    info->x_discarded = counts.discarded;
    info->x_failed = counts.failed;
    info->x_partial = counts.partial;
    return info;
}
