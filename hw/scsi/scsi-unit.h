/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logical units, as the files of this folder share them.  A unit is a disk (scsi-hd) or
 * a CD drive (scsi-cd).
 *
 * Threads.  A lane is its loop's, but for what is said to be atomic.  Main changes a
 * lane's channel on the lane's loop.  Flags of the unit are atomic: any loop may change
 * them at a command's wish.
 */
#pragma once

#include "berth/block-drive.h"
#include "berth/device.h"
#include "berth/scsi.h"

#include "scsi-sense.h"

/* What VPD page B0h says, and what is refused beyond it. */
#define SCSI_MAX_UNMAP_DESCRIPTORS 255u
#define SCSI_MAX_WRITE_SAME (2 * GIB)

typedef struct ScsiUnit ScsiUnit;

struct ScsiLane {
    ScsiUnit *unit;
    unsigned loop;              /* its number */
    BlockChannel *channel;      /* NULL: no medium */
    ListNode active;            /* of ScsiReq.node: under way */
    ListNode waiting;           /* for a block request */
    ListNode held;              /* until the queues stop and run again */
    ListNode cancels;           /* of CancelPart, scsi-cancel.c */
    uint64_t next_serial;
    unsigned n_reqs;            /* atomic: active and waiting */
    uint8_t *pattern;           /* of a WRITE SAME; NULL: none is under way */
    ScsiReq *steps;             /* one I/O of theirs is done, and there are more */
    LoopMessage step;           /* to the loop: go on with them */
};

struct ScsiUnit {
    Device dev;
    const ScsiUnitProps *props; /* lent: of dev->args */
    const ScsiHdProps *hd;      /* the same of a disk, NULL of a CD drive */
    uint16_t target;
    uint16_t lun;
    bool has_tray;
    uint32_t told_attentions;   /* those that the guest is told of */
    uint32_t block_size;
    uint32_t physical_block_size;
    uint32_t discard_granularity;       /* bytes; 0: not thin */
    char *device_id;            /* NULL for none */
    ScsiLane *lanes;            /* of each of the bus's loops */
    unsigned n_lanes;

    /* Atomic. */
    uint32_t attentions;
    uint32_t medium_events;
    uint64_t n_blocks;
    bool is_read_only;          /* the medium */
    bool write_cache;           /* writes are durable after a flush */
    bool has_medium;
    bool tray_open;
    bool locked;                /* the guest prevents its removal */
    bool tray_was_opened;       /* and may have been closed since; main clears */
    bool leaving;               /* main waits for the last request to end */

    /* Main. */
    BlockDrive *drive;
    bool shown_open;            /* as clients know the tray */
    LoopMessage to_main;        /* the tray moved, or a request ended while leaving */
};

static inline ScsiUnit *scsi_unit(Device *dev)
{
    return CONTAINER_OF(dev, ScsiUnit, dev);
}

static inline ScsiBus *scsi_unit_bus(const ScsiUnit *unit)
{
    return CONTAINER_OF(unit->dev.bus, ScsiBus, bus);
}

static inline ScsiUnit *scsi_req_unit(const ScsiReq *req)
{
    return req->lane->unit;
}

static inline bool scsi_flag(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static inline void scsi_set_flag(bool *flag, bool value)
{
    __atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

/* scsi-lane.c: the lane's loop */

/* Goes on with lane->steps; a LoopFn. */
void scsi_lane_step(void *lane);
/* Starts what waits for a block request. */
void scsi_lane_ready(ScsiLane *lane);
/* There is no channel any more: what waits fails. */
void scsi_lane_lose_medium(ScsiLane *lane);
/* The HBA's queues stop: what waits is held, what was held is the HBA's alone. */
void scsi_lane_stop(ScsiLane *lane);
/* They go on. */
void scsi_lane_go_on(ScsiLane *lane);
/* The unit is gone: what waits ends. */
void scsi_lane_close(ScsiLane *lane);

/* Any thread: has the guest told. */
void scsi_unit_attention(ScsiUnit *unit, uint32_t attentions);
/* Takes the most important one; SCSI_SENSE_NONE when there is none. */
ScsiSense scsi_unit_take_attention(ScsiUnit *unit);

/* scsi-cancel.c: a request of the lane has ended. */
void scsi_cancel_check(ScsiLane *lane);
/* @req has ended, or is held; before anybody is told. */
void scsi_cancel_note_end(ScsiReq *req);

/* scsi-bus.c: main */

/* The unit's place on its bus, as its properties say. */
bool scsi_bus_choose_place(ScsiBus *bus, ScsiUnit *unit, GError **error);
/* The loop: calls @fn for the units of @tasks. */
typedef void ScsiLaneFn(ScsiLane *lane, void *opaque);
void scsi_bus_foreach(ScsiBus *bus, unsigned loop, const ScsiTasks *tasks,
                      ScsiLaneFn *fn, void *opaque);

/* Any loop, or main: sets and clears attentions of all units of @target. */
void scsi_bus_attention(ScsiBus *bus, unsigned target, uint32_t set, uint32_t clear);
/* The first unit at or behind *@target and *@lun; false when there is none. */
bool scsi_bus_next(const ScsiBus *bus, unsigned *target, unsigned *lun);

/* scsi-target.c: what the target of @req answers for a unit that it has not. */
void scsi_target_start(ScsiBus *bus, unsigned target, unsigned lun, ScsiReq *req);
void scsi_target_start_well_known(ScsiBus *bus, ScsiReq *req);

/*
 * scsi-unit.c, main: what a class of units is made of.  @hd is NULL for a CD drive, and
 * else begins with @props.
 */
bool scsi_unit_realize(ScsiUnit *unit, const ScsiUnitProps *props, const ScsiHdProps *hd,
                       GError **error);
void scsi_unit_unrealize(Device *dev);
void scsi_unit_power_on(Device *dev);
bool scsi_unit_is_draining(Device *dev);
bool scsi_unit_check_text(const char *name, const char *text, size_t max, GError **error);
extern const VMStateDesc scsi_unit_vmstate;

/* Any thread: as after power-on, and @attention is to be told. */
void scsi_unit_reset(ScsiUnit *unit, uint32_t attention);
/* Whether it begins with one. */
bool scsi_unit_wants_write_cache(const ScsiUnit *unit);
/* Main: requests that are under way, on all loops. */
unsigned scsi_unit_n_reqs(const ScsiUnit *unit);

/* scsi-medium.c */

/* Main, while the machine does not run: the tray is closed. */
void scsi_medium_reset(ScsiUnit *unit);
/* Main: takes @node as the medium; false with @error, and nothing changed. */
bool scsi_medium_insert(ScsiUnit *unit, BlockNode *node, GError **error);
/* Main: no request of the unit is under way.  Accepts that there is none. */
void scsi_medium_drop(ScsiUnit *unit);
/* Main: the message of ScsiUnit.to_main. */
void scsi_medium_on_message(void *unit);

extern const BlockDriveOps scsi_medium_drive_ops;
