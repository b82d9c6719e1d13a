/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programmable attribute map (Intel 82G33/82Q35 data sheet, 5.1.18 to 5.1.24).
 *
 * Register 0 has the segment of 64 KiB at 0xf0000 in its upper half; each of the others
 * has two of 16 KiB, from 0xc0000 on.  Of the four bits of each, one lets reads, one
 * writes go to RAM.
 *
 *     reads, writes   the segment is the RAM that is below
 *     reads           RAM that cannot be written
 *     none, writes    firmware's ROM from 0xe0000 on, all ones before; writes are lost
 *
 * Writes under a ROM do not reach RAM: firmware that knows virtual machines sets both
 * bits and copies from the ROM below 4 GiB.
 */
#include "berth/address-space-cut.h"

#include "pam.h"

#define SHADOW_BASE 0xc0000u
#define SMALL_SIZE 0x4000u
#define ROM_BASE 0xe0000u
#define BIG_BASE 0xf0000u
#define BIG_SIZE 0x10000u
#define END 0x100000u

#define READS_RAM 1u
#define WRITES_RAM 2u

/* Above RAM, which is there too. */
#define ABOVE_RAM 1

static const RegionOps nothing_ops = { 0 };

static void init_rom(PamSegment *segment, RamBlock *rom, uint32_t base, uint32_t size)
{
    if (base >= ROM_BASE && END - base <= rom->size)
        region_init_rom(&segment->rom, "bios-copy", rom, rom->size - (END - base), size);
    else
        region_init_io(&segment->rom, "no-rom", size, &nothing_ops, NULL, NULL);
}

static void add_segment(Region *root, PamSegment *segment, uint32_t base)
{
    region_set_enabled(&segment->rom, false);
    region_set_enabled(&segment->locked, false);
    region_add(root, base, &segment->rom, ABOVE_RAM);
    region_add(root, base, &segment->locked, ABOVE_RAM);
}

Pam *pam_new(AddressSpace *memory, Region *root, RamBlock *ram, RamBlock *rom)
{
    Pam *pam = g_new0(Pam, 1);

    pam->memory = memory;
    region_batch_begin(memory);
    address_space_cut(memory, SHADOW_BASE);
    address_space_cut(memory, END);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        uint32_t base = i == 0 ? BIG_BASE : SHADOW_BASE + (i - 1) * SMALL_SIZE;
        uint32_t size = i == 0 ? BIG_SIZE : SMALL_SIZE;
        PamSegment *segment = &pam->segments[i];

        init_rom(segment, rom, base, size);
        region_init_rom(&segment->locked, "ram-locked", ram, base, size);
        add_segment(root, segment, base);
    }
    region_batch_end(memory);
    return pam;
}

void pam_free(Pam *pam)
{
    if (!pam)
        return;
    region_batch_begin(pam->memory);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        region_done(&pam->segments[i].rom);
        region_done(&pam->segments[i].locked);
    }
    region_batch_end(pam->memory);
    g_free(pam);
}

/* The four bits of segment @i: the upper half of register 0, then both of each. */
static unsigned attributes(const uint8_t *registers, unsigned i)
{
    return registers[(i + 1) / 2] >> (i % 2 ? 0 : 4) & (READS_RAM | WRITES_RAM);
}

void pam_update(Pam *pam, const uint8_t registers[PAM_REGISTERS])
{
    region_batch_begin(pam->memory);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        unsigned bits = attributes(registers, i);

        region_set_enabled(&pam->segments[i].rom, !(bits & READS_RAM));
        region_set_enabled(&pam->segments[i].locked, bits == READS_RAM);
    }
    region_batch_end(pam->memory);
}
