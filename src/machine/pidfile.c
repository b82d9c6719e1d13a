/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pid file stays locked as long as the process lives, so that a second one is
 * refused.
 *
 * Another process may remove the file or put its own in its place, before we have the
 * lock or after.  So what we have locked is compared with what is at the path:
 * afterwards, when the file is opened again if they differ; and at the end, when only our
 * own is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "berth/pidfile.h"

/* Whether @path leads to what @fd is. */
static bool is_same_file(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static int open_locked(const char *path, GError **error)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    g_autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot create pid file '%s'", path);
        return -1;
    }
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        error_set_errno(error, errno, "pid file '%s' is held by another process", path);
        return -1;
    }
    return autofd_steal(&fd);
}

bool pidfile_write(PidFile *pidfile, const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", getpid());
    g_autofd int fd = open_locked(path, error);

    while (fd >= 0 && !is_same_file(fd, path)) {
        close(fd);
        fd = open_locked(path, error);
    }
    if (fd < 0)
        return false;
    if (ftruncate(fd, 0) < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        error_set_errno(error, errno, "cannot write pid file '%s'", path);
        return false;
    }
    pidfile->path = realpath(path, NULL);
    pidfile->fd = autofd_steal(&fd);
    return true;
}

void pidfile_done(PidFile *pidfile)
{
    if (!pidfile->path)
        return;
    if (is_same_file(pidfile->fd, pidfile->path))
        unlink(pidfile->path);
    base_close_fd(&pidfile->fd);
    g_clear_pointer(&pidfile->path, free);
}
