/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/iov.h"

#define SIZE 24u

static const size_t lengths[] = { 5, 1, 0, 10, 8 };

typedef struct Buffers {
    uint8_t memory[SIZE];
    struct iovec iov[G_N_ELEMENTS(lengths)];
} Buffers;

static void fill(Buffers *buffers)
{
    size_t at = 0;

    for (unsigned i = 0; i < SIZE; i++)
        buffers->memory[i] = (uint8_t)(i + 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        buffers->iov[i] = (struct iovec) { buffers->memory + at, lengths[i] };
        at += lengths[i];
    }
}

static void test_read_and_write_at_every_place(void)
{
    Buffers buffers;

    for (size_t offset = 0; offset <= SIZE + 1; offset++) {
        for (size_t size = 0; size <= SIZE + 1; size++) {
            size_t expected = offset < SIZE ? MIN(size, SIZE - offset) : 0;
            uint8_t data[SIZE + 1] = { 0 };

            fill(&buffers);
            g_assert_cmpuint(iov_read(buffers.iov, 5, offset, data, size), ==, expected);
            g_assert_cmpmem(data, expected, buffers.memory + MIN(offset, SIZE), expected);

            memset(data, 0xaa, sizeof(data));
            g_assert_cmpuint(iov_write(buffers.iov, 5, offset, data, size), ==, expected);
            for (size_t i = 0; i < SIZE; i++)
                g_assert_cmpint(buffers.memory[i], ==,
                                i >= offset && i < offset + size ? 0xaa : (int)i + 1);
        }
    }
}

static void test_slice_is_the_part_and_is_put_back(void)
{
    Buffers buffers;
    struct iovec before[G_N_ELEMENTS(lengths)];

    fill(&buffers);
    memcpy(before, buffers.iov, sizeof(before));
    for (size_t offset = 0; offset < SIZE; offset++) {
        for (size_t size = 1; size <= SIZE - offset; size++) {
            uint8_t data[SIZE];
            IovSlice slice;

            iov_slice_begin(&slice, buffers.iov, offset, size);
            g_assert_cmpuint(iov_size(slice.iov, slice.n_iov), ==, size);
            iov_read(slice.iov, slice.n_iov, 0, data, size);
            g_assert_cmpmem(data, size, buffers.memory + offset, size);
            iov_slice_end(&slice);

            g_assert_cmpmem(buffers.iov, sizeof(before), before, sizeof(before));
        }
    }
}

static void test_zero(void)
{
    Buffers buffers;

    fill(&buffers);
    g_assert_false(iov_is_zero(buffers.iov, 5));
    iov_zero(buffers.iov, 5, 1, SIZE - 2);
    g_assert_cmpint(buffers.memory[0], ==, 1);
    g_assert_cmpint(buffers.memory[SIZE - 1], ==, SIZE);
    g_assert_false(iov_is_zero(buffers.iov, 5));
    iov_zero(buffers.iov, 5, 0, SIZE);
    g_assert_true(iov_is_zero(buffers.iov, 5));

    for (unsigned i = 0; i < SIZE; i++) {
        buffers.memory[i] = 1;
        g_assert_false(iov_is_zero(buffers.iov, 5));
        buffers.memory[i] = 0;
    }
}

static void test_alignment(void)
{
    _Alignas(16) uint8_t memory[64];
    struct iovec iov[2] = { { memory, 16 }, { memory + 16, 32 } };

    g_assert_true(iov_is_aligned(iov, 2, 16));
    iov[1].iov_len = 24;
    g_assert_false(iov_is_aligned(iov, 2, 16));
    g_assert_true(iov_is_aligned(iov, 2, 8));
    iov[0].iov_base = memory + 1;
    g_assert_false(iov_is_aligned(iov, 2, 8));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/iov/read-and-write-at-every-place",
                    test_read_and_write_at_every_place);
    g_test_add_func("/iov/slice-is-the-part-and-is-put-back",
                    test_slice_is_the_part_and_is_put_back);
    g_test_add_func("/iov/zero", test_zero);
    g_test_add_func("/iov/alignment", test_alignment);
    return g_test_run();
}
