/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's standard input and output.
 *
 * Both descriptors are shared with the parent and with whoever it started, so they are
 * not made non-blocking: a terminal or a pipe is opened once more through /proc, which
 * gives an open file of our own.  A regular file never blocks and keeps its shared
 * offset.  Only a socket, which cannot be opened again, gets the flag, and loses it at
 * the end.
 *
 * A terminal is in raw mode while the chardev is there.  It belongs to the process, so
 * what it was before is kept in the one static variable, from which it is restored at
 * close, at exit(3), and at a signal that ends the process (unless main has its own way
 * with that).  Its mode is touched only from the foreground: from the background the
 * kernel would stop the process; main calls char_set_continued() when it comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>

#include "berth/error.h"

#include "char-private.h"

/* One of the two descriptors. */
typedef struct StdioEnd {
    int fd;                     /* ours, or the standard one */
    int flags;                  /* to be restored on the standard one; -1: nothing */
} StdioEnd;

typedef struct CharStdio {
    Chardev chr;
    StdioEnd in, out;
    bool signal;
} CharStdio;

static const int fatal_signals[] = {
    SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGTERM,
};

static struct {
    bool taken;
    bool at_exit;
    atomic_bool raw;
    struct termios saved;
} terminal;

static CharStdio *to_stdio(Chardev *chr)
{
    return CONTAINER_OF(chr, CharStdio, chr);
}

static bool in_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void char_set_restore_terminal(void)
{
    if (atomic_exchange(&terminal.raw, false) && in_foreground())
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.saved);
}

static void on_fatal_signal(int number)
{
    char_set_restore_terminal();
    /* The handler is gone by SA_RESETHAND: this one ends the process. */
    raise(number);
}

static void catch_fatal_signals(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(fatal_signals); i++) {
        struct sigaction action = {
            .sa_handler = on_fatal_signal,
            .sa_flags = SA_RESETHAND,
        };
        struct sigaction before;

        if (sigaction(fatal_signals[i], NULL, &before) == 0 &&
            !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL)
            sigaction(fatal_signals[i], &action, NULL);
    }
}

static void set_raw(const CharStdio *stdio)
{
    struct termios mode = terminal.saved;

    if (!in_foreground())
        return;
    mode.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    mode.c_oflag |= OPOST;
    mode.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    if (!stdio->signal)
        mode.c_lflag &= ~ISIG;
    mode.c_cflag &= ~(CSIZE | PARENB);
    mode.c_cflag |= CS8;
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &mode);
}

static void take_terminal(CharStdio *stdio)
{
    if (tcgetattr(STDIN_FILENO, &terminal.saved) < 0)
        return;
    if (!terminal.at_exit)
        atexit(char_set_restore_terminal);
    terminal.at_exit = true;
    atomic_store(&terminal.raw, true);
    catch_fatal_signals();
    set_raw(stdio);
}

static void end_open(StdioEnd *end, int fd, int access)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    struct stat stat;

    *end = (StdioEnd) { .fd = fd, .flags = -1 };
    if (fstat(fd, &stat) < 0)
        return;
    if (S_ISFIFO(stat.st_mode) || isatty(fd)) {
        int own = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (own >= 0) {
            end->fd = own;
            return;
        }
    } else if (!S_ISSOCK(stat.st_mode)) {
        return;
    }
    end->flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, end->flags | O_NONBLOCK);
}

static void end_close(StdioEnd *end, int fd)
{
    if (end->fd >= 0 && end->fd != fd)
        close(end->fd);
    if (end->flags >= 0)
        fcntl(fd, F_SETFL, end->flags);
}

static bool stdio_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    CharStdio *stdio = to_stdio(chr);

    stdio->in = (StdioEnd) { .fd = -1, .flags = -1 };
    stdio->out = stdio->in;
    if (terminal.taken) {
        error_set(error, "standard input and output belong to another character device");
        return false;
    }
    terminal.taken = true;
    stdio->signal = backend->u.stdio.data->signal;
    end_open(&stdio->in, STDIN_FILENO, O_RDONLY);
    end_open(&stdio->out, STDOUT_FILENO, O_WRONLY);
    take_terminal(stdio);
    char_stream_open(chr, stdio->in.fd, stdio->out.fd);
    return true;
}

static void stdio_close(Chardev *chr)
{
    CharStdio *stdio = to_stdio(chr);

    if (stdio->in.fd < 0)
        return;
    char_stream_close(chr);
    char_set_restore_terminal();
    end_close(&stdio->in, STDIN_FILENO);
    end_close(&stdio->out, STDOUT_FILENO);
    stdio->in.fd = -1;
    terminal.taken = false;
}

static void stdio_continued(Chardev *chr)
{
    if (atomic_load(&terminal.raw))
        set_raw(to_stdio(chr));
}

const CharClass char_stdio_class = {
    .name = "stdio",
    .instance_size = sizeof(CharStdio),
    .open = stdio_open,
    .close = stdio_close,
    .hangup = char_stream_end_input,
    .reads_to_end = true,
    .continued = stdio_continued,
};
