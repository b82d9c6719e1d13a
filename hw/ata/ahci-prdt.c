/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffers of a command: the table of physical regions (AHCI 4.2.3.3) behind the
 * command's FIS.
 *
 * A table may have 65535 entries.  A slot has room for as many as drivers use; for more
 * there is memory for one command of the port at a time, given back when it ends.
 */
#include <string.h>

#include "ahci.h"

#define PRDT_OFFSET 0x80u
#define PRD_SIZE 16u
#define COUNT_MASK 0x3fffffu

typedef struct Prd {
    uint64_t gpa;
    uint32_t size;
} Prd;

static Prd copy_prd(const uint8_t *table, uint32_t n)
{
    uint8_t bytes[PRD_SIZE];
    uint64_t gpa;
    uint32_t count;

    memcpy(bytes, table + n * PRD_SIZE, sizeof(bytes));
    /* The compiler must not read the guest's bytes a second time. */
    __asm__ volatile("" ::: "memory");
    memcpy(&gpa, bytes, sizeof(gpa));
    memcpy(&count, bytes + 12, sizeof(count));
    return (Prd) {
        GUINT64_FROM_LE(gpa) & ~1ull, (GUINT32_FROM_LE(count) & COUNT_MASK) + 1,
    };
}

static bool append(struct iovec *iov, unsigned *n, unsigned room, void *host, size_t size)
{
    struct iovec *last = *n > 0 ? &iov[*n - 1] : NULL;

    if (last && (uint8_t *)last->iov_base + last->iov_len == host) {
        last->iov_len += size;
        return true;
    }
    if (*n == room)
        return false;
    iov[(*n)++] = (struct iovec) { host, size };
    return true;
}

/* Fills req->iov, which has @room; how many entries it took, or -1: one is not in RAM. */
static int64_t walk(AhciSlot *slot, const uint8_t *table, uint32_t n_prds, uint32_t size,
                    unsigned room, bool for_write)
{
    AhciPort *port = slot->port;
    AddressSpace *memory = port->ahci->pci.dev.board->memory;
    AtaReq *req = &slot->ata;
    uint32_t i;

    req->n_iov = 0;
    req->size = 0;
    for (i = 0; i < n_prds && req->size < size; i++) {
        const Prd prd = copy_prd(table, i);
        uint32_t n = MIN(prd.size, size - req->size);
        void *host = address_space_map_near(memory, &port->hint, prd.gpa, n, for_write);

        if (!host)
            return -1;
        if (!append(req->iov, &req->n_iov, room, host, n))
            break;
        req->size += n;
    }
    return i;
}

/* The port's long list, for a table of @n entries. */
static AhciBuffers take_long_list(AhciSlot *slot, uint32_t n)
{
    AhciPort *port = slot->port;

    if (port->long_iovs)
        return AHCI_BUFFERS_BUSY;
    port->long_iovs = g_try_new(struct iovec, n);
    if (!port->long_iovs)
        return AHCI_BUFFERS_BAD;
    slot->is_long = true;
    slot->ata.iov = port->long_iovs;
    return AHCI_BUFFERS_GOOD;
}

AhciBuffers ahci_prdt_read(AhciSlot *slot, const AhciHeader *header, uint32_t size,
                           bool for_write)
{
    AhciPort *port = slot->port;
    const uint8_t *table;
    AhciBuffers result;
    int64_t n;

    slot->ata.iov = &port->iovs[slot->number * AHCI_SEGMENTS];
    slot->ata.n_iov = 0;
    slot->ata.size = 0;
    if (size == 0 || header->n_prds == 0)
        return AHCI_BUFFERS_GOOD;
    table = address_space_map_near(port->ahci->pci.dev.board->memory, &port->hint,
                                   header->table_gpa + PRDT_OFFSET,
                                   (uint64_t)header->n_prds * PRD_SIZE, false);
    if (!table)
        return AHCI_BUFFERS_BAD;
    n = walk(slot, table, header->n_prds, size, AHCI_SEGMENTS, for_write);
    if (n < 0)
        return AHCI_BUFFERS_BAD;
    if (n == header->n_prds || slot->ata.size == size)
        return AHCI_BUFFERS_GOOD;
    result = take_long_list(slot, header->n_prds);
    if (result != AHCI_BUFFERS_GOOD)
        return result;
    /* The table is read once more; what it says now counts. */
    if (walk(slot, table, header->n_prds, size, header->n_prds, for_write) >= 0)
        return AHCI_BUFFERS_GOOD;
    ahci_prdt_done(slot);
    return AHCI_BUFFERS_BAD;
}

void ahci_prdt_done(AhciSlot *slot)
{
    if (slot->is_long)
        g_clear_pointer(&slot->port->long_iovs, g_free);
    slot->is_long = false;
}
