/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor on a character device: carries bytes between clients and their sessions.
 * What is spoken there is a MonitorLanguage: QMP (qmp.h), or that for people (hmp.h).
 * Main only.
 *
 * On a listening socket each client has a session of its own, up to CHAR_MAX_CLIENTS at
 * a time.  On any other chardev there is one session at a time, from the far end's
 * opening to its closing.
 *
 * What a client can cost, whatever it does:
 *
 * - Input: one value of at most JSON_MAX_SIZE, and MONITOR_INPUT_SIZE bytes read
 *   ahead.
 * - Requests: at most MONITOR_TURN_REQUESTS of a session are executed in one turn of the
 *   loop; then other clients, the VM's own work, and the rest in the next turn.
 * - Output: no request is executed while MONITOR_OUTPUT_HIGH bytes or more wait for the
 *   client, and nothing more is read from it: its own sends block.  Replies are never
 *   dropped.  An event is dropped for a client for which MONITOR_OUTPUT_MAX bytes or more
 *   wait; one line in the log tells, another when the client reads again.
 *
 * A client may disappear at any moment.  The request that is executed, or is under way,
 * ends as it would; those that it sent after it are dropped, as are replies to it, and
 * descriptors that it had sent are closed.  A client that closes its writing half alone
 * has all its requests executed and answered, then the connection ends.
 */
#pragma once

#include "berth/char.h"
#include "berth/counters.h"
#include "berth/qmp.h"

#define MONITOR_INPUT_SIZE (16 * 1024)
#define MONITOR_TURN_REQUESTS 16
#define MONITOR_OUTPUT_HIGH (1024 * 1024)
#define MONITOR_OUTPUT_MAX (2 * 1024 * 1024)

/* Main counts. */
typedef struct MonitorCounters {
    uint64_t clients;           /* that came */
    uint64_t commands;          /* that were answered */
    uint64_t events;            /* that were sent, to all clients together */
    uint64_t events_dropped;
    uint64_t bytes_in;
    uint64_t bytes_out;
} MonitorCounters;

extern const CounterDesc monitor_counters[];

/*
 * What is spoken.  A session is one client's: @session_size bytes, zeros before begin().
 * It reaches its client by QmpSessionOps, called with the @client of begin().
 */
typedef struct MonitorLanguage {
    size_t session_size;
    void (*begin)(void *session, QmpContext *ctx, const QmpSessionOps *ops, void *client);
    void (*end)(void *session);
    /* Appends what is said first; @focus is as in focus(). */
    void (*greet)(void *session, bool focus, GString *out);
    /*
     * Takes bytes up to the end of one request at most, or up to where enough has been
     * said; executes it and appends the answer.  Returns whether there was one.
     */
    bool (*feed)(void *session, const char *data, size_t size, size_t *ret_used,
                 GString *out);
    /* Whether feed() with @size bytes has something to do, and may be called. */
    bool (*can_feed)(const void *session, size_t size);
    /* Of a client at a mux: what is typed comes to it from now on, or no longer. */
    void (*focus)(void *session, bool focus, GString *out);     /* NULL: no matter */
    /* The bytes of input that it keeps, of which there are @input_max at most. */
    size_t (*held)(const void *session);                        /* NULL: none */
    size_t input_max;
} MonitorLanguage;

/* For a language; @client is that of begin(). */

/* How many bytes wait for the client. */
size_t monitor_client_pending(const void *client);
/* Cuts it off; what waits is lost.  The session ends later, out of the loop. */
void monitor_client_hang_up(void *client);

extern const MonitorLanguage qmp_language;
/* QMP with line breaks and indentation. */
extern const MonitorLanguage qmp_language_pretty;
/* QMP for those who may ask and hear, and change nothing. */
extern const MonitorLanguage qmp_language_readonly;
extern const MonitorLanguage qmp_language_readonly_pretty;

/*
 * A monitor on @chr, whose sessions speak @language and work on @ctx (both lent).  NULL
 * with @error when @chr is in use.
 */
Monitor *monitor_new(Chardev *chr, const MonitorLanguage *language, QmpContext *ctx,
                     GError **error);
/* Ends every session.  Not from a handler.  Accepts NULL. */
void monitor_free(Monitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Monitor, monitor_free)

const MonitorCounters *monitor_counted(const Monitor *monitor);
/* The bytes that its clients have now, and the most that they can have. */
void monitor_memory(const Monitor *monitor, uint64_t *ret_now, uint64_t *ret_most);
/* The id of its character device. */
const char *monitor_chardev(const Monitor *monitor);

/*
 * While it holds, nothing is read from clients: before there is what their requests work
 * on (QmpContext.ready, which changes before the hold ends).
 */
void monitor_hold_input(Monitor *monitor, bool hold);

/*
 * Waits up to a second in all until the clients of @monitors (an array of Monitor *)
 * have what was sent to them: before the process ends.
 */
void monitor_flush_all(const GPtrArray *monitors);
