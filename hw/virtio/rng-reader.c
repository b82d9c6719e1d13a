/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of entropy.
 *
 * rng-builtin is getrandom(2).  rng-random is a file, opened non-blocking: a device node,
 * a FIFO, a plain file.  When it has nothing, a reader waits for it on its loop, by epoll
 * where the file can be polled and by a timer where it cannot (/dev/hwrng) or where its
 * end was reached; nothing is waited for while no guest wants entropy.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/rng.h"

#define READ_MAX 4096u
#define RETRY_NS (50 * NS_PER_MS)       /* nothing now, and no poll */
#define RETRY_END_NS NS_PER_SEC         /* end of file, or an error */

typedef struct RngRandom {
    Object object;
    int fd;
} RngRandom;

static RngRandom *to_random(Object *object)
{
    return CONTAINER_OF(object, RngRandom, object);
}

static bool builtin_complete(Object *object, const ObjectOptions *options, GError **error)
{
    return true;
}

static bool random_complete(Object *object, const ObjectOptions *options, GError **error)
{
    RngRandom *random = to_random(object);
    const char *path = options->u.rng_random.filename;

    random->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (random->fd < 0) {
        error_set_errno(error, errno, "parameter 'filename': cannot open '%s'", path);
        return false;
    }
    return true;
}

static void random_done(Object *object)
{
    base_close_fd(&to_random(object)->fd);
}

bool rng_reader_init(RngReader *reader, ObjectSet *set, const char *id, GError **error)
{
    *reader = (RngReader) { .fd = -1 };
    if (!id)
        return true;
    reader->source = object_hold(set, id, OBJECT_FAMILY_RNG, error);
    if (!reader->source) {
        g_prefix_error(error, "parameter 'rng': ");
        return false;
    }
    if (reader->source->class != &rng_random_class)
        return true;
    /* Each reader has its own descriptor: a loop polls one only once. */
    reader->fd = fcntl(to_random(reader->source)->fd, F_DUPFD_CLOEXEC, 0);
    if (reader->fd < 0) {
        error_set_errno(error, errno, "parameter 'rng': cannot use '%s'", id);
        rng_reader_done(reader);
        return false;
    }
    return true;
}

void rng_reader_done(RngReader *reader)
{
    base_close_fd(&reader->fd);
    object_release(g_steal_pointer(&reader->source));
}

static void wait_over(RngReader *reader)
{
    loop_fd_remove(&reader->readable);
    timer_cancel(&reader->retry);
}

static void reader_on_readable(void *opaque, uint32_t events)
{
    RngReader *reader = opaque;

    wait_over(reader);
    reader->ready(reader->opaque);
}

static void reader_on_retry(void *opaque)
{
    RngReader *reader = opaque;

    reader->ready(reader->opaque);
}

void rng_reader_start(RngReader *reader, Loop *loop, LoopFn *ready, void *opaque)
{
    reader->ready = ready;
    reader->opaque = opaque;
    loop_fd_init(&reader->readable, reader->fd, reader_on_readable, reader);
    timer_init(&reader->retry, loop, reader_on_retry, reader);
}

void rng_reader_stop(RngReader *reader)
{
    wait_over(reader);
}

static void wait_ns(RngReader *reader, int64_t ns)
{
    timer_set(&reader->retry, loop_clock_ns() + ns);
}

static void wait_for_more(RngReader *reader)
{
    if (!reader->readable.loop &&
        !loop_fd_add(reader->retry.loop, &reader->readable, EPOLLIN, NULL))
        wait_ns(reader, RETRY_NS);
}

static void wait_after_failure(RngReader *reader, const char *reason)
{
    if (!reader->told_of_failure) {
        reader->told_of_failure = true;
        log_warn("object '%s': no entropy: %s", reader->source->id, reason);
    }
    wait_ns(reader, RETRY_END_NS);
}

size_t rng_reader_read(RngReader *reader, void *data, size_t size)
{
    ssize_t n;

    do {
        n = reader->fd < 0 ? getrandom(data, MIN(size, READ_MAX), GRND_NONBLOCK)
                           : read(reader->fd, data, MIN(size, READ_MAX));
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    if (n == 0)
        wait_after_failure(reader, "end of the file");
    else if (errno != EAGAIN)
        wait_after_failure(reader, error_text(errno));
    else if (reader->fd < 0)
        wait_ns(reader, RETRY_NS);
    else
        wait_for_more(reader);
    return 0;
}

const ObjectClass rng_builtin_class = {
    .name = "rng-builtin",
    .family = OBJECT_FAMILY_RNG,
    .instance_size = sizeof(Object),
    .complete = builtin_complete,
};

const ObjectClass rng_random_class = {
    .name = "rng-random",
    .family = OBJECT_FAMILY_RNG,
    .instance_size = sizeof(RngRandom),
    .complete = random_complete,
    .done = random_done,
};
