/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of user networks, the rules of hostfwd, and which frames make sockets: what
 * needs no libslirp.
 */
#include <arpa/inet.h>
#include <string.h>

#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/qapi-option.h"
#include "berth/qapi.h"

#include "berth/user-forward.h"
#include "berth/user-frame.h"
#include "berth/user-options.h"

/* -netdev @text. */
static Netdev *parse(const char *text)
{
    const CmdlineOption *option = qapi_option_find("-netdev");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) pairs = NULL;
    bool help = false;
    Netdev *netdev;

    pairs = qapi_option_read(option, text, &help, &error);
    g_assert_no_error(error);
    netdev = qapi_parse(option->type, pairs, QAPI_INPUT_TEXT, &error);
    g_assert_no_error(error);
    return netdev;
}

static void assert_address(struct in_addr address, const char *expected)
{
    char text[INET_ADDRSTRLEN];

    g_assert_cmpstr(inet_ntop(AF_INET, &address, text, sizeof(text)), ==, expected);
}

static void assert_address6(struct in6_addr address, const char *expected)
{
    char text[INET6_ADDRSTRLEN];

    g_assert_cmpstr(inet_ntop(AF_INET6, &address, text, sizeof(text)), ==, expected);
}

static void test_addresses(void)
{
    static const struct {
        const char *text;
        const char *net, *mask, *host, *dns, *dhcp_start;
    } cases[] = {
        { "user,id=a", "10.0.2.0", "255.255.255.0", "10.0.2.2", "10.0.2.3", "10.0.2.15" },
        { "user,id=a,net=192.168.76.9/24", "192.168.76.0", "255.255.255.0",
          "192.168.76.2", "192.168.76.3", "192.168.76.15" },
        { "user,id=a,net=192.168.0.0", "192.168.0.0", "255.255.0.0", "192.168.2.2",
          "192.168.2.3", "192.168.2.15" },
        { "user,id=a,net=172.16.0.0/255.255.0.0", "172.16.0.0", "255.255.0.0",
          "172.16.2.2", "172.16.2.3", "172.16.2.15" },
        { "user,id=a,ip=10.9.8.0", "10.9.8.0", "255.255.255.0", "10.9.8.2", "10.9.8.3",
          "10.9.8.15" },
        { "user,id=a,net=10.9.8.0/28,host=10.9.8.1,dns=10.9.8.14,dhcpstart=10.9.8.4",
          "10.9.8.0", "255.255.255.240", "10.9.8.1", "10.9.8.14", "10.9.8.4" },
        /* A name server elsewhere. */
        { "user,id=a,dns=192.0.2.1", "10.0.2.0", "255.255.255.0", "10.0.2.2",
          "192.0.2.1", "10.0.2.15" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Netdev) netdev = parse(cases[i].text);
        UserNetwork network;

        g_assert_true(user_options_read(&netdev->u.user, &network, NULL));
        assert_address(network.net, cases[i].net);
        assert_address(network.mask, cases[i].mask);
        assert_address(network.host, cases[i].host);
        assert_address(network.dns, cases[i].dns);
        assert_address(network.dhcp_start, cases[i].dhcp_start);
    }
}

static void test_addresses_of_ipv6(void)
{
    static const struct {
        const char *text;
        bool has_ipv4, has_ipv6;
        unsigned length;
        const char *host, *dns, *name;
    } cases[] = {
        { "user,id=a", true, true, 64, "fec0::2", "fec0::3", "10.0.2.0" },
        { "user,id=a,ipv6=on", false, true, 64, "fec0::2", "fec0::3", "fec0::" },
        { "user,id=a,ipv4=on", true, false, 64, "fec0::2", "fec0::3", "10.0.2.0" },
        { "user,id=a,ipv6=off", true, false, 64, "fec0::2", "fec0::3", "10.0.2.0" },
        { "user,id=a,ipv4=off", false, true, 64, "fec0::2", "fec0::3", "fec0::" },
        { "user,id=a,ipv6-net=2001:db8::/60", true, true, 60, "2001:db8::2",
          "2001:db8::3", "10.0.2.0" },
        { "user,id=a,ipv6-net=2001:db8::,ipv6-host=2001:db8::9", true, true, 64,
          "2001:db8::9", "2001:db8::3", "10.0.2.0" },
        { "user,id=a,ipv6-prefix=2001:db8::,ipv6-prefixlen=120,ipv6-dns=2001:db8::ff",
          true, true, 120, "2001:db8::2", "2001:db8::ff", "10.0.2.0" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Netdev) netdev = parse(cases[i].text);
        g_autofree char *name = NULL;
        UserNetwork network;

        g_assert_true(user_options_read(&netdev->u.user, &network, NULL));
        g_assert_cmpint(network.has_ipv4, ==, cases[i].has_ipv4);
        g_assert_cmpint(network.has_ipv6, ==, cases[i].has_ipv6);
        g_assert_cmpuint(network.prefix6_length, ==, cases[i].length);
        assert_address6(network.host6, cases[i].host);
        assert_address6(network.dns6, cases[i].dns);
        name = user_options_name(&network);
        g_assert_cmpstr(name, ==, cases[i].name);
    }
}

static void test_lists(void)
{
    g_autoptr(Netdev) netdev = parse("user,id=a,hostfwd=tcp::1-:2,dnssearch=a.example,"
                                     "hostfwd=udp::3-:4,dnssearch=b.example");
    g_autofree const char **domains = user_options_domains(&netdev->u.user);

    g_assert_cmpuint(netdev->u.user.hostfwd->n, ==, 2);
    g_assert_cmpstr(netdev->u.user.hostfwd->items[1]->str, ==, "udp::3-:4");
    g_assert_cmpstr(domains[0], ==, "a.example");
    g_assert_cmpstr(domains[1], ==, "b.example");
    g_assert_null(domains[2]);
}

static void test_wrong_options(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "net=", "'net'" },
        { "net=10.0.2", "'net'" },
        { "net=10.0.2.0/", "'net'" },
        { "net=10.0.2.0/3", "'net'" },
        { "net=10.0.2.0/33", "'net'" },
        { "net=10.0.2.0/255.0.255.0", "'net'" },
        { "net=10.0.2.0/0.0.0.0", "'net'" },
        { "net=fec0::/64", "'net'" },
        { "net=10.0.2.0/32", "one address" },
        { "net=10.0.2.0/30", "'dhcpstart'" },
        { "host=10.0.3.2", "'host' is not in the network" },
        { "host=gateway", "'host'" },
        { "dns=10.0.2.2", "'dns' and 'host'" },
        { "dns=192.0.2.1,restrict=on", "'dns' is not in the network" },
        { "dhcpstart=10.0.2.3", "'dhcpstart'" },
        { "dhcpstart=10.0.3.15", "'dhcpstart' is not in the network" },
        { "ipv4=off,ipv6=off", "both off" },
        { "ipv4=off,net=10.0.2.0/24", "IPv4, which is off" },
        { "ipv6=off,ipv6-host=fec0::2", "IPv6, which is off" },
        { "ipv6-net=fec0::/127", "'ipv6-net'" },
        { "ipv6-net=/64", "'ipv6-net'" },
        { "ipv6-prefix=10.0.2.0", "'ipv6-prefix'" },
        { "ipv6-host=fec1::2", "'ipv6-host' is not in the network" },
        { "ipv6-dns=x", "'ipv6-dns'" },
        { "hostname=", "'hostname'" },
        { "hostname=a-name-that-is-longer-than-32-bytes", "'hostname'" },
        { "domainname=", "'domainname'" },
        { "dnssearch=", "'dnssearch'" },
        { "dnssearch=a.example,dnssearch=.b", "'dnssearch'" },
        { "dnssearch=a..b", "'dnssearch'" },
        { "tftp=/nonexistent", "'tftp'" },
        { "bootfile=", "'bootfile'" },
        { "smb=/tmp", "'smb'" },
        { "smbserver=10.0.2.4", "'smbserver'" },
        { "guestfwd=tcp:10.0.2.100:80-cmd:true", "'guestfwd'" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strconcat("user,id=a,", cases[i].text, NULL);
        g_autoptr(Netdev) netdev = parse(text);
        g_autoptr(GError) error = NULL;
        UserNetwork network;

        g_assert_false(user_options_read(&netdev->u.user, &network, &error));
        if (!strstr(error->message, cases[i].words))
            g_error("%s: '%s' is not in: %s", text, cases[i].words, error->message);
    }
}

static void test_forwards(void)
{
    static const struct {
        const char *rule;
        bool is_udp;
        const char *host;
        uint16_t host_port;
        const char *guest;
        uint16_t guest_port;
    } cases[] = {
        { "tcp::2222-:22", false, "0.0.0.0", 2222, "0.0.0.0", 22 },
        { "::2222-:22", false, "0.0.0.0", 2222, "0.0.0.0", 22 },
        { "udp:127.0.0.1:53-10.0.2.15:53", true, "127.0.0.1", 53, "10.0.2.15", 53 },
        { "tcp:127.0.0.1:0-:65535", false, "127.0.0.1", 0, "0.0.0.0", 65535 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *host = g_strdup(cases[i].rule);
        UserForward forward, half;

        g_assert_true(user_forward_parse(cases[i].rule, &forward, NULL));
        g_assert_cmpint(forward.is_udp, ==, cases[i].is_udp);
        assert_address(forward.host, cases[i].host);
        g_assert_cmpuint(forward.host_port, ==, cases[i].host_port);
        assert_address(forward.guest, cases[i].guest);
        g_assert_cmpuint(forward.guest_port, ==, cases[i].guest_port);

        *strchr(host, '-') = '\0';
        g_assert_true(user_forward_parse_host(host, &half, NULL));
        g_assert_cmpuint(half.host_port, ==, cases[i].host_port);
        assert_address(half.host, cases[i].host);
    }
}

static void test_wrong_forwards(void)
{
    static const struct {
        const char *rule;
        const char *words;
    } cases[] = {
        { "", "'tcp:' or 'udp:'" },
        { "sctp::1-:2", "'tcp:' or 'udp:'" },
        { "2222-:22", "'tcp:' or 'udp:'" },
        { "tcp:2222-22", "address of the host" },
        { "tcp:localhost:2222-:22", "address of the host" },
        { "tcp:[::1]:2222-:22", "address of the host" },
        { "tcp::2222", "port of the host" },
        { "tcp::-:22", "port of the host" },
        { "tcp::65536-:22", "port of the host" },
        { "tcp::-1-:22", "port of the host" },
        { "tcp::0x10-:22", "port of the host" },
        { "tcp::2222-22", "address of the guest" },
        { "tcp::2222-guest:22", "address of the guest" },
        { "tcp::2222-:", "port of the guest" },
        { "tcp::2222-:0", "port of the guest" },
        { "tcp::2222-:22 ", "port of the guest" },
        { "tcp::2222-:65536", "port of the guest" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        UserForward forward;

        g_assert_false(user_forward_parse(cases[i].rule, &forward, &error));
        if (!strstr(error->message, cases[i].words))
            g_error("%s: '%s' is not in: %s", cases[i].rule, cases[i].words,
                    error->message);
    }
    g_assert_false(user_forward_parse_host("tcp::2222-:22", &(UserForward) { 0 }, NULL));
}

/* A frame by its type, protocol, flags of TCP and length of IPv4's header. */
static size_t make_frame(uint8_t *frame, unsigned type, uint8_t protocol, uint8_t flags)
{
    size_t header = type == 0x86dd ? 40 : 24;

    memset(frame, 0, 128);
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
    frame[14] = type == 0x86dd ? 0x60 : 0x46;
    frame[14 + (type == 0x86dd ? 6 : 9)] = protocol;
    frame[14 + header + 13] = flags;
    return 14 + header + 20;
}

static void test_frames_that_open_sockets(void)
{
    static const struct {
        unsigned type;
        uint8_t protocol;
        uint8_t flags;
        bool opens;
    } cases[] = {
        { 0x0800, 6, 0x02, true },      /* SYN */
        { 0x0800, 6, 0x12, false },     /* SYN and ACK */
        { 0x0800, 6, 0x10, false },
        { 0x0800, 6, 0xc2, true },      /* SYN of ECN */
        { 0x0800, 17, 0, true },
        { 0x0800, 1, 0, true },
        { 0x0800, 47, 0x02, false },
        { 0x86dd, 6, 0x02, true },
        { 0x86dd, 6, 0x10, false },
        { 0x86dd, 17, 0, true },
        { 0x86dd, 58, 0, false },
        { 0x0806, 6, 0x02, false },     /* ARP */
    };
    uint8_t frame[128];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t size = make_frame(frame, cases[i].type, cases[i].protocol, cases[i].flags);

        g_assert_cmpint(user_frame_opens_socket(frame, size), ==, cases[i].opens);
        /* A part of it, in memory of that size: nothing behind it is looked at. */
        for (size_t part = 0; part < size; part++) {
            g_autofree uint8_t *copy = g_memdup2(frame, part);

            if (part > 0)
                user_frame_opens_socket(copy, part);
        }
    }
    make_frame(frame, 0x0800, 6, 0x10);
    frame[14 + 7] = 1;
    g_assert_true(user_frame_opens_socket(frame, 60));
    frame[14] = 0x4f;
    g_assert_false(user_frame_opens_socket(frame, 60));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/user-options/addresses", test_addresses);
    g_test_add_func("/user-options/addresses-of-ipv6", test_addresses_of_ipv6);
    g_test_add_func("/user-options/lists", test_lists);
    g_test_add_func("/user-options/wrong-options", test_wrong_options);
    g_test_add_func("/user-options/forwards", test_forwards);
    g_test_add_func("/user-options/wrong-forwards", test_wrong_forwards);
    g_test_add_func("/user-options/frames-that-open-sockets",
                    test_frames_that_open_sockets);
    return g_test_run();
}
