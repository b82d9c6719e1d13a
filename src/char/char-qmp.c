/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about character devices.
 */
#include <string.h>

#include "berth/char-set.h"
#include "berth/cipher.h"
#include "berth/error.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

ChardevInfoList *qmp_query_chardev(QmpContext *ctx, GError **error)
{
    return char_set_query(ctx->chars);
}

ChardevBackendInfoList *qmp_query_chardev_backends(QmpContext *ctx, GError **error)
{
    ChardevBackendInfoList *list = ChardevBackendInfoList_new();

    for (int kind = 0; kind < CHARDEV_BACKEND_KIND__MAX; kind++) {
        ChardevBackendInfo *info = g_new0(ChardevBackendInfo, 1);

        info->name = g_strdup(ChardevBackendKind_str(kind));
        ChardevBackendInfoList_append(list, info);
    }
    return list;
}

/* The end of chardev-add and chardev-change, whose answers are the same. */
static void on_added(void *opaque, Chardev *chr, GError *error)
{
    ChardevReturn *value;
    g_autofree char *filename = NULL;

    if (error) {
        qmp_reply_fail(opaque, error);
        return;
    }
    value = g_new0(ChardevReturn, 1);
    filename = char_filename(chr);
    if (g_str_has_prefix(filename, "pty:"))
        value->pty = g_strdup(filename + strlen("pty:"));
    qmp_reply_return(opaque, value);
}

static int take_fd(void *opaque, const char *name, GError **error)
{
    return qmp_session_take_fd(opaque, name, error);
}

void qmp_chardev_add(QmpContext *ctx, const ChardevAddArgs *args, QmpReply *reply)
{
    char_set_named_fd_hook(ctx->chars, take_fd, ctx->session);
    char_add_later(ctx->chars, args->id, args->backend, on_added, reply);
    char_set_named_fd_hook(ctx->chars, NULL, NULL);
}

void qmp_chardev_change(QmpContext *ctx, const ChardevChangeArgs *args, QmpReply *reply)
{
    char_set_named_fd_hook(ctx->chars, take_fd, ctx->session);
    char_change_later(ctx->chars, args->id, args->backend, on_added, reply);
    char_set_named_fd_hook(ctx->chars, NULL, NULL);
}

static Chardev *find_ringbuf(QmpContext *ctx, const char *id, GError **error)
{
    Chardev *chr = char_find(ctx->chars, id);

    if (chr && char_is_ringbuf(chr))
        return chr;
    if (chr)
        error_set(error, "character device '%s' is no ringbuf", id);
    else
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND,
                        "character device '%s' not found", id);
    return NULL;
}

bool qmp_ringbuf_write(QmpContext *ctx, const RingbufWriteArgs *args, GError **error)
{
    Chardev *chr = find_ringbuf(ctx, args->device, error);
    size_t size = strlen(args->data);
    g_autofree uint8_t *bytes = NULL;

    if (!chr)
        return false;
    if (args->format == DATA_FORMAT_UTF8) {
        char_write(chr, args->data, size);
        return true;
    }
    bytes = g_malloc((size + 3) / 4 * 3 + 1);
    if (!cipher_base64_decode(args->data, size, bytes, &size)) {
        error_set(error, "parameter 'data' is no base64");
        return false;
    }
    char_write(chr, bytes, size);
    return true;
}

/* The text of JSON has no zero bytes. */
static char *as_utf8(GByteArray *bytes)
{
    GString *text = g_string_new(NULL);
    /* An empty array has no data. */
    const char *at = bytes->len > 0 ? (const char *)bytes->data : "";
    const char *end = at + bytes->len;

    while (at < end) {
        const char *stop;

        g_utf8_validate(at, end - at, &stop);
        g_string_append_len(text, at, stop - at);
        if (stop < end)
            g_string_append(text, "\357\277\275");
        at = stop + (stop < end);
    }
    return g_string_free(text, false);
}

char *qmp_ringbuf_read(QmpContext *ctx, const RingbufReadArgs *args, GError **error)
{
    bool is_utf8 = args->format == DATA_FORMAT_UTF8;
    Chardev *chr = find_ringbuf(ctx, args->device, error);
    g_autoptr(GByteArray) bytes = NULL;

    if (!chr)
        return NULL;
    bytes = char_ringbuf_read(chr, args->size, is_utf8);
    return is_utf8 ? as_utf8(bytes) : g_base64_encode(bytes->data, bytes->len);
}

bool qmp_chardev_remove(QmpContext *ctx, const ChardevRemoveArgs *args, GError **error)
{
    return char_remove(ctx->chars, args->id, error);
}

bool qmp_chardev_send_break(QmpContext *ctx, const ChardevSendBreakArgs *args,
                            GError **error)
{
    Chardev *chr = char_find(ctx->chars, args->id);

    if (!chr) {
        error_set(error, "character device '%s' not found", args->id);
        return false;
    }
    char_send_break(chr);
    return true;
}
