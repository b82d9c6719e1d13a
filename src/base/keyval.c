/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key=value text to JSON.
 *
 * Dotted keys build objects first.  At the end an object whose keys are all numbers
 * becomes a list, which must have no holes.  A key that is both a value and an object
 * is refused.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/keyval.h"

#define KEY_MAX 127

typedef struct Parser {
    JsonValue *object;
    const char *implied;
    const char *const *lists;   /* keys that may be repeated; ended by NULL */
    bool *ret_help;             /* NULL: "help" is a key like others */
} Parser;

/* The part of @text up to a comma that is not doubled, with doubled ones made single. */
static char *take_value(const char **text)
{
    GString *value = g_string_new(NULL);
    const char *p = *text;

    while (*p && (*p != ',' || p[1] == ',')) {
        g_string_append_c(value, *p);
        p += *p == ',' ? 2 : 1;
    }
    *text = *p ? p + 1 : p;
    return g_string_free(value, FALSE);
}

static bool is_key_char(char c)
{
    return g_ascii_isalnum(c) || c == '-' || c == '_';
}

/* The length of the fragment of a dotted key at @key, 0 when there is none. */
static size_t fragment_length(const char *key)
{
    size_t length = 0;

    while (is_key_char(key[length]))
        length++;
    return length;
}

/*
 * The object that holds the last fragment of @key, made when it is not there;
 * *@ret_last is that fragment.
 */
static JsonValue *open_key(JsonValue *object, const char *key, const char **ret_last,
                           GError **error)
{
    for (unsigned depth = 0; depth < KEYVAL_MAX_DEPTH; depth++) {
        size_t length = fragment_length(key);
        g_autofree char *fragment = g_strndup(key, length);
        JsonValue *member;

        if (key[length] != '.') {
            *ret_last = key;
            return object;
        }
        member = json_member(object, fragment);
        if (!member) {
            member = json_new_object();
            json_set(object, fragment, member);
        } else if (json_kind(member) != JSON_OBJECT) {
            error_set(error, "Parameter '%s' is used with and without members", fragment);
            return NULL;
        }
        object = member;
        key += length + 1;
    }
    error_set(error, "Parameter '%s' is nested too deep", key);
    return NULL;
}

static bool key_is_valid(const char *key)
{
    size_t length = fragment_length(key);

    if (strlen(key) > KEY_MAX)
        return false;
    while (length && key[length] == '.') {
        key += length + 1;
        length = fragment_length(key);
    }
    return length && !key[length];
}

static bool set_value(const Parser *parser, const char *key, const char *value,
                      GError **error)
{
    JsonValue *object, *member;
    const char *last;

    if (!key_is_valid(key)) {
        error_set(error, "Invalid parameter '%.*s'", KEY_MAX, key);
        return false;
    }
    object = open_key(parser->object, key, &last, error);
    if (!object)
        return false;
    member = json_member(object, last);
    if (member && json_kind(member) == JSON_OBJECT) {
        error_set(error, "Parameter '%s' is used with and without members", key);
        return false;
    }
    if (!g_strv_contains(parser->lists, key)) {
        json_set(object, last, json_new_string(value));
        return true;
    }
    if (!member) {
        member = json_new_array();
        json_set(object, last, member);
    }
    json_append(member, json_new_string(value));
    return true;
}

/* Takes one pair of *@text; the first may leave out the implied key. */
static bool take_pair(const Parser *parser, bool is_first, const char **text,
                      GError **error)
{
    const char *implied = is_first ? parser->implied : NULL;
    const char *pair = *text;
    size_t length = strcspn(pair, "=,");
    g_autofree char *key = NULL;
    g_autofree char *value = NULL;

    if (pair[length] == '=') {
        key = g_strndup(pair, length);
        *text = pair + length + 1;
        value = take_value(text);
        return set_value(parser, key, value, error);
    }
    value = take_value(text);
    if (parser->ret_help && (strcmp(value, "help") == 0 || strcmp(value, "?") == 0)) {
        *parser->ret_help = true;
        return true;
    }
    if (implied)
        return set_value(parser, implied, value, error);
    return set_value(parser, value, "on", error);
}

static bool is_index(const char *key)
{
    return *key && !key[strspn(key, "0123456789")];
}

/* Whether the keys of @object are all indices; an error when only some are. */
static bool has_indices(const JsonValue *object, bool *ret_list, GError **error)
{
    JsonIter iter = { 0 };
    size_t n_indices = 0;
    const char *key, *name = NULL;
    JsonValue *member;

    while (json_next(object, &iter, &key, &member)) {
        if (is_index(key))
            n_indices++;
        else
            name = key;
    }
    if (n_indices && name) {
        error_set(error, "Parameter '%s' is among elements of a list", name);
        return false;
    }
    *ret_list = n_indices > 0;
    return true;
}

static JsonValue *list_from_indices(JsonValue *object, GError **error)
{
    g_autoptr(JsonValue) list = json_new_array();

    for (size_t i = 0; i < json_length(object); i++) {
        g_autofree char *key = g_strdup_printf("%zu", i);
        JsonValue *member = json_member(object, key);

        if (!member) {
            error_set(error, "Parameter '%s' of a list is missing", key);
            return NULL;
        }
        json_append(list, json_ref(member));
    }
    return g_steal_pointer(&list);
}

/*
 * A copy of @value in which objects of indices are lists, at every depth below @depth 0.
 * NULL with @error.
 */
static JsonValue *with_lists(JsonValue *value, unsigned depth, GError **error)
{
    g_autoptr(JsonValue) result = json_new_object();
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *member;
    bool is_list;

    if (json_kind(value) != JSON_OBJECT)
        return json_ref(value);
    while (json_next(value, &iter, &key, &member)) {
        JsonValue *inner = with_lists(member, depth + 1, error);

        if (!inner) {
            g_prefix_error(error, "in '%s': ", key);
            return NULL;
        }
        json_set(result, key, inner);
    }
    if (depth == 0)
        return g_steal_pointer(&result);
    if (!has_indices(result, &is_list, error))
        return NULL;
    return is_list ? list_from_indices(result, error) : g_steal_pointer(&result);
}

JsonValue *keyval_parse_lists(const char *text, const char *implied,
                              const char *const *lists, bool *ret_help, GError **error)
{
    g_autoptr(JsonValue) object = json_new_object();
    const Parser parser = {
        .object = object, .implied = implied, .lists = lists, .ret_help = ret_help,
    };

    if (ret_help)
        *ret_help = false;
    for (unsigned n = 0; *text; n++) {
        if (n == KEYVAL_MAX_PAIRS) {
            error_set(error, "more than %u parameters", KEYVAL_MAX_PAIRS);
            return NULL;
        }
        if (!take_pair(&parser, n == 0, &text, error))
            return NULL;
    }
    return with_lists(object, 0, error);
}

JsonValue *keyval_parse(const char *text, const char *implied, bool *ret_help,
                        GError **error)
{
    static const char *const no_lists[] = { NULL };

    return keyval_parse_lists(text, implied, no_lists, ret_help, error);
}

void keyval_merge(JsonValue *object, JsonValue *more)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(more, &iter, &key, &value)) {
        JsonValue *old = json_member(object, key);

        if (old && json_kind(old) == JSON_OBJECT && json_kind(value) == JSON_OBJECT)
            keyval_merge(old, json_ref(value));
        else
            json_set(object, key, json_ref(value));
    }
    json_unref(more);
}
