/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of QEMU's machine types since 6.2 for what "-smp" leaves out:
 *
 *   - dies are 1;
 *   - with neither cpus nor maxcpus, every level left out is 1, and both are the product;
 *   - else maxcpus is cpus unless given, and the first level left out of cores, sockets,
 *     threads, in this order, takes what remains of maxcpus; the others are 1.
 *
 * Then the product of the levels must be maxcpus, which must not be less than cpus.
 */
#include "berth/error.h"
#include "berth/smp.h"

/* Zero for what is not known (yet). */
typedef struct Levels {
    uint64_t cpus;
    uint64_t max_cpus;
    uint64_t sockets;
    uint64_t dies;
    uint64_t cores;
    uint64_t threads;
} Levels;

/* One parameter; absent ones are not looked at. */
typedef struct Parameter {
    const char *name;
    bool given;
    int64_t value;
    int64_t most;
} Parameter;

static bool check_parameters(const Parameter *parameters, size_t n, GError **error)
{
    for (size_t i = 0; i < n; i++) {
        const Parameter *p = &parameters[i];

        if (!p->given)
            continue;
        if (p->value < 1) {
            error_set(error, "parameter '%s' is %" PRId64 ", must be at least 1", p->name,
                      p->value);
            return false;
        }
        if (p->value > p->most) {
            error_set(error, "parameter '%s' is %" PRId64 ", at most %" PRId64
                      " is possible", p->name, p->value, p->most);
            return false;
        }
    }
    return true;
}

static bool check_ranges(const SmpOptions *o, unsigned limit, GError **error)
{
    const Parameter parameters[] = {
        { "cpus", o->has_cpus, o->cpus, limit },
        { "maxcpus", o->has_maxcpus, o->maxcpus, limit },
        { "sockets", o->has_sockets, o->sockets, limit },
        { "dies", o->has_dies, o->dies, limit },
        { "cores", o->has_cores, o->cores, limit },
        { "threads", o->has_threads, o->threads, limit },
        { "drawers", o->has_drawers, o->drawers, 1 },
        { "books", o->has_books, o->books, 1 },
        { "clusters", o->has_clusters, o->clusters, 1 },
        { "modules", o->has_modules, o->modules, 1 },
    };

    return check_parameters(parameters, G_N_ELEMENTS(parameters), error);
}

static uint64_t or_one(uint64_t value)
{
    return value ? value : 1;
}

static uint64_t product(const Levels *l)
{
    return l->sockets * l->dies * l->cores * l->threads;
}

static void fill_in(Levels *l)
{
    l->dies = or_one(l->dies);
    if (!l->max_cpus)
        l->max_cpus = l->cpus;
    if (l->max_cpus) {
        if (!l->cores) {
            l->sockets = or_one(l->sockets);
            l->threads = or_one(l->threads);
            l->cores = l->max_cpus / (l->sockets * l->dies * l->threads);
        } else if (!l->sockets) {
            l->threads = or_one(l->threads);
            l->sockets = l->max_cpus / (l->dies * l->cores * l->threads);
        } else if (!l->threads) {
            l->threads = l->max_cpus / (l->sockets * l->dies * l->cores);
        }
    } else {
        l->sockets = or_one(l->sockets);
        l->cores = or_one(l->cores);
        l->threads = or_one(l->threads);
        l->max_cpus = product(l);
    }
    if (!l->cpus)
        l->cpus = l->max_cpus;
}

static bool check_levels(const Levels *l, unsigned limit, GError **error)
{
    if (product(l) != l->max_cpus) {
        error_set(error, "sockets (%" PRIu64 ") * dies (%" PRIu64 ") * cores (%" PRIu64
                  ") * threads (%" PRIu64 ") is %" PRIu64 ", not maxcpus (%" PRIu64 ")",
                  l->sockets, l->dies, l->cores, l->threads, product(l), l->max_cpus);
        return false;
    }
    if (l->max_cpus > limit) {
        error_set(error, "sockets * dies * cores * threads is %" PRIu64 ", at most %u is "
                  "possible", l->max_cpus, limit);
        return false;
    }
    if (l->cpus > l->max_cpus) {
        error_set(error, "parameter 'cpus' is %" PRIu64 ", more than 'maxcpus' (%" PRIu64
                  ")", l->cpus, l->max_cpus);
        return false;
    }
    return true;
}

bool smp_parse(const SmpOptions *options, unsigned limit, CpuTopology *ret_topology,
               GError **error)
{
    const SmpOptions nothing = { 0 };
    const SmpOptions *o = options ? options : &nothing;
    Levels l;

    /* The product of four levels stays within 64 bits. */
    g_assert(limit >= 1 && limit <= UINT16_MAX);
    if (!check_ranges(o, limit, error)) {
        g_prefix_error(error, "option '-smp': ");
        return false;
    }
    l = (Levels) {
        .cpus = o->has_cpus ? (uint64_t)o->cpus : 0,
        .max_cpus = o->has_maxcpus ? (uint64_t)o->maxcpus : 0,
        .sockets = o->has_sockets ? (uint64_t)o->sockets : 0,
        .dies = o->has_dies ? (uint64_t)o->dies : 0,
        .cores = o->has_cores ? (uint64_t)o->cores : 0,
        .threads = o->has_threads ? (uint64_t)o->threads : 0,
    };
    fill_in(&l);
    if (!check_levels(&l, limit, error)) {
        g_prefix_error(error, "option '-smp': ");
        return false;
    }
    *ret_topology = (CpuTopology) {
        .cpus = (unsigned)l.cpus,
        .max_cpus = (unsigned)l.max_cpus,
        .sockets = (unsigned)l.sockets,
        .dies = (unsigned)l.dies,
        .cores = (unsigned)l.cores,
        .threads = (unsigned)l.threads,
    };
    return true;
}
