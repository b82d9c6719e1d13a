/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports of virtio-serial over reset, pause, unplug, save and load with data in
 * flight, with drivers that break the rules of rings, and with their threads.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/thread.h"
#include "berth/virtio.h"

#include "kit-ports.h"

static void test_reset_with_data_in_flight(KitPorts *f, gconstpointer unused)
{
    unsigned letter = 0;
    g_autofree char *before = NULL;

    kit_ports_flood(f, 1, &letter);
    kit_ports_send(f->channel, "from the host");
    kit_run_both(f->kit);
    kit_virtio_set_status(f->s->v, 0);
    kit_run_both(f->kit);
    before = kit_ports_receive(f->channel);
    g_assert_cmpuint(strlen(before), >, 0);
    g_free(kit_ports_receive(f->channel));
    kit_run_both(f->kit);
    g_free(kit_ports_receive(f->channel));

    kit_serial_start_ports(f->s);
    kit_serial_open(f->s, 1, true);
    kit_serial_write(f->s, 1, "new", 3);
    kit_ports_assert_received(f->channel, "new");
    /* The client is the same, and so is what it sent. */
    kit_serial_give(f->s, 1, 1, 64);
    g_assert_cmpstr(kit_serial_read(f->s, 1), ==, "from the host");
}

static void test_pause_with_data_in_flight(KitPorts *f, gconstpointer unused)
{
    g_autoptr(GString) got = g_string_new(NULL);
    unsigned letter = 0, sent = kit_ports_flood(f, 1, &letter);

    device_tree_pause(&f->kit->tree);
    kit_serial_give(f->s, 2, 1, 64);
    kit_ports_send(f->other, "paused");
    for (int i = 0; i < 50; i++) {
        g_autofree char *text = kit_ports_receive(f->channel);

        g_string_append(got, text);
        kit_run_both(f->kit);
    }
    g_assert_cmpuint(got->len, <, sent * KIT_SERIAL_BUFFER_SIZE);
    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, 0);
    g_assert_cmpstr(kit_serial_read(f->s, 2), ==, "");

    device_tree_resume(&f->kit->tree);

    for (int i = 0; i < 50; i++) {
        g_autofree char *text = kit_ports_receive(f->channel);

        g_string_append(got, text);
        kit_run_both(f->kit);
    }
    kit_ports_assert_letters(got->str, sent);
    g_assert_cmpstr(kit_serial_read(f->s, 2), ==, "paused");
}

static void test_unplug_with_data_in_flight(KitPorts *f, gconstpointer unused)
{
    unsigned letter = 0;

    kit_ports_flood(f, 1, &letter);
    kit_ports_stuff(f, f->channel);

    device_remove(device_find(&f->kit->tree, "ch"));

    g_assert_cmpuint(kit_serial_written(f->s, 1), ==, KIT_SERIAL_BUFFERS);
    g_assert_true(char_remove(f->kit->chars, "c", NULL));
    kit_run_both(f->kit);
    kit_serial_write(f->s, 2, "other", 5);
    kit_ports_assert_received(f->other, "other");
}

static void test_function_level_reset(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    int fd = kit_add_chardev(kit, "c");
    g_autoptr(KitSerial) s = NULL;
    unsigned letter = 0, cap;
    KitPorts f = { .kit = kit };
    Device *dev;

    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    dev = kit_add(kit, "{'driver': 'virtio-serial-pci', 'bus': 'port'}");
    kit_add(kit, "{'driver': 'virtserialport', 'chardev': 'c', 'id': 'ch'}");
    kit_start(kit);
    f.s = s = kit_serial_new(kit, dev);
    kit_serial_start_ports(s);
    kit_serial_open(s, 1, true);
    kit_ports_flood(&f, 1, &letter);
    cap = kit_pci_find_cap(&s->v->pci, PCI_CAP_ID_EXP, 0);
    g_assert_cmpuint(kit_pci_read(&s->v->pci, cap + PCI_EXP_DEVCAP, 4) &
                     PCI_EXP_DEVCAP_FLR, !=, 0);

    kit_pci_write(&s->v->pci, cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
    kit_run_both(kit);

    g_assert_cmpstr(kit->port_changes->str, ==, "ch+ ch-");
    g_assert_false(virtio_pci_device(dev)->started);
    close(fd);
}

static void test_driver_of_one_port(KitPorts *f, gconstpointer unused)
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
    kit_ports_send(f->console, "in");
    g_assert_cmpstr(kit_serial_read(f->s, 0), ==, "in");
    kit_serial_write(f->s, 0, "out", 3);
    kit_ports_assert_received(f->console, "out");
    kit_virtio_set_status(v, 0);
    kit_run_both(f->kit);
    g_assert_cmpstr(f->kit->port_changes->str, ==, "con-");
}

/* As the machine where @f's state goes: the same devices, a driver set up alike. */
static void make_copy(KitPorts *copy, KitPorts *f)
{
    kit_ports_set_up(copy, NULL);
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

static void test_state_moves_with_data_in_flight(KitPorts *f, gconstpointer unused)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GString) got = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned letter = 0, sent;
    KitPorts copy;

    sent = kit_ports_flood(f, 1, &letter);
    kit_serial_give(f->s, 2, 1, 3);
    kit_ports_send(f->other, "abcdef");
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
        g_autofree char *text = kit_ports_receive(f->channel);

        g_string_append(got, text);
        loop_turn(f->kit->loop, false);
    }
    for (int i = 0; i < 50; i++) {
        g_autofree char *text = kit_ports_receive(copy.channel);

        g_string_append(got, text);
        kit_run_both(copy.kit);
    }
    kit_ports_assert_letters(got->str, sent);
    kit_ports_tear_down(&copy, NULL);
}

/* The host's end is what it is where the state is loaded, not what it was. */
static void test_state_without_its_client(KitPorts *f, gconstpointer unused)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;
    KitPorts copy;

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
    kit_ports_tear_down(&copy, NULL);
}

/* Every byte of the state is overwritten: refused, or a state from which it goes on. */
static void test_hostile_state(KitPorts *f, gconstpointer unused)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0xff };
    g_autoptr(GByteArray) saved = NULL;

    kit_ports_send(f->channel, "waits");
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

/* Faults of the ring on each kind of queue, and what the host does meanwhile. */
static void test_hostile_rings(KitPorts *f, gconstpointer unused)
{
    const struct {
        uint64_t gpa;
        uint32_t len;
        uint16_t flags;
        uint16_t next;
    } cases[] = {
        { f->s->v->notify, 64, 0, 0 }, { f->s->v->config, 8, VRING_DESC_F_WRITE, 0 },
        { KIT_RAM_SIZE - 4, 64, VRING_DESC_F_WRITE, 0 }, { UINT64_MAX - 4, 64, 0, 0 },
        { KIT_VIRTIO_DATA, UINT32_MAX, VRING_DESC_F_WRITE, 0 },
        { KIT_VIRTIO_DATA, 0, 0, 0 }, { KIT_VIRTIO_DATA, 8, VRING_DESC_F_NEXT, 7 },
        { KIT_VIRTIO_DATA, 8, VRING_DESC_F_NEXT, 0xffff },
        { KIT_VIRTIO_DATA, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 0 },
        { KIT_VIRTIO_DATA, 17, VRING_DESC_F_INDIRECT, 0 },
    };
    KitQueue *const queues[] = { &f->s->control_out, &f->s->in[1], &f->s->out[1] };

    for (size_t i = 0; i < G_N_ELEMENTS(queues) * G_N_ELEMENTS(cases); i++) {
        KitQueue *q = queues[i / G_N_ELEMENTS(cases)];
        size_t n = i % G_N_ELEMENTS(cases);

        kit_serial_start_ports(f->s);
        kit_serial_open(f->s, 1, true);
        kit_ports_send(f->channel, "input");
        kit_queue_desc(q, 7, cases[n].gpa, cases[n].len, cases[n].flags, cases[n].next);
        kit_queue_offer(q, 7);
        kit_queue_kick(q);
        kit_run_both(f->kit);

        g_assert_true(kit_virtio_status(f->s->v) & VIRTIO_CONFIG_S_NEEDS_RESET);
        kit_ports_send(f->channel, "more");
        kit_run_both(f->kit);
        device_tree_pause(&f->kit->tree);
        device_tree_resume(&f->kit->tree);
    }
    kit_serial_start_ports(f->s);
    kit_serial_write(f->s, 2, "alive", 5);
    kit_ports_assert_received(f->other, "alive");
}

typedef struct Racer {
    KitBoard *kit;
    uint64_t registers, notify;
    bool ends;                  /* atomic */
} Racer;

/* A driver that is set up and reset for ever, on a vCPU's thread. */
static void *restart_driver(void *opaque)
{
    static const struct {
        uint8_t offset, size;
        uint32_t value;
    } writes[] = {
        { 0x14, 1, 0 }, { 0x14, 1, 3 }, { 0x08, 4, 0 }, { 0x0c, 4, 2 }, { 0x08, 4, 1 },
        { 0x0c, 4, 1 }, { 0x14, 1, 11 }, { 0x16, 2, 3 },
        { 0x20, 4, KIT_VIRTIO_RING }, { 0x28, 4, KIT_VIRTIO_RING + 0x10000 },
        { 0x30, 4, KIT_VIRTIO_RING + 0x20000 }, { 0x1c, 2, 1 }, { 0x14, 1, 15 },
    };
    Racer *racer = opaque;

    thread_set_role(THREAD_VCPU);
    while (!__atomic_load_n(&racer->ends, __ATOMIC_RELAXED)) {
        for (size_t i = 0; i < G_N_ELEMENTS(writes); i++)
            kit_write(racer->kit, racer->registers + writes[i].offset, writes[i].size,
                      writes[i].value);
        for (unsigned queue = 0; queue < 8; queue++)
            kit_write(racer->kit, racer->notify + 4 * queue, 2, 0);
        kit_read(racer->kit, racer->registers + 0x14, 1);
        qsbr_quiescent();
    }
    qsbr_unregister();
    return NULL;
}

/* Ports come and go, with the host talking, while vCPUs restart the driver. */
static void test_ports_race_with_the_driver(void)
{
    g_autoptr(KitBoard) kit = kit_board_new_threaded();
    int fd = kit_add_chardev(kit, "c");
    Racer racer = { .kit = kit };
    g_autofree KitVirtio *v = NULL;
    GThread *threads[2];

    kit_add(kit, "{'driver': 'virtio-serial-pci', 'id': 'vs', 'max_ports': 4}");
    kit_start(kit);
    v = kit_virtio_new(kit, device_find(&kit->tree, "vs"));
    racer.registers = v->registers;
    racer.notify = v->notify;
    for (int i = 0; i < 2; i++)
        threads[i] = g_thread_new("vcpu", restart_driver, &racer);
    for (int i = 0; i < 200; i++) {
        Device *dev = kit_add(kit, "{'driver': 'virtserialport', 'id': 'p', "
                              "'chardev': 'c'}");

        g_assert_cmpint(send(fd, "text", 4, 0), ==, 4);
        loop_turn(kit->loop, false);
        device_remove(dev);
        loop_turn(kit->loop, false);
        qsbr_quiescent();
    }
    __atomic_store_n(&racer.ends, true, __ATOMIC_RELAXED);
    qsbr_offline();
    for (int i = 0; i < 2; i++)
        g_thread_join(threads[i]);
    qsbr_online();
    close(fd);
}

static void add(const char *path, void (*fn)(KitPorts *f, gconstpointer unused))
{
    g_test_add(path, KitPorts, NULL, kit_ports_set_up, fn, kit_ports_tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add("/virtio-serial-life/hostile", test_hostile_rings);
    add("/virtio-serial-life/reset", test_reset_with_data_in_flight);
    add("/virtio-serial-life/pause", test_pause_with_data_in_flight);
    add("/virtio-serial-life/unplug", test_unplug_with_data_in_flight);
    g_test_add_func("/virtio-serial-life/flr", test_function_level_reset);
    add("/virtio-serial-life/one-port", test_driver_of_one_port);
    add("/virtio-serial-life/state", test_state_moves_with_data_in_flight);
    add("/virtio-serial-life/state-client", test_state_without_its_client);
    add("/virtio-serial-life/state-hostile", test_hostile_state);
    g_test_add_func("/virtio-serial-life/threads", test_threads);
    g_test_add_func("/virtio-serial-life/race", test_ports_race_with_the_driver);
    return g_test_run();
}
