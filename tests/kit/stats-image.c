/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/mman.h>

#include "stats-image.h"

GByteArray *stats_image_new(const StatsImageStat *stats, unsigned n)
{
    GByteArray *image = g_byte_array_new();
    const uint32_t header[6] = {
        0, STATS_IMAGE_NAME_SIZE, n, 0, STATS_IMAGE_DESCS,
        STATS_IMAGE_DESCS + n * STATS_IMAGE_DESC_SIZE,
    };
    uint64_t n_values = 0;

    g_byte_array_append(image, (const uint8_t *)header, sizeof(header));
    for (unsigned i = 0; i < n; i++) {
        char name[STATS_IMAGE_NAME_SIZE] = { 0 };
        uint32_t offset = n_values * 8;

        g_strlcpy(name, stats[i].name, sizeof(name));
        g_byte_array_append(image, (const uint8_t *)&stats[i].flags, 4);
        g_byte_array_append(image, (const uint8_t *)&stats[i].exponent, 2);
        g_byte_array_append(image, (const uint8_t *)&stats[i].n_values, 2);
        g_byte_array_append(image, (const uint8_t *)&offset, 4);
        g_byte_array_append(image, (const uint8_t *)&stats[i].bucket_size, 4);
        g_byte_array_append(image, (const uint8_t *)name, sizeof(name));
        n_values += stats[i].n_values;
    }
    for (uint64_t i = 0; i < n_values; i++) {
        uint64_t value = 100 + i;

        g_byte_array_append(image, (const uint8_t *)&value, 8);
    }
    return image;
}

GByteArray *stats_image_of_vcpu(void)
{
    StatsImageStat stats[45] = { 0 };
    char names[G_N_ELEMENTS(stats)][STATS_IMAGE_NAME_SIZE];

    for (unsigned i = 0; i < G_N_ELEMENTS(stats); i++) {
        bool is_histogram = i < 3;

        g_snprintf(names[i], sizeof(names[i]), "vcpu_statistic_%u", i);
        stats[i].name = names[i];
        stats[i].flags = STATS_IMAGE_FLAGS(is_histogram ? 4 : 0, is_histogram ? 2 : 0, 0);
        stats[i].exponent = is_histogram ? -9 : 0;
        stats[i].n_values = is_histogram ? 32 : 1;
    }
    return stats_image_new(stats, G_N_ELEMENTS(stats));
}

int stats_image_open(const uint8_t *data, size_t size)
{
    int fd = memfd_create("stats", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, (ssize_t)size);
    return fd;
}
