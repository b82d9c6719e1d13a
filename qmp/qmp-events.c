/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: written once, as one line and once more pretty where a session wants that, then
 * sent to every session that has negotiated.
 *
 * Events that a guest can cause at will are limited: after one was sent, the next of its
 * kind (for some, of its kind and subject) waits for the end of a period, and a later one
 * takes the place of one that waits.  So the last state always arrives.  It has the time
 * at which it happened.
 */
#include "berth/qapi-tables.h"
#include "berth/qmp.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/trace.h"
#include "qapi-events.h"
#include "qmp-line.h"

struct QmpEvents {
    ListNode sessions;
    Loop *loop;                 /* NULL: no event is limited */
    int64_t period_ns;
    GHashTable *limits;         /* of EventLimit: kind and subject sent lately */
    uint64_t counts[QAPI_EVENT__MAX];   /* of those that were sent */
};

/* One kind and subject; it lives while its timer is set. */
typedef struct EventLimit {
    QmpEvents *events;
    char *key;
    unsigned event;
    bool waits;
    void *data;                 /* of what waits */
    int64_t when_us;
    Timer timer;
} EventLimit;

static const struct {
    unsigned event;
    const char *subject;        /* a member of the data; NULL: the kind alone */
} limited[] = {
    { QAPI_EVENT_BALLOON_CHANGE, NULL },
    { QAPI_EVENT_BLOCK_IO_ERROR, "qom-path" },
    { QAPI_EVENT_MEMORY_DEVICE_SIZE_CHANGE, "qom-path" },
    { QAPI_EVENT_MEMORY_FAILURE, NULL },
    { QAPI_EVENT_RTC_CHANGE, NULL },
    { QAPI_EVENT_VSERPORT_CHANGE, "id" },
    { QAPI_EVENT_WATCHDOG, "action" },
    { QAPI_EVENT_X_AUTOBALLOON_DECISION, NULL },
};

static void limit_free(gpointer opaque)
{
    EventLimit *limit = opaque;

    timer_cancel(&limit->timer);
    qapi_free(qmp_events[limit->event].data, limit->data);
    g_free(limit->key);
    g_free(limit);
}

QmpEvents *qmp_events_new(void)
{
    QmpEvents *events = g_new0(QmpEvents, 1);

    list_init(&events->sessions);
    events->limits = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, limit_free);
    return events;
}

void qmp_events_free(QmpEvents *events)
{
    if (!events)
        return;
    g_assert(list_is_empty(&events->sessions));
    g_hash_table_unref(events->limits);
    g_free(events);
}

void qmp_events_limit_rates(QmpEvents *events, Loop *loop, int64_t period_ns)
{
    events->loop = loop;
    events->period_ns = period_ns;
}

void qmp_events_subscribe(QmpEvents *events, QmpSession *session)
{
    assert_main();
    if (events)
        list_append(&events->sessions, &session->node);
}

static GString *write_event(const QmpEvent *event, const void *data, int64_t now_us,
                            bool pretty)
{
    GString *out = g_string_new(NULL);
    JsonWriter writer;

    qmp_line_begin(&writer, out, pretty);
    json_writer_key(&writer, "timestamp");
    json_writer_begin_object(&writer);
    json_writer_key(&writer, "seconds");
    json_writer_int(&writer, now_us / G_USEC_PER_SEC);
    json_writer_key(&writer, "microseconds");
    json_writer_int(&writer, now_us % G_USEC_PER_SEC);
    json_writer_end_object(&writer);
    json_writer_key(&writer, "event");
    json_writer_string(&writer, qapi_text(event->name));
    if (event->data) {
        json_writer_key(&writer, "data");
        qapi_write(event->data, data, &writer);
    }
    qmp_line_end(&writer);
    return out;
}

static void send(QmpEvents *events, unsigned event, const void *data, int64_t when_us)
{
    GString *lines[2] = { NULL, NULL };     /* plain, pretty */

    events->counts[event]++;
    TRACE(qmp_event, "%s", qapi_text(qmp_events[event].name));
    LIST_FOREACH(node, &events->sessions) {
        QmpSession *session = CONTAINER_OF(node, QmpSession, node);
        GString **line = &lines[session->pretty];

        if (!*line)
            *line = write_event(&qmp_events[event], data, when_us, session->pretty);
        session->ops->send(session->opaque, (*line)->str, (*line)->len);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        if (lines[i])
            g_string_free(lines[i], TRUE);
    }
}

/* What is limited together with this event, or NULL when it is not limited. */
static char *limit_key(unsigned event, const void *data)
{
    for (size_t i = 0; i < G_N_ELEMENTS(limited); i++) {
        const char *subject = limited[i].subject;
        g_autoptr(JsonValue) json = NULL;

        if (limited[i].event != event)
            continue;
        if (!subject)
            return g_strdup_printf("%u", event);
        json = qapi_emit(qmp_events[event].data, data);
        return g_strdup_printf("%u %s", event,
                               json_as_string(json_member(json, subject)));
    }
    return NULL;
}

static void on_period(void *opaque)
{
    EventLimit *limit = opaque;
    QapiTypeId type = qmp_events[limit->event].data;

    if (!limit->waits) {
        g_hash_table_remove(limit->events->limits, limit->key);
        return;
    }
    limit->waits = false;
    timer_set(&limit->timer, loop_clock_ns() + limit->events->period_ns);
    send(limit->events, limit->event, limit->data, limit->when_us);
    qapi_free(type, g_steal_pointer(&limit->data));
}

/* Whether the event is sent now; else it waits.  Takes @key. */
static bool pass_limit(QmpEvents *events, char *key, unsigned event, const void *data,
                       int64_t now_us)
{
    EventLimit *limit = g_hash_table_lookup(events->limits, key);

    if (limit) {
        QapiTypeId type = qmp_events[event].data;

        g_free(key);
        qapi_free(type, limit->data);
        limit->data = qapi_clone(type, data);
        limit->when_us = now_us;
        limit->waits = true;
        return false;
    }
    limit = g_new0(EventLimit, 1);
    limit->events = events;
    limit->key = key;
    limit->event = event;
    timer_init(&limit->timer, events->loop, on_period, limit);
    timer_set(&limit->timer, loop_clock_ns() + events->period_ns);
    g_hash_table_insert(events->limits, key, limit);
    return true;
}

void qmp_events_emit(QmpEvents *events, unsigned event, const void *data)
{
    int64_t now_us = g_get_real_time();
    char *key;

    assert_main();
    if (!events)
        return;
    key = events->loop ? limit_key(event, data) : NULL;
    if (!key || pass_limit(events, key, event, data, now_us))
        send(events, event, data, now_us);
}

uint64_t qmp_events_count(const QmpEvents *events, unsigned event)
{
    return events ? events->counts[event] : 0;
}
