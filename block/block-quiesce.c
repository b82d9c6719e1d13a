/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the channels above a node quiet.
 *
 * Which channels those are is found once, at the beginning, by walking up to the users.
 * Each has a count of those who want it quiet; main changes it and tells the channel's
 * loop, and the loop tells main when nothing is in flight.  Both are messages: nobody
 * waits.
 */
#include "berth/error.h"
#include "berth/thread.h"

#include "berth/block-quiesce.h"

#include "block-private.h"

struct BlockQuiesce {
    Loop *loop;
    GPtrArray *channels;        /* of BlockChannel, lent */
    ListNode node;              /* in BlockGraph.quiesces */
    LoopMessage tell;
    LoopFn *fn;                 /* NULL when it was called */
    void *opaque;
};

bool block_quiesce_is_quiet(const BlockQuiesce *quiesce)
{
    for (guint i = 0; i < quiesce->channels->len; i++) {
        const BlockChannel *channel = g_ptr_array_index(quiesce->channels, i);

        if (!channel->is_quiet)
            return false;
    }
    return true;
}

static void check(BlockQuiesce *quiesce)
{
    if (quiesce->fn && block_quiesce_is_quiet(quiesce))
        loop_post(quiesce->loop, &quiesce->tell);
}

static void on_tell(void *opaque)
{
    BlockQuiesce *quiesce = opaque;
    LoopFn *fn = g_steal_pointer(&quiesce->fn);

    if (fn)
        fn(quiesce->opaque);
}

static void on_quiet(void *opaque)
{
    BlockChannel *channel = opaque;
    BlockGraph *graph = channel->use->link.child->graph;

    /* Of an earlier wish: the gate may have been open since. */
    if (__atomic_load_n(&channel->quiet_wish, __ATOMIC_ACQUIRE) != channel->wish ||
        channel->n_quiesced == 0)
        return;
    channel->is_quiet = true;
    LIST_FOREACH(at, &graph->quiesces) {
        check(CONTAINER_OF(at, BlockQuiesce, node));
    }
}

void block_quiesce_init_channel(BlockChannel *channel)
{
    loop_message_init(&channel->quiet, on_quiet, channel);
}

void block_quiesce_forget_channel(BlockChannel *channel)
{
    BlockGraph *graph = channel->use->link.child->graph;

    loop_message_cancel(graph->loop, &channel->quiet);
    LIST_FOREACH(at, &graph->quiesces) {
        BlockQuiesce *quiesce = CONTAINER_OF(at, BlockQuiesce, node);

        if (g_ptr_array_remove_fast(quiesce->channels, channel))
            check(quiesce);
    }
}

static void collect(BlockNode *node, GPtrArray *channels)
{
    LIST_FOREACH(at, &node->parents) {
        BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);

        if (link->role != BLOCK_ROLE_USE) {
            collect(link->parent, channels);
            continue;
        }
        LIST_FOREACH(entry, &link->use->channels) {
            BlockChannel *channel = CONTAINER_OF(entry, BlockChannel, use_node);

            if (!g_ptr_array_find(channels, channel, NULL))
                g_ptr_array_add(channels, channel);
        }
    }
}

static void change(BlockChannel *channel, int by)
{
    if (__atomic_add_fetch(&channel->n_quiesced, by, __ATOMIC_RELAXED) == 0)
        channel->is_quiet = false;
    __atomic_add_fetch(&channel->wish, 1, __ATOMIC_RELEASE);
    loop_post(channel->loop, &channel->gate);
}

BlockQuiesce *block_quiesce_begin_all(BlockNode *const *nodes, size_t n, LoopFn *fn,
                                      void *opaque)
{
    BlockGraph *graph = nodes[0]->graph;
    BlockQuiesce *quiesce = g_new0(BlockQuiesce, 1);

    assert_main();
    quiesce->loop = graph->loop;
    quiesce->channels = g_ptr_array_new();
    quiesce->fn = fn;
    quiesce->opaque = opaque;
    loop_message_init(&quiesce->tell, on_tell, quiesce);
    list_append(&graph->quiesces, &quiesce->node);
    for (size_t i = 0; i < n; i++)
        collect(nodes[i], quiesce->channels);
    for (guint i = 0; i < quiesce->channels->len; i++)
        change(g_ptr_array_index(quiesce->channels, i), 1);
    check(quiesce);
    return quiesce;
}

BlockQuiesce *block_quiesce_begin(BlockNode *node, LoopFn *fn, void *opaque)
{
    return block_quiesce_begin_all(&node, 1, fn, opaque);
}

void block_quiesce_end(BlockQuiesce *quiesce)
{
    if (!quiesce)
        return;
    assert_main();
    for (guint i = 0; i < quiesce->channels->len; i++)
        change(g_ptr_array_index(quiesce->channels, i), -1);
    loop_message_cancel(quiesce->loop, &quiesce->tell);
    list_remove(&quiesce->node);
    g_ptr_array_unref(quiesce->channels);
    g_free(quiesce);
}

bool block_quiesce_rebuild(BlockQuiesce *quiesce, GError **error)
{
    GPtrArray *channels = quiesce->channels;
    guint n = 0;

    while (n < channels->len &&
           block_channel_prepare(g_ptr_array_index(channels, n), error))
        n++;
    for (guint i = 0; i < n; i++) {
        BlockChannel *channel = g_ptr_array_index(channels, i);

        g_assert(channel->is_quiet);
        if (n == channels->len)
            block_channel_commit(channel);
        else
            block_channel_cancel(channel);
    }
    return n == channels->len;
}
