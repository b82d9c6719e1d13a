/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in a stream of bytes.
 *
 *     bytes   [ free | length frame length frame leng | free ]
 *                    ^begin                           ^end
 *
 * The bytes move to the front when there is no room behind them, which is once in a
 * buffer's length.
 */
#include <errno.h>
#include <string.h>

#include "berth/iov.h"

#include "framing.h"

#define LENGTH_SIZE 4u

G_STATIC_ASSERT(FRAMING_SIZE >= FRAMING_FRAME_MAX + LENGTH_SIZE);

void framing_init(Framing *framing)
{
    *framing = (Framing) { .bytes = g_malloc(FRAMING_SIZE) };
}

void framing_done(Framing *framing)
{
    g_clear_pointer(&framing->bytes, g_free);
}

void framing_clear(Framing *framing)
{
    framing->begin = framing->end = 0;
}

static void move_to_front(Framing *framing)
{
    uint32_t used = framing_used(framing);

    memmove(framing->bytes, framing->bytes + framing->begin, used);
    framing->begin = 0;
    framing->end = used;
}

struct iovec framing_room(Framing *framing)
{
    if (framing->begin > 0)
        move_to_front(framing);
    return (struct iovec) {
        framing->bytes + framing->end, FRAMING_SIZE - framing->end,
    };
}

int framing_next(const Framing *framing, const uint8_t **ret_frame)
{
    uint32_t used = framing_used(framing), size;

    if (used < LENGTH_SIZE)
        return -EAGAIN;
    memcpy(&size, framing->bytes + framing->begin, LENGTH_SIZE);
    size = GUINT32_FROM_BE(size);
    if (size > FRAMING_FRAME_MAX)
        return -EPROTO;
    if (used - LENGTH_SIZE < size)
        return -EAGAIN;
    *ret_frame = framing->bytes + framing->begin + LENGTH_SIZE;
    return (int)size;
}

void framing_take(Framing *framing, uint32_t size)
{
    framing->begin += LENGTH_SIZE + size;
    if (framing->begin == framing->end)
        framing_clear(framing);
}

bool framing_put(Framing *framing, const struct iovec *iov, unsigned n, size_t offset,
                 uint32_t size)
{
    uint32_t length = GUINT32_TO_BE(size);

    if (FRAMING_SIZE - framing_used(framing) < LENGTH_SIZE + size)
        return false;
    if (FRAMING_SIZE - framing->end < LENGTH_SIZE + size)
        move_to_front(framing);
    memcpy(framing->bytes + framing->end, &length, LENGTH_SIZE);
    iov_read(iov, n, offset, framing->bytes + framing->end + LENGTH_SIZE, size);
    framing->end += LENGTH_SIZE + size;
    return true;
}
