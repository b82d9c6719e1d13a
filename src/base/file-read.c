/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file may grow, shrink or be no file while it is read: what counts is what read(2)
 * gives, up to the limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "berth/error.h"
#include "berth/file-read.h"

static int open_regular(const char *path, size_t *ret_size, GError **error)
{
    /* O_NONBLOCK: a FIFO would block until someone writes to it. */
    g_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_set_errno(error, errno, "cannot open '%s'", path);
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        error_set(error, "'%s' is not a regular file", path);
        return -1;
    }
    *ret_size = MAX(st.st_size, 0);
    return autofd_steal(&fd);
}

uint8_t *file_read(const char *path, size_t max, size_t *ret_size, GError **error)
{
    size_t size, done = 0;
    g_autofd int fd = open_regular(path, &size, error);
    g_autofree uint8_t *data = NULL;

    if (fd < 0)
        return NULL;
    /* One byte more than it has tells that it grew. */
    if (size <= max)
        data = g_try_malloc(size + 1);
    while (data && done <= size) {
        ssize_t n = read(fd, data + done, size + 1 - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_set_errno(error, errno, "cannot read '%s'", path);
            return NULL;
        }
        if (n == 0)
            break;
        done += n;
    }
    if (!data || done > size) {
        error_set(error, "'%s' has more than %zu bytes", path, MIN(size, max));
        return NULL;
    }
    data[done] = '\0';
    *ret_size = done;
    return g_steal_pointer(&data);
}
