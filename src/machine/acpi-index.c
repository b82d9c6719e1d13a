/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the DSDT by which a network device has the number that its name follows
 * from: _DSM of PCI functions, function 7.
 *
 *     \_SB.PCI0.PDSM      what _DSM returns, of an index or 0 for none
 *     \_SB.PCI0.Sxx       a function with an index; slots that are hot-plugged have
 *                         theirs in acpi-pcihp.c
 *
 * PCI Firmware 3.2, 4.6.7.
 */
#include "acpi-table.h"

#define DSM_UUID "e5c937d0-3553-4d7a-9117-ea4d19c3434d"
#define DSM_REVISION 2
#define DSM_FUNCTIONS 0
#define DSM_DEVICE_NAME 7

static void append_return_buffer(Aml *aml, uint8_t byte)
{
    aml_op(aml, AML_RETURN);
    aml_buffer(aml, &byte, 1);
}

static void append_if_equal(Aml *aml, unsigned arg, uint64_t value)
{
    aml_if(aml);
    aml_op(aml, AML_LEQUAL);
    aml_arg(aml, arg);
    aml_int(aml, value);
}

/* Nothing is known of: other interfaces, functions without an index. */
static void append_refusals(Aml *aml)
{
    aml_if(aml);
    aml_op(aml, AML_LNOT);
    aml_op(aml, AML_LEQUAL);
    aml_arg(aml, 0);
    aml_uuid(aml, DSM_UUID);
    append_return_buffer(aml, 0);
    aml_end(aml);

    aml_if(aml);
    aml_op(aml, AML_LLESS);
    aml_arg(aml, 1);
    aml_int(aml, DSM_REVISION);
    append_return_buffer(aml, 0);
    aml_end(aml);

    append_if_equal(aml, 3, 0);
    append_return_buffer(aml, 0);
    aml_end(aml);
}

/* PDSM (UUID, revision, function, index) */
static void append_method(Aml *aml)
{
    aml_method(aml, "PDSM", 4, true);
    append_refusals(aml);

    append_if_equal(aml, 2, DSM_FUNCTIONS);
    append_return_buffer(aml, 1u << DSM_FUNCTIONS | 1u << DSM_DEVICE_NAME);
    aml_end(aml);

    append_if_equal(aml, 2, DSM_DEVICE_NAME);
    aml_op(aml, AML_STORE);
    aml_package(aml, 2);
    aml_int(aml, 0);
    aml_string(aml, "");
    aml_end(aml);
    aml_local(aml, 0);
    aml_op(aml, AML_STORE);
    aml_arg(aml, 3);
    aml_op(aml, AML_INDEX);
    aml_local(aml, 0);
    aml_int(aml, 0);
    aml_path(aml, "");
    aml_op(aml, AML_RETURN);
    aml_local(aml, 0);
    aml_end(aml);
    append_return_buffer(aml, 0);
    aml_end(aml);
}

void acpi_index_begin_dsm(Aml *aml)
{
    aml_method(aml, "_DSM", 4, true);
    aml_op(aml, AML_RETURN);
    aml_path(aml, "PDSM");
    for (unsigned i = 0; i < 3; i++)
        aml_arg(aml, i);
}

void acpi_index_end_dsm(Aml *aml)
{
    aml_end(aml);
}

static void append_function(Aml *aml, const AcpiFunction *function)
{
    acpi_pcihp_begin_function(aml, function->devfn);
    acpi_index_begin_dsm(aml);
    aml_int(aml, function->index);
    acpi_index_end_dsm(aml);
    aml_end(aml);
}

void acpi_index_append(Aml *aml, const AcpiMachine *machine)
{
    if (machine->n_functions || machine->n_buses)
        append_method(aml);
    for (size_t i = 0; i < machine->n_functions; i++)
        append_function(aml, &machine->functions[i]);
}
