/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a far end of a stream of frames, in any pieces, with frames the other way,
 * buffers that are too small, and an end at any place.  What comes out is what a reader
 * that has all bytes at hand finds in them.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "berth/error.h"
#include "berth/log.h"

#include "fuzz.h"
#include "net-bench.h"

#define FRAME_MAX 65553u

typedef struct Subject {
    NetBench *bench;
    NetQueue *queue;
    int fd;                     /* the far end */
    GByteArray *sent;           /* by it */
    size_t at;                  /* what was received of that */
    bool is_over;               /* a length that cannot be was received */
} Subject;

static void begin(Subject *subject)
{
    g_autofree char *text = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
                               fds), ==, 0);
    text = g_strdup_printf("stream,id=a,addr.type=fd,addr.str=%d", fds[0]);
    subject->bench = net_bench_new();
    net_bench_add(subject->bench, text);
    subject->queue = net_backend_queue(net_bench_attach(subject->bench, 0, "a"), 0);
    subject->fd = fds[1];
    subject->sent = g_byte_array_new();
}

static void end(Subject *subject)
{
    net_bench_free(subject->bench);
    base_close_fd(&subject->fd);
    g_byte_array_unref(subject->sent);
}

static void act_of_far_end(Subject *subject, FuzzInput *in)
{
    size_t wanted = fuzz_take(in, 1), size = MIN(wanted, in->size);
    ssize_t n = send(subject->fd, in->data, size, MSG_NOSIGNAL);

    if (n > 0)
        g_byte_array_append(subject->sent, in->data, (guint)n);
    in->data += size;
    in->size -= size;
}

/* A frame that is long, with the input's byte in all of it. */
static void act_of_long_frame(Subject *subject, FuzzInput *in)
{
    static uint8_t bytes[4 + 4096];
    uint32_t length = GUINT32_TO_BE((uint32_t)(fuzz_take(in, 2) % 4096));
    ssize_t n;

    memset(bytes, (int)fuzz_take(in, 1), sizeof(bytes));
    memcpy(bytes, &length, sizeof(length));
    n = send(subject->fd, bytes, 4 + GUINT32_FROM_BE(length), MSG_NOSIGNAL);
    if (n > 0)
        g_byte_array_append(subject->sent, bytes, (guint)n);
}

/* The next frame of what was sent: its size, or -1; the second is where it begins. */
static int64_t expected(const Subject *subject, size_t *ret_at)
{
    size_t left = subject->sent->len - subject->at;
    uint32_t length;

    if (subject->is_over || left < 4)
        return -1;
    memcpy(&length, subject->sent->data + subject->at, sizeof(length));
    length = GUINT32_FROM_BE(length);
    *ret_at = subject->at + 4;
    return length > FRAME_MAX || left - 4 < length ? -1 : (int64_t)length;
}

static bool is_hostile(const Subject *subject)
{
    uint32_t length;

    if (subject->sent->len - subject->at < 4)
        return false;
    memcpy(&length, subject->sent->data + subject->at, sizeof(length));
    return GUINT32_FROM_BE(length) > FRAME_MAX;
}

static void act_of_device(Subject *subject, FuzzInput *in)
{
    static uint8_t got[NET_FRAME_MAX];
    bool is_short = fuzz_take(in, 1) & 1;
    struct iovec iov = { got, is_short ? 40 : sizeof(got) };
    size_t at = 0;
    int64_t size = expected(subject, &at);
    ssize_t n = net_queue_receive(subject->queue, &iov, 1);

    if (n < 0) {
        g_assert_cmpint(n, ==, -EAGAIN);
        if (is_hostile(subject))
            subject->is_over = true;
        /* What came is given, unless no piece was read since. */
        g_assert_true(size < 0 || subject->queue->fd < 0);
        return;
    }
    g_assert_cmpint(size, >=, 0);
    g_assert_cmpint(n, ==, (ssize_t)MIN((size_t)size + NET_HEADER_SIZE, iov.iov_len));
    g_assert_cmpmem(got + NET_HEADER_SIZE, (size_t)n - NET_HEADER_SIZE,
                    subject->sent->data + at, (size_t)n - NET_HEADER_SIZE);
    subject->at = at + (size_t)size;
}

static void act_of_sender(Subject *subject, FuzzInput *in)
{
    static const uint8_t frame[70000];
    char discarded[4096];

    net_bench_send(subject->queue, frame, fuzz_take(in, 3) % sizeof(frame));
    if (fuzz_take(in, 1) & 1)
        (void)!recv(subject->fd, discarded, sizeof(discarded), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };
    Subject subject = { 0 };

    log_set_fd(-1);
    begin(&subject);
    while (in.size > 0 && subject.fd >= 0) {
        switch (fuzz_take(&in, 1) % 8) {
        case 0: case 1: case 2:
            act_of_far_end(&subject, &in);
            break;
        case 3:
            act_of_long_frame(&subject, &in);
            break;
        case 4: case 5:
            act_of_device(&subject, &in);
            break;
        case 6:
            act_of_sender(&subject, &in);
            break;
        case 7:
            if (fuzz_take(&in, 1) == 0)
                base_close_fd(&subject.fd);
            loop_turn(subject.bench->loop, false);
            break;
        }
    }
    /* Whatever is left comes, frame by frame, to an end. */
    loop_turn(subject.bench->loop, false);
    for (unsigned i = 0; i <= subject.sent->len; i++) {
        struct iovec iov = { (char[64]) { 0 }, 64 };

        if (net_queue_receive(subject.queue, &iov, 1) < 0)
            break;
        g_assert_cmpuint(i, <, subject.sent->len);
    }
    end(&subject);
    return 0;
}
