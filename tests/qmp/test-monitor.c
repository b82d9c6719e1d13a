/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>

#include "berth/log.h"
#include "berth/monitor.h"
#include "berth/qapi-tables.h"
#include "qapi-events.h"
#include "qmp-commands.h"

#include "char-bench.h"

#define MAX_CLIENTS 4

/* A monitor and its clients, in one thread: whatever waits for berth turns the loop. */
typedef struct Bench {
    CharBench chars;
    QmpContext ctx;
    Monitor *monitor;
    int clients[MAX_CLIENTS];
    GString *received[MAX_CLIENTS];
    size_t taken[MAX_CLIENTS];          /* of what was received, as lines */
    int n_calls;
    int closes;                 /* a client that query-kvm closes, or -1 */
    QmpCommand *commands;       /* the schema's, of which "cont" is asynchronous */
    QmpReply *reply;            /* of "cont" */
} Bench;

static void *answer_at_length(Bench *bench)
{
    UuidInfo *info = g_new0(UuidInfo, 1);

    bench->n_calls++;
    info->UUID = g_strnfill(100000, 'x');
    return info;
}

/* Handlers that need no machine. */
static void *answer(Bench *bench, unsigned command, GError **error)
{
    NameInfo *name = g_new0(NameInfo, 1);

    bench->n_calls++;
    if (command == QMP_COMMAND_QUERY_NAME) {
        name->name = g_strdup_printf("%d", bench->n_calls);
        return name;
    }
    qapi_free_NameInfo(name);
    error_set(error, "not in this test");
    return NULL;
}

static void *close_client(Bench *bench)
{
    KvmInfo *info = g_new0(KvmInfo, 1);

    if (bench->closes >= 0)
        base_close_fd(&bench->clients[bench->closes]);
    for (int i = 0; i < 5; i++)
        loop_turn(bench->chars.loop, false);
    return info;
}

static bool call(unsigned command, QmpContext *ctx, const void *args, void **ret_value,
                 GError **error)
{
    Bench *bench = CONTAINER_OF(ctx, Bench, ctx);

    *ret_value = NULL;
    switch (command) {
    case QMP_COMMAND_QMP_CAPABILITIES:
        return qmp_qmp_capabilities(ctx, args, error);
    case QMP_COMMAND_GETFD:
        return qmp_getfd(ctx, args, error);
    case QMP_COMMAND_CLOSEFD:
        return qmp_closefd(ctx, args, error);
    case QMP_COMMAND_QUERY_CHARDEV:
        return (*ret_value = qmp_query_chardev(ctx, error)) != NULL;
    case QMP_COMMAND_STOP:
        qapi_event_stop(ctx->events);
        return true;
    case QMP_COMMAND_QUIT:
        loop_quit(bench->chars.loop);
        return true;
    case QMP_COMMAND_QUERY_UUID:
        return (*ret_value = answer_at_length(bench)) != NULL;
    case QMP_COMMAND_QUERY_KVM:
        return (*ret_value = close_client(bench)) != NULL;
    default:
        return (*ret_value = answer(bench, command, error)) != NULL;
    }
}

/* "cont", which ends when the test says so. */
static void start_command(unsigned command, QmpContext *ctx, const void *args,
                          QmpReply *reply)
{
    Bench *bench = CONTAINER_OF(ctx, Bench, ctx);

    g_assert_cmpuint(command, ==, QMP_COMMAND_CONT);
    g_assert_null(bench->reply);
    bench->reply = reply;
}

static void end_command(Bench *bench)
{
    qmp_reply_return(g_steal_pointer(&bench->reply), NULL);
}

static void set_up(Bench *bench, const void *unused)
{
    char_bench_set_up(&bench->chars, NULL);
    bench->commands = g_memdup2(qmp_commands, qmp_n_commands * sizeof(qmp_commands[0]));
    bench->commands[QMP_COMMAND_CONT].flags |= QMP_COMMAND_ASYNC;
    bench->commands[QMP_COMMAND_QUERY_NAME].flags |= QMP_COMMAND_ALLOW_OOB;
    bench->reply = NULL;
    bench->ctx = (QmpContext) { .chars = bench->chars.set, .events = qmp_events_new(),
                                .call = call, .start = start_command, .ready = true,
                                .commands = bench->commands };
    bench->n_calls = 0;
    bench->closes = -1;
    for (int i = 0; i < MAX_CLIENTS; i++) {
        bench->clients[i] = -1;
        bench->received[i] = g_string_new("");
        bench->taken[i] = 0;
    }
}

static void tear_down(Bench *bench, const void *unused)
{
    monitor_free(bench->monitor);
    char_bench_tear_down(&bench->chars, NULL);
    qmp_events_free(bench->ctx.events);
    for (int i = 0; i < MAX_CLIENTS; i++) {
        base_close_fd(&bench->clients[i]);
        g_string_free(bench->received[i], true);
    }
    g_free(bench->commands);
    log_set_level(LOG_LEVEL_WARN);
}

static void start(Bench *bench, const char *options, bool pretty)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *server = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                              bench->chars.path);
    Chardev *chr = char_bench_add(&bench->chars, "mon", options ? options : server);

    bench->monitor = monitor_new(chr, pretty ? &qmp_language_pretty : &qmp_language,
                                 &bench->ctx, &error);
    g_assert_no_error(error);
}

/* Takes what has come for client @i. */
static bool receive(Bench *bench, int i)
{
    static char data[65536];
    ssize_t n = recv(bench->clients[i], data, sizeof(data), MSG_DONTWAIT);

    if (n > 0)
        g_string_append_len(bench->received[i], data, n);
    return n != 0;
}

/* The next line, with its end; NULL at the end of the connection.  The caller frees. */
static char *next_line(Bench *bench, int i)
{
    const GString *received = bench->received[i];
    int64_t end_ns = loop_clock_ns() + 60 * NS_PER_SEC;
    size_t from = bench->taken[i];
    char *end;

    while (!(end = memchr(received->str + from, '\n', received->len - from))) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        if (!receive(bench, i))
            return NULL;
        loop_turn(bench->chars.loop, false);
    }
    bench->taken[i] = end + 1 - received->str;
    return g_strndup(received->str + from, bench->taken[i] - from);
}

static void forget(Bench *bench, int i)
{
    g_string_truncate(bench->received[i], 0);
    bench->taken[i] = 0;
}

static void assert_line(Bench *bench, int i, const char *expected)
{
    g_autofree char *line = next_line(bench, i);
    g_autofree char *whole = g_strconcat(expected, "\r\n", NULL);

    g_assert_cmpstr(line, ==, whole);
}

static void assert_line_has(Bench *bench, int i, const char *part)
{
    g_autofree char *line = next_line(bench, i);

    if (!line || !strstr(line, part))
        g_error("expected \"%s\" in: %.300s", part, line);
}

/* Sends all of @size bytes, turning the loop while berth takes none. */
static void send_bytes(Bench *bench, int i, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(bench->clients[i], data, MIN(size, 65536),
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            data += n;
            size -= n;
        }
        loop_turn(bench->chars.loop, false);
    }
}

static void send_text(Bench *bench, int i, const char *text)
{
    send_bytes(bench, i, text, strlen(text));
}

static void negotiate(Bench *bench, int i)
{
    assert_line_has(bench, i, "{\"QMP\": {\"version\": {\"qemu\": {");
    send_text(bench, i, "{\"execute\": \"qmp_capabilities\"}\r\n");
    assert_line(bench, i, "{\"return\": {}}");
}

static void connect_client(Bench *bench, int i)
{
    bench->clients[i] = char_bench_connect(bench->chars.path);
    negotiate(bench, i);
}

static void connect_client_with_oob(Bench *bench)
{
    bench->clients[0] = char_bench_connect(bench->chars.path);
    assert_line_has(bench, 0, "{\"QMP\"");
    send_text(bench, 0, "{\"execute\": \"qmp_capabilities\", \"arguments\": "
              "{\"enable\": [\"oob\"]}}");
    assert_line(bench, 0, "{\"return\": {}}");
}

static void test_greeting_negotiation_and_ids(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    bench->clients[0] = char_bench_connect(bench->chars.path);
    assert_line_has(bench, 0, "\"capabilities\": [\"oob\"]}}\r\n");
    send_text(bench, 0, "{\"execute\": \"query-name\", \"id\": 1}");
    assert_line_has(bench, 0, "{\"error\": {\"class\": \"CommandNotFound\"");
    send_text(bench, 0, "{\"execute\": \"qmp_capabilities\", \"arguments\": "
              "{\"enable\": [\"oob\"]}, \"id\": {\"a\": [null]}}");
    assert_line(bench, 0, "{\"return\": {}, \"id\": {\"a\": [null]}}");
    send_text(bench, 0, "{\"execute\": \"query-name\", \"id\": \"x\"}\n");
    assert_line(bench, 0, "{\"return\": {\"name\": \"1\"}, \"id\": \"x\"}");
    send_text(bench, 0, "{\"execute\": \"no-such\", \"id\": \"y\"}\n");
    assert_line_has(bench, 0, "\"CommandNotFound\"");
}

static void test_pretty(Bench *bench, const void *unused)
{
    start(bench, NULL, true);
    bench->clients[0] = char_bench_connect(bench->chars.path);
    g_free(next_line(bench, 0));
    assert_line_has(bench, 0, "    \"QMP\": {\n");
}

/* Malformed input, and a part of each reply; the session goes on after each. */
typedef struct Malformed {
    const char *input;
    const char *reply;
} Malformed;

static const Malformed malformed[] = {
    { "{\"execute\": }", "GenericError" },
    { "[1, 2}", "GenericError" },
    { "}", "GenericError" },
    { "nonsense ", "GenericError" },
    { "[]", "must be a JSON object" },
    { "17 ", "must be a JSON object" },
    { "\"text\"", "must be a JSON object" },
    { "{}", "'execute'" },
    { "{\"execute\": 1}", "'execute'" },
    { "{\"execute\": \"query-name\", \"arguments\": []}", "'arguments'" },
    { "{\"execute\": \"query-name\", \"arguments\": {\"x\": 1}}", "'x'" },
    { "{\"execute\": \"query-name\", \"more\": 1}", "'more'" },
    { "{\"exec-oob\": \"query-name\"}", "'exec-oob'" },
    { "{\"execute\": \"\xff\xfe\"}", "GenericError" },
    { "{\"execute\": \"\xc0\x80\"}", "GenericError" },
    { "{\"execute\": \"\xed\xa0\x80\"}", "GenericError" },
    { "{\"execute\": \"\\ud800\"}", "GenericError" },
    { "{\"execute\": \"\\u0000\"}", "GenericError" },
    { "{\"execute\": \"a\nb\"}", "GenericError" },
    { "{\"execute\": \"query-name\", \"id\": 1e999}", "GenericError" },
};

/* Replies are taken until the one to a marker: a fault may be worth several errors. */
static void test_malformed_input_gives_errors(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(malformed); i++) {
        bool found = false;
        bool marked = false;

        send_text(bench, 0, malformed[i].input);
        send_text(bench, 0, "\n\xff{\"execute\": \"query-name\", \"id\": \"marker\"}");
        while (!marked) {
            g_autofree char *line = next_line(bench, 0);

            found |= strstr(line, malformed[i].reply) != NULL;
            marked = strstr(line, "\"id\": \"marker\"") != NULL;
        }
        if (!found)
            g_error("'%s' gave no \"%s\"", malformed[i].input, malformed[i].reply);
    }
}

static void send_nested(Bench *bench, int depth)
{
    g_autofree char *open = g_strnfill(depth, '[');
    g_autofree char *close = g_strnfill(depth, ']');

    send_text(bench, 0, "{\"execute\": \"query-name\", \"id\": ");
    send_text(bench, 0, open);
    send_text(bench, 0, close);
    send_text(bench, 0, "}");
}

static void test_nesting_limit(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);

    send_nested(bench, 1023);
    assert_line_has(bench, 0, "{\"return\": {\"name\": \"1\"}, \"id\": [[[");
    send_nested(bench, 1024);
    assert_line_has(bench, 0, "{\"error\": ");
    send_nested(bench, 1023);
    assert_line_has(bench, 0, "{\"return\": {\"name\": \"2\"}");
}

static void test_token_of_64_mib(Bench *bench, const void *unused)
{
    g_autofree char *piece = g_strnfill(MIB, 'x');

    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    send_text(bench, 0, "{\"execute\": \"");
    for (int i = 0; i < 65; i++)
        send_bytes(bench, 0, piece, MIB);
    send_text(bench, 1, "{\"execute\": \"query-name\"}");
    assert_line_has(bench, 1, "{\"return\": ");
    send_text(bench, 0, "\"}");
    assert_line_has(bench, 0, "{\"error\": ");
    send_text(bench, 0, "{\"execute\": \"query-name\"}");
    assert_line_has(bench, 0, "{\"return\": ");
}

static void test_ten_thousand_pipelined_commands(Bench *bench, const void *unused)
{
    const int n_commands = 10000;
    GString *text = g_string_new("");

    start(bench, NULL, false);
    connect_client(bench, 0);
    for (int i = 0; i < n_commands; i++)
        g_string_append_printf(text, "{\"execute\": \"query-name\", \"id\": %d}\r\n", i);
    /* The client reads nothing before it has sent everything. */
    send_bytes(bench, 0, text->str, text->len);
    for (int i = 0; i < n_commands; i++) {
        g_autofree char *expected = g_strdup_printf(
            "{\"return\": {\"name\": \"%d\"}, \"id\": %d}", i + 1, i);

        assert_line(bench, 0, expected);
    }
    g_string_free(text, true);
}

static void test_client_that_does_not_read_is_not_served(Bench *bench, const void *unused)
{
    const int n_commands = 200;
    GString *text = g_string_new("");
    size_t sent = 0;

    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    for (int i = 0; i < n_commands; i++)
        g_string_append(text, "{\"execute\": \"query-uuid\"}");
    /* 100 kB a reply: the client gets stuck with its output, and only the client. */
    for (int i = 0; i < 1000; i++) {
        ssize_t n = send(bench->clients[0], text->str + sent, text->len - sent,
                         MSG_DONTWAIT);

        sent += MAX(n, 0);
        loop_turn(bench->chars.loop, false);
    }
    g_assert_cmpint(bench->n_calls, >=, 10);
    g_assert_cmpint(bench->n_calls, <=, 20);
    g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);
    send_text(bench, 1, "{\"execute\": \"query-name\"}");
    assert_line_has(bench, 1, "{\"return\": ");

    for (int i = 0; i < n_commands; i++)
        assert_line_has(bench, 0, "{\"return\": {\"UUID\": \"xxx");
    g_string_free(text, true);
}

static void test_pipelining_client_lets_others_in(Bench *bench, const void *unused)
{
    GString *text = g_string_new("");

    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    for (int i = 0; i < 300; i++)
        g_string_append(text, "{\"execute\": \"query-name\"}");
    bench->n_calls = 0;
    g_assert_cmpint(send(bench->clients[0], text->str, text->len, 0), ==, text->len);
    g_assert_cmpint(write(bench->clients[1], "{\"execute\": \"query-name\"}", 25),
                    ==, 25);
    assert_line_has(bench, 1, "{\"return\": ");
    g_assert_cmpint(bench->n_calls, <=, 2 * MONITOR_TURN_REQUESTS + 2);

    for (int i = 0; i < 300; i++)
        assert_line_has(bench, 0, "{\"return\": ");
    g_string_free(text, true);
}

static void test_events_go_to_negotiated_sessions(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    bench->clients[2] = char_bench_connect(bench->chars.path);
    assert_line_has(bench, 2, "{\"QMP\"");
    send_text(bench, 0, "{\"execute\": \"stop\"}");
    assert_line_has(bench, 0, "\"event\": \"STOP\"}\r\n");
    assert_line(bench, 0, "{\"return\": {}}");
    assert_line_has(bench, 1, "\"event\": \"STOP\"}\r\n");
    send_text(bench, 2, "{\"execute\": \"qmp_capabilities\"}");
    assert_line(bench, 2, "{\"return\": {}}");
}

static void test_counters_count(Bench *bench, const void *unused)
{
    const MonitorCounters *counters;

    start(bench, NULL, false);
    counters = monitor_counted(bench->monitor);
    connect_client(bench, 0);
    connect_client(bench, 1);
    send_text(bench, 0, "{\"execute\": \"stop\"}");
    assert_line_has(bench, 0, "\"event\": \"STOP\"}\r\n");
    assert_line(bench, 0, "{\"return\": {}}");
    assert_line_has(bench, 1, "\"event\": \"STOP\"}\r\n");

    g_assert_cmpuint(counters->clients, ==, 2);
    g_assert_cmpuint(counters->commands, ==, 3);
    g_assert_cmpuint(counters->events, ==, 2);
    g_assert_cmpuint(counters->events_dropped, ==, 0);
    g_assert_cmpuint(counters->bytes_in, ==,
                     2 * strlen("{\"execute\": \"qmp_capabilities\"}\r\n") +
                         strlen("{\"execute\": \"stop\"}"));
    g_assert_cmpuint(counters->bytes_out, ==,
                     bench->received[0]->len + bench->received[1]->len);
}

static void test_events_to_a_dead_client_are_dropped(Bench *bench, const void *unused)
{
    int n_events = 0;
    g_autofree char *line = NULL;

    log_set_level(LOG_LEVEL_ERROR);
    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    for (int i = 0; i < 50000; i++) {
        qapi_event_stop(bench->ctx.events);
        receive(bench, 1);
        if (i % 100 == 0)
            loop_turn(bench->chars.loop, false);
    }
    for (int i = 0; i < 50000; i++)
        assert_line_has(bench, 1, "STOP");

    /* What the dead one can have: its own socket's buffer, and the bound of ours. */
    send_text(bench, 0, "{\"execute\": \"query-name\", \"id\": 7}");
    while (!line || !strstr(line, "\"id\": 7")) {
        n_events++;
        g_free(line);
        line = next_line(bench, 0);
    }
    g_assert_cmpint(n_events, >, MONITOR_OUTPUT_MAX / 100);
    g_assert_cmpint(n_events, <, 45000);
    g_assert_cmpuint(monitor_counted(bench->monitor)->events_dropped, >, 0);
    qapi_event_stop(bench->ctx.events);
    assert_line_has(bench, 0, "STOP");
}

static void test_disconnects_in_the_middle(Bench *bench, const void *unused)
{
    const char *const starts[] = {
        "", "{", "{\"execute\": \"query-na", "{\"execute\": \"query-name\"}{\"exec",
        "[[[[[", "\"",
    };

    start(bench, NULL, false);
    for (size_t i = 0; i < G_N_ELEMENTS(starts); i++) {
        bench->clients[0] = char_bench_connect(bench->chars.path);
        send_text(bench, 0, starts[i]);
        base_close_fd(&bench->clients[0]);
        for (int j = 0; j < 5; j++)
            loop_turn(bench->chars.loop, false);
        forget(bench, 0);
    }
    connect_client(bench, 0);
}

static void test_disconnect_inside_a_handler(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    bench->closes = 0;
    send_text(bench, 0, "{\"execute\": \"query-kvm\"}{\"execute\": \"query-name\"}");
    for (int i = 0; i < 5; i++)
        loop_turn(bench->chars.loop, false);

    send_text(bench, 1, "{\"execute\": \"query-name\"}");
    assert_line_has(bench, 1, "{\"return\": {\"name\": ");
}

/* Its requests are in the socket, and it is gone; the monitor serves another one. */
static void close_with(Bench *bench, const char *requests)
{
    g_assert_cmpint(send(bench->clients[0], requests, strlen(requests), 0), ==,
                    strlen(requests));
    base_close_fd(&bench->clients[0]);
    connect_client(bench, 1);
    send_text(bench, 1, "{\"execute\": \"query-name\"}");
    assert_line(bench, 1, "{\"return\": {\"name\": \"1\"}}");
    g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);
    g_assert_cmpint(bench->n_calls, ==, 1);
}

static void test_requests_of_a_gone_client_are_dropped(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    close_with(bench, "{\"execute\": \"query-name\"}{\"execute\": \"query-uuid\"}");
}

static void test_out_of_band_requests_of_a_gone_client_are_dropped(Bench *bench,
                                                                   const void *unused)
{
    start(bench, NULL, false);
    connect_client_with_oob(bench);
    close_with(bench, "{\"exec-oob\": \"query-name\"}{\"execute\": \"query-name\"}");
}

/* It goes while its first request is executed, which ends as it would. */
static void test_what_was_read_of_a_gone_client_is_dropped(Bench *bench,
                                                           const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    bench->closes = 0;
    send_text(bench, 0, "{\"execute\": \"query-kvm\"}{\"execute\": \"query-name\"}"
              "{\"execute\": \"query-uuid\"}");
    CHAR_BENCH_RUN_UNTIL(&bench->chars, bench->clients[0] < 0);
    g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);
    g_assert_cmpint(bench->n_calls, ==, 0);
}

static void test_half_closed_client_gets_every_reply(Bench *bench, const void *unused)
{
    GString *text = g_string_new("{\"execute\": \"qmp_capabilities\"}");

    start(bench, NULL, false);
    bench->clients[0] = char_bench_connect(bench->chars.path);
    for (int i = 0; i < 20; i++)
        g_string_append(text, "{\"execute\": \"query-uuid\"}");
    g_assert_cmpint(send(bench->clients[0], text->str, text->len, 0), ==, text->len);
    shutdown(bench->clients[0], SHUT_WR);
    assert_line_has(bench, 0, "{\"QMP\"");
    assert_line(bench, 0, "{\"return\": {}}");
    for (int i = 0; i < 20; i++)
        assert_line_has(bench, 0, "{\"return\": {\"UUID\"");
    g_assert_null(next_line(bench, 0));

    g_string_free(text, true);
}

/* Another process, that reads when berth has already ended its loop. */
static void *read_late(void *opaque)
{
    Bench *bench = opaque;

    g_usleep(20000);
    fcntl(bench->clients[0], F_SETFL, 0);
    while (!strstr(bench->received[0]->str, "\"id\": \"q\"}\r\n")) {
        char data[8192];
        ssize_t n = read(bench->clients[0], data, sizeof(data));

        g_assert_cmpint(n, >, 0);
        g_string_append_len(bench->received[0], data, n);
    }
    return NULL;
}

static void test_reply_to_quit_is_flushed(Bench *bench, const void *unused)
{
    g_autoptr(GPtrArray) monitors = g_ptr_array_new();
    GString *text = g_string_new("");
    pthread_t thread;

    start(bench, NULL, false);
    g_ptr_array_add(monitors, bench->monitor);
    connect_client(bench, 0);
    for (int i = 0; i < 5; i++)
        g_string_append(text, "{\"execute\": \"query-uuid\"}");
    g_string_append(text, "{\"execute\": \"quit\", \"id\": \"q\"}");
    g_assert_cmpint(send(bench->clients[0], text->str, text->len, 0), ==, text->len);
    loop_run(bench->chars.loop);
    g_assert_true(thread_start(&thread, THREAD_WORKER, "client", read_late, bench, NULL));
    monitor_flush_all(monitors);
    monitor_free(g_steal_pointer(&bench->monitor));
    pthread_join(thread, NULL);

    g_string_free(text, true);
}

static void test_flush_gives_up_on_a_dead_client(Bench *bench, const void *unused)
{
    g_autoptr(GPtrArray) monitors = g_ptr_array_new();
    int64_t start_ns;

    start(bench, NULL, false);
    g_ptr_array_add(monitors, bench->monitor);
    connect_client(bench, 0);
    for (int i = 0; i < 8; i++)
        g_assert_cmpint(write(bench->clients[0], "{\"execute\": \"query-uuid\"}", 25),
                        ==, 25);
    CHAR_BENCH_RUN_UNTIL(&bench->chars, bench->n_calls == 8);
    start_ns = loop_clock_ns();
    monitor_flush_all(monitors);
    g_assert_cmpint(loop_clock_ns() - start_ns, <, 20 * NS_PER_SEC);
}

static void test_descriptors_come_with_and_before_requests(Bench *bench,
                                                           const void *unused)
{
    int before, pair[2];

    start(bench, NULL, false);
    connect_client(bench, 0);
    g_assert_cmpint(pipe(pair), ==, 0);
    before = char_bench_count_fds();
    send_text(bench, 0, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"a\"}}");
    assert_line_has(bench, 0, "{\"error\": ");
    char_bench_send_fds(bench->clients[0], pair, 1);
    loop_turn(bench->chars.loop, false);
    send_text(bench, 0, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"a\"}}");
    assert_line(bench, 0, "{\"return\": {}}");
    char_bench_send_fds(bench->clients[0], pair, 1);
    send_text(bench, 0, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"b\"}}");
    assert_line(bench, 0, "{\"return\": {}}");
    g_assert_cmpint(char_bench_count_fds(), ==, before + 2);
    send_text(bench, 0, "{\"execute\": \"closefd\", \"arguments\": {\"fdname\": \"a\"}}");
    assert_line(bench, 0, "{\"return\": {}}");
    g_assert_cmpint(char_bench_count_fds(), ==, before + 1);

    /* Names belong to the session. */
    connect_client(bench, 1);
    send_text(bench, 1, "{\"execute\": \"closefd\", \"arguments\": {\"fdname\": \"b\"}}");
    assert_line_has(bench, 1, "{\"error\": ");
    base_close_fd(&bench->clients[0]);
    CHAR_BENCH_RUN_UNTIL(&bench->chars, char_bench_count_fds() == before);
    close(pair[0]);
    close(pair[1]);
}

static void test_passed_listening_descriptor_is_accepted_again(Bench *bench,
                                                               const void *unused)
{
    int server = char_bench_listen(bench->chars.path);
    g_autofree char *options = g_strdup_printf("socket,fd=%d,server=on,wait=off", server);

    start(bench, options, false);
    for (int i = 0; i < 3; i++) {
        g_autofree char *expected = g_strdup_printf("{\"return\": {\"name\": \"%d\"}}",
                                                    i + 1);

        bench->clients[0] = char_bench_connect(bench->chars.path);
        assert_line_has(bench, 0, "{\"QMP\"");
        send_text(bench, 0, "{\"execute\": \"query-name\"}");
        assert_line_has(bench, 0, "CommandNotFound");
        send_text(bench, 0, "{\"execute\": \"qmp_capabilities\"}");
        assert_line(bench, 0, "{\"return\": {}}");
        send_text(bench, 0, "{\"execute\": \"query-name\"}");
        assert_line(bench, 0, expected);
        base_close_fd(&bench->clients[0]);
    }
    g_unlink(bench->chars.path);
}

static void test_monitor_as_a_client(Bench *bench, const void *unused)
{
    int server = char_bench_listen(bench->chars.path);
    g_autofree char *options = g_strdup_printf("socket,path=%s,reconnect-ms=5",
                                               bench->chars.path);

    start(bench, options, false);
    for (int i = 0; i < 3; i++) {
        bench->clients[0] = accept(server, NULL, NULL);
        negotiate(bench, 0);
        base_close_fd(&bench->clients[0]);
        char_bench_count_turns(&bench->chars, 20);
    }
    close(server);
    g_unlink(bench->chars.path);
}

static void test_monitor_freed_with_clients(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    send_text(bench, 0, "{\"execute\": ");
    send_text(bench, 1, "{\"execute\": \"query-chardev\"}");
    assert_line_has(bench, 1, ",server=on\"");

    monitor_free(g_steal_pointer(&bench->monitor));
    g_assert_null(next_line(bench, 0));
    g_assert_null(next_line(bench, 1));
    g_assert_true(char_remove(bench->chars.set, "mon", NULL));
}

static void test_taken_chardev_is_refused(Bench *bench, const void *unused)
{
    g_autoptr(GError) error = NULL;

    start(bench, NULL, false);
    g_assert_null(monitor_new(char_find(bench->chars.set, "mon"), &qmp_language,
                              &bench->ctx, &error));
    g_assert_nonnull(strstr(error->message, "'mon'"));
}

#define CONT "{\"execute\": \"cont\", \"id\": \"c\"}"
#define NAME "{\"execute\": \"query-name\", \"id\": \"n\"}"
#define CONT_REPLY "{\"return\": {}, \"id\": \"c\"}"

static void test_slow_command_holds_up_its_own_client(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    connect_client(bench, 1);
    send_text(bench, 0, CONT NAME CONT);
    CHAR_BENCH_RUN_UNTIL(&bench->chars, bench->reply);

    send_text(bench, 1, NAME);
    assert_line_has(bench, 1, "{\"name\": \"1\"}");
    send_text(bench, 0, NAME);
    g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);
    g_assert_cmpint(bench->n_calls, ==, 1);

    end_command(bench);
    assert_line(bench, 0, CONT_REPLY);
    assert_line_has(bench, 0, "{\"name\": \"2\"}");
    CHAR_BENCH_RUN_UNTIL(&bench->chars, bench->reply);
    end_command(bench);
    assert_line(bench, 0, CONT_REPLY);
    assert_line_has(bench, 0, "{\"name\": \"3\"}");
}

static void test_client_goes_while_its_command_is_under_way(Bench *bench,
                                                            const void *unused)
{
    start(bench, NULL, false);
    for (int i = 0; i < 3; i++) {
        connect_client(bench, 0);
        send_text(bench, 0, CONT NAME);
        CHAR_BENCH_RUN_UNTIL(&bench->chars, bench->reply);
        base_close_fd(&bench->clients[0]);
        g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);
        end_command(bench);
        g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);
        g_assert_cmpint(bench->n_calls, ==, 0);
        forget(bench, 0);
    }
}

static void test_half_closed_client_gets_a_late_reply(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    send_text(bench, 0, CONT);
    shutdown(bench->clients[0], SHUT_WR);
    CHAR_BENCH_RUN_UNTIL(&bench->chars, bench->reply);
    g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);

    end_command(bench);
    assert_line(bench, 0, CONT_REPLY);
    g_assert_null(next_line(bench, 0));
}

static void test_out_of_band_request_overtakes(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client_with_oob(bench);
    send_text(bench, 0, CONT);
    for (int i = 0; i < QMP_QUEUE_MAX; i++) {
        send_text(bench, 0, "{\"execute\": \"query-name\"}");
        send_text(bench, 0, "{\"exec-oob\": \"query-name\", \"id\": \"o\"}");
    }
    /* The last finds the queue full. */
    for (int i = 0; i < QMP_QUEUE_MAX - 1; i++)
        assert_line_has(bench, 0, "\"id\": \"o\"}");
    g_assert_cmpint(char_bench_count_turns(&bench->chars, 20), <=, 3);
    g_assert_cmpint(bench->n_calls, ==, QMP_QUEUE_MAX - 1);

    end_command(bench);
    assert_line(bench, 0, CONT_REPLY);
    for (int i = 0; i < QMP_QUEUE_MAX; i++)
        assert_line_has(bench, 0, "{\"return\": {\"name\": ");
    assert_line_has(bench, 0, "\"id\": \"o\"}");
}

static void test_monitor_freed_with_a_command_under_way(Bench *bench, const void *unused)
{
    start(bench, NULL, false);
    connect_client(bench, 0);
    send_text(bench, 0, CONT NAME);
    CHAR_BENCH_RUN_UNTIL(&bench->chars, bench->reply);

    monitor_free(g_steal_pointer(&bench->monitor));
    end_command(bench);
    g_assert_null(next_line(bench, 0));
}

#define add_test(path, fn)                                                             \
    g_test_add("/monitor/" path, Bench, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("greeting-negotiation-and-ids", test_greeting_negotiation_and_ids);
    add_test("pretty", test_pretty);
    add_test("malformed-input-gives-errors", test_malformed_input_gives_errors);
    add_test("nesting-limit", test_nesting_limit);
    add_test("token-of-64-mib", test_token_of_64_mib);
    add_test("ten-thousand-pipelined-commands", test_ten_thousand_pipelined_commands);
    add_test("client-that-does-not-read-is-not-served",
             test_client_that_does_not_read_is_not_served);
    add_test("pipelining-client-lets-others-in", test_pipelining_client_lets_others_in);
    add_test("events-go-to-negotiated-sessions", test_events_go_to_negotiated_sessions);
    add_test("counters-count", test_counters_count);
    add_test("events-to-a-dead-client-are-dropped",
             test_events_to_a_dead_client_are_dropped);
    add_test("disconnects-in-the-middle", test_disconnects_in_the_middle);
    add_test("disconnect-inside-a-handler", test_disconnect_inside_a_handler);
    add_test("requests-of-a-gone-client-are-dropped",
             test_requests_of_a_gone_client_are_dropped);
    add_test("out-of-band-requests-of-a-gone-client-are-dropped",
             test_out_of_band_requests_of_a_gone_client_are_dropped);
    add_test("what-was-read-of-a-gone-client-is-dropped",
             test_what_was_read_of_a_gone_client_is_dropped);
    add_test("half-closed-client-gets-every-reply",
             test_half_closed_client_gets_every_reply);
    add_test("reply-to-quit-is-flushed", test_reply_to_quit_is_flushed);
    add_test("flush-gives-up-on-a-dead-client", test_flush_gives_up_on_a_dead_client);
    add_test("descriptors-come-with-and-before-requests",
             test_descriptors_come_with_and_before_requests);
    add_test("passed-listening-descriptor-is-accepted-again",
             test_passed_listening_descriptor_is_accepted_again);
    add_test("monitor-as-a-client", test_monitor_as_a_client);
    add_test("monitor-freed-with-clients", test_monitor_freed_with_clients);
    add_test("taken-chardev-is-refused", test_taken_chardev_is_refused);
    add_test("slow-command-holds-up-its-own-client",
             test_slow_command_holds_up_its_own_client);
    add_test("client-goes-while-its-command-is-under-way",
             test_client_goes_while_its_command_is_under_way);
    add_test("half-closed-client-gets-a-late-reply",
             test_half_closed_client_gets_a_late_reply);
    add_test("out-of-band-request-overtakes", test_out_of_band_request_overtakes);
    add_test("monitor-freed-with-a-command-under-way",
             test_monitor_freed_with_a_command_under_way);
    return g_test_run();
}
