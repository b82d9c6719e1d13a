/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2: images that grow as they are written.
 *
 * This is the driver's table; docs/qcow2.md says what is in which file.
 */
#include <errno.h>

#include "block-reopen.h"
#include "qcow2-clusters.h"
#include "qcow2-data.h"
#include "qcow2-snapshot.h"

static int flush(Qcow2 *q)
{
    int ret;

    if (q->node.read_only)
        return 0;
    lock_take_long(&q->lock);
    ret = qcow2_flush(q);
    lock_drop_long(&q->lock);
    return ret;
}

static int qcow2_io(BlockNode *node, const BlockIo *io)
{
    const Qcow2Piece all = { io->iov, io->n_iov, 0, io->bytes };
    Qcow2 *q = qcow2_of(node);
    int ret = -EINVAL;

    switch (io->op) {
    case BLOCK_OP_READ:
        return qcow2_read(q, io->offset, &all);
    case BLOCK_OP_WRITE:
        ret = qcow2_write(q, io->offset, &all);
        break;
    case BLOCK_OP_FLUSH:
        return flush(q);
    case BLOCK_OP_DISCARD:
        return qcow2_clear_discard(q, io->offset, io->bytes);
    case BLOCK_OP_ZERO:
        ret = qcow2_clear_zero(q, io->offset, io->bytes, io->flags & BLOCK_MAY_UNMAP);
        break;
    case BLOCK_OP__MAX:
        break;
    }
    return ret == 0 && io->flags & BLOCK_FUA ? flush(q) : ret;
}

static void qcow2_discard_changed(BlockNode *node)
{
    qcow2_options_set_discards(qcow2_of(node));
}

static void qcow2_rejoin(BlockNode *node)
{
    qcow2_open_set_limits(qcow2_of(node));
}

static const BlockChild qcow2_children[] = {
    { BLOCK_ROLE_STORAGE, offsetof(BlockdevOptions, u.qcow2.file) },
    { BLOCK_ROLE_DATA, offsetof(BlockdevOptions, u.qcow2.data_file) },
    { BLOCK_ROLE_BACKING, offsetof(BlockdevOptions, u.qcow2.backing) },
    { 0 }
};

const BlockDriver qcow2_driver = {
    .name = "qcow2",
    .instance_size = sizeof(Qcow2),
    .children = qcow2_children,
    .prepare = qcow2_open_prepare,
    .open = qcow2_open_image,
    .begin = qcow2_open_begin,
    .close = qcow2_open_close,
    .io = qcow2_io,
    .ctx_size = sizeof(Qcow2Ctx),
    .queue_size = sizeof(Qcow2Queue),
    .attach = qcow2_submit_attach,
    .detach = qcow2_submit_detach,
    .submit = qcow2_submit,
    .cancel = qcow2_submit_cancel,
    .map = qcow2_read_map,
    .resize = qcow2_resize,
    .tell = qcow2_tidy_tell,
    .retire = qcow2_tidy_retire,
    .discard_changed = qcow2_discard_changed,
    .reopen = &qcow2_reopen_ops,
    .rejoin = qcow2_rejoin,
    .change_backing = qcow2_backing_change,
    .snapshot_create = qcow2_snapshot_create,
    .snapshot_delete = qcow2_snapshot_delete,
    .describe = qcow2_info_describe,
    .memory = qcow2_info_memory,
};
