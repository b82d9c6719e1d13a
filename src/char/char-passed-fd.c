/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that others hand over: with the bytes of a unix socket (SCM_RIGHTS), or as
 * the socket itself.
 */
#include <string.h>

#include "berth/error.h"

#include "char-socket.h"

static void keep(Chardev *chr, int fd)
{
    if (chr->n_fds < CHAR_MAX_FDS) {
        chr->fds[chr->n_fds++] = fd;
        return;
    }
    close(fd);
    if (log_limit_pass(&chr->log_limit, NULL))
        log_warn("chardev '%s': more than %d descriptors wait: one was closed", chr->id,
                 CHAR_MAX_FDS);
}

void char_passed_fd_keep(Chardev *chr, struct msghdr *message)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        size_t n_fds = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n_fds; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof(int));
            keep(chr, fd);
        }
    }
}

void char_passed_fd_drop(Chardev *chr)
{
    while (chr->n_fds > 0)
        close(chr->fds[--chr->n_fds]);
}

static int socket_option(int fd, int name)
{
    socklen_t size = sizeof(int);
    int value;

    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool char_passed_fd_take(CharSocket *sock, GError **error)
{
    const ChardevSocket *options = sock->options;
    const char *name = options->addr->u.fd.data->str;
    CharSet *set = sock->chr.set;
    g_autofd int fd = set->named_fd(set->named_fd_opaque, name, error);

    if (fd < 0)
        return false;
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM) {
        error_set(error, "parameter 'fd' expects a stream socket, and '%s' is none",
                  name);
        return false;
    }
    if (socket_option(fd, SO_ACCEPTCONN) != options->server) {
        error_set(error, "parameter 'fd': the socket '%s' is %s", name,
                  options->server ? "not listening, as server=on expects"
                                  : "listening, which server=off does not expect");
        return false;
    }
    *(options->server ? &sock->listen_fd : &sock->fd) = autofd_steal(&fd);
    return true;
}
