/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address space: the published view, and the hypervisor kept in step with it.
 *
 * Every change of the tree is in a batch; a batch holds the lock, and the end of the
 * outermost one does, in this order:
 *
 *   1. makes the new view and publishes it (release; readers load with acquire),
 *   2. takes back and adds doorbells, unmaps and maps memory slots,
 *   3. hands the old view to qsbr.
 *
 * So an access that exits while the slots change finds the new view, and memory of the
 * old view outlives both the slots and every reader.
 *
 * What processors see in system management mode is a space of its own above a tree that
 * has windows into this one's, so one change may be of both: they have one lock, this
 * one's, and are published together.
 */
#include <pthread.h>
#include <string.h>

#include "berth/address-space-cut.h"
#include "berth/error.h"
#include "berth/log.h"
#include "berth/qsbr.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "address-space.h"
#include "doorbell.h"
#include "flat-range.h"
#include "memslot.h"

struct AddressSpace {
    /* Immutable. */
    char *name;
    Region *root;
    Vm *vm;                     /* NULL: a test's, without a hypervisor */
    bool is_io;
    AddressSpace *base;         /* of SMM's: whose lock it has; else NULL */

    FlatView *view;             /* published; stored under the lock */

    GMutex lock;
    uintptr_t owner;            /* of the batch, 0 for none; atomic */

    /* Under the lock. */
    AddressSpace *smm;          /* NULL: there is no such mode */
    unsigned depth;
    unsigned changes;           /* of AddressSpaceChange */
    MemslotSet slots;
    GArray *cuts;               /* of slots, uint64_t, ascending; SMM has its base's */
    DoorbellSet doorbells;
    int slots_error;            /* of the last update, negative errno */
    int doorbells_error;
    LogLimit log_limit;         /* a guest can try again and again */
};

/* That which has the lock. */
static AddressSpace *locked_space(AddressSpace *as)
{
    return as->base ? as->base : as;
}

void address_space_begin(AddressSpace *as)
{
    uintptr_t self = (uintptr_t)pthread_self();

    as = locked_space(as);
    /* Only this thread ever stores its own id, so a stale load cannot match. */
    if (__atomic_load_n(&as->owner, __ATOMIC_RELAXED) != self) {
        lock_take(&as->lock);
        __atomic_store_n(&as->owner, self, __ATOMIC_RELAXED);
    }
    as->depth++;
}

void address_space_changed(AddressSpace *as, AddressSpaceChange change)
{
    locked_space(as)->changes |= change;
}

static void update_doorbells(AddressSpace *as)
{
    as->doorbells_error = doorbell_update(&as->doorbells, as->vm, as->view, as->is_io);
    if (as->doorbells_error && log_limit_pass(&as->log_limit, NULL))
        log_warn("address space '%s': the host takes no more doorbells (%s), "
                 "so some are slow", as->name, error_text(-as->doorbells_error));
}

static void update_slots(AddressSpace *as)
{
    as->slots_error = memslot_update(&as->slots, as->vm, as->view,
                                     locked_space(as)->cuts);
    if (as->slots_error && log_limit_pass(&as->log_limit, NULL))
        log_error("address space '%s': the host takes no more memory: %s", as->name,
                  error_text(-as->slots_error));
}

static void publish(AddressSpace *as)
{
    FlatView *old = as->view;
    FlatView *view = flat_view_new(as->root);

    if (flat_view_equal(view, old)) {
        flat_view_free(view);
        old = NULL;
    } else {
        __atomic_store_n(&as->view, view, __ATOMIC_RELEASE);
    }
    if (as->vm) {
        /* Those of the base ring in SMM, too. */
        if (!as->base)
            update_doorbells(as);
        if (!as->is_io)
            update_slots(as);
    }
    if (old)
        flat_view_retire(old);
}

void address_space_end(AddressSpace *as)
{
    unsigned changes;

    as = locked_space(as);
    changes = as->changes;
    if (as->depth > 1) {
        as->depth--;
        return;
    }
    as->changes = 0;
    if (changes & ADDRESS_SPACE_CHANGED_VIEW) {
        publish(as);
        if (as->smm)
            publish(as->smm);
    } else if ((changes & ADDRESS_SPACE_CHANGED_DOORBELLS) && as->vm) {
        update_doorbells(as);
    }
    as->depth = 0;
    __atomic_store_n(&as->owner, 0, __ATOMIC_RELAXED);
    lock_drop(&as->lock);
}

static AddressSpace *make(const char *name, Region *root, Vm *vm)
{
    AddressSpace *as = g_new0(AddressSpace, 1);

    g_assert(!root->as && !root->parent);
    as->name = g_strdup(name);
    as->root = root;
    as->vm = vm;
    as->view = g_new0(FlatView, 1);
    as->cuts = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_mutex_init(&as->lock);
    doorbell_init(&as->doorbells);
    return as;
}

/* From now on changes of its tree are seen. */
static void show(AddressSpace *as)
{
    as->root->as = as;
    address_space_begin(as);
    address_space_changed(as, ADDRESS_SPACE_CHANGED_VIEW);
    address_space_end(as);
}

AddressSpace *address_space_new(const char *name, Region *root, Vm *vm, bool is_io)
{
    AddressSpace *as = make(name, root, vm);

    as->is_io = is_io;
    memslot_init(&as->slots, 0);
    show(as);
    return as;
}

AddressSpace *address_space_new_smm(const char *name, Region *root, AddressSpace *base)
{
    AddressSpace *as = make(name, root, base->vm);

    g_assert(!base->is_io && !base->base && !base->smm);
    as->base = base;
    memslot_init(&as->slots, MEMSLOT_SPACE_SMM);
    region_batch_begin(base);
    base->smm = as;
    show(as);
    region_batch_end(base);
    return as;
}

void address_space_cut(AddressSpace *as, uint64_t gpa)
{
    GArray *cuts;
    unsigned i = 0;

    address_space_begin(as);
    cuts = locked_space(as)->cuts;
    while (i < cuts->len && g_array_index(cuts, uint64_t, i) < gpa)
        i++;
    if (i == cuts->len || g_array_index(cuts, uint64_t, i) != gpa)
        g_array_insert_val(cuts, i, gpa);
    address_space_changed(as, ADDRESS_SPACE_CHANGED_VIEW);
    address_space_end(as);
}

void address_space_free(AddressSpace *as)
{
    if (!as)
        return;
    g_assert(!as->smm);
    as->root->as = NULL;
    if (as->base) {
        region_batch_begin(as->base);
        as->base->smm = NULL;
        region_batch_end(as->base);
    }
    doorbell_done(&as->doorbells, as->vm);
    memslot_done(&as->slots, as->vm);
    flat_view_retire(as->view);
    g_array_unref(as->cuts);
    g_mutex_clear(&as->lock);
    g_free(as->name);
    g_free(as);
}

bool address_space_is_io(const AddressSpace *as)
{
    return as->is_io;
}

bool address_space_is_smm(const AddressSpace *as)
{
    return as->base != NULL;
}

const Region *address_space_root(const AddressSpace *as)
{
    return as->root;
}

const FlatView *address_space_view(AddressSpace *as)
{
    return as->view;
}

bool address_space_check_memory(AddressSpace *as, GError **error)
{
    int slots_error;

    address_space_begin(as);
    slots_error = as->slots_error;
    if (!slots_error && as->smm)
        slots_error = as->smm->slots_error;
    address_space_end(as);
    if (slots_error)
        error_set_errno(error, -slots_error, "the host refused memory of the guest");
    return slots_error == 0;
}

bool address_space_check(AddressSpace *as, GError **error)
{
    int doorbells_error;

    if (!address_space_check_memory(as, error))
        return false;
    address_space_begin(as);
    doorbells_error = as->doorbells_error;
    address_space_end(as);
    if (doorbells_error)
        error_set_errno(error, -doorbells_error, "the host refused an ioeventfd");
    return doorbells_error == 0;
}

char *address_space_describe(AddressSpace *as)
{
    static const char *const kinds[] = {
        [REGION_IO] = "i/o", [REGION_RAM] = "ram", [REGION_ROM] = "rom",
    };
    GString *text = g_string_new(NULL);

    address_space_begin(as);
    for (unsigned i = 0; i < as->view->n; i++) {
        const FlatRange *range = &as->view->ranges[i];
        bool is_romd = range->kind == REGION_ROM && range->ram.ops;

        g_string_append_printf(text, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s",
                               range->start, range->last, range->region->priority,
                               is_romd ? "romd" : kinds[range->kind],
                               range->region->name);
        if (range->kind == REGION_IO && range->io.offset)
            g_string_append_printf(text, " @%016" PRIx64, range->io.offset);
        g_string_append_c(text, '\n');
    }
    address_space_end(as);
    return g_string_free(text, FALSE);
}

RamRange *address_space_ram(AddressSpace *as, size_t *ret_count)
{
    GArray *ram = g_array_new(FALSE, FALSE, sizeof(RamRange));

    address_space_begin(as);
    for (unsigned i = 0; i < as->view->n; i++) {
        const FlatRange *range = &as->view->ranges[i];
        RamRange found = { .gpa = range->start, .size = range->last - range->start + 1 };

        if (range->kind != REGION_RAM)
            continue;
        if (i > 0 && flat_view_adjoins(range - 1, range)) {
            g_array_index(ram, RamRange, ram->len - 1).size += found.size;
            continue;
        }
        found.host = range->ram.host;
        found.fd = range->ram.block->fd;
        found.fd_offset = range->ram.block->fd_offset +
                          (uint64_t)(range->ram.host - range->ram.block->host);
        g_array_append_val(ram, found);
    }
    address_space_end(as);
    *ret_count = ram->len;
    return (RamRange *)g_array_free(ram, FALSE);
}

/*
 * The part of [@addr, ...) of @size that one range answers (*@ret_range) or none
 * (NULL).
 */
static size_t next_part(const FlatView *view, AddressHint *hint, uint64_t addr,
                        size_t size, const FlatRange **ret_range)
{
    const FlatRange *range = flat_view_find(view, &hint->index, addr);
    uint64_t last;

    if (!range) {
        *ret_range = NULL;
        return size;
    }
    *ret_range = addr >= range->start ? range : NULL;
    last = addr >= range->start ? range->last : range->start - 1;
    return size - 1 <= last - addr ? size : (size_t)(last - addr) + 1;
}

bool address_space_read_near(AddressSpace *as, AddressHint *hint, uint64_t addr,
                             void *data, size_t size)
{
    const FlatView *view = __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
    uint8_t *bytes = data;
    bool assigned = true;

    while (size > 0) {
        const FlatRange *range;
        size_t part = next_part(view, hint, addr, size, &range);

        if (range)
            flat_range_read(range, addr, bytes, part);
        else
            memset(bytes, 0xff, part);
        if (!range)
            TRACE(unassigned_read, "%s 0x%" PRIx64 " size %zu", as->name, addr, part);
        assigned = assigned && range;
        addr += part;
        bytes += part;
        size -= part;
    }
    return assigned;
}

bool address_space_write_near(AddressSpace *as, AddressHint *hint, uint64_t addr,
                              const void *data, size_t size)
{
    const FlatView *view = __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
    const uint8_t *bytes = data;
    bool assigned = true;

    while (size > 0) {
        const FlatRange *range;
        size_t part = next_part(view, hint, addr, size, &range);

        if (range)
            flat_range_write(range, addr, bytes, part);
        else
            TRACE(unassigned_write, "%s 0x%" PRIx64 " size %zu", as->name, addr, part);
        assigned = assigned && range;
        addr += part;
        bytes += part;
        size -= part;
    }
    return assigned;
}

bool address_space_read(AddressSpace *as, uint64_t addr, void *data, size_t size)
{
    AddressHint hint = { 0 };

    return address_space_read_near(as, &hint, addr, data, size);
}

bool address_space_write(AddressSpace *as, uint64_t addr, const void *data, size_t size)
{
    AddressHint hint = { 0 };

    return address_space_write_near(as, &hint, addr, data, size);
}

/* Whether @range, and what adjoins it, have @size bytes from @gpa on. */
static bool holds(const FlatView *view, const FlatRange *range, uint64_t gpa,
                  uint64_t size)
{
    const FlatRange *end = &view->ranges[view->n];

    for (; size - 1 > range->last - gpa; range++) {
        if (range + 1 == end || !flat_view_adjoins(range, range + 1))
            return false;
    }
    return true;
}

void *address_space_map_near(AddressSpace *as, AddressHint *hint, uint64_t gpa,
                             uint64_t size, bool for_write)
{
    const FlatView *view = __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
    const FlatRange *range = flat_view_find(view, &hint->index, gpa);

    if (!range || gpa < range->start || size == 0 || range->kind == REGION_IO ||
        (for_write && range->kind != REGION_RAM) || !holds(view, range, gpa, size))
        return NULL;
    return range->ram.host + (gpa - range->start);
}

void *address_space_map(AddressSpace *as, uint64_t gpa, uint64_t size, bool for_write)
{
    AddressHint hint = { 0 };

    return address_space_map_near(as, &hint, gpa, size, for_write);
}
