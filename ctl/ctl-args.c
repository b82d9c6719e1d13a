/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema's tables say how "value=on" is meant, and what is wrong with it, before a
 * machine is asked.  What is sent has those members that were given and no defaults, so
 * that a machine of another version is asked for nothing that it does not know.
 */
#include <string.h>

#include "berth/keyval.h"
#include "berth/qapi-tables.h"

#include "ctl-args.h"

static const QmpCommand *find_command(const char *name)
{
    for (unsigned i = 0; i < qmp_n_commands; i++) {
        if (strcmp(qapi_text(qmp_commands[i].name), name) == 0)
            return &qmp_commands[i];
    }
    return NULL;
}

/* Of @typed what @given has, too; the caller's. */
static JsonValue *only_given(const JsonValue *typed, const JsonValue *given)
{
    JsonIter iter = { 0 };
    JsonValue *out;
    const char *key;
    JsonValue *value;

    if (json_kind(typed) != JSON_OBJECT || json_kind(given) != JSON_OBJECT)
        return json_ref(typed);
    out = json_new_object();
    while (json_next(typed, &iter, &key, &value)) {
        const JsonValue *from = json_member(given, key);

        if (from)
            json_set(out, key, only_given(value, from));
    }
    return out;
}

static JsonValue *with_types(QapiTypeId type, const JsonValue *given, GError **error)
{
    void *value = qapi_parse(type, given, QAPI_INPUT_TEXT, error);
    g_autoptr(JsonValue) typed = NULL;

    if (!value)
        return NULL;
    typed = qapi_emit(type, value);
    qapi_free(type, value);
    return only_given(typed, given);
}

/* Each word is one pair, so that commas are its own. */
static JsonValue *read_pairs(char **words, int n, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (int i = 0; i < n; i++) {
        if (!strchr(words[i], '=')) {
            error_set(error, "'%s' is no argument: key=value is, or one text of JSON",
                      words[i]);
            return NULL;
        }
        if (i > 0)
            g_string_append_c(text, ',');
        for (const char *at = words[i]; *at; at++)
            g_string_append(text, *at == ',' ? ",," : (char[]){ *at, '\0' });
    }
    return keyval_parse(text->str, NULL, NULL, error);
}

/* Values that are JSON become it. */
static JsonValue *guess_types(const JsonValue *given)
{
    JsonValue *out = json_new_object();
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(given, &iter, &key, &value)) {
        const char *text = json_as_string(value);
        JsonValue *parsed = text ? json_parse_text(text, strlen(text), NULL) : NULL;

        json_set(out, key, parsed ? parsed : json_ref(value));
    }
    return out;
}

JsonValue *ctl_args_of_command(const char *command, char **words, int n, GError **error)
{
    const QmpCommand *row = find_command(command);
    g_autoptr(JsonValue) given = NULL;

    if (n == 1 && words[0][0] == '{')
        return json_parse_text(words[0], strlen(words[0]), error);
    given = n > 0 ? read_pairs(words, n, error) : json_new_object();
    if (!given)
        return NULL;
    if (!row)
        return guess_types(given);
    if (row->args)
        return with_types(row->args, given, error);
    if (n > 0) {
        error_set(error, "command '%s' takes no arguments", command);
        return NULL;
    }
    return g_steal_pointer(&given);
}

JsonValue *ctl_args_of_device(const char *text, GError **error)
{
    g_autoptr(JsonValue) given = NULL;

    if (*text == '{')
        return json_parse_text(text, strlen(text), error);
    given = keyval_parse(text, "driver", NULL, error);
    return given ? with_types(find_command("device_add")->args, given, error) : NULL;
}

bool ctl_args_size(const char *text, uint64_t *ret_bytes, GError **error)
{
    static const char units[] = "KMGT";
    char *end;
    guint64 number = g_ascii_strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, g_ascii_toupper(*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

    if (!g_ascii_isdigit(*text) || (*end && (!unit || end[1])) ||
        number > (guint64)INT64_MAX >> shift) {
        error_set(error, "'%s' is no size: a number is, in bytes or with K, M, G or T",
                  text);
        return false;
    }
    *ret_bytes = number << shift;
    return true;
}
