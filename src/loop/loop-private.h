/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a loop, for the files of src/loop.
 */
#pragma once

#include "berth/loop.h"
#include "berth/poller.h"
#include "berth/timer.h"
#include "berth/worker.h"

/* Messages: many threads push, the loop's thread takes. */
typedef struct Mailbox {
    _Atomic(LoopMessage *) pushed;      /* newest first */
    LoopMessage *first;                 /* the loop's: taken, oldest first */
    LoopMessage **last;                 /* where the next taken one is linked */
} Mailbox;

/* A binary heap of lent pointers, the earliest first. */
typedef struct TimerHeap {
    Timer **timers;
    size_t n_timers;
    size_t capacity;
    uint64_t next_order;
    int64_t run_ns;             /* the time of the last timer_heap_run() */
} TimerHeap;

/* What epoll_wait returned and was not dispatched yet; turns may nest. */
typedef struct LoopBatch {
    struct LoopBatch *outer;
    struct epoll_event *events;
    int next;
    int n_events;
} LoopBatch;

/* A busy wait before a sleep, see poller.c. */
typedef struct BusyWait {
    int64_t ns;
    int luck;                   /* how often it ended in time, of late */
    unsigned n_unprobed;        /* sleeps since the longest one was tried */
} BusyWait;

/* Sources of work that are looked at, and for how long. */
typedef struct PollerSet {
    ListNode active;
    ListNode inactive;
    ListNode *next;             /* of the walk that is under way; NULL when none is */
    Polling polling;
    BusyWait waits[2];          /* with nothing under way, and with requests */
    BusyWait *wait;             /* the one in use; set when idle_ns is */
    int64_t idle_ns;            /* since when nothing was ready; 0: something is */
    unsigned n_skipped;         /* turns since the descriptors were looked at */
    unsigned n_watched;         /* descriptors that are watched, and not silent */
    int64_t looked_ns;          /* when they were looked at, while some are watched */
    int64_t sleeps_until_ns;    /* others need the CPU: no busy wait before */
} PollerSet;

typedef struct AioContext AioContext;    /* aio.c */

struct Loop {
    char *name;
    ThreadRole role;
    int epoll_fd;
    int wake_fd;
    bool has_pwait2;            /* epoll_pwait2(2), with nanoseconds */
    atomic_bool quit;
    atomic_bool sleeping;       /* a push must write to wake_fd */
    _Atomic pthread_t runner;   /* the thread that runs it, or 0 */
    Mailbox mailbox;
    TimerHeap timer_heap;
    PollerSet pollers;
    AioContext *aio;            /* NULL until something is attached */
    WorkerPool *workers;        /* NULL until somebody asked */
    unsigned aio_max_batch;
    ListNode hooks;
    ListNode *next_hook;        /* of the walk that is under way; NULL when none is */
    LoopBatch *batch;
    size_t n_fds;
};

void mailbox_init(Mailbox *mailbox);
/* Any thread.  False when @message is pending already. */
bool mailbox_push(Mailbox *mailbox, LoopMessage *message);
/* The loop's thread; sees every push that comes before in the order of `sleeping`. */
bool mailbox_is_empty(Mailbox *mailbox);
/* Runs what was pushed before the call. */
void mailbox_run(Mailbox *mailbox);
void mailbox_cancel(Mailbox *mailbox, LoopMessage *message);

/* The earliest deadline, or -1 when no timer is set. */
int64_t timer_heap_next_ns(const TimerHeap *heap);
/* Fires what is due at @now_ns and was set before the call. */
void timer_heap_run(TimerHeap *heap, int64_t now_ns);

void poller_set_init(PollerSet *set);
bool poller_set_is_empty(const PollerSet *set);
typedef enum PollerWait {
    POLLER_WAIT_WORK,           /* there is some */
    POLLER_WAIT_LOOK_ROUND,     /* none yet: look at the descriptors, and wait on */
    POLLER_WAIT_SLEEP,          /* none, and waiting on is not worth while */
} PollerWait;

/* Waits busily for work of a poller or of the loop. */
PollerWait poller_set_wait(Loop *loop);
/* Whether the descriptors need not be looked at in this turn, after work was found. */
bool poller_set_may_skip(PollerSet *set);
/* Runs the active pollers that are ready. */
void poller_set_run(PollerSet *set);
/* Before a sleep; true when work came and the loop may not sleep. */
bool poller_set_arm(PollerSet *set);
/* The loop slept after poller_set_wait(): fits the busy wait to how long. */
void poller_set_slept(PollerSet *set);
/* Work of a watched descriptor is about to be done. */
void poller_set_found(PollerSet *set);

/* Whether something else than pollers and descriptors wants a turn. */
bool loop_has_work(Loop *loop);

/* What the kernel has to do for the loop, and whether a worker has. */
unsigned aio_n_in_flight(const Loop *loop);
bool worker_pool_has_jobs(const Loop *loop);
