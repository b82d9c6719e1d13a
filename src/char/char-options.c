/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flat options of the command line, turned into the nested ones of QMP, which all
 * else works on.  What the nested shape cannot express (two addresses, a key of another
 * kind of address) is refused here.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/id.h"
#include "berth/json.h"

#include "char-private.h"

/* A key that goes with one kind of address. */
typedef struct AddressKey {
    const char *key;
    bool given;
    SocketAddressType type;
} AddressKey;

static void copy_log(void *to, const void *from)
{
    const ChardevCommon *options = from;
    ChardevCommon *common = to;

    common->logfile = g_strdup(options->logfile);
    common->has_logappend = options->has_logappend;
    common->logappend = options->logappend;
}

static ChardevFile *file_options(const ChardevFileOptions *options)
{
    ChardevFile *file = g_new0(ChardevFile, 1);

    copy_log(file, options);
    file->in = g_strdup(options->input_path);
    file->out = g_strdup(options->path);
    file->has_append = true;
    file->append = options->append;
    return file;
}

static bool check_address_keys(const ChardevSocketOptions *options,
                               SocketAddressType type, GError **error)
{
    static const char *const names[SOCKET_ADDRESS_TYPE__MAX] = {
        [SOCKET_ADDRESS_TYPE_INET] = "'host'",
        [SOCKET_ADDRESS_TYPE_UNIX] = "'path'",
    };
    const AddressKey keys[] = {
        { "abstract", options->has_abstract, SOCKET_ADDRESS_TYPE_UNIX },
        { "tight", options->has_tight, SOCKET_ADDRESS_TYPE_UNIX },
        { "to", options->has_to, SOCKET_ADDRESS_TYPE_INET },
        { "ipv4", options->has_ipv4, SOCKET_ADDRESS_TYPE_INET },
        { "ipv6", options->has_ipv6, SOCKET_ADDRESS_TYPE_INET },
        { "keep-alive", options->has_keep_alive, SOCKET_ADDRESS_TYPE_INET },
        { "mptcp", options->has_mptcp, SOCKET_ADDRESS_TYPE_INET },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (keys[i].given && keys[i].type != type) {
            error_set(error, "parameter '%s' is only for %s", keys[i].key,
                      names[keys[i].type]);
            return false;
        }
    }
    return true;
}

static InetSocketAddress *inet_address(const ChardevSocketOptions *options)
{
    InetSocketAddress *inet = g_new0(InetSocketAddress, 1);

    inet->host = g_strdup(options->host);
    inet->port = g_strdup(options->port);
    inet->has_to = options->has_to;
    inet->to = options->to;
    inet->has_ipv4 = options->has_ipv4;
    inet->ipv4 = options->ipv4;
    inet->has_ipv6 = options->has_ipv6;
    inet->ipv6 = options->ipv6;
    inet->keep_alive = options->keep_alive;
    inet->mptcp = options->mptcp;
    return inet;
}

static UnixSocketAddress *unix_address(const ChardevSocketOptions *options)
{
    UnixSocketAddress *un = g_new0(UnixSocketAddress, 1);

    un->path = g_strdup(options->path);
    un->abstract = options->abstract;
    un->tight = !options->has_tight || options->tight;
    return un;
}

static SocketAddressLegacy *socket_address(const ChardevSocketOptions *options,
                                           GError **error)
{
    int n_addresses = !!options->path + !!options->host + !!options->fd;
    g_autoptr(SocketAddressLegacy) addr = g_new0(SocketAddressLegacy, 1);

    if (n_addresses != 1 || !options->host != !options->port) {
        error_set(error, "a socket expects exactly one of 'path', 'host' with 'port', "
                  "and 'fd'");
        return NULL;
    }
    addr->type = options->path   ? SOCKET_ADDRESS_TYPE_UNIX
                 : options->host ? SOCKET_ADDRESS_TYPE_INET
                                 : SOCKET_ADDRESS_TYPE_FD;
    if (options->path) {
        addr->u.q_unix.data = unix_address(options);
    } else if (options->host) {
        addr->u.inet.data = inet_address(options);
    } else {
        addr->u.fd.data = g_new0(FdSocketAddress, 1);
        addr->u.fd.data->str = g_strdup(options->fd);
    }
    if (!check_address_keys(options, addr->type, error))
        return NULL;
    return g_steal_pointer(&addr);
}

static ChardevSocket *socket_options(const ChardevSocketOptions *options, GError **error)
{
    SocketAddressLegacy *addr = socket_address(options, error);
    ChardevSocket *sock;

    if (!addr)
        return NULL;
    if (options->has_wait && !options->server) {
        error_set(error, "parameter 'wait' is only for server=on");
        qapi_free_SocketAddressLegacy(addr);
        return NULL;
    }
    sock = g_new0(ChardevSocket, 1);
    copy_log(sock, options);
    sock->addr = addr;
    sock->tls_creds = g_strdup(options->tls_creds);
    sock->tls_authz = g_strdup(options->tls_authz);
    sock->server = options->server;
    sock->wait = options->server && (!options->has_wait || options->wait);
    sock->nodelay = options->nodelay;
    sock->telnet = options->telnet;
    sock->tn3270 = options->tn3270;
    sock->websocket = options->websocket;
    sock->has_reconnect = options->has_reconnect;
    sock->reconnect = options->reconnect;
    sock->has_reconnect_ms = options->has_reconnect_ms;
    sock->reconnect_ms = options->reconnect_ms;
    sock->mode = g_strdup(options->mode);
    sock->has_uid = options->has_uid;
    sock->uid = options->uid;
    sock->has_gid = options->has_gid;
    sock->gid = options->gid;
    return sock;
}

static ChardevHostdev *hostdev_options(const ChardevHostdevOptions *options)
{
    ChardevHostdev *hostdev = g_new0(ChardevHostdev, 1);

    copy_log(hostdev, options);
    hostdev->device = g_strdup(options->path);
    return hostdev;
}

static SocketAddressLegacy *udp_address(const ChardevUdpOptions *options,
                                        const char *host, const char *port)
{
    SocketAddressLegacy *addr = g_new0(SocketAddressLegacy, 1);
    InetSocketAddress *inet = g_new0(InetSocketAddress, 1);

    addr->type = SOCKET_ADDRESS_TYPE_INET;
    addr->u.inet.data = inet;
    inet->host = g_strdup(host);
    inet->port = g_strdup(port);
    inet->has_ipv4 = options->has_ipv4;
    inet->ipv4 = options->ipv4;
    inet->has_ipv6 = options->has_ipv6;
    inet->ipv6 = options->ipv6;
    return addr;
}

static ChardevUdp *udp_options(const ChardevUdpOptions *options)
{
    ChardevUdp *udp = g_new0(ChardevUdp, 1);
    const char *localaddr = options->localaddr ? options->localaddr : "";
    const char *localport = options->localport ? options->localport : "0";

    copy_log(udp, options);
    udp->remote = udp_address(options, *options->host ? options->host : "localhost",
                              options->port);
    if (options->localaddr || options->localport)
        udp->local = udp_address(options, localaddr, *localport ? localport : "0");
    return udp;
}

/* What the command line spells as QMP does. */
static void copy_options(const ChardevOptions *options, ChardevBackend *backend)
{
    switch (options->backend) {
    case CHARDEV_BACKEND_KIND_NULL:
        backend->u.null.data = qapi_clone_ChardevCommon(&options->u.null);
        break;
    case CHARDEV_BACKEND_KIND_STDIO:
        backend->u.stdio.data = qapi_clone_ChardevStdio(&options->u.stdio);
        break;
    case CHARDEV_BACKEND_KIND_PTY:
        backend->u.pty.data = qapi_clone_ChardevPty(&options->u.pty);
        break;
    case CHARDEV_BACKEND_KIND_RINGBUF:
    case CHARDEV_BACKEND_KIND_MEMORY:
        backend->u.ringbuf.data = qapi_clone_ChardevRingbuf(&options->u.ringbuf);
        break;
    case CHARDEV_BACKEND_KIND_MUX:
        backend->u.mux.data = qapi_clone_ChardevMux(&options->u.mux);
        break;
    case CHARDEV_BACKEND_KIND_HUB:
        backend->u.hub.data = qapi_clone_ChardevHub(&options->u.hub);
        break;
    case CHARDEV_BACKEND_KIND_FILE:
        backend->u.file.data = file_options(&options->u.file);
        break;
    case CHARDEV_BACKEND_KIND_PIPE:
    case CHARDEV_BACKEND_KIND_SERIAL:
        backend->u.pipe.data = hostdev_options(&options->u.pipe);
        break;
    case CHARDEV_BACKEND_KIND_UDP:
        backend->u.udp.data = udp_options(&options->u.udp);
        break;
    case CHARDEV_BACKEND_KIND_SOCKET:
        break;
    }
}

ChardevBackend *char_options_backend(const ChardevOptions *options, GError **error)
{
    g_autoptr(ChardevBackend) backend = g_new0(ChardevBackend, 1);

    backend->type = options->backend;
    copy_options(options, backend);
    if (options->backend == CHARDEV_BACKEND_KIND_SOCKET) {
        backend->u.socket.data = socket_options(&options->u.socket, error);
        if (!backend->u.socket.data)
            return NULL;
    }
    return g_steal_pointer(&backend);
}

JsonValue *char_options_modernise(const JsonValue *pairs)
{
    static const char *const keys[] = { "wait", "ipv4", "ipv6", "telnet" };
    JsonValue *modern = json_new_object();
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(pairs, &iter, &key, &value)) {
        const char *positive = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
            if (g_str_has_prefix(key, "no") && strcmp(key + strlen("no"), keys[i]) == 0 &&
                g_strcmp0(json_as_string(value), "on") == 0)
                positive = keys[i];
        }
        if (positive)
            json_set(modern, positive, json_new_string("off"));
        else
            json_set(modern, key, json_ref(value));
    }
    return modern;
}

/* @backend as "ID-base" and a mux on it. */
static Chardev *add_muxed(CharSet *set, const char *id, const ChardevBackend *backend,
                          GError **error)
{
    g_autofree char *base = g_strconcat(id, "-base", NULL);
    ChardevMux options = { .chardev = base };
    ChardevBackend mux = {
        .type = CHARDEV_BACKEND_KIND_MUX,
        .u.mux.data = &options,
    };
    Chardev *chr;

    if (!id_check(id, "id", error) || !char_add(set, base, backend, error))
        return NULL;
    chr = char_add(set, id, &mux, error);
    if (!chr)
        char_remove(set, base, NULL);
    return chr;
}

Chardev *char_options_add(CharSet *set, const ChardevOptions *options, GError **error)
{
    g_autoptr(ChardevBackend) backend = char_options_backend(options, error);

    if (!backend)
        return NULL;
    return options->mux ? add_muxed(set, options->id, backend, error)
                        : char_add(set, options->id, backend, error);
}
