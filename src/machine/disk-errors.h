/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of disks, from the loops on which they happen to main, which tells clients and
 * stops the machine.
 */
#pragma once

#include "berth/board.h"
#include "berth/runstate.h"

typedef struct DiskErrors DiskErrors;

/* Main only. */

/* @run is lent. */
DiskErrors *disk_errors_new(RunControl *run);
/* Every disk is gone.  Accepts NULL. */
void disk_errors_free(DiskErrors *errors);

/* Any thread; returns at once.  @error is lent. */
void disk_errors_add(DiskErrors *errors, const BoardIoError *error);
