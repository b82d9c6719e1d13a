/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk as a driver sees it: requests of each type, configuration, and what no driver
 * may ask, by table.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/error.h"
#include "berth/virtio.h"

#include "kit-virtio.h"

#define SIZE 32u
#define DISK_SIZE (1u * MIB)
#define HEADER KIT_VIRTIO_DATA
#define STATUS (KIT_VIRTIO_DATA + 0x800)
#define DATA (KIT_VIRTIO_DATA + 0x1000)
#define DISK "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'n'"

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    char *path;
} Fixture;

static void fixture_init(Fixture *f, const char *node, const char *props)
{
    g_autofree char *device = g_strconcat(DISK, props, "}", NULL);
    g_autofree char *json = NULL;

    *f = (Fixture) { .kit = kit_board_new() };
    f->path = g_strdup("build/test-virtio-blk-XXXXXX");
    close(g_mkstemp(f->path));
    g_assert_cmpint(truncate(f->path, DISK_SIZE), ==, 0);
    json = g_strdup_printf("{'driver': 'file', 'node-name': 'n', 'filename': '%s'%s}",
                           f->path, node);
    kit_add_node(f->kit, json);
    f->dev = kit_add(f->kit, device);
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, f->dev);
    kit_virtio_start(f->v, UINT64_MAX, SIZE);
}

static void fixture_done(Fixture *f)
{
    kit_board_free(f->kit);
    g_unlink(f->path);
    g_free(f->path);
    g_free(f->v);
}

typedef struct Ask {
    uint32_t type;
    uint64_t sector;
    const void *out;            /* data for the disk */
    uint32_t out_size;
    uint32_t in_size;           /* room for data of the disk, at DATA */
} Ask;

static void put_header(Fixture *f, const Ask *ask)
{
    struct virtio_blk_outhdr header = {
        .type = GUINT32_TO_LE(ask->type), .sector = GUINT64_TO_LE(ask->sector),
    };

    memcpy(kit_ram(f->kit, HEADER, sizeof(header)), &header, sizeof(header));
}

/* Offers the request as a chain of header, data and status. */
static void offer(Fixture *f, const Ask *ask)
{
    unsigned n = 0;

    put_header(f, ask);
    *(uint8_t *)kit_ram(f->kit, STATUS, 1) = 0xee;
    kit_virtio_desc(f->v, n, HEADER, 16, VRING_DESC_F_NEXT, n + 1);
    n++;
    if (ask->out_size > 0) {
        memcpy(kit_ram(f->kit, DATA, ask->out_size), ask->out, ask->out_size);
        kit_virtio_desc(f->v, n, DATA, ask->out_size, VRING_DESC_F_NEXT, n + 1);
        n++;
    }
    if (ask->in_size > 0) {
        kit_virtio_desc(f->v, n, DATA, ask->in_size,
                        VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, n + 1);
        n++;
    }
    kit_virtio_desc(f->v, n, STATUS, 1, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f->v, 0);
    kit_virtio_kick(f->v);
}

/* Turns the loops until the next request has ended; returns its length. */
static uint32_t wait_used(Fixture *f)
{
    int64_t end_ns = loop_clock_ns() + 60 * NS_PER_SEC;
    uint32_t head, len;

    while (!kit_virtio_take(f->v, &head, &len)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(f->kit);
    }
    return len;
}

static uint8_t status(Fixture *f)
{
    return *(uint8_t *)kit_ram(f->kit, STATUS, 1);
}

static uint8_t ask(Fixture *f, const Ask *ask)
{
    offer(f, ask);
    wait_used(f);
    return status(f);
}

static uint64_t config(Fixture *f, size_t offset, unsigned size)
{
    return kit_read(f->kit, f->v->config + offset, size);
}

#define CONFIG(f, field)                                                                 \
    config(f, offsetof(struct virtio_blk_config, field),                                 \
           sizeof(((struct virtio_blk_config *)0)->field))

static void test_writes_and_reads(void)
{
    uint8_t data[2048];
    Fixture f;

    fixture_init(&f, "", "");
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);

    g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_OUT, 5, data, sizeof(data), 0 }), ==,
                     VIRTIO_BLK_S_OK);
    g_assert_cmpuint(ask(&f, &(Ask) { .type = VIRTIO_BLK_T_FLUSH }), ==,
                     VIRTIO_BLK_S_OK);
    memset(kit_ram(f.kit, DATA, 4096), 0, 4096);
    offer(&f, &(Ask) { .type = VIRTIO_BLK_T_IN, .sector = 4, .in_size = 1024 });

    g_assert_cmpuint(wait_used(&f), ==, 1024 + 1);
    g_assert_cmpuint(status(&f), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpmem((uint8_t *)kit_ram(f.kit, DATA, 1024) + 512, 512, data, 512);
    fixture_done(&f);
}

/* The driver may cut its buffers anywhere. */
static void test_header_and_status_within_other_buffers(void)
{
    g_autofree uint8_t *expected = g_malloc(1024);
    Fixture f;

    fixture_init(&f, "", "");
    memset(expected, 0x5a, 1024);
    put_header(&f, &(Ask) { .type = VIRTIO_BLK_T_OUT, .sector = 1 });
    memcpy(kit_ram(f.kit, HEADER + 16, 1024), expected, 1024);
    kit_virtio_desc(f.v, 0, HEADER, 3, VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, HEADER + 3, 20, VRING_DESC_F_NEXT, 2);
    kit_virtio_desc(f.v, 2, HEADER + 23, 1024 - 7, VRING_DESC_F_NEXT, 3);
    kit_virtio_desc(f.v, 3, STATUS, 1, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);
    wait_used(&f);
    g_assert_cmpuint(status(&f), ==, VIRTIO_BLK_S_OK);

    put_header(&f, &(Ask) { .type = VIRTIO_BLK_T_IN, .sector = 1 });
    kit_virtio_desc(f.v, 0, HEADER, 16, VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, DATA, 600, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
    kit_virtio_desc(f.v, 2, DATA + 600, 425, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);

    g_assert_cmpuint(wait_used(&f), ==, 1025);
    g_assert_cmpmem(kit_ram(f.kit, DATA, 1024), 1024, expected, 1024);
    g_assert_cmpuint(*(uint8_t *)kit_ram(f.kit, DATA + 1024, 1), ==, VIRTIO_BLK_S_OK);
    fixture_done(&f);
}

/* A slot's list of buffers is cut by each request, and must not wander off with them. */
static void test_slot_that_is_used_again_and_again(void)
{
    uint8_t data[512];
    Fixture f;

    fixture_init(&f, "", "");
    for (unsigned i = 0; i < 100 * SIZE; i++) {
        memset(data, (int)i, sizeof(data));
        g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_OUT, i % 64, data, sizeof(data),
                                          0 }), ==, VIRTIO_BLK_S_OK);
        g_assert_cmpuint(ask(&f, &(Ask) { .type = VIRTIO_BLK_T_IN, .sector = i % 64,
                                          .in_size = 512 }), ==, VIRTIO_BLK_S_OK);
        g_assert_cmpmem(kit_ram(f.kit, DATA, 512), 512, data, sizeof(data));
    }
    fixture_done(&f);
}

static void test_serial_number(void)
{
    Fixture f;

    fixture_init(&f, "", ", 'serial': 'twenty characters 20'");
    g_assert_cmpuint(ask(&f, &(Ask) { .type = VIRTIO_BLK_T_GET_ID, .in_size = 20 }), ==,
                     VIRTIO_BLK_S_OK);
    g_assert_cmpmem(kit_ram(f.kit, DATA, 20), 20, "twenty characters 20", 20);

    memset(kit_ram(f.kit, DATA, 20), 0xff, 20);
    g_assert_cmpuint(ask(&f, &(Ask) { .type = VIRTIO_BLK_T_GET_ID, .in_size = 4 }), ==,
                     VIRTIO_BLK_S_OK);
    g_assert_cmpmem(kit_ram(f.kit, DATA, 5), 5, "twen\xff", 5);
    fixture_done(&f);
}

static void test_configuration(void)
{
    Fixture f;

    fixture_init(&f, "", ", 'physical_block_size': 4096, 'min_io_size': 4096, "
                 "'opt_io_size': 65536, 'num-queues': 3, 'queue-size': 64");
    g_assert_cmpuint(CONFIG(&f, capacity), ==, DISK_SIZE / 512);
    g_assert_cmpuint(CONFIG(&f, seg_max), ==, 62);
    g_assert_cmpuint(CONFIG(&f, blk_size), ==, 512);
    g_assert_cmpuint(CONFIG(&f, physical_block_exp), ==, 3);
    g_assert_cmpuint(CONFIG(&f, min_io_size), ==, 8);
    g_assert_cmpuint(CONFIG(&f, opt_io_size), ==, 128);
    g_assert_cmpuint(CONFIG(&f, num_queues), ==, 3);
    g_assert_cmpuint(CONFIG(&f, wce), ==, 1);
    g_assert_true(f.v->features >> VIRTIO_BLK_F_MQ & 1);
    g_assert_false(f.v->features >> VIRTIO_BLK_F_RO & 1);

    kit_write(f.kit, f.v->config + offsetof(struct virtio_blk_config, wce), 1, 0);
    g_assert_cmpuint(CONFIG(&f, wce), ==, 0);
    kit_write(f.kit, f.v->config, 4, 77);
    g_assert_cmpuint(CONFIG(&f, capacity), ==, DISK_SIZE / 512);
    fixture_done(&f);
}

static void test_discard_and_zeroes(void)
{
    struct virtio_blk_discard_write_zeroes range = { .sector = 8, .num_sectors = 8 };
    uint8_t data[4096];
    Fixture f;

    fixture_init(&f, ", 'discard': 'unmap'", "");
    memset(data, 0x77, sizeof(data));
    g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_OUT, 8, data, sizeof(data), 0 }), ==,
                     VIRTIO_BLK_S_OK);
    g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_DISCARD, 0, &range, 16, 0 }), ==,
                     VIRTIO_BLK_S_OK);
    range.num_sectors = 1;
    range.sector = 100;
    range.flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_OUT, 100, data, 1024, 0 }), ==,
                     VIRTIO_BLK_S_OK);
    g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_WRITE_ZEROES, 0, &range, 16, 0 }), ==,
                     VIRTIO_BLK_S_OK);

    g_assert_cmpuint(ask(&f, &(Ask) { .type = VIRTIO_BLK_T_IN, .sector = 100,
                                      .in_size = 1024 }), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(*(uint8_t *)kit_ram(f.kit, DATA + 511, 1), ==, 0);
    g_assert_cmpuint(*(uint8_t *)kit_ram(f.kit, DATA + 512, 1), ==, 0x77);
    fixture_done(&f);
}

/* What the disk has not is answered; the device goes on. */
static void test_requests_that_are_refused(void)
{
    static const struct virtio_blk_discard_write_zeroes ranges[] = {
        { .sector = 0, .num_sectors = 8, .flags = 1 },
        { .sector = 0, .num_sectors = 8, .flags = 2 },
        { .sector = DISK_SIZE / 512 - 1, .num_sectors = 2 },
        { .sector = UINT64_MAX, .num_sectors = 1 },
        { .sector = UINT64_MAX / 512 + 1, .num_sectors = 1 },
        { .sector = 0, .num_sectors = UINT32_MAX },
    };
    static const uint8_t data[2048] = { 1 };
    static const struct {
        Ask ask;
        uint8_t status;
    } cases[] = {
        { { .type = VIRTIO_BLK_T_IN, .sector = DISK_SIZE / 512, .in_size = 512 },
          VIRTIO_BLK_S_IOERR },
        { { .type = VIRTIO_BLK_T_IN, .sector = DISK_SIZE / 512 - 1, .in_size = 1024 },
          VIRTIO_BLK_S_IOERR },
        { { .type = VIRTIO_BLK_T_IN, .sector = UINT64_MAX, .in_size = 512 },
          VIRTIO_BLK_S_IOERR },
        { { .type = VIRTIO_BLK_T_IN, .sector = UINT64_MAX / 512 + 1, .in_size = 512 },
          VIRTIO_BLK_S_IOERR },
        { { .type = VIRTIO_BLK_T_IN, .sector = 0, .in_size = 511 }, VIRTIO_BLK_S_IOERR },
        { { .type = VIRTIO_BLK_T_IN, .sector = 0 }, VIRTIO_BLK_S_OK },
        { { VIRTIO_BLK_T_OUT, DISK_SIZE / 512 - 1, data, 1024, 0 }, VIRTIO_BLK_S_IOERR },
        { { VIRTIO_BLK_T_OUT, 0, data, 700, 0 }, VIRTIO_BLK_S_IOERR },
        { { .type = VIRTIO_BLK_T_SCSI_CMD, .in_size = 64 }, VIRTIO_BLK_S_UNSUPP },
        { { .type = 99, .in_size = 512 }, VIRTIO_BLK_S_UNSUPP },
        { { .type = UINT32_MAX }, VIRTIO_BLK_S_UNSUPP },
        { { VIRTIO_BLK_T_DISCARD, 0, &ranges[0], 16, 0 }, VIRTIO_BLK_S_UNSUPP },
        { { VIRTIO_BLK_T_DISCARD, 0, &ranges[0], 15, 0 }, VIRTIO_BLK_S_UNSUPP },
        { { VIRTIO_BLK_T_DISCARD, 0, ranges, 32, 0 }, VIRTIO_BLK_S_UNSUPP },
        { { .type = VIRTIO_BLK_T_DISCARD }, VIRTIO_BLK_S_UNSUPP },
        { { VIRTIO_BLK_T_WRITE_ZEROES, 0, &ranges[1], 16, 0 }, VIRTIO_BLK_S_UNSUPP },
        { { VIRTIO_BLK_T_DISCARD, 0, &ranges[2], 16, 0 }, VIRTIO_BLK_S_IOERR },
        { { VIRTIO_BLK_T_WRITE_ZEROES, 0, &ranges[2], 16, 0 }, VIRTIO_BLK_S_IOERR },
        { { VIRTIO_BLK_T_DISCARD, 0, &ranges[3], 16, 0 }, VIRTIO_BLK_S_IOERR },
        { { VIRTIO_BLK_T_DISCARD, 0, &ranges[4], 16, 0 }, VIRTIO_BLK_S_IOERR },
        { { VIRTIO_BLK_T_WRITE_ZEROES, 0, &ranges[5], 16, 0 }, VIRTIO_BLK_S_IOERR },
    };
    Fixture f;

    fixture_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t got = ask(&f, &cases[i].ask);

        if (got != cases[i].status)
            g_error("case %zu: status %u, not %u", i, got, cases[i].status);
    }
    g_assert_false(kit_virtio_status(f.v) & VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmpuint(f.kit->n_io_errors, ==, 0);
    fixture_done(&f);
}

/* What is no request breaks the device, and only it; a reset mends it. */
static void test_chains_that_are_no_requests(void)
{
    static const struct {
        uint32_t out;
        uint32_t in;
    } cases[] = { { 15, 1 }, { 16, 0 }, { 0, 512 }, { 4, 0 } };
    Fixture f;

    fixture_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool both = cases[i].out > 0 && cases[i].in > 0;
        uint64_t first = cases[i].out > 0 ? HEADER : DATA;

        kit_virtio_desc(f.v, 0, first, cases[i].out > 0 ? cases[i].out : cases[i].in,
                        (both ? VRING_DESC_F_NEXT : 0) |
                        (cases[i].out > 0 ? 0 : VRING_DESC_F_WRITE), 1);
        kit_virtio_desc(f.v, 1, DATA, MAX(cases[i].in, 1), VRING_DESC_F_WRITE, 0);
        kit_virtio_offer(f.v, 0);
        kit_virtio_kick(f.v);
        g_assert_true(kit_virtio_status(f.v) & VIRTIO_CONFIG_S_NEEDS_RESET);

        kit_virtio_start(f.v, UINT64_MAX, SIZE);
        g_assert_cmpuint(ask(&f, &(Ask) { .type = VIRTIO_BLK_T_FLUSH }), ==,
                         VIRTIO_BLK_S_OK);
    }
    fixture_done(&f);
}

static void test_read_only(void)
{
    static const uint8_t data[512] = { 1 };
    Fixture f;

    fixture_init(&f, ", 'read-only': true", "");
    g_assert_true(f.v->features >> VIRTIO_BLK_F_RO & 1);
    g_assert_false(f.v->features >> VIRTIO_BLK_F_DISCARD & 1);

    g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_OUT, 0, data, 512, 0 }), ==,
                     VIRTIO_BLK_S_IOERR);
    g_assert_cmpuint(ask(&f, &(Ask) { VIRTIO_BLK_T_DISCARD, 0, data, 16, 0 }), ==,
                     VIRTIO_BLK_S_UNSUPP);
    g_assert_cmpuint(ask(&f, &(Ask) { .type = VIRTIO_BLK_T_IN, .in_size = 512 }), ==,
                     VIRTIO_BLK_S_OK);
    fixture_done(&f);
}

static void test_properties_that_are_refused(void)
{
    static const struct {
        const char *props;
        const char *words;
    } cases[] = {
        { "'drive': 'absent'", "'drive'" },
        { "'drive': 'n', 'serial': 'more than twenty letters'", "'serial'" },
        { "'drive': 'n', 'queue-size': 100", "'queue-size'" },
        { "'drive': 'n', 'logical_block_size': 1000", "'logical_block_size'" },
        { "'drive': 'n', 'logical_block_size': 4096, 'physical_block_size': 512",
          "'physical_block_size'" },
        { "'drive': 'n', 'min_io_size': 700", "'min_io_size'" },
        { "'drive': 'n', 'rerror': 'enospc'", "'rerror'" },
        { "'drive': 'n', 'iothread': 'absent'", "'iothread'" },
        { "'drive': 'n', 'iothread': 'a', 'iothread-vq-mapping': [{'iothread': 'a'}]",
          "exclude" },
        { "'drive': 'n', 'iothread-vq-mapping': []", "one at least" },
        { "'drive': 'n', 'iothread-vq-mapping': [{'iothread': 'a', 'vqs': [0]},"
          "{'iothread': 'a'}]", "for none" },
        { "'drive': 'n', 'num-queues': 2, 'iothread-vq-mapping': ["
          "{'iothread': 'a', 'vqs': [0]}]", "queue 1 has no" },
        { "'drive': 'n', 'num-queues': 1, 'iothread-vq-mapping': ["
          "{'iothread': 'a', 'vqs': [0, 1]}]", "queue 1 is not there" },
        { "'drive': 'n', 'num-queues': 1, 'iothread-vq-mapping': ["
          "{'iothread': 'a', 'vqs': [0, 0]}]", "queue 0 is named twice" },
        { "'drive': 'n', 'packed': true", "packed" },
        { "'drive': 'n', 'iommu_platform': true", "iommu_platform" },
        { "'drive': 'n', 'ats': true", "'ats': there is no IOMMU" },
        { "'drive': 'n', 'aer': true", "'aer'" },
        { "'drive': 'n', 'page-per-vq': true", "'page-per-vq'" },
        { "'drive': 'n', 'queue_reset': true", "'queue_reset'" },
        { "'drive': 'n', 'any_layout': false", "'any_layout'" },
        { "'drive': 'n', 'notify_on_empty': true", "'notify_on_empty'" },
        { "'drive': 'n', 'scsi': true", "virtio-scsi-pci" },
        { "'drive': 'n', 'cyls': 16383, 'heads': 16, 'secs': 63", "no geometry" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add_object(kit, "{'qom-type': 'iothread', 'id': 'a'}");
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'n'}");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *json =
            g_strdup_printf("{'driver': 'virtio-blk-pci', %s}", cases[i].props);

        kit_assert_refused(kit, json, cases[i].words);
    }
    kit_add(kit, "{'driver': 'virtio-blk-pci', 'drive': 'n', 'id': 'first', "
            "'scsi': false, 'ats': false, 'aer': false, 'page-per-vq': false, "
            "'queue_reset': false, 'any_layout': true, 'notify_on_empty': false, "
            "'cyls': 0}");
    kit_assert_refused(kit, "{'driver': 'virtio-blk-pci', 'drive': 'n'}", "'first'");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-blk/writes-and-reads", test_writes_and_reads);
    g_test_add_func("/virtio-blk/header-and-status-within-other-buffers",
                    test_header_and_status_within_other_buffers);
    g_test_add_func("/virtio-blk/slot-that-is-used-again-and-again",
                    test_slot_that_is_used_again_and_again);
    g_test_add_func("/virtio-blk/serial-number", test_serial_number);
    g_test_add_func("/virtio-blk/configuration", test_configuration);
    g_test_add_func("/virtio-blk/discard-and-zeroes", test_discard_and_zeroes);
    g_test_add_func("/virtio-blk/requests-that-are-refused",
                    test_requests_that_are_refused);
    g_test_add_func("/virtio-blk/chains-that-are-no-requests",
                    test_chains_that_are_no_requests);
    g_test_add_func("/virtio-blk/read-only", test_read_only);
    g_test_add_func("/virtio-blk/properties-that-are-refused",
                    test_properties_that_are_refused);
    return g_test_run();
}
