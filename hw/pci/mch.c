/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function 00.0 of q35: the memory controller hub (Intel 82G33/82Q35).
 *
 * Guests recognise the board by its ids.  Registers (data sheet, 5.1):
 *
 *     50  memory that TSEG may have, in MiB: firmware writes ones to ask (no register of
 *         the chip, but QEMU's, docs/specs)
 *     60  PCIEXBAR: where the ECAM is
 *     90  PAM0 to PAM6: what answers below 1 MiB (pam.h)
 *     9c  memory at the default SMBASE, QEMU's as well: firmware writes ones to ask,
 *         reads 1, and takes it by writing 2, which is then what is read until a reset
 *     9d  SMRAM, ESMRAMC: memory of system management mode (smram.h); where there is no
 *         such mode it is closed and locked
 *     a4  GBSM, BGSM, TSEGMB, TOLUD: where firmware says that low RAM and its last parts
 *         end, for itself to read; with the mode
 *
 * D_LCK freezes what protects that memory until a reset.  The guest's writes are taken
 * back after the fact and before anything follows from them; so what may be loaded is
 * what a guest may write.
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
#include "smram.h"

#define PCIEXBAR 0x60u
#define PCIEXBAR_ENABLE 1u      /* with length 0: 256 MiB, all 256 buses */
#define PCIEXBAR_LOW 0xf0000000u
#define PCIEXBAR_HIGH 0xfu      /* 36 bits */
#define REG_PAM 0x90u
#define PAM_BITS 0x33u
#define PAM_READS 0x11u
#define PAM_FIRST_BITS 0x30u
#define REG_TSEG_MBYTES 0x50u
#define TSEG_MBYTES_QUERY 0xffffu
#define REG_SMBASE 0x9cu
#define SMBASE_QUERY 0xffu
#define REG_SMRAM 0x9du
#define REG_ESMRAMC 0x9eu
#define REG_GBSM 0xa4u
#define REG_BGSM 0xa8u
#define REG_TSEGMB 0xacu
#define REG_TOLUD 0xb0u
#define MEGABYTES 0xfff00000u   /* bits of an address in the first three */
#define TOLUD_BITS 0xfff0u

typedef struct Mch {
    PciDevice pci;
    Pam *pam;                   /* NULL: there is no firmware */
    Smram *smram;               /* NULL: there is no system management mode */

    /* Under dev.lock: what the registers were when they last meant something. */
    SmramRegisters registers;
    uint32_t tsegmb;
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

/* Asked for, taken, or neither; of anything else nothing follows.  Under the lock. */
static void hold_smbase(Mch *mch)
{
    PciDevice *pci = &mch->pci;
    uint8_t was = mch->registers.smbase;
    uint8_t now = (uint8_t)pci_config_get(pci, REG_SMBASE, 1);

    if (was == 0 && now == SMBASE_QUERY)
        now = SMBASE_IN_RAM;
    else if ((was | now) & SMBASE_LCK)
        now = SMBASE_LCK;
    else
        now = (was | now) & SMBASE_IN_RAM;
    pci_config_set(pci, REG_SMBASE, 1, now);
}

/* What is locked stays; what locks closes.  Under the lock. */
static void hold_locked(Mch *mch)
{
    PciDevice *pci = &mch->pci;
    uint8_t kept = mch->registers.smram & ~SMRAM_D_CLS;
    uint8_t now = (uint8_t)pci_config_get(pci, REG_SMRAM, 1);

    if (mch->registers.smram & SMRAM_D_LCK) {
        now = kept | (now & SMRAM_D_CLS);
        pci_config_set(pci, REG_ESMRAMC, 1, mch->registers.esmramc);
        pci_config_set(pci, REG_TSEGMB, 4, mch->tsegmb);
    }
    if (now & SMRAM_D_LCK)
        now &= ~SMRAM_D_OPEN;
    pci_config_set(pci, REG_SMRAM, 1, now);
}

/* Does as the registers say; a vCPU, or main. */
static void update_smram(Mch *mch)
{
    PciDevice *pci = &mch->pci;

    lock_take(&pci->dev.lock);
    hold_locked(mch);
    if (pci->dev.board->smram_at_smbase)
        hold_smbase(mch);
    mch->registers = (SmramRegisters) {
        .smram = (uint8_t)pci_config_get(pci, REG_SMRAM, 1),
        .esmramc = (uint8_t)pci_config_get(pci, REG_ESMRAMC, 1),
        .smbase = (uint8_t)pci_config_get(pci, REG_SMBASE, 1),
    };
    mch->tsegmb = pci_config_get(pci, REG_TSEGMB, 4);
    smram_update(mch->smram, &mch->registers);
    lock_drop(&pci->dev.lock);
}

/* They are as after a reset, or loaded. */
static void restart_smram(Mch *mch)
{
    if (!mch->smram)
        return;
    lock_take(&mch->pci.dev.lock);
    mch->registers = (SmramRegisters) { 0 };
    lock_drop(&mch->pci.dev.lock);
    update_smram(mch);
}

static void answer_tseg_query(Mch *mch)
{
    PciDevice *pci = &mch->pci;
    uint16_t most = pci->dev.board->extended_tseg;

    lock_take(&pci->dev.lock);
    if (most && pci_config_get(pci, REG_TSEG_MBYTES, 2) == TSEG_MBYTES_QUERY)
        pci_config_set(pci, REG_TSEG_MBYTES, 2, most);
    lock_drop(&pci->dev.lock);
}

static void mch_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    Mch *mch = to_mch(&pci->dev);

    if (mch->smram && (pci_config_touches(offset, size, REG_SMBASE, 3) ||
                       pci_config_touches(offset, size, REG_TSEGMB, 4)))
        update_smram(mch);
    if (mch->smram && pci_config_touches(offset, size, REG_TSEG_MBYTES, 2))
        answer_tseg_query(mch);

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

static void add_smram(Mch *mch)
{
    PciDevice *pci = &mch->pci;

    if (!pci->dev.board->smm) {
        pci_config_set(pci, REG_SMRAM, 1, SMRAM_D_LCK | SMRAM_BASE_SEG);
        return;
    }
    pci_config_set(pci, REG_SMRAM, 1, SMRAM_BASE_SEG);
    pci_config_allow(pci, REG_SMRAM, 1,
                     SMRAM_D_OPEN | SMRAM_D_CLS | SMRAM_D_LCK | SMRAM_G_SMRAME);
    pci_config_set(pci, REG_ESMRAMC, 1, ESMRAMC_CACHE);
    pci_config_allow(pci, REG_ESMRAMC, 1, ESMRAMC_TSEG_SZ | ESMRAMC_T_EN);
    if (pci->dev.board->extended_tseg)
        pci_config_allow(pci, REG_TSEG_MBYTES, 2, 0xffff);
    if (pci->dev.board->smram_at_smbase)
        pci_config_allow(pci, REG_SMBASE, 1, 0xff);
    pci_config_allow(pci, REG_GBSM, 4, MEGABYTES);
    pci_config_allow(pci, REG_BGSM, 4, MEGABYTES);
    pci_config_allow(pci, REG_TSEGMB, 4, MEGABYTES);
    pci_config_allow(pci, REG_TOLUD, 2, TOLUD_BITS);
    mch->smram = smram_new(pci->dev.board);
    update_smram(mch);
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
    add_smram(mch);
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
    smram_free(to_mch(dev)->smram);
    pam_free(to_mch(dev)->pam);
    pci_device_done(pci_device(dev));
}

static void mch_reset(Device *dev)
{
    pci_device_reset(pci_device(dev));
    restart_smram(to_mch(dev));
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
    restart_smram(to_mch(dev));
    if (to_mch(dev)->pam)
        update_windows(to_mch(dev));
}

static bool mch_post_load(void *opaque, GError **error)
{
    Mch *mch = opaque;

    restart_smram(mch);
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
