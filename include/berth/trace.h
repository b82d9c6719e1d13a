/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace points: TRACE(virtio_rng_fill, "head %u", head) anywhere in a function that is
 * not inline.  While a point is off it costs a test of one byte, and its arguments are
 * not evaluated.  On, it is a log line "trace: NAME: text".  A name may stand in
 * several places; they are switched together.  Any thread.
 */
#pragma once

#include "berth/base.h"

typedef struct TracePoint {
    const char *name;
    uint8_t on;                 /* atomic */
} TracePoint;

/*
 * The linker gathers pointers, not the points: a compiler may pad larger statics, and a
 * walk over them would go astray.
 */
#define TRACE(id, ...)                                                                \
    do {                                                                              \
        static TracePoint trace_point = { .name = #id };                              \
        static TracePoint *const trace_pointer                                        \
            __attribute__((used, section("trace_points"))) = &trace_point;            \
        if (G_UNLIKELY(__atomic_load_n(&trace_point.on, __ATOMIC_RELAXED)))           \
            trace_write(&trace_point, __VA_ARGS__);                                   \
    } while (0)

/* Called by TRACE() only. */
void trace_write(const TracePoint *point, const char *format, ...) G_GNUC_PRINTF(2, 3);

/*
 * Switches every point whose name matches @pattern ('*' and '?' as in a shell); returns
 * how many names matched.
 */
size_t trace_set(const char *pattern, bool on);

/* Whether the point is on, for what costs more to say than TRACE() does; slow. */
bool trace_is_on(const char *name);

typedef struct TraceState {
    const char *name;
    bool on;
} TraceState;

/*
 * The names that match @pattern, each once, sorted; NULL matches all.  The caller frees
 * it.
 */
GArray *trace_list(const char *pattern);
