/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps, in a network namespace of this program's own: what is done to interfaces is
 * asked of the kernel by ip(8), and is undone.  Skipped where the program may make
 * neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
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

static bool ip_can(const char *arguments)
{
    g_autofree char *command = g_strconcat("ip ", arguments, NULL);
    g_autofree char *out = NULL, *errors = NULL;
    int status;

    return g_spawn_command_line_sync(command, &out, &errors, &status, NULL) &&
        status == 0;
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

static int fail_message = -1;   /* this many to the kernel by netlink, then one fails */

/* Instead of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    const struct sockaddr_nl *to = message->msg_name;

    if (to && to->nl_family == AF_NETLINK && fail_message >= 0 && fail_message-- == 0) {
        errno = ENOBUFS;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
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
        "", ",br=br0", ",br=br1", ",mtu=1300", ",mac=02:00:00:00:00:02",
        ",br=br0,mtu=1300,mac=02:00:00:00:00:02,script=no,downscript=no",
    };
    g_autoptr(NetBench) bench = NULL;

    if (!begin())
        return;
    bench = net_bench_new();
    ip("tuntap add dev p0 mode tap vnet_hdr");
    ip("link set dev p0 mtu 1450 address 02:00:00:00:00:99 master br1");
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

typedef struct Refusal {
    const char *text;
    const char *words;
} Refusal;

/* @cases with a persistent interface p1, and one that is in use. */
static void check_refusals(const Refusal *cases, size_t n)
{
    g_autoptr(NetBench) bench = NULL;
    int busy;

    if (!begin())
        return;
    bench = net_bench_new();
    busy = open_tap("busy", 0);
    ip("tuntap add dev p1 mode tap");
    for (size_t i = 0; i < n; i++) {
        g_autofree char *before = links(), *after = NULL;

        net_bench_assert_refused(bench, cases[i].text, cases[i].words);
        after = links();
        g_assert_cmpstr(before, ==, after);
    }
    ip("tuntap del dev p1 mode tap");
    close(busy);
}

static void test_interfaces_that_cannot_be_had(void)
{
    static const Refusal cases[] = {
        { "tap,id=a,br=nope", "parameter 'br': there is no bridge 'nope'" },
        { "tap,id=a,br=lo", "parameter 'br': 'lo' is no bridge" },
        { "tap,id=a,br=abcdefghijklmnop", "'br'" },
        { "tap,id=a,br=abcdefghijklmnopabcdefghijklmnopabcdefghijklmnop", "'br'" },
        { "tap,id=a,ifname=abcdefghijklmnop", "'ifname' expects 1 to 15 bytes" },
        { "tap,id=a,ifname=", "'ifname' expects 1 to 15 bytes" },
        { "tap,id=a,ifname=busy", "'busy' is in use" },
        { "tap,id=a,ifname=br0", "'ifname': cannot make tap interface 'br0'" },
        { "tap,id=a,ifname=br0,queues=2", "'queues': interface 'br0' is no tap" },
        { "tap,id=a,ifname=p1,queues=2", "'queues': interface 'p1' is no tap, or has" },
        { "tap,id=a,ifname=t/0", "'ifname': cannot make tap interface" },
        { "tap,id=a,mac=01:00:00:00:00:01", "parameter 'mac'" },
        { "tap,id=a,mac=zz", "parameter 'mac'" },
        /* The kernel refuses what comes after other steps. */
        { "tap,id=a,mtu=1300,mac=00:00:00:00:00:00,br=br0", "cannot set the address" },
        { "tap,id=a,ifname=p1,mtu=1300,mac=00:00:00:00:00:00,br=br0",
          "cannot set the address" },
        { "tap,id=a,mtu=20", "mtu" },
        { "tap,id=a,queues=300", "queues" },
        { "tap,id=a,queues=0", "queues" },
    };

    check_refusals(cases, G_N_ELEMENTS(cases));
}

static void test_programs_that_fail(void)
{
    static const Refusal cases[] = {
        { "tap,id=a,script=/nonexistent/up", "'script': cannot start" },
        { "tap,id=a,ifname=p1,script=/bin/false", "'script': '/bin/false' ended with" },
        { "tap,id=a,br=br0,helper=/nonexistent/helper", "'helper': cannot start" },
        { "tap,id=a,br=br0,helper=/bin/false", "'helper': '/bin/false' ended with" },
        { "tap,id=a,br=br0,helper=/bin/true", "'helper': '/bin/true' sent no" },
        { "tap,id=a,helper=/bin/true,ifname=x", "'ifname' excludes 'helper'" },
        { "tap,id=a,helper=/bin/true,script=/bin/true", "'script' excludes 'helper'" },
        { "tap,id=a,fd=3,downscript=/bin/true", "'downscript' excludes 'fd'" },
        { "tap,id=a,fd=3,helper=/bin/true", "'helper' excludes 'fd'" },
    };

    check_refusals(cases, G_N_ELEMENTS(cases));
}

static void test_bridges_and_vlans_that_cannot_be_had(void)
{
    static const Refusal cases[] = {
        { "bridge,id=a,br=nope", "parameter 'br': there is no bridge 'nope'" },
        { "bridge,id=a,br=lo", "parameter 'br': 'lo' is no bridge" },
        { "bridge,id=a,br=a234567890123456", "parameter 'br' expects 1 to 15 bytes" },
        { "tap,id=a,br=a234567890123456,helper=/bin/true", "'br' expects 1 to 15" },
        { "tap,id=a,br=", "'br' expects 1 to 15 bytes" },
        { "bridge,id=a,helper=/bin/false", "'helper': '/bin/false' ended with" },
        { "tap,id=a,vlan=5", "'vlan': needs 'br'" },
        { "tap,id=a,trunk=5", "'trunk': needs 'br'" },
        { "tap,id=a,br=br0,vlan=0", "vlan" },
        { "tap,id=a,br=br0,vlan=4095", "vlan" },
        { "tap,id=a,br=br0,trunk=", "'trunk': expects" },
        { "tap,id=a,br=br0,trunk=1:", "'trunk' expects" },
        { "tap,id=a,br=br0,trunk=20-10", "'trunk' expects VLANs of 1 to 4094" },
        { "tap,id=a,br=br0,trunk=0-5", "'trunk' expects" },
        { "tap,id=a,br=br0,trunk=4000-5000", "'trunk' expects" },
        { "tap,id=a,br=br0,trunk=5-9:7", "VLAN 7 is there twice" },
        { "tap,id=a,br=br0,vlan=7,trunk=5-9", "VLAN 7 is there twice" },
        { "tap,id=a,br=br0,vlan=7", "'vlan': bridge 'br0' does not filter VLANs" },
        { "tap,id=a,ifname=p1,br=br0,trunk=7", "'trunk': bridge 'br0' does not filter" },
        { "tap,id=a,fd=3,vlan=7", "'vlan' excludes 'fd'" },
    };

    check_refusals(cases, G_N_ELEMENTS(cases));
}

static void test_descriptors_that_cannot_be_had(void)
{
    static const Refusal cases[] = {
        { "tap,id=a,fd=3,fds=3:4", "parameter 'fds'" },
        { "tap,id=a,fd=3,br=br0", "'br' excludes 'fd'" },
        { "tap,id=a,fds=3:4,ifname=x", "'ifname' excludes 'fds'" },
        { "tap,id=a,fd=12345", "parameter 'fd': 12345 is no descriptor" },
        { "tap,id=a,fd=x", "parameter 'fd': 'x' is no number" },
        { "tap,id=a,fd=", "parameter 'fd'" },
        { "tap,id=a,fds=", "parameter 'fds'" },
        { "tap,id=a,fds=::", "parameter 'fds'" },
    };

    check_refusals(cases, G_N_ELEMENTS(cases));
}

/* Programs are not started unless that was allowed, and nothing is done before. */
static void test_programs_that_are_not_allowed(void)
{
    static const char *const cases[] = {
        "tap,id=a,script=/bin/true", "tap,id=a,script=no,downscript=/bin/true",
        "tap,id=a,br=br0,helper=/bin/true", "bridge,id=a,helper=/bin/true",
    };
    g_autoptr(NetBench) bench = NULL;

    if (!begin())
        return;
    bench = net_bench_new();
    net_set_allow_programs(bench->set, false);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *before = links(), *after = NULL;

        net_bench_assert_refused(bench, cases[i], "spawn=allow");
        after = links();
        g_assert_cmpstr(before, ==, after);
    }
    net_bench_add(bench, "tap,id=a,script=no,downscript=no");
}

/* A script that writes down its argument and what it sees of the interface. */
static char *write_script(const char *folder, const char *name)
{
    g_autofree char *text = g_strdup_printf(
        "#!/bin/sh\ntest $# = 1 && ip link show dev \"$1\" > %s/%s.out\n", folder, name);
    char *path = g_build_filename(folder, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(chmod(path, 0755), ==, 0);
    return path;
}

static void assert_ran(const char *script, bool did)
{
    g_autofree char *path = g_strconcat(script, ".out", NULL);
    g_autofree char *text = NULL;

    g_assert_cmpint(g_file_get_contents(path, &text, NULL, NULL), ==, did);
    if (!did)
        return;
    g_assert_nonnull(strstr(text, "s0:"));
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static void test_scripts(void)
{
    g_autoptr(NetBench) bench = NULL;
    g_autofree char *folder = NULL, *up = NULL, *down = NULL, *both = NULL, *fails = NULL;
    g_autofree char *before = NULL, *after = NULL;

    if (!begin())
        return;
    bench = net_bench_new();
    before = links();
    folder = g_dir_make_tmp("berth-tap-XXXXXX", NULL);
    up = write_script(folder, "up");
    down = write_script(folder, "down");
    both = g_strdup_printf("tap,id=a,ifname=s0,script=%s,downscript=%s", up, down);
    net_bench_add(bench, both);
    assert_ran(up, true);
    assert_ran(down, false);
    g_assert_true(net_set_remove(bench->set, "a", NULL));
    assert_ran(down, true);

    /* What was not set up is not taken down. */
    fails = g_strdup_printf("tap,id=a,ifname=s0,script=/bin/false,downscript=%s", down);
    net_bench_assert_refused(bench, fails, "ended with status 1");
    assert_ran(down, false);
    after = links();
    g_assert_cmpstr(before, ==, after);
    g_assert_cmpint(g_unlink(up), ==, 0);
    g_assert_cmpint(g_unlink(down), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

/* This program as a bridge helper: opens a tap, has it join, and sends it. */
static int open_for_another(char **argv)
{
    const char *bridge = g_str_has_prefix(argv[3], "--br=") ? argv[3] + 5 : "?";
    uint64_t sock;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec iov = { (char *)"", 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    g_autofree char *join = g_strdup_printf("link set dev helped master %s up", bridge);
    int fd = open_tap("helped", IFF_VNET_HDR);

    g_assert_true(g_str_has_prefix(argv[2], "--fd="));
    g_assert_true(g_ascii_string_to_unsigned(argv[2] + 5, 10, 0, 99, &sock, NULL));
    ip(join);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    return sendmsg((int)sock, &message, 0) == 1 ? 0 : 1;
}

static void test_program_that_opens(void)
{
    static const char *const kinds[] = { "tap,id=a,br=br0", "tap,id=a", "bridge,id=a" };
    g_autoptr(NetBench) bench = NULL;
    g_autofree char *before = NULL, *self = NULL;

    if (!begin())
        return;
    bench = net_bench_new();
    before = links();
    self = g_file_read_link("/proc/self/exe", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *text = g_strdup_printf("%s,helper=%s", kinds[i], self);
        g_autofree char *after = NULL;

        net_bench_add(bench, text);
        assert_link("helped", "master br0");
        g_assert_cmphex(net_backend_offloads(net_bench_attach(bench, 0, "a")) & 1, ==, 1);
        net_nic_detach(&bench->nics[0]);
        g_assert_true(net_set_remove(bench->set, "a", NULL));
        after = links();
        g_assert_cmpstr(before, ==, after);
    }
}

/* Each message to the kernel fails once: all is as before, whether kept or made. */
static void test_failure_at_each_step(void)
{
    static const char *const options[] = {
        "tap,id=a,ifname=f0,br=br0,mtu=1300,mac=02:00:00:00:00:02",
        "tap,id=a,ifname=f1,br=br0,mtu=1300,mac=02:00:00:00:00:02",
        "tap,id=a,ifname=f0,br=brv,mtu=1300,mac=02:00:00:00:00:02,vlan=7,trunk=8-9:12",
        "tap,id=a,ifname=f1,br=brv,mtu=1300,mac=02:00:00:00:00:02,vlan=7,trunk=8-9:12",
    };
    g_autoptr(NetBench) bench = NULL;
    unsigned n_failed = 0;
    bool has_vlans;

    if (!begin())
        return;
    bench = net_bench_new();
    ip("tuntap add dev f1 mode tap");
    ip("link set dev f1 mtu 1450 address 02:00:00:00:00:99 master br1");
    has_vlans = ip_can("link add brv address 02:00:00:00:00:fc type bridge "
                       "vlan_filtering 1");
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        if (strstr(options[i], "brv") && !has_vlans)
            continue;
        for (int step = 0;; step++) {
            g_autofree char *before = links(), *after = NULL;
            bool is_added;

            fail_message = step;
            is_added = net_bench_try_add(bench, options[i], NULL);
            g_assert_cmpint(is_added, ==, fail_message >= 0);
            fail_message = -1;
            if (is_added)
                g_assert_true(net_set_remove(bench->set, "a", NULL));
            after = links();
            g_assert_cmpstr(before, ==, after);
            if (is_added)
                break;
            n_failed++;
        }
    }
    g_assert_cmpuint(n_failed, >=, has_vlans ? 32 : 16);
    ip("tuntap del dev f1 mode tap");
    if (has_vlans)
        ip("link del dev brv");
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

/* The character device of macvtap interface @name; -1: it cannot be had here. */
static int open_macvtap(const char *name, const char *folder)
{
    g_autofree char *node = g_build_filename(folder, "node", NULL);
    g_autofree char *sys = g_build_filename(folder, "sys", NULL);
    g_autofree char *file = g_strdup_printf("%s/class/net/%s/macvtap/tap%u/dev", sys,
                                            name, if_nametoindex(name));
    g_autofree char *text = NULL;
    unsigned major, minor;
    int fd = -1;

    g_assert_cmpint(g_mkdir(sys, 0700), ==, 0);
    if (mount("sysfs", sys, "sysfs", 0, NULL) == 0 &&
        g_file_get_contents(file, &text, NULL, NULL) &&
        sscanf(text, "%u:%u", &major, &minor) == 2 &&
        mknod(node, S_IFCHR | 0600, makedev(major, minor)) == 0)
        fd = open(node, O_RDWR);
    umount(sys);
    g_unlink(node);
    g_rmdir(sys);
    return fd;
}

static void test_macvtap(void)
{
    g_autofree char *folder = NULL, *text = NULL;
    g_autoptr(NetBench) bench = NULL;
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    char frame[64] = "\2\0\0\0\0\2" "\2\0\0\0\0\1" "\x88\xb5" "to the other";
    NetBackend *backend;
    int fd, other;

    if (!begin())
        return;
    bench = net_bench_new();
    folder = g_dir_make_tmp("berth-tap-XXXXXX", NULL);
    if (!ip_can("link add name v0 type veth peer name v1")) {
        g_rmdir(folder);
        g_test_skip("the kernel has no veth");
        return;
    }
    ip("link set dev v1 up");
    if (!ip_can("link add link v0 name m0 address 02:00:00:00:00:01 type macvtap "
                "mode bridge")) {
        ip("link del dev v0");
        g_rmdir(folder);
        g_test_skip("the kernel has no macvtap");
        return;
    }
    ip("link set dev v0 up");
    ip("link set dev m0 up");
    fd = open_macvtap("m0", folder);
    g_rmdir(folder);
    if (fd < 0) {
        ip("link del dev v0");
        g_test_skip("a macvtap cannot be opened");
        return;
    }
    g_assert_cmpint(ioctl(fd, TUNSETIFF, &request), ==, 0);
    text = g_strdup_printf("tap,id=a,fd=%d", fd);
    net_bench_add(bench, text);
    backend = net_bench_attach(bench, 0, "a");
    g_assert_cmphex(net_backend_offloads(backend) & NET_OFFLOAD_CSUM, !=, 0);

    /* Out of the pair of interfaces comes what went in. */
    other = socket(AF_PACKET, SOCK_RAW, GUINT16_TO_BE(0x88b5));
    g_assert_cmpint(net_bench_send(net_backend_queue(backend, 0), frame, sizeof(frame)),
                    ==, 0);
    memset(frame, 0, sizeof(frame));
    g_assert_cmpint(recv(other, frame, sizeof(frame), 0), ==, sizeof(frame));
    g_assert_cmpstr(frame + 14, ==, "to the other");
    close(other);
    net_nic_detach(&bench->nics[0]);
    g_assert_true(net_set_remove(bench->set, "a", NULL));
    ip("link del dev v0");
}

/* Without CAP_NET_ADMIN an interface that is up and ours can be had, and no other. */
static void use_without_rights(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    g_autoptr(NetBench) bench = net_bench_new();

    g_assert_cmpint(syscall(SYS_capget, &header, data), ==, 0);
    for (unsigned i = 0; i < 2; i++)
        data[i].permitted = data[i].effective = data[i].inheritable = 0;
    g_assert_cmpint(syscall(SYS_capset, &header, data), ==, 0);

    net_bench_assert_refused(bench, "tap,id=a", "CAP_NET_ADMIN");
    net_bench_assert_refused(bench, "bridge,id=a", "CAP_NET_ADMIN");
    net_bench_assert_refused(bench, "tap,id=a,ifname=own,mtu=1300",
                             "cannot set the MTU: Operation not permitted");
    net_bench_assert_refused(bench, "tap,id=a,ifname=foreign", "CAP_NET_ADMIN");
    net_bench_add(bench, "tap,id=a,ifname=own");
    g_assert_true(net_set_remove(bench->set, "a", NULL));
}

static void test_missing_capability(void)
{
    g_autofree char *before = NULL, *after = NULL;
    int status;
    pid_t pid;

    if (!begin())
        return;
    ip("tuntap add dev own mode tap user root");
    ip("link set dev own up");
    ip("tuntap add dev foreign mode tap user 4711");
    ip("link set dev foreign up");
    before = links();
    pid = fork();
    if (pid == 0) {
        use_without_rights();
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    after = links();
    g_assert_cmpstr(before, ==, after);
    ip("tuntap del dev own mode tap");
    ip("tuntap del dev foreign mode tap");
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
    for (unsigned n_lost = 0;;) {
        ssize_t n;

        g_assert_cmpint(net_bench_send(net_backend_queue(a, 0), frame, sizeof(frame)), ==,
                        0);
        n = net_bench_receive(net_backend_queue(b, 0), got, sizeof(got));
        /* A port of the bridge forwards a moment after it is up. */
        if (n == -EAGAIN && ++n_lost < 60)
            continue;
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

/* The kernel refuses a header that its frame does not bear out; the next frame goes. */
static void test_headers_that_lie(void)
{
    static const struct {
        struct virtio_net_hdr_v1 header;
        bool is_sure;           /* that it is refused */
    } cases[] = {
        { { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 0xffff,
            .csum_offset = 0xffff }, true },
        { { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 63, .csum_offset = 2 },
          true },
        { { .hdr_len = 0xffff }, false },
        { { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 0 }, true },
        { { .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 1, .hdr_len = 0xffff },
          false },
        { { .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 0xffff }, false },
        { { .gso_type = 0xff, .gso_size = 100 }, true },
        { { .flags = 0xff, .num_buffers = 0xffff }, false },
    };
    static const char frame[64] = "\2\0\0\0\0\2" "\2\0\0\0\0\1" "\x88\xb5" "from";
    g_autoptr(NetBench) bench = NULL;
    NetQueue *queue;

    if (!begin())
        return;
    bench = net_bench_new();
    net_bench_add(bench, "tap,id=a,br=br0");
    queue = net_backend_queue(net_bench_attach(bench, 0, "a"), 0);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct iovec iov[] = {
            { (void *)(uintptr_t)&cases[i].header, sizeof(cases[i].header) },
            { (void *)(uintptr_t)frame, sizeof(frame) },
        };
        int code = net_queue_send(queue, iov, 2);

        g_test_message("case %zu: %d", i, code);
        g_assert_cmpint(code, !=, -EAGAIN);
        if (cases[i].is_sure)
            g_assert_cmpint(code, <, 0);
    }
    g_assert_cmpint(net_bench_send(queue, frame, sizeof(frame)), ==, 0);
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
    int fd = open("/dev/net/tun", O_RDWR);

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
    ip("link add br1 type bridge");
    ip("link set dev br1 address 02:00:00:00:00:fd up");
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--use-vnet") == 0)
        return open_for_another(argv);
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    make_namespace();
    g_test_add_func("/tap/interface-is-made-and-gone", test_interface_is_made_and_gone);
    g_test_add_func("/tap/persistent-interface-is-as-before",
                    test_persistent_interface_is_as_before);
    g_test_add_func("/tap/interfaces-that-cannot-be-had",
                    test_interfaces_that_cannot_be_had);
    g_test_add_func("/tap/programs-that-fail", test_programs_that_fail);
    g_test_add_func("/tap/bridges-and-vlans-that-cannot-be-had",
                    test_bridges_and_vlans_that_cannot_be_had);
    g_test_add_func("/tap/descriptors-that-cannot-be-had",
                    test_descriptors_that_cannot_be_had);
    g_test_add_func("/tap/programs-that-are-not-allowed",
                    test_programs_that_are_not_allowed);
    g_test_add_func("/tap/scripts", test_scripts);
    g_test_add_func("/tap/program-that-opens", test_program_that_opens);
    g_test_add_func("/tap/failure-at-each-step", test_failure_at_each_step);
    g_test_add_func("/tap/macvtap", test_macvtap);
    g_test_add_func("/tap/missing-capability", test_missing_capability);
    g_test_add_func("/tap/descriptors-of-other-kinds", test_descriptors_of_other_kinds);
    g_test_add_func("/tap/frames-through-a-bridge", test_frames_through_a_bridge);
    g_test_add_func("/tap/headers-that-lie", test_headers_that_lie);
    g_test_add_func("/tap/offloads-and-queues", test_offloads_and_queues);
    g_test_add_func("/tap/killed-process-leaves-nothing",
                    test_killed_process_leaves_nothing);
    return g_test_run();
}
