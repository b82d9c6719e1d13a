/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM: one backend, or one for each node that has memory, one behind the other;
 * mapped below the 32-bit hole and, what is left, from 4 GiB.  Behind it are addresses
 * for memory that comes later: as much as may come, and 1 GiB more for each slot, so that
 * every module can begin at a multiple of that.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/memory-backend.h"
#include "berth/memory-device.h"
#include "berth/numa.h"
#include "berth/object.h"
#include "berth/x86-layout.h"

#include "machine-memory.h"

#define DEFAULT_RAM_SIZE (128 * MIB)
#define MAX_RAM_SIZE (16 * 1024 * GIB)
#define PAGE 4096u

/* Two views of memory_root, and of what is above it in each. */
static void make_smm_spaces(Machine *machine)
{
    region_init_container(&machine->outside_root, "outside-smm", UINT64_MAX);
    region_init_container(&machine->smm_root, "smm", UINT64_MAX);
    region_init_alias(&machine->smm_window, "smm-memory", &machine->memory_root, 0,
                      UINT64_MAX);
    region_add(&machine->outside_root, 0, &machine->memory_root, 0);
    region_add(&machine->smm_root, 0, &machine->smm_window, 0);
    machine->memory =
        address_space_new("memory", &machine->outside_root, machine->vm, false);
    machine->smm = address_space_new_smm("smm", &machine->smm_root, machine->memory);
}

void machine_memory_init(Machine *machine)
{
    region_init_container(&machine->memory_root, "memory", UINT64_MAX);
    region_init_container(&machine->io_root, "io", 0x10000);
    if (machine_has_smm(machine))
        make_smm_spaces(machine);
    else
        machine->memory =
            address_space_new("memory", &machine->memory_root, machine->vm, false);
    machine->io = address_space_new("io", &machine->io_root, machine->vm, true);
}

static bool check_options(const Cmdline *cmdline, GError **error)
{
    const MemoryOptions *memory = cmdline->memory;

    if (!memory)
        return true;
    if (memory->has_size && (memory->size == 0 || memory->size > MAX_RAM_SIZE))
        error_set(error,
                  "option '-m': parameter 'size' expects 1 byte to %" PRIu64 " GiB",
                  (uint64_t)(MAX_RAM_SIZE / GIB));
    else if (memory->slots > 0 && !memory->has_maxmem)
        error_set(error, "option '-m': parameter 'slots' expects 'maxmem', too");
    else if (memory->slots > MEMORY_MAX_SLOTS)
        error_set(error, "option '-m': parameter 'slots' expects 0 to %u",
                  MEMORY_MAX_SLOTS);
    else if (memory->has_maxmem && memory->maxmem > MAX_RAM_SIZE)
        error_set(error, "option '-m': parameter 'maxmem' expects %" PRIu64 " GiB at "
                  "most", (uint64_t)(MAX_RAM_SIZE / GIB));
    else if (memory->has_maxmem && memory->maxmem % PAGE != 0)
        error_set(error, "option '-m': parameter 'maxmem' expects a multiple of %u bytes",
                  PAGE);
    else
        return true;
    return false;
}

/* Against the memory that there is from the start, @size. */
static bool check_maxmem(const MemoryOptions *memory, uint64_t size, GError **error)
{
    if (!memory || !memory->has_maxmem)
        return true;
    if (memory->maxmem < (memory->has_size ? MIN(memory->size, size) : size)) {
        error_set(error, "option '-m': parameter 'maxmem' must be at least 'size' (%"
                  PRIu64 " bytes)", size);
        return false;
    }
    if (memory->slots > 0 && memory->maxmem <= size) {
        error_set(error, "option '-m': parameter 'slots' expects 'maxmem' to be more "
                  "than 'size' (%" PRIu64 " bytes)", size);
        return false;
    }
    return true;
}

/* The options of what -m makes, with -mem-path a file. */
static ObjectOptions *default_options(const Machine *machine, uint64_t size)
{
    const MemoryBackendProps props = {
        .size = size,
        .has_reserve = true,
        .reserve = true,
        .has_thp = true,
        .thp = ON_OFF_AUTO_AUTO,
    };
    ObjectOptions *object = g_new0(ObjectOptions, 1);

    object->id = g_strdup(machine_types_ram_id(machine->type));
    if (!machine->cmdline->mem_path) {
        object->qom_type = OBJECT_TYPE_MEMORY_BACKEND_RAM;
        object->u.memory_backend_ram = props;
        return object;
    }
    object->qom_type = OBJECT_TYPE_MEMORY_BACKEND_FILE;
    /* The schema's base members come first. */
    memcpy(&object->u.memory_backend_file, &props, sizeof(props));
    object->u.memory_backend_file.mem_path = g_strdup(machine->cmdline->mem_path);
    return object;
}

static Object *make_default(Machine *machine, uint64_t size, GError **error)
{
    g_autoptr(ObjectOptions) object = default_options(machine, size);

    if (!object_add(machine->objects, object, error))
        return NULL;
    return object_find(machine->objects, object->id);
}

static Object *find_backend(Machine *machine, GError **error)
{
    const MemoryOptions *memory = machine->cmdline->memory;
    const MachineOptions *options = machine->cmdline->machine;
    uint64_t size = memory && memory->has_size ? memory->size : 0;
    Object *object;

    if (!options || !options->memory_backend)
        return make_default(machine, size ? size : DEFAULT_RAM_SIZE, error);
    if (machine->cmdline->mem_path) {
        error_set(error, "option '-mem-path' and parameter 'memory-backend' are two "
                  "ways to say what the guest's memory is");
        return NULL;
    }
    object = object_find(machine->objects, options->memory_backend);
    if (!object || !memory_backend_ram(object)) {
        error_set(error, "parameter 'memory-backend': there is no memory backend '%s'",
                  options->memory_backend);
        return NULL;
    }
    if (size && size != memory_backend_ram(object)->size) {
        error_set(error,
                  "option '-m': parameter 'size' is %" PRIu64 " bytes, but the memory "
                  "backend '%s' has %" PRIu64,
                  size, options->memory_backend, memory_backend_ram(object)->size);
        return NULL;
    }
    return object;
}

/* A backend and its place in the guest's memory, as if there were no 32-bit hole. */
typedef struct MachineRam {
    Object *object;             /* held */
    unsigned node;
    uint64_t start;
    uint64_t low_size;          /* below the hole */
    Region low;
    Region high;
} MachineRam;

static uint64_t high_size(const MachineRam *part)
{
    return memory_backend_ram(part->object)->size - part->low_size;
}

static uint64_t high_base(const MachineRam *part)
{
    return X86_HIGH_RAM_BASE + (MAX(part->start, X86_LOW_RAM_MAX) - X86_LOW_RAM_MAX);
}

/* Takes @object as what follows the memory that there is. */
static void add_part(Machine *machine, Object *object, unsigned node)
{
    RamBlock *ram = memory_backend_ram(object);
    MachineRam *part = &machine->ram_parts[machine->n_ram_parts++];

    object->n_users++;
    *part = (MachineRam) { .object = object, .node = node, .start = machine->ram_size };
    if (part->start < X86_LOW_RAM_MAX)
        part->low_size = MIN(ram->size, X86_LOW_RAM_MAX - part->start);
    machine->ram_size += ram->size;
    if (part->low_size) {
        region_init_ram(&part->low, "ram-below-4g", ram, 0, part->low_size);
        region_add(&machine->memory_root, part->start, &part->low, 0);
    }
    if (high_size(part)) {
        region_init_ram(&part->high, "ram-above-4g", ram, part->low_size,
                        high_size(part));
        region_add(&machine->memory_root, high_base(part), &part->high, 0);
    }
}

static bool plug_whole(Machine *machine, GError **error)
{
    Object *object = find_backend(machine, error);

    if (!object || !check_maxmem(machine->cmdline->memory,
                                 memory_backend_ram(object)->size, error))
        return false;
    machine->ram_parts = g_new0(MachineRam, 1);
    add_part(machine, object, 0);
    machine->ram_object = object;
    return true;
}

static Object *find_memdev(Machine *machine, const char *id, GError **error)
{
    Object *object = object_find(machine->objects, id);

    if (!object || !memory_backend_ram(object)) {
        error_set(error, "parameter 'memdev': there is no memory backend '%s'", id);
        return NULL;
    }
    if (object->n_users > 0) {
        error_set(error, "parameter 'memdev': can't use already busy memdev: %s", id);
        return NULL;
    }
    return object;
}

static bool check_nodes(const Machine *machine, GError **error)
{
    const MachineOptions *options = machine->cmdline->machine;

    if (options && options->memory_backend)
        error_set(error, "'-machine memory-backend' and '-numa memdev' are mutually "
                  "exclusive");
    else if (machine->cmdline->mem_path)
        error_set(error, "'-mem-path' and '-numa memdev' are mutually exclusive");
    else
        return true;
    return false;
}

/* The sum of the nodes is what "-m" says. */
static bool check_sum(const Machine *machine, GError **error)
{
    const MemoryOptions *memory = machine->cmdline->memory;
    uint64_t size = memory && memory->has_size ? memory->size : DEFAULT_RAM_SIZE;

    if (machine->ram_size != size) {
        error_set(error, "total memory for NUMA nodes (0x%" PRIx64 ") should equal RAM "
                  "size (0x%" PRIx64 ")", machine->ram_size, size);
        return false;
    }
    return check_maxmem(memory, size, error);
}

static bool plug_nodes(Machine *machine, GError **error)
{
    Numa *numa = machine->numa;

    if (!check_nodes(machine, error))
        return false;
    machine->ram_parts = g_new0(MachineRam, numa->n_nodes);
    for (unsigned i = 0; i < numa->n_nodes; i++) {
        Object *object;

        if (!numa->nodes[i].memdev)
            continue;
        object = find_memdev(machine, numa->nodes[i].memdev, error);
        if (!object)
            return false;
        if (memory_backend_ram(object)->size > MAX_RAM_SIZE - machine->ram_size) {
            error_set(error, "the nodes have more than %" PRIu64 " GiB of memory",
                      (uint64_t)(MAX_RAM_SIZE / GIB));
            return false;
        }
        add_part(machine, object, i);
        numa->nodes[i].size = memory_backend_ram(object)->size;
    }
    return check_sum(machine, error);
}

static void make_window(Machine *machine)
{
    const MemoryOptions *memory = machine->cmdline->memory;
    uint64_t low = MIN(machine->ram_size, X86_LOW_RAM_MAX);
    MemoryWindowOptions options = {
        .root = &machine->memory_root,
        .memory = machine->memory,
        .n_nodes = machine->numa ? machine->numa->n_nodes : 1,
    };

    machine->high_end = X86_HIGH_RAM_BASE + machine->ram_size - low;
    if (!memory || memory->maxmem <= machine->ram_size)
        return;
    options.limit = memory->maxmem - machine->ram_size;
    options.gpa = ALIGN_UP(machine->high_end, GIB);
    options.size = ALIGN_UP(options.limit + memory->slots * GIB, GIB);
    machine->memory_window = memory_device_window_new(&options);
    machine->come_base = options.gpa;
    machine->come_size = options.size;
    machine->high_end = options.gpa + options.size;
}

uint16_t machine_memory_extended_tseg(const Machine *machine)
{
    return machine->cmdline->onboard[ONBOARD_DRIVER_MCH]->u.mch.extended_tseg_mbytes;
}

/* There is room for what firmware may take for system management mode. */
static bool check_tseg(const Machine *machine, GError **error)
{
    uint64_t size = machine_memory_extended_tseg(machine) * MIB;

    if (!machine_has_smm(machine) || size < MIN(machine->ram_size, X86_LOW_RAM_MAX))
        return true;
    error_set(error, "option '-m': firmware may take %u MiB below 4 GiB for system "
              "management mode (-global mch.extended-tseg-mbytes), which is all",
              machine_memory_extended_tseg(machine));
    return false;
}

bool machine_memory_plug(Machine *machine, GError **error)
{
    bool good;

    if (!check_options(machine->cmdline, error))
        return false;
    good = machine->numa ? plug_nodes(machine, error) : plug_whole(machine, error);
    if (!good && machine->numa)
        g_prefix_error(error, "option '-numa': ");
    if (!good || !check_tseg(machine, error))
        return false;
    make_window(machine);
    return true;
}

RamBlock *machine_memory_first(const Machine *machine)
{
    return machine->n_ram_parts ? memory_backend_ram(machine->ram_parts[0].object) : NULL;
}

unsigned machine_memory_of_node(const Machine *machine, unsigned node,
                                AcpiMemory ret_parts[2])
{
    unsigned n = 0;

    for (unsigned i = 0; i < machine->n_ram_parts; i++) {
        const MachineRam *part = &machine->ram_parts[i];

        if (part->node != node)
            continue;
        if (part->low_size)
            ret_parts[n++] = (AcpiMemory) {
                .base = part->start, .size = part->low_size, .node = node,
            };
        if (high_size(part))
            ret_parts[n++] = (AcpiMemory) {
                .base = high_base(part), .size = high_size(part), .node = node,
            };
    }
    return n;
}

static void free_smm_spaces(Machine *machine)
{
    address_space_free(machine->smm);
    address_space_free(machine->memory);
    region_done(&machine->smm_window);
    region_done(&machine->smm_root);
    region_remove(&machine->memory_root);
    region_done(&machine->outside_root);
}

void machine_memory_done(Machine *machine)
{
    for (unsigned i = 0; i < machine->n_ram_parts; i++) {
        MachineRam *part = &machine->ram_parts[i];

        if (part->low_size)
            region_done(&part->low);
        if (high_size(part))
            region_done(&part->high);
        object_release(part->object);
    }
    g_clear_pointer(&machine->memory_window, memory_device_window_free);
    g_clear_pointer(&machine->ram_parts, g_free);
    machine->n_ram_parts = 0;
    machine->ram_object = NULL;
    if (machine->smm)
        free_smm_spaces(machine);
    else
        address_space_free(machine->memory);
    address_space_free(machine->io);
    region_done(&machine->memory_root);
    region_done(&machine->io_root);
}
