/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI host of q35: root bus "pcie.0", the ports of configuration mechanism #1 (PCI
 * Local Bus 3.0, section 3.2.2.3.2) and the ECAM.
 *
 * A 32-bit access to 0xcf8 is the address of a configuration cycle; a byte at 0xcf9 is
 * ICH9's reset control register, which lies within, so it is here too.
 *
 * What the root bus decodes has a lower priority than all else in the machine, and so has
 * the ECAM, which firmware moves: a guest cannot hide RAM, ROM or an interrupt controller
 * behind a BAR.
 */
#include "berth/pci.h"

#include "pci-private.h"

#define PORTS_BASE 0xcf8u
#define PORTS_SIZE 8u
#define RESET_CONTROL 1u        /* offsets from PORTS_BASE */
#define DATA 4u
#define ADDRESS_ENABLE (1u << 31)
#define ADDRESS_WRITABLE 0x80fffffcu
#define RESET_CPU (1u << 2)
#define RESET_KINDS 0x0au       /* bits that keep what was written */
#define BELOW_ALL_ELSE (-1)

typedef struct PciHost {
    Device dev;
    PciBus root;
    Region ports;
    Region ecam;
    uint32_t address;           /* atomic */
    uint8_t reset_control;      /* atomic */
} PciHost;

static PciHost *to_host(Device *dev)
{
    return CONTAINER_OF(dev, PciHost, dev);
}

/* The function that the address register selects, NULL for none. */
static PciDevice *selected(PciHost *host, unsigned *ret_offset)
{
    uint32_t address = __atomic_load_n(&host->address, __ATOMIC_RELAXED);
    PciBus *bus;

    if (!(address & ADDRESS_ENABLE))
        return NULL;
    *ret_offset = address & 0xfc;
    bus = pci_bus_route(&host->root, address >> 16 & 0xff);
    return bus ? pci_bus_function(bus, address >> 8 & 0xff) : NULL;
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    PciHost *host = opaque;
    PciDevice *pci;
    unsigned base;

    if (offset == 0 && size == 4)
        return __atomic_load_n(&host->address, __ATOMIC_RELAXED);
    if (offset == RESET_CONTROL && size == 1)
        return __atomic_load_n(&host->reset_control, __ATOMIC_RELAXED);
    if (offset < DATA)
        return UINT64_MAX;
    pci = selected(host, &base);
    return pci ? pci_config_read(pci, base + offset - DATA, size) : UINT64_MAX;
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciHost *host = opaque;
    Board *board = host->dev.board;
    PciDevice *pci;
    unsigned base;

    if (offset == 0 && size == 4) {
        __atomic_store_n(&host->address, value & ADDRESS_WRITABLE, __ATOMIC_RELAXED);
    } else if (offset == RESET_CONTROL && size == 1) {
        __atomic_store_n(&host->reset_control, value & RESET_KINDS, __ATOMIC_RELAXED);
        if (value & RESET_CPU)
            board->ops->request_reset(board->opaque, BOARD_RESET_GUEST);
    } else if (offset >= DATA) {
        pci = selected(host, &base);
        if (pci)
            pci_config_write(pci, base + offset - DATA, size, value);
    }
}

static const RegionOps ports_ops = {
    .read = ports_read,
    .write = ports_write,
    .min_size = 1,
    .max_size = 4,
};

static bool host_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciHost *host = to_host(dev);
    Board *board = dev->board;

    if (!pci_bus_init(&host->root, "pcie.0", PCI_BUS_ROOT, NULL, dev, error))
        return false;
    pci_bus_set_numbers(&host->root, 0, 255);
    region_init_io(&host->ports, "pci-ports", PORTS_SIZE, &ports_ops, host, NULL);
    ecam_init(&host->ecam, &host->root);
    region_batch_begin(board->memory);
    region_add(board->memory_root, 0, &host->root.memory, BELOW_ALL_ELSE);
    region_set_enabled(&host->ecam, !board->firmware);
    region_add(board->memory_root, board->ecam_base, &host->ecam, BELOW_ALL_ELSE);
    region_batch_end(board->memory);
    region_batch_begin(board->io);
    region_add(board->io_root, 0, &host->root.io, BELOW_ALL_ELSE);
    region_add(board->io_root, PORTS_BASE, &host->ports, 0);
    region_batch_end(board->io);
    return true;
}

static void host_unrealize(Device *dev)
{
    PciHost *host = to_host(dev);

    region_done(&host->ecam);
    region_done(&host->ports);
    pci_bus_done(&host->root);
}

void pci_host_place_ecam(PciBus *root, uint64_t base, bool enabled)
{
    PciHost *host = CONTAINER_OF(root, PciHost, root);
    AddressSpace *memory = host->dev.board->memory;

    region_batch_begin(memory);
    region_set_addr(&host->ecam, base);
    region_set_enabled(&host->ecam, enabled);
    region_batch_end(memory);
}

static void host_reset(Device *dev)
{
    PciHost *host = to_host(dev);

    host->address = 0;
    host->reset_control = 0;
}

static bool host_post_load(void *opaque, GError **error)
{
    PciHost *host = opaque;

    host->address &= ADDRESS_WRITABLE;
    host->reset_control &= RESET_KINDS;
    return true;
}

static const VMStateField host_fields[] = {
    VMSTATE_U32(PciHost, address),
    VMSTATE_U8(PciHost, reset_control),
    VMSTATE_END
};

static const VMStateDesc host_vmstate = {
    .name = "q35-pcihost", .version = 1, .min_version = 1, .fields = host_fields,
    .post_load = host_post_load,
};

const DeviceClass pci_host_class = {
    .name = "q35-pcihost",
    .description = "PCI Express host of q35",
    .bus = BUS_NONE,
    .instance_size = sizeof(PciHost),
    .vmstate = &host_vmstate,
    .realize = host_realize,
    .unrealize = host_unrealize,
    .reset = host_reset,
};
