/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of a user network, checked: its addresses, with those by default.
 */
#pragma once

#include "berth/base.h"
#include "qapi-types.h"

#include <netinet/in.h>

typedef struct UserNetwork {
    bool has_ipv4;
    struct in_addr net;
    struct in_addr mask;
    struct in_addr host;
    struct in_addr dns;
    struct in_addr dhcp_start;
    bool has_ipv6;
    struct in6_addr prefix6;
    uint8_t prefix6_length;
    struct in6_addr host6;
    struct in6_addr dns6;
    const NetdevUserOptions *options;   /* lent: the texts */
} UserNetwork;

/* False with @error that names the parameter. */
bool user_options_read(const NetdevUserOptions *options, UserNetwork *ret_network,
                       GError **error);
/* The names in dnssearch, ended by NULL, lent in an array that is the caller's. */
const char **user_options_domains(const NetdevUserOptions *options);
/* "10.0.2.0", or "fec0::" of one without IPv4; the caller frees. */
char *user_options_name(const UserNetwork *network);
