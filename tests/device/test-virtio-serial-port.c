/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of virtio-serial's ports: both ways, with either side that does not read.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/virtio.h"

#include "char-bench.h"
#include "kit-ports.h"

#define INPUT_SIZE (32 * 1024u)         /* what a port takes for a guest that is slow */

static void test_both_ways(KitPorts *f, gconstpointer unused)
{
    static const char *const words[] = { "console", "channel", "other" };
    const int fds[] = { f->console, f->channel, f->other };

    for (unsigned nr = 0; nr < 3; nr++) {
        kit_serial_give(f->s, nr, 2, 64);
        kit_ports_send(fds[nr], words[nr]);
        g_assert_cmpstr(kit_serial_read(f->s, nr), ==, words[nr]);
        kit_serial_write(f->s, nr, words[nr], strlen(words[nr]));
        g_assert_cmpuint(kit_serial_written(f->s, nr), ==, 1);
        kit_ports_assert_received(fds[nr], words[nr]);
    }
}

static void test_input_fills_buffers_of_any_size(KitPorts *f, gconstpointer unused)
{
    kit_ports_send(f->channel, "abcdefghij");
    kit_run_both(f->kit);

    kit_serial_give(f->s, 1, 1, 1);
    kit_serial_give(f->s, 1, 2, 3);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "abcdefg");
    kit_serial_give(f->s, 1, 1, 100);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "hij");
}

static void test_chain_of_buffers_is_one_text(KitPorts *f, gconstpointer unused)
{
    KitQueue *in = &f->s->in[1], *out = &f->s->out[1];
    uint32_t head, len;

    memcpy(kit_ram(f->kit, KIT_VIRTIO_DATA, 6), "abcdef", 6);
    for (unsigned i = 0; i < 6; i++)
        kit_queue_desc(out, i, KIT_VIRTIO_DATA + i, 1, i < 5 ? VRING_DESC_F_NEXT : 0,
                       i + 1);
    kit_queue_offer(out, 0);
    kit_queue_kick(out);
    kit_ports_assert_received(f->channel, "abcdef");

    for (unsigned i = 0; i < 6; i++)
        kit_queue_desc(in, i, KIT_VIRTIO_DATA + 16 + 2 * i, 1,
                       VRING_DESC_F_WRITE | (i < 5 ? VRING_DESC_F_NEXT : 0), i + 1);
    kit_queue_offer(in, 0);
    kit_ports_send(f->channel, "uvwxyz12");
    kit_run_both(f->kit);
    g_assert_true(kit_queue_take(in, &head, &len));
    g_assert_cmpuint(len, ==, 6);
    for (unsigned i = 0; i < 6; i++)
        g_assert_cmpint(*(char *)kit_ram(f->kit, KIT_VIRTIO_DATA + 16 + 2 * i, 1), ==,
                        "uvwxyz"[i]);
}

/* Linux's driver splices a pipe of 1 MiB into a queue of 128 entries. */
static void test_indirect_table_longer_than_the_ring(KitPorts *f, gconstpointer unused)
{
    const unsigned n = 1024;
    struct vring_desc *table = kit_ram(f->kit, 0x700000, n * sizeof(*table));
    g_autoptr(GString) got = g_string_new(NULL);
    KitQueue *out = &f->s->out[1];

    for (unsigned i = 0; i < n; i++)
        table[i] = (struct vring_desc) {
            .addr = KIT_VIRTIO_DATA + i, .len = 1,
            .flags = i + 1 < n ? VRING_DESC_F_NEXT : 0, .next = i + 1,
        };
    memset(kit_ram(f->kit, KIT_VIRTIO_DATA, n), 'x', n);
    kit_queue_desc(out, 0, 0x700000, n * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
    kit_queue_offer(out, 0);
    kit_queue_kick(out);
    kit_run_both(f->kit);

    for (int i = 0; i < 20; i++) {
        g_autofree char *text = kit_ports_receive(f->channel);

        g_string_append(got, text);
        kit_run_both(f->kit);
    }
    g_assert_cmpuint(got->len, ==, n);
    /* One more is too many, also when the table loops. */
    table[n - 1].flags = VRING_DESC_F_NEXT;
    table[n - 1].next = 0;
    kit_queue_offer(out, 0);
    kit_queue_kick(out);
    g_assert_true(kit_virtio_status(f->s->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Input into buffers to read, output from buffers to write: nothing moves. */
static void test_buffers_of_the_wrong_direction(KitPorts *f, gconstpointer unused)
{
    KitQueue *in = &f->s->in[1], *out = &f->s->out[1];
    uint32_t head, len;

    kit_ports_send(f->channel, "text");
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
    kit_ports_assert_received(f->channel, "");
    kit_serial_give(f->s, 1, 1, 8);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "text");
}

static void test_writer_waits_for_a_guest_without_buffers(KitPorts *f,
                                                          gconstpointer unused)
{
    size_t closed, opened;

    kit_serial_open(f->s, 2, false);
    closed = kit_ports_stuff(f, f->other);
    opened = kit_ports_stuff(f, f->channel);

    /* The socket takes as much of both, and the port 32 KiB of what it wants. */
    g_assert_cmpuint(opened, >=, closed + INPUT_SIZE / 2);
    g_assert_cmpuint(opened, <=, closed + 2 * INPUT_SIZE);
    g_assert_cmpuint(opened, <, 1 * MIB);
    /* Ports beside them go on. */
    kit_serial_give(f->s, 0, 1, 64);
    kit_ports_send(f->console, "x");
    g_assert_cmpstr(kit_serial_read(f->s, 0), ==, "x");
}

static void test_input_waits_for_the_port_to_be_open(KitPorts *f, gconstpointer unused)
{
    kit_serial_open(f->s, 1, false);
    kit_serial_give(f->s, 1, 4, 64);
    kit_ports_send(f->channel, "early");
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "");

    kit_serial_open(f->s, 1, true);

    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "early");
}

static void test_input_waits_while_the_port_is_closed_again(KitPorts *f,
                                                            gconstpointer unused)
{
    kit_ports_send(f->channel, "taken");
    kit_run_both(f->kit);
    kit_serial_open(f->s, 1, false);
    kit_serial_give(f->s, 1, 4, 64);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "");

    kit_serial_open(f->s, 1, true);

    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "taken");
}

static void test_channel_waits_for_a_host_that_does_not_read(KitPorts *f,
                                                             gconstpointer unused)
{
    g_autoptr(GString) got = g_string_new(NULL);
    unsigned letter = 0, sent = kit_ports_flood(f, 1, &letter);

    g_assert_cmpuint(sent, >, KIT_SERIAL_BUFFERS);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, 0);
    /* Its queue waits, others go on. */
    kit_serial_write(f->s, 2, "other", 5);
    kit_ports_assert_received(f->other, "other");
    kit_serial_give(f->s, 1, 1, 64);
    kit_ports_send(f->channel, "input");
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "input");

    for (int i = 0; i < 100; i++) {
        g_autofree char *text = kit_ports_receive(f->channel);

        g_string_append(got, text);
        kit_run_both(f->kit);
    }

    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, KIT_SERIAL_BUFFERS);
    kit_ports_assert_letters(got->str, sent);
}

static void test_console_drops_what_the_host_does_not_read(KitPorts *f,
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

    text = kit_ports_receive(f->console);
    g_assert_cmpuint(strlen(text), >, 0);
    g_assert_cmpuint(strlen(text), <, 500 * KIT_SERIAL_BUFFER_SIZE);
}

static void test_output_without_a_client_is_dropped(KitPorts *f, gconstpointer unused)
{
    unsigned letter = 0, sent = kit_ports_flood(f, 1, &letter);

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
static void test_far_end_changes_under_the_guest(KitPorts *f, gconstpointer unused)
{
    unsigned letter = 0;
    int console = kit_change_chardev(f->kit, "k"), channel;

    kit_serial_write(f->s, 0, "new", 3);
    kit_ports_assert_received(console, "new");
    kit_write(f->kit, f->s->v->config + 8, 1, 'e');
    kit_ports_assert_received(console, "e");
    kit_ports_assert_received(f->console, "");

    kit_ports_flood(f, 1, &letter);
    channel = kit_change_chardev(f->kit, "c");
    kit_run_both(f->kit);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, KIT_SERIAL_BUFFERS);
    g_free(kit_ports_receive(channel));
    kit_serial_give(f->s, 1, 1, 64);
    kit_ports_send(channel, "typed");
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "typed");
    kit_serial_write(f->s, 1, "said", 4);
    kit_ports_assert_received(channel, "said");
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
static void test_end_is_told_after_the_last_byte(KitPorts *f, gconstpointer unused)
{
    g_autoptr(GString) got = g_string_new(NULL);
    size_t sent = kit_ports_stuff(f, f->channel);

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

static void test_nobody_gets_what_a_gone_client_left(KitPorts *f, gconstpointer unused)
{
    kit_ports_send(f->channel, "left");
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
    kit_ports_send(fd, "first");
    close(fd);
    fd = char_bench_connect(path);
    kit_ports_send(fd, "second");
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
        kit_ports_send(fd, "nobody listens");
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

static void add(const char *path, void (*fn)(KitPorts *f, gconstpointer unused))
{
    g_test_add(path, KitPorts, NULL, kit_ports_set_up, fn, kit_ports_tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add("/virtio-serial-port/both-ways", test_both_ways);
    add("/virtio-serial-port/buffers", test_input_fills_buffers_of_any_size);
    add("/virtio-serial-port/chains", test_chain_of_buffers_is_one_text);
    add("/virtio-serial-port/indirect", test_indirect_table_longer_than_the_ring);
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
    return g_test_run();
}
