/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"

#include "job.h"
#include "qapi-events.h"
#include "qmp-commands.h"

void job_qmp_tell(const Job *job)
{
    JobStatusChangeEvent event = { .id = job->id, .status = job->status };

    if (job->graph->events)
        qapi_event_job_status_change(job->graph->events, &event);
}

JobInfoList *qmp_query_jobs(QmpContext *ctx, GError **error)
{
    JobInfoList *list = JobInfoList_new();

    for (ListNode *at = ctx->blocks->jobs.prev; at != &ctx->blocks->jobs; at = at->prev)
        JobInfoList_append(list, job_info(CONTAINER_OF(at, Job, node)));
    return list;
}

typedef bool JobFn(Job *job, GError **error);

static bool call(QmpContext *ctx, const char *id, JobFn *fn, GError **error)
{
    Job *job = job_find(ctx->blocks, id);

    if (job)
        return fn(job, error);
    error_set(error, "there is no job '%s'", id);
    return false;
}

bool qmp_job_pause(QmpContext *ctx, const JobPauseArgs *args, GError **error)
{
    return call(ctx, args->id, job_pause, error);
}

bool qmp_job_resume(QmpContext *ctx, const JobResumeArgs *args, GError **error)
{
    return call(ctx, args->id, job_resume, error);
}

bool qmp_job_cancel(QmpContext *ctx, const JobCancelArgs *args, GError **error)
{
    return call(ctx, args->id, job_cancel, error);
}

bool qmp_job_complete(QmpContext *ctx, const JobCompleteArgs *args, GError **error)
{
    return call(ctx, args->id, job_complete, error);
}

bool qmp_job_finalize(QmpContext *ctx, const JobFinalizeArgs *args, GError **error)
{
    return call(ctx, args->id, job_finalize, error);
}

bool qmp_job_dismiss(QmpContext *ctx, const JobDismissArgs *args, GError **error)
{
    return call(ctx, args->id, job_dismiss, error);
}
