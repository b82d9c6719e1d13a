/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The i8259 pair in user space on the fake hypervisor.
 */
#include <string.h>

#include "berth/i8259.h"
#include "berth/irqchip.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define MASTER X86_PORT_PIC_MASTER
#define SLAVE X86_PORT_PIC_SLAVE
#define EOI 0x20
#define NOTHING (-1)

/* Vectors 0x20 and 0x28, everything unmasked. */
static void init_pics(FakeBoard *fake, uint8_t icw4)
{
    static const uint16_t ports[] = { MASTER, SLAVE };

    for (unsigned i = 0; i < 2; i++) {
        fake_board_out(fake, ports[i], 1, 0x11);
        fake_board_out(fake, ports[i] + 1, 1, 0x20 + 8 * i);
        fake_board_out(fake, ports[i] + 1, 1, i ? 2 : 4);
        fake_board_out(fake, ports[i] + 1, 1, icw4);
    }
}

static FakeBoard *board_new(uint8_t icw4)
{
    FakeBoard *fake = fake_board_new_on(vm_fake_new_split());

    g_assert_nonnull(i8259_add(&fake->tree, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    init_pics(fake, icw4);
    return fake;
}

static void pulse(FakeBoard *fake, unsigned gsi)
{
    irq_pulse(vm_gsi_line(fake->vm, gsi));
}

/* The acknowledge cycle: the vector, NOTHING when none is requested. */
static int take(FakeBoard *fake)
{
    uint8_t vector;

    return vm_fake_take_extint(fake->vm, &vector) ? vector : NOTHING;
}

static void test_request_and_acknowledge(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);

    g_assert_cmpint(take(fake), ==, NOTHING);
    pulse(fake, 4);
    g_assert_true(vm_fake_extint(fake->vm));

    g_assert_cmpint(take(fake), ==, 0x24);
    g_assert_false(vm_fake_extint(fake->vm));
    pulse(fake, 4);
    g_assert_false(vm_fake_extint(fake->vm));
    fake_board_out(fake, MASTER, 1, EOI);

    g_assert_cmpint(take(fake), ==, 0x24);
}

static void test_priorities(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);

    pulse(fake, 5);
    pulse(fake, 3);
    pulse(fake, 12);
    pulse(fake, 8);

    g_assert_cmpint(take(fake), ==, 0x28);
    g_assert_cmpint(take(fake), ==, NOTHING);           /* 12 is below 8, 3 below 2 */
    pulse(fake, 0);
    g_assert_cmpint(take(fake), ==, 0x20);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpint(take(fake), ==, NOTHING);
    fake_board_out(fake, SLAVE, 1, EOI);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpint(take(fake), ==, 0x2c);
    fake_board_out(fake, SLAVE, 1, EOI);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpint(take(fake), ==, 0x23);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpint(take(fake), ==, 0x25);
}

static void test_masks(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);

    fake_board_out(fake, MASTER + 1, 1, 0x10);
    fake_board_out(fake, SLAVE + 1, 1, 0x01);
    pulse(fake, 4);
    pulse(fake, 8);
    g_assert_cmpint(take(fake), ==, NOTHING);
    g_assert_true(irqchip_is_masked(fake->vm, 4));
    g_assert_false(irqchip_is_masked(fake->vm, 5));
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0x10);

    fake_board_out(fake, MASTER + 1, 1, 0x00);
    g_assert_cmpint(take(fake), ==, 0x24);
    fake_board_out(fake, MASTER, 1, EOI);
    fake_board_out(fake, SLAVE + 1, 1, 0x00);
    g_assert_cmpint(take(fake), ==, 0x28);

    fake_board_out(fake, MASTER + 1, 1, 0x04);
    g_assert_true(irqchip_is_masked(fake->vm, 15));
}

static void test_withdrawn_request_is_not_spurious(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);
    uint8_t vector;

    pulse(fake, 10);
    g_assert_true(vm_fake_extint(fake->vm));
    fake_board_out(fake, SLAVE + 1, 1, 0xff);

    g_assert_false(vm_fake_extint(fake->vm));
    g_assert_false(vm_fake_take_extint(fake->vm, &vector));
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0);
}

static void test_level_by_elcr(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);
    IrqLine *line = vm_gsi_line(fake->vm, 11);

    fake_board_out(fake, X86_PORT_ELCR, 1, 0xff);
    fake_board_out(fake, X86_PORT_ELCR + 1, 1, 0xff);
    g_assert_cmphex(fake_board_in(fake, X86_PORT_ELCR, 1), ==, 0xf8);
    g_assert_cmphex(fake_board_in(fake, X86_PORT_ELCR + 1, 1), ==, 0xde);
    irq_raise(line);

    g_assert_cmpint(take(fake), ==, 0x2b);
    fake_board_out(fake, SLAVE, 1, EOI);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpint(take(fake), ==, 0x2b);
    irq_lower(line);
    fake_board_out(fake, SLAVE, 1, EOI);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpint(take(fake), ==, NOTHING);
}

static void test_auto_eoi_and_rotation(void)
{
    g_autoptr(FakeBoard) fake = board_new(3);

    fake_board_out(fake, MASTER, 1, 0x80);              /* rotate on automatic EOI */
    pulse(fake, 3);
    pulse(fake, 4);
    g_assert_cmpint(take(fake), ==, 0x23);
    pulse(fake, 3);
    g_assert_cmpint(take(fake), ==, 0x24);
    pulse(fake, 0);
    g_assert_cmpint(take(fake), ==, 0x20);
    g_assert_cmpint(take(fake), ==, 0x23);
    fake_board_out(fake, MASTER, 1, 0x0b);
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0);

    fake_board_out(fake, MASTER, 1, 0x00);
    fake_board_out(fake, MASTER, 1, 0xc5);              /* 5 is the lowest: 6, 7, 0 */
    pulse(fake, 0);
    pulse(fake, 6);
    g_assert_cmpint(take(fake), ==, 0x26);
    g_assert_cmpint(take(fake), ==, 0x20);
}

static void test_rotate_on_eoi(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);

    pulse(fake, 3);
    g_assert_cmpint(take(fake), ==, 0x23);
    fake_board_out(fake, MASTER, 1, 0xa0);              /* 3 is the lowest now */
    pulse(fake, 3);
    pulse(fake, 7);
    g_assert_cmpint(take(fake), ==, 0x27);
    fake_board_out(fake, MASTER, 1, 0x67);              /* specific EOI of 7 */
    g_assert_cmpint(take(fake), ==, 0x23);
    fake_board_out(fake, MASTER, 1, 0xe3);
    fake_board_out(fake, MASTER, 1, 0x0b);
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0);
}

static void test_special_mask_mode(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);

    pulse(fake, 3);
    g_assert_cmpint(take(fake), ==, 0x23);
    pulse(fake, 5);
    g_assert_cmpint(take(fake), ==, NOTHING);
    fake_board_out(fake, MASTER + 1, 1, 0x08);
    fake_board_out(fake, MASTER, 1, 0x68);

    g_assert_cmpint(take(fake), ==, 0x25);
    fake_board_out(fake, MASTER, 1, EOI);               /* ends 5: 3 is masked */
    fake_board_out(fake, MASTER, 1, 0x0b);
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0x08);
}

static void test_special_fully_nested_mode(void)
{
    g_autoptr(FakeBoard) fake = board_new(0x11);

    pulse(fake, 12);
    g_assert_cmpint(take(fake), ==, 0x2c);
    pulse(fake, 9);
    g_assert_cmpint(take(fake), ==, 0x29);
    pulse(fake, 13);
    g_assert_cmpint(take(fake), ==, NOTHING);
}

static void test_poll(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);

    fake_board_out(fake, MASTER, 1, 0x0c);
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0);
    pulse(fake, 6);
    fake_board_out(fake, MASTER, 1, 0x0c);
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0x86);
    g_assert_false(vm_fake_extint(fake->vm));
    fake_board_out(fake, MASTER, 1, 0x0b);
    g_assert_cmphex(fake_board_in(fake, MASTER, 1), ==, 0x40);
    g_assert_cmphex(fake_board_in(fake, MASTER + 1, 1), ==, 0x00);
}

static void test_init_words(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);

    fake_board_out(fake, MASTER + 1, 1, 0xff);
    pulse(fake, 4);
    /* One alone, level-triggered, without ICW4: two words. */
    fake_board_out(fake, MASTER, 1, 0x1a);
    fake_board_out(fake, MASTER + 1, 1, 0x47);
    g_assert_cmphex(fake_board_in(fake, MASTER + 1, 1), ==, 0);
    g_assert_cmpint(take(fake), ==, NOTHING);           /* the edge is forgotten */
    irq_raise(vm_gsi_line(fake->vm, 5));

    g_assert_cmpint(take(fake), ==, 0x45);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpint(take(fake), ==, 0x45);
}

static void count(void *opaque, bool ended)
{
    *(unsigned *)opaque += ended ? 1 : 100;
}

static void test_end_of_the_timer_is_told(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);
    unsigned n = 0;

    irqchip_listen(fake->vm, 0, count, &n);
    pulse(fake, 0);
    pulse(fake, 1);
    g_assert_cmpint(take(fake), ==, 0x20);
    g_assert_cmpuint(n, ==, 0);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpint(take(fake), ==, 0x21);
    fake_board_out(fake, MASTER, 1, EOI);
    g_assert_cmpuint(n, ==, 1);

    init_pics(fake, 3);
    pulse(fake, 0);
    g_assert_cmpint(take(fake), ==, 0x20);
    g_assert_cmpuint(n, ==, 2);

    fake_board_out(fake, MASTER + 1, 1, 0xfe);
    g_assert_cmpuint(n, ==, 2);
    fake_board_out(fake, MASTER + 1, 1, 0xff);
    g_assert_cmpuint(n, ==, 102);
}

static void test_saved_state(void)
{
    g_autoptr(FakeBoard) from = board_new(1);
    g_autoptr(FakeBoard) to = board_new(1);

    pulse(from, 3);
    g_assert_cmpint(take(from), ==, 0x23);
    pulse(from, 12);
    fake_board_out(from, SLAVE, 1, 0x11);
    pulse(from, 1);
    irq_raise(vm_gsi_line(from->vm, 5));

    fake_board_check_copy(from, to);

    g_assert_true(vm_fake_extint(to->vm));
    g_assert_cmpint(take(to), ==, 0x21);
    fake_board_out(to, SLAVE + 1, 1, 0x70);
    fake_board_out(to, SLAVE + 1, 1, 2);
    fake_board_out(to, SLAVE + 1, 1, 1);
    fake_board_out(to, MASTER, 1, EOI);
    fake_board_out(to, MASTER, 1, EOI);
    g_assert_cmpint(take(to), ==, 0x25);
}

static void test_hostile_state(void)
{
    g_autoptr(FakeBoard) fake = board_new(1);
    g_autoptr(GByteArray) state = g_byte_array_new();
    unsigned n_refused = 0;

    device_tree_pause(&fake->tree);
    device_tree_save(&fake->tree, state);
    for (unsigned i = 0; i < state->len; i++) {
        uint8_t kept = state->data[i];

        state->data[i] ^= 0xff;
        n_refused += !device_tree_load(&fake->tree, state->data, state->len, NULL);
        take(fake);
        state->data[i] = kept;
    }
    g_assert_cmpuint(n_refused, >, 20);
}

static void test_every_access_is_answered(void)
{
    static const uint16_t ports[] = { MASTER, SLAVE, X86_PORT_ELCR };
    g_autoptr(FakeBoard) fake = board_new(1);

    for (unsigned i = 0; i < 3000; i++) {
        fake_board_poke_ports(fake, ports[i % 3], 2, 10);
        irq_set(vm_gsi_line(fake->vm, (unsigned)g_test_rand_int_range(0, 16)),
                g_test_rand_bit());
        take(fake);
    }
    fake_board_check_copy(fake, fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/i8259/request-and-acknowledge", test_request_and_acknowledge);
    g_test_add_func("/i8259/priorities", test_priorities);
    g_test_add_func("/i8259/masks", test_masks);
    g_test_add_func("/i8259/withdrawn-request-is-not-spurious",
                    test_withdrawn_request_is_not_spurious);
    g_test_add_func("/i8259/level-by-elcr", test_level_by_elcr);
    g_test_add_func("/i8259/auto-eoi-and-rotation", test_auto_eoi_and_rotation);
    g_test_add_func("/i8259/rotate-on-eoi", test_rotate_on_eoi);
    g_test_add_func("/i8259/special-mask-mode", test_special_mask_mode);
    g_test_add_func("/i8259/special-fully-nested-mode", test_special_fully_nested_mode);
    g_test_add_func("/i8259/poll", test_poll);
    g_test_add_func("/i8259/init-words", test_init_words);
    g_test_add_func("/i8259/end-of-the-timer-is-told", test_end_of_the_timer_is_told);
    g_test_add_func("/i8259/saved-state", test_saved_state);
    g_test_add_func("/i8259/hostile-state", test_hostile_state);
    g_test_add_func("/i8259/every-access-is-answered", test_every_access_is_answered);
    return g_test_run();
}
