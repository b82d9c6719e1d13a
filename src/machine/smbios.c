/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SMBIOS structures as one run of bytes, and the entry points.
 *
 * The structures of files come first, as they are.  Handles are unique: a handle that
 * a file has taken is not given to another structure.  DSP0134 3.7: 5.2.1 (the 32-bit
 * entry point of 2.1), 5.2.2 (the 64-bit one of 3.0), 6.1 (structures).
 */
#include <string.h>

#include "berth/error.h"

#include "smbios-table.h"
#include "table-checksum.h"

/* What the 32-bit entry point can tell. */
#define V2_SIZE_MAX UINT16_MAX
#define V2_MAJOR 2
#define V2_MINOR 8
#define V3_MAJOR 3
#define V3_MINOR 0
#define HANDLE_MAX 0xfeffu

typedef struct __attribute__((packed)) Entry32 {
    char anchor[4];
    uint8_t checksum;           /* of the whole */
    uint8_t length;
    uint8_t major;
    uint8_t minor;
    uint16_t largest;
    uint8_t revision;
    uint8_t formatted[5];
    char intermediate_anchor[5];
    uint8_t intermediate_checksum; /* from the intermediate anchor on */
    uint16_t size;
    uint32_t address;
    uint16_t count;
    uint8_t bcd_revision;
} Entry32;

typedef struct __attribute__((packed)) Entry64 {
    char anchor[5];
    uint8_t checksum;
    uint8_t length;
    uint8_t major;
    uint8_t minor;
    uint8_t docrev;
    uint8_t revision;
    uint8_t reserved;
    uint32_t size_max;
    uint64_t address;
} Entry64;

G_STATIC_ASSERT(sizeof(Entry32) == 31 && sizeof(Entry32) <= SMBIOS_ENTRY_SIZE_MAX);
G_STATIC_ASSERT(sizeof(Entry64) == 24 && sizeof(Entry64) <= SMBIOS_ENTRY_SIZE_MAX);

bool smbios_wants(const SmbiosTables *tables, unsigned type, bool required)
{
    return !tables->options->has_file[type] &&
        (required || tables->options->has_fields[type]);
}

static uint16_t take_handle(SmbiosTables *tables, unsigned wanted)
{
    while (g_hash_table_contains(tables->handles, GUINT_TO_POINTER(wanted)) ||
           g_hash_table_contains(tables->options->handles, GUINT_TO_POINTER(wanted)))
        wanted = wanted == HANDLE_MAX ? 0 : wanted + 1;
    g_hash_table_add(tables->handles, GUINT_TO_POINTER(wanted));
    return wanted;
}

SmbiosHeader smbios_header(SmbiosTables *tables, unsigned type, size_t length,
                           unsigned instance)
{
    return (SmbiosHeader) {
        .type = type,
        .length = length,
        .handle = take_handle(tables, (type << 8) + instance),
    };
}

uint8_t smbios_string(SmbiosTables *tables, const char *text)
{
    if (!text || !*text)
        return 0;
    g_assert(tables->n_strings < UINT8_MAX);
    g_byte_array_append(tables->strings, (const uint8_t *)text, strlen(text) + 1);
    return ++tables->n_strings;
}

static void count_structure(SmbiosTables *tables, size_t size)
{
    tables->n_structures++;
    tables->largest = MAX(tables->largest, size);
}

uint16_t smbios_append(SmbiosTables *tables, const void *header)
{
    static const uint8_t end[2];
    SmbiosHeader head;
    guint start = tables->out->len;

    memcpy(&head, header, sizeof(head));
    g_byte_array_append(tables->out, header, head.length);
    g_byte_array_append(tables->out, tables->strings->data, tables->strings->len);
    g_byte_array_append(tables->out, end, tables->n_strings ? 1 : 2);
    g_byte_array_set_size(tables->strings, 0);
    tables->n_strings = 0;
    count_structure(tables, tables->out->len - start);
    return head.handle;
}

static void append_end(SmbiosTables *tables)
{
    SmbiosHeader end = smbios_header(tables, SMBIOS_TYPE_END, sizeof(end), 0);

    smbios_append(tables, &end);
}

static SmbiosTables *build(const SmbiosMachine *machine, const SmbiosOptions *options,
                           bool is_v3, GError **error)
{
    g_autoptr(SmbiosTables) tables = g_new0(SmbiosTables, 1);
    bool ok;

    tables->is_v3 = is_v3;
    tables->machine = machine;
    tables->options = options;
    tables->out = g_byte_array_new();
    tables->handles = g_hash_table_new(NULL, NULL);
    tables->strings = g_byte_array_new();
    g_byte_array_append(tables->out, options->structures->data, options->structures->len);
    tables->n_structures = options->n_structures;
    tables->largest = options->largest;
    ok = smbios_structures_append(tables, error);
    append_end(tables);
    tables->structures = g_byte_array_free_to_bytes(g_steal_pointer(&tables->out));
    g_clear_pointer(&tables->handles, g_hash_table_unref);
    g_clear_pointer(&tables->strings, g_byte_array_unref);
    tables->machine = NULL;
    tables->options = NULL;
    return ok ? g_steal_pointer(&tables) : NULL;
}

/* Whether an entry point of version 2 can lead to @tables. */
static bool check_v2(const SmbiosTables *tables, const SmbiosMachine *machine,
                     GError **error)
{
    size_t size = g_bytes_get_size(tables->structures);
    const char *hint = "-machine smbios-entry-point-type=64 can tell of them";

    if (size > V2_SIZE_MAX) {
        error_set(error, "the SMBIOS structures have %zu bytes, more than %u: %s", size,
                  V2_SIZE_MAX, hint);
        return false;
    }
    if (machine->cores > UINT8_MAX || machine->threads > UINT8_MAX) {
        error_set(error, "a socket has more than %u cores or threads: %s", UINT8_MAX,
                  hint);
        return false;
    }
    return true;
}

SmbiosTables *smbios_tables_new(const SmbiosMachine *machine,
                                const SmbiosOptions *options, SmbiosEntryPointType entry,
                                GError **error)
{
    g_autoptr(SmbiosTables) tables = NULL;

    if (entry != SMBIOS_ENTRY_POINT_TYPE_64) {
        bool is_auto = entry == SMBIOS_ENTRY_POINT_TYPE_AUTO;

        tables = build(machine, options, false, error);
        if (!tables || check_v2(tables, machine, is_auto ? NULL : error))
            return g_steal_pointer(&tables);
        if (!is_auto)
            return NULL;
    }
    return build(machine, options, true, error);
}

void smbios_tables_free(SmbiosTables *tables)
{
    if (!tables)
        return;
    g_bytes_unref(tables->structures);
    g_free(tables);
}

GBytes *smbios_tables_structures(const SmbiosTables *tables)
{
    return tables->structures;
}

static size_t write_entry32(const SmbiosTables *tables, uint64_t gpa, uint8_t *dest)
{
    const size_t intermediate = offsetof(Entry32, intermediate_anchor);
    Entry32 entry = {
        .anchor = { '_', 'S', 'M', '_' },
        .length = sizeof(entry),
        .major = V2_MAJOR,
        .minor = V2_MINOR,
        .largest = tables->largest,
        .intermediate_anchor = { '_', 'D', 'M', 'I', '_' },
        .size = g_bytes_get_size(tables->structures),
        .address = gpa,
        .count = tables->n_structures,
        .bcd_revision = V2_MAJOR << 4 | V2_MINOR,
    };

    entry.intermediate_checksum =
        table_checksum(entry.intermediate_anchor, sizeof(entry) - intermediate);
    entry.checksum = table_checksum(&entry, sizeof(entry));
    memcpy(dest, &entry, sizeof(entry));
    return sizeof(entry);
}

static size_t write_entry64(const SmbiosTables *tables, uint64_t gpa, uint8_t *dest)
{
    Entry64 entry = {
        .anchor = { '_', 'S', 'M', '3', '_' },
        .length = sizeof(entry),
        .major = V3_MAJOR,
        .minor = V3_MINOR,
        .revision = 1,
        .size_max = g_bytes_get_size(tables->structures),
        .address = gpa,
    };

    entry.checksum = table_checksum(&entry, sizeof(entry));
    memcpy(dest, &entry, sizeof(entry));
    return sizeof(entry);
}

size_t smbios_tables_entry(const SmbiosTables *tables, uint64_t gpa,
                           uint8_t entry[SMBIOS_ENTRY_SIZE_MAX])
{
    return tables->is_v3 ? write_entry64(tables, gpa, entry)
                         : write_entry32(tables, gpa, entry);
}
