/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel's statistics descriptor gives: any bytes.  Every value that the
 * descriptors lead to is read.
 */
#include "berth/vm-stats.h"

#include "fuzz.h"
#include "stats-image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofd int fd = stats_image_open(data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(VmStats) stats = vm_stats_new(fd, &error);
    const uint64_t *values = stats ? vm_stats_read(stats, fd, &error) : NULL;
    uint64_t sum = 0;

    g_assert_true((values == NULL) == (error != NULL));
    for (unsigned i = 0; values && i < vm_stats_count(stats); i++) {
        const VmStat *stat = vm_stats_get(stats, i);

        g_assert_true(g_utf8_validate(stat->name, -1, NULL));
        for (uint32_t n = 0; n < stat->n_values; n++)
            sum += values[stat->first_value + n];
    }
    /* Used, so that the reads are made. */
    g_assert_true(sum || !sum);
    return 0;
}
