/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PS/2 keyboard with 102 keys and those of multimedia keyboards (IBM PS/2 Hardware
 * Interface Technical Reference, "Keyboards"; Microsoft, "Keyboard Scan Code
 * Specification").
 *
 * A key is known by its number, its code in set 1.  The code in set 2 is what the
 * controller's table makes that number of; set 3 has a table of its own.  Two keys depend
 * on others that are held, as in the specification:
 *
 *     Print   with Alt a key of its own; without Shift and Ctrl within a Shift of its own
 *     Pause   comes and goes at once; with Ctrl it is Break
 *
 * Keys do not repeat by themselves: who presses them here does not hold them down by
 * mistake.  So the rate, and which keys repeat in set 3, make no difference; there each
 * key tells when it is pressed and when it is let go.
 */
#include "berth/error.h"

#include "ps2.h"

#define EXTENDED 0xe0
#define EXTENDED_1 0xe1
#define BREAK_CODE 0xf0
#define NUMBER_EXTENDED 0x80            /* of a key's number */
#define BREAK_BIT 0x80                  /* in set 1 */
#define ID_1 0xab
#define ID_2 0x83
#define LARGEST_SEQUENCE 8

enum {
    KEY_CTRL = 0x1d,
    KEY_SHIFT = 0x2a,
    KEY_SHIFT_R = 0x36,
    KEY_ALT = 0x38,
    KEY_NUM_LOCK = 0x45,
    KEY_SYSRQ = 0x54,
    KEY_CTRL_R = KEY_CTRL | NUMBER_EXTENDED,
    KEY_FAKE_SHIFT = KEY_SHIFT | NUMBER_EXTENDED,
    KEY_PRINT = 0x37 | NUMBER_EXTENDED,
    KEY_ALT_R = KEY_ALT | NUMBER_EXTENDED,
    KEY_PAUSE = 0x46 | NUMBER_EXTENDED,
};

enum {
    HELD_CTRL = 0x01,
    HELD_CTRL_R = 0x02,
    HELD_SHIFT = 0x04,
    HELD_SHIFT_R = 0x08,
    HELD_ALT = 0x10,
    HELD_ALT_R = 0x20,
    HELD_ANY_CTRL = HELD_CTRL | HELD_CTRL_R,
    HELD_ANY_SHIFT = HELD_SHIFT | HELD_SHIFT_R,
    HELD_ANY_ALT = HELD_ALT | HELD_ALT_R,
};

/* By the code in set 2, that in set 1; those from the end on are the same in both. */
static const uint8_t set_1_of_set_2[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40,
    0x3e, 0x0f, 0x29, 0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a,
    0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20,
    0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
    0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60,
    0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74,
    0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b,
    0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
    0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41,
    0x54,
};

/* By a key's number; 0: the set has none. */
static const uint8_t set_3[256] = {
    [0x01] = 0x08,                                              /* Esc */
    [0x02] = 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45,
    [0x0c] = 0x4e, 0x55, 0x66,                                  /* - = Backspace */
    [0x0f] = 0x0d,                                              /* Tab */
    [0x10] = 0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d,
    [0x1a] = 0x54, 0x5b, 0x5a, 0x11,                            /* [ ] Enter Ctrl */
    [0x1e] = 0x1c, 0x1b, 0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b,
    [0x27] = 0x4c, 0x52, 0x0e, 0x12, 0x5c,                      /* ; ' ` Shift \ */
    [0x2c] = 0x1a, 0x22, 0x21, 0x2a, 0x32, 0x31, 0x3a,
    [0x33] = 0x41, 0x49, 0x4a, 0x59,                            /* , . / Shift */
    [0x37] = 0x7e, 0x19, 0x29, 0x14,                            /* * Alt Space Caps */
    [0x3b] = 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f,
    [KEY_NUM_LOCK] = 0x76, 0x5f,                                        /* Scroll Lock */
    [0x47] = 0x6c, 0x75, 0x7d, 0x84,                            /* keypad, by rows */
    [0x4b] = 0x6b, 0x73, 0x74, 0x7c,
    [0x4f] = 0x69, 0x72, 0x7a, 0x70, 0x71,
    [KEY_SYSRQ] = 0x57,
    [0x56] = 0x13, 0x56, 0x5e,                                  /* <, F11, F12 */
    [0x9c] = 0x79, 0x58,                                        /* Enter, Ctrl */
    [0xb5] = 0x77,
    [KEY_PRINT] = 0x57, 0x39,                                   /* Alt */
    [KEY_PAUSE] = 0x62,
    [0xc7] = 0x6e, 0x63, 0x6f,                                  /* Home Up PgUp */
    [0xcb] = 0x61,                                              /* Left */
    [0xcd] = 0x6a,                                              /* Right */
    [0xcf] = 0x65, 0x60, 0x6d, 0x67, 0x64,                      /* End to Delete */
    [0xdb] = 0x8b, 0x8c, 0x8d,                                  /* GUI, GUI, Menu */
};

uint8_t ps2_keyboard_translate(uint8_t byte)
{
    return byte < G_N_ELEMENTS(set_1_of_set_2) ? set_1_of_set_2[byte] : byte;
}

/* F7 and SysRq have two codes each: the upper is theirs. */
static uint8_t set_2_of_set_1(uint8_t code)
{
    for (unsigned i = G_N_ELEMENTS(set_1_of_set_2) - 1; i > 0; i--) {
        if (set_1_of_set_2[i] == code)
            return i;
    }
    return 0;
}

/* Puts what a key says into @bytes, 3 at most; returns how many. */
static unsigned encode(uint8_t set, uint8_t number, bool down, uint8_t *bytes)
{
    uint8_t code = number & ~NUMBER_EXTENDED;
    unsigned n = 0;

    if (set == 3)
        code = set_3[number];
    else if (set == 2)
        code = set_2_of_set_1(code);
    if (!code)
        return 0;
    if (set != 3 && (number & NUMBER_EXTENDED))
        bytes[n++] = EXTENDED;
    if (set != 1 && !down)
        bytes[n++] = BREAK_CODE;
    bytes[n++] = set == 1 && !down ? code | BREAK_BIT : code;
    return n;
}

static unsigned encode_print(const Ps2Keyboard *keyboard, bool down, uint8_t *bytes)
{
    unsigned n = 0;

    if (keyboard->set == 3)
        return encode(3, KEY_PRINT, down, bytes);
    if (keyboard->held & HELD_ANY_ALT)
        return encode(keyboard->set, KEY_SYSRQ, down, bytes);
    if (keyboard->held & (HELD_ANY_CTRL | HELD_ANY_SHIFT))
        return encode(keyboard->set, KEY_PRINT, down, bytes);
    n = encode(keyboard->set, down ? KEY_FAKE_SHIFT : KEY_PRINT, down, bytes);
    return n + encode(keyboard->set, down ? KEY_PRINT : KEY_FAKE_SHIFT, down, bytes + n);
}

static unsigned encode_pause(const Ps2Keyboard *keyboard, bool down, uint8_t *bytes)
{
    unsigned n = 0;

    if (keyboard->set == 3)
        return encode(3, KEY_PAUSE, down, bytes);
    if (!down)
        return 0;
    if (keyboard->held & HELD_ANY_CTRL) {
        n = encode(keyboard->set, KEY_PAUSE, true, bytes);
        return n + encode(keyboard->set, KEY_PAUSE, false, bytes + n);
    }
    for (int i = 0; i < 2; i++) {
        bytes[n++] = EXTENDED_1;
        n += encode(keyboard->set, KEY_CTRL, i == 0, bytes + n);
        n += encode(keyboard->set, KEY_NUM_LOCK, i == 0, bytes + n);
    }
    return n;
}

static uint8_t held_bit(uint8_t number)
{
    switch (number) {
    case KEY_CTRL: return HELD_CTRL;
    case KEY_CTRL_R: return HELD_CTRL_R;
    case KEY_SHIFT: return HELD_SHIFT;
    case KEY_SHIFT_R: return HELD_SHIFT_R;
    case KEY_ALT: return HELD_ALT;
    case KEY_ALT_R: return HELD_ALT_R;
    default: return 0;
    }
}

void ps2_keyboard_key(Ps2Keyboard *keyboard, uint8_t number, bool down)
{
    uint8_t bytes[LARGEST_SEQUENCE];
    unsigned n;

    if (number == KEY_PRINT || number == KEY_SYSRQ)
        n = encode_print(keyboard, down, bytes);
    else if (number == KEY_PAUSE)
        n = encode_pause(keyboard, down, bytes);
    else
        n = encode(keyboard->set, number, down, bytes);
    if (down)
        keyboard->held |= held_bit(number);
    else
        keyboard->held &= ~held_bit(number);
    if (keyboard->scanning)
        ps2_port_report(&keyboard->port, bytes, n);
}

static void set_defaults(Ps2Keyboard *keyboard, bool scanning)
{
    keyboard->set = 2;
    keyboard->scanning = scanning;
    keyboard->command = 0;
    ps2_port_flush(&keyboard->port);
}

void ps2_keyboard_reset(Ps2Keyboard *keyboard)
{
    ps2_port_reset(&keyboard->port);
    keyboard->held = 0;
    set_defaults(keyboard, true);
}

static void run_command(Ps2Keyboard *keyboard, uint8_t command)
{
    Ps2Port *port = &keyboard->port;

    if (command == PS2_RESEND) {
        ps2_port_resend(port);
        return;
    }
    if (command == PS2_ECHO) {
        ps2_port_reply(port, PS2_ECHO);
        return;
    }
    if (command < PS2_SET_LEDS || command == 0xef || command == 0xf1) {
        ps2_port_reply(port, PS2_RESEND);
        return;
    }
    ps2_port_reply(port, PS2_ACK);
    if (command == PS2_IDENTIFY) {
        ps2_port_reply(port, ID_1);
        ps2_port_reply(port, ID_2);
    } else if (command == PS2_ENABLE) {
        keyboard->scanning = true;
        ps2_port_flush(port);
    } else if (command == PS2_DISABLE) {
        set_defaults(keyboard, false);
    } else if (command == PS2_DEFAULTS) {
        set_defaults(keyboard, true);
    } else if (command == PS2_RESET) {
        set_defaults(keyboard, true);
        ps2_port_reply(port, PS2_TEST_PASSED);
    } else if (command < PS2_ALL_TYPEMATIC || command > PS2_ALL_BOTH) {
        keyboard->command = command;
    }
}

static void run_data(Ps2Keyboard *keyboard, uint8_t command, uint8_t byte)
{
    Ps2Port *port = &keyboard->port;

    switch (command) {
    case PS2_SCAN_CODES:
        ps2_port_reply(port, byte <= 3 ? PS2_ACK : PS2_RESEND);
        if (byte == 0)
            ps2_port_reply(port, keyboard->set);
        if (byte == 0 || byte > 3)
            return;
        keyboard->set = byte;
        ps2_port_flush(port);
        return;
    case PS2_SET_LEDS:
    case PS2_SET_RATE:
        ps2_port_reply(port, PS2_ACK);
        return;
    default:                            /* codes of keys, until a command comes */
        keyboard->command = command;
        ps2_port_reply(port, PS2_ACK);
        return;
    }
}

/* No byte that belongs to a command is as large as a command. */
void ps2_keyboard_write(Ps2Keyboard *keyboard, uint8_t byte)
{
    uint8_t command = keyboard->command;

    ps2_port_begin(&keyboard->port);
    keyboard->command = 0;
    if (command && byte < PS2_SET_LEDS)
        run_data(keyboard, command, byte);
    else
        run_command(keyboard, byte);
}

static bool ps2_keyboard_post_load(void *opaque, GError **error)
{
    Ps2Keyboard *keyboard = opaque;

    if (keyboard->set >= 1 && keyboard->set <= 3)
        return true;
    error_set(error, "set: there is no set %u of scan codes", keyboard->set);
    return false;
}

static const VMStateField ps2_keyboard_fields[] = {
    VMSTATE_STRUCT(Ps2Keyboard, port, ps2_port_vmstate),
    VMSTATE_U8(Ps2Keyboard, set),
    VMSTATE_BOOL(Ps2Keyboard, scanning),
    VMSTATE_U8(Ps2Keyboard, command),
    VMSTATE_U8(Ps2Keyboard, held),
    VMSTATE_END
};

const VMStateDesc ps2_keyboard_vmstate = {
    .name = "ps2-keyboard",
    .version = 1,
    .min_version = 1,
    .fields = ps2_keyboard_fields,
    .post_load = ps2_keyboard_post_load,
};
