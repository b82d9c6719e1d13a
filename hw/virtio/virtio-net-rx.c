/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to the guest (virtio 1.3, section 5.1.6.3).
 *
 * A frame is read straight into the guest's buffers: those of the window, and the spill
 * behind them for what does not fit.  With mergeable buffers (MRG_RXBUF) a frame takes as
 * many requests as it needs, else one.
 *
 *     window   [ req ][ req ][ req ][ spill ]
 *     frame    =================>             two requests are used, the third stays
 *     frame    ========================>      waits until the spill's part has a buffer
 *
 * A frame that a filter refuses uses nothing: the next one is read over it.  While the
 * guest has no buffers the backend is not read: frames wait there, and are lost there.
 *
 * Nothing of the window is lost by a stop: it goes back to the ring.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"
#include "berth/iov.h"
#include "berth/trace.h"

#include "virtio-net.h"

#define FRAMES_IN_A_ROUND 64
#define NUM_BUFFERS_AT offsetof(struct virtio_net_hdr_v1, num_buffers)
#define ERRORS_MAX 16           /* in a row */
#define FILTERED_BYTES 16u      /* of a frame, that filters look at */

G_STATIC_ASSERT(sizeof(struct virtio_net_hdr_v1) == NET_HEADER_SIZE);

void virtio_net_rx_init(VirtioNetPair *pair)
{
    /* Pages that no frame ever needs are never touched. */
    pair->iov = g_new(struct iovec, NET_IOV_MAX);
    pair->spill = g_malloc(NET_FRAME_MAX);
}

void virtio_net_rx_done(VirtioNetPair *pair)
{
    g_clear_pointer(&pair->iov, g_free);
    g_clear_pointer(&pair->spill, g_free);
}

static bool is_mergeable(const VirtioNetPair *pair)
{
    return virtio_has_feature(&pair->net->vdev, VIRTIO_NET_F_MRG_RXBUF);
}

static void empty_window(VirtioNetPair *pair)
{
    pair->first_req = pair->n_reqs = 0;
    pair->first_iov = pair->n_iov = 0;
    pair->capacity = 0;
    pair->pending = 0;
}

/* Whether the arrays have room for one more request and the spill. */
static bool make_room(VirtioNetPair *pair, unsigned n_in)
{
    if (pair->n_reqs == VIRTIO_NET_WINDOW || pair->n_iov + n_in + 1 > NET_IOV_MAX)
        return false;
    if (pair->first_req + pair->n_reqs == VIRTIO_NET_WINDOW) {
        memmove(pair->reqs, pair->reqs + pair->first_req,
                pair->n_reqs * sizeof(pair->reqs[0]));
        pair->first_req = 0;
    }
    if (pair->first_iov + pair->n_iov + n_in + 1 > NET_IOV_MAX) {
        memmove(pair->iov, pair->iov + pair->first_iov,
                pair->n_iov * sizeof(pair->iov[0]));
        pair->first_iov = 0;
    }
    return true;
}

/* Takes one more request; false: there is none, or no room. */
static bool take_request(VirtioNetPair *pair)
{
    VirtqueueReq *req;

    if (pair->n_reqs == VIRTIO_NET_WINDOW)
        return false;
    req = virtqueue_pop(pair->rx);
    if (!req)
        return false;
    if (req->in_size < NET_HEADER_SIZE || req->n_out > 0) {
        virtqueue_error(pair->rx, "buffer of %u bytes for a frame, and %u to read",
                        req->in_size, req->out_size);
        virtqueue_drop(pair->rx, req);
        return false;
    }
    if (!make_room(pair, req->n_in)) {
        virtqueue_unpop(pair->rx, req);
        return false;
    }
    pair->reqs[pair->first_req + pair->n_reqs++] = req;
    memcpy(pair->iov + pair->first_iov + pair->n_iov, req->in,
           req->n_in * sizeof(req->in[0]));
    pair->n_iov += req->n_in;
    pair->capacity += req->in_size;
    return true;
}

/* Without mergeable buffers a frame has one request. */
static void fill_window(VirtioNetPair *pair)
{
    unsigned most = is_mergeable(pair) ? VIRTIO_NET_WINDOW : 1;

    while (pair->n_reqs < most && pair->capacity < NET_FRAME_MAX && take_request(pair))
        continue;
}

static bool fits(const VirtioNetPair *pair, uint32_t size)
{
    return size <= pair->capacity;
}

/* More buffers for a frame that waits: each gets its part of the spill. */
static bool complete(VirtioNetPair *pair)
{
    while (!fits(pair, pair->pending)) {
        const uint8_t *rest = pair->spill + pair->capacity;
        uint32_t size = pair->pending - pair->capacity;

        if (!take_request(pair))
            return false;
        virtqueue_req_write(pair->reqs[pair->first_req + pair->n_reqs - 1], 0, rest,
                            size);
    }
    return true;
}

/* Gives the guest the frame of @size bytes that the window begins with. */
static void push_frame(VirtioNetPair *pair, uint32_t size)
{
    VirtqueueReq **reqs = pair->reqs + pair->first_req;
    uint32_t left = size;
    uint16_t n = 0, num_buffers;
    uint8_t flags = 0;

    while (n == 0 || left > 0) {
        VirtqueueReq *req = reqs[n++];

        left -= MIN(left, req->in_size);
    }
    /* The kernel tells of a checksum that it has seen to, asked or not. */
    if (!virtio_has_feature(&pair->net->vdev, VIRTIO_NET_F_GUEST_CSUM))
        virtqueue_req_write(reqs[0], 0, &flags, sizeof(flags));
    num_buffers = GUINT16_TO_LE(n);
    virtqueue_req_write(reqs[0], NUM_BUFFERS_AT, &num_buffers, sizeof(num_buffers));
    for (left = size; n > 0; n--) {
        VirtqueueReq *req = pair->reqs[pair->first_req];
        uint32_t written = MIN(left, req->in_size);

        pair->first_req++;
        pair->n_reqs--;
        pair->first_iov += req->n_in;
        pair->n_iov -= req->n_in;
        pair->capacity -= req->in_size;
        left -= written;
        virtqueue_push(pair->rx, req, written);
    }
    if (pair->n_reqs == 0)
        pair->first_req = pair->first_iov = 0;
    counter_add(&pair->counters.rx_packets, 1);
    counter_add(&pair->counters.rx_bytes, size - NET_HEADER_SIZE);
}

static void drop_frame(VirtioNetPair *pair)
{
    pair->pending = 0;
    counter_add(&pair->counters.rx_dropped, 1);
}

/* What did not fit waits in the spill, at the place that it has in the frame. */
static bool finish_frame(VirtioNetPair *pair)
{
    uint32_t size = pair->pending;

    if (!fits(pair, size) && !is_mergeable(pair)) {
        drop_frame(pair);
        return true;
    }
    if (!complete(pair)) {
        /* Unless there is nothing left that the guest could add. */
        if (pair->n_reqs < MIN(pair->rx->size, VIRTIO_NET_WINDOW) &&
            pair->n_iov + VIRTIO_NET_SEGMENTS < NET_IOV_MAX)
            return false;
        drop_frame(pair);
        return true;
    }
    pair->pending = 0;
    push_frame(pair, size);
    return true;
}

static bool is_taken(VirtioNetPair *pair, ssize_t size)
{
    uint8_t head[FILTERED_BYTES];
    size_t n = iov_read(pair->iov + pair->first_iov, pair->n_iov, NET_HEADER_SIZE, head,
                        MIN(sizeof(head), (size_t)size - NET_HEADER_SIZE));

    return virtio_net_filter_takes(pair->net, head, n);
}

/* Reads a frame into the window; its size, or a negative errno. */
static ssize_t receive(VirtioNetPair *pair)
{
    struct iovec *iov = pair->iov + pair->first_iov;

    if (pair->capacity >= NET_FRAME_MAX)
        return net_queue_receive(pair->queue, iov, pair->n_iov);
    iov[pair->n_iov] = (struct iovec) {
        .iov_base = pair->spill + pair->capacity,
        .iov_len = NET_FRAME_MAX - pair->capacity,
    };
    return net_queue_receive(pair->queue, iov, pair->n_iov + 1);
}

static bool may_receive(const VirtioNetPair *pair)
{
    return pair->queue && !pair->lost && virtio_net_link_is_up(pair->net) &&
        pair->index < __atomic_load_n(&pair->net->n_active, __ATOMIC_RELAXED);
}

/*
 * The backend has no frame, or something is wrong: a descriptor that stays readable and
 * gives nothing (an interface that was deleted) is not polled any more.
 */
static void take_error(VirtioNetPair *pair, int code)
{
    if (code == -EAGAIN) {
        if (net_queue_is_held(pair->queue, NET_RX))
            counter_add(&pair->counters.rx_throttled, 1);
        return;
    }
    counter_add(&pair->counters.rx_dropped, 1);
    if (++pair->n_errors < ERRORS_MAX)
        return;
    pair->lost = true;
    device_host_error(pair->net->vdev.dev, "no frame can be received any more: %s",
                      error_text(-code));
}

/* One frame; false when there is none, or no buffer for it. */
static bool serve_frame(VirtioNetPair *pair)
{
    ssize_t size;

    if (pair->pending > 0) {
        pair->starved = !finish_frame(pair);
        return !pair->starved;
    }
    fill_window(pair);
    pair->starved = pair->n_reqs == 0;
    if (pair->starved)
        return false;
    size = receive(pair);
    TRACE(virtio_net_rx, "pair %u: %zd", pair->index, size);
    if (size < 0) {
        take_error(pair, (int)size);
        return false;
    }
    pair->n_errors = 0;
    if (size <= (ssize_t)NET_HEADER_SIZE || !is_taken(pair, size)) {
        counter_add(&pair->counters.rx_dropped, 1);
        return true;
    }
    pair->pending = (uint32_t)size;
    pair->starved = !finish_frame(pair);
    return !pair->starved;
}

/* The loop calls again while the descriptor polls for input. */
void virtio_net_rx_run(VirtioNetPair *pair)
{
    unsigned most = FRAMES_IN_A_ROUND, n = 0;

    if (pair->n_expected > 0)
        most = MIN(most, pair->n_expected);
    while (n < most && may_receive(pair) && serve_frame(pair))
        n++;
    if (n > 0 || pair->n_expected > 0)
        pair->is_answered = n > 0;
    virtio_net_poll(pair);
}

void virtio_net_rx_stop(VirtioNetPair *pair)
{
    while (pair->n_reqs > 0) {
        pair->n_reqs--;
        virtqueue_unpop(pair->rx, pair->reqs[pair->first_req + pair->n_reqs]);
    }
    empty_window(pair);
}
