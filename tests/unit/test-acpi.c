/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables against golden files (tests/data/acpi), their own rules, and iasl.
 *
 * After an intended change, from the top of the tree:
 *
 *     BERTH_UPDATE_GOLDEN=1 build/tests/unit/test-acpi && git diff tests/data/acpi
 *
 * writes the .aml files and, by iasl, the .dsl files that show people what changed.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/acpi.h"
#include "berth/x86-layout.h"

#include "golden.h"

#define GOLDEN "tests/data/acpi"
#define TABLES_GPA (X86_BIOS_AREA_BASE + 0x40u)
#define HEADER_SIZE 36

/* Two of four vCPUs, one serial port: what a server mostly is. */
static const AcpiCpu plain_cpus[] = {
    { 0, true, 0, true }, { 1, true, 0, true }, { 2, false, 0, false },
    { 3, false, 0, false },
};
static const AcpiSerial plain_serials[] = {
    { 0, X86_GSI_COM1, X86_PORT_COM1 },
};
static const AcpiMachine plain = {
    .cpus = plain_cpus,
    .n_cpus = G_N_ELEMENTS(plain_cpus),
    .ecam = { X86_ECAM_BASE, X86_ECAM_SIZE },
    .pci32 = { X86_PCI32_BASE, X86_PCI32_END - X86_PCI32_BASE },
    .pci64 = { X86_HIGH_RAM_BASE + X86_PCI64_ALIGN, X86_PCI64_SIZE },
    .serials = plain_serials,
    .n_serials = G_N_ELEMENTS(plain_serials),
    .pit = true,
    .fw_cfg = true,
    .vmgenid = X86_VMGENID_PAGE + 40,
    .pvpanic = 0x505,
    .s3 = true,
    .s4 = true,
};

/* The other way in everything that is a choice. */
static const AcpiCpu other_cpus[] = {
    { 0, true, 0, true }, { 254, true, 1, false }, { 255, true, 1, false },
    { 4096, false, 300, false },
};
static const AcpiMemory other_memory[] = {
    { 0, 0x80000000, 0, false }, { 0x100000000, 0x40000000, 0, false },
    { 0x140000000, 0x1000, 300, true },
};
static const uint8_t other_distances[] = { 10, 21, 22, 10 };
static const AcpiSerial other_serials[] = {
    { 1, X86_GSI_COM2, X86_PORT_COM2 }, { 3, X86_GSI_COM2, X86_PORT_COM4 },
};
static const AcpiFunction other_functions[] = { { 0x18, 7 }, { 0xf9, 16383 } };
/* Ports, a bridge in a port that is fixed, and what is in slot 1 of that. */
static const PciSlotsBus other_buses[] = {
    { -1, 0x10, 1 }, { -1, 0x11, 0 }, { -1, 0xf3, 1 }, { 1, 0x00, 32 }, { 3, 0x08, 0 },
};
static const AcpiMachine other = {
    .cpus = other_cpus,
    .n_cpus = G_N_ELEMENTS(other_cpus),
    .cpu_hotplug = true,
    .smm = true,
    .n_memory_slots = 2,
    .functions = other_functions,
    .n_functions = G_N_ELEMENTS(other_functions),
    .ecam = { 0xe0000000, 0x4000000 },
    .pci32 = { 0x80000000, 0x60000000 },
    .serials = other_serials,
    .n_serials = G_N_ELEMENTS(other_serials),
    .hpet = 0x8086a201,
    .i8042 = true,
    .buses = other_buses,
    .n_buses = G_N_ELEMENTS(other_buses),
    .n_nodes = 2,
    .memory = other_memory,
    .n_memory = G_N_ELEMENTS(other_memory),
    .distances = other_distances,
};

static const struct {
    const char *name;
    const AcpiMachine *machine;
} machines[] = { { "plain", &plain }, { "other", &other } };

static void run_iasl(const char *folder, const char *option, const char *file)
{
    const char *argv[] = { "iasl", "-vs", option, file, NULL };
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(folder, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err,
                 &status, &error);

    g_assert_no_error(error);
    if (status != 0 || strstr(out, "Error ") || strstr(err, "Error ") ||
        strstr(out, "Warning ") || strstr(err, "Warning ")) {
        g_test_message("iasl %s %s: %s%s", option, file, out, err);
        g_test_fail();
    }
}

/*
 * The disassembly without the comment at its top, which has date and path, but with the
 * line of that which tells iasl's version.
 */
static char *read_dsl(const char *path)
{
    g_autofree char *text = NULL;
    const char *version, *body;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    version = strstr(text, "version ");
    body = strstr(text, "*/\n");
    g_assert_nonnull(version);
    g_assert_nonnull(body);
    return g_strdup_printf("// iasl %.*s\n%s", (int)strcspn(version, "\n"), version,
                           body + 3);
}

/*
 * Bytes -> source -> bytes gives the same bytes, and no complaint on the way.  Of tables
 * without byte code iasl keeps the fields that its version knows.
 */
static void check_round_trip(const char *machine, const char *table, const uint8_t *data,
                             size_t size)
{
    g_autofree char *folder = g_dir_make_tmp("berth-acpi-XXXXXX", NULL);
    g_autofree char *aml = g_strdup_printf("%s/%s.aml", folder, table);
    g_autofree char *dsl = g_strdup_printf("%s/%s.dsl", folder, table);
    g_autofree char *golden = g_strdup_printf(GOLDEN "/%s/%s.dsl", machine, table);
    g_autofree char *again = NULL, *text = NULL;
    gsize again_size;

    g_assert_true(g_file_set_contents(aml, (const char *)data, size, NULL));
    run_iasl(folder, "-d", aml);
    text = read_dsl(dsl);
    golden_check_versioned(golden, text);
    g_unlink(aml);
    run_iasl(folder, "-on", dsl);   /* names stay as they are */
    g_assert_true(g_file_get_contents(aml, &again, &again_size, NULL));

    g_assert_cmpuint(again_size, ==, size);
    if (strcmp(table, "DSDT") == 0)
        g_assert_cmpmem(again + HEADER_SIZE, again_size - HEADER_SIZE, data + HEADER_SIZE,
                        size - HEADER_SIZE);
    g_unlink(aml);
    g_unlink(dsl);
    g_rmdir(folder);
}

static void test_tables_are_the_golden_ones(gconstpointer data)
{
    unsigned n = GPOINTER_TO_UINT(data);
    g_autoptr(AcpiTables) tables = acpi_tables_new(machines[n].machine);
    g_autofree uint8_t *blob = g_malloc(acpi_tables_size(tables));
    g_autofree char *folder = g_strdup_printf(GOLDEN "/%s", machines[n].name);
    g_autofree char *rsdp_path = g_strdup_printf("%s/RSDP.aml", folder);
    uint8_t rsdp[ACPI_RSDP_SIZE];
    const AcpiTable *list;
    size_t count;

    g_mkdir_with_parents(folder, 0777);
    acpi_tables_write(tables, TABLES_GPA, blob);
    acpi_rsdp_write(tables, TABLES_GPA, rsdp);
    list = acpi_tables_list(tables, &count);

    golden_check(rsdp_path, rsdp, sizeof(rsdp));
    g_assert_cmpuint(count, ==, machines[n].machine == &other ? 10 : 7);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s.aml", folder, list[i].signature);

        golden_check(path, blob + list[i].offset, list[i].size);
    }
}

/* What a guest wrote to its FACS (ACPI 6.3, 5.2.10), and where that wakes it. */
static const struct {
    uint32_t vector;
    uint64_t x_vector;
    uint32_t wakes_at;          /* 0: nowhere */
    bool flat;
} wakings[] = {
    { 0, 0, 0, false },
    { 0x98000, 0, 0x98000, false },
    { 0xfffff, 0, 0xfffff, false },
    { 0x100000, 0, 0, false },
    { 0xffffffff, 0, 0, false },
    { 0x98000, 0x1234567, 0x1234567, true },
    { 0, 0xffffffff, 0xffffffff, true },
    { 0x98000, 0x100000000, 0x98000, false },
    { 0, UINT64_MAX, 0, false },
};

static void test_waking_vector(void)
{
    g_autoptr(AcpiTables) tables = acpi_tables_new(&plain);
    g_autofree uint8_t *blob = g_malloc(acpi_tables_size(tables));
    const AcpiTable *facs;
    size_t count;

    acpi_tables_write(tables, TABLES_GPA, blob);
    facs = acpi_tables_list(tables, &count);
    g_assert_cmpstr(facs->signature, ==, "FACS");
    for (size_t i = 0; i < G_N_ELEMENTS(wakings); i++) {
        AcpiWaking waking = { 0 };

        memcpy(blob + facs->offset + 12, &wakings[i].vector, 4);
        memcpy(blob + facs->offset + 24, &wakings[i].x_vector, 8);

        g_assert_cmpint(acpi_fadt_waking(tables, blob, &waking, NULL), ==,
                        wakings[i].wakes_at != 0);
        g_assert_cmphex(waking.vector, ==, wakings[i].wakes_at);
        g_assert_cmpint(waking.flat, ==, wakings[i].flat);
    }
}

static void test_iasl_finds_no_fault(gconstpointer data)
{
    unsigned n = GPOINTER_TO_UINT(data);
    g_autoptr(AcpiTables) tables = acpi_tables_new(machines[n].machine);
    g_autofree uint8_t *blob = g_malloc(acpi_tables_size(tables));
    g_autofree char *iasl = g_find_program_in_path("iasl");
    const AcpiTable *list;
    size_t count;

    if (!iasl) {
        g_test_skip("iasl is not installed");
        return;
    }
    acpi_tables_write(tables, TABLES_GPA, blob);
    list = acpi_tables_list(tables, &count);

    for (size_t i = 0; i < count; i++)
        check_round_trip(machines[n].name, list[i].signature, blob + list[i].offset,
                         list[i].size);
}

/* Runs commands of acpiexec on a table; it prints @answer. */
static void check_execution(const char *dsdt, const char *commands, const char *answer)
{
    const char *argv[] = { "acpiexec", "-b", commands, dsdt, NULL };
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr(GError) error = NULL;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err,
                 NULL, &error);

    g_assert_no_error(error);
    if (!strstr(out, answer))
        g_test_message("%s: %s%s", commands, out, err);
    g_assert_nonnull(strstr(out, answer));
}

/* What _OSC answers to three numbers, as acpiexec prints bytes. */
static void check_osc(const char *dsdt, const char *uuid, unsigned revision,
                      const char *capabilities, const char *answer)
{
    g_autofree char *command = g_strdup_printf("execute \\_SB.PCI0._OSC (%s) %u 3 (%s)",
                                               uuid, revision, capabilities);

    check_execution(dsdt, command, answer);
}

static void test_osc_grants_native_hot_plug(void)
{
    static const char uuid[] = "5B4DDB33F71F1C4096577441C03DD766";
    static const char dsdt[] = GOLDEN "/plain/DSDT.aml";
    g_autofree char *acpiexec = g_find_program_in_path("acpiexec");

    if (!acpiexec) {
        g_test_skip("acpiexec is not installed");
        return;
    }

    check_osc(dsdt, uuid, 1, "01000000000000001D000000",
              "01 00 00 00 00 00 00 00 1D 00 00 00");
    check_osc(dsdt, uuid, 1, "01000000000000003F000000",
              "11 00 00 00 00 00 00 00 1D 00 00 00");
    check_osc(dsdt, uuid, 2, "010000000000000001000000",
              "09 00 00 00 00 00 00 00 01 00 00 00");
    check_osc(GOLDEN "/other/DSDT.aml", uuid, 1, "01000000000000001D000000",
              "11 00 00 00 00 00 00 00 1C 00 00 00");
    check_osc(dsdt, "FF4DDB33F71F1C4096577441C03DD766", 1, "01000000000000001D000000",
              "05 00 00 00 00 00 00 00 1D 00 00 00");
}

/* The registers that acpiexec has in the place of the bridge's are 0 at first. */
static void test_links_are_set_and_disabled(void)
{
    static const char dsdt[] = GOLDEN "/plain/DSDT.aml";
    static const char set_11[] = "execute \\_SB.LNKF._SRS (89060009010B0000007900);";
    static const struct {
        const char *after;
        const char *command;
        const char *answer;
    } rows[] = {
        { "", "execute \\_SB.LNKF._STA", "000000000000000B" },
        { set_11, "execute \\_SB.PCI0.ISA.PRQF", "000000000000000B" },
        { set_11, "execute \\_SB.PCI0.ISA.PRQE", "0000000000000000" },
        { set_11, "execute \\_SB.LNKF._CRS", "89 06 00 09 01 0B 00 00 00 79 00" },
        { "execute \\_SB.LNKF._DIS;", "execute \\_SB.PCI0.ISA.PRQF",
          "0000000000000080" },
        { "execute \\_SB.LNKF._DIS;", "execute \\_SB.LNKF._STA", "0000000000000009" },
        { "execute \\_SB.LNKF._DIS;", "execute \\_SB.LNKF._CRS",
          "89 06 00 09 01 00 00 00 00 79 00" },
        { "execute \\_PIC 1;", "execute \\_SB.PCI0._PRT", "Contains 128 Elements" },
    };
    g_autofree char *acpiexec = g_find_program_in_path("acpiexec");

    if (!acpiexec) {
        g_test_skip("acpiexec is not installed");
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *commands = g_strconcat(rows[i].after, rows[i].command, NULL);

        check_execution(dsdt, commands, rows[i].answer);
    }
}

static uint8_t sum_of(const uint8_t *data, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += data[i];
    return sum;
}

static uint64_t read_le(const uint8_t *data, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, data, size);
    return value;
}

/* Where the table at @gpa is in the blob; its sum and length are right. */
static const uint8_t *follow(const uint8_t *blob, size_t size, uint64_t base,
                             uint64_t gpa, const char *signature)
{
    const uint8_t *table = blob + (gpa - base);

    g_assert_cmpuint(gpa, >=, base);
    g_assert_cmpuint(gpa + HEADER_SIZE, <=, base + size);
    g_assert_cmpmem(table, 4, signature, 4);
    g_assert_cmpuint(gpa + read_le(table + 4, 4), <=, base + size);
    if (strcmp(signature, "FACS") != 0)
        g_assert_cmpuint(sum_of(table, read_le(table + 4, 4)), ==, 0);
    return table;
}

static void test_rsdp_leads_to_every_table(void)
{
    static const uint64_t places[] = { 0xe0040, 0x7ff00000, 0xfffc0000 };
    g_autoptr(AcpiTables) tables = acpi_tables_new(&other);
    size_t size = acpi_tables_size(tables);
    g_autofree uint8_t *blob = g_malloc(size);

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        uint8_t rsdp[ACPI_RSDP_SIZE];
        const uint8_t *xsdt, *fadt;

        acpi_tables_write(tables, places[i], blob);
        acpi_rsdp_write(tables, places[i], rsdp);

        g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
        g_assert_cmpuint(sum_of(rsdp, 20), ==, 0);
        g_assert_cmpuint(sum_of(rsdp, sizeof(rsdp)), ==, 0);
        xsdt = follow(blob, size, places[i], read_le(rsdp + 24, 8), "XSDT");
        g_assert_cmpuint(read_le(xsdt + 4, 4), ==, HEADER_SIZE + 7 * 8);
        fadt = follow(blob, size, places[i], read_le(xsdt + 36, 8), "FACP");
        follow(blob, size, places[i], read_le(xsdt + 44, 8), "APIC");
        follow(blob, size, places[i], read_le(xsdt + 52, 8), "MCFG");
        follow(blob, size, places[i], read_le(xsdt + 60, 8), "HPET");
        follow(blob, size, places[i], read_le(xsdt + 68, 8), "SRAT");
        follow(blob, size, places[i], read_le(xsdt + 76, 8), "SLIT");
        follow(blob, size, places[i], read_le(xsdt + 84, 8), "WAET");
        follow(blob, size, places[i], read_le(fadt + 36, 4), "FACS");
        follow(blob, size, places[i], read_le(fadt + 40, 4), "DSDT");
        g_assert_cmpuint(read_le(fadt + 140, 8), ==, read_le(fadt + 40, 4));
        g_assert_cmpuint(read_le(fadt + 36, 4) % 64, ==, 0);
    }
}

static void test_4096_cpus_have_tables(void)
{
    g_autofree AcpiCpu *cpus = g_new(AcpiCpu, 4096);
    AcpiMachine machine = plain;
    g_autoptr(AcpiTables) tables = NULL;
    const AcpiTable *list;
    size_t count;

    for (unsigned i = 0; i < 4096; i++)
        cpus[i] = (AcpiCpu){ .apic_id = i, .present = true };
    machine.cpus = cpus;
    machine.n_cpus = 4096;
    tables = acpi_tables_new(&machine);
    list = acpi_tables_list(tables, &count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].signature, "APIC") == 0)
            g_assert_cmpuint(list[i].size, ==,
                             44 + 255 * 8 + 3841 * 16 + 12 + 2 * 10 + 6 + 12);
    }
}

/* Whether the tables of @machine ask firmware to look, by an SMI. */
static bool asks_firmware(const AcpiMachine *machine)
{
    g_autoptr(AcpiTables) tables = acpi_tables_new(machine);
    size_t size = acpi_tables_size(tables);
    g_autofree uint8_t *blob = g_malloc(size);

    acpi_tables_write(tables, TABLES_GPA, blob);
    return memmem(blob, size, "SMIC", 4) != NULL;
}

static void test_without_smm_no_vcpu_is_told_of_by_an_smi(void)
{
    AcpiMachine machine = other;

    g_assert_true(asks_firmware(&machine));
    machine.smm = false;
    g_assert_false(asks_firmware(&machine));
    machine = plain;
    machine.smm = true;
    g_assert_false(asks_firmware(&machine));
}

static uint32_t fadt_flags(size_t n_cpus)
{
    AcpiCpu cpus[9] = { { .present = true } };
    AcpiMachine machine = plain;
    g_autoptr(AcpiTables) tables = NULL;
    g_autofree uint8_t *blob = NULL;
    const AcpiTable *list;
    size_t count;

    machine.cpus = cpus;
    machine.n_cpus = n_cpus;
    tables = acpi_tables_new(&machine);
    blob = g_malloc(acpi_tables_size(tables));
    acpi_tables_write(tables, TABLES_GPA, blob);
    list = acpi_tables_list(tables, &count);
    while (strcmp(list->signature, "FACP") != 0)
        list++;
    return (uint32_t)read_le(blob + list->offset + 112, 4);
}

/* Flat logical destinations have eight bits. */
static void test_more_cpus_than_flat_destinations(void)
{
    g_assert_cmphex(fadt_flags(8) & 0x40000, ==, 0);
    g_assert_cmphex(fadt_flags(9) & 0x40000, ==, 0x40000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(machines); i++) {
        g_autofree char *golden = g_strdup_printf("/acpi/golden/%s", machines[i].name);
        g_autofree char *iasl = g_strdup_printf("/acpi/iasl/%s", machines[i].name);

        g_test_add_data_func(golden, GUINT_TO_POINTER(i),
                             test_tables_are_the_golden_ones);
        g_test_add_data_func(iasl, GUINT_TO_POINTER(i), test_iasl_finds_no_fault);
    }
    g_test_add_func("/acpi/osc-grants-native-hot-plug", test_osc_grants_native_hot_plug);
    g_test_add_func("/acpi/links-are-set-and-disabled", test_links_are_set_and_disabled);
    g_test_add_func("/acpi/rsdp-leads-to-every-table", test_rsdp_leads_to_every_table);
    g_test_add_func("/acpi/4096-cpus-have-tables", test_4096_cpus_have_tables);
    g_test_add_func("/acpi/more-cpus-than-flat-destinations",
                    test_more_cpus_than_flat_destinations);
    g_test_add_func("/acpi/waking-vector", test_waking_vector);
    g_test_add_func("/acpi/without-smm-no-vcpu-is-told-of-by-an-smi",
                    test_without_smm_no_vcpu_is_told_of_by_an_smi);
    return g_test_run();
}
