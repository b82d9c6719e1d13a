/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of stream sockets.
 */
#pragma once

#include "berth/base.h"

#include <sys/socket.h>

typedef struct CharAddress {
    struct sockaddr_storage storage;
    socklen_t size;
} CharAddress;

/* A unix socket's address; the error tells the longest path. */
bool char_address_set_unix(CharAddress *address, const char *path, bool abstract,
                           GError **error);

/*
 * The addresses of @host and @port, at least one; an empty @host is every interface for
 * a server (@passive), this host for a client.  Blocks while a name is looked up.  The
 * caller frees the array of CharAddress.
 */
GArray *char_address_resolve(const char *host, const char *port, bool passive,
                             GError **error);

/*
 * "HOST:PORT" and @more of a TCP socket's own end, with the port that the kernel chose
 * for 0.  The caller frees.
 */
char *char_address_describe_local(int fd, const char *more);

/*
 * "unix:PATH,server=on" or "tcp:HOST:PORT,server=on <-> HOST:PORT" of a connected
 * socket, as QEMU prints it; @path is for a unix client, whose own end has no name.
 * The caller frees.
 */
char *char_address_describe(int fd, bool server, const char *path);
