/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handler of the generation ID.
 */
#include "berth/error.h"
#include "berth/qmp.h"
#include "berth/vmgenid.h"

#include "qmp-commands.h"

GuidInfo *qmp_query_vm_generation_id(QmpContext *ctx, GError **error)
{
    Device *dev = vmgenid_find(ctx->tree);
    char text[UUID_TEXT_SIZE];
    GuidInfo *info;
    Uuid guid;

    if (!dev) {
        error_set(error, "VM Generation ID device not found");
        return NULL;
    }
    guid = vmgenid_guid(dev);
    uuid_format(&guid, text);
    info = g_new0(GuidInfo, 1);
    info->guid = g_strdup(text);
    return info;
}
