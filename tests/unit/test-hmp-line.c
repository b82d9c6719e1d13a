/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Editing of a line by its keys: the bytes that a terminal gets are those of QEMU.
 */
#include <string.h>

#include "berth/thread.h"

#include "hmp-bench.h"

#define LEFT "\033[D"
#define ERASE "\033[K"
#define PROMPT "(qemu) "

static const char *const words[] = { "-nodefaults", "-S", NULL };

/* Keys, and what is sent for the last of them, which stands behind the bar. */
static const struct {
    const char *before;
    const char *keys;
    const char *sent;
} edits[] = {
    { "", "s", "s" ERASE },
    { "s", "t", LEFT "st" ERASE },
    { "stop", "\033[D", LEFT },
    { "stop\033[D\033[D", "\033[C", "\033[C" },
    { "stop\033[D\033[D", "x", LEFT LEFT "stxop" ERASE LEFT LEFT },
    { "stop", "\001", LEFT LEFT LEFT LEFT },
    { "stop", "\033[1~", LEFT LEFT LEFT LEFT },
    { "stop", "\033[H", LEFT LEFT LEFT LEFT },
    { "stop\001", "\005", "\033[C\033[C\033[C\033[C" },
    { "stop\001", "\033[4~", "\033[C\033[C\033[C\033[C" },
    { "stop\001", "\033OF", "\033[C\033[C\033[C\033[C" },
    { "stop", "\b", LEFT LEFT LEFT LEFT "sto" ERASE },
    { "stop", "\177", LEFT LEFT LEFT LEFT "sto" ERASE },
    { "stop\001", "\004", "top" ERASE LEFT LEFT LEFT },
    { "stop\001", "\033[3~", "top" ERASE LEFT LEFT LEFT },
    { "stop\001", "\b", "" },
    { "stop", "\004", "" },
    { "info x", "\027", LEFT LEFT LEFT LEFT LEFT LEFT "info " ERASE },
    { "info ", "\027", LEFT LEFT LEFT LEFT LEFT ERASE },
    { "st", "\014", "\033[2J\033[1;1H" PROMPT "st" ERASE },
    /* Keys of no meaning, and bytes of none. */
    { "st", "\003", "" },
    { "st", "\033x", "" },
    { "st", "\033[12345678901234567890~", "" },
    { "st", "\033[A", "" },
    { "s", "\377", LEFT "s\377" ERASE },
    /* CSI in one byte. */
    { "st", "\233D", LEFT },
};

static void test_keys(void)
{
    HmpBench bench;

    hmp_bench_init(&bench, words);
    for (size_t i = 0; i < G_N_ELEMENTS(edits); i++) {
        g_autofree char *sent = NULL;

        g_free(hmp_bench_type(&bench, edits[i].before));
        sent = hmp_bench_type(&bench, edits[i].keys);

        g_assert_cmpstr(sent, ==, edits[i].sent);
        hmp_bench_restart(&bench);
    }
    hmp_bench_done(&bench);
}

static void assert_typed(HmpBench *bench, const char *keys, const char *sent)
{
    g_autofree char *got = hmp_bench_type(bench, keys);

    g_assert_cmpstr(got, ==, sent);
}

static void enter(HmpBench *bench, const char *line)
{
    g_free(hmp_bench_ask(bench, line));
}

static void test_history(void)
{
    HmpBench bench;

    hmp_bench_init(&bench, words);
    enter(&bench, "print 1");
    enter(&bench, "print 2");
    assert_typed(&bench, "\033[A", "print 2" ERASE);
    assert_typed(&bench, "\033[A", LEFT LEFT LEFT LEFT LEFT LEFT LEFT "print 1" ERASE);
    assert_typed(&bench, "\033[A", "");
    assert_typed(&bench, "\033[B", LEFT LEFT LEFT LEFT LEFT LEFT LEFT "print 2" ERASE);
    assert_typed(&bench, "\033[B", LEFT LEFT LEFT LEFT LEFT LEFT LEFT ERASE);
    assert_typed(&bench, "\033[B", "");
    /* What is entered again becomes the newest, and is there once. */
    enter(&bench, "print 1");
    g_autofree char *list = hmp_bench_ask(&bench, "info history");
    g_assert_cmpstr(list, ==, "0: 'print 2'\n1: 'print 1'\n2: 'info history'\n");
    hmp_bench_done(&bench);
}

static void test_history_is_bounded(void)
{
    g_autofree char *pad = g_strnfill(4000, 'x');
    HmpBench bench;

    hmp_bench_init(&bench, words);
    for (int i = 0; i < 200; i++) {
        g_autofree char *line = g_strdup_printf("%d", i);

        enter(&bench, line);
    }
    g_autofree char *list = hmp_bench_ask(&bench, "info history");
    g_assert_true(g_str_has_prefix(list, "0: '137'\n"));
    g_assert_true(g_str_has_suffix(list, "62: '199'\n63: 'info history'\n"));
    for (int i = 0; i < 20; i++) {
        g_autofree char *line = g_strdup_printf("%d%s", i, pad);

        enter(&bench, line);
    }
    g_autofree char *long_list = hmp_bench_ask(&bench, "info history");
    g_assert_cmpuint(strlen(long_list), <, 17000);
    hmp_bench_done(&bench);
}

static void test_line_is_bounded(void)
{
    g_autofree char *keys = g_strnfill(6000, 'y');
    g_autofree char *shown = g_strnfill(4095, 'y');
    g_autofree char *expected = g_strdup_printf("unknown command: '%s'\n", shown);
    HmpBench bench;

    hmp_bench_init(&bench, words);
    g_autofree char *said = hmp_bench_ask(&bench, keys);
    g_assert_cmpstr(said, ==, expected);
    assert_typed(&bench, "\n", "\r\n" PROMPT);
    hmp_bench_done(&bench);
}

static const struct {
    const char *keys;
    const char *shown;          /* the last line */
} completions[] = {
    { "sto\t", LEFT LEFT LEFT "stop " ERASE },
    { "ring\t", "\r\nringbuf_read   ringbuf_write  \r\n" PROMPT "ringbuf_" ERASE },
    { "info stat\t", "\r\nstats     status    \r\n" PROMPT "info stat" ERASE },
    { "info vers\t", LEFT LEFT LEFT LEFT LEFT LEFT LEFT LEFT LEFT "info version " ERASE },
    { "zz\t", "" },
    { "savev\t", "" },
    { "help chardev-r\t", "help chardev-remove " ERASE },
    { "chardev-remove \t",
      "\r\none       other     \r\n" PROMPT "chardev-remove o" ERASE },
    { "chardev-remove on\t", "chardev-remove one " ERASE },
    { "chardev-remove one on\t", "" },
    { "object_del i\t", "object_del io0 " ERASE },
    { "info registers \t", "" },
    { "trace-event hmp_com\t", "trace-event hmp_command " ERASE },
    { "trace-event x of\t", "trace-event x off " ERASE },
    { "watchdog_action rese\t", "watchdog_action reset " ERASE },
    { "qom-list /obj\t", "qom-list /objects " ERASE },
    { "qom-list /objects/io\t", "qom-list /objects/io0 " ERASE },
    { "qom-list /nowhere/\t", "" },
    { "qom-list \t", "qom-list /" ERASE },
    { "qom-set -j /objects/io\t", "qom-set -j /objects/io0 " ERASE },
    { "nosuch \t", "" },
};

static void test_completion(void)
{
    static const char *const more[] = { "-nodefaults", "-S", "-chardev", "null,id=one",
                                        "-chardev", "null,id=other", "-object",
                                        "iothread,id=io0", NULL };
    HmpBench bench;

    hmp_bench_init(&bench, more);
    for (size_t i = 0; i < G_N_ELEMENTS(completions); i++) {
        size_t size = strlen(completions[i].keys) - 1;
        g_autofree char *keys = g_strndup(completions[i].keys, size);
        g_autofree char *shown = NULL;

        g_free(hmp_bench_type(&bench, keys));
        shown = hmp_bench_type(&bench, "\t");
        if (!g_str_has_suffix(shown, completions[i].shown) ||
            (!*completions[i].shown && *shown))
            g_error("'%s' gave '%s'", keys, shown);
        hmp_bench_restart(&bench);
    }
    hmp_bench_done(&bench);
}

/* Whatever is typed, the line that is entered is what the terminal shows. */
static void test_random_keys(void)
{
    static const char *const keys[] = {
        "a", "bc", " ", "\033[D", "\033[C", "\033[A", "\033[B", "\b", "\001", "\005",
        "\004", "\027", "\t", "\033", "[", "O", "3", "~", "\014", "\377", "\n",
    };
    HmpBench bench;

    hmp_bench_init(&bench, words);
    for (int i = 0; i < 20000; i++) {
        const char *key = keys[g_test_rand_int_range(0, G_N_ELEMENTS(keys))];

        g_free(hmp_bench_type(&bench, key));
    }
    /* What the last keys began is ended. */
    g_free(hmp_bench_type(&bench, "\033x"));
    enter(&bench, "");
    g_autofree char *said = hmp_bench_ask(&bench, "print 5");
    g_assert_cmpstr(said, ==, "0x5\n");
    hmp_bench_done(&bench);
}

int main(int argc, char **argv)
{
    thread_set_role(THREAD_MAIN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hmp-line/keys", test_keys);
    g_test_add_func("/hmp-line/history", test_history);
    g_test_add_func("/hmp-line/history-is-bounded", test_history_is_bounded);
    g_test_add_func("/hmp-line/line-is-bounded", test_line_is_bounded);
    g_test_add_func("/hmp-line/completion", test_completion);
    g_test_add_func("/hmp-line/random-keys", test_random_keys);
    return g_test_run();
}
