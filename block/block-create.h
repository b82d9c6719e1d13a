/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job that makes an image: what is common to all kinds (block-create-qmp.c), and what
 * each does on a worker.
 */
#pragma once

#include "berth/block-quiesce.h"

#include "block-open.h"
#include "job.h"

typedef enum BlockCreateStage {
    BLOCK_CREATE_OPEN,          /* a worker opens the node that was defined inside */
    BLOCK_CREATE_TAKE,          /* main takes the node */
    BLOCK_CREATE_QUIET,         /* it is to become quiet */
    BLOCK_CREATE_WORK,
} BlockCreateStage;

typedef struct BlockCreate {
    Job job;
    BlockdevCreateOptions *options;
    BlockCreateStage stage;
    BlockOpen *open;            /* NULL: none, or it is in the graph */
    BlockNode *file;            /* the node below, held; NULL for a file of the host */
    BlockUse *use;
    BlockOpen *open_data;       /* the same of the data file, if there is one */
    BlockNode *data;
    BlockUse *use_data;
    BlockHold hold;
    BlockQuiesce *quiesce;
    int fd;                     /* of a file of the host */
    uint64_t done;              /* bytes, or the next step */
    void *state;                /* of the kind; freed with the job */
} BlockCreate;

/* Workers: steps of the job in stage WORK. */

/* file-create.c */
JobStep file_create_step(BlockCreate *create, const BlockdevCreateOptionsFile *options);
/* qcow2-create.c */
JobStep qcow2_create_step(BlockCreate *create, const BlockdevCreateOptionsQcow2 *options);
