/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The q35 board: host bridge and memory controller, LPC bridge with ACPI power
 * management, RTC, keyboard controller, fw_cfg, serial ports.  Addresses are those of
 * x86-layout.h.
 *
 * A kernel given by -kernel is started without firmware, so the board does at each reset
 * what firmware would: PCI resources, ACPI tables with the RSDP where operating systems
 * look for it, memory map.  Firmware finds all of it undone, and tables in fw_cfg.
 */
#include <string.h>

#include "berth/acpi.h"
#include "berth/ata-unit.h"
#include "berth/char-set.h"
#include "berth/cpuhp.h"
#include "berth/error.h"
#include "berth/fw-cfg-options.h"
#include "berth/fw-cfg.h"
#include "berth/hpet.h"
#include "berth/i8042.h"
#include "berth/keyval.h"
#include "berth/log.h"
#include "berth/i8254.h"
#include "berth/i8259.h"
#include "berth/ioapic.h"
#include "berth/lpc.h"
#include "berth/memhp.h"
#include "berth/mp-table.h"
#include "berth/numa.h"
#include "berth/pc-ports.h"
#include "berth/pci-assign.h"
#include "berth/pci.h"
#include "berth/pcihp.h"
#include "berth/pvpanic.h"
#include "berth/rtc.h"
#include "berth/serial.h"
#include "berth/vmcoreinfo.h"
#include "berth/vmgenid.h"
#include "berth/x86-layout.h"

#include "acpi-loader.h"
#include "boot-devices.h"
#include "boot-order.h"
#include "firmware-flash.h"
#include "firmware.h"
#include "machine-identity.h"
#include "machine-memory.h"
#include "machine-q35.h"
#include "machine-smi.h"
#include "rtc-options.h"

#define N_SERIALS 4
#define PCI_ROOT_FUNCTIONS 256u
#define VMGENID_GPA (X86_VMGENID_PAGE + VMGENID_OFFSET)
#define ACPI_RSDP_GPA X86_BIOS_AREA_BASE
#define ACPI_TABLES_GPA (X86_BIOS_AREA_BASE + ACPI_TABLES_ALIGN)
#define ACPI_HIGH_ALIGN 0x1000u
#define SHUTDOWN_STATUS_S3 0xfe         /* firmware is to go on where the guest says */
/* Without ACPI the MP table is in the place of its tables. */
#define MP_FLOATING_GPA X86_EBDA_BASE
#define MP_TABLE_GPA ACPI_TABLES_GPA

struct Q35Board {
    PciBus *pci;
    Device *lpc;
    Device *rtc;
    Device *pit;                /* in user space; NULL: the hypervisor's */
    Device *hpet;               /* NULL: there is none */
    Device *pcihp;              /* NULL: hot-plug is the ports' own */
    Device *cpuhp;              /* NULL: no further vCPU has a place */
    Device *memhp;              /* NULL: there are no slots for memory */
    IrqLine legacy_timers;
    FwCfg *fw_cfg;
    AcpiTables *acpi;
    uint64_t acpi_gpa;          /* 0: not written */
    uint64_t tables_end;        /* where what is below 1 MiB ends */
    AcpiWindow pci64;
    bool is_started;            /* something may have run and written to RAM */
};

static void wire_irqs(Machine *machine)
{
    Board *board = &machine->board;

    for (unsigned i = 0; i < G_N_ELEMENTS(board->isa_irqs); i++)
        board->isa_irqs[i] = vm_gsi_line(machine->vm, i);
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        board->pci_irqs[i] = vm_gsi_line(machine->vm, X86_GSI_PCI_BASE + i);
    board->ecam_base = X86_ECAM_BASE;
}

static uint64_t high_ram(const Machine *machine)
{
    return machine->ram_size > X86_LOW_RAM_MAX ? machine->ram_size - X86_LOW_RAM_MAX : 0;
}

static bool add_fw_cfg(Machine *machine, GError **error)
{
    FwCfg *fw_cfg = fw_cfg_add(&machine->tree, error);

    if (!fw_cfg)
        return false;
    machine->q35->fw_cfg = fw_cfg;
    fw_cfg_add_bytes(fw_cfg, FW_CFG_UUID,
                     g_bytes_new(machine->uuid.bytes, sizeof(machine->uuid.bytes)));
    fw_cfg_add_number(fw_cfg, FW_CFG_RAM_SIZE, machine->ram_size, 8);
    fw_cfg_add_number(fw_cfg, FW_CFG_N_CPUS, machine->topology.cpus, 2);
    fw_cfg_add_number(fw_cfg, FW_CFG_MAX_CPUS, machine->topology.max_cpus, 2);
    return boot_order_add_items(machine->cmdline->boot, fw_cfg, error);
}

static bool has_i8042(const MachineOptions *options)
{
    return !options || !options->has_i8042 || options->i8042;
}

static bool has_sata(const MachineOptions *options)
{
    return !options || !options->has_sata || options->sata;
}

bool machine_q35_pit_discards(const Cmdline *cmdline)
{
    const OnboardDevice *pit = cmdline->onboard[ONBOARD_DRIVER_KVM_PIT];

    return pit->u.kvm_pit.lost_tick_policy == LOST_TICK_POLICY_DISCARD;
}

/* What the hypervisor has not. */
static bool add_chips(Machine *machine, GError **error)
{
    DeviceTree *tree = &machine->tree;
    const I8254Config pit_config = {
        .make_up = !machine_q35_pit_discards(machine->cmdline),
    };

    if (vm_irqchip(machine->vm) == VM_IRQCHIP_KERNEL)
        return true;
    if (!ioapic_add(tree, error) || !i8259_add(tree, error))
        return false;
    machine->q35->pit = i8254_add(tree, &pit_config, error);
    return machine->q35->pit != NULL;
}

/* The HPET takes the place of the interval timer. */
static void on_legacy_timers(void *opaque, unsigned n, bool level)
{
    Machine *machine = opaque;

    if (machine->q35->pit)
        irq_set(i8254_inhibit_line(machine->q35->pit), level);
    else
        vm_inhibit_pit(machine->vm, level);
}

/* It shares lines, so it comes before those with whom. */
static bool add_hpet(Machine *machine, GError **error)
{
    const HpetProps *props = &machine->cmdline->onboard[ONBOARD_DRIVER_HPET]->u.hpet;
    Board *board = &machine->board;
    HpetConfig config = {
        .timers = props->timers,
        .msi = props->msi,
        .legacy = &machine->q35->legacy_timers,
    };
    Device *hpet;

    if (!machine->cmdline->machine || !machine->cmdline->machine->hpet)
        return true;
    irq_line_init(&machine->q35->legacy_timers, on_legacy_timers, machine, 0);
    hpet = hpet_add(&machine->tree, &config, error);
    if (!hpet)
        return false;
    machine->q35->hpet = hpet;
    board->isa_irqs[X86_GSI_RTC] = hpet_line(hpet, X86_GSI_RTC);
    for (unsigned gsi = X86_GSI_HPET_BASE; gsi < X86_GSI_COUNT; gsi++)
        board->pci_irqs[gsi - X86_GSI_PCI_BASE] = hpet_line(hpet, gsi);
    return true;
}

static const Ich9LpcProps *lpc_props(const Machine *machine)
{
    return &machine->cmdline->onboard[ONBOARD_DRIVER_ICH9_LPC]->u.ICH9_LPC;
}

static bool has_s4(const Machine *machine)
{
    return machine_has_acpi(machine) && !lpc_props(machine)->disable_s4;
}

static bool has_acpi_hotplug(const Machine *machine)
{
    return machine_has_acpi(machine) &&
           lpc_props(machine)->acpi_pci_hotplug_with_bridge_support;
}

/* Without ACPI no module can come. */
static unsigned n_memory_slots(const Machine *machine)
{
    const MemoryOptions *memory = machine->cmdline->memory;

    return machine->memory_window && machine_has_acpi(machine) ? (unsigned)memory->slots
                                                                : 0;
}

static bool add_onboard(Machine *machine, GError **error)
{
    const LpcConfig lpc_config = {
        .preset = machine->boot_image != NULL,
        .s3 = machine_can_suspend(machine),
        .s4 = has_s4(machine),
        .no_reboot = lpc_props(machine)->noreboot,
        .smi_offered = machine_smi_offered(machine),
    };
    RtcConfig rtc_config = {
        .low_ram = MIN(machine->ram_size, X86_LOW_RAM_MAX),
        .high_ram = high_ram(machine),
    };
    DeviceTree *tree = &machine->tree;

    if (!rtc_options_apply(machine->cmdline, &rtc_config, error) ||
        !add_chips(machine, error) || !add_hpet(machine, error) ||
        !device_add_onboard(tree, &pci_host_class, "pci-host", NULL, error) ||
        !device_add_onboard(tree, &mch_class, "mch", NULL, error))
        return false;
    machine->q35->pci = pci_bus(device_tree_find_bus(tree, "pcie.0"));
    machine->q35->lpc = lpc_add(tree, &lpc_config, error);
    if (!machine->q35->lpc)
        return false;
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        machine->board.pci_irqs[i] = lpc_pirq(machine->q35->lpc, i);
    if (has_sata(machine->cmdline->machine) &&
        !device_add_onboard(tree, &ahci_class, "ahci", NULL, error))
        return false;
    for (unsigned i = 0; i < BOARD_GPES; i++)
        machine->board.gpes[i] = lpc_gpe(machine->q35->lpc, i);
    if (has_acpi_hotplug(machine)) {
        machine->q35->pcihp = pcihp_add(tree, error);
        if (!machine->q35->pcihp)
            return false;
    }
    if (machine->topology.max_cpus > machine->topology.cpus) {
        machine->q35->cpuhp = cpuhp_add(tree, lpc_smi_features(machine->q35->lpc),
                                        machine_has_acpi(machine), error);
        if (!machine->q35->cpuhp)
            return false;
    }
    if (n_memory_slots(machine)) {
        machine->q35->memhp = memhp_add(tree, n_memory_slots(machine), error);
        if (!machine->q35->memhp)
            return false;
    }
    rtc_config.alarm = lpc_alarm_line(machine->q35->lpc);
    machine->q35->rtc = rtc_add(tree, &rtc_config, error);
    return machine->q35->rtc &&
           (!has_i8042(machine->cmdline->machine) || i8042_add(tree, error)) &&
           pc_ports_add(tree, error) && add_fw_cfg(machine, error) &&
           (!machine->smm || machine_smi_add_files(machine->q35->fw_cfg,
                                                   machine->q35->lpc, error));
}

/* Arguments of a device that a short option asks for, with its globals. */
static DeviceAddArgs *short_args(Machine *machine, const char *text, GError **error)
{
    g_autoptr(JsonValue) json = keyval_parse(text, "driver", NULL, error);

    return json ? device_globals_parse(machine->cmdline->globals, json, QAPI_INPUT_TEXT,
                                       error)
                : NULL;
}

static bool add_serial(Machine *machine, unsigned index, const char *text, GError **error)
{
    g_autofree char *id = g_strdup_printf("serial%u", index);
    g_autoptr(DeviceAddArgs) args = NULL;
    g_autofree char *pairs = NULL;
    Chardev *chr;

    if (strcmp(text, "none") == 0)
        return true;
    chr = char_add_from_text(machine->chars, id, text, error);
    if (!chr)
        return false;
    pairs = g_strdup_printf("isa-serial,chardev=%s,index=%u", char_id(chr), index);
    args = short_args(machine, pairs, error);
    return args &&
           device_add_onboard(&machine->tree, &serial_class, id, args, error) != NULL;
}

static bool names_a_serial(const Cmdline *cmdline)
{
    for (guint i = 0; i < cmdline->devices->len; i++) {
        const DeviceAddArgs *args = g_ptr_array_index(cmdline->devices, i);

        if (args->driver == DEVICE_DRIVER_ISA_SERIAL)
            return true;
    }
    return cmdline->serials->len > 0;
}

static const char *default_serial(const Machine *machine)
{
    if (!machine->cmdline->nographic)
        return "null";
    return cmdline_wants_monitor(machine->cmdline) ? "mon:stdio" : "stdio";
}

static bool add_serials(Machine *machine, GError **error)
{
    const Cmdline *cmdline = machine->cmdline;

    if (cmdline->serials->len > N_SERIALS) {
        error_set(error, "-serial: there are %u serial ports at most", N_SERIALS);
        return false;
    }
    for (guint i = 0; i < cmdline->serials->len; i++) {
        const char *text = g_ptr_array_index(cmdline->serials, i);

        if (!add_serial(machine, i, text, error)) {
            g_prefix_error(error, "-serial %s: ", text);
            return false;
        }
    }
    if (cmdline->nodefaults || names_a_serial(cmdline))
        return true;
    return add_serial(machine, 0, default_serial(machine), error);
}

static bool add_debugcon(Machine *machine, GError **error)
{
    const char *text = machine->cmdline->debugcon;
    g_autoptr(DeviceAddArgs) args = NULL;
    g_autofree char *pairs = NULL;
    Chardev *chr;

    if (!text || strcmp(text, "none") == 0)
        return true;
    chr = char_add_from_text(machine->chars, "debugcon", text, error);
    if (!chr) {
        g_prefix_error(error, "-debugcon %s: ", text);
        return false;
    }
    pairs = g_strdup_printf("isa-debugcon,chardev=%s", char_id(chr));
    args = short_args(machine, pairs, error);
    return args && device_add(&machine->tree, args, error) != NULL;
}

static bool check_addresses(const Machine *machine, GError **error)
{
    unsigned bits = cpu_model_phys_bits(machine->cpu_model);

    if (!machine->memory_window || machine->high_end <= 1ull << bits)
        return true;
    error_set(error, "option '-m': parameter 'maxmem': memory would end at 0x%" PRIx64
              ", but the guest's CPU has addresses of %u bits", machine->high_end - 1,
              bits);
    return false;
}

bool machine_q35_init(Machine *machine, GError **error)
{
    machine->q35 = g_new0(Q35Board, 1);
    machine->q35->pci64 = (AcpiWindow) {
        .base = ALIGN_UP(machine->high_end, X86_PCI64_ALIGN),
        .size = X86_PCI64_SIZE,
    };
    wire_irqs(machine);
    return check_addresses(machine, error) && firmware_flash_add(machine, error) &&
           add_onboard(machine, error) &&
           add_serials(machine, error) && add_debugcon(machine, error);
}

/* The files of vmgenid, for firmware. */
static bool add_generation_id(Machine *machine, GError **error)
{
    Device *dev = vmgenid_find(&machine->tree);
    FwCfg *fw_cfg = machine->q35->fw_cfg;
    FwCfgWritable address = { .name = "etc/vmgenid_addr" };

    if (!dev)
        return true;
    address.data = vmgenid_address(dev);
    address.size = sizeof(uint64_t);
    return fw_cfg_add_file(fw_cfg, "etc/vmgenid_guid", vmgenid_page(dev), error) &&
           fw_cfg_add_writable_file(fw_cfg, &address, error);
}

static bool add_pvpanic(Machine *machine, GError **error)
{
    uint16_t port = pvpanic_port(&machine->tree);
    uint16_t little = GUINT16_TO_LE(port);

    return port == 0 || fw_cfg_add_file(machine->q35->fw_cfg, "etc/pvpanic-port",
                                        g_bytes_new(&little, sizeof(little)), error);
}

/* The file in which the guest tells of its VMCOREINFO. */
static bool add_vmcoreinfo(Machine *machine, GError **error)
{
    Device *dev = vmcoreinfo_find(&machine->tree);
    FwCfgWritable file = { .name = "etc/vmcoreinfo" };

    if (!dev)
        return true;
    file.data = vmcoreinfo_data(dev, &file.size);
    return fw_cfg_add_writable_file(machine->q35->fw_cfg, &file, error);
}

/* Network devices of bus 0 with an index, which stay where they are. */
static size_t list_functions(Machine *machine, AcpiFunction *functions)
{
    size_t n = 0;

    LIST_FOREACH(node, &machine->tree.devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        uint16_t index = pci_acpi_index(dev);

        if (index && pci_bus(dev->bus) == machine->q35->pci)
            functions[n++] = (AcpiFunction) {
                .devfn = pci_device(dev)->devfn, .index = index,
            };
    }
    return n;
}

/* The guest is told of an index on bus 0 and in slots that ACPI hot-plugs. */
static bool check_indices(Machine *machine, GError **error)
{
    LIST_FOREACH(node, &machine->tree.devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        PciBus *bus = pci_acpi_index(dev) ? pci_bus(dev->bus) : NULL;

        if (!bus || (machine_has_acpi(machine) && bus == machine->q35->pci) ||
            (machine->q35->pcihp && bus->bridge && pcihp_has_slots(bus) &&
             PCI_FUNCTION(pci_device(dev)->devfn) == 0))
            continue;
        error_set(error, "parameter 'acpi-index': ACPI tells the guest nothing of '%s' "
                  "on bus '%s'", device_name(dev), dev->bus->name);
        return false;
    }
    return true;
}

static AcpiTables *describe(Machine *machine);

/* For firmware. */
static bool add_acpi(Machine *machine, GError **error)
{
    if (!machine->rom || !machine_has_acpi(machine))
        return true;
    acpi_tables_free(machine->q35->acpi);
    machine->q35->acpi = describe(machine);
    return acpi_loader_add_files(machine->q35->acpi, machine->q35->fw_cfg, error);
}

bool machine_q35_complete(Machine *machine, GError **error)
{
    FwCfg *fw_cfg = machine->q35->fw_cfg;

    if (!boot_devices_check(&machine->tree, error) || !check_indices(machine, error) ||
        !firmware_describe(machine, fw_cfg, machine->q35->pci64.base, error))
        return false;
    return machine_identity_describe(machine, fw_cfg, error) &&
           add_generation_id(machine, error) && add_pvpanic(machine, error) &&
           add_vmcoreinfo(machine, error) && add_acpi(machine, error) &&
           fw_cfg_options_add(fw_cfg, machine->cmdline->fw_cfgs, error);
}

void machine_q35_free(Q35Board *board)
{
    if (!board)
        return;
    acpi_tables_free(board->acpi);
    g_free(board);
}

static size_t list_serials(Machine *machine, AcpiSerial *serials)
{
    size_t n = 0;

    LIST_FOREACH(node, &machine->tree.devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);
        SerialPort port;

        if (dev->class != &serial_class || n == N_SERIALS)
            continue;
        port = serial_port(dev);
        serials[n++] = (AcpiSerial) {
            .index = (uint8_t)port.index,
            .irq = (uint8_t)port.irq,
            .iobase = port.iobase,
        };
    }
    return n;
}

/* 0: there is none.  Firmware adds the address of the page that it chooses. */
static uint64_t vmgenid_gpa(Machine *machine)
{
    if (!vmgenid_find(&machine->tree))
        return 0;
    return machine->rom ? VMGENID_OFFSET : VMGENID_GPA;
}

/* Firmware may use all that there is above RAM. */
static AcpiWindow pci64_window(const Machine *machine)
{
    AcpiWindow window = machine->q35->pci64;
    uint64_t end = 1ull << cpu_model_phys_bits(machine->cpu_model);

    if (machine->rom && end > window.base + window.size)
        window.size = end - window.base;
    return window;
}

/*
 * Tells of the nodes; the caller frees the list of memory.  A machine to which memory may
 * come has one at least: from its memory a guest knows how far addresses go.
 */
static AcpiMemory *describe_nodes(const Machine *machine, AcpiMachine *acpi)
{
    const Numa *numa = machine->numa;
    unsigned n = numa ? numa->n_nodes : 1;
    AcpiMemory *memory = g_new0(AcpiMemory, 2 * n + 1);

    for (unsigned i = 0; i < n; i++)
        acpi->n_memory += machine_memory_of_node(machine, i, memory + acpi->n_memory);
    if (machine->memory_window)
        memory[acpi->n_memory++] = (AcpiMemory) {
            .base = machine->come_base, .size = machine->come_size, .node = n - 1,
            .comes = true,
        };
    acpi->n_nodes = n;
    acpi->memory = memory;
    acpi->distances = numa ? numa->distances : NULL;
    return memory;
}

static AcpiTables *describe(Machine *machine)
{
    AcpiFunction functions[PCI_ROOT_FUNCTIONS];
    unsigned n_cpus = machine->topology.max_cpus;
    g_autofree AcpiCpu *cpus = g_new0(AcpiCpu, n_cpus);
    g_autofree AcpiMemory *memory = NULL;
    AcpiSerial serials[N_SERIALS];
    PciSlotsBus buses[PCIHP_MAX_BUSES];
    AcpiMachine acpi = {
        .cpus = cpus,
        .n_cpus = n_cpus,
        .ecam = { X86_ECAM_BASE, X86_ECAM_SIZE },
        .pci32 = { X86_PCI32_BASE, X86_PCI32_END - X86_PCI32_BASE },
        .pci64 = pci64_window(machine),
        .serials = serials,
        .n_serials = list_serials(machine, serials),
        .pit = true,
        .hpet = machine->q35->hpet ? hpet_id(machine->q35->hpet) : 0,
        .i8042 = has_i8042(machine->cmdline->machine),
        .fw_cfg = true,
        .pvpanic = pvpanic_port(&machine->tree),
        .vmgenid = vmgenid_gpa(machine),
        .s3 = machine_can_suspend(machine),
        .s4 = has_s4(machine),
        .buses = buses,
        .n_buses = machine->q35->pcihp ? pcihp_take_slots(machine->q35->pcihp, buses) : 0,
        .cpu_hotplug = machine->q35->cpuhp != NULL,
        .smm = machine->smm != NULL,
        .n_memory_slots = n_memory_slots(machine),
        .functions = functions,
        .n_functions = list_functions(machine, functions),
    };

    for (unsigned i = 0; i < n_cpus; i++) {
        cpus[i].apic_id = cpu_topology_place(&machine->topology, i).apic_id;
        cpus[i].present = machine_vcpu(machine, i) != NULL;
        cpus[i].fixed = i < machine->topology.cpus;
        cpus[i].node = machine->numa ? machine->numa->cpu_nodes[i] : 0;
    }
    if (machine->numa || machine->memory_window)
        memory = describe_nodes(machine, &acpi);
    return acpi_tables_new(&acpi);
}

/*
 * Where the tables go: below @end, where SMBIOS begins; those of thousands of vCPUs, for
 * which there is no room, to the end of low RAM.  0 when they fit nowhere.
 */
static uint64_t place_acpi(const Machine *machine, size_t size, uint64_t end)
{
    uint64_t low = MIN(machine->ram_size, X86_LOW_RAM_MAX);

    if (end >= ACPI_TABLES_GPA && size <= end - ACPI_TABLES_GPA)
        return ACPI_TABLES_GPA;
    if (low < X86_EXT_RAM_BASE || size > low - X86_EXT_RAM_BASE)
        return 0;
    return ALIGN_DOWN(low - size, ACPI_HIGH_ALIGN);
}

static bool write_acpi(Machine *machine, uint64_t end, GError **error)
{
    size_t size = acpi_tables_size(machine->q35->acpi);
    uint64_t gpa = place_acpi(machine, size, end);
    uint8_t *tables = gpa ? address_space_map(machine->memory, gpa, size, true) : NULL;
    void *rsdp = address_space_map(machine->memory, ACPI_RSDP_GPA, ACPI_RSDP_SIZE, true);

    if (!tables || !rsdp) {
        error_set(error, "-m: there is no room for the ACPI tables; give more memory or "
                  "fewer vCPUs");
        return false;
    }
    acpi_tables_write(machine->q35->acpi, gpa, tables);
    acpi_rsdp_write(machine->q35->acpi, gpa, rsdp);
    machine->q35->acpi_gpa = gpa;
    return true;
}

/* In the place of ACPI tables, for guests that find none; up to @end. */
static bool write_mp_table(Machine *machine, uint64_t end, GError **error)
{
    g_autofree uint32_t *apic_ids = g_new0(uint32_t, machine->topology.max_cpus);
    MpMachine mp = {
        .apic_ids = apic_ids,
        .signature = cpu_model_signature(machine->cpu_model),
        .pit = true,
    };
    g_autoptr(GByteArray) table = NULL;
    void *dest, *floating;

    for (unsigned i = 0; machine_next_vcpu(machine, &i); i++)
        apic_ids[mp.n_cpus++] = cpu_topology_place(&machine->topology, i).apic_id;
    table = mp_table_new(&mp, error);
    if (!table)
        return false;
    dest = address_space_map(machine->memory, MP_TABLE_GPA, table->len, true);
    floating =
        address_space_map(machine->memory, MP_FLOATING_GPA, MP_FLOATING_SIZE, true);
    if (!dest || !floating || end < MP_TABLE_GPA || table->len > end - MP_TABLE_GPA) {
        error_set(error, "-m: there is no room for the MP table below 1 MiB; give more "
                  "memory, fewer vCPUs or fewer bytes by -smbios");
        return false;
    }
    memcpy(dest, table->data, table->len);
    mp_table_write_floating(MP_TABLE_GPA, floating);
    return true;
}

static bool write_tables(Machine *machine, uint64_t end, GError **error)
{
    machine->q35->tables_end = end;
    if (!machine_has_acpi(machine))
        return write_mp_table(machine, end, error);
    if (machine->tables_stale)
        g_clear_pointer(&machine->q35->acpi, acpi_tables_free);
    if (!machine->q35->acpi)
        machine->q35->acpi = describe(machine);
    machine->tables_stale = false;
    return write_acpi(machine, end, error);
}

/* What firmware reads of the vCPUs that there are. */
static bool tell_firmware(Machine *machine, GError **error)
{
    if (!machine->tables_stale)
        return true;
    machine->tables_stale = false;
    fw_cfg_put_number(machine->q35->fw_cfg, FW_CFG_N_CPUS, machine_n_vcpus(machine), 2);
    return add_acpi(machine, error);
}

static void map_add(BootMemory *map, uint64_t base, uint64_t end, BootMemoryType type)
{
    if (base < end)
        map->entries[map->n++] = (BootMemoryEntry) { base, end - base, type };
}

static void make_map(const Machine *machine, BootMemory *map)
{
    uint64_t low = MIN(machine->ram_size, X86_LOW_RAM_MAX);
    uint64_t acpi = machine->q35->acpi_gpa;
    uint64_t end = acpi > X86_EXT_RAM_BASE ? acpi : low;

    map->n = 0;
    map_add(map, 0, MIN(low, X86_EBDA_BASE), BOOT_MEMORY_RAM);
    map_add(map, X86_EBDA_BASE, X86_BASE_RAM_END, BOOT_MEMORY_RESERVED);
    map_add(map, X86_SHADOW_BASE, X86_EXT_RAM_BASE, BOOT_MEMORY_RESERVED);
    map_add(map, X86_EXT_RAM_BASE, end, BOOT_MEMORY_RAM);
    map_add(map, end, low, BOOT_MEMORY_RESERVED);
    map_add(map, X86_ECAM_BASE, X86_ECAM_BASE + X86_ECAM_SIZE, BOOT_MEMORY_RESERVED);
    map_add(map, X86_RCBA_BASE, X86_RCBA_BASE + X86_RCBA_SIZE, BOOT_MEMORY_RESERVED);
    map_add(map, X86_KVM_IDENTITY_MAP, X86_KVM_IDENTITY_MAP + 4 * 4 * KIB,
            BOOT_MEMORY_RESERVED);
    map_add(map, X86_HIGH_RAM_BASE, X86_HIGH_RAM_BASE + machine->ram_size - low,
            BOOT_MEMORY_RAM);
}

static bool load_kernel(Machine *machine, bool ram_is_zero, VcpuBoot *boot,
                        GError **error)
{
    BootMemory map;
    BootTarget target = {
        .map = &map,
        .rsdp = machine_has_acpi(machine) ? ACPI_RSDP_GPA : 0,
    };
    g_autofree RamRange *ram = address_space_ram(machine->memory, &target.n_ram);

    target.ram = ram;
    target.ram_is_zero = ram_is_zero;
    make_map(machine, &map);
    return boot_image_load(machine->boot_image, &target, boot, error);
}

static bool assign_resources(Machine *machine, GError **error)
{
    const PciWindows windows = {
        .io_base = X86_PCI_IO_BASE,
        .io_size = X86_PCI_IO_END - X86_PCI_IO_BASE,
        .mem32_base = X86_PCI32_BASE,
        .mem32_size = X86_PCI32_END - X86_PCI32_BASE,
        .mem64_base = machine->q35->pci64.base,
        .mem64_size = machine->q35->pci64.size,
        .irq_base = X86_GSI_PCI_BASE,
    };

    return pci_assign_resources(machine->q35->pci, &windows, error);
}

/* Devices come and go; firmware reads the list after each reset. */
static bool write_boot_devices(Machine *machine, GError **error)
{
    const BootOptions *boot = machine->cmdline->boot;

    return fw_cfg_put_file(machine->q35->fw_cfg, "bootorder",
                           boot_devices_list(&machine->tree,
                                             firmware_kernel_boot_path(machine),
                                             boot && boot->strict),
                           error);
}

bool machine_q35_load(Machine *machine, VcpuBoot *boot, GError **error)
{
    Device *vmgenid = vmgenid_find(&machine->tree);
    bool is_first = !machine->q35->is_started;
    uint64_t smbios;

    boot_order_write(machine->cmdline, machine->q35->rtc, is_first);
    machine->q35->is_started = true;
    if (!machine->boot_image)
        return tell_firmware(machine, error) && write_boot_devices(machine, error);
    if (vmgenid && !vmgenid_place(vmgenid, X86_VMGENID_PAGE)) {
        error_set(error, "-m: the guest has no memory below 1 MiB for vmgenid");
        return false;
    }
    return assign_resources(machine, error) &&
           machine_identity_load(machine, &smbios, error) &&
           write_tables(machine, smbios, error) &&
           load_kernel(machine, is_first, boot, error);
}

static bool refresh(Machine *machine, GError **error)
{
    if (!machine->boot_image)
        return tell_firmware(machine, error) && write_boot_devices(machine, error);
    /* There was room for as much at the start. */
    return !machine->tables_stale ||
           write_tables(machine, machine->q35->tables_end, error);
}

void machine_q35_refresh(Machine *machine)
{
    g_autoptr(GError) error = NULL;

    if (machine->q35 && !machine->tree.guest_ran && !refresh(machine, &error))
        log_error("%s", error->message);
}

Device *machine_q35_vcpu_device(const Machine *machine, unsigned index)
{
    return machine->q35 && machine->q35->cpuhp ? cpuhp_find(machine->q35->cpuhp, index)
                                               : NULL;
}

ACPIOSTInfoList *machine_q35_ost(const Machine *machine)
{
    ACPIOSTInfoList *list = ACPIOSTInfoList_new();

    if (machine->q35 && machine->q35->memhp)
        memhp_query(machine->q35->memhp, list);
    if (machine->q35 && machine->q35->cpuhp)
        cpuhp_query(machine->q35->cpuhp, list);
    return list;
}

bool machine_q35_wake(Machine *machine, BoardWakeReason reason, VcpuBoot *boot,
                      GError **error)
{
    Q35Board *board = machine->q35;
    AcpiWaking waking;
    const void *tables;

    lpc_wake(board->lpc, reason);
    if (!machine->boot_image) {
        rtc_set_shutdown_status(board->rtc, SHUTDOWN_STATUS_S3);
        /* It waits for exactly so many; the tables are the sleeper's. */
        fw_cfg_put_number(board->fw_cfg, FW_CFG_N_CPUS, machine_n_vcpus(machine), 2);
        return true;
    }
    if (!assign_resources(machine, error))
        return false;
    g_assert(board->acpi);      /* else there is no S3 */
    tables = address_space_map(machine->memory, board->acpi_gpa,
                               acpi_tables_size(board->acpi), false);
    g_assert(tables);
    if (!acpi_fadt_waking(board->acpi, tables, &waking, error))
        return false;
    boot->entry = waking.flat ? VCPU_ENTRY_PVH : VCPU_ENTRY_REAL;
    boot->ip = waking.vector;
    return true;
}

void machine_q35_power_button(Q35Board *board)
{
    lpc_power_button(board->lpc);
}
