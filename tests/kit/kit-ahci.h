/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of one port of an AHCI controller: commands in its slots, what is received.
 */
#pragma once

#include "kit-pci.h"

#define KIT_AHCI_DATA 0x8000u           /* bytes of a slot's memory */
#define KIT_AHCI_PRDS 600u              /* entries of a slot's table */

/* Offsets in the ABAR, and of the registers of a port. */
enum { KIT_CAP = 0x00, KIT_GHC = 0x04, KIT_IS = 0x08, KIT_PI = 0x0c, KIT_VS = 0x10 };
enum {
    KIT_PxCLB = 0x00, KIT_PxCLBU = 0x04, KIT_PxFB = 0x08, KIT_PxFBU = 0x0c,
    KIT_PxIS = 0x10, KIT_PxIE = 0x14, KIT_PxCMD = 0x18, KIT_PxTFD = 0x20,
    KIT_PxSIG = 0x24, KIT_PxSSTS = 0x28, KIT_PxSCTL = 0x2c, KIT_PxSERR = 0x30,
    KIT_PxSACT = 0x34, KIT_PxCI = 0x38,
};

#define KIT_CMD_ST 0x0001u
#define KIT_CMD_FRE 0x0010u
#define KIT_CMD_FR 0x4000u
#define KIT_CMD_CR 0x8000u
#define KIT_IS_DHRS (1u << 0)
#define KIT_IS_PSS (1u << 1)
#define KIT_IS_SDBS (1u << 3)
#define KIT_IS_OFS (1u << 24)
#define KIT_IS_IFS (1u << 27)
#define KIT_IS_HBDS (1u << 28)
#define KIT_IS_HBFS (1u << 29)
#define KIT_IS_TFES (1u << 30)
#define KIT_TFD_GOOD 0x50u
#define KIT_TFD_ABORTED 0x0451u

typedef struct KitAhci {
    KitBoard *kit;
    KitPci pci;
    uint64_t abar;
    unsigned port;
} KitAhci;

typedef struct KitAta {
    uint8_t command;
    uint8_t device;
    uint16_t features;
    uint16_t count;
    uint64_t lba;
    uint32_t size;              /* bytes of the slot's memory that the command has */
    unsigned n_prds;            /* in as many pieces; 0: in one */
    bool writes;                /* to the device */
    bool is_queued;             /* the slot becomes its tag, and count the sectors */
    uint8_t packet[16];
} KitAta;

/* Starts the driver of port @port of the controller @dev. */
KitAhci *kit_ahci_new(KitBoard *kit, Device *dev, unsigned port);
void kit_ahci_free(KitAhci *ahci);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitAhci, kit_ahci_free)
/* The list, the frames, the start; again after a reset. */
void kit_ahci_start(KitAhci *ahci);
/* Stops the port, waits, clears what it reports, and starts it. */
void kit_ahci_recover(KitAhci *ahci);

uint32_t kit_ahci_get(KitAhci *ahci, unsigned offset);
void kit_ahci_set(KitAhci *ahci, unsigned offset, uint32_t value);
uint32_t kit_ahci_get_global(KitAhci *ahci, unsigned offset);
void kit_ahci_set_global(KitAhci *ahci, unsigned offset, uint32_t value);
/* Turns the loops until the bits @mask of a register of the port are @value. */
void kit_ahci_wait_for(KitAhci *ahci, unsigned offset, uint32_t mask, uint32_t value);

/* Memory: a slot's data, header, table; the frames that were received. */
uint8_t *kit_ahci_data(KitAhci *ahci, unsigned slot);
uint8_t *kit_ahci_header(KitAhci *ahci, unsigned slot);
uint8_t *kit_ahci_table(KitAhci *ahci, unsigned slot);
const uint8_t *kit_ahci_frame(KitAhci *ahci, unsigned offset);
/* The bytes that the header of the slot says were moved. */
uint32_t kit_ahci_count(KitAhci *ahci, unsigned slot);

/* Fills in the slot; and issues it. */
void kit_ahci_prepare(KitAhci *ahci, unsigned slot, const KitAta *ata);
void kit_ahci_issue(KitAhci *ahci, uint32_t slots, bool queued);
void kit_ahci_submit(KitAhci *ahci, unsigned slot, const KitAta *ata);
/* Until none of @slots is under way, or the port reports an error: PxTFD. */
uint32_t kit_ahci_wait(KitAhci *ahci, uint32_t slots);
/* In slot 0, and waits for it; recovers the port after an error. */
uint32_t kit_ahci_ask(KitAhci *ahci, const KitAta *ata);
/* Sectors of a disk, by READ DMA EXT and WRITE DMA EXT, in slot 0. */
const uint8_t *kit_ahci_read(KitAhci *ahci, uint64_t lba, uint16_t n);
void kit_ahci_write(KitAhci *ahci, uint64_t lba, uint8_t value, uint16_t n);
