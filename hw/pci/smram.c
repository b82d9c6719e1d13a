/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMRAM and ESMRAMC (Intel 82G33/82Q35 data sheet, 5.1.25, 5.1.26 and chapter 9.4).
 *
 * The RAM is that of the guest, whose tree is below both views; so nothing is ever
 * mapped here, but hidden: in front of what cannot be seen is a region that reads as
 * ones.
 *
 *     where           outside of the mode          in it
 *     0xa0000         hidden unless D_OPEN         hidden unless G_SMRAME
 *     TSEG            hidden with T_EN, G_SMRAME   as ever
 *     0x30000         hidden with SMBASE_LCK       as ever
 *
 * The last is where a processor begins in the mode that has not been told of another
 * place, so one that is hot-plugged finds firmware's code there and nobody else's.
 *
 * TSEG ends where low RAM ends.  What devices read and write by themselves is seen as
 * from outside.  High segments (H_SMRAME) are not offered.
 */
#include "berth/address-space-cut.h"
#include "berth/base.h"
#include "berth/x86-layout.h"

#include "smram.h"

#define BASE X86_BASE_RAM_END
#define SIZE (X86_SHADOW_BASE - X86_BASE_RAM_END)
#define SMBASE 0x30000u          /* Intel SDM volume 3, 31.4 */
#define SMBASE_SIZE (128 * KIB)
#define ABOVE_ALL_ELSE 1

static const RegionOps nothing_ops = { 0 };

static uint64_t tseg_size(const Board *board, unsigned i)
{
    const uint64_t sizes[SMRAM_TSEG_SIZES] = {
        1 * MIB, 2 * MIB, 8 * MIB, board->extended_tseg * MIB,
    };

    return sizes[i];
}

static void add(Region *parent, uint64_t addr, Region *region)
{
    region_set_enabled(region, false);
    region_add(parent, addr, region, ABOVE_ALL_ELSE);
}

Smram *smram_new(const Board *board)
{
    Smram *smram = g_new0(Smram, 1);
    uint64_t low = MIN(board->ram_size, X86_LOW_RAM_MAX);

    smram->memory = board->memory;
    region_batch_begin(board->memory);
    address_space_cut(board->memory, BASE);
    address_space_cut(board->memory, BASE + SIZE);
    if (board->smram_at_smbase) {
        address_space_cut(board->memory, SMBASE);
        address_space_cut(board->memory, SMBASE + SMBASE_SIZE);
        region_init_io(&smram->smbase, "smbase-closed", SMBASE_SIZE, &nothing_ops, NULL,
                       NULL);
        add(board->outside_root, SMBASE, &smram->smbase);
    }
    region_init_io(&smram->closed, "smram-closed", SIZE, &nothing_ops, NULL, NULL);
    add(board->outside_root, BASE, &smram->closed);
    region_init_io(&smram->absent, "no-smram", SIZE, &nothing_ops, NULL, NULL);
    add(board->smm_root, BASE, &smram->absent);
    for (unsigned i = 0; i < SMRAM_TSEG_SIZES; i++) {
        uint64_t size = tseg_size(board, i);

        if (size == 0 || size > low)
            continue;
        address_space_cut(board->memory, low - size);
        region_init_io(&smram->tsegs[i], "tseg-closed", size, &nothing_ops, NULL, NULL);
        add(board->outside_root, low - size, &smram->tsegs[i]);
    }
    region_batch_end(board->memory);
    return smram;
}

void smram_free(Smram *smram)
{
    if (!smram)
        return;
    region_batch_begin(smram->memory);
    region_done(&smram->closed);
    region_done(&smram->absent);
    if (smram->smbase.name)
        region_done(&smram->smbase);
    for (unsigned i = 0; i < SMRAM_TSEG_SIZES; i++) {
        if (smram->tsegs[i].name)
            region_done(&smram->tsegs[i]);
    }
    region_batch_end(smram->memory);
    g_free(smram);
}

void smram_update(Smram *smram, const SmramRegisters *registers)
{
    bool enabled = registers->smram & SMRAM_G_SMRAME;
    bool tseg = enabled && registers->esmramc & ESMRAMC_T_EN;
    unsigned wanted = (registers->esmramc & ESMRAMC_TSEG_SZ) >> 1;

    region_batch_begin(smram->memory);
    region_set_enabled(&smram->closed, !enabled || !(registers->smram & SMRAM_D_OPEN));
    region_set_enabled(&smram->absent, !enabled);
    if (smram->smbase.name)
        region_set_enabled(&smram->smbase, registers->smbase & SMBASE_LCK);
    for (unsigned i = 0; i < SMRAM_TSEG_SIZES; i++) {
        if (smram->tsegs[i].name)
            region_set_enabled(&smram->tsegs[i], tseg && i == wanted);
    }
    region_batch_end(smram->memory);
}
