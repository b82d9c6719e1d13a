/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes that a KVM statistics descriptor gives (Linux,
 * Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD), for tests.
 */
#pragma once

#include "berth/base.h"

#define STATS_IMAGE_NAME_SIZE 32u
#define STATS_IMAGE_DESC_SIZE (16u + STATS_IMAGE_NAME_SIZE)
#define STATS_IMAGE_DESCS 24u           /* right after the header */

/* Type, unit and base of a statistic, as the kernel numbers them. */
#define STATS_IMAGE_FLAGS(type, unit, base) ((type) | (unit) << 4 | (base) << 8)

typedef struct StatsImageStat {
    const char *name;
    uint32_t flags;
    int16_t exponent;
    uint16_t n_values;
    uint32_t bucket_size;
} StatsImageStat;

/* The values are 100, 101 and so on over all statistics. */
GByteArray *stats_image_new(const StatsImageStat *stats, unsigned n);

/* As many values as a vCPU of Linux 6.1 has: 45, of which three are histograms. */
GByteArray *stats_image_of_vcpu(void);

/* A descriptor of a file with @image in it. */
int stats_image_open(const uint8_t *data, size_t size);
