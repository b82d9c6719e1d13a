/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line that is being typed, and those that were typed before.  What a terminal is to
 * show is appended to a GString, with the bytes that QEMU's monitor sends: tools strip
 * them.
 *
 * Bounds: a line has HMP_LINE_MAX bytes (further ones are dropped), the history
 * HMP_HISTORY_LINES lines of HMP_HISTORY_SIZE bytes together.  An untouched line holds
 * no memory beside itself.
 */
#pragma once

#include "berth/base.h"

#define HMP_LINE_MAX 4095u
#define HMP_HISTORY_LINES 64u
#define HMP_HISTORY_SIZE (16u * 1024)

/* Where the bytes of a key with several are. */
typedef enum HmpKeyState {
    HMP_KEY_PLAIN,
    HMP_KEY_ESC,                /* after ESC */
    HMP_KEY_CSI,                /* after ESC [ */
    HMP_KEY_SS3,                /* after ESC O */
} HmpKeyState;

typedef struct HmpLine {
    GString *text;              /* NULL until something is typed */
    size_t cursor;              /* in the text */
    GString *shown;             /* what the terminal has of it */
    size_t shown_cursor;
    HmpKeyState key;
    unsigned parameter;         /* of ESC [ */
    GPtrArray *history;         /* of char *, the newest last; NULL while empty */
    size_t history_size;        /* bytes */
    unsigned browsed;           /* 0: none, else how far back from the newest */
} HmpLine;

typedef enum HmpLineResult {
    HMP_LINE_EDITED,
    HMP_LINE_ENTERED,           /* the line is complete: hmp_line_take() */
    HMP_LINE_COMPLETE,          /* the word before the cursor is to be completed */
} HmpLineResult;

/* All zeros is an empty line. */
void hmp_line_done(HmpLine *line);

/* An empty line after the prompt. */
void hmp_line_prompt(HmpLine *line, GString *out);

HmpLineResult hmp_line_key(HmpLine *line, uint8_t key, GString *out);

/* After HMP_LINE_ENTERED: the text, the caller's, which is in the history now. */
char *hmp_line_take(HmpLine *line);

/* Up to the cursor; the caller frees. */
char *hmp_line_before_cursor(const HmpLine *line);
/* At the cursor. */
void hmp_line_insert(HmpLine *line, const char *text);
/* Brings the terminal up to date after hmp_line_insert(). */
void hmp_line_update(HmpLine *line, GString *out);
/* The prompt and the line once more, at the beginning of a row of the terminal. */
void hmp_line_show_again(HmpLine *line, GString *out);
