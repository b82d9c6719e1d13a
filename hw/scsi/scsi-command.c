/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of logical units, as a table, and the fields of their CDBs (SPC-5, 4.2;
 * SBC-4, chapter 5; MMC-6, chapter 6).
 */
#include "scsi-req.h"

#define DISK SCSI_FOR_DISK
#define CD SCSI_FOR_CD
#define ALL SCSI_FOR_ALL
#define MEDIUM SCSI_NEEDS_MEDIUM
#define BLOCK SCSI_NEEDS_BLOCK
#define WRITES SCSI_WRITES
#define NO_UA SCSI_NO_ATTENTION

#define OUT SCSI_DATA_OUT
#define IN SCSI_DATA_IN

/* By opcode.  Where the length is in blocks the command itself looks for room. */
static const ScsiCommand commands[] = {
    { 0x00, ALL | MEDIUM, 0, 0, 0, 0, scsi_unit_test_ready },
    { 0x03, ALL | NO_UA, IN, 4, 1, 0, scsi_unit_request_sense },
    { 0x08, ALL | BLOCK, IN, 0, 0, 0, scsi_block_read },                /* READ(6) */
    { 0x0a, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write },    /* WRITE(6) */
    { 0x12, ALL | NO_UA, IN, 3, 2, 0, scsi_inquiry },
    { 0x15, ALL, OUT, 4, 1, 0, scsi_mode_select },                      /* (6) */
    { 0x16, ALL, 0, 0, 0, 0, scsi_unit_reserve },                       /* RESERVE(6) */
    { 0x17, ALL, 0, 0, 0, 0, scsi_unit_reserve },                       /* RELEASE(6) */
    { 0x1a, ALL, IN, 4, 1, 0, scsi_mode_sense },                        /* (6) */
    { 0x1b, ALL, 0, 0, 0, 0, scsi_medium_start_stop },
    { 0x1d, ALL, 0, 0, 0, 0, scsi_unit_send_diagnostic },
    { 0x1e, ALL, 0, 0, 0, 0, scsi_medium_prevent },
    { 0x25, ALL | MEDIUM, IN, 0, 0, 8, scsi_block_capacity10 },
    { 0x28, ALL | BLOCK, IN, 0, 0, 0, scsi_block_read },                /* READ(10) */
    { 0x2a, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write },    /* WRITE(10) */
    { 0x2b, ALL | MEDIUM, 0, 0, 0, 0, scsi_block_seek },                /* SEEK(10) */
    { 0x2e, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write_verify },     /* (10) */
    { 0x2f, ALL | MEDIUM, 0, 0, 0, 0, scsi_block_verify },              /* VERIFY(10) */
    { 0x35, ALL | BLOCK, 0, 0, 0, 0, scsi_block_flush },    /* SYNCHRONIZE CACHE(10) */
    { 0x41, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write_same },       /* (10) */
    { 0x42, DISK | BLOCK | WRITES, OUT, 7, 2, 0, scsi_block_unmap },
    { 0x43, CD | MEDIUM, IN, 7, 2, 0, scsi_cd_read_toc },
    { 0x46, CD | NO_UA, IN, 7, 2, 0, scsi_cd_configuration },
    { 0x4a, CD | NO_UA, IN, 7, 2, 0, scsi_cd_event_status },
    { 0x51, CD | MEDIUM, IN, 7, 2, 0, scsi_cd_disc_information },
    { 0x55, ALL, OUT, 7, 2, 0, scsi_mode_select },                      /* (10) */
    { 0x56, ALL, 0, 0, 0, 0, scsi_unit_reserve },                       /* RESERVE(10) */
    { 0x57, ALL, 0, 0, 0, 0, scsi_unit_reserve },                       /* RELEASE(10) */
    { 0x5a, ALL, IN, 7, 2, 0, scsi_mode_sense },                        /* (10) */
    { 0x88, DISK | BLOCK, IN, 0, 0, 0, scsi_block_read },               /* READ(16) */
    { 0x8a, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write },    /* WRITE(16) */
    { 0x8e, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write_verify },     /* (16) */
    { 0x8f, DISK | MEDIUM, 0, 0, 0, 0, scsi_block_verify },             /* VERIFY(16) */
    { 0x91, DISK | BLOCK, 0, 0, 0, 0, scsi_block_flush },   /* SYNCHRONIZE CACHE(16) */
    { 0x93, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write_same },       /* (16) */
    { 0x9e, ALL | MEDIUM, IN, 10, 4, 0, scsi_block_service_action_in },
    { 0xa8, ALL | BLOCK, IN, 0, 0, 0, scsi_block_read },                /* READ(12) */
    { 0xaa, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write },    /* WRITE(12) */
    { 0xad, CD, IN, 8, 2, 0, scsi_cd_dvd_structure },
    { 0xae, DISK | BLOCK | WRITES, OUT, 0, 0, 0, scsi_block_write_verify },     /* (12) */
    { 0xaf, ALL | MEDIUM, 0, 0, 0, 0, scsi_block_verify },              /* VERIFY(12) */
    { 0xbd, CD, IN, 8, 2, 0, scsi_cd_mechanism_status },
};

const ScsiCommand *scsi_command_find(uint8_t opcode)
{
    size_t low = 0, high = G_N_ELEMENTS(commands);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (commands[middle].opcode == opcode)
            return &commands[middle];
        if (commands[middle].opcode < opcode)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

unsigned scsi_command_size(uint8_t opcode)
{
    static const uint8_t sizes[] = { 6, 10, 10, 0, 16, 12, 0, 0 };

    return sizes[opcode >> 5];
}

static uint64_t get(const ScsiReq *req, unsigned at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | req->cdb[at + i];
    return value;
}

uint32_t scsi_command_length(const ScsiCommand *command, const ScsiReq *req)
{
    if (command->length_size == 0)
        return command->fixed_length;
    return (uint32_t)get(req, command->length_at, command->length_size);
}

uint64_t scsi_command_lba(const ScsiReq *req)
{
    switch (scsi_command_size(req->cdb[0])) {
    case 6:
        return get(req, 1, 3) & 0x1fffff;
    case 16:
        return get(req, 2, 8);
    default:
        return get(req, 2, 4);
    }
}

uint32_t scsi_command_blocks(const ScsiReq *req)
{
    switch (scsi_command_size(req->cdb[0])) {
    case 6:
        return req->cdb[4] > 0 ? req->cdb[4] : 256;
    case 10:
        return (uint32_t)get(req, 7, 2);
    case 12:
        return (uint32_t)get(req, 6, 4);
    default:
        return (uint32_t)get(req, 10, 4);
    }
}
