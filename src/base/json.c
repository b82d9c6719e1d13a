/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as json-c keeps them; see json-tree.h for null.
 */
#include <string.h>

#include "berth/error.h"

#include "json-tree.h"

JsonKind json_kind(const JsonValue *value)
{
    switch (json_object_get_type(json_to_tree(value))) {
    case json_type_null:
        return JSON_NULL;
    case json_type_boolean:
        return JSON_BOOL;
    case json_type_double:
        return JSON_DOUBLE;
    case json_type_int:
        return JSON_INT;
    case json_type_object:
        return JSON_OBJECT;
    case json_type_array:
        return JSON_ARRAY;
    case json_type_string:
        return JSON_STRING;
    }
    g_assert_not_reached();
}

JsonValue *json_ref(const JsonValue *value)
{
    return json_from_tree(json_object_get(json_to_tree(value)));
}

void json_unref(JsonValue *value)
{
    if (value)
        json_object_put(json_to_tree(value));
}

JsonValue *json_new_null(void)
{
    return json_from_tree(NULL);
}

JsonValue *json_new_bool(bool value)
{
    return json_from_tree(json_object_new_boolean(value));
}

JsonValue *json_new_int(int64_t value)
{
    return json_from_tree(json_object_new_int64(value));
}

JsonValue *json_new_uint(uint64_t value)
{
    if (value <= INT64_MAX)
        return json_new_int((int64_t)value);
    return json_from_tree(json_object_new_uint64(value));
}

JsonValue *json_new_double(double value)
{
    return json_from_tree(json_object_new_double(value));
}

JsonValue *json_new_string(const char *value)
{
    return json_from_tree(json_object_new_string(value));
}

JsonValue *json_new_array(void)
{
    return json_from_tree(json_object_new_array());
}

JsonValue *json_new_object(void)
{
    return json_from_tree(json_object_new_object());
}

bool json_as_bool(const JsonValue *value)
{
    return json_kind(value) == JSON_BOOL && json_object_get_boolean(json_to_tree(value));
}

double json_as_double(const JsonValue *value)
{
    JsonKind kind = json_kind(value);

    if (kind != JSON_DOUBLE && kind != JSON_INT)
        return 0;
    return json_object_get_double(json_to_tree(value));
}

const char *json_as_string(const JsonValue *value)
{
    return json_kind(value) == JSON_STRING
        ? json_object_get_string(json_to_tree(value)) : NULL;
}

/* json-c keeps a number above INT64_MAX as uint64_t, and its getters saturate. */
bool json_as_int(const JsonValue *value, int64_t *ret_value)
{
    if (json_kind(value) != JSON_INT)
        return false;
    if (json_object_get_uint64(json_to_tree(value)) > INT64_MAX)
        return false;
    *ret_value = json_object_get_int64(json_to_tree(value));
    return true;
}

bool json_as_uint(const JsonValue *value, uint64_t *ret_value)
{
    if (json_kind(value) != JSON_INT || json_object_get_int64(json_to_tree(value)) < 0)
        return false;
    *ret_value = json_object_get_uint64(json_to_tree(value));
    return true;
}

size_t json_length(const JsonValue *value)
{
    switch (json_kind(value)) {
    case JSON_ARRAY:
        return json_object_array_length(json_to_tree(value));
    case JSON_OBJECT:
        return json_object_object_length(json_to_tree(value));
    default:
        return 0;
    }
}

JsonValue *json_at(const JsonValue *array, size_t index)
{
    return json_from_tree(json_object_array_get_idx(json_to_tree(array), index));
}

void json_append(JsonValue *array, JsonValue *value)
{
    json_object_array_add(json_to_tree(array), json_to_tree(value));
}

JsonValue *json_member(const JsonValue *object, const char *key)
{
    json_object *member;

    if (!json_object_object_get_ex(json_to_tree(object), key, &member))
        return NULL;
    return json_from_tree(member);
}

void json_set(JsonValue *object, const char *key, JsonValue *value)
{
    json_object_object_add(json_to_tree(object), key, json_to_tree(value));
}

void json_remove(JsonValue *object, const char *key)
{
    json_object_object_del(json_to_tree(object), key);
}

bool json_next(const JsonValue *object, JsonIter *iter, const char **ret_key,
               JsonValue **ret_value)
{
    const struct lh_entry *entry = iter->next;

    if (!iter->started)
        entry = lh_table_head(json_object_get_object(json_to_tree(object)));
    iter->started = true;
    if (!entry)
        return false;
    iter->next = lh_entry_next(entry);
    *ret_key = lh_entry_k(entry);
    *ret_value = json_from_tree(lh_entry_v(entry));
    return true;
}

bool json_equal(const JsonValue *a, const JsonValue *b)
{
    if (!a || !b)
        return a == b;
    return json_object_equal(json_to_tree(a), json_to_tree(b));
}

JsonValue *json_parse_text(const char *text, size_t size, GError **error)
{
    g_autoptr(JsonStream) stream = json_stream_new();
    g_autoptr(JsonValue) value = NULL;
    JsonStreamResult result;
    size_t used, i;

    result = json_stream_feed(stream, text, size, &used, &value, error);
    for (i = used; i < size && strchr(" \t\r\n", text[i]); i++)
        continue;
    if (result == JSON_STREAM_MORE)
        result = json_stream_feed(stream, "\n", 1, &used, &value, error);
    if (result == JSON_STREAM_ERROR)
        return NULL;
    if (result == JSON_STREAM_MORE || i < size) {
        error_set(error, "JSON parse error, %s",
                  i < size ? "text after the value" : "text ends before the value");
        return NULL;
    }
    return g_steal_pointer(&value);
}

char *json_to_text(const JsonValue *value)
{
    GString *text = g_string_new(NULL);
    JsonWriter writer;

    json_writer_init(&writer, text, false);
    json_writer_value(&writer, value);
    return g_string_free(text, FALSE);
}
