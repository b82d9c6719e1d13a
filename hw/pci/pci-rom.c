/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option ROM of a function (PCI Local Bus 3.0, 6.2.5.2 and 6.3): a program that
 * firmware runs, such as a loader that boots from the network.
 *
 * Its register is a BAR of memory with an enable bit.  What is longer than the file is
 * all ones.  The file is read once, when the device is made.
 *
 * A ROM that is there by default is one for all functions of a kind, so its first image
 * is given the ids of the function that has it, as firmware may compare them.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/file-find.h"
#include "berth/file-read.h"
#include "berth/log.h"

#include "pci-private.h"

#define ROM_MIN 2048u
#define ROM_MAX (16 * MIB)

/* The only network devices that there are, are virtio's. */
#define CLASS_ETHERNET 0x0200u
#define ETHERNET_ROM "efi-virtio.rom"

/* In the image, and in the PCI data structure to which it points. */
#define IMAGE_CHECKSUM 6u
#define IMAGE_DATA 0x18u
#define DATA_VENDOR 4u
#define DATA_DEVICE 6u
#define DATA_SIZE 0x18u

struct PciRom {
    RamBlock *block;
    Region region;
    uint64_t addr;              /* where it is mapped, when it is */
    bool mapped;
};

/* Where distributions have ROMs. */
static const char *const folders[] = {
    "/usr/lib/ipxe/qemu", "/usr/share/ipxe/qemu", "/usr/share/qemu", NULL,
};

static uint64_t power_of_two(size_t size)
{
    uint64_t rounded = ROM_MIN;

    while (rounded < size)
        rounded *= 2;
    return rounded;
}

static RamBlock *make_block(const uint8_t *data, size_t size, GError **error)
{
    const RamOptions options = { 0 };
    uint64_t rounded = power_of_two(size);
    RamBlock *block = ram_block_new("pci.rom", rounded, &options, error);

    if (!block)
        return NULL;
    memcpy(block->host, data, size);
    memset(block->host + size, 0xff, block->size - size);
    return block;
}

static void add_block(PciDevice *pci, RamBlock *block, uint64_t size)
{
    pci->rom = g_new0(PciRom, 1);
    pci->rom->block = block;
    region_init_rom(&pci->rom->region, "pci.rom", block, 0, size);
    pci_config_allow(pci, PCI_ROM_ADDRESS, 4,
                     (uint32_t)~(size - 1) | PCI_ROM_ADDRESS_ENABLE);
}

static bool load(PciDevice *pci, const char *path, GError **error)
{
    g_autofree uint8_t *data = NULL;
    RamBlock *block;
    size_t size;

    data = file_read(path, ROM_MAX, &size, error);
    if (!data)
        return false;
    if (size == 0) {
        error_set(error, "'%s' is empty", path);
        return false;
    }
    block = make_block(data, size, error);
    if (block)
        add_block(pci, block, power_of_two(size));
    return block != NULL;
}

bool pci_rom_init(PciDevice *pci, const DeviceAddArgs *args, GError **error)
{
    g_autofree char *path = NULL;

    if (!args->romfile || !*args->romfile || (args->has_rombar && !args->rombar))
        return true;
    if (pci->class->is_bridge) {
        error_set(error, "parameter 'romfile': a bridge has no option ROM");
        return false;
    }
    path = file_find(args->romfile, folders);
    if (!path)
        error_set(error, "there is no file '%s'", args->romfile);
    if (path && load(pci, path, error))
        return true;
    g_prefix_error(error, "parameter 'romfile': ");
    return false;
}

/* Bytes of the first image may be anything. */
static void put_ids(const PciDevice *pci, uint8_t *rom, uint64_t size)
{
    uint32_t data = rom[IMAGE_DATA] | (uint32_t)rom[IMAGE_DATA + 1] << 8;
    uint8_t before = 0, after = 0;

    if (rom[0] != 0x55 || rom[1] != 0xaa || data + DATA_SIZE > size ||
        memcmp(rom + data, "PCIR", 4) != 0)
        return;
    for (unsigned i = DATA_VENDOR; i < DATA_DEVICE + 2; i++) {
        before += rom[data + i];
        rom[data + i] = pci->config[PCI_VENDOR_ID + i - DATA_VENDOR];
        after += rom[data + i];
    }
    rom[IMAGE_CHECKSUM] += before - after;
}

void pci_rom_add_default(PciDevice *pci)
{
    const DeviceAddArgs *args = pci->dev.args;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    if (!pci->dev.board->firmware || pci->rom || !args ||
        pci_config_get(pci, PCI_CLASS_DEVICE, 2) != CLASS_ETHERNET ||
        args->romfile || (args->has_rombar && !args->rombar))
        return;
    path = file_find_installed(ETHERNET_ROM, folders);
    if (path && load(pci, path, &error))
        put_ids(pci, pci->rom->block->host, pci->rom->block->size);
    else if (path)
        log_warn("device '%s' has no option ROM: %s", device_name(&pci->dev),
                 error->message);
}

void pci_rom_done(PciDevice *pci)
{
    if (!pci->rom)
        return;
    region_done(&pci->rom->region);
    ram_block_unref(pci->rom->block);
    g_clear_pointer(&pci->rom, g_free);
}

void pci_rom_update(PciDevice *pci, bool decodes)
{
    PciRom *rom = pci->rom;
    uint32_t value = pci_config_get(pci, PCI_ROM_ADDRESS, 4);
    uint64_t addr = value & (uint32_t)PCI_ROM_ADDRESS_MASK;
    bool wanted = decodes && (value & PCI_ROM_ADDRESS_ENABLE) && addr != 0 &&
                  addr + rom->region.size - 1 < UINT32_MAX;

    if (rom->mapped && wanted && rom->addr != addr)
        region_set_addr(&rom->region, addr);
    else if (rom->mapped && !wanted)
        region_remove(&rom->region);
    else if (!rom->mapped && wanted)
        region_add(&pci->bus->memory, addr, &rom->region, 0);
    rom->mapped = wanted;
    rom->addr = addr;
}
