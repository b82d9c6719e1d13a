/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy of a chardev's output ("logfile").
 *
 * It may be a pipe whose reader is slow, and the writer may be a vCPU.  So a descriptor
 * that is no regular file is polled first and given no more than a pipe that polls
 * writable has room for; what does not fit is lost to the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "char-private.h"

bool char_log_open(Chardev *chr, const ChardevCommon *common, GError **error)
{
    int mode = common->logappend ? O_APPEND : O_TRUNC;
    struct stat stat;

    if (!common->logfile)
        return true;
    /* A FIFO that nobody reads is an error, and no wait. */
    chr->log_fd = char_open_file(chr->set, common->logfile,
                                 O_WRONLY | O_CREAT | O_NONBLOCK | mode, error);
    if (chr->log_fd < 0) {
        g_prefix_error(error, "parameter 'logfile': ");
        return false;
    }
    chr->log_is_file = fstat(chr->log_fd, &stat) == 0 && S_ISREG(stat.st_mode);
    return true;
}

static bool has_room(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT);
}

void char_log_write_locked(Chardev *chr, const void *data, size_t size)
{
    const uint8_t *at = data;

    if (chr->log_fd < 0)
        return;
    while (size > 0 && (chr->log_is_file || has_room(chr->log_fd))) {
        ssize_t n = write(chr->log_fd, at, chr->log_is_file ? size : MIN(size, PIPE_BUF));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EPIPE &&
            log_limit_pass(&chr->log_limit, NULL))
            log_warn("chardev '%s': the copy in 'logfile' is lost: %s", chr->id,
                     error_text(errno));
        if (n <= 0)
            return;
        at += n;
        size -= n;
    }
}
