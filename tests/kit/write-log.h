/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was written to an image and when it was flushed, so that a test can make of a copy
 * what a power cut might have left at any moment.
 *
 * A write is on stable storage when a flush that began after it had ended has ended, or
 * when it was asked to be (FUA).  Of all others, sectors are there or are not.
 *
 * An image may lie in more than one file: a flush of one says nothing of the others.
 */
#pragma once

#include "berth/inject.h"

typedef struct WriteLog WriteLog;

typedef enum PowerCut {
    POWER_CUT_KEEP,             /* all that was begun is there */
    POWER_CUT_DROP,             /* only what is on stable storage is there */
    POWER_CUT_SOME,             /* by chance */
} PowerCut;

#define WRITE_LOG_FILES 2u

/* Records from now on; nothing is under way on @inject. */
WriteLog *write_log_new(BlockNode *inject);
/* A second file, in one order with the first. */
void write_log_add(WriteLog *log, BlockNode *inject);
/* Ends that.  Nothing is under way. */
void write_log_free(WriteLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WriteLog, write_log_free)

/* Beginnings and ends so far: a moment.  Any thread. */
size_t write_log_length(WriteLog *log);

/*
 * Applies to @fds, copies of the files as they were when the log began, what a cut at
 * @moment leaves of them.  @rand decides what is left to chance.
 */
void write_log_cut(WriteLog *log, size_t moment, PowerCut cut, GRand *rand,
                   const int *fds);
