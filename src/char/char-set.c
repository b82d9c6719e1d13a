/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of character devices: how they are found and removed, and who serves them.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "char-private.h"

#define DEFAULT_ESCAPE 0x01     /* Ctrl-A */

/* Whatever else the number names by mistake is not taken, and so not closed. */
static int number_of(void *opaque, const char *name, GError **error)
{
    guint64 number;
    struct stat stat;

    if (!g_ascii_string_to_unsigned(name, 10, 0, INT_MAX, &number, NULL)) {
        error_set(error, "parameter 'fd' expects a number, not '%s'", name);
        return -1;
    }
    if (fstat((int)number, &stat) < 0 || !S_ISSOCK(stat.st_mode)) {
        error_set(error, "parameter 'fd' expects a socket, and '%s' is none", name);
        return -1;
    }
    return (int)number;
}

static int open_plain(void *opaque, const char *path, int flags, GError **error)
{
    int fd = open(path, flags | O_CLOEXEC, 0666);

    if (fd < 0)
        error_set_errno(error, errno, "cannot open '%s'", path);
    return fd;
}

CharSet *char_set_new(Loop *loop)
{
    CharSet *set = g_new0(CharSet, 1);

    assert_main();
    signal(SIGPIPE, SIG_IGN);
    set->loop = loop;
    set->stop_fd = -1;
    set->open = open_plain;
    set->named_fd = number_of;
    set->escape = DEFAULT_ESCAPE;
    list_init(&set->chardevs);
    list_init(&set->opening);
    return set;
}

void char_set_free(CharSet *set)
{
    if (!set)
        return;
    char_set_cancel(set);
    /* The youngest first: a mux before what is below it. */
    while (!list_is_empty(&set->chardevs)) {
        Chardev *chr = CONTAINER_OF(set->chardevs.prev, Chardev, node);

        g_assert(!char_is_used(chr));
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
    set->named_fd = fn ? fn : number_of;
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

Chardev *char_find(CharSet *set, const char *id)
{
    LIST_FOREACH(node, &set->chardevs) {
        Chardev *chr = CONTAINER_OF(node, Chardev, node);

        if (strcmp(chr->id, id) == 0)
            return chr;
    }
    return NULL;
}

char *char_filename(const Chardev *chr)
{
    return chr->class->filename ? chr->class->filename(chr) : g_strdup(chr->class->name);
}

ChardevInfoList *char_set_query(CharSet *set)
{
    ChardevInfoList *list = ChardevInfoList_new();

    LIST_FOREACH(node, &set->chardevs) {
        Chardev *chr = CONTAINER_OF(node, Chardev, node);
        ChardevInfo *info = g_new0(ChardevInfo, 1);

        info->label = g_strdup(chr->id);
        info->filename = char_filename(chr);
        info->frontend_open = chr->class->frontend_open ? chr->class->frontend_open(chr)
                                                        : chr->frontend_open;
        ChardevInfoList_append(list, info);
    }
    return list;
}

static void cancel(Chardev *chr, const char *why)
{
    GError *error = NULL;

    error_set(&error, "character device '%s' %s before it was there", chr->id, why);
    char_end_adding(chr, error);
}

void char_set_cancel(CharSet *set)
{
    assert_loop(set->loop);
    while (!list_is_empty(&set->opening))
        cancel(CONTAINER_OF(list_first(&set->opening), Chardev, node), "was given up");
}

bool char_remove(CharSet *set, const char *id, GError **error)
{
    Chardev *chr = char_find(set, id), *opening = char_find_opening(set, id);

    assert_loop(set->loop);
    if (!chr && opening) {
        cancel(opening, "was removed");
        return true;
    }
    if (!chr) {
        error_set(error, "character device '%s' not found", id);
        return false;
    }
    if (char_is_used(chr)) {
        error_set(error, "character device '%s' is busy", id);
        return false;
    }
    char_free(chr);
    return true;
}

bool char_can_yank(const Chardev *chr)
{
    return chr && chr->class->yank;
}

void char_yank(Chardev *chr)
{
    assert_loop(chr->loop);
    chr->class->yank(chr);
}
