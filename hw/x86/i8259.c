/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair of i8259A interrupt controllers (Intel data sheet 231468; edge and level
 * control registers as in the ICH9 data sheet, 13.4.7).
 *
 *     pins 0, 1, 3 to 7 --> master --> ExtINT of vCPU 0
 *     pins 8 to 15 --> slave --> master's pin 2
 *
 * An edge is remembered until it is acknowledged, even when its line falls before; so a
 * pulse is an interrupt, and there are no spurious ones: the acknowledge cycle of a
 * request that was withdrawn says that there is none.
 *
 * Priorities: level 7 is the lowest, unless rotation made another one that; after it
 * comes the highest.  A level in service holds back those of its own and lower
 * priority; in special mask mode only itself, and in special fully nested mode the
 * slave's level does not hold back the slave.
 */
#include "berth/error.h"
#include "berth/irqchip.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/i8259.h"

#define N_PINS 8
#define CASCADE 2
#define NONE N_PINS                     /* of levels */

/* Edge for the timer, the keyboard, the cascade; the RTC, the coprocessor error. */
#define MASTER_ELCR_BITS 0xf8
#define SLAVE_ELCR_BITS 0xde

#define ICW1 0x10
#define ICW1_ICW4 0x01
#define ICW1_SINGLE 0x02
#define ICW1_LEVEL 0x08
#define ICW2_BASE 0xf8
#define ICW4_AUTO_EOI 0x02
#define ICW4_FULLY_NESTED 0x10
#define OCW3 0x08
#define OCW3_READ 0x02
#define OCW3_ISR 0x01
#define OCW3_POLL 0x04
#define OCW3_SET_MASK_MODE 0x40
#define OCW3_MASK_MODE 0x20
#define OCW2_ROTATE 0x80
#define OCW2_SPECIFIC 0x40
#define OCW2_EOI 0x20
#define POLL_PENDING 0x80

/* Which word port 1 takes next. */
enum { EXPECT_OCW1, EXPECT_ICW2, EXPECT_ICW3, EXPECT_ICW4, EXPECT__MAX };

typedef struct Pic {
    uint8_t levels;             /* of the pins */
    uint8_t edges;              /* requests of edge-triggered pins */
    uint8_t imr;
    uint8_t isr;
    uint8_t elcr;
    uint8_t base;               /* vector of pin 0 */
    uint8_t lowest;             /* the level of lowest priority */
    uint8_t expect;
    bool icw4_follows;
    bool single;
    bool level_mode;            /* all pins are level-triggered */
    bool auto_eoi;
    bool rotate_on_auto_eoi;
    bool fully_nested;          /* special */
    bool mask_mode;             /* special */
    bool read_isr;
    bool poll;
} Pic;

typedef struct I8259 {
    Device dev;
    Region master_region;
    Region slave_region;
    Region elcr_region;
    VmPic chip;

    /* Under dev.lock. */
    Pic master;
    Pic slave;
    bool output;                /* as the Vm was told */
} I8259;

static I8259 *to_i8259(Device *dev)
{
    return CONTAINER_OF(dev, I8259, dev);
}

static uint8_t level_pins(const Pic *pic)
{
    return pic->level_mode ? 0xff : pic->elcr;
}

/* The interrupt request register. */
static uint8_t requests(const Pic *pic)
{
    uint8_t by_level = level_pins(pic);

    return (pic->levels & by_level) | (pic->edges & ~by_level);
}

/* The level of highest priority in @levels; NONE when there is none. */
static unsigned highest(const Pic *pic, uint8_t levels)
{
    for (unsigned i = 1; i <= N_PINS; i++) {
        unsigned level = (pic->lowest + i) % N_PINS;

        if (levels & 1u << level)
            return level;
    }
    return NONE;
}

static unsigned priority(const Pic *pic, unsigned level)
{
    return level == NONE ? NONE : (level - pic->lowest - 1u) % N_PINS;
}

/* The level that would be acknowledged now; NONE when the output is low. */
static unsigned pending(const Pic *pic, bool is_master)
{
    uint8_t waiting = requests(pic) & ~pic->imr;
    uint8_t serving = pic->isr;
    unsigned level;

    if (pic->mask_mode) {
        waiting &= ~serving;
        serving = 0;
    }
    if (pic->fully_nested && is_master)
        serving &= ~(1u << CASCADE);
    level = highest(pic, waiting);
    return priority(pic, level) < priority(pic, highest(pic, serving)) ? level : NONE;
}

static void set_level(Pic *pic, unsigned pin, bool level)
{
    uint8_t bit = 1u << pin;

    if (level && !(pic->levels & bit))
        pic->edges |= bit;
    pic->levels = level ? pic->levels | bit : pic->levels & ~bit;
}

/* The slave's output is the master's pin 2, and a request for as long as it is high. */
static void update(I8259 *i8259)
{
    bool cascade = pending(&i8259->slave, false) != NONE;
    bool output;

    i8259->master.edges &= ~(1u << CASCADE);
    i8259->master.levels &= ~(1u << CASCADE);
    set_level(&i8259->master, CASCADE, cascade);
    output = pending(&i8259->master, true) != NONE;
    if (output == i8259->output)
        return;
    i8259->output = output;
    irqchip_set_extint(i8259->dev.board->vm, output);
}

static void set_pin(void *opaque, unsigned pin, bool level)
{
    I8259 *i8259 = opaque;

    lock_take(&i8259->dev.lock);
    set_level(pin < N_PINS ? &i8259->master : &i8259->slave, pin % N_PINS, level);
    update(i8259);
    lock_drop(&i8259->dev.lock);
}

/* The interrupt of pin 0 has ended. */
static void tell_end(I8259 *i8259, const Pic *pic, unsigned level)
{
    if (pic == &i8259->master && level == 0)
        irqchip_ended(i8259->dev.board->vm, 0);
}

static void end_level(I8259 *i8259, Pic *pic, unsigned level, bool rotate)
{
    if (level == NONE)
        return;
    pic->isr &= ~(1u << level);
    if (rotate)
        pic->lowest = level;
    tell_end(i8259, pic, level);
}

/* What the second pulse of INTA does; returns the level, NONE when nothing waited. */
static unsigned acknowledge(I8259 *i8259, Pic *pic)
{
    unsigned level = pending(pic, pic == &i8259->master);

    if (level == NONE)
        return NONE;
    pic->edges &= ~(1u << level);
    if (pic->auto_eoi)
        end_level(i8259, pic, level, pic->rotate_on_auto_eoi);
    else
        pic->isr |= 1u << level;
    return level;
}

static bool on_acknowledge(void *opaque, uint8_t *ret_vector)
{
    I8259 *i8259 = opaque;
    unsigned level, slave_level = NONE;

    lock_take(&i8259->dev.lock);
    level = acknowledge(i8259, &i8259->master);
    if (level == CASCADE)
        slave_level = acknowledge(i8259, &i8259->slave);
    if (slave_level != NONE)
        *ret_vector = i8259->slave.base + slave_level;
    else if (level != NONE)
        *ret_vector = i8259->master.base + level;
    update(i8259);
    lock_drop(&i8259->dev.lock);
    return level != NONE;
}

static IrqchipPicView view_of(const Pic *pic)
{
    return (IrqchipPicView) {
        .irr = requests(pic),
        .imr = pic->imr,
        .isr = pic->isr,
        .elcr = pic->elcr,
        .base = pic->base,
        .highest = (pic->lowest + 1) % N_PINS,
        .read_isr = pic->read_isr,
        .fully_nested = pic->fully_nested,
    };
}

static void look(void *opaque, IrqchipPicView *ret_master, IrqchipPicView *ret_slave)
{
    I8259 *i8259 = opaque;

    lock_take(&i8259->dev.lock);
    *ret_master = view_of(&i8259->master);
    *ret_slave = view_of(&i8259->slave);
    lock_drop(&i8259->dev.lock);
}

/* A slave's pin is masked by the master's, too. */
static bool is_masked(void *opaque, unsigned pin)
{
    I8259 *i8259 = opaque;
    uint16_t masks;

    lock_take(&i8259->dev.lock);
    masks = i8259->slave.imr << N_PINS | i8259->master.imr;
    if (masks & 1u << CASCADE)
        masks |= 0xff << N_PINS;
    lock_drop(&i8259->dev.lock);
    return masks >> pin & 1;
}

/* As the data sheet says of ICW1: edges are forgotten, masks cleared, 7 is the lowest. */
static void begin_init(Pic *pic, uint8_t icw1)
{
    uint8_t levels = pic->levels, elcr = pic->elcr, base = pic->base;

    *pic = (Pic) {
        .levels = levels,
        .elcr = elcr,
        .base = base,
        .lowest = N_PINS - 1,
        .expect = EXPECT_ICW2,
        .icw4_follows = icw1 & ICW1_ICW4,
        .single = icw1 & ICW1_SINGLE,
        .level_mode = icw1 & ICW1_LEVEL,
    };
}

static void write_ocw2(I8259 *i8259, Pic *pic, uint8_t value)
{
    unsigned level = value & 7;
    bool rotate = value & OCW2_ROTATE;

    switch (value & (OCW2_ROTATE | OCW2_SPECIFIC | OCW2_EOI)) {
    case 0:
    case OCW2_ROTATE:
        pic->rotate_on_auto_eoi = rotate;
        break;
    case OCW2_EOI:
    case OCW2_ROTATE | OCW2_EOI:
        /* In special mask mode a masked level is not what ends. */
        end_level(i8259, pic,
                  highest(pic, pic->isr & ~(pic->mask_mode ? pic->imr : 0)), rotate);
        break;
    case OCW2_SPECIFIC | OCW2_EOI:
    case OCW2_ROTATE | OCW2_SPECIFIC | OCW2_EOI:
        end_level(i8259, pic, level, rotate);
        break;
    case OCW2_ROTATE | OCW2_SPECIFIC:
        pic->lowest = level;
        break;
    }
}

static void write_ocw3(Pic *pic, uint8_t value)
{
    pic->poll = value & OCW3_POLL;
    if (value & OCW3_READ)
        pic->read_isr = value & OCW3_ISR;
    if (value & OCW3_SET_MASK_MODE)
        pic->mask_mode = value & OCW3_MASK_MODE;
}

static void write_mask(I8259 *i8259, Pic *pic, uint8_t value)
{
    pic->imr = value;
    if (pic == &i8259->master && (value & 1))
        irqchip_rerouted(i8259->dev.board->vm, 0);
}

static void write_data(I8259 *i8259, Pic *pic, uint8_t value)
{
    switch (pic->expect) {
    case EXPECT_OCW1:
        write_mask(i8259, pic, value);
        break;
    case EXPECT_ICW2:
        pic->base = value & ICW2_BASE;
        pic->expect = !pic->single ? EXPECT_ICW3
                      : pic->icw4_follows ? EXPECT_ICW4 : EXPECT_OCW1;
        break;
    case EXPECT_ICW3:           /* the cascade is wired */
        pic->expect = pic->icw4_follows ? EXPECT_ICW4 : EXPECT_OCW1;
        break;
    case EXPECT_ICW4:
        pic->auto_eoi = value & ICW4_AUTO_EOI;
        pic->fully_nested = value & ICW4_FULLY_NESTED;
        pic->expect = EXPECT_OCW1;
        break;
    }
}

static void write_pic(I8259 *i8259, Pic *pic, uint64_t port, uint8_t value)
{
    if (port == 1)
        write_data(i8259, pic, value);
    else if (value & ICW1)
        begin_init(pic, value);
    else if (value & OCW3)
        write_ocw3(pic, value);
    else
        write_ocw2(i8259, pic, value);
    update(i8259);
}

static uint8_t read_pic(I8259 *i8259, Pic *pic, uint64_t port)
{
    unsigned level;

    if (pic->poll) {
        pic->poll = false;
        level = acknowledge(i8259, pic);
        update(i8259);
        return level == NONE ? 0 : POLL_PENDING | level;
    }
    if (port == 1)
        return pic->imr;
    return pic->read_isr ? pic->isr : requests(pic);
}

static uint64_t master_read(void *opaque, uint64_t offset, unsigned size)
{
    I8259 *i8259 = opaque;

    return read_pic(i8259, &i8259->master, offset);
}

static void master_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8259 *i8259 = opaque;

    write_pic(i8259, &i8259->master, offset, value);
}

static uint64_t slave_read(void *opaque, uint64_t offset, unsigned size)
{
    I8259 *i8259 = opaque;

    return read_pic(i8259, &i8259->slave, offset);
}

static void slave_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8259 *i8259 = opaque;

    write_pic(i8259, &i8259->slave, offset, value);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    const I8259 *i8259 = opaque;

    return offset == 0 ? i8259->master.elcr : i8259->slave.elcr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8259 *i8259 = opaque;

    if (offset == 0)
        i8259->master.elcr = value & MASTER_ELCR_BITS;
    else
        i8259->slave.elcr = value & SLAVE_ELCR_BITS;
    update(i8259);
}

static const RegionOps master_ops = {
    .read = master_read, .write = master_write, .max_size = 1
};

static const RegionOps slave_ops = {
    .read = slave_read, .write = slave_write, .max_size = 1
};

static const RegionOps elcr_ops = {
    .read = elcr_read, .write = elcr_write, .max_size = 1
};

static void reset_pic(Pic *pic)
{
    *pic = (Pic) { .levels = pic->levels, .lowest = N_PINS - 1 };
}

/* The lines keep their levels: they are the devices'. */
static void i8259_reset(Device *dev)
{
    I8259 *i8259 = to_i8259(dev);

    lock_take(&dev->lock);
    reset_pic(&i8259->master);
    reset_pic(&i8259->slave);
    update(i8259);
    lock_drop(&dev->lock);
}

static bool i8259_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    I8259 *i8259 = to_i8259(dev);
    Board *board = dev->board;

    for (unsigned pin = 0; pin < IRQCHIP_PIC_PINS; pin++)
        irq_line_init(&i8259->chip.pins[pin], set_pin, i8259, pin);
    i8259->chip.acknowledge = on_acknowledge;
    i8259->chip.is_masked = is_masked;
    i8259->chip.look = look;
    i8259->chip.opaque = i8259;
    irqchip_set_pic(board->vm, &i8259->chip);
    region_init_io(&i8259->master_region, "pic-master", 2, &master_ops, i8259,
                   &dev->lock);
    region_init_io(&i8259->slave_region, "pic-slave", 2, &slave_ops, i8259, &dev->lock);
    region_init_io(&i8259->elcr_region, "elcr", 2, &elcr_ops, i8259, &dev->lock);
    region_batch_begin(board->io);
    region_add(board->io_root, X86_PORT_PIC_MASTER, &i8259->master_region, 0);
    region_add(board->io_root, X86_PORT_PIC_SLAVE, &i8259->slave_region, 0);
    region_add(board->io_root, X86_PORT_ELCR, &i8259->elcr_region, 0);
    region_batch_end(board->io);
    return true;
}

static void i8259_unrealize(Device *dev)
{
    I8259 *i8259 = to_i8259(dev);

    region_done(&i8259->master_region);
    region_done(&i8259->slave_region);
    region_done(&i8259->elcr_region);
    irqchip_set_pic(dev->board->vm, NULL);
}

static bool pic_post_load(void *opaque, GError **error)
{
    Pic *pic = opaque;

    if (pic->lowest >= N_PINS || pic->expect >= EXPECT__MAX) {
        error_set(error, "field 'lowest' or 'expect' is out of range");
        return false;
    }
    return true;
}

static bool i8259_post_load(void *opaque, GError **error)
{
    I8259 *i8259 = opaque;

    i8259->master.elcr &= MASTER_ELCR_BITS;
    i8259->slave.elcr &= SLAVE_ELCR_BITS;
    i8259->output = false;
    irqchip_set_extint(i8259->dev.board->vm, false);
    update(i8259);
    return true;
}

static const VMStateField pic_fields[] = {
    VMSTATE_U8(Pic, levels),
    VMSTATE_U8(Pic, edges),
    VMSTATE_U8(Pic, imr),
    VMSTATE_U8(Pic, isr),
    VMSTATE_U8(Pic, elcr),
    VMSTATE_U8(Pic, base),
    VMSTATE_U8(Pic, lowest),
    VMSTATE_U8(Pic, expect),
    VMSTATE_BOOL(Pic, icw4_follows),
    VMSTATE_BOOL(Pic, single),
    VMSTATE_BOOL(Pic, level_mode),
    VMSTATE_BOOL(Pic, auto_eoi),
    VMSTATE_BOOL(Pic, rotate_on_auto_eoi),
    VMSTATE_BOOL(Pic, fully_nested),
    VMSTATE_BOOL(Pic, mask_mode),
    VMSTATE_BOOL(Pic, read_isr),
    VMSTATE_BOOL(Pic, poll),
    VMSTATE_END
};

static const VMStateDesc pic_vmstate = {
    .name = "pic", .version = 1, .min_version = 1, .fields = pic_fields,
    .post_load = pic_post_load,
};

static const VMStateField i8259_fields[] = {
    VMSTATE_STRUCT(I8259, master, pic_vmstate),
    VMSTATE_STRUCT(I8259, slave, pic_vmstate),
    VMSTATE_END
};

static const VMStateDesc i8259_vmstate = {
    .name = "i8259",
    .version = 1,
    .min_version = 1,
    .fields = i8259_fields,
    .post_load = i8259_post_load,
};

static const DeviceClass i8259_class = {
    .name = "isa-i8259",
    .description = "pair of interrupt controllers",
    .bus = BUS_NONE,
    .instance_size = sizeof(I8259),
    .vmstate = &i8259_vmstate,
    .realize = i8259_realize,
    .unrealize = i8259_unrealize,
    .reset = i8259_reset,
};

Device *i8259_add(DeviceTree *tree, GError **error)
{
    return device_add_onboard(tree, &i8259_class, "i8259", NULL, error);
}
