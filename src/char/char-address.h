/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of sockets: unix(7), ip(7) and vsock(7).
 */
#pragma once

#include "berth/base.h"
#include "qapi-types.h"

#include <sys/socket.h>

typedef struct CharAddress {
    struct sockaddr_storage storage;
    socklen_t size;
    int protocol;               /* of socket(2); 0: the usual one */
    bool only_ipv6;             /* a server at this address takes no IPv4 clients */
} CharAddress;

typedef struct CharAddressUse {
    int type;                   /* SOCK_STREAM or SOCK_DGRAM */
    bool passive;               /* to listen on */
    bool may_wait;              /* names of hosts may be looked up */
} CharAddressUse;

/*
 * The addresses that @addr, which is no descriptor, stands for, in the order in which
 * they are to be tried; at least one.  Blocks while a name is looked up.  The caller
 * frees the array of CharAddress.  NULL with @error, which names the member.
 */
GArray *char_address_find(const SocketAddressLegacy *addr, const CharAddressUse *use,
                          GError **error);

/* The same address with the next port; only of inet. */
void char_address_next_port(CharAddress *address);

/* What a person calls it: "HOST:PORT", a path.  The caller frees. */
char *char_address_name(const SocketAddressLegacy *addr);

/*
 * QEMU's spellings, as query-chardev tells them; @server adds ",server=on".  The caller
 * frees.
 */

/* "tcp:HOST:PORT", "unix:PATH", of an address that is not connected. */
char *char_address_describe(const SocketAddressLegacy *addr, const char *protocol,
                            bool server);
/* "tcp:HOST:PORT" of a listening socket, with the port that the kernel chose for 0. */
char *char_address_describe_local(int fd, const char *protocol);
/*
 * "tcp:HOST:PORT <-> HOST:PORT" or "unix:PATH" of a connected socket, or one that
 * listens on a unix address.
 */
char *char_address_describe_fd(int fd, const SocketAddressLegacy *addr,
                               const char *protocol, bool server);
