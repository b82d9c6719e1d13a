/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One scrape: what the parts of the machine count anyway, read by the handlers that QMP
 * clients ask, so that both tell the same.
 */
#include <string.h>

#include "berth/host-memory.h"
#include "berth/machine.h"
#include "berth/qapi-tables.h"

#include "qmp-commands.h"

#include "metrics-private.h"

/* What query-stats has of a target of berth's own. */
typedef struct TargetRow {
    StatsTarget target;
    const char *prefix;
    const char *label;          /* that tells of the object */
    const char *what;
} TargetRow;

static const TargetRow targets[] = {
    { STATS_TARGET_VIRTQUEUE, "berth_queue_", "device", "each queue of a virtio device" },
    { STATS_TARGET_NIC, "berth_nic_", "device", "each pair of queues of a NIC" },
    { STATS_TARGET_FILTER, "berth_filter_", "object", "each filter-dump" },
    { STATS_TARGET_MONITOR, "berth_monitor_", "chardev", "each monitor" },
};

/* "bytes_in" is "..._in_bytes": the unit stands last. */
static char *name_of(const TargetRow *row, const char *stat)
{
    static const char bytes[] = "bytes_";

    if (!g_str_has_prefix(stat, bytes))
        return g_strconcat(row->prefix, stat, NULL);
    return g_strconcat(row->prefix, stat + strlen(bytes), "_bytes", NULL);
}

static MetricsFamily *family_of(MetricsText *text, const TargetRow *row, const char *stat)
{
    g_autofree char *name = name_of(row, stat);
    g_autofree char *help = g_strdup_printf("'%s' of %s (query-stats)", stat, row->what);

    return metrics_text_family(text, METRICS_COUNTER, name, help);
}

/* All results of a target have the same statistics, those of @families. */
static void add_result(const TargetRow *row, const GPtrArray *families,
                       const StatsResult *result)
{
    g_autoptr(GString) labels = g_string_new(NULL);

    metrics_text_label(labels, row->label, result->qom_path);
    if (result->has_queue) {
        g_autofree char *queue = g_strdup_printf("%u", result->queue);

        metrics_text_label(labels, "queue", queue);
    }
    for (size_t i = 0; i < result->stats->n; i++)
        metrics_text_add(g_ptr_array_index(families, i), labels->str,
                         result->stats->items[i]->value->u.scalar);
}

static void add_target(MetricsText *text, QmpContext *ctx, const TargetRow *row)
{
    const StatsFilter filter = { .target = row->target };
    g_autoptr(StatsResultList) results = qmp_query_stats(ctx, &filter, NULL);
    g_autoptr(GPtrArray) families = g_ptr_array_new();

    for (size_t i = 0; results && results->n > 0 && i < results->items[0]->stats->n; i++)
        g_ptr_array_add(families, family_of(text, row,
                                            results->items[0]->stats->items[i]->name));
    for (size_t i = 0; results && i < results->n; i++)
        add_result(row, families, results->items[i]);
}

static void add_events(MetricsText *text, const QmpContext *ctx)
{
    for (unsigned i = 0; i < qmp_n_events; i++) {
        g_autoptr(GString) labels = g_string_new(NULL);

        metrics_text_label(labels, "event", qapi_text(qmp_events[i].name));
        metrics_text_count(text, "berth_events", "Events of QMP by name", labels->str,
                           qmp_events_count(ctx->events, i));
    }
}

static void add_status(MetricsText *text, QmpContext *ctx)
{
    g_autoptr(StatusInfo) status = qmp_query_status(ctx, NULL);
    const QapiType *states = &qapi_types[QAPI_TYPE_RUN_STATE];
    MetricsFamily *family;

    if (!status)
        return;
    family = metrics_text_family(text, METRICS_STATESET, "berth_run_state",
                            "Which state the machine is in (query-status)");
    for (unsigned i = 0; i < states->n_members; i++) {
        g_autoptr(GString) labels = g_string_new(NULL);

        metrics_text_label(labels, "berth_run_state", RunState_str(i));
        metrics_text_add(family, labels->str, status->status == i);
    }
}

static void add_machine(MetricsText *text, QmpContext *ctx)
{
    const Machine *machine = ctx->machine;
    g_autoptr(GString) labels = g_string_new(NULL);
    g_autoptr(UuidInfo) uuid = qmp_query_uuid(ctx, NULL);
    MetricsFamily *info;

    metrics_text_label(labels, "version", BERTH_VERSION);
    metrics_text_label(labels, "name", machine->name ? machine->name : "");
    metrics_text_label(labels, "uuid", uuid ? uuid->UUID : "");
    metrics_text_label(labels, "machine", machine->type->name);
    info = metrics_text_family(text, METRICS_INFO, "berth_machine", "The machine");
    metrics_text_add(info, labels->str, 1);
    metrics_text_gauge(text, "berth_vcpus", "vCPUs that are there", "",
                       machine_n_vcpus(machine));
    if (machine->vm)
        metrics_text_gauge(text, "berth_memory_bytes",
                           "Memory that the guest has, all of the balloon's too", "",
                           board_ram(&machine->board));
}

static void add_process(MetricsText *text)
{
    uint64_t resident = host_memory_read_line("/proc/self/status", "VmRSS:");

    if (resident > 0)
        metrics_text_gauge(text, "berth_process_resident_bytes",
                           "What of the process is in the host's memory", "", resident);
}

MetricsText *metrics_scrape_read(QmpContext *ctx)
{
    MetricsText *text = metrics_text_new();

    add_machine(text, ctx);
    add_status(text, ctx);
    add_process(text);
    balloon_metrics_add(text, ctx);
    metrics_vcpus_add(text, ctx);
    metrics_disks_add(text, ctx);
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++)
        add_target(text, ctx, &targets[i]);
    add_events(text, ctx);
    return text;
}
