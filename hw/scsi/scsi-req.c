/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request to a logical unit.
 *
 *     start --command needs no I/O--> end
 *       |
 *       +--> waiting for a block request --> command --> I/O --> next step or end
 *                    |                                    |
 *                    +------- the queues stop, or an error stops the machine --> held
 *
 * A command that needs I/O is looked at only when there is a block request for it: then
 * the graph below does not change.  One that is held is forgotten but for task
 * management, and is started anew; so every command may be done twice.
 *
 * What is checked before a command (SPC-5, 4.4; SAM-5, 5.14): the operation code, unit
 * attentions, the medium, write protection, the room for its data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "berth/trace.h"

#include "scsi-req.h"

static void add_reqs(ScsiLane *lane, int n)
{
    __atomic_store_n(&lane->n_reqs, lane->n_reqs + (unsigned)n, __ATOMIC_RELEASE);
}

/* @req is nobody's. */
static void let_go(ScsiReq *req)
{
    ScsiLane *lane = req->lane;
    ScsiUnit *unit = lane->unit;

    if (req->block)
        block_channel_put(lane->channel, g_steal_pointer(&req->block));
    if (req->sliced)
        iov_slice_end(&req->slice);
    req->sliced = false;
    if (req->has_pattern)
        g_clear_pointer(&lane->pattern, free);
    req->has_pattern = false;
    list_remove(&req->node);
    add_reqs(lane, -1);
    if (scsi_flag(&unit->leaving))
        loop_post(unit->dev.board->loop, &unit->to_main);
}

void scsi_req_end(ScsiReq *req, ScsiOutcome outcome)
{
    ScsiLane *lane = req->lane;
    ScsiBus *bus = scsi_unit_bus(lane->unit);

    req->outcome = req->cancelled != SCSI_OUTCOME_STATUS ? req->cancelled : outcome;
    TRACE(scsi_end, "%s tag 0x%" PRIx64 ": outcome %d status 0x%02x, %u bytes",
          device_name(&lane->unit->dev), req->tag, req->outcome, req->status,
          req->n_moved);
    let_go(req);
    if (!list_is_empty(&lane->cancels))
        scsi_cancel_note_end(req);
    bus->hba->done(bus, req);
    if (!list_is_empty(&lane->cancels))
        scsi_cancel_check(lane);
}

void scsi_req_set_sense(ScsiReq *req, ScsiSense sense)
{
    memset(req->sense, 0, sizeof(req->sense));
    req->sense[0] = 0x70;       /* current error, fixed format */
    req->sense[2] = (uint8_t)(sense >> 16);
    req->sense[7] = SCSI_SENSE_SIZE - 8;
    req->sense[12] = (uint8_t)(sense >> 8);
    req->sense[13] = (uint8_t)sense;
}

void scsi_req_good(ScsiReq *req)
{
    scsi_req_end(req, SCSI_OUTCOME_STATUS);
}

void scsi_req_fail(ScsiReq *req, ScsiSense sense)
{
    req->status = SCSI_STATUS_CHECK_CONDITION;
    req->n_moved = 0;
    scsi_req_set_sense(req, sense);
    req->sense_size = SCSI_SENSE_SIZE;
    scsi_req_end(req, SCSI_OUTCOME_STATUS);
}

void scsi_req_reply(ScsiReq *req, const void *data, size_t size)
{
    req->n_moved = (uint32_t)iov_write(req->in, req->n_in, 0, data,
                                       MIN(size, req->length));
    scsi_req_good(req);
}

bool scsi_req_read(const ScsiReq *req, size_t offset, void *data, size_t size)
{
    return iov_read(req->out, req->n_out, offset, data, size) == size;
}

static ScsiSense sense_of_error(bool is_write, int errnum)
{
    switch (errnum) {
    case ENOMEDIUM:
        return SCSI_SENSE_NOT_READY_NO_MEDIUM;
    case ENOMEM:
        return SCSI_SENSE_TARGET_FAILURE;
    case ENOSPC:
        return SCSI_SENSE_NO_SPACE;
    default:
        return is_write ? SCSI_SENSE_WRITE_ERROR : SCSI_SENSE_READ_ERROR;
    }
}

void scsi_req_hold(ScsiReq *req)
{
    ScsiLane *lane = req->lane;
    ScsiBus *bus = scsi_unit_bus(lane->unit);

    TRACE(scsi_hold, "%s tag 0x%" PRIx64, device_name(&lane->unit->dev), req->tag);
    let_go(req);
    if (!list_is_empty(&lane->cancels))
        scsi_cancel_note_end(req);
    if (!bus->loops[lane->loop].stopping && !scsi_flag(&lane->unit->leaving))
        list_append(&lane->held, &req->node);
    bus->hba->hold(bus, req);
    if (!list_is_empty(&lane->cancels))
        scsi_cancel_check(lane);
}

/*
 * In the next turn: a command of many steps whose I/O ends at once would fill the stack,
 * and hold the loop.
 */
static void step_later(ScsiReq *req)
{
    ScsiLane *lane = req->lane;

    req->next_step = lane->steps;
    lane->steps = req;
    loop_post(scsi_unit_bus(lane->unit)->loops[lane->loop].loop, &lane->step);
}

static void fail_io(ScsiReq *req, bool is_write, int errnum)
{
    ScsiUnit *unit = scsi_req_unit(req);
    const Board *board = unit->dev.board;
    const BoardIoError error = {
        .qom_path = unit->dev.path,
        .drive_name = block_drive_name(unit->drive),
        .node_name = block_node_name(block_drive_node(unit->drive)),
        .is_write = is_write,
        .action = block_drive_on_error(unit->drive, is_write, errnum),
        .errnum = errnum,
    };

    if (board->ops && board->ops->block_io_error)
        board->ops->block_io_error(board->opaque, &error);
    switch (error.action) {
    case BLOCK_ERROR_ACTION_IGNORE:
        step_later(req);
        break;
    case BLOCK_ERROR_ACTION_REPORT:
        scsi_req_fail(req, sense_of_error(is_write, errnum));
        break;
    case BLOCK_ERROR_ACTION_STOP:
        scsi_req_hold(req);
        break;
    }
}

/* An I/O of @req has ended; @next is called when all is well. */
static void go_on(ScsiReq *req, BlockOp op, int ret)
{
    if (req->cancelled != SCSI_OUTCOME_STATUS)
        scsi_req_end(req, req->cancelled);
    else if (ret == 0)
        req->next(req);
    else
        fail_io(req, op != BLOCK_OP_READ, -ret);
}

static void on_io_done(BlockReq *block, int ret)
{
    ScsiReq *req = block->opaque;

    req->submitted = NULL;
    go_on(req, block->io.op, ret);
}

static void submit(ScsiReq *req, const BlockIo *io, BlockDoneFn *done, ScsiFn *next)
{
    BlockReq *block = g_steal_pointer(&req->block);

    req->next = next;
    req->submitted = block;
    block->io = *io;
    block->done = done;
    block->opaque = req;
    block_channel_submit(req->lane->channel, block);
}

void scsi_req_submit(ScsiReq *req, const BlockIo *io, ScsiFn *next)
{
    submit(req, io, on_io_done, next);
}

void scsi_req_with_block(ScsiReq *req, ScsiFn *next)
{
    ScsiLane *lane = req->lane;

    if (!lane->channel) {
        scsi_req_fail(req, SCSI_SENSE_NOT_READY_NO_MEDIUM);
        return;
    }
    req->next = next;
    req->block = block_channel_get(lane->channel);
    if (req->block) {
        next(req);
        return;
    }
    list_remove(&req->node);
    list_append(&lane->waiting, &req->node);
}

static void on_step_done(BlockReq *block, int ret)
{
    ScsiReq *req = block->opaque;

    req->submitted = NULL;
    if (ret == 0)
        step_later(req);
    else
        go_on(req, block->io.op, ret);
}

void scsi_req_submit_step(ScsiReq *req, const BlockIo *io, ScsiFn *next)
{
    submit(req, io, on_step_done, next);
}

void scsi_req_end_held(ScsiReq *req, ScsiOutcome outcome)
{
    ScsiLane *lane = req->lane;
    ScsiBus *bus = scsi_unit_bus(lane->unit);

    list_remove(&req->node);
    list_append(&lane->active, &req->node);
    add_reqs(lane, 1);
    bus->hba->unhold(bus, req);
    scsi_req_end(req, outcome);
}

static ScsiSense check_medium(const ScsiUnit *unit, const ScsiCommand *command)
{
    if (!(command->flags & (SCSI_NEEDS_MEDIUM | SCSI_NEEDS_BLOCK)))
        return SCSI_SENSE_NONE;
    if (scsi_flag(&unit->tray_open))
        return SCSI_SENSE_NOT_READY_TRAY_OPEN;
    if (!scsi_flag(&unit->has_medium))
        return SCSI_SENSE_NOT_READY_NO_MEDIUM;
    if (command->flags & SCSI_WRITES && scsi_flag(&unit->is_read_only))
        return SCSI_SENSE_WRITE_PROTECTED;
    return SCSI_SENSE_NONE;
}

/* Why @command is not to be done at all; SCSI_SENSE_NONE: it is. */
static ScsiSense check_command(ScsiUnit *unit, const ScsiReq *req,
                               const ScsiCommand *command)
{
    ScsiSense sense = SCSI_SENSE_NONE;

    if (!command || !(command->flags & SCSI_NO_ATTENTION))
        sense = scsi_unit_take_attention(unit);
    if (sense != SCSI_SENSE_NONE)
        return sense;
    if (!command || !(command->flags & (unit->hd ? SCSI_FOR_DISK : SCSI_FOR_CD)))
        return SCSI_SENSE_INVALID_OPCODE;
    if (req->cdb_size < scsi_command_size(command->opcode))
        return SCSI_SENSE_INVALID_FIELD;
    return check_medium(unit, command);
}

static bool has_room(const ScsiReq *req, const ScsiCommand *command)
{
    switch ((ScsiDirection)command->direction) {
    case SCSI_NO_DATA:
        break;
    case SCSI_DATA_OUT:
        return req->length <= req->out_size;
    case SCSI_DATA_IN:
        return req->length <= req->in_size;
    }
    return true;
}

void scsi_req_start(ScsiLane *lane, ScsiReq *req)
{
    const ScsiCommand *command = scsi_command_find(req->cdb[0]);
    ScsiSense sense;

    req->lane = lane;
    req->serial = lane->next_serial++;
    req->cancelled = SCSI_OUTCOME_STATUS;
    req->status = SCSI_STATUS_GOOD;
    req->sense_size = 0;
    req->n_moved = 0;
    req->block = NULL;
    req->submitted = NULL;
    req->sliced = false;
    req->has_pattern = false;
    list_append(&lane->active, &req->node);
    add_reqs(lane, 1);
    TRACE(scsi_start, "%s tag 0x%" PRIx64 ": command 0x%02x",
          device_name(&lane->unit->dev), req->tag, req->cdb[0]);

    sense = check_command(lane->unit, req, command);
    if (sense != SCSI_SENSE_NONE) {
        scsi_req_fail(req, sense);
        return;
    }
    req->length = scsi_command_length(command, req);
    if (scsi_unit_bus(lane->unit)->clips && command->direction == SCSI_DATA_IN)
        req->length = MIN(req->length, req->in_size);
    if (!has_room(req, command))
        scsi_req_end(req, SCSI_OUTCOME_OVERRUN);
    else if (command->flags & SCSI_NEEDS_BLOCK)
        scsi_req_with_block(req, command->fn);
    else
        command->fn(req);
}
