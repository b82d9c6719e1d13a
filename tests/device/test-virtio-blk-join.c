/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a round that are joined: what comes to the node below, what does not, and
 * what each of them is told when the whole fails.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/block-node.h"
#include "berth/inject.h"
#include "berth/timer.h"

#include "kit-blk.h"

#define BLOCK KIT_BLK_DATA
#define SECTORS (BLOCK / 512)
#define N_BLOCKS 4u
#define N_MAX KIT_BLK_SLOTS
#define TABLES (KIT_VIRTIO_DATA + 0x200000)
#define WAIT_NS (20 * NS_PER_SEC)

typedef struct Rig {
    KitBoard *kit;
    KitBlk *blk;
    BlockNode *node;
    InjectWatch watch;
    GString *ops;               /* what came below: "w0+8 r8+8" in sectors, "f" */
    char *path;
} Rig;

static void *on_operation(void *opaque, const BlockIo *io)
{
    static const char names[BLOCK_OP__MAX] = {
        [BLOCK_OP_READ] = 'r', [BLOCK_OP_WRITE] = 'w', [BLOCK_OP_FLUSH] = 'f',
        [BLOCK_OP_DISCARD] = 'd', [BLOCK_OP_ZERO] = 'z',
    };
    GString *ops = opaque;

    g_string_append_printf(ops, "%s%c", ops->len > 0 ? " " : "", names[io->op]);
    if (io->op != BLOCK_OP_FLUSH)
        g_string_append_printf(ops, "%" PRIu64 "+%" PRIu64, io->offset / 512,
                               io->bytes / 512);
    return NULL;
}

static void on_operation_done(void *opaque, void *begun, int ret)
{
}

static void on_resized(void *opaque, uint64_t size)
{
}

static void rig_init(Rig *rig, const char *below, const char *props)
{
    g_autofree char *node = g_strdup_printf("{'driver': 'inject', 'node-name': 'n', "
                                            "'file': %s}", below);
    g_autofree char *device = g_strdup_printf("{'driver': 'virtio-blk-pci', 'id': 'd', "
                                              "'drive': 'n'%s}", props);

    rig->kit = kit_board_new();
    rig->node = kit_add_node(rig->kit, node);
    rig->ops = g_string_new(NULL);
    rig->watch = (InjectWatch) {
        .begin = on_operation, .end = on_operation_done, .resized = on_resized,
        .opaque = rig->ops,
    };
    inject_set_watch(rig->node, &rig->watch);
    kit_add(rig->kit, device);
    kit_start(rig->kit);
    rig->blk = kit_blk_new(rig->kit, "d");
}

static void rig_done(Rig *rig)
{
    kit_blk_free(rig->blk);
    device_tree_done(&rig->kit->tree);
    inject_set_watch(rig->node, NULL);
    kit_board_free(rig->kit);
    g_string_free(rig->ops, TRUE);
}

static void set_rules(Rig *rig, const char *json)
{
    g_autoptr(InjectRuleList) rules =
        qapi_parse_json(QAPI_TYPE_INJECT_RULE_LIST, json, NULL);

    g_assert_nonnull(rules);
    g_assert_true(inject_set_rules(rig->node, rules, NULL));
}

/* Until @n requests have ended: their statuses. */
static void wait_for(Rig *rig, unsigned n, uint8_t *ret_statuses)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    unsigned slot;
    uint8_t status;

    while (n > 0) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(rig->kit);
        for (; n > 0 && kit_blk_take(rig->blk, &slot, &status); n--)
            ret_statuses[slot] = status;
    }
    g_assert_false(kit_blk_take(rig->blk, &slot, &status));
}

/* @text as in `ops`; each begins in a slot of its own.  How many there are. */
static unsigned offer(Rig *rig, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    unsigned n = 0;

    for (; words[n]; n++) {
        uint32_t type = words[n][0] == 'w' ? VIRTIO_BLK_T_OUT
                        : words[n][0] == 'r' ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_FLUSH;
        unsigned sector = 0, n_sectors = 0;

        if (type != VIRTIO_BLK_T_FLUSH)
            g_assert_cmpint(sscanf(words[n] + 1, "%u+%u", &sector, &n_sectors), ==, 2);
        kit_blk_offer(rig->blk, n, type, sector, n_sectors * 512);
    }
    return n;
}

static void ask(Rig *rig, const char *text, uint8_t *ret_statuses)
{
    unsigned n = offer(rig, text);

    g_string_truncate(rig->ops, 0);
    kit_virtio_kick(rig->blk->v);
    wait_for(rig, n, ret_statuses);
}

#define NULL_DISK "{'driver': 'null-co', 'size': 1048576, 'read-zeroes': false}"

static void test_what_is_joined(void)
{
    static const struct {
        const char *asked;
        const char *done;
        uint32_t max_transfer;  /* limits of the node, 0 for none */
        uint32_t max_iov;
        const char *props;
    } rows[] = {
        { "w0+8 w8+8 w16+8", "w0+24", 0, 0, "" },
        { "r0+8 r8+8 r16+8", "r0+24", 0, 0, "" },
        { "w0+1 w1+7 w8+2 w10+6", "w0+16", 0, 0, "" },
        { "w0+8", "w0+8", 0, 0, "" },
        { "w0+8 w16+8", "w0+8 w16+8", 0, 0, "" },
        { "w8+8 w0+8", "w8+8 w0+8", 0, 0, "" },
        { "w0+8 w0+8", "w0+8 w0+8", 0, 0, "" },
        { "w0+8 r8+8", "w0+8 r8+8", 0, 0, "" },
        { "r0+8 r8+8 w16+8 w24+8", "r0+16 w16+16", 0, 0, "" },
        { "w0+8 f w8+8", "w0+8 f w8+8", 0, 0, "" },
        { "w0+8 w8+8 f", "w0+16 f", 0, 0, "" },
        /* Beyond the end, which is no reason against those before. */
        { "w2032+8 w2040+8 w2048+8", "w2032+16", 0, 0, "" },
        /* Too much together, or for the node. */
        { "w0+64 w64+64 w128+64 w192+64 w256+64 w320+64", "w0+256 w256+128", 0, 0, "" },
        { "w0+256 w256+8", "w0+256 w256+8", 0, 0, "" },
        { "w0+8 w8+8 w16+8", "w0+16 w16+8", 8192, 0, "" },
        { "w0+8 w8+8 w16+8", "w0+16 w16+8", 0, 2, "" },
        { "w0+8 w8+8", "w0+8 w8+8", 0, 0, ", 'request-merging': false" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint8_t statuses[N_MAX];
        Rig rig;

        rig_init(&rig, NULL_DISK, rows[i].props);
        rig.node->limits.max_transfer = rows[i].max_transfer;
        rig.node->limits.max_iov = rows[i].max_iov;
        ask(&rig, rows[i].asked, statuses);

        g_assert_cmpstr(rig.ops->str, ==, rows[i].done);
        g_assert_cmpuint(statuses[0], ==, VIRTIO_BLK_S_OK);
        rig_done(&rig);
    }
}

/* A write of @n buffers of 512 bytes, by an indirect table. */
static void offer_pieces(Rig *rig, unsigned slot, uint64_t sector, unsigned n)
{
    uint64_t table = TABLES + slot * 0x10000, header = table + 0x8000;
    struct vring_desc *descs = kit_ram(rig->kit, table, (n + 2) * sizeof(*descs));
    const struct virtio_blk_outhdr head = {
        .type = GUINT32_TO_LE(VIRTIO_BLK_T_OUT), .sector = GUINT64_TO_LE(sector),
    };

    memcpy(kit_ram(rig->kit, header, 16), &head, 16);
    descs[0] = (struct vring_desc) { header, 16, VRING_DESC_F_NEXT, 1 };
    for (uint16_t i = 1; i <= n; i++)
        descs[i] = (struct vring_desc) { header + 64, 512, VRING_DESC_F_NEXT, i + 1 };
    descs[n + 1] = (struct vring_desc) { header + 16, 1, VRING_DESC_F_WRITE, 0 };
    kit_virtio_desc(rig->blk->v, slot, table, (n + 2) * sizeof(*descs),
                    VRING_DESC_F_INDIRECT, 0);
    kit_virtio_offer(rig->blk->v, (uint16_t)slot);
}

/* A slot's list of buffers has room for as many as the ring has, less the header's. */
static void test_room_for_buffers(void)
{
    static const struct {
        unsigned n[3];          /* buffers of requests, each where the one before ends */
        const char *done;
    } rows[] = {
        { { 1, 126, 0 }, "w0+127" },
        { { 1, 126, 1 }, "w0+127 w127+1" },
        { { 64, 63, 0 }, "w0+127" },
        { { 64, 64, 0 }, "w0+64 w64+64" },
        { { 126, 1, 126 }, "w0+127 w127+126" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t sector = 0;
        uint32_t head, len;
        Rig rig;

        rig_init(&rig, NULL_DISK, "");
        for (unsigned k = 0; k < 3 && rows[i].n[k] > 0; k++) {
            offer_pieces(&rig, k, sector, rows[i].n[k]);
            sector += rows[i].n[k];
        }
        kit_virtio_kick(rig.blk->v);

        g_assert_cmpstr(rig.ops->str, ==, rows[i].done);
        for (unsigned k = 0; k < 3 && rows[i].n[k] > 0; k++) {
            g_assert_true(kit_virtio_take(rig.blk->v, &head, &len));
            g_assert_cmpuint(head, ==, k);
            g_assert_cmpuint(len, ==, 1);
        }
        rig_done(&rig);
    }
}

static char *make_file(void)
{
    char *path = g_strdup("build/test-virtio-blk-join-XXXXXX");
    int fd = g_mkstemp(path);

    g_assert_cmpint(ftruncate(fd, MIB), ==, 0);
    close(fd);
    return path;
}

/* Each byte comes to its place, there and back. */
static void test_contents(void)
{
    g_autofree char *path = make_file(), *contents = NULL;
    g_autofree char *file = g_strdup_printf("{'driver': 'file', 'filename': '%s'}", path);
    uint8_t statuses[N_MAX];
    Rig rig;

    rig_init(&rig, file, "");
    for (unsigned i = 0; i < N_BLOCKS; i++)
        memset(kit_blk_data(rig.blk, i), (int)i + 1, BLOCK);
    ask(&rig, "w0+8 w8+8 w16+8 w24+8", statuses);
    g_assert_cmpstr(rig.ops->str, ==, "w0+32");
    g_assert_true(g_file_get_contents(path, &contents, NULL, NULL));
    for (unsigned i = 0; i < N_BLOCKS * BLOCK; i++)
        g_assert_cmphex((uint8_t)contents[i], ==, i / BLOCK + 1);

    for (unsigned i = 0; i < N_BLOCKS; i++)
        memset(kit_blk_data(rig.blk, i), 0xee, BLOCK);
    ask(&rig, "r8+8 r16+8 r24+4 r28+4", statuses);
    g_assert_cmpstr(rig.ops->str, ==, "r8+24");
    for (unsigned i = 0; i < BLOCK; i++) {
        g_assert_cmphex(kit_blk_data(rig.blk, 0)[i], ==, 2);
        g_assert_cmphex(kit_blk_data(rig.blk, 1)[i], ==, 3);
        g_assert_cmphex(kit_blk_data(rig.blk, 2)[i], ==, i < BLOCK / 2 ? 4 : 0xee);
        g_assert_cmphex(kit_blk_data(rig.blk, 3)[i], ==, i < BLOCK / 2 ? 4 : 0xee);
    }
    for (unsigned i = 0; i < N_BLOCKS; i++)
        g_assert_cmpuint(statuses[i], ==, VIRTIO_BLK_S_OK);
    rig_done(&rig);
    g_unlink(path);
}

#define SECOND_FAILS "[{'ops': ['read', 'write'], 'offset': 4096, 'size': 4096, " \
    "'errno': 'EIO'}]"

/* One of them meets a bad block: only that one is told so. */
static void test_the_error_of_one(void)
{
    static const char *const asked[] = { "w0+8 w8+8 w16+8", "r0+8 r8+8 r16+8" };

    for (size_t i = 0; i < G_N_ELEMENTS(asked); i++) {
        uint8_t statuses[N_MAX];
        Rig rig;

        rig_init(&rig, NULL_DISK, "");
        set_rules(&rig, SECOND_FAILS);
        ask(&rig, asked[i], statuses);

        g_assert_cmpuint(statuses[0], ==, VIRTIO_BLK_S_OK);
        g_assert_cmpuint(statuses[1], ==, VIRTIO_BLK_S_IOERR);
        g_assert_cmpuint(statuses[2], ==, VIRTIO_BLK_S_OK);
        g_assert_cmpuint(rig.kit->n_io_errors, ==, 1);
        /* Those that failed came to no node below. */
        g_assert_cmpstr(rig.ops->str, ==, i == 0 ? "w0+8 w16+8" : "r0+8 r16+8");
        rig_done(&rig);
    }
}

/* The machine stops for the one that fails, and it is done when the machine goes on. */
static void test_one_is_held(void)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    uint8_t statuses[N_MAX];
    Rig rig;

    rig_init(&rig, NULL_DISK, ", 'werror': 'stop'");
    set_rules(&rig, SECOND_FAILS);
    offer(&rig, "w0+8 w8+8 w16+8");
    kit_virtio_kick(rig.blk->v);
    wait_for(&rig, 2, statuses);
    g_assert_cmpuint(rig.kit->n_io_errors, ==, 1);
    g_assert_cmpint(rig.kit->io_error, ==, BLOCK_ERROR_ACTION_STOP);
    g_assert_true(rig.blk->busy[1]);

    set_rules(&rig, "[]");
    g_string_truncate(rig.ops, 0);
    device_tree_pause(&rig.kit->tree);
    while (!device_tree_is_quiet(&rig.kit->tree)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(rig.kit);
    }
    device_tree_resume(&rig.kit->tree);
    wait_for(&rig, 1, statuses);

    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpuint(statuses[i], ==, VIRTIO_BLK_S_OK);
    g_assert_cmpstr(rig.ops->str, ==, "w8+8");
    rig_done(&rig);
}

/* All are held: they are popped again in a row, and joined again. */
static void test_all_are_held(void)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    uint8_t statuses[N_MAX];
    Rig rig;

    rig_init(&rig, NULL_DISK, ", 'werror': 'stop'");
    set_rules(&rig, "[{'errno': 'ENOSPC'}]");
    offer(&rig, "w0+8 w8+8 w16+8");
    kit_virtio_kick(rig.blk->v);
    kit_run_both(rig.kit);
    g_assert_cmpuint(rig.kit->n_io_errors, ==, 3);
    g_assert_cmpstr(rig.ops->str, ==, "");

    set_rules(&rig, "[]");
    device_tree_pause(&rig.kit->tree);
    while (!device_tree_is_quiet(&rig.kit->tree)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(rig.kit);
    }
    device_tree_resume(&rig.kit->tree);
    wait_for(&rig, 3, statuses);

    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpuint(statuses[i], ==, VIRTIO_BLK_S_OK);
    g_assert_cmpstr(rig.ops->str, ==, "w0+24");
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-blk-join/what-is-joined", test_what_is_joined);
    g_test_add_func("/virtio-blk-join/room-for-buffers", test_room_for_buffers);
    g_test_add_func("/virtio-blk-join/contents", test_contents);
    g_test_add_func("/virtio-blk-join/the-error-of-one", test_the_error_of_one);
    g_test_add_func("/virtio-blk-join/one-is-held", test_one_is_held);
    g_test_add_func("/virtio-blk-join/all-are-held", test_all_are_held);
    return g_test_run();
}
