/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the two halves of the parser: containers (qapi-parse.c) and scalars
 * (qapi-scalar.c).
 */
#pragma once

#include "qapi-walk.h"

/* The longest piece of the client's text that an error repeats. */
#define QAPI_ECHO_MAX 200

/* Where in the input a value is: a chain from the value to the outermost one. */
typedef struct QapiPlace {
    const struct QapiPlace *up;     /* NULL for the outermost value */
    const QapiMember *member;       /* NULL for an element of a list */
    size_t index;                   /* of the element */
} QapiPlace;

typedef struct QapiReader {
    QapiInput input;
    GError **error;
} QapiReader;

/*
 * "a.b[2].c", or "a.b.2.c" as the command line has it.  @last (may be NULL) is a further
 * member.  The caller frees.
 */
char *qapi_parse_place_name(const QapiReader *reader, const QapiPlace *place,
                            const char *last);

/* Sets the error for a JSON type that is not @expected; false. */
bool qapi_scalar_refuse_type(const QapiReader *reader, const QapiPlace *place,
                             const char *expected);

/* Sets "Parameter '...' expects @expected"; false. */
bool qapi_scalar_refuse(const QapiReader *reader, const QapiPlace *place,
                        const char *expected);

/*
 * Reads @json into the slot, which is zero.  On false with the error set the slot may own
 * parts, which are freed with the outermost value.
 */
bool qapi_parse_slot(const QapiReader *reader, const QapiPlace *place, QapiTypeId type,
                     const JsonValue *json, void *slot);

/* The same for a type that is neither struct, alternate nor list. */
bool qapi_scalar_parse(const QapiReader *reader, const QapiPlace *place,
                       const QapiType *type, const JsonValue *json, void *slot);

/* The same from text; used for defaults too. */
bool qapi_scalar_parse_text(const QapiReader *reader, const QapiPlace *place,
                            const QapiType *type, const char *text, void *slot);
