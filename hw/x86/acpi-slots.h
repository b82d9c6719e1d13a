/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places for devices that come and go by ACPI, behind registers of whatever layout:
 * what is there, what came or is to go, and what the guest tells of each by _OST.
 *
 * "Lock": the caller has the lock of the device with the registers.  What the guest
 * ejects and tells is main's: a message brings it there, in rows of bounded length.  What
 * is ejected is not there from that moment on: a guest looks right after it, and takes
 * what it still finds for an ejection that failed.
 */
#pragma once

#include "berth/device.h"
#include "berth/loop.h"
#include "berth/vmstate.h"

/* Bits of a place, as both register blocks have them: read, and what writing one does. */
#define ACPI_SLOT_THERE 0x01u
#define ACPI_SLOT_CAME 0x02u            /* is cleared */
#define ACPI_SLOT_GOES 0x04u            /* is cleared */
#define ACPI_SLOT_EJECT 0x08u           /* ejects it */
#define ACPI_SLOT_TO_FIRMWARE 0x10u     /* vCPUs: is set, for firmware to eject it */

/* When the guest is faster than main the oldest is forgotten. */
#define ACPI_SLOTS_TOLD_MAX 64u

typedef struct AcpiSlot {
    Device *dev;                /* changed by main under the lock */

    /* Lock. */
    bool is_there;
    bool is_ejected;            /* and main has not done it yet */
    uint8_t events;             /* ACPI_SLOT_CAME, _GOES, _TO_FIRMWARE */
    uint32_t ost_event;
    uint32_t ost_status;
} AcpiSlot;

typedef struct AcpiSlotTold {
    uint32_t index;
    uint32_t event;
    uint32_t status;
} AcpiSlotTold;

typedef struct AcpiSlots {
    Device *owner;              /* with the registers */
    ACPISlotType type;
    unsigned gpe;
    bool to_firmware;           /* there is ACPI_SLOT_TO_FIRMWARE */
    LoopMessage message;        /* to main */
    AcpiSlot *rows;
    uint32_t n;

    /* Lock. */
    uint32_t select;
    AcpiSlotTold told[ACPI_SLOTS_TOLD_MAX];
    unsigned n_told;
} AcpiSlots;

/* A row of a table that describes the state of the owner. */
extern const VMStateDesc acpi_slots_row_vmstate;

/* Main; before the guest runs. */
void acpi_slots_init(AcpiSlots *slots, Device *owner, ACPISlotType type, unsigned gpe);
void acpi_slots_make(AcpiSlots *slots, uint32_t n);
/* Main; the devices are gone. */
void acpi_slots_done(AcpiSlots *slots);

/* Lock: what the guest does.  NULL: the selector is out of range. */
AcpiSlot *acpi_slots_selected(AcpiSlots *slots);
uint8_t acpi_slots_bits(const AcpiSlot *slot);
void acpi_slots_write_bits(AcpiSlots *slots, AcpiSlot *slot, uint64_t value);
/* The status of the event that it told before; ends what it tells of this place. */
void acpi_slots_write_ost_status(AcpiSlots *slots, AcpiSlot *slot, uint32_t status);

/* Main: the device of a place is another, or none. */
void acpi_slots_set_device(AcpiSlots *slots, unsigned index, Device *dev);
/* Main: something of a place is to be seen, and the guest told to look. */
void acpi_slots_add_event(AcpiSlots *slots, unsigned index, uint8_t event);
/* Main: BusOps.remind of the device of a place. */
bool acpi_slots_remind(AcpiSlots *slots, unsigned index);
/* Main: appends what the guest told last of the places from @first on. */
void acpi_slots_query(AcpiSlots *slots, uint32_t first, ACPIOSTInfoList *list);

/* As of the owner's class; @noun is what errors call a place. */
void acpi_slots_reset(AcpiSlots *slots);
bool acpi_slots_post_load(const AcpiSlots *slots, const char *noun, GError **error);
