/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that end connections which are stuck.
 */
#include "berth/char-set.h"
#include "berth/error.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

YankInstanceList *qmp_query_yank(QmpContext *ctx, GError **error)
{
    g_autoptr(ChardevInfoList) chars = char_set_query(ctx->chars);
    YankInstanceList *list = YankInstanceList_new();

    for (size_t i = 0; i < chars->n; i++) {
        const char *id = chars->items[i]->label;
        YankInstance *instance;

        if (!char_can_yank(char_find(ctx->chars, id)))
            continue;
        instance = g_new0(YankInstance, 1);
        instance->type = YANK_INSTANCE_TYPE_CHARDEV;
        instance->u.chardev.id = g_strdup(id);
        YankInstanceList_append(list, instance);
    }
    return list;
}

static bool check_instance(QmpContext *ctx, const YankInstance *instance, GError **error)
{
    switch (instance->type) {
    case YANK_INSTANCE_TYPE_CHARDEV:
        if (char_can_yank(char_find(ctx->chars, instance->u.chardev.id)))
            return true;
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND,
                        "there is no connection of a character device '%s'",
                        instance->u.chardev.id);
        return false;
    }
    return false;
}

static void yank(QmpContext *ctx, const YankInstance *instance)
{
    switch (instance->type) {
    case YANK_INSTANCE_TYPE_CHARDEV:
        char_yank(char_find(ctx->chars, instance->u.chardev.id));
        break;
    }
}

bool qmp_yank(QmpContext *ctx, const YankArgs *args, GError **error)
{
    for (size_t i = 0; i < args->instances->n; i++) {
        if (!check_instance(ctx, args->instances->items[i], error))
            return false;
    }
    for (size_t i = 0; i < args->instances->n; i++)
        yank(ctx, args->instances->items[i]);
    return true;
}
