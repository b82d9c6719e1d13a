/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CD drive on an ATA port: signature, PACKET with its sense data, what moves both ways,
 * the tray and the medium, as a driver and clients see them.  The SCSI commands are
 * tested in test-scsi-cd.c.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "kit-ahci.h"
#include "kit-qmp.h"

#define BLOCKS 100u
#define NO_MEDIUM 0x2051u               /* PxTFD: sense key 2 */

typedef struct Fixture {
    KitBoard *kit;
    KitAhci *port;
    char *path;
} Fixture;

static void fixture_init(Fixture *f, bool is_empty)
{
    g_autofree char *node = NULL;
    Device *hba;
    int fd;

    *f = (Fixture) { .kit = kit_board_new() };
    f->path = g_strdup("build/test-ata-cd-XXXXXX");
    fd = g_mkstemp(f->path);
    g_assert_cmpint(ftruncate(fd, BLOCKS * 2048), ==, 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        g_assert_cmpint(pwrite(fd, &(uint8_t) { (uint8_t)(i + 1) }, 1, i * 2048), ==, 1);
    close(fd);
    node = g_strdup_printf("{'driver': 'file', 'node-name': 'n', 'read-only': true, "
                           "'filename': '%s'}", f->path);
    kit_add_node(f->kit, node);
    hba = kit_add(f->kit, "{'driver': 'ich9-ahci', 'id': 'hba'}");
    kit_add(f->kit, is_empty ? "{'driver': 'ide-cd', 'id': 'cd', 'bus': 'hba.2'}"
                             : "{'driver': 'ide-cd', 'id': 'cd', 'bus': 'hba.2', "
                               "'drive': 'n', 'bootindex': 1}");
    kit_start(f->kit);
    f->port = kit_ahci_new(f->kit, hba, 2);
}

static void fixture_done(Fixture *f)
{
    kit_ahci_free(f->port);
    kit_board_free(f->kit);
    g_unlink(f->path);
    g_free(f->path);
}

/* A command of up to 12 bytes; PxTFD. */
static uint32_t packet(Fixture *f, const char *cdb, size_t cdb_size, uint32_t size)
{
    KitAta ata = { .command = 0xa0, .features = 1, .size = size };

    memcpy(ata.packet, cdb, cdb_size);
    if (size)
        memset(kit_ahci_data(f->port, 0), 0xee, size);
    return kit_ahci_ask(f->port, &ata);
}

#define PACKET(f, cdb, size) packet(f, cdb, sizeof(cdb) - 1, size)
#define READY "\0\0\0\0\0\0"
#define SENSE "\3\0\0\0\x12\0"
#define OPEN "\x1b\0\0\0\2\0"
#define CLOSE "\x1b\0\0\0\3\0"
#define LOCK "\x1e\0\0\0\1\0"

static uint32_t sense(Fixture *f)
{
    const uint8_t *data = kit_ahci_data(f->port, 0);

    g_assert_cmphex(PACKET(f, SENSE, 18), ==, KIT_TFD_GOOD);
    return (uint32_t)(data[2] & 15) << 16 | (uint32_t)data[12] << 8 | data[13];
}

static void test_signature_and_identity(void)
{
    const KitAta identify = { .command = 0xa1, .size = 512 };
    const KitAta wrong[] = {
        { .command = 0xec, .size = 512 }, { .command = 0x20, .count = 1, .size = 512 },
    };
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, false);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxSIG), ==, 0xeb140101);
    g_assert_cmphex(kit_ahci_get(f.port, KIT_PxTFD), ==, 0x100);
    g_assert_cmphex(kit_ahci_ask(f.port, &identify), ==, KIT_TFD_GOOD);
    data = kit_ahci_data(f.port, 0);
    g_assert_cmpmem(data, 2, "\xc0\x85", 2);
    g_assert_cmpmem(data + 20, 8, "MQ0000 5", 8);
    g_assert_cmpmem(data + 54, 12, "EQUMD DVR-MO", 12);
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_cmphex(kit_ahci_ask(f.port, &wrong[i]), ==, KIT_TFD_ABORTED);
        g_assert_cmphex(kit_ahci_frame(f.port, 0x40)[5], ==, 0x14);
        g_assert_cmphex(kit_ahci_frame(f.port, 0x40)[6], ==, 0xeb);
    }
    fixture_done(&f);
}

static void test_reads(void)
{
    const uint8_t *data;
    Fixture f;

    fixture_init(&f, false);
    data = kit_ahci_data(f.port, 0);
    g_assert_cmphex(PACKET(&f, READY, 0), ==, KIT_TFD_GOOD);
    g_assert_cmphex(PACKET(&f, "\x25\0\0\0\0\0\0\0\0\0", 8), ==, KIT_TFD_GOOD);
    g_assert_cmpmem(data, 8, "\0\0\0\x63\0\0\x08\0", 8);
    g_assert_cmpuint(kit_ahci_count(f.port, 0), ==, 8);
    g_assert_cmphex(PACKET(&f, "\x28\0\0\0\0\3\0\0\2\0", 4096), ==, KIT_TFD_GOOD);
    g_assert_cmphex(data[0], ==, 4);
    g_assert_cmphex(data[2048], ==, 5);
    g_assert_cmpuint(kit_ahci_count(f.port, 0), ==, 4096);
    g_assert_cmphex(kit_ahci_frame(f.port, 0x40)[12], ==, 3);
    g_assert_cmphex(PACKET(&f, "\xa8\0\0\0\0\x63\0\0\0\1\0\0", 2048), ==, KIT_TFD_GOOD);
    g_assert_cmphex(data[0], ==, 100);
    /* Behind the end; with too little room. */
    g_assert_cmphex(PACKET(&f, "\x28\0\0\0\0\x64\0\0\1\0", 2048), ==, 0x5051);
    g_assert_cmphex(sense(&f), ==, 0x052100);
    g_assert_cmphex(sense(&f), ==, 0);
    g_assert_cmphex(PACKET(&f, "\x28\0\0\0\0\0\0\0\2\0", 2048), ==, 0xb051);
    g_assert_cmphex(sense(&f), ==, 0x0b0000);
    fixture_done(&f);
}

/* The answer is as long as the guest has room for, whatever it asks. */
static void test_short_answers(void)
{
    Fixture f;

    fixture_init(&f, false);
    g_assert_cmphex(PACKET(&f, "\x12\0\0\0\x24\0", 36), ==, KIT_TFD_GOOD);
    g_assert_cmpmem(kit_ahci_data(f.port, 0) + 8, 28, "QEMU    QEMU DVD-ROM    2.5+",
                    28);
    g_assert_cmphex(PACKET(&f, "\x12\0\0\0\xff\0", 8), ==, KIT_TFD_GOOD);
    g_assert_cmpuint(kit_ahci_count(f.port, 0), ==, 8);
    g_assert_cmphex(PACKET(&f, "\x12\0\0\0\xff\0", 0), ==, KIT_TFD_GOOD);
    g_assert_cmphex(PACKET(&f, "\x46\0\0\0\0\0\0\xff\xff\0", 128), ==, KIT_TFD_GOOD);
    /* REPORT LUNS is of targets, and a port has none. */
    g_assert_cmphex(PACKET(&f, "\xa0\0\0\0\0\0\0\0\0\x10\0\0", 16), ==, 0x5051);
    g_assert_cmphex(sense(&f), ==, 0x052000);
    fixture_done(&f);
}

/* MODE SELECT: data to the drive, which is read where the guest has it. */
static void test_data_to_the_drive(void)
{
    KitAta ata = { .command = 0xa0, .size = 8, .writes = true };
    Fixture f;

    fixture_init(&f, false);
    memcpy(ata.packet, "\x55\x10\0\0\0\0\0\0\x08\0", 10);
    memset(kit_ahci_data(f.port, 0), 0, 8);
    g_assert_cmphex(kit_ahci_ask(f.port, &ata), ==, KIT_TFD_GOOD);
    ata.size = 4;
    g_assert_cmphex(kit_ahci_ask(f.port, &ata), ==, 0xb051);
    fixture_done(&f);
}

static void test_tray(void)
{
    Fixture f;

    fixture_init(&f, false);
    g_assert_cmphex(PACKET(&f, LOCK, 0), ==, KIT_TFD_GOOD);
    g_assert_cmphex(PACKET(&f, OPEN, 0), ==, 0x5051);
    g_assert_cmphex(sense(&f), ==, 0x055302);
    g_assert_cmphex(PACKET(&f, "\x1e\0\0\0\0\0", 0), ==, KIT_TFD_GOOD);
    g_assert_cmphex(PACKET(&f, OPEN, 0), ==, KIT_TFD_GOOD);
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "cd+");
    g_assert_cmphex(PACKET(&f, READY, 0), ==, NO_MEDIUM);
    g_assert_cmphex(sense(&f), ==, 0x023a02);
    g_assert_cmphex(PACKET(&f, CLOSE, 0), ==, KIT_TFD_GOOD);
    g_assert_cmphex(PACKET(&f, READY, 0), ==, 0x6051);
    g_assert_cmphex(sense(&f), ==, 0x062800);
    g_assert_cmphex(PACKET(&f, READY, 0), ==, KIT_TFD_GOOD);
    kit_run_both(f.kit);
    g_assert_cmpstr(f.kit->tray_moves->str, ==, "cd+ cd-");
    fixture_done(&f);
}

/* Clients take the disc out and put another in, and the guest learns of both. */
static void test_another_medium(void)
{
    g_autoptr(JsonValue) list = NULL;
    KitQmp *qmp;
    Fixture f;

    fixture_init(&f, false);
    qmp = kit_qmp_new(f.kit);
    kit_qmp_do(qmp, "eject", "{'id': 'cd'}");
    g_assert_cmphex(PACKET(&f, READY, 0), ==, NO_MEDIUM);
    g_assert_cmphex(sense(&f), ==, 0x023a02);
    kit_qmp_do(qmp, "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'n'}");
    kit_qmp_do(qmp, "blockdev-close-tray", "{'id': 'cd'}");
    g_assert_cmphex(PACKET(&f, READY, 0), ==, 0x6051);
    g_assert_cmphex(sense(&f), ==, 0x062800);
    g_assert_cmphex(PACKET(&f, "\x28\0\0\0\0\3\0\0\1\0", 2048), ==, KIT_TFD_GOOD);
    list = kit_qmp_ask(qmp, "query-block", NULL);
    kit_qmp_assert_at(list, "0.qdev", "cd");
    kit_qmp_assert_at(list, "0.removable", "true");
    kit_qmp_assert_at(list, "0.tray_open", "false");
    kit_qmp_assert_at(list, "0.inserted.node-name", "n");
    kit_qmp_free(qmp);
    fixture_done(&f);
}

static void test_empty_drive(void)
{
    const KitAta others[] = {
        { .command = 0xe7 }, { .command = 0xe5 }, { .command = 0xe0 },
        { .command = 0xef, .features = 3, .count = 0x45 },
    };
    Fixture f;

    fixture_init(&f, true);
    g_assert_cmphex(PACKET(&f, READY, 0), ==, NO_MEDIUM);
    g_assert_cmphex(sense(&f), ==, 0x023a00);
    g_assert_cmphex(PACKET(&f, "\x28\0\0\0\0\0\0\0\1\0", 2048), ==, NO_MEDIUM);
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        g_assert_cmphex(kit_ahci_ask(f.port, &others[i]), ==, KIT_TFD_GOOD);
    g_assert_cmphex(kit_ahci_ask(f.port, &(KitAta) { .command = 0xef, .features = 2 }),
                    ==, KIT_TFD_ABORTED);
    fixture_done(&f);
}

/* DEVICE RESET answers with the signature, and sense data is gone. */
static void test_resets(void)
{
    Fixture f;

    fixture_init(&f, true);
    g_assert_cmphex(PACKET(&f, READY, 0), ==, NO_MEDIUM);
    g_assert_cmphex(kit_ahci_ask(f.port, &(KitAta) { .command = 0x08 }), ==, 0x100);
    g_assert_cmphex(kit_ahci_frame(f.port, 0x40)[6], ==, 0xeb);
    g_assert_cmphex(sense(&f), ==, 0);
    fixture_done(&f);
}

/* Sense data that was not asked for is saved. */
static void test_state(void)
{
    KitAta ata = { .command = 0xa0, .features = 1 };
    Fixture f;

    fixture_init(&f, true);
    kit_ahci_submit(f.port, 0, &ata);
    kit_ahci_wait(f.port, 1);
    kit_save_and_load(f.kit);
    kit_ahci_recover(f.port);
    g_assert_cmphex(sense(&f), ==, 0x023a00);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ata-cd/signature-and-identity", test_signature_and_identity);
    g_test_add_func("/ata-cd/reads", test_reads);
    g_test_add_func("/ata-cd/short-answers", test_short_answers);
    g_test_add_func("/ata-cd/data-to-the-drive", test_data_to_the_drive);
    g_test_add_func("/ata-cd/tray", test_tray);
    g_test_add_func("/ata-cd/another-medium", test_another_medium);
    g_test_add_func("/ata-cd/empty-drive", test_empty_drive);
    g_test_add_func("/ata-cd/resets", test_resets);
    g_test_add_func("/ata-cd/state", test_state);
    return g_test_run();
}
