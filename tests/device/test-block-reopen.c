/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of nodes that change while a guest uses them.
 */
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/stat.h>

#include "disk-bench.h"

#define SIZE 1048576u

typedef DiskBench Fixture;

/* A disk on "top", a filter, and nodes that could be below it. */
static void set_up(Fixture *f, const void *threaded)
{
    g_autofree char *bytes = g_strnfill(SIZE, 'x');

    disk_bench_init(f, threaded != NULL);
    kit_image_write_file(&f->image, "file", bytes, SIZE);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'sto', "
               "'discard': 'unmap', 'filename': '%s'}", f->path);
    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'zero', 'size': 2097152, "
                 "'read-zeroes': true}");
    kit_add_node(f->kit, "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto'}");
    kit_add_node(f->kit, "{'driver': 'inject', 'node-name': 'top', 'file': 'mid'}");
    disk_bench_start(f, "top", "");
}

static void reopen(Fixture *f, const char *options)
{
    kit_qmp_do(f->qmp, "blockdev-reopen", "{'options': [%s]}", options);
}

static uint8_t byte_at(Fixture *f, uint64_t sector)
{
    return kit_blk_read(f->blk, sector, 512)[0];
}

static uint64_t space(Fixture *f)
{
    struct stat st;

    g_assert_cmpint(stat(f->path, &st), ==, 0);
    return (uint64_t)st.st_blocks * 512;
}

static void test_discards(Fixture *f, const void *unused)
{
    uint64_t before = space(f);

    kit_blk_discard(f->blk, 0, 1024);
    g_assert_cmpuint(space(f), ==, before);
    reopen(f, "{'driver': 'inject', 'node-name': 'top', 'discard': 'unmap', 'file': "
           "'mid'}, {'driver': 'raw', 'node-name': 'mid', 'discard': 'unmap', 'file': "
           "'sto'}");
    kit_blk_discard(f->blk, 0, 1024);
    g_assert_cmpuint(space(f), <, before);
}

static void test_the_file_s_own(Fixture *f, const void *unused)
{
    g_autofree char *sto = g_strdup_printf("{'driver': 'file', 'node-name': 'sto', "
                                           "'filename': '%s'}", f->path);
    uint64_t before = space(f);

    reopen(f, "{'driver': 'inject', 'node-name': 'top', 'discard': 'unmap', 'file': "
           "'mid'}, {'driver': 'raw', 'node-name': 'mid', 'discard': 'unmap', 'file': "
           "'sto'}");
    reopen(f, sto);
    kit_blk_discard(f->blk, 0, 1024);
    g_assert_cmpuint(space(f), ==, before);
}

static void test_zeroes(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) info = NULL;
    uint64_t before = space(f);

    kit_blk_write(f->blk, 0, 0, 4096);
    g_assert_cmpuint(space(f), ==, before);
    reopen(f, "{'driver': 'inject', 'node-name': 'top', 'discard': 'unmap', "
           "'detect-zeroes': 'unmap', 'file': 'mid'}, {'driver': 'raw', 'node-name': "
           "'mid', 'discard': 'unmap', 'file': 'sto'}");
    for (unsigned i = 0; i < 16; i++)
        kit_blk_write(f->blk, i * 8, 0, 4096);
    g_assert_cmpuint(space(f), <, before);
    info = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(info, "0.inserted.detect_zeroes", "unmap");
}

static void test_another_node_below_a_filter(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) info = NULL;

    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    reopen(f, "{'driver': 'inject', 'node-name': 'top', 'file': 'zero'}");
    g_assert_cmphex(byte_at(f, 0), ==, 0);
    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, 2097152 / 512);
    info = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(info, "0.inserted.children.0.node-name", "zero");
    /* Nobody uses what was below. */
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'mid'}");
}

static void test_backing(Fixture *f, const void *unused)
{
    g_autofree char *one = kit_image_path(&f->image, "one");

    if (!kit_image_has_tools())
        return;
    kit_image_do(&f->image, "qemu-img create -f qcow2 one 1M");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'q', 'backing': "
               "null, 'file': {'driver': 'file', 'node-name': 'q-sto', 'filename': "
               "'%s'}}", one);
    reopen(f, "{'driver': 'inject', 'node-name': 'top', 'file': 'q'}");
    kit_blk_write(f->blk, 1024, 0x11, 4096);
    g_assert_cmphex(byte_at(f, 0), ==, 0);
    reopen(f, "{'driver': 'qcow2', 'node-name': 'q', 'file': 'q-sto', 'backing': "
           "'mid'}");
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    g_assert_cmphex(byte_at(f, 1024), ==, 0x11);
    kit_qmp_assert_fails(f->qmp, "in use", "blockdev-del", "{'node-name': 'mid'}");
    reopen(f, "{'driver': 'qcow2', 'node-name': 'q', 'file': 'q-sto'}");
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    reopen(f, "{'driver': 'qcow2', 'node-name': 'q', 'file': 'q-sto', 'backing': null}");
    g_assert_cmphex(byte_at(f, 0), ==, 0);
    kit_qmp_assert_fails(f->qmp, "below itself", "blockdev-reopen", "{'options': ["
                         "{'driver': 'qcow2', 'node-name': 'q', 'file': 'q-sto', "
                         "'backing': 'top'}]}");
    kit_qmp_assert_fails(f->qmp, "stores node", "blockdev-reopen", "{'options': ["
                         "{'driver': 'qcow2', 'node-name': 'q', 'file': 'zero'}]}");
    g_assert_cmphex(byte_at(f, 1024), ==, 0x11);
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'mid'}");
}

static void test_another_part_of_a_file(Fixture *f, const void *unused)
{
    kit_blk_write(f->blk, 8, 0x11, 512);
    reopen(f, "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto', 'offset': 4096, "
           "'size': 8192}");
    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, 16);
    g_assert_cmphex(byte_at(f, 0), ==, 0x11);
    reopen(f, "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto'}");
    g_assert_cmpuint(kit_blk_capacity(f->blk), ==, SIZE / 512);
    g_assert_cmphex(byte_at(f, 8), ==, 0x11);
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *options;
        const char *words;
    } rows[] = {
        { "{'driver': 'raw', 'file': 'sto'}", "'node-name' is missing" },
        { "{'driver': 'raw', 'node-name': 'none', 'file': 'sto'}", "'none'" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'none'}", "'none'" },
        { "{'driver': 'inject', 'node-name': 'mid', 'file': 'sto'}", "'driver'" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto', 'offset': 1048577}",
          "'offset'" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto', 'size': 1048577}",
          "'size'" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto', 'read-only': true}",
          "'mid' is read-only" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto', 'force-share': true}",
          "'force-share'" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': {'driver': 'null-co'}}",
          "'sto': parameter 'driver'" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'top'}", "below itself" },
        { "{'driver': 'inject', 'node-name': 'top', 'file': 'ro'}", "read-only" },
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto'}, "
          "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto'}", "twice" },
        /* The first of them is put back. */
        { "{'driver': 'raw', 'node-name': 'mid', 'file': 'zero', 'discard': 'unmap'}, "
          "{'driver': 'inject', 'node-name': 'top', 'file': 'ro'}", "read-only" },
    };
    g_autoptr(JsonValue) before = NULL, after = NULL;

    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'ro', 'read-only': true}");
    before = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, "blockdev-reopen",
                             "{'options': [%s]}", rows[i].options);
    after = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_assert_true(json_equal(before, after));
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    kit_qmp_do(f->qmp, "blockdev-reopen", "{'options': []}");
    /* Nothing differs. */
    reopen(f, "{'driver': 'raw', 'node-name': 'mid', 'file': 'sto', 'read-only': false}");
}

static void test_what_is_under_way_ends_first(Fixture *f, const void *unused)
{
    g_autoptr(KitQmp) other = kit_qmp_new(f->kit);
    g_autoptr(JsonValue) reply = NULL;
    unsigned slot;
    uint8_t status;

    kit_qmp_do(other, "x-block-inject-set", "{'node-name': 'top', 'rules': "
               "[{'ops': ['write'], 'delay-ns': 18446744073709551615}]}");
    memset(kit_blk_data(f->blk, 1), 0x11, 4096);
    kit_blk_submit(f->blk, 1, VIRTIO_BLK_T_OUT, 0, 4096);
    kit_run_both(f->kit);
    kit_qmp_send(f->qmp, "blockdev-reopen", "{'options': [{'driver': 'inject', "
                 "'node-name': 'top', 'file': 'zero'}]}");
    kit_run_both(f->kit);
    kit_qmp_assert_fails(other, "busy: blockdev-reopen", "block_resize",
                         "{'node-name': 'top', 'size': 512}");
    kit_qmp_do(other, "x-block-inject-set", "{'node-name': 'top', 'rules': []}");
    reply = kit_qmp_receive(f->qmp);
    kit_qmp_assert_at(reply, "return", "{}");
    while (!kit_blk_take(f->blk, &slot, &status))
        kit_run_both(f->kit);
    g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    g_assert_cmphex(byte_at(f, 0), ==, 0);
    g_assert_cmpint(block_io_read(block_graph_find(f->kit->blocks, "sto"), 0, &status, 1),
                    ==, 0);
    g_assert_cmphex(status, ==, 0x11);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/block-reopen/" name, Fixture, NULL, set_up, fn, disk_bench_tear_down)
    ADD("discards", test_discards);
    ADD("the-file-s-own", test_the_file_s_own);
    ADD("zeroes", test_zeroes);
    ADD("another-node-below-a-filter", test_another_node_below_a_filter);
    ADD("backing", test_backing);
    ADD("another-part-of-a-file", test_another_part_of_a_file);
    ADD("what-is-refused", test_what_is_refused);
    ADD("what-is-under-way-ends-first", test_what_is_under_way_ends_first);
    g_test_add("/block-reopen/on-a-thread-of-its-own", Fixture, "threaded", set_up,
               test_another_node_below_a_filter, disk_bench_tear_down);
    return g_test_run();
}
