/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "console": a terminal on a character device of the machine that others can open, a pty
 * or a socket that listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "ctl-conn.h"

#define ESCAPE 0x1d             /* Ctrl-] */
#define PIECE 4096

/* What "pty:/dev/pts/3" and "disconnected:unix:PATH,server=on" lead to; NULL: nowhere. */
static char *find_place(const char *filename, bool *ret_is_socket)
{
    const char *unix_at = strstr(filename, "unix:");

    *ret_is_socket = unix_at && strstr(unix_at, ",server");
    if (*ret_is_socket)
        return g_strndup(unix_at + strlen("unix:"),
                         strcspn(unix_at + strlen("unix:"), ","));
    if (g_str_has_prefix(filename, "pty:"))
        return g_strdup(filename + strlen("pty:"));
    return NULL;
}

/* Monitors, and what is for a person at no terminal. */
static bool is_console(const CtlConn *conn, const JsonValue *chardev, const char *wanted)
{
    const char *label = json_as_string(json_member(chardev, "label"));
    const char *filename = json_as_string(json_member(chardev, "filename"));

    if (wanted)
        return g_strcmp0(label, wanted) == 0;
    return label && filename && !strstr(filename, conn->path) &&
           !g_str_has_prefix(label, "metrics-") && !strstr(label, "monitor");
}

static char *choose(const CtlConn *conn, const JsonValue *chardevs, const char *wanted,
                    bool *ret_is_socket, GError **error)
{
    for (size_t i = 0; i < json_length(chardevs); i++) {
        const JsonValue *chardev = json_at(chardevs, i);
        char *place;

        if (!is_console(conn, chardev, wanted))
            continue;
        place = find_place(json_as_string(json_member(chardev, "filename")),
                           ret_is_socket);
        if (place)
            return place;
    }
    if (wanted)
        error_set(error, "machine '%s' has no character device '%s' that is a pty or a "
                  "socket (\"berthctl qmp %s query-chardev\" lists them)", conn->name,
                  wanted, conn->name);
    else
        error_set(error, "machine '%s' has no console that is a pty or a socket: start "
                  "it with -serial pty, or -serial unix:PATH,server=on,wait=off",
                  conn->name);
    return NULL;
}

static int open_place(const char *place, bool is_socket, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    g_autofd int fd = -1;

    g_strlcpy(address.sun_path, place, sizeof(address.sun_path));
    if (is_socket)
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    else
        fd = open(place, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || (is_socket &&
                   connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)) {
        error_set_errno(error, errno, "cannot open the console '%s'", place);
        return -1;
    }
    return autofd_steal(&fd);
}

/* What the far end does not take at once waits for it, and no key is read meanwhile. */
static void write_all(int fd, const char *data, size_t size)
{
    struct pollfd polled = { .fd = fd, .events = POLLOUT };

    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n > 0) {
            data += n;
            size -= n;
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return;
        } else {
            poll(&polled, 1, -1);
        }
    }
}

/* Whether keys go on: not after the escape. */
static bool send_keys(int fd, const char *data, size_t size)
{
    const char *escape = memchr(data, ESCAPE, size);

    write_all(fd, data, escape ? (size_t)(escape - data) : size);
    return !escape;
}

/* Until the escape, or the end of the far end. */
static void talk(int fd)
{
    struct pollfd polled[] = {
        { .fd = fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN },
    };

    for (;;) {
        char data[PIECE];
        ssize_t n;

        poll(polled, G_N_ELEMENTS(polled), -1);
        if (polled[0].revents) {
            n = read(fd, data, sizeof(data));
            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                return;
            if (n > 0)
                write_all(STDOUT_FILENO, data, n);
        }
        if (polled[1].revents) {
            n = read(STDIN_FILENO, data, sizeof(data));
            if (n > 0 && !send_keys(fd, data, n))
                return;
            /* No more keys; the far end goes on. */
            if (n == 0)
                polled[1].fd = -1;
        }
    }
}

int ctl_console_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    const JsonValue *chardevs =
        ctl_conn_ask(conn, options, "query-chardev", NULL, error);
    g_autofree char *place = NULL;
    g_autofd int fd = -1;
    struct termios before, raw;
    bool is_socket = false, is_terminal;

    if (!chardevs)
        return 1;
    place = choose(conn, chardevs, argc > 1 ? argv[1] : NULL, &is_socket, error);
    fd = place ? open_place(place, is_socket, error) : -1;
    if (fd < 0)
        return 1;
    is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    fprintf(stderr, "Connected to %s; Ctrl-] ends.\r\n", place);
    if (is_terminal) {
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    talk(fd);
    if (is_terminal)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    return 0;
}
