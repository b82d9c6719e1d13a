/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of character devices, their users, and their lives.
 *
 * A user may close a chardev in a callback of that chardev.  So whatever may call the
 * user stands between char_enter() and char_leave(), and the memory goes at the last
 * leave.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "berth/error.h"
#include "berth/id.h"

#include "char-private.h"

#define DEFAULT_ESCAPE 0x01     /* Ctrl-A */

static const CharClass *const classes[CHARDEV_BACKEND_KIND__MAX] = {
    [CHARDEV_BACKEND_KIND_NULL] = &char_null_class,
    [CHARDEV_BACKEND_KIND_FILE] = &char_file_class,
    [CHARDEV_BACKEND_KIND_STDIO] = &char_stdio_class,
    [CHARDEV_BACKEND_KIND_PTY] = &char_pty_class,
    [CHARDEV_BACKEND_KIND_SOCKET] = &char_socket_class,
    [CHARDEV_BACKEND_KIND_MUX] = &char_mux_class,
};

static int open_plain(void *opaque, const char *path, int flags, GError **error)
{
    int fd = open(path, flags | O_CLOEXEC, 0666);

    if (fd < 0)
        error_set_errno(error, errno, "cannot open '%s'", path);
    return fd;
}

static int refuse_name(void *opaque, const char *name, GError **error)
{
    error_set(error, "parameter 'fd' expects a number, not '%s'", name);
    return -1;
}

CharSet *char_set_new(Loop *loop)
{
    CharSet *set = g_new0(CharSet, 1);

    assert_main();
    signal(SIGPIPE, SIG_IGN);
    set->loop = loop;
    set->stop_fd = -1;
    set->open = open_plain;
    set->named_fd = refuse_name;
    set->escape = DEFAULT_ESCAPE;
    list_init(&set->chardevs);
    return set;
}

static bool is_used(const Chardev *chr)
{
    return chr->user || char_is_listener(chr) ||
           (chr->class->is_used && chr->class->is_used(chr));
}

void char_set_free(CharSet *set)
{
    if (!set)
        return;
    /* The youngest first: a mux before what is below it. */
    while (!list_is_empty(&set->chardevs)) {
        Chardev *chr = CONTAINER_OF(set->chardevs.prev, Chardev, node);

        g_assert(!is_used(chr));
        char_free(chr);
    }
    g_free(set);
}

void char_set_open_hook(CharSet *set, CharOpenFn *fn, void *opaque)
{
    set->open = fn;
    set->open_opaque = opaque;
}

void char_set_named_fd_hook(CharSet *set, CharNamedFdFn *fn, void *opaque)
{
    set->named_fd = fn;
    set->named_fd_opaque = opaque;
}

int char_open_file(CharSet *set, const char *path, int flags, GError **error)
{
    return set->open(set->open_opaque, path, flags, error);
}

void char_set_mux_hook(CharSet *set, CharMuxFn *fn, void *opaque)
{
    set->mux = fn;
    set->mux_opaque = opaque;
}

void char_set_monitor_hook(CharSet *set, CharMonitorFn *fn, void *opaque)
{
    set->monitor = fn;
    set->monitor_opaque = opaque;
}

bool char_set_has_monitors(const CharSet *set)
{
    return set->monitor != NULL;
}

void char_set_escape(CharSet *set, uint8_t escape)
{
    set->escape = escape;
}

void char_set_stop_fd(CharSet *set, int fd)
{
    set->stop_fd = fd;
}

void char_set_continued(CharSet *set)
{
    LIST_FOREACH(node, &set->chardevs) {
        Chardev *chr = CONTAINER_OF(node, Chardev, node);

        if (chr->class->continued)
            chr->class->continued(chr);
    }
}

void char_set_flush(CharSet *set, int64_t deadline_ns)
{
    LIST_FOREACH(node, &set->chardevs)
        char_flush(CONTAINER_OF(node, Chardev, node), deadline_ns);
}

Chardev *char_new(CharSet *set, const CharClass *class, const char *id)
{
    Chardev *chr = g_malloc0(class->instance_size);

    chr->class = class;
    chr->set = set;
    chr->loop = set->loop;
    chr->id = g_strdup(id);
    list_init(&chr->node);
    char_stream_init(chr);
    return chr;
}

static void release(Chardev *chr)
{
    for (unsigned i = 0; i < chr->n_fds; i++)
        close(chr->fds[i]);
    loop_message_cancel(chr->loop, &chr->update);
    base_close_fd(&chr->log_fd);
    g_mutex_clear(&chr->lock);
    g_free(chr->id);
    g_free(chr);
}

void char_free(Chardev *chr)
{
    list_remove(&chr->node);
    chr->user = NULL;
    chr->class->close(chr);
    if (chr->n_calls > 0)
        chr->free_later = true;
    else
        release(chr);
}

void char_enter(Chardev *chr)
{
    chr->n_calls++;
}

void char_leave(Chardev *chr)
{
    chr->n_calls--;
    if (chr->n_calls == 0 && chr->free_later)
        release(chr);
}

void char_send_event(Chardev *chr, CharEvent event)
{
    if (chr->user && chr->user->event)
        chr->user->event(chr->opaque, event);
}

Chardev *char_add(CharSet *set, const char *id, const ChardevBackend *backend,
                  GError **error)
{
    Chardev *chr;

    assert_loop(set->loop);
    if (!id_check(id, "id", error))
        return NULL;
    if (char_find(set, id)) {
        error_set(error, "there is a character device '%s' already", id);
        return NULL;
    }
    chr = char_new(set, classes[backend->backend], id);
    /* The members of ChardevCommon come first in every branch. */
    if (!char_log_open(chr, &backend->u.null, error)) {
        release(chr);
        return NULL;
    }
    if (!chr->class->open(chr, backend, error)) {
        char_free(chr);
        return NULL;
    }
    list_append(&set->chardevs, &chr->node);
    return chr;
}

Chardev *char_add_muxed(CharSet *set, const char *id, const ChardevBackend *backend,
                        GError **error)
{
    g_autofree char *base = g_strconcat(id, "-base", NULL);
    ChardevBackend mux = {
        .backend = CHARDEV_BACKEND_KIND_MUX,
        .u.mux.chardev = base,
    };
    Chardev *chr;

    if (!char_add(set, base, backend, error))
        return NULL;
    chr = char_add(set, id, &mux, error);
    if (!chr)
        char_remove(set, base, NULL);
    return chr;
}

bool char_remove(CharSet *set, const char *id, GError **error)
{
    Chardev *chr = char_find(set, id);

    assert_loop(set->loop);
    if (!chr) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND,
                        "there is no character device '%s'", id);
        return false;
    }
    if (is_used(chr)) {
        error_set(error, "character device '%s' is in use", id);
        return false;
    }
    char_free(chr);
    return true;
}

Chardev *char_find(CharSet *set, const char *id)
{
    LIST_FOREACH(node, &set->chardevs) {
        Chardev *chr = CONTAINER_OF(node, Chardev, node);

        if (strcmp(chr->id, id) == 0)
            return chr;
    }
    return NULL;
}

ChardevInfoList *char_set_query(CharSet *set)
{
    ChardevInfoList *list = ChardevInfoList_new();

    LIST_FOREACH(node, &set->chardevs) {
        Chardev *chr = CONTAINER_OF(node, Chardev, node);
        ChardevInfo *info = g_new0(ChardevInfo, 1);

        info->label = g_strdup(chr->id);
        info->filename = chr->class->filename ? chr->class->filename(chr)
                                              : g_strdup(chr->class->name);
        info->frontend_open = chr->class->frontend_open ? chr->class->frontend_open(chr)
                                                        : chr->frontend_open;
        ChardevInfoList_append(list, info);
    }
    return list;
}

static bool take(Chardev *chr, GError **error)
{
    assert_loop(chr->loop);
    if (is_used(chr)) {
        error_set(error, "character device '%s' is in use", chr->id);
        return false;
    }
    return true;
}

Chardev *char_attach(Chardev *chr, const CharUser *user, void *opaque, GError **error)
{
    if (chr->class->new_front)
        chr = chr->class->new_front(chr, error);
    else if (!take(chr, error))
        chr = NULL;
    if (!chr)
        return NULL;
    chr->user = user;
    chr->opaque = opaque;
    chr->frontend_open = true;
    chr->paused = false;
    char_stream_update(chr);
    return chr;
}

Chardev *char_attach_named(CharSet *set, const char *id, const CharUser *user,
                           void *opaque, GError **error)
{
    Chardev *chr = char_find(set, id);

    if (!chr) {
        error_set(error, "parameter 'chardev': character device '%s' not found", id);
        return NULL;
    }
    chr = char_attach(chr, user, opaque, error);
    if (!chr)
        g_prefix_error(error, "parameter 'chardev': ");
    return chr;
}

void char_detach(Chardev *chr)
{
    assert_loop(chr->loop);
    chr->user = NULL;
    chr->opaque = NULL;
    chr->frontend_open = false;
    if (chr->below)
        char_free(chr);
    else
        char_stream_update(chr);
}

void char_set_frontend_open(Chardev *chr, bool open)
{
    chr->frontend_open = open;
}

bool char_is_open(const Chardev *chr)
{
    /* Written on main only. */
    return chr->open;
}

bool char_has_focus(const Chardev *chr)
{
    return !chr->class->has_focus || chr->class->has_focus(chr);
}

void char_send_break(Chardev *chr)
{
    assert_loop(chr->loop);
    if (chr->class->send_break)
        chr->class->send_break(chr);
    else
        char_send_event(chr, CHAR_EVENT_BREAK);
}

const char *char_id(const Chardev *chr)
{
    return chr->id;
}

Loop *char_loop(const Chardev *chr)
{
    return chr->loop;
}

bool char_can_listen(const Chardev *chr)
{
    return chr->class->can_listen && chr->class->can_listen(chr);
}

bool char_listen(Chardev *chr, CharAcceptFn *accept, void *opaque, GError **error)
{
    g_assert(char_can_listen(chr));
    if (!take(chr, error))
        return false;
    chr->class->listen(chr, accept, opaque);
    chr->frontend_open = true;
    return true;
}

bool char_is_listener(const Chardev *chr)
{
    return chr->class->is_listener && chr->class->is_listener(chr);
}

void char_unlisten(Chardev *chr)
{
    assert_loop(chr->loop);
    chr->class->listen(chr, NULL, NULL);
    chr->frontend_open = false;
}

void char_close(Chardev *client)
{
    assert_loop(client->loop);
    char_free(client);
}

int char_take_fd(Chardev *chr)
{
    int fd;

    assert_loop(chr->loop);
    if (chr->below)
        return char_has_focus(chr) ? char_take_fd(chr->below) : -1;
    if (chr->n_fds == 0)
        return -1;
    fd = chr->fds[0];
    chr->n_fds--;
    memmove(chr->fds, chr->fds + 1, chr->n_fds * sizeof(chr->fds[0]));
    return fd;
}
