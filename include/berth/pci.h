/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI and PCI Express functions and buses (PCI Local Bus 3.0, PCI Express Base 4.0;
 * registers are named as in <linux/pci_regs.h>).
 *
 * A function embeds a PciDevice first.  Its realize() begins with pci_device_init(),
 * which reserves its place and makes its configuration header, then adds BARs and
 * capabilities; its unrealize() ends with pci_device_done().  The guest sees it after
 * realize() (BusOps.plug). Its reset() calls pci_device_reset(), its VMState table has
 * VMSTATE_PCI().
 *
 * Threads: init, add and done on main.  Configuration space is accessed on vCPU threads
 * under dev->lock; so are pci_config_get() and pci_config_set() once the function is
 * plugged.  The hooks of PciClass are called on the accessing thread without the lock.
 *
 * Interrupt pins are wired by standard swizzle; pin N (0: INTA) of slot S of the root bus
 * drives board->pci_irqs[BOARD_PCI_IRQ(S, N)].
 */
#pragma once

#include "berth/device.h"
#include "berth/region.h"
#include "berth/vmstate.h"

#include <linux/pci_regs.h>

#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))
#define PCI_SLOT(devfn) ((devfn) >> 3 & 31u)
#define PCI_FUNCTION(devfn) ((devfn) & 7u)

#define PCI_CONFIG_SIZE 256u
#define PCI_N_BARS 6u

typedef struct Msix Msix;                       /* msix.h */
typedef struct PciIntx PciIntx;                 /* pci-intx.c */
typedef struct PciSlots PciSlots;               /* pci-slots.h */

typedef struct PciClass {
    uint16_t vendor_id;
    uint16_t device_id;
    uint16_t subsystem_vendor_id;
    uint16_t subsystem_id;
    uint32_t class_code;        /* base class, sub-class, interface: 0x060400 */
    uint8_t revision;
    bool is_bridge;             /* header type 1 */
    bool multifunction;         /* of a device of the board */
    uint8_t devfn;              /* the place of a device of the board (without args) */
    uint8_t interrupt_pin;      /* 1 to 4, INTA to INTD; 0 for none */
    /* May bring config[] up to date for such a read.  NULL: nothing. */
    void (*before_read)(PciDevice *pci, unsigned offset, unsigned size);
    /* The guest wrote there; BARs, command register and MSI-X are already in effect. */
    void (*after_write)(PciDevice *pci, unsigned offset, unsigned size);
    /* A bridge: a function came to its secondary bus, or went.  Main. */
    void (*secondary_changed)(PciDevice *pci);
    /* Of a bridge above a slot, main: see BusOps; whether the guest drives the slot. */
    bool (*slot_takes)(const PciDevice *pci);
    bool (*slot_ask)(PciDevice *pci, bool *ret_eject, GError **error);
    bool (*slot_is_driven)(PciDevice *pci);
    /* msix_vector_fd() may say otherwise now; dev->lock is held. */
    void (*vectors_changed)(PciDevice *pci);
} PciClass;

typedef struct PciBar {
    Region *region;             /* NULL: no such BAR, or the upper half of a 64-bit one */
    uint32_t flags;             /* PCI_BASE_ADDRESS_* low bits */
    uint64_t addr;              /* where it is mapped, when it is */
    bool mapped;
} PciBar;

struct PciDevice {
    Device dev;
    const PciClass *class;
    PciBus *bus;
    uint8_t devfn;
    bool multifunction;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t power_on[PCI_CONFIG_SIZE];          /* as at the end of realize() */
    uint8_t writable[PCI_CONFIG_SIZE];          /* bits that the guest may write */
    uint8_t write_one_clears[PCI_CONFIG_SIZE];
    unsigned caps_end;          /* the first byte that no capability has */
    uint8_t pm_cap;             /* offsets of capabilities, 0 for none */
    uint8_t express_cap;
    PciBar bars[PCI_N_BARS];
    struct PciRom *rom;         /* pci-rom.c; NULL when it has none */
    struct Msi *msi;            /* NULL when it has none */
    Msix *msix;                 /* NULL when it has none */
    PciBus *secondary;          /* of a bridge, else NULL */

    /* Guarded by the lock of PciIntx. */
    bool irq_asserted;          /* by the device; atomic for readers */
    bool irq_disabled, irq_withdrawn;   /* by the command register; for it leaves */
    bool irq_driven;            /* on the wire */
};

/* What a bridge gets when resources are assigned, for devices added later. */
typedef struct PciReserve {
    uint64_t io;                /* bytes */
    uint64_t memory;
    uint64_t prefetchable;
    unsigned buses;             /* beside its own */
} PciReserve;

typedef enum PciBusKind {
    PCI_BUS_ROOT,               /* of the root complex: express, 32 slots */
    PCI_BUS_SLOT,               /* below an express port: express, slot 0 alone */
    PCI_BUS_CONVENTIONAL,       /* 32 slots, nothing express */
} PciBusKind;

struct PciBus {
    Bus bus;
    PciBusKind kind;
    PciDevice *bridge;          /* NULL for the root */
    PciIntx *intx;              /* the root's */
    Region memory;              /* BARs, and windows to the buses below */
    Region io;
    unsigned n_functions;       /* places: 256, or 8 below a port */
    PciDevice **functions;      /* by devfn: plugged.  Atomic. */
    PciDevice **reserved;       /* by devfn: taken.  Main only. */
    int number;                 /* of the bus.  Atomic. */
    int subordinate;            /* the highest bus number below.  Atomic. */
    PciReserve reserve;         /* of a bridge, fixed */
    PciSlots *slots;            /* NULL: the bridge alone tells the guest */
    unsigned slots_index;       /* by which they know it */
};

static inline PciDevice *pci_device(Device *dev)
{
    return CONTAINER_OF(dev, PciDevice, dev);
}

static inline PciBus *pci_bus(Bus *bus)
{
    return CONTAINER_OF(bus, PciBus, bus);
}

extern const VMStateDesc pci_device_vmstate;
#define VMSTATE_PCI(type, field) VMSTATE_STRUCT(type, field, pci_device_vmstate)

/*
 * The parts of q35 that a board adds by device_add_onboard(), in this order: the host
 * with bus "pcie.0", its ports 0xcf8 and 0xcfc and its ECAM at board->ecam_base (256
 * MiB); and function 00.0, the memory controller.
 */
extern const DeviceClass pci_host_class, mch_class;

extern const DeviceClass pcie_root_port_class, pcie_pci_bridge_class, pci_bridge_class;

/* Main, in realize and unrealize. */

/*
 * Reserves the place that dev->args ask for (or the first free) and makes the header.
 * False with @error that names the parameter; nothing is left to undo then.
 */
bool pci_device_init(PciDevice *pci, const PciClass *class, GError **error);
/* What ACPI is to tell the guest of any device as its index; 0: nothing.  Main. */
uint16_t pci_acpi_index(const Device *dev);
/* Undoes all that the functions below have added, too. */
void pci_device_done(PciDevice *pci);

/*
 * Makes @region (lent, of a size that is a power of two) BAR @n.  @flags are the low bits
 * of the register: PCI_BASE_ADDRESS_SPACE_IO, or PCI_BASE_ADDRESS_MEM_TYPE_64 (which
 * takes two) and PCI_BASE_ADDRESS_MEM_PREFETCH.
 */
void pci_bar_add(PciDevice *pci, unsigned n, Region *region, uint32_t flags);

/* Links a capability of @size bytes, header included, in; returns its offset. */
uint8_t pci_add_cap(PciDevice *pci, uint8_t id, unsigned size);
/* Power management (version 3); the state survives D3hot. */
void pci_add_pm_cap(PciDevice *pci);
/* PCI Express: an endpoint below a port. */
void pci_add_endpoint_cap(PciDevice *pci);

/* True when @bus is the secondary bus of an express port. */
bool pci_bus_is_below_port(const PciBus *bus);
bool pci_bus_slot_is_free(const PciBus *bus, unsigned slot);    /* of all functions */

/* Main before plug; then the thread that holds dev->lock. */

/* @size is 1, 2 or 4; little-endian registers, values in host order. */
uint32_t pci_config_get(const PciDevice *pci, unsigned offset, unsigned size);
void pci_config_set(PciDevice *pci, unsigned offset, unsigned size, uint32_t value);
/* Bits that the guest may write; those of _w1c are cleared by writing ones. */
void pci_config_allow(PciDevice *pci, unsigned offset, unsigned size, uint32_t mask);
void pci_config_allow_w1c(PciDevice *pci, unsigned offset, unsigned size, uint32_t mask);

/* PCI_COMMAND_MASTER. */
bool pci_config_is_bus_master(const PciDevice *pci);

/* Main with the vCPUs paused, or a vCPU; dev->lock is not held. */

/* Configuration space, BARs, interrupts and MSI-X as at power-on. */
void pci_device_reset(PciDevice *pci);

/* Any thread. */

/* What class code @class is in words; NULL: not known. */
const char *pci_class_text(uint16_t class);
/* The level of the interrupt pin; gated by PCI_COMMAND_INTX_DISABLE. */
void pci_intx_set(PciDevice *pci, bool level);
