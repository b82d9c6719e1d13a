/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of what there is, by name.
 */
#include <string.h>

#include "berth/error.h"

#include "qmp-commands.h"

#include "hmp-call.h"

/* The view is not deep; it is berth's own. */
#define DEPTH_MAX 16

void hmp_qom_list(HmpCall *call)
{
    const char *path = hmp_text(call, "path");
    g_autofree char *copy = g_strdup(path ? path : "/");
    const QomListArgs args = { .path = copy };
    g_autoptr(ObjectPropertyInfoList) list = NULL;
    GError *error = NULL;

    list = qmp_qom_list(call->ctx, &args, &error);
    if (!list) {
        hmp_fail(call, error);
        return;
    }
    for (size_t i = 0; i < list->n; i++)
        hmp_printf(call, "%s (%s)\n", list->items[i]->name, list->items[i]->type);
}

void hmp_qom_get(HmpCall *call, const JsonValue *value)
{
    JsonWriter writer;

    json_writer_init(&writer, call->out, true);
    json_writer_value(&writer, value);
    hmp_printf(call, "\n");
}

static bool is_on(const char *text, bool *ret_on)
{
    *ret_on = strcmp(text, "on") == 0 || strcmp(text, "true") == 0 ||
              strcmp(text, "yes") == 0;
    return *ret_on || strcmp(text, "off") == 0 || strcmp(text, "false") == 0 ||
           strcmp(text, "no") == 0;
}

/* The text as a value of the kind that @current has. */
static JsonValue *parse_as(const JsonValue *current, const char *text,
                           const char *property, GError **error)
{
    JsonValue *value = NULL;
    bool on;

    if (json_kind(current) == JSON_STRING)
        return json_new_string(text);
    if (json_kind(current) != JSON_BOOL)
        value = json_parse_text(text, strlen(text), NULL);
    else if (is_on(text, &on))
        value = json_new_bool(on);
    if (!value)
        error_set(error, "Parameter '%s' expects %s", property,
                  json_kind(current) == JSON_BOOL ? "on or off" : "a number");
    return value;
}

static JsonValue *read_value(HmpCall *call, char *path, char *property, GError **error)
{
    const QomGetArgs args = { .path = path, .property = property };
    const char *text = hmp_text(call, "value");
    g_autoptr(JsonValue) current = NULL;

    if (hmp_flag(call, "json"))
        return json_parse_text(text, strlen(text), error);
    current = qmp_qom_get(call->ctx, &args, error);
    return current ? parse_as(current, text, property, error) : NULL;
}

void hmp_qom_set(HmpCall *call)
{
    g_autofree char *path = g_strdup(hmp_text(call, "path"));
    g_autofree char *property = g_strdup(hmp_text(call, "property"));
    QomSetArgs args = { .path = path, .property = property };
    g_autoptr(JsonValue) value = NULL;
    GError *error = NULL;

    value = read_value(call, path, property, &error);
    if (!value) {
        hmp_fail(call, error);
        return;
    }
    args.value = value;
    hmp_call_qmp(call, QMP_COMMAND_QOM_SET, &args);
}

static void show_children(HmpCall *call, const char *path, int depth);

static void show_child(HmpCall *call, const char *path, const ObjectPropertyInfo *child,
                       int depth)
{
    g_autofree char *child_path =
        g_strdup_printf("%s/%s", strcmp(path, "/") == 0 ? "" : path, child->name);
    const char *type = child->type + strlen("child<");

    hmp_printf(call, "%*s/%s (%.*s)\n", depth * 2, "", child->name,
               (int)strcspn(type, ">"), type);
    show_children(call, child_path, depth + 1);
}

static gint compare(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const ObjectPropertyInfo *const *)a)->name,
                  (*(const ObjectPropertyInfo *const *)b)->name);
}

static void show_children(HmpCall *call, const char *path, int depth)
{
    g_autofree char *copy = g_strdup(path);
    const QomListArgs args = { .path = copy };
    g_autoptr(ObjectPropertyInfoList) list = qmp_qom_list(call->ctx, &args, NULL);
    g_autoptr(GPtrArray) children = g_ptr_array_new();

    for (size_t i = 0; list && i < list->n; i++) {
        if (g_str_has_prefix(list->items[i]->type, "child<"))
            g_ptr_array_add(children, list->items[i]);
    }
    g_ptr_array_sort(children, compare);
    for (guint i = 0; depth < DEPTH_MAX && i < children->len; i++)
        show_child(call, path, g_ptr_array_index(children, i), depth);
}

void hmp_info_qom_tree(HmpCall *call)
{
    const char *path = hmp_text(call, "path");
    g_autofree char *copy = g_strdup(path ? path : "/machine");
    char property[] = "type";
    const QomGetArgs args = { .path = copy, .property = property };
    g_autoptr(JsonValue) type = qmp_qom_get(call->ctx, &args, NULL);

    if (!type) {
        hmp_printf(call, "Path '%s' could not be resolved.\n", copy);
        return;
    }
    hmp_printf(call, "%s (%s)\n", copy, json_as_string(type));
    show_children(call, copy, 1);
}
