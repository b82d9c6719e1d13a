/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads with a role, and the count of locks that each holds.
 *
 * A new thread inherits a mask with all signals blocked, so that a signal to the
 * process is the main thread's; a vCPU opens its own kick signal itself.  The
 * synchronous signals stay open: blocked, they would kill the process without a word of
 * where.
 *
 * ThreadSanitizer does not see into GLib, so under it the functions of locks say what
 * GLib's mean.
 */
#include <signal.h>
#include <stdatomic.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_acquire(address) ((void)0)
#define __tsan_release(address) ((void)0)
#endif

#include "berth/error.h"
#include "berth/qsbr.h"
#include "berth/thread.h"

#define NAME_MAX_SIZE 16        /* the kernel's TASK_COMM_LEN */

typedef struct ThreadStart {
    ThreadRole role;
    char name[NAME_MAX_SIZE];
    void *(*fn)(void *opaque);
    void *opaque;
} ThreadStart;

static __thread ThreadRole current_role;
static __thread unsigned held_locks;
static __thread bool is_confined;

/* NULL: nobody is confined. */
static _Atomic(ThreadConfineFn *) confinement;

ThreadRole thread_role(void)
{
    return current_role;
}

void thread_set_role(ThreadRole role)
{
    current_role = role;
    qsbr_register();
}

void thread_set_confinement(ThreadConfineFn *fn)
{
    assert_main();
    is_confined = true;
    atomic_store_explicit(&confinement, fn, memory_order_release);
}

void thread_confine(void)
{
    ThreadConfineFn *fn;

    if (is_confined)
        return;
    fn = atomic_load_explicit(&confinement, memory_order_acquire);
    if (!fn)
        return;
    is_confined = true;
    fn(current_role);
}

void assert_main(void)
{
    g_assert(current_role == THREAD_MAIN || current_role == THREAD_NONE);
}

void assert_may_wait(ThreadRole role)
{
    g_assert(current_role > role);
    g_assert(held_locks == 0);
}

void lock_take(GMutex *lock)
{
    g_mutex_lock(lock);
    __tsan_acquire(lock);
    held_locks++;
}

void lock_drop(GMutex *lock)
{
    g_assert(held_locks > 0);
    held_locks--;
    __tsan_release(lock);
    g_mutex_unlock(lock);
}

/* A worker within a job is offline already, and stays so. */
static bool go_offline(void)
{
    bool was_online = qsbr_is_online();

    g_assert(held_locks == 1);
    if (was_online)
        qsbr_offline();
    return was_online;
}

void lock_wait(GCond *cond, GMutex *lock)
{
    bool was_online = go_offline();

    __tsan_release(lock);
    g_cond_wait(cond, lock);
    __tsan_acquire(lock);
    if (was_online)
        qsbr_online();
}

bool lock_wait_until(GCond *cond, GMutex *lock, int64_t deadline_ns)
{
    bool was_online = go_offline();
    bool in_time;

    __tsan_release(lock);
    in_time = g_cond_wait_until(cond, lock, deadline_ns / 1000 + 1);
    __tsan_acquire(lock);
    if (was_online)
        qsbr_online();
    return in_time;
}

void lock_take_long(GMutex *lock)
{
    g_assert(held_locks == 0);
    g_mutex_lock(lock);
    __tsan_acquire(lock);
}

bool lock_try_long(GMutex *lock)
{
    if (!g_mutex_trylock(lock))
        return false;
    __tsan_acquire(lock);
    return true;
}

void lock_drop_long(GMutex *lock)
{
    __tsan_release(lock);
    g_mutex_unlock(lock);
}

void lock_wait_long(GCond *cond, GMutex *lock)
{
    bool was_online = qsbr_is_online();

    g_assert(held_locks == 0);
    if (was_online)
        qsbr_offline();
    __tsan_release(lock);
    g_cond_wait(cond, lock);
    __tsan_acquire(lock);
    if (was_online)
        qsbr_online();
}

unsigned lock_held_count(void)
{
    return held_locks;
}

static void *run_thread(void *opaque)
{
    ThreadStart start = *(ThreadStart *)opaque;
    void *result;

    g_free(opaque);
    pthread_setname_np(pthread_self(), start.name);
    thread_set_role(start.role);
    thread_confine();
    result = start.fn(start.opaque);
    qsbr_unregister();
    return result;
}

static int create_thread(pthread_t *thread, ThreadStart *start)
{
    pthread_attr_t attr;
    sigset_t blocked, before;
    int ret;

    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGTRAP);
    sigdelset(&blocked, SIGABRT);
    sigdelset(&blocked, SIGSYS);

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    ret = pthread_create(thread, &attr, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return ret;
}

bool thread_start(pthread_t *ret_thread, ThreadRole role, const char *name,
                  void *(*fn)(void *opaque), void *opaque, GError **error)
{
    ThreadStart *start = g_new0(ThreadStart, 1);
    int ret;

    start->role = role;
    start->fn = fn;
    start->opaque = opaque;
    g_strlcpy(start->name, name, sizeof(start->name));
    ret = create_thread(ret_thread, start);
    if (ret != 0) {
        g_free(start);
        error_set_errno(error, ret, "cannot start thread '%s'", name);
        return false;
    }
    return true;
}
