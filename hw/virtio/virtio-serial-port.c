/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port of virtio-serial: virtserialport, a channel, and virtconsole, a terminal.
 *
 * Output runs on the loop of the queues, straight from the guest's buffers into the
 * character device.  What that does not take: a channel keeps the request at the head of
 * its queue, with a count of the bytes that are through, until the host reads on; so a
 * host that does not read stops this queue and no other.  A console throws it away,
 * since a driver spins on a vCPU until its line is taken.  Without a client on the host
 * everything is thrown away.
 *
 * Input comes on main and goes through a ring of fixed size to the loop, which fills the
 * guest's buffers.  Main takes no more from the host than there is room, and nothing
 * while the guest has the port closed or the machine is paused.  What is in the ring
 * when the guest closes the port waits for the next time that it opens it, unless the
 * client goes away before.  That a client has gone is told to the guest after the last
 * byte that it sent, and before the first one of the next client.
 *
 * Neither direction holds a request between two calls, so the device stops at any time.
 *
 * Between main and the loop there are two messages, one each way.  They carry nothing:
 * the receiver looks at what changed.  The sender stores first and posts then, and a
 * message that runs may be posted again, so none is lost.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/trace.h"
#include "berth/vmstate.h"

#include "virtio-serial-port.h"

/* Main reads that much at least, rather than be woken for each buffer of a busy guest. */
#define ROOM_MIN (PORT_INPUT_SIZE / 2)

static VirtSerialPort *to_port(Device *dev)
{
    return CONTAINER_OF(dev, VirtSerialPort, dev);
}

static uint32_t load32(const uint32_t *at)
{
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}

static void store32(uint32_t *at, uint32_t value)
{
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);
}

static bool is_set(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set_flag(bool *flag, bool value)
{
    __atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static bool test_and_clear(bool *flag)
{
    return __atomic_exchange_n(flag, false, __ATOMIC_SEQ_CST);
}

/* The loop's side. */

static void wake_main(VirtSerialPort *port)
{
    loop_post(port->dev.board->loop, &port->to_main);
}

static bool has_room(const PortInput *input)
{
    return PORT_INPUT_SIZE - (load32(&input->head) - load32(&input->tail)) >= ROOM_MIN;
}

/* Main: stores main_waits, looks at tail once more; so one of the two sees the other. */
static void take_input(VirtSerialPort *port, uint32_t n)
{
    PortInput *input = &port->input;

    store32(&input->tail, input->tail + n);
    if (is_set(&input->main_waits) && has_room(input) &&
        test_and_clear(&input->main_waits))
        wake_main(port);
}

static uint32_t input_size(const VirtSerialPort *port)
{
    return load32(&port->input.head) - port->input.tail;
}

static void drop_input(VirtSerialPort *port)
{
    uint32_t n = input_size(port);

    if (n > 0)
        take_input(port, n);
}

static uint32_t fill_request(VirtSerialPort *port, const VirtqueueReq *req)
{
    const PortInput *input = &port->input;
    uint32_t begin = input->tail % PORT_INPUT_SIZE;
    uint32_t n = MIN(input_size(port), req->in_size);
    uint32_t first = MIN(n, PORT_INPUT_SIZE - begin);

    virtqueue_req_write(req, 0, input->bytes + begin, first);
    virtqueue_req_write(req, first, input->bytes, n - first);
    return n;
}

static bool host_has_left(const VirtSerialPort *port)
{
    return is_set(&port->host_closed) || !is_set(&port->host_open);
}

void virtio_serial_port_input(VirtSerialPort *port, Virtqueue *vq)
{
    VirtqueueReq *req;

    if (!port->guest_open || input_size(port) == 0)
        return;
    while (input_size(port) > 0 && (req = virtqueue_pop(vq))) {
        uint32_t n = fill_request(port, req);

        TRACE(virtio_serial_input, "%s: %u of %u bytes", device_name(&port->dev), n,
              req->in_size);
        virtqueue_push(vq, req, n);
        take_input(port, n);
    }
    if (host_has_left(port) && input_size(port) == 0)
        virtio_serial_tell_host_open(virtio_serial_of_port(port), port);
}

bool virtio_serial_port_take_host_open(VirtSerialPort *port, bool *ret_was_closed)
{
    bool has_left = host_has_left(port);

    if (has_left && !port->guest_open)
        drop_input(port);
    if (has_left && input_size(port) > 0)
        return false;
    *ret_was_closed = test_and_clear(&port->host_closed);
    if (*ret_was_closed)
        wake_main(port);
    return true;
}

/* Sends what of @req was not sent before; false when the rest has to wait. */
static bool send_request(VirtSerialPort *port, const VirtqueueReq *req)
{
    size_t skip = port->out_taken;

    if (!port->chr)
        return true;
    for (unsigned i = 0; i < req->n_out; i++) {
        const struct iovec *iov = &req->out[i];
        size_t size, n;

        if (skip >= iov->iov_len) {
            skip -= iov->iov_len;
            continue;
        }
        size = iov->iov_len - skip;
        n = char_write(port->chr, (const uint8_t *)iov->iov_base + skip, size);
        port->out_taken += n;
        skip = 0;
        if (n < size)
            return port->is_console;
    }
    return true;
}

void virtio_serial_port_output(VirtSerialPort *port, Virtqueue *vq)
{
    VirtqueueReq *req;

    while ((req = virtqueue_pop(vq))) {
        bool sent = send_request(port, req);

        TRACE(virtio_serial_output, "%s: %u of %u bytes", device_name(&port->dev),
              port->out_taken, req->out_size);
        if (!sent) {
            virtqueue_unpop(vq, req);
            return;
        }
        port->out_taken = 0;
        virtqueue_push(vq, req, 0);
    }
}

void virtio_serial_port_set_guest_open(VirtSerialPort *port, bool open)
{
    if (port->guest_open && !open)
        set_flag(&port->guest_closed, true);
    set_flag(&port->guest_open, open);
    wake_main(port);
    if (!open && host_has_left(port))
        virtio_serial_tell_host_open(virtio_serial_of_port(port), port);
}

void virtio_serial_port_reset(VirtSerialPort *port)
{
    port->told_open = false;
    port->out_taken = 0;
    if (port->guest_open)
        virtio_serial_port_set_guest_open(port, false);
}

static void on_message_of_main(void *opaque)
{
    VirtSerialPort *port = opaque;
    VirtioSerial *serial = virtio_serial_of_port(port);

    if (!virtio_serial_is_running(serial))
        return;
    virtio_serial_tell_host_open(serial, port);
    virtqueue_run(virtio_serial_queue(serial, port->nr, true));
    virtqueue_run(virtio_serial_queue(serial, port->nr, false));
}

/* Main's side. */

static void wake_loop(VirtSerialPort *port)
{
    if (port->plugged)
        loop_post(virtio_serial_loop(virtio_serial_of_port(port)), &port->to_loop);
}

static uint32_t input_room(const VirtSerialPort *port)
{
    return PORT_INPUT_SIZE - (port->input.head - load32(&port->input.tail));
}

static size_t port_can_read(void *opaque)
{
    VirtSerialPort *port = opaque;

    /* What a new client sends stays behind the end of the client before it. */
    if (!port->dev.tree->running || !is_set(&port->guest_open) ||
        is_set(&port->host_closed))
        return 0;
    if (!has_room(&port->input)) {
        /* The loop: stores tail, looks at main_waits. */
        set_flag(&port->input.main_waits, true);
        if (!has_room(&port->input))
            return 0;
    }
    return input_room(port);
}

static void port_read(void *opaque, const uint8_t *data, size_t size)
{
    VirtSerialPort *port = opaque;
    PortInput *input = &port->input;
    uint32_t begin = input->head % PORT_INPUT_SIZE;
    uint32_t first = MIN(size, PORT_INPUT_SIZE - begin);

    g_assert(size <= input_room(port));
    memcpy(input->bytes + begin, data, first);
    memcpy(input->bytes, data + first, size - first);
    store32(&input->head, input->head + size);
    wake_loop(port);
}

static void port_writable(void *opaque)
{
    wake_loop(opaque);
}

static void set_host_open(VirtSerialPort *port, bool open)
{
    if (!open)
        set_flag(&port->host_closed, true);
    set_flag(&port->host_open, open);
    wake_loop(port);
}

static void port_event(void *opaque, CharEvent event)
{
    VirtSerialPort *port = opaque;

    /* A terminal is there whether anybody looks at it or not. */
    if (port->is_console)
        return;
    if (event == CHAR_EVENT_OPENED)
        set_host_open(port, true);
    else if (event == CHAR_EVENT_CLOSED)
        set_host_open(port, false);
}

static void port_moved(void *opaque, Chardev *chr)
{
    VirtSerialPort *port = opaque;

    virtio_serial_move_port(virtio_serial_of_port(port), port, chr);
}

static const CharUser port_user = {
    .can_read = port_can_read,
    .read = port_read,
    .writable = port_writable,
    .event = port_event,
    .moved = port_moved,
};

static void show_guest_open(VirtSerialPort *port, bool open)
{
    const BoardOps *ops = port->dev.board->ops;

    if (port->shown_open == open)
        return;
    port->shown_open = open;
    port->user.reads_to_end = open;
    if (port->chr && !port->is_console)
        char_set_frontend_open(port->chr, open);
    if (port->dev.id && ops->serial_port_changed)
        ops->serial_port_changed(port->dev.board->opaque, port->dev.id, open);
}

static void on_message_of_loop(void *opaque)
{
    VirtSerialPort *port = opaque;

    if (test_and_clear(&port->guest_closed))
        show_guest_open(port, false);
    show_guest_open(port, is_set(&port->guest_open));
    if (port->chr)
        char_accept_input(port->chr);
}

static bool attach_chardev(VirtSerialPort *port, const char *id, GError **error)
{
    if (!id)
        return true;
    port->user = port_user;
    port->chr = char_attach_named(port->dev.board->chars, id, &port->user, port, error);
    if (!port->chr)
        return false;
    port->host_open = port->is_console || char_is_open(port->chr);
    port->input.bytes = g_malloc(PORT_INPUT_SIZE);
    char_set_frontend_open(port->chr, port->is_console);
    return true;
}

static bool port_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    VirtSerialPort *port = to_port(dev);
    /* Both drivers have the same properties. */
    const VirtSerialPortProps *props = &args->u.virtserialport;

    port->is_console = args->driver == DEVICE_DRIVER_VIRTCONSOLE;
    port->name = props->name;
    loop_message_init(&port->to_main, on_message_of_loop, port);
    loop_message_init(&port->to_loop, on_message_of_main, port);
    if (!virtio_serial_choose_nr(virtio_serial_of_port(port), port, props->nr, &port->nr,
                                 error) ||
        !attach_chardev(port, props->chardev, error))
        return false;
    /* As clients read it. */
    dev->args->u.virtserialport.nr = port->nr;
    return true;
}

static void port_unrealize(Device *dev)
{
    VirtSerialPort *port = to_port(dev);

    if (port->chr)
        char_detach(port->chr);
    loop_message_cancel(dev->board->loop, &port->to_main);
    g_free(port->input.bytes);
}

static void port_resume(Device *dev)
{
    VirtSerialPort *port = to_port(dev);

    if (port->chr)
        char_accept_input(port->chr);
}

/* Turns the ring so that it begins at 0. */
static void port_pre_save(void *opaque)
{
    VirtSerialPort *port = opaque;
    PortInput *input = &port->input;
    uint32_t begin = input->tail % PORT_INPUT_SIZE;
    g_autofree uint8_t *before = NULL;

    port->n_saved = input_size(port);
    if (begin == 0 || !input->bytes)
        return;
    before = g_memdup2(input->bytes, PORT_INPUT_SIZE);
    memcpy(input->bytes, before + begin, PORT_INPUT_SIZE - begin);
    memcpy(input->bytes + PORT_INPUT_SIZE - begin, before, begin);
    input->tail = 0;
    input->head = port->n_saved;
}

static bool port_post_load(void *opaque, GError **error)
{
    VirtSerialPort *port = opaque;

    port->input.tail = 0;
    port->input.head = port->n_saved;
    port->guest_closed = false;
    wake_main(port);
    return true;
}

static const VMStateField port_fields[] = {
    VMSTATE_BOOL(VirtSerialPort, guest_open),
    VMSTATE_BOOL(VirtSerialPort, told_open),
    VMSTATE_U32(VirtSerialPort, out_taken),
    VMSTATE_VBYTES(VirtSerialPort, input.bytes, n_saved, PORT_INPUT_SIZE),
    VMSTATE_END
};

static const VMStateDesc port_vmstate = {
    .name = "virtio-serial-port", .version = 1, .min_version = 1, .fields = port_fields,
    .pre_save = port_pre_save, .post_load = port_post_load,
};

const DeviceClass virtserialport_class = {
    .name = "virtserialport",
    .description = "channel between host and guest",
    .bus = BUS_VIRTIO_SERIAL,
    .instance_size = sizeof(VirtSerialPort),
    .vmstate = &port_vmstate,
    .realize = port_realize,
    .unrealize = port_unrealize,
    .resume = port_resume,
};

const DeviceClass virtconsole_class = {
    .name = "virtconsole",
    .description = "console of the guest",
    .bus = BUS_VIRTIO_SERIAL,
    .instance_size = sizeof(VirtSerialPort),
    .vmstate = &port_vmstate,
    .realize = port_realize,
    .unrealize = port_unrealize,
    .resume = port_resume,
};
