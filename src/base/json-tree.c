/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-c's parser on the text of one value, in its strict mode.  A key that is there
 * twice in an object, which json-c lets pass, is found by counting: colons against
 * members.
 */
#include "json-tree.h"

const char json_tree_null[1];

static size_t count_members(const JsonValue *value)
{
    size_t count = 0;

    if (json_kind(value) == JSON_ARRAY) {
        for (size_t i = 0; i < json_length(value); i++)
            count += count_members(json_at(value, i));
    } else if (json_kind(value) == JSON_OBJECT) {
        JsonIter iter = { 0 };
        const char *key;
        JsonValue *member;

        count = json_length(value);
        while (json_next(value, &iter, &key, &member))
            count += count_members(member);
    }
    return count;
}

JsonValue *json_tree_build(const char *text, size_t size, unsigned depth, size_t n_colons,
                           const char **ret_fault)
{
    struct json_tokener *tokener;
    enum json_tokener_error status;
    g_autoptr(JsonValue) value = NULL;

    if (!g_utf8_validate(text, (gssize)size, NULL)) {
        *ret_fault = "invalid UTF-8";
        return NULL;
    }
    tokener = json_tokener_new_ex((int)depth + 1);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    /* The NUL ends a number that is the whole text. */
    value = json_from_tree(json_tokener_parse_ex(tokener, text, (int)size + 1));
    status = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    if (status != json_tokener_success) {
        *ret_fault = json_tokener_error_desc(status);
        return NULL;
    }
    if (count_members(value) != n_colons) {
        *ret_fault = "duplicate key";
        return NULL;
    }
    return g_steal_pointer(&value);
}
