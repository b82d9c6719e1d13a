/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs: the host's time for their threads, exits to berth, and what KVM counts of each
 * and of the machine.  Which statistics KVM has, and what they are, is KVM's to say.
 */
#include <stdio.h>
#include <string.h>

#include "berth/file-read.h"
#include "berth/machine.h"
#include "berth/vm-stats.h"

#include "metrics-private.h"

#define SCHEDSTAT_MAX 128

/* A statistic of the kernel's in the text. */
typedef struct KernelFamily {
    MetricsFamily *family;
    double scale;               /* to the unit */
    char **bounds;              /* of a histogram, ended by NULL */
} KernelFamily;

/* Statistics that several descriptors have, and their names made once. */
typedef struct KernelFamilies {
    VmStats *stats;             /* NULL: not read yet */
    KernelFamily *of;           /* one for each */
} KernelFamilies;

static double scale_of(const VmStat *stat)
{
    double scale = 1;

    for (int i = 0; i < ABS(stat->exponent); i++)
        scale *= stat->base;
    return stat->exponent < 0 ? 1 / scale : scale;
}

static MetricsType type_of(const VmStat *stat)
{
    switch (stat->type) {
    case STATS_TYPE_CUMULATIVE:
        return METRICS_COUNTER;
    case STATS_TYPE_INSTANT:
    case STATS_TYPE_PEAK:
        return METRICS_GAUGE;
    case STATS_TYPE_LINEAR_HISTOGRAM:
    case STATS_TYPE_LOG2_HISTOGRAM:
        return METRICS_HISTOGRAM;
    }
    return METRICS_GAUGE;
}

/*
 * The highest whole number of bin @i of a logarithmic histogram: 0, 1, 2 and 3, 4 to 7;
 * of a linear one, that before the next bin.
 */
static double last_of_bin(const VmStat *stat, uint32_t i)
{
    if (stat->type == STATS_TYPE_LINEAR_HISTOGRAM)
        return (double)stat->bucket_size * (i + 1) - 1;
    return i < 63 ? (double)((1ull << i) - 1) : (double)INT64_MAX;
}

static char **bounds_of(const VmStat *stat, double scale)
{
    char **bounds = g_new0(char *, stat->n_values);

    for (uint32_t i = 0; i + 1 < stat->n_values; i++)
        bounds[i] = metrics_text_number(last_of_bin(stat, i) * scale);
    return bounds;
}

/* "halt_wait_ns" of unit seconds is "halt_wait_seconds". */
static KernelFamily family_of(MetricsText *text, const char *prefix, const VmStat *stat)
{
    bool seconds = stat->has_unit && stat->unit == STATS_UNIT_SECONDS;
    bool bytes = stat->has_unit && stat->unit == STATS_UNIT_BYTES;
    g_autoptr(GString) name = g_string_new(prefix);
    g_autofree char *help = g_strdup_printf("The kernel's statistic '%s'", stat->name);
    KernelFamily family = { .scale = scale_of(stat) };

    g_string_append(name, stat->name);
    if (seconds && g_str_has_suffix(name->str, "_ns"))
        g_string_truncate(name, name->len - 3);
    if (seconds)
        g_string_append(name, "_seconds");
    else if (bytes && !g_str_has_suffix(name->str, "_bytes"))
        g_string_append(name, "_bytes");
    family.family = metrics_text_family(text, type_of(stat), name->str, help);
    if (type_of(stat) == METRICS_HISTOGRAM)
        family.bounds = bounds_of(stat, family.scale);
    return family;
}

static void families_done(KernelFamilies *families)
{
    for (unsigned i = 0; families->stats && i < vm_stats_count(families->stats); i++)
        g_strfreev(families->of[i].bounds);
    g_free(families->of);
    vm_stats_free(families->stats);
}

/* What @fd and others like it have, unless that is known; false for nothing. */
static bool families_read(KernelFamilies *families, MetricsText *text, const char *prefix,
                          int fd)
{
    if (families->stats)
        return true;
    families->stats = vm_stats_new(fd, NULL);
    if (!families->stats)
        return false;
    families->of = g_new0(KernelFamily, vm_stats_count(families->stats));
    for (unsigned i = 0; i < vm_stats_count(families->stats); i++)
        families->of[i] = family_of(text, prefix, vm_stats_get(families->stats, i));
    return true;
}

static void add_stat(const KernelFamily *family, const char *labels, const VmStat *stat,
                     const uint64_t *values)
{
    if (family->bounds)
        metrics_text_add_histogram(family->family, labels, family->bounds, values,
                              stat->n_values);
    else if (stat->exponent == 0)
        metrics_text_add(family->family, labels, values[0]);
    else
        metrics_text_add_double(family->family, labels,
                                (double)values[0] * family->scale);
}

static void add_stats(const KernelFamilies *families, const char *labels, int fd)
{
    const uint64_t *values = vm_stats_read(families->stats, fd, NULL);

    for (unsigned i = 0; values && i < vm_stats_count(families->stats); i++) {
        const VmStat *stat = vm_stats_get(families->stats, i);

        add_stat(&families->of[i], labels, stat, values + stat->first_value);
    }
}

static void add_machine_stats(MetricsText *text, const Machine *machine)
{
    g_autofd int fd = vm_stats_open(machine->vm);
    KernelFamilies families = { 0 };

    if (fd >= 0 && families_read(&families, text, "berth_kvm_", fd))
        add_stats(&families, "", fd);
    families_done(&families);
}

/* A kernel without it, or a process without /proc, tells nothing. */
static void add_times(MetricsText *text, const char *labels, Vcpu *vcpu)
{
    g_autofree char *path =
        g_strdup_printf("/proc/self/task/%d/schedstat", vcpu_thread_id(vcpu));
    g_autofree uint8_t *line = NULL;
    uint64_t ran_ns, waited_ns;
    size_t size;

    line = file_read(path, SCHEDSTAT_MAX, &size, NULL);
    if (!line || sscanf((const char *)line, "%" SCNu64 " %" SCNu64, &ran_ns,
                        &waited_ns) != 2)
        return;
    metrics_text_time(text, "berth_vcpu_run_seconds",
                      "Time that the vCPU's thread ran on the host", labels, ran_ns);
    metrics_text_time(text, "berth_vcpu_steal_seconds",
                      "Time that it was ready to run and did not", labels, waited_ns);
}

/* Those that berth serves: all of them, which the table has first, and by reason. */
static void add_exits(MetricsText *text, const char *labels, const Vcpu *vcpu)
{
    const VcpuCounters *counters = vcpu_stats_counted(vcpu);

    metrics_text_count(text, "berth_vcpu_user_exits", "Exits from the guest to berth",
                       labels, counter_read(counters, vcpu_stats_counters));
    for (const CounterDesc *desc = vcpu_stats_counters + 1; desc->name; desc++) {
        g_autoptr(GString) with_reason = g_string_new(labels);

        metrics_text_label(with_reason, "reason", desc->name + strlen("user_"));
        metrics_text_count(text, "berth_vcpu_user_exits_by_reason",
                           "Exits from the guest to berth, by what they were for",
                           with_reason->str,
                           counter_read(counters, desc));
    }
}

static void add_vcpu(MetricsText *text, KernelFamilies *families, unsigned number,
                     Vcpu *vcpu)
{
    g_autofree char *index = g_strdup_printf("%u", number);
    g_autoptr(GString) labels = g_string_new(NULL);
    int fd = vcpu_stats_fd(vcpu);

    metrics_text_label(labels, "vcpu", index);
    add_times(text, labels->str, vcpu);
    add_exits(text, labels->str, vcpu);
    if (fd >= 0 && families_read(families, text, "berth_kvm_vcpu_", fd))
        add_stats(families, labels->str, fd);
}

void metrics_vcpus_add(MetricsText *text, QmpContext *ctx)
{
    const Machine *machine = ctx->machine;
    KernelFamilies families = { 0 };
    Vcpu *vcpu;

    if (!machine || !machine->vm || !machine->vcpus)
        return;
    add_machine_stats(text, machine);
    vcpu_stats_open(machine->vcpus, machine->topology.max_cpus);
    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++)
        add_vcpu(text, &families, i, vcpu);
    families_done(&families);
}
