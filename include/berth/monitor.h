/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QMP monitor on a character device: carries bytes between clients and their sessions
 * (qmp.h).  Main only.
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
 * A client may disappear at any moment.  Requests that it had sent completely are
 * executed, replies to it are lost, descriptors that it had sent are closed.
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
    uint64_t requests;          /* that were answered */
    uint64_t events;            /* that were sent, to all clients together */
    uint64_t events_dropped;
    uint64_t bytes_in;
    uint64_t bytes_out;
} MonitorCounters;

extern const CounterDesc monitor_counters[];

/*
 * A monitor on @chr, whose sessions work on @ctx (lent); @pretty breaks and indents
 * what is sent.  NULL with @error when @chr is in use.
 */
Monitor *monitor_new(Chardev *chr, QmpContext *ctx, bool pretty, GError **error);
/* Ends every session.  Not from a handler.  Accepts NULL. */
void monitor_free(Monitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Monitor, monitor_free)

const MonitorCounters *monitor_counted(const Monitor *monitor);
/* The id of its character device. */
const char *monitor_chardev(const Monitor *monitor);

/*
 * While it holds, clients are greeted and nothing is read from them: before there is what
 * their requests work on.
 */
void monitor_hold_input(Monitor *monitor, bool hold);

/*
 * Waits up to a second in all until the clients of @monitors (an array of Monitor *)
 * have what was sent to them: before the process ends.
 */
void monitor_flush_all(const GPtrArray *monitors);
