/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of virtio-serial's ports: both ways, with either side that does not read, and
 * over reset, pause, save and load.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/iothread.h"
#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/virtio.h"
#include "berth/vmstate.h"

#include "char-bench.h"
#include "kit-serial.h"

#define INPUT_SIZE (32 * 1024u)         /* what a port takes for a guest that is slow */

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitSerial *s;
    int console;                /* port 0; sockets of the host */
    int channel;                /* port 1 */
    int other;                  /* port 2 */
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
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

static void tear_down(Fixture *f, gconstpointer unused)
{
    kit_serial_free(f->s);
    kit_board_free(f->kit);
    close(f->console);
    close(f->channel);
    close(f->other);
}

/* What the host has got by now. */
static char *receive(int fd)
{
    GString *text = g_string_new(NULL);
    char data[4096];
    ssize_t n;

    while ((n = recv(fd, data, sizeof(data), 0)) > 0)
        g_string_append_len(text, data, n);
    return g_string_free(text, FALSE);
}

static void assert_received(int fd, const char *expected)
{
    g_autofree char *text = receive(fd);

    g_assert_cmpstr(text, ==, expected);
}

static void send_text(int fd, const char *text)
{
    g_assert_cmpint(send(fd, text, strlen(text), 0), ==, strlen(text));
}

static void test_both_ways(Fixture *f, gconstpointer unused)
{
    static const char *const words[] = { "console", "channel", "other" };
    const int fds[] = { f->console, f->channel, f->other };

    for (unsigned nr = 0; nr < 3; nr++) {
        kit_serial_give(f->s, nr, 2, 64);
        send_text(fds[nr], words[nr]);
        g_assert_cmpstr(kit_serial_read(f->s, nr), ==, words[nr]);
        kit_serial_write(f->s, nr, words[nr], strlen(words[nr]));
        g_assert_cmpuint(kit_serial_written(f->s, nr), ==, 1);
        assert_received(fds[nr], words[nr]);
    }
}

static void test_input_fills_buffers_of_any_size(Fixture *f, gconstpointer unused)
{
    send_text(f->channel, "abcdefghij");
    kit_run_both(f->kit);

    kit_serial_give(f->s, 1, 1, 1);
    kit_serial_give(f->s, 1, 2, 3);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "abcdefg");
    kit_serial_give(f->s, 1, 1, 100);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "hij");
}

static void test_chain_of_buffers_is_one_text(Fixture *f, gconstpointer unused)
{
    KitQueue *in = &f->s->in[1], *out = &f->s->out[1];
    uint32_t head, len;

    memcpy(kit_ram(f->kit, KIT_VIRTIO_DATA, 6), "abcdef", 6);
    for (unsigned i = 0; i < 6; i++)
        kit_queue_desc(out, i, KIT_VIRTIO_DATA + i, 1, i < 5 ? VRING_DESC_F_NEXT : 0,
                       i + 1);
    kit_queue_offer(out, 0);
    kit_queue_kick(out);
    assert_received(f->channel, "abcdef");

    for (unsigned i = 0; i < 6; i++)
        kit_queue_desc(in, i, KIT_VIRTIO_DATA + 16 + 2 * i, 1,
                       VRING_DESC_F_WRITE | (i < 5 ? VRING_DESC_F_NEXT : 0), i + 1);
    kit_queue_offer(in, 0);
    send_text(f->channel, "uvwxyz12");
    kit_run_both(f->kit);
    g_assert_true(kit_queue_take(in, &head, &len));
    g_assert_cmpuint(len, ==, 6);
    for (unsigned i = 0; i < 6; i++)
        g_assert_cmpint(*(char *)kit_ram(f->kit, KIT_VIRTIO_DATA + 16 + 2 * i, 1), ==,
                        "uvwxyz"[i]);
}

/* Input into buffers to read, output from buffers to write: nothing moves. */
static void test_buffers_of_the_wrong_direction(Fixture *f, gconstpointer unused)
{
    KitQueue *in = &f->s->in[1], *out = &f->s->out[1];
    uint32_t head, len;

    send_text(f->channel, "text");
    for (unsigned i = 0; i < 4; i++) {
        kit_queue_desc(in, i, KIT_VIRTIO_DATA, 8, 0, 0);
        kit_queue_offer(in, i);
        kit_queue_desc(out, i, KIT_VIRTIO_DATA, 8, VRING_DESC_F_WRITE, 0);
        kit_queue_offer(out, i);
    }
    kit_queue_kick(in);
    kit_queue_kick(out);
    kit_run_both(f->kit);

    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(kit_queue_take(in, &head, &len) && len == 0);
        g_assert_true(kit_queue_take(out, &head, &len) && len == 0);
    }
    assert_received(f->channel, "");
    kit_serial_give(f->s, 1, 1, 8);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "text");
}

/* Sends until the socket is full; returns how much went. */
static size_t stuff(Fixture *f, int fd)
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

static void test_writer_waits_for_a_guest_without_buffers(Fixture *f,
                                                          gconstpointer unused)
{
    size_t closed, opened;

    kit_serial_open(f->s, 2, false);
    closed = stuff(f, f->other);
    opened = stuff(f, f->channel);

    /* The socket takes as much of both, and the port 32 KiB of what it wants. */
    g_assert_cmpuint(opened, >=, closed + INPUT_SIZE / 2);
    g_assert_cmpuint(opened, <=, closed + 2 * INPUT_SIZE);
    g_assert_cmpuint(opened, <, 1 * MIB);
    /* Ports beside them go on. */
    kit_serial_give(f->s, 0, 1, 64);
    send_text(f->console, "x");
    g_assert_cmpstr(kit_serial_read(f->s, 0), ==, "x");
}

static void test_input_waits_for_the_port_to_be_open(Fixture *f, gconstpointer unused)
{
    kit_serial_open(f->s, 1, false);
    kit_serial_give(f->s, 1, 4, 64);
    send_text(f->channel, "early");
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "");

    kit_serial_open(f->s, 1, true);

    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "early");
}

static void test_input_waits_while_the_port_is_closed_again(Fixture *f,
                                                            gconstpointer unused)
{
    send_text(f->channel, "taken");
    kit_run_both(f->kit);
    kit_serial_open(f->s, 1, false);
    kit_serial_give(f->s, 1, 4, 64);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "");

    kit_serial_open(f->s, 1, true);

    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "taken");
}

/* 16 requests of 4 KiB, each of another letter, until the device takes no more. */
static unsigned flood(Fixture *f, unsigned nr, unsigned *letter)
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

static void assert_letters(const char *text, unsigned n)
{
    g_assert_cmpuint(strlen(text), ==, (size_t)n * KIT_SERIAL_BUFFER_SIZE);
    for (size_t i = 0; text[i]; i++)
        g_assert_cmpint(text[i], ==, 'A' + i / KIT_SERIAL_BUFFER_SIZE % 26);
}

static void test_channel_waits_for_a_host_that_does_not_read(Fixture *f,
                                                             gconstpointer unused)
{
    g_autoptr(GString) got = g_string_new(NULL);
    unsigned letter = 0, sent = flood(f, 1, &letter);

    g_assert_cmpuint(sent, >, KIT_SERIAL_BUFFERS);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, 0);
    /* Its queue waits, others go on. */
    kit_serial_write(f->s, 2, "other", 5);
    assert_received(f->other, "other");
    kit_serial_give(f->s, 1, 1, 64);
    send_text(f->channel, "input");
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "input");

    for (int i = 0; i < 100; i++) {
        g_autofree char *text = receive(f->channel);

        g_string_append(got, text);
        kit_run_both(f->kit);
    }

    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, KIT_SERIAL_BUFFERS);
    assert_letters(got->str, sent);
}

static void test_console_drops_what_the_host_does_not_read(Fixture *f,
                                                           gconstpointer unused)
{
    g_autofree char *data = g_malloc(KIT_SERIAL_BUFFER_SIZE);
    g_autofree char *text = NULL;

    memset(data, 'x', KIT_SERIAL_BUFFER_SIZE);
    for (int i = 0; i < 500; i++) {
        kit_serial_write(f->s, 0, data, KIT_SERIAL_BUFFER_SIZE);
        /* A driver spins for this one. */
        g_assert_cmpuint(kit_serial_written(f->s, 0), ==, 1);
    }

    text = receive(f->console);
    g_assert_cmpuint(strlen(text), >, 0);
    g_assert_cmpuint(strlen(text), <, 500 * KIT_SERIAL_BUFFER_SIZE);
}

static void test_output_without_a_client_is_dropped(Fixture *f, gconstpointer unused)
{
    unsigned letter = 0, sent = flood(f, 1, &letter);

    /* Also what waited for it. */
    close(f->channel);
    f->channel = -1;
    kit_run_both(f->kit);

    g_assert_cmpuint(sent, >, 0);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, KIT_SERIAL_BUFFERS);
    kit_serial_write(f->s, 1, "text", 4);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, 1);
}

/* chardev-change, with output of which the old far end has a part. */
static void test_far_end_changes_under_the_guest(Fixture *f, gconstpointer unused)
{
    unsigned letter = 0;
    int console = kit_change_chardev(f->kit, "k"), channel;

    kit_serial_write(f->s, 0, "new", 3);
    assert_received(console, "new");
    kit_write(f->kit, f->s->v->config + 8, 1, 'e');
    assert_received(console, "e");
    assert_received(f->console, "");

    flood(f, 1, &letter);
    channel = kit_change_chardev(f->kit, "c");
    kit_run_both(f->kit);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, KIT_SERIAL_BUFFERS);
    g_free(receive(channel));
    kit_serial_give(f->s, 1, 1, 64);
    send_text(channel, "typed");
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "typed");
    kit_serial_write(f->s, 1, "said", 4);
    assert_received(channel, "said");
    close(console);
    close(channel);
}

static void test_port_without_chardev_takes_everything(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autoptr(KitSerial) s = NULL;
    Device *dev = kit_add(kit, "{'driver': 'virtio-serial-pci'}");

    kit_add(kit, "{'driver': 'virtserialport'}");
    kit_add(kit, "{'driver': 'virtconsole'}");
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_serial_start_ports(s);
    for (unsigned nr = 0; nr < 2; nr++) {
        kit_serial_open(s, nr, true);
        kit_serial_give(s, nr, 1, 64);
        kit_serial_write(s, nr, "text", 4);
        g_assert_cmpuint(kit_serial_written(s, nr), ==, 1);
        g_assert_cmpstr(kit_serial_read(s, nr), ==, "");
    }
    g_assert_cmpstr(kit_serial_told(s), ==, "");
}

/* A guest that reads to the end gets all that a client sent before it went away. */
static void test_end_is_told_after_the_last_byte(Fixture *f, gconstpointer unused)
{
    g_autoptr(GString) got = g_string_new(NULL);
    size_t sent = stuff(f, f->channel);

    close(f->channel);
    f->channel = -1;
    kit_run_both(f->kit);
    for (int i = 0; i < 2000 && got->len < sent; i++) {
        g_assert_cmpstr(kit_serial_told(f->s), ==, "");
        kit_serial_give(f->s, 1, 1, 1000);
        kit_serial_read(f->s, 1);
        g_string_append_len(got, f->s->text->str, f->s->text->len);
    }

    g_assert_cmpuint(got->len, ==, sent);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "1 close");
}

static void test_nobody_gets_what_a_gone_client_left(Fixture *f, gconstpointer unused)
{
    send_text(f->channel, "left");
    kit_run_both(f->kit);
    kit_serial_open(f->s, 1, false);
    close(f->channel);
    f->channel = -1;
    g_assert_cmpstr(kit_serial_told(f->s), ==, "1 close");

    kit_serial_open(f->s, 1, true);
    kit_serial_give(f->s, 1, 1, 64);

    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "");
}

static Chardev *add_server(KitBoard *kit, const char *id, const char *path)
{
    g_autofree char *text = g_strdup_printf("socket,server=on,wait=off,path=%s", path);

    return char_bench_add_to(kit->chars, id, text, NULL);
}

/* The bytes of two clients do not run together. */
static void test_next_client_comes_after_the_end_of_the_last(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree char *folder = g_dir_make_tmp("berth-serial-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "socket", NULL);
    g_autoptr(KitSerial) s = NULL;
    Device *dev = kit_add(kit, "{'driver': 'virtio-serial-pci'}");
    int fd;

    g_assert_nonnull(add_server(kit, "c", path));
    kit_add(kit, "{'driver': 'virtserialport', 'chardev': 'c'}");
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_serial_start_ports(s);
    kit_serial_open(s, 1, true);
    fd = char_bench_connect(path);
    send_text(fd, "first");
    close(fd);
    fd = char_bench_connect(path);
    send_text(fd, "second");
    g_assert_cmpstr(kit_serial_told(s), ==, "1 open");

    kit_serial_give(s, 1, 1, 3);
    g_assert_cmpstr(kit_serial_told(s), ==, "");
    g_assert_cmpstr(kit_serial_read(s, 1), ==, "fir");
    kit_serial_give(s, 1, 1, 64);
    g_assert_cmpstr(kit_serial_read(s, 1), ==, "st");
    g_assert_cmpstr(kit_serial_told(s), ==, "1 close, 1 open");
    kit_serial_give(s, 1, 1, 64);
    g_assert_cmpstr(kit_serial_read(s, 1), ==, "second");

    close(fd);
    unlink(path);
    rmdir(folder);
}

static void test_guest_that_never_reads_keeps_no_client_out(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree char *folder = g_dir_make_tmp("berth-serial-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "socket", NULL);
    g_autofree char *much = g_malloc0(INPUT_SIZE);
    g_autoptr(KitSerial) s = NULL;
    Device *dev = kit_add(kit, "{'driver': 'virtio-serial-pci'}");
    Chardev *chr = add_server(kit, "c", path);
    int fd;

    kit_add(kit, "{'driver': 'virtserialport', 'chardev': 'c'}");
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_serial_start_ports(s);
    for (int i = 0; i < 3; i++) {
        fd = char_bench_connect(path);
        send_text(fd, "nobody listens");
        kit_run_both(kit);
        g_assert_true(char_is_open(chr));
        close(fd);
        kit_run_both(kit);
        g_assert_false(char_is_open(chr));
    }
    /* It closes the port while a client that has gone is still being read. */
    kit_serial_open(s, 1, true);
    fd = char_bench_connect(path);
    for (int i = 0; i < 3; i++)
        g_assert_cmpint(send(fd, much, INPUT_SIZE, 0), ==, INPUT_SIZE);
    close(fd);
    kit_run_both(kit);
    g_assert_true(char_is_open(chr));
    kit_serial_open(s, 1, false);
    g_assert_false(char_is_open(chr));

    unlink(path);
    rmdir(folder);
}

static void test_reset_with_data_in_flight(Fixture *f, gconstpointer unused)
{
    unsigned letter = 0;
    g_autofree char *before = NULL;

    flood(f, 1, &letter);
    send_text(f->channel, "from the host");
    kit_run_both(f->kit);
    kit_virtio_set_status(f->s->v, 0);
    kit_run_both(f->kit);
    before = receive(f->channel);
    g_assert_cmpuint(strlen(before), >, 0);
    g_free(receive(f->channel));
    kit_run_both(f->kit);
    g_free(receive(f->channel));

    kit_serial_start_ports(f->s);
    kit_serial_open(f->s, 1, true);
    kit_serial_write(f->s, 1, "new", 3);
    assert_received(f->channel, "new");
    /* The client is the same, and so is what it sent. */
    kit_serial_give(f->s, 1, 1, 64);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "from the host");
}

static void test_pause_with_data_in_flight(Fixture *f, gconstpointer unused)
{
    g_autoptr(GString) got = g_string_new(NULL);
    unsigned letter = 0, sent = flood(f, 1, &letter);

    device_tree_pause(&f->kit->tree);
    kit_serial_give(f->s, 2, 1, 64);
    send_text(f->other, "paused");
    for (int i = 0; i < 50; i++) {
        g_autofree char *text = receive(f->channel);

        g_string_append(got, text);
        kit_run_both(f->kit);
    }
    g_assert_cmpuint(got->len, <, sent * KIT_SERIAL_BUFFER_SIZE);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, 0);
    g_assert_cmpstr(kit_serial_read(f->s, 2), ==, "");

    device_tree_resume(&f->kit->tree);

    for (int i = 0; i < 50; i++) {
        g_autofree char *text = receive(f->channel);

        g_string_append(got, text);
        kit_run_both(f->kit);
    }
    assert_letters(got->str, sent);
    g_assert_cmpstr(kit_serial_read(f->s, 2), ==, "paused");
}

static void test_unplug_with_data_in_flight(Fixture *f, gconstpointer unused)
{
    unsigned letter = 0;

    flood(f, 1, &letter);
    stuff(f, f->channel);

    device_remove(device_find(&f->kit->tree, "ch"));

    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, KIT_SERIAL_BUFFERS);
    g_assert_true(char_remove(f->kit->chars, "c", NULL));
    kit_run_both(f->kit);
    kit_serial_write(f->s, 2, "other", 5);
    assert_received(f->other, "other");
}

static void test_function_level_reset(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    int fd = kit_add_chardev(kit, "c");
    g_autoptr(KitSerial) s = NULL;
    unsigned letter = 0, cap;
    Fixture f = { .kit = kit };
    Device *dev;

    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    dev = kit_add(kit, "{'driver': 'virtio-serial-pci', 'bus': 'port'}");
    kit_add(kit, "{'driver': 'virtserialport', 'chardev': 'c', 'id': 'ch'}");
    kit_start(kit);
    f.s = s = kit_serial_new(kit, dev);
    kit_serial_start_ports(s);
    kit_serial_open(s, 1, true);
    flood(&f, 1, &letter);
    cap = kit_pci_find_cap(&s->v->pci, PCI_CAP_ID_EXP, 0);
    g_assert_cmpuint(kit_pci_read(&s->v->pci, cap + PCI_EXP_DEVCAP, 4) &
                     PCI_EXP_DEVCAP_FLR, !=, 0);

    kit_pci_write(&s->v->pci, cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
    kit_run_both(kit);

    g_assert_cmpstr(kit->port_changes->str, ==, "ch+ ch-");
    g_assert_false(virtio_pci_device(dev)->started);
    close(fd);
}

static void test_driver_of_one_port(Fixture *f, gconstpointer unused)
{
    KitVirtio *v = f->s->v;

    kit_virtio_negotiate(v, ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT));
    kit_virtio_setup_queue(v, KIT_SERIAL_BUFFERS);
    f->s->in[0] = v->queue;
    kit_queue_setup(&f->s->out[0], v, 1, KIT_SERIAL_BUFFERS);
    kit_virtio_set_status(v, 15);
    kit_run_both(f->kit);
    g_string_truncate(f->kit->port_changes, 0);

    kit_serial_give(f->s, 0, 1, 64);
    send_text(f->console, "in");
    g_assert_cmpstr(kit_serial_read(f->s, 0), ==, "in");
    kit_serial_write(f->s, 0, "out", 3);
    assert_received(f->console, "out");
    kit_virtio_set_status(v, 0);
    kit_run_both(f->kit);
    g_assert_cmpstr(f->kit->port_changes->str, ==, "con-");
}

/* As the machine where @f's state goes: the same devices, a driver set up alike. */
static void make_copy(Fixture *copy, Fixture *f)
{
    set_up(copy, NULL);
    device_tree_pause(&copy->kit->tree);
    memcpy(kit_ram(copy->kit, 0, KIT_RAM_SIZE), kit_ram(f->kit, 0, KIT_RAM_SIZE),
           KIT_RAM_SIZE);
    for (unsigned nr = 0; nr < KIT_SERIAL_PORTS; nr++) {
        copy->s->in[nr].next_avail = f->s->in[nr].next_avail;
        copy->s->in[nr].next_used = f->s->in[nr].next_used;
        copy->s->out[nr].next_avail = f->s->out[nr].next_avail;
        copy->s->out[nr].next_used = f->s->out[nr].next_used;
    }
    copy->s->control_in.next_avail = f->s->control_in.next_avail;
    copy->s->control_in.next_used = f->s->control_in.next_used;
}

static void test_state_moves_with_data_in_flight(Fixture *f, gconstpointer unused)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GString) got = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned letter = 0, sent;
    Fixture copy;

    sent = flood(f, 1, &letter);
    kit_serial_give(f->s, 2, 1, 3);
    send_text(f->other, "abcdef");
    g_assert_cmpstr(kit_serial_read(f->s, 2), ==, "abc");
    kit_serial_open(f->s, 0, false);
    device_tree_pause(&f->kit->tree);
    make_copy(&copy, f);
    g_string_truncate(copy.kit->port_changes, 0);
    saved = kit_save(f->kit);

    device_tree_load(&copy.kit->tree, saved->data, saved->len, &error);

    g_assert_no_error(error);
    again = kit_save(copy.kit);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    device_tree_resume(&copy.kit->tree);
    kit_run_both(copy.kit);
    g_assert_cmpstr(copy.kit->port_changes->str, ==, "con-");
    kit_serial_give(copy.s, 2, 1, 64);
    g_assert_cmpstr(kit_serial_read(copy.s, 2), ==, "def");
    /* What the first host had got it keeps, the second one gets the rest. */
    for (int i = 0; i < 50; i++) {
        g_autofree char *text = receive(f->channel);

        g_string_append(got, text);
        loop_turn(f->kit->loop, false);
    }
    for (int i = 0; i < 50; i++) {
        g_autofree char *text = receive(copy.channel);

        g_string_append(got, text);
        kit_run_both(copy.kit);
    }
    assert_letters(got->str, sent);
    tear_down(&copy, NULL);
}

/* The host's end is what it is where the state is loaded, not what it was. */
static void test_state_without_its_client(Fixture *f, gconstpointer unused)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;
    Fixture copy;

    device_tree_pause(&f->kit->tree);
    make_copy(&copy, f);
    close(copy.channel);
    copy.channel = -1;
    kit_run_both(copy.kit);
    saved = kit_save(f->kit);

    device_tree_load(&copy.kit->tree, saved->data, saved->len, &error);
    g_assert_no_error(error);
    device_tree_resume(&copy.kit->tree);

    g_assert_cmpstr(kit_serial_told(copy.s), ==, "1 close");
    tear_down(&copy, NULL);
}

/* Every byte of the state is overwritten: refused, or a state from which it goes on. */
static void test_hostile_state(Fixture *f, gconstpointer unused)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0xff };
    g_autoptr(GByteArray) saved = NULL;

    send_text(f->channel, "waits");
    kit_run_both(f->kit);
    device_tree_pause(&f->kit->tree);
    saved = kit_save(f->kit);
    for (guint i = 0; i < saved->len; i++) {
        uint8_t before = saved->data[i];

        for (size_t j = 0; j < G_N_ELEMENTS(values); j++) {
            g_autoptr(GError) error = NULL;

            saved->data[i] = values[j];
            if (!device_tree_load(&f->kit->tree, saved->data, saved->len, &error)) {
                g_assert_nonnull(error);
                device_tree_reset(&f->kit->tree);
            }
            device_tree_resume(&f->kit->tree);
            kit_run_both(f->kit);
            device_tree_pause(&f->kit->tree);
        }
        saved->data[i] = before;
    }
    g_assert_true(device_tree_load(&f->kit->tree, saved->data, saved->len, NULL));
    device_tree_resume(&f->kit->tree);
    kit_serial_give(f->s, 1, 1, 64);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "waits");
}

/* Gives all buffers of the queue that the device has used; returns their number. */
static unsigned recycle(KitSerial *s, KitQueue *q, uint64_t *ret_bytes)
{
    uint32_t head, len;
    unsigned n = 0;

    while (kit_queue_take(q, &head, &len)) {
        const uint8_t *bytes = kit_ram(s->kit, q->desc[head].addr, MAX(len, 1));

        for (uint32_t i = 0; i < len; i++)
            g_assert_cmpuint(bytes[i], ==, (uint8_t)(*ret_bytes + i));
        *ret_bytes += len;
        kit_queue_offer(q, head);
        n++;
    }
    return n;
}

#define RACE_BYTES (256 * KIB)

typedef struct Peer {
    int fd;
    uint64_t sent;
    uint64_t received;
} Peer;

/* The host: echoes nothing, but sends a count and checks the one that it gets. */
static void *run_peer(void *opaque)
{
    Peer *peer = opaque;
    uint8_t out[3000], in[5000];

    while (peer->received < RACE_BYTES || peer->sent < RACE_BYTES) {
        ssize_t n = recv(peer->fd, in, sizeof(in), 0);

        for (ssize_t i = 0; i < n; i++)
            g_assert_cmpuint(in[i], ==, (uint8_t)(peer->received + i));
        peer->received += MAX(n, 0);
        for (size_t i = 0; i < sizeof(out); i++)
            out[i] = peer->sent + i;
        if (peer->sent < RACE_BYTES) {
            n = send(peer->fd, out, MIN(sizeof(out), RACE_BYTES - peer->sent), 0);
            peer->sent += MAX(n, 0);
        }
        if (n < 0)
            g_usleep(50);
    }
    return NULL;
}

static void fill_output(KitSerial *s, KitQueue *q, uint64_t *sent)
{
    uint32_t head, len;

    while (kit_queue_take(q, &head, &len))
        continue;
    while (*sent < RACE_BYTES &&
           (uint16_t)(q->next_avail - q->next_used) < KIT_SERIAL_BUFFERS) {
        unsigned n = q->next_avail % KIT_SERIAL_BUFFERS;
        uint64_t gpa = KIT_VIRTIO_DATA + 0x100000 + n * KIT_SERIAL_BUFFER_SIZE;
        uint8_t *bytes = kit_ram(s->kit, gpa, KIT_SERIAL_BUFFER_SIZE);

        for (unsigned i = 0; i < KIT_SERIAL_BUFFER_SIZE; i++)
            bytes[i] = *sent + i;
        kit_queue_desc(q, n, gpa, KIT_SERIAL_BUFFER_SIZE, 0, 0);
        kit_queue_offer(q, n);
        *sent += KIT_SERIAL_BUFFER_SIZE;
    }
    kit_write(s->kit, s->v->notify + q->index * s->v->notify_multiplier, 2, q->index);
}

/*
 * Queues on their own thread, main and vCPU on this one, the host on a third: bytes both
 * ways, none lost, while the machine is paused and other ports come and go.
 */
static void test_threads(void)
{
    g_autoptr(KitBoard) kit = kit_board_new_threaded();
    Peer peer = { .fd = kit_add_chardev(kit, "c") };
    g_autoptr(KitSerial) s = NULL;
    struct virtio_console_control open = { 1, VIRTIO_CONSOLE_PORT_OPEN, 1 };
    uint64_t sent = 0, received = 0;
    Device *dev, *hot = NULL;
    GThread *thread;

    dev = kit_add(kit, "{'driver': 'virtio-serial-pci'}");
    kit_add(kit, "{'driver': 'virtserialport', 'chardev': 'c'}");
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_serial_start(s);
    memcpy(kit_ram(kit, KIT_VIRTIO_DATA, sizeof(open)), &open, sizeof(open));
    kit_queue_desc(&s->control_out, 0, KIT_VIRTIO_DATA, sizeof(open), 0, 0);
    kit_queue_offer(&s->control_out, 0);
    kit_queue_kick(&s->control_out);
    for (unsigned i = 0; i < KIT_SERIAL_BUFFERS; i++) {
        kit_queue_desc(&s->in[1], i, KIT_VIRTIO_DATA + 0x80000 + i * 0x1000, 700,
                       VRING_DESC_F_WRITE, 0);
        kit_queue_offer(&s->in[1], i);
    }
    thread = g_thread_new("peer", run_peer, &peer);
    for (unsigned round = 0;
         received < RACE_BYTES || sent < RACE_BYTES ||
         s->out[1].next_used != s->out[1].next_avail; round++) {
        if (recycle(s, &s->in[1], &received) > 0)
            kit_queue_kick(&s->in[1]);
        fill_output(s, &s->out[1], &sent);
        loop_turn(kit->loop, false);
        if (round % 16 == 5) {
            device_tree_pause(&kit->tree);
            device_tree_resume(&kit->tree);
        }
        if (round % 16 == 9 && hot)
            device_remove(g_steal_pointer(&hot));
        else if (round % 16 == 9)
            hot = kit_add(kit, "{'driver': 'virtserialport'}");
        qsbr_quiescent();
    }

    /* The last of it may still be in the chardev. */
    while (char_pending(char_find(kit->chars, "c")) > 0)
        loop_turn(kit->loop, false);
    g_thread_join(thread);
    g_assert_cmpuint(peer.received, ==, RACE_BYTES);
    g_assert_cmpuint(received, ==, RACE_BYTES);
    close(peer.fd);
}

static void add(const char *path, void (*fn)(Fixture *f, gconstpointer unused))
{
    g_test_add(path, Fixture, NULL, set_up, fn, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add("/virtio-serial-port/both-ways", test_both_ways);
    add("/virtio-serial-port/buffers", test_input_fills_buffers_of_any_size);
    add("/virtio-serial-port/chains", test_chain_of_buffers_is_one_text);
    add("/virtio-serial-port/direction", test_buffers_of_the_wrong_direction);
    add("/virtio-serial-port/slow-guest", test_writer_waits_for_a_guest_without_buffers);
    add("/virtio-serial-port/closed", test_input_waits_for_the_port_to_be_open);
    add("/virtio-serial-port/closed-again",
        test_input_waits_while_the_port_is_closed_again);
    add("/virtio-serial-port/slow-host",
        test_channel_waits_for_a_host_that_does_not_read);
    add("/virtio-serial-port/slow-host-console",
        test_console_drops_what_the_host_does_not_read);
    add("/virtio-serial-port/no-client", test_output_without_a_client_is_dropped);
    add("/virtio-serial-port/far-end-changes", test_far_end_changes_under_the_guest);
    g_test_add_func("/virtio-serial-port/no-chardev",
                    test_port_without_chardev_takes_everything);
    add("/virtio-serial-port/end", test_end_is_told_after_the_last_byte);
    add("/virtio-serial-port/left", test_nobody_gets_what_a_gone_client_left);
    g_test_add_func("/virtio-serial-port/next-client",
                    test_next_client_comes_after_the_end_of_the_last);
    g_test_add_func("/virtio-serial-port/deaf-guest",
                    test_guest_that_never_reads_keeps_no_client_out);
    add("/virtio-serial-port/reset", test_reset_with_data_in_flight);
    add("/virtio-serial-port/pause", test_pause_with_data_in_flight);
    add("/virtio-serial-port/unplug", test_unplug_with_data_in_flight);
    g_test_add_func("/virtio-serial-port/flr", test_function_level_reset);
    add("/virtio-serial-port/one-port", test_driver_of_one_port);
    add("/virtio-serial-port/state", test_state_moves_with_data_in_flight);
    add("/virtio-serial-port/state-client", test_state_without_its_client);
    add("/virtio-serial-port/state-hostile", test_hostile_state);
    g_test_add_func("/virtio-serial-port/threads", test_threads);
    return g_test_run();
}
