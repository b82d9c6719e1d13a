/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items of the command line between their reading and their typing.
 */
#include <string.h>

#include "berth/drive-options.h"
#include "berth/error.h"
#include "berth/keyval.h"

#include "cmdline-items.h"

typedef struct Item {
    const CmdlineOption *option;
    GPtrArray *list;
    JsonValue *pairs;
    char *where;
} Item;

struct CmdlineItems {
    GArray *array;              /* of Item */
};

static void clear_item(gpointer data)
{
    Item *item = data;

    json_unref(item->pairs);
    g_free(item->where);
}

CmdlineItems *cmdline_items_new(void)
{
    CmdlineItems *items = g_new0(CmdlineItems, 1);

    items->array = g_array_new(FALSE, FALSE, sizeof(Item));
    g_array_set_clear_func(items->array, clear_item);
    return items;
}

void cmdline_items_free(CmdlineItems *items)
{
    g_array_unref(items->array);
    g_free(items);
}

void cmdline_items_add(CmdlineItems *items, const CmdlineOption *option, GPtrArray *list,
                       const JsonValue *pairs, const char *where)
{
    Item item = {
        .option = option,
        .list = list,
        .pairs = json_ref(pairs),
        .where = g_strdup(where),
    };

    g_array_append_val(items->array, item);
}

static Item *find_item(CmdlineItems *items, const char *group, const char *id)
{
    for (guint i = 0; i < items->array->len; i++) {
        Item *item = &g_array_index(items->array, Item, i);
        const JsonValue *item_id = json_member(item->pairs, "id");

        if (strcmp(qapi_text(item->option->name), group) == 0 && item_id &&
            g_strcmp0(json_as_string(item_id), id) == 0)
            return item;
    }
    return NULL;
}

/* The value goes to its end, commas and all. */
static JsonValue *pair_of(const char *parameter, const char *value, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    g_autofree char *doubled = g_strjoinv(",,", parts);
    g_autofree char *text = g_strdup_printf("%s=%s", parameter, doubled);

    return keyval_parse(text, NULL, NULL, error);
}

bool cmdline_items_set(CmdlineItems *items, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    g_autofree char *name = g_strndup(text, equals ? (gsize)(equals - text) : 0);
    g_auto(GStrv) parts = g_strsplit(name, ".", 3);
    JsonValue *pairs;
    Item *item;

    if (g_strv_length(parts) != 3 || !*parts[0] || !*parts[1] || !*parts[2] ||
        strchr(name, ',')) {
        error_set(error, "expected GROUP.ID.PARAMETER=VALUE");
        return false;
    }
    item = find_item(items, parts[0], parts[1]);
    if (!item) {
        error_set(error, "there is no %s \"%s\" defined", parts[0], parts[1]);
        return false;
    }
    pairs = pair_of(parts[2], equals + 1, error);
    if (!pairs)
        return false;
    keyval_merge(item->pairs, pairs);
    return true;
}

static void *parse_item(const Item *item, const DeviceGlobals *globals, GError **error)
{
    switch (item->option->type) {
    case QAPI_TYPE_DEVICE_ADD_ARGS:
        return device_globals_parse(globals, item->pairs, QAPI_INPUT_TEXT, error);
    case QAPI_TYPE_DRIVE_OPTIONS:
        return drive_options_parse(item->pairs, item->list, error);
    default:
        return qapi_parse(item->option->type, item->pairs, QAPI_INPUT_TEXT, error);
    }
}

bool cmdline_items_parse(CmdlineItems *items, const DeviceGlobals *globals,
                         GError **error)
{
    for (guint i = 0; i < items->array->len; i++) {
        const Item *item = &g_array_index(items->array, Item, i);
        void *value = parse_item(item, globals, error);

        if (!value) {
            g_prefix_error(error, "%s: ", item->where);
            return false;
        }
        g_ptr_array_add(item->list, value);
    }
    return true;
}
