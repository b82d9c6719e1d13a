/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What query-stats tells of network devices is what a driver counts that sends, gets,
 * rings and is interrupted.
 */
#include <string.h>

#include "berth/log.h"
#include "berth/net-set.h"

#include "kit-net.h"
#include "kit-qmp.h"

#define ALL UINT64_MAX

typedef struct Fixture {
    KitNet *net;
    KitQmp *qmp;
} Fixture;

static void set_up(Fixture *f, gconstpointer props)
{
    f->net = kit_net_new(props);
    f->qmp = kit_qmp_new(f->net->kit);
    kit_net_start(f->net, ALL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    kit_qmp_free(f->qmp);
    kit_net_free(f->net);
}

/* Statistic @name of @target, of the device's queue or pair @queue. */
static int64_t told(Fixture *f, const char *target, unsigned queue, const char *name)
{
    g_autoptr(JsonValue) results = kit_qmp_ask(
        f->qmp, "query-stats", "{'target': '%s', 'providers': [{'provider': 'berth', "
        "'names': ['%s']}]}", target, name);
    size_t n = json_length(results);

    for (size_t i = 0; i < n; i++) {
        const JsonValue *result = json_at(results, i);

        if (kit_qmp_int(result, "queue") != queue)
            continue;
        kit_qmp_assert_at(result, "qom-path", "/machine/peripheral/nic");
        return kit_qmp_int(result, "stats.0.value");
    }
    g_error("%s: there is nothing of %s %u", name, target, queue);
}

static unsigned interrupts(const Fixture *f)
{
    return kit_msix_count(f->net->kit, KIT_VIRTIO_VECTOR_DATA);
}

static void test_sent(Fixture *f, gconstpointer unused)
{
    uint8_t frame[1000] = { 0x52 }, got[1000];
    unsigned before = interrupts(f);
    uint32_t head, len;
    int64_t bytes = 0;

    for (unsigned i = 0; i < 20; i++) {
        uint32_t size = 60 + 40 * i;

        kit_net_send(f->net, frame, size, 100);
        g_assert_true(kit_queue_take(&f->net->tx, &head, &len));
        g_assert_cmpint(kit_net_wire_take(f->net, got, sizeof(got)), ==, (int)size);
        bytes += size;
    }
    g_assert_cmpint(told(f, "nic", 0, "tx_packets"), ==, 20);
    g_assert_cmpint(told(f, "nic", 0, "tx_bytes"), ==, bytes);
    g_assert_cmpint(told(f, "nic", 0, "tx_dropped"), ==, 0);
    g_assert_cmpint(told(f, "nic", 0, "rx_packets"), ==, 0);
    g_assert_cmpint(told(f, "virtqueue", 1, "kicks"), ==, 20);
    g_assert_cmpint(told(f, "virtqueue", 1, "requests"), ==, 20);
    g_assert_cmpint(told(f, "virtqueue", 1, "interrupts"), ==, interrupts(f) - before);
    g_assert_cmpint(interrupts(f) - before, ==, 20);
    g_assert_cmpint(told(f, "virtqueue", 0, "interrupts"), ==, 0);
    g_assert_cmpint(told(f, "virtqueue", 0, "kicks"), ==, 0);

    /* Several by one ring of the bell. */
    for (unsigned i = 0; i < 10; i++) {
        kit_queue_desc(&f->net->tx, i, KIT_VIRTIO_DATA, KIT_NET_HEADER + 100, 0, 0);
        kit_queue_offer(&f->net->tx, (uint16_t)i);
    }
    before = interrupts(f);
    kit_queue_kick(&f->net->tx);
    while (kit_queue_take(&f->net->tx, &head, &len))
        continue;
    g_assert_cmpint(told(f, "nic", 0, "tx_packets"), ==, 30);
    g_assert_cmpint(told(f, "nic", 0, "tx_bytes"), ==, bytes + 1000);
    g_assert_cmpint(told(f, "virtqueue", 1, "kicks"), ==, 21);
    g_assert_cmpint(told(f, "virtqueue", 1, "requests"), ==, 30);
    g_assert_cmpint(told(f, "virtqueue", 1, "interrupts"), ==,
                    20 + interrupts(f) - before);
    g_assert_cmpint(interrupts(f), >, before);
}

/* A frame in several buffers is one frame, and as many requests. */
static void test_received(Fixture *f, gconstpointer unused)
{
    uint8_t frame[1500] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    uint8_t got[KIT_NET_BUFFER];
    unsigned before = interrupts(f), n_buffers = 0;
    int64_t bytes = 0;

    kit_net_offer(f->net, 60, 500);
    for (unsigned i = 0; i < 12; i++) {
        uint32_t size = 60 + 120 * i;
        unsigned n;

        kit_net_wire_send(f->net, frame, size);
        g_assert_cmpint(kit_net_take(f->net, got, sizeof(got), &n), ==,
                        (int)(size + KIT_NET_HEADER));
        n_buffers += n;
        bytes += size;
    }
    g_assert_cmpuint(n_buffers, >, 12);
    g_assert_cmpint(told(f, "nic", 0, "rx_packets"), ==, 12);
    g_assert_cmpint(told(f, "nic", 0, "rx_bytes"), ==, bytes);
    g_assert_cmpint(told(f, "nic", 0, "rx_dropped"), ==, 0);
    g_assert_cmpint(told(f, "virtqueue", 0, "kicks"), ==, 1);
    g_assert_cmpint(told(f, "virtqueue", 0, "interrupts"), ==, interrupts(f) - before);
    g_assert_cmpint(interrupts(f) - before, ==, 12);
    /* Those that wait in the window are taken, too; a pause gives them back. */
    g_assert_cmpint(told(f, "virtqueue", 0, "requests"), >=, n_buffers);
    device_tree_pause(&f->net->kit->tree);
    g_assert_cmpint(told(f, "virtqueue", 0, "requests"), ==, n_buffers);
}

static void test_dropped(Fixture *f, gconstpointer unused)
{
    static const uint8_t off = 0;
    uint8_t frame[9000] = { 2, 0, 0, 0, 0, 9 };
    uint32_t head, len;

    /* To somebody else, too large for one buffer, without a place to go to. */
    kit_net_offer(f->net, 4, 500);
    kit_net_command(f->net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1);
    for (unsigned i = 0; i < 3; i++)
        kit_net_wire_send(f->net, frame, 60);
    g_assert_cmpint(told(f, "nic", 0, "rx_dropped"), ==, 3);
    memset(frame, 0xff, 6);
    kit_net_start(f->net, ALL & ~(1ull << VIRTIO_NET_F_MRG_RXBUF));
    kit_net_offer(f->net, 4, 500);
    kit_net_wire_send(f->net, frame, 600);
    g_assert_cmpint(told(f, "nic", 0, "rx_dropped"), ==, 4);
    g_assert_cmpint(told(f, "nic", 0, "rx_packets"), ==, 0);

    net_set_link(f->net->kit->nets, "nic", false, NULL);
    kit_run_both(f->net->kit);
    for (unsigned i = 0; i < 5; i++) {
        kit_net_send(f->net, frame, 100, 500);
        g_assert_true(kit_queue_take(&f->net->tx, &head, &len));
    }
    g_assert_cmpint(told(f, "nic", 0, "tx_dropped"), ==, 5);
    g_assert_cmpint(told(f, "nic", 0, "tx_packets"), ==, 0);
    g_assert_cmpint(told(f, "nic", 0, "tx_bytes"), ==, 0);
}

/* An interrupt that the driver does not want is none. */
static void test_interrupts_that_are_off(Fixture *f, gconstpointer unused)
{
    uint8_t frame[60] = { 0x52 };
    uint32_t head, len;
    unsigned before;

    kit_net_start(f->net, 1ull << VIRTIO_F_VERSION_1);
    f->net->tx.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
    before = interrupts(f);
    for (unsigned i = 0; i < 7; i++) {
        kit_net_send(f->net, frame, sizeof(frame), 500);
        g_assert_true(kit_queue_take(&f->net->tx, &head, &len));
    }
    g_assert_cmpuint(interrupts(f), ==, before);
    g_assert_cmpint(told(f, "virtqueue", 1, "interrupts"), ==, 0);
    g_assert_cmpint(told(f, "virtqueue", 1, "requests"), ==, 7);
    g_assert_cmpint(told(f, "virtqueue", 1, "batches"), ==, 7);
}

static void test_filters(Fixture *f, gconstpointer unused)
{
    g_autoptr(JsonValue) filters = NULL;
    g_autofree char *text = NULL;
    uint8_t frame[300] = { 0x52 };
    uint32_t head, len;

    kit_qmp_do(f->qmp, "object-add", "{'qom-type': 'filter-dump', 'id': 'd', 'netdev': "
               "'wire', 'maxlen': 100, 'file': '/dev/null'}");
    for (unsigned i = 0; i < 3; i++) {
        kit_net_send(f->net, frame, sizeof(frame), 500);
        g_assert_true(kit_queue_take(&f->net->tx, &head, &len));
    }
    filters = kit_qmp_ask(f->qmp, "query-stats", "{'target': 'filter'}");
    text = json_to_text(filters);
    g_assert_cmpstr(text, ==, "[{\"provider\": \"berth\", \"qom-path\": \"/objects/d\", "
                    "\"stats\": [{\"name\": \"packets\", \"value\": 3}, "
                    "{\"name\": \"bytes\", \"value\": 300}, "
                    "{\"name\": \"dropped\", \"value\": 0}]}]");
    kit_qmp_do(f->qmp, "object-del", "{'id': 'd'}");
}

static void add(const char *path, void (*fn)(Fixture *f, gconstpointer unused))
{
    g_test_add(path, Fixture, "", set_up, fn, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/net-stats/sent", test_sent);
    add("/net-stats/received", test_received);
    add("/net-stats/dropped", test_dropped);
    add("/net-stats/interrupts-that-are-off", test_interrupts_that_are_off);
    add("/net-stats/filters", test_filters);
    return g_test_run();
}
