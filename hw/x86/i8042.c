/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard controller (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller"), and system control port A, which shares A20 with it.
 *
 * Nothing is plugged into it: the controller answers for itself; a byte for the keyboard
 * is answered as by a controller whose device stays silent (0xfe with the time-out bit),
 * and there is no auxiliary interface (a byte that is looped back comes as the
 * keyboard's).  So a driver's probe ends at once.
 *
 * A20 is a bit that can be read back: the machine has no address wrap.
 */
#include <string.h>

#include "berth/irq.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/i8042.h"

#define KEYBOARD_IRQ 1
#define RAM_SIZE 32u

#define STATUS_OBF 0x01
#define STATUS_SYS 0x04                 /* the self-test was passed */
#define STATUS_COMMAND 0x08             /* the last byte written was a command */
#define STATUS_UNLOCKED 0x10
#define STATUS_TIMEOUT 0x40

#define CTR_KEYBOARD_INT 0x01
#define CTR_SYS 0x04
#define CTR_KEYBOARD_OFF 0x10
#define CTR_AUX_OFF 0x20
#define CTR_TRANSLATE 0x40

#define OUTPUT_NO_RESET 0x01
#define OUTPUT_A20 0x02
#define PORT_A_RESET 0x01
#define PORT_A_A20 0x02

#define ANSWER_TEST_PASSED 0x55
#define ANSWER_INTERFACE_OK 0x00
#define ANSWER_NO_INTERFACE 0x02        /* clock line stuck high */
#define ANSWER_NO_PASSWORD 0xf1
#define ANSWER_RESEND 0xfe

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

typedef struct I8042 {
    Device dev;
    Region data;
    Region status;
    Region port_a;
    IrqLine *irq;

    /* Under dev.lock. */
    uint8_t flags;              /* of the status register, but for OBF */
    bool full;                  /* there is a byte for the guest */
    uint8_t output;
    uint8_t command;            /* that waits for its data byte, 0 for none */
    uint8_t output_port;
    uint8_t ram[RAM_SIZE];      /* byte 0 is the CTR */
} I8042;

static I8042 *to_i8042(Device *dev)
{
    return CONTAINER_OF(dev, I8042, dev);
}

static void update_irq(I8042 *kbc)
{
    irq_set(kbc->irq, kbc->full && (kbc->ram[0] & CTR_KEYBOARD_INT));
}

static void answer(I8042 *kbc, uint8_t byte, uint8_t flags)
{
    kbc->output = byte;
    kbc->flags = (kbc->flags & ~STATUS_TIMEOUT) | flags;
    kbc->full = true;
}

static void request_reset(I8042 *kbc)
{
    Board *board = kbc->dev.board;

    board->ops->request_reset(board->opaque, BOARD_RESET_GUEST);
}

static void write_output_port(I8042 *kbc, uint8_t value)
{
    kbc->output_port = value | OUTPUT_NO_RESET;
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
    answer(kbc, ANSWER_TEST_PASSED, 0);
}

static void run_single_command(I8042 *kbc, uint8_t command)
{
    switch (command) {
    case CMD_TEST_PASSWORD:
        answer(kbc, ANSWER_NO_PASSWORD, 0);
        break;
    case CMD_AUX_OFF:
        kbc->ram[0] |= CTR_AUX_OFF;
        break;
    case CMD_AUX_ON:
        kbc->ram[0] &= ~CTR_AUX_OFF;
        break;
    case CMD_AUX_TEST:
        answer(kbc, ANSWER_NO_INTERFACE, 0);
        break;
    case CMD_SELF_TEST:
        self_test(kbc);
        break;
    case CMD_KEYBOARD_TEST:
        answer(kbc, ANSWER_INTERFACE_OK, 0);
        break;
    case CMD_KEYBOARD_OFF:
        kbc->ram[0] |= CTR_KEYBOARD_OFF;
        break;
    case CMD_KEYBOARD_ON:
        kbc->ram[0] &= ~CTR_KEYBOARD_OFF;
        break;
    case CMD_READ_INPUT:
        answer(kbc, 0, 0);
        break;
    case CMD_READ_OUTPUT:
        answer(kbc, kbc->output_port, 0);
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
        answer(kbc, kbc->ram[command - CMD_READ_RAM], 0);
    else if (command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + RAM_SIZE)
        kbc->command = command;
    else if (command < CMD_PULSE)
        run_single_command(kbc, command);
    else if (!(command & OUTPUT_NO_RESET))
        request_reset(kbc);
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
    case CMD_LOOP_AUX:
        answer(kbc, value, 0);
        break;
    case CMD_WRITE_AUX:
    case 0:
        answer(kbc, ANSWER_RESEND, STATUS_TIMEOUT);
        break;
    default:
        kbc->ram[command % RAM_SIZE] = value;
        break;
    }
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    I8042 *kbc = opaque;

    kbc->full = false;
    kbc->flags &= ~STATUS_TIMEOUT;
    update_irq(kbc);
    return kbc->output;
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *kbc = opaque;

    run_data(kbc, value);
    update_irq(kbc);
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
    I8042 *kbc = opaque;

    return kbc->flags | (kbc->full ? STATUS_OBF : 0);
}

static void status_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *kbc = opaque;

    run_command(kbc, value);
    update_irq(kbc);
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
    kbc->full = false;
    kbc->output = 0;
    kbc->command = 0;
    kbc->output_port = OUTPUT_NO_RESET | OUTPUT_A20;
    /* As firmware leaves it after its self-test. */
    set_ctr(kbc, CTR_SYS | CTR_KEYBOARD_OFF | CTR_AUX_OFF | CTR_TRANSLATE);
    update_irq(kbc);
    lock_drop(&dev->lock);
}

static void add_port(I8042 *kbc, Region *region, uint16_t port, const RegionOps *ops)
{
    region_init_io(region, "i8042", 1, ops, kbc, &kbc->dev.lock);
    region_add(kbc->dev.board->io_root, port, region, 0);
}

static bool i8042_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    I8042 *kbc = to_i8042(dev);

    kbc->irq = dev->board->isa_irqs[KEYBOARD_IRQ];
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
    irq_lower(kbc->irq);
}

static bool i8042_post_load(void *opaque, GError **error)
{
    I8042 *kbc = opaque;

    lock_take(&kbc->dev.lock);
    kbc->flags &= STATUS_SYS | STATUS_COMMAND | STATUS_UNLOCKED | STATUS_TIMEOUT;
    update_irq(kbc);
    lock_drop(&kbc->dev.lock);
    return true;
}

static const VMStateField i8042_fields[] = {
    VMSTATE_U8(I8042, flags),
    VMSTATE_BOOL(I8042, full),
    VMSTATE_U8(I8042, output),
    VMSTATE_U8(I8042, command),
    VMSTATE_U8(I8042, output_port),
    VMSTATE_BYTES(I8042, ram, RAM_SIZE),
    VMSTATE_END
};

static const VMStateDesc i8042_vmstate = {
    .name = "i8042",
    .version = 1,
    .min_version = 1,
    .fields = i8042_fields,
    .post_load = i8042_post_load,
};

static const DeviceClass i8042_class = {
    .name = "i8042",
    .description = "keyboard controller without a keyboard",
    .bus = BUS_NONE,
    .instance_size = sizeof(I8042),
    .vmstate = &i8042_vmstate,
    .realize = i8042_realize,
    .unrealize = i8042_unrealize,
    .reset = i8042_reset,
};

Device *i8042_add(DeviceTree *tree, GError **error)
{
    return device_add_onboard(tree, &i8042_class, "kbc", NULL, error);
}
