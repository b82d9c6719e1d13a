/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte by byte where it is ASCII, character by character elsewhere.
 */
#include <string.h>

#include "berth/printable.h"

static bool is_control(gunichar c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static void append_character(GString *out, const char *text, size_t size, gunichar c,
                             const char *keep)
{
    if (is_control(c) && !(c && c < 0x80 && strchr(keep, (int)c)))
        g_string_append_printf(out, "\\u%04X", c);
    else
        g_string_append_len(out, text, (gssize)size);
}

void printable_append(GString *out, const char *text, size_t size, const char *keep)
{
    const char *end = text + size;

    while (text < end) {
        size_t n = 1;
        gunichar c = (unsigned char)*text;

        if (c >= 0x80) {
            c = g_utf8_get_char_validated(text, end - text);
            n = g_utf8_skip[(unsigned char)*text];
        }
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02X", (unsigned char)*text);
            n = 1;
        } else {
            append_character(out, text, n, c, keep);
        }
        text += n;
    }
}

char *printable_text(const char *text)
{
    GString *out = g_string_new(NULL);

    printable_append(out, text, strlen(text), "");
    return g_string_free(out, false);
}
