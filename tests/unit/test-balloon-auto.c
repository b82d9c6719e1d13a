/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of automatic ballooning, each by itself: one sample, one decision.
 */
#include "berth/balloon-auto.h"

#define TARGET (3 * GIB)
#define HEADROOM (256 * MIB)
#define NONE BALLOON_AUTO_UNKNOWN
#define RESTS 6                 /* of a guest that needed memory for the first time */

static const BalloonAutoConfig config = {
    .min = 1 * GIB, .max = 4 * GIB, .headroom = HEADROOM, .aggressiveness = 20,
    .interval = 5,
};

/* A guest with a balloon of 1 GiB that has what it needs, on a host that has plenty. */
static BalloonAutoSample settled(void)
{
    return (BalloonAutoSample) {
        .has_device = true, .has_driver = true, .runs = true,
        .ram = 4 * GIB, .target = TARGET, .actual = TARGET,
        .guest = {
            .n_answers = 1, .actual = TARGET, .available = 320 * MIB, .free = 300 * MIB,
        },
        .host = {
            .available = 48 * GIB, .total = 64 * GIB, .cgroup_current = NONE,
            .cgroup_limit = NONE,
        },
    };
}

typedef struct Run {
    BalloonAutoSample sample;
    BalloonAutoState state;
    uint64_t target;
    AutoballoonReason reason;
} Run;

/* An interval passes: the guest has done what it was asked for, and answers. */
static void step(Run *run)
{
    BalloonAutoDecision decision;

    run->sample.guest.n_answers++;
    decision = balloon_auto_decide(&config, &run->sample, &run->state);
    run->state = decision.state;
    run->target = decision.target;
    run->reason = decision.reason;
}

static void run_init(Run *run)
{
    *run = (Run) { .sample = settled() };
    step(run);
    g_assert_cmpint(run->reason, ==, AUTOBALLOON_REASON_SETTLED);
    g_assert_cmpuint(run->target, ==, TARGET);
}

/* A value of the sample, what it becomes, and what is decided then. */
static const struct {
    const char *name;
    size_t offset;
    uint64_t value;
    AutoballoonReason reason;
    uint64_t target;
} cases[] = {
#define OF(member) offsetof(BalloonAutoSample, member)
    { "settled", OF(guest.available), 320 * MIB, AUTOBALLOON_REASON_SETTLED, TARGET },
    { "at-headroom", OF(guest.available), HEADROOM, AUTOBALLOON_REASON_SETTLED, TARGET },
    /* Half of a margin of 128 MiB above headroom. */
    { "low", OF(guest.available), HEADROOM - MIB, AUTOBALLOON_REASON_GUEST_LOW,
      TARGET + 65 * MIB },
    { "lower", OF(guest.available), 66 * MIB, AUTOBALLOON_REASON_GUEST_LOW,
      TARGET + 254 * MIB },
    { "very-low", OF(guest.available), 63 * MIB, AUTOBALLOON_REASON_GUEST_LOW, 4 * GIB },
    { "none-available", OF(guest.available), 0, AUTOBALLOON_REASON_GUEST_LOW, 4 * GIB },
    { "oom", OF(guest.oom_kills), 1, AUTOBALLOON_REASON_GUEST_OOM, 4 * GIB },
    { "swaps", OF(guest.swap_in), 8 * MIB, AUTOBALLOON_REASON_GUEST_FAULTS,
      TARGET + 192 * MIB },
    { "faults", OF(guest.major_faults), 2000, AUTOBALLOON_REASON_GUEST_FAULTS,
      TARGET + 192 * MIB },
    { "few-faults", OF(guest.major_faults), 320, AUTOBALLOON_REASON_SETTLED, TARGET },
    { "all-free-is-not-available", OF(guest.free), 4 * GIB, AUTOBALLOON_REASON_SETTLED,
      TARGET },
    { "no-counters", OF(guest.oom_kills), NONE, AUTOBALLOON_REASON_SETTLED, TARGET },
    { "no-free", OF(guest.free), NONE, AUTOBALLOON_REASON_SETTLED, TARGET },
    { "took-back", OF(actual), TARGET + 100 * MIB, AUTOBALLOON_REASON_GUEST_TOOK,
      TARGET + 292 * MIB },
    { "all-of-it-at-most", OF(actual), UINT64_MAX, AUTOBALLOON_REASON_GUEST_TOOK,
      4 * GIB },
    { "below-min", OF(target), 0, AUTOBALLOON_REASON_GUEST_LOW, 1 * GIB + 320 * MIB },
    { "above-max", OF(target), UINT64_MAX, AUTOBALLOON_REASON_GUEST_IDLE, NONE },
#undef OF
};

static void test_rules(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Run run;

        g_test_message("%s", cases[i].name);
        run_init(&run);
        *(uint64_t *)((uint8_t *)&run.sample + cases[i].offset) = cases[i].value;
        step(&run);

        g_assert_cmpstr(AutoballoonReason_str(run.reason), ==,
                        AutoballoonReason_str(cases[i].reason));
        if (cases[i].target != NONE)
            g_assert_cmpuint(run.target, ==, cases[i].target);
        g_assert_cmpuint(run.target, >=, config.min);
        g_assert_cmpuint(run.target, <=, config.max);
    }
}

static void test_idle_guest_gives_a_part_of_what_is_free(void)
{
    Run run;

    run_init(&run);
    run.sample.guest.available = 1384 * MIB;
    run.sample.guest.free = 884 * MIB;
    step(&run);

    /* 884 without headroom and margin are 500, of which 20% go. */
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_IDLE);
    g_assert_cmpuint(TARGET - run.target, >=, 99 * MIB);
    g_assert_cmpuint(TARGET - run.target, <=, 100 * MIB);
}

static void test_old_guest_tells_only_what_is_free(void)
{
    Run run;

    run_init(&run);
    run.sample.guest.available = NONE;
    run.sample.guest.free = 200 * MIB;
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_LOW);
}

/* Each makes a host short, or very short. */
static const struct {
    HostMemorySample host;
    AutoballoonPressure pressure;
    AutoballoonPressure afterwards;     /* on a host that is nearly well again */
} hosts[] = {
#define WELL .available = 48 * GIB, .total = 64 * GIB
#define UNLIMITED .cgroup_current = NONE, .cgroup_limit = NONE
#define UNTOLD { NONE, NONE }
    { { .host = { 499, 0 }, WELL, UNLIMITED }, AUTOBALLOON_PRESSURE_NONE,
      AUTOBALLOON_PRESSURE_NONE },
    { { .host = { 500, 0 }, WELL, UNLIMITED }, AUTOBALLOON_PRESSURE_SOME,
      AUTOBALLOON_PRESSURE_SOME },
    { { .cgroup = { 500, 0 }, WELL, UNLIMITED }, AUTOBALLOON_PRESSURE_SOME,
      AUTOBALLOON_PRESSURE_SOME },
    { { .cgroup = { 500, 500 }, WELL, UNLIMITED }, AUTOBALLOON_PRESSURE_HIGH,
      AUTOBALLOON_PRESSURE_SOME },
    { { .host = { 10000, 10000 }, WELL, UNLIMITED }, AUTOBALLOON_PRESSURE_HIGH,
      AUTOBALLOON_PRESSURE_SOME },
    { { .available = 9 * GIB, .total = 64 * GIB, UNLIMITED }, AUTOBALLOON_PRESSURE_SOME,
      AUTOBALLOON_PRESSURE_SOME },
    { { .available = 0, .total = 64 * GIB, UNLIMITED }, AUTOBALLOON_PRESSURE_HIGH,
      AUTOBALLOON_PRESSURE_SOME },
    { { WELL, .cgroup_current = 961 * MIB, .cgroup_limit = 1000 * MIB },
      AUTOBALLOON_PRESSURE_SOME, AUTOBALLOON_PRESSURE_SOME },
    { { WELL, .cgroup_current = 2000 * MIB, .cgroup_limit = 1000 * MIB },
      AUTOBALLOON_PRESSURE_HIGH, AUTOBALLOON_PRESSURE_SOME },
    { { WELL, .cgroup_current = 900 * MIB, .cgroup_limit = NONE },
      AUTOBALLOON_PRESSURE_NONE, AUTOBALLOON_PRESSURE_NONE },
    { { UNTOLD, UNTOLD, NONE, NONE, NONE, NONE }, AUTOBALLOON_PRESSURE_NONE,
      AUTOBALLOON_PRESSURE_NONE },
#undef UNTOLD
#undef UNLIMITED
#undef WELL
};

static void test_pressure_of_the_host(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        Run run;

        g_test_message("%zu", i);
        run_init(&run);
        /* The rest is cache, which the guest keeps unless the host needs it. */
        run.sample.guest.available = 1320 * MIB;
        run.sample.host = hosts[i].host;
        step(&run);
        g_assert_cmpint(run.state.pressure, ==, hosts[i].pressure);
        g_assert_cmpint(run.reason, ==,
                        hosts[i].pressure == AUTOBALLOON_PRESSURE_NONE
                            ? AUTOBALLOON_REASON_SETTLED
                            : AUTOBALLOON_REASON_HOST_PRESSURE);
        /* 20% of 1 GiB, or twice, four times that. */
        if (hosts[i].pressure != AUTOBALLOON_PRESSURE_NONE)
            g_assert_cmpuint((TARGET - run.target) / MIB, ==,
                             hosts[i].pressure == AUTOBALLOON_PRESSURE_SOME ? 400 : 800);
        run.sample.host = (HostMemorySample) {
            .host = { 200, 60 }, .available = 11 * GIB, .total = 64 * GIB,
            .cgroup_current = 890 * MIB, .cgroup_limit = 1000 * MIB,
        };
        step(&run);
        g_assert_cmpint(run.state.pressure, ==, hosts[i].afterwards);
        run.sample.host = settled().host;
        step(&run);
        g_assert_cmpint(run.state.pressure, ==, AUTOBALLOON_PRESSURE_NONE);
    }
}

static void test_guest_comes_before_the_host(void)
{
    Run run;

    run_init(&run);
    run.sample.host.host = (HostMemoryStall) { 10000, 10000 };
    run.sample.guest.available = HEADROOM - MIB;
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_LOW);
    g_assert_cmpuint(run.target, >, TARGET);
}

static void test_machine_that_stands(void)
{
    Run run;

    run_init(&run);
    run.sample.runs = false;
    run.sample.guest.available = 0;
    for (unsigned i = 0; i < 20; i++) {
        run.sample.guest.n_answers--;
        step(&run);
        g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_STOPPED);
        g_assert_cmpuint(run.target, ==, TARGET);
    }
    /* It gets its time to answer. */
    run.sample.runs = true;
    run.sample.guest.n_answers--;
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_WAITING);
}

static void test_no_device_and_no_driver(void)
{
    Run run;

    run_init(&run);
    run.sample.has_driver = false;
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_NO_DRIVER);
    g_assert_cmpuint(run.target, ==, config.max);
    run.sample.has_device = false;
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_NO_DEVICE);
}

/* No answer, or none with what is needed: held for a while, then given back. */
static void test_guest_that_says_nothing(void)
{
    for (int told = 0; told < 2; told++) {
        Run run;
        uint64_t before;

        run_init(&run);
        for (unsigned i = 0; i < 3; i++) {
            run.sample.guest.available = run.sample.guest.free = NONE;
            if (!told)
                run.sample.guest.n_answers--;
            step(&run);
            g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_WAITING);
            g_assert_cmpuint(run.target, ==, TARGET);
        }
        do {
            before = run.sample.target;
            if (!told)
                run.sample.guest.n_answers--;
            step(&run);
            g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_SILENT);
            run.sample.target = run.sample.actual = run.target;
        } while (run.target != before);
        g_assert_cmpuint(run.target, ==, config.max);
    }
}

static void test_rest_after_a_need_doubles(void)
{
    unsigned rests[3] = { 0 };
    Run run;

    run_init(&run);
    for (unsigned i = 0; i < G_N_ELEMENTS(rests); i++) {
        run.sample.guest.available = HEADROOM - MIB;
        step(&run);
        g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_LOW);
        run.sample.guest.available = run.sample.guest.free = 2 * GIB;
        for (step(&run); run.reason == AUTOBALLOON_REASON_RECOVERING; step(&run))
            rests[i]++;
        g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_IDLE);
    }
    g_assert_cmpuint(rests[0], ==, RESTS);
    g_assert_cmpuint(rests[1], ==, 2 * RESTS);
    g_assert_cmpuint(rests[2], ==, 4 * RESTS);
    /* A guest that is calm for long is as at first. */
    for (unsigned i = 0; i < 1000; i++)
        step(&run);
    run.sample.guest.available = HEADROOM - MIB;
    step(&run);
    g_assert_cmpuint(run.state.rest, <=, 2 * RESTS);
}

static void test_need_that_lasts_gets_more(void)
{
    uint64_t last = TARGET, step_before = 0;
    Run run;

    run_init(&run);
    for (unsigned i = 0; i < 3; i++) {
        run.sample.guest.available = HEADROOM - 128 * MIB;
        step(&run);
        g_assert_cmpuint(run.target - last, >=, step_before);
        step_before = run.target - last;
        last = run.sample.target = run.sample.actual = run.sample.guest.actual =
            run.target;
    }
    g_assert_cmpuint(last, ==, config.max);
}

/* What was asked for and has not come is counted, and not asked for again. */
static void test_guest_that_lags_and_refuses(void)
{
    Run run;

    run_init(&run);
    run.sample.target = TARGET - 500 * MIB;
    run.sample.guest.available = run.sample.guest.free = 1320 * MIB;
    for (unsigned i = 0; i < 3; i++) {
        run.sample.actual -= 10 * MIB;
        step(&run);
        g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_LAGS);
        g_assert_cmpuint(run.target, ==, TARGET - 500 * MIB);
    }
    for (unsigned i = 0; i < 5; i++) {
        step(&run);
        g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_LAGS);
    }
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_REFUSES);
    g_assert_cmpuint(run.target, ==, TARGET - 30 * MIB);

    /* 500 MiB that are on their way are not available. */
    run_init(&run);
    run.sample.target = TARGET - 500 * MIB;
    run.sample.guest.available = 700 * MIB;
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_GUEST_LOW);
}

static void test_steady_faults_become_usual(void)
{
    unsigned n = 0;
    Run run;

    run_init(&run);
    for (unsigned i = 0; i < 100; i++) {
        run.sample.guest.major_faults += 2000;
        step(&run);
        n += run.reason == AUTOBALLOON_REASON_GUEST_FAULTS;
        run.sample.target = run.sample.actual = run.sample.guest.actual = TARGET;
    }
    g_assert_cmpuint(n, >=, 1);
    g_assert_cmpuint(n, <=, 5);
}

static void test_faults_with_much_available(void)
{
    Run run;

    run_init(&run);
    run.sample.guest.available = 2 * GIB;
    run.sample.guest.major_faults = 100000;
    step(&run);
    g_assert_cmpint(run.reason, !=, AUTOBALLOON_REASON_GUEST_FAULTS);
}

static void test_counters_that_begin_anew(void)
{
    Run run;

    run_init(&run);
    run.sample.guest.oom_kills = run.sample.guest.major_faults = 1000;
    step(&run);
    run.sample.guest.oom_kills = run.sample.guest.major_faults = 0;
    step(&run);
    g_assert_cmpint(run.reason, ==, AUTOBALLOON_REASON_RECOVERING);
}

/* Every number that a guest gives is one of these, in every combination of a few. */
static void test_guests_that_lie(void)
{
    static const uint64_t lies[] = {
        0, 1, 4095, MIB, 4 * GIB, 5 * GIB, 1ull << 63, UINT64_MAX - 1, UINT64_MAX,
    };
    g_autoptr(GRand) random = g_rand_new_with_seed(6);
    BalloonAutoState state = { 0 };

    for (unsigned i = 0; i < 200000; i++) {
        BalloonAutoSample sample = settled();
        uint64_t *const values[] = {
            &sample.actual, &sample.target, &sample.guest.n_answers,
            &sample.guest.actual, &sample.guest.available, &sample.guest.free,
            &sample.guest.swap_in, &sample.guest.major_faults, &sample.guest.oom_kills,
            &sample.host.host.some, &sample.host.host.full, &sample.host.cgroup.some,
            &sample.host.cgroup.full, &sample.host.available, &sample.host.total,
            &sample.host.cgroup_current, &sample.host.cgroup_limit,
        };
        BalloonAutoDecision decision;

        for (size_t j = 0; j < G_N_ELEMENTS(values); j++)
            *values[j] = lies[g_rand_int_range(random, 0, G_N_ELEMENTS(lies))];
        sample.has_driver = g_rand_int_range(random, 0, 50) > 0;
        decision = balloon_auto_decide(&config, &sample, &state);
        state = decision.state;
        g_assert_cmpuint(decision.target, >=, config.min);
        g_assert_cmpuint(decision.target, <=, config.max);
        g_assert_cmpuint(state.rest, <=, 192);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/balloon-auto/rules", test_rules);
    g_test_add_func("/balloon-auto/idle-guest-gives-a-part-of-what-is-free",
                    test_idle_guest_gives_a_part_of_what_is_free);
    g_test_add_func("/balloon-auto/old-guest-tells-only-what-is-free",
                    test_old_guest_tells_only_what_is_free);
    g_test_add_func("/balloon-auto/pressure-of-the-host", test_pressure_of_the_host);
    g_test_add_func("/balloon-auto/guest-comes-before-the-host",
                    test_guest_comes_before_the_host);
    g_test_add_func("/balloon-auto/machine-that-stands", test_machine_that_stands);
    g_test_add_func("/balloon-auto/no-device-and-no-driver",
                    test_no_device_and_no_driver);
    g_test_add_func("/balloon-auto/guest-that-says-nothing",
                    test_guest_that_says_nothing);
    g_test_add_func("/balloon-auto/rest-after-a-need-doubles",
                    test_rest_after_a_need_doubles);
    g_test_add_func("/balloon-auto/need-that-lasts-gets-more",
                    test_need_that_lasts_gets_more);
    g_test_add_func("/balloon-auto/guest-that-lags-and-refuses",
                    test_guest_that_lags_and_refuses);
    g_test_add_func("/balloon-auto/steady-faults-become-usual",
                    test_steady_faults_become_usual);
    g_test_add_func("/balloon-auto/faults-with-much-available",
                    test_faults_with_much_available);
    g_test_add_func("/balloon-auto/counters-that-begin-anew",
                    test_counters_that_begin_anew);
    g_test_add_func("/balloon-auto/guests-that-lie", test_guests_that_lie);
    return g_test_run();
}
