/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of disks that share limits, for those who name them: the objects of type
 * throttle-group.  Main only.
 */
#pragma once

#include "berth/block.h"

typedef struct ThrottleGroup ThrottleGroup;

/*
 * A group of @name, which is unique in the graph.  NULL with @error for a name that is
 * taken.
 */
ThrottleGroup *throttle_group_new(BlockGraph *graph, const char *name, GError **error);
/* The last ends it.  Accepts NULL. */
void throttle_group_unref(ThrottleGroup *group);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ThrottleGroup, throttle_group_unref)
/* Beside the caller. */
bool throttle_group_has_users(ThrottleGroup *group);

/* Changes those limits that are given; false with @error and nothing changed. */
bool throttle_group_set_limits(ThrottleGroup *group, const ThrottleLimits *limits,
                               GError **error);
/* All of them; the caller frees. */
ThrottleLimits *throttle_group_limits(ThrottleGroup *group);
/*
 * Calls @fn when the limits were changed by another than the caller of
 * throttle_group_set_limits().
 */
void throttle_group_set_watch(ThrottleGroup *group, LoopFn *fn, void *opaque);

/* What has waited for its turn in the group @name, from its start on. */
typedef struct ThrottleWaits {
    const char *name;
    uint64_t n_requests;
    uint64_t ns;
} ThrottleWaits;

/* Calls @fn for each group of @graph. */
typedef void ThrottleWaitsFn(void *opaque, const ThrottleWaits *waits);
void throttle_group_waits(BlockGraph *graph, ThrottleWaitsFn *fn, void *opaque);
