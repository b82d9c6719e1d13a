/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in stream sockets: connections that come and go, framing, hostile far ends, and
 * the queue of a device on one.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "berth/error.h"
#include "berth/timer.h"

#include "kit-net.h"
#include "net-bench.h"

#define GUARD_NS (20 * NS_PER_SEC)

/* What clients were told: "+a " and "-a ". */
typedef struct Told {
    GString *text;
    char *peer;                 /* of the last connection */
} Told;

static void on_connected(void *opaque, const char *id, const SocketAddress *peer)
{
    Told *told = opaque;
    g_autofree char *inet = peer->type == SOCKET_ADDRESS_TYPE_INET
        ? g_strdup_printf("inet:%s", peer->u.inet.host) : NULL;

    g_string_append_printf(told->text, "+%s ", id);
    g_free(told->peer);
    told->peer = inet ? g_steal_pointer(&inet)
                      : g_strdup_printf("unix:%s", peer->u.q_unix.path);
}

static void on_disconnected(void *opaque, const char *id)
{
    Told *told = opaque;

    g_string_append_printf(told->text, "-%s ", id);
}

static const NetSetOps ops = {
    .stream_connected = on_connected, .stream_disconnected = on_disconnected,
};

typedef struct Case {
    NetBench *bench;
    char *folder;
    Told told;
} Case;

static void set_up(Case *c, const void *data)
{
    c->bench = net_bench_new();
    c->folder = g_dir_make_tmp("berth-stream-XXXXXX", NULL);
    c->told.text = g_string_new(NULL);
    net_set_watch(c->bench->set, &ops, &c->told);
}

static void tear_down(Case *c, const void *data)
{
    net_bench_free(c->bench);
    /* Files of sockets are gone. */
    g_assert_cmpint(g_rmdir(c->folder), ==, 0);
    g_free(c->folder);
    g_free(c->told.peer);
    g_string_free(c->told.text, true);
}

static void fail(void *opaque)
{
    Case *c = opaque;

    g_error("nothing happens; told so far: %s", c->told.text->str);
}

/* Turns the loop until @text has been told. */
static void wait_told(Case *c, const char *text)
{
    Timer guard = { 0 };

    timer_init(&guard, c->bench->loop, fail, c);
    timer_set(&guard, loop_clock_ns() + GUARD_NS);
    while (strcmp(c->told.text->str, text) != 0)
        loop_turn(c->bench->loop, true);
    timer_cancel(&guard);
}

/* Adds backend @id of "SOCKET" at file "s" of the folder, with more options. */
static void add(Case *c, const char *id, const char *more)
{
    g_autofree char *text = g_strdup_printf(
        "stream,id=%s,addr.type=unix,addr.path=%s/s%s", id, c->folder, more);

    net_bench_add(c->bench, text);
}

static NetQueue *attach(Case *c, unsigned n, const char *id)
{
    return net_backend_queue(net_bench_attach(c->bench, n, id), 0);
}

/* A backend on one end of a pair; the other end, non-blocking. */
static int add_pair(Case *c, const char *id)
{
    g_autofree char *text = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_cmpint(fcntl(fds[1], F_SETFL, O_NONBLOCK), ==, 0);
    text = g_strdup_printf("stream,id=%s,addr.type=fd,addr.str=%d", id, fds[0]);
    net_bench_add(c->bench, text);
    return fds[1];
}

static void fill_frame(uint8_t *frame, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(i * 11 + seed);
}

static void test_both_ways(Case *c, const void *data)
{
    static const uint32_t sizes[] = { 1, 60, 1514, 9014, 65553, 2, 65553 };
    g_autofree uint8_t *frame = g_malloc(70000), *got = g_malloc(70000);
    NetQueue *a, *b;

    add(c, "a", ",server=on");
    add(c, "b", "");
    wait_told(c, "+b +a ");
    a = attach(c, 0, "a");
    b = attach(c, 1, "b");
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        NetQueue *from = i % 2 ? a : b, *to = i % 2 ? b : a;
        ssize_t n = -EAGAIN;

        fill_frame(frame, sizes[i], (unsigned)i);
        g_assert_cmpint(net_bench_send(from, frame, sizes[i]), ==, 0);
        while (n == -EAGAIN)
            n = net_bench_receive(to, got, 70000);
        g_assert_cmpmem(got, (size_t)n, frame, sizes[i]);
    }
    g_assert_cmpint(net_bench_send(a, frame, 65554), ==, -EINVAL);
    g_assert_cmpint(net_bench_send(a, frame, 0), ==, -EINVAL);
}

static void test_addresses_are_told(Case *c, const void *data)
{
    g_autofree char *path = g_strdup_printf("unix:%s/s", c->folder);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *words = g_strdup_printf(
        "a: index=0,type=stream,unix:%s/s,server=on,connected\n"
        "b: index=0,type=stream,unix:%s/s,connected\n", c->folder, c->folder);

    add(c, "a", ",server=on");
    add(c, "b", "");
    g_assert_cmpstr(c->told.peer, ==, path);
    wait_told(c, "+b +a ");
    /* A client has no address. */
    g_assert_cmpstr(c->told.peer, ==, "unix:");
    net_set_describe(c->bench->set, text);
    g_assert_cmpstr(text->str, ==, words);
}

static void test_tcp(Case *c, const void *data)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    g_autofree char *server = NULL, *client = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char got[10];

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
    server = g_strdup_printf("stream,id=a,server=on,addr.type=fd,addr.str=%d", fd);
    client = g_strdup_printf("stream,id=b,addr.type=inet,addr.host=localhost,"
                             "addr.port=%u,addr.keep-alive=on", ntohs(address.sin_port));
    net_bench_add(c->bench, server);
    net_bench_add(c->bench, client);
    while (strlen(c->told.text->str) < 6)
        loop_turn(c->bench->loop, true);
    g_assert_cmpstr(c->told.peer, ==, "inet:127.0.0.1");
    g_assert_cmpint(net_bench_send(attach(c, 0, "b"), "hello", 5), ==, 0);
    g_assert_cmpint(net_bench_receive(attach(c, 1, "a"), got, sizeof(got)), ==, 5);
}

/* The server comes later, goes, and comes again. */
static void test_reconnect(Case *c, const void *data)
{
    NetQueue *b;
    char got[10];

    add(c, "b", ",reconnect-ms=5");
    b = attach(c, 0, "b");
    g_assert_cmpint(net_bench_send(b, "lost", 4), ==, -ENOTCONN);
    add(c, "a", ",server=on");
    wait_told(c, "+b +a ");
    g_assert_true(net_set_remove(c->bench->set, "a", NULL));
    wait_told(c, "+b +a -b ");
    g_assert_cmpint(net_bench_send(b, "lost", 4), ==, -ENOTCONN);
    add(c, "a", ",server=on");
    wait_told(c, "+b +a -b +b +a ");
    g_assert_cmpint(net_bench_send(b, "hello", 5), ==, 0);
    g_assert_cmpint(net_bench_receive(attach(c, 1, "a"), got, sizeof(got)), ==, 5);
}

/* A server has one far end; the next one waits for its turn. */
static void test_one_at_a_time(Case *c, const void *data)
{
    char got[10];

    add(c, "a", ",server=on");
    add(c, "b", "");
    wait_told(c, "+b +a ");
    add(c, "d", "");
    g_assert_cmpint(net_bench_send(attach(c, 0, "d"), "hello", 5), ==, 0);
    for (unsigned i = 0; i < 5; i++)
        loop_turn(c->bench->loop, false);
    g_assert_cmpstr(c->told.text->str, ==, "+b +a +d ");
    g_assert_true(net_set_remove(c->bench->set, "b", NULL));
    wait_told(c, "+b +a +d -a +a ");
    g_assert_cmpint(net_bench_receive(attach(c, 1, "a"), got, sizeof(got)), ==, 5);
}

static void put(int fd, const void *bytes, size_t size)
{
    g_assert_cmpint(send(fd, bytes, size, MSG_NOSIGNAL), ==, (ssize_t)size);
}

static void test_frames_in_pieces(Case *c, const void *data)
{
    static const uint8_t bytes[] = { 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 1 };
    int fd = add_pair(c, "a");
    NetQueue *a = attach(c, 0, "a");
    struct iovec iov;
    uint8_t got[20];

    iov = (struct iovec) { got, sizeof(got) };
    for (size_t i = 0; i < sizeof(bytes); i++) {
        ssize_t n;

        put(fd, bytes + i, 1);
        n = net_queue_receive(a, &iov, 1);
        g_assert_cmpint(n, ==, i == 6 ? 15 : i == 10 ? 12 : -EAGAIN);
    }
    g_assert_cmpmem(got + 12, 3, "abc", 3);
    /* What does not fit is lost, and only that. */
    put(fd, "x" "\0\0\0\5" "12345" "\0\0\0\1" "y", 15);
    iov.iov_len = 14;
    g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, 13);
    g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, 14);
    g_assert_true(a->has_unread);
    g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, 13);
    g_assert_false(a->has_unread);
    g_assert_cmpint(got[12], ==, 'y');
    close(fd);
}

/* Lengths that cannot be end the connection. */
static void test_hostile_lengths(Case *c, const void *data)
{
    static const uint32_t lengths[] = {
        65554, 69633, 0x7fffffff, 0x80000000, 0xffffffff,
    };
    char got[20];

    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        uint32_t length = GUINT32_TO_BE(lengths[i]);
        int fd = add_pair(c, "a");
        NetQueue *a = attach(c, 0, "a");
        struct iovec iov = { got, sizeof(got) };

        put(fd, "\0\0\0\2ok", 6);
        put(fd, &length, sizeof(length));
        put(fd, "frame", 5);
        g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, 14);
        g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, -EAGAIN);
        wait_told(c, "+a -a ");
        g_assert_cmpint(recv(fd, got, sizeof(got), 0), <=, 0);
        close(fd);
        net_nic_detach(&c->bench->nics[0]);
        g_assert_true(net_set_remove(c->bench->set, "a", NULL));
        g_string_truncate(c->told.text, 0);
    }
}

/* What came whole before the end is given; the piece of a frame is not. */
static void test_last_frames(Case *c, const void *data)
{
    int fd = add_pair(c, "a");
    NetQueue *a = attach(c, 0, "a");
    char got[20];
    struct iovec iov = { got, sizeof(got) };

    put(fd, "\0\0\0\2ab\0\0\0\1c\0\0\0\2d", 16);
    close(fd);
    wait_told(c, "+a -a ");
    g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, 14);
    g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, 13);
    g_assert_cmpint(net_queue_receive(a, &iov, 1), ==, -EAGAIN);
    g_assert_cmpint(net_bench_send(a, "x", 1), ==, -ENOTCONN);
}

static void test_wrong_options(Case *c, const void *data)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "stream,id=a", "'addr'" },
        { "stream,id=a,addr.type=unix,addr.path=/nonexistent/x", "cannot connect" },
        { "stream,id=a,server=on,addr.type=unix,addr.path=/nonexistent/x",
          "cannot listen" },
        { "stream,id=a,addr.type=unix,addr.path=", "1 to 107 bytes" },
        { "stream,id=a,addr.type=inet,addr.host=example.org,addr.port=1",
          "expects numbers" },
        { "stream,id=a,addr.type=inet,addr.host=127.0.0.1,addr.port=http",
          "expects numbers" },
        { "stream,id=a,addr.type=inet,addr.host=127.0.0.1,addr.port=1,addr.ipv4=off",
          "expects numbers" },
        { "stream,id=a,addr.type=inet,addr.host=127.0.0.1,addr.port=1,addr.to=2",
          "'addr.to'" },
        { "stream,id=a,addr.type=inet,addr.host=127.0.0.1,addr.port=1,addr.mptcp=on",
          "'addr.mptcp'" },
        { "stream,id=a,addr.type=vsock,addr.cid=1,addr.port=1", "'vsock'" },
        { "stream,id=a,addr.type=fd,addr.str=12345", "12345 is no descriptor" },
        { "stream,id=a,server=on,reconnect=1,addr.type=unix,addr.path=/tmp/x",
          "only for server=off" },
        { "stream,id=a,reconnect-ms=1,reconnect=1,addr.type=unix,addr.path=/tmp/x",
          "are the same" },
        { "stream,id=a,reconnect=1,addr.type=fd,addr.str=0", "not for 'fd'" },
    };
    static const struct {
        int type;
        const char *more;
        const char *words;
    } sockets[] = {
        { SOCK_DGRAM, "", "no stream socket" },
        { SOCK_STREAM, "", "not connected" },
        { SOCK_STREAM, ",server=on", "does not listen" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        net_bench_assert_refused(c->bench, cases[i].text, cases[i].words);
    for (size_t i = 0; i < G_N_ELEMENTS(sockets); i++) {
        int fd = socket(AF_UNIX, sockets[i].type, 0);
        g_autofree char *text = g_strdup_printf("stream,id=a,addr.type=fd,addr.str=%d%s",
                                                fd, sockets[i].more);

        net_bench_assert_refused(c->bench, text, sockets[i].words);
    }
    g_assert_cmpstr(c->told.text->str, ==, "");
}

/* A file that is no socket stays; a socket that nobody listens on is replaced. */
static void test_file_in_the_way(Case *c, const void *data)
{
    g_autofree char *path = g_strdup_printf("%s/s", c->folder);
    g_autofree char *text = g_strdup_printf(
        "stream,id=a,server=on,addr.type=unix,addr.path=%s", path);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_true(g_file_set_contents(path, "mine", 4, NULL));
    net_bench_assert_refused(c->bench, text, "in use");
    g_assert_true(g_file_test(path, G_FILE_TEST_IS_REGULAR));
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    close(fd);
    net_bench_add(c->bench, text);
    add(c, "b", "");
    wait_told(c, "+b +a ");
}

/* A device on a stream; its far end is non-blocking. */
static KitNet *make_device(void)
{
    g_autofree char *netdev = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
                               fds), ==, 0);
    netdev = g_strdup_printf("{'type': 'stream', 'id': 'wire', 'addr': "
                             "{'type': 'fd', 'str': '%d'}}", fds[1]);
    return kit_net_new_on(fds[0], NULL, netdev, "");
}

/*
 * The guest sends more than the far end reads: its queue waits, nothing is lost and
 * nothing grows; what it sent comes in order when the far end reads.
 */
static void test_slow_far_end(void)
{
    g_autoptr(KitNet) net = make_device();
    static uint8_t frame[1500], got[1504];
    unsigned n_sent = 0, n_got = 0;
    uint32_t head, len, have = 0;

    kit_net_start(net, UINT64_MAX);
    for (;;) {
        fill_frame(frame, sizeof(frame), n_sent);
        kit_net_send(net, frame, sizeof(frame), 4000);
        n_sent++;
        if (!kit_queue_take(&net->tx, &head, &len))
            break;
        g_assert_cmpuint(n_sent, <, 10000);
    }
    g_assert_cmpuint(n_sent, >, 10);
    while (n_got < n_sent) {
        ssize_t n = recv(net->wire, got + have, sizeof(got) - have, 0);

        if (n < 0) {
            g_assert_cmpint(errno, ==, EAGAIN);
            kit_run(net->kit);
            continue;
        }
        have += (uint32_t)n;
        if (have < sizeof(got))
            continue;
        fill_frame(frame, sizeof(frame), n_got);
        g_assert_cmpmem(got, 4, "\0\0\5\xdc", 4);
        g_assert_cmpmem(got + 4, sizeof(frame), frame, sizeof(frame));
        have = 0;
        n_got++;
    }
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
}

/* Frames that were read in one piece reach the guest, also as its buffers come. */
static void test_many_frames_at_once(void)
{
    g_autoptr(KitNet) net = make_device();
    uint8_t bytes[100 * 64], frame[60], got[KIT_NET_BUFFER];

    kit_net_start(net, UINT64_MAX);
    for (unsigned i = 0; i < 100; i++) {
        uint32_t length = GUINT32_TO_BE(60);

        memcpy(bytes + i * 64, &length, 4);
        fill_frame(frame, 60, i);
        memset(frame, 0xff, 6);
        memcpy(bytes + i * 64 + 4, frame, 60);
    }
    kit_net_wire_send(net, bytes, sizeof(bytes));
    for (unsigned i = 0; i < 100; i++) {
        /* Some wait for a buffer, some find it. */
        if (i % 10 == 0)
            kit_net_offer(net, 10, KIT_NET_BUFFER);
        kit_run(net->kit);
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, 72);
        fill_frame(frame, 60, i);
        g_assert_cmpmem(got + KIT_NET_HEADER + 6, 54, frame + 6, 54);
    }
}

/* The far end goes while the guest's queue waits for it. */
static void test_far_end_goes(void)
{
    g_autoptr(KitNet) net = make_device();
    uint8_t frame[1500] = { 0 };
    uint32_t head, len;

    kit_net_start(net, UINT64_MAX);
    do {
        kit_net_send(net, frame, sizeof(frame), 4000);
    } while (kit_queue_take(&net->tx, &head, &len));
    base_close_fd(&net->wire);
    for (unsigned i = 0; i < 5; i++)
        kit_run_both(net->kit);
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
    kit_net_send(net, frame, sizeof(frame), 4000);
    kit_run(net->kit);
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
}

/* Connections come and go while the queues, on a thread of their own, are busy. */
static void test_connections_beside_the_queues(void)
{
    g_autofree char *folder = g_dir_make_tmp("berth-stream-XXXXXX", NULL);
    g_autofree char *netdev = g_strdup_printf(
        "{'type': 'stream', 'id': 'wire', 'server': true, 'addr': "
        "{'type': 'unix', 'path': '%s/s'}}", folder);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    KitNet *net = kit_net_new_on(-1, "{'qom-type': 'iothread', 'id': 'io'}", netdev,
                                 ", 'iothread': 'io'");
    uint8_t bytes[64 * 20] = { 0 }, frame[1000] = { 0 };
    uint32_t head, len;

    g_snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", folder);
    for (unsigned i = 0; i < 20; i++)
        memcpy(bytes + 64 * i, "\0\0\0\x3c\xff\xff\xff\xff\xff\xff", 10);
    kit_net_start(net, UINT64_MAX);
    for (unsigned i = 0; i < 50; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

        g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        kit_net_offer(net, 1, KIT_NET_BUFFER);
        kit_net_send(net, frame, sizeof(frame), 2000);
        put(fd, bytes, sizeof(bytes));
        while (recv(fd, frame, 1, 0) < 0) {
            if (kit_queue_take(&net->tx, &head, &len))
                kit_net_send(net, frame, sizeof(frame), 2000);
            while (kit_queue_take(&net->rx, &head, &len))
                kit_net_offer(net, 1, KIT_NET_BUFFER);
            loop_turn(net->kit->loop, false);
        }
        close(fd);
        /* The next one waits until this one's end was seen. */
        loop_turn(net->kit->loop, true);
    }
    kit_net_free(net);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static void add_case(const char *name, void (*fn)(Case *c, const void *data))
{
    g_test_add(name, Case, NULL, set_up, fn, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_case("/net-stream/both-ways", test_both_ways);
    add_case("/net-stream/addresses-are-told", test_addresses_are_told);
    add_case("/net-stream/tcp", test_tcp);
    add_case("/net-stream/reconnect", test_reconnect);
    add_case("/net-stream/one-at-a-time", test_one_at_a_time);
    add_case("/net-stream/frames-in-pieces", test_frames_in_pieces);
    add_case("/net-stream/hostile-lengths", test_hostile_lengths);
    add_case("/net-stream/last-frames", test_last_frames);
    add_case("/net-stream/wrong-options", test_wrong_options);
    add_case("/net-stream/file-in-the-way", test_file_in_the_way);
    g_test_add_func("/net-stream/slow-far-end", test_slow_far_end);
    g_test_add_func("/net-stream/many-frames-at-once", test_many_frames_at_once);
    g_test_add_func("/net-stream/far-end-goes", test_far_end_goes);
    g_test_add_func("/net-stream/connections-beside-the-queues",
                    test_connections_beside_the_queues);
    return g_test_run();
}
