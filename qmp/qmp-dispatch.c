/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to one reply: the envelope is checked, the command looked up, its
 * arguments are parsed by its row of the table, its handler is called, what it returns
 * is written (qmp-reply.c).
 *
 * Classes and words of errors are those of QEMU's monitor (qmp-spec, section "Error").
 */
#include <stdlib.h>
#include <string.h>

#include "berth/qapi-tables.h"
#include "berth/qmp.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "qmp-line.h"
#include "qmp-reply.h"

typedef struct Request {
    const char *command;
    const JsonValue *arguments;     /* NULL for none */
    const JsonValue *id;            /* NULL for none */
    bool oob;
} Request;

void qmp_dispatch_error(QmpSession *session, const GError *failure, const JsonValue *id,
                        GString *out)
{
    JsonWriter writer;

    qmp_line_begin(&writer, out, session->pretty);
    json_writer_key(&writer, "error");
    json_writer_begin_object(&writer);
    json_writer_key(&writer, "class");
    json_writer_string(&writer, error_class_name(failure));
    json_writer_key(&writer, "desc");
    json_writer_string(&writer, failure->message);
    json_writer_end_object(&writer);
    if (id) {
        json_writer_key(&writer, "id");
        json_writer_value(&writer, id);
    }
    qmp_line_end(&writer);
}

static bool read_command(Request *request, const char *key, const JsonValue *value,
                         GError **error)
{
    bool oob = strcmp(key, "exec-oob") == 0;

    if (json_kind(value) != JSON_STRING) {
        error_set(error, "QMP input member '%s' must be a string", key);
        return false;
    }
    if (request->command) {
        error_set(error, "QMP input member '%s' clashes with '%s'", key,
                  oob ? "execute" : "exec-oob");
        return false;
    }
    request->command = json_as_string(value);
    request->oob = oob;
    return true;
}

static bool read_member(Request *request, const QmpSession *session, const char *key,
                        const JsonValue *value, GError **error)
{
    if (strcmp(key, "execute") == 0 || (strcmp(key, "exec-oob") == 0 && session->oob))
        return read_command(request, key, value, error);
    if (strcmp(key, "arguments") == 0) {
        if (json_kind(value) != JSON_OBJECT) {
            error_set(error, "QMP input member 'arguments' must be an object");
            return false;
        }
        request->arguments = value;
        return true;
    }
    if (strcmp(key, "id") == 0)
        return true;
    error_set(error, "QMP input member '%.100s' is unexpected", key);
    return false;
}

static bool read_envelope(Request *request, const QmpSession *session,
                          const JsonValue *json, GError **error)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    if (json_kind(json) != JSON_OBJECT) {
        error_set(error, "QMP input must be a JSON object");
        return false;
    }
    request->id = json_member(json, "id");
    while (json_next(json, &iter, &key, &value)) {
        if (!read_member(request, session, key, value, error))
            return false;
    }
    if (!request->command) {
        error_set(error, "QMP input lacks member 'execute'");
        return false;
    }
    return true;
}

/* That of the schema, unless a test has one of its own. */
static const QmpCommand *command_table(const QmpContext *ctx)
{
    return ctx->commands ? ctx->commands : qmp_commands;
}

static int compare_command(const void *name, const void *row)
{
    return strcmp(name, qapi_text(((const QmpCommand *)row)->name));
}

static bool is_negotiation(const char *name)
{
    return strcmp(name, "qmp_capabilities") == 0;
}

/* query-* commands change nothing. */
static bool asks(const char *name)
{
    return g_str_has_prefix(name, "query-") || is_negotiation(name);
}

/* The command's row, if this session may execute it now. */
static const QmpCommand *find_command(const QmpSession *session, const Request *request,
                                      GError **error)
{
    const char *name = request->command;
    const QmpCommand *command;

    if (!session->negotiated && !is_negotiation(name)) {
        error_set_class(error, BERTH_ERROR_COMMAND_NOT_FOUND,
                        "Expecting capabilities negotiation with 'qmp_capabilities'");
        return NULL;
    }
    if (session->negotiated && is_negotiation(name)) {
        error_set_class(error, BERTH_ERROR_COMMAND_NOT_FOUND,
                        "Capabilities negotiation is already complete, command ignored");
        return NULL;
    }
    command = bsearch(name, command_table(session->ctx), qmp_n_commands,
                      sizeof(*command), compare_command);
    if (!command) {
        error_set_class(error, BERTH_ERROR_COMMAND_NOT_FOUND,
                        "The command %.100s has not been found", name);
        return NULL;
    }
    if (session->readonly && !asks(name)) {
        error_set_class(error, BERTH_ERROR_COMMAND_NOT_FOUND,
                        "The command %s is not for this monitor, which is readonly",
                        name);
        return NULL;
    }
    if (request->oob && !(command->flags & QMP_COMMAND_ALLOW_OOB)) {
        error_set(error, "The command %s does not support OOB", name);
        return NULL;
    }
    if (!session->ctx->ready && !(command->flags & QMP_COMMAND_ALLOW_PRECONFIG)) {
        error_set(error, "The command %s is not available before the machine is made",
                  name);
        return NULL;
    }
    return command;
}

/* A command without arguments takes an empty object as well as none. */
static bool refuse_arguments(const JsonValue *arguments, GError **error)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    if (!arguments || !json_next(arguments, &iter, &key, &value))
        return true;
    error_set(error, "Parameter '%.100s' is unexpected", key);
    return false;
}

static bool parse_arguments(QmpContext *ctx, const QmpCommand *command,
                            const Request *request, void **ret_args, GError **error)
{
    g_autoptr(JsonValue) none = NULL;
    const JsonValue *arguments = request->arguments;

    *ret_args = NULL;
    if (!command->args)
        return refuse_arguments(arguments, error);
    if (!arguments)
        arguments = none = json_new_object();
    *ret_args = ctx->parse ? ctx->parse(ctx, command->args, arguments, error)
                           : qapi_parse(command->args, arguments, QAPI_INPUT_JSON, error);
    return *ret_args != NULL;
}

/* Calls the handler, which answers now or, if it is asynchronous, when it likes. */
static bool call_handler(QmpSession *session, const QmpCommand *command,
                         const void *args, const JsonValue *id, GString *out,
                         GError **error)
{
    QmpContext *ctx = session->ctx;
    unsigned index = (unsigned)(command - command_table(ctx));
    void *value;

    if (command->flags & QMP_COMMAND_ASYNC) {
        ctx->start(index, ctx, args, qmp_reply_new(session, command, id, out));
        qmp_reply_started(session);
        return true;
    }
    if (!ctx->call(index, ctx, args, &value, error))
        return false;
    qmp_reply_write(session, command, value, id, out);
    qmp_reply_free_value(command, value);
    return true;
}

static bool execute(QmpSession *session, const Request *request, GString *out,
                    GError **error)
{
    QmpContext *ctx = session->ctx;
    const QmpCommand *command = find_command(session, request, error);
    QmpSession *outer = ctx->session;       /* of a handler that turns the loop */
    void *args;
    bool done;

    if (!command || !parse_arguments(ctx, command, request, &args, error))
        return false;
    TRACE(qmp_command, "%s", qapi_text(command->name));
    ctx->session = session;
    done = call_handler(session, command, args, request->id, out, error);
    ctx->session = outer;
    TRACE(qmp_command_done, "%s: %s", qapi_text(command->name),
          command->flags & QMP_COMMAND_ASYNC ? "under way" : done ? "done" : "failed");
    if (command->args)
        qapi_free(command->args, args);
    return done;
}

void qmp_dispatch_call(QmpSession *session, unsigned command, const void *args,
                       QmpDoneFn *done, void *opaque)
{
    QmpContext *ctx = session->ctx;
    const QmpCommand *row = &command_table(ctx)[command];
    QmpSession *outer = ctx->session;
    g_autoptr(GError) error = NULL;
    void *value = NULL;

    assert_main();
    ctx->session = session;
    if (row->flags & QMP_COMMAND_ASYNC) {
        ctx->start(command, ctx, args, qmp_reply_new_call(row, done, opaque));
    } else {
        ctx->call(command, ctx, args, &value, &error);
        done(opaque, value, error);
        qmp_reply_free_value(row, value);
    }
    ctx->session = outer;
}

bool qmp_dispatch_is_oob(const JsonValue *request)
{
    return json_kind(request) == JSON_OBJECT && json_member(request, "exec-oob");
}

void qmp_dispatch(QmpSession *session, const JsonValue *request, GString *out)
{
    Request parts = { 0 };
    g_autoptr(GError) error = NULL;

    assert_main();
    if (!read_envelope(&parts, session, request, &error) ||
        !execute(session, &parts, out, &error))
        qmp_dispatch_error(session, error, parts.id, out);
}
