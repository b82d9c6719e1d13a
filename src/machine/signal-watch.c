/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals through a signalfd, so that they are served on the loop.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>

#include "berth/error.h"

#include "berth/signal-watch.h"

static void on_signal(void *opaque, uint32_t events)
{
    SignalWatch *watch = opaque;
    struct signalfd_siginfo info;

    if (read(watch->source.fd, &info, sizeof(info)) == sizeof(info))
        watch->fn(watch->opaque, (int)info.ssi_signo, (int)info.ssi_pid);
}

bool signal_watch_init(SignalWatch *watch, Loop *loop, const sigset_t *set,
                       void (*fn)(void *opaque, int signal_number, int sender_pid),
                       void *opaque, GError **error)
{
    int fd;

    pthread_sigmask(SIG_BLOCK, set, NULL);
    fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot watch signals");
        return false;
    }
    watch->fn = fn;
    watch->opaque = opaque;
    loop_fd_init(&watch->source, fd, on_signal, watch);
    return loop_fd_add(loop, &watch->source, EPOLLIN, error);
}

int signal_watch_fd(const SignalWatch *watch)
{
    return watch->source.fd;
}

void signal_watch_done(SignalWatch *watch)
{
    if (!watch->fn)
        return;
    loop_fd_remove(&watch->source);
    base_close_fd(&watch->source.fd);
    watch->fn = NULL;
}
