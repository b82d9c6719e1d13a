/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of character devices share.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "berth/qapi.h"

#include "char-bench.h"

static size_t reader_can_read(void *opaque)
{
    return ((CharReader *)opaque)->room;
}

static void reader_read(void *opaque, const uint8_t *data, size_t size)
{
    CharReader *reader = opaque;

    g_assert_cmpuint(size, <=, reader->room);
    g_string_append_len(reader->input, (const char *)data, size);
}

static void reader_writable(void *opaque)
{
    ((CharReader *)opaque)->n_writable++;
}

static void reader_event(void *opaque, CharEvent event)
{
    CharReader *reader = opaque;

    static const char letters[] = {
        [CHAR_EVENT_OPENED] = 'o',   [CHAR_EVENT_CLOSED] = 'c',
        [CHAR_EVENT_BREAK] = 'b',    [CHAR_EVENT_FOCUS_IN] = 'i',
        [CHAR_EVENT_FOCUS_OUT] = 'u',
    };

    g_string_append_c(reader->events, letters[event]);
}

const CharUser char_bench_user = {
    .can_read = reader_can_read,
    .read = reader_read,
    .writable = reader_writable,
    .event = reader_event,
};

const CharUser char_bench_patient_user = {
    .can_read = reader_can_read,
    .read = reader_read,
    .writable = reader_writable,
    .event = reader_event,
    .reads_to_end = true,
};

static void on_tick(void *opaque)
{
}

void char_bench_set_up(CharBench *f, const void *unused)
{
    f->loop = loop_new("test", THREAD_MAIN, NULL);
    f->set = char_set_new(f->loop);
    f->folder = g_dir_make_tmp("berth-char-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "sock", NULL);
    f->reader = (CharReader) { .input = g_string_new(""), .events = g_string_new(""),
                           .room = SIZE_MAX };
    timer_init(&f->tick, f->loop, on_tick, NULL);
}

void char_bench_tear_down(CharBench *f, const void *unused)
{
    if (f->reader.chr)
        char_detach(f->reader.chr);
    char_set_free(f->set);
    timer_cancel(&f->tick);
    loop_free(f->loop);
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->path);
    g_string_free(f->reader.input, true);
    g_string_free(f->reader.events, true);
}

/* How many turns the loop makes in @ms without anything to do. */
int char_bench_count_turns(CharBench *f, int ms)
{
    int n_turns = 0;

    timer_set(&f->tick, loop_clock_ns() + ms * NS_PER_MS);
    while (timer_is_set(&f->tick)) {
        loop_turn(f->loop, true);
        n_turns++;
    }
    return n_turns;
}

Chardev *char_bench_add_to(CharSet *set, const char *id, const char *options,
                           GError **error)
{
    g_autofree char *text = g_strdup_printf("%s,id=%s", options, id);
    g_autoptr(ChardevOptions) parsed = qapi_parse_keyval(QAPI_TYPE_CHARDEV_OPTIONS, text,
                                                         "backend", error);

    return parsed ? char_options_add(set, parsed, error) : NULL;
}

Chardev *char_bench_try_add(CharBench *f, const char *id, const char *options,
                            GError **error)
{
    return char_bench_add_to(f->set, id, options, error);
}

Chardev *char_bench_add(CharBench *f, const char *id, const char *options)
{
    g_autoptr(GError) error = NULL;
    Chardev *chr = char_bench_try_add(f, id, options, &error);

    g_assert_no_error(error);
    return chr;
}

void char_bench_attach(CharBench *f, Chardev *chr, const CharUser *user)
{
    g_autoptr(GError) error = NULL;

    f->reader.chr = char_attach(chr, user, &f->reader, &error);
    g_assert_no_error(error);
}

/* A chardev "c" that serves f->path, attached to. */
Chardev *char_bench_add_server(CharBench *f, const CharUser *user)
{
    g_autofree char *options = g_strdup_printf("socket,path=%s,server=on,wait=off",
                                               f->path);
    Chardev *chr = char_bench_add(f, "c", options);

    char_bench_attach(f, chr, user);
    return chr;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    return address;
}

int char_bench_connect(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

int char_bench_listen(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, 5), ==, 0);
    return fd;
}

void char_bench_send(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
}

/* Reads until @size bytes or the end; what it got. */
char *char_bench_receive(CharBench *f, int fd, size_t size)
{
    GString *text = g_string_new("");
    char data[4096];

    while (text->len < size) {
        ssize_t n = recv(fd, data, MIN(sizeof(data), size - text->len), MSG_DONTWAIT);

        if (n == 0)
            break;
        if (n > 0)
            g_string_append_len(text, data, n);
        else
            loop_turn(f->loop, false);
    }
    return g_string_free(text, false);
}

void char_bench_assert_filename(CharBench *f, const char *expected)
{
    g_autoptr(ChardevInfoList) list = char_set_query(f->set);

    g_assert_cmpuint(list->n, ==, 1);
    g_assert_cmpstr(list->items[0]->filename, ==, expected);
}

void char_bench_send_fds(int socket, const int *fds, int n_fds)
{
    char space[CMSG_SPACE(sizeof(int) * 64)] = { 0 };
    struct iovec iov = { .iov_base = (char *)" ", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
                              .msg_controllen = CMSG_SPACE(sizeof(int) * n_fds) };
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);

    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
    memcpy(CMSG_DATA(control), fds, sizeof(int) * n_fds);
    g_assert_cmpint(sendmsg(socket, &message, 0), ==, 1);
}

int char_bench_count_fds(void)
{
    int n_fds = 0;

    for (int fd = 0; fd < 256; fd++)
        n_fds += fcntl(fd, F_GETFD) >= 0;
    return n_fds;
}
