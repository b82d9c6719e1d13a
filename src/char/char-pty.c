/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pseudo-terminal of our own; its user opens the slave (pty(7)).
 *
 *     CLOSED --slave was opened--> OPEN --EPOLLHUP: last slave closed--> CLOSED
 *
 * While no slave is open the master is not polled, for its EPOLLHUP would never end.
 * The kernel tells of the opening by inotify on the slave's inode: one event, no
 * wake-up before.  Inotify instances are limited by user; when there is none left the
 * state is looked at once a second while CLOSED.
 *
 * What was written to the slave before it was closed is still read: "echo x >
 * /dev/pts/3" opens, delivers and closes.  What the user has not taken by then is
 * dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "berth/error.h"
#include "berth/timer.h"

#include "char-private.h"

#define LOOK_INTERVAL_NS NS_PER_SEC

typedef struct CharPty {
    Chardev chr;
    int master_fd;
    int watch_fd;               /* inotify, or -1 */
    LoopFd watch;
    Timer look;
    char *name;                 /* "/dev/pts/3" */
    char *link;                 /* the symbolic link that we made, or NULL */
} CharPty;

static CharPty *to_pty(Chardev *chr)
{
    return CONTAINER_OF(chr, CharPty, chr);
}

static short master_state(const CharPty *pty)
{
    struct pollfd poll_fd = { .fd = pty->master_fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) >= 0 ? poll_fd.revents : POLLHUP;
}

static void look_again(CharPty *pty)
{
    if (pty->watch_fd < 0 && !pty->chr.open)
        timer_set(&pty->look, loop_clock_ns() + LOOK_INTERVAL_NS);
}

/* Also a slave that was closed meanwhile counts when it left something to read. */
static void look_for_slave(CharPty *pty)
{
    short state = master_state(pty);

    char_enter(&pty->chr);
    if (!pty->chr.open && (!(state & POLLHUP) || (state & POLLIN)))
        char_stream_open(&pty->chr, pty->master_fd, pty->master_fd);
    if (!pty->chr.free_later)
        look_again(pty);
    char_leave(&pty->chr);
}

static void on_look(void *opaque)
{
    look_for_slave(opaque);
}

static void on_watch(void *opaque, uint32_t events)
{
    CharPty *pty = opaque;
    char data[sizeof(struct inotify_event) + NAME_MAX + 1];

    while (read(pty->watch_fd, data, sizeof(data)) > 0)
        ;
    look_for_slave(pty);
}

static void pty_hangup(Chardev *chr)
{
    CharPty *pty = to_pty(chr);
    char data[4096];

    char_stream_close(chr);
    if (chr->free_later)
        return;
    while (read(pty->master_fd, data, sizeof(data)) > 0)
        ;
    /* The next slave may have been opened before the last one's end was seen. */
    if (!(master_state(pty) & POLLHUP))
        char_stream_open(chr, pty->master_fd, pty->master_fd);
    else
        look_again(pty);
}

/*
 * By our own descriptor; by the name, which may be another pty's in our mount namespace,
 * only where there is no /proc.
 */
static void watch_slave(CharPty *pty, int slave_fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", slave_fd);

    pty->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    loop_fd_init(&pty->watch, pty->watch_fd, on_watch, pty);
    if (pty->watch_fd < 0)
        return;
    if ((inotify_add_watch(pty->watch_fd, path, IN_OPEN) < 0 &&
         inotify_add_watch(pty->watch_fd, pty->name, IN_OPEN) < 0) ||
        !loop_fd_add(pty->chr.loop, &pty->watch, EPOLLIN, NULL))
        base_close_fd(&pty->watch_fd);
}

static bool open_master(CharPty *pty, GError **error)
{
    char name[64];

    pty->master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (pty->master_fd < 0 || grantpt(pty->master_fd) < 0 ||
        unlockpt(pty->master_fd) < 0 ||
        ptsname_r(pty->master_fd, name, sizeof(name)) != 0) {
        error_set_errno(error, errno, "cannot make a pseudo-terminal");
        return false;
    }
    pty->name = g_strdup(name);
    return true;
}

/* Our own opening and closing of the slave also makes the master report EPOLLHUP. */
static bool prepare_slave(CharPty *pty, GError **error)
{
    int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
    g_autofd int slave_fd = ioctl(pty->master_fd, TIOCGPTPEER, flags);
    struct termios mode;

    if (slave_fd < 0)
        slave_fd = open(pty->name, flags);
    if (slave_fd < 0 || tcgetattr(slave_fd, &mode) < 0) {
        error_set_errno(error, errno, "cannot open '%s'", pty->name);
        return false;
    }
    cfmakeraw(&mode);
    tcsetattr(slave_fd, TCSANOW, &mode);
    watch_slave(pty, slave_fd);
    return true;
}

static bool make_link(CharPty *pty, const char *path, GError **error)
{
    if (!path)
        return true;
    if (symlink(pty->name, path) < 0) {
        error_set_errno(error, errno, "parameter 'path': cannot make the link '%s'",
                        path);
        return false;
    }
    pty->link = g_strdup(path);
    return true;
}

static bool pty_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    CharPty *pty = to_pty(chr);

    pty->master_fd = -1;
    pty->watch_fd = -1;
    timer_init(&pty->look, chr->loop, on_look, pty);
    if (!open_master(pty, error) || !prepare_slave(pty, error) ||
        !make_link(pty, backend->u.pty.data->path, error))
        return false;
    look_again(pty);
    if (!char_may_wait(chr))
        return true;
    /* Where people and scripts look for the name at the start, in known words. */
    printf("char device redirected to %s (label %s)\n", pty->name, chr->id);
    fflush(stdout);
    return true;
}

static void pty_close(Chardev *chr)
{
    CharPty *pty = to_pty(chr);

    char_stream_close(chr);
    timer_cancel(&pty->look);
    loop_fd_remove(&pty->watch);
    base_close_fd(&pty->watch_fd);
    base_close_fd(&pty->master_fd);
    if (pty->link)
        unlink(pty->link);
    g_clear_pointer(&pty->link, g_free);
    g_clear_pointer(&pty->name, g_free);
}

static char *pty_filename(const Chardev *chr)
{
    return g_strdup_printf("pty:%s", CONTAINER_OF(chr, CharPty, chr)->name);
}

const CharClass char_pty_class = {
    .name = "pty",
    .instance_size = sizeof(CharPty),
    .open = pty_open,
    .close = pty_close,
    .filename = pty_filename,
    .hangup = pty_hangup,
};
