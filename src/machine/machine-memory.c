/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM: one backend, mapped below the 32-bit hole and, what is left, from 4 GiB.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/memory-backend.h"
#include "berth/object.h"
#include "berth/x86-layout.h"

#include "machine-memory.h"

#define DEFAULT_RAM_SIZE (128 * MIB)
#define MAX_RAM_SIZE (16 * 1024 * GIB)

void machine_memory_init(Machine *machine)
{
    region_init_container(&machine->memory_root, "memory", UINT64_MAX);
    region_init_container(&machine->io_root, "io", 0x10000);
    machine->memory =
        address_space_new("memory", &machine->memory_root, machine->vm, false);
    machine->io = address_space_new("io", &machine->io_root, machine->vm, true);
}

static bool check_options(const Cmdline *cmdline, GError **error)
{
    const MemoryOptions *memory = cmdline->memory;

    if (!memory)
        return true;
    if (memory->has_size && (memory->size == 0 || memory->size > MAX_RAM_SIZE)) {
        error_set(error,
                  "option '-m': parameter 'size' expects 1 byte to %" PRIu64 " GiB",
                  (uint64_t)(MAX_RAM_SIZE / GIB));
        return false;
    }
    if (memory->has_slots && memory->slots != 0) {
        error_set(error, "option '-m': parameter 'slots' expects 0: there are no memory "
                  "devices that could be plugged");
        return false;
    }
    return true;
}

static bool check_maxmem(const MemoryOptions *memory, uint64_t size, GError **error)
{
    if (!memory || !memory->has_maxmem || memory->maxmem == size ||
        (memory->has_size && memory->maxmem == memory->size))
        return true;
    error_set(error,
              "option '-m': parameter 'maxmem' expects the same as 'size' (%" PRIu64
              " bytes): there are no memory devices that could be plugged", size);
    return false;
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

    object->id = g_strdup(machine->type->default_ram_id);
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

bool machine_memory_plug(Machine *machine, GError **error)
{
    Object *object;
    uint64_t low;

    if (!check_options(machine->cmdline, error))
        return false;
    object = find_backend(machine, error);
    if (!object || !check_maxmem(machine->cmdline->memory,
                                 memory_backend_ram(object)->size, error))
        return false;
    object->n_users++;
    machine->ram_object = object;
    machine->ram = memory_backend_ram(object);
    machine->ram_size = machine->ram->size;

    low = MIN(machine->ram_size, X86_LOW_RAM_MAX);
    region_init_ram(&machine->ram_low, "ram-below-4g", machine->ram, 0, low);
    region_add(&machine->memory_root, 0, &machine->ram_low, 0);
    if (machine->ram_size > low) {
        region_init_ram(&machine->ram_high, "ram-above-4g", machine->ram, low,
                        machine->ram_size - low);
        region_add(&machine->memory_root, X86_HIGH_RAM_BASE, &machine->ram_high, 0);
    }
    return true;
}

void machine_memory_done(Machine *machine)
{
    if (machine->ram_object) {
        region_done(&machine->ram_low);
        if (machine->ram_size > X86_LOW_RAM_MAX)
            region_done(&machine->ram_high);
        object_release(machine->ram_object);
        machine->ram_object = NULL;
    }
    address_space_free(machine->memory);
    address_space_free(machine->io);
    region_done(&machine->memory_root);
    region_done(&machine->io_root);
}
