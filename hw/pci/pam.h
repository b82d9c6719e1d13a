/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programmable attribute map of the memory controller: who answers in the last 256
 * KiB of the first MiB, where firmware copies itself from its ROM to RAM.
 */
#pragma once

#include "berth/region.h"

#define PAM_REGISTERS 7u
#define PAM_SEGMENTS 13u

typedef struct PamSegment {
    Region rom;                 /* reads do not come from RAM */
    Region locked;              /* RAM that cannot be written */
} PamSegment;

typedef struct Pam {
    AddressSpace *memory;
    PamSegment segments[PAM_SEGMENTS];
} Pam;

/*
 * Main only.  @ram is what guest address 0 and on is, of at least 1 MiB; the end of @rom
 * is what is at the end of the first MiB without RAM, up to 128 KiB of it.
 */
Pam *pam_new(AddressSpace *memory, Region *root, RamBlock *ram, RamBlock *rom);
/* Accepts NULL. */
void pam_free(Pam *pam);

/* Main, or the vCPU that writes to the registers.  Does as they say. */
void pam_update(Pam *pam, const uint8_t registers[PAM_REGISTERS]);
