/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a client's stream, in pieces whose size the first byte says: what is read
 * is the same in every cut, is written as text that reads as the same value, and is
 * parsed as arguments of a command or refused.
 */
#include <string.h>

#include "berth/qapi-tables.h"

#include "fuzz.h"

#define RESULTS_MAX 1024

/* What a stream gave: a value as text, or NULL for an error. */
typedef struct Results {
    size_t n;
    char *texts[RESULTS_MAX];
} Results;

static void add_result(Results *results, const JsonValue *value)
{
    if (results->n < RESULTS_MAX)
        results->texts[results->n++] = value ? json_to_text(value) : NULL;
}

static void read_stream(Results *results, const uint8_t *data, size_t size, size_t piece)
{
    g_autoptr(JsonStream) stream = json_stream_new();
    const char *text = (const char *)data;

    while (size > 0) {
        g_autoptr(JsonValue) value = NULL;
        g_autoptr(GError) error = NULL;
        size_t used;
        JsonStreamResult result = json_stream_feed(stream, text, MIN(piece, size), &used,
                                                   &value, &error);

        g_assert_true((result == JSON_STREAM_VALUE) == (value != NULL));
        g_assert_true((result == JSON_STREAM_ERROR) == (error != NULL));
        if (result != JSON_STREAM_MORE)
            add_result(results, value);
        text += used;
        size -= used;
    }
}

static void check_round_trip(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) value = json_parse_text(text, strlen(text), &error);
    g_autofree char *again = NULL;

    g_assert_no_error(error);
    again = json_to_text(value);
    g_assert_cmpstr(text, ==, again);
}

/* As arguments of the command that @choice says. */
static void parse_arguments(const char *text, uint8_t choice)
{
    QapiTypeId type = qmp_commands[choice % qmp_n_commands].args;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) json = NULL;
    void *args;

    if (!type)
        return;
    args = qapi_parse_json(type, text, &error);
    g_assert_true((args == NULL) == (error != NULL));
    if (!args)
        return;
    json = qapi_emit(type, args);
    g_assert_nonnull(json);
    qapi_free(type, args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Results whole = { 0 }, pieces = { 0 };
    uint8_t choice = size ? data[0] : 0;

    if (size < 1)
        return 0;
    read_stream(&whole, data + 1, size - 1, size);
    read_stream(&pieces, data + 1, size - 1, 1 + choice % 7);

    g_assert_cmpuint(whole.n, ==, pieces.n);
    for (size_t i = 0; i < whole.n; i++) {
        g_assert_cmpstr(whole.texts[i], ==, pieces.texts[i]);
        if (whole.texts[i]) {
            check_round_trip(whole.texts[i]);
            parse_arguments(whole.texts[i], choice);
        }
        g_free(whole.texts[i]);
        g_free(pieces.texts[i]);
    }
    return 0;
}
