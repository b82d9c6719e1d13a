/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text in the shape that QMP clients know: ", " and ": " between, or broken into
 * lines with four spaces an indent.
 */
#include <math.h>
#include <string.h>

#include "berth/decimal.h"
#include "berth/json.h"

#define INDENT 4
#define REPLACEMENT 0xfffd

void json_writer_init(JsonWriter *writer, GString *out, bool pretty)
{
    *writer = (JsonWriter){ .out = out, .pretty = pretty };
}

static void break_line(JsonWriter *writer)
{
    g_string_append_c(writer->out, '\n');
    for (unsigned i = 0; i < writer->depth * INDENT; i++)
        g_string_append_c(writer->out, ' ');
}

/* What comes before a value or a key. */
static void separate(JsonWriter *writer)
{
    if (writer->after_key) {
        writer->after_key = false;
        return;
    }
    if (writer->comma)
        g_string_append(writer->out, writer->pretty ? "," : ", ");
    if (writer->pretty && writer->depth > 0)
        break_line(writer);
    writer->comma = true;
}

static void begin(JsonWriter *writer, char bracket)
{
    separate(writer);
    g_string_append_c(writer->out, bracket);
    writer->depth++;
    writer->comma = false;
}

static void end(JsonWriter *writer, char bracket)
{
    writer->depth--;
    if (writer->pretty && writer->comma)
        break_line(writer);
    g_string_append_c(writer->out, bracket);
    writer->comma = true;
}

void json_writer_begin_object(JsonWriter *writer)
{
    begin(writer, '{');
}

void json_writer_end_object(JsonWriter *writer)
{
    end(writer, '}');
}

void json_writer_begin_array(JsonWriter *writer)
{
    begin(writer, '[');
}

void json_writer_end_array(JsonWriter *writer)
{
    end(writer, ']');
}

static void write_escaped(GString *out, gunichar c)
{
    static const char plain[] = "\b\f\n\r\t\"\\";
    static const char letters[] = "bfnrt\"\\";
    const char *special = c && c < 0x80 ? strchr(plain, (int)c) : NULL;

    if (special) {
        g_string_append_c(out, '\\');
        g_string_append_c(out, letters[special - plain]);
    } else if (c >= 0x20 && c < 0x7f) {
        g_string_append_c(out, (char)c);
    } else if (c < 0x10000) {
        g_string_append_printf(out, "\\u%04X", c);
    } else {
        c -= 0x10000;
        g_string_append_printf(out, "\\u%04X\\u%04X", 0xd800 + (c >> 10),
                               0xdc00 + (c & 0x3ff));
    }
}

/* How many characters at @text stand for themselves. */
static size_t plain_length(const char *text)
{
    size_t n = 0;

    while (text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

static void write_text(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    while (*text) {
        size_t n = plain_length(text);
        gunichar c;

        g_string_append_len(out, text, (gssize)n);
        text += n;
        if (!*text)
            break;
        c = g_utf8_get_char_validated(text, -1);
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            write_escaped(out, REPLACEMENT);
            text++;
        } else {
            write_escaped(out, c);
            text = g_utf8_next_char(text);
        }
    }
    g_string_append_c(out, '"');
}

void json_writer_key(JsonWriter *writer, const char *key)
{
    separate(writer);
    write_text(writer->out, key);
    g_string_append(writer->out, ": ");
    writer->after_key = true;
}

void json_writer_null(JsonWriter *writer)
{
    separate(writer);
    g_string_append(writer->out, "null");
}

void json_writer_bool(JsonWriter *writer, bool value)
{
    separate(writer);
    g_string_append(writer->out, value ? "true" : "false");
}

void json_writer_int(JsonWriter *writer, int64_t value)
{
    separate(writer);
    if (value < 0)
        g_string_append_c(writer->out, '-');
    decimal_append(writer->out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_writer_uint(JsonWriter *writer, uint64_t value)
{
    separate(writer);
    decimal_append(writer->out, value);
}

void json_writer_double(JsonWriter *writer, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    separate(writer);
    g_assert(isfinite(value));
    /* "-0" would be read back as an integer, which has one zero. */
    g_string_append(writer->out, value == 0 && signbit(value)
                                     ? "-0.0"
                                     : g_ascii_dtostr(text, sizeof(text), value));
}

void json_writer_string(JsonWriter *writer, const char *text)
{
    separate(writer);
    write_text(writer->out, text);
}

static void write_members(JsonWriter *writer, const JsonValue *object)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *member;

    json_writer_begin_object(writer);
    while (json_next(object, &iter, &key, &member)) {
        json_writer_key(writer, key);
        json_writer_value(writer, member);
    }
    json_writer_end_object(writer);
}

static void write_number(JsonWriter *writer, const JsonValue *value)
{
    int64_t number;
    uint64_t positive;

    if (json_as_int(value, &number))
        json_writer_int(writer, number);
    else if (json_as_uint(value, &positive))
        json_writer_uint(writer, positive);
    else
        json_writer_double(writer, json_as_double(value));
}

void json_writer_value(JsonWriter *writer, const JsonValue *value)
{
    switch (json_kind(value)) {
    case JSON_NULL:
        json_writer_null(writer);
        break;
    case JSON_BOOL:
        json_writer_bool(writer, json_as_bool(value));
        break;
    case JSON_INT:
    case JSON_DOUBLE:
        write_number(writer, value);
        break;
    case JSON_STRING:
        json_writer_string(writer, json_as_string(value));
        break;
    case JSON_ARRAY:
        json_writer_begin_array(writer);
        for (size_t i = 0; i < json_length(value); i++)
            json_writer_value(writer, json_at(value, i));
        json_writer_end_array(writer);
        break;
    case JSON_OBJECT:
        write_members(writer, value);
        break;
    }
}
