/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the DSDT by which slots of PCI are hot-plugged: the methods between the
 * registers of hw/x86/pcihp.c and the guest's PCI core.  Names and numbers are those that
 * guests know from QEMU.
 *
 *     \_SB.PCI0.Sxx       the port at function xx of bus 0
 *                 .S00   its slot: _SUN, _EJ0, _DSM (acpi-index.c)
 *                 .PCNT  tells of its slot
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
#define FOR_EVER 0xffff

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
    aml_op(aml, AML_MUTEX);
    aml_path(aml, "BLCK");
    aml_byte(aml, 0);
}

static void append_acquire(Aml *aml, const char *mutex)
{
    aml_op(aml, AML_ACQUIRE);
    aml_path(aml, mutex);
    aml_word(aml, FOR_EVER);
}

static void append_release(Aml *aml, const char *mutex)
{
    aml_op(aml, AML_RELEASE);
    aml_path(aml, mutex);
}

/* Selects the bus of the first argument and writes the slot of the second to @target. */
static void append_write_slot(Aml *aml, const char *target)
{
    aml_op(aml, AML_STORE);
    aml_arg(aml, 0);
    aml_path(aml, "BNUM");
    aml_op(aml, AML_SHIFT_LEFT);
    aml_int(aml, 1);
    aml_arg(aml, 1);
    aml_path(aml, target);
}

/* PCEJ (bus, slot) */
static void append_eject(Aml *aml)
{
    aml_method(aml, "PCEJ", 2, false);
    append_acquire(aml, "BLCK");
    append_write_slot(aml, "B0EJ");
    append_release(aml, "BLCK");
    aml_op(aml, AML_RETURN);
    aml_int(aml, 0);
    aml_end(aml);
}

/* AIDX (bus, slot) */
static void append_index(Aml *aml)
{
    aml_method(aml, "AIDX", 2, true);
    append_acquire(aml, "BLCK");
    append_write_slot(aml, "PIDX");
    aml_op(aml, AML_STORE);
    aml_path(aml, "PIDX");
    aml_local(aml, 0);
    append_release(aml, "BLCK");
    aml_op(aml, AML_RETURN);
    aml_local(aml, 0);
    aml_end(aml);
}

/* If the register has the bit of slot 0, that is notified. */
static void append_notify(Aml *aml, const char *bits, unsigned what)
{
    aml_if(aml);
    aml_op(aml, AML_AND);
    aml_path(aml, bits);
    aml_int(aml, 1);
    aml_path(aml, "");
    aml_op(aml, AML_NOTIFY);
    aml_path(aml, "S00");
    aml_int(aml, what);
    aml_end(aml);
}

static void port_name(char *name, unsigned devfn)
{
    g_snprintf(name, 5, "S%02X", devfn & 0xff);
}

static void append_port(Aml *aml, unsigned devfn, unsigned bus)
{
    char name[5];

    port_name(name, devfn);
    aml_device(aml, name);
    aml_name_int(aml, "_ADR", PCI_SLOT(devfn) << 16 | PCI_FUNCTION(devfn));

    aml_device(aml, "S00");
    aml_name_int(aml, "_ADR", 0);
    aml_name_int(aml, "_SUN", 0);
    aml_method(aml, "_EJ0", 1, false);
    aml_path(aml, "PCEJ");
    aml_int(aml, bus);
    aml_path(aml, "_SUN");
    aml_end(aml);
    acpi_index_begin_dsm(aml);
    aml_path(aml, "AIDX");
    aml_int(aml, bus);
    aml_path(aml, "_SUN");
    acpi_index_end_dsm(aml);
    aml_end(aml);

    aml_method(aml, "PCNT", 0, false);
    aml_op(aml, AML_STORE);
    aml_int(aml, bus);
    aml_path(aml, "BNUM");
    append_notify(aml, "PCIU", NOTIFY_DEVICE_CHECK);
    append_notify(aml, "PCID", NOTIFY_EJECT_REQUEST);
    aml_end(aml);
    aml_end(aml);
}

void acpi_pcihp_append(Aml *aml, const AcpiMachine *machine)
{
    append_registers(aml);
    append_eject(aml);
    append_index(aml);
    for (size_t i = 0; i < machine->n_slots; i++)
        append_port(aml, machine->slots[i], i);
    aml_method(aml, "PCNT", 0, false);
    for (size_t i = 0; i < machine->n_slots; i++) {
        char name[5];
        g_autofree char *path = NULL;

        port_name(name, machine->slots[i]);
        path = g_strdup_printf("^%s.PCNT", name);
        aml_path(aml, path);
    }
    aml_end(aml);
}

void acpi_pcihp_append_event(Aml *aml)
{
    char name[5];

    g_snprintf(name, sizeof(name), "_E%02X", X86_GPE_PCI_HOTPLUG & 0xff);
    aml_scope(aml, "\\_GPE");
    aml_method(aml, name, 0, false);
    append_acquire(aml, "\\_SB.PCI0.BLCK");
    aml_path(aml, "\\_SB.PCI0.PCNT");
    append_release(aml, "\\_SB.PCI0.BLCK");
    aml_end(aml);
    aml_end(aml);
}
