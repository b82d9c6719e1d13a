/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a logical unit: the commands, and what they do with a request.
 */
#pragma once

#include "scsi-unit.h"

/* scsi-command.c */

typedef enum ScsiDirection {
    SCSI_NO_DATA,
    SCSI_DATA_OUT,              /* to the unit */
    SCSI_DATA_IN,
} ScsiDirection;

enum {
    SCSI_FOR_DISK = 1 << 0,     /* kinds of units that have the command */
    SCSI_FOR_CD = 1 << 1,
    SCSI_FOR_ALL = SCSI_FOR_DISK | SCSI_FOR_CD,
    SCSI_NEEDS_MEDIUM = 1 << 2,
    SCSI_NEEDS_BLOCK = 1 << 3,  /* is called with req->block; implies a medium */
    SCSI_WRITES = 1 << 4,       /* refused of a medium that is read-only */
    SCSI_NO_ATTENTION = 1 << 5, /* done in spite of a unit attention */
};

typedef struct ScsiCommand {
    uint8_t opcode;
    uint8_t flags;
    uint8_t direction;          /* ScsiDirection */
    uint8_t length_at;          /* of the CDB: where the bytes to move are said */
    uint8_t length_size;        /* 0: fixed_length */
    uint8_t fixed_length;
    ScsiFn *fn;
} ScsiCommand;

/* NULL when no unit has it. */
const ScsiCommand *scsi_command_find(uint8_t opcode);
/* Bytes of a CDB that begins with @opcode, 0 when that is not known (SAM-5, 5.2). */
unsigned scsi_command_size(uint8_t opcode);
/* Bytes of data that @req says in the field that the command has for it. */
uint32_t scsi_command_length(const ScsiCommand *command, const ScsiReq *req);
/* The fields that CDBs of all sizes have (SPC-5, 4.2.2). */
uint64_t scsi_command_lba(const ScsiReq *req);
uint32_t scsi_command_blocks(const ScsiReq *req);

/* The commands, by subject: scsi-block.c, ... */

ScsiFn scsi_block_read;
ScsiFn scsi_block_write;
ScsiFn scsi_block_write_verify;
ScsiFn scsi_block_verify;
ScsiFn scsi_block_flush;
ScsiFn scsi_block_unmap;
ScsiFn scsi_block_write_same;
ScsiFn scsi_block_capacity10;
ScsiFn scsi_block_service_action_in;
ScsiFn scsi_block_seek;
ScsiFn scsi_inquiry;
ScsiFn scsi_mode_sense;
ScsiFn scsi_mode_select;
ScsiFn scsi_unit_test_ready;
ScsiFn scsi_unit_request_sense;
ScsiFn scsi_unit_reserve;
ScsiFn scsi_unit_send_diagnostic;
ScsiFn scsi_medium_start_stop;
ScsiFn scsi_medium_prevent;
ScsiFn scsi_cd_event_status;
ScsiFn scsi_cd_read_toc;
ScsiFn scsi_cd_configuration;
ScsiFn scsi_cd_disc_information;
ScsiFn scsi_cd_mechanism_status;
ScsiFn scsi_cd_dvd_structure;

/* scsi-req.c: the lane's loop */

/* Begins @req, whose buffers and CDB are filled in. */
void scsi_req_start(ScsiLane *lane, ScsiReq *req);
/* Each of these ends @req. */
void scsi_req_good(ScsiReq *req);
void scsi_req_fail(ScsiReq *req, ScsiSense sense);
/* Good, with @size bytes of data, of which as many are sent as the CDB allows. */
void scsi_req_reply(ScsiReq *req, const void *data, size_t size);
void scsi_req_end(ScsiReq *req, ScsiOutcome outcome);

/* Copies data that came with the command; false when there are not so many bytes. */
bool scsi_req_read(const ScsiReq *req, size_t offset, void *data, size_t size);
/* Calls @next with req->block, now or when there is one. */
void scsi_req_with_block(ScsiReq *req, ScsiFn *next);
/*
 * Does @io with req->block, then @next, which ends the request; what fails ends it, too.
 * io->iov is lent until then.
 */
void scsi_req_submit(ScsiReq *req, const BlockIo *io, ScsiFn *next);
/* The same when more is to be done: @next gets another block request. */
void scsi_req_submit_step(ScsiReq *req, const BlockIo *io, ScsiFn *next);
/* Ends one that the HBA holds. */
void scsi_req_end_held(ScsiReq *req, ScsiOutcome outcome);
/* The HBA keeps @req and starts it again. */
void scsi_req_hold(ScsiReq *req);
/* Fills in the sense of a request without a unit, too. */
void scsi_req_set_sense(ScsiReq *req, ScsiSense sense);
