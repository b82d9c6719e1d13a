/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed part is that of a PC board: GSI 0 to 15 are the PIC's pins (but 2, the
 * cascade), and all are the IOAPIC's pins of their number, save that the PIT's GSI 0
 * ends at pin 2.
 *
 * The hypervisor takes the whole table at once, and waits for its readers at each
 * change; so callers that program many vectors do it in one call.
 */
#include <errno.h>

#include "berth/thread.h"

#include "irq-route.h"
#include "vm-ops.h"

#define CASCADE_PIN 2

static void append_pin(GArray *routes, IrqRouteKind kind, unsigned gsi, unsigned pin)
{
    IrqRoute route = { .kind = kind, .gsi = gsi, .pin = pin };

    g_array_append_val(routes, route);
}

static void append_pins(GArray *routes, unsigned gsi)
{
    if (gsi == CASCADE_PIN)
        return;
    if (gsi < 16)
        append_pin(routes, IRQ_ROUTE_PIC, gsi, gsi);
    append_pin(routes, IRQ_ROUTE_IOAPIC, gsi, gsi ? gsi : CASCADE_PIN);
}

void irq_route_init(IrqRouteTable *table, unsigned n_gsis, bool has_pins)
{
    g_mutex_init(&table->lock);
    table->n_gsis = n_gsis;
    table->routes = g_array_new(FALSE, FALSE, sizeof(IrqRoute));
    table->used = g_array_new(FALSE, TRUE, sizeof(bool));
    g_array_set_size(table->used, VM_GSI_LINES);
    for (unsigned gsi = 0; gsi < VM_GSI_LINES; gsi++) {
        g_array_index(table->used, bool, gsi) = true;
        if (has_pins)
            append_pins(table->routes, gsi);
    }
    /* The limit is one of entries, and some GSIs have two. */
    if (table->routes->len > VM_GSI_LINES)
        table->n_gsis -= MIN(n_gsis, table->routes->len - VM_GSI_LINES);
}

void irq_route_done(IrqRouteTable *table)
{
    g_array_unref(table->routes);
    g_array_unref(table->used);
    g_mutex_clear(&table->lock);
}

static int commit_locked(Vm *vm, const GArray *routes)
{
    return vm->ended ? 0 : vm->ops->set_routes(vm, (const IrqRoute *)routes->data,
                                               routes->len);
}

int irq_route_commit(Vm *vm)
{
    int err;

    lock_take(&vm->routes.lock);
    err = commit_locked(vm, vm->routes.routes);
    lock_drop(&vm->routes.lock);
    return err;
}

static int alloc_locked(IrqRouteTable *table)
{
    for (unsigned gsi = VM_GSI_LINES; gsi < table->n_gsis; gsi++) {
        if (gsi == table->used->len)
            g_array_set_size(table->used, gsi + 1);
        if (!g_array_index(table->used, bool, gsi)) {
            g_array_index(table->used, bool, gsi) = true;
            return (int)gsi;
        }
    }
    return -ENOSPC;
}

int irq_route_alloc(Vm *vm)
{
    int gsi;

    lock_take(&vm->routes.lock);
    gsi = alloc_locked(&vm->routes);
    lock_drop(&vm->routes.lock);
    return gsi;
}

/* The index of @gsi's message in @routes, or where it belongs with *@ret_found false. */
static unsigned find_msi(const GArray *routes, unsigned gsi, bool *ret_found)
{
    unsigned low = 0;
    unsigned high = routes->len;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const IrqRoute *route = &g_array_index(routes, IrqRoute, middle);

        if (route->kind != IRQ_ROUTE_MSI || route->gsi < gsi)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < routes->len && g_array_index(routes, IrqRoute, low).gsi == gsi;
    return low;
}

static void remove_message(GArray *routes, unsigned gsi)
{
    bool found;
    unsigned at = find_msi(routes, gsi, &found);

    if (found)
        g_array_remove_index(routes, at);
}

void irq_route_release(Vm *vm, unsigned gsi)
{
    IrqRouteTable *table = &vm->routes;

    lock_take(&table->lock);
    remove_message(table->routes, gsi);
    g_array_index(table->used, bool, gsi) = false;
    lock_drop(&table->lock);
}

static GArray *copy_routes(const GArray *routes, unsigned n_more)
{
    GArray *copy = g_array_sized_new(FALSE, FALSE, sizeof(IrqRoute),
                                     routes->len + n_more);

    return g_array_append_vals(copy, routes->data, routes->len);
}

static void set_message(const Vm *vm, GArray *routes, unsigned gsi,
                        const MsiMessage *message)
{
    IrqRoute route = {
        .kind = IRQ_ROUTE_MSI, .gsi = gsi, .msi = irqchip_extend(vm, *message),
    };
    bool found;
    unsigned at = find_msi(routes, gsi, &found);

    if (found)
        g_array_index(routes, IrqRoute, at) = route;
    else
        g_array_insert_val(routes, at, route);
}

/* Commits @changed (taken) and makes it the table; when that fails, the old one stays. */
static int replace_locked(Vm *vm, GArray *changed)
{
    GArray *old = vm->routes.routes;
    int err = commit_locked(vm, changed);

    if (!err)
        vm->routes.routes = changed;
    g_array_unref(err ? changed : old);
    return err;
}

int irq_route_set_pins(Vm *vm, const MsiMessage *messages)
{
    GArray *changed;
    int err;

    lock_take(&vm->routes.lock);
    changed = copy_routes(vm->routes.routes, VM_GSI_LINES);
    for (unsigned gsi = 0; gsi < VM_GSI_LINES; gsi++) {
        if (messages[gsi].addr)
            set_message(vm, changed, gsi, &messages[gsi]);
        else
            remove_message(changed, gsi);
    }
    err = replace_locked(vm, changed);
    lock_drop(&vm->routes.lock);
    return err;
}

int irq_route_set_msi(Vm *vm, MsiRoute *const *routes, const MsiMessage *messages,
                      unsigned n)
{
    GArray *changed;
    int err;

    lock_take(&vm->routes.lock);
    changed = copy_routes(vm->routes.routes, n);
    for (unsigned i = 0; i < n; i++)
        set_message(vm, changed, (unsigned)routes[i]->gsi, &messages[i]);
    err = replace_locked(vm, changed);
    lock_drop(&vm->routes.lock);
    return err;
}
