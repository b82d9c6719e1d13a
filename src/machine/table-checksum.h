/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checksum of firmware tables (ACPI, SMBIOS, MP).
 */
#pragma once

#include "berth/base.h"

/* What makes the sum of all bytes zero, where the checksum's own byte is zero. */
static inline uint8_t table_checksum(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return -sum;
}
