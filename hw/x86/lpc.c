/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LPC bridge of the ICH9, function 00:1f.0 (data sheet 13.1; 10.1 for the RCBA).
 *
 * It places the power management block (pm.c) at PMBASE and a page of chipset registers
 * at RCBA. The reset control register, which lies among the ports of the PCI host, is
 * there too (pci-host.c).
 *
 * Interrupt pins of PCI end at the IOAPIC's pins 16 to 23 by the board's wiring, which
 * ACPI tells, and at the PIC where the routing registers lead them (pirq.c). Registers in
 * the RCBA page that say which pin of a function is which PIRQ keep what is written and
 * change nothing.
 */
#include <string.h>

#include "berth/irq.h"
#include "berth/pci.h"
#include "berth/thread.h"
#include "berth/trace.h"
#include "berth/x86-layout.h"

#include "berth/lpc.h"

#include "pirq.h"
#include "pm.h"

#define REG_PMBASE 0x40u
#define REG_ACPI_CNTL 0x44u
#define REG_PIRQ_A 0x60u
#define REG_SERIRQ 0x64u
#define REG_PIRQ_E 0x68u
#define REG_IO_DEC 0x80u
#define REG_LPC_EN 0x82u
#define REG_GEN_PMCON_1 0xa0u
#define REG_RCBA 0xf0u

#define PMBASE_IO 0x01u
#define PMBASE_MASK 0xff80u
#define ACPI_CNTL_ENABLE 0x80u
#define PMCON_SMI_LOCK 0x10u
#define RCBA_ENABLE 0x01u
#define RCBA_MASK 0xffffc000u

/* The guest cannot hide anything behind it. */
#define BELOW_ALL_ELSE (-1)

/* Offsets in the RCBA page. */
#define RCRB_ROUTES 0x3100u             /* D31IP to D25IR */
#define RCRB_ROUTES_SIZE 0x100u
#define RCRB_GCS 0x3410u
#define GCS_NO_REBOOT 0x20u             /* the TCO watchdog cannot reset */

typedef struct Lpc {
    PciDevice pci;
    Pm pm;
    Pirq pirq;
    Region rcrb;
    IrqLine alarm;
    bool preset;
    bool no_reboot;             /* as strapped: the guest cannot have it otherwise */

    /* Under dev.lock. */
    uint8_t routes[RCRB_ROUTES_SIZE];
} Lpc;

static Lpc *to_lpc(Device *dev)
{
    return CONTAINER_OF(dev, Lpc, pci.dev);
}

static uint64_t rcrb_read(void *opaque, uint64_t offset, unsigned size)
{
    Lpc *lpc = opaque;
    uint64_t value = 0;

    if (offset >= RCRB_ROUTES && offset + size <= RCRB_ROUTES + RCRB_ROUTES_SIZE)
        memcpy(&value, &lpc->routes[offset - RCRB_ROUTES], size);
    else if (offset == RCRB_GCS)
        value = lpc->pm.tco.no_reboot ? GCS_NO_REBOOT : 0;
    else
        TRACE(unimp_rcrb, "read of %u bytes at 0x%04" PRIx64, size, offset);
    return GUINT64_FROM_LE(value);
}

static void rcrb_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Lpc *lpc = opaque;
    uint64_t little = GUINT64_TO_LE(value);

    if (offset >= RCRB_ROUTES && offset + size <= RCRB_ROUTES + RCRB_ROUTES_SIZE)
        memcpy(&lpc->routes[offset - RCRB_ROUTES], &little, size);
    else if (offset == RCRB_GCS)
        lpc->pm.tco.no_reboot = lpc->no_reboot || value & GCS_NO_REBOOT;
    else
        TRACE(unimp_rcrb, "write of %u bytes at 0x%04" PRIx64, size, offset);
}

static const RegionOps rcrb_ops = {
    .read = rcrb_read, .write = rcrb_write, .max_size = 4
};

static unsigned pirq_register(unsigned n)
{
    return n < 4 ? REG_PIRQ_A + n : REG_PIRQ_E + n - 4;
}

/* Puts the windows where the configuration registers say. */
static void update_windows(Lpc *lpc)
{
    Device *dev = &lpc->pci.dev;
    AddressSpace *memory = dev->board->memory;
    uint32_t pmbase, control, rcba;

    lock_take(&dev->lock);
    pmbase = pci_config_get(&lpc->pci, REG_PMBASE, 4) & PMBASE_MASK;
    control = pci_config_get(&lpc->pci, REG_ACPI_CNTL, 1);
    rcba = pci_config_get(&lpc->pci, REG_RCBA, 4);
    pm_set_base(&lpc->pm, (control & ACPI_CNTL_ENABLE) && pmbase, pmbase);
    region_batch_begin(memory);
    region_set_addr(&lpc->rcrb, rcba & RCBA_MASK);
    region_set_enabled(&lpc->rcrb, rcba & RCBA_ENABLE);
    region_batch_end(memory);
    lock_drop(&dev->lock);
}

static void update_routes(Lpc *lpc)
{
    Device *dev = &lpc->pci.dev;
    uint8_t routes[BOARD_PCI_IRQS];

    lock_take(&dev->lock);
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        routes[i] = pci_config_get(&lpc->pci, pirq_register(i), 1);
    pirq_set_routes(&lpc->pirq, routes);
    lock_drop(&dev->lock);
}

/* Once locked, until a reset. */
static void update_lock(Lpc *lpc)
{
    Device *dev = &lpc->pci.dev;
    uint32_t value;

    lock_take(&dev->lock);
    value = pci_config_get(&lpc->pci, REG_GEN_PMCON_1, 2);
    if (lpc->pm.smi_locked)
        value |= PMCON_SMI_LOCK;
    pci_config_set(&lpc->pci, REG_GEN_PMCON_1, 2, value);
    pm_lock_smi(&lpc->pm, value & PMCON_SMI_LOCK);
    lock_drop(&dev->lock);
}

static bool touches(unsigned offset, unsigned size, unsigned reg, unsigned reg_size)
{
    return offset < reg + reg_size && reg < offset + size;
}

static void lpc_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    if (touches(offset, size, REG_PMBASE, REG_ACPI_CNTL + 1 - REG_PMBASE) ||
        touches(offset, size, REG_RCBA, 4))
        update_windows(to_lpc(&pci->dev));
    if (touches(offset, size, REG_GEN_PMCON_1, 2))
        update_lock(to_lpc(&pci->dev));
    if (touches(offset, size, REG_PIRQ_A, 4) || touches(offset, size, REG_PIRQ_E, 4))
        update_routes(to_lpc(&pci->dev));
}

static const PciClass lpc_pci_class = {
    .vendor_id = 0x8086,
    .device_id = 0x2918,
    .subsystem_vendor_id = 0x1af4,
    .subsystem_id = 0x1100,
    .class_code = 0x060100,
    .revision = 2,
    .multifunction = true,
    .devfn = PCI_DEVFN(0x1f, 0),
    .after_write = lpc_after_write,
};

static void init_registers(PciDevice *pci)
{
    pci_config_set(pci, REG_PMBASE, 4, PMBASE_IO);
    pci_config_allow(pci, REG_PMBASE, 4, PMBASE_MASK);
    pci_config_allow(pci, REG_ACPI_CNTL, 1, ACPI_CNTL_ENABLE);
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++) {
        pci_config_set(pci, pirq_register(i), 1, PIRQ_DISABLED);
        pci_config_allow(pci, pirq_register(i), 1, PIRQ_BITS);
    }
    pci_config_set(pci, REG_SERIRQ, 1, 0x10);
    pci_config_allow(pci, REG_SERIRQ, 1, 0xff);
    pci_config_allow(pci, REG_IO_DEC, 2, 0x1377);
    pci_config_allow(pci, REG_LPC_EN, 2, 0x3f0f);
    pci_config_allow(pci, REG_RCBA, 4, RCBA_MASK | RCBA_ENABLE);
    if (pci->dev.board->smm)
        pci_config_allow(pci, REG_GEN_PMCON_1, 2, PMCON_SMI_LOCK);
}

/* What has no standby power, and what firmware does about it. */
static void reset_bridge(Lpc *lpc)
{
    Device *dev = &lpc->pci.dev;

    pci_device_reset(&lpc->pci);
    lock_take(&dev->lock);
    memset(lpc->routes, 0, sizeof(lpc->routes));
    pm_lock_smi(&lpc->pm, false);
    if (lpc->preset) {
        pci_config_set(&lpc->pci, REG_PMBASE, 4, X86_PM_BASE | PMBASE_IO);
        pci_config_set(&lpc->pci, REG_ACPI_CNTL, 1, ACPI_CNTL_ENABLE);
        pci_config_set(&lpc->pci, REG_RCBA, 4, X86_RCBA_BASE | RCBA_ENABLE);
    }
    lock_drop(&dev->lock);
    update_windows(lpc);
    update_routes(lpc);
}

static void lpc_reset(Device *dev)
{
    Lpc *lpc = to_lpc(dev);

    pm_reset(&lpc->pm, lpc->no_reboot);
    reset_bridge(lpc);
}

static void lpc_suspend(Device *dev)
{
    Lpc *lpc = to_lpc(dev);

    pm_suspend(&lpc->pm, lpc->no_reboot);
    reset_bridge(lpc);
}

static void on_alarm(void *opaque, unsigned n, bool level)
{
    Lpc *lpc = opaque;

    pm_set_alarm(&lpc->pm, level);
}

static bool lpc_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Lpc *lpc = to_lpc(dev);
    Board *board = dev->board;

    if (!pci_device_init(&lpc->pci, &lpc_pci_class, error))
        return false;
    init_registers(&lpc->pci);
    pm_init(&lpc->pm, dev);
    pirq_init(&lpc->pirq, board);
    irq_line_init(&lpc->alarm, on_alarm, lpc, 0);
    region_init_io(&lpc->rcrb, "rcrb", X86_RCBA_SIZE, &rcrb_ops, lpc, &dev->lock);
    region_set_enabled(&lpc->rcrb, false);
    region_add(board->memory_root, X86_RCBA_BASE, &lpc->rcrb, BELOW_ALL_ELSE);
    return true;
}

static void lpc_unrealize(Device *dev)
{
    Lpc *lpc = to_lpc(dev);

    region_done(&lpc->rcrb);
    pm_done(&lpc->pm);
    pirq_done(&lpc->pirq);
    pci_device_done(&lpc->pci);
}

static void lpc_pause(Device *dev)
{
    pm_pause(&to_lpc(dev)->pm);
}

static void lpc_resume(Device *dev)
{
    pm_resume(&to_lpc(dev)->pm);
}

static bool lpc_post_load(void *opaque, GError **error)
{
    Lpc *lpc = opaque;

    lpc->pm.tco.no_reboot |= lpc->no_reboot;
    lpc->pm.smi_locked = false;
    update_lock(lpc);
    update_windows(lpc);
    update_routes(lpc);
    return true;
}

static const VMStateField lpc_fields[] = {
    VMSTATE_PCI(Lpc, pci),
    VMSTATE_STRUCT(Lpc, pm, pm_vmstate),
    VMSTATE_BYTES(Lpc, routes, RCRB_ROUTES_SIZE),
    VMSTATE_END
};

static const VMStateDesc lpc_vmstate = {
    .name = "lpc",
    .version = 1,
    .min_version = 1,
    .fields = lpc_fields,
    .post_load = lpc_post_load,
};

static const DeviceClass lpc_class = {
    .name = "ICH9-LPC",
    .description = "LPC bridge with ACPI power management",
    .bus = BUS_PCI,
    .instance_size = sizeof(Lpc),
    .vmstate = &lpc_vmstate,
    .realize = lpc_realize,
    .unrealize = lpc_unrealize,
    .reset = lpc_reset,
    .suspend = lpc_suspend,
    .pause = lpc_pause,
    .resume = lpc_resume,
};

Device *lpc_add(DeviceTree *tree, const LpcConfig *config, GError **error)
{
    Device *dev = device_add_onboard(tree, &lpc_class, "lpc", NULL, error);

    if (!dev)
        return NULL;
    to_lpc(dev)->preset = config->preset;
    to_lpc(dev)->no_reboot = config->no_reboot;
    to_lpc(dev)->pm.s3 = config->s3;
    to_lpc(dev)->pm.s4 = config->s4;
    to_lpc(dev)->pm.smi_features.offered = config->smi_offered;
    lpc_reset(dev);
    return dev;
}

LpcSmiFiles lpc_smi_files(Device *dev)
{
    SmiFeatures *features = &to_lpc(dev)->pm.smi_features;

    return (LpcSmiFiles) {
        .supported = GUINT64_TO_LE(features->offered),
        .requested = &features->requested,
        .ok = &features->ok,
        .on_ok_selected = smi_features_confirm,
        .opaque = features,
    };
}

const SmiFeatures *lpc_smi_features(const Device *dev)
{
    return &CONTAINER_OF(dev, const Lpc, pci.dev)->pm.smi_features;
}

IrqLine *lpc_pirq(Device *dev, unsigned n)
{
    g_assert(n < BOARD_PCI_IRQS);
    return &to_lpc(dev)->pirq.wires[n];
}

IrqLine *lpc_gpe(Device *dev, unsigned n)
{
    g_assert(n < BOARD_GPES);
    return &to_lpc(dev)->pm.gpes[n];
}

IrqLine *lpc_alarm_line(Device *dev)
{
    return &to_lpc(dev)->alarm;
}

void lpc_power_button(Device *dev)
{
    pm_power_button(&to_lpc(dev)->pm);
}

void lpc_wake(Device *dev, BoardWakeReason reason)
{
    pm_wake(&to_lpc(dev)->pm, reason);
}
