/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "block-throttle.h"

struct BlockChannelThrottle {
    BlockThrottle *of;
    ThrottleLane lane;
    bool is_hurried;
    ThrottleTicket tickets[];   /* by slot */
};

/* The channel's loop. */

static void go(void *request)
{
    block_req_submit(request);
}

static ThrottleTicket *ticket_of(BlockChannel *channel, const BlockReq *req)
{
    const BlockLayers *layers = &channel->layers;
    size_t i = (size_t)((uint8_t *)req->slot - layers->slots) / layers->slot_size;

    return &channel->throttle->tickets[i];
}

bool block_throttle_admit(BlockChannel *channel, BlockReq *req)
{
    return throttle_group_admit(&channel->throttle->lane, ticket_of(channel, req),
                                &req->io, req);
}

bool block_throttle_cancel(BlockChannel *channel, BlockReq *req)
{
    return throttle_group_cancel(&channel->throttle->lane, ticket_of(channel, req));
}

void block_throttle_hurry(BlockChannel *channel, bool on)
{
    BlockChannelThrottle *throttle = channel->throttle;

    if (!throttle || throttle->is_hurried == on)
        return;
    throttle->is_hurried = on;
    throttle_group_hurry(throttle->of->group, &throttle->of->member, on);
}

void block_throttle_enter(void *opaque)
{
    BlockChannel *channel = opaque;
    BlockThrottle *of = channel->use->throttle;
    BlockChannelThrottle *throttle =
        g_malloc0(sizeof(BlockChannelThrottle) + channel->depth * sizeof(ThrottleTicket));

    throttle->of = of;
    throttle_group_add_lane(of->group, &of->member, &throttle->lane, channel->loop, go);
    channel->throttle = throttle;
}

void block_throttle_leave(void *opaque)
{
    BlockChannel *channel = opaque;
    BlockChannelThrottle *throttle = channel->throttle;

    if (!throttle)
        return;
    block_throttle_hurry(channel, false);
    channel->throttle = NULL;
    throttle_group_remove_lane(&throttle->lane);
    g_free(throttle);
}

/* Main. */

static void call_channels(const BlockDrive *drive, LoopFn *fn)
{
    if (!drive->use)
        return;
    LIST_FOREACH(at, &drive->use->channels) {
        BlockChannel *channel = CONTAINER_OF(at, BlockChannel, use_node);

        loop_call_sync(channel->loop, fn, channel);
    }
}

static void set(BlockDrive *drive, BlockThrottle *throttle)
{
    drive->throttle = throttle;
    if (drive->use)
        drive->use->throttle = throttle;
}

static void leave(BlockDrive *drive)
{
    BlockThrottle *throttle = drive->throttle;

    if (!throttle)
        return;
    call_channels(drive, block_throttle_leave);
    set(drive, NULL);
    throttle_group_leave(throttle->group, &throttle->member);
    throttle_group_unref(throttle->group);
    g_free(throttle);
}

void block_throttle_let_go(BlockDrive *drive)
{
    if (drive->throttle)
        throttle_group_hurry(drive->throttle->group, &drive->throttle->member, true);
}

void block_throttle_free(BlockDrive *drive)
{
    leave(drive);
}

/* @group is taken. */
static void join(BlockDrive *drive, ThrottleGroup *group)
{
    BlockThrottle *throttle = g_new0(BlockThrottle, 1);

    throttle->group = group;
    throttle_group_join(group, &throttle->member);
    set(drive, throttle);
    call_channels(drive, block_throttle_enter);
}

bool block_throttle_set(BlockDrive *drive, const char *name, const char *otherwise,
                        const ThrottleConfig *config, GError **error)
{
    ThrottleGroup *group;

    assert_main();
    if (!throttle_config_check(config, error))
        return false;
    if (!throttle_config_has_limits(config)) {
        leave(drive);
        return true;
    }
    if (!drive->throttle && !name)
        name = otherwise;
    if (name && (!drive->throttle ||
                 strcmp(throttle_group_name(drive->throttle->group), name) != 0)) {
        group = throttle_group_get(drive->graph, name, NULL);
        if (!group)
            group = throttle_group_new(drive->graph, name, error);
        if (!group)
            return false;
        leave(drive);
        join(drive, group);
    }
    throttle_group_configure(drive->throttle->group, config);
    return true;
}
