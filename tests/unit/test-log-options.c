/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/log-options.h"
#include "berth/log.h"
#include "berth/thread.h"
#include "berth/trace.h"

/* Points of this program, so that their names match the items' patterns. */
static void touch_points(void)
{
    TRACE(unimp_test, "x");
    TRACE(irq_test, "x");
    TRACE(other_test, "x");
}

typedef struct Fixture {
    char *folder;
} Fixture;

static void set_up(Fixture *f, const void *unused)
{
    touch_points();
    trace_set("*", false);
    f->folder = g_dir_make_tmp("berth-log-XXXXXX", NULL);
}

static void tear_down(Fixture *f, const void *unused)
{
    g_autofree char *file = g_build_filename(f->folder, "file", NULL);

    trace_set("*", false);
    log_set_level(LOG_LEVEL_WARN);
    log_set_fd(STDERR_FILENO);
    g_unlink(file);
    g_rmdir(f->folder);
    g_free(f->folder);
}

static bool apply(const char *option, const char *text, GError **error)
{
    char *argv[] = { "berth", (char *)option, (char *)text };
    g_autoptr(Cmdline) cmdline = cmdline_parse(G_N_ELEMENTS(argv), argv, error);

    return cmdline && log_options_apply(cmdline, error);
}

static void test_items_are_patterns(Fixture *f, const void *unused)
{
    g_assert_true(apply("-d", "unimp,guest_errors,trace:other_*", NULL));
    g_assert_true(trace_is_on("unimp_test"));
    g_assert_true(trace_is_on("other_test"));
    g_assert_false(trace_is_on("irq_test"));

    g_assert_true(log_options_set_items("none", NULL));
    g_assert_false(trace_is_on("unimp_test"));
    g_assert_true(log_options_set_items("int", NULL));
    g_assert_true(trace_is_on("irq_test"));
}

static void test_patterns_come_from_a_file(Fixture *f, const void *unused)
{
    g_autofree char *file = g_build_filename(f->folder, "file", NULL);
    g_autofree char *option = g_strconcat("events=", file, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(file, "# c\n\n *_test \n-irq_test", -1, NULL));
    g_assert_true(apply("-trace", option, NULL));
    g_assert_true(trace_is_on("unimp_test"));
    g_assert_false(trace_is_on("irq_test"));

    g_assert_true(g_file_set_contents(file, "irq_test\nno_such_point\n", -1, NULL));
    g_assert_false(apply("-trace", option, &error));
    g_assert_nonnull(strstr(error->message, "line 2"));
    g_assert_nonnull(strstr(error->message, "no_such_point"));
}

static void test_log_goes_to_a_file(Fixture *f, const void *unused)
{
    g_autofree char *file = g_build_filename(f->folder, "file", NULL);
    g_autofree char *text = NULL;

    g_assert_true(apply("-D", file, NULL));
    log_error("one");
    g_assert_true(log_options_set_file(file, NULL));
    log_error("two");

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "berth: one\nberth: two\n");
}

static void test_percent_d_is_the_process_id(Fixture *f, const void *unused)
{
    g_autofree char *mark = g_build_filename(f->folder, "log-%d.txt", NULL);
    g_autofree char *file = g_strdup_printf("%s/log-%d.txt", f->folder, (int)getpid());

    g_assert_true(apply("-D", mark, NULL));
    g_assert_cmpint(g_unlink(file), ==, 0);
}

static void test_what_is_not_there_is_an_error(Fixture *f, const void *unused)
{
    static const struct {
        const char *option;
        const char *text;
        const char *words;
    } cases[] = {
        { "-d", "in_asm", "'in_asm'" },
        { "-d", "", "''" },
        { "-d", "unimp,", "''" },
        { "-d", "trace:nothing", "'nothing'" },
        { "-D", "%s", "'%d'" },
        { "-D", "a%db%d", "'%d'" },
        { "-D", "/proc/no/log", "/proc/no/log" },
        { "-trace", "nothing*", "'nothing*'" },
        { "-trace", "-", "''" },
        { "-trace", "events=tests", "regular" },
        { "-trace", "file=/proc/no/log", "/proc/no/log" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        if (apply(cases[i].option, cases[i].text, &error))
            g_error("'%s %s' was accepted", cases[i].option, cases[i].text);
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
    }
}

#define add(path, fn)                                                                  \
    g_test_add("/log-options/" path, Fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    add("items-are-patterns", test_items_are_patterns);
    add("patterns-come-from-a-file", test_patterns_come_from_a_file);
    add("log-goes-to-a-file", test_log_goes_to_a_file);
    add("percent-d-is-the-process-id", test_percent_d_is_the_process_id);
    add("what-is-not-there-is-an-error", test_what_is_not_there_is_an_error);
    return g_test_run();
}
