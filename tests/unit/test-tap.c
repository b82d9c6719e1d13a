/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps, in a network namespace of this program's own: what is done to interfaces is
 * asked of the kernel by ip(8), and is undone.  Skipped where the program may make
 * neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"

#include "net-bench.h"

static const char *why_not;

static char *run(const char *command)
{
    g_autoptr(GError) error = NULL;
    char *out = NULL;
    int status;

    g_assert_true(g_spawn_command_line_sync(command, &out, NULL, &status, &error));
    g_assert_no_error(error);
    if (status != 0)
        g_error("%s: status %d", command, status);
    return out;
}

static void ip(const char *arguments)
{
    g_autofree char *command = g_strconcat("ip ", arguments, NULL);

    g_free(run(command));
}

/* All interfaces of the namespace, but for what changes by itself. */
static char *links(void)
{
    g_autoptr(GRegex) own = g_regex_new("NO-CARRIER,|,LOWER_UP| state [A-Z]+|"
                                        " qdisc [a-z_]+", 0, 0, NULL);
    g_autofree char *text = run("ip -o link show");

    return g_regex_replace_literal(own, text, -1, 0, "", 0, NULL);
}

static void assert_link(const char *name, const char *words)
{
    g_autofree char *command = g_strdup_printf("ip -d -o link show dev %s", name);
    g_autofree char *text = run(command);

    if (!strstr(text, words))
        g_error("'%s' is not in: %s", words, text);
}

static bool begin(void)
{
    if (why_not)
        g_test_skip(why_not);
    return !why_not;
}

static int open_tap(const char *name, int flags)
{
    struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };
    int fd = open("/dev/net/tun", O_RDWR);

    g_strlcpy(request.ifr_name, name, IFNAMSIZ);
    g_assert_cmpint(ioctl(fd, TUNSETIFF, &request), ==, 0);
    return fd;
}

static void test_interface_is_made_and_gone(void)
{
    g_autoptr(NetBench) bench = NULL;
    g_autofree char *before = NULL, *after = NULL;

    if (!begin())
        return;
    bench = net_bench_new();
    before = links();
    net_bench_add(bench, "tap,id=a,ifname=t0,br=br0,mtu=1400,mac=02:00:00:00:00:01");

    assert_link("t0", "mtu 1400");
    assert_link("t0", "master br0");
    assert_link("t0", "02:00:00:00:00:01");
    assert_link("t0", ",UP");
    assert_link("t0", "vnet_hdr on");
    g_assert_true(net_set_remove(bench->set, "a", NULL));
    after = links();
    g_assert_cmpstr(before, ==, after);
}

/* One that was there before has what it had. */
static void test_persistent_interface_is_as_before(void)
{
    static const char *const options[] = {
        "", ",br=br0", ",mtu=1300", ",mac=02:00:00:00:00:02",
        ",br=br0,mtu=1300,mac=02:00:00:00:00:02,script=no,downscript=no",
    };
    g_autoptr(NetBench) bench = NULL;

    if (!begin())
        return;
    bench = net_bench_new();
    ip("tuntap add dev p0 mode tap vnet_hdr");
    ip("link set dev p0 mtu 1450 address 02:00:00:00:00:99");
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autofree char *before = links(), *after = NULL;
        g_autofree char *text = g_strconcat("tap,id=a,ifname=p0", options[i], NULL);

        net_bench_add(bench, text);
        assert_link("p0", ",UP");
        g_assert_true(net_set_remove(bench->set, "a", NULL));
        after = links();
        g_assert_cmpstr(before, ==, after);
    }
    ip("tuntap del dev p0 mode tap");
}

static void test_refusals_leave_the_host_as_it_was(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "tap,id=a,br=nope", "parameter 'br': there is no bridge 'nope'" },
        { "tap,id=a,br=lo", "parameter 'br': 'lo' is no bridge" },
        { "tap,id=a,ifname=abcdefghijklmnop", "'ifname' expects up to 15 bytes" },
        { "tap,id=a,ifname=busy", "'busy' is in use" },
        { "tap,id=a,ifname=br0", "cannot make tap interface 'br0'" },
        { "tap,id=a,ifname=t/0", "cannot make tap interface" },
        { "tap,id=a,mac=01:00:00:00:00:01", "parameter 'mac'" },
        { "tap,id=a,mac=zz", "parameter 'mac'" },
        /* The kernel refuses what comes after other steps. */
        { "tap,id=a,mtu=1300,mac=00:00:00:00:00:00,br=br0", "cannot set the address" },
        { "tap,id=a,ifname=p1,mtu=1300,mac=00:00:00:00:00:00,br=br0",
          "cannot set the address" },
        { "tap,id=a,mtu=20", "mtu" },
        { "tap,id=a,queues=300", "queues" },
        { "tap,id=a,queues=0", "queues" },
        { "tap,id=a,script=/etc/qemu-ifup", "parameter 'script'" },
        { "tap,id=a,downscript=/etc/qemu-ifdown", "parameter 'downscript'" },
        { "tap,id=a,helper=/bin/true", "parameter 'helper'" },
        { "tap,id=a,vhostforce=on", "parameter 'vhostforce'" },
        { "tap,id=a,fd=3,fds=3:4", "parameter 'fds'" },
        { "tap,id=a,fd=3,br=br0", "'br' excludes 'fd'" },
        { "tap,id=a,fds=3:4,ifname=x", "'ifname' excludes 'fds'" },
        { "tap,id=a,fd=12345", "parameter 'fd': descriptor 12345 is not open" },
        { "tap,id=a,fd=x", "parameter 'fd': 'x' is no number" },
        { "tap,id=a,fd=", "parameter 'fd'" },
        { "tap,id=a,fds=", "parameter 'fds'" },
        { "tap,id=a,fds=::", "parameter 'fds'" },
    };
    g_autoptr(NetBench) bench = NULL;
    int busy;

    if (!begin())
        return;
    bench = net_bench_new();
    busy = open_tap("busy", 0);
    ip("tuntap add dev p1 mode tap");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *before = links(), *after = NULL;

        net_bench_assert_refused(bench, cases[i].text, cases[i].words);
        after = links();
        g_assert_cmpstr(before, ==, after);
    }
    ip("tuntap del dev p1 mode tap");
    close(busy);
}

/* Descriptors of other kinds are refused, and closed as all that is handed over. */
static void test_descriptors_of_other_kinds(void)
{
    g_autoptr(NetBench) bench = NULL;
    g_autofree char *text = NULL, *two = NULL;
    int file, first, second;

    if (!begin())
        return;
    bench = net_bench_new();
    file = open("/dev/null", O_RDWR);
    text = g_strdup_printf("tap,id=a,fd=%d", file);
    net_bench_assert_refused(bench, text, "is no tap");
    g_assert_cmpint(fcntl(file, F_GETFD), <, 0);

    first = open_tap("one", IFF_VNET_HDR);
    second = open_tap("two", IFF_VNET_HDR);
    two = g_strdup_printf("tap,id=a,fds=%d:%d", first, second);
    net_bench_assert_refused(bench, two, "not of one interface");
    g_assert_cmpint(fcntl(second, F_GETFD), <, 0);
}

/* A frame from one to the other through a bridge, with and without a header. */
static void exchange(NetBench *bench, const char *first, const char *second)
{
    static const char frame[64] = "\2\0\0\0\0\2" "\2\0\0\0\0\1" "\x88\xb5" "from a to b";
    NetBackend *a, *b;
    char got[2000];

    net_bench_add(bench, first);
    net_bench_add(bench, second);
    a = net_bench_attach(bench, 0, "a");
    b = net_bench_attach(bench, 1, "b");
    for (;;) {
        ssize_t n;

        g_assert_cmpint(net_bench_send(net_backend_queue(a, 0), frame, sizeof(frame)), ==,
                        0);
        n = net_bench_receive(net_backend_queue(b, 0), got, sizeof(got));
        g_assert_cmpint(n, >, 0);
        /* The kernel says a word of its own on an interface that is new. */
        if (memcmp(got + 12, "\x88\xb5", 2) == 0) {
            g_assert_cmpmem(got, n, frame, sizeof(frame));
            break;
        }
    }
    net_nic_detach(&bench->nics[0]);
    net_nic_detach(&bench->nics[1]);
    g_assert_true(net_set_remove(bench->set, "a", NULL));
    g_assert_true(net_set_remove(bench->set, "b", NULL));
}

static void test_frames_through_a_bridge(void)
{
    g_autoptr(NetBench) bench = NULL;
    g_autofree char *text = NULL;
    int fd;

    if (!begin())
        return;
    bench = net_bench_new();
    exchange(bench, "tap,id=a,br=br0", "tap,id=b,br=br0");
    exchange(bench, "tap,id=a,br=br0,vnet_hdr=off", "tap,id=b,br=br0,queues=4");
    exchange(bench, "tap,id=a,br=br0,sndbuf=1048576", "tap,id=b,br=br0,vnet_hdr=off");
    fd = open_tap("passed", IFF_VNET_HDR);
    ip("link set dev passed master br0 up");
    text = g_strdup_printf("tap,id=b,fd=%d", fd);
    exchange(bench, "tap,id=a,br=br0", text);
}

static void test_offloads_and_queues(void)
{
    g_autoptr(NetBench) bench = NULL;
    NetBackend *backend;

    if (!begin())
        return;
    bench = net_bench_new();
    net_bench_add(bench, "tap,id=a,queues=3");
    backend = net_bench_attach(bench, 0, "a");
    g_assert_cmpuint(net_backend_n_queues(backend), ==, 3);
    g_assert_cmphex(net_backend_offloads(backend) & 0xf, ==, 0xf);
    for (unsigned n = 3; n > 0; n--) {
        g_assert_true(net_backend_set_active(backend, n));
        for (unsigned i = 0; i < 3; i++)
            g_assert_cmpint(net_backend_queue(backend, i)->enabled, ==, i < n);
    }
    net_backend_set_offloads(backend, net_backend_offloads(backend));
    net_backend_set_offloads(backend, 0);
    net_nic_detach(&bench->nics[0]);

    net_bench_add(bench, "tap,id=b,vnet_hdr=off");
    backend = net_bench_attach(bench, 0, "b");
    g_assert_cmphex(net_backend_offloads(backend), ==, 0);
}

/* What a process made is gone when it is killed. */
static void test_killed_process_leaves_nothing(void)
{
    g_autofree char *before = NULL, *after = NULL;
    int ready[2], status;
    char byte;
    pid_t pid;

    if (!begin())
        return;
    before = links();
    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    if (pid == 0) {
        NetBench *bench = net_bench_new();

        net_bench_add(bench, "tap,id=a,ifname=t0,br=br0");
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(1);
    }
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    assert_link("t0", "master br0");
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    close(ready[0]);
    close(ready[1]);

    after = links();
    g_assert_cmpstr(before, ==, after);
}

/* A namespace with a bridge; or why there can be none. */
static void make_namespace(void)
{
    g_autofree char *program = g_find_program_in_path("ip");
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        why_not = "/dev/net/tun cannot be opened";
    else if (!program)
        why_not = "there is no ip(8)";
    else if (unshare(CLONE_NEWNET) < 0)
        why_not = "this process may not make a network namespace";
    if (fd >= 0)
        close(fd);
    if (why_not)
        return;
    ip("link set dev lo up");
    ip("link add br0 type bridge");
    ip("link set dev br0 address 02:00:00:00:00:fe up");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    make_namespace();
    g_test_add_func("/tap/interface-is-made-and-gone", test_interface_is_made_and_gone);
    g_test_add_func("/tap/persistent-interface-is-as-before",
                    test_persistent_interface_is_as_before);
    g_test_add_func("/tap/refusals-leave-the-host-as-it-was",
                    test_refusals_leave_the_host_as_it_was);
    g_test_add_func("/tap/descriptors-of-other-kinds", test_descriptors_of_other_kinds);
    g_test_add_func("/tap/frames-through-a-bridge", test_frames_through_a_bridge);
    g_test_add_func("/tap/offloads-and-queues", test_offloads_and_queues);
    g_test_add_func("/tap/killed-process-leaves-nothing",
                    test_killed_process_leaves_nothing);
    return g_test_run();
}
