/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other options for an image that is open.
 *
 * Whatever changes, what is in memory is written first: then tables may be forgotten, and
 * an image that is to be read only is as one that was closed.
 */
#include "berth/error.h"
#include "berth/log.h"

#include "block-reopen.h"
#include "qcow2-clusters.h"
#include "qcow2-image.h"

static const char *const options[] = {
    "lazy-refcounts", "pass-discard-request", "pass-discard-snapshot",
    "pass-discard-other", "overlap-check", "cache-size", "l2-cache-size",
    "l2-cache-entry-size", "refcount-cache-size", "cache-clean-interval", NULL,
};

/* An image that is written already; what guards its tables may be another. */
static bool guard(Qcow2 *q, GError **error)
{
    bool ok = true;

    lock_take_long(&q->lock);
    if (q->guarded != qcow2_options_guarded(q->options)) {
        q->guarded = qcow2_options_guarded(q->options);
        ok = qcow2_overlap_build(q, error);
    }
    lock_drop_long(&q->lock);
    return ok;
}

/* Makes it as its options say, from being written or not to being written or not. */
static bool settle(Qcow2 *q, bool from_writable, bool to_writable, GError **error)
{
    int ret = from_writable ? qcow2_open_save(q) : 0;
    bool ok;

    if (ret < 0) {
        error_set_errno(error, -ret, "cannot write what the image has in memory");
        return false;
    }
    lock_take_long(&q->lock);
    ok = qcow2_options_make_caches(q, error);
    lock_drop_long(&q->lock);
    if (ok && to_writable)
        ok = from_writable ? guard(q, error) : qcow2_open_make_writable(q, error);
    q->is_lazy = qcow2_open_is_lazy(q);
    return ok;
}

static bool apply(BlockReopen *reopen, GError **error)
{
    Qcow2 *q = qcow2_of(reopen->node);

    return qcow2_open_check(q, &reopen->read_only, error) &&
        settle(q, !reopen->was_read_only, !reopen->read_only, error);
}

static void undo(BlockReopen *reopen)
{
    Qcow2 *q = qcow2_of(reopen->node);
    bool writable = !reopen->was_read_only;
    g_autoptr(GError) error = NULL;

    if (!settle(q, writable || !reopen->read_only, writable, &error))
        log_error("node '%s': %s", block_node_name(&q->node), error->message);
}

const BlockReopenOps qcow2_reopen_ops = {
    .options = options, .apply = apply, .undo = undo,
};
