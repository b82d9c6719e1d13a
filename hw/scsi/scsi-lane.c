/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with the requests of a lane together: those that wait for a block request,
 * those with another step to do, and those that are held.
 */
#include "scsi-req.h"

void scsi_lane_step(void *opaque)
{
    ScsiLane *lane = opaque;
    ScsiReq *req;
    ScsiReq *steps = g_steal_pointer(&lane->steps);

    while ((req = steps)) {
        steps = req->next_step;
        if (req->cancelled != SCSI_OUTCOME_STATUS)
            scsi_req_end(req, req->cancelled);
        else
            scsi_req_with_block(req, req->next);
    }
}

void scsi_lane_ready(ScsiLane *lane)
{
    ListNode *first;

    while ((first = list_first(&lane->waiting))) {
        ScsiReq *req = CONTAINER_OF(first, ScsiReq, node);

        req->block = block_channel_get(lane->channel);
        if (!req->block)
            return;
        list_remove(&req->node);
        list_append(&lane->active, &req->node);
        req->next(req);
    }
}

/* Ends or holds what waits on @list. */
static void empty_list(ListNode *list, bool holds)
{
    ListNode *first;

    while ((first = list_first(list))) {
        ScsiReq *req = CONTAINER_OF(first, ScsiReq, node);

        if (holds)
            scsi_req_hold(req);
        else
            scsi_req_end(req, SCSI_OUTCOME_BAD_TARGET);
    }
}

static void forget_held(ScsiLane *lane)
{
    ListNode *first;

    while ((first = list_first(&lane->held)))
        list_remove(first);
}

void scsi_lane_lose_medium(ScsiLane *lane)
{
    ListNode *first;

    while ((first = list_first(&lane->waiting)))
        scsi_req_fail(CONTAINER_OF(first, ScsiReq, node), SCSI_SENSE_NOT_READY_NO_MEDIUM);
}

void scsi_lane_stop(ScsiLane *lane)
{
    if (lane->channel)
        block_channel_hurry(lane->channel, true);
    empty_list(&lane->waiting, true);
    forget_held(lane);
}

void scsi_lane_go_on(ScsiLane *lane)
{
    if (lane->channel)
        block_channel_hurry(lane->channel, false);
}

void scsi_lane_close(ScsiLane *lane)
{
    if (lane->channel)
        block_channel_hurry(lane->channel, true);
    empty_list(&lane->waiting, false);
    forget_held(lane);
}
