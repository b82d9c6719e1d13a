/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a PS/2 device's bytes to the controller.  A reply overtakes what the device
 * has reported by itself: a driver that has given a command takes the next byte for its
 * reply, and a report is lost for it.  Both have a fixed size; a device whose guest does
 * not listen forgets.
 */
#include <string.h>

#include "berth/error.h"

#include "ps2.h"

void ps2_port_reset(Ps2Port *port)
{
    memset(port, 0, sizeof(*port));
}

unsigned ps2_port_peek(const Ps2Port *port, uint8_t bytes[2])
{
    const uint8_t *from = port->n_replies ? port->replies : port->queue;
    unsigned n = port->n_replies ? port->n_replies : port->n_queued;

    n = MIN(n, 2u);
    memcpy(bytes, from, n);
    return n;
}

static void take(uint8_t *bytes, uint8_t *n)
{
    *n -= 1;
    memmove(bytes, bytes + 1, *n);
}

void ps2_port_take(Ps2Port *port)
{
    if (port->n_replies) {
        port->last = port->replies[0];
        take(port->replies, &port->n_replies);
    } else if (port->n_queued) {
        port->last = port->queue[0];
        take(port->queue, &port->n_queued);
    }
}

void ps2_port_begin(Ps2Port *port)
{
    port->n_replies = 0;
}

void ps2_port_reply(Ps2Port *port, uint8_t byte)
{
    if (port->n_replies < PS2_REPLY_SIZE)
        port->replies[port->n_replies++] = byte;
}

void ps2_port_resend(Ps2Port *port)
{
    ps2_port_reply(port, port->last);
}

bool ps2_port_report(Ps2Port *port, const uint8_t *bytes, unsigned n)
{
    if (n > PS2_QUEUE_SIZE - port->n_queued)
        return false;
    memcpy(port->queue + port->n_queued, bytes, n);
    port->n_queued += n;
    return true;
}

void ps2_port_flush(Ps2Port *port)
{
    port->n_queued = 0;
}

static bool ps2_port_post_load(void *opaque, GError **error)
{
    Ps2Port *port = opaque;

    if (port->n_replies <= PS2_REPLY_SIZE && port->n_queued <= PS2_QUEUE_SIZE)
        return true;
    error_set(error, "n_replies, n_queued: %u and %u bytes, where there is room for "
              "%u and %u", port->n_replies, port->n_queued, PS2_REPLY_SIZE,
              PS2_QUEUE_SIZE);
    return false;
}

static const VMStateField ps2_port_fields[] = {
    VMSTATE_BYTES(Ps2Port, replies, PS2_REPLY_SIZE),
    VMSTATE_U8(Ps2Port, n_replies),
    VMSTATE_BYTES(Ps2Port, queue, PS2_QUEUE_SIZE),
    VMSTATE_U8(Ps2Port, n_queued),
    VMSTATE_U8(Ps2Port, last),
    VMSTATE_END
};

const VMStateDesc ps2_port_vmstate = {
    .name = "ps2-port",
    .version = 1,
    .min_version = 1,
    .fields = ps2_port_fields,
    .post_load = ps2_port_post_load,
};
