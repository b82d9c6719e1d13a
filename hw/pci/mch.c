/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function 00.0 of q35: the memory controller hub (Intel 82G33/82Q35).
 *
 * Guests recognise the board by its ids.  Registers (data sheet, 5.1):
 *
 *     60  PCIEXBAR: where the ECAM is
 *     90  PAM0 to PAM6: what answers below 1 MiB (pam.h)
 *     9d  SMRAM: there is no system management mode, so it is closed and locked
 *
 * Without firmware the board has set all of it, and it can only be read.  With firmware
 * there is no ECAM after a reset, and the first MiB ends with the ROM.  Suspended to RAM
 * it keeps PAM, which real hardware does not, but without what was locked: firmware for
 * virtual machines that wakes up expects to find itself where it was, and to write to its
 * variables before it locks them again.
 */
#include "berth/thread.h"

#include "pam.h"
#include "pci-private.h"

#define PCIEXBAR 0x60u
#define PCIEXBAR_ENABLE 1u      /* with length 0: 256 MiB, all 256 buses */
#define PCIEXBAR_LOW 0xf0000000u
#define PCIEXBAR_HIGH 0xfu      /* 36 bits */
#define REG_PAM 0x90u
#define PAM_BITS 0x33u
#define PAM_READS 0x11u
#define PAM_FIRST_BITS 0x30u
#define REG_SMRAM 0x9du
#define SMRAM_LOCKED 0x12u      /* D_LCK; C_BASE_SEG is always 2 */

typedef struct Mch {
    PciDevice pci;
    Pam *pam;                   /* NULL: there is no firmware */
} Mch;

static Mch *to_mch(Device *dev)
{
    return CONTAINER_OF(dev, Mch, pci.dev);
}

/* Does as the registers say; a vCPU, or main. */
static void update_windows(Mch *mch)
{
    PciDevice *pci = &mch->pci;
    uint8_t pam[PAM_REGISTERS];
    uint64_t bar;

    lock_take(&pci->dev.lock);
    for (unsigned i = 0; i < PAM_REGISTERS; i++)
        pam[i] = (uint8_t)pci_config_get(pci, REG_PAM + i, 1);
    bar = pci_config_get(pci, PCIEXBAR, 4) |
          (uint64_t)pci_config_get(pci, PCIEXBAR + 4, 4) << 32;
    pam_update(mch->pam, pam);
    pci_host_place_ecam(pci->bus, bar & ~(uint64_t)PCIEXBAR_ENABLE,
                        bar & PCIEXBAR_ENABLE);
    lock_drop(&pci->dev.lock);
}

static void mch_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    Mch *mch = to_mch(&pci->dev);

    if (mch->pam && (pci_config_touches(offset, size, PCIEXBAR, 8) ||
                     pci_config_touches(offset, size, REG_PAM, PAM_REGISTERS)))
        update_windows(mch);
}

/* For firmware to set. */
static void open_registers(PciDevice *pci)
{
    pci_config_allow(pci, PCIEXBAR, 4, PCIEXBAR_LOW | PCIEXBAR_ENABLE);
    pci_config_allow(pci, PCIEXBAR + 4, 4, PCIEXBAR_HIGH);
    pci_config_allow(pci, REG_PAM, 1, PAM_FIRST_BITS);
    for (unsigned i = 1; i < PAM_REGISTERS; i++)
        pci_config_allow(pci, REG_PAM + i, 1, PAM_BITS);
}

/* As firmware has left it. */
static void preset_registers(PciDevice *pci)
{
    uint64_t ecam = pci->dev.board->ecam_base;

    pci_config_set(pci, PCIEXBAR, 4, (uint32_t)ecam | PCIEXBAR_ENABLE);
    pci_config_set(pci, PCIEXBAR + 4, 4, ecam >> 32);
    pci_config_set(pci, REG_PAM, 1, PAM_FIRST_BITS);
    for (unsigned i = 1; i < PAM_REGISTERS; i++)
        pci_config_set(pci, REG_PAM + i, 1, PAM_BITS);
}

static bool mch_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    static const PciClass class = {
        .vendor_id = 0x8086,
        .device_id = 0x29c0,
        .subsystem_vendor_id = 0x1af4,
        .subsystem_id = 0x1100,
        .class_code = 0x060000,
        .devfn = PCI_DEVFN(0, 0),
        .after_write = mch_after_write,
    };
    Board *board = dev->board;
    Mch *mch = to_mch(dev);

    if (!pci_device_init(&mch->pci, &class, error))
        return false;
    pci_config_set(&mch->pci, REG_SMRAM, 1, SMRAM_LOCKED);
    if (!board->firmware) {
        preset_registers(&mch->pci);
        return true;
    }
    open_registers(&mch->pci);
    mch->pam = pam_new(board->memory, board->memory_root, board->ram, board->firmware);
    return true;
}

static void mch_unrealize(Device *dev)
{
    pam_free(to_mch(dev)->pam);
    pci_device_done(pci_device(dev));
}

static void mch_reset(Device *dev)
{
    pci_device_reset(pci_device(dev));
    if (to_mch(dev)->pam)
        update_windows(to_mch(dev));
}

static void mch_suspend(Device *dev)
{
    uint8_t pam[PAM_REGISTERS];
    PciDevice *pci = pci_device(dev);

    for (unsigned i = 0; i < PAM_REGISTERS; i++)
        pam[i] = (uint8_t)pci_config_get(pci, REG_PAM + i, 1);
    pci_device_reset(pci);
    for (unsigned i = 0; i < PAM_REGISTERS; i++)
        pci_config_set(pci, REG_PAM + i, 1, pam[i] | (pam[i] & PAM_READS) << 1);
    if (to_mch(dev)->pam)
        update_windows(to_mch(dev));
}

static bool mch_post_load(void *opaque, GError **error)
{
    Mch *mch = opaque;

    if (mch->pam)
        update_windows(mch);
    return true;
}

static const VMStateField mch_fields[] = {
    VMSTATE_PCI(Mch, pci),
    VMSTATE_END
};

static const VMStateDesc mch_vmstate = {
    .name = "mch",
    .version = 1,
    .min_version = 1,
    .fields = mch_fields,
    .post_load = mch_post_load,
};

const DeviceClass mch_class = {
    .name = "mch",
    .description = "Host bridge of q35",
    .bus = BUS_PCI,
    .instance_size = sizeof(Mch),
    .vmstate = &mch_vmstate,
    .realize = mch_realize,
    .unrealize = mch_unrealize,
    .reset = mch_reset,
    .suspend = mch_suspend,
};
