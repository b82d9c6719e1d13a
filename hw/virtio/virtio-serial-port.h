/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What virtio-serial.c (the device: configuration, control queues, bus) and
 * virtio-serial-port.c (a port: a character device and two queues) have in common.
 */
#pragma once

#include "berth/char.h"
#include "berth/virtio.h"

/* What the host has sent and the guest has not got yet; a power of two. */
#define PORT_INPUT_SIZE (32 * 1024u)

typedef struct VirtioSerial VirtioSerial;

/*
 * A port's input: main puts, the loop takes, and each moves its own index only.  Indices
 * run on without a bound; what lies between them is less than PORT_INPUT_SIZE.
 */
typedef struct PortInput {
    uint8_t *bytes;
    uint32_t head;              /* atomic, main's */
    uint32_t tail;              /* atomic, the loop's */
    bool main_waits;            /* atomic: main found no room, the loop tells of some */
} PortInput;

typedef struct VirtSerialPort {
    Device dev;
    uint32_t nr;
    bool is_console;
    const char *name;           /* lent by dev.args; NULL for none */
    Chardev *chr;               /* NULL for none; changed by virtio_serial_move_port() */
    PortInput input;

    /* Main. */
    CharUser user;
    bool plugged;
    bool shown_open;            /* of the guest, as clients know it */
    LoopMessage to_main;        /* guest_open or the room of the input changed */

    /* The device's loop. */
    bool told_open;             /* of the host, as the guest knows it */
    uint32_t out_taken;         /* bytes of the next output request that the host has */
    LoopMessage to_loop;        /* host_open or the input changed, or the host has room */

    /* Atomic: one side writes, the other reads. */
    bool host_open;             /* main writes */
    bool host_closed;           /* a client has left; main sets, the loop clears */
    bool guest_open;            /* the loop writes */
    bool guest_closed;          /* it was closed meanwhile; the loop sets, main clears */

    /* For the saved state. */
    uint32_t n_saved;
} VirtSerialPort;

/* virtio-serial.c */

/* Main. */

/* What the port's bus is a part of. */
VirtioSerial *virtio_serial_of_port(const VirtSerialPort *port);
/*
 * The number for a port that wants @nr (UINT32_MAX: any) and @name (may be NULL) in
 * *@ret_nr; false with @error when it is taken or out of range.
 */
bool virtio_serial_choose_nr(VirtioSerial *serial, const VirtSerialPort *port,
                             uint32_t nr, uint32_t *ret_nr, GError **error);

/* @port writes to @chr from now on, also on other threads. */
void virtio_serial_move_port(VirtioSerial *serial, VirtSerialPort *port, Chardev *chr);

/* Any thread. */

Loop *virtio_serial_loop(const VirtioSerial *serial);

/* The device's loop. */

/* Between start and stop. */
bool virtio_serial_is_running(const VirtioSerial *serial);
/* The queue of @port's output or input. */
Virtqueue *virtio_serial_queue(VirtioSerial *serial, uint32_t nr, bool is_output);
/* port->host_open or host_closed changed: tells the guest. */
void virtio_serial_tell_host_open(VirtioSerial *serial, VirtSerialPort *port);

/* virtio-serial-port.c, on the device's loop */

/* Serves a queue as far as host and guest have data and room. */
void virtio_serial_port_output(VirtSerialPort *port, Virtqueue *vq);
void virtio_serial_port_input(VirtSerialPort *port, Virtqueue *vq);
/*
 * Whether the guest may learn now what became of the host; while it has not got all that
 * a client sent, it may not.  What nobody will get is dropped.
 */
bool virtio_serial_port_take_host_open(VirtSerialPort *port, bool *ret_was_closed);
/* The guest opened or closed the port. */
void virtio_serial_port_set_guest_open(VirtSerialPort *port, bool open);
/* The driver was reset. */
void virtio_serial_port_reset(VirtSerialPort *port);
