/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses within one range of a flat view.  Any thread; @addr + @size stays within the
 * range.
 */
#pragma once

#include "flat-view.h"

void flat_range_read(const FlatRange *range, uint64_t addr, uint8_t *data, size_t size);
void flat_range_write(const FlatRange *range, uint64_t addr, const uint8_t *data,
                      size_t size);
