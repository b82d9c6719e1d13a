/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as the argument of an option: the first byte says of which.  It becomes a
 * value of the option's type that can be written and cloned, or is refused with an
 * error.
 */
#include <string.h>

#include "berth/keyval.h"
#include "berth/qapi-option.h"

#include "fuzz.h"

static void check_value(QapiTypeId type, const JsonValue *json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) written = NULL;
    void *value = qapi_parse(type, json, QAPI_INPUT_TEXT, &error);
    void *clone;

    g_assert_true((value == NULL) == (error != NULL));
    if (!value)
        return;
    clone = qapi_clone(type, value);
    g_assert_true(qapi_equal(type, value, clone));
    written = qapi_emit(type, clone);
    g_assert_nonnull(written);
    qapi_free(type, value);
    qapi_free(type, clone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const CmdlineOption *option;
    g_autofree char *text = NULL;
    g_autoptr(JsonValue) json = NULL;
    g_autoptr(GError) error = NULL;
    bool help;

    if (size < 1)
        return 0;
    option = &cmdline_options[data[0] % cmdline_n_options];
    if (option->arg != CMDLINE_ARG_DATA)
        return 0;
    text = g_strndup((const char *)data + 1, size - 1);
    json = qapi_option_read(option, text, &help, &error);
    g_assert_true((json == NULL) == (error != NULL));
    if (!json)
        return 0;
    check_value(option->type, json);
    keyval_merge(json, json_ref(json));
    check_value(option->type, json);
    return 0;
}
