/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two named pipes, PATH.in and PATH.out, or one file for both directions.
 *
 * Both are opened for reading and writing, so that opening waits for nobody and the far
 * ends may come and go unseen.  Output that nobody reads fills the pipe and then the
 * chardev's buffer; after that it is refused, as by any reader that stops.
 */
#include <fcntl.h>

#include "berth/error.h"

#include "char-private.h"

#define PIPE_FLAGS (O_RDWR | O_NONBLOCK)

typedef struct CharPipe {
    Chardev chr;
    int in_fd;
    int out_fd;                 /* -1: in_fd is both */
} CharPipe;

static CharPipe *to_pipe(Chardev *chr)
{
    return CONTAINER_OF(chr, CharPipe, chr);
}

static int open_half(Chardev *chr, const char *path, const char *suffix)
{
    g_autofree char *name = g_strconcat(path, suffix, NULL);

    return char_open_file(chr->set, name, PIPE_FLAGS, NULL);
}

static bool pipe_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    CharPipe *pipe = to_pipe(chr);
    const char *path = backend->u.pipe.data->device;

    pipe->in_fd = open_half(chr, path, ".in");
    pipe->out_fd = open_half(chr, path, ".out");
    if (pipe->in_fd < 0 || pipe->out_fd < 0) {
        base_close_fd(&pipe->in_fd);
        base_close_fd(&pipe->out_fd);
        pipe->in_fd = char_open_file(chr->set, path, PIPE_FLAGS, error);
        if (pipe->in_fd < 0) {
            g_prefix_error(error, "there are no '%s.in' and '%s.out', and: ", path, path);
            return false;
        }
    }
    char_stream_open(chr, pipe->in_fd, pipe->out_fd >= 0 ? pipe->out_fd : pipe->in_fd);
    return true;
}

static void pipe_close(Chardev *chr)
{
    char_stream_close(chr);
    base_close_fd(&to_pipe(chr)->in_fd);
    base_close_fd(&to_pipe(chr)->out_fd);
}

const CharClass char_pipe_class = {
    .name = "pipe",
    .instance_size = sizeof(CharPipe),
    .open = pipe_open,
    .close = pipe_close,
    .hangup = char_stream_end_input,
    .reads_to_end = true,
};
