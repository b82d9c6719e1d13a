/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device at its limits: frames wait where they are, and go when they may.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/net-set.h"

#include "kit-net.h"

#define ALL UINT64_MAX
#define GUARD_NS (20 * NS_PER_SEC)

/* A device whose group "g" has @limits (", 'rx-pps': 1"). */
static KitNet *make(const char *limits)
{
    g_autofree char *object = g_strdup_printf(
        "{'qom-type': 'net-throttle-group', 'id': 'g'%s}", limits);
    KitNet *net = kit_net_new_with(object, ", 'throttle-group': 'g'");

    kit_net_start(net, ALL);
    return net;
}

static void change(KitNet *net, const char *property, int64_t value)
{
    g_autoptr(JsonValue) json = json_new_int(value);
    g_autoptr(GError) error = NULL;

    object_change(object_find(net->kit->objects, "g"), property, json, &error);
    g_assert_no_error(error);
}

static void wire_send(KitNet *net, unsigned n)
{
    uint8_t frame[60] = { 0 };

    memset(frame, 0xff, 6);
    for (unsigned i = 0; i < n; i++) {
        frame[20] = (uint8_t)i;
        kit_net_wire_send(net, frame, sizeof(frame));
    }
}

/* How many frames the guest got now, in order from @first on. */
static unsigned count_in(KitNet *net, unsigned first)
{
    uint8_t got[KIT_NET_BUFFER];
    unsigned n = 0;

    kit_run_both(net->kit);
    while (kit_net_take(net, got, sizeof(got), NULL) >= 0)
        g_assert_cmpuint(got[KIT_NET_HEADER + 20], ==, first + n++);
    return n;
}

static const NetCounters *counters(const KitNet *net)
{
    const NetNic *nic = net_set_next_nic(net->kit->nets, NULL);

    return nic->counted(nic, 0);
}

static void test_receiving(void)
{
    g_autoptr(KitNet) net = make(", 'rx-pps': 1");

    kit_net_offer(net, 20, KIT_NET_BUFFER);
    wire_send(net, 5);
    g_assert_cmpuint(count_in(net, 0), ==, 1);
    g_assert_cmpuint(count_in(net, 1), ==, 0);
    g_assert_cmpuint(counters(net)->rx_throttled, ==, 1);
    g_assert_cmpuint(counters(net)->rx_dropped, ==, 0);
    /* The other direction is free. */
    for (unsigned i = 0; i < 5; i++) {
        uint8_t frame[60] = { 0 };

        kit_net_send(net, frame, sizeof(frame), 100);
        g_assert_cmpint(kit_net_wire_take(net, frame, sizeof(frame)), ==, 60);
    }
    /* What waited is there when the limit goes. */
    change(net, "rx-pps", 0);
    g_assert_cmpuint(count_in(net, 1), ==, 4);
    g_assert_cmpuint(counters(net)->rx_packets, ==, 5);
}

static void test_sending(void)
{
    g_autoptr(KitNet) net = make(", 'tx-bps': 100, 'tx-bps-max': 0");
    uint8_t frame[1000] = { 0 }, got[1000];
    uint32_t head, len;

    kit_net_send(net, frame, sizeof(frame), 2000);
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, 1000);
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
    kit_net_send(net, frame, sizeof(frame), 2000);
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, -1);
    g_assert_false(kit_queue_take(&net->tx, &head, &len));
    g_assert_cmpuint(counters(net)->tx_throttled, ==, 1);
    g_assert_cmpuint(counters(net)->tx_dropped, ==, 0);
    /* The guest may reset it meanwhile; what it had not sent is gone. */
    kit_net_start(net, ALL);
    kit_net_send(net, frame, sizeof(frame), 2000);
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, -1);
    change(net, "tx-bps", 100000000);
    kit_run_both(net->kit);
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, 1000);
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
    g_assert_cmpuint(counters(net)->tx_packets, ==, 2);
}

/* By itself, when its time has come: 10 frames at 100 a second. */
static void test_time(void)
{
    g_autoptr(KitNet) net = make(", 'rx-pps': 100");
    int64_t begin_ns = loop_clock_ns();
    unsigned n = 0;

    kit_net_offer(net, 20, KIT_NET_BUFFER);
    wire_send(net, 10);
    while (n < 10) {
        n += count_in(net, n);
        g_assert_cmpint(loop_clock_ns() - begin_ns, <, GUARD_NS);
    }
    /* The bucket holds two of them, and one more goes. */
    g_assert_cmpint(loop_clock_ns() - begin_ns, >=, 60 * NS_PER_MS);
}

static void test_group_in_use(void)
{
    g_autoptr(KitNet) net = make(", 'rx-pps': 1");
    g_autoptr(GError) error = NULL;

    wire_send(net, 2);
    kit_net_offer(net, 2, KIT_NET_BUFFER);
    g_assert_cmpuint(count_in(net, 0), ==, 1);
    g_assert_false(object_del(net->kit->objects, "g", &error));
    g_assert_nonnull(error);
}

static void test_wrong_groups(void)
{
    static const struct {
        const char *props;
        const char *words;
    } cases[] = {
        { "'netdev': 'n0', 'throttle-group': 'none'", "'throttle-group'" },
        { "'netdev': 'n0', 'throttle-group': 'r'", "limits of network devices" },
        { "'throttle-group': 'g'", "no backend" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add_netdev(kit, "{'type': 'null', 'id': 'n0'}");
    kit_add_object(kit, "{'qom-type': 'rng-builtin', 'id': 'r'}");
    kit_add_object(kit, "{'qom-type': 'net-throttle-group', 'id': 'g'}");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *json = g_strdup_printf("{'driver': 'virtio-net-pci', %s}",
                                                cases[i].props);

        kit_assert_refused(kit, json, cases[i].words);
    }
    g_assert_true(object_del(kit->objects, "g", NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-throttle/receiving", test_receiving);
    g_test_add_func("/net-throttle/sending", test_sending);
    g_test_add_func("/net-throttle/time", test_time);
    g_test_add_func("/net-throttle/group-in-use", test_group_in_use);
    g_test_add_func("/net-throttle/wrong-groups", test_wrong_groups);
    return g_test_run();
}
