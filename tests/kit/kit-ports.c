/* SPDX-License-Identifier: Apache-2.0 */
/* The board with three ports and what their host does. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit-ports.h"

void kit_ports_set_up(KitPorts *f, gconstpointer unused)
{
    f->kit = kit_board_new();
    f->console = kit_add_chardev(f->kit, "k");
    f->channel = kit_add_chardev(f->kit, "c");
    f->other = kit_add_chardev(f->kit, "o");
    f->dev = kit_add(f->kit, "{'driver': 'virtio-serial-pci', 'id': 'vs'}");
    kit_add(f->kit, "{'driver': 'virtconsole', 'chardev': 'k', 'id': 'con'}");
    kit_add(f->kit, "{'driver': 'virtserialport', 'chardev': 'c', 'id': 'ch'}");
    kit_add(f->kit, "{'driver': 'virtserialport', 'chardev': 'o', 'id': 'ot'}");
    kit_start(f->kit);
    f->s = kit_serial_new(f->kit, f->dev);
    kit_serial_start_ports(f->s);
    for (unsigned nr = 0; nr < 3; nr++)
        kit_serial_open(f->s, nr, true);
}

void kit_ports_tear_down(KitPorts *f, gconstpointer unused)
{
    kit_serial_free(f->s);
    kit_board_free(f->kit);
    close(f->console);
    close(f->channel);
    close(f->other);
}

/* What the host has got by now. */
char *kit_ports_receive(int fd)
{
    GString *text = g_string_new(NULL);
    char data[4096];
    ssize_t n;

    while ((n = recv(fd, data, sizeof(data), 0)) > 0)
        g_string_append_len(text, data, n);
    return g_string_free(text, FALSE);
}

void kit_ports_assert_received(int fd, const char *expected)
{
    g_autofree char *text = kit_ports_receive(fd);

    g_assert_cmpstr(text, ==, expected);
}

void kit_ports_send(int fd, const char *text)
{
    g_assert_cmpint(send(fd, text, strlen(text), 0), ==, strlen(text));
}

/* Sends until the socket is full; returns how much went. */
size_t kit_ports_stuff(KitPorts *f, int fd)
{
    static const char data[1000];
    size_t total = 0;

    for (int tries = 0; tries < 20; tries++) {
        ssize_t n = send(fd, data, sizeof(data), 0);

        if (n > 0) {
            total += n;
            tries = 0;
        } else {
            kit_run_both(f->kit);
        }
    }
    return total;
}

/* 16 requests of 4 KiB, each of another letter, until the device takes no more. */
unsigned kit_ports_flood(KitPorts *f, unsigned nr, unsigned *letter)
{
    g_autofree char *data = g_malloc(KIT_SERIAL_BUFFER_SIZE);
    KitQueue *q = &f->s->out[nr];
    unsigned n = 0;

    while ((uint16_t)(q->next_avail - q->next_used) < KIT_SERIAL_BUFFERS) {
        memset(data, 'A' + *letter % 26, KIT_SERIAL_BUFFER_SIZE);
        kit_serial_write(f->s, nr, data, KIT_SERIAL_BUFFER_SIZE);
        *letter += 1;
        n++;
        kit_serial_written(f->s, nr);
    }
    return n;
}

void kit_ports_assert_letters(const char *text, unsigned n)
{
    g_assert_cmpuint(strlen(text), ==, (size_t)n * KIT_SERIAL_BUFFER_SIZE);
    for (size_t i = 0; text[i]; i++)
        g_assert_cmpint(text[i], ==, 'A' + i / KIT_SERIAL_BUFFER_SIZE % 26);
}
