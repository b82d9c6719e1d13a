/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management and events of the SCSI controller (virtio 1.3, sections 5.6.6.2 and
 * 5.6.6.3).
 *
 * An event that finds no buffer is lost; the driver is told so in the next one, and looks
 * for itself.
 */
#include <string.h>

#include "berth/thread.h"

#include "virtio-scsi.h"

typedef struct virtio_scsi_ctrl_tmf_req TaskReq;
typedef struct virtio_scsi_ctrl_an_req NotifyReq;
typedef struct virtio_scsi_ctrl_an_resp NotifyResp;
typedef struct virtio_scsi_event Event;

/* What is beside a request of the control queue. */
typedef struct Task {
    ScsiTasks tasks;
    uint32_t subtype;
} Task;

G_STATIC_ASSERT(sizeof(Task) <= sizeof(VirtioScsiReq));

static void finish(VirtqueueReq *vreq, const void *response, size_t size)
{
    virtqueue_req_write(vreq, 0, response, size);
    virtqueue_push(vreq->vq, vreq, (uint32_t)size);
}

static void finish_task(VirtqueueReq *vreq, uint8_t response)
{
    finish(vreq, &response, sizeof(response));
}

static void on_ended(void *opaque, unsigned n_found)
{
    VirtqueueReq *vreq = opaque;
    VirtioScsi *scsi = virtio_scsi_of(vreq->vq->vdev);
    const Task *task = virtqueue_req_ctx(vreq);
    uint8_t response = VIRTIO_SCSI_S_OK;

    if (task->tasks.outcome == SCSI_OUTCOME_RESET)
        scsi_bus_reset_units(&scsi->bus, &task->tasks,
                             task->subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET);
    if (task->tasks.only_count && n_found > 0)
        response = VIRTIO_SCSI_S_FUNCTION_SUCCEEDED;
    finish_task(vreq, response);
}

/* Which tasks @subtype is about; false: it is not one that there is. */
static bool choose_tasks(uint32_t subtype, ScsiTasks *tasks)
{
    switch (subtype) {
    case VIRTIO_SCSI_T_TMF_QUERY_TASK:
        tasks->only_count = true;
        return true;
    case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
        tasks->only_count = true;
        tasks->all_tags = true;
        return true;
    case VIRTIO_SCSI_T_TMF_ABORT_TASK:
        tasks->outcome = SCSI_OUTCOME_ABORTED;
        return true;
    case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET:
    case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET:
        tasks->outcome = SCSI_OUTCOME_ABORTED;
        tasks->all_tags = true;
        return true;
    case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET:
    case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET:
        tasks->outcome = SCSI_OUTCOME_RESET;
        tasks->all_tags = true;
        tasks->all_units = subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET;
        return true;
    default:
        return false;
    }
}

/* False: @ret_response says why there are no such tasks. */
static bool parse_task(const VirtioScsi *scsi, const TaskReq *req, Task *task,
                       uint8_t *ret_response)
{
    ScsiTasks *tasks = &task->tasks;

    *task = (Task) {
        .subtype = GUINT32_FROM_LE(req->subtype),
        .tasks = { .tag = GUINT64_FROM_LE(req->tag) },
    };
    *ret_response = VIRTIO_SCSI_S_OK;
    if (!choose_tasks(task->subtype, tasks))
        *ret_response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
    else if (!virtio_scsi_req_parse_lun(req->lun, &tasks->target, &tasks->lun) ||
             !scsi_bus_has_target(&scsi->bus, tasks->target))
        *ret_response = VIRTIO_SCSI_S_BAD_TARGET;
    else if (!tasks->all_units &&
             !scsi_bus_has_unit(&scsi->bus, tasks->target, tasks->lun))
        *ret_response = VIRTIO_SCSI_S_INCORRECT_LUN;
    return *ret_response == VIRTIO_SCSI_S_OK;
}

static bool check_size(VirtqueueReq *vreq, size_t out, size_t in)
{
    if (vreq->out_size >= out && vreq->in_size >= in)
        return true;
    virtqueue_error(vreq->vq, "request with %u bytes to read and %u to write",
                    vreq->out_size, vreq->in_size);
    virtqueue_drop(vreq->vq, vreq);
    return false;
}

static void start_task(VirtioScsi *scsi, VirtqueueReq *vreq)
{
    Task *task = virtqueue_req_ctx(vreq);
    uint8_t response;
    TaskReq req;

    if (!check_size(vreq, sizeof(req), sizeof(response)))
        return;
    virtqueue_req_read(vreq, 0, &req, sizeof(req));
    if (!parse_task(scsi, &req, task, &response)) {
        finish_task(vreq, response);
        return;
    }
    scsi_cancel_tasks(&scsi->bus, &task->tasks, on_ended, vreq);
}

/* There is nothing that a unit would tell of by itself. */
static void answer_notify(VirtqueueReq *vreq)
{
    const NotifyResp response = { .event_actual = 0, .response = VIRTIO_SCSI_S_OK };

    if (check_size(vreq, sizeof(NotifyReq), sizeof(response)))
        finish(vreq, &response, sizeof(response));
}

static void start(VirtioScsi *scsi, VirtqueueReq *vreq)
{
    uint32_t type = UINT32_MAX;

    virtqueue_req_read(vreq, 0, &type, sizeof(type));
    switch (GUINT32_FROM_LE(type)) {
    case VIRTIO_SCSI_T_TMF:
        start_task(scsi, vreq);
        break;
    case VIRTIO_SCSI_T_AN_QUERY:
    case VIRTIO_SCSI_T_AN_SUBSCRIBE:
        answer_notify(vreq);
        break;
    default:
        virtqueue_push(vreq->vq, vreq, 0);
    }
}

void virtio_scsi_ctrl_handle_queue(VirtioScsi *scsi, Virtqueue *vq)
{
    VirtqueueReq *vreq;

    while ((vreq = virtqueue_pop(vq)))
        start(scsi, vreq);
}

void virtio_scsi_ctrl_handle_events(VirtioScsi *scsi, Virtqueue *vq)
{
    VirtqueueReq *vreq;

    while ((scsi->event || scsi->events_missed) && (vreq = virtqueue_pop(vq))) {
        Event event = scsi->event ? *scsi->event : (Event) { 0 };

        if (!check_size(vreq, 0, sizeof(event)))
            return;
        if (scsi->events_missed)
            event.event |= GUINT32_TO_LE(VIRTIO_SCSI_T_EVENTS_MISSED);
        scsi->event = NULL;
        scsi->events_missed = false;
        finish(vreq, &event, sizeof(event));
    }
}

typedef struct Change {
    VirtioScsi *scsi;
    unsigned feature;           /* what a driver must know to be told */
    Event event;
} Change;

static void on_change(void *opaque)
{
    Change *change = opaque;
    VirtioScsi *scsi = change->scsi;
    VirtioDevice *vdev = &scsi->vdev;
    bool tells;

    lock_take(&vdev->dev->lock);
    tells = virtio_has_feature(vdev, change->feature);
    lock_drop(&vdev->dev->lock);
    if (!tells)
        return;
    scsi->event = &change->event;
    virtqueue_run(&vdev->queues[VIRTIO_SCSI_EVENTS]);
    scsi->events_missed |= scsi->event != NULL;
    scsi->event = NULL;
}

void virtio_scsi_ctrl_on_changed(ScsiBus *bus, unsigned target, unsigned lun,
                            ScsiChange change)
{
    static const struct {
        uint8_t feature;
        uint32_t event;
        uint32_t reason;        /* of a parameter: code and qualifier of the sense */
    } kinds[] = {
        [SCSI_CHANGE_ADDED] = { VIRTIO_SCSI_F_HOTPLUG, VIRTIO_SCSI_T_TRANSPORT_RESET,
                                VIRTIO_SCSI_EVT_RESET_RESCAN },
        [SCSI_CHANGE_REMOVED] = { VIRTIO_SCSI_F_HOTPLUG, VIRTIO_SCSI_T_TRANSPORT_RESET,
                                  VIRTIO_SCSI_EVT_RESET_REMOVED },
        [SCSI_CHANGE_CAPACITY] = { VIRTIO_SCSI_F_CHANGE, VIRTIO_SCSI_T_PARAM_CHANGE,
                                   0x2a | 0x09 << 8 },
    };
    VirtioScsi *scsi = virtio_scsi_of_bus(bus);
    Change call = {
        .scsi = scsi,
        .feature = kinds[change].feature,
        .event = {
            .event = GUINT32_TO_LE(kinds[change].event),
            .lun = { 1, (uint8_t)target, lun > UINT8_MAX ? (uint8_t)(0x40 | lun >> 8) : 0,
                     (uint8_t)lun },
            .reason = GUINT32_TO_LE(kinds[change].reason),
        },
    };

    assert_main();
    loop_call_sync(scsi->vdev.loop, on_change, &call);
}
