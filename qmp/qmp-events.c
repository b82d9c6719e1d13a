/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: written once, as one line and once more pretty where a session wants that, then
 * sent to every session that has negotiated.
 */
#include "berth/qapi-tables.h"
#include "berth/qmp.h"
#include "berth/thread.h"
#include "qmp-line.h"

struct QmpEvents {
    ListNode sessions;
};

QmpEvents *qmp_events_new(void)
{
    QmpEvents *events = g_new0(QmpEvents, 1);

    list_init(&events->sessions);
    return events;
}

void qmp_events_free(QmpEvents *events)
{
    if (!events)
        return;
    g_assert(list_is_empty(&events->sessions));
    g_free(events);
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

void qmp_events_emit(QmpEvents *events, unsigned event, const void *data)
{
    int64_t now_us = g_get_real_time();
    GString *lines[2] = { NULL, NULL };     /* plain, pretty */

    assert_main();
    if (!events)
        return;
    LIST_FOREACH(node, &events->sessions) {
        QmpSession *session = CONTAINER_OF(node, QmpSession, node);
        GString **line = &lines[session->pretty];

        if (!*line)
            *line = write_event(&qmp_events[event], data, now_us, session->pretty);
        session->ops->send(session->opaque, (*line)->str, (*line)->len);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        if (lines[i])
            g_string_free(lines[i], TRUE);
    }
}
