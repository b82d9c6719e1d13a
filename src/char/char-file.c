/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output to a file, and input from another.  O_NONBLOCK is for a FIFO: opening one for
 * output that nobody reads fails, and a slow reader gives back-pressure.
 */
#include <fcntl.h>

#include "berth/error.h"

#include "char-private.h"

typedef struct CharFile {
    Chardev chr;
    int in_fd;                  /* -1: none */
    int out_fd;
} CharFile;

static CharFile *to_file(Chardev *chr)
{
    return CONTAINER_OF(chr, CharFile, chr);
}

static bool file_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    const ChardevFile *options = backend->u.file.data;
    int mode = options->append ? O_APPEND : O_TRUNC;
    CharFile *file = to_file(chr);

    file->in_fd = -1;
    file->out_fd = char_open_file(chr->set, options->out,
                                  O_WRONLY | O_CREAT | O_NONBLOCK | mode, error);
    if (file->out_fd < 0) {
        g_prefix_error(error, "output file: ");
        return false;
    }
    if (options->in) {
        file->in_fd = char_open_file(chr->set, options->in, O_RDONLY | O_NONBLOCK, error);
        if (file->in_fd < 0) {
            g_prefix_error(error, "input file: ");
            return false;
        }
    }
    char_stream_open(chr, file->in_fd, file->out_fd);
    return true;
}

static void file_close(Chardev *chr)
{
    char_stream_close(chr);
    base_close_fd(&to_file(chr)->in_fd);
    base_close_fd(&to_file(chr)->out_fd);
}

const CharClass char_file_class = {
    .name = "file",
    .instance_size = sizeof(CharFile),
    .open = file_open,
    .close = file_close,
    .hangup = char_stream_end_input,
    .reads_to_end = true,
};
