/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of the command line, and help in the shapes of lines that tools know from QEMU:
 *
 *     -smp [cpus=]int[,maxcpus=int]...
 *                     the number of vCPUs
 *       chassis=<uint8>        - the chassis number (default: 0)
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/qapi-option.h"
#include "berth/qmp-introspect.h"

#define HELP_INDENT 16
#define PROPERTY_WIDTH 22

const CmdlineOption *qapi_option_find(const char *word)
{
    if (*word++ != '-')
        return NULL;
    if (*word == '-')
        word++;
    for (unsigned i = 0; *word && i < cmdline_n_options; i++) {
        const CmdlineOption *option = &cmdline_options[i];

        if (strcmp(qapi_text(option->name), word) == 0 ||
            strcmp(qapi_text(option->short_name), word) == 0)
            return option;
    }
    return NULL;
}

JsonValue *qapi_option_read(const CmdlineOption *option, const char *text, bool *ret_help,
                            GError **error)
{
    g_autoptr(JsonValue) json = NULL;

    if (*text != '{' || !(option->flags & CMDLINE_JSON))
        return keyval_parse(text, option->implied ? qapi_text(option->implied) : NULL,
                            ret_help, error);
    *ret_help = false;
    json = json_parse_text(text, strlen(text), error);
    if (json && json_kind(json) != JSON_OBJECT) {
        error_set(error, "expected a JSON object");
        return NULL;
    }
    return g_steal_pointer(&json);
}

/* What a value of @type looks like: "on|off|auto", "int". */
static void append_value(const QapiType *type, GString *out)
{
    if (type->meta == QAPI_META_BOOL) {
        g_string_append(out, "on|off");
        return;
    }
    if (type->meta != QAPI_META_ENUM) {
        g_string_append(out, qapi_text(type->name));
        return;
    }
    for (unsigned i = 0; i < type->n_members; i++)
        g_string_append_printf(out, "%s%s", i ? "|" : "",
                               qapi_text(qapi_type_members(type)[i].name));
}

static void append_key(const CmdlineOption *option, const QapiMember *member,
                       GString *out)
{
    const char *name = qapi_text(member->name);
    bool implied = option->implied && strcmp(name, qapi_text(option->implied)) == 0;

    g_string_append_printf(out, implied ? "[%s=]" : "%s=", name);
    append_value(&qapi_types[member->type], out);
}

/*
 * The keys of an option, the implied one first; those that may be left out in brackets.
 */
static void append_keys(const CmdlineOption *option, GString *out)
{
    const QapiType *type = &qapi_types[option->type];
    const QapiMember *members = qapi_type_members(type);
    const char *implied = qapi_text(option->implied);
    bool first = true;

    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < type->n_members; i++) {
            bool is_implied = strcmp(qapi_text(members[i].name), implied) == 0;
            bool bracket = !first && (members[i].flags & QAPI_MEMBER_OPTIONAL);

            if (is_implied != (pass == 0))
                continue;
            g_string_append(out, bracket ? "[," : first ? "" : ",");
            append_key(option, &members[i], out);
            g_string_append(out, bracket ? "]" : "");
            first = false;
        }
    }
    if (type->n_branches)
        g_string_append(out, "[,key=value...]");
}

static void append_option(const CmdlineOption *option, GString *out)
{
    const char *short_name = qapi_text(option->short_name);

    if (*short_name)
        g_string_append_printf(out, "-%s or ", short_name);
    g_string_append_printf(out, "-%s", qapi_text(option->name));
    if (option->arg == CMDLINE_ARG_STR)
        g_string_append(out, " text");
    if (option->arg == CMDLINE_ARG_DATA) {
        g_string_append_c(out, ' ');
        append_keys(option, out);
    }
    g_string_append_printf(out, "\n%*s%s\n", HELP_INDENT, "", qapi_text(option->help));
}

void qapi_option_help(GString *out)
{
    for (unsigned i = 0; i < cmdline_n_options; i++)
        append_option(&cmdline_options[i], out);
}

void qapi_option_help_values(QapiTypeId type, GString *out)
{
    const QapiType *t = &qapi_types[type];

    for (unsigned i = 0; i < t->n_members; i++)
        g_string_append_printf(out, "  %s\n", qapi_text(qapi_type_members(t)[i].name));
}

static void append_property(const ObjectPropertyInfo *info, GString *out)
{
    g_autofree char *key = g_strdup_printf("%s=<%s>", info->name, info->type);

    g_string_append_printf(out, "  %-*s - %s", PROPERTY_WIDTH, key, info->description);
    if (info->default_value) {
        g_autofree char *value = json_to_text(info->default_value);

        g_string_append_printf(out, " (default: %s)", value);
    }
    g_string_append_c(out, '\n');
}

static int compare_properties(const void *a, const void *b)
{
    return strcmp((*(ObjectPropertyInfo *const *)a)->name,
                  (*(ObjectPropertyInfo *const *)b)->name);
}

bool qapi_option_help_branch(QapiTypeId type, const char *name, bool with_base,
                             GString *out)
{
    const QapiType *t = &qapi_types[type];
    int value = qapi_enum_parse(qapi_type_members(t)[t->tag].type, name);
    g_autoptr(ObjectPropertyInfoList) list = NULL;

    if (value < 0)
        return false;
    list = qmp_introspect_branch(type, value, with_base);
    if (list->n)
        qsort(list->items, list->n, sizeof(*list->items), compare_properties);
    g_string_append_printf(out, "%s options:\n", name);
    for (size_t i = 0; i < list->n; i++)
        append_property(list->items[i], out);
    return true;
}
