/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of HTTP/1.1 (RFC 9112) as a scraper needs: GET and HEAD without a body, and
 * connections that are kept.
 *
 *     READING --blank line--> answer, or WAITING for the turn or for the ledger
 *        ^                       |
 *        +-- connection kept ----+---- closed ----> CLOSING --sent, or late--> CUT
 *
 * What clients can cost:
 *
 * 1. A request has HEAD_MAX bytes, and REQUEST_NS from its first byte to its
 *    end; an answer is read within ANSWER_NS.  Who takes longer is cut off.
 * 2. There are METRICS_CLIENTS at a time.  One more takes the place of the one that has
 *    been idle, or closing, longest, or is turned away.
 * 3. Scrapes take a tenth of main's time at most: after one that took t the next waits
 *    9 t, and all who wait then get the same text.
 */
#include <string.h>

#include "qmp-commands.h"

#include "metrics-private.h"

#define HEAD_MAX 8192u
#define REQUEST_NS (5 * NS_PER_SEC)
#define ANSWER_NS (10 * NS_PER_SEC)
#define SENT_POLL_NS (20 * NS_PER_MS)
#define REST 9                  /* times as long as a scrape took */

#define TEXT_TYPE "text/plain; charset=utf-8"

static const char *const format_types[METRICS_FORMATS] = {
    [METRICS_OPENMETRICS] =
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    [METRICS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
};

typedef enum HttpState {
    HTTP_READING,
    HTTP_WAITING,
    HTTP_CLOSING,
    HTTP_CUT,                   /* its end will be told */
} HttpState;

typedef struct HttpSession {
    Metrics *metrics;
    const QmpSessionOps *ops;
    void *client;
    ListNode node;              /* in Metrics.sessions */
    HttpState state;
    GString *head;              /* of a request that is not complete; NULL: no byte yet */
    bool is_head;               /* of the request under way: it wants no body */
    MetricsFormat format;       /* of it */
    bool closes;                /* after the answer */
    int64_t idle_since_ns;
    int64_t deadline_ns;        /* CLOSING: when it is cut off at the latest */
    Timer timer;
    struct LedgerCall *ledger;  /* under way, or NULL */
} HttpSession;

/* x-query-memory-ledger in the name of a session, which may go before it ends. */
typedef struct LedgerCall {
    HttpSession *session;       /* NULL: it has gone */
    QmpSession qmp;             /* for the call; it is never fed */
} LedgerCall;

static void cut_off(HttpSession *session)
{
    timer_cancel(&session->timer);
    session->state = HTTP_CUT;
    monitor_client_hang_up(session->client);
}

static void on_time(void *opaque)
{
    HttpSession *session = opaque;
    int64_t now_ns = loop_clock_ns();

    if (session->state == HTTP_CLOSING && monitor_client_pending(session->client) > 0 &&
        now_ns < session->deadline_ns)
        timer_set(&session->timer, now_ns + SENT_POLL_NS);
    else if (session->state != HTTP_READING || session->head ||
             monitor_client_pending(session->client) > 0)
        cut_off(session);
}

static void begin_closing(HttpSession *session)
{
    int64_t now_ns = loop_clock_ns();

    session->state = HTTP_CLOSING;
    session->idle_since_ns = now_ns;
    session->deadline_ns = now_ns + ANSWER_NS;
    timer_set(&session->timer, now_ns);
}

/* Appends an answer, and goes on as it says. */
static void respond(HttpSession *session, const char *status, const char *type,
                    const char *text, size_t size, GString *out)
{
    g_string_append_printf(out, "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
                           "Content-Length: %zu\r\n%s\r\n", status, type, size,
                           session->closes ? "Connection: close\r\n" : "");
    if (!session->is_head)
        g_string_append_len(out, text, size);
    if (session->closes) {
        begin_closing(session);
        return;
    }
    session->state = HTTP_READING;
    session->idle_since_ns = loop_clock_ns();
    timer_set(&session->timer, session->idle_since_ns + ANSWER_NS);
}

/* A text for @session, in the format that it asked for. */
static void respond_text(HttpSession *session, const GString *text, GString *out)
{
    respond(session, "200 OK", format_types[session->format], text->str, text->len, out);
}

static void refuse(HttpSession *session, const char *status, bool closes, GString *out)
{
    g_autofree char *line = g_strconcat(status, "\n", NULL);

    session->closes = session->closes || closes;
    respond(session, status, TEXT_TYPE, line, strlen(line), out);
}

static bool is_idle(const HttpSession *session)
{
    return session->state == HTTP_CLOSING ||
           (session->state == HTTP_READING && !session->head);
}

static HttpSession *longest_idle(const Metrics *metrics)
{
    HttpSession *found = NULL;

    LIST_FOREACH(node, &metrics->sessions) {
        HttpSession *session = CONTAINER_OF(node, HttpSession, node);

        if (is_idle(session) &&
            (!found || session->idle_since_ns < found->idle_since_ns))
            found = session;
    }
    return found;
}

static unsigned n_served(const Metrics *metrics)
{
    unsigned n = 0;

    LIST_FOREACH(node, &metrics->sessions)
        n += CONTAINER_OF(node, HttpSession, node)->state != HTTP_CUT;
    return n;
}

static void begin(void *opaque, QmpContext *ctx, const QmpSessionOps *ops, void *client)
{
    HttpSession *session = opaque;
    Metrics *metrics = CONTAINER_OF(ctx, Metrics, context);

    session->metrics = metrics;
    session->ops = ops;
    session->client = client;
    timer_init(&session->timer, metrics->timer.loop, on_time, session);
    session->idle_since_ns = loop_clock_ns();
    list_append(&metrics->sessions, &session->node);
}

static void greet(void *opaque, bool focus, GString *out)
{
    HttpSession *session = opaque;
    HttpSession *idle;

    if (n_served(session->metrics) <= METRICS_CLIENTS)
        return;
    idle = longest_idle(session->metrics);
    if (idle != session)
        cut_off(idle);
    else
        refuse(session, "503 Service Unavailable", true, out);
}

static void end(void *opaque)
{
    HttpSession *session = opaque;

    if (session->ledger)
        session->ledger->session = NULL;
    timer_cancel(&session->timer);
    list_remove(&session->node);
    if (session->head)
        g_string_free(session->head, true);
}

/* The ledger is there. */
static void on_ledger(void *opaque, const void *value, const GError *error)
{
    LedgerCall *call = opaque;
    HttpSession *session = call->session;

    if (session) {
        g_autoptr(GString) out = g_string_new(NULL);

        session->ledger = NULL;
        if (error) {
            refuse(session, "503 Service Unavailable", false, out);
        } else {
            g_autoptr(MetricsText) ledger = metrics_ledger_read(value);
            g_autoptr(GString) text = metrics_text_write(ledger, session->format);

            respond_text(session, text, out);
        }
        session->ops->reply(session->client, out->str, out->len);
    }
    qmp_session_done(&call->qmp);
    g_free(call);
}

static void ask_ledger(HttpSession *session, QmpContext *ctx)
{
    LedgerCall *call = g_new0(LedgerCall, 1);

    session->state = HTTP_WAITING;
    session->ledger = call;
    timer_cancel(&session->timer);
    call->session = session;
    qmp_session_init(&call->qmp, ctx, session->ops, session->client);
    qmp_dispatch_call(&call->qmp, QMP_COMMAND_X_QUERY_MEMORY_LEDGER, NULL, on_ledger,
                      call);
}

/* The next scrape is not before the loop has had its share. */
static void rest(Metrics *metrics, int64_t begin_ns)
{
    int64_t end_ns = loop_clock_ns();

    metrics->next_ns = end_ns + REST * (end_ns - begin_ns);
}

/* Answers all who wait for their turn in @format. */
static void answer_waiting(Metrics *metrics, const MetricsText *read,
                           MetricsFormat format)
{
    g_autoptr(GString) text = NULL;

    LIST_FOREACH(node, &metrics->sessions) {
        HttpSession *session = CONTAINER_OF(node, HttpSession, node);
        g_autoptr(GString) out = NULL;

        if (session->state != HTTP_WAITING || session->ledger ||
            session->format != format)
            continue;
        if (!text)
            text = metrics_text_write(read, format);
        out = g_string_new(NULL);
        respond_text(session, text, out);
        session->ops->reply(session->client, out->str, out->len);
    }
}

/* The turn of those who wait for it. */
void metrics_http_on_turn(void *opaque)
{
    Metrics *metrics = opaque;
    int64_t begin_ns = loop_clock_ns();
    g_autoptr(MetricsText) read = metrics_scrape_read(metrics_object_context(metrics));

    for (unsigned i = 0; i < METRICS_FORMATS; i++)
        answer_waiting(metrics, read, i);
    rest(metrics, begin_ns);
}

static void answer_metrics(HttpSession *session, QmpContext *ctx, GString *out)
{
    Metrics *metrics = session->metrics;
    int64_t begin_ns = loop_clock_ns();

    if (begin_ns < metrics->next_ns) {
        session->state = HTTP_WAITING;
        timer_cancel(&session->timer);
        if (!timer_is_set(&metrics->timer))
            timer_set(&metrics->timer, metrics->next_ns);
    } else {
        g_autoptr(MetricsText) read = metrics_scrape_read(ctx);
        g_autoptr(GString) text = metrics_text_write(read, session->format);

        respond_text(session, text, out);
        rest(metrics, begin_ns);
    }
}

/*
 * The value of field @name in @head, lines of which end in LF; of several such fields the
 * values with commas between.  NULL: there is none.  The caller frees.
 */
static char *find_field(const char *head, const char *name)
{
    size_t size = strlen(name);
    char *found = NULL;

    for (const char *at = strchr(head, '\n'); at; at = strchr(at, '\n')) {
        g_autofree char *before = found;
        g_autofree char *value = NULL;

        at++;
        if (g_ascii_strncasecmp(at, name, size) != 0 || at[size] != ':') {
            g_steal_pointer(&before);
            continue;
        }
        value = g_strstrip(g_strndup(at + size + 1, strcspn(at + size + 1, "\r\n")));
        found = before ? g_strconcat(before, ",", value, NULL) : g_steal_pointer(&value);
    }
    return found;
}

/* Whether there is a body, which no request that is answered has. */
static bool has_body(const char *head)
{
    g_autofree char *length = find_field(head, "Content-Length");
    g_autofree char *coding = find_field(head, "Transfer-Encoding");

    return coding || (length && strcmp(length, "0") != 0);
}

/* Whether the client says that this request is its last. */
static bool says_close(const char *head)
{
    g_autofree char *connection = find_field(head, "Connection");
    g_auto(GStrv) words = connection ? g_strsplit(connection, ",", 0) : NULL;

    for (char **word = words; word && *word; word++) {
        if (g_ascii_strcasecmp(g_strstrip(*word), "close") == 0)
            return true;
    }
    return false;
}

static void answer_get(HttpSession *session, const char *target, const char *accept,
                       GString *out)
{
    QmpContext *ctx = metrics_object_context(session->metrics);
    g_autofree char *path = g_strndup(target, strcspn(target, "?"));
    bool is_ledger = strcmp(path, "/ledger") == 0;

    if (!ctx)
        refuse(session, "503 Service Unavailable", false, out);
    else if (!is_ledger && strcmp(path, "/metrics") != 0)
        refuse(session, "404 Not Found", false, out);
    else if (!metrics_accept_choose(accept, &session->format))
        refuse(session, "406 Not Acceptable", false, out);
    else if (is_ledger)
        ask_ledger(session, ctx);
    else
        answer_metrics(session, ctx, out);
}

/* @head is a request up to its blank line, without NULs. */
static void answer(HttpSession *session, const char *head, GString *out)
{
    g_autofree char *line = g_strndup(head, strcspn(head, "\r\n"));
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    g_autofree char *accept = find_field(head, "Accept");
    bool is_old = g_strv_length(words) == 3 && strcmp(words[2], "HTTP/1.0") == 0;

    session->is_head = false;
    session->closes = is_old || says_close(head);
    if (g_strv_length(words) != 3 || words[1][0] != '/' ||
        (!is_old && strcmp(words[2], "HTTP/1.1") != 0)) {
        refuse(session, "400 Bad Request", true, out);
        return;
    }
    if (has_body(head)) {
        refuse(session, "413 Content Too Large", true, out);
        return;
    }
    session->is_head = strcmp(words[0], "HEAD") == 0;
    if (session->is_head || strcmp(words[0], "GET") == 0)
        answer_get(session, words[1], accept, out);
    else
        refuse(session, "405 Method Not Allowed", true, out);
}

/* Whether @head ends in a blank line. */
static bool is_complete(const GString *head)
{
    return g_str_has_suffix(head->str, "\n\r\n") || g_str_has_suffix(head->str, "\n\n");
}

/* Takes bytes of a request up to its end, or to the limit; returns how many. */
static size_t take_head(HttpSession *session, const char *data, size_t size)
{
    size_t used = 0;

    while (used < size && session->head->len < HEAD_MAX && data[used] &&
           !is_complete(session->head))
        g_string_append_c(session->head, data[used++]);
    return used;
}

static bool feed(void *opaque, const char *data, size_t size, size_t *ret_used,
                 GString *out)
{
    HttpSession *session = opaque;
    g_autoptr(GString) head = NULL;

    *ret_used = size;
    if (session->state == HTTP_CLOSING || session->state == HTTP_CUT)
        return false;
    if (!session->head) {
        session->head = g_string_new(NULL);
        timer_set(&session->timer, loop_clock_ns() + REQUEST_NS);
    }
    *ret_used = take_head(session, data, size);
    if (!is_complete(session->head) && *ret_used == size)
        return false;
    head = g_steal_pointer(&session->head);
    if (is_complete(head))
        answer(session, head->str, out);
    else if (head->len >= HEAD_MAX)
        refuse(session, "431 Request Header Fields Too Large", true, out);
    else
        refuse(session, "400 Bad Request", true, out);
    return session->state != HTTP_WAITING;
}

static bool can_feed(const void *opaque, size_t size)
{
    return ((const HttpSession *)opaque)->state != HTTP_WAITING && size > 0;
}

static size_t held(const void *opaque)
{
    const HttpSession *session = opaque;

    return session->head ? session->head->allocated_len : 0;
}

const MonitorLanguage metrics_http_language = {
    .session_size = sizeof(HttpSession),
    .begin = begin,
    .end = end,
    .greet = greet,
    .feed = feed,
    .can_feed = can_feed,
    .held = held,
    .input_max = HEAD_MAX,
};
