/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks among hostile guests, hosts that fail and operators who err: what goes wrong is
 * told, and everything else goes on.
 *
 * This program's io_submit() refuses as often as it is told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/inject.h"

#include "disk-bench.h"

#define SIZE 1048576u
#define N_REQUESTS 24u
#define NATIVE ", 'cache': {'direct': true}, 'aio': 'native'"

static unsigned n_again;        /* atomic: calls that the kernel has no room for */

int io_submit(void *context, long n, void **requests);

int io_submit(void *context, long n, void **requests)
{
    long ret;

    if (__atomic_load_n(&n_again, __ATOMIC_SEQ_CST) > 0) {
        __atomic_sub_fetch(&n_again, 1, __ATOMIC_SEQ_CST);
        return -EAGAIN;
    }
    ret = syscall(SYS_io_submit, context, n, requests);
    return ret < 0 ? -errno : (int)ret;
}

typedef DiskBench Fixture;

static void set_up(Fixture *f, const void *threaded)
{
    g_autofree char *bytes = g_strnfill(SIZE, 'x');

    disk_bench_init(f, threaded != NULL);
    kit_image_write_file(&f->image, "file", bytes, SIZE);
}

static void set_up_plain(Fixture *f, const void *unused)
{
    set_up(f, NULL);
}

/* A disk "vd..." on node @node, and its driver. */
static void add_disk(Fixture *f, const char *node)
{
    g_autofree char *json = g_strdup_printf(
        "{'driver': 'virtio-blk-pci', 'id': 'vd-%s', 'drive': '%s'}", node, node);

    kit_add(f->kit, json);
}

static KitBlk *start_driver(Fixture *f, const char *node)
{
    g_autofree char *id = g_strdup_printf("vd-%s", node);

    return kit_blk_new(f->kit, id);
}

static uint8_t wait_for(Fixture *f, KitBlk *blk)
{
    unsigned slot;
    uint8_t status;

    while (!kit_blk_take(blk, &slot, &status))
        kit_run_both(f->kit);
    return status;
}

/* However long: the other disk, the monitor and the machine do not wait for it. */
static void test_a_disk_that_does_not_answer_stops_nobody(Fixture *f, const void *unused)
{
    KitBlk *bad, *good;
    unsigned slot;
    uint8_t status;

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': 'bad', 'file': "
               "{'driver': 'null-co', 'size': 1048576}}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'good', "
               "'size': 1048576, 'read-zeroes': true}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'free'}");
    add_disk(f, "bad");
    add_disk(f, "good");
    kit_start(f->kit);
    good = start_driver(f, "good");
    bad = start_driver(f, "bad");
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'bad', 'rules': "
               "[{'delay-ns': 18446744073709551615}]}");
    kit_blk_submit(bad, 1, VIRTIO_BLK_T_OUT, 0, 4096);
    kit_blk_submit(bad, 2, VIRTIO_BLK_T_FLUSH, 0, 0);
    kit_run_both(f->kit);

    g_assert_cmphex(kit_blk_read(good, 0, 512)[0], ==, 0);
    kit_blk_flush(good);
    kit_qmp_do(f->qmp, "query-block", NULL);
    kit_qmp_do(f->qmp, "query-blockstats", NULL);
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'free'}");
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'free'}");
    kit_qmp_assert_fails(f->qmp, "in use", "blockdev-del", "{'node-name': 'bad'}");

    /* The machine stops when it answers, and the monitor is there meanwhile. */
    device_tree_pause(&f->kit->tree);
    kit_run_both(f->kit);
    g_assert_false(device_tree_is_quiet(&f->kit->tree));
    kit_qmp_do(f->qmp, "query-named-block-nodes", NULL);
    g_assert_false(kit_blk_take(bad, &slot, &status));
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'bad', 'rules': []}");
    while (!device_tree_is_quiet(&f->kit->tree))
        kit_run_both(f->kit);
    device_tree_resume(&f->kit->tree);
    g_assert_cmpuint(wait_for(f, bad), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(wait_for(f, bad), ==, VIRTIO_BLK_S_OK);
    kit_blk_free(bad);
    kit_blk_free(good);
}

/* Else the test is skipped. */
static bool has_direct(const Fixture *f)
{
    int fd = open(f->path, O_RDWR | O_DIRECT);

    if (fd < 0)
        g_test_skip("there is no O_DIRECT here");
    else
        close(fd);
    return fd >= 0;
}

/* The host has no room for requests for a while: they wait, and none fails. */
static void test_no_room_in_the_kernel(Fixture *f, const void *unused)
{
    KitBlk *blk;

    if (!has_direct(f))
        return;
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'n', 'filename': "
               "'%s', 'cache': {'direct': true}, 'aio': 'native'}", f->path);
    add_disk(f, "n");
    kit_start(f->kit);
    blk = start_driver(f, "n");
    for (unsigned round = 0; round < 4; round++) {
        __atomic_store_n(&n_again, 3, __ATOMIC_SEQ_CST);
        for (unsigned i = 1; i <= N_REQUESTS; i++) {
            memset(kit_blk_data(blk, i), (int)(round + i), 4096);
            kit_blk_submit(blk, i, VIRTIO_BLK_T_OUT, 8 * i, 4096);
        }
        for (unsigned i = 1; i <= N_REQUESTS; i++)
            g_assert_cmpuint(wait_for(f, blk), ==, VIRTIO_BLK_S_OK);
        g_assert_cmpuint(__atomic_load_n(&n_again, __ATOMIC_SEQ_CST), ==, 0);
        for (unsigned i = 1; i <= N_REQUESTS; i++)
            g_assert_cmphex(kit_blk_read(blk, 8 * i, 4096)[4095], ==, round + i);
    }
    kit_blk_free(blk);
}

/* What is not there any more reads as zero, and writes make the file longer again. */
static void test_a_file_truncated_below(Fixture *f, const void *options)
{
    g_autofree char *json = g_strdup_printf("{'driver': 'file', 'node-name': 'n', "
                                            "'filename': '%s'%s}", f->path,
                                            (const char *)options);
    KitBlk *blk;

    if (!has_direct(f))
        return;
    kit_qmp_do(f->qmp, "blockdev-add", "%s", json);
    add_disk(f, "n");
    kit_start(f->kit);
    blk = start_driver(f, "n");
    g_assert_cmphex(kit_blk_read(blk, 1024, 4096)[0], ==, 'x');
    g_assert_cmpint(truncate(f->path, SIZE / 2 + 512), ==, 0);
    g_assert_cmphex(kit_blk_read(blk, 1016, 4096)[4095], ==, 'x');
    g_assert_cmphex(kit_blk_read(blk, 1024, 4096)[511], ==, 'x');
    g_assert_cmphex(kit_blk_read(blk, 1024, 4096)[512], ==, 0);
    g_assert_cmphex(kit_blk_read(blk, 2040, 4096)[0], ==, 0);
    kit_blk_write(blk, 1536, 0x11, 4096);
    kit_blk_flush(blk);
    g_assert_cmphex(kit_blk_read(blk, 1536, 4096)[0], ==, 0x11);
    g_assert_cmphex(kit_blk_read(blk, 1528, 4096)[0], ==, 0);
    g_assert_cmpint(truncate(f->path, 0), ==, 0);
    g_assert_cmphex(kit_blk_read(blk, 0, 512)[0], ==, 0);
    kit_blk_free(blk);
}

/* A buffer of any size for the serial number: no byte more is written. */
static void test_a_serial_number_in_any_buffer(Fixture *f, const void *unused)
{
    static const uint32_t sizes[] = { 0, 1, 19, 20, 21, 512, 4096 };
    KitBlk *blk;

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'null-co', 'node-name': 'n'}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'vd-n', 'drive': 'n', "
            "'serial': 'twenty-letters-long!'}");
    kit_start(f->kit);
    blk = start_driver(f, "n");
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        uint8_t *data = kit_blk_data(blk, 0);
        uint32_t n = MIN(sizes[i], 20);

        memset(data, 0xee, KIT_BLK_DATA);
        g_assert_cmpuint(kit_blk_ask(blk, VIRTIO_BLK_T_GET_ID, 0, sizes[i]), ==,
                         VIRTIO_BLK_S_OK);
        g_assert_cmpint(memcmp(data, "twenty-letters-long!", n), ==, 0);
        for (uint32_t at = MAX(n, 20); at < KIT_BLK_DATA; at++)
            g_assert_cmphex(data[at], ==, 0xee);
    }
    kit_blk_free(blk);
}

/* The cache is switched to and fro while a flush is under way. */
static void test_the_cache_is_switched_during_a_flush(Fixture *f, const void *unused)
{
    uint64_t wce = offsetof(struct virtio_blk_config, wce);
    uint64_t n_flushes;
    BlockNode *node;
    KitBlk *blk;

    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': 'n', 'file': "
               "{'driver': 'null-co', 'size': 1048576}}");
    node = block_graph_find(f->kit->blocks, "n");
    add_disk(f, "n");
    kit_start(f->kit);
    blk = start_driver(f, "n");
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'n', 'rules': "
               "[{'ops': ['flush'], 'delay-ns': 18446744073709551615}]}");
    kit_blk_submit(blk, 1, VIRTIO_BLK_T_FLUSH, 0, 0);
    kit_run_both(f->kit);
    for (unsigned i = 0; i < 64; i++)
        kit_write(f->kit, blk->v->config + wce, 1, i % 3);
    kit_write(f->kit, blk->v->config + wce, 1, 0);
    g_assert_cmpuint(kit_read(f->kit, blk->v->config + wce, 1), ==, 0);
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'n', 'rules': []}");
    g_assert_cmpuint(wait_for(f, blk), ==, VIRTIO_BLK_S_OK);
    n_flushes = inject_count(node, INJECT_OP_FLUSH);
    kit_blk_write(blk, 0, 1, 512);
    kit_write(f->kit, blk->v->config + wce, 1, 1);
    kit_blk_write(blk, 0, 1, 512);
    g_assert_cmpuint(inject_count(node, INJECT_OP_FLUSH), >=, n_flushes);
    kit_blk_free(blk);
}

#define N_PIECES 1022u          /* as many as a ring of 1024 has room for */
#define PIECES KIT_VIRTIO_DATA
#define PIECE_SPACE 16u

/* Bytes of piece @i; the last makes whole sectors of them all. */
static uint32_t piece_size(unsigned i)
{
    return i < N_PIECES - 1 ? 1 + i % 7 : 527;
}

/* At addresses that are as odd as the sizes. */
static uint64_t piece_gpa(unsigned i)
{
    return PIECES + i * PIECE_SPACE + i % 5;
}

static void ask_in_pieces(KitBlk *blk, uint32_t type)
{
    const uint64_t header_gpa = PIECES + 0x10000, status_gpa = PIECES + 0x10020;
    struct virtio_blk_outhdr *header = kit_ram(blk->kit, header_gpa, sizeof(*header));
    uint8_t *status = kit_ram(blk->kit, status_gpa, 1);
    uint16_t writes = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;
    uint32_t head, len;

    *header = (struct virtio_blk_outhdr) { .type = GUINT32_TO_LE(type),
                                           .sector = GUINT64_TO_LE(8) };
    *status = 0xee;
    kit_virtio_desc(blk->v, 0, header_gpa, sizeof(*header), VRING_DESC_F_NEXT, 1);
    for (unsigned i = 0; i < N_PIECES; i++)
        kit_virtio_desc(blk->v, 1 + i, piece_gpa(i), piece_size(i),
                        VRING_DESC_F_NEXT | writes, (uint16_t)(2 + i));
    kit_virtio_desc(blk->v, 1 + N_PIECES, status_gpa, 1, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(blk->v, 0);
    kit_virtio_kick(blk->v);
    while (!kit_virtio_take(blk->v, &head, &len))
        kit_run_both(blk->kit);
    g_assert_cmpuint(*status, ==, VIRTIO_BLK_S_OK);
}

/* Each piece has its own bytes, and those between the pieces stay as they are. */
static void check_pieces(KitBlk *blk)
{
    uint8_t *pieces = kit_ram(blk->kit, PIECES, N_PIECES * PIECE_SPACE + 4096);

    for (unsigned i = 0; i < N_PIECES; i++)
        memset(kit_ram(blk->kit, piece_gpa(i), piece_size(i)), (int)(i * 7 + 1),
               piece_size(i));
    ask_in_pieces(blk, VIRTIO_BLK_T_OUT);
    memset(pieces, 0xee, N_PIECES * PIECE_SPACE + 4096);
    ask_in_pieces(blk, VIRTIO_BLK_T_IN);
    for (unsigned i = 0; i < N_PIECES; i++) {
        const uint8_t *piece = kit_ram(blk->kit, piece_gpa(i), piece_size(i) + 1);

        for (uint32_t at = 0; at < piece_size(i); at++)
            g_assert_cmphex(piece[at], ==, (uint8_t)(i * 7 + 1));
        g_assert_cmphex(piece[piece_size(i)], ==, 0xee);
    }
}

/* @options of the file; "qcow2" for an image in it. */
static void test_a_request_of_a_thousand_pieces(Fixture *f, const void *options)
{
    bool is_image = strcmp(options, "qcow2") == 0;
    KitBlk *blk;

    if (!has_direct(f) || (is_image && !kit_image_has_tools()))
        return;
    if (is_image) {
        kit_image_do(&f->image, "qemu-img create -q -f qcow2 file 1M");
        kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'qcow2', 'node-name': 'n', "
                   "'file': {'driver': 'file', 'filename': '%s'}}", f->path);
    } else {
        kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'n', "
                   "'filename': '%s'%s}", f->path, (const char *)options);
    }
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'vd-n', 'drive': 'n', "
            "'queue-size': 1024}");
    kit_start(f->kit);
    blk = start_driver(f, "n");
    kit_virtio_start(blk->v, UINT64_MAX, 1024);
    check_pieces(blk);
    kit_blk_free(blk);
}

/* A process that has @path open, with the locks of one that writes to the image. */
static pid_t start_holder(const char *path)
{
    int pipe_fds[2];
    char byte = 0;
    pid_t pid;

    g_assert_cmpint(pipe(pipe_fds), ==, 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDWR);

        for (off_t at = 101; at <= 201; at += 100) {
            struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET,
                                  .l_start = at, .l_len = 1 };

            if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
                _exit(1);
        }
        if (write(pipe_fds[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    g_assert_cmpint(pid, >, 0);
    close(pipe_fds[1]);
    g_assert_cmpint(read(pipe_fds[0], &byte, 1), ==, 1);
    close(pipe_fds[0]);
    return pid;
}

/* PATH in @options is the file's. */
static void assert_refused(Fixture *f, const char *words, const char *options)
{
    g_auto(GStrv) parts = g_strsplit(options, "PATH", -1);
    g_autofree char *json = g_strjoinv(f->path, parts);
    g_autoptr(JsonValue) before = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_autoptr(JsonValue) after = NULL;

    kit_qmp_assert_fails(f->qmp, words, "blockdev-add", "%s", json);
    after = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_assert_true(json_equal(before, after));
}

/* The error says who has the image. */
static void test_an_image_that_another_process_has(Fixture *f, const void *unused)
{
    g_autofree char *words = NULL;
    pid_t pid = start_holder(f->path);

    words = g_strdup_printf("process %d (test-disk-host", pid);
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'file', 'node-name': 'n', 'filename': "
               "'%s'}", f->path);
    {
        g_autoptr(DeviceAddArgs) args = qapi_parse_json(
            QAPI_TYPE_DEVICE_ADD_ARGS, "{'driver': 'virtio-blk-pci', 'drive': 'n'}",
            NULL);
        g_autoptr(GError) error = NULL;

        g_assert_null(device_add(&f->kit->tree, args, &error));
        g_assert_nonnull(error);
        if (!strstr(error->message, words))
            g_error("'%s' is not in '%s'", words, error->message);
    }
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    add_disk(f, "n");
}

/* What an operator names is not there, or not so; no half of a graph is left. */
static void test_images_that_cannot_be(Fixture *f, const void *unused)
{
#define FILE_NODE "{'driver': 'file', 'filename': 'PATH'}"
#define IMAGE(name) "{'driver': 'qcow2', 'node-name': 'n', 'file': {'driver': 'file', "  \
    "'filename': 'PATH/../" name "'}}"
    assert_refused(f, "'n'", "{'driver': 'qcow2', 'node-name': 'n', 'file': " FILE_NODE
                   "}");
    assert_refused(f, "block device", "{'driver': 'host_device', 'node-name': 'n', "
                   "'filename': 'PATH'}");
    assert_refused(f, "'size'", "{'driver': 'raw', 'node-name': 'n', 'size': 1049088, "
                   "'file': " FILE_NODE "}");
    assert_refused(f, "'offset'", "{'driver': 'raw', 'node-name': 'n', 'offset': "
                   "2097152, 'file': " FILE_NODE "}");
    assert_refused(f, "cannot open", "{'driver': 'raw', 'node-name': 'n', 'file': "
                   "{'driver': 'file', 'filename': 'PATH-not-there'}}");
    if (!kit_image_has_tools())
        return;
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 a 1M");
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 -b a -F qcow2 b");
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 -b b -F qcow2 c");
    kit_image_do(&f->image, "qemu-img rebase -u -b c -F qcow2 a");
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 -u -b gone -F qcow2 d 1M");
    kit_image_do(&f->image, "qemu-img create -q -f qcow2 -u -b file -F qcow2 e 1M");
    kit_image_do(&f->image, "mkdir folder");
    g_free(f->path);
    f->path = kit_image_path(&f->image, "folder");
    assert_refused(f, "has a loop", IMAGE("c"));
    assert_refused(f, "gone", IMAGE("d"));
    assert_refused(f, "not a qcow2 image", IMAGE("e"));
    kit_image_do(&f->image, "rmdir folder");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, data, fn)                                                              \
    g_test_add("/disk-hostile/" name, Fixture, data, set_up, fn, disk_bench_tear_down)
    ADD("a-disk-that-does-not-answer-stops-nobody", NULL,
        test_a_disk_that_does_not_answer_stops_nobody);
    ADD("no-room-in-the-kernel", NULL, test_no_room_in_the_kernel);
    ADD("a-serial-number-in-any-buffer", NULL, test_a_serial_number_in_any_buffer);
    ADD("the-cache-is-switched-during-a-flush", NULL,
        test_the_cache_is_switched_during_a_flush);
    ADD("an-image-that-another-process-has", NULL,
        test_an_image_that_another_process_has);
    ADD("images-that-cannot-be", NULL, test_images_that_cannot_be);
    g_test_add("/disk-hostile/a-file-truncated-below/cached", Fixture, "", set_up_plain,
               test_a_file_truncated_below, disk_bench_tear_down);
    g_test_add("/disk-hostile/a-file-truncated-below/native", Fixture,
               NATIVE, set_up_plain,
               test_a_file_truncated_below, disk_bench_tear_down);
#define ADD_PIECES(name, options)                                                        \
    g_test_add("/disk-hostile/a-request-of-a-thousand-pieces/" name, Fixture, options,   \
               set_up_plain, test_a_request_of_a_thousand_pieces, disk_bench_tear_down)
    ADD_PIECES("cached", "");
    ADD_PIECES("native", NATIVE);
    ADD_PIECES("qcow2", "qcow2");
    ADD("a-disk-that-does-not-answer-on-a-thread", "threaded",
        test_a_disk_that_does_not_answer_stops_nobody);
    ADD("no-room-in-the-kernel-on-a-thread", "threaded", test_no_room_in_the_kernel);
    return g_test_run();
}
