/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FADT, which tells of the registers of hw/x86/pm.c, and the FACS that it points to.
 *
 * The revision is that of ACPI 6.3: from it on a guest understands the online-capable
 * flag of a vCPU in the MADT.
 */
#include <string.h>

#include "acpi-table.h"
#include "berth/error.h"
#include "berth/x86-layout.h"

#define FADT_REVISION 6
#define FADT_MINOR 3
#define FACS_VERSION 2

#define FADT_PM_ENTERPRISE_SERVER 4
#define FADT_BOOT_LEGACY 0x0001         /* devices on an ISA bus */
#define FADT_BOOT_8042 0x0002
#define FADT_BOOT_NO_VGA 0x0004
#define FADT_WBINVD 0x00000001
#define FADT_PROC_C1 0x00000004
#define FADT_NO_SLEEP_BUTTON 0x00000020
#define FADT_RESET_REGISTER 0x00000400
#define FADT_PLATFORM_CLOCK 0x00008000  /* the PM timer may be used */
#define FADT_CLUSTER_MODEL 0x00040000   /* no flat logical destinations of APICs */
#define FLAT_CPUS_MAX 8
#define FADT_NO_C2 0x0fff               /* latencies above these limits: no such state */
#define FADT_NO_C3 0x0fff

typedef struct __attribute__((packed)) AcpiGas {
    uint8_t space;
    uint8_t bit_width;
    uint8_t bit_offset;
    uint8_t access;
    uint64_t address;
} AcpiGas;

/* ACPI 6.3, 5.2.10. */
typedef struct __attribute__((packed)) Facs {
    char signature[4];
    uint32_t length;
    uint32_t hardware_signature;
    uint32_t waking_vector;
    uint32_t global_lock;
    uint32_t flags;
    uint64_t x_waking_vector;
    uint8_t version;
    uint8_t reserved[31];
} Facs;

G_STATIC_ASSERT(sizeof(Facs) == 64);

/* ACPI 6.3, 5.2.9. */
typedef struct __attribute__((packed)) Fadt {
    AcpiHeader header;
    uint32_t facs;
    uint32_t dsdt;
    uint8_t reserved0;
    uint8_t preferred_profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t acpi_enable;
    uint8_t acpi_disable;
    uint8_t s4bios_req;
    uint8_t pstate_cnt;
    uint32_t pm1a_evt;
    uint32_t pm1b_evt;
    uint32_t pm1a_cnt;
    uint32_t pm1b_cnt;
    uint32_t pm2_cnt;
    uint32_t pm_tmr;
    uint32_t gpe0;
    uint32_t gpe1;
    uint8_t pm1_evt_len;
    uint8_t pm1_cnt_len;
    uint8_t pm2_cnt_len;
    uint8_t pm_tmr_len;
    uint8_t gpe0_len;
    uint8_t gpe1_len;
    uint8_t gpe1_base;
    uint8_t cst_cnt;
    uint16_t c2_latency;
    uint16_t c3_latency;
    uint16_t flush_size;
    uint16_t flush_stride;
    uint8_t duty_offset;
    uint8_t duty_width;
    uint8_t day_alarm;
    uint8_t month_alarm;
    uint8_t century;
    uint16_t boot_arch;
    uint8_t reserved1;
    uint32_t flags;
    AcpiGas reset_register;
    uint8_t reset_value;
    uint16_t arm_boot_arch;
    uint8_t minor;
    uint64_t x_facs;
    uint64_t x_dsdt;
    AcpiGas x_pm1a_evt;
    AcpiGas x_pm1b_evt;
    AcpiGas x_pm1a_cnt;
    AcpiGas x_pm1b_cnt;
    AcpiGas x_pm2_cnt;
    AcpiGas x_pm_tmr;
    AcpiGas x_gpe0;
    AcpiGas x_gpe1;
    AcpiGas sleep_control;
    AcpiGas sleep_status;
    char hypervisor[8];
} Fadt;

G_STATIC_ASSERT(sizeof(Fadt) == 276);

uint32_t acpi_fadt_append_facs(AcpiTables *tables)
{
    uint32_t start = acpi_table_begin(tables, "FACS", 64);
    Facs facs = {
        .signature = { 'F', 'A', 'C', 'S' },
        .version = FACS_VERSION,
    };

    acpi_table_append(tables, &facs, sizeof(facs));
    acpi_table_end(tables);
    return start;
}

bool acpi_fadt_waking(const AcpiTables *tables, const void *blob,
                        AcpiWaking *ret_waking, GError **error)
{
    Facs facs;

    memcpy(&facs, (const char *)blob + tables->facs, sizeof(facs));
    if (facs.x_waking_vector != 0 && facs.x_waking_vector < 4 * GIB) {
        *ret_waking = (AcpiWaking) { (uint32_t)facs.x_waking_vector, true };
        return true;
    }
    if (facs.waking_vector == 0 || facs.waking_vector >= X86_EXT_RAM_BASE) {
        error_set(error, "the guest has left no waking vector below 1 MiB");
        return false;
    }
    *ret_waking = (AcpiWaking) { facs.waking_vector, false };
    return true;
}

static AcpiGas io_register(uint16_t port, uint8_t n_bytes, uint8_t access)
{
    return (AcpiGas){
        .space = 1, .bit_width = n_bytes * 8, .access = access, .address = port
    };
}

static void fadt_set_registers(Fadt *fadt)
{
    fadt->pm1a_evt = X86_PM_BASE + X86_PM1_EVT;
    fadt->pm1a_cnt = X86_PM_BASE + X86_PM1_CNT;
    fadt->pm_tmr = X86_PM_BASE + X86_PM_TMR;
    fadt->gpe0 = X86_PM_BASE + X86_PM_GPE0;
    fadt->pm1_evt_len = X86_PM1_EVT_SIZE;
    fadt->pm1_cnt_len = X86_PM1_CNT_SIZE;
    fadt->pm_tmr_len = X86_PM_TMR_SIZE;
    fadt->gpe0_len = X86_PM_GPE0_SIZE;
    fadt->x_pm1a_evt = io_register(fadt->pm1a_evt, fadt->pm1_evt_len, 2);
    fadt->x_pm1a_cnt = io_register(fadt->pm1a_cnt, fadt->pm1_cnt_len, 2);
    fadt->x_pm_tmr = io_register(fadt->pm_tmr, fadt->pm_tmr_len, 3);
    fadt->x_gpe0 = io_register(fadt->gpe0, fadt->gpe0_len, 1);
    fadt->reset_register = io_register(X86_PORT_RESET, 1, 1);
    fadt->reset_value = X86_RESET_VALUE;
}

uint32_t acpi_fadt_append(AcpiTables *tables, const AcpiMachine *machine, uint32_t dsdt)
{
    uint32_t start = acpi_table_begin(tables, "FACP", 8);
    Fadt fadt = {
        .header = acpi_header("FACP", FADT_REVISION),
        .minor = FADT_MINOR,
        .preferred_profile = FADT_PM_ENTERPRISE_SERVER,
        .sci_int = X86_GSI_SCI,
        .smi_cmd = X86_PORT_SMI_CMD,
        .acpi_enable = X86_ACPI_ENABLE,
        .acpi_disable = X86_ACPI_DISABLE,
        .c2_latency = FADT_NO_C2,
        .c3_latency = FADT_NO_C3,
        .century = X86_CMOS_CENTURY,
        .boot_arch = FADT_BOOT_LEGACY | FADT_BOOT_NO_VGA |
                     (machine->i8042 ? FADT_BOOT_8042 : 0),
        .flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON |
                 FADT_RESET_REGISTER | FADT_PLATFORM_CLOCK |
                 (machine->n_cpus > FLAT_CPUS_MAX ? FADT_CLUSTER_MODEL : 0),
        .hypervisor = { 'b', 'e', 'r', 't', 'h' },
    };

    fadt_set_registers(&fadt);
    acpi_table_append(tables, &fadt, sizeof(fadt));
    acpi_table_end(tables);
    acpi_link(tables, start + offsetof(Fadt, facs), sizeof(fadt.facs), tables->facs);
    acpi_link(tables, start + offsetof(Fadt, dsdt), sizeof(fadt.dsdt), dsdt);
    acpi_link(tables, start + offsetof(Fadt, x_dsdt), sizeof(fadt.x_dsdt), dsdt);
    return start;
}
