/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMBIOS (DMTF DSP0134 3.7): the structures that tell a guest what machine it is on, and
 * the entry point that leads to them.
 *
 * What the operator asks is collected in SmbiosOptions; with what the machine is it makes
 * SmbiosTables, once.  They can be written for any guest address, so that a machine
 * without firmware places them itself and fw_cfg hands the same ones to firmware.
 *
 * Main only.
 */
#pragma once

#include "berth/uuid.h"
#include "qapi-types.h"

#define SMBIOS_ENTRY_SIZE_MAX 32u
#define SMBIOS_ENTRY_ALIGN 16u
/* The most bytes of a file that -smbios names. */
#define SMBIOS_FILE_MAX (64 * KIB)

typedef struct SmbiosOptions SmbiosOptions;

SmbiosOptions *smbios_options_new(void);
/* Accepts NULL. */
void smbios_options_free(SmbiosOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SmbiosOptions, smbios_options_free)

/* Adds an occurrence of "-smbios" (lent while @options live); files are read now. */
bool smbios_options_add(SmbiosOptions *options, const SmbiosOption *option,
                        GError **error);

/* Adds structures as a file has them; nothing of them is trusted. */
bool smbios_options_add_structures(SmbiosOptions *options, const uint8_t *data,
                                   size_t size, GError **error);

/* The UUID that type 1 is given, NULL for none. */
const char *smbios_options_uuid(const SmbiosOptions *options);

typedef struct SmbiosRelease {
    uint8_t major;
    uint8_t minor;
} SmbiosRelease;

typedef struct SmbiosRange {
    uint64_t base;
    uint64_t size;              /* bytes, never 0 */
} SmbiosRange;

/* What the machine is.  Everything is lent. */
typedef struct SmbiosMachine {
    const char *manufacturer;
    const char *product;
    const char *version;
    Uuid uuid;                  /* zeros: none */
    bool is_firmware;           /* there is no other that would describe itself */
    const char *firmware_version;
    SmbiosRelease firmware_release;
    unsigned sockets;
    unsigned cores;             /* in a socket */
    unsigned threads;           /* in a socket */
    uint64_t processor_id;      /* CPUID leaf 1: EAX, and above it EDX */
    const SmbiosRange *ram;
    size_t n_ram;
    /* The place of device @id on the root bus; false with @error when it has none. */
    bool (*find_pci)(void *opaque, const char *id, uint8_t *ret_devfn, GError **error);
    void *opaque;
} SmbiosMachine;

typedef struct SmbiosTables SmbiosTables;

/* NULL with @error when the options ask for what cannot be. */
SmbiosTables *smbios_tables_new(const SmbiosMachine *machine,
                                const SmbiosOptions *options, SmbiosEntryPointType entry,
                                GError **error);
/* Accepts NULL. */
void smbios_tables_free(SmbiosTables *tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SmbiosTables, smbios_tables_free)

/* The structures; they hold no addresses.  Lent. */
GBytes *smbios_tables_structures(const SmbiosTables *tables);

/*
 * Writes the entry point for structures at @gpa, below 4 GiB, and returns its size.  The
 * guest looks for it at multiples of SMBIOS_ENTRY_ALIGN in the upper half of the BIOS
 * area.
 */
size_t smbios_tables_entry(const SmbiosTables *tables, uint64_t gpa,
                           uint8_t entry[SMBIOS_ENTRY_SIZE_MAX]);
