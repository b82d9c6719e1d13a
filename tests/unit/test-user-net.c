/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User networks: a guest by its frames (tests/kit/user-guest.h) at one end, sockets of
 * this host at the other.
 */
#include <dirent.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/net-user.h"

#include "user-guest.h"

#define HOST 0x0a000202u        /* 10.0.2.2 */
#define NAME_SERVER 0x0a000203u
#define GUEST 0x0a00020fu
#define BLOB_SIZE (1u << 20)

static UserGuest *new_guest(const char *options)
{
    UserGuest *guest = g_new0(UserGuest, 1);
    g_autofree char *text = g_strconcat("user,id=a", options, NULL);
    NetBench *bench = net_bench_new();

    net_bench_add(bench, text);
    user_guest_init(guest, bench, "a");
    return guest;
}

static void free_guest(UserGuest *guest)
{
    net_bench_free(guest->bench);
    g_free(guest);
}

/* One whose address the network knows. */
static UserGuest *new_guest_with_address(const char *options)
{
    UserGuest *guest = new_guest(options);

    g_assert_true(user_guest_asks_arp(guest, HOST));
    return guest;
}

/* A socket of the host at a free port of the loopback interface. */
static int serve(int type, uint16_t *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
    if (type == SOCK_STREAM)
        g_assert_cmpint(listen(fd, 100), ==, 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Runs the network until the host has a connection. */
static int take_connection(UserGuest *guest, int server)
{
    int fd;

    do {
        user_guest_poll(guest);
        fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EAGAIN);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* Runs it until there is something to read; as read(2). */
static ssize_t host_read(UserGuest *guest, int fd, void *data, size_t size)
{
    ssize_t got;

    do {
        user_guest_poll(guest);
        got = read(fd, data, size);
    } while (got < 0 && errno == EAGAIN);
    return got;
}

static void assert_option(const uint8_t *options, size_t size, uint8_t code,
                          const void *expected, size_t expected_size)
{
    uint8_t length = 0;
    const uint8_t *option = user_guest_dhcp_option(options, size, code, &length);

    g_assert_nonnull(option);
    g_assert_cmpmem(option, length, expected, expected_size);
}

static void test_dhcp(void)
{
    UserGuest *guest = new_guest(",net=192.168.9.0/24,dhcpstart=192.168.9.40,"
                                 "hostname=vm,domainname=example.org,dnssearch=a.example,"
                                 "bootfile=/boot/pxe.0");
    uint32_t address = 0;
    const uint8_t *options;
    uint8_t length;
    size_t size;

    guest->address = 0xc0a80928;
    options = user_guest_dhcp(guest, 1, &address, &size);
    g_assert_nonnull(options);
    g_assert_cmphex(address, ==, 0xc0a80928);
    assert_option(options, size, 53, "\2", 1);      /* offer */

    options = user_guest_dhcp(guest, 3, &address, &size);
    g_assert_nonnull(options);
    g_assert_cmphex(address, ==, 0xc0a80928);
    assert_option(options, size, 53, "\5", 1);      /* ack */
    assert_option(options, size, 1, "\xff\xff\xff\0", 4);
    assert_option(options, size, 3, "\xc0\xa8\x09\x02", 4);
    assert_option(options, size, 6, "\xc0\xa8\x09\x03", 4);
    assert_option(options, size, 12, "vm", 2);
    assert_option(options, size, 15, "example.org", 11);
    assert_option(options, size, 119, "\1a\7example\0", 11);
    g_assert_null(user_guest_dhcp_option(options, size, 200, &length));
    free_guest(guest);
}

static void test_ping(void)
{
    UserGuest *guest = new_guest_with_address("");
    struct icmphdr echo = { .type = ICMP_ECHO, .checksum = htons(0xf7ff) };
    const uint8_t *answer;
    size_t size;

    user_guest_send_ip(guest, HOST, IPPROTO_ICMP, &echo, sizeof(echo));
    answer = user_guest_wait_ip(guest, IPPROTO_ICMP, &size);
    g_assert_nonnull(answer);
    g_assert_cmpuint(size, ==, sizeof(echo));
    g_assert_cmpuint(answer[0], ==, ICMP_ECHOREPLY);
    g_assert_true(user_guest_asks_arp(guest, NAME_SERVER));
    free_guest(guest);
}

static char *make_blob(void)
{
    char *blob = g_malloc(BLOB_SIZE);

    for (size_t i = 0; i < BLOB_SIZE; i++)
        blob[i] = (char)(i * 31 >> 3);
    return blob;
}

/* All of @blob to the guest, as fast as it goes, then the end. */
static void check_download(UserGuestTcp *tcp, int fd, const char *blob)
{
    size_t written = 0, received = 0;
    const uint8_t *data;

    while (received < BLOB_SIZE) {
        ssize_t n = written < BLOB_SIZE
            ? write(fd, blob + written, BLOB_SIZE - written) : 0;
        size_t got;

        if (n > 0)
            written += (size_t)n;
        got = user_guest_tcp_receive(tcp, &data);
        g_assert_cmpuint(got, >, 0);
        g_assert_cmpmem(data, got, blob + received, got);
        received += got;
    }
    close(fd);
    g_assert_cmpuint(user_guest_tcp_receive(tcp, &data), ==, 0);
    g_assert_true(tcp->has_ended);
}

static void test_tcp_to_the_host(void)
{
    UserGuest *guest = new_guest_with_address("");
    g_autofree char *blob = make_blob();
    UserGuestTcp tcp;
    uint16_t port;
    int server = serve(SOCK_STREAM, &port);
    char text[10];
    int fd;

    g_assert_true(user_guest_connect(&tcp, guest, HOST, 4000, port));
    fd = take_connection(guest, server);
    user_guest_tcp_send(&tcp, TH_ACK | TH_PUSH, "hello", 5);
    g_assert_cmpint(host_read(guest, fd, text, sizeof(text)), ==, 5);
    g_assert_cmpmem(text, 5, "hello", 5);
    check_download(&tcp, fd, blob);
    user_guest_tcp_send(&tcp, TH_ACK | TH_FIN, NULL, 0);

    /* Nobody listens. */
    close(server);
    g_assert_false(user_guest_connect(&tcp, guest, HOST, 4001, port));
    free_guest(guest);
}

static void test_udp_to_the_host(void)
{
    UserGuest *guest = new_guest_with_address("");
    struct sockaddr_in from;
    socklen_t from_size = sizeof(from);
    const uint8_t *answer;
    uint16_t port;
    int server = serve(SOCK_DGRAM, &port);
    char text[10];
    size_t size;
    ssize_t got;

    user_guest_send_udp(guest, HOST, 4000, port, "ask", 3);
    do {
        user_guest_poll(guest);
        got = recvfrom(server, text, sizeof(text), 0, (struct sockaddr *)&from,
                       &from_size);
    } while (got < 0 && errno == EAGAIN);
    g_assert_cmpmem(text, (size_t)got, "ask", 3);
    g_assert_cmpint(sendto(server, "answer", 6, 0, (struct sockaddr *)&from, from_size),
                    ==, 6);
    answer = user_guest_wait_udp(guest, 4000, &size);
    g_assert_nonnull(answer);
    g_assert_cmpmem(answer, size, "answer", 6);
    close(server);
    free_guest(guest);
}

/* The port of a rule with port 0, as people see it. */
static uint16_t find_port(UserGuest *guest, const char *protocol)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *line;
    unsigned port;
    int fd;

    net_user_describe(guest->bench->set, text);
    g_assert_true(g_str_has_prefix(text->str, "Hub -1 (a):\n  Protocol[State]"));
    line = strstr(text->str, protocol);
    g_assert_nonnull(line);
    g_assert_cmpint(sscanf(line + strlen(protocol), " %d 127.0.0.1 %u", &fd, &port), ==,
                    2);
    return (uint16_t)port;
}

static int call(int type, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(port),
    };
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int ret = connect(fd, (struct sockaddr *)&address, sizeof(address));

    g_assert_true(ret == 0 || errno == EINPROGRESS);
    return fd;
}

static void test_forwards(void)
{
    UserGuest *guest = new_guest_with_address(",hostfwd=tcp:127.0.0.1:0-:80,"
                                              "hostfwd=udp:127.0.0.1:0-10.0.2.15:53");
    g_autofree char *blob = make_blob();
    uint16_t port = find_port(guest, "TCP[HOST_FORWARD]");
    int fd = call(SOCK_STREAM, port);
    const uint8_t *data;
    UserGuestTcp tcp;
    char text[10];
    size_t size;

    user_guest_accept(&tcp, guest, 80);
    g_assert_cmphex(tcp.peer, ==, HOST);
    g_assert_cmpint(write(fd, "GET", 3), ==, 3);
    g_assert_cmpuint(user_guest_tcp_receive(&tcp, &data), ==, 3);
    user_guest_tcp_send(&tcp, TH_ACK | TH_PUSH, "200", 3);
    g_assert_cmpint(host_read(guest, fd, text, sizeof(text)), ==, 3);
    check_download(&tcp, fd, blob);

    fd = call(SOCK_DGRAM, find_port(guest, "UDP[HOST_FORWARD]"));
    g_assert_cmpint(write(fd, "ask", 3), ==, 3);
    data = user_guest_wait_udp(guest, 53, &size);
    g_assert_nonnull(data);
    g_assert_cmpmem(data, size, "ask", 3);
    close(fd);
    free_guest(guest);
}

static void test_forwards_that_come_and_go(void)
{
    UserGuest *guest = new_guest("");
    const NetSet *set = guest->bench->set;
    uint16_t busy;
    int server = serve(SOCK_STREAM, &busy);
    g_autofree char *taken = g_strdup_printf("tcp:127.0.0.1:%u-:22", busy);
    g_autofree char *wrong = g_strconcat("user,id=b,hostfwd=", taken, NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *rule = NULL;
    GError *error = NULL;
    bool found;

    g_assert_false(net_user_add_forward(set, "a", taken, &error));
    g_assert_nonnull(strstr(error->message, "in use"));
    g_clear_error(&error);
    net_bench_assert_refused(guest->bench, wrong, "'hostfwd': cannot listen");
    net_bench_assert_refused(guest->bench, "user,id=b,hostfwd=22", "'hostfwd'");

    g_assert_true(net_user_add_forward(set, NULL, "tcp:127.0.0.1:0-:22", NULL));
    rule = g_strdup_printf("tcp:127.0.0.1:%u", find_port(guest, "TCP[HOST_FORWARD]"));
    g_assert_true(net_user_remove_forward(set, "a", rule, &found, NULL));
    g_assert_true(found);
    g_assert_true(net_user_remove_forward(set, "a", rule, &found, NULL));
    g_assert_false(found);
    net_user_describe(set, text);
    g_assert_null(strstr(text->str, "HOST_FORWARD"));

    g_assert_false(net_user_add_forward(set, "b", taken, &error));
    g_assert_nonnull(strstr(error->message, "'b'"));
    g_clear_error(&error);
    close(server);
    free_guest(guest);
}

static void test_restrict(void)
{
    UserGuest *guest = new_guest_with_address(",restrict=on,hostfwd=tcp:127.0.0.1:0-:80");
    uint16_t port;
    int server = serve(SOCK_STREAM, &port);
    uint32_t address;
    UserGuestTcp tcp;
    size_t size;
    int fd;

    tcp = (UserGuestTcp) {
        .guest = guest, .peer = HOST, .port = 4000, .peer_port = port,
    };
    user_guest_tcp_send(&tcp, TH_SYN, NULL, 0);
    /* What comes behind it is answered. */
    g_assert_nonnull(user_guest_dhcp(guest, 1, &address, &size));
    g_assert_cmpint(accept(server, NULL, NULL), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    fd = call(SOCK_STREAM, find_port(guest, "TCP[HOST_FORWARD]"));
    user_guest_accept(&tcp, guest, 80);
    close(fd);
    close(server);
    free_guest(guest);
}

static void test_tftp(void)
{
    g_autofree char *folder = g_dir_make_tmp("berth-tftp-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "pxe.0", NULL);
    g_autofree char *options = g_strconcat(",tftp=", folder, NULL);
    static const char ask[] = "\0\1pxe.0\0octet";
    static const char escape[] = "\0\1../etc/passwd\0octet";
    UserGuest *guest;
    const uint8_t *data;
    size_t size;

    g_assert_true(g_file_set_contents(file, "boot me", -1, NULL));
    guest = new_guest_with_address(options);
    user_guest_send_udp(guest, HOST, 4000, 69, ask, sizeof(ask));
    data = user_guest_wait_udp(guest, 4000, &size);
    g_assert_nonnull(data);
    g_assert_cmpmem(data, size, "\0\3\0\1boot me", 11);
    user_guest_send_udp(guest, HOST, 4001, 69, escape, sizeof(escape));
    data = user_guest_wait_udp(guest, 4001, &size);
    g_assert_nonnull(data);
    g_assert_cmpuint(data[1], ==, 5);
    free_guest(guest);
    g_assert_cmpint(g_unlink(file), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static unsigned count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

static void test_removal_with_connections(void)
{
    unsigned before;
    UserGuest *guest;
    UserGuestTcp tcp;
    uint16_t port;
    int server = serve(SOCK_STREAM, &port);
    char text[10];
    int fd;

    /* What is loaded stays. */
    free_guest(new_guest(""));
    before = count_descriptors();
    guest = new_guest_with_address(",hostfwd=tcp:127.0.0.1:0-:80");
    g_assert_true(user_guest_connect(&tcp, guest, HOST, 4000, port));
    fd = take_connection(guest, server);
    user_guest_send_udp(guest, HOST, 4000, 9, "x", 1);
    free_guest(guest);
    g_assert_true(read(fd, text, sizeof(text)) == 0 || errno == ECONNRESET);
    close(fd);
    g_assert_cmpuint(count_descriptors(), ==, before);
    close(server);
}

/* Nothing is due as long as nothing happens. */
static void test_idle(void)
{
    UserGuest *guest = new_guest_with_address(",ipv6=off,hostfwd=tcp:127.0.0.1:0-:80,"
                                              "hostfwd=udp:127.0.0.1:0-:53");

    for (unsigned i = 0; i < 10; i++)
        user_guest_poll(guest);
    g_assert_false(loop_has_timer(guest->bench->loop));
    user_guest_send_udp(guest, HOST, 4000, 9, "x", 1);
    user_guest_poll(guest);
    user_guest_poll(guest);
    g_assert_true(loop_has_timer(guest->bench->loop));
    free_guest(guest);
}

/*
 * A guest that takes nothing: what waits for it is bounded, and all of it comes when it
 * goes on.
 */
static void test_guest_that_takes_no_frames(void)
{
    UserGuest *guest = new_guest_with_address("");
    g_autofree char *blob = make_blob();
    UserGuestTcp tcp[8];
    int fds[G_N_ELEMENTS(tcp)];
    size_t written[G_N_ELEMENTS(tcp)] = { 0 }, received[G_N_ELEMENTS(tcp)] = { 0 };
    size_t waiting = 0;
    uint16_t port;
    int server = serve(SOCK_STREAM, &port);

    for (unsigned i = 0; i < G_N_ELEMENTS(tcp); i++) {
        g_assert_true(user_guest_connect(&tcp[i], guest, HOST, (uint16_t)(4000 + i),
                                         port));
        fds[i] = take_connection(guest, server);
    }
    for (unsigned turn = 0; turn < 200; turn++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(tcp); i++) {
            ssize_t n = write(fds[i], blob + written[i], BLOB_SIZE - written[i]);

            written[i] += n > 0 ? (size_t)n : 0;
        }
        loop_turn(guest->bench->loop, false);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(tcp); i++)
        waiting += written[i];
    while (waiting > 0) {
        const uint8_t *data;
        unsigned i;
        size_t got = user_guest_tcp_receive_of(tcp, G_N_ELEMENTS(tcp), &i, &data);

        g_assert_cmpuint(got, >, 0);
        g_assert_cmpmem(data, got, blob + received[i], got);
        received[i] += got;
        waiting -= got;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(tcp); i++)
        close(fds[i]);
    close(server);
    free_guest(guest);
}

/* A guest has no more than its part of the descriptors, and keeps what it has. */
static void test_too_many_connections(void)
{
    const struct rlimit few = { 128, 128 };
    struct rlimit before;
    UserGuest *guest;
    UserGuestTcp tcp, more;
    uint16_t port;
    int server = serve(SOCK_STREAM, &port);
    unsigned n_before;
    char text[10];
    int fd;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &(struct rlimit) {
        few.rlim_cur, before.rlim_max }), ==, 0);
    guest = new_guest_with_address("");
    n_before = count_descriptors();
    g_assert_true(user_guest_connect(&tcp, guest, HOST, 4000, port));
    fd = take_connection(guest, server);
    for (unsigned i = 1; i < 200; i++) {
        more = (UserGuestTcp) {
            .guest = guest, .peer = HOST, .port = (uint16_t)(4000 + i), .peer_port = port,
        };
        user_guest_tcp_send(&more, TH_SYN, NULL, 0);
        user_guest_send_udp(guest, HOST, (uint16_t)(4000 + i), port, "x", 1);
    }
    for (unsigned i = 0; i < 20; i++)
        user_guest_poll(guest);
    g_assert_cmpuint(count_descriptors(), <=, n_before + 64 + 2);
    g_assert_cmpuint(count_descriptors(), >, n_before + 32);
    user_guest_tcp_send(&tcp, TH_ACK | TH_PUSH, "hello", 5);
    g_assert_cmpint(host_read(guest, fd, text, sizeof(text)), ==, 5);
    free_guest(guest);
    close(fd);
    close(server);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
}

static void test_frames_that_are_none(void)
{
    UserGuest *guest = new_guest_with_address("");
    g_autofree uint8_t *frame = g_malloc0(10000);
    uint32_t address;
    size_t size;

    g_assert_cmpint(net_bench_send(guest->queue, frame, 1519), ==, -EMSGSIZE);
    for (size_t n = 1; n < 1518; n += 7) {
        for (size_t i = 0; i < n; i++)
            frame[i] = (uint8_t)g_test_rand_int();
        frame[12] = n % 2 ? 8 : 0x86;
        frame[13] = n % 2 ? n % 3 * 6 : 0xdd;
        frame[14] = n % 2 ? 0x45 : 0x60;
        while (net_bench_send(guest->queue, frame, n) == -EAGAIN)
            user_guest_poll(guest);
        user_guest_poll(guest);
    }
    g_assert_nonnull(user_guest_dhcp(guest, 1, &address, &size));
    g_assert_cmphex(address, ==, GUEST);
    free_guest(guest);
}

static void test_router_of_ipv6(void)
{
    UserGuest *guest = new_guest(",ipv6=on,ipv6-net=2001:db8:5::/64");
    /* A router solicitation from the unspecified address; its checksum is right. */
    uint8_t packet[48] = {
        0x60, 0, 0, 0, 0, 8, 58, 255, [24] = 0xff, 0x02, [39] = 2, 133, 0, 0x7b, 0xb8,
    };
    bool has_prefix = false;

    user_guest_send(guest, 0x86dd, packet, sizeof(packet));
    while (!has_prefix && user_guest_wait(guest)) {
        static const uint8_t prefix[] = { 0x20, 0x01, 0x0d, 0xb8, 0, 5 };

        for (size_t at = 0; at + sizeof(prefix) <= guest->size; at++)
            has_prefix |= memcmp(guest->frame + at, prefix, sizeof(prefix)) == 0;
    }
    g_assert_true(has_prefix);
    free_guest(guest);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    if (!net_user_load(&error)) {
        g_print("1..0 # SKIP %s\n", error->message);
        return 0;
    }
    g_test_add_func("/user-net/dhcp", test_dhcp);
    g_test_add_func("/user-net/ping", test_ping);
    g_test_add_func("/user-net/tcp-to-the-host", test_tcp_to_the_host);
    g_test_add_func("/user-net/udp-to-the-host", test_udp_to_the_host);
    g_test_add_func("/user-net/forwards", test_forwards);
    g_test_add_func("/user-net/forwards-that-come-and-go",
                    test_forwards_that_come_and_go);
    g_test_add_func("/user-net/restrict", test_restrict);
    g_test_add_func("/user-net/tftp", test_tftp);
    g_test_add_func("/user-net/removal-with-connections", test_removal_with_connections);
    g_test_add_func("/user-net/idle", test_idle);
    g_test_add_func("/user-net/guest-that-takes-no-frames",
                    test_guest_that_takes_no_frames);
    g_test_add_func("/user-net/too-many-connections", test_too_many_connections);
    g_test_add_func("/user-net/frames-that-are-none", test_frames_that_are_none);
    g_test_add_func("/user-net/router-of-ipv6", test_router_of_ipv6);
    return g_test_run();
}
