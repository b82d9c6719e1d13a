/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iothread: a thread with a loop, made with the object.
 */
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

static bool iothread_complete(Object *object, const ObjectOptions *options,
                              GError **error)
{
    to_iothread(object)->iothread = iothread_new(object->id, error);
    return to_iothread(object)->iothread != NULL;
}

static void iothread_done(Object *object)
{
    iothread_free(to_iothread(object)->iothread);
}

Iothread *object_iothread(const Object *object)
{
    return object->class == &object_iothread_class ? to_iothread(object)->iothread : NULL;
}

const ObjectClass object_iothread_class = {
    .name = "iothread",
    .family = OBJECT_FAMILY_IOTHREAD,
    .instance_size = sizeof(IothreadObject),
    .complete = iothread_complete,
    .done = iothread_done,
};
