/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/qapi.h"

#include "char-bench.h"

static void test_server_serves_one_client_after_the_other(CharBench *f,
                                                          const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    g_autofree char *open_name = g_strdup_printf("unix:%s,server=on", f->path);
    g_autofree char *closed_name = g_strdup_printf("disconnected:%s", open_name);
    g_autofree char *reply = NULL;
    int first, second;

    char_bench_assert_filename(f, closed_name);
    g_assert_cmpuint(char_write(chr, "lost", 4), ==, 4);
    first = char_bench_connect(f->path);
    second = char_bench_connect(f->path);
    char_bench_send(first, "first");
    char_bench_send(second, "second");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 5);
    char_bench_assert_filename(f, open_name);
    g_assert_cmpint(char_bench_count_turns(f, 10), <=, 2);
    g_assert_cmpstr(f->reader.input->str, ==, "first");
    g_assert_cmpuint(char_write(chr, "reply", 5), ==, 5);
    reply = char_bench_receive(f, first, 5);
    g_assert_cmpstr(reply, ==, "reply");

    close(first);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 11);
    g_assert_cmpstr(f->reader.input->str, ==, "firstsecond");
    g_assert_cmpstr(f->reader.events->str, ==, "oco");

    close(second);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));
}

static void test_socket_file_goes_with_the_server(CharBench *f, const void *unused)
{
    char_bench_add(f, "a", "null");
    char_bench_add_server(f, &char_bench_user);
    g_assert_true(g_file_test(f->path, G_FILE_TEST_EXISTS));
    g_assert_false(char_remove(f->set, "c", NULL));
    char_detach(f->reader.chr);
    f->reader.chr = NULL;
    g_assert_true(char_remove(f->set, "c", NULL));
    g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
}

static void test_server_replaces_a_stale_socket_but_no_file(CharBench *f,
                                                            const void *unused)
{
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    g_autoptr(GError) error = NULL;

    close(char_bench_listen(f->path));
    char_bench_add(f, "c", options);
    g_assert_true(char_remove(f->set, "c", NULL));

    g_assert_true(g_file_set_contents(f->path, "x", -1, NULL));
    g_assert_null(char_bench_try_add(f, "c", options, &error));
    g_assert_nonnull(strstr(error->message, f->path));
    g_assert_true(g_file_test(f->path, G_FILE_TEST_IS_REGULAR));
    g_unlink(f->path);
}

static void test_back_pressure_loses_nothing(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    const size_t size = 3 * 1000 * 1000;
    g_autofree char *data = g_malloc(size);
    g_autoptr(GString) got = g_string_new("");
    size_t sent = 0;
    char piece[10000];
    int fd = char_bench_connect(f->path);

    for (size_t i = 0; i < size; i++)
        data[i] = i * 7 + i / 251;
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    sent = char_write(chr, data, size);
    g_assert_cmpuint(sent, <, size);
    g_assert_cmpuint(char_pending(chr), ==, CHAR_BUFFER_SIZE);
    g_assert_cmpuint(char_write(chr, data, 1), ==, 0);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 3);

    while (got->len < size) {
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

        if (n > 0)
            g_string_append_len(got, piece, n);
        loop_turn(f->loop, false);
        if (f->reader.n_writable > 0) {
            f->reader.n_writable = 0;
            sent += char_write(chr, data + sent, size - sent);
        }
    }

    g_assert_true(memcmp(got->str, data, size) == 0);
    g_assert_cmpuint(char_pending(chr), ==, 0);
    close(fd);
}

static void test_waiting_writer_is_told_of_the_end(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    g_autofree char *data = g_malloc0(4 * MIB);
    int fd = char_bench_connect(f->path);

    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    g_assert_cmpuint(char_write(chr, data, 4 * MIB), <, 4 * MIB);
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));

    g_assert_cmpint(f->reader.n_writable, ==, 1);
    g_assert_cmpuint(char_write(chr, data, 4 * MIB), ==, 4 * MIB);
}

/* Threads that write lines of a letter each. */
typedef struct Writer {
    Chardev *chr;
    char letter;
    pthread_t thread;
} Writer;

#define N_WRITERS 4
#define N_BYTES 100000

static void *write_letters(void *opaque)
{
    Writer *writer = opaque;

    for (int i = 0; i < N_BYTES;)
        i += char_write(writer->chr, &writer->letter, 1);
    return NULL;
}

static void test_four_threads_write(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    Writer writers[N_WRITERS];
    int counts[256] = { 0 };
    int fd = char_bench_connect(f->path);
    int n_bytes = 0;

    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    for (int i = 0; i < N_WRITERS; i++) {
        writers[i] = (Writer) { .chr = chr, .letter = 'a' + i };
        g_assert_true(thread_start(&writers[i].thread, THREAD_VCPU, "writer",
                                   write_letters, &writers[i], NULL));
    }
    while (n_bytes < N_WRITERS * N_BYTES) {
        unsigned char piece[4096];
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

        for (ssize_t i = 0; i < n; i++)
            counts[piece[i]]++;
        n_bytes += MAX(n, 0);
        loop_turn(f->loop, false);
    }
    for (int i = 0; i < N_WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        g_assert_cmpint(counts['a' + i], ==, N_BYTES);
    }
    close(fd);
}

static void test_input_waits_for_the_user(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    int fd = char_bench_connect(f->path);

    f->reader.room = 3;
    char_bench_send(fd, "abcdef");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 3);
    f->reader.room = 0;
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 3);
    g_assert_cmpstr(f->reader.input->str, ==, "abc");
    f->reader.room = 100;
    char_accept_input(chr);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 6);

    close(fd);
}

static void test_unread_input_of_a_gone_client_is_dropped(CharBench *f,
                                                          const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    int fd = char_bench_connect(f->path);

    f->reader.room = 0;
    char_bench_send(fd, "abc");
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 2);

    g_assert_cmpstr(f->reader.events->str, ==, "oc");
    g_assert_cmpuint(f->reader.input->len, ==, 0);
    g_assert_false(char_is_open(chr));
}

static void test_patient_user_reads_to_the_end(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_patient_user);
    int fd = char_bench_connect(f->path);

    f->reader.room = 0;
    char_bench_send(fd, "abc");
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 3);
    g_assert_true(char_is_open(chr));
    f->reader.room = 2;
    char_accept_input(chr);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 2);

    g_assert_cmpstr(f->reader.input->str, ==, "abc");
    g_assert_cmpstr(f->reader.events->str, ==, "oc");
}

static void test_half_closed_client_gets_what_is_buffered(CharBench *f,
                                                          const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    g_autofree char *data = g_strnfill(4 * MIB, 'x');
    g_autofree char *got = NULL;
    int fd = char_bench_connect(f->path);
    size_t sent;

    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    sent = char_write(chr, data, 4 * MIB);
    shutdown(fd, SHUT_WR);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 4);
    g_assert_true(char_is_open(chr));
    got = char_bench_receive(f, fd, SIZE_MAX);

    g_assert_cmpuint(strlen(got), ==, sent);
    g_assert_false(char_is_open(chr));
    close(fd);
}

static void *read_to_the_end(void *opaque)
{
    int fd = GPOINTER_TO_INT(opaque);
    char data[64 * KIB];
    size_t total = 0;
    ssize_t n;

    while ((n = read(fd, data, sizeof(data))) > 0)
        total += n;
    return GSIZE_TO_POINTER(total);
}

static void test_flush_sends_what_waits(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    g_autofree char *data = g_strnfill(4 * MIB, 'x');
    int fd = char_bench_connect(f->path);
    GThread *reader;
    size_t sent;

    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    sent = char_write(chr, data, 4 * MIB);
    char_set_flush(f->set, loop_clock_ns() + 5 * NS_PER_MS);
    g_assert_cmpuint(char_pending(chr), >, 0);

    reader = g_thread_new("reader", read_to_the_end, GINT_TO_POINTER(fd));
    char_set_flush(f->set, loop_clock_ns() + 20 * NS_PER_SEC);
    g_assert_cmpuint(char_pending(chr), ==, 0);
    shutdown(fd, SHUT_RDWR);

    g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(reader)), ==, sent);
    close(fd);
}

static void test_descriptors_are_queued_with_a_bound(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    int fd = char_bench_connect(f->path);
    int pair[2], before, taken;

    log_set_level(LOG_LEVEL_ERROR);
    g_assert_cmpint(pipe(pair), ==, 0);
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    g_assert_cmpint(char_take_fd(chr), ==, -1);
    before = char_bench_count_fds();
    char_bench_send_fds(fd, pair, 2);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 1);
    g_assert_cmpint(char_bench_count_fds(), ==, before + 2);
    taken = char_take_fd(chr);
    g_assert_cmpint(fcntl(taken, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    g_assert_cmpint(fcntl(taken, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
    close(taken);
    close(char_take_fd(chr));
    g_assert_cmpint(char_take_fd(chr), ==, -1);

    for (int i = 0; i < 20; i++)
        char_bench_send_fds(fd, pair, 2);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 21);
    g_assert_cmpint(char_bench_count_fds(), ==, before + CHAR_MAX_FDS);
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));
    g_assert_cmpint(char_bench_count_fds(), ==, before - 2);
    close(pair[0]);
    close(pair[1]);
    log_set_level(LOG_LEVEL_WARN);
}

/* Clients of char_listen(); each closes itself when it reads 'q'. */
typedef struct Host {
    GPtrArray *clients;
    GString *input;
} Host;

typedef struct Guest {
    Host *host;
    Chardev *chr;
} Guest;

static void guest_close(Guest *guest)
{
    g_ptr_array_remove(guest->host->clients, guest);
    char_close(guest->chr);
    g_free(guest);
}

static void guest_read(void *opaque, const uint8_t *data, size_t size)
{
    Guest *guest = opaque;

    g_string_append_len(guest->host->input, (const char *)data, size);
    if (memchr(data, 'q', size))
        guest_close(guest);
}

static void guest_event(void *opaque, CharEvent event)
{
    if (event == CHAR_EVENT_CLOSED)
        guest_close(opaque);
}

static const CharUser guest_user = { .read = guest_read, .event = guest_event };

static void on_accept(void *opaque, Chardev *client)
{
    Guest *guest = g_new0(Guest, 1);

    guest->host = opaque;
    guest->chr = client;
    g_assert_true(char_is_open(client));
    g_assert_true(char_attach(client, &guest_user, guest, NULL));
    g_ptr_array_add(guest->host->clients, guest);
    char_write(client, "hello", 5);
}

static void test_listener_has_many_clients(CharBench *f, const void *unused)
{
    Host host = { .clients = g_ptr_array_new(), .input = g_string_new("") };
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    g_autofree char *name = g_strdup_printf("unix:%s,server=on", f->path);
    Chardev *chr = char_bench_add(f, "c", options);
    int fds[CHAR_MAX_CLIENTS + 2];

    g_assert_true(char_listen(chr, on_accept, &host, NULL));
    g_assert_true(char_is_listener(chr));
    g_assert_false(char_attach(chr, &guest_user, NULL, NULL));
    g_assert_false(char_remove(f->set, "c", NULL));
    for (int i = 0; i < CHAR_MAX_CLIENTS + 2; i++)
        fds[i] = char_bench_connect(f->path);
    CHAR_BENCH_RUN_UNTIL(f, host.clients->len == CHAR_MAX_CLIENTS);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 3);
    char_bench_assert_filename(f, name);
    for (int i = 0; i < 10; i++) {
        g_autofree char *text = char_bench_receive(f, fds[i], 5);

        g_assert_cmpstr(text, ==, "hello");
        char_bench_send(fds[i], i % 2 ? "q" : "a");
    }
    CHAR_BENCH_RUN_UNTIL(f, host.input->len == 10);
    CHAR_BENCH_RUN_UNTIL(f, host.clients->len == CHAR_MAX_CLIENTS - 3);
    for (int i = 0; i < CHAR_MAX_CLIENTS + 2; i++)
        close(fds[i]);
    CHAR_BENCH_RUN_UNTIL(f, host.clients->len == 0);
    g_assert_false(char_is_open(chr));

    char_unlisten(chr);
    g_ptr_array_unref(host.clients);
    g_string_free(host.input, true);
}

static void test_no_descriptors_left_is_no_spin(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    struct rlimit before, none;
    int fd = char_bench_connect(f->path);

    log_set_level(LOG_LEVEL_ERROR);
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit) { .rlim_cur = 3, .rlim_max = before.rlim_max };
    setrlimit(RLIMIT_NOFILE, &none);
    g_assert_cmpint(char_bench_count_turns(f, 50), <=, 4);
    g_assert_false(char_is_open(chr));
    setrlimit(RLIMIT_NOFILE, &before);
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));

    close(fd);
    log_set_level(LOG_LEVEL_WARN);
}

static void test_client_reconnects(CharBench *f, const void *unused)
{
    g_autofree char *options = g_strdup_printf("socket,path=%s,reconnect-ms=10", f->path);
    g_autofree char *open_name = g_strdup_printf("unix:%s", f->path);
    g_autofree char *closed_name = g_strdup_printf("disconnected:%s", open_name);
    Chardev *chr = char_bench_add(f, "c", options);
    int server, fd;

    char_bench_attach(f, chr, &char_bench_user);
    char_bench_assert_filename(f, closed_name);
    char_bench_count_turns(f, 30);
    g_assert_false(char_is_open(chr));
    server = char_bench_listen(f->path);
    for (int i = 0; i < 3; i++) {
        CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
        fd = accept(server, NULL, NULL);
        char_bench_assert_filename(f, open_name);
        close(fd);
        CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));
    }
    g_assert_cmpstr(f->reader.events->str, ==, "ocococ");

    close(server);
    g_unlink(f->path);
}

static void test_tcp_server_and_client_meet(CharBench *f, const void *unused)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    g_autofree char *options = NULL;
    g_autoptr(ChardevInfoList) list = NULL;
    g_autofree char *prefix = NULL;

    g_assert_cmpint(bind(server, (struct sockaddr *)&address, size), ==, 0);
    getsockname(server, (struct sockaddr *)&address, &size);
    close(server);
    options = g_strdup_printf("socket,host=127.0.0.1,port=%u,server=on,wait=off",
                              ntohs(address.sin_port));
    char_bench_attach(f, char_bench_add(f, "s", options), &char_bench_user);
    g_free(options);
    options = g_strdup_printf("tcp:127.0.0.1:%u,nodelay", ntohs(address.sin_port));
    char_write(char_add_from_text(f->set, "c", options, NULL), "hi", 2);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 2);

    list = char_set_query(f->set);
    prefix = g_strdup_printf("tcp:127.0.0.1:%u,server=on <-> 127.0.0.1:",
                             ntohs(address.sin_port));
    g_assert_true(g_str_has_prefix(list->items[0]->filename, prefix));
    g_assert_true(list->items[0]->frontend_open);
    g_assert_false(list->items[1]->frontend_open);
}

static void test_passed_listening_descriptor(CharBench *f, const void *unused)
{
    int server = char_bench_listen(f->path);
    g_autofree char *options = g_strdup_printf("socket,fd=%d,server=on,wait=off", server);
    g_autofree char *closed_name = g_strdup_printf("disconnected:fd:%d,server=on",
                                                   server);
    g_autofree char *open_name = g_strdup_printf("unix:%s,server=on", f->path);
    Chardev *chr = char_bench_add(f, "c", options);
    int fd;

    char_bench_attach(f, chr, &char_bench_user);
    char_bench_assert_filename(f, closed_name);
    g_assert_cmpint(fcntl(server, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        fd = char_bench_connect(f->path);
        CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
        char_bench_assert_filename(f, open_name);
        close(fd);
        CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));
    }
    g_unlink(f->path);
}

static int take_by_name(void *opaque, const char *name, GError **error)
{
    g_assert_cmpstr(name, ==, "conn");
    return *(int *)opaque;
}

static void test_connected_descriptor_by_name(CharBench *f, const void *unused)
{
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    char_set_named_fd_hook(f->set, take_by_name, &pair[0]);
    char_bench_attach(f, char_bench_add(f, "c", "socket,fd=conn"), &char_bench_user);
    char_bench_send(pair[1], "x");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 1);

    close(pair[1]);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
}

static void test_abstract_socket(CharBench *f, const void *unused)
{
    g_autofree char *name = g_strdup_printf("berth-test-%d", getpid());
    g_autofree char *server = g_strdup_printf("unix:%s,abstract,server,nowait", name);
    g_autofree char *client = g_strdup_printf("unix:%s,abstract=on", name);
    g_autoptr(GError) error = NULL;
    Chardev *chr = char_add_from_text(f->set, "s", server, &error);

    g_assert_no_error(error);
    char_bench_attach(f, chr, &char_bench_user);
    char_write(char_add_from_text(f->set, "c", client, &error), "hi", 2);
    g_assert_no_error(error);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 2);
}

static void *connect_soon(void *opaque)
{
    g_usleep(20000);
    return GINT_TO_POINTER(char_bench_connect(opaque));
}

static void test_waiting_server_has_its_client(CharBench *f, const void *unused)
{
    g_autofree char *options = NULL;
    pthread_t thread;
    void *fd;
    int server = char_bench_listen(f->path);

    log_set_level(LOG_LEVEL_ERROR);
    options = g_strdup_printf("socket,fd=%d,server=on", server);
    g_assert_true(thread_start(&thread, THREAD_WORKER, "client", connect_soon, f->path,
                               NULL));
    g_assert_true(char_is_open(char_bench_add(f, "c", options)));

    pthread_join(thread, &fd);
    close(GPOINTER_TO_INT(fd));
    g_unlink(f->path);
    log_set_level(LOG_LEVEL_WARN);
}

#define add_test(path, fn)                                                            \
    g_test_add("/char-socket/" path, CharBench, NULL, char_bench_set_up, fn,          \
               char_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("server-serves-one-client-after-the-other",
             test_server_serves_one_client_after_the_other);
    add_test("socket-file-goes-with-the-server", test_socket_file_goes_with_the_server);
    add_test("server-replaces-a-stale-socket-but-no-file",
             test_server_replaces_a_stale_socket_but_no_file);
    add_test("back-pressure-loses-nothing", test_back_pressure_loses_nothing);
    add_test("waiting-writer-is-told-of-the-end", test_waiting_writer_is_told_of_the_end);
    add_test("flush-sends-what-waits", test_flush_sends_what_waits);
    add_test("four-threads-write", test_four_threads_write);
    add_test("input-waits-for-the-user", test_input_waits_for_the_user);
    add_test("unread-input-of-a-gone-client-is-dropped",
             test_unread_input_of_a_gone_client_is_dropped);
    add_test("patient-user-reads-to-the-end", test_patient_user_reads_to_the_end);
    add_test("half-closed-client-gets-what-is-buffered",
             test_half_closed_client_gets_what_is_buffered);
    add_test("descriptors-are-queued-with-a-bound",
             test_descriptors_are_queued_with_a_bound);
    add_test("listener-has-many-clients", test_listener_has_many_clients);
    add_test("no-descriptors-left-is-no-spin", test_no_descriptors_left_is_no_spin);
    add_test("client-reconnects", test_client_reconnects);
    add_test("tcp-server-and-client-meet", test_tcp_server_and_client_meet);
    add_test("passed-listening-descriptor", test_passed_listening_descriptor);
    add_test("connected-descriptor-by-name", test_connected_descriptor_by_name);
    add_test("abstract-socket", test_abstract_socket);
    add_test("waiting-server-has-its-client", test_waiting_server_has_its_client);
    return g_test_run();
}
