/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the DSDT by which memory is hot-plugged: the methods between the registers
 * of hw/x86/memhp.c and the guest's driver of memory devices.
 *
 *     \_SB.MHPC.MSTA    whether a module is there
 *               .MCRS    where its memory is
 *               .MPXM    its node
 *               .MEJE    ejects it
 *               .MOST    passes on what the guest tells of it
 *               .MTFY    notifies it
 *               .MSCN    looks for those that came or are to go, for \_GPE._E03
 *               .MPxx    a slot: _STA, _CRS, _PXM, _EJ0, _OST
 *
 * ACPI 6.3, 5.6.6 (notifications), 6.3.3 (_EJx), 6.3.5 (_OST), 9.11 (memory devices).
 */
#include "acpi-table.h"
#include "berth/x86-layout.h"

#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT_REQUEST 3
#define LOCK "MLCK"

/* Of a 64-bit range in resources (ACPI 6.3, 6.4.3.5.1). */
#define RANGE_FIRST 14
#define RANGE_LAST 22
#define RANGE_SIZE 38

static const AcpiSlotCode code = {
    .lock = LOCK, .selector = "MSEL", .is_there = "MPEN", .eject = "MEJ0",
};

static void slot_name(char *name, size_t index)
{
    g_snprintf(name, 5, "MP%02X", (unsigned)index & 0xff);
}

/* What is read and what is written at an offset are two registers. */
static void append_registers(Aml *aml)
{
    static const char *const read[] = { "MADL", "MADH", "MSZL", "MSZH", "MPXR" };
    static const char *const written[] = { "MSEL", "MOEV", "MOSC" };
    static const char *const bits[] = { "MPEN", "MINS", "MRMV", "MEJ0" };

    aml_region(aml, "MREG", AML_SYSTEM_IO, X86_PORT_MEMHP, X86_PORT_MEMHP_SIZE);
    aml_field(aml, "MREG", AML_ACCESS_DWORD, AML_PRESERVE);
    for (size_t i = 0; i < G_N_ELEMENTS(read); i++)
        aml_field_bits(aml, read[i], 32);
    aml_end(aml);
    aml_field(aml, "MREG", AML_ACCESS_DWORD, AML_WRITE_AS_ZEROS);
    for (size_t i = 0; i < G_N_ELEMENTS(written); i++)
        aml_field_bits(aml, written[i], 32);
    aml_end(aml);
    aml_field(aml, "MREG", AML_ACCESS_BYTE, AML_WRITE_AS_ZEROS);
    aml_field_skip(aml, 0x14 * 8);
    for (size_t i = 0; i < G_N_ELEMENTS(bits); i++)
        aml_field_bits(aml, bits[i], 1);
    aml_end(aml);
    acpi_code_mutex(aml, LOCK);
}

/* The local becomes what the two halves are. */
static void append_load(Aml *aml, const char *high, const char *low, unsigned local)
{
    aml_op(aml, AML_SHIFT_LEFT);
    aml_path(aml, high);
    aml_int(aml, 32);
    aml_local(aml, local);
    aml_op(aml, AML_OR);
    aml_local(aml, local);
    aml_path(aml, low);
    aml_local(aml, local);
}

static void append_range_field(Aml *aml, unsigned offset, const char *name)
{
    aml_op(aml, AML_CREATE_QWORD_FIELD);
    aml_path(aml, "MRNG");
    aml_int(aml, offset);
    aml_path(aml, name);
}

/* MCRS (slot) */
static void append_resources(Aml *aml)
{
    aml_method(aml, "MCRS", 1, true);
    acpi_code_acquire(aml, LOCK);
    acpi_code_store_arg(aml, 0, "MSEL");
    aml_name(aml, "MRNG");
    aml_resources(aml);
    aml_res_range64(aml, AML_RANGE_MEMORY, 0, UINT64_MAX - 1);
    aml_end(aml);
    append_range_field(aml, RANGE_FIRST, "MMIN");
    append_range_field(aml, RANGE_LAST, "MMAX");
    append_range_field(aml, RANGE_SIZE, "MLEN");
    append_load(aml, "MADH", "MADL", 0);
    append_load(aml, "MSZH", "MSZL", 1);
    acpi_code_store_local(aml, 0, "MMIN");
    acpi_code_store_local(aml, 1, "MLEN");
    aml_op(aml, AML_ADD);
    aml_local(aml, 0);
    aml_local(aml, 1);
    aml_local(aml, 2);
    aml_op(aml, AML_SUBTRACT);
    aml_local(aml, 2);
    aml_int(aml, 1);
    aml_path(aml, "MMAX");
    acpi_code_release(aml, LOCK);
    aml_op(aml, AML_RETURN);
    aml_path(aml, "MRNG");
    aml_end(aml);
}

/* MPXM (slot) */
static void append_node(Aml *aml)
{
    aml_method(aml, "MPXM", 1, true);
    acpi_code_acquire(aml, LOCK);
    acpi_code_store_arg(aml, 0, "MSEL");
    aml_op(aml, AML_STORE);
    aml_path(aml, "MPXR");
    aml_local(aml, 0);
    acpi_code_release(aml, LOCK);
    aml_op(aml, AML_RETURN);
    aml_local(aml, 0);
    aml_end(aml);
}

/* MOST (slot, event, status) */
static void append_ost(Aml *aml)
{
    aml_method(aml, "MOST", 3, true);
    acpi_code_acquire(aml, LOCK);
    acpi_code_store_arg(aml, 0, "MSEL");
    acpi_code_store_arg(aml, 1, "MOEV");
    acpi_code_store_arg(aml, 2, "MOSC");
    acpi_code_release(aml, LOCK);
    aml_end(aml);
}

/* MTFY (slot, what) */
static void append_notify(Aml *aml, const AcpiMachine *machine)
{
    char name[5];

    aml_method(aml, "MTFY", 2, false);
    for (size_t i = 0; i < machine->n_memory_slots; i++) {
        slot_name(name, i);
        acpi_code_notify(aml, i, name);
    }
    aml_end(aml);
}

/* If the slot that is selected has the bit, it is cleared and the module notified. */
static void append_look(Aml *aml, const char *bit, unsigned what)
{
    aml_if(aml);
    aml_path(aml, bit);
    acpi_code_store_int(aml, 1, bit);
    aml_path(aml, "MTFY");
    aml_local(aml, 0);
    aml_int(aml, what);
    aml_end(aml);
}

static void append_scan(Aml *aml, const AcpiMachine *machine)
{
    aml_method(aml, "MSCN", 0, true);
    acpi_code_acquire(aml, LOCK);
    acpi_code_set_local(aml, 0, 0);
    aml_while(aml);
    aml_op(aml, AML_LLESS);
    aml_local(aml, 0);
    aml_int(aml, machine->n_memory_slots);
    acpi_code_store_local(aml, 0, "MSEL");
    append_look(aml, "MINS", NOTIFY_DEVICE_CHECK);
    append_look(aml, "MRMV", NOTIFY_EJECT_REQUEST);
    aml_op(aml, AML_INCREMENT);
    aml_local(aml, 0);
    aml_end(aml);
    acpi_code_release(aml, LOCK);
    aml_end(aml);
}

static void append_slot(Aml *aml, size_t index)
{
    char name[5];

    slot_name(name, index);
    aml_device(aml, name);
    aml_name_eisaid(aml, "_HID", "PNP0C80");
    aml_name_int(aml, "_UID", index);
    acpi_code_call(aml, "_STA", 0, "MSTA", index);
    acpi_code_call(aml, "_CRS", 0, "MCRS", index);
    acpi_code_call(aml, "_PXM", 0, "MPXM", index);
    acpi_code_ej0(aml, "MEJE", index);
    acpi_code_ost(aml, "MOST", index);
    aml_end(aml);
}

void acpi_memhp_append(Aml *aml, const AcpiMachine *machine)
{
    aml_device(aml, "MHPC");
    aml_name_eisaid(aml, "_HID", "PNP0A06");
    aml_name_string(aml, "_UID", "DIMM slots");
    append_registers(aml);
    acpi_code_status(aml, &code, "MSTA");
    append_resources(aml);
    append_node(aml);
    acpi_code_eject(aml, &code, "MEJE");
    append_ost(aml);
    append_notify(aml, machine);
    append_scan(aml, machine);
    for (size_t i = 0; i < machine->n_memory_slots; i++)
        append_slot(aml, i);
    aml_end(aml);
}

void acpi_memhp_append_event(Aml *aml)
{
    acpi_code_event(aml, X86_GPE_MEMORY_HOTPLUG, "\\_SB.MHPC.MSCN");
}
