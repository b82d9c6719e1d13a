/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk whose n-th request fails, is late, or is torn, for every n, at every layer below
 * it, with each policy: each request of the guest ends once, and what it is told is true.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/inject.h"
#include "berth/throttle.h"

#include "kit-blk.h"

#define N_BLOCKS 6u             /* written and read at a time */
#define BLOCK KIT_BLK_DATA
#define SECTORS (BLOCK / 512)
#define PART 8192u              /* where the disk begins in the file */
#define OLD 0xa5
#define TEAR 512u
#define DISK_SIZE (256u * KIB)
#define WAIT_NS (20 * NS_PER_SEC)

/* Nodes from the disk down to the file; '%s' is its name. */
typedef struct Layers {
    const char *name;
    const char *json;
} Layers;

#define FILE_NODE "{'driver': 'file', 'filename': '%s', 'discard': 'unmap'}"
#define INJECT(below) "{'driver': 'inject', 'node-name': 'faulty', 'file': " below "}"
#define PART_OF(below) "{'driver': 'raw', 'offset': 8192, 'file': " below "}"
#define RAW(below) "{'driver': 'raw', 'offset': 0, 'size': 262144, 'file': " below "}"

static const Layers all_layers[] = {
    { "above", "{'driver': 'inject', 'file': " PART_OF(FILE_NODE) "}" },
    { "below", PART_OF(INJECT(FILE_NODE)) },
    { "throttled", "{'driver': 'throttle', 'throttle-group': 'g', 'file': "
      PART_OF(INJECT(FILE_NODE)) "}" },
    /* Too many for the short way: a worker meets the fault. */
    { "deep", RAW(RAW(RAW(RAW(RAW(RAW(RAW(RAW(PART_OF(INJECT(FILE_NODE)))))))))) },
};

typedef struct Fault {
    const char *name;
    const char *members;        /* of a rule */
    int errnum;                 /* 0: it only takes longer */
    uint32_t torn;              /* bytes that are done */
} Fault;

static const Fault faults[] = {
    { "fails", "'errno': 'EIO'", EIO, 0 },
    { "space-is-used-up", "'errno': 'ENOSPC'", ENOSPC, 0 },
    { "is-late", "'delay-ns': 300000", 0, 0 },
    { "is-torn", "'errno': 'EIO', 'delay-ns': 100000, 'tear': 512", EIO, TEAR },
};

typedef struct Policy {
    const char *name;
    const char *props;
    BlockErrorAction on_read, on_write, on_full;
} Policy;

static const Policy policies[] = {
    { "default", "", BLOCK_ERROR_ACTION_REPORT, BLOCK_ERROR_ACTION_REPORT,
      BLOCK_ERROR_ACTION_STOP },
    { "report", ", 'rerror': 'report', 'werror': 'report'", BLOCK_ERROR_ACTION_REPORT,
      BLOCK_ERROR_ACTION_REPORT, BLOCK_ERROR_ACTION_REPORT },
    { "ignore", ", 'rerror': 'ignore', 'werror': 'ignore'", BLOCK_ERROR_ACTION_IGNORE,
      BLOCK_ERROR_ACTION_IGNORE, BLOCK_ERROR_ACTION_IGNORE },
    { "stop", ", 'rerror': 'stop', 'werror': 'stop'", BLOCK_ERROR_ACTION_STOP,
      BLOCK_ERROR_ACTION_STOP, BLOCK_ERROR_ACTION_STOP },
    { "enospc", ", 'rerror': 'report', 'werror': 'enospc'", BLOCK_ERROR_ACTION_REPORT,
      BLOCK_ERROR_ACTION_REPORT, BLOCK_ERROR_ACTION_STOP },
};

typedef struct Case {
    const Layers *layers;
    const Policy *policy;
} Case;

typedef struct Rig {
    const Policy *policy;
    const Fault *fault;
    KitBoard *kit;
    KitBlk *blk;
    BlockNode *faulty;
    ThrottleGroup *group;
    char *path;
    int fd;
    unsigned n_refused;         /* requests that were answered with an error */
    unsigned n_errors;          /* of the board's, that were looked at */
} Rig;

static void rig_init(Rig *rig, const Case *c)
{
    g_autofree char *device = NULL;
    g_autofree char *json = NULL;
    const char *at = strchr(c->layers->json, '%');

    *rig = (Rig) { .policy = c->policy, .kit = kit_board_new() };
    rig->path = g_strdup("build/test-disk-faults-XXXXXX");
    rig->fd = g_mkstemp(rig->path);
    g_assert_cmpint(ftruncate(rig->fd, PART + DISK_SIZE), ==, 0);
    rig->group = throttle_group_new(rig->kit->blocks, "g", NULL);
    json = g_strdup_printf("{'node-name': 'n', 'discard': 'unmap', %.*s%s%s",
                           (int)(at - c->layers->json - 1), c->layers->json + 1,
                           rig->path, at + 2);
    kit_add_node(rig->kit, json);
    rig->faulty = block_graph_find(rig->kit->blocks, "faulty");
    if (!rig->faulty)
        rig->faulty = block_graph_find(rig->kit->blocks, "n");
    device = g_strdup_printf("{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': 'n',"
                             " 'num-queues': 1%s}", c->policy->props);
    kit_add(rig->kit, device);
    kit_start(rig->kit);
    rig->blk = kit_blk_new(rig->kit, "disk");
}

static void rig_done(Rig *rig)
{
    kit_blk_free(rig->blk);
    device_tree_done(&rig->kit->tree);
    throttle_group_unref(rig->group);
    kit_board_free(rig->kit);
    close(rig->fd);
    g_unlink(rig->path);
    g_free(rig->path);
}

static BlockErrorAction action_of(const Rig *rig, bool is_write)
{
    if (!is_write)
        return rig->policy->on_read;
    return rig->fault->errnum == ENOSPC ? rig->policy->on_full : rig->policy->on_write;
}

/* The machine stops for a request that is held, and goes on. */
static void stop_and_go_on(Rig *rig)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;

    device_tree_pause(&rig->kit->tree);
    while (!device_tree_is_quiet(&rig->kit->tree)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(rig->kit);
    }
    device_tree_resume(&rig->kit->tree);
}

/* What was told of a fault since the last look; whether the request is held. */
static bool look_at_error(Rig *rig, bool is_write)
{
    const KitBoard *kit = rig->kit;

    if (kit->n_io_errors == rig->n_errors)
        return false;
    rig->n_errors++;
    g_assert_cmpuint(kit->n_io_errors, ==, rig->n_errors);
    g_assert_cmpint(kit->io_error, ==, action_of(rig, is_write));
    g_assert_cmpint(kit->io_errnum, ==, rig->fault->errnum);
    return kit->io_error == BLOCK_ERROR_ACTION_STOP;
}

/* Until requests in slots 0 to @n - 1 have ended: their statuses. */
static void wait_for(Rig *rig, unsigned n, bool is_write, uint8_t *ret_statuses)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;
    unsigned n_ended = 0, slot;
    bool is_held = false;
    uint8_t status;

    while (n_ended < n) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(rig->kit);
        while (kit_blk_take(rig->blk, &slot, &status)) {
            g_assert_cmpuint(slot, <, n);
            ret_statuses[slot] = status;
            rig->n_refused += status != VIRTIO_BLK_S_OK;
            n_ended++;
        }
        is_held |= look_at_error(rig, is_write);
        if (is_held && n_ended == n - 1) {
            stop_and_go_on(rig);
            is_held = false;
        }
    }
    look_at_error(rig, is_write);
    /* Nothing comes behind. */
    kit_run_both(rig->kit);
    g_assert_false(kit_blk_take(rig->blk, &slot, &status));
}

static void assert_status(const Rig *rig, uint8_t status, bool is_write)
{
    if (status != VIRTIO_BLK_S_OK) {
        g_assert_cmpuint(status, ==, VIRTIO_BLK_S_IOERR);
        g_assert_cmpint(rig->fault->errnum, !=, 0);
        g_assert_cmpint(action_of(rig, is_write), ==, BLOCK_ERROR_ACTION_REPORT);
    }
}

/* What is in the file where a block is: @value, or where that failed, what was torn. */
static void check_block(const Rig *rig, unsigned block, uint8_t value, bool is_there)
{
    uint8_t data[BLOCK];
    size_t torn = is_there ? BLOCK : rig->fault->torn;

    g_assert_cmpint(pread(rig->fd, data, BLOCK, PART + block * BLOCK), ==, BLOCK);
    for (size_t i = 0; i < BLOCK; i++)
        g_assert_cmphex(data[i], ==, i < torn ? value : OLD);
}

static bool ignores(const Rig *rig, bool is_write)
{
    return rig->fault->errnum && action_of(rig, is_write) == BLOCK_ERROR_ACTION_IGNORE;
}

static void write_blocks(Rig *rig, uint8_t *statuses)
{
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        memset(kit_blk_data(rig->blk, i), (int)i + 1, BLOCK);
        kit_blk_submit(rig->blk, i, VIRTIO_BLK_T_OUT, i * SECTORS, BLOCK);
    }
    wait_for(rig, N_BLOCKS, true, statuses);
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        assert_status(rig, statuses[i], true);
        /* Who ignores errors does not know. */
        if (!ignores(rig, true))
            check_block(rig, i, (uint8_t)(i + 1), statuses[i] == VIRTIO_BLK_S_OK);
    }
}

static void read_blocks(Rig *rig, const uint8_t *written)
{
    uint8_t statuses[N_BLOCKS];

    for (unsigned i = 0; i < N_BLOCKS; i++) {
        memset(kit_blk_data(rig->blk, i), 0xee, BLOCK);
        kit_blk_submit(rig->blk, i, VIRTIO_BLK_T_IN, i * SECTORS, BLOCK);
    }
    wait_for(rig, N_BLOCKS, false, statuses);
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        const uint8_t *data = kit_blk_data(rig->blk, i);

        assert_status(rig, statuses[i], false);
        if (statuses[i] != VIRTIO_BLK_S_OK || written[i] != VIRTIO_BLK_S_OK ||
            ignores(rig, false) || ignores(rig, true))
            continue;
        for (size_t k = 0; k < BLOCK; k++)
            g_assert_cmphex(data[k], ==, i + 1);
    }
}

static void ask_one(Rig *rig, uint32_t type, uint64_t sector, uint32_t size)
{
    uint8_t status;

    kit_blk_submit(rig->blk, 0, type, sector, size);
    wait_for(rig, 1, true, &status);
    assert_status(rig, status, true);
}

static void free_blocks(Rig *rig)
{
    const struct virtio_blk_discard_write_zeroes range = {
        .sector = GUINT64_TO_LE(N_BLOCKS * SECTORS),
        .num_sectors = GUINT32_TO_LE(SECTORS),
    };

    memcpy(kit_blk_data(rig->blk, 0), &range, sizeof(range));
    ask_one(rig, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range));
    memcpy(kit_blk_data(rig->blk, 0), &range, sizeof(range));
    ask_one(rig, VIRTIO_BLK_T_DISCARD, 0, sizeof(range));
}

static void set_rule(Rig *rig, unsigned n)
{
    g_autoptr(InjectRuleList) rules = NULL;
    g_autofree char *json = g_strdup_printf("[{'first': %u, 'times': 1, %s}]", n,
                                            rig->fault->members);

    rules = qapi_parse_json(QAPI_TYPE_INJECT_RULE_LIST, json, NULL);
    g_assert_true(inject_set_rules(rig->faulty, rules, NULL));
}

/* All kinds of request; false when the fault met none. */
static bool run_with_fault(Rig *rig, unsigned n)
{
    unsigned n_errors = rig->kit->n_io_errors;
    uint8_t statuses[N_BLOCKS], old[BLOCK];
    unsigned n_acted;

    memset(old, OLD, BLOCK);
    for (unsigned i = 0; i <= N_BLOCKS; i++)
        g_assert_cmpint(pwrite(rig->fd, old, BLOCK, PART + i * BLOCK), ==, BLOCK);
    rig->n_refused = 0;
    set_rule(rig, n);
    write_blocks(rig, statuses);
    ask_one(rig, VIRTIO_BLK_T_FLUSH, 0, 0);
    read_blocks(rig, statuses);
    free_blocks(rig);

    n_acted = (unsigned)inject_n_acted(rig->faulty);
    g_assert_cmpuint(rig->kit->n_io_errors - n_errors, ==,
                     rig->fault->errnum ? n_acted : 0);
    g_assert_cmpuint(rig->n_refused, <=, n_acted);
    g_assert_cmpuint(block_node_size(rig->faulty), >=, DISK_SIZE);
    return n_acted > 0;
}

static void test_each_request(const void *data)
{
    Rig rig;

    rig_init(&rig, data);
    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        unsigned n = 1;

        rig.fault = &faults[i];
        while (run_with_fault(&rig, n))
            n++;
        g_assert_cmpuint(n - 1, ==, 2 * N_BLOCKS + 3);
    }
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    static Case cases[G_N_ELEMENTS(all_layers)][G_N_ELEMENTS(policies)];

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(all_layers); i++) {
        for (size_t k = 0; k < G_N_ELEMENTS(policies); k++) {
            g_autofree char *path = g_strdup_printf("/disk-faults/%s/%s",
                                                    all_layers[i].name, policies[k].name);

            cases[i][k] = (Case) { &all_layers[i], &policies[k] };
            g_test_add_data_func(path, &cases[i][k], test_each_request);
        }
    }
    return g_test_run();
}
