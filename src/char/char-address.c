/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of sockets: unix(7), ip(7) and vsock(7).
 */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* After <sys/socket.h>, whose types it uses. */
#include <linux/vm_sockets.h>

#include "berth/error.h"

#include "char-address.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static bool find_unix(const UnixSocketAddress *options, CharAddress *address,
                      GError **error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t room = sizeof(un->sun_path) - 1;
    size_t size = strlen(options->path);

    if (size == 0 || size > room) {
        error_set(error, "parameter 'path' expects 1 to %zu bytes, not %zu", room, size);
        return false;
    }
    un->sun_family = AF_UNIX;
    /* An abstract name begins with a zero byte and has no end but the size. */
    memcpy(un->sun_path + options->abstract, options->path, size);
    if (options->abstract && !options->tight)
        address->size = sizeof(*un);
    else
        address->size = offsetof(struct sockaddr_un, sun_path) + size + 1;
    return true;
}

static bool number_of(const char *text, const char *name, uint32_t *ret_number,
                      GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX, &number, NULL)) {
        error_set(error, "parameter '%s' expects a number from 0 to %u, not '%s'", name,
                  UINT32_MAX, text);
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static bool find_vsock(const VsockSocketAddress *options, CharAddress *address,
                       GError **error)
{
    struct sockaddr_vm *vm = (struct sockaddr_vm *)&address->storage;

    vm->svm_family = AF_VSOCK;
    address->size = sizeof(*vm);
    return number_of(options->cid, "cid", &vm->svm_cid, error) &&
           number_of(options->port, "port", &vm->svm_port, error);
}

/* A name of a service is the resolver's to check; it would cut a number to 16 bits. */
static bool check_port(const InetSocketAddress *options, bool passive, GError **error)
{
    const char *port = options->port;
    bool is_number = *port && strspn(port, "0123456789") == strlen(port);
    guint64 number = 0;

    if (is_number &&
        !g_ascii_string_to_unsigned(port, 10, 0, UINT16_MAX, &number, NULL)) {
        error_set(error, "parameter 'port' expects a number from 0 to %d, not '%s'",
                  UINT16_MAX, port);
        return false;
    }
    if (!options->has_to)
        return true;
    if (passive && is_number && number > 0 && number <= options->to)
        return true;
    error_set(error, "parameter 'to' is only for a server, and expects a number that is "
              "at least the port's");
    return false;
}

static bool check_families(const InetSocketAddress *options, GError **error)
{
    if (options->has_ipv4 && !options->ipv4 && options->has_ipv6 && !options->ipv6) {
        error_set(error, "parameters 'ipv4' and 'ipv6' cannot both be off");
        return false;
    }
    return true;
}

static int family_of(const InetSocketAddress *options, bool passive)
{
    bool ipv4 = options->has_ipv4 && options->ipv4;
    bool ipv6 = options->has_ipv6 && options->ipv6;

    /* A server of both is one of IPv6 that takes mapped addresses. */
    if (ipv4 && ipv6)
        return passive ? AF_INET6 : AF_UNSPEC;
    if (ipv4 || (options->has_ipv6 && !ipv6))
        return AF_INET;
    if (ipv6 || options->has_ipv4)
        return AF_INET6;
    return AF_UNSPEC;
}

/* What the resolver is asked. */
typedef struct InetQuery {
    const InetSocketAddress *options;
    const char *host;           /* NULL: any address, or this machine */
    struct addrinfo hints;
} InetQuery;

static void append_found(GArray *addresses, const InetQuery *query,
                         const struct addrinfo *found)
{
    const InetSocketAddress *options = query->options;
    int family = query->hints.ai_family;

    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        CharAddress address = {
            .size = at->ai_addrlen,
            .protocol = options->mptcp ? IPPROTO_MPTCP : 0,
            .only_ipv6 = family == AF_INET6 && !(options->has_ipv4 && options->ipv4),
        };

        memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
        g_array_append_val(addresses, address);
    }
}

/* 0, or what gai_strerror(3) tells. */
static int look_up(const InetQuery *query, int family, GArray *addresses)
{
    struct addrinfo hints = query->hints;
    struct addrinfo *found = NULL;
    int ret;

    hints.ai_family = family;
    ret = getaddrinfo(query->host, query->options->port, &hints, &found);
    if (ret == 0)
        append_found(addresses, query, found);
    if (found)
        freeaddrinfo(found);
    return ret;
}

/*
 * Without a host there is an address of each family.  The resolver would sort the two,
 * for which it asks the kernel by a netlink socket: no business of a machine that runs.
 */
static int look_up_each(const InetQuery *query, GArray *addresses)
{
    bool is_any = query->hints.ai_flags & AI_PASSIVE;
    int ret;

    if (query->host || query->hints.ai_family != AF_UNSPEC)
        return look_up(query, query->hints.ai_family, addresses);
    ret = look_up(query, is_any ? AF_INET : AF_INET6, addresses);
    if (ret == 0)
        ret = look_up(query, is_any ? AF_INET6 : AF_INET, addresses);
    return ret;
}

static GArray *find_inet(const InetSocketAddress *options, const CharAddressUse *use,
                         GError **error)
{
    bool numeric = options->numeric || !use->may_wait;
    /* The one name that everybody knows. */
    bool local = numeric && !options->numeric && strcmp(options->host, "localhost") == 0;
    const InetQuery query = {
        .options = options,
        .host = *options->host && !local ? options->host : NULL,
        .hints = {
            .ai_family = family_of(options, use->passive),
            .ai_socktype = use->type,
            .ai_flags = (use->passive && !local ? AI_PASSIVE : 0) |
                        (numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0),
        },
    };
    g_autoptr(GArray) addresses = g_array_new(false, true, sizeof(CharAddress));
    int ret;

    if (!check_port(options, use->passive, error) || !check_families(options, error))
        return NULL;
    ret = look_up_each(&query, addresses);
    if (ret == EAI_NONAME && !use->may_wait) {
        error_set(error, "parameter 'host' expects an address, not '%s': while the "
                  "machine is there no name is looked up", options->host);
        return NULL;
    }
    if (ret != 0) {
        error_set(error, "parameter 'host': cannot find '%s', port '%s': %s",
                  options->host, options->port, gai_strerror(ret));
        return NULL;
    }
    return g_steal_pointer(&addresses);
}

GArray *char_address_find(const SocketAddressLegacy *addr, const CharAddressUse *use,
                          GError **error)
{
    CharAddress address = { 0 };
    GArray *addresses;
    bool found;

    if (addr->type == SOCKET_ADDRESS_TYPE_INET)
        return find_inet(addr->u.inet.data, use, error);
    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX)
        found = find_unix(addr->u.q_unix.data, &address, error);
    else
        found = find_vsock(addr->u.vsock.data, &address, error);
    if (!found)
        return NULL;
    addresses = g_array_new(false, false, sizeof(CharAddress));
    g_array_append_val(addresses, address);
    return addresses;
}

void char_address_next_port(CharAddress *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;
    in_port_t *port = in->sin_family == AF_INET6 ? &in6->sin6_port : &in->sin_port;

    *port = htons(ntohs(*port) + 1);
}

char *char_address_name(const SocketAddressLegacy *addr)
{
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        return g_strdup_printf("%s:%s", addr->u.inet.data->host, addr->u.inet.data->port);
    case SOCKET_ADDRESS_TYPE_UNIX:
        return g_strdup(addr->u.q_unix.data->path);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return g_strdup_printf("%s:%s", addr->u.vsock.data->cid,
                               addr->u.vsock.data->port);
    case SOCKET_ADDRESS_TYPE_FD:
        break;
    }
    return g_strdup(addr->u.fd.data->str);
}

static const char *unix_flags(const UnixSocketAddress *un)
{
    if (!un->abstract)
        return "";
    return un->tight ? ",abstract=on,tight=on" : ",abstract=on";
}

char *char_address_describe(const SocketAddressLegacy *addr, const char *protocol,
                            bool server)
{
    g_autofree char *name = char_address_name(addr);
    const char *more = server ? ",server=on" : "";

    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        break;
    case SOCKET_ADDRESS_TYPE_UNIX:
        return g_strdup_printf("unix:%s%s%s", name, unix_flags(addr->u.q_unix.data),
                               more);
    case SOCKET_ADDRESS_TYPE_VSOCK:
        return g_strdup_printf("vsock:%s%s", name, more);
    case SOCKET_ADDRESS_TYPE_FD:
        return g_strdup_printf("fd:%s%s", name, more);
    }
    return g_strdup_printf("%s:%s%s", protocol, name, more);
}

static char *describe_end(const struct sockaddr_storage *storage, socklen_t size)
{
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)storage;
    bool is_ipv6 = storage->ss_family == AF_INET6;
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (storage->ss_family == AF_VSOCK)
        return g_strdup_printf("%u:%u", vm->svm_cid, vm->svm_port);
    if (getnameinfo((const struct sockaddr *)storage, size, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return g_strdup("unknown");
    return g_strdup_printf(is_ipv6 ? "[%s]:%s" : "%s:%s", host, port);
}

char *char_address_describe_local(int fd, const char *protocol)
{
    struct sockaddr_storage storage = { 0 };
    socklen_t size = sizeof(storage);
    g_autofree char *end = NULL;

    if (getsockname(fd, (struct sockaddr *)&storage, &size) == 0)
        end = describe_end(&storage, size);
    return g_strdup_printf("%s:%s,server=on", protocol, end ? end : "unknown");
}

/* Of a socket that was passed: the name that it has. */
static char *describe_unix(const struct sockaddr_un *un, socklen_t size, bool server)
{
    size_t n = size - MIN(size, offsetof(struct sockaddr_un, sun_path));
    bool abstract = n > 0 && un->sun_path[0] == '\0';
    g_autofree char *path = g_strndup(un->sun_path + abstract, n - MIN(n, abstract));

    return g_strdup_printf("unix:%s%s%s", path, abstract ? ",abstract=on" : "",
                           server ? ",server=on" : "");
}

char *char_address_describe_fd(int fd, const SocketAddressLegacy *addr,
                               const char *protocol, bool server)
{
    struct sockaddr_storage near_end = { 0 }, far_end = { 0 };
    socklen_t near_size = sizeof(near_end), far_size = sizeof(far_end);
    g_autofree char *near_text = NULL;
    g_autofree char *far_text = NULL;

    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX)
        return char_address_describe(addr, protocol, server);
    if (getsockname(fd, (struct sockaddr *)&near_end, &near_size) < 0)
        return g_strdup("unknown");
    if (near_end.ss_family == AF_UNIX)
        return describe_unix((struct sockaddr_un *)&near_end, near_size, server);
    if (getpeername(fd, (struct sockaddr *)&far_end, &far_size) < 0)
        return g_strdup("unknown");
    near_text = describe_end(&near_end, near_size);
    far_text = describe_end(&far_end, far_size);
    return g_strdup_printf("%s:%s%s <-> %s",
                           near_end.ss_family == AF_VSOCK ? "vsock" : protocol, near_text,
                           server ? ",server=on" : "", far_text);
}
