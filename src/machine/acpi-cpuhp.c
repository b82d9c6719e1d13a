/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the DSDT by which vCPUs are hot-plugged: the methods between the registers
 * of hw/x86/cpuhp.c and the guest's processor driver.
 *
 *     \_SB.CPUS.CSTA    whether a processor is there
 *               .CEJE    ejects it
 *               .COST    passes on what the guest tells of it
 *               .CTFY    notifies it
 *               .CSCN    looks for those that came or are to go, for \_GPE._E02
 *               .CSMI    asks firmware to look for them
 *               .Cxxx    a processor that comes and goes: _STA, _MAT, _EJ0, _OST
 *
 * ACPI 6.3, 5.6.6 (notifications), 6.2.10 (_MAT), 6.3.3 (_EJx), 6.3.5 (_OST).
 *
 * Where firmware has agreed on it (CSMF), it is told before the guest may start one that
 * came, while its bit says so; and ejects itself what the guest has let go.  It uses the
 * registers, too, so after an SMI a processor is selected anew.
 */
#include "acpi-table.h"
#include "berth/x86-layout.h"

#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT_REQUEST 3
#define LOCK "CPLK"

#define COMMAND_NEXT 0
#define COMMAND_OST_EVENT 1
#define COMMAND_OST_STATUS 2

/* In CSMF; and what is written to APM_CNT for firmware to look (OVMF's CpuHotplugSmm). */
#define SMI_OF_THOSE_THAT_CAME 1
#define SMI_OF_THOSE_TO_EJECT 2
#define SMI_LOOK 4

static const AcpiSlotCode code = {
    .lock = LOCK, .selector = "CSEL", .is_there = "CPEN", .eject = "CEJ0",
};

void acpi_cpuhp_name(char *name, size_t index)
{
    g_snprintf(name, 5, "C%03X", (unsigned)index & 0xfff);
}

static void append_smi(Aml *aml)
{
    aml_region(aml, "SMIR", AML_SYSTEM_IO, X86_PORT_SMI_CMD, 1);
    aml_field(aml, "SMIR", AML_ACCESS_BYTE, AML_WRITE_AS_ZEROS);
    aml_field_bits(aml, "SMIC", 8);
    aml_end(aml);
    aml_method(aml, "CSMI", 0, true);
    acpi_code_store_int(aml, SMI_LOOK, "SMIC");
    aml_end(aml);
}

/* What follows, up to the block's end, is done when CSMF has @bit. */
static void begin_if_firmware(Aml *aml, unsigned bit)
{
    aml_if(aml);
    aml_op(aml, AML_AND);
    aml_path(aml, "CSMF");
    aml_int(aml, bit);
    aml_path(aml, "");
}

static void append_registers(Aml *aml, bool smm)
{
    static const char *const bits[] = { "CPEN", "CINS", "CRMV", "CEJ0", "CEJF" };
    size_t n = G_N_ELEMENTS(bits) - (smm ? 0 : 1);

    aml_region(aml, "PRST", AML_SYSTEM_IO, X86_PORT_CPUHP, X86_PORT_CPUHP_SIZE);
    aml_field(aml, "PRST", AML_ACCESS_DWORD, AML_WRITE_AS_ZEROS);
    aml_field_bits(aml, "CSEL", 32);
    aml_field_skip(aml, 32);
    aml_field_bits(aml, "CDAT", 32);
    aml_end(aml);
    aml_field(aml, "PRST", AML_ACCESS_BYTE, AML_WRITE_AS_ZEROS);
    aml_field_skip(aml, 32);
    for (size_t i = 0; i < n; i++)
        aml_field_bits(aml, bits[i], 1);
    aml_field_skip(aml, 8 - (uint32_t)n);
    aml_field_bits(aml, "CCMD", 8);
    if (smm)
        aml_field_bits(aml, "CSMF", 8);
    aml_end(aml);
    acpi_code_mutex(aml, LOCK);
}

/* COST (uid, event, status) */
static void append_ost(Aml *aml)
{
    aml_method(aml, "COST", 3, true);
    acpi_code_acquire(aml, LOCK);
    acpi_code_store_arg(aml, 0, "CSEL");
    acpi_code_store_int(aml, COMMAND_OST_EVENT, "CCMD");
    acpi_code_store_arg(aml, 1, "CDAT");
    acpi_code_store_int(aml, COMMAND_OST_STATUS, "CCMD");
    acpi_code_store_arg(aml, 2, "CDAT");
    acpi_code_release(aml, LOCK);
    aml_end(aml);
}

/* CTFY (uid, what) */
static void append_notify(Aml *aml, const AcpiMachine *machine)
{
    aml_method(aml, "CTFY", 2, false);
    for (size_t i = 0; i < machine->n_cpus; i++) {
        char name[5];

        if (machine->cpus[i].fixed)
            continue;
        acpi_cpuhp_name(name, i);
        acpi_code_notify(aml, i, name);
    }
    aml_end(aml);
}

/* If the processor that is selected has the bit, it is notified and the bit cleared. */
static void append_look(Aml *aml, const char *bit, unsigned what)
{
    aml_if(aml);
    aml_path(aml, bit);
    aml_path(aml, "CTFY");
    aml_local(aml, 1);
    aml_int(aml, what);
    acpi_code_store_int(aml, 1, bit);
    acpi_code_set_local(aml, 0, 1);
    aml_end(aml);
}

/* If the processor that is selected came, firmware sees to it first. */
static void append_tell_firmware(Aml *aml)
{
    begin_if_firmware(aml, SMI_OF_THOSE_THAT_CAME);
    aml_if(aml);
    aml_path(aml, "CINS");
    aml_path(aml, "CSMI");
    acpi_code_store_local(aml, 1, "CSEL");
    aml_end(aml);
    aml_end(aml);
}

static void append_scan(Aml *aml, bool smm)
{
    aml_method(aml, "CSCN", 0, true);
    acpi_code_acquire(aml, LOCK);
    acpi_code_set_local(aml, 0, 1);
    aml_while(aml);
    aml_local(aml, 0);
    acpi_code_store_int(aml, COMMAND_NEXT, "CCMD");
    acpi_code_set_local(aml, 0, 0);
    aml_op(aml, AML_STORE);
    aml_path(aml, "CDAT");
    aml_local(aml, 1);
    if (smm)
        append_tell_firmware(aml);
    append_look(aml, "CINS", NOTIFY_DEVICE_CHECK);
    append_look(aml, "CRMV", NOTIFY_EJECT_REQUEST);
    aml_end(aml);
    acpi_code_release(aml, LOCK);
    aml_end(aml);
}

/* CEJE (uid), of a machine whose firmware may eject what the guest has let go. */
static void append_eject(Aml *aml)
{
    aml_method(aml, "CEJE", 1, true);
    acpi_code_acquire(aml, LOCK);
    acpi_code_store_arg(aml, 0, "CSEL");
    begin_if_firmware(aml, SMI_OF_THOSE_TO_EJECT);
    acpi_code_store_int(aml, 1, "CEJF");
    aml_path(aml, "CSMI");
    aml_end(aml);
    aml_else(aml);
    acpi_code_store_int(aml, 1, "CEJ0");
    aml_end(aml);
    acpi_code_release(aml, LOCK);
    aml_end(aml);
}

void acpi_cpuhp_append(Aml *aml, const AcpiMachine *machine)
{
    append_registers(aml, machine->smm);
    if (machine->smm)
        append_smi(aml);
    acpi_code_status(aml, &code, "CSTA");
    if (machine->smm)
        append_eject(aml);
    else
        acpi_code_eject(aml, &code, "CEJE");
    append_ost(aml);
    append_notify(aml, machine);
    append_scan(aml, machine->smm);
}

void acpi_cpuhp_append_cpu(Aml *aml, const AcpiMachine *machine, size_t index)
{
    const AcpiCpu *cpu = &machine->cpus[index];
    uint8_t entry[ACPI_MADT_CPU_MAX];
    size_t size = acpi_madt_cpu((uint32_t)index, cpu, entry);

    acpi_code_call(aml, "_STA", 0, "CSTA", index);

    aml_name(aml, "_MAT");
    aml_buffer(aml, entry, size);

    acpi_code_ej0(aml, "CEJE", index);

    acpi_code_ost(aml, "COST", index);

    /* The SRAT's entry is lost on a guest that finds no processor there as it starts. */
    if (machine->n_nodes)
        aml_name_int(aml, "_PXM", cpu->node);
}

void acpi_cpuhp_append_event(Aml *aml)
{
    acpi_code_event(aml, X86_GPE_CPU_HOTPLUG, "\\_SB.CPUS.CSCN");
}
