/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of virtio-scsi: commands on its request queues, task management, events.
 */
#pragma once

#include <linux/virtio_scsi.h>

#include "kit-virtio.h"

#define KIT_SCSI_QUEUES 2u              /* of requests, as many as the device has */
#define KIT_SCSI_SLOTS 8u               /* commands at a time, on any queue */
#define KIT_SCSI_DATA 0x20000u          /* bytes of a command's memory */
#define KIT_SCSI_EVENTS 4u              /* buffers for events */
#define KIT_SCSI_RING 64u

typedef struct KitScsi {
    KitBoard *kit;
    KitVirtio *v;
    unsigned n_queues;
    KitQueue control;
    KitQueue events;
    KitQueue requests[KIT_SCSI_QUEUES];
    bool busy[KIT_SCSI_SLOTS];
} KitScsi;

typedef struct KitScsiCommand {
    uint8_t cdb[16];
    uint32_t out_size;          /* bytes of the slot's memory for the unit */
    uint32_t in_size;
    uint8_t target;
    uint16_t lun;
    uint64_t tag;
    unsigned queue;             /* 0 is the first of requests */
} KitScsiCommand;

typedef struct KitScsiResult {
    uint8_t response;           /* VIRTIO_SCSI_S_* */
    uint8_t status;
    uint32_t sense;             /* 0xKKAAQQ, 0 when there is none */
    uint32_t resid;
    uint32_t n_written;         /* bytes, as the used ring says */
} KitScsiResult;

/* A command to LUN 0 of target 0, in hexadecimal digits and spaces, and its sense. */
typedef struct KitScsiSense {
    const char *cdb;
    uint32_t out_size;
    uint32_t in_size;
    uint32_t sense;             /* 0xKKAAQQ, 0 when it succeeds */
} KitScsiSense;

/* Starts the driver of device @id, which has 1 or 2 request queues. */
KitScsi *kit_scsi_new(KitBoard *kit, const char *id);
void kit_scsi_free(KitScsi *scsi);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitScsi, kit_scsi_free)
/* Resets the device and starts anew; commands are forgotten. */
void kit_scsi_restart(KitScsi *scsi);

/* The address of a unit as virtio-scsi has it. */
void kit_scsi_address(uint8_t *to, uint8_t target, uint16_t lun);

/* Memory of a slot, for what its command writes or reads. */
uint8_t *kit_scsi_data(KitScsi *scsi, unsigned slot);
void kit_scsi_submit(KitScsi *scsi, unsigned slot, const KitScsiCommand *command);
/* A command that has ended; false when there is none now. */
bool kit_scsi_take(KitScsi *scsi, unsigned *ret_slot, KitScsiResult *ret_result);
/* The same, and turns the loops until one has; its slot. */
unsigned kit_scsi_wait(KitScsi *scsi, KitScsiResult *ret_result);
/* In slot 0, and waits for it. */
KitScsiResult kit_scsi_ask(KitScsi *scsi, const KitScsiCommand *command);

/* The same, to LUN 0 of target 0: its sense, 0 when it succeeded. */
uint32_t kit_scsi_sense(KitScsi *scsi, const char *cdb_hex, uint32_t out_size,
                        uint32_t in_size);
/* Each of @rows has the sense that it says. */
void kit_scsi_check_senses(KitScsi *scsi, const KitScsiSense *rows, size_t n);
/* The command succeeds with @size bytes of data. */
const uint8_t *kit_scsi_get(KitScsi *scsi, const char *cdb_hex, uint32_t size);
/* TEST UNIT READY until there is no unit attention. */
void kit_scsi_clear(KitScsi *scsi, uint8_t target, uint16_t lun);

/* Blocks of 512 bytes of LUN 0 of target 0, by READ(10) and WRITE(10). */
const uint8_t *kit_scsi_read(KitScsi *scsi, uint32_t lba, uint16_t n);
void kit_scsi_write(KitScsi *scsi, uint32_t lba, uint8_t value, uint16_t n);

/* Asks for task management, and takes the answer; false when there is none yet. */
void kit_scsi_submit_task(KitScsi *scsi, uint32_t subtype, uint8_t target, uint16_t lun,
                          uint64_t tag);
bool kit_scsi_take_task(KitScsi *scsi, uint8_t *ret_response);
uint8_t kit_scsi_task(KitScsi *scsi, uint32_t subtype, uint8_t target, uint16_t lun,
                      uint64_t tag);

/* The next event, whose buffer is offered again; false when there is none. */
bool kit_scsi_event(KitScsi *scsi, struct virtio_scsi_event *ret_event);
