/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-serial: a 16550A (PC16550D data sheet; the names of registers are those of
 * <linux/serial_reg.h>).
 *
 * Bytes take no time: the baud rate is stored, and there are no timers. The character
 * time-out interrupt is therefore raised as soon as the FIFO holds less than the trigger
 * level.
 *
 * Output. A byte goes into the FIFO and from there to the chardev, at once. What the
 * chardev does not take stays, and THRE is withheld until writable(); a vCPU never waits.
 *
 *     THR write --> tx --> char_write()
 *                   |
 *                   +-- held: THRE interrupts are on, so the guest will look at IIR
 *                       when it has written its burst (up to 16 bytes).  THRE is
 *                       reported, and the burst leaves with one char_write() when it is
 *                       full, or before any other access of a register is answered.
 *
 * Input. The chardev asks how much there is room for; when it was told none, a message
 * makes it ask again after the guest has read all.
 *
 * The interrupt is gated by OUT2, as on every PC.
 */
#include <linux/serial_reg.h>
#include <string.h>

#include "berth/char.h"
#include "berth/error.h"
#include "berth/irq.h"
#include "berth/loop.h"
#include "berth/region.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/serial.h"

#define SERIAL_SIZE 8u
#define SERIAL_FIFO_SIZE 16u
#define SERIAL_DEFAULT_DIVISOR 12       /* 9600 baud */
#define LSR_ERRORS (UART_LSR_OE | UART_LSR_PE | UART_LSR_FE | UART_LSR_BI)
#define LSR_FIFO_ERROR 0x80
#define MSR_LINES 0xf0
#define MSR_DELTAS 0x0f
/* A far end is always there and ready. */
#define MSR_CONNECTED (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)
#define MCR_BITS 0x1f
#define IER_BITS 0x0f
#define IIR_FIFO 0xc0
/* Timer, cascade, RTC and SCI have these. */
#define BOARD_INTERRUPTS (1u << 0 | 1u << 2 | 1u << 8 | 1u << 9)

typedef struct SerialFifo {
    uint8_t data[SERIAL_FIFO_SIZE];
    uint8_t head;
    uint8_t count;
} SerialFifo;

typedef struct Serial {
    Device dev;
    SerialPort port;
    Region region;
    Chardev *chr;               /* NULL: nothing is connected */
    IrqLine *irq;
    LoopMessage accept_input;

    /* Under dev.lock. */
    SerialFifo tx;
    SerialFifo rx;
    uint16_t rx_breaks;         /* which slots of rx are breaks */
    uint8_t ier;
    uint8_t fcr;
    uint8_t lcr;
    uint8_t mcr;
    uint8_t lsr_errors;
    uint8_t msr;
    uint8_t scr;
    uint8_t dll;
    uint8_t dlm;
    bool thre_pending;          /* the THRE interrupt, until IIR told of it */
    bool tx_held;
    bool irq_level;
    bool paused;
    bool input_refused;         /* the chardev was told that there is no room */
} Serial;

static const SerialPort port_defaults[SERIAL_PORTS] = {
    { 0, X86_PORT_COM1, X86_GSI_COM1 },
    { 1, X86_PORT_COM2, X86_GSI_COM2 },
    { 2, X86_PORT_COM3, X86_GSI_COM1 },
    { 3, X86_PORT_COM4, X86_GSI_COM2 },
};

static Serial *to_serial(Device *dev)
{
    return CONTAINER_OF(dev, Serial, dev);
}

static unsigned fifo_limit(const Serial *serial)
{
    return serial->fcr & UART_FCR_ENABLE_FIFO ? SERIAL_FIFO_SIZE : 1;
}

/*
 * The slot of the first byte: one that exists also when a load has failed and a reset is
 * still to come.
 */
static unsigned fifo_front(const SerialFifo *fifo)
{
    return fifo->head % SERIAL_FIFO_SIZE;
}

/* Returns the slot. */
static unsigned fifo_push(SerialFifo *fifo, uint8_t byte)
{
    unsigned slot = (fifo->head + fifo->count++) % SERIAL_FIFO_SIZE;

    fifo->data[slot] = byte;
    return slot;
}

static void fifo_drop(SerialFifo *fifo, unsigned n)
{
    fifo->head = (fifo->head + n) % SERIAL_FIFO_SIZE;
    fifo->count -= n;
}

static unsigned rx_trigger(const Serial *serial)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };

    return fifo_limit(serial) == 1 ? 1 : levels[serial->fcr >> 6];
}

/* The source of highest priority, as IIR shows it. */
static uint8_t interrupt_source(const Serial *serial)
{
    if ((serial->ier & UART_IER_RLSI) && serial->lsr_errors)
        return UART_IIR_RLSI;
    if ((serial->ier & UART_IER_RDI) && serial->rx.count > 0)
        return serial->rx.count >= rx_trigger(serial) ? UART_IIR_RDI
                                                      : UART_IIR_RX_TIMEOUT;
    if ((serial->ier & UART_IER_THRI) && serial->thre_pending)
        return UART_IIR_THRI;
    if ((serial->ier & UART_IER_MSI) && (serial->msr & MSR_DELTAS))
        return UART_IIR_MSI;
    return UART_IIR_NO_INT;
}

static bool wanted_level(const Serial *serial)
{
    bool gate = (serial->mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2;

    return gate && interrupt_source(serial) != UART_IIR_NO_INT;
}

static void drive_irq(Serial *serial)
{
    serial->irq_level = wanted_level(serial);
    irq_set(serial->irq, serial->irq_level);
}

static void update_irq(Serial *serial)
{
    if (wanted_level(serial) != serial->irq_level)
        drive_irq(serial);
}

/* A break that has come to the front of the FIFO shows in LSR. */
static void show_break(Serial *serial)
{
    uint16_t front = 1u << fifo_front(&serial->rx);

    if (serial->rx.count > 0 && (serial->rx_breaks & front)) {
        serial->rx_breaks &= ~front;
        serial->lsr_errors |= UART_LSR_BI;
    }
}

static void receive(Serial *serial, uint8_t byte, bool is_break)
{
    unsigned slot;

    if (serial->rx.count >= fifo_limit(serial)) {
        serial->lsr_errors |= UART_LSR_OE;
        return;
    }
    slot = fifo_push(&serial->rx, byte);
    if (is_break)
        serial->rx_breaks |= 1u << slot;
    show_break(serial);
}

/* The chardev may send again what it was refused. */
static void let_input_in(Serial *serial)
{
    if (!serial->input_refused)
        return;
    serial->input_refused = false;
    loop_post(serial->dev.board->loop, &serial->accept_input);
}

static void rx_clear(Serial *serial)
{
    fifo_drop(&serial->rx, serial->rx.count);
    serial->rx_breaks = 0;
    let_input_in(serial);
}

/* Gives the chardev what is in the FIFO; THRE when it took all. */
static void tx_flush(Serial *serial)
{
    SerialFifo *tx = &serial->tx;

    serial->tx_held = false;
    while (tx->count > 0) {
        unsigned front = fifo_front(tx);
        unsigned part = MIN(tx->count, SERIAL_FIFO_SIZE - front);
        size_t taken = part;

        if (serial->chr)
            taken = char_write(serial->chr, tx->data + front, part);
        fifo_drop(tx, taken);
        if (taken < part) {
            serial->thre_pending = false;
            return;
        }
    }
    serial->thre_pending = true;
}

/* Whether the guest will come back for IIR after a burst. */
static bool guest_awaits_thre(const Serial *serial)
{
    return fifo_limit(serial) > 1 && (serial->ier & UART_IER_THRI) &&
           (serial->mcr & UART_MCR_OUT2);
}

static void transmit(Serial *serial, uint8_t byte)
{
    bool waits;

    if (serial->mcr & UART_MCR_LOOP) {
        receive(serial, byte, false);
        serial->thre_pending = true;
        return;
    }
    if (serial->tx.count >= fifo_limit(serial))
        return;                 /* the guest did not wait for THRE */
    waits = serial->tx.count > 0 && !serial->tx_held;
    fifo_push(&serial->tx, byte);
    serial->thre_pending = false;
    if (waits)
        return;                 /* for writable() */
    serial->tx_held = guest_awaits_thre(serial) && serial->tx.count < SERIAL_FIFO_SIZE;
    if (serial->tx_held)
        serial->thre_pending = true;
    else
        tx_flush(serial);
}

/* The lines as they are now, and which of them changed. */
static void update_msr(Serial *serial)
{
    uint8_t old = serial->msr & MSR_LINES, lines = MSR_CONNECTED, changed;

    if (serial->mcr & UART_MCR_LOOP) {
        lines = (serial->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
                (serial->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
                (serial->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
                (serial->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
    }
    changed = old ^ lines;
    if (lines & UART_MSR_RI)
        changed &= ~UART_MSR_RI; /* only its trailing edge counts */
    serial->msr = lines | (serial->msr & MSR_DELTAS) | changed >> 4;
}

static void write_fcr(Serial *serial, uint8_t value)
{
    bool toggled = (serial->fcr ^ value) & UART_FCR_ENABLE_FIFO;

    if (toggled || (value & UART_FCR_CLEAR_RCVR))
        rx_clear(serial);
    if (toggled || (value & UART_FCR_CLEAR_XMIT)) {
        if (serial->tx.count > 0)
            serial->thre_pending = true;
        fifo_drop(&serial->tx, serial->tx.count);
    }
    serial->fcr = value & UART_FCR_ENABLE_FIFO
                ? value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK) : 0;
}

static void write_ier(Serial *serial, uint8_t value)
{
    bool thre_enabled = ~serial->ier & value & UART_IER_THRI;

    serial->ier = value & IER_BITS;
    if (thre_enabled && serial->tx.count == 0)
        serial->thre_pending = true;
}

static void write_mcr(Serial *serial, uint8_t value)
{
    bool was_loop = serial->mcr & UART_MCR_LOOP;

    serial->mcr = value & MCR_BITS;
    update_msr(serial);
    if (was_loop && !(value & UART_MCR_LOOP))
        let_input_in(serial);
}

static uint8_t read_rbr(Serial *serial)
{
    uint8_t byte = serial->rx.data[fifo_front(&serial->rx)];

    if (serial->rx.count == 0)
        return 0;
    fifo_drop(&serial->rx, 1);
    show_break(serial);
    if (serial->rx.count == 0)
        let_input_in(serial);
    return byte;
}

static uint8_t read_iir(Serial *serial)
{
    uint8_t iir = interrupt_source(serial);

    if (iir == UART_IIR_THRI)
        serial->thre_pending = false;
    return fifo_limit(serial) > 1 ? iir | IIR_FIFO : iir;
}

static uint8_t read_lsr(Serial *serial)
{
    uint8_t lsr = serial->lsr_errors;

    serial->lsr_errors = 0;
    if (serial->rx.count > 0)
        lsr |= UART_LSR_DR;
    if (serial->tx.count == 0)
        lsr |= UART_LSR_THRE | UART_LSR_TEMT;
    if (fifo_limit(serial) > 1 && (serial->rx_breaks || (lsr & UART_LSR_BI)))
        lsr |= LSR_FIFO_ERROR;
    return lsr;
}

static uint8_t read_msr(Serial *serial)
{
    uint8_t msr = serial->msr;

    serial->msr &= MSR_LINES;
    return msr;
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned size)
{
    Serial *serial = opaque;
    bool dlab = serial->lcr & UART_LCR_DLAB;
    uint8_t value = 0;

    if (serial->tx_held)
        tx_flush(serial);
    switch (offset) {
    case UART_RX:
        value = dlab ? serial->dll : read_rbr(serial);
        break;
    case UART_IER:
        value = dlab ? serial->dlm : serial->ier;
        break;
    case UART_IIR:
        value = read_iir(serial);
        break;
    case UART_LCR:
        value = serial->lcr;
        break;
    case UART_MCR:
        value = serial->mcr;
        break;
    case UART_LSR:
        value = read_lsr(serial);
        break;
    case UART_MSR:
        value = read_msr(serial);
        break;
    case UART_SCR:
        value = serial->scr;
        break;
    }
    update_irq(serial);
    return value;
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Serial *serial = opaque;
    bool dlab = serial->lcr & UART_LCR_DLAB;

    if (serial->tx_held && (dlab || offset != UART_TX))
        tx_flush(serial);
    switch (offset) {
    case UART_TX:
        if (dlab)
            serial->dll = value;
        else
            transmit(serial, value);
        break;
    case UART_IER:
        if (dlab)
            serial->dlm = value;
        else
            write_ier(serial, value);
        break;
    case UART_FCR:
        write_fcr(serial, value);
        break;
    case UART_LCR:
        serial->lcr = value;
        break;
    case UART_MCR:
        write_mcr(serial, value);
        break;
    case UART_SCR:
        serial->scr = value;
        break;
    }
    update_irq(serial);
}

static size_t serial_on_can_read(void *opaque)
{
    Serial *serial = opaque;
    size_t room = 0;

    lock_take(&serial->dev.lock);
    if (!serial->paused && !(serial->mcr & UART_MCR_LOOP))
        room = fifo_limit(serial) - MIN(serial->rx.count, fifo_limit(serial));
    serial->input_refused = room == 0;
    lock_drop(&serial->dev.lock);
    return room;
}

static void serial_on_read(void *opaque, const uint8_t *data, size_t size)
{
    Serial *serial = opaque;

    lock_take(&serial->dev.lock);
    for (size_t i = 0; i < size; i++)
        receive(serial, data[i], false);
    update_irq(serial);
    lock_drop(&serial->dev.lock);
}

static void serial_on_writable(void *opaque)
{
    Serial *serial = opaque;

    lock_take(&serial->dev.lock);
    if (!serial->paused && serial->tx.count > 0) {
        tx_flush(serial);
        update_irq(serial);
    }
    lock_drop(&serial->dev.lock);
}

static void serial_on_event(void *opaque, CharEvent event)
{
    Serial *serial = opaque;

    if (event != CHAR_EVENT_BREAK)
        return;
    lock_take(&serial->dev.lock);
    if (!serial->paused && !(serial->mcr & UART_MCR_LOOP)) {
        receive(serial, 0, true);
        update_irq(serial);
    }
    lock_drop(&serial->dev.lock);
}

static void serial_on_accept_input(void *opaque)
{
    Serial *serial = opaque;

    char_accept_input(serial->chr);
}

static const CharUser serial_char_user = {
    .can_read = serial_on_can_read,
    .read = serial_on_read,
    .writable = serial_on_writable,
    .event = serial_on_event,
};

static const RegionOps serial_region_ops = {
    .read = serial_read,
    .write = serial_write,
    .max_size = 1,
};

/* The other port with @index (or, if that is -1, with a port of @iobase's), or NULL. */
static Serial *find_port(Device *self, int index, unsigned iobase)
{
    LIST_FOREACH(node, &self->tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        Serial *other = to_serial(dev);

        if (dev->class != &serial_class || dev == self)
            continue;
        if (index >= 0 ? other->port.index == (unsigned)index
                       : iobase < other->port.iobase + SERIAL_SIZE &&
                         other->port.iobase < iobase + SERIAL_SIZE)
            return other;
    }
    return NULL;
}

static bool choose_index(Serial *serial, const IsaSerialProps *props, GError **error)
{
    Serial *other;

    if (props->has_index) {
        other = find_port(&serial->dev, props->index, 0);
        if (other) {
            error_set(error, "parameter 'index': port %u is '%s'", props->index,
                      device_name(&other->dev));
            return false;
        }
        serial->port = port_defaults[props->index];
        return true;
    }
    for (unsigned i = 0; i < SERIAL_PORTS; i++) {
        if (!find_port(&serial->dev, i, 0)) {
            serial->port = port_defaults[i];
            return true;
        }
    }
    error_set(error, "parameter 'index': all %u serial ports are taken", SERIAL_PORTS);
    return false;
}

static bool choose_port(Serial *serial, const IsaSerialProps *props, GError **error)
{
    Serial *other;

    if (!choose_index(serial, props, error))
        return false;
    if (props->has_iobase)
        serial->port.iobase = props->iobase;
    if (props->has_irq)
        serial->port.irq = props->irq;
    if (serial->port.iobase > 0x10000 - SERIAL_SIZE) {
        error_set(error, "parameter 'iobase' expects a port up to 0x%x",
                  0x10000 - SERIAL_SIZE);
        return false;
    }
    other = find_port(&serial->dev, -1, serial->port.iobase);
    if (other) {
        error_set(error, "parameter 'iobase': '%s' is at port 0x%x",
                  device_name(&other->dev), other->port.iobase);
        return false;
    }
    if (BOARD_INTERRUPTS >> serial->port.irq & 1) {
        error_set(error, "parameter 'irq': interrupt %u is the board's",
                  serial->port.irq);
        return false;
    }
    return true;
}

static bool attach_chardev(Serial *serial, const char *id, GError **error)
{
    Chardev *chr;

    if (!id)
        return true;
    chr = char_find(serial->dev.board->chars, id);
    if (!chr) {
        error_set(error, "parameter 'chardev': character device '%s' not found", id);
        return false;
    }
    if (!char_attach(chr, &serial_char_user, serial, error)) {
        g_prefix_error(error, "parameter 'chardev': ");
        return false;
    }
    serial->chr = chr;
    char_set_frontend_open(chr, true);
    return true;
}

static void serial_reset(Device *dev)
{
    Serial *serial = to_serial(dev);

    lock_take(&dev->lock);
    tx_flush(serial);
    fifo_drop(&serial->tx, serial->tx.count);
    fifo_drop(&serial->rx, serial->rx.count);
    serial->rx_breaks = 0;
    serial->ier = 0;
    serial->fcr = 0;
    serial->lcr = 0;
    serial->mcr = 0;
    serial->lsr_errors = 0;
    serial->msr = MSR_CONNECTED;
    serial->scr = 0;
    serial->dll = SERIAL_DEFAULT_DIVISOR;
    serial->dlm = 0;
    serial->thre_pending = false;
    update_irq(serial);
    lock_drop(&dev->lock);
}

static bool serial_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Serial *serial = to_serial(dev);
    const IsaSerialProps *props = &args->u.isa_serial;

    if (!choose_port(serial, props, error))
        return false;
    serial->paused = true;
    serial->irq = dev->board->isa_irqs[serial->port.irq];
    loop_message_init(&serial->accept_input, serial_on_accept_input, serial);
    if (!attach_chardev(serial, props->chardev, error))
        return false;
    serial_reset(dev);
    region_init_io(&serial->region, "serial", SERIAL_SIZE, &serial_region_ops, serial,
                   &dev->lock);
    region_add(dev->board->io_root, serial->port.iobase, &serial->region, 0);
    return true;
}

static void serial_unrealize(Device *dev)
{
    Serial *serial = to_serial(dev);

    region_done(&serial->region);
    lock_take(&dev->lock);
    tx_flush(serial);
    lock_drop(&dev->lock);
    irq_lower(serial->irq);
    loop_message_cancel(dev->board->loop, &serial->accept_input);
    if (serial->chr) {
        char_set_frontend_open(serial->chr, false);
        char_detach(serial->chr);
    }
}

static void serial_pause(Device *dev)
{
    Serial *serial = to_serial(dev);

    lock_take(&dev->lock);
    if (serial->tx_held)
        tx_flush(serial);
    serial->paused = true;
    update_irq(serial);
    lock_drop(&dev->lock);
}

static void serial_resume(Device *dev)
{
    Serial *serial = to_serial(dev);

    lock_take(&dev->lock);
    serial->paused = false;
    if (serial->tx.count > 0)
        tx_flush(serial);
    update_irq(serial);
    let_input_in(serial);
    lock_drop(&dev->lock);
}

static bool fifo_post_load(void *opaque, GError **error)
{
    SerialFifo *fifo = opaque;

    if (fifo->head < SERIAL_FIFO_SIZE && fifo->count <= SERIAL_FIFO_SIZE)
        return true;
    error_set(error, "a FIFO has no slot %u or not %u bytes", fifo->head, fifo->count);
    return false;
}

static bool serial_post_load(void *opaque, GError **error)
{
    Serial *serial = opaque;

    lock_take(&serial->dev.lock);
    serial->tx_held = false;
    drive_irq(serial);
    lock_drop(&serial->dev.lock);
    return true;
}

SerialPort serial_port(const Device *dev)
{
    return CONTAINER_OF(dev, const Serial, dev)->port;
}

static const VMStateField fifo_fields[] = {
    VMSTATE_BYTES(SerialFifo, data, SERIAL_FIFO_SIZE),
    VMSTATE_U8(SerialFifo, head),
    VMSTATE_U8(SerialFifo, count),
    VMSTATE_END
};

static const VMStateDesc fifo_vmstate = {
    .name = "serial-fifo",
    .version = 1,
    .min_version = 1,
    .fields = fifo_fields,
    .post_load = fifo_post_load,
};

static const VMStateField serial_fields[] = {
    VMSTATE_STRUCT(Serial, tx, fifo_vmstate),
    VMSTATE_STRUCT(Serial, rx, fifo_vmstate),
    VMSTATE_U16(Serial, rx_breaks),
    VMSTATE_U8(Serial, ier),
    VMSTATE_U8(Serial, fcr),
    VMSTATE_U8(Serial, lcr),
    VMSTATE_U8(Serial, mcr),
    VMSTATE_U8(Serial, lsr_errors),
    VMSTATE_U8(Serial, msr),
    VMSTATE_U8(Serial, scr),
    VMSTATE_U8(Serial, dll),
    VMSTATE_U8(Serial, dlm),
    VMSTATE_BOOL(Serial, thre_pending),
    VMSTATE_END
};

static const VMStateDesc serial_vmstate = {
    .name = "serial",
    .version = 1,
    .min_version = 1,
    .fields = serial_fields,
    .post_load = serial_post_load,
};

const DeviceClass serial_class = {
    .name = "isa-serial",
    .description = "16550A serial port",
    .bus = BUS_ISA,
    .instance_size = sizeof(Serial),
    .vmstate = &serial_vmstate,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .pause = serial_pause,
    .resume = serial_resume,
};
