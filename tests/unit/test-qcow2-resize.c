/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resizing qcow2 images: what is gained is zero, and after a fault or a power cut in the
 * midst of it the disk has its old size or the new one, and all that it had.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/inject.h"
#include "berth/thread.h"

#include "kit-image.h"
#include "write-log.h"

#define SMALL (1u * MIB)
#define LARGE (6u * MIB)

typedef struct Kind {
    const char *name;
    const char *create;
    bool has_snapshot;
    bool has_backing;           /* as long as the disk becomes */
    PreallocMode prealloc;
    bool shrinks;
} Kind;

/* With clusters of 512 bytes the L1 table moves. */
static const Kind kinds[] = {
    { "grow-512", "cluster_size=512", true, false, PREALLOC_MODE_OFF, false },
    { "grow-512-metadata", "cluster_size=512", false, false, PREALLOC_MODE_METADATA,
      false },
    { "grow-4k-falloc", "cluster_size=4k", true, false, PREALLOC_MODE_FALLOC, false },
    { "grow-64k-full", "cluster_size=64k", false, false, PREALLOC_MODE_FULL, false },
    { "grow-512-backing", "cluster_size=512", false, true, PREALLOC_MODE_OFF, false },
    { "grow-extended", "cluster_size=16k,extended_l2=on", false, true,
      PREALLOC_MODE_METADATA, false },
    { "grow-lazy", "cluster_size=512,lazy_refcounts=on", true, false, PREALLOC_MODE_OFF,
      false },
    { "shrink-512", "cluster_size=512", true, false, PREALLOC_MODE_OFF, true },
    { "shrink-4k-backing", "cluster_size=4k", false, true, PREALLOC_MODE_OFF, true },
    { "shrink-lazy", "cluster_size=4k,lazy_refcounts=on", false, false, PREALLOC_MODE_OFF,
      true },
};

typedef struct Test {
    KitImage kit;
    const Kind *kind;
    uint8_t *data;              /* LARGE bytes: what the disk has, its gain zero */
    uint64_t before;
    uint64_t after;
} Test;

static void set_up(Test *t, const void *kind)
{
    kit_image_init(&t->kit);
    t->kind = kind;
    t->data = g_malloc0(LARGE);
    t->before = t->kind->shrinks ? LARGE : SMALL;
    t->after = t->kind->shrinks ? SMALL : LARGE;
}

static void tear_down(Test *t, const void *kind)
{
    kit_image_done(&t->kit);
    g_free(t->data);
}

static void make_image(Test *t)
{
    g_autofree uint8_t *backing = g_malloc(LARGE);

    memset(backing, 0xbb, LARGE);
    memset(t->data, 0xbb, t->kind->has_backing ? t->before : 0);
    if (t->kind->has_backing) {
        kit_image_write_file(&t->kit, "base", backing, LARGE);
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -b base -F raw -o %s before %"
                     PRIu64, t->kind->create, t->before);
    } else {
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -o %s before %" PRIu64,
                     t->kind->create, t->before);
    }
    memset(t->data + SMALL / 2, 5, SMALL / 2);
    kit_image_do(&t->kit, "qemu-io -f qcow2 -c 'write -P 5 512k 512k' before");
    if (t->kind->shrinks) {
        memset(t->data + 2 * MIB, 6, MIB);
        kit_image_do(&t->kit, "qemu-io -f qcow2 -c 'write -P 6 2M 1M' before");
    }
    if (t->kind->has_snapshot)
        kit_image_do(&t->kit, "qemu-img snapshot -c s before");
}

/* Node "n" on "i"; the image is a copy. */
static BlockNode *open_copy(Test *t)
{
    kit_image_do(&t->kit, "cp before image");
    kit_image_open(&t->kit, "{'driver':'inject','node-name':'i','discard':'unmap','file':"
                   "{'driver':'file','filename':'%s/image','discard':'unmap','cache':"
                   "{'no-flush':true}}}", t->kit.folder);
    return kit_image_open(&t->kit, "{'driver':'qcow2','node-name':'n','discard':'unmap',"
                          "'file':'i'}");
}

/* What is beyond the smaller of both sizes is what it was, or zero. */
static void assert_contents(Test *t, BlockNode *node, uint64_t size)
{
    g_autofree uint8_t *data = g_malloc(size);

    g_assert_cmpint(block_io_read(node, 0, data, size), ==, 0);
    for (uint64_t i = 0; i < size; i += 512) {
        bool is_gone = i >= MIN(t->before, t->after);
        bool is_same = memcmp(data + i, t->data + i, 512) == 0;

        if (!is_same && (!is_gone || data[i] != 0))
            g_error("sector %" PRIu64 " of %" PRIu64 " has %u", i / 512, size / 512,
                    data[i]);
    }
}

static bool fail_once(Test *t, unsigned n)
{
    BlockNode *node = open_copy(t);
    BlockNode *inject = block_graph_find(t->kit.graph, "i");
    g_autoptr(GError) error = NULL;
    bool acted, ok;

    inject_fail_nth(inject, n, EIO);
    ok = block_node_resize(node, t->after, t->kind->prealloc, &error);
    acted = inject_n_acted(inject) > 0;
    inject_fail_nth(inject, 0, 0);
    if (!ok) {
        g_assert_cmpuint(block_node_size(node), ==, t->before);
        assert_contents(t, node, t->before);
        g_assert_true(block_node_resize(node, t->after, t->kind->prealloc, NULL));
    }
    g_assert_cmpuint(block_node_size(node), ==, t->after);
    assert_contents(t, node, t->after);
    kit_image_close(&t->kit);
    kit_image_assert_sound(&t->kit, "image");
    if (!t->kind->shrinks)
        kit_image_assert_holds(&t->kit, "image", t->data, t->after);
    return acted;
}

static void test_faults(Test *t, const void *kind)
{
    unsigned n = 1;

    if (!kit_image_has_tools())
        return;
    make_image(t);
    while (fail_once(t, n))
        n += n < 12 ? 1 : n / 2;
    g_assert_cmpuint(n, >, 3);
}

static void cut_at(Test *t, WriteLog *log, size_t moment, PowerCut cut, GRand *rand)
{
    g_autofree char *path = kit_image_path(&t->kit, "cut");
    KitImage kit = { t->kit.loop, block_graph_new(t->kit.loop), t->kit.folder };
    BlockNode *node;
    uint64_t size;
    int fd;

    kit_image_do(&t->kit, "cp before cut");
    fd = open(path, O_RDWR | O_CLOEXEC);
    write_log_cut(log, moment, cut, rand, &fd);
    close(fd);
    if (!strstr(t->kind->create, "lazy"))
        kit_image_assert_sound(&t->kit, "cut");
    node = kit_image_open(&kit, "{'driver':'qcow2','node-name':'n','file':{'driver':"
                          "'file','filename':'%s/cut','cache':{'no-flush':true}}}",
                          kit.folder);
    size = block_node_size(node);
    g_assert_true(size == t->before || size == t->after);
    assert_contents(t, node, size);
    block_graph_free(kit.graph);
    if (strstr(t->kind->create, "lazy"))
        kit_image_assert_sound(&t->kit, "cut");
}

static void test_power_cuts(Test *t, const void *kind)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(9);
    WriteLog *log;
    BlockNode *node;
    size_t length;

    if (!kit_image_has_tools())
        return;
    make_image(t);
    node = open_copy(t);
    log = write_log_new(block_graph_find(t->kit.graph, "i"));
    g_assert_true(block_node_resize(node, t->after, t->kind->prealloc, NULL));
    g_assert_true(block_graph_del(t->kit.graph, "n", NULL));
    length = write_log_length(log);
    for (size_t i = 0; i <= length; i += MAX(length / 9, 1))
        cut_at(t, log, i, (PowerCut)g_rand_int_range(rand, 0, 3), rand);
    write_log_free(log);
}

static void test_sizes_that_cannot_be(Test *t, const void *kind)
{
    static const struct {
        uint64_t size;
        PreallocMode prealloc;
        const char *words;
    } cases[] = {
        { SMALL + 1, PREALLOC_MODE_OFF, "512" },
        { 1ull << 63, PREALLOC_MODE_OFF, "2^63" },
        { 1ull << 60, PREALLOC_MODE_OFF, "larger table" },
        { SMALL / 2, PREALLOC_MODE_FULL, "'preallocation'" },
    };
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    make_image(t);
    node = open_copy(t);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(block_node_resize(node, cases[i].size, cases[i].prealloc, &error));
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
        g_assert_cmpuint(block_node_size(node), ==, SMALL);
        assert_contents(t, node, SMALL);
    }
    kit_image_close(&t->kit);
    kit_image_assert_clean(&t->kit, "image");
}

static void make_image_with_bitmap(Test *t)
{
    kit_image_do(&t->kit, "qemu-img create -f qcow2 -o cluster_size=512 before %" PRIu64,
                 t->before);
    /* Of another number of clusters in a disk of the other size. */
    kit_image_do(&t->kit, "qemu-img bitmap --add -g 512 before one");
    kit_image_do(&t->kit, "qemu-io -f qcow2 -c 'write -P 5 512k 512k' before");
    memset(t->data + SMALL / 2, 5, SMALL / 2);
}

/* What records writes in QEMU does not in berth, and says so; the disk is resized. */
static void test_bitmap_that_records(Test *t, const void *kind)
{
    g_autofree char *output = NULL;
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    make_image_with_bitmap(t);
    node = open_copy(t);
    g_assert_true(block_node_resize(node, t->after, PREALLOC_MODE_OFF, NULL));
    g_assert_cmpint(block_io_write(node, t->after - 512, t->data + SMALL / 2, 512, 0), ==,
                    0);
    memset(t->data + t->after - 512, 5, 512);
    kit_image_close(&t->kit);
    kit_image_assert_clean(&t->kit, "image");
    kit_image_assert_holds(&t->kit, "image", t->data, t->after);
    kit_image_run(&t->kit, &output, "qemu-img info image");
    g_assert_nonnull(strstr(output, "in-use"));
    g_assert_nonnull(strstr(output, "name: one"));
    kit_image_do(&t->kit, "qemu-io -f qcow2 -c 'write 0 4k' image");
    kit_image_do(&t->kit, "qemu-img bitmap --remove image one");
    kit_image_assert_clean(&t->kit, "image");
}

/* One that is good would be lost: it is refused, and the image is as it was. */
static void test_bitmap_that_is_good(Test *t, const void *kind)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    make_image_with_bitmap(t);
    kit_image_do(&t->kit, "qemu-img bitmap --disable before one");
    node = open_copy(t);
    g_assert_false(block_node_resize(node, t->after, PREALLOC_MODE_OFF, &error));
    g_assert_nonnull(strstr(error->message, "'one'"));
    g_assert_cmpuint(block_node_size(node), ==, t->before);
    kit_image_close(&t->kit);
    kit_image_do(&t->kit, "qemu-img resize --shrink image %" PRIu64, t->after);
    kit_image_do(&t->kit, "qemu-img bitmap --enable image one");
    kit_image_assert_clean(&t->kit, "image");
}

/* As in QEMU: its snapshots do not remember how large their disk was. */
static void test_version_2_with_snapshots(Test *t, const void *kind)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(&t->kit, "qemu-img create -f qcow2 -o compat=0.10 before %llu", SMALL);
    node = open_copy(t);
    g_assert_true(block_node_resize(node, LARGE, PREALLOC_MODE_OFF, NULL));
    kit_image_close(&t->kit);
    kit_image_do(&t->kit, "qemu-img snapshot -c s before");
    node = open_copy(t);
    g_assert_false(block_node_resize(node, LARGE, PREALLOC_MODE_OFF, &error));
    g_assert_nonnull(strstr(error->message, "version 2"));
    g_assert_cmpint(kit_image_run(&t->kit, NULL, "qemu-img resize before 6M"), !=, 0);
    kit_image_close(&t->kit);
    kit_image_assert_clean(&t->kit, "image");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add("/qcow2-resize/sizes-that-cannot-be", Test, &kinds[0], set_up,
               test_sizes_that_cannot_be, tear_down);
    g_test_add("/qcow2-resize/version-2-with-snapshots", Test, &kinds[0], set_up,
               test_version_2_with_snapshots, tear_down);
    for (unsigned shrinks = 0; shrinks < 2; shrinks++) {
        const Kind *kind = &kinds[shrinks ? G_N_ELEMENTS(kinds) - 1 : 0];
        g_autofree char *records =
            g_strconcat("/qcow2-resize/bitmap-that-records/", kind->name, NULL);
        g_autofree char *good =
            g_strconcat("/qcow2-resize/bitmap-that-is-good/", kind->name, NULL);

        g_test_add(records, Test, kind, set_up, test_bitmap_that_records, tear_down);
        g_test_add(good, Test, kind, set_up, test_bitmap_that_is_good, tear_down);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *fault = g_strconcat("/qcow2-resize/fault/", kinds[i].name, NULL);
        g_autofree char *cut = g_strconcat("/qcow2-resize/power-cut/", kinds[i].name,
                                           NULL);

        g_test_add(fault, Test, &kinds[i], set_up, test_faults, tear_down);
        g_test_add(cut, Test, &kinds[i], set_up, test_power_cuts, tear_down);
    }
    return g_test_run();
}
