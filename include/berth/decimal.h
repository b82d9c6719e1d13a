/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole numbers as text, without a format that is parsed for each: statistics are
 * thousands of them.
 */
#pragma once

#include "berth/base.h"

/* Any thread. */
void decimal_append(GString *out, uint64_t value);
