/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iothread: a thread with a loop, made with the object.
 *
 * main-loop: the settings of the thread of those queues that name no iothread.  It has no
 * thread itself: that is made with the first such queue, and told what the object says.
 */
#include "berth/error.h"
#include "berth/iothread.h"
#include "berth/object.h"

typedef struct IothreadObject {
    Object object;
    Iothread *iothread;
} IothreadObject;

static IothreadObject *to_iothread(const Object *object)
{
    return CONTAINER_OF((Object *)object, IothreadObject, object);
}

/* @iothread may be NULL: the settings are checked only. */
static bool tune(Iothread *iothread, const IothreadTuning *tuning, GError **error)
{
    if (tuning->min_workers > tuning->max_workers) {
        error_set(error, "parameter 'thread-pool-min': %u is more than "
                  "'thread-pool-max', %u", tuning->min_workers, tuning->max_workers);
        return false;
    }
    return !iothread || iothread_tune(iothread, tuning, error);
}

static bool tune_iothread(Iothread *iothread, const IothreadProps *props, GError **error)
{
    const IothreadTuning tuning = {
        .polling = {
            .max_ns = props->poll_max_ns,
            .grow = props->poll_grow,
            .shrink = props->poll_shrink,
        },
        .aio_max_batch = (unsigned)MIN(props->aio_max_batch, UINT_MAX),
        .min_workers = (unsigned)props->thread_pool_min,
        .max_workers = (unsigned)props->thread_pool_max,
    };

    return tune(iothread, &tuning, error);
}

static bool iothread_complete(Object *object, const ObjectOptions *options,
                              GError **error)
{
    g_autoptr(Iothread) iothread = iothread_new(object->id, error);

    if (!iothread || !tune_iothread(iothread, &options->u.iothread, error))
        return false;
    to_iothread(object)->iothread = g_steal_pointer(&iothread);
    return true;
}

static bool iothread_change(Object *object, ObjectOptions *options, GError **error)
{
    return tune_iothread(to_iothread(object)->iothread, &options->u.iothread, error);
}

static void iothread_done(Object *object)
{
    iothread_free(to_iothread(object)->iothread);
}

Iothread *object_iothread(const Object *object)
{
    return object->class == &object_iothread_class ? to_iothread(object)->iothread : NULL;
}

static bool tune_queue_thread(Iothread *iothread, const EventLoopBaseProperties *props,
                              GError **error)
{
    const IothreadTuning tuning = {
        .polling = iothread_default_tuning.polling,
        .aio_max_batch = (unsigned)MIN(props->aio_max_batch, UINT_MAX),
        .min_workers = (unsigned)props->thread_pool_min,
        .max_workers = (unsigned)props->thread_pool_max,
    };

    return tune(iothread, &tuning, error);
}

static const Object *find_main_loop(const ObjectSet *set)
{
    LIST_FOREACH(node, object_set_list(set)) {
        const Object *object = CONTAINER_OF(node, Object, node);

        if (object->class == &object_main_loop_class)
            return object;
    }
    return NULL;
}

static bool main_loop_complete(Object *object, const ObjectOptions *options,
                               GError **error)
{
    const Object *other = find_main_loop(object->set);

    if (other) {
        error_set(error, "there is a main-loop already, '%s'", other->id);
        return false;
    }
    return tune_queue_thread(object_set_queue_thread(object->set), &options->u.main_loop,
                             error);
}

static bool main_loop_change(Object *object, ObjectOptions *options, GError **error)
{
    return tune_queue_thread(object_set_queue_thread(object->set), &options->u.main_loop,
                             error);
}

static void main_loop_done(Object *object)
{
    Iothread *iothread = object_set_queue_thread(object->set);

    if (iothread)
        iothread_tune(iothread, &iothread_default_tuning, NULL);
}

bool object_iothread_tune_queues(const ObjectSet *set, Iothread *iothread, GError **error)
{
    const Object *object = find_main_loop(set);

    return !object ||
        tune_queue_thread(iothread, &object->options->u.main_loop, error);
}

const ObjectClass object_iothread_class = {
    .name = "iothread",
    .family = OBJECT_FAMILY_IOTHREAD,
    .instance_size = sizeof(IothreadObject),
    .complete = iothread_complete,
    .change = iothread_change,
    .done = iothread_done,
};

const ObjectClass object_main_loop_class = {
    .name = "main-loop",
    .family = OBJECT_FAMILY_SETTINGS,
    .instance_size = sizeof(Object),
    .complete = main_loop_complete,
    .change = main_loop_change,
    .done = main_loop_done,
};
