/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of a SCSI disk, as a driver sees them: data, capacity, freeing, what the
 * unit is, modes, and sense for what no driver may ask, by table.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/block-drive.h"
#include "berth/error.h"

#include "kit-scsi.h"

#define DISK_SIZE (4u * MIB)
#define N_BLOCKS (DISK_SIZE / 512)

typedef struct Fixture {
    KitBoard *kit;
    KitScsi *scsi;
    BlockNode *node;
    char *path;
} Fixture;

/* A disk with these @props on a file with these options of its @node. */
static void fixture_init(Fixture *f, const char *node, const char *props)
{
    g_autofree char *device =
        g_strconcat("{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n'", props, "}", NULL);
    g_autofree char *json = NULL;

    *f = (Fixture) { .kit = kit_board_new() };
    f->path = g_strdup("build/test-scsi-disk-XXXXXX");
    close(g_mkstemp(f->path));
    g_assert_cmpint(truncate(f->path, DISK_SIZE), ==, 0);
    json = g_strdup_printf("{'driver': 'file', 'node-name': 'n', 'filename': '%s'%s}",
                           f->path, node);
    f->node = kit_add_node(f->kit, json);
    kit_add(f->kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba', 'num_queues': 1}");
    kit_add(f->kit, device);
    kit_start(f->kit);
    f->scsi = kit_scsi_new(f->kit, "hba");
    kit_scsi_clear(f->scsi, 0, 0);
}

static void fixture_done(Fixture *f)
{
    kit_scsi_free(f->scsi);
    kit_board_free(f->kit);
    g_unlink(f->path);
    g_free(f->path);
}

/* The file's bytes, without the device. */
static uint8_t byte_at(Fixture *f, uint64_t offset)
{
    uint8_t byte;

    g_assert_cmpint(block_io_read(f->node, offset, &byte, 1), ==, 0);
    return byte;
}

/* Each size of READ and WRITE moves the same blocks. */
static void test_every_read_and_write(void)
{
    static const struct {
        const char *write;
        const char *read;
        uint32_t lba;
        uint32_t n;
    } cases[] = {
        { "0a 001005 03 00", "08 001005 03 00", 0x1005, 3 },
        { "0a 000100 00 00", "08 000100 00 00", 0x100, 256 },
        { "2a 00 00000007 00 0002 00", "28 00 00000007 00 0002 00", 7, 2 },
        { "2a 08 00000008 00 0001 00", "28 08 00000008 00 0001 00", 8, 1 },
        { "2a 10 00000009 00 0001 00", "28 10 00000009 00 0001 00", 9, 1 },
        { "aa 00 00000010 00000004 00 00", "a8 00 00000010 00000004 00 00", 16, 4 },
        { "8a 00 0000000000001fff 00000001 00 00",
          "88 00 0000000000001fff 00000001 00 00", N_BLOCKS - 1, 1 },
        { "2e 00 00000020 00 0002 00", "28 00 00000020 00 0002 00", 32, 2 },
        { "ae 00 00000022 00000002 00 00", "28 00 00000022 00 0002 00", 34, 2 },
        { "8e 00 0000000000000024 00000002 00 00", "28 00 00000024 00 0002 00", 36, 2 },
    };
    Fixture f;

    fixture_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t size = cases[i].n * 512;
        g_autofree uint8_t *expected = g_malloc(size);
        uint8_t *data = kit_scsi_data(f.scsi, 0);

        memset(expected, (int)(0x31 + i), size);
        expected[0] = 0x99;
        memcpy(data, expected, size);
        g_assert_cmphex(kit_scsi_sense(f.scsi, cases[i].write, size, 0), ==, 0);
        g_assert_cmphex(byte_at(&f, cases[i].lba * 512ull), ==, 0x99);
        g_assert_cmphex(byte_at(&f, cases[i].lba * 512ull + size - 1), ==, 0x31 + i);
        g_assert_cmpmem(kit_scsi_get(f.scsi, cases[i].read, size), size, expected, size);
    }
    fixture_done(&f);
}

static void test_capacity(void)
{
    static const uint8_t ten[] = { 0, 0, 0x1f, 0xff, 0, 0, 2, 0 };
    static const uint8_t sixteen[32] = {
        0, 0, 0, 0, 0, 0, 0x1f, 0xff, 0, 0, 2, 0, 0, 3, 0x80,
    };
    Fixture f;

    fixture_init(&f, "", ", 'physical_block_size': 4096");
    g_assert_cmpmem(kit_scsi_get(f.scsi, "25 00 00000000 0000 00 00", 8), 8, ten, 8);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "9e 10 0000000000000000 00000020 00 00", 32), 32,
                    sixteen, 32);
    kit_scsi_get(f.scsi, "9e 10 0000000000000000 0000000c 00 00", 12);
    fixture_done(&f);
}

/* A disk of blocks that READ CAPACITY(10) cannot count. */
static void test_capacity_beyond_32_bits(void)
{
    static const uint8_t more[] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0 };
    static const uint8_t last[] = { 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff };
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autoptr(KitScsi) scsi = NULL;

    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'n', 'size': 4398046511104}");
    kit_add(kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba', 'num_queues': 1}");
    kit_add(kit, "{'driver': 'scsi-hd', 'drive': 'n'}");
    kit_start(kit);
    scsi = kit_scsi_new(kit, "hba");
    kit_scsi_clear(scsi, 0, 0);

    g_assert_cmpmem(kit_scsi_get(scsi, "25 00 00000000 0000 00 00", 8), 8, more, 8);
    g_assert_cmpmem(kit_scsi_get(scsi, "9e 10 0000000000000000 00000020 00 00", 32), 8,
                    last, 8);
    g_assert_cmphex(kit_scsi_sense(scsi, "88 00 00000001ffffffff 00000001 00 00", 0, 512),
                    ==, 0);
    g_assert_cmphex(kit_scsi_sense(scsi, "88 00 0000000200000000 00000001 00 00", 0, 512),
                    ==, 0x052100);
}

static void put_descriptor(uint8_t *list, unsigned n, uint64_t lba, uint32_t n_blocks)
{
    lba = GUINT64_TO_BE(lba);
    n_blocks = GUINT32_TO_BE(n_blocks);
    memcpy(list + 8 + 16 * n, &lba, 8);
    memcpy(list + 8 + 16 * n + 8, &n_blocks, 4);
    memset(list + 8 + 16 * n + 12, 0, 4);
}

static void put_unmap_header(uint8_t *list, unsigned size)
{
    memset(list, 0, 8);
    list[0] = (uint8_t)((size + 6) >> 8);
    list[1] = (uint8_t)(size + 6);
    list[2] = (uint8_t)(size >> 8);
    list[3] = (uint8_t)size;
}

static void test_unmap_frees_each_range(void)
{
    uint8_t *list;
    Fixture f;

    fixture_init(&f, ", 'discard': 'unmap'", "");
    kit_scsi_write(f.scsi, 0, 0x55, 64);
    list = kit_scsi_data(f.scsi, 0);
    put_unmap_header(list, 3 * 16);
    put_descriptor(list, 0, 8, 16);
    put_descriptor(list, 1, 3, 0);
    put_descriptor(list, 2, 40, 8);

    g_assert_cmphex(kit_scsi_sense(f.scsi, "42 00 00000000 00 0038 00", 56, 0), ==, 0);

    g_assert_cmphex(byte_at(&f, 7 * 512), ==, 0x55);
    g_assert_cmphex(byte_at(&f, 8 * 512), ==, 0);
    g_assert_cmphex(byte_at(&f, 24 * 512 - 1), ==, 0);
    g_assert_cmphex(byte_at(&f, 24 * 512), ==, 0x55);
    g_assert_cmphex(byte_at(&f, 40 * 512), ==, 0);
    g_assert_cmphex(byte_at(&f, 48 * 512), ==, 0x55);
    fixture_done(&f);
}

static void test_unmap_that_is_refused(void)
{
    static const struct {
        const char *cdb;
        unsigned list_size;     /* of descriptors, as the header says */
        uint64_t lba;
        uint32_t n;
        uint32_t sense;
    } cases[] = {
        { "42 00 00000000 00 0000 00", 16, 0, 8, 0 },
        { "42 00 00000000 00 0007 00", 16, 0, 8, 0x051a00 },
        { "42 00 00000000 00 0008 00", 16, 0, 8, 0x051a00 },
        { "42 00 00000000 00 0017 00", 16, 0, 8, 0x051a00 },
        { "42 00 00000000 00 0018 00", 32, 0, 8, 0x051a00 },
        { "42 00 00000000 00 0018 00", 15, 0, 8, 0 },
        { "42 01 00000000 00 0018 00", 16, 0, 8, 0x052400 },
        { "42 00 00000000 00 0018 00", 16, N_BLOCKS, 1, 0x052100 },
        { "42 00 00000000 00 0018 00", 16, N_BLOCKS, 0, 0 },
        { "42 00 00000000 00 0018 00", 16, N_BLOCKS - 1, 2, 0x052100 },
        { "42 00 00000000 00 0018 00", 16, UINT64_MAX, 1, 0x052100 },
        { "42 00 00000000 00 0018 00", 16, 1, UINT32_MAX, 0x052100 },
        { "42 00 00000000 00 0018 00", 16, 0, 129, 0x052600 },
        { "42 00 00000000 00 1008 00", 0x1000, 0, 0, 0x052600 },
    };
    Fixture f;

    fixture_init(&f, "", ", 'max_unmap_size': 65536");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t *list = kit_scsi_data(f.scsi, 0);
        uint32_t sense;

        memset(list, 0, 0x1008);
        put_unmap_header(list, cases[i].list_size);
        put_descriptor(list, 0, cases[i].lba, cases[i].n);
        sense = kit_scsi_sense(f.scsi, cases[i].cdb, 0x1008, 0);
        if (sense != cases[i].sense)
            g_error("case %zu: sense 0x%06x, not 0x%06x", i, sense, cases[i].sense);
    }
    fixture_done(&f);
}

static void test_write_same(void)
{
    uint8_t *data;
    Fixture f;

    fixture_init(&f, "", "");
    kit_scsi_write(f.scsi, 0, 0x55, 64);
    data = kit_scsi_data(f.scsi, 0);

    /* A pattern, over more than is written at once. */
    for (unsigned i = 0; i < 512; i++)
        data[i] = (uint8_t)(i * 3);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "41 00 00000008 00 0200 00", 512, 0), ==, 0);
    g_assert_cmphex(byte_at(&f, 8 * 512 - 1), ==, 0x55);
    for (unsigned lba = 8; lba < 520; lba += 73)
        g_assert_cmphex(byte_at(&f, lba * 512 + 100), ==, 300 & 0xff);
    g_assert_cmphex(byte_at(&f, 519 * 512 + 511), ==, (511 * 3) & 0xff);
    g_assert_cmphex(byte_at(&f, 520 * 512 + 100), ==, 0);

    /* Zeroes, that may be freed, with and without data. */
    memset(data, 0, 512);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "93 08 0000000000000008 00000010 00 00", 512,
                                   0), ==, 0);
    g_assert_cmphex(byte_at(&f, 8 * 512 + 100), ==, 0);
    g_assert_cmphex(byte_at(&f, 24 * 512 + 100), ==, 300 & 0xff);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "93 01 0000000000000018 00000001 00 00", 0, 0),
                    ==, 0);
    g_assert_cmphex(byte_at(&f, 24 * 512 + 100), ==, 0);
    fixture_done(&f);
}

static const KitScsiSense refused[] = {
    { "28 00 00002000 00 0001 00", 0, 512, 0x052100 },
    { "28 00 00001fff 00 0002 00", 0, 1024, 0x052100 },
    { "28 00 00002000 00 0000 00", 0, 0, 0 },
    { "28 00 00002001 00 0000 00", 0, 0, 0x052100 },
    { "28 20 00000000 00 0001 00", 0, 512, 0x052400 },
    { "88 00 ffffffffffffffff 00000001 00 00", 0, 512, 0x052100 },
    { "88 00 0000000000000001 ffffffff 00 00", 0, 512, 0x052100 },
    { "8a 00 0080000000000000 00000001 00 00", 512, 0, 0x052100 },
    { "a8 00 ffffffff ffffffff 00 00", 0, 512, 0x052100 },
    { "2a 00 ffffffff 00 ffff 00", 512, 0, 0x052100 },
    { "2e 02 00000000 00 0001 00", 512, 0, 0x052400 },
    { "2f 00 00002000 00 0001 00", 0, 0, 0x052100 },
    { "2f 02 00000000 00 0001 00", 512, 0, 0x052400 },
    { "2f 00 00000000 00 0001 00", 0, 0, 0 },
    { "35 00 00002000 00 0001 00", 0, 0, 0x052100 },
    { "35 00 00000000 00 0000 00", 0, 0, 0 },
    { "91 00 0000000000000000 00000000 00 00", 0, 0, 0 },
    { "41 00 00000000 00 0000 00", 512, 0, 0x052400 },
    { "41 01 00000000 00 0001 00", 512, 0, 0x052400 },
    { "41 04 00000000 00 0001 00", 512, 0, 0x052400 },
    { "93 10 0000000000000000 00000001 00 00", 512, 0, 0x052400 },
    { "93 00 0000000000000000 ffffffff 00 00", 512, 0, 0x052400 },
    { "93 00 0000000000002000 00000001 00 00", 512, 0, 0x052100 },
    { "9e 11 0000000000000000 00000020 00 00", 0, 32, 0x052400 },
    { "9e 10 0000000000000001 00000020 00 00", 0, 32, 0x052400 },
    { "25 00 00000001 0000 00 00", 0, 8, 0x052400 },
    { "1a 00 3f 01 ff 00", 0, 255, 0x052400 },
    { "1a 00 7f ff ff 00", 0, 255, 0 },
    { "1a 00 c8 00 ff 00", 0, 255, 0x053900 },
    { "1a 00 2a 00 ff 00", 0, 255, 0x052400 },
    { "12 00 80 00 ff 00", 0, 255, 0x052400 },
    { "12 02 00 00 ff 00", 0, 255, 0x052400 },
    { "12 01 81 00 ff 00", 0, 255, 0x052400 },
    { "1d 00 00 00 00 00", 0, 0, 0x052400 },
    { "1d 04 00 00 00 00", 0, 0, 0 },
    { "16 00 00 00 00 00", 0, 0, 0 },
    { "17 01 00 00 00 00", 0, 0, 0x052400 },
    { "43 00 00 00 00 00 00 00 14 00", 0, 20, 0x052000 },
    { "7f 00 00 00 00 00 00 18 00 00", 0, 512, 0x052000 },
    { "ff 00 00 00 00 00", 0, 0, 0x052000 },
    { "5f 00 00 00 00 00 00 00 18 00", 24, 0, 0x052000 },
};

/* One sense a command: what the disk does not do, and the disk goes on. */
static void test_sense_of_what_is_refused(void)
{
    Fixture f;

    fixture_init(&f, "", "");
    kit_scsi_check_senses(f.scsi, refused, G_N_ELEMENTS(refused));
    kit_scsi_write(f.scsi, 5, 0x66, 1);
    g_assert_cmphex(kit_scsi_read(f.scsi, 5, 1)[511], ==, 0x66);
    g_assert_false(kit_virtio_status(f.scsi->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmpuint(f.kit->n_io_errors, ==, 0);
    fixture_done(&f);
}

/* Each command with buffers that are too small, or of the wrong direction. */
static void test_commands_without_room_for_their_data(void)
{
    static const struct {
        KitScsiCommand command;
    } cases[] = {
        { { .cdb = { 0x28, [8] = 2 }, .in_size = 1023 } },
        { { .cdb = { 0x28, [8] = 1 }, .out_size = 512 } },
        { { .cdb = { 0x2a, [8] = 2 }, .out_size = 1023 } },
        { { .cdb = { 0x2a, [8] = 1 }, .in_size = 512 } },
        { { .cdb = { 0x2a, [8] = 1 } } },
        { { .cdb = { 0x12, [4] = 36 }, .in_size = 35 } },
        { { .cdb = { 0x12, [4] = 36 } } },
        { { .cdb = { 0x1a, [2] = 0x3f, [4] = 255 }, .in_size = 254 } },
        { { .cdb = { 0x15, 0x10, [4] = 24 }, .out_size = 23 } },
        { { .cdb = { 0x42, [8] = 24 }, .out_size = 23 } },
        { { .cdb = { 0x41, [8] = 1 }, .out_size = 511 } },
        { { .cdb = { 0x25 }, .in_size = 7 } },
        { { .cdb = { 0xa0, [6] = 0xff, 0xff, 0xff, 0xff }, .in_size = 4096 } },
        { { .cdb = { 0x9e, 0x10, [10] = 0xff, 0xff, 0xff, 0xff }, .in_size = 4096 } },
    };
    Fixture f;

    fixture_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KitScsiResult result = kit_scsi_ask(f.scsi, &cases[i].command);

        if (result.response != VIRTIO_SCSI_S_OVERRUN || result.n_written != 108)
            g_error("case %zu: response %u, %u bytes", i, result.response,
                    result.n_written);
    }
    fixture_done(&f);
}

static void test_inquiry(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, "", ", 'serial': 'S1', 'wwn': 5764824127192592812, "
                 "'rotation_rate': 1, 'vendor': 'ACME', 'ver': '7.1', 'device_id': 'D'");
    data = kit_scsi_get(f.scsi, "12 00 00 00 ff 00", 36);
    g_assert_cmphex(data[0], ==, 0x00);
    g_assert_cmphex(data[1], ==, 0x00);
    g_assert_cmphex(data[2], ==, 5);
    g_assert_cmphex(data[4], ==, 31);
    g_assert_cmpmem(data + 8, 28, "ACME    QEMU HARDDISK   7.1 ", 28);
    kit_scsi_get(f.scsi, "12 00 00 00 05 00", 5);

    g_assert_cmpmem(kit_scsi_get(f.scsi, "12 01 00 00 ff 00", 10), 10,
                    "\x00\x00\x00\x06\x00\x80\x83\xb0\xb1\xb2", 10);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "12 01 80 00 ff 00", 6), 6,
                    "\x00\x80\x00\x02S1", 6);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "12 01 83 00 ff 00", 21), 21,
                    "\x00\x83\x00\x11\x02\x00\x00\x01" "D\x01\x03\x00\x08"
                    "\x50\x00\xc5\x00\x15\xea\x71\xac", 21);
    data = kit_scsi_get(f.scsi, "12 01 b1 00 ff 00", 64);
    g_assert_cmphex(data[5], ==, 1);
    data = kit_scsi_get(f.scsi, "12 01 b2 00 ff 00", 8);
    g_assert_cmphex(data[5], ==, 0xe0);
    g_assert_cmphex(data[6], ==, 2);
    fixture_done(&f);
}

static void test_limits(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, "", ", 'min_io_size': 4096, 'opt_io_size': 65536, "
                 "'discard_granularity': 8192, 'max_unmap_size': 1048576");
    data = kit_scsi_get(f.scsi, "12 01 b0 00 ff 00", 64);
    g_assert_cmphex(data[3], ==, 60);
    g_assert_cmpmem(data + 6, 2, "\x00\x08", 2);
    g_assert_cmpmem(data + 12, 4, "\x00\x00\x00\x80", 4);
    g_assert_cmpmem(data + 20, 4, "\x00\x00\x08\x00", 4);
    g_assert_cmpmem(data + 24, 4, "\x00\x00\x00\xff", 4);
    g_assert_cmpmem(data + 28, 4, "\x00\x00\x00\x10", 4);
    fixture_done(&f);
}

/* A disk without a granularity of discards is not thin. */
static void test_no_discard(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, "", ", 'discard_granularity': 0");
    data = kit_scsi_get(f.scsi, "9e 10 0000000000000000 00000020 00 00", 32);
    g_assert_cmphex(data[14], ==, 0);
    data = kit_scsi_get(f.scsi, "12 01 b2 00 ff 00", 8);
    g_assert_cmphex(data[5], ==, 0);
    fixture_done(&f);
}

static bool has_write_cache(Fixture *f)
{
    return kit_scsi_get(f->scsi, "1a 08 08 00 ff 00", 24)[6] & 0x04;
}

static uint32_t select_mode(Fixture *f, const char *cdb, const char *bytes, size_t size)
{
    memcpy(kit_scsi_data(f->scsi, 0), bytes, size);
    return kit_scsi_sense(f->scsi, cdb, (uint32_t)size, 0);
}

#define CACHING(wce)                                                                     \
    "\x08\x12" wce "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

static void test_modes(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, "", "");
    data = kit_scsi_get(f.scsi, "1a 00 3f 00 ff 00", 4 + 8 + 12 + 20 + 12);
    g_assert_cmphex(data[0], ==, 55);
    g_assert_cmphex(data[2], ==, 0);
    g_assert_cmphex(data[3], ==, 8);
    g_assert_cmpmem(data + 4, 8, "\x00\x00\x20\x00\x00\x00\x02\x00", 8);
    data = kit_scsi_get(f.scsi, "5a 08 08 00 00 00 00 00ff 00", 8 + 20);
    g_assert_cmphex(data[1], ==, 26);
    g_assert_cmphex(data[8], ==, 0x08);
    g_assert_cmphex(kit_scsi_get(f.scsi, "1a 08 48 00 ff 00", 24)[6], ==, 0x04);
    g_assert_true(has_write_cache(&f));

    g_assert_cmphex(select_mode(&f, "15 10 00 00 18 00", "\0\0\0\0" CACHING("\x00"), 24),
                    ==, 0);
    g_assert_false(has_write_cache(&f));
    g_assert_cmphex(kit_scsi_get(f.scsi, "1a 08 88 00 ff 00", 24)[6], ==, 0x04);
    kit_scsi_write(f.scsi, 0, 0x11, 1);

    g_assert_cmphex(select_mode(&f, "55 10 00 00 00 00 00 0024 00",
                                "\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\x02\0" CACHING("\x04"),
                                36), ==, 0);
    g_assert_true(has_write_cache(&f));
    fixture_done(&f);
}

static void test_write_cache_that_is_off(void)
{
    Fixture f;

    fixture_init(&f, "", ", 'write-cache': 'off'");
    g_assert_false(has_write_cache(&f));
    g_assert_cmphex(kit_scsi_get(f.scsi, "1a 08 88 00 ff 00", 24)[6], ==, 0);
    kit_scsi_write(f.scsi, 0, 0x11, 1);
    fixture_done(&f);
}

/* -drive cache=writethrough, unless the device says. */
static void test_write_cache_of_the_drive(void)
{
    static const struct {
        const char *props;
        bool has_cache;
    } cases[] = { { "", false }, { ", 'write-cache': 'on'", true } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const BlockDriveOptions options = { .name = "d", .write_through = true };
        g_autofree char *device = g_strconcat("{'driver': 'scsi-hd', 'drive': 'd'",
                                              cases[i].props, "}", NULL);
        Fixture f = { .kit = kit_board_new() };
        GError *error = NULL;

        f.node = kit_add_node(f.kit, "{'driver': 'null-co', 'node-name': 'n'}");
        block_drive_new(f.kit->blocks, &options, f.node, &error);
        g_assert_no_error(error);
        kit_add(f.kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba', 'num_queues': 1}");
        kit_add(f.kit, device);
        kit_start(f.kit);
        f.scsi = kit_scsi_new(f.kit, "hba");
        kit_scsi_clear(f.scsi, 0, 0);

        g_assert_cmpint(has_write_cache(&f), ==, cases[i].has_cache);
        kit_scsi_free(f.scsi);
        kit_board_free(f.kit);
    }
}

/* A list that is wrong in one place changes nothing. */
static void test_modes_that_are_refused(void)
{
    static const struct {
        const char *cdb;
        const char *bytes;
        uint32_t size;
        uint32_t sense;
    } cases[] = {
        { "15 00 00 00 18 00", "\0\0\0\0" CACHING("\x00"), 24, 0x052400 },
        { "15 11 00 00 18 00", "\0\0\0\0" CACHING("\x00"), 24, 0x052400 },
        { "15 10 00 00 00 00", "", 0, 0 },
        { "15 10 00 00 03 00", "\0\0\0", 3, 0x051a00 },
        { "15 10 00 00 04 00", "\0\0\0\0", 4, 0 },
        { "15 10 00 00 17 00", "\0\0\0\0" CACHING("\x00"), 23, 0x051a00 },
        { "15 10 00 00 05 00", "\0\0\0\0\x08", 5, 0x051a00 },
        { "15 10 00 00 06 00", "\0\0\0\0\x08\xff", 6, 0x051a00 },
        { "15 10 00 00 06 00", "\0\0\0\0\x08\x00", 6, 0x052600 },
        { "15 10 00 00 04 00", "\0\0\0\xff", 4, 0x051a00 },
        { "15 10 00 00 0c 00", "\0\0\0\x08\0\0\0\0\0\0\x10\0", 12, 0x052600 },
        { "15 10 00 00 08 00", "\0\0\0\x04\0\0\0\0", 8, 0x052600 },
        { "15 10 00 00 18 00", "\0\0\0\0" CACHING("\x01"), 24, 0x052600 },
        { "15 10 00 00 06 00", "\0\0\0\0\x3f\x00", 6, 0x052600 },
        { "15 10 00 00 1a 00", "\0\0\0\0" CACHING("\x00") "\x2a\x00", 26, 0x052600 },
        { "55 10 00 00 00 00 00 0007 00", "\0\0\0\0\0\0\0", 7, 0x051a00 },
        { "55 10 00 00 00 00 00 0008 00", "\0\0\0\0\0\0\xff\xff", 8, 0x051a00 },
    };
    Fixture f;

    fixture_init(&f, "", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t sense = select_mode(&f, cases[i].cdb, cases[i].bytes, cases[i].size);

        if (sense != cases[i].sense)
            g_error("case %zu: sense 0x%06x, not 0x%06x", i, sense, cases[i].sense);
        if (!has_write_cache(&f))
            g_error("case %zu: the write cache is off", i);
    }
    memset(kit_scsi_data(f.scsi, 0), 0, 0xffff);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "55 10 00 00 00 00 00 ffff 00", 0xffff, 0), ==,
                    0x051a00);
    fixture_done(&f);
}

static void test_read_only(void)
{
    static const char *const writes[] = {
        "2a 00 00000000 00 0001 00", "2e 00 00000000 00 0001 00",
        "41 00 00000000 00 0001 00", "42 00 00000000 00 0018 00",
        "93 01 0000000000000000 00000001 00 00",
    };
    Fixture f;

    fixture_init(&f, ", 'read-only': true", "");
    g_assert_cmphex(kit_scsi_get(f.scsi, "1a 08 08 00 ff 00", 24)[2], ==, 0x80);
    for (size_t i = 0; i < G_N_ELEMENTS(writes); i++)
        g_assert_cmphex(kit_scsi_sense(f.scsi, writes[i], 512, 0), ==, 0x072700);
    kit_scsi_read(f.scsi, 0, 1);
    fixture_done(&f);
}

/* Large blocks: addresses and sizes count in them. */
static void test_logical_blocks_of_4096_bytes(void)
{
    static const uint8_t ten[] = { 0, 0, 3, 0xff, 0, 0, 0x10, 0 };
    Fixture f;

    fixture_init(&f, "", ", 'logical_block_size': 4096");
    g_assert_cmpmem(kit_scsi_get(f.scsi, "25 00 00000000 0000 00 00", 8), 8, ten, 8);
    memset(kit_scsi_data(f.scsi, 0), 0x77, 4096);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "2a 00 00000003 00 0001 00", 4096, 0), ==, 0);
    g_assert_cmphex(byte_at(&f, 3 * 4096), ==, 0x77);
    g_assert_cmphex(byte_at(&f, 4 * 4096), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "28 00 00000400 00 0001 00", 0, 4096), ==,
                    0x052100);
    fixture_done(&f);
}

static void test_removable_disk(void)
{
    Fixture f;

    fixture_init(&f, "", ", 'removable': true");
    g_assert_cmphex(kit_scsi_get(f.scsi, "12 00 00 00 24 00", 36)[1], ==, 0x80);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1e 00 00 00 01 00", 0, 0), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1b 00 00 00 02 00", 0, 0), ==, 0x055302);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1e 00 00 00 00 00", 0, 0), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1b 00 00 00 02 00", 0, 0), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "28 00 00000000 00 0001 00", 0, 512), ==,
                    0x023a02);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1b 00 00 00 03 00", 0, 0), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0x062800);
    kit_scsi_read(f.scsi, 0, 1);
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "hd+ hd-");
    fixture_done(&f);
}

/* A disk that cannot be taken out stops and starts without losing its medium. */
static void test_start_and_stop(void)
{
    Fixture f;

    fixture_init(&f, "", "");
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1b 00 00 00 00 00", 0, 0), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1b 00 00 00 02 00", 0, 0), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1b 00 00 00 01 00", 0, 0), ==, 0);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "1b 00 00 00 20 00", 0, 0), ==, 0);
    kit_scsi_read(f.scsi, 0, 1);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "");
    fixture_done(&f);
}

static void test_request_sense(void)
{
    Fixture f;

    fixture_init(&f, "", "");
    g_assert_cmpmem(kit_scsi_get(f.scsi, "03 00 00 00 ff 00", 18), 3, "\x70\0\0", 3);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "03 01 00 00 ff 00", 8), 2, "\x72\0", 2);
    kit_scsi_restart(f.scsi);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "03 01 00 00 ff 00", 8), 4, "\x72\x06\x29\x01",
                    4);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "00 00 00 00 00 00", 0, 0), ==, 0);
    fixture_done(&f);
}

/* INQUIRY, REQUEST SENSE and REPORT LUNS are done in spite of a unit attention. */
static void test_unit_attention(void)
{
    Fixture f;

    fixture_init(&f, "", "");
    kit_scsi_restart(f.scsi);
    kit_scsi_get(f.scsi, "12 00 00 00 24 00", 36);
    kit_scsi_get(f.scsi, "a0 00 00 00 00 00 00000010 00 00", 16);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "28 00 00000000 00 0001 00", 0, 512), ==,
                    0x062901);
    kit_scsi_read(f.scsi, 0, 1);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scsi-disk/every-read-and-write", test_every_read_and_write);
    g_test_add_func("/scsi-disk/capacity", test_capacity);
    g_test_add_func("/scsi-disk/capacity-beyond-32-bits", test_capacity_beyond_32_bits);
    g_test_add_func("/scsi-disk/unmap-frees-each-range", test_unmap_frees_each_range);
    g_test_add_func("/scsi-disk/unmap-that-is-refused", test_unmap_that_is_refused);
    g_test_add_func("/scsi-disk/write-same", test_write_same);
    g_test_add_func("/scsi-disk/sense-of-what-is-refused", test_sense_of_what_is_refused);
    g_test_add_func("/scsi-disk/commands-without-room-for-their-data",
                    test_commands_without_room_for_their_data);
    g_test_add_func("/scsi-disk/inquiry", test_inquiry);
    g_test_add_func("/scsi-disk/limits", test_limits);
    g_test_add_func("/scsi-disk/no-discard", test_no_discard);
    g_test_add_func("/scsi-disk/modes", test_modes);
    g_test_add_func("/scsi-disk/write-cache-that-is-off", test_write_cache_that_is_off);
    g_test_add_func("/scsi-disk/write-cache-of-the-drive", test_write_cache_of_the_drive);
    g_test_add_func("/scsi-disk/modes-that-are-refused", test_modes_that_are_refused);
    g_test_add_func("/scsi-disk/read-only", test_read_only);
    g_test_add_func("/scsi-disk/logical-blocks-of-4096-bytes",
                    test_logical_blocks_of_4096_bytes);
    g_test_add_func("/scsi-disk/removable-disk", test_removable_disk);
    g_test_add_func("/scsi-disk/start-and-stop", test_start_and_stop);
    g_test_add_func("/scsi-disk/request-sense", test_request_sense);
    g_test_add_func("/scsi-disk/unit-attention", test_unit_attention);
    return g_test_run();
}
