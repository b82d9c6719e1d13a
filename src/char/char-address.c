/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of stream sockets: unix(7) and ip(7).
 */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "berth/error.h"

#include "char-address.h"

bool char_address_set_unix(CharAddress *address, const char *path, bool abstract,
                           GError **error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t room = sizeof(un->sun_path) - 1;
    size_t size = strlen(path);

    if (size == 0 || size > room) {
        error_set(error, "parameter 'path' expects 1 to %zu bytes, not %zu", room, size);
        return false;
    }
    memset(address, 0, sizeof(*address));
    un->sun_family = AF_UNIX;
    /* An abstract name begins with a zero byte and has no end but the size. */
    memcpy(un->sun_path + (abstract ? 1 : 0), path, size);
    address->size = offsetof(struct sockaddr_un, sun_path) + size + 1;
    return true;
}

/* A name of a service is the resolver's to check; it would cut a number to 16 bits. */
static bool check_port(const char *port, GError **error)
{
    bool is_number = *port && strspn(port, "0123456789") == strlen(port);

    if (!is_number ||
        g_ascii_string_to_unsigned(port, 10, 0, UINT16_MAX, NULL, NULL))
        return true;
    error_set(error, "parameter 'port' expects a number from 0 to %d, not '%s'",
              UINT16_MAX, port);
    return false;
}

GArray *char_address_resolve(const char *host, const char *port, bool passive,
                             GError **error)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = passive ? AI_PASSIVE : 0,
    };
    struct addrinfo *found = NULL;
    GArray *addresses;
    int ret;

    if (!check_port(port, error))
        return NULL;
    ret = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (ret != 0) {
        error_set(error, "parameter 'host': cannot find '%s', port '%s': %s", host, port,
                  gai_strerror(ret));
        return NULL;
    }
    addresses = g_array_new(false, true, sizeof(CharAddress));
    for (struct addrinfo *at = found; at; at = at->ai_next) {
        CharAddress address = { .size = at->ai_addrlen };

        memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
        g_array_append_val(addresses, address);
    }
    freeaddrinfo(found);
    return addresses;
}

static char *describe_unix(const struct sockaddr_un *un, socklen_t size, bool server,
                           const char *path)
{
    size_t n = size - MIN(size, offsetof(struct sockaddr_un, sun_path));
    const char *abstract = "";

    if (n > 0 && un->sun_path[0] == '\0') {
        abstract = ",abstract=on";
        path = strndupa(un->sun_path + 1, n - 1);
    } else if (n > 0) {
        path = strndupa(un->sun_path, n);
    }
    return g_strdup_printf("unix:%s%s%s", path ? path : "", abstract,
                           server ? ",server=on" : "");
}

static char *describe_host(const struct sockaddr_storage *storage, socklen_t size,
                           const char *more)
{
    const char *left = storage->ss_family == AF_INET6 ? "[" : "";
    const char *right = storage->ss_family == AF_INET6 ? "]" : "";
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getnameinfo((const struct sockaddr *)storage, size, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return g_strdup("unknown");
    return g_strdup_printf("%s%s%s:%s%s", left, host, right, port, more);
}

char *char_address_describe_local(int fd, const char *more)
{
    struct sockaddr_storage storage = { 0 };
    socklen_t size = sizeof(storage);

    if (getsockname(fd, (struct sockaddr *)&storage, &size) < 0)
        return g_strdup("unknown");
    return describe_host(&storage, size, more);
}

char *char_address_describe(int fd, bool server, const char *path)
{
    struct sockaddr_storage near_end = { 0 }, far_end = { 0 };
    socklen_t near_size = sizeof(near_end), far_size = sizeof(far_end);
    g_autofree char *near_text = NULL;
    g_autofree char *far_text = NULL;

    if (getsockname(fd, (struct sockaddr *)&near_end, &near_size) < 0)
        return g_strdup("unknown");
    if (near_end.ss_family == AF_UNIX)
        return describe_unix((struct sockaddr_un *)&near_end, near_size, server, path);
    if (getpeername(fd, (struct sockaddr *)&far_end, &far_size) < 0)
        return g_strdup("unknown");
    near_text = describe_host(&near_end, near_size, server ? ",server=on" : "");
    far_text = describe_host(&far_end, far_size, "");
    return g_strdup_printf("tcp:%s <-> %s", near_text, far_text);
}
