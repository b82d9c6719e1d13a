/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output to a file.  O_NONBLOCK is for a FIFO: opening one that nobody reads fails, and
 * a slow reader gives back-pressure.
 */
#include <fcntl.h>

#include "berth/error.h"

#include "char-private.h"

typedef struct CharFile {
    Chardev chr;
    int fd;
} CharFile;

static CharFile *to_file(Chardev *chr)
{
    return CONTAINER_OF(chr, CharFile, chr);
}

static bool file_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    const ChardevFile *options = &backend->u.file;
    int mode = options->append ? O_APPEND : O_TRUNC;
    CharFile *file = to_file(chr);

    file->fd = char_open_file(chr->set, options->path,
                              O_WRONLY | O_CREAT | O_NONBLOCK | mode, error);
    if (file->fd < 0) {
        g_prefix_error(error, "parameter 'path': ");
        return false;
    }
    char_stream_open(chr, -1, file->fd);
    return true;
}

static void file_close(Chardev *chr)
{
    char_stream_close(chr);
    base_close_fd(&to_file(chr)->fd);
}

const CharClass char_file_class = {
    .name = "file",
    .instance_size = sizeof(CharFile),
    .open = file_open,
    .close = file_close,
};
