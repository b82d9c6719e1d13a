/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far ends that mean harm: what they may cost is bounded, and the chardev goes on.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/error.h"

#include "char-bench.h"

#define N_STORM 10000
/* What an allocator and a log may keep. */
#define GROWTH_MAX (256u * 1024)

static size_t memory_in_use(void)
{
    return mallinfo2().uordblks;
}

static void assert_no_growth(size_t before)
{
    g_assert_cmpuint(memory_in_use(), <, before + GROWTH_MAX);
}

static void test_storm_of_clients(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    int n_fds = char_bench_count_fds();
    size_t before = memory_in_use();
    int fd;

    for (int i = 0; i < N_STORM; i++) {
        fd = char_bench_connect(f->path);
        if (i % 3 == 0)
            char_bench_send(fd, "x");
        if (i % 2 == 0)
            loop_turn(f->loop, false);
        close(fd);
        loop_turn(f->loop, false);
        char_write(chr, "hello", 5);
        loop_turn(f->loop, false);
        g_string_truncate(f->reader.input, 0);
        g_string_truncate(f->reader.events, 0);
    }
    fd = char_bench_connect(f->path);
    char_bench_send(fd, "!");
    CHAR_BENCH_RUN_UNTIL(f, g_str_has_suffix(f->reader.input->str, "!"));

    g_assert_cmpint(char_bench_count_fds(), ==, n_fds + 2);
    assert_no_growth(before);
    close(fd);
}

/* A user of each client, as a monitor is. */
typedef struct Party {
    int n_clients;
    int n_seen;
} Party;

typedef struct Guest {
    Party *party;
    Chardev *chr;
} Guest;

static void guest_event(void *opaque, CharEvent event)
{
    Guest *guest = opaque;

    if (event != CHAR_EVENT_CLOSED)
        return;
    guest->party->n_clients--;
    char_close(guest->chr);
    g_free(guest);
}

static void guest_read(void *opaque, const uint8_t *data, size_t size)
{
    char_write(((Guest *)opaque)->chr, data, size);
}

static const CharUser guest_user = { .read = guest_read, .event = guest_event };

static void on_accept(void *opaque, Chardev *client)
{
    Guest *guest = g_new0(Guest, 1);
    Party *party = opaque;

    guest->party = party;
    guest->chr = char_attach(client, &guest_user, guest, NULL);
    g_assert_true(guest->chr == client);
    party->n_clients++;
    party->n_seen++;
}

static void test_storm_of_clients_of_a_listener(CharBench *f, const void *unused)
{
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    Chardev *chr = char_bench_add(f, "c", options);
    int n_fds = char_bench_count_fds(), fds[CHAR_MAX_CLIENTS + 10] = { 0 };
    size_t before;
    Party party = { 0 };

    g_assert_true(char_listen(chr, on_accept, &party, NULL));
    before = memory_in_use();
    for (int i = 0; i < N_STORM; i++) {
        int *fd = &fds[i % G_N_ELEMENTS(fds)];

        if (*fd > 0)
            close(*fd);
        *fd = char_bench_connect(f->path);
        char_bench_send(*fd, "x");
        loop_turn(f->loop, false);
        g_assert_cmpint(party.n_clients, <=, CHAR_MAX_CLIENTS);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
    CHAR_BENCH_RUN_UNTIL(f, party.n_clients == 0 && party.n_seen == N_STORM);

    g_assert_cmpint(char_bench_count_fds(), ==, n_fds);
    assert_no_growth(before);
    char_unlisten(chr);
}

/* A server that throws everybody out: a client tries at its interval and no faster. */
static void test_server_that_hangs_up(CharBench *f, const void *unused)
{
    int server = char_bench_listen(f->path), n_seen = 0;
    g_autofree char *options = g_strdup_printf("socket,path=%s,reconnect-ms=10", f->path);
    int n_fds;
    size_t before;
    int64_t begin_ns = loop_clock_ns();

    fcntl(server, F_SETFL, O_NONBLOCK);
    char_bench_attach(f, char_bench_add(f, "c", options), &char_bench_user);
    n_fds = char_bench_count_fds();
    before = memory_in_use();
    while (loop_clock_ns() < begin_ns + 300 * NS_PER_MS || n_seen < 2) {
        int fd = accept(server, NULL, NULL);

        n_seen += fd >= 0;
        if (fd >= 0)
            close(fd);
        timer_set(&f->tick, loop_clock_ns() + NS_PER_MS);
        loop_turn(f->loop, true);
        g_string_truncate(f->reader.events, 0);
    }
    g_assert_cmpint(n_seen, <=, (loop_clock_ns() - begin_ns) / (10 * NS_PER_MS) + 1);
    g_assert_cmpint(char_bench_count_fds(), <=, n_fds);
    assert_no_growth(before);
    close(server);
    unlink(f->path);
}

static void test_flood_at_a_user_that_reads_nothing(CharBench *f, const void *unused)
{
    g_autofree char *data = g_strnfill(1 << 16, 'x');
    size_t before, sent = 0;
    int fd;

    f->reader.room = 0;
    char_bench_add_server(f, &char_bench_user);
    fd = char_bench_connect(f->path);
    before = memory_in_use();
    for (int i = 0; i < 2000; i++) {
        ssize_t n = send(fd, data, 1 << 16, MSG_DONTWAIT);

        sent += MAX(n, 0);
        loop_turn(f->loop, false);
    }
    /* The kernel has it, up to the bound of the sender's socket. */
    g_assert_cmpuint(sent, <, 4 << 20);
    g_assert_cmpint(char_bench_count_turns(f, 30), <=, 3);
    assert_no_growth(before);
    close(fd);
}

static void test_flood_of_descriptors(CharBench *f, const void *unused)
{
    int pipes[2], fds[50], fd, n_fds;

    g_assert_cmpint(pipe(pipes), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = pipes[0];
    char_bench_add_server(f, &char_bench_user);
    fd = char_bench_connect(f->path);
    loop_turn(f->loop, false);
    n_fds = char_bench_count_fds();
    for (int i = 0; i < 1000; i++) {
        char_bench_send_fds(fd, fds, 1 + i % G_N_ELEMENTS(fds));
        loop_turn(f->loop, false);
    }
    CHAR_BENCH_RUN_UNTIL(f, f->reader.input->len == 1000);

    g_assert_cmpint(char_bench_count_fds(), <=, n_fds + CHAR_MAX_FDS);
    close(fd);
    CHAR_BENCH_RUN_UNTIL(f, !char_is_open(f->reader.chr));
    g_assert_cmpint(char_bench_count_fds(), <=, n_fds);
    close(pipes[0]);
    close(pipes[1]);
}

static void test_output_to_one_that_never_reads(CharBench *f, const void *unused)
{
    Chardev *chr = char_bench_add_server(f, &char_bench_user);
    g_autofree char *data = g_malloc0(1 << 16);
    int fd = char_bench_connect(f->path);
    size_t before, taken = 0;

    CHAR_BENCH_RUN_UNTIL(f, char_is_open(chr));
    before = memory_in_use();
    for (int i = 0; i < 10000; i++) {
        taken += char_write(chr, data, 1 << 16);
        if (i % 100 == 0)
            loop_turn(f->loop, false);
    }
    g_assert_cmpuint(taken, <, 4 << 20);
    g_assert_cmpuint(char_pending(chr), ==, CHAR_BUFFER_SIZE);
    assert_no_growth(before);
    g_assert_cmpint(char_bench_count_turns(f, 30), <=, 3);
    close(fd);
}

/* A name that is taken by something else is neither removed nor followed. */
static void test_paths_of_others(CharBench *f, const void *unused)
{
    g_autofree char *target = g_build_filename(f->folder, "target", NULL);
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    g_autofree char *pty = g_strdup_printf("pty,path=%s", f->path);
    struct stat stat;

    for (int i = 0; i < 4; i++) {
        if (i == 0)
            g_assert_cmpint(symlink(target, f->path), ==, 0);
        else if (i == 1)
            g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
        else if (i == 2)
            g_assert_cmpint(mkdir(f->path, 0700), ==, 0);
        else
            g_assert_true(g_file_set_contents(f->path, "x", -1, NULL));
        g_assert_null(char_bench_try_add(f, "c", options, NULL));
        g_assert_null(char_bench_try_add(f, "c", pty, NULL));
        g_assert_cmpint(lstat(f->path, &stat), ==, 0);
        g_assert_cmpint(access(target, F_OK), ==, -1);
        g_assert_cmpint(remove(f->path), ==, 0);
    }
}

/* Nothing waits for the other side of a FIFO. */
static void test_fifos_without_a_reader(CharBench *f, const void *unused)
{
    static const char *const kinds[] = { "file,path=", "null,logfile=" };
    g_autofree char *in = NULL;

    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *options = g_strconcat(kinds[i], f->path, NULL);
        g_autoptr(GError) error = NULL;

        g_assert_null(char_bench_try_add(f, "c", options, &error));
        g_assert_nonnull(strstr(error->message, f->path));
    }
    in = g_strdup_printf("file,path=/dev/null,input-path=%s", f->path);
    char_bench_attach(f, char_bench_add(f, "c", in), &char_bench_user);
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 2);
    {
        int fd = open(f->path, O_WRONLY | O_NONBLOCK);

        char_bench_send(fd, "late");
        close(fd);
    }
    CHAR_BENCH_RUN_UNTIL(f, f->reader.events->len == 1);
    g_assert_cmpstr(f->reader.input->str, ==, "late");
    g_assert_cmpint(char_bench_count_turns(f, 20), <=, 2);
    unlink(f->path);
}

/* A copy whose reader stops costs the copy, and nothing else. */
static void test_logfile_that_nobody_empties(CharBench *f, const void *unused)
{
    g_autofree char *options = g_strdup_printf("null,logfile=%s", f->path);
    g_autofree char *data = g_malloc0(1 << 16);
    Chardev *chr;
    int fd;

    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    fd = open(f->path, O_RDONLY | O_NONBLOCK);
    chr = char_bench_add(f, "c", options);
    for (int i = 0; i < 100; i++)
        g_assert_cmpuint(char_write(chr, data, 1 << 16), ==, 1 << 16);
    close(fd);
    g_assert_cmpuint(char_write(chr, data, 1 << 16), ==, 1 << 16);
    unlink(f->path);
}

/* Of what a chardev needs, each descriptor in turn is the one that there is not. */
static void test_few_descriptors(CharBench *f, const void *unused)
{
    static const char *const kinds[] = {
        "socket,host=127.0.0.1,port=0,server=on,wait=off", "udp,host=127.0.0.1,port=9",
        "pty", "file,path=/dev/null,input-path=/dev/null", "ringbuf",
        "null,logfile=/dev/null",
    };
    struct rlimit before, few;
    int n_fds = char_bench_count_fds(), null = open("/dev/null", O_WRONLY);
    int saved = dup(STDOUT_FILENO);

    getrlimit(RLIMIT_NOFILE, &before);
    fflush(stdout);
    dup2(null, STDOUT_FILENO);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        for (rlim_t limit = 3;; limit++) {
            Chardev *chr;

            few = (struct rlimit){ limit, before.rlim_max };
            setrlimit(RLIMIT_NOFILE, &few);
            chr = char_bench_try_add(f, "c", kinds[i], NULL);
            setrlimit(RLIMIT_NOFILE, &before);
            if (chr)
                break;
            g_assert_cmpint(char_bench_count_fds(), ==, n_fds + 2);
        }
        g_assert_true(char_remove(f->set, "c", NULL));
        g_assert_cmpint(char_bench_count_fds(), ==, n_fds + 2);
    }
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(null);
}

#define add_test(path, fn)                                                            \
    g_test_add("/char-hostile/" path, CharBench, NULL, char_bench_set_up, fn,         \
               char_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("storm-of-clients", test_storm_of_clients);
    add_test("storm-of-clients-of-a-listener", test_storm_of_clients_of_a_listener);
    add_test("server-that-hangs-up", test_server_that_hangs_up);
    add_test("flood-at-a-user-that-reads-nothing",
             test_flood_at_a_user_that_reads_nothing);
    add_test("flood-of-descriptors", test_flood_of_descriptors);
    add_test("output-to-one-that-never-reads", test_output_to_one_that_never_reads);
    add_test("paths-of-others", test_paths_of_others);
    add_test("fifos-without-a-reader", test_fifos_without_a_reader);
    add_test("logfile-that-nobody-empties", test_logfile_that_nobody_empties);
    add_test("few-descriptors", test_few_descriptors);
    return g_test_run();
}
