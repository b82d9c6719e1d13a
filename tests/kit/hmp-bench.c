/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/fdset.h"
#include "berth/vm-fake.h"
#include "qmp-commands.h"

#include "hmp-bench.h"

#define PROMPT "(qemu) "

static int open_fdset(void *opaque, const char *path, int flags, GError **error)
{
    return fdset_open(opaque, path, flags, error);
}

static void make_machine(HmpBench *bench, const char *const *words)
{
    MachineHost host = { .loop = bench->loop, .chars = bench->chars,
                         .fdsets = bench->fdsets, .events = bench->events };
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) error = NULL;

    g_ptr_array_add(argv, "berth");
    for (; *words; words++)
        g_ptr_array_add(argv, (char *)*words);
    bench->cmdline = cmdline_parse((int)argv->len, (char **)argv->pdata, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < bench->cmdline->chardevs->len; i++) {
        char_options_add(bench->chars, g_ptr_array_index(bench->cmdline->chardevs, i),
                         &error);
        g_assert_no_error(error);
    }
    bench->machine = machine_new(bench->cmdline, &host, vm_fake_new(), &error);
    g_assert_no_error(error);
    g_assert_true(machine_start(bench->machine, &error));
}

static void on_reply(void *opaque, const char *text, size_t size)
{
    g_string_append_len(((HmpBench *)opaque)->late, text, size);
}

static int take_fd(void *opaque)
{
    return autofd_steal(&((HmpBench *)opaque)->passed_fd);
}

static const QmpSessionOps ops = { .reply = on_reply, .take_fd = take_fd };

static void begin(HmpBench *bench)
{
    g_autoptr(GString) greeting = g_string_new(NULL);

    bench->session = g_malloc0(hmp_language.session_size);
    hmp_language.begin(bench->session, &bench->ctx, &ops, bench);
    hmp_language.greet(bench->session, true, greeting);
    g_assert_true(g_str_has_suffix(greeting->str, "\r\n" PROMPT));
}

static void end(HmpBench *bench)
{
    hmp_language.end(bench->session);
    g_clear_pointer(&bench->session, g_free);
    g_string_truncate(bench->late, 0);
}

void hmp_bench_restart(HmpBench *bench)
{
    end(bench);
    begin(bench);
}

void hmp_bench_init(HmpBench *bench, const char *const *words)
{
    *bench = (HmpBench) { .passed_fd = -1 };
    bench->loop = loop_new("main", THREAD_MAIN, NULL);
    bench->chars = char_set_new(bench->loop);
    bench->fdsets = fdset_new();
    bench->events = qmp_events_new();
    bench->monitors = g_ptr_array_new();
    bench->late = g_string_new(NULL);
    char_set_open_hook(bench->chars, open_fdset, bench->fdsets);
    make_machine(bench, words);
    bench->ctx = (QmpContext) {
        .machine = bench->machine,
        .tree = &bench->machine->tree,
        .chars = bench->chars,
        .blocks = bench->machine->blocks,
        .nets = bench->machine->nets,
        .objects = bench->machine->objects,
        .fdsets = bench->fdsets,
        .monitors = bench->monitors,
        .events = bench->events,
        .call = qmp_commands_call,
        .start = qmp_commands_start,
        .parse = device_globals_parse_request,
        .ready = true,
    };
    begin(bench);
}

void hmp_bench_done(HmpBench *bench)
{
    end(bench);
    char_set_cancel(bench->chars);
    machine_free(bench->machine);
    cmdline_free(bench->cmdline);
    g_ptr_array_unref(bench->monitors);
    char_set_free(bench->chars);
    qmp_events_free(bench->events);
    fdset_free(bench->fdsets);
    g_string_free(bench->late, true);
    base_close_fd(&bench->passed_fd);
    loop_free(bench->loop);
}

static void wait_for_end(HmpBench *bench)
{
    int64_t end_ns = loop_clock_ns() + 60 * NS_PER_SEC;

    while (!hmp_language.can_feed(bench->session, 1)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        loop_turn(bench->loop, false);
    }
}

void hmp_bench_feed(HmpBench *bench, const void *data, size_t size, GString *out)
{
    for (size_t at = 0, used; at < size; at += used) {
        g_autoptr(GString) piece = g_string_new(NULL);

        hmp_language.feed(bench->session, (const char *)data + at, size - at, &used,
                          piece);
        g_string_append_len(out, piece->str, piece->len);
        g_assert_cmpuint(used, >, 0);
        g_assert_cmpuint(used, <=, size - at);
        wait_for_end(bench);
        g_string_append_len(out, bench->late->str, bench->late->len);
        g_string_truncate(bench->late, 0);
    }
}

char *hmp_bench_type(HmpBench *bench, const char *keys)
{
    GString *out = g_string_new(NULL);

    hmp_bench_feed(bench, keys, strlen(keys), out);
    return g_string_free(out, false);
}

char *hmp_bench_ask(HmpBench *bench, const char *line)
{
    g_autofree char *keys = g_strconcat(line, "\n", NULL);
    g_autofree char *all = hmp_bench_type(bench, keys);
    const char *said = strstr(all, "\r\n");
    GString *text;

    g_assert_nonnull(said);
    text = g_string_new(said + strlen("\r\n"));
    if (g_str_has_suffix(text->str, PROMPT))
        g_string_truncate(text, text->len - strlen(PROMPT));
    g_string_replace(text, "\r\n", "\n", 0);
    g_assert_null(strchr(text->str, '\r'));
    return g_string_free(text, false);
}
