/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices: where the bytes of a serial port, a console or a monitor go.
 *
 * A Chardev has at most one user (CharUser).  Input arrives on the main loop by
 * user->read(); output may be written from any thread.  A mux has several: each gets a
 * front-end, a Chardev of its own, from char_attach().
 *
 * Back-pressure: char_write() never blocks.  It takes what the far end or the chardev's
 * bounded buffer takes and returns how much; a user that has bytes left is called by
 * writable() on the main loop when there is room.  A chardev whose far end is not there
 * (no client, slave of a pty closed) swallows output: it returns the whole length.
 *
 * Wake-ups: an idle chardev causes none.  A pty learns by inotify that its slave was
 * opened; only when the host has no inotify instance left does it look once a second.
 * A client with "reconnect" tries at that interval while its server is away.
 */
#pragma once

#include "berth/list.h"
#include "berth/loop.h"
#include "qapi-types.h"

/* The most bytes that wait in a chardev for a slow reader. */
#define CHAR_BUFFER_SIZE (64 * 1024)

/* The most descriptors that wait for char_take_fd(); more are closed on arrival. */
#define CHAR_MAX_FDS 16

/* The most clients of char_listen() at a time; more wait in the socket's backlog. */
#define CHAR_MAX_CLIENTS 64

/* The most users of a mux, and the most input that waits in it for one of them. */
#define CHAR_MUX_FRONTS 4
#define CHAR_MUX_INPUT_SIZE 4096

typedef enum CharEvent {
    CHAR_EVENT_OPENED,          /* the far end came */
    CHAR_EVENT_CLOSED,          /* it has gone, or will send no more */
    CHAR_EVENT_BREAK,           /* it holds the line low */
    CHAR_EVENT_FOCUS_IN,        /* of a mux: what is typed comes here from now on */
    CHAR_EVENT_FOCUS_OUT,       /* it goes to another user */
} CharEvent;

typedef enum CharParity {
    CHAR_PARITY_NONE,
    CHAR_PARITY_ODD,
    CHAR_PARITY_EVEN,
} CharParity;

/* How a serial line is driven. */
typedef struct CharLine {
    uint32_t speed;             /* bits a second */
    uint8_t n_bits;             /* 5 to 8 */
    uint8_t n_stop_bits;        /* 1 or 2 */
    CharParity parity;
} CharLine;

/* Callbacks on the main loop, with no lock of the chardev held; each may be NULL. */
typedef struct CharUser {
    /* How many bytes read() would take now; NULL: any number. */
    size_t (*can_read)(void *opaque);
    void (*read)(void *opaque, const uint8_t *data, size_t size);
    void (*writable)(void *opaque);
    void (*event)(void *opaque, CharEvent event);
    /*
     * The user's chardev is @chr from now on (chardev-change): it keeps that pointer
     * under the lock under which it writes.  After the return the old one is gone.
     * Events of both far ends come around it.  NULL: it cannot be changed.
     */
    void (*moved)(void *opaque, Chardev *chr);
    /*
     * What a client left in the socket when it closed is kept until it was read; else
     * it is dropped when can_read() says 0, and the next client is let in.
     */
    bool reads_to_end;
    /*
     * Of a client that has closed its socket altogether it is dropped at once, whatever
     * can_read() says and though reads_to_end is set: these are requests, and nobody
     * waits for what comes of them.  One that closed its writing half alone does wait.
     */
    bool drops_requests;
} CharUser;

/* Main only.  How chardevs are made and found is in char-set.h. */

Chardev *char_find(CharSet *set, const char *id);

/*
 * Takes the chardev for @user.  Returns the one to use from now on: @chr, or of a mux a
 * front-end, which gets the focus and lives until char_detach().  NULL with @error when
 * it is taken.  The far end may be there already: char_is_open() tells, and no event is
 * sent for it, nor for the focus.
 */
Chardev *char_attach(Chardev *chr, const CharUser *user, void *opaque, GError **error);
/* The same of the one named @id; the error names the property 'chardev'. */
Chardev *char_attach_named(CharSet *set, const char *id, const CharUser *user,
                           void *opaque, GError **error);
/* No callback comes afterwards. */
void char_detach(Chardev *chr);
/* can_read() may now say more than it did. */
void char_accept_input(Chardev *chr);
/*
 * Whether the user has the device open (query-chardev's frontend-open); on after
 * attach.
 */
void char_set_frontend_open(Chardev *chr, bool open);
bool char_is_open(const Chardev *chr);
/* Whether input comes to this user: always, except of a mux. */
bool char_has_focus(const Chardev *chr);
/* As if the far end held the line low: the user gets the event. */
void char_send_break(Chardev *chr);
const char *char_id(const Chardev *chr);
/* The main loop, to which the callbacks belong. */
Loop *char_loop(const Chardev *chr);

/*
 * For users that serve many clients, on a chardev that char_can_listen(), a listening
 * socket: each connection becomes a Chardev of its own that is given to @accept, which
 * attaches to it and owns it until char_close().  A client that is there already is
 * given at once.  False with @error when @chr is taken.
 */
typedef void CharAcceptFn(void *opaque, Chardev *client);
bool char_can_listen(const Chardev *chr);
bool char_listen(Chardev *chr, CharAcceptFn *accept, void *opaque, GError **error);
/* Whether char_listen() is under way. */
bool char_is_listener(const Chardev *chr);
/* Ends char_listen(); its clients are closed before. */
void char_unlisten(Chardev *chr);
/* Closes a client that char_listen() gave; allowed in its own callbacks. */
void char_close(Chardev *client);

/* The oldest descriptor that came by SCM_RIGHTS, or -1; the caller owns it. */
int char_take_fd(Chardev *chr);

/* How many bytes wait in the chardev for the far end. */
size_t char_pending(Chardev *chr);
/*
 * Sends what waits in the chardev, for which it blocks until @deadline_ns of
 * loop_clock_ns(): for the end of the process.  Returns whether nothing is left.
 */
bool char_flush(Chardev *chr, int64_t deadline_ns);

/* Any thread. */

/* Returns how many bytes were taken, 0 to @size; see above. */
size_t char_write(Chardev *chr, const void *data, size_t size);
/* Of a serial port of the host; no effect on another far end. */
void char_set_line(Chardev *chr, const CharLine *line);
/* Holds that line low, or no longer. */
void char_set_break(Chardev *chr, bool on);
