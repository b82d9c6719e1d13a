/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a binary heap of pointers.  Each timer knows its slot, so that cancelling one
 * costs no search.
 *
 * A deadline before the last run counts as the time of that run.  So what is set again
 * in its own function stands behind everything that was due, and a run may stop at the
 * first timer that was set after the run began.
 */
#include "berth/timer.h"

#include "loop-private.h"

static bool is_before(const Timer *a, const Timer *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->order < b->order;
}

static void heap_put(TimerHeap *heap, size_t index, Timer *timer)
{
    heap->timers[index] = timer;
    timer->slot = index + 1;
}

static void heap_up(TimerHeap *heap, size_t index, Timer *timer)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;

        if (!is_before(timer, heap->timers[parent]))
            break;
        heap_put(heap, index, heap->timers[parent]);
        index = parent;
    }
    heap_put(heap, index, timer);
}

static void heap_down(TimerHeap *heap, size_t index, Timer *timer)
{
    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= heap->n_timers)
            break;
        if (child + 1 < heap->n_timers &&
            is_before(heap->timers[child + 1], heap->timers[child]))
            child++;
        if (!is_before(heap->timers[child], timer))
            break;
        heap_put(heap, index, heap->timers[child]);
        index = child;
    }
    heap_put(heap, index, timer);
}

static void heap_remove(TimerHeap *heap, Timer *timer)
{
    size_t index = timer->slot - 1;
    Timer *moved = heap->timers[--heap->n_timers];

    timer->slot = 0;
    if (moved == timer)
        return;
    if (is_before(moved, timer))
        heap_up(heap, index, moved);
    else
        heap_down(heap, index, moved);
}

int64_t timer_heap_next_ns(const TimerHeap *heap)
{
    return heap->n_timers > 0 ? heap->timers[0]->deadline_ns : -1;
}

void timer_heap_run(TimerHeap *heap, int64_t now_ns)
{
    uint64_t end_order = heap->next_order;

    heap->run_ns = now_ns;
    while (heap->n_timers > 0 && heap->timers[0]->deadline_ns <= now_ns &&
           heap->timers[0]->order < end_order) {
        Timer *timer = heap->timers[0];

        heap_remove(heap, timer);
        timer->fn(timer->opaque);
    }
}

void timer_init(Timer *timer, Loop *loop, LoopFn *fn, void *opaque)
{
    *timer = (Timer) { .loop = loop, .fn = fn, .opaque = opaque };
}

void timer_set(Timer *timer, int64_t deadline_ns)
{
    TimerHeap *heap = &timer->loop->timer_heap;

    assert_loop(timer->loop);
    timer_cancel(timer);
    if (heap->n_timers == heap->capacity) {
        heap->capacity = MAX(16, 2 * heap->capacity);
        heap->timers = g_renew(Timer *, heap->timers, heap->capacity);
    }
    timer->deadline_ns = MAX(deadline_ns, heap->run_ns);
    timer->order = heap->next_order++;
    heap->n_timers++;
    heap_up(heap, heap->n_timers - 1, timer);
}

void timer_cancel(Timer *timer)
{
    if (timer->slot == 0)
        return;
    assert_loop(timer->loop);
    heap_remove(&timer->loop->timer_heap, timer);
}

bool timer_is_set(const Timer *timer)
{
    return timer->slot != 0;
}
