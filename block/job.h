/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: work that takes long, in steps, while a guest runs and clients watch.
 *
 * A step is done by a worker, and is bounded: in time as far as the storage answers, and
 * in memory.  Between two steps the job is main's, which pauses it, slows it down or ends
 * it; so a step holds no lock and asks nobody, and guests' requests to the same storage
 * have their turn.
 *
 *     created -> running -----------> waiting -> pending -> concluded -> null
 *                 |    ^                 |          |           ^
 *                 v    |                 v          v           |
 *                paused                  aborting --------------+
 *
 * Main only, except where said.
 */
#pragma once

#include "block-change.h"

typedef struct Job Job;

typedef enum JobStep {
    JOB_STEP_MORE,
    JOB_STEP_DONE,
    JOB_STEP_FAILED,            /* with job->error */
} JobStep;

typedef struct JobClass {
    JobType type;
    /*
     * Main.  Whether a step may be done now; if not, there is an error, or job_go_on()
     * comes when it may.  NULL: always.
     */
    bool (*may_step)(Job *job);
    /* A worker; may block.  Does a part of the work. */
    JobStep (*step)(Job *job);
    /* It has ended, or never began; what it holds is let go. */
    void (*end)(Job *job);
    /* Frees the struct that the job is in. */
    void (*free)(Job *job);
} JobClass;

struct Job {
    const JobClass *class;
    BlockGraph *graph;
    ListNode node;              /* in BlockGraph.jobs */
    char *id;
    JobStatus status;
    bool auto_finalize;
    bool auto_dismiss;
    bool is_paused;             /* by a client */
    bool is_cancelled;
    bool is_stepping;           /* a worker has it */
    JobStep result;             /* of the last step */
    GError *error;              /* the step's while one is under way */
    uint64_t current;           /* atomic: progress */
    uint64_t total;             /* atomic */
    BlockTask task;
    LoopMessage next;           /* do a step */
};

/*
 * Enters @job, whose memory is zero but for what the class has beside it, under the name
 * @id.  False with @error, and the job is still the caller's to free.
 */
bool job_init(Job *job, const JobClass *class, BlockGraph *graph, const char *id,
              GError **error);
/*
 * The job is the graph's from now on.  When it has an error already, it is one that
 * fails.
 */
void job_start(Job *job);
/* A step that may_step() was against may be done. */
void job_go_on(Job *job);

Job *job_find(BlockGraph *graph, const char *id);
JobInfo *job_info(const Job *job);

/* What clients ask of a job; false with @error when it is not in a state for that. */
bool job_pause(Job *job, GError **error);
bool job_resume(Job *job, GError **error);
bool job_cancel(Job *job, GError **error);
bool job_complete(Job *job, GError **error);
bool job_finalize(Job *job, GError **error);
bool job_dismiss(Job *job, GError **error);

/* The graph goes, and no task is left. */
void job_free_all(BlockGraph *graph);

/* Any thread. */

void job_set_progress(Job *job, uint64_t current, uint64_t total);

/* job-qmp.c: main. */
void job_qmp_tell(const Job *job);
