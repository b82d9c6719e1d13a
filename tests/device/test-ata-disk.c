/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of an ATA disk, as a driver sees them: data, what the disk is, features,
 * power, TRIM, logs, and what no driver may ask, by table.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/block-drive.h"

#include "kit-ahci.h"
#include "kit-qmp.h"

#define DISK_SIZE (64u * MIB)
#define N_SECTORS (DISK_SIZE / 512)

typedef struct Fixture {
    KitBoard *kit;
    KitAhci *port;
    BlockNode *node;
    char *path;
} Fixture;

static void fixture_init(Fixture *f, const char *props)
{
    g_autofree char *disk = g_strconcat("{'driver': 'ide-hd', 'id': 'hd', 'drive': 'n', "
                                        "'bus': 'hba.0'", props, "}", NULL);
    g_autofree char *json = NULL;
    Device *hba;

    *f = (Fixture) { .kit = kit_board_new() };
    f->path = g_strdup("build/test-ata-disk-XXXXXX");
    close(g_mkstemp(f->path));
    g_assert_cmpint(truncate(f->path, DISK_SIZE), ==, 0);
    json = g_strdup_printf("{'driver': 'file', 'node-name': 'n', 'filename': '%s', "
                           "'discard': 'unmap'}", f->path);
    f->node = kit_add_node(f->kit, json);
    hba = kit_add(f->kit, "{'driver': 'ahci', 'id': 'hba'}");
    kit_add(f->kit, disk);
    kit_start(f->kit);
    f->port = kit_ahci_new(f->kit, hba, 0);
}

static void fixture_done(Fixture *f)
{
    kit_ahci_free(f->port);
    kit_board_free(f->kit);
    g_unlink(f->path);
    g_free(f->path);
}

/* The file's byte, without the device. */
static uint8_t byte_at(Fixture *f, uint64_t offset)
{
    uint8_t byte;

    g_assert_cmpint(block_io_read(f->node, offset, &byte, 1), ==, 0);
    return byte;
}

typedef struct Ways {
    uint8_t write;
    uint8_t read;
    uint16_t count;
    uint64_t lba;
} Ways;

/* Without EXT the upper bits of the LBA are in the device register. */
static bool is_short(uint8_t command)
{
    return command == 0x20 || command == 0x21 || command >= 0xc0;
}

static uint32_t interrupt_of(uint8_t command)
{
    bool is_pio = command < 0x25 || command == 0x29 || command == 0xc4;

    return command == 0x60 ? KIT_IS_SDBS : is_pio ? KIT_IS_PSS : KIT_IS_DHRS;
}

static void write_and_read(Fixture *f, const Ways *ways, uint8_t value)
{
    KitAta ata = {
        .command = ways->write, .count = ways->count, .lba = ways->lba,
        .size = ways->count * 512u, .writes = true, .is_queued = ways->read == 0x60,
        .device = 0x80,
    };
    uint8_t *data = kit_ahci_data(f->port, 0);

    if (is_short(ways->read)) {
        ata.device = (uint8_t)(ata.lba >> 24);
        ata.lba &= 0xffffff;
    }
    memset(data, value, ata.size);
    data[0] = 0x99;
    g_assert_cmphex(kit_ahci_ask(f->port, &ata) & 0xff, ==, KIT_TFD_GOOD);
    g_assert_cmphex(byte_at(f, ways->lba * 512), ==, 0x99);
    g_assert_cmphex(byte_at(f, ways->lba * 512 + ata.size - 1), ==, value);
    kit_ahci_set(f->port, KIT_PxIS, UINT32_MAX);

    memset(data, 0xee, ata.size);
    ata.command = ways->read;
    ata.writes = false;
    g_assert_cmphex(kit_ahci_ask(f->port, &ata) & 0xff, ==, KIT_TFD_GOOD);
    g_assert_cmphex(data[0], ==, 0x99);
    g_assert_cmphex(data[ata.size - 1], ==, value);
    g_assert_cmphex(kit_ahci_get(f->port, KIT_PxIS), ==, interrupt_of(ways->read));
    if (!ata.is_queued)
        g_assert_cmpuint(kit_ahci_count(f->port, 0), ==, ata.size);
    kit_ahci_set(f->port, KIT_PxIS, UINT32_MAX);
}

/* Each way to read and to write moves the same sectors. */
static void test_every_read_and_write(void)
{
    static const Ways ways[] = {
        { 0xca, 0xc8, 3, 0x1005 },              /* DMA */
        { 0xcb, 0xc9, 16, 0x1100 },
        { 0x30, 0x20, 2, 7 },                   /* PIO */
        { 0x31, 0x21, 1, N_SECTORS - 1 },
        { 0xc5, 0xc4, 9, 100 },                 /* MULTIPLE */
        { 0x35, 0x25, 5, 0x1fff },              /* DMA EXT */
        { 0x3d, 0x25, 5, 0x1f00 },              /* and FUA */
        { 0x34, 0x24, 4, 0x2001 },
        { 0x39, 0x29, 4, 0x2101 },
        { 0xce, 0x29, 4, 0x2201 },
        { 0x61, 0x60, 7, 0x3000 },              /* queued */
    };
    Fixture f;

    fixture_init(&f, "");
    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++)
        write_and_read(&f, &ways[i], (uint8_t)(0x31 + i));
    fixture_done(&f);
}

/* A sector by cylinder, head and sector. */
static void test_geometry(void)
{
    KitAta ata = { .command = 0xc8, .count = 1, .size = 512, .lba = 3 << 8 | 5 };
    Fixture f;

    fixture_init(&f, "");
    kit_ahci_write(f.port, (3 * 16 + 2) * 63 + 4, 0x77, 1);
    kit_ahci_prepare(f.port, 0, &ata);
    memset(kit_ahci_data(f.port, 0), 0xee, 512);
    kit_ahci_table(f.port, 0)[7] = 2;
    kit_ahci_issue(f.port, 1, false);
    g_assert_cmphex(kit_ahci_wait(f.port, 1), ==, KIT_TFD_GOOD);
    g_assert_cmphex(kit_ahci_data(f.port, 0)[511], ==, 0x77);
    fixture_done(&f);
}

static uint16_t word(const uint8_t *data, unsigned n)
{
    return (uint16_t)(data[2 * n] | data[2 * n + 1] << 8);
}

static char *text(const uint8_t *data, unsigned at, unsigned n_words)
{
    char *result = g_malloc0(2 * n_words + 1);

    for (unsigned i = 0; i < n_words; i++) {
        result[2 * i] = (char)(word(data, at + i) >> 8);
        result[2 * i + 1] = (char)word(data, at + i);
    }
    return g_strchomp(result);
}

static const uint8_t *identify(Fixture *f)
{
    const KitAta ata = { .command = 0xec, .size = 512 };
    const uint8_t *data;
    uint8_t sum = 0;

    g_assert_cmphex(kit_ahci_ask(f->port, &ata), ==, KIT_TFD_GOOD);
    data = kit_ahci_data(f->port, 0);
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + data[i]);
    g_assert_cmphex(data[510], ==, 0xa5);
    g_assert_cmphex(sum, ==, 0);
    return data;
}

static void assert_text(const uint8_t *data, unsigned at, unsigned n, const char *wanted)
{
    g_autofree char *found = text(data, at, n);

    g_assert_cmpstr(found, ==, wanted);
}

static void test_identify(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, "");
    data = identify(&f);
    g_assert_cmphex(word(data, 0), ==, 0x0040);
    assert_text(data, 10, 10, "QM00001");
    assert_text(data, 23, 4, "2.5+");
    assert_text(data, 27, 20, "QEMU HARDDISK");
    g_assert_cmphex(word(data, 49) & 0x300, ==, 0x300);
    g_assert_cmpuint(word(data, 60) | (uint32_t)word(data, 61) << 16, ==, N_SECTORS);
    g_assert_cmpuint(word(data, 100) | (uint32_t)word(data, 101) << 16, ==, N_SECTORS);
    g_assert_cmpuint(word(data, 75), ==, 31);
    g_assert_cmphex(word(data, 76), ==, 0x010e);
    g_assert_cmphex(word(data, 83), ==, 0x7400);
    g_assert_cmphex(word(data, 85) & 0x20, ==, 0x20);
    g_assert_cmphex(word(data, 106), ==, 0x4000);
    g_assert_cmpuint(word(data, 169), ==, 1);
    g_assert_cmpuint(word(data, 217), ==, 0);
    g_assert_cmphex(word(data, 87) & 0x100, ==, 0);
    fixture_done(&f);
}

static void test_identity_of_properties(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, ", 'serial': 'S-1', 'model': 'odd', 'ver': '12345678', "
                 "'wwn': 6066930334832433271, 'rotation_rate': 1, "
                 "'physical_block_size': 4096, 'write-cache': 'off', "
                 "'discard_granularity': 0");
    data = identify(&f);
    assert_text(data, 10, 10, "S-1");
    assert_text(data, 23, 4, "12345678");
    assert_text(data, 27, 20, "odd");
    g_assert_cmphex(word(data, 87) & 0x100, ==, 0x100);
    g_assert_cmphex(word(data, 108), ==, 6066930334832433271ull >> 48);
    g_assert_cmphex(word(data, 111), ==, 6066930334832433271ull & 0xffff);
    g_assert_cmpuint(word(data, 217), ==, 1);
    g_assert_cmphex(word(data, 106), ==, 0x6003);
    g_assert_cmphex(word(data, 85) & 0x20, ==, 0);
    g_assert_cmpuint(word(data, 169), ==, 0);
    fixture_done(&f);
}

typedef struct Case {
    uint8_t command;
    uint16_t features;
    uint16_t count;
    uint64_t lba;
    uint32_t size;
    bool writes;
    uint32_t tfd;
} Case;

#define GOOD KIT_TFD_GOOD
#define ABRT KIT_TFD_ABORTED
#define IDNF 0x1051

static const Case cases[] = {
    { 0x00, 0, 0, 0, 0, false, ABRT },                  /* NOP */
    { 0x08, 0, 0, 0, 0, false, ABRT },                  /* of a CD drive */
    { 0xa0, 0, 0, 0, 0, false, ABRT },
    { 0xa1, 0, 0, 0, 512, false, ABRT },
    { 0xff, 0, 0, 0, 0, false, ABRT },
    { 0x10, 0, 0, 0, 0, false, GOOD },
    { 0x25, 0, 1, N_SECTORS, 512, false, IDNF },
    { 0x25, 0, 2, N_SECTORS - 1, 1024, false, IDNF },
    { 0x25, 0, 1, 0xffffffffffff, 512, false, IDNF },
    { 0x35, 0, 1, N_SECTORS, 512, true, IDNF },
    { 0xc8, 0, 1, 0xffffff, 512, false, IDNF },
    { 0x25, 0, 2, 0, 512, false, ABRT },                /* too little room */
    { 0x40, 0, 1, N_SECTORS - 1, 0, false, GOOD },
    { 0x40, 0, 1, N_SECTORS, 0, false, IDNF },
    { 0x42, 0, 0, 0, 0, false, GOOD },
    { 0x42, 0, 0, N_SECTORS - 1, 0, false, IDNF },
    { 0x70, 0, 0, 5, 0, false, GOOD },
    { 0x70, 0, 0, N_SECTORS, 0, false, IDNF },
    { 0xe7, 0, 0, 0, 0, false, GOOD },
    { 0xea, 0, 0, 0, 0, false, GOOD },
    { 0xe0, 0, 0, 0, 0, false, GOOD },
    { 0xe1, 0, 0, 0, 0, false, GOOD },
    { 0xe2, 0, 0, 0, 0, false, GOOD },
    { 0xe3, 0, 0, 0, 0, false, GOOD },
    { 0xe6, 0, 0, 0, 0, false, GOOD },
    { 0xc6, 0, 16, 0, 0, false, GOOD },
    { 0xc6, 0, 3, 0, 0, false, ABRT },
    { 0xc6, 0, 32, 0, 0, false, ABRT },
    { 0xc6, 0, 0, 0, 0, false, GOOD },
    { 0x91, 0, 63, 0, 0, false, GOOD },
    { 0xef, 0x03, 0x46, 0, 0, false, GOOD },
    { 0xef, 0x03, 0x47, 0, 0, false, ABRT },
    { 0xef, 0x03, 0x22, 0, 0, false, GOOD },
    { 0xef, 0x03, 0x23, 0, 0, false, ABRT },
    { 0xef, 0x03, 0x0c, 0, 0, false, GOOD },
    { 0xef, 0x03, 0xff, 0, 0, false, ABRT },
    { 0xef, 0xaa, 0, 0, 0, false, GOOD },
    { 0xef, 0x10, 2, 0, 0, false, ABRT },
    { 0x06, 1, 2, 0, 1024, true, ABRT },                /* TRIM of two sectors */
    { 0x06, 0, 1, 0, 512, true, ABRT },
    { 0x06, 1, 0, 0, 0, true, ABRT },
    { 0x2f, 0, 1, 0x00, 512, false, GOOD },
    { 0x47, 0, 1, 0x10, 512, false, GOOD },
    { 0x2f, 0, 1, 0x30, 512, false, ABRT },
    { 0x2f, 0, 2, 0x10, 1024, false, ABRT },
    { 0x2f, 0, 0, 0x10, 0, false, ABRT },
    { 0x2f, 0, 1, 0x0110, 512, false, ABRT },
    { 0xb0, 0xd0, 1, 0xc24f00, 512, false, GOOD },
    { 0xb0, 0xd1, 1, 0xc24f00, 512, false, GOOD },
    { 0xb0, 0xd0, 1, 0, 512, false, ABRT },
    { 0xb0, 0xd5, 1, 0xc24f00, 512, false, GOOD },
    { 0xb0, 0xd5, 1, 0xc24f01, 512, false, GOOD },
    { 0xb0, 0xd5, 1, 0xc24f06, 512, false, GOOD },
    { 0xb0, 0xd5, 1, 0xc24f09, 512, false, ABRT },
    { 0xb0, 0xda, 0, 0xc24f00, 0, false, GOOD },
    { 0xb0, 0xd9, 0, 0xc24f00, 0, false, GOOD },
    { 0xb0, 0xda, 0, 0xc24f00, 0, false, ABRT },        /* it is disabled */
    { 0xb0, 0xd8, 0, 0xc24f00, 0, false, GOOD },
    { 0xb0, 0xee, 0, 0xc24f00, 0, false, ABRT },
};

static void test_what_commands_answer(void)
{
    Fixture f;

    fixture_init(&f, "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *at = &cases[i];
        const KitAta ata = {
            .command = at->command, .features = at->features, .count = at->count,
            .lba = at->lba, .size = at->size, .writes = at->writes,
        };

        g_test_message("%zu: command 0x%02x", i, at->command);
        g_assert_cmphex(kit_ahci_ask(f.port, &ata), ==, at->tfd);
    }
    kit_ahci_read(f.port, 0, 1);
    fixture_done(&f);
}

/* A queued command whose tag is not its slot's. */
static void test_wrong_tag(void)
{
    const KitAta read = {
        .command = 0x60, .count = 1, .size = 512, .is_queued = true,
    };
    Fixture f;

    fixture_init(&f, "");
    kit_ahci_prepare(f.port, 3, &read);
    kit_ahci_table(f.port, 3)[12] = 9 << 3;
    kit_ahci_issue(f.port, 1 << 3, true);
    g_assert_cmphex(kit_ahci_wait(f.port, 1 << 3), ==, KIT_TFD_ABORTED);
    fixture_done(&f);
}

static void test_power(void)
{
    const KitAta standby = { .command = 0xe2 }, check = { .command = 0xe5 };
    Fixture f;

    fixture_init(&f, "");
    kit_ahci_ask(f.port, &check);
    g_assert_cmphex(kit_ahci_frame(f.port, 0x40)[12], ==, 0xff);
    kit_ahci_ask(f.port, &standby);
    kit_ahci_ask(f.port, &check);
    g_assert_cmphex(kit_ahci_frame(f.port, 0x40)[12], ==, 0);
    kit_ahci_read(f.port, 0, 1);
    kit_ahci_ask(f.port, &check);
    g_assert_cmphex(kit_ahci_frame(f.port, 0x40)[12], ==, 0xff);
    fixture_done(&f);
}

static void test_native_max(void)
{
    const KitAta ext = { .command = 0x27 }, old = { .command = 0xf8 };
    const uint8_t *fis;
    Fixture f;

    fixture_init(&f, "");
    kit_ahci_ask(f.port, &ext);
    fis = kit_ahci_frame(f.port, 0x40);
    g_assert_cmphex(fis[4] | fis[5] << 8 | fis[6] << 16, ==, N_SECTORS - 1);
    kit_ahci_ask(f.port, &old);
    g_assert_cmphex(fis[4] | fis[5] << 8 | fis[6] << 16, ==, N_SECTORS - 1);
    fixture_done(&f);
}

/* The guest switches it off and on, and clients see it. */
static void test_write_cache(void)
{
    const KitAta off = { .command = 0xef, .features = 0x82 };
    const KitAta on = { .command = 0xef, .features = 0x02 };
    g_autoptr(JsonValue) before = NULL, after = NULL;
    KitQmp *qmp;
    Fixture f;

    fixture_init(&f, "");
    qmp = kit_qmp_new(f.kit);
    before = kit_qmp_ask(qmp, "query-block", NULL);
    kit_qmp_assert_at(before, "0.inserted.cache.writeback", "true");
    g_assert_cmphex(kit_ahci_ask(f.port, &off), ==, KIT_TFD_GOOD);
    g_assert_cmphex(word(identify(&f), 85) & 0x20, ==, 0);
    after = kit_qmp_ask(qmp, "query-block", NULL);
    kit_qmp_assert_at(after, "0.inserted.cache.writeback", "false");
    kit_ahci_write(f.port, 0, 1, 1);
    g_assert_cmphex(kit_ahci_ask(f.port, &on), ==, KIT_TFD_GOOD);
    g_assert_cmphex(word(identify(&f), 85) & 0x20, ==, 0x20);
    kit_qmp_free(qmp);
    fixture_done(&f);
}

static void put_range(uint8_t *to, uint64_t lba, uint16_t n)
{
    uint64_t range = GUINT64_TO_LE(lba | (uint64_t)n << 48);

    memcpy(to, &range, sizeof(range));
}

static void test_trim(void)
{
    const KitAta trim = {
        .command = 0x06, .features = 1, .count = 1, .size = 512, .writes = true,
    };
    uint8_t *data;
    Fixture f;

    fixture_init(&f, "");
    for (unsigned i = 0; i < 4; i++)
        kit_ahci_write(f.port, i * 16, 0x55, 16);
    data = kit_ahci_data(f.port, 0);
    memset(data, 0, 512);
    put_range(data, 0, 16);
    put_range(data + 24, 32, 16);
    g_assert_cmphex(kit_ahci_ask(f.port, &trim), ==, KIT_TFD_GOOD);
    g_assert_cmphex(byte_at(&f, 0), ==, 0);
    g_assert_cmphex(byte_at(&f, 16 * 512), ==, 0x55);
    g_assert_cmphex(byte_at(&f, 32 * 512), ==, 0);
    g_assert_cmphex(byte_at(&f, 48 * 512), ==, 0x55);
    memset(data, 0, 512);
    put_range(data, N_SECTORS - 1, 2);
    g_assert_cmphex(kit_ahci_ask(f.port, &trim), ==, IDNF);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ata-disk/every-read-and-write", test_every_read_and_write);
    g_test_add_func("/ata-disk/geometry", test_geometry);
    g_test_add_func("/ata-disk/identify", test_identify);
    g_test_add_func("/ata-disk/identity-of-properties", test_identity_of_properties);
    g_test_add_func("/ata-disk/what-commands-answer", test_what_commands_answer);
    g_test_add_func("/ata-disk/wrong-tag", test_wrong_tag);
    g_test_add_func("/ata-disk/power", test_power);
    g_test_add_func("/ata-disk/native-max", test_native_max);
    g_test_add_func("/ata-disk/write-cache", test_write_cache);
    g_test_add_func("/ata-disk/trim", test_trim);
    return g_test_run();
}
