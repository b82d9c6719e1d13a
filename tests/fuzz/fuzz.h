/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzz target defines: it takes any bytes and returns 0; a crash, an assertion
 * or a sanitizer's report is a finding.  Called by libFuzzer, or by seed-loop.c where
 * that is not there.
 */
#pragma once

#include "berth/base.h"

/* Bytes that tell a target what to do, one after another. */
typedef struct FuzzInput {
    const uint8_t *data;
    size_t size;
} FuzzInput;

/* The next @size bytes, at most 8, as a number; those behind the end are 0. */
static inline uint64_t fuzz_take(FuzzInput *in, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size && in->size > 0; i++) {
        value |= (uint64_t)*in->data++ << 8 * i;
        in->size--;
    }
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
