/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "berth/qapi-tables.h"
#include "berth/qmp.h"
#include "qapi-events.h"
#include "qmp-commands.h"

typedef struct Client {
    QmpContext ctx;
    QmpSession session;
    GString *in;            /* what the session wrote */
    int fd;                 /* what came with the input */
    QmpCommand *commands;   /* in place of the schema's, or NULL */
    QmpReply *reply;        /* of the asynchronous command under way */
} Client;

/* Commands of the protocol itself; others end the test. */
static bool call(unsigned command, QmpContext *ctx, const void *args, void **ret_value,
                 GError **error)
{
    *ret_value = NULL;
    switch (command) {
    case QMP_COMMAND_QMP_CAPABILITIES:
        return qmp_qmp_capabilities(ctx, args, error);
    case QMP_COMMAND_QUERY_VERSION:
        return (*ret_value = qmp_query_version(ctx, error)) != NULL;
    case QMP_COMMAND_QUERY_COMMANDS:
        return (*ret_value = qmp_query_commands(ctx, error)) != NULL;
    case QMP_COMMAND_QUERY_QMP_SCHEMA:
        return (*ret_value = qmp_query_qmp_schema(ctx, error)) != NULL;
    case QMP_COMMAND_GETFD:
        return qmp_getfd(ctx, args, error);
    case QMP_COMMAND_CLOSEFD:
        return qmp_closefd(ctx, args, error);
    case QMP_COMMAND_ADD_FD:
        return (*ret_value = qmp_add_fd(ctx, args, error)) != NULL;
    case QMP_COMMAND_REMOVE_FD:
        return qmp_remove_fd(ctx, args, error);
    case QMP_COMMAND_QUERY_FDSETS:
        return (*ret_value = qmp_query_fdsets(ctx, error)) != NULL;
    case QMP_COMMAND_QOM_GET:
        *ret_value = json_new_null();
        return true;
    case QMP_COMMAND_STOP:
        qapi_event_stop(ctx->events);
        return true;
    default:
        g_error("command %u", command);
    }
}

static void client_send(void *opaque, const char *text, size_t size)
{
    Client *client = opaque;

    g_string_append_len(client->in, text, (gssize)size);
}

static int client_take_fd(void *opaque)
{
    Client *client = opaque;
    int fd = client->fd;

    client->fd = -1;
    return fd;
}

static const QmpSessionOps ops = {
    .send = client_send,
    .reply = client_send,
    .take_fd = client_take_fd,
};

static void client_init(Client *client)
{
    *client = (Client){ .ctx = { .call = call, .ready = true }, .fd = -1 };
    client->ctx.events = qmp_events_new();
    client->ctx.fdsets = fdset_new();
    client->in = g_string_new(NULL);
    qmp_session_init(&client->session, &client->ctx, &ops, client);
}

static void client_done(Client *client)
{
    qmp_session_done(&client->session);
    qmp_events_free(client->ctx.events);
    fdset_free(client->ctx.fdsets);
    g_string_free(client->in, TRUE);
    g_free(client->commands);
}

/* What the session writes to @text; lent until the next call. */
static const char *say(Client *client, const char *text)
{
    size_t size = strlen(text);

    g_string_truncate(client->in, 0);
    while (qmp_session_can_feed(&client->session, size)) {
        size_t used = qmp_session_feed(&client->session, text, size, client->in);

        text += used;
        size -= used;
    }
    return client->in->str;
}

static void negotiate(Client *client)
{
    g_assert_cmpstr(say(client, "{'execute': 'qmp_capabilities'}"), ==,
                    "{\"return\": {}}\r\n");
}

static void test_greeting_is_qemus(void)
{
    Client client;

    client_init(&client);

    qmp_session_greet(&client.session, client.in);

    g_assert_cmpstr(client.in->str, ==,
                    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 10, \"minor\": 0, "
                    "\"micro\": 0}, \"package\": \"berth-" BERTH_VERSION "\"}, "
                    "\"capabilities\": [\"oob\"]}}\r\n");
    client_done(&client);
}

typedef struct Exchange {
    const char *request;
    const char *class;      /* NULL: no error */
    const char *reply;      /* the error's description, or the reply without CR LF */
} Exchange;

#define EXPECTING "Expecting capabilities negotiation with 'qmp_capabilities'"
#define COMPLETE "Capabilities negotiation is already complete, command ignored"

static const Exchange before[] = {
    { "{'execute': 'query-version'}", "CommandNotFound", EXPECTING },
    { "{'execute': 'no-such'}", "CommandNotFound", EXPECTING },
    { "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['x']}}", "GenericError",
      "Parameter 'enable[0]' does not accept value 'x'" },
    { "{'exec-oob': 'qmp_capabilities'}", "GenericError",
      "QMP input member 'exec-oob' is unexpected" },
    { "[]", "GenericError", "QMP input must be a JSON object" },
};

static const Exchange after[] = {
    { "{'execute': 'qmp_capabilities'}", "CommandNotFound", COMPLETE },
    { "{'execute': 'no-such'}", "CommandNotFound",
      "The command no-such has not been found" },
    { "{'execute': 'Stop'}", "CommandNotFound", "The command Stop has not been found" },
    { "{'execute': ''}", "CommandNotFound", "The command  has not been found" },
    { "{}", "GenericError", "QMP input lacks member 'execute'" },
    { "5 ", "GenericError", "QMP input must be a JSON object" },
    { "{'execute': 1}", "GenericError", "QMP input member 'execute' must be a string" },
    { "{'execute': 'stop', 'arguments': 1}", "GenericError",
      "QMP input member 'arguments' must be an object" },
    { "{'execute': 'stop', 'foo': 1}", "GenericError",
      "QMP input member 'foo' is unexpected" },
    { "{'execute': 'stop', 'arguments': {'x': 1}}", "GenericError",
      "Parameter 'x' is unexpected" },
    { "{'execute': 'closefd'}", "GenericError", "Parameter 'fdname' is missing" },
    { "{'execute': foo}", "GenericError", "JSON parse error, invalid keyword or number" },
    { "{'execute': 'query-fdsets', 'arguments': {}}", NULL, "{\"return\": []}" },
    { "{'execute': 'qom-get', 'arguments': {'path': '', 'property': ''}}", NULL,
      "{\"return\": null}" },
};

static char *expected_reply(const Exchange *exchange)
{
    if (!exchange->class)
        return g_strdup_printf("%s\r\n", exchange->reply);
    return g_strdup_printf("{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}\r\n",
                           exchange->class, exchange->reply);
}

static void check_exchanges(Client *client, const Exchange *exchanges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_autofree char *expected = expected_reply(&exchanges[i]);

        g_assert_cmpstr(say(client, exchanges[i].request), ==, expected);
    }
}

static void test_errors_before_and_after_negotiation(void)
{
    Client client;

    client_init(&client);

    check_exchanges(&client, before, G_N_ELEMENTS(before));
    negotiate(&client);
    check_exchanges(&client, after, G_N_ELEMENTS(after));
    client_done(&client);
}

static void test_id_is_echoed_whatever_it_is(void)
{
    static const char *const ids[] = { "1", "\"x\"", "null", "{\"a\": [1, {}]}", "-1.5" };
    Client client;

    client_init(&client);
    negotiate(&client);

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *good =
            g_strdup_printf("{'execute': 'query-fdsets', 'id': %s}", ids[i]);
        g_autofree char *bad = g_strdup_printf("{'id': %s, 'execute': 'x'}", ids[i]);
        g_autofree char *end = g_strdup_printf(", \"id\": %s}\r\n", ids[i]);

        g_assert_true(g_str_has_suffix(say(&client, good), end));
        g_assert_true(g_str_has_suffix(say(&client, bad), end));
    }
    client_done(&client);
}

static void test_oob_is_understood_once_enabled(void)
{
    Client client;

    client_init(&client);
    say(&client, "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}");

    g_assert_nonnull(strstr(say(&client, "{'exec-oob': 'stop'}"),
                            "does not support OOB"));
    g_assert_nonnull(strstr(say(&client, "{'exec-oob': 'nope'}"), "CommandNotFound"));
    g_assert_nonnull(strstr(say(&client, "{'exec-oob': 'stop', 'execute': 'stop'}"),
                            "QMP input member 'execute' clashes with 'exec-oob'"));
    client_done(&client);
}

static void test_commands_wait_for_the_machine(void)
{
    Client client;

    client_init(&client);
    client.ctx.ready = false;
    negotiate(&client);

    g_assert_nonnull(strstr(say(&client, "{'execute': 'stop'}"),
                            "not available before the machine is made"));
    g_assert_cmpstr(say(&client, "{'execute': 'query-fdsets'}"), ==,
                    "{\"return\": []}\r\n");
    client_done(&client);
}

static void test_events_come_after_negotiation_and_before_the_reply(void)
{
    Client client;
    ShutdownEvent shutdown = { .guest = true, .reason = SHUTDOWN_CAUSE_GUEST_RESET };

    client_init(&client);
    qapi_event_stop(client.ctx.events);
    g_assert_cmpstr(client.in->str, ==, "");

    negotiate(&client);
    say(&client, "{'execute': 'stop'}");
    g_assert_true(g_str_has_prefix(client.in->str, "{\"timestamp\": {\"seconds\": "));
    g_assert_true(g_str_has_suffix(client.in->str,
                                   "}, \"event\": \"STOP\"}\r\n{\"return\": {}}\r\n"));

    g_string_truncate(client.in, 0);
    qapi_event_shutdown(client.ctx.events, &shutdown);
    g_assert_true(g_str_has_suffix(client.in->str,
                                   "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "
                                   "\"reason\": \"guest-reset\"}}\r\n"));
    client_done(&client);
}

/* A handler that turns the loop: meanwhile another client is served. */
static bool call_nested(unsigned command, QmpContext *ctx, const void *args,
                        void **ret_value, GError **error)
{
    Client *client = ctx->session->opaque;
    QmpSession other, *mine = ctx->session;

    if (command != QMP_COMMAND_CONT)
        return call(command, ctx, args, ret_value, error);
    qmp_session_init(&other, ctx, &ops, client);
    qmp_session_feed(&other, "{'execute': 'qmp_capabilities'}", 31, client->in);
    g_assert_true(other.negotiated);
    qmp_session_done(&other);
    g_assert_true(ctx->session == mine);
    *ret_value = NULL;
    return true;
}

static void test_a_handler_knows_its_session_after_another_was_served(void)
{
    Client client;

    client_init(&client);
    client.ctx.call = call_nested;
    negotiate(&client);

    g_assert_cmpstr(say(&client, "{'execute': 'cont'}"), ==,
                    "{\"return\": {}}\r\n{\"return\": {}}\r\n");

    g_assert_null(client.ctx.session);
    client_done(&client);
}

static void test_one_call_executes_one_request(void)
{
    static const char text[] = "{'execute':'query-fdsets'}{'execute':'query-fdsets'}";
    Client client;
    size_t used;

    client_init(&client);
    negotiate(&client);
    g_string_truncate(client.in, 0);

    used = qmp_session_feed(&client.session, text, strlen(text), client.in);

    g_assert_cmpuint(used, ==, strlen(text) / 2);
    g_assert_cmpstr(client.in->str, ==, "{\"return\": []}\r\n");
    client_done(&client);
}

static void test_pretty_replies_end_in_one_line_end(void)
{
    Client client;

    client_init(&client);
    client.session.pretty = true;

    say(&client, "{'execute': 'qmp_capabilities'}");

    g_assert_cmpstr(client.in->str, ==, "{\n    \"return\": {}\n}\r\n");
    client_done(&client);
}

static void test_descriptors_are_kept_by_name_for_the_session(void)
{
    Client client;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);

    client_init(&client);
    negotiate(&client);

    g_assert_nonnull(strstr(say(&client, "{'execute': 'getfd', 'arguments': {'fdname': "
                                         "'a'}}"),
                            "No file descriptor supplied via SCM_RIGHTS"));
    client.fd = fd;
    say(&client, "{'execute': 'getfd', 'arguments': {'fdname': 'a'}}");
    client.fd = other;
    say(&client, "{'execute': 'getfd', 'arguments': {'fdname': 'a'}}");
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    g_assert_cmpint(qmp_session_take_named_fd(&client.session, "a", NULL), ==, other);
    g_assert_cmpint(qmp_session_take_named_fd(&client.session, "a", NULL), ==, -1);

    client.fd = other;
    say(&client, "{'execute': 'getfd', 'arguments': {'fdname': 'a'}}");
    client_done(&client);
    g_assert_cmpint(fcntl(other, F_GETFD), ==, -1);
}

static void test_numbers_are_descriptors_that_the_parent_left_open(void)
{
    static const char *const wrong[] = { "0", "2", "3x", "-1", "99999", "4294967299" };
    int own = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int left = open("/dev/null", O_RDONLY);
    g_autofree char *of_own = g_strdup_printf("%d", own);
    g_autofree char *of_left = g_strdup_printf("%d", left);
    g_autoptr(GError) error = NULL;
    Client client;

    client_init(&client);
    negotiate(&client);
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_cmpint(qmp_session_take_fd(&client.session, wrong[i], NULL), ==, -1);
    g_assert_cmpint(qmp_session_take_fd(&client.session, of_own, &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "no descriptor that the parent left open"));
    g_assert_cmpint(qmp_session_take_fd(&client.session, of_left, NULL), ==, left);
    g_assert_cmpint(qmp_session_take_fd(&client.session, of_left, NULL), ==, -1);

    client.fd = own;
    say(&client, "{'execute': 'getfd', 'arguments': {'fdname': 'a'}}");
    g_assert_cmpint(qmp_session_take_fd(&client.session, "a", NULL), ==, own);
    client_done(&client);
    close(own);
    close(left);
}

static void test_a_readonly_session_asks_and_hears(void)
{
    Client client;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    client_init(&client);
    client.session.readonly = true;
    negotiate(&client);
    for (unsigned i = 0; i < qmp_n_commands; i++) {
        const char *name = qapi_text(qmp_commands[i].name);
        g_autofree char *text = g_strdup_printf("{'execute': '%s'}", name);

        if (g_str_has_prefix(name, "query-") || !strcmp(name, "qmp_capabilities"))
            continue;
        say(&client, text);
        g_assert_nonnull(strstr(client.in->str, "\"CommandNotFound\""));
        g_assert_nonnull(strstr(client.in->str, "readonly"));
    }
    g_assert_nonnull(strstr(say(&client, "{'execute': 'query-version'}"), "\"major\""));
    say(&client, "{'execute': 'query-nothing'}");
    g_assert_nonnull(strstr(client.in->str, "not been found"));

    /* A descriptor goes with the request that it came with, whatever that is. */
    client.fd = fd;
    say(&client, "{'execute': 'getfd', 'arguments': {'fdname': 'a'}}");
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    client.fd = fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    say(&client, "{'execute': 'query-version'}");
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);

    g_string_truncate(client.in, 0);
    qapi_event_stop(client.ctx.events);
    g_assert_nonnull(strstr(client.in->str, "\"STOP\""));
    client_done(&client);
}

static void test_a_refused_getfd_closes_what_came(void)
{
    Client client;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    client_init(&client);
    negotiate(&client);
    client.fd = fd;

    g_assert_nonnull(strstr(say(&client, "{'execute': 'getfd', 'arguments': {'fdname': "
                                         "'1a'}}"),
                            "not starting with a digit"));

    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    client_done(&client);
}

static void test_fd_sets_are_listed(void)
{
    Client client;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    g_autofree char *listed =
        g_strdup_printf("{\"return\": [{\"fdset-id\": 3, \"fds\": [{\"fd\": %d, "
                        "\"opaque\": \"x\"}]}]}\r\n", fd);

    client_init(&client);
    negotiate(&client);
    client.fd = fd;

    say(&client, "{'execute':'add-fd','arguments':{'fdset-id':3,'opaque':'x'}}");

    g_assert_cmpstr(say(&client, "{'execute': 'query-fdsets'}"), ==, listed);
    say(&client, "{'execute': 'remove-fd', 'arguments': {'fdset-id': 3}}");
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    client_done(&client);
}

static void test_every_command_is_listed(void)
{
    Client client;

    client_init(&client);
    negotiate(&client);

    say(&client, "{'execute': 'query-commands'}");

    for (unsigned i = 0; i < qmp_n_commands; i++) {
        g_autofree char *entry =
            g_strdup_printf("{\"name\": \"%s\"}", qapi_text(qmp_commands[i].name));

        g_assert_nonnull(strstr(client.in->str, entry));
    }
    client_done(&client);
}

/* "stop" and "query-name" end when they are told to, "cont" at once; "query-fdsets"
 * overtakes. */
static void start(unsigned command, QmpContext *ctx, const void *args, QmpReply *reply)
{
    Client *client = CONTAINER_OF(ctx, Client, ctx);

    g_assert_true(ctx->session == &client->session);
    if (command == QMP_COMMAND_CONT) {
        qmp_reply_return(reply, NULL);
        return;
    }
    g_assert_null(client->reply);
    client->reply = reply;
}

static void client_init_async(Client *client)
{
    static const struct {
        unsigned command;
        uint8_t flag;
    } changes[] = {
        { QMP_COMMAND_STOP, QMP_COMMAND_ASYNC },
        { QMP_COMMAND_CONT, QMP_COMMAND_ASYNC },
        { QMP_COMMAND_QUERY_NAME, QMP_COMMAND_ASYNC },
        { QMP_COMMAND_QOM_GET, QMP_COMMAND_ASYNC },
        { QMP_COMMAND_QUERY_FDSETS, QMP_COMMAND_ALLOW_OOB },
    };

    client_init(client);
    client->commands = g_memdup2(qmp_commands, qmp_n_commands * sizeof(qmp_commands[0]));
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++)
        client->commands[changes[i].command].flags |= changes[i].flag;
    client->ctx.commands = client->commands;
    client->ctx.start = start;
}

static void end_with_name(Client *client, const char *text)
{
    NameInfo *info = g_new0(NameInfo, 1);

    info->name = g_strdup(text);
    qmp_reply_return(g_steal_pointer(&client->reply), info);
}

static void test_a_late_reply_holds_up_its_session(void)
{
    Client client;

    client_init_async(&client);
    negotiate(&client);

    g_assert_cmpstr(say(&client, "{'execute': 'query-name', 'id': [1]}"), ==, "");
    g_assert_false(qmp_session_can_feed(&client.session, 1));
    qapi_event_stop(client.ctx.events);
    g_assert_nonnull(strstr(client.in->str, "STOP"));
    g_string_truncate(client.in, 0);
    end_with_name(&client, "late");

    g_assert_cmpstr(client.in->str, ==,
                    "{\"return\": {\"name\": \"late\"}, \"id\": [1]}\r\n");
    g_assert_cmpstr(say(&client, "{'execute': 'query-fdsets'}"), ==,
                    "{\"return\": []}\r\n");
    client_done(&client);
}

static void test_an_asynchronous_command_may_end_at_once_or_fail(void)
{
    Client client;
    GError *error = NULL;

    client_init_async(&client);
    negotiate(&client);

    g_assert_cmpstr(say(&client, "{'execute': 'cont', 'id': 1}"), ==,
                    "{\"return\": {}, \"id\": 1}\r\n");
    say(&client, "{'execute': 'stop', 'id': 2}");
    error_set_class(&error, BERTH_ERROR_DEVICE_NOT_FOUND, "no room");
    qmp_reply_fail(g_steal_pointer(&client.reply), error);
    g_assert_cmpstr(client.in->str, ==,
                    "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no room\"}, "
                    "\"id\": 2}\r\n");
    say(&client, "{'execute': 'qom-get', 'arguments': {'path': '', 'property': ''}}");
    qmp_reply_return(g_steal_pointer(&client.reply), json_new_int(7));
    g_assert_cmpstr(client.in->str, ==, "{\"return\": 7}\r\n");

    g_assert_nonnull(strstr(say(&client, "{'execute': 'stop', 'arguments': {'x': 1}}"),
                            "'x' is unexpected"));
    g_assert_null(client.reply);
    client_done(&client);
}

static void test_a_client_that_goes_leaves_the_command_to_its_end(void)
{
    Client client;

    client_init_async(&client);
    say(&client, "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}");

    say(&client, "{'execute': 'query-name'}{'execute': 'query-name'} ] ");
    g_assert_cmpuint(client.session.n_queued, ==, 2);
    g_string_truncate(client.in, 0);
    qmp_session_done(&client.session);
    end_with_name(&client, "unread");

    g_assert_cmpstr(client.in->str, ==, "");
    qmp_session_init(&client.session, &client.ctx, &ops, &client);
    client_done(&client);
}

/* With exec-oob: what overtakes, what waits, and in which order. */
static void test_out_of_band_overtakes_and_the_rest_keeps_its_order(void)
{
    static const char waiting[] = "{'execute': 'query-version', 'id': 1} ] "
                                  "{'execute': 'query-name', 'id': 2}"
                                  "{'execute': 'query-fdsets', 'id': 3}";
    Client client;

    client_init_async(&client);
    say(&client, "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}");

    say(&client, "{'execute': 'query-name', 'id': 0}");
    g_assert_cmpstr(say(&client, waiting), ==, "");
    g_assert_cmpstr(say(&client, "{'exec-oob': 'query-fdsets', 'id': 9}"), ==,
                    "{\"return\": [], \"id\": 9}\r\n");
    g_assert_nonnull(strstr(say(&client, "{'exec-oob': 'query-version'}"),
                            "does not support OOB"));
    g_string_truncate(client.in, 0);
    end_with_name(&client, "first");
    g_assert_cmpstr(client.in->str, ==,
                    "{\"return\": {\"name\": \"first\"}, \"id\": 0}\r\n");

    say(&client, "");
    g_assert_nonnull(strstr(client.in->str, "\"id\": 1}\r\n{\"error\": "));
    g_assert_nonnull(client.reply);
    g_assert_null(strstr(client.in->str, "\"id\": 3"));
    end_with_name(&client, "second");
    g_assert_cmpstr(say(&client, ""), ==, "{\"return\": [], \"id\": 3}\r\n");
    client_done(&client);
}

static void test_the_queue_behind_a_command_is_bounded(void)
{
    Client client;
    static const char request[] = "{'execute': 'query-fdsets'}";
    size_t n = 0;

    client_init_async(&client);
    say(&client, "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}");
    say(&client, "{'execute': 'stop'}");

    while (qmp_session_can_feed(&client.session, strlen(request))) {
        qmp_session_feed(&client.session, request, strlen(request), client.in);
        n++;
    }

    g_assert_cmpuint(n, ==, QMP_QUEUE_MAX);
    g_assert_cmpstr(client.in->str, ==, "");
    qmp_reply_return(g_steal_pointer(&client.reply), NULL);
    for (n = 0; qmp_session_can_feed(&client.session, 0); n++)
        qmp_session_feed(&client.session, NULL, 0, client.in);
    g_assert_cmpuint(n, ==, QMP_QUEUE_MAX);
    client_done(&client);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-session/greeting", test_greeting_is_qemus);
    g_test_add_func("/qmp-session/errors", test_errors_before_and_after_negotiation);
    g_test_add_func("/qmp-session/id", test_id_is_echoed_whatever_it_is);
    g_test_add_func("/qmp-session/oob", test_oob_is_understood_once_enabled);
    g_test_add_func("/qmp-session/ready", test_commands_wait_for_the_machine);
    g_test_add_func("/qmp-session/events",
                    test_events_come_after_negotiation_and_before_the_reply);
    g_test_add_func("/qmp-session/nested",
                    test_a_handler_knows_its_session_after_another_was_served);
    g_test_add_func("/qmp-session/one-request", test_one_call_executes_one_request);
    g_test_add_func("/qmp-session/pretty", test_pretty_replies_end_in_one_line_end);
    g_test_add_func("/qmp-session/getfd",
                    test_descriptors_are_kept_by_name_for_the_session);
    g_test_add_func("/qmp-session/fd-by-number",
                    test_numbers_are_descriptors_that_the_parent_left_open);
    g_test_add_func("/qmp-session/getfd-refused", test_a_refused_getfd_closes_what_came);
    g_test_add_func("/qmp-session/readonly", test_a_readonly_session_asks_and_hears);
    g_test_add_func("/qmp-session/fdsets", test_fd_sets_are_listed);
    g_test_add_func("/qmp-session/query-commands", test_every_command_is_listed);
    g_test_add_func("/qmp-session/async/late", test_a_late_reply_holds_up_its_session);
    g_test_add_func("/qmp-session/async/at-once",
                    test_an_asynchronous_command_may_end_at_once_or_fail);
    g_test_add_func("/qmp-session/async/gone",
                    test_a_client_that_goes_leaves_the_command_to_its_end);
    g_test_add_func("/qmp-session/async/oob",
                    test_out_of_band_overtakes_and_the_rest_keeps_its_order);
    g_test_add_func("/qmp-session/async/bound",
                    test_the_queue_behind_a_command_is_bounded);
    return g_test_run();
}
