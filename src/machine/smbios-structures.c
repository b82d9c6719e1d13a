/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The single SMBIOS structures (DSP0134 3.7, chapter 7), as of version 2.8 or 3.0 of the
 * specification.
 *
 * A field that was not named is what the machine says; one that was named as empty is
 * empty.  Memory is told as devices of 16 GiB, or of more so that they are few.
 */
#include "berth/error.h"

#include "smbios-table.h"

#define BIOS_SEGMENT 0xe000u            /* of the BIOS area, which begins at 0xe0000 */
#define BIOS_SIZE 1u                    /* 64 KiB more than 64 KiB */
#define BIOS_DATE "01/01/2026"
#define BIOS_NOT_SUPPORTED (1u << 3)    /* the characteristics of a PC's BIOS */
#define BIOS_EXT_UEFI 0x08u
#define BIOS_EXT_CONTENT 0x04u          /* targeted content distribution */
#define BIOS_EXT_VIRTUAL 0x10u

#define WAKE_UP_POWER_SWITCH 6u
#define BOARD_HOSTING 1u
#define BOARD_MOTHERBOARD 10u
#define CHASSIS_OTHER 1u
#define CHASSIS_SAFE 3u
#define CHASSIS_SECURITY_UNKNOWN 2u

#define PROCESSOR_CPU 3u
#define PROCESSOR_FAMILY_2 0xfeu        /* look at the second field */
#define PROCESSOR_FAMILY_OTHER 1u
#define PROCESSOR_ENABLED 0x41u         /* socket populated, CPU enabled */
#define PROCESSOR_UPGRADE_OTHER 1u
#define PROCESSOR_64_BIT (1u << 2)
#define PROCESSOR_MULTI_CORE (1u << 3)
#define PROCESSOR_HARDWARE_THREAD (1u << 4)
#define PROCESSOR_V2_SIZE 0x2au
#define DEFAULT_MHZ 2000u

#define NO_HANDLE 0xffffu
#define NO_ERROR_HANDLE 0xfffeu
#define NO_SEGMENT 0xffffu
#define NO_BUS 0xffu

#define ARRAY_OTHER 1u
#define ARRAY_SYSTEM_MEMORY 3u
#define ARRAY_MULTI_BIT_ECC 6u
#define ARRAY_KIB_MAX 0x80000000u
#define DEVICE_SIZE (16 * GIB)
#define DEVICES_MAX 64u
#define DEVICE_MIB_MAX 0x7fffu
#define DEVICE_UNKNOWN 0xffffu
#define DEVICE_DIMM 9u
#define DEVICE_RAM 7u
#define DEVICE_DETAIL_OTHER 2u
#define ONBOARD_ENABLED 0x80u

typedef struct __attribute__((packed)) Bios {
    SmbiosHeader header;
    uint8_t vendor;
    uint8_t version;
    uint16_t segment;
    uint8_t date;
    uint8_t size;
    uint64_t characteristics;
    uint8_t extension[2];
    uint8_t major;
    uint8_t minor;
    uint8_t controller_major;
    uint8_t controller_minor;
} Bios;

typedef struct __attribute__((packed)) System {
    SmbiosHeader header;
    uint8_t manufacturer;
    uint8_t product;
    uint8_t version;
    uint8_t serial;
    Uuid uuid;
    uint8_t wake_up;
    uint8_t sku;
    uint8_t family;
} System;

typedef struct __attribute__((packed)) Baseboard {
    SmbiosHeader header;
    uint8_t manufacturer;
    uint8_t product;
    uint8_t version;
    uint8_t serial;
    uint8_t asset;
    uint8_t features;
    uint8_t location;
    uint16_t chassis;
    uint8_t kind;
    uint8_t n_contained;
} Baseboard;

typedef struct __attribute__((packed)) Chassis {
    SmbiosHeader header;
    uint8_t manufacturer;
    uint8_t kind;
    uint8_t version;
    uint8_t serial;
    uint8_t asset;
    uint8_t boot_up_state;
    uint8_t power_supply_state;
    uint8_t thermal_state;
    uint8_t security;
    uint32_t oem;
    uint8_t height;
    uint8_t n_power_cords;
    uint8_t n_contained;
    uint8_t contained_size;
    uint8_t sku;
} Chassis;

typedef struct __attribute__((packed)) Processor {
    SmbiosHeader header;
    uint8_t socket;
    uint8_t kind;
    uint8_t family;
    uint8_t manufacturer;
    uint64_t id;
    uint8_t version;
    uint8_t voltage;
    uint16_t external_clock;
    uint16_t max_speed;
    uint16_t current_speed;
    uint8_t status;
    uint8_t upgrade;
    uint16_t caches[3];
    uint8_t serial;
    uint8_t asset;
    uint8_t part;
    uint8_t cores;
    uint8_t cores_enabled;
    uint8_t threads;
    uint16_t characteristics;
    uint16_t family2;
    /* From version 3.0 on. */
    uint16_t cores2;
    uint16_t cores_enabled2;
    uint16_t threads2;
} Processor;

typedef struct __attribute__((packed)) Port {
    SmbiosHeader header;
    uint8_t internal_reference;
    uint8_t internal_connector;
    uint8_t external_reference;
    uint8_t external_connector;
    uint8_t kind;
} Port;

typedef struct __attribute__((packed)) Slot {
    SmbiosHeader header;
    uint8_t designation;
    uint8_t kind;
    uint8_t width;
    uint8_t usage;
    uint8_t length;
    uint16_t id;
    uint8_t characteristics[2];
    uint16_t segment;
    uint8_t bus;
    uint8_t devfn;
} Slot;

typedef struct __attribute__((packed)) OemStrings {
    SmbiosHeader header;
    uint8_t count;
} OemStrings;

typedef struct __attribute__((packed)) MemoryArray {
    SmbiosHeader header;
    uint8_t location;
    uint8_t use;
    uint8_t error_correction;
    uint32_t capacity_kib;
    uint16_t error_handle;
    uint16_t n_devices;
    uint64_t capacity;          /* when capacity_kib is ARRAY_KIB_MAX */
} MemoryArray;

typedef struct __attribute__((packed)) MemoryDevice {
    SmbiosHeader header;
    uint16_t array;
    uint16_t error_handle;
    uint16_t total_width;
    uint16_t data_width;
    uint16_t size_mib;
    uint8_t form;
    uint8_t set;
    uint8_t locator;
    uint8_t bank;
    uint8_t kind;
    uint16_t detail;
    uint16_t speed;
    uint8_t manufacturer;
    uint8_t serial;
    uint8_t asset;
    uint8_t part;
    uint8_t attributes;
    uint32_t extended_size_mib; /* when size_mib is DEVICE_MIB_MAX */
    uint16_t configured_speed;
    uint16_t voltages[3];
} MemoryDevice;

typedef struct __attribute__((packed)) MappedArea {
    SmbiosHeader header;
    uint32_t first_kib;
    uint32_t last_kib;
    uint16_t array;
    uint8_t width;
    uint64_t first;             /* when first_kib is UINT32_MAX */
    uint64_t last;
} MappedArea;

typedef struct __attribute__((packed)) Boot {
    SmbiosHeader header;
    uint8_t reserved[6];
    uint8_t status;             /* 0: no errors */
} Boot;

typedef struct __attribute__((packed)) Onboard {
    SmbiosHeader header;
    uint8_t designation;
    uint8_t kind;
    uint8_t instance;
    uint16_t segment;
    uint8_t bus;
    uint8_t devfn;
} Onboard;

G_STATIC_ASSERT(sizeof(Bios) == 0x18 && sizeof(System) == 0x1b);
G_STATIC_ASSERT(sizeof(Baseboard) == 0x0f && sizeof(Chassis) == 0x16);
G_STATIC_ASSERT(sizeof(Processor) == 0x30 && sizeof(Port) == 0x09);
G_STATIC_ASSERT(sizeof(Slot) == 0x11 && sizeof(MemoryArray) == 0x17);
G_STATIC_ASSERT(sizeof(MemoryDevice) == 0x28 && sizeof(MappedArea) == 0x1f);
G_STATIC_ASSERT(sizeof(Boot) == 0x0b && sizeof(Onboard) == 0x0b);

/* A named text, empty or not, in place of the machine's. */
static const char *named(const char *text, const char *machine)
{
    return text ? text : machine;
}

static void append_bios(SmbiosTables *tables)
{
    const SmbiosMachine *machine = tables->machine;
    const SmbiosBiosProps *props = &tables->options->bios;
    SmbiosRelease release = props->release ? tables->options->bios_release
                                           : machine->firmware_release;
    Bios bios = {
        .segment = BIOS_SEGMENT,
        .size = BIOS_SIZE,
        .characteristics = BIOS_NOT_SUPPORTED,
        .extension = { 0, BIOS_EXT_CONTENT | BIOS_EXT_VIRTUAL },
        .major = release.major,
        .minor = release.minor,
        .controller_major = UINT8_MAX,
        .controller_minor = UINT8_MAX,
    };

    if (!smbios_wants(tables, 0, machine->is_firmware))
        return;
    bios.header = smbios_header(tables, 0, sizeof(bios), 0);
    bios.vendor = smbios_string(tables, named(props->vendor, machine->manufacturer));
    bios.version = smbios_string(tables, named(props->version,
                                               machine->firmware_version));
    bios.date = smbios_string(tables, named(props->date, BIOS_DATE));
    if (props->has_uefi && props->uefi)
        bios.extension[1] |= BIOS_EXT_UEFI;
    smbios_append(tables, &bios);
}

static void append_system(SmbiosTables *tables)
{
    const SmbiosMachine *machine = tables->machine;
    const SmbiosSystemProps *props = &tables->options->system;
    System system = {
        .uuid = uuid_to_little(&machine->uuid),
        .wake_up = WAKE_UP_POWER_SWITCH,
    };

    if (!smbios_wants(tables, 1, true))
        return;
    system.header = smbios_header(tables, 1, sizeof(system), 0);
    system.manufacturer =
        smbios_string(tables, named(props->manufacturer, machine->manufacturer));
    system.product = smbios_string(tables, named(props->product, machine->product));
    system.version = smbios_string(tables, named(props->version, machine->version));
    system.serial = smbios_string(tables, props->serial);
    system.sku = smbios_string(tables, props->sku);
    system.family = smbios_string(tables, props->family);
    smbios_append(tables, &system);
}

/* The handle by which others name the structure of @type, which @made has. */
static uint16_t handle_of(const SmbiosTables *tables, unsigned type, uint16_t made)
{
    return tables->options->has_file[type] ? tables->options->file_handle[type] : made;
}

static uint16_t append_chassis(SmbiosTables *tables)
{
    const SmbiosMachine *machine = tables->machine;
    const SmbiosChassisProps *props = &tables->options->chassis;
    Chassis chassis = {
        .kind = CHASSIS_OTHER,
        .boot_up_state = CHASSIS_SAFE,
        .power_supply_state = CHASSIS_SAFE,
        .thermal_state = CHASSIS_SAFE,
        .security = CHASSIS_SECURITY_UNKNOWN,
    };

    if (!smbios_wants(tables, 3, true))
        return handle_of(tables, 3, NO_HANDLE);
    chassis.header = smbios_header(tables, 3, sizeof(chassis), 0);
    chassis.manufacturer =
        smbios_string(tables, named(props->manufacturer, machine->manufacturer));
    chassis.version = smbios_string(tables, named(props->version, machine->version));
    chassis.serial = smbios_string(tables, props->serial);
    chassis.asset = smbios_string(tables, props->asset);
    chassis.sku = smbios_string(tables, props->sku);
    return smbios_append(tables, &chassis);
}

static void append_baseboard(SmbiosTables *tables, uint16_t chassis)
{
    const SmbiosMachine *machine = tables->machine;
    const SmbiosBoardProps *props = &tables->options->board;
    Baseboard board = {
        .features = BOARD_HOSTING,
        .chassis = chassis,
        .kind = BOARD_MOTHERBOARD,
    };

    if (!smbios_wants(tables, 2, false))
        return;
    board.header = smbios_header(tables, 2, sizeof(board), 0);
    board.manufacturer =
        smbios_string(tables, named(props->manufacturer, machine->manufacturer));
    board.product = smbios_string(tables, named(props->product, machine->product));
    board.version = smbios_string(tables, named(props->version, machine->version));
    board.serial = smbios_string(tables, props->serial);
    board.asset = smbios_string(tables, props->asset);
    board.location = smbios_string(tables, props->location);
    smbios_append(tables, &board);
}

static void set_processor_texts(SmbiosTables *tables, Processor *cpu, unsigned socket)
{
    const SmbiosMachine *machine = tables->machine;
    const SmbiosProcessorProps *props = &tables->options->processor;
    g_autofree char *designation =
        g_strdup_printf("%s %u", named(props->sock_pfx, "CPU"), socket);

    cpu->socket = smbios_string(tables, designation);
    cpu->manufacturer =
        smbios_string(tables, named(props->manufacturer, machine->manufacturer));
    cpu->version = smbios_string(tables, named(props->version, machine->version));
    cpu->serial = smbios_string(tables, props->serial);
    cpu->asset = smbios_string(tables, props->asset);
    cpu->part = smbios_string(tables, props->part);
}

static void append_processor(SmbiosTables *tables, unsigned socket)
{
    const SmbiosMachine *machine = tables->machine;
    const SmbiosProcessorProps *props = &tables->options->processor;
    Processor cpu = {
        .header = smbios_header(tables, 4, tables->is_v3 ? sizeof(cpu)
                                                         : PROCESSOR_V2_SIZE, socket),
        .kind = PROCESSOR_CPU,
        .family = PROCESSOR_FAMILY_2,
        .id = props->processor_id ? props->processor_id : machine->processor_id,
        .max_speed = props->has_max_speed ? props->max_speed : DEFAULT_MHZ,
        .current_speed = props->has_current_speed ? props->current_speed : DEFAULT_MHZ,
        .status = PROCESSOR_ENABLED,
        .upgrade = PROCESSOR_UPGRADE_OTHER,
        .caches = { NO_HANDLE, NO_HANDLE, NO_HANDLE },
        .cores = MIN(machine->cores, UINT8_MAX),
        .cores_enabled = MIN(machine->cores, UINT8_MAX),
        .threads = MIN(machine->threads, UINT8_MAX),
        .characteristics = PROCESSOR_64_BIT |
            (machine->cores > 1 ? PROCESSOR_MULTI_CORE : 0) |
            (machine->threads > machine->cores ? PROCESSOR_HARDWARE_THREAD : 0),
        .family2 = props->has_processor_family ? props->processor_family
                                               : PROCESSOR_FAMILY_OTHER,
        .cores2 = machine->cores,
        .cores_enabled2 = machine->cores,
        .threads2 = machine->threads,
    };

    set_processor_texts(tables, &cpu, socket);
    smbios_append(tables, &cpu);
}

static void append_port(SmbiosTables *tables, const SmbiosPortProps *props,
                        unsigned instance)
{
    Port port = {
        .header = smbios_header(tables, 8, sizeof(port), instance),
        .external_connector = props->connector_type,
        .kind = props->port_type,
    };

    port.internal_reference = smbios_string(tables, props->internal_reference);
    port.external_reference = smbios_string(tables, props->external_reference);
    smbios_append(tables, &port);
}

/* Where device @id is, if one is named. */
static bool find_pci(const SmbiosTables *tables, const char *id, uint16_t *segment,
                     uint8_t *bus, uint8_t *devfn, GError **error)
{
    *segment = NO_SEGMENT;
    *bus = NO_BUS;
    *devfn = UINT8_MAX;
    if (!id)
        return true;
    *segment = 0;
    *bus = 0;
    return tables->machine->find_pci(tables->machine->opaque, id, devfn, error);
}

static bool append_slot(SmbiosTables *tables, const SmbiosSlotProps *props,
                        unsigned instance, GError **error)
{
    Slot slot = {
        .kind = props->slot_type,
        .width = props->slot_data_bus_width,
        .usage = props->current_usage,
        .length = props->slot_length,
        .id = props->slot_id,
        .characteristics = { props->slot_characteristics1, props->slot_characteristics2 },
    };
    uint16_t segment;

    if (!find_pci(tables, props->pci_device, &segment, &slot.bus, &slot.devfn, error)) {
        g_prefix_error(error, "-smbios type=9: parameter 'pci_device': ");
        return false;
    }
    slot.segment = segment;
    slot.header = smbios_header(tables, 9, sizeof(slot), instance);
    slot.designation = smbios_string(tables, props->slot_designation);
    smbios_append(tables, &slot);
    return true;
}

static bool append_onboard(SmbiosTables *tables, const SmbiosOnboardProps *props,
                           unsigned instance, GError **error)
{
    Onboard onboard = {
        .kind = (props->kind + 1) | ONBOARD_ENABLED,
        .instance = props->instance,
    };
    uint16_t segment;

    if (!find_pci(tables, props->pcidev, &segment, &onboard.bus, &onboard.devfn, error)) {
        g_prefix_error(error, "-smbios type=41: parameter 'pcidev': ");
        return false;
    }
    onboard.segment = segment;
    onboard.header = smbios_header(tables, 41, sizeof(onboard), instance);
    onboard.designation = smbios_string(tables, props->designation);
    smbios_append(tables, &onboard);
    return true;
}

/* The occurrences of @type, one structure each. */
static bool append_each(SmbiosTables *tables, SmbiosType type, GError **error)
{
    const GPtrArray *each = tables->options->each;
    unsigned n = 0;

    for (guint i = 0; i < each->len; i++) {
        const SmbiosOption *option = g_ptr_array_index(each, i);

        if (option->type != type)
            continue;
        if (type == SMBIOS_TYPE_8)
            append_port(tables, &option->u.q_8, n++);
        else if (type == SMBIOS_TYPE_9 &&
                 !append_slot(tables, &option->u.q_9, n++, error))
            return false;
        else if (type == SMBIOS_TYPE_41 &&
                 !append_onboard(tables, &option->u.q_41, n++, error))
            return false;
    }
    return true;
}

/* A structure holds 255 texts. */
static void append_oem_strings(SmbiosTables *tables)
{
    const GPtrArray *texts = tables->options->oem_strings;

    for (guint i = 0, n; i < texts->len; i += n) {
        OemStrings strings = {
            .header = smbios_header(tables, 11, sizeof(strings), i / UINT8_MAX),
        };

        n = MIN(texts->len - i, UINT8_MAX);
        for (guint k = i; k < i + n; k++)
            strings.count = smbios_string(tables, g_ptr_array_index(texts, k));
        smbios_append(tables, &strings);
    }
}

static uint64_t total_ram(const SmbiosMachine *machine)
{
    uint64_t total = 0;

    for (size_t i = 0; i < machine->n_ram; i++)
        total += machine->ram[i].size;
    return total;
}

static uint16_t append_memory_array(SmbiosTables *tables, uint64_t total,
                                    unsigned n_devices)
{
    uint64_t kib = (total + KIB - 1) / KIB;
    MemoryArray array = {
        .location = ARRAY_OTHER,
        .use = ARRAY_SYSTEM_MEMORY,
        .error_correction = ARRAY_MULTI_BIT_ECC,
        .capacity_kib = MIN(kib, ARRAY_KIB_MAX),
        .error_handle = NO_ERROR_HANDLE,
        .n_devices = n_devices,
        .capacity = kib < ARRAY_KIB_MAX ? 0 : total,
    };

    if (!smbios_wants(tables, 16, true))
        return handle_of(tables, 16, NO_HANDLE);
    array.header = smbios_header(tables, 16, sizeof(array), 0);
    return smbios_append(tables, &array);
}

static void append_memory_device(SmbiosTables *tables, uint16_t array, unsigned n,
                                 uint64_t size)
{
    const SmbiosMemoryDeviceProps *props = &tables->options->memory_device;
    g_autofree char *locator = g_strdup_printf("%s %u", named(props->loc_pfx, "DIMM"), n);
    uint64_t mib = (size + MIB - 1) / MIB;
    MemoryDevice device = {
        .header = smbios_header(tables, 17, sizeof(device), n),
        .array = array,
        .error_handle = NO_ERROR_HANDLE,
        .total_width = DEVICE_UNKNOWN,
        .data_width = DEVICE_UNKNOWN,
        .size_mib = MIN(mib, DEVICE_MIB_MAX),
        .form = DEVICE_DIMM,
        .kind = DEVICE_RAM,
        .detail = DEVICE_DETAIL_OTHER,
        .speed = props->speed,
        .extended_size_mib = mib < DEVICE_MIB_MAX ? 0 : mib,
        .configured_speed = props->speed,
    };

    device.locator = smbios_string(tables, locator);
    device.bank = smbios_string(tables, props->bank);
    device.manufacturer = smbios_string(tables, named(props->manufacturer,
                                                      tables->machine->manufacturer));
    device.serial = smbios_string(tables, props->serial);
    device.asset = smbios_string(tables, props->asset);
    device.part = smbios_string(tables, props->part);
    smbios_append(tables, &device);
}

static void append_mapped_area(SmbiosTables *tables, uint16_t array, unsigned n)
{
    const SmbiosRange *range = &tables->machine->ram[n];
    uint64_t last = range->base + (range->size - 1);
    MappedArea area = {
        .header = smbios_header(tables, 19, sizeof(area), n),
        .first_kib = range->base / KIB,
        .last_kib = last / KIB,
        .array = array,
        .width = 1,
    };

    if (last / KIB >= UINT32_MAX) {
        area.first_kib = UINT32_MAX;
        area.last_kib = UINT32_MAX;
        area.first = range->base;
        area.last = last;
    }
    smbios_append(tables, &area);
}

static void append_memory(SmbiosTables *tables)
{
    uint64_t total = total_ram(tables->machine);
    uint64_t size = DEVICE_SIZE;
    unsigned n_devices;
    uint16_t array;

    while (size * DEVICES_MAX < total)
        size *= 2;
    n_devices = (total + size - 1) / size;
    array = append_memory_array(tables, total, n_devices);
    for (unsigned i = 0; i < n_devices && smbios_wants(tables, 17, true); i++)
        append_memory_device(tables, array, i, MIN(size, total - i * size));
    for (unsigned i = 0; i < tables->machine->n_ram && smbios_wants(tables, 19, true);
         i++)
        append_mapped_area(tables, array, i);
}

static void append_boot(SmbiosTables *tables)
{
    Boot boot = { .status = 0 };

    if (!smbios_wants(tables, 32, true))
        return;
    boot.header = smbios_header(tables, 32, sizeof(boot), 0);
    smbios_append(tables, &boot);
}

bool smbios_structures_append(SmbiosTables *tables, GError **error)
{
    append_bios(tables);
    append_system(tables);
    append_baseboard(tables, append_chassis(tables));
    for (unsigned i = 0; i < tables->machine->sockets && smbios_wants(tables, 4, true);
         i++)
        append_processor(tables, i);
    if (!append_each(tables, SMBIOS_TYPE_8, error) ||
        !append_each(tables, SMBIOS_TYPE_9, error))
        return false;
    append_oem_strings(tables);
    append_memory(tables);
    append_boot(tables);
    return append_each(tables, SMBIOS_TYPE_41, error);
}
