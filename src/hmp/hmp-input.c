/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyboard and mouse.
 */
#include <string.h>

#include "qmp-commands.h"

#include "hmp-call.h"

#define HOLD_DEFAULT 100
#define HOLD_MAX 3600000

/* "ctrl-alt-f1", numbers among them; "<" is a key. */
static bool add_key(KeyValueList *keys, const char *word)
{
    const char *name = strcmp(word, "<") == 0 ? "less" : word;
    KeyValue *key = g_new0(KeyValue, 1);
    int code = QKeyCode_parse(name);
    char *end = NULL;

    KeyValueList_append(keys, key);
    if (code >= 0) {
        key->type = KEY_VALUE_KIND_QCODE;
        key->u.qcode.data = (QKeyCode)code;
        return true;
    }
    key->type = KEY_VALUE_KIND_NUMBER;
    key->u.number.data = g_ascii_strtoll(word, &end, 0);
    return g_str_has_prefix(word, "0x") && !*end;
}

void hmp_sendkey(HmpCall *call)
{
    g_auto(GStrv) words = g_strsplit(hmp_text(call, "keys"), "-", -1);
    g_autoptr(KeyValueList) keys = KeyValueList_new();
    SendKeyArgs args = { .keys = keys, .hold_time = HOLD_DEFAULT };
    GError *error = NULL;

    for (char **word = words; *word; word++) {
        if (!add_key(keys, *word)) {
            hmp_printf(call, "invalid parameter: %s\n", *word);
            return;
        }
    }
    if (hmp_has(call, "hold_ms"))
        args.hold_time = CLAMP(hmp_int(call, "hold_ms"), 0, HOLD_MAX);
    if (!qmp_send_key(call->ctx, &args, &error))
        hmp_fail(call, error);
}

static void add_move(InputEventList *events, InputAxis axis, int64_t value)
{
    InputEvent *event = g_new0(InputEvent, 1);

    event->type = INPUT_EVENT_KIND_REL;
    event->u.rel.data = g_new0(InputMoveEvent, 1);
    event->u.rel.data->axis = axis;
    event->u.rel.data->value = value;
    InputEventList_append(events, event);
}

static void add_button(InputEventList *events, InputButton button, bool down)
{
    InputEvent *event = g_new0(InputEvent, 1);

    event->type = INPUT_EVENT_KIND_BTN;
    event->u.btn.data = g_new0(InputBtnEvent, 1);
    event->u.btn.data->button = button;
    event->u.btn.data->down = down;
    InputEventList_append(events, event);
}

static void send(HmpCall *call, InputEventList *events)
{
    const InputSendEventArgs args = { .events = events };
    GError *error = NULL;

    if (!qmp_input_send_event(call->ctx, &args, &error))
        hmp_fail(call, error);
}

void hmp_mouse_move(HmpCall *call)
{
    g_autoptr(InputEventList) events = InputEventList_new();
    int64_t dz = hmp_int(call, "dz");

    add_move(events, INPUT_AXIS_X, hmp_int(call, "dx"));
    add_move(events, INPUT_AXIS_Y, hmp_int(call, "dy"));
    if (dz > 0)
        add_button(events, INPUT_BUTTON_WHEEL_UP, true);
    else if (dz < 0)
        add_button(events, INPUT_BUTTON_WHEEL_DOWN, true);
    send(call, events);
}

void hmp_mouse_button(HmpCall *call)
{
    static const InputButton buttons[] = {
        INPUT_BUTTON_LEFT, INPUT_BUTTON_MIDDLE, INPUT_BUTTON_RIGHT,
    };
    g_autoptr(InputEventList) events = InputEventList_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(buttons); i++)
        add_button(events, buttons[i], hmp_int(call, "state") & 1 << i);
    send(call, events);
}

void hmp_mouse_set(HmpCall *call)
{
    g_autoptr(MouseInfoList) mice = qmp_query_mice(call->ctx, NULL);
    int64_t index = hmp_int(call, "index");

    for (size_t i = 0; i < mice->n; i++) {
        if (mice->items[i]->index == index)
            return;
    }
    hmp_printf(call, "Mouse at index '%" PRId64 "' not found\n", index);
}

void hmp_info_mice(HmpCall *call, const MouseInfoList *value)
{
    if (value->n == 0)
        hmp_printf(call, "No mouse devices connected\n");
    for (size_t i = 0; i < value->n; i++)
        hmp_printf(call, "%c Mouse #%" PRId64 ": %s%s\n",
                   value->items[i]->current ? '*' : ' ', value->items[i]->index,
                   value->items[i]->name,
                   value->items[i]->absolute ? " (absolute)" : "");
}
