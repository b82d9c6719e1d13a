/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a chardev whose far end is there.
 *
 * Output.  A writer on any thread first tries the descriptor itself, if nothing waits
 * before its bytes; what the far end does not take goes into a bounded ring, and a
 * message makes the loop poll for room.  The ring exists only while it holds something.
 *
 * Input is read only as far as the user takes it.  While it takes nothing the
 * descriptor stays in the epoll set for EPOLLHUP alone.
 *
 * The end, as the loop sees it:
 *
 *     end of file, output waits       -> `ended`, until the output is sent or EPOLLHUP
 *     EPOLLHUP, of requests           -> class->hangup()
 *     EPOLLHUP, user takes nothing    -> `hung_up` if the user or the class reads to
 *                                        the end: silent until char_accept_input()
 *     otherwise                       -> class->hangup()
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "berth/error.h"

#include "char-private.h"

#define READ_SIZE (16 * 1024)

/*
 * Returns how much the far end took, or -errno; -EAGAIN only where the loop can poll.
 */
static ssize_t send_some(Chardev *chr, const void *data, size_t size)
{
    size_t sent = 0;

    while (sent < size) {
        const uint8_t *at = (const uint8_t *)data + sent;
        ssize_t n = chr->class->send ? chr->class->send(chr, chr->out_fd, at, size - sent)
                                     : write(chr->out_fd, at, size - sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && sent == 0)
            return -errno;
        if (n <= 0)
            break;
        sent += n;
    }
    return sent;
}

static void report_failure(Chardev *chr, int error)
{
    if (error == EPIPE || error == ECONNRESET || error == EIO)
        return;
    if (log_limit_pass(&chr->log_limit, NULL))
        log_warn("chardev '%s': output is lost: %s", chr->id, error_text(error));
}

static size_t buffer_locked(Chardev *chr, const uint8_t *data, size_t size)
{
    size_t taken = MIN(size, CHAR_BUFFER_SIZE - chr->used);
    size_t end = (chr->begin + chr->used) % CHAR_BUFFER_SIZE;
    size_t first = MIN(taken, CHAR_BUFFER_SIZE - end);

    if (taken == 0)
        return 0;
    if (!chr->buffer)
        chr->buffer = g_malloc(CHAR_BUFFER_SIZE);
    memcpy(chr->buffer + end, data, first);
    memcpy(chr->buffer, data + first, taken - first);
    chr->used += taken;
    return taken;
}

static void drop_buffer_locked(Chardev *chr)
{
    g_clear_pointer(&chr->buffer, g_free);
    chr->begin = 0;
    chr->used = 0;
    chr->flushing = false;
}

static size_t write_locked(Chardev *chr, const uint8_t *data, size_t size)
{
    ssize_t sent = 0;

    if (!chr->open)
        return size;
    if (chr->used == 0)
        sent = send_some(chr, data, size);
    if (sent < 0 && sent != -EAGAIN) {
        report_failure(chr, -sent);
        return size;
    }
    sent = MAX(sent, 0);
    if (!chr->out_polls)
        return size;
    sent += buffer_locked(chr, data + sent, size - sent);
    if ((size_t)sent < size)
        chr->writer_waits = true;
    return sent;
}

static size_t write_by_class(Chardev *chr, const void *data, size_t size)
{
    size_t taken = chr->class->write(chr, data, size);

    lock_take(&chr->lock);
    char_log_write_locked(chr, data, taken);
    lock_drop(&chr->lock);
    return taken;
}

size_t char_write(Chardev *chr, const void *data, size_t size)
{
    bool wake;
    size_t taken;

    if (chr->class->write)
        return write_by_class(chr, data, size);

    lock_take(&chr->lock);
    taken = write_locked(chr, data, size);
    char_log_write_locked(chr, data, taken);
    wake = chr->used > 0 && !chr->flushing;
    if (wake)
        chr->flushing = true;
    lock_drop(&chr->lock);
    if (wake)
        loop_post(chr->loop, &chr->update);
    return taken;
}

size_t char_pending(Chardev *chr)
{
    size_t used;

    if (chr->below)
        return char_pending(chr->below);

    lock_take(&chr->lock);
    used = chr->used;
    lock_drop(&chr->lock);
    return used;
}

/* What of the ring can be sent is sent; returns whether something is left. */
static bool flush_locked(Chardev *chr)
{
    while (chr->used > 0) {
        size_t size = MIN(chr->used, CHAR_BUFFER_SIZE - chr->begin);
        ssize_t sent = send_some(chr, chr->buffer + chr->begin, size);

        if (sent == -EAGAIN)
            return true;
        if (sent < 0) {
            report_failure(chr, -sent);
            break;
        }
        chr->begin = (chr->begin + sent) % CHAR_BUFFER_SIZE;
        chr->used -= sent;
        if ((size_t)sent < size)
            return true;
    }
    drop_buffer_locked(chr);
    return false;
}

bool char_flush(Chardev *chr, int64_t deadline_ns)
{
    struct pollfd poll_fd = { .events = POLLOUT };

    if (chr->below)
        return char_flush(chr->below, deadline_ns);
    for (;;) {
        int64_t left_ns = deadline_ns - loop_clock_ns();
        bool left;

        lock_take(&chr->lock);
        left = flush_locked(chr);
        poll_fd.fd = chr->out_fd;
        lock_drop(&chr->lock);
        if (!left || left_ns <= 0)
            return !left;
        poll(&poll_fd, 1, left_ns / NS_PER_MS + 1);
    }
}

static void tell_writer(Chardev *chr)
{
    if (chr->user && chr->user->writable)
        chr->user->writable(chr->opaque);
}

static void flush(Chardev *chr)
{
    bool left, tell;

    lock_take(&chr->lock);
    left = flush_locked(chr);
    tell = chr->writer_waits && chr->used <= CHAR_BUFFER_SIZE / 2;
    if (tell)
        chr->writer_waits = false;
    lock_drop(&chr->lock);

    if (tell)
        tell_writer(chr);
    if (!left && chr->ended && char_pending(chr) == 0)
        chr->class->hangup(chr);
}

/* Input that the descriptor does not tell of. */
static bool has_own_input(const Chardev *chr)
{
    return chr->pumps || (chr->class->has_input && chr->class->has_input(chr));
}

void char_stream_update(Chardev *chr)
{
    bool wants_input = chr->user && chr->user->read && !chr->paused && !chr->ended;
    uint32_t in_events = chr->hung_up ? 0 : EPOLLHUP;
    uint32_t out_events = 0;

    lock_take(&chr->lock);
    if (chr->flushing)
        out_events = EPOLLOUT;
    lock_drop(&chr->lock);

    if (wants_input)
        in_events |= EPOLLIN;
    if (chr->out.loop)
        loop_fd_set_events(&chr->out, out_events);
    else
        in_events |= out_events;
    if (chr->in.loop)
        loop_fd_set_events(&chr->in, in_events);
    if (wants_input && has_own_input(chr))
        loop_post(chr->loop, &chr->update);
}

static void end_of_input(Chardev *chr, bool orderly)
{
    if (orderly && char_pending(chr) > 0) {
        chr->ended = true;
        char_stream_update(chr);
    } else {
        chr->class->hangup(chr);
    }
}

static size_t room_of_user(Chardev *chr)
{
    if (!chr->user || !chr->user->read)
        return 0;
    return chr->user->can_read ? chr->user->can_read(chr->opaque) : SIZE_MAX;
}

static void read_some(Chardev *chr, size_t room, bool hangup)
{
    uint8_t data[READ_SIZE];
    ssize_t n;

    room = MIN(room, sizeof(data));
    n = chr->class->receive ? chr->class->receive(chr, data, room)
                            : read(chr->in.fd, data, room);
    if (n > 0 && chr->class->deliver)
        chr->class->deliver(chr, data, n);
    else if (n > 0)
        chr->user->read(chr->opaque, data, n);
    else if (n == 0 || hangup || (errno != EAGAIN && errno != EINTR))
        end_of_input(chr, n == 0 && !hangup);
}

static bool reads_to_end(const Chardev *chr)
{
    return chr->class->reads_to_end || (chr->user && chr->user->reads_to_end);
}

static bool drops_requests(const Chardev *chr)
{
    return chr->class->has_client && chr->user && chr->user->drops_requests;
}

/* The descriptor has input, or @hangup: the far end has closed both directions. */
static void take_input(Chardev *chr, bool hangup)
{
    size_t room = room_of_user(chr);

    if (hangup && (chr->ended || drops_requests(chr))) {
        chr->class->hangup(chr);
    } else if (room > 0 && !chr->ended) {
        read_some(chr, room, hangup);
    } else if (hangup && !reads_to_end(chr)) {
        chr->class->hangup(chr);
    } else {
        chr->paused = true;
        chr->hung_up = hangup;
        char_stream_update(chr);
    }
}

static void on_in(void *opaque, uint32_t events)
{
    Chardev *chr = opaque;

    char_enter(chr);
    if ((events & EPOLLERR) && chr->class->on_error) {
        chr->class->on_error(chr);
        events &= ~EPOLLERR;
    }
    if (events & EPOLLOUT)
        flush(chr);
    if (chr->in.loop && (events & ~EPOLLOUT))
        take_input(chr, events & (EPOLLHUP | EPOLLERR));
    if (chr->in.loop)
        char_stream_update(chr);
    char_leave(chr);
}

static void on_out(void *opaque, uint32_t events)
{
    Chardev *chr = opaque;

    char_enter(chr);
    flush(chr);
    char_stream_update(chr);
    char_leave(chr);
}

static void on_update(void *opaque)
{
    Chardev *chr = opaque;

    char_enter(chr);
    if (has_own_input(chr) && !chr->paused && !chr->ended)
        take_input(chr, false);
    char_stream_update(chr);
    char_leave(chr);
}

void char_accept_input(Chardev *chr)
{
    assert_loop(chr->loop);
    if (chr->class->accept_input)
        chr->class->accept_input(chr);
    if (!chr->paused)
        return;
    chr->paused = false;
    chr->hung_up = false;
    char_stream_update(chr);
}

void char_stream_init(Chardev *chr)
{
    g_mutex_init(&chr->lock);
    loop_fd_init(&chr->in, -1, on_in, chr);
    loop_fd_init(&chr->out, -1, on_out, chr);
    loop_message_init(&chr->update, on_update, chr);
    chr->out_fd = -1;
    chr->log_fd = -1;
}

/* A regular file and the like cannot be polled: it is always ready. */
static bool add_source(Chardev *chr, LoopFd *source, int fd, uint32_t events)
{
    loop_fd_init(source, fd, source->fn, chr);
    return loop_fd_add(chr->loop, source, events, NULL);
}

void char_stream_open(Chardev *chr, int in_fd, int out_fd)
{
    bool out_polls = false;

    if (in_fd >= 0) {
        chr->pumps = !add_source(chr, &chr->in, in_fd, 0);
        /* A descriptor whose errors are not its end takes what it takes. */
        out_polls = in_fd == out_fd && !chr->pumps && !chr->class->on_error;
    }
    if (in_fd != out_fd)
        out_polls = add_source(chr, &chr->out, out_fd, 0);
    chr->paused = false;
    chr->ended = false;
    chr->hung_up = false;

    lock_take(&chr->lock);
    chr->open = true;
    chr->out_fd = out_fd;
    chr->out_polls = out_polls;
    lock_drop(&chr->lock);

    char_stream_update(chr);
    char_send_event(chr, CHAR_EVENT_OPENED);
}

void char_stream_end_input(Chardev *chr)
{
    loop_fd_remove(&chr->in);
    chr->pumps = false;
    chr->ended = false;
    char_send_event(chr, CHAR_EVENT_CLOSED);
}

void char_stream_close(Chardev *chr)
{
    bool was_open, tell;

    loop_fd_remove(&chr->in);
    loop_fd_remove(&chr->out);
    chr->pumps = false;
    chr->ended = false;

    lock_take(&chr->lock);
    was_open = chr->open;
    tell = chr->writer_waits;
    chr->open = false;
    chr->out_fd = -1;
    chr->writer_waits = false;
    drop_buffer_locked(chr);
    lock_drop(&chr->lock);

    if (tell)
        tell_writer(chr);
    if (was_open)
        char_send_event(chr, CHAR_EVENT_CLOSED);
}
