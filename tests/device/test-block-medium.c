/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Media that are changed by commands, in a CD drive with a guest.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/block-drive.h"

#include "kit-qmp.h"
#include "kit-scsi.h"

#define READY "00 00 00 00 00 00"
#define READ_CAPACITY "25 00 00 00 00 00 00 00 00 00"
#define READ_0 "28 00 00 00 00 00 00 00 01 00"
#define LOCK "1e 00 00 00 01 00"
#define UNLOCK "1e 00 00 00 00 00"
#define EJECT "1b 00 00 00 02 00"
#define EVENT_STATUS "4a 01 00 00 10 00 00 00 08 00"
#define NO_MEDIUM 0x023a00
#define TRAY_OPEN 0x023a02
#define MEDIUM_CHANGED 0x062800
#define BLOCK 2048u

typedef struct Fixture {
    KitBoard *kit;
    KitQmp *qmp;
    KitScsi *scsi;
    char *path;
} Fixture;

static void add_node(Fixture *f, const char *name, unsigned n_blocks)
{
    kit_qmp_do(f->qmp, "blockdev-add", "{'driver': 'inject', 'node-name': '%s', "
               "'read-only': true, 'file': {'driver': 'null-co', 'size': %u, "
               "'read-zeroes': true}}", name, n_blocks * BLOCK);
}

static void set_up(Fixture *f, const void *threaded)
{
    g_autofree char *contents = g_strnfill(3 * BLOCK, 'x');

    f->kit = threaded ? kit_board_new_threaded() : kit_board_new();
    f->qmp = kit_qmp_new(f->kit);
    f->path = g_strdup("build/test-block-medium-XXXXXX");
    close(g_mkstemp(f->path));
    g_assert_true(g_file_set_contents(f->path, contents, 3 * BLOCK, NULL));
    add_node(f, "one", 1);
    add_node(f, "two", 2);
    kit_add(f->kit, "{'driver': 'virtio-scsi-pci', 'id': 'hba', 'num_queues': 2}");
    kit_add(f->kit, "{'driver': 'scsi-cd', 'id': 'cd', 'drive': 'one'}");
    kit_start(f->kit);
    f->scsi = kit_scsi_new(f->kit, "hba");
    kit_scsi_clear(f->scsi, 0, 0);
}

static void tear_down(Fixture *f, const void *unused)
{
    block_graph_let_go(f->kit->blocks);
    kit_scsi_free(f->scsi);
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
    g_unlink(f->path);
    g_free(f->path);
}

static void assert_ready(Fixture *f, uint32_t sense)
{
    g_assert_cmphex(kit_scsi_sense(f->scsi, READY, 0, 0), ==, sense);
}

static void assert_blocks(Fixture *f, unsigned n)
{
    const uint8_t *data = kit_scsi_get(f->scsi, READ_CAPACITY, 8);

    g_assert_cmpuint(data[3], ==, n - 1);
}

static void assert_moves(Fixture *f, const char *expected)
{
    g_assert_cmpstr(f->kit->tray_moves->str, ==, expected);
    g_string_truncate(f->kit->tray_moves, 0);
}

/* What libvirt does to change a medium. */
static void test_step_by_step(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) open = NULL, empty = NULL, closed = NULL;

    assert_blocks(f, 1);
    kit_qmp_do(f->qmp, "blockdev-open-tray", "{'id': 'cd', 'force': false}");
    assert_moves(f, "cd+");
    assert_ready(f, TRAY_OPEN);
    open = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(open, "0.tray_open", "true");
    kit_qmp_assert_at(open, "0.inserted.node-name", "one");
    kit_qmp_do(f->qmp, "blockdev-remove-medium", "{'id': 'cd'}");
    empty = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(empty, "0.inserted", "absent");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'one'}");
    kit_qmp_do(f->qmp, "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'two'}");
    assert_ready(f, TRAY_OPEN);
    kit_qmp_do(f->qmp, "blockdev-close-tray", "{'id': 'cd'}");
    assert_moves(f, "cd-");

    closed = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(closed, "0.tray_open", "false");
    assert_ready(f, MEDIUM_CHANGED);
    assert_ready(f, 0);
    assert_blocks(f, 2);
}

static void test_at_once(Fixture *f, const void *unused)
{
    g_autoptr(JsonValue) info = NULL, nodes = NULL;

    kit_qmp_do(f->qmp, "blockdev-change-medium",
               "{'id': 'cd', 'filename': '%s', 'format': 'raw'}", f->path);
    assert_moves(f, "cd+ cd-");
    assert_ready(f, MEDIUM_CHANGED);
    assert_blocks(f, 3);
    g_assert_cmpint(kit_scsi_get(f->scsi, READ_0, BLOCK)[0], ==, 'x');
    info = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(info, "0.inserted.file", f->path);
    kit_qmp_assert_at(info, "0.inserted.ro", "true");

    /* What the command made goes with the medium; what had a name of its own stays. */
    kit_qmp_do(f->qmp, "eject", "{'id': 'cd'}");
    assert_moves(f, "cd+");
    assert_ready(f, TRAY_OPEN);
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_assert_cmpuint(json_length(nodes), ==, 4);
    kit_qmp_do(f->qmp, "eject", "{'id': 'cd'}");
    kit_qmp_do(f->qmp, "blockdev-close-tray", "{'id': 'cd'}");
    assert_ready(f, NO_MEDIUM);
}

static void test_a_guest_that_keeps_it_shut(Fixture *f, const void *unused)
{
    kit_scsi_get(f->scsi, LOCK, 0);
    kit_qmp_assert_fails(f->qmp, "keeps the tray", "eject", "{'id': 'cd'}");
    kit_qmp_assert_fails(f->qmp, "keeps the tray", "blockdev-change-medium",
                         "{'id': 'cd', 'filename': '%s', 'format': 'raw'}", f->path);
    assert_moves(f, "");
    assert_ready(f, 0);
    /* It is asked, once. */
    g_assert_cmpuint(kit_scsi_get(f->scsi, EVENT_STATUS, 8)[4], ==, 1);
    g_assert_cmpuint(kit_scsi_get(f->scsi, EVENT_STATUS, 8)[4], ==, 0);

    kit_qmp_do(f->qmp, "blockdev-open-tray", "{'id': 'cd', 'force': true}");
    assert_moves(f, "cd+");
    assert_ready(f, TRAY_OPEN);
}

/* To ask is no error: a client waits for the event. */
static void test_a_guest_that_opens_it_when_it_is_asked(Fixture *f, const void *unused)
{
    kit_scsi_get(f->scsi, LOCK, 0);
    kit_qmp_do(f->qmp, "blockdev-open-tray", "{'id': 'cd', 'force': false}");
    assert_moves(f, "");
    kit_qmp_assert_fails(f->qmp, "not open", "blockdev-remove-medium", "{'id': 'cd'}");
    g_assert_cmpuint(kit_scsi_get(f->scsi, EVENT_STATUS, 8)[4], ==, 1);

    kit_scsi_get(f->scsi, UNLOCK, 0);
    kit_scsi_get(f->scsi, EJECT, 0);
    kit_run_both(f->kit);
    assert_moves(f, "cd+");
    kit_qmp_do(f->qmp, "blockdev-remove-medium", "{'id': 'cd'}");
}

/* Each command on a tray that is where it is wanted, on an empty one, on a locked one. */
static void test_trays_in_each_state(Fixture *f, const void *unused)
{
    kit_qmp_do(f->qmp, "blockdev-close-tray", "{'id': 'cd'}");
    assert_moves(f, "");
    kit_qmp_do(f->qmp, "blockdev-open-tray", "{'id': 'cd'}");
    kit_qmp_do(f->qmp, "blockdev-open-tray", "{'id': 'cd', 'force': true}");
    assert_moves(f, "cd+");
    kit_qmp_do(f->qmp, "blockdev-remove-medium", "{'id': 'cd'}");
    kit_qmp_do(f->qmp, "blockdev-remove-medium", "{'id': 'cd'}");
    kit_qmp_do(f->qmp, "eject", "{'id': 'cd'}");
    kit_qmp_do(f->qmp, "blockdev-close-tray", "{'id': 'cd'}");
    assert_moves(f, "cd-");
    assert_ready(f, NO_MEDIUM);

    /* Empty, closed and locked. */
    kit_scsi_get(f->scsi, LOCK, 0);
    kit_qmp_assert_fails(f->qmp, "keeps the tray", "eject", "{'id': 'cd'}");
    kit_qmp_do(f->qmp, "eject", "{'id': 'cd', 'force': true}");
    assert_moves(f, "cd+");
    kit_qmp_do(f->qmp, "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'two'}");
    kit_qmp_do(f->qmp, "blockdev-close-tray", "{'id': 'cd'}");
    assert_moves(f, "cd-");
    assert_ready(f, MEDIUM_CHANGED);
    assert_blocks(f, 2);
}

static void test_what_is_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *command;
        const char *args;
        const char *words;
    } rows[] = {
        { "eject", "{}", "'device' and 'id'" },
        { "eject", "{'id': 'cd', 'device': 'cd'}", "'device' and 'id'" },
        { "eject", "{'id': 'none'}", "'none'" },
        { "eject", "{'id': 'hd'}", "cannot be taken out" },
        { "blockdev-open-tray", "{'id': 'hd'}", "cannot be taken out" },
        { "blockdev-remove-medium", "{'id': 'cd'}", "not open" },
        { "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'two'}", "not open" },
        { "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'none'}", "'none'" },
        { "blockdev-insert-medium", "{'id': 'cd', 'node-name': 'one'}", "in use" },
        { "blockdev-change-medium", "{'id': 'cd', 'filename': 'x'}", "never guessed" },
        { "blockdev-change-medium", "{'id': 'cd', 'filename': '/nowhere/x', "
          "'format': 'raw'}", "/nowhere/x" },
    };

    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'n'}");
    kit_add(f->kit, "{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n'}");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        kit_qmp_assert_fails(f->qmp, rows[i].words, rows[i].command, "%s", rows[i].args);
    /* All of it left the medium where it was. */
    assert_moves(f, "");
    assert_blocks(f, 1);
    kit_qmp_do(f->qmp, "blockdev-open-tray", "{'id': 'cd'}");
    kit_qmp_assert_fails(f->qmp, "already", "blockdev-insert-medium",
                         "{'id': 'cd', 'node-name': 'two'}");
}

static void set_rules(Fixture *f, const char *rules)
{
    kit_qmp_do(f->qmp, "x-block-inject-set", "{'node-name': 'one', 'rules': %s}", rules);
}

/* Until a rule holds a request back. */
static void wait_for_rule(Fixture *f)
{
    int64_t n = 0;

    while (n == 0) {
        g_autoptr(JsonValue) info =
            kit_qmp_ask(f->qmp, "x-query-block-inject", "{'node-name': 'one'}");

        n = kit_qmp_int(info, "rules.0.acted");
        kit_run_both(f->kit);
    }
}

/* A request that the medium does not answer keeps it in, and delays nobody else. */
static void test_what_is_under_way_ends_first(Fixture *f, const void *unused)
{
    static const KitScsiCommand read = {
        .cdb = { 0x28, [8] = 1 }, .in_size = BLOCK, .queue = 1,
    };
    g_autoptr(KitQmp) other = kit_qmp_new(f->kit);
    g_autoptr(JsonValue) reply = NULL;
    KitScsiResult result;
    unsigned slot;

    set_rules(f, "[{'ops': ['read'], 'delay-ns': 18446744073709551615}]");
    kit_scsi_submit(f->scsi, 1, &read);
    wait_for_rule(f);
    kit_qmp_send(f->qmp, "eject", "{'id': 'cd'}");
    kit_run_both(f->kit);
    /* One that comes later fails at once, for the tray is open. */
    kit_scsi_submit(f->scsi, 2, &read);
    while (!kit_scsi_take(f->scsi, &slot, &result))
        kit_run_both(f->kit);
    g_assert_cmpuint(slot, ==, 2);
    g_assert_cmphex(result.sense, ==, TRAY_OPEN);
    kit_qmp_assert_fails(other, "busy", "eject", "{'id': 'cd'}");

    kit_qmp_do(other, "x-block-inject-set", "{'node-name': 'one', 'rules': []}");
    reply = kit_qmp_receive(f->qmp);
    kit_qmp_assert_at(reply, "return", "{}");
    while (!kit_scsi_take(f->scsi, &slot, &result))
        kit_run_both(f->kit);
    g_assert_cmpuint(slot, ==, 1);
    g_assert_cmphex(result.sense, ==, 0);
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'one'}");
}

/* The drive goes while a file for it is opened. */
static void test_the_drive_goes_meanwhile(Fixture *f, const void *unused)
{
    g_autofree char *args = g_strdup_printf(
        "{'id': 'cd', 'filename': '%s', 'format': 'raw'}", f->path);
    g_autoptr(JsonValue) reply = NULL, nodes = NULL;

    kit_qmp_send(f->qmp, "blockdev-change-medium", args);
    device_remove(device_find(&f->kit->tree, "cd"));
    reply = kit_qmp_receive(f->qmp);

    kit_qmp_assert_at(reply, "error.desc", "the drive is gone");
    nodes = kit_qmp_ask(f->qmp, "query-named-block-nodes", NULL);
    g_assert_cmpuint(json_length(nodes), ==, 4);
}

/* One that a device has not got yet. */
static void test_a_drive_without_a_device(Fixture *f, const void *unused)
{
    static const BlockDriveOptions options = { .name = "d0" };
    g_autoptr(JsonValue) info = NULL;

    g_assert_nonnull(block_drive_new(f->kit->blocks, &options, NULL, NULL));
    kit_qmp_do(f->qmp, "blockdev-insert-medium", "{'id': 'd0', 'node-name': 'two'}");
    info = kit_qmp_ask(f->qmp, "query-block", NULL);
    kit_qmp_assert_at(info, "1.inserted.node-name", "two");
    kit_qmp_do(f->qmp, "eject", "{'device': 'd0'}");
    kit_qmp_do(f->qmp, "blockdev-del", "{'node-name': 'two'}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                                    \
    g_test_add("/block-medium/" name, Fixture, NULL, set_up, fn, tear_down)
    ADD("step-by-step", test_step_by_step);
    ADD("at-once", test_at_once);
    ADD("a-guest-that-keeps-it-shut", test_a_guest_that_keeps_it_shut);
    ADD("a-guest-that-opens-it-when-it-is-asked",
        test_a_guest_that_opens_it_when_it_is_asked);
    ADD("trays-in-each-state", test_trays_in_each_state);
    ADD("what-is-refused", test_what_is_refused);
    ADD("what-is-under-way-ends-first", test_what_is_under_way_ends_first);
    ADD("the-drive-goes-meanwhile", test_the_drive_goes_meanwhile);
    ADD("a-drive-without-a-device", test_a_drive_without_a_device);
    g_test_add("/block-medium/on-a-thread-of-its-own", Fixture, "threaded", set_up,
               test_what_is_under_way_ends_first, tear_down);
    return g_test_run();
}
