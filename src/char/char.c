/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chardev and its user, and their lives.
 *
 * A user may close a chardev in a callback of that chardev.  So whatever may call the
 * user stands between char_enter() and char_leave(), and the memory goes at the last
 * leave.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/trace.h"

#include "char-private.h"

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

void char_release(Chardev *chr)
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
        char_release(chr);
}

void char_enter(Chardev *chr)
{
    chr->n_calls++;
}

void char_leave(Chardev *chr)
{
    chr->n_calls--;
    if (chr->n_calls == 0 && chr->free_later)
        char_release(chr);
}

void char_send_event(Chardev *chr, CharEvent event)
{
    TRACE(char_event, "%s: %d", char_id(chr), event);
    if (chr->user && chr->user->event)
        chr->user->event(chr->opaque, event);
}

bool char_is_used(const Chardev *chr)
{
    return chr->user || char_is_listener(chr) ||
           (chr->class->is_used && chr->class->is_used(chr));
}

static bool take(Chardev *chr, GError **error)
{
    assert_loop(chr->loop);
    if (char_is_used(chr)) {
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
    chr->hung_up = false;
    char_stream_update(chr);
    if (chr->class->accept_input)
        chr->class->accept_input(chr);
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

void char_set_line(Chardev *chr, const CharLine *line)
{
    if (chr->below)
        char_set_line(chr->below, line);
    else if (chr->class->set_line)
        chr->class->set_line(chr, line);
}

void char_set_break(Chardev *chr, bool on)
{
    if (chr->below)
        char_set_break(chr->below, on);
    else if (chr->class->set_break)
        chr->class->set_break(chr, on);
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
