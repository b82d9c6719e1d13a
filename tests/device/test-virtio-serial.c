/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-serial: its ports, the control queues, drivers that say what they may not. */
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/virtio.h"
#include "berth/vm-fake.h"

#include "char-bench.h"
#include "kit-serial.h"

#define SERIAL "{'driver': 'virtio-serial-pci', 'id': 'vs'}"
#define CHANNEL                                                                          \
    "{'driver': 'virtserialport', 'id': 'ch', 'chardev': 'c', 'name': 'org.x'}"
#define CONSOLE "{'driver': 'virtconsole', 'id': 'con', 'chardev': 'k'}"

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitSerial *s;
    int channel;                /* sockets of the host */
    int console;
} Fixture;

/* A channel (port 1) and a console (port 0), running. */
static void set_up(Fixture *f, gconstpointer unused)
{
    f->kit = kit_board_new();
    f->channel = kit_add_chardev(f->kit, "c");
    f->console = kit_add_chardev(f->kit, "k");
    f->dev = kit_add(f->kit, SERIAL);
    kit_add(f->kit, CHANNEL);
    kit_add(f->kit, CONSOLE);
    kit_start(f->kit);
    f->s = kit_serial_new(f->kit, f->dev);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    kit_serial_free(f->s);
    kit_board_free(f->kit);
    close(f->channel);
    close(f->console);
}

static void assert_alive(Fixture *f)
{
    g_assert_false(kit_virtio_status(f->s->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_function_is_what_drivers_look_for(Fixture *f, gconstpointer unused)
{
    KitPci *pci = &f->s->v->pci;
    uint64_t config = f->s->v->config;

    g_assert_cmphex(kit_pci_read(pci, PCI_DEVICE_ID, 2), ==, 0x1043);
    g_assert_cmphex(kit_pci_read(pci, PCI_CLASS_REVISION, 4) >> 8, ==, 0x078000);
    g_assert_cmpuint(kit_virtio_get(f->s->v, VIRTIO_PCI_COMMON_NUMQ, 2), ==, 64);
    g_assert_cmpuint(kit_read(f->kit, config, 4), ==, 0);
    g_assert_cmpuint(kit_read(f->kit, config + 4, 4), ==, 31);
    g_assert_cmphex(kit_read(f->kit, config + 12, 4), ==, UINT32_MAX);
    /* One vector for the configuration, one for all queues. */
    g_assert_cmpuint(kit_pci_read(pci, kit_pci_find_cap(pci, PCI_CAP_ID_MSIX, 0) + 2, 2) &
                     PCI_MSIX_FLAGS_QSIZE, ==, 1);
}

static void test_only_queues_of_ports_cost_anything(Fixture *f, gconstpointer unused)
{
    unsigned before = vm_fake_doorbell_count(f->kit->vm);

    kit_serial_start(f->s);

    /* The driver has set up 18 queues; two ports and the control have 6. */
    g_assert_cmpuint(vm_fake_doorbell_count(f->kit->vm) - before, ==, 6);
}

static void test_most_ports_work(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    int fd = kit_add_chardev(kit, "c");
    g_autoptr(KitSerial) s = NULL;
    KitQueue in;
    uint32_t head, len;
    Device *dev;

    dev = kit_add(kit, "{'driver': 'virtio-serial-pci', 'max_ports': 511}");
    kit_add(kit, "{'driver': 'virtserialport', 'chardev': 'c', 'nr': 510}");
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_virtio_negotiate(s->v, UINT64_MAX);
    kit_virtio_setup_queue(s->v, 16);
    kit_queue_setup(&s->control_out, s->v, 3, 16);
    kit_queue_setup(&in, s->v, 1022, 16);
    kit_virtio_set_status(s->v, 15);
    kit_serial_say(s, 510, VIRTIO_CONSOLE_PORT_OPEN, 1);
    kit_queue_desc(&in, 0, KIT_VIRTIO_DATA, 16, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(&in, 0);

    g_assert_cmpint(send(fd, "hello", 5, 0), ==, 5);
    kit_run_both(kit);

    g_assert_true(kit_queue_take(&in, &head, &len));
    g_assert_cmpmem(kit_ram(kit, KIT_VIRTIO_DATA, len), len, "hello", 5);
    close(fd);
}

static void test_wrong_ports_are_refused(void)
{
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        { "{'driver': 'virtserialport', 'nr': 3}", "'nr': port 3 is 'p3' already" },
        { "{'driver': 'virtconsole', 'nr': 3}", "'nr': port 3 is 'p3' already" },
        { "{'driver': 'virtserialport', 'nr': 4}", "'nr': 'vs' has ports 0 to 3" },
        { "{'driver': 'virtserialport', 'nr': 0}", "port 0 is for a virtconsole only" },
        { "{'driver': 'virtserialport', 'name': 'foo'}", "'vs' has a port 'foo'" },
        { "{'driver': 'virtserialport'}", "'vs' has no free port (max_ports is 4)" },
        { "{'driver': 'virtconsole', 'chardev': 'no'}", "'no' not found" },
        { "{'driver': 'virtconsole', 'chardev': 'c'}", "'c' is in use" },
        { "{'driver': 'virtconsole', 'bus': 'no.0'}", "'bus': bus 'no.0' not found" },
        { "{'driver': 'virtconsole', 'bus': 'pcie.0'}", "needs virtio-serial-bus" },
        { "{'driver': 'virtconsole', 'addr': 1}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'bus': 'vs.0'}", "'bus': 'vs.0' is of kind" },
        { "{'driver': 'virtio-serial-pci', 'max_ports': 0}", "'max_ports'" },
        { "{'driver': 'virtio-serial-pci', 'max_ports': 512}", "'max_ports'" },
        { "{'driver': 'virtio-serial-pci', 'vectors': 2049}", "'vectors'" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();
    int fd = kit_add_chardev(kit, "c");

    kit_assert_refused(kit, "{'driver': 'virtserialport'}",
                       "the machine has no virtio-serial-bus bus");
    kit_add(kit, "{'driver': 'virtio-serial-pci', 'id': 'vs', 'max_ports': 4}");
    kit_add(kit, "{'driver': 'virtserialport', 'id': 'p3', 'nr': 3, 'chardev': 'c'}");
    kit_add(kit, "{'driver': 'virtserialport', 'id': 'p1', 'name': 'foo'}");
    kit_add(kit, "{'driver': 'virtserialport', 'id': 'p2', 'bus': 'vs.0'}");

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_assert_refused(kit, cases[i].json, cases[i].words);

    close(fd);
}

static uint32_t nr_of(Device *dev)
{
    return dev->args->u.virtserialport.nr;
}

static void test_numbers_and_buses_are_chosen(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *first, *second;

    kit_add(kit, "{'driver': 'virtio-serial-pci'}");
    kit_add(kit, "{'driver': 'virtio-serial-pci', 'id': 'two'}");
    first = kit_add(kit, "{'driver': 'virtserialport'}");
    second = kit_add(kit, "{'driver': 'virtserialport', 'nr': 4294967295}");

    g_assert_cmpstr(first->bus->name, ==, "virtio-serial-bus.0");
    g_assert_cmpuint(nr_of(first), ==, 1);
    g_assert_cmpuint(nr_of(second), ==, 2);
    g_assert_cmpuint(nr_of(kit_add(kit, "{'driver': 'virtconsole'}")), ==, 0);
    g_assert_cmpuint(nr_of(kit_add(kit, "{'driver': 'virtconsole'}")), ==, 3);
    device_remove(first);
    second = kit_add(kit, "{'driver': 'virtserialport'}");
    g_assert_cmpuint(nr_of(second), ==, 1);
    g_assert_cmpuint(nr_of(kit_add(kit, "{'driver': 'virtserialport', "
                                   "'bus': 'two.0'}")), ==, 1);
}

static void test_driver_is_told_of_ports(Fixture *f, gconstpointer unused)
{
    kit_serial_start(f->s);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "");

    kit_serial_say(f->s, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "0 add, 1 add");
    kit_serial_say(f->s, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "1 name org.x, 1 open");
    kit_serial_say(f->s, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "0 console, 0 open");
    assert_alive(f);
}

static void test_clients_are_told_what_the_guest_opens(Fixture *f, gconstpointer unused)
{
    g_autoptr(ChardevInfoList) before = NULL, after = NULL;

    kit_serial_start_ports(f->s);
    before = char_set_query(f->kit->chars);
    g_assert_false(before->items[0]->frontend_open);
    g_assert_true(before->items[1]->frontend_open);

    kit_serial_open(f->s, 1, true);
    kit_serial_open(f->s, 1, true);
    kit_serial_open(f->s, 0, true);

    after = char_set_query(f->kit->chars);
    g_assert_true(after->items[0]->frontend_open);
    kit_serial_open(f->s, 1, false);
    g_assert_cmpstr(f->kit->port_changes->str, ==, "ch+ con+ ch-");
}

/* Two messages in one turn: a client must learn that the old agent has gone. */
static void test_short_close_is_told(Fixture *f, gconstpointer unused)
{
    struct virtio_console_control messages[] = {
        { 1, VIRTIO_CONSOLE_PORT_OPEN, 0 }, { 1, VIRTIO_CONSOLE_PORT_OPEN, 1 },
    };
    KitQueue *q = &f->s->control_out;

    kit_serial_start_ports(f->s);
    kit_serial_open(f->s, 1, true);
    memcpy(kit_ram(f->kit, KIT_VIRTIO_DATA, sizeof(messages)), messages,
           sizeof(messages));
    for (unsigned i = 0; i < 2; i++) {
        kit_queue_desc(q, 14 + i, KIT_VIRTIO_DATA + i * sizeof(messages[0]),
                       sizeof(messages[0]), 0, 0);
        kit_queue_offer(q, 14 + i);
    }
    kit_queue_kick(q);
    kit_run_both(f->kit);

    g_assert_cmpstr(f->kit->port_changes->str, ==, "ch+ ch- ch+");
}

static void test_reset_closes_ports(Fixture *f, gconstpointer unused)
{
    kit_serial_start_ports(f->s);
    kit_serial_open(f->s, 1, true);

    kit_virtio_set_status(f->s->v, 0);
    kit_run_both(f->kit);

    g_assert_cmpstr(f->kit->port_changes->str, ==, "ch+ ch-");
    test_driver_is_told_of_ports(f, NULL);
}

static void test_clients_come_and_go(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree char *folder = g_dir_make_tmp("berth-serial-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "socket", NULL);
    g_autofree char *text = g_strdup_printf("socket,server=on,wait=off,path=%s", path);
    g_autoptr(KitSerial) s = NULL;
    Device *dev;
    int fd;

    g_assert_nonnull(char_bench_add_to(kit->chars, "c", text, NULL));
    dev = kit_add(kit, SERIAL);
    kit_add(kit, CHANNEL);
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_serial_start_ports(s);

    fd = char_bench_connect(path);
    g_assert_cmpstr(kit_serial_told(s), ==, "1 open");
    close(fd);
    g_assert_cmpstr(kit_serial_told(s), ==, "1 close");
    close(char_bench_connect(path));
    fd = char_bench_connect(path);
    g_assert_cmpstr(kit_serial_told(s), ==, "1 open, 1 close, 1 open");
    /* Without a control buffer the last state is kept, and that there was an end. */
    kit_serial_use_up_control(s, 1);
    close(fd);
    kit_run_both(kit);
    for (int i = 0; i < 40; i++) {
        close(char_bench_connect(path));
        kit_run_both(kit);
    }
    fd = char_bench_connect(path);
    kit_run_both(kit);
    g_assert_cmpstr(kit_serial_told(s), ==, "");
    kit_serial_give_control(s);
    g_assert_cmpstr(kit_serial_told(s), ==, "1 close, 1 open");

    close(fd);
    unlink(path);
    rmdir(folder);
}

static void test_ports_are_hot_plugged(Fixture *f, gconstpointer unused)
{
    int fd = kit_add_chardev(f->kit, "h");
    Device *dev;
    char data[16];

    kit_serial_start_ports(f->s);

    dev = kit_add(f->kit, "{'driver': 'virtserialport', 'id': 'hot', 'chardev': 'h', "
                  "'nr': 5}");

    g_assert_cmpstr(kit_serial_told(f->s), ==, "5 add");
    kit_serial_say(f->s, 5, VIRTIO_CONSOLE_PORT_READY, 1);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "5 open");
    kit_serial_open(f->s, 5, true);
    kit_serial_write(f->s, 5, "hello", 5);
    g_assert_cmpint(recv(fd, data, sizeof(data), 0), ==, 5);
    device_remove(dev);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "5 remove");
    g_assert_true(char_remove(f->kit->chars, "h", NULL));
    /* A driver may wait for what it sent until it knows. */
    g_assert_cmpuint(kit_serial_written(f->s, 5), ==, 1);
    kit_serial_write(f->s, 5, "late", 4);
    g_assert_cmpuint(kit_serial_written(f->s, 5), ==, 1);
    assert_alive(f);
    close(fd);
}

static void test_place_is_taken_again_before_the_driver_knows(Fixture *f,
                                                              gconstpointer unused)
{
    const char *json = "{'driver': 'virtserialport', 'id': 'hot', 'nr': 2}";

    kit_serial_start_ports(f->s);
    device_remove(kit_add(f->kit, json));
    g_assert_cmpstr(kit_serial_told(f->s), ==, "2 add, 2 remove");
    kit_serial_use_up_control(f->s, 1);
    /* What a driver never heard of needs no end. */
    device_remove(kit_add(f->kit, json));
    device_remove(kit_add(f->kit, json));
    kit_serial_give_control(f->s);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "");
    kit_add(f->kit, json);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "2 add");
    kit_serial_use_up_control(f->s, 1);
    device_remove(device_find(&f->kit->tree, "hot"));
    kit_add(f->kit, json);
    kit_serial_give_control(f->s);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "2 remove, 2 add");
}

static void test_port_of_a_paused_machine(Fixture *f, gconstpointer unused)
{
    kit_serial_start_ports(f->s);
    device_tree_pause(&f->kit->tree);
    kit_add(f->kit, "{'driver': 'virtserialport', 'id': 'hot', 'nr': 5}");
    g_assert_cmpstr(kit_serial_told(f->s), ==, "");

    device_tree_resume(&f->kit->tree);

    g_assert_cmpstr(kit_serial_told(f->s), ==, "5 add");
    device_tree_pause(&f->kit->tree);
    device_remove(device_find(&f->kit->tree, "hot"));
    device_tree_resume(&f->kit->tree);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "5 remove");
}

static void test_device_leaves_with_its_ports(Fixture *f, gconstpointer unused)
{
    kit_serial_start_ports(f->s);
    kit_serial_open(f->s, 1, true);
    g_assert_cmpint(send(f->channel, "hello", 5, 0), ==, 5);
    kit_run_both(f->kit);

    device_remove(f->dev);

    g_assert_null(device_find(&f->kit->tree, "ch"));
    g_assert_null(device_tree_find_bus(&f->kit->tree, "vs.0"));
    g_assert_true(char_remove(f->kit->chars, "c", NULL));
    kit_run_both(f->kit);
}

static void test_wrong_messages_are_ignored(Fixture *f, gconstpointer unused)
{
    static const struct virtio_console_control wrong[] = {
        { 2, VIRTIO_CONSOLE_PORT_READY, 1 }, { 31, VIRTIO_CONSOLE_PORT_OPEN, 1 },
        { UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1 }, { 1, 8, 1 }, { 1, UINT16_MAX, 1 },
        { 1, VIRTIO_CONSOLE_PORT_ADD, 1 }, { 1, VIRTIO_CONSOLE_PORT_REMOVE, 1 },
        { 1, VIRTIO_CONSOLE_CONSOLE_PORT, 1 }, { 1, VIRTIO_CONSOLE_RESIZE, 1 },
        { 1, VIRTIO_CONSOLE_PORT_NAME, 1 }, { 1, VIRTIO_CONSOLE_PORT_READY, 0 },
        { 0, VIRTIO_CONSOLE_DEVICE_READY, 0 },
    };
    uint8_t long_message[KIT_SERIAL_BUFFER_SIZE] = {
        1, 0, 0, 0, VIRTIO_CONSOLE_PORT_OPEN, 0, 1, 0, 'x',
    };

    kit_serial_start_ports(f->s);
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        kit_serial_say(f->s, wrong[i].id, wrong[i].event, wrong[i].value);
    for (uint32_t size = 1; size < sizeof(wrong[0]); size++)
        kit_serial_say_bytes(f->s, long_message, size);
    g_assert_cmpstr(kit_serial_told(f->s), ==, "");
    g_assert_cmpstr(f->kit->port_changes->str, ==, "");

    kit_serial_say_bytes(f->s, long_message, sizeof(long_message));

    g_assert_cmpstr(f->kit->port_changes->str, ==, "ch+");
    assert_alive(f);
}

static void test_message_in_pieces_is_understood(Fixture *f, gconstpointer unused)
{
    struct virtio_console_control message = { 1, VIRTIO_CONSOLE_PORT_OPEN, 1 };
    KitQueue *q = &f->s->control_out;

    kit_serial_start_ports(f->s);
    memcpy(kit_ram(f->kit, KIT_VIRTIO_DATA, 8), &message, sizeof(message));
    for (unsigned i = 0; i < 8; i++)
        kit_queue_desc(q, 8 + i, KIT_VIRTIO_DATA + i, 1, i < 7 ? VRING_DESC_F_NEXT : 0,
                       9 + i);
    kit_queue_offer(q, 8);
    kit_queue_kick(q);
    kit_run_both(f->kit);

    g_assert_cmpstr(f->kit->port_changes->str, ==, "ch+");
}

static void test_control_buffers_that_do_not_fit(Fixture *f, gconstpointer unused)
{
    KitQueue *q = &f->s->control_in;
    uint32_t head, len;

    kit_serial_start(f->s);
    kit_serial_use_up_control(f->s, 1);
    kit_serial_say(f->s, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    /* One to read only, one of 7 bytes, and then one that fits. */
    kit_queue_desc(q, 0, KIT_VIRTIO_DATA, 8, 0, 0);
    kit_queue_desc(q, 1, KIT_VIRTIO_DATA, 7, VRING_DESC_F_WRITE, 0);
    kit_queue_desc(q, 2, KIT_VIRTIO_DATA, 8, VRING_DESC_F_WRITE, 0);
    for (unsigned i = 0; i < 3; i++)
        kit_queue_offer(q, i);
    kit_queue_kick(q);

    for (uint32_t i = 0; i < 3; i++) {
        g_assert_true(kit_queue_take(q, &head, &len));
        g_assert_cmpuint(head, ==, i);
        g_assert_cmpuint(len, ==, i == 2 ? 8 : 0);
    }
    assert_alive(f);
}

/* The name is cut where the driver's buffer ends. */
static void test_name_is_cut(Fixture *f, gconstpointer unused)
{
    KitQueue *q = &f->s->control_in;
    uint32_t head, len;

    kit_serial_start_ports(f->s);
    kit_serial_use_up_control(f->s, 1);
    kit_queue_desc(q, 0, KIT_VIRTIO_DATA, 10, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, 0);

    kit_serial_say(f->s, 1, VIRTIO_CONSOLE_PORT_READY, 1);

    g_assert_true(kit_queue_take(q, &head, &len));
    g_assert_cmpuint(len, ==, 10);
    g_assert_cmpmem(kit_ram(f->kit, KIT_VIRTIO_DATA + 8, 2), 2, "or", 2);
}

static void test_flood_of_messages_is_bounded(Fixture *f, gconstpointer unused)
{
    kit_serial_start_ports(f->s);
    kit_serial_use_up_control(f->s, 1);

    for (int i = 0; i < 5000; i++) {
        kit_serial_say(f->s, i % 3, i % 10, i % 2);
        kit_serial_say(f->s, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        kit_serial_say(f->s, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    }
    kit_serial_give_control(f->s);

    g_assert_cmpstr(kit_serial_told(f->s), ==,
                    "0 add, 0 console, 0 open, 1 add, 1 name org.x, 1 open");
    assert_alive(f);
}

static void test_emergency_write_needs_no_driver(Fixture *f, gconstpointer unused)
{
    uint64_t emerg_wr = f->s->v->config + 8;
    char data[16];

    kit_write(f->kit, emerg_wr, 4, 'p');
    kit_write(f->kit, emerg_wr, 1, 'a');
    kit_write(f->kit, emerg_wr, 2, 'n' | 'x' << 8);
    kit_write(f->kit, emerg_wr - 4, 8, (uint64_t)'i' << 32);
    /* Not the register's first byte. */
    kit_write(f->kit, emerg_wr + 1, 1, 'z');
    kit_write(f->kit, emerg_wr - 4, 4, 'z');
    kit_write(f->kit, emerg_wr + 4, 4, 'z');
    kit_write(f->kit, emerg_wr + 0xff0, 4, 'z');

    g_assert_cmpint(recv(f->console, data, sizeof(data), 0), ==, 4);
    g_assert_cmpmem(data, 4, "pani", 4);
    device_remove(device_find(&f->kit->tree, "con"));
    kit_write(f->kit, emerg_wr, 4, 'z');
    g_assert_cmpint(recv(f->console, data, sizeof(data), 0), ==, -1);
}

static void test_emergency_write_can_be_off(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    int fd = kit_add_chardev(kit, "k");
    g_autoptr(KitSerial) s = NULL;
    Device *dev;
    char data[16];

    dev = kit_add(kit, "{'driver': 'virtio-serial-pci', 'emergency-write': false}");
    kit_add(kit, CONSOLE);
    kit_start(kit);
    s = kit_serial_new(kit, dev);
    kit_virtio_negotiate(s->v, UINT64_MAX);

    kit_write(kit, s->v->config + 8, 4, 'z');

    g_assert_false(s->v->features >> VIRTIO_CONSOLE_F_EMERG_WRITE & 1);
    g_assert_cmpint(recv(fd, data, sizeof(data), 0), ==, -1);
    close(fd);
}

static void add(const char *path, void (*fn)(Fixture *f, gconstpointer unused))
{
    g_test_add(path, Fixture, NULL, set_up, fn, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add("/virtio-serial/function", test_function_is_what_drivers_look_for);
    add("/virtio-serial/idle-ports", test_only_queues_of_ports_cost_anything);
    g_test_add_func("/virtio-serial/most-ports", test_most_ports_work);
    g_test_add_func("/virtio-serial/refused", test_wrong_ports_are_refused);
    g_test_add_func("/virtio-serial/chosen", test_numbers_and_buses_are_chosen);
    add("/virtio-serial/ports", test_driver_is_told_of_ports);
    add("/virtio-serial/guest-open", test_clients_are_told_what_the_guest_opens);
    add("/virtio-serial/short-close", test_short_close_is_told);
    add("/virtio-serial/reset", test_reset_closes_ports);
    g_test_add_func("/virtio-serial/clients", test_clients_come_and_go);
    add("/virtio-serial/hot-plug", test_ports_are_hot_plugged);
    add("/virtio-serial/hot-plug-again",
        test_place_is_taken_again_before_the_driver_knows);
    add("/virtio-serial/hot-plug-paused", test_port_of_a_paused_machine);
    add("/virtio-serial/unplug", test_device_leaves_with_its_ports);
    add("/virtio-serial/wrong-messages", test_wrong_messages_are_ignored);
    add("/virtio-serial/pieces", test_message_in_pieces_is_understood);
    add("/virtio-serial/control-buffers", test_control_buffers_that_do_not_fit);
    add("/virtio-serial/name-cut", test_name_is_cut);
    add("/virtio-serial/flood", test_flood_of_messages_is_bounded);
    add("/virtio-serial/emergency-write", test_emergency_write_needs_no_driver);
    g_test_add_func("/virtio-serial/no-emergency-write", test_emergency_write_can_be_off);
    return g_test_run();
}
