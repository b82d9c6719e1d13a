/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI 6.3, 6.3.3 (_EJx) and 6.3.5 (the codes of _OST). */
#include <string.h>

#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/irq.h"
#include "berth/thread.h"

#include "acpi-slots.h"

#define OST_EJECT_REQUEST 0x003u
#define OST_OSPM_EJECT 0x103u
#define OST_SUCCESS 0x00u
#define OST_EJECT_IN_PROGRESS 0x84u

#define EVENTS (ACPI_SLOT_CAME | ACPI_SLOT_GOES)

static void post(AcpiSlots *slots)
{
    loop_post(slots->owner->board->loop, &slots->message);
}

AcpiSlot *acpi_slots_selected(AcpiSlots *slots)
{
    return slots->select < slots->n ? &slots->rows[slots->select] : NULL;
}

uint8_t acpi_slots_bits(const AcpiSlot *slot)
{
    bool is_there = slot->is_there && !slot->is_ejected;

    return (uint8_t)((is_there ? ACPI_SLOT_THERE : 0) | slot->events);
}

void acpi_slots_write_bits(AcpiSlots *slots, AcpiSlot *slot, uint64_t value)
{
    if (value & EVENTS) {
        slot->events &= (uint8_t)~(value & EVENTS);
    } else if (value & ACPI_SLOT_EJECT) {
        slot->events &= (uint8_t)~ACPI_SLOT_TO_FIRMWARE;
        /* Who is there from the start has no device, and stays. */
        slot->is_ejected = slot->dev != NULL;
        post(slots);
    } else if (value & ACPI_SLOT_TO_FIRMWARE && slots->to_firmware && slot->dev) {
        slot->events |= ACPI_SLOT_TO_FIRMWARE;
    }
}

void acpi_slots_write_ost_status(AcpiSlots *slots, AcpiSlot *slot, uint32_t status)
{
    slot->ost_status = status;
    if (slots->n_told == ACPI_SLOTS_TOLD_MAX) {
        slots->n_told--;
        memmove(slots->told, slots->told + 1, slots->n_told * sizeof(slots->told[0]));
    }
    slots->told[slots->n_told++] = (AcpiSlotTold) {
        .index = (uint32_t)(slot - slots->rows), .event = slot->ost_event,
        .status = status,
    };
    post(slots);
}

/* An ejection that was asked for and does not come. */
static bool is_refusal(const AcpiSlotTold *told)
{
    return (told->event == OST_EJECT_REQUEST || told->event == OST_OSPM_EJECT) &&
           told->status != OST_SUCCESS && told->status != OST_EJECT_IN_PROGRESS;
}

static const char *refusal_str(uint32_t status)
{
    static const struct {
        uint32_t status;
        const char *text;
    } texts[] = {
        { 0x01, "it failed" },
        { 0x02, "it does not know the request" },
        { 0x80, "it does not let such devices go" },
        { 0x81, "a program uses the device" },
        { 0x82, "the device is busy" },
        { 0x83, "something that depends on the device is busy" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].status == status)
            return texts[i].text;
    }
    return "for a reason of its own";
}

static void deliver(const AcpiSlots *slots, const AcpiSlotTold *told)
{
    const Board *board = slots->owner->board;
    Device *dev = slots->rows[told->index].dev;
    const BoardOst ost = {
        .id = dev ? dev->id : NULL, .type = slots->type, .slot = told->index,
        .event = told->event, .status = told->status,
    };
    g_autofree char *reason = NULL;

    if (board->ops && board->ops->device_ost)
        board->ops->device_ost(board->opaque, &ost);
    if (!dev || !is_refusal(told))
        return;
    reason = g_strdup_printf("the guest says by _OST: %s (status 0x%x)",
                             refusal_str(told->status), told->status);
    hotplug_kept(dev, reason);
}

static void deliver_all(AcpiSlots *slots)
{
    AcpiSlotTold told[ACPI_SLOTS_TOLD_MAX];
    unsigned n;

    lock_take(&slots->owner->lock);
    n = slots->n_told;
    memcpy(told, slots->told, n * sizeof(told[0]));
    slots->n_told = 0;
    lock_drop(&slots->owner->lock);
    for (unsigned i = 0; i < n; i++)
        deliver(slots, &told[i]);
}

static void eject_all(AcpiSlots *slots)
{
    for (uint32_t i = 0; i < slots->n; i++) {
        AcpiSlot *slot = &slots->rows[i];
        bool is_ejected;

        lock_take(&slots->owner->lock);
        is_ejected = slot->is_ejected;
        lock_drop(&slots->owner->lock);
        /* Ejected until its bus says that it is gone: acpi_slots_set_device(). */
        if (is_ejected && slot->dev)
            hotplug_eject(slot->dev);
    }
}

/* Main: what the guest ejected goes, and then what it told is passed on. */
static void on_message(void *opaque)
{
    eject_all(opaque);
    deliver_all(opaque);
}

void acpi_slots_set_device(AcpiSlots *slots, unsigned index, Device *dev)
{
    AcpiSlot *slot = &slots->rows[index];

    lock_take(&slots->owner->lock);
    slot->dev = dev;
    slot->is_there = dev != NULL;
    slot->is_ejected = false;
    slot->events = 0;
    lock_drop(&slots->owner->lock);
}

static void raise_gpe(const AcpiSlots *slots)
{
    IrqLine *gpe = slots->owner->board->gpes[slots->gpe];

    if (gpe)
        irq_pulse(gpe);
}

void acpi_slots_add_event(AcpiSlots *slots, unsigned index, uint8_t event)
{
    Device *owner = slots->owner;

    lock_take(&owner->lock);
    slots->rows[index].events |= event;
    lock_drop(&owner->lock);
    raise_gpe(slots);
}

/* Who has looked has cleared the bit. */
bool acpi_slots_remind(AcpiSlots *slots, unsigned index)
{
    bool missed;

    lock_take(&slots->owner->lock);
    missed = slots->rows[index].events & ACPI_SLOT_GOES;
    lock_drop(&slots->owner->lock);
    if (missed)
        raise_gpe(slots);
    return missed;
}

void acpi_slots_query(AcpiSlots *slots, uint32_t first, ACPIOSTInfoList *list)
{
    for (uint32_t i = first; i < slots->n; i++) {
        const AcpiSlot *slot = &slots->rows[i];
        ACPIOSTInfo *info = g_new0(ACPIOSTInfo, 1);

        info->device = slot->dev ? g_strdup(slot->dev->id) : NULL;
        info->slot = g_strdup_printf("%u", i);
        info->slot_type = slots->type;
        lock_take(&slots->owner->lock);
        info->source = slot->ost_event;
        info->status = slot->ost_status;
        lock_drop(&slots->owner->lock);
        ACPIOSTInfoList_append(list, info);
    }
}

void acpi_slots_init(AcpiSlots *slots, Device *owner, ACPISlotType type, unsigned gpe)
{
    slots->owner = owner;
    slots->type = type;
    slots->gpe = gpe;
    loop_message_init(&slots->message, on_message, slots);
}

void acpi_slots_make(AcpiSlots *slots, uint32_t n)
{
    slots->rows = g_new0(AcpiSlot, n);
    slots->n = n;
}

void acpi_slots_done(AcpiSlots *slots)
{
    loop_message_cancel(slots->owner->board->loop, &slots->message);
    g_free(slots->rows);
}

void acpi_slots_reset(AcpiSlots *slots)
{
    for (uint32_t i = 0; i < slots->n; i++) {
        AcpiSlot *slot = &slots->rows[i];

        slot->is_ejected = false;
        slot->events = 0;
        slot->ost_event = 0;
        slot->ost_status = 0;
    }
    slots->select = 0;
    slots->n_told = 0;
}

bool acpi_slots_post_load(const AcpiSlots *slots, const char *noun, GError **error)
{
    unsigned events = EVENTS | (slots->to_firmware ? ACPI_SLOT_TO_FIRMWARE : 0);

    for (uint32_t i = 0; i < slots->n; i++) {
        const AcpiSlot *slot = &slots->rows[i];

        if (slot->events & ~(slot->dev ? events : 0)) {
            error_set(error, "'events' of %s %u is 0x%x", noun, i, slot->events);
            return false;
        }
    }
    return true;
}

static const VMStateField row_fields[] = {
    VMSTATE_U8(AcpiSlot, events),
    VMSTATE_U32(AcpiSlot, ost_event),
    VMSTATE_U32(AcpiSlot, ost_status),
    VMSTATE_END
};

const VMStateDesc acpi_slots_row_vmstate = {
    .name = "slot", .version = 1, .min_version = 1, .fields = row_fields,
};
