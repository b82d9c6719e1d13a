/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flash chip in the guest's memory, with its contents in a block node.
 *
 * It is a read-only memory slot: code runs from it, and only writes leave the guest.  The
 * memory is a private mapping of the file, where there is one, so that all machines of a
 * host have the pages once that their guests have not written to; else a copy of the
 * node.
 *
 * A secure one has a second region, where processors in system management mode see
 * memory: that one takes commands, the other loses all writes.  What the chip shows while
 * a command is under way is there for all, as the pages are the same.
 *
 * What is programmed is there at once, and what was changed goes to the node afterwards
 * (pflash-store.h).
 */
#include "berth/error.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "berth/pflash.h"

#include "pflash-chip.h"
#include "pflash-store.h"

#define READ_PIECE (1 * MIB)
#define ABOVE_ALL_ELSE 1

typedef struct Pflash {
    Device dev;
    char *name;
    BlockDrive *drive;
    PflashStore *store;         /* NULL: it cannot be written to */
    RamBlock *memory;
    Region region;
    Region smm_region;          /* of a secure one */

    /* Under dev.lock. */
    PflashChip chip;
} Pflash;

static Pflash *to_pflash(Device *dev)
{
    return CONTAINER_OF(dev, Pflash, dev);
}

static void on_changed(void *opaque, uint64_t block, uint32_t begin, uint32_t end,
                       const uint8_t *bytes)
{
    pflash_store_put(((Pflash *)opaque)->store, block, begin, end, bytes);
}

static void pflash_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pflash *flash = opaque;
    const char *wrong;

    TRACE(pflash_write, "%s offset 0x%" PRIx64 " size %u: 0x%" PRIx64, flash->dev.path,
          offset, size, value);
    lock_take(&flash->dev.lock);
    if (pflash_store_take_failure(flash->store))
        pflash_chip_fail(&flash->chip);
    wrong = pflash_chip_write(&flash->chip, offset, value, size);
    lock_drop(&flash->dev.lock);
    if (wrong)
        device_guest_error(&flash->dev, "0x%" PRIx64 " at 0x%" PRIx64 ": %s", value,
                           offset, wrong);
}

static const RegionOps pflash_ops = {
    .write = pflash_write,
    .max_size = 4,
};

static void lose_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pflash *flash = opaque;

    device_guest_error(&flash->dev, "0x%" PRIx64 " at 0x%" PRIx64 ": it is written to in "
                       "system management mode only", value, offset);
}

static const RegionOps secure_ops = {
    .write = lose_write,
    .max_size = 4,
};

static char *describe(void *opaque)
{
    return g_strdup_printf("device '%s'", ((Pflash *)opaque)->dev.path);
}

static void on_query(void *opaque, BlockDriveState *ret_state)
{
    ret_state->write_back = block_drive_is_write_back(((Pflash *)opaque)->drive);
}

static const BlockDriveOps drive_ops = {
    .use = { .describe = describe },
    .query = on_query,
};

static bool check_size(const PflashConfig *config, uint64_t size, GError **error)
{
    if (size > 0 && size % PFLASH_BLOCK == 0 && size <= config->max_size)
        return true;
    error_set(error, "'%s' has %" PRIu64 " bytes; expected is a multiple of %u up to "
              "%" PRIu64, config->drive, size, PFLASH_BLOCK, config->max_size);
    return false;
}

static bool take_drive(Pflash *flash, const PflashConfig *config, GError **error)
{
    const BlockDriveDevice device = {
        .qdev = flash->dev.path,
        .path = flash->dev.path,
        .on_read_error = BLOCKDEV_ON_ERROR_AUTO,
        .on_write_error = BLOCKDEV_ON_ERROR_AUTO,
        .ops = &drive_ops,
        .opaque = flash,
    };
    uint8_t wants = BLOCK_PERM_CONSISTENT_READ;
    BlockNode *node;

    flash->drive =
        block_drive_attach(flash->dev.board->blocks, config->drive, &device, error);
    if (!flash->drive)
        return false;
    node = block_drive_node(flash->drive);
    if (!node) {
        error_set(error, "drive '%s' has no medium", config->drive);
        return false;
    }
    flash->chip.size = block_node_size(node);
    flash->chip.read_only = block_node_is_read_only(node);
    if (!flash->chip.read_only)
        wants |= BLOCK_PERM_WRITE;
    return check_size(config, flash->chip.size, error) &&
           block_drive_insert(flash->drive, node, wants,
                              BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED,
                              error);
}

/* NULL: the node's bytes are in no file, or it cannot be opened anew. */
static RamBlock *map_file(const Pflash *flash)
{
    int fd = block_host_file_of(flash->drive);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    const RamOptions options = { .path = path, .read_only = true };

    return fd >= 0 ? ram_block_new(flash->name, flash->chip.size, &options, NULL)
                   : NULL;
}

static RamBlock *copy_node(const Pflash *flash, GError **error)
{
    const RamOptions options = { 0 };
    g_autoptr(RamBlock) memory =
        ram_block_new(flash->name, flash->chip.size, &options, error);
    uint64_t at = 0;

    while (memory && at < flash->chip.size) {
        uint64_t size = MIN(READ_PIECE, flash->chip.size - at);
        int err =
            block_io_read(block_drive_node(flash->drive), at, memory->host + at, size);

        if (err) {
            error_set_errno(error, -err, "cannot read '%s'",
                            block_node_name(block_drive_node(flash->drive)));
            return NULL;
        }
        at += size;
    }
    return g_steal_pointer(&memory);
}

static void show(Pflash *flash, const PflashConfig *config)
{
    const Board *board = flash->dev.board;
    uint64_t gpa = config->end - flash->chip.size;

    region_init_rom_device(&flash->region, flash->name, flash->memory,
                           config->secure ? &secure_ops : &pflash_ops, flash);
    region_add(board->memory_root, gpa, &flash->region, ABOVE_ALL_ELSE);
    if (!config->secure)
        return;
    region_init_rom_device(&flash->smm_region, flash->name, flash->memory, &pflash_ops,
                           flash);
    region_add(board->smm_root, gpa, &flash->smm_region, ABOVE_ALL_ELSE);
}

static bool make(Pflash *flash, const PflashConfig *config, GError **error)
{
    if (!take_drive(flash, config, error))
        return false;
    flash->memory = map_file(flash);
    if (!flash->memory)
        flash->memory = copy_node(flash, error);
    if (!flash->memory)
        return false;
    flash->chip.array = flash->memory->host;
    flash->chip.changed = on_changed;
    flash->chip.opaque = flash;
    if (!flash->chip.read_only) {
        flash->store = pflash_store_new(&flash->dev, flash->drive, error);
        if (!flash->store)
            return false;
    }
    pflash_chip_reset(&flash->chip);
    show(flash, config);
    return true;
}

static void pflash_unrealize(Device *dev)
{
    Pflash *flash = to_pflash(dev);

    if (flash->smm_region.name)
        region_done(&flash->smm_region);
    if (flash->region.name)
        region_done(&flash->region);
    pflash_store_free(flash->store);
    block_drive_detach(flash->drive, true);
    ram_block_unref(flash->memory);
    g_free(flash->name);
}

static bool pflash_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    return true;
}

static void pflash_reset(Device *dev)
{
    Pflash *flash = to_pflash(dev);

    lock_take(&dev->lock);
    pflash_chip_reset(&flash->chip);
    lock_drop(&dev->lock);
}

static void pflash_pause(Device *dev)
{
    pflash_store_pause(to_pflash(dev)->store);
}

static void pflash_resume(Device *dev)
{
    pflash_store_resume(to_pflash(dev)->store);
}

static bool pflash_is_draining(Device *dev)
{
    return pflash_store_is_draining(to_pflash(dev)->store);
}

static const VMStateField pflash_fields[] = {
    VMSTATE_STRUCT(Pflash, chip, pflash_chip_vmstate),
    VMSTATE_END
};

static const VMStateDesc pflash_vmstate = {
    .name = "pflash",
    .version = 1,
    .min_version = 1,
    .fields = pflash_fields,
};

static const DeviceClass pflash_class = {
    .name = "cfi.pflash01",
    .description = "parallel flash",
    .bus = BUS_NONE,
    .instance_size = sizeof(Pflash),
    .vmstate = &pflash_vmstate,
    .realize = pflash_realize,
    .unrealize = pflash_unrealize,
    .reset = pflash_reset,
    .pause = pflash_pause,
    .resume = pflash_resume,
    .is_draining = pflash_is_draining,
};

Device *pflash_add(DeviceTree *tree, unsigned unit, const PflashConfig *config,
                   GError **error)
{
    g_autofree char *name = g_strdup_printf("system.flash%u", unit);
    Device *dev = device_add_onboard(tree, &pflash_class, name, NULL, error);

    if (!dev)
        return NULL;
    to_pflash(dev)->name = g_steal_pointer(&name);
    if (make(to_pflash(dev), config, error))
        return dev;
    device_remove(dev);
    return NULL;
}

RamBlock *pflash_memory(Device *dev)
{
    return to_pflash(dev)->memory;
}
