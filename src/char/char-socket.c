/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream sockets: the connection, which is the same for a server and a client, and the
 * class.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "berth/error.h"

#include "char-socket.h"

static int64_t reconnect_ns(const ChardevSocket *options)
{
    return options->has_reconnect ? options->reconnect * NS_PER_SEC
                                  : options->reconnect_ms * NS_PER_MS;
}

bool char_socket_is_unix(int fd)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof(storage);

    return getsockname(fd, (struct sockaddr *)&storage, &size) == 0 &&
           storage.ss_family == AF_UNIX;
}

static bool keeps_alive(const ChardevSocket *options)
{
    return options->addr->type == SOCKET_ADDRESS_TYPE_INET &&
           options->addr->u.inet.data->keep_alive;
}

void char_socket_set_up_fd(const CharSocket *sock, int fd)
{
    int on = 1;

    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (sock->facts->nodelay && !char_socket_is_unix(fd))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (keeps_alive(sock->facts))
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void greet(CharSocket *sock)
{
    size_t size;
    const uint8_t *greeting = char_telnet_greeting(&size);

    sock->telnet = (CharTelnet){ 0 };
    sock->iac_half_sent = false;
    /* The first bytes of a connection: there is room for them. */
    if (send(sock->fd, greeting, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
}

void char_socket_set_connected(CharSocket *sock, int fd)
{
    char_socket_set_up_fd(sock, fd);
    sock->fd = fd;
    sock->next_address = 0;
    sock->complained = false;
    char_server_update(sock);
    if (sock->facts->telnet)
        greet(sock);
    char_stream_open(&sock->chr, fd, fd);
    if (sock->chr.opening)
        char_opened(&sock->chr, NULL);
}

bool char_socket_wait(const CharSocket *sock, int fd, short events, GError **error)
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
        char_passed_fd_keep(chr, &message);
    return n;
}

static void socket_deliver(Chardev *chr, uint8_t *data, size_t size)
{
    CharSocket *sock = char_socket(chr);

    if (!sock->facts->telnet) {
        chr->user->read(chr->opaque, data, size);
        return;
    }
    /* The user may leave in each of its callbacks. */
    for (size_t at = 0; at < size && chr->user;) {
        bool is_break;
        size_t n;

        size_t looked_at = char_telnet_decode(&sock->telnet, data + at, size - at, &n,
                                              &is_break);
        if (n > 0)
            chr->user->read(chr->opaque, data + at, n);
        if (is_break)
            char_send_event(chr, CHAR_EVENT_BREAK);
        at += looked_at;
    }
}

static ssize_t send_plain(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A byte 0xff that is data goes as two; it counts as sent when both have been. */
static ssize_t send_iac(CharSocket *sock, int fd)
{
    static const uint8_t twice[] = { TELNET_IAC, TELNET_IAC };
    size_t half = sock->iac_half_sent;
    ssize_t n = send_plain(fd, twice, sizeof(twice) - half);

    if (n < 0)
        return n;
    sock->iac_half_sent = n + half < sizeof(twice);
    if (!sock->iac_half_sent)
        return 1;
    errno = EAGAIN;
    return -1;
}

static ssize_t socket_send(Chardev *chr, int fd, const void *data, size_t size)
{
    CharSocket *sock = char_socket(chr);
    const uint8_t *iac;

    if (!sock->facts->telnet)
        return send_plain(fd, data, size);
    iac = memchr(data, TELNET_IAC, size);
    if (iac == data)
        return send_iac(sock, fd);
    return send_plain(fd, data, iac ? (size_t)(iac - (const uint8_t *)data) : size);
}

static void on_retry(void *opaque)
{
    CharSocket *sock = opaque;

    if (sock->listen_fd >= 0)
        char_server_on_retry(sock);
    else
        char_client_on_retry(sock);
}

static void socket_hangup(Chardev *chr)
{
    CharSocket *sock = char_socket(chr);

    char_stream_close(chr);
    base_close_fd(&sock->fd);
    char_passed_fd_drop(chr);
    if (chr->free_later)
        return;
    char_server_update(sock);
    char_client_on_hangup(sock);
}

/* What is there for QEMU's sake, and why not here. */
static const char *refusal_of(const ChardevSocket *options)
{
    if (options->tls_creds || options->tls_authz)
        return "parameter 'tls-creds': there is no TLS; let a proxy beside berth do it, "
               "which speaks to a unix socket";
    if (options->tn3270)
        return "parameter 'tn3270': that protocol is not spoken";
    if (options->websocket)
        return "parameter 'websocket': that protocol is not spoken";
    return NULL;
}

static bool has_file(const SocketAddressLegacy *addr)
{
    return addr->type == SOCKET_ADDRESS_TYPE_UNIX &&
           !(addr->u.q_unix.data->has_abstract && addr->u.q_unix.data->abstract);
}

static bool check_options(const ChardevSocket *options, GError **error)
{
    bool again = options->has_reconnect || options->has_reconnect_ms;
    bool has_rights = options->mode || options->has_uid || options->has_gid;
    SocketAddressType type = options->addr->type;
    const char *wrong = refusal_of(options);
    mode_t mode;

    if (options->nodelay &&
        (type == SOCKET_ADDRESS_TYPE_UNIX || type == SOCKET_ADDRESS_TYPE_VSOCK))
        wrong = "parameter 'nodelay' is only for TCP";
    else if (options->wait && !options->server)
        wrong = "parameter 'wait' is only for server=on";
    else if (again && options->server)
        wrong = "parameters 'reconnect' and 'reconnect-ms' are only for server=off";
    else if (options->has_reconnect && options->has_reconnect_ms)
        wrong = "parameters 'reconnect' and 'reconnect-ms' are the same";
    else if (again && type == SOCKET_ADDRESS_TYPE_FD)
        wrong = "parameters 'reconnect' and 'reconnect-ms' are not for 'fd'";
    else if (has_rights && (!options->server || !has_file(options->addr)))
        wrong = "parameters 'mode', 'uid' and 'gid' are only for the file of a server";
    else if (options->mode && !char_server_parse_mode(options->mode, &mode))
        wrong = "parameter 'mode' expects up to three octal digits";
    if (wrong)
        error_set(error, "%s", wrong);
    return !wrong;
}

static bool find_addresses(CharSocket *sock, GError **error)
{
    CharAddressUse use = {
        .type = SOCK_STREAM,
        .passive = sock->options->server,
        .may_wait = char_may_wait(&sock->chr),
    };

    if (sock->options->addr->type == SOCKET_ADDRESS_TYPE_FD)
        return char_passed_fd_take(sock, error);
    sock->addresses = char_address_find(sock->options->addr, &use, error);
    return sock->addresses != NULL;
}

static bool socket_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    CharSocket *sock = char_socket(chr);

    sock->fd = -1;
    sock->listen_fd = -1;
    list_init(&sock->clients);
    timer_init(&sock->retry, chr->loop, on_retry, sock);
    if (!check_options(backend->u.socket.data, error))
        return false;
    sock->options = qapi_clone_ChardevSocket(backend->u.socket.data);
    sock->facts = sock->options;
    sock->reconnect_ns = reconnect_ns(sock->options);
    if (!find_addresses(sock, error))
        return false;
    return sock->options->server ? char_server_open(sock, error)
                                 : char_client_open(sock, error);
}

static void socket_close(Chardev *chr)
{
    CharSocket *sock = char_socket(chr);

    char_stream_close(chr);
    timer_cancel(&sock->retry);
    char_client_close(sock);
    char_server_close(sock);
    base_close_fd(&sock->fd);
    g_clear_pointer(&sock->addresses, g_array_unref);
    g_clear_pointer(&sock->options, qapi_free_ChardevSocket);
}

/* The loop sees the end of each connection. */
static void socket_yank(Chardev *chr)
{
    CharSocket *sock = char_socket(chr);

    if (sock->fd >= 0)
        shutdown(sock->fd, SHUT_RDWR);
    char_client_yank(sock);
    LIST_FOREACH(node, &sock->clients)
        socket_yank(CONTAINER_OF(node, Chardev, node));
}

static bool socket_can_listen(const Chardev *chr)
{
    return char_socket(chr)->listen_fd >= 0;
}

static bool socket_is_listener(const Chardev *chr)
{
    return char_socket(chr)->accept != NULL;
}

static char *socket_filename(const Chardev *chr)
{
    const CharSocket *sock = char_socket(chr);
    const SocketAddressLegacy *addr = sock->facts->addr;
    const char *protocol = sock->facts->telnet ? "telnet" : "tcp";
    g_autofree char *text = NULL;

    if (sock->fd >= 0)
        return char_address_describe_fd(sock->fd, addr, protocol, sock->facts->server);
    if (sock->n_clients > 0 && char_socket_is_unix(sock->listen_fd))
        return char_address_describe_fd(sock->listen_fd, addr, protocol, true);
    if (sock->listen_fd >= 0 && addr->type == SOCKET_ADDRESS_TYPE_INET)
        text = char_address_describe_local(sock->listen_fd, protocol);
    else
        text = char_address_describe(addr, protocol, sock->facts->server);
    return g_strconcat("disconnected:", text, NULL);
}

const CharClass char_socket_class = {
    .name = "socket",
    .instance_size = sizeof(CharSocket),
    .open = socket_open,
    .close = socket_close,
    .filename = socket_filename,
    .hangup = socket_hangup,
    .has_client = true,
    .receive = socket_receive,
    .deliver = socket_deliver,
    .send = socket_send,
    .yank = socket_yank,
    .can_listen = socket_can_listen,
    .listen = char_server_listen,
    .is_listener = socket_is_listener,
};
