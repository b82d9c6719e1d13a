/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device on a stub of vhost-net: this program's ioctl() plays the kernel for
 * two descriptors of it, one for each pair, and a tap that is a socket.  What the driver
 * sends comes back to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/net-set.h"
#include "berth/vhost.h"

#include "kit-net.h"
#include "kit-qmp.h"
#include "net-bench.h"
#include "vhost-stub.h"

#define PAIRS 2u
#define BIT(n) (1ull << (n))
#define HAS (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |                \
             BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_NET_F_MRG_RXBUF) |                \
             BIT(VHOST_NET_F_VIRTIO_NET_HDR))

static VhostStub stubs[PAIRS];
static int taps[PAIRS];         /* 0: none */
static short tap_flags;

static int serve_tap(unsigned long request, void *arg)
{
    struct ifreq *ifreq = arg;

    if (request != TUNGETIFF)
        return 0;
    ifreq->ifr_flags = tap_flags;
    g_strlcpy(ifreq->ifr_name, "stub0", IFNAMSIZ);
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    for (unsigned i = 0; i < PAIRS && fd > 0; i++) {
        if (fd == stubs[i].fd)
            return vhost_stub_ioctl(&stubs[i], request, arg);
        if (fd == taps[i])
            return serve_tap(request, arg);
    }
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

typedef struct Fixture {
    KitNet *net;
    unsigned n_pairs;
} Fixture;

typedef struct Case {
    unsigned n_pairs;
    short flags;                /* of the tap, beside the usual ones */
    const char *more;           /* keys of the backend */
    uint64_t missing;           /* features that the kernel does not have */
} Case;

static const Case usual = { 1, IFF_VNET_HDR, "", 0 };
static const Case several = { 2, IFF_VNET_HDR | IFF_MULTI_QUEUE, "", 0 };
static const Case bare = { 1, 0, ", 'poll-us': 50", BIT(VIRTIO_NET_F_MRG_RXBUF) };

/* The far end of the first tap. */
static int make_stubs(const Case *c)
{
    int wire = -1;

    tap_flags = (short)(IFF_TAP | IFF_NO_PI | c->flags);
    for (unsigned i = 0; i < c->n_pairs; i++) {
        int fds[2];

        vhost_stub_make(&stubs[i], HAS & ~c->missing);
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
                                   fds), ==, 0);
        taps[i] = fds[1];
        if (i == 0)
            wire = fds[0];
    }
    return wire;
}

static char *netdev_of(const Case *c)
{
    if (c->n_pairs == 1)
        return g_strdup_printf("{'type': 'tap', 'id': 'wire', 'fd': '%d', 'vhost': true, "
                               "'vhostfd': '%d'%s}", taps[0], stubs[0].fd, c->more);
    return g_strdup_printf("{'type': 'tap', 'id': 'wire', 'fds': '%d:%d', 'vhostfds': "
                           "'%d:%d'%s}", taps[0], taps[1], stubs[0].fd, stubs[1].fd,
                           c->more);
}

static void set_up(Fixture *f, gconstpointer data)
{
    const Case *c = data;
    int wire = make_stubs(c);
    g_autofree char *netdev = netdev_of(c);

    f->n_pairs = c->n_pairs;
    f->net = kit_net_new_on(wire, NULL, netdev, c->n_pairs > 1 ? ", 'mq': true" : "");
    kit_net_start(f->net, UINT64_MAX & ~BIT(VIRTIO_NET_F_MQ));
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    kit_net_free(f->net);
    for (unsigned i = 0; i < f->n_pairs; i++) {
        vhost_stub_assert_stopped(&stubs[i]);
        g_assert_cmpint(fcntl(stubs[i].fd, F_GETFD), ==, -1);
        stubs[i].fd = taps[i] = 0;
    }
}

static void assert_running(const VhostStub *stub, int tap)
{
    for (unsigned i = 0; i < VHOST_STUB_RINGS; i++)
        g_assert_cmpint(stub->rings[i].backend, ==, tap);
}

static void transmit(Fixture *f, const char *text)
{
    kit_net_offer(f->net, 1, KIT_NET_BUFFER);
    kit_net_send(f->net, text, (uint32_t)strlen(text), 4096);
}

static bool comes_back(Fixture *f, const char *text)
{
    uint32_t head, len;

    vhost_stub_echo(&stubs[0]);
    kit_run(f->net->kit);
    if (!kit_queue_take(&f->net->rx, &head, &len))
        return false;
    g_assert_cmpmem(kit_net_buffer(f->net, &f->net->rx, head) + KIT_NET_HEADER,
                    len - KIT_NET_HEADER, text, strlen(text));
    return kit_queue_take(&f->net->tx, &head, &len);
}

static NetSet *set_of(Fixture *f)
{
    return f->net->dev->board->nets;
}

static void test_kernel_gets_what_it_needs(Fixture *f, gconstpointer unused)
{
    const NetNic *nic = net_set_next_nic(set_of(f), NULL);

    g_assert_true(net_backend_is_in_kernel(nic->backend));
    assert_running(&stubs[0], taps[0]);
    g_assert_cmphex(f->net->v->features & HAS, ==,
                    HAS & ~BIT(VHOST_NET_F_VIRTIO_NET_HDR));
    g_assert_cmphex(stubs[0].driver_features, ==, f->net->v->features & HAS);
    g_assert_cmpuint(stubs[0].n_regions, ==, 2);
    g_assert_cmpuint(stubs[0].rings[0].size, ==, KIT_NET_BUFFERS);
    g_assert_cmpuint(stubs[0].rings[0].poll_us, ==, 0);

    transmit(f, "hello");
    g_assert_true(comes_back(f, "hello"));
    g_assert_cmpuint(kit_msix_count(f->net->kit, KIT_VIRTIO_VECTOR_DATA), ==, 2);
    /* The control queue is served here. */
    g_assert_cmpuint(kit_net_command(f->net, VIRTIO_NET_CTRL_RX,
                                     VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1), ==, 0);
}

/* The kernel makes the header that the tap has not, and has no mergeable buffers. */
static void test_tap_without_header(Fixture *f, gconstpointer unused)
{
    assert_running(&stubs[0], taps[0]);
    g_assert_false(f->net->v->features >> VIRTIO_NET_F_MRG_RXBUF & 1);
    g_assert_true(stubs[0].driver_features >> VHOST_NET_F_VIRTIO_NET_HDR & 1);
    g_assert_cmpuint(stubs[0].rings[0].poll_us, ==, 50);
    g_assert_cmpuint(stubs[0].rings[1].poll_us, ==, 50);
}

static void test_masked_vector(Fixture *f, gconstpointer unused)
{
    int direct = stubs[0].rings[0].call;

    kit_msix_mask(&f->net->v->pci, 0, true);
    g_assert_cmpint(stubs[0].rings[0].call, !=, direct);
    transmit(f, "masked");
    g_assert_true(comes_back(f, "masked"));
    g_assert_cmpuint(kit_msix_count(f->net->kit, KIT_VIRTIO_VECTOR_DATA), ==, 0);
    kit_msix_mask(&f->net->v->pci, 0, false);
    g_assert_cmpint(stubs[0].rings[0].call, ==, direct);
    g_assert_cmpuint(kit_msix_count(f->net->kit, KIT_VIRTIO_VECTOR_DATA), ==, 1);
}

static void test_pause_keeps_the_place(Fixture *f, gconstpointer unused)
{
    for (int i = 0; i < 3; i++) {
        transmit(f, "before");
        g_assert_true(comes_back(f, "before"));
    }
    device_tree_pause(&f->net->kit->tree);
    vhost_stub_assert_stopped(&stubs[0]);
    transmit(f, "meanwhile");

    device_tree_resume(&f->net->kit->tree);
    assert_running(&stubs[0], taps[0]);
    g_assert_cmpuint(stubs[0].rings[1].base, ==, 3);
    g_assert_true(comes_back(f, "meanwhile"));
}

/* Without its cable the guest's frames are dropped, not kept; its buffers stay. */
static void test_cable_out_and_in(Fixture *f, gconstpointer unused)
{
    uint32_t head, len;
    uint8_t got[100];

    transmit(f, "before");
    g_assert_true(comes_back(f, "before"));
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(net_set_link(set_of(f), i % 2 ? "wire" : "nic", false, NULL));
        vhost_stub_assert_stopped(&stubs[0]);
        transmit(f, "lost");
        kit_run(f->net->kit);
        g_assert_true(kit_queue_take(&f->net->tx, &head, &len));
        g_assert_cmpint(kit_net_wire_take(f->net, got, sizeof(got)), <, 0);

        g_assert_true(net_set_link(set_of(f), "nic", true, NULL));
        assert_running(&stubs[0], taps[0]);
        transmit(f, "after");
        g_assert_true(comes_back(f, "after"));
    }
}

static void test_reset_and_start_again(Fixture *f, gconstpointer unused)
{
    transmit(f, "a");
    g_assert_true(comes_back(f, "a"));
    kit_virtio_set_status(f->net->v, 0);
    vhost_stub_assert_stopped(&stubs[0]);
    kit_net_start(f->net, UINT64_MAX);
    g_assert_cmpuint(stubs[0].rings[0].base, ==, 0);
    transmit(f, "b");
    g_assert_true(comes_back(f, "b"));
    device_remove(f->net->dev);
    vhost_stub_assert_stopped(&stubs[0]);
}

static void test_fault_in_a_ring(Fixture *f, gconstpointer unused)
{
    uint64_t one = 1;

    g_assert_cmpint(write(stubs[0].rings[1].error, &one, sizeof(one)), ==, sizeof(one));
    kit_run(f->net->kit);
    g_assert_true(kit_virtio_status(f->net->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
    kit_net_start(f->net, UINT64_MAX);
    transmit(f, "again");
    g_assert_true(comes_back(f, "again"));
}

/* Of a driver that only sends the kernel has one ring. */
static void test_one_ring(Fixture *f, gconstpointer unused)
{
    KitNet *net = f->net;

    kit_virtio_negotiate(net->v, UINT64_MAX);
    kit_queue_setup(&net->tx, net->v, 1, KIT_NET_BUFFERS);
    kit_virtio_set_status(net->v,
                          kit_virtio_status(net->v) | VIRTIO_CONFIG_S_DRIVER_OK);
    g_assert_cmpint(stubs[0].rings[0].backend, ==, -1);
    g_assert_cmpint(stubs[0].rings[0].kick, ==, -1);
    g_assert_cmpint(stubs[0].rings[1].backend, ==, taps[0]);
    kit_msix_mask(&net->v->pci, 0, true);
    kit_msix_mask(&net->v->pci, 0, false);
}

static void test_rings_outside_memory(Fixture *f, gconstpointer unused)
{
    KitVirtio *v = f->net->v;
    unsigned n_calls;

    kit_virtio_negotiate(v, UINT64_MAX);
    n_calls = stubs[0].n_calls;
    kit_virtio_setup_queue(v, 16);
    kit_virtio_set(v, 0x16, 2, 1);
    kit_virtio_set(v, 0x20, 4, 0xf0000000u);
    kit_virtio_set(v, 0x1c, 2, 1);
    kit_virtio_set_status(v, kit_virtio_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
    g_assert_true(kit_virtio_status(v) & VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmpuint(stubs[0].n_calls, ==, n_calls);
}

/* The second pair has a device of the kernel's of its own, whether it is used or not. */
static void test_several_pairs(Fixture *f, gconstpointer unused)
{
    KitNet *net = f->net;
    KitQueue queues[2];

    assert_running(&stubs[0], taps[0]);
    vhost_stub_assert_stopped(&stubs[1]);
    kit_virtio_negotiate(net->v, UINT64_MAX);
    kit_virtio_setup_queue(net->v, KIT_NET_BUFFERS);
    net->rx = net->v->queue;
    kit_queue_setup(&net->tx, net->v, 1, KIT_NET_BUFFERS);
    kit_queue_setup(&queues[0], net->v, 2, KIT_NET_BUFFERS);
    kit_queue_setup(&queues[1], net->v, 3, KIT_NET_BUFFERS);
    kit_queue_setup(&net->ctrl, net->v, 4, KIT_NET_BUFFERS);
    kit_virtio_set_status(net->v,
                          kit_virtio_status(net->v) | VIRTIO_CONFIG_S_DRIVER_OK);
    kit_run(net->kit);
    assert_running(&stubs[0], taps[0]);
    assert_running(&stubs[1], taps[1]);
    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_MQ,
                                     VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\2\0", 2), ==, 0);
    g_assert_true(net_set_link(set_of(f), "nic", false, NULL));
    vhost_stub_assert_stopped(&stubs[0]);
    vhost_stub_assert_stopped(&stubs[1]);
    g_assert_true(net_set_link(set_of(f), "nic", true, NULL));
    assert_running(&stubs[1], taps[1]);
    transmit(f, "first");
    g_assert_true(comes_back(f, "first"));
}

static void test_start_fails_at_each_step(Fixture *f, gconstpointer unused)
{
    int n = 0;

    do {
        kit_virtio_set_status(f->net->v, 0);
        stubs[0].fail_after = n++;
        kit_net_start(f->net, UINT64_MAX);
        if (stubs[0].fail_after < 0 && stubs[0].rings[1].backend < 0) {
            g_assert_true(kit_virtio_status(f->net->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
            vhost_stub_assert_stopped(&stubs[0]);
        }
        g_assert_cmpint(n, <, 100);
    } while (stubs[0].fail_after < 0);

    stubs[0].fail_after = -1;
    g_assert_cmpint(n, >, 14);
    transmit(f, "works");
    g_assert_true(comes_back(f, "works"));
}

static void test_stop_fails_at_each_step(Fixture *f, gconstpointer unused)
{
    for (int n = 0; n < 12; n++) {
        transmit(f, "before");
        g_assert_true(comes_back(f, "before"));
        stubs[0].fail_after = n;
        device_tree_pause(&f->net->kit->tree);
        stubs[0].fail_after = -1;
        stubs[0].rings[0].backend = stubs[0].rings[1].backend = -1;
        device_tree_resume(&f->net->kit->tree);
    }
    transmit(f, "after");
    g_assert_true(comes_back(f, "after"));
}

static void test_wrong_options(void)
{
    static const struct {
        const char *more;
        const char *words;
    } cases[] = {
        { "vhostfd=VHOST,vhostfds=3", "parameter 'vhostfds': excludes 'vhostfd'" },
        { "vhostfds=VHOST:3", "parameter 'vhostfds' expects as many" },
        { "vhostfds=", "parameter 'vhostfds' expects as many" },
        { "vhostfd=12345", "parameter 'vhostfd': 12345 is no descriptor" },
        { "vhostfd=x", "parameter 'vhostfd': 'x' is no number" },
        { "vhostfd=VHOST,vhost=off,vhostforce=on", "'vhostforce': excludes vhost=off" },
        { "vhostfd=OTHER", "parameter 'vhostfd': vhost: cannot become the owner" },
        { "vhostfds=OTHER,vhostforce=on", "'vhostforce': vhost: cannot become" },
        { "vhost=off,poll-us=5", "parameter 'poll-us': needs vhost=on" },
        { "poll-us=5", "parameter 'poll-us': needs vhost=on" },
    };
    g_autoptr(NetBench) bench = net_bench_new();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) text = g_string_new("tap,id=a,fd=TAP,");
        int wire = make_stubs(&usual), other = open("/dev/null", O_RDWR);
        const struct {
            const char *name;
            int fd;
        } fds[] = { { "TAP", taps[0] }, { "VHOST", stubs[0].fd }, { "OTHER", other } };

        g_string_append(text, cases[i].more);
        for (size_t k = 0; k < G_N_ELEMENTS(fds); k++) {
            g_autofree char *number = g_strdup_printf("%d", fds[k].fd);

            g_string_replace(text, fds[k].name, number, 0);
        }
        net_bench_assert_refused(bench, text->str, cases[i].words);
        close(wire);
        for (size_t k = 0; k < G_N_ELEMENTS(fds); k++)
            close(fds[k].fd);
        stubs[0].fd = taps[0] = 0;
    }
}

/* A host without the module: frames go through the process, unless that is forbidden. */
static void test_absent_module(void)
{
    g_autoptr(NetBench) bench = net_bench_new();
    g_autofree char *forced = NULL, *wished = NULL;
    int wire, kept;

    if (access("/dev/vhost-net", F_OK) == 0) {
        g_test_skip("this host has the module");
        return;
    }
    wire = make_stubs(&usual);
    kept = dup(taps[0]);
    forced = g_strdup_printf("tap,id=a,fd=%d,vhostforce=on", taps[0]);
    net_bench_assert_refused(bench, forced, "parameter 'vhostforce': there is no "
                             "'/dev/vhost-net': the host's kernel module vhost_net");
    taps[0] = kept;
    wished = g_strdup_printf("tap,id=a,fd=%d,vhost=on,poll-us=5", taps[0]);
    net_bench_add(bench, wished);
    g_assert_false(net_backend_is_in_kernel(net_bench_attach(bench, 0, "a")));
    close(wire);
    close(stubs[0].fd);
    stubs[0].fd = taps[0] = 0;
}

/* Frames that do not come by here are seen by no filter, and counted by nobody. */
static void test_frames_that_nobody_sees(Fixture *f, gconstpointer unused)
{
    g_autoptr(ObjectOptions) options =
        qapi_parse_json(QAPI_TYPE_OBJECT_OPTIONS, "{'qom-type': 'filter-dump', "
                        "'id': 'd', 'netdev': 'wire', 'file': '/nonexistent/d'}", NULL);
    KitBoard *kit = f->net->kit;
    KitQmp *qmp = kit_qmp_new(kit);
    g_autoptr(JsonValue) nics = NULL, queues = NULL, pulled = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(object_add(kit->objects, options, &error));
    g_assert_nonnull(strstr(error->message, "'netdev': the host's kernel moves the "
                            "frames of 'wire' (vhost)"));
    nics = kit_qmp_ask(qmp, "query-stats", "{'target': 'nic'}");
    g_assert_cmpuint(json_length(nics), ==, 0);
    /* The control queue alone is served here, and all of them while the cable is out. */
    queues = kit_qmp_ask(qmp, "query-stats", "{'target': 'virtqueue'}");
    g_assert_cmpuint(json_length(queues), ==, 1);
    kit_qmp_assert_at(queues, "0.queue", "2");
    g_assert_true(net_set_link(kit->nets, "nic", false, NULL));
    pulled = kit_qmp_ask(qmp, "query-stats", "{'target': 'virtqueue'}");
    g_assert_cmpuint(json_length(pulled), ==, 3);
    kit_qmp_free(qmp);
}

/* What goes by cannot be held back. */
static void test_limits_are_refused(Fixture *f, gconstpointer unused)
{
    KitBoard *kit = f->net->kit;

    kit_add_object(kit, "{'qom-type': 'net-throttle-group', 'id': 'g', 'rx-pps': 1}");
    device_remove(f->net->dev);
    kit_assert_refused(kit, "{'driver': 'virtio-net-pci', 'netdev': 'wire', "
                       "'throttle-group': 'g'}", "parameter 'throttle-group': the host's "
                       "kernel moves the frames of 'wire' (vhost): limit them by tc(8)");
    g_assert_true(object_del(kit->objects, "g", NULL));
    g_assert_true(net_set_remove(kit->nets, "wire", NULL));
}

static void add(const char *path, const Case *c, void (*fn)(Fixture *f, gconstpointer c))
{
    g_test_add(path, Fixture, c, set_up, fn, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add("/vhost-net/kernel-gets-what-it-needs", &usual, test_kernel_gets_what_it_needs);
    add("/vhost-net/tap-without-header", &bare, test_tap_without_header);
    add("/vhost-net/masked-vector", &usual, test_masked_vector);
    add("/vhost-net/pause-keeps-the-place", &usual, test_pause_keeps_the_place);
    add("/vhost-net/cable-out-and-in", &usual, test_cable_out_and_in);
    add("/vhost-net/reset-and-start-again", &usual, test_reset_and_start_again);
    add("/vhost-net/fault-in-a-ring", &usual, test_fault_in_a_ring);
    add("/vhost-net/one-ring", &usual, test_one_ring);
    add("/vhost-net/rings-outside-memory", &usual, test_rings_outside_memory);
    add("/vhost-net/several-pairs", &several, test_several_pairs);
    add("/vhost-net/start-fails-at-each-step", &usual, test_start_fails_at_each_step);
    add("/vhost-net/stop-fails-at-each-step", &usual, test_stop_fails_at_each_step);
    add("/vhost-net/frames-that-nobody-sees", &usual, test_frames_that_nobody_sees);
    add("/vhost-net/limits-are-refused", &usual, test_limits_are_refused);
    g_test_add_func("/vhost-net/wrong-options", test_wrong_options);
    g_test_add_func("/vhost-net/absent-module", test_absent_module);
    return g_test_run();
}
