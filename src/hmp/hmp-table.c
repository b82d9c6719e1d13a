/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the table of commands by name, and help, which is made from them.
 */
#include <string.h>

#include "berth/log-options.h"
#include "berth/spelling.h"

#include "hmp-call.h"

#define INFO "info "

static bool is_name(uint32_t text, const char *name, size_t size)
{
    return text && strlen(qapi_text(text)) == size &&
           memcmp(qapi_text(text), name, size) == 0;
}

static const HmpCommand *find_name(const char *name, size_t size)
{
    for (unsigned i = 0; i < hmp_n_commands; i++) {
        if (is_name(hmp_commands[i].name, name, size) ||
            is_name(hmp_commands[i].alias, name, size))
            return &hmp_commands[i];
    }
    return NULL;
}

static size_t word_size(const char *text)
{
    return strcspn(text, "/ \t");
}

const HmpCommand *hmp_table_find(const char *line, size_t *ret_size)
{
    size_t size = word_size(line);
    const char *second = line + size + strspn(line + size, " \t");
    size_t second_size = word_size(second);
    g_autofree char *name = NULL;

    if (size != strlen("info") || memcmp(line, "info", size) != 0 || second_size == 0) {
        *ret_size = size;
        return find_name(line, size);
    }
    *ret_size = second + second_size - line;
    name = g_strdup_printf(INFO "%.*s", (int)second_size, second);
    return find_name(name, strlen(name));
}

bool hmp_table_is_info(const HmpCommand *command)
{
    return g_str_has_prefix(qapi_text(command->name), INFO);
}

char *hmp_table_label(const HmpCommand *command)
{
    const char *name = qapi_text(command->name);

    if (hmp_table_is_info(command))
        name += strlen(INFO);
    if (!command->alias)
        return g_strdup(name);
    return g_strdup_printf("%s|%s", name, qapi_text(command->alias));
}

void hmp_table_unknown(HmpCall *call, const char *name, size_t size)
{
    g_autofree char *typed = g_strndup(name, size), *hint = NULL;
    Spelling spelling = { .typed = typed };

    for (unsigned i = 0; i < hmp_n_commands; i++) {
        if (!hmp_commands[i].refusal)
            spelling_try(&spelling, qapi_text(hmp_commands[i].name));
    }
    hint = spelling_hint(&spelling);
    hmp_printf(call, "unknown command: '%s'%s\n", typed, hint);
}

static void show_row(HmpCall *call, const HmpCommand *command)
{
    g_autofree char *label = hmp_table_label(command);
    const char *info = hmp_table_is_info(command) ? INFO : "";

    if (command->refusal)
        hmp_printf(call, "%s%s -- not supported: %s\n", info, label,
                   qapi_text(command->refusal));
    else
        hmp_printf(call, "%s%s %s -- %s\n", info, label, qapi_text(command->params),
                   qapi_text(command->help));
}

/* What there is; what is refused is told when it is asked for. */
static void show_all(HmpCall *call, bool info)
{
    for (unsigned i = 0; i < hmp_n_commands; i++) {
        if (hmp_table_is_info(&hmp_commands[i]) == info && !hmp_commands[i].refusal)
            show_row(call, &hmp_commands[i]);
    }
}

void hmp_info(HmpCall *call)
{
    show_all(call, true);
}

void hmp_help(HmpCall *call)
{
    const char *name = hmp_text(call, "command");
    const HmpCommand *command;
    size_t size;

    if (!name) {
        show_all(call, false);
        return;
    }
    command = hmp_table_find(name, &size);
    if (!command || name[size + strspn(name + size, " ")]) {
        hmp_table_unknown(call, name, strlen(name));
    } else if (strcmp(name, "info") == 0) {
        show_all(call, true);
    } else if (strcmp(name, "log") == 0) {
        show_row(call, command);
        log_options_help(call->out);
    } else {
        show_row(call, command);
    }
}
