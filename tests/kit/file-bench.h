/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of zeroes with a node "f" on it, and requests to that which a test waits for.
 */
#pragma once

#include "berth/block-driver.h"

typedef struct FileBench {
    Loop *loop;
    BlockGraph *graph;
    BlockNode *node;
    BlockUse *use;
    char *path;
} FileBench;

/* @options: of the node, beside its file, "'aio':'threads'". */
void file_bench_init(FileBench *f, uint64_t size, const char *options);
void file_bench_done(FileBench *f);
/* For four requests of @loop. */
BlockChannel *file_bench_channel(const FileBench *f, Loop *loop);

typedef struct FileBenchOp {
    struct iovec iov;
    bool is_done;               /* atomic */
} FileBenchOp;

/* Submits @io, of which a read's or a write's bytes are at @data; it has to go well. */
void file_bench_submit(BlockChannel *channel, const BlockIo *io, void *data,
                       FileBenchOp *op);
bool file_bench_is_done(const FileBenchOp *op);
