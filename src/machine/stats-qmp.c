/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query-stats and query-stats-schemas: a table of sources, each of which is one provider
 * for one target.
 *
 * A client that names no provider is one that knows one: it takes the single entry of
 * target vm for all there is.  So it gets the kernel's statistics of the machine and of
 * vCPUs, and berth's own of what the kernel does not know.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/monitor.h"
#include "berth/net-dump.h"
#include "berth/object.h"
#include "berth/qmp.h"
#include "berth/virtio.h"
#include "berth/vm-stats.h"

#include "qmp-commands.h"

typedef struct StatsSource StatsSource;

/* A query, for one source. */
typedef struct StatsQuery {
    const QmpContext *ctx;
    const StatsSource *source;
    GHashTable *names;          /* the statistics that are wanted; NULL for all */
    GHashTable *vcpus;          /* the paths; NULL for all */
    StatsResultList *results;
    GError **error;
} StatsQuery;

struct StatsSource {
    StatsProvider provider;
    StatsTarget target;
    bool by_default;            /* when no provider is named */
    const CounterDesc *counters; /* what describe() lists, NULL: another thing */
    /* Adds the results.  False when @error was set. */
    bool (*collect)(StatsQuery *query);
    bool (*describe)(const QmpContext *ctx, const StatsSource *source,
                     StatsSchemaValueList *list, GError **error);
};

static unsigned n_vcpus(const Machine *machine)
{
    return machine && machine->vcpus ? machine->topology.max_cpus : 0;
}

static bool wants_name(const StatsQuery *query, const char *name)
{
    return !query->names || g_hash_table_contains(query->names, name);
}

/* Takes @list; nothing is added when there is nothing in it. */
static void add_result(StatsQuery *query, const char *path, int queue, StatsList *list)
{
    StatsResult *result;

    if (list->n == 0) {
        qapi_free_StatsList(list);
        return;
    }
    result = g_new0(StatsResult, 1);
    result->provider = query->source->provider;
    result->qom_path = g_strdup(path);
    result->has_queue = queue >= 0;
    result->queue = MAX(queue, 0);
    result->stats = list;
    StatsResultList_append(query->results, result);
}

static void add_value(StatsList *list, const char *name, StatsValue *value)
{
    Stats *stats = g_new0(Stats, 1);

    stats->name = g_strdup(name);
    stats->value = value;
    StatsList_append(list, stats);
}

static StatsValue *scalar(uint64_t number)
{
    StatsValue *value = g_new0(StatsValue, 1);

    value->type = QAPI_KIND_INT;
    value->u.scalar = number;
    return value;
}

/* berth's own: what a const table names. */
static void add_counters(StatsQuery *query, const char *path, int queue,
                         const void *counters)
{
    StatsList *list = StatsList_new();

    for (const CounterDesc *desc = query->source->counters; desc->name; desc++) {
        if (wants_name(query, desc->name))
            add_value(list, desc->name, scalar(counter_read(counters, desc)));
    }
    add_result(query, path, queue, list);
}

static bool collect_vcpu_counters(StatsQuery *query)
{
    const Machine *machine = query->ctx->machine;
    Vcpu *vcpu;

    for (unsigned i = 0; machine && (vcpu = machine_next_vcpu(machine, &i)); i++) {
        g_autofree char *path = machine_vcpu_path(machine, i);

        if (!query->vcpus || g_hash_table_contains(query->vcpus, path))
            add_counters(query, path, -1, vcpu_stats_counted(vcpu));
    }
    return true;
}

static bool collect_queues(StatsQuery *query)
{
    LIST_FOREACH(node, &query->ctx->tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        const VirtioDevice *vdev;

        if (dev->class != &virtio_pci_class)
            continue;
        vdev = virtio_pci_device(dev);
        for (uint32_t i = 0; i < vdev->n_queues; i++) {
            /* What the kernel serves is not counted here. */
            if (!vdev->class->is_external || !vdev->class->is_external(vdev, i))
                add_counters(query, dev->path, (int)i, &vdev->queues[i].counters);
        }
    }
    return true;
}

static bool collect_nics(StatsQuery *query)
{
    const NetSet *nets = query->ctx->nets;

    for (const NetNic *nic = nets ? net_set_next_nic(nets, NULL) : NULL; nic;
         nic = net_set_next_nic(nets, nic)) {
        /* What the kernel moves is not counted here. */
        if (nic->backend && net_backend_is_in_kernel(nic->backend))
            continue;
        for (unsigned i = 0; i < nic->n_pairs; i++)
            add_counters(query, nic->path, (int)i, nic->counted(nic, i));
    }
    return true;
}

static bool collect_filters(StatsQuery *query)
{
    ObjectSet *objects = query->ctx->objects;

    if (!objects)
        return true;
    LIST_FOREACH(node, object_set_list(objects)) {
        const Object *object = CONTAINER_OF(node, Object, node);
        const NetDumpCounters *counters = object_filter_dump_counted(object);
        g_autofree char *path = g_strconcat("/objects/", object->id, NULL);

        if (counters)
            add_counters(query, path, -1, counters);
    }
    return true;
}

static bool collect_monitors(StatsQuery *query)
{
    const GPtrArray *monitors = query->ctx->monitors;

    for (guint i = 0; monitors && i < monitors->len; i++) {
        const Monitor *monitor = g_ptr_array_index(monitors, i);
        g_autofree char *path = g_strconcat("/chardevs/", monitor_chardev(monitor), NULL);

        add_counters(query, path, -1, monitor_counted(monitor));
    }
    return true;
}

static bool describe_counters(const QmpContext *ctx, const StatsSource *source,
                              StatsSchemaValueList *list, GError **error)
{
    for (const CounterDesc *desc = source->counters; desc->name; desc++) {
        StatsSchemaValue *value = g_new0(StatsSchemaValue, 1);

        value->name = g_strdup(desc->name);
        value->type = STATS_TYPE_CUMULATIVE;
        StatsSchemaValueList_append(list, value);
    }
    return true;
}

static StatsValue *kernel_value(const VmStat *stat, const uint64_t *values)
{
    StatsValue *value;

    if (stat->has_unit && stat->unit == STATS_UNIT_BOOLEAN && stat->n_values == 1) {
        value = g_new0(StatsValue, 1);
        value->type = QAPI_KIND_BOOL;
        value->u.boolean = values[0] != 0;
        return value;
    }
    if (stat->n_values == 1)
        return scalar(values[0]);
    value = g_new0(StatsValue, 1);
    value->type = QAPI_KIND_LIST;
    value->u.list = Uint64List_new();
    for (uint32_t i = 0; i < stat->n_values; i++)
        Uint64List_append(value->u.list, values[i]);
    return value;
}

static bool add_kernel_stats(StatsQuery *query, const char *path, VmStats *stats, int fd)
{
    const uint64_t *values = vm_stats_read(stats, fd, query->error);
    StatsList *list;

    if (!values)
        return false;
    list = StatsList_new();
    for (unsigned i = 0; i < vm_stats_count(stats); i++) {
        const VmStat *stat = vm_stats_get(stats, i);

        if (wants_name(query, stat->name))
            add_value(list, stat->name, kernel_value(stat, values + stat->first_value));
    }
    add_result(query, path, -1, list);
    return true;
}

static bool collect_kernel_vm(StatsQuery *query)
{
    const Machine *machine = query->ctx->machine;
    g_autofd int fd = machine && machine->vm ? vm_stats_open(machine->vm) : -1;
    g_autoptr(VmStats) stats = NULL;

    if (fd < 0)
        return true;
    stats = vm_stats_new(fd, query->error);
    return stats && add_kernel_stats(query, NULL, stats, fd);
}

/* What the vCPUs' statistics are, in *@ret_stats; NULL there when the host has none. */
static bool read_vcpu_stats(const Machine *machine, VmStats **ret_stats, GError **error)
{
    unsigned n = n_vcpus(machine);

    *ret_stats = NULL;
    if (n == 0)
        return true;
    vcpu_stats_open(machine->vcpus, n);
    if (vcpu_stats_fd(machine->vcpus[0]) < 0)
        return true;
    *ret_stats = vm_stats_new(vcpu_stats_fd(machine->vcpus[0]), error);
    return *ret_stats != NULL;
}

static bool collect_kernel_vcpus(StatsQuery *query)
{
    const Machine *machine = query->ctx->machine;
    g_autoptr(VmStats) stats = NULL;
    Vcpu *vcpu;

    if (!read_vcpu_stats(machine, &stats, query->error))
        return false;
    for (unsigned i = 0; stats && (vcpu = machine_next_vcpu(machine, &i)); i++) {
        g_autofree char *path = machine_vcpu_path(machine, i);
        int fd = vcpu_stats_fd(vcpu);

        if (fd < 0 || (query->vcpus && !g_hash_table_contains(query->vcpus, path)))
            continue;
        if (!add_kernel_stats(query, path, stats, fd))
            return false;
    }
    return true;
}

static void describe_kernel_stats(const VmStats *stats, StatsSchemaValueList *list)
{
    for (unsigned i = 0; i < vm_stats_count(stats); i++) {
        const VmStat *stat = vm_stats_get(stats, i);
        StatsSchemaValue *value = g_new0(StatsSchemaValue, 1);

        value->name = g_strdup(stat->name);
        value->type = stat->type;
        value->has_unit = stat->has_unit;
        value->unit = stat->unit;
        value->has_base = stat->base != 0;
        value->base = stat->base;
        value->exponent = stat->exponent;
        value->has_bucket_size = stat->bucket_size != 0;
        value->bucket_size = stat->bucket_size;
        StatsSchemaValueList_append(list, value);
    }
}

static bool describe_kernel_vm(const QmpContext *ctx, const StatsSource *source,
                               StatsSchemaValueList *list, GError **error)
{
    const Machine *machine = ctx->machine;
    g_autofd int fd = machine && machine->vm ? vm_stats_open(machine->vm) : -1;
    g_autoptr(VmStats) stats = NULL;

    if (fd < 0)
        return true;
    stats = vm_stats_new(fd, error);
    if (stats)
        describe_kernel_stats(stats, list);
    return stats != NULL;
}

static bool describe_kernel_vcpus(const QmpContext *ctx, const StatsSource *source,
                                  StatsSchemaValueList *list, GError **error)
{
    g_autoptr(VmStats) stats = NULL;

    if (!read_vcpu_stats(ctx->machine, &stats, error))
        return false;
    if (stats)
        describe_kernel_stats(stats, list);
    return true;
}

static const StatsSource sources[] = {
    { STATS_PROVIDER_KVM, STATS_TARGET_VM, true, NULL, collect_kernel_vm,
      describe_kernel_vm },
    { STATS_PROVIDER_KVM, STATS_TARGET_VCPU, true, NULL, collect_kernel_vcpus,
      describe_kernel_vcpus },
    { STATS_PROVIDER_BERTH, STATS_TARGET_VCPU, false, vcpu_stats_counters,
      collect_vcpu_counters, describe_counters },
    { STATS_PROVIDER_BERTH, STATS_TARGET_VIRTQUEUE, true, virtqueue_counters,
      collect_queues, describe_counters },
    { STATS_PROVIDER_BERTH, STATS_TARGET_NIC, true, net_counters, collect_nics,
      describe_counters },
    { STATS_PROVIDER_BERTH, STATS_TARGET_FILTER, true, net_dump_counters,
      collect_filters, describe_counters },
    { STATS_PROVIDER_BERTH, STATS_TARGET_MONITOR, true, monitor_counters,
      collect_monitors, describe_counters },
};

/* The texts of @list as a set that lends them; NULL of none. */
static GHashTable *set_of(const StrList *list)
{
    GHashTable *set;

    if (!list)
        return NULL;
    set = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < list->n; i++)
        g_hash_table_add(set, list->items[i]);
    return set;
}

static bool collect(const QmpContext *ctx, const StatsSource *source,
                    const StatsFilter *filter, const StrList *names,
                    StatsResultList *results, GError **error)
{
    bool of_vcpus = filter->target == STATS_TARGET_VCPU;
    g_autoptr(GHashTable) wanted = set_of(names);
    g_autoptr(GHashTable) vcpus = of_vcpus ? set_of(filter->u.vcpu.vcpus) : NULL;
    StatsQuery query = {
        .ctx = ctx,
        .source = source,
        .names = wanted,
        .vcpus = vcpus,
        .results = results,
        .error = error,
    };

    return source->collect(&query);
}

static bool collect_requested(const QmpContext *ctx, const StatsSource *source,
                              const StatsFilter *filter, StatsResultList *results,
                              GError **error)
{
    const StatsRequestList *providers = filter->providers;

    if (!providers)
        return !source->by_default ||
               collect(ctx, source, filter, NULL, results, error);
    for (size_t i = 0; i < providers->n; i++) {
        const StatsRequest *request = providers->items[i];

        /* The first request of a provider counts, so that no list multiplies the work. */
        if (request->provider == source->provider)
            return collect(ctx, source, filter, request->names, results, error);
    }
    return true;
}

StatsResultList *qmp_query_stats(QmpContext *ctx, const StatsFilter *args, GError **error)
{
    g_autoptr(StatsResultList) results = StatsResultList_new();

    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        if (sources[i].target == args->target &&
            !collect_requested(ctx, &sources[i], args, results, error))
            return NULL;
    }
    return g_steal_pointer(&results);
}

StatsSchemaList *qmp_query_stats_schemas(QmpContext *ctx,
                                         const QueryStatsSchemasArgs *args,
                                         GError **error)
{
    g_autoptr(StatsSchemaList) schemas = StatsSchemaList_new();

    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        const StatsSource *source = &sources[i];
        g_autoptr(StatsSchema) schema = NULL;

        if (args->has_provider && args->provider != source->provider)
            continue;
        schema = g_new0(StatsSchema, 1);
        schema->provider = source->provider;
        schema->target = source->target;
        schema->stats = StatsSchemaValueList_new();
        if (!source->describe(ctx, source, schema->stats, error))
            return NULL;
        if (schema->stats->n > 0)
            StatsSchemaList_append(schemas, g_steal_pointer(&schema));
    }
    return g_steal_pointer(&schemas);
}
