/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-debugcon: each byte written to the port goes to the chardev; a read gives the
 * readback value, by which a guest knows that the port is there.
 *
 * The port has no way to say that it is busy, and a vCPU does not wait: what a slow far
 * end and the chardev's buffer do not take is lost.
 */
#include "berth/char.h"
#include "berth/error.h"
#include "berth/region.h"

#include "berth/debugcon.h"

typedef struct Debugcon {
    Device dev;
    Region region;
    Chardev *chr;
    uint8_t readback;
} Debugcon;

static Debugcon *to_debugcon(Device *dev)
{
    return CONTAINER_OF(dev, Debugcon, dev);
}

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    Debugcon *debugcon = opaque;

    return debugcon->readback;
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Debugcon *debugcon = opaque;
    uint8_t byte = value;

    char_write(debugcon->chr, &byte, sizeof(byte));
}

static const RegionOps debugcon_region_ops = {
    .read = debugcon_read,
    .write = debugcon_write,
    .max_size = 1,
};

static const CharUser debugcon_char_user = { 0 };

static bool debugcon_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Debugcon *debugcon = to_debugcon(dev);
    const IsaDebugconProps *props = &args->u.isa_debugcon;

    debugcon->chr = char_attach_named(dev->board->chars, props->chardev,
                                      &debugcon_char_user, debugcon, error);
    if (!debugcon->chr)
        return false;
    debugcon->readback = props->readback;
    region_init_io(&debugcon->region, "debugcon", 1, &debugcon_region_ops, debugcon,
                   NULL);
    region_add(dev->board->io_root, props->iobase, &debugcon->region, 0);
    return true;
}

static void debugcon_unrealize(Device *dev)
{
    Debugcon *debugcon = to_debugcon(dev);

    region_done(&debugcon->region);
    char_detach(debugcon->chr);
}

const DeviceClass debugcon_class = {
    .name = "isa-debugcon",
    .description = "port whose written bytes go to a character device",
    .bus = BUS_ISA,
    .instance_size = sizeof(Debugcon),
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
};
