/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of system management mode, as the memory controller's registers say: parts of
 * RAM that a processor sees in that mode only.
 */
#pragma once

#include "berth/board.h"
#include "berth/region.h"

#define SMRAM_D_OPEN 0x40u      /* what is at 0xa0000 is seen outside of the mode, too */
#define SMRAM_D_CLS 0x20u       /* kept; data are not told from code */
#define SMRAM_D_LCK 0x10u       /* until a reset */
#define SMRAM_G_SMRAME 0x08u
#define SMRAM_BASE_SEG 0x02u    /* 0xa0000; cannot be another */

#define ESMRAMC_CACHE 0x38u     /* fixed */
#define ESMRAMC_TSEG_SZ 0x06u
#define ESMRAMC_T_EN 0x01u

/* Of the register that QEMU added: what is at the default SMBASE (q35, smbase-smram). */
#define SMBASE_IN_RAM 0x01u     /* firmware has asked, and may have it */
#define SMBASE_LCK 0x02u        /* it has it, until a reset */

#define SMRAM_TSEG_SIZES 4u     /* 1, 2 and 8 MiB, and what the operator says */

typedef struct Smram {
    AddressSpace *memory;
    Region closed;              /* 0xa0000 outside of the mode */
    Region absent;              /* and in it */
    Region tsegs[SMRAM_TSEG_SIZES];     /* the end of low RAM outside of the mode */
    Region smbase;              /* the default SMBASE outside of the mode */
} Smram;

/* Main only.  @board has system management mode. */
Smram *smram_new(const Board *board);
/* Accepts NULL. */
void smram_free(Smram *smram);

typedef struct SmramRegisters {
    uint8_t smram;
    uint8_t esmramc;
    uint8_t smbase;             /* 0 on a board that has not that register */
} SmramRegisters;

/* Main, or the vCPU that writes to the registers.  Does as they say. */
void smram_update(Smram *smram, const SmramRegisters *registers);
