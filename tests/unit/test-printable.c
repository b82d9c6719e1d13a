/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of others on a terminal.
 */
#include <string.h>

#include "berth/printable.h"

static void test_texts(void)
{
    static const struct {
        const char *text;
        const char *shown;
    } rows[] = {
        { "", "" },
        { "web1 \\ ~", "web1 \\ ~" },
        { "\033[2J", "\\u001B[2J" },
        { "a\nb\tc\r\x7f", "a\\u000Ab\\u0009c\\u000D\\u007F" },
        { "gr\303\274n \342\202\254 \360\237\220\247",
          "gr\303\274n \342\202\254 \360\237\220\247" },
        /* The one-byte CSI, as UTF-8 and as it is in 8-bit sets. */
        { "\302\2332J", "\\u009B2J" },
        { "\2332J", "\\x9B2J" },
        { "\302\240", "\302\240" },
        /* Cut off, overlong, a surrogate, beyond Unicode. */
        { "\342\202", "\\xE2\\x82" },
        { "\300\233", "\\xC0\\x9B" },
        { "\355\240\200", "\\xED\\xA0\\x80" },
        { "\364\220\200\200", "\\xF4\\x90\\x80\\x80" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *shown = printable_text(rows[i].text);

        g_assert_cmpstr(shown, ==, rows[i].shown);
    }
}

/* Also of texts that have NULs, or end within a character. */
static void test_kept(void)
{
    static const char text[] = "a\n\tb\0c\r\302\233";
    g_autoptr(GString) out = g_string_new(NULL);

    printable_append(out, text, sizeof(text) - 2, "\n\t");
    g_assert_cmpstr(out->str, ==, "a\n\tb\\u0000c\\u000D\\xC2");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/printable/texts", test_texts);
    g_test_add_func("/printable/kept", test_kept);
    return g_test_run();
}
