/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/qapi.h"

#include "char-bench.h"

/* How a char_add_later() ended. */
typedef struct Outcome {
    bool ended;
    Chardev *chr;
    GError *error;
} Outcome;

static void on_added(void *opaque, Chardev *chr, GError *error)
{
    Outcome *outcome = opaque;

    g_assert_false(outcome->ended);
    *outcome = (Outcome){ .ended = true, .chr = chr, .error = error };
}

static ChardevBackend *backend_of(const char *json)
{
    GError *error = NULL;
    ChardevBackend *backend = qapi_parse_json(QAPI_TYPE_CHARDEV_BACKEND, json, &error);

    g_assert_no_error(error);
    return backend;
}

static void add(CharBench *f, Outcome *outcome, const char *id, const char *json)
{
    g_autoptr(ChardevBackend) backend = backend_of(json);

    g_clear_error(&outcome->error);
    *outcome = (Outcome){ 0 };
    char_add_later(f->set, id, backend, on_added, outcome);
}

static void change(CharBench *f, Outcome *outcome, const char *id, const char *json)
{
    g_autoptr(ChardevBackend) backend = backend_of(json);

    g_clear_error(&outcome->error);
    *outcome = (Outcome){ 0 };
    char_change_later(f->set, id, backend, on_added, outcome);
}

static void assert_failed(const Outcome *outcome, const char *word)
{
    g_assert_true(outcome->ended);
    g_assert_nonnull(outcome->error);
    if (!strstr(outcome->error->message, word))
        g_error("no '%s' in \"%s\"", word, outcome->error->message);
}

#define UNIX(path_, more_)                                                            \
    "{'type':'socket','data':{'addr':{'type':'unix','data':{'path':'" path_ "'}}"     \
    more_ "}}"
#define INET(host_, port_, more_)                                                     \
    "{'type':'socket','data':{'addr':{'type':'inet','data':{'host':'" host_           \
    "','port':'" port_ "'" more_ "}},'server':false}}"

/* What cannot be added, and a word of the reason. */
static const char *const bad_backends[][2] = {
    { "{'type':'file','data':{'out':'/no/such/folder/x'}}", "/no/such/folder/x" },
    { "{'type':'file','data':{'out':'/dev/null','in':'/no/such/file'}}", "input" },
    { "{'type':'mux','data':{'chardev':'missing'}}", "missing" },
    { "{'type':'null','data':{'logfile':'/no/such/folder/x'}}", "logfile" },
    { UNIX("/no/such/folder/x", ""), "/no/such/folder/x" },
    { UNIX("/no/such/folder/x", ",'server':false"), "/no/such/folder/x" },
    { UNIX("", ""), "'path'" },
    { UNIX("/x", ",'tls-creds':'tls0'"), "TLS" },
    { UNIX("/x", ",'tls-authz':'a'"), "TLS" },
    { UNIX("/x", ",'tn3270':true"), "tn3270" },
    { UNIX("/x", ",'websocket':true"), "websocket" },
    { UNIX("/x", ",'nodelay':true"), "nodelay" },
    { UNIX("/x", ",'reconnect':1"), "reconnect" },
    { UNIX("/x", ",'server':false,'wait':true"), "wait" },
    { UNIX("/x", ",'server':false,'reconnect':1,'reconnect-ms':5"), "the same" },
    { INET("no.such.name", "1", ""), "no name is looked up" },
    { INET("127.0.0.1", "99999", ""), "port" },
    { INET("127.0.0.1", "1", ",'to':5"), "'to'" },
    { INET("127.0.0.1", "1", ",'ipv4':false,'ipv6':false"), "'ipv4'" },
    { INET("127.0.0.1", "1", ",'ipv6':true"), "'host'" },
    { "{'type':'socket','data':{'addr':{'type':'inet','data':{'host':'127.0.0.1',"
      "'port':'9','to':8}}}}", "'to'" },
    { "{'type':'socket','data':{'addr':{'type':'vsock','data':{'cid':'x','port':'1'}}}}",
      "'cid'" },
    { "{'type':'socket','data':{'addr':{'type':'vsock','data':{'cid':'1',"
      "'port':'4294967296'}}}}", "'port'" },
    { "{'type':'socket','data':{'addr':{'type':'fd','data':{'str':'name'}}}}", "'fd'" },
};

static void test_bad_backends_leave_nothing(CharBench *f, const void *unused)
{
    int n_fds = char_bench_count_fds();
    Outcome outcome = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(bad_backends); i++) {
        add(f, &outcome, "c", bad_backends[i][0]);
        assert_failed(&outcome, bad_backends[i][1]);
        g_assert_null(char_find(f->set, "c"));
    }
    g_assert_cmpint(char_bench_count_fds(), ==, n_fds);
    add(f, &outcome, "1 bad", "{'type':'null','data':{}}");
    assert_failed(&outcome, "id");
    g_clear_error(&outcome.error);
}

static void test_at_once(CharBench *f, const void *unused)
{
    Outcome outcome = { 0 };

    add(f, &outcome, "c", "{'type':'null','data':{}}");
    g_assert_true(outcome.chr && outcome.chr == char_find(f->set, "c"));
    add(f, &outcome, "c", "{'type':'null','data':{}}");
    assert_failed(&outcome, "already");
    g_clear_error(&outcome.error);
}

/* A listening socket of this host that accepts nothing: its backlog is full. */
static int listen_full(int *fillers, int n, uint16_t *ret_port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&in, size), ==, 0);
    g_assert_cmpint(listen(fd, 0), ==, 0);
    getsockname(fd, (struct sockaddr *)&in, &size);
    *ret_port = ntohs(in.sin_port);
    for (int i = 0; i < n; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fillers[i], (struct sockaddr *)&in, size);
    }
    return fd;
}

static void test_client_waits_for_its_server(CharBench *f, const void *unused)
{
    int fillers[4], fd;
    uint16_t port;
    g_autofree char *json = NULL;
    Outcome first = { 0 }, second = { 0 }, third = { 0 };

    fd = listen_full(fillers, G_N_ELEMENTS(fillers), &port);
    json = g_strdup_printf(INET("127.0.0.1", "%u", ""), port);
    add(f, &first, "c", json);
    loop_turn(f->loop, false);
    g_assert_false(first.ended);
    g_assert_null(char_find(f->set, "c"));
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 2);

    /* The name is taken; taking it back ends the first. */
    add(f, &second, "c", "{'type':'null','data':{}}");
    assert_failed(&second, "already");
    g_assert_true(char_remove(f->set, "c", NULL));
    assert_failed(&first, "removed");

    add(f, &third, "c", json);
    g_assert_false(third.ended);
    char_set_cancel(f->set);
    assert_failed(&third, "given up");
    for (size_t i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(fd);
    g_clear_error(&first.error);
    g_clear_error(&second.error);
    g_clear_error(&third.error);
}

static void test_client_is_refused_or_connected(CharBench *f, const void *unused)
{
    g_autofree char *json = NULL;
    Outcome outcome = { 0 };
    uint16_t port;
    int fd = listen_full(NULL, 0, &port);

    json = g_strdup_printf(INET("localhost", "%u", ",'keep-alive':true"), port);
    add(f, &outcome, "c", json);
    CHAR_BENCH_RUN_UNTIL(f, outcome.ended);
    g_assert_no_error(outcome.error);
    g_assert_true(char_is_open(char_find(f->set, "c")));
    g_assert_true(char_remove(f->set, "c", NULL));

    close(fd);
    add(f, &outcome, "c", json);
    CHAR_BENCH_RUN_UNTIL(f, outcome.ended);
    assert_failed(&outcome, "refused");
    g_clear_error(&outcome.error);
}

static void test_server_waits_for_its_client(CharBench *f, const void *unused)
{
    g_autofree char *json = g_strdup_printf(UNIX("%s", ",'wait':true"), f->path);
    Outcome outcome = { 0 };
    int fd;

    add(f, &outcome, "c", json);
    g_assert_false(outcome.ended);
    fd = char_bench_connect(f->path);
    CHAR_BENCH_RUN_UNTIL(f, outcome.ended);

    g_assert_true(char_is_open(char_find(f->set, "c")));
    close(fd);
}

/* What char-bench's reader cannot do: be moved. */
static void on_moved(void *opaque, Chardev *chr)
{
    ((CharReader *)opaque)->chr = chr;
}

static CharUser moving_user(void)
{
    CharUser user = char_bench_user;

    user.moved = on_moved;
    return user;
}

static void test_change_under_a_user(CharBench *f, const void *unused)
{
    const CharUser user = moving_user();
    g_autofree char *data = g_malloc0(4 * CHAR_BUFFER_SIZE);
    g_autofree char *json = g_strdup_printf(UNIX("%s", ""), f->path);
    Outcome outcome = { 0 };
    Chardev *old = char_bench_add_server(f, &user);
    int fd = char_bench_connect(f->path), new_fd;

    /* A writer that waits for the old far end is told that there is room. */
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(old));
    while (char_write(old, data, 4 * CHAR_BUFFER_SIZE) == 4 * CHAR_BUFFER_SIZE)
        ;
    change(f, &outcome, "c", json);
    g_assert_no_error(outcome.error);
    g_assert_true(outcome.chr == f->reader.chr && outcome.chr != old);
    g_assert_true(char_find(f->set, "c") == f->reader.chr);
    g_assert_cmpstr(f->reader.events->str, ==, "oc");
    g_assert_cmpint(f->reader.n_writable, >=, 1);

    /* The socket's file is the new one's, and it works. */
    new_fd = char_bench_connect(f->path);
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(f->reader.chr));
    char_bench_send(new_fd, "hello");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 5);
    close(fd);
    close(new_fd);
}

static void test_change_tells_of_both_far_ends(CharBench *f, const void *unused)
{
    const CharUser user = moving_user();
    g_autofree char *path = g_build_filename(f->folder, "out", NULL);
    g_autofree char *json = g_strdup_printf("{'type':'file','data':{'out':'%s'}}", path);
    Outcome outcome = { 0 };

    char_bench_attach(f, char_bench_add(f, "c", "null"), &user);
    char_set_frontend_open(f->reader.chr, false);
    change(f, &outcome, "c", json);
    change(f, &outcome, "c", json);
    change(f, &outcome, "c", "{'type':'null','data':{}}");

    g_assert_cmpstr(f->reader.events->str, ==, "ococ");
    {
        g_autoptr(ChardevInfoList) list = char_set_query(f->set);

        g_assert_cmpuint(list->n, ==, 1);
        g_assert_false(list->items[0]->frontend_open);
    }
    unlink(path);
}

static void test_change_to_a_mux(CharBench *f, const void *unused)
{
    const CharUser user = moving_user();
    Outcome outcome = { 0 };
    int fd;

    char_bench_attach(f, char_bench_add(f, "c", "null"), &user);
    {
        g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                                   f->path);
        char_bench_add(f, "base", options);
    }
    change(f, &outcome, "c", "{'type':'mux','data':{'chardev':'base'}}");
    g_assert_no_error(outcome.error);
    g_assert_true(f->reader.chr != outcome.chr);
    fd = char_bench_connect(f->path);
    char_bench_send(fd, "x\x01\x01");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 2);
    g_assert_cmpstr(f->reader.input->str, ==, "x\x01");
    change(f, &outcome, "c", "{'type':'null','data':{}}");
    assert_failed(&outcome, "mux");
    g_clear_error(&outcome.error);
    close(fd);
}

static void test_changes_that_are_refused(CharBench *f, const void *unused)
{
    const char *null = "{'type':'null','data':{}}";
    Outcome outcome = { 0 };

    change(f, &outcome, "c", null);
    assert_failed(&outcome, "does not exist");
    char_bench_add(f, "base", "null");
    char_bench_add(f, "m", "mux,chardev=base");
    change(f, &outcome, "m", null);
    assert_failed(&outcome, "mux");
    change(f, &outcome, "base", null);
    assert_failed(&outcome, "does not let");
    char_bench_attach(f, char_bench_add(f, "c", "null"), &char_bench_user);
    change(f, &outcome, "c", null);
    assert_failed(&outcome, "does not let");
    change(f, &outcome, "c", UNIX("/no/such/folder/x", ""));
    g_assert_nonnull(outcome.error);

    /* Without a user there is nobody to ask; a failure leaves the old one. */
    char_bench_add(f, "d", "null");
    change(f, &outcome, "d", UNIX("/no/such/folder/x", ""));
    assert_failed(&outcome, "/no/such/folder/x");
    g_assert_nonnull(char_find(f->set, "d"));
    change(f, &outcome, "d", null);
    g_assert_no_error(outcome.error);
    change(f, &outcome, "d", "{'type':'mux','data':{'chardev':'d'}}");
    g_assert_nonnull(outcome.error);
    g_assert_nonnull(char_find(f->set, "d"));
    g_clear_error(&outcome.error);
}

static void test_change_that_takes_its_time(CharBench *f, const void *unused)
{
    const CharUser user = moving_user();
    g_autofree char *json = g_strdup_printf(UNIX("%s", ",'wait':true"), f->path);
    Outcome outcome = { 0 }, other = { 0 };
    int fd;

    char_bench_attach(f, char_bench_add(f, "c", "null"), &user);
    change(f, &outcome, "c", json);
    g_assert_false(outcome.ended);
    change(f, &other, "c", "{'type':'null','data':{}}");
    assert_failed(&other, "already");
    fd = char_bench_connect(f->path);
    CHAR_BENCH_RUN_UNTIL(f, outcome.ended);
    g_assert_cmpstr(f->reader.events->str, ==, "o");
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(f->reader.chr));

    /* The old one has gone meanwhile. */
    char_bench_add(f, "d", "null");
    g_free(json);
    json = g_strdup_printf(UNIX("%s-d", ",'wait':true"), f->path);
    change(f, &outcome, "d", json);
    g_assert_true(char_remove(f->set, "d", NULL));
    g_free(g_steal_pointer(&json));
    json = g_strdup_printf("%s-d", f->path);
    fd = char_bench_connect(json);
    CHAR_BENCH_RUN_UNTIL(f, outcome.ended);
    assert_failed(&outcome, "does not exist");
    close(fd);
    g_clear_error(&outcome.error);
    g_clear_error(&other.error);
}

static void test_yank_ends_a_stuck_connection(CharBench *f, const void *unused)
{
    g_autofree char *data = g_malloc0(4 * CHAR_BUFFER_SIZE);
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    int fd = char_bench_connect(f->path), next;

    g_assert_false(char_can_yank(char_bench_add(f, "n", "null")));
    g_assert_false(char_can_yank(NULL));
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    next = char_bench_connect(f->path);
    char_write(chr, data, 4 * CHAR_BUFFER_SIZE);
    g_assert_true(char_can_yank(chr));
    char_yank(chr);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 3);

    /* The next one is let in, with nothing of the first one's bytes. */
    g_assert_cmpstr(f->reader.events->str, ==, "oco");
    g_assert_cmpuint(char_pending(chr), ==, 0);
    char_bench_send(next, "x");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 1);
    close(fd);
    close(next);
}

static void test_yank_ends_an_attempt(CharBench *f, const void *unused)
{
    g_autofree char *options = NULL;
    int fillers[4], fd;
    uint16_t port;
    Chardev *chr;

    fd = listen_full(fillers, G_N_ELEMENTS(fillers), &port);
    options = g_strdup_printf("socket,host=127.0.0.1,port=%u,reconnect-ms=10", port);
    chr = char_bench_add(f, "c", options);
    char_yank(chr);
    g_assert_false(char_is_open(chr));
    g_assert_cmpint(char_bench_count_turns(f, 100), >=, 2);
    for (size_t i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(fd);
}

#define add_test(path, fn)                                                            \
    g_test_add("/char-add/" path, CharBench, NULL, char_bench_set_up, fn,             \
               char_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("bad-backends-leave-nothing", test_bad_backends_leave_nothing);
    add_test("at-once", test_at_once);
    add_test("client-waits-for-its-server", test_client_waits_for_its_server);
    add_test("client-is-refused-or-connected", test_client_is_refused_or_connected);
    add_test("server-waits-for-its-client", test_server_waits_for_its_client);
    add_test("change-under-a-user", test_change_under_a_user);
    add_test("change-tells-of-both-far-ends", test_change_tells_of_both_far_ends);
    add_test("change-to-a-mux", test_change_to_a_mux);
    add_test("changes-that-are-refused", test_changes_that_are_refused);
    add_test("change-that-takes-its-time", test_change_that_takes_its_time);
    add_test("yank-ends-a-stuck-connection", test_yank_ends_a_stuck_connection);
    add_test("yank-ends-an-attempt", test_yank_ends_an_attempt);
    return g_test_run();
}
