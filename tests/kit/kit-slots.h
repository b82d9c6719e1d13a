/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine, the client and the guest of one kind of ACPI's slots: those of vCPUs, of
 * modules of memory.  The test says what comes and goes, and is the guest that finds it
 * in the registers.
 */
#pragma once

#include "hmp-bench.h"
#include "kit-qmp.h"

/* Flags of a slot; EJECT is written only. */
#define KIT_SLOT_THERE 1u
#define KIT_SLOT_CAME 2u
#define KIT_SLOT_GOES 4u
#define KIT_SLOT_EJECT 8u

#define KIT_OST_EJECT_REQUEST 3u        /* an event */
#define KIT_OST_IN_PROGRESS 0x84u       /* a status */

typedef struct KitSlotsKind KitSlotsKind;

typedef struct KitSlots {
    const KitSlotsKind *kind;
    HmpBench bench;
    KitQmp *qmp;
} KitSlots;

struct KitSlotsKind {
    uint16_t select;            /* port of the selector, the first of @n_ports */
    uint16_t n_ports;
    uint16_t flags;             /* port of the flags */
    uint8_t gpe;                /* number of the general-purpose event */
    const char *ost_type;       /* of slots, in events */
    /* The device that tests plug, and where. */
    const char *id;
    uint32_t slot;
    const char *path;           /* of the controller */
    const char *add;            /* arguments of its device_add */
    /* Of the slot that is selected. */
    void (*tell)(KitSlots *s, uint32_t event, uint32_t status);
    /* Nothing is left of the device. */
    void (*assert_gone)(KitSlots *s);
};

/* The machine that @words (of the command line, ended by NULL) describe. */
void kit_slots_init(KitSlots *s, const KitSlotsKind *kind, const char *const *words);
void kit_slots_done(KitSlots *s);

void kit_slots_out(KitSlots *s, uint16_t port, unsigned size, uint32_t value);
uint32_t kit_slots_in(KitSlots *s, uint16_t port, unsigned size);
uint32_t kit_slots_flags(KitSlots *s, uint32_t slot);
void kit_slots_control(KitSlots *s, uint32_t slot, uint8_t value);
/* Writes what _OST says. */
void kit_slots_tell(KitSlots *s, uint32_t slot, uint32_t event, uint32_t status);
/* Whether the general-purpose event is set; takes it. */
bool kit_slots_take_gpe(KitSlots *s);
/* Accesses of all sizes to a slot that there is not: it reads as zeros. */
void kit_slots_poke_absent(KitSlots *s, uint32_t slot);

/* A turn of main's loop. */
void kit_slots_turn(KitSlots *s);
/* The guest ejects, and the machine carries it out. */
void kit_slots_eject(KitSlots *s, uint32_t slot);

/* State of the first unplug that is under way. */
void kit_slots_assert_unplug(KitSlots *s, const char *expected);
/* The kind's device is deleted, as the next such event says. */
void kit_slots_assert_deleted(KitSlots *s);
/* The next _OST is an EJECT_REQUEST of its slot, with this status. */
void kit_slots_assert_ost(KitSlots *s, const char *device, const char *status);

GByteArray *kit_slots_save(KitSlots *s);
/*
 * The controller's state with every byte wrong is refused, or is one that a guest can do
 * nothing with; the right one is taken afterwards.
 */
void kit_slots_load_any_state(KitSlots *s);
/* Adds the device while the @n-th call of the hypervisor fails; whether it was added. */
bool kit_slots_add_with_fault(KitSlots *s, unsigned n);
/* Asked while it boots, it throws the event away, and is told again. */
void kit_slots_remind(KitSlots *s);
/* What the guest has ejected it does not find any more, before main has heard of it. */
void kit_slots_eject_and_look(KitSlots *s);
/* The device comes, and the guest lets it go when it is asked, and tells so. */
void kit_slots_come_and_let_go(KitSlots *s);
/* The device comes and goes @n times: asked, forced, while the machine stands. */
void kit_slots_come_and_go(KitSlots *s, unsigned n);
