/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing without ever being stuck.  A file takes what it is given, or fails.  A pipe or
 * socket whose reader has stopped would block for ever, so those are written to without
 * waiting and waited for by poll(2), together with the descriptor that tells of a cancel.
 *
 * A run of zeros at the end of a file is a hole: nothing is written, and the file gets
 * its length later.  That holds only where there is nothing yet: a file that was passed
 * in and has bytes beyond its position, or one that is appended to, gets its zeros
 * written.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "dump-sink.h"

/* So much at a time, so that a cancel is served soon. */
#define WRITE_MAX (1 * MIB)
#define ZEROS_SIZE (64 * KIB)

static bool fail(int err, GError **error)
{
    error_set_errno(error, err, "cannot write the dump");
    return false;
}

static bool is_new_end(int fd, int flags, const struct stat *stat)
{
    off_t at = lseek(fd, 0, SEEK_CUR);

    return S_ISREG(stat->st_mode) && !(flags & O_APPEND) && at >= 0 &&
           stat->st_size <= at;
}

bool dump_sink_init(DumpSink *sink, int fd, int cancel_fd, GError **error)
{
    struct stat stat;
    int flags = fcntl(fd, F_GETFL);

    *sink = (DumpSink) { .fd = fd, .cancel_fd = cancel_fd, .fd_flags = flags };
    if (flags < 0 || fstat(fd, &stat) < 0)
        return fail(errno, error);
    if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH)) {
        error_set(error, "cannot write the dump: the descriptor is not open for writing");
        return false;
    }
    sink->polls = !S_ISREG(stat.st_mode) && !S_ISBLK(stat.st_mode);
    sink->may_skip = is_new_end(fd, flags, &stat);
    if (sink->polls)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return true;
}

void dump_sink_done(DumpSink *sink)
{
    if (sink->polls)
        fcntl(sink->fd, F_SETFL, sink->fd_flags);
    g_clear_pointer(&sink->zeros, g_free);
}

/* False with @error when the dump was cancelled. */
static bool go_on(DumpSink *sink, GError **error)
{
    struct pollfd cancel = { .fd = sink->cancel_fd, .events = POLLIN };

    if (poll(&cancel, 1, 0) <= 0)
        return true;
    error_set(error, "the dump was cancelled");
    return false;
}

/* Waits until there is room, or the dump is cancelled. */
static void wait_for_room(DumpSink *sink)
{
    struct pollfd fds[] = {
        { .fd = sink->cancel_fd, .events = POLLIN },
        { .fd = sink->fd, .events = POLLOUT },
    };

    poll(fds, G_N_ELEMENTS(fds), -1);
}

/* To @offset, or where the file is when that is negative. */
static bool write_all(DumpSink *sink, int64_t offset, const void *data, size_t size,
                      GError **error)
{
    const uint8_t *bytes = data;

    while (size > 0) {
        size_t part = MIN(size, WRITE_MAX);
        ssize_t n;

        if (!go_on(sink, error))
            return false;
        n = offset < 0 ? write(sink->fd, bytes, part)
                       : pwrite(sink->fd, bytes, part, offset);
        if (n < 0 && errno == EAGAIN && sink->polls) {
            wait_for_room(sink);
            continue;
        }
        if (n < 0 && errno != EINTR)
            return fail(errno, error);
        if (n == 0)
            return fail(ENOSPC, error);
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
            offset += offset < 0 ? 0 : n;
        }
    }
    return true;
}

static bool end_hole(DumpSink *sink, GError **error)
{
    if (sink->skipped > 0 && lseek(sink->fd, (off_t)sink->skipped, SEEK_CUR) < 0)
        return fail(errno, error);
    sink->skipped = 0;
    return true;
}

bool dump_sink_write(DumpSink *sink, const void *data, size_t size, GError **error)
{
    return end_hole(sink, error) && write_all(sink, -1, data, size, error);
}

bool dump_sink_write_zeros(DumpSink *sink, uint64_t size, GError **error)
{
    if (sink->may_skip) {
        sink->skipped += size;
        return go_on(sink, error);
    }
    if (!sink->zeros && size > 0)
        sink->zeros = g_malloc0(ZEROS_SIZE);
    while (size > 0) {
        size_t part = MIN(size, ZEROS_SIZE);

        if (!dump_sink_write(sink, sink->zeros, part, error))
            return false;
        size -= part;
    }
    return true;
}

bool dump_sink_finish(DumpSink *sink, GError **error)
{
    off_t end;

    if (sink->skipped == 0)
        return true;
    if (!end_hole(sink, error))
        return false;
    end = lseek(sink->fd, 0, SEEK_CUR);
    return end >= 0 && ftruncate(sink->fd, end) == 0 ? true : fail(errno, error);
}

bool dump_sink_can_seek(const DumpSink *sink)
{
    return !sink->polls && !(sink->fd_flags & O_APPEND) &&
           lseek(sink->fd, 0, SEEK_CUR) >= 0;
}

bool dump_sink_write_at(DumpSink *sink, uint64_t offset, const void *data, size_t size,
                        GError **error)
{
    return write_all(sink, (int64_t)offset, data, size, error);
}
