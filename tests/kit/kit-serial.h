/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver of a virtio-serial with several ports (virtio 1.3, section 5.3): its control
 * queues, and input and output of ports 0 to KIT_SERIAL_PORTS - 1.
 */
#pragma once

#include <linux/virtio_console.h>

#include "kit-virtio.h"

#define KIT_SERIAL_PORTS 8
#define KIT_SERIAL_BUFFERS 16           /* of each queue, at most */
#define KIT_SERIAL_BUFFER_SIZE 0x1000u

typedef struct KitSerial {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    KitQueue control_in;
    KitQueue control_out;
    KitQueue in[KIT_SERIAL_PORTS];
    KitQueue out[KIT_SERIAL_PORTS];
    GString *text;              /* what kit_serial_told() and kit_serial_read() lend */
} KitSerial;

/* A driver for @dev; nothing is set up. */
KitSerial *kit_serial_new(KitBoard *kit, Device *dev);
void kit_serial_free(KitSerial *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitSerial, kit_serial_free)

/* Negotiates, sets up all queues, gives control buffers; up to DRIVER_OK. */
void kit_serial_start(KitSerial *s);
/* The same and DEVICE_READY, PORT_READY of all ports that come; forgets what was told. */
void kit_serial_start_ports(KitSerial *s);

/* Sends a control message, or any @size bytes as one. */
void kit_serial_say(KitSerial *s, uint32_t nr, uint16_t event, uint16_t value);
void kit_serial_say_bytes(KitSerial *s, const void *data, uint32_t size);
/* Opens or closes a port. */
void kit_serial_open(KitSerial *s, unsigned nr, bool open);
/*
 * The control messages that came since, "1 add, 1 name foo, 1 open"; gives their buffers
 * back.  Lent until the next call.
 */
const char *kit_serial_told(KitSerial *s);

/*
 * Has port @nr, which has two things to tell, use up all control buffers; what was told
 * is forgotten.
 */
void kit_serial_use_up_control(KitSerial *s, unsigned nr);
/* Gives them all again. */
void kit_serial_give_control(KitSerial *s);

/* Gives @n buffers of @size bytes for input. */
void kit_serial_give(KitSerial *s, unsigned nr, unsigned n, uint32_t size);
/* What came in; lent until the next call. */
const char *kit_serial_read(KitSerial *s, unsigned nr);
/* Output of @size bytes at most KIT_SERIAL_BUFFER_SIZE in one buffer. */
void kit_serial_write(KitSerial *s, unsigned nr, const void *data, uint32_t size);
/* How many outputs were taken since the last call. */
unsigned kit_serial_written(KitSerial *s, unsigned nr);
