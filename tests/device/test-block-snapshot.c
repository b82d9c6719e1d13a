/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays that are put above nodes while a guest writes.
 */
#include <linux/virtio_blk.h>
#include <string.h>

#include "disk-bench.h"

#define SIZE 1048576

typedef DiskBench Fixture;

static void make_qcow2(Fixture *f, const char *file)
{
    g_autofree char *path = kit_image_path(&f->image, file);
    g_autoptr(JsonValue) jobs = NULL;
    const char *status = NULL;

    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    kit_qmp_do(f->qmp, "blockdev-create", "{'job-id': 'j', 'options': "
               "{'driver': 'qcow2', 'size': %u, 'file': {'driver': 'file', 'filename': "
               "'%s'}}}", SIZE, path);
    while (g_strcmp0(status, "concluded") != 0) {
        json_unref(jobs);
        kit_run_both(f->kit);
        jobs = kit_qmp_ask(f->qmp, "query-jobs", NULL);
        status = json_as_string(json_member(json_at(jobs, 0), "status"));
    }
    kit_qmp_assert_at(jobs, "0.error", "absent");
    kit_qmp_do(f->qmp, "job-dismiss", "{'id': 'j'}");
}

static void add_overlay(Fixture *f, const char *file, const char *name)
{
    g_autofree char *path = kit_image_path(&f->image, file);

    make_qcow2(f, file);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': '%s', "
               "'backing': null, 'file': {'driver': 'inject', 'node-name': '%s-sto', "
               "'file': {'driver': 'file', 'filename': '%s'}}}", name, name, path);
}

/* What the disk "disk" is on. */
typedef struct Setup {
    bool is_threaded;
    const char *drive;
} Setup;

static void set_up(Fixture *f, const void *data)
{
    const Setup *setup = data;
    g_autofree char *path = NULL;
    g_autofree char *bytes = g_malloc0(SIZE);

    disk_bench_init(f, setup->is_threaded);
    path = kit_image_path(&f->image, "base");
    g_assert_true(g_file_set_contents(path, bytes, SIZE, NULL));
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': 'base', "
               "'file': {'driver': 'file', 'node-name': 'sto', 'filename': '%s'}}", path);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'plain', "
               "'read-only': false, 'file': {'driver': 'file', 'locking': 'off', "
               "'filename': '%s'}}", path);
    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'null', 'size': 1048576, "
                 "'read-zeroes': true}");
    kit_add_object(f->kit, "{'qom-type': 'throttle-group', 'id': 'group'}");
    kit_add_node(f->kit, "{'driver': 'throttle', 'node-name': 'limit', "
                 "'throttle-group': 'group', 'file': 'null'}");
    kit_add_node(f->kit, "{'driver': 'inject', 'node-name': 'filter', 'file': 'limit'}");
    disk_bench_start(f, setup->drive, "");
}

static char *graph_of(Fixture *f)
{
    g_autoptr(JsonValue) nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_autoptr(JsonValue) disks = kit_qmp_ask(f->qmp, "query-block", NULL);
    g_autofree char *first = json_to_text(nodes), *second = json_to_text(disks);

    return g_strconcat(first, second, NULL);
}

static uint8_t byte_at(Fixture *f, uint64_t sector)
{
    return kit_blk_read(f->blk, sector, 512)[0];
}

static uint8_t byte_of(Fixture *f, const char *node_name, uint64_t sector)
{
    uint8_t data[512];

    g_assert_cmpint(block_io_read(block_graph_find(f->kit->blocks, node_name),
                                  sector * 512, data, 512), ==, 0);
    return data[0];
}

static void assert_inserted(Fixture *f, const char *node_name, unsigned depth)
{
    g_autoptr(JsonValue) info = kit_qmp_ask(f->qmp, "query-block", NULL);

    kit_qmp_assert_at(info, "0.inserted.node-name", node_name);
    g_assert_cmpint(kit_qmp_int(info, "0.inserted.backing_file_depth"), ==, depth);
}

static void snapshot(Fixture *f, const char *node, const char *overlay)
{
    kit_qmp_do(f->qmp, "blockdev-snapshot", "{'node': '%s', 'overlay': '%s'}", node,
               overlay);
}

static void test_writes_go_to_the_overlay(Fixture *f, const void *unused)
{
    kit_blk_write(f->blk, 0, 0x11, 4096);
    kit_blk_write(f->blk, 8, 0x11, 4096);
    add_overlay(f, "one", "one");
    snapshot(f, "base", "one");
    assert_inserted(f, "one", 1);
    kit_blk_write(f->blk, 0, 0x22, 512);
    add_overlay(f, "two", "two");
    snapshot(f, "disk", "two");
    assert_inserted(f, "two", 2);
    kit_blk_write(f->blk, 1, 0x33, 512);

    g_assert_cmphex(byte_at(f, 0), ==, 0x22);
    g_assert_cmphex(byte_at(f, 1), ==, 0x33);
    g_assert_cmphex(byte_at(f, 8), ==, 0x11);
    g_assert_cmphex(byte_of(f, "base", 0), ==, 0x11);
    g_assert_cmphex(byte_of(f, "one", 0), ==, 0x22);
    g_assert_cmphex(byte_of(f, "one", 1), ==, 0x11);
    kit_qmp_assert_fails(f->qmp, "in use", "blockdev-del", "{'node-name': 'base'}");
    /* The names of those below stay until they are deleted. */
    device_remove(device_find(&f->kit->tree, "disk"));
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'two'}");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'one'}");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'base'}");
}

/* A filter that is above stays above. */
static void test_below_a_filter(Fixture *f, const void *unused)
{
    add_overlay(f, "one", "one");
    snapshot(f, "null", "one");
    kit_blk_write(f->blk, 8, 0x77, 4096);

    g_assert_cmphex(byte_at(f, 8), ==, 0x77);
    g_assert_cmphex(byte_of(f, "one", 8), ==, 0x77);
    g_assert_cmphex(byte_of(f, "filter", 8), ==, 0x77);
    g_assert_cmphex(byte_of(f, "limit", 8), ==, 0x77);
    kit_qmp_do(f->qmp, "block_resize", "{'node-name': 'plain', 'size': 2097152}");
    g_assert_cmphex(byte_of(f, "null", 8), ==, 0);
    assert_inserted(f, "filter", 0);
}

static void test_a_file_that_is_made(Fixture *f, const void *unused)
{
    g_autofree char *path = kit_image_path(&f->image, "made");
    g_autofree uint8_t *bytes = g_malloc0(SIZE);
    g_autoptr(JsonValue) info = NULL;

    kit_blk_write(f->blk, 0, 0x11, 4096);
    kit_qmp_do(f->qmp, "blockdev-snapshot-sync", "{'device': 'disk', 'snapshot-file': "
               "'%s', 'snapshot-node-name': 'made'}", path);
    kit_blk_write(f->blk, 0, 0x22, 512);

    assert_inserted(f, "made", 1);
    g_assert_cmphex(byte_at(f, 0), ==, 0x22);
    g_assert_cmphex(byte_at(f, 1), ==, 0x11);
    g_assert_cmphex(byte_of(f, "plain", 0), ==, 0x11);
    info = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    kit_qmp_assert_at(info, "0.image.backing-filename-format", "raw");
    /* What the command made goes with the disk. */
    device_remove(device_find(&f->kit->tree, "disk"));
    while (!list_is_empty(&block_graph_find(f->kit->blocks, "plain")->parents))
        kit_run_both(f->kit);
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'plain'}");
    g_assert_null(block_graph_find(f->kit->blocks, "made"));
    memset(bytes, 0x11, 4096);
    memset(bytes, 0x22, 512);
    if (kit_image_has_tools()) {
        kit_image_assert_clean(&f->image, "made");
        kit_image_assert_holds(&f->image, "made", bytes, SIZE);
    }
}

static void test_files_that_cannot_be_made(Fixture *f, const void *unused)
{
    static const struct {
        const char *args;
        const char *words;
    } rows[] = {
        { "'node-name': 'base', 'snapshot-file': 'x'", "use blockdev-snapshot" },
        { "'node-name': 'plain', 'snapshot-file': '/nowhere/x'", "/nowhere/x" },
        { "'node-name': 'plain', 'snapshot-file': '/nowhere/x', 'mode': 'existing'",
          "/nowhere/x" },
        { "'node-name': 'plain', 'snapshot-file': 'x', 'format': 'raw'", "no backing" },
        { "'node-name': 'plain', 'snapshot-file': '/dev/fdset/3'", "fdset" },
        { "'node-name': 'plain', 'snapshot-file': 'LICENSE', 'mode': 'existing'",
          "not a qcow2 image" },
        { "'device': 'none', 'snapshot-file': 'x'", "'none'" },
        { "'snapshot-file': 'x'", "'node-name'" },
    };
    g_autofree char *before = graph_of(f), *after = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, "blockdev-snapshot-sync", "{%s}",
                             rows[i].args);
    after = graph_of(f);
    g_assert_cmpstr(before, ==, after);
    g_assert_false(g_file_test("x", G_FILE_TEST_EXISTS));
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *node;
        const char *overlay;
        const char *words;
    } rows[] = {
        { "none", "one", "'none'" },
        { "base", "none", "'none'" },
        { "base", "base", "above itself" },
        { "base", "loose", "has no backing" },
        { "base", "sto", "in use" },
        { "base", "ro", "read-only" },
        { "base", "has", "has a backing node already" },
        { "one-sto", "two", "stores node" },
    };
    g_autofree char *before = NULL, *after = NULL;

    add_overlay(f, "one", "one");
    add_overlay(f, "two", "two");
    make_qcow2(f, "ro");
    make_qcow2(f, "has");
    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'loose'}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'ro', "
               "'backing': null, 'read-only': true, 'file': {'driver': 'file', "
               "'filename': '%s/ro'}}", f->image.folder);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'has', "
               "'backing': 'null', 'file': {'driver': 'file', 'filename': "
               "'%s/has'}}", f->image.folder);
    before = graph_of(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, "blockdev-snapshot",
                             "{'node': '%s', 'overlay': '%s'}", rows[i].node,
                             rows[i].overlay);
    after = graph_of(f);
    g_assert_cmpstr(before, ==, after);
    kit_blk_write(f->blk, 0, 0x11, 4096);
    g_assert_cmphex(byte_of(f, "base", 0), ==, 0x11);
    snapshot(f, "base", "one");
}

static void transaction_fails(Fixture *f, const char *words, const char *more)
{
    g_autofree char *before = graph_of(f), *after = NULL;

    kit_qmp_assert_fails(f->qmp, words, "transaction", "{'actions': ["
                         "{'type': 'blockdev-snapshot', 'data': "
                         "{'node': 'null', 'overlay': 'two'}}, %s]}", more);
    after = graph_of(f);
    g_assert_cmpstr(before, ==, after);
    kit_blk_write(f->blk, 0, 0x11, 4096);
    g_assert_cmphex(byte_of(f, "base", 0), ==, 0x11);
}

static void test_all_or_nothing(Fixture *f, const void *unused)
{
    static const uint8_t data[512] = { 0x55 };

    add_overlay(f, "one", "one");
    add_overlay(f, "two", "two");
    make_qcow2(f, "ro");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'ro', "
               "'backing': null, 'read-only': true, 'file': {'driver': 'file', "
               "'filename': '%s/ro'}}", f->image.folder);

    transaction_fails(f, "'abort'", "{'type': 'abort', 'data': {}}");
    transaction_fails(f, "two actions", "{'type': 'blockdev-snapshot', 'data': "
                      "{'node': 'null', 'overlay': 'one'}}");
    transaction_fails(f, "in use", "{'type': 'blockdev-snapshot', 'data': "
                      "{'node': 'base', 'overlay': 'sto'}}");
    transaction_fails(f, "busy", "{'type': 'blockdev-snapshot', 'data': "
                      "{'node': 'disk', 'overlay': 'two'}}");
    transaction_fails(f, "read-only", "{'type': 'blockdev-snapshot', 'data': "
                      "{'node': 'base', 'overlay': 'ro'}}");
    kit_qmp_assert_fails(f->qmp, "no action is a job", "transaction", "{'actions': [], "
                         "'properties': {'completion-mode': 'grouped'}}");
    kit_qmp_do(f->qmp, "transaction", "{'actions': []}");
    kit_qmp_do(f->qmp, "transaction", "{'actions': ["
               "{'type': 'blockdev-snapshot', 'data': "
               "{'node': 'base', 'overlay': 'one'}}, "
               "{'type': 'blockdev-snapshot', 'data': "
               "{'node': 'null', 'overlay': 'two'}}]}");

    assert_inserted(f, "one", 1);
    g_assert_cmpint(block_io_write(block_graph_find(f->kit->blocks, "two"), 0, data, 512,
                                   0), ==, 0);
    g_assert_cmphex(byte_of(f, "null", 0), ==, 0);
}

/* A failed flush: the guest goes on where it was. */
static void test_a_flush_that_fails(Fixture *f, const void *unused)
{
    add_overlay(f, "one", "one");
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'base', 'rules': "
               "[{'ops': ['flush'], 'errno': 'EIO', 'times': 1}]}");
    kit_qmp_assert_fails(f->qmp, "flush", "blockdev-snapshot",
                         "{'node': 'base', 'overlay': 'one'}");

    assert_inserted(f, "base", 0);
    kit_blk_write(f->blk, 0, 0x11, 4096);
    snapshot(f, "base", "one");
}

/* What was asked before is below, what comes later above. */
static void test_what_is_under_way_is_in_the_snapshot(Fixture *f, const void *unused)
{
    g_autoptr(KitQmp) other = NULL;
    g_autoptr(JsonValue) reply = NULL;
    unsigned slot, n = 0;
    uint8_t status;

    add_overlay(f, "one", "one");
    other = kit_qmp_new(f->kit);
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'base', 'rules': "
               "[{'ops': ['write'], 'times': 1, 'delay-ns': 18446744073709551615}]}");
    memset(kit_blk_data(f->blk, 1), 0x11, 4096);
    memset(kit_blk_data(f->blk, 2), 0x22, 4096);
    kit_blk_submit(f->blk, 1, VIRTIO_BLK_T_OUT, 0, 4096);
    kit_run_both(f->kit);
    kit_qmp_send(f->qmp, "blockdev-snapshot", "{'node': 'base', 'overlay': 'one'}");
    kit_run_both(f->kit);
    kit_blk_submit(f->blk, 2, VIRTIO_BLK_T_OUT, 0, 4096);
    kit_run_both(f->kit);
    kit_qmp_assert_fails(other, "busy: a snapshot", "blockdev-snapshot",
                         "{'node': 'base', 'overlay': 'one'}");
    g_assert_true(list_is_empty(&block_graph_find(f->kit->blocks, "one")->parents));

    kit_qmp_do(other, "x-block-inject-set", "{'node-name': 'base', 'rules': []}");
    reply = kit_qmp_receive(f->qmp);
    kit_qmp_assert_at(reply, "return", "{}");
    while (n < 2) {
        kit_run_both(f->kit);
        while (kit_blk_take(f->blk, &slot, &status)) {
            g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
            n++;
        }
    }
    g_assert_cmphex(byte_of(f, "base", 0), ==, 0x11);
    g_assert_cmphex(byte_of(f, "one", 0), ==, 0x22);
}

int main(int argc, char **argv)
{
    static const Setup base = { false, "base" }, filter = { false, "filter" };
    static const Setup plain = { false, "plain" }, threaded = { true, "base" };

    g_test_init(&argc, &argv, NULL);
#define ADD(name, setup, fn)                                                             \
    g_test_add("/block-snapshot/" name, Fixture, &setup, set_up, fn, disk_bench_tear_down)
    ADD("writes-go-to-the-overlay", base, test_writes_go_to_the_overlay);
    ADD("below-a-filter", filter, test_below_a_filter);
    ADD("a-file-that-is-made", plain, test_a_file_that_is_made);
    ADD("files-that-cannot-be-made", plain, test_files_that_cannot_be_made);
    ADD("what-is-refused", base, test_what_is_refused);
    ADD("all-or-nothing", base, test_all_or_nothing);
    ADD("a-flush-that-fails", base, test_a_flush_that_fails);
    ADD("what-is-under-way-is-in-the-snapshot", base,
        test_what_is_under_way_is_in_the_snapshot);
    ADD("on-a-thread-of-its-own", threaded, test_writes_go_to_the_overlay);
    return g_test_run();
}
