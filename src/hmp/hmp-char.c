/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices.
 */
#include "berth/char-set.h"
#include "berth/error.h"
#include "berth/keyval.h"

#include "qmp-commands.h"

#include "hmp-call.h"

void hmp_info_chardev(HmpCall *call, const ChardevInfoList *value)
{
    for (size_t i = 0; i < value->n; i++)
        hmp_printf(call, "%s: filename=%s\n", value->items[i]->label,
                   value->items[i]->filename);
}

/* What "kind,id=ID,key=value" says; @id is for a text that has none, or NULL. */
static ChardevOptions *read_options(const char *text, const char *id, GError **error)
{
    g_autoptr(JsonValue) pairs = keyval_parse(text, "backend", NULL, error);
    g_autoptr(JsonValue) modern = pairs ? char_options_modernise(pairs) : NULL;

    if (!modern)
        return NULL;
    if (id && !json_member(modern, "id"))
        json_set(modern, "id", json_new_string(id));
    if (!json_member(modern, "id")) {
        error_set(error, "chardev: no id specified");
        return NULL;
    }
    return qapi_parse(QAPI_TYPE_CHARDEV_OPTIONS, modern, QAPI_INPUT_TEXT, error);
}

/* The options and the backend that they mean; false with @error, also of a mux. */
static bool read_backend(const char *text, const char *id, ChardevOptions **ret_options,
                         ChardevBackend **ret_backend, GError **error)
{
    g_autoptr(ChardevOptions) options = read_options(text, id, error);

    if (!options)
        return false;
    if (options->mux) {
        error_set(error, "parameter 'mux': add a character device, then one of kind mux "
                  "with chardev=ID");
        return false;
    }
    *ret_backend = char_options_backend(options, error);
    if (!*ret_backend)
        return false;
    *ret_options = g_steal_pointer(&options);
    return true;
}

void hmp_chardev_add(HmpCall *call)
{
    g_autoptr(ChardevOptions) options = NULL;
    g_autoptr(ChardevBackend) backend = NULL;
    GError *error = NULL;
    ChardevAddArgs args;

    if (!read_backend(hmp_text(call, "options"), NULL, &options, &backend, &error)) {
        hmp_fail(call, error);
        return;
    }
    args = (ChardevAddArgs) { .id = options->id, .backend = backend };
    hmp_call_qmp(call, QMP_COMMAND_CHARDEV_ADD, &args);
}

void hmp_chardev_change(HmpCall *call)
{
    g_autofree char *id = g_strdup(hmp_text(call, "id"));
    g_autoptr(ChardevOptions) options = NULL;
    g_autoptr(ChardevBackend) backend = NULL;
    GError *error = NULL;
    ChardevChangeArgs args;

    if (!read_backend(hmp_text(call, "options"), id, &options, &backend, &error)) {
        hmp_fail(call, error);
        return;
    }
    args = (ChardevChangeArgs) { .id = id, .backend = backend };
    hmp_call_qmp(call, QMP_COMMAND_CHARDEV_CHANGE, &args);
}

/* Bytes that a terminal would act on are shown as what they are. */
void hmp_ringbuf_read(HmpCall *call, const char *value)
{
    for (const char *at = value; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (c == '\\')
            hmp_printf(call, "\\\\");
        else if ((c < ' ' && c != '\n') || c == 0x7f)
            hmp_printf(call, "\\u%04X", c);
        else
            g_string_append_c(call->out, *at);
    }
    hmp_printf(call, "\n");
}
