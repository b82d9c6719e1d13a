/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects by id, in order of addition.  An object that is on the list is complete; one
 * that has users stays.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/id.h"
#include "berth/object.h"
#include "berth/thread.h"

struct ObjectSet {
    ListNode objects;
    ObjectDefaults defaults;
    Iothread *queue_thread;     /* lent */
    BlockGraph *blocks;         /* lent */
    NetSet *nets;               /* lent */
    DeviceTree *tree;           /* lent */
    const FdSets *fdsets;       /* lent */
    const QmpContext *context;  /* lent */
};

ObjectSet *object_set_new(void)
{
    ObjectSet *set = g_new0(ObjectSet, 1);

    list_init(&set->objects);
    return set;
}

static void free_memory(Object *object)
{
    qapi_free_ObjectOptions(object->options);
    g_free(object->id);
    g_free(object);
}

static void object_free(Object *object)
{
    g_assert(object->n_users == 0);
    list_remove(&object->node);
    if (object->class->done)
        object->class->done(object);
    free_memory(object);
}

void object_set_free(ObjectSet *set)
{
    if (!set)
        return;
    while (!list_is_empty(&set->objects))
        object_free(CONTAINER_OF(set->objects.prev, Object, node));
    g_free(set);
}

void object_set_defaults(ObjectSet *set, const ObjectDefaults *defaults)
{
    set->defaults = *defaults;
}

void object_set_lend_queue_thread(ObjectSet *set, Iothread *iothread)
{
    set->queue_thread = iothread;
}

void object_set_lend_blocks(ObjectSet *set, BlockGraph *blocks)
{
    set->blocks = blocks;
}

BlockGraph *object_set_blocks(const ObjectSet *set)
{
    return set->blocks;
}

void object_set_lend_tree(ObjectSet *set, DeviceTree *tree)
{
    set->tree = tree;
}

DeviceTree *object_set_tree(const ObjectSet *set)
{
    return set->tree;
}

void object_set_lend_nets(ObjectSet *set, NetSet *nets)
{
    set->nets = nets;
}

NetSet *object_set_nets(const ObjectSet *set)
{
    return set->nets;
}

void object_set_lend_fdsets(ObjectSet *set, const FdSets *fdsets)
{
    set->fdsets = fdsets;
}

const FdSets *object_set_fdsets(const ObjectSet *set)
{
    return set->fdsets;
}

void object_set_lend_context(ObjectSet *set, const QmpContext *context)
{
    set->context = context;
}

const QmpContext *object_set_context(const ObjectSet *set)
{
    return set->context;
}

Iothread *object_set_queue_thread(const ObjectSet *set)
{
    return set->queue_thread;
}

const ObjectDefaults *object_defaults(const Object *object)
{
    return &object->set->defaults;
}

Object *object_find(ObjectSet *set, const char *id)
{
    LIST_FOREACH(node, &set->objects) {
        Object *object = CONTAINER_OF(node, Object, node);

        if (strcmp(object->id, id) == 0)
            return object;
    }
    return NULL;
}

bool object_add(ObjectSet *set, const ObjectOptions *options, GError **error)
{
    const ObjectClass *class = object_classes[options->qom_type];
    Object *object;

    assert_main();
    if (!id_check(options->id, "id", error))
        return false;
    if (object_find(set, options->id)) {
        error_set(error, "parameter 'id': there is an object '%s' already", options->id);
        return false;
    }
    object = g_malloc0(class->instance_size);
    object->class = class;
    object->set = set;
    object->id = g_strdup(options->id);
    object->options = qapi_clone_ObjectOptions(options);
    list_init(&object->node);
    if (!class->complete(object, object->options, error)) {
        free_memory(object);
        return false;
    }
    list_append(&set->objects, &object->node);
    return true;
}

static bool is_fixed(const char *property)
{
    return strcmp(property, "id") == 0 || strcmp(property, "qom-type") == 0;
}

bool object_change(Object *object, const char *property, const JsonValue *value,
                   GError **error)
{
    g_autoptr(JsonValue) json =
        qapi_emit(QAPI_TYPE_OBJECT_OPTIONS, object->options);
    g_autoptr(ObjectOptions) options = NULL;

    assert_main();
    if (!object->class->change || is_fixed(property)) {
        error_set(error, "property '%s' of object '%s' cannot be changed", property,
                  object->id);
        return false;
    }
    json_set(json, property, json_ref(value));
    options = qapi_parse(QAPI_TYPE_OBJECT_OPTIONS, json, QAPI_INPUT_JSON, error);
    if (!options || !object->class->change(object, options, error))
        return false;
    qapi_free_ObjectOptions(object->options);
    object->options = g_steal_pointer(&options);
    return true;
}

bool object_del(ObjectSet *set, const char *id, GError **error)
{
    Object *object = object_find(set, id);

    assert_main();
    if (!object) {
        error_set(error, "object '%s' not found", id);
        return false;
    }
    if (object->n_users || (object->class->is_used && object->class->is_used(object))) {
        error_set(error, "object '%s' is in use", id);
        return false;
    }
    object_free(object);
    return true;
}

const ListNode *object_set_list(const ObjectSet *set)
{
    return &set->objects;
}

static const char *family_str(ObjectFamily family)
{
    switch (family) {
    case OBJECT_FAMILY_IOTHREAD:
        return "an iothread";
    case OBJECT_FAMILY_NET_FILTER:
        return "a filter of frames";
    case OBJECT_FAMILY_NET_LIMIT:
        return "limits of network devices";
    case OBJECT_FAMILY_MEMORY:
        return "a memory backend";
    case OBJECT_FAMILY_RNG:
        return "a source of entropy";
    case OBJECT_FAMILY_SECRET:
        return "a secret";
    case OBJECT_FAMILY_SETTINGS:
        return "settings";
    }
    return NULL;
}

Object *object_hold(ObjectSet *set, const char *id, ObjectFamily family, GError **error)
{
    Object *object = object_find(set, id);

    assert_main();
    if (!object) {
        error_set(error, "object '%s' not found", id);
        return NULL;
    }
    if (object->class->family != family) {
        error_set(error, "object '%s' is a '%s', expected is %s", id, object->class->name,
                  family_str(family));
        return NULL;
    }
    object->n_users++;
    return object;
}

void object_release(Object *object)
{
    if (!object)
        return;
    assert_main();
    g_assert(object->n_users > 0);
    object->n_users--;
}
