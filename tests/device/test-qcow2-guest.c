/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's disk in a qcow2 image, with a driver at the ring and a client at the monitor.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <unistd.h>

#include "disk-bench.h"

#define SECTORS_OF_CLUSTER 128u

typedef DiskBench Fixture;

/* An image of 4 MiB with two clusters that have data. */
static void make_image(Fixture *f)
{
    kit_image_do(&f->image, "qemu-img create -f qcow2 image 4M");
    kit_image_do(&f->image, "qemu-io -f qcow2 -c 'write -P 1 0 64k' -c "
                 "'write -P 2 64k 64k' image");
}

static void add_node(Fixture *f)
{
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'sto', "
               "'filename': '%s/image', 'discard': 'unmap'}", f->image.folder);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'fmt', 'file': "
               "'sto', 'discard': 'unmap'}");
}

static void add_disk(Fixture *f)
{
    add_node(f);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'fmt'}");
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "disk");
}

static void assert_pattern(Fixture *f, uint64_t sector, uint8_t value)
{
    const uint8_t *data = kit_blk_read(f->blk, sector, 4096);

    for (unsigned i = 0; i < 4096; i++)
        g_assert_cmpuint(data[i], ==, value);
}

static void test_guest_writes_and_discards(Fixture *f, const void *unused)
{
    if (!kit_image_has_tools())
        return;
    make_image(f);
    add_disk(f);
    assert_pattern(f, 0, 1);
    assert_pattern(f, 4 * SECTORS_OF_CLUSTER, 0);
    kit_blk_write(f->blk, 8, 3, 4096);
    kit_blk_write(f->blk, 5 * SECTORS_OF_CLUSTER, 4, 4096);
    assert_pattern(f, 8, 3);
    assert_pattern(f, 16, 1);
    assert_pattern(f, 5 * SECTORS_OF_CLUSTER, 4);
    assert_pattern(f, 5 * SECTORS_OF_CLUSTER + 8, 0);
    kit_blk_discard(f->blk, SECTORS_OF_CLUSTER, SECTORS_OF_CLUSTER);
    kit_blk_flush(f->blk);
    assert_pattern(f, SECTORS_OF_CLUSTER, 0);
}

/* The client is told once; the guest gets errors, but for what is not broken. */
static void test_client_is_told_of_corruption(Fixture *f, const void *unused)
{
    const uint8_t l2_entry[] = { 0x80, 0, 0, 0, 0, 3, 0, 0 };
    g_autofree char *path = kit_image_path(&f->image, "image");
    g_autoptr(JsonValue) event = NULL;
    g_autoptr(JsonValue) nodes = NULL;
    int fd;

    if (!kit_image_has_tools())
        return;
    make_image(f);
    fd = open(path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, l2_entry, sizeof(l2_entry), 0x40000), ==,
                    sizeof(l2_entry));
    close(fd);
    add_disk(f);
    g_assert_cmpint(kit_blk_ask(f->blk, VIRTIO_BLK_T_OUT, 0, 4096), ==,
                    VIRTIO_BLK_S_IOERR);
    event = kit_qmp_wait_event(f->qmp, "BLOCK_IMAGE_CORRUPTED");
    kit_qmp_assert_at(event, "node-name", "fmt");
    kit_qmp_assert_at(event, "device", "");
    kit_qmp_assert_at(event, "offset", "196608");
    kit_qmp_assert_at(event, "size", "65536");
    kit_qmp_assert_at(event, "fatal", "true");
    g_assert_cmpint(kit_blk_ask(f->blk, VIRTIO_BLK_T_OUT, 0, 4096), ==,
                    VIRTIO_BLK_S_IOERR);
    assert_pattern(f, SECTORS_OF_CLUSTER, 2);
    kit_run_both(f->kit);
    g_assert_cmpuint(kit_qmp_n_events(f->qmp, "BLOCK_IMAGE_CORRUPTED"), ==, 0);
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    kit_qmp_assert_at(nodes, "0.image.format-specific.data.corrupt", "true");
}

/* The image is whole when blockdev-del has answered, and nobody locks it. */
static void test_image_is_whole_after_blockdev_del(Fixture *f, const void *unused)
{
    if (!kit_image_has_tools())
        return;
    make_image(f);
    add_node(f);
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'fmt'}");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'sto'}");
    kit_image_assert_clean(&f->image, "image");
    add_node(f);
    kit_qmp_assert_fails(f->qmp, "'absent'", "blockdev-add", "{'driver': 'qcow2', "
                         "'node-name': 'top', 'file': 'absent'}");
    kit_qmp_assert_fails(f->qmp, "qcow2", "blockdev-add", "{'driver': 'qcow2', "
                         "'node-name': 'top', 'file': {'driver': 'null-co'}}");
}

static void set_rules(Fixture *f, const char *rules)
{
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'rules', 'rules': [%s]}",
               rules);
}

/* Turns the loops until a request has ended well; its slot. */
static unsigned wait_for_one(Fixture *f)
{
    unsigned slot;
    uint8_t status;

    while (!kit_blk_take(f->blk, &slot, &status))
        kit_run_both(f->kit);
    g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    return slot;
}

static void offer_write(Fixture *f, unsigned slot, uint64_t sector)
{
    memset(kit_blk_data(f->blk, slot), (int)slot + 1, 4096);
    kit_blk_submit(f->blk, slot, VIRTIO_BLK_T_OUT, sector, 4096);
}

/*
 * The first write to a cluster that was not there does not hold up the others: a second
 * one to the same cluster, and a read of the rest of it, end before the disk has done the
 * first.
 */
static void test_first_writes_do_not_wait(Fixture *f, const void *unused)
{
    const uint64_t sector = 8 * SECTORS_OF_CLUSTER;

    if (!kit_image_has_tools())
        return;
    make_image(f);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'fmt', 'file': "
               "{'driver': 'inject', 'node-name': 'rules', 'file': {'driver': 'file', "
               "'filename': '%s/image'}}}", f->image.folder);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'fmt'}");
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "disk");
    /* A worker has the tables in memory, and makes the file longer, for this one. */
    kit_blk_write(f->blk, 4 * SECTORS_OF_CLUSTER, 9, 4096);

    set_rules(f, "{'ops': ['write'], 'times': 1, 'delay-ns': 3600000000000}");
    offer_write(f, 0, sector);
    offer_write(f, 1, sector + 8);
    g_assert_cmpuint(wait_for_one(f), ==, 1);
    kit_blk_submit(f->blk, 2, VIRTIO_BLK_T_IN, sector + 8, 4096);
    g_assert_cmpuint(wait_for_one(f), ==, 2);
    g_assert_cmpuint(kit_blk_data(f->blk, 2)[4095], ==, 2);
    set_rules(f, "");
    g_assert_cmpuint(wait_for_one(f), ==, 0);
    assert_pattern(f, sector, 1);
    assert_pattern(f, sector + 8, 2);
    assert_pattern(f, sector + 16, 0);
}

static void assert_n_snapshots(Fixture *f, unsigned n)
{
    g_autofree char *output = NULL;
    unsigned n_lines = 0;

    kit_image_run(&f->image, &output, "qemu-img snapshot -U -l image");
    for (const char *at = output; (at = strchr(at, '\n')); at++)
        n_lines++;
    /* Two lines are above the list, if there is one. */
    g_assert_cmpuint(n_lines, ==, n > 0 ? n + 2 : 0);
}

/* A client takes and deletes snapshots within the image while the guest goes on. */
static void test_snapshots_within_the_image(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) nodes = NULL;
    g_autoptr(JsonValue) disks = NULL;
    g_autoptr(JsonValue) deleted = NULL;

    if (!kit_image_has_tools())
        return;
    make_image(f);
    add_disk(f);
    kit_qmp_do(f->qmp, "blockdev-snapshot-internal-sync",
               "{'device': 'fmt', 'name': 'a'}");
    kit_blk_write(f->blk, 0, 7, 4096);
    kit_qmp_do(f->qmp, "transaction", "{'actions': [{'type': "
               "'blockdev-snapshot-internal-sync', 'data': {'device': 'fmt', 'name': "
               "'b'}}]}");
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    kit_qmp_assert_at(nodes, "0.image.snapshots.1.name", "b");
    kit_qmp_assert_at(nodes, "0.image.snapshots.1.id", "2");
    disks = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(disks, "0.inserted.image.snapshots.0.name", "a");
    kit_qmp_assert_at(disks, "0.inserted.image.snapshots.1.name", "b");
    assert_n_snapshots(f, 2);
    deleted = kit_qmp_ask(f->qmp, "blockdev-snapshot-delete-internal-sync",
                          "{'device': 'fmt', 'name': 'b', 'id': '2'}");
    kit_qmp_assert_at(deleted, "name", "b");
    kit_qmp_assert_at(deleted, "vm-state-size", "0");
    assert_n_snapshots(f, 1);
    assert_pattern(f, 0, 7);
    kit_blk_flush(f->blk);
    kit_image_do(&f->image, "qemu-img convert -U -l snapshot.name=a -O raw image out");
    kit_image_do(&f->image, "qemu-io -r -f raw -c 'read -P 1 0 64k' out");
}

/* What fails leaves no snapshot; of a transaction neither those that did not fail. */
static void test_snapshots_that_fail(Fixture *f, const void *unused)
{
    static const struct {
        const char *command;
        const char *arguments;
        const char *words;
    } rows[] = {
        { "blockdev-snapshot-internal-sync", "{'device': 'fmt', 'name': ''}", "'name'" },
        { "blockdev-snapshot-internal-sync", "{'device': 'sto', 'name': 'x'}", "'file'" },
        { "blockdev-snapshot-internal-sync", "{'device': 'none', 'name': 'x'}",
          "'none'" },
        { "blockdev-snapshot-internal-sync", "{'device': 'old', 'name': 'x'}",
          "version 2" },
        { "blockdev-snapshot-delete-internal-sync", "{'device': 'fmt', 'name': 'x'}",
          "no snapshot 'x'" },
        { "blockdev-snapshot-delete-internal-sync", "{'device': 'fmt'}", "'id'" },
        { "transaction", "{'actions': [{'type': 'blockdev-snapshot-internal-sync', "
          "'data': {'device': 'fmt', 'name': 'x'}}, {'type': "
          "'blockdev-snapshot-internal-sync', 'data': {'device': 'old', 'name': 'x'}}]}",
          "version 2" },
    };

    if (!kit_image_has_tools())
        return;
    make_image(f);
    kit_image_do(&f->image, "qemu-img create -f qcow2 -o compat=0.10 old 1M");
    add_node(f);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'old', 'file': "
               "{'driver': 'file', 'filename': '%s/old'}}", f->image.folder);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        kit_qmp_assert_fails(f->qmp, rows[i].words, rows[i].command, "%s",
                             rows[i].arguments);
        assert_n_snapshots(f, 0);
    }
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'fmt'}");
    kit_image_assert_clean(&f->image, "image");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn)                                                                    \
    g_test_add("/qcow2-guest/" path, Fixture, NULL, disk_bench_set_up, fn,               \
               disk_bench_tear_down)
    ADD("guest-writes-and-discards", test_guest_writes_and_discards);
    ADD("first-writes-do-not-wait", test_first_writes_do_not_wait);
    ADD("snapshots-within-the-image", test_snapshots_within_the_image);
    ADD("snapshots-that-fail", test_snapshots_that_fail);
    ADD("client-is-told-of-corruption", test_client_is_told_of_corruption);
    ADD("image-is-whole-after-blockdev-del", test_image_is_whole_after_blockdev_del);
    return g_test_run();
}
