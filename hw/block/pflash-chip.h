/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of a parallel flash: what a write to it does, and what its bytes read as
 * then.  It knows neither addresses of the guest nor files.  The caller serialises.
 */
#pragma once

#include "berth/vmstate.h"

/* What is erased at once, and what a buffered program reaches; bytes. */
#define PFLASH_BLOCK 4096u
#define PFLASH_BUFFER 256u

typedef enum PflashMode {
    PFLASH_MODE_ARRAY,          /* the bytes */
    PFLASH_MODE_STATUS,
    PFLASH_MODE_ID,
    PFLASH_MODE_QUERY,          /* Common Flash Interface */
    PFLASH_MODE__MAX,
} PflashMode;

/* What the next write is. */
typedef enum PflashStep {
    PFLASH_STEP_COMMAND,
    PFLASH_STEP_PROGRAM,        /* the data */
    PFLASH_STEP_ERASE,          /* the confirmation */
    PFLASH_STEP_LOCK,
    PFLASH_STEP_COUNT,          /* of data that follow, less one */
    PFLASH_STEP_FILL,
    PFLASH_STEP_CONFIRM,
    PFLASH_STEP__MAX,
} PflashStep;

/* [@begin, @end) of the block at @block is another now; all of it is @bytes, lent. */
typedef void PflashChangedFn(void *opaque, uint64_t block, uint32_t begin, uint32_t end,
                             const uint8_t *bytes);

typedef struct PflashChip {
    /* Set by the owner. */
    uint8_t *array;             /* what the guest reads */
    uint64_t size;              /* bytes, a multiple of PFLASH_BLOCK */
    bool read_only;             /* what would change it fails */
    PflashChangedFn *changed;
    void *opaque;

    uint8_t mode;               /* of PflashMode */
    uint8_t step;               /* of PflashStep */
    uint8_t status;
    uint16_t left;              /* data that are to come */
    uint32_t window;            /* where the buffer goes */
    uint16_t begin;             /* what of the buffer is set; empty before the first */
    uint16_t end;
    uint8_t buffer[PFLASH_BUFFER];
    uint32_t block;             /* which reads as @mode says; the others are array */

    /* What that one has, while the guest does not read it. */
    bool is_hidden;
    uint32_t hidden_block;
    uint8_t hidden[PFLASH_BLOCK];
} PflashChip;

extern const VMStateDesc pflash_chip_vmstate;

/* As at power-on; the array stays. */
void pflash_chip_reset(PflashChip *chip);

/*
 * @size is 1, 2 or 4, @offset a multiple of it; both within the array.  Returns what was
 * wrong with it, a constant, or NULL.
 */
const char *pflash_chip_write(PflashChip *chip, uint64_t offset, uint64_t value,
                              unsigned size);

/* Programs since the status was cleared were not kept. */
void pflash_chip_fail(PflashChip *chip);
