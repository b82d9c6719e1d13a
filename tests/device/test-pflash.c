/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flash memory: each command and what is wrong with it, as a guest's accesses; what comes
 * to the file behind it, in which order, and what happens when the file fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/block-drive.h"
#include "berth/error.h"
#include "berth/inject.h"
#include "berth/pflash.h"
#include "berth/ram-fault.h"
#include "berth/vm-fake.h"

#include "kit-board.h"
#include "kit-image.h"

#define SIZE (64 * KIB)
#define END 0xfff00000u
#define BASE (END - SIZE)
#define BLOCK 4096u
#define LOG_MAX 256u
#define WAIT_NS (20 * NS_PER_SEC)

typedef struct Rig {
    KitBoard *kit;
    Device *dev;
    char *path;
    int fd;
    InjectWatch hooks;
    uint64_t writes[64];        /* offsets that came to the file */
    unsigned n_writes;
    unsigned n_flushes;
} Rig;

static uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset * 7 + offset / BLOCK + 1);
}

static void make_file(Rig *rig, size_t size)
{
    g_autofree uint8_t *bytes = g_malloc(size);

    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(i);
    rig->path = g_strdup("build/test-pflash-XXXXXX");
    rig->fd = g_mkstemp(rig->path);
    g_assert_cmpint(rig->fd, >=, 0);
    g_assert_cmpint(write(rig->fd, bytes, size), ==, (ssize_t)size);
}

static void *on_begin(void *opaque, const BlockIo *io)
{
    Rig *rig = opaque;

    if (io->op == BLOCK_OP_WRITE && rig->n_writes < G_N_ELEMENTS(rig->writes))
        rig->writes[rig->n_writes] = io->offset;
    rig->n_writes += io->op == BLOCK_OP_WRITE;
    rig->n_flushes += io->op == BLOCK_OP_FLUSH;
    return NULL;
}

static void on_end(void *opaque, void *begun, int ret)
{
}

/* @json names the file by '%s'. */
static Device *try_add(Rig *rig, const char *json, const char *drive, GError **error)
{
    const char *at = strchr(json, '%');
    g_autofree char *node = g_strdup_printf("%.*s%s%s", (int)(at - json), json, rig->path,
                                            at + 2);
    const PflashConfig config = { .drive = drive, .end = END, .max_size = MIB };

    kit_add_node(rig->kit, node);
    return pflash_add(&rig->kit->tree, 1, &config, error);
}

#define RAW "{'driver': 'raw', 'node-name': 'n', 'file': " \
            "{'driver': 'file', 'filename': '%s'}}"
#define READ_ONLY "{'driver': 'raw', 'node-name': 'n', 'read-only': true, 'file': " \
                  "{'driver': 'file', 'filename': '%s'}}"
#define FAULTY "{'driver': 'inject', 'node-name': 'n', 'file': " \
               "{'driver': 'file', 'filename': '%s'}}"
#define QCOW2 "{'driver': 'qcow2', 'node-name': 'n', 'file': " \
              "{'driver': 'file', 'filename': '%s'}}"
#define QCOW2_READ_ONLY "{'driver': 'qcow2', 'node-name': 'n', 'read-only': true, " \
                        "'file': {'driver': 'file', 'filename': '%s'}}"
#define PART "{'driver': 'raw', 'node-name': 'n', 'offset': 4096, 'file': " \
             "{'driver': 'file', 'filename': '%s'}}"

static void rig_init(Rig *rig, const char *json)
{
    g_autoptr(GError) error = NULL;

    *rig = (Rig) { .kit = kit_board_new() };
    make_file(rig, SIZE);
    rig->dev = try_add(rig, json, "n", &error);
    g_assert_no_error(error);
    device_tree_reset(&rig->kit->tree);
    kit_start(rig->kit);
}

static void watch(Rig *rig)
{
    rig->hooks = (InjectWatch) { .begin = on_begin, .end = on_end, .opaque = rig };
    inject_set_watch(block_graph_find(rig->kit->blocks, "n"), &rig->hooks);
}

static uint64_t peek(Rig *rig, uint64_t offset, unsigned size)
{
    return kit_read(rig->kit, BASE + offset, size);
}

static void poke(Rig *rig, uint64_t offset, uint64_t value)
{
    kit_write(rig->kit, BASE + offset, 1, value);
}

static void reset(Rig *rig)
{
    device_tree_pause(&rig->kit->tree);
    device_tree_reset(&rig->kit->tree);
    device_tree_resume(&rig->kit->tree);
}

/* Reads the status, and clears it. */
static uint8_t take_status(Rig *rig)
{
    uint8_t status;

    poke(rig, 0, 0x70);
    status = (uint8_t)peek(rig, 0, 1);
    poke(rig, 0, 0x50);
    return status;
}

static void program(Rig *rig, uint64_t offset, uint8_t value)
{
    poke(rig, offset, 0x10);
    poke(rig, offset, value);
}

static void erase(Rig *rig, uint64_t offset)
{
    poke(rig, offset, 0x20);
    poke(rig, offset, 0xd0);
}

/* Until all that was written is in the file. */
static void drain(Rig *rig)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;

    while (!device_tree_is_quiet(&rig->kit->tree)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(rig->kit);
    }
}

static void rig_done(Rig *rig)
{
    drain(rig);
    kit_board_free(rig->kit);
    close(rig->fd);
    g_unlink(rig->path);
    g_free(rig->path);
}

static uint8_t in_file(Rig *rig, uint64_t offset)
{
    uint8_t byte;

    g_assert_cmpint(pread(rig->fd, &byte, 1, (off_t)offset), ==, 1);
    return byte;
}

/* What is hidden by a status is there again. */
static void assert_file_is_array(Rig *rig)
{
    const uint8_t *array = pflash_memory(rig->dev)->host;
    g_autofree uint8_t *bytes = g_malloc(SIZE);

    drain(rig);
    reset(rig);
    g_assert_cmpint(pread(rig->fd, bytes, SIZE, 0), ==, SIZE);
    g_assert_cmpint(memcmp(bytes, array, SIZE), ==, 0);
}

/* Whether the array is a memory slot. */
static bool is_slot(Rig *rig)
{
    for (unsigned i = 0; i < vm_fake_slot_count(rig->kit->vm); i++) {
        VmFakeSlot slot = vm_fake_slot(rig->kit->vm, i);

        if (slot.gpa != BASE)
            continue;
        g_assert_true(slot.readonly);
        g_assert_cmpuint(slot.size, ==, SIZE);
        g_assert_true(slot.host == pflash_memory(rig->dev)->host);
        return true;
    }
    return false;
}

static void test_array(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    g_assert_true(is_slot(&rig));
    for (uint64_t i = 0; i < SIZE; i += 997)
        g_assert_cmphex(peek(&rig, i, 1), ==, pattern(i));
    g_assert_cmphex(peek(&rig, 6, 2), ==, pattern(6) | pattern(7) << 8);
    g_assert_cmphex(kit_read(rig.kit, BASE - 1, 1), ==, 0xff);
    g_assert_cmphex(kit_read(rig.kit, END, 1), ==, 0xff);
    /* Pages of the file, of which none was copied. */
    g_assert_cmpint(pflash_memory(rig.dev)->fd, >=, 0);
    rig_done(&rig);

    rig_init(&rig, FAULTY);
    g_assert_cmpint(pflash_memory(rig.dev)->fd, <, 0);
    g_assert_cmphex(peek(&rig, SIZE - 1, 1), ==, pattern(SIZE - 1));
    rig_done(&rig);
}

/* The block that a command is written to reads as it says, the others do not. */
static void test_modes(void)
{
    static const uint8_t other[] = { 0x70, 0x90, 0x98, 0x10, 0x40, 0x20, 0x60, 0xe8 };
    static const uint8_t array[] = { 0x00, 0xff, 0xf0, 0x50, 0x01, 0xd0, 0x77 };
    Rig rig;

    rig_init(&rig, RAW);
    for (size_t i = 0; i < sizeof(other); i++) {
        poke(&rig, BLOCK + 8, other[i]);
        g_assert_cmphex(peek(&rig, BLOCK + 0x80, 1), ==,
                        other[i] == 0x90 || other[i] == 0x98 ? 0 : 0x80);
        g_assert_cmphex(peek(&rig, BLOCK - 1, 1), ==, pattern(BLOCK - 1));
        g_assert_cmphex(peek(&rig, 2 * BLOCK, 1), ==, pattern(2 * BLOCK));
        reset(&rig);
        for (uint64_t at = BLOCK; at < 2 * BLOCK; at++)
            g_assert_cmphex(peek(&rig, at, 1), ==, pattern(at));
    }
    for (size_t i = 0; i < sizeof(array); i++) {
        poke(&rig, 0, 0x70);
        poke(&rig, 0, array[i]);
        g_assert_cmphex(peek(&rig, 0x80, 1), ==, pattern(0x80));
    }
    /* A command elsewhere: the block is an array again. */
    poke(&rig, 0, 0x98);
    poke(&rig, BLOCK, 0x90);
    g_assert_cmphex(peek(&rig, 0x10, 1), ==, pattern(0x10));
    g_assert_cmphex(peek(&rig, BLOCK, 1), ==, 0x89);
    g_assert_true(is_slot(&rig));
    assert_file_is_array(&rig);
    rig_done(&rig);
}

static void test_status(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    poke(&rig, 0, 0x70);
    g_assert_cmphex(peek(&rig, 0xfff, 1), ==, 0x80);
    g_assert_cmphex(peek(&rig, 0x234, 2), ==, 0x8080);
    /* As OVMF tells flash from RAM and ROM. */
    poke(&rig, 0, 0x50);
    g_assert_cmphex(peek(&rig, 0, 1), ==, pattern(0));
    poke(&rig, 0, 0x70);
    g_assert_cmphex(peek(&rig, 0, 1), ==, 0);
    /* Each wrong command shows, until it is cleared. */
    poke(&rig, 0, 0x77);
    g_assert_cmphex(take_status(&rig), ==, 0xb0);
    g_assert_cmphex(take_status(&rig), ==, 0);
    rig_done(&rig);
}

static void test_identity(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    poke(&rig, 0, 0x90);
    g_assert_cmphex(peek(&rig, 0, 2), ==, 0x1889);
    g_assert_cmphex(peek(&rig, 2, 1), ==, 0);
    poke(&rig, 0x55, 0x98);
    g_assert_cmphex(peek(&rig, 0x10, 1), ==, 'Q');
    g_assert_cmphex(peek(&rig, 0x11, 1), ==, 'R');
    g_assert_cmphex(peek(&rig, 0x112, 1), ==, 'Y');
    g_assert_cmphex(peek(&rig, 0x13, 1), ==, 1);
    g_assert_cmphex(peek(&rig, 0x27, 1), ==, 16);
    g_assert_cmphex(peek(&rig, 0x2a, 1), ==, 8);
    g_assert_cmphex(peek(&rig, 0x2c, 1), ==, 1);
    g_assert_cmphex(peek(&rig, 0x2d, 1), ==, SIZE / BLOCK - 1);
    g_assert_cmphex(peek(&rig, 0x2f, 1), ==, BLOCK / 256);
    g_assert_cmphex(peek(&rig, 0x30, 1), ==, 0);
    g_assert_cmphex(peek(&rig, peek(&rig, 0x15, 1), 1), ==, 'P');
    g_assert_cmphex(peek(&rig, 0xff, 1), ==, 0);
    rig_done(&rig);
}

static void test_program(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    program(&rig, 0x1001, 0x5a);
    g_assert_cmphex(peek(&rig, 0x1000, 1), ==, 0x80);
    poke(&rig, 0x1001, 0x40);
    kit_write(rig.kit, BASE + 0x2004, 4, 0x11223344);
    g_assert_cmphex(take_status(&rig), ==, 0x80);
    g_assert_cmphex(peek(&rig, 0x1001, 1), ==, 0x5a);
    g_assert_cmphex(peek(&rig, 0x1000, 1), ==, pattern(0x1000));
    g_assert_cmphex(peek(&rig, 0x2004, 4), ==, 0x11223344);
    /* Eight bytes are two commands of four. */
    kit_write(rig.kit, BASE + 0x3000, 8, 0xaabbccdd00000010);
    poke(&rig, 0, 0xff);
    g_assert_cmphex(peek(&rig, 0x3004, 4), ==, 0xaabbccdd);
    assert_file_is_array(&rig);
    g_assert_cmphex(in_file(&rig, 0x1001), ==, 0x5a);
    g_assert_cmphex(in_file(&rig, 0x1002), ==, pattern(0x1002));
    rig_done(&rig);
}

static void test_erase(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    erase(&rig, BLOCK + 17);
    g_assert_cmphex(take_status(&rig), ==, 0x80);
    g_assert_cmphex(peek(&rig, BLOCK, 4), ==, 0xffffffff);
    g_assert_cmphex(peek(&rig, 2 * BLOCK - 1, 1), ==, 0xff);
    g_assert_cmphex(peek(&rig, BLOCK - 1, 1), ==, pattern(BLOCK - 1));
    g_assert_cmphex(peek(&rig, 2 * BLOCK, 1), ==, pattern(2 * BLOCK));
    erase(&rig, SIZE - 1);
    /* It is confirmed, or nothing is erased. */
    poke(&rig, 0, 0x20);
    poke(&rig, 0, 0x10);
    g_assert_cmphex(take_status(&rig), ==, 0xb0);
    poke(&rig, 0, 0x20);
    poke(&rig, 0, 0xff);
    g_assert_cmphex(take_status(&rig), ==, 0);
    g_assert_cmphex(peek(&rig, 0, 1), ==, pattern(0));
    assert_file_is_array(&rig);
    g_assert_cmphex(in_file(&rig, SIZE - BLOCK), ==, 0xff);
    rig_done(&rig);
}

static void fill(Rig *rig, uint64_t offset, unsigned n, uint8_t confirm)
{
    poke(rig, offset, 0xe8);
    poke(rig, offset, n - 1);
    for (unsigned i = 0; i < n; i++)
        poke(rig, offset + i, 0xc0 + i);
    poke(rig, offset, confirm);
}

static void test_buffer(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    fill(&rig, 0x1080, 16, 0xd0);
    g_assert_cmphex(take_status(&rig), ==, 0x80);
    g_assert_cmphex(peek(&rig, 0x1080, 4), ==, 0xc3c2c1c0);
    g_assert_cmphex(peek(&rig, 0x108f, 1), ==, 0xcf);
    g_assert_cmphex(peek(&rig, 0x1090, 1), ==, pattern(0x1090));
    g_assert_cmphex(peek(&rig, 0x107f, 1), ==, pattern(0x107f));
    fill(&rig, 0x2000, 256, 0xd0);
    g_assert_cmphex(take_status(&rig), ==, 0x80);
    g_assert_cmphex(peek(&rig, 0x20ff, 1), ==, 0xbf);

    /* Not confirmed, cancelled, beyond the buffer: nothing is written. */
    fill(&rig, 0x3000, 4, 0x10);
    g_assert_cmphex(take_status(&rig), ==, 0xb0);
    fill(&rig, 0x3000, 4, 0xff);
    g_assert_cmphex(take_status(&rig), ==, 0x80);
    poke(&rig, 0x30f8, 0xe8);
    poke(&rig, 0x30f8, 15);
    for (unsigned i = 0; i < 8; i++)
        poke(&rig, 0x30f8 + i, 0);
    poke(&rig, 0x3100, 0);
    g_assert_cmphex(peek(&rig, 0x3100, 1) & 0x30, ==, 0x30);
    g_assert_cmphex(take_status(&rig), ==, 0xb0);
    for (uint64_t i = 0x3000; i < 0x3200; i++)
        g_assert_cmphex(peek(&rig, i, 1), ==, pattern(i));
    /* The count is of what is written, whatever its width. */
    poke(&rig, 0x4000, 0xe8);
    poke(&rig, 0x4000, 1);
    kit_write(rig.kit, BASE + 0x4004, 4, 0x01020304);
    kit_write(rig.kit, BASE + 0x4000, 2, 0x0506);
    poke(&rig, 0x4000, 0xd0);
    poke(&rig, 0, 0xff);
    g_assert_cmphex(peek(&rig, 0x4004, 4), ==, 0x01020304);
    g_assert_cmphex(peek(&rig, 0x4000, 2), ==, 0x0506);
    g_assert_cmphex(peek(&rig, 0x4002, 1), ==, pattern(0x4002));
    assert_file_is_array(&rig);
    rig_done(&rig);
}

static void test_locks(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    poke(&rig, BLOCK, 0x60);
    poke(&rig, BLOCK, 0xd0);
    g_assert_cmphex(take_status(&rig), ==, 0x80);
    poke(&rig, BLOCK, 0x60);
    poke(&rig, BLOCK, 0x01);
    g_assert_cmphex(take_status(&rig), ==, 0xb0);
    poke(&rig, BLOCK, 0x60);
    poke(&rig, BLOCK, 0xff);
    g_assert_cmphex(take_status(&rig), ==, 0);
    rig_done(&rig);
}

static void test_read_only(void)
{
    Rig rig;

    rig_init(&rig, READ_ONLY);
    program(&rig, 0, 0x5a);
    g_assert_cmphex(take_status(&rig), ==, 0x92);
    fill(&rig, 0, 8, 0xd0);
    g_assert_cmphex(take_status(&rig), ==, 0x92);
    erase(&rig, 0);
    g_assert_cmphex(take_status(&rig), ==, 0xa2);
    for (uint64_t i = 0; i < BLOCK; i++)
        g_assert_cmphex(peek(&rig, i, 1), ==, pattern(i));
    assert_file_is_array(&rig);
    rig_done(&rig);
}

/* Later writes do not come to the file before earlier ones. */
static void test_order(void)
{
    Rig rig;

    rig_init(&rig, FAULTY);
    watch(&rig);
    for (unsigned i = 0; i < 8; i++)
        program(&rig, 0x1000 + i, i);
    program(&rig, 0x2000, 1);
    program(&rig, 0x1001, 2);
    program(&rig, 0x1200, 3);
    program(&rig, 0x5fff, 4);
    assert_file_is_array(&rig);
    g_assert_cmpuint(rig.n_writes, ==, 4);
    g_assert_cmphex(rig.writes[0], ==, 0x1000);
    g_assert_cmphex(rig.writes[1], ==, 0x2000);
    g_assert_cmphex(rig.writes[2], ==, 0x1000);
    g_assert_cmphex(rig.writes[3], ==, 0x5e00);
    g_assert_cmpuint(rig.n_flushes, ==, 1);
    rig_done(&rig);
}

/* What is under way was written as it was. */
static void test_killed_between_writes(void)
{
    Rig rig;

    rig_init(&rig, FAULTY);
    program(&rig, 0x1000, 1);
    program(&rig, 0x2000, 2);
    program(&rig, 0x1000, 3);
    inject_fail_nth(block_graph_find(rig.kit->blocks, "n"), 3, EIO);
    drain(&rig);
    g_assert_cmphex(in_file(&rig, 0x1000), ==, 1);
    g_assert_cmphex(in_file(&rig, 0x2000), ==, 2);
    rig_done(&rig);
}

static void test_log_is_bounded(void)
{
    Rig rig;

    rig_init(&rig, FAULTY);
    watch(&rig);
    for (unsigned i = 0; i < 4 * LOG_MAX; i++)
        program(&rig, i % 5 * BLOCK + i % 64, (uint8_t)i);
    assert_file_is_array(&rig);
    g_assert_cmpuint(rig.n_writes, >=, LOG_MAX);
    g_assert_cmpuint(rig.n_writes, <=, LOG_MAX + SIZE / BLOCK);
    rig_done(&rig);
}

static void add_drive(Rig *rig, BlockdevOnError policy)
{
    g_autofree char *json = g_strdup_printf(
        "{'driver': 'inject', 'node-name': 'n', 'file': "
        "{'driver': 'file', 'filename': '%s'}}", rig->path);
    const BlockDriveOptions options = {
        .name = "vars", .on_read_error = BLOCKDEV_ON_ERROR_AUTO, .on_write_error = policy,
    };
    const PflashConfig config = { .drive = "vars", .end = END, .max_size = MIB };
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(block_drive_new(rig->kit->blocks, &options,
                                     kit_add_node(rig->kit, json), &error));
    rig->dev = pflash_add(&rig->kit->tree, 1, &config, &error);
    g_assert_no_error(error);
    device_tree_reset(&rig->kit->tree);
    kit_start(rig->kit);
}

static void assert_failure(BlockdevOnError policy, int errnum, BlockErrorAction action)
{
    bool stops = action == BLOCK_ERROR_ACTION_STOP;
    Rig rig = { .kit = kit_board_new() };

    make_file(&rig, SIZE);
    add_drive(&rig, policy);
    inject_fail_nth(block_graph_find(rig.kit->blocks, "n"), 1, errnum);
    program(&rig, 0x1000, 0x11);
    drain(&rig);
    g_assert_cmpuint(rig.kit->n_io_errors, ==, 1);
    g_assert_cmpint(rig.kit->io_error, ==, action);
    g_assert_cmpint(rig.kit->io_errnum, ==, errnum);
    g_assert_cmphex(in_file(&rig, 0x1000), ==, pattern(0x1000));
    g_assert_cmphex(take_status(&rig), ==,
                    action == BLOCK_ERROR_ACTION_REPORT ? 0x90 : 0x80);
    program(&rig, 0x2000, 0x22);
    drain(&rig);
    g_assert_cmphex(in_file(&rig, 0x2000), ==, stops ? pattern(0x2000) : 0x22);
    device_tree_pause(&rig.kit->tree);
    drain(&rig);
    device_tree_resume(&rig.kit->tree);
    drain(&rig);
    g_assert_cmphex(in_file(&rig, 0x1000), ==, stops ? 0x11 : pattern(0x1000));
    g_assert_cmphex(in_file(&rig, 0x2000), ==, 0x22);
    rig_done(&rig);
}

static void test_failures(void)
{
    assert_failure(BLOCKDEV_ON_ERROR_AUTO, EIO, BLOCK_ERROR_ACTION_REPORT);
    assert_failure(BLOCKDEV_ON_ERROR_AUTO, ENOSPC, BLOCK_ERROR_ACTION_STOP);
    assert_failure(BLOCKDEV_ON_ERROR_REPORT, ENOSPC, BLOCK_ERROR_ACTION_REPORT);
    assert_failure(BLOCKDEV_ON_ERROR_IGNORE, EIO, BLOCK_ERROR_ACTION_IGNORE);
    assert_failure(BLOCKDEV_ON_ERROR_STOP, EIO, BLOCK_ERROR_ACTION_STOP);
}

/* The end of a machine waits for what is under way, not for what is held. */
static void test_end(void)
{
    Rig rig = { .kit = kit_board_new_threaded() };

    make_file(&rig, SIZE);
    add_drive(&rig, BLOCKDEV_ON_ERROR_REPORT);
    for (unsigned i = 0; i < SIZE / BLOCK; i++)
        erase(&rig, i * BLOCK);
    device_remove(rig.dev);
    for (unsigned i = 0; i < SIZE; i += 255)
        g_assert_cmphex(in_file(&rig, i), ==, 0xff);
    rig_done(&rig);

    rig = (Rig) { .kit = kit_board_new() };
    make_file(&rig, SIZE);
    add_drive(&rig, BLOCKDEV_ON_ERROR_STOP);
    inject_fail_nth(block_graph_find(rig.kit->blocks, "n"), 1, EIO);
    program(&rig, 0, 0);
    drain(&rig);
    rig_done(&rig);
}

static void assert_refused(size_t size, const char *json, const char *drive,
                           const char *words)
{
    g_autoptr(GError) error = NULL;
    Rig rig = { .kit = kit_board_new() };

    make_file(&rig, size);
    g_assert_null(try_add(&rig, json, drive, &error));
    if (!strstr(error->message, words))
        g_error("'%s' is not in '%s'", words, error->message);
    rig_done(&rig);
}

static void test_images(void)
{
    Rig rig;

    assert_refused(BLOCK + 512, RAW, "n", "4608 bytes");
    assert_refused(0, RAW, "n", "0 bytes");
    assert_refused(MIB + BLOCK, RAW, "n", "1052672 bytes");
    assert_refused(SIZE, RAW, "other", "'other'");

    /* What begins behind others' bytes is copied, and written where it is. */
    rig = (Rig) { .kit = kit_board_new() };
    make_file(&rig, SIZE + BLOCK);
    rig.dev = try_add(&rig, PART, "n", NULL);
    g_assert_nonnull(rig.dev);
    device_tree_reset(&rig.kit->tree);
    kit_start(rig.kit);
    g_assert_cmphex(peek(&rig, 0, 1), ==, pattern(BLOCK));
    program(&rig, 0, 0x42);
    drain(&rig);
    g_assert_cmphex(in_file(&rig, BLOCK), ==, 0x42);
    g_assert_cmphex(in_file(&rig, 0), ==, pattern(0));
    rig_done(&rig);
}

/* The place of its first L2 table, as qemu-img lays a small image out. */
#define QCOW2_L2 0x40000

/* What is in the rig's file is then in a qcow2 image, which is the rig's from here on. */
static void make_qcow2(Rig *rig, KitImage *image)
{
    g_autofree char *raw = NULL;

    *rig = (Rig) { .kit = kit_board_new() };
    make_file(rig, SIZE);
    raw = g_canonicalize_filename(rig->path, NULL);
    kit_image_init(image);
    kit_image_do(image, "qemu-img convert -f raw -O qcow2 %s image", raw);
    close(rig->fd);
    g_unlink(rig->path);
    g_free(rig->path);
    rig->path = kit_image_path(image, "image");
    rig->fd = open(rig->path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(rig->fd, >=, 0);
}

static void assert_qcow2(const char *json, uint8_t status)
{
    g_autofree uint8_t *expected = g_malloc(SIZE);
    g_autoptr(GError) error = NULL;
    KitImage image;
    Rig rig;

    make_qcow2(&rig, &image);
    rig.dev = try_add(&rig, json, "n", &error);
    g_assert_no_error(error);
    g_assert_cmpint(pflash_memory(rig.dev)->fd, <, 0);
    device_tree_reset(&rig.kit->tree);
    kit_start(rig.kit);
    g_assert_cmphex(peek(&rig, SIZE - 1, 1), ==, pattern(SIZE - 1));
    program(&rig, 0x1001, 0x5a);
    g_assert_cmphex(take_status(&rig), ==, status);
    erase(&rig, 0x2000);
    program(&rig, SIZE - 1, 0xa5);
    drain(&rig);
    reset(&rig);
    memcpy(expected, pflash_memory(rig.dev)->host, SIZE);
    g_assert_cmphex(expected[0x1001], ==, status & 0x10 ? pattern(0x1001) : 0x5a);
    kit_board_free(rig.kit);
    kit_image_assert_clean(&image, "image");
    kit_image_assert_holds(&image, "image", expected, SIZE);
    close(rig.fd);
    g_free(rig.path);
    kit_image_done(&image);
}

static void test_qcow2(void)
{
    if (!kit_image_has_tools())
        return;
    assert_qcow2(QCOW2, 0x80);
    assert_qcow2(QCOW2_READ_ONLY, 0x92);
}

/* A table that says that the disk is where the tables are. */
static void test_qcow2_that_contradicts_itself(void)
{
    static const uint8_t l2_entry[] = { 0x80, 0, 0, 0, 0, 3, 0, 0 };
    g_autoptr(GError) error = NULL;
    KitImage image;
    Rig rig;

    if (!kit_image_has_tools())
        return;
    make_qcow2(&rig, &image);
    g_assert_cmpint(pwrite(rig.fd, l2_entry, sizeof(l2_entry), QCOW2_L2), ==,
                    sizeof(l2_entry));
    g_assert_null(try_add(&rig, QCOW2, "n", &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, "cannot read 'n'"))
        g_error("'%s'", error->message);
    rig_done(&rig);
    kit_image_done(&image);
}

/* What is lost reads as zeros; main is told, and stops the machine. */
static void test_file_truncated_below(void)
{
    g_autoptr(GError) error = NULL;
    RamFault fault;
    Rig rig;

    g_assert_true(ram_fault_catch(&error));
    rig_init(&rig, RAW);
    g_assert_false(ram_fault_take(pflash_memory(rig.dev), &fault));
    g_assert_cmpint(ftruncate(rig.fd, BLOCK), ==, 0);
    g_assert_cmphex(peek(&rig, 0, 1), ==, pattern(0));
    g_assert_cmphex(peek(&rig, 2 * BLOCK, 1), ==, 0);
    g_assert_true(ram_fault_take(pflash_memory(rig.dev), &fault));
    g_assert_cmpuint(fault.n_lost, ==, 1);
    g_assert_cmphex(fault.offset, ==, 2 * BLOCK);

    /* Commands go on, and the file is as long as what was written. */
    program(&rig, 3 * BLOCK, 0x5a);
    drain(&rig);
    poke(&rig, 3 * BLOCK, 0xff);
    g_assert_cmphex(peek(&rig, 3 * BLOCK, 2), ==, 0x5a);
    g_assert_true(ram_fault_take(pflash_memory(rig.dev), &fault));
    g_assert_cmphex(in_file(&rig, 3 * BLOCK), ==, 0x5a);
    rig_done(&rig);
}

static void test_one_user(void)
{
    const PflashConfig config = { .drive = "n", .end = BASE, .max_size = MIB };
    g_autoptr(GError) error = NULL;
    Rig rig;

    rig_init(&rig, RAW);
    g_assert_null(pflash_add(&rig.kit->tree, 0, &config, &error));
    g_assert_nonnull(strstr(error->message, "system.flash1"));
    rig_done(&rig);
}

static void test_reset(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    poke(&rig, 0x1000, 0xe8);
    poke(&rig, 0x1000, 3);
    poke(&rig, 0x1000, 0);
    reset(&rig);
    g_assert_cmphex(peek(&rig, 0x1000, 1), ==, pattern(0x1000));
    poke(&rig, 0x1000, 0x70);
    g_assert_cmphex(peek(&rig, 0x1000, 1), ==, 0x80);
    poke(&rig, 0, 0xff);
    g_assert_cmphex(peek(&rig, 0x1000, 1), ==, pattern(0x1000));
    rig_done(&rig);
}

static void test_saved_state(void)
{
    Rig rig;

    rig_init(&rig, RAW);
    poke(&rig, 0x1000, 0xe8);
    poke(&rig, 0x1000, 1);
    poke(&rig, 0x1004, 0x77);
    kit_save_and_load(rig.kit);
    g_assert_cmphex(peek(&rig, 0x1004, 1), ==, 0x80);
    device_tree_resume(&rig.kit->tree);
    poke(&rig, 0x1005, 0x78);
    poke(&rig, 0x1000, 0xd0);
    poke(&rig, 0, 0xff);
    g_assert_cmphex(peek(&rig, 0x1004, 2), ==, 0x7877);
    rig_done(&rig);
}

/* Every byte of a state turned over: it is refused, or one that can be gone on from. */
static void test_hostile_state(void)
{
    g_autoptr(GByteArray) saved = NULL;
    Rig rig;

    rig_init(&rig, RAW);
    poke(&rig, 0x1000, 0xe8);
    poke(&rig, 0x1000, 3);
    poke(&rig, 0x1004, 0x77);
    device_tree_pause(&rig.kit->tree);
    saved = kit_save(rig.kit);
    for (guint i = 0; i < saved->len; i++) {
        for (unsigned bit = 0; bit < 8; bit += 7) {
            saved->data[i] ^= (uint8_t)(1u << bit);
            if (device_tree_load(&rig.kit->tree, saved->data, saved->len, NULL)) {
                for (unsigned n = 0; n < 8; n++)
                    poke(&rig, SIZE - 1 - n, n % 2 ? 0xd0 : 0xe8);
            }
            saved->data[i] ^= (uint8_t)(1u << bit);
        }
    }
    device_tree_reset(&rig.kit->tree);
    device_tree_resume(&rig.kit->tree);
    assert_file_is_array(&rig);
    rig_done(&rig);
}

static void test_random(void)
{
    static const uint8_t likely[] = {
        0x10, 0x40, 0x20, 0xd0, 0xe8, 0x50, 0x60, 0x70, 0xff,
    };
    Rig rig;

    rig_init(&rig, RAW);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned size = 1u << g_test_rand_int_range(0, 4);
        uint64_t at = (uint64_t)g_test_rand_int_range(-8, (int)SIZE + 8);
        uint64_t value = (uint64_t)(uint32_t)g_test_rand_int() << 8;

        if (g_test_rand_bit())
            kit_read(rig.kit, BASE + at, size);
        value |= likely[(unsigned)g_test_rand_int_range(0, sizeof(likely))];
        kit_write(rig.kit, BASE + at, size, value);
        if (i % 64 == 0)
            kit_run(rig.kit);
    }
    assert_file_is_array(&rig);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/pflash/array", test_array);
    g_test_add_func("/pflash/modes", test_modes);
    g_test_add_func("/pflash/status", test_status);
    g_test_add_func("/pflash/identity", test_identity);
    g_test_add_func("/pflash/program", test_program);
    g_test_add_func("/pflash/erase", test_erase);
    g_test_add_func("/pflash/buffer", test_buffer);
    g_test_add_func("/pflash/locks", test_locks);
    g_test_add_func("/pflash/read-only", test_read_only);
    g_test_add_func("/pflash/order", test_order);
    g_test_add_func("/pflash/killed-between-writes", test_killed_between_writes);
    g_test_add_func("/pflash/log-is-bounded", test_log_is_bounded);
    g_test_add_func("/pflash/failures", test_failures);
    g_test_add_func("/pflash/end", test_end);
    g_test_add_func("/pflash/images", test_images);
    g_test_add_func("/pflash/qcow2", test_qcow2);
    g_test_add_func("/pflash/qcow2-that-contradicts-itself",
                    test_qcow2_that_contradicts_itself);
    g_test_add_func("/pflash/file-truncated-below", test_file_truncated_below);
    g_test_add_func("/pflash/one-user", test_one_user);
    g_test_add_func("/pflash/reset", test_reset);
    g_test_add_func("/pflash/saved-state", test_saved_state);
    g_test_add_func("/pflash/hostile-state", test_hostile_state);
    g_test_add_func("/pflash/random", test_random);
    return g_test_run();
}
