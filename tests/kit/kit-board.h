/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board for device tests: the fake hypervisor, 16 MiB of RAM at 0 and 1 MiB at 4 GiB,
 * the PCI host, no vCPUs.  The test is the guest: kit_read() and kit_write() are its
 * accesses.  Everything runs on the test's thread; kit_run() lets the queues work.
 */
#pragma once

#include "berth/char-set.h"
#include "berth/device.h"
#include "berth/block.h"
#include "berth/loop.h"
#include "berth/object.h"
#include "berth/pci.h"
#include "berth/region.h"
#include "berth/vm.h"

#define KIT_RAM_SIZE (16 * MIB)
#define KIT_HIGH_RAM_BASE (4 * GIB)
#define KIT_HIGH_RAM_SIZE (1 * MIB)
#define KIT_ECAM_BASE 0xb0000000u

typedef struct KitBoard {
    Vm *vm;
    Region memory_root;
    Region io_root;
    AddressSpace *memory;
    AddressSpace *io;
    RamBlock *ram;
    RamBlock *high_ram;
    Region ram_region;
    Region high_ram_region;
    Loop *loop;
    Loop *queue_loop;
    ObjectSet *objects;
    BlockGraph *blocks;
    NetSet *nets;
    CharSet *chars;
    IrqLine irqs[BOARD_PCI_IRQS];
    bool irq_levels[BOARD_PCI_IRQS];
    Board board;
    DeviceTree tree;
    PciBus *root;
    unsigned n_blks;            /* drivers of disks so far (kit-blk.h) */
    unsigned n_resets;
    unsigned n_watchdogs;
    unsigned n_rx_filter_changes;
    unsigned n_balloon_changes;
    uint64_t balloon_actual;    /* as told the last time */
    unsigned n_memory_changes;
    uint64_t memory_size;       /* as told the last time */
    unsigned n_memory_unmet;
    XMemoryDeviceSizeUnmetEvent memory_unmet;   /* the last; its texts are lent */
    unsigned n_balloon_moves;
    AutoballoonReason balloon_reason;   /* of the last */
    uint64_t balloon_target;
    unsigned n_io_errors;
    BlockErrorAction io_error;  /* the last */
    int io_errnum;
    unsigned n_panics;
    unsigned n_crashloads;
    unsigned n_pvshutdowns;
    GString *removals;          /* "ID- ID! ID?": devices gone, kept, silent guests */
    GString *port_changes;      /* "ID+ ID-": serial ports opened and closed */
    GString *tray_moves;        /* the same of the trays of drives */
} KitBoard;

/* A board with the host and the memory controller, resources not assigned. */
KitBoard *kit_board_new(void);
/* The same whose queues run on the tree's own thread. */
KitBoard *kit_board_new_threaded(void);
void kit_board_free(KitBoard *kit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitBoard, kit_board_free)

/* The device that @json ("{'driver': ...}") describes. */
Device *kit_try_add(KitBoard *kit, const char *json, GError **error);
Device *kit_add(KitBoard *kit, const char *json);
/* The network backend that @json ("{'type': ...}") describes. */
void kit_add_netdev(KitBoard *kit, const char *json);
/* The object that @json ("{'qom-type': ...}") describes. */
Object *kit_add_object(KitBoard *kit, const char *json);
/* The block node that @json ("{'driver': ...}") describes. */
BlockNode *kit_add_node(KitBoard *kit, const char *json);
/* Adds chardev @id; returns the socket at its far end, non-blocking, the caller's. */
int kit_add_chardev(KitBoard *kit, const char *id);
/* Puts another far end in the place of that one's (chardev-change); its socket. */
int kit_change_chardev(KitBoard *kit, const char *id);
/*
 * Adding the device fails, with @words in the message, and leaves the board equal to
 * before.
 */
void kit_assert_refused(KitBoard *kit, const char *json, const char *words);

/* Addresses for memory devices, as the board has then. */
void kit_add_memory_window(KitBoard *kit, uint64_t gpa, uint64_t size, uint64_t limit);
/* Assigns PCI resources as the machine does, and resumes the devices. */
void kit_start(KitBoard *kit);
/* Turns main's loop until *@counter is @wanted; fails after 10 seconds. */
void kit_wait_for(KitBoard *kit, const unsigned *counter, unsigned wanted);
/* Lets the queues' loop do all that it can do now, when it has no thread of its own. */
void kit_run(KitBoard *kit);
/* The same of both loops, where each may have work for the other. */
void kit_run_both(KitBoard *kit);
/* Has the loop of the queues sleep for a moment. */
void kit_let_sleep(KitBoard *kit);

/* The guest's accesses to memory and ports. */
uint64_t kit_read(KitBoard *kit, uint64_t gpa, unsigned size);
void kit_write(KitBoard *kit, uint64_t gpa, unsigned size, uint64_t value);
uint64_t kit_in(KitBoard *kit, uint16_t port, unsigned size);
void kit_out(KitBoard *kit, uint16_t port, unsigned size, uint64_t value);
/* Its memory, which a driver fills directly. */
void *kit_ram(KitBoard *kit, uint64_t gpa, uint64_t size);

/* Lets this process open @n more descriptors; -1: as many as before. */
void kit_limit_fds(int n);

/* Devices, buses, address spaces and descriptors as text, to compare. */
char *kit_dump(KitBoard *kit);
/* Saves all devices. */
GByteArray *kit_save(KitBoard *kit);
/* Paused, saves all devices and loads them: what is saved then is the same. */
void kit_save_and_load(KitBoard *kit);
