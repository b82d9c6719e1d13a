/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MP tables (MultiProcessor Specification 1.4, chapter 4): the floating pointer
 * structure, the header, and entries in the order of their types.
 *
 * Interrupts of PCI functions behind a bridge are those of the bridge's slot, rotated by
 * their own; so only the wiring of bus 0 is told.
 */
#include <string.h>

#include "berth/board.h"
#include "berth/error.h"
#include "berth/x86-layout.h"

#include "table-checksum.h"

#include "berth/mp-table.h"

#define MP_REVISION 4
#define LAPIC_VERSION 0x14
#define IOAPIC_VERSION 0x11
#define IOAPIC_ID 0
#define ALL_LAPICS 0xff
#define PCI_BUS 0
#define PCI_SLOTS 32
#define PCI_PINS 4
#define ISA_BUS 1
#define ISA_IRQS 16
#define ISA_CASCADE 2                   /* no device has it */

enum {
    MP_PROCESSOR = 0,
    MP_BUS = 1,
    MP_IOAPIC = 2,
    MP_IO_INTERRUPT = 3,
    MP_LOCAL_INTERRUPT = 4,
};

enum {
    MP_CPU_ENABLED = 1,
    MP_CPU_BOOT = 2,
    MP_IOAPIC_ENABLED = 1,
};

enum {
    MP_INT = 0,
    MP_NMI = 1,
    MP_EXT_INT = 3,
};

typedef struct __attribute__((packed)) MpFloating {
    char signature[4];
    uint32_t table;
    uint8_t length;                     /* in 16 bytes */
    uint8_t revision;
    uint8_t checksum;
    uint8_t features[5];                /* 0: there is a table, and no PIC mode */
} MpFloating;

typedef struct __attribute__((packed)) MpHeader {
    char signature[4];
    uint16_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[8];
    char product_id[12];
    uint32_t oem_table;
    uint16_t oem_table_size;
    uint16_t n_entries;
    uint32_t lapic_address;
    uint16_t extended_length;
    uint8_t extended_checksum;
    uint8_t reserved;
} MpHeader;

typedef struct __attribute__((packed)) MpProcessor {
    uint8_t type;
    uint8_t apic_id;
    uint8_t apic_version;
    uint8_t flags;
    uint32_t signature;
    uint32_t features;
    uint32_t reserved[2];
} MpProcessor;

typedef struct __attribute__((packed)) MpBus {
    uint8_t type;
    uint8_t id;
    char name[6];
} MpBus;

typedef struct __attribute__((packed)) MpIoapic {
    uint8_t type;
    uint8_t id;
    uint8_t version;
    uint8_t flags;
    uint32_t address;
} MpIoapic;

typedef struct __attribute__((packed)) MpInterrupt {
    uint8_t type;
    uint8_t kind;
    uint16_t flags;                     /* 0: polarity and trigger are the bus's */
    uint8_t bus;
    uint8_t irq;                        /* of PCI: slot times 4 plus pin */
    uint8_t apic_id;
    uint8_t pin;
} MpInterrupt;

G_STATIC_ASSERT(sizeof(MpFloating) == MP_FLOATING_SIZE && sizeof(MpHeader) == 44 &&
                sizeof(MpProcessor) == 20 && sizeof(MpBus) == 8 &&
                sizeof(MpIoapic) == 8 && sizeof(MpInterrupt) == 8);

static void append(GByteArray *out, unsigned *n_entries, const void *entry, size_t size)
{
    g_byte_array_append(out, entry, size);
    ++*n_entries;
}

static void append_interrupt(GByteArray *out, unsigned *n_entries, uint8_t bus,
                             uint8_t irq, uint8_t pin)
{
    MpInterrupt entry = {
        .type = MP_IO_INTERRUPT, .kind = MP_INT, .bus = bus, .irq = irq,
        .apic_id = IOAPIC_ID, .pin = pin,
    };

    append(out, n_entries, &entry, sizeof(entry));
}

static void append_wiring(GByteArray *out, unsigned *n_entries, bool pit)
{
    for (unsigned i = 0; i < PCI_SLOTS * PCI_PINS; i++)
        append_interrupt(out, n_entries, PCI_BUS, i,
                         X86_PCI_GSI(i / PCI_PINS, i % PCI_PINS));
    for (unsigned irq = 0; irq < ISA_IRQS; irq++) {
        if (irq != ISA_CASCADE)
            append_interrupt(out, n_entries, ISA_BUS, irq,
                             irq == 0 && pit ? X86_GSI_PIT : irq);
    }
}

/* The i8259 is at pin LINT0 of each local APIC, NMI at LINT1. */
static void append_local(GByteArray *out, unsigned *n_entries)
{
    MpInterrupt ext_int = {
        .type = MP_LOCAL_INTERRUPT, .kind = MP_EXT_INT, .bus = ISA_BUS,
        .apic_id = ALL_LAPICS, .pin = 0,
    };
    MpInterrupt nmi = {
        .type = MP_LOCAL_INTERRUPT, .kind = MP_NMI, .bus = ISA_BUS,
        .apic_id = ALL_LAPICS, .pin = 1,
    };

    append(out, n_entries, &ext_int, sizeof(ext_int));
    append(out, n_entries, &nmi, sizeof(nmi));
}

static void append_parts(GByteArray *out, unsigned *n_entries, const MpMachine *machine)
{
    MpBus pci = { MP_BUS, PCI_BUS, { 'P', 'C', 'I', ' ', ' ', ' ' } };
    MpBus isa = { MP_BUS, ISA_BUS, { 'I', 'S', 'A', ' ', ' ', ' ' } };
    MpIoapic ioapic = {
        MP_IOAPIC, IOAPIC_ID, IOAPIC_VERSION, MP_IOAPIC_ENABLED, X86_IOAPIC_BASE,
    };

    for (size_t i = 0; i < machine->n_cpus; i++) {
        MpProcessor cpu = {
            .type = MP_PROCESSOR,
            .apic_id = machine->apic_ids[i],
            .apic_version = LAPIC_VERSION,
            .flags = MP_CPU_ENABLED | (i == 0 ? MP_CPU_BOOT : 0),
            .signature = machine->signature,
            .features = machine->signature >> 32,
        };

        append(out, n_entries, &cpu, sizeof(cpu));
    }
    append(out, n_entries, &pci, sizeof(pci));
    append(out, n_entries, &isa, sizeof(isa));
    append(out, n_entries, &ioapic, sizeof(ioapic));
}

GByteArray *mp_table_new(const MpMachine *machine, GError **error)
{
    MpHeader header = {
        .signature = { 'P', 'C', 'M', 'P' },
        .revision = MP_REVISION,
        .oem_id = { 'B', 'E', 'R', 'T', 'H', ' ', ' ', ' ' },
        .product_id = { 'Q', '3', '5', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' },
        .lapic_address = X86_LAPIC_BASE,
    };
    unsigned n_entries = 0;
    GByteArray *out;

    for (size_t i = 0; i < machine->n_cpus; i++) {
        if (machine->apic_ids[i] > MP_APIC_ID_MAX) {
            error_set(error, "-machine acpi=off: vCPU %zu has APIC id %u, and MP tables "
                      "have room for ids up to %u", i, machine->apic_ids[i],
                      MP_APIC_ID_MAX);
            return NULL;
        }
    }
    out = g_byte_array_new();
    g_byte_array_append(out, (const uint8_t *)&header, sizeof(header));
    append_parts(out, &n_entries, machine);
    append_wiring(out, &n_entries, machine->pit);
    append_local(out, &n_entries);
    header.length = out->len;
    header.n_entries = n_entries;
    memcpy(out->data, &header, sizeof(header));
    header.checksum = table_checksum(out->data, out->len);
    memcpy(out->data, &header, sizeof(header));
    return out;
}

void mp_table_write_floating(uint64_t table_gpa, void *dest)
{
    MpFloating floating = {
        .signature = { '_', 'M', 'P', '_' },
        .table = table_gpa,
        .length = 1,
        .revision = MP_REVISION,
    };

    floating.checksum = table_checksum(&floating, sizeof(floating));
    memcpy(dest, &floating, sizeof(floating));
}
