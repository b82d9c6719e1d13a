/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole q35 on the fake hypervisor: what a kernel finds at start, and that a reset
 * brings it all back.
 */
#include <string.h>

#include "berth/char.h"
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/qmp.h"
#include "berth/vm-fake.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#define KERNEL "tests/fuzz/seeds/kernel/elf64"

typedef struct Rig {
    Loop *loop;
    CharSet *chars;
    QmpEvents *events;
    Cmdline *cmdline;
    Machine *machine;
} Rig;

static char *const argv[] = {
    "berth", "-machine", "q35", "-nodefaults", "-no-shutdown", "-m", "3G", "-smp", "2",
    "-kernel", KERNEL, "-append", "quiet", "-serial", "null", "-device", "isa-debug-exit",
    "-device", "virtio-rng-pci,id=rng0", "-device", "pcie-root-port,id=port,chassis=1",
    "-device", "virtio-rng-pci,bus=port,id=rng1",
};

static void rig_init(Rig *rig)
{
    g_autoptr(GError) error = NULL;

    rig->loop = loop_new("main", THREAD_MAIN, &error);
    g_assert_no_error(error);
    rig->chars = char_set_new(rig->loop);
    rig->events = qmp_events_new();
    rig->cmdline = cmdline_parse(G_N_ELEMENTS(argv), (char **)argv, &error);
    g_assert_no_error(error);
    rig->machine = machine_new(rig->cmdline, rig->loop, rig->chars, rig->events,
                               vm_fake_new(), &error);
    g_assert_no_error(error);
    g_assert_true(machine_start(rig->machine, &error));
    g_assert_no_error(error);
}

static void rig_done(Rig *rig)
{
    machine_free(rig->machine);
    cmdline_free(rig->cmdline);
    qmp_events_free(rig->events);
    char_set_free(rig->chars);
    loop_free(rig->loop);
}

static uint64_t peek(Rig *rig, uint64_t gpa, unsigned size)
{
    return vm_fake_read(rig->machine->vm, rig->machine->memory, gpa, size);
}

static uint64_t config(unsigned bus, unsigned slot, unsigned offset)
{
    return X86_ECAM_BASE + (bus << 20) + (slot << 15) + offset;
}

static GByteArray *save(Rig *rig)
{
    GByteArray *state = g_byte_array_new();

    runstate_stop(&rig->machine->run, RUN_STATE_PAUSED);
    device_tree_save(&rig->machine->tree, state);
    return state;
}

/* All devices but the RTC, whose time goes on. */
static GByteArray *save_but_rtc(Rig *rig)
{
    GByteArray *state = g_byte_array_new();

    runstate_stop(&rig->machine->run, RUN_STATE_PAUSED);
    LIST_FOREACH(node, &rig->machine->tree.devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class->vmstate && strcmp(dev->class->name, "mc146818rtc") != 0)
            vmstate_save(state, dev->class->vmstate, dev);
    }
    return state;
}

static void test_kernel_finds_tables_and_resources(void)
{
    Rig rig;
    uint8_t rsdp[8];

    rig_init(&rig);

    g_assert_true(address_space_read(rig.machine->memory, X86_BIOS_AREA_BASE, rsdp, 8));
    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmphex(peek(&rig, config(0, 0, 0), 4), ==, 0x29c08086);
    g_assert_cmphex(peek(&rig, config(0, 31, 0), 4), ==, 0x29188086);
    g_assert_cmphex(peek(&rig, config(0, 1, 0), 4), ==, 0x10441af4);
    g_assert_cmphex(peek(&rig, config(1, 0, 0), 4), ==, 0x10441af4);
    g_assert_cmphex(peek(&rig, config(0, 1, 4), 2) & 2, ==, 2);
    g_assert_cmphex(peek(&rig, config(0, 1, 0x20), 4) & ~0xfull, !=, 0);

    rig_done(&rig);
}

static void test_memory_goes_on_at_four_gib(void)
{
    static const char text[] = "above";
    char back[sizeof(text)];
    Rig rig;

    rig_init(&rig);

    g_assert_true(address_space_write(rig.machine->memory, X86_HIGH_RAM_BASE, text,
                                      sizeof(text)));
    g_assert_true(address_space_read(rig.machine->memory, X86_HIGH_RAM_BASE, back,
                                     sizeof(back)));
    g_assert_cmpstr(back, ==, text);
    g_assert_cmpmem(rig.machine->ram->host + X86_LOW_RAM_MAX, sizeof(text), text,
                    sizeof(text));
    g_assert_null(address_space_map(rig.machine->memory, X86_LOW_RAM_MAX, 1, false));

    rig_done(&rig);
}

/*
 * Registers of the board and of every function, at all widths; not the RTC's, whose
 * memory and time a battery keeps over a reset.
 */
static void scribble(Rig *rig, GRand *rand)
{
    static const uint16_t ports[] = {
        X86_PORT_COM1, X86_PORT_KBC_DATA, X86_PORT_PCI_ADDRESS, X86_PORT_PCI_DATA,
        X86_PM_BASE + X86_PM_GPE0, X86_PORT_FW_CFG, X86_PORT_POST,
    };
    Machine *machine = rig->machine;

    for (unsigned i = 0; i < 20000; i++) {
        unsigned size = 1u << g_rand_int_range(rand, 0, 3);
        uint32_t value = g_rand_int(rand);
        uint32_t devfn = (uint32_t)g_rand_int_range(rand, 0, 256);

        if (i % 2) {
            uint16_t port = ports[value % G_N_ELEMENTS(ports)];

            port += (uint16_t)g_rand_int_range(rand, 0, 8);
            if (port != X86_PORT_RESET && port + size <= X86_PORT_RESET + 3)
                vm_fake_write(machine->vm, machine->io, port, size, value);
        } else {
            vm_fake_write(machine->vm, machine->memory,
                          X86_ECAM_BASE + ((value & 1) << 20) + (devfn << 12) +
                              (g_rand_int(rand) & 0xfc), size, g_rand_int(rand));
        }
    }
}

static void test_reset_brings_every_device_back(void)
{
    g_autoptr(GByteArray) before = NULL;
    g_autoptr(GByteArray) dirty = NULL;
    g_autoptr(GByteArray) after = NULL;
    GRand *rand = g_rand_new_with_seed(1);
    Rig rig;

    rig_init(&rig);
    before = save_but_rtc(&rig);
    scribble(&rig, rand);
    dirty = save_but_rtc(&rig);

    runstate_request_reset(&rig.machine->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    loop_turn(rig.loop, false);
    after = save_but_rtc(&rig);

    g_assert_cmpint(rig.machine->run.state, ==, RUN_STATE_PRELAUNCH);
    g_assert_cmpuint(dirty->len, ==, before->len);
    g_assert_cmpint(memcmp(dirty->data, before->data, before->len), !=, 0);
    g_assert_cmpmem(after->data, after->len, before->data, before->len);

    g_rand_free(rand);
    rig_done(&rig);
}

static void test_state_goes_from_one_machine_to_another(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GByteArray) again = NULL;
    GRand *rand = g_rand_new_with_seed(2);
    Rig source, target;

    rig_init(&source);
    rig_init(&target);
    scribble(&source, rand);
    saved = save(&source);
    runstate_stop(&target.machine->run, RUN_STATE_PAUSED);

    g_assert_true(
        device_tree_load(&target.machine->tree, saved->data, saved->len, &error));
    g_assert_no_error(error);
    again = save(&target);

    g_assert_cmpmem(again->data, again->len, saved->data, saved->len);

    g_rand_free(rand);
    rig_done(&source);
    rig_done(&target);
}

/* What a device does on vCPU 1 while that accesses its register. */
static void tell_panic(void *opaque)
{
    Machine *machine = opaque;
    const GuestPanicInformation info = { .u.hyper_v.arg1 = 7 };

    machine->board.ops->guest_panicked(machine, &info);
}

static void suspend(void *opaque)
{
    Machine *machine = opaque;

    machine->board.ops->request_suspend(machine);
}

static void on_vcpu(Rig *rig, VmFakeExitFn *fn, RunState expected)
{
    gint64 end = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;

    vm_fake_vcpu_exit(rig->machine->vcpus[1], fn, rig->machine);
    while (rig->machine->run.state != expected && g_get_monotonic_time() < end)
        loop_turn(rig->loop, false);
    g_assert_cmpint(rig->machine->run.state, ==, expected);
}

static void test_panic_stops_the_machine(void)
{
    Rig rig;

    rig_init(&rig);

    on_vcpu(&rig, tell_panic, RUN_STATE_GUEST_PANICKED);
    for (unsigned i = 0; i < 2; i++)
        vcpu_wait_paused(rig.machine->vcpus[i]);

    g_assert_true(runstate_start(&rig.machine->run, NULL));
    rig_done(&rig);
}

static void test_panic_that_does_nothing_leaves_the_vcpus_running(void)
{
    const ActionOptions actions = { .has_panic = true, .panic = PANIC_ACTION_NONE };
    Rig rig;

    rig_init(&rig);
    runstate_set_action(&rig.machine->run, &actions);

    tell_panic(rig.machine);
    vcpu_wait_paused(rig.machine->vcpus[1]);
    loop_turn(rig.loop, false);
    /* A vCPU that was left paused would never come to this. */
    on_vcpu(&rig, suspend, RUN_STATE_SUSPENDED);

    rig_done(&rig);
}

static void test_suspended_machine_has_lost_its_devices(void)
{
    Machine *machine;
    Rig rig;

    rig_init(&rig);
    machine = rig.machine;
    vm_fake_write(machine->vm, machine->memory, 0x5000, 4, 0x12345678);

    on_vcpu(&rig, suspend, RUN_STATE_SUSPENDED);

    g_assert_cmphex(peek(&rig, config(0, 1, 4), 2), ==, 0);
    g_assert_cmphex(peek(&rig, 0x5000, 4), ==, 0x12345678);
    g_assert_true(machine->tree.running);
    rig_done(&rig);
}

static void test_nmi_comes_to_every_vcpu(void)
{
    Rig rig;

    rig_init(&rig);
    runstate_stop(&rig.machine->run, RUN_STATE_PAUSED);

    rig.machine->board.ops->inject_nmi(rig.machine);
    loop_turn(rig.loop, false);

    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpuint(vm_fake_vcpu_nmis(rig.machine->vcpus[i]), ==, 1);
    rig_done(&rig);
}

int main(int argc, char **argv_)
{
    g_test_init(&argc, &argv_, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/machine/kernel-finds-tables-and-resources",
                    test_kernel_finds_tables_and_resources);
    g_test_add_func("/machine/memory-goes-on-at-four-gib",
                    test_memory_goes_on_at_four_gib);
    g_test_add_func("/machine/reset-brings-every-device-back",
                    test_reset_brings_every_device_back);
    g_test_add_func("/machine/state-goes-from-one-machine-to-another",
                    test_state_goes_from_one_machine_to_another);
    g_test_add_func("/machine/panic-stops-the-machine", test_panic_stops_the_machine);
    g_test_add_func("/machine/panic-that-does-nothing-leaves-the-vcpus-running",
                    test_panic_that_does_nothing_leaves_the_vcpus_running);
    g_test_add_func("/machine/suspended-machine-has-lost-its-devices",
                    test_suspended_machine_has_lost_its_devices);
    g_test_add_func("/machine/nmi-comes-to-every-vcpu", test_nmi_comes_to_every_vcpu);
    return g_test_run();
}
