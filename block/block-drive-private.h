/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives from within: what is told of them, and what changes them.  Main only.
 */
#pragma once

#include "berth/block-drive.h"

#include "block-private.h"

struct BlockDrive {
    BlockGraph *graph;
    ListNode graph_node;        /* in BlockGraph.drives */
    char *name;                 /* of -drive, or "" */
    char *qdev;                 /* NULL without a device, as the path */
    char *path;
    bool removable;
    BlockDrive **watcher;       /* who changes the medium; NULL there when it goes */
    bool write_through;
    BlockdevOnError on_read_error;
    BlockdevOnError on_write_error;
    const BlockDriveOps *ops;   /* NULL: there is no device */
    void *opaque;
    BlockUse *use;              /* NULL: there is no medium */
    BlockAccount account;
    BlockThrottle *throttle;    /* NULL: it has no limits */
    int io_status;              /* atomic; BlockDeviceIoStatus */
};

/* block-drive.c: main. */

void block_drive_free(BlockDrive *drive);
/* Whether an error may stop the machine, so that its io-status means something. */
bool block_drive_may_stop(const BlockDrive *drive);
