/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: epoll(7), an eventfd for wake-ups, a heap of timers, a mailbox.
 *
 * Sleeping and waking.  The loop sets `sleeping`, then looks into the mailbox, then
 * waits.  A poster pushes, then takes `sleeping` down and writes to the eventfd if it
 * was up.  All four are sequentially consistent, so one of the two sees the other, and
 * a loop that is busy is posted to without a system call.  The eventfd is
 * edge-triggered: a write ends one wait, and nobody reads what was written.
 *
 * Batches.  What epoll_wait returned is walked by index and linked from the loop;
 * removing a source blanks it in every batch, so that a stale event never reaches a
 * freed owner.  The kernel's EPOLLHUP and EPOLLERR cannot be switched off, so a source
 * with no events asked for is taken out of the epoll set.
 */
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <time.h>

#include "berth/error.h"
#include "berth/loop.h"
#include "berth/qsbr.h"

#include "loop-private.h"

#define BATCH_SIZE 64

typedef struct SyncCall {
    LoopMessage message;
    LoopFn *fn;
    void *opaque;
    sem_t done;
} SyncCall;

int64_t loop_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

bool loop_is_current(const Loop *loop)
{
    pthread_t runner = atomic_load_explicit(&loop->runner, memory_order_acquire);

    return runner == 0 || runner == pthread_self();
}

const char *loop_name(const Loop *loop)
{
    return loop->name;
}

static void wake(Loop *loop)
{
    uint64_t one = 1;

    if (!atomic_load(&loop->sleeping) || !atomic_exchange(&loop->sleeping, false))
        return;
    while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

Loop *loop_new(const char *name, ThreadRole role, GError **error)
{
    g_autoptr(Loop) loop = g_new0(Loop, 1);
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };

    loop->name = g_strdup(name);
    loop->role = role;
    loop->has_pwait2 = true;
    mailbox_init(&loop->mailbox);
    list_init(&loop->hooks);
    poller_set_init(&loop->pollers);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        error_set_errno(error, errno, "cannot make the loop '%s'", name);
        return NULL;
    }
    return g_steal_pointer(&loop);
}

void loop_free(Loop *loop)
{
    if (!loop)
        return;
    g_assert(!atomic_load(&loop->runner));
    if (loop->workers)
        worker_pool_done(loop->workers);
    g_free(loop->workers);
    g_assert(loop->n_fds == 0 && loop->timer_heap.n_timers == 0);
    g_assert(list_is_empty(&loop->hooks) && mailbox_is_empty(&loop->mailbox));
    g_assert(poller_set_is_empty(&loop->pollers));
    base_close_fd(&loop->epoll_fd);
    base_close_fd(&loop->wake_fd);
    g_free(loop->timer_heap.timers);
    g_free(loop->name);
    g_free(loop);
}

void loop_message_init(LoopMessage *message, LoopFn *fn, void *opaque)
{
    message->next = NULL;
    message->fn = fn;
    message->opaque = opaque;
    atomic_init(&message->pending, false);
}

bool loop_post(Loop *loop, LoopMessage *message)
{
    if (!mailbox_push(&loop->mailbox, message))
        return false;
    wake(loop);
    return true;
}

void loop_message_cancel(Loop *loop, LoopMessage *message)
{
    assert_loop(loop);
    mailbox_cancel(&loop->mailbox, message);
}

void loop_quit(Loop *loop)
{
    atomic_store(&loop->quit, true);
    wake(loop);
}

static void on_sync_call(void *opaque)
{
    SyncCall *call = opaque;

    call->fn(call->opaque);
    sem_post(&call->done);
}

void loop_call_sync(Loop *loop, LoopFn *fn, void *opaque)
{
    SyncCall call = { .fn = fn, .opaque = opaque };

    if (loop_is_current(loop)) {
        fn(opaque);
        return;
    }
    assert_may_wait(loop->role);
    sem_init(&call.done, 0, 0);
    loop_message_init(&call.message, on_sync_call, &call);
    loop_post(loop, &call.message);
    while (sem_wait(&call.done) < 0)
        g_assert(errno == EINTR);
    sem_destroy(&call.done);
}

void loop_fd_init(LoopFd *source, int fd, LoopFdFn *fn, void *opaque)
{
    *source = (LoopFd) { .fd = fd, .fn = fn, .opaque = opaque };
}

static int change_fd(Loop *loop, int operation, LoopFd *source, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = source };

    return epoll_ctl(loop->epoll_fd, operation, source->fd, &event);
}

bool loop_fd_add(Loop *loop, LoopFd *source, uint32_t events, GError **error)
{
    assert_loop(loop);
    g_assert(!source->loop);
    if (change_fd(loop, EPOLL_CTL_ADD, source, events) < 0) {
        error_set_errno(error, errno, "cannot poll descriptor %d", source->fd);
        return false;
    }
    if (events == 0)
        change_fd(loop, EPOLL_CTL_DEL, source, 0);
    source->loop = loop;
    source->events = events;
    loop->n_fds++;
    loop->pollers.n_watched += source->is_watched && events != 0;
    return true;
}

void loop_fd_set_events(LoopFd *source, uint32_t events)
{
    int operation = EPOLL_CTL_MOD;
    int ret;

    assert_loop(source->loop);
    if (events == source->events)
        return;
    if (events == 0)
        operation = EPOLL_CTL_DEL;
    else if (source->events == 0)
        operation = EPOLL_CTL_ADD;
    ret = change_fd(source->loop, operation, source, events);
    g_assert(ret == 0);
    if (operation != EPOLL_CTL_MOD && source->is_watched)
        source->loop->pollers.n_watched += events != 0 ? 1u : -1u;
    source->events = events;
}

void loop_fd_remove(LoopFd *source)
{
    Loop *loop = source->loop;

    if (!loop)
        return;
    loop_fd_set_events(source, 0);
    for (LoopBatch *batch = loop->batch; batch; batch = batch->outer) {
        for (int i = batch->next; i < batch->n_events; i++) {
            if (batch->events[i].data.ptr == source)
                batch->events[i].data.ptr = NULL;
        }
    }
    source->loop = NULL;
    loop->n_fds--;
}

void loop_hook_add(Loop *loop, LoopHook *hook, LoopFn *fn, void *opaque)
{
    assert_loop(loop);
    hook->loop = loop;
    hook->fn = fn;
    hook->opaque = opaque;
    list_append(&loop->hooks, &hook->node);
}

void loop_hook_remove(LoopHook *hook)
{
    if (!hook->loop)
        return;
    assert_loop(hook->loop);
    if (hook->loop->next_hook == &hook->node)
        hook->loop->next_hook = hook->node.next;
    list_remove(&hook->node);
    hook->loop = NULL;
}

static void run_hooks(Loop *loop)
{
    ListNode *node = loop->hooks.next;

    g_assert(!loop->next_hook);
    while (node != &loop->hooks) {
        LoopHook *hook = CONTAINER_OF(node, LoopHook, node);

        loop->next_hook = node->next;
        hook->fn(hook->opaque);
        node = loop->next_hook;
    }
    loop->next_hook = NULL;
}

/* Waits up to @timeout_ns, for ever when it is negative; returns how many are ready. */
static int wait_events(Loop *loop, struct epoll_event *events, int64_t timeout_ns)
{
    struct timespec timeout = {
        .tv_sec = timeout_ns / NS_PER_SEC,
        .tv_nsec = timeout_ns % NS_PER_SEC,
    };
    int64_t timeout_ms = -1;
    int n_events = -1;

    if (loop->has_pwait2) {
        n_events = epoll_pwait2(loop->epoll_fd, events, BATCH_SIZE,
                                timeout_ns < 0 ? NULL : &timeout, NULL);
        if (n_events < 0 && errno == ENOSYS)
            loop->has_pwait2 = false;
    }
    if (!loop->has_pwait2) {
        if (timeout_ns >= 0)
            timeout_ms = MIN((timeout_ns + NS_PER_MS - 1) / NS_PER_MS, INT_MAX);
        n_events = epoll_wait(loop->epoll_fd, events, BATCH_SIZE, timeout_ms);
    }
    g_assert(n_events >= 0 || errno == EINTR);
    return MAX(n_events, 0);
}

static int64_t timeout_of_turn(Loop *loop)
{
    int64_t deadline_ns = timer_heap_next_ns(&loop->timer_heap);

    if (!mailbox_is_empty(&loop->mailbox) || atomic_load(&loop->quit))
        return 0;
    return deadline_ns < 0 ? -1 : MAX(deadline_ns - loop_clock_ns(), 0);
}

bool loop_has_timer(const Loop *loop)
{
    return loop->timer_heap.n_timers > 0;
}

bool loop_has_work(Loop *loop)
{
    int64_t deadline_ns = timer_heap_next_ns(&loop->timer_heap);

    return !mailbox_is_empty(&loop->mailbox) || atomic_load(&loop->quit) ||
        (deadline_ns >= 0 && deadline_ns <= loop_clock_ns());
}

static int sleep_until_ready(Loop *loop, struct epoll_event *events, bool may_wait)
{
    int64_t timeout_ns = 0;
    int n_events;

    if (may_wait && !poller_set_arm(&loop->pollers)) {
        atomic_store(&loop->sleeping, true);
        timeout_ns = timeout_of_turn(loop);
    }
    if (timeout_ns == 0) {
        atomic_store(&loop->sleeping, false);
        qsbr_quiescent();
        return wait_events(loop, events, 0);
    }
    qsbr_offline();
    n_events = wait_events(loop, events, timeout_ns);
    atomic_store(&loop->sleeping, false);
    qsbr_online();
    return n_events;
}

static void dispatch(Loop *loop, LoopBatch *batch)
{
    while (batch->next < batch->n_events) {
        struct epoll_event *event = &batch->events[batch->next++];
        LoopFd *source = event->data.ptr;
        uint32_t events;

        if (!source)
            continue;
        events = event->events & (source->events | EPOLLERR | EPOLLHUP);
        if (source->events == 0 || events == 0)
            continue;
        if (source->is_watched)
            poller_set_found(&loop->pollers);
        source->fn(source->opaque, events);
    }
}

/* The beginning of a turn: finds what is ready, waits for it when it may. */
static int find_ready(Loop *loop, struct epoll_event *events, bool may_wait)
{
    PollerSet *pollers = &loop->pollers;
    int n_events = 0;

    if (!may_wait || poller_set_is_empty(pollers))
        return sleep_until_ready(loop, events, may_wait);
    switch (poller_set_wait(loop)) {
    case POLLER_WAIT_WORK:
        if (!poller_set_may_skip(pollers))
            return sleep_until_ready(loop, events, false);
        qsbr_quiescent();
        break;
    case POLLER_WAIT_LOOK_ROUND:
        return sleep_until_ready(loop, events, false);
    case POLLER_WAIT_SLEEP:
        n_events = sleep_until_ready(loop, events, true);
        poller_set_slept(pollers);
        break;
    }
    return n_events;
}

static void turn(Loop *loop, bool may_wait)
{
    struct epoll_event events[BATCH_SIZE];
    LoopBatch batch = { .outer = loop->batch, .events = events };

    batch.n_events = find_ready(loop, events, may_wait);
    thread_confine();
    loop->batch = &batch;
    if (loop->timer_heap.n_timers > 0)
        timer_heap_run(&loop->timer_heap, loop_clock_ns());
    mailbox_run(&loop->mailbox);
    dispatch(loop, &batch);
    loop->batch = batch.outer;
    poller_set_run(&loop->pollers);
    run_hooks(loop);
}

/* Returns whether the calling thread became the runner, and must end it. */
static bool begin_running(Loop *loop)
{
    pthread_t runner = 0;

    if (atomic_compare_exchange_strong(&loop->runner, &runner, pthread_self()))
        return true;
    g_assert(runner == pthread_self());
    return false;
}

void loop_turn(Loop *loop, bool may_wait)
{
    bool began = begin_running(loop);

    run_hooks(loop);
    turn(loop, may_wait);
    if (began)
        atomic_store(&loop->runner, 0);
}

void loop_run(Loop *loop)
{
    bool began = begin_running(loop);

    run_hooks(loop);
    while (!atomic_exchange(&loop->quit, false))
        turn(loop, true);
    if (began)
        atomic_store(&loop->runner, 0);
}
