/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of trace points, which the linker made: pointers from __start_trace_points
 * to __stop_trace_points, in no order.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "berth/log.h"
#include "berth/trace.h"

/* Weak: a program without a single point has no such section. */
extern TracePoint *const __start_trace_points[] __attribute__((weak));
extern TracePoint *const __stop_trace_points[] __attribute__((weak));

void trace_write(const TracePoint *point, const char *format, ...)
{
    char label[64];
    va_list args;

    snprintf(label, sizeof(label), "trace: %s", point->name);
    va_start(args, format);
    log_trace_valist(label, format, args);
    va_end(args);
}

/*
 * "*" is any text, "?" any character.  Only the last "*" is tried again, which is enough
 * and takes no longer than the product of both lengths, whoever made up the pattern.
 */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            from = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static int compare_states(const void *a, const void *b)
{
    return strcmp(((const TraceState *)a)->name, ((const TraceState *)b)->name);
}

GArray *trace_list(const char *pattern)
{
    GArray *states = g_array_new(false, false, sizeof(TraceState));

    for (TracePoint *const *at = __start_trace_points; at != __stop_trace_points; at++) {
        TraceState state = {
            .name = (*at)->name,
            .on = __atomic_load_n(&(*at)->on, __ATOMIC_RELAXED),
        };

        if (matches(pattern ? pattern : "*", state.name))
            g_array_append_val(states, state);
    }
    g_array_sort(states, compare_states);
    for (guint i = states->len; i > 1; i--) {
        const TraceState *pair = &g_array_index(states, TraceState, i - 2);

        if (strcmp(pair[0].name, pair[1].name) == 0)
            g_array_remove_index(states, i - 1);
    }
    return states;
}

size_t trace_set(const char *pattern, bool on)
{
    g_autoptr(GArray) matching = trace_list(pattern);

    for (TracePoint *const *at = __start_trace_points; at != __stop_trace_points; at++) {
        if (matches(pattern, (*at)->name))
            __atomic_store_n(&(*at)->on, on, __ATOMIC_RELAXED);
    }
    return matching->len;
}

bool trace_is_on(const char *name)
{
    for (TracePoint *const *at = __start_trace_points; at != __stop_trace_points; at++) {
        if (strcmp((*at)->name, name) == 0)
            return __atomic_load_n(&(*at)->on, __ATOMIC_RELAXED);
    }
    return false;
}
