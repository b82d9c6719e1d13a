/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a target answers for all its logical units, or for one that it does not have
 * (SPC-5, 6.6.2 and 6.33; virtio 1.3, 5.6.6.1 for the well known logical unit).
 */
#include <string.h>

#include "scsi-req.h"

#define TEST_UNIT_READY 0x00
#define REQUEST_SENSE 0x03
#define INQUIRY 0x12
#define REPORT_LUNS 0xa0

#define INQUIRY_SIZE 36u
#define LIST_HEADER 8u
#define LUN_SIZE 8u
#define SELECT_WELL_KNOWN 1
#define SELECT_MAX 2

static uint32_t length_of(const ScsiReq *req)
{
    const ScsiCommand luns = { .length_at = 6, .length_size = 4 };
    const ScsiCommand *command =
        req->cdb[0] == REPORT_LUNS ? &luns : scsi_command_find(req->cdb[0]);

    return scsi_command_length(command, req);
}

static void put(ScsiReq *req, size_t at, const void *data, size_t size)
{
    if (at >= req->length)
        return;
    req->n_moved += (uint32_t)iov_write(req->in, req->n_in, at, data,
                                        MIN(size, req->length - at));
}

static void fail(ScsiReq *req, ScsiSense sense)
{
    req->status = SCSI_STATUS_CHECK_CONDITION;
    req->sense_size = SCSI_SENSE_SIZE;
    scsi_req_set_sense(req, sense);
}

/* A single level LUN: peripheral addressing up to 255, flat space beyond. */
static void encode_lun(uint8_t *to, unsigned lun)
{
    to[0] = lun > UINT8_MAX ? (uint8_t)(0x40 | lun >> 8) : 0;
    to[1] = (uint8_t)lun;
}

/* The list's length is known when it was written. */
static void put_list_size(ScsiReq *req, size_t end)
{
    uint32_t header[2] = { GUINT32_TO_BE((uint32_t)(end - LIST_HEADER)), 0 };

    put(req, 0, header, sizeof(header));
}

static void report_luns_of_target(const ScsiBus *bus, unsigned target, ScsiReq *req)
{
    size_t at = LIST_HEADER;

    if (req->cdb[2] != SELECT_WELL_KNOWN) {
        unsigned next_target = target, lun = 0;
        uint8_t entry[LUN_SIZE] = { 0 };

        /* LUN 0 answers, be it there or not. */
        put(req, at, entry, sizeof(entry));
        at += LUN_SIZE;
        for (lun = 1; scsi_bus_next(bus, &next_target, &lun) && next_target == target;
             lun++) {
            encode_lun(entry, lun);
            put(req, at, entry, sizeof(entry));
            at += LUN_SIZE;
        }
    }
    put_list_size(req, at);
}

/* All units of the bus, as virtio-scsi addresses them. */
static void report_luns_of_bus(const ScsiBus *bus, ScsiReq *req)
{
    unsigned target = 0, lun = 0;
    size_t at = LIST_HEADER;

    for (; scsi_bus_next(bus, &target, &lun); lun++) {
        uint8_t entry[LUN_SIZE] = { 1, (uint8_t)target };

        encode_lun(entry + 2, lun);
        put(req, at, entry, sizeof(entry));
        at += LUN_SIZE;
    }
    put_list_size(req, at);
}

static bool check_report(ScsiReq *req)
{
    if (req->cdb_size >= scsi_command_size(REPORT_LUNS) && req->cdb[2] <= SELECT_MAX &&
        req->length >= LIST_HEADER + LUN_SIZE)
        return true;
    fail(req, SCSI_SENSE_INVALID_FIELD);
    return false;
}

/* Qualifier 001b: LUN 0 could be there; 011b: the others could not. */
static void inquire(ScsiReq *req, unsigned char peripheral)
{
    uint8_t data[INQUIRY_SIZE] = { peripheral };

    if (req->cdb[1] & 1) {
        if (req->cdb[2] != 0)
            fail(req, SCSI_SENSE_INVALID_FIELD);
        else
            put(req, 0, (uint8_t[]) { peripheral, 0, 0, 1, 0 }, 5);
        return;
    }
    if (req->cdb[2] != 0) {
        fail(req, SCSI_SENSE_INVALID_FIELD);
        return;
    }
    data[2] = 5;                /* SPC-3 */
    data[3] = 0x12;             /* HiSup, format 2 */
    data[4] = INQUIRY_SIZE - 5;
    data[7] = 0x02;             /* CmdQue */
    memset(data + 8, ' ', INQUIRY_SIZE - 8);
    memcpy(data + 8, "QEMU", 4);
    memcpy(data + 16, "QEMU TARGET", 11);
    put(req, 0, data, sizeof(data));
}

static void report_no_unit(ScsiReq *req)
{
    scsi_req_set_sense(req, SCSI_SENSE_NO_UNIT);
    put(req, 0, req->sense, SCSI_SENSE_SIZE);
}

static bool answers(uint8_t opcode)
{
    return opcode == INQUIRY || opcode == REQUEST_SENSE || opcode == REPORT_LUNS;
}

/* What every answer begins with; false: it has ended otherwise. */
static bool begin(ScsiReq *req)
{
    req->outcome = SCSI_OUTCOME_STATUS;
    req->status = SCSI_STATUS_GOOD;
    req->sense_size = 0;
    req->n_moved = 0;
    req->length = answers(req->cdb[0]) ? length_of(req) : 0;
    if (req->length > req->in_size)
        req->outcome = SCSI_OUTCOME_OVERRUN;
    return req->outcome == SCSI_OUTCOME_STATUS;
}

static void answer(ScsiBus *bus, unsigned target, unsigned lun, ScsiReq *req)
{
    switch (req->cdb[0]) {
    case INQUIRY:
        inquire(req, lun == 0 ? 0x3f : 0x7f);
        break;
    case REQUEST_SENSE:
        report_no_unit(req);
        break;
    case REPORT_LUNS:
        if (!check_report(req))
            break;
        scsi_bus_attention(bus, target, 0, SCSI_ATTENTION_LUNS_CHANGED);
        report_luns_of_target(bus, target, req);
        break;
    default:
        fail(req, SCSI_SENSE_NO_UNIT);
    }
}

void scsi_target_start(ScsiBus *bus, unsigned target, unsigned lun, ScsiReq *req)
{
    if (!scsi_bus_has_target(bus, target))
        req->outcome = SCSI_OUTCOME_BAD_TARGET;
    else if (begin(req))
        answer(bus, target, lun, req);
    bus->hba->done(bus, req);
}

void scsi_target_start_well_known(ScsiBus *bus, ScsiReq *req)
{
    if (!begin(req)) {
        bus->hba->done(bus, req);
        return;
    }
    switch (req->cdb[0]) {
    case TEST_UNIT_READY:
        break;
    case INQUIRY:
        inquire(req, 0x1e);     /* a well known logical unit */
        break;
    case REQUEST_SENSE:
        scsi_req_set_sense(req, SCSI_SENSE_NONE);
        put(req, 0, req->sense, SCSI_SENSE_SIZE);
        break;
    case REPORT_LUNS:
        if (check_report(req))
            report_luns_of_bus(bus, req);
        break;
    default:
        fail(req, SCSI_SENSE_INVALID_OPCODE);
    }
    bus->hba->done(bus, req);
}
