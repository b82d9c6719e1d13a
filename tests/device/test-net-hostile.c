/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device among hostile drivers and far ends: what is wrong is dropped, refused
 * or breaks the device until its next reset; the next right frame goes.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/net-set.h"
#include "berth/virtio.h"

#include "kit-net.h"

#define ALL UINT64_MAX
#define MRG (1ull << VIRTIO_NET_F_MRG_RXBUF)
#define OWN "\x52\x54\x00\x12\x34\x56"

static bool is_broken(KitNet *net)
{
    return kit_virtio_status(net->v) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* A frame both ways. */
static void assert_alive(KitNet *net)
{
    uint8_t frame[60] = OWN, got[KIT_NET_BUFFER];
    uint32_t head, len;

    g_assert_false(is_broken(net));
    while (kit_queue_take(&net->tx, &head, &len) || kit_net_wire_take(net, got, 60) >= 0)
        continue;
    while (kit_net_take(net, got, sizeof(got), NULL) >= 0)
        continue;
    kit_net_send(net, frame, sizeof(frame), 4096);
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, sizeof(frame));
    kit_net_offer(net, 1, KIT_NET_BUFFER);
    kit_net_wire_send(net, frame, sizeof(frame));
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==,
                    sizeof(frame) + KIT_NET_HEADER);
}

/* What a header says is the backend's to believe; one without offloads ignores it. */
static void test_headers_that_lie(void)
{
    static const struct virtio_net_hdr_v1 headers[] = {
        { .hdr_len = 0xffff },
        { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 0xffff,
          .csum_offset = 0xffff },
        { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 59, .csum_offset = 1 },
        { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 0 },
        { .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 1, .hdr_len = 54 },
        { .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 0xffff },
        { .gso_type = 0xff, .flags = 0xff },
        { .num_buffers = 0xffff },
    };
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t got[200];
    uint32_t head, len;

    kit_net_start(net, ALL);
    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
        uint8_t *at = kit_net_buffer(net, &net->tx, 0);

        memset(at, 0x52, 100);
        memcpy(at, &headers[i], sizeof(headers[i]));
        kit_queue_desc(&net->tx, 0, KIT_VIRTIO_DATA + KIT_NET_BUFFERS * KIT_NET_BUFFER,
                       KIT_NET_HEADER + 60, 0, 0);
        kit_queue_offer(&net->tx, 0);
        kit_queue_kick(&net->tx);
        g_assert_true(kit_queue_take(&net->tx, &head, &len));
        g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, 60);
        g_assert_cmpmem(got, 60, at + KIT_NET_HEADER, 60);
    }
    assert_alive(net);
}

/* Each length from none on, with all that looks into a frame switched on. */
static void test_frames_that_are_too_short(void)
{
    static const uint8_t off = 0;
    static const uint8_t tagged[20] = OWN "\2\0\0\0\0\1\x81\0\x0f\xff\x08\0";
    static const uint8_t other[20] = "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0";
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t got[KIT_NET_BUFFER];
    uint16_t vlan = 1;

    kit_net_start(net, ALL);
    kit_net_command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1);
    kit_net_command(net, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2);
    kit_net_offer(net, 60, KIT_NET_BUFFER);
    for (uint32_t size = 0; size <= 20; size++) {
        int wanted = size == 0 ? -1 : (int)(size + KIT_NET_HEADER);

        kit_net_wire_send(net, tagged, size);
        /* What has no whole tag is in no VLAN; VLAN 4095 is not one of the guest's. */
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==,
                        size >= 16 ? -1 : wanted);
        kit_net_wire_send(net, other, size);
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==,
                        size >= 6 ? -1 : wanted);
    }
    assert_alive(net);
}

/* Commands cut at each byte, and in buffers of a byte each. */
static void test_commands_in_pieces(void)
{
    static const uint8_t table[] = {
        VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
        1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1,
    };
    g_autoptr(KitNet) net = kit_net_new("");
    uint32_t head, len;

    log_set_level(LOG_LEVEL_ERROR);
    for (uint32_t size = 0; size <= sizeof(table); size++) {
        uint8_t *memory;

        kit_net_start(net, ALL);
        memory = kit_net_buffer(net, &net->ctrl, 0);
        memcpy(memory, table, size);
        memory[size] = 0xee;
        for (uint32_t i = 0; i <= size; i++)
            kit_queue_desc(&net->ctrl, i, KIT_VIRTIO_DATA + 2 * KIT_NET_BUFFERS *
                           KIT_NET_BUFFER + i, 1,
                           i < size ? VRING_DESC_F_NEXT : VRING_DESC_F_WRITE,
                           (uint16_t)(i + 1));
        kit_queue_offer(&net->ctrl, 0);
        kit_queue_kick(&net->ctrl);
        g_assert_cmpint(is_broken(net), ==, size < 2);
        if (size < 2)
            continue;
        g_assert_true(kit_queue_take(&net->ctrl, &head, &len));
        g_assert_cmpuint(memory[size], ==,
                         size == sizeof(table) ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
    }
    kit_net_start(net, ALL);
    assert_alive(net);
}

/* Numbers of pairs, of a device that has two. */
static void test_pairs_out_of_range(void)
{
    static const uint16_t numbers[] = { 0, 3, 255, 256, 0x7fff, 0x8000, 0xffff };
    g_autoptr(KitNet) net = kit_net_new_on(-1, NULL, "{'type': 'null', 'id': 'wire', "
                                           "'queues': 2}", ", 'mq': true");
    const VirtioDevice *vdev = virtio_pci_device(net->dev);

    /* With MQ the control queue is the last one. */
    kit_net_start(net, ALL);
    kit_virtio_negotiate(net->v, ALL);
    kit_virtio_setup_queue(net->v, KIT_NET_BUFFERS);
    kit_queue_setup(&net->ctrl, net->v, 4, KIT_NET_BUFFERS);
    kit_virtio_set_status(net->v,
                          kit_virtio_status(net->v) | VIRTIO_CONFIG_S_DRIVER_OK);
    g_assert_cmpuint(vdev->n_queues, ==, 5);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        uint16_t n = GUINT16_TO_LE(numbers[i]);

        g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_MQ,
                                         VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n, 2), ==,
                         VIRTIO_NET_ERR);
    }
    /* A pair whose queues the driver did not make is one that gets nothing. */
    g_assert_cmpuint(kit_net_command(net, VIRTIO_NET_CTRL_MQ,
                                     VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\2", 2), ==,
                     VIRTIO_NET_OK);
    g_assert_false(is_broken(net));
}

/* Mergeable buffers with room for the header and little else, full of ones before. */
static void test_smallest_buffers(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[60] = OWN, got[KIT_NET_BUFFER];
    unsigned n;

    for (uint32_t size = KIT_NET_HEADER; size < KIT_NET_HEADER + 8; size++) {
        kit_net_start(net, ALL);
        memset(kit_net_buffer(net, &net->rx, 0), 0xff, KIT_NET_BUFFERS * KIT_NET_BUFFER);
        kit_net_offer(net, 20, size);
        kit_net_wire_send(net, frame, sizeof(frame));

        /* kit_net_take() fails unless num_buffers is how many there are. */
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), &n), ==,
                        sizeof(frame) + KIT_NET_HEADER);
        g_assert_cmpuint(n, ==, (sizeof(frame) + KIT_NET_HEADER + size - 1) / size);
        g_assert_cmpmem(got + KIT_NET_HEADER, sizeof(frame), frame, sizeof(frame));
    }
    kit_net_start(net, ALL);
    assert_alive(net);
}

/* Copies what the device wrote to the next chain that it used; how much, -1: none. */
static int take_chain(KitNet *net, uint8_t *bytes)
{
    uint32_t head, len, done = 0;

    if (!kit_queue_take(&net->rx, &head, &len))
        return -1;
    for (struct vring_desc *desc = &net->rx.desc[head]; done < len;
         desc = &net->rx.desc[desc->next]) {
        uint32_t n = MIN(len - done, desc->len);

        memcpy(bytes + done, kit_ram(net->kit, desc->addr, n), n);
        done += n;
    }
    return (int)len;
}

/* Large and small buffers by turns, of one and of many pieces. */
static void test_buffers_of_all_kinds(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[3000] = OWN, got[3100];
    struct virtio_net_hdr_v1 header;
    unsigned at = 0;

    for (unsigned i = 6; i < sizeof(frame); i++)
        frame[i] = (uint8_t)(i * 5);
    kit_net_start(net, ALL);
    for (unsigned i = 0; i < 20; i++) {
        unsigned parts = 1 + i % 4, first = at;
        uint32_t size = 12 + 150 * i;

        for (unsigned k = 0; k < parts; k++, at++)
            kit_queue_desc(&net->rx, at, KIT_VIRTIO_DATA + at * KIT_NET_BUFFER,
                           k == 0 ? MIN(size, KIT_NET_BUFFER) : k,
                           k + 1 < parts ? VRING_DESC_F_WRITE | VRING_DESC_F_NEXT
                                         : VRING_DESC_F_WRITE, (uint16_t)(at + 1));
        kit_queue_offer(&net->rx, (uint16_t)first);
    }
    kit_queue_kick(&net->rx);
    for (unsigned i = 0; i < 3; i++) {
        int size;

        kit_net_wire_send(net, frame, sizeof(frame));
        size = take_chain(net, got);
        g_assert_cmpint(size, >=, (int)KIT_NET_HEADER);
        memcpy(&header, got, sizeof(header));
        for (unsigned n = 1; n < GUINT16_FROM_LE(header.num_buffers); n++)
            size += take_chain(net, got + size);
        g_assert_cmpint(size, ==, sizeof(frame) + KIT_NET_HEADER);
        g_assert_cmpmem(got + KIT_NET_HEADER, sizeof(frame), frame, sizeof(frame));
        g_assert_cmpint(take_chain(net, got), ==, -1);
    }
    kit_net_start(net, ALL);
    assert_alive(net);
}

/* Frames that wait for buffers, and for the network, when the driver starts anew. */
static void test_reset_with_frames_under_way(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[9000] = OWN, got[KIT_NET_BUFFER];

    for (unsigned round = 0; round < 10; round++) {
        kit_net_start(net, ALL);
        /* Part of a frame is in the guest's buffers, the rest of it nowhere yet. */
        kit_net_offer(net, 2, 100);
        kit_net_wire_send(net, frame, sizeof(frame));
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==, -1);
        for (unsigned i = 0; i < KIT_NET_BUFFERS - 1; i++) {
            kit_queue_desc(&net->tx, i, KIT_VIRTIO_DATA + i * KIT_NET_BUFFER,
                           KIT_NET_HEADER + 60, 0, 0);
            kit_queue_offer(&net->tx, (uint16_t)i);
        }
        kit_queue_kick(&net->tx);
        if (round % 2)
            kit_virtio_set_status(net->v, 0);
    }
    kit_net_start(net, ALL);
    while (kit_net_wire_take(net, got, sizeof(got)) >= 0)
        kit_run(net->kit);
    assert_alive(net);
}

/*
 * A network that takes nothing and a guest that has no buffers, for any time: nothing
 * turns meanwhile, the other direction and another device go on, and when it is over all
 * goes by itself, in its order.
 */
static void test_network_that_stays_full(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    const VirtioDevice *vdev = virtio_pci_device(net->dev);
    uint8_t frame[60] = OWN, got[KIT_NET_BUFFER];
    unsigned n_sent = KIT_NET_BUFFERS - 1, n_used = 0, n_got = 0;
    uint32_t head, len;

    kit_net_start(net, ALL);
    for (unsigned i = 0; i < n_sent; i++) {
        uint8_t *at = kit_net_buffer(net, &net->tx, i);

        memset(at, 0, KIT_NET_HEADER + 60);
        at[KIT_NET_HEADER + 20] = (uint8_t)i;
        kit_queue_desc(&net->tx, i, KIT_VIRTIO_DATA + (KIT_NET_BUFFERS + i) *
                       KIT_NET_BUFFER, KIT_NET_HEADER + 60, 0, 0);
        kit_queue_offer(&net->tx, (uint16_t)i);
    }
    kit_queue_kick(&net->tx);
    while (kit_queue_take(&net->tx, &head, &len))
        n_used++;
    g_assert_cmpuint(n_used, <, n_sent);
    g_assert_cmpuint(kit_net_sleep(net, 20, &vdev->queues[1]), <=, 1);
    /* The other way. */
    kit_net_offer(net, 4, KIT_NET_BUFFER);
    for (unsigned i = 0; i < 4; i++) {
        kit_net_wire_send(net, frame, sizeof(frame));
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), >, 0);
    }
    /* The guest has no buffer now. */
    kit_net_wire_send(net, frame, sizeof(frame));
    g_assert_cmpuint(kit_net_sleep(net, 20, &vdev->queues[0]), <=, 1);
    g_assert_cmpuint(kit_net_sleep(net, 20, &vdev->queues[1]), <=, 1);
    while (n_got < n_sent) {
        g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, 60);
        g_assert_cmpuint(got[20], ==, n_got++);
        kit_run(net->kit);
        while (kit_queue_take(&net->tx, &head, &len))
            n_used++;
    }
    g_assert_cmpuint(n_used, ==, n_sent);
    kit_net_offer(net, 1, KIT_NET_BUFFER);
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), >, 0);
    assert_alive(net);
}

/* What the guest sends comes back to it, as from a bridge that loops: each frame once. */
static void test_frames_to_itself(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    uint8_t frame[60] = OWN, got[KIT_NET_BUFFER];
    uint32_t head, len;

    kit_net_start(net, ALL);
    kit_net_offer(net, 32, KIT_NET_BUFFER);
    for (unsigned i = 0; i < 20; i++) {
        frame[20] = (uint8_t)i;
        kit_net_send(net, frame, sizeof(frame), 4096);
        g_assert_true(kit_queue_take(&net->tx, &head, &len));
        g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, sizeof(frame));
        kit_net_wire_send(net, got, sizeof(frame));
        g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==,
                        sizeof(frame) + KIT_NET_HEADER);
        g_assert_cmpuint(got[KIT_NET_HEADER + 20], ==, i);
        g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, -1);
    }
    assert_alive(net);
}

/* Bells of queues that are there, are not, and have nothing in them. */
static void test_bells_for_nothing(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    const VirtioDevice *vdev = virtio_pci_device(net->dev);
    KitQueue queue;

    kit_net_start(net, ALL);
    queue = net->rx;
    for (unsigned i = 0; i < 1000; i++) {
        queue.index = i % 70;
        kit_queue_kick(&queue);
    }
    for (uint32_t i = 0; i < vdev->n_queues; i++)
        g_assert_cmpuint(vdev->queues[i].counters.requests, ==, 0);
    assert_alive(net);
}

/* The device's configuration in any width, at any place, written with anything. */
static void test_configuration(void)
{
    static const unsigned widths[] = { 1, 2, 4 };
    g_autoptr(KitNet) net = kit_net_new("");
    uint64_t before[3][64];

    kit_net_start(net, ALL);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned w = 0; w < G_N_ELEMENTS(widths); w++) {
            for (unsigned at = 0; at < 64; at++) {
                uint64_t value = kit_read(net->kit, net->v->config + at, widths[w]);

                if (round == 1)
                    g_assert_cmphex(value, ==, before[w][at]);
                before[w][at] = value;
                kit_write(net->kit, net->v->config + at, widths[w], 0xa5a5a5a5);
            }
        }
    }
    assert_alive(net);
}

#if !defined(__SANITIZE_THREAD__)
typedef struct Racer {
    KitNet *net;
    uint8_t *memory;
    int ends;
} Racer;

/* Rewrites descriptors, headers, commands and frames of queues that are served. */
static void *rewrite(void *opaque)
{
    Racer *racer = opaque;
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    struct vring_desc *descs[] = { racer->net->rx.desc, racer->net->tx.desc,
                                   racer->net->ctrl.desc };

    while (!__atomic_load_n(&racer->ends, __ATOMIC_RELAXED)) {
        struct vring_desc *desc = &descs[g_rand_int_range(rand, 0, 3)][
            g_rand_int_range(rand, 0, 4)];

        __atomic_store_n(&desc->len, g_rand_int(rand) >> g_rand_int_range(rand, 10, 31),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&desc->flags, (uint16_t)g_rand_int_range(rand, 0, 8),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&desc->next, (uint16_t)g_rand_int_range(rand, 0, 5),
                         __ATOMIC_RELAXED);
        __atomic_store_n(racer->memory + g_rand_int_range(rand, 0, 64),
                         (uint8_t)g_rand_int(rand), __ATOMIC_RELAXED);
    }
    return NULL;
}

static void point_at(KitQueue *q)
{
    for (unsigned i = 0; i < 5; i++)
        q->desc[i].addr = KIT_VIRTIO_DATA + 16 * i;
    kit_queue_offer(q, 0);
    kit_queue_kick(q);
}

static void test_racing_guest(void)
{
    g_autoptr(KitNet) net = kit_net_new("");
    Racer racer = { .net = net, .memory = kit_ram(net->kit, KIT_VIRTIO_DATA, 4096) };
    uint8_t frame[200] = OWN, got[KIT_NET_BUFFER];
    GThread *thread;

    log_set_level(LOG_LEVEL_ERROR);
    kit_net_start(net, ALL);
    thread = g_thread_new("racer", rewrite, &racer);
    for (unsigned i = 0; i < 5000; i++) {
        point_at(&net->rx);
        send(net->wire, frame, sizeof(frame), MSG_DONTWAIT);
        point_at(&net->tx);
        point_at(&net->ctrl);
        while (kit_net_wire_take(net, got, sizeof(got)) >= 0)
            continue;
        if (is_broken(net))
            kit_net_start(net, ALL);
    }
    __atomic_store_n(&racer.ends, 1, __ATOMIC_RELAXED);
    g_thread_join(thread);
    kit_net_start(net, ALL);
    /* What the network still has. */
    do
        kit_net_offer(net, 1, KIT_NET_BUFFER);
    while (kit_net_take(net, got, sizeof(got), NULL) >= 0);
    kit_net_start(net, ALL);
    assert_alive(net);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-hostile/headers-that-lie", test_headers_that_lie);
    g_test_add_func("/net-hostile/frames-that-are-too-short",
                    test_frames_that_are_too_short);
    g_test_add_func("/net-hostile/commands-in-pieces", test_commands_in_pieces);
    g_test_add_func("/net-hostile/pairs-out-of-range", test_pairs_out_of_range);
    g_test_add_func("/net-hostile/smallest-buffers", test_smallest_buffers);
    g_test_add_func("/net-hostile/buffers-of-all-kinds", test_buffers_of_all_kinds);
    g_test_add_func("/net-hostile/reset-with-frames-under-way",
                    test_reset_with_frames_under_way);
    g_test_add_func("/net-hostile/network-that-stays-full", test_network_that_stays_full);
    g_test_add_func("/net-hostile/frames-to-itself", test_frames_to_itself);
    g_test_add_func("/net-hostile/bells-for-nothing", test_bells_for_nothing);
    g_test_add_func("/net-hostile/configuration", test_configuration);
#if !defined(__SANITIZE_THREAD__)
    g_test_add_func("/net-hostile/racing-guest", test_racing_guest);
#endif
    return g_test_run();
}
