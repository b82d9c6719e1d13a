/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the sockets that frames go through.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "berth/error.h"

#include "net-address.h"

static bool find_unix(const UnixSocketAddress *options, const char *parameter,
                      NetAddress *address, GError **error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t length = strlen(options->path);

    if (length == 0 || length + 1 > sizeof(un->sun_path)) {
        error_set(error, "parameter '%s.path' expects 1 to %zu bytes", parameter,
                  sizeof(un->sun_path) - 1);
        return false;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + options->abstract, options->path, length);
    address->size = (socklen_t)(options->abstract && !options->tight
        ? sizeof(*un) : offsetof(struct sockaddr_un, sun_path) + length + 1);
    return true;
}

static bool find_numbers(const char *host, const char *port, struct addrinfo *hints,
                         NetAddress *address)
{
    struct addrinfo *found;
    uint64_t number;

    /* The resolver would cut a number to 16 bits. */
    if (!g_ascii_string_to_unsigned(port, 10, 0, UINT16_MAX, &number, NULL))
        return false;
    if (strcmp(host, "localhost") == 0) {
        host = "";
        hints->ai_flags &= ~AI_PASSIVE;
    }
    hints->ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
    /* Without a host there would be an address of each family. */
    if (!*host && hints->ai_family == AF_UNSPEC)
        hints->ai_family = AF_INET;
    if (getaddrinfo(*host ? host : NULL, port, hints, &found) != 0)
        return false;
    memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
    address->size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static int family_of(const InetSocketAddress *options)
{
    if (options->has_ipv4)
        return options->ipv4 ? AF_INET : AF_INET6;
    if (options->has_ipv6)
        return options->ipv6 ? AF_INET6 : AF_INET;
    return AF_UNSPEC;
}

static bool find_inet(const InetSocketAddress *options, const char *parameter,
                      struct addrinfo *hints, NetAddress *address, GError **error)
{
    const char *refused = options->has_to ? "to" : options->mptcp ? "mptcp" : NULL;

    if (refused) {
        error_set(error, "parameter '%s.%s' is not for frames", parameter, refused);
        return false;
    }
    hints->ai_family = family_of(options);
    if (find_numbers(options->host, options->port, hints, address))
        return true;
    error_set(error, "parameter '%s' expects numbers of a host and a port, not '%s' "
              "and '%s'", parameter, options->host, options->port);
    return false;
}

bool net_address_find(const SocketAddress *options, const char *parameter, int type,
                      bool passive, NetAddress *ret_address, GError **error)
{
    struct addrinfo hints = {
        .ai_socktype = type, .ai_flags = passive ? AI_PASSIVE : 0,
    };

    *ret_address = (NetAddress) { 0 };
    if (options->type == SOCKET_ADDRESS_TYPE_UNIX)
        return find_unix(&options->u.q_unix, parameter, ret_address, error);
    if (options->type == SOCKET_ADDRESS_TYPE_INET)
        return find_inet(&options->u.inet, parameter, &hints, ret_address, error);
    error_set(error, "parameter '%s.type': '%s' cannot be used here", parameter,
              SocketAddressType_str(options->type));
    return false;
}

bool net_address_parse(const char *text, const char *parameter, int type, bool passive,
                       NetAddress *ret_address, GError **error)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = type,
        .ai_flags = passive ? AI_PASSIVE : 0,
    };
    const char *colon = strrchr(text, ':');
    bool has_brackets = colon && text[0] == '[' && colon > text && colon[-1] == ']';
    g_autofree char *host = !colon ? NULL
        : has_brackets ? g_strndup(text + 1, (gsize)(colon - text) - 2)
                       : g_strndup(text, (gsize)(colon - text));

    *ret_address = (NetAddress) { 0 };
    if (host && colon[1] && (has_brackets || !strchr(host, ':')) &&
        find_numbers(host, colon + 1, &hints, ret_address))
        return true;
    error_set(error, "parameter '%s' expects HOST:PORT as numbers, not '%s'", parameter,
              text);
    return false;
}

bool net_address_is_multicast(const NetAddress *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;

    return in->sin_family == AF_INET && IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

static SocketAddress *tell_unix(const NetAddress *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    SocketAddress *told = g_new0(SocketAddress, 1);
    UnixSocketAddress *q_unix = &told->u.q_unix;
    size_t n = address->size - MIN(address->size, offsetof(struct sockaddr_un, sun_path));

    told->type = SOCKET_ADDRESS_TYPE_UNIX;
    q_unix->has_abstract = q_unix->abstract = n > 0 && un->sun_path[0] == '\0';
    q_unix->has_tight = q_unix->abstract;
    q_unix->tight = n < sizeof(un->sun_path);
    q_unix->path = g_strndup(un->sun_path + q_unix->abstract, n - q_unix->abstract);
    return told;
}

SocketAddress *net_address_tell(const NetAddress *address)
{
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    InetSocketAddress *inet;
    SocketAddress *told;

    if (address->storage.ss_family == AF_UNIX)
        return tell_unix(address);
    getnameinfo((const struct sockaddr *)&address->storage, address->size, host,
                sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    told = g_new0(SocketAddress, 1);
    told->type = SOCKET_ADDRESS_TYPE_INET;
    inet = &told->u.inet;
    inet->host = g_strdup(host);
    inet->port = g_strdup(port);
    if (address->storage.ss_family == AF_INET6)
        inet->has_ipv6 = inet->ipv6 = true;
    else
        inet->has_ipv4 = inet->ipv4 = true;
    return told;
}

char *net_address_name(const NetAddress *address)
{
    g_autoptr(SocketAddress) told = net_address_tell(address);
    const InetSocketAddress *inet = &told->u.inet;

    if (told->type == SOCKET_ADDRESS_TYPE_UNIX)
        return g_strconcat("unix:", told->u.q_unix.path, NULL);
    return g_strdup_printf(inet->has_ipv6 ? "[%s]:%s" : "%s:%s", inet->host, inet->port);
}

bool net_address_of_peer(int fd, NetAddress *ret_address)
{
    *ret_address = (NetAddress) { .size = sizeof(ret_address->storage) };
    if (getpeername(fd, (struct sockaddr *)&ret_address->storage, &ret_address->size) < 0)
        return false;
    ret_address->size = MIN(ret_address->size, sizeof(ret_address->storage));
    return true;
}

bool net_address_is_socket(int fd, int type)
{
    int is = 0;
    socklen_t size = sizeof(is);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &is, &size) == 0 && is == type;
}

static const char *path_of(const NetAddress *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;

    return un->sun_family == AF_UNIX && un->sun_path[0] ? un->sun_path : NULL;
}

void net_address_remove_stale(const NetAddress *address)
{
    const char *path = path_of(address);
    struct stat stat;

    if (path && lstat(path, &stat) == 0 && S_ISSOCK(stat.st_mode))
        unlink(path);
}

char *net_address_file(const NetAddress *address)
{
    const char *path = path_of(address);

    /* -daemonize changes the directory. */
    return path ? realpath(path, NULL) : NULL;
}
