/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kit-ahci.h"

#define MEMORY 0x400000u                /* 2 MiB of each port */
#define PORT_SPACE 0x200000u
#define FRAMES 0x400u
#define TABLES 0x1000u
#define TABLE_SPACE 0x2800u
#define DATA 0x80000u
#define WAIT_NS (20 * NS_PER_SEC)

static uint64_t memory(const KitAhci *ahci)
{
    return MEMORY + ahci->port * PORT_SPACE;
}

static uint64_t table_gpa(const KitAhci *ahci, unsigned slot)
{
    return memory(ahci) + TABLES + slot * TABLE_SPACE;
}

static uint64_t data_gpa(const KitAhci *ahci, unsigned slot)
{
    return memory(ahci) + DATA + slot * KIT_AHCI_DATA;
}

uint32_t kit_ahci_get_global(KitAhci *ahci, unsigned offset)
{
    return (uint32_t)kit_read(ahci->kit, ahci->abar + offset, 4);
}

void kit_ahci_set_global(KitAhci *ahci, unsigned offset, uint32_t value)
{
    kit_write(ahci->kit, ahci->abar + offset, 4, value);
}

uint32_t kit_ahci_get(KitAhci *ahci, unsigned offset)
{
    return kit_ahci_get_global(ahci, 0x100 + ahci->port * 0x80 + offset);
}

void kit_ahci_set(KitAhci *ahci, unsigned offset, uint32_t value)
{
    kit_ahci_set_global(ahci, 0x100 + ahci->port * 0x80 + offset, value);
}

void kit_ahci_wait_for(KitAhci *ahci, unsigned offset, uint32_t mask, uint32_t value)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;

    while ((kit_ahci_get(ahci, offset) & mask) != value) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(ahci->kit);
    }
}

uint8_t *kit_ahci_data(KitAhci *ahci, unsigned slot)
{
    return kit_ram(ahci->kit, data_gpa(ahci, slot), KIT_AHCI_DATA);
}

uint8_t *kit_ahci_header(KitAhci *ahci, unsigned slot)
{
    return kit_ram(ahci->kit, memory(ahci) + slot * 32, 32);
}

uint8_t *kit_ahci_table(KitAhci *ahci, unsigned slot)
{
    return kit_ram(ahci->kit, table_gpa(ahci, slot), TABLE_SPACE);
}

const uint8_t *kit_ahci_frame(KitAhci *ahci, unsigned offset)
{
    return kit_ram(ahci->kit, memory(ahci) + FRAMES + offset, 0x20);
}

static void put32(uint8_t *to, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(to, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return GUINT32_FROM_LE(value);
}

uint32_t kit_ahci_count(KitAhci *ahci, unsigned slot)
{
    return get32(kit_ahci_header(ahci, slot) + 4);
}

void kit_ahci_start(KitAhci *ahci)
{
    kit_ahci_set_global(ahci, KIT_GHC, 0x80000000u);
    kit_ahci_set(ahci, KIT_PxCLB, (uint32_t)memory(ahci));
    kit_ahci_set(ahci, KIT_PxCLBU, 0);
    kit_ahci_set(ahci, KIT_PxFB, (uint32_t)memory(ahci) + FRAMES);
    kit_ahci_set(ahci, KIT_PxFBU, 0);
    kit_ahci_set(ahci, KIT_PxCMD, KIT_CMD_FRE);
    kit_ahci_set(ahci, KIT_PxIS, UINT32_MAX);
    kit_ahci_set(ahci, KIT_PxCMD, KIT_CMD_FRE | KIT_CMD_ST);
}

KitAhci *kit_ahci_new(KitBoard *kit, Device *dev, unsigned port)
{
    KitAhci *ahci = g_new0(KitAhci, 1);

    *ahci = (KitAhci) { .kit = kit, .pci = kit_pci(kit, dev), .port = port };
    kit_pci_set_command(&ahci->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_IO |
                        PCI_COMMAND_MASTER);
    ahci->abar = kit_pci_bar(&ahci->pci, 5);
    kit_ahci_start(ahci);
    return ahci;
}

void kit_ahci_free(KitAhci *ahci)
{
    g_free(ahci);
}

void kit_ahci_recover(KitAhci *ahci)
{
    kit_ahci_set(ahci, KIT_PxCMD, KIT_CMD_FRE);
    kit_ahci_wait_for(ahci, KIT_PxCMD, KIT_CMD_CR, 0);
    kit_ahci_set(ahci, KIT_PxIS, UINT32_MAX);
    kit_ahci_set_global(ahci, KIT_IS, UINT32_MAX);
    kit_ahci_set(ahci, KIT_PxCMD, KIT_CMD_FRE | KIT_CMD_ST);
}

static unsigned fill_prds(KitAhci *ahci, unsigned slot, const KitAta *ata)
{
    unsigned n = ata->size == 0 ? 0 : ata->n_prds ? ata->n_prds : 1;
    uint8_t *prds = kit_ahci_table(ahci, slot) + 0x80;
    uint32_t piece = n ? ata->size / n : 0;

    g_assert_cmpuint(n, <=, KIT_AHCI_PRDS);
    for (unsigned i = 0; i < n; i++) {
        /* The last first, so that no two adjoin. */
        unsigned at = ata->n_prds ? n - 1 - i : i;

        memset(prds + i * 16, 0, 16);
        put32(prds + i * 16, (uint32_t)data_gpa(ahci, slot) + at * piece);
        put32(prds + i * 16 + 12, piece - 1);
    }
    return n;
}

void kit_ahci_prepare(KitAhci *ahci, unsigned slot, const KitAta *ata)
{
    uint16_t features = ata->is_queued ? ata->count : ata->features;
    uint16_t count = ata->is_queued ? (uint16_t)(slot << 3) : ata->count;
    uint8_t *header = kit_ahci_header(ahci, slot);
    uint8_t *table = kit_ahci_table(ahci, slot);
    unsigned n_prds = fill_prds(ahci, slot, ata);
    const uint8_t fis[20] = {
        0x27, 0x80, ata->command, (uint8_t)features,
        (uint8_t)ata->lba, (uint8_t)(ata->lba >> 8), (uint8_t)(ata->lba >> 16),
        ata->device | 0x40,
        (uint8_t)(ata->lba >> 24), (uint8_t)(ata->lba >> 32), (uint8_t)(ata->lba >> 40),
        (uint8_t)(features >> 8), (uint8_t)count, (uint8_t)(count >> 8),
    };

    memset(header, 0, 32);
    put32(header, n_prds << 16 | (ata->writes ? 1u << 6 : 0) |
          (ata->command == 0xa0 ? 1u << 5 : 0) | 5);
    put32(header + 8, (uint32_t)table_gpa(ahci, slot));
    memset(table, 0, 0x80);
    memcpy(table, fis, sizeof(fis));
    memcpy(table + 0x40, ata->packet, sizeof(ata->packet));
}

void kit_ahci_issue(KitAhci *ahci, uint32_t slots, bool queued)
{
    if (queued)
        kit_ahci_set(ahci, KIT_PxSACT, slots);
    kit_ahci_set(ahci, KIT_PxCI, slots);
}

void kit_ahci_submit(KitAhci *ahci, unsigned slot, const KitAta *ata)
{
    kit_ahci_prepare(ahci, slot, ata);
    kit_ahci_issue(ahci, 1u << slot, ata->is_queued);
}

uint32_t kit_ahci_wait(KitAhci *ahci, uint32_t slots)
{
    const uint32_t errors = KIT_IS_TFES | KIT_IS_IFS | KIT_IS_HBDS | KIT_IS_HBFS;
    int64_t end_ns = loop_clock_ns() + WAIT_NS;

    while ((kit_ahci_get(ahci, KIT_PxCI) | kit_ahci_get(ahci, KIT_PxSACT)) & slots &&
           !(kit_ahci_get(ahci, KIT_PxIS) & errors)) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        kit_run_both(ahci->kit);
    }
    return kit_ahci_get(ahci, KIT_PxTFD);
}

uint32_t kit_ahci_ask(KitAhci *ahci, const KitAta *ata)
{
    uint32_t tfd;

    kit_ahci_submit(ahci, 0, ata);
    tfd = kit_ahci_wait(ahci, 1);
    if (kit_ahci_get(ahci, KIT_PxCI))
        kit_ahci_recover(ahci);
    return tfd;
}

const uint8_t *kit_ahci_read(KitAhci *ahci, uint64_t lba, uint16_t n)
{
    const KitAta ata = { .command = 0x25, .lba = lba, .count = n, .size = n * 512u };

    memset(kit_ahci_data(ahci, 0), 0xee, ata.size);
    g_assert_cmphex(kit_ahci_ask(ahci, &ata), ==, KIT_TFD_GOOD);
    return kit_ahci_data(ahci, 0);
}

void kit_ahci_write(KitAhci *ahci, uint64_t lba, uint8_t value, uint16_t n)
{
    const KitAta ata = {
        .command = 0x35, .lba = lba, .count = n, .size = n * 512u, .writes = true,
    };

    memset(kit_ahci_data(ahci, 0), value, ata.size);
    g_assert_cmphex(kit_ahci_ask(ahci, &ata), ==, KIT_TFD_GOOD);
}
