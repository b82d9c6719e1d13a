/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drive: what a disk device has its medium in.  It outlives the medium, and is what
 * query-block lists and query-blockstats counts for.
 *
 *     drive = block_drive_attach(graph, props->drive, &device, error);
 *     block_drive_insert(drive, block_drive_node(drive), wants, permits, error);
 *     use = block_drive_use(drive);           channels, block.h
 *     ...
 *     block_drive_detach(drive, true);
 *
 * A drive is made with its device, or before it by -drive, which gives it a name.
 */
#pragma once

#include "berth/block.h"

typedef struct BlockDrive BlockDrive;

/* What a drive's device tells of it. */
typedef struct BlockDriveState {
    bool write_back;            /* writes need a flush to be durable */
    bool has_tray;
    bool tray_open;
    bool locked;                /* the guest keeps the medium in */
} BlockDriveState;

typedef struct BlockDriveOps {
    BlockUseOps use;
    /* Main. */
    void (*query)(void *opaque, BlockDriveState *ret_state);
    /*
     * Main; NULL where the medium cannot be taken out.  Opens or closes the tray; false
     * when the guest keeps it shut, which then is asked to open it.
     */
    bool (*move_tray)(void *opaque, bool open, bool forces);
    /* Nothing of the medium is under way: lets go of it by block_drive_eject(). */
    void (*remove)(void *opaque);
    /* There is no medium: takes @node by block_drive_insert(). */
    bool (*insert)(void *opaque, BlockNode *node, GError **error);
} BlockDriveOps;

typedef struct BlockDriveDevice {
    /* The device's id or path as clients name it; copied. */
    const char *qdev;
    /* Its path in the tree, which clients may use as well; copied. */
    const char *path;
    bool removable;
    /* As its properties say; auto: as the drive does, or the default. */
    BlockdevOnError on_read_error;
    BlockdevOnError on_write_error;
    const BlockDriveOps *ops;
    void *opaque;
} BlockDriveDevice;

/* What -drive says of a drive. */
typedef struct BlockDriveOptions {
    const char *name;           /* copied */
    BlockdevOnError on_read_error;
    BlockdevOnError on_write_error;
    const DriveThrottling *throttling;  /* limits, lent; NULL: there are none */
    bool write_through;         /* unless the device says: writes need no flush */
} BlockDriveOptions;

/* Bytes, as a device's properties have them; 0 for none. */
typedef struct BlockDriveSizes {
    uint64_t logical_block;
    uint64_t physical_block;
    uint64_t min_io;
    uint64_t opt_io;
    uint64_t discard_granularity;
} BlockDriveSizes;

/* Whether they go together; @error names the property that does not. */
bool block_drive_check_sizes(const BlockDriveSizes *sizes, GError **error);

/* Main only. */

/*
 * A drive that waits for its device.  @node, NULL for no medium, was added to the graph
 * and goes with the drive from now on, also on an error.
 */
BlockDrive *block_drive_new(BlockGraph *graph, const BlockDriveOptions *options,
                            BlockNode *node, GError **error);
/* @error, lent, says why there is no drive. */
typedef void BlockDriveAddedFn(void *opaque, const GError *error);
/*
 * The same while the machine runs, with a node of @node, which a worker opens; NULL: no
 * medium.  @done is called once, perhaps at once.
 */
void block_drive_add(BlockGraph *graph, const BlockDriveOptions *options,
                     const BlockdevOptions *node, BlockDriveAddedFn *done, void *opaque);
/* Removes a drive that waits for its device, and its node; false with @error. */
bool block_drive_del(BlockGraph *graph, const char *name, GError **error);
/*
 * The drive for a device: that of the name @drive, or a new one for the block node of
 * that name; NULL: a new one, empty.  NULL with @error.
 */
BlockDrive *block_drive_attach(BlockGraph *graph, const char *drive,
                               const BlockDriveDevice *device, GError **error);
/*
 * The device goes; the use's channels are gone.  When it @was_there for the guest, the
 * drive goes with it and so do the nodes that -drive made; else a drive with a name waits
 * for another device.  Accepts NULL.
 */
void block_drive_detach(BlockDrive *drive, bool was_there);

/*
 * Uses @node as the medium.  @wants and @permits as of block_use_new(); false with @error
 * and the drive as before.
 */
bool block_drive_insert(BlockDrive *drive, BlockNode *node, uint8_t wants,
                        uint8_t permits, GError **error);
/* The medium is taken out; the use's channels are gone. */
void block_drive_eject(BlockDrive *drive);
/* NULL: there is no medium. */
BlockUse *block_drive_use(const BlockDrive *drive);
BlockNode *block_drive_node(const BlockDrive *drive);

/*
 * The descriptor of a file of the host that has the medium's bytes, each at its offset,
 * and is its node's; -1: there is none, or more is between.
 */
int block_host_file_of(const BlockDrive *drive);

/* Whether writes need a flush, where the device does not say. */
bool block_drive_is_write_back(const BlockDrive *drive);

/*
 * Limits for the drive and all in its group, which is made if there is none of that name.
 * No limits: it leaves the one it is in.  False with @error and nothing changed.
 */
bool block_drive_set_throttle(BlockDrive *drive, const DriveThrottling *throttling,
                              GError **error);

/* The name of -drive, or "". */
const char *block_drive_name(const BlockDrive *drive);

/* The drive that clients name @id: by its name, its device's id or path.  NULL: none. */
BlockDrive *block_drive_find(BlockGraph *graph, const char *id);

/* The machine goes on: what failed is tried again. */
void block_drive_reset_errors(BlockGraph *graph);

/* Any thread. */

/* What is to be done about a failed request; one that stops the machine is remembered. */
BlockErrorAction block_drive_on_error(BlockDrive *drive, bool is_write, int errnum);
