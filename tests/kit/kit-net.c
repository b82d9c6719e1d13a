/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of virtio-net.  Each queue has buffers of its own, used in turn.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/virtqueue.h"

#include "kit-net.h"

#define QUEUE_SPACE (KIT_NET_BUFFERS * KIT_NET_BUFFER)

KitNet *kit_net_new_on(int wire, const char *object, const char *netdev,
                       const char *props)
{
    KitNet *net = g_new0(KitNet, 1);
    g_autofree char *json = NULL;

    net->kit = kit_board_new();
    net->wire = wire;
    if (object)
        kit_add_object(net->kit, object);
    kit_add_netdev(net->kit, netdev);
    json = g_strdup_printf("{'driver': 'virtio-net-pci', 'id': 'nic', "
                           "'netdev': 'wire'%s}", props);
    net->dev = kit_add(net->kit, json);
    kit_start(net->kit);
    net->v = kit_virtio_new(net->kit, net->dev);
    return net;
}

KitNet *kit_net_new(const char *props)
{
    return kit_net_new_with(NULL, props);
}

KitNet *kit_net_new_with(const char *object, const char *props)
{
    g_autofree char *netdev = NULL;
    int fds[2], few = 20000;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
                               fds), ==, 0);
    g_assert_cmpint(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)), ==, 0);
    netdev = g_strdup_printf("{'type': 'dgram', 'id': 'wire', 'local': "
                             "{'type': 'fd', 'str': '%d'}}", fds[1]);
    return kit_net_new_on(fds[0], object, netdev, props);
}

void kit_net_free(KitNet *net)
{
    if (!net)
        return;
    kit_board_free(net->kit);
    base_close_fd(&net->wire);
    g_free(net->v);
    g_free(net);
}

void kit_net_start(KitNet *net, uint64_t features)
{
    kit_pci_set_command(&net->v->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    kit_virtio_negotiate(net->v, features);
    kit_virtio_setup_queue(net->v, KIT_NET_BUFFERS);
    net->rx = net->v->queue;
    kit_queue_setup(&net->tx, net->v, 1, KIT_NET_BUFFERS);
    kit_queue_setup(&net->ctrl, net->v, 2, KIT_NET_BUFFERS);
    kit_virtio_set_status(net->v,
                          kit_virtio_status(net->v) | VIRTIO_CONFIG_S_DRIVER_OK);
    kit_run_both(net->kit);
}

static uint64_t gpa_of(const KitQueue *q, unsigned n)
{
    return KIT_VIRTIO_DATA + q->index * QUEUE_SPACE +
        n % KIT_NET_BUFFERS * KIT_NET_BUFFER;
}

uint8_t *kit_net_buffer(KitNet *net, const KitQueue *q, unsigned n)
{
    return kit_ram(net->kit, gpa_of(q, n), KIT_NET_BUFFER);
}

void kit_net_offer(KitNet *net, unsigned n, uint32_t size)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned at = net->rx.next_avail % KIT_NET_BUFFERS;

        kit_queue_desc(&net->rx, at, gpa_of(&net->rx, at), size, VRING_DESC_F_WRITE, 0);
        kit_queue_offer(&net->rx, (uint16_t)at);
    }
    kit_queue_kick(&net->rx);
}

void kit_net_send(KitNet *net, const void *frame, uint32_t size, uint32_t part)
{
    KitQueue *q = &net->tx;
    unsigned first = 0, at = 0;
    uint32_t total = size + KIT_NET_HEADER, done = 0;
    uint8_t *memory = kit_ram(net->kit, gpa_of(q, 0), QUEUE_SPACE);

    memset(memory, 0, KIT_NET_HEADER);
    memcpy(memory + KIT_NET_HEADER, frame, size);
    while (done < total) {
        uint32_t n = MIN(part, total - done);

        kit_queue_desc(q, at, gpa_of(q, 0) + done, n,
                       done + n < total ? VRING_DESC_F_NEXT : 0, (uint16_t)(at + 1));
        at++;
        done += n;
    }
    kit_queue_offer(q, (uint16_t)first);
    kit_queue_kick(q);
}

void kit_net_queue(KitNet *net, unsigned n, uint32_t size)
{
    KitQueue *q = &net->tx;

    memset(kit_net_buffer(net, q, 0), 0, KIT_NET_BUFFER);
    for (unsigned i = 0; i < n; i++) {
        kit_queue_desc(q, i, gpa_of(q, 0), size + KIT_NET_HEADER, 0, 0);
        kit_queue_offer(q, (uint16_t)i);
    }
}

int kit_net_take(KitNet *net, uint8_t *bytes, uint32_t size, unsigned *ret_buffers)
{
    struct virtio_net_hdr_v1 header;
    uint32_t head, len, total = 0;
    unsigned n = 0, wanted = 1;

    while (n < wanted && kit_queue_take(&net->rx, &head, &len)) {
        const uint8_t *buffer = kit_net_buffer(net, &net->rx, head);

        if (n++ == 0) {
            memcpy(&header, buffer, sizeof(header));
            wanted = header.num_buffers;
            g_assert_cmpuint(wanted, >, 0);
        }
        g_assert_cmpuint(total + len, <=, size);
        memcpy(bytes + total, buffer, len);
        total += len;
    }
    if (n == 0)
        return -1;
    g_assert_cmpuint(n, ==, wanted);
    if (ret_buffers)
        *ret_buffers = n;
    return (int)total;
}

uint8_t kit_net_command(KitNet *net, uint8_t class, uint8_t cmd, const void *data,
                        uint32_t size)
{
    KitQueue *q = &net->ctrl;
    uint8_t *memory = kit_ram(net->kit, gpa_of(q, 0), QUEUE_SPACE);
    uint32_t head, len;

    g_assert_cmpuint(size + 3, <=, QUEUE_SPACE);
    memory[0] = class;
    memory[1] = cmd;
    if (size > 0)
        memcpy(memory + 2, data, size);
    memory[size + 2] = 0xee;
    kit_queue_desc(q, 0, gpa_of(q, 0), size + 2, VRING_DESC_F_NEXT, 1);
    kit_queue_desc(q, 1, gpa_of(q, 0) + size + 2, 1, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, 0);
    kit_queue_kick(q);
    g_assert_true(kit_queue_take(q, &head, &len));
    return memory[size + 2];
}

void kit_net_wire_send(KitNet *net, const void *frame, uint32_t size)
{
    g_assert_cmpint(send(net->wire, frame, size, 0), ==, size);
    kit_run(net->kit);
}

int kit_net_wire_take(KitNet *net, uint8_t *bytes, uint32_t size)
{
    return (int)recv(net->wire, bytes, size, 0);
}

uint64_t kit_net_sleep(KitNet *net, unsigned n, const Virtqueue *vq)
{
    uint64_t before;

    kit_run_both(net->kit);
    before = vq->counters.rounds;
    for (unsigned i = 0; i < n; i++)
        kit_let_sleep(net->kit);
    return vq->counters.rounds - before;
}
