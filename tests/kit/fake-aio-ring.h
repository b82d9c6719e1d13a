/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of completions that the kernel shares with a process (struct aio_ring of
 * fs/aio.c), for tests that are the kernel.
 */
#pragma once

#include <libaio.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_AIO_RING_SIZE 129u

typedef struct FakeAioRing {
    uint32_t id;
    uint32_t nr;
    uint32_t head;
    uint32_t tail;
    uint32_t magic;
    uint32_t compat_features;
    uint32_t incompat_features;
    uint32_t header_length;
    struct io_event events[FAKE_AIO_RING_SIZE];
} FakeAioRing;

/* An empty one, as what io_setup(2) gives. */
static inline io_context_t fake_aio_ring_init(FakeAioRing *ring)
{
    *ring = (FakeAioRing) {
        .nr = FAKE_AIO_RING_SIZE, .magic = 0xa10a10a1u,
        .header_length = offsetof(FakeAioRing, events),
    };
    return (io_context_t)ring;
}

/* What the process sees when it looks next. */
static inline void fake_aio_ring_add(FakeAioRing *ring, struct io_event event)
{
    ring->events[ring->tail] = event;
    __atomic_store_n(&ring->tail, (ring->tail + 1) % FAKE_AIO_RING_SIZE,
                     __ATOMIC_RELEASE);
}
