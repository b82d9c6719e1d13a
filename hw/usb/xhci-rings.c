/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command ring and the event ring (xHCI 1.2, 4.6 and 4.9).
 *
 * What the guest has in its memory is copied once and checked; what is no RAM, or loops,
 * ends in a host system or host controller error, which a reset of the controller mends.
 * A command is taken only while the event ring has room for its completion; else it waits
 * for the guest to move the dequeue pointer.
 */
#include <string.h>

#include "berth/msix.h"

#include "xhci-rings.h"

/* 6.4: transfer request blocks. */
#define TRB_SIZE 16u
#define TRB_CYCLE (1u << 0)
#define TRB_TOGGLE (1u << 1)
#define TRB_TYPE_SHIFT 10
#define TRB_SLOT_SHIFT 24
#define COMPLETION_SHIFT 24
/* More at one time is a ring that leads into itself. */
#define MAX_COMMANDS 1024u

typedef enum TrbType {
    TRB_LINK = 6,
    TRB_ENABLE_SLOT = 9,
    TRB_DISABLE_SLOT = 10,
    TRB_ADDRESS_DEVICE = 11,
    TRB_CONFIGURE_ENDPOINT = 12,
    TRB_RESET_DEVICE = 17,
    TRB_NO_OP = 23,
    TRB_COMMAND_COMPLETION = 33,
} TrbType;

typedef enum Completion {
    COMPLETION_SUCCESS = 1,
    COMPLETION_TRANSACTION_ERROR = 4,
    COMPLETION_TRB_ERROR = 5,
    COMPLETION_NO_SLOTS = 9,
    COMPLETION_SLOT_NOT_ENABLED = 11,
    COMPLETION_CONTEXT_STATE = 19,
    COMPLETION_RING_STOPPED = 24,
} Completion;

typedef struct Trb {
    uint64_t parameter;
    uint32_t status;
    uint32_t control;
} Trb;

/* 4.10.2.6 and 4.24.1: it halts until the guest resets it. */
static void fail(Xhci *xhci, uint32_t status, const char *what)
{
    device_guest_error(&xhci->pci.dev, "%s", what);
    xhci->usbsts |= status | STS_HALTED;
    xhci->usbcmd &= ~CMD_RUN;
    xhci->command_runs = false;
}

/* RAM alone: registers, this device's own among them, are no place for rings. */
static void *map(Xhci *xhci, uint64_t gpa, bool for_write)
{
    void *ram = NULL;

    if (pci_config_is_bus_master(&xhci->pci))
        ram = address_space_map(xhci->pci.dev.board->memory, gpa, TRB_SIZE, for_write);
    if (!ram)
        fail(xhci, STS_SYSTEM_ERROR, "a ring is not in memory");
    return ram;
}

static bool read_block(Xhci *xhci, uint64_t gpa, Trb *trb)
{
    const void *ram = map(xhci, gpa, false);
    Trb raw;

    if (!ram)
        return false;
    memcpy(&raw, ram, sizeof(raw));
    trb->parameter = GUINT64_FROM_LE(raw.parameter);
    trb->status = GUINT32_FROM_LE(raw.status);
    trb->control = GUINT32_FROM_LE(raw.control);
    return true;
}

/* The level of the pin, for a guest without MSI-X. */
void xhci_rings_update_pin(Xhci *xhci)
{
    bool level = xhci->iman & IMAN_PENDING && xhci->iman & IMAN_ENABLE &&
                 xhci->usbcmd & CMD_INTERRUPTS && !msix_is_enabled(&xhci->pci);

    pci_intx_set(&xhci->pci, level);
}

/* 4.17.5: once, until the guest has seen it (Event Handler Busy). */
static void interrupt(Xhci *xhci)
{
    if (xhci->erdp & ERDP_BUSY)
        return;
    xhci->erdp |= ERDP_BUSY;
    xhci->iman |= IMAN_PENDING;
    xhci->usbsts |= STS_INTERRUPT;
    if (xhci->iman & IMAN_ENABLE && xhci->usbcmd & CMD_INTERRUPTS &&
        msix_is_enabled(&xhci->pci)) {
        /* 4.17.2: a message clears it. */
        xhci->iman &= ~IMAN_PENDING;
        msix_notify(&xhci->pci, 0);
    }
    xhci_rings_update_pin(xhci);
}

/* The block that the guest takes next; one that is none is no room. */
static uint32_t event_dequeue(const Xhci *xhci)
{
    uint64_t offset = (xhci->erdp & ~(uint64_t)(TRB_SIZE - 1)) - xhci->event_ring;
    uint64_t index = offset / TRB_SIZE;

    return index < xhci->event_size ? (uint32_t)index : UINT32_MAX;
}

static bool event_has_room(const Xhci *xhci)
{
    uint32_t dequeue = event_dequeue(xhci);

    return dequeue != UINT32_MAX &&
           (xhci->event_next + 1) % xhci->event_size != dequeue;
}

/* There is room. */
static void put_event(Xhci *xhci, const Trb *event)
{
    Trb *ram = map(xhci, xhci->event_ring + xhci->event_next * TRB_SIZE, true);
    uint32_t control = event->control | (xhci->event_cycle ? TRB_CYCLE : 0);

    if (!ram)
        return;
    ram->parameter = GUINT64_TO_LE(event->parameter);
    ram->status = GUINT32_TO_LE(event->status);
    /* A guest that sees the cycle bit sees the rest. */
    __atomic_store_n(&ram->control, GUINT32_TO_LE(control), __ATOMIC_RELEASE);
    if (++xhci->event_next == xhci->event_size) {
        xhci->event_next = 0;
        xhci->event_cycle = !xhci->event_cycle;
    }
    interrupt(xhci);
}

static void complete(Xhci *xhci, uint64_t command, Completion code, unsigned slot)
{
    Trb event = {
        .parameter = command,
        .status = (uint32_t)code << COMPLETION_SHIFT,
        .control = TRB_COMMAND_COMPLETION << TRB_TYPE_SHIFT | slot << TRB_SLOT_SHIFT,
    };

    put_event(xhci, &event);
}

/* 4.6.3; *@ret_slot is 0 when there is none. */
static Completion enable_slot(Xhci *xhci, unsigned *ret_slot)
{
    unsigned limit = MIN(xhci->config & CONFIG_SLOTS, MAX_SLOTS);

    for (unsigned slot = 1; slot <= limit; slot++) {
        if (!(xhci->slots >> (slot - 1) & 1)) {
            xhci->slots |= 1ull << (slot - 1);
            *ret_slot = slot;
            return COMPLETION_SUCCESS;
        }
    }
    *ret_slot = 0;
    return COMPLETION_NO_SLOTS;
}

static bool is_enabled(const Xhci *xhci, unsigned slot)
{
    return slot >= 1 && slot <= MAX_SLOTS && xhci->slots >> (slot - 1) & 1;
}

/* 4.6: of a device that is not there, when its slot is enabled. */
static Completion execute(Xhci *xhci, const Trb *trb, unsigned *slot)
{
    unsigned type = trb->control >> TRB_TYPE_SHIFT & 0x3f;

    *slot = 0;
    if (type == TRB_NO_OP)
        return COMPLETION_SUCCESS;
    if (type == TRB_ENABLE_SLOT)
        return enable_slot(xhci, slot);
    if (type < TRB_DISABLE_SLOT || type > TRB_RESET_DEVICE)
        return COMPLETION_TRB_ERROR;
    *slot = trb->control >> TRB_SLOT_SHIFT;
    if (!is_enabled(xhci, *slot))
        return COMPLETION_SLOT_NOT_ENABLED;
    if (type == TRB_DISABLE_SLOT) {
        xhci->slots &= ~(1ull << (*slot - 1));
        return COMPLETION_SUCCESS;
    }
    return type == TRB_ADDRESS_DEVICE ? COMPLETION_TRANSACTION_ERROR
                                      : COMPLETION_CONTEXT_STATE;
}

static void follow_link(Xhci *xhci, const Trb *link)
{
    xhci->command = link->parameter & ~(uint64_t)(TRB_SIZE - 1);
    if (link->control & TRB_TOGGLE)
        xhci->command_cycle = !xhci->command_cycle;
}

/* 4.6.1 */
static void run_commands(Xhci *xhci)
{
    Trb trb;

    for (unsigned n = 0; xhci_is_running(xhci) && xhci->command_runs; n++) {
        uint64_t at = xhci->command;
        Completion code;
        unsigned slot;

        if (!event_has_room(xhci) || !read_block(xhci, at, &trb) ||
            (trb.control & TRB_CYCLE) != (xhci->command_cycle ? TRB_CYCLE : 0))
            return;
        if (n == MAX_COMMANDS) {
            fail(xhci, STS_CONTROLLER_ERROR, "the command ring has no end");
            return;
        }
        if ((trb.control >> TRB_TYPE_SHIFT & 0x3f) == TRB_LINK) {
            follow_link(xhci, &trb);
            continue;
        }
        xhci->command += TRB_SIZE;
        code = execute(xhci, &trb, &slot);
        complete(xhci, at, code, slot);
    }
}

void xhci_rings_doorbell(Xhci *xhci, unsigned slot)
{
    if (slot > 0) {
        device_guest_error(&xhci->pci.dev, "doorbell of slot %u, which has no device",
                           slot);
        return;
    }
    if (!xhci_is_running(xhci))
        return;
    xhci->command_runs = true;
    run_commands(xhci);
}

/* 4.6.1.1 and 4.6.1.2: nothing is under way that would be aborted. */
void xhci_rings_stop(Xhci *xhci)
{
    xhci->command_runs = false;
    if (xhci_is_running(xhci) && event_has_room(xhci))
        complete(xhci, xhci->command, COMPLETION_RING_STOPPED, 0);
}

/* 4.9.4: the event ring begins anew. */
void xhci_rings_start_events(Xhci *xhci)
{
    Trb segment;

    xhci->event_size = 0;
    xhci->event_next = 0;
    xhci->event_cycle = true;
    if (xhci->erstsz == 0 || !read_block(xhci, xhci->erstba, &segment))
        return;
    segment.status &= 0xffff;
    if (segment.status < MIN_SEGMENT || segment.status > MAX_SEGMENT) {
        fail(xhci, STS_CONTROLLER_ERROR, "a segment of events has an impossible size");
        return;
    }
    xhci->event_ring = segment.parameter & ~0x3full;
    xhci->event_size = segment.status;
}

void xhci_rings_events_taken(Xhci *xhci)
{
    uint32_t dequeue;

    run_commands(xhci);
    dequeue = event_dequeue(xhci);
    /* What came while the guest was busy has not interrupted. */
    if (!(xhci->erdp & ERDP_BUSY) && dequeue != UINT32_MAX &&
        dequeue != xhci->event_next)
        interrupt(xhci);
}
