/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults by rules, on the way of a loop and on that of workers, and the record of writes
 * that power-cut tests are made with.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/block-driver.h"
#include "berth/error.h"
#include "berth/inject.h"
#include "berth/iothread.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

#include "kit-process.h"
#include "write-log.h"

#define BLOCK 4096u
#define N_BLOCKS 8u

typedef struct Fixture {
    Loop *loop;
    BlockGraph *graph;
    char *path;
    uint8_t *data;              /* N_BLOCKS */
    /* The channel's, when there is one. */
    BlockUse *use;
    BlockChannel *channel;
} Fixture;

static void set_up(Fixture *f, const void *unused)
{
    int fd;

    f->loop = loop_new("main", THREAD_MAIN, NULL);
    f->graph = block_graph_new(f->loop);
    f->path = g_strdup("build/test-inject-XXXXXX");
    f->data = aligned_alloc(BLOCK, N_BLOCKS * BLOCK);
    fd = g_mkstemp(f->path);
    g_assert_cmpint(ftruncate(fd, N_BLOCKS * BLOCK), ==, 0);
    close(fd);
}

static void tear_down(Fixture *f, const void *unused)
{
    block_channel_free(f->channel);
    block_use_free(f->use);
    block_graph_free(f->graph);
    loop_free(f->loop);
    g_unlink(f->path);
    g_free(f->path);
    free(f->data);
}

static BlockNode *try_add(Fixture *f, GError **error, const char *json)
{
    g_autoptr(BlockdevOptions) options = NULL;

    options = qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, json, error);
    return options ? block_graph_add(f->graph, options, error) : NULL;
}

/* A node "i" with @rules ("[...]") above the file "f". */
static BlockNode *add(Fixture *f, const char *rules, GError **error)
{
    g_autofree char *json = g_strdup_printf(
        "{'driver':'inject','node-name':'i','discard':'unmap','rules':%s,'file':{"
        "'driver':'file','node-name':'f','filename':'%s'}}", rules, f->path);

    return try_add(f, error, json);
}

static void set_rules(BlockNode *node, const char *rules)
{
    g_autofree char *json = g_strdup_printf("{'node-name':'i','rules':%s}", rules);
    g_autoptr(XBlockInjectSetArgs) args = NULL;
    g_autoptr(GError) error = NULL;

    args = qapi_parse_json(QAPI_TYPE_X_BLOCK_INJECT_SET_ARGS, json, &error);
    g_assert_no_error(error);
    g_assert_true(inject_set_rules(node, args->rules, &error));
    g_assert_no_error(error);
}

static void assert_error(GError *error, const char *words)
{
    g_assert_nonnull(error);
    if (!strstr(error->message, words))
        g_error("'%s' is not in '%s'", words, error->message);
    g_error_free(error);
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

static BlockChannel *make_channel(Fixture *f, BlockNode *node, GError **error)
{
    const uint8_t wants = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE;

    f->use = block_use_new(node, wants, BLOCK_PERM_ALL, &use_ops, NULL, NULL);
    g_assert_nonnull(f->use);
    f->channel = block_channel_new(f->use, f->loop, 8, &channel_ops, NULL, error);
    return f->channel;
}

/* Requests, by one way or the other. */
typedef struct Ask {
    Fixture *f;
    BlockNode *node;
    BlockIo io;
    struct iovec iov[2];
    bool is_done;
    int ret;
    WorkerJob job;
} Ask;

static void on_done(BlockReq *req, int ret)
{
    Ask *ask = req->opaque;

    ask->ret = ret;
    ask->is_done = true;
}

static void on_work(void *opaque)
{
    Ask *ask = opaque;

    ask->ret = block_io(ask->node, &ask->io);
}

static void on_worked(void *opaque)
{
    ((Ask *)opaque)->is_done = true;
}

/* "w2": writes block 2; R, w, f, d, z are the operations; the memory is that block's. */
static void start(Ask *ask, Fixture *f, BlockNode *node, const char *what)
{
    static const char letters[] = "rwfdz";
    uint64_t offset = what[1] ? (uint64_t)(what[1] - '0') * BLOCK : 0;
    BlockReq *req;

    *ask = (Ask) { .f = f, .node = node };
    ask->io.op = (BlockOp)(strchr(letters, what[0]) - letters);
    if (ask->io.op != BLOCK_OP_FLUSH) {
        ask->io.offset = offset;
        ask->io.bytes = BLOCK;
    }
    if (ask->io.op == BLOCK_OP_READ || ask->io.op == BLOCK_OP_WRITE) {
        ask->iov[0] = (struct iovec) { f->data + offset, 1024 };
        ask->iov[1] = (struct iovec) { f->data + offset + 1024, BLOCK - 1024 };
        ask->io.iov = ask->iov;
        ask->io.n_iov = 2;
    }
    if (!f->channel) {
        worker_job_init(&ask->job, on_work, on_worked, ask);
        g_assert_true(worker_submit(worker_pool_of(f->loop), &ask->job, NULL));
        return;
    }
    req = block_channel_get(f->channel);
    req->io = ask->io;
    req->done = on_done;
    req->opaque = ask;
    block_channel_submit(f->channel, req);
}

static int wait_for(Ask *ask)
{
    while (!ask->is_done)
        loop_turn(ask->f->loop, true);
    g_assert_cmpuint(ask->iov[0].iov_len, ==, ask->io.n_iov ? 1024 : 0);
    g_assert_cmpuint(ask->iov[1].iov_len, ==, ask->io.n_iov ? BLOCK - 1024 : 0);
    return ask->ret;
}

static int ask(Fixture *f, BlockNode *node, const char *what)
{
    Ask ask;

    start(&ask, f, node, what);
    return wait_for(&ask);
}

/* Whether the test is on a worker's way, else on a loop's: the data of both tests. */
static const bool on_worker = true;
static const bool on_loop = false;

static void set_up_way(Fixture *f, BlockNode *node, const void *data)
{
    if (!*(const bool *)data)
        g_assert_nonnull(make_channel(f, node, NULL));
}

static void test_rules(Fixture *f, const void *data)
{
    static const struct {
        const char *rules;
        const char *asked;      /* what is asked, ... */
        const char *failed;     /* ... and what of it fails: '!' */
    } cases[] = {
        { "[]", "r0 w0 f z0 d0", "....." },
        { "[{'errno':'EIO'}]", "r0 w0 f z0 d0", "!!!!!" },
        { "[{'errno':'EIO','first':2,'times':1}]", "r0 w0 f r0", ".!.." },
        { "[{'errno':'EIO','first':2}]", "r0 w0 f r0", ".!!!" },
        { "[{'errno':'EIO','first':2,'every':2}]", "r0 w0 f r0", ".!.!" },
        { "[{'errno':'EIO','every':3,'times':2}]", "r0 r1 r2 r3 r4 r5 r6 r7",
          "!..!...." },
        { "[{'errno':'EIO','ops':['write','flush']}]", "r0 w0 f z0 d0", ".!!.." },
        { "[{'errno':'EIO','ops':['zero'],'first':2}]", "z0 w0 z0", "..!" },
        { "[{'errno':'EIO','offset':4096}]", "r0 r1 r7 f", ".!!." },
        { "[{'errno':'EIO','size':4097}]", "r0 r1 r2", "!!." },
        { "[{'errno':'EIO','offset':8191,'size':1}]", "r0 r1 r2", ".!." },
        { "[{'errno':'EIO','offset':18446744073709551615,'size':1000}]", "r0 r7", ".." },
        { "[{'errno':'EIO','offset':4096,'ops':['read'],'first':2}]", "r0 r1 r0 r1 r1",
          "...!!" },
        { "[{'errno':'EIO','ops':['read']},{'errno':'EIO','ops':['write'],'first':2}]",
          "w0 r0 w0 w0", ".!!!" },
    };
    BlockNode *node = add(f, "[]", NULL);

    set_up_way(f, node, data);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) asked = g_strsplit(cases[i].asked, " ", -1);
        uint64_t n_failed = 0;

        set_rules(node, cases[i].rules);
        for (size_t n = 0; asked[n]; n++) {
            int ret = ask(f, node, asked[n]);

            if (ret != (cases[i].failed[n] == '!' ? -EIO : 0))
                g_error("case %zu, request %zu: %d", i, n, ret);
            n_failed += ret < 0;
        }
        g_assert_cmpuint(inject_n_acted(node), ==, n_failed);
    }
}

static void test_the_first_rule_that_acts(Fixture *f, const void *data)
{
    BlockNode *node = add(f, "[{'errno':'ENOSPC','first':2,'times':1},"
                          "{'errno':122},{'errno':'EINVAL'}]", NULL);
    g_autoptr(InjectInfo) info = NULL;

    set_up_way(f, node, data);
    g_assert_cmpint(ask(f, node, "w0"), ==, -122);
    g_assert_cmpint(ask(f, node, "w0"), ==, -ENOSPC);
    g_assert_cmpint(ask(f, node, "w0"), ==, -122);

    info = inject_query(node);
    g_assert_cmpuint(info->counts->items[INJECT_OP_WRITE]->count, ==, 3);
    g_assert_cmpuint(info->counts->items[INJECT_OP_OPEN]->count, ==, 1);
    g_assert_cmpuint(info->rules->items[0]->acted, ==, 1);
    g_assert_cmpuint(info->rules->items[1]->acted, ==, 2);
    g_assert_cmpuint(info->rules->items[2]->matched, ==, 3);
    g_assert_cmpuint(info->rules->items[2]->acted, ==, 0);
}

static void assert_file(const Fixture *f, uint64_t offset, uint8_t value, size_t size)
{
    g_autofree char *contents = NULL;
    gsize file_size;

    g_assert_true(g_file_get_contents(f->path, &contents, &file_size, NULL));
    for (size_t i = 0; i < size; i++)
        g_assert_cmpuint((uint8_t)contents[offset + i], ==, value);
}

static void test_torn_requests(Fixture *f, const void *data)
{
    BlockNode *node = add(f, "[]", NULL);

    set_up_way(f, node, data);
    memset(f->data, 0x11, N_BLOCKS * BLOCK);
    g_assert_cmpint(ask(f, node, "w0"), ==, 0);
    g_assert_cmpint(ask(f, node, "w1"), ==, 0);
    memset(f->data, 0x22, N_BLOCKS * BLOCK);

    set_rules(node, "[{'tear':1536,'times':1}]");
    g_assert_cmpint(ask(f, node, "w0"), ==, -EIO);
    assert_file(f, 0, 0x22, 1536);
    assert_file(f, 1536, 0x11, BLOCK - 1536);

    set_rules(node, "[{'tear':512,'errno':'ENOSPC','times':1}]");
    g_assert_cmpint(ask(f, node, "z0"), ==, -ENOSPC);
    assert_file(f, 0, 0, 512);
    assert_file(f, 512, 0x22, 1024);

    /* More than there is: all of it, and an error nevertheless. */
    set_rules(node, "[{'tear':65536,'times':1}]");
    g_assert_cmpint(ask(f, node, "w1"), ==, -EIO);
    assert_file(f, BLOCK, 0x22, BLOCK);

    set_rules(node, "[{'tear':0,'ops':['write']}]");
    memset(f->data, 0x33, N_BLOCKS * BLOCK);
    g_assert_cmpint(ask(f, node, "w1"), ==, -EIO);
    assert_file(f, BLOCK, 0x22, BLOCK);

    set_rules(node, "[{'tear':2048}]");
    g_assert_cmpint(ask(f, node, "r1"), ==, -EIO);
    g_assert_cmpuint(f->data[BLOCK + 2047], ==, 0x22);
    g_assert_cmpuint(f->data[BLOCK + 2048], ==, 0x33);
    g_assert_cmpint(ask(f, node, "f"), ==, -EIO);
}

static void test_tears_at_blocks_of_the_node_below(Fixture *f, const void *data)
{
    g_autofree char *json = g_strdup_printf(
        "{'driver':'inject','node-name':'i','file':{'driver':'file','filename':'%s',"
        "'node-name':'f','cache':{'direct':true},'aio':'native'}}", f->path);
    BlockNode *node = try_add(f, NULL, json);
    uint32_t block = block_node_limits(node)->request_alignment;

    set_up_way(f, node, data);
    memset(f->data, 0x44, BLOCK);
    set_rules(node, "[{'tear':4095}]");
    g_assert_cmpint(ask(f, node, "w0"), ==, -EIO);
    g_assert_cmpuint(block, >=, 512);
    assert_file(f, 0, 0x44, ALIGN_DOWN(4095u, block));
    assert_file(f, ALIGN_DOWN(4095u, block), 0, BLOCK - ALIGN_DOWN(4095u, block));
}

static void test_delays(Fixture *f, const void *data)
{
    BlockNode *node = add(f, "[]", NULL);
    int64_t start_ns = loop_clock_ns();

    set_up_way(f, node, data);
    set_rules(node, "[{'delay-ns':20000000,'first':1,'times':1},"
              "{'delay-ns':20000000,'errno':'ENOSPC'}]");

    g_assert_cmpint(ask(f, node, "w0"), ==, 0);
    g_assert_cmpint(loop_clock_ns() - start_ns, >=, 20 * NS_PER_MS);
    g_assert_cmpint(ask(f, node, "w0"), ==, -ENOSPC);
    g_assert_cmpint(loop_clock_ns() - start_ns, >=, 40 * NS_PER_MS);
}

/* What waits for ever goes on when the rules change, and when the machine ends. */
static void test_a_change_of_rules_ends_waits(Fixture *f, const void *data)
{
    BlockNode *node = add(f, "[]", NULL);
    Ask asks[3];

    set_up_way(f, node, data);
    for (int i = 0; i < 2; i++) {
        set_rules(node, "[{'delay-ns':18446744073709551615}]");
        start(&asks[0], f, node, "w0");
        start(&asks[1], f, node, "f");
        while (inject_n_acted(node) < 2)
            loop_turn(f->loop, false);
        if (i == 0)
            set_rules(node, "[{'delay-ns':18446744073709551615,'errno':'EIO'}]");
        else
            block_graph_let_go(f->graph);
        g_assert_cmpint(wait_for(&asks[0]), ==, 0);
        g_assert_cmpint(wait_for(&asks[1]), ==, 0);
    }
    g_assert_cmpint(ask(f, node, "w0"), ==, 0);

    set_rules(node, "[{'delay-ns':18446744073709551615,'errno':'EIO'}]");
    start(&asks[2], f, node, "w0");
    while (inject_n_acted(node) < 1)
        loop_turn(f->loop, false);
    inject_fail_nth(node, 0, 0);
    g_assert_cmpint(wait_for(&asks[2]), ==, -EIO);
}

static void test_what_is_no_request(Fixture *f, const void *unused)
{
    BlockNode *node = add(f, "[]", NULL);
    GError *error = NULL;
    BlockMap map;

    set_rules(node, "[{'ops':['map','resize','lock','attach'],'errno':'EACCES'}]");
    g_assert_cmpint(node->driver->map(node, 0, BLOCK, &map), ==, -EACCES);
    g_assert_false(block_node_resize(node, 4 * BLOCK, PREALLOC_MODE_OFF, &error));
    assert_error(error, "'i'");
    error = NULL;
    g_assert_cmpuint(block_node_size(node), ==, N_BLOCKS * BLOCK);
    g_assert_null(block_use_new(node, BLOCK_PERM_WRITE, BLOCK_PERM_ALL, &use_ops, NULL,
                                &error));
    assert_error(error, "cannot lock 'i'");
    error = NULL;

    set_rules(node, "[{'ops':['attach'],'errno':'EMFILE'}]");
    g_assert_null(make_channel(f, node, &error));
    assert_error(error, "cannot attach");
    set_rules(node, "[]");
    g_assert_true(block_node_resize(node, 4 * BLOCK, PREALLOC_MODE_OFF, NULL));
    g_assert_cmpuint(block_node_size(node), ==, 4 * BLOCK);
    g_assert_cmpint(node->driver->map(node, 0, BLOCK, &map), ==, 0);
}

static void test_rules_that_are_refused(Fixture *f, const void *unused)
{
    static const struct {
        const char *rules;
        const char *words;
    } cases[] = {
        { "[{}]", "'rules[0]'" },
        { "[{'errno':'EIO'},{'first':2}]", "'rules[1]'" },
        { "[{'errno':'EFOO'}]", "'EFOO'" },
        { "[{'errno':0}]", "from 1" },
        { "[{'errno':4096}]", "from 1" },
        { "[{'errno':-5}]", "from 1" },
        { "[{'errno':'EIO','first':0}]", "first" },
        { "[{'errno':'EIO','every':0}]", "every" },
        { "[{'errno':'EIO','ops':[]}]", "'ops'" },
        { "[{'errno':'EIO','ops':['reed']}]", "reed" },
        { "[{'errno':'EIO','ops':['flush'],'offset':0}]", "'offset'" },
        { "[{'errno':'EIO','size':0}]", "'size'" },
        { "[{'delay-ns':5,'ops':['open']}]", "'delay-ns'" },
        { "[{'errno':'ENOENT','ops':['open']}]", "cannot open 'i'" },
        { "[{'errno':'ENOENT','ops':['lock']}]", NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        BlockNode *node = add(f, cases[i].rules, &error);

        if (!cases[i].words) {
            g_assert_nonnull(node);
            continue;
        }
        g_assert_null(node);
        assert_error(error, cases[i].words);
        g_assert_null(block_graph_find(f->graph, "f"));
    }
}

static char *dump_graph(const Fixture *f)
{
    static const char *const names[] = { "f", "low", "i", "mid", "top" };
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        BlockNode *node = block_graph_find(f->graph, names[i]);

        if (node)
            g_string_append_printf(text, "%s: %s %u refs, wants %u permits %u\n",
                                   names[i], node->driver->name, node->n_refs,
                                   node->wants, node->permits);
    }
    g_string_append_printf(text, "descriptors %u\n", kit_count_fds());
    return g_string_free(text, FALSE);
}

/* All nodes above @node, the upper first. */
static void delete_others(const Fixture *f, BlockNode *node)
{
    while (!list_is_empty(&node->parents)) {
        BlockNode *top = node;

        while (!list_is_empty(&top->parents))
            top = CONTAINER_OF(list_first(&top->parents), BlockLink, child_node)->parent;
        g_assert_true(block_graph_del(f->graph, block_node_name(top), NULL));
    }
}

/* The chain of a definition fails at its first step, then at the next, to the last. */
static void test_faults_of_making_a_chain(Fixture *f, const void *unused)
{
    static const char *const places[][2] = { { "", "[]" }, { "[]", "" } };
    BlockNode *shared = add(f, "[]", NULL);
    unsigned n_failed = 0;

    for (size_t place = 0; place < G_N_ELEMENTS(places); place++) {
        bool is_done = false;

        for (unsigned n = 1; !is_done; n++) {
            g_autofree char *rules = g_strdup_printf(
                "[{'ops':['open','lock','read','write','map'],'errno':'EIO','first':%u,"
                "'times':1}]", n);
            g_autofree char *json = g_strdup_printf(
                "{'driver':'inject','node-name':'top','rules':%s,'file':{'driver':'raw',"
                "'offset':4096,'file':{'driver':'inject','node-name':'mid','rules':%s,"
                "'file':{'driver':'raw','node-name':'low','offset':4096,"
                "'file':'i'}}}}", *places[place][0] ? "[]" : rules,
                *places[place][1] ? "[]" : rules);
            g_autofree char *before = dump_graph(f);
            g_autofree char *after = NULL;
            GError *error = NULL;

            is_done = try_add(f, &error, json) != NULL;
            if (is_done)
                break;
            assert_error(error, "Input/output error");
            n_failed++;
            after = dump_graph(f);
            g_assert_cmpstr(before, ==, after);
        }
        delete_others(f, shared);
    }
    g_assert_cmpuint(n_failed, >=, 2);

    /* A node that is shared fails in its turn. */
    for (uint64_t n = 1;; n++) {
        g_autofree char *before = dump_graph(f);
        g_autofree char *after = NULL;
        BlockNode *top;

        inject_fail_nth(shared, n, EIO);
        top = try_add(f, NULL, "{'driver':'raw','node-name':'top','file':'i'}");
        if (inject_n_acted(shared) == 0) {
            g_assert_nonnull(top);
            break;
        }
        g_assert_null(top);
        after = dump_graph(f);
        g_assert_cmpstr(before, ==, after);
    }
}

static void test_commands(Fixture *f, const void *unused)
{
    g_autoptr(XBlockInjectSetArgs) args = qapi_parse_json(
        QAPI_TYPE_X_BLOCK_INJECT_SET_ARGS,
        "{'node-name':'i','rules':[{'errno':'ENOSPC','ops':['read']}]}", NULL);
    g_autoptr(InjectInfo) info = NULL;
    QmpContext ctx = { .blocks = f->graph };
    XQueryBlockInjectArgs query = { .node_name = (char *)"i" };
    BlockNode *node = add(f, "[]", NULL);
    GError *error = NULL;

    g_assert_true(qmp_x_block_inject_set(&ctx, args, NULL));
    g_assert_cmpint(ask(f, node, "r0"), ==, -ENOSPC);
    info = qmp_x_query_block_inject(&ctx, &query, NULL);
    g_assert_cmpuint(info->counts->items[INJECT_OP_READ]->count, ==, 1);
    g_assert_cmpuint(info->rules->items[0]->acted, ==, 1);

    /* What is refused changes nothing. */
    args->rules->items[0]->first = 1;
    args->rules->items[0]->q_errno->u.name[0] = 'X';
    g_assert_false(qmp_x_block_inject_set(&ctx, args, &error));
    assert_error(error, "'XNOSPC'");
    g_assert_cmpint(ask(f, node, "r0"), ==, -ENOSPC);
    query.node_name = (char *)"f";
    error = NULL;
    g_assert_null(qmp_x_query_block_inject(&ctx, &query, &error));
    assert_error(error, "not of driver 'inject'");
    query.node_name = (char *)"absent";
    error = NULL;
    g_assert_null(qmp_x_query_block_inject(&ctx, &query, &error));
    assert_error(error, "'absent'");
}

/* Rules change while requests of a thread run: each has one result or the other. */
typedef struct Storm {
    BlockChannel *channel;
    Loop *loop;
    LoopMessage go;
    uint8_t *memory;
    struct iovec iov[4];
    bool is_busy[4];
    unsigned n_started;
    unsigned n_done;            /* atomic */
    unsigned n_failed;          /* atomic */
    bool ends;                  /* atomic */
    bool is_idle;
} Storm;

static void storm_on_done(BlockReq *req, int ret)
{
    Storm *storm = req->opaque;

    g_assert_true(ret == 0 || ret == -EIO);
    storm->is_busy[req->io.offset / BLOCK] = false;
    if (ret < 0)
        __atomic_add_fetch(&storm->n_failed, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&storm->n_done, 1, __ATOMIC_RELEASE);
    loop_post(storm->loop, &storm->go);
}

static void storm_on_go(void *opaque)
{
    static const BlockOp ops[] = { BLOCK_OP_WRITE, BLOCK_OP_READ, BLOCK_OP_ZERO };
    Storm *storm = opaque;
    BlockReq *req;

    while (!__atomic_load_n(&storm->ends, __ATOMIC_RELAXED) &&
           (req = block_channel_get(storm->channel))) {
        unsigned i = 0;

        while (storm->is_busy[i])
            i++;
        storm->is_busy[i] = true;
        storm->iov[i] = (struct iovec) { storm->memory + i * BLOCK, BLOCK };
        req->io = (BlockIo) {
            .op = ops[storm->n_started++ % 3], .offset = i * BLOCK, .bytes = BLOCK,
            .iov = &storm->iov[i], .n_iov = 1,
        };
        req->done = storm_on_done;
        req->opaque = storm;
        block_channel_submit(storm->channel, req);
    }
}

static void storm_look(void *opaque)
{
    Storm *storm = opaque;

    storm->is_idle = block_channel_in_flight(storm->channel) == 0;
}

static const BlockChannelOps storm_ops = { .ready = storm_on_go };

static void test_rules_that_change_meanwhile(Fixture *f, const void *unused)
{
    static const char *const rules[] = {
        "[]", "[{'errno':'EIO','every':3}]", "[{'delay-ns':100000000000,'every':5}]",
        "[{'tear':1024,'every':2}]",
    };
    g_autoptr(Iothread) iothread = iothread_new("storm", NULL);
    BlockNode *node = add(f, "[]", NULL);
    Storm storm = { .loop = iothread_loop(iothread), .memory = f->data };
    unsigned n = 0;

    memset(f->data, 0, N_BLOCKS * BLOCK);
    f->use = block_use_new(node, BLOCK_PERM_WRITE, BLOCK_PERM_ALL, &use_ops, NULL, NULL);
    loop_message_init(&storm.go, storm_on_go, &storm);
    storm.channel = block_channel_new(f->use, storm.loop, 4, &storm_ops, &storm, NULL);
    loop_post(storm.loop, &storm.go);
    while (__atomic_load_n(&storm.n_done, __ATOMIC_ACQUIRE) < 4000 ||
           __atomic_load_n(&storm.n_failed, __ATOMIC_RELAXED) == 0) {
        set_rules(node, rules[n++ % G_N_ELEMENTS(rules)]);
        if (n % 4 == 0)
            g_usleep(100);
    }
    __atomic_store_n(&storm.ends, true, __ATOMIC_RELAXED);
    set_rules(node, "[]");
    while (!storm.is_idle)
        loop_call_sync(storm.loop, storm_look, &storm);
    block_channel_free(storm.channel);
}

/* What a power cut leaves. */

static uint8_t *cut(WriteLog *log, size_t moment, PowerCut how, GRand *rand)
{
    g_autofree char *path = g_strdup("build/test-inject-cut-XXXXXX");
    uint8_t *data = g_malloc0(N_BLOCKS * BLOCK);
    g_autofd int fd = g_mkstemp(path);

    g_unlink(path);
    g_assert_cmpint(ftruncate(fd, N_BLOCKS * BLOCK), ==, 0);
    write_log_cut(log, moment, how, rand, &fd);
    g_assert_cmpint(pread(fd, data, N_BLOCKS * BLOCK, 0), >=, 0);
    return data;
}

static void assert_cut(WriteLog *log, size_t moment, PowerCut how, const char *expected)
{
    g_autofree uint8_t *data = cut(log, moment, how, NULL);

    for (size_t i = 0; expected[i]; i++)
        g_assert_cmpuint(data[i * BLOCK], ==, expected[i] - '0');
}

static void write_value(Fixture *f, BlockNode *node, const char *what, uint8_t value)
{
    memset(f->data, value, N_BLOCKS * BLOCK);
    ask(f, node, what);
}

static void test_power_cuts(Fixture *f, const void *data)
{
    BlockNode *node = add(f, "[]", NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    g_autoptr(WriteLog) log = NULL;
    unsigned seen[4] = { 0 };
    size_t moments[5];

    set_up_way(f, node, data);
    log = write_log_new(node);
    write_value(f, node, "w0", 1);
    write_value(f, node, "w1", 1);
    moments[0] = write_log_length(log);
    ask(f, node, "f");
    moments[1] = write_log_length(log);
    write_value(f, node, "w0", 2);
    moments[2] = write_log_length(log);
    set_rules(node, "[{'tear':512,'times':1}]");
    write_value(f, node, "w2", 3);
    ask(f, node, "z1");
    moments[3] = write_log_length(log);
    ask(f, node, "f");
    moments[4] = write_log_length(log);

    assert_cut(log, moments[0], POWER_CUT_KEEP, "110");
    assert_cut(log, moments[0], POWER_CUT_DROP, "000");
    assert_cut(log, moments[1], POWER_CUT_DROP, "110");
    assert_cut(log, moments[2], POWER_CUT_KEEP, "210");
    assert_cut(log, moments[2], POWER_CUT_DROP, "110");
    assert_cut(log, moments[3], POWER_CUT_DROP, "110");
    assert_cut(log, moments[3], POWER_CUT_KEEP, "203");
    assert_cut(log, moments[4], POWER_CUT_DROP, "203");
    for (unsigned i = 0; i < 100; i++) {
        g_autofree uint8_t *left = cut(log, moments[2], POWER_CUT_SOME, rand);
        bool has_old = memchr(left, 1, BLOCK), has_new = memchr(left, 2, BLOCK);

        g_assert_cmpuint(left[BLOCK], ==, 1);
        seen[has_old + 2 * has_new]++;
    }
    /* The old, the new, and some of both. */
    g_assert_cmpuint(seen[0], ==, 0);
    g_assert_true(seen[1] && seen[2] && seen[3]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(path, data, fn) g_test_add(path, Fixture, data, set_up, fn, tear_down)
#define ADD_WAYS(path, fn)                                                               \
    ADD("/inject/loop/" path, &on_loop, fn);                                             \
    ADD("/inject/worker/" path, &on_worker, fn)
    ADD_WAYS("rules", test_rules);
    ADD_WAYS("the-first-rule-that-acts", test_the_first_rule_that_acts);
    ADD_WAYS("torn-requests", test_torn_requests);
    ADD_WAYS("tears-at-blocks-of-the-node-below",
             test_tears_at_blocks_of_the_node_below);
    ADD_WAYS("delays", test_delays);
    ADD_WAYS("a-change-of-rules-ends-waits", test_a_change_of_rules_ends_waits);
    ADD_WAYS("power-cuts", test_power_cuts);
    ADD("/inject/what-is-no-request", NULL, test_what_is_no_request);
    ADD("/inject/commands", NULL, test_commands);
    ADD("/inject/rules-that-are-refused", NULL, test_rules_that_are_refused);
    ADD("/inject/faults-of-making-a-chain", NULL, test_faults_of_making_a_chain);
    ADD("/inject/rules-that-change-meanwhile", NULL, test_rules_that_change_meanwhile);
    return g_test_run();
}
