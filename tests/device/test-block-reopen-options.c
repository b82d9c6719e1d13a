/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-reopen of what needs the file or the image opened once more: who may write,
 * the cache, locks, tables in memory; and that all of it is done or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

#include "berth/fdset.h"
#include "berth/inject.h"

#include "kit-blk.h"
#include "kit-image.h"
#include "kit-qmp.h"

#define SIZE 1048576u
#define USED_WRITE 101          /* bytes that QEMU locks in image files */
#define REFUSED_WRITE 201

typedef struct Fixture {
    KitBoard *kit;
    KitQmp *qmp;
    KitBlk *blk;
    KitImage image;             /* its folder only */
    bool has_acted;             /* the fault */
} Fixture;

/* A disk "top" on an overlay of the image "base", whose file is behind "faulty". */
static void set_up(Fixture *f, const void *threaded)
{
    g_autofree char *bytes = g_malloc0(2 * SIZE);
    g_autofree char *base = NULL;
    g_autofree char *top = NULL;

    if (!kit_image_has_tools()) {
        g_test_skip("qemu-img is not here");
        return;
    }
    kit_image_init(&f->image);
    memset(bytes, 'x', SIZE);
    kit_image_write_file(&f->image, "raw", bytes, 2 * SIZE);
    kit_image_do(&f->image, "qemu-img convert -f raw -O qcow2 raw base");
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 top 2M");
    base = kit_image_path(&f->image, "base");
    top = kit_image_path(&f->image, "top");
    f->kit = threaded ? kit_board_new_threaded() : kit_board_new();
    f->qmp = kit_qmp_new(f->kit);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'base-file', "
               "'filename': '%s', 'auto-read-only': true}", base);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': 'faulty', "
               "'file': 'base-file'}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'base', "
               "'read-only': true, 'backing': null, 'file': 'faulty'}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'top', "
               "'backing': 'base', 'file': {'driver': 'file', 'node-name': 'top-file', "
               "'filename': '%s'}}", top);
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'top'}");
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "disk");
}

static void tear_down(Fixture *f, const void *unused)
{
    if (!f->kit)
        return;
    block_graph_let_go(f->kit->blocks);
    kit_blk_free(f->blk);
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
    kit_image_assert_clean(&f->image, "base");
    kit_image_assert_clean(&f->image, "top");
    kit_image_done(&f->image);
}

static void reopen(Fixture *f, const char *options)
{
    kit_qmp_do(f->qmp, "blockdev-reopen", "{'options': [%s]}", options);
}

static BlockNode *node(Fixture *f, const char *name)
{
    BlockNode *found = block_graph_find(f->kit->blocks, name);

    g_assert_nonnull(found);
    return found;
}

static int write_to(Fixture *f, const char *name, uint64_t offset, uint8_t value)
{
    uint8_t data[512];

    memset(data, value, sizeof(data));
    return block_io_write(node(f, name), offset, data, sizeof(data), 0);
}

static uint8_t byte_at(Fixture *f, uint64_t sector)
{
    return kit_blk_read(f->blk, sector, 512)[0];
}

/* Whether anybody has a lock on that byte of the image. */
static bool is_locked(Fixture *f, const char *name, off_t at)
{
    g_autofree char *path = kit_image_path(&f->image, name);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at,
                          .l_len = 1 };
    int fd = open(path, O_RDWR);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_OFD_GETLK, &lock), ==, 0);
    close(fd);
    return lock.l_type != F_UNLCK;
}

#define BASE_ON(backing, more) "{'driver': 'qcow2', 'node-name': 'base', 'backing': "    \
    backing ", 'file': 'faulty'" more "}"
#define BASE(more) BASE_ON("null", more)
#define TOP(more) "{'driver': 'qcow2', 'node-name': 'top', 'file': 'top-file', "         \
    "'backing': 'base'" more "}"
#define READ_ONLY ", 'read-only': true"
#define FAULTY(more) "{'driver': 'inject', 'node-name': 'faulty', 'file': 'base-file'"  \
    more "}"

/* As before and after a commit into the backing file. */
static void test_a_backing_file_is_written_for_a_while(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) nodes = NULL;

    if (!f->kit)
        return;
    g_assert_cmpint(write_to(f, "base", 0, 'y'), ==, -EROFS);
    g_assert_false(is_locked(f, "base", USED_WRITE));
    reopen(f, BASE(", 'read-only': false"));
    g_assert_true(is_locked(f, "base", USED_WRITE));
    g_assert_cmpint(write_to(f, "base", 65536, 'y'), ==, 0);
    g_assert_cmphex(byte_at(f, 128), ==, 'y');
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    reopen(f, BASE(READ_ONLY));
    g_assert_false(is_locked(f, "base", USED_WRITE));
    g_assert_cmpint(write_to(f, "base", 65536, 'z'), ==, -EROFS);
    kit_image_assert_clean(&f->image, "base -U");
    g_assert_cmphex(byte_at(f, 128), ==, 'y');
    /* What is left out is what it is without: it can be written. */
    reopen(f, BASE(""));
    g_assert_cmpint(write_to(f, "base", 0, 'y'), ==, 0);
    nodes = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(nodes, "0.inserted.ro", "false");
}

/* A file in a set of descriptors that has one for reading, and later one for writing. */
static int open_fdset(void *opaque, const char *path, int flags, GError **error)
{
    return fdset_open(opaque, path, flags, error);
}

static void add_fd(Fixture *f, FdSets *sets, const char *name, int flags)
{
    g_autofree char *path = kit_image_path(&f->image, name);
    int64_t id = 7;
    int fd = open(path, flags | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    qapi_free_AddfdInfo(fdset_add(sets, &id, fd, NULL, NULL));
}

static void test_a_file_follows_that_could_only_be_read(Fixture *f, const void *unused)
{
    FdSets *sets;

    if (!f->kit)
        return;
    sets = fdset_new();
    block_graph_set_open_hook(f->kit->blocks, open_fdset, sets);
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 other 1M");
    add_fd(f, sets, "other", O_RDONLY);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'set', "
               "'filename': '/dev/fdset/7', 'auto-read-only': true}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'other', "
               "'read-only': true, 'file': 'set'}");
#define OTHER(more) "{'driver': 'qcow2', 'node-name': 'other', 'file': 'set'" more "}"
    kit_qmp_assert_fails(f->qmp, "read-only", "blockdev-reopen", "{'options': ["
                         OTHER("") "]}");
    g_assert_false(is_locked(f, "other", USED_WRITE));
    reopen(f, OTHER(", 'auto-read-only': true"));
    g_assert_cmpint(write_to(f, "other", 0, 'o'), ==, -EROFS);
    add_fd(f, sets, "other", O_RDWR);
    reopen(f, OTHER(""));
    g_assert_true(is_locked(f, "other", USED_WRITE));
    g_assert_cmpint(write_to(f, "other", 0, 'o'), ==, 0);
    reopen(f, OTHER(READ_ONLY));
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'other'}");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'set'}");
    kit_image_assert_clean(&f->image, "other");
    block_graph_set_open_hook(f->kit->blocks, NULL, NULL);
    fdset_free(sets);
}

/* What was defined inside without options of its own has those of the node above. */
static void test_nodes_below_follow(Fixture *f, const void *unused)
{
    g_autofree char *path = NULL;

    if (!f->kit)
        return;
    path = kit_image_path(&f->image, "inner");
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 inner 1M");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'outer', "
               "'read-only': true, 'file': {'driver': 'raw', 'node-name': 'mid', 'file': "
               "{'driver': 'file', 'node-name': 'inner', 'filename': '%s'}}}", path);
    g_assert_true(block_node_is_read_only(node(f, "inner")));
    reopen(f, "{'driver': 'qcow2', 'node-name': 'outer', 'file': 'mid'}");
    g_assert_false(block_node_is_read_only(node(f, "inner")));
    g_assert_cmpint(write_to(f, "outer", 0, 1), ==, 0);
    /* Its own, and that of the node between is left to it. */
    kit_qmp_do(f->qmp, "blockdev-reopen", "{'options': [{'driver': 'qcow2', 'node-name': "
               "'outer', 'read-only': true, 'file': {'driver': 'raw', 'file': {'driver': "
               "'file', 'filename': '%s', 'read-only': false}}}]}", path);
    g_assert_false(block_node_is_read_only(node(f, "inner")));
    g_assert_true(block_node_is_read_only(node(f, "mid")));
    g_assert_cmpint(write_to(f, "outer", 0, 1), ==, -EROFS);
    kit_qmp_assert_fails(f->qmp, "by their names", "blockdev-reopen", "{'options': ["
                         "{'driver': 'qcow2', 'node-name': 'outer', 'file': {'driver': "
                         "'raw', 'node-name': 'new', 'file': 'inner'}}]}");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'outer'}");
}

/* With a cache of another kind; a file system that knows no O_DIRECT says so. */
static void test_another_cache(Fixture *f, const void *unused)
{
    g_autofree char *path = NULL;
    int fd;

    if (!f->kit)
        return;
    path = kit_image_path(&f->image, "top");
    kit_blk_write(f->blk, 0, 1, 4096);
    kit_qmp_assert_fails(f->qmp, "needs cache.direct", "blockdev-reopen", "{'options': ["
                         "{'driver': 'file', 'node-name': 'top-file', 'filename': '%s', "
                         "'aio': 'native'}]}", path);
    fd = open(path, O_RDWR | O_DIRECT);
    if (fd < 0) {
        g_test_skip("there is no O_DIRECT here");
        return;
    }
    close(fd);
    kit_qmp_do(f->qmp, "blockdev-reopen", "{'options': ["
               "{'driver': 'file', 'node-name': 'top-file', 'filename': '%s', 'cache': "
               "{'direct': true}, 'aio': 'native', 'aio-max-batch': 4}]}", path);
    g_assert_cmphex(byte_at(f, 0), ==, 1);
    kit_blk_write(f->blk, 8, 2, 4096);
    /* Less than a block of most disks. */
    kit_blk_write(f->blk, 17, 3, 512);
    kit_blk_flush(f->blk);
    g_assert_true(is_locked(f, "top", USED_WRITE));
    g_assert_true(is_locked(f, "top", REFUSED_WRITE));
    kit_qmp_do(f->qmp, "blockdev-reopen", "{'options': ["
               "{'driver': 'file', 'node-name': 'top-file', 'filename': '%s', 'cache': "
               "{'no-flush': true}}]}", path);
    g_assert_cmphex(byte_at(f, 8), ==, 2);
    g_assert_cmphex(byte_at(f, 17), ==, 3);
    g_assert_cmphex(byte_at(f, 18), ==, 'x');
    g_assert_true(is_locked(f, "top", USED_WRITE));
}

static void assert_dirty(Fixture *f, bool is_dirty)
{
    g_autoptr(JsonValue) disks = kit_qmp_ask(f->qmp, "query-block", NULL);

    kit_qmp_assert_at(disks, "0.inserted.image.dirty-flag", is_dirty ? "true" : "false");
}

static void test_options_of_an_image(Fixture *f, const void *unused)
{
    static const char *const options[] = {
        ", 'l2-cache-size': 65536, 'l2-cache-entry-size': 512",
        ", 'cache-size': 1048576, 'refcount-cache-size': 262144",
        ", 'overlap-check': 'none'", ", 'overlap-check': 'all'",
        ", 'overlap-check': {'template': 'none', 'inactive-l2': true}",
        ", 'cache-clean-interval': 1, 'pass-discard-other': true",
        ", 'cache-clean-interval': 0",
        ", 'pass-discard-request': true, 'pass-discard-snapshot': false",
    };

    if (!f->kit)
        return;
    reopen(f, TOP(", 'lazy-refcounts': true"));
    kit_blk_write(f->blk, 0, 1, 4096);
    kit_blk_flush(f->blk);
    assert_dirty(f, true);
    reopen(f, TOP(", 'lazy-refcounts': false"));
    assert_dirty(f, false);
    for (unsigned i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autofree char *all = g_strdup_printf(TOP("%s"), options[i]);

        kit_blk_write(f->blk, 128 * (i + 1), (uint8_t)i, 512);
        reopen(f, all);
        g_assert_cmphex(byte_at(f, 0), ==, 1);
        g_assert_cmphex(byte_at(f, 128 * (i + 1)), ==, i);
        g_assert_cmphex(byte_at(f, 128 * (i + 1) + 1), ==, 'x');
    }
    kit_qmp_assert_fails(f->qmp, "l2-cache-entry-size", "blockdev-reopen",
                         "{'options': [" TOP(", 'l2-cache-entry-size': 1000") "]}");
    kit_qmp_assert_fails(f->qmp, "cannot all be given", "blockdev-reopen",
                         "{'options': [" TOP(", 'cache-size': 9999999, 'l2-cache-size': "
                                             "1, 'refcount-cache-size': 1") "]}");
    g_assert_cmphex(byte_at(f, 128), ==, 0);
}

static void test_another_group_of_limits(Fixture *f, const void *unused)
{
#define LIMIT(group) "{'driver': 'throttle', 'node-name': 'limit', 'file': 'zero', "    \
    "'throttle-group': '" group "'}"
    if (!f->kit)
        return;
    kit_qmp_do(f->qmp, "object-add", "{'qom-type': 'throttle-group', 'id': 'one'}");
    kit_qmp_do(f->qmp, "object-add", "{'qom-type': 'throttle-group', 'id': 'two'}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'zero', "
               "'read-zeroes': true}");
    kit_qmp_do(f->qmp, "blockdev-add", LIMIT("one"));
    reopen(f, BASE_ON("'limit'", READ_ONLY));
    kit_qmp_assert_fails(f->qmp, "in use", "object-del", "{'id': 'one'}");
    reopen(f, LIMIT("two"));
    kit_qmp_do(f->qmp, "object-del", "{'id': 'one'}");
    kit_qmp_assert_fails(f->qmp, "in use", "object-del", "{'id': 'two'}");
    kit_qmp_assert_fails(f->qmp, "'none'", "blockdev-reopen",
                         "{'options': [" LIMIT("none") "]}");
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    g_assert_cmphex(byte_at(f, 2 * SIZE / 512 - 1), ==, 0);
    reopen(f, BASE(READ_ONLY));
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'limit'}");
    kit_qmp_do(f->qmp, "object-del", "{'id': 'two'}");
}

/* What the name stands for now is not what the node has open. */
static void test_a_file_that_was_replaced(Fixture *f, const void *unused)
{
    g_autofree char *path = NULL;

    if (!f->kit)
        return;
    path = kit_image_path(&f->image, "base");
    kit_image_do(&f->image, "mv base old");
    kit_image_do(&f->image, "cp old base");
    kit_qmp_assert_fails(f->qmp, "not the file any more", "blockdev-reopen",
                         "{'options': [{'driver': 'file', 'node-name': 'base-file', "
                         "'filename': '%s', 'read-only': true}]}", path);
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    kit_image_do(&f->image, "mv old base");
    kit_qmp_do(f->qmp, "blockdev-reopen", "{'options': [{'driver': 'file', 'node-name': "
               "'base-file', 'filename': '%s', 'read-only': true}]}", path);
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
}

/* All but the sizes of images: what was in memory may have been written. */
static JsonValue *ask_nodes(Fixture *f)
{
    JsonValue *nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);

    for (size_t i = 0; i < json_length(nodes); i++)
        json_remove(json_at(nodes, i), "image");
    return nodes;
}

static bool try_reopen(Fixture *f, const char *options)
{
    g_autofree char *all = g_strdup_printf("{'options': [%s]}", options);
    g_autoptr(JsonValue) reply = NULL;

    kit_qmp_send(f->qmp, "blockdev-reopen", all);
    reply = kit_qmp_receive(f->qmp);
    return json_member(reply, "return") != NULL;
}

/* All that differs is in one list; the @n-th operation on the base's file fails. */
static bool try_with_fault(Fixture *f, const char *options, uint64_t n)
{
    g_autoptr(JsonValue) before = ask_nodes(f), after = NULL;
    bool was_locked = is_locked(f, "base", USED_WRITE), ok;

    inject_fail_nth(node(f, "faulty"), n, EIO);
    ok = try_reopen(f, options);
    f->has_acted = inject_n_acted(node(f, "faulty")) > 0;
    inject_fail_nth(node(f, "faulty"), 0, 0);
    g_assert_cmphex(byte_at(f, 0), ==, 'x');
    if (ok)
        return true;
    after = ask_nodes(f);
    g_assert_true(json_equal(before, after));
    g_assert_cmpint(is_locked(f, "base", USED_WRITE), ==, was_locked);
    return false;
}

static void test_all_or_nothing(Fixture *f, const void *unused)
{
    static const char writable[] = TOP(", 'lazy-refcounts': true, 'discard': 'unmap'")
        ", " FAULTY("") ", " BASE(", 'lazy-refcounts': true");
    static const char read_only[] = BASE(READ_ONLY) ", " FAULTY("") ", "
        TOP(", 'l2-cache-size': 65536, 'detect-zeroes': 'on'");
    uint64_t n = 1;

    if (!f->kit)
        return;
    while (!try_with_fault(f, writable, n)) {
        g_assert_true(f->has_acted);
        g_assert_cmpint(write_to(f, "base", SIZE, 1), ==, -EROFS);
        n++;
    }
    g_assert_false(f->has_acted);
    /* It was opened, locked and read. */
    g_assert_cmpuint(n, >, 3);
    for (n = 1;; n++) {
        uint64_t offset = SIZE + n % 16 * 65536;

        g_assert_cmpint(write_to(f, "base", offset, (uint8_t)n), ==, 0);
        g_assert_cmphex(byte_at(f, offset / 512), ==, n);
        if (!try_with_fault(f, read_only, n))
            continue;
        if (!f->has_acted)
            break;
        /* Only space at the end was not given back. */
        reopen(f, writable);
    }
    /* Written and flushed, and opened. */
    g_assert_cmpuint(n, >, 3);
    g_assert_cmpint(write_to(f, "base", SIZE, 1), ==, -EROFS);
    for (uint64_t i = 1; i <= MIN(n, 15); i++)
        g_assert_cmphex(byte_at(f, (SIZE + i * 65536) / 512), ==, i);
}

/* The last of the list is refused for who uses it, when all the others are done. */
static void test_a_writer_is_in_the_way(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) before = NULL, after = NULL;

    if (!f->kit)
        return;
    before = ask_nodes(f);
    kit_qmp_assert_fails(f->qmp, "read-only", "blockdev-reopen",
                         "{'options': [" BASE("") ", " TOP(READ_ONLY) "]}");
    after = ask_nodes(f);
    g_assert_true(json_equal(before, after));
    g_assert_false(is_locked(f, "base", USED_WRITE));
    g_assert_true(is_locked(f, "top", USED_WRITE));
    kit_blk_write(f->blk, 0, 7, 512);
    g_assert_cmphex(byte_at(f, 0), ==, 7);
}

/* A disk that does not answer keeps the command waiting, and nothing else. */
static void test_a_disk_that_does_not_answer(Fixture *f, const void *unused)
{
    g_autoptr(KitQmp) other = NULL;
    g_autoptr(JsonValue) reply = NULL;

    if (!f->kit)
        return;
    other = kit_qmp_new(f->kit);
    reopen(f, BASE(""));
    g_assert_cmpint(write_to(f, "base", SIZE, 1), ==, 0);
    kit_qmp_do(other, "x-block-inject-set", "{'node-name': 'faulty', 'rules': "
               "[{'ops': ['write'], 'delay-ns': 18446744073709551615}]}");
    kit_qmp_send(f->qmp, "blockdev-reopen", "{'options': [" BASE(READ_ONLY) "]}");
    for (int i = 0; i < 20; i++)
        kit_run_both(f->kit);
    kit_qmp_assert_fails(other, "busy: blockdev-reopen", "blockdev-reopen",
                         "{'options': [" BASE(READ_ONLY) "]}");
    kit_qmp_do(other, "blockdev-add", "{'driver': 'null-co', 'node-name': 'new'}");
    kit_qmp_do(other, "blockdev-del", "{'node-name': 'new'}");
    kit_qmp_do(other, "x-block-inject-set", "{'node-name': 'faulty', 'rules': []}");
    reply = kit_qmp_receive(f->qmp);
    kit_qmp_assert_at(reply, "return", "{}");
    g_assert_cmpint(write_to(f, "base", SIZE, 1), ==, -EROFS);
}

static void test_the_machine_ends_meanwhile(Fixture *f, const void *unused)
{
    if (!f->kit)
        return;
    reopen(f, BASE(""));
    g_assert_cmpint(write_to(f, "base", SIZE, 1), ==, 0);
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'faulty', 'rules': "
               "[{'ops': ['flush'], 'delay-ns': 18446744073709551615}]}");
    kit_qmp_send(f->qmp, "blockdev-reopen", "{'options': [" TOP("") ", " BASE(READ_ONLY)
                 "]}");
    for (int i = 0; i < 20; i++)
        kit_run_both(f->kit);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, data, fn)                                                              \
    g_test_add("/block-reopen-options/" name, Fixture, data, set_up, fn, tear_down)
    ADD("a-backing-file-is-written-for-a-while", NULL,
        test_a_backing_file_is_written_for_a_while);
    ADD("a-file-follows-that-could-only-be-read", NULL,
        test_a_file_follows_that_could_only_be_read);
    ADD("nodes-below-follow", NULL, test_nodes_below_follow);
    ADD("another-cache", NULL, test_another_cache);
    ADD("options-of-an-image", NULL, test_options_of_an_image);
    ADD("another-group-of-limits", NULL, test_another_group_of_limits);
    ADD("a-file-that-was-replaced", NULL, test_a_file_that_was_replaced);
    ADD("all-or-nothing", NULL, test_all_or_nothing);
    ADD("a-writer-is-in-the-way", NULL, test_a_writer_is_in_the_way);
    ADD("a-disk-that-does-not-answer", NULL, test_a_disk_that_does_not_answer);
    ADD("the-machine-ends-meanwhile", NULL, test_the_machine_ends_meanwhile);
    ADD("all-or-nothing-on-a-thread", "threaded", test_all_or_nothing);
    ADD("another-cache-on-a-thread", "threaded", test_another_cache);
    return g_test_run();
}
