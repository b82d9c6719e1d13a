/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/socket.h>

#include "berth/error.h"

#include "char-bench.h"

/* What the far end sends, and what the user gets; "*" is a break. */
static const struct {
    const char *in;
    size_t size;
    const char *out;
} cases[] = {
#define CASE(in, out) { in, sizeof(in) - 1, out }
    CASE("abc", "abc"),
    CASE("a\xff\xff" "b", "a\xff" "b"),
    CASE("a\xff\xf3" "b", "a*b"),
    CASE("\xff\xf3\xff\xf3", "**"),
    CASE("a\xff\xfd\x01" "b", "ab"),
    CASE("a\xff\xfb\x18\xff\xfc\x03\xff\xfe\x2a" "b", "ab"),
    CASE("a\xff\xf1" "b\xff\xf6" "c\xff\xf9" "d", "abcd"),
    CASE("a\xff\xfa\x18\x00xterm\xff\xf0" "b", "ab"),
    CASE("a\xff\xfa\x1f\xff\xff\x00\x50\xff\xf0" "b", "ab"),
    CASE("a\xff\xfa\x18\xff\xf3more\xff\xf0" "b", "ab"),
    CASE("ls\r\0", "ls\r"),
    CASE("ls\r\n", "ls\r\n"),
    CASE("\r\r\0a", "\r\ra"),
    CASE("\xff\xfb\x00" "x\r\0y", "x\r"),       /* binary: the zero is kept */
    CASE("\xff\xfb\x00\xff\xfc\x00" "x\r\0y", "x\ry"),
    CASE("a\xff", "a"),
    CASE("a\xff\xfa", "a"),
#undef CASE
};

static void on_event(void *opaque, CharEvent event)
{
    CharReader *reader = opaque;

    if (event == CHAR_EVENT_BREAK)
        g_string_append_c(reader->input, '*');
    else
        g_string_append_c(reader->events, event == CHAR_EVENT_OPENED ? 'o' : 'c');
}

static size_t on_can_read(void *opaque)
{
    return ((CharReader *)opaque)->room;
}

static void on_read(void *opaque, const uint8_t *data, size_t size)
{
    CharReader *reader = opaque;

    g_string_append_len(reader->input, (const char *)data, size);
}

static void on_writable(void *opaque)
{
    ((CharReader *)opaque)->n_writable++;
}

static const CharUser user = {
    .can_read = on_can_read,
    .read = on_read,
    .writable = on_writable,
    .event = on_event,
};

static Chardev *add_server(CharBench *f)
{
    g_autofree char *options = g_strdup_printf(
        "socket,path=%s,server=on,wait=off,telnet=on", f->path);
    Chardev *chr = char_bench_add(f, "c", options);

    char_bench_attach(f, chr, &user);
    return chr;
}

static const char greeting[] = "\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd";

static int connect_and_read_greeting(CharBench *f)
{
    int fd = char_bench_connect(f->path);
    g_autofree char *text = char_bench_receive(f, fd, sizeof(greeting));

    g_assert_cmpmem(text, sizeof(greeting), greeting, sizeof(greeting));
    return fd;
}

/* Each case in pieces of one, two and all bytes: the state outlives a read. */
static void test_input(CharBench *f, const void *unused)
{
    const size_t sizes[] = { 1, 2, SIZE_MAX };

    add_server(f);
    for (size_t i = 0; i < G_N_ELEMENTS(cases) * G_N_ELEMENTS(sizes); i++) {
        size_t n = i / G_N_ELEMENTS(sizes), part = sizes[i % G_N_ELEMENTS(sizes)];
        int fd = connect_and_read_greeting(f);

        g_string_truncate(f->reader.input, 0);
        for (size_t at = 0; at < cases[n].size; at += MIN(part, cases[n].size)) {
            size_t size = MIN(part, cases[n].size - at);

            g_assert_cmpint(send(fd, cases[n].in + at, size, 0), ==, size);
            loop_turn(f->loop, false);
        }
        g_string_truncate(f->reader.events, 0);
        close(fd);
        CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
        if (strcmp(f->reader.input->str, cases[n].out) != 0)
            g_error("case %zu by %zu bytes gives \"%s\"", n, part, f->reader.input->str);
    }
}

/* Bytes 0xff come out twice, in order, however the far end reads. */
static void test_output_to_a_slow_reader(CharBench *f, const void *unused)
{
    const size_t size = 400 * 1000;
    g_autofree uint8_t *data = g_malloc(size);
    Chardev *chr = add_server(f);
    g_autoptr(GString) got = g_string_new("");
    int fd = connect_and_read_greeting(f), small = 4096;
    size_t sent = 0, at = 0;

    for (size_t i = 0; i < size; i++)
        data[i] = i % 3 ? i % 251 : 0xff;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    while (got->len < size + size / 3 + 1) {
        char piece[1021];
        ssize_t n;

        sent += char_write(chr, data + sent, MIN(size - sent, 1 + sent % 5000));
        n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n > 0)
            g_string_append_len(got, piece, n);
        else
            loop_turn(f->loop, false);
    }
    for (size_t i = 0; i < size; i++) {
        g_assert_cmpint((uint8_t)got->str[at++], ==, data[i]);
        if (data[i] == 0xff)
            g_assert_cmpint((uint8_t)got->str[at++], ==, 0xff);
    }
    g_assert_cmpuint(at, ==, got->len);
    close(fd);
}

/* Requests are not answered, so that a flood of them gets nothing out of the host. */
static void test_flood_of_commands(CharBench *f, const void *unused)
{
    g_autoptr(GString) flood = g_string_new("");
    size_t sent = 0;
    char data[16];
    int fd;

    for (int i = 0; i < 100000; i++)
        g_string_append_len(flood, i % 2 ? "\xff\xfd\x22" : "\xff\xfb\x1f", 3);
    add_server(f);
    fd = connect_and_read_greeting(f);
    while (sent < flood->len) {
        ssize_t n = send(fd, flood->str + sent, flood->len - sent, MSG_DONTWAIT);

        sent += MAX(n, 0);
        loop_turn(f->loop, false);
    }
    char_bench_send(fd, "end");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 3);

    g_assert_cmpstr(f->reader.input->str, ==, "end");
    g_assert_cmpint(recv(fd, data, sizeof(data), MSG_DONTWAIT), ==, -1);
    close(fd);
}

/* A user that leaves at a break, with bytes after it. */
static void on_last_event(void *opaque, CharEvent event)
{
    CharReader *reader = opaque;

    if (event != CHAR_EVENT_BREAK)
        return;
    char_detach(reader->chr);
    reader->chr = NULL;
}

static const CharUser leaving_user = { .read = on_read, .event = on_last_event };

static void test_user_leaves_at_a_break(CharBench *f, const void *unused)
{
    g_autofree char *options = g_strdup_printf(
        "socket,path=%s,server=on,wait=off,telnet=on", f->path);
    int fd;

    char_bench_attach(f, char_bench_add(f, "c", options), &leaving_user);
    fd = connect_and_read_greeting(f);
    char_bench_send(fd, "a\xff\xf3" "b");
    CHAR_BENCH_RUN_UNTIL(f, !f->reader.chr);

    g_assert_cmpstr(f->reader.input->str, ==, "a");
    g_assert_true(char_remove(f->set, "c", NULL));
    close(fd);
}

static void test_names(CharBench *f, const void *unused)
{
    g_autoptr(GError) error = NULL;
    Chardev *chr = char_add_from_text(f->set, "c", "telnet:127.0.0.1:0,server,nowait",
                                      &error);
    g_autofree char *name = NULL;

    g_assert_no_error(error);
    name = char_filename(chr);
    g_assert_true(g_regex_match_simple(
        "^disconnected:telnet:127\\.0\\.0\\.1:[1-9][0-9]*,server=on$", name, 0, 0));
}

#define add_test(path, fn)                                                            \
    g_test_add("/char-telnet/" path, CharBench, NULL, char_bench_set_up, fn,          \
               char_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("input", test_input);
    add_test("output-to-a-slow-reader", test_output_to_a_slow_reader);
    add_test("flood-of-commands", test_flood_of_commands);
    add_test("user-leaves-at-a-break", test_user_leaves_at_a_break);
    add_test("names", test_names);
    return g_test_run();
}
