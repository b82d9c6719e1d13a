/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/spelling.h"

static const char *const known[] = {
    "device", "drive", "driver", "display", "help", "m", "no-reboot", "stop",
    "system_reset",
    "a-word-of-more-letters-than-anybody-is-helped-with",
};

/* What was typed, and what is meant; NULL: nobody knows. */
static const struct {
    const char *typed;
    const char *meant;
} cases[] = {
    { "devise", "device" },
    { "evice", "device" },
    { "ddevice", "device" },
    { "edvice", "device" },
    { "DEVICE", "device" },
    { "drivr", "drive" },
    { "hlp", "help" },
    { "sotp", "stop" },
    { "stpo", "stop" },
    { "noreboot", "no-reboot" },
    { "sytem-rset", "system_reset" },
    { "hp", NULL },
    { "x", NULL },
    { "", NULL },
    { "hepx", NULL },
    { "top-of-all", NULL },
    { "a-word-of-more-letters-than-anybody-is-helped-wit", NULL },
    { "\xff\xfe\xfd", NULL },
};

static void test_nearest_word(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Spelling spelling = { .typed = cases[i].typed };
        g_autofree char *hint = NULL, *wanted = NULL;

        for (size_t j = 0; j < G_N_ELEMENTS(known); j++)
            spelling_try(&spelling, known[j]);
        hint = spelling_hint(&spelling);
        wanted = cases[i].meant ? g_strdup_printf("; did you mean '%s'?", cases[i].meant)
                                : g_strdup("");
        g_assert_cmpstr(hint, ==, wanted);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spelling/nearest-word", test_nearest_word);
    return g_test_run();
}
