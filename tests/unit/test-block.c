/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core of the block layer on files and null-co: nodes, permissions, requests of a
 * channel, quiescence.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/block-driver.h"
#include "berth/iothread.h"
#include "berth/block-quiesce.h"

#define BLOCK 4096u
#define N_BLOCKS 64u
#define DEPTH 16u
#define N_OPS 3000u

typedef struct Fixture {
    Loop *loop;
    BlockGraph *graph;
    char *path;
} Fixture;

static void set_up(Fixture *f, const void *unused)
{
    int fd;

    f->loop = loop_new("main", THREAD_MAIN, NULL);
    f->graph = block_graph_new(f->loop);
    f->path = g_strdup("build/test-block-XXXXXX");
    fd = g_mkstemp(f->path);
    g_assert_cmpint(ftruncate(fd, N_BLOCKS * BLOCK), ==, 0);
    close(fd);
}

static void tear_down(Fixture *f, const void *unused)
{
    block_graph_free(f->graph);
    loop_free(f->loop);
    g_unlink(f->path);
    g_free(f->path);
}

static BlockNode *try_add(Fixture *f, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static BlockNode *try_add(Fixture *f, GError **error, const char *format, ...)
{
    g_autoptr(BlockdevOptions) options = NULL;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    options = qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, text, error);
    return options ? block_graph_add(f->graph, options, error) : NULL;
}

static char *describe(void *opaque)
{
    return g_strdup_printf("test '%s'", (const char *)opaque);
}

static const BlockUseOps use_ops = { .describe = describe };

static void assert_error(GError *error, const char *words)
{
    g_assert_nonnull(error);
    if (!strstr(error->message, words))
        g_error("'%s' is not in '%s'", words, error->message);
    g_error_free(error);
}

static void test_definitions_inside_others(Fixture *f, const void *unused)
{
    BlockNode *top = try_add(f, NULL, "{'driver':'raw','node-name':'top',"
                             "'read-only':true,'file':{'driver':'file',"
                             "'node-name':'low','filename':'%s'}}", f->path);
    BlockNode *low = block_graph_find(f->graph, "low");

    g_assert_nonnull(top);
    g_assert_true(block_node_child(top, BLOCK_ROLE_FILTERED) == low);
    g_assert_true(block_node_is_read_only(low));
    g_assert_cmpuint(block_node_size(top), ==, N_BLOCKS * BLOCK);
}

static void test_a_failure_leaves_the_graph_as_it_was(Fixture *f, const void *unused)
{
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        { "{'driver':'raw','node-name':'x','file':'absent'}", "'absent'" },
        { "{'driver':'raw','node-name':'x','file':{'driver':'file',"
          "'filename':'/nonexistent/file'}}", "/nonexistent/file" },
        { "{'driver':'raw','node-name':'x','file':{'driver':'null-co','size':512},"
          "'offset':1024}", "'offset'" },
        { "{'driver':'raw','node-name':'x','file':{'driver':'null-co','size':512},"
          "'size':1024}", "'size'" },
        { "{'driver':'raw','node-name':'x','file':{'driver':'null-co',"
          "'node-name':'x'}}", "'x'" },
        { "{'driver':'raw','node-name':'-x','file':{'driver':'null-co'}}", "node-name" },
        { "{'driver':'null-co','node-name':'used'}", "'used'" },
        { "{'driver':'file','node-name':'x','filename':'/dev/null'}", "regular file" },
        { "{'driver':'host_device','node-name':'x','filename':'/dev/null'}",
          "block device" },
        { "{'driver':'null-co','node-name':'x','force-share':true}", "force-share" },
        { "{'driver':'file','node-name':'x','filename':'/etc/passwd','aio':'native'}",
          "cache.direct" },
        { "{'driver':'null-co','node-name':'a-name-of-more-than-thirty-one-characters'}",
          "31" },
    };

    g_assert_nonnull(try_add(f, NULL, "{'driver':'null-co','node-name':'used'}"));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;

        g_assert_null(try_add(f, &error, "%s", cases[i].json));
        assert_error(error, cases[i].words);
        g_assert_null(block_graph_find(f->graph, "x"));
    }
}

static void test_users_that_contradict(Fixture *f, const void *unused)
{
    const uint8_t reads = BLOCK_PERM_CONSISTENT_READ;
    BlockNode *low = try_add(f, NULL, "{'driver':'null-co','node-name':'low'}");
    BlockNode *top = try_add(f, NULL, "{'driver':'raw','node-name':'top','file':'low'}");
    GError *error = NULL;
    BlockUse *writer, *reader;

    /* Who uses the upper node uses the lower one, too. */
    writer = block_use_new(top, reads | BLOCK_PERM_WRITE,
                           BLOCK_PERM_ALL & ~BLOCK_PERM_WRITE, &use_ops, "a", NULL);
    g_assert_null(block_use_new(low, reads | BLOCK_PERM_WRITE, BLOCK_PERM_ALL, &use_ops,
                                "b", &error));
    assert_error(error, "test 'b'");
    error = NULL;
    g_assert_null(block_use_new(low, reads, reads, &use_ops, "b", &error));
    assert_error(error, "test 'b' does not allow");
    reader = block_use_new(low, reads, BLOCK_PERM_ALL, &use_ops, "b", NULL);
    g_assert_nonnull(reader);

    error = NULL;
    g_assert_false(block_use_set(reader, reads | BLOCK_PERM_WRITE, BLOCK_PERM_ALL,
                                 &error));
    g_clear_error(&error);
    block_use_free(writer);
    g_assert_true(block_use_set(reader, reads | BLOCK_PERM_WRITE, BLOCK_PERM_ALL, NULL));
    g_assert_false(block_graph_del(f->graph, "low", &error));
    assert_error(error, "in use");
    block_use_free(reader);
    g_assert_true(block_graph_del(f->graph, "top", NULL));
    g_assert_true(block_graph_del(f->graph, "low", NULL));
}

static void test_read_only_node_has_no_writer(Fixture *f, const void *unused)
{
    BlockNode *node =
        try_add(f, NULL, "{'driver':'null-co','node-name':'n','read-only':true}");
    GError *error = NULL;

    g_assert_null(block_use_new(node, BLOCK_PERM_WRITE, BLOCK_PERM_ALL, &use_ops, "a",
                                &error));
    assert_error(error, "read-only");
}

/* Two open files of one process are two holders, as two processes are. */
static void test_locks_of_files(Fixture *f, const void *unused)
{
    const uint8_t writes = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE;
    const uint8_t permits = BLOCK_PERM_ALL & ~(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    BlockUse *first, *second;
    BlockNode *nodes[3];
    GError *error = NULL;

    for (int i = 0; i < 3; i++)
        nodes[i] = try_add(f, NULL, "{'driver':'file','node-name':'%c','filename':'%s',"
                           "'locking':'%s'}", 'a' + i, f->path, i < 2 ? "auto" : "off");
    first = block_use_new(nodes[0], writes, permits, &use_ops, "a", NULL);
    g_assert_nonnull(first);
    second = block_use_new(nodes[1], writes, permits, &use_ops, "b",
                           &error);
    g_assert_null(second);
    assert_error(error, f->path);
    second = block_use_new(nodes[1], BLOCK_PERM_CONSISTENT_READ,
                           BLOCK_PERM_ALL, &use_ops, "b", NULL);
    g_assert_nonnull(second);
    block_use_free(second);
    second = block_use_new(nodes[2], writes, permits, &use_ops, "c",
                           NULL);
    g_assert_nonnull(second);
    block_use_free(second);
    block_use_free(first);

    second = block_use_new(nodes[1], writes, permits, &use_ops,
                           "b", NULL);
    g_assert_nonnull(second);
    block_use_free(second);
}

/* A guest with a disk: random requests against a model, on a thread of its own. */
typedef struct Guest {
    BlockChannel *channel;
    Loop *loop;
    uint8_t *model;
    uint8_t *memory;            /* DEPTH buffers of BLOCK */
    bool busy[N_BLOCKS];        /* blocks with a request under way */
    struct {
        struct iovec iov[2];
        unsigned block;
        size_t offset;          /* within the block */
        size_t size;
        uint8_t value;
        bool in_use;
    } slots[DEPTH];
    unsigned granularity;
    unsigned n_started;
    unsigned n_limit;
    GRand *rand;
    LoopMessage go;
    bool is_done;               /* atomic */
} Guest;

static void guest_work(Guest *guest);

static void guest_on_done(BlockReq *req, int ret)
{
    Guest *guest = req->opaque;
    unsigned i = 0;
    uint8_t *data;

    while (guest->slots[i].iov != req->io.iov)
        i++;
    g_assert_cmpint(ret, ==, 0);
    data = guest->memory + i * BLOCK;
    if (req->io.op == BLOCK_OP_READ)
        g_assert_cmpmem(data, guest->slots[i].size, guest->model + req->io.offset,
                        guest->slots[i].size);
    if (req->io.op == BLOCK_OP_WRITE)
        memset(guest->model + req->io.offset, guest->slots[i].value,
               guest->slots[i].size);
    if (req->io.op == BLOCK_OP_ZERO)
        memset(guest->model + req->io.offset, 0, guest->slots[i].size);
    guest->busy[guest->slots[i].block] = false;
    guest->slots[i].in_use = false;
    loop_post(guest->loop, &guest->go);
}

static int guest_free_slot(const Guest *guest)
{
    for (int i = 0; i < (int)DEPTH; i++) {
        if (!guest->slots[i].in_use)
            return i;
    }
    return -1;
}

static void guest_start(Guest *guest, BlockReq *req, int i)
{
    static const BlockOp ops[] = {
        BLOCK_OP_READ, BLOCK_OP_READ, BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE,
        BLOCK_OP_ZERO, BLOCK_OP_FLUSH,
    };
    unsigned n = BLOCK / guest->granularity;
    unsigned first = g_rand_int_range(guest->rand, 0, n);
    unsigned end = g_rand_int_range(guest->rand, first + 1, n + 1);
    uint8_t *data = guest->memory + (unsigned)i * BLOCK;
    size_t size = (end - first) * guest->granularity;
    size_t cut = size / 2 / guest->granularity * guest->granularity;

    guest->slots[i].offset = first * guest->granularity;
    guest->slots[i].size = size;
    guest->slots[i].in_use = true;
    guest->slots[i].value = (uint8_t)g_rand_int_range(guest->rand, 0, 8);
    guest->slots[i].iov[0] = (struct iovec) { data, cut };
    guest->slots[i].iov[1] = (struct iovec) { data + cut, size - cut };
    req->io.op = ops[g_rand_int_range(guest->rand, 0, G_N_ELEMENTS(ops))];
    req->io.flags =
        req->io.op == BLOCK_OP_WRITE && g_rand_boolean(guest->rand) ? BLOCK_FUA : 0;
    if (req->io.op == BLOCK_OP_WRITE)
        memset(data, guest->slots[i].value, size);
    do
        guest->slots[i].block = g_rand_int_range(guest->rand, 0, N_BLOCKS);
    while (guest->busy[guest->slots[i].block]);
    guest->busy[guest->slots[i].block] = true;
    req->io.offset = guest->slots[i].block * BLOCK + guest->slots[i].offset;
    req->io.bytes = size;
    req->io.iov = guest->slots[i].iov;
    req->io.n_iov = 2;
    req->done = guest_on_done;
    req->opaque = guest;
    guest->n_started++;
    block_channel_submit(guest->channel, req);
}

static void guest_work(Guest *guest)
{
    BlockReq *req;
    int i;

    while (guest->n_started < guest->n_limit && (i = guest_free_slot(guest)) >= 0 &&
           (req = block_channel_get(guest->channel)))
        guest_start(guest, req, i);
    if (guest->n_started >= guest->n_limit &&
        block_channel_in_flight(guest->channel) == 0)
        __atomic_store_n(&guest->is_done, true, __ATOMIC_SEQ_CST);
}

static void guest_on_go(void *opaque)
{
    guest_work(opaque);
}

static const BlockChannelOps channel_ops = { .ready = guest_on_go };

static void guest_init(Guest *guest, BlockUse *use, Loop *loop)
{
    *guest = (Guest) {
        .loop = loop, .granularity = 512, .n_limit = N_OPS,
        .rand = g_rand_new_with_seed(7),
    };
    guest->model = g_malloc0(N_BLOCKS * BLOCK);
    guest->memory = aligned_alloc(BLOCK, DEPTH * BLOCK);
    loop_message_init(&guest->go, guest_on_go, guest);
    guest->channel = block_channel_new(use, loop, DEPTH / 2, &channel_ops, guest, NULL);
    g_assert_nonnull(guest->channel);
}

static void guest_done(Guest *guest)
{
    block_channel_free(guest->channel);
    g_rand_free(guest->rand);
    g_free(guest->model);
    free(guest->memory);
}

typedef struct Case {
    const char *name;
    const char *options;        /* after the file's name */
    const char *above;          /* a node on top, or NULL */
} Case;

static const Case cases[] = {
    { "threads", "", NULL },
    { "direct-threads", ",'cache':{'direct':true}", NULL },
    { "native", ",'cache':{'direct':true},'aio':'native'", NULL },
    { "raw", ",'cache':{'direct':true},'aio':'native'",
      "{'driver':'raw','node-name':'top','file':'f'}" },
    { "detect-zeroes",
      ",'cache':{'direct':true},'aio':'native','detect-zeroes':'unmap'", NULL },
    { "discard-ignored", ",'cache':{'direct':true},'aio':'native'",
      "{'driver':'raw','node-name':'top','file':'f','discard':'ignore'}" },
    { "raw-part", ",'cache':{'direct':true},'aio':'native'",
      "{'driver':'raw','node-name':'top','file':'f','offset':0,'size':262144}" },
};

static BlockNode *add_case(Fixture *f, const Case *c)
{
    BlockNode *node = try_add(f, NULL, "{'driver':'file','node-name':'f',"
                              "'filename':'%s','discard':'unmap'%s}", f->path,
                              c->options);

    g_assert_nonnull(node);
    return c->above ? try_add(f, NULL, "%s", c->above) : node;
}

static BlockUse *use_it(BlockNode *node)
{
    BlockUse *use = block_use_new(node, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                                  BLOCK_PERM_ALL & ~BLOCK_PERM_WRITE, &use_ops, "guest",
                                  NULL);

    g_assert_nonnull(use);
    return use;
}

static void check_file(const Fixture *f, const Guest *guest)
{
    g_autofree char *contents = NULL;
    gsize size;

    g_assert_true(g_file_get_contents(f->path, &contents, &size, NULL));
    g_assert_cmpmem(contents, size, guest->model, N_BLOCKS * BLOCK);
}

static void test_requests(Fixture *f, const void *data)
{
    Guest guest;
    BlockUse *use = use_it(add_case(f, data));

    guest_init(&guest, use, f->loop);
    loop_post(f->loop, &guest.go);
    while (!guest.is_done)
        loop_turn(f->loop, true);

    check_file(f, &guest);
    guest_done(&guest);
    block_use_free(use);
}

static void test_requests_of_a_thread_and_quiescence(Fixture *f, const void *data)
{
    g_autoptr(Iothread) iothread = iothread_new("disk", NULL);
    BlockNode *node = add_case(f, data);
    BlockUse *use = use_it(node);
    unsigned n_quiet = 0;
    Guest guest;

    guest_init(&guest, use, iothread_loop(iothread));
    loop_post(guest.loop, &guest.go);
    while (!__atomic_load_n(&guest.is_done, __ATOMIC_SEQ_CST)) {
        BlockQuiesce *outer, *inner;

        outer = block_quiesce_begin(node, NULL, NULL);
        inner = block_quiesce_begin(node, NULL, NULL);
        block_quiesce_end(outer);
        while (!block_quiesce_is_quiet(inner))
            loop_turn(f->loop, true);
        g_assert_cmpuint(block_channel_in_flight(guest.channel), ==, 0);
        g_assert_true(block_quiesce_rebuild(inner, NULL));
        block_quiesce_end(inner);
        n_quiet++;
    }

    check_file(f, &guest);
    g_assert_cmpuint(n_quiet, >, 0);
    guest_done(&guest);
    block_use_free(use);
}

static void on_flag(void *opaque)
{
    *(bool *)opaque = true;
}

static void test_quiet_without_channels(Fixture *f, const void *unused)
{
    BlockNode *node = try_add(f, NULL, "{'driver':'null-co','node-name':'n'}");
    g_autoptr(BlockQuiesce) quiesce = NULL;
    bool is_quiet = false;

    quiesce = block_quiesce_begin(node, on_flag, &is_quiet);
    g_assert_false(is_quiet);
    loop_turn(f->loop, true);

    g_assert_true(is_quiet);
}

static void test_beyond_the_end(Fixture *f, const void *unused)
{
    BlockNode *node =
        try_add(f, NULL, "{'driver':'null-co','node-name':'n','size':4096}");
    uint8_t data[512];

    g_assert_cmpint(block_io_read(node, 4096 - 512, data, 512), ==, 0);
    g_assert_cmpint(block_io_read(node, 4096, data, 512), ==, -EINVAL);
    g_assert_cmpint(block_io_read(node, UINT64_MAX - 100, data, 512), ==, -EINVAL);
}

static void test_end_of_a_file_within_a_sector(Fixture *f, const void *unused)
{
    uint8_t data[1024];
    BlockNode *node;

    g_assert_cmpint(truncate(f->path, 700), ==, 0);
    node = try_add(f, NULL, "{'driver':'file','node-name':'f','filename':'%s'}", f->path);
    memset(data, 0xee, sizeof(data));

    g_assert_cmpuint(block_node_size(node), ==, 1024);
    g_assert_cmpint(block_io_read(node, 0, data, 1024), ==, 0);
    g_assert_cmpint(data[699], ==, 0);
    g_assert_cmpint(data[1023], ==, 0);
}

/* What a written zero and a discard leave in the file. */
static void test_zeroes_and_discards_by_option(Fixture *f, const void *unused)
{
    static const struct {
        const char *options;
        bool zeroes_free;
        bool discard_frees;
    } rows[] = {
        { "'discard':'ignore'", false, false },
        { "'discard':'unmap'", false, true },
        { "'discard':'ignore','detect-zeroes':'unmap'", false, false },
        { "'discard':'unmap','detect-zeroes':'on'", false, true },
        { "'discard':'unmap','detect-zeroes':'unmap'", true, true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const BlockIo discard = { .op = BLOCK_OP_DISCARD, .offset = 0, .bytes = BLOCK };
        g_autofree uint8_t *data = g_malloc(2 * BLOCK);
        BlockMap map;
        BlockNode *node = try_add(f, NULL, "{'driver':'file','node-name':'f',"
                                  "'filename':'%s',%s}", f->path, rows[i].options);

        memset(data, 0xaa, 2 * BLOCK);
        g_assert_cmpint(block_io_write(node, 0, data, 2 * BLOCK, 0), ==, 0);
        memset(data, 0, BLOCK);
        g_assert_cmpint(block_io_write(node, BLOCK, data, BLOCK, 0), ==, 0);
        g_assert_cmpint(block_io(node, &discard), ==, 0);
        g_assert_cmpint(block_io_flush(node), ==, 0);

        g_assert_cmpint(node->driver->map(node, BLOCK, BLOCK, &map), ==, 0);
        g_assert_true((map.kind == BLOCK_MAP_ZERO) == rows[i].zeroes_free);
        g_assert_cmpint(node->driver->map(node, 0, BLOCK, &map), ==, 0);
        g_assert_true((map.kind == BLOCK_MAP_ZERO) == rows[i].discard_frees);
        g_assert_true(block_graph_del(f->graph, "f", NULL));
    }
}

static void test_resize(Fixture *f, const void *unused)
{
    BlockNode *node = try_add(f, NULL, "{'driver':'raw','node-name':'r','file':{"
                              "'driver':'file','filename':'%s'}}", f->path);
    GError *error = NULL;

    g_assert_true(block_node_resize(node, 1024 * 1024, PREALLOC_MODE_FALLOC, NULL));
    g_assert_cmpuint(block_node_size(node), ==, 1024 * 1024);
    g_assert_true(block_node_resize(node, 4096, PREALLOC_MODE_OFF, NULL));
    g_assert_cmpuint(block_node_size(block_node_storage(node)), ==, 4096);
    g_assert_false(block_node_resize(node, 8192, PREALLOC_MODE_METADATA, &error));
    assert_error(error, "preallocation");
    g_assert_cmpuint(block_node_size(node), ==, 4096);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
#define ADD(path, data, fn) g_test_add(path, Fixture, data, set_up, fn, tear_down)
    ADD("/block/definitions-inside-others", NULL, test_definitions_inside_others);
    ADD("/block/a-failure-leaves-the-graph-as-it-was", NULL,
        test_a_failure_leaves_the_graph_as_it_was);
    ADD("/block/users-that-contradict", NULL, test_users_that_contradict);
    ADD("/block/read-only-node-has-no-writer", NULL, test_read_only_node_has_no_writer);
    ADD("/block/locks-of-files", NULL, test_locks_of_files);
    ADD("/block/quiet-without-channels", NULL, test_quiet_without_channels);
    ADD("/block/beyond-the-end", NULL, test_beyond_the_end);
    ADD("/block/end-of-a-file-within-a-sector", NULL, test_end_of_a_file_within_a_sector);
    ADD("/block/zeroes-and-discards-by-option", NULL, test_zeroes_and_discards_by_option);
    ADD("/block/resize", NULL, test_resize);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *plain = g_strconcat("/block/requests/", cases[i].name, NULL);
        g_autofree char *thread = g_strconcat("/block/quiescence/", cases[i].name, NULL);

        ADD(plain, &cases[i], test_requests);
        ADD(thread, &cases[i], test_requests_of_a_thread_and_quiescence);
    }
    return g_test_run();
}
