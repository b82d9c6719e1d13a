/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handlers for processor models.  They answer on a machine without vCPUs, too, and
 * then ask KVM itself.
 */
#include "berth/cpu-query.h"
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

/* NULL when there is no usable KVM: an answer all the same, for nothing can run. */
static CpuHost *probe(QmpContext *ctx)
{
    return cpu_host_probe(ctx->machine ? ctx->machine->vm : NULL, NULL);
}

static StrList *list_of(const GPtrArray *names)
{
    StrList *list = StrList_new();

    for (guint i = 0; i < names->len; i++)
        StrList_append(list, g_strdup(g_ptr_array_index(names, i)));
    return list;
}

CpuDefinitionInfoList *qmp_query_cpu_definitions(QmpContext *ctx, GError **error)
{
    g_autoptr(CpuHost) host = probe(ctx);
    g_autoptr(GPtrArray) definitions = cpu_query_definitions(host);
    CpuDefinitionInfoList *list = CpuDefinitionInfoList_new();

    for (guint i = 0; i < definitions->len; i++) {
        const CpuDefinition *definition = g_ptr_array_index(definitions, i);
        CpuDefinitionInfo *info = g_new0(CpuDefinitionInfo, 1);

        info->name = g_strdup(definition->name);
        info->typename = g_strdup(definition->type);
        info->has_migration_safe = true;
        info->migration_safe = definition->is_migration_safe;
        info->q_static = definition->is_static;
        info->unavailable_features = list_of(definition->unavailable);
        if (*definition->alias_of)
            info->alias_of = g_strdup(definition->alias_of);
        CpuDefinitionInfoList_append(list, info);
    }
    return list;
}

static bool read_model(const CpuModelInfo *info, CpuQuery *ret_query, GError **error)
{
    if (info->props && json_kind(info->props) != JSON_OBJECT) {
        error_set(error, "Invalid parameter type for 'props', expected: object");
        return false;
    }
    *ret_query = (CpuQuery){ .model = info->name, .props = info->props };
    return true;
}

static CpuModelInfo *take_answer(CpuAnswer *answer)
{
    CpuModelInfo *info = g_new0(CpuModelInfo, 1);

    info->name = g_steal_pointer(&answer->model);
    info->props = g_steal_pointer(&answer->props);
    return info;
}

CpuModelExpansionInfo *
qmp_query_cpu_model_expansion(QmpContext *ctx, const QueryCpuModelExpansionArgs *args,
                              GError **error)
{
    g_autoptr(CpuHost) host = probe(ctx);
    g_auto(CpuAnswer) answer = { 0 };
    CpuModelExpansionInfo *info;
    CpuQuery query;

    if (!read_model(args->model, &query, error) ||
        !cpu_query_expand(host, &query, args->type == CPU_MODEL_EXPANSION_TYPE_STATIC,
                          &answer, error))
        return NULL;
    info = g_new0(CpuModelExpansionInfo, 1);
    info->model = take_answer(&answer);
    return info;
}

CpuModelCompareInfo *
qmp_query_cpu_model_comparison(QmpContext *ctx, const QueryCpuModelComparisonArgs *args,
                               GError **error)
{
    static const CpuModelCompareResult results[] = {
        [CPU_COMPARISON_INCOMPATIBLE] = CPU_MODEL_COMPARE_RESULT_INCOMPATIBLE,
        [CPU_COMPARISON_IDENTICAL] = CPU_MODEL_COMPARE_RESULT_IDENTICAL,
        [CPU_COMPARISON_SUPERSET] = CPU_MODEL_COMPARE_RESULT_SUPERSET,
        [CPU_COMPARISON_SUBSET] = CPU_MODEL_COMPARE_RESULT_SUBSET,
    };
    g_autoptr(CpuHost) host = probe(ctx);
    g_autoptr(GPtrArray) names = NULL;
    CpuModelCompareInfo *info;
    CpuComparison result;
    CpuQuery a, b;

    if (!read_model(args->modela, &a, error) || !read_model(args->modelb, &b, error) ||
        !cpu_query_compare(host, &a, &b, &result, &names, error))
        return NULL;
    info = g_new0(CpuModelCompareInfo, 1);
    info->result = results[result];
    info->responsible_properties = list_of(names);
    return info;
}

CpuModelBaselineInfo *
qmp_query_cpu_model_baseline(QmpContext *ctx, const QueryCpuModelBaselineArgs *args,
                             GError **error)
{
    g_autoptr(CpuHost) host = probe(ctx);
    g_auto(CpuAnswer) answer = { 0 };
    CpuModelBaselineInfo *info;
    CpuQuery a, b;

    if (!read_model(args->modela, &a, error) || !read_model(args->modelb, &b, error) ||
        !cpu_query_baseline(host, &a, &b, &answer, error))
        return NULL;
    info = g_new0(CpuModelBaselineInfo, 1);
    info->model = take_answer(&answer);
    return info;
}
