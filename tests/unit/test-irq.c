/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and messages on the fake hypervisor.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "berth/irqchip.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#define ADDR 0xfee00000

static void test_gsi_line_sets_level(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    IrqLine *line = vm_gsi_line(vm, 4);

    irq_raise(line);
    irq_raise(line);

    g_assert_true(vm_fake_gsi_level(vm, 4));
    g_assert_cmpuint(vm_fake_gsi_edges(vm, 4), ==, 1);
    irq_lower(line);
    g_assert_false(vm_fake_gsi_level(vm, 4));
    irq_pulse(line);
    g_assert_cmpuint(vm_fake_gsi_edges(vm, 4), ==, 2);
    irq_pulse(NULL);
}

static void test_message_arrives(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    MsiRoute route;

    g_assert_true(msi_route_init(&route, vm, NULL));
    g_assert_cmpint(msi_route_set(&route, ADDR, 0x41), ==, 0);
    msi_route_fire(&route);
    msi_route_fire(&route);

    g_assert_cmpuint(vm_fake_msi_count(vm, ADDR, 0x41), ==, 2);
    msi_route_done(&route);
}

static void test_fired_before_a_change_goes_to_the_old_message(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    MsiRoute route;

    g_assert_true(msi_route_init(&route, vm, NULL));
    msi_route_set(&route, ADDR, 0x41);
    msi_route_fire(&route);
    msi_route_set(&route, ADDR, 0x42);
    msi_route_fire(&route);

    g_assert_cmpuint(vm_fake_msi_count(vm, ADDR, 0x41), ==, 1);
    g_assert_cmpuint(vm_fake_msi_count(vm, ADDR, 0x42), ==, 1);
    g_assert_cmpuint(vm_fake_msi_total(vm), ==, 2);
    msi_route_done(&route);
}

static void test_same_message_costs_nothing(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    MsiRoute route;

    g_assert_true(msi_route_init(&route, vm, NULL));
    msi_route_set(&route, ADDR, 0x41);
    msi_route_set(&route, ADDR, 0x41);

    g_assert_cmpuint(vm_fake_calls(vm).set_routes, ==, 1);
    g_assert_cmpuint(vm_fake_calls(vm).irqfd_add, ==, 1);
    msi_route_done(&route);
    g_assert_cmpuint(vm_fake_calls(vm).irqfd_del, ==, 1);
}

static void test_many_messages_are_one_change(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    MsiRoute routes[5];
    MsiRoute *lent[5];
    MsiMessage messages[5];

    for (unsigned i = 0; i < 5; i++) {
        g_assert_true(msi_route_init(&routes[i], vm, NULL));
        lent[i] = &routes[4 - i];
        messages[i] = (MsiMessage){ ADDR, 4 - i };
    }

    g_assert_cmpint(msi_route_set_many(lent, messages, 5), ==, 0);
    for (unsigned i = 0; i < 5; i++)
        msi_route_fire(&routes[i]);

    g_assert_cmpuint(vm_fake_calls(vm).set_routes, ==, 1);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpuint(vm_fake_msi_count(vm, ADDR, i), ==, 1);
        msi_route_done(&routes[i]);
    }
}

static void test_gsis_are_used_again(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    MsiRoute first, second, third;

    g_assert_true(msi_route_init(&first, vm, NULL));
    g_assert_true(msi_route_init(&second, vm, NULL));
    g_assert_cmpint(first.gsi, >=, 24);
    g_assert_cmpint(second.gsi, !=, first.gsi);
    int gsi = first.gsi;

    msi_route_done(&first);
    msi_route_done(&first);
    g_assert_true(msi_route_init(&third, vm, NULL));

    g_assert_cmpint(third.gsi, ==, gsi);
    msi_route_done(&second);
    msi_route_done(&third);
}

static void test_refused_message_leaves_the_old_one(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    MsiRoute route;

    g_assert_true(msi_route_init(&route, vm, NULL));
    msi_route_set(&route, ADDR, 0x41);
    vm_fake_fail_nth(vm, 1, -ENOMEM);

    g_assert_cmpint(msi_route_set(&route, ADDR, 0x42), ==, -ENOMEM);
    msi_route_fire(&route);

    g_assert_cmpuint(vm_fake_msi_count(vm, ADDR, 0x41), ==, 1);
    g_assert_cmpint(msi_route_set(&route, ADDR, 0x42), ==, 0);
    msi_route_done(&route);
}

static void test_running_out_is_an_error(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    g_autoptr(GError) error = NULL;
    struct rlimit saved, none;
    MsiRoute route;

    getrlimit(RLIMIT_NOFILE, &saved);
    none = (struct rlimit){ .rlim_cur = 0, .rlim_max = saved.rlim_max };
    setrlimit(RLIMIT_NOFILE, &none);
    bool ok = msi_route_init(&route, vm, &error);
    setrlimit(RLIMIT_NOFILE, &saved);

    g_assert_false(ok);
    g_assert_nonnull(strstr(error->message, "eventfd"));
    msi_route_done(&route);
}

static void test_every_gsi_can_have_its_message(void)
{
    g_autoptr(Vm) vm = vm_fake_new();
    g_autoptr(GArray) routes = g_array_new(FALSE, FALSE, sizeof(MsiRoute));
    g_autofree MsiRoute **lent = NULL;
    g_autofree MsiMessage *messages = NULL;
    struct rlimit limit;
    MsiRoute route;
    int err;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < 5000) {
        g_test_skip("too few descriptors");
        return;
    }
    while (msi_route_init(&route, vm, NULL))
        g_array_append_val(routes, route);
    g_assert_cmpuint(routes->len, >, 4000);
    lent = g_new(MsiRoute *, routes->len);
    messages = g_new0(MsiMessage, routes->len);
    for (unsigned i = 0; i < routes->len; i++)
        lent[i] = &g_array_index(routes, MsiRoute, i);

    err = msi_route_set_many(lent, messages, routes->len);

    g_assert_cmpint(err, ==, 0);
    for (unsigned i = 0; i < routes->len; i++)
        msi_route_done(&g_array_index(routes, MsiRoute, i));
}

static void note_level(void *opaque, unsigned n, bool level)
{
    g_string_append_printf(opaque, "%u%c ", n, level ? '+' : '-');
}

static bool nothing_requested(void *opaque, uint8_t *ret_vector)
{
    return false;
}

static bool is_masked(void *opaque, unsigned pin)
{
    return pin == 3 || pin == 17;
}

static void test_chips_in_user_space_are_wired_as_a_pc(void)
{
    g_autoptr(Vm) vm = vm_fake_new_split();
    g_autoptr(GString) pic_text = g_string_new(NULL);
    g_autoptr(GString) ioapic_text = g_string_new(NULL);
    VmPic pic = { .acknowledge = nothing_requested, .is_masked = is_masked };
    VmIoapic ioapic = { .is_masked = is_masked };

    for (unsigned i = 0; i < IRQCHIP_PIC_PINS; i++)
        irq_line_init(&pic.pins[i], note_level, pic_text, i);
    for (unsigned i = 0; i < IRQCHIP_IOAPIC_PINS; i++)
        irq_line_init(&ioapic.pins[i], note_level, ioapic_text, i);
    irq_raise(vm_gsi_line(vm, 4));                      /* nobody is there */
    irqchip_set_pic(vm, &pic);
    irqchip_set_ioapic(vm, &ioapic);

    irq_pulse(vm_gsi_line(vm, 0));
    irq_raise(vm_gsi_line(vm, 2));
    irq_raise(vm_gsi_line(vm, 15));
    irq_lower(vm_gsi_line(vm, 23));

    g_assert_cmpstr(pic_text->str, ==, "0+ 0- 15+ ");
    g_assert_cmpstr(ioapic_text->str, ==, "2+ 2- 15+ 23- ");
    g_assert_true(irqchip_is_masked(vm, 3));
    g_assert_false(irqchip_is_masked(vm, 0));
    g_assert_true(irqchip_is_masked(vm, 17));
}

static void test_routes_of_pins_are_reserved(void)
{
    g_autoptr(Vm) vm = vm_fake_new_split();
    MsiMessage pins[IRQCHIP_IOAPIC_PINS] = { [9] = { ADDR, 0xc051 } };
    MsiMessage message;
    MsiRoute route;

    g_assert_true(msi_route_init(&route, vm, NULL));
    g_assert_cmpint(route.gsi, ==, IRQCHIP_IOAPIC_PINS);
    g_assert_cmpint(msi_route_set(&route, ADDR, 0x41), ==, 0);
    g_assert_cmpint(irqchip_set_routes(vm, pins), ==, 0);
    g_assert_true(vm_fake_pin_route(vm, 9, &message));
    g_assert_cmphex(message.data, ==, 0xc051);

    vm_fake_fail_nth(vm, 1, -ENOMEM);
    pins[9].addr = 0;
    g_assert_cmpint(irqchip_set_routes(vm, pins), ==, -ENOMEM);
    g_assert_true(vm_fake_pin_route(vm, 9, &message));
    g_assert_cmpint(irqchip_set_routes(vm, pins), ==, 0);
    g_assert_false(vm_fake_pin_route(vm, 9, &message));

    msi_route_fire(&route);
    vm_send_msi(vm, &(MsiMessage) { ADDR, 0x41 });
    g_assert_cmpuint(vm_fake_msi_count(vm, ADDR, 0x41), ==, 2);
    msi_route_done(&route);
}

static const CpuTopology small = { 2, 2, 1, 1, 2, 1 };
static const CpuTopology large = { 2, 300, 1, 1, 300, 1 };

static CpuModel *make_model(Vm *vm, const char *text, const CpuTopology *topology,
                            const char *expected_error)
{
    g_autoptr(GError) error = NULL;
    CpuModel *model = cpu_model_new(vm, text, topology, &error);

    if (expected_error) {
        g_assert_null(model);
        g_assert_nonnull(strstr(error->message, expected_error));
    } else {
        g_assert_no_error(error);
    }
    return model;
}

static void test_apic_ids_in_reach(void)
{
    g_autoptr(Vm) kernel = vm_fake_new();
    g_autoptr(Vm) split = vm_fake_new_split();

    g_assert_cmpuint(vm_max_vcpus(kernel), ==, 255);
    g_assert_cmpuint(vm_max_vcpus(split), ==, 4096);
    make_model(kernel, "host", &large, "use 'kernel-irqchip=split'");
    make_model(split, "host,x2apic=off", &large, "'x2apic'");
    make_model(split, "host", &(CpuTopology) { 2, 40000, 2, 1, 20000, 1 }, "32767");
    cpu_model_free(make_model(split, "host", &large, NULL));
}

/* What the fake was told of a message that the guest wrote as @addr. */
static uint64_t told_address(Vm *vm, uint64_t addr)
{
    MsiMessage message;
    unsigned count;
    MsiRoute route;

    vm_fake_clear(vm);
    g_assert_true(msi_route_init(&route, vm, NULL));
    g_assert_cmpint(msi_route_set(&route, addr, 0x41), ==, 0);
    msi_route_fire(&route);
    vm_send_msi(vm, &(MsiMessage) { addr, 0x41 });
    g_assert_true(vm_fake_msi(vm, 0, &message, &count));
    g_assert_cmpuint(count, ==, 2);
    msi_route_done(&route);
    return message.addr;
}

static void test_extended_destinations(void)
{
    g_autoptr(Vm) vm = vm_fake_new_split();
    g_autoptr(CpuModel) model = make_model(vm, "host", &large, NULL);

    g_assert_nonnull(model);
    /* APIC id 0x12b, and all fifteen bits. */
    g_assert_cmphex(told_address(vm, 0xfee2b020), ==, 0x100fee2b000);
    g_assert_cmphex(told_address(vm, 0xfeefffe4), ==, 0x7f00feeff004);
    g_assert_cmphex(told_address(vm, 0xfee2b000), ==, 0xfee2b000);
    /* One of interrupt remapping, and one with the bits above already. */
    g_assert_cmphex(told_address(vm, 0xfee2b030), ==, 0xfee2b030);
    g_assert_cmphex(told_address(vm, 0x200fee2b020), ==, 0x200fee2b020);
}

static void test_extended_destinations_are_agreed_upon(void)
{
    g_autoptr(Vm) kernel = vm_fake_new();
    g_autoptr(Vm) split = vm_fake_new_split();
    g_autoptr(CpuModel) plain = make_model(kernel, "host", &small, NULL);
    g_autoptr(CpuModel) off = NULL;
    g_autoptr(CpuModel) hidden = NULL;

    g_assert_nonnull(plain);
    g_assert_cmphex(told_address(kernel, 0xfee2b020), ==, 0xfee2b020);
    off = make_model(split, "host,-kvm-msi-ext-dest-id", &small, NULL);
    g_assert_cmphex(told_address(split, 0xfee2b020), ==, 0xfee2b020);
    hidden = make_model(split, "host,kvm=off", &small, NULL);
    g_assert_cmphex(told_address(split, 0xfee2b020), ==, 0xfee2b020);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/irq/gsi-line-sets-level", test_gsi_line_sets_level);
    g_test_add_func("/irq/message-arrives", test_message_arrives);
    g_test_add_func("/irq/fired-before-a-change-goes-to-the-old-message",
                    test_fired_before_a_change_goes_to_the_old_message);
    g_test_add_func("/irq/same-message-costs-nothing", test_same_message_costs_nothing);
    g_test_add_func("/irq/many-messages-are-one-change",
                    test_many_messages_are_one_change);
    g_test_add_func("/irq/gsis-are-used-again", test_gsis_are_used_again);
    g_test_add_func("/irq/refused-message-leaves-the-old-one",
                    test_refused_message_leaves_the_old_one);
    g_test_add_func("/irq/running-out-is-an-error", test_running_out_is_an_error);
    g_test_add_func("/irq/every-gsi-can-have-its-message",
                    test_every_gsi_can_have_its_message);
    g_test_add_func("/irq/chips-in-user-space-are-wired-as-a-pc",
                    test_chips_in_user_space_are_wired_as_a_pc);
    g_test_add_func("/irq/routes-of-pins-are-reserved",
                    test_routes_of_pins_are_reserved);
    g_test_add_func("/irq/apic-ids-in-reach", test_apic_ids_in_reach);
    g_test_add_func("/irq/extended-destinations", test_extended_destinations);
    g_test_add_func("/irq/extended-destinations-are-agreed-upon",
                    test_extended_destinations_are_agreed_upon);
    return g_test_run();
}
