/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259): values, text to values, values to text.
 *
 * A JsonValue is one value with shared ownership: json_ref() and json_unref().  The
 * pointer is never NULL for a value, JSON's null included; NULL means "there is none".
 * A value that is put into an object or array belongs to it ("taken").
 *
 * Input limits: a value nests at most JSON_MAX_DEPTH deep, has at most JSON_MAX_SIZE
 * bytes of text and JSON_MAX_VALUES values and keys.  Accepted beyond the RFC, as QMP
 * does: texts in single quotes, and \' in texts.  Refused: broken UTF-8, \u0000, a key
 * twice in one object, whole numbers outside int64_t and uint64_t, numbers outside
 * double.
 *
 * Thread: any; a value is used by one thread at a time.
 */
#pragma once

#include "berth/base.h"

#define JSON_MAX_DEPTH 1024
#define JSON_MAX_SIZE (64 * MIB)
#define JSON_MAX_VALUES (256 * 1024)

typedef struct JsonValue JsonValue;

typedef enum JsonKind {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,           /* a number without fraction and exponent */
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
} JsonKind;

JsonKind json_kind(const JsonValue *value);
JsonValue *json_ref(const JsonValue *value);
/* Accepts NULL. */
void json_unref(JsonValue *value);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonValue, json_unref)

JsonValue *json_new_null(void);
JsonValue *json_new_bool(bool value);
JsonValue *json_new_int(int64_t value);
JsonValue *json_new_uint(uint64_t value);
JsonValue *json_new_double(double value);
JsonValue *json_new_string(const char *value);
JsonValue *json_new_array(void);
JsonValue *json_new_object(void);

/* What a value of the kind is; others give false, 0 and NULL. */
bool json_as_bool(const JsonValue *value);
double json_as_double(const JsonValue *value);     /* also of JSON_INT */
/* Lent for the life of @value. */
const char *json_as_string(const JsonValue *value);
/* False when it is not JSON_INT or does not fit. */
bool json_as_int(const JsonValue *value, int64_t *ret_value);
bool json_as_uint(const JsonValue *value, uint64_t *ret_value);

/* Arrays and objects: how many elements or members. */
size_t json_length(const JsonValue *value);
/* The element, lent. */
JsonValue *json_at(const JsonValue *array, size_t index);
void json_append(JsonValue *array, JsonValue *value /* taken */);

/* The member, lent, or NULL. */
JsonValue *json_member(const JsonValue *object, const char *key);
/* Replaces a member that is there. */
void json_set(JsonValue *object, const char *key, JsonValue *value /* taken */);
/* No effect when it is not there. */
void json_remove(JsonValue *object, const char *key);

/* Walks the members in order: JsonIter iter = { 0 }; while (json_next(...)) ... */
typedef struct JsonIter {
    const void *next;
    bool started;
} JsonIter;
bool json_next(const JsonValue *object, JsonIter *iter, const char **ret_key,
               JsonValue **ret_value);

/* Whether both are the same value; numbers are compared by value and kind. */
bool json_equal(const JsonValue *a, const JsonValue *b);

/* One value from the whole of @text; NULL with @error "JSON parse error, ...". */
JsonValue *json_parse_text(const char *text, size_t size, GError **error);

/*
 * Text arriving in pieces: values one after the other, with or without space between.
 *
 * A fault is told at once; then the text is skipped to the end of the value: to the
 * closing bracket, or outside of brackets to the end of the line or an opening one.  So
 * one bad value gives one error.  A byte that JSON never has (0xFF, a control character
 * other than tab, CR and LF; in a text also these) ends the value at once: by it a
 * client gets a reader that waits for a bracket back to the beginning.
 *
 * An idle stream holds no memory beside itself.
 */
typedef struct JsonStream JsonStream;

JsonStream *json_stream_new(void);
/* The bytes that it keeps of a value whose end has not come. */
size_t json_stream_held(const JsonStream *stream);
void json_stream_free(JsonStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonStream, json_stream_free)

typedef enum JsonStreamResult {
    JSON_STREAM_MORE,       /* everything was taken and no value is complete */
    JSON_STREAM_VALUE,      /* *@ret_value is one value, the caller's */
    JSON_STREAM_ERROR,      /* @error tells of one faulty value; go on feeding */
} JsonStreamResult;

/*
 * Takes bytes of @data up to the end of one value; *@ret_used says how many.  The
 * caller goes on with the rest until JSON_STREAM_MORE:
 *
 *     do {
 *         result = json_stream_feed(stream, data, size, &used, &value, &error);
 *         data += used, size -= used;
 *         ...
 *     } while (result != JSON_STREAM_MORE);
 */
JsonStreamResult json_stream_feed(JsonStream *stream, const char *data, size_t size,
                                  size_t *ret_used, JsonValue **ret_value,
                                  GError **error);

/*
 * Values to text, "{"a": 1, "b": [true]}" in one line or, when pretty, a line for each
 * member indented by four spaces.  Only ASCII is written; other characters as \uXXXX.
 * A writer appends to its GString, which the caller owns.
 */
typedef struct JsonWriter {
    GString *out;
    bool pretty;
    bool comma;             /* the next value of the container comes after another */
    bool after_key;
    unsigned depth;
} JsonWriter;

void json_writer_init(JsonWriter *writer, GString *out, bool pretty);
void json_writer_begin_object(JsonWriter *writer);
void json_writer_end_object(JsonWriter *writer);
void json_writer_begin_array(JsonWriter *writer);
void json_writer_end_array(JsonWriter *writer);
void json_writer_key(JsonWriter *writer, const char *key);
void json_writer_null(JsonWriter *writer);
void json_writer_bool(JsonWriter *writer, bool value);
void json_writer_int(JsonWriter *writer, int64_t value);
void json_writer_uint(JsonWriter *writer, uint64_t value);
void json_writer_double(JsonWriter *writer, double value);
/* @text is UTF-8; bytes that are not become U+FFFD. */
void json_writer_string(JsonWriter *writer, const char *text);
void json_writer_value(JsonWriter *writer, const JsonValue *value);

/* @value in one line; the caller frees. */
char *json_to_text(const JsonValue *value);
