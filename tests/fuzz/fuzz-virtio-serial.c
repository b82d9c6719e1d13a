/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a driver and the host's clients do with a virtio-serial: control
 * messages, buffers of any size and place on all its queues, configuration space; clients
 * that come, send, read and go; ports that are plugged and unplugged, resets, pauses, and
 * the state saved and loaded between them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/virtio.h"

#include "char-bench.h"
#include "fuzz.h"
#include "kit-serial.h"

#define MAX_PORTS 6u
#define N_CLIENTS 3

static struct {
    KitBoard *kit;
    KitSerial *s;
    Device *dev;
    int clients[N_CLIENTS];     /* of ports 0 to 2, -1 when there is none */
} subject;

static void set_name(struct sockaddr_un *address, unsigned n)
{
    *address = (struct sockaddr_un) { .sun_family = AF_UNIX };
    snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "berth-fuzz-%d-%u",
             (int)getpid(), n);
}

static void add_chardev(unsigned n)
{
    g_autofree char *text = NULL;
    char id[] = { 'c', '0' + n, 0 };
    struct sockaddr_un address;

    set_name(&address, n);
    text = g_strdup_printf("socket,server=on,wait=off,abstract=on,path=%s",
                           address.sun_path + 1);
    g_assert_nonnull(char_bench_add_to(subject.kit->chars, id, text, NULL));
}

static void add_port(unsigned nr)
{
    g_autofree char *chardev = nr < N_CLIENTS ? g_strdup_printf(", 'chardev': 'c%u'", nr)
                                              : g_strdup("");
    g_autofree char *json =
        g_strdup_printf("{'driver': '%s', 'id': 'p%u', 'nr': %u, 'name': 'n%u'%s}",
                        nr == 0 || nr == 3 ? "virtconsole" : "virtserialport", nr, nr, nr,
                        chardev);

    kit_add(subject.kit, json);
}

static void make_subject(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    subject.kit = kit_board_new();
    for (unsigned i = 0; i < N_CLIENTS; i++) {
        add_chardev(i);
        subject.clients[i] = -1;
    }
    subject.dev = kit_add(subject.kit, "{'driver': 'virtio-serial-pci', 'max_ports': 6}");
    for (unsigned nr = 0; nr < 2; nr++)
        add_port(nr);
    kit_start(subject.kit);
    subject.s = kit_serial_new(subject.kit, subject.dev);
}

static void toggle_client(unsigned n)
{
    int *fd = &subject.clients[n];
    struct sockaddr_un address;
    socklen_t size;

    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
        return;
    }
    set_name(&address, n);
    size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(*fd, (struct sockaddr *)&address, size) < 0) {
        close(*fd);
        *fd = -1;
    }
}

static void act_of_client(FuzzInput *in)
{
    static uint8_t bytes[0x8000];
    unsigned n = fuzz_take(in, 1) % N_CLIENTS;
    int fd = subject.clients[n];

    switch (fuzz_take(in, 1) % 3) {
    case 0:
        toggle_client(n);
        break;
    case 1:
        if (fd >= 0 && send(fd, bytes, fuzz_take(in, 2) % sizeof(bytes), 0) < 0)
            g_assert_true(errno == EAGAIN || errno == EPIPE);
        break;
    default:
        if (fd >= 0 && recv(fd, bytes, sizeof(bytes), 0) < 0)
            g_assert_true(errno == EAGAIN || errno == ECONNRESET);
    }
}

static KitQueue *queue_of(unsigned n)
{
    KitSerial *s = subject.s;

    if (n % 8 == 6)
        return &s->control_in;
    if (n % 8 == 7)
        return &s->control_out;
    return n & 8 ? &s->in[n % 8] : &s->out[n % 8];
}

static void act_of_queue(FuzzInput *in)
{
    KitQueue *q = queue_of(fuzz_take(in, 1));
    unsigned n = q->next_avail % KIT_SERIAL_BUFFERS;
    unsigned kind = fuzz_take(in, 1);
    uint32_t head, len;

    while (kit_queue_take(q, &head, &len))
        continue;
    if ((uint16_t)(q->next_avail - q->next_used) >= KIT_SERIAL_BUFFERS)
        return;
    if (kind & 1)
        kit_queue_desc(q, n, fuzz_take(in, 4), fuzz_take(in, 3), fuzz_take(in, 1) & 3,
                       fuzz_take(in, 1));
    else
        kit_queue_desc(q, n, KIT_VIRTIO_DATA + 0x1000 * n, 1 + fuzz_take(in, 2),
                       kind & 2 ? VRING_DESC_F_WRITE : 0, 0);
    kit_queue_offer(q, n);
    kit_queue_kick(q);
}

static void toggle_port(unsigned nr)
{
    char id[] = { 'p', '0' + nr, 0 };
    Device *dev = device_find(&subject.kit->tree, id);

    if (dev)
        device_remove(dev);
    else
        add_port(nr);
}

/* One act, chosen and described by the next bytes. */
static void act(FuzzInput *in)
{
    KitSerial *s = subject.s;
    KitBoard *kit = subject.kit;
    uint8_t bytes[16];
    unsigned size;

    switch (fuzz_take(in, 1) % 9) {
    case 0:
    case 1:
        size = fuzz_take(in, 1);
        kit_serial_say(s, size % 8, fuzz_take(in, 1) % 10, size >> 7);
        break;
    case 2:
        size = fuzz_take(in, 1) % sizeof(bytes) + 1;
        for (unsigned i = 0; i < size; i++)
            bytes[i] = fuzz_take(in, 1);
        kit_serial_say_bytes(s, bytes, size);
        break;
    case 3:
    case 4:
        act_of_queue(in);
        break;
    case 5:
        act_of_client(in);
        break;
    case 6:
        toggle_port(fuzz_take(in, 1) % MAX_PORTS);
        break;
    case 7:
        size = 1u << fuzz_take(in, 1) % 4;
        kit_write(kit, s->v->config + fuzz_take(in, 1) % 32, size, fuzz_take(in, size));
        break;
    default:
        if (fuzz_take(in, 1) % 4 == 0)
            kit_serial_start(s);
        else
            kit_save_and_load(subject.kit);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { .data = data, .size = size };

    if (!subject.kit)
        make_subject();
    kit_serial_start(subject.s);
    while (in.size > 0) {
        act(&in);
        kit_run_both(subject.kit);
    }

    for (unsigned nr = 0; nr < MAX_PORTS; nr++) {
        char id[] = { 'p', '0' + nr, 0 };

        if ((device_find(&subject.kit->tree, id) != NULL) != (nr < 2))
            toggle_port(nr);
    }
    for (unsigned i = 0; i < N_CLIENTS; i++) {
        if (subject.clients[i] >= 0)
            toggle_client(i);
    }
    kit_run_both(subject.kit);
    return 0;
}
