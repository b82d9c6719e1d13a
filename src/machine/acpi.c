/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blob of ACPI tables.
 *
 * A table that points to another one has a link: offset of the field, offset of the
 * target.  Addresses and then checksums are filled in when the blob is written for an
 * address, never in the blob itself.
 */
#include <string.h>

#include "berth/x86-layout.h"

#include "acpi-table.h"
#include "table-checksum.h"

#define RSDP_REVISION 2
#define RSDP_OLD_SIZE 20
#define XSDT_REVISION 1
#define MCFG_REVISION 1
#define HPET_REVISION 1
#define HPET_TICKS_MIN 10000            /* 100 us of 10 ns each */
#define WAET_REVISION 1
#define WAET_PM_TIMER_GOOD 0x2u         /* one read of it is enough */
#define OEM_ID { 'B', 'E', 'R', 'T', 'H', ' ' }

/* ACPI 6.3, 5.2.5.3. */
typedef struct __attribute__((packed)) Rsdp {
    char signature[8];
    uint8_t checksum;           /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} Rsdp;

G_STATIC_ASSERT(sizeof(Rsdp) == ACPI_RSDP_SIZE);

/* PCI Firmware 3.2, 4.1.2. */
typedef struct __attribute__((packed)) Mcfg {
    AcpiHeader header;
    uint64_t reserved0;
    uint64_t base;
    uint16_t segment;
    uint8_t first_bus;
    uint8_t last_bus;
    uint32_t reserved1;
} Mcfg;

/* IA-PC HPET Specification 1.0a, 3.2.4. */
typedef struct __attribute__((packed)) HpetTable {
    AcpiHeader header;
    uint32_t id;                /* the lower half of the capabilities */
    uint8_t address_space;      /* 0: memory */
    uint8_t register_bits;
    uint8_t register_offset;
    uint8_t reserved;
    uint64_t address;
    uint8_t number;
    uint16_t periodic_ticks_min; /* so that no interrupt is lost */
    uint8_t page_protection;
} HpetTable;

/* Microsoft, "Windows ACPI Emulated Devices Table". */
typedef struct __attribute__((packed)) Waet {
    AcpiHeader header;
    uint32_t flags;
} Waet;

AcpiHeader acpi_header(const char *signature, uint8_t revision)
{
    AcpiHeader header = {
        .revision = revision,
        .oem_id = OEM_ID,
        .oem_table_id = { 'Q', '3', '5', ' ', ' ', ' ', ' ', ' ' },
        .oem_revision = 1,
        .creator_id = { 'B', 'R', 'T', 'H' },
        .creator_revision = 1,
    };

    memcpy(header.signature, signature, sizeof(header.signature));
    return header;
}

uint32_t acpi_table_begin(AcpiTables *tables, const char *signature, uint32_t align)
{
    AcpiTable table = { .offset = ALIGN_UP(tables->blob->len, align) };
    guint old = tables->blob->len;

    g_strlcpy(table.signature, signature, sizeof(table.signature));
    g_byte_array_set_size(tables->blob, table.offset);
    if (table.offset > old)
        memset(tables->blob->data + old, 0, table.offset - old);
    g_array_append_val(tables->tables, table);
    return table.offset;
}

void acpi_table_append(AcpiTables *tables, const void *data, size_t size)
{
    g_byte_array_append(tables->blob, data, size);
}

void acpi_table_end(AcpiTables *tables)
{
    AcpiTable *table = &g_array_index(tables->tables, AcpiTable, tables->tables->len - 1);
    AcpiHeader *header = (AcpiHeader *)(tables->blob->data + table->offset);

    table->size = tables->blob->len - table->offset;
    header->length = table->size;
}

void acpi_link(AcpiTables *tables, uint32_t at, uint8_t size, uint32_t target)
{
    AcpiLink link = { .at = at, .target = target, .size = size };

    g_array_append_val(tables->links, link);
}

static uint32_t xsdt_append(AcpiTables *tables, const uint32_t *targets, size_t n)
{
    uint32_t start = acpi_table_begin(tables, "XSDT", 8);
    AcpiHeader header = acpi_header("XSDT", XSDT_REVISION);
    uint64_t unknown = 0;

    acpi_table_append(tables, &header, sizeof(header));
    for (size_t i = 0; i < n; i++) {
        acpi_link(tables, tables->blob->len, sizeof(unknown), targets[i]);
        acpi_table_append(tables, &unknown, sizeof(unknown));
    }
    acpi_table_end(tables);
    return start;
}

static uint32_t mcfg_append(AcpiTables *tables, const AcpiMachine *machine)
{
    uint32_t start = acpi_table_begin(tables, "MCFG", 8);
    Mcfg mcfg = {
        .header = acpi_header("MCFG", MCFG_REVISION),
        .base = machine->ecam.base,
        .last_bus = machine->ecam.size / MIB - 1,
    };

    acpi_table_append(tables, &mcfg, sizeof(mcfg));
    acpi_table_end(tables);
    return start;
}

static uint32_t hpet_append(AcpiTables *tables, uint32_t id)
{
    uint32_t start = acpi_table_begin(tables, "HPET", 8);
    HpetTable hpet = {
        .header = acpi_header("HPET", HPET_REVISION),
        .id = id,
        .address = X86_HPET_BASE,
        .periodic_ticks_min = HPET_TICKS_MIN,
    };

    acpi_table_append(tables, &hpet, sizeof(hpet));
    acpi_table_end(tables);
    return start;
}

static uint32_t waet_append(AcpiTables *tables)
{
    uint32_t start = acpi_table_begin(tables, "WAET", 8);
    Waet waet = {
        .header = acpi_header("WAET", WAET_REVISION),
        .flags = WAET_PM_TIMER_GOOD,
    };

    acpi_table_append(tables, &waet, sizeof(waet));
    acpi_table_end(tables);
    return start;
}

AcpiTables *acpi_tables_new(const AcpiMachine *machine)
{
    AcpiTables *tables = g_new0(AcpiTables, 1);
    uint32_t dsdt, top[7];
    size_t n = 0;

    g_assert(machine->ecam.base + machine->ecam.size <= 4 * GIB);
    g_assert(machine->pci32.base + machine->pci32.size <= 4 * GIB);
    tables->blob = g_byte_array_new();
    tables->tables = g_array_new(FALSE, FALSE, sizeof(AcpiTable));
    tables->links = g_array_new(FALSE, FALSE, sizeof(AcpiLink));
    tables->facs = acpi_fadt_append_facs(tables);
    dsdt = acpi_dsdt_append(tables, machine);
    top[n++] = acpi_fadt_append(tables, machine, dsdt);
    top[n++] = acpi_madt_append(tables, machine);
    top[n++] = mcfg_append(tables, machine);
    if (machine->hpet)
        top[n++] = hpet_append(tables, machine->hpet);
    if (machine->n_nodes)
        top[n++] = acpi_srat_append(tables, machine);
    if (machine->n_nodes && machine->distances)
        top[n++] = acpi_srat_append_slit(tables, machine);
    top[n++] = waet_append(tables);
    tables->xsdt = xsdt_append(tables, top, n);
    return tables;
}

void acpi_tables_free(AcpiTables *tables)
{
    if (!tables)
        return;
    g_byte_array_unref(tables->blob);
    g_array_unref(tables->tables);
    g_array_unref(tables->links);
    g_free(tables);
}

size_t acpi_tables_size(const AcpiTables *tables)
{
    return tables->blob->len;
}

void acpi_tables_write(const AcpiTables *tables, uint64_t gpa, void *dest)
{
    uint8_t *bytes = dest;

    g_assert(gpa % ACPI_TABLES_ALIGN == 0 && gpa + tables->blob->len <= 4 * GIB);
    memcpy(bytes, tables->blob->data, tables->blob->len);
    for (guint i = 0; i < tables->links->len; i++) {
        const AcpiLink *link = &g_array_index(tables->links, AcpiLink, i);
        uint64_t target = GUINT64_TO_LE(gpa + link->target);

        memcpy(bytes + link->at, &target, link->size);
    }
    for (guint i = 0; i < tables->tables->len; i++) {
        const AcpiTable *table = &g_array_index(tables->tables, AcpiTable, i);
        AcpiHeader *header = (AcpiHeader *)(bytes + table->offset);

        if (strcmp(table->signature, "FACS") != 0)
            header->checksum = table_checksum(header, table->size);
    }
}

void acpi_rsdp_write(const AcpiTables *tables, uint64_t tables_gpa, void *dest)
{
    Rsdp rsdp = {
        .signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
        .oem_id = OEM_ID,
        .revision = RSDP_REVISION,
        .length = sizeof(rsdp),
        .xsdt = tables_gpa + tables->xsdt,
    };

    rsdp.checksum = table_checksum(&rsdp, RSDP_OLD_SIZE);
    rsdp.extended_checksum = table_checksum(&rsdp, sizeof(rsdp));
    memcpy(dest, &rsdp, sizeof(rsdp));
}

const AcpiTable *acpi_tables_list(const AcpiTables *tables, size_t *ret_count)
{
    *ret_count = tables->tables->len;
    return &g_array_index(tables->tables, AcpiTable, 0);
}
