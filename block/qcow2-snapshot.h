/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal snapshots: taking and deleting them.  The lock; quiet.
 */
#pragma once

#include "qcow2-image.h"

/* qcow2-references.c */

/* Sees a reference to @n clusters; 0 or a negative errno. */
typedef int Qcow2ReferenceFn(Qcow2 *q, uint64_t cluster, uint64_t n);

/*
 * Calls @fn for what the tables of @l1 refer to, and for L2 tables after that, up to
 * *@n_left times, from which those that succeeded are taken.
 */
int qcow2_references_walk(Qcow2 *q, const uint64_t *l1, uint64_t n_l1, uint64_t *n_left,
                          Qcow2ReferenceFn *fn);
/* Sets the flags that say that a cluster has one reference, as refcounts have it. */
int qcow2_references_set_flags(Qcow2 *q);

/* qcow2-snapshot.c: BlockDriver.snapshot_create() and snapshot_delete() */

bool qcow2_snapshot_create(BlockNode *node, const char *name, GError **error);
SnapshotInfo *qcow2_snapshot_delete(BlockNode *node, const char *id, const char *name,
                                    GError **error);
