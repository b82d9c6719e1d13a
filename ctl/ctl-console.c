/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "console": a terminal on a character device of the machine that others can open, a pty
 * or a socket that listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "berth/printable.h"
#include "berth/thread.h"

#include "ctl-conn.h"

#define ESCAPE 0x1d             /* Ctrl-] */
#define PIECE 4096
#define KEYS_MAX (64 * 1024)
#define STUCK_MS 1000

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
    const char *label = ctl_conn_text(chardev, "label");
    const char *filename = ctl_conn_text(chardev, "filename");

    if (wanted && filename)
        return g_strcmp0(label, wanted) == 0;
    return label && filename && !strstr(filename, conn->path) &&
           !g_str_has_prefix(label, "metrics-") && !strstr(label, "monitor");
}

static char *choose(const CtlConn *conn, const JsonValue *chardevs, const char *wanted,
                    bool *ret_is_socket, GError **error)
{
    for (size_t i = 0; i < ctl_conn_length(chardevs); i++) {
        const JsonValue *chardev = json_at(chardevs, i);
        char *place;

        if (!is_console(conn, chardev, wanted))
            continue;
        place = find_place(ctl_conn_text(chardev, "filename"), ret_is_socket);
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

    if (is_socket && g_strlcpy(address.sun_path, place, sizeof(address.sun_path)) >=
                         sizeof(address.sun_path)) {
        error_set(error, "the path of the console '%s' is too long", place);
        return -1;
    }
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

/* What the terminal does not take at once waits for it. */
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

/*
 * Gives the terminal back before a signal ends the process, whatever that waits for: the
 * signals are blocked in all threads and awaited by one.
 */
typedef struct Keeper {
    struct termios before;
    sigset_t ending;
    pthread_t thread;
    gint over;                  /* atomic: what it waits for is no signal of others */
} Keeper;

static void *keep(void *opaque)
{
    Keeper *keeper = opaque;
    int signum;

    if (sigwait(&keeper->ending, &signum) != 0 || g_atomic_int_get(&keeper->over))
        return NULL;
    tcsetattr(STDIN_FILENO, TCSANOW, &keeper->before);
    raise(signum);
    pthread_sigmask(SIG_UNBLOCK, &keeper->ending, NULL);
    return NULL;
}

/*
 * Those that were ignored before stay so, as SIGHUP by nohup.  SIGTTOU is blocked, so
 * that one who is in the background by then may give the terminal back.
 */
static void block_ending(Keeper *keeper)
{
    static const int ending[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGUSR1 };
    sigset_t blocked;

    sigemptyset(&keeper->ending);
    for (size_t i = 0; i < G_N_ELEMENTS(ending); i++) {
        struct sigaction action;

        if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&keeper->ending, ending[i]);
    }
    sigaddset(&keeper->ending, SIGUSR2);
    blocked = keeper->ending;
    sigaddset(&blocked, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
}

/* False when stdin is no terminal, and there is nothing to keep. */
static bool make_raw(Keeper *keeper)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &keeper->before) < 0)
        return false;
    block_ending(keeper);
    keeper->over = 0;
    if (!thread_start(&keeper->thread, THREAD_WORKER, "terminal", keep, keeper, NULL)) {
        pthread_sigmask(SIG_UNBLOCK, &keeper->ending, NULL);
        return false;
    }
    raw = keeper->before;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    return true;
}

static void give_back(Keeper *keeper)
{
    g_atomic_int_set(&keeper->over, 1);
    pthread_kill(keeper->thread, SIGUSR2);
    pthread_join(keeper->thread, NULL);
    tcsetattr(STDIN_FILENO, TCSANOW, &keeper->before);
    pthread_sigmask(SIG_UNBLOCK, &keeper->ending, NULL);
}

/*
 * Keys that the far end has not taken.  With KEYS_MAX no more are read, so that what
 * comes out of a file is not lost; at a terminal, when the far end has taken none for
 * STUCK_MS, they are read once more and dropped, for the sake of the escape among them.
 */
typedef struct Talk {
    int fd;
    bool at_terminal;
    bool at_end;                /* of the keys */
    bool is_stuck;
    GString *keys;
} Talk;

static bool is_full(const Talk *talk)
{
    return talk->keys->len >= KEYS_MAX;
}

static void send_keys(Talk *talk)
{
    ssize_t n = write(talk->fd, talk->keys->str, talk->keys->len);

    if (n > 0) {
        g_string_erase(talk->keys, 0, n);
        talk->is_stuck = false;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        g_string_truncate(talk->keys, 0);
    }
}

/* Whether keys go on: not after the escape. */
static bool read_keys(Talk *talk)
{
    char data[PIECE];
    ssize_t n = read(STDIN_FILENO, data, sizeof(data));
    const char *escape = n > 0 ? memchr(data, ESCAPE, n) : NULL;

    if (n > 0 && !is_full(talk))
        g_string_append_len(talk->keys, data, escape ? escape - data : n);
    if (talk->keys->len > 0)
        send_keys(talk);
    /* No more keys; the far end goes on. */
    talk->at_end = n == 0;
    return !escape && (n >= 0 || errno == EAGAIN || errno == EINTR);
}

static bool show(const Talk *talk)
{
    char data[PIECE];
    ssize_t n = read(talk->fd, data, sizeof(data));

    if (n > 0)
        write_all(STDOUT_FILENO, data, n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* One wait and what came of it; false at the escape or the far end's end. */
static bool turn(Talk *talk)
{
    bool waits = is_full(talk) && !talk->is_stuck;
    struct pollfd polled[] = {
        { .fd = talk->fd, .events = POLLIN | (talk->keys->len > 0 ? POLLOUT : 0) },
        { .fd = waits || talk->at_end ? -1 : STDIN_FILENO, .events = POLLIN },
    };
    int n = poll(polled, G_N_ELEMENTS(polled),
                 waits && talk->at_terminal ? STUCK_MS : -1);

    if (n <= 0) {
        talk->is_stuck = n == 0;
        return true;
    }
    if (polled[0].revents & POLLOUT)
        send_keys(talk);
    if ((polled[0].revents & ~POLLOUT) && !show(talk))
        return false;
    return !polled[1].revents || read_keys(talk);
}

int ctl_console_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    const JsonValue *chardevs =
        ctl_conn_ask(conn, options, "query-chardev", NULL, error);
    g_autofree char *place = NULL;
    g_autofree char *shown = NULL;
    g_autofd int fd = -1;
    bool is_socket = false, is_raw;
    Keeper keeper;
    Talk talk;

    if (!chardevs)
        return 1;
    place = choose(conn, chardevs, argc > 1 ? argv[1] : NULL, &is_socket, error);
    fd = place ? open_place(place, is_socket, error) : -1;
    if (fd < 0)
        return 1;
    /* A far end that has gone is seen by the error. */
    signal(SIGPIPE, SIG_IGN);
    shown = printable_text(place);
    fprintf(stderr, "Connected to %s; Ctrl-] ends.\r\n", shown);
    is_raw = make_raw(&keeper);
    talk = (Talk) { .fd = fd, .at_terminal = is_raw, .keys = g_string_new(NULL) };
    while (turn(&talk))
        continue;
    g_string_free(talk.keys, true);
    if (is_raw)
        give_back(&keeper);
    return 0;
}
