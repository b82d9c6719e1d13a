/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which guest addresses are answered by what.
 *
 * A Region is a range that is a container, RAM, ROM or a device's registers; regions
 * nest, the one of higher priority wins an overlap (of equal priority the later added).
 * An AddressSpace flattens the tree under its root into one sorted array, publishes it,
 * and keeps the hypervisor's memory slots and ioeventfds in step (region -> flat view
 * -> vm).
 *
 * Changes: main thread, or a vCPU thread for a BAR write; both under the address
 * space's lock, which the functions take.  Accesses: any thread, no lock; a replaced
 * view is freed when every thread has passed a quiescent point (qsbr.h).  For the same
 * reason a thread may still be inside the ops of a region that was removed: what
 * @opaque points to is freed after a quiescent point.
 */
#pragma once

#include "berth/list.h"
#include "berth/ram.h"

#include <sys/uio.h>

/*
 * A device's registers.  An access of any length and alignment reaches the functions
 * cut into naturally aligned pieces (as offsets in the region) of @min_size to
 * @max_size bytes, in rising order; both are powers of two up to 8, and zero means 1
 * and 8.  What is narrower than @min_size is read out of a whole aligned word, and
 * dropped when written.  A NULL function reads as all ones, ignores writes.  @offset +
 * @size is always within the region, @value has no bits above @size.  Called on the
 * accessing thread, under @lock when set.
 */
typedef struct RegionOps {
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    uint8_t min_size;
    uint8_t max_size;
} RegionOps;

typedef enum RegionKind {
    REGION_CONTAINER,
    REGION_IO,
    REGION_RAM,
    REGION_ROM,                 /* the guest's writes are ignored, or reach ops */
    REGION_ALIAS,               /* a window into another region */
} RegionKind;

struct Region {
    const char *name;           /* lent, in traces */
    RegionKind kind;
    uint64_t addr;              /* in the parent */
    uint64_t size;              /* bytes, never 0; UINT64_MAX stands for all 2^64 */
    int priority;
    bool enabled;
    bool apart;                 /* RAM, ROM: never one memory slot with a neighbour */
    Region *parent;
    AddressSpace *as;           /* set on a root only */
    ListNode node;              /* in the parent's children */
    ListNode children;          /* highest priority first */
    const RegionOps *ops;       /* REGION_IO; REGION_ROM: of writes, or NULL */
    void *opaque;
    GMutex *lock;               /* taken around ops, or NULL */
    RamBlock *ram;              /* REGION_RAM, REGION_ROM: referenced */
    uint64_t ram_offset;
    Region *alias;              /* REGION_ALIAS: the target */
    uint64_t alias_offset;
    ListNode alias_node;        /* in the target's aliases */
    ListNode aliases;           /* the windows into this region */
    GArray *doorbells;          /* of RegionDoorbell, NULL for none */
};

/* An address whose writes signal @fd in the kernel instead of reaching ops->write. */
typedef struct RegionDoorbell {
    uint64_t offset;
    unsigned size;              /* 0: a write of any width */
    bool match;                 /* only writes of @value */
    uint64_t value;
    int fd;
} RegionDoorbell;

/*
 * Initialised regions are enabled and have no parent; nothing is allocated that
 * region_done() does not free.  A region that is still added is removed by
 * region_done(); it has no children and no aliases left then.  @name, @ops, @opaque,
 * @lock and @target are lent.
 */
void region_init_container(Region *region, const char *name, uint64_t size);
void region_init_io(Region *region, const char *name, uint64_t size, const RegionOps *ops,
                    void *opaque, GMutex *lock);
void region_init_ram(Region *region, const char *name, RamBlock *ram, uint64_t offset,
                     uint64_t size);
void region_init_rom(Region *region, const char *name, RamBlock *ram, uint64_t offset,
                     uint64_t size);
/*
 * ROM that sees the guest's writes: @ops->write gets them, with offsets in @ram, cut as
 * registers are but without a lock.
 */
void region_init_rom_device(Region *region, const char *name, RamBlock *ram,
                            const RegionOps *ops, void *opaque);
void region_init_alias(Region *region, const char *name, Region *target, uint64_t offset,
                       uint64_t size);
void region_done(Region *region);

/* Main, or the vCPU whose access asked for it. */

/*
 * Adds @region, which is lent until it is removed, at @addr of @parent.  What lies
 * outside the parent, or above 2^64, is not seen.  A tree and what it has aliases into
 * belong to one address space at most, or to that of system management mode, too.
 */
void region_add(Region *parent, uint64_t addr, Region *region, int priority);
/* No effect on a region that is not added. */
void region_remove(Region *region);
void region_set_enabled(Region *region, bool enabled);
void region_set_addr(Region *region, uint64_t addr);
/*
 * Several changes, which are seen at the end of the outermost batch: one new flat view,
 * and until then the old one.  Holds the address space's lock; may nest.
 *
 * A change finds its address space upwards from the region without a lock.  So where
 * another thread may add, remove or alias a region above it, both are in a batch.
 */
void region_batch_begin(AddressSpace *as);
void region_batch_end(AddressSpace *as);

/*
 * A write at the doorbell signals its fd from when the region is visible.  A kernel
 * that has no room for it lets the write reach ops->write, which must do the same.
 * After the removal returned, the fd may be closed.
 */
void region_add_doorbell(Region *region, const RegionDoorbell *doorbell);
void region_remove_doorbell(Region *region, const RegionDoorbell *doorbell);

/* Main only. */

/*
 * @is_io: the x86 port space of 64 KiB, else guest physical memory.  @vm may be NULL in
 * tests.
 */
AddressSpace *address_space_new(const char *name, Region *root, Vm *vm, bool is_io);
/*
 * What the processors of @base, a space of memory, see in system management mode: a tree
 * with windows into that of @base.  One change is seen in both at the same time.  It is
 * freed before @base.
 */
AddressSpace *address_space_new_smm(const char *name, Region *root, AddressSpace *base);
void address_space_free(AddressSpace *as);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AddressSpace, address_space_free)
/*
 * False when the hypervisor refused a part of the view: the memory of it, or a
 * doorbell.
 */
bool address_space_check(AddressSpace *as, GError **error);
/* The same of its memory alone. */
bool address_space_check_memory(AddressSpace *as, GError **error);
/* The view as text, one line a range, in the shape of "info mtree -f". */
char *address_space_describe(AddressSpace *as);
/* The tree below its @root in the shape of "info mtree"; @disabled: all of it. */
char *region_text_tree(AddressSpace *as, const Region *root, bool disabled);

/* Any thread; takes the address space's lock. */

/*
 * The RAM of the view, for those that map it elsewhere; the array is the caller's
 * (g_free).
 */
RamRange *address_space_ram(AddressSpace *as, size_t *ret_count);

/* Any thread, between qsbr quiescent points. */

bool address_space_is_io(const AddressSpace *as);
bool address_space_is_smm(const AddressSpace *as);
const Region *address_space_root(const AddressSpace *as);

/*
 * An access of any length; bytes that nobody answers read as 0xff and are dropped on
 * write.  Returns false when any byte was unassigned.
 */
bool address_space_read(AddressSpace *as, uint64_t addr, void *data, size_t size);
bool address_space_write(AddressSpace *as, uint64_t addr, const void *data, size_t size);

/* The same, with the caller's memory of where its last access went (zero-initialised). */
typedef struct AddressHint {
    unsigned index;
} AddressHint;

bool address_space_read_near(AddressSpace *as, AddressHint *hint, uint64_t addr,
                             void *data, size_t size);
bool address_space_write_near(AddressSpace *as, AddressHint *hint, uint64_t addr,
                              const void *data, size_t size);

/*
 * The host memory of [@gpa, @gpa + @size) when all of it is RAM in one piece of this
 * process (or ROM, unless @for_write) and @size is not 0, else NULL.  Valid while the RAM
 * is plugged.
 */
void *address_space_map(AddressSpace *as, uint64_t gpa, uint64_t size, bool for_write);
void *address_space_map_near(AddressSpace *as, AddressHint *hint, uint64_t gpa,
                             uint64_t size, bool for_write);
