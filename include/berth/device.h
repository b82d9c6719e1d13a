/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device: a plain struct in the tree, embedded first in what it is.
 *
 *     NEW --realize--> REALIZED --unplug--> LEAVING --unrealize--> GONE
 *      \--(failed: device_free, the machine equal to before)
 *
 * A kind of device is a const DeviceClass at the end of its file and one line in
 * hw/devices.c, which is indexed by the schema's enum DeviceDriver.  realize() receives
 * the whole typed arguments; its own properties are the branch of the union.
 *
 * Threads: tree functions, realize, unrealize and reset run on main (reset with the vCPUs
 * paused).  Registers are accessed on vCPU threads under dev->lock, which the device
 * gives to its regions; a callback from main into the device takes the lock itself.
 */
#pragma once

#include "berth/bus.h"
#include "berth/log.h"
#include "qapi-types.h"

typedef enum DeviceState {
    DEVICE_STATE_NEW,
    DEVICE_STATE_REALIZED,
    DEVICE_STATE_LEAVING,
    DEVICE_STATE_GONE,
} DeviceState;

struct DeviceClass {
    const char *name;           /* as in the schema: "isa-serial" */
    const char *description;    /* for -device help */
    BusKind bus;                /* what it is plugged into */
    size_t instance_size;
    const VMStateDesc *vmstate; /* NULL when it has no state */
    /* @args is lent.  On false everything realize did is undone. */
    bool (*realize)(Device *dev, const DeviceAddArgs *args, GError **error);
    void (*unrealize)(Device *dev);
    /* The state at power-on.  vCPUs are paused. */
    void (*reset)(Device *dev);
};

struct Device {
    const DeviceClass *class;
    DeviceTree *tree;
    Board *board;
    char *id;                   /* the operator's, NULL for none */
    /* "/machine/peripheral/ID", "/machine/peripheral-anon/device[N]" */
    char *path;
    DeviceState state;
    bool hotplugged;
    Bus *bus;
    ListNode bus_node;
    ListNode tree_node;         /* in DeviceTree.devices, order of realization */
    DeviceAddArgs *args;        /* owned: what it was made from, defaults filled in */
    GMutex lock;
    LogLimit guest_errors;
};

typedef enum BoardResetReason {
    BOARD_RESET_GUEST,
    BOARD_RESET_WATCHDOG,
} BoardResetReason;

/*
 * What the machine offers to its devices.  The functions may be called on any thread,
 * under the device's lock: they post to main and return.
 */
typedef struct BoardOps {
    void (*request_reset)(void *opaque, BoardResetReason reason);
    void (*request_shutdown)(void *opaque);         /* the guest powered off */
    void (*request_exit)(void *opaque, int status); /* isa-debug-exit */
    void (*request_suspend)(void *opaque);
} BoardOps;

struct Board {
    Vm *vm;
    Loop *loop;                 /* main */
    AddressSpace *memory;
    AddressSpace *io;
    Region *memory_root;
    Region *io_root;
    IrqLine *isa_irqs[16];
    CharSet *chars;
    ObjectSet *objects;
    const BoardOps *ops;
    void *opaque;
};

struct DeviceTree {
    Board *board;
    ListNode devices;           /* in order of realization */
    ListNode buses;
    GHashTable *by_id;          /* of Device, keys lent */
    unsigned n_anon;
    Bus isa;                    /* "isa.0" */
};

/* Main only. */

void device_tree_init(DeviceTree *tree, Board *board);
/* Takes out and frees every device, the last realized first. */
void device_tree_done(DeviceTree *tree);

/*
 * Makes and realizes what @args describe.  Returns the device, owned by the tree, or NULL
 * with @error that names the parameter, the tree unchanged.
 */
Device *device_add(DeviceTree *tree, const DeviceAddArgs *args, GError **error);

/* For a device that the board itself makes, outside /machine/peripheral; @name is its
 * path's end. */
Device *device_add_onboard(DeviceTree *tree, const DeviceClass *class, const char *name,
                           const DeviceAddArgs *args, GError **error);

/* Unrealizes and frees @dev. */
void device_remove(Device *dev);

Device *device_find(DeviceTree *tree, const char *id_or_path);
Bus *device_tree_find_bus(DeviceTree *tree, const char *name);

/* Calls each device's reset(), in order of realization. */
void device_tree_reset(DeviceTree *tree);

/* The state of all devices, in order: what a save has, and what tests compare. */
void device_tree_save(DeviceTree *tree, GByteArray *out);
bool device_tree_load(DeviceTree *tree, const uint8_t *data, size_t size, GError **error);

/* Any thread. */

/* One rate-limited warning of what the guest did wrong. */
void device_guest_error(Device *dev, const char *format, ...) G_GNUC_PRINTF(2, 3);
