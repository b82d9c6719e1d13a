/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from the guest (virtio 1.3, section 5.1.6.2): each goes to the backend straight
 * from the guest's buffers, its header included, which the backend reads once and checks.
 *
 * While the backend takes none the next frame stays in the ring, and so do those behind
 * it: the guest sees a full queue, and the loop waits for the descriptor.
 *
 * Answers.  What the host's kernel answers by itself, or hands on to one that is quick,
 * is there when the frame was sent.  So the backend is asked for as many frames as were
 * sent, without a look at the descriptor before and without a last call that finds none.
 * An attempt in vain is the last one until frames come.
 */
#include <errno.h>

#include "berth/trace.h"

#include "virtio-net.h"

static bool can_send(const VirtioNetPair *pair)
{
    return pair->queue && virtio_net_link_is_up(pair->net) &&
        pair->index < __atomic_load_n(&pair->net->n_active, __ATOMIC_RELAXED);
}

/* False: not now. */
static bool send_frame(VirtioNetPair *pair, const VirtqueueReq *req)
{
    int code = -EINVAL;

    if (can_send(pair) && req->out_size <= NET_FRAME_MAX && req->n_out <= NET_IOV_MAX)
        code = net_queue_send(pair->queue, req->out, req->n_out);
    if (code == -EAGAIN) {
        if (net_queue_is_held(pair->queue, NET_TX))
            counter_add(&pair->counters.tx_throttled, 1);
        return false;
    }
    TRACE(virtio_net_tx, "pair %u: %u bytes: %d", pair->index, req->out_size, code);
    if (code < 0) {
        counter_add(&pair->counters.tx_dropped, 1);
        return true;
    }
    counter_add(&pair->counters.tx_packets, 1);
    counter_add(&pair->counters.tx_bytes, req->out_size - NET_HEADER_SIZE);
    return true;
}

static void read_answers(VirtioNetPair *pair)
{
    if (!pair->is_answered || pair->n_unanswered == 0)
        return;
    pair->n_expected = pair->n_unanswered;
    virtqueue_run(pair->rx);
    pair->n_expected = 0;
}

static void send_frames(VirtioNetPair *pair)
{
    VirtqueueReq *req;

    while (!pair->blocked && (req = virtqueue_pop(pair->tx))) {
        if (req->out_size < NET_HEADER_SIZE || req->n_in > 0) {
            virtqueue_error(pair->tx, "frame of %u bytes with its header, and %u to "
                            "write", req->out_size, req->in_size);
            virtqueue_drop(pair->tx, req);
            return;
        }
        if (send_frame(pair, req)) {
            virtqueue_push(pair->tx, req, 0);
            pair->n_unanswered++;
            continue;
        }
        virtqueue_unpop(pair->tx, req);
        pair->blocked = true;
        virtio_net_poll(pair);
    }
}

void virtio_net_tx_run(VirtioNetPair *pair)
{
    pair->n_unanswered = 0;
    send_frames(pair);
    read_answers(pair);
}
