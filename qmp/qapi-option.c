/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of the command line, and help in the shapes of lines that tools know from QEMU:
 *
 *     -smp [cpus=]int[,maxcpus=int]...
 *                     the number of vCPUs
 *     -netdev tap,id=str[,fd=str][,fds=x:y:...:z]...
 *       chassis=<uint8>        - the chassis number (default: 0)
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/qapi-option.h"
#include "berth/qmp-introspect.h"

#define HELP_WIDTH 79
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

/* Texts and numbers: what has no commas in it. */
static void add_lists(const QapiType *type, GPtrArray *names)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];
        const QapiType *t = &qapi_types[member->type];

        if (t->meta == QAPI_META_LIST &&
            (qapi_types[t->element].meta == QAPI_META_STR ||
             qapi_types[t->element].meta == QAPI_META_UINT ||
             qapi_type_is_text(&qapi_types[t->element])))
            g_ptr_array_add(names, (char *)qapi_text(member->name));
    }
}

/* The members, of any branch, that may be given several times; ended by NULL. */
static GPtrArray *repeated_lists(const QapiType *type)
{
    GPtrArray *names = g_ptr_array_new();

    add_lists(type, names);
    for (unsigned i = 0; i < type->n_branches; i++)
        add_lists(qapi_type_branch(type, i), names);
    g_ptr_array_add(names, NULL);
    return names;
}

const CmdlineOption *qapi_option_find_group(const char *group)
{
    for (unsigned i = 0; *group && i < cmdline_n_options; i++) {
        if (strcmp(qapi_text(cmdline_options[i].group), group) == 0)
            return &cmdline_options[i];
    }
    return NULL;
}

JsonValue *qapi_option_read(const CmdlineOption *option, const char *text, bool *ret_help,
                            GError **error)
{
    g_autoptr(JsonValue) json = NULL;

    if (*text != '{' || !(option->flags & CMDLINE_JSON)) {
        g_autoptr(GPtrArray) lists = repeated_lists(&qapi_types[option->type]);

        return keyval_parse_lists(text,
                                  option->implied ? qapi_text(option->implied) : NULL,
                                  (const char *const *)lists->pdata, ret_help, error);
    }
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

/* "[,key=value]", ",key=value" or "key=value"; the kinds of a union are not listed. */
static char *describe_key(const CmdlineOption *option, const QapiMember *member,
                          bool first)
{
    const QapiType *type = &qapi_types[option->type];
    const char *name = qapi_text(member->name);
    bool implied = option->implied && strcmp(name, qapi_text(option->implied)) == 0;
    bool bracket = !first && (member->flags & QAPI_MEMBER_OPTIONAL);
    GString *key = g_string_new(bracket ? "[," : first ? "" : ",");

    g_string_append_printf(key, implied ? "[%s=]" : "%s=", name);
    if (type->n_branches && member == &qapi_type_members(type)[type->tag])
        g_string_append(key, name);
    else
        append_value(&qapi_types[member->type], key);
    if (bracket)
        g_string_append_c(key, ']');
    return g_string_free(key, FALSE);
}

/* Appends @text, on a new line when the one that began at @line has no room. */
static void append_wrapped(GString *out, size_t *line, const char *text)
{
    if (out->len - *line + strlen(text) > HELP_WIDTH) {
        g_string_append_c(out, '\n');
        *line = out->len;
        g_string_append_printf(out, "%*s", HELP_INDENT, "");
    }
    g_string_append(out, text);
}

/* The keys of an option, the implied one first. */
static void append_keys(const CmdlineOption *option, size_t *line, GString *out)
{
    const QapiType *type = &qapi_types[option->type];
    const QapiMember *members = qapi_type_members(type);
    const char *implied = qapi_text(option->implied);
    bool first = true;

    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < type->n_members; i++) {
            g_autofree char *key = NULL;

            if ((strcmp(qapi_text(members[i].name), implied) == 0) != (pass == 0))
                continue;
            key = describe_key(option, &members[i], first);
            append_wrapped(out, line, key);
            first = false;
        }
    }
    if (type->n_branches)
        append_wrapped(out, line, "[,key=value...]");
}

/* What tools look for in place of "str". */
static const struct {
    const char *member;
    const char *value;
} shapes[] = {
    { "fds", "x:y:...:z" },
    { "vhostfds", "x:y:...:z" },
};

static void append_member(const QapiMember *member, size_t *line, GString *out)
{
    const char *name = qapi_text(member->name);
    bool optional = member->flags & QAPI_MEMBER_OPTIONAL;
    g_autoptr(GString) key = g_string_new(NULL);
    gsize length;

    g_string_append_printf(key, "%s,%s=", optional ? "[" : "", name);
    length = key->len;
    for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
        if (strcmp(name, shapes[i].member) == 0)
            g_string_append(key, shapes[i].value);
    }
    if (key->len == length)
        append_value(&qapi_types[member->type], key);
    if (optional)
        g_string_append_c(key, ']');
    append_wrapped(out, line, key->str);
}

/* Kinds of backend, each with its keys; those of devices and others are too many. */
static void append_kinds(const CmdlineOption *option, GString *out)
{
    const QapiType *type = &qapi_types[option->type];
    const QapiMember *base = qapi_type_members(type);

    if (option->type != QAPI_TYPE_NETDEV && option->type != QAPI_TYPE_CHARDEV_OPTIONS)
        return;
    for (unsigned kind = 0; kind < type->n_branches; kind++) {
        const QapiType *branch = qapi_type_branch(type, kind);
        size_t line = out->len;

        g_string_append_printf(out, "-%s %s", qapi_text(option->name),
                               qapi_enum_str(base[type->tag].type, (int)kind));
        for (unsigned i = 0; i < type->n_members; i++) {
            if (i != type->tag)
                append_member(&base[i], &line, out);
        }
        for (unsigned i = 0; i < branch->n_members; i++)
            append_member(&qapi_type_members(branch)[i], &line, out);
        g_string_append_c(out, '\n');
    }
}

static void append_option(const CmdlineOption *option, GString *out)
{
    const char *short_name = qapi_text(option->short_name);
    size_t line = out->len;

    /* Tools look for the name at the beginning of a line. */
    g_string_append_printf(out, "-%s", qapi_text(option->name));
    if (option->arg == CMDLINE_ARG_STR)
        g_string_append(out, " text");
    if (option->arg == CMDLINE_ARG_DATA) {
        g_string_append_c(out, ' ');
        append_keys(option, &line, out);
    }
    if (out->len - line < HELP_INDENT)
        g_string_append_printf(out, "%*s", (int)(HELP_INDENT - (out->len - line)), "");
    else
        g_string_append_printf(out, "\n%*s", HELP_INDENT, "");
    g_string_append(out, qapi_text(option->help));
    if (*short_name)
        g_string_append_printf(out, "; also -%s", short_name);
    g_string_append_c(out, '\n');
    append_kinds(option, out);
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

    g_string_append_printf(out, "  %-*s - ", PROPERTY_WIDTH, key);
    /* The schema's @name is the name. */
    for (const char *p = info->description; *p; p++) {
        if (*p != '@')
            g_string_append_c(out, *p);
    }
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

/* Takes @list. */
static void append_properties(ObjectPropertyInfoList *list, const char *title,
                              GString *out)
{
    if (list->n)
        qsort(list->items, list->n, sizeof(*list->items), compare_properties);
    g_string_append_printf(out, "%s options:\n", title);
    for (size_t i = 0; i < list->n; i++)
        append_property(list->items[i], out);
    qapi_free_ObjectPropertyInfoList(list);
}

void qapi_option_help_members(QapiTypeId type, const char *title, GString *out)
{
    append_properties(qmp_introspect_members(type), title, out);
}

bool qapi_option_help_branch(QapiTypeId type, const char *name,
                             const char *const *base, GString *out)
{
    const QapiType *t = &qapi_types[type];
    int value = qapi_enum_parse(qapi_type_members(t)[t->tag].type, name);

    if (value < 0)
        return false;
    append_properties(qmp_introspect_branch(type, value, base), name, out);
    return true;
}
