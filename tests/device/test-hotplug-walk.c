/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of device_add, from a client's bytes to the interrupt at the guest and back to
 * the client: what it costs, and that devices which come and go leave nothing behind.
 *
 * This program's write(2), malloc(3) and free(3) look on.  Time is that of the processor,
 * the best of several walks: what else a machine does is not counted.
 */
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "berth/monitor.h"
#include "berth/pcihp.h"
#include "berth/timer.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "alloc-counter.h"
#include "call-counter.h"
#include "kit-pci.h"
#include "kit-qmp.h"

#define MESSAGE 0x50u
#define MAX_FRAMES 128
#define WALKS 20u
#define WARM_UP 20u
#define PAIRS 500u
#define RUNS 5u
#define LEAST_PAIRS 2000u       /* a second */
#define MOST_NS (2 * NS_PER_MS) /* to the interrupt */

/* From the loop to the interrupt; where nothing is inlined there are more. */
#define MOST_FRAMES (ALLOC_COUNTER ? 16 : 32)

/* A client of a monitor, and a port with a guest that waits for what comes into it. */
typedef struct Fixture {
    KitBoard *kit;
    KitQmp *qmp;
    Monitor *monitor;
    int client;
    IrqLine gpe;
} Fixture;

/* The walk that is looked at. */
static struct {
    KitBoard *kit;              /* NULL: none */
    bool by_gpe;
    int64_t began_ns;
    int base;                   /* frames of the test itself */
    unsigned n_interrupts;
    int n_frames;               /* at the first, and the time until then */
    int64_t ns;
} walk;

static int64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static int count_frames(void)
{
    void *frames[MAX_FRAMES];

    return backtrace(frames, MAX_FRAMES);
}

static void note_interrupt(void)
{
    if (walk.n_interrupts++ > 0)
        return;
    walk.ns = cpu_ns() - walk.began_ns;
    walk.n_frames = count_frames() - walk.base;
}

/* What fires an irqfd, and all else. */
ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t ret = syscall(SYS_write, fd, data, size);
    bool counts;

    if (!walk.kit || walk.by_gpe)
        return ret;
    counts = call_counter_switch(false);
    while (walk.n_interrupts < kit_msix_count(walk.kit, MESSAGE))
        note_interrupt();
    call_counter_switch(counts);
    return ret;
}

static void on_gpe(void *opaque, unsigned n, bool level)
{
    bool counts = call_counter_switch(false);

    if (walk.kit && level)
        note_interrupt();
    call_counter_switch(counts);
}

static void start_driver(Fixture *f)
{
    KitPci port = kit_pci(f->kit, device_find(&f->kit->tree, "port"));
    unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);

    kit_msix_enable(&port, true);
    kit_msix_program(&port, 0, MESSAGE);
    kit_pci_write(&port, cap + PCI_EXP_SLTCTL, 2, PCI_EXP_SLTCTL_HPIE |
                  PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_DLLSCE);
}

/* The guest has seen what came or went. */
static void acknowledge(Fixture *f)
{
    KitPci port = kit_pci(f->kit, device_find(&f->kit->tree, "port"));
    unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);

    kit_pci_write(&port, cap + PCI_EXP_SLTSTA, 2,
                  PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
}

/* Sends, and turns main's loop once; true when the reply is there then. */
static bool ask(Fixture *f, const char *text)
{
    static char reply[4096];
    bool replied;
    ssize_t n;

    n = (ssize_t)strlen(text);
    g_assert_cmpint(send(f->client, text, (size_t)n, 0), ==, n);
    walk.base = count_frames();
    walk.began_ns = cpu_ns();
    call_counter_switch(true);
    loop_turn(f->kit->loop, true);
    call_counter_switch(false);
    n = recv(f->client, reply, sizeof(reply) - 1, 0);
    replied = n > 0;
    reply[replied ? n : 0] = 0;
    g_assert_null(strstr(reply, "\"error\""));
    return replied;
}

static void set_up(Fixture *f, gconstpointer by_acpi)
{
    PciSlotsBus buses[PCIHP_MAX_BUSES];
    GError *error = NULL;
    Device *hp;

    f->kit = kit_board_new();
    irq_line_init(&f->gpe, on_gpe, f, X86_GPE_PCI_HOTPLUG);
    f->kit->board.gpes[X86_GPE_PCI_HOTPLUG] = &f->gpe;
    hp = by_acpi ? pcihp_add(&f->kit->tree, NULL) : NULL;
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    kit_add_node(f->kit, "{'driver': 'null-co', 'node-name': 'n', 'size': 65536}");
    kit_add_netdev(f->kit, "{'type': 'null', 'id': 'nn'}");
    if (hp)
        g_assert_cmpuint(pcihp_take_slots(hp, buses), ==, 1);
    f->qmp = kit_qmp_new(f->kit);
    f->client = kit_add_chardev(f->kit, "mon");
    f->monitor = monitor_new(char_find(f->kit->chars, "mon"), &qmp_language, &f->qmp->ctx,
                             &error);
    g_assert_no_error(error);
    kit_start(f->kit);
    if (!by_acpi)
        start_driver(f);
    while (recv(f->client, (char[512]) { 0 }, 512, 0) <= 0)
        loop_turn(f->kit->loop, true);
    g_assert_true(ask(f, "{'execute': 'qmp_capabilities'}"));
}

static void tear_down(Fixture *f, gconstpointer by_acpi)
{
    walk.kit = NULL;
    close(f->client);
    monitor_free(f->monitor);
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
}

#define RNG "{'execute': 'device_add', 'arguments': {'driver': 'virtio-rng-pci', "      \
            "'id': 'd', 'bus': 'port'}}\n"
#define BLK "{'execute': 'device_add', 'arguments': {'driver': 'virtio-blk-pci', "      \
            "'id': 'd', 'bus': 'port', 'drive': 'n'}}\n"
#define NET "{'execute': 'device_add', 'arguments': {'driver': 'virtio-net-pci', "      \
            "'id': 'd', 'bus': 'port', 'netdev': 'nn'}}\n"
#define FORCE "{'execute': 'x-device-del-force', 'arguments': {'id': 'd'}}\n"

/* What a walk costs at most; the hypervisor is asked for nothing. */
typedef struct Row {
    const char *name;
    const char *add;
    unsigned allocations;
    unsigned calls;             /* and one that fires an irqfd */
} Row;

static const Row rows[] = {
    { "virtio-rng-pci", RNG, 56, 3 },
    { "virtio-blk-pci", BLK, 84, 4 },
    { "virtio-net-pci", NET, 70, 3 },
};

/* The device comes, in one turn of main's loop, and goes. */
static void walk_once(Fixture *f, const Row *row, bool by_acpi)
{
    memset(&walk, 0, sizeof(walk));
    vm_fake_clear(f->kit->vm);
    walk.by_gpe = by_acpi;
    walk.kit = f->kit;
    g_assert_true(ask(f, row->add));
    walk.kit = NULL;
}

static void take_out(Fixture *f)
{
    g_assert_true(ask(f, FORCE));
    acknowledge(f);
}

static void look_at_walks(Fixture *f, const Row *row, bool by_acpi)
{
    bool counts = call_counter_begin();
    int64_t best_ns = INT64_MAX;
    unsigned allocations = 0, calls = 0;

    for (unsigned n = 0; n < WALKS; n++) {
        VmFakeCalls before = vm_fake_calls(f->kit->vm), after;

        allocations = alloc_counter_blocks();
        call_counter_take();
        walk_once(f, row, by_acpi);
        allocations = alloc_counter_blocks() - allocations;
        calls = call_counter_take();
        best_ns = MIN(best_ns, walk.ns);
        after = vm_fake_calls(f->kit->vm);
        g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
        g_assert_cmpuint(walk.n_interrupts, ==, 1);
        g_assert_cmpint(walk.n_frames, >, 0);
        g_assert_cmpint(walk.n_frames, <=, MOST_FRAMES);
        take_out(f);
    }
    if (counts)
        call_counter_end();
    g_test_message("%s: %.1f us and %d frames to the interrupt, %u allocations, %u calls",
                   row->name, (double)best_ns / 1e3, walk.n_frames, allocations, calls);
    g_assert_cmpint(best_ns, <=, MOST_NS);
    /* Of the last, which found all warm. */
    if (counts) {
        g_assert_cmpuint(calls, >, 0);
        g_assert_cmpuint(calls, <=, row->calls + !by_acpi);
    }
    if (ALLOC_COUNTER) {
        g_assert_cmpuint(allocations, >, 0);
        g_assert_cmpuint(allocations, <=, row->allocations);
    }
}

static void test_walk(Fixture *f, gconstpointer by_acpi)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        look_at_walks(f, &rows[i], by_acpi);
}

/* Pairs in a row: how many a second of the processor, in the best of some runs. */
static double count_pairs(Fixture *f, const Row *row)
{
    int64_t best_ns = INT64_MAX;

    for (unsigned run = 0; run < RUNS; run++) {
        int64_t began_ns = cpu_ns();

        for (unsigned n = 0; n < PAIRS; n++) {
            g_assert_true(ask(f, row->add));
            g_assert_true(ask(f, FORCE));
        }
        best_ns = MIN(best_ns, cpu_ns() - began_ns);
    }
    return (double)PAIRS * 1e9 / (double)best_ns;
}

static void test_pairs(Fixture *f, gconstpointer by_acpi)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *before = NULL;
        g_autofree char *after = NULL;
        unsigned live;
        double rate;

        for (unsigned n = 0; n < WARM_UP; n++) {
            g_assert_true(ask(f, rows[i].add));
            g_assert_true(ask(f, FORCE));
        }
        before = kit_dump(f->kit);
        live = alloc_counter_live();
        rate = count_pairs(f, &rows[i]);
        g_assert_cmpuint(alloc_counter_live(), ==, live);
        after = kit_dump(f->kit);
        g_assert_cmpstr(before, ==, after);
        g_test_message("%s: %.0f pairs a second", rows[i].name, rate);
        g_assert_cmpfloat(rate, >=, LEAST_PAIRS);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, by_acpi, fn) \
    g_test_add("/hotplug-walk/" path, Fixture, by_acpi, set_up, fn, tear_down)
    ADD("by-port", NULL, test_walk);
    ADD("by-acpi", "", test_walk);
    ADD("pairs-by-port", NULL, test_pairs);
    ADD("pairs-by-acpi", "", test_pairs);
    return g_test_run();
}
