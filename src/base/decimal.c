/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digits from the last to the first.
 */
#include "berth/decimal.h"

#define DIGITS_MAX 20           /* of UINT64_MAX */

void decimal_append(GString *out, uint64_t value)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    g_string_append_len(out, digits + at, (gssize)(sizeof(digits) - at));
}
