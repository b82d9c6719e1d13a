/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of a user network.  What is left out are the addresses that every guest of
 * QEMU knows: 10.0.2.0/24 and fec0::/64, with the host at 2, the name server at 3 and the
 * first guest at 15.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "berth/user-options.h"

#define HOST 0x0202u            /* within the network, as far as its mask has room */
#define DNS 0x0203u
#define DHCP_START 0x020fu
#define HOST6 2u
#define DNS6 3u
#define PREFIX6_MAX 126
/* DHCP's; the host's name is cut there by libslirp. */
#define NAME_MAX_SIZE 255u
#define HOSTNAME_MAX 32u
#define BOOTFILE_MAX 127u
#define LABEL_MAX 63u

static bool refuse(GError **error, const char *parameter, const char *text,
                   const char *expected)
{
    error_set(error, "parameter '%s' expects %s, not '%s'", parameter, expected, text);
    return false;
}

/* How long the prefix of a network is whose text does not say; as QEMU has it. */
static unsigned class_of(uint32_t net)
{
    static const struct {
        uint32_t mask;
        uint32_t net;
        unsigned length;
    } classes[] = {
        { 0x80000000, 0x00000000, 8 },
        { 0xfff00000, 0xac100000, 12 },
        { 0xc0000000, 0x80000000, 16 },
        { 0xffff0000, 0xc0a80000, 16 },
        { 0xffff0000, 0xc6120000, 15 },
        { 0xe0000000, 0xe0000000, 24 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        if ((net & classes[i].mask) == classes[i].net)
            return classes[i].length;
    }
    return 28;
}

/* "24" or "255.255.255.0". */
static bool read_mask(const char *text, uint32_t *ret_mask)
{
    struct in_addr mask;
    uint64_t length;
    uint32_t bits;

    if (g_ascii_string_to_unsigned(text, 10, 4, 32, &length, NULL)) {
        *ret_mask = ~0u << (32 - length);
        return true;
    }
    if (inet_pton(AF_INET, text, &mask) != 1)
        return false;
    bits = ntohl(mask.s_addr);
    *ret_mask = bits;
    return bits >= ~0u << 28 && (~bits & (~bits + 1)) == 0;
}

static bool read_net(const char *text, UserNetwork *network, GError **error)
{
    g_autofree char *copy = g_strdup(text);
    char *slash = strchr(copy, '/');
    struct in_addr net;
    uint32_t mask = 0;

    if (slash)
        *slash = '\0';
    if (inet_pton(AF_INET, copy, &net) != 1 || (slash && !read_mask(slash + 1, &mask)))
        return refuse(error, "net", text, "a network as 10.0.2.0/24, of 4 to 32 bits");
    if (!slash)
        mask = ~0u << (32 - class_of(ntohl(net.s_addr)));
    network->mask.s_addr = htonl(mask);
    network->net.s_addr = net.s_addr & network->mask.s_addr;
    return true;
}

static bool is_within(const UserNetwork *network, struct in_addr address)
{
    return (address.s_addr & network->mask.s_addr) == network->net.s_addr;
}

/* @text, or when that is NULL number @number of the network. */
static bool read_address(const UserNetwork *network, const char *parameter,
                         const char *text, uint32_t number, struct in_addr *ret_address,
                         GError **error)
{
    ret_address->s_addr =
        network->net.s_addr | (htonl(number) & ~network->mask.s_addr);
    if (!text || inet_pton(AF_INET, text, ret_address) == 1)
        return true;
    return refuse(error, parameter, text, "an IPv4 address");
}

/* The name server may be elsewhere, where the guest can get there. */
static bool check_addresses(const UserNetwork *network, bool is_restricted,
                            GError **error)
{
    const char *wrong = NULL;

    if (!is_within(network, network->host))
        wrong = "'host' is not in the network";
    else if (is_restricted && !is_within(network, network->dns))
        wrong = "'dns' is not in the network, which 'restrict' needs";
    else if (network->dns.s_addr == network->host.s_addr)
        wrong = "'dns' and 'host' are one address";
    else if (!is_within(network, network->dhcp_start))
        wrong = "'dhcpstart' is not in the network";
    else if (network->dhcp_start.s_addr == network->host.s_addr ||
             network->dhcp_start.s_addr == network->dns.s_addr)
        wrong = "'dhcpstart' is the address of 'host' or 'dns'";
    if (wrong)
        error_set(error, "parameter %s", wrong);
    return !wrong;
}

static bool read_ipv4(const NetdevUserOptions *options, UserNetwork *network,
                      GError **error)
{
    g_autofree char *older = options->ip ? g_strconcat(options->ip, "/24", NULL) : NULL;
    const char *net = options->net ? options->net : older ? older : "10.0.2.0/24";

    if (!network->has_ipv4 && (options->net || options->ip || options->host ||
                               options->dns || options->dhcpstart)) {
        error_set(error, "parameters 'net', 'ip', 'host', 'dns' and 'dhcpstart' are for "
                  "IPv4, which is off");
        return false;
    }
    return read_net(net, network, error) &&
        read_address(network, "host", options->host, HOST, &network->host, error) &&
        read_address(network, "dns", options->dns, DNS, &network->dns, error) &&
        read_address(network, "dhcpstart", options->dhcpstart, DHCP_START,
                     &network->dhcp_start, error) &&
        check_addresses(network, options->q_restrict, error);
}

/* "fec0::/64" in @text into the two that it stands for. */
static bool split_prefix6(const char *text, char **ret_prefix, uint64_t *ret_length,
                          GError **error)
{
    const char *slash = strchr(text, '/');

    if (slash && !g_ascii_string_to_unsigned(slash + 1, 10, 0, PREFIX6_MAX, ret_length,
                                             NULL))
        return refuse(error, "ipv6-net", text, "a prefix as fec0::/64, up to 126 bits");
    *ret_prefix = slash ? g_strndup(text, (size_t)(slash - text)) : g_strdup(text);
    return true;
}

static bool read_prefix6(const NetdevUserOptions *options, UserNetwork *network,
                         GError **error)
{
    uint64_t length = options->has_ipv6_prefixlen ? options->ipv6_prefixlen : 64;
    g_autofree char *prefix = g_strdup(options->ipv6_prefix);
    const char *parameter = "ipv6-prefix";

    if (options->ipv6_net) {
        g_clear_pointer(&prefix, g_free);
        parameter = "ipv6-net";
        if (!split_prefix6(options->ipv6_net, &prefix, &length, error))
            return false;
    }
    network->prefix6_length = (uint8_t)length;
    if (inet_pton(AF_INET6, prefix ? prefix : "fec0::", &network->prefix6) == 1)
        return true;
    return refuse(error, parameter, prefix, "an IPv6 address");
}

static bool is_within6(const UserNetwork *network, const struct in6_addr *address)
{
    unsigned bytes = network->prefix6_length / 8, bits = network->prefix6_length % 8;
    unsigned rest = 0xff00u >> bits & 0xff;

    return memcmp(address, &network->prefix6, bytes) == 0 &&
        ((address->s6_addr[bytes] ^ network->prefix6.s6_addr[bytes]) & rest) == 0;
}

static bool read_address6(const UserNetwork *network, const char *parameter,
                          const char *text, uint8_t number, struct in6_addr *ret_address,
                          GError **error)
{
    *ret_address = network->prefix6;
    ret_address->s6_addr[15] |= number;
    if (text && inet_pton(AF_INET6, text, ret_address) != 1)
        return refuse(error, parameter, text, "an IPv6 address");
    if (is_within6(network, ret_address))
        return true;
    error_set(error, "parameter '%s' is not in the network", parameter);
    return false;
}

static bool read_ipv6(const NetdevUserOptions *options, UserNetwork *network,
                      GError **error)
{
    if (!network->has_ipv6 &&
        (options->ipv6_net || options->ipv6_prefix || options->has_ipv6_prefixlen ||
         options->ipv6_host || options->ipv6_dns)) {
        error_set(error, "parameters 'ipv6-net', 'ipv6-prefix', 'ipv6-prefixlen', "
                  "'ipv6-host' and 'ipv6-dns' are for IPv6, which is off");
        return false;
    }
    return read_prefix6(options, network, error) &&
        read_address6(network, "ipv6-host", options->ipv6_host, HOST6, &network->host6,
                      error) &&
        read_address6(network, "ipv6-dns", options->ipv6_dns, DNS6, &network->dns6,
                      error);
}

/* One that is switched on alone switches the other off. */
static bool choose_families(const NetdevUserOptions *options, UserNetwork *network,
                            GError **error)
{
    bool only6 = options->has_ipv6 && options->ipv6 && !options->has_ipv4;
    bool only4 = options->has_ipv4 && options->ipv4 && !options->has_ipv6;

    network->has_ipv4 = options->has_ipv4 ? options->ipv4 : !only6;
    network->has_ipv6 = options->has_ipv6 ? options->ipv6 : !only4;
    if (network->has_ipv4 || network->has_ipv6)
        return true;
    error_set(error, "parameters 'ipv4' and 'ipv6' are both off");
    return false;
}

static bool check_length(const char *parameter, const char *text, size_t max,
                         GError **error)
{
    if (!text || (*text && strlen(text) <= max))
        return true;
    error_set(error, "parameter '%s' expects 1 to %zu bytes", parameter, max);
    return false;
}

/* Labels of a name are behind their lengths in DHCP's option. */
static bool is_domain(const char *name)
{
    size_t total = strlen(name);

    if (total == 0 || total >= NAME_MAX_SIZE)
        return false;
    while (*name) {
        size_t length = strcspn(name, ".");

        if (length == 0 || length > LABEL_MAX)
            return false;
        name += length + (name[length] == '.');
    }
    return true;
}

static bool check_domains(const StringList *domains, GError **error)
{
    for (size_t i = 0; domains && i < domains->n; i++) {
        if (!is_domain(domains->items[i]->str))
            return refuse(error, "dnssearch", domains->items[i]->str, "a domain");
    }
    return true;
}

static bool check_folder(const char *path, GError **error)
{
    struct stat info;

    if (!path || (stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
        return true;
    return refuse(error, "tftp", path, "a folder");
}

static bool check_texts(const NetdevUserOptions *options, GError **error)
{
    return check_length("hostname", options->hostname, HOSTNAME_MAX, error) &&
        check_length("domainname", options->domainname, NAME_MAX_SIZE, error) &&
        check_length("bootfile", options->bootfile, BOOTFILE_MAX, error) &&
        check_length("tftp-server-name", options->tftp_server_name, NAME_MAX_SIZE,
                     error) &&
        check_domains(options->dnssearch, error) && check_folder(options->tftp, error);
}

static bool refuse_others(const NetdevUserOptions *options, GError **error)
{
    if (options->smb || options->smbserver)
        error_set(error, "parameter '%s': no SMB server is started",
                  options->smb ? "smb" : "smbserver");
    else if (options->guestfwd)
        error_set(error, "parameter 'guestfwd': what the guest connects to is no program "
                  "and no character device");
    else
        return true;
    return false;
}

bool user_options_read(const NetdevUserOptions *options, UserNetwork *ret_network,
                       GError **error)
{
    UserNetwork network = { .options = options };

    if (!refuse_others(options, error) || !check_texts(options, error) ||
        !choose_families(options, &network, error) ||
        !read_ipv4(options, &network, error) || !read_ipv6(options, &network, error))
        return false;
    *ret_network = network;
    return true;
}

const char **user_options_domains(const NetdevUserOptions *options)
{
    size_t n = options->dnssearch ? options->dnssearch->n : 0;
    const char **domains = n > 0 ? g_new0(const char *, n + 1) : NULL;

    for (size_t i = 0; i < n; i++)
        domains[i] = options->dnssearch->items[i]->str;
    return domains;
}

char *user_options_name(const UserNetwork *network)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (network->has_ipv4)
        inet_ntop(AF_INET, &network->net, text, sizeof(text));
    else
        inet_ntop(AF_INET6, &network->prefix6, text, sizeof(text));
    return g_strdup(text);
}
