/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine is to its devices: memory, ports, interrupt lines, and what they may ask
 * of it or tell it.
 */
#pragma once

#include "berth/base.h"
#include "berth/cpuid.h"
#include "qapi-types.h"

typedef enum BoardResetReason {
    BOARD_RESET_GUEST,
} BoardResetReason;

/* What wakes a machine that is suspended to RAM. */
typedef enum BoardWakeReason {
    BOARD_WAKE_OTHER,           /* the operator, a device */
    BOARD_WAKE_POWER_BUTTON,
    BOARD_WAKE_RTC,
} BoardWakeReason;

typedef struct BoardIoError {
    const char *qom_path;       /* of the disk */
    const char *drive_name;     /* of -drive, or "" */
    const char *node_name;
    bool is_write;
    BlockErrorAction action;
    int errnum;                 /* positive */
} BoardIoError;

/* What a guest says of an event of hot-plug (ACPI 6.3, 6.3.5). */
typedef struct BoardOst {
    const char *id;             /* of the device, NULL: it has none or is gone */
    ACPISlotType type;
    unsigned slot;              /* the vCPU's number, or that of the slot */
    uint32_t event;
    uint32_t status;
} BoardOst;

/*
 * What the machine offers to its devices.  The functions may be called on any thread,
 * under the device's lock: they post to main and return.  Those that stop the guest, or
 * may, ask the vCPUs to leave it, so that none runs on beyond the access that asked.
 */
typedef struct BoardOps {
    void (*request_reset)(void *opaque, BoardResetReason reason);
    void (*request_shutdown)(void *opaque);         /* the guest powered off */
    void (*request_exit)(void *opaque, int status); /* isa-debug-exit */
    void (*request_suspend)(void *opaque);          /* to RAM */
    void (*request_suspend_disk)(void *opaque);     /* powered off, to be resumed */
    /* No effect on a machine that is not suspended. */
    void (*request_wakeup)(void *opaque, BoardWakeReason reason);
    /* @info is what the guest told, lent; NULL for nothing. */
    void (*guest_panicked)(void *opaque, const GuestPanicInformation *info);
    /* It panicked and goes on in a kernel that saves its memory: told, never stopped. */
    void (*guest_crashloaded)(void *opaque, const GuestPanicInformation *info);
    /* It tells that it is about to power off, which it need not do then. */
    void (*guest_shuts_down)(void *opaque);
    void (*watchdog_expired)(void *opaque);         /* does as -watchdog-action says */
    void (*inject_nmi)(void *opaque);               /* at LINT1 of every vCPU */
    /*
     * A disk's request failed; with BLOCK_ERROR_ACTION_STOP the machine is stopped.  All
     * is lent.
     */
    void (*block_io_error)(void *opaque, const BoardIoError *error);
    /* Main only: a device that was draining has stopped.  May be NULL. */
    void (*device_drained)(void *opaque);
    /*
     * Main only: the guest set the real-time clock @path to a time that is @ahead seconds
     * of the one it had been started with.  May be NULL.
     */
    void (*clock_set)(void *opaque, const char *path, int64_t ahead);
    /* Main only: the guest opened or closed the port of device @id.  May be NULL. */
    void (*serial_port_changed)(void *opaque, const char *id, bool open);
    /*
     * Main only: the tray of drive @drive_name (of -drive, or "") of device @id opened or
     * closed.  May be NULL.
     */
    void (*tray_moved)(void *opaque, const char *drive_name, const char *id, bool open);
    /* Main only: device @path, whose id was @id or NULL, is gone.  May be NULL. */
    void (*device_deleted)(void *opaque, const char *id, const char *path);
    /*
     * Main only: the guest keeps the device that it was asked for, for @reason or NULL.
     * May be NULL.
     */
    void (*device_kept)(void *opaque, const char *id, const char *path,
                        const char *reason);
    /* Main only: it has not answered for @seconds.  May be NULL. */
    void (*device_silent)(void *opaque, const char *id, const char *path,
                          uint32_t seconds);
    /* Main only: the guest tells of hot-plug; all is lent.  May be NULL. */
    void (*device_ost)(void *opaque, const BoardOst *ost);
    /*
     * Main only: whether a device may come now, by what only the whole machine knows.
     * May be NULL: it may.
     */
    bool (*check_device)(void *opaque, const DeviceAddArgs *args, GError **error);
    /*
     * Main only: vCPU @index comes to its place, which is free, and goes.  May be NULL on
     * a board without vCPUs.
     */
    bool (*add_vcpu)(void *opaque, unsigned index, GError **error);
    void (*remove_vcpu)(void *opaque, unsigned index);
    /*
     * Main only: the guest takes other frames at the device @path, whose id is @id or
     * NULL.  May be NULL.
     */
    void (*rx_filter_changed)(void *opaque, const char *id, const char *path);
    /* Main only: the balloon has left the guest @actual bytes.  May be NULL. */
    void (*balloon_changed)(void *opaque, uint64_t actual);
    /*
     * Main only: @size bytes of a memory device are plugged; it has not come to the size
     * that it was asked for.  Both may be NULL.
     */
    void (*memory_size_changed)(void *opaque, const char *id, const char *path,
                                uint64_t size);
    void (*memory_size_unmet)(void *opaque, const XMemoryDeviceSizeUnmetEvent *event);
    /* Main only: a berth-autoballoon has another target; @event is lent.  May be NULL. */
    void (*balloon_moved)(void *opaque, const XAutoballoonDecisionEvent *event);
} BoardOps;

#define BOARD_PCI_IRQS 8
#define BOARD_PCI_OWN_SLOT 25u  /* the chipset's own slots, from this one on */
/* The line of pin @pin (0: INTA) of a slot of the root bus. */
#define BOARD_PCI_IRQ(slot, pin) \
    ((((slot) < BOARD_PCI_OWN_SLOT ? (slot) : 0u) + (pin)) % BOARD_PCI_IRQS)
#define BOARD_GPES 8            /* general-purpose events of ACPI */

struct Board {
    Vm *vm;
    Loop *loop;                 /* main */
    AddressSpace *memory;
    AddressSpace *io;
    Region *memory_root;
    Region *io_root;
    /*
     * What a processor sees of memory in system management mode; NULL: there is no such
     * mode.  Both trees have memory_root at priority 0, and what is above it is seen in
     * the mode, or outside of it, only.
     */
    AddressSpace *smm;
    Region *smm_root;
    Region *outside_root;
    uint16_t extended_tseg;     /* MiB that firmware may have for the mode; 0: none */
    bool smram_at_smbase;       /* firmware may have what is at the default SMBASE, too */
    IrqLine *isa_irqs[16];
    IrqLine *pci_irqs[BOARD_PCI_IRQS];
    IrqLine *gpes[BOARD_GPES];  /* an edge sets the event's status; may be NULL */
    /* 256 MiB of memory: PCI Express configuration space, until firmware moves it. */
    uint64_t ecam_base;
    uint64_t ram_size;          /* bytes that the guest has from the start */
    uint64_t plugged_ram;       /* modules that came: atomic, changed by main */
    RamBlock *ram;              /* what guest address 0 and on is */
    MemoryWindow *memory_window;        /* NULL: no memory can come */
    RamBlock *firmware;         /* what 4 GiB ends with; NULL: there is no firmware */
    CharSet *chars;
    BlockGraph *blocks;
    NetSet *nets;
    ObjectSet *objects;
    unsigned n_cpus;            /* vCPUs that there can be */
    const CpuTopology *topology;        /* NULL: no places for vCPUs */
    const char *cpu_type;       /* "host-x86_64-cpu" */
    const uint16_t *cpu_nodes;  /* by the vCPU's number; NULL: there are no nodes */
    const BoardOps *ops;
    void *opaque;
};

/* Any thread: the bytes that the guest has. */
static inline uint64_t board_ram(const Board *board)
{
    return board->ram_size + __atomic_load_n(&board->plugged_ram, __ATOMIC_RELAXED);
}
