/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/error.h"
#include "berth/json.h"

typedef struct TextCase {
    const char *in;
    const char *out;        /* written back, or a part of the error */
} TextCase;

static const TextCase good[] = {
    { "{}", "{}" },
    { " [1, 2 ,3]\n", "[1, 2, 3]" },
    { "'it\\'s \"quoted\"'", "\"it's \\\"quoted\\\"\"" },
    { "{'a': 'b', \"c\": [true, false, null]}",
      "{\"a\": \"b\", \"c\": [true, false, null]}" },
    { "\"\\u00e4\\ud83d\\ude00\\/\\n\"", "\"\\u00E4\\uD83D\\uDE00/\\n\"" },
    { "\"\xc3\xa4\"", "\"\\u00E4\"" },
    { "\"\\ud83d\"", "\"\\uFFFD\"" },
    { "\"\\ud83dx\\ude00\"", "\"\\uFFFDx\\uFFFD\"" },
    { "{'': {'': []}}", "{\"\": {\"\": []}}" },
    { "18446744073709551615", "18446744073709551615" },
    { "-9223372036854775808", "-9223372036854775808" },
    { "1.5e3", "1500" },
    { "-0", "0" },
    { "-0.0", "-0.0" },
    { "null", "null" },
};

static const TextCase bad[] = {
    { "", "ends before the value" },
    { "{\"a\": 1", "ends before the value" },
    { "{} x", "after the value" },
    { "[1,]", "" },
    { "{\"a\": 1,}", "" },
    { "{\"a\" 1}", "" },
    { "{1: 2}", "" },
    { "[}", "" },
    { "[1 2]", "" },
    { "}", "unexpected bracket" },
    { "True", "invalid keyword" },
    { "[NaN]", "invalid keyword" },
    { "[Infinity]", "invalid keyword" },
    { "[01]", "invalid keyword" },
    { "[1.]", "invalid keyword" },
    { "[.5]", "invalid keyword" },
    { "[1e]", "invalid keyword" },
    { "[+1]", "invalid keyword" },
    { "[0x10]", "invalid keyword" },
    { "/* c */ 1", "invalid keyword" },
    { "[1] // c", "after the value" },
    { "18446744073709551616", "out of range" },
    { "-9223372036854775809", "out of range" },
    { "1e999", "out of range" },
    { "{'a': 1, 'a': 2}", "duplicate key" },
    { "[{'b': {'a': 1, 'a': 1}}]", "duplicate key" },
    { "\"\\x41\"", "invalid escape" },
    { "\"\\u12g4\"", "invalid escape" },
    { "\"\\u0000\"", "\\u0000" },
    { "{\"a\\u0000\": 1}", "\\u0000" },
    { "\"\xff\"", "invalid byte" },
    { "\"\x80\"", "invalid UTF-8" },
    { "\"\xc0\x80\"", "invalid UTF-8" },
    { "\"\xed\xa0\x80\"", "invalid UTF-8" },
    { "\"a\nb\"", "invalid byte" },
    { "\x01", "invalid byte" },
};

static void test_good_texts_are_read_and_written(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonValue) value = json_parse_text(good[i].in, strlen(good[i].in),
                                                     &error);
        g_autofree char *text = NULL;

        g_assert_no_error(error);
        text = json_to_text(value);
        g_assert_cmpstr(text, ==, good[i].out);
    }
}

static void test_bad_texts_are_refused(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonValue) value = json_parse_text(bad[i].in, strlen(bad[i].in),
                                                     &error);

        if (value)
            g_error("'%s' was accepted", bad[i].in);
        g_assert_nonnull(error);
        g_assert_true(g_str_has_prefix(error->message, "JSON parse error, "));
        if (!strstr(error->message, bad[i].out))
            g_error("'%s' gave '%s'", bad[i].in, error->message);
    }
}

/* Feeds @text in pieces of @piece bytes; one character for each result, in order. */
static char *results_of(JsonStream *stream, const char *text, size_t size, size_t piece)
{
    GString *results = g_string_new(NULL);

    while (size > 0) {
        size_t part = MIN(piece, size);
        const char *data = text;

        text += part;
        size -= part;
        while (part > 0) {
            g_autoptr(JsonValue) value = NULL;
            size_t used;
            JsonStreamResult result =
                json_stream_feed(stream, data, part, &used, &value, NULL);

            data += used;
            part -= used;
            if (result != JSON_STREAM_MORE)
                g_string_append_c(results, result == JSON_STREAM_VALUE ? 'v' : 'e');
        }
    }
    return g_string_free(results, FALSE);
}

static const TextCase sequences[] = {
    { "{}{}[]", "vvv" },
    { "{'a': {'b': '}'}}\r\n{}\r\n", "vv" },
    { "1 2 3\n", "vvv" },
    { "{'a': foo, 'b': {'c': @}}{}", "ev" },
    { "GET / HTTP/1.1\r\nHost: x\r\n\r\n{}", "eev" },
    { "} {}", "ev" },
    { "{'open': 'text\n{}", "ev" },
    { "{'open': [{\x01{}", "ev" },
    { "{'open': [{\xff{}", "ev" },
    { "{'a': \"\x80\"}{}", "ev" },
    { "[}] {}", "eev" },
    { "{]{}", "ev" },
    { ",\n{}", "ev" },
};

static void test_a_fault_gives_one_error_and_input_goes_on(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(sequences); i++) {
        for (size_t piece = 1; piece < 8; piece++) {
            g_autoptr(JsonStream) stream = json_stream_new();
            g_autofree char *results = results_of(stream, sequences[i].in,
                                                  strlen(sequences[i].in), piece);

            if (strcmp(results, sequences[i].out) != 0)
                g_error("'%s' in pieces of %zu gave %s", sequences[i].in, piece, results);
        }
    }
}

static char *nested(unsigned depth)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < depth; i++)
        g_string_append_c(text, '[');
    for (unsigned i = 0; i < depth; i++)
        g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static void test_nesting_is_limited(void)
{
    g_autoptr(JsonStream) stream = json_stream_new();
    g_autofree char *most = nested(JSON_MAX_DEPTH);
    g_autofree char *too_deep = nested(JSON_MAX_DEPTH + 1);
    g_autofree char *text = g_strconcat(most, too_deep, "{}", NULL);

    g_autofree char *results = results_of(stream, text, strlen(text), 4096);

    g_assert_cmpstr(results, ==, "vev");
}

static void test_number_of_values_is_limited(void)
{
    g_autoptr(JsonStream) stream = json_stream_new();
    GString *text = g_string_new("[0");
    g_autofree char *results = NULL;

    for (unsigned i = 0; i < JSON_MAX_VALUES; i++)
        g_string_append(text, ",0");
    g_string_append(text, "]{}");

    results = results_of(stream, text->str, text->len, 65536);

    g_assert_cmpstr(results, ==, "ev");
    g_string_free(text, TRUE);
}

static void test_size_is_limited(void)
{
    g_autoptr(JsonStream) stream = json_stream_new();
    g_autofree char *block = g_malloc(MIB);
    g_autoptr(JsonValue) value = NULL;
    g_autoptr(GError) error = NULL;
    size_t used;

    memset(block, 'a', MIB);
    json_stream_feed(stream, "{'a': '", 7, &used, &value, &error);
    for (unsigned i = 0; i < 63; i++)
        g_assert_cmpint(json_stream_feed(stream, block, MIB, &used, &value, &error), ==,
                        JSON_STREAM_MORE);

    g_assert_cmpint(json_stream_feed(stream, block, MIB, &used, &value, &error), ==,
                    JSON_STREAM_ERROR);
    g_assert_cmpstr(error->message, ==, "JSON parse error, value is too large");
    g_assert_cmpint(json_stream_feed(stream, block, MIB, &used, &value, NULL), ==,
                    JSON_STREAM_MORE);
    g_assert_cmpint(json_stream_feed(stream, "'}", 2, &used, &value, NULL), ==,
                    JSON_STREAM_MORE);
    g_assert_cmpint(json_stream_feed(stream, "{}", 2, &used, &value, NULL), ==,
                    JSON_STREAM_VALUE);
}

/* Found by a client that sent opening brackets only, and waited for an answer. */
static void test_nesting_fault_is_told_before_the_value_ends(void)
{
    g_autoptr(JsonStream) stream = json_stream_new();
    g_autofree char *brackets = g_strnfill(JSON_MAX_DEPTH + 1, '[');
    g_autoptr(JsonValue) value = NULL;
    g_autoptr(GError) error = NULL;
    size_t used;

    g_assert_cmpint(json_stream_feed(stream, brackets, JSON_MAX_DEPTH + 1, &used, &value,
                                     &error), ==, JSON_STREAM_ERROR);

    g_assert_cmpstr(error->message, ==, "JSON parse error, nested too deep");
    g_assert_cmpint(json_stream_feed(stream, "]]\n", 3, &used, &value, NULL), ==,
                    JSON_STREAM_MORE);
}

static void test_numbers_keep_their_range(void)
{
    g_autoptr(JsonValue) big = json_new_uint(UINT64_MAX);
    g_autoptr(JsonValue) negative = json_new_int(-1);
    g_autoptr(JsonValue) fraction = json_new_double(1.5);
    uint64_t u = 0;
    int64_t i = 0;

    g_assert_true(json_as_uint(big, &u));
    g_assert_cmpuint(u, ==, UINT64_MAX);
    g_assert_false(json_as_int(big, &i));
    g_assert_true(json_as_int(negative, &i));
    g_assert_cmpint(i, ==, -1);
    g_assert_false(json_as_uint(negative, &u));
    g_assert_false(json_as_int(fraction, &i));
    g_assert_cmpfloat(json_as_double(fraction), ==, 1.5);
    g_assert_cmpfloat(json_as_double(negative), ==, -1);
}

static void test_null_is_a_value(void)
{
    g_autoptr(JsonValue) object = json_new_object();

    json_set(object, "a", json_new_null());

    g_assert_nonnull(json_member(object, "a"));
    g_assert_cmpint(json_kind(json_member(object, "a")), ==, JSON_NULL);
    g_assert_null(json_member(object, "b"));
}

static void test_members_are_walked_in_order(void)
{
    g_autoptr(JsonValue) object = json_parse_text("{'z': 1, 'a': 2}", 16, NULL);
    JsonIter iter = { 0 };
    GString *keys = g_string_new(NULL);
    const char *key;
    JsonValue *value;

    while (json_next(object, &iter, &key, &value))
        g_string_append(keys, key);

    g_assert_cmpstr(keys->str, ==, "za");
    g_string_free(keys, TRUE);
}

static void test_pretty_text_has_a_line_for_each_member(void)
{
    g_autoptr(JsonValue) value = json_parse_text("{'a': [1, {}], 'b': {'c': []}}", 30,
                                                 NULL);
    GString *text = g_string_new(NULL);
    JsonWriter writer;

    json_writer_init(&writer, text, true);
    json_writer_value(&writer, value);

    g_assert_cmpstr(text->str, ==,
                    "{\n    \"a\": [\n        1,\n        {}\n    ],\n"
                    "    \"b\": {\n        \"c\": []\n    }\n}");
    g_string_free(text, TRUE);
}

static void test_broken_utf8_is_written_as_replacement(void)
{
    g_autoptr(JsonValue) value = json_new_string("a\xff\xc3");
    g_autofree char *text = json_to_text(value);

    g_assert_cmpstr(text, ==, "\"a\\uFFFD\\uFFFD\"");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/good-texts", test_good_texts_are_read_and_written);
    g_test_add_func("/json/bad-texts", test_bad_texts_are_refused);
    g_test_add_func("/json/one-error-a-fault",
                    test_a_fault_gives_one_error_and_input_goes_on);
    g_test_add_func("/json/nesting-limit", test_nesting_is_limited);
    g_test_add_func("/json/values-limit", test_number_of_values_is_limited);
    g_test_add_func("/json/size-limit", test_size_is_limited);
    g_test_add_func("/json/nesting-fault-is-told-before-the-value-ends",
                    test_nesting_fault_is_told_before_the_value_ends);
    g_test_add_func("/json/number-range", test_numbers_keep_their_range);
    g_test_add_func("/json/null", test_null_is_a_value);
    g_test_add_func("/json/order", test_members_are_walked_in_order);
    g_test_add_func("/json/pretty", test_pretty_text_has_a_line_for_each_member);
    g_test_add_func("/json/not-utf8", test_broken_utf8_is_written_as_replacement);
    return g_test_run();
}
