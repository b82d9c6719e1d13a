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
 * Threads: tree functions, realize, unrealize, pause and resume run on main (pause,
 * resume and reset with the vCPUs paused).  Registers are accessed on vCPU threads under
 * dev->lock, which the device gives to its regions; a callback from main into the device
 * takes the lock itself.  The reset of a PCI function comes from a vCPU too (function
 * level reset, reset of a bus).
 *
 * The tree is paused when it is made: machine code calls device_tree_resume() before the
 * vCPUs run and device_tree_pause() after they stopped.  While paused nothing changes the
 * guest's memory or a device's state, so that is when the state is saved and loaded.
 */
#pragma once

#include "berth/board.h"
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
    /* As device_check_args(); NULL: there can. */
    bool (*check)(const DeviceAddArgs *args, GError **error);
    /* @args is lent, and checked.  On false everything realize did is undone. */
    bool (*realize)(Device *dev, const DeviceAddArgs *args, GError **error);
    /* The device is out of the guest's sight.  NULL: nothing to undo. */
    void (*unrealize)(Device *dev);
    /* It leaves, and the guest does not see it any more.  NULL: nothing to do. */
    void (*withdraw)(Device *dev);
    /* The state at power-on.  NULL: nothing to do. */
    void (*reset)(Device *dev);
    /*
     * The whole machine is reset, before any reset(): what a reset of the device alone
     * keeps.  NULL: nothing.
     */
    void (*machine_reset)(Device *dev);
    /* Whether the guest may be asked to let the device go.  NULL: always. */
    bool (*check_removal)(Device *dev, GError **error);
    /*
     * The machine is suspended to RAM: what the device keeps, for it has standby power or
     * a battery.  NULL: nothing, it is reset.
     */
    void (*suspend)(Device *dev);
    /* Ends what works without a vCPU (queues), and starts it again.  NULL: nothing. */
    void (*pause)(Device *dev);
    void (*resume)(Device *dev);
    /* Whether host I/O is under way after pause() or reset().  NULL: never. */
    bool (*is_draining)(Device *dev);
    /*
     * Guest memory has come: a copy of the map is made anew.  False with @error when it
     * stays as it was.  NULL: the device has none.
     */
    bool (*memory_added)(Device *dev, GError **error);
    /*
     * Guest memory is out of sight: pointers into it are let go, of requests when these
     * have ended; and whether that is yet to be.  NULL: the device keeps none.
     */
    void (*memory_removed)(Device *dev);
    bool (*uses_removed)(Device *dev);
};

struct Device {
    const DeviceClass *class;
    DeviceTree *tree;
    Board *board;
    char *id;                   /* the operator's, NULL for none */
    char *path;                 /* "/machine/peripheral/ID", ".../device[N]" */
    DeviceState state;
    bool hotplugged;            /* added after the machine was made */
    DeviceUnplug *unplug;       /* hotplug.c; NULL: it is not asked to go */
    Bus *bus;                   /* NULL for BUS_NONE */
    ListNode bus_node;
    ListNode tree_node;         /* in DeviceTree.devices, order of realization */
    DeviceAddArgs *args;        /* owned: what it was made from, defaults filled in */
    GMutex lock;
    LogLimit guest_errors;
    LogLimit host_errors;
};

/* How a value of the schema's DeviceDriver is made; the list is hw/devices.c. */
typedef struct DeviceKind {
    const DeviceClass *class;
    const VirtioClass *virtio;  /* what virtio_pci_class carries; else NULL */
} DeviceKind;

extern const DeviceKind device_kinds[DEVICE_DRIVER__MAX];

/* The driver of that name; any type of processor is that of vCPUs.  -1: none. */
int device_driver_of(const char *name);
/* What @driver is, in a few words, or NULL. */
const char *device_description(DeviceDriver driver);
struct DeviceTree {
    Board *board;
    ListNode devices;           /* in order of realization */
    ListNode buses;
    GHashTable *by_id;          /* of Device, keys lent */
    unsigned n_anon;
    bool running;               /* between resume and pause */
    bool started;               /* the machine is made: later devices are hot-plugged */
    bool guest_ran;             /* since the last reset: something may use a device */
    Loop *queue_loop;           /* see device_tree_queue_loop() */
    Iothread *queue_thread;     /* its thread when it is the tree's own */
    Bus isa;                    /* "isa.0" */
};

/* Main only. */

void device_tree_init(DeviceTree *tree, Board *board);
/* Takes out and frees every device, the last realized first. */
void device_tree_done(DeviceTree *tree);

/* Whether some machine can have a device with @args; false with @error. */
bool device_check_args(const DeviceAddArgs *args, GError **error);
/*
 * Makes and realizes what @args describe.  Returns the device, owned by the tree, or NULL
 * with @error that names the parameter, the tree unchanged.
 */
Device *device_add(DeviceTree *tree, const DeviceAddArgs *args, GError **error);

/*
 * For a device that the board itself makes: its path is "/machine/NAME".  @args may be
 * NULL; a class with a bus is plugged into the first of that kind when they name none.
 */
Device *device_add_onboard(DeviceTree *tree, const DeviceClass *class, const char *name,
                           const DeviceAddArgs *args, GError **error);

/*
 * Unplugs, unrealizes and frees @dev, and before it the devices on its buses.  Waits for
 * what they have under way: at the end of a machine; hotplug.h is for a running one.
 */
void device_remove(Device *dev);

/*
 * The same in three steps, that nobody waits: @dev and what is on its buses are out of
 * the guest's sight and begin nothing; whether something is under way; then the rest.
 */
void device_withdraw(Device *dev);
bool device_is_draining(Device *dev);
typedef void DeviceGoneFn(void *opaque, const char *id, const char *path);
/* @gone (may be NULL) is told of each that is freed, with its id or NULL. */
void device_finish(Device *dev, DeviceGoneFn *gone, void *opaque);

Device *device_find(DeviceTree *tree, const char *id_or_path);
Bus *device_tree_find_bus(DeviceTree *tree, const char *name);

/* Calls each device's reset(), in order of realization.  The tree is paused. */
void device_tree_reset(DeviceTree *tree);
/* The same as the machine is suspended to RAM: devices lose what they do not keep. */
void device_tree_suspend(DeviceTree *tree);

/*
 * Before the vCPUs run, and after they stopped.  Both may be called twice.  A device with
 * host I/O under way is not awaited: it drains.
 */
void device_tree_resume(DeviceTree *tree);
void device_tree_pause(DeviceTree *tree);
/* Whether no device drains; else BoardOps.device_drained() comes. */
bool device_tree_is_quiet(const DeviceTree *tree);

/*
 * The loop on which the queues of devices run that name no iothread: that of one thread,
 * made with the first device that asks.  It is made on main, in realize(), so that the
 * thread is in main's control group and a refusal reaches the operator.
 */
Loop *device_tree_queue_loop(DeviceTree *tree, GError **error);

/* The state of all devices, in order: what a save has and tests compare.  Paused. */
void device_tree_save(DeviceTree *tree, GByteArray *out);
/* On false the devices are in no defined state, and must be reset or freed. */
bool device_tree_load(DeviceTree *tree, const uint8_t *data, size_t size, GError **error);

/* The name for messages: the id, or the path. */
const char *device_name(const Device *dev);

/* Any thread. */

/* One rate-limited warning of what the guest did wrong. */
void device_guest_error(Device *dev, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same, an error, of what the host refused when the guest asked for it. */
void device_host_error(Device *dev, const char *format, ...) G_GNUC_PRINTF(2, 3);
