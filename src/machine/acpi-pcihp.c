/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the DSDT by which slots of PCI are hot-plugged: the methods between the
 * registers of hw/x86/pcihp.c and the guest's PCI core.  Names and numbers are those that
 * guests know from QEMU.
 *
 *     \_SB.PCI0.Sxx       the port or bridge at function xx of bus 0
 *                 .Sxx   a slot of it: _SUN, _EJ0, _DSM (acpi-index.c); when a bridge is
 *                        in it, the same again
 *                 .DVNT  notifies slots of it
 *                 .PCNT  tells of its slots, and of those behind them
 *     \_SB.PCI0.PCNT      tells of all, for the event \_GPE._E01
 *     \_SB.PCI0.PCEJ      ejects
 *     \_SB.PCI0.AIDX      the index of what is in a slot
 *
 * ACPI 6.3, 5.6.6 (device object notifications) and 6.3.3 (_EJx).
 */
#include "acpi-table.h"
#include "berth/pci.h"
#include "berth/x86-layout.h"

#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT_REQUEST 3
#define LOCK "BLCK"

static void append_registers(Aml *aml)
{
    static const struct {
        const char *region;
        const char *fields[2];
        unsigned offset;
    } rows[] = {
        { "PCST", { "PCIU", "PCID" }, 0x00 },
        { "SEJ", { "B0EJ" }, 0x08 },
        { "BNMR", { "BNUM", "PIDX" }, 0x10 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        unsigned n = rows[i].fields[1] ? 2 : 1;

        aml_region(aml, rows[i].region, AML_SYSTEM_IO, X86_PORT_PCIHP + rows[i].offset,
                   4 * n);
        aml_field(aml, rows[i].region, AML_ACCESS_DWORD, AML_WRITE_AS_ZEROS);
        for (unsigned j = 0; j < n; j++)
            aml_field_bits(aml, rows[i].fields[j], 32);
        aml_end(aml);
    }
    acpi_code_mutex(aml, LOCK);
}

/* Selects the bus of the first argument and writes the slot of the second to @target. */
static void append_write_slot(Aml *aml, const char *target)
{
    acpi_code_store_arg(aml, 0, "BNUM");
    aml_op(aml, AML_SHIFT_LEFT);
    aml_int(aml, 1);
    aml_arg(aml, 1);
    aml_path(aml, target);
}

/* PCEJ (bus, slot) */
static void append_eject(Aml *aml)
{
    aml_method(aml, "PCEJ", 2, false);
    acpi_code_acquire(aml, LOCK);
    append_write_slot(aml, "B0EJ");
    acpi_code_release(aml, LOCK);
    aml_op(aml, AML_RETURN);
    aml_int(aml, 0);
    aml_end(aml);
}

/* AIDX (bus, slot) */
static void append_index(Aml *aml)
{
    aml_method(aml, "AIDX", 2, true);
    acpi_code_acquire(aml, LOCK);
    append_write_slot(aml, "PIDX");
    aml_op(aml, AML_STORE);
    aml_path(aml, "PIDX");
    aml_local(aml, 0);
    acpi_code_release(aml, LOCK);
    aml_op(aml, AML_RETURN);
    aml_local(aml, 0);
    aml_end(aml);
}

static void function_name(char *name, unsigned devfn)
{
    g_snprintf(name, 5, "S%02X", devfn & 0xff);
}

void acpi_pcihp_begin_function(Aml *aml, unsigned devfn)
{
    char name[5];

    function_name(name, devfn);
    aml_device(aml, name);
    aml_name_int(aml, "_ADR", PCI_SLOT(devfn) << 16 | PCI_FUNCTION(devfn));
}

/* DVNT (slots, what) */
static void append_notify(Aml *aml, unsigned n_slots)
{
    aml_method(aml, "DVNT", 2, false);
    for (unsigned slot = 0; slot < n_slots; slot++) {
        char name[5];

        function_name(name, PCI_DEVFN(slot, 0));
        aml_if(aml);
        aml_op(aml, AML_AND);
        aml_arg(aml, 0);
        aml_int(aml, 1ull << slot);
        aml_path(aml, "");
        aml_op(aml, AML_NOTIFY);
        aml_path(aml, name);
        aml_arg(aml, 1);
        aml_end(aml);
    }
    aml_end(aml);
}

static void append_notify_call(Aml *aml, const char *bits, unsigned what)
{
    aml_path(aml, "DVNT");
    aml_path(aml, bits);
    aml_int(aml, what);
}

/* PCNT () of bus number @bus, -1 for the root. */
static void append_tell(Aml *aml, const AcpiMachine *machine, int bus)
{
    aml_method(aml, "PCNT", 0, false);
    if (bus >= 0 && machine->buses[bus].n_slots) {
        acpi_code_store_int(aml, (unsigned)bus, "BNUM");
        append_notify_call(aml, "PCIU", NOTIFY_DEVICE_CHECK);
        append_notify_call(aml, "PCID", NOTIFY_EJECT_REQUEST);
    }
    for (size_t i = 0; i < machine->n_buses; i++) {
        g_autofree char *path = NULL;
        char name[5];

        if (machine->buses[i].parent != bus)
            continue;
        function_name(name, machine->buses[i].devfn);
        path = g_strdup_printf("^%s.PCNT", name);
        aml_path(aml, path);
    }
    aml_end(aml);
}

static void append_bus(Aml *aml, const AcpiMachine *machine, int bus);

static void append_slot(Aml *aml, const AcpiMachine *machine, int bus, unsigned slot)
{
    acpi_pcihp_begin_function(aml, PCI_DEVFN(slot, 0));
    aml_name_int(aml, "_SUN", slot);
    aml_method(aml, "_EJ0", 1, false);
    aml_path(aml, "PCEJ");
    aml_int(aml, (unsigned)bus);
    aml_path(aml, "_SUN");
    aml_end(aml);
    acpi_index_begin_dsm(aml);
    aml_path(aml, "AIDX");
    aml_int(aml, (unsigned)bus);
    aml_path(aml, "_SUN");
    acpi_index_end_dsm(aml);
    for (size_t i = 0; i < machine->n_buses; i++) {
        if (machine->buses[i].parent == bus &&
            machine->buses[i].devfn == PCI_DEVFN(slot, 0))
            append_bus(aml, machine, (int)i);
    }
    aml_end(aml);
}

/* In the scope of the bridge: its slots, the bridges that are in none, PCNT. */
static void append_bus(Aml *aml, const AcpiMachine *machine, int bus)
{
    unsigned n_slots = bus < 0 ? 0 : machine->buses[bus].n_slots;

    for (unsigned slot = 0; slot < n_slots; slot++)
        append_slot(aml, machine, bus, slot);
    for (size_t i = 0; i < machine->n_buses; i++) {
        unsigned devfn = machine->buses[i].devfn;

        if (machine->buses[i].parent != bus ||
            (PCI_FUNCTION(devfn) == 0 && PCI_SLOT(devfn) < n_slots))
            continue;
        acpi_pcihp_begin_function(aml, devfn);
        append_bus(aml, machine, (int)i);
        aml_end(aml);
    }
    if (n_slots)
        append_notify(aml, n_slots);
    append_tell(aml, machine, bus);
}

void acpi_pcihp_append(Aml *aml, const AcpiMachine *machine)
{
    append_registers(aml);
    append_eject(aml);
    append_index(aml);
    append_bus(aml, machine, -1);
}

void acpi_pcihp_append_event(Aml *aml)
{
    acpi_code_begin_event(aml, X86_GPE_PCI_HOTPLUG);
    acpi_code_acquire(aml, "\\_SB.PCI0." LOCK);
    aml_path(aml, "\\_SB.PCI0.PCNT");
    acpi_code_release(aml, "\\_SB.PCI0." LOCK);
    acpi_code_end_event(aml);
}
