/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SRAT, which vCPUs and which memory belong to a node, and the SLIT, how far nodes
 * are from each other.
 */
#include "acpi-table.h"

#define SRAT_REVISION 3
#define SLIT_REVISION 1
#define AFFINITY_ENABLED 1u
#define AFFINITY_HOT_PLUGGABLE 2u
#define XAPIC_ID_MAX 254

/* ACPI 6.3, 5.2.16. */
typedef struct __attribute__((packed)) Srat {
    AcpiHeader header;
    uint32_t reserved_1;        /* 1 */
    uint64_t reserved_0;
} Srat;

typedef struct __attribute__((packed)) SratLapic {
    uint8_t type;
    uint8_t length;
    uint8_t node_low;
    uint8_t apic_id;
    uint32_t flags;
    uint8_t sapic_eid;
    uint8_t node_high[3];
    uint32_t clock_domain;
} SratLapic;

typedef struct __attribute__((packed)) SratMemory {
    uint8_t type;
    uint8_t length;
    uint32_t node;
    uint16_t reserved0;
    uint64_t base;
    uint64_t size;
    uint32_t reserved1;
    uint32_t flags;
    uint64_t reserved2;
} SratMemory;

typedef struct __attribute__((packed)) SratX2apic {
    uint8_t type;
    uint8_t length;
    uint16_t reserved0;
    uint32_t node;
    uint32_t apic_id;
    uint32_t flags;
    uint32_t clock_domain;
    uint32_t reserved1;
} SratX2apic;

enum {
    SRAT_LAPIC = 0,
    SRAT_MEMORY = 1,
    SRAT_X2APIC = 2,
};

/* As in the MADT, the short entry is for the ids that it can hold. */
static void append_cpu(AcpiTables *tables, const AcpiCpu *cpu)
{
    if (cpu->apic_id <= XAPIC_ID_MAX) {
        SratLapic entry = {
            .type = SRAT_LAPIC, .length = sizeof(entry), .node_low = (uint8_t)cpu->node,
            .apic_id = (uint8_t)cpu->apic_id, .flags = AFFINITY_ENABLED,
            .node_high = { (uint8_t)(cpu->node >> 8) },
        };

        acpi_table_append(tables, &entry, sizeof(entry));
    } else {
        SratX2apic entry = {
            .type = SRAT_X2APIC, .length = sizeof(entry), .node = cpu->node,
            .apic_id = cpu->apic_id, .flags = AFFINITY_ENABLED,
        };

        acpi_table_append(tables, &entry, sizeof(entry));
    }
}

uint32_t acpi_srat_append(AcpiTables *tables, const AcpiMachine *machine)
{
    uint32_t start = acpi_table_begin(tables, "SRAT", 8);
    Srat srat = { .header = acpi_header("SRAT", SRAT_REVISION), .reserved_1 = 1 };

    acpi_table_append(tables, &srat, sizeof(srat));
    for (size_t i = 0; i < machine->n_cpus; i++)
        append_cpu(tables, &machine->cpus[i]);
    for (size_t i = 0; i < machine->n_memory; i++) {
        const AcpiMemory *memory = &machine->memory[i];
        SratMemory entry = {
            .type = SRAT_MEMORY, .length = sizeof(entry), .node = memory->node,
            .base = memory->base, .size = memory->size,
            .flags = AFFINITY_ENABLED | (memory->comes ? AFFINITY_HOT_PLUGGABLE : 0),
        };

        acpi_table_append(tables, &entry, sizeof(entry));
    }
    acpi_table_end(tables);
    return start;
}

uint32_t acpi_srat_append_slit(AcpiTables *tables, const AcpiMachine *machine)
{
    uint32_t start = acpi_table_begin(tables, "SLIT", 8);
    AcpiHeader header = acpi_header("SLIT", SLIT_REVISION);
    uint64_t n = machine->n_nodes;

    acpi_table_append(tables, &header, sizeof(header));
    acpi_table_append(tables, &n, sizeof(n));
    acpi_table_append(tables, machine->distances, machine->n_nodes * machine->n_nodes);
    acpi_table_end(tables);
    return start;
}
