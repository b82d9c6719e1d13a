/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Automatic ballooning over hours: guests of a model, each with a working set that
 * changes and a page cache that grows into what is free, on a host of a model that is
 * short when they have too much.
 *
 * An interval is ten moments.  The guest tells its statistics in the middle of it, the
 * decision is made at its end; the driver gives and takes as much a moment as a real one.
 */
#include "berth/balloon-auto.h"

#define MOMENTS 10
#define KERNEL (150 * MIB)
#define RAM (4 * GIB)
/* What a driver can give or take in a moment. */
#define SPEED (100 * MIB)
#define MAX_GUESTS 8

typedef struct Guest Guest;
/* The working set that it wants at @moment. */
typedef uint64_t Trace(const Guest *guest, unsigned moment);

struct Guest {
    Trace *trace;
    unsigned phase;             /* of the trace, in moments */
    bool takes_back;            /* deflate-on-oom */
    uint64_t reads;             /* bytes that come into its cache in a moment */
    GRand *random;
    BalloonAutoConfig config;
    BalloonAutoState state;
    uint64_t target;
    uint64_t actual;
    uint64_t set;
    uint64_t cache;
    BalloonAutoGuest told;

    unsigned n_ooms;
    unsigned n_turns;           /* of the target, from up to down and back */
    int direction;
    unsigned last_change;       /* the interval */
    uint64_t lowest;            /* target */
    uint64_t least_available;
    uint64_t sum;               /* of actual, over intervals */
};

typedef struct Host {
    uint64_t total;
    uint64_t lowest;            /* available */
    unsigned n_short;           /* moments in which nothing was */
    Guest guests[MAX_GUESTS];
    unsigned n;
} Host;

static uint64_t guest_free(const Guest *guest)
{
    uint64_t used = KERNEL + guest->set + guest->cache;

    return guest->actual - MIN(guest->actual, used);
}

/* A third of the cache is in use. */
static uint64_t guest_available(const Guest *guest)
{
    return guest_free(guest) + guest->cache / 3 * 2;
}

/* Frees @bytes of cache; false when there are not as many. */
static bool shrink_cache(Guest *guest, uint64_t bytes)
{
    if (bytes > guest->cache)
        return false;
    guest->cache -= bytes;
    guest->told.major_faults += bytes / MIB / 16;
    return true;
}

static void balloon(Guest *guest)
{
    uint64_t step;

    if (guest->actual < guest->target) {
        guest->actual += MIN(guest->target - guest->actual, SPEED);
    } else {
        step = MIN(guest->actual - guest->target, SPEED);
        step = MIN(step, guest_available(guest));
        if (guest_free(guest) < step)
            shrink_cache(guest, step - guest_free(guest));
        guest->actual -= step;
    }
}

static void run_moment(Guest *guest, unsigned moment)
{
    uint64_t wanted = guest->trace(guest, moment + guest->phase), lacks;

    balloon(guest);
    if (wanted > guest->set + guest_free(guest)) {
        lacks = wanted - guest->set - guest_free(guest);
        if (lacks > guest->cache && guest->takes_back)
            guest->actual = MIN(guest->actual + lacks - guest->cache + 16 * MIB, RAM);
        else if (lacks > guest->cache)
            guest->n_ooms++, guest->told.oom_kills++, wanted = guest->set;
        shrink_cache(guest, MIN(lacks, guest->cache));
    }
    guest->set = wanted;
    guest->cache += MIN(guest->reads, guest_free(guest));
    guest->least_available = MIN(guest->least_available, guest_available(guest));
}

static void tell(Guest *guest)
{
    guest->told.n_answers++;
    guest->told.actual = guest->actual;
    guest->told.available = guest_available(guest);
    guest->told.free = guest_free(guest);
}

/* Hosts that have a tenth or less wait for memory, the more so the less they have. */
static HostMemorySample host_sample(Host *host)
{
    HostMemorySample sample = {
        .total = host->total, .cgroup = { HOST_MEMORY_UNKNOWN, HOST_MEMORY_UNKNOWN },
        .cgroup_current = HOST_MEMORY_UNKNOWN, .cgroup_limit = HOST_MEMORY_UNKNOWN,
    };
    uint64_t used = 0, tenth = host->total / 10;

    for (unsigned i = 0; i < host->n; i++)
        used += host->guests[i].actual;
    sample.available = host->total - MIN(host->total, used);
    if (sample.available < tenth) {
        sample.host.some = (tenth - sample.available) * 4000 / tenth;
        sample.host.full = sample.host.some / 4;
    }
    host->lowest = MIN(host->lowest, sample.available);
    host->n_short += sample.available == 0;
    return sample;
}

static void decide(Guest *guest, const HostMemorySample *host, unsigned interval)
{
    const BalloonAutoSample sample = {
        .has_device = true, .has_driver = true, .runs = true, .ram = RAM,
        .target = guest->target, .actual = guest->actual, .guest = guest->told,
        .host = *host,
    };
    BalloonAutoDecision decision =
        balloon_auto_decide(&guest->config, &sample, &guest->state);
    int direction = decision.target > guest->target ? 1
        : decision.target < guest->target ? -1 : guest->direction;

    g_assert_cmpuint(decision.target, >=, guest->config.min);
    g_assert_cmpuint(decision.target, <=, guest->config.max);
    /* A step down is never more than the aggressiveness allows. */
    if (decision.target < guest->target)
        g_assert_cmpuint(guest->target - decision.target, <=,
                         (guest->config.max - guest->config.min) / 100 *
                             MIN(4 * guest->config.aggressiveness, 100));
    guest->n_turns += guest->direction && direction != guest->direction;
    guest->direction = direction;
    if (decision.target != guest->target)
        guest->last_change = interval;
    guest->state = decision.state;
    guest->target = decision.target;
    guest->lowest = MIN(guest->lowest, guest->target);
    guest->sum += guest->actual;
}

static Guest *add_guest(Host *host, Trace *trace)
{
    Guest *guest = &host->guests[host->n++];

    *guest = (Guest) {
        .trace = trace,
        .random = g_rand_new_with_seed(host->n),
        .config = {
            .min = 512 * MIB, .max = RAM, .headroom = 256 * MIB, .aggressiveness = 20,
            .interval = 5,
        },
        .target = RAM, .actual = RAM, .cache = 100 * MIB,
        .lowest = RAM, .least_available = RAM,
    };
    return guest;
}

static void run(Host *host, unsigned n_intervals)
{
    host->lowest = host->total;
    for (unsigned interval = 0; interval < n_intervals; interval++) {
        HostMemorySample sample;

        for (unsigned moment = 0; moment < MOMENTS; moment++) {
            for (unsigned i = 0; i < host->n; i++) {
                run_moment(&host->guests[i], interval * MOMENTS + moment);
                if (moment == MOMENTS / 2)
                    tell(&host->guests[i]);
            }
        }
        sample = host_sample(host);
        for (unsigned i = 0; i < host->n; i++)
            decide(&host->guests[i], &sample, interval);
    }
    for (unsigned i = 0; i < host->n; i++) {
        Guest *guest = &host->guests[i];

        g_rand_free(guest->random);
        g_test_message("guest %u: target %" PRIu64 " MiB, lowest %" PRIu64 ", turns %u, "
                       "last change %u, available at least %" PRIu64 ", mean %" PRIu64,
                       i, guest->target / (uint64_t)MIB, guest->lowest / (uint64_t)MIB,
                       guest->n_turns, guest->last_change,
                       guest->least_available / (uint64_t)MIB,
                       guest->sum / n_intervals / (uint64_t)MIB);
    }
    g_test_message("host: available at least %" PRIu64 " MiB, short %u",
                   host->lowest / (uint64_t)MIB, host->n_short);
}

static uint64_t steady(const Guest *guest, unsigned moment)
{
    return 800 * MIB;
}

/* From 300 MiB to 3 GiB in half an hour, and back. */
static uint64_t ramp(const Guest *guest, unsigned moment)
{
    const unsigned half = 360 * MOMENTS;
    unsigned at = moment % (2 * half);

    return 300 * MIB + (at < half ? at : 2 * half - at) * (2772 * MIB / half);
}

/* 400 MiB, and 1.5 GiB more for two minutes of each ten, as fast as a guest can. */
static uint64_t spikes(const Guest *guest, unsigned moment)
{
    return moment / MOMENTS % 120 >= 96 ? 1936 * MIB : 400 * MIB;
}

/* A day of four hours: 300 MiB at night, 2.3 GiB at noon. */
static uint64_t days(const Guest *guest, unsigned moment)
{
    const unsigned half = 1440 * MOMENTS;
    uint64_t at = moment % (2 * half);
    uint64_t part = (at < half ? at : 2 * half - at) * 1000 / half;

    /* Smooth at both ends: 3x^2 - 2x^3. */
    return 300 * MIB + 2000 * MIB * (part * part * (3000 - 2 * part) / 1000000) / 1000;
}

/* 800 MiB, give or take 60 any moment. */
static uint64_t noise(const Guest *guest, unsigned moment)
{
    return 740 * MIB + (uint64_t)g_rand_int_range(guest->random, 0, 120) * MIB;
}

/* 700 MiB for half a minute, then 1.1 GiB for the same: worse than its margins. */
static uint64_t waves(const Guest *guest, unsigned moment)
{
    return moment / MOMENTS % 12 < 6 ? 700 * MIB : 1100 * MIB;
}

static void test_steady_guest_settles(void)
{
    Host host = { .total = 64 * GIB };
    Guest *guest = add_guest(&host, steady);

    run(&host, 1000);

    /* Two minutes and a half; what it uses, headroom and margin are left. */
    g_assert_cmpuint(guest->last_change, <, 30);
    g_assert_cmpuint(guest->n_turns, ==, 0);
    g_assert_cmpuint(guest->target, <, KERNEL + 900 * MIB + 400 * MIB);
    g_assert_cmpuint(guest->least_available, >=, guest->config.headroom);
    g_assert_cmpuint(guest->n_ooms, ==, 0);
}

/* Without need the host takes no caches; with it, it does. */
static void test_caches_are_taken_when_the_host_is_short(void)
{
    for (int is_short = 0; is_short < 2; is_short++) {
        Host host = { .total = is_short ? 4 * GIB : 64 * GIB };
        Guest *guest = add_guest(&host, steady);

        guest->reads = 20 * MIB;
        guest->cache = 2500 * MIB;
        run(&host, 500);
        if (is_short)
            g_assert_cmpuint(guest->target, <, 3500 * MIB);
        else
            g_assert_cmpuint(guest->target, >, 3500 * MIB);
        g_assert_cmpuint(guest->n_turns, <=, 2);
        g_assert_cmpuint(guest->n_ooms, ==, 0);
    }
}

static void test_ramp_is_followed(void)
{
    Host host = { .total = 64 * GIB };
    Guest *guest = add_guest(&host, ramp);

    run(&host, 2880);

    g_assert_cmpuint(guest->n_ooms, ==, 0);
    g_assert_cmpuint(guest->least_available, >, 64 * MIB);
    /* Two ramps up, two down. */
    g_assert_cmpuint(guest->n_turns, <=, 8);
    g_assert_cmpuint(guest->sum / 2880, <, 3200 * MIB);
}

static void test_day_and_night(void)
{
    Host host = { .total = 64 * GIB };
    Guest *guest = add_guest(&host, days);

    run(&host, 4 * 2880);

    g_assert_cmpuint(guest->n_ooms, ==, 0);
    g_assert_cmpuint(guest->least_available, >, 64 * MIB);
    g_assert_cmpuint(guest->n_turns, <=, 4 * 6);
    g_assert_cmpuint(guest->sum / (4 * 2880), <, 2700 * MIB);
}

/* Faster than any interval: the guest takes its memory back, which is respected. */
static void test_spikes(void)
{
    Host host = { .total = 64 * GIB };
    Guest *guest = add_guest(&host, spikes);

    guest->takes_back = true;
    run(&host, 2400);

    /* Twenty spikes: once up and once down for each. */
    g_assert_cmpuint(guest->n_ooms, ==, 0);
    g_assert_cmpuint(guest->n_turns, <=, 40);
}

/* What turns faster than the rests, which become longer until it does not matter. */
static void test_noise_and_waves_do_not_swing_it(void)
{
    static const struct {
        Trace *trace;
        unsigned n_turns;
    } cases[] = { { noise, 6 }, { waves, 40 } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Host host = { .total = 64 * GIB };
        Guest *guest = add_guest(&host, cases[i].trace);

        guest->takes_back = true;
        run(&host, 3000);
        g_assert_cmpuint(guest->n_turns, <=, cases[i].n_turns);
        g_assert_cmpuint(guest->n_ooms, ==, 0);
    }
}

/* 32 GiB of guests on 20 GiB: each has its noon at another time. */
static void test_more_guests_than_memory(void)
{
    Host host = { .total = 20 * GIB };

    for (unsigned i = 0; i < MAX_GUESTS; i++) {
        Guest *guest = add_guest(&host, days);

        guest->phase = i * 360 * MOMENTS;
        guest->reads = 2 * MIB;
        /* As they are when they were started one after the other. */
        guest->cache = 0;
        guest->set = days(guest, guest->phase);
        guest->target = guest->actual = guest->set + KERNEL + 512 * MIB;
    }
    run(&host, 2 * 2880);

    g_assert_cmpuint(host.n_short, ==, 0);
    for (unsigned i = 0; i < host.n; i++) {
        g_assert_cmpuint(host.guests[i].n_ooms, ==, 0);
        g_assert_cmpuint(host.guests[i].least_available, >, 64 * MIB);
        g_assert_cmpuint(host.guests[i].n_turns, <=, 16);
    }
}

/* Who says it has nothing gets what it may have; who says it has all, what it must. */
static void test_guest_that_lies_hurts_itself_alone(void)
{
    static const uint64_t lies[] = { 0, UINT64_MAX - 1, UINT64_MAX };

    for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
        BalloonAutoConfig config = {
            .min = GIB, .max = 2 * GIB, .headroom = 256 * MIB, .aggressiveness = 100,
            .interval = 1,
        };
        BalloonAutoSample sample = {
            .has_device = true, .has_driver = true, .runs = true, .ram = RAM,
            .target = 2 * GIB, .actual = 2 * GIB, .host = { .total = 4 * GIB },
        };
        BalloonAutoState state = { 0 };

        for (unsigned n = 1; n < 200; n++) {
            BalloonAutoDecision decision;

            sample.guest = (BalloonAutoGuest) {
                n, sample.actual, lies[i], lies[i], lies[i], lies[i], lies[i],
            };
            decision = balloon_auto_decide(&config, &sample, &state);
            state = decision.state;
            sample.target = sample.actual = decision.target;
        }
        g_assert_cmpuint(sample.target / GIB, ==, lies[i] == UINT64_MAX - 1 ? 1 : 2);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/balloon-traces/steady-guest-settles", test_steady_guest_settles);
    g_test_add_func("/balloon-traces/caches-are-taken-when-the-host-is-short",
                    test_caches_are_taken_when_the_host_is_short);
    g_test_add_func("/balloon-traces/ramp-is-followed", test_ramp_is_followed);
    g_test_add_func("/balloon-traces/day-and-night", test_day_and_night);
    g_test_add_func("/balloon-traces/spikes", test_spikes);
    g_test_add_func("/balloon-traces/noise-and-waves-do-not-swing-it",
                    test_noise_and_waves_do_not_swing_it);
    g_test_add_func("/balloon-traces/more-guests-than-memory",
                    test_more_guests_than_memory);
    g_test_add_func("/balloon-traces/guest-that-lies-hurts-itself-alone",
                    test_guest_that_lies_hurts_itself_alone);
    return g_test_run();
}
