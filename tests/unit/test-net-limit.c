/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of network devices, on a clock that is simulated.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/net-limit.h"

#define FULL 1514u
#define MEMBERS_MAX 4u

/* Queues that send as much as they may, by turns of 50 us. */
typedef struct Sim {
    NetLimit *limit;
    NetLimitConfig config;
    int64_t now_ns;
    unsigned n_members;
    struct SimMember {
        NetLimitMember member;
        uint32_t size;          /* of its frames */
        bool is_idle;
        int64_t at_ns;          /* it asks not before; INT64_MAX: not until it is woken */
        uint64_t bytes;
        uint64_t packets;
        unsigned n_asked;       /* after it was held */
    } members[MEMBERS_MAX];
} Sim;

static void on_wake(void *opaque)
{
    struct SimMember *member = opaque;

    member->at_ns = 0;
}

static Sim *sim_new(unsigned n_members, NetDirection direction)
{
    static const NetRate none = { .length = 1 };
    Sim *sim = g_new0(Sim, 1);

    sim->now_ns = NS_PER_SEC;
    sim->limit = net_limit_new(sim->now_ns);
    sim->n_members = n_members;
    for (unsigned i = 0; i < NET_DIRECTION__MAX; i++)
        sim->config.bytes[i] = sim->config.packets[i] = none;
    for (unsigned i = 0; i < n_members; i++) {
        struct SimMember *member = &sim->members[i];

        member->member.wake = on_wake;
        member->member.opaque = member;
        member->size = FULL;
        net_limit_join(&member->member, sim->limit, direction);
    }
    return sim;
}

static void sim_free(Sim *sim)
{
    for (unsigned i = 0; i < sim->n_members; i++)
        net_limit_leave(&sim->members[i].member);
    net_limit_free(sim->limit);
    g_free(sim);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sim, sim_free)

static void configure(Sim *sim)
{
    g_autoptr(GError) error = NULL;

    net_limit_configure(sim->limit, &sim->config, sim->now_ns, &error);
    g_assert_no_error(error);
}

/* Up to 64 frames, as a device does in a round. */
static void turn(Sim *sim, struct SimMember *member)
{
    int64_t at_ns;

    if (member->is_idle || member->at_ns > sim->now_ns)
        return;
    member->n_asked++;
    for (unsigned i = 0; i < 64; i++) {
        if (!net_limit_admit(&member->member, sim->now_ns, &at_ns)) {
            member->at_ns = at_ns < 0 ? INT64_MAX : at_ns;
            return;
        }
        net_limit_charge(&member->member, member->size);
        member->bytes += member->size;
        member->packets++;
    }
    member->at_ns = 0;
}

static void run(Sim *sim, double seconds)
{
    int64_t end_ns = sim->now_ns + (int64_t)(seconds * (double)NS_PER_SEC);

    for (; sim->now_ns < end_ns; sim->now_ns += 50000) {
        for (unsigned i = 0; i < sim->n_members; i++)
            turn(sim, &sim->members[i]);
    }
}

static void forget(Sim *sim)
{
    for (unsigned i = 0; i < sim->n_members; i++)
        sim->members[i].bytes = sim->members[i].packets = sim->members[i].n_asked = 0;
}

/* In any second, beginning at any time, the limit is held and used within 3%. */
static void test_any_second(void)
{
    static const struct {
        uint64_t bps, pps;
        uint32_t size;
    } cases[] = {
        { 125000, 0, 1514 },    { 1250000, 0, 60 },     { 125000000, 0, 1514 },
        { 12500000, 0, 65553 }, { 0, 100, 60 },         { 0, 200000, 60 },
        { 1514000, 500, 1514 }, { 1000000, 5000, 1514 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Sim) sim = sim_new(1, NET_TX);
        struct SimMember *member = &sim->members[0];
        double bps = cases[i].bps ? (double)cases[i].bps : 1e18;
        double pps = cases[i].pps ? (double)cases[i].pps : 1e18;
        double most = MIN(bps, pps * cases[i].size);
        uint64_t at_end[200];

        sim->config.bytes[NET_TX].rate = cases[i].bps;
        sim->config.packets[NET_TX].rate = cases[i].pps;
        configure(sim);
        member->size = cases[i].size;
        for (unsigned k = 0; k < G_N_ELEMENTS(at_end); k++) {
            run(sim, 0.05);
            at_end[k] = member->bytes;
        }
        for (unsigned k = 20; k < G_N_ELEMENTS(at_end); k++) {
            double got = (double)(at_end[k] - at_end[k - 20]);

            /* A frame is never cut. */
            g_assert_cmpfloat(got, <=, most * 1.03 + cases[i].size);
            g_assert_cmpfloat(got, >=, most * 0.97 - cases[i].size);
        }
    }
}

/* At its limit a queue is woken about a hundred times a second. */
static void test_wake_ups(void)
{
    g_autoptr(Sim) sim = sim_new(2, NET_TX);

    sim->config.bytes[NET_TX].rate = 125000000;
    configure(sim);
    run(sim, 1);
    forget(sim);
    run(sim, 1);
    /* Some of what it asks is a round of frames. */
    g_assert_cmpuint(sim->members[0].n_asked, <, 2500);
    sim->members[1].is_idle = true;
    net_limit_leave(&sim->members[1].member);
    sim->config.packets[NET_TX].rate = 1000;
    configure(sim);
    run(sim, 1);
    forget(sim);
    run(sim, 1);
    g_assert_cmpuint(sim->members[0].n_asked, <=, 110);
}

/* Those that share a limit have equal parts of it, whatever they send. */
static void test_fair(void)
{
    static const struct {
        uint64_t bps, pps;
        uint32_t sizes[3];
    } cases[] = {
        { 12500000, 0, { 1514, 60, 65553 } }, { 125000, 0, { 1514, 1514, 60 } },
        { 0, 1000, { 60, 60, 1514 } },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Sim) sim = sim_new(3, NET_RX);
        uint64_t total = 0;

        sim->config.bytes[NET_RX].rate = cases[i].bps;
        sim->config.packets[NET_RX].rate = cases[i].pps;
        configure(sim);
        for (unsigned k = 0; k < 3; k++)
            sim->members[k].size = cases[i].sizes[k];
        run(sim, 10);
        for (unsigned k = 0; k < 3; k++)
            total += cases[i].bps ? sim->members[k].bytes : sim->members[k].packets;
        for (unsigned k = 0; k < 3; k++) {
            double part = (double)(cases[i].bps ? sim->members[k].bytes
                                                : sim->members[k].packets);

            g_assert_cmpfloat(part, >, (double)total / 3 * 0.85);
            g_assert_cmpfloat(part, <, (double)total / 3 * 1.15);
        }
        g_assert_cmpfloat((double)total, <=,
                          (double)(cases[i].bps + cases[i].pps) * 10 * 1.03 + 65553 * 3);
    }
}

/* One that has nothing to send leaves its part to the others. */
static void test_idle_member(void)
{
    g_autoptr(Sim) sim = sim_new(2, NET_TX);

    sim->config.bytes[NET_TX].rate = 1250000;
    configure(sim);
    run(sim, 1);
    sim->members[0].is_idle = true;
    net_limit_leave(&sim->members[0].member);
    forget(sim);
    run(sim, 1);
    g_assert_cmpuint(sim->members[1].bytes, >, 1250000 * 0.97);
    g_assert_cmpuint(sim->members[1].bytes, <, 1250000 * 1.03);
    sim->members[0].is_idle = false;
    sim->members[0].at_ns = 0;
    forget(sim);
    run(sim, 1);
    g_assert_cmpuint(sim->members[0].bytes, >, 1250000 * 0.45);
}

static void test_burst(void)
{
    g_autoptr(Sim) sim = sim_new(1, NET_TX);

    sim->config.bytes[NET_TX] = (NetRate) { 1000000, 5000000, 2 };
    configure(sim);
    run(sim, 2);
    g_assert_cmpuint(sim->members[0].bytes, >, 5000000 * 2 * 0.97);
    g_assert_cmpuint(sim->members[0].bytes, <, 5000000 * 2 * 1.03);
    forget(sim);
    run(sim, 5);
    g_assert_cmpuint(sim->members[0].bytes, >, 1000000 * 5 * 0.97);
    g_assert_cmpuint(sim->members[0].bytes, <, 1000000 * 5 * 1.03 + 2 * FULL);
}

/* Lower, higher, none: at once. */
static void test_change(void)
{
    static const uint64_t rates[] = { 1000000, 100, 10000000, 0, 1000000 };
    g_autoptr(Sim) sim = sim_new(1, NET_TX);

    for (size_t i = 0; i < G_N_ELEMENTS(rates); i++) {
        sim->config.bytes[NET_TX].rate = rates[i];
        configure(sim);
        forget(sim);
        run(sim, 1);
        if (rates[i] == 0) {
            g_assert_cmpuint(sim->members[0].packets, ==, 20000 * 64);
            continue;
        }
        g_assert_cmpuint(sim->members[0].bytes, <=, rates[i] * 1.03 + FULL);
        if (rates[i] > FULL)
            g_assert_cmpuint(sim->members[0].bytes, >=, rates[i] * 0.97 - FULL);
    }
}

/* A direction does not count for the other one. */
static void test_directions(void)
{
    g_autoptr(Sim) sim = sim_new(1, NET_RX);

    sim->config.bytes[NET_TX].rate = 1;
    sim->config.packets[NET_TX].rate = 1;
    configure(sim);
    run(sim, 0.01);
    g_assert_cmpuint(sim->members[0].packets, ==, 200 * 64);
}

static void test_wrong_limits(void)
{
    static const struct {
        NetRate rate;
        const char *words;
    } cases[] = {
        { { UINT64_MAX, 0, 1 }, "'tx-pps'" },     { { 1, UINT64_MAX, 1 }, "'tx-pps'" },
        { { 0, 1, 1 }, "needs a limit" },         { { 5, 4, 1 }, "below the limit" },
        { { 1, 2, 0 }, "max-length" },            { { 1, 2, 1ull << 40 }, "max-length" },
    };
    g_autoptr(Sim) sim = sim_new(1, NET_TX);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        sim->config.packets[NET_TX] = cases[i].rate;
        g_assert_false(net_limit_configure(sim->limit, &sim->config, sim->now_ns,
                                           &error));
        g_assert_nonnull(strstr(error->message, cases[i].words));
    }
    run(sim, 0.01);
    g_assert_cmpuint(sim->members[0].packets, ==, 200 * 64);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-limit/any-second", test_any_second);
    g_test_add_func("/net-limit/wake-ups", test_wake_ups);
    g_test_add_func("/net-limit/fair", test_fair);
    g_test_add_func("/net-limit/idle-member", test_idle_member);
    g_test_add_func("/net-limit/burst", test_burst);
    g_test_add_func("/net-limit/change", test_change);
    g_test_add_func("/net-limit/directions", test_directions);
    g_test_add_func("/net-limit/wrong-limits", test_wrong_limits);
    return g_test_run();
}
