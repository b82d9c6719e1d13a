/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of a request allocates nothing: this program's malloc counts, and 100,000
 * requests of a warm device must leave the count as it was.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/inject.h"
#include "berth/virtio.h"

#include "alloc-counter.h"
#include "kit-blk.h"
#include "kit-image.h"
#include "kit-scsi.h"
#include "kit-net.h"
#include "kit-serial.h"
#include "kit-virtio.h"

#define WARM_UP 1000
#define REQUESTS 100000
#define BATCH 8
#define PORT_BATCHES 500
#define FRAMES 50000            /* each way */
#define SCSI_REQUESTS 500
#define BLOCK_REQUESTS 2000
#define BLOCK_DEPTH 8u
#define BLOCK_SIZE 4096u
#define IMAGE_SIZE (8 * MIB)
#define FILE_BATCHES 50
#define N_WORKERS 2u

/* A batch of requests, by the doorbell's descriptor as the kernel would signal it. */
static void serve_batch(KitVirtio *v, int doorbell)
{
    uint64_t one = 1;
    uint32_t head, len;

    for (unsigned i = 0; i < BATCH; i++) {
        kit_virtio_desc(v, i, KIT_VIRTIO_DATA + 64 * i, 64, VRING_DESC_F_WRITE, 0);
        kit_virtio_offer(v, i);
    }
    g_assert_cmpint(write(doorbell, &one, sizeof(one)), ==, sizeof(one));
    loop_turn(v->pci.kit->queue_loop, false);
    for (unsigned i = 0; i < BATCH; i++) {
        g_assert_true(kit_virtio_take(v, &head, &len));
        g_assert_cmpuint(len, ==, 64);
    }
}

static void test_requests_allocate_nothing(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *dev = kit_add(kit, "{'driver': 'virtio-rng-pci'}");
    g_autofree KitVirtio *v = NULL;
    int64_t begin, end;
    unsigned before;
    int doorbell;

    if (!ALLOC_COUNTER) {
        g_test_skip("a sanitizer counts allocations otherwise");
        return;
    }
    kit_start(kit);
    v = kit_virtio_new(kit, dev);
    kit_virtio_start(v, UINT64_MAX, BATCH);
    doorbell = virtio_pci_device(dev)->queues[0].kick_fd;
    for (unsigned i = 0; i < WARM_UP; i += BATCH)
        serve_batch(v, doorbell);
    g_assert_cmpuint(alloc_counter_calls(), >, 0);
    before = alloc_counter_calls();
    begin = g_get_monotonic_time();

    for (unsigned i = 0; i < REQUESTS; i += BATCH)
        serve_batch(v, doorbell);

    end = g_get_monotonic_time();
    g_assert_cmpuint(alloc_counter_calls(), ==, before);
    g_test_message("%.0f ns a request", (end - begin) * 1000.0 / REQUESTS);
}

/* A port's bytes there and back, the host reading and writing them. */
static void serve_port(KitSerial *s, int fd)
{
    char data[1000];

    memset(data, 'x', sizeof(data));
    for (unsigned i = 0; i < BATCH; i++) {
        kit_serial_write(s, 1, data, sizeof(data));
        g_assert_cmpint(recv(fd, data, sizeof(data), 0), ==, sizeof(data));
        kit_serial_give(s, 1, 1, sizeof(data));
        g_assert_cmpint(send(fd, data, sizeof(data), 0), ==, sizeof(data));
    }
    g_assert_cmpuint(kit_serial_written(s, 1), ==, BATCH);
    g_assert_cmpuint(strlen(kit_serial_read(s, 1)), ==, BATCH * sizeof(data));
}

static void test_bytes_of_ports_allocate_nothing(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    int fd = kit_add_chardev(kit, "c");
    Device *dev = kit_add(kit, "{'driver': 'virtio-serial-pci'}");
    g_autoptr(KitSerial) s = NULL;
    unsigned before;

    if (!ALLOC_COUNTER) {
        g_test_skip("a sanitizer counts allocations otherwise");
        return;
    }
    kit_add(kit, "{'driver': 'virtserialport', 'chardev': 'c'}");
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_serial_start_ports(s);
    kit_serial_open(s, 1, true);
    for (unsigned i = 0; i < 10; i++)
        serve_port(s, fd);
    before = alloc_counter_calls();

    for (unsigned i = 0; i < PORT_BATCHES; i++)
        serve_port(s, fd);

    g_assert_cmpuint(alloc_counter_calls(), ==, before);
    close(fd);
}

/* A frame each way. */
static void serve_frames(KitNet *net)
{
    uint8_t frame[1000] = "", got[KIT_NET_BUFFER];
    uint32_t head, len;

    kit_net_send(net, frame, sizeof(frame), 300);
    g_assert_true(kit_queue_take(&net->tx, &head, &len));
    g_assert_cmpint(kit_net_wire_take(net, got, sizeof(got)), ==, sizeof(frame));
    kit_net_wire_send(net, frame, sizeof(frame));
    g_assert_cmpint(kit_net_take(net, got, sizeof(got), NULL), ==,
                    sizeof(frame) + KIT_NET_HEADER);
    kit_net_offer(net, 1, KIT_NET_BUFFER);
}

static void test_frames_allocate_nothing(void)
{
    g_autoptr(KitNet) net = NULL;

    if (!ALLOC_COUNTER) {
        g_test_skip("a sanitizer counts allocations otherwise");
        return;
    }
    net = kit_net_new("");
    kit_net_start(net, UINT64_MAX);
    kit_net_offer(net, KIT_NET_BUFFERS / 2, KIT_NET_BUFFER);
    /* Without somebody who looks at them, and with. */
    for (unsigned round = 0; round < 2; round++) {
        unsigned before;

        if (round == 1)
            kit_add_object(net->kit, "{'qom-type': 'filter-dump', 'id': 'd', 'netdev': "
                           "'wire', 'file': '/dev/null'}");
        for (unsigned i = 0; i < 10; i++)
            serve_frames(net);
        before = alloc_counter_calls();

        for (unsigned i = 0; i < FRAMES; i++)
            serve_frames(net);

        g_assert_cmpuint(alloc_counter_calls(), ==, before);
    }
}

/* Reads, writes and flushes of a SCSI disk. */
static void serve_disk(KitScsi *scsi)
{
    kit_scsi_write(scsi, 8, 0x55, 8);
    kit_scsi_read(scsi, 8, 8);
    g_assert_cmphex(kit_scsi_sense(scsi, "35 00 00000000 00 0000 00", 0, 0), ==, 0);
}

static void test_commands_of_disks_allocate_nothing(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autoptr(KitScsi) scsi = NULL;
    unsigned before;

    if (!ALLOC_COUNTER) {
        g_test_skip("a sanitizer counts allocations otherwise");
        return;
    }
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'n'}");
    kit_add(kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba', 'num_queues': 1}");
    kit_add(kit, "{'driver': 'scsi-hd', 'drive': 'n'}");
    kit_start(kit);
    scsi = kit_scsi_new(kit, "hba");
    kit_scsi_clear(scsi, 0, 0);
    for (unsigned i = 0; i < 10; i++)
        serve_disk(scsi);
    before = alloc_counter_calls();

    for (unsigned i = 0; i < SCSI_REQUESTS; i++)
        serve_disk(scsi);

    g_assert_cmpuint(alloc_counter_calls(), ==, before);
}

/* A node with a channel, and what reaches the file below it. */
typedef struct Disk {
    KitImage *kit;
    BlockUse *use;
    BlockChannel *channel;
    BlockNode *rules;
    InjectWatch watch;
    pthread_t loop_thread;
    unsigned n_on_loop;         /* operations, by the thread that does them */
    unsigned n_elsewhere;       /* atomic */
    struct iovec iov[BLOCK_DEPTH];
    void *memory;
    unsigned n_submitted;
} Disk;

static void *on_operation(void *opaque, const BlockIo *io)
{
    Disk *disk = opaque;

    if (pthread_equal(pthread_self(), disk->loop_thread))
        disk->n_on_loop++;
    else
        __atomic_fetch_add(&disk->n_elsewhere, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void on_operation_done(void *opaque, void *begun, int ret)
{
}

static void on_resized(void *opaque, uint64_t size)
{
}

static void on_ready(void *opaque)
{
}

static char *describe(void *opaque)
{
    return g_strdup("the test");
}

static void disk_open(Disk *disk, KitImage *kit, const char *driver)
{
    static const BlockUseOps use_ops = { .describe = describe };
    static const BlockChannelOps channel_ops = { .ready = on_ready };
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    *disk = (Disk) { .kit = kit, .loop_thread = pthread_self() };
    disk->rules = kit_image_open(kit, "{'driver': 'inject', 'node-name': 'rules', "
                                 "'file': {'driver': 'file', 'filename': '%s/%s', "
                                 "'aio': 'native', 'cache': {'direct': true}}}",
                                 kit->folder, driver);
    disk->watch = (InjectWatch) {
        .begin = on_operation, .end = on_operation_done, .resized = on_resized,
        .opaque = disk,
    };
    inject_set_watch(disk->rules, &disk->watch);
    node = kit_image_open(kit, "{'driver': '%s', 'node-name': 'n', 'file': 'rules'}",
                          driver);
    disk->use = block_use_new(node, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                              BLOCK_PERM_ALL, &use_ops, NULL, &error);
    g_assert_no_error(error);
    disk->channel = block_channel_new(disk->use, kit->loop, BLOCK_DEPTH, &channel_ops,
                                      disk, &error);
    g_assert_no_error(error);
    disk->memory = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
    memset(disk->memory, 'x', BLOCK_SIZE);
}

static void disk_close(Disk *disk)
{
    block_channel_free(disk->channel);
    block_use_free(disk->use);
    g_assert_true(block_graph_del(disk->kit->graph, "n", NULL));
    inject_set_watch(disk->rules, NULL);
    kit_image_close(disk->kit);
    free(disk->memory);
}

static void on_block_done(BlockReq *req, int ret)
{
    g_assert_cmpint(ret, ==, 0);
}

static void submit(Disk *disk, BlockOp op, uint64_t offset)
{
    unsigned slot = disk->n_submitted++ % BLOCK_DEPTH;
    BlockReq *req = block_channel_get(disk->channel);

    disk->iov[slot] = (struct iovec) { disk->memory, BLOCK_SIZE };
    req->io = (BlockIo) {
        .op = op, .offset = offset, .bytes = BLOCK_SIZE,
        .iov = &disk->iov[slot], .n_iov = 1,
    };
    req->done = on_block_done;
    block_channel_submit(disk->channel, req);
}

static void drain(Disk *disk)
{
    while (block_channel_in_flight(disk->channel) > 0)
        loop_turn(disk->kit->loop, true);
}

/* @n requests, @step bytes from each other. */
static void serve_blocks(Disk *disk, unsigned n, BlockOp op, uint64_t offset,
                         uint64_t step)
{
    for (unsigned i = 0; i < n; i++) {
        submit(disk, op, offset + i * step % IMAGE_SIZE);
        if (i % BLOCK_DEPTH == BLOCK_DEPTH - 1)
            drain(disk);
    }
    drain(disk);
}

/* What reaches the file, on the loop; there is nothing else, and nothing is allocated. */
static unsigned count_operations(Disk *disk, unsigned n, BlockOp op, uint64_t offset,
                                 uint64_t step)
{
    unsigned n_loop = disk->n_on_loop, n_elsewhere = disk->n_elsewhere;
    unsigned before = alloc_counter_calls();

    serve_blocks(disk, n, op, offset, step);
    if (ALLOC_COUNTER)
        g_assert_cmpuint(alloc_counter_calls(), ==, before);
    g_assert_cmpuint(disk->n_elsewhere, ==, n_elsewhere);
    return disk->n_on_loop - n_loop;
}

static bool make_disks(KitImage *kit)
{
    g_autofree char *path = kit_image_path(kit, "raw");
    int fd;

    if (!kit_image_has_tools())
        return false;
    kit_image_do(kit, "qemu-img create -f qcow2 qcow2 64M");
    kit_image_do(kit, "qemu-io -f qcow2 -c 'write 0 %llu' qcow2", IMAGE_SIZE);
    kit_image_do(kit, "qemu-img create -f raw raw 64M");
    fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        g_test_skip("no direct I/O here");
    else
        close(fd);
    return fd >= 0;
}

/*
 * A request for clusters that the tables in memory know comes to the file as it would on
 * a raw disk: one operation, from the loop.  So does one that gives it new clusters.
 */
static void check_cost(KitImage *kit, const char *driver)
{
    uint64_t step = 65536 + BLOCK_SIZE;
    Disk disk;
    unsigned n;

    disk_open(&disk, kit, driver);
    /* Tables come into memory, and the file gets longer than it needs to be. */
    serve_blocks(&disk, BLOCK_DEPTH, BLOCK_OP_READ, 0, step);
    serve_blocks(&disk, BLOCK_DEPTH, BLOCK_OP_WRITE, 0, step);
    serve_blocks(&disk, 1, BLOCK_OP_WRITE, IMAGE_SIZE, step);

    n = count_operations(&disk, BLOCK_REQUESTS, BLOCK_OP_READ, 0, step);
    g_assert_cmpuint(n, ==, BLOCK_REQUESTS);
    n = count_operations(&disk, BLOCK_REQUESTS, BLOCK_OP_WRITE, 0, step);
    g_assert_cmpuint(n, ==, BLOCK_REQUESTS);
    n = count_operations(&disk, 4, BLOCK_OP_WRITE, 2 * IMAGE_SIZE, step);
    g_assert_cmpuint(n, ==, 4);
    disk_close(&disk);
}

static void test_qcow2_costs_what_raw_does(void)
{
    KitImage kit;

    kit_image_init(&kit);
    if (make_disks(&kit)) {
        check_cost(&kit, "raw");
        check_cost(&kit, "qcow2");
    }
    kit_image_done(&kit);
}

/* As many as the driver has slots for, half of them neighbours, and a flush. */
static void serve_file(KitBlk *blk)
{
    unsigned n_taken = 0, slot;
    uint8_t status;

    for (unsigned i = 0; i < KIT_BLK_SLOTS; i++)
        kit_blk_offer(blk, i, i % 2 && i < KIT_BLK_SLOTS / 2 ? VIRTIO_BLK_T_OUT
                                                             : VIRTIO_BLK_T_IN,
                      8 * i, KIT_BLK_DATA);
    while (n_taken < KIT_BLK_SLOTS) {
        loop_turn(blk->kit->queue_loop, true);
        for (; kit_blk_take(blk, &slot, &status); n_taken++)
            g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
    }
    kit_blk_flush(blk);
}

/* @options of the file; its workers, if it has some, are there from the beginning. */
static void check_file(const char *options)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree char *path = g_strdup("build/test-alloc-guard-XXXXXX");
    g_autofree char *node = NULL;
    g_autoptr(KitBlk) blk = NULL;
    int fd = g_mkstemp(path);
    unsigned before;

    g_assert_cmpint(ftruncate(fd, KIT_BLK_SLOTS * KIT_BLK_DATA), ==, 0);
    close(fd);
    node = g_strdup_printf("{'driver': 'raw', 'node-name': 'n', 'file': {"
                           "'driver': 'file', 'filename': '%s', %s}}", path, options);
    kit_add_node(kit, node);
    kit_add(kit, "{'driver': 'virtio-blk-pci', 'id': 'd', 'drive': 'n'}");
    kit_start(kit);
    g_assert_true(worker_pool_set_threads(worker_pool_of(kit->queue_loop), N_WORKERS,
                                          N_WORKERS, NULL));
    blk = kit_blk_new(kit, "d");
    for (unsigned i = 0; i < 4; i++)
        serve_file(blk);
    before = alloc_counter_calls();

    for (unsigned i = 0; i < FILE_BATCHES; i++)
        serve_file(blk);

    if (ALLOC_COUNTER)
        g_assert_cmpuint(alloc_counter_calls(), ==, before);
    g_unlink(path);
}

static void test_requests_to_files_allocate_nothing(void)
{
    check_file("'aio': 'native', 'cache': {'direct': true}");
}

/* What the loop does itself, and what workers do. */
static void test_requests_by_threads_allocate_nothing(void)
{
    check_file("'aio': 'threads'");
    check_file("'aio': 'threads', 'cache': {'direct': true}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/alloc-guard/virtqueue", test_requests_allocate_nothing);
    g_test_add_func("/alloc-guard/virtio-serial", test_bytes_of_ports_allocate_nothing);
    g_test_add_func("/alloc-guard/virtio-net", test_frames_allocate_nothing);
    g_test_add_func("/alloc-guard/scsi-disk", test_commands_of_disks_allocate_nothing);
    g_test_add_func("/alloc-guard/qcow2", test_qcow2_costs_what_raw_does);
    g_test_add_func("/alloc-guard/virtio-blk-file",
                    test_requests_to_files_allocate_nothing);
    g_test_add_func("/alloc-guard/virtio-blk-threads",
                    test_requests_by_threads_allocate_nothing);
    return g_test_run();
}
