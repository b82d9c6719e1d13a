/* SPDX-License-Identifier: Apache-2.0 */
/* "-numa": which nodes there are, whose the vCPUs are, how far they are. */
#include <string.h>

#include "berth/numa.h"

/* Eight vCPUs, two of them absent, in two sockets. */
static const CpuTopology topology = {
    .cpus = 6, .max_cpus = 8, .sockets = 2, .dies = 1, .cores = 2, .threads = 2,
};

static Numa *parse(const char *line, GError **error)
{
    g_autofree char *whole = g_strconcat("berth ", line, NULL);
    g_auto(GStrv) argv = g_strsplit(whole, " ", -1);
    g_autoptr(Cmdline) cmdline =
        cmdline_parse((int)g_strv_length(argv), argv, error);
    Numa *numa = NULL;

    if (!cmdline || !numa_parse(cmdline, &topology, &numa, error))
        return NULL;
    /* It is the command line's, which goes now. */
    for (unsigned i = 0; numa && i < NUMA_MAX_NODES; i++)
        numa->nodes[i].memdev = NULL;
    return numa;
}

static const struct {
    const char *line;
    unsigned n_nodes;
    uint16_t cpu_nodes[8];
} accepted[] = {
    { "-numa node", 1, { 0 } },
    { "-numa node -numa node", 2, { 0, 0, 0, 0, 1, 1, 1, 1 } },
    { "-numa node,nodeid=1,cpus=0-1,cpus=7 -numa node,nodeid=0,cpus=2-6", 2,
      { 1, 1, 0, 0, 0, 0, 0, 1 } },
    { "-numa node,cpus=0 -numa node,cpus=5", 2, { 0, 0, 0, 0, 0, 1, 0, 0 } },
    { "-numa cpu,node-id=1,socket-id=0,core-id=1 -numa cpu,node-id=2,socket-id=1 "
      "-numa node,cpus=0-1 -numa node -numa node", 3, { 0, 0, 1, 1, 2, 2, 2, 2 } },
    { "-numa node,cpus=0-7 -numa cpu,node-id=0,thread-id=1", 1, { 0 } },
};

static void test_vcpus_are_of_their_nodes(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(accepted); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Numa) numa = parse(accepted[i].line, &error);

        g_assert_no_error(error);
        g_assert_cmpuint(numa->n_nodes, ==, accepted[i].n_nodes);
        g_assert_cmpmem(numa->cpu_nodes, sizeof(accepted[i].cpu_nodes),
                        accepted[i].cpu_nodes, sizeof(accepted[i].cpu_nodes));
        g_assert_null(numa->distances);
    }
    g_assert_null(parse("-m 64", NULL));
}

#define THREE "-numa node -numa node -numa node "

static const struct {
    const char *line;
    uint8_t distances[9];
} tables[] = {
    { THREE "-numa dist,src=0,dst=1,val=20 -numa dist,src=2,dst=0,val=30 "
      "-numa dist,src=1,dst=2,val=255",
      { 10, 20, 30, 20, 10, 255, 30, 255, 10 } },
    { THREE "-numa dist,src=0,dst=1,val=20 -numa dist,src=1,dst=0,val=21 "
      "-numa dist,src=0,dst=2,val=30 -numa dist,src=2,dst=0,val=30 "
      "-numa dist,src=1,dst=2,val=40 -numa dist,src=2,dst=1,val=41 "
      "-numa dist,src=1,dst=1,val=10",
      { 10, 20, 30, 21, 10, 40, 30, 41, 10 } },
};

static void test_distances_are_completed(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Numa) numa = parse(tables[i].line, &error);

        g_assert_no_error(error);
        g_assert_cmpmem(numa->distances, 9, tables[i].distances, 9);
    }
}

#define TWO "-numa node -numa node "

static const struct {
    const char *line;
    const char *words;
} refused[] = {
    { "-numa", "-numa" },
    { "-numa node,wheels=4", "wheels" },
    { "-numa hmat-lb,initiator=0", "hmat-lb" },
    { "-numa node,initiator=0", "HMAT" },
    { "-numa node,mem=64M", "memdev" },
    { "-numa node,nodeid=128", "below 128" },
    { "-numa node,nodeid=65536", "nodeid" },
    { "-numa node,nodeid=1", "Node ID missing: 0" },
    { "-numa node -numa node,nodeid=0", "Duplicate NUMA nodeid: 0" },
    { "-numa node,cpus=8", "CPU index (8) should be smaller than maxcpus (8)" },
    { "-numa node,cpus=0-3 -numa node,cpus=3", "CPU 3 is already assigned" },
    { "-numa node,cpus=3-0", "cpus" },
    { "-numa node -numa cpu,socket-id=0", "Missing mandatory node-id" },
    { "-numa cpu,node-id=0,socket-id=0", "no '-numa node'" },
    { TWO "-numa cpu,node-id=2,socket-id=0", "Invalid node-id=2" },
    { TWO "-numa cpu,node-id=-1,socket-id=0", "Invalid node-id=-1" },
    { TWO "-numa cpu,node-id=0,socket-id=9", "no vCPU is at this place" },
    { "-numa node,cpus=0 -numa node -numa cpu,node-id=1,socket-id=0", "already" },
    { "-numa dist,src=0,dst=1,val=20", "no '-numa node'" },
    { TWO "-numa dist,src=0,dst=2,val=20", "missing" },
    { TWO "-numa dist,src=200,dst=1,val=20", "missing" },
    { TWO "-numa dist,src=0,dst=1,val=9", "invalid" },
    { TWO "-numa dist,src=0,dst=1,val=256", "val" },
    { TWO "-numa dist,src=0,dst=0,val=11", "Local distance of node 0 should be 10" },
    { THREE "-numa dist,src=0,dst=1,val=20", "node 0 and 2 is missing" },
    { THREE "-numa dist,src=0,dst=1,val=20 -numa dist,src=1,dst=0,val=21 "
      "-numa dist,src=0,dst=2,val=30 -numa dist,src=1,dst=2,val=30", "asymmetrical" },
};

static void test_what_cannot_be_is_refused(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(parse(refused[i].line, &error));
        if (!error || !strstr(error->message, refused[i].words))
            g_error("'%s': '%s' is not in: %s", refused[i].line, refused[i].words,
                    error ? error->message : "no error");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/numa/vcpus-are-of-their-nodes", test_vcpus_are_of_their_nodes);
    g_test_add_func("/numa/distances-are-completed", test_distances_are_completed);
    g_test_add_func("/numa/what-cannot-be-is-refused", test_what_cannot_be_is_refused);
    return g_test_run();
}
