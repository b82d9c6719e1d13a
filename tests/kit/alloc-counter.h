/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts what the process allocates, of all threads.  It takes the C library's place, so
 * one file of a program includes it.
 */
#pragma once

#include <stddef.h>

#include "sanitized.h"

/* Whether it counts here. */
#define ALLOC_COUNTER (!SANITIZED)

static unsigned alloc_counter_new, alloc_counter_resized, alloc_counter_freed;

/* New blocks and changes of their size, so far. */
static inline unsigned alloc_counter_calls(void)
{
    return __atomic_load_n(&alloc_counter_new, __ATOMIC_RELAXED) +
           __atomic_load_n(&alloc_counter_resized, __ATOMIC_RELAXED);
}

/* New blocks so far. */
static inline unsigned alloc_counter_blocks(void)
{
    return __atomic_load_n(&alloc_counter_new, __ATOMIC_RELAXED);
}

/* Those that there are, but for a constant. */
static inline unsigned alloc_counter_live(void)
{
    return __atomic_load_n(&alloc_counter_new, __ATOMIC_RELAXED) -
           __atomic_load_n(&alloc_counter_freed, __ATOMIC_RELAXED);
}

#if ALLOC_COUNTER
/* Exported by the C library beside its malloc. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

void *malloc(size_t size)
{
    __atomic_fetch_add(&alloc_counter_new, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    __atomic_fetch_add(&alloc_counter_new, 1, __ATOMIC_RELAXED);
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    __atomic_fetch_add(memory ? &alloc_counter_resized : &alloc_counter_new, 1,
                       __ATOMIC_RELAXED);
    return __libc_realloc(memory, size);
}

void free(void *memory)
{
    if (memory)
        __atomic_fetch_add(&alloc_counter_freed, 1, __ATOMIC_RELAXED);
    __libc_free(memory);
}
#endif
