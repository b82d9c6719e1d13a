/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of object that berth offers.  Nothing registers itself.
 */
#include "berth/balloon.h"
#include "berth/memory-backend.h"
#include "berth/metrics.h"
#include "berth/object.h"
#include "berth/rng.h"
#include "berth/secret.h"

const ObjectClass *const object_classes[] = {
    [OBJECT_TYPE_BERTH_AUTOBALLOON] = &balloon_auto_object_class,
    [OBJECT_TYPE_BERTH_METRICS] = &metrics_object_class,
    [OBJECT_TYPE_FILTER_DUMP] = &object_filter_dump_class,
    [OBJECT_TYPE_IOTHREAD] = &object_iothread_class,
    [OBJECT_TYPE_MAIN_LOOP] = &object_main_loop_class,
    [OBJECT_TYPE_MEMORY_BACKEND_FILE] = &memory_backend_file_class,
    [OBJECT_TYPE_MEMORY_BACKEND_MEMFD] = &memory_backend_memfd_class,
    [OBJECT_TYPE_MEMORY_BACKEND_RAM] = &memory_backend_ram_class,
    [OBJECT_TYPE_NET_THROTTLE_GROUP] = &object_net_throttle_class,
    [OBJECT_TYPE_RNG_BUILTIN] = &rng_builtin_class,
    [OBJECT_TYPE_RNG_RANDOM] = &rng_random_class,
    [OBJECT_TYPE_SECRET] = &secret_class,
    [OBJECT_TYPE_THROTTLE_GROUP] = &object_throttle_class,
};

G_STATIC_ASSERT(G_N_ELEMENTS(object_classes) == OBJECT_TYPE__MAX);
