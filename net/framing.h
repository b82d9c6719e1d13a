/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in a stream of bytes: each behind its length, 4 bytes, big-endian.  A buffer of
 * such bytes, which holds one frame of any size at least.  One thread.
 */
#pragma once

#include "berth/base.h"

#include <sys/uio.h>

/* Of a frame; more ends the connection. */
#define FRAMING_FRAME_MAX (18u + 65535u)
#define FRAMING_SIZE (128u * 1024)

typedef struct Framing {
    uint8_t *bytes;             /* FRAMING_SIZE */
    uint32_t begin;
    uint32_t end;
} Framing;

void framing_init(Framing *framing);
void framing_done(Framing *framing);
void framing_clear(Framing *framing);

static inline uint32_t framing_used(const Framing *framing)
{
    return framing->end - framing->begin;
}

/* Where more bytes go to, and how many; at least 1 when framing_next() gave -EAGAIN. */
struct iovec framing_room(Framing *framing);
/*
 * The size of the first frame, which begins at *@ret_frame; -EAGAIN when it is not whole,
 * -EPROTO when there can be no such frame.
 */
int framing_next(const Framing *framing, const uint8_t **ret_frame);
/* Takes out the first frame, of @size bytes. */
void framing_take(Framing *framing, uint32_t size);
/*
 * Appends a frame: @size bytes of @iov from @offset on.  False: it does not fit now.
 */
bool framing_put(Framing *framing, const struct iovec *iov, unsigned n, size_t offset,
                 uint32_t size);
