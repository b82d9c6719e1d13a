/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where dumps go: files of every kind, pipes and sockets, and what goes wrong with them.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "berth/thread.h"

#include "dump-bench.h"

static void fail_with(DumpBench *f, DumpGuestMemoryFormat format, const char *path,
                      int fd, const char *message)
{
    const DumpOptions options = { .format = format };

    f->guest.vcpus = f->guest.vcpus ? f->guest.vcpus : g_new0(VcpuRegisters, 2);
    f->guest.n_vcpus = 2;
    dump_bench_begin(f, &options, path, fd);
    dump_bench_wait(f);
    g_assert_nonnull(f->error);
    if (!strstr(f->error->message, message))
        g_error("expected \"%s\" in: %s", message, f->error->message);
    g_clear_error(&f->error);
    g_clear_pointer(&f->job, dump_job_free);
}

static void test_files_that_cannot_be_written(DumpBench *f, gconstpointer data)
{
    g_autofree char *nowhere = g_build_filename(f->folder, "no", "dump", NULL);
    g_autofree char *fifo = g_build_filename(f->folder, "fifo", NULL);
    const char full[] = "No space left on device";
    int fds[2];

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_ELF, nowhere, -1, "No such file or directory");
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_ELF, f->folder, -1, "Is a directory");
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_ELF, fifo, -1, "No such device or address");
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_ELF, "/dev/full", -1, full);
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB, "/dev/full", -1, full);
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_ELF, NULL, open("/dev/null", O_RDONLY),
              "not open for writing");
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_ELF, NULL, open("/dev/null", O_PATH),
              "not open for writing");
    g_assert_cmpint(pipe(fds), ==, 0);
    close(fds[0]);
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_ELF, NULL, fds[1], "Broken pipe");
    g_assert_cmpint(pipe(fds), ==, 0);
    fail_with(f, DUMP_GUEST_MEMORY_FORMAT_KDUMP_RAW_ZLIB, NULL, fds[1],
              "expect a file that can be written to at any place");
    close(fds[0]);
    unlink(fifo);
}

typedef struct Reader {
    int fd;
    GByteArray *got;
} Reader;

/* Slowly at first, in odd pieces. */
static void *read_all(void *opaque)
{
    Reader *reader = opaque;
    uint8_t piece[30000];
    ssize_t n;

    while ((n = read(reader->fd, piece, reader->got->len < MIB ? 777 : sizeof(piece))) >
           0) {
        g_byte_array_append(reader->got, piece, (guint)n);
        if (reader->got->len < 100000)
            g_usleep(100);
    }
    return NULL;
}

static GBytes *dump_through(DumpBench *f, const DumpOptions *options, int fds[2])
{
    Reader reader = { .fd = fds[0], .got = g_byte_array_new() };
    pthread_t thread;

    g_assert_cmpint(pthread_create(&thread, NULL, read_all, &reader), ==, 0);
    dump_bench_begin(f, options, NULL, fds[1]);
    dump_bench_wait(f);
    g_assert_no_error(f->error);
    g_clear_pointer(&f->job, dump_job_free);
    pthread_join(thread, NULL);
    close(fds[0]);
    return g_byte_array_free_to_bytes(reader.got);
}

static void test_a_pipe_takes_it_as_it_can(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_ELF };
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    g_autoptr(GBytes) bytes = dump_through(f, &options, fds);
    DumpElf elf = dump_bench_read_elf(bytes);
    dump_bench_assert_memory(f, &elf);
    g_assert_cmpuint(g_bytes_get_size(bytes), >, RAM_SIZE);
}

static void test_a_socket_takes_it_as_it_can(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB };
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_autoptr(GBytes) bytes = dump_through(f, &options, fds);
    g_autoptr(GBytes) whole = dump_bench_put_together(bytes);
    DumpKdump kdump = dump_bench_read_kdump(whole);
    dump_bench_assert_pages(f, &kdump);
}

static void test_a_reader_that_stops_does_not_keep_the_end(DumpBench *f,
                                                           gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_ELF };
    int64_t completed = 0, total, before;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    dump_bench_begin(f, &options, NULL, fds[1]);
    do {
        before = completed;
        loop_turn(f->loop, false);
        g_usleep(5000);
        dump_job_progress(f->job, &completed, &total);
    } while (completed == 0 || completed != before);
    g_assert_false(f->ended);
    g_clear_pointer(&f->job, dump_job_free);
    loop_turn(f->loop, false);
    g_assert_false(f->ended);
    close(fds[0]);
}

/* Zeros are written where they would not be there by themselves. */
static void test_a_file_that_holds_something_is_written_over(DumpBench *f,
                                                             gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_ELF };
    g_autofree char *junk = g_malloc(2 * RAM_SIZE);
    char *text;
    gsize size;

    memset(junk, 0xaa, 2 * RAM_SIZE);
    g_assert_true(g_file_set_contents(f->path, junk, 2 * RAM_SIZE, NULL));
    dump_bench_begin(f, &options, NULL, open(f->path, O_WRONLY));
    dump_bench_wait(f);
    g_assert_no_error(f->error);
    g_assert_true(g_file_get_contents(f->path, &text, &size, NULL));
    g_autoptr(GBytes) bytes = g_bytes_new_take(text, size);
    DumpElf elf = dump_bench_read_elf(bytes);
    dump_bench_assert_memory(f, &elf);
}

static void test_a_file_is_appended_to(DumpBench *f, gconstpointer data)
{
    const DumpOptions options = { .format = DUMP_GUEST_MEMORY_FORMAT_ELF };
    char *text;
    gsize size;

    dump_bench_begin(f, &options, NULL,
                     open(f->path, O_WRONLY | O_CREAT | O_APPEND, 0600));
    dump_bench_wait(f);
    g_assert_no_error(f->error);
    g_assert_true(g_file_get_contents(f->path, &text, &size, NULL));
    g_autoptr(GBytes) bytes = g_bytes_new_take(text, size);
    DumpElf elf = dump_bench_read_elf(bytes);
    dump_bench_assert_memory(f, &elf);
}

#define add_test(path, options, fn) \
    g_test_add("/dump-sink/" path, DumpBench, &options, dump_bench_set_up, fn, \
               dump_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    signal(SIGPIPE, SIG_IGN);
    add_test("errors", dump_bench_shared, test_files_that_cannot_be_written);
    add_test("pipe", dump_bench_shared, test_a_pipe_takes_it_as_it_can);
    add_test("socket", dump_bench_shared, test_a_socket_takes_it_as_it_can);
    add_test("stopped-reader", dump_bench_shared,
             test_a_reader_that_stops_does_not_keep_the_end);
    add_test("old-content", dump_bench_shared,
             test_a_file_that_holds_something_is_written_over);
    add_test("append", dump_bench_shared, test_a_file_is_appended_to);
    return g_test_run();
}
