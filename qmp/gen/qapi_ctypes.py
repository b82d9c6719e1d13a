# SPDX-License-Identifier: Apache-2.0
"""Writes the C types (qapi-types.h), handlers' prototypes (qmp-commands.h) and events."""

from qapi_model import BUILTINS, alternate_kind, c_name, upper

LICENSE = "/* SPDX-License-Identifier: Apache-2.0 */\n"
GENERATED = "/* Generated from qmp/schema by qmp/gen. */\n"


def declare(type_, name):
    """A C declaration: "char *name", "int64_t name"."""
    text = type_.c_type
    return f"{text}{name}" if text.endswith("*") else f"{text} {name}"


def element_type(list_type):
    return list_type.element.c_type


def write_enum(out, type_):
    prefix = upper(type_.name)
    out.append(f"typedef enum {type_.name} {{")
    out.extend(f"    {prefix}_{upper(name)}," for name, _ in type_.values)
    out.append(f"}} {type_.name};")
    out.append(f"#define {prefix}__MAX {len(type_.values)}")
    out.append(f"static inline const char *{type_.name}_str({type_.name} value)")
    out.append(f"{{\n    return qapi_enum_str({type_.constant}, (int)value);\n}}")
    out.append("/* -1 for a text that is no value. */")
    out.append(f"static inline int {type_.name}_parse(const char *text)")
    out.append(f"{{\n    return qapi_enum_parse({type_.constant}, text);\n}}\n")


def write_fields(out, members):
    for member in members:
        if member.optional and not member.type.is_pointer:
            out.append(f"    bool has_{member.c_name};")
        out.append(f"    {declare(member.type, member.c_name)};")


def write_struct(out, type_):
    out.append(f"struct {type_.name} {{")
    write_fields(out, type_.members)
    if type_.kind == "union":
        out.append("    union {")
        for value, branch in type_.branches.items():
            out.append(f"        {branch.name} {c_name(value)};")
        out.append("    } u;")
    elif not type_.members:
        out.append("    char empty;")
    out.append("};\n")


def write_alternate(out, type_):
    out.append(f"struct {type_.name} {{")
    out.append("    QapiKind type;")
    out.append("    union {")
    for member in type_.members:
        out.append(f"        {declare(member.type, member.c_name)};"
                   f"  /* QAPI_KIND_{alternate_kind(member.type).upper()} */")
    out.append("    } u;")
    out.append("};\n")


def write_list(out, type_):
    items = element_type(type_)
    items += "*" if items.endswith("*") else " *"
    out.append(f"struct {type_.name} {{")
    out.append("    size_t n;")
    out.append(f"    {items}items;")
    out.append("};\n")


def write_functions(out, type_):
    name, constant = type_.name, type_.constant
    out.append(f"static inline void qapi_free_{name}({name} *value)")
    out.append(f"{{\n    qapi_free({constant}, value);\n}}")
    out.append(f"static inline {name} *qapi_clone_{name}(const {name} *value)")
    out.append(f"{{\n    return qapi_clone({constant}, value);\n}}")
    out.append(f"QAPI_DEFINE_AUTOPTR({name}, qapi_free_{name})")
    if type_.kind == "list":
        item = declare(type_.element, "item")
        taken = " /* taken */" if type_.element.is_pointer else ""
        out.append(f"static inline {name} *{name}_new(void)")
        out.append(f"{{\n    return g_new0({name}, 1);\n}}")
        out.append(f"static inline void {name}_append({name} *list, {item}{taken})")
        out.append(f"{{\n    qapi_list_append({constant}, list, &item);\n}}")
    out.append("")


def by_dependency(types):
    """Structs so that a union comes after its branches, which it has by value."""
    done, order = set(), []

    def visit(type_):
        if type_.name in done:
            return
        done.add(type_.name)
        for branch in type_.branches.values():
            visit(branch)
        order.append(type_)

    for type_ in types:
        visit(type_)
    return order


def types_header(schema):
    out = [LICENSE + GENERATED + "#pragma once\n", '#include "berth/qapi.h"\n']
    out.append("enum {")
    out.extend(f"    {t.constant} = {t.index}," for t in schema.table)
    out.append("};\n")
    user = [t for t in schema.table if t.kind not in BUILTINS]
    for type_ in user:
        if type_.kind == "enum":
            write_enum(out, type_)
    boxes = [t for t in user if t.kind != "enum"]
    out.extend(f"typedef struct {t.name} {t.name};" for t in boxes)
    out.append("")
    for type_ in by_dependency(boxes):
        {"alternate": write_alternate, "list": write_list}.get(type_.kind, write_struct)(
            out, type_)
    for type_ in boxes:
        write_functions(out, type_)
    return "\n".join(out) + "\n"


def prototype(command):
    args = f" const {command.args.name} *args," if command.args else ""
    if command.is_async:
        return f"void qmp_{c_name(command.name)}(QmpContext *ctx,{args} QmpReply *reply)"
    returns = command.returns.c_type if command.returns else "bool "
    return f"{returns}qmp_{c_name(command.name)}(QmpContext *ctx,{args} GError **error)"


def write_return(out, command):
    """The typed way to end an asynchronous command."""
    name = c_name(command.name)
    value = f", {command.returns.c_type}value /* taken */" if command.returns else ""
    out.append(f"static inline void qmp_return_{name}(QmpReply *reply{value})")
    out.append(f"{{\n    qmp_reply_return(reply, {'value' if value else 'NULL'});\n}}\n")


def commands_header(schema):
    out = [LICENSE + GENERATED + """/*
 * The handlers of the commands, written in *-qmp.c files.  Main only.  @args is lent for
 * the call; what is returned belongs to the caller; false or NULL exactly when @error was
 * set.  One with @reply ends it by qmp_return_...() or qmp_reply_fail(), then or later.
 */
#pragma once
""", '#include "berth/qmp.h"\n#include "qapi-types.h"\n']
    out.append("enum {")
    names = sorted(schema.commands)
    out.extend(f"    QMP_COMMAND_{upper(name)}," for name in names)
    out.append("    QMP_COMMAND__MAX,\n};\n")
    out.extend(f"{prototype(schema.commands[name])};" for name in names)
    out.append("")
    for name in names:
        if schema.commands[name].is_async:
            write_return(out, schema.commands[name])
    out.append("""\
/*
 * Calls the handler of @command (QMP_COMMAND_...): a QmpCallFn.  *@ret_value is what it
 * returned, NULL when the command returns nothing.
 */
bool qmp_commands_call(unsigned command, QmpContext *ctx, const void *args,
                       void **ret_value, GError **error);

/* The same of an asynchronous command: a QmpStartFn. */
void qmp_commands_start(unsigned command, QmpContext *ctx, const void *args,
                        QmpReply *reply);
""")
    return "\n".join(out)


def write_calls(out, commands, last, case):
    """The switch of a function that calls handlers, up to its end."""
    out.append("    switch (command) {")
    for command in commands:
        args = " args," if command.args else ""
        call = f"qmp_{c_name(command.name)}(ctx,{args} {last})"
        out.append(f"    case QMP_COMMAND_{upper(command.name)}:")
        out.append(case(command, call))
    out.append("    default:\n        g_assert_not_reached();\n    }\n}\n")


def commands_source(schema):
    commands = [schema.commands[name] for name in sorted(schema.commands)]
    out = [LICENSE + GENERATED + '#include "qmp-commands.h"\n']
    out.append("""\
bool qmp_commands_call(unsigned command, QmpContext *ctx, const void *args,
                       void **ret_value, GError **error)
{
    *ret_value = NULL;""")
    write_calls(out, [c for c in commands if not c.is_async], "error",
                lambda command, call:
                    f"        return (*ret_value = {call}) != NULL;"
                    if command.returns else f"        return {call};")
    out.append("""\
void qmp_commands_start(unsigned command, QmpContext *ctx, const void *args,
                        QmpReply *reply)
{""")
    write_calls(out, [c for c in commands if c.is_async], "reply",
                lambda command, call: f"        {call};\n        break;")
    return "\n".join(out)


def events_header(schema):
    out = [LICENSE + GENERATED + """\
/* How each event is sent; @data is lent.  Main only; see berth/qmp.h. */
#pragma once
""", '#include "berth/qmp.h"\n#include "qapi-types.h"\n']
    out.append("enum {")
    out.extend(f"    QAPI_EVENT_{upper(name)}," for name in sorted(schema.events))
    out.append("    QAPI_EVENT__MAX,\n};\n")
    for name in sorted(schema.events):
        event = schema.events[name]
        data = f", const {event.data.name} *data" if event.data else ""
        out.append(f"static inline void qapi_event_{c_name(name).lower()}("
                   f"QmpEvents *events{data})")
        out.append(f"{{\n    qmp_events_emit(events, QAPI_EVENT_{upper(name)}, "
                   f"{'data' if data else 'NULL'});\n}}\n")
    return "\n".join(out)
