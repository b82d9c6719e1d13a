/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of virtio-serial.  Each queue has buffers of its own, used in turn.
 */
#include <string.h>

#include "kit-serial.h"

#define ALL_FEATURES UINT64_MAX
#define QUEUE_SPACE (KIT_SERIAL_BUFFERS * KIT_SERIAL_BUFFER_SIZE)

KitSerial *kit_serial_new(KitBoard *kit, Device *dev)
{
    KitSerial *s = g_new0(KitSerial, 1);

    s->kit = kit;
    s->dev = dev;
    s->v = kit_virtio_new(kit, dev);
    s->text = g_string_new(NULL);
    return s;
}

void kit_serial_free(KitSerial *s)
{
    if (!s)
        return;
    g_string_free(s->text, TRUE);
    g_free(s->v);
    g_free(s);
}

static uint64_t buffer_of(const KitQueue *q, unsigned n)
{
    return KIT_VIRTIO_DATA + q->index * QUEUE_SPACE +
        n % KIT_SERIAL_BUFFERS * KIT_SERIAL_BUFFER_SIZE;
}

static void offer(KitQueue *q, uint32_t size, uint16_t flags)
{
    unsigned n = q->next_avail % KIT_SERIAL_BUFFERS;

    kit_queue_desc(q, n, buffer_of(q, n), size, flags, 0);
    kit_queue_offer(q, n);
}

void kit_serial_start(KitSerial *s)
{
    kit_pci_set_command(&s->v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_virtio_negotiate(s->v, ALL_FEATURES);
    kit_virtio_setup_queue(s->v, KIT_SERIAL_BUFFERS);
    s->in[0] = s->v->queue;
    kit_queue_setup(&s->out[0], s->v, 1, KIT_SERIAL_BUFFERS);
    kit_queue_setup(&s->control_in, s->v, 2, KIT_SERIAL_BUFFERS);
    kit_queue_setup(&s->control_out, s->v, 3, KIT_SERIAL_BUFFERS);
    for (unsigned nr = 1; nr < KIT_SERIAL_PORTS; nr++) {
        kit_queue_setup(&s->in[nr], s->v, 2 * nr + 2, KIT_SERIAL_BUFFERS);
        kit_queue_setup(&s->out[nr], s->v, 2 * nr + 3, KIT_SERIAL_BUFFERS);
    }
    for (unsigned i = 0; i < KIT_SERIAL_BUFFERS; i++)
        offer(&s->control_in, KIT_SERIAL_BUFFER_SIZE, VRING_DESC_F_WRITE);
    kit_virtio_set_status(s->v, kit_virtio_status(s->v) | VIRTIO_CONFIG_S_DRIVER_OK);
    kit_run_both(s->kit);
}

void kit_serial_start_ports(KitSerial *s)
{
    kit_serial_start(s);
    kit_serial_say(s, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (const char *at = kit_serial_told(s); (at = strstr(at, " add")); at++)
        kit_serial_say(s, at[-1] - '0', VIRTIO_CONSOLE_PORT_READY, 1);
    kit_serial_told(s);
}

void kit_serial_say_bytes(KitSerial *s, const void *data, uint32_t size)
{
    KitQueue *q = &s->control_out;
    uint32_t head, len;

    memcpy(kit_ram(s->kit, buffer_of(q, q->next_avail), size), data, size);
    offer(q, size, 0);
    kit_queue_kick(q);
    kit_run_both(s->kit);
    while (kit_queue_take(q, &head, &len))
        g_assert_cmpuint(len, ==, 0);
}

void kit_serial_say(KitSerial *s, uint32_t nr, uint16_t event, uint16_t value)
{
    struct virtio_console_control message = { nr, event, value };

    kit_serial_say_bytes(s, &message, sizeof(message));
}

void kit_serial_open(KitSerial *s, unsigned nr, bool open)
{
    kit_serial_say(s, nr, VIRTIO_CONSOLE_PORT_OPEN, open);
}

static void describe(KitSerial *s, const uint8_t *bytes, uint32_t size)
{
    static const char *const names[] = {
        "device-ready", "add", "remove", "ready", "console", "resize", "open", "name",
    };
    struct virtio_console_control message;
    const char *name;

    g_assert_cmpuint(size, >=, sizeof(message));
    memcpy(&message, bytes, sizeof(message));
    g_assert_cmpuint(message.event, <, G_N_ELEMENTS(names));
    name = names[message.event];
    if (message.event == VIRTIO_CONSOLE_PORT_OPEN && message.value == 0)
        name = "close";
    g_string_append_printf(s->text, "%s%u %s", s->text->len ? ", " : "", message.id,
                           name);
    if (size > sizeof(message)) {
        g_assert_cmpuint(bytes[size - 1], ==, 0);
        g_string_append_printf(s->text, " %s", bytes + sizeof(message));
    }
}

const char *kit_serial_told(KitSerial *s)
{
    KitQueue *q = &s->control_in;
    uint32_t head, len;

    kit_run_both(s->kit);
    g_string_truncate(s->text, 0);
    while (kit_queue_take(q, &head, &len)) {
        describe(s, kit_ram(s->kit, buffer_of(q, head), len), len);
        offer(q, KIT_SERIAL_BUFFER_SIZE, VRING_DESC_F_WRITE);
    }
    kit_queue_kick(q);
    kit_run_both(s->kit);
    return s->text->str;
}

void kit_serial_use_up_control(KitSerial *s, unsigned nr)
{
    KitQueue *q = &s->control_in;
    uint32_t head, len;

    while (q->next_used != q->next_avail) {
        kit_serial_say(s, nr, VIRTIO_CONSOLE_PORT_READY, 1);
        while (kit_queue_take(q, &head, &len))
            continue;
    }
}

void kit_serial_give_control(KitSerial *s)
{
    for (unsigned i = 0; i < KIT_SERIAL_BUFFERS; i++)
        offer(&s->control_in, KIT_SERIAL_BUFFER_SIZE, VRING_DESC_F_WRITE);
    kit_queue_kick(&s->control_in);
    kit_run_both(s->kit);
}

void kit_serial_give(KitSerial *s, unsigned nr, unsigned n, uint32_t size)
{
    while (n-- > 0)
        offer(&s->in[nr], size, VRING_DESC_F_WRITE);
    kit_queue_kick(&s->in[nr]);
    kit_run_both(s->kit);
}

const char *kit_serial_read(KitSerial *s, unsigned nr)
{
    KitQueue *q = &s->in[nr];
    uint32_t head, len;

    kit_run_both(s->kit);
    g_string_truncate(s->text, 0);
    while (kit_queue_take(q, &head, &len))
        g_string_append_len(s->text, kit_ram(s->kit, buffer_of(q, head), MAX(len, 1)),
                            len);
    return s->text->str;
}

void kit_serial_write(KitSerial *s, unsigned nr, const void *data, uint32_t size)
{
    KitQueue *q = &s->out[nr];

    memcpy(kit_ram(s->kit, buffer_of(q, q->next_avail), size), data, size);
    offer(q, size, 0);
    kit_queue_kick(q);
    kit_run_both(s->kit);
}

unsigned kit_serial_written(KitSerial *s, unsigned nr)
{
    uint32_t head, len;
    unsigned n = 0;

    kit_run_both(s->kit);
    while (kit_queue_take(&s->out[nr], &head, &len))
        n++;
    return n;
}
