/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that is shared is under the group's lock, a leaf that is held for a few steps of
 * arithmetic.  Whoever comes by (a new request, a timer, a worker) gives all that may go
 * their turn: what belongs to another lane is put on its list and the lane is told.
 *
 * Timers.  Each lane with something that waits has one set for when the next may go, and
 * a millisecond from now at least: what fits by then goes together.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/qapi.h"
#include "berth/thread.h"

#include "block-private.h"
#include "throttle-group.h"

#define PAUSE_NS NS_PER_MS

struct ThrottleGroup {
    char *name;
    BlockGraph *graph;          /* NULL: it has gone */

    /* Under the graph's lock. */
    ListNode node;              /* in BlockGraph.throttle_groups */
    unsigned n_refs;

    /* Main. */
    LoopFn *changed;
    void *opaque;

    bool is_limited;            /* atomic */
    GMutex lock;                /* a leaf */
    GCond turn;                 /* a worker's request is ready, or limits changed */

    /* Under the lock. */
    ThrottleState state;
    ListNode lanes;             /* of ThrottleLane */
};

static ThrottleGroup *find_locked(BlockGraph *graph, const char *name)
{
    LIST_FOREACH(at, &graph->throttle_groups) {
        ThrottleGroup *group = CONTAINER_OF(at, ThrottleGroup, node);

        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

ThrottleGroup *throttle_group_get(BlockGraph *graph, const char *name, GError **error)
{
    ThrottleGroup *group;

    lock_take(&graph->throttle_lock);
    group = find_locked(graph, name);
    if (group)
        group->n_refs++;
    lock_drop(&graph->throttle_lock);
    if (!group)
        error_set(error, "there is no throttle group '%s'", name);
    return group;
}

ThrottleGroup *throttle_group_new(BlockGraph *graph, const char *name, GError **error)
{
    ThrottleGroup *group = NULL;

    lock_take(&graph->throttle_lock);
    if (!find_locked(graph, name)) {
        group = g_new0(ThrottleGroup, 1);
        group->name = g_strdup(name);
        group->graph = graph;
        group->n_refs = 1;
        g_mutex_init(&group->lock);
        g_cond_init(&group->turn);
        throttle_state_init(&group->state, loop_clock_ns());
        list_init(&group->lanes);
        list_append(&graph->throttle_groups, &group->node);
    }
    lock_drop(&graph->throttle_lock);
    if (!group)
        error_set(error, "there is a throttle group '%s' already", name);
    return group;
}

/* Whether that was the last. */
static bool drop_ref(ThrottleGroup *group)
{
    BlockGraph *graph = group->graph;
    bool is_last;

    if (graph)
        lock_take(&graph->throttle_lock);
    is_last = --group->n_refs == 0;
    if (is_last)
        list_remove(&group->node);
    if (graph)
        lock_drop(&graph->throttle_lock);
    return is_last;
}

void throttle_group_unref(ThrottleGroup *group)
{
    if (!group || !drop_ref(group))
        return;
    g_assert(list_is_empty(&group->lanes));
    g_cond_clear(&group->turn);
    g_mutex_clear(&group->lock);
    g_free(group->name);
    g_free(group);
}

bool throttle_group_has_users(ThrottleGroup *group)
{
    BlockGraph *graph = group->graph;
    bool has_users;

    if (!graph)
        return false;
    lock_take(&graph->throttle_lock);
    has_users = group->n_refs > 1;
    lock_drop(&graph->throttle_lock);
    return has_users;
}

const char *throttle_group_name(const ThrottleGroup *group)
{
    return group->name;
}

void throttle_group_forget_graph(BlockGraph *graph)
{
    LIST_FOREACH(at, &graph->throttle_groups) {
        CONTAINER_OF(at, ThrottleGroup, node)->graph = NULL;
        list_remove(at);
    }
}

void throttle_group_set_watch(ThrottleGroup *group, LoopFn *fn, void *opaque)
{
    group->changed = fn;
    group->opaque = opaque;
}

/* Gives all that may go their turn; how long the next waits, -1: none does. */
static int64_t settle_locked(ThrottleGroup *group)
{
    int64_t delay_ns;
    ThrottleWait *wait;

    while ((wait = throttle_state_next(&group->state, loop_clock_ns(), &delay_ns))) {
        ThrottleTicket *ticket = CONTAINER_OF(wait, ThrottleTicket, wait);
        ThrottleLane *lane = ticket->lane;

        if (!lane) {
            ticket->is_ready = true;
            g_cond_broadcast(&group->turn);
            continue;
        }
        lane->n_waiting--;
        ticket->is_ready = true;
        list_append(&lane->ready, &ticket->wait.node);
        loop_post(lane->loop, &lane->look);
    }
    return delay_ns;
}

static int64_t deadline_after(int64_t delay_ns)
{
    return loop_clock_ns() + MAX(delay_ns, PAUSE_NS);
}

/* Main: limits. */

ThrottleConfig throttle_group_config(ThrottleGroup *group)
{
    ThrottleConfig config;

    lock_take(&group->lock);
    config = group->state.config;
    lock_drop(&group->lock);
    return config;
}

static void configure(ThrottleGroup *group, const ThrottleConfig *config)
{
    lock_take(&group->lock);
    throttle_state_configure(&group->state, config, loop_clock_ns());
    __atomic_store_n(&group->is_limited, group->state.is_limited, __ATOMIC_RELAXED);
    LIST_FOREACH(at, &group->lanes) {
        ThrottleLane *lane = CONTAINER_OF(at, ThrottleLane, node);

        if (lane->n_waiting > 0)
            loop_post(lane->loop, &lane->look);
    }
    g_cond_broadcast(&group->turn);
    lock_drop(&group->lock);
}

void throttle_group_configure(ThrottleGroup *group, const ThrottleConfig *config)
{
    configure(group, config);
    if (group->changed)
        group->changed(group->opaque);
}

bool throttle_group_set_limits(ThrottleGroup *group, const ThrottleLimits *limits,
                               GError **error)
{
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_THROTTLE_LIMITS, limits);
    ThrottleConfig config = throttle_group_config(group);

    throttle_config_read(&config, json, THROTTLE_SPELLING_LIMITS);
    if (!throttle_config_check(&config, error))
        return false;
    configure(group, &config);
    return true;
}

ThrottleLimits *throttle_group_limits(ThrottleGroup *group)
{
    g_autoptr(JsonValue) json = json_new_object();
    ThrottleConfig config = throttle_group_config(group);

    throttle_config_write(&config, json, THROTTLE_SPELLING_LIMITS);
    return qapi_parse(QAPI_TYPE_THROTTLE_LIMITS, json, QAPI_INPUT_JSON, NULL);
}

void throttle_group_waits(BlockGraph *graph, ThrottleWaitsFn *fn, void *opaque)
{
    lock_take(&graph->throttle_lock);
    LIST_FOREACH(at, &graph->throttle_groups) {
        ThrottleGroup *group = CONTAINER_OF(at, ThrottleGroup, node);
        ThrottleWaits waits = { .name = group->name };

        lock_take(&group->lock);
        waits.n_requests = group->state.n_waited;
        waits.ns = group->state.waited_ns;
        lock_drop(&group->lock);
        fn(opaque, &waits);
    }
    lock_drop(&graph->throttle_lock);
}

/* Members. */

void throttle_group_join(ThrottleGroup *group, ThrottleMember *member)
{
    throttle_state_init_member(member);
}

void throttle_group_leave(ThrottleGroup *group, ThrottleMember *member)
{
    lock_take(&group->lock);
    g_assert(!list_is_linked(&member->node));
    lock_drop(&group->lock);
}

void throttle_group_hurry(ThrottleGroup *group, ThrottleMember *member, bool on)
{
    lock_take(&group->lock);
    g_assert(on || member->n_hurried > 0);
    member->n_hurried += on ? 1 : -1u;
    if (on)
        settle_locked(group);
    lock_drop(&group->lock);
}

/* A flush is not limited; a discard moves no bytes. */
static bool concerns(const ThrottleGroup *group, const BlockIo *io)
{
    return __atomic_load_n(&group->is_limited, __ATOMIC_RELAXED) &&
        io->op != BLOCK_OP_FLUSH;
}

static ThrottleTicket ticket_of(const BlockIo *io, ThrottleLane *lane, void *request)
{
    return (ThrottleTicket) {
        .wait.bytes = io->op == BLOCK_OP_DISCARD ? 0 : io->bytes,
        .wait.is_write = io->op != BLOCK_OP_READ,
        .lane = lane,
        .request = request,
    };
}

void throttle_group_wait(ThrottleGroup *group, ThrottleMember *member, const BlockIo *io)
{
    ThrottleTicket ticket = ticket_of(io, NULL, NULL);
    bool may_wait = thread_role() == THREAD_WORKER;

    if (!concerns(group, io))
        return;
    lock_take(&group->lock);
    if (!may_wait)
        member->n_hurried++;
    ticket.is_ready =
        throttle_state_admit(&group->state, member, &ticket.wait, loop_clock_ns());
    if (!may_wait)
        member->n_hurried--;
    while (!ticket.is_ready) {
        int64_t delay_ns = settle_locked(group);

        if (!ticket.is_ready)
            lock_wait_until(&group->turn, &group->lock, deadline_after(delay_ns));
    }
    lock_drop(&group->lock);
}

/* The lane's loop. */

/* Takes what is ready, and sets the timer for what is not. */
static void take_ready_locked(ThrottleLane *lane, ListNode *ret_ready)
{
    int64_t delay_ns = settle_locked(lane->group);

    LIST_FOREACH(at, &lane->ready) {
        list_remove(at);
        list_append(ret_ready, at);
    }
    if (lane->n_waiting > 0)
        timer_set(&lane->timer, deadline_after(delay_ns));
    else
        timer_cancel(&lane->timer);
}

static void let_go(const ThrottleLane *lane, ListNode *ready)
{
    ThrottleGoFn *go = lane->go;

    while (!list_is_empty(ready)) {
        ThrottleTicket *ticket = CONTAINER_OF(list_first(ready), ThrottleTicket,
                                              wait.node);

        list_remove(&ticket->wait.node);
        go(ticket->request);
    }
}

static void on_look(void *opaque)
{
    ThrottleLane *lane = opaque;
    ListNode ready;

    list_init(&ready);
    lock_take(&lane->group->lock);
    take_ready_locked(lane, &ready);
    lock_drop(&lane->group->lock);
    let_go(lane, &ready);
}

void throttle_group_add_lane(ThrottleGroup *group, ThrottleMember *member,
                             ThrottleLane *lane, Loop *loop, ThrottleGoFn *go)
{
    *lane = (ThrottleLane) {
        .group = group, .member = member, .loop = loop, .go = go,
    };
    timer_init(&lane->timer, loop, on_look, lane);
    loop_message_init(&lane->look, on_look, lane);
    list_init(&lane->ready);
    lock_take(&group->lock);
    list_append(&group->lanes, &lane->node);
    lock_drop(&group->lock);
}

/* Takes what waits on @lane out of the line. */
static void take_all_locked(ThrottleLane *lane, ListNode *ret_ready)
{
    for (int i = 0; i < 2; i++) {
        LIST_FOREACH(at, &lane->member->waiting[i]) {
            ThrottleTicket *ticket = CONTAINER_OF(at, ThrottleTicket, wait.node);

            if (ticket->lane != lane)
                continue;
            throttle_state_remove(&lane->group->state, &ticket->wait);
            list_append(ret_ready, &ticket->wait.node);
        }
    }
    lane->n_waiting = 0;
}

void throttle_group_remove_lane(ThrottleLane *lane)
{
    ListNode ready;

    list_init(&ready);
    lock_take(&lane->group->lock);
    take_ready_locked(lane, &ready);
    take_all_locked(lane, &ready);
    list_remove(&lane->node);
    lock_drop(&lane->group->lock);
    timer_cancel(&lane->timer);
    loop_message_cancel(lane->loop, &lane->look);
    let_go(lane, &ready);
}

bool throttle_group_admit(ThrottleLane *lane, ThrottleTicket *ticket, const BlockIo *io,
                          void *request)
{
    ThrottleGroup *group = lane->group;
    int64_t deadline_ns;
    bool goes;

    if (!concerns(group, io))
        return true;
    *ticket = ticket_of(io, lane, request);
    lock_take(&group->lock);
    goes = throttle_state_admit(&group->state, lane->member, &ticket->wait,
                                loop_clock_ns());
    if (!goes) {
        lane->n_waiting++;
        deadline_ns = deadline_after(settle_locked(group));
        if (lane->n_waiting > 0 && (!timer_is_set(&lane->timer) ||
                                    deadline_ns < lane->timer.deadline_ns))
            timer_set(&lane->timer, deadline_ns);
    }
    lock_drop(&group->lock);
    return goes;
}

bool throttle_group_cancel(ThrottleLane *lane, ThrottleTicket *ticket)
{
    ThrottleGroup *group = lane->group;
    bool waits = false;

    lock_take(&group->lock);
    if (list_has(&lane->ready, &ticket->wait.node)) {
        list_remove(&ticket->wait.node);
        waits = true;
    } else if (list_has(&lane->member->waiting[0], &ticket->wait.node) ||
               list_has(&lane->member->waiting[1], &ticket->wait.node)) {
        throttle_state_remove(&group->state, &ticket->wait);
        lane->n_waiting--;
        /* Those behind it may go sooner. */
        settle_locked(group);
        waits = true;
    }
    lock_drop(&group->lock);
    return waits;
}
