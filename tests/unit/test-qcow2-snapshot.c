/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots in qcow2 images: taken and deleted while the disk is in use, they have what
 * the disk had, as qemu-img reads them; after a fault or a power cut in the midst of it a
 * snapshot is there or is not, and the image is sound when it has been opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/inject.h"
#include "berth/thread.h"

#include "kit-image.h"
#include "write-log.h"

#define SIZE (1 * MIB)
#define OPEN "{'driver':'qcow2','node-name':'n','discard':'unmap',%s'file':'i'}"

typedef struct Kind {
    const char *name;
    const char *create;
    const char *open;           /* members of blockdev-add */
    bool is_compressed;
    bool has_snapshot;          /* qemu-img's, "s" */
    bool has_backing;
} Kind;

static const Kind kinds[] = {
    { "512", "cluster_size=512", "", false, true, false },
    { "4k-compressed", "cluster_size=4k", "", true, false, false },
    { "4k-4-small-cache", "cluster_size=4k,refcount_bits=4",
      "'l2-cache-size':1024,'l2-cache-entry-size':512,'overlap-check':'all',", false,
      true, false },
    { "64k-backing", "cluster_size=64k", "", false, false, true },
    { "lazy", "cluster_size=4k,lazy_refcounts=on", "", false, true, false },
    { "extended", "cluster_size=16k,extended_l2=on", "", false, false, true },
};

typedef struct Test {
    KitImage kit;
    const Kind *kind;
    GRand *rand;
    uint8_t *data;              /* what the disk has */
    uint8_t *first;             /* and had when it was made */
    BlockNode *node;
} Test;

static void set_up(Test *t, const void *kind)
{
    kit_image_init(&t->kit);
    t->kind = kind;
    t->rand = g_rand_new_with_seed(5);
    t->data = g_malloc(SIZE);
    for (unsigned i = 0; i < SIZE; i += 512)
        memset(t->data + i, (int)(i / 512 % 251), 512);
    memset(t->data + SIZE / 4, 0, SIZE / 4);
    t->first = g_memdup2(t->data, SIZE);
}

static void tear_down(Test *t, const void *kind)
{
    kit_image_done(&t->kit);
    g_rand_free(t->rand);
    g_free(t->data);
    g_free(t->first);
}

/* The image "before" has the model's data, or some of it and the rest behind it. */
static void make_image(Test *t)
{
    const Kind *kind = t->kind;

    kit_image_write_file(&t->kit, "base", t->data, SIZE);
    if (kind->has_backing) {
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -b base -F raw -o %s before",
                     kind->create);
        kit_image_do(&t->kit, "qemu-io -f qcow2 -c 'write -P 9 100k 64k' before");
        memset(t->data + 100 * KIB, 9, 64 * KIB);
        memset(t->first + 100 * KIB, 9, 64 * KIB);
    } else {
        kit_image_do(&t->kit, "qemu-img convert %s -f raw -O qcow2 -o %s base before",
                     kind->is_compressed ? "-c" : "", kind->create);
    }
    if (kind->has_snapshot)
        kit_image_do(&t->kit, "qemu-img snapshot -c s before");
}

static void open_image(Test *t)
{
    kit_image_open(&t->kit, "{'driver':'inject','node-name':'i','discard':'unmap','file':"
                   "{'driver':'file','filename':'%s/image','discard':'unmap','cache':"
                   "{'no-flush':true}}}", t->kit.folder);
    t->node = kit_image_open(&t->kit, OPEN, t->kind->open);
}

static void open_copy(Test *t)
{
    kit_image_do(&t->kit, "cp before image");
    open_image(t);
}

static bool take(Test *t, const char *name, GError **error)
{
    return t->node->driver->snapshot_create(t->node, name, error);
}

static bool delete(Test *t, const char *name, GError **error)
{
    SnapshotInfo *info = t->node->driver->snapshot_delete(t->node, NULL, name, error);
    bool ok = info != NULL;

    if (ok)
        g_assert_cmpstr(info->name, ==, name);
    qapi_free_SnapshotInfo(info);
    return ok;
}

static void write_some(Test *t)
{
    for (unsigned i = 0; i < 40; i++) {
        unsigned offset = (unsigned)g_rand_int_range(t->rand, 0, SIZE / 512 - 32) * 512;
        unsigned size = (unsigned)g_rand_int_range(t->rand, 1, 32) * 512;

        memset(t->data + offset, g_rand_int_range(t->rand, 0, 256), size);
        g_assert_cmpint(block_io_write(t->node, offset, t->data + offset, size, 0), ==,
                        0);
    }
}

static void assert_disk(Test *t)
{
    g_autofree uint8_t *data = g_malloc(SIZE);

    g_assert_cmpint(block_io_read(t->node, 0, data, SIZE), ==, 0);
    g_assert_cmpmem(data, SIZE, t->data, SIZE);
}

static bool has_snapshot(const Test *t, const char *image, const char *name)
{
    g_autofree char *output = NULL;
    g_autofree char *word = g_strdup_printf(" %s ", name);

    kit_image_run(&t->kit, &output, "qemu-img snapshot -l %s", image);
    return strstr(output, word) != NULL;
}

/* Snapshot @name has @data, as qemu-img reads it. */
static void assert_snapshot(const Test *t, const char *image, const char *name,
                            const uint8_t *data)
{
    kit_image_do(&t->kit, "qemu-img convert -l snapshot.name=%s -O raw %s out", name,
                 image);
    kit_image_write_file(&t->kit, "wanted", data, SIZE);
    kit_image_do(&t->kit, "cmp out wanted");
}

/* Gone back to by qemu-img, the disk is what it was when @name was taken. */
static void assert_goes_back(const Test *t, const char *name, const uint8_t *data)
{
    kit_image_do(&t->kit, "cp image back");
    kit_image_do(&t->kit, "qemu-img snapshot -a %s back", name);
    kit_image_assert_clean(&t->kit, "back");
    kit_image_assert_holds(&t->kit, "back", data, SIZE);
}

static void close_clean(Test *t)
{
    kit_image_close(&t->kit);
    kit_image_assert_clean(&t->kit, "image");
    kit_image_assert_holds(&t->kit, "image", t->data, SIZE);
    if (t->kind->has_snapshot)
        assert_snapshot(t, "image", "s", t->first);
}

static void test_take_and_delete(Test *t, const void *kind)
{
    g_autofree uint8_t *second = NULL;
    g_autoptr(GError) error = NULL;

    if (!kit_image_has_tools())
        return;
    make_image(t);
    open_copy(t);
    g_assert_true(take(t, "one", NULL));
    g_assert_false(take(t, "one", &error));
    g_assert_nonnull(strstr(error->message, "there already"));
    assert_disk(t);
    write_some(t);
    second = g_memdup2(t->data, SIZE);
    g_assert_true(take(t, "two", NULL));
    write_some(t);
    assert_disk(t);
    close_clean(t);
    assert_snapshot(t, "image", "one", t->first);
    assert_snapshot(t, "image", "two", second);
    assert_goes_back(t, "one", t->first);
    assert_goes_back(t, "two", second);
    if (t->kind->has_snapshot)
        assert_goes_back(t, "s", t->first);

    open_image(t);
    g_assert_true(delete(t, "one", NULL));
    g_clear_error(&error);
    g_assert_false(delete(t, "one", &error));
    g_assert_nonnull(strstr(error->message, "no snapshot"));
    write_some(t);
    assert_disk(t);
    close_clean(t);
    assert_snapshot(t, "image", "two", second);

    open_image(t);
    g_assert_true(delete(t, "two", NULL));
    write_some(t);
    close_clean(t);
    g_assert_false(has_snapshot(t, "image", "one") || has_snapshot(t, "image", "two"));
}

/* The n-th operation fails; whether there is an n-th. */
static bool fail_once(Test *t, bool deletes, unsigned n)
{
    BlockNode *inject;
    bool acted, ok;

    open_copy(t);
    if (deletes) {
        g_assert_true(take(t, "x", NULL));
        write_some(t);
    }
    inject = block_graph_find(t->kit.graph, "i");
    inject_fail_nth(inject, n, EIO);
    ok = deletes ? delete(t, "x", NULL) : take(t, "x", NULL);
    acted = inject_n_acted(inject) > 0;
    inject_fail_nth(inject, 0, 0);
    assert_disk(t);
    write_some(t);
    assert_disk(t);
    kit_image_close(&t->kit);
    g_assert_true(has_snapshot(t, "image", "x") == (ok != deletes));
    /* Who opens it next puts right what was left. */
    open_image(t);
    assert_disk(t);
    write_some(t);
    kit_image_close(&t->kit);
    kit_image_assert_sound(&t->kit, "image");
    kit_image_assert_holds(&t->kit, "image", t->data, SIZE);
    memcpy(t->data, t->first, SIZE);
    if (ok != deletes)
        assert_snapshot(t, "image", "x", t->first);
    if (t->kind->has_snapshot)
        assert_snapshot(t, "image", "s", t->first);
    return acted;
}

static void test_faults(Test *t, const void *kind)
{
    if (!kit_image_has_tools())
        return;
    make_image(t);
    for (unsigned deletes = 0; deletes < 2; deletes++) {
        unsigned n = 1;

        while (fail_once(t, deletes, n))
            n += n < 14 ? 1 : n / 2;
        g_assert_cmpuint(n, >, 5);
    }
}

static void cut_at(Test *t, WriteLog *log, size_t moment)
{
    g_autofree char *path = kit_image_path(&t->kit, "cut");
    KitImage kit = { t->kit.loop, block_graph_new(t->kit.loop), t->kit.folder };
    g_autofree uint8_t *data = g_malloc(SIZE);
    BlockNode *node;
    int fd;

    kit_image_do(&t->kit, "cp start cut");
    fd = open(path, O_RDWR | O_CLOEXEC);
    write_log_cut(log, moment, (PowerCut)g_rand_int_range(t->rand, 0, 3), t->rand, &fd);
    close(fd);
    node = kit_image_open(&kit, "{'driver':'qcow2','node-name':'n','file':{'driver':"
                          "'file','filename':'%s/cut','cache':{'no-flush':true}}}",
                          kit.folder);
    g_assert_cmpint(block_io_read(node, 0, data, SIZE), ==, 0);
    g_assert_cmpmem(data, SIZE, t->data, SIZE);
    block_graph_free(kit.graph);
    kit_image_assert_sound(&t->kit, "cut");
    if (has_snapshot(t, "cut", "x"))
        assert_snapshot(t, "cut", "x", t->first);
    if (t->kind->has_snapshot)
        assert_snapshot(t, "cut", "s", t->first);
}

static void test_power_cuts(Test *t, const void *kind)
{
    if (!kit_image_has_tools())
        return;
    make_image(t);
    for (unsigned deletes = 0; deletes < 2; deletes++) {
        g_autoptr(WriteLog) log = NULL;
        size_t length;

        open_copy(t);
        if (deletes) {
            g_assert_true(take(t, "x", NULL));
            write_some(t);
            kit_image_close(&t->kit);
            open_image(t);
        }
        kit_image_do(&t->kit, "cp image start");
        log = write_log_new(block_graph_find(t->kit.graph, "i"));
        g_assert_true(deletes ? delete(t, "x", NULL) : take(t, "x", NULL));
        g_assert_true(block_graph_del(t->kit.graph, "n", NULL));
        length = write_log_length(log);
        for (size_t i = 0; i <= length; i += MAX(length / 12, 1))
            cut_at(t, log, i);
        g_clear_pointer(&log, write_log_free);
        kit_image_close(&t->kit);
    }
}

/* What cannot have one, or not one more, says so and is as it was. */
static void test_snapshots_that_cannot_be(Test *t, const void *unused)
{
    static const struct {
        const char *create;
        const char *open;
        const char *words;
    } cases[] = {
        { "refcount_bits=1", "", "refcount of 1 bits" },
        { "compat=0.10", "", "version 2" },
        { "data_file=data", "", "data file" },
        { "cluster_size=64k", "'read-only':true,", "read-only" },
    };

    if (!kit_image_has_tools())
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Kind kind = { .open = cases[i].open };
        g_autoptr(GError) error = NULL;

        t->kind = &kind;
        kit_image_do(&t->kit, "rm -f data");
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -o %s before %llu",
                     cases[i].create, SIZE);
        kit_image_do(&t->kit, "qemu-io -f qcow2 -c 'write -P 3 0 200k' before");
        open_copy(t);
        g_assert_false(take(t, "x", &error));
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
        kit_image_close(&t->kit);
        kit_image_assert_clean(&t->kit, "image");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add("/qcow2-snapshot/that-cannot-be", Test, NULL, set_up,
               test_snapshots_that_cannot_be, tear_down);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        static const struct {
            const char *name;
            void (*fn)(Test *t, const void *kind);
        } tests[] = {
            { "take-and-delete", test_take_and_delete },
            { "fault", test_faults },
            { "power-cut", test_power_cuts },
        };

        for (size_t j = 0; j < G_N_ELEMENTS(tests); j++) {
            g_autofree char *path = g_strconcat("/qcow2-snapshot/", tests[j].name, "/",
                                                kinds[i].name, NULL);

            g_test_add(path, Test, &kinds[i], set_up, tests[j].fn, tear_down);
        }
    }
    return g_test_run();
}
