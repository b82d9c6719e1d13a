/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ATA device behind a port (ACS-3; for a CD drive, ATA8-ACS with PACKET): what its
 * commands do, without how they come.
 *
 *     fill in req->command, packet, tag
 *     ata_plan(ata, req, &plan)        what data it moves
 *     fill in req->iov, n_iov, size
 *     ata_start(req)
 *     ata->done(req)                   once, possibly before ata_start() returned
 *
 * All of it is called on the loop of the port, but where it says something else.  The
 * commands that need the medium become SCSI commands of the unit, which the port gets
 * back by ata_scsi_done().
 */
#pragma once

#include "berth/ata-unit.h"
#include "berth/device.h"
#include "berth/vmstate.h"

/* The status and error registers. */
enum {
    ATA_STATUS_ERR = 0x01,
    ATA_STATUS_DRQ = 0x08,
    ATA_STATUS_DSC = 0x10,
    ATA_STATUS_DRDY = 0x40,
    ATA_STATUS_BSY = 0x80,
    ATA_STATUS_READY = ATA_STATUS_DRDY | ATA_STATUS_DSC,
};

enum {
    ATA_ERROR_ABRT = 0x04,
    ATA_ERROR_IDNF = 0x10,
    ATA_ERROR_UNC = 0x40,
};

#define ATA_LBA_BITS 48
#define ATA_LBA_MASK ((1ull << ATA_LBA_BITS) - 1)
#define ATA_CDB_SIZE 12u
#define ATA_SENSE_SIZE SCSI_SENSE_SIZE
#define ATA_TRIM_SIZE (8u + 16u * (ATA_SECTOR_SIZE / 8))

/* What a command is started with. */
typedef struct AtaCommand {
    uint8_t command;
    uint8_t device;
    uint16_t features;
    uint16_t count;
    uint64_t lba;               /* three or six bytes of it */
} AtaCommand;

/* The registers at its end. */
typedef struct AtaResult {
    uint8_t status;
    uint8_t error;
    uint8_t device;
    uint16_t count;
    uint64_t lba;
} AtaResult;

typedef enum AtaProtocol {
    ATA_NO_DATA,
    ATA_PIO_IN,
    ATA_PIO_OUT,
    ATA_DMA_IN,
    ATA_DMA_OUT,
    ATA_QUEUED_IN,
    ATA_QUEUED_OUT,
    ATA_PACKET,
} AtaProtocol;

typedef struct AtaReq AtaReq;
typedef struct AtaDevice AtaDevice;
typedef struct AtaEntry AtaEntry;       /* a row of the table of commands */

typedef void AtaFn(AtaReq *req);

/* What data a command moves. */
typedef struct AtaPlan {
    AtaProtocol protocol;
    uint32_t size;              /* bytes; of PACKET, at most */
} AtaPlan;

struct AtaReq {
    ScsiReq scsi;
    AtaDevice *ata;

    /* The port's, before ata_plan(), and before ata_start(). */
    AtaCommand command;
    uint8_t packet[SCSI_CDB_MAX];
    uint8_t tag;
    bool packet_writes;         /* the data of PACKET goes to the device */
    struct iovec *iov;
    unsigned n_iov;
    uint32_t size;

    /* The device's, meanwhile. */
    const AtaEntry *entry;      /* NULL: it has no such command */
    uint64_t sector;
    uint32_t n_sectors;
    AtaFn *next;                /* when the unit has done its command well */

    /* How it ended, for done(). */
    AtaResult result;
    uint32_t n_moved;           /* bytes of data */
    bool overran;               /* there was more than the buffers hold */
};

struct AtaDevice {
    ScsiBus *bus;
    Device *unit;               /* NULL: the port has none */
    bool is_cd;
    void (*done)(AtaReq *req);
    uint8_t *trim;              /* ATA_TRIM_SIZE bytes, for one command at a time */
    struct iovec trim_iov;

    /* Saved. */
    uint8_t multiple;           /* sectors of a block of READ MULTIPLE */
    uint8_t dma_mode;           /* as SET FEATURES has it */
    bool smart;
    bool standby;
    uint8_t sense_size;         /* 0: there is none to ask for */
    uint8_t sense[ATA_SENSE_SIZE];
    bool queue_failed;          /* log 10h has: */
    uint8_t failed_tag;
    uint8_t failed_status;
    uint8_t failed_error;
    uint64_t failed_lba;
    uint16_t failed_count;
};

/* ata-device.c */

/* Main: the unit of the port comes and goes. */
bool ata_device_attach(AtaDevice *ata, ScsiBus *bus, Device *unit, GError **error);
void ata_device_detach(AtaDevice *ata);
/* While nothing is active: as after a reset of the link, or power-on. */
void ata_device_reset(AtaDevice *ata, bool power_on);
/* What the device is told by. */
AtaResult ata_device_signature(const AtaDevice *ata);
/* For the vmstate of the port. */
bool ata_device_check_loaded(const AtaDevice *ata, GError **error);
extern const VMStateDesc ata_device_vmstate;

/* The commands that do little. */
AtaFn ata_device_features, ata_device_multiple, ata_device_power, ata_device_check_power;
AtaFn ata_device_diagnose, ata_device_reset_command;

/* ata.c */

void ata_plan(AtaDevice *ata, AtaReq *req, AtaPlan *ret_plan);
void ata_start(AtaReq *req);
/* A SCSI command of the port's bus has ended. */
void ata_scsi_done(ScsiReq *req);

static inline bool ata_is_queued(AtaProtocol protocol)
{
    return protocol == ATA_QUEUED_IN || protocol == ATA_QUEUED_OUT;
}

static inline AtaReq *ata_req(ScsiReq *req)
{
    return CONTAINER_OF(req, AtaReq, scsi);
}

/* How a command ends. */
void ata_end(AtaReq *req);      /* with the result that is there */
AtaFn ata_good, ata_abort;
void ata_fail(AtaReq *req, uint8_t error);
/* Good, with data for the guest. */
void ata_reply(AtaReq *req, const void *data, size_t size);
/* Has the unit do req->scsi's CDB; @next, or how it failed, ends @req. */
void ata_submit(AtaReq *req, AtaFn *next);

/* ata-block.c */

AtaFn ata_block_read, ata_block_write, ata_block_write_fua, ata_block_verify;
AtaFn ata_block_queued_read, ata_block_queued_write, ata_block_seek;
AtaFn ata_block_flush, ata_block_trim, ata_block_native_max;
/* Has the unit write out its cache. */
void ata_block_flush_then(AtaReq *req, AtaFn *next);

/* ata-identify.c */
AtaFn ata_identify, ata_identify_packet;

/* ata-log.c */

AtaFn ata_log_read, ata_log_smart;
bool ata_log_smart_has_data(const AtaCommand *command);
/* A queued command has failed: what log 10h is to tell. */
void ata_log_note_failure(const AtaReq *req);

/* ata-packet.c */
AtaFn ata_packet;
void ata_packet_done(AtaReq *req);
