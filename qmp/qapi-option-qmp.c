/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query-command-line-options, from the schema's options.  A client looks for single
 * parameters to find out what it may say.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/qapi-option.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

static CommandLineParameterType type_of(const QapiMember *member)
{
    switch ((QapiMeta)qapi_types[member->type].meta) {
    case QAPI_META_BOOL:
        return COMMAND_LINE_PARAMETER_TYPE_BOOLEAN;
    case QAPI_META_INT:
    case QAPI_META_UINT:
    case QAPI_META_NUMBER:
        return COMMAND_LINE_PARAMETER_TYPE_NUMBER;
    case QAPI_META_SIZE:
        return COMMAND_LINE_PARAMETER_TYPE_SIZE;
    default:
        return COMMAND_LINE_PARAMETER_TYPE_STRING;
    }
}

static bool has_parameter(const CommandLineParameterInfoList *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i]->name, name) == 0)
            return true;
    }
    return false;
}

static void add_members(CommandLineParameterInfoList *list, const QapiType *type)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];
        CommandLineParameterInfo *info;

        if (has_parameter(list, qapi_text(member->name)))
            continue;
        info = g_new0(CommandLineParameterInfo, 1);
        info->name = g_strdup(qapi_text(member->name));
        info->type = type_of(member);
        info->help = g_strdup(qapi_text(member->doc));
        if (member->flags & QAPI_MEMBER_DEFAULT)
            info->q_default = g_strdup(qapi_text(member->deflt));
        CommandLineParameterInfoList_append(list, info);
    }
}

/* Of a union that may be JSON the parameters are those of a device or an object. */
static CommandLineParameterInfoList *describe(const CmdlineOption *option)
{
    CommandLineParameterInfoList *list = CommandLineParameterInfoList_new();
    const QapiType *type = &qapi_types[option->type];

    if (type->n_branches && (option->flags & CMDLINE_JSON))
        return list;
    add_members(list, type);
    for (unsigned i = 0; i < type->n_branches; i++)
        add_members(list, qapi_type_branch(type, i));
    return list;
}

CommandLineOptionInfoList *
qmp_query_command_line_options(QmpContext *ctx, const QueryCommandLineOptionsArgs *args,
                               GError **error)
{
    CommandLineOptionInfoList *list;

    if (args->option && !qapi_option_find_group(args->option)) {
        error_set(error, "invalid option name: %s", args->option);
        return NULL;
    }
    list = CommandLineOptionInfoList_new();
    for (unsigned i = 0; i < cmdline_n_options; i++) {
        const CmdlineOption *option = &cmdline_options[i];
        CommandLineOptionInfo *info;

        if (option->arg != CMDLINE_ARG_DATA ||
            (args->option && strcmp(args->option, qapi_text(option->group)) != 0))
            continue;
        info = g_new0(CommandLineOptionInfo, 1);
        info->option = g_strdup(qapi_text(option->group));
        info->parameters = describe(option);
        CommandLineOptionInfoList_append(list, info);
    }
    return list;
}
