/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds for values of any type: names of enums, lists, free, clone, equal.
 *
 * Values are reached through the offsets of the tables (qapi-walk.h).  Recursion goes
 * through the public functions, from struct to struct; its depth is that of the value,
 * which JSON_MAX_DEPTH bounds for what a client sends.
 *
 * A list has no field for its room.  The room is the power of two at or above n, so an
 * append reallocates when n is zero or a power of two.
 */
#include "qapi-walk.h"

const char *qapi_enum_str(QapiTypeId type, int value)
{
    const QapiType *t = &qapi_types[type];

    if (value < 0 || value >= t->n_members)
        return NULL;
    return qapi_text(qapi_type_members(t)[value].name);
}

/* Among @n rows of enum @t from row @first on. */
static const QapiMember *find_row(const QapiType *t, unsigned first, unsigned n,
                                  const char *text)
{
    const QapiMember *rows = qapi_type_members(t) + first;

    for (unsigned i = 0; i < n; i++) {
        if (strcmp(qapi_text(rows[i].name), text) == 0)
            return &rows[i];
    }
    return NULL;
}

const QapiMember *qapi_enum_row(QapiTypeId type, const char *text)
{
    const QapiType *t = &qapi_types[type];
    const QapiMember *row = find_row(t, 0, t->n_members, text);

    return row ? row : find_row(t, t->n_members + (unsigned)t->n_refused, t->n_aliases,
                                text);
}

int qapi_enum_parse(QapiTypeId type, const char *text)
{
    const QapiType *t = &qapi_types[type];
    const QapiMember *row = qapi_enum_row(type, text);

    if (row && row >= qapi_type_members(t) + t->n_members)
        row = find_row(t, 0, t->n_members, qapi_text(row->doc));
    return row ? (int)(row - qapi_type_members(t)) : -1;
}

const char *qapi_enum_refusal(QapiTypeId type, const char *text)
{
    const QapiType *t = &qapi_types[type];
    const QapiMember *row = find_row(t, t->n_members, t->n_refused, text);

    return row ? qapi_text(row->doc) : NULL;
}

const char *qapi_difference(const QapiMember *member)
{
    unsigned index = (unsigned)(member - qapi_members);

    for (unsigned i = 0; i < qapi_n_differences; i++) {
        if (qapi_differences[i].member == index)
            return qapi_text(qapi_differences[i].text);
    }
    return NULL;
}

const QapiMember *qapi_type_find(const QapiType *type, const char *name)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];

        if (strcmp(qapi_text(member->name), name) == 0)
            return member;
    }
    return NULL;
}

bool qapi_type_is_text(const QapiType *type)
{
    const QapiMember *member = qapi_type_find(type, "str");

    return type->meta == QAPI_META_STRUCT && type->n_members == 1 && !type->n_branches &&
        member && qapi_types[member->type].meta == QAPI_META_STR;
}

void qapi_list_append(QapiTypeId type, void *list, const void *item)
{
    size_t size = qapi_slot_size(&qapi_types[qapi_types[type].element]);
    QapiList *l = list;
    char *items = qapi_load(&l->items);

    if ((l->n & (l->n - 1)) == 0) {
        items = g_realloc_n(items, MAX(1, 2 * l->n), size);
        qapi_store(&l->items, items);
    }
    memcpy(items + l->n * size, item, size);
    l->n++;
}

void qapi_free_slot(QapiTypeId type, void *slot)
{
    switch (qapi_types[type].meta) {
    case QAPI_META_STR:
        g_free(qapi_load(slot));
        break;
    case QAPI_META_ANY:
        json_unref(qapi_load(slot));
        break;
    case QAPI_META_STRUCT:
    case QAPI_META_ALTERNATE:
    case QAPI_META_LIST:
        qapi_free(type, qapi_load(slot));
        break;
    default:
        break;
    }
}

static void free_members(const QapiType *type, char *object)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];

        qapi_free_slot(member->type, object + member->offset);
    }
    if (type->n_branches)
        free_members(qapi_value_branch(type, object), object + type->branch_offset);
}

static void free_list(const QapiType *type, QapiList *list)
{
    size_t size = qapi_slot_size(&qapi_types[type->element]);
    char *items = qapi_load(&list->items);

    if (qapi_is_pointer(&qapi_types[type->element])) {
        for (size_t i = 0; i < list->n; i++)
            qapi_free_slot(type->element, items + i * size);
    }
    g_free(items);
}

void qapi_free(QapiTypeId type, void *value)
{
    const QapiType *t = &qapi_types[type];

    if (!value)
        return;
    if (t->meta == QAPI_META_STRUCT) {
        free_members(t, value);
    } else if (t->meta == QAPI_META_LIST) {
        free_list(t, value);
    } else if (t->meta == QAPI_META_ALTERNATE) {
        QapiAlternate *alternate = value;
        const QapiMember *branch = qapi_alternate_branch(t, alternate->kind);

        if (branch)
            qapi_free_slot(branch->type, &alternate->slot);
    }
    g_free(value);
}

static void clone_slot(QapiTypeId type, void *to, const void *from)
{
    switch (qapi_types[type].meta) {
    case QAPI_META_STR:
        qapi_store(to, g_strdup(qapi_load(from)));
        break;
    case QAPI_META_ANY:
        qapi_store(to, qapi_load(from) ? json_ref(qapi_load(from)) : NULL);
        break;
    case QAPI_META_STRUCT:
    case QAPI_META_ALTERNATE:
    case QAPI_META_LIST:
        qapi_store(to, qapi_clone(type, qapi_load(from)));
        break;
    default:
        memcpy(to, from, qapi_types[type].size);
        break;
    }
}

static void clone_members(const QapiType *type, char *to, const char *from)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];

        if (member->has_offset != QAPI_NO_OFFSET)
            memcpy(to + member->has_offset, from + member->has_offset, sizeof(bool));
        clone_slot(member->type, to + member->offset, from + member->offset);
    }
    if (type->n_branches)
        clone_members(qapi_value_branch(type, from), to + type->branch_offset,
                      from + type->branch_offset);
}

static void clone_list(QapiTypeId type, QapiList *to, const QapiList *from)
{
    QapiTypeId element = qapi_types[type].element;
    size_t size = qapi_slot_size(&qapi_types[element]);
    const char *items = qapi_load(&from->items);

    for (size_t i = 0; i < from->n; i++) {
        uint64_t slot;

        clone_slot(element, &slot, items + i * size);
        qapi_list_append(type, to, &slot);
    }
}

void *qapi_clone(QapiTypeId type, const void *value)
{
    const QapiType *t = &qapi_types[type];
    void *copy;

    if (!value)
        return NULL;
    copy = g_malloc0(t->size);
    if (t->meta == QAPI_META_STRUCT) {
        clone_members(t, copy, value);
    } else if (t->meta == QAPI_META_LIST) {
        clone_list(type, copy, value);
    } else if (t->meta == QAPI_META_ALTERNATE) {
        const QapiAlternate *from = value;
        QapiAlternate *to = copy;

        to->kind = from->kind;
        clone_slot(qapi_alternate_branch(t, from->kind)->type, &to->slot, &from->slot);
    }
    return copy;
}

static bool slots_are_equal(QapiTypeId type, const void *a, const void *b)
{
    switch (qapi_types[type].meta) {
    case QAPI_META_STR:
        return g_strcmp0(qapi_load(a), qapi_load(b)) == 0;
    case QAPI_META_ANY:
        return json_equal(qapi_load(a), qapi_load(b));
    case QAPI_META_STRUCT:
    case QAPI_META_ALTERNATE:
    case QAPI_META_LIST:
        return qapi_equal(type, qapi_load(a), qapi_load(b));
    default:
        return memcmp(a, b, qapi_types[type].size) == 0;
    }
}

static bool members_are_equal(const QapiType *type, const char *a, const char *b)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];
        bool present = qapi_member_is_present(member, a);

        if (present != qapi_member_is_present(member, b))
            return false;
        if (present && !slots_are_equal(member->type, a + member->offset,
                                        b + member->offset))
            return false;
    }
    if (!type->n_branches)
        return true;
    return members_are_equal(qapi_value_branch(type, a), a + type->branch_offset,
                             b + type->branch_offset);
}

static bool lists_are_equal(const QapiType *type, const QapiList *a, const QapiList *b)
{
    size_t size = qapi_slot_size(&qapi_types[type->element]);
    const char *items_a = qapi_load(&a->items);
    const char *items_b = qapi_load(&b->items);

    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (!slots_are_equal(type->element, items_a + i * size, items_b + i * size))
            return false;
    }
    return true;
}

bool qapi_equal(QapiTypeId type, const void *a, const void *b)
{
    const QapiType *t = &qapi_types[type];

    if (!a || !b)
        return a == b;
    if (t->meta == QAPI_META_STRUCT)
        return members_are_equal(t, a, b);
    if (t->meta == QAPI_META_LIST)
        return lists_are_equal(t, a, b);
    if (t->meta == QAPI_META_ALTERNATE) {
        const QapiAlternate *x = a, *y = b;

        return x->kind == y->kind &&
               slots_are_equal(qapi_alternate_branch(t, x->kind)->type, &x->slot,
                               &y->slot);
    }
    return false;
}

JsonValue *qapi_emit(QapiTypeId type, const void *value)
{
    GString *text = g_string_new(NULL);
    JsonWriter writer;
    JsonValue *json;

    json_writer_init(&writer, text, false);
    qapi_write(type, value, &writer);
    json = json_parse_text(text->str, text->len, NULL);
    g_string_free(text, TRUE);
    return json;
}
