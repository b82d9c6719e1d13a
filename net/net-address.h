/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the sockets that frames go through: unix(7) and ip(7).  Numbers only: a
 * name would be looked up while the machine stands still.
 */
#pragma once

#include "berth/base.h"
#include "qapi-types.h"

#include <sys/socket.h>

typedef struct NetAddress {
    struct sockaddr_storage storage;
    socklen_t size;             /* 0: none */
} NetAddress;

/*
 * What @options say, for a socket of @type; @passive: to listen on.  False with @error
 * that names @parameter.
 */
bool net_address_find(const SocketAddress *options, const char *parameter, int type,
                      bool passive, NetAddress *ret_address, GError **error);
/* The same of "HOST:PORT", where HOST may be empty, or "[HOST]:PORT". */
bool net_address_parse(const char *text, const char *parameter, int type, bool passive,
                       NetAddress *ret_address, GError **error);
bool net_address_is_multicast(const NetAddress *address);

/* As an event tells it; the caller frees. */
SocketAddress *net_address_tell(const NetAddress *address);
/* "unix:/run/a", "127.0.0.1:80"; the caller frees. */
char *net_address_name(const NetAddress *address);

/* The far end of a socket; false when it is not connected. */
bool net_address_of_peer(int fd, NetAddress *ret_address);
/* Whether @fd is a socket of @type. */
bool net_address_is_socket(int fd, int type);

/* Removes what an earlier server left at a unix address; other files stay. */
void net_address_remove_stale(const NetAddress *address);
/* The file that a socket that is bound has, absolute; NULL: none.  The caller frees. */
char *net_address_file(const NetAddress *address);
