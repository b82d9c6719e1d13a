/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handlers of the object tree's views.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

#include "qom-types.h"
#include "qom-view.h"

ObjectPropertyInfoList *qmp_qom_list(QmpContext *ctx, const QomListArgs *args,
                                     GError **error)
{
    return qom_view_list(ctx->machine, args->path, error);
}

JsonValue *qmp_qom_get(QmpContext *ctx, const QomGetArgs *args, GError **error)
{
    return qom_view_get(ctx->machine, args->path, args->property, error);
}

ObjectPropertiesValuesList *qmp_qom_list_get(QmpContext *ctx, const QomListGetArgs *args,
                                             GError **error)
{
    g_autoptr(ObjectPropertiesValuesList) list = ObjectPropertiesValuesList_new();

    for (size_t i = 0; i < args->paths->n; i++) {
        ObjectPropertiesValues *values = g_new0(ObjectPropertiesValues, 1);

        ObjectPropertiesValuesList_append(list, values);
        values->properties =
            qom_view_list_get(ctx->machine, args->paths->items[i], error);
        if (!values->properties)
            return NULL;
    }
    return g_steal_pointer(&list);
}

bool qmp_qom_set(QmpContext *ctx, const QomSetArgs *args, GError **error)
{
    return qom_view_set(ctx->machine, args->path, args->property, args->value, error);
}

ObjectTypeInfoList *qmp_qom_list_types(QmpContext *ctx, const QomListTypesArgs *args,
                                       GError **error)
{
    return qom_types_list(args->implements, args->has_abstract && args->abstract);
}

ObjectPropertyInfoList *qmp_qom_list_properties(QmpContext *ctx,
                                                const QomListPropertiesArgs *args,
                                                GError **error)
{
    return qom_types_properties(args->typename, error);
}
