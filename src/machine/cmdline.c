/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argv to typed options.
 *
 * The schema says what options there are and what type their values have (CmdlineOption);
 * cmdline-slots.c says where each goes in Cmdline.  The pairs of a merged option are
 * collected and parsed when all are known, so that a later pair wins, as with QEMU; so
 * are those of repeated ones, which -set and -global may still change.
 *
 * What was asked for and cannot be had is refused after parsing (cmdline-check.c).
 */
#include <string.h>

#include "berth/drive-options.h"
#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/machine.h"
#include "berth/nic-options.h"
#include "berth/qapi-option.h"
#include "berth/spelling.h"

#include "cmdline-absent.h"
#include "cmdline-check.h"
#include "cmdline-config.h"
#include "cmdline-help.h"
#include "cmdline-items.h"
#include "cmdline-slots.h"

#include "berth/cmdline.h"

typedef struct Parser {
    Cmdline *cmdline;
    JsonValue *merged[CMDLINE_SLOTS_MAX];
    CmdlineItems *items;
    GPtrArray *sets;            /* of text: -set */
} Parser;

/* Checks the pairs of one occurrence, and keeps them for parse_merged(). */
static bool merge(Parser *parser, const CmdlineOption *option, const Slot *slot,
                  JsonValue *json, GError **error)
{
    JsonValue **merged = &parser->merged[cmdline_slots_index(slot)];
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

static bool print_help(Cmdline *cmdline, const char *option, const char *text,
                       GError **error)
{
    cmdline->text = cmdline_help_for(option, text, error);
    cmdline->action = CMDLINE_ACTION_PRINT;
    return cmdline->text != NULL;
}

/*
 * Who wants another machine is told that, not of its first property; and of a property
 * what is not there that it is for.
 */
static bool check_machine(const JsonValue *pairs, GError **error)
{
    const JsonValue *type = json_member(pairs, "type");
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    if (type && json_kind(type) == JSON_STRING &&
        !machine_types_find(json_as_string(type))) {
        error_set(error, "there is no such machine type: %s",
                  machine_types_absent(json_as_string(type)));
        return false;
    }
    while (json_next(pairs, &iter, &key, &value)) {
        const char *reason = cmdline_absent_of_machine(key);

        if (reason) {
            error_set(error, "%s: %s", key, reason);
            return false;
        }
    }
    return true;
}

/* Takes the pairs of one occurrence, of which an error tells as @where. */
static bool take_pairs(Parser *parser, const Slot *slot, const JsonValue *pairs,
                       const char *where, GError **error)
{
    const CmdlineOption *option = cmdline_slots_option(slot);
    g_autoptr(JsonValue) renamed = NULL;

    if (slot->kind == SLOT_GLOBAL)
        return device_globals_add_pairs(parser->cmdline->globals, pairs, error);
    renamed = slot->rename ? slot->rename(pairs) : json_ref(pairs);
    if (slot->kind == SLOT_LIST) {
        cmdline_items_add(parser->items, option,
                          *(GPtrArray **)cmdline_slots_field(parser->cmdline, slot),
                          renamed, where);
        return true;
    }
    if (strcmp(slot->name, "machine") == 0 && !check_machine(renamed, error))
        return false;
    return merge(parser, option, slot, renamed, error);
}

/* Takes a typed value. */
static bool take_data(Parser *parser, const Slot *slot, const char *text, GError **error)
{
    g_autofree char *where = g_strdup_printf("-%s %s", slot->name, text);
    g_autoptr(JsonValue) pairs = NULL;
    bool help = false;

    if (slot->kind == SLOT_GLOBAL)
        return device_globals_add(parser->cmdline->globals, text, error);
    pairs = qapi_option_read(cmdline_slots_option(slot), text, &help, error);
    if (!pairs)
        return false;
    if (help)
        return print_help(parser->cmdline, slot->name, text, error);
    return take_pairs(parser, slot, pairs, where, error);
}

/* Takes an option that is a pair of another one; @text is its argument, or NULL. */
static bool take_meaning(Parser *parser, const Slot *slot, const char *text,
                         GError **error)
{
    g_autoptr(JsonValue) pairs = slot->more ? keyval_parse(slot->more, NULL, NULL, error)
                                            : json_new_object();
    g_autofree char *where = g_strdup_printf("-%s", slot->name);

    json_set(pairs, slot->key, json_new_string(slot->value ? slot->value : text));
    return take_pairs(parser, cmdline_slots_find(slot->option), pairs, where, error);
}

/* One section of a configuration file. */
static bool on_section(void *opaque, const char *group, const char *text,
                       const char *where, GError **error)
{
    const CmdlineOption *option = qapi_option_find_group(group);
    g_autoptr(JsonValue) pairs = NULL;
    bool help;

    if (!option) {
        error_set(error, "there is no option group '%s'", group);
        return false;
    }
    pairs = qapi_option_read(option, text, &help, error);
    return pairs && take_pairs(opaque, cmdline_slots_find(qapi_text(option->name)), pairs,
                               where, error);
}

static bool is_help_wanted(const char *text)
{
    return strcmp(text, "help") == 0 || strcmp(text, "?") == 0;
}

static bool take_text(Parser *parser, const Slot *slot, const char *text, GError **error)
{
    void *field = cmdline_slots_field(parser->cmdline, slot);

    if (is_help_wanted(text) && cmdline_help_exists(slot->name))
        return print_help(parser->cmdline, slot->name, text, error);
    if (slot->kind == SLOT_MEANS)
        return take_meaning(parser, slot, text, error);
    if (slot->kind == SLOT_READCONFIG)
        return cmdline_config_read(text, on_section, parser, error);
    if (slot->kind == SLOT_CHECK_DOMAIN)
        parser->cmdline->action = CMDLINE_ACTION_CHECK_DOMAIN;
    if (slot->kind == SLOT_SET) {
        g_ptr_array_add(parser->sets, g_strdup(text));
    } else if (slot->kind == SLOT_TEXT || slot->kind == SLOT_CHECK_DOMAIN) {
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
    } else {
        g_ptr_array_add(*(GPtrArray **)field, g_strdup(text));
    }
    return true;
}

/* Takes the option at argv[@at], which has no argument. */
static bool act(Parser *parser, const Slot *slot, int at, GError **error)
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
    case SLOT_CHECK_ARGS:
        if (at != 1) {
            error_set(error, "-check-args: it stands before the options that it is for");
            return false;
        }
        cmdline->action = CMDLINE_ACTION_CHECK_ARGS;
        cmdline->rest = at + 1;
        break;
    default:
        *(bool *)cmdline_slots_field(cmdline, slot) = true;
        break;
    }
    return true;
}

/* @arg is no option: says what of QEMU's it is, or what it could have been. */
static void refuse_unknown(const char *arg, GError **error)
{
    Spelling spelling = { .typed = arg + strspn(arg, "-") };
    const char *reason = cmdline_absent_reason(arg);

    for (unsigned i = 0; !reason && i < cmdline_n_options; i++)
        spelling_try(&spelling, qapi_text(cmdline_options[i].name));
    if (spelling.nearest)
        error_set(error, "%s: invalid option; did you mean '-%s'?", arg,
                  spelling.nearest);
    else
        error_set(error, "%s: %s", arg, reason ? reason : "invalid option");
}

/* Takes the option at argv[*@at] and moves @at to its last word. */
static bool take_option(Parser *parser, int argc, char **argv, int *at, GError **error)
{
    const char *arg = argv[*at];
    const CmdlineOption *option = qapi_option_find(arg);
    const Slot *slot = option ? cmdline_slots_find(qapi_text(option->name)) : NULL;

    if (!option) {
        refuse_unknown(arg, error);
        return false;
    }
    if (option->arg == CMDLINE_ARG_NONE)
        return act(parser, slot, *at, error);
    if (*at + 1 >= argc) {
        error_set(error, "%s: requires an argument", arg);
        return false;
    }
    ++*at;
    if (option->arg == CMDLINE_ARG_STR ? !take_text(parser, slot, argv[*at], error)
                                       : !take_data(parser, slot, argv[*at], error)) {
        g_prefix_error(error, "%s %s: ", arg, argv[*at]);
        return false;
    }
    return true;
}

static bool parse_merged(Parser *parser, GError **error)
{
    const Slot *slot;

    for (unsigned i = 0; (slot = cmdline_slots_at(i)); i++) {
        void **field = cmdline_slots_field(parser->cmdline, slot);

        if (!parser->merged[i])
            continue;
        *field = qapi_parse(cmdline_slots_option(slot)->type, parser->merged[i],
                            QAPI_INPUT_TEXT, error);
        if (!*field) {
            g_prefix_error(error, "-%s: ", slot->name);
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

/* Wherever among the drives the option is. */
static void take_snapshots(const Cmdline *cmdline)
{
    for (guint i = 0; cmdline->snapshot && i < cmdline->drives->len; i++)
        drive_options_set_snapshot(g_ptr_array_index(cmdline->drives, i));
}

/* Those that drives are plugged into come after the others. */
static bool add_drive_devices(Cmdline *cmdline, GError **error)
{
    for (guint i = 0; i < cmdline->drives->len; i++) {
        const DriveOptions *drive = g_ptr_array_index(cmdline->drives, i);
        DeviceAddArgs *args;

        if (drive->q_if != DRIVE_INTERFACE_VIRTIO && drive->q_if != DRIVE_INTERFACE_IDE)
            continue;
        args = drive_options_device(drive, cmdline->globals, error);
        if (!args) {
            g_prefix_error(error, "-drive id=%s: ", drive->id);
            return false;
        }
        g_ptr_array_add(cmdline->devices, args);
    }
    return true;
}

static bool add_nics(Cmdline *cmdline, GError **error)
{
    for (guint i = 0; i < cmdline->nics->len; i++) {
        const char *text = g_ptr_array_index(cmdline->nics, i);
        NicOptions nic;

        if (strcmp(text, "none") == 0)
            continue;
        if (!nic_options_parse(text, cmdline->netdevs, cmdline->globals, &nic, error)) {
            g_prefix_error(error, "-nic %s: ", text);
            return false;
        }
        g_ptr_array_add(cmdline->netdevs, nic.netdev);
        g_ptr_array_add(cmdline->devices, nic.device);
    }
    return true;
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
    cmdline_slots_init(cmdline);
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
    for (size_t i = 0; i < G_N_ELEMENTS(parser->merged); i++)
        json_unref(parser->merged[i]);
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
    if (!parse_items(&parser, error))
        return NULL;
    take_snapshots(parser.cmdline);
    if (!add_drive_devices(parser.cmdline, error) ||
        !add_nics(parser.cmdline, error) || !parse_onboard(parser.cmdline, error) ||
        !cmdline_check(parser.cmdline, error))
        return NULL;
    return g_steal_pointer(&parser.cmdline);
}

const AccelOptions *cmdline_accel(const Cmdline *cmdline)
{
    for (guint i = cmdline->accels->len; i-- > 0;) {
        const AccelOptions *accel = g_ptr_array_index(cmdline->accels, i);

        if (strcmp(accel->accel, "kvm") == 0)
            return accel;
    }
    return NULL;
}

/* A serial port that is a terminal, or has a monitor. */
static bool has_terminal(const Cmdline *cmdline)
{
    for (guint i = 0; i < cmdline->serials->len; i++) {
        const char *text = g_ptr_array_index(cmdline->serials, i);

        if (strcmp(text, "stdio") == 0 || g_str_has_prefix(text, "mon:"))
            return true;
    }
    return false;
}

bool cmdline_wants_monitor(const Cmdline *cmdline)
{
    return cmdline->nographic && !cmdline->nodefaults && !cmdline->daemonize &&
           cmdline->monitors->len == 0 && cmdline->human_monitors->len == 0 &&
           cmdline->qmps->len == 0 && cmdline->pretty_qmps->len == 0 &&
           !has_terminal(cmdline);
}

void cmdline_free(Cmdline *cmdline)
{
    if (!cmdline)
        return;
    cmdline_slots_done(cmdline);
    for (OnboardDriver driver = 0; driver < ONBOARD_DRIVER__MAX; driver++)
        qapi_free_OnboardDevice(cmdline->onboard[driver]);
    device_globals_free(cmdline->globals);
    g_free(cmdline->text);
    g_free(cmdline);
}
