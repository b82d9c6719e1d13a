/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables (ACPI 6.3, PCI Firmware 3.2) that describe the q35 machine: XSDT, FADT,
 * FACS, MADT, MCFG, HPET, SRAT, SLIT, WAET, DSDT as one blob, and the RSDP that leads to
 * them.
 *
 * The tables are made once from plain data and can then be written for any guest address,
 * so that the loader of kernels places them and fw_cfg hands the same ones to firmware.
 *
 * What is not in AcpiMachine is fixed by x86-layout.h.  Main only.
 */
#pragma once

#include "berth/pci-slots.h"

#define ACPI_RSDP_SIZE 36u
#define ACPI_TABLES_ALIGN 64u

/* A vCPU; its index is its ACPI processor UID. */
typedef struct AcpiCpu {
    uint32_t apic_id;
    bool present;               /* else it may be plugged later */
    unsigned node;              /* where there are nodes */
    bool fixed;                 /* present, and stays */
} AcpiCpu;

/* Guest physical addresses that a bridge hands down; size 0 for none. */
typedef struct AcpiWindow {
    uint64_t base;
    uint64_t size;
} AcpiWindow;

/* Memory that belongs to a node. */
typedef struct AcpiMemory {
    uint64_t base;
    uint64_t size;
    unsigned node;
    bool comes;                 /* it may come later: addresses for it */
} AcpiMemory;

/* A 16550A with eight ports. */
typedef struct AcpiSerial {
    uint8_t index;              /* 0 to 3: COM1 to COM4 */
    uint8_t irq;
    uint16_t iobase;
} AcpiSerial;

/* What a function of bus 0 has beside what it tells of itself. */
typedef struct AcpiFunction {
    uint8_t devfn;
    uint16_t index;             /* of a network device: its name follows from it */
} AcpiFunction;

typedef struct AcpiMachine {
    const AcpiCpu *cpus;
    size_t n_cpus;              /* all that there can be, up to 4096 */
    bool cpu_hotplug;           /* those that are not fixed come and go */
    bool smm;                   /* of which firmware may be told by an SMI */
    unsigned n_memory_slots;    /* for modules that come and go, 256 at most */
    AcpiWindow ecam;            /* 1 MiB a bus, from bus 0; below 4 GiB */
    AcpiWindow pci32;           /* below 4 GiB */
    AcpiWindow pci64;           /* above 4 GiB */
    const AcpiSerial *serials;
    size_t n_serials;
    bool pit;                   /* there is an i8254: interrupt 0 is at pin 2 */
    uint32_t hpet;              /* its identification; 0: there is none */
    bool i8042;                 /* with a keyboard and a mouse */
    bool fw_cfg;
    uint16_t pvpanic;           /* the port of pvpanic; 0: there is none */
    uint64_t vmgenid;           /* where the generation ID is; 0: there is none */
    const PciSlotsBus *buses;   /* whose slots are hot-plugged by ACPI */
    size_t n_buses;             /* 0: hot-plug of ports is their own */
    const AcpiFunction *functions;      /* of bus 0 */
    size_t n_functions;
    bool s3;                    /* the guest may suspend to RAM */
    bool s4;                    /* and to disk */
    size_t n_nodes;             /* 0: the guest is told of none */
    const AcpiMemory *memory;
    size_t n_memory;
    const uint8_t *distances;   /* n_nodes by n_nodes, by source; NULL: not told */
} AcpiMachine;

/* Where a guest wants to be when it is woken from S3. */
typedef struct AcpiWaking {
    uint32_t vector;            /* gpa */
    bool flat;                  /* in protected mode, else in real mode: below 1 MiB */
} AcpiWaking;

/* A table's place in the blob. */
typedef struct AcpiTable {
    char signature[5];
    uint32_t offset;
    uint32_t size;
} AcpiTable;

typedef struct AcpiTables AcpiTables;

/* @machine is lent. */
AcpiTables *acpi_tables_new(const AcpiMachine *machine);
/* Accepts NULL. */
void acpi_tables_free(AcpiTables *tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AcpiTables, acpi_tables_free)

/* Bytes. */
size_t acpi_tables_size(const AcpiTables *tables);

/*
 * Writes acpi_tables_size() bytes to @dest, with addresses as they are when the blob is
 * at @gpa: a multiple of ACPI_TABLES_ALIGN, all of it below 4 GiB.
 */
void acpi_tables_write(const AcpiTables *tables, uint64_t gpa, void *dest);

/*
 * Writes the RSDP (ACPI_RSDP_SIZE bytes) to @dest, for tables at @tables_gpa.  The guest
 * looks for it at multiples of 16 in X86_BIOS_AREA.
 */
void acpi_rsdp_write(const AcpiTables *tables, uint64_t tables_gpa, void *dest);

/*
 * Reads from the FACS in @blob, which the guest can write to, where to wake it.  False
 * with @error when it names no place.
 */
bool acpi_fadt_waking(const AcpiTables *tables, const void *blob,
                        AcpiWaking *ret_waking, GError **error);

/* The tables in the order of the blob; lent. */
const AcpiTable *acpi_tables_list(const AcpiTables *tables, size_t *ret_count);
