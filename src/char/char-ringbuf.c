/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last bytes of the output, kept in memory until a client reads them.  Nothing is
 * refused: new bytes take the place of the oldest.
 */
#include <string.h>

#include "berth/error.h"

#include "char-private.h"

typedef struct CharRingbuf {
    Chardev chr;
    /* Under the chardev's lock. */
    uint8_t *data;
    size_t size;                /* a power of two */
    uint64_t written, read;     /* written - read <= size */
} CharRingbuf;

static CharRingbuf *to_ringbuf(Chardev *chr)
{
    return CONTAINER_OF(chr, CharRingbuf, chr);
}

static bool ringbuf_open(Chardev *chr, const ChardevBackend *backend, GError **error)
{
    CharRingbuf *ring = to_ringbuf(chr);
    int64_t size = backend->u.ringbuf.data->size;

    if (size & (size - 1)) {
        error_set(error, "parameter 'size' expects a power of two, not %" PRId64, size);
        return false;
    }
    ring->size = (size_t)size;
    ring->data = g_try_malloc(ring->size);
    if (!ring->data) {
        error_set(error, "there is no memory for %zu bytes", ring->size);
        return false;
    }
    chr->open = true;
    return true;
}

static void ringbuf_close(Chardev *chr)
{
    g_clear_pointer(&to_ringbuf(chr)->data, g_free);
}

static size_t ringbuf_write(Chardev *chr, const void *data, size_t size)
{
    CharRingbuf *ring = to_ringbuf(chr);
    size_t part = MIN(size, ring->size), begin, first;
    const uint8_t *from = (const uint8_t *)data + (size - part);

    lock_take(&chr->lock);
    ring->written += size - part;
    begin = ring->written & (ring->size - 1);
    first = MIN(part, ring->size - begin);
    memcpy(ring->data + begin, from, first);
    memcpy(ring->data, from + first, part - first);
    ring->written += part;
    if (ring->written - ring->read > ring->size)
        ring->read = ring->written - ring->size;
    lock_drop(&chr->lock);
    return size;
}

/* How many bytes at the end of @data begin a UTF-8 character that has more. */
static size_t unfinished(const uint8_t *data, size_t size)
{
    for (size_t back = 1; back <= MIN(size, 3); back++) {
        uint8_t byte = data[size - back];
        size_t length = byte >= 0xf8   ? 1
                        : byte >= 0xf0 ? 4
                        : byte >= 0xe0 ? 3
                        : byte >= 0xc0 ? 2
                                       : 1;

        if ((byte & 0xc0) != 0x80)
            return length > back ? back : 0;
    }
    return 0;
}

GByteArray *char_ringbuf_read(Chardev *chr, size_t size, bool whole_characters)
{
    CharRingbuf *ring = to_ringbuf(chr);
    GByteArray *bytes = g_byte_array_new();
    size_t begin, first, left_over = 0;

    g_assert(char_is_ringbuf(chr));
    lock_take(&chr->lock);
    size = MIN(size, ring->written - ring->read);
    begin = ring->read & (ring->size - 1);
    first = MIN(size, ring->size - begin);
    g_byte_array_append(bytes, ring->data + begin, first);
    g_byte_array_append(bytes, ring->data, size - first);
    if (whole_characters)
        left_over = unfinished(bytes->data, size);
    /* One that cannot be had as a whole is no reason to stop. */
    if (left_over < size)
        g_byte_array_set_size(bytes, size - left_over);
    ring->read += bytes->len;
    lock_drop(&chr->lock);
    return bytes;
}

bool char_is_ringbuf(const Chardev *chr)
{
    return chr->class == &char_ringbuf_class;
}

const CharClass char_ringbuf_class = {
    .name = "ringbuf",
    .instance_size = sizeof(CharRingbuf),
    .open = ringbuf_open,
    .close = ringbuf_close,
    .write = ringbuf_write,
};
