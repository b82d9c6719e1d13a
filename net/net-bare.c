/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames at a descriptor that knows no header: it is left out of the buffers for the
 * time of the call.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "berth/iov.h"
#include "berth/net-driver.h"

/* What is behind the header; 0 when there is nothing, or the frame is too long. */
static size_t frame_size(const struct iovec *iov, unsigned n)
{
    uint64_t size = iov_size(iov, n);

    return size > NET_HEADER_SIZE && size <= NET_FRAME_MAX ? size - NET_HEADER_SIZE : 0;
}

int net_bare_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    size_t size = frame_size(iov, n);
    IovSlice slice;
    ssize_t sent;

    if (size == 0)
        return -EINVAL;
    iov_slice_begin(&slice, iov, NET_HEADER_SIZE, size);
    sent = writev(queue->fd, slice.iov, (int)slice.n_iov);
    iov_slice_end(&slice);
    return sent < 0 ? -errno : 0;
}

static ssize_t read_from(int fd, const IovSlice *slice, struct sockaddr_in *from)
{
    struct msghdr message = {
        .msg_name = from, .msg_namelen = sizeof(*from),
        .msg_iov = slice->iov, .msg_iovlen = slice->n_iov,
    };

    return recvmsg(fd, &message, MSG_DONTWAIT);
}

ssize_t net_bare_receive_from(NetQueue *queue, struct iovec *iov, unsigned n,
                              struct sockaddr_in *ret_from)
{
    uint64_t size = iov_size(iov, n);
    IovSlice slice;
    ssize_t got;

    if (size <= NET_HEADER_SIZE)
        return -EINVAL;
    iov_slice_begin(&slice, iov, NET_HEADER_SIZE, size - NET_HEADER_SIZE);
    got = ret_from ? read_from(queue->fd, &slice, ret_from)
                   : readv(queue->fd, slice.iov, (int)slice.n_iov);
    iov_slice_end(&slice);
    if (got < 0)
        return -errno;
    iov_zero(iov, n, 0, NET_HEADER_SIZE);
    return got + NET_HEADER_SIZE;
}

ssize_t net_bare_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    return net_bare_receive_from(queue, iov, n, NULL);
}
