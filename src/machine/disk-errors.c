/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that fails every request of a guest that never ends asking keeps no more events
 * than a few: the rest are told by the next of its kind.
 */
#include <errno.h>

#include "berth/error.h"
#include "berth/loop.h"
#include "berth/thread.h"

#include "qapi-events.h"

#include "disk-errors.h"

#define MAX_WAITING 64u

struct DiskErrors {
    RunControl *run;
    LoopMessage message;
    GMutex lock;                /* a leaf */

    /* Under the lock. */
    GQueue waiting;             /* of BlockIoErrorEvent */
    bool stops;                 /* the machine is to be stopped */
};

static void free_event(gpointer event)
{
    qapi_free(QAPI_TYPE_BLOCK_IO_ERROR_EVENT, event);
}

static void on_errors(void *opaque)
{
    DiskErrors *errors = opaque;
    GQueue events;
    BlockIoErrorEvent *event;
    bool stops;

    lock_take(&errors->lock);
    events = errors->waiting;
    g_queue_init(&errors->waiting);
    stops = errors->stops;
    errors->stops = false;
    lock_drop(&errors->lock);
    while ((event = g_queue_pop_head(&events))) {
        qapi_event_block_io_error(errors->run->events, event);
        free_event(event);
    }
    if (stops)
        runstate_stop(errors->run, RUN_STATE_IO_ERROR);
}

DiskErrors *disk_errors_new(RunControl *run)
{
    DiskErrors *errors = g_new0(DiskErrors, 1);

    errors->run = run;
    g_mutex_init(&errors->lock);
    g_queue_init(&errors->waiting);
    loop_message_init(&errors->message, on_errors, errors);
    return errors;
}

void disk_errors_free(DiskErrors *errors)
{
    if (!errors)
        return;
    loop_message_cancel(errors->run->loop, &errors->message);
    g_queue_clear_full(&errors->waiting, free_event);
    g_mutex_clear(&errors->lock);
    g_free(errors);
}

void disk_errors_add(DiskErrors *errors, const BoardIoError *error)
{
    BlockIoErrorEvent *event = g_new0(BlockIoErrorEvent, 1);

    event->qom_path = g_strdup(error->qom_path);
    event->device = g_strdup(error->drive_name);
    event->node_name = g_strdup(error->node_name);
    event->operation = error->is_write ? IO_OPERATION_TYPE_WRITE : IO_OPERATION_TYPE_READ;
    event->action = error->action;
    event->has_nospace = true;
    event->nospace = error->errnum == ENOSPC;
    event->reason = g_strdup(error_text(error->errnum));

    lock_take(&errors->lock);
    errors->stops |= error->action == BLOCK_ERROR_ACTION_STOP;
    if (g_queue_get_length(&errors->waiting) < MAX_WAITING)
        g_queue_push_tail(&errors->waiting, g_steal_pointer(&event));
    lock_drop(&errors->lock);
    if (event)
        free_event(event);
    loop_post(errors->run->loop, &errors->message);
}
