/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management (SAM-5, chapter 7): ending requests, wherever they are.
 *
 * Loop 0 asks every loop of the bus, by message.  Each first takes in what the guest had
 * made available before, so that no task is found neither here nor there; ends what waits
 * and what is held; marks what is under way, which then ends as cancelled; and leaves a
 * CancelPart at each lane that has such requests.  A part is over when as many of those
 * that it means, which are older than it, have ended as there were; so each costs little,
 * and a guest may have as many as its ring has room for.
 *
 *     ScsiCancel.n_left    loops that were not asked yet, and parts that are not over
 */
#include "scsi-req.h"

typedef struct CancelLoop {
    ScsiCancel *cancel;
    unsigned loop;
    LoopMessage ask;
} CancelLoop;

struct ScsiCancel {
    ScsiBus *bus;
    ScsiTasks tasks;
    ScsiCancelFn *fn;
    void *opaque;
    unsigned n_left;            /* atomic */
    unsigned n_found;           /* atomic */
    LoopMessage done;           /* to loop 0 */
    CancelLoop loops[];
};

typedef struct CancelPart {
    ListNode node;              /* in ScsiLane.cancels */
    ScsiCancel *cancel;
    uint64_t end;               /* the first serial that is not meant */
    unsigned n_left;            /* requests */
} CancelPart;

static bool is_meant(const ScsiTasks *tasks, const ScsiReq *req)
{
    return tasks->all_tags || req->tag == tasks->tag;
}

static void drop(ScsiCancel *cancel)
{
    if (__atomic_sub_fetch(&cancel->n_left, 1, __ATOMIC_ACQ_REL) == 0)
        loop_post(cancel->bus->loops[0].loop, &cancel->done);
}

static void on_done(void *opaque)
{
    ScsiCancel *cancel = opaque;

    cancel->fn(cancel->opaque, cancel->n_found);
    g_free(cancel);
}

void scsi_cancel_note_end(ScsiReq *req)
{
    LIST_FOREACH(node, &req->lane->cancels) {
        CancelPart *part = CONTAINER_OF(node, CancelPart, node);

        part->n_left -= req->serial < part->end && is_meant(&part->cancel->tasks, req);
    }
    /* Not a second time. */
    req->serial = UINT64_MAX;
}

void scsi_cancel_check(ScsiLane *lane)
{
    LIST_FOREACH(node, &lane->cancels) {
        CancelPart *part = CONTAINER_OF(node, CancelPart, node);

        if (part->n_left > 0)
            continue;
        list_remove(&part->node);
        drop(part->cancel);
        g_free(part);
    }
}

static unsigned count(const ListNode *list, const ScsiTasks *tasks)
{
    unsigned n = 0;

    LIST_FOREACH(node, list) {
        n += is_meant(tasks, CONTAINER_OF(node, ScsiReq, node));
    }
    return n;
}

/* Ends those on @list, where no I/O is under way. */
static void end_listed(ListNode *list, const ScsiTasks *tasks, bool held)
{
    LIST_FOREACH(node, list) {
        ScsiReq *req = CONTAINER_OF(node, ScsiReq, node);

        if (!is_meant(tasks, req))
            continue;
        if (held)
            scsi_req_end_held(req, tasks->outcome);
        else
            scsi_req_end(req, tasks->outcome);
    }
}

/* What a limit holds back ends here; no other request that is active does meanwhile. */
static void end_limited(ScsiLane *lane, const ScsiTasks *tasks, uint64_t end)
{
    LIST_FOREACH(node, &lane->active) {
        const ScsiReq *req = CONTAINER_OF(node, ScsiReq, node);

        if (req->submitted && req->serial < end && is_meant(tasks, req))
            block_channel_take_back(lane->channel, req->submitted);
    }
}

static void mark_active(ScsiLane *lane, ScsiCancel *cancel)
{
    CancelPart *part;
    unsigned n = 0;

    LIST_FOREACH(node, &lane->active) {
        ScsiReq *req = CONTAINER_OF(node, ScsiReq, node);

        if (!is_meant(&cancel->tasks, req))
            continue;
        req->cancelled = cancel->tasks.outcome;
        n++;
    }
    if (n == 0)
        return;
    part = g_new0(CancelPart, 1);
    part->cancel = cancel;
    part->end = lane->next_serial;
    part->n_left = n;
    list_append(&lane->cancels, &part->node);
    __atomic_add_fetch(&cancel->n_left, 1, __ATOMIC_ACQ_REL);
    end_limited(lane, &cancel->tasks, part->end);
}

static void cancel_lane(ScsiLane *lane, void *opaque)
{
    ScsiCancel *cancel = opaque;
    const ScsiTasks *tasks = &cancel->tasks;
    unsigned n = count(&lane->active, tasks) + count(&lane->waiting, tasks) +
                 count(&lane->held, tasks);

    __atomic_add_fetch(&cancel->n_found, n, __ATOMIC_ACQ_REL);
    if (tasks->only_count)
        return;
    end_listed(&lane->waiting, tasks, false);
    end_listed(&lane->held, tasks, true);
    mark_active(lane, cancel);
}

static void on_ask(void *opaque)
{
    CancelLoop *at = opaque;
    ScsiCancel *cancel = at->cancel;
    ScsiBus *bus = cancel->bus;

    bus->hba->fetch(bus, at->loop);
    scsi_bus_foreach(bus, at->loop, &cancel->tasks, cancel_lane, cancel);
    drop(cancel);
}

void scsi_cancel_tasks(ScsiBus *bus, const ScsiTasks *tasks, ScsiCancelFn *fn,
                     void *opaque)
{
    ScsiCancel *cancel = g_malloc0(sizeof(ScsiCancel) +
                                   bus->n_loops * sizeof(CancelLoop));

    assert_loop(bus->loops[0].loop);
    cancel->bus = bus;
    cancel->tasks = *tasks;
    cancel->fn = fn;
    cancel->opaque = opaque;
    cancel->n_left = bus->n_loops;
    loop_message_init(&cancel->done, on_done, cancel);
    for (unsigned i = 0; i < bus->n_loops; i++) {
        CancelLoop *at = &cancel->loops[i];

        at->cancel = cancel;
        at->loop = i;
        loop_message_init(&at->ask, on_ask, at);
        if (i > 0)
            loop_post(bus->loops[i].loop, &at->ask);
    }
    on_ask(&cancel->loops[0]);
}
