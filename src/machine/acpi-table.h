/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the blob of ACPI tables: what acpi.c offers to the files that write single
 * tables.  Numbers are little-endian, as the host's are.
 */
#pragma once

#include "berth/acpi.h"
#include "berth/aml.h"

/* The header of every table but the FACS (ACPI 6.3, 5.2.6). */
typedef struct __attribute__((packed)) AcpiHeader {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} AcpiHeader;

G_STATIC_ASSERT(sizeof(AcpiHeader) == 36);

struct AcpiTables {
    GByteArray *blob;
    GArray *tables;             /* of AcpiTable */
    GArray *links;              /* of AcpiLink */
    uint32_t xsdt;              /* offset */
    uint32_t facs;              /* offset */
    uint32_t vmgenid;           /* offset of its address; 0: there is none */
};

typedef struct AcpiLink {
    uint32_t at;
    uint32_t target;
    uint8_t size;
} AcpiLink;

/* The header of a table whose other fields are still to come. */
AcpiHeader acpi_header(const char *signature, uint8_t revision);

/* Begins a table at the next multiple of @align and returns its offset. */
uint32_t acpi_table_begin(AcpiTables *tables, const char *signature, uint32_t align);
void acpi_table_append(AcpiTables *tables, const void *data, size_t size);
/* Ends the table that was begun last; one with a header has its length set. */
void acpi_table_end(AcpiTables *tables);

/* The field of @size (4 or 8) bytes at @at will hold the address of @target. */
void acpi_link(AcpiTables *tables, uint32_t at, uint8_t size, uint32_t target);

/* Each appends one table and returns its offset. */

uint32_t acpi_fadt_append_facs(AcpiTables *tables);
/* After the FACS. */
uint32_t acpi_fadt_append(AcpiTables *tables, const AcpiMachine *machine, uint32_t dsdt);
uint32_t acpi_madt_append(AcpiTables *tables, const AcpiMachine *machine);
/* The entry of a processor that is enabled, as _MAT has it; its size. */
#define ACPI_MADT_CPU_MAX 16u
size_t acpi_madt_cpu(uint32_t uid, const AcpiCpu *cpu, uint8_t *entry);
/* Of a machine with nodes, and for the second one with distances. */
uint32_t acpi_srat_append(AcpiTables *tables, const AcpiMachine *machine);
uint32_t acpi_srat_append_slit(AcpiTables *tables, const AcpiMachine *machine);
uint32_t acpi_dsdt_append(AcpiTables *tables, const AcpiMachine *machine);

/* Interrupts of PCI: of the host bridge, of the LPC bridge, of \_SB, at the root. */
void acpi_prt_append(Aml *aml);
void acpi_prt_append_registers(Aml *aml);
void acpi_prt_append_links(Aml *aml);
void acpi_prt_append_pic(Aml *aml);

/* In the scope of the host bridge: functions with an index, _DSM for them and slots. */
void acpi_index_append(Aml *aml, const AcpiMachine *machine);
/* Method _DSM of a function, whose index follows as a value or a call. */
void acpi_index_begin_dsm(Aml *aml);
void acpi_index_end_dsm(Aml *aml);

/* Parts of the DSDT: in the scope of the host bridge, and at its end. */
void acpi_pcihp_append(Aml *aml, const AcpiMachine *machine);
void acpi_pcihp_append_event(Aml *aml);
/* The device of a function of PCI, in the scope of its bus; the caller ends it. */
void acpi_pcihp_begin_function(Aml *aml, unsigned devfn);
/* In the scope of the processors, in that of one, and at the end. */
void acpi_cpuhp_append(Aml *aml, const AcpiMachine *machine);
void acpi_cpuhp_append_cpu(Aml *aml, const AcpiMachine *machine, size_t index);
void acpi_cpuhp_append_event(Aml *aml);
/* In the scope of the system bus, and at the end. */
void acpi_memhp_append(Aml *aml, const AcpiMachine *machine);
void acpi_memhp_append_event(Aml *aml);

/* Statements: a lock, stores, a method that calls another with a number. */
void acpi_code_mutex(Aml *aml, const char *mutex);
void acpi_code_acquire(Aml *aml, const char *mutex);
void acpi_code_release(Aml *aml, const char *mutex);
void acpi_code_store_int(Aml *aml, uint64_t value, const char *target);
void acpi_code_store_arg(Aml *aml, unsigned arg, const char *target);
void acpi_code_store_local(Aml *aml, unsigned local, const char *target);
void acpi_code_set_local(Aml *aml, unsigned local, uint64_t value);
void acpi_code_call(Aml *aml, const char *name, unsigned n_args, const char *method,
                    size_t index);
/* Notifies @name of the second argument when the first is @index. */
void acpi_code_notify(Aml *aml, size_t index, const char *name);

/* Names of what methods about places have to do with: one place is selected at a time. */
typedef struct AcpiSlotCode {
    const char *lock;
    const char *selector;
    const char *is_there;       /* a bit */
    const char *eject;
} AcpiSlotCode;

/* Methods with a place's number: its _STA, and its _EJ0, which passes it on. */
void acpi_code_status(Aml *aml, const AcpiSlotCode *code, const char *method);
void acpi_code_eject(Aml *aml, const AcpiSlotCode *code, const char *method);
void acpi_code_ej0(Aml *aml, const char *method, size_t index);
/* _OST, which passes on its first two arguments. */
void acpi_code_ost(Aml *aml, const char *method, size_t index);
/* The handler of an event: statements between the two, or just a call of @method. */
void acpi_code_begin_event(Aml *aml, unsigned gpe);
void acpi_code_end_event(Aml *aml);
void acpi_code_event(Aml *aml, unsigned gpe, const char *method);

/* "C00A" of processor 10, to @name of 5 bytes. */
void acpi_cpuhp_name(char *name, size_t index);
