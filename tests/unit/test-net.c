/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of network backends, and datagram sockets.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "berth/error.h"

#include "net-bench.h"

static void test_names(void)
{
    g_autoptr(NetBench) bench = net_bench_new();
    g_autoptr(GString) text = g_string_new(NULL);

    net_bench_add(bench, "null,id=a");
    net_bench_assert_refused(bench, "null,id=a", "'a' already");
    net_bench_assert_refused(bench, "null,id=1a", "'id'");
    net_bench_assert_refused(bench, "null", "'id'");
    net_bench_assert_refused(bench, "vde,id=b", "no VDE");
    net_bench_assert_refused(bench, "none,id=b", "none");
    net_set_describe(bench->set, text);
    g_assert_cmpstr(text->str, ==, "a: index=0,type=null\n");
}

static void test_sink(void)
{
    g_autoptr(NetBench) bench = net_bench_new();
    NetBackend *backend;
    char frame[64] = "";

    net_bench_add(bench, "null,id=a,queues=2");
    backend = net_bench_attach(bench, 0, "a");
    g_assert_cmpuint(net_backend_n_queues(backend), ==, 2);
    g_assert_cmpint(net_bench_send(net_backend_queue(backend, 1), frame, 64), ==, 0);
    g_assert_cmpint(net_queue_receive(net_backend_queue(backend, 0), NULL, 0), ==,
                    -EAGAIN);
}

/* Two ends of a cable that is a pair of files; the second is plugged in later. */
static void test_unix_datagrams(void)
{
    g_autofree char *folder = g_dir_make_tmp("berth-net-XXXXXX", NULL);
    g_autofree char *first = g_strdup_printf(
        "dgram,id=a,local.type=unix,local.path=%s/a,remote.type=unix,remote.path=%s/b",
        folder, folder);
    g_autofree char *second = g_strdup_printf(
        "dgram,id=b,local.type=unix,local.path=%s/b,remote.type=unix,remote.path=%s/a",
        folder, folder);
    NetBench *bench = net_bench_new();
    NetQueue *a, *b;
    char got[100];
    int64_t end_ns;

    net_bench_add(bench, first);
    a = net_backend_queue(net_bench_attach(bench, 0, "a"), 0);
    g_assert_cmpint(net_bench_send(a, "lost", 4), <, 0);

    net_bench_add(bench, second);
    b = net_backend_queue(net_bench_attach(bench, 1, "b"), 0);
    g_assert_cmpint(net_bench_send(b, "hello", 5), ==, 0);
    g_assert_cmpint(net_bench_receive(a, got, sizeof(got)), ==, 5);
    g_assert_cmpmem(got, 5, "hello", 5);
    /* Main connects again, not for every frame. */
    end_ns = loop_clock_ns() + 5 * NS_PER_SEC;
    while (net_bench_send(a, "there", 5) < 0 && loop_clock_ns() < end_ns)
        loop_turn(bench->loop, false);
    g_assert_cmpint(net_bench_receive(b, got, sizeof(got)), ==, 5);

    net_bench_free(bench);
    /* Their files are gone. */
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static void test_udp(void)
{
    g_autoptr(NetBench) bench = net_bench_new();
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char got[100];
    NetQueue *a;
    int fd;

    net_bench_add(bench, "dgram,id=a,local.type=inet,local.host=127.0.0.1,local.port=0,"
                  "remote.type=inet,remote.host=127.0.0.1,remote.port=9");
    a = net_backend_queue(net_bench_attach(bench, 0, "a"), 0);
    g_assert_cmpint(getsockname(a->fd, (struct sockaddr *)&address, &size), ==, 0);
    fd = socket(address.ss_family, SOCK_DGRAM, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, size), ==, 0);

    /* Only what comes from the far end is a frame. */
    g_assert_cmpint(send(fd, "x", 1, 0), <=, 1);
    g_assert_cmpint(net_bench_receive(a, got, sizeof(got)), ==, -EAGAIN);
    close(fd);
}

static void test_wrong_datagram_options(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "dgram,id=a", "'local' is missing" },
        { "dgram,id=a,local.type=unix,local.path=/tmp/x", "'remote' is missing" },
        { "dgram,id=a,local.type=inet,local.host=example.org,local.port=1,"
          "remote.type=inet,remote.host=::1,remote.port=1", "expects numbers" },
        { "dgram,id=a,local.type=inet,local.host=127.0.0.1,local.port=0,"
          "remote.type=inet,remote.host=::1,remote.port=1", "of one kind" },
        { "dgram,id=a,local.type=vsock,local.cid=1,local.port=1,"
          "remote.type=inet,remote.host=::1,remote.port=1", "'vsock'" },
        { "dgram,id=a,local.type=fd,local.str=12345", "12345 is no descriptor" },
        { "dgram,id=a,local.type=fd,local.str=-1", "'local'" },
        { "dgram,id=a,local.type=unix,local.path=/nonexistent/x,remote.type=unix,"
          "remote.path=/tmp/y", "cannot bind" },
    };
    g_autoptr(NetBench) bench = net_bench_new();
    g_autofree char *text = NULL;
    int fds[2];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        net_bench_assert_refused(bench, cases[i].text, cases[i].words);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    text = g_strdup_printf("dgram,id=a,local.type=fd,local.str=%d", fds[0]);
    net_bench_assert_refused(bench, text, "no datagram socket");
    close(fds[1]);
}

/* A port of UDP and TCP of this host that nobody has now. */
static unsigned free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* Backends by @first and @second, which have a port each in them; a frame both ways. */
static void check_pair(const char *first, const char *second)
{
    g_autoptr(NetBench) bench = net_bench_new();
    NetQueue *a, *b;
    char got[100];

    net_bench_add(bench, first);
    net_bench_add(bench, second);
    for (unsigned i = 0; i < 5; i++)
        loop_turn(bench->loop, false);
    a = net_backend_queue(net_bench_attach(bench, 0, "a"), 0);
    b = net_backend_queue(net_bench_attach(bench, 1, "b"), 0);
    g_assert_cmpint(net_bench_send(a, "hello", 5), ==, 0);
    g_assert_cmpint(net_bench_receive(b, got, sizeof(got)), ==, 5);
    g_assert_cmpint(net_bench_send(b, "you", 3), ==, 0);
    g_assert_cmpint(net_bench_receive(a, got, sizeof(got)), ==, 3);
    g_assert_cmpmem(got, 3, "you", 3);
}

static void test_older_sockets(void)
{
    unsigned one = free_port(), two = free_port();
    g_autofree char *listener = g_strdup_printf("socket,id=a,listen=:%u", one);
    g_autofree char *client = g_strdup_printf("socket,id=b,connect=127.0.0.1:%u", one);
    g_autofree char *first = g_strdup_printf(
        "socket,id=a,udp=127.0.0.1:%u,localaddr=127.0.0.1:%u", one, two);
    g_autofree char *second = g_strdup_printf(
        "socket,id=b,udp=127.0.0.1:%u,localaddr=127.0.0.1:%u", two, one);
    char *streams[2], *datagrams[2];
    int fds[2];

    check_pair(listener, client);
    check_pair(first, second);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    for (unsigned i = 0; i < 2; i++)
        streams[i] = g_strdup_printf("socket,id=%s,fd=%d", i ? "b" : "a", fds[i]);
    check_pair(streams[0], streams[1]);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), ==, 0);
    for (unsigned i = 0; i < 2; i++)
        datagrams[i] = g_strdup_printf("socket,id=%s,fd=%d", i ? "b" : "a", fds[i]);
    check_pair(datagrams[0], datagrams[1]);
    for (unsigned i = 0; i < 2; i++) {
        g_free(streams[i]);
        g_free(datagrams[i]);
    }
}

/* Each hears the others of a group, and not itself. */
static void test_multicast(void)
{
    unsigned port = free_port();
    g_autofree char *first = g_strdup_printf(
        "socket,id=a,mcast=239.255.77.77:%u,localaddr=127.0.0.1", port);
    g_autofree char *second = g_strdup_printf(
        "dgram,id=b,remote.type=inet,remote.host=239.255.77.77,remote.port=%u,"
        "local.type=inet,local.host=127.0.0.1,local.port=0", port);
    g_autoptr(NetBench) bench = net_bench_new();
    g_autoptr(GError) error = NULL;
    NetQueue *a, *b;
    char got[100];

    if (!net_bench_try_add(bench, first, &error)) {
        g_test_skip(error->message);
        return;
    }
    net_bench_add(bench, second);
    a = net_backend_queue(net_bench_attach(bench, 0, "a"), 0);
    b = net_backend_queue(net_bench_attach(bench, 1, "b"), 0);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(net_bench_send(a, "hello", 5), ==, 0);
        g_assert_cmpint(net_bench_receive(b, got, sizeof(got)), ==, 5);
        g_assert_cmpint(net_bench_receive(a, got, sizeof(got)), ==, -EAGAIN);
        g_assert_cmpint(net_bench_send(b, "you", 3), ==, 0);
        g_assert_cmpint(net_bench_receive(a, got, sizeof(got)), ==, 3);
        g_assert_cmpint(net_bench_receive(b, got, sizeof(got)), ==, -EAGAIN);
    }
}

static void test_wrong_socket_options(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "socket,id=a", "exactly one" },
        { "socket,id=a,listen=:1,connect=127.0.0.1:1", "exactly one" },
        { "socket,id=a,listen=:1,localaddr=127.0.0.1:1", "'localaddr' is only for" },
        { "socket,id=a,udp=127.0.0.1:1", "'localaddr' is missing" },
        { "socket,id=a,mcast=127.0.0.1:1", "group" },
        { "socket,id=a,mcast=239.0.0.1:1,localaddr=127.0.0.1:1", "'localaddr'" },
        { "socket,id=a,connect=127.0.0.1", "HOST:PORT" },
        { "socket,id=a,connect=127.0.0.1:", "HOST:PORT" },
        { "socket,id=a,connect=::1:1", "HOST:PORT" },
        { "socket,id=a,connect=127.0.0.1:99999999999", "HOST:PORT" },
        { "socket,id=a,connect=[", "HOST:PORT" },
        { "socket,id=a,connect=]:1", "HOST:PORT" },
        { "socket,id=a,fd=54321", "no descriptor" },
        { "socket,id=a,listen=192.0.2.1:1", "cannot listen" },
    };
    g_autoptr(NetBench) bench = net_bench_new();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        net_bench_assert_refused(bench, cases[i].text, cases[i].words);
}

static void test_addresses(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "52:54:00:12:34:56", true }, { "52-54-00-ab-CD-ef", true },
        { "02:00:00:00:00:00", true }, { "", false }, { "52", false },
        { "52:54:00:12:34:5", false }, { "52:54:00:12:34:", false },
        { "52:54:00:12:34:56 ", false }, { "5:54:00:12:34:56", false },
        { "525400123456", false }, { "53:54:00:12:34:56", false },
        { "ff:ff:ff:ff:ff:ff", false },
    };
    uint8_t mac[NET_MAC_SIZE];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", cases[i].text);
        g_assert_cmpint(net_mac_parse(cases[i].text, "mac", mac, &error), ==,
                        cases[i].good);
        g_assert_cmpint(error == NULL, ==, cases[i].good);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/names", test_names);
    g_test_add_func("/net/sink", test_sink);
    g_test_add_func("/net/unix-datagrams", test_unix_datagrams);
    g_test_add_func("/net/udp", test_udp);
    g_test_add_func("/net/wrong-datagram-options", test_wrong_datagram_options);
    g_test_add_func("/net/older-sockets", test_older_sockets);
    g_test_add_func("/net/multicast", test_multicast);
    g_test_add_func("/net/wrong-socket-options", test_wrong_socket_options);
    g_test_add_func("/net/addresses", test_addresses);
    return g_test_run();
}
