/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request of a client costs: the system calls of main's thread, and the blocks of
 * memory, from its bytes in the socket to its reply there.
 *
 * The machine is whole, on the fake hypervisor; all is in one thread.
 */
#include <string.h>
#include <sys/socket.h>

#include "berth/device-globals.h"
#include "berth/error.h"
#include "berth/monitor.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"
#include "qmp-commands.h"

#include "alloc-counter.h"
#include "call-counter.h"
#include "char-bench.h"
#include "machine-bench.h"
#include "stats-image.h"

#define ROUNDS 100u
#define VCPUS 2u
#define REPLY_MAX 65536

/* To see that there is something, to read it, to write the reply. */
#define CALLS 3u
/* To read what is counted, which is two pieces, and the values of each vCPU. */
#define CALLS_OF_STATS (2u + VCPUS)

typedef struct Fixture {
    MachineBench bench;
    QmpContext ctx;
    GPtrArray *monitors;
    int client;
} Fixture;

typedef struct Case {
    const char *request;
    const char *reply;          /* its beginning */
    unsigned n_calls;
    unsigned n_blocks;          /* of memory, at most */
} Case;

static const Case cases[] = {
    { "{'execute': 'query-status'}", "{\"return\": {\"running\": ", CALLS, 24 },
    { "{'execute': 'query-status', 'id': 'libvirt-12'}",
      "{\"return\": {\"running\": ", CALLS, 28 },
    { "{'execute': 'qom-get', 'arguments': {'path': '/machine/unattached/device[1]', "
      "'property': 'avx512f'}}", "{\"return\": ", CALLS, 48 },
    { "{'execute': 'query-blockstats'}", "{\"return\": [{", CALLS, 40 },
    { "{'execute': 'query-cpus-fast'}", "{\"return\": [{", CALLS, 40 },
    { "{'execute': 'query-stats', 'arguments': {'target': 'vcpu'}}",
      "{\"return\": [{", CALLS + CALLS_OF_STATS, 480 },
    { "{'execute': 'no-such-command'}", "{\"error\": ", CALLS, 26 },
};

/* Sends @request, and counts what happens until its reply is there. */
static void ask(Fixture *f, const char *request, const char *reply)
{
    g_autofree char *line = g_strconcat(request, "\n", NULL);
    static char answer[REPLY_MAX];
    ssize_t n;

    g_assert_cmpint(write(f->client, line, strlen(line)), ==, (ssize_t)strlen(line));
    call_counter_switch(true);
    loop_turn(f->bench.loop, true);
    call_counter_switch(false);

    n = recv(f->client, answer, sizeof(answer) - 1, MSG_DONTWAIT);
    g_assert_cmpint(n, >, 0);
    answer[n] = '\0';
    g_assert_cmpint(answer[n - 1], ==, '\n');
    if (!g_str_has_prefix(answer, reply))
        g_error("%s: %s", request, answer);
}

static Vm *counting_vm(void)
{
    g_autoptr(GByteArray) of_vcpu = stats_image_of_vcpu();
    Vm *vm = vm_fake_new();

    vm_fake_set_stats(vm, true, of_vcpu->data, of_vcpu->len);
    return vm;
}

static void make_machine(Fixture *f)
{
    char *argv[] = { "berth", "-nodefaults", "-S", "-smp", "2",
                     "-blockdev", "null-co,node-name=n",
                     "-device", "virtio-blk-pci,drive=n,id=d" };
    g_autoptr(GError) error = NULL;

    machine_bench_init(&f->bench, argv, G_N_ELEMENTS(argv), &error);
    g_assert_no_error(error);
    machine_bench_make(&f->bench, counting_vm(), &error);
    g_assert_no_error(error);
}

static void set_up(Fixture *f, const void *unused)
{
    g_autofree char *options = NULL;
    g_autoptr(GError) error = NULL;
    Chardev *chr;
    int ends[2];

    make_machine(f);
    f->monitors = g_ptr_array_new();
    f->ctx = (QmpContext) {
        .machine = f->bench.machine, .tree = &f->bench.machine->tree,
        .blocks = f->bench.machine->blocks, .chars = f->bench.chars,
        .monitors = f->monitors, .events = f->bench.events,
        .call = qmp_commands_call, .start = qmp_commands_start,
        .parse = device_globals_parse_request, .ready = true,
    };
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    f->client = ends[0];
    options = g_strdup_printf("socket,fd=%d", ends[1]);
    chr = char_bench_add_to(f->bench.chars, "qmp", options, &error);
    g_assert_no_error(error);
    g_ptr_array_add(f->monitors, monitor_new(chr, &qmp_language, &f->ctx, &error));
    g_assert_no_error(error);
    ask(f, "{'execute': 'qmp_capabilities'}", "{\"QMP\": ");
}

static void tear_down(Fixture *f, const void *unused)
{
    monitor_free(g_ptr_array_index(f->monitors, 0));
    g_ptr_array_unref(f->monitors);
    machine_bench_done(&f->bench);
    close(f->client);
}

static void test_request_takes_three_calls(Fixture *f, const void *unused)
{
    if (!call_counter_begin()) {
        g_test_skip("system calls cannot be counted here");
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        unsigned n_calls;

        /* What is done once, and rooms that are made. */
        ask(f, cases[i].request, cases[i].reply);
        call_counter_take();
        for (unsigned round = 0; round < ROUNDS; round++)
            ask(f, cases[i].request, cases[i].reply);
        n_calls = call_counter_take();
        g_test_message("%s: %u calls", cases[i].request, n_calls / ROUNDS);
        g_assert_cmpuint(n_calls, ==, ROUNDS * cases[i].n_calls);
    }
    call_counter_end();
}

static void test_request_takes_few_blocks(Fixture *f, const void *unused)
{
    if (!ALLOC_COUNTER) {
        g_test_skip("a sanitizer counts allocations otherwise");
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        unsigned n_blocks, n_live;

        ask(f, cases[i].request, cases[i].reply);
        n_live = alloc_counter_live();
        n_blocks = alloc_counter_calls();
        ask(f, cases[i].request, cases[i].reply);
        n_blocks = alloc_counter_calls() - n_blocks;
        g_test_message("%s: %u blocks", cases[i].request, n_blocks);
        g_assert_cmpuint(n_blocks, >, 0);
        g_assert_cmpuint(n_blocks, <=, cases[i].n_blocks);
        for (unsigned k = 1; k < ROUNDS; k++)
            ask(f, cases[i].request, cases[i].reply);
        /* What the loop frees after a reply may be there still, but not for each. */
        g_assert_cmpuint(alloc_counter_live(), <, n_live + ROUNDS);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add("/qmp-calls/request-takes-three-calls", Fixture, NULL, set_up,
               test_request_takes_three_calls, tear_down);
    g_test_add("/qmp-calls/request-takes-few-blocks", Fixture, NULL, set_up,
               test_request_takes_few_blocks, tear_down);
    return g_test_run();
}
