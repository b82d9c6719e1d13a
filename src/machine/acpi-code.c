/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of AML that methods around registers have in common. */
#include "acpi-table.h"

#define FOR_EVER 0xffff
#define STA_WORKING 0x0f                /* present, enabled, shown, working */

void acpi_code_mutex(Aml *aml, const char *mutex)
{
    aml_op(aml, AML_MUTEX);
    aml_path(aml, mutex);
    aml_byte(aml, 0);
}

void acpi_code_acquire(Aml *aml, const char *mutex)
{
    aml_op(aml, AML_ACQUIRE);
    aml_path(aml, mutex);
    aml_word(aml, FOR_EVER);
}

void acpi_code_release(Aml *aml, const char *mutex)
{
    aml_op(aml, AML_RELEASE);
    aml_path(aml, mutex);
}

void acpi_code_store_int(Aml *aml, uint64_t value, const char *target)
{
    aml_op(aml, AML_STORE);
    aml_int(aml, value);
    aml_path(aml, target);
}

void acpi_code_store_arg(Aml *aml, unsigned arg, const char *target)
{
    aml_op(aml, AML_STORE);
    aml_arg(aml, arg);
    aml_path(aml, target);
}

void acpi_code_store_local(Aml *aml, unsigned local, const char *target)
{
    aml_op(aml, AML_STORE);
    aml_local(aml, local);
    aml_path(aml, target);
}

void acpi_code_set_local(Aml *aml, unsigned local, uint64_t value)
{
    aml_op(aml, AML_STORE);
    aml_int(aml, value);
    aml_local(aml, local);
}

void acpi_code_call(Aml *aml, const char *name, unsigned n_args, const char *method,
                    size_t index)
{
    aml_method(aml, name, n_args, true);
    aml_op(aml, AML_RETURN);
    aml_path(aml, method);
    aml_int(aml, index);
    aml_end(aml);
}

void acpi_code_status(Aml *aml, const AcpiSlotCode *code, const char *method)
{
    aml_method(aml, method, 1, true);
    acpi_code_acquire(aml, code->lock);
    acpi_code_store_arg(aml, 0, code->selector);
    acpi_code_set_local(aml, 0, 0);
    aml_if(aml);
    aml_path(aml, code->is_there);
    acpi_code_set_local(aml, 0, STA_WORKING);
    aml_end(aml);
    acpi_code_release(aml, code->lock);
    aml_op(aml, AML_RETURN);
    aml_local(aml, 0);
    aml_end(aml);
}

void acpi_code_eject(Aml *aml, const AcpiSlotCode *code, const char *method)
{
    aml_method(aml, method, 1, true);
    acpi_code_acquire(aml, code->lock);
    acpi_code_store_arg(aml, 0, code->selector);
    acpi_code_store_int(aml, 1, code->eject);
    acpi_code_release(aml, code->lock);
    aml_end(aml);
}

void acpi_code_ej0(Aml *aml, const char *method, size_t index)
{
    aml_method(aml, "_EJ0", 1, false);
    aml_path(aml, method);
    aml_int(aml, index);
    aml_end(aml);
}

void acpi_code_notify(Aml *aml, size_t index, const char *name)
{
    aml_if(aml);
    aml_op(aml, AML_LEQUAL);
    aml_arg(aml, 0);
    aml_int(aml, index);
    aml_op(aml, AML_NOTIFY);
    aml_path(aml, name);
    aml_arg(aml, 1);
    aml_end(aml);
}

void acpi_code_ost(Aml *aml, const char *method, size_t index)
{
    aml_method(aml, "_OST", 3, true);
    aml_path(aml, method);
    aml_int(aml, index);
    for (unsigned i = 0; i < 2; i++)
        aml_arg(aml, i);
    aml_end(aml);
}

void acpi_code_begin_event(Aml *aml, unsigned gpe)
{
    char name[5];

    g_snprintf(name, sizeof(name), "_E%02X", gpe & 0xff);
    aml_scope(aml, "\\_GPE");
    aml_method(aml, name, 0, false);
}

void acpi_code_end_event(Aml *aml)
{
    aml_end(aml);
    aml_end(aml);
}

void acpi_code_event(Aml *aml, unsigned gpe, const char *method)
{
    acpi_code_begin_event(aml, gpe);
    aml_path(aml, method);
    acpi_code_end_event(aml);
}
