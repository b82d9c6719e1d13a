/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "berth/aio.h"

#define BLOCK 4096u
#define N_REQS 700u             /* more than a context takes at a time */

typedef struct Request {
    AioReq aio;
    struct iovec iov;
    int64_t ret;
    bool done;
} Request;

typedef struct Fixture {
    Loop *loop;
    char *path;
    int fd;
    uint8_t *memory;
    Request *requests;
    unsigned n_done;
} Fixture;

static Fixture *current;

static void on_done(AioReq *aio, int64_t ret)
{
    Request *request = CONTAINER_OF(aio, Request, aio);

    g_assert_false(request->done);
    request->done = true;
    request->ret = ret;
    current->n_done++;
}

static void set_up(Fixture *f, const void *unused)
{
    f->loop = loop_new("test", THREAD_MAIN, NULL);
    /* Beside the program: what is under /tmp may not know O_DIRECT. */
    f->path = g_strdup("build/test-aio-XXXXXX");
    f->fd = g_mkstemp_full(f->path, O_RDWR | O_DIRECT, 0600);
    g_assert_cmpint(f->fd, >=, 0);
    f->memory = aligned_alloc(BLOCK, N_REQS * BLOCK);
    f->requests = g_new0(Request, N_REQS);
    current = f;
    for (unsigned i = 0; i < N_REQS; i++) {
        memset(f->memory + i * BLOCK, (int)i, BLOCK);
        f->requests[i].aio.done = on_done;
        f->requests[i].iov = (struct iovec) { f->memory + i * BLOCK, BLOCK };
    }
    g_assert_true(aio_attach(f->loop, NULL));
}

static void tear_down(Fixture *f, const void *unused)
{
    aio_detach(f->loop);
    loop_free(f->loop);
    close(f->fd);
    g_unlink(f->path);
    g_free(f->path);
    g_free(f->requests);
    free(f->memory);
}

static void wait_for(Fixture *f, unsigned n)
{
    while (f->n_done < n)
        loop_turn(f->loop, true);
}

static void test_more_than_a_context_takes(Fixture *f, const void *unused)
{
    for (unsigned i = 0; i < N_REQS; i++) {
        Request *r = &f->requests[i];

        aio_prepare_write(&r->aio, f->fd, &r->iov, 1, i * BLOCK, 0);
        aio_submit(f->loop, &r->aio, 0);
    }
    wait_for(f, N_REQS);
    memset(f->memory, 0xee, N_REQS * BLOCK);
    f->n_done = 0;
    for (unsigned i = 0; i < N_REQS; i++) {
        Request *r = &f->requests[i];

        g_assert_cmpint(r->ret, ==, BLOCK);
        r->done = false;
        aio_prepare_read(&r->aio, f->fd, &r->iov, 1, i * BLOCK);
        aio_submit(f->loop, &r->aio, 0);
    }

    wait_for(f, N_REQS);

    for (unsigned i = 0; i < N_REQS; i++)
        g_assert_cmpint(f->memory[i * BLOCK + i % BLOCK], ==, (uint8_t)i);
}

static void test_sync_and_end_of_file(Fixture *f, const void *unused)
{
    Request *sync = &f->requests[0];
    Request *read = &f->requests[1];

    aio_prepare_sync(&sync->aio, f->fd);
    aio_submit(f->loop, &sync->aio, 0);
    aio_prepare_read(&read->aio, f->fd, &read->iov, 1, 16 * BLOCK);
    aio_submit(f->loop, &read->aio, 0);

    wait_for(f, 2);

    g_assert_cmpint(sync->ret, ==, 0);
    g_assert_cmpint(read->ret, ==, 0);
}

/* What the hooks of the turn told already must not be told too late. */
static void test_refused_request_ends_in_the_next_turn(Fixture *f, const void *unused)
{
    Request *bad = &f->requests[0];
    Request *good = &f->requests[1];

    aio_prepare_write(&bad->aio, -1, &bad->iov, 1, 0, 0);
    aio_submit(f->loop, &bad->aio, 0);
    aio_prepare_write(&good->aio, f->fd, &good->iov, 1, 0, 0);
    aio_submit(f->loop, &good->aio, 0);
    g_assert_false(bad->done);

    wait_for(f, 2);

    g_assert_cmpint(bad->ret, ==, -EBADF);
    g_assert_cmpint(good->ret, ==, BLOCK);
}

static void test_misaligned_request_fails_alone(Fixture *f, const void *unused)
{
    Request *bad = &f->requests[0];

    aio_prepare_write(&bad->aio, f->fd, &bad->iov, 1, 3, 0);
    aio_submit(f->loop, &bad->aio, 0);

    wait_for(f, 1);

    g_assert_cmpint(bad->ret, ==, -EINVAL);
}

static void test_batches_are_bounded(Fixture *f, const void *unused)
{
    for (unsigned i = 0; i < 8; i++) {
        Request *r = &f->requests[i];

        aio_prepare_write(&r->aio, i % 2 ? -1 : f->fd, &r->iov, 1, i * BLOCK, 0);
        aio_submit(f->loop, &r->aio, 4);
        /* A refused one of a full batch is told by the next turn. */
        g_assert_cmpuint(f->n_done, ==, 0);
    }

    wait_for(f, 8);

    for (unsigned i = 0; i < 8; i++)
        g_assert_cmpint(f->requests[i].ret, ==, i % 2 ? -EBADF : (int)BLOCK);
}

/* Whether the block was written within @ns without a turn of the loop. */
static bool is_written_without_a_turn(const Fixture *f, unsigned block, int64_t ns)
{
    int64_t end_ns = loop_clock_ns() + ns;
    uint8_t *data = aligned_alloc(BLOCK, BLOCK);
    bool written = false;

    while (!written && loop_clock_ns() < end_ns)
        written = pread(f->fd, data, BLOCK, block * BLOCK) == BLOCK &&
                  data[0] == (uint8_t)block;
    free(data);
    return written;
}

static void test_a_full_batch_does_not_wait_for_the_end_of_the_turn(Fixture *f,
                                                                    const void *unused)
{
    aio_set_max_batch(f->loop, 3);
    for (unsigned i = 1; i <= 4; i++) {
        Request *r = &f->requests[i];

        aio_prepare_write(&r->aio, f->fd, &r->iov, 1, i * BLOCK, 0);
        aio_submit(f->loop, &r->aio, 0);
    }

    g_assert_true(is_written_without_a_turn(f, 3, 60 * NS_PER_SEC));
    g_assert_false(is_written_without_a_turn(f, 4, NS_PER_SEC));
    wait_for(f, 4);
    g_assert_true(is_written_without_a_turn(f, 4, 60 * NS_PER_SEC));
}

static void test_contexts_are_counted(Fixture *f, const void *unused)
{
    g_assert_true(aio_attach(f->loop, NULL));
    aio_detach(f->loop);

    test_sync_and_end_of_file(f, unused);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add(path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/aio/more-than-a-context-takes", test_more_than_a_context_takes);
    ADD("/aio/sync-and-end-of-file", test_sync_and_end_of_file);
    ADD("/aio/refused-request-ends-in-the-next-turn",
        test_refused_request_ends_in_the_next_turn);
    ADD("/aio/misaligned-request-fails-alone", test_misaligned_request_fails_alone);
    ADD("/aio/batches-are-bounded", test_batches_are_bounded);
    ADD("/aio/a-full-batch-does-not-wait",
        test_a_full_batch_does_not_wait_for_the_end_of_the_turn);
    ADD("/aio/contexts-are-counted", test_contexts_are_counted);
    return g_test_run();
}
