/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that a client sends.  A guest looks at a keyboard when it gets to it, and firmware
 * takes one key for many: so they come slowly.  Memory is there while some wait.
 */
#include "berth/error.h"

#include "typing.h"

typedef struct Stroke {
    uint8_t number;
    bool down;
    uint32_t hold_ms;
} Stroke;

/* Does what is due. */
static void run(Typing *typing)
{
    while (typing->strokes && typing->clock.runs) {
        int64_t now_ns = device_clock_ns(&typing->clock);
        Stroke stroke;

        if (typing->not_before_ns > now_ns) {
            device_timer_set(&typing->timer, typing->not_before_ns);
            return;
        }
        stroke = g_array_index(typing->strokes, Stroke, typing->next);
        typing->not_before_ns = now_ns + stroke.hold_ms * NS_PER_MS;
        if (++typing->next == typing->strokes->len)
            g_clear_pointer(&typing->strokes, g_array_unref);
        typing->fn(typing->opaque, stroke.number, stroke.down);
    }
}

static void on_timer(void *opaque)
{
    run(opaque);
}

void typing_init(Typing *typing, Device *dev, TypingFn *fn, void *opaque)
{
    typing->fn = fn;
    typing->opaque = opaque;
    device_timer_init(&typing->timer, dev, &typing->clock, on_timer, typing);
}

void typing_done(Typing *typing)
{
    device_timer_done(&typing->timer);
    g_clear_pointer(&typing->strokes, g_array_unref);
}

void typing_pause(Typing *typing)
{
    device_clock_stop(&typing->clock);
    device_timer_rearm(&typing->timer);
}

void typing_resume(Typing *typing)
{
    device_clock_start(&typing->clock);
    run(typing);
    device_timer_rearm(&typing->timer);
}

static void append(Typing *typing, uint8_t number, bool down, uint32_t hold_ms)
{
    const Stroke stroke = { .number = number, .down = down, .hold_ms = hold_ms };

    g_array_append_val(typing->strokes, stroke);
}

bool typing_add(Typing *typing, const uint8_t *numbers, size_t n, uint32_t hold_ms,
                GError **error)
{
    guint waiting = typing->strokes ? typing->strokes->len - typing->next : 0;

    if (n > (TYPING_MAX - waiting) / 2) {
        error_set(error, "%zu keys are too many: there is room for %u", n,
                  (TYPING_MAX - waiting) / 2);
        return false;
    }
    if (!typing->strokes) {
        typing->strokes = g_array_new(false, false, sizeof(Stroke));
        typing->next = 0;
    } else {
        g_array_remove_range(typing->strokes, 0, typing->next);
        typing->next = 0;
    }
    for (size_t i = 0; i < n; i++)
        append(typing, numbers[i], true, hold_ms);
    for (size_t i = n; i > 0; i--)
        append(typing, numbers[i - 1], false, hold_ms);
    if (!typing->strokes->len)
        g_clear_pointer(&typing->strokes, g_array_unref);
    run(typing);
    return true;
}
