/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET: SCSI commands for a CD drive (ATA8-ACS, 7.21 and 4.3).
 *
 * Sense data does not come with the command: the status says that there is some, and the
 * guest asks for it by REQUEST SENSE, which is answered here.
 */
#include <string.h>

#include "ata.h"

#define REQUEST_SENSE 0x03

/* Why the device interrupts, in the count. */
#define REASON_COMMAND 0x01
#define REASON_INPUT 0x02
#define REASON_DONE (REASON_COMMAND | REASON_INPUT)

static void reply_sense(AtaReq *req)
{
    AtaDevice *ata = req->ata;
    uint32_t size = MIN(req->packet[4], ata->sense_size);

    ata->sense_size = 0;
    req->result.count = REASON_DONE;
    ata_reply(req, ata->sense, size);
}

void ata_packet(AtaReq *req)
{
    AtaDevice *ata = req->ata;
    ScsiReq *scsi = &req->scsi;

    if (req->packet[0] == REQUEST_SENSE && ata->sense_size && !req->packet_writes) {
        reply_sense(req);
        return;
    }
    ata->sense_size = 0;
    memset(scsi->cdb, 0, sizeof(scsi->cdb));
    memcpy(scsi->cdb, req->packet, ATA_CDB_SIZE);
    scsi->cdb_size = ATA_CDB_SIZE;
    scsi->in = scsi->out = req->iov;
    scsi->n_in = req->packet_writes ? 0 : req->n_iov;
    scsi->in_size = req->packet_writes ? 0 : req->size;
    scsi->n_out = req->packet_writes ? req->n_iov : 0;
    scsi->out_size = req->packet_writes ? req->size : 0;
    ata_submit(req, NULL);
}

static void fail(AtaReq *req, const uint8_t *sense)
{
    memcpy(req->ata->sense, sense, ATA_SENSE_SIZE);
    req->ata->sense_size = ATA_SENSE_SIZE;
    ata_fail(req, (uint8_t)(sense[2] << 4));
}

void ata_packet_done(AtaReq *req)
{
    static const uint8_t aborted[ATA_SENSE_SIZE] = { 0x70, 0, 0x0b, [7] = 10 };
    const ScsiReq *scsi = &req->scsi;

    req->result.count = REASON_DONE;
    if (scsi->outcome != SCSI_OUTCOME_STATUS) {
        req->overran = scsi->outcome == SCSI_OUTCOME_OVERRUN;
        fail(req, aborted);
    } else if (scsi->status != SCSI_STATUS_GOOD) {
        fail(req, scsi->sense_size ? scsi->sense : aborted);
    } else {
        req->n_moved = scsi->n_moved;
        ata_good(req);
    }
}
