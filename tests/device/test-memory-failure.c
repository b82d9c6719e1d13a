/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine on the fake hypervisor whose memory the host takes away: what clients hear,
 * and what the machine may do then.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/json.h"
#include "berth/memory-backend.h"
#include "berth/vm-fake.h"

#include "hmp-bench.h"

#define MEMORY (64 * MIB)
#define PAGE 4096

typedef struct Fixture {
    char *path;
    int fd;
    HmpBench bench;
    QmpSession session;
    GPtrArray *events;          /* lines */
} Fixture;

static void on_event(void *opaque, const char *text, size_t size)
{
    Fixture *f = opaque;

    g_ptr_array_add(f->events, g_strndup(text, size));
}

static const QmpSessionOps session_ops = { .send = on_event };

static void negotiate(Fixture *f)
{
    static const char line[] = "{\"execute\": \"qmp_capabilities\"}";
    g_autoptr(GString) out = g_string_new(NULL);

    f->events = g_ptr_array_new_with_free_func(g_free);
    qmp_session_init(&f->session, &f->bench.ctx, &session_ops, f);
    qmp_session_feed(&f->session, line, strlen(line), out);
    g_assert_cmpstr(out->str, ==, "{\"return\": {}}\r\n");
}

static void ask(Fixture *f, const char *line, const char *expected)
{
    g_autofree char *said = hmp_bench_ask(&f->bench, line);

    g_assert_cmpstr(said, ==, expected);
}

static void setup(Fixture *f, gconstpointer unused)
{
    g_autofree char *object = NULL;

    f->fd = g_file_open_tmp("memory-failure-XXXXXX", &f->path, NULL);
    g_assert_cmpint(ftruncate(f->fd, MEMORY), ==, 0);
    object = g_strdup_printf("memory-backend-file,id=mem,size=64M,share=on,mem-path=%s",
                             f->path);
    hmp_bench_init(&f->bench, (const char *const[]) {
        "-nodefaults", "-S", "-kernel", "tests/fuzz/seeds/kernel/elf64", "-m", "64",
        "-object", object, "-machine", "memory-backend=mem", "-smp", "2", NULL,
    });
    negotiate(f);
    ask(f, "cont", "");
    ask(f, "info status", "VM status: running\n");
    g_ptr_array_set_size(f->events, 0);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    qmp_session_done(&f->session);
    hmp_bench_done(&f->bench);
    g_ptr_array_unref(f->events);
    close(f->fd);
    unlink(f->path);
    g_free(f->path);
}

static void shrink(Fixture *f, uint64_t size)
{
    g_assert_cmpint(ftruncate(f->fd, (off_t)size), ==, 0);
}

/* Turns main's loop until there are @n events. */
static void wait_events(Fixture *f, guint n)
{
    int64_t end_ns = loop_clock_ns() + 60 * NS_PER_SEC;

    while (f->events->len < n) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        loop_turn(f->bench.loop, false);
    }
    loop_turn(f->bench.loop, false);
    g_assert_cmpuint(f->events->len, ==, n);
}

static bool has_event(Fixture *f, guint index, const char *words)
{
    return strstr(g_ptr_array_index(f->events, index), words) != NULL;
}

static void assert_stopped_by(Fixture *f, const char *words)
{
    wait_events(f, 2);
    g_assert_true(has_event(f, 0, "\"event\": \"MEMORY_FAILURE\""));
    g_assert_true(has_event(f, 0, "\"recipient\": \"guest\", \"action\": \"fatal\", "
                            "\"flags\": {\"action-required\": true, "
                            "\"recursive\": false}"));
    g_assert_true(has_event(f, 0, words));
    g_assert_true(has_event(f, 1, "\"event\": \"STOP\""));
    g_ptr_array_set_size(f->events, 0);
    ask(f, "info status", "VM status: paused (internal-error)\n");
    ask(f, "cont", "Error: Resetting the Virtual Machine is required\n");
}

static void reset_and_run(Fixture *f)
{
    ask(f, "system_reset", "");
    wait_events(f, 1);
    g_assert_true(has_event(f, 0, "\"event\": \"RESET\""));
    ask(f, "info status", "VM status: paused (prelaunch)\n");
    ask(f, "cont", "");
    ask(f, "info status", "VM status: running\n");
    g_ptr_array_set_size(f->events, 0);
}

static void read_page(void *opaque)
{
    Fixture *f = opaque;
    uint8_t byte = 0xff;

    g_assert_true(address_space_read(f->bench.machine->memory, 40 * MIB, &byte, 1));
    g_assert_cmpint(byte, ==, 0);
}

/* As a device does that reads a guest's buffer. */
static void test_a_thread_of_ours_meets_it(Fixture *f, gconstpointer unused)
{
    shrink(f, 32 * MIB);
    vm_fake_vcpu_exit(f->bench.machine->vcpus[1], read_page, f);
    assert_stopped_by(f, "\"x-memory\": \"mem\", \"x-offset\": 41943040, "
                      "\"x-pages\": 1, \"x-reason\": \"the file has become too short: it "
                      "has 33554432 bytes, and needs 67108864\"");
    shrink(f, MEMORY);
    reset_and_run(f);
    vm_fake_vcpu_exit(f->bench.machine->vcpus[1], read_page, f);
    ask(f, "stop", "");
    wait_events(f, 1);
    g_assert_true(has_event(f, 0, "\"event\": \"STOP\""));
}

static void test_a_vcpu_meets_it(Fixture *f, gconstpointer unused)
{
    shrink(f, 32 * MIB);
    vm_fake_vcpu_stop(f->bench.machine->vcpus[1], VCPU_STOP_MEMORY, "no page");
    assert_stopped_by(f, "\"x-memory\": \"mem\", \"x-pages\": 0, \"x-reason\": \"the "
                      "file has become too short: it has 33554432 bytes, and needs "
                      "67108864\"");
    shrink(f, MEMORY);
    reset_and_run(f);
    vm_fake_vcpu_stop(f->bench.machine->vcpus[0], VCPU_STOP_MEMORY, "no page");
    assert_stopped_by(f, "\"x-reason\": \"the host cannot give a page\"");
}

/* It would go on with zeros where its memory was. */
static void test_a_stopped_machine_needs_a_reset(Fixture *f, gconstpointer unused)
{
    ask(f, "stop", "");
    wait_events(f, 1);
    g_ptr_array_set_size(f->events, 0);
    shrink(f, 32 * MIB);
    ask(f, "xp /xb 0x2000000", "0000000002000000: 0x00\n");
    wait_events(f, 1);
    g_assert_true(has_event(f, 0, "\"event\": \"MEMORY_FAILURE\""));
    g_ptr_array_set_size(f->events, 0);
    ask(f, "info status", "VM status: paused\n");
    ask(f, "cont", "Error: Resetting the Virtual Machine is required\n");
    shrink(f, MEMORY);
    reset_and_run(f);
}

/* The file stays too short for what a reset puts there: the machine stays stopped. */
static void test_a_reset_without_its_memory(Fixture *f, gconstpointer unused)
{
    shrink(f, 0);
    vm_fake_vcpu_stop(f->bench.machine->vcpus[0], VCPU_STOP_MEMORY, "no page");
    assert_stopped_by(f, "it has 0 bytes");
    ask(f, "system_reset", "");
    loop_turn(f->bench.loop, false);
    loop_turn(f->bench.loop, false);
    ask(f, "cont", "Error: Resetting the Virtual Machine is required\n");
    shrink(f, MEMORY);
    g_ptr_array_set_size(f->events, 0);
    reset_and_run(f);
}

static void test_a_page_that_nobody_uses(Fixture *f, gconstpointer unused)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = SIGBUS;
    info.si_code = BUS_MCEERR_AO;
    info.si_addr = memory_backend_ram(f->bench.machine->ram_object)->host + 5 * PAGE;
    info.si_addr_lsb = 12;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info);

    wait_events(f, 1);
    g_assert_true(has_event(f, 0, "\"action\": \"ignore\", \"flags\": "
                            "{\"action-required\": false, \"recursive\": false}, "
                            "\"x-memory\": \"mem\", \"x-offset\": 20480, \"x-pages\": 0, "
                            "\"x-reason\": \"the hardware has lost a page\""));
    ask(f, "info status", "VM status: running\n");
}

static void add(const char *path, void (*fn)(Fixture *f, gconstpointer unused))
{
    g_test_add(path, Fixture, NULL, setup, fn, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    add("/memory-failure/a-thread-of-ours-meets-it", test_a_thread_of_ours_meets_it);
    add("/memory-failure/a-vcpu-meets-it", test_a_vcpu_meets_it);
    add("/memory-failure/a-stopped-machine-needs-a-reset",
        test_a_stopped_machine_needs_a_reset);
    add("/memory-failure/a-reset-without-its-memory", test_a_reset_without_its_memory);
    add("/memory-failure/a-page-that-nobody-uses", test_a_page_that_nobody_uses);
    return g_test_run();
}
