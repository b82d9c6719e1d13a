/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report has no knowledge of its own.  Refusals are the parser's and the checks' that
 * every start makes: the line is parsed without the options that were refused so far,
 * until it is accepted; each error names the option that it is about.  Differences are
 * what the schema says ('differs') of the members and values that are given.
 */
#include <string.h>

#include "berth/cmdline-report.h"
#include "berth/cpu-query.h"
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/numa.h"
#include "berth/printable.h"
#include "berth/qapi-tables.h"
#include "berth/smp.h"

#include "cmdline-slots.h"

static const char usb_difference[] = "the controller is a qemu-xhci, without devices";

/* One option with its argument. */
typedef struct Word {
    const char *option;
    const char *value;          /* NULL: it has none */
    const Slot *slot;           /* NULL: there is no such option */
    char *refusal;              /* why it is refused; NULL: it is not */
    bool is_set_aside;          /* it makes berth do something else than run */
    GPtrArray *differences;     /* of text */
} Word;

static void free_word(gpointer data)
{
    Word *word = data;

    g_free(word->refusal);
    g_ptr_array_unref(word->differences);
    g_free(word);
}

/* What is behind an unknown option, and no option, is taken for its argument. */
static bool has_value(const CmdlineOption *option, const char *next)
{
    if (!next)
        return false;
    return option ? option->arg != CMDLINE_ARG_NONE : *next != '-';
}

static GPtrArray *split(int argc, char **argv)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(free_word);

    for (int i = 0; i < argc; i++) {
        const CmdlineOption *option = qapi_option_find(argv[i]);
        Word *word = g_new0(Word, 1);

        word->option = argv[i];
        word->slot = option ? cmdline_slots_find(qapi_text(option->name)) : NULL;
        word->differences = g_ptr_array_new_with_free_func(g_free);
        if (*argv[i] == '-' && has_value(option, i + 1 < argc ? argv[i + 1] : NULL))
            word->value = argv[++i];
        g_ptr_array_add(words, word);
    }
    return words;
}

/* The @n-th -device of those that are left, NULL when it came in another way. */
static const Word *find_device(const GPtrArray *words, guint n)
{
    for (guint i = 0; i < words->len; i++) {
        const Word *word = g_ptr_array_index(words, i);

        if (word->slot && strcmp(word->slot->name, "device") == 0 && !word->refusal &&
            !word->is_set_aside && n-- == 0)
            return word;
    }
    return NULL;
}

static bool check_devices(const GPtrArray *words, const GPtrArray *devices,
                          GError **error)
{
    for (guint i = 0; i < devices->len; i++) {
        const DeviceAddArgs *args = g_ptr_array_index(devices, i);

        if (!device_check_args(args, error)) {
            const Word *word = find_device(words, i);

            g_prefix_error(error, "-device %s: ",
                           word ? word->value : DeviceDriver_str(args->driver));
            return false;
        }
    }
    return true;
}

/* What the making of the machine asks of options alone. */
static bool check_machine(const GPtrArray *words, const Cmdline *cmdline,
                          GError **error)
{
    const MachineOptions *machine = cmdline->machine;
    CpuTopology topology;
    Numa *numa = NULL;
    Uuid uuid;

    if (cmdline->uuid && !uuid_parse(cmdline->uuid, &uuid)) {
        error_set(error, "-uuid: '%s' is not a UUID", cmdline->uuid);
        return false;
    }
    if (cmdline->cpu && !cpu_query_check(cmdline->cpu, error)) {
        g_prefix_error(error, "-cpu: ");
        return false;
    }
    if (!smp_parse(cmdline->smp, MACHINE_MAX_VCPUS, &topology, error))
        return false;
    if (!machine || g_strcmp0(machine->type, "none") != 0) {
        if (!numa_parse(cmdline, &topology, &numa, error))
            return false;
        numa_free(numa);
    }
    return check_devices(words, cmdline->devices, error);
}

/* The words that are left, as a command line. */
static bool parse(const GPtrArray *words, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(Cmdline) cmdline = NULL;

    g_ptr_array_add(argv, (char *)"berth");
    for (guint i = 0; i < words->len; i++) {
        const Word *word = g_ptr_array_index(words, i);

        if (word->refusal || word->is_set_aside)
            continue;
        g_ptr_array_add(argv, (char *)word->option);
        if (word->value)
            g_ptr_array_add(argv, (char *)word->value);
    }
    cmdline = cmdline_parse((int)argv->len, (char **)argv->pdata, error);
    return cmdline && check_machine(words, cmdline, error);
}

/* An option that makes berth print something and end is not there for the others. */
static void set_aside(Word *word)
{
    char *argv[] = { (char *)"berth", (char *)word->option, (char *)word->value };
    g_autoptr(Cmdline) cmdline = cmdline_parse(word->value ? 3 : 2, argv, NULL);

    word->is_set_aside = cmdline && cmdline->action != CMDLINE_ACTION_RUN;
}

static const char *name_of(const Word *word)
{
    return word->slot ? word->slot->name : word->option + strspn(word->option, "-");
}

/* "-machine sata=on: ", by the name that was given or by the option's own. */
static char *text_of(const Word *word, bool as_given)
{
    return g_strconcat(as_given ? "" : "-", as_given ? word->option : name_of(word),
                       word->value ? " " : "", word->value ? word->value : "", ": ",
                       NULL);
}

/* Whether @message, "PATH:3: [device]: ...", is about a file that @word names. */
static bool is_in_file(const Word *word, const char *message)
{
    return word->value && strcmp(name_of(word), "readconfig") == 0 &&
           g_str_has_prefix(message, word->value) &&
           message[strlen(word->value)] == ':';
}

/* How well @message, "-machine sata=on: ...", fits @word; 0: not at all. */
static unsigned fitness(const Word *word, const char *message)
{
    g_autofree char *whole = text_of(word, false);
    g_autofree char *given = text_of(word, true);
    const char *name = message + strspn(message, "-");
    size_t length = strcspn(name, " :");
    const char *pair = name + length + strspn(name + length, " ");
    size_t pair_length = strcspn(pair, ":");
    g_autofree char *pair_text = g_strndup(pair, pair_length);
    g_autofree char *meant = NULL;

    if (g_str_has_prefix(message, whole) || g_str_has_prefix(message, given) ||
        is_in_file(word, message))
        return 4;
    if (word->slot && word->slot->kind == SLOT_MEANS &&
        strncmp(word->slot->option, name, length) == 0 && !word->slot->option[length]) {
        meant = g_strdup_printf("%s=%s", word->slot->key,
                                word->slot->value ? word->slot->value : word->value);
        return strcmp(meant, pair_text) == 0 ? 3 : 0;
    }
    if (strlen(name_of(word)) != length || strncmp(name_of(word), name, length) != 0)
        return 0;
    return word->value && *pair_text && strstr(word->value, pair_text) ? 2 : 1;
}

/* "option '-smp': " is "-smp: ". */
static char *plain_message(const char *message)
{
    static const char prefix[] = "option '";
    const char *name = message + sizeof(prefix) - 1;
    const char *quote;

    if (!g_str_has_prefix(message, prefix) || !(quote = strchr(name, '\'')))
        return g_strdup(message);
    return g_strdup_printf("%.*s%s", (int)(quote - name), name, quote + 1);
}

/* What the words of its option, or of what that means, leave of @message. */
static const char *reason_in(const Word *word, const char *message, unsigned fit)
{
    const char *rest;

    if (fit == 4 && word->value) {
        rest = strstr(message, word->value) + strlen(word->value);
        return rest + strspn(rest, ": ");
    }
    rest = message + strcspn(message, " ");
    return rest + strspn(rest, " ");
}

/* Refuses the option that @message is about; false when it is about none. */
static bool blame(const GPtrArray *words, const char *error)
{
    g_autofree char *message = plain_message(error);
    Word *best = NULL;
    unsigned best_fit = 0;

    for (guint i = 0; i < words->len; i++) {
        Word *word = g_ptr_array_index(words, i);
        unsigned fit = word->refusal || word->is_set_aside ? 0 : fitness(word, message);

        if (fit && fit >= best_fit) {
            best = word;
            best_fit = fit;
        }
    }
    if (best)
        best->refusal = g_strdup(reason_in(best, message, best_fit));
    return best != NULL;
}

static void find_refusals(const GPtrArray *words, char **ret_together)
{
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < words->len; i++)
        set_aside(g_ptr_array_index(words, i));
    while (!parse(words, &error)) {
        if (!blame(words, error->message)) {
            *ret_together = g_strdup(error->message);
            return;
        }
        g_clear_error(&error);
    }
}

static void add_difference(Word *word, const char *key, const char *text)
{
    if (text)
        g_ptr_array_add(word->differences, g_strdup_printf("%s: %s", key, text));
}

/* What the schema says of the members of @json, which are of @type. */
static void visit(Word *word, const QapiType *type, const JsonValue *json)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_kind(json) == JSON_OBJECT && json_next(json, &iter, &key, &value)) {
        const QapiMember *member = qapi_type_find(type, key);
        const char *text = json_kind(value) == JSON_STRING ? json_as_string(value) : NULL;
        const QapiMember *row = NULL;

        if (!member)
            continue;
        add_difference(word, key, qapi_difference(member));
        if (text && qapi_types[member->type].meta == QAPI_META_ENUM)
            row = qapi_enum_row(member->type, text);
        if (row)
            add_difference(word, key, qapi_difference(row));
        if (type->n_branches && text && member == &qapi_type_members(type)[type->tag]) {
            int branch = qapi_enum_parse(member->type, text);

            if (branch >= 0)
                visit(word, qapi_type_branch(type, (unsigned)branch), json);
        }
        visit(word, &qapi_types[member->type], value);
    }
}

/* What is not in the schema, since it is true of some values only. */
static void find_machine_differences(Word *word, const JsonValue *pairs)
{
    const JsonValue *name = json_member(pairs, "type");
    const JsonValue *usb = json_member(pairs, "usb");
    const MachineType *machine = name ? machine_types_find(json_as_string(name)) : NULL;

    if (machine && machine->is_of_qemu)
        add_difference(word, "type", "the board is berth's own whatever the version");
    if (usb && strcmp(json_as_string(usb), "off") != 0)
        add_difference(word, "usb", usb_difference);
}

static void find_differences(Word *word)
{
    g_autoptr(JsonValue) pairs = NULL;
    g_autoptr(JsonValue) renamed = NULL;
    bool help;

    if (!word->slot || word->refusal || word->is_set_aside)
        return;
    if (strcmp(word->slot->name, "usb") == 0)
        add_difference(word, "usb", usb_difference);
    if (!word->value || word->slot->kind == SLOT_GLOBAL ||
        cmdline_slots_option(word->slot)->arg != CMDLINE_ARG_DATA)
        return;
    pairs = qapi_option_read(cmdline_slots_option(word->slot), word->value, &help, NULL);
    if (!pairs)
        return;
    renamed = word->slot->rename ? word->slot->rename(pairs) : json_ref(pairs);
    visit(word, &qapi_types[cmdline_slots_option(word->slot)->type], renamed);
    if (strcmp(word->slot->name, "machine") == 0)
        find_machine_differences(word, renamed);
}

/* The words may be those of a domain's description that another wrote. */
static void write_word(const Word *word, FILE *out)
{
    g_autofree char *option = printable_text(word->option);
    g_autofree char *value = printable_text(word->value ? word->value : "");
    g_autofree char *refusal = printable_text(word->refusal ? word->refusal : "");
    const char *verdict = word->refusal                ? "refused"
                          : word->differences->len > 0 ? "differs"
                                                       : "honoured";

    fprintf(out, "%-10s %s%s%s\n", verdict, option, word->value ? " " : "", value);
    if (word->refusal)
        fprintf(out, "%11s%s\n", "", refusal);
    for (guint i = 0; i < word->differences->len; i++)
        fprintf(out, "%11s%s\n", "", (char *)g_ptr_array_index(word->differences, i));
}

bool cmdline_report(int argc, char **argv, FILE *out)
{
    int first = argc > 0 && *argv[0] != '-' ? 1 : 0;
    g_autoptr(GPtrArray) words = split(argc - first, argv + first);
    g_autofree char *together = NULL;
    unsigned n_refused = 0, n_differing = 0;

    find_refusals(words, &together);
    for (guint i = 0; i < words->len; i++) {
        Word *word = g_ptr_array_index(words, i);

        find_differences(word);
        write_word(word, out);
        n_refused += word->refusal != NULL;
        n_differing += word->differences->len > 0;
    }
    if (together)
        fprintf(out, "%-10s all of them together\n%11s%s\n", "refused", "", together);
    fprintf(out, "%u options: %u honoured, %u with a difference, %u refused\n",
            words->len, words->len - n_refused - n_differing, n_differing, n_refused);
    return n_refused == 0 && !together;
}

/* Behind the variables of the environment and the program. */
static int first_option(char **words)
{
    int at = 0;

    while (words[at] && *words[at] != '-')
        at++;
    return at;
}

bool cmdline_report_domain(const char *path, FILE *out, bool *ret_good, GError **error)
{
    char *argv[] = { (char *)"virsh", (char *)"domxml-to-native", (char *)"qemu-argv",
                     (char *)path, NULL };
    g_autofree char *text = NULL;
    g_autofree char *complaint = NULL;
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) failure = NULL;
    int status, at;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &text,
                      &complaint, &status, &failure)) {
        error_set(error, "cannot run virsh, which makes arguments of a domain (is "
                  "libvirt installed?): %s", failure->message);
        return false;
    }
    if (!g_spawn_check_wait_status(status, NULL)) {
        error_set(error, "virsh: %s", g_strstrip(complaint));
        return false;
    }
    if (!g_shell_parse_argv(text, NULL, &words, &failure)) {
        error_set(error, "what virsh says is no command line: %s", failure->message);
        return false;
    }
    at = first_option(words);
    *ret_good = cmdline_report((int)g_strv_length(words) - at, words + at, out);
    return true;
}
