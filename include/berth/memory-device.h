/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that comes to a machine and goes.  Guest physical addresses for it are a window
 * above RAM; a device that is memory embeds a MemoryDevice, which has a range of them.
 *
 *     memory_device_plug()    in realize(): takes a backend and a range, and shows it to
 *                             the hypervisor and to the devices that have a copy of the
 *                             map; or nothing is changed
 *     memory_device_hide()    in BusOps.unplug(): nobody finds it any more, and what
 *                             devices have under way with guest memory is to end
 *     memory_device_is_used() in is_draining(): some of that has not ended
 *     memory_device_done()    in unrealize(): the backend is free for others
 *
 * Main only.
 */
#pragma once

#include "berth/device.h"
#include "berth/object.h"
#include "berth/region.h"

/* The most modules (pc-dimm) of a machine. */
#define MEMORY_MAX_SLOTS 256u

typedef struct MemoryDevice MemoryDevice;

typedef struct MemoryDeviceOps {
    /* For query-memory-devices. */
    MemoryDeviceInfo *(*query)(const MemoryDevice *memory);
    /* The bytes that the guest has of it now.  NULL: all. */
    uint64_t (*plugged)(const MemoryDevice *memory);
} MemoryDeviceOps;

struct MemoryDevice {
    const MemoryDeviceOps *ops;
    Device *dev;                /* that it is a part of */
    Object *memdev;             /* held; NULL: not plugged */
    RamBlock *ram;              /* of that */
    uint64_t gpa;
    uint64_t size;
    uint32_t node;
    Region region;              /* of all of it as RAM, unless the device has its own */
    Region *shown;              /* that, or the device's */
    ListNode list_node;         /* in the window, by address */
};

/* What a device asks for; lent. */
typedef struct MemoryRequest {
    const char *memdev;         /* id of a backend that nobody else uses */
    uint32_t node;
    uint64_t align;             /* a power of two; 0: as the memory needs */
    const char *gpa_name;       /* the parameter that says an address: "addr" */
    bool has_gpa;               /* else the first range that is free */
    uint64_t gpa;
    Region *region;             /* as large, lent until done; NULL: all of it is RAM */
} MemoryRequest;

/* The backend @id, which nobody else uses; NULL with @error. */
Object *memory_device_find_memdev(const Board *board, const char *id, GError **error);

/* @memory is zero but for ops and dev.  False with @error that names the parameter. */
bool memory_device_plug(MemoryDevice *memory, const MemoryRequest *request,
                        GError **error);
/*
 * Parts of the device's own region have come or gone: those that have a copy of the map
 * make it anew.  False with @error when the hypervisor or one of them does not take it.
 */
bool memory_device_changed(MemoryDevice *memory, GError **error);
/* No effect on memory that is not plugged, or hidden already. */
void memory_device_hide(MemoryDevice *memory);
bool memory_device_is_used(const MemoryDevice *memory);
/* Hides it, too.  No effect on memory that is not plugged. */
void memory_device_done(MemoryDevice *memory);

/* For the board. */

typedef struct MemoryWindowOptions {
    Region *root;               /* of guest memory */
    AddressSpace *memory;
    uint64_t gpa;
    uint64_t size;              /* of the addresses; more than what may be plugged */
    uint64_t limit;             /* of the memory that is there at once */
    unsigned n_nodes;           /* of the guest, 1 at least */
} MemoryWindowOptions;

MemoryWindow *memory_device_window_new(const MemoryWindowOptions *options);
/* Its devices are gone.  Accepts NULL. */
void memory_device_window_free(MemoryWindow *window);

/* The ranges, by address; NULL has none. */
MemoryDeviceInfoList *memory_device_query(const MemoryWindow *window);
/* The bytes that the guest has; @node of one of its nodes, -1: of all. */
uint64_t memory_device_plugged(const MemoryWindow *window, int node);
