/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI between what carries it (an HBA such as virtio-scsi) and logical units (SAM-5).
 *
 * An HBA embeds a ScsiBus, on which units are plugged, and runs requests on one or more
 * loops.  A request is a piece of the HBA's memory; nothing is allocated for one.
 *
 *     fill in req->tag, cdb, buffers
 *     scsi_bus_start(bus, loop, target, lun, req);
 *     hba->done(bus, req)             once, possibly before scsi_bus_start returned
 *
 * A unit has a part on each loop (ScsiLane), so that a READ or a WRITE takes no lock,
 * whichever loop it is on.
 */
#pragma once

#include "berth/block.h"
#include "berth/bus.h"
#include "berth/iov.h"

#define SCSI_CDB_MAX 16u
#define SCSI_SENSE_SIZE 18u
#define SCSI_MAX_TARGET 255u
#define SCSI_MAX_LUN 16383u

typedef struct ScsiBus ScsiBus;
typedef struct ScsiCancel ScsiCancel;
typedef struct ScsiLane ScsiLane;
typedef struct ScsiReq ScsiReq;
typedef struct ScsiTable ScsiTable;

/* SAM-5, 5.3.1. */
typedef enum ScsiStatus {
    SCSI_STATUS_GOOD = 0x00,
    SCSI_STATUS_CHECK_CONDITION = 0x02,
    SCSI_STATUS_BUSY = 0x08,
} ScsiStatus;

/* How a request ended. */
typedef enum ScsiOutcome {
    SCSI_OUTCOME_STATUS,        /* the unit answered: req->status and sense */
    SCSI_OUTCOME_BAD_TARGET,    /* there is none to answer */
    SCSI_OUTCOME_OVERRUN,       /* the command moves more than the buffers hold */
    SCSI_OUTCOME_ABORTED,       /* by task management */
    SCSI_OUTCOME_RESET,         /* so was its unit */
} ScsiOutcome;

typedef void ScsiFn(ScsiReq *req);

struct ScsiReq {
    /* The HBA's, before scsi_bus_start(). */
    uint64_t tag;
    uint8_t cdb[SCSI_CDB_MAX];  /* zeros behind what was sent */
    uint8_t cdb_size;           /* bytes that were sent */
    struct iovec *out;          /* data for the unit; lent, cut and put back meanwhile */
    struct iovec *in;           /* data of the unit */
    unsigned n_out;
    unsigned n_in;
    uint32_t out_size;
    uint32_t in_size;

    /* How it ended, for done(). */
    ScsiOutcome outcome;
    uint8_t status;             /* ScsiStatus */
    uint8_t sense_size;         /* bytes of sense, 0 or SCSI_SENSE_SIZE */
    uint8_t sense[SCSI_SENSE_SIZE];
    uint32_t n_moved;           /* bytes of data, either way */

    /* The unit's, meanwhile. */
    ScsiLane *lane;
    ListNode node;              /* in a list of the lane */
    uint64_t serial;            /* counts the requests of the lane */
    ScsiOutcome cancelled;      /* how it is to end; STATUS: as it does */
    ScsiFn *next;               /* what is to be done next */
    BlockReq *block;
    BlockReq *submitted;        /* NULL: no I/O is under way */
    IovSlice slice;
    bool sliced;
    bool has_pattern;           /* the lane's is this one's */
    struct iovec pattern;
    ScsiReq *next_step;         /* in ScsiLane.steps */
    uint32_t length;            /* bytes of data that the CDB says */
    uint64_t at;                /* of a command in several steps: the next byte */
    uint64_t left;
};

/* What changed of a unit; for asynchronous events. */
typedef enum ScsiChange {
    SCSI_CHANGE_ADDED,
    SCSI_CHANGE_REMOVED,
    SCSI_CHANGE_CAPACITY,
} ScsiChange;

typedef struct ScsiHba {
    /* The request's loop. */

    /* @req has ended. */
    void (*done)(ScsiBus *bus, ScsiReq *req);
    /* @req is to be started anew when the machine goes on: it is the HBA's again. */
    void (*hold)(ScsiBus *bus, ScsiReq *req);
    /* One that was held is to end now after all; done() follows. */
    void (*unhold)(ScsiBus *bus, ScsiReq *req);
    /* Starts all requests on loop number @loop that the guest has made available. */
    void (*fetch)(ScsiBus *bus, unsigned loop);

    /* Main. */

    void (*changed)(ScsiBus *bus, unsigned target, unsigned lun, ScsiChange change);
    /* An ATA port: @unit is made, and is gone; ata-unit.h */
    bool (*attach)(ScsiBus *bus, Device *unit, GError **error);
    void (*detach)(ScsiBus *bus);
} ScsiHba;

typedef struct ScsiLoop {
    Loop *loop;
    bool stopping;              /* the loop's: the HBA's queues there stop */
} ScsiLoop;

struct ScsiBus {
    Bus bus;
    const ScsiHba *hba;
    ScsiLoop *loops;            /* distinct */
    unsigned n_loops;
    unsigned depth;             /* requests of a unit on one loop at a time; more wait */
    bool clips;                 /* data of a unit may be more than its buffers hold */
    ScsiTable *table;           /* atomic: the units, sorted; changed by main */
};

/* Main only. */

/*
 * The bus of @owner, a device that is being realized, whose requests come on @loops (of
 * Loop, distinct, lent).
 */
bool scsi_bus_init(ScsiBus *bus, Device *owner, const ScsiHba *hba,
                   const GPtrArray *loops, unsigned depth, GError **error);
/* No effect on one that is zero. */
void scsi_bus_done(ScsiBus *bus);

/* Where @dev, which is on a ScsiBus, is. */
void scsi_unit_place(const Device *dev, unsigned *ret_target, unsigned *ret_lun);

/* The request's loop. */

void scsi_bus_start(ScsiBus *bus, unsigned loop, unsigned target, unsigned lun,
                    ScsiReq *req);
/* The same for the REPORT LUNS well known logical unit of virtio-scsi. */
void scsi_bus_start_well_known(ScsiBus *bus, ScsiReq *req);
/*
 * The HBA's queues on the loop stop: requests that wait are held, and those that were
 * held are the HBA's alone.
 */
void scsi_bus_stop(ScsiBus *bus, unsigned loop);
bool scsi_bus_has_target(const ScsiBus *bus, unsigned target);
bool scsi_bus_has_unit(const ScsiBus *bus, unsigned target, unsigned lun);

/* Which requests task management is about (SAM-5, chapter 7). */
typedef struct ScsiTasks {
    unsigned target;
    unsigned lun;
    bool all_units;             /* of the target; @lun does not count */
    bool all_tags;
    uint64_t tag;
    bool only_count;            /* QUERY TASK, QUERY TASK SET */
    ScsiOutcome outcome;        /* how they end */
} ScsiTasks;

/* @n_found of the tasks were there. */
typedef void ScsiCancelFn(void *opaque, unsigned n_found);

/*
 * The loop number 0: ends @tasks, and calls @fn there when none of them is under way any
 * more, possibly at once.  One whose I/O the host's disk does not answer is under way.
 */
void scsi_cancel_tasks(ScsiBus *bus, const ScsiTasks *tasks, ScsiCancelFn *fn,
                     void *opaque);
/* The loop number 0: units are as after a reset, or a loss of the nexus. */
void scsi_bus_reset_units(ScsiBus *bus, const ScsiTasks *tasks, bool nexus);
/* The same of all, as after power-on, while the HBA's queues stand still. */
void scsi_bus_reset(ScsiBus *bus);

extern const DeviceClass scsi_hd_class;
extern const DeviceClass scsi_cd_class;
