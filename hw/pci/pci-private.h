/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of PCI share among themselves.
 */
#pragma once

#include "berth/msi.h"
#include "berth/msix.h"
#include "berth/pci.h"

/* Configuration space of PCI Express, of which berth's functions use the first 256. */
#define PCIE_CONFIG_SIZE 4096u

/* pci.c */

/* Adds the capability (version 2, link up at 16 GT/s); returns its offset. */
uint8_t pci_add_express_cap(PciDevice *pci, unsigned type);

/* pci-config.c */

/*
 * A guest's access, on its thread, with no lock held.  @size is 1, 2 or 4, @offset a
 * multiple of it and within PCIE_CONFIG_SIZE.
 */
uint32_t pci_config_read(PciDevice *pci, unsigned offset, unsigned size);
void pci_config_write(PciDevice *pci, unsigned offset, unsigned size, uint32_t value);
/* A register that the slot or the board sets: @value also is the one at power-on. */
void pci_config_strap(PciDevice *pci, unsigned offset, unsigned size, uint32_t value);
/* Whether [@offset, @offset + @size) touches [@start, @start + @length). */
bool pci_config_touches(unsigned offset, unsigned size, unsigned start, unsigned length);

/* pci-bar.c */

/* Maps the BARs as the registers say; dev->lock is held. */
void pci_bar_update(PciDevice *pci);
void pci_bar_unmap(PciDevice *pci);

/* pci-rom.c */

typedef struct PciRom PciRom;

/* What the operator asks for; false with @error that names the parameter. */
bool pci_rom_init(PciDevice *pci, const DeviceAddArgs *args, GError **error);
/* That of a package for the kind of function, where firmware could run it. */
void pci_rom_add_default(PciDevice *pci);
/* No effect without a ROM. */
void pci_rom_done(PciDevice *pci);
/* There is one.  Maps it as its register says while the function @decodes memory. */
void pci_rom_update(PciDevice *pci, bool decodes);

/* pci-bus.c */

/* @bridge is NULL for the root.  False with @error when the name is taken. */
bool pci_bus_init(PciBus *bus, const char *name, PciBusKind kind, PciDevice *bridge,
                  Device *owner, GError **error);
void pci_bus_done(PciBus *bus);
/* False with @error that names the parameter. */
bool pci_bus_reserve(PciBus *bus, PciDevice *pci, const DeviceAddArgs *args,
                     GError **error);
void pci_bus_release(PciBus *bus, PciDevice *pci);
/* Any thread, until its next quiescent point; NULL when there is none. */
PciDevice *pci_bus_function(const PciBus *bus, unsigned devfn);
/* The bus with that number at or below @bus, as the bridges route it; NULL when none. */
PciBus *pci_bus_route(PciBus *bus, int number);
void pci_bus_set_numbers(PciBus *bus, int number, int subordinate);

/* pci-hotplug.c: main only */

bool pci_hotplug_check(Bus *bus, const DeviceAddArgs *args, GError **error);
bool pci_hotplug_request_unplug(Bus *bus, Device *dev, bool *ret_eject, GError **error);
bool pci_hotplug_remind(Bus *bus, Device *dev);
void pci_hotplug_eject(Bus *bus, Device *dev);
/* For the bridge of a slot: the guest keeps what it was asked for. */
void pci_hotplug_kept(PciBus *bus);

/* pci-intx.c */

PciIntx *pci_intx_new(Board *board);
void pci_intx_free(PciIntx *intx);
/* The command register changed or the state was loaded; dev->lock is held. */
void pci_intx_update(PciDevice *pci);
/* The function is out of sight for good: its pin drives nothing any more. */
void pci_intx_withdraw(PciDevice *pci);
/* The index in board->pci_irqs of the line that the function's pin ends at. */
unsigned pci_intx_line(const PciDevice *pci);

/* msi.c */

void msi_free(PciDevice *pci);
/* Its registers changed, or the state was loaded; dev->lock is held. */
void msi_update(PciDevice *pci);
bool msi_touched(const PciDevice *pci, unsigned offset, unsigned size);

/* msix.c */

void msix_free(PciDevice *pci);
void msix_reset(PciDevice *pci);
/* The capability's control word changed, or the state was loaded; dev->lock is held. */
void msix_update(PciDevice *pci);
void *msix_vmstate_via(void *opaque, const VMStateDesc **ret_desc);
bool msix_control_touched(const PciDevice *pci, unsigned offset, unsigned size);

/* pci-bridge.c */

typedef enum BridgeWindow {
    BRIDGE_WINDOW_IO,
    BRIDGE_WINDOW_MEMORY,
    BRIDGE_WINDOW_PREFETCHABLE,
    BRIDGE_WINDOW__MAX,
} BridgeWindow;

/* Embedded first in a bridge. */
typedef struct PciBridge {
    PciDevice pci;
    PciBus secondary;
    Region windows[BRIDGE_WINDOW__MAX];
    bool forwards[BRIDGE_WINDOW__MAX];  /* windows[] is initialised and added */
    bool in_reset;              /* the secondary bus, as last seen */
} PciBridge;

/* What devices to come need, in bytes; all ones leave it to the firmware. */
typedef struct BridgeHints {
    uint32_t buses;
    uint32_t memory;
    uint64_t io;
    uint64_t prefetchable;
} BridgeHints;

extern const VMStateDesc pci_bridge_vmstate;

/*
 * In realize() in place of pci_device_init(): makes the secondary bus, too, which has the
 * name of the device or "@prefix.N".
 */
bool pci_bridge_init(PciBridge *bridge, const PciClass *class, PciBusKind kind,
                     const char *prefix, GError **error);
/* The capability of Red Hat's by which firmware for virtual machines has them. */
void pci_bridge_add_hints(PciDevice *pci, const BridgeHints *hints);
/* In place of pci_device_done() and pci_device_reset(). */
void pci_bridge_done(PciBridge *bridge);
void pci_bridge_reset(PciBridge *bridge);
/* From the after_write() of its class. */
void pci_bridge_after_write(PciBridge *bridge, unsigned offset, unsigned size);

/* What the registers of a window say; *@ret_last < *@ret_base when it is empty. */
void pci_bridge_window(const PciDevice *pci, BridgeWindow window, uint64_t *ret_base,
                       uint64_t *ret_last);

/* pci-host.c: the ECAM of the host of @root; main, or a vCPU. */
void pci_host_place_ecam(PciBus *root, uint64_t base, bool enabled);

/* ecam.c: the window of memory, for the host. */
void ecam_init(Region *region, PciBus *root);
