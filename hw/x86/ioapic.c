/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC (82093AA data sheet; version, EOI register and extended destination as in the
 * ICH9 data sheet, 13.5).
 *
 * A pin that is asserted becomes a message to the local APICs, which are the
 * hypervisor's.  Edges are sent once and forgotten, those of masked pins are lost.  A
 * level-triggered pin:
 *
 *     idle ---- high and not masked: message ----> in service (remote IRR)
 *     in service --- EOI of its vector ---> idle, and at once in service again while high
 *
 * The EOI comes by way of the hypervisor, which has to know the vectors that it is to
 * tell of: the routes.  They follow the entries of level-triggered pins when these are
 * unmasked, and outlive a mask, for the EOI of what was sent before comes after it.  Pins
 * whose end somebody listens to have one too.
 *
 * A guest that ends an interrupt and does not silence the device would be interrupted
 * without end.  After REPEATS_MAX in a row the pin waits for DELAY_NS, so that the guest
 * gets to run, as on hardware, where a message takes its time.
 *
 * Polarity is kept and means nothing: lines are levels of "asserted".  Nothing is wired
 * for delivery mode ExtINT, so its messages are not sent.
 */
#include "berth/error.h"
#include "berth/irqchip.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/ioapic.h"

#define N_PINS IRQCHIP_IOAPIC_PINS

/* Offsets. */
#define REG_SELECT 0x00u
#define REG_WINDOW 0x10u
#define REG_EOI 0x40u

/* What the select register selects. */
#define INDEX_ID 0x00u
#define INDEX_VERSION 0x01u
#define INDEX_ARBITRATION 0x02u
#define INDEX_ENTRIES 0x10u

#define ID_SHIFT 24
#define ID_MASK 0x0fu
#define VERSION (0x20u | (N_PINS - 1) << 16)

/* A redirection entry. */
#define ENTRY_VECTOR 0xffull
#define ENTRY_MODE_SHIFT 8
#define ENTRY_MODE 7u
#define ENTRY_LOGICAL (1ull << 11)
#define ENTRY_REMOTE_IRR (1ull << 14)
#define ENTRY_LEVEL (1ull << 15)
#define ENTRY_MASKED (1ull << 16)
#define ENTRY_EXT_DEST_SHIFT 49         /* seven bits: 8 to 14 of the APIC id */
#define ENTRY_DEST_SHIFT 56
#define ENTRY_WRITABLE 0xffff00000001afffull

#define MODE_FIXED 0u
#define MODE_LOWEST 1u
#define MODE_EXTINT 7u

/* Intel SDM volume 3, 12.11; bits 5 to 11: the extended destination. */
#define MSI_ADDRESS 0xfee00000u
#define MSI_EXT_DEST_SHIFT 5
#define MSI_DEST_SHIFT 12
#define MSI_LOGICAL (1u << 2)
#define MSI_MODE_SHIFT 8
#define MSI_ASSERT (1u << 14)
#define MSI_LEVEL (1u << 15)

#define REPEATS_MAX 10000
#define DELAY_NS (10 * NS_PER_MS)

typedef struct Ioapic {
    Device dev;
    Region region;
    VmIoapic chip;
    LoopMessage rearm;
    Timer timer;                /* main's: the delayed pins */

    /* Under dev.lock. */
    uint8_t id;
    uint8_t select;
    uint32_t levels;            /* of the pins */
    uint64_t entries[N_PINS];
    MsiMessage routes[N_PINS];  /* what the hypervisor knows; address 0: nothing */
    uint16_t n_repeats[N_PINS];
    uint32_t delayed;           /* pins that wait for the timer */
} Ioapic;

G_STATIC_ASSERT(N_PINS <= 32);

static Ioapic *to_ioapic(Device *dev)
{
    return CONTAINER_OF(dev, Ioapic, dev);
}

static unsigned mode_of(uint64_t entry)
{
    return entry >> ENTRY_MODE_SHIFT & ENTRY_MODE;
}

/* Only such interrupts are ended by an EOI. */
static bool is_ended(uint64_t entry)
{
    return mode_of(entry) == MODE_FIXED || mode_of(entry) == MODE_LOWEST;
}

/* The other modes are edges, whatever the entry says. */
static bool is_level(uint64_t entry)
{
    return (entry & ENTRY_LEVEL) && is_ended(entry);
}

static MsiMessage message_of(uint64_t entry)
{
    uint32_t ext_dest = entry >> ENTRY_EXT_DEST_SHIFT & 0x7f;
    uint32_t dest = entry >> ENTRY_DEST_SHIFT;

    return (MsiMessage) {
        .addr = MSI_ADDRESS | dest << MSI_DEST_SHIFT | ext_dest << MSI_EXT_DEST_SHIFT |
                (entry & ENTRY_LOGICAL ? MSI_LOGICAL : 0),
        .data = (entry & ENTRY_VECTOR) | mode_of(entry) << MSI_MODE_SHIFT |
                (is_level(entry) ? MSI_LEVEL | MSI_ASSERT : 0),
    };
}

/* The GSI of a pin; the PIT's pin 2 is GSI 0. */
static unsigned gsi_of(unsigned pin)
{
    return pin == X86_GSI_PIT ? 0 : pin;
}

static void send(Ioapic *ioapic, unsigned pin)
{
    uint64_t *entry = &ioapic->entries[pin];
    MsiMessage message = message_of(*entry);

    if (mode_of(*entry) == MODE_EXTINT)
        return;
    if (is_level(*entry))
        *entry |= ENTRY_REMOTE_IRR;
    vm_send_msi(ioapic->dev.board->vm, &message);
}

/* Sends what a level-triggered pin has to send. */
static void serve_level(Ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entries[pin];

    if (is_level(entry) && !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) &&
        (ioapic->levels & ~ioapic->delayed & 1u << pin))
        send(ioapic, pin);
}

static void set_pin(void *opaque, unsigned pin, bool level)
{
    Ioapic *ioapic = opaque;
    uint32_t bit = 1u << pin;
    bool rises;

    lock_take(&ioapic->dev.lock);
    rises = level && !(ioapic->levels & bit);
    if (level)
        ioapic->levels |= bit;
    else
        ioapic->levels &= ~bit;
    if (is_level(ioapic->entries[pin]))
        serve_level(ioapic, pin);
    else if (rises && !(ioapic->entries[pin] & ENTRY_MASKED))
        send(ioapic, pin);
    lock_drop(&ioapic->dev.lock);
}

/* The message whose end is of interest, with address 0 when none is. */
static MsiMessage wanted_route(Ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entries[pin];
    bool listened = irqchip_is_listened(ioapic->dev.board->vm, gsi_of(pin));
    MsiMessage message = { 0 };

    if (!is_ended(entry) || !(is_level(entry) || listened))
        return message;
    /* The hypervisor tells of level-triggered vectors only, so this is one to it. */
    message = message_of(entry);
    message.data |= MSI_LEVEL;
    return message;
}

/* Returns whether the pin's route has changed. */
static bool follow_entry(Ioapic *ioapic, unsigned pin)
{
    MsiMessage *route = &ioapic->routes[pin];
    MsiMessage wanted = wanted_route(ioapic, pin);

    if (wanted.addr == route->addr && wanted.data == route->data)
        return false;
    *route = wanted;
    return true;
}

static void commit_routes(Ioapic *ioapic)
{
    int err = irqchip_set_routes(ioapic->dev.board->vm, ioapic->routes);

    if (err < 0)
        device_host_error(&ioapic->dev, "the routes of the pins: %s", error_text(-err));
}

static void end_interrupt(Ioapic *ioapic, unsigned pin)
{
    uint32_t bit = 1u << pin;

    ioapic->entries[pin] &= ~ENTRY_REMOTE_IRR;
    if (!(ioapic->levels & bit)) {
        ioapic->n_repeats[pin] = 0;
        return;
    }
    if (++ioapic->n_repeats[pin] >= REPEATS_MAX) {
        ioapic->n_repeats[pin] = 0;
        ioapic->delayed |= bit;
        loop_post(ioapic->dev.board->loop, &ioapic->rearm);
    }
    serve_level(ioapic, pin);
}

static void end_vector(Ioapic *ioapic, uint8_t vector)
{
    Vm *vm = ioapic->dev.board->vm;

    for (unsigned pin = 0; pin < N_PINS; pin++) {
        uint64_t entry = ioapic->entries[pin];

        if ((entry & ENTRY_VECTOR) != vector)
            continue;
        if (entry & ENTRY_REMOTE_IRR)
            end_interrupt(ioapic, pin);
        irqchip_ended(vm, gsi_of(pin));
    }
}

static void on_eoi(void *opaque, uint8_t vector)
{
    Ioapic *ioapic = opaque;

    lock_take(&ioapic->dev.lock);
    end_vector(ioapic, vector);
    lock_drop(&ioapic->dev.lock);
}

static bool is_masked(void *opaque, unsigned pin)
{
    Ioapic *ioapic = opaque;
    bool masked;

    lock_take(&ioapic->dev.lock);
    masked = ioapic->entries[pin] & ENTRY_MASKED;
    lock_drop(&ioapic->dev.lock);
    return masked;
}

static void look(void *opaque, IrqchipIoapicView *ret_ioapic)
{
    Ioapic *ioapic = opaque;

    lock_take(&ioapic->dev.lock);
    ret_ioapic->id = ioapic->id;
    ret_ioapic->select = ioapic->select;
    ret_ioapic->irr = ioapic->levels;
    memcpy(ret_ioapic->entries, ioapic->entries, sizeof(ioapic->entries));
    lock_drop(&ioapic->dev.lock);
}

static void write_entry(Ioapic *ioapic, unsigned pin, unsigned shift, uint32_t value)
{
    uint64_t half = 0xffffffffull << shift;
    uint64_t entry = ioapic->entries[pin];

    entry &= ~(half & ENTRY_WRITABLE);
    entry |= (uint64_t)value << shift & ENTRY_WRITABLE;
    /* Guests without an EOI register end an interrupt by a turn as an edge. */
    if (!is_level(entry))
        entry &= ~ENTRY_REMOTE_IRR;
    ioapic->entries[pin] = entry;
    irqchip_rerouted(ioapic->dev.board->vm, gsi_of(pin));
    if (entry & ENTRY_MASKED)
        return;
    if (follow_entry(ioapic, pin))
        commit_routes(ioapic);
    serve_level(ioapic, pin);
}

static uint32_t read_window(const Ioapic *ioapic)
{
    unsigned index = ioapic->select;

    switch (index) {
    case INDEX_ID:
    case INDEX_ARBITRATION:
        return (uint32_t)ioapic->id << ID_SHIFT;
    case INDEX_VERSION:
        return VERSION;
    case INDEX_ENTRIES ... INDEX_ENTRIES + 2 * N_PINS - 1:
        index -= INDEX_ENTRIES;
        return ioapic->entries[index / 2] >> (index % 2 ? 32 : 0);
    }
    return 0;
}

static void write_window(Ioapic *ioapic, uint32_t value)
{
    unsigned index = ioapic->select;

    switch (index) {
    case INDEX_ID:
        ioapic->id = value >> ID_SHIFT & ID_MASK;
        break;
    case INDEX_ENTRIES ... INDEX_ENTRIES + 2 * N_PINS - 1:
        index -= INDEX_ENTRIES;
        write_entry(ioapic, index / 2, index % 2 ? 32 : 0, value);
        break;
    }
}

static uint64_t ioapic_read(void *opaque, uint64_t offset, unsigned size)
{
    Ioapic *ioapic = opaque;

    switch (offset) {
    case REG_SELECT:
        return ioapic->select;
    case REG_WINDOW:
        return read_window(ioapic);
    }
    return 0;
}

static void ioapic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Ioapic *ioapic = opaque;

    switch (offset) {
    case REG_SELECT:
        ioapic->select = value;
        break;
    case REG_WINDOW:
        if (size == 4)
            write_window(ioapic, value);
        break;
    case REG_EOI:
        end_vector(ioapic, value);
        break;
    }
}

static const RegionOps ioapic_region_ops = {
    .read = ioapic_read, .write = ioapic_write, .max_size = 4
};

static void serve_all(Ioapic *ioapic)
{
    for (unsigned pin = 0; pin < N_PINS; pin++)
        serve_level(ioapic, pin);
}

static void on_rearm(void *opaque)
{
    Ioapic *ioapic = opaque;

    timer_set(&ioapic->timer, loop_clock_ns() + DELAY_NS);
}

static void on_timer(void *opaque)
{
    Ioapic *ioapic = opaque;

    lock_take(&ioapic->dev.lock);
    ioapic->delayed = 0;
    serve_all(ioapic);
    lock_drop(&ioapic->dev.lock);
}

/* The lines keep their levels: they are the devices'. */
static void ioapic_reset(Device *dev)
{
    Ioapic *ioapic = to_ioapic(dev);
    bool had_routes = false;

    lock_take(&dev->lock);
    ioapic->id = 0;
    ioapic->select = 0;
    ioapic->delayed = 0;
    for (unsigned pin = 0; pin < N_PINS; pin++) {
        ioapic->entries[pin] = ENTRY_MASKED;
        ioapic->n_repeats[pin] = 0;
        had_routes |= ioapic->routes[pin].addr != 0;
        ioapic->routes[pin].addr = 0;
    }
    if (had_routes)
        commit_routes(ioapic);
    lock_drop(&dev->lock);
}

static bool ioapic_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Ioapic *ioapic = to_ioapic(dev);
    Board *board = dev->board;

    loop_message_init(&ioapic->rearm, on_rearm, ioapic);
    timer_init(&ioapic->timer, board->loop, on_timer, ioapic);
    for (unsigned pin = 0; pin < N_PINS; pin++)
        irq_line_init(&ioapic->chip.pins[pin], set_pin, ioapic, pin);
    ioapic->chip.eoi = on_eoi;
    ioapic->chip.is_masked = is_masked;
    ioapic->chip.look = look;
    ioapic->chip.opaque = ioapic;
    irqchip_set_ioapic(board->vm, &ioapic->chip);
    region_init_io(&ioapic->region, "ioapic", X86_IOAPIC_SIZE, &ioapic_region_ops, ioapic,
                   &dev->lock);
    region_add(board->memory_root, X86_IOAPIC_BASE, &ioapic->region, 0);
    return true;
}

static void ioapic_unrealize(Device *dev)
{
    Ioapic *ioapic = to_ioapic(dev);

    region_done(&ioapic->region);
    irqchip_set_ioapic(dev->board->vm, NULL);
    loop_message_cancel(dev->board->loop, &ioapic->rearm);
    timer_cancel(&ioapic->timer);
}

static void ioapic_pause(Device *dev)
{
    Ioapic *ioapic = to_ioapic(dev);

    lock_take(&dev->lock);
    loop_message_cancel(dev->board->loop, &ioapic->rearm);
    timer_cancel(&ioapic->timer);
    ioapic->delayed = 0;
    lock_drop(&dev->lock);
}

/* What was delayed, and what a load brought. */
static void ioapic_resume(Device *dev)
{
    Ioapic *ioapic = to_ioapic(dev);

    lock_take(&dev->lock);
    serve_all(ioapic);
    lock_drop(&dev->lock);
}

static bool ioapic_post_load(void *opaque, GError **error)
{
    Ioapic *ioapic = opaque;

    ioapic->id &= ID_MASK;
    ioapic->levels &= (1u << N_PINS) - 1;
    for (unsigned pin = 0; pin < N_PINS; pin++) {
        uint64_t *entry = &ioapic->entries[pin];

        *entry &= ENTRY_WRITABLE | ENTRY_REMOTE_IRR;
        if (!is_level(*entry))
            *entry &= ~ENTRY_REMOTE_IRR;
        ioapic->n_repeats[pin] = 0;
        ioapic->routes[pin].addr = 0;
        if (!(*entry & ENTRY_MASKED) || (*entry & ENTRY_REMOTE_IRR))
            follow_entry(ioapic, pin);
    }
    commit_routes(ioapic);
    return true;
}

static const VMStateField ioapic_fields[] = {
    VMSTATE_U8(Ioapic, id),
    VMSTATE_U8(Ioapic, select),
    VMSTATE_U32(Ioapic, levels),
    VMSTATE_U64_ARRAY(Ioapic, entries, N_PINS),
    VMSTATE_END
};

static const VMStateDesc ioapic_vmstate = {
    .name = "ioapic",
    .version = 1,
    .min_version = 1,
    .fields = ioapic_fields,
    .post_load = ioapic_post_load,
};

static const DeviceClass ioapic_class = {
    .name = "ioapic",
    .description = "I/O interrupt controller",
    .bus = BUS_NONE,
    .instance_size = sizeof(Ioapic),
    .vmstate = &ioapic_vmstate,
    .realize = ioapic_realize,
    .unrealize = ioapic_unrealize,
    .reset = ioapic_reset,
    .pause = ioapic_pause,
    .resume = ioapic_resume,
};

Device *ioapic_add(DeviceTree *tree, GError **error)
{
    return device_add_onboard(tree, &ioapic_class, "ioapic", NULL, error);
}
