/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the host whose connections and datagrams go to a guest: hostfwd's rules.
 */
#pragma once

#include "berth/base.h"

#include <netinet/in.h>

typedef struct UserForward {
    bool is_udp;
    struct in_addr host;        /* INADDR_ANY: of every interface */
    uint16_t host_port;         /* in the host's order; 0: one that is free */
    struct in_addr guest;       /* INADDR_ANY: the first address that DHCP gives */
    uint16_t guest_port;
} UserForward;

/* "tcp:127.0.0.1:2222-10.0.2.15:22"; protocol and addresses may be empty. */
bool user_forward_parse(const char *rule, UserForward *ret_forward, GError **error);
/* What is in front of the "-" alone. */
bool user_forward_parse_host(const char *rule, UserForward *ret_forward, GError **error);
