/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits, with time that the test makes: rates over every second, bursts, fairness.
 *
 * A load keeps a number of requests of one kind under way; a request ends the moment it
 * goes.  Whoever sets timers in the product is late, and so is this.
 */
#include <string.h>

#include "berth/qapi.h"
#include "berth/throttle-state.h"
#include "qapi-types.h"

#define MAX_LOADS 4u
#define DEPTH 32u
#define STEP_NS NS_PER_MS
#define N_SECONDS 12u
#define N_STEPS ((size_t)(N_SECONDS * NS_PER_SEC / STEP_NS))

typedef struct Load {
    ThrottleMember member;
    ThrottleWait waits[DEPTH];
    unsigned depth;
    uint64_t bytes;
    bool is_write;
    double by_step[N_STEPS];    /* what went, in units of the test */
    double sum;
} Load;

typedef struct Bench {
    ThrottleState state;
    Load loads[MAX_LOADS];
    unsigned n_loads;
    size_t step;
    GRand *rand;
    int64_t late_ns;            /* timers are late by up to this */
    bool counts_bytes;
} Bench;

static void bench_init(Bench *bench, const ThrottleConfig *config)
{
    *bench = (Bench) { .rand = g_rand_new_with_seed(1) };
    throttle_state_init(&bench->state, 0);
    throttle_state_configure(&bench->state, config, 0);
}

static Bench *bench_new(const ThrottleConfig *config)
{
    Bench *bench = g_new(Bench, 1);

    bench_init(bench, config);
    return bench;
}

static void bench_free(Bench *bench)
{
    g_rand_free(bench->rand);
    g_free(bench);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bench, bench_free)

static Load *add_load(Bench *bench, unsigned depth, uint64_t bytes, bool is_write)
{
    Load *load = &bench->loads[bench->n_loads++];

    load->depth = depth;
    load->bytes = bytes;
    load->is_write = is_write;
    throttle_state_init_member(&load->member);
    return load;
}

static void count(Bench *bench, Load *load)
{
    double amount = bench->counts_bytes ? (double)load->bytes : 1;

    load->sum += amount;
    load->by_step[bench->step] += amount;
}

/* Submits @wait again and again, as long as it goes at once. */
static void submit(Bench *bench, Load *load, ThrottleWait *wait, int64_t now_ns)
{
    wait->bytes = load->bytes;
    wait->is_write = load->is_write;
    while (throttle_state_admit(&bench->state, &load->member, wait, now_ns))
        count(bench, load);
}

static void start(Bench *bench, Load *load)
{
    for (unsigned i = 0; i < load->depth; i++)
        submit(bench, load, &load->waits[i], (int64_t)bench->step * STEP_NS);
}

/* One wake-up, and for how long nobody needs another. */
static int64_t wake(Bench *bench, int64_t now_ns)
{
    ThrottleWait *wait;
    int64_t delay_ns;

    while ((wait = throttle_state_next(&bench->state, now_ns, &delay_ns))) {
        Load *load = CONTAINER_OF(wait->member, Load, member);

        count(bench, load);
        submit(bench, load, wait, now_ns);
    }
    return delay_ns;
}

/* Runs to the end of @seconds from the beginning. */
static void run_to(Bench *bench, double seconds)
{
    size_t end = (size_t)(seconds * (double)(NS_PER_SEC / STEP_NS));
    int64_t due_ns = 0;

    for (; bench->step < end; bench->step++) {
        int64_t now_ns = (int64_t)bench->step * STEP_NS, delay_ns;

        if (now_ns < due_ns)
            continue;
        delay_ns = wake(bench, now_ns);
        g_assert_cmpint(delay_ns, !=, 0);
        due_ns = now_ns + delay_ns;
        if (bench->late_ns)
            due_ns += g_rand_int_range(bench->rand, 0, (gint32)bench->late_ns);
    }
}

static double sum_of(const Bench *bench, size_t from, size_t n)
{
    double sum = 0;

    for (unsigned i = 0; i < bench->n_loads; i++) {
        for (size_t step = from; step < from + n; step++)
            sum += bench->loads[i].by_step[step];
    }
    return sum;
}

/* Every second between the two has @rate, within @tolerance. */
static void assert_rate(const Bench *bench, double from, double to, double rate,
                        double tolerance)
{
    const size_t second = NS_PER_SEC / STEP_NS;
    size_t first = (size_t)(from * (double)second), last = (size_t)(to * (double)second);

    for (size_t step = first; step + second <= last; step += 7) {
        double sum = sum_of(bench, step, second);

        if (sum > rate * (1 + tolerance) || sum < rate * (1 - tolerance))
            g_error("%.0f in the second from %.3f on, not %.0f", sum,
                    (double)step / (double)second, rate);
    }
}

static ThrottleConfig config_of(const char *json)
{
    g_autoptr(ThrottleLimits) limits =
        qapi_parse_json(QAPI_TYPE_THROTTLE_LIMITS, json, NULL);
    g_autoptr(JsonValue) value = qapi_emit(QAPI_TYPE_THROTTLE_LIMITS, limits);
    ThrottleConfig config;

    throttle_config_init(&config);
    throttle_config_read(&config, value, THROTTLE_SPELLING_LIMITS);
    g_assert_true(throttle_config_check(&config, NULL));
    return config;
}

static void test_any_second_is_within_three_percent(void)
{
    static const struct {
        const char *limits;
        double rate;
        uint64_t bytes;
        bool is_write;
        bool counts_bytes;
        int64_t late_ns;
    } rows[] = {
        { "{'iops-total': 1000}", 1000, 4096, false, false, 0 },
        { "{'iops-total': 500}", 500, 4096, true, false, 0 },
        { "{'iops-read': 20000}", 20000, 512, false, false, 0 },
        { "{'iops-write': 7777}", 7777, 65536, true, false, 0 },
        { "{'bps-total': 50000000}", 50e6, 4096, true, true, 0 },
        { "{'bps-read': 100000000}", 100e6, 1048576, false, true, 0 },
        { "{'bps-write': 10000000}", 10e6, 65536, true, true, 0 },
        { "{'iops-total': 4000, 'iops-size': 8192}", 1000, 32768, true, false, 0 },
        { "{'iops-total': 1000, 'bps-total': 1000000000}", 1000, 4096, true, false, 0 },
        { "{'iops-total': 2000}", 2000, 4096, true, false, 15 * NS_PER_MS },
        { "{'bps-read': 100000000}", 100e6, 131072, false, true, 15 * NS_PER_MS },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        ThrottleConfig config = config_of(rows[i].limits);
        g_autoptr(Bench) bench = bench_new(&config);

        bench->late_ns = rows[i].late_ns;
        bench->counts_bytes = rows[i].counts_bytes;
        start(bench, add_load(bench, DEPTH, rows[i].bytes, rows[i].is_write));
        run_to(bench, 5);

        assert_rate(bench, 0, 5, rows[i].rate, 0.03);
    }
}

static void test_a_pause_saves_nothing_up(void)
{
    ThrottleConfig config = config_of("{'iops-total': 1000}");
    g_autoptr(Bench) bench = bench_new(&config);

    run_to(bench, 3);
    start(bench, add_load(bench, DEPTH, 4096, false));
    run_to(bench, 6);

    assert_rate(bench, 3, 6, 1000, 0.03);
}

static void test_a_burst_has_its_rate_and_length(void)
{
    ThrottleConfig config = config_of("{'iops-total': 100, 'iops-total-max': 2000,"
                                      " 'iops-total-max-length': 3}");
    g_autoptr(Bench) bench = bench_new(&config);

    start(bench, add_load(bench, DEPTH, 4096, false));
    run_to(bench, 6);

    assert_rate(bench, 0, 3, 2000, 0.03);
    assert_rate(bench, 3.1, 6, 100, 0.03);
}

/* Requests of one a second and slower go one by one. */
static void test_slow_limits(void)
{
    ThrottleConfig config = config_of("{'iops-total': 1}");
    g_autoptr(Bench) bench = bench_new(&config);

    start(bench, add_load(bench, DEPTH, 4096, false));
    run_to(bench, 10);

    g_assert_cmpfloat(sum_of(bench, 0, 500), ==, 1);
    g_assert_cmpfloat(bench->loads[0].sum, ==, 10);
}

static void test_requests_larger_than_the_limit_of_a_second(void)
{
    ThrottleConfig config = config_of("{'bps-write': 1000000}");
    g_autoptr(Bench) bench = bench_new(&config);

    bench->counts_bytes = true;
    start(bench, add_load(bench, 4, 3000000, true));
    run_to(bench, 10);

    g_assert_cmpfloat(bench->loads[0].sum, ==, 12e6);
}

static void test_members_share_by_what_is_limited(void)
{
    ThrottleConfig requests = config_of("{'iops-total': 3000}");
    ThrottleConfig bytes = config_of("{'bps-total': 30000000}");
    g_autoptr(Bench) a = bench_new(&requests);
    g_autoptr(Bench) b = bench_new(&bytes);

    b->counts_bytes = true;
    for (unsigned i = 0; i < 3; i++) {
        /* The second one has few requests at a time, the third one large ones. */
        start(a, add_load(a, i == 1 ? 2 : DEPTH, i == 2 ? 262144 : 4096, i == 0));
        start(b, add_load(b, i == 1 ? 2 : DEPTH, i == 2 ? 262144 : 4096, i == 0));
    }
    run_to(a, 4);
    run_to(b, 4);

    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpfloat(ABS(a->loads[i].sum / (4 * 1000) - 1), <, 0.03);
        g_assert_cmpfloat(ABS(b->loads[i].sum / (4 * 10e6) - 1), <, 0.03);
    }
}

/* One that comes late gets its share from then on, not what it did without. */
static void test_a_member_that_comes_late(void)
{
    ThrottleConfig config = config_of("{'iops-total': 1000}");
    g_autoptr(Bench) bench = bench_new(&config);
    Load *first = add_load(bench, DEPTH, 4096, false);
    Load *second = add_load(bench, DEPTH, 4096, false);
    double before;

    start(bench, first);
    run_to(bench, 4);
    before = first->sum;
    start(bench, second);
    run_to(bench, 6);

    g_assert_cmpfloat(ABS(second->sum - 1000), <, 30);
    g_assert_cmpfloat(ABS(first->sum - before - 1000), <, 30);
}

static void test_reads_pass_writes_that_wait_for_a_limit_of_writes(void)
{
    ThrottleConfig config = config_of("{'iops-write': 10, 'iops-read': 5000}");
    g_autoptr(Bench) bench = bench_new(&config);
    Load *writes = add_load(bench, DEPTH, 4096, true);
    Load *reads = add_load(bench, DEPTH, 4096, false);

    start(bench, writes);
    start(bench, reads);
    run_to(bench, 4);

    g_assert_cmpfloat(ABS(reads->sum / 20000 - 1), <, 0.03);
    g_assert_cmpfloat(ABS(writes->sum - 40), <=, 1);
}

static void test_a_member_reads_and_writes_alike(void)
{
    ThrottleConfig config = config_of("{'iops-total': 1000}");
    g_autoptr(Bench) bench = bench_new(&config);
    Load *load = add_load(bench, 1, 4096, false);
    unsigned n_writes = 0;
    ThrottleWait *wait;
    int64_t delay_ns;

    /* One member has both kinds in line. */
    start(bench, load);
    for (unsigned i = 1; i < DEPTH; i++) {
        load->waits[i].bytes = 4096;
        load->waits[i].is_write = i % 4 != 0;
        g_assert_false(throttle_state_admit(&bench->state, &load->member,
                                            &load->waits[i], 0));
    }
    for (int64_t now_ns = 0; now_ns < 10 * NS_PER_MS; now_ns += NS_PER_MS) {
        wait = throttle_state_next(&bench->state, now_ns, &delay_ns);
        n_writes += wait && wait->is_write;
    }

    g_assert_cmpuint(n_writes, >=, 4);
    g_assert_cmpuint(n_writes, <=, 6);
}

static void test_limits_change_while_requests_wait(void)
{
    ThrottleConfig slow = config_of("{'bps-total': 1000}");
    ThrottleConfig fast = config_of("{'iops-total': 2000}");
    ThrottleConfig none = config_of("{}");
    g_autoptr(Bench) bench = bench_new(&slow);
    Load *load = add_load(bench, DEPTH, 1048576, false);
    ThrottleWait *wait;
    int64_t delay_ns;
    unsigned n = 0;

    start(bench, load);
    run_to(bench, 1);
    throttle_state_configure(&bench->state, &fast, NS_PER_SEC);
    run_to(bench, 3);
    assert_rate(bench, 1, 3, 2000, 0.03);

    throttle_state_configure(&bench->state, &none, 3 * NS_PER_SEC);
    while ((wait = throttle_state_next(&bench->state, 3 * NS_PER_SEC, &delay_ns)))
        n++;
    g_assert_cmpuint(n, ==, DEPTH);
    g_assert_cmpint(delay_ns, ==, -1);
}

static void test_who_is_hurried_goes_and_pays_later(void)
{
    ThrottleConfig config = config_of("{'iops-total': 100}");
    g_autoptr(Bench) bench = bench_new(&config);
    Load *load = add_load(bench, DEPTH, 4096, false);
    unsigned n = 0;
    int64_t delay_ns;

    start(bench, load);
    load->member.n_hurried = 1;
    while (throttle_state_next(&bench->state, 0, &delay_ns))
        n++;
    load->member.n_hurried = 0;

    g_assert_cmpuint(n, ==, DEPTH);
    g_assert_false(throttle_state_admit(&bench->state, &load->member, &load->waits[0],
                                        0));
    throttle_state_next(&bench->state, 0, &delay_ns);
    g_assert_cmpint(delay_ns, >, 300 * NS_PER_MS);
}

static void test_nonsense(void)
{
    static const struct {
        const char *limits;
        const char *words;
    } rows[] = {
        { "{'iops-total': -1}", "'iops-total' expects" },
        { "{'bps-read': 1000000000000001}", "'bps-read' expects" },
        { "{'bps-read': 10, 'bps-read-max': 1000000000000001}", "'bps-read' expects" },
        { "{'iops-total': 1, 'iops-read': 1}", "exclude" },
        { "{'iops-total': 1, 'iops-write': 1}", "exclude" },
        { "{'bps-total': 1, 'bps-write': 1}", "exclude" },
        { "{'bps-write-max': 1}", "needs a limit" },
        { "{'bps-write': 10, 'bps-write-max': 9}", "below the limit" },
        { "{'bps-write': 10, 'bps-write-max-length': 2}", "needs its rate" },
        { "{'bps-write': 10, 'bps-write-max': 20, 'bps-write-max-length': 0}",
          "a second at least" },
        { "{'bps-write': 10, 'bps-write-max': 1000000000,"
          " 'bps-write-max-length': 1000001}", "too long" },
        { "{'iops-size': 4096}", "needs a limit of requests" },
        { "{'bps-total': 1, 'iops-size': 4096}", "needs a limit of requests" },
        { "{'iops-total': 1, 'iops-size': -4096}", "'iops-size' expects" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(ThrottleLimits) limits =
            qapi_parse_json(QAPI_TYPE_THROTTLE_LIMITS, rows[i].limits, NULL);
        g_autoptr(JsonValue) value = qapi_emit(QAPI_TYPE_THROTTLE_LIMITS, limits);
        g_autoptr(GError) error = NULL;
        ThrottleConfig config;

        throttle_config_init(&config);
        throttle_config_read(&config, value, THROTTLE_SPELLING_LIMITS);
        g_assert_false(throttle_config_check(&config, &error));
        if (!strstr(error->message, rows[i].words))
            g_error("'%s' is not in '%s'", rows[i].words, error->message);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/throttle-state/any-second-is-within-three-percent",
                    test_any_second_is_within_three_percent);
    g_test_add_func("/throttle-state/a-pause-saves-nothing-up",
                    test_a_pause_saves_nothing_up);
    g_test_add_func("/throttle-state/a-burst-has-its-rate-and-length",
                    test_a_burst_has_its_rate_and_length);
    g_test_add_func("/throttle-state/slow-limits", test_slow_limits);
    g_test_add_func("/throttle-state/requests-larger-than-the-limit-of-a-second",
                    test_requests_larger_than_the_limit_of_a_second);
    g_test_add_func("/throttle-state/members-share-by-what-is-limited",
                    test_members_share_by_what_is_limited);
    g_test_add_func("/throttle-state/a-member-that-comes-late",
                    test_a_member_that_comes_late);
    g_test_add_func("/throttle-state/reads-pass-writes-that-wait-for-a-limit-of-writes",
                    test_reads_pass_writes_that_wait_for_a_limit_of_writes);
    g_test_add_func("/throttle-state/a-member-reads-and-writes-alike",
                    test_a_member_reads_and_writes_alike);
    g_test_add_func("/throttle-state/limits-change-while-requests-wait",
                    test_limits_change_while_requests_wait);
    g_test_add_func("/throttle-state/who-is-hurried-goes-and-pays-later",
                    test_who_is_hurried_goes_and_pays_later);
    g_test_add_func("/throttle-state/nonsense", test_nonsense);
    return g_test_run();
}
