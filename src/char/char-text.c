/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices as QEMU's short texts, "-serial pty", "-qmp
 * unix:PATH,server,nowait": turned into the typed options of the schema.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/qapi.h"

#include "char-private.h"

/* What berth has not, and what to say. */
typedef struct Refusal {
    const char *prefix;
    const char *reason;
} Refusal;

static const Refusal refusals[] = {
    { "vc", "there is no display that would show it" },
    { "tn3270:", "use tcp:" },
    { "websocket:", "use tcp: or unix:" },
    { "udp:", "use tcp: or unix:" },
    { "pipe:", "use unix: or file:" },
    { "ringbuf", "use file:" },
    { "/dev/", "the host's serial and parallel ports cannot be passed through" },
};

/* "nowait" is older than "wait=off". */
static char *modernise(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);

    for (size_t i = 1; words[0] && words[i]; i++) {
        /* An empty word is the second half of a comma that is written twice. */
        if (strcmp(words[i], "nowait") == 0 && *words[i - 1]) {
            g_free(words[i]);
            words[i] = g_strdup("wait=off");
        }
    }
    return g_strjoinv(",", words);
}

static bool parse_socket(ChardevOptions *options, const char *text, GError **error)
{
    g_autofree char *modern = modernise(text);
    ChardevSocketOptions *sock = qapi_parse_keyval(QAPI_TYPE_CHARDEV_SOCKET_OPTIONS,
                                                   modern, "path", error);

    if (!sock)
        return false;
    options->backend = CHARDEV_BACKEND_KIND_SOCKET;
    options->u.socket = *sock;
    g_free(sock);
    return true;
}

/* "HOST:PORT,..." and "[V6]:PORT,..." to "host=HOST,port=PORT,..." and @more. */
static bool parse_tcp(ChardevOptions *options, const char *text, const char *more,
                      GError **error)
{
    const char *end = strchrnul(text, ',');
    const char *colon = memrchr(text, ':', end - text);
    g_autofree char *pairs = NULL;
    const char *host = text;
    int host_size;

    if (!colon || colon + 1 == end) {
        error_set(error, "expected a host and a port, not '%s'", text);
        return false;
    }
    host_size = colon - text;
    if (host_size >= 2 && host[0] == '[' && host[host_size - 1] == ']') {
        host++;
        host_size -= 2;
    }
    pairs = g_strdup_printf("host=%.*s,port=%.*s%s%s", host_size, host,
                            (int)(end - colon - 1), colon + 1, end, more);
    return parse_socket(options, pairs, error);
}

static bool parse_file(ChardevOptions *options, const char *path, GError **error)
{
    if (!*path) {
        error_set(error, "'file:' expects a path");
        return false;
    }
    options->backend = CHARDEV_BACKEND_KIND_FILE;
    options->u.file.path = g_strdup(path);
    return true;
}

static bool refuse(const char *text, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (g_str_has_prefix(text, refusals[i].prefix)) {
            error_set(error, "'%s' is not supported: %s", text, refusals[i].reason);
            return false;
        }
    }
    error_set(error, "unknown character device '%s': expected null, stdio, pty, "
              "file:PATH, unix:PATH, tcp:HOST:PORT or chardev:ID", text);
    return false;
}

static bool parse(ChardevOptions *options, const char *text, GError **error)
{
    if (strcmp(text, "null") == 0) {
        options->backend = CHARDEV_BACKEND_KIND_NULL;
    } else if (strcmp(text, "stdio") == 0) {
        options->backend = CHARDEV_BACKEND_KIND_STDIO;
        options->u.stdio.signal = true;
    } else if (strcmp(text, "pty") == 0) {
        options->backend = CHARDEV_BACKEND_KIND_PTY;
    } else if (g_str_has_prefix(text, "pty:")) {
        options->backend = CHARDEV_BACKEND_KIND_PTY;
        options->u.pty.path = g_strdup(text + strlen("pty:"));
    } else if (g_str_has_prefix(text, "file:")) {
        return parse_file(options, text + strlen("file:"), error);
    } else if (g_str_has_prefix(text, "unix:")) {
        return parse_socket(options, text + strlen("unix:"), error);
    } else if (g_str_has_prefix(text, "tcp:")) {
        return parse_tcp(options, text + strlen("tcp:"), "", error);
    } else if (g_str_has_prefix(text, "telnet:")) {
        return parse_tcp(options, text + strlen("telnet:"), ",telnet=on", error);
    } else {
        return refuse(text, error);
    }
    return true;
}

/* "mon:" and another text: a mux with a monitor. */
static Chardev *add_monitored(CharSet *set, const char *id, const char *text,
                              GError **error)
{
    g_autoptr(ChardevOptions) options = g_new0(ChardevOptions, 1);
    g_autofree char *base = g_strconcat(id, "-base", NULL);
    Chardev *chr;

    if (!set->monitor) {
        error_set(error, "'mon:' is not supported: there is no monitor for people");
        return NULL;
    }
    if (!parse(options, text, error))
        return NULL;
    options->id = g_strdup(id);
    options->mux = true;
    /* Ctrl-C is for the guest: the mux has a key of its own for the end. */
    if (options->backend == CHARDEV_BACKEND_KIND_STDIO)
        options->u.stdio.signal = false;
    chr = char_options_add(set, options, error);
    if (!chr || set->monitor(set->monitor_opaque, chr, error))
        return chr;
    char_remove(set, id, NULL);
    char_remove(set, base, NULL);
    return NULL;
}

Chardev *char_add_from_text(CharSet *set, const char *id, const char *text,
                            GError **error)
{
    g_autoptr(ChardevOptions) options = NULL;
    Chardev *chr;

    if (g_str_has_prefix(text, "mon:"))
        return add_monitored(set, id, text + strlen("mon:"), error);
    if (!g_str_has_prefix(text, "chardev:")) {
        options = g_new0(ChardevOptions, 1);
        options->id = g_strdup(id);
        return parse(options, text, error) ? char_options_add(set, options, error) : NULL;
    }
    chr = char_find(set, text + strlen("chardev:"));
    if (!chr)
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND,
                        "there is no character device '%s'", text + strlen("chardev:"));
    return chr;
}
