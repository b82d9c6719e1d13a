/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard controller (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller"), and system control port A, which shares A20 with it.
 *
 *     keyboard ---+ (translated)
 *     mouse ------+--> output buffer --> guest        input buffer --> either of them
 *     controller -+
 *
 * The output buffer shows one byte, and interrupts as its source's bit of the CTR says.
 * A device's byte stays the device's until the guest has read it: what the controller
 * has to say takes its place, and it is shown again afterwards.  A device that is given
 * a byte answers before it says anything else.
 *
 * A20 is a bit that can be read back: the machine has no address wrap.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/irq.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/i8042.h"

#include "ps2.h"
#include "typing.h"

#define RAM_SIZE 32u

#define STATUS_OBF 0x01
#define STATUS_SYS 0x04                 /* the self-test was passed */
#define STATUS_COMMAND 0x08             /* the last byte written was a command */
#define STATUS_UNLOCKED 0x10
#define STATUS_AUX 0x20                 /* the byte is the mouse's */

#define CTR_KEYBOARD_INT 0x01
#define CTR_AUX_INT 0x02
#define CTR_SYS 0x04
#define CTR_KEYBOARD_OFF 0x10
#define CTR_AUX_OFF 0x20
#define CTR_TRANSLATE 0x40

#define OUTPUT_NO_RESET 0x01
#define OUTPUT_A20 0x02
#define OUTPUT_KEYBOARD_FULL 0x10
#define OUTPUT_AUX_FULL 0x20
#define INPUT_UNLOCKED 0x80
#define PORT_A_RESET 0x01
#define PORT_A_A20 0x02

#define ANSWER_TEST_PASSED 0x55
#define ANSWER_INTERFACE_OK 0x00
#define ANSWER_NO_PASSWORD 0xf1
#define BREAK_CODE 0xf0                 /* of set 2, before the code */
#define BREAK_BIT 0x80                  /* of set 1 */

enum {
    CMD_READ_RAM = 0x20,                /* to 0x3f; 0x20 is the CTR */
    CMD_WRITE_RAM = 0x60,               /* to 0x7f */
    CMD_TEST_PASSWORD = 0xa4,
    CMD_AUX_OFF = 0xa7,
    CMD_AUX_ON = 0xa8,
    CMD_AUX_TEST = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_KEYBOARD_TEST = 0xab,
    CMD_KEYBOARD_OFF = 0xad,
    CMD_KEYBOARD_ON = 0xae,
    CMD_READ_INPUT = 0xc0,
    CMD_READ_OUTPUT = 0xd0,
    CMD_WRITE_OUTPUT = 0xd1,
    CMD_LOOP_KEYBOARD = 0xd2,
    CMD_LOOP_AUX = 0xd3,
    CMD_WRITE_AUX = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_PULSE = 0xf0,                   /* to 0xff: a clear bit pulses that output */
};

/* What the output buffer shows. */
typedef enum Source {
    SOURCE_NONE,
    SOURCE_CONTROLLER,
    SOURCE_CONTROLLER_AUX,      /* what a guest has it say in the mouse's name */
    SOURCE_KEYBOARD,
    SOURCE_MOUSE,
    SOURCE_COUNT,
} Source;

typedef struct I8042 {
    Device dev;
    Region data;
    Region status;
    Region port_a;
    IrqLine *irq;
    IrqLine *aux_irq;

    /* Under dev.lock. */
    uint8_t flags;              /* of the status register, but for OBF and AUX */
    uint8_t source;             /* of the output buffer */
    uint8_t output;
    uint8_t n_shown;            /* bytes of the device that it stands for */
    uint8_t command;            /* that waits for its data byte, 0 for none */
    uint8_t output_port;
    uint8_t ram[RAM_SIZE];      /* byte 0 is the CTR */
    bool irq_level;
    bool aux_irq_level;
    Ps2Keyboard keyboard;
    Ps2Mouse mouse;
    Typing typing;
} I8042;

static I8042 *to_i8042(Device *dev)
{
    return CONTAINER_OF(dev, I8042, dev);
}

static bool shows_keyboard(const I8042 *kbc)
{
    return kbc->source == SOURCE_CONTROLLER || kbc->source == SOURCE_KEYBOARD;
}

static bool shows_aux(const I8042 *kbc)
{
    return kbc->source == SOURCE_CONTROLLER_AUX || kbc->source == SOURCE_MOUSE;
}

/* A level that stays costs no call of the hypervisor. */
static void update_irqs(I8042 *kbc)
{
    bool irq = shows_keyboard(kbc) && (kbc->ram[0] & CTR_KEYBOARD_INT);
    bool aux_irq = shows_aux(kbc) && (kbc->ram[0] & CTR_AUX_INT);

    if (irq != kbc->irq_level)
        irq_set(kbc->irq, irq);
    if (aux_irq != kbc->aux_irq_level)
        irq_set(kbc->aux_irq, aux_irq);
    kbc->irq_level = irq;
    kbc->aux_irq_level = aux_irq;
}

/*
 * The interrupt controllers are new, or loaded: they are told what the levels are, and
 * see no edge where these were the same.
 */
static void restore_irqs(I8042 *kbc)
{
    update_irqs(kbc);
    irq_set(kbc->irq, kbc->irq_level);
    irq_set(kbc->aux_irq, kbc->aux_irq_level);
}

static void show(I8042 *kbc, Source source, uint8_t byte, unsigned n)
{
    kbc->source = source;
    kbc->output = byte;
    kbc->n_shown = n;
}

static void show_keyboard(I8042 *kbc)
{
    uint8_t bytes[2];
    unsigned n = ps2_port_peek(&kbc->keyboard.port, bytes);

    if (!n)
        return;
    if (!(kbc->ram[0] & CTR_TRANSLATE))
        show(kbc, SOURCE_KEYBOARD, bytes[0], 1);
    else if (n == 2 && bytes[0] == BREAK_CODE)
        show(kbc, SOURCE_KEYBOARD, ps2_keyboard_translate(bytes[1]) | BREAK_BIT, 2);
    else
        show(kbc, SOURCE_KEYBOARD, ps2_keyboard_translate(bytes[0]), 1);
}

/* Whoever has something to say and may, when the guest has read what was there. */
static void show_next(I8042 *kbc)
{
    uint8_t bytes[2];

    if (kbc->source == SOURCE_NONE && !(kbc->ram[0] & CTR_KEYBOARD_OFF))
        show_keyboard(kbc);
    if (kbc->source == SOURCE_NONE && !(kbc->ram[0] & CTR_AUX_OFF) &&
        ps2_port_peek(&kbc->mouse.port, bytes))
        show(kbc, SOURCE_MOUSE, bytes[0], 1);
    update_irqs(kbc);
}

static void answer(I8042 *kbc, uint8_t byte)
{
    show(kbc, SOURCE_CONTROLLER, byte, 0);
}

/* The guest has read what is shown. */
static void take(I8042 *kbc)
{
    for (; kbc->n_shown; kbc->n_shown--) {
        if (kbc->source == SOURCE_KEYBOARD)
            ps2_port_take(&kbc->keyboard.port);
        else
            ps2_port_take(&kbc->mouse.port);
    }
    if (kbc->source == SOURCE_MOUSE)
        ps2_mouse_taken(&kbc->mouse);
    kbc->source = SOURCE_NONE;
}

static void request_reset(I8042 *kbc)
{
    Board *board = kbc->dev.board;

    board->ops->request_reset(board->opaque, BOARD_RESET_GUEST);
}

static uint8_t read_output_port(const I8042 *kbc)
{
    return kbc->output_port | (shows_keyboard(kbc) ? OUTPUT_KEYBOARD_FULL : 0) |
           (shows_aux(kbc) ? OUTPUT_AUX_FULL : 0);
}

static void write_output_port(I8042 *kbc, uint8_t value)
{
    kbc->output_port = (value & ~(OUTPUT_KEYBOARD_FULL | OUTPUT_AUX_FULL)) |
                       OUTPUT_NO_RESET;
    if (!(value & OUTPUT_NO_RESET))
        request_reset(kbc);
}

static void set_ctr(I8042 *kbc, uint8_t value)
{
    kbc->ram[0] = value;
    kbc->flags = (kbc->flags & ~STATUS_SYS) | (value & CTR_SYS ? STATUS_SYS : 0);
}

static void self_test(I8042 *kbc)
{
    set_ctr(kbc, CTR_SYS | CTR_KEYBOARD_OFF | CTR_AUX_OFF);
    answer(kbc, ANSWER_TEST_PASSED);
}

static void run_single_command(I8042 *kbc, uint8_t command)
{
    switch (command) {
    case CMD_TEST_PASSWORD:
        answer(kbc, ANSWER_NO_PASSWORD);
        break;
    case CMD_AUX_OFF:
        kbc->ram[0] |= CTR_AUX_OFF;
        break;
    case CMD_AUX_ON:
        kbc->ram[0] &= ~CTR_AUX_OFF;
        break;
    case CMD_SELF_TEST:
        self_test(kbc);
        break;
    case CMD_AUX_TEST:
    case CMD_KEYBOARD_TEST:
        answer(kbc, ANSWER_INTERFACE_OK);
        break;
    case CMD_KEYBOARD_OFF:
        kbc->ram[0] |= CTR_KEYBOARD_OFF;
        break;
    case CMD_KEYBOARD_ON:
        kbc->ram[0] &= ~CTR_KEYBOARD_OFF;
        break;
    case CMD_READ_INPUT:
        answer(kbc, INPUT_UNLOCKED);
        break;
    case CMD_READ_OUTPUT:
        answer(kbc, read_output_port(kbc));
        break;
    case CMD_WRITE_OUTPUT:
    case CMD_LOOP_KEYBOARD:
    case CMD_LOOP_AUX:
    case CMD_WRITE_AUX:
        kbc->command = command;
        break;
    case CMD_A20_OFF:
        kbc->output_port &= ~OUTPUT_A20;
        break;
    case CMD_A20_ON:
        kbc->output_port |= OUTPUT_A20;
        break;
    }
}

static void run_command(I8042 *kbc, uint8_t command)
{
    kbc->flags |= STATUS_COMMAND;
    kbc->command = 0;
    if (command >= CMD_READ_RAM && command < CMD_READ_RAM + RAM_SIZE)
        answer(kbc, kbc->ram[command - CMD_READ_RAM]);
    else if (command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + RAM_SIZE)
        kbc->command = command;
    else if (command < CMD_PULSE)
        run_single_command(kbc, command);
    else if (!(command & OUTPUT_NO_RESET))
        request_reset(kbc);
}

/* What the device had to say waits for its answer; a byte to it opens the way. */
static void write_device(I8042 *kbc, Source source, uint8_t value)
{
    if (kbc->source == source) {
        kbc->source = SOURCE_NONE;
        update_irqs(kbc);
    }
    if (source == SOURCE_KEYBOARD) {
        kbc->ram[0] &= ~CTR_KEYBOARD_OFF;
        ps2_keyboard_write(&kbc->keyboard, value);
    } else {
        kbc->ram[0] &= ~CTR_AUX_OFF;
        ps2_mouse_write(&kbc->mouse, value);
    }
}

static void run_data(I8042 *kbc, uint8_t value)
{
    uint8_t command = kbc->command;

    kbc->flags &= ~STATUS_COMMAND;
    kbc->command = 0;
    switch (command) {
    case CMD_WRITE_RAM:
        set_ctr(kbc, value);
        break;
    case CMD_WRITE_OUTPUT:
        write_output_port(kbc, value);
        break;
    case CMD_LOOP_KEYBOARD:
        answer(kbc, value);
        break;
    case CMD_LOOP_AUX:
        show(kbc, SOURCE_CONTROLLER_AUX, value, 0);
        break;
    case CMD_WRITE_AUX:
        write_device(kbc, SOURCE_MOUSE, value);
        break;
    case 0:
        write_device(kbc, SOURCE_KEYBOARD, value);
        break;
    default:
        kbc->ram[command % RAM_SIZE] = value;
        break;
    }
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    I8042 *kbc = opaque;

    uint8_t value = kbc->output;

    if (kbc->source != SOURCE_NONE) {
        take(kbc);
        update_irqs(kbc);               /* the next byte is an edge of its own */
        show_next(kbc);
    }
    return value;
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *kbc = opaque;

    run_data(kbc, value);
    show_next(kbc);
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
    I8042 *kbc = opaque;

    return kbc->flags | (kbc->source != SOURCE_NONE ? STATUS_OBF : 0) |
           (shows_aux(kbc) ? STATUS_AUX : 0);
}

static void status_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *kbc = opaque;

    run_command(kbc, value);
    show_next(kbc);
}

static uint64_t port_a_read(void *opaque, uint64_t offset, unsigned size)
{
    I8042 *kbc = opaque;

    return kbc->output_port & OUTPUT_A20 ? PORT_A_A20 : 0;
}

static void port_a_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *kbc = opaque;

    kbc->output_port &= ~OUTPUT_A20;
    if (value & PORT_A_A20)
        kbc->output_port |= OUTPUT_A20;
    if (value & PORT_A_RESET)
        request_reset(kbc);
}

static const RegionOps data_ops = { .read = data_read, .write = data_write };
static const RegionOps status_ops = { .read = status_read, .write = status_write };
static const RegionOps port_a_ops = { .read = port_a_read, .write = port_a_write };

static void i8042_reset(Device *dev)
{
    I8042 *kbc = to_i8042(dev);

    lock_take(&dev->lock);
    memset(kbc->ram, 0, sizeof(kbc->ram));
    kbc->flags = STATUS_UNLOCKED;
    show(kbc, SOURCE_NONE, 0, 0);
    kbc->command = 0;
    kbc->output_port = OUTPUT_NO_RESET | OUTPUT_A20;
    /* As firmware leaves it after its self-test. */
    set_ctr(kbc, CTR_SYS | CTR_KEYBOARD_OFF | CTR_AUX_OFF | CTR_TRANSLATE);
    ps2_keyboard_reset(&kbc->keyboard);
    ps2_mouse_reset(&kbc->mouse);
    restore_irqs(kbc);
    lock_drop(&dev->lock);
}

static void add_port(I8042 *kbc, Region *region, uint16_t port, const RegionOps *ops)
{
    region_init_io(region, "i8042", 1, ops, kbc, &kbc->dev.lock);
    region_add(kbc->dev.board->io_root, port, region, 0);
}

/* Under the lock. */
static void on_typed(void *opaque, uint8_t number, bool down)
{
    I8042 *kbc = opaque;

    ps2_keyboard_key(&kbc->keyboard, number, down);
    show_next(kbc);
}

static void i8042_pause(Device *dev)
{
    lock_take(&dev->lock);
    typing_pause(&to_i8042(dev)->typing);
    lock_drop(&dev->lock);
}

static void i8042_resume(Device *dev)
{
    lock_take(&dev->lock);
    typing_resume(&to_i8042(dev)->typing);
    lock_drop(&dev->lock);
}

static bool i8042_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    I8042 *kbc = to_i8042(dev);

    kbc->irq = dev->board->isa_irqs[X86_GSI_KEYBOARD];
    kbc->aux_irq = dev->board->isa_irqs[X86_GSI_MOUSE];
    typing_init(&kbc->typing, dev, on_typed, kbc);
    i8042_reset(dev);
    region_batch_begin(dev->board->io);
    add_port(kbc, &kbc->data, X86_PORT_KBC_DATA, &data_ops);
    add_port(kbc, &kbc->status, X86_PORT_KBC_STATUS, &status_ops);
    add_port(kbc, &kbc->port_a, X86_PORT_A, &port_a_ops);
    region_batch_end(dev->board->io);
    return true;
}

static void i8042_unrealize(Device *dev)
{
    I8042 *kbc = to_i8042(dev);

    region_done(&kbc->data);
    region_done(&kbc->status);
    region_done(&kbc->port_a);
    typing_done(&kbc->typing);
    irq_lower(kbc->irq);
    irq_lower(kbc->aux_irq);
}

/* What is shown is what its source says. */
static bool check_shown(I8042 *kbc, GError **error)
{
    unsigned most = kbc->source == SOURCE_KEYBOARD ? 2 : kbc->source == SOURCE_MOUSE;

    if (kbc->source < SOURCE_COUNT && kbc->n_shown <= most)
        return true;
    error_set(error, "source, n_shown: %u bytes of source %u", kbc->n_shown, kbc->source);
    return false;
}

static bool i8042_post_load(void *opaque, GError **error)
{
    I8042 *kbc = opaque;

    if (!check_shown(kbc, error))
        return false;
    lock_take(&kbc->dev.lock);
    kbc->flags &= STATUS_SYS | STATUS_COMMAND | STATUS_UNLOCKED;
    restore_irqs(kbc);
    lock_drop(&kbc->dev.lock);
    return true;
}

static const VMStateField i8042_fields[] = {
    VMSTATE_U8(I8042, flags),
    VMSTATE_U8(I8042, source),
    VMSTATE_U8(I8042, output),
    VMSTATE_U8(I8042, n_shown),
    VMSTATE_U8(I8042, command),
    VMSTATE_U8(I8042, output_port),
    VMSTATE_BYTES(I8042, ram, RAM_SIZE),
    VMSTATE_STRUCT(I8042, keyboard, ps2_keyboard_vmstate),
    VMSTATE_STRUCT(I8042, mouse, ps2_mouse_vmstate),
    VMSTATE_END
};

static const VMStateDesc i8042_vmstate = {
    .name = "i8042",
    .version = 2,
    .min_version = 2,
    .fields = i8042_fields,
    .post_load = i8042_post_load,
};

static const DeviceClass i8042_class = {
    .name = "i8042",
    .description = "keyboard controller with a keyboard and a mouse",
    .bus = BUS_NONE,
    .instance_size = sizeof(I8042),
    .vmstate = &i8042_vmstate,
    .realize = i8042_realize,
    .unrealize = i8042_unrealize,
    .reset = i8042_reset,
    .pause = i8042_pause,
    .resume = i8042_resume,
};

Device *i8042_add(DeviceTree *tree, GError **error)
{
    return device_add_onboard(tree, &i8042_class, "kbc", NULL, error);
}

Device *i8042_find(DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class == &i8042_class)
            return dev;
    }
    return NULL;
}

void i8042_key(Device *dev, uint8_t number, bool down)
{
    I8042 *kbc = to_i8042(dev);

    lock_take(&dev->lock);
    ps2_keyboard_key(&kbc->keyboard, number, down);
    show_next(kbc);
    lock_drop(&dev->lock);
}

bool i8042_type(Device *dev, const uint8_t *numbers, size_t n, uint32_t hold_ms,
                GError **error)
{
    I8042 *kbc = to_i8042(dev);
    bool ok;

    lock_take(&dev->lock);
    ok = typing_add(&kbc->typing, numbers, n, hold_ms, error);
    lock_drop(&dev->lock);
    return ok;
}

void i8042_mouse_move(Device *dev, int64_t dx, int64_t dy, int64_t dz)
{
    I8042 *kbc = to_i8042(dev);

    lock_take(&dev->lock);
    ps2_mouse_move(&kbc->mouse, dx, dy, dz);
    show_next(kbc);
    lock_drop(&dev->lock);
}

void i8042_mouse_button(Device *dev, I8042Button button, bool down)
{
    I8042 *kbc = to_i8042(dev);

    lock_take(&dev->lock);
    ps2_mouse_button(&kbc->mouse, button, down);
    show_next(kbc);
    lock_drop(&dev->lock);
}
