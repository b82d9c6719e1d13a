/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-numa", in the order that QEMU has: all nodes, then vCPUs by their places, then
 * distances; each refers to nodes by numbers that have to be there.
 */
#include "berth/cpuid.h"
#include "berth/error.h"
#include "berth/log.h"
#include "berth/numa.h"

#define LOCAL_DISTANCE 10u
#define NO_NODE UINT16_MAX

typedef bool AddFn(Numa *numa, const NumaOptions *options, const CpuTopology *topology,
                   GError **error);

static bool assign(Numa *numa, unsigned cpu, unsigned node, GError **error)
{
    if (numa->cpu_nodes[cpu] != NO_NODE && numa->cpu_nodes[cpu] != node) {
        error_set(error, "CPU %u is already assigned to node-id: %u", cpu,
                  numa->cpu_nodes[cpu]);
        return false;
    }
    numa->cpu_nodes[cpu] = (uint16_t)node;
    return true;
}

static bool check_node(const NumaNodeOptions *options, GError **error)
{
    if (options->has_mem)
        error_set(error, "parameter 'mem': name the node's memory by 'memdev'");
    else if (options->has_initiator)
        error_set(error, "parameter 'initiator': there is no table of the latencies and "
                  "bandwidths of memory (HMAT)");
    else
        return true;
    return false;
}

static bool add_node(Numa *numa, const NumaOptions *options, const CpuTopology *topology,
                     GError **error)
{
    const NumaNodeOptions *node = &options->u.node;
    unsigned id = node->has_nodeid ? node->nodeid : numa->n_nodes;

    if (!check_node(node, error))
        return false;
    if (id >= NUMA_MAX_NODES) {
        error_set(error, "parameter 'nodeid' expects a number below %u", NUMA_MAX_NODES);
        return false;
    }
    if (numa->nodes[id].present) {
        error_set(error, "Duplicate NUMA nodeid: %u", id);
        return false;
    }
    for (size_t i = 0; node->cpus && i < node->cpus->n; i++) {
        if (node->cpus->items[i] >= topology->max_cpus) {
            error_set(error, "CPU index (%u) should be smaller than maxcpus (%u)",
                      node->cpus->items[i], topology->max_cpus);
            return false;
        }
        if (!assign(numa, node->cpus->items[i], id, error))
            return false;
    }
    numa->nodes[id] = (NumaNode) { .present = true, .memdev = node->memdev };
    numa->n_nodes++;
    return true;
}

static bool is_node(const Numa *numa, int64_t id)
{
    return id >= 0 && id < NUMA_MAX_NODES && numa->nodes[id].present;
}

static bool is_at(const CpuInstanceProperties *wanted, const CpuPlace *place)
{
    return (!wanted->has_socket_id || wanted->socket_id == place->socket) &&
           (!wanted->has_die_id || wanted->die_id == place->die) &&
           (!wanted->has_core_id || wanted->core_id == place->core) &&
           (!wanted->has_thread_id || wanted->thread_id == place->thread);
}

static bool add_cpu(Numa *numa, const NumaOptions *options, const CpuTopology *topology,
                    GError **error)
{
    const CpuInstanceProperties *cpu = &options->u.cpu;
    bool found = false;

    if (!cpu->has_node_id) {
        error_set(error, "Missing mandatory node-id property");
        return false;
    }
    if (!is_node(numa, cpu->node_id)) {
        error_set(error, "Invalid node-id=%" PRId64 ", NUMA node must be defined with "
                  "-numa node,nodeid=ID before it's used with -numa cpu,node-id=ID",
                  cpu->node_id);
        return false;
    }
    for (unsigned i = 0; i < topology->max_cpus; i++) {
        CpuPlace place = cpu_topology_place(topology, i);

        if (!is_at(cpu, &place))
            continue;
        if (!assign(numa, i, (unsigned)cpu->node_id, error))
            return false;
        found = true;
    }
    if (!found)
        error_set(error, "no vCPU is at this place");
    return found;
}

static uint8_t *distance(const Numa *numa, unsigned from, unsigned to)
{
    return &numa->distances[from * numa->n_nodes + to];
}

static bool add_dist(Numa *numa, const NumaOptions *options, const CpuTopology *topology,
                     GError **error)
{
    const NumaDistOptions *dist = &options->u.dist;

    if (!is_node(numa, dist->src) || !is_node(numa, dist->dst))
        error_set(error, "Source/Destination NUMA node is missing. Please use '-numa "
                  "node' option to declare it first.");
    else if (dist->val < LOCAL_DISTANCE)
        error_set(error, "NUMA distance (%u) is invalid, it shouldn't be less than %u",
                  dist->val, LOCAL_DISTANCE);
    else if (dist->src == dist->dst && dist->val != LOCAL_DISTANCE)
        error_set(error, "Local distance of node %u should be %u.", dist->src,
                  LOCAL_DISTANCE);
    else {
        if (!numa->distances)
            numa->distances = g_new0(uint8_t, numa->n_nodes * numa->n_nodes);
        *distance(numa, dist->src, dist->dst) = dist->val;
        return true;
    }
    return false;
}

static bool add_all(Numa *numa, const Cmdline *cmdline, NumaOptionsType type,
                    const CpuTopology *topology, GError **error)
{
    static AddFn *const adders[NUMA_OPTIONS_TYPE__MAX] = {
        [NUMA_OPTIONS_TYPE_NODE] = add_node,
        [NUMA_OPTIONS_TYPE_DIST] = add_dist,
        [NUMA_OPTIONS_TYPE_CPU] = add_cpu,
    };

    for (guint i = 0; i < cmdline->numas->len; i++) {
        const NumaOptions *options = g_ptr_array_index(cmdline->numas, i);

        if (options->type == type && !adders[type](numa, options, topology, error))
            return false;
    }
    return true;
}

static bool check_ids(const Numa *numa, GError **error)
{
    for (unsigned i = 0; i < numa->n_nodes; i++) {
        if (!numa->nodes[i].present) {
            error_set(error, "numa: Node ID missing: %u", i);
            return false;
        }
    }
    if (numa->n_nodes == 0)
        error_set(error, "there is no '-numa node'");
    return numa->n_nodes > 0;
}

static void assign_rest(Numa *numa, const CpuTopology *topology)
{
    unsigned n_without = 0;

    for (unsigned i = 0; i < topology->max_cpus; i++)
        n_without += numa->cpu_nodes[i] == NO_NODE;
    if (n_without > 0 && n_without < topology->max_cpus)
        log_warn("-numa: %u of %u vCPUs are in no node; they go to node 0", n_without,
                    topology->max_cpus);
    for (unsigned i = 0; i < topology->max_cpus; i++) {
        unsigned socket = cpu_topology_place(topology, i).socket;

        if (numa->cpu_nodes[i] == NO_NODE)
            numa->cpu_nodes[i] = (uint16_t)(n_without == topology->max_cpus
                                            ? socket % numa->n_nodes : 0);
    }
}

/* One direction tells the other, unless some pair has two of its own. */
static bool complete_pair(const Numa *numa, unsigned a, unsigned b, bool *is_asymmetric,
                          GError **error)
{
    uint8_t *there = distance(numa, a, b);
    uint8_t *back = distance(numa, b, a);

    if (*there == 0 && *back == 0) {
        error_set(error, "The distance between node %u and %u is missing, at least one "
                  "distance value between each nodes should be provided.", a, b);
        return false;
    }
    *is_asymmetric |= *there != 0 && *back != 0 && *there != *back;
    return true;
}

static bool complete_distances(Numa *numa, GError **error)
{
    bool is_asymmetric = false;
    bool has_gap = false;

    for (unsigned a = 0; a < numa->n_nodes; a++) {
        *distance(numa, a, a) = LOCAL_DISTANCE;
        for (unsigned b = a + 1; b < numa->n_nodes; b++) {
            if (!complete_pair(numa, a, b, &is_asymmetric, error))
                return false;
            has_gap |= !*distance(numa, a, b) || !*distance(numa, b, a);
        }
    }
    if (is_asymmetric && has_gap) {
        error_set(error, "At least one asymmetrical pair of distances is given, please "
                  "provide distances for both directions of all node pairs.");
        return false;
    }
    for (unsigned a = 0; a < numa->n_nodes; a++) {
        for (unsigned b = 0; b < numa->n_nodes; b++) {
            if (!*distance(numa, a, b))
                *distance(numa, a, b) = *distance(numa, b, a);
        }
    }
    return true;
}

bool numa_parse(const Cmdline *cmdline, const CpuTopology *topology, Numa **ret_numa,
                GError **error)
{
    g_autoptr(Numa) numa = NULL;

    *ret_numa = NULL;
    if (cmdline->numas->len == 0)
        return true;
    numa = g_new0(Numa, 1);
    numa->cpu_nodes = g_new(uint16_t, topology->max_cpus);
    for (unsigned i = 0; i < topology->max_cpus; i++)
        numa->cpu_nodes[i] = NO_NODE;
    if (!add_all(numa, cmdline, NUMA_OPTIONS_TYPE_NODE, topology, error) ||
        !check_ids(numa, error) ||
        !add_all(numa, cmdline, NUMA_OPTIONS_TYPE_CPU, topology, error) ||
        !add_all(numa, cmdline, NUMA_OPTIONS_TYPE_DIST, topology, error) ||
        (numa->distances && !complete_distances(numa, error))) {
        g_prefix_error(error, "option '-numa': ");
        return false;
    }
    assign_rest(numa, topology);
    *ret_numa = g_steal_pointer(&numa);
    return true;
}

void numa_free(Numa *numa)
{
    if (!numa)
        return;
    g_free(numa->cpu_nodes);
    g_free(numa->distances);
    g_free(numa);
}
