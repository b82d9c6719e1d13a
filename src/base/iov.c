/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on arrays of struct iovec.
 */
#include <string.h>

#include "berth/iov.h"

typedef void PieceFn(void *at, size_t size, void *opaque);

uint64_t iov_size(const struct iovec *iov, unsigned n_iov)
{
    uint64_t size = 0;

    for (unsigned i = 0; i < n_iov; i++)
        size += iov[i].iov_len;
    return size;
}

/* Calls @fn for the pieces of [@offset, @offset + @size); returns their bytes. */
static size_t walk(const struct iovec *iov, unsigned n_iov, size_t offset, size_t size,
                   PieceFn *fn, void *opaque)
{
    size_t done = 0;

    for (unsigned i = 0; i < n_iov && done < size; i++) {
        size_t n;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        n = MIN(iov[i].iov_len - offset, size - done);
        fn((uint8_t *)iov[i].iov_base + offset, n, opaque);
        done += n;
        offset = 0;
    }
    return done;
}

static void copy_out(void *at, size_t size, void *opaque)
{
    uint8_t **to = opaque;

    memcpy(*to, at, size);
    *to += size;
}

static void copy_in(void *at, size_t size, void *opaque)
{
    const uint8_t **from = opaque;

    memcpy(at, *from, size);
    *from += size;
}

static void clear(void *at, size_t size, void *opaque)
{
    memset(at, 0, size);
}

size_t iov_read(const struct iovec *iov, unsigned n_iov, size_t offset, void *data,
                size_t size)
{
    uint8_t *to = data;

    return walk(iov, n_iov, offset, size, copy_out, &to);
}

size_t iov_write(const struct iovec *iov, unsigned n_iov, size_t offset, const void *data,
                 size_t size)
{
    const uint8_t *from = data;

    return walk(iov, n_iov, offset, size, copy_in, &from);
}

void iov_zero(const struct iovec *iov, unsigned n_iov, size_t offset, size_t size)
{
    walk(iov, n_iov, offset, size, clear, NULL);
}

static bool is_zero(const uint8_t *data, size_t size)
{
    size_t head = MIN(size, 16);

    for (size_t i = 0; i < head; i++) {
        if (data[i])
            return false;
    }
    return size == head || memcmp(data, data + head, size - head) == 0;
}

bool iov_is_zero(const struct iovec *iov, unsigned n_iov)
{
    for (unsigned i = 0; i < n_iov; i++) {
        if (!is_zero(iov[i].iov_base, iov[i].iov_len))
            return false;
    }
    return true;
}

bool iov_is_aligned(const struct iovec *iov, unsigned n_iov, size_t align)
{
    uintptr_t bits = 0;

    for (unsigned i = 0; i < n_iov; i++)
        bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
    return !(bits & (align - 1));
}

void iov_slice_begin(IovSlice *slice, struct iovec *iov, size_t offset, size_t size)
{
    struct iovec *last;
    size_t end;

    while (offset >= iov->iov_len) {
        offset -= iov->iov_len;
        iov++;
    }
    last = iov;
    for (end = offset + size; end > last->iov_len; last++)
        end -= last->iov_len;
    *slice = (IovSlice) {
        .iov = iov, .n_iov = (unsigned)(last - iov) + 1, .first = *iov, .last = *last,
    };
    last->iov_len = end;
    iov->iov_base = (uint8_t *)iov->iov_base + offset;
    iov->iov_len -= offset;
}

void iov_slice_end(const IovSlice *slice)
{
    slice->iov[slice->n_iov - 1] = slice->last;
    slice->iov[0] = slice->first;
}
