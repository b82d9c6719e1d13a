/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pid file stays locked as long as the process lives, so that a second one is
 * refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"

#include "berth/pidfile.h"

bool pidfile_write(PidFile *pidfile, const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", getpid());
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    g_autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot create pid file '%s'", path);
        return false;
    }
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        error_set_errno(error, errno, "pid file '%s' is held by another process", path);
        return false;
    }
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
    unlink(pidfile->path);
    base_close_fd(&pidfile->fd);
    g_clear_pointer(&pidfile->path, free);
}
