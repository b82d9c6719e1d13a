/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a chardev comes to be, at once or later, or in place of another.
 *
 *     open() --> there                        it took no time, or could wait for it
 *         |----> opening --> there            char_add_later(): the loop finishes it
 *         '----> an error <-----'             it is freed, and whoever asked is told
 *
 * One that replaces another is opened first; then the user moves, and the old one goes.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/id.h"

#include "char-private.h"

static const CharClass *const classes[CHARDEV_BACKEND_KIND__MAX] = {
    [CHARDEV_BACKEND_KIND_NULL] = &char_null_class,
    [CHARDEV_BACKEND_KIND_FILE] = &char_file_class,
    [CHARDEV_BACKEND_KIND_STDIO] = &char_stdio_class,
    [CHARDEV_BACKEND_KIND_PTY] = &char_pty_class,
    [CHARDEV_BACKEND_KIND_SOCKET] = &char_socket_class,
    [CHARDEV_BACKEND_KIND_PIPE] = &char_pipe_class,
    [CHARDEV_BACKEND_KIND_UDP] = &char_udp_class,
    [CHARDEV_BACKEND_KIND_SERIAL] = &char_serial_class,
    [CHARDEV_BACKEND_KIND_RINGBUF] = &char_ringbuf_class,
    [CHARDEV_BACKEND_KIND_MEMORY] = &char_ringbuf_class,
    [CHARDEV_BACKEND_KIND_HUB] = &char_hub_class,
    [CHARDEV_BACKEND_KIND_MUX] = &char_mux_class,
};

Chardev *char_find_opening(CharSet *set, const char *id)
{
    LIST_FOREACH(node, &set->opening) {
        Chardev *chr = CONTAINER_OF(node, Chardev, node);

        if (strcmp(chr->id, id) == 0)
            return chr;
    }
    return NULL;
}

static bool check_new_id(CharSet *set, const char *id, GError **error)
{
    if (!id_check(id, "id", error))
        return false;
    if (!char_find(set, id) && !char_find_opening(set, id))
        return true;
    error_set(error, "there is a character device '%s' already", id);
    return false;
}

/* The members of ChardevCommon come first in the options of every kind. */
static bool open_chardev(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    if (!char_log_open(chr, backend->u.null.data, error)) {
        char_release(chr);
        return false;
    }
    if (!chr->class->open(chr, backend, error)) {
        char_free(chr);
        return false;
    }
    return true;
}

Chardev *char_add(CharSet *set, const char *id, const ChardevBackend *backend,
                  GError **error)
{
    Chardev *chr;

    assert_loop(set->loop);
    if (!check_new_id(set, id, error))
        return NULL;
    chr = char_new(set, classes[backend->type], id);
    if (!open_chardev(chr, backend, error))
        return NULL;
    list_append(&set->chardevs, &chr->node);
    return chr;
}

bool char_may_wait(const Chardev *chr)
{
    return !chr->added;
}

static bool check_change(const Chardev *chr, const char *id, GError **error)
{
    if (!chr)
        error_set(error, "character device '%s' does not exist", id);
    else if (chr->class->new_front)
        error_set(error, "character device '%s' is a mux, which cannot be changed", id);
    else if (char_is_listener(chr) || (chr->user && !chr->user->moved))
        error_set(error, "the user of character device '%s' does not let it be changed",
                  id);
    else
        return true;
    return false;
}

/* The user goes from @old to @chr, and sees one far end go and the other come. */
static void move_user(Chardev *old, Chardev *chr)
{
    const CharUser *user = old->user;
    void *opaque = old->opaque;
    bool frontend_open = old->frontend_open;

    if (old->open)
        char_send_event(old, CHAR_EVENT_CLOSED);
    if (!old->user)
        return;
    char_detach(old);
    /* A mux gives a front-end; a new one has room for it. */
    chr = char_attach(chr, user, opaque, NULL);
    chr->frontend_open = frontend_open;
    user->moved(opaque, chr);
    if (chr->open)
        char_send_event(chr, CHAR_EVENT_OPENED);
    if (chr->user && user->writable)
        user->writable(opaque);
}

static bool replace(Chardev *chr, GError **error)
{
    Chardev *old = char_find(chr->set, chr->id);

    if (!check_change(old, chr->id, error))
        return false;
    /* As the youngest: what it may stand on, a mux's base, is freed after it. */
    list_append(&chr->set->chardevs, &chr->node);
    list_remove(&old->node);
    char_enter(old);
    char_enter(chr);
    if (old->user)
        move_user(old, chr);
    char_free(old);
    char_leave(chr);
    char_leave(old);
    return true;
}

/* Tells whoever asked for it; @error is taken. */
void char_end_adding(Chardev *chr, GError *error)
{
    CharAddedFn *added = chr->added;
    void *opaque = chr->added_opaque;

    list_remove(&chr->node);
    chr->opening = false;
    chr->added = NULL;
    if (!error && chr->replaces)
        replace(chr, &error);
    else if (!error)
        list_append(&chr->set->chardevs, &chr->node);
    if (error)
        char_free(chr);
    added(opaque, error ? NULL : chr, error);
}

void char_opened(Chardev *chr, GError *error)
{
    g_assert(chr->opening);
    char_end_adding(chr, error);
}

static void add_later(Chardev *chr, const ChardevBackend *backend, CharAddedFn *added,
                      void *opaque)
{
    GError *error = NULL;

    chr->added = added;
    chr->added_opaque = opaque;
    if (!open_chardev(chr, backend, &error))
        added(opaque, NULL, error);
    else if (chr->opening)
        list_append(&chr->set->opening, &chr->node);
    else
        char_end_adding(chr, NULL);
}

void char_add_later(CharSet *set, const char *id, const ChardevBackend *backend,
                    CharAddedFn *added, void *opaque)
{
    GError *error = NULL;

    assert_loop(set->loop);
    if (check_new_id(set, id, &error))
        add_later(char_new(set, classes[backend->type], id), backend, added, opaque);
    else
        added(opaque, NULL, error);
}

void char_change_later(CharSet *set, const char *id, const ChardevBackend *backend,
                       CharAddedFn *added, void *opaque)
{
    GError *error = NULL;
    Chardev *chr;

    assert_loop(set->loop);
    if (char_find_opening(set, id))
        error_set(&error, "character device '%s' is being changed already", id);
    if (error || !check_change(char_find(set, id), id, &error)) {
        added(opaque, NULL, error);
        return;
    }
    chr = char_new(set, classes[backend->type], id);
    chr->replaces = true;
    add_later(chr, backend, added, opaque);
}
