/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/serial_reg.h>
#include <string.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/serial.h"

#include "fake-board.h"

#define COM1 0x3f8
#define COM1_IRQ 4
#define FCR_ON (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8)

typedef struct Fixture {
    FakeBoard *board;
    int fd;                     /* the far end */
} Fixture;

static void fixture_init(Fixture *f)
{
    f->board = fake_board_new();
    f->fd = fake_board_add_chardev(f->board, "con");
    g_assert_nonnull(fake_board_add(f->board, "isa-serial,chardev=con,id=s0", NULL));
    device_tree_reset(&f->board->tree);
    device_tree_resume(&f->board->tree);
}

static void fixture_done(Fixture *f)
{
    fake_board_free(f->board);
    close(f->fd);
}

static uint8_t get(Fixture *f, unsigned reg)
{
    return fake_board_in(f->board, COM1 + reg, 1);
}

static void put(Fixture *f, unsigned reg, uint8_t value)
{
    fake_board_out(f->board, COM1 + reg, 1, value);
}

static bool irq(Fixture *f)
{
    return vm_fake_gsi_level(f->board->vm, COM1_IRQ);
}

/* What has come out so far. */
static size_t receive(Fixture *f, char *data, size_t size)
{
    ssize_t n = recv(f->fd, data, size, 0);

    return MAX(n, 0);
}

static void expect_output(Fixture *f, const char *text)
{
    char data[64];
    size_t n = receive(f, data, sizeof(data));

    g_assert_cmpmem(data, n, text, strlen(text));
}

static void send_text(Fixture *f, const char *text)
{
    g_assert_cmpint(send(f->fd, text, strlen(text), 0), ==, strlen(text));
    fake_board_turn(f->board);
}

static void test_registers_at_power_on(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(get(&f, UART_IER), ==, 0);
    g_assert_cmphex(get(&f, UART_IIR), ==, UART_IIR_NO_INT);
    g_assert_cmphex(get(&f, UART_LCR), ==, 0);
    g_assert_cmphex(get(&f, UART_MCR), ==, 0);
    g_assert_cmphex(get(&f, UART_LSR), ==, UART_LSR_THRE | UART_LSR_TEMT);
    g_assert_cmphex(get(&f, UART_MSR), ==, UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
    fixture_done(&f);
}

static void test_registers_keep_their_bits(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_IER, 0xff);
    g_assert_cmphex(get(&f, UART_IER), ==, 0x0f);
    put(&f, UART_MCR, 0xff);
    g_assert_cmphex(get(&f, UART_MCR), ==, 0x1f);
    put(&f, UART_SCR, 0xa5);
    g_assert_cmphex(get(&f, UART_SCR), ==, 0xa5);
    put(&f, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
    put(&f, UART_DLL, 0x00);
    put(&f, UART_DLM, 0x00);
    g_assert_cmphex(get(&f, UART_DLL) | get(&f, UART_DLM) << 8, ==, 0);
    put(&f, UART_DLL, 0x34);
    put(&f, UART_DLM, 0x12);
    g_assert_cmphex(get(&f, UART_DLL) | get(&f, UART_DLM) << 8, ==, 0x1234);
    put(&f, UART_LCR, UART_LCR_WLEN8);
    g_assert_cmphex(get(&f, UART_IER), ==, 0x0f);
    put(&f, UART_FCR, UART_FCR_ENABLE_FIFO);
    g_assert_cmphex(get(&f, UART_IIR) & 0xc0, ==, 0xc0);
    put(&f, UART_FCR, 0);
    g_assert_cmphex(get(&f, UART_IIR) & 0xc0, ==, 0);
    fixture_done(&f);
}

static void test_polled_output_leaves_at_once(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_TX, 'a');
    expect_output(&f, "a");
    g_assert_cmphex(get(&f, UART_LSR), ==, UART_LSR_THRE | UART_LSR_TEMT);
    put(&f, UART_FCR, FCR_ON);
    put(&f, UART_TX, 'b');
    expect_output(&f, "b");
    g_assert_false(irq(&f));
    fixture_done(&f);
}

/* As Linux's interrupt handler writes: a burst, then it looks at IIR. */
static void test_interrupt_driven_output_leaves_in_bursts(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_FCR, FCR_ON);
    put(&f, UART_MCR, UART_MCR_OUT2);
    put(&f, UART_IER, UART_IER_THRI);
    g_assert_true(irq(&f));
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_THRI);
    g_assert_false(irq(&f));
    for (unsigned i = 0; i < 5; i++)
        put(&f, UART_TX, '0' + i);
    expect_output(&f, "");
    g_assert_true(irq(&f));
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_THRI);
    expect_output(&f, "01234");
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_NO_INT);

    for (unsigned i = 0; i < 16; i++)
        put(&f, UART_TX, 'a' + i);
    expect_output(&f, "abcdefghijklmnop");
    g_assert_true(irq(&f));
    fixture_done(&f);
}

static void test_a_held_burst_leaves_before_interrupts_are_disabled(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_FCR, FCR_ON);
    put(&f, UART_MCR, UART_MCR_OUT2);
    put(&f, UART_IER, UART_IER_THRI);
    put(&f, UART_TX, 'x');
    put(&f, UART_IER, 0);
    expect_output(&f, "x");
    put(&f, UART_IER, UART_IER_THRI);
    put(&f, UART_TX, 'y');
    device_tree_pause(&f.board->tree);
    expect_output(&f, "y");
    fixture_done(&f);
}

static void test_thre_is_withheld_while_the_far_end_is_full(void)
{
    g_autofree char *sink = g_malloc(1 << 20);
    size_t sent = 0, got = 0;
    Fixture f;

    fixture_init(&f);
    put(&f, UART_FCR, FCR_ON);
    put(&f, UART_MCR, UART_MCR_OUT2);
    while (get(&f, UART_LSR) & UART_LSR_THRE) {
        put(&f, UART_TX, sent++);
        g_assert_cmpuint(sent, <, 1 << 20);
    }
    put(&f, UART_IER, UART_IER_THRI);
    g_assert_false(irq(&f));
    for (unsigned i = 0; i < 40; i++)   /* 15 fit, the rest is lost as on a real one */
        put(&f, UART_TX, sent + i);
    sent += 15;
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_NO_INT);

    for (unsigned i = 0; i < 10000 && got < sent; i++) {
        size_t n = receive(&f, sink, 1 << 20);

        for (size_t j = 0; j < n; j++)
            g_assert_cmphex((uint8_t)sink[j], ==, (uint8_t)(got + j));
        got += n;
        fake_board_turn(f.board);
    }
    g_assert_cmpuint(got, ==, sent);
    g_assert_true(irq(&f));
    g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_THRE, ==, UART_LSR_THRE);
    fixture_done(&f);
}

static void test_input_interrupts_by_trigger_and_time_out(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_FCR, FCR_ON);
    put(&f, UART_MCR, UART_MCR_OUT2);
    put(&f, UART_IER, UART_IER_RDI);
    send_text(&f, "1234567");
    g_assert_true(irq(&f));
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_RX_TIMEOUT);
    send_text(&f, "8");
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_RDI);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_DR, ==, UART_LSR_DR);
        g_assert_cmphex(get(&f, UART_RX), ==, '1' + i);
    }
    g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_DR, ==, 0);
    g_assert_false(irq(&f));
    fixture_done(&f);
}

static void test_input_waits_for_room(void)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog.";
    char got[sizeof(text)] = "";
    size_t n = 0;
    Fixture f;

    fixture_init(&f);
    put(&f, UART_FCR, FCR_ON);
    send_text(&f, text);
    for (unsigned i = 0; i < 100 && n < strlen(text); i++) {
        while (get(&f, UART_LSR) & UART_LSR_DR)
            got[n++] = get(&f, UART_RX);
        fake_board_turn(f.board);
    }
    g_assert_cmpstr(got, ==, text);

    n = 0;
    put(&f, UART_FCR, 0);
    send_text(&f, text);
    for (unsigned i = 0; i < 100 && n < strlen(text); i++) {
        g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_DR, ==, UART_LSR_DR);
        got[n++] = get(&f, UART_RX);
        g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_DR, ==, 0);
        fake_board_turn(f.board);
    }
    g_assert_cmpstr(got, ==, text);
    fixture_done(&f);
}

static void test_iir_tells_by_priority(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_FCR, FCR_ON);
    put(&f, UART_IER, 0x0f);
    put(&f, UART_MCR, UART_MCR_LOOP);
    for (unsigned i = 0; i < 17; i++)
        put(&f, UART_TX, i);
    put(&f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);

    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_RLSI);
    g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_OE, ==, UART_LSR_OE);
    g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_OE, ==, 0);
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_RDI);
    put(&f, UART_FCR, FCR_ON | UART_FCR_CLEAR_RCVR);
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_THRI);
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_MSI);
    get(&f, UART_MSR);
    g_assert_cmphex(get(&f, UART_IIR) & 0x0f, ==, UART_IIR_NO_INT);
    fixture_done(&f);
}

/* What Linux asks to find out whether there is a port at all. */
static void test_loopback_shows_modem_lines(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
    g_assert_cmphex(get(&f, UART_MSR) & 0xf0, ==, UART_MSR_DCD | UART_MSR_CTS);
    put(&f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
    g_assert_cmphex(get(&f, UART_MSR), ==, UART_MSR_RI | UART_MSR_DSR | UART_MSR_DDCD |
                                           UART_MSR_DDSR | UART_MSR_DCTS);
    put(&f, UART_MCR, UART_MCR_LOOP | UART_MCR_DTR);
    g_assert_cmphex(get(&f, UART_MSR), ==, UART_MSR_DSR | UART_MSR_TERI);
    put(&f, UART_TX, 'q');
    g_assert_cmphex(get(&f, UART_RX), ==, 'q');
    expect_output(&f, "");
    send_text(&f, "kept");
    g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_DR, ==, 0);
    put(&f, UART_MCR, 0);
    fake_board_turn(f.board);
    g_assert_cmphex(get(&f, UART_RX), ==, 'k');
    fixture_done(&f);
}

static void test_interrupt_needs_out2(void)
{
    Fixture f;

    fixture_init(&f);
    put(&f, UART_IER, UART_IER_THRI);
    g_assert_false(irq(&f));
    put(&f, UART_MCR, UART_MCR_OUT2);
    g_assert_true(irq(&f));
    put(&f, UART_MCR, 0);
    g_assert_false(irq(&f));
    fixture_done(&f);
}

static void test_ports_are_given_out_in_order(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();
    static const uint16_t bases[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    static const unsigned irqs[] = { 4, 3, 4, 3 };
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < 4; i++) {
        Device *dev = fake_board_add(fake, "isa-serial", NULL);
        SerialPort port = serial_port(dev);

        g_assert_cmpuint(port.index, ==, i);
        g_assert_cmphex(port.iobase, ==, bases[i]);
        g_assert_cmpuint(port.irq, ==, irqs[i]);
    }
    g_assert_null(fake_board_add(fake, "isa-serial", &error));
    g_assert_nonnull(strstr(error->message, "index"));
}

static void test_what_cannot_be_is_refused(void)
{
    static const struct {
        const char *text;
        const char *named;
    } cases[] = {
        { "isa-serial,index=1", "'index'" },
        { "isa-serial,iobase=0x2fa", "'iobase'" },
        { "isa-serial,iobase=0xfff9", "'iobase'" },
        { "isa-serial,irq=9", "'irq'" },
        { "isa-serial,chardev=none", "'none'" },
        { "isa-serial,chardev=con", "'chardev'" },
        { "isa-debugcon,chardev=none", "'none'" },
        { "isa-debug-exit,iobase=0xffff", "'iobase'" },
    };
    Fixture f;

    fixture_init(&f);
    g_assert_nonnull(fake_board_add(f.board, "isa-serial,index=1", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *before = address_space_describe(f.board->board.io);
        g_autofree char *after = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_null(fake_board_add(f.board, cases[i].text, &error));
        g_assert_nonnull(strstr(error->message, cases[i].named));
        after = address_space_describe(f.board->board.io);
        g_assert_cmpstr(before, ==, after);
    }
    fixture_done(&f);
}

/* What a PC's chip would take for 65536 is stored, and stops nothing. */
static void test_a_divisor_of_zero(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned high = 0; high < 2; high++) {
        put(&f, UART_LCR, 0x80 | 3);
        put(&f, UART_TX, 0);                    /* DLL */
        put(&f, UART_IER, high ? 0xff : 0);     /* DLM */
        g_assert_cmphex(get(&f, UART_TX), ==, 0);
        g_assert_cmphex(get(&f, UART_IER), ==, high ? 0xff : 0);
        put(&f, UART_LCR, 3);
        put(&f, UART_TX, 'z');
        expect_output(&f, "z");
    }
    fixture_done(&f);
}

static void test_without_chardev_output_is_swallowed(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();

    g_assert_nonnull(fake_board_add(fake, "isa-serial,index=3", NULL));
    device_tree_resume(&fake->tree);
    for (unsigned i = 0; i < 100; i++)
        fake_board_out(fake, 0x2e8, 1, i);

    g_assert_cmphex(fake_board_in(fake, 0x2e8 + UART_LSR, 1), ==,
                    UART_LSR_THRE | UART_LSR_TEMT);
}

static void test_nothing_comes_in_while_paused(void)
{
    Fixture f;

    fixture_init(&f);
    device_tree_pause(&f.board->tree);
    send_text(&f, "later");
    g_assert_cmphex(get(&f, UART_LSR) & UART_LSR_DR, ==, 0);
    device_tree_resume(&f.board->tree);
    fake_board_turn(f.board);

    g_assert_cmphex(get(&f, UART_RX), ==, 'l');
    fixture_done(&f);
}

static void test_state_is_copied(void)
{
    Fixture from, to;

    fixture_init(&from);
    fixture_init(&to);
    put(&from, UART_FCR, FCR_ON);
    put(&from, UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS);
    put(&from, UART_IER, UART_IER_RDI | UART_IER_RLSI);
    put(&from, UART_SCR, 0x77);
    send_text(&from, "in");
    fake_board_check_copy(from.board, to.board);

    g_assert_true(irq(&to));
    g_assert_cmphex(get(&to, UART_SCR), ==, 0x77);
    g_assert_cmphex(get(&to, UART_RX), ==, 'i');
    g_assert_cmphex(get(&to, UART_RX), ==, 'n');
    g_assert_false(irq(&to));
    fixture_done(&from);
    fixture_done(&to);
}

/* Output that waited for a slow reader is not lost on the way. */
static void test_waiting_output_is_copied(void)
{
    size_t sent = 0;
    Fixture from, to;

    fixture_init(&from);
    fixture_init(&to);
    put(&from, UART_FCR, FCR_ON);
    while (get(&from, UART_LSR) & UART_LSR_THRE)
        put(&from, UART_TX, sent++);
    put(&from, UART_TX, 'e');
    put(&from, UART_TX, 'd');
    fake_board_check_copy(from.board, to.board);
    put(&to, UART_TX, '!');

    {
        char data[8];
        size_t n = receive(&to, data, sizeof(data));

        g_assert_cmpuint(n, ==, 4);
        g_assert_cmphex((uint8_t)data[0], ==, (uint8_t)(sent - 1));
        g_assert_cmpmem(data + 1, 3, "ed!", 3);
    }
    fixture_done(&from);
    fixture_done(&to);
}

static void test_faulty_state_is_refused(void)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    Fixture f;

    fixture_init(&f);
    device_tree_pause(&f.board->tree);
    device_tree_save(&f.board->tree, saved);
    for (guint i = 0; i < saved->len; i++) {
        uint8_t old = saved->data[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            saved->data[i] = old ^ 1 << bit;
            if (!device_tree_load(&f.board->tree, saved->data, saved->len, NULL))
                device_tree_reset(&f.board->tree);
            device_tree_resume(&f.board->tree);
            fake_board_poke_ports(f.board, COM1, 8, 8);
            device_tree_pause(&f.board->tree);
        }
        saved->data[i] = old;
    }
    g_assert_true(device_tree_load(&f.board->tree, saved->data, saved->len, NULL));
    fixture_done(&f);
}

static void test_any_access_is_answered(void)
{
    char sink[256];
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 500; i++) {
        fake_board_poke_ports(f.board, COM1, 8, 100);
        if (i % 8 == 0)
            send(f.fd, "input", 5, MSG_DONTWAIT);
        if (i % 3 == 0)
            receive(&f, sink, sizeof(sink));
    }
    put(&f, UART_LCR, UART_LCR_WLEN8);
    put(&f, UART_SCR, 0x3c);

    g_assert_cmphex(get(&f, UART_SCR), ==, 0x3c);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/registers-at-power-on", test_registers_at_power_on);
    g_test_add_func("/serial/registers-keep-their-bits", test_registers_keep_their_bits);
    g_test_add_func("/serial/polled-output-leaves-at-once",
                    test_polled_output_leaves_at_once);
    g_test_add_func("/serial/interrupt-driven-output-leaves-in-bursts",
                    test_interrupt_driven_output_leaves_in_bursts);
    g_test_add_func("/serial/a-held-burst-leaves-before-interrupts-are-disabled",
                    test_a_held_burst_leaves_before_interrupts_are_disabled);
    g_test_add_func("/serial/thre-is-withheld-while-the-far-end-is-full",
                    test_thre_is_withheld_while_the_far_end_is_full);
    g_test_add_func("/serial/input-interrupts-by-trigger-and-time-out",
                    test_input_interrupts_by_trigger_and_time_out);
    g_test_add_func("/serial/input-waits-for-room", test_input_waits_for_room);
    g_test_add_func("/serial/iir-tells-by-priority", test_iir_tells_by_priority);
    g_test_add_func("/serial/loopback-shows-modem-lines",
                    test_loopback_shows_modem_lines);
    g_test_add_func("/serial/interrupt-needs-out2", test_interrupt_needs_out2);
    g_test_add_func("/serial/ports-are-given-out-in-order",
                    test_ports_are_given_out_in_order);
    g_test_add_func("/serial/what-cannot-be-is-refused", test_what_cannot_be_is_refused);
    g_test_add_func("/serial/a-divisor-of-zero", test_a_divisor_of_zero);
    g_test_add_func("/serial/without-chardev-output-is-swallowed",
                    test_without_chardev_output_is_swallowed);
    g_test_add_func("/serial/nothing-comes-in-while-paused",
                    test_nothing_comes_in_while_paused);
    g_test_add_func("/serial/state-is-copied", test_state_is_copied);
    g_test_add_func("/serial/waiting-output-is-copied", test_waiting_output_is_copied);
    g_test_add_func("/serial/faulty-state-is-refused", test_faulty_state_is_refused);
    g_test_add_func("/serial/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
