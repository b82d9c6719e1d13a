/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams, udp(7): each piece of output is one, and the input is the bytes of those
 * that come from the one address that output goes to; the kernel keeps the rest out,
 * since the socket is connected.
 *
 * Nothing is buffered and nothing is refused: what the kernel does not take now is lost,
 * as on the way it may be.  That nobody is there is told by ICMP, as an error of the
 * socket that has to be taken off it, and changes nothing.
 *
 * A datagram has to be read as a whole.  What the user does not take of it waits; then no
 * more are read, and the kernel drops what does not fit the socket's buffer.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/error.h"

#include "char-address.h"
#include "char-private.h"

/* More in one would be sent in fragments on an Ethernet. */
#define DATAGRAM_SIZE 1400
#define DATAGRAM_MAX 65536

typedef struct CharUdp {
    Chardev chr;
    int fd;
    GByteArray *left;           /* of the last datagram; NULL: nothing */
} CharUdp;

static CharUdp *to_udp(const Chardev *chr)
{
    return CONTAINER_OF(chr, CharUdp, chr);
}

static GArray *find(const Chardev *chr, const SocketAddressLegacy *addr, bool passive,
                    GError **error)
{
    const CharAddressUse use = {
        .type = SOCK_DGRAM,
        .passive = passive,
        .may_wait = char_may_wait(chr),
    };

    if (addr->type == SOCKET_ADDRESS_TYPE_INET)
        return char_address_find(addr, &use, error);
    error_set(error, "parameter '%s' expects an address of type 'inet'",
              passive ? "local" : "remote");
    return NULL;
}

/* The socket at the first of @locals (NULL: anywhere) that has the family; -1 is none. */
static int bind_socket(int family, const GArray *locals)
{
    g_autofd int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0 || !locals)
        return autofd_steal(&fd);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    errno = EAFNOSUPPORT;
    for (guint i = 0; i < locals->len; i++) {
        const CharAddress *local = &g_array_index(locals, CharAddress, i);

        if (local->storage.ss_family == family &&
            bind(fd, (const struct sockaddr *)&local->storage, local->size) == 0)
            return autofd_steal(&fd);
    }
    return -1;
}

/* From before the socket was connected: it may be from anyone. */
static void drop_early_input(int fd)
{
    char data[1];

    for (int i = 0; i < 1000 && recv(fd, data, sizeof(data), 0) >= 0; i++)
        ;
}

static int connect_socket(const GArray *remotes, const GArray *locals)
{
    for (guint i = 0; i < remotes->len; i++) {
        const CharAddress *remote = &g_array_index(remotes, CharAddress, i);
        g_autofd int fd = bind_socket(remote->storage.ss_family, locals);

        if (fd < 0 || connect(fd, (const struct sockaddr *)&remote->storage,
                              remote->size) < 0)
            continue;
        drop_early_input(fd);
        return autofd_steal(&fd);
    }
    return -1;
}

static bool udp_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    const ChardevUdp *options = backend->u.udp.data;
    CharUdp *udp = to_udp(chr);
    g_autoptr(GArray) remotes = NULL;
    g_autoptr(GArray) locals = NULL;

    udp->fd = -1;
    remotes = find(chr, options->remote, false, error);
    if (!remotes)
        return false;
    if (options->local) {
        locals = find(chr, options->local, true, error);
        if (!locals)
            return false;
    }
    udp->fd = connect_socket(remotes, locals);
    if (udp->fd < 0) {
        g_autofree char *name = char_address_name(options->remote);

        error_set_errno(error, errno, "cannot make a socket for '%s'", name);
        return false;
    }
    char_stream_open(chr, udp->fd, udp->fd);
    return true;
}

static void drop_left(CharUdp *udp)
{
    if (udp->left)
        g_byte_array_unref(udp->left);
    udp->left = NULL;
}

static void udp_close(Chardev *chr)
{
    char_stream_close(chr);
    base_close_fd(&to_udp(chr)->fd);
    drop_left(to_udp(chr));
}

static bool read_datagram(CharUdp *udp)
{
    ssize_t n;

    udp->left = g_byte_array_sized_new(DATAGRAM_MAX);
    n = recv(udp->fd, udp->left->data, DATAGRAM_MAX, 0);
    if (n <= 0) {
        drop_left(udp);
        return false;
    }
    g_byte_array_set_size(udp->left, n);
    return true;
}

static ssize_t udp_receive(Chardev *chr, void *data, size_t size)
{
    CharUdp *udp = to_udp(chr);

    /* Neither an empty one nor an error is the end. */
    if (!udp->left && !read_datagram(udp)) {
        errno = EAGAIN;
        return -1;
    }
    size = MIN(size, udp->left->len);
    memcpy(data, udp->left->data, size);
    if (size == udp->left->len)
        drop_left(udp);
    else
        g_byte_array_remove_range(udp->left, 0, size);
    return size;
}

static bool udp_has_input(const Chardev *chr)
{
    return to_udp(chr)->left != NULL;
}

static ssize_t udp_send(Chardev *chr, int fd, const void *data, size_t size)
{
    size_t part = MIN(size, DATAGRAM_SIZE);

    /* An error that an earlier one has caused comes first, once. */
    for (int i = 0; i < 2; i++) {
        if (send(fd, data, part, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            break;
    }
    return part;
}

static void udp_on_error(Chardev *chr)
{
    socklen_t size = sizeof(int);
    int ignored;

    getsockopt(to_udp(chr)->fd, SOL_SOCKET, SO_ERROR, &ignored, &size);
}

const CharClass char_udp_class = {
    .name = "udp",
    .instance_size = sizeof(CharUdp),
    .open = udp_open,
    .close = udp_close,
    .receive = udp_receive,
    .has_input = udp_has_input,
    .send = udp_send,
    .on_error = udp_on_error,
};
