/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables in the form of QEMU's introspection: commands and events, then the types
 * in the order in which they are first named.
 *
 * Types have their own names, not numbers as QEMU has: clients must follow references
 * and may not know names, and a reader of a change sees what it changes.  All integers
 * are "int".
 */
#include <string.h>

#include "berth/qapi-tables.h"
#include "berth/qmp-introspect.h"

/* The object type without members: of a command that takes or returns nothing. */
#define NO_MEMBERS "Empty"

typedef struct Introspection {
    SchemaInfoList *list;
    GQueue wanted;              /* QapiTypeId of types that were named */
    bool *named;                /* by QapiTypeId */
} Introspection;

static bool is_integer(const QapiType *type)
{
    return type->meta == QAPI_META_INT || type->meta == QAPI_META_UINT ||
           type->meta == QAPI_META_SIZE;
}

/* The one of the types that look the same in JSON. */
static QapiTypeId shown_type(QapiTypeId type)
{
    const QapiType *t = &qapi_types[type];

    if (is_integer(t))
        return QAPI_TYPE_INT;
    if (t->meta == QAPI_META_LIST && is_integer(&qapi_types[t->element]))
        return QAPI_TYPE_INT_LIST;
    return type;
}

/* The name by which @type is referred to; the type will be described. */
static char *name_type(Introspection *in, QapiTypeId type)
{
    const QapiType *t;

    type = shown_type(type);
    t = &qapi_types[type];
    if (!in->named[type]) {
        in->named[type] = true;
        g_queue_push_tail(&in->wanted, GUINT_TO_POINTER(type));
    }
    if (type == 0)
        return g_strdup(NO_MEMBERS);
    if (t->meta == QAPI_META_LIST) {
        g_autofree char *element = name_type(in, t->element);

        return g_strdup_printf("[%s]", element);
    }
    return g_strdup(qapi_text(t->name));
}

static SchemaInfo *add(Introspection *in, char *name, SchemaMetaType meta)
{
    SchemaInfo *info = g_new0(SchemaInfo, 1);

    info->name = name;
    info->meta_type = meta;
    SchemaInfoList_append(in->list, info);
    return info;
}

static StrList *split_words(const char *words)
{
    g_auto(GStrv) parts = NULL;
    StrList *list;

    if (!*words)
        return NULL;
    parts = g_strsplit(words, " ", -1);
    list = StrList_new();
    for (char **part = parts; *part; part++)
        StrList_append(list, g_strdup(*part));
    return list;
}

static void describe_commands(Introspection *in)
{
    for (unsigned i = 0; i < qmp_n_commands; i++) {
        const QmpCommand *command = &qmp_commands[i];
        SchemaInfo *info =
            add(in, g_strdup(qapi_text(command->name)), SCHEMA_META_TYPE_COMMAND);

        info->features = split_words(qapi_text(command->features));
        info->u.command.arg_type = name_type(in, command->args);
        info->u.command.ret_type = name_type(in, command->returns);
        info->u.command.has_allow_oob = command->flags & QMP_COMMAND_ALLOW_OOB;
        info->u.command.allow_oob = info->u.command.has_allow_oob;
    }
}

static void describe_events(Introspection *in)
{
    for (unsigned i = 0; i < qmp_n_events; i++) {
        const QmpEvent *event = &qmp_events[i];
        SchemaInfo *info = add(in, g_strdup(qapi_text(event->name)),
                               SCHEMA_META_TYPE_EVENT);

        info->features = split_words(qapi_text(event->features));
        info->u.event.arg_type = name_type(in, event->data);
    }
}

static JsonValue *default_of(const QapiMember *member)
{
    const char *text = qapi_text(member->deflt);
    const QapiType *type = &qapi_types[member->type];

    if (!(member->flags & QAPI_MEMBER_DEFAULT))
        return NULL;
    switch ((QapiMeta)type->meta) {
    case QAPI_META_BOOL:
        return json_new_bool(strcmp(text, "on") == 0);
    case QAPI_META_INT:
        return json_new_int(g_ascii_strtoll(text, NULL, 10));
    case QAPI_META_UINT:
    case QAPI_META_SIZE:
        return json_new_uint(g_ascii_strtoull(text, NULL, 10));
    default:
        return json_new_string(text);
    }
}

static SchemaInfoObjectMember *describe_member(Introspection *in,
                                               const QapiMember *member)
{
    SchemaInfoObjectMember *info = g_new0(SchemaInfoObjectMember, 1);

    info->name = g_strdup(qapi_text(member->name));
    info->type = name_type(in, member->type);
    if (member->flags & QAPI_MEMBER_OPTIONAL) {
        info->q_default = default_of(member);
        if (!info->q_default)
            info->q_default = json_new_null();
    }
    return info;
}

static void describe_variants(Introspection *in, const QapiType *type,
                              SchemaInfoObject *object)
{
    const QapiMember *tag = &qapi_type_members(type)[type->tag];

    object->tag = g_strdup(qapi_text(tag->name));
    object->variants = SchemaInfoObjectVariantList_new();
    for (unsigned i = 0; i < type->n_branches; i++) {
        SchemaInfoObjectVariant *variant = g_new0(SchemaInfoObjectVariant, 1);

        variant->q_case = g_strdup(qapi_enum_str(tag->type, (int)i));
        variant->type = name_type(in, qapi_branches[type->first_branch + i]);
        SchemaInfoObjectVariantList_append(object->variants, variant);
    }
}

static void describe_object(Introspection *in, const QapiType *type, SchemaInfo *info)
{
    info->u.object.members = SchemaInfoObjectMemberList_new();
    for (unsigned i = 0; i < type->n_members; i++)
        SchemaInfoObjectMemberList_append(info->u.object.members,
                                          describe_member(in,
                                                          &qapi_type_members(type)[i]));
    if (type->n_branches)
        describe_variants(in, type, &info->u.object);
}

static void describe_enum(const QapiType *type, SchemaInfo *info)
{
    info->u.q_enum.members = SchemaInfoEnumMemberList_new();
    info->u.q_enum.values = StrList_new();
    for (unsigned i = 0; i < type->n_members; i++) {
        const char *name = qapi_text(qapi_type_members(type)[i].name);
        SchemaInfoEnumMember *member = g_new0(SchemaInfoEnumMember, 1);

        member->name = g_strdup(name);
        SchemaInfoEnumMemberList_append(info->u.q_enum.members, member);
        StrList_append(info->u.q_enum.values, g_strdup(name));
    }
}

static void describe_alternate(Introspection *in, const QapiType *type, SchemaInfo *info)
{
    info->u.alternate.members = SchemaInfoAlternateMemberList_new();
    for (unsigned i = 0; i < type->n_members; i++) {
        SchemaInfoAlternateMember *member = g_new0(SchemaInfoAlternateMember, 1);

        member->type = name_type(in, qapi_type_members(type)[i].type);
        SchemaInfoAlternateMemberList_append(info->u.alternate.members, member);
    }
}

static JSONType json_type_of(const QapiType *type)
{
    switch ((QapiMeta)type->meta) {
    case QAPI_META_NULL:
        return JSON_TYPE_NULL;
    case QAPI_META_BOOL:
        return JSON_TYPE_BOOLEAN;
    case QAPI_META_INT:
    case QAPI_META_UINT:
    case QAPI_META_SIZE:
        return JSON_TYPE_INT;
    case QAPI_META_NUMBER:
        return JSON_TYPE_NUMBER;
    case QAPI_META_STR:
    case QAPI_META_ENUM:
        return JSON_TYPE_STRING;
    case QAPI_META_ANY:
    case QAPI_META_ALTERNATE:
        return JSON_TYPE_VALUE;
    case QAPI_META_STRUCT:
        return JSON_TYPE_OBJECT;
    case QAPI_META_LIST:
        return JSON_TYPE_ARRAY;
    }
    g_assert_not_reached();
}

static void describe_type(Introspection *in, QapiTypeId type)
{
    const QapiType *t = &qapi_types[type];
    char *name = name_type(in, type);

    if (type == 0) {
        SchemaInfo *info = add(in, name, SCHEMA_META_TYPE_OBJECT);

        info->u.object.members = SchemaInfoObjectMemberList_new();
        return;
    }
    switch ((QapiMeta)t->meta) {
    case QAPI_META_STRUCT:
        describe_object(in, t, add(in, name, SCHEMA_META_TYPE_OBJECT));
        break;
    case QAPI_META_ENUM:
        describe_enum(t, add(in, name, SCHEMA_META_TYPE_ENUM));
        break;
    case QAPI_META_ALTERNATE:
        describe_alternate(in, t, add(in, name, SCHEMA_META_TYPE_ALTERNATE));
        break;
    case QAPI_META_LIST:
        add(in, name, SCHEMA_META_TYPE_ARRAY)->u.array.element_type =
            name_type(in, t->element);
        break;
    default:
        add(in, name, SCHEMA_META_TYPE_BUILTIN)->u.builtin.json_type = json_type_of(t);
        break;
    }
}

SchemaInfoList *qmp_introspect(void)
{
    g_autofree bool *named = g_new0(bool, qapi_n_types);
    Introspection in = { .list = SchemaInfoList_new(), .named = named };

    g_queue_init(&in.wanted);
    describe_commands(&in);
    describe_events(&in);
    while (!g_queue_is_empty(&in.wanted))
        describe_type(&in, (QapiTypeId)GPOINTER_TO_UINT(g_queue_pop_head(&in.wanted)));
    return in.list;
}

/* Members that say which thing it is and where it goes, not what it is like. */
static bool is_identity(const QapiType *type, unsigned index)
{
    const char *name = qapi_text(qapi_type_members(type)[index].name);

    return index == type->tag || strcmp(name, "id") == 0 || strcmp(name, "bus") == 0;
}

const char *const qmp_introspect_all[] = { NULL };

static bool is_wanted(const QapiType *type, unsigned index, const char *const *base)
{
    const char *name = qapi_text(qapi_type_members(type)[index].name);

    if (base == qmp_introspect_all)
        return !is_identity(type, index);
    return base && g_strv_contains(base, name);
}

static void add_property(ObjectPropertyInfoList *list, const QapiMember *member)
{
    ObjectPropertyInfo *info = g_new0(ObjectPropertyInfo, 1);

    info->name = g_strdup(qapi_text(member->name));
    info->type = g_strdup(qapi_text(qapi_types[member->type].name));
    info->description = g_strdup(qapi_text(member->doc));
    info->default_value = default_of(member);
    ObjectPropertyInfoList_append(list, info);
}

ObjectPropertyInfoList *qmp_introspect_branch(QapiTypeId type, int value,
                                              const char *const *base)
{
    const QapiType *t = &qapi_types[type];
    const QapiType *branch = qapi_type_branch(t, (unsigned)value);
    ObjectPropertyInfoList *list = ObjectPropertyInfoList_new();

    for (unsigned i = 0; i < t->n_members; i++) {
        if (is_wanted(t, i, base))
            add_property(list, &qapi_type_members(t)[i]);
    }
    for (unsigned i = 0; i < branch->n_members; i++)
        add_property(list, &qapi_type_members(branch)[i]);
    return list;
}

ObjectPropertyInfoList *qmp_introspect_members(QapiTypeId type)
{
    const QapiType *t = &qapi_types[type];
    ObjectPropertyInfoList *list = ObjectPropertyInfoList_new();

    for (unsigned i = 0; i < t->n_members; i++)
        add_property(list, &qapi_type_members(t)[i]);
    return list;
}
