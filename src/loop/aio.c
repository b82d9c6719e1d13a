/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux AIO by libaio: one context a loop.
 *
 * A context takes its size out of a quota of the host (fs.aio-max-nr, 65536), which all
 * VMs share.  So it is small: what does not fit waits here until something is done.
 *
 * The completion ring is mapped into the process by io_setup(2) and read without a system
 * call: the kernel stores events, then the tail; we load the tail, then events, and store
 * the head.  Its layout is that of fs/aio.c, guarded by a magic number; where that is
 * another, io_getevents(2) does the same.
 *
 * The eventfd is edge-triggered: each signal ends one sleep, and nobody reads the count.
 */
#include <errno.h>
#include <libaio.h>
#include <sys/eventfd.h>

#include "berth/aio.h"
#include "berth/error.h"

#include "loop-private.h"

#define CONTEXT_SIZE 128
#define RING_MAGIC 0xa10a10a1u
#define RETRY_NS NS_PER_MS
#define EVENTS_PER_CALL 32
#define FIRST_BATCH 4

/* struct aio_ring of the kernel. */
typedef struct AioRing {
    uint32_t id;
    uint32_t nr;
    uint32_t head;
    uint32_t tail;
    uint32_t magic;
    uint32_t compat_features;
    uint32_t incompat_features;
    uint32_t header_length;
    struct io_event events[];
} AioRing;

struct AioContext {
    Loop *loop;
    unsigned n_users;
    io_context_t context;
    AioRing *ring;              /* NULL: not of the known layout */
    int event_fd;
    LoopFd event;
    LoopHook hook;
    Poller poller;
    Timer retry;                /* the kernel had no room, and nothing is under way */
    AioReq *first;              /* to submit */
    AioReq **last;
    unsigned n_waiting;
    unsigned n_in_flight;
    unsigned max_batch;
    AioReq *refused;            /* to complete in the next turn */
    LoopMessage tell;
};

G_STATIC_ASSERT(sizeof(struct iocb) == sizeof(((AioReq *)0)->iocb));

static struct iocb *iocb_of(AioReq *req)
{
    return (struct iocb *)req->iocb;
}

static void complete(AioContext *aio, const struct io_event *event)
{
    AioReq *req = event->data;

    aio->n_in_flight--;
    req->done(req, (int64_t)event->res);
}

static bool ring_has_events(const AioRing *ring)
{
    return ring->head != __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
}

/* A function may submit, and a nested turn may reap. */
static void reap_ring(AioContext *aio)
{
    AioRing *ring = aio->ring;

    while (ring_has_events(ring)) {
        struct io_event event = ring->events[ring->head];

        /* The kernel: reads the head, then fills the entries before it. */
        __atomic_store_n(&ring->head, (ring->head + 1) % ring->nr, __ATOMIC_RELEASE);
        complete(aio, &event);
    }
}

static void reap(AioContext *aio)
{
    struct io_event events[EVENTS_PER_CALL];
    struct timespec no_wait = { 0 };
    int n;

    if (aio->ring) {
        reap_ring(aio);
        return;
    }
    do {
        n = io_getevents(aio->context, 0, EVENTS_PER_CALL, events, &no_wait);
        for (int i = 0; i < n; i++)
            complete(aio, &events[i]);
    } while (n == EVENTS_PER_CALL);
}

static AioReq *take_first(AioContext *aio)
{
    AioReq *req = aio->first;

    aio->first = req->next;
    if (!aio->first)
        aio->last = &aio->first;
    aio->n_waiting--;
    return req;
}

/* The first request cannot be submitted: now, or at all.  Returns whether to go on. */
static bool refuse(AioContext *aio, int errnum)
{
    AioReq *req;

    if (errnum == EAGAIN && aio->n_in_flight == 0)
        timer_set(&aio->retry, loop_clock_ns() + RETRY_NS);
    if (errnum == EAGAIN || errnum == EINTR)
        return errnum == EINTR;
    req = take_first(aio);
    req->error = errnum;
    req->next = aio->refused;
    aio->refused = req;
    /* Not from here: what the turn made was told by other hooks already. */
    loop_post(aio->loop, &aio->tell);
    return true;
}

static void flush(AioContext *aio)
{
    while (aio->first) {
        struct iocb *batch[AIO_MAX_BATCH];
        long n = 0;
        int ret;

        for (AioReq *req = aio->first; req && n < AIO_MAX_BATCH; req = req->next)
            batch[n++] = iocb_of(req);
        ret = io_submit(aio->context, n, batch);
        for (int i = 0; i < ret; i++) {
            take_first(aio);
            aio->n_in_flight++;
        }
        if (ret <= 0 && !refuse(aio, ret < 0 ? -ret : EAGAIN))
            return;
    }
}

static void on_tell(void *opaque)
{
    AioContext *aio = opaque;

    while (aio->refused) {
        AioReq *req = aio->refused;

        aio->refused = req->next;
        req->done(req, -req->error);
    }
}

static void on_before_sleep(void *opaque)
{
    AioContext *aio = opaque;

    if (aio->first && !timer_is_set(&aio->retry))
        flush(aio);
}

static void on_retry(void *opaque)
{
    flush(opaque);
}

static void on_event(void *opaque, uint32_t events)
{
    AioContext *aio = opaque;

    poller_activate(&aio->poller);
    reap(aio);
}

static bool is_ready(void *opaque)
{
    const AioContext *aio = opaque;

    return aio->ring && ring_has_events(aio->ring);
}

static void on_ready(void *opaque)
{
    reap(opaque);
}

/* The kernel signals the eventfd whether we look or not. */
static bool arm(void *opaque)
{
    return is_ready(opaque);
}

static bool open_context(AioContext *aio, GError **error)
{
    int ret = io_setup(CONTEXT_SIZE, &aio->context);

    if (ret < 0) {
        aio->context = NULL;
        error_set_errno(error, -ret, "cannot make a context for asynchronous I/O%s",
                        ret == -EAGAIN ? " (fs.aio-max-nr of the host is used up)" : "");
        return false;
    }
    aio->ring = (AioRing *)aio->context;
    if (aio->ring->magic != RING_MAGIC || aio->ring->incompat_features ||
        aio->ring->header_length != sizeof(AioRing))
        aio->ring = NULL;
    aio->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (aio->event_fd < 0) {
        error_set_errno(error, errno, "cannot make an eventfd");
        return false;
    }
    loop_fd_init(&aio->event, aio->event_fd, on_event, aio);
    return loop_fd_add(aio->loop, &aio->event, EPOLLIN | EPOLLET, error);
}

static void context_free(AioContext *aio)
{
    loop_fd_remove(&aio->event);
    if (aio->context)
        io_destroy(aio->context);
    base_close_fd(&aio->event_fd);
    g_free(aio);
}

bool aio_attach(Loop *loop, GError **error)
{
    AioContext *aio = loop->aio;

    assert_loop(loop);
    if (aio) {
        aio->n_users++;
        return true;
    }
    aio = g_new0(AioContext, 1);
    aio->loop = loop;
    aio->event_fd = -1;
    aio->last = &aio->first;
    aio->max_batch = loop->aio_max_batch;
    if (!open_context(aio, error)) {
        context_free(aio);
        return false;
    }
    aio->n_users = 1;
    aio->poller = (Poller) {
        .ready = is_ready, .run = on_ready, .arm = arm, .opaque = aio,
    };
    poller_add(loop, &aio->poller);
    loop_hook_add(loop, &aio->hook, on_before_sleep, aio);
    timer_init(&aio->retry, loop, on_retry, aio);
    loop_message_init(&aio->tell, on_tell, aio);
    loop->aio = aio;
    return true;
}

void aio_detach(Loop *loop)
{
    AioContext *aio = loop->aio;

    assert_loop(loop);
    if (--aio->n_users > 0)
        return;
    g_assert(!aio->first && !aio->refused && aio->n_in_flight == 0);
    loop->aio = NULL;
    loop_hook_remove(&aio->hook);
    poller_remove(&aio->poller);
    timer_cancel(&aio->retry);
    context_free(aio);
}

static void prepare(AioReq *req, short opcode, int fd, const struct iovec *iov,
                    unsigned n_iov, uint64_t offset)
{
    *iocb_of(req) = (struct iocb) {
        .data = req,
        .aio_lio_opcode = opcode,
        .aio_fildes = fd,
        .u.c.buf = (void *)iov,
        .u.c.nbytes = n_iov,
        .u.c.offset = (long long)offset,
    };
}

void aio_prepare_read(AioReq *req, int fd, const struct iovec *iov, unsigned n_iov,
                      uint64_t offset)
{
    prepare(req, IO_CMD_PREADV, fd, iov, n_iov, offset);
}

void aio_prepare_write(AioReq *req, int fd, const struct iovec *iov, unsigned n_iov,
                       uint64_t offset, int rw_flags)
{
    prepare(req, IO_CMD_PWRITEV, fd, iov, n_iov, offset);
    iocb_of(req)->aio_rw_flags = rw_flags;
}

void aio_prepare_sync(AioReq *req, int fd)
{
    prepare(req, IO_CMD_FDSYNC, fd, NULL, 0, 0);
}

/*
 * How many may wait for the end of the turn.  To hand over a request takes the kernel
 * microseconds, and it starts none of a batch before it has seen them all: a device with
 * nothing to do gets a few at once, and more while it is busy with those.
 */
static unsigned batch_limit(const AioContext *aio)
{
    unsigned limit = FIRST_BATCH + 2 * aio->n_in_flight;

    return MIN(limit, aio->max_batch ? aio->max_batch : AIO_MAX_BATCH);
}

void aio_submit(Loop *loop, AioReq *req, unsigned max_batch)
{
    AioContext *aio = loop->aio;
    unsigned limit = batch_limit(aio);

    assert_loop(loop);
    io_set_eventfd(iocb_of(req), aio->event_fd);
    req->next = NULL;
    *aio->last = req;
    aio->last = &req->next;
    if (max_batch > 0)
        limit = MIN(limit, max_batch);
    if (++aio->n_waiting >= limit && !timer_is_set(&aio->retry))
        flush(aio);
}

unsigned aio_n_in_flight(const Loop *loop)
{
    return loop->aio ? loop->aio->n_in_flight : 0;
}

void aio_set_max_batch(Loop *loop, unsigned max_batch)
{
    assert_loop(loop);
    loop->aio_max_batch = max_batch;
    if (loop->aio)
        loop->aio->max_batch = max_batch;
}
