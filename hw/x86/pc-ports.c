/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System control port B (0x61) and the port of POST codes (0x80), which guests write to
 * for a short delay (ICH9 data sheet, 13.7.1 and 13.2).
 *
 * Port B is here for a machine whose PIT is not KVM's, which otherwise answers it in the
 * kernel: no NMI has a reason, the refresh bit toggles, channel 2 is silent.
 */
#include "berth/irq.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/pc-ports.h"

#define PORT_B_WRITABLE 0x0f
#define PORT_B_REFRESH 0x10

typedef struct PcPorts {
    Device dev;
    Region port_b_region;
    Region post_region;

    /* Under dev.lock. */
    uint8_t port_b;
    uint8_t post;
} PcPorts;

static PcPorts *to_ports(Device *dev)
{
    return CONTAINER_OF(dev, PcPorts, dev);
}

static uint64_t port_b_read(void *opaque, uint64_t offset, unsigned size)
{
    PcPorts *ports = opaque;

    ports->port_b ^= PORT_B_REFRESH;
    return ports->port_b;
}

static void port_b_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PcPorts *ports = opaque;

    ports->port_b = (ports->port_b & ~PORT_B_WRITABLE) | (value & PORT_B_WRITABLE);
}

static uint64_t post_read(void *opaque, uint64_t offset, unsigned size)
{
    PcPorts *ports = opaque;

    return ports->post;
}

static void post_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PcPorts *ports = opaque;

    ports->post = value;
}

static const RegionOps port_b_ops = { .read = port_b_read, .write = port_b_write };
static const RegionOps post_ops = { .read = post_read, .write = post_write };

static void pc_ports_reset(Device *dev)
{
    PcPorts *ports = to_ports(dev);

    lock_take(&dev->lock);
    ports->port_b = 0;
    ports->post = 0;
    lock_drop(&dev->lock);
}

static bool pc_ports_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PcPorts *ports = to_ports(dev);
    Board *board = dev->board;

    region_init_io(&ports->port_b_region, "port-b", 1, &port_b_ops, ports, &dev->lock);
    region_init_io(&ports->post_region, "post", 1, &post_ops, ports, &dev->lock);
    region_batch_begin(board->io);
    region_add(board->io_root, X86_PORT_B, &ports->port_b_region, 0);
    region_add(board->io_root, X86_PORT_POST, &ports->post_region, 0);
    region_batch_end(board->io);
    return true;
}

static void pc_ports_unrealize(Device *dev)
{
    PcPorts *ports = to_ports(dev);

    region_done(&ports->port_b_region);
    region_done(&ports->post_region);
}

static bool pc_ports_post_load(void *opaque, GError **error)
{
    PcPorts *ports = opaque;

    ports->port_b &= PORT_B_WRITABLE | PORT_B_REFRESH;
    return true;
}

static const VMStateField pc_ports_fields[] = {
    VMSTATE_U8(PcPorts, port_b),
    VMSTATE_U8(PcPorts, post),
    VMSTATE_END
};

static const VMStateDesc pc_ports_vmstate = {
    .name = "pc-ports",
    .version = 1,
    .min_version = 1,
    .fields = pc_ports_fields,
    .post_load = pc_ports_post_load,
};

static const DeviceClass pc_ports_class = {
    .name = "pc-ports",
    .description = "system control port B and the port of POST codes",
    .bus = BUS_NONE,
    .instance_size = sizeof(PcPorts),
    .vmstate = &pc_ports_vmstate,
    .realize = pc_ports_realize,
    .unrealize = pc_ports_unrealize,
    .reset = pc_ports_reset,
};

Device *pc_ports_add(DeviceTree *tree, GError **error)
{
    return device_add_onboard(tree, &pc_ports_class, "pc-ports", NULL, error);
}
