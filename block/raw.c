/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: an image without a format, or a part of one from an offset.
 *
 * Without an offset and a size it changes nothing, and channels pass it by.
 */
#include <errno.h>

#include "berth/error.h"

#include "block-reopen.h"

typedef struct Raw {
    BlockNode node;
    BlockNode *file;
    uint64_t offset;
    bool has_size;              /* does not follow the file's */
} Raw;

static Raw *to_raw(BlockNode *node)
{
    return CONTAINER_OF(node, Raw, node);
}

/* What the options say lies within the file, in whole blocks. */
static bool check(const Raw *raw, GError **error)
{
    const BlockdevOptionsRaw *options = &raw->node.options->u.raw;
    uint32_t alignment = block_node_limits(raw->file)->request_alignment;
    uint64_t file_size = block_node_size(raw->file);

    if (options->offset > file_size) {
        error_set(error, "parameter 'offset': %" PRIu64 " is beyond the end of '%s', "
                  "which has %" PRIu64 " bytes", options->offset,
                  block_node_name(raw->file), file_size);
        return false;
    }
    if (options->has_size && options->size > file_size - options->offset) {
        error_set(error, "parameter 'size': %" PRIu64 " bytes from %" PRIu64 " are more "
                  "than '%s' has, %" PRIu64, options->size, options->offset,
                  block_node_name(raw->file), file_size);
        return false;
    }
    if (options->offset % alignment || options->size % alignment) {
        error_set(error, "parameters 'offset' and 'size' of '%s' expect multiples of %u",
                  block_node_name(raw->file), alignment);
        return false;
    }
    return true;
}

static void take_options(Raw *raw)
{
    const BlockdevOptionsRaw *options = &raw->node.options->u.raw;
    uint64_t file_size = block_node_size(raw->file);

    raw->offset = options->offset;
    raw->has_size = options->has_size;
    block_node_set_size(&raw->node, raw->has_size
                        ? options->size : file_size - MIN(raw->offset, file_size));
    raw->node.is_transparent = raw->offset == 0 && !raw->has_size;
}

static bool raw_open(BlockNode *node, GError **error)
{
    Raw *raw = to_raw(node);

    raw->file = block_node_child(node, BLOCK_ROLE_FILTERED);
    node->limits = *block_node_limits(raw->file);
    if (!check(raw, error))
        return false;
    take_options(raw);
    return true;
}

static bool prepare_reopen(BlockReopen *reopen, GError **error)
{
    return check(to_raw(reopen->node), error);
}

static void enter_reopen(BlockReopen *reopen)
{
    take_options(to_raw(reopen->node));
}

static const char *const reopen_options[] = { "offset", "size", NULL };

static const BlockReopenOps raw_reopen_ops = {
    .options = reopen_options,
    .prepare = prepare_reopen,
    .enter = enter_reopen,
    .leave = enter_reopen,
};

static int raw_io(BlockNode *node, const BlockIo *io)
{
    BlockIo below = *io;

    below.offset += to_raw(node)->offset;
    return block_io(to_raw(node)->file, &below);
}

static void raw_on_done(BlockReq *below, int ret)
{
    block_req_complete(below->opaque, ret);
}

static void raw_submit(BlockReq *req)
{
    BlockReq *below =
        block_req_below(req, block_queue_child(req->queue, BLOCK_ROLE_FILTERED));

    below->io = req->io;
    below->io.offset += to_raw(req->queue->node)->offset;
    below->done = raw_on_done;
    below->opaque = req;
    block_req_submit(below);
}

static int raw_map(BlockNode *node, uint64_t offset, uint64_t bytes, BlockMap *ret_map)
{
    *ret_map = (BlockMap) {
        .kind = BLOCK_MAP_FILTERED,
        .bytes = bytes,
        .has_offset = true,
        .child_offset = to_raw(node)->offset + offset,
    };
    return 0;
}

static bool raw_resize(BlockNode *node, uint64_t size, PreallocMode prealloc,
                       GError **error)
{
    Raw *raw = to_raw(node);

    if (raw->has_size) {
        error_set(error, "node '%s' has a fixed size", block_node_name(node));
        return false;
    }
    if (size > INT64_MAX - raw->offset) {
        error_set(error, "parameter 'size' is too large");
        return false;
    }
    if (!block_node_resize(raw->file, raw->offset + size, prealloc, error))
        return false;
    block_node_set_size(node, size);
    return true;
}

static void raw_follow(BlockNode *node)
{
    const Raw *raw = to_raw(node);
    uint64_t file_size = block_node_size(raw->file);

    if (!raw->has_size)
        block_node_set_size(node, file_size - MIN(raw->offset, file_size));
}

static void raw_rejoin(BlockNode *node)
{
    to_raw(node)->file = block_node_child(node, BLOCK_ROLE_FILTERED);
    node->limits = *block_node_limits(to_raw(node)->file);
}

static const BlockChild raw_children[] = {
    { BLOCK_ROLE_FILTERED, offsetof(BlockdevOptions, u.raw.file) },
    { 0 }
};

const BlockDriver raw_driver = {
    .name = "raw",
    .instance_size = sizeof(Raw),
    .is_filter = true,
    .children = raw_children,
    .open = raw_open,
    .io = raw_io,
    .submit = raw_submit,
    .map = raw_map,
    .resize = raw_resize,
    .follow = raw_follow,
    .rejoin = raw_rejoin,
    .reopen = &raw_reopen_ops,
};
