/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzz target defines: it takes any bytes and returns 0; a crash, an assertion
 * or a sanitizer's report is a finding.  Called by libFuzzer, or by seed-loop.c where
 * that is not there.
 */
#pragma once

#include "berth/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
