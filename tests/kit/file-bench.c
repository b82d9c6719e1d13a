/* SPDX-License-Identifier: Apache-2.0 */
#include <glib/gstdio.h>
#include <unistd.h>

#include "file-bench.h"

static char *describe(void *opaque)
{
    return g_strdup("test");
}

static const BlockUseOps use_ops = { .describe = describe };

static void on_ready(void *opaque)
{
}

static const BlockChannelOps channel_ops = { .ready = on_ready };

void file_bench_init(FileBench *f, uint64_t size, const char *options)
{
    g_autoptr(BlockdevOptions) parsed = NULL;
    g_autofree char *text = NULL;
    int fd;

    f->loop = loop_new("main", THREAD_MAIN, NULL);
    f->graph = block_graph_new(f->loop);
    f->path = g_strdup("build/test-file-XXXXXX");
    fd = g_mkstemp(f->path);
    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    close(fd);
    text = g_strdup_printf("{'driver':'file','node-name':'f','filename':'%s',%s}",
                           f->path, options);
    parsed = qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, text, NULL);
    f->node = block_graph_add(f->graph, parsed, NULL);
    g_assert_nonnull(f->node);
    f->use = block_use_new(f->node, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                           BLOCK_PERM_ALL, &use_ops, NULL, NULL);
}

void file_bench_done(FileBench *f)
{
    block_use_free(f->use);
    block_graph_free(f->graph);
    loop_free(f->loop);
    g_unlink(f->path);
    g_free(f->path);
}

BlockChannel *file_bench_channel(const FileBench *f, Loop *loop)
{
    return block_channel_new(f->use, loop, 4, &channel_ops, NULL, NULL);
}

static void on_done(BlockReq *req, int ret)
{
    FileBenchOp *op = req->opaque;

    g_assert_cmpint(ret, ==, 0);
    __atomic_store_n(&op->is_done, true, __ATOMIC_SEQ_CST);
}

void file_bench_submit(BlockChannel *channel, const BlockIo *io, void *data,
                       FileBenchOp *op)
{
    BlockReq *req = block_channel_get(channel);

    op->iov = (struct iovec) { data, io->bytes };
    req->io = *io;
    if (io->op == BLOCK_OP_READ || io->op == BLOCK_OP_WRITE) {
        req->io.iov = &op->iov;
        req->io.n_iov = 1;
    }
    req->done = on_done;
    req->opaque = op;
    block_channel_submit(channel, req);
}

bool file_bench_is_done(const FileBenchOp *op)
{
    return __atomic_load_n(&op->is_done, __ATOMIC_SEQ_CST);
}
