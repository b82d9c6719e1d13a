/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon: what goes back to the host and what does not, targets, statistics, and
 * drivers that lie.
 */
#include <linux/virtio_balloon.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/balloon.h"
#include "berth/virtio.h"

#include "kit-qmp.h"
#include "kit-virtio.h"

#define BALLOON "{'driver': 'virtio-balloon-pci', 'id': 'balloon0'}"
#define BALLOON_ALL \
    "{'driver': 'virtio-balloon-pci', 'id': 'balloon0', 'free-page-reporting': true," \
    " 'free-page-hint': true}"
#define PAGE 4096u
#define FIRST (8 * MIB / PAGE)  /* the first of the pages that tests give */
#define N_PAGES (8 * MIB / PAGE)
#define HIGH (4 * GIB / PAGE)
#define ALL_RAM (KIT_RAM_SIZE + KIT_HIGH_RAM_SIZE)
#define POISON 0x5a
#define WAIT_US (20 * G_TIME_SPAN_SECOND)

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    KitQueue deflate;
    KitQueue stats;
    KitQueue hint;
    KitQueue report;
} Fixture;

/* All features but @without. */
static void start_driver(Fixture *f, uint64_t without)
{
    static const uint8_t up = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                              VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
    unsigned index = 3;

    kit_virtio_negotiate(f->v, ~without);
    kit_virtio_setup_queue(f->v, 32);
    kit_queue_setup(&f->deflate, f->v, 1, 32);
    kit_queue_setup(&f->stats, f->v, 2, 32);
    if (f->v->features >> VIRTIO_BALLOON_F_FREE_PAGE_HINT & 1)
        kit_queue_setup(&f->hint, f->v, index++, 32);
    if (f->v->features >> VIRTIO_BALLOON_F_REPORTING & 1)
        kit_queue_setup(&f->report, f->v, index, 32);
    kit_virtio_set_status(f->v, up);
}

static void fixture_init_without(Fixture *f, const char *json, uint64_t without)
{
    *f = (Fixture) { .kit = kit_board_new() };
    f->dev = kit_add(f->kit, json);
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, f->dev);
    start_driver(f, without);
    memset(kit_ram(f->kit, FIRST * PAGE, N_PAGES * PAGE), POISON, N_PAGES * PAGE);
    memset(kit_ram(f->kit, KIT_HIGH_RAM_BASE, KIT_HIGH_RAM_SIZE), POISON,
           KIT_HIGH_RAM_SIZE);
}

static void fixture_init(Fixture *f, const char *json)
{
    fixture_init_without(f, json, 0);
}

static void fixture_done(Fixture *f)
{
    kit_board_free(f->kit);
    g_free(f->v);
}

/* Waits for the request to end, which it does with nothing written. */
static void wait_used(Fixture *f, KitQueue *q)
{
    int64_t end = g_get_monotonic_time() + WAIT_US;
    uint32_t head, len;

    while (!kit_queue_take(q, &head, &len)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        kit_run(f->kit);
        g_usleep(100);
    }
    g_assert_cmpuint(len, ==, 0);
}

static void send(Fixture *f, KitQueue *q, const void *data, uint32_t size)
{
    memcpy(kit_ram(f->kit, KIT_VIRTIO_DATA, size), data, size);
    kit_queue_desc(q, 0, KIT_VIRTIO_DATA, size, 0, 0);
    kit_queue_offer(q, 0);
    kit_queue_kick(q);
}

static void give(Fixture *f, const uint32_t *pfns, unsigned n)
{
    send(f, &f->v->queue, pfns, n * sizeof(pfns[0]));
    wait_used(f, &f->v->queue);
}

/* Whether the page is one of zeros; else it is as it was filled. */
static bool is_gone(Fixture *f, uint64_t pfn)
{
    const uint8_t *bytes = kit_ram(f->kit, pfn * PAGE, PAGE);

    for (unsigned i = 0; i < PAGE; i++)
        g_assert_cmphex(bytes[i], ==, bytes[0] ? POISON : 0);
    return bytes[0] == 0;
}

static unsigned count_gone(Fixture *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_PAGES; i++)
        n += is_gone(f, FIRST + i);
    return n;
}

static BalloonCounts counts(Fixture *f)
{
    BalloonCounts counts;

    balloon_counts(f->dev, &counts);
    return counts;
}

static void test_pages_go_back(void)
{
    /* Neighbours in any order, twice, on both sides of the hole. */
    static const uint32_t pfns[] = {
        FIRST + 9, FIRST + 8, FIRST + 7, FIRST + 3, FIRST + 100, FIRST + 3, HIGH + 1,
        HIGH, FIRST + N_PAGES - 1,
    };
    Fixture f;

    fixture_init(&f, BALLOON);
    give(&f, pfns, G_N_ELEMENTS(pfns));

    for (unsigned i = 0; i < G_N_ELEMENTS(pfns); i++)
        g_assert_true(is_gone(&f, pfns[i]));
    g_assert_cmpuint(count_gone(&f), ==, 6);
    g_assert_false(is_gone(&f, HIGH + 2));
    g_assert_cmpuint(counts(&f).discarded, ==, 8 * PAGE);
    g_assert_cmpuint(counts(&f).failed, ==, 0);
    send(&f, &f.deflate, pfns, sizeof(pfns));
    wait_used(&f, &f.deflate);
    fixture_done(&f);
}

/* More than a batch, and more requests than the ring of another kind has. */
static void test_large_requests(void)
{
    g_autofree uint32_t *pfns = g_new(uint32_t, N_PAGES + 100);
    Fixture f;

    fixture_init(&f, BALLOON);
    for (unsigned i = 0; i < N_PAGES + 100; i++)
        pfns[i] = FIRST + (i * 7 + 5) % N_PAGES;
    give(&f, pfns, N_PAGES + 100);

    g_assert_cmpuint(count_gone(&f), ==, N_PAGES);
    fixture_done(&f);
}

static void test_a_file_is_a_workers(void)
{
    const uint32_t pfns[] = { FIRST, FIRST + 7, FIRST + 9, FIRST + 10 };
    Fixture f;

    fixture_init(&f, BALLOON_ALL);
    f.kit->ram->has_contents = true;
    give(&f, pfns, 2);
    give(&f, pfns + 2, 2);

    g_assert_cmpuint(count_gone(&f), ==, 4);
    g_assert_cmpuint(counts(&f).discarded, ==, 4 * PAGE);
    fixture_done(&f);
}

static void test_many_requests_at_once(void)
{
    Fixture f;
    uint32_t *pfns;

    fixture_init(&f, BALLOON);
    pfns = kit_ram(f.kit, KIT_VIRTIO_DATA, 32 * sizeof(*pfns));
    for (uint16_t i = 0; i < 32; i++) {
        pfns[i] = FIRST + 31u - i;
        kit_virtio_desc(f.v, i, KIT_VIRTIO_DATA + i * sizeof(*pfns), sizeof(*pfns), 0, 0);
        kit_virtio_offer(f.v, i);
    }
    kit_virtio_kick(f.v);
    for (unsigned i = 0; i < 32; i++)
        wait_used(&f, &f.v->queue);

    g_assert_cmpuint(count_gone(&f), ==, 32);
    fixture_done(&f);
}

/* D1 of the hostile inputs. */
static void test_pages_that_are_no_ram(void)
{
    static const uint32_t pfns[] = {
        KIT_RAM_SIZE / PAGE, 0xffffffff, 0x7fffffff, 0xfee00, KIT_ECAM_BASE / PAGE,
        HIGH + KIT_HIGH_RAM_SIZE / PAGE, HIGH - 1, FIRST,
    };
    Fixture f;

    fixture_init(&f, BALLOON);
    for (unsigned i = 0; i < 200; i++)
        give(&f, pfns, G_N_ELEMENTS(pfns));

    g_assert_cmpuint(count_gone(&f), ==, 1);
    g_assert_cmpuint(kit_virtio_status(f.v) & VIRTIO_CONFIG_S_NEEDS_RESET, ==, 0);
    g_assert_cmpuint(counts(&f).discarded, ==, 200 * PAGE);
    fixture_done(&f);
}

/* The request's own page, and that of the ring: the guest has lost them. */
static void test_pages_in_use(void)
{
    uint32_t pfns[] = { KIT_VIRTIO_DATA / PAGE, FIRST };
    Fixture f;

    fixture_init(&f, BALLOON);
    give(&f, pfns, 2);
    g_assert_cmphex(*(uint32_t *)kit_ram(f.kit, KIT_VIRTIO_DATA, 4), ==, 0);
    g_assert_true(is_gone(&f, FIRST));

    pfns[0] = KIT_VIRTIO_RING / PAGE;
    send(&f, &f.v->queue, pfns, sizeof(pfns));
    for (unsigned i = 0; i < 100; i++) {
        kit_run(f.kit);
        g_usleep(1000);
    }
    kit_virtio_set_status(f.v, 0);
    start_driver(&f, 0);
    give(&f, &pfns[1], 1);
    fixture_done(&f);
}

static void test_odd_requests(void)
{
    static const uint32_t sizes[] = { 7, 1, 4, 5, 3 };
    const uint32_t pfns[] = { FIRST, FIRST + 1 };
    Fixture f;

    fixture_init(&f, BALLOON);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        KitQueue *q = i % 2 ? &f.v->queue : &f.deflate;

        send(&f, q, pfns, sizes[i]);
        wait_used(&f, q);
    }
    /* Five bytes are one number. */
    g_assert_cmpuint(count_gone(&f), ==, 1);
    /* A buffer that the device could write says nothing. */
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA, 8, VRING_DESC_F_WRITE, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);
    wait_used(&f, &f.v->queue);
    g_assert_cmpuint(count_gone(&f), ==, 1);
    /* Numbers that are cut by the ends of buffers. */
    memcpy(kit_ram(f.kit, KIT_VIRTIO_DATA, 8), pfns, 8);
    kit_virtio_desc(f.v, 0, KIT_VIRTIO_DATA, 3, VRING_DESC_F_NEXT, 1);
    kit_virtio_desc(f.v, 1, KIT_VIRTIO_DATA + 3, 5, 0, 0);
    kit_virtio_offer(f.v, 0);
    kit_virtio_kick(f.v);
    wait_used(&f, &f.v->queue);
    g_assert_cmpuint(count_gone(&f), ==, 2);
    fixture_done(&f);
}

static uint32_t config_word(Fixture *f, unsigned offset)
{
    return (uint32_t)kit_read(f->kit, f->v->config + offset, 4);
}

static void test_target(void)
{
    static const struct {
        int64_t value;
        uint32_t pages;
    } cases[] = {
        { ALL_RAM, 0 }, { ALL_RAM - 1, 0 }, { ALL_RAM - PAGE, 1 }, { INT64_MAX, 0 },
        { 1, ALL_RAM / PAGE - 1 }, { 8 * MIB, (ALL_RAM - 8 * MIB) / PAGE },
    };
    Fixture f;
    KitQmp *qmp;

    fixture_init(&f, BALLOON);
    qmp = kit_qmp_new(f.kit);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t generation = kit_virtio_get(f.v, 0x15, 1);

        kit_qmp_do(qmp, "balloon", "{'value': %" PRId64 "}", cases[i].value);
        g_assert_cmpuint(config_word(&f, 0), ==, cases[i].pages);
        g_assert_cmpuint(kit_virtio_get(f.v, 0x15, 1), !=, generation);
    }
    kit_qmp_assert_fails(qmp, "value", "balloon", "{'value': 0}");
    kit_qmp_assert_fails(qmp, "value", "balloon", "{'value': -1}");
    g_assert_cmpuint(config_word(&f, 0), ==, cases[5].pages);
    /* The driver does not write there. */
    kit_write(f.kit, f.v->config, 4, 77);
    g_assert_cmpuint(config_word(&f, 0), ==, cases[5].pages);
    kit_qmp_free(qmp);
    fixture_done(&f);
}

static void assert_actual(Fixture *f, KitQmp *qmp, uint64_t bytes)
{
    g_autoptr(JsonValue) info = kit_qmp_ask(qmp, "query-balloon", NULL);

    g_assert_cmpint(kit_qmp_int(info, "actual"), ==, (int64_t)bytes);
    kit_run_both(f->kit);
    g_assert_cmpuint(f->kit->balloon_actual, ==, bytes);
}

/* D2 of the hostile inputs: "actual" is the guest's word. */
static void test_actual(void)
{
    Fixture f;
    KitQmp *qmp;

    fixture_init(&f, BALLOON);
    qmp = kit_qmp_new(f.kit);
    kit_write(f.kit, f.v->config + 4, 4, 1024);
    assert_actual(&f, qmp, ALL_RAM - 4 * MIB);
    g_assert_cmpuint(f.kit->n_balloon_changes, ==, 1);
    kit_write(f.kit, f.v->config + 4, 4, 1024);
    assert_actual(&f, qmp, ALL_RAM - 4 * MIB);
    g_assert_cmpuint(f.kit->n_balloon_changes, ==, 1);
    kit_write(f.kit, f.v->config + 4, 4, 0xffffffff);
    assert_actual(&f, qmp, 0);
    kit_write(f.kit, f.v->config + 5, 1, 0);
    g_assert_cmphex(config_word(&f, 4), ==, 0xffff00ff);
    kit_write(f.kit, f.v->config + 6, 2, 0);
    assert_actual(&f, qmp, ALL_RAM - 0xff * PAGE);
    /* A balloon that nobody has is empty. */
    kit_virtio_set_status(f.v, 0);
    assert_actual(&f, qmp, ALL_RAM);
    kit_qmp_free(qmp);
    fixture_done(&f);
}

static uint64_t stat(Fixture *f, const char *name)
{
    g_autoptr(JsonValue) all = balloon_stats(f->dev);
    uint64_t value;

    g_assert_true(json_as_uint(json_member(json_member(all, "stats"), name), &value));
    return value;
}

static int64_t last_update(Fixture *f)
{
    g_autoptr(JsonValue) all = balloon_stats(f->dev);
    int64_t value;

    g_assert_true(json_as_int(json_member(all, "last-update"), &value));
    return value;
}

typedef struct virtio_balloon_stat Stat;

static void test_statistics(void)
{
    static const char *const names[] = {
        "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults",
        "stat-free-memory", "stat-total-memory", "stat-available-memory",
        "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail", "stat-oom-kills",
        "stat-alloc-stalls", "stat-async-scans", "stat-direct-scans",
        "stat-async-reclaims", "stat-direct-reclaims",
    };
    Stat stats[G_N_ELEMENTS(names)];
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, BALLOON);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpuint(stat(&f, names[i]), ==, UINT64_MAX);
        stats[i] = (Stat) { (uint16_t)i, (UINT64_C(1) << 40) + i };
    }
    g_assert_cmpint(last_update(&f), ==, 0);

    send(&f, &f.stats, stats, sizeof(stats));
    kit_run(f.kit);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmpuint(stat(&f, names[i]), ==, (UINT64_C(1) << 40) + i);
    g_assert_cmpint(last_update(&f), >, 1000000000);
    g_assert_false(kit_queue_take(&f.stats, &head, &len));

    balloon_set_interval(f.dev, 1);
    wait_used(&f, &f.stats);
    /* What is not told this time is not known. */
    send(&f, &f.stats, stats, sizeof(stats[0]));
    kit_run(f.kit);
    g_assert_cmpuint(stat(&f, names[0]), ==, UINT64_C(1) << 40);
    g_assert_cmpuint(stat(&f, names[1]), ==, UINT64_MAX);
    /* It is held while the machine stands still, and given back when that is over. */
    kit_save_and_load(f.kit);
    wait_used(&f, &f.stats);
    kit_virtio_set_status(f.v, 0);
    g_assert_cmpint(last_update(&f), ==, 0);
    fixture_done(&f);
}

/* Offers as chain @head, which the device does not hold. */
static void offer_stats(Fixture *f, uint16_t head, uint64_t gpa, uint32_t size,
                        uint16_t flags)
{
    kit_queue_desc(&f->stats, head, gpa, size, flags, 0);
    kit_queue_offer(&f->stats, head);
    kit_queue_kick(&f->stats);
}

/* D3 of the hostile inputs. */
static void test_statistics_that_are_odd(void)
{
    static const Stat odd[] = {
        { 16, 1 }, { 0xffff, 2 }, { 4, 3 }, { 4, 4 }, { 0x8004, 5 },
    };
    Fixture f;
    Stat *stats;

    fixture_init(&f, BALLOON);
    send(&f, &f.stats, odd, sizeof(odd));
    kit_run(f.kit);
    g_assert_cmpuint(stat(&f, "stat-free-memory"), ==, 4);
    /* The device holds one buffer: the earlier goes back. */
    offer_stats(&f, 1, KIT_VIRTIO_DATA, 9, 0);
    wait_used(&f, &f.stats);
    g_assert_cmpuint(stat(&f, "stat-free-memory"), ==, UINT64_MAX);
    /* 64k entries. */
    stats = kit_ram(f.kit, 8 * MIB, 65536 * sizeof(*stats));
    for (unsigned i = 0; i < 65536; i++)
        stats[i] = (Stat) { 5, i };
    offer_stats(&f, 0, 8 * MIB, 65536 * sizeof(*stats), 0);
    wait_used(&f, &f.stats);
    g_assert_cmpuint(stat(&f, "stat-total-memory"), ==, 255);
    /* No entry at all. */
    offer_stats(&f, 1, KIT_VIRTIO_DATA, 16, VRING_DESC_F_WRITE);
    wait_used(&f, &f.stats);
    g_assert_cmpuint(stat(&f, "stat-total-memory"), ==, UINT64_MAX);
    fixture_done(&f);
}

/* D3: the driver gets its buffer back, and keeps it. */
static void test_statistics_buffer_that_never_comes_back(void)
{
    static const Stat told[] = { { 4, MIB } };
    uint32_t head, len;
    Fixture f;

    fixture_init(&f, BALLOON);
    send(&f, &f.stats, told, sizeof(told));
    kit_run(f.kit);
    balloon_set_interval(f.dev, 1);
    wait_used(&f, &f.stats);
    for (uint32_t i = 0; i < 100; i++) {
        balloon_set_interval(f.dev, i);
        kit_run(f.kit);
    }
    g_assert_false(kit_queue_take(&f.stats, &head, &len));
    g_assert_false(loop_has_timer(f.kit->queue_loop));
    g_assert_cmpuint(stat(&f, "stat-free-memory"), ==, MIB);
    fixture_done(&f);
}

static void report(Fixture *f, uint64_t gpa, uint32_t size)
{
    kit_queue_desc(&f->report, 0, gpa, size, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(&f->report, 0);
    kit_queue_kick(&f->report);
    wait_used(f, &f->report);
}

static void test_free_pages_are_reported(void)
{
    Fixture f;

    fixture_init(&f, BALLOON_ALL);
    report(&f, FIRST * PAGE, 4 * MIB);
    g_assert_cmpuint(count_gone(&f), ==, 4 * MIB / PAGE);
    /* Whole pages only. */
    report(&f, 13 * MIB + 1, 2 * PAGE);
    g_assert_cmpuint(count_gone(&f), ==, 4 * MIB / PAGE + 1);
    report(&f, 14 * MIB + 1, PAGE - 1);
    g_assert_cmpuint(count_gone(&f), ==, 4 * MIB / PAGE + 1);
    /* The driver fills free pages with something that would not come back. */
    kit_write(f.kit, f.v->config + 12, 4, 0xaaaaaaaa);
    g_assert_cmphex(config_word(&f, 12), ==, 0xaaaaaaaa);
    report(&f, 14 * MIB, 8 * PAGE);
    g_assert_cmpuint(count_gone(&f), ==, 4 * MIB / PAGE + 1);
    kit_write(f.kit, f.v->config + 12, 4, 0);
    report(&f, 14 * MIB, 8 * PAGE);
    g_assert_cmpuint(count_gone(&f), ==, 4 * MIB / PAGE + 9);
    fixture_done(&f);
}

/* What a private file would bring back is not what the guest has left there. */
static void test_zeros_that_would_not_be(void)
{
    Fixture f;

    fixture_init(&f, BALLOON_ALL);
    f.kit->ram->has_contents = true;
    report(&f, FIRST * PAGE, 4 * PAGE);
    g_assert_cmpuint(count_gone(&f), ==, 0);
    fixture_done(&f);

    fixture_init_without(&f, BALLOON_ALL, 1u << VIRTIO_BALLOON_F_PAGE_POISON);
    f.kit->ram->has_contents = true;
    report(&f, FIRST * PAGE, 4 * PAGE);
    g_assert_cmpuint(count_gone(&f), ==, 4);
    fixture_done(&f);
}

/* Several blocks at once, over the end of memory: the ring is broken, nothing else. */
static void test_reports_that_are_wrong(void)
{
    Fixture f;

    fixture_init(&f, BALLOON_ALL);
    kit_queue_desc(&f.report, 0, 8 * MIB, 2 * PAGE, 3, 1);
    kit_queue_desc(&f.report, 1, 8 * MIB + PAGE, 2 * PAGE, 3, 2);
    kit_queue_desc(&f.report, 2, 9 * MIB, PAGE, 2, 0);
    kit_queue_offer(&f.report, 0);
    kit_queue_kick(&f.report);
    wait_used(&f, &f.report);
    g_assert_cmpuint(count_gone(&f), ==, 4);
    /* Read where write is due: nothing is free. */
    kit_queue_desc(&f.report, 0, 10 * MIB, PAGE, 0, 0);
    kit_queue_offer(&f.report, 0);
    kit_queue_kick(&f.report);
    wait_used(&f, &f.report);
    g_assert_cmpuint(count_gone(&f), ==, 4);
    kit_queue_desc(&f.report, 0, KIT_RAM_SIZE - PAGE, 2 * PAGE, 2, 0);
    kit_queue_offer(&f.report, 0);
    kit_queue_kick(&f.report);
    kit_run(f.kit);
    g_assert_cmphex(kit_virtio_status(f.v) & VIRTIO_CONFIG_S_NEEDS_RESET, !=, 0);
    g_assert_cmpuint(count_gone(&f), ==, 4);
    kit_virtio_set_status(f.v, 0);
    start_driver(&f, 0);
    give(&f, &(uint32_t) { FIRST + 99 }, 1);
    fixture_done(&f);
}

/* D4 of the hostile inputs; and a driver without the feature has other numbers. */
static void test_hints_are_taken(void)
{
    Fixture f;

    fixture_init(&f, BALLOON_ALL);
    g_assert_cmpuint(config_word(&f, 8), ==, VIRTIO_BALLOON_CMD_ID_STOP);
    send(&f, &f.hint, &(uint32_t) { 0x80000000 }, 4);
    wait_used(&f, &f.hint);
    kit_queue_desc(&f.hint, 0, FIRST * PAGE, 2 * MIB, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(&f.hint, 0);
    kit_queue_kick(&f.hint);
    wait_used(&f, &f.hint);
    g_assert_cmpuint(count_gone(&f), ==, 0);
    fixture_done(&f);

    fixture_init_without(&f, BALLOON_ALL, 1u << VIRTIO_BALLOON_F_FREE_PAGE_HINT);
    report(&f, FIRST * PAGE, PAGE);
    g_assert_cmpuint(count_gone(&f), ==, 1);
    fixture_done(&f);
}

/* Memory that the host has in pages of 64 KiB: as huge ones, which a host seldom has. */
static void test_large_pages_go_whole(void)
{
    const uint32_t n = 16;
    uint32_t pfns[17];
    Fixture f = { .kit = kit_board_new() };

    f.kit->ram->page_size = n * PAGE;
    f.dev = kit_add(f.kit, BALLOON_ALL);
    kit_start(f.kit);
    f.v = kit_virtio_new(f.kit, f.dev);
    start_driver(&f, 0);
    g_assert_true(f.v->features >> VIRTIO_BALLOON_F_MUST_TELL_HOST & 1);
    memset(kit_ram(f.kit, FIRST * PAGE, N_PAGES * PAGE), POISON, N_PAGES * PAGE);
    for (unsigned i = 0; i <= n; i++)
        pfns[i] = FIRST + i;

    give(&f, pfns, n - 1);
    g_assert_cmpuint(count_gone(&f), ==, 0);
    g_assert_cmpuint(counts(&f).partial, ==, (n - 1) * PAGE);
    give(&f, pfns, n - 1);
    g_assert_cmpuint(counts(&f).partial, ==, (n - 1) * PAGE);
    /* One that was taken back is not given. */
    send(&f, &f.deflate, &pfns[3], 4);
    wait_used(&f, &f.deflate);
    give(&f, &pfns[n - 1], 1);
    g_assert_cmpuint(count_gone(&f), ==, 0);
    give(&f, &pfns[3], 1);
    g_assert_cmpuint(count_gone(&f), ==, n);
    g_assert_cmpuint(counts(&f).partial, ==, 0);
    g_assert_cmpuint(counts(&f).discarded, ==, n * PAGE);
    send(&f, &f.deflate, pfns, 4);
    wait_used(&f, &f.deflate);
    g_assert_cmpuint(counts(&f).partial, ==, (n - 1) * PAGE);
    report(&f, FIRST * PAGE + PAGE, 3 * n * PAGE);
    g_assert_cmpuint(count_gone(&f), ==, 3 * n);
    kit_virtio_set_status(f.v, 0);
    g_assert_cmpuint(counts(&f).partial, ==, 0);
    fixture_done(&f);
}

static void test_locked_memory_stays(void)
{
    const uint32_t pfns[] = { FIRST, FIRST + 1, FIRST + 2 };
    Fixture f;

    fixture_init(&f, BALLOON);
    /* The bare call: under a sanitizer the library's does nothing. */
    if (syscall(SYS_mlock, kit_ram(f.kit, (FIRST + 1) * PAGE, PAGE), PAGE) < 0) {
        g_test_skip("the host locks no memory");
    } else {
        give(&f, pfns, 3);
        g_assert_cmpuint(counts(&f).failed, >, 0);
        g_assert_false(is_gone(&f, FIRST + 1));
        give(&f, &(uint32_t) { FIRST + 9 }, 1);
        g_assert_true(is_gone(&f, FIRST + 9));
    }
    fixture_done(&f);
}

/* Gives pages in an order in which none can go with another, and does not wait. */
static void give_many(Fixture *f, uint32_t n)
{
    uint32_t *pfns = kit_ram(f->kit, KIT_VIRTIO_DATA, n * sizeof(*pfns));

    for (uint32_t i = 0; i < n; i++)
        pfns[i] = FIRST + (i * 2) % N_PAGES;
    kit_virtio_desc(f->v, 0, KIT_VIRTIO_DATA, n * sizeof(*pfns), 0, 0);
    kit_virtio_offer(f->v, 0);
    kit_virtio_kick(f->v);
}

/*
 * A10 of the hostile inputs: with a batch under way, on the loop and, as with memory that
 * is a file, on a worker.
 */
static void test_reset_while_pages_go(void)
{
    for (unsigned round = 0; round < 8; round++) {
        int64_t end = g_get_monotonic_time() + WAIT_US;
        Fixture f;

        fixture_init(&f, BALLOON);
        f.kit->ram->has_contents = round % 2;
        give_many(&f, 100000);
        for (unsigned i = 0; i < round; i++)
            loop_turn(f.kit->queue_loop, false);
        kit_virtio_set_status(f.v, 0);
        while (kit_virtio_status(f.v) != 0) {
            g_assert_cmpint(g_get_monotonic_time(), <, end);
            kit_run_both(f.kit);
        }
        start_driver(&f, 0);
        give(&f, &(uint32_t) { FIRST + 1 }, 1);
        g_assert_true(is_gone(&f, FIRST + 1));
        fixture_done(&f);
    }
}

static void fixture_init_threaded(Fixture *f)
{
    *f = (Fixture) { .kit = kit_board_new_threaded() };
    f->dev = kit_add(f->kit, BALLOON);
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, f->dev);
    start_driver(f, 0);
}

static void test_removal_while_pages_go(void)
{
    for (unsigned round = 0; round < 8; round++) {
        Fixture f;

        fixture_init_threaded(&f);
        f.kit->ram->has_contents = round % 2;
        give_many(&f, 100000);
        g_usleep(100 * round);
        fixture_done(&f);
    }
}

/* D4: with hints and reports that nobody has looked at, and statistics that are held. */
static void test_removal_with_queues_that_are_full(void)
{
    static const Stat told[] = { { 4, MIB } };
    Fixture f;

    fixture_init(&f, BALLOON_ALL);
    send(&f, &f.stats, told, sizeof(told));
    kit_run(f.kit);
    for (uint16_t i = 0; i < 32; i++) {
        kit_queue_desc(&f.hint, i, (FIRST + i) * PAGE, PAGE, VRING_DESC_F_WRITE, 0);
        kit_queue_offer(&f.hint, i);
        kit_queue_desc(&f.report, i, (FIRST + i) * PAGE, PAGE, VRING_DESC_F_WRITE, 0);
        kit_queue_offer(&f.report, i);
    }
    device_remove(f.dev);
    g_assert_cmpuint(count_gone(&f), ==, 0);
    f.dev = kit_add(f.kit, BALLOON_ALL);
    g_assert_cmpint(last_update(&f), ==, 0);
    fixture_done(&f);
}

static void test_queues_on_a_thread(void)
{
    BalloonSample sample;
    uint32_t head, len;
    Fixture f;

    fixture_init_threaded(&f);
    give_many(&f, 50000);
    for (unsigned i = 0; i < 50; i++) {
        json_unref(balloon_stats(f.dev));
        balloon_sample(f.dev, &sample);
        balloon_want_stats(f.dev, i % 3);
        balloon_set_target(f.dev, (8 + i % 2) * MIB);
        balloon_set_interval(f.dev, i % 2);
        kit_write(f.kit, f.v->config + 4, 4, i);
        counts(&f);
    }
    while (!kit_queue_take(&f.v->queue, &head, &len))
        g_usleep(100);
    g_assert_cmpuint(counts(&f).discarded, >=, N_PAGES / 2 * PAGE);
    fixture_done(&f);
}

static void test_wrong_properties(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitQmp *qmp = kit_qmp_new(kit);

    kit_qmp_assert_fails(qmp, "No balloon device has been activated", "balloon",
                         "{'value': 1}");
    kit_qmp_assert_fails(qmp, "No balloon device has been activated", "query-balloon",
                         NULL);
    kit_assert_refused(kit, "{'driver': 'virtio-balloon-pci', 'iothread': 'none'}",
                       "'iothread'");
    kit_assert_refused(kit, "{'driver': 'virtio-balloon-pci',"
                       " 'guest-stats-polling-interval': -1}", "polling-interval");
    kit_add(kit, BALLOON);
    kit_assert_refused(kit, "{'driver': 'virtio-balloon-pci', 'id': 'other'}",
                       "Only one balloon device");
    kit_qmp_free(qmp);
}

static void test_saved_state(void)
{
    Fixture f;

    fixture_init(&f, BALLOON_ALL);
    balloon_set_target(f.dev, 8 * MIB);
    kit_write(f.kit, f.v->config + 4, 4, 17);
    kit_write(f.kit, f.v->config + 12, 4, 18);
    kit_save_and_load(f.kit);
    g_assert_cmpuint(config_word(&f, 0), ==, (ALL_RAM - 8 * MIB) / PAGE);
    g_assert_cmpuint(config_word(&f, 4), ==, 17);
    g_assert_cmpuint(config_word(&f, 12), ==, 18);
    give(&f, &(uint32_t) { FIRST }, 1);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/balloon/pages-go-back", test_pages_go_back);
    g_test_add_func("/balloon/large-requests", test_large_requests);
    g_test_add_func("/balloon/a-file-is-a-workers", test_a_file_is_a_workers);
    g_test_add_func("/balloon/many-requests-at-once", test_many_requests_at_once);
    g_test_add_func("/balloon/pages-that-are-no-ram", test_pages_that_are_no_ram);
    g_test_add_func("/balloon/pages-in-use", test_pages_in_use);
    g_test_add_func("/balloon/odd-requests", test_odd_requests);
    g_test_add_func("/balloon/target", test_target);
    g_test_add_func("/balloon/actual", test_actual);
    g_test_add_func("/balloon/statistics", test_statistics);
    g_test_add_func("/balloon/statistics-that-are-odd", test_statistics_that_are_odd);
    g_test_add_func("/balloon/statistics-buffer-that-never-comes-back",
                    test_statistics_buffer_that_never_comes_back);
    g_test_add_func("/balloon/free-pages-are-reported", test_free_pages_are_reported);
    g_test_add_func("/balloon/zeros-that-would-not-be", test_zeros_that_would_not_be);
    g_test_add_func("/balloon/reports-that-are-wrong", test_reports_that_are_wrong);
    g_test_add_func("/balloon/hints-are-taken", test_hints_are_taken);
    g_test_add_func("/balloon/large-pages-go-whole", test_large_pages_go_whole);
    g_test_add_func("/balloon/locked-memory-stays", test_locked_memory_stays);
    g_test_add_func("/balloon/reset-while-pages-go", test_reset_while_pages_go);
    g_test_add_func("/balloon/removal-while-pages-go", test_removal_while_pages_go);
    g_test_add_func("/balloon/removal-with-queues-that-are-full",
                    test_removal_with_queues_that_are_full);
    g_test_add_func("/balloon/queues-on-a-thread", test_queues_on_a_thread);
    g_test_add_func("/balloon/wrong-properties", test_wrong_properties);
    g_test_add_func("/balloon/saved-state", test_saved_state);
    return g_test_run();
}
