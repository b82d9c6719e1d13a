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

    return dev &&
        balloon_auto_object_limit(ctx->objects, dev, (uint64_t)args->value, error);
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

AutoballoonInfoList *qmp_x_query_autoballoon(QmpContext *ctx, GError **error)
{
    AutoballoonInfoList *list = AutoballoonInfoList_new();

    LIST_FOREACH(node, object_set_list(ctx->objects)) {
        AutoballoonInfo *info =
            balloon_auto_object_info(CONTAINER_OF(node, Object, node));

        if (info)
            AutoballoonInfoList_append(list, info);
    }
    return list;
}
