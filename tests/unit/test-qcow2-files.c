/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files around qcow2 images: those that an image names, what a path may turn out to be,
 * what others do to a file that is in use, and what an image looks like when the nodes
 * above or below it could not be.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/thread.h"

#include "kit-image.h"

#define SIZE (1u * MIB)
#define BACKING_FORMAT 0xe2792aca
#define DATA_FILE 0x44415441

static void set_up(KitImage *kit, const void *unused)
{
    kit_image_init(kit);
}

static void tear_down(KitImage *kit, const void *unused)
{
    kit_image_done(kit);
}

static BlockNode *try_open(KitImage *kit, const char *members, GError **error)
{
    return kit_image_try_open(kit, error, "{'driver':'qcow2','node-name':'n',%s"
                              "'discard':'unmap','file':{'driver':'file','filename':"
                              "'%s/image','cache':{'no-flush':true}}}", members,
                              kit->folder);
}

static BlockNode *open_image(KitImage *kit)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node = try_open(kit, "", &error);

    g_assert_no_error(error);
    return node;
}

/* It does not open, for the reason that has @words, and there is no node. */
static void assert_refused(KitImage *kit, const char *members, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(try_open(kit, members, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, words))
        g_error("'%s' is not in '%s'", words, error->message);
    g_assert_null(block_graph_find(kit->graph, "n"));
}

/* @value in big endian. */
static void patch(const KitImage *kit, off_t at, unsigned width, uint64_t value)
{
    g_autofree char *path = kit_image_path(kit, "image");
    uint64_t word = GUINT64_TO_BE(value << (64 - 8 * width));
    int fd = open(path, O_RDWR | O_CLOEXEC);

    g_assert_cmpint(pwrite(fd, &word, width, at), ==, width);
    close(fd);
}

/*
 * An image that would be changed by being opened: marks of bitmaps, features of the
 * header, refcounts of one that is dirty.
 */
static void test_graph_that_fails_leaves_the_image(KitImage *kit, const void *unused)
{
    static const struct {
        const char *create;
        bool has_bitmap;
        off_t at;               /* of a word in the header */
        uint64_t value;
    } cases[] = {
        { "cluster_size=64k", true, 80, 0 },
        { "cluster_size=64k", false, 88, 1ull << 7 },
        { "lazy_refcounts=on", false, 72, 1 },
        { "lazy_refcounts=on", true, 72, 1 },
    };

    if (!kit_image_has_tools())
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        kit_image_do(kit, "qemu-img create -f raw base 1M");
        kit_image_do(kit, "qemu-img create -f qcow2 -b base -F raw -o %s image",
                     cases[i].create);
        kit_image_do(kit, "qemu-io -f qcow2 -c 'write 0 128k' image");
        if (cases[i].has_bitmap)
            kit_image_do(kit, "qemu-img bitmap --add image b");
        if (cases[i].value)
            patch(kit, cases[i].at, 8, cases[i].value);
        kit_image_do(kit, "cp image before");
        kit_image_do(kit, "rm base");
        assert_refused(kit, "", "base");
        assert_refused(kit, "'backing':{'driver':'raw','file':{'driver':'file',"
                       "'filename':'absent'}},", "absent");
        kit_image_close(kit);
        kit_image_do(kit, "cmp image before");
        /* With all files it is. */
        kit_image_do(kit, "qemu-img create -f raw base 1M");
        open_image(kit);
        kit_image_close(kit);
        g_assert_cmpint(kit_image_run(kit, NULL, "cmp image before"), !=, 0);
        kit_image_assert_clean(kit, "image");
    }
}

/* The same names as of backing files (test-qcow2: images-that-are-refused). */
static void test_names_of_data_files(KitImage *kit, const void *unused)
{
    static const struct {
        const char *name;
        const char *words;
    } cases[] = {
        { "nbd://localhost/x", "only files" }, { "json:{}", "only files" },
        { "/dev/fdset/1", "only options" },    { "absent", "absent" },
        { "folder", "folder" },                { "fifo", "fifo" },
        { "/dev/null", "/dev/null" },          { "./image", "names itself" },
        { "link", "names itself" },            { "hard-link", "names itself" },
    };
    g_autofree char *fifo = kit_image_path(kit, "fifo");
    g_autofree char *folder = kit_image_path(kit, "folder");

    if (!kit_image_has_tools())
        return;
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_mkdir(folder, 0700);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        kit_image_do(kit, "rm -f data");
        kit_image_do(kit, "qemu-img create -f qcow2 -o data_file=data image 1M");
        kit_image_do(kit, "qemu-img amend -f qcow2 -o data_file=%s image",
                     cases[i].name);
        kit_image_do(kit, "ln -sf image link");
        kit_image_do(kit, "ln -f image hard-link");
        assert_refused(kit, "", cases[i].words);
        kit_image_close(kit);
    }
    g_rmdir(folder);
}

/* Lengths in the header that are far beyond any name. */
static void test_names_of_a_mebibyte(KitImage *kit, const void *unused)
{
    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 -o cluster_size=2M image 1M");
    patch(kit, 8, 8, 512);
    patch(kit, 16, 4, 1 << 20);
    assert_refused(kit, "", "1048576 bytes");
    patch(kit, 16, 4, 1024);
    assert_refused(kit, "", "1024 bytes");
    patch(kit, 16, 4, UINT32_MAX);
    assert_refused(kit, "", "not in the first cluster");
    patch(kit, 8, 8, 0);
    patch(kit, 112, 4, BACKING_FORMAT);
    patch(kit, 116, 4, 1 << 20);
    assert_refused(kit, "", "1048576 bytes");
    patch(kit, 112, 4, DATA_FILE);
    assert_refused(kit, "", "1048576 bytes");
}

/* What a guest wrote into a raw disk is bytes, whatever it looks like. */
static void test_formats_are_never_guessed(KitImage *kit, const void *unused)
{
    uint8_t data[4];
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 -u -b /etc/passwd -F raw disk 1M");
    node = kit_image_open(kit, "{'driver':'raw','node-name':'n','file':{'driver':'file',"
                          "'filename':'%s/disk'}}", kit->folder);
    g_assert_cmpint(block_io_read(node, 0, data, 4), ==, 0);
    g_assert_cmpmem(data, 4, "QFI\xfb", 4);
    g_assert_cmpuint(block_node_size(node), <, SIZE);
    kit_image_close(kit);

    kit_image_do(kit, "qemu-img create -f qcow2 -u -b disk -F raw image 1M");
    node = open_image(kit);
    g_assert_cmpint(block_io_read(node, 0, data, 4), ==, 0);
    g_assert_cmpmem(data, 4, "QFI\xfb", 4);
    kit_image_close(kit);

    /* The image's own word is taken, or it is refused for want of one. */
    patch(kit, 112, 4, 0x11111111);
    assert_refused(kit, "", "does not say of which format");
    assert_refused(kit, "'backing':'disk',", "'disk'");
}

/* A backing file that names the image, itself, or the chain above it. */
static void test_chains_without_end(KitImage *kit, const void *unused)
{
    static const char *const names[] = { "image", "./image", "link", "second" };

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "ln -s image link");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        kit_image_do(kit, "qemu-img create -f qcow2 -u -b image -F qcow2 second 1M");
        kit_image_do(kit, "rm -f image");
        kit_image_do(kit, "qemu-img create -f qcow2 -u -b other -F qcow2 image 1M");
        kit_image_do(kit, "qemu-img rebase -u -b %s -F qcow2 image", names[i]);
        assert_refused(kit, "", "loop");
        kit_image_close(kit);
    }
}

/* Nobody waits for the other end of a pipe, and a symbolic link is what it leads to. */
static void test_what_a_path_may_be(KitImage *kit, const void *unused)
{
    static const struct {
        const char *make;
        const char *words;      /* NULL: it opens */
    } cases[] = {
        { "mkfifo image", "regular file" },
        { "mkdir image", "image" },
        { "ln -s /dev/null image", "regular file" },
        { "ln -s absent image", "No such file" },
        { "ln -s image image", "Too many levels" },
        { "ln -s real image", NULL },
        { "cp /dev/null image", "not a qcow2 image" },
    };

    if (!kit_image_has_tools())
        return;
    kit_image_do(kit, "qemu-img create -f qcow2 real 1M");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        kit_image_do(kit, "%s", cases[i].make);
        for (unsigned ro = 0; ro < 2; ro++) {
            if (cases[i].words)
                assert_refused(kit, ro ? "'read-only':true," : "", cases[i].words);
            else
                open_image(kit);
            kit_image_close(kit);
        }
        kit_image_do(kit, "rm -rf image");
    }
}

static void write_all(BlockNode *node, uint8_t value, int (*check)(int ret))
{
    g_autofree uint8_t *data = g_malloc(64 * KIB);

    memset(data, value, 64 * KIB);
    for (uint64_t at = 0; at < SIZE; at += 64 * KIB)
        check(block_io_write(node, at, data, 64 * KIB, 0));
}

static int is_done(int ret)
{
    g_assert_cmpint(ret, ==, 0);
    return ret;
}

static int is_any(int ret)
{
    return ret;
}

/*
 * A file that is cut while the image is in use: its tables too may be gone.  Whatever is
 * asked ends, with zeroes or an error, and the process lives.
 */
static void test_file_truncated_below(KitImage *kit, const void *unused)
{
    g_autofree char *path = kit_image_path(kit, "image");
    g_autofree uint8_t *data = g_malloc(SIZE);

    if (!kit_image_has_tools())
        return;
    for (unsigned size = 0; size < 0x180000; size += 0x1c200) {
        BlockNode *node;

        kit_image_do(kit, "qemu-img create -f qcow2 image 1M");
        kit_image_do(kit, "qemu-io -f qcow2 -c 'write -P 1 0 512k' image");
        node = open_image(kit);
        g_assert_cmpint(block_io_read(node, 0, data, 64 * KIB), ==, 0);
        g_assert_cmpint(truncate(path, size), ==, 0);
        for (uint64_t at = 0; at < SIZE; at += 64 * KIB) {
            int ret = block_io_read(node, at, data, 64 * KIB);

            for (unsigned i = 0; ret == 0 && i < 64 * KIB; i++)
                g_assert_true(data[i] == 0 || data[i] == 1);
        }
        write_all(node, 2, is_any);
        block_io_flush(node);
        for (uint64_t at = 0; at < SIZE; at += 64 * KIB)
            block_io_read(node, at, data, 64 * KIB);
        kit_image_close(kit);
    }
}

/* What others append is nobody's; the image uses its own clusters. */
static void test_file_grown_below(KitImage *kit, const void *unused)
{
    g_autofree char *path = kit_image_path(kit, "image");
    g_autofree uint8_t *data = g_malloc(SIZE);
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    memset(data, 2, SIZE);
    kit_image_do(kit, "qemu-img create -f qcow2 image 1M");
    node = open_image(kit);
    kit_image_do(kit, "cp /dev/null junk");
    g_assert_cmpint(truncate(path, 700001), ==, 0);
    write_all(node, 2, is_done);
    kit_image_close(kit);
    kit_image_assert_clean(kit, "image");
    kit_image_assert_holds(kit, "image", data, SIZE);
    /* Not a whole cluster, and not zero. */
    kit_image_do(kit, "sh -c 'head -c 100001 /dev/urandom >> image'");
    write_all(open_image(kit), 2, is_done);
    kit_image_close(kit);
    kit_image_assert_clean(kit, "image");
    kit_image_assert_holds(kit, "image", data, SIZE);
}

/* Another thing under the same name is another thing. */
static void test_file_swapped_below(KitImage *kit, const void *unused)
{
    g_autofree uint8_t *data = g_malloc(SIZE);
    BlockNode *node;

    if (!kit_image_has_tools())
        return;
    memset(data, 2, SIZE);
    kit_image_do(kit, "qemu-img create -f qcow2 image 1M");
    node = open_image(kit);
    kit_image_do(kit, "ln image other");
    kit_image_do(kit, "mkfifo pipe");
    kit_image_do(kit, "mv pipe image");
    write_all(node, 2, is_done);
    g_assert_cmpint(block_io_flush(node), ==, 0);
    g_assert_true(block_node_resize(node, 2 * SIZE, PREALLOC_MODE_OFF, NULL));
    g_assert_true(block_node_resize(node, SIZE, PREALLOC_MODE_OFF, NULL));
    kit_image_close(kit);
    kit_image_assert_clean(kit, "other");
    kit_image_assert_holds(kit, "other", data, SIZE);
    assert_refused(kit, "", "regular file");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(path, fn) \
    g_test_add("/qcow2-files/" path, KitImage, NULL, set_up, fn, tear_down)
    ADD("graph-that-fails-leaves-the-image", test_graph_that_fails_leaves_the_image);
    ADD("names-of-data-files", test_names_of_data_files);
    ADD("names-of-a-mebibyte", test_names_of_a_mebibyte);
    ADD("formats-are-never-guessed", test_formats_are_never_guessed);
    ADD("chains-without-end", test_chains_without_end);
    ADD("what-a-path-may-be", test_what_a_path_may_be);
    ADD("file-truncated-below", test_file_truncated_below);
    ADD("file-grown-below", test_file_grown_below);
    ADD("file-swapped-below", test_file_swapped_below);
    return g_test_run();
}
