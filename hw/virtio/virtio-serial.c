/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console device with several ports (virtio 1.3, section 5.3): configuration space,
 * the two control queues, and the bus on which ports are plugged.  The ports themselves
 * are in virtio-serial-port.c.
 *
 * Queue 0 is the input of port 0 and queue 1 its output; 2 and 3 are the control queues;
 * port N has 2N + 2 and 2N + 3.  Only queues of ports that are there are served, and of
 * those that were there since the last reset: what the driver still sends to a port that
 * has gone is thrown away, for a driver may wait until it is taken.
 *
 * What the guest is to be told is kept as bits of a slot, one slot a port number, and
 * sent when the driver has given a buffer for it.  So nothing is lost, nothing grows,
 * and the order of bits is the order of messages:
 *
 *     REMOVE (of the port that was there before), ADD, then when the driver answered
 *     PORT_READY: CONSOLE, NAME, CLOSE (of the host, when it was open), OPEN
 *
 * Threads.  Slots belong to the loop of the queues; `port` changes there at the request
 * of main, which waits for it, and so may read it too.  `console` is main's to change and
 * is read by a vCPU, under the device's lock.
 */
#include <linux/virtio_console.h>
#include <string.h>

#include "berth/error.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "virtio-serial-port.h"

#define MAX_PORTS 511u
#define QUEUE_SIZE 128
#define MAX_SEGMENTS 1024               /* a full pipe that Linux's driver splices */
#define CONTROL_IN 2u
#define CONTROL_OUT 3u
#define NO_NR UINT32_MAX

/* What the guest is to be told, in this order. */
enum {
    TELL_REMOVE = 1 << 0,
    TELL_ADD = 1 << 1,
    TELL_CONSOLE = 1 << 2,
    TELL_NAME = 1 << 3,
    TELL_CLOSE = 1 << 4,
    TELL_OPEN = 1 << 5,
    TELL__ALL = (1 << 6) - 1,
};

typedef struct PortSlot {
    VirtSerialPort *port;
    bool used;                  /* atomic: the queues are served */
    bool ready;                 /* the driver knows the port */
    uint8_t tell;
} PortSlot;

struct VirtioSerial {
    VirtioDevice vdev;
    Bus bus;
    uint32_t max_ports;
    PortSlot *slots;            /* max_ports of them */
    bool running;
    bool ready;                 /* the driver knows the device */
    Chardev *console;           /* of the first console: gets emergency writes */
};

typedef struct PortChange {
    VirtioSerial *serial;
    VirtSerialPort *port;
} PortChange;

G_STATIC_ASSERT(offsetof(VirtioSerialProps, notify_on_empty) ==
                offsetof(VirtioPciProps, notify_on_empty));

static VirtioSerial *to_serial(const VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VirtioSerial, vdev);
}

VirtioSerial *virtio_serial_of_port(const VirtSerialPort *port)
{
    return CONTAINER_OF(port->dev.bus, VirtioSerial, bus);
}

static VirtSerialPort *to_port(Device *dev)
{
    return CONTAINER_OF(dev, VirtSerialPort, dev);
}

bool virtio_serial_is_running(const VirtioSerial *serial)
{
    return serial->running;
}

Loop *virtio_serial_loop(const VirtioSerial *serial)
{
    return serial->vdev.loop;
}

static bool is_multiport(const VirtioSerial *serial)
{
    return virtio_has_feature(&serial->vdev, VIRTIO_CONSOLE_F_MULTIPORT);
}

Virtqueue *virtio_serial_queue(VirtioSerial *serial, uint32_t nr, bool is_output)
{
    uint32_t first = nr == 0 ? 0 : 2 * nr + 2;

    return &serial->vdev.queues[first + is_output];
}

/* The slot of the port that has queue @index, which is no control queue. */
static PortSlot *slot_of_queue(const VirtioSerial *serial, uint32_t index)
{
    return &serial->slots[index < CONTROL_IN ? 0 : index / 2 - 1];
}

static bool serial_has_queue(const VirtioDevice *vdev, uint32_t index)
{
    VirtioSerial *serial = to_serial(vdev);

    return index == CONTROL_IN || index == CONTROL_OUT ||
        __atomic_load_n(&slot_of_queue(serial, index)->used, __ATOMIC_RELAXED);
}

/* The message for the lowest of the slot's bits, and the bit; false: there is none. */
static bool next_message(const PortSlot *slot, uint32_t nr, uint8_t *ret_bit,
                         struct virtio_console_control *ret_message)
{
    static const struct {
        uint16_t event;
        uint16_t value;
    } messages[] = {
        { VIRTIO_CONSOLE_PORT_REMOVE, 1 }, { VIRTIO_CONSOLE_PORT_ADD, 1 },
        { VIRTIO_CONSOLE_CONSOLE_PORT, 1 }, { VIRTIO_CONSOLE_PORT_NAME, 1 },
        { VIRTIO_CONSOLE_PORT_OPEN, 0 }, { VIRTIO_CONSOLE_PORT_OPEN, 1 },
    };
    int bit = ffs(slot->tell) - 1;

    if (bit < 0)
        return false;
    *ret_bit = 1 << bit;
    ret_message->id = GUINT32_TO_LE(nr);
    ret_message->event = GUINT16_TO_LE(messages[bit].event);
    ret_message->value = GUINT16_TO_LE(messages[bit].value);
    return true;
}

/* Sends what slot @nr has to tell; false when the driver has given no more buffers. */
static bool tell_of_slot(VirtioSerial *serial, Virtqueue *vq, uint32_t nr)
{
    PortSlot *slot = &serial->slots[nr];
    struct virtio_console_control message;
    VirtqueueReq *req;
    uint8_t bit;

    while (next_message(slot, nr, &bit, &message)) {
        size_t n;

        req = virtqueue_pop(vq);
        if (!req)
            return false;
        n = virtqueue_req_write(req, 0, &message, sizeof(message));
        if (n < sizeof(message)) {
            device_guest_error(serial->vdev.dev, "a control buffer has %zu bytes", n);
            virtqueue_push(vq, req, 0);
            continue;
        }
        slot->tell &= ~bit;
        /* Drivers expect the byte 0 behind the name. */
        if (bit == TELL_NAME)
            n += virtqueue_req_write(req, n, slot->port->name,
                                     strlen(slot->port->name) + 1);
        TRACE(virtio_serial_tell, "%s port %u: event %u value %u",
              device_name(serial->vdev.dev), nr, GUINT16_FROM_LE(message.event),
              GUINT16_FROM_LE(message.value));
        virtqueue_push(vq, req, n);
    }
    return true;
}

static void tell_guest(VirtioSerial *serial, Virtqueue *vq)
{
    for (uint32_t nr = 0; nr < serial->max_ports; nr++) {
        if (serial->slots[nr].tell && !tell_of_slot(serial, vq, nr))
            return;
    }
}

/* There is something to tell: serves the control queue's buffers. */
static void run_control_in(VirtioSerial *serial)
{
    virtqueue_run(&serial->vdev.queues[CONTROL_IN]);
}

/* Notes what became of the host; see the head of the file. */
static void note_host_open(PortSlot *slot)
{
    VirtSerialPort *port = slot->port;
    bool was_closed, open;

    if (!virtio_serial_port_take_host_open(port, &was_closed) || !slot->ready)
        return;
    open = __atomic_load_n(&port->host_open, __ATOMIC_SEQ_CST);
    if (port->told_open && (was_closed || !open)) {
        slot->tell = (slot->tell & ~TELL_OPEN) | TELL_CLOSE;
        port->told_open = false;
    }
    if (open && !port->told_open) {
        slot->tell |= TELL_OPEN;
        port->told_open = true;
    }
}

void virtio_serial_tell_host_open(VirtioSerial *serial, VirtSerialPort *port)
{
    note_host_open(&serial->slots[port->nr]);
    run_control_in(serial);
}

static void on_device_ready(VirtioSerial *serial, bool success)
{
    if (!success) {
        device_guest_error(serial->vdev.dev, "the driver failed to set up the device");
        return;
    }
    serial->ready = true;
    for (uint32_t nr = 0; nr < serial->max_ports; nr++) {
        if (serial->slots[nr].port)
            serial->slots[nr].tell |= TELL_ADD;
    }
}

static void on_port_ready(VirtioSerial *serial, PortSlot *slot, bool success)
{
    VirtSerialPort *port = slot->port;

    if (!success) {
        device_guest_error(serial->vdev.dev, "the driver failed to set up port %u",
                           port->nr);
        return;
    }
    slot->ready = true;
    if (port->is_console)
        slot->tell |= TELL_CONSOLE;
    if (port->name)
        slot->tell |= TELL_NAME;
    slot->tell &= ~(TELL_CLOSE | TELL_OPEN);
    port->told_open = false;
    note_host_open(slot);
}

static void handle_message(VirtioSerial *serial,
                           const struct virtio_console_control *message)
{
    uint32_t nr = GUINT32_FROM_LE(message->id);
    uint16_t event = GUINT16_FROM_LE(message->event);
    uint16_t value = GUINT16_FROM_LE(message->value);
    PortSlot *slot = nr < serial->max_ports ? &serial->slots[nr] : NULL;

    TRACE(virtio_serial_told, "%s port %u: event %u value %u",
          device_name(serial->vdev.dev), nr, event, value);
    if (event == VIRTIO_CONSOLE_DEVICE_READY) {
        on_device_ready(serial, value);
        return;
    }
    if (!slot || !slot->port) {
        device_guest_error(serial->vdev.dev, "control event %u for port %u, which is not "
                           "there", event, nr);
        return;
    }
    switch (event) {
    case VIRTIO_CONSOLE_PORT_READY:
        on_port_ready(serial, slot, value);
        break;
    case VIRTIO_CONSOLE_PORT_OPEN:
        virtio_serial_port_set_guest_open(slot->port, value);
        /* What the host sent may have waited for it. */
        virtqueue_schedule(virtio_serial_queue(serial, nr, false));
        break;
    default:
        device_guest_error(serial->vdev.dev, "unknown control event %u", event);
    }
}

static void handle_control_out(VirtioSerial *serial, Virtqueue *vq)
{
    struct virtio_console_control message;
    VirtqueueReq *req;

    while ((req = virtqueue_pop(vq))) {
        size_t n = virtqueue_req_read(req, 0, &message, sizeof(message));

        if (n == sizeof(message))
            handle_message(serial, &message);
        else
            device_guest_error(serial->vdev.dev, "a control message has %zu bytes", n);
        virtqueue_push(vq, req, 0);
    }
    run_control_in(serial);
}

static void discard_output(Virtqueue *vq)
{
    VirtqueueReq *req;

    while ((req = virtqueue_pop(vq)))
        virtqueue_push(vq, req, 0);
}

static void serial_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioSerial *serial = to_serial(vdev);
    VirtSerialPort *port;
    bool is_output = vq->index % 2;

    if (vq->index == CONTROL_IN) {
        tell_guest(serial, vq);
        return;
    }
    if (vq->index == CONTROL_OUT) {
        handle_control_out(serial, vq);
        return;
    }
    port = slot_of_queue(serial, vq->index)->port;
    if (port && is_output)
        virtio_serial_port_output(port, vq);
    else if (port)
        virtio_serial_port_input(port, vq);
    else if (is_output)
        discard_output(vq);
}

static bool serial_start(VirtioDevice *vdev, GError **error)
{
    VirtioSerial *serial = to_serial(vdev);
    VirtSerialPort *first = serial->slots[0].port;

    serial->running = true;
    /* A driver of one port has no words for opening it. */
    if (first && !is_multiport(serial) && !first->guest_open)
        virtio_serial_port_set_guest_open(first, true);
    for (uint32_t nr = 0; nr < serial->max_ports; nr++) {
        if (serial->slots[nr].port)
            note_host_open(&serial->slots[nr]);
    }
    return true;
}

static void serial_stop(VirtioDevice *vdev)
{
    to_serial(vdev)->running = false;
}

static void serial_reset(VirtioDevice *vdev)
{
    VirtioSerial *serial = to_serial(vdev);

    serial->ready = false;
    for (uint32_t nr = 0; nr < serial->max_ports; nr++) {
        PortSlot *slot = &serial->slots[nr];

        slot->ready = false;
        slot->tell = 0;
        __atomic_store_n(&slot->used, slot->port != NULL, __ATOMIC_RELAXED);
        if (slot->port)
            virtio_serial_port_reset(slot->port);
    }
}

static void serial_read_config(VirtioDevice *vdev, void *config)
{
    struct virtio_console_config *to = config;

    to->max_nr_ports = GUINT32_TO_LE(to_serial(vdev)->max_ports);
}

/* Runs on the vCPU: the byte is out before the guest goes on to its end. */
static void serial_write_config(VirtioDevice *vdev, uint64_t offset, const void *data,
                                size_t size)
{
    const uint64_t at = offsetof(struct virtio_console_config, emerg_wr);
    VirtioSerial *serial = to_serial(vdev);

    if (!(vdev->offered >> VIRTIO_CONSOLE_F_EMERG_WRITE & 1) || !serial->console ||
        offset > at || offset + size <= at)
        return;
    char_write(serial->console, (const uint8_t *)data + (at - offset), 1);
}

static bool is_name_taken(const VirtioSerial *serial, const char *name)
{
    for (uint32_t nr = 0; name && nr < serial->max_ports; nr++) {
        const VirtSerialPort *port = serial->slots[nr].port;

        if (port && g_strcmp0(port->name, name) == 0)
            return true;
    }
    return false;
}

/* The first console becomes port 0, other ports begin at 1. */
static uint32_t find_free_nr(const VirtioSerial *serial, bool is_console)
{
    for (uint32_t nr = is_console ? 0 : 1; nr < serial->max_ports; nr++) {
        if (!serial->slots[nr].port)
            return nr;
    }
    return NO_NR;
}

bool virtio_serial_choose_nr(VirtioSerial *serial, const VirtSerialPort *port,
                             uint32_t nr, uint32_t *ret_nr, GError **error)
{
    const char *device = device_name(serial->vdev.dev);

    if (is_name_taken(serial, port->name)) {
        error_set(error, "parameter 'name': '%s' has a port '%s' already", device,
                  port->name);
        return false;
    }
    if (nr == NO_NR)
        nr = find_free_nr(serial, port->is_console);
    if (nr == NO_NR) {
        error_set(error, "parameter 'nr': '%s' has no free port (max_ports is %u)",
                  device, serial->max_ports);
    } else if (nr >= serial->max_ports) {
        error_set(error, "parameter 'nr': '%s' has ports 0 to %u", device,
                  serial->max_ports - 1);
    } else if (nr == 0 && !port->is_console) {
        error_set(error, "parameter 'nr': port 0 is for a virtconsole only");
    } else if (serial->slots[nr].port) {
        error_set(error, "parameter 'nr': port %u is '%s' already", nr,
                  device_name(&serial->slots[nr].port->dev));
    } else {
        *ret_nr = nr;
        return true;
    }
    return false;
}

static void find_console(VirtioSerial *serial)
{
    Chardev *console = NULL;

    for (uint32_t nr = 0; !console && nr < serial->max_ports; nr++) {
        const VirtSerialPort *port = serial->slots[nr].port;

        if (port && port->is_console)
            console = port->chr;
    }
    lock_take(&serial->vdev.dev->lock);
    serial->console = console;
    lock_drop(&serial->vdev.dev->lock);
}

static void on_plug(void *opaque)
{
    const PortChange *change = opaque;
    PortSlot *slot = &change->serial->slots[change->port->nr];

    slot->port = change->port;
    __atomic_store_n(&slot->used, true, __ATOMIC_RELAXED);
    if (change->serial->ready)
        slot->tell |= TELL_ADD;
    run_control_in(change->serial);
}

static void serial_bus_plug(Bus *bus, Device *dev)
{
    VirtioSerial *serial = CONTAINER_OF(bus, VirtioSerial, bus);
    PortChange change = { serial, to_port(dev) };

    loop_call_sync(serial->vdev.loop, on_plug, &change);
    change.port->plugged = true;
    find_console(serial);
    virtio_restart(&serial->vdev);
}

static void on_unplug(void *opaque)
{
    const PortChange *change = opaque;
    VirtioSerial *serial = change->serial;
    PortSlot *slot = &serial->slots[change->port->nr];
    bool is_known = serial->ready && !(slot->tell & TELL_ADD);

    loop_message_cancel(serial->vdev.loop, &change->port->to_loop);
    slot->tell = (slot->tell & TELL_REMOVE) | (is_known ? TELL_REMOVE : 0);
    slot->ready = false;
    slot->port = NULL;
    run_control_in(serial);
    virtqueue_run(virtio_serial_queue(serial, change->port->nr, true));
}

static void serial_bus_unplug(Bus *bus, Device *dev)
{
    VirtioSerial *serial = CONTAINER_OF(bus, VirtioSerial, bus);
    PortChange change = { serial, to_port(dev) };

    change.port->plugged = false;
    loop_call_sync(serial->vdev.loop, on_unplug, &change);
    find_console(serial);
}

typedef struct PortMove {
    VirtSerialPort *port;
    Chardev *chr;
} PortMove;

static void on_move(void *opaque)
{
    const PortMove *move = opaque;

    move->port->chr = move->chr;
}

void virtio_serial_move_port(VirtioSerial *serial, VirtSerialPort *port, Chardev *chr)
{
    PortMove move = { port, chr };

    loop_call_sync(serial->vdev.loop, on_move, &move);
    find_console(serial);
}

static const BusOps serial_bus_ops = {
    .plug = serial_bus_plug,
    .unplug = serial_bus_unplug,
};

static bool serial_realize(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error)
{
    VirtioSerial *serial = to_serial(vdev);
    const VirtioSerialProps *props = &args->u.virtio_serial_pci;

    if (!bus_init_below(&serial->bus, BUS_VIRTIO_SERIAL, vdev->dev, error))
        return false;
    serial->bus.ops = &serial_bus_ops;
    serial->max_ports = props->max_ports;
    serial->slots = g_new0(PortSlot, serial->max_ports);
    vdev->n_queues = 2 * serial->max_ports + 2;
    if (serial->max_ports > 1)
        vdev->offered |= 1ull << VIRTIO_CONSOLE_F_MULTIPORT;
    if (props->emergency_write)
        vdev->offered |= 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE;
    return true;
}

static void serial_unrealize(VirtioDevice *vdev)
{
    VirtioSerial *serial = to_serial(vdev);

    bus_done(&serial->bus);
    g_free(serial->slots);
}

static bool slot_post_load(void *opaque, GError **error)
{
    PortSlot *slot = opaque;
    const uint8_t of_port = TELL__ALL & ~TELL_REMOVE;

    if (slot->tell & ~TELL__ALL || (slot->tell & of_port && !slot->port) ||
        (slot->tell & TELL_NAME && !slot->port->name)) {
        error_set(error, "field 'tell' is 0x%02x", slot->tell);
        return false;
    }
    if (slot->ready && !slot->port) {
        error_set(error, "field 'ready' is set for a port that is not there");
        return false;
    }
    if (slot->port)
        slot->used = true;
    return true;
}

static const VMStateField slot_fields[] = {
    VMSTATE_BOOL(PortSlot, used),
    VMSTATE_BOOL(PortSlot, ready),
    VMSTATE_U8(PortSlot, tell),
    VMSTATE_END
};

static const VMStateDesc slot_vmstate = {
    .name = "slot", .version = 1, .min_version = 1, .fields = slot_fields,
    .post_load = slot_post_load,
};

static const VMStateField serial_fields[] = {
    VMSTATE_BOOL(VirtioSerial, ready),
    VMSTATE_STRUCT_POINTER(VirtioSerial, slots, max_ports, slot_vmstate),
    VMSTATE_END
};

static const VMStateDesc serial_vmstate = {
    .name = "virtio-serial", .version = 1, .min_version = 1, .fields = serial_fields,
};

const VirtioClass virtio_serial_class = {
    .name = "virtio-serial",
    .description = "consoles and channels between host and guest",
    .id = VIRTIO_ID_CONSOLE,
    .n_queues = 2 * MAX_PORTS + 2,
    .queue_size = QUEUE_SIZE,
    .max_segments = MAX_SEGMENTS,
    .one_by_one = true,
    .n_vectors = 2,
    .config_size = sizeof(struct virtio_console_config),
    .instance_size = sizeof(VirtioSerial),
    .pci_class = 0x078000,
    .vmstate = &serial_vmstate,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .start = serial_start,
    .stop = serial_stop,
    .reset = serial_reset,
    .has_queue = serial_has_queue,
    .read_config = serial_read_config,
    .write_config = serial_write_config,
    .handle_queue = serial_handle_queue,
};
