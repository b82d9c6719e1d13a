/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/i8042.h"
#include "berth/pc-ports.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define DATA 0x60
#define STATUS 0x64
#define PORT_A 0x92
#define OBF 0x01
#define AUX 0x20
#define KEY_A 0x1e
#define KEY_UP 0xc8
#define KEY_PRINT 0xb7
#define KEY_PAUSE 0xc6
#define KEY_F7 0x41
#define KEY_SHIFT 0x2a
#define KEY_CTRL 0x1d
#define KEY_ALT 0x38

static FakeBoard *new_board(void)
{
    FakeBoard *fake = fake_board_new();

    g_assert_nonnull(i8042_add(&fake->tree, NULL));
    g_assert_nonnull(i8042_find(&fake->tree));
    g_assert_nonnull(pc_ports_add(&fake->tree, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    return fake;
}

static uint8_t status(FakeBoard *fake)
{
    return fake_board_in(fake, STATUS, 1);
}

static void command(FakeBoard *fake, uint8_t byte)
{
    fake_board_out(fake, STATUS, 1, byte);
}

/* The byte that is there for the guest. */
static uint8_t take(FakeBoard *fake)
{
    g_assert_cmphex(status(fake) & OBF, ==, OBF);
    return fake_board_in(fake, DATA, 1);
}

static void write_ctr(FakeBoard *fake, uint8_t ctr)
{
    command(fake, 0x60);
    fake_board_out(fake, DATA, 1, ctr);
}

/* All the bytes that there are, as text; those of the mouse in brackets. */
static char *take_all(FakeBoard *fake)
{
    GString *text = g_string_new(NULL);

    while (status(fake) & OBF) {
        bool aux = status(fake) & AUX;
        uint8_t byte = fake_board_in(fake, DATA, 1);

        g_string_append_printf(text, aux ? "%s[%02x]" : "%s%02x", text->len ? " " : "",
                               byte);
    }
    return g_string_free(text, false);
}

static void check_all(FakeBoard *fake, const char *expected)
{
    g_autofree char *found = take_all(fake);

    g_assert_cmpstr(found, ==, expected);
}

/* Bytes in hexadecimal, each for the keyboard or, of @aux, for the mouse. */
static void send(FakeBoard *fake, bool aux, const char *bytes)
{
    char *end = NULL;

    for (; *bytes; bytes = end) {
        if (aux)
            command(fake, 0xd4);
        fake_board_out(fake, DATA, 1, strtoul(bytes, &end, 16));
    }
}

static void press(FakeBoard *fake, uint8_t number)
{
    i8042_key(i8042_find(&fake->tree), number, true);
}

static void let_go(FakeBoard *fake, uint8_t number)
{
    i8042_key(i8042_find(&fake->tree), number, false);
}

static void move(FakeBoard *fake, int64_t dx, int64_t dy, int64_t dz)
{
    i8042_mouse_move(i8042_find(&fake->tree), dx, dy, dz);
}

static void click(FakeBoard *fake, I8042Button button)
{
    i8042_mouse_button(i8042_find(&fake->tree), button, true);
    i8042_mouse_button(i8042_find(&fake->tree), button, false);
}

/* A board whose controller is on, translates as told, and interrupts for both. */
static FakeBoard *new_open_board(bool translate)
{
    FakeBoard *fake = new_board();

    write_ctr(fake, translate ? 0x47 : 0x07);
    return fake;
}

static void test_controller_is_there(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    g_assert_cmphex(status(fake), ==, 0x14);
    command(fake, 0xaa);
    g_assert_cmphex(take(fake), ==, 0x55);
    g_assert_cmphex(status(fake) & (OBF | 0x04), ==, 0x04);
    command(fake, 0xab);
    g_assert_cmphex(take(fake), ==, 0x00);
    command(fake, 0x60);
    fake_board_out(fake, DATA, 1, 0x47);
    command(fake, 0x20);
    g_assert_cmphex(take(fake), ==, 0x47);
}

/* What a device says to bytes, each answer read before the next byte. */
typedef struct Dialogue {
    const char *bytes;
    const char *answers;
} Dialogue;

static void check_dialogue(FakeBoard *fake, bool aux, const Dialogue *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_test_message("%s", lines[i].bytes);
        send(fake, aux, lines[i].bytes);
        check_all(fake, lines[i].answers);
    }
}

static void test_keyboard_answers(void)
{
    static const Dialogue lines[] = {
        { "ee", "ee" },                         /* echo */
        { "ff", "fa aa" },
        { "f2", "fa ab 83" },
        { "ed", "fa" }, { "07", "fa" },
        { "f3", "fa" }, { "2b", "fa" },
        { "f0", "fa" }, { "00", "fa 02" },      /* scan codes */
        { "f0", "fa" }, { "03", "fa" },
        { "f0", "fa" }, { "00", "fa 03" },
        { "f0", "fa" }, { "04", "fe" },
        { "f8", "fa" }, { "fb", "fa" }, { "1c", "fa" }, { "1b", "fa" }, { "f4", "fa" },
        { "f6", "fa" }, { "f0", "fa" }, { "00", "fa 02" },
        { "ed", "fa" }, { "f2", "fa ab 83" },   /* a command in place of its byte */
        { "f2", "fa ab 83" }, { "fe", "83" },   /* the last one again */
        { "00", "fe" }, { "ec", "fe" }, { "ef", "fe" }, { "f1", "fe" },
        { "f5", "fa" }, { "f4", "fa" },
    };
    g_autoptr(FakeBoard) fake = new_open_board(false);

    check_dialogue(fake, false, lines, G_N_ELEMENTS(lines));
}

static void test_mouse_answers(void)
{
    static const Dialogue lines[] = {
        { "ff", "[fa] [aa] [00]" },
        { "f2", "[fa] [00]" },
        { "e9", "[fa] [00] [02] [64]" },
        { "f3 64 f3 50 f2", "[fa] [00]" },
        { "e8 03 e7 f4 e9", "[fa] [30] [03] [50]" },
        { "f3 c8 f3 64 f3 50 f2", "[fa] [03]" },
        { "f3 c8 f3 c8 f3 50 f2", "[fa] [04]" },
        { "e8", "[fa]" }, { "04", "[fe]" }, { "f3", "[fa]" }, { "0b", "[fe]" },
        { "f0 e9", "[fa] [70] [03] [50]" },     /* remote */
        { "eb", "[fa] [08] [00] [00] [00]" },
        { "ee", "[fa]" }, { "f2", "[f2]" }, { "eb", "[eb]" }, { "ec", "[fa]" },
        { "f2", "[fa] [04]" }, { "fe", "[04]" },
        { "f6 e9", "[fa] [00] [02] [64]" },
        { "f2", "[fa] [04]" }, { "00", "[fe]" }, { "e5", "[fe]" },
        { "ee ff", "[fa] [aa] [00]" },
        { "f2", "[fa] [00]" },
    };
    g_autoptr(FakeBoard) fake = new_open_board(true);

    check_dialogue(fake, true, lines, G_N_ELEMENTS(lines));
}

static void test_keys_in_three_sets(void)
{
    static const struct { uint8_t number; const char *set[4]; } keys[] = {
        { KEY_A, { "1e 9e", "1e 9e", "1c f0 1c", "1c f0 1c" } },
        { KEY_F7, { "41 c1", "41 c1", "83 f0 83", "37 f0 37" } },
        { KEY_UP, { "e0 48 e0 c8", "e0 48 e0 c8", "e0 75 e0 f0 75", "63 f0 63" } },
        { KEY_PRINT, { "e0 2a e0 37 e0 b7 e0 aa", "e0 2a e0 37 e0 b7 e0 aa",
                       "e0 12 e0 7c e0 f0 7c e0 f0 12", "57 f0 57" } },
        { KEY_PAUSE, { "e1 1d 45 e1 9d c5", "e1 1d 45 e1 9d c5",
                       "e1 14 77 e1 f0 14 f0 77", "62 f0 62" } },
        { 0xa0, { "e0 20 e0 a0", "e0 20 e0 a0", "e0 23 e0 f0 23", "" } },  /* mute */
        { 0x00, { "", "", "", "" } },
    };
    static const char *const choice[] = { "f4", "f0 1", "f0 2", "f0 3" };
    g_autoptr(FakeBoard) fake = new_open_board(true);

    for (unsigned set = 0; set < 4; set++) {
        if (set == 1)
            write_ctr(fake, 0x07);
        send(fake, false, choice[set]);
        check_all(fake, "fa");
        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
            g_test_message("key %02x, set %u", keys[i].number, set);
            press(fake, keys[i].number);
            let_go(fake, keys[i].number);
            check_all(fake, keys[i].set[set]);
        }
    }
}

static void test_keys_that_others_change(void)
{
    static const struct { uint8_t with, number; const char *codes; } keys[] = {
        { KEY_ALT, KEY_PRINT, "11 84 f0 84 f0 11" },
        { KEY_ALT, 0x54, "11 84 f0 84 f0 11" },
        { KEY_SHIFT, KEY_PRINT, "12 e0 7c e0 f0 7c f0 12" },
        { KEY_CTRL, KEY_PAUSE, "14 e0 7e e0 f0 7e f0 14" },
        { KEY_CTRL | 0x80, KEY_PAUSE, "e0 14 e0 7e e0 f0 7e e0 f0 14" },
    };
    g_autoptr(FakeBoard) fake = new_open_board(false);

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        press(fake, keys[i].with);
        press(fake, keys[i].number);
        let_go(fake, keys[i].number);
        let_go(fake, keys[i].with);
        check_all(fake, keys[i].codes);
    }
}

static void test_keyboard_is_silent_until_it_may_speak(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    press(fake, KEY_A);
    g_assert_cmphex(status(fake) & OBF, ==, 0);         /* the interface is off */
    command(fake, 0xae);
    g_assert_cmphex(take(fake), ==, 0x1e);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));     /* no interrupt was asked for */
    send(fake, false, "f5");
    check_all(fake, "fa");
    let_go(fake, KEY_A);
    check_all(fake, "");                                /* nor scanning */
    send(fake, false, "f4");
    press(fake, KEY_A);
    check_all(fake, "fa 1e");
}

static void test_byte_to_the_keyboard_opens_its_interface(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    send(fake, false, "ee");
    check_all(fake, "ee");
    send(fake, true, "f2");
    check_all(fake, "[fa] [00]");
    command(fake, 0x20);

    g_assert_cmphex(take(fake), ==, 0x44);
}

static void test_answers_overtake(void)
{
    g_autoptr(FakeBoard) fake = new_open_board(true);

    press(fake, KEY_UP);
    command(fake, 0x20);
    check_all(fake, "47 e0 48");        /* the controller's, then what was there */
    press(fake, KEY_UP);
    g_assert_cmphex(take(fake), ==, 0xe0);
    send(fake, false, "f2");
    check_all(fake, "fa ab 41 48");     /* translated, too */
    press(fake, KEY_A);
    command(fake, 0xd3);
    fake_board_out(fake, DATA, 1, 0x5a);
    check_all(fake, "[5a] 1e");
}

static void test_interrupts_of_both(void)
{
    g_autoptr(FakeBoard) fake = new_open_board(true);

    send(fake, true, "f4");
    g_assert_true(vm_fake_gsi_level(fake->vm, 12));
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
    press(fake, KEY_A);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));     /* one byte after the other */
    take(fake);
    g_assert_true(vm_fake_gsi_level(fake->vm, 1));
    g_assert_false(vm_fake_gsi_level(fake->vm, 12));
    command(fake, 0xd0);
    g_assert_cmphex(take(fake), ==, 0x13);              /* IRQ 1 was in the port */
    take(fake);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
    write_ctr(fake, 0x44);
    press(fake, KEY_A);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
    write_ctr(fake, 0x45);
    g_assert_true(vm_fake_gsi_level(fake->vm, 1));
    device_tree_pause(&fake->tree);
    device_tree_reset(&fake->tree);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
}

static void test_mouse_reports(void)
{
    g_autoptr(FakeBoard) fake = new_open_board(true);

    move(fake, 1, 1, 0);
    check_all(fake, "");                                /* it has to be enabled */
    send(fake, true, "f4");
    move(fake, 5, -3, 1);
    check_all(fake, "[fa] [08] [05] [03]");
    move(fake, -2, 7, 0);
    check_all(fake, "[38] [fe] [f9]");
    click(fake, I8042_BUTTON_LEFT);
    click(fake, I8042_BUTTON_RIGHT);
    click(fake, I8042_BUTTON_MIDDLE);
    check_all(fake, "[09] [00] [00] [08] [00] [00] [0a] [00] [00] [08] [00] [00] "
              "[0c] [00] [00] [08] [00] [00]");
    move(fake, 300, 0, 0);
    check_all(fake, "[08] [7f] [00] [08] [7f] [00] [08] [2e] [00]");
    send(fake, true, "e7");
    move(fake, 4, -127, 0);
    check_all(fake, "[fa] [08] [06] [fe]");             /* twice as far */
}

static void test_mouse_with_a_wheel(void)
{
    g_autoptr(FakeBoard) fake = new_open_board(true);

    send(fake, true, "f3 c8 f3 64 f3 50 f4");
    move(fake, 0, 0, -1);
    click(fake, I8042_BUTTON_SIDE);
    check_all(fake, "[fa] [08] [00] [00] [ff] [08] [00] [00] [00] [08] [00] [00] [00]");
    send(fake, true, "f3 c8 f3 c8 f3 50 f4");
    move(fake, 0, 0, 9);
    click(fake, I8042_BUTTON_EXTRA);
    check_all(fake, "[fa] [08] [00] [00] [07] [08] [00] [00] [02] "
              "[08] [00] [00] [20] [08] [00] [00] [00]");
}

static void test_mouse_that_is_polled(void)
{
    g_autoptr(FakeBoard) fake = new_open_board(true);

    send(fake, true, "f0 f4");
    move(fake, 3, 0, 0);
    move(fake, 4, 0, 0);
    check_all(fake, "[fa]");
    send(fake, true, "eb");
    check_all(fake, "[fa] [08] [07] [00]");
}

/* Nobody reads: what is kept is bounded, and a button is not held for ever. */
static void test_guest_that_does_not_read(void)
{
    g_autoptr(FakeBoard) fake = new_open_board(true);
    g_autofree char *found = NULL;

    send(fake, true, "f4");
    for (unsigned i = 0; i < 1000; i++) {
        press(fake, i);
        move(fake, INT64_MIN, INT64_MAX, INT64_MIN);
        i8042_mouse_button(i8042_find(&fake->tree), I8042_BUTTON_LEFT, i != 999);
    }
    move(fake, INT64_MAX, INT64_MIN, INT64_MAX);
    move(fake, INT64_MAX, INT64_MIN, INT64_MAX);
    found = take_all(fake);

    g_assert_true(g_str_has_suffix(found, "[08] [01] [01]"));
    g_assert_cmpuint(strlen(found), <, 6000);
    check_all(fake, "");
}

static void test_interface_tests(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    command(fake, 0xab);
    g_assert_cmphex(take(fake), ==, 0x00);
    command(fake, 0xa9);
    g_assert_cmphex(take(fake), ==, 0x00);
    command(fake, 0xa8);
    command(fake, 0x20);
    g_assert_cmphex(take(fake) & 0x20, ==, 0);
    command(fake, 0xa7);
    command(fake, 0x20);
    g_assert_cmphex(take(fake) & 0x20, ==, 0x20);
    command(fake, 0xc0);
    g_assert_cmphex(take(fake), ==, 0x80);
}

static void test_interrupt_follows_the_output_buffer(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    command(fake, 0xab);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
    take(fake);
    command(fake, 0x60);
    fake_board_out(fake, DATA, 1, 0x01);
    command(fake, 0xd2);
    fake_board_out(fake, DATA, 1, 0x1c);

    g_assert_true(vm_fake_gsi_level(fake->vm, 1));
    g_assert_cmphex(take(fake), ==, 0x1c);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
}

static void test_four_ways_to_reset(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    command(fake, 0xff);
    command(fake, 0xd1);
    fake_board_out(fake, DATA, 1, 0x03);
    fake_board_out(fake, PORT_A, 1, 0x02);
    g_assert_cmpuint(fake->n_resets, ==, 0);

    command(fake, 0xfe);
    g_assert_cmpuint(fake->n_resets, ==, 1);
    command(fake, 0xf0);
    g_assert_cmpuint(fake->n_resets, ==, 2);
    command(fake, 0xd1);
    fake_board_out(fake, DATA, 1, 0x02);
    g_assert_cmpuint(fake->n_resets, ==, 3);
    fake_board_out(fake, PORT_A, 1, 0x01);
    g_assert_cmpuint(fake->n_resets, ==, 4);
}

static void test_a20_is_one_bit_in_three_places(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    g_assert_cmphex(fake_board_in(fake, PORT_A, 1), ==, 0x02);
    command(fake, 0xdd);
    g_assert_cmphex(fake_board_in(fake, PORT_A, 1), ==, 0x00);
    fake_board_out(fake, PORT_A, 1, 0x02);
    command(fake, 0xd0);

    g_assert_cmphex(take(fake) & 0x03, ==, 0x03);
}

static void test_controller_ram_keeps_bytes(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    for (unsigned i = 1; i < 32; i++) {
        command(fake, 0x60 + i);
        fake_board_out(fake, DATA, 1, 0xc0 + i);
    }

    for (unsigned i = 1; i < 32; i++) {
        command(fake, 0x20 + i);
        g_assert_cmphex(take(fake), ==, 0xc0 + i);
    }
}

static void test_port_b_and_post_port(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    uint8_t first = fake_board_in(fake, 0x61, 1);

    g_assert_cmphex(fake_board_in(fake, 0x61, 1) ^ first, ==, 0x10);
    fake_board_out(fake, 0x61, 1, 0xff);
    g_assert_cmphex(fake_board_in(fake, 0x61, 1) & 0xef, ==, 0x0f);
    fake_board_out(fake, 0x80, 1, 0xa5);
    g_assert_cmphex(fake_board_in(fake, 0x80, 1), ==, 0xa5);
}

static void test_state_is_copied(void)
{
    g_autoptr(FakeBoard) from = new_board();
    g_autoptr(FakeBoard) to = new_board();

    command(from, 0x60);
    fake_board_out(from, DATA, 1, 0x05);
    command(from, 0xd2);
    fake_board_out(from, DATA, 1, 0x99);
    command(from, 0xd1);
    fake_board_out(from, 0x80, 1, 0x12);
    i8042_key(i8042_find(&from->tree), KEY_A, true);
    fake_board_check_copy(from, to);

    g_assert_true(vm_fake_gsi_level(to->vm, 1));
    g_assert_cmphex(take(to), ==, 0x99);
    g_assert_cmphex(take(to), ==, 0x1c);
    fake_board_out(to, DATA, 1, 0x00);
    g_assert_cmpuint(to->n_resets, ==, 1);
}

/* A table of the struct that is shown goes on as it was, in the middle of a report. */
static void test_state_of_both_is_copied(void)
{
    g_autoptr(FakeBoard) from = new_open_board(false);
    g_autoptr(FakeBoard) to = new_board();

    send(from, false, "f0 3");
    send(from, true, "f3 c8 f3 64 f3 50 f4");
    check_all(from, "fa [fa]");
    press(from, KEY_F7);
    move(from, 300, 0, 2);
    send(from, true, "e8");
    fake_board_check_copy(from, to);

    check_all(to, "37 [fa] [08] [7f] [00] [02] [08] [7f] [00] [00] [08] [2e] [00] [00]");
    send(to, true, "01 e9");
    check_all(to, "[fa] [20] [01] [50]");
}

static void test_any_access_is_answered(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    for (unsigned i = 0; i < 1000; i++) {
        fake_board_poke_ports(fake, DATA, 5, 20);
        fake_board_poke_ports(fake, PORT_A, 1, 2);
        fake_board_poke_ports(fake, 0x80, 1, 2);
        (i % 2 ? press : let_go)(fake, i);
        move(fake, i, -i, i % 5);
        click(fake, i % 32);
    }
    command(fake, 0xaa);

    g_assert_cmphex(take(fake), ==, 0x55);
}

/* Found by fuzz-machine: a loaded controller of interrupts saw an edge. */
static void test_a_load_is_no_edge(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    unsigned edges;

    write_ctr(fake, 0x01);
    command(fake, 0xd2);                /* a byte as from the keyboard */
    fake_board_out(fake, DATA, 1, 0x1c);
    edges = vm_fake_gsi_edges(fake->vm, X86_GSI_KEYBOARD);
    g_assert_true(vm_fake_gsi_level(fake->vm, X86_GSI_KEYBOARD));
    device_tree_pause(&fake->tree);
    device_tree_save(&fake->tree, saved);

    g_assert_true(device_tree_load(&fake->tree, saved->data, saved->len, &error));

    g_assert_true(vm_fake_gsi_level(fake->vm, X86_GSI_KEYBOARD));
    g_assert_cmpuint(vm_fake_gsi_edges(fake->vm, X86_GSI_KEYBOARD), ==, edges);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8042/controller-is-there", test_controller_is_there);
    g_test_add_func("/i8042/keyboard-answers", test_keyboard_answers);
    g_test_add_func("/i8042/mouse-answers", test_mouse_answers);
    g_test_add_func("/i8042/keys-in-three-sets", test_keys_in_three_sets);
    g_test_add_func("/i8042/keys-that-others-change", test_keys_that_others_change);
    g_test_add_func("/i8042/keyboard-is-silent-until-it-may-speak",
                    test_keyboard_is_silent_until_it_may_speak);
    g_test_add_func("/i8042/byte-to-the-keyboard-opens-its-interface",
                    test_byte_to_the_keyboard_opens_its_interface);
    g_test_add_func("/i8042/answers-overtake", test_answers_overtake);
    g_test_add_func("/i8042/interrupts-of-both", test_interrupts_of_both);
    g_test_add_func("/i8042/mouse-reports", test_mouse_reports);
    g_test_add_func("/i8042/mouse-with-a-wheel", test_mouse_with_a_wheel);
    g_test_add_func("/i8042/mouse-that-is-polled", test_mouse_that_is_polled);
    g_test_add_func("/i8042/guest-that-does-not-read", test_guest_that_does_not_read);
    g_test_add_func("/i8042/interface-tests", test_interface_tests);
    g_test_add_func("/i8042/interrupt-follows-the-output-buffer",
                    test_interrupt_follows_the_output_buffer);
    g_test_add_func("/i8042/four-ways-to-reset", test_four_ways_to_reset);
    g_test_add_func("/i8042/a20-is-one-bit-in-three-places",
                    test_a20_is_one_bit_in_three_places);
    g_test_add_func("/i8042/controller-ram-keeps-bytes", test_controller_ram_keeps_bytes);
    g_test_add_func("/pc-ports/port-b-and-post-port", test_port_b_and_post_port);
    g_test_add_func("/i8042/state-is-copied", test_state_is_copied);
    g_test_add_func("/i8042/state-of-both-is-copied", test_state_of_both_is_copied);
    g_test_add_func("/i8042/any-access-is-answered", test_any_access_is_answered);
    g_test_add_func("/i8042/a-load-is-no-edge", test_a_load_is_no_edge);
    return g_test_run();
}
