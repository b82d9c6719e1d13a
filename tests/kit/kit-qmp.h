/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QMP client of a KitBoard's parts, or of a machine: requests and replies as a client
 * sees them.
 */
#pragma once

#include "berth/qmp.h"

#include "kit-board.h"

typedef struct KitQmp {
    KitBoard *kit;              /* NULL: of a machine */
    Loop *loop;                 /* of that */
    QmpContext ctx;
    QmpSession session;
    GString *out;               /* what was not looked at yet */
    GPtrArray *events;          /* of JsonValue, those not taken yet */
} KitQmp;

KitQmp *kit_qmp_new(KitBoard *kit);
/* Of what @ctx is about, whose events it has, on main's @loop. */
KitQmp *kit_qmp_new_on(const QmpContext *ctx, Loop *loop);
/* Before the board, or the machine, is freed. */
void kit_qmp_free(KitQmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitQmp, kit_qmp_free)

/* Sends the command "@name" with arguments "@json", or NULL, and does not wait. */
void kit_qmp_send(KitQmp *qmp, const char *name, const char *json);
/* Turns the loops until the reply is there; the whole of it. */
JsonValue *kit_qmp_receive(KitQmp *qmp);

/* Asks and waits: what the command returned. */
JsonValue *kit_qmp_ask(KitQmp *qmp, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* The same of one whose return does not matter. */
void kit_qmp_do(KitQmp *qmp, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* It fails, with @words in its message. */
void kit_qmp_assert_fails(KitQmp *qmp, const char *words, const char *name,
                          const char *format, ...) G_GNUC_PRINTF(4, 5);

/* The data of the next event @name, for which it waits; others before it are dropped. */
JsonValue *kit_qmp_wait_event(KitQmp *qmp, const char *name);
/* The number of events of that name that came and were not taken. */
unsigned kit_qmp_n_events(KitQmp *qmp, const char *name);

/* The value at "0.inserted.image", as JSON text; "absent" when there is none. */
char *kit_qmp_at(const JsonValue *value, const char *path);
void kit_qmp_assert_at(const JsonValue *value, const char *path, const char *expected);
int64_t kit_qmp_int(const JsonValue *value, const char *path);
