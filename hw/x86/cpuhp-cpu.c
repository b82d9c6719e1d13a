/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU as a device: one that is not there from the start.  It says its place by the
 * numbers of the topology; what it is the whole machine's "-cpu" says.
 */
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/cpuhp.h"
#include "berth/error.h"

typedef struct CpuhpCpu {
    Device dev;
    unsigned index;
} CpuhpCpu;

static CpuhpCpu *to_cpu(Device *dev)
{
    return CONTAINER_OF(dev, CpuhpCpu, dev);
}

unsigned cpuhp_cpu_index(const Device *dev)
{
    return CONTAINER_OF(dev, CpuhpCpu, dev)->index;
}

static bool check_model(const Board *board, const VcpuProps *props, GError **error)
{
    g_autofree char *type =
        props->model ? g_strconcat(props->model, CPU_QUERY_TYPE_SUFFIX, NULL)
                     : NULL;

    if (!type || strcmp(type, board->cpu_type) == 0)
        return true;
    error_set(error, "parameter 'driver': the vCPUs of this machine are '%s', not "
              "'%.64s'", board->cpu_type, type);
    return false;
}

/* A number of the place, in [0, @count). */
typedef struct Level {
    const char *name;
    bool is_given;
    unsigned value;
    unsigned count;
    bool may_be_left_out;
} Level;

static bool check_level(const Level *level, GError **error)
{
    if (!level->is_given && !level->may_be_left_out) {
        error_set(error, "parameter '%s' is missing: query-hotpluggable-cpus lists the "
                  "places", level->name);
        return false;
    }
    if (level->is_given && level->value >= level->count) {
        error_set(error, "parameter '%s' is %u, must be 0 to %u", level->name,
                  level->value, level->count - 1);
        return false;
    }
    return true;
}

static bool find_place(const CpuTopology *topology, const VcpuProps *props,
                       unsigned *ret_index, GError **error)
{
    const Level levels[] = {
        { "socket-id", props->has_socket_id, props->socket_id, topology->sockets, false },
        { "die-id", props->has_die_id, props->die_id, topology->dies,
          topology->dies == 1 },
        { "core-id", props->has_core_id, props->core_id, topology->cores, false },
        { "thread-id", props->has_thread_id, props->thread_id, topology->threads, false },
    };
    unsigned index = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (!check_level(&levels[i], error))
            return false;
        index = index * levels[i].count + levels[i].value;
    }
    *ret_index = index;
    return true;
}

static bool is_taken(const Bus *bus, unsigned index)
{
    if (index < bus->tree->board->topology->cpus)
        return true;
    LIST_FOREACH(node, &bus->devices) {
        if (cpuhp_cpu_index(CONTAINER_OF(node, Device, bus_node)) == index)
            return true;
    }
    return false;
}

static bool check_node(const Board *board, const VcpuProps *props, unsigned index,
                       GError **error)
{
    unsigned node = board->cpu_nodes ? board->cpu_nodes[index] : 0;

    if (!props->has_node_id || props->node_id == node)
        return true;
    error_set(error, "parameter 'node-id' is %u, but the vCPU belongs to node %u",
              props->node_id, node);
    return false;
}

static bool cpuhp_cpu_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    const VcpuProps *props = &args->u.vcpu;
    Board *board = dev->board;
    CpuhpCpu *cpu = to_cpu(dev);

    if (!check_model(board, props, error) ||
        !find_place(board->topology, props, &cpu->index, error) ||
        !check_node(board, props, cpu->index, error))
        return false;
    if (is_taken(dev->bus, cpu->index)) {
        error_set(error, "vCPU %u is there already: socket-id %u, core-id %u, thread-id "
                  "%u", cpu->index, props->socket_id, props->core_id, props->thread_id);
        return false;
    }
    return cpuhp_check_plug(dev->bus, error) &&
           board->ops->add_vcpu(board->opaque, cpu->index, error);
}

static void cpuhp_cpu_unrealize(Device *dev)
{
    dev->board->ops->remove_vcpu(dev->board->opaque, to_cpu(dev)->index);
}

const DeviceClass cpuhp_cpu_class = {
    .name = "vcpu",
    .description = "a vCPU",
    .bus = BUS_CPU,
    .instance_size = sizeof(CpuhpCpu),
    .realize = cpuhp_cpu_realize,
    .unrealize = cpuhp_cpu_unrealize,
};
