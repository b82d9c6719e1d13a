/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info stats: values beside what the schema of statistics says of them.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/machine.h"

#include "qmp-commands.h"

#include "hmp-call.h"

/* -9: "n", 30 of base 2: "Gi"; NULL when there is no such prefix. */
static const char *unit_prefix(const StatsSchemaValue *schema)
{
    static const char decimal[][2] = { "a", "f", "p", "n", "u", "m", "",
                                       "k", "M", "G", "T", "P", "E" };
    static const char binary[][3] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    int exponent = schema->exponent;

    if (!exponent)
        return "";
    if (schema->base == 10 && exponent % 3 == 0 && exponent >= -18 && exponent <= 18)
        return decimal[exponent / 3 + 6];
    if (schema->base == 2 && exponent % 10 == 0 && exponent >= 0 && exponent <= 60)
        return binary[exponent / 10];
    return NULL;
}

static const char *short_unit(StatsUnit unit)
{
    switch (unit) {
    case STATS_UNIT_SECONDS:
        return "s";
    case STATS_UNIT_BYTES:
        return "B";
    case STATS_UNIT_CYCLES:
    case STATS_UNIT_BOOLEAN:
        break;
    }
    return NULL;
}

/* "halt_wait_ns (cumulative, ns)". */
static void show_name(HmpCall *call, const StatsSchemaValue *schema)
{
    const char *unit = schema->has_unit ? short_unit(schema->unit) : NULL;
    const char *prefix = unit ? unit_prefix(schema) : NULL;

    hmp_printf(call, "    %s (%s", schema->name, StatsType_str(schema->type));
    if (schema->has_unit || schema->exponent)
        hmp_printf(call, ", ");
    if (prefix)
        hmp_printf(call, "%s%s", prefix, unit);
    else if (schema->exponent)
        hmp_printf(call, "* %d^%d%s", schema->base, schema->exponent,
                   schema->has_unit ? " " : "");
    if (!prefix && schema->has_unit)
        hmp_printf(call, "%s", StatsUnit_str(schema->unit));
    if (schema->type == STATS_TYPE_LINEAR_HISTOGRAM && schema->has_bucket_size)
        hmp_printf(call, ", bucket size=%u", schema->bucket_size);
    hmp_printf(call, "): ");
}

static void show_value(HmpCall *call, const StatsValue *value)
{
    switch (value->type) {
    case QAPI_KIND_INT:
        hmp_printf(call, "%" PRIu64 "\n", value->u.scalar);
        return;
    case QAPI_KIND_BOOL:
        hmp_printf(call, "%s\n", value->u.boolean ? "yes" : "no");
        return;
    default:
        break;
    }
    for (size_t i = 0; i < value->u.list->n; i++)
        hmp_printf(call, "%s[%zu]=%" PRIu64, i ? " " : "", i, value->u.list->items[i]);
    hmp_printf(call, "\n");
}

static const StatsSchemaValue *find_schema(const StatsSchemaList *schemas,
                                           StatsProvider provider, StatsTarget target,
                                           const char *name)
{
    for (size_t i = 0; i < schemas->n; i++) {
        const StatsSchema *schema = schemas->items[i];

        if (schema->provider != provider || schema->target != target)
            continue;
        for (size_t j = 0; j < schema->stats->n; j++) {
            if (strcmp(schema->stats->items[j]->name, name) == 0)
                return schema->stats->items[j];
        }
    }
    return NULL;
}

static void show_result(HmpCall *call, const StatsResult *result,
                        const StatsSchemaList *schemas, StatsTarget target)
{
    hmp_printf(call, "provider: %s", StatsProvider_str(result->provider));
    if (result->qom_path && target != STATS_TARGET_VCPU)
        hmp_printf(call, ", %s", result->qom_path);
    if (result->has_queue)
        hmp_printf(call, ", queue %u", result->queue);
    hmp_printf(call, "\n");
    for (size_t i = 0; i < result->stats->n; i++) {
        const Stats *stats = result->stats->items[i];
        const StatsSchemaValue *schema =
            find_schema(schemas, result->provider, target, stats->name);

        if (!schema)
            continue;
        show_name(call, schema);
        show_value(call, stats->value);
    }
}

/* What is wanted of one provider. */
static StatsRequest *make_request(StatsProvider provider, const char *names)
{
    StatsRequest *request = g_new0(StatsRequest, 1);

    request->provider = provider;
    if (names && strcmp(names, "*") != 0) {
        g_auto(GStrv) parts = g_strsplit(names, ",", -1);

        request->names = StrList_new();
        for (char **part = parts; *part; part++)
            StrList_append(request->names, g_strdup(*part));
    }
    return request;
}

/* @provider: -1 for all. */
static StatsFilter *make_filter(HmpCall *call, StatsTarget target, int provider)
{
    StatsFilter *filter = g_new0(StatsFilter, 1);
    const char *names = hmp_text(call, "names");

    filter->target = target;
    filter->providers = StatsRequestList_new();
    for (int i = 0; i < STATS_PROVIDER__MAX; i++) {
        if (provider < 0 || provider == i)
            StatsRequestList_append(filter->providers,
                                    make_request((StatsProvider)i, names));
    }
    if (target == STATS_TARGET_VCPU && hmp_vcpu(call, NULL)) {
        filter->u.vcpu.vcpus = StrList_new();
        StrList_append(filter->u.vcpu.vcpus,
                       machine_vcpu_path(call->ctx->machine, call->state->cpu));
    }
    return filter;
}

static void show(HmpCall *call, StatsTarget target, int provider)
{
    const QueryStatsSchemasArgs all = { .has_provider = false };
    g_autoptr(StatsFilter) filter = make_filter(call, target, provider);
    g_autoptr(StatsSchemaList) schemas = NULL;
    g_autoptr(StatsResultList) results = NULL;
    GError *error = NULL;

    results = qmp_query_stats(call->ctx, filter, &error);
    if (results)
        schemas = qmp_query_stats_schemas(call->ctx, &all, &error);
    if (!schemas) {
        hmp_fail(call, error);
        return;
    }
    for (size_t i = 0; i < results->n; i++)
        show_result(call, results->items[i], schemas, target);
}

void hmp_info_stats(HmpCall *call)
{
    const char *provider_name = hmp_text(call, "provider");
    int target = StatsTarget_parse(hmp_text(call, "target"));
    int provider = provider_name ? StatsProvider_parse(provider_name) : -1;

    if (target < 0)
        hmp_printf(call, "invalid stats target %s\n", hmp_text(call, "target"));
    else if (provider_name && provider < 0)
        hmp_printf(call, "invalid stats provider %s\n", provider_name);
    else
        show(call, (StatsTarget)target, provider);
}
