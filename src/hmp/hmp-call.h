/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command of the monitor for people: from its line to its text.
 *
 *     hmp_call_line() -> row of hmp_commands -> words (hmp-args.c)
 *         -> QMP command -> printer, or the handler -> done()
 *
 * A handler prints to call->out, a line ends in '\n'.  It has ended when it returns,
 * unless it has started a QMP command that takes its time (hmp_call_qmp()).
 */
#pragma once

#include "berth/error.h"
#include "berth/hmp.h"
#include "berth/qapi-tables.h"

#include "hmp-commands.h"
#include "hmp-line.h"

/* How x, xp, print, i and o show a value; what is not said is as the last time. */
typedef struct HmpFormat {
    char letter;                /* x, d, u, o, c */
    unsigned size;              /* bytes: 1, 2, 4, 8 */
    unsigned count;
} HmpFormat;

/* What a session keeps from one command to the next. */
typedef struct HmpState {
    unsigned cpu;               /* whose registers and page tables are meant */
    HmpFormat format;
    const HmpLine *line;        /* with the history; NULL of human-monitor-command */
} HmpState;

/* @call->out is what the command has to say. */
typedef void HmpDoneFn(void *opaque, const HmpCall *call);

struct HmpCall {
    QmpContext *ctx;
    QmpSession *qmp;            /* whose descriptors are meant */
    HmpState *state;            /* of the session; only while the handler runs */
    const HmpCommand *command;  /* NULL: there is none of the name */
    JsonValue *args;            /* an object: word by word */
    GString *out;
    bool busy;                  /* inside hmp_call_line() */
    bool waits;                 /* for a QMP command, or hmp_call_end_wait() */
    HmpDoneFn *done;            /* NULL: nobody listens any more */
    void *opaque;
};

void hmp_state_init(HmpState *state);

/*
 * Executes @line; @done is called once, now or later.  Returns the call while it is
 * under way; NULL when it has ended.
 */
HmpCall *hmp_call_line(QmpSession *qmp, HmpState *state, const char *line,
                       HmpDoneFn *done, void *opaque);
/* Whoever waits is gone: the call ends by itself.  Accepts NULL. */
void hmp_call_abandon(HmpCall *call);

/*
 * Appends @text, whose lines end in LF, with CR LF.  What else a terminal would act on,
 * as names in image files may have it, is shown as what it is.
 */
void hmp_append_lines(GString *out, const GString *text);

/* For handlers. */

void hmp_printf(HmpCall *call, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* "4 KiB", "1.5 GiB"; the caller frees. */
char *hmp_size_text(int64_t bytes);
/* "Error: ..."; @error is taken. */
void hmp_fail(HmpCall *call, GError *error);
/* Executes QMP_COMMAND_...; a failure is told.  The last thing that a handler does. */
void hmp_call_qmp(HmpCall *call, unsigned command, const void *args);

/*
 * The command has not ended when its handler returns, but with hmp_call_end_wait(), which
 * may be called before that; the last that is done with the call.
 */
void hmp_call_wait(HmpCall *call);
void hmp_call_end_wait(HmpCall *call);

/* The words.  Texts are NULL, numbers 0 and flags false when they were left out. */
bool hmp_has(const HmpCall *call, const char *name);
const char *hmp_text(const HmpCall *call, const char *name);
int64_t hmp_int(const HmpCall *call, const char *name);
bool hmp_flag(const HmpCall *call, const char *name);

/* A byte as a character of C, in its quotes. */
void hmp_show_character(HmpCall *call, uint8_t c);

/* The session's; NULL with @error in a machine without. */
Vcpu *hmp_vcpu(HmpCall *call, GError **error);

/* Reads the words of @text; false with @error in the words of a monitor. */
bool hmp_args_read(HmpCall *call, const char *text, GError **error);

/* Reads an expression, and goes on in *@text behind it. */
bool hmp_expression_read(HmpCall *call, const char **text, int64_t *ret_value,
                         GError **error);

/*
 * The row that @line, which begins with no space, names; NULL when there is none.
 * *@ret_size is the length of the name in it: "x" of "x/4xw 0", "info status".
 */
const HmpCommand *hmp_table_find(const char *line, size_t *ret_size);
/* Says that there is none of the name, the first @size bytes of @name. */
void hmp_table_unknown(HmpCall *call, const char *name, size_t size);
/* "stop|s", of "info status" the last word: for messages.  The caller frees. */
char *hmp_table_label(const HmpCommand *command);
bool hmp_table_is_info(const HmpCommand *command);

/* A line for each file of fw_cfg. */
void fw_cfg_hmp_show(HmpCall *call);

/* Completes the word before the cursor, or shows what it can be. */
void hmp_complete(QmpContext *ctx, HmpLine *line, GString *out);
