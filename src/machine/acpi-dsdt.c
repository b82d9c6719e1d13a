/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT: the devices that a guest cannot find by probing, and what the PCI host bridge
 * hands down.  Generated for one machine, so that it holds no code where a constant does.
 *
 *     \_SB.PCI0        host bridge: windows, _OSC
 *     \_SB.LNKx        interrupts of PCI at the PIC, and who asks for them (acpi-prt.c)
 *     \_SB.PCI0.Sxx    root ports whose slots ACPI hot-plugs (acpi-pcihp.c), network
 *                      devices with an index (acpi-index.c)
 *     \_SB.PCI0.ISA    LPC bridge at 1f.0: RTC, COMx, keyboard, mouse, pvpanic
 *     \_SB.CPUS.Cxxx   vCPUs, hexadecimal index; how they come and go (acpi-cpuhp.c)
 *     \_SB.MHPC.MPxx   slots for modules of memory (acpi-memhp.c)
 *     \_SB.HPET        HPET
 *     \_SB.MRES        what no driver may be given: ECAM, RCBA, PM block, SMI command
 *     \_SB.FWCF        fw_cfg
 *     \_SB.VGEN        generation ID, with its event in \_GPE
 *     \_S3 \_S4 \_S5   suspend to RAM and to disk, where they are allowed; power off
 *
 * The power button is the fixed one of the FADT.  ACPI 6.3; PCI Firmware 3.2, 4.5 (_OSC).
 */
#include "acpi-table.h"
#include "berth/aml.h"
#include "berth/device.h"
#include "berth/x86-layout.h"

#define VMGENID_ADDRESS_TAIL 5u         /* bytes: the low half, then a zero */
#define DSDT_REVISION 2                 /* integers of 64 bits */

#define OSC_UUID "33db4d5b-1ff7-401c-9657-7441c03dd766"
#define OSC_UNKNOWN_UUID 0x04
#define OSC_UNKNOWN_REVISION 0x08
#define OSC_MASKED 0x10
/* Native hot-plug, PME, AER, the capability structure; not SHPC. */
#define OSC_GRANTED 0x1du
#define OSC_NATIVE_HOTPLUG 0x01u

#define LPC_ADR 0x001f0000

#define NOTIFY_CHANGED 0x80
#define STA_HIDDEN 0x0b                 /* present, enabled, working; not for people */

static void append_or(Aml *aml, const char *target, uint64_t bits)
{
    aml_op(aml, AML_OR);
    aml_path(aml, target);
    aml_int(aml, bits);
    aml_path(aml, target);
}

/* _OSC (UUID, revision, count, capabilities): grants what we can do of what is asked. */
static void append_osc(Aml *aml, const AcpiMachine *machine)
{
    uint32_t granted = OSC_GRANTED & ~(machine->n_buses ? OSC_NATIVE_HOTPLUG : 0);

    aml_method(aml, "_OSC", 4, true);
    aml_op(aml, AML_CREATE_DWORD_FIELD);
    aml_arg(aml, 3);
    aml_int(aml, 0);
    aml_path(aml, "CDW1");

    aml_if(aml);
    aml_op(aml, AML_LEQUAL);
    aml_arg(aml, 0);
    aml_uuid(aml, OSC_UUID);
    aml_op(aml, AML_CREATE_DWORD_FIELD);
    aml_arg(aml, 3);
    aml_int(aml, 8);
    aml_path(aml, "CDW3");
    aml_op(aml, AML_AND);
    aml_path(aml, "CDW3");
    aml_int(aml, granted);
    aml_local(aml, 0);

    aml_if(aml);
    aml_op(aml, AML_LNOT);
    aml_op(aml, AML_LEQUAL);
    aml_arg(aml, 1);
    aml_int(aml, 1);
    append_or(aml, "CDW1", OSC_UNKNOWN_REVISION);
    aml_end(aml);

    aml_if(aml);
    aml_op(aml, AML_LNOT);
    aml_op(aml, AML_LEQUAL);
    aml_path(aml, "CDW3");
    aml_local(aml, 0);
    append_or(aml, "CDW1", OSC_MASKED);
    aml_end(aml);

    aml_op(aml, AML_STORE);
    aml_local(aml, 0);
    aml_path(aml, "CDW3");
    aml_end(aml);
    aml_else(aml);
    append_or(aml, "CDW1", OSC_UNKNOWN_UUID);
    aml_end(aml);

    aml_op(aml, AML_RETURN);
    aml_arg(aml, 3);
    aml_end(aml);
}

static void append_windows(Aml *aml, const AcpiMachine *machine)
{
    const AcpiWindow *low = &machine->pci32, *high = &machine->pci64;

    aml_name(aml, "_CRS");
    aml_resources(aml);
    aml_res_range16(aml, AML_RANGE_BUS, 0, machine->ecam.size / MIB - 1);
    aml_res_io(aml, X86_PORT_PCI_ADDRESS, 8);
    aml_res_range16(aml, AML_RANGE_IO, 0, X86_PORT_PCI_ADDRESS - 1);
    aml_res_range16(aml, AML_RANGE_IO, X86_PORT_PCI_DATA + 4, X86_PCI_IO_END - 1);
    if (low->size)
        aml_res_range32(aml, AML_RANGE_MEMORY, low->base, low->base + low->size - 1);
    if (high->size)
        aml_res_range64(aml, AML_RANGE_MEMORY, high->base, high->base + high->size - 1);
    aml_end(aml);
}

static void append_serial(Aml *aml, const AcpiSerial *serial)
{
    char name[5];

    g_snprintf(name, sizeof(name), "COM%u", (serial->index & 3) + 1u);
    aml_device(aml, name);
    aml_name_eisaid(aml, "_HID", "PNP0501");
    aml_name_int(aml, "_UID", serial->index + 1);
    aml_name(aml, "_CRS");
    aml_resources(aml);
    aml_res_io(aml, serial->iobase, 8);
    aml_res_irq(aml, serial->irq);
    aml_end(aml);
    aml_end(aml);
}

static void append_pvpanic(Aml *aml, uint16_t port)
{
    aml_device(aml, "PEVT");
    aml_name_string(aml, "_HID", "QEMU0001");
    aml_name(aml, "_CRS");
    aml_resources(aml);
    aml_res_io(aml, port, 1);
    aml_end(aml);
    aml_end(aml);
}

static void append_isa(Aml *aml, const AcpiMachine *machine)
{
    aml_device(aml, "ISA");
    aml_name_int(aml, "_ADR", LPC_ADR);
    acpi_prt_append_registers(aml);

    aml_device(aml, "RTC");
    aml_name_eisaid(aml, "_HID", "PNP0B00");
    aml_name(aml, "_CRS");
    aml_resources(aml);
    aml_res_io(aml, X86_PORT_RTC, 4);
    aml_res_irq(aml, X86_GSI_RTC);
    aml_end(aml);
    aml_end(aml);

    if (machine->i8042) {
        aml_device(aml, "KBD");
        aml_name_eisaid(aml, "_HID", "PNP0303");
        aml_name(aml, "_CRS");
        aml_resources(aml);
        aml_res_io(aml, X86_PORT_KBC_DATA, 1);
        aml_res_io(aml, X86_PORT_KBC_STATUS, 1);
        aml_res_irq(aml, X86_GSI_KEYBOARD);
        aml_end(aml);
        aml_end(aml);

        aml_device(aml, "MOU");
        aml_name_eisaid(aml, "_HID", "PNP0F13");
        aml_name(aml, "_CRS");
        aml_resources(aml);
        aml_res_irq(aml, X86_GSI_MOUSE);
        aml_end(aml);
        aml_end(aml);
    }
    for (size_t i = 0; i < machine->n_serials; i++)
        append_serial(aml, &machine->serials[i]);
    if (machine->pvpanic)
        append_pvpanic(aml, machine->pvpanic);
    aml_end(aml);
}

static void append_host_bridge(Aml *aml, const AcpiMachine *machine)
{
    aml_device(aml, "PCI0");
    aml_name_eisaid(aml, "_HID", "PNP0A08");
    aml_name_eisaid(aml, "_CID", "PNP0A03");
    aml_name_int(aml, "_SEG", 0);
    aml_name_int(aml, "_BBN", 0);
    aml_name_int(aml, "_UID", 0);
    append_windows(aml, machine);
    acpi_prt_append(aml);
    append_osc(aml, machine);
    append_isa(aml, machine);
    acpi_index_append(aml, machine);
    if (machine->n_buses)
        acpi_pcihp_append(aml, machine);
    aml_end(aml);
}

static void append_cpus(Aml *aml, const AcpiMachine *machine)
{
    aml_device(aml, "CPUS");
    aml_name_string(aml, "_HID", "ACPI0010");
    aml_name_eisaid(aml, "_CID", "PNP0A05");
    if (machine->cpu_hotplug)
        acpi_cpuhp_append(aml, machine);
    for (size_t i = 0; i < machine->n_cpus; i++) {
        char name[5];

        acpi_cpuhp_name(name, i);
        aml_device(aml, name);
        aml_name_string(aml, "_HID", "ACPI0007");
        aml_name_int(aml, "_UID", i);
        if (machine->cpu_hotplug && !machine->cpus[i].fixed)
            acpi_cpuhp_append_cpu(aml, machine, i);
        else if (!machine->cpus[i].present)
            aml_name_int(aml, "_STA", 0);
        aml_end(aml);
    }
    aml_end(aml);
}

static void append_hpet(Aml *aml)
{
    aml_device(aml, "HPET");
    aml_name_eisaid(aml, "_HID", "PNP0103");
    aml_name_int(aml, "_UID", 0);
    aml_name(aml, "_CRS");
    aml_resources(aml);
    aml_res_memory32(aml, X86_HPET_BASE, X86_HPET_SIZE);
    aml_end(aml);
    aml_end(aml);
}

static void append_reserved(Aml *aml, const AcpiMachine *machine)
{
    aml_device(aml, "MRES");
    aml_name_eisaid(aml, "_HID", "PNP0C02");
    aml_name(aml, "_CRS");
    aml_resources(aml);
    aml_res_memory32(aml, machine->ecam.base, machine->ecam.size);
    aml_res_memory32(aml, X86_RCBA_BASE, X86_RCBA_SIZE);
    aml_res_io(aml, X86_PM_BASE, X86_PM_SIZE);
    aml_res_io(aml, X86_PORT_SMI_CMD, 2);
    if (machine->n_buses)
        aml_res_io(aml, X86_PORT_PCIHP, X86_PORT_PCIHP_SIZE);
    if (machine->cpu_hotplug)
        aml_res_io(aml, X86_PORT_CPUHP, X86_PORT_CPUHP_SIZE);
    if (machine->n_memory_slots)
        aml_res_io(aml, X86_PORT_MEMHP, X86_PORT_MEMHP_SIZE);
    aml_end(aml);
    aml_end(aml);
}

static void append_fw_cfg(Aml *aml)
{
    aml_device(aml, "FWCF");
    aml_name_string(aml, "_HID", "QEMU0002");
    aml_name_int(aml, "_STA", STA_HIDDEN);
    aml_name(aml, "_CRS");
    aml_resources(aml);
    aml_res_io(aml, X86_PORT_FW_CFG, X86_PORT_FW_CFG_SIZE);
    aml_end(aml);
    aml_end(aml);
}

/* Microsoft, "Virtual Machine Generation ID".  The address, below 4 GiB, comes last. */
static void append_vmgenid(Aml *aml, uint64_t gpa)
{
    aml_device(aml, "VGEN");
    aml_name_string(aml, "_HID", "BRTH0001");
    aml_name_string(aml, "_CID", "VM_Gen_Counter");
    aml_name_string(aml, "_DDN", "VM_Gen_Counter");
    aml_name(aml, "ADDR");
    aml_package(aml, 2);
    aml_dword(aml, gpa & UINT32_MAX);
    aml_int(aml, 0);
    aml_end(aml);
    aml_end(aml);
}

static void append_vmgenid_event(Aml *aml)
{
    acpi_code_begin_event(aml, X86_GPE_VMGENID);
    aml_op(aml, AML_NOTIFY);
    aml_path(aml, "\\_SB.VGEN");
    aml_int(aml, NOTIFY_CHANGED);
    acpi_code_end_event(aml);
}

/* What is written to the SLP_TYP of PM1a and PM1b. */
static void append_sleep_state(Aml *aml, const char *name, unsigned type)
{
    aml_name(aml, name);
    aml_package(aml, 4);
    aml_int(aml, type);
    aml_int(aml, type);
    aml_int(aml, 0);
    aml_int(aml, 0);
    aml_end(aml);
}

static void append_sleep_states(Aml *aml, const AcpiMachine *machine)
{
    if (machine->s3)
        append_sleep_state(aml, "\\_S3", X86_SLP_TYP_S3);
    if (machine->s4)
        append_sleep_state(aml, "\\_S4", X86_SLP_TYP_S4);
    append_sleep_state(aml, "\\_S5", X86_SLP_TYP_S5);
}

uint32_t acpi_dsdt_append(AcpiTables *tables, const AcpiMachine *machine)
{
    uint32_t start = acpi_table_begin(tables, "DSDT", 8);
    AcpiHeader header = acpi_header("DSDT", DSDT_REVISION);
    Aml aml;

    g_assert(machine->n_cpus <= 4096);
    acpi_table_append(tables, &header, sizeof(header));
    aml_init(&aml, tables->blob);
    acpi_prt_append_pic(&aml);
    aml_scope(&aml, "\\_SB");
    append_host_bridge(&aml, machine);
    acpi_prt_append_links(&aml);
    append_cpus(&aml, machine);
    if (machine->n_memory_slots)
        acpi_memhp_append(&aml, machine);
    if (machine->hpet)
        append_hpet(&aml);
    append_reserved(&aml, machine);
    if (machine->fw_cfg)
        append_fw_cfg(&aml);
    if (machine->vmgenid)
        append_vmgenid(&aml, machine->vmgenid);
    aml_end(&aml);
    tables->vmgenid =
        machine->vmgenid ? tables->blob->len - VMGENID_ADDRESS_TAIL : 0;
    if (machine->vmgenid)
        append_vmgenid_event(&aml);
    if (machine->n_buses)
        acpi_pcihp_append_event(&aml);
    if (machine->cpu_hotplug)
        acpi_cpuhp_append_event(&aml);
    if (machine->n_memory_slots)
        acpi_memhp_append_event(&aml);
    append_sleep_states(&aml, machine);
    aml_done(&aml);
    acpi_table_end(tables);
    return start;
}
