/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The medium of a unit, and the tray of one where it can be taken out.
 *
 *     closed --START STOP UNIT, unless the guest prevents it--> open
 *        ^                                                        |
 *        +------------- START STOP UNIT, reset -------------------+
 *                        "the medium may have changed"
 *
 * The guest moves the tray on any loop; clients are told on main.  With an open tray the
 * unit is not ready, whatever lies in it.
 */
#include "berth/error.h"
#include "berth/thread.h"

#include "scsi-req.h"

/* START STOP UNIT, byte 4. */
#define START 0x01
#define LOAD_EJECT 0x02
#define NO_FLUSH 0x04
#define POWER_CONDITION 0xf0

#define PREVENT 0x01

/* The tray is where it was, or moves. */
static void move_tray(ScsiUnit *unit, bool open)
{
    if (scsi_flag(&unit->tray_open) == open)
        return;
    if (open) {
        __atomic_or_fetch(&unit->medium_events, SCSI_MEDIUM_REMOVED, __ATOMIC_SEQ_CST);
        scsi_set_flag(&unit->tray_was_opened, true);
    } else if (scsi_flag(&unit->has_medium)) {
        __atomic_or_fetch(&unit->medium_events, SCSI_MEDIUM_NEW, __ATOMIC_SEQ_CST);
        scsi_unit_attention(unit, SCSI_ATTENTION_MEDIUM_CHANGED);
    }
    scsi_set_flag(&unit->tray_open, open);
    loop_post(unit->dev.board->loop, &unit->to_main);
}

static void flush(ScsiReq *req)
{
    scsi_req_submit(req, &(BlockIo) { .op = BLOCK_OP_FLUSH }, scsi_req_good);
}

/* Power conditions there are none; a unit that is stopped is ready all the same. */
void scsi_medium_start_stop(ScsiReq *req)
{
    ScsiUnit *unit = scsi_req_unit(req);
    uint8_t flags = req->cdb[4];
    bool start = flags & START;

    if (flags & POWER_CONDITION) {
        scsi_req_good(req);
    } else if (flags & LOAD_EJECT && unit->has_tray) {
        if (!start && !scsi_flag(&unit->tray_open) && scsi_flag(&unit->locked)) {
            scsi_req_fail(req, scsi_flag(&unit->has_medium)
                          ? SCSI_SENSE_REMOVAL_PREVENTED
                          : SCSI_SENSE_NOT_READY_REMOVAL_PREVENTED);
            return;
        }
        move_tray(unit, !start);
        scsi_req_good(req);
    } else if (!start && !(flags & NO_FLUSH) && scsi_flag(&unit->has_medium) &&
               !scsi_flag(&unit->is_read_only)) {
        scsi_req_with_block(req, flush);
    } else {
        scsi_req_good(req);
    }
}

void scsi_medium_prevent(ScsiReq *req)
{
    ScsiUnit *unit = scsi_req_unit(req);

    if (unit->has_tray)
        scsi_set_flag(&unit->locked, req->cdb[4] & PREVENT);
    scsi_req_good(req);
}

/* Main. */

static void tell_tray(ScsiUnit *unit, bool open)
{
    const Board *board = unit->dev.board;

    if (unit->shown_open == open)
        return;
    unit->shown_open = open;
    if (board->ops && board->ops->tray_moved)
        board->ops->tray_moved(board->opaque, block_drive_name(unit->drive),
                               device_name(&unit->dev), open);
}

static void show_tray(ScsiUnit *unit)
{
    if (__atomic_exchange_n(&unit->tray_was_opened, false, __ATOMIC_SEQ_CST))
        tell_tray(unit, true);
    tell_tray(unit, scsi_flag(&unit->tray_open));
}

void scsi_medium_on_message(void *opaque)
{
    show_tray(opaque);
}

void scsi_medium_reset(ScsiUnit *unit)
{
    move_tray(unit, false);
    __atomic_store_n(&unit->medium_events, 0, __ATOMIC_SEQ_CST);
}

static void on_ready(void *opaque)
{
    scsi_lane_ready(opaque);
}

static const BlockChannelOps channel_ops = { .ready = on_ready };

typedef struct LaneChange {
    ScsiLane *lane;
    BlockChannel *channel;
} LaneChange;

static void set_channel(void *opaque)
{
    const LaneChange *change = opaque;

    change->lane->channel = change->channel;
    if (!change->channel)
        scsi_lane_lose_medium(change->lane);
}

static void change_channel(ScsiLane *lane, BlockChannel *channel)
{
    const ScsiBus *bus = scsi_unit_bus(lane->unit);
    LaneChange change = { lane, channel };

    loop_call_sync(bus->loops[lane->loop].loop, set_channel, &change);
}

static bool make_channels(ScsiUnit *unit, GError **error)
{
    const ScsiBus *bus = scsi_unit_bus(unit);

    for (unsigned i = 0; i < unit->n_lanes; i++) {
        ScsiLane *lane = &unit->lanes[i];
        BlockChannel *channel =
            block_channel_new(block_drive_use(unit->drive), bus->loops[i].loop,
                              bus->depth, &channel_ops, lane, error);

        if (!channel)
            return false;
        change_channel(lane, channel);
    }
    return true;
}

static void set_size(ScsiUnit *unit)
{
    uint64_t size = block_node_size(block_drive_node(unit->drive));

    __atomic_store_n(&unit->n_blocks, size / unit->block_size, __ATOMIC_RELAXED);
}

void scsi_medium_drop(ScsiUnit *unit)
{
    scsi_set_flag(&unit->has_medium, false);
    for (unsigned i = 0; i < unit->n_lanes; i++) {
        BlockChannel *channel = unit->lanes[i].channel;

        if (!channel)
            continue;
        change_channel(&unit->lanes[i], NULL);
        block_channel_free(channel);
    }
    if (block_drive_use(unit->drive))
        block_drive_eject(unit->drive);
    __atomic_store_n(&unit->n_blocks, 0, __ATOMIC_RELAXED);
}

bool scsi_medium_insert(ScsiUnit *unit, BlockNode *node, GError **error)
{
    bool is_read_only = !unit->hd || block_node_is_read_only(node);
    uint8_t wants = BLOCK_PERM_CONSISTENT_READ;
    uint8_t permits = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED |
                      BLOCK_PERM_RESIZE;

    assert_main();
    if (!is_read_only)
        wants |= BLOCK_PERM_WRITE;
    if (unit->props->share_rw)
        permits |= BLOCK_PERM_WRITE;
    if (!block_drive_insert(unit->drive, node, wants, permits, error))
        return false;
    if (!make_channels(unit, error)) {
        scsi_medium_drop(unit);
        return false;
    }
    set_size(unit);
    scsi_set_flag(&unit->is_read_only, is_read_only);
    scsi_set_flag(&unit->has_medium, true);
    return true;
}

static char *on_describe(void *opaque)
{
    ScsiUnit *unit = opaque;

    return g_strdup_printf("device '%s'", device_name(&unit->dev));
}

static void on_resized(void *opaque)
{
    ScsiUnit *unit = opaque;
    ScsiBus *bus = scsi_unit_bus(unit);

    set_size(unit);
    if (!unit->hd)
        return;
    scsi_unit_attention(unit, SCSI_ATTENTION_CAPACITY_CHANGED);
    bus->hba->changed(bus, unit->target, unit->lun, SCSI_CHANGE_CAPACITY);
}

static void on_query(void *opaque, BlockDriveState *ret_state)
{
    const ScsiUnit *unit = opaque;

    ret_state->write_back = scsi_flag(&unit->write_cache);
    ret_state->has_tray = unit->has_tray;
    ret_state->tray_open = scsi_flag(&unit->tray_open);
    ret_state->locked = scsi_flag(&unit->locked);
}

static bool on_move_tray(void *opaque, bool open, bool forces)
{
    ScsiUnit *unit = opaque;

    if (open && scsi_flag(&unit->locked) && !forces) {
        __atomic_or_fetch(&unit->medium_events, SCSI_MEDIUM_EJECT_WANTED,
                          __ATOMIC_SEQ_CST);
        return false;
    }
    move_tray(unit, open);
    show_tray(unit);
    return true;
}

static void on_remove(void *opaque)
{
    scsi_medium_drop(opaque);
}

static bool on_insert(void *opaque, BlockNode *node, GError **error)
{
    return scsi_medium_insert(opaque, node, error);
}

const BlockDriveOps scsi_medium_drive_ops = {
    .use = { .describe = on_describe, .resized = on_resized },
    .query = on_query,
    .move_tray = on_move_tray,
    .remove = on_remove,
    .insert = on_insert,
};
