/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/qapi.h"

#include "char-bench.h"

/* Options, and how query-chardev calls it while nobody is there. */
static const char *const unconnected[][2] = {
    { "null", "^null$" },
    { "socket,path=berth-a,abstract=on,server=on,wait=off",
      "^disconnected:unix:berth-a,abstract=on,tight=on,server=on$" },
    { "socket,path=berth-b,abstract=on,tight=off,server=on,wait=off",
      "^disconnected:unix:berth-b,abstract=on,server=on$" },
    { "socket,path=/no/such/berth-c,reconnect=3",
      "^disconnected:unix:/no/such/berth-c$" },
    { "socket,host=127.0.0.1,port=0,server=on,wait=off",
      "^disconnected:tcp:127\\.0\\.0\\.1:[1-9]\\d*,server=on$" },
    { "socket,host=127.0.0.1,port=0,server=on,wait=off,telnet=on",
      "^disconnected:telnet:127\\.0\\.0\\.1:[1-9]\\d*,server=on$" },
    { "socket,host=::1,port=0,server=on,wait=off",
      "^disconnected:tcp:\\[::1\\]:[1-9]\\d*,server=on$" },
    { "socket,host=,port=0,server=on,wait=off,ipv4=on",
      "^disconnected:tcp:0\\.0\\.0\\.0:[1-9]\\d*,server=on$" },
    { "socket,host=,port=0,server=on,wait=off,ipv4=off",
      "^disconnected:tcp:\\[::\\]:[1-9]\\d*,server=on$" },
    { "socket,host=,port=0,server=on,wait=off,ipv4=on,ipv6=on",
      "^disconnected:tcp:\\[::\\]:[1-9]\\d*,server=on$" },
    { "socket,host=127.0.0.1,port=1,reconnect-ms=5000",
      "^disconnected:tcp:127\\.0\\.0\\.1:1$" },
};

static bool host_has_ipv6(void)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

static void test_unconnected(CharBench *f, const void *unused)
{
    for (size_t i = 0; i < G_N_ELEMENTS(unconnected); i++) {
        const char *const *row = unconnected[i];
        g_autofree char *name = NULL;

        if (strstr(row[1], "\\[") && !host_has_ipv6())
            continue;
        name = char_filename(char_bench_add(f, "c", row[0]));
        if (!g_regex_match_simple(row[1], name, 0, 0))
            g_error("\"%s\" is called \"%s\"", row[0], name);
        g_assert_true(char_remove(f->set, "c", NULL));
    }
}

static uint16_t port_of(const Chardev *chr)
{
    g_autofree char *name = char_filename(chr);

    return strtoul(strrchr(name, ':') + 1, NULL, 10);
}

static void test_connected(CharBench *f, const void *unused)
{
    Chardev *server = char_bench_add(f, "s", "socket,host=127.0.0.1,port=0,server=on,"
                                     "wait=off,nodelay=on");
    g_autofree char *options = g_strdup_printf("socket,host=127.0.0.1,port=%u,nodelay=on",
                                               port_of(server));
    Chardev *client = char_bench_add(f, "c", options);
    g_autofree char *server_name = NULL, *client_name = NULL;

    CHAR_BENCH_RUN_UNTIL(f, char_is_open(server));
    server_name = char_filename(server);
    client_name = char_filename(client);
    g_assert_true(g_regex_match_simple("^tcp:127\\.0\\.0\\.1:\\d+,server=on <-> "
                                       "127\\.0\\.0\\.1:\\d+$", server_name, 0, 0));
    g_assert_true(g_regex_match_simple("^tcp:127\\.0\\.0\\.1:\\d+ <-> "
                                       "127\\.0\\.0\\.1:\\d+$", client_name, 0, 0));
}

/* The names of abstract sockets as others find them. */
static bool abstract_name_exists(const char *name, socklen_t size)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool exists;

    memcpy(un.sun_path + 1, name, strlen(name));
    exists = connect(fd, (struct sockaddr *)&un, size) == 0;
    close(fd);
    return exists;
}

static void test_abstract_names(CharBench *f, const void *unused)
{
    g_autofree char *name = g_strdup_printf("berth-%d", getpid());
    g_autofree char *tight = g_strdup_printf(
        "socket,path=%s,abstract=on,server=on,wait=off", name);
    g_autofree char *padded = g_strdup_printf("%s,tight=off", tight);
    socklen_t tight_size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);

    char_bench_add(f, "c", tight);
    g_assert_true(abstract_name_exists(name, tight_size));
    g_assert_false(abstract_name_exists(name, sizeof(struct sockaddr_un)));
    g_assert_true(char_remove(f->set, "c", NULL));
    char_bench_add(f, "c", padded);
    g_assert_false(abstract_name_exists(name, tight_size));
    g_assert_true(abstract_name_exists(name, sizeof(struct sockaddr_un)));
}

/* Of a range the first port that is free. */
static void test_range_of_ports(CharBench *f, const void *unused)
{
    Chardev *first = char_bench_add(f, "a", "socket,host=127.0.0.1,port=0,server=on,"
                                    "wait=off");
    unsigned port = port_of(first), got;
    g_autofree char *options = g_strdup_printf("socket,host=127.0.0.1,port=%u,to=%u,"
                                               "server=on,wait=off", port,
                                               MIN(port + 50, 65535));
    g_autofree char *taken = g_strdup_printf("socket,host=127.0.0.1,port=%u,to=%u,"
                                             "server=on,wait=off", port, port);

    got = port_of(char_bench_add(f, "b", options));
    g_assert_cmpuint(got, >, port);
    g_assert_cmpuint(got, <=, port + 50);
    g_assert_null(char_bench_try_add(f, "c", taken, NULL));
}

static void test_families_of_a_server(CharBench *f, const void *unused)
{
    g_autofree char *options = NULL, *both = NULL;
    Chardev *only_ipv6;

    if (!host_has_ipv6()) {
        g_test_skip("this host has no IPv6");
        return;
    }
    /* One that takes no IPv4 leaves the port to another that does. */
    only_ipv6 = char_bench_add(f, "a", "socket,host=::,port=0,server=on,wait=off,"
                               "ipv6=on");
    options = g_strdup_printf("socket,host=0.0.0.0,port=%u,server=on,wait=off",
                              port_of(only_ipv6));
    char_bench_add(f, "b", options);
    g_assert_true(char_remove(f->set, "a", NULL));
    g_assert_true(char_remove(f->set, "b", NULL));

    both = g_strdup_printf("socket,host=127.0.0.1,port=%u",
                           port_of(char_bench_add(f, "a", "socket,host=,port=0,"
                                                  "server=on,wait=off,ipv4=on,ipv6=on")));
    char_bench_add(f, "b", both);
}

/* What the flat options cannot say, and a word of the reason. */
static const char *const bad_options[][2] = {
    { "socket", "exactly one" },
    { "socket,path=/x,host=h,port=1", "exactly one" },
    { "socket,host=h", "exactly one" },
    { "socket,port=1", "exactly one" },
    { "socket,fd=5,path=/x", "exactly one" },
    { "socket,path=/x,ipv4=on", "'ipv4'" },
    { "socket,path=/x,ipv6=off", "'ipv6'" },
    { "socket,path=/x,to=7", "'to'" },
    { "socket,path=/x,keep-alive=on", "'keep-alive'" },
    { "socket,path=/x,mptcp=on", "'mptcp'" },
    { "socket,host=127.0.0.1,port=1,abstract=on", "'abstract'" },
    { "socket,host=127.0.0.1,port=1,tight=on", "'tight'" },
    { "socket,host=127.0.0.1,port=5,to=4,server=on", "'to'" },
    { "socket,host=127.0.0.1,port=0,to=4,server=on", "'to'" },
    { "socket,host=127.0.0.1,port=1,to=4", "'to'" },
    { "socket,path=/x,wait=off", "'wait'" },
    { "socket,path=/x,tls-creds=t", "TLS" },
    { "socket,path=/x,reconnect=-1", "'reconnect'" },
    { "socket,path=/x,reconnect-ms=4294967296", "'reconnect-ms'" },
    { "spicevmc", "SPICE" },
    { "spiceport", "SPICE" },
    { "vc", "display" },
    { "console", "Windows" },
    { "qemu-vdagent", "clipboard" },
    { "dbus", "D-Bus" },
    { "braille", "Braille" },
    { "msmouse", "mouse" },
    { "wctablet", "tablet" },
    { "testdev", "isa-debug-exit" },
    { "parallel", "parallel" },
    { "teapot", "'teapot'" },
};

static void test_bad_options(CharBench *f, const void *unused)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad_options); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(char_bench_try_add(f, "c", bad_options[i][0], &error));
        if (!strstr(error->message, bad_options[i][1]))
            g_error("'%s' gives \"%s\"", bad_options[i][0], error->message);
    }
}

static void test_vsock(CharBench *f, const void *unused)
{
    g_autoptr(ChardevBackend) backend = qapi_parse_json(
        QAPI_TYPE_CHARDEV_BACKEND, "{'type':'socket','data':{'addr':{'type':'vsock',"
        "'data':{'cid':'4294967295','port':'51515'}}}}", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *name = NULL;
    Chardev *chr = char_add(f->set, "c", backend, &error);

    if (!chr) {
        g_assert_nonnull(strstr(error->message, "4294967295:51515"));
        g_test_skip("this host has no vsock");
        return;
    }
    name = char_filename(chr);
    g_assert_cmpstr(name, ==, "disconnected:vsock:4294967295:51515,server=on");
}

#define add_test(path, fn)                                                            \
    g_test_add("/char-address/" path, CharBench, NULL, char_bench_set_up, fn,         \
               char_bench_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("unconnected", test_unconnected);
    add_test("connected", test_connected);
    add_test("abstract-names", test_abstract_names);
    add_test("range-of-ports", test_range_of_ports);
    add_test("families-of-a-server", test_families_of_a_server);
    add_test("bad-options", test_bad_options);
    add_test("vsock", test_vsock);
    return g_test_run();
}
