/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/qmp.h"

#include "machine-bench.h"

bool machine_bench_init(MachineBench *bench, char *const *words, size_t n, GError **error)
{
    *bench = (MachineBench) {
        .loop = loop_new("main", THREAD_MAIN, NULL),
        .events = qmp_events_new(),
        .cmdline = cmdline_parse((int)n, (char **)words, error),
    };
    g_assert_nonnull(bench->loop);
    bench->chars = char_set_new(bench->loop);
    return bench->cmdline != NULL;
}

bool machine_bench_make(MachineBench *bench, Vm *vm, GError **error)
{
    const MachineHost host = {
        .loop = bench->loop, .chars = bench->chars, .events = bench->events,
    };

    bench->machine = machine_new(bench->cmdline, &host, vm, error);
    return bench->machine != NULL;
}

void machine_bench_done(MachineBench *bench)
{
    machine_free(bench->machine);
    cmdline_free(bench->cmdline);
    qmp_events_free(bench->events);
    char_set_free(bench->chars);
    loop_free(bench->loop);
}
