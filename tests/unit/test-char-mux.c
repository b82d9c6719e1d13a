/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "char-bench.h"

/* A mux "m" on a unix socket, its far end, and users of its fronts. */
typedef struct MuxBench {
    CharBench bench;
    Chardev *mux;
    int fd;
    CharReader readers[CHAR_MUX_FRONTS + 1];
    const char *asked;          /* what the mux asked for */
} MuxBench;

static const char *on_command(void *opaque, CharMuxCommand command)
{
    MuxBench *f = opaque;

    f->asked = command == CHAR_MUX_QUIT ? "quit" : "save";
    return command == CHAR_MUX_QUIT ? NULL : "no reason to";
}

static void connect_far_end(MuxBench *f)
{
    f->fd = char_bench_connect(f->bench.path);
    CHAR_BENCH_RUN_UNTIL(&f->bench, char_is_open(f->mux));
}

static void set_up(MuxBench *f, const void *unused)
{
    g_autofree char *options = NULL;

    char_bench_set_up(&f->bench, NULL);
    char_set_mux_hook(f->bench.set, on_command, f);
    options = g_strdup_printf("socket,path=%s,server=on,wait=off", f->bench.path);
    char_bench_add(&f->bench, "base", options);
    f->mux = char_bench_add(&f->bench, "m", "mux,chardev=base");
    for (size_t i = 0; i < G_N_ELEMENTS(f->readers); i++)
        f->readers[i] = (CharReader) { .input = g_string_new(""),
                                       .events = g_string_new(""), .room = SIZE_MAX };
    connect_far_end(f);
}

static void tear_down(MuxBench *f, const void *unused)
{
    for (size_t i = 0; i < G_N_ELEMENTS(f->readers); i++) {
        if (f->readers[i].chr)
            char_detach(f->readers[i].chr);
        g_string_free(f->readers[i].input, true);
        g_string_free(f->readers[i].events, true);
    }
    if (f->fd >= 0)
        close(f->fd);
    char_bench_tear_down(&f->bench, NULL);
}

static CharReader *attach(MuxBench *f, int index)
{
    CharReader *reader = &f->readers[index];

    reader->chr = char_attach(f->mux, &char_bench_user, reader, NULL);
    g_assert_nonnull(reader->chr);
    return reader;
}

static void settle(MuxBench *f)
{
    for (int i = 0; i < 8; i++)
        loop_turn(f->bench.loop, false);
}

static void type(MuxBench *f, const char *text)
{
    char_bench_send(f->fd, text);
    settle(f);
}

static void assert_told(MuxBench *f, const char *expected)
{
    g_autofree char *text = char_bench_receive(&f->bench, f->fd, strlen(expected));

    g_assert_cmpstr(text, ==, expected);
}

/* What the mux says for itself. */
static char *take_text(MuxBench *f)
{
    char data[2048];
    ssize_t n = recv(f->fd, data, sizeof(data), MSG_DONTWAIT);

    return g_strndup(data, MAX(n, 0));
}

static void test_input_follows_the_focus(MuxBench *f, const void *unused)
{
    CharReader *monitor = attach(f, 0), *serial = attach(f, 1);

    g_assert_true(monitor->chr != serial->chr);
    g_assert_false(char_has_focus(monitor->chr));
    g_assert_true(char_has_focus(serial->chr));
    type(f, "one\x01" "cinfo\x01" "ctwo\x01\x01");

    g_assert_cmpstr(serial->input->str, ==, "onetwo\x01");
    g_assert_cmpstr(monitor->input->str, ==, "info");
    g_assert_cmpstr(monitor->events->str, ==, "uiu");
    g_assert_cmpstr(serial->events->str, ==, "ui");
    g_assert_cmpuint(char_write(monitor->chr, "M", 1), ==, 1);
    g_assert_cmpuint(char_write(serial->chr, "S", 1), ==, 1);
    assert_told(f, "MS");
    g_assert_cmpint(char_bench_count_turns(&f->bench, 30), <=, 2);
}

static void test_commands(MuxBench *f, const void *unused)
{
    CharReader *serial = attach(f, 0);
    g_autofree char *help = NULL, *quit = NULL, *save = NULL;

    type(f, "\x01h");
    help = take_text(f);
    g_assert_nonnull(strstr(help, "C-a x "));
    g_assert_nonnull(strstr(help, "C-a C-a "));

    type(f, "\x01x");
    quit = take_text(f);
    g_assert_cmpstr(f->asked, ==, "quit");
    g_assert_nonnull(strstr(quit, "terminated"));

    type(f, "\x01s");
    save = take_text(f);
    g_assert_cmpstr(f->asked, ==, "save");
    g_assert_nonnull(strstr(save, "no reason to"));

    /* An unknown command is nothing; the only front stays the focus. */
    type(f, "\x01" "b\x01q\x01" "cx");
    char_send_break(f->mux);
    g_assert_cmpstr(serial->events->str, ==, "bb");
    g_assert_cmpstr(serial->input->str, ==, "x");
}

static void test_other_escape(MuxBench *f, const void *unused)
{
    CharReader *serial = attach(f, 0);
    g_autofree char *help = NULL;

    char_set_escape(f->bench.set, '~');
    type(f, "\x01" "a~~~");
    type(f, "?");
    help = take_text(f);

    g_assert_cmpstr(serial->input->str, ==, "\x01" "a~");
    g_assert_nonnull(strstr(help, "0x7e x "));
}

/* "[hh:mm:ss.mmm] " at the start of each line but the one that has begun. */
static void test_timestamps(MuxBench *f, const void *unused)
{
    CharReader *serial = attach(f, 0);
    g_autofree char *text = NULL;

    type(f, "\x01t");
    g_assert_cmpuint(char_write(serial->chr, "a\nb\n\nc", 6), ==, 6);
    g_assert_cmpuint(char_write(serial->chr, "d\n", 2), ==, 2);
    type(f, "\x01t");
    g_assert_cmpuint(char_write(serial->chr, "e", 1), ==, 1);
    text = take_text(f);

    g_assert_true(g_regex_match_simple(
        "^a\n\\[00:00:00\\.000\\] b\n\\[00:00:00\\.\\d\\d\\d\\] \n"
        "\\[00:00:0\\d\\.\\d\\d\\d\\] cd\ne$", text, 0, 0));
}

/* Bytes that a front is to get, in order, so that a lost one shows. */
static void fill(char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = 'A' + i % 53 % 26;
    data[size] = '\0';
}

static void test_a_front_that_reads_nothing_loses_nothing(MuxBench *f, const void *unused)
{
    CharReader *monitor = attach(f, 0), *serial = attach(f, 1);
    g_autofree char *data = g_malloc(CHAR_MUX_INPUT_SIZE + 101);

    /* As much as the front keeps: the keys work still. */
    serial->room = 0;
    fill(data, CHAR_MUX_INPUT_SIZE);
    type(f, data);
    g_assert_cmpuint(serial->input->len, ==, 0);
    g_assert_cmpint(char_bench_count_turns(&f->bench, 30), <=, 2);

    /* Out of focus, it gets what was typed for it. */
    serial->room = 1000;
    char_accept_input(serial->chr);
    settle(f);
    g_assert_cmpstr(serial->input->str, ==, data);
    g_string_truncate(serial->input, 0);
    serial->room = 0;

    /* More than it keeps: the rest waits, and so do the keys, in their order. */
    fill(data, CHAR_MUX_INPUT_SIZE + 100);
    type(f, data);
    type(f, "\x01" "cinfo");
    g_assert_cmpuint(monitor->input->len, ==, 0);
    g_assert_cmpint(char_bench_count_turns(&f->bench, 30), <=, 2);
    serial->room = 50;
    char_accept_input(serial->chr);
    CHAR_BENCH_RUN_UNTIL(&f->bench, monitor->input->len == 4);
    g_assert_cmpstr(serial->input->str, ==, data);
    g_assert_cmpstr(monitor->input->str, ==, "info");
}

static void test_held_input_is_dropped_with_the_far_end(MuxBench *f, const void *unused)
{
    CharReader *serial = attach(f, 0);
    g_autofree char *data = g_malloc(CHAR_MUX_INPUT_SIZE + 101);

    serial->room = 0;
    fill(data, CHAR_MUX_INPUT_SIZE + 100);
    type(f, data);
    type(f, "\x01");
    close(f->fd);
    CHAR_BENCH_RUN_UNTIL(&f->bench, !char_is_open(f->mux));
    g_assert_false(char_is_open(serial->chr));
    g_assert_cmpuint(char_write(serial->chr, "swallowed", 9), ==, 9);
    connect_far_end(f);
    serial->room = SIZE_MAX;
    char_accept_input(serial->chr);
    type(f, "x");

    g_assert_cmpstr(serial->events->str, ==, "co");
    g_assert_cmpuint(serial->input->len, >=, CHAR_MUX_INPUT_SIZE);
    g_assert_true(g_str_has_suffix(serial->input->str, "x"));
    g_assert_null(f->asked);
}

static void test_each_writer_that_waits_is_told(MuxBench *f, const void *unused)
{
    CharReader *monitor = attach(f, 0), *serial = attach(f, 1);
    g_autofree char *data = g_malloc0(CHAR_BUFFER_SIZE);
    char drain[4096];

    while (char_write(serial->chr, data, CHAR_BUFFER_SIZE) == CHAR_BUFFER_SIZE)
        ;
    g_assert_cmpuint(char_write(serial->chr, "x", 1), ==, 0);
    g_assert_cmpuint(char_write(monitor->chr, "x", 1), ==, 0);
    g_assert_cmpuint(char_pending(monitor->chr), ==, CHAR_BUFFER_SIZE);
    settle(f);
    g_assert_cmpint(serial->n_writable + monitor->n_writable, ==, 0);
    while (serial->n_writable + monitor->n_writable < 2) {
        if (recv(f->fd, drain, sizeof(drain), MSG_DONTWAIT) < 0)
            loop_turn(f->bench.loop, false);
    }

    g_assert_cmpint(serial->n_writable, ==, 1);
    g_assert_cmpint(monitor->n_writable, ==, 1);
}

/* A stamp that the far end takes in parts comes out whole. */
static void test_timestamps_of_a_slow_reader(MuxBench *f, const void *unused)
{
    CharReader *serial = attach(f, 0);
    g_autoptr(GString) text = g_string_new("");
    size_t n_lines = 0, sent = 0;
    char drain[16384];

    type(f, "\x01t");
    char_write(serial->chr, "\n", 1);
    while (n_lines < 20000) {
        ssize_t n = recv(f->fd, drain, n_lines % 7 ? 37 : sizeof(drain), MSG_DONTWAIT);

        if (n > 0)
            g_string_append_len(text, drain, n);
        sent += char_write(serial->chr, &"12345678\n"[sent % 9], 9 - sent % 9);
        n_lines = sent / 9;
        if (n_lines % 64 == 0)
            loop_turn(f->bench.loop, false);
    }
    char_write(serial->chr, "end", 3);
    while (!g_str_has_suffix(text->str, "end")) {
        ssize_t n = recv(f->fd, drain, sizeof(drain), MSG_DONTWAIT);

        if (n > 0)
            g_string_append_len(text, drain, n);
        loop_turn(f->bench.loop, false);
        g_assert_cmpuint(text->len, <, 1 << 20);
    }
    g_assert_true(g_regex_match_simple(
        "^\n(\\[00:\\d\\d:\\d\\d\\.\\d\\d\\d\\] 12345678\n)+\\[00:[0-9:.]+\\] end$",
        text->str, 0, 0));
}

/* Threads that write lines of a letter each. */
typedef struct Writer {
    Chardev *chr;
    char line[9];
    pthread_t thread;
} Writer;

#define N_LINES 3000

static void *write_lines(void *opaque)
{
    Writer *writer = opaque;

    for (int i = 0; i < N_LINES; i++) {
        for (size_t at = 0; at < sizeof(writer->line);)
            at += char_write(writer->chr, writer->line + at, sizeof(writer->line) - at);
    }
    return NULL;
}

/* What comes out is what went in, but for the stamps, which are whole. */
static void check_letters(const char *text, size_t size)
{
    g_autofree char *all = g_strndup(text, size);
    g_autoptr(GRegex) stamp = g_regex_new("\\[\\d\\d:\\d\\d:\\d\\d\\.\\d\\d\\d\\] ", 0, 0,
                                          NULL);
    g_autofree char *plain = g_regex_replace_literal(stamp, all, -1, 0, "", 0, NULL);
    size_t n_a = 0, n_b = 0;

    for (const char *at = plain; *at; at++) {
        g_assert_nonnull(strchr("ab\n", *at));
        n_a += *at == 'a';
        n_b += *at == 'b';
    }
    g_assert_cmpuint(n_a, ==, N_LINES * 8);
    g_assert_cmpuint(n_b, ==, N_LINES * 8);
}

static void test_two_threads_write(MuxBench *f, const void *unused)
{
    g_autoptr(GString) got = g_string_new("");
    Writer writers[2];
    size_t n_plain = 0;
    char piece[4096];

    for (int i = 0; i < 2; i++) {
        writers[i].chr = attach(f, i)->chr;
        memset(writers[i].line, 'a' + i, 8);
        writers[i].line[8] = '\n';
        g_assert_true(thread_start(&writers[i].thread, THREAD_VCPU, "writer", write_lines,
                                   &writers[i], NULL));
    }
    for (int turn = 0; n_plain < 2 * N_LINES * 9; turn++) {
        ssize_t n = recv(f->fd, piece, sizeof(piece), MSG_DONTWAIT);

        for (ssize_t i = 0; i < n; i++)
            n_plain += strchr("ab\n", piece[i]) != NULL;
        if (n > 0)
            g_string_append_len(got, piece, n);
        if (turn % 50 == 0 && turn < 5000)
            char_bench_send(f->fd, "\x01t");
        loop_turn(f->bench.loop, false);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(writers[i].thread, NULL);
    check_letters(got->str, got->len);
}

static bool frontend_is_open(MuxBench *f, const char *id)
{
    g_autoptr(ChardevInfoList) list = char_set_query(f->bench.set);

    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i]->label, id) == 0)
            return list->items[i]->frontend_open;
    }
    g_assert_not_reached();
}

static void test_limits_and_lives(MuxBench *f, const void *unused)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(frontend_is_open(f, "m"));
    g_assert_false(frontend_is_open(f, "base"));
    g_assert_false(char_remove(f->bench.set, "base", NULL));
    for (int i = 0; i < CHAR_MUX_FRONTS; i++)
        attach(f, i);
    g_assert_true(frontend_is_open(f, "m"));
    g_assert_true(frontend_is_open(f, "base"));
    g_assert_null(char_attach(f->mux, &char_bench_user, &f->readers[4], &error));
    g_assert_nonnull(strstr(error->message, "4 users"));
    g_assert_false(char_remove(f->bench.set, "m", NULL));

    g_assert_null(char_bench_try_add(&f->bench, "mm", "mux,chardev=m", NULL));

    /* The focus goes to the last that is left; then there is nobody to read. */
    char_detach(f->readers[3].chr);
    g_assert_true(char_has_focus(f->readers[2].chr));
    for (int i = 0; i < CHAR_MUX_FRONTS; i++) {
        if (i < 3)
            char_detach(f->readers[i].chr);
        f->readers[i].chr = NULL;
    }
    g_assert_false(frontend_is_open(f, "base"));
    type(f, "kept for the next");
    attach(f, 0);
    settle(f);
    g_assert_cmpstr(f->readers[0].input->str, ==, "kept for the next");
    char_detach(f->readers[0].chr);
    f->readers[0].chr = NULL;
    g_assert_true(char_remove(f->bench.set, "m", NULL));
    g_assert_true(char_remove(f->bench.set, "base", NULL));
}

/* A user that leaves in its own callback. */
static void leaving_read(void *opaque, const uint8_t *data, size_t size)
{
    CharReader *reader = opaque;

    g_string_append_len(reader->input, (const char *)data, size);
    if (reader->chr)
        char_detach(reader->chr);
    reader->chr = NULL;
}

static size_t leaving_can_read(void *opaque)
{
    return 2;
}

static const CharUser leaving_user = {
    .can_read = leaving_can_read,
    .read = leaving_read,
};

static void test_a_front_may_leave_while_it_reads(MuxBench *f, const void *unused)
{
    CharReader *monitor = attach(f, 0), *leaving = &f->readers[1];

    leaving->chr = char_attach(f->mux, &leaving_user, leaving, NULL);
    type(f, "abcdef");
    CHAR_BENCH_RUN_UNTIL(&f->bench, monitor->input->len == 4);

    g_assert_cmpstr(leaving->input->str, ==, "ab");
    g_assert_cmpstr(monitor->input->str, ==, "cdef");
}

/* What a telnet client sends comes to the mux in pieces, between its breaks. */
static void test_held_pieces_stay_in_order(MuxBench *f, const void *unused)
{
    static const char bytes[] = "abX\xff\xf3" "cd\xff\xf3" "ef";
    g_autofree char *path = g_strconcat(f->bench.path, "-telnet", NULL);
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off,"
                                               "telnet=on,mux=on", path);
    Chardev *mux = char_bench_add(&f->bench, "t", options);
    CharReader *leaving = &f->readers[0], *late = &f->readers[1];
    int fd = char_bench_connect(path);

    leaving->chr = char_attach(mux, &leaving_user, leaving, NULL);
    CHAR_BENCH_RUN_UNTIL(&f->bench, char_is_open(mux));
    char_bench_send(fd, bytes);
    CHAR_BENCH_RUN_UNTIL(&f->bench, !leaving->chr);
    late->chr = char_attach(mux, &char_bench_user, late, NULL);
    CHAR_BENCH_RUN_UNTIL(&f->bench, late->input->len == 5);

    g_assert_cmpstr(leaving->input->str, ==, "ab");
    g_assert_cmpstr(late->input->str, ==, "Xcdef");
    close(fd);
    unlink(path);
}

static bool put_monitor(void *opaque, Chardev *chr, GError **error)
{
    CharReader *reader = opaque;

    if (reader->room == 0) {
        error_set(error, "no room for a monitor");
        return false;
    }
    reader->chr = char_attach(chr, &char_bench_user, reader, error);
    return reader->chr != NULL;
}

static void test_texts_with_a_monitor(MuxBench *f, const void *unused)
{
    CharSet *set = f->bench.set;
    g_autoptr(GError) error = NULL, failure = NULL;

    g_assert_null(char_add_from_text(set, "s", "mon:null", &error));
    g_assert_nonnull(strstr(error->message, "no monitor for people"));
    char_set_monitor_hook(set, put_monitor, &f->readers[0]);
    g_assert_nonnull(char_add_from_text(set, "s", "mon:null", NULL));
    g_assert_nonnull(char_find(set, "s-base"));
    g_assert_nonnull(f->readers[0].chr);

    f->readers[1].room = 0;
    char_set_monitor_hook(set, put_monitor, &f->readers[1]);
    g_assert_null(char_add_from_text(set, "t", "mon:null", &failure));
    g_assert_null(char_find(set, "t"));
    g_assert_null(char_find(set, "t-base"));
    g_assert_null(char_add_from_text(set, "t", "mon:unix:/no/such/folder/x", NULL));
    g_assert_null(char_add_from_text(set, "t", "mon:mon:null", NULL));
    g_assert_null(char_find(set, "t-base"));
}

#define add_test(path, fn) \
    g_test_add("/char-mux/" path, MuxBench, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("input-follows-the-focus", test_input_follows_the_focus);
    add_test("commands", test_commands);
    add_test("other-escape", test_other_escape);
    add_test("timestamps", test_timestamps);
    add_test("timestamps-of-a-slow-reader", test_timestamps_of_a_slow_reader);
    add_test("a-front-that-reads-nothing-loses-nothing",
             test_a_front_that_reads_nothing_loses_nothing);
    add_test("held-input-is-dropped-with-the-far-end",
             test_held_input_is_dropped_with_the_far_end);
    add_test("each-writer-that-waits-is-told", test_each_writer_that_waits_is_told);
    add_test("two-threads-write", test_two_threads_write);
    add_test("limits-and-lives", test_limits_and_lives);
    add_test("a-front-may-leave-while-it-reads", test_a_front_may_leave_while_it_reads);
    add_test("held-pieces-stay-in-order", test_held_pieces_stay_in_order);
    add_test("texts-with-a-monitor", test_texts_with_a_monitor);
    return g_test_run();
}
