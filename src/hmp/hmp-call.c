/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a line to its text.
 */
#include <string.h>

#include "berth/keyval.h"
#include "berth/machine.h"
#include "berth/printable.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "hmp-call.h"

void hmp_state_init(HmpState *state)
{
    *state = (HmpState) { .format = { .letter = 'x', .size = 4, .count = 1 } };
}

void hmp_append_lines(GString *out, const GString *text)
{
    const char *at = text->str;
    const char *end = at + text->len;

    while (at < end) {
        const char *feed = memchr(at, '\n', end - at);

        printable_append(out, at, (feed ? feed : end) - at, "\t");
        if (feed)
            g_string_append(out, "\r\n");
        at = feed ? feed + 1 : end;
    }
}

void hmp_printf(HmpCall *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(call->out, format, args);
    va_end(args);
}

void hmp_fail(HmpCall *call, GError *error)
{
    hmp_printf(call, "Error: %s\n", error->message);
    g_error_free(error);
}

bool hmp_has(const HmpCall *call, const char *name)
{
    return json_member(call->args, name) != NULL;
}

const char *hmp_text(const HmpCall *call, const char *name)
{
    const JsonValue *value = json_member(call->args, name);

    return value ? json_as_string(value) : NULL;
}

int64_t hmp_int(const HmpCall *call, const char *name)
{
    const JsonValue *value = json_member(call->args, name);
    int64_t number = 0;

    if (value)
        json_as_int(value, &number);
    return number;
}

bool hmp_flag(const HmpCall *call, const char *name)
{
    const JsonValue *value = json_member(call->args, name);

    return value && json_as_bool(value);
}

Vcpu *hmp_vcpu(HmpCall *call, GError **error)
{
    const Machine *machine = call->ctx->machine;
    Vcpu *vcpu = machine ? machine_vcpu(machine, call->state->cpu) : NULL;

    /* The one that was chosen may have gone. */
    if (machine && !vcpu)
        vcpu = machine_vcpu(machine, 0);
    if (vcpu)
        return vcpu;
    error_set(error, "No CPU available");
    return NULL;
}

static void end(HmpCall *call)
{
    if (call->done)
        call->done(call->opaque, call);
    json_unref(call->args);
    g_string_free(call->out, true);
    g_free(call);
}

void hmp_call_wait(HmpCall *call)
{
    call->waits = true;
}

void hmp_call_end_wait(HmpCall *call)
{
    call->waits = false;
    if (!call->busy)
        end(call);
}

static void on_qmp_done(void *opaque, const void *value, const GError *error)
{
    HmpCall *call = opaque;

    if (error)
        hmp_fail(call, g_error_copy(error));
    else
        hmp_commands_print((unsigned)(call->command - hmp_commands), call, value);
    hmp_call_end_wait(call);
}

void hmp_call_qmp(HmpCall *call, unsigned command, const void *args)
{
    call->waits = true;
    qmp_dispatch_call(call->qmp, command, args, on_qmp_done, call);
}

/* A command that is about a vCPU is about the session's. */
static void add_cpu_index(HmpCall *call, const QapiType *type)
{
    if (qapi_type_find(type, "cpu-index") && !hmp_has(call, "cpu-index"))
        json_set(call->args, "cpu-index", json_new_int(call->state->cpu));
}

static bool is_help(const char *text)
{
    return strcmp(text, "help") == 0 || strcmp(text, "?") == 0;
}

/* The arguments of a command that takes options: "TYPE,key=value", or as JSON. */
static void *parse_pairs(HmpCall *call, QapiTypeId type, const char *text, GError **error)
{
    const QapiType *row = &qapi_types[type];
    const QapiMember *tag = &qapi_type_members(row)[row->tag];
    QmpContext *ctx = call->ctx;
    g_autoptr(JsonValue) json = NULL;

    /* With the globals of the command line. */
    if (type == QAPI_TYPE_DEVICE_ADD_ARGS && ctx->parse) {
        json = *text == '{' ? json_parse_text(text, strlen(text), error)
                            : keyval_parse(text, qapi_text(tag->name), NULL, error);
        return json ? ctx->parse(ctx, type, json, error) : NULL;
    }
    if (*text == '{')
        return qapi_parse_json(type, text, error);
    return qapi_parse_keyval(type, text, qapi_text(tag->name), error);
}

/* Lists what the tag of such a command can be. */
static void show_kinds(HmpCall *call, QapiTypeId type)
{
    const QapiType *row = &qapi_types[type];
    const QapiType *kinds = &qapi_types[qapi_type_members(row)[row->tag].type];

    for (unsigned i = 0; i < kinds->n_members; i++)
        hmp_printf(call, "%s\n", qapi_text(qapi_type_members(kinds)[i].name));
}

/* A row that is a QMP command. */
static void run_qmp(HmpCall *call)
{
    const QmpCommand *qmp = &qmp_commands[call->command->qmp];
    const char *pairs = hmp_text(call, "pairs");
    GError *error = NULL;
    void *args = NULL;

    if (pairs && is_help(pairs)) {
        show_kinds(call, qmp->args);
        return;
    }
    if (pairs) {
        args = parse_pairs(call, qmp->args, pairs, &error);
    } else if (qmp->args) {
        add_cpu_index(call, &qapi_types[qmp->args]);
        args = qapi_parse(qmp->args, call->args, QAPI_INPUT_TEXT, &error);
    }
    if (error) {
        hmp_fail(call, error);
        return;
    }
    hmp_call_qmp(call, call->command->qmp, args);
    if (qmp->args)
        qapi_free(qmp->args, args);
}

static void run_row(HmpCall *call)
{
    const HmpCommand *command = call->command;

    if (command->refusal)
        hmp_printf(call, "Error: %s\n", qapi_text(command->refusal));
    else if (command->qmp == HMP_NO_QMP)
        hmp_commands_run((unsigned)(command - hmp_commands), call);
    else
        run_qmp(call);
}

static void run_line(HmpCall *call, const char *line)
{
    g_autoptr(GError) error = NULL;
    size_t size;

    line += strspn(line, " \t");
    if (!*line)
        return;
    call->command = hmp_table_find(line, &size);
    if (!call->command) {
        hmp_table_unknown(call, line, size);
        return;
    }
    TRACE(hmp_command, "%s", qapi_text(call->command->name));
    if (call->command->refusal || hmp_args_read(call, line + size, &error))
        run_row(call);
    else
        hmp_printf(call, "%s\nTry \"help %.*s\" for more information\n",
                   error->message, (int)size, line);
}

HmpCall *hmp_call_line(QmpSession *qmp, HmpState *state, const char *line,
                       HmpDoneFn *done, void *opaque)
{
    HmpCall *call = g_new0(HmpCall, 1);

    assert_main();
    call->ctx = qmp->ctx;
    call->qmp = qmp;
    call->state = state;
    call->args = json_new_object();
    call->out = g_string_new(NULL);
    call->done = done;
    call->opaque = opaque;

    call->busy = true;
    run_line(call, line);
    call->busy = false;
    call->state = NULL;
    if (call->waits)
        return call;
    end(call);
    return NULL;
}

void hmp_call_abandon(HmpCall *call)
{
    if (call)
        call->done = NULL;
}
