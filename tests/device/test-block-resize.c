/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks whose size changes while a driver uses them.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/inject.h"

#include "disk-bench.h"

#define HELD "{'node-name': 'sto', 'rules': [{'ops': ['write'], " \
             "'delay-ns': 18446744073709551615}]}"
#define NO_RULES "{'node-name': 'sto', 'rules': []}"

typedef DiskBench Fixture;

static void set_up(Fixture *f, const void *threaded)
{
    disk_bench_init_with_file(f, threaded != NULL);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': 'sto', 'file': "
               "{'driver': 'file', 'node-name': 'low', 'filename': '%s'}}", f->path);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'fmt', "
               "'file': 'sto'}");
    disk_bench_start(f, "fmt", "");
}

static void resize(Fixture *f, const char *name, uint64_t size)
{
    kit_qmp_do(f->qmp, "block_resize", "{%s, 'size': %" PRIu64 "}", name, size);
}

static uint64_t file_size(const Fixture *f)
{
    struct stat st;

    g_assert_cmpint(stat(f->path, &st), ==, 0);
    return (uint64_t)st.st_size;
}

static void test_the_driver_sees_it(Fixture *f, const void *unused)
{
    static const char *const names[] = {
        "'node-name': 'fmt'", "'node-name': 'sto'", "'node-name': 'low'",
        "'device': 'disk'", "'device': '/machine/peripheral/disk/virtio-backend'",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        uint64_t size = (2 + i) * MIB;

        resize(f, names[i], size);
        g_assert_cmpuint(kit_blk_capacity(f->blk), ==, size / 512);
        g_assert_cmpuint(file_size(f), ==, size);
        kit_blk_write(f->blk, size / 512 - 8, 0xaa, 4096);
    }
    resize(f, "'node-name': 'fmt'", 8192);
    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, 16);
    kit_blk_write(f->blk, 8, 0xaa, 4096);
    g_assert_cmpuint(kit_blk_ask(f->blk, VIRTIO_BLK_T_OUT, 9, 4096), ==,
                     VIRTIO_BLK_S_IOERR);
    g_assert_cmpuint(file_size(f), ==, 8192);
    resize(f, "'node-name': 'fmt'", 1 * MIB);
    g_assert_cmpint(kit_blk_read(f->blk, 16, 512)[0], ==, 0);
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *args;
        const char *words;
    } rows[] = {
        { "{'size': 512}", "'node-name' is needed" },
        { "{'device': 'disk', 'node-name': 'fmt', 'size': 512}", "is needed" },
        { "{'device': 'none', 'size': 512}", "'none'" },
        { "{'node-name': 'none', 'size': 512}", "'none'" },
        { "{'node-name': 'ro', 'size': 512}", "read-only" },
        { "{'node-name': 'null', 'size': 512}", "cannot be resized" },
        { "{'node-name': 'part', 'size': 512}", "fixed size" },
        { "{'node-name': 'fmt', 'size': -1}", "size" },
        { "{'node-name': 'fmt', 'size': 9223372036854775808}", "size" },
        { "{'node-name': 'fmt', 'size': 9223372036854775807}", "resize" },
    };

    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'null', 'size': 1024}");
    kit_add_node(f->kit, "{'driver': 'raw', 'node-name': 'ro', 'read-only': true, "
                 "'file': 'null'}");
    kit_add_node(f->kit, "{'driver': 'raw', 'node-name': 'part', 'size': 512, "
                 "'file': 'null'}");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, "block_resize", "%s", rows[i].args);
    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, 2048);
    g_assert_cmpuint(file_size(f), ==, 1 * MIB);
    kit_blk_write(f->blk, 0, 0xaa, 4096);
}

static void test_a_failure_changes_nothing(Fixture *f, const void *unused)
{
    kit_qmp_do(f->qmp, "x-block-inject-set",
               "{'node-name': 'sto', 'rules': [{'ops': ['resize'], 'errno': 'ENOSPC'}]}");
    kit_qmp_assert_fails(f->qmp, "No space", "block_resize",
                         "{'node-name': 'fmt', 'size': 4096}");

    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, 2048);
    kit_blk_write(f->blk, 2040, 0xaa, 4096);
}

/* It waits for what is under way, and has the nodes for itself. */
static void test_one_at_a_time(Fixture *f, const void *unused)
{
    g_autoptr(KitQmp) other = kit_qmp_new(f->kit);
    g_autoptr(JsonValue) reply = NULL;
    unsigned slot;
    uint8_t status;

    kit_qmp_do(f->qmp, "x-block-inject-set", HELD);
    kit_blk_submit(f->blk, 1, VIRTIO_BLK_T_OUT, 2040, 4096);
    kit_run_both(f->kit);
    kit_qmp_send(f->qmp, "block_resize", "{'node-name': 'fmt', 'size': 4096}");
    kit_run_both(f->kit);
    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, 2048);
    kit_qmp_assert_fails(other, "busy: block_resize", "block_resize",
                         "{'node-name': 'low', 'size': 4096}");
    kit_qmp_assert_fails(other, "busy: block_resize", "blockdev-add",
                         "{'driver': 'raw', 'node-name': 'x', 'file': 'fmt'}");
    kit_assert_refused(f->kit, "{'driver': 'virtio-blk-pci', 'drive': 'fmt'}", "busy");
    kit_qmp_do(other, "query-block", NULL);

    kit_qmp_do(other, "x-block-inject-set", NO_RULES);
    reply = kit_qmp_receive(f->qmp);
    kit_qmp_assert_at(reply, "return", "{}");
    while (!kit_blk_take(f->blk, &slot, &status))
        kit_run_both(f->kit);
    g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, 8);
    resize(f, "'node-name': 'low'", 1 * MIB);
}

static char *describe(void *opaque)
{
    return g_strdup("test");
}

/* While a user has a request that it does not give back. */
static void test_the_end_of_the_machine(Fixture *f, const void *unused)
{
    static const BlockUseOps use_ops = { .describe = describe };
    static const BlockChannelOps channel_ops = { .ready = NULL };
    BlockNode *low = block_graph_find(f->kit->blocks, "low");
    BlockUse *use = block_use_new(low, 0, BLOCK_PERM_ALL, &use_ops, NULL, NULL);
    BlockChannel *channel =
        block_channel_new(use, f->kit->loop, 1, &channel_ops, NULL, NULL);
    BlockReq *req = block_channel_get(channel);
    g_autoptr(JsonValue) reply = NULL;

    kit_qmp_send(f->qmp, "block_resize", "{'node-name': 'fmt', 'size': 4096}");
    kit_run_both(f->kit);
    block_channel_put(channel, req);
    block_channel_free(channel);
    block_use_free(use);
    device_remove(device_find(&f->kit->tree, "disk"));
    block_graph_free(g_steal_pointer(&f->kit->blocks));
    reply = kit_qmp_receive(f->qmp);

    kit_qmp_assert_at(reply, "error.desc", "the machine ends");
    g_assert_cmpuint(file_size(f), ==, 1 * MIB);
    f->kit->blocks = block_graph_new(f->kit->loop);
}

/* Of a running machine: what is under way ends before the disk is gone. */
static void test_a_disk_goes_with_a_request_under_way(Fixture *f, const void *unused)
{
    uint8_t *data = kit_blk_data(f->blk, 1);

    memset(data, 0xaa, 4096);
    kit_blk_submit(f->blk, 1, VIRTIO_BLK_T_OUT, 8, 4096);
    device_remove(device_find(&f->kit->tree, "disk"));
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'fmt'}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/block-resize/" name, Fixture, NULL, set_up, fn, disk_bench_tear_down)
    ADD("the-driver-sees-it", test_the_driver_sees_it);
    ADD("what-is-refused", test_what_is_refused);
    ADD("a-failure-changes-nothing", test_a_failure_changes_nothing);
    ADD("one-at-a-time", test_one_at_a_time);
    ADD("the-end-of-the-machine", test_the_end_of_the_machine);
    g_test_add("/block-resize/a-disk-goes-with-a-request-under-way", Fixture,
               "threaded", set_up, test_a_disk_goes_with_a_request_under_way,
               disk_bench_tear_down);
    return g_test_run();
}
