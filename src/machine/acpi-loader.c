/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of 128 bytes that firmware runs in order: it takes memory for a file, adds to
 * a field of one file the address of another, fills a checksum in, and writes to a file
 * of fw_cfg where something is.  A field that is to hold an address holds an offset
 * before.
 */
#include <string.h>

#include "acpi-loader.h"
#include "acpi-table.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE "etc/acpi/rsdp"
#define LOADER_FILE "etc/table-loader"
#define GUID_FILE "etc/vmgenid_guid"
#define GUID_ADDRESS_FILE "etc/vmgenid_addr"
#define GUID_ALIGN 4096u
#define RSDP_ALIGN 16u

/* In the RSDP (ACPI 6.3, 5.2.5.3). */
#define RSDP_CHECKSUM 8u
#define RSDP_OLD_SIZE 20u
#define RSDP_XSDT 24u
#define RSDP_EXTENDED_CHECKSUM 32u

typedef enum LoaderCommand {
    LOADER_ALLOCATE = 1,
    LOADER_ADD_POINTER = 2,
    LOADER_ADD_CHECKSUM = 3,
    LOADER_WRITE_POINTER = 4,
} LoaderCommand;

typedef enum LoaderZone {
    LOADER_ZONE_HIGH = 1,
    LOADER_ZONE_FSEG = 2,       /* where operating systems look for the RSDP */
} LoaderZone;

typedef char LoaderName[FW_CFG_NAME_MAX + 1];

typedef struct __attribute__((packed)) LoaderEntry {
    uint32_t command;
    union {
        struct __attribute__((packed)) {
            LoaderName file;
            uint32_t align;
            uint8_t zone;
        } allocate;
        struct __attribute__((packed)) {
            LoaderName dest;
            LoaderName source;
            uint32_t offset;
            uint8_t size;
        } pointer;
        struct __attribute__((packed)) {
            LoaderName file;
            uint32_t offset;
            uint32_t start;
            uint32_t length;
        } checksum;
        struct __attribute__((packed)) {
            LoaderName dest;
            LoaderName source;
            uint32_t dest_offset;
            uint32_t source_offset;
            uint8_t size;
        } write;
        uint8_t reserved[124];
    };
} LoaderEntry;

G_STATIC_ASSERT(sizeof(LoaderEntry) == 128);

static void put_entry(GByteArray *loader, const LoaderEntry *entry)
{
    g_byte_array_append(loader, (const uint8_t *)entry, sizeof(*entry));
}

static void put_allocate(GByteArray *loader, const char *file, uint32_t align,
                         LoaderZone zone)
{
    LoaderEntry entry = { .command = GUINT32_TO_LE(LOADER_ALLOCATE) };

    g_strlcpy(entry.allocate.file, file, sizeof(LoaderName));
    entry.allocate.align = GUINT32_TO_LE(align);
    entry.allocate.zone = zone;
    put_entry(loader, &entry);
}

/* The field of @dest at @offset becomes an address in @source. */
static void put_pointer(GByteArray *loader, const char *dest, const char *source,
                        const AcpiLink *link)
{
    LoaderEntry entry = { .command = GUINT32_TO_LE(LOADER_ADD_POINTER) };

    g_strlcpy(entry.pointer.dest, dest, sizeof(LoaderName));
    g_strlcpy(entry.pointer.source, source, sizeof(LoaderName));
    entry.pointer.offset = GUINT32_TO_LE(link->at);
    entry.pointer.size = link->size;
    put_entry(loader, &entry);
}

/* The byte of @file at @offset makes the sum of the @length bytes from @start on 0. */
static void put_checksum(GByteArray *loader, const char *file, uint32_t offset,
                         uint32_t start, uint32_t length)
{
    LoaderEntry entry = { .command = GUINT32_TO_LE(LOADER_ADD_CHECKSUM) };

    g_strlcpy(entry.checksum.file, file, sizeof(LoaderName));
    entry.checksum.offset = GUINT32_TO_LE(offset);
    entry.checksum.start = GUINT32_TO_LE(start);
    entry.checksum.length = GUINT32_TO_LE(length);
    put_entry(loader, &entry);
}

static void put_vmgenid(GByteArray *loader, uint32_t at)
{
    const AcpiLink link = { .at = at, .size = sizeof(uint32_t) };
    LoaderEntry entry = { .command = GUINT32_TO_LE(LOADER_WRITE_POINTER) };

    put_pointer(loader, TABLES_FILE, GUID_FILE, &link);
    g_strlcpy(entry.write.dest, GUID_ADDRESS_FILE, sizeof(LoaderName));
    g_strlcpy(entry.write.source, GUID_FILE, sizeof(LoaderName));
    entry.write.size = sizeof(uint64_t);
    put_entry(loader, &entry);
}

static void put_tables(GByteArray *loader, const AcpiTables *tables)
{
    for (guint i = 0; i < tables->links->len; i++)
        put_pointer(loader, TABLES_FILE, TABLES_FILE,
                    &g_array_index(tables->links, AcpiLink, i));
    if (tables->vmgenid)
        put_vmgenid(loader, tables->vmgenid);
    for (guint i = 0; i < tables->tables->len; i++) {
        const AcpiTable *table = &g_array_index(tables->tables, AcpiTable, i);

        if (strcmp(table->signature, "FACS") != 0)
            put_checksum(loader, TABLES_FILE,
                         table->offset + offsetof(AcpiHeader, checksum), table->offset,
                         table->size);
    }
}

static void put_rsdp(GByteArray *loader)
{
    const AcpiLink link = { .at = RSDP_XSDT, .size = sizeof(uint64_t) };

    put_pointer(loader, RSDP_FILE, TABLES_FILE, &link);
    put_checksum(loader, RSDP_FILE, RSDP_CHECKSUM, 0, RSDP_OLD_SIZE);
    put_checksum(loader, RSDP_FILE, RSDP_EXTENDED_CHECKSUM, 0, ACPI_RSDP_SIZE);
}

/* The blob with offsets where it has links; it has no checksums. */
static GBytes *with_offsets(const AcpiTables *tables)
{
    uint8_t *bytes = g_memdup2(tables->blob->data, tables->blob->len);

    for (guint i = 0; i < tables->links->len; i++) {
        const AcpiLink *link = &g_array_index(tables->links, AcpiLink, i);
        uint64_t target = GUINT64_TO_LE((uint64_t)link->target);

        memcpy(bytes + link->at, &target, link->size);
    }
    return g_bytes_new_take(bytes, tables->blob->len);
}

static GBytes *make_rsdp(const AcpiTables *tables)
{
    uint8_t *rsdp = g_malloc(ACPI_RSDP_SIZE);

    acpi_rsdp_write(tables, 0, rsdp);
    rsdp[RSDP_CHECKSUM] = 0;
    rsdp[RSDP_EXTENDED_CHECKSUM] = 0;
    return g_bytes_new_take(rsdp, ACPI_RSDP_SIZE);
}

bool acpi_loader_add_files(const AcpiTables *tables, FwCfg *fw_cfg, GError **error)
{
    GByteArray *loader = g_byte_array_new();

    put_allocate(loader, TABLES_FILE, ACPI_TABLES_ALIGN, LOADER_ZONE_HIGH);
    put_allocate(loader, RSDP_FILE, RSDP_ALIGN, LOADER_ZONE_FSEG);
    if (tables->vmgenid)
        put_allocate(loader, GUID_FILE, GUID_ALIGN, LOADER_ZONE_HIGH);
    put_tables(loader, tables);
    put_rsdp(loader);
    return fw_cfg_put_file(fw_cfg, LOADER_FILE, g_byte_array_free_to_bytes(loader),
                           error) &&
           fw_cfg_put_file(fw_cfg, TABLES_FILE, with_offsets(tables), error) &&
           fw_cfg_put_file(fw_cfg, RSDP_FILE, make_rsdp(tables), error);
}
