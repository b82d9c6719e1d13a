/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous file I/O of a loop: the kernel's native interface (io_submit(2)).
 *
 * What is submitted in a turn leaves in few system calls before the loop sleeps: small
 * ones while the disk has nothing to do, large ones when it is busy.  What is done is
 * read out of the ring that the kernel shares; an eventfd wakes a loop that sleeps.  A
 * request that the kernel has no room for waits in a list, in order.
 *
 * Only for descriptors that the kernel serves asynchronously: files and block devices
 * opened with O_DIRECT.  On others io_submit() itself blocks.
 *
 * All functions: the loop's thread, or one thread before it runs.
 */
#pragma once

#include <sys/uio.h>

#include "berth/loop.h"

typedef struct AioReq AioReq;

/* @ret: bytes, which may be fewer than asked for, or a negative errno. */
typedef void AioFn(AioReq *req, int64_t ret);

/* A request, embedded in its owner.  Its own from aio_submit() to done(). */
struct AioReq {
    _Alignas(8) uint8_t iocb[64];       /* the kernel's struct iocb */
    AioReq *next;
    int error;
    AioFn *done;                /* set by the owner */
};

/* The most requests that leave in one system call. */
#define AIO_MAX_BATCH 128u

/*
 * Makes the loop able to do I/O; users are counted.  False with @error when the host has
 * no contexts left (fs.aio-max-nr).
 */
bool aio_attach(Loop *loop, GError **error);
/* The last one frees the context; none of its requests is under way. */
void aio_detach(Loop *loop);

/* @iov is lent until the request is done.  @rw_flags: RWF_* of preadv2(2). */
void aio_prepare_read(AioReq *req, int fd, const struct iovec *iov, unsigned n_iov,
                      uint64_t offset);
void aio_prepare_write(AioReq *req, int fd, const struct iovec *iov, unsigned n_iov,
                       uint64_t offset, int rw_flags);
/* fdatasync(2). */
void aio_prepare_sync(AioReq *req, int fd);

/*
 * Submits the prepared @req at the end of the turn at the latest, and when @max_batch
 * wait for that (0: as many as the loop allows).
 */
void aio_submit(Loop *loop, AioReq *req, unsigned max_batch);

/* Submit when so many wait at the latest; 0: AIO_MAX_BATCH. */
void aio_set_max_batch(Loop *loop, unsigned max_batch);
