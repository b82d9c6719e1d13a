/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks, as query-blockstats tells of them, and how long requests waited for limits.
 */
#include <string.h>

#include "berth/throttle.h"
#include "qmp-commands.h"

#include "metrics-private.h"

typedef struct DiskRow {
    const char *op;
    size_t offset;              /* of an int64_t in BlockDeviceStats */
} DiskRow;

#define ROW(op, field) { op, offsetof(BlockDeviceStats, field) }
#define DISK_OPS 4

typedef struct DiskFamily {
    const char *name;
    const char *help;
    bool is_time;               /* in nanoseconds */
    DiskRow rows[DISK_OPS];     /* up to one without an op */
} DiskFamily;

static const DiskFamily families[] = {
    { "berth_disk_requests", "Requests of the guest that were done", false,
      { ROW("read", rd_operations), ROW("write", wr_operations),
        ROW("flush", flush_operations), ROW("discard", unmap_operations) } },
    { "berth_disk_transferred_bytes", "Bytes of requests that were done", false,
      { ROW("read", rd_bytes), ROW("write", wr_bytes), ROW("discard", unmap_bytes) } },
    { "berth_disk_request_seconds", "How long requests took together", true,
      { ROW("read", rd_total_time_ns), ROW("write", wr_total_time_ns),
        ROW("flush", flush_total_time_ns), ROW("discard", unmap_total_time_ns) } },
    { "berth_disk_merged_requests", "Requests that were done together with others", false,
      { ROW("read", rd_merged), ROW("write", wr_merged) } },
    { "berth_disk_failed_requests", "Requests that failed", false,
      { ROW("read", failed_rd_operations), ROW("write", failed_wr_operations),
        ROW("flush", failed_flush_operations),
        ROW("discard", failed_unmap_operations) } },
    { "berth_disk_invalid_requests", "Requests that no disk would have done", false,
      { ROW("read", invalid_rd_operations), ROW("write", invalid_wr_operations),
        ROW("flush", invalid_flush_operations),
        ROW("discard", invalid_unmap_operations) } },
};

#define BACKEND "/virtio-backend"

/*
 * As queues are told: by the whole path, of which query-blockstats has the id alone for
 * what is on a bus of disks, and without what stands below a virtio device.
 */
static char *device_of(const BlockStats *disk)
{
    size_t size = strlen(disk->qdev);

    if (disk->qdev[0] != '/')
        return g_strconcat("/machine/peripheral/", disk->qdev, NULL);
    if (g_str_has_suffix(disk->qdev, BACKEND))
        size -= strlen(BACKEND);
    return g_strndup(disk->qdev, size);
}

static GString *labels_of(const BlockStats *disk, const char *op)
{
    GString *labels = g_string_new(NULL);
    g_autofree char *device = disk->qdev ? device_of(disk) : NULL;

    if (device)
        metrics_text_label(labels, "device", device);
    if (disk->device && *disk->device)
        metrics_text_label(labels, "drive", disk->device);
    if (disk->node_name)
        metrics_text_label(labels, "node", disk->node_name);
    metrics_text_label(labels, "op", op);
    return labels;
}

static void add_counts(MetricsText *text, const DiskFamily *row, const BlockStats *disk)
{
    for (size_t i = 0; i < DISK_OPS && row->rows[i].op; i++) {
        g_autoptr(GString) labels = labels_of(disk, row->rows[i].op);
        int64_t value = *(const int64_t *)((const char *)disk->stats +
                                           row->rows[i].offset);

        if (row->is_time)
            metrics_text_time(text, row->name, row->help, labels->str, (uint64_t)value);
        else
            metrics_text_count(text, row->name, row->help, labels->str,
                               (uint64_t)value);
    }
}

/* A disk for which block-latency-histogram-set was given. */
static void add_latency(MetricsText *text, const BlockStats *disk, const char *op,
                        const BlockLatencyHistogramInfo *info)
{
    g_auto(GStrv) bounds = NULL;
    g_autoptr(GString) labels = NULL;

    if (!info)
        return;
    labels = labels_of(disk, op);
    bounds = g_new0(char *, info->bins->n);
    for (size_t i = 0; i < info->boundaries->n; i++)
        bounds[i] = metrics_text_number((double)info->boundaries->items[i] / NS_PER_SEC);
    metrics_text_add_histogram(metrics_text_family(text, METRICS_HISTOGRAM,
                                         "berth_disk_latency_seconds",
                                         "How many requests took less than so long"),
                          labels->str, bounds, info->bins->items, info->bins->n);
}

static void add_waits(void *opaque, const ThrottleWaits *waits)
{
    MetricsText *text = opaque;
    g_autoptr(GString) labels = g_string_new(NULL);

    metrics_text_label(labels, "group", waits->name);
    metrics_text_count(text, "berth_throttle_waits",
                       "Requests of disks that waited for limits", labels->str,
                       waits->n_requests);
    metrics_text_time(text, "berth_throttle_wait_seconds",
                      "How long they waited together", labels->str, waits->ns);
}

void metrics_disks_add(MetricsText *text, QmpContext *ctx)
{
    const QueryBlockstatsArgs args = { .query_nodes = false };
    g_autoptr(BlockStatsList) list = qmp_query_blockstats(ctx, &args, NULL);

    if (ctx->blocks)
        throttle_group_waits(ctx->blocks, add_waits, text);
    for (size_t i = 0; list && i < list->n; i++) {
        const BlockStats *disk = list->items[i];

        for (size_t j = 0; j < G_N_ELEMENTS(families); j++)
            add_counts(text, &families[j], disk);
        add_latency(text, disk, "read", disk->stats->rd_latency_histogram);
        add_latency(text, disk, "write", disk->stats->wr_latency_histogram);
        add_latency(text, disk, "flush", disk->stats->flush_latency_histogram);
    }
}
