/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults below qcow2 images: the n-th operation on the file fails, for n from 1 until
 * there is no n-th; once, torn, or it and all that follow; to a worker or to a loop's
 * channel, as a guest's requests come.  What failed once succeeds when it is tried again,
 * nobody reads wrong data, and the image has at most leaks.
 */
#include <errno.h>
#include <string.h>

#include "berth/inject.h"
#include "berth/thread.h"
#include "qmp-commands.h"

#include "kit-image.h"

#define SIZE (2u * MIB)
#define PART (192u * KIB)

/* What is done to the disk, in an image half full of data. */
static const struct {
    BlockOp op;
    unsigned offset;
    unsigned bytes;
} steps[] = {
    { BLOCK_OP_READ, 0, PART },
    { BLOCK_OP_WRITE, 512, 1024 },              /* in place, or a snapshot's */
    { BLOCK_OP_WRITE, 1216 * 1024, PART },      /* where nothing is */
    { BLOCK_OP_FLUSH, 0, 0 },
    { BLOCK_OP_WRITE, 1000 * 1024 + 512, PART },
    { BLOCK_OP_ZERO, 100 * 1024, 50 * 1024 },
    { BLOCK_OP_DISCARD, 256 * 1024, 512 * 1024 },
    { BLOCK_OP_FLUSH, 0, 0 },
    { BLOCK_OP_WRITE, 300 * 1024, PART },       /* into what was given up */
    { BLOCK_OP_READ, 256 * 1024, PART },
    { BLOCK_OP_FLUSH, 0, 0 },
};

typedef struct Kind {
    const char *name;
    const char *create;
    const char *open;
    bool has_snapshot;
    bool is_compressed;
    bool has_backing;
    bool has_data_file;         /* which fails, and not the image's own */
    uint64_t cluster_size;
} Kind;

static const Kind kinds[] = {
    { "4k-snapshot", "cluster_size=4k", "", true, false, false, false, 4096 },
    { "512-small-cache", "cluster_size=512,refcount_bits=64",
      "'l2-cache-size':1024,'l2-cache-entry-size':512,", false, false, false, false,
      512 },
    { "64k-backing", "cluster_size=64k", "", false, false, true, false, 65536 },
    { "8k-compressed", "cluster_size=8k", "", false, true, false, false, 8192 },
    { "lazy", "cluster_size=4k,lazy_refcounts=on", "", true, false, false, false, 4096 },
    { "extended", "cluster_size=16k,extended_l2=on", "", true, false, false, false,
      16384 },
    { "data-file", "cluster_size=16k,data_file=data", "", false, false, false, true,
      16384 },
};

/* How requests come and operations fail. */
typedef struct Way {
    const char *name;
    bool by_loop;
    int errnum;
    const char *fault;          /* members of a rule */
} Way;

static const Way ways[] = {
    { "worker", false, EIO, "'errno':'EIO'" },
    { "loop", true, ENOSPC, "'errno':'ENOSPC'" },
    { "torn", true, EIO, "'tear':512" },
};

typedef struct Case {
    const Kind *kind;
    const Way *way;
} Case;

typedef struct Test {
    KitImage kit;
    const Kind *kind;
    const Way *way;
    BlockUse *use;              /* by a loop */
    BlockChannel *channel;
    uint8_t *before;
    uint8_t *model;             /* what the steps that were done have left */
    bool *is_open;              /* per sector: written since the last flush */
} Test;

static void set_up(Test *t, const void *opaque)
{
    const Case *c = opaque;

    kit_image_init(&t->kit);
    t->kind = c->kind;
    t->way = c->way;
    t->before = g_malloc0(SIZE);
    t->model = g_malloc0(SIZE);
    t->is_open = g_new0(bool, SIZE / 512);
}

static void tear_down(Test *t, const void *kind)
{
    kit_image_done(&t->kit);
    g_free(t->before);
    g_free(t->model);
    g_free(t->is_open);
}

static void make_image(Test *t)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);

    for (unsigned i = 0; i < SIZE / 2; i += 512)
        memset(t->before + i, g_rand_int_range(rand, 1, 256), 512);
    kit_image_write_file(&t->kit, "base", t->before, SIZE);
    if (t->kind->has_backing)
        kit_image_do(&t->kit, "qemu-img create -f qcow2 -b base -F raw -o %s before",
                     t->kind->create);
    else
        kit_image_do(&t->kit, "qemu-img convert %s -f raw -O qcow2 -o %s base before",
                     t->kind->is_compressed ? "-c" : "", t->kind->create);
    if (t->kind->has_snapshot)
        kit_image_do(&t->kit, "qemu-img snapshot -c s before");
}

#define REQUESTS "'read','write','flush','discard','zero'"

/* The n-th operation fails; for ever, or once. */
static void set_rule(const Test *t, BlockNode *inject, unsigned n, bool once)
{
    g_autofree char *json = g_strdup_printf(
        "{'node-name':'i','rules':[{%s,'first':%u,'times':%u,'ops':[" REQUESTS "%s]}]}",
        t->way->fault, n, once, strstr(t->way->fault, "tear") ? "" : ",'map','resize'");
    g_autoptr(GError) error = NULL;
    g_autoptr(XBlockInjectSetArgs) args =
        qapi_parse_json(QAPI_TYPE_X_BLOCK_INJECT_SET_ARGS, json, &error);

    g_assert_no_error(error);
    g_assert_true(inject_set_rules(inject, args->rules, &error));
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

static void attach(Test *t, BlockNode *node)
{
    g_autoptr(GError) error = NULL;

    t->use = block_use_new(node, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                           BLOCK_PERM_ALL, &use_ops, NULL, &error);
    g_assert_no_error(error);
    t->channel = block_channel_new(t->use, t->kit.loop, 1, &channel_ops, NULL, &error);
    g_assert_no_error(error);
}

/* NULL: opening failed by the fault. */
static BlockNode *open_image(Test *t, unsigned n, bool once)
{
    bool has_data = t->kind->has_data_file;
    g_autoptr(GError) error = NULL;
    BlockNode *inject, *node;

    inject = kit_image_open(&t->kit, "{'driver':'inject','node-name':'i','discard':"
                            "'unmap','file':{'driver':'file','filename':'%s/%s',"
                            "'discard':'unmap','cache':{'no-flush':true}}}",
                            t->kit.folder, has_data ? "data" : "image");
    if (has_data)
        kit_image_open(&t->kit, "{'driver':'file','node-name':'f','filename':'%s/image',"
                       "'cache':{'no-flush':true}}", t->kit.folder);
    set_rule(t, inject, n, once);
    node = kit_image_try_open(&t->kit, &error, "{'driver':'qcow2','node-name':'n',%s"
                              "'discard':'unmap',%s}", t->kind->open,
                              has_data ? "'file':'f','data-file':'i'" : "'file':'i'");
    g_assert_true(node || inject_n_acted(inject) > 0);
    if (node && t->way->by_loop)
        attach(t, node);
    return node;
}

/* How often the fault was met, after the image was closed as well. */
static uint64_t close_image(Test *t)
{
    g_clear_pointer(&t->channel, block_channel_free);
    g_clear_pointer(&t->use, block_use_free);
    g_assert_true(block_graph_del(t->kit.graph, "n", NULL));
    return inject_n_acted(block_graph_find(t->kit.graph, "i"));
}

static BlockIo io_of(size_t i, struct iovec *iov, uint8_t *data)
{
    bool has_data = steps[i].op == BLOCK_OP_READ || steps[i].op == BLOCK_OP_WRITE;

    *iov = (struct iovec) { data, steps[i].bytes };
    return (BlockIo) {
        .op = steps[i].op, .offset = steps[i].offset, .bytes = steps[i].bytes,
        .iov = has_data ? iov : NULL, .n_iov = has_data,
    };
}

/* What the step leaves in the model. */
static void apply(Test *t, size_t i, const uint8_t *data)
{
    uint64_t from = ALIGN_UP((uint64_t)steps[i].offset, t->kind->cluster_size);
    uint64_t to = ALIGN_DOWN((uint64_t)steps[i].offset + steps[i].bytes,
                             t->kind->cluster_size);

    if (steps[i].op == BLOCK_OP_WRITE)
        memcpy(t->model + steps[i].offset, data, steps[i].bytes);
    else if (steps[i].op == BLOCK_OP_ZERO)
        memset(t->model + steps[i].offset, 0, steps[i].bytes);
    else if (steps[i].op == BLOCK_OP_DISCARD)
        memset(t->model + from, 0, to - from);
}

typedef struct Result {
    bool is_there;
    int ret;
} Result;

static void on_done(BlockReq *req, int ret)
{
    Result *result = req->opaque;

    *result = (Result) { true, ret };
}

static int ask_by_loop(Test *t, const BlockIo *io)
{
    BlockReq *req = block_channel_get(t->channel);
    Result result = { false, 0 };

    req->io = *io;
    req->done = on_done;
    req->opaque = &result;
    block_channel_submit(t->channel, req);
    while (!result.is_there)
        loop_turn(t->kit.loop, true);
    return result.ret;
}

static int try_step(Test *t, BlockNode *node, size_t i, uint8_t *data)
{
    struct iovec iov;
    BlockIo io = io_of(i, &iov, data);

    if (steps[i].op == BLOCK_OP_WRITE)
        memset(data, (int)i + 1, steps[i].bytes);
    return t->way->by_loop ? ask_by_loop(t, &io) : block_io(node, &io);
}

/* A step fails at most once. */
static void take_step_with_one_fault(Test *t, BlockNode *node, size_t i)
{
    g_autofree uint8_t *data = g_malloc(PART + 512 * KIB);
    int ret = try_step(t, node, i, data);

    if (ret < 0) {
        g_assert_cmpint(ret, ==, -t->way->errnum);
        ret = try_step(t, node, i, data);
    }
    g_assert_cmpint(ret, ==, 0);
    apply(t, i, data);
    if (steps[i].op == BLOCK_OP_READ)
        g_assert_cmpmem(data, steps[i].bytes, t->model + steps[i].offset, steps[i].bytes);
}

static void restore(const Test *t)
{
    kit_image_do(&t->kit, "cp before image");
    if (t->kind->has_data_file)
        kit_image_do(&t->kit, "cp base data");
}

/* Whether there was an n-th operation. */
static bool fail_once(Test *t, unsigned n)
{
    BlockNode *node;
    bool acted;

    restore(t);
    memcpy(t->model, t->before, SIZE);
    node = open_image(t, n, true);
    if (!node) {
        kit_image_close(&t->kit);
        kit_image_assert_sound(&t->kit, "image");
        kit_image_assert_holds(&t->kit, "image", t->before, SIZE);
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++)
        take_step_with_one_fault(t, node, i);
    acted = close_image(t) > 0;
    kit_image_close(&t->kit);
    /* A lazy image whose closing failed is dirty. */
    if (acted && strstr(t->kind->create, "lazy"))
        kit_image_do(&t->kit, "qemu-img check -r all -f qcow2 image");
    kit_image_assert_sound(&t->kit, "image");
    kit_image_assert_holds(&t->kit, "image", t->model, SIZE);
    return acted;
}

static void test_one_fault(Test *t, const void *kind)
{
    unsigned n = 1;

    if (!kit_image_has_tools())
        return;
    make_image(t);
    while (fail_once(t, n))
        n += n < 24 ? 1 : n / 2;
    g_test_message("%u operations", n);
    g_assert_cmpuint(n, >, 10);
}

/* The sectors of a step, flushed or not, are either as before or as it leaves them. */
static void check_after_many_faults(Test *t, size_t n_done, size_t n_flushed)
{
    g_autofree uint8_t *read = NULL;
    g_autofree char *path = kit_image_path(&t->kit, "read.raw");
    gsize size;

    kit_image_do(&t->kit, "qemu-img convert -t unsafe -f qcow2 -O raw image read.raw");
    g_assert_true(g_file_get_contents(path, (char **)&read, &size, NULL));
    memset(t->is_open, 0, SIZE / 512 * sizeof(bool));
    for (size_t i = n_flushed; i < MIN(n_done + 1, G_N_ELEMENTS(steps)); i++) {
        if (steps[i].op == BLOCK_OP_READ)
            continue;
        for (unsigned at = 0; at < steps[i].bytes; at += 512)
            t->is_open[(steps[i].offset + at) / 512] = true;
    }
    for (unsigned i = 0; i < SIZE / 512; i++) {
        if (!t->is_open[i])
            g_assert_cmpmem(read + i * 512, 512, t->model + i * 512, 512);
    }
}

/* All fail from the n-th on: whether there was one. */
static bool fail_forever(Test *t, unsigned n)
{
    g_autofree uint8_t *data = g_malloc(PART + 512 * KIB);
    size_t n_done = 0, n_flushed = 0;
    BlockNode *node;
    bool acted = true;

    restore(t);
    memcpy(t->model, t->before, SIZE);
    node = open_image(t, n, false);
    while (node && n_done < G_N_ELEMENTS(steps) && try_step(t, node, n_done, data) == 0) {
        if (steps[n_done].op == BLOCK_OP_FLUSH) {
            for (; n_flushed <= n_done; n_flushed++) {
                memset(data, (int)n_flushed + 1, PART);
                apply(t, n_flushed, data);
            }
        }
        n_done++;
    }
    if (node)
        acted = close_image(t) > 0;
    kit_image_close(&t->kit);
    if (strstr(t->kind->create, "lazy"))
        kit_image_run(&t->kit, NULL, "qemu-img check -r all -f qcow2 image");
    kit_image_assert_sound(&t->kit, "image");
    check_after_many_faults(t, n_done, n_flushed);
    return acted;
}

static void test_all_faults_from_one_on(Test *t, const void *kind)
{
    unsigned n = 1;

    if (!kit_image_has_tools())
        return;
    make_image(t);
    while (fail_forever(t, n))
        n += n < 12 ? 1 : n / 3;
}

int main(int argc, char **argv)
{
    Case cases[G_N_ELEMENTS(kinds) * G_N_ELEMENTS(ways)];

    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds) * G_N_ELEMENTS(ways); i++) {
        Case *c = &cases[i];
        g_autofree char *once = NULL;
        g_autofree char *on = NULL;

        c->kind = &kinds[i / G_N_ELEMENTS(ways)];
        c->way = &ways[i % G_N_ELEMENTS(ways)];
        once = g_strdup_printf("/qcow2-fault/once/%s/%s", c->way->name, c->kind->name);
        on = g_strdup_printf("/qcow2-fault/from-then-on/%s/%s", c->way->name,
                             c->kind->name);
        g_test_add(once, Test, c, set_up, test_one_fault, tear_down);
        if (strcmp(c->way->name, "torn") == 0)
            continue;
        g_test_add(on, Test, c, set_up, test_all_faults_from_one_on, tear_down);
    }
    return g_test_run();
}
