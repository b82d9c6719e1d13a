/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the SMBIOS tables: what smbios.c and smbios-options.c offer to the files that
 * make single structures.  Numbers are little-endian, as the host's are.
 */
#pragma once

#include "berth/smbios.h"

#define SMBIOS_TYPE_END 127u

/* DSP0134, 6.1.2. */
typedef struct __attribute__((packed)) SmbiosHeader {
    uint8_t type;
    uint8_t length;             /* of the formatted area */
    uint16_t handle;
} SmbiosHeader;

struct SmbiosOptions {
    /* The fields that were named, over all occurrences; texts are lent. */
    SmbiosBiosProps bios;
    SmbiosRelease bios_release; /* bios.release, if there is one */
    SmbiosSystemProps system;
    SmbiosBoardProps board;
    SmbiosChassisProps chassis;
    SmbiosProcessorProps processor;
    SmbiosMemoryDeviceProps memory_device;
    GPtrArray *each;            /* of SmbiosOption, lent: a structure for each of them */
    GPtrArray *oem_strings;     /* of text */

    GByteArray *structures;     /* of files */
    unsigned n_structures;
    size_t largest;             /* bytes of one of them */
    GHashTable *handles;        /* theirs */
    bool has_fields[SMBIOS_TYPE_END + 1];
    bool has_file[SMBIOS_TYPE_END + 1];
    uint16_t file_handle[SMBIOS_TYPE_END + 1]; /* of the first, where there is a file */
};

struct SmbiosTables {
    bool is_v3;
    GBytes *structures;         /* when they are complete */
    unsigned n_structures;
    size_t largest;             /* bytes of one of them */

    /* While they are made. */
    const SmbiosMachine *machine;
    const SmbiosOptions *options;
    GByteArray *out;
    GHashTable *handles;
    GByteArray *strings;        /* of the structure that is being made */
    unsigned n_strings;
};

/*
 * Whether structures of @type are to be made: when fields of it were named, or always
 * when it is @required; never when files hold some.
 */
bool smbios_wants(const SmbiosTables *tables, unsigned type, bool required);

/* The header of a structure: a handle of its own, (@type << 8) + @instance if free. */
SmbiosHeader smbios_header(SmbiosTables *tables, unsigned type, size_t length,
                           unsigned instance);

/* Adds a text to the structure that is appended next: its number, 0 of an empty one. */
uint8_t smbios_string(SmbiosTables *tables, const char *text);

/* Appends the structure at @header with its texts; returns its handle. */
uint16_t smbios_append(SmbiosTables *tables, const void *header);

/* Appends all structures but those of files. */
bool smbios_structures_append(SmbiosTables *tables, GError **error);
