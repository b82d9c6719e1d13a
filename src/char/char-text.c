/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices as QEMU's short texts, "-serial pty", "-qmp
 * unix:PATH,server,nowait": turned into the typed options of the schema.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/qapi.h"

#include "char-private.h"

static bool parse_socket(ChardevOptions *options, const char *text, GError **error)
{
    g_autoptr(JsonValue) pairs = keyval_parse(text, "path", NULL, error);
    g_autoptr(JsonValue) modern = pairs ? char_options_modernise(pairs) : NULL;
    ChardevSocketOptions *sock = NULL;

    if (modern)
        sock = qapi_parse(QAPI_TYPE_CHARDEV_SOCKET_OPTIONS, modern, QAPI_INPUT_TEXT,
                          error);
    if (!sock)
        return false;
    options->backend = CHARDEV_BACKEND_KIND_SOCKET;
    options->u.socket = *sock;
    g_free(sock);
    return true;
}

/*
 * Takes "HOST:PORT" off the beginning of @text, up to one of @ends; a HOST with colons
 * stands in brackets, and may be empty.  Returns what follows; NULL when it is none.
 */
static const char *take_host(const char *text, const char *ends, char **ret_host,
                             char **ret_port)
{
    const char *end = text + strcspn(text, ends);
    const char *colon = memrchr(text, ':', end - text);
    const char *host = text;
    size_t size;

    if (!colon || colon + 1 == end)
        return NULL;
    size = colon - text;
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    *ret_host = g_strndup(host, size);
    *ret_port = g_strndup(colon + 1, end - colon - 1);
    return end;
}

/* "HOST:PORT,..." to "host=HOST,port=PORT,..." and @more. */
static bool parse_inet(ChardevOptions *options, const char *text, const char *more,
                       GError **error)
{
    g_autofree char *host = NULL, *port = NULL, *pairs = NULL;
    const char *rest = take_host(text, ",", &host, &port);

    if (!rest) {
        error_set(error, "expected a host and a port, not '%s'", text);
        return false;
    }
    pairs = g_strdup_printf("host=%s,port=%s%s%s", host, port, rest, more);
    return parse_socket(options, pairs, error);
}

static bool parse_tcp(ChardevOptions *options, const char *text, GError **error)
{
    return parse_inet(options, text, "", error);
}

static bool parse_telnet(ChardevOptions *options, const char *text, GError **error)
{
    return parse_inet(options, text, ",telnet=on", error);
}

static bool parse_tn3270(ChardevOptions *options, const char *text, GError **error)
{
    return parse_inet(options, text, ",tn3270=on", error);
}

static bool parse_websocket(ChardevOptions *options, const char *text, GError **error)
{
    return parse_inet(options, text, ",websocket=on", error);
}

/* "HOST:PORT@LOCALHOST:LOCALPORT", of which all but PORT may be left out. */
static bool parse_udp(ChardevOptions *options, const char *text, GError **error)
{
    ChardevUdpOptions *udp = &options->u.udp;
    const char *rest;

    options->backend = CHARDEV_BACKEND_KIND_UDP;
    rest = take_host(text, "@,", &udp->host, &udp->port);
    if (rest && *rest == '@')
        rest = take_host(rest + 1, ",", &udp->localaddr, &udp->localport);
    if (rest && !*rest)
        return true;
    error_set(error, "'udp:' expects [HOST]:PORT[@[HOST]:PORT], not '%s'", text);
    return false;
}

static bool parse_file(ChardevOptions *options, const char *path, GError **error)
{
    options->backend = CHARDEV_BACKEND_KIND_FILE;
    options->u.file.path = g_strdup(path);
    return true;
}

static bool parse_pipe(ChardevOptions *options, const char *path, GError **error)
{
    options->backend = CHARDEV_BACKEND_KIND_PIPE;
    options->u.pipe.path = g_strdup(path);
    return true;
}

static bool parse_pty(ChardevOptions *options, const char *path, GError **error)
{
    options->backend = CHARDEV_BACKEND_KIND_PTY;
    options->u.pty.path = g_strdup(path);
    return true;
}

static bool parse_device(ChardevOptions *options, const char *path, GError **error)
{
    options->backend = CHARDEV_BACKEND_KIND_SERIAL;
    options->u.serial.path = g_strconcat("/dev/", path, NULL);
    return true;
}

/* What begins a text, and reads what follows. */
typedef struct TextForm {
    const char *prefix;
    bool (*parse)(ChardevOptions *options, const char *text, GError **error);
} TextForm;

static const TextForm forms[] = {
    { "file:", parse_file },     { "pipe:", parse_pipe },
    { "pty:", parse_pty },       { "unix:", parse_socket },
    { "tcp:", parse_tcp },       { "telnet:", parse_telnet },
    { "tn3270:", parse_tn3270 }, { "websocket:", parse_websocket },
    { "udp:", parse_udp },       { "/dev/", parse_device },
};

/* Names that QEMU has; those of hardware are told of as the kind that they would be. */
static bool refuse(const char *text, GError **error)
{
    g_autofree char *name = g_strndup(text, strcspn(text, ":"));
    const char *kind = name, *reason;

    if (g_str_has_prefix(text, "/dev/parport") || g_str_has_prefix(text, "/dev/ppi"))
        kind = "parallel";
    else if (g_str_has_prefix(text, "COM") || strcmp(name, "con") == 0)
        kind = "console";
    reason = qapi_enum_refusal(QAPI_TYPE_CHARDEV_BACKEND_KIND, kind);
    if (reason)
        error_set(error, "'%s' is not supported: %s", text, reason);
    return reason;
}

static bool parse_name(ChardevOptions *options, const char *text, GError **error)
{
    if (strcmp(text, "null") == 0) {
        options->backend = CHARDEV_BACKEND_KIND_NULL;
    } else if (strcmp(text, "stdio") == 0) {
        options->backend = CHARDEV_BACKEND_KIND_STDIO;
        options->u.stdio.signal = true;
    } else if (strcmp(text, "pty") == 0) {
        options->backend = CHARDEV_BACKEND_KIND_PTY;
    } else {
        error_set(error, "unknown character device '%s': expected null, stdio, "
                  "pty[:PATH], file:PATH, pipe:PATH, unix:PATH, tcp:HOST:PORT, "
                  "telnet:HOST:PORT, udp:HOST:PORT, /dev/TERMINAL or chardev:ID", text);
        return false;
    }
    return true;
}

static bool parse(ChardevOptions *options, const char *text, GError **error)
{
    if (g_str_has_prefix(text, "mon:")) {
        text += strlen("mon:");
        options->mux = true;
    }
    if (refuse(text, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
        const char *rest = text + strlen(forms[i].prefix);

        if (!g_str_has_prefix(text, forms[i].prefix))
            continue;
        if (*rest)
            return forms[i].parse(options, rest, error);
        error_set(error, "'%s' expects a path or an address", text);
        return false;
    }
    return parse_name(options, text, error);
}

ChardevOptions *char_text_parse(const char *id, const char *text, GError **error)
{
    g_autoptr(ChardevOptions) options = g_new0(ChardevOptions, 1);

    options->id = g_strdup(id);
    if (!parse(options, text, error))
        return NULL;
    /* Ctrl-C is for the guest: the mux has a key of its own for the end. */
    if (options->mux && options->backend == CHARDEV_BACKEND_KIND_STDIO)
        options->u.stdio.signal = false;
    return g_steal_pointer(&options);
}

/* A mux with a monitor. */
static Chardev *add_monitored(CharSet *set, const ChardevOptions *options,
                              GError **error)
{
    g_autofree char *base = g_strconcat(options->id, "-base", NULL);
    Chardev *chr;

    if (!set->monitor) {
        error_set(error, "'mon:' is not supported: there is no monitor for people");
        return NULL;
    }
    chr = char_options_add(set, options, error);
    if (!chr || set->monitor(set->monitor_opaque, chr, error))
        return chr;
    char_remove(set, options->id, NULL);
    char_remove(set, base, NULL);
    return NULL;
}

Chardev *char_add_from_text(CharSet *set, const char *id, const char *text,
                            GError **error)
{
    g_autoptr(ChardevOptions) options = NULL;
    Chardev *chr;

    if (!g_str_has_prefix(text, "chardev:")) {
        options = char_text_parse(id, text, error);
        if (!options)
            return NULL;
        return options->mux ? add_monitored(set, options, error)
                            : char_options_add(set, options, error);
    }
    chr = char_find(set, text + strlen("chardev:"));
    if (!chr)
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND,
                        "there is no character device '%s'", text + strlen("chardev:"));
    return chr;
}
