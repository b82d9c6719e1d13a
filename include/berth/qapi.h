/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of the schema: what can be done with any generated type (qapi-types.h).
 *
 * A type is named by a number, QAPI_TYPE_FOO for Foo.  @value is a pointer to a value
 * of that type:  Foo * for a struct, union, alternate or list, and a pointer to the
 * scalar otherwise.  The generated qapi_free_Foo(), qapi_clone_Foo(), FooList_append(),
 * RunState_str() and RunState_parse() are typed names for the functions here.
 *
 * A faulty input gives an error that names the member with its path from the outermost
 * object ("regions[2].size"; "regions.2.size" for input from the command line).
 *
 * Thread: any; a value belongs to its owner.
 */
#pragma once

#include "berth/base.h"
#include "berth/json.h"

typedef uint16_t QapiTypeId;

/* Which branch of an alternate a value is. */
typedef enum QapiKind {
    QAPI_KIND_NULL,
    QAPI_KIND_BOOL,
    QAPI_KIND_INT,
    QAPI_KIND_STR,
    QAPI_KIND_OBJECT,
    QAPI_KIND_LIST,
} QapiKind;

/* How scalars are spelled in the JsonValue that is parsed. */
typedef enum QapiInput {
    QAPI_INPUT_JSON,        /* as JSON types */
    QAPI_INPUT_TEXT,        /* also as texts of the command line: "on", "0x3f8", "2G" */
} QapiInput;

/*
 * A new value of @type from @json; missing members that have a default get it.  Only for
 * structs, unions, alternates and lists.  NULL with @error.
 */
void *qapi_parse(QapiTypeId type, const JsonValue *json, QapiInput input, GError **error);

/* The same from JSON text, and from key=value text (see keyval_parse()). */
void *qapi_parse_json(QapiTypeId type, const char *text, GError **error);
void *qapi_parse_keyval(QapiTypeId type, const char *text, const char *implied,
                        GError **error);

/* Writes @value as JSON; optional members that are absent are left out. */
void qapi_write(QapiTypeId type, const void *value, JsonWriter *writer);
/* The same as a new JsonValue. */
JsonValue *qapi_emit(QapiTypeId type, const void *value);

/* Frees @value and what it owns; only types that qapi_parse() takes.  Accepts NULL. */
void qapi_free(QapiTypeId type, void *value);
/* A deep copy; NULL of NULL. */
void *qapi_clone(QapiTypeId type, const void *value);
/* Whether both have the same members with the same values; NULL equals NULL only. */
bool qapi_equal(QapiTypeId type, const void *a, const void *b);

/* Appends the element at @item, which the list takes over. */
void qapi_list_append(QapiTypeId type, void *list, const void *item);

/* The name of an enum's value; NULL for one that is out of range. */
const char *qapi_enum_str(QapiTypeId type, int value);
/* The value of a name, -1 when there is none. */
int qapi_enum_parse(QapiTypeId type, const char *text);
/* Why berth has not the value of a name that QEMU has; NULL when there is no such. */
const char *qapi_enum_refusal(QapiTypeId type, const char *text);

/*
 * What g_autoptr(@Type) needs of G_DEFINE_AUTOPTR_CLEANUP_FUNC(), without what is for
 * lists and queues of pointers: the compiler reads this for hundreds of types in each
 * file.  @free accepts NULL.
 */
#define QAPI_DEFINE_AUTOPTR(Type, free)                                 \
    typedef Type *_GLIB_AUTOPTR_TYPENAME(Type);                         \
    static inline void _GLIB_AUTOPTR_FUNC_NAME(Type)(Type **value)      \
    {                                                                   \
        free(*value);                                                   \
    }
