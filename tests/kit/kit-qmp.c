/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/device-globals.h"
#include "berth/timer.h"
#include "qmp-commands.h"

#include "kit-qmp.h"

#define WAIT_NS (20 * NS_PER_SEC)

static void take_lines(KitQmp *qmp, const char *text, size_t size, GPtrArray *to)
{
    g_autoptr(JsonValue) value = json_parse_text(text, size, NULL);

    g_assert_nonnull(value);
    g_ptr_array_add(to, json_ref(value));
}

static void on_send(void *opaque, const char *text, size_t size)
{
    KitQmp *qmp = opaque;

    take_lines(qmp, text, size, qmp->events);
}

static void on_reply(void *opaque, const char *text, size_t size)
{
    KitQmp *qmp = opaque;

    g_string_append_len(qmp->out, text, (gssize)size);
}

static int on_take_fd(void *opaque)
{
    return -1;
}

static const QmpSessionOps ops = {
    .send = on_send, .reply = on_reply, .take_fd = on_take_fd,
};

static void unref(gpointer value)
{
    json_unref(value);
}

static void begin(KitQmp *qmp)
{
    qmp->out = g_string_new(NULL);
    qmp->events = g_ptr_array_new_with_free_func(unref);
    qmp_session_init(&qmp->session, &qmp->ctx, &ops, qmp);
    kit_qmp_do(qmp, "qmp_capabilities", NULL);
}

KitQmp *kit_qmp_new(KitBoard *kit)
{
    KitQmp *qmp = g_new0(KitQmp, 1);

    qmp->kit = kit;
    qmp->ctx = (QmpContext) {
        .tree = &kit->tree,
        .chars = kit->chars,
        .blocks = kit->blocks,
        .nets = kit->nets,
        .objects = kit->objects,
        .events = qmp_events_new(),
        .call = qmp_commands_call,
        .start = qmp_commands_start,
        .parse = device_globals_parse_request,
        .ready = true,
    };
    block_graph_set_events(kit->blocks, qmp->ctx.events);
    begin(qmp);
    return qmp;
}

KitQmp *kit_qmp_new_on(const QmpContext *ctx, Loop *loop)
{
    KitQmp *qmp = g_new0(KitQmp, 1);

    qmp->loop = loop;
    qmp->ctx = *ctx;
    begin(qmp);
    return qmp;
}

void kit_qmp_free(KitQmp *qmp)
{
    if (qmp->kit)
        block_graph_set_events(qmp->kit->blocks, NULL);
    qmp_session_done(&qmp->session);
    if (qmp->kit)
        qmp_events_free(qmp->ctx.events);
    g_ptr_array_unref(qmp->events);
    g_string_free(qmp->out, TRUE);
    g_free(qmp);
}

static void run(KitQmp *qmp)
{
    if (qmp->kit)
        kit_run_both(qmp->kit);
    else
        loop_turn(qmp->loop, false);
}

void kit_qmp_send(KitQmp *qmp, const char *name, const char *json)
{
    g_autofree char *text = g_strdup_printf("{'execute': '%s'%s%s}\n", name,
                                            json ? ", 'arguments': " : "",
                                            json ? json : "");
    const char *at = text;
    size_t size = strlen(text);

    while (qmp_session_can_feed(&qmp->session, size)) {
        size_t used = qmp_session_feed(&qmp->session, at, size, qmp->out);

        at += used;
        size -= used;
    }
}

JsonValue *kit_qmp_receive(KitQmp *qmp)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    GError *error = NULL;
    JsonValue *reply;

    while (qmp->out->len == 0) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        run(qmp);
    }
    reply = json_parse_text(qmp->out->str, qmp->out->len, &error);
    g_assert_no_error(error);
    g_string_truncate(qmp->out, 0);
    return reply;
}

G_GNUC_PRINTF(3, 0)
static JsonValue *ask(KitQmp *qmp, const char *name, const char *format, va_list args)
{
    g_autofree char *json = format ? g_strdup_vprintf(format, args) : NULL;

    kit_qmp_send(qmp, name, json);
    return kit_qmp_receive(qmp);
}

static JsonValue *take_return(const char *name, const JsonValue *reply)
{
    JsonValue *value = json_member(reply, "return");

    if (!value) {
        g_autofree char *text = json_to_text(reply);

        g_error("%s: %s", name, text);
    }
    return json_ref(value);
}

JsonValue *kit_qmp_ask(KitQmp *qmp, const char *name, const char *format, ...)
{
    g_autoptr(JsonValue) reply = NULL;
    va_list args;

    va_start(args, format);
    reply = ask(qmp, name, format, args);
    va_end(args);
    return take_return(name, reply);
}

void kit_qmp_do(KitQmp *qmp, const char *name, const char *format, ...)
{
    g_autoptr(JsonValue) reply = NULL;
    va_list args;

    va_start(args, format);
    reply = ask(qmp, name, format, args);
    va_end(args);
    json_unref(take_return(name, reply));
}

void kit_qmp_assert_fails(KitQmp *qmp, const char *words, const char *name,
                          const char *format, ...)
{
    g_autoptr(JsonValue) reply = NULL;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    reply = ask(qmp, name, format, args);
    va_end(args);
    text = kit_qmp_at(reply, "error.desc");
    if (!strstr(text, words))
        g_error("%s: '%s' is not in %s", name, words, text);
}

JsonValue *kit_qmp_wait_event(KitQmp *qmp, const char *name)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;

    while (loop_clock_ns() < end_ns) {
        while (qmp->events->len > 0) {
            const JsonValue *event = g_ptr_array_index(qmp->events, 0);
            const JsonValue *data = json_member(event, "data");
            bool is_it = strcmp(json_as_string(json_member(event, "event")), name) == 0;
            JsonValue *found = is_it ? (data ? json_ref(data) : json_new_null()) : NULL;

            g_ptr_array_remove_index(qmp->events, 0);
            if (found)
                return found;
        }
        run(qmp);
    }
    g_error("no event %s", name);
}

unsigned kit_qmp_n_events(KitQmp *qmp, const char *name)
{
    unsigned n = 0;

    for (guint i = 0; i < qmp->events->len; i++) {
        const JsonValue *event = g_ptr_array_index(qmp->events, i);

        n += strcmp(json_as_string(json_member(event, "event")), name) == 0;
    }
    return n;
}

static const JsonValue *find(const JsonValue *value, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, ".", -1);

    for (char **part = parts; value && *part; part++) {
        if (json_kind(value) == JSON_ARRAY) {
            guint64 index = g_ascii_strtoull(*part, NULL, 10);

            value = index < json_length(value) ? json_at(value, index) : NULL;
        } else {
            value = json_kind(value) == JSON_OBJECT ? json_member(value, *part) : NULL;
        }
    }
    return value;
}

char *kit_qmp_at(const JsonValue *value, const char *path)
{
    const JsonValue *found = find(value, path);

    if (!found)
        return g_strdup("absent");
    return json_kind(found) == JSON_STRING ? g_strdup(json_as_string(found))
                                           : json_to_text(found);
}

void kit_qmp_assert_at(const JsonValue *value, const char *path, const char *expected)
{
    g_autofree char *text = kit_qmp_at(value, path);

    if (strcmp(text, expected) != 0)
        g_error("%s is '%s', not '%s'", path, text, expected);
}

int64_t kit_qmp_int(const JsonValue *value, const char *path)
{
    const JsonValue *found = find(value, path);
    int64_t number = 0;

    if (!found || !json_as_int(found, &number))
        g_error("%s is no number", path);
    return number;
}
