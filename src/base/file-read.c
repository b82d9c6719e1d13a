/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What read(2) gives counts, up to the limit, and not a size that is told beforehand:
 * files of sysfs tell none, and others change.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "berth/error.h"
#include "berth/file-read.h"

#define FIRST_SIZE 4096u

static int open_regular(const char *path, GError **error)
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
    return autofd_steal(&fd);
}

/* Makes *@data larger, up to one byte beyond @max; false when there is no memory. */
static bool make_room(uint8_t **data, size_t *capacity, size_t max)
{
    size_t wanted = MIN(MAX(*capacity * 2, FIRST_SIZE), max + 1);
    uint8_t *grown = g_try_realloc(*data, wanted);

    if (!grown)
        return false;
    *data = grown;
    *capacity = wanted;
    return true;
}

uint8_t *file_read(const char *path, size_t max, size_t *ret_size, GError **error)
{
    g_autofd int fd = open_regular(path, error);
    g_autofree uint8_t *data = NULL;
    size_t capacity = 0, done = 0;
    ssize_t n;

    if (fd < 0)
        return NULL;
    do {
        if (done == capacity && !make_room(&data, &capacity, max)) {
            error_set(error, "no memory for '%s'", path);
            return NULL;
        }
        n = read(fd, data + done, capacity - done);
        if (n < 0 && errno != EINTR) {
            error_set_errno(error, errno, "cannot read '%s'", path);
            return NULL;
        }
        done += MAX(n, 0);
        /* The byte that is one too many has room, and is where the NUL goes. */
        if (done > max) {
            error_set(error, "'%s' has more than %zu bytes", path, max);
            return NULL;
        }
    } while (n != 0);
    data[done] = '\0';
    *ret_size = done;
    return g_steal_pointer(&data);
}
