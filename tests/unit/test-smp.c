/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each row says what is given (0: not given) and what must come of it.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/smp.h"

#define LIMIT 255

typedef struct Case {
    const char *name;
    int64_t cpus, maxcpus, sockets, dies, cores, threads;
    CpuTopology expected;       /* cpus, max_cpus, sockets, dies, cores, threads */
} Case;

static const Case cases[] = {
    { "nothing", 0, 0, 0, 0, 0, 0, { 1, 1, 1, 1, 1, 1 } },
    { "1", 1, 0, 0, 0, 0, 0, { 1, 1, 1, 1, 1, 1 } },
    { "8", 8, 0, 0, 0, 0, 0, { 8, 8, 1, 1, 8, 1 } },
    { "8,sockets=2", 8, 0, 2, 0, 0, 0, { 8, 8, 2, 1, 4, 1 } },
    { "8,dies=2", 8, 0, 0, 2, 0, 0, { 8, 8, 1, 2, 4, 1 } },
    { "8,cores=2", 8, 0, 0, 0, 2, 0, { 8, 8, 4, 1, 2, 1 } },
    { "8,threads=2", 8, 0, 0, 0, 0, 2, { 8, 8, 1, 1, 4, 2 } },
    { "8,cores=2,threads=2", 8, 0, 0, 0, 2, 2, { 8, 8, 2, 1, 2, 2 } },
    { "8,sockets=2,cores=2", 8, 0, 2, 0, 2, 0, { 8, 8, 2, 1, 2, 2 } },
    { "8,sockets=2,threads=2", 8, 0, 2, 0, 0, 2, { 8, 8, 2, 1, 2, 2 } },
    { "8,dies=2,cores=2", 8, 0, 0, 2, 2, 0, { 8, 8, 2, 2, 2, 1 } },
    { "8,all", 8, 0, 2, 2, 2, 1, { 8, 8, 2, 2, 2, 1 } },
    { "maxcpus=8", 0, 8, 0, 0, 0, 0, { 8, 8, 1, 1, 8, 1 } },
    { "2,maxcpus=8", 2, 8, 0, 0, 0, 0, { 2, 8, 1, 1, 8, 1 } },
    { "1,maxcpus=8,sockets=8", 1, 8, 8, 0, 0, 0, { 1, 8, 8, 1, 1, 1 } },
    { "6,maxcpus=8,sockets=2", 6, 8, 2, 0, 0, 0, { 6, 8, 2, 1, 4, 1 } },
    { "sockets=2", 0, 0, 2, 0, 0, 0, { 2, 2, 2, 1, 1, 1 } },
    { "cores=3,threads=2", 0, 0, 0, 0, 3, 2, { 6, 6, 1, 1, 3, 2 } },
    { "dies=4", 0, 0, 0, 4, 0, 0, { 4, 4, 1, 4, 1, 1 } },
    { "255", 255, 0, 0, 0, 0, 0, { 255, 255, 1, 1, 255, 1 } },
    { "5,sockets=5", 5, 0, 5, 0, 0, 0, { 5, 5, 5, 1, 1, 1 } },
};

static SmpOptions options_of(const Case *c)
{
    return (SmpOptions) {
        .has_cpus = c->cpus != 0, .cpus = c->cpus,
        .has_maxcpus = c->maxcpus != 0, .maxcpus = c->maxcpus,
        .has_sockets = c->sockets != 0, .sockets = c->sockets,
        .has_dies = c->dies != 0, .dies = c->dies,
        .has_cores = c->cores != 0, .cores = c->cores,
        .has_threads = c->threads != 0, .threads = c->threads,
    };
}

static void test_case(const void *data)
{
    const Case *c = data;
    SmpOptions options = options_of(c);
    g_autoptr(GError) error = NULL;
    CpuTopology topology = { 0 };

    g_assert_true(smp_parse(&options, LIMIT, &topology, &error));

    g_assert_no_error(error);
    g_assert_cmpmem(&topology, sizeof topology, &c->expected, sizeof c->expected);
}

static void test_no_option_is_one_cpu(void)
{
    const CpuTopology expected = { 1, 1, 1, 1, 1, 1 };
    CpuTopology topology = { 0 };

    g_assert_true(smp_parse(NULL, LIMIT, &topology, NULL));

    g_assert_cmpmem(&topology, sizeof topology, &expected, sizeof expected);
}

typedef struct Refused {
    const char *name;
    SmpOptions options;
    const char *expected;
} Refused;

#define GIVEN(field, n) .has_##field = true, .field = (n)

static const Refused refused[] = {
    { "cpus=0", { GIVEN(cpus, 0) }, "parameter 'cpus' is 0, must be at least 1" },
    { "cpus=-1", { GIVEN(cpus, -1) }, "parameter 'cpus' is -1, must be" },
    { "cpus-min", { GIVEN(cpus, INT64_MIN) }, "is -9223372036854775808" },
    { "maxcpus=0", { GIVEN(maxcpus, 0) }, "parameter 'maxcpus' is 0" },
    { "sockets=0", { GIVEN(cpus, 8), GIVEN(sockets, 0) }, "parameter 'sockets' is 0" },
    { "dies=0", { GIVEN(dies, 0) }, "parameter 'dies' is 0" },
    { "cores=0", { GIVEN(cores, 0) }, "parameter 'cores' is 0" },
    { "threads=-2", { GIVEN(threads, -2) }, "parameter 'threads' is -2" },
    { "clusters=0", { GIVEN(clusters, 0) }, "parameter 'clusters' is 0" },
    { "clusters=2", { GIVEN(cpus, 4), GIVEN(clusters, 2) },
      "parameter 'clusters' is 2, at most 1 is possible" },
    { "modules=2", { GIVEN(modules, 2) }, "parameter 'modules' is 2, at most 1" },
    { "books=2", { GIVEN(books, 2) }, "parameter 'books' is 2, at most 1" },
    { "drawers=2", { GIVEN(drawers, 2) }, "parameter 'drawers' is 2, at most 1" },
    { "256", { GIVEN(cpus, 256) }, "is 256, at most 255 is possible" },
    { "cores-max", { GIVEN(cores, INT64_MAX) }, "is 9223372036854775807" },
    { "product-over-limit", { GIVEN(cores, 255), GIVEN(threads, 2) },
      "sockets * dies * cores * threads is 510, at most 255" },
    { "product-huge",
      { GIVEN(sockets, 255), GIVEN(dies, 255), GIVEN(cores, 255), GIVEN(threads, 255) },
      "is 4228250625, at most 255" },
    { "7-of-2-sockets", { GIVEN(cpus, 2), GIVEN(maxcpus, 7), GIVEN(sockets, 2) },
      "sockets (2) * dies (1) * cores (3) * threads (1) is 6, not maxcpus (7)" },
    { "8-is-not-6",
      { GIVEN(cpus, 8), GIVEN(sockets, 2), GIVEN(cores, 3), GIVEN(threads, 1) },
      "is 6, not maxcpus (8)" },
    { "threads-over-cpus", { GIVEN(cpus, 1), GIVEN(threads, 2) },
      "sockets (1) * dies (1) * cores (0) * threads (2) is 0, not maxcpus (1)" },
    { "cpus-over-maxcpus", { GIVEN(cpus, 4), GIVEN(maxcpus, 2) },
      "parameter 'cpus' is 4, more than 'maxcpus' (2)" },
};

static void test_refused(const void *data)
{
    const Refused *r = data;
    g_autoptr(GError) error = NULL;
    CpuTopology topology = { .cpus = 42 };

    g_assert_false(smp_parse(&r->options, LIMIT, &topology, &error));

    g_assert_nonnull(strstr(error->message, r->expected));
    g_assert_true(g_str_has_prefix(error->message, "option '-smp': "));
    g_assert_cmpint(topology.cpus, ==, 42);
}

static void test_levels_of_one_are_accepted(void)
{
    const SmpOptions options = {
        GIVEN(cpus, 4), GIVEN(clusters, 1), GIVEN(modules, 1), GIVEN(books, 1),
        GIVEN(drawers, 1), GIVEN(dies, 1),
    };
    CpuTopology topology;

    g_assert_true(smp_parse(&options, LIMIT, &topology, NULL));

    g_assert_cmpint(topology.cores, ==, 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/smp/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strdup_printf("/smp/refused/%s", refused[i].name);

        g_test_add_data_func(path, &refused[i], test_refused);
    }
    g_test_add_func("/smp/no-option-is-one-cpu", test_no_option_is_one_cpu);
    g_test_add_func("/smp/levels-of-one-are-accepted", test_levels_of_one_are_accepted);
    return g_test_run();
}
