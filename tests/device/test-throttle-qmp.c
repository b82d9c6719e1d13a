/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as clients set and read them, on disks with a driver at the ring.
 */
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/block-drive.h"
#include "berth/object.h"
#include "berth/qapi.h"

#include "kit-blk.h"
#include "kit-qmp.h"

#define ID(n) "/machine/peripheral/disk" #n "/virtio-backend"
#define NO_LIMITS "'bps': 0, 'bps_rd': 0, 'bps_wr': 0, 'iops': 0, 'iops_rd': 0, "        \
    "'iops_wr': 0"
#define DEPTH 8u

typedef struct Fixture {
    KitBoard *kit;
    KitQmp *qmp;
    KitBlk *blk;                /* the driver of the first disk */
} Fixture;

static void set_up(Fixture *f, const void *unused)
{
    f->kit = kit_board_new();
    f->qmp = kit_qmp_new(f->kit);
    for (int i = 0; i < 2; i++) {
        g_autofree char *device = g_strdup_printf(
            "{'driver': 'virtio-blk-pci', 'id': 'disk%d', 'drive': 'n%d',"
            " 'num-queues': 1}", i, i);

        kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'n%d',"
                   " 'read-zeroes': true}", i);
        kit_add(f->kit, device);
    }
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "disk0");
}

static void tear_down(Fixture *f, const void *unused)
{
    kit_blk_free(f->blk);
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
}

static void assert_limits(Fixture *f, int disk, const char *member, const char *value)
{
    g_autoptr(JsonValue) disks = kit_qmp_ask(f->qmp, "query-block", NULL);
    g_autofree char *path = g_strdup_printf("%d.inserted.%s", disk, member);

    kit_qmp_assert_at(disks, path, value);
}

/* As libvirt sends it for each disk with limits, and what it reads back. */
static void test_limits_as_libvirt_sets_and_reads_them(Fixture *f, const void *unused)
{
    static const struct {
        const char *member;
        const char *value;
    } rows[] = {
        { "bps", "50000000" }, { "bps_rd", "0" }, { "bps_wr", "0" },
        { "iops", "0" }, { "iops_rd", "500" }, { "iops_wr", "700" },
        { "bps_max", "60000000" }, { "bps_max_length", "3" },
        { "bps_rd_max", "absent" }, { "bps_rd_max_length", "absent" },
        { "iops_rd_max", "600" }, { "iops_rd_max_length", "1" },
        { "iops_wr_max", "absent" }, { "iops_size", "8192" },
        { "group", "drive-virtio-disk0" },
    };

    assert_limits(f, 0, "group", "absent");
    kit_qmp_do(f->qmp, "block_set_io_throttle", "{'id': '" ID(0) "', 'bps': 50000000,"
               " 'bps_rd': 0, 'bps_wr': 0, 'iops': 0, 'iops_rd': 500, 'iops_wr': 700,"
               " 'bps_max': 60000000, 'bps_rd_max': 0, 'bps_wr_max': 0, 'iops_max': 0,"
               " 'iops_rd_max': 600, 'iops_wr_max': 0, 'iops_size': 8192,"
               " 'group': 'drive-virtio-disk0', 'bps_max_length': 3}");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        assert_limits(f, 0, rows[i].member, rows[i].value);
    assert_limits(f, 1, "group", "absent");

    kit_qmp_do(f->qmp, "block_set_io_throttle", "{'id': '" ID(0) "', " NO_LIMITS "}");
    assert_limits(f, 0, "group", "absent");
    assert_limits(f, 0, "bps", "0");
}

static void test_refusals(Fixture *f, const void *unused)
{
    static const struct {
        const char *args;
        const char *words;
    } rows[] = {
        { "{" NO_LIMITS "}", "'id'" },
        { "{'id': 'disk0', 'device': 'disk0', " NO_LIMITS "}", "'id'" },
        { "{'id': 'nothing', " NO_LIMITS "}", "'nothing' not found" },
        { "{'id': 'disk0', 'iops': 1}", "'bps'" },
        { "{'id': 'disk0', " NO_LIMITS ", 'iops_max': 5}", "needs a limit" },
        { "{'id': 'disk0', 'group': '', " NO_LIMITS "}", "'group'" },
        { "{'id': 'disk0', 'bps': -5, 'bps_rd': 0, 'bps_wr': 0, 'iops': 0, 'iops_rd': 0,"
          " 'iops_wr': 0}", "expects" },
        { "{'id': 'disk0', 'bps': 5, 'bps_rd': 5, 'bps_wr': 0, 'iops': 0, 'iops_rd': 0,"
          " 'iops_wr': 0}", "exclude" },
    };

    kit_qmp_do(f->qmp, "block_set_io_throttle", "{'id': 'disk0', 'bps': 77, 'bps_rd': 0,"
               " 'bps_wr': 0, 'iops': 0, 'iops_rd': 0, 'iops_wr': 0}");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, "block_set_io_throttle", "%s",
                             rows[i].args);
    assert_limits(f, 0, "bps", "77");
    assert_limits(f, 0, "group", "disk0");
}

static void set_iops(Fixture *f, const char *id, int iops, const char *group)
{
    kit_qmp_do(f->qmp, "block_set_io_throttle", "{'id': '%s', 'iops': %d, 'bps': 0,"
               " 'bps_rd': 0, 'bps_wr': 0, 'iops_rd': 0, 'iops_wr': 0%s%s%s}", id, iops,
               group ? ", 'group': '" : "", group ? group : "", group ? "'" : "");
}

static void test_disks_of_a_group_have_one_limit(Fixture *f, const void *unused)
{
    set_iops(f, "disk0", 100, "g");
    set_iops(f, "disk1", 200, "g");
    assert_limits(f, 0, "iops", "200");
    assert_limits(f, 1, "group", "g");

    /* Without a name the disk stays where it is; in another it leaves the first. */
    set_iops(f, "disk0", 300, NULL);
    assert_limits(f, 1, "iops", "300");
    set_iops(f, "disk0", 50, "h");
    assert_limits(f, 0, "iops", "50");
    assert_limits(f, 1, "iops", "300");
    set_iops(f, "disk1", 0, NULL);
    assert_limits(f, 1, "group", "absent");
}

static void assert_object(Fixture *f, const char *member, int64_t value)
{
    const Object *object = object_find(f->kit->objects, "lim");
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_OBJECT_OPTIONS, object->options);

    g_assert_cmpint(kit_qmp_int(json, member), ==, value);
}

static bool set_property(Fixture *f, const char *property, const char *json,
                         GError **error)
{
    g_autoptr(JsonValue) value = json_parse_text(json, strlen(json), NULL);

    return object_change(object_find(f->kit->objects, "lim"), property, value, error);
}

static void test_objects(Fixture *f, const void *unused)
{
    g_autoptr(GError) error = NULL;

    kit_qmp_do(f->qmp, "object-add", "{'qom-type': 'throttle-group', 'id': 'lim',"
               " 'x-iops-total': 5, 'limits': {'iops-total': 10, 'bps-total': 4096}}");
    assert_object(f, "limits.iops-total", 10);
    assert_object(f, "x-bps-total", 4096);
    g_assert_true(set_property(f, "limits", "{\"iops-total\": 20}", NULL));
    assert_object(f, "limits.bps-total", 4096);
    assert_object(f, "limits.iops-total", 20);
    assert_object(f, "x-iops-total", 20);

    g_assert_false(set_property(f, "x-iops-total", "30", &error));
    g_assert_nonnull(strstr(error->message, "'limits'"));
    g_clear_error(&error);
    g_assert_false(set_property(f, "limits", "{\"iops-read\": 1}", &error));
    g_assert_nonnull(strstr(error->message, "exclude"));
    assert_object(f, "limits.iops-read", 0);

    kit_qmp_assert_fails(f->qmp, "already", "object-add",
                         "{'qom-type': 'throttle-group', 'id': 'lim'}");
    kit_qmp_assert_fails(f->qmp, "exclude", "object-add",
                         "{'qom-type': 'throttle-group', 'id': 'bad',"
                         " 'x-iops-total': 5, 'x-iops-read': 5}");
    g_assert_null(object_find(f->kit->objects, "bad"));
}

static void test_an_object_is_a_group_of_disks_and_nodes(Fixture *f, const void *unused)
{
    kit_qmp_do(f->qmp, "object-add", "{'qom-type': 'throttle-group', 'id': 'lim'}");
    set_iops(f, "disk0", 40, "lim");
    assert_object(f, "limits.iops-total", 40);
    g_assert_true(set_property(f, "limits", "{\"iops-total\": 60}", NULL));
    assert_limits(f, 0, "iops", "60");
    kit_qmp_assert_fails(f->qmp, "in use", "object-del", "{'id': 'lim'}");
    set_iops(f, "disk0", 0, NULL);

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'throttle', 'node-name': 't',"
               " 'throttle-group': 'lim', 'file': {'driver': 'null-co'}}");
    kit_qmp_assert_fails(f->qmp, "in use", "object-del", "{'id': 'lim'}");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 't'}");
    kit_qmp_do(f->qmp, "object-del", "{'id': 'lim'}");
    kit_qmp_assert_fails(f->qmp, "'lim'", "blockdev-add", "{'driver': 'throttle',"
                         " 'node-name': 't', 'throttle-group': 'lim', 'file': 'n0'}");
    /* A group that a client named has the name for itself. */
    set_iops(f, "disk0", 40, "lim");
    kit_qmp_assert_fails(f->qmp, "'lim' already", "object-add",
                         "{'qom-type': 'throttle-group', 'id': 'lim'}");
}

static void submit_all(Fixture *f)
{
    for (unsigned i = 0; i < DEPTH; i++) {
        if (!f->blk->busy[i])
            kit_blk_submit(f->blk, i, VIRTIO_BLK_T_IN, i, 512);
    }
}

static unsigned take_all(Fixture *f)
{
    unsigned n = 0, slot;
    uint8_t status;

    kit_run_both(f->kit);
    while (kit_blk_take(f->blk, &slot, &status)) {
        g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
        n++;
    }
    return n;
}

static void test_requests_that_wait_go_when_the_limit_does(Fixture *f, const void *unused)
{
    submit_all(f);
    g_assert_cmpuint(take_all(f), ==, DEPTH);
    set_iops(f, "disk0", 1, NULL);
    submit_all(f);
    g_assert_cmpuint(take_all(f), ==, 1);

    /* Into another group, and out of it. */
    set_iops(f, "disk0", 1, "other");
    g_assert_cmpuint(take_all(f), ==, DEPTH - 1);
    submit_all(f);
    g_assert_cmpuint(take_all(f), ==, 1);
    set_iops(f, "disk0", 0, NULL);
    g_assert_cmpuint(take_all(f), ==, DEPTH - 1);
}

static void test_a_machine_that_stops_does_not_wait_for_limits(Fixture *f,
                                                               const void *unused)
{
    int64_t end_ns = loop_clock_ns() + 2 * NS_PER_SEC;   /* the limit would need more */

    set_iops(f, "disk0", 1, NULL);
    submit_all(f);
    kit_run_both(f->kit);
    device_tree_pause(&f->kit->tree);
    while (!device_tree_is_quiet(&f->kit->tree)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(f->kit);
    }
    g_assert_cmpuint(take_all(f), ==, DEPTH);

    /* It goes on, and what went before its turn counts. */
    device_tree_resume(&f->kit->tree);
    submit_all(f);
    g_assert_cmpuint(take_all(f), ==, 0);
    set_iops(f, "disk0", 0, NULL);
    g_assert_cmpuint(take_all(f), ==, DEPTH);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/throttle-qmp/limits-as-libvirt-sets-and-reads-them",
        test_limits_as_libvirt_sets_and_reads_them);
    ADD("/throttle-qmp/refusals", test_refusals);
    ADD("/throttle-qmp/disks-of-a-group-have-one-limit",
        test_disks_of_a_group_have_one_limit);
    ADD("/throttle-qmp/objects", test_objects);
    ADD("/throttle-qmp/an-object-is-a-group-of-disks-and-nodes",
        test_an_object_is_a_group_of_disks_and_nodes);
    ADD("/throttle-qmp/requests-that-wait-go-when-the-limit-does",
        test_requests_that_wait_go_when_the_limit_does);
    ADD("/throttle-qmp/a-machine-that-stops-does-not-wait-for-limits",
        test_a_machine_that_stops_does_not_wait_for_limits);
    return g_test_run();
}
