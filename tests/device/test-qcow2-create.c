/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that blockdev-create makes, as qemu-img and the driver see them.
 */
#include <string.h>
#include <sys/stat.h>

#include "berth/inject.h"

#include "disk-bench.h"

typedef DiskBench Fixture;

static void add_file(Fixture *f)
{
    g_assert_true(g_file_set_contents(f->path, "old contents", -1, NULL));
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': 'sto', 'file': "
               "{'driver': 'file', 'filename': '%s'}}", f->path);
}

/* Makes an image of options @more on "sto"; its error, or "absent". */
static char *try_create(Fixture *f, const char *more)
{
    g_autoptr(JsonValue) jobs = NULL;
    const char *status = NULL;

    kit_qmp_do(f->qmp, "blockdev-create", "{'job-id': 'j', 'options': "
               "{'driver': 'qcow2', 'file': 'sto', %s}}", more);
    while (g_strcmp0(status, "concluded") != 0) {
        json_unref(jobs);
        kit_run_both(f->kit);
        jobs = kit_qmp_ask(f->qmp, "query-jobs", NULL);
        status = json_as_string(json_member(json_at(jobs, 0), "status"));
    }
    kit_qmp_do(f->qmp, "job-dismiss", "{'id': 'j'}");
    return kit_qmp_at(jobs, "0.error");
}

static void create(Fixture *f, const char *more)
{
    g_autofree char *message = try_create(f, more);

    g_assert_cmpstr(message, ==, "absent");
}

/* The driver opens it and writes to it, at both ends; qemu-img finds nothing wrong. */
static void assert_works(Fixture *f, uint64_t size)
{
    BlockNode *node;
    char data[512];

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'q', "
               "'backing': null, 'file': 'sto'}");
    node = block_graph_find(f->kit->blocks, "q");
    g_assert_cmpuint(block_node_size(node), ==, size);
    memset(data, 0xaa, sizeof(data));
    if (size > 0) {
        g_assert_cmpint(block_io_write(node, 0, data, 512, 0), ==, 0);
        g_assert_cmpint(block_io_write(node, size - 512, data, 512, 0), ==, 0);
    }
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'q'}");
    kit_image_assert_clean(&f->image, "file");
}

static void test_images_of_all_kinds(Fixture *f, const void *unused)
{
    static const struct {
        const char *more;
        uint64_t size;
        const char *info;       /* in what qemu-img says */
    } rows[] = {
        { "'size': 0", 0, "65536" },
        { "'size': 512", 512, "compat: 1.1" },
        { "'size': 1099511627776", 1099511627776, "1 TiB" },
        { "'size': 1048576, 'version': 'v2'", 1048576, "compat: 0.10" },
        { "'size': 1073741824, 'cluster-size': 512", 1073741824, "cluster_size: 512" },
        { "'size': 1073741824, 'cluster-size': 2097152", 1073741824, "2097152" },
        { "'size': 1048576, 'refcount-bits': 1", 1048576, "refcount bits: 1\n" },
        { "'size': 1048576, 'refcount-bits': 64, 'cluster-size': 512, "
          "'preallocation': 'metadata'", 1048576, "refcount bits: 64" },
        { "'size': 104857600, 'preallocation': 'metadata'", 104857600, "" },
        { "'size': 1048576, 'refcount-bits': 4, 'preallocation': 'falloc'", 1048576,
          "refcount bits: 4" },
        { "'size': 1048576, 'preallocation': 'full', 'cluster-size': 4096", 1048576, "" },
        { "'size': 1048576, 'extended-l2': true, 'preallocation': 'metadata'", 1048576,
          "extended l2: true" },
        { "'size': 1048576, 'lazy-refcounts': true", 1048576, "lazy refcounts: true" },
        { "'size': 1048576, 'compression-type': 'zstd'", 1048576, "zstd" },
    };

    if (!kit_image_has_tools())
        return;
    add_file(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *info = NULL;

        create(f, rows[i].more);
        kit_image_assert_clean(&f->image, "file");
        g_assert_cmpint(kit_image_run(&f->image, &info, "qemu-img info file"), ==, 0);
        if (!strstr(info, rows[i].info))
            g_error("%s: %s", rows[i].more, info);
        assert_works(f, rows[i].size);
    }
}

static void test_a_backing_file(Fixture *f, const void *unused)
{
    g_autofree char *info = NULL;

    if (!kit_image_has_tools())
        return;
    kit_image_do(&f->image, "qemu-img create -f raw base 1M");
    add_file(f);
    create(f, "'size': 2097152, 'backing-file': 'base', 'backing-fmt': 'raw'");

    kit_image_run(&f->image, &info, "qemu-img info file");
    g_assert_nonnull(strstr(info, "backing file: base"));
    g_assert_nonnull(strstr(info, "backing file format: raw"));
    assert_works(f, 2097152);
}

/* Each cluster of the guest is where it is on its disk. */
static void assert_data_works(Fixture *f, bool is_raw)
{
    g_autofree char *path = kit_image_path(&f->image, "data");
    g_autofree char *bytes = NULL;
    BlockNode *node;
    char data[512];
    size_t size;

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'q', "
               "'file': 'sto', 'data-file': 'dat'}");
    node = block_graph_find(f->kit->blocks, "q");
    g_assert_cmpuint(block_node_size(node), ==, 1048576);
    g_assert_cmpint(block_io_read(node, 0, data, 512), ==, 0);
    g_assert_cmpint(data[0], ==, is_raw ? 'k' : 0);
    memset(data, 'w', sizeof(data));
    g_assert_cmpint(block_io_write(node, 524288, data, 512, 0), ==, 0);
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'q'}");
    kit_image_assert_clean(&f->image, "file");
    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    g_assert_cmpuint(size, ==, 1048576);
    g_assert_cmpint(bytes[524288], ==, 'w');
    if (is_raw)
        kit_image_assert_holds(&f->image, "file", (const uint8_t *)bytes, size);
}

static void test_a_data_file(Fixture *f, const void *unused)
{
    static const char *const rows[] = {
        "", ", 'preallocation': 'metadata'", ", 'preallocation': 'falloc'",
        ", 'data-file-raw': true", ", 'data-file-raw': true, 'preallocation': 'full'",
        ", 'data-file-raw': true, 'cluster-size': 4096, 'extended-l2': false",
    };
    g_autofree char *path = kit_image_path(&f->image, "data");
    g_autofree char *same = NULL, *nameless = NULL;

    if (!kit_image_has_tools())
        return;
    add_file(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        bool is_raw = strstr(rows[i], "raw") != NULL;
        g_autofree char *more = g_strdup_printf("'size': 1048576, 'data-file': 'dat'%s",
                                                rows[i]);
        g_autofree char *info = NULL;

        kit_image_write_file(&f->image, "data", "k", 1);
        kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'dat', "
                   "'filename': '%s'}", path);
        create(f, more);
        kit_image_run(&f->image, &info, "qemu-img info file");
        g_assert_nonnull(strstr(info, path));
        g_assert_nonnull(strstr(info, is_raw ? "data file raw: true"
                                             : "data file raw: false"));
        assert_data_works(f, is_raw);
        kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'dat'}");
    }
    same = try_create(f, "'size': 512, 'data-file': 'sto'");
    g_assert_nonnull(strstr(same, "is to store the image"));
    nameless = try_create(f, "'size': 512, 'data-file': {'driver': 'null-co'}");
    g_assert_nonnull(strstr(nameless, "no file with a name"));
}

static void test_space_that_is_taken(Fixture *f, const void *unused)
{
    struct stat st;

    add_file(f);
    create(f, "'size': 8388608, 'preallocation': 'falloc'");
    g_assert_cmpint(stat(f->path, &st), ==, 0);
    g_assert_cmpint(st.st_blocks, >=, 8388608 / 512);
    create(f, "'size': 8388608, 'preallocation': 'metadata'");
    g_assert_cmpint(stat(f->path, &st), ==, 0);
    g_assert_cmpint(st.st_blocks, <, 1048576 / 512);
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *more;
        const char *words;
    } rows[] = {
        { "'size': 513", "multiple of 512" },
        { "'size': 512, 'cluster-size': 513", "'cluster-size'" },
        { "'size': 512, 'cluster-size': 4096, 'extended-l2': true", "16384" },
        { "'size': 512, 'refcount-bits': 3", "'refcount-bits'" },
        { "'size': 512, 'version': 'v2', 'lazy-refcounts': true", "needs version v3" },
        { "'size': 512, 'version': 'v2', 'refcount-bits': 8", "needs version v3" },
        { "'size': 512, 'version': 'v2', 'extended-l2': true", "needs version v3" },
        { "'size': 512, 'version': 'v2', 'compression-type': 'zstd'",
          "needs version v3" },
        { "'size': 512, 'backing-file': 'base'", "'backing-fmt' is missing" },
        { "'size': 512, 'backing-fmt': 'raw'", "needs 'backing-file'" },
        { "'size': 512, 'backing-fmt': 'raw', 'backing-file': 'base', "
          "'preallocation': 'metadata'", "'preallocation'" },
        { "'size': 512, 'data-file-raw': true", "needs 'data-file'" },
        { "'size': 512, 'version': 'v2', 'data-file': {'driver': 'null-co'}",
          "needs version v3" },
        { "'size': 512, 'data-file': {'driver': 'null-co'}, 'data-file-raw': true, "
          "'backing-file': 'base', 'backing-fmt': 'raw'", "cannot be with" },
        { "'size': 1099511627776, 'cluster-size': 512", "larger clusters" },
        { "'size': 9223372036854775296", "larger clusters" },
    };
    g_autofree char *name = g_strnfill(500, 'n');
    g_autofree char *longer = g_strnfill(1024, 'n');
    g_autofree char *wide = g_strdup_printf("'size': 512, 'cluster-size': 512, "
        "'backing-fmt': 'raw', 'backing-file': '%s'", name);
    g_autofree char *wider = g_strdup_printf("'size': 512, "
        "'backing-fmt': 'raw', 'backing-file': '%s'", longer);
    g_autofree char *no_room = NULL, *too_long = NULL;

    add_file(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *message = try_create(f, rows[i].more);

        if (!strstr(message, rows[i].words))
            g_error("%s: %s", rows[i].more, message);
    }
    no_room = try_create(f, wide);
    g_assert_nonnull(strstr(no_room, "not fit"));
    too_long = try_create(f, wider);
    g_assert_nonnull(strstr(too_long, "1023 bytes"));
}

static BlockNode *try_add(Fixture *f, const char *json, GError **error)
{
    BlockdevOptions *options =
        qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, json, NULL);
    BlockNode *node = block_graph_add(f->kit->blocks, options, error);

    qapi_free_BlockdevOptions(options);
    return node;
}

/* Whatever operation fails: the job does, and what there is is no image. */
static void test_each_operation_may_fail(Fixture *f, const void *unused)
{
    static const char *const ops[] = { "write", "zero", "flush", "resize" };

    add_file(f);
    for (size_t i = 0; i < G_N_ELEMENTS(ops); i++) {
        for (unsigned n = 1;; n++) {
            g_autofree char *message = NULL;
            g_autoptr(GError) error = NULL;

            kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'sto', 'rules': "
                       "[{'ops': ['%s'], 'errno': 'EIO', 'first': %u, 'times': 1}]}",
                       ops[i], n);
            message = try_create(f, "'size': 8388608, 'cluster-size': 4096, "
                                 "'preallocation': 'metadata'");
            if (strcmp(message, "absent") == 0)
                break;
            g_assert_nonnull(strstr(message, "Input/output error"));
            /* All was written already, or the old image is still there. */
            if ((strcmp(ops[i], "flush") == 0 && n == 2) ||
                (strcmp(ops[i], "resize") == 0 && n == 1))
                continue;
            g_assert_null(try_add(f, "{'driver': 'qcow2', "
                "'node-name': 'q', 'file': 'sto'}", &error));
            g_assert_cmpuint(n, <, 20);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/qcow2-create/" name, Fixture, NULL, disk_bench_set_up, fn,              \
               disk_bench_tear_down)
    ADD("images-of-all-kinds", test_images_of_all_kinds);
    ADD("a-backing-file", test_a_backing_file);
    ADD("a-data-file", test_a_data_file);
    ADD("space-that-is-taken", test_space_that_is_taken);
    ADD("what-is-refused", test_what_is_refused);
    ADD("each-operation-may-fail", test_each_operation_may_fail);
    return g_test_run();
}
