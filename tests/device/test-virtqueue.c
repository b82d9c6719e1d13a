/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues through a device of the test's own: each request is held until the
 * test ends it.  Hostile chains and rings by table.
 */
#include <string.h>

#include "berth/timer.h"
#include "berth/virtio.h"

#include "kit-chains.h"

#define EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define SIZE KIT_CHAINS_RING
#define TABLE KIT_CHAINS_TABLE
#define DATA KIT_VIRTIO_DATA

typedef struct Fixture {
    KitBoard *kit;
    VirtioDevice *vdev;
    Virtqueue *vq;
    KitVirtio *v;
} Fixture;

/* What the device under test does; tests fork no threads, so this may be static. */
static struct {
    bool holds;                 /* requests, until the test ends them */
    bool is_slow;               /* also when it is stopped */
    bool retains;               /* virtqueue_hold() */
    VirtqueueReq *held[64];
    unsigned n_held;
    unsigned n_rounds;
    KitVirtio *refills;         /* offers chain 0 again after each request */
    uint32_t out_size;          /* of the last request */
    uint32_t in_size;
    unsigned n_out;
    unsigned n_in;
} sink;

static void sink_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtqueueReq *req;

    sink.n_rounds++;
    while ((req = virtqueue_pop(vq))) {
        sink.out_size = req->out_size;
        sink.in_size = req->in_size;
        sink.n_out = req->n_out;
        sink.n_in = req->n_in;
        if (sink.holds)
            sink.held[sink.n_held++] = req;
        else if (sink.retains)
            virtqueue_hold(vq, req);
        else
            virtqueue_push(vq, req, req->in_size);
        if (sink.refills)
            kit_virtio_offer(sink.refills, 0);
    }
}

static void end_requests(void)
{
    while (sink.n_held) {
        VirtqueueReq *req = sink.held[--sink.n_held];

        virtqueue_push(req->vq, req, 0);
    }
}

static void sink_stop(VirtioDevice *vdev)
{
    if (!sink.is_slow)
        end_requests();
}

/* The entropy device with the sink's functions in place of its own. */
static void fixture_init(Fixture *f, uint64_t features, unsigned size)
{
    static VirtioClass class;
    Device *dev;

    memset(&sink, 0, sizeof(sink));
    f->kit = kit_board_new();
    dev = kit_add(f->kit, "{'driver': 'virtio-rng-pci', 'id': 'sink'}");
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, dev);
    f->vdev = virtio_pci_device(dev);
    class = *f->vdev->class;
    class.start = NULL;
    class.stop = sink_stop;
    class.handle_queue = sink_handle_queue;
    class.req_size = 32;
    f->vdev->class = &class;
    f->vq = &f->vdev->queues[0];
    f->vq->max_size = SIZE;
    kit_virtio_start(f->v, features | VERSION_1, size);
    kit_run(f->kit);
    sink.n_rounds = 0;
}

static void fixture_done(Fixture *f)
{
    kit_virtio_set_status(f->v, 0);
    f->vdev->class = &virtio_rng_class;
    kit_board_free(f->kit);
    g_free(f->v);
}

static unsigned interrupts(Fixture *f)
{
    return kit_msix_count(f->kit, KIT_VIRTIO_VECTOR_DATA);
}

static void offer_one(Fixture *f, uint16_t head)
{
    kit_virtio_desc(f->v, head, KIT_VIRTIO_DATA + head * 0x1000, 16, 0, 0);
    kit_virtio_offer(f->v, head);
}

static void assert_broken(Fixture *f, bool broken)
{
    bool is_broken = kit_virtio_status(f->v) & VIRTIO_CONFIG_S_NEEDS_RESET;

    g_assert_cmpint(is_broken, ==, broken);
}

static void test_chain_is_read_and_written(void)
{
    uint32_t head, len;
    char text[16] = { 0 };
    Fixture f;

    fixture_init(&f, 0, SIZE);
    sink.holds = true;
    memcpy(kit_ram(f.kit, KIT_VIRTIO_DATA, 8), "one.", 4);
    memcpy(kit_ram(f.kit, KIT_VIRTIO_DATA + 0x100, 8), "two.", 4);
    kit_virtio_desc(f.v, 3, KIT_VIRTIO_DATA, 4, VRING_DESC_F_NEXT, 7);
    kit_virtio_desc(f.v, 7, KIT_VIRTIO_DATA + 0x100, 4, VRING_DESC_F_NEXT, 0);
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA + 0x200, 2,
                    VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
    kit_virtio_desc(f.v, 1, KIT_VIRTIO_DATA + 0x300, 100, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 3);
    kit_virtio_kick(f.v);

    g_assert_cmpuint(sink.n_held, ==, 1);
    g_assert_cmpuint(sink.n_out, ==, 2);
    g_assert_cmpuint(sink.n_in, ==, 2);
    g_assert_cmpuint(virtqueue_req_read(sink.held[0], 2, text, 16), ==, 6);
    g_assert_cmpstr(text, ==, "e.two.");
    g_assert_cmpuint(virtqueue_req_write(sink.held[0], 1, "abc", 3), ==, 3);
    g_assert_cmpuint(virtqueue_req_write(sink.held[0], 101, "xyz", 3), ==, 1);
    g_assert_cmpmem(kit_ram(f.kit, KIT_VIRTIO_DATA + 0x201, 1), 1, "a", 1);
    g_assert_cmpmem(kit_ram(f.kit, KIT_VIRTIO_DATA + 0x300, 2), 2, "bc", 2);
    g_assert_cmpmem(kit_ram(f.kit, KIT_VIRTIO_DATA + 0x363, 1), 1, "x", 1);
    g_assert_cmpint(((uintptr_t)virtqueue_req_ctx(sink.held[0])) % 16, ==, 0);
    virtqueue_push(f.vq, sink.held[--sink.n_held], 102);
    kit_run(f.kit);
    g_assert_true(kit_virtio_take(f.v, &head, &len));
    g_assert_cmpuint(head, ==, 3);
    g_assert_cmpuint(len, ==, 102);
    fixture_done(&f);
}

static void test_counters_count(void)
{
    Fixture f;

    fixture_init(&f, 0, SIZE);
    f.vq->counters = (VirtqueueCounters) { 0 };
    for (unsigned i = 0; i < 3; i++)
        offer_one(&f, i);
    kit_virtio_kick(f.v);
    offer_one(&f, 3);
    kit_virtio_kick(f.v);

    g_assert_cmpuint(f.vq->counters.kicks, ==, 2);
    g_assert_cmpuint(f.vq->counters.rounds, ==, 2);
    g_assert_cmpuint(f.vq->counters.requests, ==, 4);
    g_assert_cmpuint(f.vq->counters.batches, ==, 2);
    g_assert_cmpuint(f.vq->counters.interrupts, ==, interrupts(&f));
    g_assert_cmpuint(f.vq->counters.interrupts, ==, 2);
    g_assert_cmpuint(f.vq->counters.out_bytes, ==, 4 * 16);
    g_assert_cmpuint(f.vq->counters.in_bytes, ==, 0);
    kit_virtio_desc(f.v, 4, KIT_VIRTIO_DATA, 100, VRING_DESC_F_NEXT, 5);
    kit_virtio_desc(f.v, 5, KIT_VIRTIO_DATA + 100, 30, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 4);
    kit_virtio_kick(f.v);
    g_assert_cmpuint(f.vq->counters.out_bytes, ==, 4 * 16 + 100);
    g_assert_cmpuint(f.vq->counters.in_bytes, ==, 30);
    fixture_done(&f);
}

static void test_indirect_table(void)
{
    struct vring_desc *table;
    Fixture f;

    fixture_init(&f, INDIRECT, SIZE);
    table = kit_ram(f.kit, TABLE, 3 * sizeof(*table));
    table[0] = (struct vring_desc) { KIT_VIRTIO_DATA, 10, VRING_DESC_F_NEXT, 2 };
    table[2] = (struct vring_desc) {
        KIT_HIGH_RAM_BASE + 0x1000, 20, VRING_DESC_F_WRITE, 0
    };
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA + 64, 5, VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, TABLE, 3 * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);

    g_assert_cmpuint(sink.out_size, ==, 15);
    g_assert_cmpuint(sink.in_size, ==, 20);
    assert_broken(&f, false);
    fixture_done(&f);
}

static void test_requests_end_in_any_order(void)
{
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, 0, 4);
    sink.holds = true;
    for (unsigned i = 0; i < 4; i++)
        offer_one(&f, i);
    kit_virtio_kick(f.v);
    g_assert_cmpuint(sink.n_held, ==, 4);
    virtqueue_push(f.vq, sink.held[2], 0);
    virtqueue_push(f.vq, sink.held[0], 0);
    sink.held[2] = sink.held[3];
    sink.held[0] = sink.held[1];
    sink.n_held = 1;
    virtqueue_push(f.vq, sink.held[2], 0);
    kit_run(f.kit);

    g_assert_true(kit_virtio_take(f.v, &head, &len));
    g_assert_cmpuint(head, ==, 2);
    g_assert_true(kit_virtio_take(f.v, &head, &len));
    g_assert_cmpuint(head, ==, 0);
    g_assert_cmpuint(interrupts(&f), ==, 1);
    fixture_done(&f);
}

static void test_indices_wrap(void)
{
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, EVENT_IDX, 4);
    for (unsigned i = 0; i < 70000; i++) {
        /* used_event: tell of the next */
        f.v->queue.avail[2 + 4] = f.v->queue.next_used;
        offer_one(&f, i % 4);
        virtqueue_run(f.vq);
        loop_turn(f.kit->queue_loop, false);
        g_assert_true(kit_virtio_take(f.v, &head, &len));
        g_assert_cmpuint(head, ==, i % 4);
    }
    g_assert_cmpuint(interrupts(&f), ==, 70000);
    fixture_done(&f);
}

static void test_one_interrupt_a_batch_unless_suppressed(void)
{
    Fixture f;

    fixture_init(&f, 0, SIZE);
    for (unsigned i = 0; i < 8; i++)
        offer_one(&f, i);
    kit_virtio_kick(f.v);
    g_assert_cmpuint(interrupts(&f), ==, 1);
    f.v->queue.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
    offer_one(&f, 8);
    kit_virtio_kick(f.v);
    g_assert_cmpuint(interrupts(&f), ==, 1);
    g_assert_cmpuint(f.v->queue.used[1], ==, 9);
    fixture_done(&f);
}

static void test_used_event_says_when(void)
{
    Fixture f;

    fixture_init(&f, EVENT_IDX, SIZE);
    f.v->queue.avail[2 + SIZE] = 2;
    for (unsigned i = 0; i < 4; i++) {
        offer_one(&f, i);
        kit_virtio_kick(f.v);
        g_assert_cmpuint(interrupts(&f), ==, i >= 2);
    }
    fixture_done(&f);
}

static void test_doorbells_are_asked_for_when_the_loop_sleeps(void)
{
    Fixture f;

    fixture_init(&f, 0, SIZE);
    kit_let_sleep(f.kit);
    g_assert_cmpuint(f.v->queue.used[0], ==, 0);
    sink.holds = true;
    offer_one(&f, 0);
    kit_virtio_kick(f.v);
    g_assert_cmpuint(f.v->queue.used[0], ==, VRING_USED_F_NO_NOTIFY);
    kit_let_sleep(f.kit);
    g_assert_cmpuint(f.v->queue.used[0], ==, 0);
    fixture_done(&f);

    fixture_init(&f, EVENT_IDX, SIZE);
    kit_let_sleep(f.kit);
    g_assert_cmpuint(f.v->queue.used[2 + 4 * SIZE], ==, 0);
    offer_one(&f, 0);
    offer_one(&f, 1);
    kit_virtio_kick(f.v);
    kit_let_sleep(f.kit);
    g_assert_cmpuint(f.v->queue.used[2 + 4 * SIZE], ==, 2);
    fixture_done(&f);
}

/* The loop looks at the ring itself while it is awake. */
static void test_no_doorbell_is_needed_before_the_sleep(void)
{
    Fixture f;
    uint32_t head, len;

    fixture_init(&f, 0, SIZE);
    offer_one(&f, 0);
    kit_let_sleep(f.kit);
    g_assert_true(kit_virtio_take(f.v, &head, &len));
    fixture_done(&f);
}

/* A request that is held comes again, first, after a stop, and after a save and load. */
static void test_held_request_is_popped_again(void)
{
    for (int loads = 0; loads < 2; loads++) {
        g_autoptr(GByteArray) saved = g_byte_array_new();
        uint32_t head, len;
        Fixture f;

        fixture_init(&f, 0, SIZE);
        sink.retains = true;
        offer_one(&f, 0);
        offer_one(&f, 1);
        kit_virtio_kick(f.v);
        g_assert_false(kit_virtio_take(f.v, &head, &len));
        sink.retains = false;

        device_tree_pause(&f.kit->tree);
        g_assert_true(device_tree_is_quiet(&f.kit->tree));
        device_tree_save(&f.kit->tree, saved);
        if (loads)
            g_assert_true(device_tree_load(&f.kit->tree, saved->data, saved->len, NULL));
        offer_one(&f, 2);
        device_tree_resume(&f.kit->tree);
        kit_run(f.kit);

        for (unsigned i = 0; i < 3; i++) {
            g_assert_true(kit_virtio_take(f.v, &head, &len));
            g_assert_cmpuint(head, ==, i);
        }
        fixture_done(&f);
    }
}

static void test_held_request_is_gone_after_a_reset(void)
{
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, 0, SIZE);
    sink.retains = true;
    offer_one(&f, 0);
    kit_virtio_kick(f.v);
    sink.retains = false;

    kit_virtio_set_status(f.v, 0);
    kit_virtio_start(f.v, VERSION_1, SIZE);
    kit_run(f.kit);

    g_assert_false(kit_virtio_take(f.v, &head, &len));
    fixture_done(&f);
}

/* A host that does not answer keeps the driver's reset from ending, and nothing else. */
static void test_reset_waits_for_requests_without_waiting(void)
{
    Fixture f;

    fixture_init(&f, 0, SIZE);
    sink.holds = sink.is_slow = true;
    offer_one(&f, 0);
    offer_one(&f, 1);
    kit_virtio_kick(f.v);

    kit_virtio_set_status(f.v, 0);
    g_assert_cmpuint(kit_virtio_status(f.v), !=, 0);
    kit_run_both(f.kit);
    g_assert_cmpuint(kit_virtio_status(f.v), !=, 0);
    end_requests();
    kit_run_both(f.kit);

    g_assert_cmpuint(kit_virtio_status(f.v), ==, 0);
    sink.is_slow = false;
    fixture_done(&f);
}

static void test_pause_does_not_wait_for_requests(void)
{
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, 0, SIZE);
    sink.holds = sink.is_slow = true;
    offer_one(&f, 0);
    kit_virtio_kick(f.v);

    device_tree_pause(&f.kit->tree);
    g_assert_false(device_tree_is_quiet(&f.kit->tree));
    device_tree_resume(&f.kit->tree);
    offer_one(&f, 1);
    kit_virtio_kick(f.v);
    g_assert_cmpuint(sink.n_held, ==, 1);
    sink.holds = false;
    end_requests();
    kit_run_both(f.kit);

    g_assert_true(device_tree_is_quiet(&f.kit->tree));
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(kit_virtio_take(f.v, &head, &len));
        g_assert_cmpuint(head, ==, i);
    }
    fixture_done(&f);
}

/* A driver that makes more available for ever gets a ring's worth a turn. */
static void test_round_is_bounded(void)
{
    Fixture f;

    fixture_init(&f, 0, 8);
    offer_one(&f, 0);
    sink.refills = f.v;
    virtqueue_run(f.vq);
    g_assert_cmpuint(f.vq->last_avail, ==, 8);
    g_assert_cmpuint(sink.n_rounds, ==, 1);

    loop_turn(f.kit->queue_loop, false);
    g_assert_cmpuint(f.vq->last_avail, ==, 16);
    g_assert_cmpuint(sink.n_rounds, ==, 2);
    sink.refills = NULL;
    kit_run(f.kit);

    g_assert_cmpuint(f.vq->last_avail, ==, 17);
    g_assert_cmpuint(f.v->queue.used[1], ==, 17);
    fixture_done(&f);
}

static void test_unpopped_request_comes_again(void)
{
    VirtqueueReq *req;
    Fixture f;

    fixture_init(&f, 0, 4);
    offer_one(&f, 2);
    req = virtqueue_pop(f.vq);
    virtqueue_unpop(f.vq, req);

    g_assert_true(virtqueue_pop(f.vq) == req);
    virtqueue_push(f.vq, req, 0);
    fixture_done(&f);
}

static void test_faulty_chains_break_the_device(void)
{
    for (unsigned i = 0; i < kit_chains_n; i++) {
        Fixture f;

        fixture_init(&f, INDIRECT | EVENT_IDX, SIZE);
        g_test_message("%s", kit_chains_offer(&f.v->queue, i));
        kit_virtio_kick(f.v);

        assert_broken(&f, true);
        g_assert_cmpuint(f.v->queue.used[1], ==, 0);
        g_assert_cmpuint(kit_msix_count(f.kit, KIT_VIRTIO_VECTOR_DATA + 1), ==, 1);
        kit_virtio_start(f.v, VERSION_1, SIZE);
        offer_one(&f, 0);
        kit_virtio_kick(f.v);
        g_assert_cmpuint(f.v->queue.used[1], ==, 1);
        assert_broken(&f, false);
        fixture_done(&f);
    }
}

static void test_indirect_without_the_feature(void)
{
    struct vring_desc *table;
    Fixture f;

    fixture_init(&f, 0, SIZE);
    table = kit_ram(f.kit, TABLE, sizeof(*table));
    *table = (struct vring_desc) { DATA, 4, 0, 0 };
    kit_virtio_desc(f.v, 0, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);

    assert_broken(&f, true);
    fixture_done(&f);
}

static void test_head_out_of_range(void)
{
    Fixture f;

    fixture_init(&f, 0, SIZE);
    kit_virtio_offer(f.v, SIZE);
    kit_virtio_kick(f.v);

    assert_broken(&f, true);
    fixture_done(&f);
}

static void test_head_that_is_in_use(void)
{
    Fixture f;

    fixture_init(&f, 0, SIZE);
    sink.holds = true;
    offer_one(&f, 1);
    offer_one(&f, 1);
    kit_virtio_kick(f.v);

    g_assert_cmpuint(sink.n_held, ==, 1);
    assert_broken(&f, true);
    fixture_done(&f);
}

static void test_available_index_jumps(void)
{
    Fixture f;

    fixture_init(&f, 0, SIZE);
    f.v->queue.avail[1] = SIZE + 1;
    kit_virtio_kick(f.v);

    assert_broken(&f, true);
    fixture_done(&f);
}

static void test_total_length_over_4_gib(void)
{
    const unsigned fits = 4 * GIB / KIT_RAM_SIZE - 1;
    Fixture f;

    fixture_init(&f, 0, SIZE);
    f.vq->max_size = 512;
    for (unsigned n = fits; n <= fits + 1; n++) {
        kit_virtio_start(f.v, VERSION_1, 512);
        for (unsigned i = 0; i < n; i++)
            kit_virtio_desc(f.v, i, 0, KIT_RAM_SIZE, VRING_DESC_F_NEXT, i + 1);
        f.v->queue.desc[n - 1].flags = 0;
        kit_virtio_offer(f.v, 0);
        kit_virtio_kick(f.v);
        assert_broken(&f, n > fits);
    }
    fixture_done(&f);
}

typedef struct FaultyRing {
    const char *what;
    uint64_t desc;
    uint64_t avail;
    uint64_t used;
} FaultyRing;

static void test_faulty_rings_do_not_start(void)
{
    static const FaultyRing rings[] = {
        { "all zero but desc", 0x20000000, 0, 0 },
        { "desc not aligned", 0x100008, 0x110000, 0x120000 },
        { "avail not aligned", 0x100000, 0x110001, 0x120000 },
        { "used not aligned", 0x100000, 0x110000, 0x120002 },
        { "desc at the end of RAM", KIT_RAM_SIZE - 16, 0x110000, 0x120000 },
        { "avail at the end of RAM", 0x100000, KIT_RAM_SIZE - 2, 0x120000 },
        { "used at the end of RAM", 0x100000, 0x110000, KIT_RAM_SIZE - 4 },
        { "used in registers", 0x100000, 0x110000, KIT_ECAM_BASE },
        { "top of the space", UINT64_MAX - 15, 0x110000, 0x120000 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rings); i++) {
        Fixture f;

        fixture_init(&f, 0, SIZE);
        kit_virtio_negotiate(f.v, VERSION_1);
        kit_virtio_set_rings(f.v, rings[i].desc, rings[i].avail, rings[i].used);
        kit_virtio_set_status(f.v, kit_virtio_status(f.v) | VIRTIO_CONFIG_S_DRIVER_OK);

        g_test_message("%s", rings[i].what);
        assert_broken(&f, true);
        kit_virtio_kick(f.v);
        fixture_done(&f);
    }
}

/*
 * A8: the rings lie over each other: every byte written is read back as something else.
 */
static void test_rings_over_each_other(void)
{
    Fixture f;

    fixture_init(&f, EVENT_IDX | INDIRECT, SIZE);
    kit_virtio_negotiate(f.v, VERSION_1 | EVENT_IDX | INDIRECT);
    kit_virtio_set_rings(f.v, KIT_VIRTIO_RING, KIT_VIRTIO_RING, KIT_VIRTIO_RING);
    memset(kit_ram(f.kit, KIT_VIRTIO_RING, 0x1000), 0x01, 0x1000);
    kit_virtio_set_status(f.v, kit_virtio_status(f.v) | VIRTIO_CONFIG_S_DRIVER_OK);
    for (int i = 0; i < 32; i++) {
        *(uint16_t *)kit_ram(f.kit, KIT_VIRTIO_RING + 2, 2) = i;
        kit_virtio_kick(f.v);
    }
    fixture_done(&f);
}

/* Random bytes in all of the ring's memory, many times; only RAM may be touched. */
static void test_random_rings(void)
{
    uint32_t seed = g_test_rand_int();
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    Fixture f;

    g_test_message("seed %u", seed);
    fixture_init(&f, EVENT_IDX | INDIRECT, SIZE);
    for (int i = 0; i < 3000; i++) {
        if (i % 8 == 0)
            kit_virtio_start(f.v, VERSION_1 | EVENT_IDX | INDIRECT, SIZE);
        for (unsigned d = 0; d < SIZE; d++) {
            kit_virtio_desc(f.v, d, g_rand_int(rand) % (2 * KIT_RAM_SIZE),
                            g_rand_int(rand) % 0x10000, g_rand_int(rand) & 7,
                            g_rand_int(rand) % (SIZE + 1));
        }
        for (int n = g_rand_int_range(rand, 0, 4); n > 0; n--)
            kit_virtio_offer(f.v, g_rand_int(rand) % (SIZE + (i % 5 == 0)));
        kit_virtio_kick(f.v);
    }
    fixture_done(&f);
}

#if !defined(__SANITIZE_THREAD__)
typedef struct Racer {
    struct vring_desc *desc;    /* where they are, also while the driver starts again */
    int ends;                   /* atomic */
} Racer;

static void *rewrite_descriptors(void *opaque)
{
    static const struct vring_desc kinds[] = {
        { DATA, 16, VRING_DESC_F_NEXT, 1 }, { DATA, 0, 0, 0 },
        { DATA, 16, VRING_DESC_F_WRITE, 0 }, { UINT64_MAX - 7, 16, 0, 0 },
        { TABLE, 32, VRING_DESC_F_INDIRECT, 0 }, { DATA, UINT32_MAX, 0, 0 },
        { DATA, 16, VRING_DESC_F_NEXT, 0xffff }, { DATA, 4096, 0, 0 },
    };
    Racer *racer = opaque;

    for (unsigned i = 0; !__atomic_load_n(&racer->ends, __ATOMIC_RELAXED); i++)
        racer->desc[i % 2] = kinds[i / 3 % G_N_ELEMENTS(kinds)];
    return NULL;
}

/* A11: another CPU rewrites the chain while it is read.  Only checked copies are used. */
static void test_racing_guest(void)
{
    Racer racer = { 0 };
    GThread *thread;
    Fixture f;

    fixture_init(&f, INDIRECT, SIZE);
    racer.desc = f.v->queue.desc;
    thread = g_thread_new("racer", rewrite_descriptors, &racer);
    for (int i = 0; i < 20000; i++) {
        kit_virtio_offer(f.v, 0);
        kit_virtio_kick(f.v);
        g_assert_cmpuint(sink.n_out + sink.n_in, <=, SIZE);
        if (f.vdev->broken)
            kit_virtio_start(f.v, INDIRECT | VERSION_1, SIZE);
    }
    __atomic_store_n(&racer.ends, 1, __ATOMIC_RELAXED);
    g_thread_join(thread);
    fixture_done(&f);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtqueue/chain", test_chain_is_read_and_written);
    g_test_add_func("/virtqueue/counters-count", test_counters_count);
    g_test_add_func("/virtqueue/indirect", test_indirect_table);
    g_test_add_func("/virtqueue/any-order", test_requests_end_in_any_order);
    g_test_add_func("/virtqueue/wrap", test_indices_wrap);
    g_test_add_func("/virtqueue/batch", test_one_interrupt_a_batch_unless_suppressed);
    g_test_add_func("/virtqueue/used-event", test_used_event_says_when);
    g_test_add_func("/virtqueue/doorbells-are-asked-for-when-the-loop-sleeps",
                    test_doorbells_are_asked_for_when_the_loop_sleeps);
    g_test_add_func("/virtqueue/no-doorbell-is-needed-before-the-sleep",
                    test_no_doorbell_is_needed_before_the_sleep);
    g_test_add_func("/virtqueue/held-request-is-popped-again",
                    test_held_request_is_popped_again);
    g_test_add_func("/virtqueue/held-request-is-gone-after-a-reset",
                    test_held_request_is_gone_after_a_reset);
    g_test_add_func("/virtqueue/reset-waits-for-requests-without-waiting",
                    test_reset_waits_for_requests_without_waiting);
    g_test_add_func("/virtqueue/pause-does-not-wait-for-requests",
                    test_pause_does_not_wait_for_requests);
    g_test_add_func("/virtqueue/bounded", test_round_is_bounded);
    g_test_add_func("/virtqueue/unpop", test_unpopped_request_comes_again);
    g_test_add_func("/virtqueue/faulty-chains", test_faulty_chains_break_the_device);
    g_test_add_func("/virtqueue/no-indirect", test_indirect_without_the_feature);
    g_test_add_func("/virtqueue/head-range", test_head_out_of_range);
    g_test_add_func("/virtqueue/head-twice", test_head_that_is_in_use);
    g_test_add_func("/virtqueue/index-jumps", test_available_index_jumps);
    g_test_add_func("/virtqueue/total", test_total_length_over_4_gib);
    g_test_add_func("/virtqueue/faulty-rings", test_faulty_rings_do_not_start);
    g_test_add_func("/virtqueue/overlap", test_rings_over_each_other);
    g_test_add_func("/virtqueue/random", test_random_rings);
#if !defined(__SANITIZE_THREAD__)
    g_test_add_func("/virtqueue/racing-guest", test_racing_guest);
#endif
    return g_test_run();
}
