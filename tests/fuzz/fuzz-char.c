/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what people and far ends do to character devices.  The first byte chooses:
 * the rest is the text of -serial, or a far end that speaks telnet to a mux of two users,
 * and these users' doings: bytes both ways, in pieces; far ends that come and go; users
 * that take little, nothing, leave, and come back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/qapi.h"

#include "char-bench.h"
#include "fuzz.h"

#define N_USERS 2
#define MAX_ACTS 200

typedef struct Input {
    const uint8_t *data;
    size_t size;
} Input;

typedef struct User {
    Chardev *chr;               /* NULL: not attached */
    size_t room;
    size_t n_read;
} User;

static struct {
    Loop *loop;
    CharSet *set;
    Chardev *mux;
    User users[N_USERS];
    int fd;                     /* of the far end, -1 when it is away */
    size_t n_sent;              /* by far ends */
} subject = { .fd = -1 };

static uint8_t take(Input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static const uint8_t *take_bytes(Input *in, size_t *size)
{
    const uint8_t *data = in->data;

    *size = MIN(*size, in->size);
    in->data += *size;
    in->size -= *size;
    return data;
}

static size_t user_can_read(void *opaque)
{
    return ((User *)opaque)->room;
}

static void user_read(void *opaque, const uint8_t *data, size_t size)
{
    User *user = opaque;

    g_assert_cmpuint(size, >, 0);
    g_assert_cmpuint(size, <=, user->room);
    user->room -= size;
    user->n_read += size;
    /* A word of this user makes it leave in its own callback. */
    if (data[0] == '!' && user->chr) {
        char_detach(user->chr);
        user->chr = NULL;
    }
}

static void user_event(void *opaque, CharEvent event)
{
    User *user = opaque;

    if (event == CHAR_EVENT_BREAK && user->chr)
        char_write(user->chr, "break", 5);
}

static const CharUser user_ops = {
    .can_read = user_can_read,
    .read = user_read,
    .event = user_event,
};

static const char *on_command(void *opaque, CharMuxCommand command)
{
    return NULL;
}

static void set_name(struct sockaddr_un *address, socklen_t *size)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "berth-fuzz-char-%d",
             (int)getpid());
    *size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address->sun_path + 1);
}

static void make_subject(void)
{
    struct sockaddr_un address;
    socklen_t size;
    g_autofree char *options = NULL;

    log_set_level(LOG_LEVEL_ERROR);
    set_name(&address, &size);
    options = g_strdup_printf("socket,path=%s,abstract=on,server=on,wait=off,telnet=on,"
                              "mux=on", address.sun_path + 1);
    subject.loop = loop_new("fuzz", THREAD_MAIN, NULL);
    subject.set = char_set_new(subject.loop);
    char_set_mux_hook(subject.set, on_command, NULL);
    subject.mux = char_bench_add_to(subject.set, "m", options, NULL);
    g_assert_nonnull(subject.mux);
}

static void toggle_far_end(void)
{
    struct sockaddr_un address;
    socklen_t size;

    if (subject.fd >= 0) {
        close(subject.fd);
        subject.fd = -1;
        return;
    }
    set_name(&address, &size);
    subject.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(subject.fd, (struct sockaddr *)&address, size) < 0) {
        close(subject.fd);
        subject.fd = -1;
    }
}

static void toggle_user(User *user)
{
    if (user->chr) {
        char_detach(user->chr);
        user->chr = NULL;
    } else {
        user->chr = char_attach(subject.mux, &user_ops, user, NULL);
        g_assert_nonnull(user->chr);
    }
}

static void act_of_far_end(Input *in, unsigned kind)
{
    static uint8_t sink[0x4000];
    size_t size = 1 + take(in);
    const uint8_t *data;
    ssize_t n;

    if (kind == 0) {
        toggle_far_end();
    } else if (subject.fd >= 0 && kind == 1) {
        data = take_bytes(in, &size);
        n = send(subject.fd, data, size, MSG_NOSIGNAL);
        subject.n_sent += MAX(n, 0);
    } else if (subject.fd >= 0 && kind == 2) {
        n = recv(subject.fd, sink, size * 64, 0);
        g_assert_true(n >= 0 || errno == EAGAIN || errno == ECONNRESET);
    } else if (subject.fd >= 0) {
        shutdown(subject.fd, take(in) % 2 ? SHUT_WR : SHUT_RD);
    }
}

static void act_of_user(Input *in, unsigned kind)
{
    User *user = &subject.users[take(in) % N_USERS];
    size_t size = 1 + take(in);
    const uint8_t *data;

    if (kind == 0) {
        toggle_user(user);
    } else if (!user->chr) {
        return;
    } else if (kind == 1) {
        data = take_bytes(in, &size);
        g_assert_cmpuint(char_write(user->chr, data, size), <=, size);
    } else if (kind == 2) {
        user->room = take(in) % 2 ? size * 64 : size % 4;
        char_accept_input(user->chr);
    } else {
        char_send_break(subject.mux);
    }
    g_assert_cmpuint(char_pending(subject.mux), <=, CHAR_BUFFER_SIZE);
}

static void clean_up(void)
{
    for (unsigned i = 0; i < N_USERS; i++) {
        if (subject.users[i].chr)
            toggle_user(&subject.users[i]);
        subject.users[i] = (User){ 0 };
    }
    if (subject.fd >= 0)
        toggle_far_end();
    /* A user that takes everything lets the mux drop what it holds. */
    subject.users[0].room = SIZE_MAX;
    toggle_user(&subject.users[0]);
    /* Far ends that were never let in are in the backlog still. */
    for (int closed = 0, i = 0; closed < 3; i++) {
        g_assert_cmpint(i, <, 10 * MAX_ACTS);
        loop_turn(subject.loop, false);
        closed = char_is_open(subject.mux) ? 0 : closed + 1;
    }
    if (subject.users[0].chr)
        toggle_user(&subject.users[0]);
    subject.users[0] = (User){ 0 };
    subject.n_sent = 0;
}

static void run_session(Input *in)
{
    size_t n_read = 0;

    if (!subject.set)
        make_subject();
    for (int n = 0; n < MAX_ACTS && in->size > 0; n++) {
        uint8_t act = take(in);

        if (act & 4)
            act_of_user(in, act & 3);
        else
            act_of_far_end(in, act & 3);
        for (unsigned i = 0; i < (act >> 3 & 3u); i++)
            loop_turn(subject.loop, false);
    }
    for (unsigned i = 0; i < N_USERS; i++)
        n_read += subject.users[i].n_read;
    g_assert_cmpuint(n_read, <=, subject.n_sent);
    clean_up();
}

static void parse_text(const Input *in)
{
    g_autofree char *text = g_strndup((const char *)in->data, in->size);
    g_autoptr(GError) error = NULL;
    g_autoptr(ChardevOptions) options = char_text_parse("c", text, &error);
    g_autoptr(ChardevOptions) clone = NULL;

    g_assert_true((options == NULL) == (error != NULL));
    if (!options)
        return;
    clone = qapi_clone_ChardevOptions(options);
    g_assert_true(qapi_equal(QAPI_TYPE_CHARDEV_OPTIONS, options, clone));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input in = { data, size };

    if (take(&in) % 2)
        parse_text(&in);
    else
        run_session(&in);
    return 0;
}
