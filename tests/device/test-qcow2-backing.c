/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another name of the backing file, in an image that a guest uses.
 */
#include <string.h>

#include "disk-bench.h"

typedef DiskBench Fixture;

static void add(Fixture *f, const char *create, bool has_bitmap)
{
    kit_image_do(&f->image, "qemu-img create -f raw base 1M");
    kit_image_do(&f->image, "qemu-img create -f raw other 1M");
    kit_image_do(&f->image, "qemu-img create -f qcow2 %s image 1M", create);
    if (has_bitmap)
        kit_image_do(&f->image, "qemu-img bitmap --add image b0");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'raw', 'node-name': 'base', "
               "'read-only': true, 'file': {'driver': 'file', 'filename': '%s/base'}}",
               f->image.folder);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'q', 'backing': "
               "'base', 'file': {'driver': 'inject', 'node-name': 'sto', 'file': "
               "{'driver': 'file', 'filename': '%s/image'}}}", f->image.folder);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'q'}");
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "disk");
}

static void change(Fixture *f, const char *name)
{
    kit_qmp_do(f->qmp, "change-backing-file", "{'device': 'disk', 'image-node-name': "
               "'q', 'backing-file': '%s'}", name);
}

static char *info_of(Fixture *f)
{
    char *info;

    kit_image_run(&f->image, &info, "qemu-img info -U image");
    return info;
}

static void assert_info(Fixture *f, const char *words, bool is_there)
{
    g_autofree char *info = info_of(f);

    if (!strstr(info, words) == is_there)
        g_error("%s: %s", words, info);
}

/* The guest's data is there, and qemu-img finds nothing wrong. */
static void assert_whole(Fixture *f)
{
    g_assert_cmphex(kit_blk_read(f->blk, 8, 512)[0], ==, 0x11);
    device_remove(device_find(&f->kit->tree, "disk"));
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'q'}");
    kit_image_assert_clean(&f->image, "image");
}

static void test_names(Fixture *f, const void *unused)
{
    g_autofree char *longest = g_strnfill(1023, 'n');
    g_autoptr(JsonValue) nodes = NULL;

    if (!kit_image_has_tools())
        return;
    add(f, "-b base -F raw -o lazy_refcounts=on", false);
    kit_blk_write(f->blk, 8, 0x11, 4096);
    change(f, "other");
    kit_blk_write(f->blk, 16, 0x22, 4096);
    assert_info(f, "backing file: other", true);
    assert_info(f, "backing file format: raw", true);
    assert_info(f, "lazy refcounts: true", true);
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    kit_qmp_assert_at(nodes, "0.image.backing-filename", "other");
    change(f, longest);
    assert_info(f, longest, true);
    change(f, "");
    assert_info(f, "backing file", false);
    change(f, "other");
    assert_info(f, "backing file: other", true);
    assert_whole(f);
}

/* Bitmaps, and what else the header says, stay. */
static void test_what_else_is_in_the_header(Fixture *f, const void *unused)
{
    if (!kit_image_has_tools())
        return;
    add(f, "-b base -F raw -o cluster_size=4k,compression_type=zstd", true);
    kit_blk_write(f->blk, 8, 0x11, 4096);
    change(f, "other");
    assert_info(f, "compression type: zstd", true);
    assert_info(f, "name: b0", true);
    assert_whole(f);
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *args;
        const char *words;
    } rows[] = {
        { "'device': 'none', 'image-node-name': 'q', 'backing-file': 'x'", "'none'" },
        { "'device': 'disk', 'image-node-name': 'none', 'backing-file': 'x'", "'none'" },
        { "'device': 'base', 'image-node-name': 'q', 'backing-file': 'x'",
          "not in the chain" },
        { "'device': 'q', 'image-node-name': 'sto', 'backing-file': 'x'",
          "not in the chain" },
        { "'device': 'disk', 'image-node-name': 'base', 'backing-file': 'x'",
          "names no backing file" },
    };
    g_autofree char *wide = g_strnfill(500, 'n');
    g_autofree char *wider = g_strnfill(1024, 'n');
    g_autofree char *before = NULL, *after = NULL;

    if (!kit_image_has_tools())
        return;
    add(f, "-b base -F raw -o cluster_size=512", false);
    kit_blk_write(f->blk, 8, 0x11, 4096);
    before = info_of(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, "change-backing-file", "{%s}",
                             rows[i].args);
    kit_qmp_assert_fails(f->qmp, "does not fit", "change-backing-file", "{'device': 'q', "
                         "'image-node-name': 'q', 'backing-file': '%s'}", wide);
    kit_qmp_assert_fails(f->qmp, "1023 bytes", "change-backing-file", "{'device': 'q', "
                         "'image-node-name': 'q', 'backing-file': '%s'}", wider);
    after = info_of(f);
    g_assert_cmpstr(before, ==, after);
    assert_whole(f);
}

static void test_a_failure_changes_nothing(Fixture *f, const void *unused)
{
    static const char *const ops[] = { "read", "write", "flush" };
    g_autoptr(JsonValue) nodes = NULL;

    if (!kit_image_has_tools())
        return;
    add(f, "-b base -F raw", false);
    kit_blk_write(f->blk, 8, 0x11, 4096);
    for (size_t i = 0; i < G_N_ELEMENTS(ops); i++) {
        kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'sto', 'rules': "
                   "[{'ops': ['%s'], 'errno': 'EIO', 'times': 1}]}", ops[i]);
        kit_qmp_assert_fails(f->qmp, "Input/output", "change-backing-file", "{'device': "
                             "'q', 'image-node-name': 'q', 'backing-file': 'other'}");
    }
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    kit_qmp_assert_at(nodes, "0.image.backing-filename", "base");
    assert_info(f, "backing file: base", true);
    assert_whole(f);
}

/* A disk's counters tell of the images below it, those of single nodes do not. */
static void test_counters_of_a_chain(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) disks = NULL, nodes = NULL;

    if (!kit_image_has_tools())
        return;
    add(f, "-b base -F raw", false);
    disks = kit_qmp_ask(f->qmp, "query-blockstats", NULL);
    nodes = kit_qmp_ask(f->qmp, "query-blockstats", "{'query-nodes': true}");
    kit_qmp_assert_at(disks, "0.backing.node-name", "base");
    kit_qmp_assert_at(nodes, "4.node-name", "q");
    kit_qmp_assert_at(nodes, "4.parent.node-name", "sto");
    kit_qmp_assert_at(nodes, "4.backing", "absent");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/qcow2-backing/" name, Fixture, NULL, disk_bench_set_up, fn,             \
               disk_bench_tear_down)
    ADD("names", test_names);
    ADD("what-else-is-in-the-header", test_what_else_is_in_the_header);
    ADD("what-is-refused", test_what_is_refused);
    ADD("a-failure-changes-nothing", test_a_failure_changes_nothing);
    ADD("counters-of-a-chain", test_counters_of_a_chain);
    return g_test_run();
}
