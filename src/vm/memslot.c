/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old and new slots are sorted by address and compared like two files.  Slots that go
 * are unmapped before slots that come are mapped, since the hypervisor refuses an
 * overlap.  Between the two a vCPU that touches such memory exits, and the access is
 * answered from the view; but one that has its code or its page tables there cannot go
 * on.  So memory that shows and hides at run time is cut off from that beside it, which
 * would otherwise be one slot with it now and one without it then.
 *
 * Only whole pages can be a slot; what a region leaves of a page is answered by exits
 * too.
 */
#include "berth/trace.h"

#include "memslot.h"

#define PAGE_SHIFT 12
#define PAGE_MASK ((1ull << PAGE_SHIFT) - 1)

void memslot_init(MemslotSet *set, uint8_t space)
{
    set->space = space;
    set->slots = g_array_new(FALSE, FALSE, sizeof(VmSlot));
}

void memslot_done(MemslotSet *set, Vm *vm)
{
    for (unsigned i = 0; i < set->slots->len && !vm->ended; i++)
        vm->ops->unmap(vm, &g_array_index(set->slots, VmSlot, i));
    g_array_unref(set->slots);
    set->slots = NULL;
}

/* The whole pages of a range of memory; false when there is none. */
static bool slot_of_range(const FlatRange *range, VmSlot *ret_slot)
{
    uint64_t first = (range->start >> PAGE_SHIFT) + !!(range->start & PAGE_MASK);
    uint64_t end = (range->last >> PAGE_SHIFT) + ((range->last & PAGE_MASK) == PAGE_MASK);

    if (range->kind == REGION_IO || first >= end)
        return false;
    *ret_slot = (VmSlot){
        .gpa = first << PAGE_SHIFT,
        .size = (end - first) << PAGE_SHIFT,
        .host = range->ram.host + ((first << PAGE_SHIFT) - range->start),
        .readonly = range->kind == REGION_ROM,
    };
    return true;
}

static bool same_slot(const VmSlot *a, const VmSlot *b)
{
    return a->gpa == b->gpa && a->size == b->size && a->host == b->host &&
           a->readonly == b->readonly;
}

static void append_cut(GArray *wanted, VmSlot slot, const GArray *cuts)
{
    for (unsigned i = 0; i < cuts->len; i++) {
        uint64_t cut = g_array_index(cuts, uint64_t, i);
        VmSlot before = slot;

        if (cut <= slot.gpa || cut - slot.gpa >= slot.size)
            continue;
        before.size = cut - slot.gpa;
        g_array_append_val(wanted, before);
        slot.gpa += before.size;
        slot.host += before.size;
        slot.size -= before.size;
    }
    g_array_append_val(wanted, slot);
}

static GArray *wanted_slots(const FlatView *view, const GArray *cuts)
{
    GArray *wanted = g_array_new(FALSE, FALSE, sizeof(VmSlot));
    VmSlot slot;

    for (unsigned i = 0; i < view->n; i++) {
        if (slot_of_range(&view->ranges[i], &slot))
            append_cut(wanted, slot, cuts);
    }
    return wanted;
}

/* Unmaps what is not wanted; kept slots give their ids to their twins in @wanted. */
static int drop_unwanted(MemslotSet *set, Vm *vm, GArray *wanted, GArray *used,
                         bool *kept)
{
    unsigned w = 0;
    int result = 0;

    for (unsigned i = 0; i < set->slots->len; i++) {
        const VmSlot *old = &g_array_index(set->slots, VmSlot, i);
        VmSlot *twin;
        int err;

        while (w < wanted->len && g_array_index(wanted, VmSlot, w).gpa < old->gpa)
            w++;
        twin = w < wanted->len ? &g_array_index(wanted, VmSlot, w) : NULL;
        if (twin && same_slot(twin, old)) {
            twin->id = old->id;
            twin->space = old->space;
            kept[w] = true;
            if (used->len <= old->id)
                g_array_set_size(used, old->id + 1);
            g_array_index(used, bool, old->id) = true;
            continue;
        }
        err = vm->ops->unmap(vm, old);
        TRACE(memslot_remove, "slot %u gpa 0x%" PRIx64 " size 0x%" PRIx64 ": %d", old->id,
              old->gpa, old->size, err);
        if (err && !result)
            result = err;
    }
    return result;
}

static uint32_t take_id(GArray *used, uint32_t from)
{
    while (from < used->len && g_array_index(used, bool, from))
        from++;
    if (from >= used->len)
        g_array_set_size(used, from + 1);
    g_array_index(used, bool, from) = true;
    return from;
}

static int update(MemslotSet *set, Vm *vm, const FlatView *view, const GArray *cuts)
{
    g_autoptr(GArray) wanted = wanted_slots(view, cuts);
    g_autoptr(GArray) used = g_array_new(FALSE, TRUE, sizeof(bool));
    g_autofree bool *kept = g_new0(bool, wanted->len + 1);
    GArray *slots = g_array_new(FALSE, FALSE, sizeof(VmSlot));
    uint32_t id = 0;
    int result = drop_unwanted(set, vm, wanted, used, kept);

    for (unsigned i = 0; i < wanted->len; i++) {
        VmSlot *slot = &g_array_index(wanted, VmSlot, i);
        int err = 0;

        if (!kept[i]) {
            id = take_id(used, id);
            slot->id = id;
            slot->space = set->space;
            err = vm->ops->map(vm, slot);
            TRACE(memslot_add, "slot %u gpa 0x%" PRIx64 " size 0x%" PRIx64 "%s: %d", id,
                  slot->gpa, slot->size, slot->readonly ? " read-only" : "", err);
            if (err)
                g_array_index(used, bool, id) = false;
        }
        if (!err)
            g_array_append_val(slots, *slot);
        else if (!result)
            result = err;
    }
    g_array_unref(set->slots);
    set->slots = slots;
    return result;
}

int memslot_update(MemslotSet *set, Vm *vm, const FlatView *view, const GArray *cuts)
{
    return vm->ended ? 0 : update(set, vm, view, cuts);
}
