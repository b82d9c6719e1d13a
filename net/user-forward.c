/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostfwd's rules: [tcp|udp]:[host address]:host port-[guest address]:guest port.
 */
#include <arpa/inet.h>
#include <string.h>

#include "berth/error.h"

#include "berth/user-forward.h"

/* The part of *@text up to @end, which is skipped; NULL when there is no @end. */
static char *take_part(const char **text, char end)
{
    const char *at = strchr(*text, end);
    char *part;

    if (!at)
        return NULL;
    part = g_strndup(*text, (size_t)(at - *text));
    *text = at + 1;
    return part;
}

static bool read_protocol(const char *text, UserForward *forward)
{
    forward->is_udp = strcmp(text, "udp") == 0;
    return forward->is_udp || !*text || strcmp(text, "tcp") == 0;
}

static bool read_address(const char *text, struct in_addr *address)
{
    address->s_addr = htonl(INADDR_ANY);
    return !*text || inet_pton(AF_INET, text, address) == 1;
}

static bool read_port(const char *text, unsigned min, uint16_t *port)
{
    uint64_t number;

    if (!g_ascii_string_to_unsigned(text, 10, min, UINT16_MAX, &number, NULL))
        return false;
    *port = (uint16_t)number;
    return true;
}

/* NULL, or what is wrong. */
static const char *read_host(const char **rule, UserForward *forward)
{
    g_autofree char *protocol = take_part(rule, ':');
    g_autofree char *address = NULL;

    if (!protocol || !read_protocol(protocol, forward))
        return "expects 'tcp:' or 'udp:' first";
    address = take_part(rule, ':');
    if (!address || !read_address(address, &forward->host))
        return "expects an IPv4 address of the host, or nothing, and ':' second";
    return NULL;
}

/* NULL, or what is wrong. */
static const char *read_guest(const char *rule, UserForward *forward)
{
    g_autofree char *address = take_part(&rule, ':');

    if (!address || !read_address(address, &forward->guest))
        return "expects an IPv4 address of the guest, or nothing, and ':' after the '-'";
    if (!read_port(rule, 1, &forward->guest_port))
        return "expects a port of the guest at the end";
    return NULL;
}

static const char *read_rule(const char *rule, UserForward *forward)
{
    const char *wrong = read_host(&rule, forward);
    g_autofree char *port = wrong ? NULL : take_part(&rule, '-');

    if (wrong)
        return wrong;
    if (!port || !read_port(port, 0, &forward->host_port))
        return "expects a port of the host, and '-' after it";
    return read_guest(rule, forward);
}

static bool end(const char *rule, const char *wrong, const UserForward *forward,
                UserForward *ret_forward, GError **error)
{
    if (wrong)
        error_set(error, "the rule '%s' %s", rule, wrong);
    else
        *ret_forward = *forward;
    return !wrong;
}

bool user_forward_parse(const char *rule, UserForward *ret_forward, GError **error)
{
    UserForward forward = { 0 };

    return end(rule, read_rule(rule, &forward), &forward, ret_forward, error);
}

bool user_forward_parse_host(const char *rule, UserForward *ret_forward, GError **error)
{
    UserForward forward = { 0 };
    const char *rest = rule;
    const char *wrong = read_host(&rest, &forward);

    if (!wrong && !read_port(rest, 0, &forward.host_port))
        wrong = "expects a port of the host at the end";
    return end(rule, wrong, &forward, ret_forward, error);
}
