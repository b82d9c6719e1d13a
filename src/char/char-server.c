/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream socket that listens: one far end at a time, or for char_listen() any number
 * of them, each a chardev of its own.
 *
 *     LISTENING --accept--> CONNECTED --hangup--> LISTENING
 *
 * A server that has its client lets the next one wait in the backlog.  When the host
 * has no descriptor for a client, the server looks again after a second: the listening
 * descriptor would stay ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/un.h>

#include "berth/error.h"

#include "char-socket.h"

#define BACKLOG (CHAR_MAX_CLIENTS * 2)
#define ACCEPT_RETRY_NS NS_PER_SEC

/* Whether one more connection may be accepted now. */
static bool wants_clients(const CharSocket *sock)
{
    if (sock->accept)
        return sock->n_clients < CHAR_MAX_CLIENTS;
    return sock->fd < 0;
}

void char_server_update(CharSocket *sock)
{
    bool on = wants_clients(sock) && !timer_is_set(&sock->retry);

    if (sock->listening.loop)
        loop_fd_set_events(&sock->listening, on ? EPOLLIN : 0);
}

/* Takes @fd. */
static void add_client(CharSocket *sock, int fd)
{
    CharSocket *client = char_socket(char_new(sock->chr.set, sock->chr.class,
                                              sock->chr.id));

    client->fd = -1;
    client->listen_fd = -1;
    client->listener = sock;
    client->facts = sock->facts;
    list_init(&client->clients);
    timer_init(&client->retry, sock->chr.loop, NULL, client);
    if (sock->chr.log_fd >= 0)
        client->chr.log_fd = fcntl(sock->chr.log_fd, F_DUPFD_CLOEXEC, 0);
    client->chr.log_is_file = sock->chr.log_is_file;
    list_append(&sock->clients, &client->chr.node);
    sock->n_clients++;
    char_socket_set_connected(client, fd);
    char_server_update(sock);
    sock->accept(sock->accept_opaque, &client->chr);
}

static void look_later(CharSocket *sock)
{
    if (log_limit_pass(&sock->chr.log_limit, NULL))
        log_warn("chardev '%s': cannot accept a client: %s", sock->chr.id,
                 error_text(errno));
    timer_set(&sock->retry, loop_clock_ns() + ACCEPT_RETRY_NS);
    char_server_update(sock);
}

static void on_listening(void *opaque, uint32_t events)
{
    CharSocket *sock = opaque;
    int fd = accept4(sock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            look_later(sock);
        return;
    }
    char_enter(&sock->chr);
    if (sock->accept)
        add_client(sock, fd);
    else
        char_socket_set_connected(sock, fd);
    char_leave(&sock->chr);
}

void char_server_on_retry(CharSocket *sock)
{
    char_server_update(sock);
}

/* A socket file that nobody listens on any more is replaced; any other file is not. */
static void remove_stale(const struct sockaddr_un *un)
{
    struct stat stat;

    if (lstat(un->sun_path, &stat) == 0 && S_ISSOCK(stat.st_mode))
        unlink(un->sun_path);
}

static bool keep_made_file(CharSocket *sock, const struct sockaddr_un *un)
{
    if (lstat(un->sun_path, &sock->made) < 0)
        return false;
    /* -daemonize changes the directory. */
    sock->made_path = realpath(un->sun_path, NULL);
    return true;
}

bool char_server_parse_mode(const char *text, mode_t *ret_mode)
{
    size_t digits = strspn(text, "01234567");
    const char *number = text + strspn(text, "0");

    if (digits == 0 || text[digits] || strlen(number) > 3)
        return false;
    *ret_mode = (mode_t)g_ascii_strtoull(text, NULL, 8);
    return true;
}

/* The file gets the rights that the socket has, less the umask's. */
static bool bind_with_mode(int fd, const struct sockaddr_un *un, socklen_t size,
                           const char *text)
{
    mode_t mode, mask;
    int result;

    if (!char_server_parse_mode(text, &mode) || fchmod(fd, mode) < 0)
        return false;
    mask = umask(0);
    result = bind(fd, (const struct sockaddr *)un, size);
    umask(mask);
    return result == 0;
}

static bool bind_file(const ChardevSocket *options, int fd, const struct sockaddr_un *un,
                      socklen_t size)
{
    uid_t uid = options->has_uid ? options->uid : (uid_t)-1;
    gid_t gid = options->has_gid ? options->gid : (gid_t)-1;
    int failure;

    if (options->mode ? !bind_with_mode(fd, un, size, options->mode)
                      : bind(fd, (const struct sockaddr *)un, size) < 0)
        return false;
    if ((!options->has_uid && !options->has_gid) || lchown(un->sun_path, uid, gid) == 0)
        return true;
    failure = errno;
    unlink(un->sun_path);
    errno = failure;
    return false;
}

static int bind_and_listen(CharSocket *sock, const CharAddress *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    bool is_file = un->sun_family == AF_UNIX && un->sun_path[0] != '\0';
    int only_ipv6 = address->only_ipv6, on = 1;
    g_autofd int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC,
                             address->protocol);

    if (fd < 0)
        return -1;
    if (is_file)
        remove_stale(un);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->storage.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof(only_ipv6));
    if (is_file ? !bind_file(sock->options, fd, un, address->size)
                : bind(fd, (const struct sockaddr *)un, address->size) < 0)
        return -1;
    if (listen(fd, BACKLOG) < 0 || (is_file && !keep_made_file(sock, un)))
        return -1;
    return autofd_steal(&fd);
}

/* How many ports after the first one may be tried. */
static unsigned n_more_ports(const SocketAddressLegacy *addr)
{
    const InetSocketAddress *inet = addr->u.inet.data;

    if (addr->type != SOCKET_ADDRESS_TYPE_INET || !inet->has_to)
        return 0;
    return inet->to - (unsigned)g_ascii_strtoull(inet->port, NULL, 10);
}

static bool listen_on_address(CharSocket *sock, GError **error)
{
    unsigned n_ports = n_more_ports(sock->options->addr) + 1;
    g_autofree char *name = char_address_name(sock->options->addr);

    for (guint i = 0; i < sock->addresses->len; i++) {
        CharAddress address = g_array_index(sock->addresses, CharAddress, i);

        for (unsigned port = 0; port < n_ports; port++) {
            sock->listen_fd = bind_and_listen(sock, &address);
            if (sock->listen_fd >= 0)
                return true;
            char_address_next_port(&address);
        }
    }
    error_set_errno(error, errno, "cannot listen on '%s'", name);
    return false;
}

static bool wait_for_client(CharSocket *sock, GError **error)
{
    g_autofree char *name = sock->chr.class->filename(&sock->chr);
    int fd = -1;

    log_warn("chardev '%s' waits for a connection on %s (wait=off would not)",
             sock->chr.id, name);
    while (fd < 0) {
        if (!char_socket_wait(sock, sock->listen_fd, POLLIN, error))
            return false;
        fd = accept4(sock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            error_set_errno(error, errno, "cannot accept a client");
            return false;
        }
    }
    char_socket_set_connected(sock, fd);
    return true;
}

bool char_server_open(CharSocket *sock, GError **error)
{
    if (sock->listen_fd < 0 && !listen_on_address(sock, error))
        return false;
    char_socket_set_up_fd(sock, sock->listen_fd);
    loop_fd_init(&sock->listening, sock->listen_fd, on_listening, sock);
    if (!loop_fd_add(sock->chr.loop, &sock->listening, 0, error))
        return false;
    if (sock->options->wait && !char_may_wait(&sock->chr))
        sock->chr.opening = true;
    else if (sock->options->wait && !wait_for_client(sock, error))
        return false;
    char_server_update(sock);
    return true;
}

/* Only the file that we made: another server may have put its own in the place. */
static void remove_made_file(CharSocket *sock)
{
    struct stat stat;

    if (sock->made_path && lstat(sock->made_path, &stat) == 0 &&
        stat.st_ino == sock->made.st_ino && stat.st_dev == sock->made.st_dev)
        unlink(sock->made_path);
    g_clear_pointer(&sock->made_path, free);
}

void char_server_close(CharSocket *sock)
{
    g_assert(sock->n_clients == 0);
    loop_fd_remove(&sock->listening);
    base_close_fd(&sock->listen_fd);
    remove_made_file(sock);
    if (sock->listener) {
        sock->listener->n_clients--;
        char_server_update(sock->listener);
    }
    sock->listener = NULL;
}

/* A client that came before, with wait=on, becomes the first of many. */
void char_server_listen(Chardev *chr, CharAcceptFn *accept, void *opaque)
{
    CharSocket *sock = char_socket(chr);
    int fd = sock->fd;

    g_assert(sock->n_clients == 0);
    sock->accept = accept;
    sock->accept_opaque = opaque;
    if (accept && fd >= 0) {
        sock->fd = -1;
        char_stream_close(chr);
        add_client(sock, fd);
    }
    char_server_update(sock);
}
