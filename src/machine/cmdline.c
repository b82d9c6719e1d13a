/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argv to typed options.
 *
 * The schema says what options there are and what type their values have (CmdlineOption);
 * the table here says where each goes in Cmdline.  The pairs of a merged option are
 * collected and parsed when all are known, so that a later pair wins, as with QEMU; so
 * are those of repeated ones, which -set and -global may still change.
 *
 * What was asked for and cannot be had is refused after parsing (cmdline-check.c).
 */
#include <string.h>

#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/qapi-option.h"

#include "cmdline-absent.h"
#include "cmdline-check.h"
#include "cmdline-help.h"
#include "cmdline-items.h"

#include "berth/cmdline.h"

typedef enum SlotKind {
    SLOT_FLAG,                  /* bool */
    SLOT_MEANS,                 /* a pair of another option */
    SLOT_TEXT,                  /* char *, the last wins */
    SLOT_TEXTS,                 /* GPtrArray of char * */
    SLOT_MERGED,                /* a pointer to a value of the schema's type */
    SLOT_LIST,                  /* GPtrArray of such pointers */
    SLOT_GLOBAL,
    SLOT_SET,
    SLOT_HELP,
    SLOT_VERSION,
    SLOT_CHECK_HOST,
} SlotKind;

typedef struct Slot {
    const char *name;           /* as in the schema */
    SlotKind kind;
    size_t offset;              /* in Cmdline */
    bool underscores;           /* "_" in a key is "-" */
    const char *option;         /* SLOT_MEANS, with the pair */
    const char *key;
    const char *value;          /* NULL: the argument */
} Slot;

#define SLOT(name_, kind_, field_) \
    { .name = name_, .kind = kind_, .offset = offsetof(Cmdline, field_) }
#define MEANS(name_, option_, key_, value_) \
    { .name = name_, .kind = SLOT_MEANS, .option = option_, .key = key_, .value = value_ }

static const Slot slots[] = {
    { .name = "help", .kind = SLOT_HELP },
    { .name = "version", .kind = SLOT_VERSION },
    { .name = "check-host", .kind = SLOT_CHECK_HOST },
    { .name = "machine",
      .kind = SLOT_MERGED,
      .offset = offsetof(Cmdline, machine),
      .underscores = true },
    SLOT("accel", SLOT_LIST, accels),
    MEANS("enable-kvm", "accel", "accel", "kvm"),
    MEANS("no-acpi", "machine", "acpi", "off"),
    MEANS("no-hpet", "machine", "hpet", "off"),
    MEANS("no-fd-bootchk", "machine", "fd-bootchk", "off"),
    MEANS("usb", "machine", "usb", "on"),
    SLOT("cpu", SLOT_TEXT, cpu),
    SLOT("smp", SLOT_MERGED, smp),
    SLOT("m", SLOT_MERGED, memory),
    SLOT("mem-prealloc", SLOT_FLAG, mem_prealloc),
    SLOT("name", SLOT_MERGED, name),
    SLOT("uuid", SLOT_TEXT, uuid),
    SLOT("smbios", SLOT_LIST, smbios),
    SLOT("fw_cfg", SLOT_LIST, fw_cfgs),
    SLOT("kernel", SLOT_TEXT, kernel),
    SLOT("initrd", SLOT_TEXT, initrd),
    SLOT("append", SLOT_TEXT, append),
    SLOT("device", SLOT_LIST, devices),
    { .name = "global", .kind = SLOT_GLOBAL },
    { .name = "set", .kind = SLOT_SET },
    SLOT("object", SLOT_LIST, objects),
    SLOT("chardev", SLOT_LIST, chardevs),
    SLOT("echr", SLOT_TEXT, echr),
    SLOT("mon", SLOT_LIST, monitors),
    SLOT("qmp", SLOT_TEXTS, qmps),
    SLOT("qmp-pretty", SLOT_TEXTS, pretty_qmps),
    SLOT("monitor", SLOT_TEXTS, human_monitors),
    SLOT("serial", SLOT_TEXTS, serials),
    SLOT("parallel", SLOT_TEXT, parallel),
    SLOT("debugcon", SLOT_TEXT, debugcon),
    SLOT("display", SLOT_TEXT, display),
    SLOT("vga", SLOT_TEXT, vga),
    SLOT("vnc", SLOT_TEXT, vnc),
    SLOT("net", SLOT_TEXT, net),
    SLOT("nic", SLOT_TEXT, nic),
    SLOT("audiodev", SLOT_LIST, audiodevs),
    SLOT("nographic", SLOT_FLAG, nographic),
    SLOT("nodefaults", SLOT_FLAG, nodefaults),
    SLOT("no-user-config", SLOT_FLAG, no_user_config),
    SLOT("nodefconfig", SLOT_FLAG, no_user_config),
    SLOT("boot", SLOT_MERGED, boot),
    SLOT("rtc", SLOT_MERGED, rtc),
    SLOT("overcommit", SLOT_MERGED, overcommit),
    SLOT("add-fd", SLOT_LIST, add_fds),
    SLOT("action", SLOT_MERGED, action_options),
    SLOT("S", SLOT_FLAG, paused),
    MEANS("no-reboot", "action", "reboot", "shutdown"),
    MEANS("no-shutdown", "action", "shutdown", "pause"),
    MEANS("watchdog-action", "action", "watchdog", NULL),
    SLOT("preconfig", SLOT_FLAG, preconfig),
    SLOT("pidfile", SLOT_TEXT, pidfile),
    SLOT("daemonize", SLOT_FLAG, daemonize),
    SLOT("msg", SLOT_MERGED, msg),
    SLOT("d", SLOT_TEXTS, log_items),
    SLOT("D", SLOT_TEXT, log_file),
    SLOT("trace", SLOT_TEXTS, traces),
};

typedef struct Parser {
    Cmdline *cmdline;
    JsonValue *merged[G_N_ELEMENTS(slots)];
    CmdlineItems *items;
    GPtrArray *sets;            /* of text: -set */
} Parser;

static const Slot *find_slot(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        if (strcmp(slots[i].name, name) == 0)
            return &slots[i];
    }
    return NULL;
}

static const CmdlineOption *slot_option(const Slot *slot)
{
    g_autofree char *word = g_strconcat("-", slot->name, NULL);

    return qapi_option_find(word);
}

static void *slot_field(Cmdline *cmdline, const Slot *slot)
{
    return (char *)cmdline + slot->offset;
}

/* Checks the pairs of one occurrence, and keeps them for parse_merged(). */
static bool merge(Parser *parser, const CmdlineOption *option, const Slot *slot,
                  JsonValue *json, GError **error)
{
    JsonValue **merged = &parser->merged[slot - slots];
    void *value = qapi_parse(option->type, json, QAPI_INPUT_TEXT, error);

    if (!value)
        return false;
    qapi_free(option->type, value);
    if (*merged)
        keyval_merge(*merged, json_ref(json));
    else
        *merged = json_ref(json);
    return true;
}

static JsonValue *with_dashes(const JsonValue *pairs)
{
    JsonValue *renamed = json_new_object();
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(pairs, &iter, &key, &value)) {
        g_autofree char *name = g_strdelimit(g_strdup(key), "_", '-');

        json_set(renamed, name, json_ref(value));
    }
    return renamed;
}

static bool print_help(Cmdline *cmdline, const char *option, const char *text,
                       GError **error)
{
    cmdline->text = cmdline_help_for(option, text, error);
    cmdline->action = CMDLINE_ACTION_PRINT;
    return cmdline->text != NULL;
}

/* Takes a typed value. */
static bool take_data(Parser *parser, const CmdlineOption *option, const Slot *slot,
                      const char *text, GError **error)
{
    bool help = false;
    g_autoptr(JsonValue) json = qapi_option_read(option, text, &help, error);
    g_autofree char *where = g_strdup_printf("-%s %s", slot->name, text);

    if (!json)
        return false;
    if (help)
        return print_help(parser->cmdline, slot->name, text, error);
    if (slot->kind == SLOT_LIST) {
        cmdline_items_add(parser->items, option,
                          *(GPtrArray **)slot_field(parser->cmdline, slot), json, where);
        return true;
    }
    if (slot->underscores) {
        g_autoptr(JsonValue) renamed = with_dashes(json);

        return merge(parser, option, slot, renamed, error);
    }
    return merge(parser, option, slot, json, error);
}

/* Takes an option that is a pair of another one; @text is its argument, or NULL. */
static bool take_meaning(Parser *parser, const Slot *slot, const char *text,
                         GError **error)
{
    const Slot *meant = find_slot(slot->option);
    g_autoptr(JsonValue) pairs = json_new_object();
    g_autofree char *where = g_strdup_printf("-%s", slot->name);

    json_set(pairs, slot->key, json_new_string(slot->value ? slot->value : text));
    if (meant->kind != SLOT_LIST)
        return merge(parser, slot_option(meant), meant, pairs, error);
    cmdline_items_add(parser->items, slot_option(meant),
                      *(GPtrArray **)slot_field(parser->cmdline, meant), pairs, where);
    return true;
}

static bool is_help_wanted(const char *text)
{
    return strcmp(text, "help") == 0 || strcmp(text, "?") == 0;
}

static bool take_text(Parser *parser, const Slot *slot, const char *text, GError **error)
{
    void *field = slot_field(parser->cmdline, slot);

    if (is_help_wanted(text) && cmdline_help_exists(slot->name))
        return print_help(parser->cmdline, slot->name, text, error);
    if (slot->kind == SLOT_MEANS)
        return take_meaning(parser, slot, text, error);
    if (slot->kind == SLOT_GLOBAL)
        return device_globals_add(parser->cmdline->globals, text, error);
    if (slot->kind == SLOT_SET) {
        g_ptr_array_add(parser->sets, g_strdup(text));
    } else if (slot->kind == SLOT_TEXT) {
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
    } else {
        g_ptr_array_add(*(GPtrArray **)field, g_strdup(text));
    }
    return true;
}

/* Takes an option that has no argument. */
static bool act(Parser *parser, const Slot *slot, GError **error)
{
    Cmdline *cmdline = parser->cmdline;

    switch (slot->kind) {
    case SLOT_MEANS:
        return take_meaning(parser, slot, NULL, error);
    case SLOT_HELP:
        cmdline->text = cmdline_help_text();
        cmdline->action = CMDLINE_ACTION_PRINT;
        break;
    case SLOT_VERSION:
        cmdline->text = g_strdup(CMDLINE_VERSION_LINE);
        cmdline->action = CMDLINE_ACTION_PRINT;
        break;
    case SLOT_CHECK_HOST:
        cmdline->action = CMDLINE_ACTION_CHECK_HOST;
        break;
    default:
        *(bool *)slot_field(cmdline, slot) = true;
        break;
    }
    return true;
}

/* Takes the option at argv[*@at] and moves @at to its last word. */
static bool take_option(Parser *parser, int argc, char **argv, int *at, GError **error)
{
    const char *arg = argv[*at];
    const CmdlineOption *option = qapi_option_find(arg);
    const Slot *slot = option ? find_slot(qapi_text(option->name)) : NULL;

    if (!option) {
        error_set(error, "%s: %s", arg, cmdline_absent_reason(arg));
        return false;
    }
    if (option->arg == CMDLINE_ARG_NONE)
        return act(parser, slot, error);
    if (*at + 1 >= argc) {
        error_set(error, "%s: requires an argument", arg);
        return false;
    }
    ++*at;
    if (option->arg == CMDLINE_ARG_STR ? !take_text(parser, slot, argv[*at], error)
                                       : !take_data(parser, option, slot, argv[*at],
                                                    error)) {
        g_prefix_error(error, "%s %s: ", arg, argv[*at]);
        return false;
    }
    return true;
}

static bool parse_merged(Parser *parser, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        void **field = slot_field(parser->cmdline, &slots[i]);

        if (!parser->merged[i])
            continue;
        *field = qapi_parse(slot_option(&slots[i])->type, parser->merged[i],
                            QAPI_INPUT_TEXT, error);
        if (!*field) {
            g_prefix_error(error, "-%s: ", slots[i].name);
            return false;
        }
    }
    return true;
}

/* "-machine kernel=" is "-kernel", which wins. */
static void take_boot_files(Cmdline *cmdline)
{
    const MachineOptions *machine = cmdline->machine;

    if (!machine)
        return;
    if (!cmdline->kernel)
        cmdline->kernel = g_strdup(machine->kernel);
    if (!cmdline->initrd)
        cmdline->initrd = g_strdup(machine->initrd);
    if (!cmdline->append)
        cmdline->append = g_strdup(machine->append);
}

static bool parse_items(Parser *parser, GError **error)
{
    for (guint i = 0; i < parser->sets->len; i++) {
        const char *text = g_ptr_array_index(parser->sets, i);

        if (!cmdline_items_set(parser->items, text, error)) {
            g_prefix_error(error, "-set %s: ", text);
            return false;
        }
    }
    return cmdline_items_parse(parser->items, parser->cmdline->globals, error);
}

static bool parse_onboard(Cmdline *cmdline, GError **error)
{
    for (OnboardDriver driver = 0; driver < ONBOARD_DRIVER__MAX; driver++) {
        cmdline->onboard[driver] =
            device_globals_onboard(cmdline->globals, driver, error);
        if (!cmdline->onboard[driver])
            return false;
    }
    return true;
}

static Cmdline *cmdline_new(void)
{
    Cmdline *cmdline = g_new0(Cmdline, 1);

    cmdline->globals = device_globals_new();
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        if (slots[i].kind == SLOT_LIST)
            *(GPtrArray **)slot_field(cmdline, &slots[i]) = g_ptr_array_new();
        else if (slots[i].kind == SLOT_TEXTS)
            *(GPtrArray **)slot_field(cmdline, &slots[i]) =
                g_ptr_array_new_with_free_func(g_free);
    }
    return cmdline;
}

static void parser_init(Parser *parser)
{
    parser->cmdline = cmdline_new();
    parser->items = cmdline_items_new();
    parser->sets = g_ptr_array_new_with_free_func(g_free);
}

static void parser_done(Parser *parser)
{
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        json_unref(parser->merged[i]);
    }
    cmdline_items_free(parser->items);
    g_ptr_array_unref(parser->sets);
    cmdline_free(parser->cmdline);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parser, parser_done)

Cmdline *cmdline_parse(int argc, char **argv, GError **error)
{
    g_auto(Parser) parser = { 0 };

    parser_init(&parser);
    for (int at = 1; at < argc; at++) {
        if (!take_option(&parser, argc, argv, &at, error))
            return NULL;
        if (parser.cmdline->action != CMDLINE_ACTION_RUN)
            return g_steal_pointer(&parser.cmdline);
    }
    if (!parse_merged(&parser, error))
        return NULL;
    take_boot_files(parser.cmdline);
    if (!parse_items(&parser, error) ||
        !parse_onboard(parser.cmdline, error) || !cmdline_check(parser.cmdline, error))
        return NULL;
    return g_steal_pointer(&parser.cmdline);
}

void cmdline_free(Cmdline *cmdline)
{
    if (!cmdline)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        void *field = slot_field(cmdline, &slots[i]);

        switch (slots[i].kind) {
        case SLOT_TEXT:
            g_free(*(char **)field);
            break;
        case SLOT_MERGED:
            qapi_free(slot_option(&slots[i])->type, *(void **)field);
            break;
        case SLOT_LIST:
            for (guint n = 0; n < (*(GPtrArray **)field)->len; n++)
                qapi_free(slot_option(&slots[i])->type,
                          g_ptr_array_index(*(GPtrArray **)field, n));
            g_ptr_array_unref(*(GPtrArray **)field);
            break;
        case SLOT_TEXTS:
            g_ptr_array_unref(*(GPtrArray **)field);
            break;
        case SLOT_FLAG:
        case SLOT_MEANS:
        case SLOT_GLOBAL:
        case SLOT_SET:
        case SLOT_HELP:
        case SLOT_VERSION:
        case SLOT_CHECK_HOST:
            break;
        }
    }
    for (OnboardDriver driver = 0; driver < ONBOARD_DRIVER__MAX; driver++)
        qapi_free_OnboardDevice(cmdline->onboard[driver]);
    device_globals_free(cmdline->globals);
    g_free(cmdline->text);
    g_free(cmdline);
}
