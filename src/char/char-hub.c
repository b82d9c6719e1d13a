/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several chardevs at the far end of one user: the console of a guest in a file and on a
 * socket at once.
 *
 *     user <-- hub --+-- chardev
 *                    +-- chardev
 *
 * Input is what comes from any of them.  Output goes to all that are there.  The quickest
 * sets the pace: another that takes less of a piece loses the rest of it, so that one
 * reader that stops keeps no other waiting.
 *
 * The far end is there while that of any of them is.
 */
#include <stdatomic.h>

#include "berth/error.h"

#include "char-private.h"

#define HUB_MAX 4

typedef struct CharHub {
    Chardev chr;
    Chardev *bases[HUB_MAX];
    unsigned n_bases;
    atomic_uint n_open;         /* changed on main, read by writers */
} CharHub;

static CharHub *to_hub(const Chardev *chr)
{
    return CONTAINER_OF(chr, CharHub, chr);
}

static size_t on_can_read(void *opaque)
{
    CharHub *hub = opaque;
    const CharUser *user = hub->chr.user;

    if (!user || !user->read)
        return 0;
    return user->can_read ? user->can_read(hub->chr.opaque) : SIZE_MAX;
}

static void on_read(void *opaque, const uint8_t *data, size_t size)
{
    CharHub *hub = opaque;

    if (hub->chr.user)
        hub->chr.user->read(hub->chr.opaque, data, size);
}

static void on_writable(void *opaque)
{
    CharHub *hub = opaque;

    if (hub->chr.user && hub->chr.user->writable)
        hub->chr.user->writable(hub->chr.opaque);
}

static void set_n_open(CharHub *hub, unsigned n)
{
    unsigned before = atomic_exchange(&hub->n_open, n);

    hub->chr.open = n > 0;
    if (before == 0 && n > 0)
        char_send_event(&hub->chr, CHAR_EVENT_OPENED);
    else if (before > 0 && n == 0)
        char_send_event(&hub->chr, CHAR_EVENT_CLOSED);
}

static void on_event(void *opaque, CharEvent event)
{
    CharHub *hub = opaque;
    unsigned n = 0;

    if (event == CHAR_EVENT_BREAK) {
        char_send_event(&hub->chr, event);
        return;
    }
    for (unsigned i = 0; i < hub->n_bases; i++)
        n += char_is_open(hub->bases[i]);
    set_n_open(hub, n);
}

static const CharUser hub_user = {
    .can_read = on_can_read,
    .read = on_read,
    .writable = on_writable,
    .event = on_event,
};

static bool hub_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    const StrList *ids = backend->u.hub.data->chardevs;
    CharHub *hub = to_hub(chr);

    if (ids->n == 0 || ids->n > HUB_MAX) {
        error_set(error, "parameter 'chardevs' expects 1 to %d of them, not %zu", HUB_MAX,
                  ids->n);
        return false;
    }
    for (size_t i = 0; i < ids->n; i++) {
        Chardev *base = char_find(chr->set, ids->items[i]);

        if (base && (base->class->new_front || base->class == &char_hub_class)) {
            error_set(error, "parameter 'chardevs': '%s' is a mux or a hub",
                      ids->items[i]);
            return false;
        }
        base = char_attach_named(chr->set, ids->items[i], &hub_user, hub, error);
        if (!base)
            return false;
        hub->bases[hub->n_bases++] = base;
    }
    on_event(hub, CHAR_EVENT_OPENED);
    return true;
}

static void hub_close(Chardev *chr)
{
    CharHub *hub = to_hub(chr);

    while (hub->n_bases > 0)
        char_detach(hub->bases[--hub->n_bases]);
}

static bool is_there(Chardev *base)
{
    bool open;

    lock_take(&base->lock);
    open = base->open;
    lock_drop(&base->lock);
    return open;
}

static size_t hub_write(Chardev *chr, const void *data, size_t size)
{
    CharHub *hub = to_hub(chr);
    size_t most = 0;

    if (atomic_load(&hub->n_open) == 0)
        return size;
    for (unsigned i = 0; i < hub->n_bases; i++) {
        /* One that is not there swallows all, and is no measure. */
        bool counts = is_there(hub->bases[i]);
        size_t taken = char_write(hub->bases[i], data, size);

        if (counts)
            most = MAX(most, taken);
    }
    return most;
}

static void hub_accept_input(Chardev *chr)
{
    CharHub *hub = to_hub(chr);

    for (unsigned i = 0; i < hub->n_bases; i++)
        char_accept_input(hub->bases[i]);
}

const CharClass char_hub_class = {
    .name = "hub",
    .instance_size = sizeof(CharHub),
    .open = hub_open,
    .close = hub_close,
    .write = hub_write,
    .accept_input = hub_accept_input,
};
