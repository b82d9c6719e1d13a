/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a part of berth counts: uint64_t fields of a struct, each incremented by one
 * thread alone, without a lock, and read by any.  A const table names them, and
 * query-stats reads them by it.
 */
#pragma once

#include "berth/base.h"

typedef struct CounterDesc {
    const char *name;           /* NULL ends a table */
    size_t offset;              /* of the uint64_t */
} CounterDesc;

/* A row: the counter has the name of its field. */
#define COUNTER(type, field) { #field, offsetof(type, field) }
#define COUNTERS_END { NULL, 0 }

/* The counter's own thread; no more than a plain addition. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Any thread. */
static inline uint64_t counter_read(const void *counters, const CounterDesc *desc)
{
    return __atomic_load_n((const uint64_t *)((const char *)counters + desc->offset),
                           __ATOMIC_RELAXED);
}
