/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream socket that connects.
 *
 *     CONNECTING --connected--> CONNECTED --hangup--> WAITING (or the end)
 *         ^--------------- timer "reconnect" --- failed --^
 *
 * Names of hosts are looked up once, when the chardev is made, and never on a running
 * loop.
 */
#include <errno.h>
#include <poll.h>

#include "berth/error.h"

#include "char-socket.h"

typedef enum Attempt {
    ATTEMPT_CONNECTED,
    ATTEMPT_STARTED,
    ATTEMPT_FAILED,             /* all addresses; sock->failure says why */
} Attempt;

/* Tries the addresses from the next one on. */
static Attempt connect_next(CharSocket *sock)
{
    while (sock->next_address < sock->addresses->len) {
        const CharAddress *address =
            &g_array_index(sock->addresses, CharAddress, sock->next_address++);
        int fd = socket(address->storage.ss_family,
                        SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);

        if (fd < 0) {
            sock->failure = errno;
            continue;
        }
        if (connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0) {
            char_socket_set_connected(sock, fd);
            return ATTEMPT_CONNECTED;
        }
        sock->failure = errno;
        if (errno == EINPROGRESS) {
            loop_fd_init(&sock->connecting, fd, sock->connecting.fn, sock);
            if (loop_fd_add(sock->chr.loop, &sock->connecting, EPOLLOUT, NULL))
                return ATTEMPT_STARTED;
        }
        close(fd);
    }
    sock->next_address = 0;
    return ATTEMPT_FAILED;
}

static void set_failure(const CharSocket *sock, GError **error)
{
    g_autofree char *name = char_address_name(sock->options->addr);

    error_set_errno(error, sock->failure, "cannot connect to '%s'", name);
}

static void connect_later(CharSocket *sock)
{
    timer_set(&sock->retry, loop_clock_ns() + sock->reconnect_ns);
}

/* All addresses have failed, on the loop. */
static void give_up(CharSocket *sock)
{
    g_autoptr(GError) error = NULL;

    set_failure(sock, &error);
    if (sock->chr.opening) {
        char_opened(&sock->chr, g_steal_pointer(&error));
        return;
    }
    if (!sock->complained)
        log_warn("chardev '%s': %s; it tries again", sock->chr.id, error->message);
    sock->complained = true;
    connect_later(sock);
}

static void on_connecting(void *opaque, uint32_t events)
{
    CharSocket *sock = opaque;
    int fd = sock->connecting.fd;
    socklen_t size = sizeof(int);
    int failure = 0;

    loop_fd_remove(&sock->connecting);
    char_enter(&sock->chr);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0) {
        char_socket_set_connected(sock, fd);
    } else {
        sock->failure = failure ? failure : errno;
        close(fd);
        if (connect_next(sock) == ATTEMPT_FAILED)
            give_up(sock);
    }
    char_leave(&sock->chr);
}

void char_client_yank(CharSocket *sock)
{
    if (!sock->connecting.loop)
        return;
    loop_fd_remove(&sock->connecting);
    close(sock->connecting.fd);
    sock->next_address = 0;
    sock->failure = ECONNABORTED;
    char_enter(&sock->chr);
    give_up(sock);
    char_leave(&sock->chr);
}

void char_client_on_retry(CharSocket *sock)
{
    char_enter(&sock->chr);
    if (connect_next(sock) == ATTEMPT_FAILED)
        give_up(sock);
    char_leave(&sock->chr);
}

void char_client_on_hangup(CharSocket *sock)
{
    if (sock->reconnect_ns > 0)
        connect_later(sock);
}

/* At the start: waits until an attempt has succeeded or all have failed. */
static bool connect_now(CharSocket *sock, GError **error)
{
    Attempt attempt = connect_next(sock);

    while (attempt == ATTEMPT_STARTED) {
        int fd = sock->connecting.fd;
        socklen_t size = sizeof(int);
        int failure = 0;

        if (!char_socket_wait(sock, fd, POLLOUT, error))
            return false;
        loop_fd_remove(&sock->connecting);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0) {
            char_socket_set_connected(sock, fd);
            return true;
        }
        sock->failure = failure ? failure : errno;
        close(fd);
        attempt = connect_next(sock);
    }
    if (attempt == ATTEMPT_FAILED)
        set_failure(sock, error);
    return attempt == ATTEMPT_CONNECTED;
}

bool char_client_open(CharSocket *sock, GError **error)
{
    loop_fd_init(&sock->connecting, -1, on_connecting, sock);
    if (sock->fd >= 0) {
        char_socket_set_connected(sock, sock->fd);
        return true;
    }
    if (sock->reconnect_ns == 0 && char_may_wait(&sock->chr))
        return connect_now(sock, error);
    switch (connect_next(sock)) {
    case ATTEMPT_CONNECTED:
        return true;
    case ATTEMPT_STARTED:
        sock->chr.opening = sock->reconnect_ns == 0;
        return true;
    case ATTEMPT_FAILED:
        break;
    }
    if (sock->reconnect_ns > 0)
        give_up(sock);
    else
        set_failure(sock, error);
    return sock->reconnect_ns > 0;
}

void char_client_close(CharSocket *sock)
{
    if (!sock->connecting.loop)
        return;
    loop_fd_remove(&sock->connecting);
    close(sock->connecting.fd);
}
