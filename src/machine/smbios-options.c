/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What "-smbios" asks for, over all its occurrences.
 *
 * Of a type of which a machine has one structure, or one for each of its parts, the
 * fields that are named are collected, and the last word counts.  Of the others each
 * occurrence is a structure.  A type is either made from fields or taken from files.
 *
 * The bytes of a file are hostile: every structure is walked to its end (DSP0134, 6.1),
 * so that what a guest walks is whole, and its handle is unique.
 */
#include <stdio.h>
#include <string.h>

#include "berth/error.h"
#include "berth/file-read.h"
#include "berth/qapi-tables.h"

#include "smbios-table.h"

/* Handles are 16 bits, and every structure has one. */
#define STRUCTURES_MAX 4096u

SmbiosOptions *smbios_options_new(void)
{
    SmbiosOptions *options = g_new0(SmbiosOptions, 1);

    options->each = g_ptr_array_new();
    options->oem_strings = g_ptr_array_new_with_free_func(g_free);
    options->structures = g_byte_array_new();
    options->handles = g_hash_table_new(NULL, NULL);
    return options;
}

void smbios_options_free(SmbiosOptions *options)
{
    if (!options)
        return;
    g_ptr_array_unref(options->each);
    g_ptr_array_unref(options->oem_strings);
    g_byte_array_unref(options->structures);
    g_hash_table_unref(options->handles);
    g_free(options);
}

/* The bytes of the structure at @data; 0 with @error when it is not whole. */
static size_t structure_size(const uint8_t *data, size_t size, GError **error)
{
    size_t at;

    if (size < sizeof(SmbiosHeader)) {
        error_set(error, "%zu bytes are too few for a structure", size);
        return 0;
    }
    at = ((const SmbiosHeader *)data)->length;
    if (at < sizeof(SmbiosHeader) || at > size) {
        error_set(error, "a structure cannot have a length of %zu", at);
        return 0;
    }
    for (; size - at >= 2; at++) {
        if (data[at] == 0 && data[at + 1] == 0)
            return at + 2;
    }
    error_set(error, "the two zero bytes that end a structure are missing");
    return 0;
}

static bool check_header(const SmbiosOptions *options, const uint8_t *data,
                         GError **error)
{
    const SmbiosHeader *header = (const SmbiosHeader *)data;

    if (header->type == SMBIOS_TYPE_END) {
        error_set(error, "type %u would end all structures", SMBIOS_TYPE_END);
        return false;
    }
    if (header->type < SMBIOS_TYPE_END && options->has_fields[header->type]) {
        error_set(error, "fields of type %u were given already", header->type);
        return false;
    }
    if (g_hash_table_contains(options->handles, GUINT_TO_POINTER(header->handle))) {
        error_set(error, "there is a structure with handle 0x%04x already",
                  header->handle);
        return false;
    }
    if (options->n_structures == STRUCTURES_MAX) {
        error_set(error, "there can be %u structures", STRUCTURES_MAX);
        return false;
    }
    return true;
}

static void add_structure(SmbiosOptions *options, const uint8_t *data, size_t size)
{
    SmbiosHeader header;

    memcpy(&header, data, sizeof(header));
    g_byte_array_append(options->structures, data, size);
    g_hash_table_add(options->handles, GUINT_TO_POINTER(header.handle));
    options->n_structures++;
    options->largest = MAX(options->largest, size);
    if (header.type < SMBIOS_TYPE_END && !options->has_file[header.type]) {
        options->has_file[header.type] = true;
        options->file_handle[header.type] = header.handle;
    }
}

bool smbios_options_add_structures(SmbiosOptions *options, const uint8_t *data,
                                   size_t size, GError **error)
{
    size_t at = 0;

    if (size == 0) {
        error_set(error, "0 bytes are too few for a structure");
        return false;
    }
    do {
        size_t n = structure_size(data + at, size - at, error);

        if (n == 0 || !check_header(options, data + at, error)) {
            g_prefix_error(error, "at byte %zu: ", at);
            return false;
        }
        add_structure(options, data + at, n);
        at += n;
    } while (at < size);
    return true;
}

static bool add_file(SmbiosOptions *options, const char *path, GError **error)
{
    size_t size;
    g_autofree uint8_t *data = file_read(path, SMBIOS_FILE_MAX, &size, error);

    if (!data)
        return false;
    if (smbios_options_add_structures(options, data, size, error))
        return true;
    g_prefix_error(error, "'%s': ", path);
    return false;
}

static bool add_oem_string(SmbiosOptions *options, const char *text, GError **error)
{
    if (!*text) {
        error_set(error, "an OEM string has 1 byte at least");
        return false;
    }
    g_ptr_array_add(options->oem_strings, g_strdup(text));
    return true;
}

static bool add_oem_file(SmbiosOptions *options, const char *path, GError **error)
{
    size_t size;
    g_autofree uint8_t *data = file_read(path, SMBIOS_FILE_MAX, &size, error);

    if (!data)
        return false;
    if (memchr(data, 0, size)) {
        error_set(error, "'%s' has a zero byte, which an OEM string cannot have", path);
        return false;
    }
    return add_oem_string(options, (const char *)data, error);
}

static bool add_oem_strings(SmbiosOptions *options, const SmbiosOemStringsProps *props,
                            GError **error)
{
    for (size_t i = 0; props->value && i < props->value->n; i++) {
        if (!add_oem_string(options, props->value->items[i], error))
            return false;
    }
    for (size_t i = 0; props->path && i < props->path->n; i++) {
        if (!add_oem_file(options, props->path->items[i], error))
            return false;
    }
    return true;
}

static bool set_release(SmbiosOptions *options, const char *text, GError **error)
{
    unsigned major, minor;
    int end = 0;

    if (!text)
        return true;
    if (sscanf(text, "%3u.%3u%n", &major, &minor, &end) != 2 || text[end] ||
        major > UINT8_MAX || minor > UINT8_MAX) {
        error_set(error, "parameter 'release' expects MAJOR.MINOR, each up to 255, not "
                  "'%s'", text);
        return false;
    }
    options->bios_release = (SmbiosRelease) { major, minor };
    return true;
}

static bool check_uuid(const char *text, GError **error)
{
    Uuid uuid;

    if (!text || uuid_parse(text, &uuid))
        return true;
    error_set(error, "parameter 'uuid': '%s' is not a UUID", text);
    return false;
}

/* Lends to @to what @from names; both are of struct @type. */
static void overlay(QapiTypeId type, void *to, const void *from)
{
    const QapiType *t = &qapi_types[type];

    for (unsigned i = 0; i < t->n_members; i++) {
        const QapiMember *member = &qapi_type_members(t)[i];
        const QapiType *value = &qapi_types[member->type];
        const char *field = (const char *)from + member->offset;
        size_t size = value->meta == QAPI_META_STR ? sizeof(char *) : value->size;

        if (member->has_offset == QAPI_NO_OFFSET) {
            if (!*(char *const *)field)
                continue;
        } else {
            if (!*((const bool *)from + member->has_offset))
                continue;
            *((bool *)to + member->has_offset) = true;
        }
        memcpy((char *)to + member->offset, field, size);
    }
}

/* The number of the type; -1 of files. */
static int type_number(SmbiosType type)
{
    const char *name = SmbiosType_str(type);

    return type == SMBIOS_TYPE_FILE ? -1 : (int)g_ascii_strtoll(name, NULL, 10);
}

static bool add_fields(SmbiosOptions *options, const SmbiosOption *option, GError **error)
{
    switch (option->type) {
    case SMBIOS_TYPE_0:
        overlay(QAPI_TYPE_SMBIOS_BIOS_PROPS, &options->bios, &option->u);
        return set_release(options, option->u.q_0.release, error);
    case SMBIOS_TYPE_1:
        overlay(QAPI_TYPE_SMBIOS_SYSTEM_PROPS, &options->system, &option->u);
        return check_uuid(option->u.q_1.uuid, error);
    case SMBIOS_TYPE_2:
        overlay(QAPI_TYPE_SMBIOS_BOARD_PROPS, &options->board, &option->u);
        return true;
    case SMBIOS_TYPE_3:
        overlay(QAPI_TYPE_SMBIOS_CHASSIS_PROPS, &options->chassis, &option->u);
        return true;
    case SMBIOS_TYPE_4:
        overlay(QAPI_TYPE_SMBIOS_PROCESSOR_PROPS, &options->processor, &option->u);
        return true;
    case SMBIOS_TYPE_17:
        overlay(QAPI_TYPE_SMBIOS_MEMORY_DEVICE_PROPS, &options->memory_device,
                &option->u);
        return true;
    case SMBIOS_TYPE_11:
        return add_oem_strings(options, &option->u.q_11, error);
    case SMBIOS_TYPE_8:
    case SMBIOS_TYPE_9:
    case SMBIOS_TYPE_41:
        if (options->each->len == STRUCTURES_MAX) {
            error_set(error, "there can be %u ports, slots and onboard devices",
                      STRUCTURES_MAX);
            return false;
        }
        g_ptr_array_add(options->each, (void *)option);
        return true;
    case SMBIOS_TYPE_FILE:
        break;
    }
    g_assert_not_reached();
}

bool smbios_options_add(SmbiosOptions *options, const SmbiosOption *option,
                        GError **error)
{
    int type = type_number(option->type);

    if (type < 0)
        return add_file(options, option->u.file.file, error);
    if (options->has_file[type]) {
        error_set(error, "a structure of type %d was read from a file already", type);
        return false;
    }
    if (!add_fields(options, option, error))
        return false;
    options->has_fields[type] = true;
    return true;
}

const char *smbios_options_uuid(const SmbiosOptions *options)
{
    return options->system.uuid;
}
