/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x-query-virtio and its kin: what they tell is what the driver did.
 */
#include "berth/virtio.h"

#include "kit-qmp.h"
#include "kit-virtio.h"

#define PATH "/machine/peripheral/rng/virtio-backend"
#define OF_QUEUE "{'path': '" PATH "', 'queue': 0}"

typedef struct Fixture {
    KitBoard *kit;
    KitVirtio *v;
    KitQmp *qmp;
} Fixture;

static void fixture_init(Fixture *f)
{
    Device *dev;

    f->kit = kit_board_new();
    f->qmp = kit_qmp_new(f->kit);
    dev = kit_add(f->kit, "{'driver': 'virtio-rng-pci', 'id': 'rng'}");
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, dev);
}

static void fixture_done(Fixture *f)
{
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
    g_free(f->v);
}

static JsonValue *status(Fixture *f)
{
    return kit_qmp_ask(f->qmp, "x-query-virtio-status", "{'path': '" PATH "'}");
}

static void test_list(void)
{
    g_autoptr(JsonValue) list = NULL;
    Fixture f;

    fixture_init(&f);
    list = kit_qmp_ask(f.qmp, "x-query-virtio", NULL);
    kit_qmp_assert_at(list, "0.path", PATH);
    kit_qmp_assert_at(list, "0.name", "virtio-rng");
    kit_qmp_assert_at(list, "1.name", "absent");
    kit_qmp_assert_fails(f.qmp, "not a virtio device", "x-query-virtio-status",
                         "{'path': '/machine'}");
    kit_qmp_assert_fails(f.qmp, "number 1", "x-query-virtio-queue-status",
                         "{'path': 'rng', 'queue': 1}");
    fixture_done(&f);
}

static void test_status_is_the_drivers(void)
{
    g_autoptr(JsonValue) before = NULL, during = NULL, after = NULL;
    Fixture f;

    fixture_init(&f);
    before = status(&f);
    kit_qmp_assert_at(before, "device-id", "4");
    kit_qmp_assert_at(before, "num-vqs", "1");
    kit_qmp_assert_at(before, "started", "false");
    kit_qmp_assert_at(before, "status.statuses.0", "absent");
    kit_qmp_assert_at(before, "guest-features.transports.0", "absent");
    kit_qmp_assert_at(before, "host-features.transports.0",
                      "VIRTIO_RING_F_INDIRECT_DESC");

    kit_virtio_negotiate(f.v, 1ull << VIRTIO_F_VERSION_1);
    during = status(&f);
    kit_qmp_assert_at(during, "started", "false");
    kit_qmp_assert_at(during, "status.statuses.2", "VIRTIO_CONFIG_S_FEATURES_OK");
    kit_qmp_assert_at(during, "status.statuses.3", "absent");
    kit_qmp_assert_at(during, "guest-features.transports.0", "VIRTIO_F_VERSION_1");
    kit_qmp_assert_at(during, "guest-features.transports.1", "absent");

    kit_virtio_start(f.v, UINT64_MAX, 8);
    after = status(&f);
    kit_qmp_assert_at(after, "started", "true");
    kit_qmp_assert_at(after, "broken", "false");
    kit_qmp_assert_at(after, "vhost-started", "false");
    kit_qmp_assert_at(after, "status.statuses.3", "VIRTIO_CONFIG_S_DRIVER_OK");
    kit_qmp_assert_at(after, "status.unknown-statuses", "absent");
    kit_qmp_assert_at(after, "host-features.unknown-dev-features", "absent");
    fixture_done(&f);
}

static void test_queue_moves_on(void)
{
    g_autoptr(JsonValue) before = NULL, after = NULL;
    uint32_t head, len;
    Fixture f;

    fixture_init(&f);
    kit_virtio_start(f.v, UINT64_MAX, 8);
    before = kit_qmp_ask(f.qmp, "x-query-virtio-queue-status", OF_QUEUE);
    kit_qmp_assert_at(before, "name", "virtio-rng");
    kit_qmp_assert_at(before, "queue-index", "0");
    kit_qmp_assert_at(before, "vring-num", "8");
    g_assert_cmpint(kit_qmp_int(before, "vring-desc"), ==, KIT_VIRTIO_RING);
    kit_qmp_assert_at(before, "last-avail-idx", "0");
    kit_qmp_assert_at(before, "used-idx", "0");
    kit_qmp_assert_at(before, "signalled-used-valid", "true");

    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA, 16, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);
    g_assert_true(kit_virtio_take(f.v, &head, &len));
    after = kit_qmp_ask(f.qmp, "x-query-virtio-queue-status", OF_QUEUE);
    kit_qmp_assert_at(after, "inuse", "0");
    kit_qmp_assert_at(after, "last-avail-idx", "1");
    kit_qmp_assert_at(after, "shadow-avail-idx", "1");
    kit_qmp_assert_at(after, "used-idx", "1");
    kit_qmp_assert_at(after, "signalled-used", "1");
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-query/list", test_list);
    g_test_add_func("/virtio-query/status", test_status_is_the_drivers);
    g_test_add_func("/virtio-query/queue", test_queue_moves_on);
    return g_test_run();
}
