/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CD drive as a driver and its clients see it: data, what the disc is, the tray.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/block-drive.h"
#include "berth/error.h"

#include "kit-qmp.h"
#include "kit-scsi.h"

#define BLOCKS 100u
#define READY "00 00 00 00 00 00"
#define EVENTS "4a 01 00 00 10 00 00 0008 00"
#define OPEN "1b 00 00 00 02 00"
#define CLOSE "1b 00 00 00 03 00"
#define LOCK "1e 00 00 00 01 00"
#define UNLOCK "1e 00 00 00 00 00"

typedef struct Fixture {
    KitBoard *kit;
    KitScsi *scsi;
    char *path;
} Fixture;

/* A drive with a disc of @size bytes; 0: an empty one. */
static void fixture_init(Fixture *f, uint64_t size)
{
    g_autofree char *node = NULL;
    int fd;

    *f = (Fixture) { .kit = kit_board_new() };
    f->path = g_strdup("build/test-scsi-cd-XXXXXX");
    fd = g_mkstemp(f->path);
    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    for (unsigned i = 0; i < MIN(size / 2048, BLOCKS); i++)
        g_assert_cmpint(pwrite(fd, &(uint8_t) { (uint8_t)(i + 1) }, 1, i * 2048), ==, 1);
    close(fd);
    node = g_strdup_printf("{'driver': 'file', 'node-name': 'n', 'read-only': true, "
                           "'filename': '%s'}", f->path);
    kit_add_node(f->kit, node);
    kit_add(f->kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba', 'num_queues': 1}");
    kit_add(f->kit, size > 0
            ? "{'driver': 'scsi-cd', 'bus': 'hba.0', 'channel': 0, 'scsi-id': 0, "
              "'lun': 0, 'device_id': 'drive-cd', 'drive': 'n', 'id': 'cd', "
              "'bootindex': 2}"
            : "{'driver': 'scsi-cd', 'id': 'cd'}");
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

static uint32_t sense(Fixture *f, const char *cdb)
{
    return kit_scsi_sense(f->scsi, cdb, 0, 0);
}

static void test_reads(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "25 00 00000000 0000 00 00", 8), 8,
                    "\0\0\0\x63\0\0\x08\0", 8);
    data = kit_scsi_get(f.scsi, "28 00 00000003 00 0002 00", 4096);
    g_assert_cmpuint(data[0], ==, 4);
    g_assert_cmpuint(data[2048], ==, 5);
    data = kit_scsi_get(f.scsi, "a8 00 00000063 00000001 00 00", 2048);
    g_assert_cmpuint(data[0], ==, 100);
    data = kit_scsi_get(f.scsi, "08 00 0007 01 00", 2048);
    g_assert_cmpuint(data[0], ==, 8);
    fixture_done(&f);
}

static const KitScsiSense refused[] = {
    { "28 00 00000064 00 0001 00", 0, 2048, 0x052100 },
    { "a8 00 00000000 ffffffff 00 00", 0, 2048, 0x052100 },
    { "2a 00 00000000 00 0001 00", 2048, 0, 0x052000 },
    { "aa 00 00000000 00000001 00 00", 2048, 0, 0x052000 },
    { "42 00 00000000 00 0018 00", 24, 0, 0x052000 },
    { "41 00 00000000 00 0001 00", 2048, 0, 0x052000 },
    { "88 00 0000000000000000 00000001 00 00", 0, 2048, 0x052000 },
    { "43 00 03 00 00 00 00 0014 00", 0, 20, 0x052400 },
    { "43 00 00 00 00 00 02 0014 00", 0, 20, 0x052400 },
    { "43 00 0f 00 00 00 00 0014 00", 0, 20, 0x052400 },
    { "46 03 0000 000000 0008 00", 0, 8, 0x052400 },
    { "4a 00 00 00 10 00 00 0008 00", 0, 8, 0x052400 },
    { "51 01 00 00 00 00 00 0022 00", 0, 34, 0x052400 },
    { "ad 00 00000000 00 00 0804 00 00", 0, 0x804, 0x053002 },
    { "ad 01 00000000 00 ff 0804 00 00", 0, 0x804, 0x052400 },
    { "12 01 b0 00 ff 00", 0, 255, 0x052400 },
    { "12 01 80 00 ff 00", 0, 255, 0x052400 },
    { "1a 00 08 00 ff 00", 0, 255, 0x052400 },
    { "2b 00 00000063 0000 00 00", 0, 0, 0 },
    { "2b 00 00000064 0000 00 00", 0, 0, 0x052100 },
};

static void test_sense_of_what_is_refused(void)
{
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    kit_scsi_check_senses(f.scsi, refused, G_N_ELEMENTS(refused));
    fixture_done(&f);
}

static void test_inquiry(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    data = kit_scsi_get(f.scsi, "12 00 00 00 ff 00", 36);
    g_assert_cmphex(data[0], ==, 0x05);
    g_assert_cmphex(data[1], ==, 0x80);
    g_assert_cmpmem(data + 8, 28, "QEMU    QEMU CD-ROM     2.5+", 28);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "12 01 00 00 ff 00", 6), 6,
                    "\x05\0\0\x02\0\x83", 6);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "12 01 83 00 ff 00", 16), 16,
                    "\x05\x83\0\x0c\x02\0\0\x08" "drive-cd", 16);
    fixture_done(&f);
}

static void test_table_of_contents(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "43 00 00 00 00 00 00 00ff 00", 20), 20,
                    "\0\x12\1\1" "\0\x14\1\0\0\0\0\0" "\0\x14\xaa\0\0\0\0\x64", 20);
    /* 100 blocks and two seconds: 3 s 25 f. */
    g_assert_cmpmem(kit_scsi_get(f.scsi, "43 02 00 00 00 00 00 00ff 00", 20), 20,
                    "\0\x12\1\1" "\0\x14\1\0\0\0\2\0" "\0\x14\xaa\0\0\0\3\x19", 20);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "43 00 00 00 00 00 aa 00ff 00", 12), 12,
                    "\0\x0a\1\1" "\0\x14\xaa\0\0\0\0\x64", 12);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "43 00 01 00 00 00 00 00ff 00", 12), 12,
                    "\0\x0a\1\1" "\0\x14\1\0\0\0\0\0", 12);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "43 00 00 00 00 00 00 00ff 40", 12), 12,
                    "\0\x0a\1\1" "\0\x14\1\0\0\0\0\0", 12);
    data = kit_scsi_get(f.scsi, "43 02 02 00 00 00 00 00ff 00", 48);
    g_assert_cmpmem(data, 2, "\0\x2e", 2);
    g_assert_cmphex(data[4 + 3], ==, 0xa0);
    g_assert_cmpmem(data + 4 + 2 * 11 + 8, 3, "\0\3\x19", 3);
    kit_scsi_get(f.scsi, "43 00 00 00 00 00 00 0004 00", 4);
    fixture_done(&f);
}

static uint16_t profile(Fixture *f, uint32_t size)
{
    const uint8_t *data = kit_scsi_get(f->scsi, "46 00 0000 000000 0400 00", size);

    g_assert_cmpuint((unsigned)data[2] << 8 | data[3], ==, size - 4);
    return (uint16_t)(data[6] << 8 | data[7]);
}

#define CONFIGURATION_SIZE (8u + 12 + 12 + 8 + 12 + 8 + 8)

static void test_configuration(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    g_assert_cmphex(profile(&f, CONFIGURATION_SIZE), ==, 0x0008);
    /* Those that are current, and one alone. */
    data = kit_scsi_get(f.scsi, "46 01 0000 000000 0400 00", CONFIGURATION_SIZE - 8);
    g_assert_cmpmem(data + 8, 12, "\0\0\3\x08\0\x10\0\0\0\x08\1\0", 12);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "46 02 001e 000000 0400 00", 16), 16,
                    "\0\0\0\x0c\0\0\0\x08" "\0\x1e\x09\4\0\0\0\0", 16);
    kit_scsi_get(f.scsi, "46 02 0777 000000 0400 00", 8);
    kit_scsi_get(f.scsi, "46 00 ffff 000000 0400 00", 8);
    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    g_assert_cmphex(profile(&f, CONFIGURATION_SIZE), ==, 0);
    fixture_done(&f);
}

static void test_disc_that_is_a_dvd(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, 800ull * MIB);
    g_assert_cmphex(profile(&f, CONFIGURATION_SIZE), ==, 0x0010);
    data = kit_scsi_get(f.scsi, "ad 00 00000000 00 00 0804 00 00", 0x804);
    g_assert_cmpmem(data, 4, "\x08\2\0\0", 4);
    g_assert_cmpmem(data + 13, 3, "\x09\x3f\xff", 3);
    kit_scsi_get(f.scsi, "ad 00 00000000 00 01 0804 00 00", 8);
    kit_scsi_get(f.scsi, "ad 00 00000000 00 04 0804 00 00", 0x804);
    kit_scsi_get(f.scsi, "ad 00 00000000 00 ff 0804 00 00", 16);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "ad 00 00000000 00 02 0804 00 00", 0, 0x804),
                    ==, 0x052400);
    fixture_done(&f);
}

static void test_modes(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    data = kit_scsi_get(f.scsi, "5a 00 2a 00 00 00 00 0080 00", 8 + 22);
    g_assert_cmphex(data[7], ==, 0);
    g_assert_cmphex(data[8], ==, 0x2a);
    g_assert_cmphex(data[8 + 6], ==, 0x29);
    g_assert_cmphex(sense(&f, LOCK), ==, 0);
    data = kit_scsi_get(f.scsi, "5a 00 2a 00 00 00 00 0080 00", 8 + 22);
    g_assert_cmphex(data[8 + 6], ==, 0x2b);
    data = kit_scsi_get(f.scsi, "5a 00 3f 00 00 00 00 0080 00", 8 + 12 + 16 + 22);
    g_assert_cmphex(data[1], ==, 56);
    fixture_done(&f);
}

static void expect_media_event(Fixture *f, uint8_t event, uint8_t state)
{
    const uint8_t *data = kit_scsi_get(f->scsi, EVENTS, 8);

    g_assert_cmpmem(data, 4, "\0\4\4\x10", 4);
    g_assert_cmphex(data[4], ==, event);
    g_assert_cmphex(data[5], ==, state);
}

/* The guest opens and closes the tray; its driver and the clients learn of it. */
static void test_tray(void)
{
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    expect_media_event(&f, 0, 2);
    g_assert_cmphex(sense(&f, LOCK), ==, 0);
    g_assert_cmphex(sense(&f, OPEN), ==, 0x055302);
    g_assert_cmphex(sense(&f, READY), ==, 0);
    g_assert_cmphex(sense(&f, UNLOCK), ==, 0);
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "");

    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    g_assert_cmphex(sense(&f, READY), ==, 0x023a02);
    g_assert_cmphex(kit_scsi_sense(f.scsi, "28 00 00000000 00 0001 00", 0, 2048), ==,
                    0x023a02);
    expect_media_event(&f, 3, 1);
    g_assert_cmphex(kit_scsi_get(f.scsi, "bd 00 00000000 0000 0008 00 00", 8)[1], ==,
                    0x10);
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "cd+");

    g_assert_cmphex(sense(&f, CLOSE), ==, 0);
    g_assert_cmphex(sense(&f, READY), ==, 0x062800);
    g_assert_cmphex(sense(&f, READY), ==, 0);
    expect_media_event(&f, 2, 2);
    expect_media_event(&f, 0, 2);
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "cd+ cd-");
    kit_scsi_get(f.scsi, "28 00 00000003 00 0001 00", 2048);
    fixture_done(&f);
}

/* The event waits for a driver that has room for it. */
static void test_media_event_without_room(void)
{
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    kit_scsi_get(f.scsi, "4a 01 00 00 10 00 00 0004 00", 4);
    g_assert_cmpmem(kit_scsi_get(f.scsi, "4a 01 00 00 02 00 00 0008 00", 4), 4,
                    "\0\0\x80\x10", 4);
    expect_media_event(&f, 3, 1);
    fixture_done(&f);
}

static void test_empty_drive(void)
{
    static const char *const need_medium[] = {
        READY, "25 00 00000000 0000 00 00", "28 00 00000000 00 0001 00",
        "43 00 00 00 00 00 00 0014 00", "51 00 00 00 00 00 00 0022 00",
        "35 00 00000000 0000 00 00", "9e 10 0000000000000000 00000020 00 00",
        "ad 00 00000000 00 00 0804 00 00",
    };
    Fixture f;

    fixture_init(&f, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(need_medium); i++)
        g_assert_cmphex(kit_scsi_sense(f.scsi, need_medium[i], 0, 4096), ==, 0x023a00);
    g_assert_cmphex(profile(&f, CONFIGURATION_SIZE), ==, 0);
    expect_media_event(&f, 0, 0);
    kit_scsi_get(f.scsi, "12 00 00 00 24 00", 36);
    g_assert_cmphex(sense(&f, LOCK), ==, 0);
    g_assert_cmphex(sense(&f, OPEN), ==, 0x025302);
    g_assert_cmphex(sense(&f, UNLOCK), ==, 0);
    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    g_assert_cmphex(sense(&f, CLOSE), ==, 0);
    g_assert_cmphex(sense(&f, READY), ==, 0x023a00);
    fixture_done(&f);
}

/* A reset of the machine closes the tray and unlocks it; one of the driver does not. */
static void test_tray_and_resets(void)
{
    DeviceTree *tree;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    tree = &f.kit->tree;
    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    g_assert_cmphex(sense(&f, LOCK), ==, 0);
    kit_scsi_restart(f.scsi);
    kit_scsi_clear(f.scsi, 0, 0);
    g_assert_cmphex(sense(&f, READY), ==, 0x023a02);
    kit_run_both(f.kit);

    device_tree_pause(tree);
    kit_start(f.kit);
    kit_run_both(f.kit);
    kit_scsi_restart(f.scsi);
    g_assert_cmphex(sense(&f, READY), ==, 0x062901);
    g_assert_cmphex(sense(&f, READY), ==, 0);
    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "cd+ cd- cd+");
    fixture_done(&f);
}

static void expect_query(KitQmp *qmp, const char *open, const char *locked)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(qmp, "query-block", NULL);

    kit_qmp_assert_at(list, "0.qdev", "cd");
    kit_qmp_assert_at(list, "0.removable", "true");
    kit_qmp_assert_at(list, "0.tray_open", open);
    kit_qmp_assert_at(list, "0.locked", locked);
    kit_qmp_assert_at(list, "0.inserted.node-name", "n");
}

static void test_query_block_tells_of_the_tray(void)
{
    KitQmp *qmp;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    qmp = kit_qmp_new(f.kit);
    expect_query(qmp, "false", "false");
    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    expect_query(qmp, "true", "false");
    g_assert_cmphex(sense(&f, LOCK), ==, 0);
    expect_query(qmp, "true", "true");
    kit_qmp_free(qmp);
    fixture_done(&f);
}

static void test_state_is_saved_and_loaded(void)
{
    g_autoptr(GByteArray) state = NULL;
    g_autoptr(GError) error = NULL;
    Fixture f;

    fixture_init(&f, BLOCKS * 2048);
    g_assert_cmphex(sense(&f, OPEN), ==, 0);
    g_assert_cmphex(sense(&f, LOCK), ==, 0);
    device_tree_pause(&f.kit->tree);
    state = kit_save(f.kit);
    device_tree_reset(&f.kit->tree);
    device_tree_load(&f.kit->tree, state->data, state->len, &error);
    g_assert_no_error(error);
    g_string_truncate(f.kit->tray_moves, 0);
    device_tree_resume(&f.kit->tree);
    kit_run_both(f.kit);

    g_assert_cmpstr(f.kit->tray_moves->str, ==, "");
    g_assert_cmphex(sense(&f, READY), ==, 0x023a02);
    g_assert_cmphex(sense(&f, CLOSE), ==, 0);
    g_assert_cmphex(sense(&f, READY), ==, 0x062800);
    g_assert_cmphex(sense(&f, OPEN), ==, 0x055302);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scsi-cd/reads", test_reads);
    g_test_add_func("/scsi-cd/sense-of-what-is-refused", test_sense_of_what_is_refused);
    g_test_add_func("/scsi-cd/inquiry", test_inquiry);
    g_test_add_func("/scsi-cd/table-of-contents", test_table_of_contents);
    g_test_add_func("/scsi-cd/configuration", test_configuration);
    g_test_add_func("/scsi-cd/disc-that-is-a-dvd", test_disc_that_is_a_dvd);
    g_test_add_func("/scsi-cd/modes", test_modes);
    g_test_add_func("/scsi-cd/tray", test_tray);
    g_test_add_func("/scsi-cd/media-event-without-room", test_media_event_without_room);
    g_test_add_func("/scsi-cd/empty-drive", test_empty_drive);
    g_test_add_func("/scsi-cd/tray-and-resets", test_tray_and_resets);
    g_test_add_func("/scsi-cd/query-block-tells-of-the-tray",
                    test_query_block_tells_of_the_tray);
    g_test_add_func("/scsi-cd/state-is-saved-and-loaded", test_state_is_saved_and_loaded);
    return g_test_run();
}
