/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-debug-exit, for guests that are tests: a write of V asks the machine to end with
 * exit status (V << 1) | 1, which is never 0.  Reads give 0.
 */
#include "berth/error.h"
#include "berth/region.h"

#include "berth/debug-exit.h"

typedef struct DebugExit {
    Device dev;
    Region region;
} DebugExit;

static DebugExit *to_debug_exit(Device *dev)
{
    return CONTAINER_OF(dev, DebugExit, dev);
}

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    DebugExit *exit_port = opaque;
    Board *board = exit_port->dev.board;

    board->ops->request_exit(board->opaque, (int)(uint32_t)(value << 1 | 1));
}

static const RegionOps debug_exit_region_ops = {
    .read = debug_exit_read,
    .write = debug_exit_write,
    .max_size = 4,
};

static bool debug_exit_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    DebugExit *exit_port = to_debug_exit(dev);
    const IsaDebugExitProps *props = &args->u.isa_debug_exit;

    if (props->iobase + props->iosize > 0x10000) {
        error_set(error, "parameter 'iobase' expects a port up to 0x%x",
                  0x10000 - props->iosize);
        return false;
    }
    region_init_io(&exit_port->region, "debug-exit", props->iosize,
                   &debug_exit_region_ops, exit_port, NULL);
    region_add(dev->board->io_root, props->iobase, &exit_port->region, 0);
    return true;
}

static void debug_exit_unrealize(Device *dev)
{
    region_done(&to_debug_exit(dev)->region);
}

const DeviceClass debug_exit_class = {
    .name = "isa-debug-exit",
    .description = "port that ends berth with a status",
    .bus = BUS_ISA,
    .instance_size = sizeof(DebugExit),
    .realize = debug_exit_realize,
    .unrealize = debug_exit_unrealize,
};
