/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes of the guest ("-numa"): which vCPUs and which memory are near each other, as the
 * tables SRAT and SLIT tell it.  Main only.
 */
#pragma once

#include "berth/cmdline.h"
#include "berth/vcpu.h"

#define NUMA_MAX_NODES 128u

typedef struct NumaNode {
    bool present;
    const char *memdev;         /* lent by the command line; NULL: no memory */
    uint64_t size;              /* of its memory, once that is there */
} NumaNode;

typedef struct Numa {
    NumaNode nodes[NUMA_MAX_NODES];
    unsigned n_nodes;           /* from 0 on, all present */
    uint16_t *cpu_nodes;        /* by the vCPU's number, of all that there can be */
    uint8_t *distances;         /* n_nodes by n_nodes, by source; NULL: none were told */
} Numa;

/*
 * What "-numa" says, checked; *@ret_numa is NULL when it says nothing.  vCPUs that no
 * node has are node 0's, or, when no node has any, go round by their sockets.
 */
bool numa_parse(const Cmdline *cmdline, const CpuTopology *topology, Numa **ret_numa,
                GError **error);
/* Accepts NULL. */
void numa_free(Numa *numa);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Numa, numa_free)
