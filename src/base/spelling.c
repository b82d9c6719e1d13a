/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distance of words is that of Damerau and Levenshtein where no letter is part of two
 * changes: how many letters are more, less, others, or exchanged with their neighbour.  A
 * third of the letters may be wrong, and case does not matter.
 */
#include <string.h>

#include "berth/spelling.h"

/* Of a longer word nobody is told what it could be. */
#define WORD_MAX 40u
#define DISTANCE_MAX 3u

static bool is_same(char a, char b)
{
    return g_ascii_tolower(a) == g_ascii_tolower(b);
}

/* Row i of the table has the distances of @a's first i letters to beginnings of @b. */
static unsigned measure(const char *a, size_t a_size, const char *b, size_t b_size)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    for (unsigned j = 0; j <= b_size; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned *next = before;

        row[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            row[j] = last[j - 1] + !is_same(a[i - 1], b[j - 1]);
            row[j] = MIN(row[j], MIN(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) &&
                is_same(a[i - 2], b[j - 1]))
                row[j] = MIN(row[j], before[j - 2] + 1);
        }
        before = last;
        last = row;
        row = next;
    }
    return last[b_size];
}

void spelling_try(Spelling *spelling, const char *known)
{
    size_t size = strnlen(spelling->typed, WORD_MAX + 1), known_size = strlen(known);
    size_t most = MIN(size / 3, DISTANCE_MAX);
    unsigned d;

    if (size > WORD_MAX || known_size > WORD_MAX || known_size > size + most ||
        size > known_size + most)
        return;
    d = measure(spelling->typed, size, known, known_size);
    if (d > most || (spelling->nearest && d >= spelling->distance))
        return;
    spelling->nearest = known;
    spelling->distance = d;
}

char *spelling_hint(const Spelling *spelling)
{
    return spelling->nearest ? g_strdup_printf("; did you mean '%s'?", spelling->nearest)
                             : g_strdup("");
}
