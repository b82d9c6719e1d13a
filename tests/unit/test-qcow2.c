/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2 images as operators and clients meet them: options, chains of backing files,
 * images that were not closed, what is told of them.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/inject.h"
#include "berth/thread.h"

#include "kit-image.h"

#define SIZE (4u * MIB)

static void set_up(KitImage *kit, const void *unused)
{
    kit_image_init(kit);
}

static void tear_down(KitImage *kit, const void *unused)
{
    kit_image_done(kit);
}

/* The image of this name as node "n", with more members of its options. */
static BlockNode *try_open(KitImage *kit, const char *name, const char *members,
                           GError **error)
{
    return kit_image_try_open(kit, error, "{'driver':'qcow2','node-name':'n',"
                              "'discard':'unmap','file':{'driver':'file','filename':"
                              "'%s/%s'}%s}", kit->folder, name, members);
}

static BlockNode *open_image(KitImage *kit, const char *name, const char *members)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node = try_open(kit, name, members, &error);

    g_assert_no_error(error);
    return node;
}

static void assert_error(GError *error, const char *words)
{
    g_assert_nonnull(error);
    if (!strstr(error->message, words))
        g_error("'%s' is not in '%s'", words, error->message);
    g_error_free(error);
}

static void write_pattern(BlockNode *node, uint64_t offset, size_t size, uint8_t value)
{
    g_autofree uint8_t *data = g_malloc(size);

    memset(data, value, size);
    g_assert_cmpint(block_io_write(node, offset, data, size, 0), ==, 0);
}

static void assert_pattern(BlockNode *node, uint64_t offset, size_t size, uint8_t value)
{
    g_autofree uint8_t *data = g_malloc(size);

    g_assert_cmpint(block_io_read(node, offset, data, size), ==, 0);
    for (size_t i = 0; i < size; i++)
        g_assert_cmpuint(data[i], ==, value);
}

static void test_options_that_cannot_be(KitImage *kit, const void *unused)
{
    static const struct {
        const char *members;
        const char *words;
    } cases[] = {
        { ",'cache-size':1048576,'l2-cache-size':4096,'refcount-cache-size':4096",
          "cannot all be given" },
        { ",'cache-size':4096,'l2-cache-size':8192", "'l2-cache-size'" },
        { ",'cache-size':4096,'refcount-cache-size':8192", "'refcount-cache-size'" },
        { ",'l2-cache-entry-size':256", "'l2-cache-entry-size'" },
        { ",'l2-cache-entry-size':131072", "'l2-cache-entry-size'" },
        { ",'l2-cache-entry-size':5000", "'l2-cache-entry-size'" },
        { ",'data-file':{'driver':'null-co'}", "'data-file'" },
        { ",'backing':'absent'", "'absent'" },
        { ",'overlap-check':'most'", "'overlap-check'" },
    };

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 image 4M");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;

        g_assert_null(try_open(kit, "image", cases[i].members, &error));
        assert_error(error, cases[i].words);
        g_assert_null(block_graph_find(kit->graph, "n"));
    }
    g_assert_nonnull(open_image(kit, "image", ",'cache-size':65536,'backing':null,"
                                "'cache-clean-interval':0,'overlap-check':{'template':"
                                "'all','main-header':false}"));
}

static void test_images_that_are_refused(KitImage *kit, const void *unused)
{
    static const struct {
        const char *create;
        const char *words;
    } cases[] = {
        { "qemu-img create -f raw image 4M", "not a qcow2 image" },
        { "qemu-img create -f qcow2 -o encrypt.format=aes,encrypt.key-secret=s "
          "--object secret,id=s,data=x image 4M", "encrypted" },
        { "qemu-img create -f qcow2 -u -b base -F vmdk image 4M", "'vmdk'" },
        { "qemu-img create -f qcow2 -u -b nbd://localhost/ -F raw image 4M",
          "only files" },
        { "qemu-img create -f qcow2 -u -b json:{} -F raw image 4M", "only files" },
        { "qemu-img create -f qcow2 -u -b /dev/fdset/1 -F raw image 4M", "only options" },
        { "qemu-img create -f qcow2 -u -b absent -F raw image 4M", "absent" },
        { "qemu-img create -f qcow2 -u -b ./image -F qcow2 image 4M", "loop" },
        { "qemu-img create -f qcow2 -u -b ./folder/../image -F qcow2 image 4M", "loop" },
    };
    g_autofree char *folder = kit_image_path(kit, "folder");

    if (!kit_image_has_tools())
        return;
    g_mkdir(folder, 0700);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;

        kit_image_do(kit, "%s", cases[i].create);
        g_assert_null(try_open(kit, "image", "", &error));
        assert_error(error, cases[i].words);
        kit_image_close(kit);
    }
    g_rmdir(folder);
}

/* The name is relative to the image; null is for none, whatever the image says. */
static void test_backing_as_the_image_says(KitImage *kit, const void *unused)
{
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f raw base 2M");
    kit_image_do(kit, "qemu-io -f raw -c 'write -P 7 0 2M' base");
    kit_image_do(kit, "qemu-img create -f qcow2 -b base -F raw image 4M");
    node = open_image(kit, "image", "");
    assert_pattern(node, 0, 2 * MIB, 7);
    assert_pattern(node, 2 * MIB, 2 * MIB, 0);
    g_assert_true(block_node_is_read_only(block_node_child(node, BLOCK_ROLE_BACKING)));
    kit_image_close(kit);
    assert_pattern(open_image(kit, "image", ",'backing':null"), 0, SIZE, 0);
}

/* More layers than have a short way, and each has something. */
static void test_chain_of_many(KitImage *kit, const void *unused)
{
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 i0 1M");
    for (unsigned i = 0; i < 20; i++) {
        kit_image_do(kit, "qemu-io -f qcow2 -c 'write -P %u %uk 4k' i%u", i + 1, 40 * i,
                     i);
        kit_image_do(kit, "qemu-img create -f qcow2 -b i%u -F qcow2 i%u", i, i + 1);
    }
    node = open_image(kit, "i20", "");
    for (unsigned i = 0; i < 20; i++)
        assert_pattern(node, 40 * KIB * i, 4 * KIB, (uint8_t)(i + 1));
    write_pattern(node, 40 * KIB * 3 + 512, 512, 0xee);
    assert_pattern(node, 40 * KIB * 3 + 1024, 3 * KIB, 4);
    kit_image_close(kit);
    kit_image_assert_clean(kit, "i20");
}

/* What a killed VMM leaves of an image with lazy refcounts is repaired by the next. */
static void test_dirty_image_is_repaired(KitImage *kit, const void *options)
{
    g_autofree uint8_t *data = g_malloc0(SIZE);
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 -o lazy_refcounts=on,%s image 4M",
                 (const char *)options);
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write -P 1 0 1M' image");
    kit_image_do(kit, "qemu-img snapshot -c s image");
    node = open_image(kit, "image", "");
    write_pattern(node, MIB / 2, 2 * MIB, 2);
    g_assert_cmpint(block_io_flush(node), ==, 0);
    kit_image_do(kit, "cp image killed");
    kit_image_close(kit);
    kit_image_assert_clean(kit, "image");

    g_assert_cmpint(kit_image_run(kit, NULL, "qemu-img check -f qcow2 killed"), !=, 0);
    node = open_image(kit, "killed", "");
    write_pattern(node, 3 * MIB, MIB, 3);
    kit_image_close(kit);

    kit_image_assert_clean(kit, "killed");
    memset(data, 1, MIB / 2);
    memset(data + MIB / 2, 2, 2 * MIB);
    memset(data + 3 * MIB, 3, MIB);
    kit_image_assert_holds(kit, "killed", data, SIZE);
    memset(data, 1, MIB);
    memset(data + MIB, 0, SIZE - MIB);
    kit_image_do(kit, "qemu-img convert -l s -f qcow2 -O qcow2 killed copy");
    kit_image_assert_holds(kit, "copy", data, SIZE);
}

/* A dirty image can be read as it is. */
static void test_dirty_image_is_not_repaired_read_only(KitImage *kit, const void *unused)
{
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 -o lazy_refcounts=on image 4M");
    node = open_image(kit, "image", "");
    write_pattern(node, 0, MIB, 2);
    g_assert_cmpint(block_io_flush(node), ==, 0);
    kit_image_do(kit, "cp image killed");
    kit_image_close(kit);
    kit_image_do(kit, "cp killed before");
    assert_pattern(open_image(kit, "killed", ",'read-only':true"), 0, MIB, 2);
    kit_image_close(kit);
    kit_image_do(kit, "cmp killed before");
}

/* Closed, the file has no more clusters than it needs. */
static void test_file_is_cut_when_it_is_closed(KitImage *kit, const void *unused)
{
    g_autofree char *path = kit_image_path(kit, "image");
    BlockNode *node;
    GStatBuf st;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 image 64M");
    node = open_image(kit, "image", "");
    for (unsigned i = 0; i < 64; i++)
        write_pattern(node, i * MIB, MIB, 1);
    kit_image_close(kit);
    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpuint((uint64_t)st.st_size, <=, 64 * MIB + 6 * 64 * KIB);
}

/* Space that the guest gives up goes back to the host, and is used again. */
static void test_discard_shrinks_the_file(KitImage *kit, const void *unused)
{
    const BlockIo discard = { .op = BLOCK_OP_DISCARD, .offset = 0, .bytes = 32 * MIB };
    g_autofree char *path = kit_image_path(kit, "image");
    BlockNode *node;
    GStatBuf before, after;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 image 64M");
    node = open_image(kit, "image", "");
    write_pattern(node, 0, 32 * MIB, 1);
    g_assert_cmpint(block_io_flush(node), ==, 0);
    g_stat(path, &before);
    g_assert_cmpint(block_io(node, &discard), ==, 0);
    g_assert_cmpint(block_io_flush(node), ==, 0);
    g_stat(path, &after);
    g_assert_cmpint(after.st_blocks + 30 * MIB / 512, <, before.st_blocks);
    assert_pattern(node, 0, 32 * MIB, 0);
    write_pattern(node, 32 * MIB, 32 * MIB, 2);
    kit_image_close(kit);
    g_stat(path, &after);
    g_assert_cmpint(after.st_size, <, before.st_size + (off_t)(2 * MIB));
    kit_image_assert_clean(kit, "image");
}

static ImageInfo *describe(BlockNode *node)
{
    ImageInfo *info = g_new0(ImageInfo, 1);

    node->driver->describe(node, info);
    return info;
}

static void test_what_is_told_of_an_image(KitImage *kit, const void *unused)
{
    g_autofree char *base = kit_image_path(kit, "base");
    g_autoptr(ImageInfo) info = NULL;
    const ImageInfoSpecificQCow2 *specific;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f raw base 4M");
    kit_image_do(kit, "qemu-img create -f qcow2 -b base -F raw -o cluster_size=32k,"
                 "refcount_bits=8,lazy_refcounts=on,extended_l2=on,compression_type=zstd "
                 "image");
    kit_image_do(kit, "qemu-img bitmap --add -g 8192 image b1");
    kit_image_do(kit, "qemu-img bitmap --add --disable image b2");
    kit_image_do(kit, "qemu-img snapshot -c first image");
    info = describe(open_image(kit, "image", ""));
    g_assert_cmpint(info->cluster_size, ==, 32 * KIB);
    g_assert_false(info->dirty_flag);
    g_assert_cmpstr(info->backing_filename, ==, "base");
    g_assert_cmpstr(info->full_backing_filename, ==, base);
    g_assert_cmpstr(info->backing_filename_format, ==, "raw");
    g_assert_cmpuint(info->snapshots->n, ==, 1);
    g_assert_cmpstr(info->snapshots->items[0]->name, ==, "first");
    g_assert_cmpstr(info->snapshots->items[0]->id, ==, "1");
    specific = info->format_specific->u.qcow2.data;
    g_assert_cmpstr(specific->compat, ==, "1.1");
    g_assert_cmpint(specific->refcount_bits, ==, 8);
    g_assert_true(specific->lazy_refcounts);
    g_assert_true(specific->extended_l2);
    g_assert_false(specific->corrupt);
    g_assert_cmpint(specific->compression_type, ==, QCOW2_COMPRESSION_TYPE_ZSTD);
    g_assert_cmpuint(specific->bitmaps->n, ==, 2);
    g_assert_cmpstr(specific->bitmaps->items[0]->name, ==, "b1");
    g_assert_cmpuint(specific->bitmaps->items[0]->granularity, ==, 8192);
}

/*
 * Bitmaps stay in the image.  One that would have to record what is written says
 * afterwards that it was not saved; one that is disabled is as it was.
 */
static void test_bitmaps_are_carried(KitImage *kit, const void *unused)
{
    g_autofree char *output = NULL;
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 image 4M");
    kit_image_do(kit, "qemu-img bitmap --add image b1");
    kit_image_do(kit, "qemu-img bitmap --add image b2");
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write 0 1M' image");
    kit_image_do(kit, "qemu-img bitmap --disable image b2");
    node = open_image(kit, "image", "");
    write_pattern(node, MIB, 3 * MIB, 9);
    kit_image_close(kit);
    kit_image_assert_clean(kit, "image");
    kit_image_run(kit, &output, "qemu-img info --output=json image");
    g_assert_nonnull(strstr(output, "\"in-use\""));
    g_assert_nonnull(strstr(output, "\"b1\""));
    g_assert_nonnull(strstr(output, "\"b2\""));
    kit_image_do(kit, "qemu-img bitmap --enable image b2");
}

/* The guest's clusters may be anywhere in the file: one that is a table's is found. */
static void test_corrupt_image_is_not_written(KitImage *kit, const void *unused)
{
    const uint8_t l2_entry[] = { 0x80, 0, 0, 0, 0, 3, 0, 0 };
    g_autofree char *path = kit_image_path(kit, "image");
    g_autoptr(ImageInfo) info = NULL;
    uint8_t data[512] = { 0 };
    BlockNode *node;
    GError *error = NULL;
    FILE *file;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 image 4M");
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write -P 1 0 64k' -c 'write -P 2 64k 64k' "
                 "image");
    file = fopen(path, "r+");
    fseek(file, 4 * 0x10000, SEEK_SET);
    g_assert_cmpuint(fwrite(l2_entry, 8, 1, file), ==, 1);
    fclose(file);

    node = open_image(kit, "image", "");
    assert_pattern(node, 64 * KIB, 64 * KIB, 2);
    g_assert_cmpint(block_io_write(node, 0, data, sizeof(data), 0), ==, -EIO);
    g_assert_cmpint(block_io_write(node, 64 * KIB, data, sizeof(data), 0), ==, -EIO);
    g_assert_cmpint(block_io_read(node, 0, data, sizeof(data)), ==, -EIO);
    assert_pattern(node, 64 * KIB, 64 * KIB, 2);
    info = describe(node);
    g_assert_true(info->format_specific->u.qcow2.data->corrupt);
    kit_image_close(kit);
    g_assert_null(try_open(kit, "image", "", &error));
    assert_error(error, "corrupt");
    assert_pattern(open_image(kit, "image", ",'read-only':true"), 64 * KIB, 64 * KIB, 2);
}

static uint64_t count_reads(KitImage *kit)
{
    return inject_count(block_graph_find(kit->graph, "i"), INJECT_OP_READ);
}

/*
 * What surrounds a first write is read at once, with the little that is written between;
 * if that cannot be read, what is needed is.
 */
static void test_copies_are_read_at_once(KitImage *kit, const void *unused)
{
    BlockNode *node, *inject;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f raw base 4M");
    kit_image_do(kit, "qemu-io -f raw -c 'write -P 7 0 4M' base");
    kit_image_do(kit, "qemu-img create -f qcow2 -b base -F raw image");
    inject = kit_image_open(kit, "{'driver':'inject','node-name':'i','read-only':true,"
                            "'file':{'driver':'file','filename':'%s/base'}}",
                            kit->folder);
    node = open_image(kit, "image", ",'backing':'i'");
    write_pattern(node, 20 * KIB, 4 * KIB, 8);
    g_assert_cmpuint(count_reads(kit), ==, 1);
    write_pattern(node, 64 * KIB, 4 * KIB, 8);
    g_assert_cmpuint(count_reads(kit), ==, 2);
    write_pattern(node, 128 * KIB + 4 * KIB, 40 * KIB, 8);
    g_assert_cmpuint(count_reads(kit), ==, 4);
    inject_fail_nth(inject, 1, EIO);
    write_pattern(node, 192 * KIB + 512, 512, 8);
    g_assert_cmpuint(count_reads(kit), ==, 7);
    assert_pattern(node, 0, 20 * KIB, 7);
    assert_pattern(node, 20 * KIB, 4 * KIB, 8);
    assert_pattern(node, 24 * KIB, 40 * KIB, 7);
    assert_pattern(node, 192 * KIB, 512, 7);
    assert_pattern(node, 192 * KIB + 512, 512, 8);
    assert_pattern(node, 192 * KIB + 1024, 60 * KIB, 7);
}

/* A table is read again when nobody has used it for a while. */
static void test_unused_tables_leave_the_memory(KitImage *kit, const void *unused)
{
    int64_t end_ns = loop_clock_ns() + 20 * NS_PER_SEC;
    uint64_t n_reads;
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 image 4M");
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write -z 0 4M' image");
    node = kit_image_open(kit, "{'driver':'qcow2','node-name':'n',"
                          "'cache-clean-interval':1,'file':{'driver':'inject',"
                          "'node-name':'i','file':{'driver':'file','filename':"
                          "'%s/image'}}}", kit->folder);
    assert_pattern(node, 0, MIB, 0);
    n_reads = count_reads(kit);
    assert_pattern(node, 0, MIB, 0);
    g_assert_cmpuint(count_reads(kit), ==, n_reads);
    /* Main has to hear of the table; the timer ends with the last one. */
    loop_turn(kit->loop, false);
    while (loop_has_timer(kit->loop) && loop_clock_ns() < end_ns)
        loop_turn(kit->loop, true);
    assert_pattern(node, 0, MIB, 0);
    g_assert_cmpuint(count_reads(kit), ==, n_reads + 1);
}

/* Whatever is said of caches, they hold what they need at least. */
static void test_caches_of_any_size(KitImage *kit, const void *unused)
{
    static const char *const sizes[] = {
        "'cache-size':1", "'l2-cache-size':1,'l2-cache-entry-size':512",
        "'refcount-cache-size':1", "'cache-size':100000000", "'l2-cache-size':1000000000",
    };

    if (!kit_image_has_tools())
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *members = g_strconcat(",", sizes[i], NULL);
        BlockNode *node;

        kit_image_do(kit, "qemu-img create -f qcow2 -o cluster_size=4k image 4M");
        node = open_image(kit, "image", members);
        for (unsigned at = 0; at < SIZE; at += 32 * KIB)
            write_pattern(node, at * 7 % SIZE, 4 * KIB, (uint8_t)(at >> 15 | 1));
        for (unsigned at = 0; at < SIZE; at += 32 * KIB)
            assert_pattern(node, at * 7 % SIZE, 4 * KIB, (uint8_t)(at >> 15 | 1));
        kit_image_close(kit);
        kit_image_assert_clean(kit, "image");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(path, data, fn) \
    g_test_add("/qcow2/" path, KitImage, data, set_up, fn, tear_down)
    ADD("options-that-cannot-be", NULL, test_options_that_cannot_be);
    ADD("images-that-are-refused", NULL, test_images_that_are_refused);
    ADD("backing-as-the-image-says", NULL, test_backing_as_the_image_says);
    ADD("chain-of-many", NULL, test_chain_of_many);
    ADD("dirty-image-is-repaired/64k", "cluster_size=64k", test_dirty_image_is_repaired);
    ADD("dirty-image-is-repaired/512", "cluster_size=512,refcount_bits=64",
        test_dirty_image_is_repaired);
    ADD("dirty-image-is-repaired/extended", "cluster_size=16k,extended_l2=on",
        test_dirty_image_is_repaired);
    ADD("dirty-image-is-not-repaired-read-only", NULL,
        test_dirty_image_is_not_repaired_read_only);
    ADD("file-is-cut-when-it-is-closed", NULL, test_file_is_cut_when_it_is_closed);
    ADD("discard-shrinks-the-file", NULL, test_discard_shrinks_the_file);
    ADD("what-is-told-of-an-image", NULL, test_what_is_told_of_an_image);
    ADD("bitmaps-are-carried", NULL, test_bitmaps_are_carried);
    ADD("corrupt-image-is-not-written", NULL, test_corrupt_image_is_not_written);
    ADD("copies-are-read-at-once", NULL, test_copies_are_read_at_once);
    ADD("unused-tables-leave-the-memory", NULL, test_unused_tables_leave_the_memory);
    ADD("caches-of-any-size", NULL, test_caches_of_any_size);
    return g_test_run();
}
