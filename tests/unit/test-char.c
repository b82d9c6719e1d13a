/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "berth/error.h"
#include "berth/qapi.h"

#include "char-bench.h"

static void test_null_swallows(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add(f, "c", "null");

    g_assert_cmpuint(char_write(chr, "abc", 3), ==, 3);
    g_assert_false(char_is_open(chr));
    char_bench_assert_filename(f, "null");
}

static void test_file_and_logfile(CharBench *f, const void *unused)
{
    g_autofree char *path = g_build_filename(f->folder, "out", NULL);
    g_autofree char *log = g_build_filename(f->folder, "log", NULL);
    g_autofree char *options = g_strdup_printf(
        "file,path=%s,append=on,logfile=%s,logappend=on", path, log);
    g_autofree char *text = NULL;
    g_autofree char *log_text = NULL;

    g_assert_true(g_file_set_contents(path, "old ", -1, NULL));
    g_assert_true(g_file_set_contents(log, "log ", -1, NULL));
    g_assert_cmpuint(char_write(char_bench_add(f, "c", options), "new", 3), ==, 3);
    char_bench_assert_filename(f, "file");
    g_assert_true(char_remove(f->set, "c", NULL));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "old new");
    g_assert_true(g_file_get_contents(log, &log_text, NULL, NULL));
    g_assert_cmpstr(log_text, ==, "log new");

    g_unlink(path);
    g_unlink(log);
}

static int open_by_hook(void *opaque, const char *path, int flags, GError **error)
{
    g_assert_cmpstr(path, ==, "/dev/fdset/7");
    g_assert_cmpint(flags & O_ACCMODE, ==, O_WRONLY);
    return dup(*(int *)opaque);
}

static void test_files_are_opened_by_the_hook(CharBench *f, const void *unused)
{
    char data[8];
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    char_set_open_hook(f->set, open_by_hook, &fds[1]);
    char_write(char_bench_add(f, "c", "file,path=/dev/fdset/7"), "abc", 3);
    char_write(char_bench_add(f, "d", "null,logfile=/dev/fdset/7"), "log", 3);

    g_assert_cmpint(read(fds[0], data, sizeof(data)), ==, 6);
    g_assert_true(strncmp(data, "abclog", 6) == 0);
    close(fds[0]);
    close(fds[1]);
}

static char *pty_name(CharBench *f)
{
    g_autoptr(ChardevInfoList) list = char_set_query(f->set);

    g_assert_true(g_str_has_prefix(list->items[0]->filename, "pty:/dev/pts/"));
    return g_strdup(list->items[0]->filename + strlen("pty:"));
}

/* The chardev tells its name on standard output, which carries TAP here. */
static Chardev *add_quietly(CharBench *f, const char *id, const char *options)
{
    int saved = dup(STDOUT_FILENO);
    int null = open("/dev/null", O_WRONLY);
    Chardev *chr;

    fflush(stdout);
    dup2(null, STDOUT_FILENO);
    chr = char_bench_add(f, id, options);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(null);
    return chr;
}

static void test_pty_opens_and_closes_with_its_slave(CharBench *f, const void *unused)
{
    Chardev *chr = add_quietly(f, "c", "pty");
    g_autofree char *name = pty_name(f);
    char data[16];
    int fd;

    char_bench_attach(f, chr, &char_bench_user);
    g_assert_cmpuint(char_write(chr, "lost", 4), ==, 4);
    g_assert_cmpint(char_bench_count_turns(f, 30), <=, 2);
    for (int i = 0; i < 3; i++) {
        fd = open(name, O_RDWR | O_NOCTTY);
        CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
        g_string_truncate(f->reader.input, 0);
        char_bench_send(fd, "a\rb\x03");
        CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 4);
        g_assert_cmpstr(f->reader.input->str, ==, "a\rb\x03");
        char_write(chr, "x\n", 2);
        g_assert_cmpint(read(fd, data, sizeof(data)), ==, 2);
        close(fd);
        CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));
        g_assert_cmpint(char_bench_count_turns(f, 30), <=, 2);
    }
    g_assert_cmpstr(f->reader.events->str, ==, "ocococ");
}

static void test_pty_reads_what_a_closed_slave_left(CharBench *f, const void *unused)
{
    Chardev *chr = add_quietly(f, "c", "pty");
    g_autofree char *name = pty_name(f);
    int fd;

    char_bench_attach(f, chr, &char_bench_user);
    fd = open(name, O_RDWR | O_NOCTTY);
    char_bench_send(fd, "echo\n");
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 5);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));

    /* A user that takes nothing neither blocks the next slave nor makes the loop spin. */
    f->reader.room = 0;
    fd = open(name, O_RDWR | O_NOCTTY);
    char_bench_send(fd, "dropped");
    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(chr));
    g_assert_cmpint(char_bench_count_turns(f, 30), <=, 3);
    g_assert_cmpuint(f->reader.input->len, ==, 5);
}

static void test_pty_link(CharBench *f, const void *unused)
{
    g_autofree char *link = g_build_filename(f->folder, "tty", NULL);
    g_autofree char *options = g_strdup_printf("pty,path=%s", link);
    g_autofree char *name = NULL;
    g_autofree char *target = NULL;

    add_quietly(f, "c", options);
    name = pty_name(f);
    target = g_file_read_link(link, NULL);
    g_assert_cmpstr(target, ==, name);
    g_assert_true(char_remove(f->set, "c", NULL));
    g_assert_false(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
}

/* A child whose standard input and output are a terminal; it echoes in upper case. */
static void echo_read(void *opaque, const uint8_t *data, size_t size)
{
    CharBench *f = opaque;

    if (data[0] == 'q')
        loop_quit(f->loop);
    for (size_t i = 0; i < size; i++) {
        char letter = g_ascii_toupper(data[i]);

        char_write(f->reader.chr, &letter, 1);
    }
}

static const CharUser echo_user = { .read = echo_read };

static void run_terminal_child(int slave)
{
    CharBench child = { 0 };

    setsid();
    /* A shell's background job has them ignored. */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    ioctl(slave, TIOCSCTTY, 0);
    dup2(slave, STDIN_FILENO);
    dup2(slave, STDOUT_FILENO);
    char_bench_set_up(&child, NULL);
    g_rmdir(child.folder);
    child.reader.chr = char_add_from_text(child.set, "c", "stdio", NULL);
    char_attach(child.reader.chr, &echo_user, &child, NULL);
    char_write(child.reader.chr, "ready\n", 6);
    loop_run(child.loop);
    char_bench_tear_down(&child, NULL);
    _exit(0);
}

static bool terminal_is_raw(int slave)
{
    struct termios mode;

    g_assert_cmpint(tcgetattr(slave, &mode), ==, 0);
    return !(mode.c_lflag & ICANON);
}

static void check_terminal(int end_signal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char data[64];
    int slave, status, flags;
    pid_t child;

    g_assert_cmpint(unlockpt(master), ==, 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    child = fork();
    if (child == 0)
        run_terminal_child(slave);
    g_assert_cmpint(read(master, data, sizeof(data)), >=, 6);
    g_assert_true(terminal_is_raw(slave));
    flags = fcntl(slave, F_GETFL);
    g_assert_cmpint(flags & O_NONBLOCK, ==, 0);
    char_bench_send(master, "a");
    g_assert_cmpint(read(master, data, sizeof(data)), ==, 1);
    g_assert_cmpint(data[0], ==, 'A');
    if (end_signal)
        kill(child, end_signal);
    else
        char_bench_send(master, "q");
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_false(terminal_is_raw(slave));
    if (end_signal)
        g_assert_cmpint(WTERMSIG(status), ==, end_signal);
    else
        g_assert_cmpint(status, ==, 0);
    close(master);
    close(slave);
}

static void test_stdio_restores_the_terminal(void)
{
    check_terminal(0);
    check_terminal(SIGTERM);
    check_terminal(SIGQUIT);
}

static void test_stdio_is_taken_once(CharBench *f, const void *unused)
{
    g_autoptr(GError) error = NULL;
    int saved = dup(STDIN_FILENO);
    int null = open("/dev/null", O_RDONLY);

    dup2(null, STDIN_FILENO);
    char_bench_attach(f, char_bench_add(f, "c", "stdio"), &char_bench_user);
    char_bench_assert_filename(f, "stdio");
    g_assert_null(char_add_from_text(f->set, "d", "stdio", &error));
    g_assert_nonnull(error);
    /* The end of a file that cannot be polled is seen, and seen once. */
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 2);

    char_detach(f->reader.chr);
    f->reader.chr = NULL;
    g_assert_true(char_remove(f->set, "c", NULL));
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(null);
}

/* What is refused, and a word of the reason. */
static const char *const bad_texts[][2] = {
    { "vc", "display" },
    { "vc:80Cx24C", "display" },
    { "spicevmc", "SPICE" },
    { "braille", "Braille" },
    { "msmouse", "mouse" },
    { "wctablet", "tablet" },
    { "testdev", "isa-debug-exit" },
    { "con:", "Windows" },
    { "COM1", "Windows" },
    { "/dev/parport0", "parallel" },
    { "mon:stdio", "monitor" },
    { "tn3270:127.0.0.1:1", "tn3270" },
    { "websocket:127.0.0.1:1", "websocket" },
    { "udp:1:2:3", "host" },
    { "udp:", "address" },
    { "udp:1", "'udp:'" },
    { "udp:h:", "'udp:'" },
    { "udp:h:1@", "'udp:'" },
    { "udp:h:1@:", "'udp:'" },
    { "udp:h:1,ipv4", "'udp:'" },
    { "pipe:", "path" },
    { "pipe:/no/such/x", "/no/such/x" },
    { "/dev/null", "no serial port" },
    { "/dev/", "path" },
    { "pty:", "path" },
    { "pty:/no/such/folder/x", "/no/such/folder/x" },
    { "nonsense", "expected null" },
    { "", "expected null" },
    { "ringbuf", "expected null" },
    { "file:", "path" },
    { "unix:", "path" },
    { "unix:/x,servr", "servr" },
    { "unix:/x,server=maybe", "server" },
    { "unix:/x,wait=off", "'wait'" },
    { "unix:/x,server,reconnect=1", "'reconnect'" },
    { "unix:/x,reconnect=1,reconnect-ms=1", "'reconnect-ms'" },
    { "unix:/x,host=h,port=1", "exactly one" },
    { "tcp:nocolon", "port" },
    { "tcp:h:", "port" },
    { "tcp::1,path=/x", "exactly one" },
    { "tcp::1,abstract", "'abstract'" },
    { "tcp:no.such.host.invalid:1", "no.such.host" },
    { "unix:/no/such/folder/x,server,nowait", "/no/such/folder/x" },
    { "unix:/no/such/folder/x", "/no/such/folder/x" },
    { "file:/no/such/folder/x", "/no/such/folder/x" },
    { "chardev:missing", "'missing'" },
};

/* What is accepted, and what query-chardev calls it. */
static const char *const good_texts[][2] = {
    { "null", "^null$" },
    { "file:/dev/null", "^file$" },
    { "udp:127.0.0.1:9", "^udp$" },
    { "udp::9", "^udp$" },
    { "udp::9@:0", "^udp$" },
    { "udp:127.0.0.1:9@127.0.0.1:0", "^udp$" },
    { "unix:/no/such/x,reconnect=1", "^disconnected:unix:/no/such/x$" },
    { "unix:berth-text,abstract,server,nowait",
      "^disconnected:unix:berth-text,abstract=on,tight=on,server=on$" },
    { "tcp:127.0.0.1:0,server,nowait", "^disconnected:tcp:127.0.0.1:\\d+,server=on$" },
    { "tcp:[127.0.0.1]:0,server=on,wait=off", "^disconnected:tcp:127.0.0.1:" },
    { "tcp::0,server,wait=no,ipv4", "^disconnected:tcp:0.0.0.0:\\d+,server=on$" },
    { "telnet:127.0.0.1:0,server,nowait,nodelay",
      "^disconnected:telnet:127.0.0.1:\\d+,server=on$" },
};

static void test_texts(CharBench *f, const void *unused)
{
    for (size_t i = 0; i < G_N_ELEMENTS(good_texts); i++) {
        g_autoptr(GError) error = NULL;
        Chardev *chr = char_add_from_text(f->set, "c", good_texts[i][0], &error);
        g_autofree char *name = NULL;

        g_assert_no_error(error);
        name = char_filename(chr);
        if (!g_regex_match_simple(good_texts[i][1], name, 0, 0))
            g_error("\"%s\" is called \"%s\"", good_texts[i][0], name);
        g_assert_true(char_remove(f->set, "c", NULL));
    }
}

static void test_bad_texts_are_refused_with_a_reason(CharBench *f, const void *unused)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad_texts); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(char_add_from_text(f->set, "c", bad_texts[i][0], &error));
        if (!strstr(error->message, bad_texts[i][1]))
            g_error("'%s' gives \"%s\"", bad_texts[i][0], error->message);
        g_assert_null(char_find(f->set, "c"));
    }
}

static void test_bad_ids_and_descriptors_are_refused(CharBench *f, const void *unused)
{
    g_autofree char *long_path = g_strnfill(108, 'x');
    g_autofree char *long_text = g_strdup_printf("unix:%s", long_path);
    const char *const ids[] = { "", "1a", "a b", "a/b" };
    const char *const fds[] = { "socket,fd=0", "socket,fd=99999", "socket,fd=name",
                                "socket,fd=-1" };

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
        g_assert_null(char_add_from_text(f->set, ids[i], "null", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(char_bench_try_add(f, "c", fds[i], &error));
        g_assert_nonnull(strstr(error->message, "'fd'"));
    }
    g_assert_null(char_add_from_text(f->set, "c", long_text, NULL));
    g_assert_nonnull(char_add_from_text(f->set, "c", "null", NULL));
    g_assert_null(char_add_from_text(f->set, "c", "null", NULL));
    g_assert_true(char_add_from_text(f->set, "d", "chardev:c", NULL) ==
                  char_find(f->set, "c"));
}

#define add_test(path, fn)                                                            \
    g_test_add("/char/" path, CharBench, NULL, char_bench_set_up, fn,                 \
               char_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("null-swallows", test_null_swallows);
    add_test("file-and-logfile", test_file_and_logfile);
    add_test("files-are-opened-by-the-hook", test_files_are_opened_by_the_hook);
    add_test("pty-opens-and-closes-with-its-slave",
             test_pty_opens_and_closes_with_its_slave);
    add_test("pty-reads-what-a-closed-slave-left",
             test_pty_reads_what_a_closed_slave_left);
    add_test("pty-link", test_pty_link);
    add_test("stdio-is-taken-once", test_stdio_is_taken_once);
    add_test("texts", test_texts);
    add_test("bad-texts-are-refused-with-a-reason",
             test_bad_texts_are_refused_with_a_reason);
    add_test("bad-ids-and-descriptors-are-refused",
             test_bad_ids_and_descriptors_are_refused);
    g_test_add_func("/char/stdio-restores-the-terminal",
                    test_stdio_restores_the_terminal);
    return g_test_run();
}
