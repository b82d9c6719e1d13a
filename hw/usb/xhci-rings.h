/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An xHC: its registers (xhci.c) and its rings in the guest's memory (xhci-rings.c).
 * Every function is called by an accessing vCPU, under dev->lock.
 */
#pragma once

#include "berth/device-clock.h"
#include "berth/pci.h"

#define MAX_SLOTS 64u
#define MAX_PORTS 30u

/* Bits of registers that both know, 5.4 and 5.5. */
#define CMD_RUN (1u << 0)
#define CMD_RESET (1u << 1)
#define CMD_INTERRUPTS (1u << 2)
#define CMD_SAVE (1u << 8)
#define CMD_RESTORE (1u << 9)
#define CMD_BITS (CMD_RUN | CMD_INTERRUPTS | 1u << 3 | 1u << 10 | 1u << 11)

#define STS_HALTED (1u << 0)
#define STS_SYSTEM_ERROR (1u << 2)
#define STS_INTERRUPT (1u << 3)
#define STS_PORT_CHANGE (1u << 4)
#define STS_RESTORE_ERROR (1u << 10)
#define STS_CONTROLLER_ERROR (1u << 12)
#define STS_BITS                                                                         \
    (STS_HALTED | STS_SYSTEM_ERROR | STS_INTERRUPT | STS_PORT_CHANGE |                   \
     STS_RESTORE_ERROR | STS_CONTROLLER_ERROR)
#define STS_ONE_CLEARS                                                                   \
    (STS_SYSTEM_ERROR | STS_INTERRUPT | STS_PORT_CHANGE | STS_RESTORE_ERROR)

#define CONFIG_SLOTS 0xffu

#define IMAN_PENDING (1u << 0)
#define IMAN_ENABLE (1u << 1)
#define ERDP_BUSY (1u << 3)
#define MIN_SEGMENT 16u
#define MAX_SEGMENT 4096u

typedef struct Xhci {
    PciDevice pci;
    Region region;
    DeviceClock clock;
    uint8_t n_ports[2];         /* of USB 2, then of USB 3 */

    uint32_t usbcmd;
    uint32_t usbsts;
    uint32_t dnctrl;
    uint32_t config;
    uint64_t dcbaap;
    uint64_t command;           /* the next one */
    bool command_cycle;
    bool command_runs;
    uint64_t slots;             /* that are enabled: bit 0 is slot 1 */
    uint32_t portsc[MAX_PORTS]; /* what the guest may write of it */
    uint32_t portpmsc[MAX_PORTS];

    uint32_t iman;
    uint32_t imod;
    uint32_t erstsz;
    uint64_t erstba;
    uint64_t erdp;              /* as it was written; ERDP_BUSY is kept */
    uint64_t event_ring;        /* its one segment */
    uint32_t event_size;        /* in blocks; 0: there is none */
    uint32_t event_next;
    bool event_cycle;
} Xhci;

static inline bool xhci_is_running(const Xhci *xhci)
{
    return !(xhci->usbsts & (STS_HALTED | STS_SYSTEM_ERROR | STS_CONTROLLER_ERROR));
}

/* The doorbell of @slot: of the command ring when it is 0. */
void xhci_rings_doorbell(Xhci *xhci, unsigned slot);
/* The guest stops the command ring, which runs. */
void xhci_rings_stop(Xhci *xhci);
/* It has said where its event ring is. */
void xhci_rings_start_events(Xhci *xhci);
/* It has taken events, or wants to hear of them again. */
void xhci_rings_events_taken(Xhci *xhci);
/* A register that the level of the interrupt pin depends on has changed. */
void xhci_rings_update_pin(Xhci *xhci);
