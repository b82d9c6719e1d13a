/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random requests on qcow2 images of many kinds against a model of the disk, several at
 * a time, by the loop's way and that of workers.  The image is closed now and then:
 * qemu-img finds nothing wrong with it and reads what the model has.
 *
 * BERTH_TEST_OPERATIONS and BERTH_TEST_SEED make it longer and other.
 */
#include <string.h>

#include "berth/thread.h"

#include "kit-image.h"

#define SECTOR 512u
#define DEPTH 6u
#define SLOT_SIZE (1u << 18)
#define OPERATIONS 600u
#define ROUNDS 3u

typedef enum Beginning {
    EMPTY,
    COMPRESSED,                 /* the image itself is full of compressed clusters */
    RAW_BACKING,                /* of a size that is no multiple of anything */
    QCOW2_BACKING,              /* compressed, and shorter than the disk */
    SNAPSHOTS,                  /* one is taken in each round */
    DATA_FILE,
    RAW_DATA_FILE,
} Beginning;

typedef struct Kind {
    const char *name;
    Beginning beginning;
    const char *create;         /* options of qemu-img create */
    const char *open;           /* members of blockdev-add */
    unsigned cluster_bits;
    unsigned sectors;           /* of the disk */
    bool is_v2;
} Kind;

static const Kind kinds[] = {
    { "512", EMPTY, "cluster_size=512", "", 9, 2048, false },
    { "1k", SNAPSHOTS, "cluster_size=1k", "", 10, 2050, false },
    { "2k-2", COMPRESSED, "cluster_size=2k,refcount_bits=2", "", 11, 4096, false },
    { "4k-4", QCOW2_BACKING, "cluster_size=4k,refcount_bits=4", "", 12, 8191, false },
    { "8k-8", SNAPSHOTS, "cluster_size=8k,refcount_bits=8", "", 13, 8192, false },
    { "16k-32", RAW_BACKING, "cluster_size=16k,refcount_bits=32", "", 14, 16384, false },
    { "32k-64", COMPRESSED, "cluster_size=32k,refcount_bits=64,compression_type=zstd", "",
      15, 16384, false },
    { "64k", EMPTY, "cluster_size=64k", "", 16, 32768, false },
    { "64k-lazy", SNAPSHOTS, "cluster_size=64k,lazy_refcounts=on", "", 16, 32768, false },
    { "64k-direct", QCOW2_BACKING, "cluster_size=64k",
      "'cache':{'direct':true,'no-flush':true},", 16, 16384, false },
    { "64k-small-cache", SNAPSHOTS, "cluster_size=64k",
      "'l2-cache-size':1024,'l2-cache-entry-size':512,", 16, 65536, false },
    { "128k", COMPRESSED, "cluster_size=128k", "", 17, 32768, false },
    { "256k-1", EMPTY, "cluster_size=256k,refcount_bits=1", "", 18, 32768, false },
    { "512k", RAW_BACKING, "cluster_size=512k", "", 19, 32768, false },
    { "1m", QCOW2_BACKING, "cluster_size=1M", "", 20, 32768, false },
    { "2m", SNAPSHOTS, "cluster_size=2M", "", 21, 32768, false },
    { "v2", EMPTY, "compat=0.10,cluster_size=4k", "", 12, 8192, true },
    { "v2-backing", RAW_BACKING, "compat=0.10,cluster_size=8k", "", 13, 8192, true },
    { "extended-16k", EMPTY, "cluster_size=16k,extended_l2=on", "", 14, 16384, false },
    { "extended-64k", QCOW2_BACKING, "cluster_size=64k,extended_l2=on", "", 16, 32768,
      false },
    { "extended-128k", SNAPSHOTS, "cluster_size=128k,extended_l2=on", "", 17, 32768,
      false },
    { "extended-compressed", COMPRESSED, "cluster_size=64k,extended_l2=on", "", 16, 16384,
      false },
    { "data-file", DATA_FILE, "cluster_size=64k,data_file=image.data", "", 16, 16384,
      false },
    { "data-file-raw", RAW_DATA_FILE,
      "cluster_size=64k,data_file=image.data,data_file_raw=on", "", 16, 16384, false },
};

typedef struct Slot {
    uint64_t offset;
    uint64_t bytes;
    BlockOp op;
    uint8_t *data;
    struct iovec iov[2];
    bool in_use;
} Slot;

typedef struct Test {
    KitImage kit;
    const Kind *kind;
    GRand *rand;
    uint8_t *model;
    uint64_t size;
    uint64_t max_size;          /* of the model */
    BlockNode *node;
    BlockUse *use;
    BlockChannel *channel;
    Slot slots[DEPTH];
    GPtrArray *snapshots;       /* copies of the model */
    GArray *snapshot_sizes;
} Test;

static unsigned pick(Test *t, unsigned n)
{
    return (unsigned)g_rand_int_range(t->rand, 0, (gint32)n);
}

static void make_backing(Test *t)
{
    bool is_raw = t->kind->beginning == RAW_BACKING;
    size_t size = is_raw ? t->size * 3 / 4 + 100 : t->size / 2;

    kit_image_fill(t->rand, t->model, size);
    memset(t->model + size, 0, t->size - size);
    /* Some of it is zero. */
    memset(t->model + size / 4, 0, size / 4);
    kit_image_write_file(&t->kit, "base.raw", t->model, size);
    if (is_raw) {
        memset(t->model + size - size % 8, 0, size % 8 + 8);
        kit_image_write_file(&t->kit, "base.raw", t->model, size);
        return;
    }
    kit_image_do(&t->kit, "qemu-img convert -c -f raw -O qcow2 base.raw base.qcow2");
}

static void make_image(Test *t)
{
    const Kind *kind = t->kind;

    switch (kind->beginning) {
    case EMPTY:
    case SNAPSHOTS:
    case DATA_FILE:
    case RAW_DATA_FILE:
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -o %s image %" PRIu64,
                     kind->create, t->size);
        return;
    case COMPRESSED:
        for (uint64_t i = 0; i < t->size; i += SECTOR)
            memset(t->model + i, (int)pick(t, 256), SECTOR);
        kit_image_write_file(&t->kit, "base.raw", t->model, t->size);
        kit_image_do(&t->kit, "qemu-img convert -c -f raw -O qcow2 -o %s base.raw image",
                     kind->create);
        return;
    case RAW_BACKING:
    case QCOW2_BACKING:
        make_backing(t);
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -b %s -F %s -o %s image %" PRIu64,
                     kind->beginning == RAW_BACKING ? "base.raw" : "base.qcow2",
                     kind->beginning == RAW_BACKING ? "raw" : "qcow2", kind->create,
                     t->size);
        return;
    }
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

static void open_image(Test *t)
{
    bool has_cache = strstr(t->kind->open, "'cache'");
    g_autoptr(GError) error = NULL;

    t->node = kit_image_open(&t->kit, "{'driver':'qcow2','node-name':'n',%s%s"
                             "'discard':'unmap','file':{'driver':'file','filename':"
                             "'%s/image'}}", t->kind->open,
                             has_cache ? "" : "'cache':{'no-flush':true},",
                             t->kit.folder);
    g_assert_cmpuint(block_node_size(t->node), ==, t->size);
    t->use = block_use_new(t->node, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                           BLOCK_PERM_ALL, &use_ops, NULL, &error);
    g_assert_no_error(error);
    t->channel = block_channel_new(t->use, t->kit.loop, DEPTH, &channel_ops, t, &error);
    g_assert_no_error(error);
}

static void drain(Test *t)
{
    while (block_channel_in_flight(t->channel) > 0)
        loop_turn(t->kit.loop, true);
}

static void close_image(Test *t)
{
    drain(t);
    g_clear_pointer(&t->channel, block_channel_free);
    g_clear_pointer(&t->use, block_use_free);
    kit_image_close(&t->kit);
}

/* What a discard leaves: whole clusters are zero, unless something is behind them. */
static void discard_model(Test *t, uint64_t offset, uint64_t bytes)
{
    uint64_t size = 1ull << t->kind->cluster_bits;
    uint64_t from = ALIGN_UP(offset, size), end = offset + bytes;
    uint64_t to = end == t->size ? end : ALIGN_DOWN(end, size);

    if (t->kind->is_v2 && t->kind->beginning == RAW_BACKING)
        return;
    if (from < to)
        memset(t->model + from, 0, to - from);
}

static void on_done(BlockReq *req, int ret)
{
    Slot *slot = req->opaque;

    g_assert_cmpint(ret, ==, 0);
    slot->in_use = false;
}

static void on_read(BlockReq *req, int ret)
{
    Slot *slot = req->opaque;

    /* The model as it was is in the second half. */
    on_done(req, ret);
    for (uint64_t i = 0; i < slot->bytes; i += SECTOR) {
        if (memcmp(slot->data + i, slot->data + SLOT_SIZE + i, SECTOR) != 0)
            g_error("sector %#" PRIx64 " reads wrong", slot->offset + i);
    }
}

static bool overlaps(const Test *t, uint64_t offset, uint64_t bytes)
{
    for (unsigned i = 0; i < DEPTH; i++) {
        const Slot *slot = &t->slots[i];

        if (slot->in_use && offset < slot->offset + slot->bytes &&
            slot->offset < offset + bytes)
            return true;
    }
    return false;
}

static void choose_range(Test *t, Slot *slot)
{
    unsigned total = (unsigned)(t->size / SECTOR);
    unsigned cluster = 1u << (t->kind->cluster_bits - 9);
    unsigned longest = MIN(SLOT_SIZE / SECTOR, total);
    unsigned n = 1 + pick(t, MIN(pick(t, 3) == 0 ? longest : 16, longest));
    unsigned first = pick(t, total - n + 1);

    if (pick(t, 4) == 0) {
        first = ALIGN_DOWN(first, cluster);
        n = MIN(ALIGN_UP(n, cluster), total - first);
        n = MIN(n, longest);
    }
    slot->offset = (uint64_t)first * SECTOR;
    slot->bytes = (uint64_t)n * SECTOR;
}

static BlockOp choose_op(Test *t)
{
    static const BlockOp ops[] = {
        BLOCK_OP_READ, BLOCK_OP_READ, BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE,
        BLOCK_OP_ZERO, BLOCK_OP_DISCARD, BLOCK_OP_FLUSH,
    };
    BlockOp op = ops[pick(t, G_N_ELEMENTS(ops))];

    /* What a discard leaves in a raw file is not said. */
    if (op == BLOCK_OP_DISCARD && t->kind->beginning == RAW_DATA_FILE)
        return BLOCK_OP_ZERO;
    return op;
}

/* What the disk has when the request is done. */
static void apply_to_model(Test *t, const Slot *slot)
{
    switch (slot->op) {
    case BLOCK_OP_READ:
        memcpy(slot->data + SLOT_SIZE, t->model + slot->offset, slot->bytes);
        break;
    case BLOCK_OP_WRITE:
        memcpy(t->model + slot->offset, slot->data, slot->bytes);
        break;
    case BLOCK_OP_ZERO:
        memset(t->model + slot->offset, 0, slot->bytes);
        break;
    case BLOCK_OP_DISCARD:
        discard_model(t, slot->offset, slot->bytes);
        break;
    case BLOCK_OP_FLUSH:
    case BLOCK_OP__MAX:
        break;
    }
}

static void start(Test *t, Slot *slot)
{
    BlockReq *req = block_channel_get(t->channel);
    size_t cut = slot->bytes / SECTOR / 2 * SECTOR;

    g_assert_nonnull(req);
    slot->op = choose_op(t);
    slot->in_use = true;
    if (slot->op == BLOCK_OP_WRITE)
        kit_image_fill(t->rand, slot->data, slot->bytes);
    apply_to_model(t, slot);
    slot->iov[0] = (struct iovec) { slot->data, cut };
    slot->iov[1] = (struct iovec) { slot->data + cut, slot->bytes - cut };
    req->io = (BlockIo) { .op = slot->op };
    if (slot->op != BLOCK_OP_FLUSH) {
        req->io.offset = slot->offset;
        req->io.bytes = slot->bytes;
    }
    if (slot->op == BLOCK_OP_READ || slot->op == BLOCK_OP_WRITE) {
        req->io.iov = slot->iov;
        req->io.n_iov = 2;
    }
    if (slot->op == BLOCK_OP_WRITE && pick(t, 8) == 0)
        req->io.flags = BLOCK_FUA;
    if (slot->op == BLOCK_OP_ZERO)
        req->io.flags = (pick(t, 2) ? BLOCK_MAY_UNMAP : 0) | (pick(t, 8) ? 0 : BLOCK_FUA);
    req->done = slot->op == BLOCK_OP_READ ? on_read : on_done;
    req->opaque = slot;
    block_channel_submit(t->channel, req);
}

static Slot *free_slot(Test *t)
{
    for (;;) {
        for (unsigned i = 0; i < DEPTH; i++) {
            if (!t->slots[i].in_use)
                return &t->slots[i];
        }
        loop_turn(t->kit.loop, true);
    }
}

static void run_some(Test *t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        Slot *slot = free_slot(t);

        choose_range(t, slot);
        while (overlaps(t, slot->offset, slot->bytes))
            loop_turn(t->kit.loop, true);
        start(t, slot);
    }
}

static void take_snapshot(Test *t, unsigned i)
{
    g_autofree char *name = g_strdup_printf("s%u", i);

    if (i % 2 == 0) {
        kit_image_do(&t->kit, "qemu-img snapshot -c %s image", name);
    } else {
        open_image(t);
        g_assert_true(t->node->driver->snapshot_create(t->node, name, NULL));
        close_image(t);
        kit_image_assert_clean(&t->kit, "image");
    }
    g_ptr_array_add(t->snapshots, g_memdup2(t->model, t->max_size));
    g_array_append_val(t->snapshot_sizes, t->size);
}

static void check_snapshots(Test *t)
{
    for (guint i = 0; i < t->snapshots->len; i++) {
        kit_image_do(&t->kit, "cp image copy");
        kit_image_do(&t->kit, "qemu-img snapshot -a s%u copy", i);
        kit_image_assert_holds(&t->kit, "copy", t->snapshots->pdata[i],
                               g_array_index(t->snapshot_sizes, uint64_t, i));
    }
}

/* A raw data file holds the disk, to those who know nothing of the image. */
static void check_data_file(const Test *t)
{
    g_autofree char *path = kit_image_path(&t->kit, "image.data");
    g_autofree char *data = NULL;
    gsize size;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    g_assert_cmpmem(data, size, t->model, t->size);
}

/* The disk gets smaller, or larger again; what it gains is zero. */
static void resize(Test *t)
{
    uint64_t size = t->size - ALIGN_DOWN((uint64_t)pick(t, (unsigned)t->size / 2), 512u);
    g_autoptr(GError) error = NULL;

    drain(t);
    if (t->size < t->max_size)
        size = t->max_size;
    if (!block_node_resize(t->node, size, t->size < size ? (PreallocMode)pick(t, 4)
                                                         : PREALLOC_MODE_OFF, &error))
        g_error("%" PRIu64 ": %s", size, error->message);
    g_assert_cmpuint(block_node_size(t->node), ==, size);
    if (size > t->size)
        memset(t->model + t->size, 0, size - t->size);
    t->size = size;
}

static void check_image(Test *t, unsigned round)
{
    kit_image_assert_clean(&t->kit, "image");
    kit_image_assert_holds(&t->kit, "image", t->model, t->size);
    if (t->kind->beginning == SNAPSHOTS && round < 2)
        take_snapshot(t, round);
    if (t->kind->beginning == RAW_DATA_FILE)
        check_data_file(t);
}

static guint number(const char *name, guint otherwise)
{
    const char *text = g_getenv(name);

    return text ? (guint)g_ascii_strtoull(text, NULL, 0) : otherwise;
}

static void set_up(Test *t, const void *kind)
{
    kit_image_init(&t->kit);
    t->kind = kind;
    t->rand = g_rand_new_with_seed(number("BERTH_TEST_SEED", 1));
    t->size = (uint64_t)t->kind->sectors * SECTOR;
    t->max_size = t->size + (t->kind->is_v2 ? 0 : ALIGN_DOWN(t->size / 3, SECTOR));
    t->model = g_malloc0(t->max_size + SECTOR);
    t->snapshot_sizes = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    t->snapshots = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < DEPTH; i++)
        t->slots[i].data = aligned_alloc(4096, 2 * SLOT_SIZE);
}

static void tear_down(Test *t, const void *kind)
{
    kit_image_done(&t->kit);
    g_rand_free(t->rand);
    g_free(t->model);
    g_ptr_array_unref(t->snapshots);
    g_array_unref(t->snapshot_sizes);
    for (unsigned i = 0; i < DEPTH; i++)
        free(t->slots[i].data);
}

static void test_random(Test *t, const void *kind)
{
    unsigned n = number("BERTH_TEST_OPERATIONS", OPERATIONS);

    if (!kit_image_has_tools())
        return;
    make_image(t);
    for (unsigned round = 0; round < ROUNDS; round++) {
        open_image(t);
        run_some(t, n / ROUNDS);
        if (round > 0)
            resize(t);
        run_some(t, n / ROUNDS / 2);
        close_image(t);
        check_image(t, round);
    }
    check_snapshots(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strconcat("/qcow2-random/", kinds[i].name, NULL);

        g_test_add(path, Test, &kinds[i], set_up, test_random, tear_down);
    }
    return g_test_run();
}
