/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the DSDT that says where interrupt pins of PCI end.
 *
 *     \_PIC               which interrupt controller the guest uses
 *     \_SB.PCI0._PRT      for the IOAPIC its pins, for the PIC the links
 *     \_SB.PCI0.ISA.PRQx  the routing registers of the LPC bridge (hw/x86/pirq.c)
 *     \_SB.LNKx           a link: the input of the PIC that a register leads to
 *     \_SB.IQST .IQCR     _STA and _CRS of a link by the value of its register
 *
 * A guest that does not say is one with a PIC.  Inputs that it may choose are those that
 * no device of ISA is at; what firmware has chosen stays unless the guest does.  ACPI
 * 6.3, 5.8.1 (_PIC), 6.2.13 (_PRT), 6.2.2 (_DIS), 6.2.16 (_SRS).
 */
#include "acpi-table.h"
#include "berth/board.h"
#include "berth/x86-layout.h"

#define PCI_SLOTS 32u
#define PCI_PINS 4u
#define PIRQ_A 0x60u                    /* to D; E to H four registers later */
#define PIRQ_SPAN 0x0cu
#define PIRQ_DISABLED 0x80u
#define PIC_INPUT 0x0fu
#define STA_DISABLED 0x09               /* present, working */
#define STA_ENABLED 0x0b
#define INTERRUPT_AT 5                  /* in a descriptor of one interrupt */

static void register_path(char path[static 20], unsigned n)
{
    g_snprintf(path, 20, "\\_SB.PCI0.ISA.PRQ%c", 'A' + (int)n);
}

static void link_name(char name[static 5], unsigned n)
{
    g_snprintf(name, 5, "LNK%c", 'A' + (int)n);
}

void acpi_prt_append_registers(Aml *aml)
{
    aml_region(aml, "PIRQ", AML_PCI_CONFIG, PIRQ_A, PIRQ_SPAN);
    aml_field(aml, "PIRQ", AML_ACCESS_BYTE, AML_PRESERVE);
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++) {
        char name[] = { 'P', 'R', 'Q', (char)('A' + i), 0 };

        if (i == BOARD_PCI_IRQS / 2)
            aml_field_skip(aml, 32);
        aml_field_bits(aml, name, 8);
    }
    aml_end(aml);
}

/* A name for each pin of each slot of bus 0: its link, or its pin of the IOAPIC. */
static void append_routes(Aml *aml, const char *name, bool links)
{
    aml_name(aml, name);
    aml_package(aml, PCI_SLOTS * PCI_PINS);
    for (unsigned i = 0; i < PCI_SLOTS * PCI_PINS; i++) {
        unsigned slot = i / PCI_PINS, pin = i % PCI_PINS;
        char link[5];

        link_name(link, BOARD_PCI_IRQ(slot, pin));
        aml_package(aml, 4);
        aml_int(aml, slot << 16 | 0xffff);
        aml_int(aml, pin);
        if (links)
            aml_path(aml, link);
        else
            aml_int(aml, 0);
        aml_int(aml, links ? 0 : X86_PCI_GSI(slot, pin));
        aml_end(aml);
    }
    aml_end(aml);
}

void acpi_prt_append(Aml *aml)
{
    append_routes(aml, "PRTP", true);
    append_routes(aml, "PRTA", false);
    aml_method(aml, "_PRT", 0, false);
    aml_if(aml);
    aml_path(aml, "\\PICF");
    aml_op(aml, AML_RETURN);
    aml_path(aml, "PRTA");
    aml_end(aml);
    aml_op(aml, AML_RETURN);
    aml_path(aml, "PRTP");
    aml_end(aml);
}

static void begin_if_disabled(Aml *aml)
{
    aml_if(aml);
    aml_op(aml, AML_AND);
    aml_arg(aml, 0);
    aml_int(aml, PIRQ_DISABLED);
    aml_path(aml, "");
}

/* IQST (register) */
static void append_status(Aml *aml)
{
    aml_method(aml, "IQST", 1, false);
    begin_if_disabled(aml);
    aml_op(aml, AML_RETURN);
    aml_int(aml, STA_DISABLED);
    aml_end(aml);
    aml_op(aml, AML_RETURN);
    aml_int(aml, STA_ENABLED);
    aml_end(aml);
}

/* IQCR (register): no interrupt, 0, while it is disabled. */
static void append_current(Aml *aml)
{
    static const uint32_t none[] = { 0 };

    aml_method(aml, "IQCR", 1, true);
    aml_name(aml, "PRR0");
    aml_resources(aml);
    aml_res_interrupts(aml, none, 1);
    aml_end(aml);
    aml_op(aml, AML_CREATE_DWORD_FIELD);
    aml_path(aml, "PRR0");
    aml_int(aml, INTERRUPT_AT);
    aml_path(aml, "PRRI");
    begin_if_disabled(aml);
    aml_op(aml, AML_RETURN);
    aml_path(aml, "PRR0");
    aml_end(aml);
    aml_op(aml, AML_AND);
    aml_arg(aml, 0);
    aml_int(aml, PIC_INPUT);
    aml_path(aml, "PRRI");
    aml_op(aml, AML_RETURN);
    aml_path(aml, "PRR0");
    aml_end(aml);
}

/* @name () returns what @method says of the register. */
static void append_call(Aml *aml, const char *name, const char *method, const char *reg)
{
    aml_method(aml, name, 0, false);
    aml_op(aml, AML_RETURN);
    aml_path(aml, method);
    aml_path(aml, reg);
    aml_end(aml);
}

static void append_link(Aml *aml, unsigned n)
{
    static const uint32_t inputs[] = { 5, 10, 11 };
    char name[5], reg[20];

    link_name(name, n);
    register_path(reg, n);
    aml_device(aml, name);
    aml_name_eisaid(aml, "_HID", "PNP0C0F");
    aml_name_int(aml, "_UID", n);
    aml_name(aml, "_PRS");
    aml_resources(aml);
    aml_res_interrupts(aml, inputs, G_N_ELEMENTS(inputs));
    aml_end(aml);
    append_call(aml, "_STA", "IQST", reg);
    append_call(aml, "_CRS", "IQCR", reg);
    aml_method(aml, "_DIS", 0, false);
    aml_op(aml, AML_OR);
    aml_path(aml, reg);
    aml_int(aml, PIRQ_DISABLED);
    aml_path(aml, reg);
    aml_end(aml);
    aml_method(aml, "_SRS", 1, true);
    aml_op(aml, AML_CREATE_DWORD_FIELD);
    aml_arg(aml, 0);
    aml_int(aml, INTERRUPT_AT);
    aml_path(aml, "PRRI");
    aml_op(aml, AML_STORE);
    aml_path(aml, "PRRI");
    aml_path(aml, reg);
    aml_end(aml);
    aml_end(aml);
}

void acpi_prt_append_links(Aml *aml)
{
    append_status(aml);
    append_current(aml);
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        append_link(aml, i);
}

void acpi_prt_append_pic(Aml *aml)
{
    aml_name_int(aml, "\\PICF", 0);
    aml_method(aml, "\\_PIC", 1, false);
    acpi_code_store_arg(aml, 0, "\\PICF");
    aml_end(aml);
}
