/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to values, in two steps.
 *
 * The scanner here takes byte after byte.  It finds where a value ends, holds the
 * limits, and checks every word (number, true, false, null) and escape.  What it lets
 * pass it collects as text of strict JSON: texts in single quotes get double ones.
 * json-c then makes the tree, checks the grammar, and decodes texts.  So no detail in
 * which json-c is more liberal than the RFC (numbers that saturate, NaN, comments) is
 * in reach of a client.
 *
 *     BETWEEN <-> WORD,  BETWEEN <-> STRING <-> ESCAPE,  ESCAPE -> UNICODE -> STRING
 *
 * A fault is told at once.  The states go on, to find the end of the value, but nothing
 * is collected, and nothing more is told.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "berth/error.h"

#include "json-tree.h"

typedef enum ScanState { BETWEEN, WORD, STRING, ESCAPE, UNICODE } ScanState;

typedef enum Step {
    STEP_ON,            /* byte taken */
    STEP_DONE,          /* byte taken, the value is complete */
    STEP_DONE_BEFORE,   /* byte not taken, the value is complete */
} Step;

struct JsonStream {
    ScanState state;
    char quote;             /* of the current text */
    unsigned depth;
    unsigned max_depth;
    size_t n_values;
    size_t n_colons;
    size_t word_start;      /* in text */
    unsigned hex_digits;
    unsigned hex_value;
    const char *fault;      /* of the current value, NULL for none */
    bool told;              /* the fault was returned; the rest is skipped in silence */
    GString *text;          /* of the current value, NULL before its first byte */
};

JsonStream *json_stream_new(void)
{
    return g_new0(JsonStream, 1);
}

size_t json_stream_held(const JsonStream *stream)
{
    return stream->text ? stream->text->allocated_len : 0;
}

static void reset_text(JsonStream *stream)
{
    if (stream->text)
        g_string_free(stream->text, TRUE);
    stream->text = NULL;
}

static void reset(JsonStream *stream)
{
    reset_text(stream);
    *stream = (JsonStream){ 0 };
}

void json_stream_free(JsonStream *stream)
{
    if (!stream)
        return;
    reset(stream);
    g_free(stream);
}

static void set_fault(JsonStream *stream, const char *fault)
{
    if (stream->fault)
        return;
    reset_text(stream);
    stream->fault = fault;
}

static void collect(JsonStream *stream, char c)
{
    if (stream->fault)
        return;
    if (!stream->text)
        stream->text = g_string_new(NULL);
    if (stream->text->len >= JSON_MAX_SIZE)
        set_fault(stream, "value is too large");
    else
        g_string_append_c(stream->text, c);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_mark(char c)
{
    return c && strchr("{}[]:,\"'", c);
}

static const char *skip_digits(const char *p)
{
    while (g_ascii_isdigit(*p))
        p++;
    return p;
}

/*
 * Whether @word is a number as RFC 8259, section 6, has it; *@ret_whole: without "." and
 * "e".
 */
static bool word_is_number(const char *word, bool *ret_whole)
{
    const char *p = word + (*word == '-');
    const char *digits = p;

    p = skip_digits(p);
    if (p == digits || (*digits == '0' && p != digits + 1))
        return false;
    *ret_whole = !*p;
    if (*p == '.') {
        digits = ++p;
        p = skip_digits(p);
        if (p == digits)
            return false;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        digits = p;
        p = skip_digits(p);
        if (p == digits)
            return false;
    }
    return !*p;
}

static bool number_is_in_range(const char *word, bool whole)
{
    errno = 0;
    if (!whole)
        return isfinite(g_ascii_strtod(word, NULL));
    if (*word == '-')
        g_ascii_strtoll(word, NULL, 10);
    else
        g_ascii_strtoull(word, NULL, 10);
    return errno == 0;
}

static void check_word(JsonStream *stream)
{
    const char *word;
    bool whole;

    if (stream->fault)
        return;
    word = stream->text->str + stream->word_start;
    if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0 || strcmp(word,
                                                                          "null") == 0)
        return;
    if (!word_is_number(word, &whole))
        set_fault(stream, "invalid keyword or number");
    else if (!number_is_in_range(word, whole))
        set_fault(stream, "number is out of range");
}

static void count_value(JsonStream *stream)
{
    if (++stream->n_values > JSON_MAX_VALUES)
        set_fault(stream, "too many values");
}

static void open_bracket(JsonStream *stream, char c)
{
    collect(stream, c);
    count_value(stream);
    stream->depth++;
    stream->max_depth = MAX(stream->max_depth, stream->depth);
    if (stream->depth > JSON_MAX_DEPTH)
        set_fault(stream, "nested too deep");
}

static void open_string(JsonStream *stream, char c)
{
    collect(stream, '"');
    count_value(stream);
    stream->state = STRING;
    stream->quote = c;
}

static void open_word(JsonStream *stream, char c)
{
    stream->word_start = stream->text ? stream->text->len : 0;
    collect(stream, c);
    count_value(stream);
    stream->state = WORD;
}

/* Within brackets. */
static Step scan_inside(JsonStream *stream, char c)
{
    switch (c) {
    case '{':
    case '[':
        open_bracket(stream, c);
        return STEP_ON;
    case '}':
    case ']':
        collect(stream, c);
        return --stream->depth == 0 ? STEP_DONE : STEP_ON;
    case ':':
        stream->n_colons++;
        collect(stream, c);
        return STEP_ON;
    case ',':
        collect(stream, c);
        return STEP_ON;
    case '"':
    case '\'':
        open_string(stream, c);
        return STEP_ON;
    default:
        open_word(stream, c);
        return STEP_ON;
    }
}

/* Outside of brackets; a fault there ends with the line or before the next bracket. */
static Step scan_outside(JsonStream *stream, char c)
{
    if (stream->fault) {
        if (c == '{' || c == '[')
            return STEP_DONE_BEFORE;
        return c == '\n' ? STEP_DONE : STEP_ON;
    }
    if (is_space(c))
        return STEP_ON;
    if (strchr("}]:,", c)) {
        set_fault(stream, "unexpected bracket, colon or comma");
        return STEP_ON;
    }
    return scan_inside(stream, c);
}

static Step scan_between(JsonStream *stream, char c)
{
    if (stream->depth == 0)
        return scan_outside(stream, c);
    return is_space(c) ? STEP_ON : scan_inside(stream, c);
}

static Step scan_word(JsonStream *stream, char c)
{
    if (!is_space(c) && !is_mark(c)) {
        collect(stream, c);
        return STEP_ON;
    }
    check_word(stream);
    collect(stream, ' ');
    stream->state = BETWEEN;
    if (stream->depth == 0 && !stream->fault)
        return STEP_DONE_BEFORE;
    return scan_between(stream, c);
}

static Step scan_string(JsonStream *stream, char c)
{
    if (c == '\\') {
        stream->state = ESCAPE;
        return STEP_ON;
    }
    if (c != stream->quote) {
        if (c == '"')
            collect(stream, '\\');
        collect(stream, c);
        return STEP_ON;
    }
    collect(stream, '"');
    stream->state = BETWEEN;
    return stream->depth == 0 ? STEP_DONE : STEP_ON;
}

static void scan_escape(JsonStream *stream, char c)
{
    stream->state = c == 'u' ? UNICODE : STRING;
    stream->hex_digits = 0;
    stream->hex_value = 0;
    if (c == '\'') {
        collect(stream, c);
    } else if (strchr("\"\\/bfnrtu", c)) {
        collect(stream, '\\');
        collect(stream, c);
    } else {
        set_fault(stream, "invalid escape sequence");
    }
}

static void scan_unicode(JsonStream *stream, char c)
{
    collect(stream, c);
    if (!g_ascii_isxdigit(c))
        set_fault(stream, "invalid escape sequence");
    else
        stream->hex_value = stream->hex_value * 16 + (unsigned)g_ascii_xdigit_value(c);
    if (++stream->hex_digits < 4)
        return;
    stream->state = STRING;
    if (stream->hex_value == 0)
        set_fault(stream, "\\u0000 is not supported");
}

/*
 * Whether @c is in no JSON text: the way for a client to get out of an unfinished value.
 */
static bool ends_value(const JsonStream *stream, char c)
{
    if ((unsigned char)c == 0xff)
        return true;
    if ((unsigned char)c >= 0x20)
        return false;
    return !is_space(c) || stream->state >= STRING;
}

static Step scan(JsonStream *stream, char c)
{
    if (ends_value(stream, c)) {
        set_fault(stream, "invalid byte");
        return STEP_DONE;
    }
    switch (stream->state) {
    case BETWEEN:
        return scan_between(stream, c);
    case WORD:
        return scan_word(stream, c);
    case STRING:
        return scan_string(stream, c);
    case ESCAPE:
        scan_escape(stream, c);
        return STEP_ON;
    case UNICODE:
        scan_unicode(stream, c);
        return STEP_ON;
    }
    g_assert_not_reached();
}

/* The text of the value as a tree, or NULL with the fault set. */
static JsonValue *build(JsonStream *stream)
{
    const char *fault;
    JsonValue *value = json_tree_build(stream->text->str, stream->text->len,
                                       stream->max_depth, stream->n_colons, &fault);

    if (!value)
        set_fault(stream, fault);
    return value;
}

static JsonStreamResult finish(JsonStream *stream, JsonValue **ret_value, GError **error)
{
    g_autoptr(JsonValue) value = stream->fault ? NULL : build(stream);
    JsonStreamResult result = JSON_STREAM_VALUE;

    if (stream->fault) {
        error_set(error, "JSON parse error, %s", stream->fault);
        result = JSON_STREAM_ERROR;
    } else {
        *ret_value = g_steal_pointer(&value);
    }
    reset(stream);
    return result;
}

static JsonStreamResult tell_fault(JsonStream *stream, GError **error)
{
    error_set(error, "JSON parse error, %s", stream->fault);
    stream->told = true;
    return JSON_STREAM_ERROR;
}

JsonStreamResult json_stream_feed(JsonStream *stream, const char *data, size_t size,
                                  size_t *ret_used, JsonValue **ret_value, GError **error)
{
    size_t i = 0;

    while (i < size) {
        Step step = scan(stream, data[i]);
        bool ended = step != STEP_ON;

        i += step != STEP_DONE_BEFORE;
        if (!ended && (!stream->fault || stream->told))
            continue;
        if (stream->told) {
            reset(stream);
            continue;
        }
        *ret_used = i;
        return ended ? finish(stream, ret_value, error) : tell_fault(stream, error);
    }
    *ret_used = size;
    return JSON_STREAM_MORE;
}
