/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device: frames both ways, mergeable buffers, back-pressure, the control
 * queue and its filters, hostile drivers, life.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/net-set.h"
#include "berth/virtio.h"

#include "kit-net.h"

#define ALL UINT64_MAX
#define MRG (1ull << VIRTIO_NET_F_MRG_RXBUF)
#define STATUS_AT 6             /* in the configuration */

/* A frame to @mac, of @size bytes that differ. */
static void make_frame(uint8_t *frame, uint32_t size, const char *mac)
{
    for (uint32_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(i * 7 + 3);
    for (unsigned i = 0; i < 6; i++)
        frame[i] = (uint8_t)g_ascii_strtoull(mac + 3 * i, NULL, 16);
    frame[12] = 8;
    frame[13] = 0;
}

/* Whether a frame to @mac reaches the guest. */
static bool arrives(KitNet *net, const char *mac)
{
    uint8_t frame[64], got[KIT_NET_BUFFER];

    make_frame(frame, sizeof(frame), mac);
    kit_net_offer(net, 1, KIT_NET_BUFFER);
    kit_net_wire_send(net, frame, sizeof(frame));
    return kit_net_take(net, got, sizeof(got), NULL) >= 0;
}

static bool is_broken(KitNet *net)
{
    return kit_virtio_status(net->v) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void test_frames_go_out(void)
{
    static const uint32_t parts[] = { 5000, 1, 12, 13, 100 };
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[50], got[100];
    uint32_t head, len;

    kit_net_start(net, ALL);
    make_frame(frame, sizeof(frame), "52:54:00:00:00:01");
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        kit_net_send(net, frame, sizeof(frame), parts[i]);

        g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, sizeof(frame));
        g_assert_cmpmem(got, sizeof(frame), frame, sizeof(frame));
        g_assert_true(kit_queue_take(&net->tx, &head, &len));
        g_assert_cmpuint(len, ==, 0);
    }
}

static void test_frames_come_in(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[1500], got[KIT_NET_BUFFER];

    kit_net_start(net, ALL);
    kit_net_offer(net, 8, KIT_NET_BUFFER);
    for (unsigned i = 0; i < 30; i++) {
        make_frame(frame, 60 + 40 * i, "52:54:00:12:34:56");
        kit_net_wire_send(net, frame, 60 + 40 * i);

        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, 72 + 40 * (int)i);
        g_assert_cmpmem(got + KIT_NET_HEADER, 60 + 40 * i, frame, 60 + 40 * i);
        kit_net_offer(net, 1, KIT_NET_BUFFER);
    }
}

/* A frame in as many buffers as it needs, also when they come one by one. */
static void test_mergeable_buffers(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[9000], got[9100];
    unsigned n;

    kit_net_start(net, ALL);
    make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
    kit_net_offer(net, 60, 200);
    kit_net_wire_send(net, frame, sizeof(frame));
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), &n), ==, 9012);
    g_assert_cmpuint(n, ==, 46);
    g_assert_cmpmem(got + KIT_NET_HEADER, 9000, frame, 9000);

    kit_net_start(net, ALL);
    kit_net_offer(net, 1, 2000);
    kit_net_wire_send(net, frame, sizeof(frame));
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), &n), ==, -1);
        kit_net_offer(net, 1, 2000);
    }
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), &n), ==, 9012);
    g_assert_cmpuint(n, ==, 5);
    g_assert_cmpmem(got + KIT_NET_HEADER, 9000, frame, 9000);
}

static void test_frame_that_no_buffers_hold(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[9000], got[KIT_NET_BUFFER];

    make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
    /* All the buffers that a ring has. */
    kit_net_start(net, ALL);
    kit_net_offer(net, KIT_NET_BUFFERS, 100);
    kit_net_wire_send(net, frame, sizeof(frame));
    kit_net_wire_send(net, frame, 80);
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, 92);
    g_assert_cmpmem(got + KIT_NET_HEADER, 80, frame, 80);

    /* One buffer a frame. */
    kit_net_start(net, ALL & ~MRG);
    kit_net_offer(net, 4, 1000);
    kit_net_wire_send(net, frame, sizeof(frame));
    kit_net_wire_send(net, frame, 80);
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, 92);
    g_assert_false(is_broken(net));
}

/* The guest has no buffers: frames wait at the far end, and come when it has. */
static void test_guest_without_buffers(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[60], got[KIT_NET_BUFFER];
    int n_sent = 0;

    kit_net_start(net, ALL);
    make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
    while (send(net->wire, frame, sizeof(frame), 0) == sizeof(frame)) {
        n_sent++;
        kit_run(net->kit);
    }
    g_assert_cmpint(errno, ==, EAGAIN);
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, -1);

    kit_net_offer(net, KIT_NET_BUFFERS, KIT_NET_BUFFER);

    for (int i = 0; i < n_sent; i++) {
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, 72);
        kit_net_offer(net, 1, KIT_NET_BUFFER);
    }
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, -1);
}

/* The far end takes nothing: frames stay in the ring, and go when it does. */
static void test_network_that_is_full(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[60], got[100];
    unsigned n_used = 0;
    uint32_t head, len;

    kit_net_start(net, ALL);
    make_frame(frame, sizeof(frame), "52:54:00:00:00:01");
    for (unsigned i = 0; i < KIT_NET_BUFFERS - 1; i++) {
        uint8_t *at = kit_net_buffer(net, &net->tx, i);

        memset(at, 0, KIT_NET_HEADER);
        memcpy(at + KIT_NET_HEADER, frame, sizeof(frame));
        kit_queue_desc(&net->tx, i,
                       KIT_VIRTIO_DATA + (KIT_NET_BUFFERS + i) * KIT_NET_BUFFER,
                       KIT_NET_HEADER + sizeof(frame), 0, 0);
        kit_queue_offer(&net->tx, i);
    }
    kit_queue_kick(&net->tx);
    while (kit_queue_take(&net->tx, &head, &len))
        n_used++;
    g_assert_cmpuint(n_used, <, KIT_NET_BUFFERS - 1);

    while (n_used < KIT_NET_BUFFERS - 1) {
        g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, sizeof(frame));
        kit_run(net->kit);
        while (kit_queue_take(&net->tx, &head, &len))
            n_used++;
    }
    g_assert_false(is_broken(net));
}

/* What clients are told, and that they are told once until they ask. */
static void check_query(KitNet *net)
{
    static const uint8_t on = 1;
    NetNic *nic = net_set_next_nic(net->kit->nets, NULL);
    g_autofree char *text = NULL;
    g_autoptr(JsonValue) value = NULL;
    g_autoptr(RxFilterInfo) info = NULL;
    uint16_t vlan = 7;

    kit_net_command(net, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2);
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, &on, 1);
    kit_run_both(net->kit);
    g_assert_cmpuint(net->kit->n_rx_filter_changes, ==, 1);
    /* One that asks without being told again, then one that is. */
    qapi_free_RxFilterInfo(nic->query_filter(nic, false));
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, &on, 1);
    kit_run_both(net->kit);
    g_assert_cmpuint(net->kit->n_rx_filter_changes, ==, 1);
    info = nic->query_filter(nic, true);
    value = qapi_emit(QAPI_TYPE_RX_FILTER_INFO, info);
    text = json_to_text(value);
    g_assert_cmpstr(text, ==,
                    "{\"name\": \"nic\", \"promiscuous\": false, "
                    "\"multicast\": \"normal\", \"unicast\": \"all\", "
                    "\"vlan\": \"normal\", \"broadcast-allowed\": true, "
                    "\"multicast-overflow\": false, \"unicast-overflow\": false, "
                    "\"main-mac\": \"52:54:00:12:34:56\", \"vlan-table\": [7], "
                    "\"unicast-table\": [\"02:00:00:00:00:09\"], "
                    "\"multicast-table\": [\"01:00:5e:00:00:01\"]}");
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, &on, 0);
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, "", 1);
    kit_run_both(net->kit);
    g_assert_cmpuint(net->kit->n_rx_filter_changes, ==, 2);
}

static void test_filters(void)
{
    static const uint8_t off = 0, on = 1;
    g_autoptr(KitNet) net = kit_net_new("");
    struct {
        uint32_t n_uni;
        uint8_t uni[6];
        uint32_t n_multi;
        uint8_t multi[6];
    } __attribute__((packed)) table = {
        1, { 2, 0, 0, 0, 0, 9 }, 1, { 1, 0, 0x5e, 0, 0, 1 },
    };

    kit_net_start(net, ALL);
    g_assert_true(arrives(net, "02:00:00:00:00:07"));

    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC,
                                     &off, 1), ==, VIRTIO_NET_OK);
    g_assert_false(arrives(net, "02:00:00:00:00:07"));
    g_assert_true(arrives(net, "52:54:00:12:34:56"));
    g_assert_true(arrives(net, "ff:ff:ff:ff:ff:ff"));
    g_assert_false(arrives(net, "01:00:5e:00:00:01"));
    g_assert_false(arrives(net, "02:00:00:00:00:09"));

    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_MAC,
                                     VIRTIO_NET_CTRL_MAC_TABLE_SET, &table,
                                     sizeof(table)), ==, VIRTIO_NET_OK);
    g_assert_true(arrives(net, "02:00:00:00:00:09"));
    g_assert_true(arrives(net, "01:00:5e:00:00:01"));
    g_assert_false(arrives(net, "01:00:5e:00:00:02"));
    check_query(net);

    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI,
                                     &on, 1), ==, VIRTIO_NET_OK);
    g_assert_true(arrives(net, "01:00:5e:00:00:02"));
    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST,
                                     &on, 1), ==, VIRTIO_NET_OK);
    g_assert_false(arrives(net, "ff:ff:ff:ff:ff:ff"));
}

static void test_address_is_changed(void)
{
    static const uint8_t off = 0, mac[] = { 2, 1, 2, 3, 4, 5 };
    static const uint8_t group[] = { 1, 1, 2, 3, 4, 5 };
    g_autoptr(KitNet) net = kit_net_new(", 'mac': '52:54:00:aa:bb:cc'");

    kit_net_start(net, ALL);
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1);
    g_assert_true(arrives(net, "52:54:00:aa:bb:cc"));

    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_MAC,
                                     VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6), ==,
                     VIRTIO_NET_OK);
    g_assert_true(arrives(net, "02:01:02:03:04:05"));
    g_assert_false(arrives(net, "52:54:00:aa:bb:cc"));
    g_assert_cmpuint(kit_read(net->kit, net->v->config, 4), ==, 0x03020102);
    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_MAC,
                                     VIRTIO_NET_CTRL_MAC_ADDR_SET, group, 6), ==,
                     VIRTIO_NET_ERR);

    kit_net_start(net, ALL);
    g_assert_cmpuint(kit_read(net->kit, net->v->config, 4), ==, 0xaa005452);
}

static void test_vlans(void)
{
    static const uint8_t off = 0;
    g_autoptr(KitNet) net = kit_net_new("");
    uint16_t id = 100, far = 4096;
    uint8_t frame[64], got[KIT_NET_BUFFER];

    kit_net_start(net, ALL);
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1);
    make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
    memcpy(frame + 12, "\x81\x00\x20\x64", 4);
    for (unsigned round = 0; round < 3; round++) {
        if (round > 0)
            g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_VLAN,
                                             round == 1 ? VIRTIO_NET_CTRL_VLAN_ADD
                                                        : VIRTIO_NET_CTRL_VLAN_DEL, &id,
                                             2), ==, VIRTIO_NET_OK);
        kit_net_offer(net, 1, KIT_NET_BUFFER);
        kit_net_wire_send(net, frame, sizeof(frame));
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL) >= 0, ==, round == 1);
    }
    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD,
                                     &far, 2), ==, VIRTIO_NET_ERR);
}

/* Each is refused and changes nothing. */
static void test_commands_that_are_refused(void)
{
    static const struct {
        uint8_t class, cmd;
        uint32_t size;
        uint8_t data[12];
    } cases[] = {
        { VIRTIO_NET_CTRL_RX, 0, 0, { 0 } },
        { VIRTIO_NET_CTRL_RX, 0, 2, { 1, 1 } },
        { VIRTIO_NET_CTRL_RX, 6, 1, { 1 } },
        { VIRTIO_NET_CTRL_RX, 255, 1, { 1 } },
        { VIRTIO_NET_CTRL_MAC, 0, 0, { 0 } },
        { VIRTIO_NET_CTRL_MAC, 0, 3, { 0 } },
        { VIRTIO_NET_CTRL_MAC, 0, 4, { 0 } },
        { VIRTIO_NET_CTRL_MAC, 0, 8, { 0xff, 0xff, 0xff, 0xff } },
        { VIRTIO_NET_CTRL_MAC, 0, 8, { 0, 0, 0, 0, 0xab, 0xaa, 0xaa, 0xaa } },
        { VIRTIO_NET_CTRL_MAC, 0, 9, { 0 } },
        { VIRTIO_NET_CTRL_MAC, 0, 12, { 1, 0, 0, 0 } },
        { VIRTIO_NET_CTRL_MAC, 1, 5, { 2 } },
        { VIRTIO_NET_CTRL_MAC, 1, 7, { 2 } },
        { VIRTIO_NET_CTRL_MAC, 2, 6, { 2 } },
        { VIRTIO_NET_CTRL_VLAN, 0, 1, { 1 } },
        { VIRTIO_NET_CTRL_VLAN, 0, 2, { 0, 0x10 } },
        { VIRTIO_NET_CTRL_VLAN, 2, 2, { 1 } },
        { VIRTIO_NET_CTRL_ANNOUNCE, 0, 0, { 0 } },
        { VIRTIO_NET_CTRL_MQ, 0, 2, { 1 } },
        { VIRTIO_NET_CTRL_MQ, 1, 2, { 1 } },
        { VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 8, { 2 } },
        { 6, 0, 1, { 0 } },
        { 255, 255, 12, { 0 } },
    };
    g_autoptr(KitNet) net = kit_net_new("");
    VirtioDevice *vdev;

    kit_net_start(net, ALL);
    vdev = virtio_pci_device(net->dev);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) before = NULL, after = NULL;

        before = g_byte_array_new();
        after = g_byte_array_new();
        vmstate_save(before, vdev->class->vmstate, vdev);
        g_test_message("class %u command %u", cases[i].class, cases[i].cmd);
        g_assert_cmpuint(kit_net_command(net, cases[i].class, cases[i].cmd, cases[i].data,
                                         cases[i].size), ==, VIRTIO_NET_ERR);
        vmstate_save(after, vdev->class->vmstate, vdev);
        g_assert_cmpmem(before->data, before->len, after->data, after->len);
    }
    g_assert_false(is_broken(net));
}

/* More addresses than the table has: all of the kind are taken. */
static void test_table_that_is_too_long(void)
{
    static const uint8_t off = 0;
    g_autoptr(KitNet) net = kit_net_new("");
    g_autofree uint8_t *table = g_malloc0(8 + 1000 * 6);

    kit_net_start(net, ALL);
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1);
    memcpy(table + 4, "\xe8\x03\x00\x00", 4);

    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_MAC,
                                     VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
                                     8 + 1000 * 6), ==, VIRTIO_NET_OK);

    g_assert_true(arrives(net, "01:00:5e:00:00:02"));
    g_assert_false(arrives(net, "02:00:00:00:00:02"));
}

static void test_link(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    GError *error = NULL;
    uint8_t frame[64], got[KIT_NET_BUFFER];
    uint32_t head, len;

    kit_net_start(net, ALL);
    make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
    kit_net_offer(net, 4, KIT_NET_BUFFER);
    g_assert_cmpuint(kit_read(net->kit, net->v->config + STATUS_AT, 2), ==,
                     VIRTIO_NET_S_LINK_UP);

    g_assert_true(net_set_link(net->kit->nets, "nic", false, &error));
    kit_run_both(net->kit);
    g_assert_cmpuint(kit_read(net->kit, net->v->config + STATUS_AT, 2), ==, 0);
    kit_net_wire_send(net, frame, sizeof(frame));
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, -1);
    kit_net_send(net, frame, sizeof(frame), 5000);
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, -1);

    /* By the name of the backend. */
    g_assert_true(net_set_link(net->kit->nets, "wire", true, &error));
    kit_run_both(net->kit);
    g_assert_cmpuint(kit_read(net->kit, net->v->config + STATUS_AT, 2), ==,
                     VIRTIO_NET_S_LINK_UP);
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, 76);
    g_assert_false(net_set_link(net->kit->nets, "other", true, &error));
    g_assert_cmpstr(error_class_name(error), ==, "DeviceNotFound");
    g_clear_error(&error);
}

/* Buffers that were taken from the ring are there again, in their order. */
static void test_pause_keeps_buffers(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[64], got[KIT_NET_BUFFER];
    uint32_t head, len;

    kit_net_start(net, ALL);
    kit_net_offer(net, 20, KIT_NET_BUFFER);
    make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
    for (unsigned i = 0; i < 20; i++) {
        device_tree_pause(&net->kit->tree);
        g_assert_true(device_tree_is_quiet(&net->kit->tree));
        kit_net_wire_send(net, frame, sizeof(frame));
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, -1);
        device_tree_resume(&net->kit->tree);
        kit_run_both(net->kit);

        g_assert_true(kit_queue_take(&net->rx, &head, &len));
        g_assert_cmpuint(head, ==, i);
        g_assert_cmpuint(len, ==, 76);
    }
}

static void test_state_moves_and_is_checked(void)
{
    static const uint8_t off = 0, mac[] = { 2, 1, 2, 3, 4, 5 };
    g_autoptr(KitNet) from = kit_net_new(""), to = kit_net_new("");
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;

    kit_net_start(from, ALL);
    kit_net_command(from, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1);
    kit_net_command(from, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6);
    device_tree_pause(&from->kit->tree);
    device_tree_pause(&to->kit->tree);
    saved = kit_save(from->kit);
    g_assert_true(device_tree_load(&to->kit->tree, saved->data, saved->len, &error));
    again = kit_save(to->kit);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);

    for (gsize i = 0; i < saved->len; i++) {
        /* Whatever a byte is, it is loaded whole or refused. */
        g_autoptr(GError) refusal = NULL;

        saved->data[i] ^= 0xff;
        if (!device_tree_load(&to->kit->tree, saved->data, saved->len, &refusal))
            g_assert_nonnull(refusal);
        saved->data[i] ^= 0xff;
    }
}

/* Chains that the rules do not allow break the device, and a reset mends it. */
static void test_hostile_chains(void)
{
    static const struct {
        unsigned queue;
        uint32_t len;
        uint16_t flags;
    } cases[] = {
        { 0, 11, VRING_DESC_F_WRITE },          /* no room for the header */
        { 0, 2000, 0 },                         /* nothing to write to */
        { 1, 11, 0 },                           /* no whole header */
        { 1, 2000, VRING_DESC_F_WRITE },        /* nothing to read */
        { 1, 0, 0 },
        { 2, 1, 0 },
        { 2, 8, 0 },                            /* no room for the status */
        { 2, 8, VRING_DESC_F_WRITE },
    };
    g_autoptr(KitNet) net = kit_net_new("");

    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KitQueue *queues[] = { &net->rx, &net->tx, &net->ctrl };
        KitQueue *q = queues[cases[i].queue];

        kit_net_start(net, ALL);
        kit_net_offer(net, 2, KIT_NET_BUFFER);
        kit_queue_desc(q, 5, KIT_VIRTIO_DATA, cases[i].len, cases[i].flags, 0);
        kit_queue_offer(q, 5);
        kit_queue_kick(q);
        g_test_message("case %zu", i);
        g_assert_true(is_broken(net));

        kit_net_start(net, ALL);
        g_assert_true(arrives(net, "52:54:00:12:34:56"));
    }
}

/* Frames of sizes that no network has are dropped, and the next one goes. */
static void test_frames_that_cannot_be_sent(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[60], got[100];
    uint32_t head, len;

    kit_net_start(net, ALL);
    make_frame(frame, sizeof(frame), "52:54:00:00:00:01");
    kit_queue_desc(&net->tx, 0, KIT_VIRTIO_DATA, KIT_NET_HEADER, 0, 0);
    kit_queue_desc(&net->tx, 1, 0, KIT_RAM_SIZE / 2, 0, 0);
    kit_queue_offer(&net->tx, 0);
    kit_queue_offer(&net->tx, 1);
    kit_queue_kick(&net->tx);
    for (unsigned i = 0; i < 2; i++)
        g_assert_true(kit_queue_take(&net->tx, &head, &len));

    kit_net_send(net, frame, sizeof(frame), 5000);

    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, sizeof(frame));
    g_assert_false(is_broken(net));
}

/* The far end goes away: errors, and no loop that turns for ever. */
static void test_far_end_goes(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[60];
    uint32_t head, len;

    kit_net_start(net, ALL);
    kit_net_offer(net, 4, KIT_NET_BUFFER);
    make_frame(frame, sizeof(frame), "52:54:00:00:00:01");
    base_close_fd(&net->wire);

    for (unsigned i = 0; i < 20; i++) {
        kit_net_send(net, frame, sizeof(frame), 5000);
        g_assert_true(kit_queue_take(&net->tx, &head, &len));
    }
    kit_run_both(net->kit);
    g_assert_false(is_broken(net));
}

static void test_features_follow_the_backend(void)
{
    static const struct {
        const char *props;
        uint64_t with, without;
    } cases[] = {
        { "", 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |
              1ull << VIRTIO_NET_F_GUEST_TSO6 | MRG | 1ull << VIRTIO_NET_F_MQ,
          1ull << VIRTIO_NET_F_GUEST_UFO | 1ull << VIRTIO_NET_F_MTU },
        { ", 'csum': false", 1ull << VIRTIO_NET_F_GUEST_TSO4,
          1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |
              1ull << VIRTIO_NET_F_HOST_ECN },
        { ", 'guest_csum': false", 1ull << VIRTIO_NET_F_CSUM,
          1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4 },
        { ", 'ctrl_vq': false", MRG,
          1ull << VIRTIO_NET_F_CTRL_VQ | 1ull << VIRTIO_NET_F_CTRL_RX |
              1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_GUEST_ANNOUNCE },
        { ", 'host_mtu': 9000, 'speed': 10000, 'duplex': 'full'",
          1ull << VIRTIO_NET_F_MTU | 1ull << VIRTIO_NET_F_SPEED_DUPLEX, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(KitBoard) kit = kit_board_new();
        g_autofree char *json = g_strdup_printf(
            "{'driver': 'virtio-net-pci', 'netdev': 'n', 'mq': true%s}", cases[i].props);
        VirtioDevice *vdev;

        kit_add_netdev(kit, "{'type': 'null', 'id': 'n', 'queues': 3}");
        vdev = virtio_pci_device(kit_add(kit, json));
        g_assert_cmphex(vdev->offered & cases[i].with, ==, cases[i].with);
        g_assert_cmphex(vdev->offered & cases[i].without, ==, 0);
    }
}

static void test_pairs(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree KitVirtio *v = NULL;
    uint32_t head, len;
    KitQueue tx, ctrl;
    uint8_t *memory;
    Device *dev;

    kit_add_netdev(kit, "{'type': 'null', 'id': 'n', 'queues': 3}");
    dev = kit_add(kit, "{'driver': 'virtio-net-pci', 'netdev': 'n', 'mq': true}");
    kit_start(kit);
    v = kit_virtio_new(kit, dev);
    g_assert_cmpuint(kit_virtio_get(v, 0x12, 2), ==, 7);
    g_assert_cmpuint(kit_read(kit, v->config + 8, 2), ==, 3);
    kit_virtio_negotiate(v, ALL);
    kit_virtio_setup_queue(v, 16);
    kit_queue_setup(&tx, v, 5, 16);
    kit_queue_setup(&ctrl, v, 6, 16);
    kit_virtio_set_status(v, kit_virtio_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
    memory = kit_ram(kit, KIT_VIRTIO_DATA, 100);
    for (unsigned n = 0; n < 6; n++) {
        const uint8_t command[] = { VIRTIO_NET_CTRL_MQ, 0, (uint8_t)n, 0, 0xee };

        memcpy(memory, command, sizeof(command));
        kit_queue_desc(&ctrl, 0, KIT_VIRTIO_DATA, 4, VRING_DESC_F_NEXT, 1);
        kit_queue_desc(&ctrl, 1, KIT_VIRTIO_DATA + 4, 1, VRING_DESC_F_WRITE, 0);
        kit_queue_offer(&ctrl, 0);
        kit_queue_kick(&ctrl);
        g_assert_true(kit_queue_take(&ctrl, &head, &len));
        g_assert_cmpuint(memory[4], ==,
                         n >= 1 && n <= 3 ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
    }
    kit_queue_desc(&tx, 0, KIT_VIRTIO_DATA, 60, 0, 0);
    kit_queue_offer(&tx, 0);
    kit_queue_kick(&tx);
    g_assert_true(kit_queue_take(&tx, &head, &len));
}

/* Queues on threads of their own: frames, a link that changes, removal. */
static void test_pairs_on_their_threads(void)
{
    g_autoptr(KitBoard) kit = kit_board_new_threaded();
    int64_t end = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
    g_autofree KitVirtio *v = NULL;
    unsigned n_used = 0;
    uint32_t head, len;
    KitQueue tx;
    Device *dev;

    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'io'}");
    kit_add_netdev(kit, "{'type': 'null', 'id': 'n', 'queues': 2}");
    dev = kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'nic', 'netdev': 'n', "
                  "'mq': true, 'iothread': 'io'}");
    kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'other'}");
    kit_start(kit);
    v = kit_virtio_new(kit, dev);
    kit_virtio_negotiate(v, ALL);
    kit_virtio_setup_queue(v, 16);
    kit_queue_setup(&tx, v, 1, 16);
    kit_virtio_set_status(v, kit_virtio_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
    for (unsigned i = 0; i < 16; i++) {
        kit_queue_desc(&tx, i, KIT_VIRTIO_DATA, 60, 0, 0);
        kit_queue_offer(&tx, i);
    }
    kit_queue_kick(&tx);
    for (unsigned i = 0; i < 100; i++)
        g_assert_true(net_set_link(kit->nets, "nic", i % 2, NULL));
    while (n_used < 16 && g_get_monotonic_time() < end)
        n_used += kit_queue_take(&tx, &head, &len);
    g_assert_cmpuint(n_used, ==, 16);
    device_remove(dev);
    g_assert_true(net_set_remove(kit->nets, "n", NULL));
}

static void test_frames_are_counted(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    const NetCounters *counters;
    uint8_t frame[60];
    const NetNic *nic;

    kit_net_start(net, ALL);
    make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
    nic = net_set_next_nic(net->kit->nets, NULL);
    g_assert_cmpstr(nic->path, ==, "/machine/peripheral/nic");
    g_assert_cmpuint(nic->n_pairs, ==, 1);
    g_assert_null(net_set_next_nic(net->kit->nets, nic));
    g_assert_true(arrives(net, "52:54:00:12:34:56"));
    for (unsigned i = 0; i < 3; i++)
        kit_net_send(net, frame, sizeof(frame), 5000);
    net_set_link(net->kit->nets, "nic", false, NULL);
    kit_net_send(net, frame, sizeof(frame), 5000);
    counters = nic->counted(nic, 0);
    g_assert_cmpuint(counters->rx_packets, ==, 1);
    g_assert_cmpuint(counters->rx_bytes, ==, 64);
    g_assert_cmpuint(counters->tx_packets, ==, 3);
    g_assert_cmpuint(counters->tx_bytes, ==, 180);
    g_assert_cmpuint(counters->tx_dropped, ==, 1);
}

static void test_announcements(void)
{
    static const char rarp[] = "\xff\xff\xff\xff\xff\xff" "\x52\x54\0\x12\x34\x56"
        "\x80\x35\0\1\x08\0\6\4\0\3" "\x52\x54\0\x12\x34\x56" "\0\0\0\0"
        "\x52\x54\0\x12\x34\x56";
    AnnounceParameters params = { .initial = 1, .max = 5, .rounds = 3, .step = 1 };
    int64_t end = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
    g_autoptr(KitNet) net = kit_net_new("");
    g_autoptr(StrList) none = StrList_new();
    uint8_t got[100];
    unsigned n = 0;

    kit_net_start(net, ALL);
    net_set_announce(net->kit->nets, &params);
    while (n < 3 && g_get_monotonic_time() < end) {
        kit_run_both(net->kit);
        if (kit_net_wire_take(net, got, sizeof(got)) < 0)
            continue;
        n++;
        g_assert_cmpmem(got, sizeof(rarp) - 1, rarp, sizeof(rarp) - 1);
    }
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpuint(kit_read(net->kit, net->v->config + STATUS_AT, 2), ==,
                     VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_ANNOUNCE,
                                     VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0), ==,
                     VIRTIO_NET_OK);
    g_assert_cmpuint(kit_read(net->kit, net->v->config + STATUS_AT, 2), ==,
                     VIRTIO_NET_S_LINK_UP);

    /* None for a device that is not named, and none after the end. */
    params.rounds = 1000;
    params.interfaces = none;
    net_set_announce(net->kit->nets, &params);
    kit_run_both(net->kit);
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), <, 0);
}

static void test_default_addresses(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autoptr(GString) text = g_string_new(NULL);

    kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'a'}");
    kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'b', 'mac': '52-54-00-12-34-57'}");
    kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'c'}");
    device_remove(device_find(&kit->tree, "a"));
    kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'd'}");
    net_set_describe(kit->nets, text);

    g_assert_cmpstr(text->str, ==,
                    "b: index=0,type=nic,model=virtio-net-pci,"
                    "macaddr=52:54:00:12:34:57,link=down\n"
                    "c: index=0,type=nic,model=virtio-net-pci,"
                    "macaddr=52:54:00:12:34:58,link=down\n"
                    "d: index=0,type=nic,model=virtio-net-pci,"
                    "macaddr=52:54:00:12:34:56,link=down\n");
}

static void test_wrong_properties(void)
{
    static const struct {
        const char *props;
        const char *words;
    } cases[] = {
        { "'netdev': 'none'", "parameter 'netdev'" },
        { "'netdev': 'used'", "is used by device 'first'" },
        { "'mac': '52:54:00:12:34'", "parameter 'mac'" },
        { "'mac': '52:54:00:12:34:5g'", "parameter 'mac'" },
        { "'mac': '52:54:00:12:34:56:78'", "parameter 'mac'" },
        { "'mac': '01:54:00:12:34:56'", "address of a group" },
        { "'mac': ''", "parameter 'mac'" },
        { "'rx_queue_size': 300", "'rx_queue_size' expects a power of two" },
        { "'tx_queue_size': 513", "'tx_queue_size' expects a power of two" },
        { "'tx_queue_size': 2048", "tx_queue_size" },
        { "'host_mtu': 67", "'host_mtu'" },
        { "'duplex': 'both'", "'duplex'" },
        { "'tx': 'timer'", "'tx'" },
        { "'failover': true", "'failover'" },
        { "'rss': true", "'rss'" },
        { "'hash': true", "'hash'" },
        { "'guest_rsc_ext': true", "'guest_rsc_ext'" },
        { "'iothread': 'none'", "'iothread'" },
        { "'speed': -2", "speed" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add_netdev(kit, "{'type': 'null', 'id': 'used'}");
    kit_add(kit, "{'driver': 'virtio-net-pci', 'id': 'first', 'netdev': 'used'}");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *json = g_strdup_printf("{'driver': 'virtio-net-pci', %s}",
                                                cases[i].props);
        g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);

        net_set_describe(kit->nets, before);
        kit_assert_refused(kit, json, cases[i].words);
        net_set_describe(kit->nets, after);
        g_assert_cmpstr(before->str, ==, after->str);
    }
}

static void test_backend_in_use_stays(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    GError *error = NULL;

    g_assert_false(net_set_remove(net->kit->nets, "wire", &error));
    g_assert_nonnull(strstr(error->message, "used by device 'nic'"));
    g_clear_error(&error);

    device_remove(net->dev);
    g_assert_true(net_set_remove(net->kit->nets, "wire", &error));
    g_assert_false(net_set_remove(net->kit->nets, "wire", &error));
    g_assert_cmpstr(error_class_name(error), ==, "DeviceNotFound");
    g_clear_error(&error);
}

/*
 * Buffers that nobody needs yet: neither does the loop look at them again and again, nor
 * does a driver without EVENT_IDX ring for each.
 */
static void test_buffers_in_store_cost_nothing(void)
{
    static const unsigned amounts[] = { 1, 5, 20, 33, 34, 60 };

    for (size_t i = 0; i < G_N_ELEMENTS(amounts); i++) {
        g_autoptr(KitNet) net = kit_net_new("");
        const Virtqueue *vq = &virtio_pci_device(net->dev)->queues[0];
        uint8_t frame[64], got[KIT_NET_BUFFER];

        g_test_message("%u, and 4 more", amounts[i]);
        make_frame(frame, sizeof(frame), "52:54:00:12:34:56");
        kit_net_start(net, MRG | 1ull << VIRTIO_F_VERSION_1);
        for (unsigned n = 0; n < 5; n++) {
            kit_net_offer(net, n == 0 ? amounts[i] : 1, KIT_NET_BUFFER);
            g_assert_cmpuint(kit_net_sleep(net, 3, vq), <=, 1);
        }
        g_assert_cmpuint(net->rx.used[0], ==,
                         amounts[i] >= 33 ? VRING_USED_F_NO_NOTIFY : 0);
        for (unsigned n = 0; n < amounts[i] + 4; n++) {
            kit_net_wire_send(net, frame, sizeof(frame));
            g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==,
                            sizeof(frame) + KIT_NET_HEADER);
        }
        /* None is left: the driver rings for the next. */
        kit_net_sleep(net, 3, vq);
        g_assert_cmpuint(net->rx.used[0], ==, 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-net/frames-go-out", test_frames_go_out);
    g_test_add_func("/virtio-net/frames-come-in", test_frames_come_in);
    g_test_add_func("/virtio-net/mergeable-buffers", test_mergeable_buffers);
    g_test_add_func("/virtio-net/frame-that-no-buffers-hold",
                    test_frame_that_no_buffers_hold);
    g_test_add_func("/virtio-net/guest-without-buffers", test_guest_without_buffers);
    g_test_add_func("/virtio-net/network-that-is-full", test_network_that_is_full);
    g_test_add_func("/virtio-net/filters", test_filters);
    g_test_add_func("/virtio-net/address-is-changed", test_address_is_changed);
    g_test_add_func("/virtio-net/vlans", test_vlans);
    g_test_add_func("/virtio-net/commands-that-are-refused",
                    test_commands_that_are_refused);
    g_test_add_func("/virtio-net/table-that-is-too-long", test_table_that_is_too_long);
    g_test_add_func("/virtio-net/link", test_link);
    g_test_add_func("/virtio-net/pause-keeps-buffers", test_pause_keeps_buffers);
    g_test_add_func("/virtio-net/state-moves-and-is-checked",
                    test_state_moves_and_is_checked);
    g_test_add_func("/virtio-net/hostile-chains", test_hostile_chains);
    g_test_add_func("/virtio-net/frames-that-cannot-be-sent",
                    test_frames_that_cannot_be_sent);
    g_test_add_func("/virtio-net/far-end-goes", test_far_end_goes);
    g_test_add_func("/virtio-net/features-follow-the-backend",
                    test_features_follow_the_backend);
    g_test_add_func("/virtio-net/pairs", test_pairs);
    g_test_add_func("/virtio-net/pairs-on-their-threads", test_pairs_on_their_threads);
    g_test_add_func("/virtio-net/frames-are-counted", test_frames_are_counted);
    g_test_add_func("/virtio-net/announcements", test_announcements);
    g_test_add_func("/virtio-net/default-addresses", test_default_addresses);
    g_test_add_func("/virtio-net/wrong-properties", test_wrong_properties);
    g_test_add_func("/virtio-net/backend-in-use-stays", test_backend_in_use_stays);
    g_test_add_func("/virtio-net/buffers-in-store-cost-nothing",
                    test_buffers_in_store_cost_nothing);
    return g_test_run();
}
