/* SPDX-License-Identifier: Apache-2.0 */
/* A module of memory: a backend, guest addresses, and a slot by which ACPI names it. */
#include "berth/error.h"
#include "berth/memhp.h"
#include "berth/vmstate.h"

typedef struct PcDimm {
    Device dev;
    MemoryDevice memory;

    /* As a saved state has them: a guest goes on where it was. */
    uint32_t slot;
    uint64_t gpa;
    uint64_t size;
} PcDimm;

static PcDimm *to_dimm(const Device *dev)
{
    return CONTAINER_OF((Device *)dev, PcDimm, dev);
}

unsigned memhp_dimm_slot(const Device *dev)
{
    return to_dimm(dev)->slot;
}

MemoryDevice *memhp_dimm_memory(Device *dev)
{
    return &to_dimm(dev)->memory;
}

static MemoryDeviceInfo *dimm_query(const MemoryDevice *memory)
{
    const PcDimm *dimm = CONTAINER_OF((MemoryDevice *)memory, PcDimm, memory);
    MemoryDeviceInfo *info = g_new0(MemoryDeviceInfo, 1);
    PCDIMMDeviceInfo *data = g_new0(PCDIMMDeviceInfo, 1);

    data->id = g_strdup(dimm->dev.id);
    data->addr = (int64_t)memory->gpa;
    data->size = (int64_t)memory->size;
    data->slot = dimm->slot;
    data->node = memory->node;
    data->memdev = g_strdup_printf("/objects/%s", memory->memdev->id);
    data->hotplugged = dimm->dev.hotplugged;
    data->hotpluggable = true;
    info->type = MEMORY_DEVICE_INFO_KIND_DIMM;
    info->u.dimm.data = data;
    return info;
}

static const MemoryDeviceOps dimm_ops = { .query = dimm_query };

static bool is_taken(const Bus *bus, unsigned slot)
{
    LIST_FOREACH(node, &bus->devices) {
        if (memhp_dimm_slot(CONTAINER_OF(node, Device, bus_node)) == slot)
            return true;
    }
    return false;
}

static bool choose_slot(const Bus *bus, int32_t wanted, uint32_t *ret_slot,
                        GError **error)
{
    unsigned n = memhp_n_slots(bus);

    if (wanted >= 0 && (unsigned)wanted >= n) {
        error_set(error, "parameter 'slot' is %d, must be 0 to %u", wanted, n - 1);
        return false;
    }
    if (wanted >= 0 && is_taken(bus, (unsigned)wanted)) {
        error_set(error, "parameter 'slot': slot %d is busy", wanted);
        return false;
    }
    *ret_slot = wanted >= 0 ? (uint32_t)wanted : 0;
    while (wanted < 0 && *ret_slot < n && is_taken(bus, *ret_slot))
        (*ret_slot)++;
    if (*ret_slot < n)
        return true;
    error_set(error, "parameter 'slot': no free slots available, the machine has %u", n);
    return false;
}

/* In *@ret_gpa, 0 for any. */
static bool parse_addr(const PciAddr *addr, uint64_t *ret_gpa, GError **error)
{
    char *end;

    *ret_gpa = 0;
    if (!addr)
        return true;
    if (addr->type == QAPI_KIND_INT && addr->u.n >= 0) {
        *ret_gpa = (uint64_t)addr->u.n;
        return true;
    }
    if (addr->type == QAPI_KIND_STR && g_ascii_isdigit(addr->u.s[0])) {
        errno = 0;
        *ret_gpa = g_ascii_strtoull(addr->u.s, &end, 0);
        if (errno == 0 && *end == '\0')
            return true;
    }
    error_set(error, "parameter 'addr' expects an address of memory");
    return false;
}

static bool dimm_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    const PcDimmProps *props = &args->u.pc_dimm;
    PcDimm *dimm = to_dimm(dev);
    MemoryRequest request = {
        .memdev = props->memdev, .node = props->node, .gpa_name = "addr",
    };

    if (!parse_addr(args->addr, &request.gpa, error) ||
        !choose_slot(dev->bus, props->slot, &dimm->slot, error))
        return false;
    request.has_gpa = request.gpa != 0;
    dimm->memory = (MemoryDevice) { .ops = &dimm_ops, .dev = dev };
    if (!memory_device_plug(&dimm->memory, &request, error))
        return false;
    dimm->gpa = dimm->memory.gpa;
    dimm->size = dimm->memory.size;
    return true;
}

static void dimm_unrealize(Device *dev)
{
    memory_device_done(&to_dimm(dev)->memory);
}

static bool dimm_is_draining(Device *dev)
{
    return dev->state == DEVICE_STATE_LEAVING &&
           memory_device_is_used(&to_dimm(dev)->memory);
}

static bool dimm_post_load(void *opaque, GError **error)
{
    const PcDimm *dimm = opaque;
    const MemoryDevice *memory = &dimm->memory;

    if (dimm->gpa == memory->gpa && dimm->size == memory->size &&
        dimm->slot < memhp_n_slots(dimm->dev.bus))
        return true;
    error_set(error, "the memory had %" PRIu64 " bytes at 0x%" PRIx64 " in slot %u",
              dimm->size, dimm->gpa, dimm->slot);
    return false;
}

static const VMStateField dimm_fields[] = {
    VMSTATE_U32(PcDimm, slot),
    VMSTATE_U64(PcDimm, gpa),
    VMSTATE_U64(PcDimm, size),
    VMSTATE_END
};

static const VMStateDesc dimm_vmstate = {
    .name = "pc-dimm", .version = 1, .min_version = 1, .fields = dimm_fields,
    .post_load = dimm_post_load,
};

const DeviceClass memhp_dimm_class = {
    .name = "pc-dimm",
    .description = "a module of memory",
    .bus = BUS_MEMORY,
    .instance_size = sizeof(PcDimm),
    .vmstate = &dimm_vmstate,
    .realize = dimm_realize,
    .unrealize = dimm_unrealize,
    .is_draining = dimm_is_draining,
};
