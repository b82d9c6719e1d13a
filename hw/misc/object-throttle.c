/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle-group: limits that disks share by the object's name.  What the object's
 * options say is kept true, whoever changes the limits.
 */
#include "berth/error.h"
#include "berth/object.h"
#include "berth/qapi.h"
#include "berth/throttle.h"

typedef struct ThrottleObject {
    Object object;
    ThrottleGroup *group;
} ThrottleObject;

static ThrottleObject *to_throttle(const Object *object)
{
    return CONTAINER_OF((Object *)object, ThrottleObject, object);
}

/* The x-... of @props as limits. */
static ThrottleLimits *x_limits(const ThrottleGroupProperties *props)
{
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_THROTTLE_GROUP_PROPERTIES, props);
    g_autoptr(JsonValue) limits = json_new_object();
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(json, &iter, &key, &value)) {
        if (g_str_has_prefix(key, "x-"))
            json_set(limits, key + strlen("x-"), json_ref(value));
    }
    return qapi_parse(QAPI_TYPE_THROTTLE_LIMITS, limits, QAPI_INPUT_JSON, NULL);
}

/* Has @options say what the limits are, in both ways. */
static void describe(ThrottleGroup *group, ObjectOptions *options)
{
    ThrottleLimits *limits = throttle_group_limits(group);
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_THROTTLE_LIMITS, limits);
    g_autoptr(JsonValue) props = json_new_object();
    g_autoptr(ThrottleGroupProperties) made = NULL;
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    json_set(props, "limits", json_ref(json));
    while (json_next(json, &iter, &key, &value)) {
        g_autofree char *x = g_strconcat("x-", key, NULL);

        json_set(props, x, json_ref(value));
    }
    qapi_free_ThrottleLimits(limits);
    made = qapi_parse(QAPI_TYPE_THROTTLE_GROUP_PROPERTIES, props, QAPI_INPUT_JSON, NULL);
    qapi_free_ThrottleLimits(options->u.throttle_group.limits);
    options->u.throttle_group = *made;
    made->limits = NULL;
}

static void on_changed(void *opaque)
{
    ThrottleObject *throttle = opaque;

    describe(throttle->group, throttle->object.options);
}

static bool throttle_complete(Object *object, const ObjectOptions *options,
                              GError **error)
{
    const ThrottleGroupProperties *props = &options->u.throttle_group;
    BlockGraph *blocks = object_set_blocks(object->set);
    g_autoptr(ThrottleLimits) limits = x_limits(props);
    g_autoptr(ThrottleGroup) group = NULL;

    if (!blocks)
        error_set(error, "there is nothing to limit");
    else
        group = throttle_group_new(blocks, object->id, error);
    if (!group || !throttle_group_set_limits(group, limits, error) ||
        (props->limits && !throttle_group_set_limits(group, props->limits, error)))
        return false;
    to_throttle(object)->group = g_steal_pointer(&group);
    throttle_group_set_watch(to_throttle(object)->group, on_changed, object);
    on_changed(object);
    return true;
}

static bool throttle_change(Object *object, ObjectOptions *options, GError **error)
{
    ThrottleGroup *group = to_throttle(object)->group;
    g_autoptr(ThrottleLimits) before = x_limits(&object->options->u.throttle_group);
    g_autoptr(ThrottleLimits) after = x_limits(&options->u.throttle_group);

    if (!qapi_equal(QAPI_TYPE_THROTTLE_LIMITS, before, after)) {
        error_set(error, "the 'x-...' properties of object '%s' cannot be changed: set "
                  "'limits'", object->id);
        return false;
    }
    if (!throttle_group_set_limits(group, options->u.throttle_group.limits, error))
        return false;
    describe(group, options);
    return true;
}

static bool throttle_is_used(const Object *object)
{
    return throttle_group_has_users(to_throttle(object)->group);
}

static void throttle_done(Object *object)
{
    throttle_group_set_watch(to_throttle(object)->group, NULL, NULL);
    throttle_group_unref(to_throttle(object)->group);
}

const ObjectClass object_throttle_class = {
    .name = "throttle-group",
    .family = OBJECT_FAMILY_SETTINGS,
    .instance_size = sizeof(ThrottleObject),
    .complete = throttle_complete,
    .change = throttle_change,
    .is_used = throttle_is_used,
    .done = throttle_done,
};
