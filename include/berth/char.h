/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices: where the bytes of a serial port, a console or a monitor go.
 *
 * A Chardev has at most one user (CharUser).  Input arrives on the main loop by
 * user->read(); output may be written from any thread.
 *
 * Back-pressure: char_write() never blocks.  It takes what the far end or the chardev's
 * bounded buffer takes and returns how much; a user that has bytes left is called by
 * writable() on the main loop when there is room.  A chardev whose far end is not there
 * (no client, slave of a pty closed) swallows output: it returns the whole length.
 */
#pragma once

#include "berth/list.h"
#include "berth/loop.h"
#include "qapi-types.h"

/* The most bytes that wait in a chardev for a slow reader. */
#define CHAR_BUFFER_SIZE (64 * 1024)

typedef enum CharEvent {
    CHAR_EVENT_OPENED,
    CHAR_EVENT_CLOSED,
    CHAR_EVENT_BREAK,
} CharEvent;

/* Callbacks on the main loop, with no lock of the chardev held; each may be NULL. */
typedef struct CharUser {
    size_t (*can_read)(void *opaque);       /* how many bytes read() would take now */
    void (*read)(void *opaque, const uint8_t *data, size_t size);
    void (*writable)(void *opaque);
    void (*event)(void *opaque, CharEvent event);
} CharUser;

/* Main only. */

CharSet *char_set_new(Loop *loop);
/* Closes and frees all chardevs; their users are gone before. */
void char_set_free(CharSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CharSet, char_set_free)

/*
 * Opens a chardev from typed options.  A server with wait=on blocks until its client
 * came.  The error names the option.
 */
Chardev *char_add(CharSet *set, const char *id, const ChardevBackend *backend,
                  GError **error);
/* From command-line text as in -serial and -monitor: "stdio", "pty", "file:P",
 * "unix:P,server"... */
Chardev *char_add_from_text(CharSet *set, const char *id, const char *text,
                            GError **error);
bool char_remove(CharSet *set, const char *id, GError **error);
Chardev *char_find(CharSet *set, const char *id);
/* What query-chardev tells; the caller frees by the generated function. */
ChardevInfoList *char_set_query(CharSet *set);

/* Takes the chardev for @user; false with @error when it is taken ("in use by ..."). */
bool char_attach(Chardev *chr, const CharUser *user, void *opaque, GError **error);
void char_detach(Chardev *chr);
/* can_read() may now say more than it did. */
void char_accept_input(Chardev *chr);
/* Whether the user has the device open (query-chardev's frontend-open). */
void char_set_frontend_open(Chardev *chr, bool open);
bool char_is_open(const Chardev *chr);
const char *char_id(const Chardev *chr);

/*
 * For users that serve many clients: when @chr is a listening socket, each connection
 * becomes a Chardev of its own that is given to @accept (and freed by char_close()).
 * False when @chr does not listen.
 */
typedef void CharAcceptFn(void *opaque, Chardev *client);
bool char_listen(Chardev *chr, CharAcceptFn *accept, void *opaque);
/* Closes a client that char_listen() gave. */
void char_close(Chardev *client);

/* The oldest descriptor that came by SCM_RIGHTS, or -1; the caller owns it. */
int char_take_fd(Chardev *chr);

/* Any thread. */

/* Returns how many bytes were taken, 0 to @size; see above. */
size_t char_write(Chardev *chr, const void *data, size_t size);
