/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550A (PC16550D data sheet; the names of registers are those of
 * <linux/serial_reg.h>).
 *
 * Bytes take no time: the baud rate is stored, and told to a port of the host that may
 * be at the far end, and there are no timers.  The character time-out interrupt is
 * therefore raised as soon as the FIFO holds less than the trigger level.
 *
 * Output.  A byte goes into the FIFO and from there to the chardev, at once.  What the
 * chardev does not take stays, and THRE is withheld until writable(); a vCPU never waits.
 *
 *     THR write --> tx --> char_write()
 *                   |
 *                   +-- held: THRE interrupts are on, so the guest will look at IIR
 *                       when it has written its burst (up to 16 bytes).  THRE is
 *                       reported, and the burst leaves with one char_write() when it is
 *                       full, or before any other access of a register is answered.
 *
 * Input.  The chardev asks how much there is room for; when it was told none, a message
 * makes it ask again after the guest has read all.
 *
 * The interrupt is gated by OUT2, as on every PC.
 */
#include <linux/serial_reg.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "uart.h"

#define BASE_SPEED 115200u              /* with a divisor of 1 */
#define DEFAULT_DIVISOR 12              /* 9600 baud */
#define LSR_ERRORS (UART_LSR_OE | UART_LSR_PE | UART_LSR_FE | UART_LSR_BI)
#define LSR_FIFO_ERROR 0x80
#define MSR_LINES 0xf0
#define MSR_DELTAS 0x0f
/* A far end is always there and ready. */
#define MSR_CONNECTED (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)
#define MCR_BITS 0x1f
#define IER_BITS 0x0f
#define IIR_FIFO 0xc0

static unsigned fifo_limit(const Uart *uart)
{
    return uart->fcr & UART_FCR_ENABLE_FIFO ? UART_FIFO_SIZE : 1;
}

/*
 * The slot of the first byte: one that exists also when a load has failed and a reset is
 * still to come.
 */
static unsigned fifo_front(const UartFifo *fifo)
{
    return fifo->head % UART_FIFO_SIZE;
}

/* Returns the slot. */
static unsigned fifo_push(UartFifo *fifo, uint8_t byte)
{
    unsigned slot = (fifo->head + fifo->count++) % UART_FIFO_SIZE;

    fifo->data[slot] = byte;
    return slot;
}

static void fifo_drop(UartFifo *fifo, unsigned n)
{
    fifo->head = (fifo->head + n) % UART_FIFO_SIZE;
    fifo->count -= n;
}

static unsigned rx_trigger(const Uart *uart)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };

    return fifo_limit(uart) == 1 ? 1 : levels[uart->fcr >> 6];
}

/* The source of highest priority, as IIR shows it. */
static uint8_t interrupt_source(const Uart *uart)
{
    if ((uart->ier & UART_IER_RLSI) && uart->lsr_errors)
        return UART_IIR_RLSI;
    if ((uart->ier & UART_IER_RDI) && uart->rx.count > 0)
        return uart->rx.count >= rx_trigger(uart) ? UART_IIR_RDI
                                                      : UART_IIR_RX_TIMEOUT;
    if ((uart->ier & UART_IER_THRI) && uart->thre_pending)
        return UART_IIR_THRI;
    if ((uart->ier & UART_IER_MSI) && (uart->msr & MSR_DELTAS))
        return UART_IIR_MSI;
    return UART_IIR_NO_INT;
}

static bool wanted_level(const Uart *uart)
{
    bool gate = (uart->mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2;

    return gate && interrupt_source(uart) != UART_IIR_NO_INT;
}

static void drive_irq(Uart *uart)
{
    uart->irq_level = wanted_level(uart);
    irq_set(uart->irq, uart->irq_level);
}

static void update_irq(Uart *uart)
{
    if (wanted_level(uart) != uart->irq_level)
        drive_irq(uart);
}

/* A break that has come to the front of the FIFO shows in LSR. */
static void show_break(Uart *uart)
{
    uint16_t front = 1u << fifo_front(&uart->rx);

    if (uart->rx.count > 0 && (uart->rx_breaks & front)) {
        uart->rx_breaks &= ~front;
        uart->lsr_errors |= UART_LSR_BI;
    }
}

static void receive(Uart *uart, uint8_t byte, bool is_break)
{
    unsigned slot;

    if (uart->rx.count >= fifo_limit(uart)) {
        uart->lsr_errors |= UART_LSR_OE;
        return;
    }
    slot = fifo_push(&uart->rx, byte);
    if (is_break)
        uart->rx_breaks |= 1u << slot;
    show_break(uart);
}

/* The chardev may send again what it was refused. */
static void let_input_in(Uart *uart)
{
    if (!uart->input_refused)
        return;
    uart->input_refused = false;
    loop_post(uart->loop, &uart->accept_input);
}

static void rx_clear(Uart *uart)
{
    fifo_drop(&uart->rx, uart->rx.count);
    uart->rx_breaks = 0;
    let_input_in(uart);
}

/* Gives the chardev what is in the FIFO; THRE when it took all. */
static void tx_flush(Uart *uart)
{
    UartFifo *tx = &uart->tx;

    uart->tx_held = false;
    while (tx->count > 0) {
        unsigned front = fifo_front(tx);
        unsigned part = MIN(tx->count, UART_FIFO_SIZE - front);
        size_t taken = part;

        if (uart->chr)
            taken = char_write(uart->chr, tx->data + front, part);
        fifo_drop(tx, taken);
        if (taken < part) {
            uart->thre_pending = false;
            return;
        }
    }
    uart->thre_pending = true;
}

/* Whether the guest will come back for IIR after a burst. */
static bool guest_awaits_thre(const Uart *uart)
{
    return fifo_limit(uart) > 1 && (uart->ier & UART_IER_THRI) &&
           (uart->mcr & UART_MCR_OUT2);
}

static void transmit(Uart *uart, uint8_t byte)
{
    bool waits;

    if (uart->mcr & UART_MCR_LOOP) {
        receive(uart, byte, false);
        uart->thre_pending = true;
        return;
    }
    if (uart->tx.count >= fifo_limit(uart))
        return;                 /* the guest did not wait for THRE */
    waits = uart->tx.count > 0 && !uart->tx_held;
    fifo_push(&uart->tx, byte);
    uart->thre_pending = false;
    if (waits)
        return;                 /* for writable() */
    uart->tx_held = guest_awaits_thre(uart) && uart->tx.count < UART_FIFO_SIZE;
    if (uart->tx_held)
        uart->thre_pending = true;
    else
        tx_flush(uart);
}

/* The lines as they are now, and which of them changed. */
static void update_msr(Uart *uart)
{
    uint8_t old = uart->msr & MSR_LINES, lines = MSR_CONNECTED, changed;

    if (uart->mcr & UART_MCR_LOOP) {
        lines = (uart->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
                (uart->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
                (uart->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
                (uart->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
    }
    changed = old ^ lines;
    if (lines & UART_MSR_RI)
        changed &= ~UART_MSR_RI; /* only its trailing edge counts */
    uart->msr = lines | (uart->msr & MSR_DELTAS) | changed >> 4;
}

static void write_fcr(Uart *uart, uint8_t value)
{
    bool toggled = (uart->fcr ^ value) & UART_FCR_ENABLE_FIFO;

    if (toggled || (value & UART_FCR_CLEAR_RCVR))
        rx_clear(uart);
    if (toggled || (value & UART_FCR_CLEAR_XMIT)) {
        if (uart->tx.count > 0)
            uart->thre_pending = true;
        fifo_drop(&uart->tx, uart->tx.count);
    }
    uart->fcr = value & UART_FCR_ENABLE_FIFO
                ? value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK) : 0;
}

static void write_ier(Uart *uart, uint8_t value)
{
    bool thre_enabled = ~uart->ier & value & UART_IER_THRI;

    uart->ier = value & IER_BITS;
    if (thre_enabled && uart->tx.count == 0)
        uart->thre_pending = true;
}

/* For a port of the host that is at the far end. */
static void drive_line(Uart *uart)
{
    unsigned divisor = uart->dlm << 8 | uart->dll;
    CharLine line = {
        .speed = BASE_SPEED / MAX(divisor, 1),
        .n_bits = 5 + (uart->lcr & UART_LCR_WLEN8),
        .n_stop_bits = uart->lcr & UART_LCR_STOP ? 2 : 1,
    };

    if (uart->lcr & UART_LCR_PARITY)
        line.parity = uart->lcr & UART_LCR_EPAR ? CHAR_PARITY_EVEN : CHAR_PARITY_ODD;
    if (uart->chr && divisor > 0)
        char_set_line(uart->chr, &line);
}

/* A driver sets the divisor first and gives DLAB back then. */
static void write_lcr(Uart *uart, uint8_t value)
{
    uint8_t changed = uart->lcr ^ value;

    uart->lcr = value;
    if ((changed & ~UART_LCR_SBC) && !(value & UART_LCR_DLAB))
        drive_line(uart);
    if ((changed & UART_LCR_SBC) && uart->chr)
        char_set_break(uart->chr, value & UART_LCR_SBC);
}

static void write_mcr(Uart *uart, uint8_t value)
{
    bool was_loop = uart->mcr & UART_MCR_LOOP;

    uart->mcr = value & MCR_BITS;
    update_msr(uart);
    if (was_loop && !(value & UART_MCR_LOOP))
        let_input_in(uart);
}

static uint8_t read_rbr(Uart *uart)
{
    uint8_t byte = uart->rx.data[fifo_front(&uart->rx)];

    if (uart->rx.count == 0)
        return 0;
    fifo_drop(&uart->rx, 1);
    show_break(uart);
    if (uart->rx.count == 0)
        let_input_in(uart);
    return byte;
}

static uint8_t read_iir(Uart *uart)
{
    uint8_t iir = interrupt_source(uart);

    if (iir == UART_IIR_THRI)
        uart->thre_pending = false;
    return fifo_limit(uart) > 1 ? iir | IIR_FIFO : iir;
}

static uint8_t read_lsr(Uart *uart)
{
    uint8_t lsr = uart->lsr_errors;

    uart->lsr_errors = 0;
    if (uart->rx.count > 0)
        lsr |= UART_LSR_DR;
    if (uart->tx.count == 0)
        lsr |= UART_LSR_THRE | UART_LSR_TEMT;
    if (fifo_limit(uart) > 1 && (uart->rx_breaks || (lsr & UART_LSR_BI)))
        lsr |= LSR_FIFO_ERROR;
    return lsr;
}

static uint8_t read_msr(Uart *uart)
{
    uint8_t msr = uart->msr;

    uart->msr &= MSR_LINES;
    return msr;
}

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned size)
{
    Uart *uart = opaque;
    bool dlab = uart->lcr & UART_LCR_DLAB;
    uint8_t value = 0;

    if (uart->tx_held)
        tx_flush(uart);
    switch (offset) {
    case UART_RX:
        value = dlab ? uart->dll : read_rbr(uart);
        break;
    case UART_IER:
        value = dlab ? uart->dlm : uart->ier;
        break;
    case UART_IIR:
        value = read_iir(uart);
        break;
    case UART_LCR:
        value = uart->lcr;
        break;
    case UART_MCR:
        value = uart->mcr;
        break;
    case UART_LSR:
        value = read_lsr(uart);
        break;
    case UART_MSR:
        value = read_msr(uart);
        break;
    case UART_SCR:
        value = uart->scr;
        break;
    }
    update_irq(uart);
    return value;
}

static void uart_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Uart *uart = opaque;
    bool dlab = uart->lcr & UART_LCR_DLAB;

    if (uart->tx_held && (dlab || offset != UART_TX))
        tx_flush(uart);
    switch (offset) {
    case UART_TX:
        if (dlab)
            uart->dll = value;
        else
            transmit(uart, value);
        break;
    case UART_IER:
        if (dlab)
            uart->dlm = value;
        else
            write_ier(uart, value);
        break;
    case UART_FCR:
        write_fcr(uart, value);
        break;
    case UART_LCR:
        write_lcr(uart, value);
        break;
    case UART_MCR:
        write_mcr(uart, value);
        break;
    case UART_SCR:
        uart->scr = value;
        break;
    }
    update_irq(uart);
}

static size_t uart_on_can_read(void *opaque)
{
    Uart *uart = opaque;
    size_t room = 0;

    lock_take(uart->lock);
    if (!uart->paused && !(uart->mcr & UART_MCR_LOOP))
        room = fifo_limit(uart) - MIN(uart->rx.count, fifo_limit(uart));
    uart->input_refused = room == 0;
    lock_drop(uart->lock);
    return room;
}

static void uart_on_read(void *opaque, const uint8_t *data, size_t size)
{
    Uart *uart = opaque;

    lock_take(uart->lock);
    for (size_t i = 0; i < size; i++)
        receive(uart, data[i], false);
    update_irq(uart);
    lock_drop(uart->lock);
}

static void uart_on_writable(void *opaque)
{
    Uart *uart = opaque;

    lock_take(uart->lock);
    if (!uart->paused && uart->tx.count > 0) {
        tx_flush(uart);
        update_irq(uart);
    }
    lock_drop(uart->lock);
}

static void uart_on_event(void *opaque, CharEvent event)
{
    Uart *uart = opaque;

    if (event != CHAR_EVENT_BREAK)
        return;
    lock_take(uart->lock);
    if (!uart->paused && !(uart->mcr & UART_MCR_LOOP)) {
        receive(uart, 0, true);
        update_irq(uart);
    }
    lock_drop(uart->lock);
}

static void uart_on_moved(void *opaque, Chardev *chr)
{
    Uart *uart = opaque;

    lock_take(uart->lock);
    uart->chr = chr;
    drive_line(uart);
    lock_drop(uart->lock);
}

static void uart_on_accept_input(void *opaque)
{
    Uart *uart = opaque;

    char_accept_input(uart->chr);
}

static const CharUser uart_char_user = {
    .can_read = uart_on_can_read,
    .read = uart_on_read,
    .writable = uart_on_writable,
    .event = uart_on_event,
    .moved = uart_on_moved,
};

const RegionOps uart_region_ops = {
    .read = uart_read,
    .write = uart_write,
    .max_size = 1,
};

void uart_init(Uart *uart, Loop *loop, GMutex *lock, IrqLine *irq)
{
    uart->loop = loop;
    uart->lock = lock;
    uart->irq = irq;
    uart->paused = true;
    loop_message_init(&uart->accept_input, uart_on_accept_input, uart);
}

bool uart_attach(Uart *uart, CharSet *chars, const char *id, GError **error)
{
    uart->chr = char_attach_named(chars, id, &uart_char_user, uart, error);
    return uart->chr != NULL;
}

void uart_done(Uart *uart)
{
    lock_take(uart->lock);
    tx_flush(uart);
    lock_drop(uart->lock);
    irq_lower(uart->irq);
    loop_message_cancel(uart->loop, &uart->accept_input);
    if (uart->chr)
        char_detach(uart->chr);
}

void uart_reset(Uart *uart)
{
    lock_take(uart->lock);
    tx_flush(uart);
    uart->tx = (UartFifo){ 0 };
    uart->rx = (UartFifo){ 0 };
    uart->rx_breaks = 0;
    uart->ier = 0;
    uart->fcr = 0;
    write_lcr(uart, uart->lcr & ~UART_LCR_SBC);
    uart->lcr = 0;
    uart->mcr = 0;
    uart->lsr_errors = 0;
    uart->msr = MSR_CONNECTED;
    uart->scr = 0;
    uart->dll = DEFAULT_DIVISOR;
    uart->dlm = 0;
    uart->thre_pending = false;
    update_irq(uart);
    lock_drop(uart->lock);
}

void uart_pause(Uart *uart)
{
    lock_take(uart->lock);
    if (uart->tx_held)
        tx_flush(uart);
    uart->paused = true;
    update_irq(uart);
    lock_drop(uart->lock);
}

void uart_resume(Uart *uart)
{
    lock_take(uart->lock);
    uart->paused = false;
    if (uart->tx.count > 0)
        tx_flush(uart);
    update_irq(uart);
    let_input_in(uart);
    lock_drop(uart->lock);
}

static bool fifo_post_load(void *opaque, GError **error)
{
    UartFifo *fifo = opaque;

    if (fifo->head < UART_FIFO_SIZE && fifo->count <= UART_FIFO_SIZE)
        return true;
    error_set(error, "a FIFO has no slot %u or not %u bytes", fifo->head, fifo->count);
    return false;
}

static bool uart_post_load(void *opaque, GError **error)
{
    Uart *uart = opaque;

    lock_take(uart->lock);
    uart->tx_held = false;
    drive_irq(uart);
    drive_line(uart);
    lock_drop(uart->lock);
    return true;
}

static const VMStateField fifo_fields[] = {
    VMSTATE_BYTES(UartFifo, data, UART_FIFO_SIZE),
    VMSTATE_U8(UartFifo, head),
    VMSTATE_U8(UartFifo, count),
    VMSTATE_END
};

static const VMStateDesc fifo_vmstate = {
    .name = "uart-fifo",
    .version = 1,
    .min_version = 1,
    .fields = fifo_fields,
    .post_load = fifo_post_load,
};

static const VMStateField uart_fields[] = {
    VMSTATE_STRUCT(Uart, tx, fifo_vmstate),
    VMSTATE_STRUCT(Uart, rx, fifo_vmstate),
    VMSTATE_U16(Uart, rx_breaks),
    VMSTATE_U8(Uart, ier),
    VMSTATE_U8(Uart, fcr),
    VMSTATE_U8(Uart, lcr),
    VMSTATE_U8(Uart, mcr),
    VMSTATE_U8(Uart, lsr_errors),
    VMSTATE_U8(Uart, msr),
    VMSTATE_U8(Uart, scr),
    VMSTATE_U8(Uart, dll),
    VMSTATE_U8(Uart, dlm),
    VMSTATE_BOOL(Uart, thre_pending),
    VMSTATE_END
};

const VMStateDesc uart_vmstate = {
    .name = "uart",
    .version = 1,
    .min_version = 1,
    .fields = uart_fields,
    .post_load = uart_post_load,
};
