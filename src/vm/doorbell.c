/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old and new doorbells are sorted and compared like two files: all that goes is taken
 * back, then what comes is added, so that one that moves frees its place first.
 */
#include "berth/trace.h"

#include "doorbell.h"

void doorbell_init(DoorbellSet *set)
{
    set->doorbells = g_array_new(FALSE, FALSE, sizeof(VmDoorbell));
}

void doorbell_done(DoorbellSet *set, Vm *vm)
{
    for (unsigned i = 0; i < set->doorbells->len && !vm->ended; i++)
        vm->ops->doorbell(vm, &g_array_index(set->doorbells, VmDoorbell, i), false);
    g_array_unref(set->doorbells);
    set->doorbells = NULL;
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare(gconstpointer left, gconstpointer right)
{
    const VmDoorbell *a = left;
    const VmDoorbell *b = right;
    int order = compare_u64(a->addr, b->addr);

    if (!order)
        order = compare_u64(a->size, b->size);
    if (!order)
        order = (int)a->match - (int)b->match;
    if (!order && a->match)
        order = compare_u64(a->value, b->value);
    if (!order)
        order = (a->fd > b->fd) - (a->fd < b->fd);
    return order;
}

static void append_visible(GArray *wanted, const FlatRange *range, bool is_io)
{
    const GArray *doorbells = range->region->doorbells;
    uint64_t length = range->last - range->start;

    for (unsigned i = 0; doorbells && i < doorbells->len; i++) {
        const RegionDoorbell *bell = &g_array_index(doorbells, RegionDoorbell, i);
        uint64_t at = bell->offset - range->io.offset;
        VmDoorbell seen = { .size = bell->size, .is_io = is_io, .match = bell->match,
                            .value = bell->value, .fd = bell->fd };

        if (bell->offset < range->io.offset || at > length ||
            MAX(bell->size, 1) - 1 > length - at)
            continue;
        seen.addr = range->start + at;
        g_array_append_val(wanted, seen);
    }
}

static GArray *wanted_doorbells(const FlatView *view, bool is_io)
{
    GArray *wanted = g_array_new(FALSE, FALSE, sizeof(VmDoorbell));

    for (unsigned i = 0; i < view->n; i++) {
        if (view->ranges[i].kind == REGION_IO)
            append_visible(wanted, &view->ranges[i], is_io);
    }
    g_array_sort(wanted, compare);
    return wanted;
}

/*
 * Takes back each of @set that is not in @wanted; marks in @kept the twins of the
 * others.
 */
static int drop_unwanted(DoorbellSet *set, Vm *vm, const GArray *wanted, bool *kept)
{
    unsigned w = 0;
    int result = 0;

    for (unsigned i = 0; i < set->doorbells->len; i++) {
        const VmDoorbell *old = &g_array_index(set->doorbells, VmDoorbell, i);
        int order = 1;
        int err;

        while (w < wanted->len) {
            order = compare(&g_array_index(wanted, VmDoorbell, w), old);
            if (order >= 0)
                break;
            w++;
        }
        if (w < wanted->len && order == 0) {
            kept[w++] = true;
            continue;
        }
        err = vm->ops->doorbell(vm, old, false);
        TRACE(doorbell_remove, "0x%" PRIx64 " size %u fd %d: %d", old->addr, old->size,
              old->fd, err);
        if (err && !result)
            result = err;
    }
    return result;
}

static int update(DoorbellSet *set, Vm *vm, const FlatView *view, bool is_io)
{
    g_autoptr(GArray) wanted = wanted_doorbells(view, is_io);
    g_autofree bool *kept = g_new0(bool, wanted->len + 1);
    GArray *doorbells = g_array_new(FALSE, FALSE, sizeof(VmDoorbell));
    int result = drop_unwanted(set, vm, wanted, kept);

    for (unsigned i = 0; i < wanted->len; i++) {
        const VmDoorbell *bell = &g_array_index(wanted, VmDoorbell, i);
        int err = kept[i] ? 0 : vm->ops->doorbell(vm, bell, true);

        if (!kept[i])
            TRACE(doorbell_add, "0x%" PRIx64 " size %u fd %d: %d", bell->addr, bell->size,
                  bell->fd, err);
        if (!err)
            g_array_append_val(doorbells, *bell);
        else if (!result)
            result = err;
    }
    g_array_unref(set->doorbells);
    set->doorbells = doorbells;
    return result;
}

int doorbell_update(DoorbellSet *set, Vm *vm, const FlatView *view, bool is_io)
{
    return vm->ended ? 0 : update(set, vm, view, is_io);
}
