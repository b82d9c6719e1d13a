/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was asked of drives: the counts of their channels, added up.  Of a node only how
 * far it was written is known.
 */
#include "block-info.h"

/* A node that channels pass by is written where the one below it is. */
static uint64_t highest_offset(const BlockNode *node)
{
    uint64_t end = __atomic_load_n(&node->written_end, __ATOMIC_RELAXED);

    if (node->is_transparent)
        end = MAX(end, highest_offset(block_node_storage(node)));
    return end;
}

static BlockDeviceStats *new_stats(const BlockNode *node)
{
    BlockDeviceStats *stats = g_new0(BlockDeviceStats, 1);

    stats->wr_highest_offset = node ? (int64_t)highest_offset(node) : 0;
    stats->timed_stats = BlockDeviceTimedStatsList_new();
    return stats;
}

BlockStats *block_stats_of_node(BlockNode *node, bool with_backing)
{
    BlockNode *storage = block_node_storage(node);
    BlockNode *backing = block_node_child(node, BLOCK_ROLE_BACKING);
    BlockStats *info = g_new0(BlockStats, 1);

    info->node_name = g_strdup(node->name);
    info->stats = new_stats(node);
    if (node->driver->count)
        info->driver_specific = node->driver->count(node);
    if (storage)
        info->parent = block_stats_of_node(storage, with_backing);
    if (backing && with_backing)
        info->backing = block_stats_of_node(backing, true);
    return info;
}

static void sum_up(const BlockDrive *drive, BlockCounts *sum)
{
    *sum = drive->account.gone;
    if (!drive->use)
        return;
    LIST_FOREACH(at, &drive->use->channels) {
        const BlockChannel *channel = CONTAINER_OF(at, BlockChannel, use_node);

        block_account_sum(sum, &channel->counts);
    }
}

static void fill_in(BlockDeviceStats *stats, const BlockCounts *sum)
{
    const BlockCount *read = &sum->of[BLOCK_KIND_READ];
    const BlockCount *write = &sum->of[BLOCK_KIND_WRITE];
    const BlockCount *flush = &sum->of[BLOCK_KIND_FLUSH];
    const BlockCount *unmap = &sum->of[BLOCK_KIND_UNMAP];

    stats->rd_bytes = (int64_t)read->bytes;
    stats->wr_bytes = (int64_t)write->bytes;
    stats->unmap_bytes = (int64_t)unmap->bytes;
    stats->rd_operations = (int64_t)read->n_done;
    stats->wr_operations = (int64_t)write->n_done;
    stats->flush_operations = (int64_t)flush->n_done;
    stats->unmap_operations = (int64_t)unmap->n_done;
    stats->rd_total_time_ns = (int64_t)read->time_ns;
    stats->wr_total_time_ns = (int64_t)write->time_ns;
    stats->flush_total_time_ns = (int64_t)flush->time_ns;
    stats->unmap_total_time_ns = (int64_t)unmap->time_ns;
    stats->rd_merged = (int64_t)read->n_joined;
    stats->wr_merged = (int64_t)write->n_joined;
    stats->failed_rd_operations = (int64_t)read->n_failed;
    stats->failed_wr_operations = (int64_t)write->n_failed;
    stats->failed_flush_operations = (int64_t)flush->n_failed;
    stats->failed_unmap_operations = (int64_t)unmap->n_failed;
    stats->invalid_rd_operations = (int64_t)read->n_invalid;
    stats->invalid_wr_operations = (int64_t)write->n_invalid;
    stats->invalid_flush_operations = (int64_t)flush->n_invalid;
    stats->invalid_unmap_operations = (int64_t)unmap->n_invalid;
    stats->account_failed = true;
    stats->account_invalid = true;
    stats->has_idle_time_ns = sum->last_ns > 0;
    stats->idle_time_ns = MAX(loop_clock_ns() - sum->last_ns, 0);
}

BlockStats *block_stats_of_drive(const BlockDrive *drive)
{
    BlockNode *node = block_drive_node(drive);
    BlockStats *info = node ? block_stats_of_node(node, true) : g_new0(BlockStats, 1);
    BlockCounts sum;

    sum_up(drive, &sum);
    if (!info->stats)
        info->stats = new_stats(NULL);
    fill_in(info->stats, &sum);
    info->stats->rd_latency_histogram =
        block_account_histogram(&drive->account, BLOCK_KIND_READ);
    info->stats->wr_latency_histogram =
        block_account_histogram(&drive->account, BLOCK_KIND_WRITE);
    info->stats->flush_latency_histogram =
        block_account_histogram(&drive->account, BLOCK_KIND_FLUSH);
    info->device = g_strdup(drive->name);
    info->qdev = g_strdup(drive->qdev);
    return info;
}
