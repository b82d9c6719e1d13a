/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file etc/vmcoreinfo of fw_cfg, as QEMU specifies it (docs/specs/vmcoreinfo).  A
 * kernel writes into it where its VMCOREINFO note is and how long; Linux does so when its
 * qemu_fw_cfg is loaded.  A dump then has the note, which says what a debugger must know
 * of that kernel: where it lies, and the shape of its structures.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/vmstate.h"

#include "berth/vmcoreinfo.h"

#define FORMAT_ELF 1u

/* The file; little-endian. */
typedef struct Told {
    uint16_t host_format;
    uint16_t guest_format;      /* 0: nothing */
    uint32_t size;
    uint64_t gpa;
} Told;

typedef struct Vmcoreinfo {
    Device dev;
    Told told;                  /* the guest's, under fw_cfg's lock */
} Vmcoreinfo;

G_STATIC_ASSERT(sizeof(Told) == 16);

static Vmcoreinfo *to_vmcoreinfo(Device *dev)
{
    return CONTAINER_OF(dev, Vmcoreinfo, dev);
}

static void vmcoreinfo_reset(Device *dev)
{
    to_vmcoreinfo(dev)->told = (Told) { .host_format = GUINT16_TO_LE(FORMAT_ELF) };
}

/* The kernel that wakes is the one that told, and does not tell again. */
static void vmcoreinfo_suspend(Device *dev)
{
}

static bool vmcoreinfo_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    if (dev->hotplugged) {
        error_set(error, "a 'vmcoreinfo' cannot be plugged into a running machine");
        return false;
    }
    if (vmcoreinfo_find(dev->tree)) {
        error_set(error, "the machine has a 'vmcoreinfo' already");
        return false;
    }
    return true;
}

static const VMStateField vmcoreinfo_fields[] = {
    VMSTATE_BYTES(Vmcoreinfo, told, sizeof(Told)),
    VMSTATE_END
};

static const VMStateDesc vmcoreinfo_vmstate = {
    .name = "vmcoreinfo",
    .version = 1,
    .min_version = 1,
    .fields = vmcoreinfo_fields,
};

const DeviceClass vmcoreinfo_class = {
    .name = "vmcoreinfo",
    .description = "where the guest says what debuggers of a dump need",
    .bus = BUS_NONE,
    .instance_size = sizeof(Vmcoreinfo),
    .vmstate = &vmcoreinfo_vmstate,
    .realize = vmcoreinfo_realize,
    .reset = vmcoreinfo_reset,
    .suspend = vmcoreinfo_suspend,
};

Device *vmcoreinfo_find(DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class == &vmcoreinfo_class)
            return dev;
    }
    return NULL;
}

void *vmcoreinfo_data(Device *dev, size_t *ret_size)
{
    *ret_size = sizeof(Told);
    return &to_vmcoreinfo(dev)->told;
}

bool vmcoreinfo_note(Device *dev, uint64_t *ret_gpa, uint32_t *ret_size)
{
    const Told *told = &to_vmcoreinfo(dev)->told;

    if (GUINT16_FROM_LE(told->guest_format) != FORMAT_ELF)
        return false;
    *ret_gpa = GUINT64_FROM_LE(told->gpa);
    *ret_size = GUINT32_FROM_LE(told->size);
    return true;
}
