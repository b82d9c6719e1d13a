/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a job, and what drives it from one to the next.
 *
 * Invariants:
 * 1. From job_start() to CONCLUDED the job is a task of the graph, which ends it when the
 *    graph goes.
 * 2. While is_stepping the worker has the job's own memory; main touches only the fields
 *    that clients may ask to change.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/id.h"
#include "berth/thread.h"

#include "job.h"

#define MAX_JOBS 256u

#define BIT(status) (1u << JOB_STATUS_##status)

/* Those in which a job works, or rests on the way. */
#define ACTIVE (BIT(CREATED) | BIT(RUNNING) | BIT(PAUSED) | BIT(READY) | BIT(STANDBY))

static void set_status(Job *job, JobStatus status)
{
    job->status = status;
    job_qmp_tell(job);
}

static void free_job(Job *job)
{
    list_remove(&job->node);
    g_clear_error(&job->error);
    g_free(job->id);
    job->class->free(job);
}

static void forget(Job *job)
{
    set_status(job, JOB_STATUS_NULL);
    free_job(job);
}

static void conclude(Job *job)
{
    loop_message_cancel(job->graph->loop, &job->next);
    block_task_end(&job->task);
    job->class->end(job);
    set_status(job, JOB_STATUS_CONCLUDED);
    if (job->auto_dismiss)
        forget(job);
}

static void abort_job(Job *job)
{
    if (!job->error)
        error_set(&job->error, "cancelled");
    set_status(job, JOB_STATUS_ABORTING);
    conclude(job);
}

void job_set_progress(Job *job, uint64_t current, uint64_t total)
{
    __atomic_store_n(&job->total, total, __ATOMIC_RELAXED);
    __atomic_store_n(&job->current, current, __ATOMIC_RELAXED);
}

/* All is done. */
static void wait(Job *job)
{
    job_set_progress(job, job->total, job->total);
    set_status(job, JOB_STATUS_WAITING);
    set_status(job, JOB_STATUS_PENDING);
    if (job->auto_finalize)
        conclude(job);
}

static void on_step(void *opaque)
{
    Job *job = opaque;

    job->result = job->class->step(job);
}

static void on_stepped(void *opaque)
{
    Job *job = opaque;

    job->is_stepping = false;
    if (job->result == JOB_STEP_FAILED || job->is_cancelled)
        abort_job(job);
    else if (job->result == JOB_STEP_DONE)
        wait(job);
    else
        loop_post(job->graph->loop, &job->next);
}

static void step(Job *job)
{
    bool may_step = !job->class->may_step || job->class->may_step(job);

    if (may_step) {
        job->is_stepping = true;
        block_task_run(&job->task, on_step, on_stepped, job);
    } else if (job->error) {
        abort_job(job);
    }
}

static void on_next(void *opaque)
{
    Job *job = opaque;

    if (job->is_stepping)
        return;
    if (job->is_cancelled || job->error) {
        abort_job(job);
    } else if (job->is_paused) {
        if (job->status != JOB_STATUS_PAUSED)
            set_status(job, JOB_STATUS_PAUSED);
    } else {
        if (job->status != JOB_STATUS_RUNNING)
            set_status(job, JOB_STATUS_RUNNING);
        step(job);
    }
}

/* The graph goes; the last step has returned. */
static void on_cancel(BlockTask *task)
{
    Job *job = CONTAINER_OF(task, Job, task);

    job->is_stepping = false;
    if (!job->error)
        error_set(&job->error, "the machine ends");
    abort_job(job);
}

static bool check_id(BlockGraph *graph, const char *id, GError **error)
{
    unsigned n = 0;

    if (!id_check(id, "job-id", error))
        return false;
    if (job_find(graph, id)) {
        error_set(error, "parameter 'job-id': there is a job '%s' already", id);
        return false;
    }
    LIST_FOREACH(at, &graph->jobs) {
        n++;
    }
    if (n < MAX_JOBS)
        return true;
    error_set(error, "there are %u jobs already; those that have ended wait for "
              "job-dismiss", MAX_JOBS);
    return false;
}

bool job_init(Job *job, const JobClass *class, BlockGraph *graph, const char *id,
              GError **error)
{
    assert_main();
    if (!check_id(graph, id, error))
        return false;
    job->class = class;
    job->graph = graph;
    job->id = g_strdup(id);
    job->auto_finalize = true;
    job->auto_dismiss = true;
    job->total = 1;
    loop_message_init(&job->next, on_next, job);
    list_append(&graph->jobs, &job->node);
    return true;
}

void job_start(Job *job)
{
    block_task_begin(&job->task, job->graph, on_cancel);
    set_status(job, JOB_STATUS_CREATED);
    set_status(job, JOB_STATUS_RUNNING);
    loop_post(job->graph->loop, &job->next);
}

void job_go_on(Job *job)
{
    loop_post(job->graph->loop, &job->next);
}

Job *job_find(BlockGraph *graph, const char *id)
{
    LIST_FOREACH(at, &graph->jobs) {
        Job *job = CONTAINER_OF(at, Job, node);

        if (strcmp(job->id, id) == 0)
            return job;
    }
    return NULL;
}

JobInfo *job_info(const Job *job)
{
    JobInfo *info = g_new0(JobInfo, 1);

    info->id = g_strdup(job->id);
    info->type = job->class->type;
    info->status = job->status;
    info->current_progress = (int64_t)__atomic_load_n(&job->current, __ATOMIC_RELAXED);
    info->total_progress = (int64_t)__atomic_load_n(&job->total, __ATOMIC_RELAXED);
    if (!job->is_stepping && job->error)
        info->error = g_strdup(job->error->message);
    return info;
}

static bool check(const Job *job, unsigned allowed, const char *what, GError **error)
{
    if (allowed & 1u << job->status)
        return true;
    error_set(error, "job '%s' cannot be %s: it is %s", job->id, what,
              JobStatus_str(job->status));
    return false;
}

bool job_pause(Job *job, GError **error)
{
    if (!check(job, ACTIVE, "paused", error))
        return false;
    if (job->is_paused) {
        error_set(error, "job '%s' is paused already", job->id);
        return false;
    }
    job->is_paused = true;
    return true;
}

bool job_resume(Job *job, GError **error)
{
    if (!check(job, ACTIVE, "resumed", error))
        return false;
    if (!job->is_paused) {
        error_set(error, "job '%s' is not paused", job->id);
        return false;
    }
    job->is_paused = false;
    job_go_on(job);
    return true;
}

bool job_cancel(Job *job, GError **error)
{
    if (!check(job, ACTIVE | BIT(WAITING) | BIT(PENDING), "cancelled", error))
        return false;
    job->is_cancelled = true;
    if (job->status == JOB_STATUS_PENDING)
        abort_job(job);
    else
        job_go_on(job);
    return true;
}

bool job_complete(Job *job, GError **error)
{
    return check(job, BIT(READY), "completed", error);
}

bool job_finalize(Job *job, GError **error)
{
    if (!check(job, BIT(PENDING), "finalized", error))
        return false;
    conclude(job);
    return true;
}

bool job_dismiss(Job *job, GError **error)
{
    if (!check(job, BIT(CONCLUDED), "dismissed", error))
        return false;
    forget(job);
    return true;
}

void job_free_all(BlockGraph *graph)
{
    LIST_FOREACH(at, &graph->jobs) {
        free_job(CONTAINER_OF(at, Job, node));
    }
}
