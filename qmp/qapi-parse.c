/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structs, unions, alternates and lists from JSON.
 *
 * A struct's known members are read in the schema's order, then the members of the JSON
 * object are counted against them: more means that one is unexpected.  So every member
 * is either used or refused.
 */
#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/spelling.h"
#include "qapi-parse.h"

/* Numbers that one text of the command line may stand for. */
#define RANGE_MAX 65536u

static void append_place(const QapiReader *reader, const QapiPlace *place, GString *name)
{
    if (!place->up)
        return;
    append_place(reader, place->up, name);
    if (place->member) {
        g_string_append_printf(name, "%s%s", name->len ? "." : "",
                               qapi_text(place->member->name));
    } else {
        g_string_append_printf(name, reader->input == QAPI_INPUT_TEXT ? ".%zu" : "[%zu]",
                               place->index);
    }
}

char *qapi_parse_place_name(const QapiReader *reader, const QapiPlace *place,
                            const char *last)
{
    GString *name = g_string_new(NULL);

    append_place(reader, place, name);
    if (last)
        g_string_append_printf(name, "%s%s", name->len ? "." : "", last);
    return g_string_free(name, FALSE);
}

static bool set_default(const QapiReader *reader, const QapiPlace *place,
                        const QapiMember *member, char *object)
{
    if (member->has_offset != QAPI_NO_OFFSET)
        *(bool *)(object + member->has_offset) = true;
    return qapi_scalar_parse_text(reader, place, &qapi_types[member->type],
                                  qapi_text(member->deflt), object + member->offset);
}

static bool parse_member(const QapiReader *reader, const QapiPlace *up,
                         const QapiMember *member, const JsonValue *json, char *object)
{
    QapiPlace place = { .up = up, .member = member };
    g_autofree char *name = NULL;

    if (json) {
        if (member->has_offset != QAPI_NO_OFFSET)
            *(bool *)(object + member->has_offset) = true;
        return qapi_parse_slot(reader, &place, member->type, json,
                               object + member->offset);
    }
    if (member->flags & QAPI_MEMBER_DEFAULT)
        return set_default(reader, &place, member, object);
    if (member->flags & QAPI_MEMBER_OPTIONAL)
        return true;
    name = qapi_parse_place_name(reader, &place, NULL);
    error_set(reader->error, "Parameter '%s' is missing", name);
    return false;
}

/* Adds to *@ret_n_used how many members of @json were there. */
static bool parse_members(const QapiReader *reader, const QapiPlace *place,
                          const QapiType *type, const JsonValue *json, char *object,
                          size_t *n_used)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];
        const JsonValue *value = json_member(json, qapi_text(member->name));

        if (!parse_member(reader, place, member, value, object))
            return false;
        *n_used += value != NULL;
    }
    return true;
}

static void try_members(Spelling *spelling, const QapiType *type)
{
    for (unsigned i = 0; i < type->n_members; i++)
        spelling_try(spelling, qapi_text(qapi_type_members(type)[i].name));
}

/* Sets the error for the first member of @json that neither @type nor @branch has. */
/* Why a member is not there that QEMU has, or NULL. */
static const char *member_refusal(const QapiType *type, const char *key)
{
    const QapiMember *rows = qapi_type_members(type) + type->n_members;

    for (unsigned i = 0; i < type->n_refused; i++) {
        if (strcmp(qapi_text(rows[i].name), key) == 0)
            return qapi_text(rows[i].doc);
    }
    return NULL;
}

static bool refuse_unexpected(const QapiReader *reader, const QapiPlace *place,
                              const QapiType *type, const QapiType *branch,
                              const JsonValue *json)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;
    Spelling spelling = { 0 };
    g_autofree char *name = NULL, *hint = NULL;
    const char *reason;

    do {
        g_assert(json_next(json, &iter, &key, &value));
    } while (qapi_type_find(type, key) || (branch && qapi_type_find(branch, key)));
    name = qapi_parse_place_name(reader, place, key);
    reason = member_refusal(type, key);
    if (!reason && branch)
        reason = member_refusal(branch, key);
    spelling.typed = key;
    if (!reason)
        try_members(&spelling, type);
    if (!reason && branch)
        try_members(&spelling, branch);
    hint = spelling_hint(&spelling);
    error_set(reader->error, "Parameter '%.*s' is unexpected%s%s%s", QAPI_ECHO_MAX, name,
              reason ? ": " : "", reason ? reason : "", hint);
    return false;
}

static bool parse_object(const QapiReader *reader, const QapiPlace *place,
                         const QapiType *type, const JsonValue *json, char *object)
{
    const QapiType *branch = NULL;
    size_t n_used = 0;

    if (json_kind(json) != JSON_OBJECT)
        return qapi_scalar_refuse_type(reader, place, "object");
    if (!parse_members(reader, place, type, json, object, &n_used))
        return false;
    if (type->n_branches) {
        branch = qapi_value_branch(type, object);
        if (!parse_members(reader, place, branch, json, object + type->branch_offset,
                           &n_used))
            return false;
    }
    if (n_used < json_length(json))
        return refuse_unexpected(reader, place, type, branch, json);
    return true;
}

/* Appends one element, and reads @json into it. */
static bool parse_element(const QapiReader *reader, const QapiPlace *place,
                          QapiTypeId type, const JsonValue *json, QapiList *list)
{
    QapiTypeId element = qapi_types[type].element;
    size_t size = qapi_slot_size(&qapi_types[element]);
    size_t at = list->n;
    uint64_t zero = 0;
    char *items;

    qapi_list_append(type, list, &zero);
    items = qapi_load(&list->items);
    return qapi_parse_slot(reader, place, element, json, items + at * size);
}

/* A new reference to an element, as its type has it. */
static JsonValue *element_of_text(const QapiReader *reader, QapiTypeId type,
                                  JsonValue *json)
{
    JsonValue *object;

    if (reader->input != QAPI_INPUT_TEXT || json_kind(json) != JSON_STRING ||
        !qapi_type_is_text(&qapi_types[qapi_types[type].element]))
        return json_ref(json);
    object = json_new_object();
    json_set(object, "str", json_ref(json));
    return object;
}

/* Whether @json is "3-5", as the command line has several numbers. */
static bool is_range(const QapiReader *reader, QapiTypeId type, const JsonValue *json,
                     uint64_t *ret_first, uint64_t *ret_last)
{
    const char *text;
    char *end;

    if (reader->input != QAPI_INPUT_TEXT || json_kind(json) != JSON_STRING ||
        qapi_types[qapi_types[type].element].meta != QAPI_META_UINT)
        return false;
    text = json_as_string(json);
    if (!g_ascii_isdigit(text[0]))
        return false;
    *ret_first = g_ascii_strtoull(text, &end, 10);
    if (end[0] != '-' || !g_ascii_isdigit(end[1]))
        return false;
    *ret_last = g_ascii_strtoull(end + 1, &end, 10);
    return *end == '\0';
}

static bool parse_range(const QapiReader *reader, const QapiPlace *place,
                        QapiTypeId type, uint64_t first, uint64_t last, QapiList *list)
{
    if (first > last || last - first >= RANGE_MAX)
        return qapi_scalar_refuse(reader, place,
                                  "a range of numbers, the lower one first");
    for (uint64_t value = first; value - first <= last - first; value++) {
        g_autoptr(JsonValue) json = json_new_int((int64_t)value);

        if (!parse_element(reader, place, type, json, list))
            return false;
    }
    return true;
}

static bool parse_list(const QapiReader *reader, const QapiPlace *up, QapiTypeId type,
                       const JsonValue *json, QapiList *list)
{
    if (json_kind(json) != JSON_ARRAY)
        return qapi_scalar_refuse_type(reader, up, "array");
    for (size_t i = 0; i < json_length(json); i++) {
        QapiPlace place = { .up = up, .index = i };
        g_autoptr(JsonValue) element = element_of_text(reader, type, json_at(json, i));
        uint64_t first, last;

        if (is_range(reader, type, element, &first, &last)
            ? !parse_range(reader, &place, type, first, last, list)
            : !parse_element(reader, &place, type, element, list))
            return false;
    }
    return true;
}

static int kind_of_json(const JsonValue *json)
{
    switch (json_kind(json)) {
    case JSON_NULL:
        return QAPI_KIND_NULL;
    case JSON_BOOL:
        return QAPI_KIND_BOOL;
    case JSON_INT:
        return QAPI_KIND_INT;
    case JSON_STRING:
        return QAPI_KIND_STR;
    case JSON_ARRAY:
        return QAPI_KIND_LIST;
    case JSON_OBJECT:
        return QAPI_KIND_OBJECT;
    case JSON_DOUBLE:
        break;
    }
    return -1;
}

/*
 * A text of the command line is the branch for texts, or else the first branch that
 * understands it.
 */
static bool parse_alternate_text(const QapiReader *reader, const QapiPlace *place,
                                 const QapiType *type, const JsonValue *json,
                                 QapiAlternate *alternate)
{
    QapiReader trial = { .input = reader->input };

    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiType *branch = &qapi_types[qapi_type_members(type)[i].type];

        if (qapi_is_pointer(branch) && branch->meta != QAPI_META_STR)
            continue;
        if (qapi_scalar_parse(&trial, place, branch, json, &alternate->slot)) {
            alternate->kind = qapi_type_kind(branch);
            return true;
        }
    }
    return qapi_scalar_refuse_type(reader, place, qapi_text(type->name));
}

static bool parse_alternate(const QapiReader *reader, const QapiPlace *place,
                            const QapiType *type, const JsonValue *json,
                            QapiAlternate *alternate)
{
    int kind = kind_of_json(json);
    const QapiMember *branch;

    branch = kind < 0 ? NULL : qapi_alternate_branch(type, (QapiKind)kind);
    if (branch) {
        alternate->kind = (QapiKind)kind;
        return qapi_parse_slot(reader, place, branch->type, json, &alternate->slot);
    }
    if (reader->input == QAPI_INPUT_TEXT && kind == QAPI_KIND_STR)
        return parse_alternate_text(reader, place, type, json, alternate);
    return qapi_scalar_refuse_type(reader, place, qapi_text(type->name));
}

bool qapi_parse_slot(const QapiReader *reader, const QapiPlace *place, QapiTypeId type,
                     const JsonValue *json, void *slot)
{
    const QapiType *t = &qapi_types[type];
    void *value;

    if (t->meta != QAPI_META_STRUCT && t->meta != QAPI_META_ALTERNATE &&
        t->meta != QAPI_META_LIST)
        return qapi_scalar_parse(reader, place, t, json, slot);
    value = g_malloc0(t->size);
    qapi_store(slot, value);
    if (t->meta == QAPI_META_STRUCT)
        return parse_object(reader, place, t, json, value);
    if (t->meta == QAPI_META_LIST)
        return parse_list(reader, place, type, json, value);
    return parse_alternate(reader, place, t, json, value);
}

void *qapi_parse(QapiTypeId type, const JsonValue *json, QapiInput input, GError **error)
{
    QapiReader reader = { .input = input, .error = error };
    QapiPlace place = { 0 };
    void *value = NULL;

    if (qapi_parse_slot(&reader, &place, type, json, &value))
        return value;
    qapi_free(type, value);
    return NULL;
}

JsonValue *qapi_parse_member(const QapiMember *member, const JsonValue *json,
                               QapiInput input, GError **error)
{
    const QapiType *type = &qapi_types[member->type];
    QapiReader reader = { .input = input, .error = error };
    QapiPlace outermost = { 0 };
    QapiPlace place = { .up = &outermost, .member = member };
    uint64_t slot = 0;
    JsonValue *converted = NULL;

    if (qapi_parse_slot(&reader, &place, member->type, json, &slot))
        converted = qapi_emit(member->type, qapi_is_pointer(type) &&
                                                    type->meta != QAPI_META_STR
                                                ? qapi_load(&slot)
                                                : &slot);
    qapi_free_slot(member->type, &slot);
    return converted;
}

void *qapi_parse_json(QapiTypeId type, const char *text, GError **error)
{
    g_autoptr(JsonValue) json = json_parse_text(text, strlen(text), error);

    return json ? qapi_parse(type, json, QAPI_INPUT_JSON, error) : NULL;
}

void *qapi_parse_keyval(QapiTypeId type, const char *text, const char *implied,
                        GError **error)
{
    g_autoptr(JsonValue) json = keyval_parse(text, implied, NULL, error);

    return json ? qapi_parse(type, json, QAPI_INPUT_TEXT, error) : NULL;
}
