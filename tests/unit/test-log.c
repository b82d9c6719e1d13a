/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "berth/log.h"
#include "berth/trace.h"

/* A pipe in place of stderr. */
typedef struct Fixture {
    int fds[2];
    char text[65536];
} Fixture;

static void set_up(Fixture *f, const void *unused)
{
    g_assert_cmpint(pipe2(f->fds, O_NONBLOCK), ==, 0);
    log_set_fd(f->fds[1]);
}

static void tear_down(Fixture *f, const void *unused)
{
    log_set_fd(STDERR_FILENO);
    log_set_timestamps(false);
    log_set_level(LOG_LEVEL_WARN);
    close(f->fds[0]);
    close(f->fds[1]);
}

static const char *take_text(Fixture *f)
{
    ssize_t size = read(f->fds[0], f->text, sizeof(f->text) - 1);

    f->text[MAX(size, 0)] = '\0';
    return f->text;
}

static void test_levels_are_filtered_and_named(Fixture *f, const void *unused)
{
    log_error("a %d", 1);
    log_warn("b");
    log_info("not shown");
    log_set_level(LOG_LEVEL_DEBUG);
    log_info("c");
    log_debug("d");

    g_assert_cmpstr(take_text(f), ==,
                    "berth: a 1\nberth: warning: b\nberth: info: c\nberth: debug: d\n");
}

static void test_timestamp_is_utc_with_microseconds(Fixture *f, const void *unused)
{
    log_set_timestamps(true);
    log_error("x");

    g_assert_true(g_regex_match_simple(
        "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z berth: x\n$",
        take_text(f), 0, 0));
}

static void test_control_characters_cannot_forge_a_line(Fixture *f, const void *unused)
{
    log_error("%s", "a\nberth: b\x1b[2J");

    g_assert_cmpstr(take_text(f), ==, "berth: a?berth: b?[2J\n");
}

/* What comes last of an error is why. */
static void test_long_line_has_its_ends(Fixture *f, const void *unused)
{
    g_autofree char *text = g_strnfill(3 * LOG_LINE_MAX, 'x');

    for (size_t size = LOG_LINE_MAX - 32; size < LOG_LINE_MAX; size++) {
        text[size] = '\0';
        log_error("-a %s: no", text);
        take_text(f);
        g_assert_cmpuint(strlen(f->text), ==, MIN(size + 15, LOG_LINE_MAX));
        g_assert_true(g_str_has_prefix(f->text, "berth: -a xx"));
        g_assert_true(g_str_has_suffix(f->text, "xx: no\n"));
        g_assert_cmpint(strstr(f->text, "xx...xx") != NULL, ==,
                        size + 15 > LOG_LINE_MAX);
        text[size] = 'x';
    }
    log_error("-a %s: no", text);
    g_assert_cmpuint(strlen(take_text(f)), ==, LOG_LINE_MAX);
    g_assert_true(g_str_has_suffix(f->text, "xx: no\n"));
}

static void test_full_pipe_loses_lines_and_tells(Fixture *f, const void *unused)
{
    g_autofree char *text = g_strnfill(4000, 'x');

    fcntl(f->fds[1], F_SETFL, 0);
    for (int i = 0; i < 30; i++)
        log_error("%s", text);
    while (strlen(take_text(f)) > 0)
        ;
    log_error("after");

    g_assert_nonnull(strstr(take_text(f), "lines were lost"));
    g_assert_true(g_str_has_suffix(f->text, "\nberth: after\n"));
}

static void test_limit_passes_ten_lines(Fixture *f, const void *unused)
{
    LogLimit limit = { 0 };
    uint32_t n_dropped;
    int n_passed = 0;

    for (int i = 0; i < 1000; i++)
        n_passed += log_limit_pass(&limit, NULL);
    g_assert_cmpint(n_passed, ==, 10);

    limit.window_start_ns -= 11 * NS_PER_SEC;
    g_assert_true(log_limit_pass(&limit, &n_dropped));
    g_assert_cmpuint(n_dropped, ==, 990);
}

static int n_evaluated;

static int evaluate(void)
{
    return ++n_evaluated;
}

static void trace_something(void)
{
    TRACE(test_log_one, "n %d", evaluate());
    TRACE(test_log_two, "text");
    TRACE(test_log_two, "again");
}

static void test_trace_points_are_switched_by_pattern(Fixture *f, const void *unused)
{
    g_autoptr(GArray) states = NULL;

    trace_something();
    g_assert_cmpstr(take_text(f), ==, "");
    g_assert_cmpint(n_evaluated, ==, 0);

    g_assert_cmpuint(trace_set("test_log_t*", true), ==, 1);
    trace_something();
    g_assert_cmpstr(take_text(f), ==,
                    "berth: trace: test_log_two: text\n"
                    "berth: trace: test_log_two: again\n");

    states = trace_list("test_log_*");
    g_assert_cmpuint(states->len, ==, 2);
    g_assert_cmpstr(g_array_index(states, TraceState, 0).name, ==, "test_log_one");
    g_assert_false(g_array_index(states, TraceState, 0).on);
    g_assert_true(g_array_index(states, TraceState, 1).on);

    g_assert_cmpuint(trace_set("*", false), >=, 2);
    g_assert_cmpuint(trace_set("no_such_point", true), ==, 0);
    trace_something();
    g_assert_cmpstr(take_text(f), ==, "");
}

static void test_patterns_match_as_in_a_shell(Fixture *f, const void *unused)
{
    static const struct {
        const char *pattern;
        unsigned n;
    } cases[] = {
        { "test_log_one", 1 }, { "test_log_*", 2 }, { "*_log_*", 2 }, { "*log_t*o", 1 },
        { "test?log?one", 1 }, { "test_log_", 0 }, { "test_log_one*", 1 },
        { "?test_log_one", 0 }, { "test_log_on", 0 }, { "", 0 }, { "*test*log*o*", 2 },
        { "*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*?*!", 0 },
    };

    trace_something();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpuint(trace_set(cases[i].pattern, false), ==, cases[i].n);
}

static void test_traces_can_have_a_file_of_their_own(Fixture *f, const void *unused)
{
    Fixture traces;

    g_assert_cmpint(pipe2(traces.fds, O_NONBLOCK), ==, 0);
    log_take_trace_fd(traces.fds[1]);
    g_assert_cmpuint(trace_set("test_log_two", true), ==, 1);
    g_assert_true(trace_is_on("test_log_two"));
    g_assert_false(trace_is_on("test_log_one"));
    g_assert_false(trace_is_on("test_log_three"));
    trace_something();
    log_error("x");

    g_assert_cmpstr(take_text(f), ==, "berth: x\n");
    g_assert_true(g_str_has_prefix(take_text(&traces), "berth: trace: test_log_two: t"));

    /* A new file takes the number of the old one, which is closed. */
    log_take_trace_fd(dup(f->fds[1]));
    trace_something();
    g_assert_true(g_str_has_prefix(take_text(f), "berth: trace: test_log_two: text"));
    g_assert_cmpint(read(traces.fds[0], traces.text, 1), ==, 0);
    trace_set("*", false);
    close(traces.fds[0]);
}

#define add(path, fn) g_test_add("/log/" path, Fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("levels-are-filtered-and-named", test_levels_are_filtered_and_named);
    add("timestamp-is-utc-with-microseconds", test_timestamp_is_utc_with_microseconds);
    add("control-characters-cannot-forge-a-line",
        test_control_characters_cannot_forge_a_line);
    add("long-line-has-its-ends", test_long_line_has_its_ends);
    add("full-pipe-loses-lines-and-tells", test_full_pipe_loses_lines_and_tells);
    add("limit-passes-ten-lines", test_limit_passes_ten_lines);
    add("trace-points-are-switched-by-pattern",
        test_trace_points_are_switched_by_pattern);
    add("patterns-match-as-in-a-shell", test_patterns_match_as_in_a_shell);
    add("traces-can-have-a-file-of-their-own", test_traces_can_have_a_file_of_their_own);
    return g_test_run();
}
