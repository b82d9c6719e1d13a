/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream sockets, unix(7) and tcp(7): server and client, one far end at a time, or for
 * char_listen() any number of them, each a chardev of its own.
 *
 *     server   LISTENING --accept--> CONNECTED --hangup--> LISTENING
 *     client   CONNECTING --connected--> CONNECTED --hangup--> WAITING (or the end)
 *                  ^--------------- timer "reconnect" --- failed --^
 *
 * A server that has its client lets the next one wait in the backlog.  When the host
 * has no descriptor for a client, the server looks again after a second: the listening
 * descriptor would stay ready.
 *
 * Names of hosts are looked up once, when the chardev is made, and never on a running
 * loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "berth/error.h"
#include "berth/timer.h"

#include "char-address.h"
#include "char-private.h"

#define BACKLOG (CHAR_MAX_CLIENTS * 2)
#define ACCEPT_RETRY_NS NS_PER_SEC

typedef struct CharSocket {
    Chardev chr;
    ChardevSocket *options;
    GArray *addresses;          /* of CharAddress; NULL for a passed descriptor */
    guint next_address;

    int fd;                     /* of the far end, or -1 */
    int listen_fd;
    LoopFd listening;
    LoopFd connecting;
    int64_t reconnect_ns;       /* 0: never */
    Timer retry;
    struct stat made;           /* the socket file that we made */
    char *made_path;            /* absolute; NULL: none */

    CharAcceptFn *accept;       /* of char_listen() */
    void *accept_opaque;
    unsigned n_clients;
    struct CharSocket *listener;        /* of a client; NULL otherwise */
} CharSocket;

static CharSocket *to_socket(const Chardev *chr)
{
    return CONTAINER_OF(chr, CharSocket, chr);
}

static bool is_unix(int fd)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof(storage);

    return getsockname(fd, (struct sockaddr *)&storage, &size) == 0 &&
           storage.ss_family == AF_UNIX;
}

static void set_up_fd(const CharSocket *sock, int fd)
{
    int on = 1;

    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (sock->options && sock->options->nodelay && !is_unix(fd))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void drop_fds(Chardev *chr)
{
    while (chr->n_fds > 0)
        close(chr->fds[--chr->n_fds]);
}

static void keep_fds(Chardev *chr, struct msghdr *message)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        size_t n_fds = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n_fds; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof(int));
            if (chr->n_fds < CHAR_MAX_FDS) {
                chr->fds[chr->n_fds++] = fd;
                continue;
            }
            close(fd);
            if (log_limit_pass(&chr->log_limit, NULL))
                log_warn("chardev '%s': more than %d descriptors wait: one was closed",
                         chr->id, CHAR_MAX_FDS);
        }
    }
}

static ssize_t socket_receive(Chardev *chr, void *data, size_t size)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * CHAR_MAX_FDS)];
    } control;
    struct iovec iov = { .iov_base = data, .iov_len = size };
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.space,
        .msg_controllen = sizeof(control.space),
    };
    ssize_t n = recvmsg(chr->in.fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (n >= 0)
        keep_fds(chr, &message);
    return n;
}

static ssize_t socket_send(Chardev *chr, int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Whether one more connection may be accepted now. */
static bool wants_clients(const CharSocket *sock)
{
    if (sock->accept)
        return sock->n_clients < CHAR_MAX_CLIENTS;
    return sock->fd < 0;
}

static void update_listening(CharSocket *sock)
{
    bool on = wants_clients(sock) && !timer_is_set(&sock->retry);

    if (sock->listening.loop)
        loop_fd_set_events(&sock->listening, on ? EPOLLIN : 0);
}

/* Takes @fd. */
static void set_connected(CharSocket *sock, int fd)
{
    set_up_fd(sock, fd);
    sock->fd = fd;
    update_listening(sock);
    char_stream_open(&sock->chr, fd, fd);
}

/* Takes @fd. */
static void add_client(CharSocket *sock, int fd)
{
    CharSocket *client = to_socket(char_new(sock->chr.set, &char_socket_class,
                                            sock->chr.id));

    client->fd = -1;
    client->listen_fd = -1;
    client->listener = sock;
    timer_init(&client->retry, sock->chr.loop, NULL, client);
    if (sock->chr.log_fd >= 0)
        client->chr.log_fd = fcntl(sock->chr.log_fd, F_DUPFD_CLOEXEC, 0);
    client->chr.log_is_file = sock->chr.log_is_file;
    sock->n_clients++;
    set_up_fd(sock, fd);
    set_connected(client, fd);
    update_listening(sock);
    sock->accept(sock->accept_opaque, &client->chr);
}

static void on_listening(void *opaque, uint32_t events)
{
    CharSocket *sock = opaque;
    int fd = accept4(sock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (log_limit_pass(&sock->chr.log_limit, NULL))
                log_warn("chardev '%s': cannot accept a client: %s", sock->chr.id,
                         g_strerror(errno));
            timer_set(&sock->retry, loop_clock_ns() + ACCEPT_RETRY_NS);
            update_listening(sock);
        }
        return;
    }
    char_enter(&sock->chr);
    if (sock->accept)
        add_client(sock, fd);
    else
        set_connected(sock, fd);
    char_leave(&sock->chr);
}

static void connect_later(CharSocket *sock)
{
    sock->next_address = 0;
    timer_set(&sock->retry, loop_clock_ns() + sock->reconnect_ns);
}

/* Tries the addresses from the next one on; when all have failed, later again. */
static void connect_next(CharSocket *sock)
{
    while (sock->next_address < sock->addresses->len) {
        const CharAddress *address =
            &g_array_index(sock->addresses, CharAddress, sock->next_address++);
        int fd = socket(address->storage.ss_family,
                        SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
            continue;
        if (connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0) {
            sock->next_address = 0;
            set_connected(sock, fd);
            return;
        }
        if (errno == EINPROGRESS) {
            loop_fd_init(&sock->connecting, fd, sock->connecting.fn, sock);
            if (loop_fd_add(sock->chr.loop, &sock->connecting, EPOLLOUT, NULL))
                return;
        }
        close(fd);
    }
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
        sock->next_address = 0;
        set_connected(sock, fd);
    } else {
        close(fd);
        connect_next(sock);
    }
    char_leave(&sock->chr);
}

static void on_retry(void *opaque)
{
    CharSocket *sock = opaque;

    if (sock->listen_fd >= 0) {
        update_listening(sock);
        return;
    }
    char_enter(&sock->chr);
    connect_next(sock);
    char_leave(&sock->chr);
}

static void socket_hangup(Chardev *chr)
{
    CharSocket *sock = to_socket(chr);

    char_stream_close(chr);
    base_close_fd(&sock->fd);
    drop_fds(chr);
    if (chr->free_later)
        return;
    update_listening(sock);
    if (sock->reconnect_ns > 0)
        connect_later(sock);
}

/* A socket file that nobody listens on any more is replaced; any other file is not. */
static void remove_stale(const CharAddress *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    struct stat stat;

    if (un->sun_family == AF_UNIX && un->sun_path[0] != '\0' &&
        lstat(un->sun_path, &stat) == 0 && S_ISSOCK(stat.st_mode))
        unlink(un->sun_path);
}

static int bind_and_listen(CharSocket *sock, const CharAddress *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    g_autofd int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    remove_stale(address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address->storage, address->size) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -1;
    if (un->sun_family == AF_UNIX && un->sun_path[0] != '\0') {
        if (lstat(un->sun_path, &sock->made) < 0)
            return -1;
        /* -daemonize changes the directory. */
        sock->made_path = realpath(un->sun_path, NULL);
    }
    return autofd_steal(&fd);
}

static bool listen_on_address(CharSocket *sock, GError **error)
{
    const ChardevSocket *options = sock->options;
    g_autofree char *name = options->path ? g_strdup(options->path)
                                          : g_strdup_printf("%s:%s", options->host,
                                                            options->port);

    for (guint i = 0; i < sock->addresses->len && sock->listen_fd < 0; i++)
        sock->listen_fd = bind_and_listen(sock, &g_array_index(sock->addresses,
                                                               CharAddress, i));
    if (sock->listen_fd < 0)
        error_set_errno(error, errno, "cannot listen on '%s'", name);
    return sock->listen_fd >= 0;
}

static char *describe_options(const CharSocket *sock)
{
    const ChardevSocket *options = sock->options;
    g_autofree char *local = NULL;
    const char *server = options->server ? ",server=on" : "";

    if (options->fd)
        return g_strdup_printf("disconnected:fd:%s%s", options->fd, server);
    if (options->host && sock->listen_fd >= 0) {
        local = char_address_describe_local(sock->listen_fd, server);
        return g_strdup_printf("disconnected:tcp:%s", local);
    }
    if (options->host)
        return g_strdup_printf("disconnected:tcp:%s:%s%s", options->host, options->port,
                               server);
    return g_strdup_printf("disconnected:unix:%s%s%s", options->path,
                           options->abstract ? ",abstract=on" : "", server);
}

/*
 * Before the machine is made there is nothing else to be done than to wait for @fd, or
 * for the process to be told to end.
 */
static bool wait_for_fd(const CharSocket *sock, int fd, short events, GError **error)
{
    struct pollfd fds[] = {
        { .fd = fd, .events = events },
        { .fd = sock->chr.set->stop_fd, .events = POLLIN },
    };

    while (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
        if (errno != EINTR) {
            error_set_errno(error, errno, "cannot wait for the far end");
            return false;
        }
    }
    if (fds[1].revents)
        error_set(error, "a signal ended the wait for the far end");
    return !fds[1].revents;
}

static bool wait_for_client(CharSocket *sock, GError **error)
{
    g_autofree char *name = describe_options(sock);
    int fd = -1;

    log_warn("chardev '%s' waits for a connection on %s (wait=off would not)",
             sock->chr.id, name);
    while (fd < 0) {
        if (!wait_for_fd(sock, sock->listen_fd, POLLIN, error))
            return false;
        fd = accept4(sock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            error_set_errno(error, errno, "cannot accept a client");
            return false;
        }
    }
    set_connected(sock, fd);
    return true;
}

static bool start_server(CharSocket *sock, GError **error)
{
    bool wait = !sock->options->has_wait || sock->options->wait;

    if (sock->listen_fd < 0 && !listen_on_address(sock, error))
        return false;
    set_up_fd(sock, sock->listen_fd);
    loop_fd_init(&sock->listening, sock->listen_fd, on_listening, sock);
    if (!loop_fd_add(sock->chr.loop, &sock->listening, 0, error))
        return false;
    if (wait && !wait_for_client(sock, error))
        return false;
    update_listening(sock);
    return true;
}

/* 0, the errno of the connection, or -1 with @error when the wait was given up. */
static int connect_to(CharSocket *sock, const CharAddress *address, GError **error)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    g_autofd int fd = socket(address->storage.ss_family, type, 0);
    socklen_t size = sizeof(int);
    int failure = 0;

    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)&address->storage, address->size) < 0) {
        if (errno != EINPROGRESS)
            return errno;
        if (!wait_for_fd(sock, fd, POLLOUT, error))
            return -1;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0 || failure)
            return failure ? failure : errno;
    }
    set_connected(sock, autofd_steal(&fd));
    return 0;
}

static bool connect_now(CharSocket *sock, GError **error)
{
    int failure = ENOENT;

    for (guint i = 0; i < sock->addresses->len && failure > 0; i++)
        failure = connect_to(sock, &g_array_index(sock->addresses, CharAddress, i),
                             error);
    if (failure > 0)
        error_set_errno(error, failure, "cannot connect to '%s'",
                        sock->options->path ? sock->options->path : sock->options->host);
    return failure == 0;
}

static bool find_addresses(CharSocket *sock, GError **error)
{
    const ChardevSocket *options = sock->options;
    CharAddress address;

    if (options->host) {
        sock->addresses = char_address_resolve(options->host, options->port,
                                               options->server, error);
        return sock->addresses != NULL;
    }
    if (!char_address_set_unix(&address, options->path, options->abstract, error))
        return false;
    sock->addresses = g_array_new(false, false, sizeof(CharAddress));
    g_array_append_val(sock->addresses, address);
    return true;
}

static int socket_option(int fd, int name)
{
    socklen_t size = sizeof(int);
    int value;

    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

static bool take_passed_fd(CharSocket *sock, GError **error)
{
    const ChardevSocket *options = sock->options;
    CharSet *set = sock->chr.set;
    g_autofd int named_fd = -1;
    guint64 number;
    int fd;

    if (g_ascii_string_to_unsigned(options->fd, 10, 0, INT_MAX, &number, NULL))
        fd = number;
    else
        fd = named_fd = set->named_fd(set->named_fd_opaque, options->fd, error);
    if (fd < 0)
        return false;
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM) {
        error_set(error, "parameter 'fd' expects a stream socket, and '%s' is none",
                  options->fd);
        return false;
    }
    if (socket_option(fd, SO_ACCEPTCONN) != options->server) {
        error_set(error, "parameter 'fd': the socket '%s' is %s", options->fd,
                  options->server ? "not listening, as server=on expects"
                                  : "listening, which server=off does not expect");
        return false;
    }
    if (options->server)
        sock->listen_fd = fd;
    else
        sock->fd = fd;
    autofd_steal(&named_fd);
    return true;
}

static bool check_options(const ChardevSocket *options, GError **error)
{
    int n_addresses = !!options->path + !!options->host + !!options->fd;
    const char *wrong = NULL;

    if (n_addresses != 1 || !options->host != !options->port) {
        error_set(error, "a socket expects exactly one of 'path', 'host' with 'port', "
                  "and 'fd'");
        return false;
    }
    if (options->abstract && !options->path)
        wrong = "'abstract' is only for 'path'";
    else if (options->nodelay && options->path)
        wrong = "'nodelay' is only for 'host' and 'fd'";
    else if (options->has_wait && !options->server)
        wrong = "'wait' is only for server=on";
    else if ((options->has_reconnect || options->has_reconnect_ms) && options->server)
        wrong = "'reconnect' and 'reconnect-ms' are only for server=off";
    else if (options->has_reconnect && options->has_reconnect_ms)
        wrong = "'reconnect' and 'reconnect-ms' are the same";
    else if ((options->has_reconnect || options->has_reconnect_ms) && options->fd)
        wrong = "'reconnect' and 'reconnect-ms' are not for 'fd'";
    if (wrong)
        error_set(error, "parameter %s", wrong);
    return !wrong;
}

static bool socket_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    CharSocket *sock = to_socket(chr);
    const ChardevSocket *options = &backend->u.socket;

    sock->fd = -1;
    sock->listen_fd = -1;
    timer_init(&sock->retry, chr->loop, on_retry, sock);
    loop_fd_init(&sock->connecting, -1, on_connecting, sock);
    if (!check_options(options, error))
        return false;
    sock->options = qapi_clone_ChardevSocket(options);
    sock->reconnect_ns = options->has_reconnect ? options->reconnect * NS_PER_SEC
                                                : options->reconnect_ms * NS_PER_MS;
    if (options->fd ? !take_passed_fd(sock, error) : !find_addresses(sock, error))
        return false;
    if (options->server)
        return start_server(sock, error);
    if (sock->fd >= 0)
        set_connected(sock, sock->fd);
    else if (sock->reconnect_ns > 0)
        connect_next(sock);
    else
        return connect_now(sock, error);
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

static void socket_close(Chardev *chr)
{
    CharSocket *sock = to_socket(chr);

    g_assert(sock->n_clients == 0);
    char_stream_close(chr);
    timer_cancel(&sock->retry);
    if (sock->connecting.loop) {
        loop_fd_remove(&sock->connecting);
        close(sock->connecting.fd);
    }
    loop_fd_remove(&sock->listening);
    base_close_fd(&sock->listen_fd);
    base_close_fd(&sock->fd);
    remove_made_file(sock);
    if (sock->listener) {
        sock->listener->n_clients--;
        update_listening(sock->listener);
    }
    sock->listener = NULL;
    g_clear_pointer(&sock->addresses, g_array_unref);
    g_clear_pointer(&sock->options, qapi_free_ChardevSocket);
}

static bool socket_can_listen(const Chardev *chr)
{
    return to_socket(chr)->listen_fd >= 0;
}

/* A client that came before, with wait=on, becomes the first of many. */
static void socket_listen(Chardev *chr, CharAcceptFn *accept, void *opaque)
{
    CharSocket *sock = to_socket(chr);
    int fd = sock->fd;

    g_assert(sock->n_clients == 0);
    sock->accept = accept;
    sock->accept_opaque = opaque;
    if (accept && fd >= 0) {
        sock->fd = -1;
        char_stream_close(chr);
        add_client(sock, fd);
    }
    update_listening(sock);
}

static bool socket_is_listener(const Chardev *chr)
{
    return to_socket(chr)->accept != NULL;
}

static char *socket_filename(const Chardev *chr)
{
    const CharSocket *sock = to_socket(chr);

    if (sock->fd >= 0)
        return char_address_describe(sock->fd, sock->options->server,
                                     sock->options->path);
    if (sock->n_clients > 0 && is_unix(sock->listen_fd))
        return char_address_describe(sock->listen_fd, true, sock->options->path);
    return describe_options(sock);
}

const CharClass char_socket_class = {
    .name = "socket",
    .instance_size = sizeof(CharSocket),
    .open = socket_open,
    .close = socket_close,
    .filename = socket_filename,
    .hangup = socket_hangup,
    .receive = socket_receive,
    .send = socket_send,
    .can_listen = socket_can_listen,
    .listen = socket_listen,
    .is_listener = socket_is_listener,
};
