/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on arrays of struct iovec.  Any thread; the arrays belong to the caller.
 */
#pragma once

#include "berth/base.h"

#include <sys/uio.h>

/* The bytes of all buffers. */
uint64_t iov_size(const struct iovec *iov, unsigned n_iov);

/* Copies up to @size bytes at @offset of the buffers; returns how many there were. */
size_t iov_read(const struct iovec *iov, unsigned n_iov, size_t offset, void *data,
                size_t size);
size_t iov_write(const struct iovec *iov, unsigned n_iov, size_t offset, const void *data,
                 size_t size);
void iov_zero(const struct iovec *iov, unsigned n_iov, size_t offset, size_t size);
bool iov_is_zero(const struct iovec *iov, unsigned n_iov);

/* Whether every buffer begins at and has a length of a multiple of @align. */
bool iov_is_aligned(const struct iovec *iov, unsigned n_iov, size_t align);

/*
 * A part of an array, made in place: the first and the last buffer are cut until
 * iov_slice_end() puts them back.  One slice of an array at a time.
 */
typedef struct IovSlice {
    struct iovec *iov;
    unsigned n_iov;
    struct iovec first;
    struct iovec last;
} IovSlice;

/* [@offset, @offset + @size) is within the buffers, and @size is not 0. */
void iov_slice_begin(IovSlice *slice, struct iovec *iov, size_t offset, size_t size);
void iov_slice_end(const IovSlice *slice);
