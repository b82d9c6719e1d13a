/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -drive: a drive, its block nodes and its device in one option.
 *
 * Reading one sorts its keys: those that DriveOptions names, and those of a block node,
 * of which DriveOptions.node is made.  So the rest of berth knows nodes, drives and
 * devices only.  Main only.
 */
#pragma once

#include "berth/block-drive.h"
#include "berth/device-globals.h"

/*
 * What @pairs say, with a name and a number that none of @others (of DriveOptions) has.
 * NULL with @error.
 */
DriveOptions *drive_options_parse(const JsonValue *pairs, const GPtrArray *others,
                                  GError **error);

/*
 * Its writes are to be thrown away, as with snapshot=on, unless it says something else
 * itself, is empty, or is only read.
 */
void drive_options_set_snapshot(DriveOptions *options);

/* The device that a drive of the interface virtio or ide is plugged into. */
DeviceAddArgs *drive_options_device(const DriveOptions *options,
                                    const DeviceGlobals *globals, GError **error);

/* What it says of the drive, lent. */
BlockDriveOptions drive_options_drive(const DriveOptions *options);

/* Makes the node and the drive; may block.  NULL with @error. */
BlockDrive *drive_options_make(BlockGraph *graph, const DriveOptions *options,
                               GError **error);
