/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MADT: the vCPUs that there are and those that there can be, the IOAPIC, and how ISA
 * interrupts and NMIs are wired.
 */
#include <string.h>

#include "acpi-table.h"
#include "berth/x86-layout.h"

#define MADT_REVISION 5
#define MADT_PCAT_COMPAT 1              /* there are i8259s to be masked */
#define MADT_CPU_ENABLED 1
#define MADT_CPU_ONLINE_CAPABLE 2
#define MADT_ACTIVE_HIGH_LEVEL 0x000d
#define MADT_CONFORMS_TO_BUS 0
#define MADT_ALL_CPUS 0xff
#define MADT_ALL_X2APIC_CPUS 0xffffffff
#define MADT_NMI_LINT 1
#define XAPIC_ID_MAX 254

/* ACPI 6.3, 5.2.12. */
typedef struct __attribute__((packed)) Madt {
    AcpiHeader header;
    uint32_t lapic_address;
    uint32_t flags;
} Madt;

typedef struct __attribute__((packed)) MadtLapic {
    uint8_t type;
    uint8_t length;
    uint8_t uid;
    uint8_t apic_id;
    uint32_t flags;
} MadtLapic;

typedef struct __attribute__((packed)) MadtX2apic {
    uint8_t type;
    uint8_t length;
    uint16_t reserved;
    uint32_t apic_id;
    uint32_t flags;
    uint32_t uid;
} MadtX2apic;

typedef struct __attribute__((packed)) MadtIoapic {
    uint8_t type;
    uint8_t length;
    uint8_t id;
    uint8_t reserved;
    uint32_t address;
    uint32_t gsi_base;
} MadtIoapic;

typedef struct __attribute__((packed)) MadtOverride {
    uint8_t type;
    uint8_t length;
    uint8_t bus;
    uint8_t irq;
    uint32_t gsi;
    uint16_t flags;
} MadtOverride;

typedef struct __attribute__((packed)) MadtLapicNmi {
    uint8_t type;
    uint8_t length;
    uint8_t uid;
    uint16_t flags;
    uint8_t lint;
} MadtLapicNmi;

typedef struct __attribute__((packed)) MadtX2apicNmi {
    uint8_t type;
    uint8_t length;
    uint16_t flags;
    uint32_t uid;
    uint8_t lint;
    uint8_t reserved[3];
} MadtX2apicNmi;

enum {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_NMI = 4,
    MADT_X2APIC = 9,
    MADT_X2APIC_NMI = 10,
};

G_STATIC_ASSERT(sizeof(MadtX2apic) <= ACPI_MADT_CPU_MAX);

/* The short entry is prescribed for the APIC ids that it can hold. */
static size_t make_cpu(uint32_t uid, uint32_t apic_id, uint32_t flags, uint8_t *entry)
{
    MadtLapic lapic = {
        .type = MADT_LAPIC, .length = sizeof(lapic), .uid = (uint8_t)uid,
        .apic_id = (uint8_t)apic_id, .flags = flags,
    };
    MadtX2apic x2apic = {
        .type = MADT_X2APIC, .length = sizeof(x2apic), .uid = uid, .apic_id = apic_id,
        .flags = flags,
    };

    if (apic_id <= XAPIC_ID_MAX) {
        memcpy(entry, &lapic, sizeof(lapic));
        return sizeof(lapic);
    }
    memcpy(entry, &x2apic, sizeof(x2apic));
    return sizeof(x2apic);
}

size_t acpi_madt_cpu(uint32_t uid, const AcpiCpu *cpu, uint8_t *entry)
{
    return make_cpu(uid, cpu->apic_id, MADT_CPU_ENABLED, entry);
}

static void madt_append_cpu(AcpiTables *tables, uint32_t uid, const AcpiCpu *cpu)
{
    uint32_t flags = cpu->present ? MADT_CPU_ENABLED : MADT_CPU_ONLINE_CAPABLE;
    uint8_t entry[ACPI_MADT_CPU_MAX];
    size_t size = make_cpu(uid, cpu->apic_id, flags, entry);

    acpi_table_append(tables, entry, size);
}

static void madt_append_override(AcpiTables *tables, uint8_t irq, uint32_t gsi,
                                 uint16_t flags)
{
    MadtOverride entry = {
        .type = MADT_OVERRIDE, .length = sizeof(entry), .irq = irq, .gsi = gsi,
        .flags = flags,
    };

    acpi_table_append(tables, &entry, sizeof(entry));
}

static void madt_append_nmis(AcpiTables *tables, bool x2apic)
{
    MadtLapicNmi nmi = {
        .type = MADT_LAPIC_NMI, .length = sizeof(nmi), .uid = MADT_ALL_CPUS,
        .lint = MADT_NMI_LINT,
    };
    MadtX2apicNmi x2apic_nmi = {
        .type = MADT_X2APIC_NMI, .length = sizeof(x2apic_nmi),
        .uid = MADT_ALL_X2APIC_CPUS, .lint = MADT_NMI_LINT,
    };

    acpi_table_append(tables, &nmi, sizeof(nmi));
    if (x2apic)
        acpi_table_append(tables, &x2apic_nmi, sizeof(x2apic_nmi));
}

uint32_t acpi_madt_append(AcpiTables *tables, const AcpiMachine *machine)
{
    uint32_t start = acpi_table_begin(tables, "APIC", 8);
    Madt madt = {
        .header = acpi_header("APIC", MADT_REVISION),
        .lapic_address = X86_LAPIC_BASE,
        .flags = MADT_PCAT_COMPAT,
    };
    MadtIoapic ioapic = {
        .type = MADT_IOAPIC, .length = sizeof(ioapic), .address = X86_IOAPIC_BASE,
    };
    bool x2apic = false;

    acpi_table_append(tables, &madt, sizeof(madt));
    for (size_t i = 0; i < machine->n_cpus; i++) {
        madt_append_cpu(tables, i, &machine->cpus[i]);
        x2apic |= machine->cpus[i].apic_id > XAPIC_ID_MAX;
    }
    acpi_table_append(tables, &ioapic, sizeof(ioapic));
    if (machine->pit)
        madt_append_override(tables, 0, X86_GSI_PIT, MADT_CONFORMS_TO_BUS);
    madt_append_override(tables, X86_GSI_SCI, X86_GSI_SCI, MADT_ACTIVE_HIGH_LEVEL);
    madt_append_nmis(tables, x2apic);
    acpi_table_end(tables);
    return start;
}
