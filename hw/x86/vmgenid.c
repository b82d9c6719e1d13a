/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual Machine Generation ID (Microsoft, "Virtual Machine Generation ID", 2012).
 *
 * A GUID in guest memory.  It changes when the guest goes on from a state that may go on
 * elsewhere, too: a snapshot that is restored, a clone.  A guest that learns of it makes
 * its random numbers anew.  The device itself is in the ACPI tables; its ADDR leads to
 * the GUID, and event GPE 5 tells of a change.
 *
 * Who puts the GUID there: the board when there is no firmware, else firmware, which
 * reads the page from fw_cfg's etc/vmgenid_guid and writes to etc/vmgenid_addr where it
 * is.
 *
 * The GUID is the process's, from its command line.  What the guest was told is part of
 * the saved state; where the two differ when a loaded machine is resumed, the guest gets
 * the new one.  The address is the guest's word, and hostile.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/irq.h"
#include "berth/region.h"
#include "berth/trace.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/vmgenid.h"

#define PAGE_SIZE 4096u

typedef struct Vmgenid {
    Device dev;
    Uuid guid;

    /* Main, the vCPUs paused; the guest's writes come on a vCPU, under fw_cfg's lock. */
    uint64_t page;              /* little-endian; 0: not placed */
    Uuid told;                  /* what the guest has */
} Vmgenid;

static Vmgenid *to_vmgenid(Device *dev)
{
    return CONTAINER_OF(dev, Vmgenid, dev);
}

static bool write_guid(Vmgenid *vmgenid)
{
    uint64_t page = GUINT64_FROM_LE(vmgenid->page);
    Uuid little = uuid_to_little(&vmgenid->guid);
    void *ram;

    vmgenid->told = vmgenid->guid;
    TRACE(vmgenid_write, "page 0x%" PRIx64, page);
    if (page > UINT64_MAX - PAGE_SIZE)
        return false;
    ram = address_space_map(vmgenid->dev.board->memory, page + VMGENID_OFFSET,
                            sizeof(little), true);
    if (!ram)
        return false;
    memcpy(ram, &little, sizeof(little));
    return true;
}

static void vmgenid_resume(Device *dev)
{
    Vmgenid *vmgenid = to_vmgenid(dev);

    if (memcmp(&vmgenid->told, &vmgenid->guid, sizeof(vmgenid->guid)) == 0)
        return;
    if (vmgenid->page == 0)
        vmgenid->told = vmgenid->guid;
    else if (write_guid(vmgenid))
        irq_pulse(dev->board->gpes[X86_GPE_VMGENID]);
    else
        device_guest_error(dev, "the generation ID is at 0x%" PRIx64 ", which is not RAM",
                           GUINT64_FROM_LE(vmgenid->page));
}

static void vmgenid_reset(Device *dev)
{
    Vmgenid *vmgenid = to_vmgenid(dev);

    vmgenid->page = 0;
    vmgenid->told = vmgenid->guid;
}

/* The guest's memory is kept, and the place in it is firmware's to know. */
static void vmgenid_suspend(Device *dev)
{
}

static bool set_guid(Vmgenid *vmgenid, const char *text, GError **error)
{
    if (!text || strcmp(text, "auto") == 0)
        return uuid_random(&vmgenid->guid, error);
    if (uuid_parse(text, &vmgenid->guid))
        return true;
    error_set(error, "parameter 'guid' expects a UUID or 'auto', not '%s'", text);
    return false;
}

static bool vmgenid_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    if (dev->hotplugged) {
        error_set(error, "a 'vmgenid' cannot be plugged into a running machine");
        return false;
    }
    if (vmgenid_find(dev->tree)) {
        error_set(error, "the machine has a 'vmgenid' already");
        return false;
    }
    return set_guid(to_vmgenid(dev), args->u.vmgenid.guid, error);
}

static const VMStateField vmgenid_fields[] = {
    VMSTATE_U64(Vmgenid, page),
    VMSTATE_BYTES(Vmgenid, told.bytes, sizeof(Uuid)),
    VMSTATE_END
};

static const VMStateDesc vmgenid_vmstate = {
    .name = "vmgenid",
    .version = 1,
    .min_version = 1,
    .fields = vmgenid_fields,
};

const DeviceClass vmgenid_class = {
    .name = "vmgenid",
    .description = "Virtual Machine Generation ID",
    .bus = BUS_NONE,
    .instance_size = sizeof(Vmgenid),
    .vmstate = &vmgenid_vmstate,
    .realize = vmgenid_realize,
    .reset = vmgenid_reset,
    .suspend = vmgenid_suspend,
    .resume = vmgenid_resume,
};

Device *vmgenid_find(DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class == &vmgenid_class)
            return dev;
    }
    return NULL;
}

Uuid vmgenid_guid(Device *dev)
{
    return to_vmgenid(dev)->guid;
}

GBytes *vmgenid_page(Device *dev)
{
    Uuid little = uuid_to_little(&to_vmgenid(dev)->guid);
    uint8_t *page = g_malloc0(PAGE_SIZE);

    memcpy(page + VMGENID_OFFSET, &little, sizeof(little));
    return g_bytes_new_take(page, PAGE_SIZE);
}

uint64_t *vmgenid_address(Device *dev)
{
    return &to_vmgenid(dev)->page;
}

bool vmgenid_place(Device *dev, uint64_t gpa)
{
    Vmgenid *vmgenid = to_vmgenid(dev);

    vmgenid->page = GUINT64_TO_LE(gpa);
    return write_guid(vmgenid);
}
