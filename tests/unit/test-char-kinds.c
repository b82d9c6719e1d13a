/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "char-bench.h"

static char *in_folder(CharBench *f, const char *name)
{
    return g_build_filename(f->folder, name, NULL);
}

/* Reads what is there without waiting. */
static char *take(int fd)
{
    char data[4096];
    ssize_t n = read(fd, data, sizeof(data));

    return g_strndup(data, MAX(n, 0));
}

static void test_file_with_input(CharBench *f, const void *unused)
{
    g_autofree char *in = in_folder(f, "in"), *out = in_folder(f, "out");
    g_autofree char *options = g_strdup_printf("file,path=%s,input-path=%s", out, in);
    g_autofree char *text = NULL;

    g_assert_true(g_file_set_contents(in, "typed before", -1, NULL));
    f->reader.room = 5;
    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
    g_assert_cmpstr(f->reader.input->str, ==, "typed before");

    /* Its end is the end of the input only, and seen once. */
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 2);
    g_assert_cmpuint(char_write(f->reader.chr, "out", 3), ==, 3);
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "out");
    unlink(in);
    unlink(out);
}

/* The writer is long gone when the user takes the rest: nothing is lost. */
static void test_input_that_a_gone_writer_left(CharBench *f, const void *unused)
{
    g_autofree char *in = in_folder(f, "in");
    g_autofree char *options = g_strdup_printf("file,path=/dev/null,input-path=%s", in);
    g_autofree char *data = g_strnfill(3000, 'a');
    int fd;

    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    f->reader.room = 0;
    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    fd = open(in, O_WRONLY | O_NONBLOCK);
    char_bench_send(fd, data);
    close(fd);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 3);
    while (f->reader.events->len == 0) {
        f->reader.room = 16;
        char_accept_input(f->reader.chr);
        loop_turn(f->loop, false);
        f->reader.room = 0;
        loop_turn(f->loop, false);
        g_assert_cmpuint(f->reader.input->len, <=, 3000);
    }
    g_assert_cmpuint(f->reader.input->len, ==, 3000);
    g_assert_cmpstr(f->reader.events->str, ==, "c");
    unlink(in);
}

/* The end of input is told once, whatever output waits then and later. */
static void test_end_of_input_is_told_once(CharBench *f, const void *unused)
{
    g_autofree char *in = in_folder(f, "in"), *out = in_folder(f, "out");
    g_autofree char *options = g_strdup_printf("file,path=%s,input-path=%s", out, in);
    g_autofree char *data = g_malloc0(4 * CHAR_BUFFER_SIZE);
    int fd;

    g_assert_true(g_file_set_contents(in, "typed", -1, NULL));
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    fd = open(out, O_RDONLY | O_NONBLOCK);
    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    for (int i = 0; i < 3; i++) {
        char_write(f->reader.chr, data, 4 * CHAR_BUFFER_SIZE);
        g_assert_cmpuint(char_pending(f->reader.chr), >, 0);
        CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 5);
        while (char_pending(f->reader.chr) > 0) {
            g_free(take(fd));
            loop_turn(f->loop, false);
        }
        loop_turn(f->loop, false);
    }
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len > 0);
    g_assert_cmpstr(f->reader.events->str, ==, "c");
    close(fd);
    unlink(in);
    unlink(out);
}

static void test_pipes(CharBench *f, const void *unused)
{
    g_autofree char *path = in_folder(f, "p");
    g_autofree char *in = in_folder(f, "p.in"), *out = in_folder(f, "p.out");
    g_autofree char *options = g_strdup_printf("pipe,path=%s", path);
    g_autofree char *data = g_malloc0(CHAR_BUFFER_SIZE);
    g_autofree char *early = NULL;
    size_t total = 0, n;
    int in_fd, out_fd;

    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    char_bench_assert_filename(f, "pipe");
    g_assert_true(char_is_open(f->reader.chr));

    /* Output from before a reader came is kept; writers come and go unseen. */
    char_write(f->reader.chr, "early", 5);
    out_fd = open(out, O_RDONLY | O_NONBLOCK);
    early = take(out_fd);
    g_assert_cmpstr(early, ==, "early");
    for (int i = 0; i < 3; i++) {
        in_fd = open(in, O_WRONLY | O_NONBLOCK);
        char_bench_send(in_fd, "in");
        close(in_fd);
    }
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 6);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 2);
    g_assert_cmpstr(f->reader.events->str, ==, "");

    /* A reader that stops: what the pipe and the buffer take, and no more. */
    do {
        n = char_write(f->reader.chr, data, CHAR_BUFFER_SIZE);
        total += n;
    } while (n > 0);
    g_assert_cmpuint(total, <=, 8 * CHAR_BUFFER_SIZE);
    while (f->reader.n_writable == 0) {
        g_free(take(out_fd));
        loop_turn(f->loop, false);
    }
    close(out_fd);
    unlink(in);
    unlink(out);
}

static void test_pipe_of_one_file(CharBench *f, const void *unused)
{
    g_autofree char *path = in_folder(f, "p");
    g_autofree char *options = g_strdup_printf("pipe,path=%s", path);
    g_autoptr(GError) error = NULL;

    g_assert_null(char_bench_try_add(f, "c", options, &error));
    g_assert_nonnull(strstr(error->message, "p.in"));
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    char_bench_add(f, "c", options);
    unlink(path);
}

static int bind_udp(uint16_t *ret_port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&in, size), ==, 0);
    getsockname(fd, (struct sockaddr *)&in, &size);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void send_udp(int fd, uint16_t port, const char *data, size_t size)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    g_assert_cmpint(sendto(fd, data, size, 0, (struct sockaddr *)&in, sizeof(in)), ==,
                    size);
}

/* A port that is free now. */
static uint16_t free_udp_port(void)
{
    uint16_t port;

    close(bind_udp(&port));
    return port;
}

static void test_udp(CharBench *f, const void *unused)
{
    uint16_t far_port, near_port = free_udp_port(), strange_port;
    int far_end = bind_udp(&far_port), stranger = bind_udp(&strange_port);
    g_autofree char *options = g_strdup_printf(
        "udp,host=127.0.0.1,port=%u,localaddr=127.0.0.1,localport=%u", far_port,
        near_port);
    g_autofree char *sent = NULL;
    g_autofree char *big = g_strnfill(60000, 'b');

    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    char_bench_assert_filename(f, "udp");
    g_assert_cmpuint(char_write(f->reader.chr, "to", 2), ==, 2);
    sent = take(far_end);
    g_assert_cmpstr(sent, ==, "to");

    /* Datagrams of strangers and empty ones are nothing. */
    send_udp(stranger, near_port, "strange", 7);
    send_udp(far_end, near_port, "", 0);
    send_udp(far_end, near_port, "from", 4);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 4);
    g_assert_cmpstr(f->reader.input->str, ==, "from");

    /* A datagram comes in parts to a user that takes little, and none is cut. */
    f->reader.room = 7;
    send_udp(far_end, near_port, big, 60000);
    send_udp(far_end, near_port, "end", 3);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 60007);
    g_assert_true(g_str_has_suffix(f->reader.input->str, "bbend"));
    close(far_end);
    close(stranger);
}

static void test_udp_without_a_listener(CharBench *f, const void *unused)
{
    uint16_t far_port = free_udp_port(), near_port = free_udp_port();
    g_autofree char *options = g_strdup_printf(
        "udp,host=127.0.0.1,port=%u,localaddr=127.0.0.1,localport=%u", far_port,
        near_port);
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(far_port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    g_autofree char *data = g_malloc0(1000 * 1000);
    int far_end;

    /* Nothing is refused, and the errors that come back end nothing and wake nobody. */
    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    f->reader.room = 0;
    g_assert_cmpuint(char_write(f->reader.chr, data, 1000 * 1000), ==, 1000 * 1000);
    for (int i = 0; i < 20; i++)
        char_write(f->reader.chr, "x", 1);
    g_assert_cmpint(char_bench_count_turns(f, 30), <=, 6);
    g_assert_cmpstr(f->reader.events->str, ==, "");
    f->reader.room = SIZE_MAX;
    char_accept_input(f->reader.chr);

    /* Then somebody comes. */
    far_end = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    g_assert_cmpint(bind(far_end, (struct sockaddr *)&in, sizeof(in)), ==, 0);
    send_udp(far_end, near_port, "here", 4);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 4);
    char_write(f->reader.chr, "y", 1);
    {
        g_autofree char *got = take(far_end);

        g_assert_cmpstr(got, ==, "y");
    }
    close(far_end);
}

/* More than the user takes: the kernel drops, berth's memory does not grow. */
static void test_udp_flood(CharBench *f, const void *unused)
{
    uint16_t far_port, near_port = free_udp_port();
    int far_end = bind_udp(&far_port);
    g_autofree char *options = g_strdup_printf(
        "udp,host=127.0.0.1,port=%u,localaddr=127.0.0.1,localport=%u", far_port,
        near_port);
    g_autofree char *big = g_strnfill(1000, 'b');

    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    f->reader.room = 0;
    for (int i = 0; i < 5000; i++) {
        send_udp(far_end, near_port, big, 1000);
        if (i % 100 == 0)
            loop_turn(f->loop, false);
    }
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 3);
    f->reader.room = SIZE_MAX;
    char_accept_input(f->reader.chr);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len >= 1000);
    g_assert_cmpuint(f->reader.input->len % 1000, ==, 0);
    close(far_end);
}

static char *read_ring(Chardev *chr, size_t size, bool whole)
{
    g_autoptr(GByteArray) bytes = char_ringbuf_read(chr, size, whole);

    return bytes->len ? g_strndup((const char *)bytes->data, bytes->len) : g_strdup("");
}

static void assert_ring(Chardev *chr, size_t size, bool whole, const char *expected)
{
    g_autofree char *text = read_ring(chr, size, whole);

    g_assert_cmpstr(text, ==, expected);
}

static void test_ringbuf(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add(f, "c", "ringbuf,size=8");

    char_bench_assert_filename(f, "ringbuf");
    assert_ring(chr, 5, false, "");
    g_assert_cmpuint(char_write(chr, "abc", 3), ==, 3);
    assert_ring(chr, 2, false, "ab");
    g_assert_cmpuint(char_write(chr, "defghijkl", 9), ==, 9);
    assert_ring(chr, 100, false, "efghijkl");
    for (int i = 0; i < 1000; i++)
        g_assert_cmpuint(char_write(chr, &"0123456789ABCDEF"[i % 13], 3), ==, 3);
    assert_ring(chr, 3, false, "ABA");
    assert_ring(chr, 100, false, "BCBCD");

    /* Characters of UTF-8 are not cut, but one that never ends is no end. */
    char_write(chr, "a\xe2\x82\xac", 4);
    assert_ring(chr, 3, true, "a");
    assert_ring(chr, 2, true, "\xe2\x82");
    assert_ring(chr, 8, true, "\xac");
    char_write(chr, "b\xf0\x9f", 3);
    assert_ring(chr, 8, true, "b");
    char_write(chr, "\x98\x80", 2);
    assert_ring(chr, 8, true, "\xf0\x9f\x98\x80");
    char_write(chr, "c\xff", 2);
    assert_ring(chr, 8, true, "c\xff");
    char_write(chr, "\x80\x80\x80\x80", 4);
    assert_ring(chr, 8, true, "\x80\x80\x80\x80");
}

static void test_bad_sizes_of_a_ringbuf(CharBench *f, const void *unused)
{
    static const char *const bad[] = { "size=0", "size=3", "size=-8", "size=2147483648" };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *options = g_strconcat("ringbuf,", bad[i], NULL);
        g_autoptr(GError) error = NULL;

        g_assert_null(char_bench_try_add(f, "c", options, &error));
        g_assert_nonnull(strstr(error->message, "size"));
    }
    char_bench_add(f, "m", "memory");
}

/* A terminal that stands for a serial port: its other side. */
static int open_terminal(char *ret_name, size_t size)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);

    g_assert_cmpint(unlockpt(master), ==, 0);
    g_assert_cmpint(ptsname_r(master, ret_name, size), ==, 0);
    return master;
}

static void test_serial_port_of_the_host(CharBench *f, const void *unused)
{
    const CharLine slow = { .speed = 2400, .n_bits = 7, .n_stop_bits = 2,
                            .parity = CHAR_PARITY_EVEN };
    char name[64];
    int master = open_terminal(name, sizeof(name));
    int slave = open(name, O_RDWR | O_NOCTTY);
    g_autofree char *options = g_strdup_printf("serial,path=%s", name);
    g_autofree char *out = NULL;
    struct termios before, mode;

    tcgetattr(slave, &before);
    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    char_bench_assert_filename(f, "serial");
    tcgetattr(slave, &mode);
    g_assert_cmpuint(cfgetospeed(&mode), ==, B115200);
    g_assert_cmpuint(mode.c_cflag & (CSIZE | PARENB | CSTOPB), ==, CS8);
    g_assert_cmpuint(mode.c_lflag & (ICANON | ECHO | ISIG), ==, 0);

    /* All bytes are data, also those that PARMRK doubles. */
    char_bench_send(master, "\x03\r\xff\x04");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 4);
    g_assert_cmpstr(f->reader.input->str, ==, "\x03\r\xff\x04");
    char_write(f->reader.chr, "out\n", 4);
    out = take(master);
    g_assert_cmpstr(out, ==, "out\n");

    char_set_line(f->reader.chr, &slow);
    tcgetattr(slave, &mode);
    g_assert_cmpuint(cfgetospeed(&mode), ==, B2400);
    /* A pseudo-terminal has 8 bits and no parity, whatever it is told. */
    g_assert_cmpuint(mode.c_cflag & CSTOPB, ==, CSTOPB);
    char_set_break(f->reader.chr, true);
    char_set_break(f->reader.chr, false);

    close(slave);
    close(master);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 2);
    g_assert_cmpuint(char_write(f->reader.chr, "swallowed", 9), ==, 9);
}

static void test_mode_of_a_serial_port_comes_back(CharBench *f, const void *unused)
{
    char name[64];
    int master = open_terminal(name, sizeof(name));
    int slave = open(name, O_RDWR | O_NOCTTY);
    g_autofree char *options = g_strdup_printf("serial,path=%s", name);
    g_autoptr(GError) error = NULL;
    struct termios before, after;

    tcgetattr(slave, &before);
    char_bench_add(f, "c", options);
    g_assert_true(char_remove(f->set, "c", NULL));
    tcgetattr(slave, &after);
    g_assert_cmpuint(after.c_lflag, ==, before.c_lflag);
    g_assert_cmpuint(after.c_iflag, ==, before.c_iflag);
    g_assert_null(char_bench_try_add(f, "c", "serial,path=/dev/null", &error));
    g_assert_nonnull(strstr(error->message, "no serial port"));
    close(slave);
    close(master);
}

/* A break as the kernel marks it, through a terminal that marks nothing itself. */
static void test_break_of_a_serial_port(CharBench *f, const void *unused)
{
    char name[64];
    int master = open_terminal(name, sizeof(name));
    int slave = open(name, O_RDWR | O_NOCTTY);
    g_autofree char *options = g_strdup_printf("serial,path=%s", name);
    struct termios mode;

    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    tcgetattr(slave, &mode);
    g_assert_cmpuint(mode.c_iflag & (PARMRK | IGNBRK | BRKINT), ==, PARMRK);
    mode.c_iflag &= ~PARMRK;
    tcsetattr(slave, TCSANOW, &mode);
    g_assert_cmpint(write(master, "a\xff\0\0b\xff", 6), ==, 6);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 2);
    g_assert_cmpint(write(master, "\0cd", 3), ==, 3);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 4);

    g_assert_cmpstr(f->reader.input->str, ==, "abcd");
    g_assert_cmpstr(f->reader.events->str, ==, "b");
    close(slave);
    close(master);
}

static void test_hub(CharBench *f, const void *unused)
{
    g_autofree char *a = NULL, *b = NULL;
    g_autofree char *path = in_folder(f, "b");
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    g_autofree char *more = g_strdup_printf("socket,path=%s,server=on,wait=off", path);
    int a_fd, b_fd;

    char_bench_add(f, "a", options);
    char_bench_add(f, "b", more);
    char_bench_attach(f, char_bench_add(f, "h", "hub,chardevs.0=a,chardevs.1=b"),
                      &char_bench_user);
    g_assert_false(char_remove(f->set, "a", NULL));
    g_assert_false(char_is_open(f->reader.chr));
    g_assert_cmpuint(char_write(f->reader.chr, "swallowed", 9), ==, 9);

    a_fd = char_bench_connect(f->path);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
    b_fd = char_bench_connect(path);
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(char_find(f->set, "b")));
    char_bench_send(a_fd, "A");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 1);
    char_bench_send(b_fd, "B");
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 2);
    g_assert_cmpuint(char_write(f->reader.chr, "both", 4), ==, 4);
    a = char_bench_receive(f, a_fd, 4);
    b = char_bench_receive(f, b_fd, 4);
    g_assert_cmpstr(a, ==, "both");
    g_assert_cmpstr(b, ==, "both");

    /* The user takes nothing, then all; the last far end to go is the end. */
    f->reader.room = 0;
    char_bench_send(a_fd, "later");
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 3);
    f->reader.room = SIZE_MAX;
    char_accept_input(f->reader.chr);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 7);
    close(a_fd);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(char_find(f->set, "a")));
    g_assert_cmpstr(f->reader.events->str, ==, "o");
    close(b_fd);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 2);
    g_assert_cmpstr(f->reader.events->str, ==, "oc");
}

/* One far end that stops reading holds up neither the other nor the user. */
static void test_hub_with_a_stuck_far_end(CharBench *f, const void *unused)
{
    g_autofree char *path = in_folder(f, "out");
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    g_autofree char *file = g_strdup_printf("file,path=%s", path);
    g_autofree char *data = g_malloc0(100 * 1000);
    size_t written = 0;
    struct stat stat_of_file;
    int fd;

    char_bench_add(f, "a", options);
    char_bench_add(f, "b", file);
    char_bench_attach(f, char_bench_add(f, "h", "hub,chardevs.0=a,chardevs.1=b"),
                      &char_bench_user);
    fd = char_bench_connect(f->path);
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(char_find(f->set, "a")));
    while (written < 3 * 1000 * 1000)
        written += char_write(f->reader.chr, data, 100 * 1000);

    g_assert_cmpuint(char_pending(char_find(f->set, "a")), ==, CHAR_BUFFER_SIZE);
    g_assert_cmpint(stat(path, &stat_of_file), ==, 0);
    g_assert_cmpint(stat_of_file.st_size, ==, written);
    close(fd);
    unlink(path);
}

static void *write_to_hub(void *opaque)
{
    for (int i = 0; i < 20000; i++)
        char_write(opaque, "x", 1);
    return NULL;
}

/* Far ends that come and go while another thread writes. */
static void test_hub_under_a_thread(CharBench *f, const void *unused)
{
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    pthread_t thread;
    Chardev *base = char_bench_add(f, "a", options);

    char_bench_add(f, "b", "ringbuf");
    char_bench_attach(f, char_bench_add(f, "h", "hub,chardevs.0=a,chardevs.1=b"),
                      &char_bench_user);
    g_assert_true(thread_start(&thread, THREAD_VCPU, "writer", write_to_hub,
                               f->reader.chr, NULL));
    for (int i = 0; i < 100; i++) {
        int fd = char_bench_connect(f->path);

        CHAR_BENCH_RUN_UNTIL(f, char_is_open(base));
        close(fd);
        CHAR_BENCH_RUN_UNTIL(f, !char_is_open(base));
    }
    pthread_join(thread, NULL);
    assert_ring(char_find(f->set, "b"), 3, false, "xxx");
}

static void test_bad_hubs(CharBench *f, const void *unused)
{
    char_bench_add(f, "a", "null");
    char_bench_add(f, "b", "null");
    char_bench_add(f, "m", "mux,chardev=b");
    g_assert_null(char_bench_try_add(f, "h", "hub", NULL));
    g_assert_null(char_bench_try_add(f, "h", "hub,chardevs.0=missing", NULL));
    g_assert_null(char_bench_try_add(f, "h", "hub,chardevs.0=a,chardevs.1=a", NULL));
    g_assert_null(char_bench_try_add(f, "h", "hub,chardevs.0=a,chardevs.1=m", NULL));
    g_assert_null(char_bench_try_add(
        f, "h", "hub,chardevs.0=a,chardevs.1=a,chardevs.2=a,chardevs.3=a,chardevs.4=a",
        NULL));
    g_assert_true(char_remove(f->set, "a", NULL));
}

#define add_test(path, fn)                                                            \
    g_test_add("/char-kinds/" path, CharBench, NULL, char_bench_set_up, fn,           \
               char_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("file-with-input", test_file_with_input);
    add_test("input-that-a-gone-writer-left", test_input_that_a_gone_writer_left);
    add_test("end-of-input-is-told-once", test_end_of_input_is_told_once);
    add_test("pipes", test_pipes);
    add_test("pipe-of-one-file", test_pipe_of_one_file);
    add_test("udp", test_udp);
    add_test("udp-without-a-listener", test_udp_without_a_listener);
    add_test("udp-flood", test_udp_flood);
    add_test("ringbuf", test_ringbuf);
    add_test("bad-sizes-of-a-ringbuf", test_bad_sizes_of_a_ringbuf);
    add_test("serial-port-of-the-host", test_serial_port_of_the_host);
    add_test("mode-of-a-serial-port-comes-back", test_mode_of_a_serial_port_comes_back);
    add_test("break-of-a-serial-port", test_break_of_a_serial_port);
    add_test("hub", test_hub);
    add_test("hub-with-a-stuck-far-end", test_hub_with_a_stuck_far_end);
    add_test("hub-under-a-thread", test_hub_under_a_thread);
    add_test("bad-hubs", test_bad_hubs);
    return g_test_run();
}
