/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null-co: a disk of any size that forgets what is written, for measurements of all that
 * is above it.
 */
#include <errno.h>
#include <time.h>

#include "berth/block-driver.h"
#include "berth/error.h"
#include "berth/iov.h"
#include "berth/timer.h"

typedef struct Null {
    BlockNode node;
    int64_t latency_ns;
    bool read_zeroes;
} Null;

typedef struct NullCtx {
    Timer timer;
} NullCtx;

static Null *to_null(BlockNode *node)
{
    return CONTAINER_OF(node, Null, node);
}

static bool null_co_open(BlockNode *node, GError **error)
{
    const BlockdevOptionsNull *options = &node->options->u.null_co;

    if (options->size > INT64_MAX || options->latency_ns > INT64_MAX) {
        error_set(error, "parameter '%s' is too large",
                  options->size > INT64_MAX ? "size" : "latency-ns");
        return false;
    }
    to_null(node)->latency_ns = (int64_t)options->latency_ns;
    to_null(node)->read_zeroes = options->read_zeroes;
    block_node_set_size(node, options->size);
    return true;
}

static void answer(const Null *null, BlockOp op, const struct iovec *iov, unsigned n_iov,
                   uint64_t bytes)
{
    if (op == BLOCK_OP_READ && null->read_zeroes)
        iov_zero(iov, n_iov, 0, bytes);
}

static int null_co_io(BlockNode *node, const BlockIo *io)
{
    const Null *null = to_null(node);
    struct timespec latency = {
        .tv_sec = null->latency_ns / NS_PER_SEC, .tv_nsec = null->latency_ns % NS_PER_SEC,
    };

    if (null->latency_ns > 0)
        nanosleep(&latency, NULL);
    answer(null, io->op, io->iov, io->n_iov, io->bytes);
    return 0;
}

static void on_timer(void *opaque)
{
    block_req_complete(opaque, 0);
}

static void null_co_submit(BlockReq *req)
{
    const Null *null = to_null(req->queue->node);
    NullCtx *ctx = block_req_ctx(req);

    answer(null, req->io.op, req->io.iov, req->io.n_iov, req->io.bytes);
    if (null->latency_ns == 0) {
        block_req_complete(req, 0);
        return;
    }
    timer_init(&ctx->timer, req->queue->loop, on_timer, req);
    timer_set(&ctx->timer, loop_clock_ns() + null->latency_ns);
}

static char *null_co_filename(const BlockNode *node)
{
    return g_strdup("null-co://");
}

const BlockDriver null_co_driver = {
    .name = "null-co",
    .instance_size = sizeof(Null),
    .open = null_co_open,
    .io = null_co_io,
    .ctx_size = sizeof(NullCtx),
    .submit = null_co_submit,
    .filename = null_co_filename,
};
