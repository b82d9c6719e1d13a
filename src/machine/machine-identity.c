/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without firmware looks for the SMBIOS entry point in the upper half of the BIOS
 * area; it is the last thing in there, and the structures end right below it, so that
 * ACPI tables have what is left from the area's other end.
 */
#include <stdio.h>

#include "berth/error.h"
#include "berth/pci.h"
#include "berth/x86-layout.h"

#include "machine-identity.h"

#define ENTRY_GPA (X86_BIOS_AREA_BASE + X86_BIOS_AREA_SIZE - 4 * SMBIOS_ENTRY_ALIGN)
#define MANUFACTURER "berth"

G_STATIC_ASSERT(ENTRY_GPA + SMBIOS_ENTRY_SIZE_MAX <= X86_EXT_RAM_BASE);
G_STATIC_ASSERT(ENTRY_GPA % SMBIOS_ENTRY_ALIGN == 0);

static bool set_uuid(Machine *machine, GError **error)
{
    const char *given = machine->cmdline->uuid;
    const char *smbios = smbios_options_uuid(machine->smbios_options);

    if (given && !uuid_parse(given, &machine->uuid)) {
        error_set(error, "option '-uuid': '%s' is not a UUID", given);
        return false;
    }
    /* It was checked when the option was read. */
    return !smbios || uuid_parse(smbios, &machine->uuid);
}

bool machine_identity_init(Machine *machine, GError **error)
{
    const Cmdline *cmdline = machine->cmdline;

    if (cmdline->name)
        machine->name = g_strdup(cmdline->name->guest);
    machine->smbios_options = smbios_options_new();
    for (guint i = 0; i < cmdline->smbios->len; i++) {
        if (!smbios_options_add(machine->smbios_options,
                                g_ptr_array_index(cmdline->smbios, i), error)) {
            g_prefix_error(error, "option '-smbios': ");
            return false;
        }
    }
    return set_uuid(machine, error);
}

void machine_identity_done(Machine *machine)
{
    g_free(machine->name);
    smbios_tables_free(machine->smbios);
    smbios_options_free(machine->smbios_options);
}

/* Bridges are numbered when the guest starts, so a device behind one has no place yet. */
static bool find_pci(void *opaque, const char *id, uint8_t *ret_devfn, GError **error)
{
    Machine *machine = opaque;
    Device *dev = device_find(&machine->tree, id);

    if (!dev || !dev->bus || dev->bus->kind != BUS_PCI) {
        error_set(error, "there is no PCI device '%s'", id);
        return false;
    }
    if (pci_device(dev)->bus->bridge) {
        error_set(error, "device '%s' is not on bus pcie.0", id);
        return false;
    }
    *ret_devfn = pci_device(dev)->devfn;
    return true;
}

static size_t list_ram(const Machine *machine, SmbiosRange ram[2])
{
    uint64_t low = MIN(machine->ram_size, X86_LOW_RAM_MAX);

    ram[0] = (SmbiosRange) { 0, low };
    ram[1] = (SmbiosRange) { X86_HIGH_RAM_BASE, machine->ram_size - low };
    return ram[1].size ? 2 : 1;
}

/* The first two numbers of the version. */
static SmbiosRelease berth_release(void)
{
    SmbiosRelease release = { 0 };

    sscanf(BERTH_VERSION, "%hhu.%hhu", &release.major, &release.minor);
    return release;
}

bool machine_identity_describe(Machine *machine, FwCfg *fw_cfg, GError **error)
{
    const MachineOptions *options = machine->cmdline->machine;
    const CpuTopology *topology = &machine->topology;
    uint8_t entry[SMBIOS_ENTRY_SIZE_MAX];
    SmbiosRange ram[2];
    SmbiosMachine smbios = {
        .manufacturer = MANUFACTURER,
        .product = machine_types_description(machine->type),
        .version = machine->type->name,
        .uuid = machine->uuid,
        .is_firmware = machine->boot_image != NULL,
        .firmware_version = BERTH_VERSION,
        .firmware_release = berth_release(),
        .sockets = topology->sockets,
        .cores = topology->dies * topology->cores,
        .threads = topology->dies * topology->cores * topology->threads,
        .processor_id = cpu_model_signature(machine->cpu_model),
        .ram = ram,
        .n_ram = list_ram(machine, ram),
        .find_pci = find_pci,
        .opaque = machine,
    };
    size_t size;

    machine->smbios = smbios_tables_new(
        &smbios, machine->smbios_options,
        options && options->has_smbios_entry_point_type ? options->smbios_entry_point_type
                                                        : SMBIOS_ENTRY_POINT_TYPE_AUTO,
        error);
    if (!machine->smbios)
        return false;
    size = smbios_tables_entry(machine->smbios, 0, entry);
    return fw_cfg_add_file(fw_cfg, "etc/smbios/smbios-tables",
                           g_bytes_ref(smbios_tables_structures(machine->smbios)),
                           error) &&
           fw_cfg_add_file(fw_cfg, "etc/smbios/smbios-anchor", g_bytes_new(entry, size),
                           error);
}

bool machine_identity_load(Machine *machine, uint64_t *ret_start, GError **error)
{
    size_t size;
    const void *data =
        g_bytes_get_data(smbios_tables_structures(machine->smbios), &size);
    uint8_t entry[SMBIOS_ENTRY_SIZE_MAX];
    uint64_t start;

    if (size > ENTRY_GPA - X86_BIOS_AREA_BASE) {
        error_set(error, "-smbios: there is no room for %zu bytes below 1 MiB", size);
        return false;
    }
    start = ALIGN_DOWN(ENTRY_GPA - size, (uint64_t)SMBIOS_ENTRY_ALIGN);
    if (!address_space_write(machine->memory, start, data, size) ||
        !address_space_write(machine->memory, ENTRY_GPA, entry,
                             smbios_tables_entry(machine->smbios, start, entry))) {
        error_set(error, "-m: the guest has no memory below 1 MiB for SMBIOS");
        return false;
    }
    *ret_start = start;
    return true;
}
