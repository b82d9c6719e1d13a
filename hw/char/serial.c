/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-serial: a 16550A (uart.c) at one of the four places that a PC has for it, or
 * elsewhere.
 */
#include "berth/error.h"
#include "berth/thread.h"
#include "berth/x86-layout.h"

#include "berth/serial.h"

#include "uart.h"

/* Timer, cascade, RTC and SCI have these. */
#define BOARD_INTERRUPTS (1u << 0 | 1u << 2 | 1u << 8 | 1u << 9)

typedef struct Serial {
    Device dev;
    SerialPort port;
    Region region;
    Uart uart;
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

/* The other port with @index (or, if that is -1, with a port of @iobase's), or NULL. */
static Serial *find_port(Device *self, int index, unsigned iobase)
{
    LIST_FOREACH(node, &self->tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        Serial *other = to_serial(dev);

        if (dev->class != &serial_class || dev == self)
            continue;
        if (index >= 0 ? other->port.index == (unsigned)index
                       : iobase < other->port.iobase + UART_SIZE &&
                         other->port.iobase < iobase + UART_SIZE)
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
    if (serial->port.iobase > 0x10000 - UART_SIZE) {
        error_set(error, "parameter 'iobase' expects a port up to 0x%x",
                  0x10000 - UART_SIZE);
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

static void serial_reset(Device *dev)
{
    uart_reset(&to_serial(dev)->uart);
}

static void serial_pause(Device *dev)
{
    uart_pause(&to_serial(dev)->uart);
}

static void serial_resume(Device *dev)
{
    uart_resume(&to_serial(dev)->uart);
}

static bool serial_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Serial *serial = to_serial(dev);
    const IsaSerialProps *props = &args->u.isa_serial;
    Board *board = dev->board;

    if (!choose_port(serial, props, error))
        return false;
    uart_init(&serial->uart, board->loop, &dev->lock, board->isa_irqs[serial->port.irq]);
    if (props->chardev &&
        !uart_attach(&serial->uart, board->chars, props->chardev, error))
        return false;
    uart_reset(&serial->uart);
    region_init_io(&serial->region, "serial", UART_SIZE, &uart_region_ops, &serial->uart,
                   &dev->lock);
    region_add(board->io_root, serial->port.iobase, &serial->region, 0);
    return true;
}

static void serial_unrealize(Device *dev)
{
    Serial *serial = to_serial(dev);

    region_done(&serial->region);
    uart_done(&serial->uart);
}

SerialPort serial_port(const Device *dev)
{
    return CONTAINER_OF(dev, const Serial, dev)->port;
}

static const VMStateField serial_fields[] = {
    VMSTATE_STRUCT(Serial, uart, uart_vmstate),
    VMSTATE_END
};

static const VMStateDesc serial_vmstate = {
    .name = "serial",
    .version = 1,
    .min_version = 1,
    .fields = serial_fields,
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
