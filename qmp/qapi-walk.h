/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the interpreter reaches the parts of a value: a slot is the place of a member in
 * its struct or of an element in its list.  Structs, texts, lists and "any" lie behind
 * a pointer in their slot; a scalar is in it.
 */
#pragma once

#include <string.h>

#include "berth/qapi-tables.h"

/* What every generated FooList looks like. */
typedef struct QapiList {
    size_t n;
    void *items;
} QapiList;

/* What every generated alternate looks like, with its first union member's size. */
typedef struct QapiAlternate {
    QapiKind kind;
    uint64_t slot;
} QapiAlternate;

/* The pointer that is in @slot; its real type is Foo * of any Foo. */
static inline void *qapi_load(const void *slot)
{
    void *pointer;

    memcpy(&pointer, slot, sizeof(pointer));
    return pointer;
}

static inline void qapi_store(void *slot, const void *pointer)
{
    memcpy(slot, &pointer, sizeof(pointer));
}

/* Frees what the slot owns; the slot itself is its owner's. */
void qapi_free_slot(QapiTypeId type, void *slot);

static inline bool qapi_is_pointer(const QapiType *type)
{
    switch (type->meta) {
    case QAPI_META_STR:
    case QAPI_META_ANY:
    case QAPI_META_STRUCT:
    case QAPI_META_ALTERNATE:
    case QAPI_META_LIST:
        return true;
    default:
        return false;
    }
}

static inline size_t qapi_slot_size(const QapiType *type)
{
    return qapi_is_pointer(type) ? sizeof(void *) : type->size;
}

static inline int qapi_load_enum(const void *slot)
{
    int value;

    memcpy(&value, slot, sizeof(value));
    return value;
}

/* Whether the optional member is there. */
static inline bool qapi_member_is_present(const QapiMember *member, const void *object)
{
    const char *base = object;

    if (!(member->flags & QAPI_MEMBER_OPTIONAL))
        return true;
    if (member->has_offset != QAPI_NO_OFFSET)
        return *(const bool *)(base + member->has_offset);
    return qapi_load(base + member->offset) != NULL;
}

/* Of a union: the struct type that its discriminator says. */
static inline const QapiType *qapi_value_branch(const QapiType *type, const void *object)
{
    const QapiMember *tag = &qapi_type_members(type)[type->tag];

    return qapi_type_branch(type, qapi_load_enum((const char *)object + tag->offset));
}

/* Which QapiKind a branch of an alternate with type @type has. */
static inline QapiKind qapi_type_kind(const QapiType *type)
{
    switch ((QapiMeta)type->meta) {
    case QAPI_META_NULL:
        return QAPI_KIND_NULL;
    case QAPI_META_BOOL:
        return QAPI_KIND_BOOL;
    case QAPI_META_STR:
    case QAPI_META_ENUM:
        return QAPI_KIND_STR;
    case QAPI_META_LIST:
        return QAPI_KIND_LIST;
    case QAPI_META_STRUCT:
        return QAPI_KIND_OBJECT;
    case QAPI_META_INT:
    case QAPI_META_UINT:
    case QAPI_META_SIZE:
    case QAPI_META_NUMBER:
    case QAPI_META_ANY:
    case QAPI_META_ALTERNATE:
        break;
    }
    return QAPI_KIND_INT;
}

/* The branch of alternate @type that has @kind, NULL when there is none. */
static inline const QapiMember *qapi_alternate_branch(const QapiType *type, QapiKind kind)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *branch = &qapi_type_members(type)[i];

        if (qapi_type_kind(&qapi_types[branch->type]) == kind)
            return branch;
    }
    return NULL;
}
