/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics as the kernel's descriptors give them, and what is not taken from them.
 */
#include <string.h>

#include "berth/vm-stats.h"

#include "stats-image.h"

static const StatsImageStat good[] = {
    { "plain", STATS_IMAGE_FLAGS(0, 0, 0), 0, 1, 0 },
    { "bytes", STATS_IMAGE_FLAGS(1, 1, 1), 10, 1, 0 },
    { "linear_hist", STATS_IMAGE_FLAGS(3, 3, 0), 0, 4, 512 },
    { "log_hist_ns", STATS_IMAGE_FLAGS(4, 2, 0), -9, 3, 99 },
    { "flag", STATS_IMAGE_FLAGS(2, 4, 0), 0, 1, 0 },
};

static void test_descriptors_are_understood(void)
{
    g_autoptr(GByteArray) image = stats_image_new(good, G_N_ELEMENTS(good));
    g_autofd int fd = stats_image_open(image->data, image->len);
    g_autoptr(GError) error = NULL;
    g_autoptr(VmStats) stats = vm_stats_new(fd, &error);
    const VmStat *stat;
    const uint64_t *values;

    g_assert_no_error(error);
    g_assert_cmpuint(vm_stats_count(stats), ==, 5);
    values = vm_stats_read(stats, fd, &error);
    g_assert_no_error(error);

    stat = vm_stats_get(stats, 0);
    g_assert_cmpstr(stat->name, ==, "plain");
    g_assert_cmpint(stat->type, ==, STATS_TYPE_CUMULATIVE);
    g_assert_false(stat->has_unit);
    g_assert_cmpuint(stat->base, ==, 0);
    g_assert_cmpuint(values[stat->first_value], ==, 100);
    stat = vm_stats_get(stats, 1);
    g_assert_cmpint(stat->type, ==, STATS_TYPE_INSTANT);
    g_assert_true(stat->has_unit && stat->unit == STATS_UNIT_BYTES);
    g_assert_cmpuint(stat->base, ==, 2);
    g_assert_cmpint(stat->exponent, ==, 10);
    stat = vm_stats_get(stats, 2);
    g_assert_cmpint(stat->type, ==, STATS_TYPE_LINEAR_HISTOGRAM);
    g_assert_cmpint(stat->unit, ==, STATS_UNIT_CYCLES);
    g_assert_cmpuint(stat->bucket_size, ==, 512);
    g_assert_cmpuint(stat->n_values, ==, 4);
    g_assert_cmpuint(values[stat->first_value + 3], ==, 105);
    stat = vm_stats_get(stats, 3);
    g_assert_cmpint(stat->type, ==, STATS_TYPE_LOG2_HISTOGRAM);
    g_assert_cmpint(stat->unit, ==, STATS_UNIT_SECONDS);
    g_assert_cmpuint(stat->base, ==, 10);
    g_assert_cmpint(stat->exponent, ==, -9);
    g_assert_cmpuint(stat->bucket_size, ==, 0);
    stat = vm_stats_get(stats, 4);
    g_assert_cmpint(stat->type, ==, STATS_TYPE_PEAK);
    g_assert_cmpint(stat->unit, ==, STATS_UNIT_BOOLEAN);
    g_assert_cmpuint(values[stat->first_value], ==, 109);
}

static void test_no_statistics_are_none(void)
{
    g_autoptr(GByteArray) image = stats_image_new(good, 0);
    g_autofd int fd = stats_image_open(image->data, image->len);
    g_autoptr(VmStats) stats = vm_stats_new(fd, NULL);

    g_assert_cmpuint(vm_stats_count(stats), ==, 0);
    g_assert_nonnull(vm_stats_read(stats, fd, NULL));
}

/* A 32-bit word of the image is changed: of the header, or of the first descriptor. */
static const struct {
    unsigned at;
    uint32_t word;
    int n;                      /* statistics that are left; -1: an error */
} changes[] = {
    { 4, 0, -1 },
    { 4, 257, -1 },
    { 4, UINT32_MAX, -1 },
    { 8, 1025, -1 },
    { 8, UINT32_MAX, -1 },
    { 16, UINT32_MAX, -1 },
    { 20, UINT32_MAX, -1 },
    { STATS_IMAGE_DESCS, 5, 4 },                        /* an unknown type */
    { STATS_IMAGE_DESCS, 0x50, 4 },                     /* unit */
    { STATS_IMAGE_DESCS, 0x200, 4 },                    /* base */
    { STATS_IMAGE_DESCS + 4, 0, 4 },                    /* no values */
    { STATS_IMAGE_DESCS + 4, 4097u << 16, 4 },
    { STATS_IMAGE_DESCS + 8, 4, 4 },                    /* offset */
    { STATS_IMAGE_DESCS + 8, UINT32_MAX - 7, 4 },
    { STATS_IMAGE_DESCS + 8, 1024 * 1024, 4 },
    { STATS_IMAGE_DESCS + 8, 1024 * 1024 - 8, -1 },     /* beyond what there is */
    { STATS_IMAGE_DESCS + 16, 0xffffffff, 4 },          /* a name that is no text */
};

static void test_what_is_wrong_is_left_out(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(GByteArray) image = stats_image_new(good, G_N_ELEMENTS(good));
        g_autoptr(GError) error = NULL;
        g_autoptr(VmStats) stats = NULL;
        g_autofd int fd = -1;
        int n;

        memcpy(image->data + changes[i].at, &changes[i].word, 4);
        fd = stats_image_open(image->data, image->len);
        stats = vm_stats_new(fd, &error);
        n = stats && vm_stats_read(stats, fd, &error) ? (int)vm_stats_count(stats) : -1;

        if (n != changes[i].n)
            g_error("change %zu: %d statistics are left", i, n);
        g_assert_true((n < 0) == (error != NULL));
    }
}

static void test_name_without_end_is_left_out(void)
{
    g_autoptr(GByteArray) image = stats_image_new(good, G_N_ELEMENTS(good));
    g_autoptr(VmStats) stats = NULL;
    g_autofd int fd = -1;

    memset(image->data + STATS_IMAGE_DESCS + 16, 'x', STATS_IMAGE_NAME_SIZE);
    fd = stats_image_open(image->data, image->len);
    stats = vm_stats_new(fd, NULL);

    g_assert_cmpuint(vm_stats_count(stats), ==, 4);
}

static void test_every_cut_is_an_error(void)
{
    g_autoptr(GByteArray) image = stats_image_new(good, G_N_ELEMENTS(good));

    for (guint size = 0; size < image->len; size++) {
        g_autofd int fd = stats_image_open(image->data, size);
        g_autoptr(GError) error = NULL;
        g_autoptr(VmStats) stats = vm_stats_new(fd, &error);

        g_assert_false(stats && vm_stats_read(stats, fd, &error));
        g_assert_nonnull(error);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vm-stats/descriptors-are-understood",
                    test_descriptors_are_understood);
    g_test_add_func("/vm-stats/no-statistics-are-none", test_no_statistics_are_none);
    g_test_add_func("/vm-stats/what-is-wrong-is-left-out",
                    test_what_is_wrong_is_left_out);
    g_test_add_func("/vm-stats/name-without-end-is-left-out",
                    test_name_without_end_is_left_out);
    g_test_add_func("/vm-stats/every-cut-is-an-error", test_every_cut_is_an_error);
    return g_test_run();
}
