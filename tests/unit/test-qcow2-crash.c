/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts: random requests on qcow2 images are recorded as they reach the file, and
 * images are made of what a cut at some moment may have left.  qemu-img check finds no
 * more than leaks in them, and each sector has what was flushed, or something newer.
 *
 * BERTH_TEST_CUTS is how many moments are tried of each kind; 0: all of them.
 * BERTH_TEST_OPERATIONS and BERTH_TEST_SEED make it longer and other.
 */
#include <fcntl.h>
#include <string.h>

#include "berth/thread.h"

#include "kit-image.h"
#include "write-log.h"

#define SECTOR 512u
#define DEPTH 4u
#define SLOT_SIZE (1u << 17)
#define OPERATIONS 160u
#define CUTS 24u

typedef struct Kind {
    const char *name;
    const char *create;         /* options of qemu-img create */
    const char *open;           /* members of blockdev-add */
    unsigned cluster_bits;
    unsigned sectors;           /* of the disk */
    bool is_lazy;
    bool has_snapshot;
    bool is_compressed;
    bool has_backing;
    bool has_data_file;
    bool is_raw;                /* the data file */
} Kind;

static const Kind kinds[] = {
    { .name = "512", .create = "cluster_size=512", .open = "", .cluster_bits = 9,
      .sectors = 2048, .has_snapshot = true },
    { .name = "512-full-table", .create = "cluster_size=512,refcount_bits=64", .open = "",
      .cluster_bits = 9, .sectors = 8192 },
    { .name = "4k-small-cache", .create = "cluster_size=4k,refcount_bits=1",
      .open = "'l2-cache-size':1024,'l2-cache-entry-size':512,", .cluster_bits = 12,
      .sectors = 16384 },
    { .name = "8k-compressed", .create = "cluster_size=8k,refcount_bits=8", .open = "",
      .cluster_bits = 13, .sectors = 4096, .is_compressed = true },
    { .name = "64k", .create = "cluster_size=64k", .open = "", .cluster_bits = 16,
      .sectors = 8192, .has_backing = true },
    { .name = "64k-snapshot", .create = "cluster_size=64k", .open = "",
      .cluster_bits = 16, .sectors = 8192, .has_snapshot = true },
    { .name = "lazy", .create = "cluster_size=4k,lazy_refcounts=on", .open = "",
      .cluster_bits = 12, .sectors = 8192, .is_lazy = true, .has_snapshot = true },
    { .name = "extended", .create = "cluster_size=16k,extended_l2=on", .open = "",
      .cluster_bits = 14, .sectors = 8192, .has_snapshot = true },
    { .name = "data-file", .create = "cluster_size=4k,data_file=before.data", .open = "",
      .cluster_bits = 12, .sectors = 8192, .has_data_file = true },
    { .name = "data-file-raw", .cluster_bits = 16, .sectors = 8192, .open = "",
      .create = "cluster_size=64k,data_file=before.data,data_file_raw=on",
      .has_data_file = true, .is_raw = true },
    { .name = "data-file-lazy", .cluster_bits = 9, .sectors = 2048, .open = "",
      .create = "cluster_size=512,lazy_refcounts=on,data_file=before.data",
      .is_lazy = true, .has_data_file = true },
    { .name = "v2", .create = "compat=0.10,cluster_size=4k", .open = "",
      .cluster_bits = 12, .sectors = 8192 },
};

/* A request; moments are the log's. */
typedef struct Op {
    struct Test *test;
    BlockOp op;
    uint32_t tag;               /* what its sectors have; 0: zeroes */
    unsigned first;             /* sectors */
    unsigned n;
    unsigned begin;             /* in the order of beginnings and ends */
    unsigned end;
    size_t begin_moment;
    size_t end_moment;          /* SIZE_MAX: it has not ended */
    uint8_t *data;
    struct iovec iov;
} Op;

typedef struct Test {
    KitImage kit;
    KitImage cut;               /* the same folder, without the recorded image */
    const Kind *kind;
    GRand *rand;
    uint32_t *before;           /* tags, when the log began */
    GPtrArray *ops;             /* of Op */
    unsigned order;
    WriteLog *log;
    BlockUse *use;
    BlockChannel *channel;
} Test;

static unsigned pick(Test *t, unsigned n)
{
    return (unsigned)g_rand_int_range(t->rand, 0, (gint32)n);
}

static guint number(const char *name, guint otherwise)
{
    const char *text = g_getenv(name);

    return text ? (guint)g_ascii_strtoull(text, NULL, 0) : otherwise;
}

static void fill(uint8_t *data, unsigned first, unsigned n, uint32_t tag)
{
    for (unsigned i = 0; i < n * SECTOR / 8; i++) {
        uint64_t word = tag ? (uint64_t)tag << 32 | (first + i * 8 / SECTOR) : 0;

        memcpy(data + i * 8ul, &word, sizeof(word));
    }
}

/* The tag of a sector, all of whose words have to be alike. */
static uint32_t tag_of(const uint8_t *data, unsigned sector)
{
    uint64_t word;

    memcpy(&word, data, sizeof(word));
    for (unsigned i = 0; i < SECTOR; i += 8) {
        if (memcmp(data + i, &word, sizeof(word)) != 0)
            g_error("sector %u is torn", sector);
    }
    if (word && (uint32_t)word != sector)
        g_error("sector %u has what belongs into %u", sector, (uint32_t)word);
    return (uint32_t)(word >> 32);
}

/* Half of the disk has something, in the image or behind it. */
static void make_image(Test *t)
{
    const Kind *kind = t->kind;
    size_t size = kind->sectors * SECTOR;
    g_autofree uint8_t *data = g_malloc0(size);

    for (unsigned i = 0; i < kind->sectors / 2; i++) {
        t->before[i] = 1;
        fill(data + (size_t)i * SECTOR, i, 1, 1);
    }
    kit_image_write_file(&t->kit, "base", data, size);
    if (kind->has_backing)
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -b base -F raw -o %s before",
                     kind->create);
    else
        kit_image_do(&t->kit, "qemu-img convert %s -f raw -O qcow2 -o %s base before",
                     kind->is_compressed ? "-c" : "", kind->create);
    if (kind->has_snapshot)
        kit_image_do(&t->kit, "qemu-img snapshot -c s before");
    kit_image_do(&t->kit, "cp before image");
    if (kind->has_data_file)
        kit_image_do(&t->kit, "cp before.data image.data");
}

static char *describe(void *opaque)
{
    return g_strdup("the test");
}

static void on_ready(void *opaque)
{
}

static const BlockUseOps use_ops = { .describe = describe };
static const BlockChannelOps channel_ops = { .ready = on_ready };

#define DATA_FILE "{'driver':'file','filename':'%s/%s','cache':{'no-flush':true}}"

static void open_data_file(Test *t)
{
    write_log_add(t->log, kit_image_open(&t->kit, "{'driver':'inject','node-name':'d',"
                                         "'discard':'unmap','file':" DATA_FILE "}",
                                         t->kit.folder, "image.data"));
}

static void open_image(Test *t)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    node = kit_image_open(&t->kit, "{'driver':'inject','node-name':'i','discard':"
                          "'unmap','file':{'driver':'file','filename':'%s/image',"
                          "'cache':{'no-flush':true}}}", t->kit.folder);
    t->log = write_log_new(node);
    if (t->kind->has_data_file)
        open_data_file(t);
    node = kit_image_open(&t->kit, "{'driver':'qcow2','node-name':'n',%s%s"
                          "'discard':'unmap','file':'i'}", t->kind->open,
                          t->kind->has_data_file ? "'data-file':'d'," : "");
    t->use = block_use_new(node, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                           BLOCK_PERM_ALL, &use_ops, NULL, &error);
    g_assert_no_error(error);
    t->channel = block_channel_new(t->use, t->kit.loop, DEPTH, &channel_ops, t, &error);
    g_assert_no_error(error);
}

static void on_done(BlockReq *req, int ret)
{
    Op *op = req->opaque;
    Test *t = op->test;

    g_assert_cmpint(ret, ==, 0);
    op->end = t->order++;
    op->end_moment = write_log_length(t->log);
    g_clear_pointer(&op->data, g_free);
}

static bool overlaps_one(const Test *t, const Op *op)
{
    for (guint i = 0; i < t->ops->len; i++) {
        const Op *other = t->ops->pdata[i];

        if (other->end_moment == SIZE_MAX && op->first < other->first + other->n &&
            other->first < op->first + op->n)
            return true;
    }
    return false;
}

static void choose_range(Test *t, Op *op)
{
    unsigned cluster = 1u << (t->kind->cluster_bits - 9);
    unsigned longest = SLOT_SIZE / SECTOR;

    op->n = 1 + pick(t, pick(t, 3) == 0 ? longest : 16);
    op->first = pick(t, t->kind->sectors - op->n + 1);
    if (op->op == BLOCK_OP_DISCARD || pick(t, 4) == 0) {
        op->first = ALIGN_DOWN(op->first, cluster);
        op->n = MIN(ALIGN_UP(op->n, cluster), t->kind->sectors - op->first);
        op->n = MIN(op->n, longest);
    }
    if (op->op == BLOCK_OP_DISCARD)
        op->n = ALIGN_DOWN(op->n, cluster);
}

static Op *new_op(Test *t)
{
    static const BlockOp ops[] = {
        BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_ZERO,
        BLOCK_OP_DISCARD, BLOCK_OP_FLUSH,
    };
    Op *op = g_new0(Op, 1);

    op->test = t;
    op->op = ops[pick(t, G_N_ELEMENTS(ops))];
    /* What a discard leaves in a raw file is not said. */
    if (op->op == BLOCK_OP_DISCARD && t->kind->is_raw)
        op->op = BLOCK_OP_ZERO;
    op->end_moment = SIZE_MAX;
    if (op->op == BLOCK_OP_FLUSH)
        return op;
    choose_range(t, op);
    if (op->op == BLOCK_OP_WRITE)
        op->tag = t->ops->len + 2;
    return op;
}

static void submit(Test *t, Op *op)
{
    BlockReq *req = block_channel_get(t->channel);

    op->begin = t->order++;
    op->begin_moment = write_log_length(t->log);
    req->io = (BlockIo) {
        .op = op->op, .offset = (uint64_t)op->first * SECTOR,
        .bytes = (uint64_t)op->n * SECTOR,
    };
    if (op->op == BLOCK_OP_WRITE) {
        op->data = g_malloc(req->io.bytes);
        fill(op->data, op->first, op->n, op->tag);
        op->iov = (struct iovec) { op->data, req->io.bytes };
        req->io.iov = &op->iov;
        req->io.n_iov = 1;
    }
    if (op->op == BLOCK_OP_ZERO && pick(t, 2))
        req->io.flags = BLOCK_MAY_UNMAP;
    req->done = on_done;
    req->opaque = op;
    g_ptr_array_add(t->ops, op);
    block_channel_submit(t->channel, req);
}

static void run_all(Test *t)
{
    unsigned n = number("BERTH_TEST_OPERATIONS", OPERATIONS);

    for (unsigned i = 0; i < n; i++) {
        Op *op = new_op(t);

        while (block_channel_in_flight(t->channel) == DEPTH || overlaps_one(t, op))
            loop_turn(t->kit.loop, true);
        submit(t, op);
    }
    while (block_channel_in_flight(t->channel) > 0)
        loop_turn(t->kit.loop, true);
}

/* The last flush that had ended at @moment; NULL: there is none. */
static const Op *last_flush(const Test *t, size_t moment)
{
    const Op *last = NULL;

    for (guint i = 0; i < t->ops->len; i++) {
        const Op *op = t->ops->pdata[i];

        if (op->op == BLOCK_OP_FLUSH && op->end_moment <= moment &&
            (!last || op->begin > last->begin))
            last = op;
    }
    return last;
}

static bool covers(const Op *op, unsigned sector)
{
    return op->op != BLOCK_OP_FLUSH && op->first <= sector && sector < op->first + op->n;
}

/* Whether a cut at @moment may have left @tag in @sector. */
static bool may_have(const Test *t, const Op *flush, size_t moment, unsigned sector,
                     uint32_t tag)
{
    uint32_t flushed = t->before[sector];
    bool is_newer = false;

    /* Requests for one sector come one after the other. */
    for (guint i = 0; i < t->ops->len; i++) {
        const Op *op = t->ops->pdata[i];

        if (!covers(op, sector) || op->begin_moment >= moment)
            continue;
        if (flush && op->end_moment != SIZE_MAX && op->end < flush->begin) {
            flushed = op->tag;
            is_newer = false;
        } else if (op->tag == tag) {
            is_newer = true;
        }
    }
    return tag == flushed || is_newer;
}

static BlockNode *open_cut(Test *t)
{
    g_autofree char *data =
        t->kind->has_data_file
        ? g_strdup_printf("'data-file':" DATA_FILE ",", t->kit.folder, "cut.data")
        : g_strdup("");

    return kit_image_open(&t->cut, "{'driver':'qcow2','node-name':'n','discard':'unmap',"
                          "%s'file':{'driver':'file','filename':'%s/cut',"
                          "'cache':{'no-flush':true}}}", data, t->kit.folder);
}

static void check_sectors(const Test *t, size_t moment, const uint8_t *data)
{
    const Op *flush = last_flush(t, moment);

    for (unsigned i = 0; i < t->kind->sectors; i++) {
        uint32_t tag = tag_of(data + (size_t)i * SECTOR, i);

        if (!may_have(t, flush, moment, i, tag))
            g_error("sector %u has %u after a cut at %zu", i, tag, moment);
    }
}

static void check_contents(Test *t, size_t moment)
{
    size_t size = t->kind->sectors * SECTOR;
    g_autofree uint8_t *data = g_malloc(size);
    BlockNode *node = open_cut(t);

    g_assert_cmpint(block_io_read(node, 0, data, size), ==, 0);
    check_sectors(t, moment, data);
    /* What is written now finds no cluster that another has. */
    g_assert_cmpint(block_io_write(node, 0, data, size / 2, 0), ==, 0);
    g_assert_cmpint(block_io_read(node, 0, data, size), ==, 0);
    for (unsigned i = 0; i < t->kind->sectors; i++)
        tag_of(data + (size_t)i * SECTOR, i);
    kit_image_close(&t->cut);
}

/* A raw data file has the disk's sectors for who reads nothing else. */
static void check_raw_file(const Test *t, size_t moment)
{
    g_autofree uint8_t *data = g_malloc0(t->kind->sectors * SECTOR);
    g_autofree char *path = kit_image_path(&t->kit, "cut.data");
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(pread(fd, data, t->kind->sectors * SECTOR, 0), >, 0);
    close(fd);
    check_sectors(t, moment, data);
}

/* Whatever was written, discarded or lost: it has what the disk had when it was taken. */
static void check_snapshot(const Test *t)
{
    kit_image_do(&t->kit, "qemu-img convert -l snapshot.name=s -O raw cut out");
    kit_image_do(&t->kit, "cmp out base");
}

static void make_cut(Test *t, size_t moment, PowerCut cut)
{
    static const char *const names[WRITE_LOG_FILES] = { "cut", "cut.data" };
    unsigned n = t->kind->has_data_file ? 2 : 1;
    int fds[WRITE_LOG_FILES];

    kit_image_do(&t->kit, "cp before cut");
    if (t->kind->has_data_file)
        kit_image_do(&t->kit, "cp before.data cut.data");
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *path = kit_image_path(&t->kit, names[i]);

        fds[i] = open(path, O_RDWR | O_CLOEXEC);
        g_assert_cmpint(fds[i], >=, 0);
    }
    write_log_cut(t->log, moment, cut, t->rand, fds);
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

static void cut_at(Test *t, size_t moment, PowerCut cut)
{
    make_cut(t, moment, cut);
    if (!t->kind->is_lazy)
        kit_image_assert_sound(&t->kit, "cut");
    if (t->kind->is_raw)
        check_raw_file(t, moment);
    check_contents(t, moment);
    kit_image_assert_sound(&t->kit, "cut");
    if (t->kind->has_snapshot)
        check_snapshot(t);
}

static void cut_often(Test *t)
{
    static const PowerCut cuts[] = { POWER_CUT_SOME, POWER_CUT_DROP, POWER_CUT_KEEP };
    size_t length = write_log_length(t->log);
    guint n = number("BERTH_TEST_CUTS", CUTS);

    for (size_t i = 0; i < (n ? n : length); i++)
        cut_at(t, n ? pick(t, (unsigned)length + 1) : i, cuts[i % 3]);
}

static void free_op(gpointer op)
{
    g_free(op);
}

static void set_up(Test *t, const void *kind)
{
    kit_image_init(&t->kit);
    t->cut = t->kit;
    t->cut.graph = block_graph_new(t->kit.loop);
    t->kind = kind;
    t->rand = g_rand_new_with_seed(number("BERTH_TEST_SEED", 1));
    t->before = g_new0(uint32_t, t->kind->sectors);
    t->ops = g_ptr_array_new_with_free_func(free_op);
}

static void tear_down(Test *t, const void *kind)
{
    block_graph_free(t->cut.graph);
    kit_image_done(&t->kit);
    g_rand_free(t->rand);
    g_free(t->before);
    g_ptr_array_unref(t->ops);
}

static void test_power_cuts(Test *t, const void *kind)
{
    if (!kit_image_has_tools())
        return;
    make_image(t);
    open_image(t);
    run_all(t);
    block_channel_free(t->channel);
    block_use_free(t->use);
    /* What is written when it is closed is recorded as well. */
    g_assert_true(block_graph_del(t->kit.graph, "n", NULL));
    cut_often(t);
    write_log_free(t->log);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strconcat("/qcow2-crash/", kinds[i].name, NULL);

        g_test_add(path, Test, &kinds[i], set_up, test_power_cuts, tear_down);
    }
    return g_test_run();
}
