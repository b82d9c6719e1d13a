/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of a request allocates nothing: this program's malloc counts, and 100,000
 * requests of a warm device must leave the count as it was.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/virtio.h"

#include "kit-scsi.h"
#include "kit-net.h"
#include "kit-serial.h"
#include "kit-virtio.h"

#define WARM_UP 1000
#define REQUESTS 100000
#define BATCH 8
#define PORT_BATCHES 500
#define FRAMES 2000
#define SCSI_REQUESTS 500

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0            /* a sanitizer has its own */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

static unsigned n_allocations;

#if OWN_MALLOC
/* Exported by the C library beside its malloc. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    __atomic_fetch_add(&n_allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    __atomic_fetch_add(&n_allocations, 1, __ATOMIC_RELAXED);
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    __atomic_fetch_add(&n_allocations, 1, __ATOMIC_RELAXED);
    return __libc_realloc(memory, size);
}
#endif

static unsigned allocations(void)
{
    return __atomic_load_n(&n_allocations, __ATOMIC_RELAXED);
}

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

    if (!OWN_MALLOC) {
        g_test_skip("a sanitizer counts allocations otherwise");
        return;
    }
    kit_start(kit);
    v = kit_virtio_new(kit, dev);
    kit_virtio_start(v, UINT64_MAX, BATCH);
    doorbell = virtio_pci_device(dev)->queues[0].kick_fd;
    for (unsigned i = 0; i < WARM_UP; i += BATCH)
        serve_batch(v, doorbell);
    g_assert_cmpuint(allocations(), >, 0);
    before = allocations();
    begin = g_get_monotonic_time();

    for (unsigned i = 0; i < REQUESTS; i += BATCH)
        serve_batch(v, doorbell);

    end = g_get_monotonic_time();
    g_assert_cmpuint(allocations(), ==, before);
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

    if (!OWN_MALLOC) {
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
    before = allocations();

    for (unsigned i = 0; i < PORT_BATCHES; i++)
        serve_port(s, fd);

    g_assert_cmpuint(allocations(), ==, before);
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
    unsigned before;

    if (!OWN_MALLOC) {
        g_test_skip("a sanitizer counts allocations otherwise");
        return;
    }
    net = kit_net_new("");
    kit_net_start(net, UINT64_MAX);
    kit_net_offer(net, KIT_NET_BUFFERS / 2, KIT_NET_BUFFER);
    for (unsigned i = 0; i < 10; i++)
        serve_frames(net);
    before = allocations();

    for (unsigned i = 0; i < FRAMES; i++)
        serve_frames(net);

    g_assert_cmpuint(allocations(), ==, before);
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

    if (!OWN_MALLOC) {
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
    before = allocations();

    for (unsigned i = 0; i < SCSI_REQUESTS; i++)
        serve_disk(scsi);

    g_assert_cmpuint(allocations(), ==, before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/alloc-guard/virtqueue", test_requests_allocate_nothing);
    g_test_add_func("/alloc-guard/virtio-serial", test_bytes_of_ports_allocate_nothing);
    g_test_add_func("/alloc-guard/virtio-net", test_frames_allocate_nothing);
    g_test_add_func("/alloc-guard/scsi-disk", test_commands_of_disks_allocate_nothing);
    return g_test_run();
}
