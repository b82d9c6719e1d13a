/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth-autoballoon with its balloon: a driver that tells statistics as it likes, an
 * operator who changes his mind, a balloon that goes.
 */
#include <linux/virtio_balloon.h>
#include <string.h>

#include "berth/balloon.h"
#include "berth/hotplug.h"
#include "berth/virtio.h"

#include "kit-qmp.h"
#include "kit-virtio.h"

#define BALLOON "{'driver': 'virtio-balloon-pci', 'id': 'balloon0'}"
#define AUTO \
    "{'qom-type': 'berth-autoballoon', 'id': 'auto', 'device': 'balloon0'," \
    " 'min': 4194304, 'headroom': 1048576, 'interval': 3600}"
#define ALL_RAM (KIT_RAM_SIZE + KIT_HIGH_RAM_SIZE)
#define MINIMUM (4 * MIB)
#define PAGE 4096u
#define OOM_KILLS 10
#define WAIT_US (20 * G_TIME_SPAN_SECOND)

typedef struct virtio_balloon_stat Stat;

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    KitQueue deflate;
    KitQueue stats;
    uint16_t head;              /* of the next statistics */
    KitQmp *qmp;
    Object *object;
} Fixture;

static void start_driver(Fixture *f)
{
    static const uint8_t up = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                              VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

    kit_virtio_negotiate(f->v, UINT64_MAX);
    kit_virtio_setup_queue(f->v, 32);
    kit_queue_setup(&f->deflate, f->v, 1, 32);
    kit_queue_setup(&f->stats, f->v, 2, 32);
    kit_virtio_set_status(f->v, up);
}

static void fixture_init(Fixture *f)
{
    *f = (Fixture) { .kit = kit_board_new() };
    f->dev = kit_add(f->kit, BALLOON);
    kit_start(f->kit);
    f->v = kit_virtio_new(f->kit, f->dev);
    start_driver(f);
    f->qmp = kit_qmp_new(f->kit);
    f->object = kit_add_object(f->kit, AUTO);
}

static void fixture_done(Fixture *f)
{
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
    g_free(f->v);
}

static JsonValue *query(Fixture *f)
{
    return kit_qmp_ask(f->qmp, "x-query-autoballoon", NULL);
}

static void assert_state(Fixture *f, const char *member, const char *expected)
{
    g_autoptr(JsonValue) all = query(f);
    g_autofree char *path = g_strconcat("0.state.", member, NULL);

    kit_qmp_assert_at(all, path, expected);
}

static uint64_t target(Fixture *f)
{
    BalloonSample sample;

    balloon_sample(f->dev, &sample);
    return sample.target;
}

static void set(Fixture *f, const char *property, const char *json)
{
    g_autoptr(JsonValue) value = json_parse_text(json, strlen(json), NULL);
    g_autoptr(GError) error = NULL;

    object_change(f->object, property, value, &error);
    g_assert_no_error(error);
}

static void assert_not_set(Fixture *f, const char *property, const char *json,
                           const char *words)
{
    g_autoptr(JsonValue) value = json_parse_text(json, strlen(json), NULL);
    g_autoptr(GError) error = NULL;

    g_assert_false(object_change(f->object, property, value, &error));
    if (!strstr(error->message, words))
        g_error("'%s' is not in: %s", words, error->message);
}

/* The next decision is made now. */
static void decide(Fixture *f)
{
    static unsigned n;

    set(f, "aggressiveness", n++ % 2 ? "20" : "21");
    kit_run_both(f->kit);
}

static void tell(Fixture *f, const Stat *stats, size_t n)
{
    memcpy(kit_ram(f->kit, KIT_VIRTIO_DATA, n * sizeof(*stats)), stats,
           n * sizeof(*stats));
    kit_queue_desc(&f->stats, f->head, KIT_VIRTIO_DATA, (uint32_t)(n * sizeof(*stats)), 0,
                   0);
    kit_queue_offer(&f->stats, f->head);
    kit_queue_kick(&f->stats);
    f->head = !f->head;
    kit_run_both(f->kit);
}

/* The guest has done what it was asked for, and has so much. */
static void answer(Fixture *f, uint64_t available)
{
    const Stat stats[] = {
        { VIRTIO_BALLOON_S_AVAIL, available }, { VIRTIO_BALLOON_S_MEMFREE, available },
        { VIRTIO_BALLOON_S_MAJFLT, 1 }, { VIRTIO_BALLOON_S_SWAP_IN, 0 },
    };

    kit_write(f->kit, f->v->config + 4, 4, (ALL_RAM - target(f)) / PAGE);
    tell(f, stats, G_N_ELEMENTS(stats));
    decide(f);
}

static void test_target_follows_the_guest(void)
{
    uint64_t before = ALL_RAM;
    Fixture f;

    fixture_init(&f);
    g_assert_cmpuint(target(&f), ==, ALL_RAM);
    for (unsigned i = 1; i <= 3; i++) {
        answer(&f, 8 * MIB);
        g_assert_cmpuint(target(&f), <, before);
        before = target(&f);
        g_assert_cmpuint(f.kit->n_balloon_moves, ==, i);
        g_assert_cmpuint(f.kit->balloon_target, ==, before);
    }
    assert_state(&f, "steps-down", "3");
    assert_state(&f, "guest.answers", "3");
    assert_state(&f, "guest.available", "8388608");
    assert_state(&f, "guest.oom-kills", "absent");
    assert_state(&f, "last-step.seconds-ago", "0");
    /* Less than headroom. */
    answer(&f, MIB / 2);
    g_assert_cmpuint(target(&f), >, before);
    g_assert_cmpint(f.kit->balloon_reason, ==, AUTOBALLOON_REASON_GUEST_LOW);
    assert_state(&f, "reason", "guest-low");
    assert_state(&f, "last-step.reason", "guest-low");
    assert_state(&f, "steps-up", "1");
    before = target(&f);
    answer(&f, 8 * MIB);
    assert_state(&f, "reason", "recovering");
    g_assert_cmpuint(target(&f), ==, before);
    /* It is left where it is, and the guest is not asked any more. */
    kit_qmp_do(f.qmp, "object-del", "{'id': 'auto'}");
    g_assert_cmpuint(target(&f), ==, before);
    g_assert_false(loop_has_timer(f.kit->queue_loop));
    g_assert_false(loop_has_timer(f.kit->loop));
    fixture_done(&f);
}

/* The rest of its properties: an id, commas and others besides. */
static const char *const faulty[][2] = {
    { "'device': 'none'", "'device': there is no balloon 'none'" },
    { "'device': 'rng'", "'device': there is no balloon 'rng'" },
    { "'min': 0", "'device' is missing" },
    { "'device': 'balloon0', 'min': 17825793", "'min' expects a size up to 17825792" },
    { "'device': 'balloon0', 'max': 18446744073709551615", "'max' expects a size" },
    { "'device': 'balloon0', 'headroom': 17825793", "'headroom' expects a size" },
    { "'device': 'balloon0', 'min': 8388608, 'max': 4194304", "'min': 8388608 is more" },
    { "'device': 'balloon0', 'min': 4097, 'max': 4097", "'min': 8192 is more" },
    { "'device': 'balloon0', 'max': 1", "'min': 4096 is more than 'max', 0" },
    { "'device': 'balloon0', 'min': 1, 'max': 8192, 'headroom': 8192", "'headroom'" },
    { "'device': 'balloon0', 'min': -1", "'min'" },
    { "'device': 'balloon0', 'min': 'much'", "'min'" },
    { "'device': 'balloon0', 'aggressiveness': 0", "'aggressiveness'" },
    { "'device': 'balloon0', 'aggressiveness': 101", "'aggressiveness'" },
    { "'device': 'balloon0', 'interval': 0", "'interval'" },
    { "'device': 'balloon0', 'interval': 3601", "'interval'" },
    { "'device': 'balloon0', 'enabled': 'on'", "'enabled'" },
    { "'device': 'balloon0', 'mode': 1", "'mode'" },
};

static void test_wrong_properties(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_assert_fails(f.qmp, "there is a berth-autoballoon already, 'auto'",
                         "object-add", "{'qom-type': 'berth-autoballoon', 'id': 'b',"
                         " 'device': 'balloon0'}");
    kit_qmp_do(f.qmp, "object-del", "{'id': 'auto'}");
    kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'id': 'rng'}");
    for (size_t i = 0; i < G_N_ELEMENTS(faulty); i++) {
        g_autoptr(JsonValue) all = NULL;

        kit_qmp_assert_fails(f.qmp, faulty[i][1], "object-add",
                             "{'qom-type': 'berth-autoballoon', 'id': 'x', %s}",
                             faulty[i][0]);
        all = query(&f);
        g_assert_cmpuint(json_length(all), ==, 0);
        g_assert_false(loop_has_timer(f.kit->loop));
        g_assert_cmpuint(target(&f), ==, ALL_RAM);
    }
    fixture_done(&f);
}

static void test_defaults(void)
{
    g_autoptr(JsonValue) all = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "object-del", "{'id': 'auto'}");
    kit_qmp_do(f.qmp, "object-add",
               "{'qom-type': 'berth-autoballoon', 'id': 'a', 'device': 'balloon0'}");
    all = query(&f);
    kit_qmp_assert_at(all, "0.min", "4456448");
    kit_qmp_assert_at(all, "0.max", "17825792");
    /* A sixteenth would be too little, 32 MiB too much. */
    kit_qmp_assert_at(all, "0.headroom", "4456448");
    kit_qmp_assert_at(all, "0.enabled", "true");
    kit_qmp_assert_at(all, "0.state.reason", "waiting");
    fixture_done(&f);
}

static void test_properties_change(void)
{
    Fixture f;

    fixture_init(&f);
    assert_not_set(&f, "device", "\"other\"", "'device' of object 'auto' cannot be");
    assert_not_set(&f, "min", "17825793", "'min' expects");
    assert_not_set(&f, "max", "4190208", "'min': 4194304 is more than 'max'");
    assert_not_set(&f, "interval", "0", "'interval'");
    assert_not_set(&f, "target", "1", "'target'");
    g_assert_cmpuint(target(&f), ==, ALL_RAM);

    set(&f, "max", "12582912");
    g_assert_cmpuint(target(&f), ==, 12 * MIB);
    g_assert_cmpint(f.kit->balloon_reason, ==, AUTOBALLOON_REASON_LIMITS);
    set(&f, "max", "0");
    set(&f, "min", "14680064");
    g_assert_cmpuint(target(&f), ==, 14 * MIB);

    set(&f, "enabled", "false");
    assert_state(&f, "reason", "disabled");
    g_assert_false(loop_has_timer(f.kit->loop));
    g_assert_false(loop_has_timer(f.kit->queue_loop));
    kit_qmp_do(f.qmp, "balloon", "{'value': 1048576}");
    g_assert_cmpuint(target(&f), ==, MIB);
    set(&f, "enabled", "true");
    g_assert_cmpuint(target(&f), ==, 14 * MIB);
    g_assert_true(loop_has_timer(f.kit->loop));
    fixture_done(&f);
}

/* What an operator says is the most that the guest has. */
static void test_command_balloon_is_a_limit(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_assert_fails(f.qmp, "'value': 4194303 is less than 'min' of object 'auto'",
                         "balloon", "{'value': 4194303}");
    assert_state(&f, "limit", "absent");
    kit_qmp_do(f.qmp, "balloon", "{'value': 8388608}");
    g_assert_cmpuint(target(&f), ==, 8 * MIB);
    assert_state(&f, "limit", "8388608");
    assert_state(&f, "reason", "limits");
    /* However much the guest wants. */
    answer(&f, 0);
    assert_state(&f, "reason", "guest-low");
    g_assert_cmpuint(target(&f), ==, 8 * MIB);
    kit_qmp_do(f.qmp, "balloon", "{'value': 17825792}");
    g_assert_cmpuint(target(&f), ==, ALL_RAM);
    kit_qmp_do(f.qmp, "balloon", "{'value': 8388608}");
    set(&f, "max", "16777216");
    assert_state(&f, "limit", "absent");
    answer(&f, 0);
    g_assert_cmpuint(target(&f), ==, 16 * MIB);
    fixture_done(&f);
}

/* A balloon is not larger for modules that came: they are the guest's. */
static void test_target_with_modules(void)
{
    static const uint64_t more = 32 * MIB;
    Fixture f;

    fixture_init(&f);
    f.kit->board.plugged_ram = more;
    g_assert_cmpuint(target(&f), ==, ALL_RAM);
    answer(&f, 8 * MIB);
    assert_state(&f, "reason", "guest-idle");
    g_assert_cmpuint(target(&f), <, ALL_RAM);
    g_assert_cmpuint(target(&f), >, ALL_RAM / 2);
    g_assert_cmpuint(f.kit->balloon_target, ==, target(&f));
    g_assert_cmpuint(kit_read(f.kit, f.v->config, 4), ==, (ALL_RAM - target(&f)) / PAGE);
    /* What the command says is of all. */
    kit_qmp_assert_fails(f.qmp, "'value': 37748735 is less than 'min' of object 'auto', "
                         "37748736", "balloon", "{'value': 37748735}");
    kit_qmp_do(f.qmp, "balloon", "{'value': 41943040}");
    assert_state(&f, "limit", "8388608");
    g_assert_cmpuint(target(&f), ==, 8 * MIB);
    g_assert_cmpuint(kit_read(f.kit, f.v->config, 4), ==, (ALL_RAM - 8 * MIB) / PAGE);
    kit_qmp_do(f.qmp, "object-del", "{'id': 'auto'}");
    kit_qmp_do(f.qmp, "balloon", "{'value': 37748736}");
    g_assert_cmpuint(target(&f), ==, 4 * MIB);
    fixture_done(&f);
}

/* The guest is asked as often as either wants, and each has its own word. */
static void test_statistics_interval(void)
{
    const uint32_t *props;
    uint32_t head, len;
    Fixture f;

    fixture_init(&f);
    props = &f.dev->args->u.virtio_balloon_pci.guest_stats_polling_interval;
    g_assert_cmpuint(*props, ==, 0);
    answer(&f, MIB);
    g_assert_true(loop_has_timer(f.kit->queue_loop));
    balloon_set_interval(f.dev, 7000);
    g_assert_cmpuint(*props, ==, 7000);
    set(&f, "interval", "1");
    for (int64_t end = g_get_monotonic_time() + WAIT_US;
         !kit_queue_take(&f.stats, &head, &len);) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        kit_run_both(f.kit);
        g_usleep(1000);
    }
    kit_qmp_do(f.qmp, "object-del", "{'id': 'auto'}");
    g_assert_cmpuint(*props, ==, 7000);
    fixture_done(&f);
}

/* Turns the loops until the object says @reason. */
static void wait_reason(Fixture *f, const char *reason)
{
    int64_t end = g_get_monotonic_time() + WAIT_US;
    g_autofree char *said = NULL;

    do {
        g_autoptr(JsonValue) all = query(f);

        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
        kit_run_both(f->kit);
        g_free(said);
        said = kit_qmp_at(all, "0.state.reason");
    } while (!strstr(said, reason));
}

static void test_driver_that_goes_and_comes(void)
{
    Fixture f;

    fixture_init(&f);
    answer(&f, 8 * MIB);
    g_assert_cmpuint(target(&f), <, ALL_RAM);
    set(&f, "interval", "1");
    kit_virtio_set_status(f.v, 0);
    wait_reason(&f, "no-driver");
    g_assert_cmpuint(target(&f), ==, ALL_RAM);
    start_driver(&f);
    f.head = 0;
    wait_reason(&f, "waiting");
    answer(&f, 8 * MIB);
    assert_state(&f, "reason", "recovering");
    device_tree_pause(&f.kit->tree);
    wait_reason(&f, "stopped");
    device_tree_resume(&f.kit->tree);
    wait_reason(&f, "waiting");
    fixture_done(&f);
}

static void test_balloon_that_goes_and_comes(void)
{
    Fixture f;

    fixture_init(&f);
    set(&f, "interval", "1");
    device_remove(f.dev);
    wait_reason(&f, "no-device");
    assert_state(&f, "target", "0");
    kit_qmp_assert_fails(f.qmp, "No balloon device has been activated", "balloon",
                         "{'value': 8388608}");
    set(&f, "max", "12582912");
    f.dev = kit_add(f.kit, BALLOON);
    wait_reason(&f, "no-driver");
    g_assert_cmpuint(target(&f), ==, 12 * MIB);
    fixture_done(&f);
}

/* D3 of the hostile inputs, with what is decided. */
static void test_statistics_that_lie(void)
{
    static const uint64_t values[] = {
        0, 1, MIB, ALL_RAM, 1ull << 63, UINT64_MAX - 1, UINT64_MAX,
    };
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 500; i++) {
        Stat stats[20];
        size_t n = (size_t)g_rand_int_range(random, 1, G_N_ELEMENTS(stats));

        for (size_t j = 0; j < n; j++)
            stats[j] = (Stat) {
                (uint16_t)g_rand_int_range(random, 0, OOM_KILLS + 4),
                values[g_rand_int_range(random, 0, G_N_ELEMENTS(values))],
            };
        kit_write(f.kit, f.v->config + 4, 4, g_rand_int(random));
        tell(&f, stats, n);
        decide(&f);
        g_assert_cmpuint(target(&f), >=, MINIMUM);
    }
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/balloon-auto-object/target-follows-the-guest",
                    test_target_follows_the_guest);
    g_test_add_func("/balloon-auto-object/wrong-properties", test_wrong_properties);
    g_test_add_func("/balloon-auto-object/defaults", test_defaults);
    g_test_add_func("/balloon-auto-object/properties-change", test_properties_change);
    g_test_add_func("/balloon-auto-object/command-balloon-is-a-limit",
                    test_command_balloon_is_a_limit);
    g_test_add_func("/balloon-auto-object/target-with-modules", test_target_with_modules);
    g_test_add_func("/balloon-auto-object/statistics-interval",
                    test_statistics_interval);
    g_test_add_func("/balloon-auto-object/driver-that-goes-and-comes",
                    test_driver_that_goes_and_comes);
    g_test_add_func("/balloon-auto-object/balloon-that-goes-and-comes",
                    test_balloon_that_goes_and_comes);
    g_test_add_func("/balloon-auto-object/statistics-that-lie", test_statistics_that_lie);
    return g_test_run();
}
