/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The known word that is nearest to one that nobody knows, for messages.  Any thread.
 *
 *     Spelling spelling = { .typed = word };
 *
 *     for (...)
 *         spelling_try(&spelling, known);
 *     hint = spelling_hint(&spelling);
 */
#pragma once

#include "berth/base.h"

typedef struct Spelling {
    const char *typed;
    const char *nearest;        /* one of those that were tried, or NULL: none is near */
    unsigned distance;          /* of that: letters more, less, others, exchanged */
} Spelling;

/* @known is lent until the hint is made.  The cost has a bound, whatever was typed. */
void spelling_try(Spelling *spelling, const char *known);

/* "; did you mean 'known'?", or "" when none is near; the caller frees. */
char *spelling_hint(const Spelling *spelling);
