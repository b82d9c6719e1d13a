/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kit-chains.h"

/* Up to three descriptors of the ring, and two of an indirect table. */
typedef struct FaultyChain {
    const char *what;
    struct vring_desc ring[3];
    struct vring_desc table[2];
} FaultyChain;

#define DATA KIT_VIRTIO_DATA
#define SIZE KIT_CHAINS_RING
#define IND(len) { KIT_CHAINS_TABLE, len, VRING_DESC_F_INDIRECT, 0 }

static const FaultyChain faulty_chains[] = {
    { "loop to itself", { { DATA, 4, VRING_DESC_F_NEXT, 0 } }, { { 0 } } },
    { "cycle of two",
      { { DATA, 4, VRING_DESC_F_NEXT, 1 }, { DATA, 4, VRING_DESC_F_NEXT, 0 } },
      { { 0 } } },
    { "next out of range", { { DATA, 4, VRING_DESC_F_NEXT, SIZE } }, { { 0 } } },
    { "next 0xffff", { { DATA, 4, VRING_DESC_F_NEXT, 0xffff } }, { { 0 } } },
    { "zero length", { { DATA, 0, 0, 0 } }, { { 0 } } },
    { "address wraps", { { UINT64_MAX - 1, 4, 0, 0 } }, { { 0 } } },
    { "end wraps", { { UINT64_MAX - 3, 4, 0, 0 } }, { { 0 } } },
    { "no RAM there", { { 0x20000000, 4, 0, 0 } }, { { 0 } } },
    { "end of RAM", { { KIT_RAM_SIZE - 2, 4, 0, 0 } }, { { 0 } } },
    { "device registers", { { KIT_ECAM_BASE, 4, VRING_DESC_F_WRITE, 0 } }, { { 0 } } },
    { "whole address space", { { 0, UINT32_MAX, 0, 0 } }, { { 0 } } },
    { "read after write",
      { { DATA, 4, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1 }, { DATA, 4, 0, 0 } },
      { { 0 } } },
    { "indirect of 0 bytes", { IND(0) }, { { 0 } } },
    { "indirect of half a descriptor", { IND(24) }, { { 0 } } },
    { "indirect larger than the ring", { IND(16 * (SIZE + 1)) }, { { 0 } } },
    { "indirect of 4 GiB", { IND(0xfffffff0) }, { { 0 } } },
    { "indirect outside RAM",
      { { 0x20000000, 16, VRING_DESC_F_INDIRECT, 0 } }, { { 0 } } },
    { "indirect with next",
      { { KIT_CHAINS_TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1 },
        { DATA, 4, 0, 0 } },
      { { DATA, 4, 0, 0 } } },
    { "nested indirect", { IND(32) }, { IND(32), { DATA, 4, 0, 0 } } },
    { "loop in the table", { IND(32) },
      { { DATA, 4, VRING_DESC_F_NEXT, 1 }, { DATA, 4, VRING_DESC_F_NEXT, 0 } } },
    { "next beyond the table", { IND(32) }, { { DATA, 4, VRING_DESC_F_NEXT, 2 } } },
};

const unsigned kit_chains_n = G_N_ELEMENTS(faulty_chains);

const char *kit_chains_offer(KitQueue *q, unsigned i)
{
    const FaultyChain *chain = &faulty_chains[i];

    g_assert_cmpuint(q->size, ==, SIZE);
    memcpy(q->desc, chain->ring, sizeof(chain->ring));
    memcpy(kit_ram(q->v->pci.kit, KIT_CHAINS_TABLE, sizeof(chain->table)), chain->table,
           sizeof(chain->table));
    kit_queue_offer(q, 0);
    return chain->what;
}
