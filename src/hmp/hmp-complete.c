/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion: names of commands, and of what there is in the machine.  What a word can
 * be is asked of the same QMP handlers as all else.
 */
#include <string.h>

#include "berth/trace.h"
#include "qmp-commands.h"

#include "hmp-call.h"

#define COLUMNS 80u
#define COLUMN_MIN 10u

typedef struct Completion {
    QmpContext *ctx;
    const char *word;           /* what is there of it */
    GPtrArray *names;           /* that begin with it, each the array's */
} Completion;

static void add_name(Completion *completion, const char *name)
{
    if (g_str_has_prefix(name, completion->word))
        g_ptr_array_add(completion->names, g_strdup(name));
}

/* Commands, or what can be asked of info. */
static void add_commands(Completion *completion, bool info)
{
    for (unsigned i = 0; i < hmp_n_commands; i++) {
        const HmpCommand *command = &hmp_commands[i];
        const char *name = qapi_text(command->name);

        if (!command->refusal && hmp_table_is_info(command) == info)
            add_name(completion, info ? strchr(name, ' ') + 1 : name);
    }
}

static void add_chardevs(Completion *completion)
{
    g_autoptr(ChardevInfoList) list = qmp_query_chardev(completion->ctx, NULL);

    for (size_t i = 0; list && i < list->n; i++)
        add_name(completion, list->items[i]->label);
}

/* Disks, by their drives or devices. */
static void add_disks(Completion *completion)
{
    g_autoptr(BlockInfoList) list = qmp_query_block(completion->ctx, NULL);

    for (size_t i = 0; list && i < list->n; i++) {
        const BlockInfo *disk = list->items[i];

        if (*disk->device || disk->qdev)
            add_name(completion, *disk->device ? disk->device : disk->qdev);
    }
}

/* The children of @path, but for "type". */
static void add_children(Completion *completion, char *path)
{
    const QomListArgs args = { .path = path };
    g_autoptr(ObjectPropertyInfoList) list = qmp_qom_list(completion->ctx, &args, NULL);

    for (size_t i = 0; list && i < list->n; i++) {
        if (g_str_has_prefix(list->items[i]->type, "child<"))
            add_name(completion, list->items[i]->name);
    }
}

/* A path, of which the last part is completed. */
static void add_paths(Completion *completion)
{
    const char *slash = strrchr(completion->word, '/');
    g_autofree char *parent = NULL;
    Completion part = { .ctx = completion->ctx };
    guint first = completion->names->len;

    if (!slash) {
        add_name(completion, "/");
        return;
    }
    parent = g_strndup(completion->word, MAX(slash - completion->word, 1));
    part.word = slash + 1;
    part.names = completion->names;
    add_children(&part, parent);
    for (guint i = first; i < part.names->len; i++) {
        char *name = g_ptr_array_index(part.names, i);

        part.names->pdata[i] = g_strdup_printf(
            "%.*s%s", (int)(slash + 1 - completion->word), completion->word, name);
        g_free(name);
    }
}

static void add_events(Completion *completion)
{
    g_autoptr(GArray) points = trace_list(NULL);

    for (guint i = 0; i < points->len; i++)
        add_name(completion, g_array_index(points, TraceState, i).name);
}

/* The values of the argument of a QMP command, when it is an enum. */
static void add_values(Completion *completion, const HmpCommand *command,
                       const char *word)
{
    QapiTypeId type = command->qmp == HMP_NO_QMP ? 0 : qmp_commands[command->qmp].args;
    const QapiMember *member = type ? qapi_type_find(&qapi_types[type], word) : NULL;
    const QapiType *values = member ? &qapi_types[member->type] : NULL;

    for (unsigned i = 0; values && values->meta == QAPI_META_ENUM &&
         i < values->n_members; i++)
        add_name(completion, qapi_text(qapi_type_members(values)[i].name));
}

/* What can stand for "@name:@letter" of a row. */
static void add_for(Completion *completion, const HmpCommand *command, const char *name,
                    char letter)
{
    switch (letter) {
    case 'B':
        add_disks(completion);
        break;
    case 'b':
        add_name(completion, "on");
        add_name(completion, "off");
        break;
    case 'c':
        add_chardevs(completion);
        break;
    case 'd':
        add_children(completion, (char[]) { "/machine/peripheral" });
        break;
    case 'h':
        add_commands(completion, false);
        break;
    case 'j':
        add_children(completion, (char[]) { "/objects" });
        break;
    case 'p':
        add_paths(completion);
        break;
    case 's':
        add_values(completion, command, name);
        break;
    case 't':
        add_events(completion);
        break;
    default:
        break;
    }
}

/* Word @index of the row; flags are not counted. */
static void add_for_index(Completion *completion, const HmpCommand *command,
                          unsigned index)
{
    g_auto(GStrv) specs = g_strsplit(qapi_text(command->args), ",", -1);

    for (char **spec = specs; *spec; spec++) {
        char *colon = strchr(*spec, ':');

        if (colon[1] == '-' || index-- > 0)
            continue;
        *colon = '\0';
        add_for(completion, command, *spec, colon[1]);
        return;
    }
}

/* The complete words of @text, and where the last one, which may be empty, begins. */
static const char *split(const char *text, GPtrArray *words)
{
    for (;;) {
        size_t size;

        text += strspn(text, " \t");
        size = strcspn(text, " \t");
        if (!text[size])
            return text;
        g_ptr_array_add(words, g_strndup(text, size));
        text += size;
    }
}

static void add_names(Completion *completion, const GPtrArray *words, const char *text)
{
    const HmpCommand *command;
    unsigned index = words->len;
    size_t size;

    if (index == 0) {
        add_commands(completion, false);
        return;
    }
    if (index == 1 && strcmp(g_ptr_array_index(words, 0), "info") == 0) {
        add_commands(completion, true);
        return;
    }
    text += strspn(text, " \t");
    command = hmp_table_find(text, &size);
    if (!command || command->refusal)
        return;
    index -= hmp_table_is_info(command) ? 2 : 1;
    for (guint i = 1; i < words->len; i++) {
        if (((const char *)g_ptr_array_index(words, i))[0] == '-')
            index--;
    }
    add_for_index(completion, command, index);
}

static size_t shared_size(const GPtrArray *names)
{
    const char *first = g_ptr_array_index(names, 0);
    size_t size = strlen(first);

    for (guint i = 1; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        size_t n = 0;

        while (n < size && name[n] == first[n])
            n++;
        size = n;
    }
    return size;
}

static gint compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In as many columns as a terminal has room for. */
static void show(const GPtrArray *names, GString *out)
{
    unsigned width = COLUMN_MIN, n_columns;

    for (guint i = 0; i < names->len; i++)
        width = MAX(width, strlen(g_ptr_array_index(names, i)) + 2);
    width = MIN(width, COLUMNS);
    n_columns = COLUMNS / width;
    for (guint i = 0; i < names->len; i++) {
        g_string_append_printf(out, "%-*s", (int)width,
                               (const char *)g_ptr_array_index(names, i));
        if ((i + 1) % n_columns == 0 || i + 1 == names->len)
            g_string_append(out, "\r\n");
    }
}

static void apply(HmpLine *line, const Completion *completion, GString *out)
{
    const char *first = g_ptr_array_index(completion->names, 0);
    g_autofree char *shared = g_strndup(first, shared_size(completion->names));

    hmp_line_insert(line, shared + strlen(completion->word));
    if (completion->names->len == 1) {
        if (!g_str_has_suffix(first, "/"))
            hmp_line_insert(line, " ");
        hmp_line_update(line, out);
        return;
    }
    g_ptr_array_sort(completion->names, compare);
    g_string_append(out, "\r\n");
    show(completion->names, out);
    hmp_line_show_again(line, out);
}

void hmp_complete(QmpContext *ctx, HmpLine *line, GString *out)
{
    g_autofree char *text = hmp_line_before_cursor(line);
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    Completion completion = { .ctx = ctx, .names = names };

    completion.word = split(text, words);
    add_names(&completion, words, text);
    if (names->len > 0)
        apply(line, &completion, out);
}
