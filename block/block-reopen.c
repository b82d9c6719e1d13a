/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-reopen: how it is done, all or nothing.
 *
 * First, everybody has the permissions and locks that he needs before, meanwhile or
 * afterwards: a node that is to be written, or was, may be.  Then the nodes get their
 * options one by one.  Only when all have them, edges lead elsewhere, and what is needed
 * no more is given up: until then everything can be put back.
 */
#include "berth/error.h"

#include "block-overlay.h"
#include "block-reopen-private.h"

static const BlockReopenOps *ops_of(const BlockReopenNode *node)
{
    static const BlockReopenOps none;

    return node->reopen.node->driver->reopen ? node->reopen.node->driver->reopen : &none;
}

void block_reopen_end(BlockReopenAll *all)
{
    block_quiesce_end(all->quiesce);
    block_hold_end(&all->hold);
    block_reopen_edges_free(all);
    block_task_end(&all->task);
    g_ptr_array_unref(all->nodes);
    all->answer(all->reply, all->error);
    g_free(all);
}

/* The other way round the second time. */
static void swap_options(BlockReopenAll *all)
{
    for (guint i = 0; i < all->nodes->len; i++) {
        BlockReopenNode *one = block_reopen_node(all, i);
        BlockNode *node = one->reopen.node;
        BlockdevOptions options = *node->options;

        /* In their place, for drivers point to theirs. */
        *node->options = *one->options;
        *one->options = options;
        if (node->driver->discard_changed)
            node->driver->discard_changed(node);
    }
}

/* The first of them is handled first: those above, and those that will only read. */
static gint compare(gconstpointer a, gconstpointer b)
{
    const BlockReopenNode *one = *(BlockReopenNode *const *)a;
    const BlockReopenNode *other = *(BlockReopenNode *const *)b;
    gint above = one->reopen.node->weight < other->reopen.node->weight ? 1 : -1;

    if (one->reopen.read_only != other->reopen.read_only)
        return one->reopen.read_only ? -1 : 1;
    return one->reopen.read_only ? above : -above;
}

static void on_close(void *opaque)
{
    BlockReopenAll *all = opaque;

    for (guint i = 0; i < all->nodes->len; i++) {
        BlockReopenNode *node = block_reopen_node(all, i);

        if (ops_of(node)->close)
            ops_of(node)->close(&node->reopen);
    }
}

static void on_closed(void *opaque)
{
    block_reopen_end(opaque);
}

static void close_all(BlockReopenAll *all)
{
    all->stage = BLOCK_REOPEN_CLOSE;
    block_task_run(&all->task, on_close, on_closed, all);
}

/* Those above, which may have other limits now. */
static void tell_limits(const BlockNode *node)
{
    LIST_FOREACH(at, &node->parents) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);

        if (!link->parent || !link->parent->driver->rejoin ||
            link->role == BLOCK_ROLE_BACKING)
            continue;
        link->parent->driver->rejoin(link->parent);
        tell_limits(link->parent);
    }
}

/* What it was before, at the end of what is undone. */
static void forget(BlockReopenAll *all)
{
    for (guint i = 0; i < all->nodes->len; i++) {
        BlockReopen *reopen = &block_reopen_node(all, i)->reopen;

        reopen->node->read_only = reopen->was_read_only;
        tell_limits(reopen->node);
    }
    block_perm_update(all->task.graph, NULL);
    close_all(all);
}

static void undo_next(BlockReopenAll *all);

static void on_undo(void *opaque)
{
    BlockReopenAll *all = opaque;
    BlockReopenNode *node = block_reopen_node(all, all->at - 1);

    node->is_applied = false;
    if (ops_of(node)->undo)
        ops_of(node)->undo(&node->reopen);
}

static void on_undone(void *opaque)
{
    undo_next(opaque);
}

static void undo_next(BlockReopenAll *all)
{
    BlockReopenNode *node;

    while (all->at > 0 && !block_reopen_node(all, all->at - 1)->is_applied)
        all->at--;
    if (all->at == 0) {
        forget(all);
        return;
    }
    node = block_reopen_node(all, all->at - 1);
    if (node->is_entered && ops_of(node)->leave)
        ops_of(node)->leave(&node->reopen);
    node->is_entered = false;
    block_task_run(&all->task, on_undo, on_undone, all);
}

static void undo(BlockReopenAll *all)
{
    all->stage = BLOCK_REOPEN_UNDO;
    all->at = all->nodes->len;
    swap_options(all);
    undo_next(all);
}

static void keep(BlockReopenAll *all)
{
    block_reopen_edges_keep(all);
    for (guint i = 0; i < all->nodes->len; i++) {
        const BlockReopenNode *node = block_reopen_node(all, i);

        if (block_node_size(node->reopen.node) != node->size)
            block_hold_tell_size(node->reopen.node);
    }
    close_all(all);
}

static void set_read_only(BlockReopenAll *all, bool is_final)
{
    for (guint i = 0; i < all->nodes->len; i++) {
        BlockReopen *reopen = &block_reopen_node(all, i)->reopen;

        reopen->node->read_only =
            reopen->read_only && (is_final || reopen->was_read_only);
    }
}

static void finish(BlockReopenAll *all)
{
    set_read_only(all, true);
    for (guint i = 0; i < all->nodes->len; i++)
        tell_limits(block_reopen_node(all, i)->reopen.node);
    if (block_reopen_edges_change(all, &all->error) &&
        block_perm_update(all->task.graph, &all->error) &&
        block_quiesce_rebuild(all->quiesce, &all->error)) {
        keep(all);
        return;
    }
    block_reopen_edges_put_back(all);
    set_read_only(all, false);
    block_perm_update(all->task.graph, NULL);
    undo(all);
}

static void apply_next(BlockReopenAll *all);

static void on_apply(void *opaque)
{
    BlockReopenAll *all = opaque;
    BlockReopenNode *node = block_reopen_node(all, all->at);

    node->is_applied = true;
    if (ops_of(node)->apply && !ops_of(node)->apply(&node->reopen, &all->error))
        g_prefix_error(&all->error, "node '%s': ", node->reopen.node->name);
}

static void on_applied(void *opaque)
{
    BlockReopenAll *all = opaque;
    BlockReopenNode *node = block_reopen_node(all, all->at);

    if (all->error) {
        undo(all);
        return;
    }
    node->is_entered = true;
    /* What fell back to reading only is found so by those above. */
    node->reopen.node->read_only =
        node->reopen.read_only && node->reopen.was_read_only;
    if (ops_of(node)->enter)
        ops_of(node)->enter(&node->reopen);
    all->at++;
    apply_next(all);
}

static void apply_next(BlockReopenAll *all)
{
    if (all->at == all->nodes->len) {
        finish(all);
    } else if (ops_of(block_reopen_node(all, all->at))->apply) {
        block_task_run(&all->task, on_apply, on_applied, all);
    } else {
        on_apply(all);
        on_applied(all);
    }
}

static bool prepare(BlockReopenAll *all)
{
    for (guint i = 0; i < all->nodes->len; i++) {
        BlockReopenNode *node = block_reopen_node(all, i);

        if (ops_of(node)->prepare &&
            !ops_of(node)->prepare(&node->reopen, &all->error)) {
            g_prefix_error(&all->error, "node '%s': ", node->reopen.node->name);
            return false;
        }
    }
    return true;
}

static void on_quiet(void *opaque)
{
    BlockReopenAll *all = opaque;

    g_ptr_array_sort(all->nodes, compare);
    for (guint i = 0; i < all->nodes->len; i++) {
        BlockReopenNode *node = block_reopen_node(all, i);

        node->reopen.was_read_only = node->reopen.node->read_only;
        node->size = block_node_size(node->reopen.node);
    }
    all->stage = BLOCK_REOPEN_APPLY;
    swap_options(all);
    set_read_only(all, false);
    if (prepare(all) && block_perm_update(all->task.graph, &all->error))
        apply_next(all);
    else
        undo(all);
}

/* The graph goes: what there was to do on a worker is done from here. */
void block_reopen_cancel(BlockReopenAll *all)
{
    if (all->stage == BLOCK_REOPEN_CLOSE) {
        close_all(all);
        return;
    }
    g_clear_error(&all->error);
    error_set(&all->error, "the machine ends");
    if (all->stage == BLOCK_REOPEN_WAIT)
        block_reopen_end(all);
    else if (all->stage == BLOCK_REOPEN_APPLY)
        undo(all);
    else
        undo_next(all);
}

void block_reopen_run(BlockReopenAll *all)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();

    for (guint i = 0; i < all->nodes->len; i++)
        g_ptr_array_add(nodes, block_reopen_node(all, i)->reopen.node);
    if (nodes->len == 0) {
        block_reopen_end(all);
        return;
    }
    all->quiesce = block_quiesce_begin_all((BlockNode *const *)nodes->pdata, nodes->len,
                                           on_quiet, all);
}
