/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions over character devices.
 *
 *     read() -> input -> language->feed() -> output -> char_write()
 *                 ^            |                ^
 *                 |            +- event, reply -+
 *                 +-- writable(), reply(), `more` message
 *
 * Invariants:
 * 1. While there is input that was not fed, can_read() is 0: nothing more is read.
 * 2. Input waits for the message `more` (the turn's requests are used up), for writable()
 *    (too much output waits) or for the reply to the command under way; never for
 *    nothing.
 * 3. `busy` is set around language->feed().  A handler may turn the loop, in which the
 *    client may go away: then it is `gone`, and feed_input() ends its session.  So no
 *    session ends inside its own handler.
 * 4. An event that a handler causes is in the output before the handler's reply, which
 *    is collected beside it.
 */
#include "berth/char-set.h"
#include "berth/log.h"
#include "berth/monitor.h"
#include "berth/thread.h"
#include "berth/trace.h"

#define FLUSH_NS NS_PER_SEC

typedef struct MonitorClient {
    Monitor *monitor;
    Chardev *chr;
    ListNode node;
    bool accepted;              /* one of char_listen() */
    bool busy;
    bool gone;                  /* while `busy` */
    void *session;              /* the language's; NULL: there is none */
    GString *input;             /* NULL while empty */
    size_t fed;                 /* of the input */
    GString *output;            /* NULL while empty */
    size_t sent;                /* of the output */
    unsigned n_dropped;         /* events, since the client was last quick enough */
    LoopMessage more;
} MonitorClient;

struct Monitor {
    Chardev *chr;
    QmpContext *ctx;
    Loop *loop;
    const MonitorLanguage *language;
    bool holds_input;
    ListNode clients;
    LogLimit log_limit;
    MonitorCounters counters;
};

const CounterDesc monitor_counters[] = {
    COUNTER(MonitorCounters, clients),
    COUNTER(MonitorCounters, commands),
    COUNTER(MonitorCounters, events),
    COUNTER(MonitorCounters, events_dropped),
    COUNTER(MonitorCounters, bytes_in),
    COUNTER(MonitorCounters, bytes_out),
    COUNTERS_END
};

static size_t output_size(const MonitorClient *client)
{
    return client->output ? client->output->len - client->sent : 0;
}

/* Hands the chardev what it takes. */
static void flush_output(MonitorClient *client)
{
    GString *output = client->output;

    while (output && client->sent < output->len) {
        size_t n = char_write(client->chr, output->str + client->sent,
                              output->len - client->sent);

        client->sent += n;
        if (n == 0)
            return;
    }
    if (output)
        g_string_free(output, true);
    client->output = NULL;
    client->sent = 0;
}

/* What was sent of a long output is cut off from time to time. */
static void add_output(MonitorClient *client, const char *text, size_t size)
{
    counter_add(&client->monitor->counters.bytes_out, size);
    if (!client->output)
        client->output = g_string_new(NULL);
    if (client->sent > client->output->len / 2) {
        g_string_erase(client->output, 0, client->sent);
        client->sent = 0;
    }
    g_string_append_len(client->output, text, size);
    flush_output(client);
}

static void on_event_line(void *opaque, const char *text, size_t size)
{
    MonitorClient *client = opaque;
    Monitor *monitor = client->monitor;

    if (output_size(client) < MONITOR_OUTPUT_MAX) {
        counter_add(&monitor->counters.events, 1);
        add_output(client, text, size);
        return;
    }
    counter_add(&monitor->counters.events_dropped, 1);
    if (client->n_dropped++ == 0 && log_limit_pass(&monitor->log_limit, NULL))
        log_warn("monitor '%s': a client does not read: events to it are dropped",
                 char_id(monitor->chr));
}

/* Ends the wait for a command that was under way; out of its handler, so not at once. */
static void on_reply_line(void *opaque, const char *text, size_t size)
{
    MonitorClient *client = opaque;

    counter_add(&client->monitor->counters.commands, 1);
    add_output(client, text, size);
    loop_post(client->monitor->loop, &client->more);
}

static int take_client_fd(void *opaque)
{
    return char_take_fd(((MonitorClient *)opaque)->chr);
}

static const QmpSessionOps session_ops = {
    .send = on_event_line,
    .reply = on_reply_line,
    .take_fd = take_client_fd,
};

size_t monitor_client_pending(const void *opaque)
{
    const MonitorClient *client = opaque;

    return output_size(client) + char_pending(client->chr);
}

void monitor_client_hang_up(void *opaque)
{
    const MonitorClient *client = opaque;

    char_yank(client->chr);
    char_accept_input(client->chr);
}

/*
 * Whether what is typed comes here.  Until there is a machine, other users of a mux are
 * to come.
 */
static bool has_focus(const MonitorClient *client)
{
    return client->monitor->ctx->ready && char_has_focus(client->chr);
}

static void begin_session(MonitorClient *client)
{
    const MonitorLanguage *language = client->monitor->language;
    g_autoptr(GString) greeting = g_string_new(NULL);

    TRACE(monitor_open, "%s", char_id(client->chr));
    counter_add(&client->monitor->counters.clients, 1);
    client->n_dropped = 0;
    client->session = g_malloc0(language->session_size);
    language->begin(client->session, client->monitor->ctx, &session_ops, client);
    language->greet(client->session, has_focus(client), greeting);
    add_output(client, greeting->str, greeting->len);
}

static void drop_input(MonitorClient *client)
{
    if (client->input)
        g_string_free(client->input, true);
    client->input = NULL;
    client->fed = 0;
}

static void end_session(MonitorClient *client)
{
    if (!client->session)
        return;
    TRACE(monitor_close, "%s", char_id(client->chr));
    client->monitor->language->end(client->session);
    g_clear_pointer(&client->session, g_free);
    loop_message_cancel(client->monitor->loop, &client->more);
    drop_input(client);
    if (client->output)
        g_string_free(client->output, true);
    client->output = NULL;
    client->sent = 0;
}

static void free_client(MonitorClient *client)
{
    list_remove(&client->node);
    end_session(client);
    g_free(client);
}

/* The far end has gone: the last thing that is done with an accepted client. */
static void client_gone(MonitorClient *client)
{
    Chardev *chr = client->chr;

    g_assert(!client->busy);
    if (client->accepted) {
        free_client(client);
        char_close(chr);
    } else {
        end_session(client);
    }
}

static size_t input_size(const MonitorClient *client)
{
    return client->input ? client->input->len - client->fed : 0;
}

/* Feeds the session up to its first reply. */
static void feed_request(MonitorClient *client, GString *reply)
{
    Monitor *monitor = client->monitor;
    size_t size = input_size(client), used;
    const char *data = size > 0 ? client->input->str + client->fed : NULL;
    bool answered;

    g_string_truncate(reply, 0);
    client->busy = true;
    answered = monitor->language->feed(client->session, data, size, &used, reply);
    client->busy = false;
    client->fed += used;
    if (answered)
        counter_add(&monitor->counters.commands, 1);
    if (reply->len > 0)
        add_output(client, reply->str, reply->len);
}

/* Whether the session would take @size bytes, and there is room for its reply. */
static bool may_take(const MonitorClient *client, size_t size)
{
    return client->monitor->language->can_feed(client->session, size) &&
           output_size(client) < MONITOR_OUTPUT_HIGH;
}

/* Whether there is something to execute, and room for its reply. */
static bool may_feed(const MonitorClient *client)
{
    return may_take(client, input_size(client));
}

/*
 * It went inside its own handler.  Where there is one session at a time the next may be
 * there already.
 */
static void end_gone(MonitorClient *client)
{
    bool accepted = client->accepted;

    client->gone = false;
    client_gone(client);
    if (!accepted && char_is_open(client->chr))
        begin_session(client);
}

/*
 * Executes what came, as far as this turn and the output allow.  @client may be freed
 * afterwards.
 */
static void feed_input(MonitorClient *client)
{
    GString *reply = g_string_new(NULL);

    for (int i = 0; i < MONITOR_TURN_REQUESTS && !client->gone && may_feed(client); i++)
        feed_request(client, reply);
    g_string_free(reply, true);

    if (client->gone) {
        end_gone(client);
        return;
    }
    if (may_feed(client))
        loop_post(client->monitor->loop, &client->more);
    if (input_size(client) > 0)
        return;
    drop_input(client);
    char_accept_input(client->chr);
}

static void on_more(void *opaque)
{
    MonitorClient *client = opaque;

    if (!client->busy)
        feed_input(client);
}

static size_t client_can_read(void *opaque)
{
    const MonitorClient *client = opaque;
    bool may_read = client->session && !client->busy && !client->input &&
                    !client->monitor->holds_input && may_take(client, 1);

    return may_read ? MONITOR_INPUT_SIZE : 0;
}

static void client_read(void *opaque, const uint8_t *data, size_t size)
{
    MonitorClient *client = opaque;

    counter_add(&client->monitor->counters.bytes_in, size);
    client->input = g_string_new_len((const char *)data, size);
    feed_input(client);
}

static void client_writable(void *opaque)
{
    MonitorClient *client = opaque;

    flush_output(client);
    if (output_size(client) >= MONITOR_OUTPUT_HIGH || client->busy)
        return;
    if (client->n_dropped > 0 && log_limit_pass(&client->monitor->log_limit, NULL))
        log_warn("monitor '%s': a client reads again: %u events to it were dropped",
                 char_id(client->monitor->chr), client->n_dropped);
    client->n_dropped = 0;
    if (client->session && may_feed(client))
        loop_post(client->monitor->loop, &client->more);
    else if (!client->input)
        char_accept_input(client->chr);
}

static void tell_focus(MonitorClient *client)
{
    const MonitorLanguage *language = client->monitor->language;
    g_autoptr(GString) text = NULL;

    if (!client->session || !language->focus)
        return;
    text = g_string_new(NULL);
    language->focus(client->session, has_focus(client), text);
    add_output(client, text->str, text->len);
}

static void client_event(void *opaque, CharEvent event)
{
    MonitorClient *client = opaque;

    switch (event) {
    case CHAR_EVENT_OPENED:
        if (!client->gone)
            begin_session(client);
        break;
    case CHAR_EVENT_CLOSED:
        if (client->busy)
            client->gone = true;
        else
            client_gone(client);
        break;
    case CHAR_EVENT_FOCUS_IN:
    case CHAR_EVENT_FOCUS_OUT:
        tell_focus(client);
        break;
    case CHAR_EVENT_BREAK:
        break;
    }
}

static const CharUser client_user = {
    .can_read = client_can_read,
    .read = client_read,
    .writable = client_writable,
    .event = client_event,
    .reads_to_end = true,
    .drops_requests = true,
};

static MonitorClient *add_client(Monitor *monitor, Chardev *chr, GError **error)
{
    MonitorClient *client = g_new0(MonitorClient, 1);

    client->monitor = monitor;
    loop_message_init(&client->more, on_more, client);
    client->chr = char_attach(chr, &client_user, client, error);
    if (!client->chr) {
        g_free(client);
        return NULL;
    }
    list_append(&monitor->clients, &client->node);
    if (char_is_open(client->chr))
        begin_session(client);
    return client;
}

static void on_accept(void *opaque, Chardev *chr)
{
    add_client(opaque, chr, NULL)->accepted = true;
}

Monitor *monitor_new(Chardev *chr, const MonitorLanguage *language, QmpContext *ctx,
                     GError **error)
{
    g_autofree Monitor *monitor = g_new0(Monitor, 1);
    bool added;

    assert_main();
    monitor->chr = chr;
    monitor->ctx = ctx;
    monitor->loop = char_loop(chr);
    monitor->language = language;
    list_init(&monitor->clients);
    if (char_can_listen(chr))
        added = char_listen(chr, on_accept, monitor, error);
    else
        added = add_client(monitor, chr, error) != NULL;
    return added ? g_steal_pointer(&monitor) : NULL;
}

void monitor_free(Monitor *monitor)
{
    if (!monitor)
        return;
    assert_main();
    LIST_FOREACH(node, &monitor->clients) {
        MonitorClient *client = CONTAINER_OF(node, MonitorClient, node);
        Chardev *chr = client->chr;
        bool accepted = client->accepted;

        g_assert(!client->busy);
        free_client(client);
        if (accepted)
            char_close(chr);
        else
            char_detach(chr);
    }
    if (char_is_listener(monitor->chr))
        char_unlisten(monitor->chr);
    g_free(monitor);
}

const MonitorCounters *monitor_counted(const Monitor *monitor)
{
    return &monitor->counters;
}

static size_t text_size(const GString *text)
{
    return text ? text->allocated_len : 0;
}

void monitor_memory(const Monitor *monitor, uint64_t *ret_now, uint64_t *ret_most)
{
    const MonitorLanguage *language = monitor->language;
    uint64_t own = sizeof(MonitorClient) + language->session_size;
    unsigned n_most = char_is_listener(monitor->chr) ? CHAR_MAX_CLIENTS : 1;

    *ret_now = sizeof(*monitor);
    LIST_FOREACH(node, &monitor->clients) {
        const MonitorClient *client = CONTAINER_OF(node, MonitorClient, node);

        *ret_now += own + text_size(client->input) + text_size(client->output);
        if (client->session && language->held)
            *ret_now += language->held(client->session);
    }
    *ret_most = sizeof(*monitor) +
        n_most * (own + language->input_max + MONITOR_INPUT_SIZE + MONITOR_OUTPUT_MAX);
}

const char *monitor_chardev(const Monitor *monitor)
{
    return char_id(monitor->chr);
}

void monitor_hold_input(Monitor *monitor, bool hold)
{
    assert_main();
    monitor->holds_input = hold;
    LIST_FOREACH(node, &monitor->clients) {
        MonitorClient *client = CONTAINER_OF(node, MonitorClient, node);

        if (hold)
            continue;
        tell_focus(client);
        char_accept_input(client->chr);
    }
}

static void flush_client(MonitorClient *client, int64_t deadline_ns)
{
    do
        flush_output(client);
    while (char_flush(client->chr, deadline_ns) && output_size(client) > 0);
}

void monitor_flush_all(const GPtrArray *monitors)
{
    int64_t deadline_ns = loop_clock_ns() + FLUSH_NS;

    assert_main();
    for (guint i = 0; i < monitors->len; i++) {
        const Monitor *monitor = g_ptr_array_index(monitors, i);

        LIST_FOREACH(node, &monitor->clients)
            flush_client(CONTAINER_OF(node, MonitorClient, node), deadline_ns);
    }
}
